-- agent:outbox_purge_headers
-- Deletes the headers of rows that are deleted next. Words in braces are the site's tables and columns, filled in from
-- the catalogue.
-- Parameters: $1 ids.
-- Locks: one transaction with outbox_purge, READ COMMITTED; the rows that it deletes.
DELETE FROM {outbox_headers}
WHERE {h_c_outbox_id} = ANY ($1::bigint[])
