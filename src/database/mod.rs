//! The contract that every database keeps, and the rows that cross it.
//!
//! One trait, since a site's database really comes in more than one kind. No driver type and no SQL text crosses it;
//! the behaviour behind it is the conformance suite in `tests/conformance`. Statements live in `sql/<dialect>/agent`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::change::RowChange;
use crate::domain::holes::{Span, Transactions};
use crate::domain::incoming::{Incoming, Stored};
use crate::domain::message::{Entry, Facts};
use crate::domain::outside;
use crate::domain::plan::ControlTables;

mod backlog;
pub mod compose;
mod hosts;
mod inbox;
mod locks;
pub mod mssql;
mod orphans;
pub mod postgres;
mod queries;
mod rows;
mod said;
mod script;
mod sources;
pub mod sqlite;
pub mod statements;
mod unseen;

pub use backlog::{COUNT_LIMIT, backlog_unknown};
pub use compose::{BatchRow, Composed, Composition, PartQuery, QueryChecked, QueryRow, Variations};
pub use hosts::{HOST_CODES, clock_differs, hosts_in_trouble, is_silent};
pub use inbox::refused_row;
pub use orphans::{changes_nobody_composes, rows_nobody_chooses};
pub use queries::{lacks_queries, parts_of, query_refused, try_queries};
pub use script::script_finding;
pub use sources::ask_alike;
pub use unseen::rows_unseen;

/// What went wrong with the database, told by what the agent does next.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Waiting helps: unreachable, busy, restarting, timed out, disk full.
    #[error("database {database}: {operation}: {what}")]
    Unavailable {
        database: String,
        operation: &'static str,
        what: String,
        /// Another session keeps something locked that it names: what names something else may pass.
        is_lock: bool,
        #[source]
        source: Option<anyhow::Error>,
    },
    /// Somebody must mend something: a missing table, a refused right, a wrong type.
    #[error("database {database}: {operation}: {what}; {remedy}")]
    NeedsMending {
        database: String,
        operation: &'static str,
        what: String,
        remedy: String,
        /// It is about the values of the rows: others may pass, so a group is worth trying one by one.
        is_about_rows: bool,
        #[source]
        source: Option<anyhow::Error>,
    },
}

impl DatabaseError {
    /// The database takes other rows, and never these: what was tried together is worth trying one by one, and what
    /// was tried alone has failed for good.
    pub fn is_about_rows(&self) -> bool {
        matches!(self, Self::NeedsMending { is_about_rows: true, .. })
    }

    /// Something in a set is to blame, now or for good: parts of the set may pass.
    pub fn spares_parts(&self) -> bool {
        self.is_about_rows() || self.is_lock()
    }

    /// After this many failures for a lock with nothing that passed, it is on the whole table, not on a row.
    pub const LOCKS_MAX: usize = 12;

    /// Another session is in the way, and nothing else.
    pub fn is_lock(&self) -> bool {
        matches!(self, Self::Unavailable { is_lock: true, .. })
    }
}

pub type Result<T> = std::result::Result<T, DatabaseError>;

/// One database of the site: the I/O Box tables and the control tables in it.
///
/// Every method is one short transaction; none leaves anything open. Each answers with what was committed, or with
/// an error after which nothing of it is.
#[async_trait]
pub trait Database: Send + Sync {
    /// A value in a statement that somebody is to type, as a literal of the dialect.
    fn quoted(&self, text: &str) -> String {
        outside::quoted(text)
    }

    /// Which database this is, what time it says, and what its tables lack.
    async fn survey(&self) -> Result<Survey>;

    /// The configuration that the DBA wrote.
    async fn control_read(&self) -> Result<ControlTables>;

    /// Whether a row of the outbox with one of these texts in a column can be chosen by the other.
    async fn source_alike(&self, column: SourceColumn, one: &str, other: &str) -> Result<bool>;

