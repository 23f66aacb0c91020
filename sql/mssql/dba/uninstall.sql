-- Takes the bodrelay control tables out of a SQL Server database.
--
-- What:   drops the views and tables of 001 to 006 with all settings, findings and the message log, and the schema bodrelay.
--         The tables of the application (COR_*) and their rows stay, and so do the roles of grants.sql. Stop the agent
--         first, and drop the application's triggers that write to bodrelay_change; export what you want to keep.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i uninstall.sql. One batch, no GO.
-- Locks:  one transaction, some milliseconds.
-- Twice:  the first statement fails with "does not exist" (3701), the batch ends, and nothing changes.
-- Undo:   none but a backup; 001 to 006 make empty tables again.

SET NOCOUNT ON;
SET XACT_ABORT ON;

BEGIN TRANSACTION;

DROP VIEW IF EXISTS bodrelay.bodrelay_errors, bodrelay.bodrelay_backlog, bodrelay.bodrelay_today, bodrelay.bodrelay_received_today;
DROP TABLE IF EXISTS bodrelay.bodrelay_receipt, bodrelay.bodrelay_received_document;
DROP TABLE IF EXISTS bodrelay.bodrelay_setting_history;
DROP TABLE IF EXISTS bodrelay.bodrelay_change, bodrelay.bodrelay_document_query, bodrelay.bodrelay_variation, bodrelay.bodrelay_outbox_header, bodrelay.bodrelay_outbox_entry;
DROP TABLE bodrelay.bodrelay_host;
DROP TABLE bodrelay.bodrelay_finding;
DROP TABLE bodrelay.bodrelay_status;
DROP TABLE bodrelay.bodrelay_attempt;
DROP TABLE bodrelay.bodrelay_message_log;
DROP TABLE bodrelay.bodrelay_command;
DROP TABLE bodrelay.bodrelay_status_rule;
DROP TABLE bodrelay.bodrelay_document;
DROP TABLE bodrelay.bodrelay_connection_point;
DROP TABLE bodrelay.bodrelay_version;
DROP SCHEMA bodrelay;

COMMIT TRANSACTION;
