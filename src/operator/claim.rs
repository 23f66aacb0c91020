//! The guards before anything is sent: is this the database that the journal knows, and has nobody else its epoch?
//!
//! The epoch is a counter that is raised by compare-and-set at start, at an orderly end and every few minutes: the
//! journal notes what it is about to raise it to, the database raises it, the journal confirms. So a failure between
//! leaves no gap, and any that there is tells of a restore (`lineage`). Every round looks at it.

use chrono::{DateTime, TimeDelta, Utc};

use super::lineage::{Own, Past, others};
use super::{BEAT, Desk, RoundError, is_due};
use crate::database::{CommandRow, HostRow, Survey};
use crate::domain::notice::{Notice, Severity};
use crate::journal::{JournalError, KnownDatabase};

/// The epoch is raised this often: a restore to an earlier time than that is always told.
const EPOCH_EVERY: TimeDelta = TimeDelta::minutes(5);

/// Without a sign of life for so long, and no orderly end, on both sides: nobody knows what happened meanwhile.
const GAP: TimeDelta = TimeDelta::minutes(5);

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
    /// The database is met: at the start, and whenever it may have become another one.
    pub(super) async fn claim(
        &mut self,
        survey: &Survey,
        commands: &[CommandRow],
        now: DateTime<Utc>,
    ) -> Result<Guard, RoundError> {
        let hosts = self.database.host_read().await?;
        let mut known = self.journal.meet_database(&self.name, &survey.fingerprint).await?;
        self.seen = self.journal.known_hosts(known.database_id).await?;
        let mut past = match self.past(&known, &survey.fingerprint, &hosts) {
            Past::Continues if std::mem::take(&mut self.went_back) => Past::WentBack,
            past => past,
        };
        let notice = Notice::new("DATABASE_COPIED", Severity::Error, None, self.name.clone());
        let mut verify = false;
        if let Past::Copied { known: original } = &past {
            let Some(command) = commands.iter().find(|command| command.command == "accept_database") else {
                let reason = format!(
                    "this is not the database that the agent knows (found {}, known: {original}): a copy, or another \
                     one that was put or restored in its place. Nothing is sent from it",
                    survey.fingerprint,
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
            self.answer(command, "done", "this database is the one that the agent sends from now on");
            past = self.lineage(&known, &|own| own.past_of_accepted(&hosts));
            // That it lacks what the other one had goes without saying; what is open is compared all the same.
            (verify, self.inbound.is_restored) = (true, true);
        }
        self.findings.take(notice.clears(), now);
        if let Some(reason) = self.waits_beside(&known, &past, &hosts, survey.now, now) {
            return Ok(Guard::Refused(reason));
        }
        let accepted = verify;
        match past {
            Past::WentBack => {
                verify = true;
                if !accepted {
                    self.restored("DATABASE_RESTORED", "the database was restored to an earlier state", now);
                }
            }
            Past::JournalWentBack { heartbeat_at } => {
                verify = true;
                known.in_doubt_before = Some(heartbeat_at);
                self.restored("JOURNAL_RESTORED", "the journal was restored to an earlier state", now);
            }
            Past::JournalLost { heartbeat_at } => {
                known.in_doubt_before = Some(heartbeat_at);
                self.restored("JOURNAL_LOST", "the journal of this host was lost, a new one was begun", now);
            }
            Past::New | Past::Continues | Past::Copied { .. } => {}
        }
        if verify {
            self.journal.begin_another_life(known.database_id, now.timestamp_millis()).await?;
        }
        let mine = self.lineage(&known, &|own| own.row(&hosts).cloned());
        let gap = mine.as_ref().filter(|_| !self.is_met);
        if let Some(until) = gap.and_then(|row| unexplained_gap(&known, row, self.started_at, survey.now)) {
            verify = true;
            known.in_doubt_before = known.in_doubt_before.max(Some(until.timestamp_millis()));
            self.journal.doubt_open(known.database_id).await?;
            self.tell_gap(until, now);
        }
        let expected = mine.map(|row| row.epoch);
        if !self.raise(known, expected, now).await? {
            // Somebody was quicker, or the database became another one meanwhile: the next round tells.
            let reason =
                "the epoch of this agent was moved by somebody else; it is looked at again in a moment";
            return Ok(Guard::Refused(reason.to_owned()));
        }
        self.see(&hosts, true).await?;
        self.is_met = true;
        self.stay_alive(false, now).await?;
        Ok(Guard::Passed { verify })
    }

    /// Notes now and then that the agent works, also while the database is away, and that it ends in order.
    pub(super) async fn stay_alive(&mut self, stopping: bool, now: DateTime<Utc>) -> Result<(), RoundError> {
        let Some(known) = self.known.as_ref().filter(|_| self.is_met) else { return Ok(()) };
        if !stopping && self.alive_at.is_some_and(|at| !is_due(at, BEAT, now)) {
            return Ok(());
        }
        match self.journal.remember_alive(known.database_id, now.timestamp_millis(), stopping).await {
            Ok(()) => self.alive_at = Some(now),
            // Nothing begins meanwhile, and the rounds go on.
            Err(JournalError::NoRoom { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Nobody can tell a power cut from a machine that was put back: both sides stand where they stood, and time has
    /// passed.
    fn tell_gap(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) {
        let until = until.format("%Y-%m-%d %H:%M:%SZ");
        tracing::warn!(database = self.name, %until, "journal and database both stand where they stood then");
        let notice = Notice::new("HEARTBEAT_GAP", Severity::Warning, None, self.name.clone()).says(
            format!(
                "the agent last worked at {until}, did not end in order, and journal and database both stand as they did \
                 then. After a power cut or a kill that is all there is to it. If the machine was put back to that time \
                 (a snapshot, a backup of everything), what was sent since is sent again, under the same ids, and what \
                 ION sent here since is gone. Nothing waits for this: rows that were there by then and are at 0 go out, \
                 marked in doubt"
            ),
            "If the machine was put back: UPDATE bodrelay_connection_point SET send_mode = 'observe' at once, look in ION \
             at what arrived since, set those rows to 1, then send_mode = 'on'. Else acknowledge this finding.",
        );
        self.findings.take(notice, now);
    }

    /// In every round: is it still the database that was met? Answers why nothing may be sent.
    pub(super) async fn look_back(&mut self, now: DateTime<Utc>) -> Result<Option<String>, RoundError> {
        let hosts = self.database.host_read().await?;
        let Some(known) = self.known.clone() else { return Ok(None) };
        match self.past(&known, &known.fingerprint, &hosts) {
            Past::Continues => {
                let heartbeat = self.lineage(&known, &|own| own.row(&hosts).map(|row| row.heartbeat_at));
                let before = self.beat_seen.filter(|(written_at, _)| *written_at == self.host_at);
                if before.zip(heartbeat).is_some_and(|((_, before), now)| now < before) {
                    tracing::warn!(database = self.name, "the database went back a little: it is met anew");
                    self.went_back = true;
                    self.doubt();
                    return Ok(None);
                }
                self.beat_seen = heartbeat.map(|heartbeat| (self.host_at, heartbeat));
                self.see(&hosts, false).await?;
                Ok(None)
            }
            // This journal cannot be older than what it wrote itself: somebody else has it, too.
            Past::JournalWentBack { .. } => {
                self.raised_at = None;
                Ok(Some(self.cloned(now)))
            }
            Past::WentBack | Past::Copied { .. } | Past::New | Past::JournalLost { .. } => {
                tracing::warn!(
                    database = self.name,
                    "the database is not as this agent left it: it is met anew"
                );
                self.doubt();
                Ok(None)
            }
        }
    }

    /// Now and then, and at the end: so that a restore to before is told.
    pub(super) async fn raise_epoch(&mut self, stopping: bool, now: DateTime<Utc>) -> Result<(), RoundError> {
        let (Some(raised_at), Some(known)) = (self.raised_at, self.known.clone()) else { return Ok(()) };
        if !(stopping || is_due(raised_at, EPOCH_EVERY, now)) {
            return Ok(());
        }
        let expected = known.epoch;
        if !self.raise(known, Some(expected), now).await? {
            // Moved since this round looked: the next one says by whom.
            self.doubt();
        }
        Ok(())
    }

    /// Raises the epoch in three steps; `false`: the database's was moved by somebody else.
    async fn raise(
        &mut self,
        mut known: KnownDatabase,
        expected: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<bool, RoundError> {
        let next = known.epoch.max(expected.unwrap_or(0)) + 1;
        known.raising = Some(next);
        self.journal.remember_database(known.clone()).await?;
        self.known = Some(known.clone());
        let row = HostRow { epoch: next, ..self.host_row("running", None, now) };
        if !self.database.host_claim(&row, expected).await? {
            return Ok(false);
        }
        (known.epoch, known.raising) = (next, None);
        known.place = Some(self.journal.place().to_owned());
        self.journal.remember_database(known.clone()).await?;
        self.known = Some(known);
        (self.raised_at, self.host_at) = (Some(now), Some(now));
        Ok(true)
    }

    fn past(&self, known: &KnownDatabase, fingerprint: &str, hosts: &[HostRow]) -> Past {
        self.lineage(known, &|own| own.past(fingerprint, hosts))
    }

    fn lineage<T>(&self, known: &KnownDatabase, ask: &dyn Fn(&Own<'_>) -> T) -> T {
        let journal_id = self.journal.journal_id().to_string();
        ask(&Own {
            known,
            seen: &self.seen,
            journal_id: &journal_id,
            host: &self.identity.host,
            has_been: &|id| self.journal.has_been(id),
        })
    }

    /// Keeps which other agents are here; in the journal where one came, went or was raised.
    async fn see(&mut self, hosts: &[HostRow], is_met: bool) -> Result<(), RoundError> {
        let Some(known) = &self.known else { return Ok(()) };
        let seen = others(hosts, &self.journal.journal_id().to_string());
        let is_as_before = self.seen.len() == seen.len()
            && self.seen.iter().zip(&seen).all(|(before, now)| {
                (&before.journal_id, &before.fingerprint, before.epoch)
                    == (&now.journal_id, &now.fingerprint, now.epoch)
            });
        if is_met || !is_as_before {
            self.journal.remember_hosts(known.database_id, seen.clone()).await?;
        }
        self.seen = seen;
        Ok(())
    }

    /// Whoever last worked with this journal may be alive: a copy of it does not touch the epoch then, and waits until the
    /// other one has been silent for as long as any owner that lapses. An agent that was only started again is where it
    /// was, and its row is as it left it.
    fn waits_beside(
        &mut self,
        known: &KnownDatabase,
        past: &Past,
        hosts: &[HostRow],
        database_now: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let notice = Notice::new("JOURNAL_CLONED", Severity::Error, None, self.name.clone());
        let is_elsewhere = known.place.as_deref().is_some_and(|place| place != self.journal.place());
        let may_be_copy = is_elsewhere || matches!(past, Past::JournalWentBack { .. });
        let row = self.lineage(known, &|own| own.row(hosts).cloned());
        let row = row.filter(|row| may_be_copy && ["running", "stopping"].contains(&&*row.state));
        let (steady, before) = (self.clock.steady(), self.beside);
        let lapse = self.identity.terms.lapse_seconds();
        let waits = row.filter(|row| {
            let seen = self.beside.get_or_insert((row.alive_at, row.alive_at, steady));
            if seen.1 != row.alive_at {
                (seen.1, seen.2) = (row.alive_at, steady);
            }
            // By the database's clock, or by ours, where that one was set back.
            (database_now - row.alive_at).num_seconds() < lapse && steady - seen.2 < lapse * 1000
        });
        let Some(row) = waits else {
            if self.beside.take().is_some() {
                self.findings.take(notice.clears(), now);
            }
            return None;
        };
        let is_alive = |seen: (DateTime<Utc>, DateTime<Utc>, i64)| seen.0 != seen.1;
        let lives = self.beside.is_some_and(is_alive);
        let is_news = before.is_none_or(|before| is_alive(before) != lives);
        let alive_at = row.alive_at.format("%Y-%m-%d %H:%M:%SZ");
        let who = format!(
            "the agent of host {} (process {}, since {})",
            row.host,
            row.process_id,
            row.started_at.format("%Y-%m-%d %H:%M:%SZ")
        );
        let reason = match lives {
            true => format!(
                "{who} works with a copy of this journal, and lives (last sign at {alive_at}): a cloned machine, or a \
                 copied state_dir. That one goes on, nothing is sent from here"
            ),
            false => format!(
                "{who} worked with this journal until {alive_at}, somewhere else or later than it remembers: a life \
                 before this one, or a machine that lives and was copied. Nothing is sent from here until it has been \
                 silent for {lapse} seconds"
            ),
        };
        if lives {
            self.findings.take(
                notice.says(
                    reason.clone(),
                    format!(
                        "Stop this agent, and give it an empty state_dir and a host name of its own. If the other one is \
                         stopped instead, this one begins: at once, or {lapse} seconds after its last sign."
                    ),
                ),
                now,
            );
        }
        if is_news {
            tracing::warn!(database = self.name, "{reason}");
        }
        Some(reason)
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

/// Until when a life worked that ended without a word, where journal and database stand as they did long ago. By two
/// clocks: the journal's age when this life began, so that a database that came up late is no gap, and the heartbeat's by
/// the database's own.
fn unexplained_gap(
    known: &KnownDatabase,
    mine: &HostRow,
    started_at: DateTime<Utc>,
    database_now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let alive_at = known.alive_at.and_then(DateTime::from_timestamp_millis).filter(|_| !known.stopped)?;
    let was_running = mine.state == "running";
    let is_old = started_at - alive_at > GAP && database_now - mine.heartbeat_at > GAP;
    // It went on working until the next heartbeat at most.
    (was_running && is_old).then(|| alive_at.max(mine.heartbeat_at) + BEAT)
}
