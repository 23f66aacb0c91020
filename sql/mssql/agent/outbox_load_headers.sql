-- agent:outbox_load_headers
-- The headers of rows, in the order of their C_ID; those without a key or a value are none.
-- Parameters: none; the ids are in #bodrelay_id.
-- Locks: reads only, READ COMMITTED and never READPAST: a row that is locked must not look like one that is
-- gone, so it is waited for (LOCK_TIMEOUT).
SELECT CAST(C_OUTBOX_ID AS bigint) AS C_OUTBOX_ID, CAST(C_HEADER_KEY AS nvarchar(max)) AS C_HEADER_KEY,
    CAST(C_HEADER_VALUE AS nvarchar(max)) AS C_HEADER_VALUE
FROM /* iobox_schema */COR_OUTBOX_HEADERS AS h
WHERE C_OUTBOX_ID IN (SELECT entry_id FROM #bodrelay_id) AND C_HEADER_KEY IS NOT NULL AND C_HEADER_VALUE IS NOT NULL
ORDER BY h.C_OUTBOX_ID, h.C_ID
