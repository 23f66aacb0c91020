-- agent:outbox_load
-- Rows by id, whatever their flag. The payloads stop where their sum would pass a number of bytes, but the first
-- row always has its own; the length is known without reading the payload, even out of line. Words in braces are
-- the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids, $2 bytes.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with outbox_load_headers.
SELECT
    entry_id, fits, CASE WHEN fits THEN priority END AS priority, CASE WHEN fits THEN created END AS created,
    CASE WHEN fits THEN was_processed END AS was_processed, CASE WHEN fits THEN payload END AS payload
FROM (
    SELECT
        {c_id}::bigint AS entry_id, {c_message_priority}::text AS priority, {created_text} AS created,
        {c_was_processed}::text AS was_processed, {payload} AS payload,
        sum(coalesce(octet_length({payload}), 0)) OVER up_to_here <= $2::bigint
        OR row_number() OVER up_to_here = 1 AS fits
    FROM {outbox_entry}
    WHERE {c_id} = ANY ($1::bigint[])
    WINDOW up_to_here AS (ORDER BY {c_id} ROWS UNBOUNDED PRECEDING)) AS measured
ORDER BY entry_id
