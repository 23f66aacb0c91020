-- bodrelay control tables for PostgreSQL, script 1.
--
-- What:   creates the schema bodrelay and in it the ten control tables with their indexes, the trigger function that
--         keeps changed_at, and the rules of HTTP statuses. The tables of the application are not touched.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f 001_install.sql      (PostgreSQL 13 or newer; as a role that may
--         create a schema; it owns the tables, and the agent's role gets its rights from grants.sql)
--         Another schema: replace "bodrelay" in the two lines below, and set control_schema in [[database]] to it.
-- Locks:  one transaction, some milliseconds; nothing of the application's.
-- Twice:  every statement fails with "already exists", and nothing changes.
-- Undo:   uninstall.sql

BEGIN;

CREATE SCHEMA bodrelay;
SET LOCAL search_path = bodrelay;

-- Which scripts were run. The agent reads the highest script_no.
CREATE TABLE bodrelay_version (
    script_no integer NOT NULL,
    script_name varchar(100) NOT NULL,
    applied_at timestamptz(3) NOT NULL DEFAULT now(),
    applied_by varchar(128) DEFAULT session_user,
    CONSTRAINT pk_bodrelay_version PRIMARY KEY (script_no)
);

-- One row a connection point: from which rows, to which logical id, how. refused_reason and applied_at are written
-- by the agent.
CREATE TABLE bodrelay_connection_point (
    connection_point varchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_connection_point CHECK (connection_point <> ''),
    description varchar(400),
    group_name varchar(64),
    location_name varchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_location_name CHECK (location_name <> ''),
    ion_name varchar(64) NOT NULL DEFAULT 'default'
        CONSTRAINT ck_bodrelay_connection_point_ion_name CHECK (ion_name <> ''),
    tenant_id varchar(22) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_tenant_id CHECK (tenant_id <> ''),
    logical_id varchar(250) NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_logical_id CHECK (logical_id LIKE 'lid://_%' AND logical_id <> 'lid://default'),
    source_kind varchar(8) NOT NULL DEFAULT 'iobox'
        CONSTRAINT ck_bodrelay_connection_point_source_kind CHECK (source_kind IN ('iobox', 'rows')),
    source_tenant_id varchar(22),
    source_logical_id varchar(250),
    send_mode varchar(8) NOT NULL DEFAULT 'off'
        CONSTRAINT ck_bodrelay_connection_point_send_mode CHECK (send_mode IN ('off', 'observe', 'on')),
    receive_mode varchar(8) NOT NULL DEFAULT 'off'
        CONSTRAINT ck_bodrelay_connection_point_receive_mode CHECK (receive_mode IN ('off', 'on')),
    send_rows_from timestamptz(3),
    poll_seconds integer DEFAULT 5
        CONSTRAINT ck_bodrelay_connection_point_poll_seconds CHECK (poll_seconds BETWEEN 1 AND 86400),
    poll_cron varchar(120),
    time_zone varchar(64) NOT NULL DEFAULT 'UTC'
        CONSTRAINT ck_bodrelay_connection_point_time_zone CHECK (time_zone <> ''),
    blackout varchar(400),
    batch_rows integer NOT NULL DEFAULT 500
        CONSTRAINT ck_bodrelay_connection_point_batch_rows CHECK (batch_rows BETWEEN 1 AND 10000),
    parallel_posts integer NOT NULL DEFAULT 16
        CONSTRAINT ck_bodrelay_connection_point_parallel_posts CHECK (parallel_posts BETWEEN 1 AND 256),
    max_messages_per_second integer
        CONSTRAINT ck_bodrelay_connection_point_max_messages_per_second CHECK (max_messages_per_second >= 1),
    max_document_bytes bigint NOT NULL DEFAULT 5242880
        CONSTRAINT ck_bodrelay_connection_point_max_document_bytes CHECK (max_document_bytes BETWEEN 1024 AND 52428800),
    after_failure varchar(8) NOT NULL DEFAULT 'continue'
        CONSTRAINT ck_bodrelay_connection_point_after_failure CHECK (after_failure IN ('continue', 'hold')),
    backoff_step_seconds integer NOT NULL DEFAULT 10
        CONSTRAINT ck_bodrelay_connection_point_backoff_step_seconds CHECK (backoff_step_seconds >= 1),
    backoff_max_seconds integer NOT NULL DEFAULT 600
        CONSTRAINT ck_bodrelay_connection_point_backoff_max_seconds CHECK (backoff_max_seconds >= backoff_step_seconds),
    lone_rounds integer NOT NULL DEFAULT 20
        CONSTRAINT ck_bodrelay_connection_point_lone_rounds CHECK (lone_rounds >= 1),
    lone_in_doubt_tries integer NOT NULL DEFAULT 5
        CONSTRAINT ck_bodrelay_connection_point_lone_in_doubt_tries CHECK (lone_in_doubt_tries >= 1),
    headers_grace_seconds integer NOT NULL DEFAULT 60
        CONSTRAINT ck_bodrelay_connection_point_headers_grace_seconds CHECK (headers_grace_seconds >= 0),
    ims_version varchar(4) NOT NULL DEFAULT 'v3'
        CONSTRAINT ck_bodrelay_connection_point_ims_version CHECK (ims_version IN ('v2', 'v3')),
    ims_method varchar(20) NOT NULL DEFAULT 'multipartMessage'
        CONSTRAINT ck_bodrelay_connection_point_ims_method CHECK (ims_method IN ('multipartMessage', 'message')),
    encoding varchar(8) NOT NULL DEFAULT 'as_is'
        CONSTRAINT ck_bodrelay_connection_point_encoding CHECK (encoding IN ('as_is', 'none', 'deflate')),
    check_accepted smallint NOT NULL DEFAULT 1
        CONSTRAINT ck_bodrelay_connection_point_check_accepted CHECK (check_accepted IN (0, 1)),
    log_messages varchar(8) NOT NULL DEFAULT 'all'
        CONSTRAINT ck_bodrelay_connection_point_log_messages CHECK (log_messages IN ('all', 'problems')),
    log_attempts varchar(8) NOT NULL DEFAULT 'problems'
        CONSTRAINT ck_bodrelay_connection_point_log_attempts CHECK (log_attempts IN ('problems', 'all')),
    log_keep_days integer NOT NULL DEFAULT 30
        CONSTRAINT ck_bodrelay_connection_point_log_keep_days CHECK (log_keep_days >= 1),
    outbox_keep_hours integer
        CONSTRAINT ck_bodrelay_connection_point_outbox_keep_hours CHECK (outbox_keep_hours >= 1),
    created_at timestamptz(3) NOT NULL DEFAULT now(),
    created_by varchar(128) DEFAULT session_user,
    changed_at timestamptz(3),
    changed_by varchar(128),
    refused_reason varchar(1000),
    applied_at timestamptz(3),
    CONSTRAINT pk_bodrelay_connection_point PRIMARY KEY (connection_point),
    CONSTRAINT uq_bodrelay_connection_point_logical_id UNIQUE (tenant_id, logical_id),
    CONSTRAINT ck_bodrelay_connection_point_poll CHECK ((poll_seconds IS NULL) <> (poll_cron IS NULL))
);

-- One row a document type of a connection point: what is not listed is not sent. accepted_by_ion, accepted_checked_at
-- and refused_reason are written by the agent.
CREATE TABLE bodrelay_document (
    connection_point varchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_document_connection_point CHECK (connection_point <> ''),
    direction varchar(3) NOT NULL
        CONSTRAINT ck_bodrelay_document_direction CHECK (direction IN ('out', 'in')),
    verb varchar(30) NOT NULL
        CONSTRAINT ck_bodrelay_document_verb CHECK (verb <> ''),
    noun varchar(100) NOT NULL
        CONSTRAINT ck_bodrelay_document_noun CHECK (noun <> ''),
    enabled smallint NOT NULL DEFAULT 1
        CONSTRAINT ck_bodrelay_document_enabled CHECK (enabled IN (0, 1)),
    namespace varchar(250) DEFAULT 'http://schema.infor.com/InforOAGIS/2',
    order_by varchar(16) NOT NULL DEFAULT 'document'
        CONSTRAINT ck_bodrelay_document_order_by CHECK (order_by IN ('document', 'connection_point', 'none')),
    document_id_path varchar(500),
    after_failure varchar(8)
        CONSTRAINT ck_bodrelay_document_after_failure CHECK (after_failure IN ('continue', 'hold')),
    max_document_bytes bigint
        CONSTRAINT ck_bodrelay_document_max_document_bytes CHECK (max_document_bytes BETWEEN 1024 AND 52428800),
    duplicate_key varchar(20) NOT NULL DEFAULT 'message_id'
        CONSTRAINT ck_bodrelay_document_duplicate_key CHECK (duplicate_key IN ('message_id', 'document_variation', 'document_digest')),
    older_variation varchar(8) NOT NULL DEFAULT 'warn'
        CONSTRAINT ck_bodrelay_document_older_variation CHECK (older_variation IN ('ignore', 'warn', 'reject')),
    changed_at timestamptz(3) DEFAULT now(),
    changed_by varchar(128) DEFAULT session_user,
    accepted_by_ion smallint
        CONSTRAINT ck_bodrelay_document_accepted_by_ion CHECK (accepted_by_ion IN (0, 1)),
    accepted_checked_at timestamptz(3),
    refused_reason varchar(1000),
    CONSTRAINT pk_bodrelay_document PRIMARY KEY (connection_point, direction, verb, noun)
);

-- What an HTTP status means; '*' is for every connection point, a row with a name goes before it. Not listed: reject.
CREATE TABLE bodrelay_status_rule (
    connection_point varchar(64) NOT NULL DEFAULT '*'
        CONSTRAINT ck_bodrelay_status_rule_connection_point CHECK (connection_point <> ''),
    http_status integer NOT NULL
        CONSTRAINT ck_bodrelay_status_rule_http_status CHECK (http_status BETWEEN 100 AND 999 AND http_status NOT BETWEEN 200 AND 299),
    answer_class varchar(8) NOT NULL
        CONSTRAINT ck_bodrelay_status_rule_answer_class CHECK (answer_class IN ('retry', 'reject', 'suspend')),
    note varchar(400),
    changed_at timestamptz(3) DEFAULT now(),
    changed_by varchar(128) DEFAULT session_user,
    CONSTRAINT pk_bodrelay_status_rule PRIMARY KEY (connection_point, http_status)
);

-- What a DBA asks the agent to do: insert a row, read its state and result. From state on, the agent writes.
CREATE TABLE bodrelay_command (
    command_id bigint GENERATED BY DEFAULT AS IDENTITY
        CONSTRAINT pk_bodrelay_command PRIMARY KEY,
    command varchar(30) NOT NULL
        CONSTRAINT ck_bodrelay_command_command CHECK (command IN ('pause', 'resume', 'poll_now', 'resubmit', 'discard', 'resend', 'purge_log', 'test_document', 'reload_credentials', 'confirm_error', 'accept_database')),
    connection_point varchar(64) NOT NULL
        CONSTRAINT ck_bodrelay_command_connection_point CHECK (connection_point <> ''),
    direction varchar(3)
        CONSTRAINT ck_bodrelay_command_direction CHECK (direction IN ('out', 'in')),
    verb varchar(30),
    noun varchar(100),
    document_id varchar(100),
    message_key varchar(36),
    failure_code varchar(60),
    from_at timestamptz(3),
    to_at timestamptz(3),
    until_at timestamptz(3),
    reason_code varchar(60),
    reason varchar(400),
    out_of_order smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_command_out_of_order CHECK (out_of_order IN (0, 1)),
    dry_run smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_command_dry_run CHECK (dry_run IN (0, 1)),
    requested_at timestamptz(3) NOT NULL DEFAULT now(),
    requested_by varchar(128) DEFAULT session_user,
    state varchar(10) NOT NULL DEFAULT 'new'
        CONSTRAINT ck_bodrelay_command_state CHECK (state IN ('new', 'running', 'done', 'refused')),
    matched_rows bigint,
    done_rows bigint,
    result varchar(2000),
    started_at timestamptz(3),
    finished_at timestamptz(3),
    host varchar(64),
    CONSTRAINT ck_bodrelay_command_discard CHECK (command <> 'discard' OR length(btrim(coalesce(reason, ''))) > 0),
    CONSTRAINT ck_bodrelay_command_names CHECK (command NOT IN ('resubmit', 'discard', 'resend') OR num_nonnulls(message_key, noun, document_id, failure_code, from_at) > 0)
);

-- One row a message: what became of it. Written by the agent only.
CREATE TABLE bodrelay_message_log (
    message_key varchar(36) NOT NULL,
    direction varchar(3) NOT NULL
        CONSTRAINT ck_bodrelay_message_log_direction CHECK (direction IN ('out', 'in')),
    connection_point varchar(64) NOT NULL,
    tenant_id varchar(22) NOT NULL,
    entry_id bigint,
    message_id varchar(250),
    verb varchar(30),
    noun varchar(100),
    document_id varchar(100),
    accounting_entity varchar(22),
    document_location varchar(22),
    revision_id varchar(22),
    variation_id bigint,
    batch_id varchar(250),
    batch_sequence bigint,
    from_logical_id varchar(250),
    to_logical_id varchar(250),
    priority integer,
    state varchar(12) NOT NULL
        CONSTRAINT ck_bodrelay_message_log_state CHECK (state IN ('pending', 'in_flight', 'accepted', 'failed', 'discarded', 'withdrawn', 'superseded', 'stored', 'duplicate', 'refused')),
    held_by varchar(36),
    in_doubt smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_message_log_in_doubt CHECK (in_doubt IN (0, 1)),
    late smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_message_log_late CHECK (late IN (0, 1)),
    attempts integer NOT NULL DEFAULT 0,
    http_status integer,
    answer_class varchar(8)
        CONSTRAINT ck_bodrelay_message_log_answer_class CHECK (answer_class IN ('accepted', 'retry', 'reject', 'suspend')),
    failure_code varchar(60),
    failure_text varchar(2000),
    remedy varchar(1000),
    document_bytes bigint,
    wire_bytes bigint,
    digest varchar(64),
    resend_of varchar(36),
    created_at timestamptz(3),
    seen_at timestamptz(3) NOT NULL,
    first_attempt_at timestamptz(3),
    last_attempt_at timestamptz(3),
    next_attempt_at timestamptz(3),
    finished_at timestamptz(3),
    host varchar(64),
    updated_at timestamptz(3) NOT NULL,
    CONSTRAINT pk_bodrelay_message_log PRIMARY KEY (message_key)
);

-- One row a try that was not an immediate success. Written by the agent only.
CREATE TABLE bodrelay_attempt (
    message_key varchar(36) NOT NULL,
    attempt_no integer NOT NULL,
    started_at timestamptz(3) NOT NULL,
    duration_ms integer NOT NULL,
    http_status integer,
    answer_class varchar(8) NOT NULL
        CONSTRAINT ck_bodrelay_attempt_answer_class CHECK (answer_class IN ('accepted', 'retry', 'reject', 'suspend')),
    in_doubt smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_attempt_in_doubt CHECK (in_doubt IN (0, 1)),
    failure_code varchar(60),
    answer_text varchar(1000),
    host varchar(64) NOT NULL,
    CONSTRAINT pk_bodrelay_attempt PRIMARY KEY (message_key, attempt_no)
);

-- How each connection point fares, and which agent serves it. Written by the agent only.
CREATE TABLE bodrelay_status (
    connection_point varchar(64) NOT NULL,
    direction varchar(3) NOT NULL
        CONSTRAINT ck_bodrelay_status_direction CHECK (direction IN ('out', 'in')),
    state varchar(14) NOT NULL
        CONSTRAINT ck_bodrelay_status_state CHECK (state IN ('running', 'observing', 'waiting', 'blackout', 'paused', 'backoff', 'suspended', 'misconfigured', 'off', 'stopped')),
    state_since timestamptz(3) NOT NULL,
    state_reason varchar(1000),
    waiting_rows bigint NOT NULL DEFAULT 0,
    waiting_capped smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_status_waiting_capped CHECK (waiting_capped IN (0, 1)),
    oldest_waiting_at timestamptz(3),
    in_flight_rows bigint NOT NULL DEFAULT 0,
    held_rows bigint NOT NULL DEFAULT 0,
    failed_rows bigint NOT NULL DEFAULT 0,
    in_doubt_rows bigint NOT NULL DEFAULT 0,
    accepted_total bigint NOT NULL DEFAULT 0,
    failed_total bigint NOT NULL DEFAULT 0,
    duplicate_total bigint NOT NULL DEFAULT 0,
    last_accepted_at timestamptz(3),
    last_failure_at timestamptz(3),
    last_failure varchar(1000),
    last_poll_at timestamptz(3),
    next_poll_at timestamptz(3),
    settings_read_at timestamptz(3),
    host varchar(64) NOT NULL,
    owner_journal_id varchar(36) NOT NULL,
    agent_version varchar(20) NOT NULL,
    started_at timestamptz(3) NOT NULL,
    heartbeat_at timestamptz(3) NOT NULL,
    CONSTRAINT pk_bodrelay_status PRIMARY KEY (connection_point, direction)
);

-- What somebody should look at, with what to do. Written by the agent but for the acknowledged_ columns.
CREATE TABLE bodrelay_finding (
    finding_id bigint GENERATED BY DEFAULT AS IDENTITY
        CONSTRAINT pk_bodrelay_finding PRIMARY KEY,
    code varchar(60) NOT NULL,
    severity varchar(8) NOT NULL
        CONSTRAINT ck_bodrelay_finding_severity CHECK (severity IN ('info', 'warning', 'error')),
    connection_point varchar(64),
    subject varchar(300) NOT NULL,
    finding_text varchar(2000) NOT NULL,
    remedy varchar(2000) NOT NULL,
    since timestamptz(3) NOT NULL,
    last_seen_at timestamptz(3) NOT NULL,
    seen_count bigint NOT NULL DEFAULT 1,
    cleared_at timestamptz(3),
    host varchar(64) NOT NULL,
    acknowledged_at timestamptz(3),
    acknowledged_by varchar(128),
    acknowledged_until timestamptz(3)
);

-- One row an agent that served this database. Written by the agent only.
CREATE TABLE bodrelay_host (
    host varchar(64) NOT NULL,
    location_name varchar(64) NOT NULL,
    journal_id varchar(36) NOT NULL,
    database_fingerprint varchar(200) NOT NULL,
    epoch bigint NOT NULL,
    agent_version varchar(20) NOT NULL,
    script_needed integer NOT NULL,
    operating_system varchar(100),
    process_id integer,
    state varchar(10) NOT NULL
        CONSTRAINT ck_bodrelay_host_state CHECK (state IN ('running', 'stopping', 'stopped', 'refused')),
    refused_reason varchar(1000),
    started_at timestamptz(3) NOT NULL,
    heartbeat_at timestamptz(3) NOT NULL,
    CONSTRAINT pk_bodrelay_host PRIMARY KEY (host),
    CONSTRAINT uq_bodrelay_host_journal_id UNIQUE (journal_id)
);

CREATE INDEX ix_bodrelay_command_state ON bodrelay_command (state, command_id);
CREATE INDEX ix_bodrelay_message_log_state ON bodrelay_message_log (connection_point, state, seen_at);
CREATE INDEX ix_bodrelay_message_log_message_id ON bodrelay_message_log (message_id);
CREATE INDEX ix_bodrelay_message_log_document ON bodrelay_message_log (noun, document_id, seen_at);
CREATE INDEX ix_bodrelay_message_log_created ON bodrelay_message_log (created_at);
CREATE INDEX ix_bodrelay_finding_open ON bodrelay_finding (cleared_at, severity, since);
CREATE INDEX ix_bodrelay_finding_subject ON bodrelay_finding (code, subject);

-- changed_at and changed_by follow what a DBA changes, not what the agent writes.
CREATE FUNCTION bodrelay_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.changed_at := now();
    NEW.changed_by := session_user;
    RETURN NEW;
END
$$;

CREATE TRIGGER tr_bodrelay_connection_point_changed
BEFORE UPDATE OF
    connection_point, description, group_name, location_name, ion_name, tenant_id, logical_id,
    source_kind, source_tenant_id, source_logical_id, send_mode, receive_mode, send_rows_from,
    poll_seconds, poll_cron, time_zone, blackout, batch_rows, parallel_posts, max_messages_per_second,
    max_document_bytes, after_failure, backoff_step_seconds, backoff_max_seconds, lone_rounds,
    lone_in_doubt_tries, headers_grace_seconds, ims_version, ims_method, encoding, check_accepted,
    log_messages, log_attempts, log_keep_days, outbox_keep_hours
ON bodrelay_connection_point
FOR EACH ROW EXECUTE FUNCTION bodrelay_changed();

CREATE TRIGGER tr_bodrelay_document_changed
BEFORE UPDATE OF
    connection_point, direction, verb, noun, enabled, namespace, order_by, document_id_path,
    after_failure, max_document_bytes, duplicate_key, older_variation
ON bodrelay_document
FOR EACH ROW EXECUTE FUNCTION bodrelay_changed();

CREATE TRIGGER tr_bodrelay_status_rule_changed
BEFORE UPDATE OF
    connection_point, http_status, answer_class, note
ON bodrelay_status_rule
FOR EACH ROW EXECUTE FUNCTION bodrelay_changed();

-- Only beside a first installation: a second run must not bring back what a DBA took out.
WITH installed (connection_point, http_status, answer_class, note) AS (VALUES
    ('*', 300, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 300'),
    ('*', 301, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 301'),
    ('*', 302, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 302'),
    ('*', 303, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 303'),
    ('*', 304, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 304'),
    ('*', 305, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 305'),
    ('*', 306, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 306'),
    ('*', 307, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 307'),
    ('*', 308, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 308'),
    ('*', 401, 'retry', 'ION''s own list'),
    ('*', 403, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 403'),
    ('*', 404, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 404'),
    ('*', 405, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 405'),
    ('*', 407, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 407'),
    ('*', 408, 'retry', 'a gateway''s answer; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 408'),
    ('*', 410, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 410'),
    ('*', 412, 'suspend', 'the type waits instead of failing; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 412'),
    ('*', 429, 'retry', 'a gateway''s answer; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 429'),
    ('*', 500, 'retry', 'ION''s own list'),
    ('*', 502, 'retry', 'a gateway''s answer; strict as ION: UPDATE bodrelay_status_rule SET answer_class = ''reject'' WHERE connection_point = ''*'' AND http_status = 502'),
    ('*', 503, 'retry', 'ION''s own list'),
    ('*', 504, 'retry', 'ION''s own list')
)
INSERT INTO bodrelay_status_rule (connection_point, http_status, answer_class, note)
SELECT connection_point, http_status, answer_class, note FROM installed
WHERE NOT EXISTS (SELECT 1 FROM bodrelay_version WHERE script_no = 1);

INSERT INTO bodrelay_version (script_no, script_name) VALUES (1, '001_install');

COMMIT;
