-- agent:inbox_insert_1_0
-- Writes entries of an inbox 1.0, which has no C_LOGICAL_ID, and answers with their ids in the order of the arrays.
-- Words in braces as in inbox_insert.
-- Parameters: arrays of one length: $1 C_TENANT_ID, $2 C_CREATED_DATE_TIME, $3 C_WAS_PROCESSED, $4 C_XML.
-- Locks: part of the one transaction of a store, READ COMMITTED; only new rows.
INSERT INTO {inbox_entry} (
    {i_c_tenant_id}, {i_c_message_priority}, {i_c_created_date_time}, {i_c_was_processed}, {i_c_xml})
SELECT n.tenant_id, 4, {inbox_created}, n.was_processed, {inbox_payload}
FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::{inbox_payload_type}[]) WITH ORDINALITY AS n (
    tenant_id, created_at, was_processed, payload, place)
ORDER BY n.place
RETURNING {i_c_id}::bigint
