//! The outgoing path: scan → admit → begin → post → record → settle.
//!
//! One owner holds all connection points and decides; what takes time runs as a future and comes back as an `Event`.
//! `handle` takes an event in, `advance` starts whatever may start, and everything that changes a delivery goes
//! through one list of changes, committed to the journal as one transaction as soon as the last commit has ended.
//! So a commit under load carries many changes, and an idle agent carries none. Nothing is posted before the commit
//! that says so, and the next message of a lane begins in the commit that records the one before it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::clock::Clock;
use crate::crash;
use crate::database::{Database, DatabaseError};
use crate::domain::ahead::MeanTime;
use crate::domain::ids::LaneKey;
use crate::domain::message::Parcel;
use crate::domain::meter::JournalMeter;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::Answer;
use crate::domain::pace::Pace;
use crate::domain::plan::{AfterFailure, Backoff, ConnectionPoint, SendMode};
use crate::domain::waiting::{EndpointNumber, PointNumber, Scopes};
use crate::ims::{self, Client, Remark};
use crate::journal::{Applies, Change, Commit, Journal, JournalError, Record};

mod admit;
mod bytes;
mod clocks;
mod collect;
mod command;
mod compose;
mod deliver;
mod inquire;
mod log;
mod long;
mod measure;
mod order;
mod own;
mod point;
mod rebuild;
mod recover;
mod remark;
mod retain;
mod scopes;
mod settle;
mod status;
mod stuck;
mod unlisted;

use collect::{CollectError, Collected};
pub use command::CommandPage;
pub use compose::{Ask, Preview, preview};
pub use measure::Measured;
pub use point::{Blocked, Figures};
use point::{Point, SettledBatch};
pub use recover::Restored;
pub use status::{PointStatus, Totals};

/// Payload bytes in memory, all connection points together.
const BYTES_MAX: usize = 12 * 1024 * 1024;
/// Admissions in one commit.
const ADMISSIONS: usize = 300;
/// How long a database or a full journal is left alone after an error.
const PAUSE_MS: i64 = 5_000;

/// How long the outgoing path works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is stopped.
    Run,
    /// Until nothing is runnable; schedules and backoff are not waited for.
    Once,
}

/// A database with what the journal knows of it.
pub struct Site {
    pub name: String,
    pub database: Arc<dyn Database>,
    pub database_id: i64,
    /// Rows created up to then (ms since 1970) are in doubt.
    pub in_doubt_before: Option<i64>,
    /// It was restored (or the journal was) since the start: its rows are looked at from the first one.
    restored: bool,
    /// It cannot be reached: not before this time.
    not_before: i64,
    /// Its word that there are new rows is waited for.
    listening: bool,
    /// It could not be asked for that word: not before this time.
    listen_at: i64,
    /// Why, as it was last said.
    deaf: Option<String>,
}

impl Site {
    pub fn new(name: &str, database: Arc<dyn Database>, database_id: i64) -> Self {
        Self {
            name: name.to_owned(),
            database,
            database_id,
            in_doubt_before: None,
            restored: false,
            not_before: 0,
            listening: false,
            listen_at: 0,
            deaf: None,
        }
    }
}

struct Endpoint {
    name: String,
    client: Client,
    /// What its client remarked, as it was last said.
    said: Vec<Remark>,
    /// The last answer that made all of it wait.
    refusal: Option<Answer>,
    /// What is open of it: by what posts were answered, and by what ping was.
    by_posts: Option<&'static str>,
    by_ping: Option<&'static str>,
}

/// Something that took time and has ended.
pub enum Event {
    Recovered(PointNumber, Box<Result<Restored, SettleFailure>>),
    Collected(PointNumber, Box<Look>),
    /// The database says that there may be new rows, or cannot say so now.
    Changed(usize, Result<(), DatabaseError>),
    Committed(Arc<Vec<Change>>, Vec<Then>, Result<Commit, JournalError>),
    Reread(PointNumber, Box<Result<Vec<(i64, deliver::Reread)>, DatabaseError>>, Vec<i64>),
    Posted(Box<deliver::Posted>),
    Settled(PointNumber, Box<Result<SettleOutcome, SettleFailure>>, Vec<stuck::Item>),
    Logged(PointNumber, Result<settle::LoggedPage, SettleFailure>),
    Inquired(PointNumber, Box<inquire::Inquiry>),
    Refilled(PointNumber, Result<Vec<Record>, JournalError>),
    Fetched(PointNumber, LaneKey, Result<Vec<Record>, JournalError>, Vec<i64>),
    Adopted(PointNumber, Result<Vec<Record>, JournalError>),
    Probes(PointNumber, Result<Vec<i64>, JournalError>),
    Command(Box<CommandPage>),
    Retained(PointNumber, Result<retain::Retained, SettleFailure>),
}

