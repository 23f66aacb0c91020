-- bodrelay control tables for SQL Server, script 5: views that stay quick in a long log.
--
-- What:   changes bodrelay_today and bodrelay_received_today, with the same columns and rights: however long the message log
--         is, they enter by its index (FORCESEEK). The tables of the application are not touched.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i 005_views.sql   (as the user who ran 001_install.sql, after 001 to 004,
--         also where nothing is received). One batch, no GO.
-- Locks:  one transaction, some milliseconds: Sch-M on the two views, nothing of the application's.
-- Twice:  the last statement fails with 2627, the batch ends, and nothing changes.
-- Undo:   the views of 002_panel.sql and 003_inbound.sql, with ALTER in place of CREATE, and DELETE of script_no 5 from
--         bodrelay_version.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

EXEC (N'ALTER VIEW bodrelay.bodrelay_today AS
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
JOIN bodrelay.bodrelay_message_log AS l WITH (FORCESEEK)
    ON l.connection_point = p.connection_point AND l.state = s.state AND l.seen_at >= CONVERT(datetime2(3), CONVERT(date, SYSUTCDATETIME()))
GROUP BY l.connection_point, l.verb, l.noun');

EXEC (N'ALTER VIEW bodrelay.bodrelay_received_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = N''stored'' THEN 1 ELSE 0 END) AS stored_messages,
    sum(CASE WHEN l.state = N''duplicate'' THEN 1 ELSE 0 END) AS duplicates,
    sum(CASE WHEN l.state = N''refused'' THEN 1 ELSE 0 END) AS refused_messages,
    min(l.seen_at) AS first_seen_at, max(l.seen_at) AS last_seen_at
FROM (
    SELECT connection_point FROM bodrelay.bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay.bodrelay_status) AS p
CROSS JOIN (VALUES (N''stored''), (N''duplicate''), (N''refused'')) AS s (state)
JOIN bodrelay.bodrelay_message_log AS l WITH (FORCESEEK)
    ON l.connection_point = p.connection_point AND l.state = s.state AND l.seen_at >= CONVERT(datetime2(3), CONVERT(date, SYSUTCDATETIME()))
WHERE l.direction = N''in''
GROUP BY l.connection_point, l.verb, l.noun');

INSERT INTO bodrelay.bodrelay_version (script_no, script_name) VALUES (5, N'005_views');

COMMIT TRANSACTION;
