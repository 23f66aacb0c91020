-- agent:attempt_write
-- Writes a try; one that is there stays as it is.
-- Parameters: ?1 message_key, ?2 attempt_no, ?3 started_at, ?4 duration_ms, ?5 http_status, ?6 answer_class,
-- ?7 in_doubt, ?8 failure_code, ?9 answer_text, ?10 host.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a settle.
INSERT INTO bodrelay_attempt (
    message_key, attempt_no, started_at, duration_ms, http_status, answer_class, in_doubt, failure_code, answer_text, host)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, substr(?8, 1, 60), substr(?9, 1, 1000), ?10)
ON CONFLICT (message_key, attempt_no) DO NOTHING
