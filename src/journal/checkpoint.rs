//! What commits wrote goes back from the write-ahead log into the file beside the commits, not within one.
//!
//! A second connection copies the pages while commits go on, and has the disk write them. What came meanwhile is little, and
//! the next commit copies that itself: then the log begins anew. So the log is bounded, and no post waits until megabytes are
//! copied (design.md §3).

use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::{JournalError, Result, failed};

/// Pages of 4 KB in the log from which on they are copied.
const PAGES: c_int = 4_000;
/// Pages from which on a commit copies them itself, however far the other connection is.
const PAGES_MAX: c_int = 4 * PAGES;

const IDLE: u8 = 0;
const COPYING: u8 = 1;
const COPIED: u8 = 2;

/// Lets a thread of its own copy what `connection` commits, as long as the connection is open.
pub(super) fn beside(connection: &mut Connection, path: &Path) -> Result<()> {
    let file = std::fs::File::options().write(true).open(path).map_err(|error| JournalError::Unusable {
        path: path.to_owned(),
        what: "the file cannot be opened for writing".into(),
        source: Some(error.into()),
    })?;
    let copier = Connection::open(path).map_err(|source| failed(path, source))?;
    let stage = Arc::new(AtomicU8::new(IDLE));
    let (wake, woken) = mpsc::sync_channel(1);
    let at_work = stage.clone();
    std::thread::Builder::new().name("journal copy".into()).spawn(move || {
        while woken.recv().is_ok() {
            // What cannot be copied now, the next commit tries.
            if let Err(error) = copier.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                tracing::debug!(error = %error, "pages of the journal were not copied back");
            }
            // SQLite leaves that to whoever copies the last page: a commit would wait for all of them.
            if let Err(error) = file.sync_data() {
                tracing::debug!(error = %error, "pages of the journal were not written to the disk");
            }
            at_work.store(COPIED, Ordering::Release);
        }
        // To close it would let go of the locks that this process has on the file, by whichever connection.
        std::mem::forget(file);
    })?;
    let after_commit = move |log: &mut Wal, pages: c_int| {
        let now = stage.load(Ordering::Acquire);
        if now == IDLE && pages >= PAGES {
            stage.store(COPYING, Ordering::Release);
            // There is one to wake as long as this connection is open.
            let _ = wake.try_send(());
        } else if now == COPIED || pages >= PAGES_MAX {
            // The commit is made, whatever becomes of this: an error would be taken for its own.
            let _ = log.checkpoint();
            if now == COPIED {
                stage.store(IDLE, Ordering::Release);
            }
        }
        Ok(())
    };
    connection.wal_hook(Some(after_commit)).map_err(|source| failed(path, source))
}
