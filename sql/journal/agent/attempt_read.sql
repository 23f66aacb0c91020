-- journal:attempt_read
-- Tries of messages (a JSON array) that the message log does not have yet.
SELECT message, attempt_no, started_at, duration_ms, http_status, answer_class, in_doubt, failure_code, answer_text
  FROM attempt WHERE message IN (SELECT value FROM json_each(?1)) ORDER BY message, attempt_no
