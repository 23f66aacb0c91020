-- agent:inbox_insert_1_0
-- Writes an entry of an inbox 1.0, which has no C_LOGICAL_ID, and answers with its id.
-- Parameters: ?1 C_TENANT_ID, ?2 C_CREATED_DATE_TIME, ?3 C_WAS_PROCESSED, ?4 C_XML.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
INSERT INTO COR_INBOX_ENTRY (C_TENANT_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (?1, 4, ?2, ?3, ?4)
RETURNING C_ID
