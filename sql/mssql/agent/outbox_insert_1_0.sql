-- agent:outbox_insert_1_0
-- Writes an entry of an outbox 1.0, which has no C_LOGICAL_ID, at 0, and answers with its id.
-- Parameters: @P1 C_TENANT_ID, @P2 C_CREATED_DATE_TIME, @P3 C_XML.
-- Locks: part of the one transaction with the end of the command; only new rows.
INSERT INTO /* iobox_schema */COR_OUTBOX_ENTRY (
    C_TENANT_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (@P1, 4, CAST(@P2 AS datetime2(3)), 0, @P3);
SELECT CAST(SCOPE_IDENTITY() AS bigint) AS C_ID
