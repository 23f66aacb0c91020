-- agent:log_write
-- Writes a row of the message log. Known key: what is newer wins, attempts never go down, first seen and first
-- attempt stay. Texts are cut to their columns, since an id that is too long is itself a reason to be logged.
-- Parameters: ?1 message_key, ?2 direction, ?3 connection_point, ?4 tenant_id, ?5 entry_id, ?6 message_id,
-- ?7 verb, ?8 noun, ?9 document_id, ?10 accounting_entity, ?11 document_location, ?12 revision_id,
-- ?13 variation_id, ?14 batch_id, ?15 batch_sequence, ?16 from_logical_id, ?17 to_logical_id, ?18 priority,
-- ?19 state, ?20 held_by, ?21 in_doubt, ?22 late, ?23 attempts, ?24 http_status, ?25 answer_class,
-- ?26 failure_code, ?27 failure_text, ?28 remedy, ?29 document_bytes, ?30 wire_bytes, ?31 digest,
-- ?32 created_at, ?33 seen_at, ?34 first_attempt_at, ?35 last_attempt_at, ?36 next_attempt_at,
-- ?37 finished_at, ?38 host, ?39 updated_at, ?40 resend_of.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a settle.
INSERT INTO bodrelay_message_log (
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence,
    from_logical_id, to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status,
    answer_class, failure_code, failure_text, remedy, document_bytes, wire_bytes, digest, created_at,
    seen_at, first_attempt_at, last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of)
VALUES (
    ?1, ?2, ?3, coalesce(substr(?4, 1, 22), ''), ?5, substr(?6, 1, 250), substr(?7, 1, 30),
    substr(?8, 1, 100), substr(?9, 1, 100), substr(?10, 1, 22), substr(?11, 1, 22), substr(?12, 1, 22), ?13,
    substr(?14, 1, 250), ?15, substr(?16, 1, 250), substr(?17, 1, 250), ?18, ?19, ?20, ?21, ?22, ?23, ?24,
    ?25, substr(?26, 1, 60), substr(?27, 1, 2000), substr(?28, 1, 1000), ?29, ?30, ?31, ?32, ?33, ?34, ?35,
    ?36, ?37, ?38, ?39, ?40)
ON CONFLICT (message_key) DO UPDATE
SET direction = excluded.direction, connection_point = excluded.connection_point,
    tenant_id = excluded.tenant_id, entry_id = excluded.entry_id, message_id = excluded.message_id,
    verb = excluded.verb, noun = excluded.noun, document_id = excluded.document_id,
    accounting_entity = excluded.accounting_entity, document_location = excluded.document_location,
    revision_id = excluded.revision_id, variation_id = excluded.variation_id, batch_id = excluded.batch_id,
    batch_sequence = excluded.batch_sequence, from_logical_id = excluded.from_logical_id,
    to_logical_id = excluded.to_logical_id, priority = excluded.priority, state = excluded.state,
    held_by = excluded.held_by, in_doubt = excluded.in_doubt, late = excluded.late,
    attempts = max(attempts, excluded.attempts), http_status = excluded.http_status,
    answer_class = excluded.answer_class, failure_code = excluded.failure_code,
    failure_text = excluded.failure_text, remedy = excluded.remedy, document_bytes = excluded.document_bytes,
    wire_bytes = excluded.wire_bytes, digest = excluded.digest, created_at = excluded.created_at,
    first_attempt_at = coalesce(first_attempt_at, excluded.first_attempt_at),
    last_attempt_at = excluded.last_attempt_at, next_attempt_at = excluded.next_attempt_at,
    finished_at = excluded.finished_at, host = excluded.host, updated_at = excluded.updated_at
