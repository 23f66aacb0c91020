-- agent:report_finding_clear
-- Closes the open row of a finding that no longer holds.
-- Parameters: $1 code, $2 connection point, $3 subject, $4 host.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_finding
SET cleared_at = now()
WHERE code = $1::text AND connection_point IS NOT DISTINCT FROM $2::text AND subject = substr($3::text, 1, 300) AND host = $4::text
    AND cleared_at IS NULL
