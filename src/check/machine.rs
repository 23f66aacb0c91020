//! The state directory: there, private, writable, on a local disk with room, its journal whole, and whether an agent works
//! with it. Beside it what else of this machine keeps an agent from starting: its log, the ports of `[metrics]`.
//!
//! Nothing is created to try it: what cannot be known by looking is left to the agent's start.

use std::error::Error;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{FILE_LIMIT, Section, aside};
use crate::config::{self, Config};
use crate::domain::notice::{Notice, Severity};
use crate::ims::Reach;
use crate::journal::{self, Verified};
use crate::platform;

/// Reading the whole journal.
const JOURNAL_LIMIT: Duration = Duration::from_secs(60);

/// `true`: an agent works with this state directory now.
pub(super) async fn look(config: Arc<Config>) -> (Section, bool) {
    let shown = config.agent.state_dir.display().to_string();
    let path = config.agent.state_dir.join("journal.sqlite");
    let (mut section, is_running) = match aside(FILE_LIMIT, move || look_now(&config)).await {
        Some(looked) => looked,
        None => {
            let mut section = Section::new("state directory");
            section.finds(Notice::new("STATE_DIR_UNUSABLE", Severity::Error, None, "state_dir").says(
                format!("{shown} did not answer within {} s", FILE_LIMIT.as_secs()),
                "Put state_dir on a local disk; a share that hangs would stop the agent.",
            ));
            return (section, false);
        }
    };
    if path.exists() {
        match aside(JOURNAL_LIMIT, move || journal::verify(&path)).await {
            Some(verified) => whole(verified, &mut section),
            None => section.sees(format!(
                "the journal is larger than what can be read in {} s: not looked through",
                JOURNAL_LIMIT.as_secs()
            )),
        }
    }
    (section, is_running)
}

fn whole(verified: journal::Result<Verified>, section: &mut Section) {
    let finding = |severity| Notice::new("JOURNAL_UNUSABLE", severity, None, "journal");
    match verified {
        Ok(Verified::Whole) => section.sees("the journal is whole"),
        Ok(Verified::Empty) => section.finds(finding(Severity::Warning).says(
            "the file journal.sqlite holds nothing: what the journal knew is lost, and a start makes a new one",
            "If there is a copy that 'bodrelay backup' made, put it in the place of journal.sqlite before the agent starts; \
             else start it: older rows that are open are then in doubt (README.md, \"When things break\").",
        )),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            section.finds(finding(Severity::Error).says(
                format!("the agent would not start: {error}{cause}"),
                "Do what the text says; nothing was changed.",
            ));
        }
    }
}

