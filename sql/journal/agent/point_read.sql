-- journal:point_read
-- A connection point.
SELECT point_id, scanned_up_to, observed_up_to FROM connection_point WHERE database_id = ?1 AND name = ?2
