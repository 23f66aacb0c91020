//! The state directory: there, private, writable, on a local disk with room, and whether an agent works with it.
//!
//! Nothing is created to try it: what cannot be known by looking is left to the agent's start.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::{FILE_LIMIT, Section, aside};
use crate::config::{self, Config};
use crate::domain::notice::{Notice, Severity};
use crate::platform;

pub(super) async fn look(config: Arc<Config>) -> Section {
    let shown = config.agent.state_dir.display().to_string();
    match aside(FILE_LIMIT, move || look_now(&config)).await {
        Some(section) => section,
        None => {
            let mut section = Section::new("state directory");
            section.finds(Notice::new("STATE_DIR_UNUSABLE", Severity::Error, None, "state_dir").says(
                format!("{shown} did not answer within {} s", FILE_LIMIT.as_secs()),
                "Put state_dir on a local disk; a share that hangs would stop the agent.",
            ));
            section
        }
    }
}

fn look_now(config: &Config) -> Section {
    let folder = &config.agent.state_dir;
    let mut section = Section::new("state directory");
    section.sees(folder.display().to_string());
    let finding = |code, severity| Notice::new(code, severity, None, "state_dir");
    let Some(there) = folder.ancestors().find(|path| path.exists()) else { return section };
    if !there.is_dir() {
        section.finds(finding("STATE_DIR_UNUSABLE", Severity::Error).says(
            format!("{} is not a folder", there.display()),
            "Correct [agent] state_dir: it names a folder of its own for this agent.",
        ));
        return section;
    }
    if there != folder {
        section.finds(finding("STATE_DIR_NEW", Severity::Info).says(
            format!("{} does not exist; the agent makes it when it starts", folder.display()),
            "Nothing, at the first start. Later it would mean that the journal is lost: restore it.",
        ));
    }
    if std::fs::metadata(there).is_ok_and(|metadata| metadata.permissions().readonly()) {
        section.finds(finding("STATE_DIR_UNUSABLE", Severity::Error).says(
            format!("{} may not be written", there.display()),
            "Give the agent's user write access to the folder (mode 0700, owned by that user).",
        ));
    }
    if let Some(trouble) = platform::open_folder(folder, config::is_state_file) {
        section.finds(
            finding("STATE_DIR_UNUSABLE", Severity::Error)
                .says(trouble, "Do one of the two; the agent does not start before."),
        );
    }
    if let Some(kind) = platform::network_file_system(there) {
        section.finds(finding("STATE_DIR_NOT_LOCAL", Severity::Error).says(
            format!("{} is on a network file system ({kind}): its locks do not hold", there.display()),
            "Put state_dir on a local disk.",
        ));
    }
    space(config, there, &mut section);
    journal(folder, &mut section);
    section
}

fn space(config: &Config, folder: &Path, section: &mut Section) {
    let Ok(bytes) = fs4::available_space(folder) else { return };
    let free_mb = bytes / (1024 * 1024);
    if free_mb < config.agent.minimum_free_mb {
        section.finds(Notice::new("DISK_NEARLY_FULL", Severity::Error, None, "state_dir").says(
            format!(
                "the disk of {} has {free_mb} MB left, minimum_free_mb is {}: nothing new is sent",
                folder.display(),
                config.agent.minimum_free_mb
            ),
            "Make room, or lower [agent] minimum_free_mb. Nothing is lost.",
        ));
    } else {
        section.sees(format!("{free_mb} MB free"));
    }
}

/// Journal and lock, as an agent left them.
fn journal(folder: &Path, section: &mut Section) {
    let path = folder.join("journal.sqlite");
    if path.exists() && File::options().write(true).open(&path).is_err() {
        section.finds(Notice::new("STATE_DIR_UNUSABLE", Severity::Error, None, "journal").says(
            format!("{} may not be written by this user", path.display()),
            "Run check as the agent's user; if it was, give that user the files in state_dir.",
        ));
    }
    let Ok(lock) = File::open(folder.join("lock")) else {
        return section.sees("no agent has run here yet");
    };
    match lock.try_lock_shared() {
        Ok(()) => section.sees("no agent is running"),
        Err(std::fs::TryLockError::WouldBlock) => section.sees("an agent is running"),
        Err(std::fs::TryLockError::Error(error)) => {
            section.finds(Notice::new("STATE_DIR_NOT_LOCAL", Severity::Error, None, "lock").says(
                format!("the lock in {} cannot be tried: {error}", folder.display()),
                "Put state_dir on a local disk: without the lock two agents could send the same rows.",
            ));
        }
    }
}
