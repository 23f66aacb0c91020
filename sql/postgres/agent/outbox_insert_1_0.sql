-- agent:outbox_insert_1_0
-- Writes an entry of an outbox 1.0, which has no C_LOGICAL_ID, at 0, and answers with its id. Words in braces as in
-- outbox_insert.
-- Parameters: $1 C_TENANT_ID, $2 C_CREATED_DATE_TIME, $3 C_XML.
-- Locks: part of the one transaction with the end of the command, READ COMMITTED; only new rows.
INSERT INTO {outbox_entry} (
    {c_tenant_id}, {c_message_priority}, {c_created_date_time}, {c_was_processed}, {c_xml})
SELECT n.tenant_id, 4, {outbox_created}, 0, {outbox_payload}
FROM (
    SELECT $1::text AS tenant_id, $2::timestamptz AS created_at, $3::{outbox_payload_type} AS payload) AS n
RETURNING {c_id}::bigint
