-- bodrelay control tables for SQLite, script 1.
--
-- What:   creates the ten control tables with their indexes, the triggers that keep changed_at, and the rules of
--         HTTP statuses. The tables of the application are not touched.
-- Run:    sqlite3 YOUR.db < 001_install.sql      (SQLite 3.24 or newer; as a user who may write the file)
-- Locks:  one write transaction, some milliseconds.
-- Twice:  every statement fails with "already exists" (or a UNIQUE constraint), and nothing changes.
-- Undo:   uninstall.sql
--
-- Times are UTC text, YYYY-MM-DDTHH:MM:SS.sssZ. Not STRICT, so that an application with an older SQLite can still
-- open the file; typeof() stands where a wrong type would hurt.

BEGIN IMMEDIATE;

-- Which scripts were run. The agent reads the highest script_no.
CREATE TABLE bodrelay_version (
    script_no INTEGER NOT NULL,
    script_name TEXT NOT NULL
        CONSTRAINT ck_bodrelay_version_script_name CHECK (length(script_name) <= 100),
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    applied_by TEXT
        CONSTRAINT ck_bodrelay_version_applied_by CHECK (length(applied_by) <= 128),
    CONSTRAINT pk_bodrelay_version PRIMARY KEY (script_no)
);

-- One row a connection point: from which rows, to which logical id, how. refused_reason and applied_at are written
-- by the agent.
CREATE TABLE bodrelay_connection_point (
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_connection_point
        CHECK (typeof(connection_point) = 'text' AND length(connection_point) BETWEEN 1 AND 64),
    description TEXT
        CONSTRAINT ck_bodrelay_connection_point_description CHECK (length(description) <= 400),
    group_name TEXT
        CONSTRAINT ck_bodrelay_connection_point_group_name CHECK (length(group_name) <= 64),
    location_name TEXT NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_location_name
        CHECK (typeof(location_name) = 'text' AND length(location_name) BETWEEN 1 AND 64),
    ion_name TEXT NOT NULL DEFAULT 'default'
        CONSTRAINT ck_bodrelay_connection_point_ion_name
        CHECK (typeof(ion_name) = 'text' AND length(ion_name) BETWEEN 1 AND 64),
    tenant_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_tenant_id
        CHECK (typeof(tenant_id) = 'text' AND length(tenant_id) BETWEEN 1 AND 22),
    logical_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_connection_point_logical_id
        CHECK (typeof(logical_id) = 'text' AND length(logical_id) <= 250 AND logical_id GLOB 'lid://?*' AND logical_id <> 'lid://default'),
    source_kind TEXT NOT NULL DEFAULT 'iobox'
        CONSTRAINT ck_bodrelay_connection_point_source_kind CHECK (source_kind IN ('iobox', 'rows')),
    source_tenant_id TEXT
        CONSTRAINT ck_bodrelay_connection_point_source_tenant_id CHECK (length(source_tenant_id) <= 22),
    source_logical_id TEXT
        CONSTRAINT ck_bodrelay_connection_point_source_logical_id CHECK (length(source_logical_id) <= 250),
    send_mode TEXT NOT NULL DEFAULT 'off'
        CONSTRAINT ck_bodrelay_connection_point_send_mode CHECK (send_mode IN ('off', 'observe', 'on')),
    receive_mode TEXT NOT NULL DEFAULT 'off'
        CONSTRAINT ck_bodrelay_connection_point_receive_mode CHECK (receive_mode IN ('off', 'on')),
    send_rows_from TEXT
        CONSTRAINT ck_bodrelay_connection_point_send_rows_from
        CHECK (send_rows_from IS NULL OR coalesce(send_rows_from = strftime('%Y-%m-%dT%H:%M:%fZ', send_rows_from), 0)),
    poll_seconds INTEGER DEFAULT 5
        CONSTRAINT ck_bodrelay_connection_point_poll_seconds
        CHECK (poll_seconds IS NULL OR (typeof(poll_seconds) = 'integer' AND poll_seconds BETWEEN 1 AND 86400)),
    poll_cron TEXT
        CONSTRAINT ck_bodrelay_connection_point_poll_cron CHECK (length(poll_cron) <= 120),
    time_zone TEXT NOT NULL DEFAULT 'UTC'
        CONSTRAINT ck_bodrelay_connection_point_time_zone
        CHECK (typeof(time_zone) = 'text' AND length(time_zone) BETWEEN 1 AND 64),
    blackout TEXT
        CONSTRAINT ck_bodrelay_connection_point_blackout CHECK (length(blackout) <= 400),
    batch_rows INTEGER NOT NULL DEFAULT 500
        CONSTRAINT ck_bodrelay_connection_point_batch_rows
        CHECK (typeof(batch_rows) = 'integer' AND batch_rows BETWEEN 1 AND 10000),
    parallel_posts INTEGER NOT NULL DEFAULT 16
        CONSTRAINT ck_bodrelay_connection_point_parallel_posts
        CHECK (typeof(parallel_posts) = 'integer' AND parallel_posts BETWEEN 1 AND 256),
    max_messages_per_second INTEGER
        CONSTRAINT ck_bodrelay_connection_point_max_messages_per_second
        CHECK (max_messages_per_second IS NULL OR (typeof(max_messages_per_second) = 'integer' AND max_messages_per_second >= 1)),
    max_document_bytes INTEGER NOT NULL DEFAULT 5242880
        CONSTRAINT ck_bodrelay_connection_point_max_document_bytes
        CHECK (typeof(max_document_bytes) = 'integer' AND max_document_bytes BETWEEN 1024 AND 52428800),
    after_failure TEXT NOT NULL DEFAULT 'continue'
        CONSTRAINT ck_bodrelay_connection_point_after_failure CHECK (after_failure IN ('continue', 'hold')),
    backoff_step_seconds INTEGER NOT NULL DEFAULT 10
        CONSTRAINT ck_bodrelay_connection_point_backoff_step_seconds
        CHECK (typeof(backoff_step_seconds) = 'integer' AND backoff_step_seconds >= 1),
    backoff_max_seconds INTEGER NOT NULL DEFAULT 600
        CONSTRAINT ck_bodrelay_connection_point_backoff_max_seconds
        CHECK (typeof(backoff_max_seconds) = 'integer' AND backoff_max_seconds >= backoff_step_seconds),
    lone_rounds INTEGER NOT NULL DEFAULT 20
        CONSTRAINT ck_bodrelay_connection_point_lone_rounds
        CHECK (typeof(lone_rounds) = 'integer' AND lone_rounds >= 1),
    lone_in_doubt_tries INTEGER NOT NULL DEFAULT 5
        CONSTRAINT ck_bodrelay_connection_point_lone_in_doubt_tries
        CHECK (typeof(lone_in_doubt_tries) = 'integer' AND lone_in_doubt_tries >= 1),
    headers_grace_seconds INTEGER NOT NULL DEFAULT 60
        CONSTRAINT ck_bodrelay_connection_point_headers_grace_seconds
        CHECK (typeof(headers_grace_seconds) = 'integer' AND headers_grace_seconds >= 0),
    ims_version TEXT NOT NULL DEFAULT 'v3'
        CONSTRAINT ck_bodrelay_connection_point_ims_version CHECK (ims_version IN ('v2', 'v3')),
    ims_method TEXT NOT NULL DEFAULT 'multipartMessage'
        CONSTRAINT ck_bodrelay_connection_point_ims_method CHECK (ims_method IN ('multipartMessage', 'message')),
    encoding TEXT NOT NULL DEFAULT 'as_is'
        CONSTRAINT ck_bodrelay_connection_point_encoding CHECK (encoding IN ('as_is', 'none', 'deflate')),
    check_accepted INTEGER NOT NULL DEFAULT 1
        CONSTRAINT ck_bodrelay_connection_point_check_accepted CHECK (check_accepted IN (0, 1)),
    log_messages TEXT NOT NULL DEFAULT 'all'
        CONSTRAINT ck_bodrelay_connection_point_log_messages CHECK (log_messages IN ('all', 'problems')),
    log_attempts TEXT NOT NULL DEFAULT 'problems'
        CONSTRAINT ck_bodrelay_connection_point_log_attempts CHECK (log_attempts IN ('problems', 'all')),
    log_keep_days INTEGER NOT NULL DEFAULT 30
        CONSTRAINT ck_bodrelay_connection_point_log_keep_days
        CHECK (typeof(log_keep_days) = 'integer' AND log_keep_days >= 1),
    outbox_keep_hours INTEGER
        CONSTRAINT ck_bodrelay_connection_point_outbox_keep_hours
        CHECK (outbox_keep_hours IS NULL OR (typeof(outbox_keep_hours) = 'integer' AND outbox_keep_hours >= 1)),
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    created_by TEXT DEFAULT NULL
        CONSTRAINT ck_bodrelay_connection_point_created_by CHECK (length(created_by) <= 128),
    changed_at TEXT,
    changed_by TEXT
        CONSTRAINT ck_bodrelay_connection_point_changed_by CHECK (length(changed_by) <= 128),
    refused_reason TEXT
        CONSTRAINT ck_bodrelay_connection_point_refused_reason CHECK (length(refused_reason) <= 1000),
    applied_at TEXT,
    CONSTRAINT pk_bodrelay_connection_point PRIMARY KEY (connection_point),
    CONSTRAINT uq_bodrelay_connection_point_logical_id UNIQUE (tenant_id, logical_id),
    CONSTRAINT ck_bodrelay_connection_point_poll CHECK ((poll_seconds IS NULL) <> (poll_cron IS NULL))
);

