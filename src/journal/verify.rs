//! Whether a journal that nobody has open can be used, for whoever looks before an agent starts: it is only read.
//!
//! Beside a running agent its files are read as any reader does; a journal that nobody has open is read as a file that does
//! not change, so that the look leaves no file beside it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::open::refuse_unknown;
use super::statements::BACKUP_CHECK;
use super::{JournalError, Result, damaged, failed};

/// How long the journal may be locked by somebody who is no agent.
const LOCKED: Duration = Duration::from_secs(5);

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Each page of it is as it should be.
    Whole,
    /// There is a file, and nothing in it: a start makes a new journal of it.
    Empty,
}

/// Reads the whole journal at `path`, as long as that takes.
///
/// # Errors
/// It is damaged, another program's, or newer than this agent; or it cannot be read.
pub fn verify(path: &Path) -> Result<Verified> {
    let was_open = is_open(path);
    match look(path, was_open) {
        // An agent may have opened it meanwhile: what was read is of two moments.
        Err(_) if !was_open && is_open(path) => look(path, true),
        result => result,
    }
}

/// SQLite keeps a file beside a journal that somebody has open, or had when it was killed.
fn is_open(path: &Path) -> bool {
    ["-wal", "-shm"].iter().any(|suffix| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        Path::new(&beside).exists()
    })
}

fn look(path: &Path, is_open: bool) -> Result<Verified> {
    let wrap = |source| failed(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match unchanging(path).filter(|_| !is_open) {
        Some(name) => Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI),
        None => Connection::open_with_flags(path, flags),
    };
    let connection = connection.map_err(wrap)?;
    connection.busy_timeout(LOCKED).map_err(wrap)?;
    if !refuse_unknown(&connection, path)? {
        return Ok(Verified::Empty);
    }
    let verdict: String = connection.query_row(BACKUP_CHECK, [], |row| row.get(0)).map_err(wrap)?;
    match verdict.as_str() {
        "ok" => Ok(Verified::Whole),
        _ => Err(JournalError::Unusable {
            path: path.to_owned(),
            what: damaged(),
            source: Some(anyhow::anyhow!("{}", verdict.trim())),
        }),
    }
}

/// The name by which SQLite takes a file for one that does not change; `None`: such a name cannot be written.
fn unchanging(path: &Path) -> Option<String> {
    let path = path.to_str().filter(|path| cfg!(unix) && path.starts_with('/'))?;
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Some(format!("file:{escaped}?immutable=1"))
}