/// Whether something listens at an address where the agent is to listen: the agent itself, where it runs, or whoever keeps
/// it from starting.
pub(super) fn address(
    section: &mut Section,
    subject: &'static str,
    key: &str,
    address: SocketAddr,
    is_running: bool,
) {
    let notice = Notice::new("LISTENER_ADDRESS_WRONG", Severity::Error, None, subject);
    match TcpListener::bind(address) {
        Ok(_) => section.sees(format!("nobody listens at {address} now")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_running => {
            section.sees(format!("somebody listens at {address}: the agent that runs, most likely"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => section.finds(notice.says(
            format!("another program listens at {address}, and no agent runs with this state_dir: it would not start"),
            format!("Write another port into {key}, or stop the other program ('ss -ltnp' names it)."),
        )),
        Err(error) => section.finds(notice.says(
            format!("nothing can listen on {address}: {error}"),
            format!(
                "Write an address of this machine into {key} (0.0.0.0 for all of them), and a port that the agent's user \
                 may open (ports below 1024 need a right of their own)."
            ),
        )),
    }
}

/// `[log]`, `[metrics]` and `[alerts]`: what a start of the agent opens beside its state. `None`: there is nothing to look at.
pub(super) async fn beside(config: Arc<Config>, is_running: bool) -> Option<Section> {
    if config.log.file.is_none() && config.metrics.is_none() && config.alerts.is_none() {
        return None;
    }
    aside(FILE_LIMIT, move || {
        let mut section = Section::new("log, metrics, alerts");
        if let Some(file) = &config.log.file {
            log_file(file, &mut section);
        }
        if let Some(metrics) = &config.metrics {
            address(&mut section, "metrics", "[metrics] listen", metrics.listen, is_running);
            let listens = config.listen.as_ref().map(|listen| listen.address);
            if let Some(other) = listens.filter(|other| overlap(metrics.listen, *other)) {
                section.finds(Notice::new("LISTENER_ADDRESS_WRONG", Severity::Error, None, "metrics").says(
                    format!("[metrics] and [listen] want one address: {} and {other}", metrics.listen),
                    "Write another port into [metrics] listen.",
                ));
            }
        }
        if let Some(alerts) = &config.alerts
            && let Err(error) = Reach::of_webhook(alerts).client()
        {
            section.wrong_file = true;
            section.finds(Notice::new("CONFIGURATION_WRONG", Severity::Error, None, "alerts").says(
                format!("the agent would not start: [alerts]: {error:#}"),
                "Correct the file or the value that the text names.",
            ));
        }
        section
    })
    .await
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (any || one.ip() == other.ip())
}

fn log_file(file: &Path, section: &mut Section) {
    section.sees(format!("the log goes to {}", file.display()));
    let there = file.ancestors().skip(1).find(|path| path.exists());
    if there.is_some_and(|folder| folder.is_dir() && platform::may_write(folder)) {
        return;
    }
    section.finds(Notice::new("LOG_UNUSABLE", Severity::Error, None, "log").says(
        format!("the agent would not start: this user may write no log into the folder of {}", file.display()),
        "Give the agent's user write access to the folder, or name another [log] file. Run check as the agent's user.",
    ));
}

fn look_now(config: &Config) -> (Section, bool) {
    let folder = &config.agent.state_dir;
    let mut section = Section::new("state directory");
    section.sees(folder.display().to_string());
    let finding = |code, severity| Notice::new(code, severity, None, "state_dir");
    let Some(there) = folder.ancestors().find(|path| path.exists()) else { return (section, false) };
    if !there.is_dir() {
        section.finds(finding("STATE_DIR_UNUSABLE", Severity::Error).says(
            format!("{} is not a folder", there.display()),
            "Correct [agent] state_dir: it names a folder of its own for this agent.",
        ));
        return (section, false);
    }
    if there != folder {
        section.finds(finding("STATE_DIR_NEW", Severity::Info).says(
            format!("{} does not exist; the agent makes it when it starts", folder.display()),
            "Nothing, at the first start. Later it would mean that the journal is lost: restore it.",
        ));
    }
    if let Some((owner, own)) = platform::other_owner(there).filter(|_| there == folder) {
        section.finds(finding("STATE_DIR_UNUSABLE", Severity::Error).says(
            format!(
                "{} belongs to the user with the number {owner}, and this one has {own}: the agent would not start",
                there.display()
            ),
            format!("chown -R {own} '{}', or run check and the agent as its owner.", there.display()),
        ));
    } else if !platform::may_write(there) {
        section.finds(finding("STATE_DIR_UNUSABLE", Severity::Error).says(
            format!("{} may not be written by this user: the agent would not start", there.display()),
            "Give the agent's user write access to the folder (mode 0700, owned by that user); run check as that user.",
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
    let is_running = files(folder, &mut section);
    (section, is_running)
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

/// Journal and lock, as an agent left them; `true`: it runs.
fn files(folder: &Path, section: &mut Section) -> bool {
    for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "lock"] {
        let path = folder.join(name);
        if path.exists() && !platform::may_write(&path) {
            section.finds(Notice::new("STATE_DIR_UNUSABLE", Severity::Error, None, name).says(
                format!("{} may not be written by this user: the agent would not start", path.display()),
                "Run check as the agent's user; if it was, give that user the files in state_dir.",
            ));
        }
    }
    let Ok(lock) = File::open(folder.join("lock")) else {
        section.sees("no agent has run here yet");
        return false;
    };
    match lock.try_lock_shared() {
        Ok(()) => section.sees("no agent is running"),
        Err(std::fs::TryLockError::WouldBlock) => {
            section.sees("an agent is running");
            return true;
        }
        Err(std::fs::TryLockError::Error(error)) => {
            section.finds(Notice::new("STATE_DIR_NOT_LOCAL", Severity::Error, None, "lock").says(
                format!("the lock in {} cannot be tried: {error}", folder.display()),
                "Put state_dir on a local disk: without the lock two agents could send the same rows.",
            ));
        }
    }
    false
}
