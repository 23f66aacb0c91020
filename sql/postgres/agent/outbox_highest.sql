-- agent:outbox_highest
-- The highest id of the whole table. Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with the scan.
SELECT coalesce(max({c_id}), 0)::bigint AS highest FROM {outbox_entry}
