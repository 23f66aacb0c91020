-- agent:survey_rights
-- Of the tables into which a received document is written, those into which this user may not insert, and the right that it
-- needs.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED.
SELECT t.name AS table_name, N'SELECT, INSERT ON ' + t.name AS needed
FROM (VALUES
    (N'/* iobox_schema */COR_INBOX_ENTRY'), (N'/* iobox_schema */COR_INBOX_HEADERS'),
    (N'[bodrelay].bodrelay_receipt'), (N'[bodrelay].bodrelay_received_document')) AS t (name)
WHERE HAS_PERMS_BY_NAME(t.name, N'OBJECT', N'INSERT') = 0
ORDER BY t.name
