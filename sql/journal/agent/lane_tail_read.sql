-- journal:lane_tail_read
-- The highest accepted row of a lane, for a row that was first seen at ?4; where the noun went by another order before, all rows of then count as accepted.
SELECT max(accepted_entry_id)
  FROM (SELECT max(accepted_entry_id, iif(former_at > ?4, former_entry_id, 0)) AS accepted_entry_id
          FROM lane_tail WHERE point_id = ?1 AND lane = ?2
        UNION ALL
        SELECT applies_from FROM noun_order WHERE point_id = ?1 AND noun = substr(?3, instr(?3, '.') + 1))
