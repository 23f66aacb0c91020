-- Takes the bodrelay control tables out of a SQLite database.
--
-- What:   drops the views and tables of 001 to 006 with all settings, findings and the message log. The tables of
--         the application (COR_*) and their rows stay. Stop the agent first, and drop the application's
--         triggers that write to bodrelay_change; export what you want to keep.
-- Run:    sqlite3 YOUR.db < uninstall.sql
-- Locks:  one write transaction; a large message log takes seconds.
-- Twice:  every statement fails with "no such table", and nothing changes.
-- Undo:   none but a backup; 001 to 006 make empty tables again.

BEGIN IMMEDIATE;

DROP VIEW IF EXISTS bodrelay_received_today;
DROP TABLE IF EXISTS bodrelay_receipt;
DROP TABLE IF EXISTS bodrelay_received_document;
DROP VIEW IF EXISTS bodrelay_errors;
DROP VIEW IF EXISTS bodrelay_backlog;
DROP VIEW IF EXISTS bodrelay_today;
DROP TABLE IF EXISTS bodrelay_setting_history;
DROP TABLE IF EXISTS bodrelay_change;
DROP TABLE IF EXISTS bodrelay_document_query;
DROP TABLE IF EXISTS bodrelay_variation;
DROP TABLE IF EXISTS bodrelay_outbox_header;
DROP TABLE IF EXISTS bodrelay_outbox_entry;
DROP TABLE bodrelay_host;
DROP TABLE bodrelay_finding;
DROP TABLE bodrelay_status;
DROP TABLE bodrelay_attempt;
DROP TABLE bodrelay_message_log;
DROP TABLE bodrelay_command;
DROP TABLE bodrelay_status_rule;
DROP TABLE bodrelay_document;
DROP TABLE bodrelay_connection_point;
DROP TABLE bodrelay_version;

COMMIT;
