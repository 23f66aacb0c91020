-- journal:point_insert
-- A connection point is met for the first time; -1: the message log was not read yet for what a lost journal knew.
INSERT OR IGNORE INTO connection_point (database_id, name, scanned_up_to) VALUES (?1, ?2, -1)
