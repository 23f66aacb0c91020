-- journal:purge_cursor
-- Accepted rows up to this one are deleted.
UPDATE connection_point SET purged_up_to = max(purged_up_to, ?2) WHERE point_id = ?1
