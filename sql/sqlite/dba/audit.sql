-- Optional: triggers that write each change of a setting into bodrelay_setting_history.
--
-- What:   twelve triggers on bodrelay_connection_point, bodrelay_document, bodrelay_status_rule and
--         bodrelay_document_query (after 004_compose.sql): one row of history for
--         each column that a DBA sets, changes or deletes. What the agent writes beside the settings is left out.
--         SQLite does not know who it was: changed_by stays NULL.
-- Run:    sqlite3 YOUR.db < audit.sql      (SQLite 3.24 or newer; as a user who may write the file)
-- Locks:  one write transaction, some milliseconds; each change of a setting then writes some rows more.
-- Twice:  every statement fails with "already exists", and nothing changes.
-- Undo:   DROP TRIGGER of the twelve (SELECT name FROM sqlite_master WHERE name LIKE 'tr_bodrelay_audit%'); the history stays.

BEGIN IMMEDIATE;

CREATE TRIGGER tr_bodrelay_audit_connection_point_insert
AFTER INSERT ON bodrelay_connection_point
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_connection_point', new.connection_point, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, NULL AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'description', NULL, new.description
        UNION ALL SELECT 'group_name', NULL, new.group_name
        UNION ALL SELECT 'location_name', NULL, new.location_name
        UNION ALL SELECT 'ion_name', NULL, new.ion_name
        UNION ALL SELECT 'tenant_id', NULL, new.tenant_id
        UNION ALL SELECT 'logical_id', NULL, new.logical_id
        UNION ALL SELECT 'source_kind', NULL, new.source_kind
        UNION ALL SELECT 'source_tenant_id', NULL, new.source_tenant_id
        UNION ALL SELECT 'source_logical_id', NULL, new.source_logical_id
        UNION ALL SELECT 'send_mode', NULL, new.send_mode
        UNION ALL SELECT 'receive_mode', NULL, new.receive_mode
        UNION ALL SELECT 'send_rows_from', NULL, new.send_rows_from
        UNION ALL SELECT 'poll_seconds', NULL, new.poll_seconds
        UNION ALL SELECT 'poll_cron', NULL, new.poll_cron
        UNION ALL SELECT 'time_zone', NULL, new.time_zone
        UNION ALL SELECT 'blackout', NULL, new.blackout
        UNION ALL SELECT 'batch_rows', NULL, new.batch_rows
        UNION ALL SELECT 'parallel_posts', NULL, new.parallel_posts
        UNION ALL SELECT 'max_messages_per_second', NULL, new.max_messages_per_second
        UNION ALL SELECT 'max_document_bytes', NULL, new.max_document_bytes
        UNION ALL SELECT 'after_failure', NULL, new.after_failure
        UNION ALL SELECT 'backoff_step_seconds', NULL, new.backoff_step_seconds
        UNION ALL SELECT 'backoff_max_seconds', NULL, new.backoff_max_seconds
        UNION ALL SELECT 'lone_rounds', NULL, new.lone_rounds
        UNION ALL SELECT 'lone_in_doubt_tries', NULL, new.lone_in_doubt_tries
        UNION ALL SELECT 'headers_grace_seconds', NULL, new.headers_grace_seconds
        UNION ALL SELECT 'ims_version', NULL, new.ims_version
        UNION ALL SELECT 'ims_method', NULL, new.ims_method
        UNION ALL SELECT 'encoding', NULL, new.encoding
        UNION ALL SELECT 'check_accepted', NULL, new.check_accepted
        UNION ALL SELECT 'log_messages', NULL, new.log_messages
        UNION ALL SELECT 'log_attempts', NULL, new.log_attempts
        UNION ALL SELECT 'log_keep_days', NULL, new.log_keep_days
        UNION ALL SELECT 'outbox_keep_hours', NULL, new.outbox_keep_hours)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_connection_point_update
AFTER UPDATE OF
    connection_point, description, group_name, location_name, ion_name, tenant_id, logical_id, source_kind,
    source_tenant_id, source_logical_id, send_mode, receive_mode, send_rows_from, poll_seconds, poll_cron,
    time_zone, blackout, batch_rows, parallel_posts, max_messages_per_second, max_document_bytes, after_failure,
    backoff_step_seconds, backoff_max_seconds, lone_rounds, lone_in_doubt_tries, headers_grace_seconds,
    ims_version, ims_method, encoding, check_accepted, log_messages, log_attempts, log_keep_days,
    outbox_keep_hours
