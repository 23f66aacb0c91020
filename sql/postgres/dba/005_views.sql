-- bodrelay control tables for PostgreSQL, script 5: views that stay quick in a long log.
--
-- What:   makes bodrelay_today and bodrelay_received_today anew, with the same columns and rights. In a long log
--         PostgreSQL read all of it for them; now they enter by its index. The tables of the application are not touched.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f 005_views.sql      (as the role that ran 001_install.sql, after 001 to
--         004, also where nothing is received; another schema: replace "bodrelay" in the line below)
-- Locks:  one transaction, some milliseconds: ACCESS EXCLUSIVE on the two views, nothing of the application's.
-- Twice:  the last statement fails with a unique constraint, and nothing changes.
-- Undo:   the views of 002_panel.sql and 003_inbound.sql, with OR REPLACE behind CREATE, and DELETE of script_no 5 from
--         bodrelay_version.

BEGIN;

SET LOCAL search_path = bodrelay;

-- Fails where 003_inbound.sql was not run, which would not find its view free later.
COMMENT ON VIEW bodrelay_received_today IS 'What was received since midnight (UTC), by document type.';

-- OFFSET 0 keeps the planner from joining the log as a whole with the few connection points: it looks for the rows of each
-- one by the index of the states.
CREATE OR REPLACE VIEW bodrelay_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = 'accepted' THEN 1 ELSE 0 END) AS accepted, sum(CASE WHEN l.state = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN l.state IN ('pending', 'in_flight') THEN 1 ELSE 0 END) AS waiting,
    sum(CASE WHEN l.state IN ('discarded', 'withdrawn', 'superseded') THEN 1 ELSE 0 END) AS given_up,
    sum(l.attempts) AS attempts, min(l.seen_at) AS first_seen_at, max(l.finished_at) AS last_finished_at
FROM (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status) AS p
CROSS JOIN LATERAL (
    SELECT m.connection_point, m.verb, m.noun, m.state, m.attempts, m.seen_at, m.finished_at
    FROM bodrelay_message_log AS m
    WHERE m.connection_point = p.connection_point
        AND m.state IN ('accepted', 'failed', 'pending', 'in_flight', 'discarded', 'withdrawn', 'superseded')
        AND m.seen_at >= date_trunc('day', now(), 'UTC')
    OFFSET 0) AS l
GROUP BY l.connection_point, l.verb, l.noun;

CREATE OR REPLACE VIEW bodrelay_received_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = 'stored' THEN 1 ELSE 0 END) AS stored_messages,
    sum(CASE WHEN l.state = 'duplicate' THEN 1 ELSE 0 END) AS duplicates,
    sum(CASE WHEN l.state = 'refused' THEN 1 ELSE 0 END) AS refused_messages,
    min(l.seen_at) AS first_seen_at, max(l.seen_at) AS last_seen_at
FROM (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status) AS p
CROSS JOIN LATERAL (
    SELECT m.connection_point, m.verb, m.noun, m.state, m.attempts, m.seen_at, m.finished_at
    FROM bodrelay_message_log AS m
    WHERE m.connection_point = p.connection_point
        AND m.state IN ('stored', 'duplicate', 'refused')
        AND m.seen_at >= date_trunc('day', now(), 'UTC')
        AND m.direction = 'in'
    OFFSET 0) AS l
GROUP BY l.connection_point, l.verb, l.noun;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (5, '005_views');

COMMIT;