-- One row a document type of a connection point: what is not listed is not sent. accepted_by_ion, accepted_checked_at
-- and refused_reason are written by the agent.
CREATE TABLE bodrelay_document (
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_connection_point
        CHECK (typeof(connection_point) = 'text' AND length(connection_point) BETWEEN 1 AND 64),
    direction TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_direction CHECK (direction IN ('out', 'in')),
    verb TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_verb CHECK (typeof(verb) = 'text' AND length(verb) BETWEEN 1 AND 30),
    noun TEXT NOT NULL
        CONSTRAINT ck_bodrelay_document_noun CHECK (typeof(noun) = 'text' AND length(noun) BETWEEN 1 AND 100),
    enabled INTEGER NOT NULL DEFAULT 1
        CONSTRAINT ck_bodrelay_document_enabled CHECK (enabled IN (0, 1)),
    namespace TEXT DEFAULT 'http://schema.infor.com/InforOAGIS/2'
        CONSTRAINT ck_bodrelay_document_namespace CHECK (length(namespace) <= 250),
    order_by TEXT NOT NULL DEFAULT 'document'
        CONSTRAINT ck_bodrelay_document_order_by CHECK (order_by IN ('document', 'connection_point', 'none')),
    document_id_path TEXT
        CONSTRAINT ck_bodrelay_document_document_id_path CHECK (length(document_id_path) <= 500),
    after_failure TEXT
        CONSTRAINT ck_bodrelay_document_after_failure CHECK (after_failure IN ('continue', 'hold')),
    max_document_bytes INTEGER
        CONSTRAINT ck_bodrelay_document_max_document_bytes
        CHECK (max_document_bytes IS NULL OR (typeof(max_document_bytes) = 'integer' AND max_document_bytes BETWEEN 1024 AND 52428800)),
    duplicate_key TEXT NOT NULL DEFAULT 'message_id'
        CONSTRAINT ck_bodrelay_document_duplicate_key
        CHECK (duplicate_key IN ('message_id', 'document_variation', 'document_digest')),
    older_variation TEXT NOT NULL DEFAULT 'warn'
        CONSTRAINT ck_bodrelay_document_older_variation CHECK (older_variation IN ('ignore', 'warn', 'reject')),
    changed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by TEXT DEFAULT NULL
        CONSTRAINT ck_bodrelay_document_changed_by CHECK (length(changed_by) <= 128),
    accepted_by_ion INTEGER
        CONSTRAINT ck_bodrelay_document_accepted_by_ion CHECK (accepted_by_ion IN (0, 1)),
    accepted_checked_at TEXT,
    refused_reason TEXT
        CONSTRAINT ck_bodrelay_document_refused_reason CHECK (length(refused_reason) <= 1000),
    CONSTRAINT pk_bodrelay_document PRIMARY KEY (connection_point, direction, verb, noun)
);

