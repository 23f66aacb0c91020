-- agent:report_finding_clear
-- Closes the open row of a finding that no longer holds.
-- Parameters: ?1 code, ?2 connection point, ?3 subject, ?4 host.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
UPDATE bodrelay_finding
SET cleared_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE code = ?1 AND connection_point IS NOT DISTINCT FROM ?2 AND subject = substr(?3, 1, 300) AND host = ?4
    AND cleared_at IS NULL
