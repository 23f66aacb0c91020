-- agent:outbox_oldest_by_logical_id
-- The created time of the lowest id at 0. For connection points that choose by logical id: the box has C_LOGICAL_ID
-- (3.0). Words in braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 tenant (NULL: any), $2 created from (NULL: any; a time that cannot be read counts as later), $3
-- logical id.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with outbox_backlog.
SELECT {created_text} AS created
FROM {outbox_entry}
WHERE {c_was_processed} = '0'
    AND {c_logical_id} = $3::text
    AND ($1::text IS NULL OR {c_tenant_id} = $1::text)
    AND ($2::timestamptz IS NULL OR coalesce({created_time} >= $2::timestamptz, TRUE))
ORDER BY {c_id}
LIMIT 1
