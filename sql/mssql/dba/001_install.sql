-- bodrelay control tables for SQL Server, script 1.
--
-- What:   creates the schema bodrelay with the ten control tables, their indexes, the triggers that keep changed_at, and
--         the rules of HTTP statuses. The tables of the application are not touched.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i 001_install.sql   (SQL Server 2016 or newer, any compatibility level
--         from 110 on; as a user who may create schemas and tables). One batch, no GO.
-- Locks:  one transaction, some milliseconds; only new objects.
-- Twice:  the first statement fails with "already an object named" (2714), the batch ends, and nothing changes.
-- Undo:   uninstall.sql
--
-- Another schema: replace "bodrelay." and the name in CREATE SCHEMA by yours, and name it as control_schema in
-- [[database]]. Times are UTC. Words are compared exactly in the checks; the columns keep the database's collation.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

IF SCHEMA_ID(N'bodrelay') IS NULL EXEC (N'CREATE SCHEMA bodrelay');

-- Which scripts were run. The agent reads the highest script_no.
CREATE TABLE bodrelay.bodrelay_version (
    script_no int NOT NULL,
    script_name nvarchar(100) NOT NULL,
    applied_at datetime2(3) NOT NULL CONSTRAINT df_bodrelay_version_applied_at DEFAULT SYSUTCDATETIME(),
    applied_by nvarchar(128) NULL CONSTRAINT df_bodrelay_version_applied_by DEFAULT ORIGINAL_LOGIN(),
    CONSTRAINT pk_bodrelay_version PRIMARY KEY (script_no)
);

