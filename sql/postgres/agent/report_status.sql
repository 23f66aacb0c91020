-- agent:report_status
-- How a direction of a connection point fares, where this journal still owns it; that renews its ownership. Totals
-- are added to; what is not known any more (after a restart) keeps its last value.
-- Parameters: $1 connection point, $2 direction, $3 journal id, $4 state, $5 state_since, $6 state_reason,
-- $7 waiting_rows (NULL: not counted, the three figures stay), $8 waiting_capped, $9 oldest_waiting_at,
-- $10 in_flight_rows, $11 held_rows, $12 failed_rows, $13 in_doubt_rows, $14 accepted since the last report,
-- $15 failed since the last report, $16 last_accepted_at, $17 last_failure_at, $18 last_failure,
-- $19 last_poll_at, $20 next_poll_at, $21 settings_read_at, $22 started_at, $23 duplicates since the last report.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_status
SET state = $4::text, state_since = $5::timestamptz, state_reason = substr($6::text, 1, 1000),
    waiting_rows = coalesce($7::bigint, waiting_rows),
    waiting_capped = CASE WHEN $7::bigint IS NULL THEN waiting_capped ELSE $8::smallint END,
    oldest_waiting_at = CASE WHEN $7::bigint IS NULL THEN oldest_waiting_at ELSE $9::timestamptz END,
    in_flight_rows = $10::bigint, held_rows = $11::bigint, failed_rows = $12::bigint, in_doubt_rows = $13::bigint,
    accepted_total = accepted_total + $14::bigint, failed_total = failed_total + $15::bigint,
    duplicate_total = duplicate_total + $23::bigint,
    last_accepted_at = coalesce($16::timestamptz, last_accepted_at),
    last_failure = CASE WHEN $17::timestamptz IS NULL THEN last_failure ELSE substr($18::text, 1, 1000) END,
    last_failure_at = coalesce($17::timestamptz, last_failure_at),
    last_poll_at = coalesce($19::timestamptz, last_poll_at), next_poll_at = $20::timestamptz,
    settings_read_at = coalesce($21::timestamptz, settings_read_at), started_at = $22::timestamptz,
    heartbeat_at = now()
WHERE connection_point = $1::text AND direction = $2::text AND owner_journal_id = $3::text
