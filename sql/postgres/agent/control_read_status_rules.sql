-- agent:control_read_status_rules
-- The class of each HTTP status.
-- Parameters: none.
-- Locks: reads only; in one REPEATABLE READ, READ ONLY transaction with the other control_read statements.
SELECT connection_point, http_status, answer_class
FROM bodrelay_status_rule
ORDER BY connection_point, http_status
