-- session:tables
-- The session's own tables: ids and rows go into them by bulk load, then one statement works on all of them. Made before
-- any transaction and kept for the session, so that no transaction holds a lock of tempdb's catalogue. COLLATE
-- DATABASE_DEFAULT, since tempdb may have another collation than the database (error 468).
CREATE TABLE #bodrelay_id (
    entry_id bigint NOT NULL PRIMARY KEY,
    flag smallint NOT NULL
);
CREATE TABLE #bodrelay_hole (
    first_id bigint NOT NULL PRIMARY KEY,
    last_id bigint NOT NULL
);
CREATE TABLE #bodrelay_key (
    message_key nvarchar(36) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY
);
CREATE TABLE #bodrelay_log (
    message_key nvarchar(36) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY,
    direction nvarchar(3) COLLATE DATABASE_DEFAULT NOT NULL,
    connection_point nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    tenant_id nvarchar(22) COLLATE DATABASE_DEFAULT NOT NULL,
    entry_id bigint NULL,
    message_id nvarchar(250) COLLATE DATABASE_DEFAULT NULL,
    verb nvarchar(30) COLLATE DATABASE_DEFAULT NULL,
    noun nvarchar(100) COLLATE DATABASE_DEFAULT NULL,
    document_id nvarchar(100) COLLATE DATABASE_DEFAULT NULL,
    accounting_entity nvarchar(22) COLLATE DATABASE_DEFAULT NULL,
    document_location nvarchar(22) COLLATE DATABASE_DEFAULT NULL,
    revision_id nvarchar(22) COLLATE DATABASE_DEFAULT NULL,
    variation_id bigint NULL,
    batch_id nvarchar(250) COLLATE DATABASE_DEFAULT NULL,
    batch_sequence bigint NULL,
    from_logical_id nvarchar(250) COLLATE DATABASE_DEFAULT NULL,
    to_logical_id nvarchar(250) COLLATE DATABASE_DEFAULT NULL,
    priority bigint NULL,
    state nvarchar(12) COLLATE DATABASE_DEFAULT NOT NULL,
    held_by nvarchar(36) COLLATE DATABASE_DEFAULT NULL,
    in_doubt bigint NULL,
    late bigint NULL,
    attempts bigint NULL,
    http_status bigint NULL,
    answer_class nvarchar(8) COLLATE DATABASE_DEFAULT NULL,
    failure_code nvarchar(60) COLLATE DATABASE_DEFAULT NULL,
    failure_text nvarchar(2000) COLLATE DATABASE_DEFAULT NULL,
    remedy nvarchar(1000) COLLATE DATABASE_DEFAULT NULL,
    document_bytes bigint NULL,
    wire_bytes bigint NULL,
    digest nvarchar(64) COLLATE DATABASE_DEFAULT NULL,
    created_at datetime2(7) NULL,
    seen_at datetime2(7) NULL,
    first_attempt_at datetime2(7) NULL,
    last_attempt_at datetime2(7) NULL,
    next_attempt_at datetime2(7) NULL,
    finished_at datetime2(7) NULL,
    host nvarchar(64) COLLATE DATABASE_DEFAULT NULL,
    updated_at datetime2(7) NULL,
    resend_of nvarchar(36) COLLATE DATABASE_DEFAULT NULL
);
CREATE TABLE #bodrelay_attempt (
    message_key nvarchar(36) COLLATE DATABASE_DEFAULT NOT NULL,
    attempt_no bigint NOT NULL,
    started_at datetime2(7) NULL,
    duration_ms bigint NULL,
    http_status bigint NULL,
    answer_class nvarchar(8) COLLATE DATABASE_DEFAULT NOT NULL,
    in_doubt bigint NULL,
    failure_code nvarchar(60) COLLATE DATABASE_DEFAULT NULL,
    answer_text nvarchar(1000) COLLATE DATABASE_DEFAULT NULL,
    host nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL,
    PRIMARY KEY (message_key, attempt_no)
);
CREATE TABLE #bodrelay_document (
    document_id nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL
);
CREATE TABLE #bodrelay_change_mark (
    change_id bigint NOT NULL PRIMARY KEY,
    document_no bigint NOT NULL
);
CREATE TABLE #bodrelay_batch (
    document_no bigint NOT NULL PRIMARY KEY,
    document_id nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL,
    accounting_entity nvarchar(100) COLLATE DATABASE_DEFAULT NOT NULL,
    document_location nvarchar(100) COLLATE DATABASE_DEFAULT NOT NULL,
    action_code nvarchar(40) COLLATE DATABASE_DEFAULT NOT NULL,
    variation_id bigint NOT NULL
);
