-- agent:attempt_write
-- Writes tries; one that is there stays as it is.
-- Parameters: none; the rows are in #bodrelay_attempt.
-- Locks: part of the one transaction of a settle.
INSERT INTO [bodrelay].bodrelay_attempt (
    message_key, attempt_no, started_at, duration_ms, http_status, answer_class, in_doubt, failure_code,
    answer_text, host)
SELECT
    n.message_key, n.attempt_no, n.started_at, n.duration_ms, n.http_status, n.answer_class, n.in_doubt,
    n.failure_code, n.answer_text, n.host
FROM #bodrelay_attempt AS n
WHERE NOT EXISTS (
    SELECT 1 FROM [bodrelay].bodrelay_attempt AS a WHERE a.message_key = n.message_key AND a.attempt_no = n.attempt_no)
