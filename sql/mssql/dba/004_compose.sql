-- bodrelay control tables for SQL Server, script 4: documents composed from rows.
--
-- What:   creates the tables for connection points with source_kind = 'rows': bodrelay_change (what the application's
--         triggers write), bodrelay_document_query (the queries that make documents), bodrelay_variation, and an outbox of
--         our own (bodrelay_outbox_entry, bodrelay_outbox_header) for sites without an I/O Box. The tables of the
--         application are not touched.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i 004_compose.sql   (as the user who ran 001_install.sql). One batch, no GO.
-- Locks:  one transaction, some milliseconds; only new objects.
-- Twice:  the first statement fails with "already an object named" (2714), the batch ends, and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP TABLE of the five, once no trigger writes to them.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

-- One row a change of the application's data, written by its triggers in the business transaction. No CHECK, no foreign key
-- and no filtered index: it must never break that transaction (1934 in sessions with QUOTED_IDENTIFIER OFF). What is wrong
-- is told in refused_reason, with was_processed 9; set to 0 again it is tried again. was_processed: 0 to do, 1 composed, 9
-- refused. entry_id, processed_at and refused_reason are written by the agent.
CREATE TABLE bodrelay.bodrelay_change (
    change_id bigint IDENTITY(1, 1) NOT NULL,
    connection_point nvarchar(200) NOT NULL,
    verb nvarchar(100) NOT NULL CONSTRAINT df_bodrelay_change_verb DEFAULT N'Sync',
    noun nvarchar(200) NOT NULL,
    document_id nvarchar(400) NOT NULL,
    accounting_entity nvarchar(100) NOT NULL CONSTRAINT df_bodrelay_change_accounting_entity DEFAULT N'',
    document_location nvarchar(100) NOT NULL CONSTRAINT df_bodrelay_change_document_location DEFAULT N'',
    action_code nvarchar(40) NOT NULL CONSTRAINT df_bodrelay_change_action_code DEFAULT N'Replace',
    priority int NOT NULL CONSTRAINT df_bodrelay_change_priority DEFAULT 4,
    created_at datetime2(3) NOT NULL CONSTRAINT df_bodrelay_change_created_at DEFAULT SYSUTCDATETIME(),
    was_processed smallint NOT NULL CONSTRAINT df_bodrelay_change_was_processed DEFAULT 0,
    entry_id bigint NULL,
    processed_at datetime2(3) NULL,
    refused_reason nvarchar(1000) NULL,
    CONSTRAINT pk_bodrelay_change PRIMARY KEY (change_id)
);

-- One query a part of a document type. It runs once for all documents of a batch, which are in the temporary table
-- #bodrelay_batch (document_no, document_id, accounting_entity, document_location, action_code, variation_id); its column
-- aliases are places in the document. It is one SELECT; whatever else it did would be rolled back. checked_at and
-- refused_reason are written by the agent.
CREATE TABLE bodrelay.bodrelay_document_query (
    connection_point nvarchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_document_query_connection_point CHECK (LEN(connection_point) >= 1),
    verb nvarchar(30) NOT NULL
        CONSTRAINT df_bodrelay_document_query_verb DEFAULT N'*'
        CONSTRAINT ck_bodrelay_document_query_verb CHECK (LEN(verb) >= 1),
    noun nvarchar(100) NOT NULL
        CONSTRAINT ck_bodrelay_document_query_noun CHECK (LEN(noun) >= 1),
    part_no int NOT NULL
        CONSTRAINT ck_bodrelay_document_query_part_no CHECK (part_no BETWEEN 0 AND 99),
    parent_part_no int NULL,
    element_path nvarchar(500) NULL,
    split_batch smallint NOT NULL
        CONSTRAINT df_bodrelay_document_query_split_batch DEFAULT 0
        CONSTRAINT ck_bodrelay_document_query_split_batch CHECK (split_batch IN (0, 1)),
    query_text nvarchar(max) NOT NULL,
    timeout_seconds int NOT NULL
        CONSTRAINT df_bodrelay_document_query_timeout_seconds DEFAULT 30
        CONSTRAINT ck_bodrelay_document_query_timeout_seconds CHECK (timeout_seconds BETWEEN 1 AND 600),
    max_rows int NOT NULL
        CONSTRAINT df_bodrelay_document_query_max_rows DEFAULT 100000
        CONSTRAINT ck_bodrelay_document_query_max_rows CHECK (max_rows BETWEEN 1 AND 1000000),
    enabled smallint NOT NULL
        CONSTRAINT df_bodrelay_document_query_enabled DEFAULT 1
        CONSTRAINT ck_bodrelay_document_query_enabled CHECK (enabled IN (0, 1)),
    description nvarchar(400) NULL,
    changed_at datetime2(3) NULL CONSTRAINT df_bodrelay_document_query_changed_at DEFAULT SYSUTCDATETIME(),
    changed_by nvarchar(128) NULL CONSTRAINT df_bodrelay_document_query_changed_by DEFAULT ORIGINAL_LOGIN(),
    checked_at datetime2(3) NULL,
    refused_reason nvarchar(1000) NULL,
    CONSTRAINT pk_bodrelay_document_query PRIMARY KEY (connection_point, verb, noun, part_no),
    CONSTRAINT ck_bodrelay_document_query_parent_part_no CHECK (parent_part_no >= 0 AND parent_part_no < part_no),
    CONSTRAINT ck_bodrelay_document_query_path CHECK (part_no = 0 OR element_path IS NOT NULL)
);

