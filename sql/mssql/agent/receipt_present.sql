-- agent:receipt_present
-- Of these receipts, those that are in the table.
-- Parameters: none; the receipt keys are in #bodrelay_mark.
-- Locks: reads only, READ COMMITTED.
SELECT r.receipt_key
FROM [bodrelay].bodrelay_receipt AS r
WHERE r.receipt_key IN (SELECT receipt_key FROM #bodrelay_mark)
