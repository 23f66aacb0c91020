-- journal:lane_tail_read
-- The highest accepted row of a lane.
SELECT accepted_entry_id FROM lane_tail WHERE point_id = ?1 AND lane = ?2
