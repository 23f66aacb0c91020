-- agent:outbox_oldest
-- The created time of the lowest id at 0. For connection points that do not choose by logical id, and so for 1.0
-- boxes, which have no C_LOGICAL_ID. Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: $1 tenant (NULL: any), $2 created from (NULL: any; a time that cannot be read counts as later).
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with outbox_backlog.
SELECT {created_text} AS created
FROM {outbox_entry}
WHERE {c_was_processed} = '0'
    AND ($1::text IS NULL OR {c_tenant_id} = $1::text)
    AND ($2::timestamptz IS NULL OR coalesce({created_time} >= $2::timestamptz, TRUE))
ORDER BY {c_id}
LIMIT 1