-- One row a connection point: from which rows, to which logical id, how. refused_reason and applied_at are written
-- by the agent.
CREATE TABLE bodrelay.bodrelay_connection_point (
    connection_point nvarchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_connection_point CHECK (LEN(connection_point) >= 1),
    description nvarchar(400) NULL,
    group_name nvarchar(64) NULL,
    location_name nvarchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_location_name CHECK (LEN(location_name) >= 1),
    ion_name nvarchar(64) NOT NULL CONSTRAINT df_bodrelay_connection_point_ion_name DEFAULT N'default'
        CONSTRAINT ck_bodrelay_connection_point_ion_name CHECK (LEN(ion_name) >= 1),
    tenant_id nvarchar(22) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_tenant_id CHECK (LEN(tenant_id) >= 1),
    logical_id nvarchar(250) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_logical_id CHECK (logical_id LIKE N'lid://_%' AND logical_id <> N'lid://default'),
    source_kind nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_source_kind DEFAULT N'iobox'
        CONSTRAINT ck_bodrelay_connection_point_source_kind CHECK (source_kind COLLATE Latin1_General_BIN2 IN (N'iobox', N'rows')),
    source_tenant_id nvarchar(22) NULL,
    source_logical_id nvarchar(250) NULL,
    send_mode nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_send_mode DEFAULT N'off'
        CONSTRAINT ck_bodrelay_connection_point_send_mode CHECK (send_mode COLLATE Latin1_General_BIN2 IN (N'off', N'observe', N'on')),
    receive_mode nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_receive_mode DEFAULT N'off'
        CONSTRAINT ck_bodrelay_connection_point_receive_mode CHECK (receive_mode COLLATE Latin1_General_BIN2 IN (N'off', N'on')),
    send_rows_from datetime2(3) NULL,
    poll_seconds int NULL CONSTRAINT df_bodrelay_connection_point_poll_seconds DEFAULT 5
        CONSTRAINT ck_bodrelay_connection_point_poll_seconds CHECK (poll_seconds BETWEEN 1 AND 86400),
    poll_cron nvarchar(120) NULL,
    time_zone nvarchar(64) NOT NULL CONSTRAINT df_bodrelay_connection_point_time_zone DEFAULT N'UTC'
        CONSTRAINT ck_bodrelay_connection_point_time_zone CHECK (LEN(time_zone) >= 1),
    blackout nvarchar(400) NULL,
    batch_rows int NOT NULL CONSTRAINT df_bodrelay_connection_point_batch_rows DEFAULT 500
        CONSTRAINT ck_bodrelay_connection_point_batch_rows CHECK (batch_rows BETWEEN 1 AND 10000),
    parallel_posts int NOT NULL CONSTRAINT df_bodrelay_connection_point_parallel_posts DEFAULT 16
        CONSTRAINT ck_bodrelay_connection_point_parallel_posts CHECK (parallel_posts BETWEEN 1 AND 256),
    max_messages_per_second int NULL
        CONSTRAINT ck_bodrelay_connection_point_max_messages_per_second CHECK (max_messages_per_second >= 1),
    max_document_bytes bigint NOT NULL CONSTRAINT df_bodrelay_connection_point_max_document_bytes DEFAULT 5242880
        CONSTRAINT ck_bodrelay_connection_point_max_document_bytes CHECK (max_document_bytes BETWEEN 1024 AND 52428800),
    after_failure nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_after_failure DEFAULT N'continue'
        CONSTRAINT ck_bodrelay_connection_point_after_failure CHECK (after_failure COLLATE Latin1_General_BIN2 IN (N'continue', N'hold')),
    backoff_step_seconds int NOT NULL CONSTRAINT df_bodrelay_connection_point_backoff_step_seconds DEFAULT 10
        CONSTRAINT ck_bodrelay_connection_point_backoff_step_seconds CHECK (backoff_step_seconds >= 1),
    backoff_max_seconds int NOT NULL CONSTRAINT df_bodrelay_connection_point_backoff_max_seconds DEFAULT 600
        CONSTRAINT ck_bodrelay_connection_point_backoff_max_seconds CHECK (backoff_max_seconds >= backoff_step_seconds),
    lone_rounds int NOT NULL CONSTRAINT df_bodrelay_connection_point_lone_rounds DEFAULT 20
        CONSTRAINT ck_bodrelay_connection_point_lone_rounds CHECK (lone_rounds >= 1),
    lone_in_doubt_tries int NOT NULL CONSTRAINT df_bodrelay_connection_point_lone_in_doubt_tries DEFAULT 5
        CONSTRAINT ck_bodrelay_connection_point_lone_in_doubt_tries CHECK (lone_in_doubt_tries >= 1),
    headers_grace_seconds int NOT NULL CONSTRAINT df_bodrelay_connection_point_headers_grace_seconds DEFAULT 60
        CONSTRAINT ck_bodrelay_connection_point_headers_grace_seconds CHECK (headers_grace_seconds >= 0),
    ims_version nvarchar(4) NOT NULL CONSTRAINT df_bodrelay_connection_point_ims_version DEFAULT N'v3'
        CONSTRAINT ck_bodrelay_connection_point_ims_version CHECK (ims_version COLLATE Latin1_General_BIN2 IN (N'v2', N'v3')),
    ims_method nvarchar(20) NOT NULL CONSTRAINT df_bodrelay_connection_point_ims_method DEFAULT N'multipartMessage'
        CONSTRAINT ck_bodrelay_connection_point_ims_method CHECK (ims_method COLLATE Latin1_General_BIN2 IN (N'multipartMessage', N'message')),
    encoding nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_encoding DEFAULT N'as_is'
        CONSTRAINT ck_bodrelay_connection_point_encoding CHECK (encoding COLLATE Latin1_General_BIN2 IN (N'as_is', N'none', N'deflate')),
    check_accepted smallint NOT NULL CONSTRAINT df_bodrelay_connection_point_check_accepted DEFAULT 1
        CONSTRAINT ck_bodrelay_connection_point_check_accepted CHECK (check_accepted IN (0, 1)),
    log_messages nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_log_messages DEFAULT N'all'
        CONSTRAINT ck_bodrelay_connection_point_log_messages CHECK (log_messages COLLATE Latin1_General_BIN2 IN (N'all', N'problems')),
    log_attempts nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_connection_point_log_attempts DEFAULT N'problems'
        CONSTRAINT ck_bodrelay_connection_point_log_attempts CHECK (log_attempts COLLATE Latin1_General_BIN2 IN (N'problems', N'all')),
    log_keep_days int NOT NULL CONSTRAINT df_bodrelay_connection_point_log_keep_days DEFAULT 30
        CONSTRAINT ck_bodrelay_connection_point_log_keep_days CHECK (log_keep_days >= 1),
    outbox_keep_hours int NULL
        CONSTRAINT ck_bodrelay_connection_point_outbox_keep_hours CHECK (outbox_keep_hours >= 1),
    created_at datetime2(3) NOT NULL CONSTRAINT df_bodrelay_connection_point_created_at DEFAULT SYSUTCDATETIME(),
    created_by nvarchar(128) NULL CONSTRAINT df_bodrelay_connection_point_created_by DEFAULT ORIGINAL_LOGIN(),
    changed_at datetime2(3) NULL,
    changed_by nvarchar(128) NULL,
    refused_reason nvarchar(1000) NULL,
    applied_at datetime2(3) NULL,
    CONSTRAINT pk_bodrelay_connection_point PRIMARY KEY (connection_point),
    CONSTRAINT uq_bodrelay_connection_point_logical_id UNIQUE (tenant_id, logical_id),
    CONSTRAINT ck_bodrelay_connection_point_poll CHECK (
        (poll_seconds IS NULL AND poll_cron IS NOT NULL) OR (poll_seconds IS NOT NULL AND poll_cron IS NULL))
);

