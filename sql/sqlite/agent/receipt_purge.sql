-- agent:receipt_purge
-- Deletes receipts that are older than a time.
-- Parameters: ?1 connection point, ?2 before, ?3 limit.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a purge.
DELETE FROM bodrelay_receipt
WHERE receipt_key IN (
    SELECT receipt_key FROM bodrelay_receipt WHERE connection_point = ?1 AND received_at < ?2 LIMIT ?3)
