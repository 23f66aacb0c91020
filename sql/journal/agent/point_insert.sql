-- journal:point_insert
-- A connection point is met for the first time.
INSERT OR IGNORE INTO connection_point (database_id, name) VALUES (?1, ?2)
