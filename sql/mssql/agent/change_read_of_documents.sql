-- agent:change_read_of_documents
-- All changes that wait of some documents, so that none of a document is left out when they are folded. By the
-- index of the document ids: on document_key, where script 6 made that (in the place of /* document_key */).
-- Parameters: @P1 connection point, @P2 limit; the document ids are in #bodrelay_document.
-- Locks: reads only, READ COMMITTED; a change that an open business transaction has locked is passed over and
-- found later (READPAST where there is no READ_COMMITTED_SNAPSHOT).
SELECT TOP (@P2) change_id, verb, noun, document_id, accounting_entity, document_location, action_code, priority
FROM [bodrelay].bodrelay_change /* readpast */
WHERE was_processed = 0 AND /* document_key */document_id/* document_key */ IN (SELECT document_id FROM #bodrelay_document) AND connection_point = @P1
ORDER BY change_id
