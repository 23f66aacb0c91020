-- journal:backup_version
-- Whose journal a copy is, and of which shape.
SELECT version, journal_id FROM journal_version
