-- agent:outbox_load
-- Rows by id, whatever their flag, lowest first; from the first one that would pass the bytes on, without the
-- document (fits = 0). One row at least is given whole. The document comes as bytes; where the column is text
-- or xml, C_XML between the two marks is replaced by CAST(C_XML AS nvarchar(max)), so that the bytes are
-- UTF-16.
-- Parameters: @P1 bytes; the ids are in #bodrelay_id.
-- Locks: reads only, READ COMMITTED and never READPAST: a row that is locked must not look like one that is
-- gone, so it is waited for (LOCK_TIMEOUT).
SELECT CAST(p.C_ID AS bigint) AS C_ID, TRY_CAST(p.C_MESSAGE_PRIORITY AS bigint) AS C_MESSAGE_PRIORITY,
    p.C_CREATED_DATE_TIME, CAST(COALESCE(p.C_WAS_PROCESSED, -1) AS bigint) AS C_WAS_PROCESSED,
    CASE WHEN p.upto <= @P1 OR p.place = 1 THEN 1 ELSE 0 END AS fits,
    CASE WHEN p.upto <= @P1 OR p.place = 1 THEN p.document END AS document
FROM (
    SELECT C_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED,
        CAST(/* document */C_XML/* document */ AS varbinary(max)) AS document,
        SUM(CAST(COALESCE(DATALENGTH(C_XML), 0) AS bigint)) OVER (ORDER BY C_ID ROWS UNBOUNDED PRECEDING) AS upto,
        ROW_NUMBER() OVER (ORDER BY C_ID) AS place
    FROM /* iobox_schema */COR_OUTBOX_ENTRY
    WHERE C_ID IN (SELECT entry_id FROM #bodrelay_id)) AS p
ORDER BY p.C_ID
