-- agent:received_document_write
-- Remembers the versions of documents that were stored; a lower variation than the known one changes nothing, and one
-- without a variation keeps the known one. No key comes twice in a call.
-- Parameters: arrays of one length: $1 document_key, $2 connection point, $3 noun, $4 document_id, $5 variation_id, $6
-- digest, $7 entry_id, $8 received_at.
-- Locks: part of the one transaction of a store, READ COMMITTED; the rows that it writes, after inbox_lock.
INSERT INTO bodrelay_received_document AS known (
    document_key, connection_point, noun, document_id, variation_id, digest, entry_id, received_at)
SELECT
    n.document_key, n.connection_point, substr(n.noun, 1, 100), substr(n.document_id, 1, 100), n.variation_id,
    n.digest, n.entry_id, n.received_at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::timestamptz[]) AS n (
    document_key, connection_point, noun, document_id, variation_id, digest, entry_id, received_at)
ORDER BY n.document_key
ON CONFLICT (document_key) DO UPDATE
SET
    variation_id = coalesce(excluded.variation_id, known.variation_id), digest = excluded.digest, entry_id =
    excluded.entry_id, received_at = excluded.received_at
WHERE
    known.variation_id IS NULL OR excluded.variation_id IS NULL OR excluded.variation_id >= known.variation_id
