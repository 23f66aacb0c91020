-- journal:attempt_insert
-- A try that was not an immediate success. The first ten and the last ten are kept.
INSERT OR REPLACE INTO attempt (message, attempt_no, started_at, duration_ms, http_status, answer_class, in_doubt,
                                failure_code, answer_text)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
