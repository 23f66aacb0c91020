-- journal:lane_tail_raise
-- The highest accepted row of a lane.
INSERT INTO lane_tail (point_id, lane, accepted_entry_id, changed_at)
SELECT point_id, lane, entry_id, ?2 FROM message WHERE message = ?1
    ON CONFLICT (point_id, lane) DO UPDATE
   SET accepted_entry_id = max(accepted_entry_id, excluded.accepted_entry_id), changed_at = excluded.changed_at
