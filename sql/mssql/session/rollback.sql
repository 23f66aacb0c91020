-- session:rollback
-- After an error: whatever is open is taken back (with XACT_ABORT it usually is already).
IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;
