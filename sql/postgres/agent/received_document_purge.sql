-- agent:received_document_purge
-- Forgets documents of which nothing was stored since a time.
-- Parameters: $1 connection point, $2 before, $3 limit.
-- Locks: part of the one transaction of a purge, READ COMMITTED; the rows that it deletes; what another session keeps
-- locked is left out. The array makes sure that the rows are looked for once.
DELETE FROM bodrelay_received_document
WHERE document_key = ANY (ARRAY(
    SELECT document_key FROM bodrelay_received_document
    WHERE connection_point = $1::text AND received_at < $2::timestamptz LIMIT $3::bigint
    FOR UPDATE SKIP LOCKED))
