-- journal:012_place
-- Where this journal was (its file, the machine's start) when the agent last passed a database's guards: a journal that
-- was copied finds itself somewhere else.
ALTER TABLE site_database ADD COLUMN place TEXT;
