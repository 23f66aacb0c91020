-- journal:lane_tail_forget
-- Lanes of a page (above ?2, up to ?3) in which nothing was accepted for a long time.
DELETE FROM lane_tail WHERE point_id = ?1 AND lane > ?2 AND lane <= ?3 AND changed_at < ?4
