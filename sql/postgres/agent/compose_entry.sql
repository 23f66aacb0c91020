-- agent:compose_entry
-- Writes a composed document as an entry of the outbox, as an application would. Words in braces are the site's
-- tables and columns, filled in from the catalogue.
-- Parameters: $1 tenant, $2 logical id, $3 priority, $4 document as UTF-8 bytes. Answers its C_ID.
-- Locks: part of the one transaction that writes composed documents, READ COMMITTED; the rows that it writes.
INSERT INTO {outbox_entry} (
    {c_tenant_id}, {c_logical_id}, {c_message_priority}, {c_created_date_time}, {c_was_processed}, {c_xml})
VALUES ($1::text, $2::text, $3::int, {created_now}, '0', {payload_of_4})
RETURNING {c_id}::bigint AS entry_id
