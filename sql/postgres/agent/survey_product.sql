-- agent:survey_product
-- The clock, the version and the database itself.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT clock_timestamp() AS now_utc, current_setting('server_version') AS version, d.oid::bigint AS database_oid, d.datname::text AS database_name
FROM pg_catalog.pg_database AS d
WHERE d.datname = current_database()
