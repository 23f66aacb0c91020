-- Tells the agent at once that a PostgreSQL outbox has new rows. Optional: polling finds every row without it.
--
-- What:   a trigger on the outbox: after each INSERT statement (one, however many rows) NOTIFY bodrelay_outbox. The agent
--         hears it when the transaction is committed, and looks; a row then reaches ION within milliseconds. Where the
--         outbox is in another schema, or spelled otherwise, change its name below; so with the schema bodrelay.
-- Cost:   about 10 microseconds a statement; and transactions that notify commit one after the other, which a system
--         with thousands of commits a second notices. Only if notifications pile up for 8 GB, because some program
--         listens inside a transaction that never ends, do such commits fail.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f notify.sql      (as the owner of the outbox)
-- Locks:  CREATE TRIGGER takes SHARE ROW EXCLUSIVE on the outbox for a moment: it waits for open writing transactions,
--         and new ones wait for it. Run it in a quiet minute, after SET lock_timeout = '2s'.
-- Twice:  the same again, nothing changes.
-- Undo:   DROP FUNCTION bodrelay.announce_outbox() CASCADE: the trigger goes with it, under the same lock.

CREATE OR REPLACE FUNCTION bodrelay.announce_outbox() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    NOTIFY bodrelay_outbox;
    RETURN NULL;
END;
$$;

DROP TRIGGER IF EXISTS bodrelay_announce ON cor_outbox_entry;
CREATE TRIGGER bodrelay_announce AFTER INSERT ON cor_outbox_entry
    FOR EACH STATEMENT EXECUTE FUNCTION bodrelay.announce_outbox();
