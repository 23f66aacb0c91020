-- journal:admission_facts
-- All that decides about a row, in one look: is there a message of it, a tombstone, a parked row; does a parked row
-- below it hold its lane; the failed message that its lane waits for; the highest accepted row of its lane; the row
-- that has its message id (the same 64-bit hash counts as the same id). INDEXED BY: SQLite cannot know that few rows hold
-- a lane, and would go over all that are parked, or failed, below the row.
SELECT EXISTS (SELECT 1 FROM message WHERE point_id = ?1 AND entry_id = ?2),
       EXISTS (SELECT 1 FROM delivered WHERE point_id = ?1 AND entry_id = ?2),
       EXISTS (SELECT 1 FROM parked WHERE point_id = ?1 AND entry_id = ?2),
       EXISTS (SELECT 1 FROM parked INDEXED BY parked_lane
                WHERE point_id = ?1 AND lane = ?3 AND holds = 1 AND entry_id < ?2),
       (SELECT message FROM message INDEXED BY message_holds
         WHERE point_id = ?1 AND lane = ?3 AND holds = 1 AND entry_id < ?2 ORDER BY entry_id DESC LIMIT 1),
       (SELECT accepted_entry_id FROM lane_tail WHERE point_id = ?1 AND lane = ?3),
       (SELECT entry_id FROM given_id WHERE point_id = ?1 AND given_id_hash = ?4 AND entry_id <> ?2 LIMIT 1)