    /// Commands in state `new` or `running`, lowest id first.
    async fn command_read(&self) -> Result<Vec<CommandRow>>;

    /// The commands `pause` and `resume` in state `done`, highest id first, 1,000 at most.
    async fn lever_read(&self) -> Result<Vec<CommandRow>>;

    /// Every row of `bodrelay_host`.
    async fn host_read(&self) -> Result<Vec<HostRow>>;

    /// Every row of `bodrelay_status`.
    async fn status_read(&self) -> Result<Vec<StatusRead>>;

    /// Open findings of every agent, worst first, 500 at most; `seen_more` is how often each was seen in all.
    async fn finding_read(&self) -> Result<Vec<FindingRow>>;

    /// Who changed which setting, newest first.
    async fn history_read(&self) -> Result<Vec<ChangeRow>>;

    /// Writes this agent's row of `bodrelay_host`, if its journal's epoch there is still `expected` (`None`: no row
    /// of this journal). `Ok(false)`: somebody else moved it, nothing was written.
    async fn host_claim(&self, row: &HostRow, expected_epoch: Option<i64>) -> Result<bool>;

    /// Takes or renews the ownership of a connection point's direction in `bodrelay_status`. It is free when
    /// nobody has it, when this journal has it, when its owner stopped, or when its heartbeat is older than
    /// `lapse_seconds` on the database's clock.
    async fn owner_claim(&self, claim: &OwnerClaim) -> Result<Owner>;