-- One row a document type of a connection point: what is not listed is not sent. accepted_by_ion, accepted_checked_at
-- and refused_reason are written by the agent.
CREATE TABLE bodrelay.bodrelay_document (
    connection_point nvarchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_document_connection_point CHECK (LEN(connection_point) >= 1),
    direction nvarchar(3) NOT NULL
        CONSTRAINT ck_bodrelay_document_direction CHECK (direction COLLATE Latin1_General_BIN2 IN (N'out', N'in')),
    verb nvarchar(30) NOT NULL
        CONSTRAINT ck_bodrelay_document_verb CHECK (LEN(verb) >= 1),
    noun nvarchar(100) NOT NULL
        CONSTRAINT ck_bodrelay_document_noun CHECK (LEN(noun) >= 1),
    enabled smallint NOT NULL CONSTRAINT df_bodrelay_document_enabled DEFAULT 1
        CONSTRAINT ck_bodrelay_document_enabled CHECK (enabled IN (0, 1)),
    namespace nvarchar(250) NULL CONSTRAINT df_bodrelay_document_namespace DEFAULT N'http://schema.infor.com/InforOAGIS/2',
    order_by nvarchar(16) NOT NULL CONSTRAINT df_bodrelay_document_order_by DEFAULT N'document'
        CONSTRAINT ck_bodrelay_document_order_by CHECK (order_by COLLATE Latin1_General_BIN2 IN (N'document', N'connection_point', N'none')),
    document_id_path nvarchar(500) NULL,
    after_failure nvarchar(8) NULL
        CONSTRAINT ck_bodrelay_document_after_failure CHECK (after_failure COLLATE Latin1_General_BIN2 IN (N'continue', N'hold')),
    max_document_bytes bigint NULL
        CONSTRAINT ck_bodrelay_document_max_document_bytes CHECK (max_document_bytes BETWEEN 1024 AND 52428800),
    duplicate_key nvarchar(20) NOT NULL CONSTRAINT df_bodrelay_document_duplicate_key DEFAULT N'message_id'
        CONSTRAINT ck_bodrelay_document_duplicate_key CHECK (duplicate_key COLLATE Latin1_General_BIN2 IN (
            N'message_id', N'document_variation', N'document_digest')),
    older_variation nvarchar(8) NOT NULL CONSTRAINT df_bodrelay_document_older_variation DEFAULT N'warn'
        CONSTRAINT ck_bodrelay_document_older_variation CHECK (older_variation COLLATE Latin1_General_BIN2 IN (N'ignore', N'warn', N'reject')),
    changed_at datetime2(3) NULL CONSTRAINT df_bodrelay_document_changed_at DEFAULT SYSUTCDATETIME(),
    changed_by nvarchar(128) NULL CONSTRAINT df_bodrelay_document_changed_by DEFAULT ORIGINAL_LOGIN(),
    accepted_by_ion smallint NULL
        CONSTRAINT ck_bodrelay_document_accepted_by_ion CHECK (accepted_by_ion IN (0, 1)),
    accepted_checked_at datetime2(3) NULL,
    refused_reason nvarchar(1000) NULL,
    CONSTRAINT pk_bodrelay_document PRIMARY KEY (connection_point, direction, verb, noun)
);

