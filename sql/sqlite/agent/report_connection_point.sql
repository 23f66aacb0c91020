-- agent:report_connection_point
-- That the settings of a connection point were taken over, or why not.
-- Parameters: ?1 connection point, ?2 refused_reason.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
UPDATE bodrelay_connection_point
SET refused_reason = substr(?2, 1, 1000), applied_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE connection_point = ?1
