-- Rights on SQLite: there is nothing to grant, the rights are those of the file.
--
-- The user that bodrelay runs as needs
--   - to read and write the database file, and the files beside it with -wal, -shm and -journal at the end;
--   - to create and delete files in its folder (SQLite keeps its journal there);
--   - the folder on a local disk: locks of network disks cannot be trusted.
-- Give the application and bodrelay a common group, the folder to that group with the setgid bit, and a umask of 007.
--
-- What:   changes nothing; it answers with one line, so that it can be run like its twins.
-- Locks:  none.
-- Twice:  does no harm.
-- Undo:   nothing to undo.

SELECT 'SQLite has no grants: see the head of this script for the rights on files' AS grants;
