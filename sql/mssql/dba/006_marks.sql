-- bodrelay control tables for SQL Server, script 6: a change mark never breaks the application's transaction.
--
-- What:   the columns of bodrelay_change take texts of any length and NULL, and a trigger fills what is NULL with what the
--         column has by default, or with an empty text; such a row is refused by name (refused_reason). Until now NOT NULL or
--         the length refused it, and the application's transaction with it. document_key is new: the document id as far as an
--         index can hold it. The tables of the application are not touched.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i 006_marks.sql   (as the user who ran 001_install.sql, after 001 to 005).
--         One batch, no GO.
-- Locks:  one transaction: Sch-M on bodrelay_change, so the application's changes wait; its rows are written once and its
--         two indexes made anew (some milliseconds where changes are purged).
-- Twice:  the first statement fails with 2705, the batch ends, and nothing changes.
-- Undo:   DROP TRIGGER bodrelay.tr_bodrelay_change_filled, and DELETE of script_no 6 from bodrelay_version; the columns may
--         stay as they are, with the index of 004_compose.sql on document_key.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

-- A column of its own, since an index holds no nvarchar(max), and one on a computed column would break the inserts of
-- sessions with QUOTED_IDENTIFIER OFF (1934).
ALTER TABLE bodrelay.bodrelay_change ADD document_key nvarchar(400) NULL;

DROP INDEX ix_bodrelay_change_processed ON bodrelay.bodrelay_change;
DROP INDEX ix_bodrelay_change_document ON bodrelay.bodrelay_change;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_verb;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_accounting_entity;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_document_location;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_action_code;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_priority;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_created_at;
ALTER TABLE bodrelay.bodrelay_change DROP CONSTRAINT df_bodrelay_change_was_processed;

ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN connection_point nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN verb nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN noun nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN document_id nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN accounting_entity nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN document_location nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN action_code nvarchar(max) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN priority int NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN created_at datetime2(3) NULL;
ALTER TABLE bodrelay.bodrelay_change ALTER COLUMN was_processed smallint NULL;

ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_verb DEFAULT N'Sync' FOR verb;
ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_accounting_entity DEFAULT N'' FOR accounting_entity;
ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_document_location DEFAULT N'' FOR document_location;
ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_action_code DEFAULT N'Replace' FOR action_code;
ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_priority DEFAULT 4 FOR priority;
ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_created_at DEFAULT SYSUTCDATETIME() FOR created_at;
ALTER TABLE bodrelay.bodrelay_change ADD CONSTRAINT df_bodrelay_change_was_processed DEFAULT 0 FOR was_processed;

-- The column is not there yet when the batch is compiled, hence EXEC.
EXEC (N'BEGIN
    UPDATE bodrelay.bodrelay_change SET document_key = CONVERT(nvarchar(400), document_id);
END');

CREATE INDEX ix_bodrelay_change_processed ON bodrelay.bodrelay_change (was_processed, change_id);
CREATE INDEX ix_bodrelay_change_document ON bodrelay.bodrelay_change (was_processed, document_key);

-- CONVERT cuts without an error. Where the server's option 'nested triggers' is off, this does not run after a trigger of the
-- application: a NULL then stays and is refused all the same, and a change is found in the order of the ids.
EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_change_filled ON bodrelay.bodrelay_change AFTER INSERT
AS
BEGIN
    SET NOCOUNT ON;
    UPDATE c SET
        connection_point = ISNULL(c.connection_point, N''''), verb = ISNULL(c.verb, N''Sync''), noun = ISNULL(c.noun, N''''),
        document_id = ISNULL(c.document_id, N''''), document_key = CONVERT(nvarchar(400), ISNULL(c.document_id, N'''')),
        accounting_entity = ISNULL(c.accounting_entity, N''''), document_location = ISNULL(c.document_location, N''''),
        action_code = ISNULL(c.action_code, N''Replace''), priority = ISNULL(c.priority, 4),
        created_at = ISNULL(c.created_at, SYSUTCDATETIME()),
        was_processed = CASE WHEN c.was_processed IN (0, 1, 9) THEN c.was_processed ELSE 0 END
    FROM bodrelay.bodrelay_change AS c
    JOIN inserted AS i ON i.change_id = c.change_id;
END');

INSERT INTO bodrelay.bodrelay_version (script_no, script_name) VALUES (6, N'006_marks');

COMMIT TRANSACTION;
