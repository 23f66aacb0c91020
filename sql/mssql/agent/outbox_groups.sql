-- agent:outbox_groups
-- How many rows are at 0 for each tenant, the lowest of them, and when that was created. For boxes without
-- C_LOGICAL_ID (1.0), and where no connection point chooses by it. Grouped exactly, whatever the collation.
-- Parameters: none.
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */): rows that an
-- open business transaction has locked are passed over and counted the next time. On a session of its own.
SELECT g.tenant_id, g.logical_id, g.waiting_rows, g.first_id, e.C_CREATED_DATE_TIME
FROM (
    SELECT TOP (10000) C_TENANT_ID COLLATE Latin1_General_BIN2 AS tenant_id, CAST(NULL AS nvarchar(250)) AS logical_id,
        COUNT_BIG(*) AS waiting_rows, CAST(MIN(C_ID) AS bigint) AS first_id
    FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
    WHERE C_WAS_PROCESSED = 0
    GROUP BY C_TENANT_ID COLLATE Latin1_General_BIN2) AS g
JOIN /* iobox_schema */COR_OUTBOX_ENTRY AS e /* readpast */ ON e.C_ID = g.first_id