/// Opaque to the outside: a look at the outbox.
pub struct Look {
    /// By which it judged.
    settings: Arc<ConnectionPoint>,
    /// The claim under which it read.
    claim: u64,
    /// Ids that it was to judge in any case.
    wanted: std::collections::BTreeSet<i64>,
    found: Result<Collected, CollectError>,
}
/// Opaque to the outside: what settling did.
pub struct SettleOutcome(SettledBatch);

/// Why rows could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleFailure {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What a change means for memory once it is committed.
pub enum Then {
    Nothing,
    Admitted { point: PointNumber, parcel: Option<Box<Parcel>>, bytes: usize, lane: Reserved },
    Begun { point: PointNumber, message: i64 },
    Recorded { point: PointNumber, message: i64 },
    Settled { point: PointNumber, messages: Vec<i64> },
    HeadersParked { point: PointNumber },
    Resent { point: PointNumber, lane: Reserved },
    Released { point: PointNumber },
    Ordered { point: PointNumber, noun: String, applies: Applies },
}

/// A lane and a slot that an admission keeps for its post; none when it only waits.
#[derive(Clone, Copy)]
pub struct Reserved {
    entry_id: i64,
    lane: LaneKey,
    begin: bool,
    path: crate::domain::waiting::Path,
    /// The claim under which its row was read.
    claim: u64,
}

/// All connection points of this agent.
pub struct Outbound {
    host: String,
    mode: Mode,
    clock: Arc<dyn Clock>,
    /// How far `now` is ahead of the steady clock, ms.
    ahead: i64,
    /// The same when this life began.
    ahead_at_start: i64,
    journal: Journal,
    sites: Vec<Site>,
    endpoints: Vec<Endpoint>,
    points: Vec<Point>,
    by_name: HashMap<(usize, String), PointNumber>,
    scopes: Scopes,
    scope_names: HashMap<String, crate::journal::StoredScope>,
    budget: bytes::Budget,
    /// The connection point that is the first to start, in turn.
    first: usize,
    changes: Vec<Change>,
    /// As long as `changes`.
    thens: Vec<Then>,
    /// What a look at the outbox found, a piece a commit: posts that end meanwhile do not wait for all of it.
    admissions: VecDeque<(Change, Then)>,
    /// Since when a commit is under way.
    committing: Option<tokio::time::Instant>,
    /// What a commit takes.
    commit_time: MeanTime,
    /// The journal cannot be written: nothing begins until a commit succeeds.
    no_room: bool,
    commit_not_before: i64,
    /// The disk of the state directory is nearly full.
    low_space: bool,
    work: FuturesUnordered<BoxFuture<'static, Event>>,
    notices: Vec<Notice>,
    /// What happened with documents since it was last told: the last one of each kind.
    remarks: BTreeMap<(&'static str, PointNumber, String), Notice>,
    accepted_documents: Vec<(usize, String, String, String, Option<bool>)>,
    commands_under_way: std::collections::HashSet<(usize, i64)>,
    /// Commands that wait until the journal of their connection points was read.
    commands_waiting: Vec<(usize, crate::database::CommandRow)>,
    command_results: Vec<(usize, crate::database::CommandResult)>,
    delivered_memory_days: u32,
    journal_meter: JournalMeter,
    stopping: bool,
    fatal: Option<JournalError>,
}

impl Outbound {
    /// `clients` by the name of their `[[ion]]`; what waits is read from the journal.
    pub async fn new(
        host: &str,
        mode: Mode,
        clock: Arc<dyn Clock>,
        journal: Journal,
        sites: Vec<Site>,
        clients: BTreeMap<String, Client>,
        delivered_memory_days: u32,
    ) -> Result<Self, JournalError> {
        let scope_names =
            journal.scopes().await?.into_iter().map(|scope| (scope.scope.clone(), scope)).collect();
        let ahead = clock.now().timestamp_millis() - clock.steady();
        Ok(Self {
            host: host.to_owned(),
            mode,
            ahead,
            ahead_at_start: ahead,
            clock,
            journal,
            sites,
            endpoints: clients
                .into_iter()
                .map(|(name, client)| Endpoint {
                    name,
                    client,
                    said: Vec::new(),
                    refusal: None,
                    by_posts: None,
                    by_ping: None,
                })
                .collect(),
            points: Vec::new(),
            by_name: HashMap::new(),
            scopes: Scopes::default(),
            scope_names,
            budget: bytes::Budget::default(),
            first: 0,
            changes: Vec::new(),
            thens: Vec::new(),
            admissions: VecDeque::new(),
            committing: None,
            commit_time: MeanTime::default(),
            no_room: false,
            commit_not_before: 0,
            low_space: false,
            work: FuturesUnordered::new(),
            notices: Vec::new(),
            remarks: BTreeMap::new(),
            accepted_documents: Vec::new(),
            commands_under_way: std::collections::HashSet::new(),
            commands_waiting: Vec::new(),
            command_results: Vec::new(),
            delivered_memory_days,
            journal_meter: JournalMeter::default(),
            stopping: false,
            fatal: None,
        })
    }

