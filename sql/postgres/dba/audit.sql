-- Optional: triggers that write each change of a setting into bodrelay_setting_history.
--
-- What:   a trigger function and triggers on bodrelay_connection_point, bodrelay_document, bodrelay_status_rule and
--         bodrelay_document_query (after 004_compose.sql): one row of history for
--         each column that a DBA sets, changes or deletes. What the agent writes beside the settings is left out.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f audit.sql      (as the role that ran 002_panel.sql; another
--         schema: replace "bodrelay" in SET LOCAL search_path and in the function)
-- Locks:  one transaction, some milliseconds; each change of a setting then writes some rows more.
-- Twice:  every statement fails with "already exists", and nothing changes.
-- Undo:   DROP FUNCTION bodrelay_audit() CASCADE; the history stays.

BEGIN;

SET LOCAL search_path = bodrelay;

-- With the rights of its owner, so that who may change a setting need not be able to change the history.
CREATE FUNCTION bodrelay_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = bodrelay, pg_temp
AS $$
BEGIN
    INSERT INTO bodrelay_setting_history (table_name, row_key, column_name, old_value, new_value, changed_by)
    SELECT
        TG_TABLE_NAME,
        (SELECT left(string_agg(coalesce(to_jsonb(NEW), to_jsonb(OLD)) ->> k.name, '/' ORDER BY k.place), 400)
         FROM unnest(TG_ARGV) WITH ORDINALITY AS k (name, place)),
        key, left(o.value, 2000), left(n.value, 2000), session_user
    FROM jsonb_each_text(to_jsonb(OLD)) AS o
    FULL JOIN jsonb_each_text(to_jsonb(NEW)) AS n USING (key)
    WHERE o.value IS DISTINCT FROM n.value
        AND key NOT IN ('created_at', 'created_by', 'changed_at', 'changed_by', 'refused_reason', 'applied_at',
            'accepted_by_ion', 'accepted_checked_at', 'checked_at');
    RETURN NULL;
END
$$;

CREATE TRIGGER tr_bodrelay_audit_connection_point
AFTER INSERT OR UPDATE OR DELETE ON bodrelay_connection_point
FOR EACH ROW EXECUTE FUNCTION bodrelay_audit('connection_point');

CREATE TRIGGER tr_bodrelay_audit_document
AFTER INSERT OR UPDATE OR DELETE ON bodrelay_document
FOR EACH ROW EXECUTE FUNCTION bodrelay_audit('connection_point', 'direction', 'verb', 'noun');

CREATE TRIGGER tr_bodrelay_audit_status_rule
AFTER INSERT OR UPDATE OR DELETE ON bodrelay_status_rule
FOR EACH ROW EXECUTE FUNCTION bodrelay_audit('connection_point', 'http_status');

CREATE TRIGGER tr_bodrelay_audit_document_query
AFTER INSERT OR UPDATE OR DELETE ON bodrelay_document_query
FOR EACH ROW EXECUTE FUNCTION bodrelay_audit('connection_point', 'verb', 'noun', 'part_no');

COMMIT;
