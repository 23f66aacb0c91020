-- journal:010_alone
-- Of a lane that was refused: its document type, and the narrowest scope in which others passed since its head was last
-- refused (passed) and since it was first refused (alone): 0 none, 1 endpoint, 2 connection point, 3 document type. What
-- an older shape said of passed was of the scope in natural; it counts as the endpoint, which says the least.
ALTER TABLE scope ADD COLUMN document_type TEXT;
ALTER TABLE scope ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scope DROP COLUMN natural;
