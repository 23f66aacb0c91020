-- session:settings
-- What a session of the agent is like. LOCK_TIMEOUT (milliseconds) keeps it from standing behind a lock for long,
-- DEADLOCK_PRIORITY makes it the one that gives way, XACT_ABORT leaves no half transaction. The ANSI settings are those
-- that indexed views, filtered indexes and computed columns need. READ COMMITTED; statements that need more say so.
-- Sent as a batch of its own: inside sp_executesql, settings end with the statement.
SET LOCK_TIMEOUT 5000;
SET DEADLOCK_PRIORITY LOW;
SET XACT_ABORT ON;
SET ANSI_NULLS ON;
SET ANSI_PADDING ON;
SET ANSI_WARNINGS ON;
SET ARITHABORT ON;
SET CONCAT_NULL_YIELDS_NULL ON;
SET NUMERIC_ROUNDABORT OFF;
SET QUOTED_IDENTIFIER ON;
SET IMPLICIT_TRANSACTIONS OFF;
SET DATEFIRST 7;
SET DATEFORMAT ymd;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
