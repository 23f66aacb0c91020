-- session:owner_lock_holder
-- Who holds the lock of owner_lock: needs VIEW DATABASE STATE, and VIEW SERVER STATE for more than the session's number.
-- The server shows the first 32 characters of a lock's name, which are the journal's.
-- Parameters: @P1 what is owned. Answers the session, words for people, whether it has our login (1 where that is not told),
-- and whether it comes from our address over the network.
SELECT TOP (1)
    CAST(l.request_session_id AS bigint) AS session_id,
    CONCAT(N'session ', l.request_session_id, N' of login ', ISNULL(s.login_name, N'?'), N' (' + s.program_name + N')',
        N' on ' + s.host_name) AS said,
    CAST(CASE WHEN s.login_name IS NULL OR s.login_name = ORIGINAL_LOGIN() THEN 1 ELSE 0 END AS bigint) AS has_our_login,
    CAST(CASE WHEN c.client_net_address = CAST(CONNECTIONPROPERTY('client_net_address') AS nvarchar(48))
        AND c.client_net_address NOT IN (N'<local machine>', N'127.0.0.1', N'::1') THEN 1 ELSE 0 END AS bigint) AS comes_from_here
FROM sys.dm_tran_locks AS l
LEFT JOIN sys.dm_exec_sessions AS s ON s.session_id = l.request_session_id
LEFT JOIN sys.dm_exec_connections AS c ON c.session_id = l.request_session_id
WHERE l.resource_type = N'APPLICATION' AND l.resource_database_id = DB_ID() AND l.request_status = N'GRANT'
    AND l.request_session_id <> @@SPID AND CHARINDEX(LEFT(@P1, 32), l.resource_description) > 0;