    /// Renews the ownership of a connection point's direction. `false`: this journal does not have it (any more).
    async fn owner_renew(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<bool>;

    /// Gives up the ownership of a connection point's direction, where this journal has it: free for others at once.
    async fn owner_release(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<()>;

    /// What the agent has to say, in one transaction. Answers for each of its statuses whether this journal owns that
    /// row: then it is written, which renews the ownership as a claim does.
    async fn control_report(&self, report: &Report) -> Result<Vec<bool>>;

    /// Ids of rows at 0 in an id range, lowest first.
    async fn outbox_scan(&self, scan: &Scan) -> Result<Page>;

    /// What of the outbox no scan sees, as far as that can be told of the newest rows.
    async fn outbox_unseen(&self) -> Result<Unseen>;

    /// The rows of these ids, lowest first, whatever their flag, with headers; ids that are gone are left out. Stops
    /// when the payloads would pass `max_bytes`, but gives one row at least.
    async fn outbox_load(&self, entry_ids: &[i64], max_bytes: usize) -> Result<Loaded>;

    /// Of these ids, those that still are in the table.
    async fn outbox_present(&self, entry_ids: &[i64]) -> Result<Vec<i64>>;

    /// Flags 9 becomes 0: what a DBA does to send failed rows again. Answers the ids that were changed.
    async fn outbox_reset(&self, entry_ids: &[i64]) -> Result<Vec<i64>>;

    /// Deletes rows with their headers, as far as they have flag 1, are still chosen by `selection` (its time does not
    /// count), and no other session keeps them locked; answers the ids that are still there.
    async fn outbox_purge(&self, entry_ids: &[i64], selection: &Selection) -> Result<Vec<i64>>;

    /// Flags rows and writes log rows, in one transaction and set-based: accepted becomes 1 (where 0 or 9), failed
    /// becomes 9 (where 0). Rows that another session keeps locked are not waited for. On an error nothing was written;
    /// where it `is_about_rows`, one of them is to blame, and a part of the set may pass.
    async fn outbox_settle(&self, settle: &Settle) -> Result<Settled>;

    /// Answers when the outbox may have new rows, where the database can tell; where it cannot, never. Bursts are
    /// folded into one answer. An answer may be wrong: polling alone finds every row, only later.
    async fn outbox_changed(&self) -> Result<()> {
        std::future::pending().await
    }

    /// How much waits at 0, counted up to `cap` rows.
    async fn outbox_backlog(&self, selection: &Selection, cap: i64) -> Result<Backlog>;

    /// The same for several choices, in their order: one statement counts all that waits, on a session (or connection) of its
    /// own, so that nothing else waits for it; ended after `limit`.
    async fn outbox_counts(&self, selections: &[Selection], limit: Duration) -> Result<Vec<Backlog>>;

    /// Receipt, entry and headers of these documents, in one transaction, in their order; answers one `Stored` each. On
    /// an error nothing of them is stored. Where it `is_about_rows`, one of them is to blame: the caller tries each
    /// alone. A commit whose answer was lost is an error, too; when the document comes again, it is a repeat.
    async fn inbox_store(&self, documents: &[Incoming]) -> Result<Vec<Stored>>;

    /// A row of the inbox with its headers, whatever its flag; `None`: it is gone.
    async fn inbox_load(&self, entry_id: i64) -> Result<Option<Entry>>;

    /// Of these receipt keys, those that are in the table.
    async fn receipts_present(&self, receipt_keys: &[String]) -> Result<Vec<String>>;

    /// Puts a document that a command asks for into the outbox at 0, and ends the command with it, in one transaction:
    /// once, whatever dies in between. `None`: the command had ended before, nothing was written.
    async fn outbox_add(&self, added: &Added) -> Result<Option<i64>>;

    /// Forgets receipts from before `receipts`, and documents of which nothing was stored since `documents`: `limit` of
    /// each at most; answers how many.
    async fn inbox_purge(
        &self,
        connection_point: &str,
        receipts: DateTime<Utc>,
        documents: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64>;

    /// Rows of the message log, newest first, `limit` at most.
    async fn log_search(&self, filter: &LogFilter) -> Result<Vec<LogRow>>;

    /// Deletes settled rows of the message log (and their attempts) that finished before `before`, unresolved
    /// failures excepted; at most `limit`, and says how many.
    async fn log_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64>;

    /// Changes at 0 of a connection point, lowest id first, above an id.
    async fn change_read(&self, connection_point: &str, after: i64, limit: i64) -> Result<Vec<RowChange>>;

    /// All changes at 0 of these document ids (any noun), lowest id first, `limit` at most.
    async fn change_read_of_documents(
        &self,
        connection_point: &str,
        document_ids: &[String],
        limit: i64,
    ) -> Result<Vec<RowChange>>;

    /// Connection points that waiting changes name and that do not compose, with how many wait.
    async fn change_strays(&self) -> Result<Vec<(String, i64)>>;

    /// Deletes composed changes that were processed before a time, as far as they are among the oldest `limit`.
    async fn change_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64>;

    /// The queries of a connection point, by noun, verb and part.
    async fn query_read(&self, connection_point: &str) -> Result<Vec<QueryRow>>;

    /// Says beside queries that they were tried, and why they are refused.
    async fn query_checked(&self, connection_point: &str, checked: &[QueryChecked]) -> Result<()>;

    /// The database's clock, and the last versions of these documents; those never composed are left out.
    async fn variation_read(&self, document_keys: &[String]) -> Result<Variations>;

    /// Runs queries for a batch of documents, which they find in `bodrelay_batch`: all of them in one transaction that
    /// sees one state of the data and leaves nothing behind.
    async fn compose_rows(&self, batch: &[BatchRow], queries: &[PartQuery]) -> Result<Composed>;

    /// Writes entries, headers and versions and marks the changes, in one transaction. `Ok(false)`: somebody else had one
    /// of the changes or versions meanwhile, and nothing was written.
    async fn compose_write(&self, composition: &Composition) -> Result<bool>;
}

/// What `survey` finds.
#[derive(Debug, Clone)]
pub struct Survey {
    /// design.md §2, "Guards".
    pub fingerprint: String,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// For the operator: product and version.
    pub product: String,
    /// The highest `script_no` of `bodrelay_version`, 0 without the table.
    pub script: i64,
    /// Tables and columns that are missing or of a type that cannot work, each with the script or statement that
    /// mends it.
    pub problems: Vec<Problem>,
    /// The same of what only receiving needs; empty where no connection point has receive_mode = 'on'.
    pub inbound_problems: Vec<Problem>,
    /// What would help: a missing index.
    pub advice: Vec<Problem>,
}

/// One thing that a database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    pub remedy: String,
}

/// Which rows of the outbox belong to a connection point. `None`: not chosen by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub tenant_id: Option<String>,
    pub logical_id: Option<String>,
    /// Rows created before are left alone.
    pub rows_from: Option<DateTime<Utc>>,
}

/// A column of the outbox by which rows are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceColumn {
    TenantId,
    LogicalId,
}