-- What an HTTP status means; '*' is for every connection point, a row with a name goes before it. Not listed: reject.
CREATE TABLE bodrelay_status_rule (
    connection_point TEXT NOT NULL DEFAULT '*'
        CONSTRAINT ck_bodrelay_status_rule_connection_point
        CHECK (typeof(connection_point) = 'text' AND length(connection_point) BETWEEN 1 AND 64),
    http_status INTEGER NOT NULL
        CONSTRAINT ck_bodrelay_status_rule_http_status
        CHECK (typeof(http_status) = 'integer' AND http_status BETWEEN 100 AND 999 AND http_status NOT BETWEEN 200 AND 299),
    answer_class TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_rule_answer_class CHECK (answer_class IN ('retry', 'reject', 'suspend')),
    note TEXT
        CONSTRAINT ck_bodrelay_status_rule_note CHECK (length(note) <= 400),
    changed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    changed_by TEXT DEFAULT NULL
        CONSTRAINT ck_bodrelay_status_rule_changed_by CHECK (length(changed_by) <= 128),
    CONSTRAINT pk_bodrelay_status_rule PRIMARY KEY (connection_point, http_status)
);

-- What a DBA asks the agent to do: insert a row, read its state and result. From state on, the agent writes.
CREATE TABLE bodrelay_command (
    command_id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL
        CONSTRAINT ck_bodrelay_command_command
        CHECK (command IN ('pause', 'resume', 'poll_now', 'resubmit',
            'discard', 'resend', 'purge_log', 'test_document', 'reload_credentials',
            'confirm_error', 'accept_database')),
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_command_connection_point
        CHECK (typeof(connection_point) = 'text' AND length(connection_point) BETWEEN 1 AND 64),
    direction TEXT
        CONSTRAINT ck_bodrelay_command_direction CHECK (direction IN ('out', 'in')),
    verb TEXT
        CONSTRAINT ck_bodrelay_command_verb CHECK (length(verb) <= 30),
    noun TEXT
        CONSTRAINT ck_bodrelay_command_noun CHECK (length(noun) <= 100),
    document_id TEXT
        CONSTRAINT ck_bodrelay_command_document_id CHECK (length(document_id) <= 100),
    message_key TEXT
        CONSTRAINT ck_bodrelay_command_message_key CHECK (length(message_key) <= 36),
    failure_code TEXT
        CONSTRAINT ck_bodrelay_command_failure_code CHECK (length(failure_code) <= 60),
    from_at TEXT
        CONSTRAINT ck_bodrelay_command_from_at
        CHECK (from_at IS NULL OR coalesce(from_at = strftime('%Y-%m-%dT%H:%M:%fZ', from_at), 0)),
    to_at TEXT
        CONSTRAINT ck_bodrelay_command_to_at
        CHECK (to_at IS NULL OR coalesce(to_at = strftime('%Y-%m-%dT%H:%M:%fZ', to_at), 0)),
    until_at TEXT
        CONSTRAINT ck_bodrelay_command_until_at
        CHECK (until_at IS NULL OR coalesce(until_at = strftime('%Y-%m-%dT%H:%M:%fZ', until_at), 0)),
    reason_code TEXT
        CONSTRAINT ck_bodrelay_command_reason_code CHECK (length(reason_code) <= 60),
    reason TEXT
        CONSTRAINT ck_bodrelay_command_reason CHECK (length(reason) <= 400),
    out_of_order INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_command_out_of_order CHECK (out_of_order IN (0, 1)),
    dry_run INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_command_dry_run CHECK (dry_run IN (0, 1)),
    requested_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    requested_by TEXT DEFAULT NULL
        CONSTRAINT ck_bodrelay_command_requested_by CHECK (length(requested_by) <= 128),
    state TEXT NOT NULL DEFAULT 'new'
        CONSTRAINT ck_bodrelay_command_state CHECK (state IN ('new', 'running', 'done', 'refused')),
    matched_rows INTEGER,
    done_rows INTEGER,
    result TEXT
        CONSTRAINT ck_bodrelay_command_result CHECK (length(result) <= 2000),
    started_at TEXT,
    finished_at TEXT,
    host TEXT
        CONSTRAINT ck_bodrelay_command_host CHECK (length(host) <= 64),
    CONSTRAINT ck_bodrelay_command_discard CHECK (command <> 'discard' OR length(trim(coalesce(reason, ''))) > 0),
    CONSTRAINT ck_bodrelay_command_names CHECK (command NOT IN ('resubmit', 'discard', 'resend')
        OR coalesce(message_key, noun, document_id, failure_code, from_at) IS NOT NULL)
);

