-- The demo's order database, as an application has it, and what a DBA adds so that orders become documents.
CREATE TABLE customers (customer_no INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE orders (order_no TEXT PRIMARY KEY, customer_no INTEGER NOT NULL, ordered_at DATETIME);
CREATE TABLE order_lines (order_no TEXT NOT NULL, line_no INTEGER NOT NULL, item TEXT, quantity NUMERIC, unit TEXT, PRIMARY KEY (order_no, line_no));
INSERT INTO customers VALUES (1, 'Ann & Sons'), (2, 'Bob''s "Best" <Ltd>'), (3, 'Ćirić 😀');

CREATE TRIGGER orders_insert AFTER INSERT ON orders BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES ('orders', 'SalesOrder', NEW.order_no, 'Add');
END;
CREATE TRIGGER orders_update AFTER UPDATE ON orders BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES ('orders', 'SalesOrder', NEW.order_no, 'Change');
END;
CREATE TRIGGER orders_delete AFTER DELETE ON orders BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES ('orders', 'SalesOrder', OLD.order_no, 'Delete');
END;
CREATE TRIGGER order_lines_insert AFTER INSERT ON order_lines BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES ('orders', 'SalesOrder', NEW.order_no, 'Change');
END;
CREATE TRIGGER order_lines_update AFTER UPDATE ON order_lines BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES ('orders', 'SalesOrder', NEW.order_no, 'Change');
END;
CREATE TRIGGER order_lines_delete AFTER DELETE ON order_lines BEGIN
    INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES ('orders', 'SalesOrder', OLD.order_no, 'Change');
END;

INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, source_kind, send_mode,
    poll_seconds, backoff_step_seconds, backoff_max_seconds)
VALUES ('orders', 'DEMO', 'tenant', 'lid://infor.ims.orders', 'rows', 'on', 1, 1, 1);
INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('orders', 'out', 'Sync', 'SalesOrder');
INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
VALUES ('orders', 'SalesOrder', 0, 'SalesOrderHeader',
'SELECT b.document_no, o.order_no AS "DocumentID/ID", b.variation_id AS "DocumentID/ID/@variationID",
    c.name AS "CustomerParty/Name", o.ordered_at AS "OrderDateTime"
FROM bodrelay_batch AS b JOIN orders AS o ON o.order_no = b.document_id JOIN customers AS c ON c.customer_no = o.customer_no');
INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
VALUES ('orders', 'SalesOrder', 1, 'SalesOrderLine',
'SELECT b.document_no, l.line_no AS "LineNumber", l.item AS "ItemID/ID", l.quantity AS "Quantity", l.unit AS "Quantity/@unitCode"
FROM bodrelay_batch AS b JOIN order_lines AS l ON l.order_no = b.document_id ORDER BY l.order_no, l.line_no');
