-- agent:variation_read
-- The last version of documents, and whether it is still open: its entry has flag 0.
-- Parameters: ?1 document keys as a JSON array.
-- Locks: reads only.
SELECT
    v.document_key, v.last_variation,
    EXISTS (SELECT 1 FROM COR_OUTBOX_ENTRY AS e WHERE e.C_ID = v.last_entry_id AND e.C_WAS_PROCESSED = 0) AS is_open
FROM bodrelay_variation AS v
WHERE v.document_key IN (SELECT value FROM json_each(?1))
