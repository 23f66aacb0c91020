-- agent:inbox_known
-- What is known about documents that came, one row each: the receipt of its full message id, the second one for other
-- bytes, one of the same source part, sender, name and bytes, whether the source part was seen at all, and the
-- document's highest variation. Texts are compared exactly beside the usual comparison, which an index serves.
-- Parameters: none; the documents are in #bodrelay_mark.
-- Locks: part of the one transaction of a store, READ COMMITTED; after inbox_lock, so that nobody stores between this
-- and the inserts.
SELECT
    k.place, r.digest AS repeat_digest, r.entry_id AS repeat_entry_id, b.entry_id AS repeat_of_bytes_entry_id,
    (SELECT TOP (1) s.entry_id FROM [bodrelay].bodrelay_receipt AS s
     WHERE s.source_part = k.source_part AND s.digest = k.digest AND s.connection_point = k.connection_point
         AND s.source_part = k.source_part COLLATE Latin1_General_BIN2
         AND s.from_logical_id = k.from_logical_id COLLATE Latin1_General_BIN2
         AND s.document_name = k.document_name COLLATE Latin1_General_BIN2) AS source_entry_id,
    CAST(CASE WHEN EXISTS (
        SELECT 1 FROM [bodrelay].bodrelay_receipt AS s
        WHERE s.source_part = k.source_part AND s.connection_point = k.connection_point
            AND s.source_part = k.source_part COLLATE Latin1_General_BIN2) THEN 1 ELSE 0 END AS bigint) AS source_seen,
    d.variation_id, d.digest AS document_digest, d.entry_id AS document_entry_id
FROM #bodrelay_mark AS k
LEFT JOIN [bodrelay].bodrelay_receipt AS r ON r.receipt_key = k.receipt_key
LEFT JOIN [bodrelay].bodrelay_receipt AS b ON b.receipt_key = k.receipt_key_of_bytes
LEFT JOIN [bodrelay].bodrelay_received_document AS d ON d.document_key = k.document_key
ORDER BY k.place
