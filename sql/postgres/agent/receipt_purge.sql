-- agent:receipt_purge
-- Deletes receipts that are older than a time.
-- Parameters: $1 connection point, $2 before, $3 limit.
-- Locks: part of the one transaction of a purge, READ COMMITTED; the rows that it deletes; what another session keeps
-- locked is left out. The array makes sure that the rows are looked for once.
DELETE FROM bodrelay_receipt
WHERE receipt_key = ANY (ARRAY(
    SELECT receipt_key FROM bodrelay_receipt
    WHERE connection_point = $1::text AND received_at < $2::timestamptz LIMIT $3::bigint
    FOR UPDATE SKIP LOCKED))
