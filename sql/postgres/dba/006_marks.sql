-- bodrelay control tables for PostgreSQL, script 6: a change mark never breaks the application's transaction, and no time
-- of the control tables is infinite.
--
-- What:   takes the lengths off the columns of bodrelay_change and adds a trigger to it: a value that the application's own
--         trigger leaves NULL becomes what the column has by default, or an empty text; one that is too long is cut; both
--         are refused by name (refused_reason). Until now NOT NULL or the length refused the row, and the application's
--         transaction with it. Times outside the years 1900 to 9999 that DBAs set ('infinity') become the nearest within,
--         and a CHECK keeps them out. The tables of the application are not touched.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f 006_marks.sql      (as the role that ran 001_install.sql, after 001 to
--         005; another schema: replace "bodrelay" in the line below)
-- Locks:  one transaction, some milliseconds: ACCESS EXCLUSIVE on four control tables, so the application's changes wait
--         for that long. bodrelay_command, _finding and _connection_point are read once; bodrelay_change is not.
-- Twice:  fails with "already exists", and nothing changes.
-- Undo:   DROP TRIGGER tr_bodrelay_change_filled ON bodrelay_change, DROP FUNCTION bodrelay_change_filled(), DROP CONSTRAINT
--         of the five, and DELETE of script_no 6 from bodrelay_version; the columns may stay text.

BEGIN;

SET LOCAL search_path = bodrelay;

-- The length of a varchar is checked before any trigger is asked. Neither the table nor its indexes are written anew.
ALTER TABLE bodrelay_change
    ALTER COLUMN connection_point TYPE text,
    ALTER COLUMN verb TYPE text,
    ALTER COLUMN noun TYPE text,
    ALTER COLUMN document_id TYPE text,
    ALTER COLUMN accounting_entity TYPE text,
    ALTER COLUMN document_location TYPE text,
    ALTER COLUMN action_code TYPE text;

-- What is cut is still too long for the agent, which names it, and short enough for the index.
CREATE FUNCTION bodrelay_change_filled() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.connection_point := left(coalesce(NEW.connection_point, ''), 400);
    NEW.verb := left(coalesce(NEW.verb, 'Sync'), 400);
    NEW.noun := left(coalesce(NEW.noun, ''), 400);
    NEW.document_id := left(coalesce(NEW.document_id, ''), 400);
    NEW.accounting_entity := left(coalesce(NEW.accounting_entity, ''), 400);
    NEW.document_location := left(coalesce(NEW.document_location, ''), 400);
    NEW.action_code := left(coalesce(NEW.action_code, 'Replace'), 400);
    NEW.priority := coalesce(NEW.priority, 4);
    NEW.created_at := coalesce(NEW.created_at, clock_timestamp());
    IF NEW.was_processed IS NULL OR NEW.was_processed NOT IN (0, 1, 9) THEN
        NEW.was_processed := 0;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER tr_bodrelay_change_filled
BEFORE INSERT ON bodrelay_change
FOR EACH ROW EXECUTE FUNCTION bodrelay_change_filled();

-- One column at a time: greatest and least would put a time where there is none (NULL).
UPDATE bodrelay_command SET from_at = least(greatest(from_at, '1900-01-01 00:00Z'), '9999-12-31 00:00Z')
WHERE NOT (from_at BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

UPDATE bodrelay_command SET to_at = least(greatest(to_at, '1900-01-01 00:00Z'), '9999-12-31 00:00Z')
WHERE NOT (to_at BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

UPDATE bodrelay_command SET until_at = least(greatest(until_at, '1900-01-01 00:00Z'), '9999-12-31 00:00Z')
WHERE NOT (until_at BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

UPDATE bodrelay_connection_point
SET send_rows_from = least(greatest(send_rows_from, '1900-01-01 00:00Z'), '9999-12-31 00:00Z')
WHERE NOT (send_rows_from BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

UPDATE bodrelay_finding
SET acknowledged_until = least(greatest(acknowledged_until, '1900-01-01 00:00Z'), '9999-12-31 00:00Z')
WHERE NOT (acknowledged_until BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

ALTER TABLE bodrelay_command
    ADD CONSTRAINT ck_bodrelay_command_from_at CHECK (from_at BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z'),
    ADD CONSTRAINT ck_bodrelay_command_to_at CHECK (to_at BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z'),
    ADD CONSTRAINT ck_bodrelay_command_until_at CHECK (until_at BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

ALTER TABLE bodrelay_connection_point
    ADD CONSTRAINT ck_bodrelay_connection_point_send_rows_from
    CHECK (send_rows_from BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

ALTER TABLE bodrelay_finding
    ADD CONSTRAINT ck_bodrelay_finding_acknowledged_until
    CHECK (acknowledged_until BETWEEN '1900-01-01 00:00Z' AND '9999-12-31 00:00Z');

INSERT INTO bodrelay_version (script_no, script_name) VALUES (6, '006_marks');

COMMIT;
