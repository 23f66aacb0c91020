-- agent:compose_entry
-- Writes a composed document as an entry of the outbox, as an application would.
-- Parameters: @P1 tenant, @P2 logical id, @P3 priority, @P4 document (bytes, or text where C_XML is text or xml).
-- Answers its C_ID.
-- Locks: part of the one transaction that writes composed documents; the rows that it writes.
INSERT INTO /* iobox_schema */COR_OUTBOX_ENTRY (
    C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED, C_XML)
VALUES (@P1, @P2, @P3, SYSUTCDATETIME(), 0, @P4);
SELECT CAST(SCOPE_IDENTITY() AS bigint) AS entry_id
