-- agent:receipt_insert
-- Remembers that messages were received. A key that is there is an error: nothing of the store is written then.
-- Parameters: none; the rows are in #bodrelay_receipt.
-- Locks: part of the one transaction of a store; waits for a session that writes the same key.
INSERT INTO [bodrelay].bodrelay_receipt (
    receipt_key, connection_point, message_id, source_part, from_logical_id, document_name, digest, entry_id,
    received_at)
SELECT
    n.receipt_key, n.connection_point, n.message_id, n.source_part, n.from_logical_id, n.document_name, n.digest,
    n.entry_id, n.received_at
FROM #bodrelay_receipt AS n
ORDER BY n.receipt_key
