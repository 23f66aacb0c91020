-- journal:message_id_taken
-- Another row has this message id already.
SELECT entry_id FROM message
 WHERE given_id_hash = ?1 AND point_id = ?2 AND entry_id <> ?3 AND message_id = ?4
UNION ALL
SELECT entry_id FROM delivered WHERE given_id_hash = ?1 AND point_id = ?2 AND entry_id <> ?3
LIMIT 1
