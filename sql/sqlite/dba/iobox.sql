-- I/O Box tables for SQLite, only for sites whose application has none.
--
-- What:   creates COR_OUTBOX_ENTRY, COR_OUTBOX_HEADERS, COR_INBOX_ENTRY and COR_INBOX_HEADERS with their indexes.
--         An application that brings its own I/O Box keeps it: do not run this there.
-- Run:    sqlite3 YOUR.db < iobox.sql            (SQLite 3.24 or newer; as a user who may write the file)
-- Locks:  one write transaction, some milliseconds.
-- Twice:  every statement fails with "already exists", and nothing changes.
-- Undo:   DROP TABLE of the four, once nobody writes to them.
--
-- C_XML is the whole document as UTF-8 bytes. It is the last column, since SQLite reads a row from the front: behind
-- a large document, a flag costs as much as the document. Times are UTC text. C_WAS_PROCESSED: 0 to do, 1 sent,
-- 9 failed (the reason is in bodrelay_message_log); the application leaves it alone.

BEGIN IMMEDIATE;

CREATE TABLE COR_OUTBOX_ENTRY (
    C_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    C_TENANT_ID TEXT,
    C_LOGICAL_ID TEXT,
    C_MESSAGE_PRIORITY INTEGER DEFAULT 4,
    C_CREATED_DATE_TIME TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    C_WAS_PROCESSED INTEGER DEFAULT 0,
    C_XML BLOB
);

CREATE TABLE COR_OUTBOX_HEADERS (
    C_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    C_OUTBOX_ID INTEGER NOT NULL,
    C_HEADER_KEY TEXT,
    C_HEADER_VALUE TEXT
);

CREATE TABLE COR_INBOX_ENTRY (
    C_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    C_TENANT_ID TEXT,
    C_LOGICAL_ID TEXT,
    C_MESSAGE_PRIORITY INTEGER DEFAULT 4,
    C_CREATED_DATE_TIME TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    C_WAS_PROCESSED INTEGER DEFAULT 0,
    C_XML BLOB
);

CREATE TABLE COR_INBOX_HEADERS (
    C_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    C_INBOX_ID INTEGER NOT NULL,
    C_HEADER_KEY TEXT,
    C_HEADER_VALUE TEXT
);

CREATE INDEX IX_COR_OUTBOX_ENTRY_PROCESSED
    ON COR_OUTBOX_ENTRY (C_WAS_PROCESSED, C_ID, C_TENANT_ID, C_LOGICAL_ID);
CREATE INDEX IX_COR_OUTBOX_HEADERS_ENTRY ON COR_OUTBOX_HEADERS (C_OUTBOX_ID);
CREATE INDEX IX_COR_INBOX_ENTRY_PROCESSED
    ON COR_INBOX_ENTRY (C_WAS_PROCESSED, C_ID, C_TENANT_ID, C_LOGICAL_ID);
CREATE INDEX IX_COR_INBOX_HEADERS_ENTRY ON COR_INBOX_HEADERS (C_INBOX_ID);

COMMIT;
