-- agent:inbox_insert
-- Writes an entry of the inbox, and answers with its id.
-- Parameters: ?1 C_TENANT_ID, ?2 C_LOGICAL_ID, ?3 C_CREATED_DATE_TIME, ?4 C_WAS_PROCESSED, ?5 C_XML.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
INSERT INTO COR_INBOX_ENTRY (
    C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (?1, ?2, 4, ?3, ?4, ?5)
RETURNING C_ID
