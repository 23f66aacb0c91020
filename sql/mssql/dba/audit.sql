-- Optional: triggers that write each change of a setting into bodrelay_setting_history.
--
-- What:   four triggers on bodrelay_connection_point, bodrelay_document, bodrelay_status_rule and
--         bodrelay_document_query (after 004_compose.sql): one row of history for
--         each column that a DBA sets, changes or deletes. What the agent writes beside the settings is left out.
-- Run:    sqlcmd -S SERVER -d YOUR_DATABASE -b -I -i audit.sql   (as the user who ran 002_panel.sql). One batch, no GO.
-- Locks:  one transaction, some milliseconds; each change of a setting then writes some rows more.
-- Twice:  the first statement fails with "already an object named" (2714), the batch ends, and nothing changes.
-- Undo:   DROP TRIGGER of the four (bodrelay.tr_bodrelay_audit_...); the history stays.

SET NOCOUNT ON;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;

BEGIN TRANSACTION;

-- A trigger must be alone in its batch, hence EXEC. All changed rows at once.

EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_audit_connection_point ON bodrelay.bodrelay_connection_point AFTER INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO bodrelay.bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT N''bodrelay_connection_point'', LEFT(CONCAT(coalesce(i.connection_point, d.connection_point), N''''), 400), v.column_name, v.old_value, v.new_value
    FROM inserted AS i
    FULL JOIN deleted AS d ON d.connection_point = i.connection_point
    CROSS APPLY (VALUES
        (N''connection_point'', CONVERT(nvarchar(2000), d.connection_point), CONVERT(nvarchar(2000), i.connection_point)),
        (N''description'', CONVERT(nvarchar(2000), d.description), CONVERT(nvarchar(2000), i.description)),
        (N''group_name'', CONVERT(nvarchar(2000), d.group_name), CONVERT(nvarchar(2000), i.group_name)),
        (N''location_name'', CONVERT(nvarchar(2000), d.location_name), CONVERT(nvarchar(2000), i.location_name)),
        (N''ion_name'', CONVERT(nvarchar(2000), d.ion_name), CONVERT(nvarchar(2000), i.ion_name)),
        (N''tenant_id'', CONVERT(nvarchar(2000), d.tenant_id), CONVERT(nvarchar(2000), i.tenant_id)),
        (N''logical_id'', CONVERT(nvarchar(2000), d.logical_id), CONVERT(nvarchar(2000), i.logical_id)),
        (N''source_kind'', CONVERT(nvarchar(2000), d.source_kind), CONVERT(nvarchar(2000), i.source_kind)),
        (N''source_tenant_id'', CONVERT(nvarchar(2000), d.source_tenant_id), CONVERT(nvarchar(2000), i.source_tenant_id)),
        (N''source_logical_id'', CONVERT(nvarchar(2000), d.source_logical_id), CONVERT(nvarchar(2000), i.source_logical_id)),
        (N''send_mode'', CONVERT(nvarchar(2000), d.send_mode), CONVERT(nvarchar(2000), i.send_mode)),
        (N''receive_mode'', CONVERT(nvarchar(2000), d.receive_mode), CONVERT(nvarchar(2000), i.receive_mode)),
        (N''send_rows_from'', CONVERT(nvarchar(2000), d.send_rows_from), CONVERT(nvarchar(2000), i.send_rows_from)),
        (N''poll_seconds'', CONVERT(nvarchar(2000), d.poll_seconds), CONVERT(nvarchar(2000), i.poll_seconds)),
        (N''poll_cron'', CONVERT(nvarchar(2000), d.poll_cron), CONVERT(nvarchar(2000), i.poll_cron)),
        (N''time_zone'', CONVERT(nvarchar(2000), d.time_zone), CONVERT(nvarchar(2000), i.time_zone)),
        (N''blackout'', CONVERT(nvarchar(2000), d.blackout), CONVERT(nvarchar(2000), i.blackout)),
        (N''batch_rows'', CONVERT(nvarchar(2000), d.batch_rows), CONVERT(nvarchar(2000), i.batch_rows)),
        (N''parallel_posts'', CONVERT(nvarchar(2000), d.parallel_posts), CONVERT(nvarchar(2000), i.parallel_posts)),
        (N''max_messages_per_second'', CONVERT(nvarchar(2000), d.max_messages_per_second), CONVERT(nvarchar(2000), i.max_messages_per_second)),
        (N''max_document_bytes'', CONVERT(nvarchar(2000), d.max_document_bytes), CONVERT(nvarchar(2000), i.max_document_bytes)),
        (N''after_failure'', CONVERT(nvarchar(2000), d.after_failure), CONVERT(nvarchar(2000), i.after_failure)),
        (N''backoff_step_seconds'', CONVERT(nvarchar(2000), d.backoff_step_seconds), CONVERT(nvarchar(2000), i.backoff_step_seconds)),
        (N''backoff_max_seconds'', CONVERT(nvarchar(2000), d.backoff_max_seconds), CONVERT(nvarchar(2000), i.backoff_max_seconds)),
        (N''lone_rounds'', CONVERT(nvarchar(2000), d.lone_rounds), CONVERT(nvarchar(2000), i.lone_rounds)),
        (N''lone_in_doubt_tries'', CONVERT(nvarchar(2000), d.lone_in_doubt_tries), CONVERT(nvarchar(2000), i.lone_in_doubt_tries)),
        (N''headers_grace_seconds'', CONVERT(nvarchar(2000), d.headers_grace_seconds), CONVERT(nvarchar(2000), i.headers_grace_seconds)),
        (N''ims_version'', CONVERT(nvarchar(2000), d.ims_version), CONVERT(nvarchar(2000), i.ims_version)),
        (N''ims_method'', CONVERT(nvarchar(2000), d.ims_method), CONVERT(nvarchar(2000), i.ims_method)),
        (N''encoding'', CONVERT(nvarchar(2000), d.encoding), CONVERT(nvarchar(2000), i.encoding)),
        (N''check_accepted'', CONVERT(nvarchar(2000), d.check_accepted), CONVERT(nvarchar(2000), i.check_accepted)),
        (N''log_messages'', CONVERT(nvarchar(2000), d.log_messages), CONVERT(nvarchar(2000), i.log_messages)),
        (N''log_attempts'', CONVERT(nvarchar(2000), d.log_attempts), CONVERT(nvarchar(2000), i.log_attempts)),
        (N''log_keep_days'', CONVERT(nvarchar(2000), d.log_keep_days), CONVERT(nvarchar(2000), i.log_keep_days)),
        (N''outbox_keep_hours'', CONVERT(nvarchar(2000), d.outbox_keep_hours), CONVERT(nvarchar(2000), i.outbox_keep_hours))) AS v (column_name, old_value, new_value)
    WHERE EXISTS (SELECT v.old_value EXCEPT SELECT v.new_value);
END');

EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_audit_document ON bodrelay.bodrelay_document AFTER INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO bodrelay.bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT N''bodrelay_document'', LEFT(CONCAT(coalesce(i.connection_point, d.connection_point), N''/'', coalesce(i.direction, d.direction), N''/'', coalesce(i.verb, d.verb), N''/'', coalesce(i.noun, d.noun), N''''), 400), v.column_name, v.old_value, v.new_value
    FROM inserted AS i
    FULL JOIN deleted AS d ON d.connection_point = i.connection_point AND d.direction = i.direction AND d.verb = i.verb AND d.noun = i.noun
    CROSS APPLY (VALUES
        (N''connection_point'', CONVERT(nvarchar(2000), d.connection_point), CONVERT(nvarchar(2000), i.connection_point)),
        (N''direction'', CONVERT(nvarchar(2000), d.direction), CONVERT(nvarchar(2000), i.direction)),
        (N''verb'', CONVERT(nvarchar(2000), d.verb), CONVERT(nvarchar(2000), i.verb)),
        (N''noun'', CONVERT(nvarchar(2000), d.noun), CONVERT(nvarchar(2000), i.noun)),
        (N''enabled'', CONVERT(nvarchar(2000), d.enabled), CONVERT(nvarchar(2000), i.enabled)),
        (N''namespace'', CONVERT(nvarchar(2000), d.namespace), CONVERT(nvarchar(2000), i.namespace)),
        (N''order_by'', CONVERT(nvarchar(2000), d.order_by), CONVERT(nvarchar(2000), i.order_by)),
        (N''document_id_path'', CONVERT(nvarchar(2000), d.document_id_path), CONVERT(nvarchar(2000), i.document_id_path)),
        (N''after_failure'', CONVERT(nvarchar(2000), d.after_failure), CONVERT(nvarchar(2000), i.after_failure)),
        (N''max_document_bytes'', CONVERT(nvarchar(2000), d.max_document_bytes), CONVERT(nvarchar(2000), i.max_document_bytes)),
        (N''duplicate_key'', CONVERT(nvarchar(2000), d.duplicate_key), CONVERT(nvarchar(2000), i.duplicate_key)),
        (N''older_variation'', CONVERT(nvarchar(2000), d.older_variation), CONVERT(nvarchar(2000), i.older_variation))) AS v (column_name, old_value, new_value)
    WHERE EXISTS (SELECT v.old_value EXCEPT SELECT v.new_value);
END');

EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_audit_status_rule ON bodrelay.bodrelay_status_rule AFTER INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO bodrelay.bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT N''bodrelay_status_rule'', LEFT(CONCAT(coalesce(i.connection_point, d.connection_point), N''/'', coalesce(i.http_status, d.http_status), N''''), 400), v.column_name, v.old_value, v.new_value
    FROM inserted AS i
    FULL JOIN deleted AS d ON d.connection_point = i.connection_point AND d.http_status = i.http_status
    CROSS APPLY (VALUES
        (N''connection_point'', CONVERT(nvarchar(2000), d.connection_point), CONVERT(nvarchar(2000), i.connection_point)),
        (N''http_status'', CONVERT(nvarchar(2000), d.http_status), CONVERT(nvarchar(2000), i.http_status)),
        (N''answer_class'', CONVERT(nvarchar(2000), d.answer_class), CONVERT(nvarchar(2000), i.answer_class)),
        (N''note'', CONVERT(nvarchar(2000), d.note), CONVERT(nvarchar(2000), i.note))) AS v (column_name, old_value, new_value)
    WHERE EXISTS (SELECT v.old_value EXCEPT SELECT v.new_value);
END');

EXEC (N'CREATE TRIGGER bodrelay.tr_bodrelay_audit_document_query ON bodrelay.bodrelay_document_query AFTER INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO bodrelay.bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value)
    SELECT N''bodrelay_document_query'', LEFT(CONCAT(coalesce(i.connection_point, d.connection_point), N''/'', coalesce(i.verb, d.verb), N''/'', coalesce(i.noun, d.noun), N''/'', coalesce(i.part_no, d.part_no)), 400), v.column_name, v.old_value, v.new_value
    FROM inserted AS i
    FULL JOIN deleted AS d ON d.connection_point = i.connection_point AND d.verb = i.verb AND d.noun = i.noun AND d.part_no = i.part_no
    CROSS APPLY (VALUES
        (N''connection_point'', CONVERT(nvarchar(2000), d.connection_point), CONVERT(nvarchar(2000), i.connection_point)),
        (N''verb'', CONVERT(nvarchar(2000), d.verb), CONVERT(nvarchar(2000), i.verb)),
        (N''noun'', CONVERT(nvarchar(2000), d.noun), CONVERT(nvarchar(2000), i.noun)),
        (N''part_no'', CONVERT(nvarchar(2000), d.part_no), CONVERT(nvarchar(2000), i.part_no)),
        (N''parent_part_no'', CONVERT(nvarchar(2000), d.parent_part_no), CONVERT(nvarchar(2000), i.parent_part_no)),
        (N''element_path'', CONVERT(nvarchar(2000), d.element_path), CONVERT(nvarchar(2000), i.element_path)),
        (N''split_batch'', CONVERT(nvarchar(2000), d.split_batch), CONVERT(nvarchar(2000), i.split_batch)),
        (N''query_text'', CONVERT(nvarchar(2000), d.query_text), CONVERT(nvarchar(2000), i.query_text)),
        (N''timeout_seconds'', CONVERT(nvarchar(2000), d.timeout_seconds), CONVERT(nvarchar(2000), i.timeout_seconds)),
        (N''max_rows'', CONVERT(nvarchar(2000), d.max_rows), CONVERT(nvarchar(2000), i.max_rows)),
        (N''enabled'', CONVERT(nvarchar(2000), d.enabled), CONVERT(nvarchar(2000), i.enabled)),
        (N''description'', CONVERT(nvarchar(2000), d.description), CONVERT(nvarchar(2000), i.description))) AS v (column_name, old_value, new_value)
    WHERE EXISTS (SELECT v.old_value EXCEPT SELECT v.new_value);
END');

COMMIT TRANSACTION;
