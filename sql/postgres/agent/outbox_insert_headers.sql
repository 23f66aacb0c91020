-- agent:outbox_insert_headers
-- Writes headers of an entry of the outbox. Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: $1 C_OUTBOX_ID; arrays of one length: $2 C_HEADER_KEY, $3 C_HEADER_VALUE.
-- Locks: part of the one transaction with the end of the command, READ COMMITTED; only new rows.
INSERT INTO {outbox_headers} ({h_c_outbox_id}, {h_c_header_key}, {h_c_header_value})
SELECT $1::bigint, n.header_key, n.header_value
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS n (header_key, header_value, place)
ORDER BY n.place
