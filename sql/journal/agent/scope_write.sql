-- journal:scope_write
-- A scope waits.
INSERT OR REPLACE INTO scope (scope, cause, refusals, not_before, since, lone, in_doubt_tries, document_type, passed, alone, answer_text)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
