-- agent:compose_entry
-- Writes a composed document as an entry of the outbox, as an application would.
-- Parameters: ?1 tenant, ?2 logical id, ?3 priority, ?4 document as UTF-8 bytes.
-- Locks: part of the one BEGIN IMMEDIATE transaction that writes composed documents.
INSERT INTO COR_OUTBOX_ENTRY (C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 0, ?4)
