-- agent:outbox_groups_by_logical_id
-- How many rows are at 0 for each tenant and logical id, the lowest of them, and when that was created: the box has
-- C_LOGICAL_ID (3.0).
-- Parameters: none.
-- Locks: reads only; on a connection of its own.
SELECT g.tenant_id, g.logical_id, g.waiting_rows, g.first_id, e.C_CREATED_DATE_TIME
FROM (
    SELECT C_TENANT_ID AS tenant_id, C_LOGICAL_ID AS logical_id, count(*) AS waiting_rows, min(C_ID) AS first_id
    FROM COR_OUTBOX_ENTRY
    WHERE C_WAS_PROCESSED = 0
    GROUP BY C_LOGICAL_ID, C_TENANT_ID
    LIMIT 10000) AS g
CROSS JOIN COR_OUTBOX_ENTRY AS e
WHERE e.C_ID = g.first_id
