-- journal:009_hosts
-- What tells a restored database, a copied one and a machine that was put back apart.

-- The epoch that is on its way into the database; NULL: none. `epoch` follows when the database has it.
ALTER TABLE site_database ADD COLUMN raising INTEGER;
-- When the agent of this journal last worked, by its own clock.
ALTER TABLE site_database ADD COLUMN alive_at INTEGER;
-- It has ended in order since.
ALTER TABLE site_database ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1));

-- Earlier shapes raised the epoch here first: the database may be one behind.
UPDATE site_database SET raising = epoch, epoch = epoch - 1 WHERE epoch > 0;

-- The rows of bodrelay_host as this agent last saw them while its own was among them: a restored database has nothing
-- that is newer, a copy of another one has.
CREATE TABLE site_host (
    database_id   INTEGER NOT NULL REFERENCES site_database,
    journal_id    TEXT    NOT NULL,
    fingerprint   TEXT    NOT NULL,
    epoch         INTEGER NOT NULL,
    heartbeat_at  INTEGER NOT NULL,
    PRIMARY KEY (database_id, journal_id)
) WITHOUT ROWID;
