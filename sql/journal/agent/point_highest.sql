-- journal:point_highest
-- The highest row that is a message or waits to become one; 0 where there is none.
SELECT max(coalesce((SELECT max(entry_id) FROM message WHERE point_id = ?1), 0),
           coalesce((SELECT max(entry_id) FROM parked WHERE point_id = ?1), 0))