-- What an HTTP status means; '*' is for every connection point, a row with a name goes before it. Not listed: reject.
CREATE TABLE bodrelay.bodrelay_status_rule (
    connection_point nvarchar(64) NOT NULL CONSTRAINT df_bodrelay_status_rule_connection_point DEFAULT N'*'
        CONSTRAINT ck_bodrelay_status_rule_connection_point CHECK (LEN(connection_point) >= 1),
    http_status int NOT NULL
        CONSTRAINT ck_bodrelay_status_rule_http_status CHECK (http_status BETWEEN 100 AND 999 AND http_status NOT BETWEEN 200 AND 299),
    answer_class nvarchar(8) NOT NULL
        CONSTRAINT ck_bodrelay_status_rule_answer_class CHECK (answer_class COLLATE Latin1_General_BIN2 IN (N'retry', N'reject', N'suspend')),
    note nvarchar(400) NULL,
    changed_at datetime2(3) NULL CONSTRAINT df_bodrelay_status_rule_changed_at DEFAULT SYSUTCDATETIME(),
    changed_by nvarchar(128) NULL CONSTRAINT df_bodrelay_status_rule_changed_by DEFAULT ORIGINAL_LOGIN(),
    CONSTRAINT pk_bodrelay_status_rule PRIMARY KEY (connection_point, http_status)
);

-- What a DBA asks the agent to do: insert a row, read its state and result. From state on, the agent writes.
CREATE TABLE bodrelay.bodrelay_command (
    command_id bigint IDENTITY(1, 1) NOT NULL
        CONSTRAINT pk_bodrelay_command PRIMARY KEY,
    command nvarchar(30) NOT NULL
        CONSTRAINT ck_bodrelay_command_command CHECK (command COLLATE Latin1_General_BIN2 IN (
            N'pause', N'resume', N'poll_now', N'resubmit', N'discard', N'resend', N'purge_log',
            N'test_document', N'reload_credentials', N'confirm_error', N'accept_database')),
    connection_point nvarchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_command_connection_point CHECK (LEN(connection_point) >= 1),
    direction nvarchar(3) NULL
        CONSTRAINT ck_bodrelay_command_direction CHECK (direction COLLATE Latin1_General_BIN2 IN (N'out', N'in')),
    verb nvarchar(30) NULL,
    noun nvarchar(100) NULL,
    document_id nvarchar(100) NULL,
    message_key nvarchar(36) NULL,
    failure_code nvarchar(60) NULL,
    from_at datetime2(3) NULL,
    to_at datetime2(3) NULL,
    until_at datetime2(3) NULL,
    reason_code nvarchar(60) NULL,
    reason nvarchar(400) NULL,
    out_of_order smallint NOT NULL CONSTRAINT df_bodrelay_command_out_of_order DEFAULT 0
        CONSTRAINT ck_bodrelay_command_out_of_order CHECK (out_of_order IN (0, 1)),
    dry_run smallint NOT NULL CONSTRAINT df_bodrelay_command_dry_run DEFAULT 0
        CONSTRAINT ck_bodrelay_command_dry_run CHECK (dry_run IN (0, 1)),
    requested_at datetime2(3) NOT NULL CONSTRAINT df_bodrelay_command_requested_at DEFAULT SYSUTCDATETIME(),
    requested_by nvarchar(128) NULL CONSTRAINT df_bodrelay_command_requested_by DEFAULT ORIGINAL_LOGIN(),
    state nvarchar(10) NOT NULL CONSTRAINT df_bodrelay_command_state DEFAULT N'new'
        CONSTRAINT ck_bodrelay_command_state CHECK (state COLLATE Latin1_General_BIN2 IN (N'new', N'running', N'done', N'refused')),
    matched_rows bigint NULL,
    done_rows bigint NULL,
    result nvarchar(2000) NULL,
    started_at datetime2(3) NULL,
    finished_at datetime2(3) NULL,
    host nvarchar(64) NULL,
    CONSTRAINT ck_bodrelay_command_discard CHECK (command <> 'discard' OR LEN(LTRIM(COALESCE(reason, N''))) > 0),
    CONSTRAINT ck_bodrelay_command_names CHECK (command NOT IN ('resubmit', 'discard', 'resend') OR message_key IS NOT NULL OR noun IS NOT NULL OR document_id IS NOT NULL
        OR failure_code IS NOT NULL OR from_at IS NOT NULL)
);

