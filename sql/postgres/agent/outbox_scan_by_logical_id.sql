-- agent:outbox_scan_by_logical_id
-- Ids at 0 in a range, lowest first, with the length of the document. For connection points that choose by logical
-- id: the box has C_LOGICAL_ID (3.0). Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: $1 after, $2 up to, $3 limit, $4 tenant (NULL: any), $5 created from (NULL: any; a time that cannot
-- be read counts as later), $6 logical id.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with outbox_highest.
SELECT {c_id}::bigint AS entry_id, coalesce(octet_length({payload}), 0)::bigint AS payload_bytes
FROM {outbox_entry}
WHERE {c_was_processed} = '0' AND {c_id} > $1::bigint AND {c_id} <= $2::bigint
    AND {c_logical_id} = $6::text
    AND ($4::text IS NULL OR {c_tenant_id} = $4::text)
    AND ($5::timestamptz IS NULL OR coalesce({created_time} >= $5::timestamptz, TRUE))
ORDER BY {c_id}
LIMIT $3::bigint
