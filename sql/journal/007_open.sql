-- journal:007_open
-- An open message is found among any number of failed and held ones without reading these: the index says which are settled,
-- which are held, and in which lane each is. An index by lane would cost every message a page somewhere, twice, for what
-- only a failure asks.
DROP INDEX message_entry;
DROP INDEX message_lane;
CREATE INDEX message_entry ON message (point_id, entry_id, settled, held_by, lane);

-- The nearest failed message that holds a lane.
DROP INDEX message_holds;
CREATE INDEX message_holds ON message (point_id, lane, entry_id) WHERE holds = 1;
