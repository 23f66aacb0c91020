//! Puts everything together: the one place that knows which database it is, and the owner of every task.
//!
//! One loop on one thread drives the outgoing path and, beside it, a round at each database's control tables. What
//! blocks (SQLite) has threads of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::alerts::Teller;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, DatabaseKind, DatabaseSettings};
use crate::database::Database;
use crate::database::mssql::Mssql;
use crate::database::postgres::Postgres;
use crate::database::sqlite::Sqlite;
use crate::domain::lease::Terms;
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{Plan, SendMode};
use crate::domain::routing::Route;
use crate::ims::Client;
use crate::inbound::{Receiver, Setup};
use crate::journal::{Journal, JournalError};
use crate::observe::LogFile;
use crate::operator::{Desk, Direction, Heard, Identity, InboundReport, PointReport, Receiving, Said};
use crate::outbound::{Blocked, Mode, Outbound, Site};
use crate::platform::{self, ServiceManager};

mod renew;
mod watch;

use renew::Renewals;
use watch::Watch;

/// How a run ended, as exit codes say it (tables.md, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// Documents failed in this run.
    Failed,
    /// Settings are refused.
    Configuration,
    /// A database or ION could not be reached.
    Unreachable,
    /// Work waits for a retry.
    Waits,
    /// Another agent works with this state directory, and it was not waited for.
    Busy,
}

impl Ending {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Configuration => 2,
            Self::Unreachable => 3,
            Self::Busy => 4,
            Self::Waits => 75,
        }
    }
}

/// What `once` and `run` do when another agent has the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IfRunning {
    /// Say so and end well.
    Skip,
    /// Wait until it ends.
    Wait,
    /// Say so and end with a code of its own.
    Fail,
}

/// The lock on the state directory; given up when it is dropped, or the process ends in any way.
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// `Ok(None)`: another agent has it, and `if_running` says not to wait.
    pub fn take(state_dir: &Path, if_running: IfRunning) -> Result<Option<Self>> {
        platform::private_folder(state_dir, config::is_state_file).with_context(|| {
            format!("[agent] state_dir: the folder {} cannot be used", state_dir.display())
        })?;
        let path = state_dir.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("[agent] state_dir: {} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) if if_running == IfRunning::Wait => {
                wait_for(&file, state_dir).with_context(|| format!("{} cannot be locked", path.display()))?;
                Ok(Some(Self { _file: file }))
            }
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| {
                format!("{} cannot be locked (state_dir must be a local disk)", path.display())
            }),
        }
    }
}

/// Waits until the other agent ends, and says so to the log and to the service manager, which would take a start that
/// takes long for one that failed.
fn wait_for(file: &File, state_dir: &Path) -> std::io::Result<()> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    const SAID_EVERY: Duration = Duration::from_secs(20);
    tracing::warn!(
        state_dir = %state_dir.display(),
        "another bodrelay works with the state directory: this one begins when that one has ended"
    );
    let manager = ServiceManager::from_environment()?;
    let began = std::time::Instant::now();
    let mut said: Option<std::time::Instant> = None;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        if said.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            said = Some(std::time::Instant::now());
            let patience = (SAID_EVERY * 3).as_micros();
            manager.tell(&format!(
                "STATUS=waits: another bodrelay works with {}\nEXTEND_TIMEOUT_USEC={patience}",
                state_dir.display()
            ))?;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    tracing::info!(seconds = began.elapsed().as_secs(), "the other one has ended");
    Ok(())
}

/// The database of a `[[database]]`; `host` is this agent's name, for servers that list who is connected.
pub fn database(settings: &DatabaseSettings, host: &str) -> Arc<dyn Database> {
    match settings.kind {
        DatabaseKind::Sqlite => Arc::new(Sqlite::new(settings)),
        DatabaseKind::Postgres => Arc::new(Postgres::new(settings, host)),
        DatabaseKind::Mssql => Arc::new(Mssql::new(settings, host)),
    }
}

