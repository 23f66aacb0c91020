-- agent:log_write
-- Writes rows of the message log. Known key: what is newer wins, attempts never go down, first seen and first
-- attempt stay. Texts were cut to their columns on their way into #bodrelay_log, since an id that is too long
-- is itself a reason to be logged.
-- Parameters: none; the rows are in #bodrelay_log.
-- Locks: part of the one transaction of a settle; at most 500 rows of the log, whose keys this agent alone
-- writes.
UPDATE l
SET direction = n.direction, connection_point = n.connection_point, tenant_id = n.tenant_id, entry_id = n.entry_id,
    message_id = n.message_id, verb = n.verb, noun = n.noun, document_id = n.document_id, accounting_entity =
    n.accounting_entity, document_location = n.document_location, revision_id = n.revision_id, variation_id =
    n.variation_id, batch_id = n.batch_id, batch_sequence = n.batch_sequence, from_logical_id = n.from_logical_id,
    to_logical_id = n.to_logical_id, priority = n.priority, state = n.state, held_by = n.held_by, in_doubt =
    n.in_doubt, late = n.late, attempts = CASE WHEN l.attempts > n.attempts THEN l.attempts ELSE n.attempts END,
    http_status = n.http_status, answer_class = n.answer_class, failure_code = n.failure_code, failure_text =
    n.failure_text, remedy = n.remedy, document_bytes = n.document_bytes, wire_bytes = n.wire_bytes, digest =
    n.digest, created_at = n.created_at, first_attempt_at = COALESCE(l.first_attempt_at, n.first_attempt_at),
    last_attempt_at = n.last_attempt_at, next_attempt_at = n.next_attempt_at, finished_at = n.finished_at, host =
    n.host, updated_at = n.updated_at
FROM [bodrelay].bodrelay_message_log AS l
JOIN #bodrelay_log AS n ON n.message_key = l.message_key;
INSERT INTO [bodrelay].bodrelay_message_log (
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence, from_logical_id,
    to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status, answer_class, failure_code,
    failure_text, remedy, document_bytes, wire_bytes, digest, created_at, seen_at, first_attempt_at,
    last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of)
SELECT
    n.message_key, n.direction, n.connection_point, n.tenant_id, n.entry_id, n.message_id, n.verb, n.noun,
    n.document_id, n.accounting_entity, n.document_location, n.revision_id, n.variation_id, n.batch_id,
    n.batch_sequence, n.from_logical_id, n.to_logical_id, n.priority, n.state, n.held_by, n.in_doubt, n.late,
    n.attempts, n.http_status, n.answer_class, n.failure_code, n.failure_text, n.remedy, n.document_bytes,
    n.wire_bytes, n.digest, n.created_at, n.seen_at, n.first_attempt_at, n.last_attempt_at, n.next_attempt_at,
    n.finished_at, n.host, n.updated_at, n.resend_of
FROM #bodrelay_log AS n
WHERE NOT EXISTS (SELECT 1 FROM [bodrelay].bodrelay_message_log AS l WHERE l.message_key = n.message_key)
