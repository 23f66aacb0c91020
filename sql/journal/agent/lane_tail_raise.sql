-- journal:lane_tail_raise
-- The highest accepted row of the lanes of these messages (a JSON array).
INSERT INTO lane_tail (point_id, lane, accepted_entry_id, changed_at)
SELECT point_id, lane, max(entry_id), ?2 FROM message
 WHERE message IN (SELECT value FROM json_each(?1)) GROUP BY point_id, lane
    ON CONFLICT (point_id, lane) DO UPDATE
   SET accepted_entry_id = max(accepted_entry_id, excluded.accepted_entry_id), changed_at = excluded.changed_at
