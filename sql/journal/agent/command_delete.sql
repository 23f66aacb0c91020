-- journal:command_delete
-- The control table says that the command is done.
DELETE FROM command WHERE database_id = ?1 AND command_id = ?2