    /// Takes over what the control tables of one database say now.
    pub fn set_plan(&mut self, site: usize, plan: &BTreeMap<String, ConnectionPoint>) {
        let now = self.now();
        for number in 0..self.points.len() {
            let point = &mut self.points[number];
            if point.site == site && !plan.contains_key(point.name()) {
                point.planned = false;
                // Its findings end with it; should it come again, they are told anew.
                point.unlisted.clear();
                point.listed_only.clear();
            }
        }
        for settings in plan.values() {
            let key = (site, settings.name.clone());
            match self.by_name.get(&key) {
                Some(number) => self.change_settings(*number, settings, now),
                None => self.add_point(site, settings, now),
            }
        }
    }

    fn add_point(&mut self, site: usize, settings: &ConnectionPoint, now: i64) {
        // Every [[ion]] of the plan has a client: the plan was read with their names.
        let Some(endpoint) = self.endpoints.iter().position(|endpoint| endpoint.name == settings.ion_name)
        else {
            return;
        };
        let (Ok(number), Ok(endpoint)) =
            (PointNumber::try_from(self.points.len()), EndpointNumber::try_from(endpoint))
        else {
            return;
        };
        let mut point = Point::new(number, site, endpoint, Arc::new(settings.clone()), now);
        point.blocked = Some(Blocked::Refused("not claimed yet".into()));
        self.by_name.insert((site, settings.name.clone()), number);
        self.points.push(point);
        self.recover(number);
    }

    fn change_settings(&mut self, number: PointNumber, settings: &ConnectionPoint, now: i64) {
        let mode = self.mode;
        let point = &mut self.points[usize::from(number)];
        point.planned = true;
        // Before the journal was read, what applies is not known; then it is seen to.
        let settings = &self.with_orders(number, settings);
        let point = &mut self.points[usize::from(number)];
        if *point.settings == *settings {
            return;
        }
        tracing::info!(connection_point = settings.name, "new settings apply from now on");
        let before = std::mem::replace(&mut point.settings, Arc::new(settings.clone()));
        if let Some(endpoint) = self.endpoints.iter().position(|endpoint| endpoint.name == settings.ion_name)
            && let Ok(endpoint) = EndpointNumber::try_from(endpoint)
            && endpoint != point.endpoint
        {
            point.endpoint = endpoint;
            for open in point.messages.values_mut() {
                open.path.endpoint = endpoint;
            }
            point.list = point::List::default();
        }
        if before.schedule != settings.schedule || !point.goes_by_cron(mode) {
            point.look_first(mode, now, None);
        }
        point.next_sweep_at = now;
        point.another_sender_until = 0;
        point.blackout_changes_at = 0;
        if before.max_messages_per_second != settings.max_messages_per_second {
            point.pace = settings.max_messages_per_second.map(Pace::new);
        }
        if before.send_mode != settings.send_mode && settings.send_mode == SendMode::On {
            // What `observe` looked at is sent now.
            point.observed_up_to = 0;
        }
        self.release_held(number, &before);
        for document_type in settings.documents.keys().filter(|it| !before.documents.contains_key(it)) {
            let name = document_type.to_string();
            self.points[usize::from(number)].unlisted.remove(&name);
            self.notices.push(unlisted::type_not_listed(&settings.name, &name).clears());
            if self.points[usize::from(number)].listed_only.remove(&name) {
                let notice = ims::findings::only_in_ion(&settings.name, &name);
                self.notices.push(notice.clears());
            }
        }
        // Whatever was judged by other settings is judged again before it is posted.
        self.drop_parcels(number, |_| true);
        self.wake_for_settings(number);
        self.points[usize::from(number)].list.asked_at = 0;
    }

