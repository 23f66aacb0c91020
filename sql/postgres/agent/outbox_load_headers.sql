-- agent:outbox_load_headers
-- The headers of rows, in the order of their C_ID; those without a key or a value are none. Words in braces are the
-- site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with outbox_load.
SELECT {h_c_outbox_id}::bigint AS entry_id, {h_c_header_key}::text AS header_key, {h_c_header_value}::text AS header_value
FROM {outbox_headers}
WHERE {h_c_outbox_id} = ANY ($1::bigint[]) AND {h_c_header_key} IS NOT NULL AND {h_c_header_value} IS NOT NULL
ORDER BY {h_c_outbox_id}, {h_c_id}
