//! The database contract on SQL Server: four sessions, each with its purpose, opened anew when they must be.
//!
//! A session is taken out of its place for an operation and put back only when the operation has read its whole answer,
//! so a future that is dropped, a time-out or a lost connection leaves none in use with half an answer in it. The
//! server's own errors are taken back with ROLLBACK and keep the session; the victim of a deadlock is run once more.
//! Nothing stays open across calls. Statements are checked against what Babelfish accepts, too (spec/mssql.md).

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::config::DatabaseSettings;
use crate::domain::incoming::{Incoming, Stored};
use crate::domain::message::Entry;
use crate::domain::outside;
use crate::domain::plan::ControlTables;

use super::locks::Lockers;
use super::{
    Added, Backlog, BatchRow, ChangeRow, CommandRow, Composed, Composition, Database, DatabaseError,
    FindingRow, HostRow, Loaded, LogFilter, LogRow, Owner, OwnerClaim, Page, PartQuery, QueryChecked,
    QueryRow, Report, Result, Scan, Selection, Settle, Settled, SourceColumn, StatusRead, Survey, Unseen,
    Variations,
};
use crate::domain::change::RowChange;
use session::Session;
use trouble::Trouble;

mod compose;
mod connect;
mod control;
mod inbox;
mod log;
mod outbox;
mod report;
mod session;
mod stage;
mod survey;
mod trouble;
mod values;

/// How long a lock of another session is waited for; `sql/mssql/session/settings.sql` says the same to the server.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a ROLLBACK may take before the session is dropped instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);

/// `timeout_seconds` of a query at most (a CHECK of its table).
const LONGEST_QUERY_SECONDS: u64 = 600;

/// A SQL Server database of the site.
pub struct Mssql {
    settings: DatabaseSettings,
    host: String,
    reading: Line,
    settling: Line,
    control: Line,
    /// What waits is counted beside everything else.
    counting: Line,
    storing: Line,
    /// For DBAs' queries, which may take long.
    composing: Line,
    lockers: Lockers,
    /// With the longest time that a query may have.
    composing_settings: DatabaseSettings,
}

/// The place of one session; `None`: the next operation opens one.
struct Line {
    purpose: &'static str,
    session: tokio::sync::Mutex<Option<Session>>,
}

impl Line {
    fn new(purpose: &'static str) -> Self {
        Self { purpose, session: tokio::sync::Mutex::new(None) }
    }
}

/// Runs an operation on the session of a line, bounded by `statement_timeout_seconds`. A macro, since a closure cannot
/// say that its future may cross threads.
macro_rules! on {
    ($self:ident.$line:ident, $operation:literal, |$session:ident| $work:expr) => {
        within!($self.$line, &$self.settings, $self.timeout(), $operation, |$session| $work)
            .map_err(|trouble| $self.told($operation, trouble))
    };
}

/// The same, with settings and a time of its own.
macro_rules! within {
    ($self:ident.$line:ident, $settings:expr, $limit:expr, $operation:literal, |$session:ident| $work:expr) => {{
        let line = &$self.$line;
        let mut place = line.session.lock().await;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut taken = match place.take() {
                Some(session) => session,
                None => match connect::open($settings, &$self.host, line.purpose).await {
                    Ok(session) => session,
                    Err(trouble) => break Err(trouble),
                },
            };
            let answer = {
                let $session = &mut taken;
                tokio::time::timeout($limit, $work).await
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(_) => Err(Trouble::TimedOut),
            };
            match answer {
                Ok(answer) => {
                    *place = Some(taken);
                    break Ok(answer);
                }
                Err(trouble) => {
                    *place = taken.after(&trouble).await;
                    if !(trouble.is_deadlock() && tries == 1) {
                        break Err(trouble);
                    }
                    tracing::debug!(database = %$self.settings.name, operation = $operation, "deadlock, once more");
                    // Whoever was in the way gets through first, and does not meet us again.
                    tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(30..90))).await;
                }
            }
        }
    }};
}