    /// Types whose failures may have held their lanes and no longer do: what waited goes on.
    fn release_held(&mut self, number: PointNumber, before: &ConnectionPoint) {
        let settings = self.point(number).settings.clone();
        let goes_on = |settings: &ConnectionPoint, document_type| {
            let document = settings.documents.get(document_type);
            document.is_some_and(|document| document.after_failure == AfterFailure::Continue)
        };
        for document_type in settings.documents.keys() {
            if goes_on(&settings, document_type) && !goes_on(before, document_type) {
                self.unhold(number, document_type.to_string());
            }
        }
    }

    /// Behind all that was decided by the settings before.
    fn unhold(&mut self, number: PointNumber, document_type: String) {
        let change = Change::Unhold { point_id: self.point(number).point_id, document_type };
        self.admissions.push_back((change, Then::Released { point: number }));
    }

    /// Whether a connection point may work.
    pub fn set_blocked(&mut self, site: usize, name: &str, blocked: Option<Blocked>) {
        if let Some(number) = self.by_name.get(&(site, name.to_owned())) {
            self.points[usize::from(*number)].blocked = blocked;
        }
    }

    /// Whether the disk of the state directory is so full that nothing new may begin.
    pub fn set_low_space(&mut self, low: bool) {
        self.low_space = low;
    }

    pub fn has_low_space(&self) -> bool {
        self.low_space
    }

    /// The journal's number of a database: known once it was met, and before any of its connection points.
    pub fn set_database(&mut self, site: usize, database_id: i64) {
        self.sites[site].database_id = database_id;
    }

    /// Nothing may be sent from a database.
    pub fn block_all(&mut self, site: usize, reason: &str) {
        for point in self.points.iter_mut().filter(|point| point.site == site) {
            point.blocked = Some(Blocked::Refused(reason.to_owned()));
        }
    }

    /// A command is under way.
    pub fn has_commands(&self) -> bool {
        !self.commands_under_way.is_empty()
    }

    /// What the journal knows of a database changed with a claim: rows up to that time are in doubt, and what is
    /// open is compared with its row.
    pub fn set_site(&mut self, site: usize, verify: bool, in_doubt_before: Option<i64>) {
        let known = &mut self.sites[site];
        known.restored |= verify;
        known.in_doubt_before = in_doubt_before;
        if !verify {
            return;
        }
        for number in 0..self.points.len() {
            let Ok(number) = PointNumber::try_from(number) else { break };
            if self.point(number).site != site {
                continue;
            }
            self.drop_parcels(number, |_| true);
            let point = self.point(number);
            point.scanned_up_to = 0;
            point.observed_up_to = 0;
            point.holes = None;
            for open in point.messages.values_mut() {
                open.verify = true;
            }
        }
    }

    /// Nothing new begins; what is out is recorded and settled.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Everything that was out has been recorded and settled, as far as the database can be reached.
    pub fn is_stopped(&self) -> bool {
        let now = self.now();
        self.stopping
            && self.committing.is_none()
            && self.changes.is_empty()
            && self.admissions.is_empty()
            && self.points.iter().all(|point| {
                let reachable = self.sites[point.site].not_before <= now;
                point.is_quiet() && (point.unsettled.is_empty() || !reachable)
            })
    }

