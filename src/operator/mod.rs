//! The control tables from the agent's side: guards and claims, settings and commands in, reports out.
//!
//! One `Desk` a database. A round reads and writes in short transactions; what could not be written stays for the
//! next round. Nothing here changes a delivery.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::database::statements::scripts::SCRIPT_COMPOSES;
use crate::database::{
    CommandResult, CommandRow, Database, DatabaseError, FindingRow, HostRow, Owner, OwnerClaim, Report,
    Selection, StatusRow, Survey, ask_alike, changes_nobody_composes, rows_nobody_chooses, rows_unseen,
};
use crate::domain::command::Kind;
use crate::domain::lease::{Lease, Renewal, Terms};
use crate::domain::meter::{Unfinished, Waiting};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{Alike, ConnectionPointRow, ControlTables, Plan, Surroundings};
use crate::journal::{Journal, JournalError, KnownDatabase, KnownHost};

mod claim;
mod counting;
mod findings;
mod inbound;
mod lineage;
mod owned;
mod refused;
mod report;
mod watch;

pub use claim::Guard;
use counting::Counting;
use findings::Findings;
use inbound::Inbound;
pub use inbound::{InboundReport, Receiving};
use owned::Owned;
use report::{Refusals, Written};

/// Heartbeats and what has not changed are written this often, all of it in one transaction.
const BEAT: TimeDelta = TimeDelta::seconds(60);
/// Rows that nobody chooses are looked for so often: some thousand index entries.
const ORPHANS_EVERY: TimeDelta = TimeDelta::minutes(30);
/// The catalogue is read so often.
const SURVEY_EVERY: TimeDelta = TimeDelta::minutes(15);

/// The most that `finding_read` answers.
const FINDINGS_READ: usize = 500;

/// Who this agent is.
#[derive(Debug, Clone)]
pub struct Identity {
    pub host: String,
    pub location: String,
    /// Names of `[[ion]]` with the tenant of their credential.
    pub ions: BTreeMap<String, String>,
    /// How long a claim lasts.
    pub terms: Terms,
}

