-- journal:database_insert
-- A database is met for the first time.
INSERT OR IGNORE INTO site_database (name, fingerprint) VALUES (?1, ?2)
