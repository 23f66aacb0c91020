-- journal:purge_late_insert
-- Of accepted messages (a JSON array), those whose rows would not be found any more by going upwards.
INSERT OR REPLACE INTO purge_late (point_id, entry_id, settled_at)
SELECT m.point_id, m.entry_id, ?2
  FROM message AS m JOIN connection_point AS p ON p.point_id = m.point_id
 WHERE m.message IN (SELECT value FROM json_each(?1)) AND m.entry_id <= p.purged_up_to
