-- agent:outbox_purge_select
-- Of these rows, those that may be deleted: flag 1, and still the connection point's own. For connection points that
-- do not choose by logical id, and so for 1.0 boxes, which have no C_LOGICAL_ID. IS TRUE keeps an index of the flag out.
-- Words in braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids, $2 tenant (NULL: any).
-- Locks: one transaction with outbox_purge, READ COMMITTED; these rows FOR UPDATE, in the order of their ids;
-- what another session keeps locked is left out.
SELECT {c_id}::bigint AS entry_id
FROM {outbox_entry}
WHERE {c_id} = ANY ($1::bigint[]) AND ({c_was_processed} = '1') IS TRUE
    AND ($2::text IS NULL OR {c_tenant_id} = $2::text)
ORDER BY {c_id}
FOR UPDATE SKIP LOCKED
