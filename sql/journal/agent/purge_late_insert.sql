-- journal:purge_late_insert
-- Of accepted messages (a JSON array), those whose rows would not be found any more by going upwards.
-- The connection points come first (CROSS JOIN keeps that order): where nobody deletes rows, no message is looked at. The
-- plus signs keep SQLite from going over all messages of a connection point.
INSERT OR REPLACE INTO purge_late (point_id, entry_id, settled_at)
SELECT m.point_id, m.entry_id, ?2
  FROM connection_point AS p CROSS JOIN message AS m
 WHERE p.purged_up_to > 0
   AND m.message IN (SELECT value FROM json_each(?1)) AND +m.point_id = p.point_id AND +m.entry_id <= p.purged_up_to
