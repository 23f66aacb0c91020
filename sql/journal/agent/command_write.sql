-- journal:command_write
-- How far a command is.
INSERT OR REPLACE INTO command (database_id, command_id, begun_at, after_key, matched, done)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
