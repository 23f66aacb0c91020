-- journal:received_bound
-- The time of the newest message that is too much, where more than a number (?2) are kept.
SELECT received_at FROM received WHERE point_id = ?1 ORDER BY received_at DESC LIMIT 1 OFFSET ?2
