-- journal:message_id_taken
-- Another row has this message id already (the same 64-bit hash counts as the same id).
SELECT entry_id FROM given_id WHERE point_id = ?1 AND given_id_hash = ?2 AND entry_id <> ?3 LIMIT 1
