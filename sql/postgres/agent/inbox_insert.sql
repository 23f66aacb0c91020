-- agent:inbox_insert
-- Writes entries of the inbox, and answers with their ids in the order of the arrays. Numbers, times and texts are cast to
-- the columns' types by the assignment. Words in braces are the site's tables, columns and what fits their types, filled
-- in from the catalogue.
-- Parameters: arrays of one length: $1 C_TENANT_ID, $2 C_LOGICAL_ID, $3 C_CREATED_DATE_TIME, $4 C_WAS_PROCESSED, $5 C_XML.
-- Locks: part of the one transaction of a store, READ COMMITTED; only new rows.
INSERT INTO {inbox_entry} (
    {i_c_tenant_id}, {i_c_logical_id}, {i_c_message_priority}, {i_c_created_date_time}, {i_c_was_processed}, {i_c_xml})
SELECT n.tenant_id, n.logical_id, 4, {inbox_created}, n.was_processed, {inbox_payload}
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::{inbox_payload_type}[]) WITH ORDINALITY AS n (
    tenant_id, logical_id, created_at, was_processed, payload, place)
ORDER BY n.place
RETURNING {i_c_id}::bigint
