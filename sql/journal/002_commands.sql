-- journal:002_commands
-- What commands leave behind: pauses, and when a command was begun (what ended later is none of its business).
CREATE TABLE pause (
    point_id  INTEGER PRIMARY KEY REFERENCES connection_point,
    since     INTEGER NOT NULL,
    -- NULL: until the command resume.
    until_at  INTEGER,
    reason    TEXT    NOT NULL
);

ALTER TABLE command ADD COLUMN begun_at INTEGER NOT NULL DEFAULT 0;
UPDATE command SET begun_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