/// A page of ids: `after < C_ID <= up_to`, flag 0.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pub selection: Selection,
    pub after: i64,
    pub up_to: i64,
    pub limit: i64,
    /// Ids at which there was no row yet, lowest first: what has come there meanwhile is said, too.
    pub holes: Vec<Span>,
    /// It is said where there is no row, among this many ids that end with the last one of the page.
    pub gaps_among: i64,
}

impl Scan {
    /// Rows in holes that a scan says at most.
    pub const FILLED_MAX: i64 = 500;
    /// Gaps that a scan says at most, the last ones of the page.
    pub const GAPS_MAX: i64 = 1_000;

    /// The ids of the page, which is known by now, to be looked at for gaps. `None`: it has none, or is not to say them.
    fn to_look_for_gaps(&self, entries: &[Scanned], highest: i64) -> Option<Span> {
        let is_full = i64::try_from(entries.len()).is_ok_and(|rows| rows >= self.limit) && self.limit > 0;
        let last = match entries.last() {
            Some(last) if is_full => last.entry_id,
            _ => self.up_to.min(highest),
        };
        let after = self.after.max(last.saturating_sub(self.gaps_among));
        let ids = last.checked_sub(after).filter(|ids| *ids > 0)?;
        let seen = entries.iter().rev().take_while(|entry| entry.entry_id > after).count();
        (i64::try_from(seen).ok() != Some(ids)).then_some((after, last))
    }
}

/// One or more pages of a scan, all of what is committed before a moment.
///
/// Whoever sees a row by it sees by it all rows, on the page and in its holes, that were committed before that one was: in
/// one snapshot, or, on SQL Server, by asking for the holes last.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub entries: Vec<Scanned>,
    /// Rows that have come into the holes, whatever their flag and whosever they are, lowest first.
    pub filled: Vec<Filled>,
    /// Where there was no row, as far as it was to be said.
    pub gaps: Vec<Span>,
    /// What the database says of its transactions.
    pub transactions: Option<Transactions>,
    /// The highest `C_ID` of the whole table, read in the same snapshot before the page; 0 when it is empty.
    pub highest: i64,
}

/// Rows that nobody sees, so that they would wait for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Rows whose flag is none of 0, 1 and 9, lowest first, with that flag; `UNSEEN_MAX` at most.
    pub odd_flags: Vec<(i64, Option<String>)>,
    /// What hides rows from this agent, in words.
    pub hidden: Option<String>,
}

/// Ids, from the highest, among which `outbox_unseen` looks, and rows that it names at most.
const UNSEEN_IDS: i64 = 50_000;
const UNSEEN_MAX: i64 = 1_000;

/// What `outbox_load` read.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub entries: Vec<Entry>,
    /// Ids that did not fit into the bytes and were not looked at.
    pub not_loaded: Vec<i64>,
}

/// One id of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    pub entry_id: i64,
    /// Length of `C_XML`, 0 where it is NULL.
    pub payload_bytes: i64,
}

/// A row that has come into a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    pub entry_id: i64,
    /// It is at 0, and the selection chooses it: it would be on a page.
    pub is_chosen: bool,
    /// Length of `C_XML`, 0 where it is NULL.
    pub payload_bytes: i64,
}

