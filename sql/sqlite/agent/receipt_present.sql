-- agent:receipt_present
-- Of these receipts, those that are in the table.
-- Parameters: ?1 receipt keys as a JSON array.
-- Locks: reads only.
SELECT receipt_key
FROM bodrelay_receipt
WHERE receipt_key IN (SELECT value FROM json_each(?1))
