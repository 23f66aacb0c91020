-- bodrelay control tables for SQL Server, script 2: what a DBA looks at.
--
-- What:   three views over the control tables (bodrelay_errors, bodrelay_backlog, bodrelay_today), and the table for the
--         history of settings. The agent works without them; the tables of the application are not touched.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i 002_panel.sql   (as the user who ran 001_install.sql). One batch, no GO.
-- Locks:  one transaction, some milliseconds; only new objects.
-- Twice:  the first statement fails with "already an object named" (2714), the batch ends, and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP VIEW of the three, DROP TABLE bodrelay_setting_history.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

-- Who changed which setting, when, from what to what. Filled by the triggers of audit.sql, where a DBA runs that.
CREATE TABLE bodrelay.bodrelay_setting_history (
    history_id bigint IDENTITY(1, 1) NOT NULL,
    table_name nvarchar(64) NOT NULL,
    row_key nvarchar(400) NOT NULL,
    column_name nvarchar(64) NOT NULL,
    old_value nvarchar(2000) NULL,
    new_value nvarchar(2000) NULL,
    changed_at datetime2(3) NOT NULL CONSTRAINT df_bodrelay_setting_history_changed_at DEFAULT SYSUTCDATETIME(),
    changed_by nvarchar(128) NULL CONSTRAINT df_bodrelay_setting_history_changed_by DEFAULT ORIGINAL_LOGIN(),
    CONSTRAINT pk_bodrelay_setting_history PRIMARY KEY (history_id)
);

-- What somebody should look at: failed messages that nobody has resolved, and those that wait for a retry, for a failed
-- one before them, or in doubt. Enters by the index of the states, however long the log is.
EXEC (N'CREATE VIEW bodrelay.bodrelay_errors AS
SELECT
    l.connection_point, l.state, l.verb, l.noun, l.document_id, l.entry_id, l.failure_code, l.failure_text, l.remedy,
    l.in_doubt, l.held_by, l.attempts, l.http_status, l.created_at, l.seen_at, l.last_attempt_at, l.next_attempt_at,
    l.message_id, l.message_key
FROM (
    SELECT connection_point FROM bodrelay.bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay.bodrelay_status) AS p
JOIN bodrelay.bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state IN (N''failed'', N''pending'', N''in_flight'')
WHERE l.state = N''failed'' OR l.failure_code IS NOT NULL OR l.held_by IS NOT NULL OR l.in_doubt = 1');

-- How each connection point stands, also one that no agent serves.
EXEC (N'CREATE VIEW bodrelay.bodrelay_backlog AS
SELECT
    p.connection_point, coalesce(s.state, N''no agent'') AS state, coalesce(p.refused_reason, s.state_reason) AS reason,
    s.waiting_rows, s.waiting_capped, s.oldest_waiting_at,
    DATEDIFF(minute, s.oldest_waiting_at, SYSUTCDATETIME()) AS oldest_waiting_minutes,
    s.in_flight_rows, s.held_rows, s.failed_rows, s.in_doubt_rows, s.last_accepted_at, s.last_failure_at, s.last_failure,
    s.next_poll_at, s.host, s.heartbeat_at,
    DATEDIFF(minute, s.heartbeat_at, SYSUTCDATETIME()) AS heartbeat_minutes
FROM bodrelay.bodrelay_connection_point AS p
LEFT JOIN bodrelay.bodrelay_status AS s ON s.connection_point = p.connection_point AND s.direction = N''out''');

-- What was seen since midnight (UTC), by document type.
EXEC (N'CREATE VIEW bodrelay.bodrelay_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = N''accepted'' THEN 1 ELSE 0 END) AS accepted, sum(CASE WHEN l.state = N''failed'' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN l.state IN (N''pending'', N''in_flight'') THEN 1 ELSE 0 END) AS waiting,
    sum(CASE WHEN l.state IN (N''discarded'', N''withdrawn'', N''superseded'') THEN 1 ELSE 0 END) AS given_up,
    sum(l.attempts) AS attempts, min(l.seen_at) AS first_seen_at, max(l.finished_at) AS last_finished_at
FROM (
    SELECT connection_point FROM bodrelay.bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay.bodrelay_status) AS p
CROSS JOIN (VALUES (N''accepted''), (N''failed''), (N''pending''), (N''in_flight''), (N''discarded''), (N''withdrawn''), (N''superseded'')) AS s (state)
JOIN bodrelay.bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state = s.state AND l.seen_at >= CONVERT(datetime2(3), CONVERT(date, SYSUTCDATETIME()))
GROUP BY l.connection_point, l.verb, l.noun');

INSERT INTO bodrelay.bodrelay_version (script_no, script_name) VALUES (2, N'002_panel');

COMMIT TRANSACTION;