/// What `outbox_settle` does.
#[derive(Debug, Clone, Default)]
pub struct Settle {
    pub accepted: Vec<i64>,
    pub failed: Vec<i64>,
    /// Inserted, or updated where the message key is known.
    pub log: Vec<LogRow>,
    /// Inserted; one that exists is left as it is.
    pub attempts: Vec<AttemptRow>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Rows of `accepted` that already had flag 1: an earlier try of ours whose answer was lost, or somebody else.
    pub already_flagged: Vec<i64>,
    /// Rows of either list that no longer exist.
    pub gone: Vec<i64>,
    /// Rows that another session keeps locked: nothing of their messages was written.
    pub locked: Vec<Locked>,
    /// Rows that were to be flagged and were not, without an error (row security, a trigger that leaves the row out):
    /// nothing of their messages was written.
    pub unchanged: Vec<i64>,
}

/// A row that another session keeps locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub entry_id: i64,
    /// Who, as far as the server tells: session, user, program, since when.
    pub holder: Option<String>,
}

impl Settled {
    /// Rows of which nothing was written.
    pub fn left(&self) -> HashSet<i64> {
        self.locked.iter().map(|locked| locked.entry_id).chain(self.unchanged.iter().copied()).collect()
    }
}

impl Settle {
    /// Without the log rows and tries of messages of these rows.
    fn without(&self, left: &HashSet<i64>) -> Cow<'_, Self> {
        if left.is_empty() {
            return Cow::Borrowed(self);
        }
        let is_left = |row: &LogRow| row.entry_id.is_some_and(|entry_id| left.contains(&entry_id));
        let keys: HashSet<&str> =
            self.log.iter().filter(|row| is_left(row)).map(|row| row.message_key.as_str()).collect();
        let attempts = self.attempts.iter().filter(|row| !keys.contains(row.message_key.as_str()));
        Cow::Owned(Self {
            accepted: self.accepted.iter().copied().filter(|id| !left.contains(id)).collect(),
            failed: self.failed.iter().copied().filter(|id| !left.contains(id)).collect(),
            log: self.log.iter().filter(|row| !is_left(row)).cloned().collect(),
            attempts: attempts.cloned().collect(),
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    pub waiting_rows: i64,
    /// `waiting_rows` is the cap, there may be more.
    pub capped: bool,
    pub oldest: Option<DateTime<Utc>>,
}

/// A row of `bodrelay_message_log`; see shared/tables.md for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    pub message_key: String,
    /// `out` or `in`.
    pub direction: &'static str,
    pub connection_point: String,
    pub tenant_id: Option<String>,
    pub entry_id: Option<i64>,
    pub message_id: Option<String>,
    pub from_logical_id: Option<String>,
    pub facts: Arc<Facts>,
    pub priority: Option<i64>,
    pub state: String,
    pub held_by: Option<String>,
    pub in_doubt: bool,
    pub late: bool,
    pub attempts: i64,
    pub http_status: Option<i64>,
    pub answer_class: Option<String>,
    pub failure_code: Option<String>,
    pub failure_text: Option<String>,
    pub remedy: Option<String>,
    pub wire_bytes: Option<i64>,
    pub seen_at: DateTime<Utc>,
    pub first_attempt_at: Option<DateTime<Utc>>,
    pub last_attempt_at: Option<DateTime<Utc>>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub host: Option<String>,
    pub updated_at: DateTime<Utc>,
}

/// A row of `bodrelay_attempt`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    pub message_key: String,
    pub attempt_no: i64,
    pub started_at: DateTime<Utc>,
    pub duration_ms: i64,
    pub http_status: Option<i64>,
    pub answer_class: String,
    pub in_doubt: bool,
    pub failure_code: Option<String>,
    pub answer_text: Option<String>,
    pub host: String,
}

