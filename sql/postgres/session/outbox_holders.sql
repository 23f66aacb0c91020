-- session:outbox_holders
-- Who keeps rows locked, as far as the server tells: the transaction that a row's xmax names, and its session. Only a
-- role with pg_read_all_stats is told since when. A row that several share a lock on has no session here. Also whether
-- row security applies to this role: a row that nobody has locked is then kept back by a policy. Words in braces are the
-- site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids.
-- Locks: reads only; run where a settle could not lock rows, after its transaction.
SELECT
    {c_id}::bigint AS entry_id, row_security_active({outbox_entry}.tableoid) AS is_secured, l.pid::text AS pid,
    a.usename::text AS user_name, a.application_name, a.xact_start
FROM {outbox_entry}
LEFT JOIN pg_catalog.pg_locks AS l
    ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = {outbox_entry}.xmax
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE {c_id} = ANY ($1::bigint[])
ORDER BY {c_id}
