-- journal:005_alerts
-- Findings that somebody was told of and that are not told as over: a restart tells nothing twice.
CREATE TABLE alert (
    -- Code, connection point, subject and database, as JSON.
    finding  TEXT NOT NULL PRIMARY KEY,
    -- What was told, and when, as JSON.
    told     TEXT NOT NULL
) WITHOUT ROWID;