/// What `log_search` looks for; `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    pub direction: Option<String>,
    pub state: Option<String>,
    pub connection_point: Option<String>,
    pub message_key: Option<String>,
    pub message_id: Option<String>,
    /// Sender or receiver.
    pub logical_id: Option<String>,
    pub verb: Option<String>,
    pub noun: Option<String>,
    pub document_id: Option<String>,
    pub failure_code: Option<String>,
    pub created_from: Option<DateTime<Utc>>,
    pub created_to: Option<DateTime<Utc>>,
    /// Only keys above this one: pages upwards, oldest first, when given (an empty string starts).
    pub after_key: Option<String>,
    pub limit: i64,
}

/// A row of `bodrelay_command` that waits to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRow {
    pub command_id: i64,
    pub command: String,
    pub connection_point: String,
    pub direction: Option<String>,
    pub verb: Option<String>,
    pub noun: Option<String>,
    pub document_id: Option<String>,
    pub message_key: Option<String>,
    pub failure_code: Option<String>,
    pub from_at: Option<DateTime<Utc>>,
    pub to_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub out_of_order: bool,
    pub dry_run: bool,
    pub state: String,
    /// Of `pause`.
    pub until_at: Option<DateTime<Utc>>,
    /// Of `confirm_error`; `lever_read` does not read it.
    pub reason_code: Option<String>,
    /// Which cell cannot be read, and why.
    pub unreadable: Option<String>,
}

/// A row of `bodrelay_host`.
#[derive(Debug, Clone, PartialEq)]
pub struct HostRow {
    pub host: String,
    pub location_name: String,
    pub journal_id: String,
    pub database_fingerprint: String,
    pub epoch: i64,
    pub agent_version: String,
    pub script_needed: i64,
    pub operating_system: String,
    pub process_id: i64,
    /// `running`, `stopping`, `stopped` or `refused`.
    pub state: String,
    pub refused_reason: Option<String>,
    /// `started_at` is written on a claim; `heartbeat_at` is set by the database's clock on every write.
    pub started_at: DateTime<Utc>,
    pub heartbeat_at: DateTime<Utc>,
    /// The heartbeat, or the last renewal of anything that it owns.
    pub alive_at: DateTime<Utc>,
}

/// A change of a setting, of `bodrelay_setting_history` or of a row itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub changed_at: Option<DateTime<Utc>>,
    pub changed_by: Option<String>,
    pub table_name: String,
    /// The values of its key, with slashes.
    pub row_key: String,
    /// `None`: the last change of the row, whatever it was.
    pub column_name: Option<String>,
    pub old_value: Option<String>,
    pub new_value: Option<String>,
}

#[derive(Debug, Clone)]
pub struct OwnerClaim {
    pub connection_point: String,
    pub direction: &'static str,
    pub journal_id: String,
    pub host: String,
    pub agent_version: String,
    pub lapse_seconds: i64,
}

/// Who owns a connection point after a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Mine,
    /// The same, though somebody who has no business with it holds the lock behind the claim.
    MineBeside {
        stranger: String,
    },
    Other {
        host: String,
        heartbeat_at: DateTime<Utc>,
    },
    /// This journal's, by the table; but another session of our login holds the lock: a copy of this agent, or a former
    /// life of it whose end the server has not noticed.
    Copy {
        holder: String,
        heartbeat_at: DateTime<Utc>,
    },
}

/// What `control_report` writes; empty parts are not touched.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub host: Option<HostRow>,
    /// `bodrelay_connection_point.refused_reason` (`None` clears it) and `applied_at`.
    pub connection_points: Vec<(String, Option<String>)>,
    /// Of `bodrelay_document` (direction out): `refused_reason`.
    pub documents_refused: Vec<(String, String, String, Option<String>)>,
    /// The same of direction in.
    pub incoming_refused: Vec<(String, String, String, Option<String>)>,
    /// Of `bodrelay_document` (direction out): connection point, verb, noun, `accepted_by_ion` (`None` unknown);
    /// `accepted_checked_at` is set to the database's now.
    pub documents_accepted: Vec<(String, String, String, Option<bool>)>,
    /// Written only where this journal still owns the row.
    pub statuses: Vec<StatusRow>,
    pub findings: Vec<FindingRow>,
    pub commands: Vec<CommandResult>,
}

