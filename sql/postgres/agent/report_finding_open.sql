-- agent:report_finding_open
-- Opens the row of a finding.
-- Parameters: $1 code, $2 connection point, $3 subject, $4 host, $5 severity, $6 finding_text, $7 remedy,
-- $8 last_seen_at, $9 times seen, $10 since.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
INSERT INTO bodrelay_finding (
    code, connection_point, subject, host, severity, finding_text, remedy, last_seen_at, seen_count, since)
VALUES (
    $1::text, $2::text, substr($3::text, 1, 300), $4::text, $5::text, substr($6::text, 1, 2000), substr($7::text, 1, 2000), $8::timestamptz, greatest($9::bigint, 1), $10::timestamptz)
