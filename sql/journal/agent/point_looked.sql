-- journal:point_looked
-- A connection point has looked at its outbox to the end.
UPDATE connection_point SET looked_at = ?2 WHERE point_id = ?1
