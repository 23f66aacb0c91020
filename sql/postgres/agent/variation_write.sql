-- agent:variation_write
-- Raises the last version of documents. Fewer rows than documents written: somebody else raised it as far, and
-- nothing of the transaction holds.
-- Parameters: arrays of one length: $1 document key, $3 variation, $4 C_ID; $2 connection point.
-- Locks: part of the one transaction that writes composed documents, READ COMMITTED; the rows that it writes.
INSERT INTO bodrelay_variation AS known (document_key, connection_point, last_variation, last_entry_id, changed_at)
SELECT r.document_key, $2::text, r.variation, r.entry_id, now()
FROM unnest($1::text[], $3::bigint[], $4::bigint[]) AS r (document_key, variation, entry_id)
ORDER BY r.document_key
ON CONFLICT (document_key) DO UPDATE
SET
    connection_point = excluded.connection_point, last_variation = excluded.last_variation,
    last_entry_id = excluded.last_entry_id, changed_at = excluded.changed_at
WHERE known.last_variation < excluded.last_variation
