//! The database contract on a SQLite file: one connection on a thread of its own, opened anew when it must be.
//!
//! The file must exist; it is never created, and neither its journal mode nor any other setting that lasts is changed.
//! Before each operation, the file at the path is compared with the one that was opened: where somebody put another
//! one in its place (a restore), the operation ends as `Unavailable` and the next one opens the new file, whose
//! fingerprint the caller then sees in the survey. In WAL mode the log beside the file must go with it: a new file
//! beside the log of the old one is not opened, since SQLite would write the old pages into it. A lock is waited for
//! `BUSY_TIMEOUT`, an operation is stopped after the database's `statement_timeout_seconds`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::config::DatabaseSettings;
use crate::domain::incoming::{Incoming, Stored};
use crate::domain::message::Entry;
use crate::domain::plan::ControlTables;
use crate::platform::file_identity;
use crate::sqlite_thread::SqliteThread;

use super::{
    Added, Backlog, BatchRow, ChangeRow, CommandRow, Composed, Composition, Database, DatabaseError,
    FindingRow, HostRow, Loaded, LogFilter, LogRow, Owner, OwnerClaim, Page, PartQuery, QueryChecked,
    QueryRow, Report, Result, Scan, Selection, Settle, Settled, SourceColumn, StatusRead, Survey, Unseen,
    Variations,
};
use crate::domain::change::RowChange;
use trouble::Trouble;

mod compose;
mod control;
mod inbox;
mod log;
mod named;
mod outbox;
mod report;
mod survey;
mod trouble;
mod values;

/// How long a lock of another program is waited for (shared by every connection of the agent to this file).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks for other connections' commits: a row waits half of it on average.
const CHANGED_EVERY: Duration = Duration::from_millis(100);

/// A SQLite database of the site.
pub struct Sqlite {
    name: String,
    path: PathBuf,
    timeout_seconds: u64,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    line: Option<Arc<Line>>,
    former: Option<Former>,
}

/// An open connection.
struct Line {
    thread: SqliteThread,
    watch: Arc<Watch>,
}

/// What is known of an open connection beside it.
struct Watch {
    path: PathBuf,
    deadline: Deadline,
    /// Of the file that was opened.
    identity: String,
    /// Of the write-ahead log beside it, after the last operation; `None` without one.
    wal_identity: Mutex<Option<String>>,
    /// SQLite's number of what other connections committed, when it was last looked at; -1 before.
    data_version: AtomicI64,
}

/// A file that was let go: its log must not be taken for another file's.
struct Former {
    identity: String,
    wal_identity: Option<String>,
}

impl Watch {
    fn new(path: &Path) -> std::result::Result<Self, Trouble> {
        let identity = file_identity(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Trouble::Mend {
                what: format!("the file {} does not exist", path.display()),
                remedy: "correct path in [[database]]; the agent never creates the application's database"
                    .into(),
            },
            _ => Trouble::File(error),
        })?;
        let wal_identity = Mutex::new(wal_identity(path));
        Ok(Self {
            path: path.to_owned(),
            deadline: Deadline::new(),
            identity,
            wal_identity,
            data_version: AtomicI64::new(-1),
        })
    }

    fn still_there(&self) -> std::result::Result<(), Trouble> {
        if file_identity(&self.path)? == self.identity { Ok(()) } else { Err(Trouble::Replaced) }
    }

    /// Runs one operation, no longer than `timeout`.
    fn run<T>(&self, timeout: Duration, operation: impl FnOnce() -> T) -> T {
        self.deadline.set(timeout);
        let answer = operation();
        self.deadline.clear();
        *lock(&self.wal_identity) = wal_identity(&self.path);
        answer
    }
}

impl Former {
    fn leaves_its_log_to(&self, watch: &Watch) -> bool {
        let log = lock(&watch.wal_identity);
        self.identity != watch.identity && log.is_some() && *log == self.wal_identity
    }
}

fn wal_identity(path: &Path) -> Option<String> {
    let mut wal = path.to_owned().into_os_string();
    wal.push("-wal");
    file_identity(Path::new(&wal)).ok()
}

