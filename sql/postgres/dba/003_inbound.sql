-- bodrelay control tables for PostgreSQL, script 3: what receiving needs.
--
-- What:   two tables by which a document that comes twice, or late, is known (bodrelay_receipt,
--         bodrelay_received_document), and the view bodrelay_received_today. Needed where a connection point has
--         receive_mode = 'on'; who only sends can leave it. The tables of the application are not touched.
-- Run:    psql -d YOUR_DATABASE -v ON_ERROR_STOP=1 -f 003_inbound.sql    (as the role that ran 001_install.sql; another
--         schema: replace "bodrelay" in SET LOCAL search_path). Then the lines of grants.sql that name these tables, and
--         those that say "receiving".
-- Locks:  one transaction, some milliseconds; only new objects.
-- Twice:  every statement fails with "already exists", and nothing changes.
-- Undo:   uninstall.sql takes everything; these alone: DROP VIEW bodrelay_received_today, DROP TABLE of the two. Without
--         them nothing is received: ION is asked to try again later.

BEGIN;

SET LOCAL search_path = bodrelay;

-- One row a message that was received, kept for 30 days at least (log_keep_days where that is more). Written by the agent
-- only, in one transaction with the inbox entry. receipt_key: SHA-256 of connection point and ION's full message id.
CREATE TABLE bodrelay_receipt (
    receipt_key varchar(64) NOT NULL,
    connection_point varchar(64) NOT NULL,
    message_id varchar(250) NOT NULL,
    source_part varchar(128) NOT NULL,
    from_logical_id varchar(250) NOT NULL,
    document_name varchar(131) NOT NULL,
    digest varchar(64) NOT NULL,
    entry_id bigint NOT NULL,
    received_at timestamptz(3) NOT NULL,
    repeats integer NOT NULL DEFAULT 0,
    CONSTRAINT pk_bodrelay_receipt PRIMARY KEY (receipt_key)
);

-- One row a document: its highest variation that was stored. Written by the agent only. document_key: SHA-256 of
-- connection point, sender, document name (Verb.Noun), accounting entity, location, document id and revision.
CREATE TABLE bodrelay_received_document (
    document_key varchar(64) NOT NULL,
    connection_point varchar(64) NOT NULL,
    noun varchar(100) NOT NULL,
    document_id varchar(100) NOT NULL,
    variation_id bigint,
    digest varchar(64) NOT NULL,
    entry_id bigint NOT NULL,
    received_at timestamptz(3) NOT NULL,
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
CROSS JOIN (VALUES ('stored'), ('duplicate'), ('refused')) AS s (state)
JOIN bodrelay_message_log AS l
    ON l.connection_point = p.connection_point AND l.state = s.state
    AND l.seen_at >= date_trunc('day', now(), 'UTC')
WHERE l.direction = 'in'
GROUP BY l.connection_point, l.verb, l.noun;

INSERT INTO bodrelay_version (script_no, script_name) VALUES (3, '003_inbound');

COMMIT;