/// The clients of every `[[ion]]`, by name.
pub fn clients(config: &Config) -> Result<BTreeMap<String, Client>> {
    config
        .ion
        .iter()
        .map(|settings| Ok((settings.name.clone(), Client::new(settings, &config.agent.state_dir)?)))
        .collect()
}

/// Where the journal is.
pub fn journal_path(config: &Config) -> PathBuf {
    config.agent.state_dir.join("journal.sqlite")
}

/// What is read and opened again while the agent works, and when.
pub struct Again {
    pub hangups: platform::Hangups,
    /// `None`: the log goes to standard error.
    pub log: Option<LogFile>,
}

/// Runs the agent until it is stopped, or (`once`) until nothing is runnable.
pub async fn run(
    config: &Config,
    mode: Mode,
    terms: Terms,
    _lock: &StateLock,
    again: Again,
) -> Result<Ending> {
    // Before anything else: a stop that is asked for while the agent starts is an orderly one too.
    let stop = platform::asked_to_stop().context("signals cannot be received")?;
    let mut agent = Agent::open(config, mode, terms, again).await?;
    tracing::info!(
        host = config.agent.host,
        location = config.agent.location,
        version = env!("CARGO_PKG_VERSION"),
        "starts"
    );
    let ending = agent.work(stop).await?;
    tracing::info!(code = ending.code(), "ends");
    Ok(ending)
}

/// Percent of the disk of the state directory.
const DISK_USED_MAX: u64 = 90;
/// A large disk that is over 90 % full has room for a journal for years.
const DISK_FREE_ENOUGH_MB: u64 = 10 * 1024;

type Round = (usize, Desk, Heard);

struct Agent<'a> {
    config: &'a Config,
    mode: Mode,
    journal: Journal,
    outbound: Outbound,
    /// `None` while its round is under way.
    desks: Vec<Option<Desk>>,
    rounds: FuturesUnordered<BoxFuture<'static, Round>>,
    renewals: Renewals,
    /// What a renewal found to be another agent's, until a round is told.
    disowned: Vec<Vec<Direction>>,
    /// Rounds that have been heard, by database.
    heard: Vec<u64>,
    /// The journal's numbers of the databases that this life worked with.
    met: BTreeSet<i64>,
    logical_ids: BTreeMap<String, usize>,
    refused_elsewhere: Vec<Vec<(String, String)>>,
    notices: Vec<Notice>,
    /// What each database is still to be told.
    untold: Vec<Vec<Notice>>,
    misconfigured: bool,
    disk_filling: bool,
    unreachable: Vec<bool>,
    watch: Watch,
    teller: Teller,
    again: Again,
    clients: BTreeMap<String, Client>,
    /// `None`: nothing is received, as `[listen]` is not there, or by `once`.
    receiver: Option<Receiver>,
    /// What each database receives, as its last plan said.
    receiving: Vec<BTreeSet<String>>,
    /// How often each database was lost to the receiver when its round began.
    losses: Vec<u64>,
}

