-- agent:report_finding_renew
-- Renews the open row of a finding that was seen again; no row changes when there is none.
-- Parameters: $1 code, $2 connection point, $3 subject, $4 host, $5 severity, $6 finding_text, $7 remedy,
-- $8 last_seen_at, $9 times seen since the last report.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_finding
SET severity = $5::text, finding_text = substr($6::text, 1, 2000), remedy = substr($7::text, 1, 2000), last_seen_at = $8::timestamptz,
    seen_count = seen_count + $9::bigint
WHERE code = $1::text AND connection_point IS NOT DISTINCT FROM $2::text AND subject = substr($3::text, 1, 300) AND host = $4::text
    AND cleared_at IS NULL
