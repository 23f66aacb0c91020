-- journal:008_order
-- What orders the documents of a noun (order_by), as it applies: the lanes in this file were made by it. It changes when
-- nothing of the noun is open any more, so that no document is in two lanes.
CREATE TABLE noun_order (
    point_id      INTEGER NOT NULL,
    noun          TEXT    NOT NULL,
    order_by      TEXT    NOT NULL CHECK (order_by IN ('document', 'connection_point', 'none')),
    -- The first C_ID that it may be judged by: of rows below, nobody can tell whether later ones of their lane were
    -- accepted, since these went by another order.
    applies_from  INTEGER NOT NULL,
    PRIMARY KEY (point_id, noun)
) WITHOUT ROWID;
