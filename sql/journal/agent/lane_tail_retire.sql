-- journal:lane_tail_retire
-- The C_IDs of a connection point begin anew: what was accepted is of an earlier life.
UPDATE lane_tail
   SET former_entry_id = max(former_entry_id, accepted_entry_id), former_at = ?2, accepted_entry_id = 0
 WHERE point_id = ?1 AND accepted_entry_id > 0
