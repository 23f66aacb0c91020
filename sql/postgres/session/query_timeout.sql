-- session:query_timeout
-- How long the next query of this transaction may take.
-- Parameters: $1 milliseconds, as text.
SELECT set_config('statement_timeout', $1::text, true)
