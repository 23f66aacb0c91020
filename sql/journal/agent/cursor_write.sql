-- journal:cursor_write
-- Up to which row a connection point was looked at.
UPDATE connection_point SET scanned_up_to = ?2, observed_up_to = ?3 WHERE point_id = ?1
