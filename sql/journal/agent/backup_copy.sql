-- journal:backup_copy
-- Writes a compact copy of one snapshot into an empty file; the agent goes on writing meanwhile.
VACUUM INTO ?1