-- One row a message: what became of it. Written by the agent only.
CREATE TABLE bodrelay.bodrelay_message_log (
    message_key nvarchar(36) NOT NULL,
    direction nvarchar(3) NOT NULL
        CONSTRAINT ck_bodrelay_message_log_direction CHECK (direction COLLATE Latin1_General_BIN2 IN (N'out', N'in')),
    connection_point nvarchar(64) NOT NULL,
    tenant_id nvarchar(22) NOT NULL,
    entry_id bigint NULL,
    message_id nvarchar(250) NULL,
    verb nvarchar(30) NULL,
    noun nvarchar(100) NULL,
    document_id nvarchar(100) NULL,
    accounting_entity nvarchar(22) NULL,
    document_location nvarchar(22) NULL,
    revision_id nvarchar(22) NULL,
    variation_id bigint NULL,
    batch_id nvarchar(250) NULL,
    batch_sequence bigint NULL,
    from_logical_id nvarchar(250) NULL,
    to_logical_id nvarchar(250) NULL,
    priority int NULL,
    state nvarchar(12) NOT NULL
        CONSTRAINT ck_bodrelay_message_log_state CHECK (state COLLATE Latin1_General_BIN2 IN (
            N'pending', N'in_flight', N'accepted', N'failed', N'discarded', N'withdrawn',
            N'superseded', N'stored', N'duplicate', N'refused')),
    held_by nvarchar(36) NULL,
    in_doubt smallint NOT NULL CONSTRAINT df_bodrelay_message_log_in_doubt DEFAULT 0
        CONSTRAINT ck_bodrelay_message_log_in_doubt CHECK (in_doubt IN (0, 1)),
    late smallint NOT NULL CONSTRAINT df_bodrelay_message_log_late DEFAULT 0
        CONSTRAINT ck_bodrelay_message_log_late CHECK (late IN (0, 1)),
    attempts int NOT NULL CONSTRAINT df_bodrelay_message_log_attempts DEFAULT 0,
    http_status int NULL,
    answer_class nvarchar(8) NULL
        CONSTRAINT ck_bodrelay_message_log_answer_class CHECK (answer_class COLLATE Latin1_General_BIN2 IN (N'accepted', N'retry', N'reject', N'suspend')),
    failure_code nvarchar(60) NULL,
    failure_text nvarchar(2000) NULL,
    remedy nvarchar(1000) NULL,
    document_bytes bigint NULL,
    wire_bytes bigint NULL,
    digest nvarchar(64) NULL,
    resend_of nvarchar(36) NULL,
    created_at datetime2(3) NULL,
    seen_at datetime2(3) NOT NULL,
    first_attempt_at datetime2(3) NULL,
    last_attempt_at datetime2(3) NULL,
    next_attempt_at datetime2(3) NULL,
    finished_at datetime2(3) NULL,
    host nvarchar(64) NULL,
    updated_at datetime2(3) NOT NULL,
    CONSTRAINT pk_bodrelay_message_log PRIMARY KEY (message_key)
);

-- One row a try that was not an immediate success. Written by the agent only.
CREATE TABLE bodrelay.bodrelay_attempt (
    message_key nvarchar(36) NOT NULL,
    attempt_no int NOT NULL,
    started_at datetime2(3) NOT NULL,
    duration_ms int NOT NULL,
    http_status int NULL,
    answer_class nvarchar(8) NOT NULL
        CONSTRAINT ck_bodrelay_attempt_answer_class CHECK (answer_class COLLATE Latin1_General_BIN2 IN (N'accepted', N'retry', N'reject', N'suspend')),
    in_doubt smallint NOT NULL CONSTRAINT df_bodrelay_attempt_in_doubt DEFAULT 0
        CONSTRAINT ck_bodrelay_attempt_in_doubt CHECK (in_doubt IN (0, 1)),
    failure_code nvarchar(60) NULL,
    answer_text nvarchar(1000) NULL,
    host nvarchar(64) NOT NULL,
    CONSTRAINT pk_bodrelay_attempt PRIMARY KEY (message_key, attempt_no)
);

