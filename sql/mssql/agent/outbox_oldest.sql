-- agent:outbox_oldest
-- The created time of the lowest id at 0. For connection points that do not choose by logical id, and so for
-- 1.0 boxes, which have no C_LOGICAL_ID. Tenant and logical id are compared exactly, whatever the collation of
-- the column; only trailing blanks do not count.
-- Parameters: @P1 tenant, @P2 1: chosen by tenant, @P3 created from, @P4 1: chosen by created (a time that
-- cannot be read counts as later).
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */): rows that an
-- open business transaction has locked are passed over and found by a later scan; a poll never stands still
-- behind them.
SELECT TOP (1) C_CREATED_DATE_TIME
FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
WHERE C_WAS_PROCESSED = 0
    AND (@P2 = 0 OR C_TENANT_ID COLLATE Latin1_General_BIN2 = @P1)
    AND (@P4 = 0 OR TRY_CONVERT(datetimeoffset(3), C_CREATED_DATE_TIME) IS NULL
        OR TRY_CONVERT(datetimeoffset(3), C_CREATED_DATE_TIME) >= CAST(NULLIF(@P3, N'') AS datetimeoffset(3)))
ORDER BY C_ID
