-- agent:outbox_scan
-- Ids at 0 in a range, lowest first, with the length of the document. For connection points that do not choose
-- by logical id, and so for 1.0 boxes, which have no C_LOGICAL_ID. Tenant and logical id are compared exactly,
-- whatever the collation of the column; only trailing blanks do not count.
-- Parameters: @P1 after, @P2 up to, @P3 limit, @P4 tenant, @P5 1: chosen by tenant, @P6 created from, @P7 1:
-- chosen by created (a time that cannot be read counts as later).
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */): rows that an
-- open business transaction has locked are passed over and found by a later scan; a poll never stands still
-- behind them.
SELECT TOP (@P3) CAST(C_ID AS bigint) AS C_ID, CAST(COALESCE(DATALENGTH(C_XML), 0) AS bigint) AS payload_bytes
FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
WHERE C_WAS_PROCESSED = 0 AND C_ID > @P1 AND C_ID <= @P2
    AND (@P5 = 0 OR C_TENANT_ID COLLATE Latin1_General_BIN2 = @P4)
    AND (@P7 = 0 OR TRY_CONVERT(datetimeoffset(3), C_CREATED_DATE_TIME) IS NULL
        OR TRY_CONVERT(datetimeoffset(3), C_CREATED_DATE_TIME) >= CAST(NULLIF(@P6, N'') AS datetimeoffset(3)))
ORDER BY C_ID
