//! One connection point in memory: a cache of what the journal and the outbox say, which can be rebuilt from them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use foldhash::{HashMap, HashSet};

use crate::database::{DatabaseError, Selection};
use crate::domain::ahead::{MeanTime, begun_ahead};
use crate::domain::delivery::State;
use crate::domain::holes::Holes;
use crate::domain::ids::LaneKey;
use crate::domain::lanes::{Lanes, TypeNumber, Waiting};
use crate::domain::message::Parcel;
use crate::domain::meter::{PointMeter, TYPES_MAX};
use crate::domain::pace::Pace;
use crate::domain::plan::{AfterFailure, ConnectionPoint, OrderBy, SendMode};
use crate::domain::schedule::Schedule;
use crate::domain::sweep::Sweep;
use crate::domain::waiting::{EndpointNumber, Path, PointNumber};
use crate::journal::{Applies, Pause, Record, Tour};

use super::Mode;
use super::long;
use super::own::Ownership;
use super::stuck::{Item, STUCK_MAX, Stuck, Why};

/// Runnable messages of one connection point in memory.
pub(super) const WINDOW: usize = 20_000;
/// The same with those of which memory has the numbers only.
const NUMBERS: usize = 120_000;
/// Recorded messages that may be unsettled before nothing more begins.
const UNSETTLED_MAX: usize = 1_000;
/// Messages settled in one transaction.
pub(super) const SETTLE_BATCH: usize = 500;

/// A message in memory.
pub(super) struct Open {
    pub record: Record,
    pub path: Path,
    /// Its bytes, from admit to the first post; without them the row is read again before a post.
    pub parcel: Option<Box<Parcel>>,
    /// What the bytes take of the budget.
    pub bytes: usize,
    /// An earlier session read the row: compare before it is flagged.
    pub verify: bool,
}

/// What ION's list of accepted documents says.
#[derive(Debug, Default)]
pub(super) struct List {
    /// It was asked at all, and what it named; `None` within: it cannot be read.
    pub known: Option<Option<BTreeSet<String>>>,
    pub asked_at: i64,
    /// Ping, list or versions said that something is wrong.
    pub has_found: bool,
}

/// Why a connection point sends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Its settings or its database's guards refuse it.
    Refused(String),
    /// Another agent owns it.
    OwnedBy(String),
}