-- The last version of each composed document, and the outbox row that it became. Written by the agent only.
CREATE TABLE bodrelay.bodrelay_variation (
    document_key nvarchar(64) NOT NULL,
    connection_point nvarchar(64) NOT NULL,
    last_variation bigint NOT NULL,
    last_entry_id bigint NULL,
    changed_at datetime2(3) NOT NULL,
    CONSTRAINT pk_bodrelay_variation PRIMARY KEY (document_key)
);

-- The outbox of a site without an I/O Box: columns as in COR_OUTBOX_ENTRY and COR_OUTBOX_HEADERS, which go before it where
-- they exist.
CREATE TABLE bodrelay.bodrelay_outbox_entry (
    C_ID bigint IDENTITY(1, 1) NOT NULL,
    C_TENANT_ID nvarchar(22) NULL,
    C_LOGICAL_ID nvarchar(250) NULL,
    C_MESSAGE_PRIORITY int NULL CONSTRAINT df_bodrelay_outbox_entry_priority DEFAULT 4,
    C_CREATED_DATE_TIME datetime2(3) NULL CONSTRAINT df_bodrelay_outbox_entry_created DEFAULT SYSUTCDATETIME(),
    C_WAS_PROCESSED smallint NULL CONSTRAINT df_bodrelay_outbox_entry_processed DEFAULT 0,
    C_XML varbinary(max) NULL,
    CONSTRAINT pk_bodrelay_outbox_entry PRIMARY KEY (C_ID)
);

CREATE TABLE bodrelay.bodrelay_outbox_header (
    C_ID bigint IDENTITY(1, 1) NOT NULL,
    C_OUTBOX_ID bigint NOT NULL,
    C_HEADER_KEY nvarchar(250) NULL,
    C_HEADER_VALUE nvarchar(250) NULL,
    CONSTRAINT pk_bodrelay_outbox_header PRIMARY KEY (C_ID)
);

CREATE INDEX ix_bodrelay_change_processed ON bodrelay.bodrelay_change (was_processed, change_id);
CREATE INDEX ix_bodrelay_change_document ON bodrelay.bodrelay_change (was_processed, document_id);
CREATE INDEX ix_bodrelay_outbox_entry_processed ON bodrelay.bodrelay_outbox_entry (C_WAS_PROCESSED, C_ID, C_TENANT_ID, C_LOGICAL_ID);
CREATE INDEX ix_bodrelay_outbox_header_entry ON bodrelay.bodrelay_outbox_header (C_OUTBOX_ID);

-- changed_at follows what a DBA changes, not what the agent writes (a trigger must be alone in its batch, hence EXEC).
EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_document_query_changed ON bodrelay.bodrelay_document_query AFTER UPDATE
AS
BEGIN
    SET NOCOUNT ON;
    IF UPDATE(refused_reason) OR UPDATE(checked_at) OR UPDATE(changed_at) RETURN;
    UPDATE t SET changed_at = SYSUTCDATETIME(), changed_by = ORIGINAL_LOGIN()
    FROM bodrelay.bodrelay_document_query AS t
    JOIN inserted AS i ON i.connection_point = t.connection_point AND i.verb = t.verb AND i.noun = t.noun AND i.part_no = t.part_no;
END');

INSERT INTO bodrelay.bodrelay_version (script_no, script_name) VALUES (4, N'004_compose');

COMMIT TRANSACTION;
