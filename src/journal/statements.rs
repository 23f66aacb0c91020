//! The journal's statements: every file of `sql/journal/agent`, by its name.

/// The scripts that make a journal, by shape: later versions add scripts and never edit one.
pub(super) const SCRIPTS: [&str; 12] = [
    include_str!("../../sql/journal/001_install.sql"),
    include_str!("../../sql/journal/002_commands.sql"),
    include_str!("../../sql/journal/003_last_run.sql"),
    include_str!("../../sql/journal/004_purge.sql"),
    include_str!("../../sql/journal/005_findings.sql"),
    include_str!("../../sql/journal/006_received.sql"),
    include_str!("../../sql/journal/007_open.sql"),
    include_str!("../../sql/journal/008_order.sql"),
    include_str!("../../sql/journal/009_hosts.sql"),
    include_str!("../../sql/journal/010_alone.sql"),
    include_str!("../../sql/journal/011_lives.sql"),
    include_str!("../../sql/journal/012_place.sql"),
];

pub(super) const ADMISSION_FACTS: &str = include_str!("../../sql/journal/agent/admission_facts.sql");
pub(super) const ALERT_DELETE: &str = include_str!("../../sql/journal/agent/alert_delete.sql");
pub(super) const ALERT_READ: &str = include_str!("../../sql/journal/agent/alert_read.sql");
pub(super) const ALERT_WRITE: &str = include_str!("../../sql/journal/agent/alert_write.sql");
pub(super) const ATTEMPT_DELETE: &str = include_str!("../../sql/journal/agent/attempt_delete.sql");
pub(super) const ATTEMPT_INSERT: &str = include_str!("../../sql/journal/agent/attempt_insert.sql");
pub(super) const ATTEMPT_LOGGED: &str = include_str!("../../sql/journal/agent/attempt_logged.sql");
pub(super) const ATTEMPT_READ: &str = include_str!("../../sql/journal/agent/attempt_read.sql");
pub(super) const ATTEMPT_TRIM: &str = include_str!("../../sql/journal/agent/attempt_trim.sql");
pub(super) const BACKUP_CHECK: &str = include_str!("../../sql/journal/agent/backup_check.sql");
pub(super) const BACKUP_COPY: &str = include_str!("../../sql/journal/agent/backup_copy.sql");
pub(super) const BACKUP_MARK: &str = include_str!("../../sql/journal/agent/backup_mark.sql");
pub(super) const BACKUP_VERSION: &str = include_str!("../../sql/journal/agent/backup_version.sql");
pub(super) const COMMAND_DELETE: &str = include_str!("../../sql/journal/agent/command_delete.sql");
pub(super) const COMMAND_READ: &str = include_str!("../../sql/journal/agent/command_read.sql");
pub(super) const COMMAND_WRITE: &str = include_str!("../../sql/journal/agent/command_write.sql");
pub(super) const CURSOR_WRITE: &str = include_str!("../../sql/journal/agent/cursor_write.sql");
pub(super) const DATABASE_ALIVE: &str = include_str!("../../sql/journal/agent/database_alive.sql");
pub(super) const DATABASE_INSERT: &str = include_str!("../../sql/journal/agent/database_insert.sql");
pub(super) const DATABASE_READ: &str = include_str!("../../sql/journal/agent/database_read.sql");
pub(super) const DATABASE_WRITE: &str = include_str!("../../sql/journal/agent/database_write.sql");
pub(super) const DELIVERED_DELETE: &str = include_str!("../../sql/journal/agent/delivered_delete.sql");
pub(super) const DELIVERED_IDENTITIES: &str =
    include_str!("../../sql/journal/agent/delivered_identities.sql");