impl<'a> Agent<'a> {
    async fn open(config: &'a Config, mode: Mode, terms: Terms, again: Again) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let watch = Watch::new(config, mode)?;
        let opened = Journal::open(&journal_path(config), clock.now().timestamp_millis())?;
        let clients = clients(config)?;
        let mut notices = Vec::new();
        let notice = Notice::new("STATE_DIR_NOT_LOCAL", Severity::Error, None, "state_dir");
        notices.push(match platform::network_file_system(&config.agent.state_dir) {
            Some(kind) => notice.says(
                format!(
                    "{} is on a network file system ({kind}): its locks do not hold, so that two agents could send \
                     the same rows, and the journal can be damaged",
                    config.agent.state_dir.display()
                ),
                "Stop the agent, move state_dir to a local disk, start it again.",
            ),
            None => notice.clears(),
        });
        let identity = Identity {
            host: config.agent.host.clone(),
            location: config.agent.location.clone(),
            ions: clients.iter().map(|(name, client)| (name.clone(), client.tenant_id())).collect(),
            terms,
        };
        let (mut sites, mut desks, mut databases) = (Vec::new(), Vec::new(), Vec::new());
        for (index, settings) in config.database.iter().enumerate() {
            let database = database(settings, &config.agent.host);
            sites.push(Site::new(&settings.name, database.clone(), i64::try_from(index)?));
            databases.push((settings.name.clone(), database.clone()));
            let desk =
                Desk::new(&settings.name, database, opened.journal.clone(), clock.clone(), identity.clone());
            desks.push(Some(desk));
        }
        let renewals = Renewals::new(
            clock.clone(),
            terms,
            opened.journal.journal_id().to_string(),
            config
                .database
                .iter()
                .map(|settings| (settings.name.clone(), database(settings, &config.agent.host))),
        );
        let receiver = match config.listen.as_ref().filter(|_| mode == Mode::Run) {
            Some(settings) => {
                let receiver = Receiver::start(Setup {
                    settings,
                    host: &config.agent.host,
                    databases,
                    journal: opened.journal.clone(),
                    clock: clock.clone(),
                    state_dir: &config.agent.state_dir,
                    stores: true,
                })?;
                tracing::info!(address = %receiver.address(), "receives what ION sends");
                Some(receiver)
            }
            None => None,
        };
        let journal = opened.journal.clone();
        let teller = Teller::new(config, opened.journal.clone(), mode == Mode::Once).await?;
        let outbound = Outbound::new(
            &config.agent.host,
            mode,
            clock.clone(),
            opened.journal,
            sites,
            clients.clone(),
            config.agent.delivered_memory_days,
        )
        .await?;
        Ok(Self {
            config,
            mode,
            journal,
            outbound,
            renewals,
            disowned: vec![Vec::new(); desks.len()],
            heard: vec![0; desks.len()],
            met: BTreeSet::new(),
            refused_elsewhere: vec![Vec::new(); desks.len()],
            unreachable: vec![false; desks.len()],
            receiving: vec![BTreeSet::new(); desks.len()],
            losses: vec![0; desks.len()],
            untold: vec![Vec::new(); desks.len()],
            receiver,
            desks,
            rounds: FuturesUnordered::new(),
            logical_ids: BTreeMap::new(),
            notices,
            misconfigured: false,
            disk_filling: false,
            watch,
            teller,
            again,
            clients,
        })
    }

    /// What may have been replaced under the same name is read again: the log's file, credentials, certificates. What
    /// cannot be used leaves the former one in use, and is told.
    fn read_again(&mut self) {
        if let Some(log) = &self.again.log
            && let Err(error) = log.reopen()
        {
            tracing::error!("{error:#}; the file that is open goes on");
        }
        tracing::info!("SIGHUP: the log's file is opened again, credentials and certificates are read again");
        if let Err(error) = self.teller.read_again() {
            tracing::error!("{error:#}; what was read before goes on");
        }
        if let Some(receiver) = &self.receiver {
            receiver.read_again();
        }
        for client in self.clients.values() {
            let client = client.clone();
            // A file may be on a share that hangs.
            tokio::spawn(async move {
                if let Err(error) = client.reload_credentials().await {
                    tracing::error!(ion = client.name(), "{error:#}; what was read before goes on");
                }
            });
        }
    }

