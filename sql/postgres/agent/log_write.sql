-- agent:log_write
-- Writes rows of the message log, all at once. Known key: what is newer wins, attempts never go down, first seen
-- and first attempt stay. Texts are cut to their columns, since an id that is too long is itself a reason to be
-- logged. No key comes twice in a call.
-- Parameters: arrays of one length: $1 message_key, $2 direction, $3 connection_point, $4 tenant_id, $5 entry_id,
-- $6 message_id, $7 verb, $8 noun, $9 document_id, $10 accounting_entity, $11 document_location, $12 revision_id,
-- $13 variation_id, $14 batch_id, $15 batch_sequence, $16 from_logical_id, $17 to_logical_id, $18 priority, $19
-- state, $20 held_by, $21 in_doubt, $22 late, $23 attempts, $24 http_status, $25 answer_class, $26 failure_code,
-- $27 failure_text, $28 remedy, $29 document_bytes, $30 wire_bytes, $31 digest, $32 created_at, $33 seen_at, $34
-- first_attempt_at, $35 last_attempt_at, $36 next_attempt_at, $37 finished_at, $38 host, $39 updated_at, $40
-- resend_of.
-- Locks: part of the one transaction of a settle, READ COMMITTED; the rows that it writes, in the order of their
-- keys.
INSERT INTO bodrelay_message_log AS known (
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence, from_logical_id,
    to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status, answer_class, failure_code,
    failure_text, remedy, document_bytes, wire_bytes, digest, created_at, seen_at, first_attempt_at,
    last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of)
SELECT
    r.message_key, r.direction, r.connection_point, coalesce(substr(r.tenant_id, 1, 22), ''), r.entry_id,
    substr(r.message_id, 1, 250), substr(r.verb, 1, 30), substr(r.noun, 1, 100), substr(r.document_id, 1, 100),
    substr(r.accounting_entity, 1, 22), substr(r.document_location, 1, 22), substr(r.revision_id, 1, 22),
    r.variation_id, substr(r.batch_id, 1, 250), r.batch_sequence, substr(r.from_logical_id, 1, 250),
    substr(r.to_logical_id, 1, 250), r.priority, r.state, r.held_by, r.in_doubt, r.late, r.attempts, r.http_status,
    r.answer_class, substr(r.failure_code, 1, 60), substr(r.failure_text, 1, 2000), substr(r.remedy, 1, 1000),
    r.document_bytes, r.wire_bytes, r.digest, r.created_at, r.seen_at, r.first_attempt_at, r.last_attempt_at,
    r.next_attempt_at, r.finished_at, r.host, r.updated_at, r.resend_of
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::bigint[], $16::text[], $17::text[],
    $18::bigint[], $19::text[], $20::text[], $21::smallint[], $22::smallint[], $23::bigint[], $24::bigint[],
    $25::text[], $26::text[], $27::text[], $28::text[], $29::bigint[], $30::bigint[], $31::text[],
    $32::timestamptz[], $33::timestamptz[], $34::timestamptz[], $35::timestamptz[], $36::timestamptz[],
    $37::timestamptz[], $38::text[], $39::timestamptz[], $40::text[]) AS r (
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence, from_logical_id,
    to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status, answer_class, failure_code,
    failure_text, remedy, document_bytes, wire_bytes, digest, created_at, seen_at, first_attempt_at,
    last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of)
ORDER BY r.message_key
ON CONFLICT (message_key) DO UPDATE
SET
    direction = excluded.direction, connection_point = excluded.connection_point, tenant_id = excluded.tenant_id,
    entry_id = excluded.entry_id, message_id = excluded.message_id, verb = excluded.verb, noun = excluded.noun,
    document_id = excluded.document_id, accounting_entity = excluded.accounting_entity, document_location =
    excluded.document_location, revision_id = excluded.revision_id, variation_id = excluded.variation_id, batch_id =
    excluded.batch_id, batch_sequence = excluded.batch_sequence, from_logical_id = excluded.from_logical_id,
    to_logical_id = excluded.to_logical_id, priority = excluded.priority, state = excluded.state, held_by =
    excluded.held_by, in_doubt = excluded.in_doubt, late = excluded.late, attempts = greatest(known.attempts,
    excluded.attempts), http_status = excluded.http_status, answer_class = excluded.answer_class, failure_code =
    excluded.failure_code, failure_text = excluded.failure_text, remedy = excluded.remedy, document_bytes =
    excluded.document_bytes, wire_bytes = excluded.wire_bytes, digest = excluded.digest, created_at =
    excluded.created_at, first_attempt_at = coalesce(known.first_attempt_at, excluded.first_attempt_at),
    last_attempt_at = excluded.last_attempt_at, next_attempt_at = excluded.next_attempt_at, finished_at =
    excluded.finished_at, host = excluded.host, updated_at = excluded.updated_at
