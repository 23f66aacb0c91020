-- agent:report_finding_open
-- Opens the row of a finding.
-- Parameters: ?1 code, ?2 connection point, ?3 subject, ?4 host, ?5 severity, ?6 finding_text, ?7 remedy,
-- ?8 last_seen_at, ?9 times seen, ?10 since.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
INSERT INTO bodrelay_finding (
    code, connection_point, subject, host, severity, finding_text, remedy, last_seen_at, seen_count, since)
VALUES (
    ?1, ?2, substr(?3, 1, 300), ?4, ?5, substr(?6, 1, 2000), substr(?7, 1, 2000), ?8, max(?9, 1), ?10)
