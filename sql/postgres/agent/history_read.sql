-- agent:history_read
-- Who changed what: the newest 200 entries of the history (it is filled where audit.sql was run), and of each row of the
-- settings (without a column) who was the last to touch it.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT changed_at, changed_by, table_name, row_key, column_name, old_value, new_value
FROM (
    SELECT changed_at, changed_by, table_name, row_key, column_name, old_value, new_value
    FROM bodrelay_setting_history
    ORDER BY history_id DESC
    LIMIT 200) AS history
UNION ALL
SELECT
    coalesce(changed_at, created_at), coalesce(changed_by, created_by), 'bodrelay_connection_point', connection_point,
    NULL, NULL, NULL
FROM bodrelay_connection_point
UNION ALL
SELECT
    changed_at, changed_by, 'bodrelay_document',
    connection_point || '/' || direction || '/' || verb || '/' || noun, NULL, NULL, NULL
FROM bodrelay_document
UNION ALL
SELECT
    changed_at, changed_by, 'bodrelay_status_rule', connection_point || '/' || CAST(http_status AS varchar(10)), NULL,
    NULL, NULL
FROM bodrelay_status_rule
WHERE connection_point <> '*'
ORDER BY 1 DESC, 3, 4, 5
