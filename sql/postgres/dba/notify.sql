-- bodrelay for PostgreSQL: says at once that the outbox has new rows. Optional: polling finds every row without it.
--
-- What it does: after each INSERT statement on the outbox (one statement, however many rows), NOTIFY bodrelay_outbox.
-- The agent hears it when the transaction is committed, and looks; a row then reaches ION within milliseconds.
-- What it costs: about 10 microseconds a statement, and transactions that notify commit one after the other, which a
-- system with thousands of commits a second notices. Only if notifications pile up for 8 GB, because some other
-- program listens inside a transaction that never ends, do such commits fail.
-- Locks: CREATE TRIGGER takes SHARE ROW EXCLUSIVE on the outbox for a moment: it waits for open writing transactions,
-- and they wait for it. Run it in a quiet minute, with SET lock_timeout = '2s' before it.
-- Where the outbox is in another schema, or has another spelling, write it so below.

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

-- To take it back:
-- DROP TRIGGER bodrelay_announce ON cor_outbox_entry;
-- DROP FUNCTION bodrelay.announce_outbox();
