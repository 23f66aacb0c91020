-- agent:outbox_insert
-- Writes an entry of the outbox at 0, and answers with its id: a document that a command asks for. Words in braces are
-- the site's tables, columns and what fits their types, filled in from the catalogue.
-- Parameters: $1 C_TENANT_ID, $2 C_LOGICAL_ID, $3 C_CREATED_DATE_TIME, $4 C_XML.
-- Locks: part of the one transaction with the end of the command, READ COMMITTED; only new rows.
INSERT INTO {outbox_entry} (
    {c_tenant_id}, {c_logical_id}, {c_message_priority}, {c_created_date_time}, {c_was_processed}, {c_xml})
SELECT n.tenant_id, n.logical_id, 4, {outbox_created}, 0, {outbox_payload}
FROM (
    SELECT
        $1::text AS tenant_id, $2::text AS logical_id, $3::timestamptz AS created_at,
        $4::{outbox_payload_type} AS payload) AS n
RETURNING {c_id}::bigint