-- One row a message: what became of it. Written by the agent only.
CREATE TABLE bodrelay_message_log (
    message_key TEXT NOT NULL
        CONSTRAINT ck_bodrelay_message_log_message_key CHECK (length(message_key) <= 36),
    direction TEXT NOT NULL
        CONSTRAINT ck_bodrelay_message_log_direction CHECK (direction IN ('out', 'in')),
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_message_log_connection_point CHECK (length(connection_point) <= 64),
    tenant_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_message_log_tenant_id CHECK (length(tenant_id) <= 22),
    entry_id INTEGER,
    message_id TEXT
        CONSTRAINT ck_bodrelay_message_log_message_id CHECK (length(message_id) <= 250),
    verb TEXT
        CONSTRAINT ck_bodrelay_message_log_verb CHECK (length(verb) <= 30),
    noun TEXT
        CONSTRAINT ck_bodrelay_message_log_noun CHECK (length(noun) <= 100),
    document_id TEXT
        CONSTRAINT ck_bodrelay_message_log_document_id CHECK (length(document_id) <= 100),
    accounting_entity TEXT
        CONSTRAINT ck_bodrelay_message_log_accounting_entity CHECK (length(accounting_entity) <= 22),
    document_location TEXT
        CONSTRAINT ck_bodrelay_message_log_document_location CHECK (length(document_location) <= 22),
    revision_id TEXT
        CONSTRAINT ck_bodrelay_message_log_revision_id CHECK (length(revision_id) <= 22),
    variation_id INTEGER,
    batch_id TEXT
        CONSTRAINT ck_bodrelay_message_log_batch_id CHECK (length(batch_id) <= 250),
    batch_sequence INTEGER,
    from_logical_id TEXT
        CONSTRAINT ck_bodrelay_message_log_from_logical_id CHECK (length(from_logical_id) <= 250),
    to_logical_id TEXT
        CONSTRAINT ck_bodrelay_message_log_to_logical_id CHECK (length(to_logical_id) <= 250),
    priority INTEGER,
    state TEXT NOT NULL
        CONSTRAINT ck_bodrelay_message_log_state
        CHECK (state IN ('pending', 'in_flight', 'accepted', 'failed', 'discarded', 'withdrawn',
            'superseded', 'stored', 'duplicate', 'refused')),
    held_by TEXT
        CONSTRAINT ck_bodrelay_message_log_held_by CHECK (length(held_by) <= 36),
    in_doubt INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_message_log_in_doubt CHECK (in_doubt IN (0, 1)),
    late INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_message_log_late CHECK (late IN (0, 1)),
    attempts INTEGER NOT NULL DEFAULT 0,
    http_status INTEGER,
    answer_class TEXT
        CONSTRAINT ck_bodrelay_message_log_answer_class
        CHECK (answer_class IN ('accepted', 'retry', 'reject', 'suspend')),
    failure_code TEXT
        CONSTRAINT ck_bodrelay_message_log_failure_code CHECK (length(failure_code) <= 60),
    failure_text TEXT
        CONSTRAINT ck_bodrelay_message_log_failure_text CHECK (length(failure_text) <= 2000),
    remedy TEXT
        CONSTRAINT ck_bodrelay_message_log_remedy CHECK (length(remedy) <= 1000),
    document_bytes INTEGER,
    wire_bytes INTEGER,
    digest TEXT
        CONSTRAINT ck_bodrelay_message_log_digest CHECK (length(digest) <= 64),
    resend_of TEXT
        CONSTRAINT ck_bodrelay_message_log_resend_of CHECK (length(resend_of) <= 36),
    created_at TEXT,
    seen_at TEXT NOT NULL,
    first_attempt_at TEXT,
    last_attempt_at TEXT,
    next_attempt_at TEXT,
    finished_at TEXT,
    host TEXT
        CONSTRAINT ck_bodrelay_message_log_host CHECK (length(host) <= 64),
    updated_at TEXT NOT NULL,
    CONSTRAINT pk_bodrelay_message_log PRIMARY KEY (message_key)
);

