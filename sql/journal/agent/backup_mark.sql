-- journal:backup_mark
-- Makes a copy older than every database says: put back, it is known as a restored journal, also within the
-- minutes in which the epoch was last raised.
UPDATE site_database SET epoch = max(epoch - 1, 0), raising = NULL
