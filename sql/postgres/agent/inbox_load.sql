-- agent:inbox_load
-- A row of the inbox, whatever its flag. Words in braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 C_ID.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with inbox_load_headers.
SELECT
    {i_c_id}::bigint AS entry_id, TRUE AS fits, {i_c_message_priority}::text AS priority,
    {i_c_created_date_time}::text AS created, {i_c_was_processed}::text AS was_processed, {inbox_read} AS payload
FROM {inbox_entry}
WHERE {i_c_id} = $1::bigint
