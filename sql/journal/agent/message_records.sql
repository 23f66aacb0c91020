-- journal:message_records
-- Whole messages by number (a JSON array).
SELECT message, message_key, point_id, entry_id, identity, message_id, given_id_hash, lane, document_type, priority,
       state, settled, in_doubt, late, attempts, held_by, seen_at, first_attempt_at, last_attempt_at, finished_at,
       http_status, answer_class, failure_code, failure_text, remedy, wire_bytes, facts, logged, holds
  FROM message WHERE message IN (SELECT value FROM json_each(?1))
 ORDER BY entry_id, message
