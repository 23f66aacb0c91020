-- bodrelay control tables for SQL Server, script 3: what receiving needs.
--
-- What:   two tables by which a document that comes twice, or late, is known (bodrelay_receipt,
--         bodrelay_received_document), and the view bodrelay_received_today. Needed where a connection point has
--         receive_mode = 'on'; who only sends can leave it. The tables of the application are not touched.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i 003_inbound.sql   (as the user who ran 001_install.sql). One batch,
--         no GO. Then the lines of grants.sql that say "receiving".
-- Locks:  one transaction, some milliseconds; only new objects.
-- Twice:  the first statement fails with "already an object named" (2714), the batch ends, and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP VIEW bodrelay_received_today, DROP TABLE of the two. Without
--         them nothing is received: ION is asked to try again later.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

-- One row a message that was received, kept for 30 days at least (log_keep_days where that is more). Written by the agent
-- only, in one transaction with the inbox entry. receipt_key: SHA-256 of connection point and ION's full message id.
CREATE TABLE bodrelay.bodrelay_receipt (
    receipt_key nvarchar(64) NOT NULL,
    connection_point nvarchar(64) NOT NULL,
    message_id nvarchar(250) NOT NULL,
    source_part nvarchar(128) NOT NULL,
    from_logical_id nvarchar(250) NOT NULL,
    document_name nvarchar(131) NOT NULL,
    digest nvarchar(64) NOT NULL,
    entry_id bigint NOT NULL,
    received_at datetime2(3) NOT NULL,
    repeats int NOT NULL CONSTRAINT df_bodrelay_receipt_repeats DEFAULT 0,
    CONSTRAINT pk_bodrelay_receipt PRIMARY KEY (receipt_key)
);

-- One row a document: its highest variation that was stored. Written by the agent only. document_key: SHA-256 of
-- connection point, sender, document name (Verb.Noun), accounting entity, location, document id and revision.
CREATE TABLE bodrelay.bodrelay_received_document (
    document_key nvarchar(64) NOT NULL,
    connection_point nvarchar(64) NOT NULL,
    noun nvarchar(100) NOT NULL,
    document_id nvarchar(100) NOT NULL,
    variation_id bigint NULL,
    digest nvarchar(64) NOT NULL,
    entry_id bigint NOT NULL,
    received_at datetime2(3) NOT NULL,
    CONSTRAINT pk_bodrelay_received_document PRIMARY KEY (document_key)
);

CREATE INDEX ix_bodrelay_receipt_source ON bodrelay.bodrelay_receipt (source_part, digest);
CREATE INDEX ix_bodrelay_receipt_received ON bodrelay.bodrelay_receipt (connection_point, received_at);
CREATE INDEX ix_bodrelay_received_document_received ON bodrelay.bodrelay_received_document (connection_point, received_at);

-- What was received since midnight (UTC), by document type. stored_messages counts them all with log_messages = 'all'
-- only.
EXEC (N'CREATE VIEW bodrelay.bodrelay_received_today AS
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
JOIN bodrelay.bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state = s.state AND l.seen_at >= CONVERT(datetime2(3), CONVERT(date, SYSUTCDATETIME()))
WHERE l.direction = N''in''
GROUP BY l.connection_point, l.verb, l.noun');

INSERT INTO bodrelay.bodrelay_version (script_no, script_name) VALUES (3, N'003_inbound');

COMMIT TRANSACTION;
