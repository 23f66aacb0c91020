//! What every database adapter must do: one async function a promise, generic over a `Fixture`.
//!
//! An adapter is right when it passes all of them; new behaviour of the contract is added here first. `cases!` lists
//! every case by name, so that a database that comes later is one more `Fixture`.

use std::sync::Arc;

use bodrelay::database::{Database, LogRow, Scan, Selection, Settle};
use bodrelay::domain::message::Facts;
use chrono::{DateTime, Utc};

pub mod checks;
pub mod control;
pub mod guards;
pub mod inbox;
pub mod log;
pub mod outbox;
pub mod panel;
pub mod trouble;

/// A database of its own for one case.
#[allow(async_fn_in_trait)]
pub trait Fixture: Sized {
    /// Ends the write transaction that `hold` opened, when dropped.
    type Held;

    /// With the control tables and an I/O Box 3.0.
    async fn fresh() -> Self;
    /// With nothing.
    async fn empty() -> Self;
    /// Makes the control tables.
    async fn install_control(&self);
    /// Runs a script for DBAs by its name.
    async fn run_script(&self, name: &str);
    /// Makes an I/O Box 1.0: no `C_LOGICAL_ID`, no index, columns in the vendor's order.
    async fn install_box_1_0(&self);
    /// Opens the adapter.
    fn open(&self) -> Arc<dyn Database>;
    /// Runs SQL that every database understands; `Err`: the database refused it.
    async fn try_exec(&self, sql: &str) -> Result<(), String>;
    /// Every row of a query, every value as text, NULL as "NULL".
    async fn rows(&self, sql: &str) -> Vec<Vec<String>>;
    /// Takes the write lock of the outbox and keeps it.
    async fn hold(&self) -> Self::Held;
    /// Writes `bytes`, which are no UTF-8, as they are into a column of a row, as text. `false`: text of this database
    /// cannot be so; `C_XML` then has them as bytes, another column stays as it is.
    async fn set_bytes_as_text(&self, column: &str, entry_id: i64, bytes: &[u8]) -> bool;

    async fn exec(&self, sql: &str) {
        if let Err(error) = self.try_exec(sql).await {
            panic!("{error}\n{sql}");
        }
    }

    /// The first value of a query.
    async fn value(&self, sql: &str) -> String {
        self.rows(sql).await.first().and_then(|row| row.first()).cloned().unwrap_or_else(|| "no row".into())
    }

    /// Inserts entries at 0 with these ids, tenant `T`, logical id `L`.
    async fn insert(&self, ids: &[i64]) {
        for id in ids {
            self.exec(&format!(
                "INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_TENANT_ID, C_LOGICAL_ID, C_CREATED_DATE_TIME, C_XML) \
                 VALUES ({id}, 'T', 'L', '2026-01-31 10:20:30', '<x/>')"
            ))
            .await;
        }
    }

