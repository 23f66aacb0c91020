-- agent:received_document_write
-- Remembers the versions of documents that were stored; a lower variation than the known one changes nothing, and one
-- without a variation keeps the known one.
-- Parameters: none; the rows are in #bodrelay_received_document.
-- Locks: part of the one transaction of a store; the rows that it writes, after inbox_lock.
UPDATE d
SET variation_id = COALESCE(n.variation_id, d.variation_id), digest = n.digest, entry_id = n.entry_id,
    received_at = n.received_at
FROM [bodrelay].bodrelay_received_document AS d
JOIN #bodrelay_received_document AS n ON n.document_key = d.document_key
WHERE d.variation_id IS NULL OR n.variation_id IS NULL OR n.variation_id >= d.variation_id;
INSERT INTO [bodrelay].bodrelay_received_document (
    document_key, connection_point, noun, document_id, variation_id, digest, entry_id, received_at)
SELECT
    n.document_key, n.connection_point, n.noun, n.document_id, n.variation_id, n.digest, n.entry_id, n.received_at
FROM #bodrelay_received_document AS n
WHERE NOT EXISTS (
    SELECT 1 FROM [bodrelay].bodrelay_received_document AS d WHERE d.document_key = n.document_key)
