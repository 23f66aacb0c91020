-- agent:outbox_filled
-- Rows that have come into ranges of ids, lowest first, and whether each is at 0 and chosen. For connection points
-- that do not choose by logical id, and so for 1.0 boxes, which have no C_LOGICAL_ID. Tenant and logical id are
-- compared exactly, whatever the collation of the column; only trailing blanks do not count.
-- Parameters: @P1 limit, @P2 tenant, @P3 1: chosen by tenant, @P4 created from, @P5 1: chosen by created (a time that
-- cannot be read counts as later); the ranges are in #bodrelay_hole.
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */): rows that an
-- open business transaction has locked are passed over and found by a later scan; a poll never stands still
-- behind them.
SELECT TOP (@P1) e.entry_id, e.is_chosen, e.payload_bytes
FROM #bodrelay_hole AS h
CROSS APPLY (
    SELECT TOP (@P1) CAST(C_ID AS bigint) AS entry_id,
        CASE WHEN C_WAS_PROCESSED = 0
                AND (@P3 = 0 OR C_TENANT_ID COLLATE Latin1_General_BIN2 = @P2)
                AND (@P5 = 0 OR TRY_CONVERT(datetimeoffset(3), C_CREATED_DATE_TIME) IS NULL
                    OR TRY_CONVERT(datetimeoffset(3), C_CREATED_DATE_TIME)
                        >= CAST(NULLIF(@P4, N'') AS datetimeoffset(3)))
            THEN 1 ELSE 0 END AS is_chosen,
        CAST(COALESCE(DATALENGTH(C_XML), 0) AS bigint) AS payload_bytes
    FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
    WHERE C_ID >= h.first_id AND C_ID <= h.last_id
    ORDER BY C_ID) AS e
ORDER BY e.entry_id
