//! The agent's own SQLite file: the truth about deliveries.
//!
//! Memory is a cache of it; a restart, and each `once`, is just the next pass. Changes go through `apply`, one
//! transaction for whatever the agent has gathered; `apply`, with its `admit` and `step`, is the only place that calls the
//! state machine.
//! WAL with `synchronous = FULL`: what was answered is on disk. No payload is ever in here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use uuid::Uuid;

use crate::domain::failure::Failure;
use crate::sqlite_thread::{SqliteThread, ThreadEnded};

mod admit;
mod alert;
mod apply;
mod backup;
mod checkpoint;
mod open;
mod read;
mod received;
mod record;
mod site;
mod statements;
mod step;
#[cfg(test)]
mod tests;
mod verify;

pub use apply::{Admission, Applied, Attempt, Change, Commit, LoggedState, Note, Parking, Step};
pub use backup::{Backup, backup};
pub use open::Opened;
pub use read::{Applies, CommandProgress, Counts, KnownPoint, Parked, Pause, PurgeDue, StoredScope, Tour};
pub use received::Received;
pub use record::Record;
pub use site::{KnownDatabase, KnownHost};
pub use verify::{Verified, verify};

/// The version of the journal's shape that this agent writes.
pub const VERSION: i64 = 12;

/// What went wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written; the change can be tried again when there is room.
    #[error("journal {}: {what}; nothing was changed, the agent goes on when there is room", path.display())]
    NoRoom {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// The file cannot be used.
    #[error("journal {}: {what}", path.display())]
    Unusable {
        path: PathBuf,
        what: String,
        #[source]
        source: Option<anyhow::Error>,
    },
    /// An event that cannot follow: a bug; the whole change was rolled back.
    #[error(transparent)]
    Illegal(#[from] crate::domain::delivery::Illegal),
    #[error(transparent)]
    Ended(#[from] ThreadEnded),
}

pub type Result<T> = std::result::Result<T, JournalError>;

/// The open journal; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    thread: SqliteThread,
    path: PathBuf,
    journal_id: Uuid,
    /// Of every journal that was begun in its place.
    all_ids: Arc<BTreeSet<Uuid>>,
    place: Arc<str>,
}

impl Journal {
    /// The identity of this journal, for ever.
    pub fn journal_id(&self) -> Uuid {
        self.journal_id
    }

    /// This agent has had a journal of that identity: this one, or one that was begun where this one is now.
    pub fn has_been(&self, journal_id: &str) -> bool {
        Uuid::parse_str(journal_id).is_ok_and(|id| self.all_ids.contains(&id))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file this is, on a machine that runs since when: a copy is somewhere else, a process that was started again
    /// is not.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// One transaction on the journal's thread: committed when `work` answers, rolled back when it fails.
    async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        self.thread
            .call(move |connection| {
                let wrap = |source| failed(&path, source);
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrap)?;
                let result = work(&transaction).map_err(|error| with_path(&path, error))?;
                transaction.commit().map_err(wrap)?;
                Ok(result)
            })
            .await?
    }

    /// Reads on the journal's thread, outside a transaction.
    async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        self.thread.call(move |connection| work(connection).map_err(|source| failed(&path, source))).await?
    }
}

/// SQL errors inside `apply` do not know the file; this names it.
fn with_path(path: &Path, error: JournalError) -> JournalError {
    match error {
        JournalError::Unusable { path: unnamed, source: Some(source), .. }
            if unnamed.as_os_str().is_empty() =>
        {
            match source.downcast::<rusqlite::Error>() {
                Ok(source) => failed(path, source),
                Err(source) => JournalError::Unusable {
                    path: path.to_owned(),
                    what: "it cannot be read".into(),
                    source: Some(source),
                },
            }
        }
        other => other,
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(source: rusqlite::Error) -> Self {
        failed(Path::new(""), source)
    }
}

/// Full disks and refused writes pass by themselves; everything else needs a person.
fn failed(path: &Path, source: rusqlite::Error) -> JournalError {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase, SystemIoFailure,
    };
    let what = match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            return JournalError::Unusable {
                path: path.to_owned(),
                what: damaged(),
                source: Some(source.into()),
            };
        }
        Some(DiskFull) => "the disk is full",
        Some(SystemIoFailure) => "the file cannot be written",
        Some(DatabaseBusy) => "another program has the file locked",
        Some(CannotOpen) => "the file cannot be opened",
        _ => {
            return JournalError::Unusable {
                path: path.to_owned(),
                what: "SQLite refuses".into(),
                source: Some(source.into()),
            };
        }
    };
    if path.as_os_str().is_empty() {
        return JournalError::Unusable {
            path: PathBuf::new(),
            what: what.into(),
            source: Some(source.into()),
        };
    }
    JournalError::NoRoom { path: path.to_owned(), what, source }
}

/// What to do with a file that SQLite cannot read.
fn damaged() -> String {
    "it is damaged. Stop the agent, move journal.sqlite and the files journal.sqlite-wal and journal.sqlite-shm to another \
     folder (keep them), and start the agent: with a copy that 'bodrelay backup' made in the place of journal.sqlite, or \
     with none. Nothing is lost: what may have been sent since is marked in doubt (README.md, \"When things break\"). SQLite \
     says"
        .into()
}

/// Code, text and remedy, as their columns keep them.
fn failure_columns(failure: Option<&Failure>) -> (Option<&str>, Option<&str>, Option<&str>) {
    let Some(Failure { code, text, remedy }) = failure else { return (None, None, None) };
    (Some(code), Some(text), Some(remedy))
}

/// The failure of a message, as its columns keep it.
fn failure(code: Option<String>, text: Option<String>, remedy: Option<String>) -> Option<Failure> {
    Some(Failure {
        code: code?.into(),
        text: text.unwrap_or_default(),
        remedy: remedy.unwrap_or_default().into(),
    })
}
