-- agent:outbox_groups
-- How many rows are at 0 for each tenant, the lowest of them, and when that was created. For boxes without
-- C_LOGICAL_ID (1.0), and where no connection point chooses by it. Words in braces are the site's tables and columns,
-- filled in from the catalogue.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction on a session of its own.
SELECT g.tenant_id, g.logical_id, g.waiting_rows, g.first_id, {created_text} AS created
FROM (
    SELECT {c_tenant_id}::text AS tenant_id, NULL::text AS logical_id, count(*) AS waiting_rows,
        min({c_id})::bigint AS first_id
    FROM {outbox_entry}
    WHERE {c_was_processed} = '0'
    GROUP BY 1, 2
    LIMIT 10000) AS g
JOIN {outbox_entry} ON {c_id} = g.first_id
