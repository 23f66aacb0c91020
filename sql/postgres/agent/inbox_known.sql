-- agent:inbox_known
-- What is known about documents that came, one row each: the receipt of its full message id, the second one for other
-- bytes, one of the same source part, sender, name and bytes, whether the source part was seen at all, and the
-- document's highest variation.
-- Parameters: arrays of one length: $1 place, $2 receipt_key, $3 receipt_key for these bytes, $4 connection point, $5
-- source part, $6 from_logical_id, $7 document name, $8 digest, $9 document_key (NULL: none).
-- Locks: part of the one transaction of a store, READ COMMITTED; after inbox_lock, so that nobody stores between this
-- and the inserts.
-- The || '' keeps the planner off the index by connection point, on which it would read every receipt there is, and the
-- LIMIT from making a hash of all of them.
SELECT
    k.place, r.digest AS repeat_digest, r.entry_id AS repeat_entry_id, b.entry_id AS repeat_of_bytes_entry_id,
    (SELECT s.entry_id FROM bodrelay_receipt AS s
     WHERE s.source_part = k.source_part AND s.digest = k.digest AND s.connection_point = k.connection_point
         AND s.from_logical_id = k.from_logical_id AND s.document_name = k.document_name
     LIMIT 1) AS source_entry_id,
    (SELECT count(*) FROM (
        SELECT 1 FROM bodrelay_receipt AS s
        WHERE s.source_part = k.source_part AND s.connection_point || '' = k.connection_point
        LIMIT 1) AS o) AS source_seen,
    d.variation_id, d.digest AS document_digest, d.entry_id AS document_entry_id
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) AS k (
    place, receipt_key, receipt_key_of_bytes, connection_point, source_part, from_logical_id, document_name, digest,
    document_key)
LEFT JOIN bodrelay_receipt AS r ON r.receipt_key = k.receipt_key
LEFT JOIN bodrelay_receipt AS b ON b.receipt_key = k.receipt_key_of_bytes
LEFT JOIN bodrelay_received_document AS d ON d.document_key = k.document_key
ORDER BY k.place