-- How each connection point fares, and which agent serves it. Written by the agent only.
CREATE TABLE bodrelay.bodrelay_status (
    connection_point nvarchar(64) NOT NULL,
    direction nvarchar(3) NOT NULL
        CONSTRAINT ck_bodrelay_status_direction CHECK (direction COLLATE Latin1_General_BIN2 IN (N'out', N'in')),
    state nvarchar(14) NOT NULL
        CONSTRAINT ck_bodrelay_status_state CHECK (state COLLATE Latin1_General_BIN2 IN (
            N'running', N'observing', N'waiting', N'blackout', N'paused', N'backoff',
            N'suspended', N'misconfigured', N'off', N'stopped')),
    state_since datetime2(3) NOT NULL,
    state_reason nvarchar(1000) NULL,
    waiting_rows bigint NOT NULL CONSTRAINT df_bodrelay_status_waiting_rows DEFAULT 0,
    waiting_capped smallint NOT NULL CONSTRAINT df_bodrelay_status_waiting_capped DEFAULT 0
        CONSTRAINT ck_bodrelay_status_waiting_capped CHECK (waiting_capped IN (0, 1)),
    oldest_waiting_at datetime2(3) NULL,
    in_flight_rows bigint NOT NULL CONSTRAINT df_bodrelay_status_in_flight_rows DEFAULT 0,
    held_rows bigint NOT NULL CONSTRAINT df_bodrelay_status_held_rows DEFAULT 0,
    failed_rows bigint NOT NULL CONSTRAINT df_bodrelay_status_failed_rows DEFAULT 0,
    in_doubt_rows bigint NOT NULL CONSTRAINT df_bodrelay_status_in_doubt_rows DEFAULT 0,
    accepted_total bigint NOT NULL CONSTRAINT df_bodrelay_status_accepted_total DEFAULT 0,
    failed_total bigint NOT NULL CONSTRAINT df_bodrelay_status_failed_total DEFAULT 0,
    duplicate_total bigint NOT NULL CONSTRAINT df_bodrelay_status_duplicate_total DEFAULT 0,
    last_accepted_at datetime2(3) NULL,
    last_failure_at datetime2(3) NULL,
    last_failure nvarchar(1000) NULL,
    last_poll_at datetime2(3) NULL,
    next_poll_at datetime2(3) NULL,
    settings_read_at datetime2(3) NULL,
    host nvarchar(64) NOT NULL,
    owner_journal_id nvarchar(36) NOT NULL,
    agent_version nvarchar(20) NOT NULL,
    started_at datetime2(3) NOT NULL,
    heartbeat_at datetime2(3) NOT NULL,
    CONSTRAINT pk_bodrelay_status PRIMARY KEY (connection_point, direction)
);

-- What somebody should look at, with what to do. Written by the agent but for the acknowledged_ columns.
CREATE TABLE bodrelay.bodrelay_finding (
    finding_id bigint IDENTITY(1, 1) NOT NULL
        CONSTRAINT pk_bodrelay_finding PRIMARY KEY,
    code nvarchar(60) NOT NULL,
    severity nvarchar(8) NOT NULL
        CONSTRAINT ck_bodrelay_finding_severity CHECK (severity COLLATE Latin1_General_BIN2 IN (N'info', N'warning', N'error')),
    connection_point nvarchar(64) NULL,
    subject nvarchar(300) NOT NULL,
    finding_text nvarchar(2000) NOT NULL,
    remedy nvarchar(2000) NOT NULL,
    since datetime2(3) NOT NULL,
    last_seen_at datetime2(3) NOT NULL,
    seen_count bigint NOT NULL CONSTRAINT df_bodrelay_finding_seen_count DEFAULT 1,
    cleared_at datetime2(3) NULL,
    host nvarchar(64) NOT NULL,
    acknowledged_at datetime2(3) NULL,
    acknowledged_by nvarchar(128) NULL,
    acknowledged_until datetime2(3) NULL
);

-- One row an agent that served this database. Written by the agent only.
CREATE TABLE bodrelay.bodrelay_host (
    host nvarchar(64) NOT NULL,
    location_name nvarchar(64) NOT NULL,
    journal_id nvarchar(36) NOT NULL,
    database_fingerprint nvarchar(200) NOT NULL,
    epoch bigint NOT NULL,
    agent_version nvarchar(20) NOT NULL,
    script_needed int NOT NULL,
    operating_system nvarchar(100) NULL,
    process_id int NULL,
    state nvarchar(10) NOT NULL
        CONSTRAINT ck_bodrelay_host_state CHECK (state COLLATE Latin1_General_BIN2 IN (N'running', N'stopping', N'stopped', N'refused')),
    refused_reason nvarchar(1000) NULL,
    started_at datetime2(3) NOT NULL,
    heartbeat_at datetime2(3) NOT NULL,
    CONSTRAINT pk_bodrelay_host PRIMARY KEY (host),
    CONSTRAINT uq_bodrelay_host_journal_id UNIQUE (journal_id)
);

