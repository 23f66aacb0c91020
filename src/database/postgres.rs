//! The database contract on PostgreSQL: one session a purpose, opened anew when it died.
//!
//! Each operation is one short transaction on one session, and a session that an operation did not leave clean (lost,
//! timed out, dropped half-way) is never used again: what still runs on it is cancelled. A deadlock is tried once more
//! here; everything else goes to the caller, who tries again later.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::config::DatabaseSettings;
use crate::domain::incoming::{Incoming, Stored};
use crate::domain::message::Entry;
use crate::domain::plan::ControlTables;

use super::locks::Lockers;
use super::{
    Added, Backlog, BatchRow, ChangeRow, CommandRow, Composed, Composition, Database, FindingRow, HostRow,
    Loaded, LogFilter, LogRow, Owner, OwnerClaim, Page, PartQuery, QueryChecked, QueryRow, Report, Result,
    Scan, Selection, Settle, Settled, SourceColumn, StatusRead, Survey, Unseen, Variations,
};
use crate::domain::change::RowChange;
use listen::Listener;
use session::{Address, Session};
use trouble::Trouble;

mod compose;
mod control;
mod encryption;
mod inbox;
mod letters;
mod listen;
mod log;
mod names;
mod outbox;
mod report;
mod session;
mod survey;
mod trouble;
mod values;

/// How long a lock of another session is waited for (shorter where `statement_timeout_seconds` is).
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL database of the site.
pub struct Postgres {
    name: String,
    address: Address,
    /// A look at the outbox does not wait for what is being settled.
    reading: Slot,
    settling: Slot,
    control: Slot,
    /// What waits is counted beside everything else.
    counting: Slot,
    storing: Slot,
    /// For DBAs' queries, which may take long.
    composing: Slot,
    listener: tokio::sync::Mutex<Option<Listener>>,
    lockers: Lockers,
}

/// The session of one purpose; `None` before the first operation, while one is under way, and after a loss.
struct Slot {
    purpose: &'static str,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
}

impl Slot {
    fn new(purpose: &'static str) -> Self {
        Self { purpose, session: tokio::sync::Mutex::default() }
    }
}

/// A session at work: cancelled and let go unless the operation ends in an orderly way.
struct Busy(Option<Arc<Session>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.abandon();
        }
    }
}

