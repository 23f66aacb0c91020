-- journal:database_alive
-- When the agent last worked, and whether it has ended in order since.
UPDATE site_database SET alive_at = ?2, stopped = ?3 WHERE database_id = ?1