CREATE INDEX ix_bodrelay_command_state ON bodrelay.bodrelay_command (state, command_id);
CREATE INDEX ix_bodrelay_message_log_state ON bodrelay.bodrelay_message_log (connection_point, state, seen_at);
CREATE INDEX ix_bodrelay_message_log_message_id ON bodrelay.bodrelay_message_log (message_id);
CREATE INDEX ix_bodrelay_message_log_document ON bodrelay.bodrelay_message_log (noun, document_id, seen_at);
CREATE INDEX ix_bodrelay_message_log_created ON bodrelay.bodrelay_message_log (created_at);
CREATE INDEX ix_bodrelay_finding_open ON bodrelay.bodrelay_finding (cleared_at, severity, since);
CREATE INDEX ix_bodrelay_finding_subject ON bodrelay.bodrelay_finding (code, subject);

-- changed_at follows what a DBA changes, not what the agent writes (a trigger must be alone in its batch, hence EXEC).
EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_connection_point_changed ON bodrelay.bodrelay_connection_point AFTER UPDATE
AS
BEGIN
    SET NOCOUNT ON;
    IF UPDATE(refused_reason) OR UPDATE(applied_at) OR UPDATE(changed_at) RETURN;
    UPDATE t SET changed_at = SYSUTCDATETIME(), changed_by = ORIGINAL_LOGIN()
    FROM bodrelay.bodrelay_connection_point AS t JOIN inserted AS i ON i.connection_point = t.connection_point;
END');

EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_document_changed ON bodrelay.bodrelay_document AFTER UPDATE
AS
BEGIN
    SET NOCOUNT ON;
    IF UPDATE(refused_reason) OR UPDATE(accepted_by_ion) OR UPDATE(accepted_checked_at) OR UPDATE(changed_at) RETURN;
    UPDATE t SET changed_at = SYSUTCDATETIME(), changed_by = ORIGINAL_LOGIN()
    FROM bodrelay.bodrelay_document AS t JOIN inserted AS i ON i.connection_point = t.connection_point AND i.direction = t.direction AND i.verb = t.verb AND i.noun = t.noun;
END');

EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_status_rule_changed ON bodrelay.bodrelay_status_rule AFTER UPDATE
AS
BEGIN
    SET NOCOUNT ON;
    IF UPDATE(changed_at) RETURN;
    UPDATE t SET changed_at = SYSUTCDATETIME(), changed_by = ORIGINAL_LOGIN()
    FROM bodrelay.bodrelay_status_rule AS t JOIN inserted AS i ON i.connection_point = t.connection_point AND i.http_status = t.http_status;
END');

INSERT INTO bodrelay.bodrelay_status_rule (connection_point, http_status, answer_class, note)
VALUES
    (N'*', 300, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 300'),
    (N'*', 301, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 301'),
    (N'*', 302, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 302'),
    (N'*', 303, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 303'),
    (N'*', 304, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 304'),
    (N'*', 305, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 305'),
    (N'*', 306, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 306'),
    (N'*', 307, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 307'),
    (N'*', 308, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 308'),
    (N'*', 401, N'retry', N'ION''s own list'),
    (N'*', 403, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 403'),
    (N'*', 404, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 404'),
    (N'*', 405, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 405'),
    (N'*', 407, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 407'),
    (N'*', 408, N'retry', N'a gateway''s answer; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 408'),
    (N'*', 410, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 410'),
    (N'*', 412, N'suspend', N'the type waits instead of failing; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 412'),
    (N'*', 429, N'retry', N'a gateway''s answer; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 429'),
    (N'*', 500, N'retry', N'ION''s own list'),
    (N'*', 502, N'retry', N'a gateway''s answer; strict as ION: UPDATE bodrelay.bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 502'),
    (N'*', 503, N'retry', N'ION''s own list'),
    (N'*', 504, N'retry', N'ION''s own list');

INSERT INTO bodrelay.bodrelay_version (script_no, script_name) VALUES (1, N'001_install');

COMMIT TRANSACTION;
