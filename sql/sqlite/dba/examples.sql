-- The statements of daily work, to copy from.
--
-- What:   questions first, then changes. Run as a whole it changes nothing: all of it is one transaction that ends
--         with ROLLBACK. CP1, the tenant and the ids are examples.
-- Locks:  as a whole, one write transaction of some milliseconds; each question alone only reads.
-- Twice:  does no harm.
-- Undo:   nothing to undo; what you copy from here says beside it how to take it back.

BEGIN IMMEDIATE;

-- How is it going? (state_reason says why it is not 'running'; heartbeat_at older than 3 minutes: the agent is away)
SELECT connection_point, direction, state, state_reason, waiting_rows, oldest_waiting_at, held_rows, failed_rows,
       in_doubt_rows, last_accepted_at, heartbeat_at
FROM bodrelay_status ORDER BY connection_point, direction;

-- What should somebody look at, and what is to be done?
SELECT severity, code, connection_point, subject, finding_text, remedy, since, seen_count
FROM bodrelay_finding WHERE cleared_at IS NULL ORDER BY severity, since;

-- How does each connection point stand, and how old is what waits?
SELECT connection_point, state, reason, waiting_rows, oldest_waiting_minutes, held_rows, failed_rows, last_accepted_at,
       next_poll_at, host, heartbeat_minutes
FROM bodrelay_backlog ORDER BY connection_point;

-- What failed, is held, waits for a retry or is in doubt, and what is to be done?
SELECT connection_point, state, verb, noun, document_id, entry_id, failure_code, failure_text, remedy, seen_at
FROM bodrelay_errors ORDER BY seen_at DESC LIMIT 50;

-- What went today, by document type?
SELECT connection_point, verb, noun, messages, accepted, failed, waiting, given_up, attempts, last_finished_at
FROM bodrelay_today ORDER BY connection_point, verb, noun;

-- Who changed which setting (where audit.sql was run)?
SELECT changed_at, changed_by, table_name, row_key, column_name, old_value, new_value
FROM bodrelay_setting_history ORDER BY history_id DESC LIMIT 50;

-- Stop a connection point for a while, and let it go on.
INSERT INTO bodrelay_command (command, connection_point, reason) VALUES ('pause', 'CP1', 'month end');
INSERT INTO bodrelay_command (command, connection_point) VALUES ('resume', 'CP1');

-- What became of one document?
SELECT message_key, entry_id, state, in_doubt, attempts, http_status, failure_code, created_at, finished_at
FROM bodrelay_message_log WHERE noun = 'SalesOrder' AND document_id = '4711' ORDER BY seen_at;

-- What waits, oldest first?
SELECT C_ID, C_TENANT_ID, C_CREATED_DATE_TIME FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 0 ORDER BY C_ID LIMIT 100;

-- A new connection point. It starts with send_mode 'off'.
INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id)
VALUES ('CP1', 'PLANT1', 'ACME_PRD', 'lid://infor.ims.cp1');

-- Add a document: what is not listed is not sent.
INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'SalesOrder');

-- Look first: 'observe' checks every row, posts and flags nothing, and tells what it finds in bodrelay_finding.
UPDATE bodrelay_connection_point SET send_mode = 'observe' WHERE connection_point = 'CP1';

-- Leave old rows alone.
UPDATE bodrelay_connection_point SET send_rows_from = '2026-01-31T00:00:00.000Z' WHERE connection_point = 'CP1';

-- Switch on, switch off. What is under way is finished; nothing is lost by either.
UPDATE bodrelay_connection_point SET send_mode = 'on' WHERE connection_point = 'CP1';
UPDATE bodrelay_connection_point SET send_mode = 'off' WHERE connection_point = 'CP1';

-- Poll at fixed times instead of every 5 seconds: exactly one of the two columns is set.
UPDATE bodrelay_connection_point SET poll_seconds = NULL, poll_cron = '*/15 6-18 * * 1-5' WHERE connection_point = 'CP1';

-- Resubmit what failed for one reason, after it was mended. First see what it would do: dry_run = 1.
INSERT INTO bodrelay_command (command, connection_point, failure_code, dry_run, requested_by)
VALUES ('resubmit', 'CP1', 'HTTP_400', 1, 'your name');
INSERT INTO bodrelay_command (command, connection_point, failure_code, requested_by)
VALUES ('resubmit', 'CP1', 'HTTP_400', 'your name');

-- Resubmit one row: the same, for one.
UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_ID = 4711 AND C_WAS_PROCESSED = 9;

-- Discard one document that must not be sent any more; it needs a reason.
INSERT INTO bodrelay_command (command, connection_point, noun, document_id, reason, requested_by)
VALUES ('discard', 'CP1', 'SalesOrder', '4711', 'entered twice', 'your name');

-- Send again what ION has accepted, with a new message id.
INSERT INTO bodrelay_command (command, connection_point, noun, document_id, requested_by)
VALUES ('resend', 'CP1', 'SalesOrder', '4711', 'your name');

-- Receiving (after 003_inbound.sql): switch it on, and list what is taken. source_logical_id, where it is given, is the
-- C_LOGICAL_ID by which the application reads its inbox.
UPDATE bodrelay_connection_point SET receive_mode = 'on' WHERE connection_point = 'CP1';
INSERT INTO bodrelay_document (connection_point, direction, verb, noun, duplicate_key, older_variation)
VALUES ('CP1', 'in', 'Sync', 'ItemMaster', 'document_variation', 'warn');

-- What came today, by document type?
SELECT connection_point, verb, noun, messages, stored_messages, duplicates, refused_messages, last_seen_at
FROM bodrelay_received_today ORDER BY connection_point, verb, noun;

