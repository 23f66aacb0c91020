-- agent:outbox_insert
-- Writes an entry of the outbox at 0, and answers with its id: a document that a command asks for.
-- Parameters: ?1 C_TENANT_ID, ?2 C_LOGICAL_ID, ?3 C_CREATED_DATE_TIME, ?4 C_XML.
-- Locks: part of the one BEGIN IMMEDIATE transaction with the end of the command.
INSERT INTO COR_OUTBOX_ENTRY (
    C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (?1, ?2, 4, ?3, 0, ?4)
RETURNING C_ID
