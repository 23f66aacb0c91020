-- session:owner_lock_holder
-- Who holds the lock of owner_lock. Of sessions of another login the server tells their number, login and program only.
-- Parameters: $1 what is owned. Answers the session, words for people, whether it has our login, and whether it comes from
-- our address over the network.
SELECT
    l.pid::bigint,
    'session ' || l.pid || ' of login ' || coalesce(a.usename, '?') || coalesce(' (' || nullif(a.application_name, '') || ')', '')
        || coalesce(' from ' || host(a.client_addr), '') || coalesce(', connected since ' || date_trunc('second', a.backend_start), ''),
    coalesce(a.usesysid = me.usesysid, false),
    coalesce(a.client_addr = me.client_addr AND NOT a.client_addr <<= inet '127.0.0.0/8' AND a.client_addr <> inet '::1', false)
FROM pg_locks AS l
JOIN pg_stat_activity AS me ON me.pid = pg_backend_pid()
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.classid::bigint << 32 | l.objid::bigint = hashtextextended($1::text, 0)
LIMIT 1
