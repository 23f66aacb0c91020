-- agent:attempt_write
-- Writes tries, all at once; one that is there stays as it is.
-- Parameters: arrays of one length: $1 message_key, $2 attempt_no, $3 started_at, $4 duration_ms, $5 http_status,
-- $6 answer_class, $7 in_doubt, $8 failure_code, $9 answer_text, $10 host.
-- Locks: part of the one transaction of a settle, READ COMMITTED; the rows that it writes.
INSERT INTO bodrelay_attempt (
    message_key, attempt_no, started_at, duration_ms, http_status, answer_class, in_doubt, failure_code, answer_text, host)
SELECT
    r.message_key, r.attempt_no, r.started_at, r.duration_ms, r.http_status, r.answer_class, r.in_doubt,
    substr(r.failure_code, 1, 60), substr(r.answer_text, 1, 1000), r.host
FROM unnest(
    $1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::text[], $7::smallint[], $8::text[],
    $9::text[], $10::text[]) AS r (
    message_key, attempt_no, started_at, duration_ms, http_status, answer_class, in_doubt, failure_code, answer_text, host)
ORDER BY r.message_key, r.attempt_no
ON CONFLICT (message_key, attempt_no) DO NOTHING