    async fn flags(&self) -> Vec<Vec<String>> {
        self.rows("SELECT C_ID, C_WAS_PROCESSED FROM COR_OUTBOX_ENTRY ORDER BY C_ID").await
    }
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn scan_all() -> Scan {
    Scan { selection: Selection::default(), after: 0, up_to: i64::MAX, limit: 1000, ..Scan::default() }
}

pub async fn ids(database: &dyn Database, scan: &Scan) -> Vec<i64> {
    database.outbox_scan(scan).await.unwrap().entries.iter().map(|entry| entry.entry_id).collect()
}

pub async fn settle(database: &dyn Database, log: Vec<LogRow>) {
    database.outbox_settle(&Settle { log, ..Settle::default() }).await.unwrap();
}

/// An accepted message of entry 1.
pub fn log_row(message_key: &str) -> LogRow {
    LogRow {
        message_key: message_key.into(),
        direction: "out",
        connection_point: "CP1".into(),
        tenant_id: Some("T".into()),
        entry_id: Some(1),
        message_id: Some(format!("id-{message_key}")),
        from_logical_id: Some("lid://infor.ims.cp1".into()),
        facts: Arc::new(Facts {
            verb: Some("Sync".into()),
            noun: Some("SalesOrder".into()),
            document_id: Some("4711".into()),
            accounting_entity: Some("E".into()),
            document_location: Some("W".into()),
            revision_id: Some("1".into()),
            variation_id: Some(7),
            batch_id: Some("B".into()),
            batch_sequence: Some(2),
            to_logical_id: Some("lid://default".into()),
            document_bytes: 4,
            digest: Some("ab".repeat(32)),
            created_at: Some(at("2026-01-31T10:20:30.123Z")),
            resend_of: Some("k0".into()),
        }),
        priority: Some(4),
        state: "accepted".into(),
        held_by: None,
        in_doubt: false,
        late: false,
        attempts: 1,
        http_status: Some(201),
        answer_class: Some("accepted".into()),
        failure_code: None,
        failure_text: None,
        remedy: None,
        wire_bytes: Some(5),
        seen_at: at("2026-01-31T10:20:31.000Z"),
        first_attempt_at: Some(at("2026-01-31T10:20:32.000Z")),
        last_attempt_at: Some(at("2026-01-31T10:20:33.000Z")),
        next_attempt_at: None,
        finished_at: Some(at("2026-01-31T10:20:34.000Z")),
        host: Some("h1".into()),
        updated_at: at("2026-01-31T10:20:35.000Z"),
    }
}

/// Every case of the suite, for one database.
#[macro_export]
macro_rules! cases {
    ($fixture:ty) => {
        $crate::cases! { $fixture;
            outbox: scan_pages_in_order, scan_finds_rows_that_commit_late, scan_says_gaps_and_what_fills_them,
            scan_selects_by_tenant_and_logical_id,
                scan_leaves_old_rows_alone, scan_of_a_1_0_box, load_gives_rows_with_headers,
                load_carries_odd_values_through, settle_flags_and_logs, settle_again_changes_nothing,
                settle_tells_another_senders_flag, settle_tells_gone_rows, settle_is_atomic,
                settle_keeps_what_the_application_set, backlog_is_capped,
                load_stops_at_its_bytes_but_gives_one_row, reset_changes_only_failed_rows,
                purge_deletes_what_is_accepted_and_chosen;
            inbox: a_document_is_stored_with_all_that_belongs_to_it, a_repeat_is_only_counted,
                the_senders_id_makes_a_duplicate_only_with_the_same_document, a_documents_own_key_makes_a_duplicate,
                an_older_variation_goes_as_the_setting_says, the_rules_hold_within_one_call,
                concurrent_duplicates_are_stored_once, one_bad_document_fails_alone,
                every_byte_and_every_header_arrives, the_applications_own_memory_is_not_touched,
                an_inbox_1_0_takes_documents, old_receipts_and_documents_are_forgotten,
                the_inbox_is_surveyed_where_it_is_needed, a_command_adds_its_document_once, the_day_is_seen_by_type;
            control: survey_of_a_whole_database, survey_names_each_missing_thing, control_read_gives_what_was_written,
                host_epoch_moves_by_compare_and_set, host_row_is_taken_over_by_a_new_journal,
                owner_claim_lapses_and_is_retaken, report_writes_only_what_it_has, findings_open_renew_and_clear,
                status_totals_add_up, commands_run_and_end, changed_at_follows_the_dba;
            log: log_is_read_as_written, log_is_searched_by_each_filter, log_pages_upwards,
                log_never_lowers_attempts, log_texts_are_cut_to_their_columns, purge_keeps_what_is_unresolved;
            panel: views_answer_the_usual_questions, audit_tells_what_was_changed, history_is_read, the_readme_can_be_typed;
            guards: the_epoch_is_raised_every_few_minutes, a_cloned_journal_is_found_at_once,
                a_restore_beneath_a_running_agent_is_told,
                clocks_and_silent_agents_are_told, a_script_that_is_run_is_noticed,
                findings_of_an_earlier_life_are_taken_back, rows_that_never_leave_are_found,
                a_report_renews_what_is_owned, what_is_received_has_one_owner_and_a_status,
                what_a_restore_took_is_named;
            trouble: locked_database_is_unavailable_and_works_again, missing_tables_need_mending;
            checks: checks_refuse_each_bad_value, commands_are_checked, install_adds_the_status_rules;
        }
    };
    ($fixture:ty; $($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::$module::$case::<$fixture>().await;
            }
        )+)+
    };
}
