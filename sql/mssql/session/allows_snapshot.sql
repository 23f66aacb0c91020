-- session:allows_snapshot
-- Whether transactions may read a snapshot (ALLOW_SNAPSHOT_ISOLATION).
SELECT CAST(CASE WHEN snapshot_isolation_state = 1 THEN 1 ELSE 0 END AS bigint) AS allowed
FROM sys.databases
WHERE database_id = DB_ID();