/// A direction of a connection point, as a claim has it.
pub type Direction = (String, &'static str);

/// What the outgoing path says of a connection point.
#[derive(Debug, Clone)]
pub struct PointReport {
    pub connection_point: String,
    pub point_id: i64,
    pub state: &'static str,
    pub reason: Option<String>,
    pub in_flight: i64,
    pub is_counted: bool,
    /// It is no longer in the plan, and nothing of it is under way.
    pub is_gone: bool,
    /// `send_mode` is `on`, and no pause or blackout holds.
    pub is_meant_to_send: bool,
    /// It is switched on, and no document is listed for it.
    pub lacks_documents: bool,
    pub paused_since: Option<DateTime<Utc>>,
    /// Nothing of it was ever looked at before this process.
    pub is_new: bool,
    pub selection: Selection,
    pub accepted_more: i64,
    pub failed_more: i64,
    pub last_accepted_at: Option<DateTime<Utc>>,
    pub last_failure_at: Option<DateTime<Utc>>,
    pub last_failure: Option<String>,
    pub last_poll_at: Option<DateTime<Utc>>,
    pub next_poll_at: Option<DateTime<Utc>>,
}

/// What the agent says in a round.
#[derive(Debug, Default)]
pub struct Said {
    pub points: Vec<PointReport>,
    pub notices: Vec<Notice>,
    /// Connection point, verb, noun, accepted.
    pub accepted_documents: Vec<(String, String, String, Option<bool>)>,
    pub command_results: Vec<CommandResult>,
    /// Connection points refused for a reason that this database alone does not show.
    pub refused_elsewhere: Vec<(String, String)>,
    /// Whether this agent receives, and what the receiver says.
    pub inbound: Receiving,
    /// The last round: owners are given up.
    pub stopping: bool,
    /// Somebody else lost the database since the last round: it is looked at anew.
    pub was_lost: bool,
    /// What a renewal found to be another agent's by now.
    pub disowned: Vec<Direction>,
}

/// What a round brought.
#[derive(Debug, Default)]
pub struct Heard {
    /// `None`: the tables could not be read; the plan before goes on.
    pub plan: Option<Plan>,
    /// For the outgoing path.
    pub commands: Vec<CommandRow>,
    /// Commands whose end is in the table now.
    pub closed_commands: Vec<i64>,
    /// Why nothing may be sent from this database.
    pub refused: Option<String>,
    /// Connection points that somebody else owns.
    pub owned_by: BTreeMap<String, String>,
    /// What this agent owns after the round, to be renewed from now on.
    pub owned: Vec<Direction>,
    /// What this round claimed to send, with what that is worth.
    pub leases: Vec<(String, Lease)>,
    /// The database or the journal was restored: what is open is compared with its row.
    pub verify: bool,
    pub in_doubt_before: Option<i64>,
    /// The journal's number of the database, once it was met.
    pub database_id: Option<i64>,
    /// It was found to be the one that the journal knows.
    pub is_met: bool,
    /// What is not done, by connection point.
    pub unfinished: BTreeMap<String, Unfinished>,
    /// What is open.
    pub findings: Vec<FindingRow>,
    /// What earlier lives left open is among them.
    pub knows_findings: bool,
    pub error: Option<String>,
    pub fatal: Option<JournalError>,
}

/// The agent's side of one database's control tables.
pub struct Desk {
    name: String,
    database: Arc<dyn Database>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    identity: Identity,
    started_at: DateTime<Utc>,
    known: Option<KnownDatabase>,
    /// The other agents of this database, as they were last seen.
    seen: Vec<KnownHost>,
    /// Another agent that works on this database refuses to.
    another_refuses: bool,
    /// When the epoch was raised last; `None`: the database has to be met anew.
    raised_at: Option<DateTime<Utc>>,
    /// The heartbeat of its own row as it was last read, and when that had been written.
    beat_seen: Option<(Option<DateTime<Utc>>, DateTime<Utc>)>,
    /// It was seen to go back, by less than the epoch shows.
    went_back: bool,
    /// The guards have passed in this life.
    is_met: bool,
    /// When the journal was last told that this agent works.
    alive_at: Option<DateTime<Utc>>,
    /// When everything was written last, changed or not.
    beat_at: Option<DateTime<Utc>>,
    /// When this agent's row of bodrelay_host was written last, by our clock.
    host_at: Option<DateTime<Utc>>,
    /// Another machine works with a copy of the journal: this one stops for good.
    is_cloned: bool,
    /// Another agent that may work with this journal: the first and the last sign of life that was seen of it, and since
    /// when that is the last one, by the steady clock.
    beside: Option<(DateTime<Utc>, DateTime<Utc>, i64)>,
    /// When the host row last said that this agent refuses to work.
    refused_at: Option<DateTime<Utc>>,
    /// The highest script that was run, as the last survey found it.
    script: i64,
    /// When the last survey was made.
    surveyed_at: Option<DateTime<Utc>>,
    /// A connection point took rows of an I/O Box then.
    surveyed_for_iobox: bool,
    owned: Owned,
    /// The last settings that were good: what is refused now and was accepted then goes on with them.
    in_force: Plan,
    /// Which sources the outbox does not tell apart.
    alike: Alike,
    /// Rows of connection points whose `applied_at` says that they are in force (or refused).
    applied: Vec<ConnectionPointRow>,
    /// Rows that the last round refused, as the outgoing path would report them.
    refused: BTreeMap<String, PointReport>,
    /// The last round said that a logical id is used in two databases.
    is_twice: bool,
    /// The last round could not reach the database.
    is_away: bool,
    findings: Findings,
    inbound: Inbound,
    findings_read_at: Option<DateTime<Utc>>,
    /// All that the table has was read.
    knows_findings: bool,
    /// When it was last looked for rows that nobody chooses.
    orphans_at: Option<DateTime<Utc>>,
    /// Such a look that is under way.
    looking: Option<JoinHandle<[Result<Notice, DatabaseError>; 3]>>,
    statuses: HashMap<String, Memory>,
    counting: Counting,
    results: Vec<CommandResult>,
    /// What the database does not take of all this.
    refusals: Refusals,
    accepted_documents: Vec<(String, String, String, Option<bool>)>,
}

/// What was last written of a status row, and what waits to be.
#[derive(Debug, Default)]
struct Memory {
    state: &'static str,
    reason: Option<String>,
    since: DateTime<Utc>,
    /// The table says this state, and why.
    is_written: bool,
    accepted_more: i64,
    failed_more: i64,
    figures: (i64, i64, i64, i64),
    waiting: Option<Waiting>,
    /// Rows arrive and nothing leaves, since then.
    growing_since: Option<DateTime<Utc>>,
    accepted_at_count: i64,
    accepted_here: i64,
}

impl Memory {
    /// Keeps when it came to this state.
    fn turn(&mut self, point: &PointReport, now: DateTime<Utc>) {
        if self.state != point.state || self.reason != point.reason {
            self.state = point.state;
            self.reason.clone_from(&point.reason);
            self.since = now;
            self.is_written = false;
        }
    }

    /// Compares a count with the one before.
    fn follow(&mut self, point: &PointReport, rows: i64, now: DateTime<Utc>) {
        let has_left = self.accepted_here != self.accepted_at_count;
        let grows = self.waiting.is_some_and(|before| rows > before.rows);
        if has_left || rows == 0 || !point.is_meant_to_send {
            self.growing_since = None;
        } else if grows {
            self.growing_since.get_or_insert(now);
        }
        self.accepted_at_count = self.accepted_here;
    }

    fn unfinished(&self) -> Unfinished {
        let (_, held, failed, in_doubt) = self.figures;
        Unfinished { held, failed, in_doubt, waiting: self.waiting }
    }
}

/// Who carries a command out.
enum Whose {
    Ours,
    /// Another agent's.
    Theirs,
    /// Nobody: the table is told this state and why.
    Answered(&'static str, String),
}

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Desk {
    pub fn new(
        name: &str,
        database: Arc<dyn Database>,
        journal: Journal,
        clock: Arc<dyn Clock>,
        identity: Identity,
    ) -> Self {
        let started_at = clock.now();
        Self {
            name: name.to_owned(),
            database,
            journal,
            clock,
            is_away: false,
            findings: Findings::new(&identity.host),
            inbound: Inbound::default(),
            findings_read_at: None,
            knows_findings: false,
            orphans_at: None,
            looking: None,
            identity,
            started_at,
            known: None,
            seen: Vec::new(),
            another_refuses: false,
            raised_at: None,
            beat_seen: None,
            went_back: false,
            is_met: false,
            alive_at: None,
            beat_at: None,
            host_at: None,
            is_cloned: false,
            beside: None,
            refused_at: None,
            script: 0,
            surveyed_at: None,
            surveyed_for_iobox: false,
            owned: Owned::default(),
            in_force: Plan::default(),
            alike: Alike::default(),
            applied: Vec::new(),
            refused: BTreeMap::new(),
            is_twice: false,
            statuses: HashMap::new(),
            counting: Counting::default(),
            results: Vec::new(),
            refusals: Refusals::default(),
            accepted_documents: Vec::new(),
        }
    }

    /// Reads what the DBA wrote and writes what the agent has to say.
    pub async fn round(&mut self, said: Said) -> Heard {
        let mut heard = Heard::default();
        let now = self.clock.now();
        if said.was_lost {
            self.doubt();
        }
        for (name, direction) in &said.disowned {
            self.owned_in(direction).lose(name);
        }
        self.take_in(&said, now);
        match self.try_round(&said, &mut heard, now).await {
            Ok(()) => {
                if std::mem::take(&mut self.is_away) {
                    self.findings.take(self.away().clears(), now);
                }
            }
            Err(RoundError::Database(error)) => {
                self.doubt();
                self.is_away = true;
                let notice = self.away().says(
                    error.to_string(),
                    "The agent tries again by itself; look at the database if it lasts.",
                );
                self.findings.take(notice, now);
                tracing::warn!(database = self.name, error = %error, "the control tables are read again in a moment");
                heard.error = Some(error.to_string());
            }
            Err(RoundError::Journal(error @ JournalError::NoRoom { .. })) => {
                heard.error = Some(error.to_string())
            }
            Err(RoundError::Journal(error)) => heard.fatal = Some(error),
        }
        let of = |owned: &Owned, direction| {
            owned.names().map(|name| (name.clone(), direction)).collect::<Vec<_>>()
        };
        heard.owned = of(&self.owned, "out");
        heard.owned.extend(of(&self.inbound.owned, "in"));
        heard.findings = self.findings.open();
        heard.knows_findings = self.knows_findings;
        heard.unfinished =
            self.statuses.iter().map(|(name, memory)| (name.clone(), memory.unfinished())).collect();
        heard
    }

    fn owned_in(&mut self, direction: &str) -> &mut Owned {
        if direction == "in" { &mut self.inbound.owned } else { &mut self.owned }
    }

    /// Whatever comes back may be another database: it is looked at anew.
    fn doubt(&mut self) {
        self.raised_at = None;
        self.alike = Alike::default();
        self.inbound.looks_again();
        self.owned.doubt();
        self.inbound.owned.doubt();
    }

    fn away(&self) -> Notice {
        Notice::new("DATABASE_UNAVAILABLE", Severity::Error, None, self.name.clone())
    }

    /// Keeps what is to be said until it is written.
    fn take_in(&mut self, said: &Said, now: DateTime<Utc>) {
        for notice in &said.notices {
            self.findings.take(notice.clone(), now);
        }
        self.accepted_documents.extend(said.accepted_documents.iter().cloned());
        self.results.extend(said.command_results.iter().cloned());
        self.take_in_received(said);
        for point in &said.points {
            let memory = self.statuses.entry(point.connection_point.clone()).or_default();
            memory.accepted_more += point.accepted_more;
            memory.accepted_here += point.accepted_more;
            memory.failed_more += point.failed_more;
            // To the outgoing path a refused one is off.
            if !self.refused.contains_key(&point.connection_point) {
                memory.turn(point, now);
            }
        }
    }

    async fn try_round(
        &mut self,
        said: &Said,
        heard: &mut Heard,
        now: DateTime<Utc>,
    ) -> Result<(), RoundError> {
        self.stay_alive(said.stopping, now).await?;
        if self.is_cloned {
            // To claim it once more would take it from the other one, who does as much an hour later.
            heard.refused = Some(claim::CLONED.to_owned());
        } else if self.raised_at.is_some() {
            heard.refused = self.look_back(now).await?;
        }
        if self.raised_at.is_none() && heard.refused.is_none() {
            let survey = self.database.survey().await?;
            self.script = survey.script;
            self.surveyed_at = Some(now);
            if self.lacks_tables(&survey, heard, now) {
                return Ok(());
            }
            let commands = self.database.command_read().await?;
            self.inbound.is_met = true;
            self.read_findings(now).await?;
            self.advise(&survey, now);
            match self.claim(&survey, &commands, now).await? {
                Guard::Passed { verify } => heard.verify = verify,
                Guard::Refused(reason) => heard.refused = Some(reason),
            }
        } else if heard.refused.is_none() {
            self.raise_epoch(said.stopping, now).await?;
        }
        heard.database_id = self.known.as_ref().map(|known| known.database_id);
        heard.is_met = self.is_met;
        heard.in_doubt_before = self.known.as_ref().and_then(|known| known.in_doubt_before);
        let mut tables = self.database.control_read().await?;
        ask_alike(self.database.as_ref(), &tables, &mut self.alike).await;
        tables.alike.clone_from(&self.alike);
        let surroundings = Surroundings { location: &self.identity.location, ions: &self.identity.ions };
        let mut plan = Plan::read_over(&tables, &surroundings, &self.in_force);
        self.in_force.clone_from(&plan);
        self.look_at_sources(&tables, &mut plan, heard, now).await?;
        if heard.refused.is_none() {
            self.watch_hosts(&plan, &tables, now).await?;
        }
        self.refuse(said, &plan, &tables, now).await?;
        if heard.refused.is_none() && !said.stopping {
            self.own(&plan, heard, now).await?;
            self.own_refused().await?;
            self.disown(&plan, said).await?;
        }
        self.open_inbound(said, &mut plan, heard.refused.as_deref(), now).await?;
        self.read_commands(&plan, heard).await?;
        if self.findings_read_at.is_none_or(|at| is_due(at, BEAT, now)) {
            self.read_findings(now).await?;
        }
        self.look_aside(said.stopping, &tables, now).await;
        let beat = said.stopping || self.beat_at.is_none_or(|at| is_due(at, BEAT, now));
        let report = self.report(said, &plan, &tables, heard.refused.as_deref(), beat, now).await?;
        let report = self.refusals.leave_out(report, now);
        let written = self.refusals.write(self.database.as_ref(), report, now).await;
        let ended = written.report.commands.iter().filter(|result| result.state != "running");
        heard.closed_commands = ended.map(|result| result.command_id).collect();
        let beat = beat && written.error.is_none();
        let error = self.written(beat, written, &tables, now);
        self.tell_refusals(now);
        if let Some(error) = error {
            return Err(error.into());
        }
        heard.plan = Some(plan);
        Ok(())
    }

    /// Looks through the outbox for what nobody sends, beside the rounds: heartbeat, pause and resume never wait for it.
    async fn look_aside(&mut self, stopping: bool, tables: &ControlTables, now: DateTime<Utc>) {
        /// The last round of `once` may be the second one.
        const PATIENCE: Duration = Duration::from_secs(2);
        if !stopping
            && self.looking.is_none()
            && self.orphans_at.is_none_or(|at| is_due(at, ORPHANS_EVERY, now))
        {
            self.orphans_at = Some(now);
            let (database, tables, script) = (self.database.clone(), tables.clone(), self.script);
            self.looking = Some(tokio::spawn(async move {
                [
                    rows_nobody_chooses(database.as_ref(), &tables).await,
                    changes_nobody_composes(database.as_ref(), script).await,
                    rows_unseen(database.as_ref()).await,
                ]
            }));
        }
        let Some(looking) = &mut self.looking else { return };
        let looked = match stopping || looking.is_finished() {
            true => tokio::time::timeout(PATIENCE, looking).await,
            false => return,
        };
        self.looking = None;
        for found in looked.into_iter().flatten().flatten() {
            match found {
                Ok(notice) => {
                    let holds = !notice.text.is_empty();
                    self.findings.hold(notice, holds, now);
                }
                Err(error) => {
                    tracing::warn!(database = self.name, error = %error, "what nobody sends is looked for again later");
                }
            }
        }
    }

    /// The tables are looked at anew where a setting needs others of them, and now and then: whoever runs a script that was
    /// missing, or makes an index, need not start the agent again.
    async fn look_at_sources(
        &mut self,
        tables: &ControlTables,
        plan: &mut Plan,
        heard: &mut Heard,
        now: DateTime<Utc>,
    ) -> Result<(), RoundError> {
        let takes_rows = tables.connection_points.iter().any(|row| row.source_kind != "rows");
        let lacks_script =
            self.script < SCRIPT_COMPOSES && plan.connection_points.values().any(|point| point.composes);
        let every = if lacks_script { BEAT } else { SURVEY_EVERY };
        let needs_others = takes_rows != self.surveyed_for_iobox;
        if needs_others || self.surveyed_at.is_none_or(|at| is_due(at, every, now)) {
            let survey = self.database.survey().await?;
            self.script = survey.script;
            self.surveyed_at = Some(now);
            self.advise(&survey, now);
            if needs_others || lacks_script {
                // Nothing is lacking any more, or is now.
                self.lacks_tables(&survey, heard, now);
            }
        }
        self.surveyed_for_iobox = takes_rows;
        plan.refuse_composing(self.script, SCRIPT_COMPOSES);
        Ok(())
    }

    /// What an earlier life left open, and what a DBA has acknowledged.
    async fn read_findings(&mut self, now: DateTime<Utc>) -> Result<(), RoundError> {
        let rows = self.database.finding_read().await?;
        self.knows_findings = rows.len() < FINDINGS_READ;
        self.findings.read(rows);
        self.findings_read_at = Some(now);
        Ok(())
    }

    /// Missing tables or columns: nothing else is tried.
    fn lacks_tables(&mut self, survey: &Survey, heard: &mut Heard, now: DateTime<Utc>) -> bool {
        for problem in &survey.problems {
            tracing::error!(
                database = self.name,
                what = problem.what,
                remedy = problem.remedy,
                "the database lacks something"
            );
        }
        let notice = Notice::new("DATABASE_LACKS", Severity::Error, None, self.name.clone());
        if survey.problems.is_empty() {
            self.findings.take(notice.clears(), now);
            return false;
        }
        let said: Vec<_> =
            survey.problems.iter().map(|problem| format!("{}: {}", problem.what, problem.remedy)).collect();
        let notice =
            notice.says(said.join("; "), "Run the script that is named, then wait for the next look.");
        self.findings.take(notice, now);
        heard.refused = Some(said.join("; "));
        true
    }

    /// Takes the ownership of every connection point that is to send.
    async fn own(&mut self, plan: &Plan, heard: &mut Heard, now: DateTime<Utc>) -> Result<(), RoundError> {
        for name in plan.connection_points.keys() {
            if !self.owned.is_unsure(name) {
                continue;
            }
            let renewal = Renewal::about_to_be_sent(self.clock.steady(), self.identity.terms);
            match self.take(name, "out", now).await? {
                None => heard.leases.push((name.clone(), renewal.granted())),
                Some(owner) => _ = heard.owned_by.insert(name.clone(), owner),
            }
        }
        Ok(())
    }

    /// Claims a direction of a connection point. `Some`: who has it instead.
    async fn take(
        &mut self,
        name: &str,
        direction: &'static str,
        now: DateTime<Utc>,
    ) -> Result<Option<String>, RoundError> {
        let (subject, what, stop) = match direction {
            "in" => (
                "receiving",
                "what ION sends here is answered with 503",
                "Let ION call one of the two, and stop the other.",
            ),
            _ => ("connection point", "nothing is sent from here", "Stop one of the two agents."),
        };
        let notice = |code, severity| Notice::new(code, severity, Some(name), subject);
        let other = notice("OWNED_BY_ANOTHER", Severity::Error);
        let lock = notice("LOCK_HELD", Severity::Warning);
        let lapse = self.identity.terms.lapse_seconds();
        let owner = self.database.owner_claim(&self.claim_of(name, direction)).await?;
        let by = match owner {
            Owner::Mine | Owner::MineBeside { .. } => {
                if self.owned_in(direction).confirm(name) {
                    self.findings.hold(other, false, now);
                }
                let lock = match owner {
                    Owner::MineBeside { stranger } => lock.says(
                        format!(
                            "{stranger} holds the lock that backs this agent's claim. The claim stands without it: \
                             sending goes on, only a copy of this agent would not be noticed at once"
                        ),
                        "Ask whose session that is; nobody but the agent has business with this lock.",
                    ),
                    _ => lock.clears(),
                };
                let holds = !lock.text.is_empty();
                self.findings.hold(lock, holds, now);
                return Ok(None);
            }
            Owner::Other { host, heartbeat_at } => {
                self.findings.take(
                    other.says(
                        format!("the agent of host {host} owns this connection point (heartbeat {heartbeat_at}); {what}"),
                        format!("{stop} An owner that has ended without a word lapses after {lapse} seconds."),
                    ),
                    now,
                );
                host
            }
            Owner::Copy { holder, heartbeat_at } => {
                self.findings.take(
                    other.says(
                        format!(
                            "{holder} holds the lock of this agent's own journal: a copy of this agent on another \
                             machine, or a former life of it whose end the server has not noticed (heartbeat \
                             {heartbeat_at}); {what}"
                        ),
                        format!(
                            "Where it is a copy: stop it, and give it an empty state_dir and a host name of its own. Else \
                             nothing: {lapse} seconds after that heartbeat it goes on by itself."
                        ),
                    ),
                    now,
                );
                format!("another session of this journal: {holder}")
            }
        };
        self.owned_in(direction).lose(name);
        Ok(Some(by))
    }

    fn claim_of(&self, connection_point: &str, direction: &'static str) -> OwnerClaim {
        OwnerClaim {
            connection_point: connection_point.to_owned(),
            direction,
            journal_id: self.journal.journal_id().to_string(),
            host: self.identity.host.clone(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            lapse_seconds: self.identity.terms.lapse_seconds(),
        }
    }

    /// Gives up connection points that are no longer this agent's, so that another one can serve them at once; not
    /// before what it began is settled: the other one would send it again.
    async fn disown(&mut self, plan: &Plan, said: &Said) -> Result<(), RoundError> {
        let journal_id = self.journal.journal_id().to_string();
        let is_ours = |name: &String| {
            plan.connection_points.contains_key(name)
                || self.refused.contains_key(name)
                || said.points.iter().any(|point| point.connection_point == *name && !point.is_gone)
        };
        let given_up: Vec<String> = self.owned.names().filter(|name| !is_ours(name)).cloned().collect();
        for name in given_up {
            self.database.owner_release(&name, "out", &journal_id).await?;
            self.owned.lose(&name);
        }
        Ok(())
    }

    /// Commands for the outgoing path; those that nobody can carry out are refused in words.
    async fn read_commands(&mut self, plan: &Plan, heard: &mut Heard) -> Result<(), RoundError> {
        for command in self.database.command_read().await? {
            let is_answered =
                |result: &CommandResult| result.command_id == command.command_id && result.state != "running";
            if self.results.iter().any(is_answered) {
                continue;
            }
            match self.whose(&command, plan, heard) {
                Whose::Ours => heard.commands.push(command),
                Whose::Theirs => {}
                Whose::Answered(state, text) => self.answer(&command, state, &text),
            }
        }
        Ok(())
    }

    /// Who carries a command out: the agent that owns its connection point, and no other.
    fn whose(&self, command: &CommandRow, plan: &Plan, heard: &Heard) -> Whose {
        let refused = |text: String| Whose::Answered("refused", text);
        if command.command == "accept_database" {
            // Carried out by the claim, where it changes something; another agent's may still have to.
            if self.another_refuses {
                return Whose::Theirs;
            }
            return Whose::Answered("done", "the database is the accepted one".into());
        }
        if let Some(what) = &command.unreadable {
            return refused(format!("{what}; then insert the command again"));
        }
        let kind = Kind::parse(&command.command);
        if kind.is_none() {
            return refused("not in this version of bodrelay".into());
        }
        if command.direction.as_deref() == Some("in") && kind != Some(Kind::ConfirmError) {
            return refused(
                "direction 'in' goes with confirm_error only: to stop receiving, set receive_mode = 'off'"
                    .into(),
            );
        }
        let name = &command.connection_point;
        if name == "*" && kind == Some(Kind::ConfirmError) {
            return refused("name the connection point that received the document".into());
        }
        if name == "*" {
            let others = plan.elsewhere.len() + heard.owned_by.len();
            return match (others, plan.connection_points.len() > heard.owned_by.len()) {
                (0, _) => Whose::Ours,
                (_, false) => Whose::Theirs,
                (_, true) => refused(
                    "'*' is not clear: several agents serve connection points of this database. Name the connection \
                     point"
                        .into(),
                ),
            };
        }
        if plan.elsewhere.contains(name) || heard.owned_by.contains_key(name) {
            return Whose::Theirs;
        }
        if plan.connection_points.contains_key(name) {
            return Whose::Ours;
        }
        match plan.refused.iter().find(|it| it.connection_point == *name && it.document.is_none()) {
            Some(it) => refused(format!("{name} is refused: {}", it.reason)),
            None => refused(format!("no connection point is called '{name}' (case counts)")),
        }
    }

    fn answer(&mut self, command: &CommandRow, state: &'static str, result: &str) {
        self.results.push(CommandResult {
            command_id: command.command_id,
            state,
            matched_rows: None,
            done_rows: None,
            result: result.into(),
            host: self.identity.host.clone(),
        });
    }

    async fn report(
        &mut self,
        said: &Said,
        plan: &Plan,
        tables: &ControlTables,
        refused: Option<&str>,
        beat: bool,
        now: DateTime<Utc>,
    ) -> Result<Report, RoundError> {
        let mut report = Report::default();
        // A copy has the row of its original's agent, too. In a clone's database the row is the other's, who works.
        if let Some(reason) = refused.filter(|_| !self.is_cloned && self.beside.is_none())
            && self.refused_at.is_none_or(|at| is_due(at, BEAT, now))
        {
            self.refused_at = Some(now);
            report.host = Some(self.host_row("refused", Some(reason.to_owned()), now));
        }
        if beat && self.raised_at.is_some() {
            report.host = Some(self.host_row(if said.stopping { "stopped" } else { "running" }, None, now));
        }
        self.refusals(said, plan, tables, &mut report);
        report.documents_accepted = self.accepted_documents.clone();
        report.commands = self.results.clone();
        let refused = self.refused.clone();
        self.count(said, &refused, now).await;
        let fine = said.points.iter().filter(|point| !refused.contains_key(&point.connection_point));
        for point in fine.chain(refused.values()) {
            if let Some(row) = self.status(point, said.stopping, beat, now).await? {
                report.statuses.push(row);
            }
        }
        self.inbound_statuses(said, plan, &mut report, beat, now);
        // Last: the figures above may be findings, too.
        self.findings.age(self.started_at, said.stopping, now);
        report.findings = self.findings.to_write(now);
        Ok(report)
    }

    /// Takes in what was counted of what waits, and has it counted again when that is due.
    async fn count(&mut self, said: &Said, refused: &BTreeMap<String, PointReport>, now: DateTime<Utc>) {
        if !said.stopping {
            let fine = said.points.iter().filter(|point| !refused.contains_key(&point.connection_point));
            let counted = fine.chain(refused.values()).filter(|point| point.is_counted);
            let wanted = counted.map(|point| (point.connection_point.clone(), point.selection.clone()));
            self.counting.start(&self.database, wanted.collect(), BEAT, now);
        }
        if let Some((notice, holds)) = self.counting.take_in(said.stopping, now).await {
            self.findings.hold(notice, holds, now);
        }
    }

    /// Reasons go beside the rows that they refuse, once; rows that are right again lose theirs.
    fn refusals(&self, said: &Said, plan: &Plan, tables: &ControlTables, report: &mut Report) {
        let reasons = self.reasons(said, plan);
        for row in tables.connection_points.iter().filter(|row| row.location_name == self.identity.location) {
            let reason = reasons.get(&(row.connection_point.clone(), None)).cloned();
            if row.refused_reason != reason || !self.applied.contains(&bare(row)) {
                report.connection_points.push((row.connection_point.clone(), reason));
            }
        }
        for row in &tables.documents {
            let document = format!("{} {}.{}", row.direction, row.verb, row.noun);
            let reason = reasons.get(&(row.connection_point.clone(), Some(document))).cloned();
            if row.refused_reason != reason && !plan.elsewhere.contains(&row.connection_point) {
                let refused = (row.connection_point.clone(), row.verb.clone(), row.noun.clone(), reason);
                match row.direction.as_str() {
                    "in" => report.incoming_refused.push(refused),
                    _ => report.documents_refused.push(refused),
                }
            }
        }
    }

    fn reasons(&self, said: &Said, plan: &Plan) -> BTreeMap<(String, Option<String>), String> {
        let mut reasons: BTreeMap<_, _> = plan
            .refused
            .iter()
            .map(|refused| {
                let document = refused.document.as_ref().map(|it| format!("{} {it}", refused.direction));
                ((refused.connection_point.clone(), document), refused.reason.clone())
            })
            .collect();
        for (name, reason) in &said.refused_elsewhere {
            reasons.insert((name.clone(), None), reason.clone());
        }
        reasons
    }

    /// A status row, when something changed or all are written.
    async fn status(
        &mut self,
        point: &PointReport,
        stopping: bool,
        beat: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<StatusRow>, RoundError> {
        let counts = self.journal.counts(point.point_id).await?;
        let memory = self.statuses.entry(point.connection_point.clone()).or_default();
        let figures = (point.in_flight, counts.held, counts.failed, counts.in_doubt);
        let moved = memory.figures != figures
            || memory.accepted_more != 0
            || memory.failed_more != 0
            || self
                .counting
                .rows(&point.connection_point)
                .is_some_and(|rows| memory.waiting.is_none_or(|before| before.rows != rows));
        if !(beat || moved || !memory.is_written) || !self.owned.contains(&point.connection_point) {
            return Ok(None);
        }
        memory.figures = figures;
        let backlog = self.counting.take(&point.connection_point).filter(|_| point.is_counted);
        if let Some(backlog) = &backlog {
            memory.follow(point, backlog.waiting_rows, now);
            memory.waiting = Some(Waiting {
                rows: backlog.waiting_rows,
                oldest_at: backlog.oldest.map(|at| at.timestamp_millis()),
                counted_at: now.timestamp_millis(),
            });
        }
        self.watch(point, counts, backlog.as_ref(), now);
        let memory = self.statuses.entry(point.connection_point.clone()).or_default();
        Ok(Some(StatusRow {
            connection_point: point.connection_point.clone(),
            direction: "out",
            journal_id: self.journal.journal_id().to_string(),
            state: if stopping { "stopped" } else { point.state }.into(),
            state_since: memory.since,
            state_reason: point.reason.clone(),
            backlog,
            in_flight_rows: point.in_flight,
            held_rows: counts.held,
            failed_rows: counts.failed,
            in_doubt_rows: counts.in_doubt,
            accepted_more: memory.accepted_more,
            failed_more: memory.failed_more,
            duplicates_more: 0,
            last_accepted_at: point.last_accepted_at,
            last_failure_at: point.last_failure_at,
            last_failure: point.last_failure.clone(),
            last_poll_at: point.last_poll_at,
            next_poll_at: point.next_poll_at,
            settings_read_at: Some(now),
            started_at: self.started_at,
        }))
    }

    /// The report is in the tables: nothing of it has to be said again.
    fn written(
        &mut self,
        beat: bool,
        written: Written,
        tables: &ControlTables,
        now: DateTime<Utc>,
    ) -> Option<DatabaseError> {
        let Written { report, ours, error } = written;
        self.findings.written(&report.findings, now);
        self.accepted_documents.retain(|document| !report.documents_accepted.contains(document));
        self.results.retain(|result| !report.commands.contains(result));
        if beat {
            self.beat_at = Some(now);
            self.host_at = self.raised_at.and(Some(now));
        }
        for (row, is_ours) in report.statuses.iter().zip(ours) {
            if !is_ours {
                // The next round's claim says whose it is.
                self.owned_in(row.direction).lose(&row.connection_point);
                continue;
            }
            if row.direction == "in" {
                self.inbound_written(row);
            } else if let Some(memory) = self.statuses.get_mut(&row.connection_point) {
                memory.is_written = true;
                memory.accepted_more -= row.accepted_more;
                memory.failed_more -= row.failed_more;
            }
        }
        self.applied = tables.connection_points.iter().map(bare).collect();
        error
    }

    fn host_row(&self, state: &str, refused_reason: Option<String>, now: DateTime<Utc>) -> HostRow {
        let known = self.known.as_ref();
        HostRow {
            host: self.identity.host.clone(),
            location_name: self.identity.location.clone(),
            journal_id: self.journal.journal_id().to_string(),
            database_fingerprint: known.map(|known| known.fingerprint.clone()).unwrap_or_default(),
            epoch: known.map_or(0, |known| known.epoch),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            script_needed: crate::database::statements::scripts::SCRIPT_NEEDED,
            operating_system: std::env::consts::OS.into(),
            process_id: std::process::id().into(),
            state: state.into(),
            refused_reason,
            started_at: self.started_at,
            heartbeat_at: now,
            alive_at: now,
        }
    }
}

/// Its time has come; also where the clock was set back, so that mending a clock does not silence the heartbeat for as long.
fn is_due(at: DateTime<Utc>, every: TimeDelta, now: DateTime<Utc>) -> bool {
    now - at >= every || now < at
}

/// What the DBA wrote of a row, without what the agent did.
fn bare(row: &ConnectionPointRow) -> ConnectionPointRow {
    ConnectionPointRow { refused_reason: None, was_applied: false, ..row.clone() }
}
