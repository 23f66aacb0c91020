-- bodrelay control tables for SQLite, script 6: a change mark never breaks the application's transaction.
--
-- What:   adds a trigger to bodrelay_change: where the application's own trigger leaves a value NULL, the row gets what the
--         column has by default, or an empty text, and is refused by name (refused_reason). Until now NOT NULL refused it,
--         and the application's transaction with it. The tables of the application are not touched.
-- Run:    sqlite3 YOUR.db < 006_marks.sql      (SQLite 3.24 or newer; after 001 to 005)
-- Locks:  one write transaction, some milliseconds.
-- Twice:  fails with "already exists", and nothing changes.
-- Undo:   DROP TRIGGER tr_bodrelay_change_filled, and DELETE of script_no 6 from bodrelay_version.

BEGIN IMMEDIATE;

-- IGNORE leaves out the row that was to be inserted, and nothing else: the one with its gaps filled is there in its place.
-- A default with ON CONFLICT REPLACE would not do: the application's INSERT OR IGNORE goes before it, and the mark is lost.
CREATE TRIGGER tr_bodrelay_change_filled
BEFORE INSERT ON bodrelay_change
WHEN NEW.connection_point IS NULL OR NEW.verb IS NULL OR NEW.noun IS NULL OR NEW.document_id IS NULL
    OR NEW.accounting_entity IS NULL OR NEW.document_location IS NULL OR NEW.action_code IS NULL OR NEW.priority IS NULL
    OR NEW.created_at IS NULL OR NEW.was_processed IS NULL OR NEW.was_processed NOT IN (0, 1, 9)
BEGIN
    INSERT INTO bodrelay_change (
        connection_point, verb, noun, document_id, accounting_entity, document_location, action_code, priority, created_at,
        was_processed)
    VALUES (
        coalesce(NEW.connection_point, ''), coalesce(NEW.verb, 'Sync'), coalesce(NEW.noun, ''),
        coalesce(NEW.document_id, ''), coalesce(NEW.accounting_entity, ''), coalesce(NEW.document_location, ''),
        coalesce(NEW.action_code, 'Replace'), coalesce(NEW.priority, 4),
        coalesce(NEW.created_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        CASE WHEN NEW.was_processed IN (0, 1, 9) THEN NEW.was_processed ELSE 0 END);
    SELECT RAISE(IGNORE);
END;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (6, '006_marks');

COMMIT;