-- One row a try that was not an immediate success. Written by the agent only.
CREATE TABLE bodrelay_attempt (
    message_key TEXT NOT NULL
        CONSTRAINT ck_bodrelay_attempt_message_key CHECK (length(message_key) <= 36),
    attempt_no INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    http_status INTEGER,
    answer_class TEXT NOT NULL
        CONSTRAINT ck_bodrelay_attempt_answer_class CHECK (answer_class IN ('accepted', 'retry', 'reject', 'suspend')),
    in_doubt INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_attempt_in_doubt CHECK (in_doubt IN (0, 1)),
    failure_code TEXT
        CONSTRAINT ck_bodrelay_attempt_failure_code CHECK (length(failure_code) <= 60),
    answer_text TEXT
        CONSTRAINT ck_bodrelay_attempt_answer_text CHECK (length(answer_text) <= 1000),
    host TEXT NOT NULL
        CONSTRAINT ck_bodrelay_attempt_host CHECK (length(host) <= 64),
    CONSTRAINT pk_bodrelay_attempt PRIMARY KEY (message_key, attempt_no)
);

-- How each connection point fares, and which agent serves it. Written by the agent only.
CREATE TABLE bodrelay_status (
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_connection_point CHECK (length(connection_point) <= 64),
    direction TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_direction CHECK (direction IN ('out', 'in')),
    state TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_state
        CHECK (state IN ('running', 'observing', 'waiting', 'blackout', 'paused', 'backoff',
            'suspended', 'misconfigured', 'off', 'stopped')),
    state_since TEXT NOT NULL,
    state_reason TEXT
        CONSTRAINT ck_bodrelay_status_state_reason CHECK (length(state_reason) <= 1000),
    waiting_rows INTEGER NOT NULL DEFAULT 0,
    waiting_capped INTEGER NOT NULL DEFAULT 0
        CONSTRAINT ck_bodrelay_status_waiting_capped CHECK (waiting_capped IN (0, 1)),
    oldest_waiting_at TEXT,
    in_flight_rows INTEGER NOT NULL DEFAULT 0,
    held_rows INTEGER NOT NULL DEFAULT 0,
    failed_rows INTEGER NOT NULL DEFAULT 0,
    in_doubt_rows INTEGER NOT NULL DEFAULT 0,
    accepted_total INTEGER NOT NULL DEFAULT 0,
    failed_total INTEGER NOT NULL DEFAULT 0,
    duplicate_total INTEGER NOT NULL DEFAULT 0,
    last_accepted_at TEXT,
    last_failure_at TEXT,
    last_failure TEXT
        CONSTRAINT ck_bodrelay_status_last_failure CHECK (length(last_failure) <= 1000),
    last_poll_at TEXT,
    next_poll_at TEXT,
    settings_read_at TEXT,
    host TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_host CHECK (length(host) <= 64),
    owner_journal_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_owner_journal_id CHECK (length(owner_journal_id) <= 36),
    agent_version TEXT NOT NULL
        CONSTRAINT ck_bodrelay_status_agent_version CHECK (length(agent_version) <= 20),
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    CONSTRAINT pk_bodrelay_status PRIMARY KEY (connection_point, direction)
);

