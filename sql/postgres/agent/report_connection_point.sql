-- agent:report_connection_point
-- That the settings of a connection point were taken over, or why not.
-- Parameters: $1 connection point, $2 refused_reason.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_connection_point
SET refused_reason = substr($2::text, 1, 1000), applied_at = now()
WHERE connection_point = $1::text
