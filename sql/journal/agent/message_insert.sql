-- journal:message_insert
-- A message is admitted.
INSERT INTO message (message_key, point_id, entry_id, identity, message_id, given_id_hash, lane, document_type,
                     priority, state, in_doubt, late, attempts, held_by, holds, logged, seen_at, first_attempt_at,
                     last_attempt_at, finished_at, failure_code, failure_text, remedy, facts)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
