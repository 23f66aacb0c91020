-- journal:lane_tail_forget
-- Lanes in which nothing was accepted for a long time.
DELETE FROM lane_tail WHERE (point_id, lane) IN (
    SELECT point_id, lane FROM lane_tail WHERE point_id = ?1 AND changed_at < ?2 LIMIT ?3)