-- What somebody should look at, with what to do. Written by the agent but for the acknowledged_ columns.
CREATE TABLE bodrelay_finding (
    finding_id INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL
        CONSTRAINT ck_bodrelay_finding_code CHECK (length(code) <= 60),
    severity TEXT NOT NULL
        CONSTRAINT ck_bodrelay_finding_severity CHECK (severity IN ('info', 'warning', 'error')),
    connection_point TEXT
        CONSTRAINT ck_bodrelay_finding_connection_point CHECK (length(connection_point) <= 64),
    subject TEXT NOT NULL
        CONSTRAINT ck_bodrelay_finding_subject CHECK (length(subject) <= 300),
    finding_text TEXT NOT NULL
        CONSTRAINT ck_bodrelay_finding_finding_text CHECK (length(finding_text) <= 2000),
    remedy TEXT NOT NULL
        CONSTRAINT ck_bodrelay_finding_remedy CHECK (length(remedy) <= 2000),
    since TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    seen_count INTEGER NOT NULL DEFAULT 1,
    cleared_at TEXT,
    host TEXT NOT NULL
        CONSTRAINT ck_bodrelay_finding_host CHECK (length(host) <= 64),
    acknowledged_at TEXT
        CONSTRAINT ck_bodrelay_finding_acknowledged_at
        CHECK (acknowledged_at IS NULL OR coalesce(acknowledged_at = strftime('%Y-%m-%dT%H:%M:%fZ', acknowledged_at), 0)),
    acknowledged_by TEXT
        CONSTRAINT ck_bodrelay_finding_acknowledged_by CHECK (length(acknowledged_by) <= 128),
    acknowledged_until TEXT
        CONSTRAINT ck_bodrelay_finding_acknowledged_until
        CHECK (acknowledged_until IS NULL OR coalesce(acknowledged_until = strftime('%Y-%m-%dT%H:%M:%fZ', acknowledged_until), 0))
);

