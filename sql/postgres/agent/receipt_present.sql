-- agent:receipt_present
-- Of these receipts, those that are in the table.
-- Parameters: $1 receipt keys.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT receipt_key
FROM bodrelay_receipt
WHERE receipt_key = ANY ($1::text[])
