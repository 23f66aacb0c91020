-- journal:site_host_read
-- The agents of a database as they were last seen.
SELECT journal_id, fingerprint, epoch, heartbeat_at FROM site_host WHERE database_id = ?1