/// What a panic left behind is still whole: nothing here is changed in steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Postgres {
    /// The server of `[[database]]`; it is called when it is first needed. `host` is this agent's name, as the server
    /// lists it (`application_name`).
    pub fn new(settings: &DatabaseSettings, host: &str) -> Self {
        Self {
            name: settings.name.clone(),
            address: Address::new(settings, host),
            reading: Slot::new("read"),
            settling: Slot::new("settle"),
            control: Slot::new("control"),
            counting: Slot::new("count"),
            storing: Slot::new("inbox"),
            composing: Slot::new("compose"),
            listener: tokio::sync::Mutex::default(),
            lockers: Lockers::default(),
        }
    }

    /// Runs `work` on the session of a purpose, within the time that an operation may take.
    async fn call<T, W>(
        &self,
        slot: &Slot,
        operation: &'static str,
        work: impl Fn(Arc<Session>) -> W + Send + Sync,
    ) -> Result<T>
    where
        T: Send,
        W: Future<Output = std::result::Result<T, Trouble>> + Send,
    {
        // The server stops a statement by itself; this is for a network that swallows its answer.
        let limit = self.address.statement_timeout() + session::CONNECT_TIMEOUT + LOCK_TIMEOUT;
        let answer = self.within(limit, slot, work).await;
        answer.map_err(|trouble| trouble.told(&self.name, operation, &self.address))
    }

    /// The same, within a time of its own.
    async fn within<T, W>(
        &self,
        limit: Duration,
        slot: &Slot,
        work: impl Fn(Arc<Session>) -> W + Send + Sync,
    ) -> std::result::Result<T, Trouble>
    where
        T: Send,
        W: Future<Output = std::result::Result<T, Trouble>> + Send,
    {
        let answer = tokio::time::timeout(limit, async {
            let mut slot_session = slot.session.lock().await;
            match self.once(slot, &mut slot_session, &work).await {
                Err(trouble) if trouble.is_worth_another_try() => {
                    // Whoever was in the way gets through first, and does not meet us again.
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(30..90))).await;
                    self.once(slot, &mut slot_session, &work).await
                }
                Err(trouble) if trouble.is_lock() => {
                    // What is tried next, in parts, does not stand as long behind the same lock.
                    if let Some(session) = &*slot_session {
                        session.hurry();
                    }
                    Err(trouble)
                }
                Err(trouble) if trouble.is_about_letters() => {
                    // The server's table of letters is not quite ours: once more, in those that every encoding has.
                    let Some(session) = slot_session.clone() else { return Err(trouble) };
                    session.letters.only_ascii(true);
                    let answer = self.once(slot, &mut slot_session, &work).await;
                    session.letters.only_ascii(false);
                    answer
                }
                answer => answer,
            }
        });
        answer.await.unwrap_or(Err(Trouble::NoAnswer(limit)))
    }

    async fn once<T, W>(
        &self,
        slot: &Slot,
        place: &mut Option<Arc<Session>>,
        work: &(impl Fn(Arc<Session>) -> W + Send + Sync),
    ) -> std::result::Result<T, Trouble>
    where
        W: Future<Output = std::result::Result<T, Trouble>> + Send,
    {
        let session = match place.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Arc::new(Session::open(&self.address, slot.purpose).await?),
        };
        let mut busy = Busy(Some(Arc::clone(&session)));
        let answer = work(Arc::clone(&session)).await;
        let is_clean = match &answer {
            Ok(_) => true,
            Err(trouble) => !trouble.ends_session() && session.rollback().await.is_ok(),
        };
        if is_clean {
            busy.0 = None;
            *place = Some(session);
        }
        answer
    }
}

#[async_trait]
impl Database for Postgres {
    async fn survey(&self) -> Result<Survey> {
        let address = &self.address;
        self.call(&self.control, "survey", |session| async move { survey::survey(&session, address).await })
            .await
    }

    async fn control_read(&self) -> Result<ControlTables> {
        self.call(
            &self.control,
            "control_read",
            |session| async move { control::control_read(&session).await },
        )
        .await
    }

    async fn source_alike(&self, column: SourceColumn, one: &str, other: &str) -> Result<bool> {
        self.call(&self.control, "source_alike", |session| async move {
            control::source_alike(&session, column, one, other).await
        })
        .await
    }

    async fn command_read(&self) -> Result<Vec<CommandRow>> {
        self.call(
            &self.control,
            "command_read",
            |session| async move { control::command_read(&session).await },
        )
        .await
    }

    async fn lever_read(&self) -> Result<Vec<CommandRow>> {
        self.call(&self.control, "lever_read", |session| async move { control::lever_read(&session).await })
            .await
    }

    async fn host_read(&self) -> Result<Vec<HostRow>> {
        self.call(&self.control, "host_read", |session| async move { control::host_read(&session).await })
            .await
    }

    async fn status_read(&self) -> Result<Vec<StatusRead>> {
        self.call(&self.control, "status_read", |session| async move { control::status_read(&session).await })
            .await
    }

    async fn finding_read(&self) -> Result<Vec<FindingRow>> {
        self.call(
            &self.control,
            "finding_read",
            |session| async move { control::finding_read(&session).await },
        )
        .await
    }

    async fn history_read(&self) -> Result<Vec<ChangeRow>> {
        self.call(
            &self.control,
            "history_read",
            |session| async move { control::history_read(&session).await },
        )
        .await
    }

    async fn host_claim(&self, row: &HostRow, expected_epoch: Option<i64>) -> Result<bool> {
        self.call(&self.control, "host_claim", |session| async move {
            control::host_claim(&session, row, expected_epoch).await
        })
        .await
    }

    async fn owner_claim(&self, claim: &OwnerClaim) -> Result<Owner> {
        self.call(&self.control, "owner_claim", |session| async move {
            control::owner_claim(&session, claim, &self.lockers).await
        })
        .await
    }

