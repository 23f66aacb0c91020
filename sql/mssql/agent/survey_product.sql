-- agent:survey_product
-- The clock, the product and what the agent adapts to; the fingerprint is the server, the database and the
-- recovery fork, which a restored copy changes. Babelfish has no sys.database_recovery_status; there, and where
-- the right to see it lacks, the service broker id stands in its place.
-- Parameters: none.
-- Locks: reads only; short, READ COMMITTED.
IF OBJECT_ID(N'sys.database_recovery_status') IS NULL
    SELECT SYSUTCDATETIME() AS now_utc, @@VERSION AS version,
        CAST(SERVERPROPERTY('ServerName') AS nvarchar(256)) AS server_name, DB_ID() AS database_id,
        CAST(d.service_broker_guid AS nvarchar(36)) AS fork, CAST(d.compatibility_level AS int) AS compatibility_level,
        CAST(d.is_read_committed_snapshot_on AS int) AS read_committed_snapshot
    FROM sys.databases AS d
    WHERE d.database_id = DB_ID()
ELSE
    SELECT SYSUTCDATETIME() AS now_utc, @@VERSION AS version,
        CAST(SERVERPROPERTY('ServerName') AS nvarchar(256)) AS server_name, DB_ID() AS database_id,
        COALESCE(CAST(r.recovery_fork_guid AS nvarchar(36)), CAST(d.service_broker_guid AS nvarchar(36))) AS fork,
        CAST(d.compatibility_level AS int) AS compatibility_level,
        CAST(d.is_read_committed_snapshot_on AS int) AS read_committed_snapshot
    FROM sys.databases AS d
    LEFT JOIN sys.database_recovery_status AS r ON r.database_id = d.database_id
    WHERE d.database_id = DB_ID()
