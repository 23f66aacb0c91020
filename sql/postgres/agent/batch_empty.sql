-- agent:batch_empty
-- Empties the session's own table of documents.
-- Parameters: none.
-- Locks: the session's own temporary table.
DELETE FROM pg_temp.bodrelay_batch
