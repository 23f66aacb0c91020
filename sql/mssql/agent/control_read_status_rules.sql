-- agent:control_read_status_rules
-- The class of each HTTP status.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED; a DBA who is in the middle of a change is waited for.
SELECT connection_point, http_status, answer_class
FROM [bodrelay].bodrelay_status_rule
ORDER BY connection_point, http_status
