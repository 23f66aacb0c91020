-- agent:variation_read
-- The last version of documents, and whether it is still open: its entry has flag 0.
-- Parameters: none; the document keys are in #bodrelay_document.
-- Locks: reads only, READ COMMITTED and never READPAST: a row that is locked must not look like one that is done.
SELECT
    v.document_key, v.last_variation,
    CASE WHEN EXISTS (
        SELECT 1 FROM /* iobox_schema */COR_OUTBOX_ENTRY AS e
        WHERE e.C_ID = v.last_entry_id AND e.C_WAS_PROCESSED = 0) THEN 1 ELSE 0 END AS is_open
FROM [bodrelay].bodrelay_variation AS v
WHERE v.document_key IN (SELECT document_id FROM #bodrelay_document)
