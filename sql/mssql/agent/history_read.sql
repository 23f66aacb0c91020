-- agent:history_read
-- Who changed what: the newest 200 entries of the history (it is filled where audit.sql was run), and of each row of the
-- settings (without a column) who was the last to touch it.
-- Parameters: none.
-- Locks: reads only; short, READ COMMITTED.
SELECT changed_at, changed_by, table_name, row_key, column_name, old_value, new_value
FROM (
    SELECT TOP (200) changed_at, changed_by, table_name, row_key, column_name, old_value, new_value
    FROM [bodrelay].bodrelay_setting_history
    ORDER BY history_id DESC) AS history
UNION ALL
SELECT
    COALESCE(changed_at, created_at), COALESCE(changed_by, created_by), N'bodrelay_connection_point', connection_point,
    NULL, NULL, NULL
FROM [bodrelay].bodrelay_connection_point
UNION ALL
SELECT
    changed_at, changed_by, N'bodrelay_document',
    CONCAT(connection_point, N'/', direction, N'/', verb, N'/', noun), NULL, NULL, NULL
FROM [bodrelay].bodrelay_document
UNION ALL
SELECT
    changed_at, changed_by, N'bodrelay_status_rule', CONCAT(connection_point, N'/', http_status), NULL, NULL, NULL
FROM [bodrelay].bodrelay_status_rule
WHERE connection_point <> N'*'
ORDER BY 1 DESC, 3, 4, 5
