-- journal:message_generations
-- What is known of a row, newest first.
SELECT message, identity, state, settled, in_doubt, attempts, message_id, given_id_hash, holds
  FROM message WHERE point_id = ?1 AND entry_id = ?2 ORDER BY message DESC
