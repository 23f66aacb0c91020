-- session:outbox_holders
-- Who has locked rows of the outbox: sessions with an intent to change the table, each with its login, its program and the
-- begin of its transaction (the server's local time). Needs VIEW SERVER STATE; who may not ask is not told.
-- Locks: none; run after the transaction of a settle that could not lock rows.
SELECT TOP (3)
    CAST(l.request_session_id AS bigint) AS session_id, s.login_name, COALESCE(s.program_name, N'') AS program_name,
    CONVERT(nvarchar(19), a.transaction_begin_time, 126) AS begun_at
FROM sys.dm_tran_locks AS l
JOIN sys.dm_exec_sessions AS s ON s.session_id = l.request_session_id
LEFT JOIN sys.dm_tran_active_transactions AS a ON a.transaction_id = l.request_owner_id
WHERE l.resource_type = 'OBJECT' AND l.resource_database_id = DB_ID()
    AND l.resource_associated_entity_id = OBJECT_ID(N'/* iobox_schema */COR_OUTBOX_ENTRY')
    AND l.request_status = 'GRANT' AND l.request_mode IN ('IU', 'IX', 'U', 'X', 'SIX', 'UIX')
    AND l.request_session_id <> @@SPID
ORDER BY a.transaction_begin_time;
