-- Rights for the agent, operators and readers on PostgreSQL.
--
-- What:   creates the roles bodrelay_agent, bodrelay_operator, bodrelay_reader, bodrelay_designer (queries of documents,
--         which run with the agent's rights) and bodrelay_application (without login) and grants each what it needs and no
--         more. Give them to people and to the agent's login: GRANT bodrelay_agent TO the_login.
--         The control tables are in the schema bodrelay, the I/O Box is found on the search path: where yours are
--         elsewhere or their names are quoted, change the names below.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f grants.sql      (after the numbered scripts, as the owner of the tables,
--         with CREATEROLE)
-- Locks:  one transaction, some milliseconds.
-- Twice:  CREATE ROLE fails with "already exists", and nothing changes; the GRANTs alone may run again and again.
-- Undo:   DROP OWNED BY bodrelay_agent, bodrelay_operator, bodrelay_reader, bodrelay_designer, bodrelay_application, then
--         DROP ROLE of them.

BEGIN;

CREATE ROLE bodrelay_reader NOLOGIN;
CREATE ROLE bodrelay_operator NOLOGIN;
CREATE ROLE bodrelay_agent NOLOGIN;
GRANT bodrelay_reader TO bodrelay_operator;

GRANT USAGE ON SCHEMA bodrelay TO bodrelay_reader, bodrelay_agent;

-- Readers see all that the agent tells.
GRANT SELECT ON
    bodrelay.bodrelay_version, bodrelay.bodrelay_connection_point, bodrelay.bodrelay_document,
    bodrelay.bodrelay_status_rule, bodrelay.bodrelay_command, bodrelay.bodrelay_message_log,
    bodrelay.bodrelay_attempt, bodrelay.bodrelay_status, bodrelay.bodrelay_finding, bodrelay.bodrelay_host,
    bodrelay.bodrelay_setting_history, bodrelay.bodrelay_receipt, bodrelay.bodrelay_received_document
TO bodrelay_reader, bodrelay_agent;
GRANT SELECT ON
    bodrelay.bodrelay_errors, bodrelay.bodrelay_backlog, bodrelay.bodrelay_today, bodrelay.bodrelay_received_today
TO bodrelay_reader;

-- Operators change settings, give commands and acknowledge findings.
GRANT INSERT, UPDATE, DELETE ON
    bodrelay.bodrelay_connection_point, bodrelay.bodrelay_document, bodrelay.bodrelay_status_rule
TO bodrelay_operator;
GRANT INSERT ON bodrelay.bodrelay_command TO bodrelay_operator;
GRANT UPDATE (acknowledged_at, acknowledged_by, acknowledged_until) ON bodrelay.bodrelay_finding TO bodrelay_operator;
-- A 9 back to 0 is a resubmit. They see which rows wait, not what is in them.
GRANT SELECT (c_id, c_created_date_time, c_was_processed), UPDATE (c_was_processed) ON cor_outbox_entry TO bodrelay_operator;

-- The agent writes what it has to say, and of the settings only what is marked as its own.
GRANT INSERT, UPDATE, DELETE ON
    bodrelay.bodrelay_message_log, bodrelay.bodrelay_attempt, bodrelay.bodrelay_receipt,
    bodrelay.bodrelay_received_document
TO bodrelay_agent;
GRANT INSERT, UPDATE ON bodrelay.bodrelay_status, bodrelay.bodrelay_finding, bodrelay.bodrelay_host TO bodrelay_agent;
GRANT UPDATE (refused_reason, applied_at) ON bodrelay.bodrelay_connection_point TO bodrelay_agent;
GRANT UPDATE (refused_reason, accepted_by_ion, accepted_checked_at) ON bodrelay.bodrelay_document TO bodrelay_agent;
GRANT UPDATE (state, matched_rows, done_rows, result, started_at, finished_at, host)
    ON bodrelay.bodrelay_command TO bodrelay_agent;

-- Of the application's tables it reads the outbox and sets the flag. In another schema than public it needs
-- GRANT USAGE ON SCHEMA, too.
GRANT SELECT, UPDATE (c_was_processed) ON cor_outbox_entry TO bodrelay_agent;
GRANT SELECT ON cor_outbox_headers TO bodrelay_agent;
-- Only where a connection point sets outbox_keep_hours, so that processed rows are deleted:
-- GRANT DELETE ON cor_outbox_entry, cor_outbox_headers TO bodrelay_agent;
-- Only for receiving (receive_mode = 'on'), and the command confirm_error, which writes into the outbox:
-- GRANT SELECT, INSERT ON cor_inbox_entry, cor_inbox_headers TO bodrelay_agent;
-- GRANT INSERT ON cor_outbox_entry, cor_outbox_headers TO bodrelay_agent;
-- Sequences, where C_ID is a serial column (an identity column needs none): GRANT USAGE ON SEQUENCE ... TO bodrelay_agent;

-- Documents composed from rows (004). A designer writes queries; whoever may do that reads what the agent may read.
CREATE ROLE bodrelay_designer NOLOGIN;
CREATE ROLE bodrelay_application NOLOGIN;
GRANT bodrelay_reader TO bodrelay_designer;
GRANT SELECT ON
    bodrelay.bodrelay_change, bodrelay.bodrelay_document_query, bodrelay.bodrelay_variation,
    bodrelay.bodrelay_outbox_entry, bodrelay.bodrelay_outbox_header
TO bodrelay_reader, bodrelay_agent;
GRANT INSERT, UPDATE, DELETE ON bodrelay.bodrelay_document, bodrelay.bodrelay_document_query TO bodrelay_designer;
GRANT UPDATE (was_processed) ON bodrelay.bodrelay_change TO bodrelay_operator;
GRANT UPDATE (was_processed, entry_id, processed_at, refused_reason), DELETE ON bodrelay.bodrelay_change TO bodrelay_agent;
GRANT UPDATE (checked_at, refused_reason) ON bodrelay.bodrelay_document_query TO bodrelay_agent;
GRANT INSERT, UPDATE ON bodrelay.bodrelay_variation TO bodrelay_agent;
GRANT INSERT, UPDATE (c_was_processed), DELETE ON bodrelay.bodrelay_outbox_entry TO bodrelay_agent;
GRANT INSERT, DELETE ON bodrelay.bodrelay_outbox_header TO bodrelay_agent;
-- An application whose trigger functions do not run with the rights of their owner (examples.sql shows the better way).
GRANT USAGE ON SCHEMA bodrelay TO bodrelay_application;
GRANT INSERT ON bodrelay.bodrelay_change TO bodrelay_application;
-- Only where a connection point composes into the application's I/O Box:
-- GRANT INSERT ON cor_outbox_entry, cor_outbox_headers TO bodrelay_agent;
-- And what the queries read, table by table: GRANT SELECT ON sales.orders, sales.order_lines TO bodrelay_agent;
-- Where TEMP was taken from PUBLIC: GRANT TEMP ON DATABASE your_database TO bodrelay_agent;

COMMIT;