pub(super) struct Point {
    pub number: PointNumber,
    pub site: usize,
    pub endpoint: EndpointNumber,
    pub settings: Arc<ConnectionPoint>,
    pub point_id: i64,
    /// The journal was read: the point may work.
    pub recovered: bool,
    /// Since when the clock goes as it does now: what is dated later is from another time.
    pub clock_since: i64,
    /// Its row is in the plan.
    pub planned: bool,
    pub blocked: Option<Blocked>,
    pub ownership: Ownership,
    types: Vec<Arc<str>>,
    type_numbers: HashMap<Arc<str>, TypeNumber>,
    pub lanes: Lanes,
    pub messages: HashMap<i64, Open>,
    /// Rows that the journal is being told of, by lane, and how often each.
    admitting: BTreeMap<(LaneKey, i64), usize>,
    /// Lanes that give nothing until the journal knows such a row.
    kept_back: HashMap<LaneKey, i64>,
    /// By lane, rows that are out, or accepted (or may be) and not settled: a lower one that is found now is late.
    sent: BTreeSet<(LaneKey, i64)>,
    pub scanned_up_to: i64,
    /// Ids below that which no look has seen; `None`: not known.
    pub holes: Option<Arc<Holes>>,
    pub observed_up_to: i64,
    /// The journal knows no row above this one, and is being told of none.
    pub known_up_to: i64,
    pub next_scan_at: i64,
    pub next_sweep_at: i64,
    /// Where the sweep over the whole table stands.
    pub sweep: Sweep,
    /// Ids to be judged without waiting for a scan.
    pub wanted: BTreeSet<i64>,
    /// Parked rows may have to be judged again.
    pub woken: bool,
    /// Rows wait for headers that may still come.
    pub waits_for_headers: bool,
    /// The last row parked for missing headers that was looked at again.
    pub headers_from: i64,
    /// The journal may have such rows.
    pub headers_parked: bool,
    /// Such rows that the journal is being told of.
    pub parking: usize,
    /// Document types for which parked rows were asked for as probes, and when.
    pub probes_asked: HashMap<TypeNumber, i64>,
    /// Of suspended types, the row that was last taken as a probe.
    pub probe_rows: HashMap<TypeNumber, (LaneKey, i64)>,
    /// Rows that are to be flagged 1 again: ION accepted them before.
    pub reflag: Vec<i64>,
    /// Something waits of which the message log may not know.
    pub may_be_unlogged: bool,
    pub next_log_at: i64,
    /// The journal is being read.
    pub recovering: bool,
    pub collecting: bool,
    /// Payload bytes that it has or keeps, and when some are let go that cannot go soon.
    pub bytes: usize,
    pub let_go_at: i64,
    /// Bytes of a row for which the last look had no room.
    pub bytes_wanted: usize,
    /// The look that is under way may take one document that is larger than what there is.
    pub goes_alone: bool,
    /// Bytes that a look at the outbox keeps for what it may find.
    pub bytes_reserved: usize,
    /// The same, for reading rows again before their post.
    pub read_reserved: usize,
    pub loading: bool,
    /// The claim under which rows are being read again.
    pub loading_claim: u64,
    pub settling: bool,
    pub inquiring: bool,
    pub reporting: bool,
    pub retaining: bool,
    pub next_retention_at: i64,
    /// Processed rows could not be deleted.
    pub not_purged: bool,
    /// Of these, rows that the database keeps, in its words.
    pub not_deleted: BTreeMap<i64, String>,
    /// Old rows of the message log could not be deleted.
    pub log_not_purged: bool,
    /// Where the tour over the tombstones stands.
    pub tombstones_above: i64,
    /// Where the other tours of retention stand.
    pub tour: Tour,
    /// Nothing of it was ever looked at before this life.
    pub is_new: bool,
    /// Receivers that documents went to.
    pub receivers: HashSet<String>,
    /// Since when they are gathered; 0: an earlier life did.
    pub receivers_since: Option<i64>,
    /// The last variation id of documents.
    pub variations: HashMap<LaneKey, i64>,
    /// Which documents are judged alone may have changed; and some were told.
    pub tell_alone: bool,
    pub told_alone: bool,
    /// Slots in use: begun and not answered.
    pub begun: usize,
    /// Of these, the ones that are on the wire.
    pub posting: usize,
    /// What a post takes.
    pub post_time: MeanTime,
    /// Of these, the ones that wait for a place on the wire.
    pub to_post: VecDeque<i64>,
    pub unsettled: VecDeque<i64>,
    pub oldest_unsettled_at: i64,
    /// Of these and of `reflag`, what could not be settled.
    pub stuck: Stuck,
    /// The last settle tried such rows again: the next one takes others.
    pub tried_stuck: bool,
    /// Messages that wait and that the message log does not take.
    pub unlogged: Stuck,
    /// Lanes whose next records are being read.
    pub fetching: usize,
    /// Messages that memory has the numbers of, and since when each waits, of which the message log may not know; and those
    /// that are being logged.
    pub far_unlogged: BTreeMap<i64, i64>,
    pub far_logging: Vec<(i64, i64)>,
    pub refilling: bool,
    /// Pending messages above this row are in the journal only.
    pub refill: Option<i64>,
    /// Messages above this row were admitted or released while a page of them was being read, and are still to be read.
    pub missed: Option<i64>,
    pub list: List,
    /// Types that rows wait for and nobody lists, as this life told them, with the tours that may miss them; where the
    /// next tour goes on; and the last of their rows that was judged again.
    pub unlisted: BTreeMap<String, u8>,
    pub unlisted_from: String,
    pub unlisted_again: (String, i64),
    /// What orders the documents of each noun, as the journal says.
    pub orders: BTreeMap<String, Applies>,
    /// What is to order them once nothing of the noun is open any more.
    pub orders_wanted: BTreeMap<String, OrderBy>,
    /// The journal is asked whether something is; until then nothing new is looked for.
    pub ordering: usize,
    pub next_order_at: i64,
    pub orders_wanted_since: i64,
    /// Types that ION's list named and the settings lacked.
    pub listed_only: BTreeSet<String>,
    /// Somebody else sends from the same outbox: nothing begins before this time.
    pub another_sender_until: i64,
    /// A DBA's pause: nothing is looked at and nothing begins.
    pub pause: Option<Pause>,
    /// The end of the blackout that holds now: as in a pause.
    pub blackout_until: Option<i64>,
    /// When a blackout begins or ends.
    pub blackout_changes_at: i64,
    /// `max_messages_per_second`.
    pub pace: Option<Pace>,
    /// When the last run of a cron schedule ended.
    pub looked_at: Option<i64>,
    pub figures: Figures,
    pub meter: PointMeter,
    /// What the last composing left for the next.
    pub compose: super::compose::Memory,
    /// Changes wait until the open version of their document is settled.
    pub changes_wait: bool,
}