pub(super) const DELIVERED_INSERT: &str = include_str!("../../sql/journal/agent/delivered_insert.sql");
pub(super) const DELIVERED_OLD: &str = include_str!("../../sql/journal/agent/delivered_old.sql");
pub(super) const GIVEN_ID_FORGET: &str = include_str!("../../sql/journal/agent/given_id_forget.sql");
pub(super) const GIVEN_ID_INSERT: &str = include_str!("../../sql/journal/agent/given_id_insert.sql");
pub(super) const LANE_TAIL_FORGET: &str = include_str!("../../sql/journal/agent/lane_tail_forget.sql");
pub(super) const LANE_TAIL_PAGE: &str = include_str!("../../sql/journal/agent/lane_tail_page.sql");
pub(super) const LANE_TAIL_RAISE: &str = include_str!("../../sql/journal/agent/lane_tail_raise.sql");
pub(super) const LANE_TAIL_READ: &str = include_str!("../../sql/journal/agent/lane_tail_read.sql");
pub(super) const LANE_TAIL_RETIRE: &str = include_str!("../../sql/journal/agent/lane_tail_retire.sql");
pub(super) const MESSAGE_BEGIN: &str = include_str!("../../sql/journal/agent/message_begin.sql");
pub(super) const MESSAGE_COUNTS: &str = include_str!("../../sql/journal/agent/message_counts.sql");
pub(super) const MESSAGE_DELETE: &str = include_str!("../../sql/journal/agent/message_delete.sql");
pub(super) const MESSAGE_DELIVERY: &str = include_str!("../../sql/journal/agent/message_delivery.sql");
pub(super) const MESSAGE_DOUBT: &str = include_str!("../../sql/journal/agent/message_doubt.sql");
pub(super) const MESSAGE_FORGET: &str = include_str!("../../sql/journal/agent/message_forget.sql");
pub(super) const MESSAGE_FORGET_PAGE: &str = include_str!("../../sql/journal/agent/message_forget_page.sql");
pub(super) const MESSAGE_GENERATIONS: &str = include_str!("../../sql/journal/agent/message_generations.sql");
pub(super) const MESSAGE_HOLD: &str = include_str!("../../sql/journal/agent/message_hold.sql");
pub(super) const MESSAGE_HOLD_BACK: &str = include_str!("../../sql/journal/agent/message_hold_back.sql");
pub(super) const MESSAGE_HOLDING: &str = include_str!("../../sql/journal/agent/message_holding.sql");
pub(super) const MESSAGE_IN_FLIGHT: &str = include_str!("../../sql/journal/agent/message_in_flight.sql");
pub(super) const MESSAGE_INSERT: &str = include_str!("../../sql/journal/agent/message_insert.sql");
pub(super) const MESSAGE_LOGGED: &str = include_str!("../../sql/journal/agent/message_logged.sql");
pub(super) const MESSAGE_OPEN: &str = include_str!("../../sql/journal/agent/message_open.sql");
pub(super) const MESSAGE_PAGE: &str = include_str!("../../sql/journal/agent/message_page.sql");
pub(super) const MESSAGE_PENDING: &str = include_str!("../../sql/journal/agent/message_pending.sql");
pub(super) const MESSAGE_RECORD: &str = include_str!("../../sql/journal/agent/message_record.sql");
pub(super) const MESSAGE_RECORDS: &str = include_str!("../../sql/journal/agent/message_records.sql");
pub(super) const MESSAGE_RELEASE: &str = include_str!("../../sql/journal/agent/message_release.sql");
pub(super) const MESSAGE_RESUBMIT: &str = include_str!("../../sql/journal/agent/message_resubmit.sql");
pub(super) const MESSAGE_SETTLED: &str = include_str!("../../sql/journal/agent/message_settled.sql");
pub(super) const MESSAGE_SETTLING: &str = include_str!("../../sql/journal/agent/message_settling.sql");
pub(super) const MESSAGE_STEP: &str = include_str!("../../sql/journal/agent/message_step.sql");
pub(super) const MESSAGE_UNHOLD: &str = include_str!("../../sql/journal/agent/message_unhold.sql");
pub(super) const MESSAGE_UNHOLD_WAITING: &str =
    include_str!("../../sql/journal/agent/message_unhold_waiting.sql");
