-- Takes the bodrelay control tables out of a PostgreSQL database.
--
-- What:   drops the views and tables of 001 to 006 with all settings, findings and the message log, their trigger functions
--         and the schema bodrelay. The tables of the application (COR_*) and their rows stay, and so do the roles of
--         grants.sql. Stop the agent first, and drop the application's triggers that write to
--         bodrelay_change; export what you want to keep. Another schema: replace "bodrelay" in the
--         first and the last statement.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f uninstall.sql
-- Locks:  one transaction, each table exclusively.
-- Twice:  fails with "does not exist", and nothing changes.
-- Undo:   none but a backup; 001 to 006 make empty tables again.

BEGIN;

SET LOCAL search_path = bodrelay;

DROP VIEW IF EXISTS bodrelay_errors, bodrelay_backlog, bodrelay_today, bodrelay_received_today;
DROP TABLE IF EXISTS bodrelay_receipt, bodrelay_received_document;
DROP TABLE IF EXISTS bodrelay_setting_history;
DROP TABLE IF EXISTS
    bodrelay_change, bodrelay_document_query, bodrelay_variation, bodrelay_outbox_header, bodrelay_outbox_entry;
DROP TABLE
    bodrelay_host, bodrelay_finding, bodrelay_status, bodrelay_attempt, bodrelay_message_log, bodrelay_command,
    bodrelay_status_rule, bodrelay_document, bodrelay_connection_point, bodrelay_version;
DROP FUNCTION bodrelay_changed();
DROP FUNCTION IF EXISTS bodrelay_change_filled();
-- Where audit.sql was run.
DROP FUNCTION IF EXISTS bodrelay_audit();
-- With its trigger on the outbox, where notify.sql was run.
DROP FUNCTION IF EXISTS announce_outbox() CASCADE;
DROP SCHEMA bodrelay;

COMMIT;
