-- agent:log_search_by_message_id
-- The message log, newest first, entered by the message id. Same parameters in every log_search statement,
-- NULL is not looked at; which statement is taken decides the index, the other filters are tested on its rows.
-- Parameters: ?1 direction, ?2 state, ?3 connection point, ?4 message key, ?5 message id, ?6 logical id of
-- sender or receiver, ?7 verb, ?8 noun, ?9 document id, ?10 failure code, ?11 created from, ?12 created to,
-- ?13 after key, ?14 limit.
-- Locks: reads only.
SELECT
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence,
    from_logical_id, to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status,
    answer_class, failure_code, failure_text, remedy, document_bytes, wire_bytes, digest, created_at,
    seen_at, first_attempt_at, last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of
FROM bodrelay_message_log
WHERE message_id = ?5 AND (?1 IS NULL OR direction = ?1) AND (?2 IS NULL OR state = ?2)
    AND (?3 IS NULL OR connection_point = ?3) AND (?4 IS NULL OR message_key = ?4)
    AND (?6 IS NULL OR from_logical_id = ?6 OR to_logical_id = ?6) AND (?7 IS NULL OR verb = ?7)
    AND (?8 IS NULL OR noun = ?8) AND (?9 IS NULL OR document_id = ?9)
    AND (?10 IS NULL OR failure_code = ?10) AND (?11 IS NULL OR created_at >= ?11)
    AND (?12 IS NULL OR created_at <= ?12) AND (?13 IS NULL OR message_key > ?13)
ORDER BY message_key DESC
LIMIT ?14