pub(super) const MESSAGE_UNLOGGED: &str = include_str!("../../sql/journal/agent/message_unlogged.sql");
pub(super) const MESSAGE_UNSETTLED: &str = include_str!("../../sql/journal/agent/message_unsettled.sql");
pub(super) const NOUN_ORDER_READ: &str = include_str!("../../sql/journal/agent/noun_order_read.sql");
pub(super) const NOUN_ORDER_WRITE: &str = include_str!("../../sql/journal/agent/noun_order_write.sql");
pub(super) const PARKED_DELETE: &str = include_str!("../../sql/journal/agent/parked_delete.sql");
pub(super) const PARKED_FOLLOW: &str = include_str!("../../sql/journal/agent/parked_follow.sql");
pub(super) const PARKED_INSERT: &str = include_str!("../../sql/journal/agent/parked_insert.sql");
pub(super) const PARKED_AFTER: &str = include_str!("../../sql/journal/agent/parked_after.sql");
pub(super) const PARKED_PAGE: &str = include_str!("../../sql/journal/agent/parked_page.sql");
pub(super) const PARKED_PROBES: &str = include_str!("../../sql/journal/agent/parked_probes.sql");
pub(super) const PARKED_PROBES_LAST: &str = include_str!("../../sql/journal/agent/parked_probes_last.sql");
pub(super) const PARKED_RANGE: &str = include_str!("../../sql/journal/agent/parked_range.sql");
pub(super) const PARKED_SUSPENDED: &str = include_str!("../../sql/journal/agent/parked_suspended.sql");
pub(super) const PARKED_WAKE: &str = include_str!("../../sql/journal/agent/parked_wake.sql");
pub(super) const PARKED_WAKE_ENABLED: &str = include_str!("../../sql/journal/agent/parked_wake_enabled.sql");
pub(super) const PARKED_WAKE_LISTED: &str = include_str!("../../sql/journal/agent/parked_wake_listed.sql");
pub(super) const PARKED_WALK: &str = include_str!("../../sql/journal/agent/parked_walk.sql");
pub(super) const PARKED_WOKEN: &str = include_str!("../../sql/journal/agent/parked_woken.sql");
pub(super) const PAUSE_DELETE: &str = include_str!("../../sql/journal/agent/pause_delete.sql");
pub(super) const PAUSE_WRITE: &str = include_str!("../../sql/journal/agent/pause_write.sql");
pub(super) const POINT_HIGHEST: &str = include_str!("../../sql/journal/agent/point_highest.sql");
pub(super) const POINT_INSERT: &str = include_str!("../../sql/journal/agent/point_insert.sql");
pub(super) const POINT_LOOKED: &str = include_str!("../../sql/journal/agent/point_looked.sql");
pub(super) const POINT_OF_DATABASE: &str = include_str!("../../sql/journal/agent/point_of_database.sql");
pub(super) const POINT_READ: &str = include_str!("../../sql/journal/agent/point_read.sql");
pub(super) const PURGE_CURSOR: &str = include_str!("../../sql/journal/agent/purge_cursor.sql");
pub(super) const PURGE_LATE_DELETE: &str = include_str!("../../sql/journal/agent/purge_late_delete.sql");
pub(super) const PURGE_LATE_INSERT: &str = include_str!("../../sql/journal/agent/purge_late_insert.sql");
pub(super) const PURGE_LATE_KEEP: &str = include_str!("../../sql/journal/agent/purge_late_keep.sql");
pub(super) const PURGE_LATE_READ: &str = include_str!("../../sql/journal/agent/purge_late_read.sql");
pub(super) const PURGE_NEXT: &str = include_str!("../../sql/journal/agent/purge_next.sql");
pub(super) const RECEIVED_BOUND: &str = include_str!("../../sql/journal/agent/received_bound.sql");
pub(super) const RECEIVED_FORGET: &str = include_str!("../../sql/journal/agent/received_forget.sql");
pub(super) const RECEIVED_INSERT: &str = include_str!("../../sql/journal/agent/received_insert.sql");
pub(super) const RECEIVED_NEWEST: &str = include_str!("../../sql/journal/agent/received_newest.sql");
pub(super) const RECEIVER_INSERT: &str = include_str!("../../sql/journal/agent/receiver_insert.sql");
pub(super) const RECEIVER_READ: &str = include_str!("../../sql/journal/agent/receiver_read.sql");
pub(super) const SCOPE_DELETE: &str = include_str!("../../sql/journal/agent/scope_delete.sql");
pub(super) const SCOPE_READ: &str = include_str!("../../sql/journal/agent/scope_read.sql");
pub(super) const SCOPE_WRITE: &str = include_str!("../../sql/journal/agent/scope_write.sql");
pub(super) const SITE_HOST_FORGET: &str = include_str!("../../sql/journal/agent/site_host_forget.sql");
pub(super) const SITE_HOST_INSERT: &str = include_str!("../../sql/journal/agent/site_host_insert.sql");
pub(super) const SITE_HOST_READ: &str = include_str!("../../sql/journal/agent/site_host_read.sql");