impl Mssql {
    /// The database of `[[database]]`; it is connected when it is first needed, so that an agent can start before it.
    /// `host` is the agent's name, which the server shows as part of `program_name`.
    pub fn new(settings: &DatabaseSettings, host: &str) -> Self {
        Self {
            settings: settings.clone(),
            host: host.to_owned(),
            reading: Line::new("read"),
            settling: Line::new("settle"),
            control: Line::new("control"),
            counting: Line::new("count"),
            storing: Line::new("inbox"),
            composing: Line::new("compose"),
            lockers: Lockers::default(),
            composing_settings: DatabaseSettings {
                statement_timeout_seconds: settings.statement_timeout_seconds.max(LONGEST_QUERY_SECONDS),
                ..settings.clone()
            },
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.settings.statement_timeout_seconds)
    }

    fn told(&self, operation: &'static str, trouble: Trouble) -> DatabaseError {
        trouble.told(&self.settings.name, operation, self.settings.statement_timeout_seconds)
    }
}

#[async_trait]
impl Database for Mssql {
    fn quoted(&self, text: &str) -> String {
        outside::national(text)
    }

    async fn survey(&self) -> Result<Survey> {
        on!(self.control, "survey", |session| survey::survey(session))
    }

    async fn control_read(&self) -> Result<ControlTables> {
        on!(self.control, "control_read", |session| control::control_read(session))
    }

    async fn source_alike(&self, column: SourceColumn, one: &str, other: &str) -> Result<bool> {
        on!(self.control, "source_alike", |session| control::source_alike(session, column, one, other))
    }

    async fn command_read(&self) -> Result<Vec<CommandRow>> {
        on!(self.control, "command_read", |session| control::command_read(session))
    }

    async fn lever_read(&self) -> Result<Vec<CommandRow>> {
        on!(self.control, "lever_read", |session| control::lever_read(session))
    }

    async fn host_read(&self) -> Result<Vec<HostRow>> {
        on!(self.control, "host_read", |session| control::host_read(session))
    }

    async fn status_read(&self) -> Result<Vec<StatusRead>> {
        on!(self.control, "status_read", |session| control::status_read(session))
    }

    async fn finding_read(&self) -> Result<Vec<FindingRow>> {
        on!(self.control, "finding_read", |session| control::finding_read(session))
    }

    async fn history_read(&self) -> Result<Vec<ChangeRow>> {
        on!(self.control, "history_read", |session| control::history_read(session))
    }

    async fn host_claim(&self, row: &HostRow, expected_epoch: Option<i64>) -> Result<bool> {
        on!(self.control, "host_claim", |session| control::host_claim(session, row, expected_epoch))
    }

    async fn owner_claim(&self, claim: &OwnerClaim) -> Result<Owner> {
        on!(self.control, "owner_claim", |session| control::owner_claim(session, claim, &self.lockers))
    }

