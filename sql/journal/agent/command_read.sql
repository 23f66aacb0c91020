-- journal:command_read
-- How far a command is.
SELECT begun_at, after_key, matched, done FROM command WHERE database_id = ?1 AND command_id = ?2