-- One row an agent that served this database. Written by the agent only.
CREATE TABLE bodrelay_host (
    host TEXT NOT NULL
        CONSTRAINT ck_bodrelay_host_host CHECK (length(host) <= 64),
    location_name TEXT NOT NULL
        CONSTRAINT ck_bodrelay_host_location_name CHECK (length(location_name) <= 64),
    journal_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_host_journal_id CHECK (length(journal_id) <= 36),
    database_fingerprint TEXT NOT NULL
        CONSTRAINT ck_bodrelay_host_database_fingerprint CHECK (length(database_fingerprint) <= 200),
    epoch INTEGER NOT NULL,
    agent_version TEXT NOT NULL
        CONSTRAINT ck_bodrelay_host_agent_version CHECK (length(agent_version) <= 20),
    script_needed INTEGER NOT NULL,
    operating_system TEXT
        CONSTRAINT ck_bodrelay_host_operating_system CHECK (length(operating_system) <= 100),
    process_id INTEGER,
    state TEXT NOT NULL
        CONSTRAINT ck_bodrelay_host_state CHECK (state IN ('running', 'stopping', 'stopped', 'refused')),
    refused_reason TEXT
        CONSTRAINT ck_bodrelay_host_refused_reason CHECK (length(refused_reason) <= 1000),
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
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

-- changed_at follows what a DBA changes, not what the agent writes.
CREATE TRIGGER tr_bodrelay_connection_point_changed
AFTER UPDATE OF
    connection_point, description, group_name, location_name, ion_name, tenant_id, logical_id,
    source_kind, source_tenant_id, source_logical_id, send_mode, receive_mode, send_rows_from,
    poll_seconds, poll_cron, time_zone, blackout, batch_rows, parallel_posts, max_messages_per_second,
    max_document_bytes, after_failure, backoff_step_seconds, backoff_max_seconds, lone_rounds,
    lone_in_doubt_tries, headers_grace_seconds, ims_version, ims_method, encoding, check_accepted,
    log_messages, log_attempts, log_keep_days, outbox_keep_hours
ON bodrelay_connection_point
BEGIN
    UPDATE bodrelay_connection_point SET changed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE connection_point = NEW.connection_point;
END;

CREATE TRIGGER tr_bodrelay_document_changed
AFTER UPDATE OF
    connection_point, direction, verb, noun, enabled, namespace, order_by, document_id_path,
    after_failure, max_document_bytes, duplicate_key, older_variation
ON bodrelay_document
BEGIN
    UPDATE bodrelay_document SET changed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE connection_point = NEW.connection_point AND direction = NEW.direction AND verb = NEW.verb AND noun = NEW.noun;
END;

CREATE TRIGGER tr_bodrelay_status_rule_changed
AFTER UPDATE OF
    connection_point, http_status, answer_class, note
ON bodrelay_status_rule
BEGIN
    UPDATE bodrelay_status_rule SET changed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE connection_point = NEW.connection_point AND http_status = NEW.http_status;
END;

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
