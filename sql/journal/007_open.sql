-- journal:007_open
-- An open message is found among any number of failed and held ones without reading these: the index says which are settled
-- and which are held.
DROP INDEX message_entry;
CREATE INDEX message_entry ON message (point_id, entry_id, settled, held_by);

-- By its lane only what waits is looked for.
DROP INDEX message_lane;
CREATE INDEX message_lane ON message (point_id, lane, entry_id) WHERE state = 0;

-- The nearest failed message that holds a lane.
DROP INDEX message_holds;
CREATE INDEX message_holds ON message (point_id, lane, entry_id) WHERE holds = 1;
