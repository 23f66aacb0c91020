-- Rights on SQL Server: five roles, and what each needs.
--
-- What:   makes the roles bodrelay_agent, bodrelay_operator, bodrelay_reader, bodrelay_designer (queries of documents, which
--         run with the agent's rights) and bodrelay_application and grants to them. Edit the last
--         statement: it names the agent's user. The agent needs no right to change the schema, only its own # tables.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i grants.sql, after the numbered scripts. One batch, no GO.
-- Locks:  one transaction, some milliseconds.
-- Twice:  does no harm: a role that is there stays, a right that was granted stays granted.
-- Undo:   ALTER ROLE bodrelay_agent DROP MEMBER ...; DROP ROLE of the five.
--
-- COR_* stands in the schema dbo here; write yours. The login of the agent, once for the server:
--   CREATE LOGIN bodrelay WITH PASSWORD = '...', CHECK_EXPIRATION = OFF;  CREATE USER bodrelay FOR LOGIN bodrelay;
-- A Windows service or gMSA:  CREATE LOGIN [DOMAIN\account] FROM WINDOWS;  CREATE USER bodrelay FOR LOGIN [DOMAIN\account];
-- VIEW DATABASE STATE lets the agent see the recovery fork, by which it knows a copied database from its original.

SET NOCOUNT ON;
SET XACT_ABORT ON;

BEGIN TRANSACTION;

IF DATABASE_PRINCIPAL_ID(N'bodrelay_agent') IS NULL CREATE ROLE bodrelay_agent;
IF DATABASE_PRINCIPAL_ID(N'bodrelay_operator') IS NULL CREATE ROLE bodrelay_operator;
IF DATABASE_PRINCIPAL_ID(N'bodrelay_reader') IS NULL CREATE ROLE bodrelay_reader;

-- The agent: its own tables, and of the application's only what sending needs.
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::bodrelay TO bodrelay_agent;
GRANT VIEW DEFINITION ON SCHEMA::bodrelay TO bodrelay_agent;
GRANT VIEW DATABASE STATE TO bodrelay_agent;
GRANT SELECT ON dbo.COR_OUTBOX_ENTRY TO bodrelay_agent;
GRANT UPDATE ON dbo.COR_OUTBOX_ENTRY (C_WAS_PROCESSED) TO bodrelay_agent;
GRANT SELECT ON dbo.COR_OUTBOX_HEADERS TO bodrelay_agent;
-- Only where a connection point sets outbox_keep_hours, so that processed rows are deleted:
-- GRANT DELETE ON dbo.COR_OUTBOX_ENTRY TO bodrelay_agent;
-- GRANT DELETE ON dbo.COR_OUTBOX_HEADERS TO bodrelay_agent;
-- Only for receiving (receive_mode = 'on'), and the command confirm_error, which writes into the outbox:
-- GRANT SELECT, INSERT ON dbo.COR_INBOX_ENTRY TO bodrelay_agent;
-- GRANT SELECT, INSERT ON dbo.COR_INBOX_HEADERS TO bodrelay_agent;
-- GRANT INSERT ON dbo.COR_OUTBOX_ENTRY TO bodrelay_agent;
-- GRANT INSERT ON dbo.COR_OUTBOX_HEADERS TO bodrelay_agent;

-- An operator: settings, commands, acknowledging findings, a 9 back to 0. They see which rows wait, not what is in them.
GRANT SELECT ON SCHEMA::bodrelay TO bodrelay_operator;
GRANT INSERT, UPDATE, DELETE ON bodrelay.bodrelay_connection_point TO bodrelay_operator;
GRANT INSERT, UPDATE, DELETE ON bodrelay.bodrelay_document TO bodrelay_operator;
GRANT INSERT, UPDATE, DELETE ON bodrelay.bodrelay_status_rule TO bodrelay_operator;
GRANT INSERT ON bodrelay.bodrelay_command TO bodrelay_operator;
GRANT UPDATE ON bodrelay.bodrelay_finding (acknowledged_at, acknowledged_by, acknowledged_until) TO bodrelay_operator;
GRANT SELECT ON dbo.COR_OUTBOX_ENTRY (C_ID, C_CREATED_DATE_TIME, C_WAS_PROCESSED) TO bodrelay_operator;
GRANT UPDATE ON dbo.COR_OUTBOX_ENTRY (C_WAS_PROCESSED) TO bodrelay_operator;

-- A reader: everything of ours, nothing of the documents.
GRANT SELECT ON SCHEMA::bodrelay TO bodrelay_reader;

-- Documents composed from rows (004). A designer writes queries; whoever may do that reads what the agent may read. The
-- application inserts changes and nothing else; its triggers need no right of their own where the owner of its tables is
-- the owner of the schema bodrelay, too (ownership chain).
IF DATABASE_PRINCIPAL_ID(N'bodrelay_designer') IS NULL CREATE ROLE bodrelay_designer;
IF DATABASE_PRINCIPAL_ID(N'bodrelay_application') IS NULL CREATE ROLE bodrelay_application;
GRANT SELECT ON SCHEMA::bodrelay TO bodrelay_designer;
GRANT INSERT, UPDATE, DELETE ON bodrelay.bodrelay_document TO bodrelay_designer;
GRANT INSERT, UPDATE, DELETE ON bodrelay.bodrelay_document_query TO bodrelay_designer;
GRANT UPDATE ON bodrelay.bodrelay_change (was_processed) TO bodrelay_operator;
GRANT INSERT ON bodrelay.bodrelay_change TO bodrelay_application;
-- Only where a connection point composes into the application's I/O Box:
-- GRANT INSERT ON dbo.COR_OUTBOX_ENTRY TO bodrelay_agent;
-- GRANT INSERT ON dbo.COR_OUTBOX_HEADERS TO bodrelay_agent;
-- And what the queries read, table by table: GRANT SELECT ON dbo.orders TO bodrelay_agent;

IF DATABASE_PRINCIPAL_ID(N'bodrelay') IS NOT NULL ALTER ROLE bodrelay_agent ADD MEMBER bodrelay;

COMMIT TRANSACTION;
