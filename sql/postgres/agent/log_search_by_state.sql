-- agent:log_search_by_state
-- The message log, newest first, entered by connection point and state. Same parameters in every log_search
-- statement, NULL is not looked at; which statement is taken decides the index, the other filters are tested
-- on its rows.
-- Parameters: $1 direction, $2 state, $3 connection point, $4 message key, $5 message id, $6 logical id of
-- sender or receiver, $7 verb, $8 noun, $9 document id, $10 failure code, $11 created from, $12 created to,
-- $13 after key, $14 limit.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence,
    from_logical_id, to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status,
    answer_class, failure_code, failure_text, remedy, document_bytes, wire_bytes, digest, created_at,
    seen_at, first_attempt_at, last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of
FROM bodrelay_message_log
WHERE connection_point = $3::text AND state = $2::text AND ($1::text IS NULL OR direction = $1::text)
    AND ($4::text IS NULL OR message_key = $4::text) AND ($5::text IS NULL OR message_id = $5::text)
    AND ($6::text IS NULL OR from_logical_id = $6::text OR to_logical_id = $6::text) AND ($7::text IS NULL OR verb = $7::text)
    AND ($8::text IS NULL OR noun = $8::text) AND ($9::text IS NULL OR document_id = $9::text)
    AND ($10::text IS NULL OR failure_code = $10::text) AND ($11::timestamptz IS NULL OR created_at >= $11::timestamptz)
    AND ($12::timestamptz IS NULL OR created_at <= $12::timestamptz) AND ($13::text IS NULL OR message_key > $13::text)
ORDER BY seen_at DESC, message_key DESC
LIMIT $14::bigint
