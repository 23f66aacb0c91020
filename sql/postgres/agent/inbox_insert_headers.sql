-- agent:inbox_insert_headers
-- Writes headers of entries of the inbox. Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: arrays of one length: $1 C_INBOX_ID, $2 C_HEADER_KEY, $3 C_HEADER_VALUE.
-- Locks: part of the one transaction of a store, READ COMMITTED; only new rows.
INSERT INTO {inbox_headers} ({ih_c_inbox_id}, {ih_c_header_key}, {ih_c_header_value})
SELECT n.entry_id, n.header_key, n.header_value
FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY AS n (entry_id, header_key, header_value, place)
ORDER BY n.place
