-- bodrelay control tables for SQLite, script 2: what a DBA looks at.
--
-- What:   three views over the control tables (bodrelay_errors, bodrelay_backlog, bodrelay_today), and the table for the
--         history of settings. The agent works without them; the tables of the application are not touched.
-- Run:    sqlite3 YOUR.db < 002_panel.sql      (SQLite 3.24 or newer; as a user who may write the file)
-- Locks:  one write transaction, some milliseconds; only new objects.
-- Twice:  every statement fails with "already exists" (or a UNIQUE constraint), and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP VIEW of the three, DROP TABLE bodrelay_setting_history.

BEGIN IMMEDIATE;

-- Who changed which setting, when, from what to what. Filled by the triggers of audit.sql, where a DBA runs that.
CREATE TABLE bodrelay_setting_history (
    history_id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL
        CONSTRAINT ck_bodrelay_setting_history_table_name CHECK (length(table_name) <= 64),
    row_key TEXT NOT NULL
        CONSTRAINT ck_bodrelay_setting_history_row_key CHECK (length(row_key) <= 400),
    column_name TEXT NOT NULL
        CONSTRAINT ck_bodrelay_setting_history_column_name CHECK (length(column_name) <= 64),
    old_value TEXT
        CONSTRAINT ck_bodrelay_setting_history_old_value CHECK (length(old_value) <= 2000),
    new_value TEXT
        CONSTRAINT ck_bodrelay_setting_history_new_value CHECK (length(new_value) <= 2000),
    changed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by TEXT DEFAULT NULL
        CONSTRAINT ck_bodrelay_setting_history_changed_by CHECK (length(changed_by) <= 128)
);

-- What somebody should look at: failed messages that nobody has resolved, and those that wait for a retry, for a failed
-- one before them, or in doubt. Enters by the index of the states, however long the log is (CROSS JOIN keeps the order).
CREATE VIEW bodrelay_errors AS
SELECT
    l.connection_point, l.state, l.verb, l.noun, l.document_id, l.entry_id, l.failure_code, l.failure_text, l.remedy,
    l.in_doubt, l.held_by, l.attempts, l.http_status, l.created_at, l.seen_at, l.last_attempt_at, l.next_attempt_at,
    l.message_id, l.message_key
FROM (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status) AS p
CROSS JOIN bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state IN ('failed', 'pending', 'in_flight')
WHERE l.state = 'failed' OR l.failure_code IS NOT NULL OR l.held_by IS NOT NULL OR l.in_doubt = 1;

-- How each connection point stands, also one that no agent serves.
CREATE VIEW bodrelay_backlog AS
SELECT
    p.connection_point, coalesce(s.state, 'no agent') AS state, coalesce(p.refused_reason, s.state_reason) AS reason,
    s.waiting_rows, s.waiting_capped, s.oldest_waiting_at,
    CAST((julianday('now') - julianday(s.oldest_waiting_at)) * 1440 AS INTEGER) AS oldest_waiting_minutes,
    s.in_flight_rows, s.held_rows, s.failed_rows, s.in_doubt_rows, s.last_accepted_at, s.last_failure_at, s.last_failure,
    s.next_poll_at, s.host, s.heartbeat_at,
    CAST((julianday('now') - julianday(s.heartbeat_at)) * 1440 AS INTEGER) AS heartbeat_minutes
FROM bodrelay_connection_point AS p
LEFT JOIN bodrelay_status AS s ON s.connection_point = p.connection_point AND s.direction = 'out';

-- What was seen since midnight (UTC), by document type.
CREATE VIEW bodrelay_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = 'accepted' THEN 1 ELSE 0 END) AS accepted, sum(CASE WHEN l.state = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN l.state IN ('pending', 'in_flight') THEN 1 ELSE 0 END) AS waiting,
    sum(CASE WHEN l.state IN ('discarded', 'withdrawn', 'superseded') THEN 1 ELSE 0 END) AS given_up,
    sum(l.attempts) AS attempts, min(l.seen_at) AS first_seen_at, max(l.finished_at) AS last_finished_at
FROM (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status) AS p
CROSS JOIN (SELECT column1 AS state FROM (VALUES ('accepted'), ('failed'), ('pending'), ('in_flight'), ('discarded'), ('withdrawn'), ('superseded'))) AS s
CROSS JOIN bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state = s.state AND l.seen_at >= strftime('%Y-%m-%dT00:00:00.000Z', 'now')
GROUP BY l.connection_point, l.verb, l.noun;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (2, '002_panel');

COMMIT;