ON bodrelay_connection_point
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_connection_point', new.connection_point, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'description', old.description, new.description
        UNION ALL SELECT 'group_name', old.group_name, new.group_name
        UNION ALL SELECT 'location_name', old.location_name, new.location_name
        UNION ALL SELECT 'ion_name', old.ion_name, new.ion_name
        UNION ALL SELECT 'tenant_id', old.tenant_id, new.tenant_id
        UNION ALL SELECT 'logical_id', old.logical_id, new.logical_id
        UNION ALL SELECT 'source_kind', old.source_kind, new.source_kind
        UNION ALL SELECT 'source_tenant_id', old.source_tenant_id, new.source_tenant_id
        UNION ALL SELECT 'source_logical_id', old.source_logical_id, new.source_logical_id
        UNION ALL SELECT 'send_mode', old.send_mode, new.send_mode
        UNION ALL SELECT 'receive_mode', old.receive_mode, new.receive_mode
        UNION ALL SELECT 'send_rows_from', old.send_rows_from, new.send_rows_from
        UNION ALL SELECT 'poll_seconds', old.poll_seconds, new.poll_seconds
        UNION ALL SELECT 'poll_cron', old.poll_cron, new.poll_cron
        UNION ALL SELECT 'time_zone', old.time_zone, new.time_zone
        UNION ALL SELECT 'blackout', old.blackout, new.blackout
        UNION ALL SELECT 'batch_rows', old.batch_rows, new.batch_rows
        UNION ALL SELECT 'parallel_posts', old.parallel_posts, new.parallel_posts
        UNION ALL SELECT 'max_messages_per_second', old.max_messages_per_second, new.max_messages_per_second
        UNION ALL SELECT 'max_document_bytes', old.max_document_bytes, new.max_document_bytes
        UNION ALL SELECT 'after_failure', old.after_failure, new.after_failure
        UNION ALL SELECT 'backoff_step_seconds', old.backoff_step_seconds, new.backoff_step_seconds
        UNION ALL SELECT 'backoff_max_seconds', old.backoff_max_seconds, new.backoff_max_seconds
        UNION ALL SELECT 'lone_rounds', old.lone_rounds, new.lone_rounds
        UNION ALL SELECT 'lone_in_doubt_tries', old.lone_in_doubt_tries, new.lone_in_doubt_tries
        UNION ALL SELECT 'headers_grace_seconds', old.headers_grace_seconds, new.headers_grace_seconds
        UNION ALL SELECT 'ims_version', old.ims_version, new.ims_version
        UNION ALL SELECT 'ims_method', old.ims_method, new.ims_method
        UNION ALL SELECT 'encoding', old.encoding, new.encoding
        UNION ALL SELECT 'check_accepted', old.check_accepted, new.check_accepted
        UNION ALL SELECT 'log_messages', old.log_messages, new.log_messages
        UNION ALL SELECT 'log_attempts', old.log_attempts, new.log_attempts
        UNION ALL SELECT 'log_keep_days', old.log_keep_days, new.log_keep_days
        UNION ALL SELECT 'outbox_keep_hours', old.outbox_keep_hours, new.outbox_keep_hours)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_connection_point_delete