/// What the status table is told.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub accepted_more: i64,
    pub failed_more: i64,
    pub last_accepted_at: Option<DateTime<Utc>>,
    pub last_failure_at: Option<DateTime<Utc>>,
    pub last_failure: Option<String>,
    pub last_poll_at: Option<DateTime<Utc>>,
    /// Since the process started: for `once` and its exit code.
    pub accepted_here: u64,
    pub failed_here: u64,
}

impl Point {
    pub fn new(
        number: PointNumber,
        site: usize,
        endpoint: EndpointNumber,
        settings: Arc<ConnectionPoint>,
        now: i64,
    ) -> Self {
        let pace = settings.max_messages_per_second.map(Pace::new);
        Self {
            number,
            site,
            endpoint,
            settings,
            point_id: 0,
            recovered: false,
            clock_since: now,
            planned: true,
            blocked: None,
            ownership: Ownership::default(),
            types: Vec::new(),
            type_numbers: HashMap::default(),
            lanes: Lanes::default(),
            messages: HashMap::default(),
            admitting: BTreeMap::new(),
            kept_back: HashMap::default(),
            sent: BTreeSet::new(),
            scanned_up_to: 0,
            holes: None,
            observed_up_to: 0,
            known_up_to: i64::MAX,
            next_scan_at: now,
            next_sweep_at: now,
            sweep: Sweep::default(),
            wanted: BTreeSet::new(),
            waits_for_headers: false,
            headers_from: i64::MIN,
            woken: true,
            headers_parked: true,
            parking: 0,
            probes_asked: HashMap::default(),
            probe_rows: HashMap::default(),
            reflag: Vec::new(),
            may_be_unlogged: true,
            next_log_at: now,
            recovering: false,
            collecting: false,
            bytes: 0,
            let_go_at: 0,
            bytes_wanted: 0,
            goes_alone: false,
            bytes_reserved: 0,
            read_reserved: 0,
            loading: false,
            loading_claim: 0,
            settling: false,
            inquiring: false,
            reporting: false,
            retaining: false,
            // Not in the first moments, which belong to what waits.
            next_retention_at: now + 10_000,
            not_purged: false,
            not_deleted: BTreeMap::new(),
            log_not_purged: false,
            tombstones_above: 0,
            tour: Tour::default(),
            is_new: false,
            receivers: HashSet::default(),
            receivers_since: None,
            variations: HashMap::default(),
            tell_alone: true,
            // A finding of an earlier life may be open.
            told_alone: true,
            begun: 0,
            posting: 0,
            post_time: MeanTime::default(),
            to_post: VecDeque::new(),
            unsettled: VecDeque::new(),
            oldest_unsettled_at: 0,
            stuck: Stuck::default(),
            tried_stuck: false,
            unlogged: Stuck::default(),
            fetching: 0,
            far_unlogged: BTreeMap::new(),
            far_logging: Vec::new(),
            refilling: false,
            refill: None,
            missed: None,
            list: List::default(),
            unlisted: BTreeMap::new(),
            unlisted_from: String::new(),
            unlisted_again: super::unlisted::FIRST,
            orders: BTreeMap::new(),
            orders_wanted: BTreeMap::new(),
            ordering: 0,
            next_order_at: 0,
            orders_wanted_since: 0,
            listed_only: BTreeSet::new(),
            another_sender_until: 0,
            pause: None,
            blackout_until: None,
            blackout_changes_at: 0,
            pace,
            looked_at: None,
            figures: Figures::default(),
            meter: PointMeter::default(),
            compose: super::compose::Memory::default(),
            changes_wait: false,
        }
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Which rows are its own.
    pub fn selection(&self) -> Selection {
        Selection {
            tenant_id: self.settings.source_tenant_id.clone(),
            logical_id: self.settings.source_logical_id.clone(),
            rows_from: self.settings.send_rows_from,
        }
    }

    /// It may look at rows.
    pub fn is_active(&self) -> bool {
        self.recovered
            && self.planned
            && self.blocked.is_none()
            && !self.is_halted()
            && self.settings.send_mode != SendMode::Off
            && !self.settings.documents.is_empty()
    }

    /// A pause or a blackout: nothing is looked at, nothing begins, nothing goes out.
    pub fn is_halted(&self) -> bool {
        self.pause.is_some() || self.blackout_until.is_some()
    }

    /// It may post.
    pub fn sends(&self) -> bool {
        self.is_active() && self.settings.send_mode == SendMode::On
    }

    /// The number of a document type, given on first sight.
    pub fn type_number(&mut self, document_type: &str) -> TypeNumber {
        if let Some(number) = self.type_numbers.get(document_type) {
            return *number;
        }
        // More than 65,535 types in one outbox share the last number: they then wait together.
        let number = TypeNumber::try_from(self.types.len()).unwrap_or(TypeNumber::MAX);
        let name: Arc<str> = document_type.into();
        self.types.push(name.clone());
        self.type_numbers.insert(name, number);
        number
    }

    /// The names of the types that are counted apart, by number.
    pub fn counted_types(&self) -> &[Arc<str>] {
        &self.types[..self.types.len().min(TYPES_MAX)]
    }

    pub fn type_name(&self, number: TypeNumber) -> &str {
        self.types.get(usize::from(number)).map_or("", |name| name)
    }

    /// What the later messages of a lane do after a failure of this type.
    pub fn after_failure(&self, document_type: &str) -> AfterFailure {
        self.settings.after_failure_of(document_type)
    }

    /// Whether the later messages of its lane wait when this one fails. For one that is sent once more they do not: its
    /// row was accepted before, so that no correction of it would let them go.
    pub fn holds_its_lane(&self, message: i64) -> bool {
        self.messages.get(&message).is_some_and(|open| {
            !open.record.is_resend() && self.after_failure(&open.record.document_type) == AfterFailure::Hold
        })
    }

    pub fn path(&mut self, document_type: &str, lane: LaneKey) -> Path {
        let document_type = self.type_number(document_type);
        Path { endpoint: self.endpoint, point: self.number, document_type, lane }
    }

    /// Takes a message into memory; pending ones wait in their lane. Answers the bytes that are free, where it is so far
    /// behind others of its document that the lane has only its number.
    pub fn remember(&mut self, record: Record, mut parcel: Option<Box<Parcel>>, bytes: usize) -> usize {
        if let Some(parcel) = &mut parcel
            && parcel.parameters.message_id != record.message_id
        {
            parcel.parameters.message_id.clone_from(&record.message_id);
        }
        let path = self.path(&record.document_type, record.lane);
        let waiting = Waiting {
            entry_id: record.entry_id,
            message: record.message,
            priority: record.priority,
            document_type: path.document_type,
        };
        let lane = record.lane;
        let message = record.message;
        let is_final = record.delivery.state.is_final();
        if matches!(record.delivery.state, State::InFlight | State::Accepted) {
            self.goes_out(lane, record.entry_id);
        }
        let is_far_behind =
            record.delivery.state == State::Pending && self.lanes.count_of(lane) >= long::FULL;
        if is_final {
            self.unsettled.push_back(message);
        } else {
            self.lanes.insert(lane, waiting);
            self.wait_for_admissions(lane);
        }
        if is_far_behind {
            if !record.logged {
                self.far_unlogged.insert(message, record.seen_at);
            }
            return bytes;
        }
        self.keep(record, parcel, bytes);
        0
    }

    /// The record of a message is in memory.
    pub fn keep(&mut self, record: Record, parcel: Option<Box<Parcel>>, bytes: usize) {
        let path = self.path(&record.document_type, record.lane);
        self.messages.insert(record.message, Open { record, path, parcel, bytes, verify: false });
    }

    /// When the outbox is looked at next, unless something asked for it earlier while the last look was under way.
    pub fn look_again(&mut self, more: bool, mode: Mode, now: i64) {
        let next = match (more, mode) {
            (true, _) => now,
            (false, Mode::Run) => self.next_look(now),
            (false, Mode::Once) => i64::MAX,
        };
        self.next_scan_at = self.next_scan_at.min(next);
    }

    /// When the schedule wants the next look. Runs that were missed meanwhile are not made up for.
    fn next_look(&self, now: i64) -> i64 {
        match &self.settings.schedule {
            Schedule::Every(poll) => now.saturating_add(i64::try_from(poll.as_millis()).unwrap_or(i64::MAX)),
            Schedule::Cron(cron) => {
                cron.next_after(super::log::time(now)).map_or(i64::MAX, |next| next.timestamp_millis())
            }
        }
    }

    /// The first look of a life, or under a new schedule: at once, but by a cron schedule when it says, or at once where
    /// it would have said so since a time.
    pub fn look_first(&mut self, mode: Mode, now: i64, since: Option<i64>) {
        let missed = since.is_some_and(|since| self.next_look(since) <= now);
        self.next_scan_at = if self.goes_by_cron(mode) && !missed { self.next_look(now) } else { now };
    }

    /// There may be something to find: looked at soon, but never outside a cron schedule.
    pub fn look_soon(&mut self, mode: Mode, now: i64) {
        if !self.goes_by_cron(mode) {
            self.next_scan_at = self.next_scan_at.min(now);
        }
    }

    /// Each of its looks is a run that goes over all rows.
    pub fn goes_by_cron(&self, mode: Mode) -> bool {
        mode == Mode::Run && matches!(self.settings.schedule, Schedule::Cron(_))
    }

    /// Whether a blackout holds now; `true`: that has changed.
    pub fn follow_blackout(&mut self, now: i64) -> bool {
        if now < self.blackout_changes_at {
            return false;
        }
        let before = self.blackout_until;
        let (until, next) = match &self.settings.blackout {
            Some(blackout) => {
                let instant = super::log::time(now);
                (blackout.until(instant), blackout.next_after(instant))
            }
            None => (None, None),
        };
        self.blackout_until = until.map(|until| until.timestamp_millis());
        self.blackout_changes_at = until.or(next).map_or(i64::MAX, |change| change.timestamp_millis());
        before.is_some() != self.blackout_until.is_some()
    }

    /// A message goes out, or has.
    pub fn goes_out(&mut self, lane: LaneKey, entry_id: i64) {
        self.sent.insert((lane, entry_id));
    }

    /// A message did not go out, or is settled: whether it did is known to the journal from here on.
    pub fn is_back(&mut self, lane: LaneKey, entry_id: i64) {
        self.sent.remove(&(lane, entry_id));
    }

    /// A later row of the lane went out, and the journal cannot tell: not yet, or not since another order applies.
    pub fn is_late(&self, document_type: &str, lane: LaneKey, entry_id: i64) -> bool {
        self.was_ordered_otherwise(document_type, entry_id)
            || self.sent.range((lane, entry_id)..=(lane, i64::MAX)).any(|(_, sent)| *sent > entry_id)
    }

    /// The journal is to be told of a message of this row: later ones of its lane wait.
    pub fn admission_begins(&mut self, entry_id: i64, lane: LaneKey) {
        *self.admitting.entry((lane, entry_id)).or_default() += 1;
        self.wait_for_admissions(lane);
    }

    /// The journal knows a message now, or could not be told.
    pub fn admission_ended(&mut self, entry_id: i64, lane: LaneKey) {
        if let Some(more) = self.admitting.get_mut(&(lane, entry_id)).filter(|times| **times > 1) {
            *more -= 1;
            return;
        }
        self.admitting.remove(&(lane, entry_id));
        if self.kept_back.get(&lane) == Some(&entry_id) {
            self.kept_back.remove(&lane);
            self.give_back(lane);
        }
    }

    /// A row comes into memory with one of the next pages of the journal, behind lower ones of its lane that may be there
    /// only; and what memory has of the lane above it comes behind it. Answers the bytes that are free.
    pub fn comes_with_a_page(&mut self, entry_id: i64, lane: LaneKey) -> usize {
        self.missed = Some(self.missed.unwrap_or(i64::MAX).min(entry_id - 1));
        self.let_go_above(lane, entry_id)
    }

    /// The lane may give its next message, unless a lower row is on its way here.
    pub fn give_back(&mut self, lane: LaneKey) {
        self.lanes.give_back(lane);
        self.wait_for_admissions(lane);
    }

    /// A message of the lane is out by its admission: the lane gives nothing until it is back.
    pub fn occupy(&mut self, lane: LaneKey) {
        self.kept_back.remove(&lane);
        self.lanes.occupy(lane);
    }

    /// Memory lets go what comes after a row, but for one that is out: the journal holds it (the row failed), or brings it
    /// again. Answers the bytes that are free.
    pub fn let_go_above(&mut self, lane: LaneKey, entry_id: i64) -> usize {
        let mut freed = 0;
        let out = self
            .lanes
            .head(lane)
            .map(|head| head.entry_id)
            .filter(|head| self.lanes.is_out(lane, *head) && !self.kept_back.contains_key(&lane));
        for waiting in self.lanes.remove_above(lane, entry_id) {
            // One of which the journal does not know yet that it is back would not be brought.
            let is_pending = |open: &Open| open.record.delivery.state == State::Pending;
            if out == Some(waiting.entry_id) || !self.messages.get(&waiting.message).is_none_or(is_pending) {
                self.lanes.insert(lane, waiting);
            } else {
                freed += self.messages.remove(&waiting.message).map_or(0, |open| open.bytes);
            }
        }
        self.may_be_unlogged = true;
        freed
    }

    /// The lowest row of a lane that the journal is being told of.
    pub fn lowest_admitting(&self, lane: LaneKey) -> Option<i64> {
        let mut rows = self.admitting.range((lane, i64::MIN)..=(lane, i64::MAX));
        rows.next().map(|((_, entry_id), _)| *entry_id)
    }

    /// The journal is being told of a row that is to be the probe of this type.
    pub fn is_admitting_probe(&self, document_type: TypeNumber) -> bool {
        self.probe_rows.get(&document_type).is_some_and(|row| self.admitting.contains_key(row))
    }

    /// All rows that the journal is being told of.
    pub fn admitting(&self) -> impl Iterator<Item = i64> {
        self.admitting.keys().map(|(_, entry_id)| *entry_id)
    }

    fn wait_for_admissions(&mut self, lane: LaneKey) {
        if let Some(lowest) = self.lowest_admitting(lane)
            && self.lanes.wait_for(lane, lowest)
        {
            self.kept_back.insert(lane, lowest);
        }
    }

    /// The time since which something waits to be settled.
    pub fn start_unsettled_clock(&mut self, now: i64) {
        if self.unsettled.is_empty() && self.reflag.is_empty() {
            self.oldest_unsettled_at = now;
        }
    }

    /// The last failure, for the status table.
    pub fn note_failure(&mut self, record: &Record) {
        let text = record.failure.as_ref().map(|failure| format!("{}: {}", failure.code, failure.text));
        self.figures.last_failure_at = record.finished_at.map(super::log::time);
        self.figures.last_failure = text.map(|text| super::log::cut(&text, 1000));
    }

    /// There is room for more runnable messages.
    pub fn has_room(&self) -> bool {
        !self.is_full() && self.is_settled_enough() && self.refill.is_none()
    }

    /// Memory takes no more runnable messages.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= WINDOW || self.lanes.count() >= NUMBERS
    }

