-- agent:outbox_hidden
-- SQLite hides no rows of a table. Answers NULL.
-- Parameters: none.
-- Locks: reads only.
SELECT NULL AS without_policy
