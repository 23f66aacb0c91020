-- agent:inbox_load_headers
-- The headers of a row of the inbox, in their order. Words in braces are the site's tables and columns, filled in from
-- the catalogue.
-- Parameters: $1 C_INBOX_ID.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with inbox_load.
SELECT {ih_c_header_key}::text AS header_key, {ih_c_header_value}::text AS header_value
FROM {inbox_headers}
WHERE {ih_c_inbox_id} = $1::bigint AND {ih_c_header_key} IS NOT NULL AND {ih_c_header_value} IS NOT NULL
ORDER BY {ih_c_id}
