-- journal:purge_next
-- The next accepted rows above those that are deleted, with the last time at which each was accepted.
SELECT entry_id, max(settled_at)
  FROM delivered
 WHERE point_id = ?1 AND entry_id > (SELECT purged_up_to FROM connection_point WHERE point_id = ?1)
 GROUP BY entry_id ORDER BY entry_id LIMIT ?2
