-- agent:received_document_purge
-- Forgets documents of which nothing was stored since a time.
-- Parameters: @P1 connection point, @P2 before, @P3 limit.
-- Locks: part of the one transaction of a purge; the rows that it deletes; READPAST: what another session keeps locked
-- is left out.
DELETE FROM [bodrelay].bodrelay_received_document
WHERE document_key IN (
    SELECT TOP (@P3) document_key
    FROM [bodrelay].bodrelay_received_document WITH (READCOMMITTEDLOCK, READPAST, UPDLOCK, ROWLOCK)
    WHERE connection_point = @P1 AND received_at < CAST(@P2 AS datetime2(3)))