AFTER DELETE ON bodrelay_connection_point
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_connection_point', old.connection_point, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, NULL AS new_value
        UNION ALL SELECT 'description', old.description, NULL
        UNION ALL SELECT 'group_name', old.group_name, NULL
        UNION ALL SELECT 'location_name', old.location_name, NULL
        UNION ALL SELECT 'ion_name', old.ion_name, NULL
        UNION ALL SELECT 'tenant_id', old.tenant_id, NULL
        UNION ALL SELECT 'logical_id', old.logical_id, NULL
        UNION ALL SELECT 'source_kind', old.source_kind, NULL
        UNION ALL SELECT 'source_tenant_id', old.source_tenant_id, NULL
        UNION ALL SELECT 'source_logical_id', old.source_logical_id, NULL
        UNION ALL SELECT 'send_mode', old.send_mode, NULL
        UNION ALL SELECT 'receive_mode', old.receive_mode, NULL
        UNION ALL SELECT 'send_rows_from', old.send_rows_from, NULL
        UNION ALL SELECT 'poll_seconds', old.poll_seconds, NULL
        UNION ALL SELECT 'poll_cron', old.poll_cron, NULL
        UNION ALL SELECT 'time_zone', old.time_zone, NULL
        UNION ALL SELECT 'blackout', old.blackout, NULL
        UNION ALL SELECT 'batch_rows', old.batch_rows, NULL
        UNION ALL SELECT 'parallel_posts', old.parallel_posts, NULL
        UNION ALL SELECT 'max_messages_per_second', old.max_messages_per_second, NULL
        UNION ALL SELECT 'max_document_bytes', old.max_document_bytes, NULL
        UNION ALL SELECT 'after_failure', old.after_failure, NULL
        UNION ALL SELECT 'backoff_step_seconds', old.backoff_step_seconds, NULL
        UNION ALL SELECT 'backoff_max_seconds', old.backoff_max_seconds, NULL
        UNION ALL SELECT 'lone_rounds', old.lone_rounds, NULL
        UNION ALL SELECT 'lone_in_doubt_tries', old.lone_in_doubt_tries, NULL
        UNION ALL SELECT 'headers_grace_seconds', old.headers_grace_seconds, NULL
        UNION ALL SELECT 'ims_version', old.ims_version, NULL
        UNION ALL SELECT 'ims_method', old.ims_method, NULL
        UNION ALL SELECT 'encoding', old.encoding, NULL
        UNION ALL SELECT 'check_accepted', old.check_accepted, NULL
        UNION ALL SELECT 'log_messages', old.log_messages, NULL
        UNION ALL SELECT 'log_attempts', old.log_attempts, NULL
        UNION ALL SELECT 'log_keep_days', old.log_keep_days, NULL
        UNION ALL SELECT 'outbox_keep_hours', old.outbox_keep_hours, NULL)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_document_insert
AFTER INSERT ON bodrelay_document
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_document', new.connection_point || '/' || new.direction || '/' || new.verb || '/' || new.noun, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, NULL AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'direction', NULL, new.direction
        UNION ALL SELECT 'verb', NULL, new.verb
        UNION ALL SELECT 'noun', NULL, new.noun
        UNION ALL SELECT 'enabled', NULL, new.enabled
        UNION ALL SELECT 'namespace', NULL, new.namespace
        UNION ALL SELECT 'order_by', NULL, new.order_by
        UNION ALL SELECT 'document_id_path', NULL, new.document_id_path
        UNION ALL SELECT 'after_failure', NULL, new.after_failure
        UNION ALL SELECT 'max_document_bytes', NULL, new.max_document_bytes
        UNION ALL SELECT 'duplicate_key', NULL, new.duplicate_key
        UNION ALL SELECT 'older_variation', NULL, new.older_variation)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_document_update
AFTER UPDATE OF
    connection_point, direction, verb, noun, enabled, namespace, order_by, document_id_path, after_failure,
    max_document_bytes, duplicate_key, older_variation
ON bodrelay_document
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_document', new.connection_point || '/' || new.direction || '/' || new.verb || '/' || new.noun, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'direction', old.direction, new.direction
        UNION ALL SELECT 'verb', old.verb, new.verb
        UNION ALL SELECT 'noun', old.noun, new.noun
        UNION ALL SELECT 'enabled', old.enabled, new.enabled
        UNION ALL SELECT 'namespace', old.namespace, new.namespace
        UNION ALL SELECT 'order_by', old.order_by, new.order_by
        UNION ALL SELECT 'document_id_path', old.document_id_path, new.document_id_path
        UNION ALL SELECT 'after_failure', old.after_failure, new.after_failure
        UNION ALL SELECT 'max_document_bytes', old.max_document_bytes, new.max_document_bytes
        UNION ALL SELECT 'duplicate_key', old.duplicate_key, new.duplicate_key
        UNION ALL SELECT 'older_variation', old.older_variation, new.older_variation)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_document_delete
AFTER DELETE ON bodrelay_document
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_document', old.connection_point || '/' || old.direction || '/' || old.verb || '/' || old.noun, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, NULL AS new_value
        UNION ALL SELECT 'direction', old.direction, NULL
        UNION ALL SELECT 'verb', old.verb, NULL
        UNION ALL SELECT 'noun', old.noun, NULL
        UNION ALL SELECT 'enabled', old.enabled, NULL
        UNION ALL SELECT 'namespace', old.namespace, NULL
        UNION ALL SELECT 'order_by', old.order_by, NULL
        UNION ALL SELECT 'document_id_path', old.document_id_path, NULL
        UNION ALL SELECT 'after_failure', old.after_failure, NULL
        UNION ALL SELECT 'max_document_bytes', old.max_document_bytes, NULL
        UNION ALL SELECT 'duplicate_key', old.duplicate_key, NULL
        UNION ALL SELECT 'older_variation', old.older_variation, NULL)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_status_rule_insert
