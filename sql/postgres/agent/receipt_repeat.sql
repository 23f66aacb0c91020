-- agent:receipt_repeat
-- Counts repeats of messages that were received before. No key comes twice in a call.
-- Parameters: arrays of one length: $1 receipt_key, $2 times.
-- Locks: part of the one transaction of a store, READ COMMITTED; the rows that it writes, after inbox_lock.
UPDATE bodrelay_receipt AS r
SET repeats = least(r.repeats + n.times, 2147483647)
FROM unnest($1::text[], $2::bigint[]) AS n (receipt_key, times)
WHERE r.receipt_key = n.receipt_key
