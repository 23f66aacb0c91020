-- session:inbox_tables
-- The own tables of the session that stores what is received, beside those of tables.sql and made like them.
CREATE TABLE #bodrelay_mark (
    place bigint NOT NULL PRIMARY KEY,
    receipt_key nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    receipt_key_of_bytes nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    connection_point nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    source_part nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
    from_logical_id nvarchar(250) COLLATE DATABASE_DEFAULT NOT NULL,
    document_name nvarchar(131) COLLATE DATABASE_DEFAULT NOT NULL,
    digest nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    document_key nvarchar(64) COLLATE DATABASE_DEFAULT NULL
);
CREATE TABLE #bodrelay_header (
    place bigint NOT NULL PRIMARY KEY,
    entry_id bigint NOT NULL,
    header_key nvarchar(250) COLLATE DATABASE_DEFAULT NOT NULL,
    header_value nvarchar(4000) COLLATE DATABASE_DEFAULT NOT NULL
);
CREATE TABLE #bodrelay_receipt (
    receipt_key nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY,
    connection_point nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    message_id nvarchar(250) COLLATE DATABASE_DEFAULT NOT NULL,
    source_part nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
    from_logical_id nvarchar(250) COLLATE DATABASE_DEFAULT NOT NULL,
    document_name nvarchar(131) COLLATE DATABASE_DEFAULT NOT NULL,
    digest nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    entry_id bigint NOT NULL,
    received_at datetime2(7) NULL
);
CREATE TABLE #bodrelay_received_document (
    document_key nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY,
    connection_point nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    noun nvarchar(100) COLLATE DATABASE_DEFAULT NOT NULL,
    document_id nvarchar(100) COLLATE DATABASE_DEFAULT NOT NULL,
    variation_id bigint NULL,
    digest nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    entry_id bigint NOT NULL,
    received_at datetime2(7) NULL
);
