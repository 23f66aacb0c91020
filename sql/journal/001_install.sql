-- journal:001_install
-- The agent's own file (state_dir/journal.sqlite): the truth about deliveries. Not for the DBA's database.
-- Times are ms since 1970 (UTC). States are numbers that never change their meaning: 0 pending, 1 in flight,
-- 2 accepted, 3 failed, 4 discarded, 5 withdrawn, 6 superseded.

CREATE TABLE journal_version (
    version     INTEGER NOT NULL,
    journal_id  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
);

-- The databases that this journal has met. A fingerprint that differs from the one that is found means a copy.
CREATE TABLE site_database (
    database_id      INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE,
    fingerprint      TEXT    NOT NULL,
    epoch            INTEGER NOT NULL DEFAULT 0,
    -- Rows at 0 created up to then may have been posted by a life of which this journal knows nothing.
    in_doubt_before  INTEGER
);

CREATE TABLE connection_point (
    point_id        INTEGER PRIMARY KEY,
    database_id     INTEGER NOT NULL REFERENCES site_database,
    name            TEXT    NOT NULL,
    -- Highest C_ID that was looked at: an optimisation, never the truth. -1: the message log is still to be read for
    -- what a lost journal knew.
    scanned_up_to   INTEGER NOT NULL DEFAULT 0,
    -- The same for send_mode 'observe'; 'on' erases it.
    observed_up_to  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (database_id, name)
);

-- Messages that are not yet, or not as accepted, settled.
CREATE TABLE message (
    message           INTEGER PRIMARY KEY,
    message_key       BLOB    NOT NULL CHECK (length(message_key) = 16),
    point_id          INTEGER NOT NULL REFERENCES connection_point,
    entry_id          INTEGER NOT NULL,
    identity          BLOB    NOT NULL CHECK (length(identity) = 16),
    message_id        TEXT    NOT NULL,
    -- Hash of an id that the application gave; NULL where we derived it.
    given_id_hash     INTEGER,
    lane              INTEGER NOT NULL,
    document_type     TEXT    NOT NULL,
    priority          INTEGER NOT NULL,
    state             INTEGER NOT NULL CHECK (state BETWEEN 0 AND 6),
    settled           INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1) AND (settled = 0 OR state >= 3)),
    in_doubt          INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)),
    late              INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
    attempts          INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- The failed message of the same lane that this one waits for.
    held_by           INTEGER CHECK (held_by IS NULL OR state = 0),
    -- Later messages of the lane wait for this failed one.
    holds             INTEGER NOT NULL DEFAULT 0 CHECK (holds IN (0, 1)),
    -- The message log has its present state.
    logged            INTEGER NOT NULL DEFAULT 0 CHECK (logged IN (0, 1)),
    seen_at           INTEGER NOT NULL,
    first_attempt_at  INTEGER,
    last_attempt_at   INTEGER,
    finished_at       INTEGER,
    http_status       INTEGER,
    answer_class      TEXT,
    failure_code      TEXT,
    failure_text      TEXT,
    remedy            TEXT,
    wire_bytes        INTEGER,
    -- The other columns of the message log, as JSON.
    facts             TEXT    NOT NULL
);
CREATE INDEX message_entry ON message (point_id, entry_id);
CREATE INDEX message_lane ON message (point_id, lane, entry_id);
CREATE INDEX message_unlogged ON message (point_id, entry_id) WHERE held_by IS NOT NULL AND logged = 0;
CREATE INDEX message_failed ON message (point_id) WHERE state = 3;
CREATE INDEX message_held ON message (point_id, held_by) WHERE held_by IS NOT NULL;
CREATE INDEX message_in_doubt ON message (point_id, state) WHERE in_doubt = 1;
CREATE INDEX message_holds ON message (point_id, lane) WHERE holds = 1;

-- Tries that were not an immediate success, until the message log has them.
CREATE TABLE attempt (
    message        INTEGER NOT NULL,
    attempt_no     INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    duration_ms    INTEGER NOT NULL,
    http_status    INTEGER,
    answer_class   TEXT    NOT NULL,
    in_doubt       INTEGER NOT NULL,
    failure_code   TEXT,
    answer_text    TEXT,
    PRIMARY KEY (message, attempt_no)
) WITHOUT ROWID;

-- Tombstones: what was accepted and settled. They stop second sends after a restored database.
CREATE TABLE delivered (
    point_id       INTEGER NOT NULL,
    entry_id       INTEGER NOT NULL,
    identity       BLOB    NOT NULL,
    given_id_hash  INTEGER,
    settled_at     INTEGER NOT NULL,
    PRIMARY KEY (point_id, entry_id, identity)
) WITHOUT ROWID;

-- Which row has which message id that an application gave, as long as the row's message or tombstone is there.
CREATE TABLE given_id (
    point_id       INTEGER NOT NULL,
    given_id_hash  INTEGER NOT NULL,
    entry_id       INTEGER NOT NULL,
    PRIMARY KEY (point_id, given_id_hash, entry_id)
) WITHOUT ROWID;

-- The highest accepted C_ID of each lane: what comes below it is late.
CREATE TABLE lane_tail (
    point_id           INTEGER NOT NULL,
    lane               INTEGER NOT NULL,
    accepted_entry_id  INTEGER NOT NULL,
    changed_at         INTEGER NOT NULL,
    PRIMARY KEY (point_id, lane)
) WITHOUT ROWID;

-- Rows that wait for somebody; they stay 0 in the outbox.
CREATE TABLE parked (
    point_id       INTEGER NOT NULL,
    entry_id       INTEGER NOT NULL,
    -- headers, unlisted, disabled, suspended, behind (a parked row of the same lane)
    reason         TEXT    NOT NULL,
    document_type  TEXT    NOT NULL,
    lane           INTEGER NOT NULL,
    -- Later messages of the lane wait for it.
    holds          INTEGER NOT NULL CHECK (holds IN (0, 1)),
    header_count   INTEGER NOT NULL,
    first_seen     INTEGER NOT NULL,
    PRIMARY KEY (point_id, entry_id)
) WITHOUT ROWID;
CREATE INDEX parked_lane ON parked (point_id, lane, entry_id) WHERE holds = 1;
CREATE INDEX parked_reason ON parked (point_id, reason, document_type, entry_id);

-- What waits, and until when: so that a restart, and each `once`, does not hammer.
CREATE TABLE scope (
    scope           TEXT    PRIMARY KEY,
    cause           TEXT    NOT NULL,
    refusals        INTEGER NOT NULL,
    not_before      INTEGER NOT NULL,
    since           INTEGER NOT NULL,
    lone            INTEGER NOT NULL,
    in_doubt_tries  INTEGER NOT NULL,
    natural         TEXT,
    passed          INTEGER NOT NULL,
    answer_text     TEXT    NOT NULL
) WITHOUT ROWID;

-- How far a command has been carried out: stored in the transaction of its effect.
CREATE TABLE command (
    database_id  INTEGER NOT NULL,
    command_id   INTEGER NOT NULL,
    after_key    TEXT    NOT NULL,
    matched      INTEGER NOT NULL,
    done         INTEGER NOT NULL,
    PRIMARY KEY (database_id, command_id)
) WITHOUT ROWID;
