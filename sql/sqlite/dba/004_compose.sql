-- bodrelay control tables for SQLite, script 4: documents composed from rows.
--
-- What:   creates the tables for connection points with source_kind = 'rows': bodrelay_change (what the application's
--         triggers write), bodrelay_document_query (the queries that make documents), bodrelay_variation, and an outbox of
--         our own (bodrelay_outbox_entry, bodrelay_outbox_header) for sites without an I/O Box. The tables of the
--         application are not touched.
-- Run:    sqlite3 YOUR.db < 004_compose.sql      (SQLite 3.24 or newer; as a user who may write the file)
-- Locks:  one write transaction, some milliseconds; only new objects.
-- Twice:  every statement fails with "already exists" (or a UNIQUE constraint), and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP TABLE of the five, once no trigger writes to them.

BEGIN IMMEDIATE;

-- One row a change of the application's data, written by its triggers in the business transaction. No CHECK and no foreign
-- key: it must never break that transaction. What is wrong is told in refused_reason, with was_processed 9; set to 0 again
-- it is tried again. was_processed: 0 to do, 1 composed, 9 refused. entry_id, processed_at and refused_reason are written
-- by the agent.
CREATE TABLE bodrelay_change (
    change_id INTEGER PRIMARY KEY AUTOINCREMENT,
    connection_point TEXT NOT NULL,
    verb TEXT NOT NULL DEFAULT 'Sync',
    noun TEXT NOT NULL,
    document_id TEXT NOT NULL,
    accounting_entity TEXT NOT NULL DEFAULT '',
    document_location TEXT NOT NULL DEFAULT '',
    action_code TEXT NOT NULL DEFAULT 'Replace',
    priority INTEGER NOT NULL DEFAULT 4,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    was_processed INTEGER NOT NULL DEFAULT 0,
    entry_id INTEGER,
    processed_at TEXT,
    refused_reason TEXT
);

-- One query a part of a document type. It runs once for all documents of a batch, which are in the temporary table
-- bodrelay_batch (document_no, document_id, accounting_entity, document_location, action_code, variation_id); its column
-- aliases are places in the document. It is one SELECT. checked_at and refused_reason are written by the agent.
CREATE TABLE bodrelay_document_query (
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_query_connection_point
        CHECK (typeof(connection_point) = 'text' AND length(connection_point) BETWEEN 1 AND 64),
    verb TEXT NOT NULL DEFAULT '*'
        CONSTRAINT ck_bodrelay_document_query_verb CHECK (typeof(verb) = 'text' AND length(verb) BETWEEN 1 AND 30),
    noun TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_query_noun CHECK (typeof(noun) = 'text' AND length(noun) BETWEEN 1 AND 100),
    part_no INTEGER NOT NULL
        CONSTRAINT ck_bodrelay_document_query_part_no CHECK (typeof(part_no) = 'integer' AND part_no BETWEEN 0 AND 99),
    parent_part_no INTEGER
        CONSTRAINT ck_bodrelay_document_query_parent_part_no
        CHECK (parent_part_no IS NULL OR (typeof(parent_part_no) = 'integer' AND parent_part_no >= 0 AND parent_part_no < part_no)),
    element_path TEXT
        CONSTRAINT ck_bodrelay_document_query_element_path CHECK (length(element_path) <= 500),
    split_batch INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_document_query_split_batch CHECK (split_batch IN (0, 1)),
    query_text TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_query_query_text CHECK (typeof(query_text) = 'text' AND length(query_text) >= 1),
    timeout_seconds INTEGER NOT NULL DEFAULT 30
        CONSTRAINT ck_bodrelay_document_query_timeout_seconds
        CHECK (typeof(timeout_seconds) = 'integer' AND timeout_seconds BETWEEN 1 AND 600),
    max_rows INTEGER NOT NULL DEFAULT 100000
        CONSTRAINT ck_bodrelay_document_query_max_rows
        CHECK (typeof(max_rows) = 'integer' AND max_rows BETWEEN 1 AND 1000000),
    enabled INTEGER NOT NULL DEFAULT 1
        CONSTRAINT ck_bodrelay_document_query_enabled CHECK (enabled IN (0, 1)),
    description TEXT
        CONSTRAINT ck_bodrelay_document_query_description CHECK (length(description) <= 400),
    changed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by TEXT DEFAULT NULL
        CONSTRAINT ck_bodrelay_document_query_changed_by CHECK (length(changed_by) <= 128),
    checked_at TEXT,
    refused_reason TEXT
        CONSTRAINT ck_bodrelay_document_query_refused_reason CHECK (length(refused_reason) <= 1000),
    CONSTRAINT pk_bodrelay_document_query PRIMARY KEY (connection_point, verb, noun, part_no),
    CONSTRAINT ck_bodrelay_document_query_path CHECK (part_no = 0 OR element_path IS NOT NULL)
);

-- The last version of each composed document, and the outbox row that it became. Written by the agent only.
CREATE TABLE bodrelay_variation (
    document_key TEXT NOT NULL
        CONSTRAINT ck_bodrelay_variation_document_key CHECK (length(document_key) <= 64),
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_variation_connection_point CHECK (length(connection_point) <= 64),
    last_variation INTEGER NOT NULL,
    last_entry_id INTEGER,
    changed_at TEXT NOT NULL,
    CONSTRAINT pk_bodrelay_variation PRIMARY KEY (document_key)
);

-- The outbox of a site without an I/O Box: columns as in COR_OUTBOX_ENTRY and COR_OUTBOX_HEADERS, which go before it where
-- they exist.
CREATE TABLE bodrelay_outbox_entry (
    C_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    C_TENANT_ID TEXT,
    C_LOGICAL_ID TEXT,
    C_MESSAGE_PRIORITY INTEGER DEFAULT 4,
    C_CREATED_DATE_TIME TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    C_WAS_PROCESSED INTEGER DEFAULT 0,
    C_XML BLOB
);

CREATE TABLE bodrelay_outbox_header (
    C_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    C_OUTBOX_ID INTEGER NOT NULL,
    C_HEADER_KEY TEXT,
    C_HEADER_VALUE TEXT
);

CREATE INDEX ix_bodrelay_change_processed ON bodrelay_change (was_processed, change_id);
CREATE INDEX ix_bodrelay_change_document ON bodrelay_change (was_processed, document_id);
CREATE INDEX ix_bodrelay_outbox_entry_processed ON bodrelay_outbox_entry (C_WAS_PROCESSED, C_ID, C_TENANT_ID, C_LOGICAL_ID);
CREATE INDEX ix_bodrelay_outbox_header_entry ON bodrelay_outbox_header (C_OUTBOX_ID);

-- changed_at follows what a DBA changes, not what the agent writes.
CREATE TRIGGER tr_bodrelay_document_query_changed
AFTER UPDATE OF
    connection_point, verb, noun, part_no, parent_part_no, element_path, split_batch, query_text, timeout_seconds,
    max_rows, enabled, description
ON bodrelay_document_query
BEGIN
    UPDATE bodrelay_document_query SET changed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE connection_point = NEW.connection_point AND verb = NEW.verb AND noun = NEW.noun AND part_no = NEW.part_no;
END;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (4, '004_compose');

COMMIT;
