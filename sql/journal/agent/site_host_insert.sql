-- journal:site_host_insert
-- An agent of a database as it was last seen.
INSERT INTO site_host (database_id, journal_id, fingerprint, epoch, heartbeat_at) VALUES (?1, ?2, ?3, ?4, ?5)
