-- journal:pause_delete
-- A connection point goes on.
DELETE FROM pause WHERE point_id = ?1
