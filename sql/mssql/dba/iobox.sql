-- I/O Box tables for SQL Server, only for sites whose application has none.
--
-- What:   creates COR_OUTBOX_ENTRY, COR_OUTBOX_HEADERS, COR_INBOX_ENTRY and COR_INBOX_HEADERS with their indexes, in the
--         schema of the user who runs it (usually dbo). An application that brings its own I/O Box keeps it: do not run
--         this there.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i iobox.sql   (SQL Server 2016 or newer). One batch, no GO.
-- Locks:  one transaction, some milliseconds; only new objects.
-- Twice:  the first statement fails with "already an object named" (2714), the batch ends, and nothing changes.
-- Undo:   DROP TABLE of the four, once nobody writes to them.
--
-- C_XML is the whole document as UTF-8 bytes; the agent reads text and xml columns, too. Times are UTC. C_WAS_PROCESSED:
-- 0 to do, 1 sent, 9 failed (the reason is in bodrelay_message_log); the application leaves it alone. The indexes are
-- plain: a filtered one would break sessions of the application with QUOTED_IDENTIFIER OFF (error 1934).

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

CREATE TABLE COR_OUTBOX_ENTRY (
    C_ID bigint IDENTITY(1, 1) NOT NULL
        CONSTRAINT PK_COR_OUTBOX_ENTRY PRIMARY KEY,
    C_TENANT_ID nvarchar(22) NULL,
    C_LOGICAL_ID nvarchar(250) NULL,
    C_MESSAGE_PRIORITY int NULL CONSTRAINT DF_COR_OUTBOX_ENTRY_PRIORITY DEFAULT 4,
    C_CREATED_DATE_TIME datetime2(3) NULL CONSTRAINT DF_COR_OUTBOX_ENTRY_CREATED DEFAULT SYSUTCDATETIME(),
    C_WAS_PROCESSED smallint NULL CONSTRAINT DF_COR_OUTBOX_ENTRY_PROCESSED DEFAULT 0,
    C_XML varbinary(max) NULL
);

CREATE TABLE COR_OUTBOX_HEADERS (
    C_ID bigint IDENTITY(1, 1) NOT NULL
        CONSTRAINT PK_COR_OUTBOX_HEADERS PRIMARY KEY,
    C_OUTBOX_ID bigint NOT NULL,
    C_HEADER_KEY nvarchar(250) NULL,
    C_HEADER_VALUE nvarchar(250) NULL
);

CREATE TABLE COR_INBOX_ENTRY (
    C_ID bigint IDENTITY(1, 1) NOT NULL
        CONSTRAINT PK_COR_INBOX_ENTRY PRIMARY KEY,
    C_TENANT_ID nvarchar(22) NULL,
    C_LOGICAL_ID nvarchar(250) NULL,
    C_MESSAGE_PRIORITY int NULL CONSTRAINT DF_COR_INBOX_ENTRY_PRIORITY DEFAULT 4,
    C_CREATED_DATE_TIME datetime2(3) NULL CONSTRAINT DF_COR_INBOX_ENTRY_CREATED DEFAULT SYSUTCDATETIME(),
    C_WAS_PROCESSED smallint NULL CONSTRAINT DF_COR_INBOX_ENTRY_PROCESSED DEFAULT 0,
    C_XML varbinary(max) NULL
);

CREATE TABLE COR_INBOX_HEADERS (
    C_ID bigint IDENTITY(1, 1) NOT NULL
        CONSTRAINT PK_COR_INBOX_HEADERS PRIMARY KEY,
    C_INBOX_ID bigint NOT NULL,
    C_HEADER_KEY nvarchar(250) NULL,
    C_HEADER_VALUE nvarchar(250) NULL
);

CREATE INDEX IX_COR_OUTBOX_ENTRY_PROCESSED ON COR_OUTBOX_ENTRY (C_WAS_PROCESSED, C_ID, C_TENANT_ID, C_LOGICAL_ID);
CREATE INDEX IX_COR_OUTBOX_HEADERS_ENTRY ON COR_OUTBOX_HEADERS (C_OUTBOX_ID);
CREATE INDEX IX_COR_INBOX_ENTRY_PROCESSED ON COR_INBOX_ENTRY (C_WAS_PROCESSED, C_ID, C_TENANT_ID, C_LOGICAL_ID);
CREATE INDEX IX_COR_INBOX_HEADERS_ENTRY ON COR_INBOX_HEADERS (C_INBOX_ID);

COMMIT TRANSACTION;
