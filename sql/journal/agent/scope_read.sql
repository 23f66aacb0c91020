-- journal:scope_read
-- Everything that waits.
SELECT scope, cause, refusals, not_before, since, lone, in_doubt_tries, natural, passed, answer_text FROM scope
