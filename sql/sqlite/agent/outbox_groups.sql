-- agent:outbox_groups
-- How many rows are at 0 for each tenant, the lowest of them, and when that was created. For boxes without
-- C_LOGICAL_ID (1.0), and where no connection point chooses by it.
-- Parameters: none.
-- Locks: reads only; on a connection of its own.
SELECT g.tenant_id, NULL AS logical_id, g.waiting_rows, g.first_id, e.C_CREATED_DATE_TIME
FROM (
    SELECT C_TENANT_ID AS tenant_id, count(*) AS waiting_rows, min(C_ID) AS first_id
    FROM COR_OUTBOX_ENTRY
    WHERE C_WAS_PROCESSED = 0
    GROUP BY C_TENANT_ID
    LIMIT 10000) AS g
CROSS JOIN COR_OUTBOX_ENTRY AS e
WHERE e.C_ID = g.first_id
