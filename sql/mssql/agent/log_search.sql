-- agent:log_search
-- The message log, newest first, entered from its end by the key. Same parameters in every log_search
-- statement, an empty one is not looked at; which statement is taken decides the index, the other filters are
-- tested on its rows.
-- Parameters: @P1 direction, @P2 state, @P3 connection point, @P4 message key, @P5 message id, @P6 logical id
-- of sender or receiver, @P7 verb, @P8 noun, @P9 document id, @P10 failure code, @P11 created from, @P12
-- created to, @P13 after key, @P14 limit.
-- Locks: reads only; short, READ COMMITTED.
SELECT TOP (@P14)
    message_key, direction, connection_point, tenant_id, entry_id, message_id, verb, noun, document_id,
    accounting_entity, document_location, revision_id, variation_id, batch_id, batch_sequence, from_logical_id,
    to_logical_id, priority, state, held_by, in_doubt, late, attempts, http_status, answer_class, failure_code,
    failure_text, remedy, document_bytes, wire_bytes, digest, created_at, seen_at, first_attempt_at,
    last_attempt_at, next_attempt_at, finished_at, host, updated_at, resend_of
FROM [bodrelay].bodrelay_message_log
WHERE (@P1 = N'' OR direction = @P1)
    AND (@P2 = N'' OR state = @P2)
    AND (@P3 = N'' OR connection_point = @P3)
    AND (@P4 = N'' OR message_key = @P4)
    AND (@P5 = N'' OR message_id = @P5)
    AND (@P6 = N'' OR from_logical_id = @P6 OR to_logical_id = @P6)
    AND (@P7 = N'' OR verb = @P7)
    AND (@P8 = N'' OR noun = @P8)
    AND (@P9 = N'' OR document_id = @P9)
    AND (@P10 = N'' OR failure_code = @P10)
    AND (@P11 = N'' OR created_at >= CAST(NULLIF(@P11, N'') AS datetime2(3)))
    AND (@P12 = N'' OR created_at <= CAST(NULLIF(@P12, N'') AS datetime2(3)))
    AND (@P13 = N'' OR message_key > @P13)
ORDER BY message_key DESC
