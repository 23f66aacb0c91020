-- agent:survey_product
-- The clock and the version of the database.
-- Parameters: none.
-- Locks: reads only.
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now_utc, sqlite_version() AS version
