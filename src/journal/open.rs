//! Opening the journal: the file is made, checked, locked to this process, and refused when it is newer.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::{Journal, JournalError, Result, VERSION, checkpoint, damaged, failed, statements};
use crate::platform;
use crate::sqlite_thread::SqliteThread;

/// The journal as it was opened.
#[must_use]
pub struct Opened {
    pub journal: Journal,
    /// The file was not there: every delivery before it is unknown.
    pub is_new: bool,
}

impl From<std::io::Error> for JournalError {
    fn from(source: std::io::Error) -> Self {
        Self::Unusable {
            path: PathBuf::new(),
            what: "its thread cannot be started".into(),
            source: Some(source.into()),
        }
    }
}

impl Journal {
    /// Opens `path`, and makes it when it is not there. `now` is ms since 1970.
    ///
    /// # Errors
    /// The file is newer than this agent, damaged, or cannot be written.
    pub fn open(path: &Path, now: i64) -> Result<Opened> {
        let is_new = !path.exists();
        let file = path.to_owned();
        let (sender, journal_id) = std::sync::mpsc::sync_channel(1);
        let (thread, _) = SqliteThread::start("journal", move || {
            let (connection, id) = open(&file, now)?;
            let _ = sender.send(id);
            Ok::<_, JournalError>(connection)
        })?;
        let journal_id = journal_id.recv().map_err(|_| crate::sqlite_thread::ThreadEnded)?;
        let all_ids = Arc::new(ids_in_place(path, journal_id));
        let file = platform::file_identity(path)?;
        let place = match platform::boot() {
            Some(boot) => format!("{file} boot {boot}"),
            None => file,
        };
        let journal = Self { thread, path: path.to_owned(), journal_id, all_ids, place: place.into() };
        Ok(Opened { journal, is_new })
    }
}

/// The identities of all journals that were begun at `path`, in a file beside it: who puts an earlier one back is no
/// stranger to what a later one wrote. Where it cannot be kept, the database waits to be accepted then, which is safe.
fn ids_in_place(path: &Path, own: Uuid) -> BTreeSet<Uuid> {
    let file = path.with_extension("ids");
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    let mut ids: BTreeSet<Uuid> =
        known.lines().filter_map(|line| Uuid::parse_str(line.trim()).ok()).collect();
    if ids.insert(own) {
        let written = std::fs::File::options().create(true).append(true).open(&file).and_then(|mut file| {
            file.write_all(format!("{own}\n").as_bytes()).and_then(|()| file.sync_all())
        });
        if let Err(error) = written {
            tracing::warn!(file = %file.display(), %error, "which journals were begun here cannot be kept");
        }
    }
    ids
}

fn open(path: &Path, now: i64) -> Result<(Connection, Uuid)> {
    let wrap = |source| failed(path, source);
    let mut connection = Connection::open(path).map_err(wrap)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(wrap)?;
    // Before anything is changed of it.
    refuse_unknown(&connection, path)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Without it SQLite plans anew whenever a bound that an index range depends on changes: at every call.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(wrap)?;
    for (pragma, value) in [
        // Freed pages go back to the file system in small steps.
        ("auto_vacuum", "INCREMENTAL"),
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("journal_size_limit", "16777216"),
        ("cache_size", "-8192"),
        ("temp_store", "MEMORY"),
    ] {
        connection.pragma_update(None, pragma, value).map_err(wrap)?;
    }
    let id = install(&mut connection, path, now)?;
    checkpoint::beside(&mut connection, path)?;
    Ok((connection, id))
}

/// Whether the file is a journal; `false`: there is nothing in it.
///
/// # Errors
/// It is no database, another program's, or a later version's.
pub(super) fn refuse_unknown(connection: &Connection, path: &Path) -> Result<bool> {
    const TABLES: &str =
        "SELECT count(*), count(*) FILTER (WHERE name = 'journal_version') FROM sqlite_schema";
    let (tables, ours): (i64, i64) = connection
        .query_row(TABLES, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|source| failed(path, source))?;
    if tables > 0 && ours == 0 {
        return Err(JournalError::Unusable {
            path: path.to_owned(),
            what: "it is the database of another program; nothing was changed. Move it away, or give this agent a \
                   state_dir of its own"
                .into(),
            source: None,
        });
    }
    if ours == 0 {
        // SQLite takes what is too short for a page for nothing, and would write over it.
        let pages: i64 = connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .map_err(|source| failed(path, source))?;
        let is_short = pages == 0 && std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
        return match is_short {
            false => Ok(false),
            true => Err(JournalError::Unusable {
                path: path.to_owned(),
                what: damaged(),
                source: Some(anyhow::anyhow!("the file is shorter than one page")),
            }),
        };
    }
    let version: i64 = connection
        .query_row(statements::BACKUP_VERSION, [], |row| row.get(0))
        .map_err(|source| failed(path, source))?;
    if version > VERSION {
        let what = format!(
            "it was written by a newer bodrelay (shape {version}, this one knows {VERSION}); nothing was changed. Start \
             the newer bodrelay, or give this one a state_dir of its own"
        );
        return Err(JournalError::Unusable { path: path.to_owned(), what, source: None });
    }
    Ok(true)
}

/// Makes a new journal's tables, or checks those that are there.
fn install(connection: &mut Connection, path: &Path, now: i64) -> Result<Uuid> {
    let wrap = |source| failed(path, source);
    let unusable = |what: String| JournalError::Unusable { path: path.to_owned(), what, source: None };
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrap)?;
    let installed: Option<String> = transaction
        .query_row("SELECT name FROM sqlite_schema WHERE name = 'journal_version'", [], |row| row.get(0))
        .optional()
        .map_err(wrap)?;
    if installed.is_none() {
        for script in statements::SCRIPTS {
            transaction.execute_batch(script).map_err(wrap)?;
        }
        transaction
            .execute(
                "INSERT INTO journal_version (version, journal_id, created_at) VALUES (?1, ?2, ?3)",
                (VERSION, Uuid::now_v7().to_string(), now),
            )
            .map_err(wrap)?;
    }
    let (version, id): (i64, String) = transaction
        .query_row("SELECT version, journal_id FROM journal_version", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(wrap)?;
    if version < VERSION {
        // In the one transaction with the number: an older journal becomes one of this shape, or stays as it is.
        for script in statements::SCRIPTS.iter().skip(usize::try_from(version).unwrap_or_default()) {
            transaction.execute_batch(script).map_err(wrap)?;
        }
        transaction.execute("UPDATE journal_version SET version = ?1", [VERSION]).map_err(wrap)?;
    }
    let id = Uuid::parse_str(&id)
        .map_err(|_| unusable("its identity cannot be read; restore it from a copy".into()))?;
    transaction.commit().map_err(wrap)?;
    Ok(id)
}
