-- bodrelay control tables for SQLite, script 3: what receiving needs.
--
-- What:   two tables by which a document that comes twice, or late, is known (bodrelay_receipt,
--         bodrelay_received_document), and the view bodrelay_received_today. Needed where a connection point has
--         receive_mode = 'on'; who only sends can leave it. The tables of the application are not touched.
-- Run:    sqlite3 YOUR.db < 003_inbound.sql    (SQLite 3.24 or newer; as a user who may write the file; after 001)
-- Locks:  one write transaction, some milliseconds; only new objects.
-- Twice:  every statement fails with "already exists" (or a UNIQUE constraint), and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP VIEW bodrelay_received_today, DROP TABLE of the two. Without
--         them nothing is received: ION is asked to try again later.

BEGIN IMMEDIATE;

-- One row a message that was received, kept for 30 days at least (log_keep_days where that is more). Written by the agent
-- only, in one transaction with the inbox entry. receipt_key: SHA-256 of connection point and ION's full message id.
CREATE TABLE bodrelay_receipt (
    receipt_key TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_receipt_key CHECK (length(receipt_key) <= 64),
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_connection_point CHECK (length(connection_point) <= 64),
    message_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_message_id CHECK (length(message_id) <= 250),
    source_part TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_source_part CHECK (length(source_part) <= 128),
    from_logical_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_from_logical_id CHECK (length(from_logical_id) <= 250),
    document_name TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_document_name CHECK (length(document_name) <= 131),
    digest TEXT NOT NULL
        CONSTRAINT ck_bodrelay_receipt_digest CHECK (length(digest) <= 64),
    entry_id INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    repeats INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT pk_bodrelay_receipt PRIMARY KEY (receipt_key)
);

-- One row a document: its highest variation that was stored. Written by the agent only. document_key: SHA-256 of
-- connection point, sender, document name (Verb.Noun), accounting entity, location, document id and revision.
CREATE TABLE bodrelay_received_document (
    document_key TEXT NOT NULL
        CONSTRAINT ck_bodrelay_received_document_document_key CHECK (length(document_key) <= 64),
    connection_point TEXT NOT NULL
        CONSTRAINT ck_bodrelay_received_document_connection_point CHECK (length(connection_point) <= 64),
    noun TEXT NOT NULL
        CONSTRAINT ck_bodrelay_received_document_noun CHECK (length(noun) <= 100),
    document_id TEXT NOT NULL
        CONSTRAINT ck_bodrelay_received_document_document_id CHECK (length(document_id) <= 100),
    variation_id INTEGER,
    digest TEXT NOT NULL
        CONSTRAINT ck_bodrelay_received_document_digest CHECK (length(digest) <= 64),
    entry_id INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    CONSTRAINT pk_bodrelay_received_document PRIMARY KEY (document_key)
);

CREATE INDEX ix_bodrelay_receipt_source ON bodrelay_receipt (source_part, digest);
CREATE INDEX ix_bodrelay_receipt_received ON bodrelay_receipt (connection_point, received_at);
CREATE INDEX ix_bodrelay_received_document_received ON bodrelay_received_document (connection_point, received_at);

-- What was received since midnight (UTC), by document type. stored_messages counts them all with log_messages = 'all'
-- only.
CREATE VIEW bodrelay_received_today AS
SELECT
    l.connection_point, l.verb, l.noun, count(*) AS messages,
    sum(CASE WHEN l.state = 'stored' THEN 1 ELSE 0 END) AS stored_messages,
    sum(CASE WHEN l.state = 'duplicate' THEN 1 ELSE 0 END) AS duplicates,
    sum(CASE WHEN l.state = 'refused' THEN 1 ELSE 0 END) AS refused_messages,
    min(l.seen_at) AS first_seen_at, max(l.seen_at) AS last_seen_at
FROM (
    SELECT connection_point FROM bodrelay_connection_point
    UNION SELECT connection_point FROM bodrelay_status) AS p
CROSS JOIN (SELECT column1 AS state FROM (VALUES ('stored'), ('duplicate'), ('refused'))) AS s
CROSS JOIN bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state = s.state AND l.seen_at >= strftime('%Y-%m-%dT00:00:00.000Z', 'now')
WHERE l.direction = 'in'
GROUP BY l.connection_point, l.verb, l.noun;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (3, '003_inbound');

COMMIT;
