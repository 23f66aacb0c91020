//! The guards before anything is sent: is this the database that the journal knows, and has nobody else its epoch?
//!
//! The epoch is a counter that is raised by compare-and-set at start and hourly, in the journal first. A host row that
//! is behind tells of a restored database, one that is ahead of a restored journal, one that somebody else moved of a
//! cloned machine (design.md §2, §3).

use chrono::{DateTime, TimeDelta, Utc};

use super::{Desk, RoundError, is_due};
use crate::database::{CommandRow, HostRow, Survey};
use crate::domain::notice::{Notice, Severity};
use crate::journal::KnownDatabase;

/// The epoch is raised this often.
const EPOCH_EVERY: TimeDelta = TimeDelta::hours(1);

/// Why a cloned machine stops.
pub(super) const CLONED: &str = "another agent works with a copy of this agent's journal (a cloned machine): both would send \
                                 the same rows";

/// What the guards say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// `verify`: database or journal was restored.
    Passed {
        verify: bool,
    },
    Refused(String),
}

impl Desk {
    pub(super) async fn claim(
        &mut self,
        survey: &Survey,
        commands: &[CommandRow],
        now: DateTime<Utc>,
    ) -> Result<Guard, RoundError> {
        let hosts = self.database.host_read().await?;
        let mut known = self.journal.meet_database(&self.name, &survey.fingerprint).await?;
        let copied = is_copy(&known, survey, &hosts);
        let notice = Notice::new("DATABASE_COPIED", Severity::Error, None, self.name.clone());
        if copied {
            let Some(command) = commands.iter().find(|command| command.command == "accept_database") else {
                let reason = format!(
                    "this is not the database that the agent knows (found {}, known {}): a copy, or a file that was \
                     put in its place. Nothing is sent from it",
                    survey.fingerprint,
                    foreign(&known, survey, &hosts)
                );
                self.findings.take(
                    notice.says(
                        reason.clone(),
                        "If it is meant: INSERT INTO bodrelay_command (command, connection_point) VALUES \
                         ('accept_database', '*'). Think first: a copy of production sends production's documents.",
                    ),
                    now,
                );
                return Ok(Guard::Refused(reason));
            };
            known.fingerprint.clone_from(&survey.fingerprint);
            known.epoch = known.epoch.max(1);
            self.journal.remember_database(known.clone()).await?;
            self.answer(command, "done", "this database is the one that the agent sends from now on");
        }
        self.findings.take(notice.clears(), now);
        self.raise(known, &hosts, now).await
    }

    async fn raise(
        &mut self,
        mut known: KnownDatabase,
        hosts: &[HostRow],
        now: DateTime<Utc>,
    ) -> Result<Guard, RoundError> {
        let journal_id = self.journal.journal_id().to_string();
        let mine = hosts.iter().find(|row| row.journal_id == journal_id);
        let mut verify = false;
        match mine {
            Some(row) if row.epoch < known.epoch - 1 => {
                verify = true;
                self.restored("DATABASE_RESTORED", "the database was restored to an earlier state", now);
            }
            Some(row) if row.epoch > known.epoch => {
                verify = true;
                known.in_doubt_before = Some(row.heartbeat_at.timestamp_millis());
                self.restored("JOURNAL_RESTORED", "the journal was restored to an earlier state", now);
            }
            Some(_) => {}
            None => {
                if let Some(row) = hosts.iter().find(|row| row.host == self.identity.host) {
                    known.in_doubt_before = Some(row.heartbeat_at.timestamp_millis());
                    self.restored(
                        "JOURNAL_LOST",
                        "the journal of this host was lost, a new one was begun",
                        now,
                    );
                } else if known.epoch > 0 {
                    verify = true;
                    self.restored("DATABASE_RESTORED", "the database was restored to an earlier state", now);
                }
            }
        }
        let expected = mine.map(|row| row.epoch);
        known.epoch = known.epoch.max(expected.unwrap_or(0)) + 1;
        // Journal first: a crash between the two leaves the host row one behind, which is no restore.
        self.journal.remember_database(known.clone()).await?;
        self.known = Some(known);
        let row = self.host_row("running", None, now);
        if !self.database.host_claim(&row, expected).await? {
            return Ok(Guard::Refused(self.cloned(now)));
        }
        (self.raised_at, self.host_at) = (Some(now), Some(now));
        Ok(Guard::Passed { verify })
    }

    /// Hourly: whoever moved the epoch meanwhile has a copy of this journal.
    pub(super) async fn raise_epoch(&mut self, now: DateTime<Utc>) -> Result<Option<String>, RoundError> {
        let (Some(raised_at), Some(known)) = (self.raised_at, &self.known) else { return Ok(None) };
        if !is_due(raised_at, EPOCH_EVERY, now) {
            return Ok(None);
        }
        let expected = known.epoch;
        let raised = KnownDatabase { epoch: expected + 1, ..known.clone() };
        // Journal first; what it could not take was not raised.
        self.journal.remember_database(raised.clone()).await?;
        self.known = Some(raised);
        let row = self.host_row("running", None, now);
        if self.database.host_claim(&row, Some(expected)).await? {
            (self.raised_at, self.host_at) = (Some(now), Some(now));
            return Ok(None);
        }
        self.raised_at = None;
        Ok(Some(self.cloned(now)))
    }

    fn cloned(&mut self, now: DateTime<Utc>) -> String {
        self.is_cloned = true;
        let notice = Notice::new("JOURNAL_CLONED", Severity::Error, None, self.name.clone()).says(
            CLONED,
            "Stop one of the two machines, and give it an empty state_dir and a host name of its own. This one sends \
             nothing until it is started again.",
        );
        self.findings.take(notice, now);
        CLONED.to_owned()
    }

    fn restored(&mut self, code: &'static str, what: &str, now: DateTime<Utc>) {
        self.inbound.is_restored |= code == "DATABASE_RESTORED";
        tracing::warn!(database = self.name, code, "{what}");
        let notice = Notice::new(code, Severity::Warning, None, self.name.clone()).says(
            format!(
                "{what}. What is known as accepted is not sent again; what is open is compared with its row first; \
                 what may have been posted by a life that is not remembered is marked in doubt and sent under the \
                 same id"
            ),
            "Look at rows with in_doubt = 1 in bodrelay_message_log. Acknowledge this finding when they are clear.",
        );
        self.findings.take(notice, now);
    }
}

/// The journal knows another file, or (met for the first time) some host's row does.
fn is_copy(known: &KnownDatabase, survey: &Survey, hosts: &[HostRow]) -> bool {
    known.fingerprint != survey.fingerprint
        || known.epoch == 0 && hosts.iter().any(|row| row.database_fingerprint != survey.fingerprint)
}

fn foreign(known: &KnownDatabase, survey: &Survey, hosts: &[HostRow]) -> String {
    if known.fingerprint != survey.fingerprint {
        return known.fingerprint.clone();
    }
    hosts
        .iter()
        .map(|row| row.database_fingerprint.clone())
        .find(|fingerprint| *fingerprint != survey.fingerprint)
        .unwrap_or_default()
}
