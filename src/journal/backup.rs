//! A consistent copy of the journal, made while the agent works: what to put back when the journal is lost.
//!
//! `VACUUM INTO` reads one snapshot, however long it takes, and what the agent commits meanwhile goes on in the WAL.
//! SQLite's other way, the backup API in small steps, begins anew whenever another process writes, so beside a busy
//! agent it would never end. The copy is written beside its name, checked, brought to the disk and only then renamed:
//! under its name it is whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags};

use super::VERSION;
use super::statements::{BACKUP_CHECK, BACKUP_COPY, BACKUP_MARK, BACKUP_VERSION};

/// How long the journal may be locked by somebody who is no agent (an agent never locks readers out).
const LOCKED: Duration = Duration::from_secs(10);

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub journal_id: String,
    pub bytes: u64,
}

/// Copies the journal at `journal` to `target`, which must not exist. The journal is only read.
///
/// # Errors
/// There is no journal, `target` exists or cannot be written, or the copy fails SQLite's own check. Then nothing is
/// left at `target`.
pub fn backup(journal: &Path, target: &Path) -> Result<Backup> {
    let what = || format!("the journal {} cannot be read", journal.display());
    ensure!(
        journal.exists(),
        "there is no journal {}: the agent of this configuration has not run yet, or [agent] state_dir is another",
        journal.display()
    );
    refuse_existing(target)?;
    let source = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY).with_context(what)?;
    source.busy_timeout(LOCKED).with_context(what)?;
    let partial = beside(target)?;
    let copied = copy(&source, &partial).and_then(|backup| {
        refuse_existing(target)?;
        std::fs::rename(&partial, target)
            .with_context(|| format!("the copy cannot be named {}", target.display()))?;
        Ok(backup)
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    let backup = copied?;
    sync_folder(target)?;
    Ok(backup)
}

fn refuse_existing(target: &Path) -> Result<()> {
    // A link that leads nowhere is there too.
    if target.symlink_metadata().is_ok() {
        bail!(
            "{} exists and is not overwritten: give a new name, as in journal-2026-03-01.sqlite",
            target.display()
        );
    }
    Ok(())
}

/// The name under which the copy is written; one that a killed run left is taken away.
fn beside(target: &Path) -> Result<PathBuf> {
    let mut name =
        target.file_name().with_context(|| format!("{} is no file name", target.display()))?.to_owned();
    name.push(".partial");
    let partial = target.with_file_name(name);
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} is in the way and cannot be removed", partial.display()))
        }
        _ => Ok(partial),
    }
}

fn copy(source: &Connection, partial: &Path) -> Result<Backup> {
    let what = || format!("the copy {} cannot be written", partial.display());
    // SQLite takes an empty file that is there, and with it these rights.
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(partial).with_context(what)?;
    let name = partial.to_str().with_context(|| format!("{} is not UTF-8", partial.display()))?;
    source.execute(BACKUP_COPY, [name]).with_context(what)?;
    let copy = Connection::open_with_flags(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).with_context(what)?;
    // No file beside the copy, whatever mode the journal is in.
    copy.pragma_update(None, "journal_mode", "DELETE").with_context(what)?;
    let verdict: String = copy.query_row(BACKUP_CHECK, [], |row| row.get(0)).with_context(what)?;
    ensure!(
        verdict == "ok",
        "the copy is damaged ({verdict}), and so may be the journal: look at the disk, keep the last good copy"
    );
    let (version, journal_id): (i64, String) =
        copy.query_row(BACKUP_VERSION, [], |row| Ok((row.get(0)?, row.get(1)?))).with_context(what)?;
    ensure!(
        version <= VERSION,
        "the journal was written by a newer bodrelay (shape {version}, this one knows {VERSION}): back it up with that one"
    );
    copy.execute(BACKUP_MARK, []).with_context(what)?;
    copy.close().map_err(|(_, error)| error).with_context(what)?;
    file.sync_all().with_context(what)?;
    Ok(Backup { journal_id, bytes: file.metadata().with_context(what)?.len() })
}

/// The new name is on the disk too; Windows has no such step.
fn sync_folder(target: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let folder =
            target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("the folder {} cannot be brought to the disk", folder.display()))?;
    }
    #[cfg(not(unix))]
    let _ = target;
    Ok(())
}