    async fn work(&mut self, stop: impl Future<Output = ()>) -> Result<Ending> {
        let mut control = tokio::time::interval(Duration::from_secs(self.config.agent.control_read_seconds));
        control.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop = Box::pin(stop);
        let mut deadline = None;
        self.watch.ready();
        loop {
            self.watch.turned();
            self.follow_clocks();
            self.renewals.start();
            self.outbound.advance();
            let wake = match deadline {
                Some(deadline) => self.sleep_for().min(deadline - tokio::time::Instant::now()),
                None => self.sleep_for(),
            };
            tokio::select! {
                event = self.outbound.next() => self.outbound.handle(event)?,
                Some((index, desk, heard)) = self.rounds.next() => self.hear(index, desk, heard)?,
                renewed = self.renewals.next() => {
                    if self.renewed(renewed) {
                        control.reset_immediately();
                    }
                }
                tried = self.teller.next() => self.teller.tried(tried, SystemClock.now().timestamp_millis()).await,
                ask = self.watch.asked() => {
                    self.watch.answer(ask, self.config, &self.outbound, self.receiver.as_ref());
                }
                () = received(self.receiver.as_ref()) => {}
                () = self.again.hangups.next() => self.read_again(),
                _ = control.tick() => self.start_rounds(false),
                () = &mut stop, if deadline.is_none() => {
                    tracing::info!("stops: nothing new begins, what is out is recorded and settled");
                    self.outbound.stop();
                    if let Some(receiver) = &self.receiver {
                        receiver.stop();
                    }
                    self.watch.stops();
                    let patience = Duration::from_secs(self.config.agent.shutdown_seconds);
                    deadline = Some(tokio::time::Instant::now() + patience);
                }
                () = tokio::time::sleep(wake) => {}
            }
            self.outbound.log_waiting();
            let tells = self.rounds.is_empty() && self.outbound.has_command_results();
            if self.mode == Mode::Once && tells && self.outbound.is_done() {
                // Nothing else is left to do.
                control.reset_immediately();
            }
            let over = deadline.is_some_and(|deadline| tokio::time::Instant::now() >= deadline);
            let is_drained = self.receiver.as_ref().is_none_or(Receiver::is_drained);
            if over || self.outbound.is_stopped() && is_drained || self.mode == Mode::Once && self.is_done() {
                break;
            }
        }
        self.farewell().await?;
        Ok(self.ending())
    }