/// What a panic left behind is still whole: nothing here is changed in steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sqlite {
    /// The file of `[[database]]`; it is opened when it is first needed, so that an agent can start before it.
    pub fn new(settings: &DatabaseSettings) -> Self {
        Self {
            name: settings.name.clone(),
            path: settings.path.clone().unwrap_or_default(),
            timeout_seconds: settings.statement_timeout_seconds,
            place: Mutex::default(),
        }
    }

    /// Opens the file of `[[database]]`; refuses one that is missing, not a database, or read-only.
    pub fn open(settings: &DatabaseSettings) -> Result<Self> {
        let sqlite = Self::new(settings);
        sqlite.line().map_err(|trouble| sqlite.told("open", trouble))?;
        Ok(sqlite)
    }

    /// The open connection; opens it where there is none.
    fn line(&self) -> std::result::Result<Arc<Line>, Trouble> {
        let mut place = lock(&self.place);
        if let Some(line) = &place.line {
            return Ok(Arc::clone(line));
        }
        let watch = Arc::new(Watch::new(&self.path)?);
        if place.former.as_ref().is_some_and(|former| former.leaves_its_log_to(&watch)) {
            return Err(Trouble::Mend {
                what: format!("{} was replaced, and the log (-wal) of the old file is still beside it", self.path.display()),
                remedy: "stop what has the file open, put the new file in place once more, delete the files that end \
                         with -wal and -shm, and start again; until then the agent does not touch it"
                    .into(),
            });
        }
        let line = Arc::new(Line::open(&self.name, watch)?);
        place.line = Some(Arc::clone(&line));
        Ok(line)
    }

    /// Lets go of a connection, unless another call has already opened a new one.
    fn let_go(&self, line: &Arc<Line>) {
        let mut place = lock(&self.place);
        if place.line.as_ref().is_some_and(|open| Arc::ptr_eq(open, line)) {
            let (identity, wal_identity) =
                (line.watch.identity.clone(), lock(&line.watch.wal_identity).clone());
            *place = Place { line: None, former: Some(Former { identity, wal_identity }) };
        }
    }

    /// Runs `work` on the connection's thread.
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> std::result::Result<T, Trouble> + Send + 'static,
    ) -> Result<T> {
        let line = self.line().map_err(|trouble| self.told(operation, trouble))?;
        let (watch, timeout) = (Arc::clone(&line.watch), Duration::from_secs(self.timeout_seconds));
        let answer = line.thread.call(move |connection| {
            watch.still_there()?;
            watch.run(timeout, || work(connection))
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(ended) => Err(Trouble::File(std::io::Error::other(ended))),
        };
        answer.map_err(|trouble| {
            if trouble.needs_reopening() {
                self.let_go(&line);
            }
            self.told(operation, trouble)
        })
    }

    fn told(&self, operation: &'static str, trouble: Trouble) -> DatabaseError {
        trouble.told(&self.name, operation, self.timeout_seconds)
    }
}

impl Line {
    fn open(name: &str, watch: Arc<Watch>) -> std::result::Result<Self, Trouble> {
        let watched = Arc::clone(&watch);
        // The handle of the thread is let go: it ends by itself when the last sender does, and closes the file.
        let (thread, _) =
            SqliteThread::start(&format!("database {name}"), move || open_connection(&watched))?;
        Ok(Self { thread, watch })
    }
}

fn open_connection(watch: &Arc<Watch>) -> std::result::Result<Connection, Trouble> {
    /// Between two looks at the deadline: some hundred microseconds.
    const STEPS: i32 = 10_000;
    /// Above the number of our statements, so that each is prepared once.
    const PREPARED_STATEMENTS: usize = 64;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&watch.path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let watched = Arc::clone(watch);
    connection.progress_handler(STEPS, Some(move || watched.deadline.is_over()))?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    // Without it SQLite plans anew whenever a bound that an index range depends on changes: at every call.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // SQLite opens lazily: the first read is what tells a database from another file.
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    if connection.is_readonly("main")? {
        return Err(Trouble::Mend {
            what: format!("the file {} may not be written", watch.path.display()),
            remedy: "give the agent's user the rights that grants.sql names".into(),
        });
    }
    Ok(connection)
}

/// When the running operation must end; looked at by SQLite's progress handler.
struct Deadline {
    base: Instant,
    /// Milliseconds after `base`; 0: none.
    at: AtomicU64,
}

impl Deadline {
    fn new() -> Self {
        Self { base: Instant::now(), at: AtomicU64::new(0) }
    }

