-- agent:control_read_connection_points
-- The connection points as the DBA wrote them.
-- Parameters: none.
-- Locks: reads only; in one REPEATABLE READ, READ ONLY transaction with the other control_read statements.
SELECT
    connection_point, location_name, ion_name, tenant_id, logical_id, source_kind, source_tenant_id,
    source_logical_id, send_mode, receive_mode, send_rows_from, poll_seconds, poll_cron, time_zone,
    blackout, batch_rows, parallel_posts, max_messages_per_second, max_document_bytes, after_failure,
    backoff_step_seconds, backoff_max_seconds, lone_rounds, lone_in_doubt_tries, headers_grace_seconds,
    ims_version, ims_method, encoding, check_accepted, log_messages, log_attempts, log_keep_days,
    outbox_keep_hours, refused_reason, CASE WHEN applied_at IS NULL THEN 0 ELSE 1 END AS was_applied
FROM bodrelay_connection_point
ORDER BY connection_point