/// A row of `bodrelay_status`. The owner, `heartbeat_at` and the totals' base are the database's side:
/// `accepted_more`, `failed_more`, `duplicates_more` are added to the stored totals.
#[derive(Debug, Clone)]
pub struct StatusRow {
    pub connection_point: String,
    pub direction: &'static str,
    pub journal_id: String,
    pub state: String,
    pub state_since: DateTime<Utc>,
    pub state_reason: Option<String>,
    /// `None`: not counted this time, the stored figures stay.
    pub backlog: Option<Backlog>,
    pub in_flight_rows: i64,
    pub held_rows: i64,
    pub failed_rows: i64,
    pub in_doubt_rows: i64,
    pub accepted_more: i64,
    pub failed_more: i64,
    pub duplicates_more: i64,
    pub last_accepted_at: Option<DateTime<Utc>>,
    pub last_failure_at: Option<DateTime<Utc>>,
    pub last_failure: Option<String>,
    pub last_poll_at: Option<DateTime<Utc>>,
    pub next_poll_at: Option<DateTime<Utc>>,
    pub settings_read_at: Option<DateTime<Utc>>,
    pub started_at: DateTime<Utc>,
}

/// A row of `bodrelay_status` as it is read; see shared/tables.md for each column.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StatusRead {
    pub connection_point: String,
    pub direction: String,
    pub state: String,
    pub state_since: DateTime<Utc>,
    pub state_reason: Option<String>,
    pub waiting_rows: i64,
    /// There may be more than `waiting_rows`.
    pub waiting_capped: bool,
    pub oldest_waiting_at: Option<DateTime<Utc>>,
    pub in_flight_rows: i64,
    pub held_rows: i64,
    pub failed_rows: i64,
    pub in_doubt_rows: i64,
    pub accepted_total: i64,
    pub failed_total: i64,
    pub last_accepted_at: Option<DateTime<Utc>>,
    pub last_failure_at: Option<DateTime<Utc>>,
    pub last_failure: Option<String>,
    pub last_poll_at: Option<DateTime<Utc>>,
    pub next_poll_at: Option<DateTime<Utc>>,
    pub host: String,
    pub heartbeat_at: DateTime<Utc>,
    pub duplicate_total: i64,
}

/// A finding as it is now. `cleared`: it no longer holds. One open row per (code, connection point, subject, host):
/// seen again, its `last_seen_at`, text and remedy are renewed and `seen_count` grows by `seen_more`.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingRow {
    pub code: String,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    pub connection_point: Option<String>,
    pub subject: String,
    pub finding_text: String,
    pub remedy: String,
    pub since: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub seen_more: i64,
    pub cleared: bool,
    pub host: String,
    /// A DBA knows of it until then: it is read, never written.
    pub acknowledged_until: Option<DateTime<Utc>>,
}

/// A document that a command asks for.
#[derive(Debug, Clone)]
pub struct Added {
    pub command_id: i64,
    /// What the command's row says then.
    pub result: String,
    pub host: String,
    /// `C_TENANT_ID` and `C_LOGICAL_ID`: as the connection point chooses its rows.
    pub tenant_id: String,
    pub logical_id: String,
    /// ASCII, so that every column takes it.
    pub document: String,
    pub headers: Vec<(String, String)>,
    pub created_at: DateTime<Utc>,
}

/// How a command ended, or how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandResult {
    pub command_id: i64,
    /// `running`, `done` or `refused`.
    pub state: &'static str,
    pub matched_rows: Option<i64>,
    pub done_rows: Option<i64>,
    pub result: String,
    pub host: String,
}