    fn set(&self, timeout: Duration) {
        self.at.store(self.elapsed().saturating_add(millis(timeout)).max(1), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.at.store(0, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != 0 && self.elapsed() > at
    }

    fn elapsed(&self) -> u64 {
        millis(self.base.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A transaction that takes the write lock at once, so that waiting for it cannot end in a deadlock.
fn write(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// A transaction in which all reads see the same state.
fn read(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Deferred)
}

#[async_trait]
impl Database for Sqlite {
    async fn survey(&self) -> Result<Survey> {
        let path = self.path.clone();
        self.call("survey", move |connection| survey::survey(connection, &path)).await
    }

    async fn control_read(&self) -> Result<ControlTables> {
        self.call("control_read", control::control_read).await
    }

    async fn source_alike(&self, column: SourceColumn, one: &str, other: &str) -> Result<bool> {
        let texts = [one.to_owned(), other.to_owned()];
        self.call("source_alike", move |connection| control::source_alike(connection, column, &texts)).await
    }

    async fn command_read(&self) -> Result<Vec<CommandRow>> {
        self.call("command_read", control::command_read).await
    }

    async fn lever_read(&self) -> Result<Vec<CommandRow>> {
        self.call("lever_read", control::lever_read).await
    }

    async fn host_read(&self) -> Result<Vec<HostRow>> {
        self.call("host_read", control::host_read).await
    }

    async fn status_read(&self) -> Result<Vec<StatusRead>> {
        self.call("status_read", control::status_read).await
    }

    async fn finding_read(&self) -> Result<Vec<FindingRow>> {
        self.call("finding_read", control::finding_read).await
    }

    async fn history_read(&self) -> Result<Vec<ChangeRow>> {
        self.call("history_read", control::history_read).await
    }

    async fn host_claim(&self, row: &HostRow, expected_epoch: Option<i64>) -> Result<bool> {
        let row = row.clone();
        self.call("host_claim", move |connection| control::host_claim(connection, &row, expected_epoch)).await
    }

    async fn owner_claim(&self, claim: &OwnerClaim) -> Result<Owner> {
        let claim = claim.clone();
        self.call("owner_claim", move |connection| control::owner_claim(connection, &claim)).await
    }

    async fn owner_renew(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<bool> {
        let owned = [connection_point, direction, journal_id].map(str::to_owned);
        self.call("owner_renew", move |connection| control::owner_renew(connection, &owned)).await
    }

    async fn owner_release(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<()> {
        let owned = [connection_point, direction, journal_id].map(str::to_owned);
        self.call("owner_release", move |connection| control::owner_release(connection, &owned)).await
    }

    async fn control_report(&self, report: &Report) -> Result<Vec<bool>> {
        let report = report.clone();
        self.call("control_report", move |connection| report::control_report(connection, &report)).await
    }

    async fn outbox_scan(&self, scan: &Scan) -> Result<Page> {
        let scan = scan.clone();
        self.call("outbox_scan", move |connection| outbox::scan(connection, &scan)).await
    }

    async fn outbox_unseen(&self) -> Result<Unseen> {
        self.call("outbox_unseen", outbox::unseen).await
    }

    async fn outbox_load(&self, entry_ids: &[i64], max_bytes: usize) -> Result<Loaded> {
        let entry_ids = entry_ids.to_vec();
        self.call("outbox_load", move |connection| outbox::load(connection, &entry_ids, max_bytes)).await
    }

    async fn outbox_present(&self, entry_ids: &[i64]) -> Result<Vec<i64>> {
        let entry_ids = entry_ids.to_vec();
        self.call("outbox_present", move |connection| outbox::present(connection, &entry_ids)).await
    }

    async fn outbox_reset(&self, entry_ids: &[i64]) -> Result<Vec<i64>> {
        let entry_ids = entry_ids.to_vec();
        self.call("outbox_reset", move |connection| outbox::reset(connection, &entry_ids)).await
    }

    async fn outbox_purge(&self, entry_ids: &[i64], selection: &Selection) -> Result<Vec<i64>> {
        let (entry_ids, selection) = (entry_ids.to_vec(), selection.clone());
        self.call("outbox_purge", move |connection| outbox::purge(connection, &entry_ids, &selection)).await
    }

    async fn outbox_settle(&self, settle: &Settle) -> Result<Settled> {
        let settle = settle.clone();
        self.call("outbox_settle", move |connection| outbox::settle(connection, &settle)).await
    }

    async fn outbox_changed(&self) -> Result<()> {
        loop {
            let line = self.line().map_err(|trouble| self.told("outbox_changed", trouble))?;
            // The number changes with every commit of another connection, not with our own.
            let version = self.call("outbox_changed", |connection| {
                let mut statement = connection.prepare_cached("PRAGMA data_version")?;
                Ok(statement.query_row([], |row| row.get::<_, i64>(0))?)
            });
            let version = version.await?;
            if line.watch.data_version.swap(version, Ordering::Relaxed) != version {
                return Ok(());
            }
            tokio::time::sleep(CHANGED_EVERY).await;
        }
    }

    async fn outbox_backlog(&self, selection: &Selection, cap: i64) -> Result<Backlog> {
        let selection = selection.clone();
        self.call("outbox_backlog", move |connection| outbox::backlog(connection, &selection, cap)).await
    }

    async fn outbox_counts(&self, selections: &[Selection], limit: Duration) -> Result<Vec<Backlog>> {
        let told = |trouble: Trouble| trouble.told(&self.name, "outbox_counts", limit.as_secs());
        // It refuses a file that was put in the place of the one that is open.
        self.line().map_err(told)?;
        // Everything else goes through one connection, which is not kept waiting.
        let line = Watch::new(&self.path).and_then(|watch| Line::open(&self.name, Arc::new(watch)));
        let line = line.map_err(told)?;
        let (watch, selections) = (Arc::clone(&line.watch), selections.to_vec());
        let counted = line.thread.call(move |connection| {
            watch.still_there()?;
            watch.run(limit, || outbox::counts(connection, &selections))
        });
        match counted.await {
            Ok(counted) => counted.map_err(told),
            Err(ended) => Err(told(Trouble::File(std::io::Error::other(ended)))),
        }
    }

    async fn inbox_store(&self, documents: &[Incoming]) -> Result<Vec<Stored>> {
        let documents = documents.to_vec();
        self.call("inbox_store", move |connection| inbox::store(connection, &documents)).await
    }

    async fn inbox_load(&self, entry_id: i64) -> Result<Option<Entry>> {
        self.call("inbox_load", move |connection| inbox::load(connection, entry_id)).await
    }

    async fn receipts_present(&self, receipt_keys: &[String]) -> Result<Vec<String>> {
        let receipt_keys = receipt_keys.to_vec();
        self.call("receipts_present", move |connection| inbox::present(connection, &receipt_keys)).await
    }

    async fn outbox_add(&self, added: &Added) -> Result<Option<i64>> {
        let added = added.clone();
        self.call("outbox_add", move |connection| outbox::add(connection, &added)).await
    }

    async fn inbox_purge(
        &self,
        connection_point: &str,
        receipts: DateTime<Utc>,
        documents: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64> {
        let connection_point = connection_point.to_owned();
        self.call("inbox_purge", move |connection| {
            inbox::purge(connection, &connection_point, receipts, documents, limit)
        })
        .await
    }

    async fn log_search(&self, filter: &LogFilter) -> Result<Vec<LogRow>> {
        let filter = filter.clone();
        self.call("log_search", move |connection| log::search(connection, &filter)).await
    }

    async fn log_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64> {
        let connection_point = connection_point.to_owned();
        self.call("log_purge", move |connection| log::purge(connection, &connection_point, before, limit))
            .await
    }

    async fn change_read(&self, connection_point: &str, after: i64, limit: i64) -> Result<Vec<RowChange>> {
        let point = connection_point.to_owned();
        self.call("change_read", move |connection| compose::change_read(connection, &point, after, limit))
            .await
    }

    async fn change_read_of_documents(
        &self,
        connection_point: &str,
        document_ids: &[String],
        limit: i64,
    ) -> Result<Vec<RowChange>> {
        let (point, ids) = (connection_point.to_owned(), document_ids.to_vec());
        self.call("change_read_of_documents", move |connection| {
            compose::change_read_of_documents(connection, &point, &ids, limit)
        })
        .await
    }

    async fn change_strays(&self) -> Result<Vec<(String, i64)>> {
        self.call("change_strays", compose::change_strays).await
    }

    async fn change_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64> {
        let point = connection_point.to_owned();
        self.call("change_purge", move |connection| compose::change_purge(connection, &point, before, limit))
            .await
    }

    async fn query_read(&self, connection_point: &str) -> Result<Vec<QueryRow>> {
        let point = connection_point.to_owned();
        self.call("query_read", move |connection| compose::query_read(connection, &point)).await
    }

    async fn query_checked(&self, connection_point: &str, checked: &[QueryChecked]) -> Result<()> {
        let (point, checked) = (connection_point.to_owned(), checked.to_vec());
        self.call("query_checked", move |connection| compose::query_checked(connection, &point, &checked))
            .await
    }

    async fn variation_read(&self, document_keys: &[String]) -> Result<Variations> {
        let keys = document_keys.to_vec();
        self.call("variation_read", move |connection| compose::variation_read(connection, &keys)).await
    }

    async fn compose_rows(&self, batch: &[BatchRow], queries: &[PartQuery]) -> Result<Composed> {
        let (batch, queries) = (batch.to_vec(), queries.to_vec());
        let watch = Arc::clone(&self.line().map_err(|trouble| self.told("compose_rows", trouble))?.watch);
        self.call("compose_rows", move |connection| {
            compose::compose_rows(connection, &watch, &batch, &queries)
        })
        .await
    }

    async fn compose_write(&self, composition: &Composition) -> Result<bool> {
        let composition = composition.clone();
        self.call("compose_write", move |connection| compose::compose_write(connection, &composition)).await
    }
}