AFTER INSERT ON bodrelay_status_rule
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_status_rule', new.connection_point || '/' || new.http_status, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, NULL AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'http_status', NULL, new.http_status
        UNION ALL SELECT 'answer_class', NULL, new.answer_class
        UNION ALL SELECT 'note', NULL, new.note)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_status_rule_update
AFTER UPDATE OF
    connection_point, http_status, answer_class, note
ON bodrelay_status_rule
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_status_rule', new.connection_point || '/' || new.http_status, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'http_status', old.http_status, new.http_status
        UNION ALL SELECT 'answer_class', old.answer_class, new.answer_class
        UNION ALL SELECT 'note', old.note, new.note)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_status_rule_delete
AFTER DELETE ON bodrelay_status_rule
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_status_rule', old.connection_point || '/' || old.http_status, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, NULL AS new_value
        UNION ALL SELECT 'http_status', old.http_status, NULL
        UNION ALL SELECT 'answer_class', old.answer_class, NULL
        UNION ALL SELECT 'note', old.note, NULL)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_document_query_insert
AFTER INSERT ON bodrelay_document_query
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_document_query', new.connection_point || '/' || new.verb || '/' || new.noun || '/' || new.part_no, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, NULL AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'verb', NULL, new.verb
        UNION ALL SELECT 'noun', NULL, new.noun
        UNION ALL SELECT 'part_no', NULL, new.part_no
        UNION ALL SELECT 'parent_part_no', NULL, new.parent_part_no
        UNION ALL SELECT 'element_path', NULL, new.element_path
        UNION ALL SELECT 'split_batch', NULL, new.split_batch
        UNION ALL SELECT 'query_text', NULL, new.query_text
        UNION ALL SELECT 'timeout_seconds', NULL, new.timeout_seconds
        UNION ALL SELECT 'max_rows', NULL, new.max_rows
        UNION ALL SELECT 'enabled', NULL, new.enabled
        UNION ALL SELECT 'description', NULL, new.description)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_document_query_update
AFTER UPDATE OF
    connection_point, verb, noun, part_no, parent_part_no, element_path, split_batch, query_text, timeout_seconds,
    max_rows, enabled, description
ON bodrelay_document_query
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_document_query', new.connection_point || '/' || new.verb || '/' || new.noun || '/' || new.part_no, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, new.connection_point AS new_value
        UNION ALL SELECT 'verb', old.verb, new.verb
        UNION ALL SELECT 'noun', old.noun, new.noun
        UNION ALL SELECT 'part_no', old.part_no, new.part_no
        UNION ALL SELECT 'parent_part_no', old.parent_part_no, new.parent_part_no
        UNION ALL SELECT 'element_path', old.element_path, new.element_path
        UNION ALL SELECT 'split_batch', old.split_batch, new.split_batch
        UNION ALL SELECT 'query_text', old.query_text, new.query_text
        UNION ALL SELECT 'timeout_seconds', old.timeout_seconds, new.timeout_seconds
        UNION ALL SELECT 'max_rows', old.max_rows, new.max_rows
        UNION ALL SELECT 'enabled', old.enabled, new.enabled
        UNION ALL SELECT 'description', old.description, new.description)
    WHERE old_value IS NOT new_value;
END;

CREATE TRIGGER tr_bodrelay_audit_document_query_delete
AFTER DELETE ON bodrelay_document_query
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT 'bodrelay_document_query', old.connection_point || '/' || old.verb || '/' || old.noun || '/' || old.part_no, column_name, substr(old_value, 1, 2000), substr(new_value, 1, 2000)
    FROM (
        SELECT 'connection_point' AS column_name, old.connection_point AS old_value, NULL AS new_value
        UNION ALL SELECT 'verb', old.verb, NULL
        UNION ALL SELECT 'noun', old.noun, NULL
        UNION ALL SELECT 'part_no', old.part_no, NULL
        UNION ALL SELECT 'parent_part_no', old.parent_part_no, NULL
        UNION ALL SELECT 'element_path', old.element_path, NULL
        UNION ALL SELECT 'split_batch', old.split_batch, NULL
        UNION ALL SELECT 'query_text', old.query_text, NULL
        UNION ALL SELECT 'timeout_seconds', old.timeout_seconds, NULL
        UNION ALL SELECT 'max_rows', old.max_rows, NULL
        UNION ALL SELECT 'enabled', old.enabled, NULL
        UNION ALL SELECT 'description', old.description, NULL)
    WHERE old_value IS NOT new_value;
END;

COMMIT;
