-- journal:003_last_run
-- When a connection point with a cron schedule last looked at its outbox to the end: a run that was missed while no
-- agent was there is made up for once.
ALTER TABLE connection_point ADD COLUMN looked_at INTEGER;