    fn sleep_for(&self) -> Duration {
        let wait = self.outbound.next_wake() - self.outbound.now();
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(1).clamp(1, 60_000));
        let wait = wait.min(self.renewals.wait());
        self.watch.alive_every().map_or(wait, |every| wait.min(every))
    }

    /// Where the time of day was set, or this machine's time stood still, what was proven before that is proven anew.
    fn follow_clocks(&mut self) {
        if self.outbound.follow_clocks() {
            self.outbound.doubt_ownership();
            self.renewals.hurry_all();
        }
    }

    /// Takes in what the database said of what this agent owns. Answers whether something is another agent's by now: the
    /// next round says whose.
    fn renewed(&mut self, renewed: renew::Renewed) -> bool {
        self.renewals.heard(&renewed);
        let database = renewed.database;
        let mut is_lost = false;
        for ((name, direction), said) in renewed.said {
            match said {
                renew::Said::Ours(lease) if direction == "out" => {
                    self.outbound.renewed(database, &name, lease)
                }
                renew::Said::Ours(_) => {}
                renew::Said::AnotherAgents => {
                    if direction == "out" {
                        self.outbound.disowned(database, &name);
                    }
                    self.disowned[database].push((name, direction));
                    is_lost = true;
                }
            }
        }
        is_lost
    }

    /// `once`: every database was looked at, every command is done, nothing is runnable.
    fn is_done(&mut self) -> bool {
        self.rounds.is_empty()
            && self.heard.iter().all(|rounds| *rounds > 0)
            && !self.outbound.has_commands()
            && self.outbound.is_done()
    }

    /// The last word to every database.
    async fn farewell(&mut self) -> Result<()> {
        /// A database that does not answer any more does not keep the process.
        const PATIENCE: Duration = Duration::from_secs(10);
        // Whatever the databases hear of it: this life ends in order, however long the next one is in coming.
        let now = SystemClock.now().timestamp_millis();
        for database_id in &self.met {
            if let Err(error) = self.journal.remember_alive(*database_id, now, true).await {
                tracing::warn!(%error, "the journal does not say that the agent ended in order");
            }
        }
        let last = async {
            let under_way = |desk: &Option<Desk>| desk.is_none();
            let mut ends: Vec<bool> = self.desks.iter().map(under_way).collect();
            self.start_rounds(true);
            while let Some((index, desk, heard)) = self.rounds.next().await {
                self.hear(index, desk, heard)?;
                // That was the round that was under way: now comes its last one.
                if std::mem::take(&mut ends[index]) {
                    self.start_round(index, true);
                }
            }
            Ok::<_, anyhow::Error>(())
        };
        match tokio::time::timeout(PATIENCE, last).await {
            Ok(result) => result?,
            Err(_) => tracing::warn!(
                "a database did not answer: its status table does not say that the agent has stopped"
            ),
        }
        if self.mode == Mode::Once {
            self.teller.tell_all(SystemClock.now().timestamp_millis(), PATIENCE).await;
        }
        Ok(())
    }

    fn ending(&self) -> Ending {
        let totals = self.outbound.totals();
        if self.misconfigured {
            Ending::Configuration
        } else if totals.database_away || totals.ion_away || self.unreachable.contains(&true) {
            Ending::Unreachable
        } else if totals.failed > 0 && self.mode == Mode::Once {
            Ending::Failed
        } else if totals.waiting && self.mode == Mode::Once {
            Ending::Waits
        } else {
            Ending::Done
        }
    }

    /// A round at every database whose last one has ended; one that does not answer delays no other.
    fn start_rounds(&mut self, stopping: bool) {
        self.check_space();
        self.notices.extend(self.outbound.take_notices());
        self.notices.extend(self.teller.take_notices());
        if let Some(receiver) = &self.receiver {
            self.notices.extend(receiver.take_notices());
        }
        for notice in std::mem::take(&mut self.notices) {
            for kept in &mut self.untold {
                keep(kept, &notice);
            }
        }
        for index in 0..self.desks.len() {
            self.start_round(index, stopping);
        }
    }

    fn start_round(&mut self, index: usize, stopping: bool) {
        let Some(mut desk) = self.desks[index].take() else { return };
        let inbound = match self.mode {
            Mode::Once => Receiving::NotNow,
            Mode::Run => Receiving::NoListener,
        };
        let mut said = Said { stopping, inbound, ..Said::default() };
        said.points.extend(self.outbound.take_statuses(index).into_iter().map(|status| PointReport {
            connection_point: status.connection_point,
            point_id: status.point_id,
            state: status.state,
            reason: status.reason,
            in_flight: status.in_flight,
            is_counted: status.is_counted,
            is_gone: status.is_gone,
            is_meant_to_send: status.is_meant_to_send,
            lacks_documents: status.lacks_documents,
            paused_since: status.paused_since,
            is_new: status.is_new,
            selection: status.selection,
            accepted_more: status.figures.accepted_more,
            failed_more: status.figures.failed_more,
            last_accepted_at: status.figures.last_accepted_at,
            last_failure_at: status.figures.last_failure_at,
            last_failure: status.figures.last_failure,
            last_poll_at: status.figures.last_poll_at,
            next_poll_at: status.next_poll_at,
        }));
        self.tell_received(index, &mut said);
        let untold = std::mem::take(&mut self.untold[index]);
        said.notices = untold.into_iter().filter(|notice| self.concerns(index, notice, &said)).collect();
        said.accepted_documents = self.outbound.take_accepted_documents(index);
        said.command_results = self.outbound.take_command_results(index);
        said.refused_elsewhere.clone_from(&self.refused_elsewhere[index]);
        said.disowned = std::mem::take(&mut self.disowned[index]);
        self.rounds.push(Box::pin(async move {
            let heard = desk.round(said).await;
            (index, desk, heard)
        }));
    }

    /// What the receiver has to say, and what has to be known before its database is written to again.
    fn tell_received(&mut self, index: usize, said: &mut Said) {
        let Some(receiver) = &self.receiver else { return };
        let mut received = receiver.take_received(index);
        said.was_lost = self.heard[index] > 0 && receiver.waits_to_meet(index);
        self.losses[index] = receiver.losses(index);
        let waiting = i64::try_from(receiver.waiting(index)).unwrap_or(i64::MAX);
        let reports = self.receiving[index].iter().map(|name| {
            let of_point = received.remove(name).unwrap_or_default();
            InboundReport {
                connection_point: name.clone(),
                stored_more: of_point.stored_more,
                duplicates_more: of_point.duplicates_more,
                refused_more: of_point.refused_more,
                in_flight: waiting,
                last_stored_at: of_point.last_stored_at,
                last_refused_at: of_point.last_refused_at,
                last_refused: of_point.last_refusal,
                trouble: of_point.trouble,
            }
        });
        said.inbound = Receiving::Said(reports.collect());
    }

    /// A finding goes to the database of its connection point; one without goes to all.
    fn concerns(&self, index: usize, notice: &Notice, said: &Said) -> bool {
        match &notice.connection_point {
            Some(name) => {
                said.points.iter().any(|point| point.connection_point == *name)
                    || self.receiving[index].contains(name)
            }
            None => {
                notice.code != "DATABASE_UNAVAILABLE" || notice.subject == self.config.database[index].name
            }
        }
    }

    fn hear(&mut self, index: usize, desk: Desk, mut heard: Heard) -> Result<(), JournalError> {
        self.desks[index] = Some(desk);
        self.heard[index] += 1;
        self.watch.heard(index, &heard);
        let now = SystemClock.now().timestamp_millis();
        self.teller.heard(index, std::mem::take(&mut heard.findings), heard.knows_findings, now);
        if self.mode == Mode::Run && !self.outbound.is_stopping() {
            self.teller.advance(now);
        }
        self.unreachable[index] = heard.error.is_some();
        if let Some(error) = heard.fatal {
            return Err(error);
        }
        if let Some(known) = heard.database_id {
            self.outbound.set_database(index, known);
            self.met.extend(heard.is_met.then_some(known));
        }
        self.outbound.set_site(index, heard.verify, heard.in_doubt_before);
        // A database that was never met has no place in the journal for its connection points.
        if let Some(plan) = heard.plan.as_mut().filter(|_| heard.database_id.is_some()) {
            self.refuse_doubled(index, plan);
            let refused = heard.refused.as_deref();
            self.receiving[index] = receive_by(self.receiver.as_ref(), index, plan, refused);
            self.misconfigured =
                !plan.refused.is_empty() || !self.refused_elsewhere.iter().all(Vec::is_empty);
            let names: Vec<String> = plan.connection_points.keys().cloned().collect();
            self.outbound.set_plan(index, &plan.connection_points);
            for (name, lease) in std::mem::take(&mut heard.leases) {
                self.outbound.claimed(index, &name, lease);
            }
            for name in names {
                let blocked = match (&heard.refused, heard.owned_by.get(&name)) {
                    (Some(reason), _) => Some(Blocked::Refused(reason.clone())),
                    (None, Some(host)) => Some(Blocked::OwnedBy(host.clone())),
                    (None, None) => None,
                };
                if !heard.owned.contains(&(name.clone(), "out")) {
                    self.outbound.disowned(index, &name);
                }
                self.outbound.set_blocked(index, &name, blocked);
            }
        }
        let lacks_proof =
            |(name, direction): &Direction| *direction == "out" && self.outbound.lacks_proof(index, name);
        if heard.owned.iter().any(lacks_proof) {
            self.renewals.hurry(index);
        }
        self.renewals.owns(index, std::mem::take(&mut heard.owned));
        if let Some(receiver) = &self.receiver {
            match (&heard.refused, &heard.plan) {
                (Some(reason), _) => receiver.block(index, reason),
                (None, Some(_)) => {
                    if let Some(database_id) = heard.database_id {
                        receiver.meet(index, self.losses[index], database_id);
                    }
                }
                (None, None) => {}
            }
        }
        if heard.refused.is_some() {
            self.misconfigured = true;
            self.outbound.block_all(index, heard.refused.as_deref().unwrap_or_default());
        } else {
            for command in &heard.commands {
                self.outbound.carry_out(index, command);
            }
        }
        for command_id in heard.closed_commands {
            self.outbound.command_closed(index, command_id);
        }
        Ok(())
    }

    /// The same tenant and logical id in two databases: the one that works goes on, and the newcomer is refused. At a
    /// start the one that the configuration file names later is, whichever is heard first.
    fn refuse_doubled(&mut self, index: usize, plan: &mut Plan) {
        let starts = self.heard.iter().any(|rounds| *rounds < 2);
        self.logical_ids.retain(|_, site| *site != index);
        self.refused_elsewhere[index].clear();
        let logical_ids = &mut self.logical_ids;
        let refused = &mut self.refused_elsewhere[index];
        let databases = &self.config.database;
        plan.connection_points.retain(|name, point| {
            let key = format!("{} {}", point.tenant_id, point.logical_id);
            match logical_ids.get(&key) {
                Some(other) if *other < index || !starts => {
                    let reason = format!(
                        "logical_id {} is also used in database {}: one of them must have another",
                        point.logical_id, databases[*other].name
                    );
                    refused.push((name.clone(), reason));
                    false
                }
                Some(_) | None => {
                    logical_ids.insert(key, index);
                    true
                }
            }
        });
    }

    fn check_space(&mut self) {
        let folder = &self.config.agent.state_dir;
        // Unknown is as it was: no finding ends because nobody could look.
        let Ok(free_bytes) = fs4::available_space(folder) else { return };
        let free_mb = free_bytes / (1024 * 1024);
        let low = free_mb < self.config.agent.minimum_free_mb;
        let notice = Notice::new("DISK_NEARLY_FULL", Severity::Error, None, "state_dir");
        if low {
            tracing::error!(free_mb, "nothing new begins: the disk of the state directory is nearly full");
            self.notices.push(notice.says(
                format!("the disk of {} has {free_mb} MB left; nothing new is sent", folder.display()),
                "Make room, or lower [agent] minimum_free_mb. Nothing is lost.",
            ));
        } else if self.outbound.has_low_space() {
            self.notices.push(notice.clears());
        }
        self.outbound.set_low_space(low);
        let used = fs4::total_space(folder)
            .ok()
            .filter(|total| *total > 0)
            .map(|total| 100_u64.saturating_sub(free_bytes.saturating_mul(100) / total))
            .filter(|used| *used > DISK_USED_MAX && free_mb < DISK_FREE_ENOUGH_MB);
        let notice = Notice::new("DISK_FILLING", Severity::Warning, None, "state_dir");
        match used {
            Some(used) => self.notices.push(notice.says(
                format!("the disk of {} is {used} % full ({free_mb} MB left)", folder.display()),
                "Make room before it is full: below minimum_free_mb nothing new is sent. The journal itself needs \
                 little.",
            )),
            None if self.disk_filling => self.notices.push(notice.clears()),
            None => {}
        }
        self.disk_filling = used.is_some();
    }
}