    async fn owner_renew(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<bool> {
        on!(self.control, "owner_renew", |session| control::owner_renew(
            session,
            connection_point,
            direction,
            journal_id
        ))
    }

    async fn owner_release(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<()> {
        on!(self.control, "owner_release", |session| control::owner_release(
            session,
            connection_point,
            direction,
            journal_id
        ))
    }

    async fn control_report(&self, report: &Report) -> Result<Vec<bool>> {
        on!(self.control, "control_report", |session| report::control_report(session, report, &self.lockers))
    }

    async fn outbox_scan(&self, scan: &Scan) -> Result<Page> {
        on!(self.reading, "outbox_scan", |session| outbox::scan(session, scan))
    }

    async fn outbox_unseen(&self) -> Result<Unseen> {
        on!(self.reading, "outbox_unseen", |session| outbox::unseen(session))
    }

    async fn outbox_load(&self, entry_ids: &[i64], max_bytes: usize) -> Result<Loaded> {
        on!(self.reading, "outbox_load", |session| outbox::load(session, entry_ids, max_bytes))
    }

    async fn outbox_present(&self, entry_ids: &[i64]) -> Result<Vec<i64>> {
        on!(self.reading, "outbox_present", |session| outbox::present(session, entry_ids))
    }

    async fn outbox_reset(&self, entry_ids: &[i64]) -> Result<Vec<i64>> {
        on!(self.settling, "outbox_reset", |session| outbox::reset(session, entry_ids))
    }

    async fn outbox_purge(&self, entry_ids: &[i64], selection: &Selection) -> Result<Vec<i64>> {
        on!(self.settling, "outbox_purge", |session| outbox::purge(session, entry_ids, selection))
    }

    async fn outbox_settle(&self, settle: &Settle) -> Result<Settled> {
        on!(self.settling, "outbox_settle", |session| outbox::settle(session, settle))
    }

    async fn outbox_backlog(&self, selection: &Selection, cap: i64) -> Result<Backlog> {
        on!(self.reading, "outbox_backlog", |session| outbox::backlog(session, selection, cap))
    }

    async fn outbox_counts(&self, selections: &[Selection], limit: Duration) -> Result<Vec<Backlog>> {
        within!(self.counting, &self.settings, limit, "outbox_counts", |session| outbox::counts(
            session, selections
        ))
        .map_err(|trouble| self.told("outbox_counts", trouble))
    }

    async fn inbox_store(&self, documents: &[Incoming]) -> Result<Vec<Stored>> {
        on!(self.storing, "inbox_store", |session| inbox::store(session, documents))
    }

    async fn inbox_load(&self, entry_id: i64) -> Result<Option<Entry>> {
        on!(self.storing, "inbox_load", |session| inbox::load(session, entry_id))
    }

    async fn receipts_present(&self, receipt_keys: &[String]) -> Result<Vec<String>> {
        on!(self.storing, "receipts_present", |session| inbox::present(session, receipt_keys))
    }

    async fn outbox_add(&self, added: &Added) -> Result<Option<i64>> {
        on!(self.settling, "outbox_add", |session| outbox::add(session, added))
    }

    async fn inbox_purge(
        &self,
        connection_point: &str,
        receipts: DateTime<Utc>,
        documents: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64> {
        on!(self.control, "inbox_purge", |session| inbox::purge(
            session,
            connection_point,
            receipts,
            documents,
            limit
        ))
    }

    async fn log_search(&self, filter: &LogFilter) -> Result<Vec<LogRow>> {
        on!(self.control, "log_search", |session| log::search(session, filter))
    }

    async fn log_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64> {
        on!(self.control, "log_purge", |session| log::purge(session, connection_point, before, limit))
    }
    async fn change_read(&self, connection_point: &str, after: i64, limit: i64) -> Result<Vec<RowChange>> {
        on!(self.reading, "change_read", |session| compose::change_read(
            session,
            connection_point,
            after,
            limit
        ))
    }

    async fn change_read_of_documents(
        &self,
        connection_point: &str,
        document_ids: &[String],
        limit: i64,
    ) -> Result<Vec<RowChange>> {
        on!(self.reading, "change_read_of_documents", |session| compose::change_read_of_documents(
            session,
            connection_point,
            document_ids,
            limit
        ))
    }

    async fn change_strays(&self) -> Result<Vec<(String, i64)>> {
        on!(self.control, "change_strays", |session| compose::change_strays(session))
    }

    async fn change_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64> {
        on!(self.settling, "change_purge", |session| compose::change_purge(
            session,
            connection_point,
            before,
            limit
        ))
    }

    async fn query_read(&self, connection_point: &str) -> Result<Vec<QueryRow>> {
        on!(self.reading, "query_read", |session| compose::query_read(session, connection_point))
    }

    async fn query_checked(&self, connection_point: &str, checked: &[QueryChecked]) -> Result<()> {
        on!(self.control, "query_checked", |session| compose::query_checked(
            session,
            connection_point,
            checked
        ))
    }

    async fn variation_read(&self, document_keys: &[String]) -> Result<Variations> {
        on!(self.reading, "variation_read", |session| compose::variation_read(session, document_keys))
    }

    async fn compose_rows(&self, batch: &[BatchRow], queries: &[PartQuery]) -> Result<Composed> {
        let seconds: u64 = queries.iter().map(|query| query.timeout_seconds).sum();
        let limit = self.timeout() + Duration::from_secs(seconds);
        let settings = &self.composing_settings;
        let answer =
            within!(self.composing, settings, limit, "compose_rows", |session| compose::compose_rows(
                session, batch, queries
            ));
        match answer {
            Ok(rows) => Ok(Ok(rows)),
            Err(Trouble::Query(failure)) => Ok(Err(failure)),
            Err(trouble) => Err(self.told("compose_rows", trouble)),
        }
    }

    async fn compose_write(&self, composition: &Composition) -> Result<bool> {
        on!(self.settling, "compose_write", |session| compose::compose_write(session, composition))
    }
}
