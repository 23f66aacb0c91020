-- journal:005_findings
-- What findings need to know of earlier lives.

-- Findings that somebody was told of and that are not told as over: a restart tells nothing twice.
CREATE TABLE alert (
    -- Code, connection point, subject and database, as JSON.
    finding  TEXT NOT NULL PRIMARY KEY,
    -- What was told, and when, as JSON.
    told     TEXT NOT NULL
) WITHOUT ROWID;

-- Receivers (ToLogicalId) that documents were sent to before: a new one may be misspelt.
CREATE TABLE receiver (
    point_id    INTEGER NOT NULL,
    logical_id  TEXT    NOT NULL,
    PRIMARY KEY (point_id, logical_id)
) WITHOUT ROWID;