/// Keeps what a database that does not answer is told later: of each finding the last word.
fn keep(kept: &mut Vec<Notice>, notice: &Notice) {
    let is_same = |it: &Notice| {
        (it.code, &it.connection_point, &it.subject)
            == (notice.code, &notice.connection_point, &notice.subject)
    };
    kept.retain(|it| !is_same(it));
    kept.push(notice.clone());
}

/// Waits for the receiver to have something to look at; for ever, where there is none.
async fn received(receiver: Option<&Receiver>) {
    match receiver {
        Some(receiver) => receiver.changed().await,
        None => std::future::pending().await,
    }
}

/// Hands a database's settings to the receiver; answers the names of what receives.
fn receive_by(
    receiver: Option<&Receiver>,
    index: usize,
    plan: &Plan,
    refused: Option<&str>,
) -> BTreeSet<String> {
    // One that was refused sends and receives nothing.
    let carried = plan.inbound.values().filter_map(|inbound| {
        let point = plan.connection_points.get(&inbound.connection_point)?;
        let sent = point.documents.iter().filter(|(_, it)| it.enabled && point.send_mode != SendMode::Off);
        Some(Route {
            site: index,
            plan: inbound.clone(),
            sends: sent.map(|(name, _)| name.to_string()).collect(),
            blocked: refused.map(str::to_owned).or_else(|| inbound.closed.clone()),
        })
    });
    let routes: Vec<Route> = carried.collect();
    let names = routes.iter().map(|route| route.plan.connection_point.clone()).collect();
    if let Some(receiver) = receiver {
        receiver.set_routes(index, routes);
    }
    names
}
