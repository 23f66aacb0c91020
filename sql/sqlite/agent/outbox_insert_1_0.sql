-- agent:outbox_insert_1_0
-- Writes an entry of an outbox 1.0, which has no C_LOGICAL_ID, at 0, and answers with its id.
-- Parameters: ?1 C_TENANT_ID, ?2 C_CREATED_DATE_TIME, ?3 C_XML.
-- Locks: part of the one BEGIN IMMEDIATE transaction with the end of the command.
INSERT INTO COR_OUTBOX_ENTRY (C_TENANT_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (?1, 4, ?2, 0, ?3)
RETURNING C_ID
