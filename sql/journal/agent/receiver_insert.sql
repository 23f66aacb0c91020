-- journal:receiver_insert
-- A document goes to this receiver (?2).
INSERT OR IGNORE INTO receiver (point_id, logical_id) VALUES (?1, ?2)
