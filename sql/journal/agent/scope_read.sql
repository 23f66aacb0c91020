-- journal:scope_read
-- Everything that waits.
SELECT scope, cause, refusals, not_before, since, lone, in_doubt_tries, document_type, passed, alone, answer_text FROM scope