-- What was refused, left out as a duplicate, or came late, and why?
SELECT state, verb, noun, document_id, variation_id, entry_id, failure_code, failure_text, seen_at, message_key
FROM bodrelay_message_log
WHERE connection_point = 'CP1' AND direction = 'in' AND failure_code IS NOT NULL AND seen_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')
ORDER BY seen_at DESC LIMIT 100;

-- The application's work: its inbox at 0, oldest first, with the type of each document.
SELECT e.C_ID, e.C_CREATED_DATE_TIME, h.C_HEADER_VALUE AS bod_type
FROM COR_INBOX_ENTRY AS e
JOIN COR_INBOX_HEADERS AS h ON h.C_INBOX_ID = e.C_ID AND h.C_HEADER_KEY = 'BODType'
WHERE e.C_WAS_PROCESSED = 0 ORDER BY e.C_ID LIMIT 100;

-- Tell ION that a received document could not be processed: message_key, or the C_ID of its row in the inbox.
INSERT INTO bodrelay_command (command, connection_point, message_key, reason, reason_code, requested_by)
VALUES ('confirm_error', 'CP1', '4711', 'unit of measure PCE is unknown', 'UOM001', 'your name');

-- What became of the commands?
SELECT command_id, command, state, matched_rows, done_rows, result FROM bodrelay_command ORDER BY command_id DESC LIMIT 20;

-- Be as strict as ION with a status; back: answer_class = 'retry'.
UPDATE bodrelay_status_rule SET answer_class = 'reject' WHERE connection_point = '*' AND http_status = 502;

-- Acknowledge a finding for a week.
UPDATE bodrelay_finding
SET acknowledged_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), acknowledged_by = 'your name',
    acknowledged_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+7 days')
WHERE finding_id = 1;

-- Documents composed from rows (source_kind = 'rows', after 004_compose.sql). The tables are examples and gone with the
-- ROLLBACK, like everything here.
CREATE TABLE example_order (order_no TEXT PRIMARY KEY, customer TEXT, ordered_at DATETIME);
CREATE TABLE example_order_line (order_no TEXT, line_no INTEGER, item TEXT, quantity NUMERIC, unit TEXT);

-- The triggers: one narrow row a change, whatever it is; coalesce, so that no NULL breaks the business transaction. Lines
-- that go after their order are no news of it.
CREATE TRIGGER example_order_insert AFTER INSERT ON example_order
BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code)
    VALUES ('CP1', 'SalesOrder', coalesce(NEW.order_no, ''), 'Add');
END;
CREATE TRIGGER example_order_update AFTER UPDATE ON example_order
BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code)
    VALUES ('CP1', 'SalesOrder', coalesce(NEW.order_no, ''), 'Change');
END;
CREATE TRIGGER example_order_delete AFTER DELETE ON example_order
BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code)
    VALUES ('CP1', 'SalesOrder', coalesce(OLD.order_no, ''), 'Delete');
END;
CREATE TRIGGER example_order_line_insert AFTER INSERT ON example_order_line
BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code)
    VALUES ('CP1', 'SalesOrder', coalesce(NEW.order_no, ''), 'Change');
END;
CREATE TRIGGER example_order_line_update AFTER UPDATE ON example_order_line
BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code)
    VALUES ('CP1', 'SalesOrder', coalesce(NEW.order_no, ''), 'Change');
END;
CREATE TRIGGER example_order_line_delete AFTER DELETE ON example_order_line
BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code)
    SELECT 'CP1', 'SalesOrder', OLD.order_no, 'Change' WHERE EXISTS (SELECT 1 FROM example_order WHERE order_no = OLD.order_no);
END;

-- The queries: part 0 gives the order, part 1 a line a row. Column aliases are places in the document. Times without a zone
-- are taken as UTC: a column of local times is converted in the query.
INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
VALUES ('CP1', 'SalesOrder', 0, 'SalesOrderHeader',
'SELECT b.document_no, b.document_id AS "DocumentID/ID", b.variation_id AS "DocumentID/ID/@variationID",
       o.customer AS "CustomerParty/Name", o.ordered_at AS "OrderDateTime"
FROM bodrelay_batch AS b JOIN example_order AS o ON o.order_no = b.document_id');
INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
VALUES ('CP1', 'SalesOrder', 1, 'SalesOrderLine',
'SELECT b.document_no, l.line_no AS "LineNumber", l.item AS "ItemID/ID", l.quantity AS "Quantity", l.unit AS "Quantity/@unitCode"
FROM bodrelay_batch AS b JOIN example_order_line AS l ON l.order_no = b.document_id
ORDER BY l.order_no, l.line_no');
UPDATE bodrelay_connection_point SET source_kind = 'rows' WHERE connection_point = 'CP1';

-- Can the queries be used? checked_at and refused_reason are written by the agent, within a minute.
SELECT verb, noun, part_no, checked_at, refused_reason FROM bodrelay_document_query ORDER BY noun, verb, part_no;

-- What was refused, and why? Tried again: was_processed = 0.
SELECT change_id, noun, document_id, refused_reason FROM bodrelay_change WHERE was_processed = 9 ORDER BY change_id;
UPDATE bodrelay_change SET was_processed = 0 WHERE was_processed = 9 AND noun = 'SalesOrder';

-- Send a document without a change of the application.
INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('CP1', 'SalesOrder', '4711');

-- What would a document be now? The answer is in the command's result; 'bodrelay compose CP1 SalesOrder 4711' prints it.
INSERT INTO bodrelay_command (command, connection_point, noun, document_id) VALUES ('test_document', 'CP1', 'SalesOrder', '4711');

ROLLBACK;
