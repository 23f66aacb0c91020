-- agent:receipt_repeat
-- Counts repeats of a message that was received before.
-- Parameters: @P1 receipt_key, @P2 times.
-- Locks: part of the one transaction of a store; the row that it writes, after inbox_lock.
UPDATE [bodrelay].bodrelay_receipt
SET repeats = CASE WHEN repeats > 2147483647 - @P2 THEN 2147483647 ELSE repeats + CAST(@P2 AS int) END
WHERE receipt_key = @P1
