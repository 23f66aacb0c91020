-- agent:receipt_purge
-- Deletes receipts that are older than a time.
-- Parameters: @P1 connection point, @P2 before, @P3 limit.
-- Locks: part of the one transaction of a purge; the rows that it deletes; READPAST: what another session keeps locked
-- is left out.
DELETE FROM [bodrelay].bodrelay_receipt
WHERE receipt_key IN (
    SELECT TOP (@P3) receipt_key
    FROM [bodrelay].bodrelay_receipt WITH (READCOMMITTEDLOCK, READPAST, UPDLOCK, ROWLOCK)
    WHERE connection_point = @P1 AND received_at < CAST(@P2 AS datetime2(3)))