    async fn owner_renew(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<bool> {
        self.call(&self.control, "owner_renew", |session| async move {
            control::owner_renew(&session, connection_point, direction, journal_id).await
        })
        .await
    }

    async fn owner_release(&self, connection_point: &str, direction: &str, journal_id: &str) -> Result<()> {
        self.call(&self.control, "owner_release", |session| async move {
            control::owner_release(&session, connection_point, direction, journal_id).await
        })
        .await
    }

    async fn control_report(&self, report: &Report) -> Result<Vec<bool>> {
        self.call(&self.control, "control_report", |session| async move {
            report::control_report(&session, report, &self.lockers).await
        })
        .await
    }

    async fn outbox_scan(&self, scan: &Scan) -> Result<Page> {
        self.call(&self.reading, "outbox_scan", |session| async move { outbox::scan(&session, scan).await })
            .await
    }

    async fn outbox_unseen(&self) -> Result<Unseen> {
        self.call(&self.reading, "outbox_unseen", |session| async move { outbox::unseen(&session).await })
            .await
    }

    async fn outbox_load(&self, entry_ids: &[i64], max_bytes: usize) -> Result<Loaded> {
        self.call(&self.reading, "outbox_load", |session| async move {
            outbox::load(&session, entry_ids, max_bytes).await
        })
        .await
    }

    async fn outbox_present(&self, entry_ids: &[i64]) -> Result<Vec<i64>> {
        self.call(&self.reading, "outbox_present", |session| async move {
            outbox::present(&session, entry_ids).await
        })
        .await
    }

    async fn outbox_reset(&self, entry_ids: &[i64]) -> Result<Vec<i64>> {
        self.call(&self.settling, "outbox_reset", |session| async move {
            outbox::reset(&session, entry_ids).await
        })
        .await
    }

    async fn outbox_purge(&self, entry_ids: &[i64], selection: &Selection) -> Result<Vec<i64>> {
        self.call(&self.settling, "outbox_purge", |session| async move {
            outbox::purge(&session, entry_ids, selection).await
        })
        .await
    }

    async fn outbox_settle(&self, settle: &Settle) -> Result<Settled> {
        self.call(
            &self.settling,
            "outbox_settle",
            |session| async move { outbox::settle(&session, settle).await },
        )
        .await
    }

    async fn outbox_changed(&self) -> Result<()> {
        let told = |trouble: Trouble| trouble.told(&self.name, "outbox_changed", &self.address);
        if self.address.is_pooled() {
            // Told once, and asked again when it could have been mended.
            return Err(told(Trouble::Mend {
                what: "pooled = true: a pooler in transaction mode passes no NOTIFY on".into(),
                remedy:
                    "nothing: polling finds every row. To be told at once, let host name the server itself"
                        .into(),
            }));
        }
        let mut place = self.listener.lock().await;
        let Some(listener) = place.as_mut() else {
            let mut listener = Listener::open(&self.address).await.map_err(told)?;
            self.call(&self.control, "outbox_changed", |session| async move { session.announce().await })
                .await?;
            listener.hears_itself().await.map_err(told)?;
            *place = Some(listener);
            // Rows may have come before the LISTEN.
            return Ok(());
        };
        let heard = listener.heard().await;
        if heard.is_err() {
            *place = None;
        }
        heard.map_err(told)
    }

    async fn outbox_backlog(&self, selection: &Selection, cap: i64) -> Result<Backlog> {
        self.call(&self.reading, "outbox_backlog", |session| async move {
            outbox::backlog(&session, selection, cap).await
        })
        .await
    }

    async fn outbox_counts(&self, selections: &[Selection], limit: Duration) -> Result<Vec<Backlog>> {
        self.call(&self.counting, "outbox_counts", |session| async move {
            outbox::counts(&session, selections, limit).await
        })
        .await
    }

    async fn inbox_store(&self, documents: &[Incoming]) -> Result<Vec<Stored>> {
        self.call(
            &self.storing,
            "inbox_store",
            |session| async move { inbox::store(&session, documents).await },
        )
        .await
    }

    async fn inbox_load(&self, entry_id: i64) -> Result<Option<Entry>> {
        self.call(&self.control, "inbox_load", |session| async move { inbox::load(&session, entry_id).await })
            .await
    }

    async fn receipts_present(&self, receipt_keys: &[String]) -> Result<Vec<String>> {
        self.call(&self.control, "receipts_present", |session| async move {
            inbox::present(&session, receipt_keys).await
        })
        .await
    }

    async fn outbox_add(&self, added: &Added) -> Result<Option<i64>> {
        self.call(&self.settling, "outbox_add", |session| async move { outbox::add(&session, added).await })
            .await
    }

    async fn inbox_purge(
        &self,
        connection_point: &str,
        receipts: DateTime<Utc>,
        documents: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64> {
        self.call(&self.control, "inbox_purge", |session| async move {
            inbox::purge(&session, connection_point, receipts, documents, limit).await
        })
        .await
    }

    async fn log_search(&self, filter: &LogFilter) -> Result<Vec<LogRow>> {
        self.call(&self.control, "log_search", |session| async move { log::search(&session, filter).await })
            .await
    }

    async fn log_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64> {
        self.call(&self.control, "log_purge", |session| async move {
            log::purge(&session, connection_point, before, limit).await
        })
        .await
    }
    async fn change_read(&self, connection_point: &str, after: i64, limit: i64) -> Result<Vec<RowChange>> {
        self.call(&self.reading, "change_read", |session| async move {
            compose::change_read(&session, connection_point, after, limit).await
        })
        .await
    }

    async fn change_read_of_documents(
        &self,
        connection_point: &str,
        document_ids: &[String],
        limit: i64,
    ) -> Result<Vec<RowChange>> {
        self.call(&self.reading, "change_read_of_documents", |session| async move {
            compose::change_read_of_documents(&session, connection_point, document_ids, limit).await
        })
        .await
    }

    async fn change_strays(&self) -> Result<Vec<(String, i64)>> {
        self.call(
            &self.control,
            "change_strays",
            |session| async move { compose::change_strays(&session).await },
        )
        .await
    }

    async fn change_purge(&self, connection_point: &str, before: DateTime<Utc>, limit: i64) -> Result<u64> {
        self.call(&self.settling, "change_purge", |session| async move {
            compose::change_purge(&session, connection_point, before, limit).await
        })
        .await
    }

    async fn query_read(&self, connection_point: &str) -> Result<Vec<QueryRow>> {
        self.call(&self.reading, "query_read", |session| async move {
            compose::query_read(&session, connection_point).await
        })
        .await
    }

    async fn query_checked(&self, connection_point: &str, checked: &[QueryChecked]) -> Result<()> {
        self.call(&self.control, "query_checked", |session| async move {
            compose::query_checked(&session, connection_point, checked).await
        })
        .await
    }

    async fn variation_read(&self, document_keys: &[String]) -> Result<Variations> {
        self.call(&self.reading, "variation_read", |session| async move {
            compose::variation_read(&session, document_keys).await
        })
        .await
    }

    async fn compose_rows(&self, batch: &[BatchRow], queries: &[PartQuery]) -> Result<Composed> {
        let seconds: u64 = queries.iter().map(|query| query.timeout_seconds).sum();
        let limit = Duration::from_secs(seconds) + session::CONNECT_TIMEOUT + LOCK_TIMEOUT;
        let answer = self.within(limit, &self.composing, |session| async move {
            compose::compose_rows(&session, batch, queries).await
        });
        match answer.await {
            Ok(rows) => Ok(Ok(rows)),
            Err(Trouble::Query(failure)) => Ok(Err(failure)),
            Err(trouble) => Err(trouble.told(&self.name, "compose_rows", &self.address)),
        }
    }

    async fn compose_write(&self, composition: &Composition) -> Result<bool> {
        self.call(&self.settling, "compose_write", |session| async move {
            compose::compose_write(&session, composition).await
        })
        .await
    }
}
