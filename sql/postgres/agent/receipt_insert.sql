-- agent:receipt_insert
-- Remembers that messages were received. A key that is there is an error: nothing of the store is written then.
-- Parameters: arrays of one length: $1 receipt_key, $2 connection point, $3 message_id, $4 source_part, $5
-- from_logical_id, $6 document_name, $7 digest, $8 entry_id, $9 received_at.
-- Locks: part of the one transaction of a store, READ COMMITTED; waits for a session that writes the same key.
INSERT INTO bodrelay_receipt (
    receipt_key, connection_point, message_id, source_part, from_logical_id, document_name, digest, entry_id,
    received_at)
SELECT
    n.receipt_key, n.connection_point, n.message_id, n.source_part, n.from_logical_id, n.document_name, n.digest,
    n.entry_id, n.received_at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::timestamptz[]) AS n (
    receipt_key, connection_point, message_id, source_part, from_logical_id, document_name, digest, entry_id,
    received_at)
ORDER BY n.receipt_key