    /// What is done and not settled is little enough for more to begin.
    pub fn is_settled_enough(&self) -> bool {
        self.unsettled.len() < UNSETTLED_MAX && self.stuck.len() < STUCK_MAX
    }

    /// Slots: as many on the wire as `parallel_posts` says, and those that the journal commits meanwhile.
    pub fn slots(&self, commit: MeanTime) -> usize {
        let parallel_posts = self.settings.parallel_posts;
        let slots = parallel_posts + begun_ahead(parallel_posts, commit, self.post_time);
        // What a second lets out: nothing waits long between its begin and its post.
        match self.settings.max_messages_per_second {
            Some(rate) => slots.min(usize::try_from(rate).unwrap_or(slots)),
            None => slots,
        }
    }

    /// Nothing is under way that an event will report.
    pub fn is_quiet(&self) -> bool {
        !(self.collecting
            || self.loading
            || self.settling
            || self.inquiring
            || self.refilling
            || self.reporting)
            && self.fetching == 0
            && self.begun == 0
            && self.admitting.is_empty()
    }
}

/// What came back from settling.
#[derive(Default)]
pub(super) struct SettledBatch {
    /// Rows that no longer hold what was sent: written to the log, not flagged.
    pub changed: Vec<i64>,
    /// Rows that had flag 1 before.
    pub already_flagged: Vec<i64>,
    pub done: Vec<Item>,
    pub stuck: Vec<(Item, Why)>,
    /// Not tried, or not to an end.
    pub left: Vec<Item>,
    /// What ended the trying.
    pub error: Option<DatabaseError>,
}
