-- agent:outbox_insert
-- Writes an entry of the outbox at 0, and answers with its id: a document that a command asks for.
-- Parameters: @P1 C_TENANT_ID, @P2 C_LOGICAL_ID, @P3 C_CREATED_DATE_TIME, @P4 C_XML.
-- Locks: part of the one transaction with the end of the command; only new rows.
INSERT INTO /* iobox_schema */COR_OUTBOX_ENTRY (
    C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (@P1, @P2, 4, CAST(@P3 AS datetime2(3)), 0, @P4);
SELECT CAST(SCOPE_IDENTITY() AS bigint) AS C_ID
