-- agent:outbox_backlog
-- How many rows are at 0, counted no further than a limit. For connection points that do not choose by logical id,
-- and so for 1.0 boxes, which have no C_LOGICAL_ID. Words in braces are the site's tables and columns, filled in
-- from the catalogue.
-- Parameters: $1 limit, $2 tenant (NULL: any), $3 created from (NULL: any; a time that cannot be read counts as
-- later).
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with outbox_oldest.
SELECT count(*) AS waiting_rows
FROM (
    SELECT 1 AS waiting
    FROM {outbox_entry}
    WHERE {c_was_processed} = '0'
    AND ($2::text IS NULL OR {c_tenant_id} = $2::text)
    AND ($3::timestamptz IS NULL OR coalesce({created_time} >= $3::timestamptz, TRUE))
    LIMIT $1::bigint) AS counted
