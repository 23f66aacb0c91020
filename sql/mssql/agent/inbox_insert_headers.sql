-- agent:inbox_insert_headers
-- Writes headers of entries of the inbox.
-- Parameters: none; the headers are in #bodrelay_header.
-- Locks: part of the one transaction of a store; only new rows.
INSERT INTO /* iobox_schema */COR_INBOX_HEADERS (C_INBOX_ID, C_HEADER_KEY, C_HEADER_VALUE)
SELECT n.entry_id, n.header_key, n.header_value
FROM #bodrelay_header AS n
ORDER BY n.place
