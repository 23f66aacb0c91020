-- agent:outbox_filled_by_logical_id
-- Rows that have come into ranges of ids, lowest first, and whether each is at 0 and chosen. For connection points that
-- choose by logical id: the box has C_LOGICAL_ID (3.0). Words in braces are the site's tables and columns, filled in from
-- the catalogue.
-- Parameters: $1 first and $2 last ids of the ranges, $3 limit, $4 tenant (NULL: any), $5 created from (NULL: any; a time
-- that cannot be read counts as later), $6 logical id.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with the scan.
SELECT entry.entry_id, entry.is_chosen, entry.payload_bytes
FROM unnest($1::bigint[], $2::bigint[]) AS hole (first_id, last_id)
CROSS JOIN LATERAL (
    SELECT {c_id}::bigint AS entry_id,
        coalesce({c_was_processed} = '0'
                AND {c_logical_id} = $6::text
                AND ($4::text IS NULL OR {c_tenant_id} = $4::text)
                AND ($5::timestamptz IS NULL OR coalesce({created_time} >= $5::timestamptz, TRUE)), FALSE) AS is_chosen,
        coalesce(octet_length({payload}), 0)::bigint AS payload_bytes
    FROM {outbox_entry}
    WHERE {c_id} >= hole.first_id AND {c_id} <= hole.last_id
    ORDER BY {c_id}
    LIMIT $3::bigint) AS entry
ORDER BY entry.entry_id
LIMIT $3::bigint
