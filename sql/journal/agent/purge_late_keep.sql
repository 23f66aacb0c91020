-- journal:purge_late_keep
-- A row that could not be deleted: among the late ones from now on.
INSERT OR REPLACE INTO purge_late (point_id, entry_id, settled_at) VALUES (?1, ?2, ?3)
