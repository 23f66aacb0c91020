-- agent:compose_headers
-- Writes the headers of composed documents. Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: arrays of one length: $1 C_ID of the entry, $2 key, $3 value.
-- Locks: part of the one transaction that writes composed documents, READ COMMITTED; the rows that it writes.
INSERT INTO {outbox_headers} ({h_c_outbox_id}, {h_c_header_key}, {h_c_header_value})
SELECT r.entry_id, r.header_key, r.header_value
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r (entry_id, header_key, header_value)
