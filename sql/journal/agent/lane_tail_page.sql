-- journal:lane_tail_page
-- The last lane of the page above a lane, and how many are on it: what is looked at in one piece of retention.
SELECT max(lane), count(*) FROM (
    SELECT lane FROM lane_tail WHERE point_id = ?1 AND lane > ?2 ORDER BY lane LIMIT ?3)
