-- bodrelay control tables for SQLite, script 5: views that stay quick in a long log.
--
-- What:   makes bodrelay_errors, bodrelay_today and bodrelay_received_today anew, with the same columns. In a database
--         on which ANALYZE was run, SQLite read the whole message log for them; now they always enter by its index. The
--         tables of the application are not touched.
-- Run:    sqlite3 YOUR.db < 005_views.sql      (SQLite 3.24 or newer; after 001 to 004, also where nothing is received)
-- Locks:  one write transaction, some milliseconds; nothing but the three views.
-- Twice:  the views are made once more, and the last statement fails with a UNIQUE constraint.
-- Undo:   the views of 002_panel.sql and 003_inbound.sql, after DROP VIEW of the three and DELETE of script_no 5 from
--         bodrelay_version.

BEGIN IMMEDIATE;

-- With ANALYZE, SQLite knows how many rows a connection point and a state have on average, and not that a state is rare
-- or a day short: INDEXED BY says what it cannot know.
DROP VIEW bodrelay_errors;
CREATE VIEW bodrelay_errors AS
SELECT
    l.connection_point, l.state, l.verb, l.noun, l.document_id, l.entry_id, l.failure_code, l.failure_text, l.remedy,
    l.in_doubt, l.held_by, l.attempts, l.http_status, l.created_at, l.seen_at, l.last_attempt_at, l.next_attempt_at,
    l.message_id, l.message_key
FROM bodrelay_message_log AS l INDEXED BY ix_bodrelay_message_log_state
WHERE l.connection_point IN (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status)
    AND l.state IN ('failed', 'pending', 'in_flight')
    AND (l.state = 'failed' OR l.failure_code IS NOT NULL OR l.held_by IS NOT NULL OR l.in_doubt = 1);

DROP VIEW bodrelay_today;
CREATE VIEW bodrelay_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = 'accepted' THEN 1 ELSE 0 END) AS accepted, sum(CASE WHEN l.state = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN l.state IN ('pending', 'in_flight') THEN 1 ELSE 0 END) AS waiting,
    sum(CASE WHEN l.state IN ('discarded', 'withdrawn', 'superseded') THEN 1 ELSE 0 END) AS given_up,
    sum(l.attempts) AS attempts, min(l.seen_at) AS first_seen_at, max(l.finished_at) AS last_finished_at
FROM bodrelay_message_log AS l INDEXED BY ix_bodrelay_message_log_state
WHERE l.connection_point IN (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status)
    AND l.state IN ('accepted', 'failed', 'pending', 'in_flight', 'discarded', 'withdrawn', 'superseded')
    AND l.seen_at >= strftime('%Y-%m-%dT00:00:00.000Z', 'now')
GROUP BY l.connection_point, l.verb, l.noun;

DROP VIEW bodrelay_received_today;
CREATE VIEW bodrelay_received_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = 'stored' THEN 1 ELSE 0 END) AS stored_messages,
    sum(CASE WHEN l.state = 'duplicate' THEN 1 ELSE 0 END) AS duplicates,
    sum(CASE WHEN l.state = 'refused' THEN 1 ELSE 0 END) AS refused_messages,
    min(l.seen_at) AS first_seen_at, max(l.seen_at) AS last_seen_at
FROM bodrelay_message_log AS l INDEXED BY ix_bodrelay_message_log_state
WHERE l.connection_point IN (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status)
    AND l.state IN ('stored', 'duplicate', 'refused')
    AND l.seen_at >= strftime('%Y-%m-%dT00:00:00.000Z', 'now')
    AND l.direction = 'in'
GROUP BY l.connection_point, l.verb, l.noun;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (5, '005_views');

COMMIT;