    /// The next thing that ends. Never answers when nothing is under way. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Event {
        match self.work.next().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Takes in what has ended, and whatever else has ended by now, so that one commit carries it all.
    ///
    /// # Errors
    /// The journal cannot be used; the process must end, a restart is the next pass.
    pub fn handle(&mut self, event: Event) -> Result<(), JournalError> {
        self.take_in(event);
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.work.next()) {
            self.take_in(event);
        }
        match self.fatal.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Recovered(point, result) => self.recovered(point, *result),
            Event::Collected(point, look) => self.looked(point, *look),
            Event::Changed(site, result) => self.outbox_changed(site, result),
            Event::Committed(changes, thens, result) => self.committed(&changes, thens, result),
            Event::Reread(point, result, messages) => self.reread(point, *result, &messages),
            Event::Posted(posted) => self.posted(*posted),
            Event::Settled(point, result, items) => self.settled(point, *result, items),
            Event::Logged(point, result) => self.logged(point, result),
            Event::Inquired(point, inquiry) => self.inquired(point, *inquiry),
            Event::Refilled(point, result) => self.refilled(point, result),
            Event::Fetched(point, lane, result, asked) => self.fetched(point, lane, result, &asked),
            Event::Adopted(point, result) => self.adopted(point, result),
            Event::Probes(point, result) => {
                if let Ok(ids) = result
                    && !ids.is_empty()
                {
                    self.points[usize::from(point)].wanted.extend(ids);
                    self.points[usize::from(point)].look_soon(self.mode, 0);
                }
            }
            Event::Retained(point, result) => self.retained(point, result),
            Event::Command(page) => self.command_page(*page),
        }
    }

    /// Starts whatever may start.
    pub fn advance(&mut self) {
        let now = self.now();
        self.start_listening(now);
        self.share_bytes();
        let count = self.points.len();
        self.first = (self.first + 1) % count.max(1);
        for turn in 0..count {
            let Ok(number) = PointNumber::try_from((self.first + turn) % count) else { continue };
            self.points[usize::from(number)].lanes.wake(now);
            self.end_pause(number, now);
            self.follow_blackout(number, now);
            if !self.points[usize::from(number)].recovered {
                self.recover(number);
                continue;
            }
            self.start_inquiry(number, now);
            self.let_bytes_go(number, now);
            self.start_posts(number, now);
            self.start_begins(number, now);
            self.start_refill(number);
            self.start_probes(number, now);
            self.start_ordering(number, now);
            self.start_collect(number, now);
            self.start_settle(number, now);
            self.start_retention(number, now);
        }
        self.store_scopes();
        self.commit(now);
    }

    /// A blackout begins or ends.
    fn follow_blackout(&mut self, number: PointNumber, now: i64) {
        let point = self.point(number);
        if point.follow_blackout(now) {
            match point.blackout_until {
                Some(until) => {
                    let until = log::time(until);
                    tracing::warn!(connection_point = point.name(), %until, "a blackout begins: nothing is sent");
                }
                None => tracing::info!(connection_point = point.name(), "its blackout is over"),
            }
        }
    }

    /// When something is due that no event will report (ms since 1970).
    pub fn next_wake(&self) -> i64 {
        let now = self.now();
        let mut wake = now + 60_000;
        let mut at = |time: i64| wake = wake.min(time.max(now + 1));
        let queued = !self.changes.is_empty() || !self.admissions.is_empty();
        if queued && self.committing.is_none() {
            at(self.commit_not_before);
        }
        if let Some(due) = self.scopes.next_due(now) {
            at(due);
        }
        for site in self.sites.iter().filter(|site| !site.listening && self.mode == Mode::Run) {
            at(site.listen_at.max(site.not_before));
        }
        for point in &self.points {
            let site_at = self.sites[point.site].not_before;
            if !point.recovered {
                at(site_at);
            }
            if let Some(time) = point.lanes.next_wake() {
                at(time);
            }
            if point.another_sender_until > now {
                at(point.another_sender_until);
            }
            if let Some(until) = point.pause.as_ref().and_then(|pause| pause.until) {
                at(until);
            }
            at(point.blackout_changes_at);
            if self.may_order(point) {
                at(point.next_order_at);
            }
            // A place on the wire that is taken reports by an event.
            let waits_for_pace = !point.to_post.is_empty() && point.posting < point.settings.parallel_posts;
            if let Some(pace) = point.pace.filter(|_| waits_for_pace) {
                at(pace.ready_at());
            }
            if self.may_let_go(point) {
                at(point.let_go_at);
            }
            if self.may_collect(point) {
                at(point.next_scan_at.max(site_at));
            }
            if !point.settling && !point.unsettled.is_empty() {
                at(site_at.max(point.oldest_unsettled_at + settle::PATIENCE_MS));
            }
            if let Some(due) = point.stuck.next_due().filter(|_| !point.settling) {
                at(site_at.max(due));
            }
        }
        wake
    }

    /// For `once`: nothing is runnable any more.
    pub fn is_done(&self) -> bool {
        let now = self.now();
        self.committing.is_none()
            && (self.changes.is_empty() && self.admissions.is_empty() || self.no_room)
            && self.points.iter().all(|point| {
                if !point.planned {
                    return point.is_quiet();
                }
                let reachable = self.sites[point.site].not_before <= now;
                if !point.recovered {
                    return !reachable;
                }
                let is_settled = self.no_room || point.unsettled.is_empty() && point.reflag.is_empty();
                // What finds no room while nothing is under way waits for the next run.
                let has_looked =
                    point.next_scan_at == i64::MAX && point.wanted.is_empty() || !self.may_collect(point);
                let is_read = point.refill.is_none() || point.is_full();
                point.is_quiet()
                    && (!reachable
                        || !point.is_active()
                        || (is_settled && has_looked && is_read && !self.has_runnable(point, now)))
            })
    }

    /// What the operator should hear of since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        for endpoint in &mut self.endpoints {
            let remarks = endpoint.client.remarks();
            if remarks == endpoint.said {
                continue;
            }
            for code in ims::CODES {
                let of_code = |remarks: &[Remark]| remarks.iter().find(|remark| remark.code == code).cloned();
                let notice = |severity| Notice::new(code, severity, None, endpoint.name.clone());
                match (of_code(&remarks), of_code(&endpoint.said)) {
                    (Some(now), before) if before.as_ref() != Some(&now) => {
                        self.notices.push(notice(now.severity).says(now.text, now.remedy))
                    }
                    (None, Some(before)) => self.notices.push(notice(before.severity).clears()),
                    (Some(_), _) | (None, None) => {}
                }
            }
            endpoint.said = remarks;
        }
        self.notices.extend(std::mem::take(&mut self.remarks).into_values());
        std::mem::take(&mut self.notices)
    }

    fn point(&mut self, number: PointNumber) -> &mut Point {
        &mut self.points[usize::from(number)]
    }

    fn queue(&mut self, change: Change, then: Then) {
        self.changes.push(change);
        self.thens.push(then);
    }

    /// One transaction for everything that is queued, unless one is under way: then the next one takes it.
    fn commit(&mut self, now: i64) {
        if self.committing.is_some() || now < self.commit_not_before {
            return;
        }
        let piece = self.admissions.len().min(ADMISSIONS);
        for (change, then) in self.admissions.drain(..piece) {
            self.changes.push(change);
            self.thens.push(then);
        }
        if self.changes.is_empty() {
            return;
        }
        self.committing = Some(tokio::time::Instant::now());
        let changes = Arc::new(std::mem::take(&mut self.changes));
        let thens = std::mem::take(&mut self.thens);
        let journal = self.journal.clone();
        self.work.push(Box::pin(async move {
            let result = journal.apply(changes.clone()).await;
            Event::Committed(changes, thens, result)
        }));
    }

    fn committed(&mut self, changes: &[Change], thens: Vec<Then>, result: Result<Commit, JournalError>) {
        if let Some(began) = self.committing.take() {
            self.commit_time.take(began.elapsed());
        }
        let Commit { applied, woken } = match result {
            Ok(commit) => commit,
            Err(error @ JournalError::NoRoom { .. }) => {
                self.journal_meter.commits_failed += 1;
                return self.not_committed(changes, thens, &error);
            }
            Err(error) => {
                self.fatal = Some(error);
                return;
            }
        };
        self.journal_meter.commits += 1;
        self.journal_meter.changes += changes.len() as u64;
        if self.no_room {
            self.no_room = false;
            self.notices.push(journal_notice().clears());
        }
        pass_crash_points(&thens);
        for (then, applied) in thens.into_iter().zip(applied) {
            match then {
                Then::Nothing => {}
                Then::Admitted { point, parcel, bytes, lane } => {
                    self.admitted(point, applied, parcel, bytes, lane)
                }
                Then::Begun { point, message } => self.begun(point, message, &applied),
                Then::Recorded { point, message } => self.recorded(point, message, &applied),
                Then::Settled { point, messages } => self.forget(point, &messages),
                Then::HeadersParked { point } => self.point(point).parking -= 1,
                Then::Resent { point, lane } => self.admitted(point, applied, None, 0, lane),
                Then::Ordered { point, noun, applies } => self.ordered(point, noun, applies, &applied),
                Then::Released { point } => self.refill_above(point, i64::MIN),
            }
        }
        self.woken(&woken);
    }

    /// Nothing of it was written. Outcomes stay in memory until they are recorded; what only wanted to begin goes
    /// back to where it was.
    fn not_committed(&mut self, changes: &[Change], thens: Vec<Then>, error: &JournalError) {
        let now = self.now();
        if !self.no_room {
            tracing::error!(error = %error, "nothing new begins until the journal can be written");
        }
        self.no_room = true;
        self.commit_not_before = now + 1_000;
        self.notices.push(journal_notice().says(
            format!("{error}"),
            "Make room on the disk of state_dir. What was posted is kept in memory and recorded then; nothing is lost.",
        ));
        let (mut kept, mut kept_thens) = (Vec::new(), Vec::new());
        for (change, then) in changes.iter().zip(thens) {
            match &then {
                Then::Admitted { point, bytes, lane, .. } => self.not_admitted(*point, *bytes, lane),
                Then::Begun { point, message } => self.not_begun(*point, *message),
                Then::Nothing
                | Then::Recorded { .. }
                | Then::Settled { .. }
                | Then::HeadersParked { .. }
                | Then::Resent { .. }
                | Then::Released { .. }
                | Then::Ordered { .. } => {
                    kept.push(change.clone());
                    kept_thens.push(then);
                }
            }
        }
        // In their order, before what came meanwhile.
        kept.append(&mut self.changes);
        kept_thens.append(&mut self.thens);
        self.changes = kept;
        self.thens = kept_thens;
    }

    /// A database could not be reached, or refuses.
    fn database_failed(&mut self, site: usize, error: &DatabaseError) {
        let now = self.now();
        let site = &mut self.sites[site];
        site.not_before = now + PAUSE_MS;
        tracing::warn!(database = site.name, error = %error, "the database is left alone for a moment");
        let remedy = match error {
            DatabaseError::Unavailable { .. } => {
                "The agent tries again by itself; look at the database if it lasts."
            }
            DatabaseError::NeedsMending { .. } => {
                "Mend what the text names; the agent tries again by itself."
            }
        };
        self.notices.push(database_notice(&site.name).says(error.to_string(), remedy));
    }

    fn database_answered(&mut self, site: usize) {
        let site = &mut self.sites[site];
        if site.not_before > 0 {
            site.not_before = 0;
            self.notices.push(database_notice(&site.name).clears());
        }
    }

    /// Jitter of a wait, −10 % to +10 %, so that connection points do not come back all at once.
    fn jitter() -> f64 {
        fastrand::f64() * 0.2 - 0.1
    }

    /// The smallest backoff of an endpoint's connection points.
    fn endpoint_backoff(&self, endpoint: EndpointNumber) -> Backoff {
        self.points
            .iter()
            .filter(|point| point.endpoint == endpoint && point.planned)
            .map(|point| point.settings.backoff)
            .min_by_key(|backoff| (backoff.step, backoff.max))
            .unwrap_or(Backoff { step: Duration::from_secs(10), max: Duration::from_secs(600) })
    }
}

fn journal_notice() -> Notice {
    Notice::new("JOURNAL_FULL", Severity::Error, None, "journal")
}

fn database_notice(name: &str) -> Notice {
    Notice::new("DATABASE_UNAVAILABLE", Severity::Error, None, name)
}

fn pass_crash_points(thens: &[Then]) {
    let any = |wanted: fn(&Then) -> bool| thens.iter().any(wanted);
    if any(|then| matches!(then, Then::Admitted { .. })) {
        crash::point("after_admit");
    }
    if any(|then| {
        matches!(then, Then::Begun { .. } | Then::Admitted { lane: Reserved { begin: true, .. }, .. })
    }) {
        crash::point("after_begin");
    }
    if any(|then| matches!(then, Then::Recorded { .. })) {
        crash::point("after_record");
    }
}
