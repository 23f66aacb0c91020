-- agent:inbox_known
-- What is known about a document that came: the receipt of its full message id, the second one for other bytes, one of
-- the same source part, sender, name and bytes, whether the source part was seen at all, and the document's highest
-- variation.
-- Parameters: ?1 receipt_key, ?2 receipt_key for these bytes, ?3 connection point, ?4 source part, ?5 from_logical_id,
-- ?6 document name, ?7 digest, ?8 document_key (NULL: none).
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
-- The + keeps the planner off the index by connection point, on which it would read every receipt there is.
SELECT
    r.digest AS repeat_digest, r.entry_id AS repeat_entry_id,
    (SELECT b.entry_id FROM bodrelay_receipt AS b WHERE b.receipt_key = ?2) AS repeat_of_bytes_entry_id,
    (SELECT s.entry_id FROM bodrelay_receipt AS s
     WHERE s.source_part = ?4 AND s.digest = ?7 AND s.connection_point = ?3 AND s.from_logical_id = ?5
         AND s.document_name = ?6
     LIMIT 1) AS source_entry_id,
    EXISTS (SELECT 1 FROM bodrelay_receipt AS s WHERE s.source_part = ?4 AND +s.connection_point = ?3) AS source_seen,
    d.variation_id, d.digest AS document_digest, d.entry_id AS document_entry_id
FROM (SELECT 1 AS one) AS o
LEFT JOIN bodrelay_receipt AS r ON r.receipt_key = ?1
LEFT JOIN bodrelay_received_document AS d ON d.document_key = ?8
