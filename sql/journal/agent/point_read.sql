-- journal:point_read
-- A connection point, and its pause if it has one.
SELECT p.point_id, p.scanned_up_to, p.observed_up_to, p.looked_at, pause.since, pause.until_at, pause.reason
  FROM connection_point AS p
  LEFT JOIN pause ON pause.point_id = p.point_id
 WHERE p.database_id = ?1 AND p.name = ?2
