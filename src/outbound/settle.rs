//! settle: the outbox row carries its flag and the message log its row, in one transaction of the database; then the
//! journal lets the message go. Also what waits longer than a moment gets its row in the log here.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::point::{Point, SETTLE_BATCH, SettledBatch};
use super::stuck::{Item, Why};
use super::{Event, Outbound, SettleFailure, SettleOutcome, Then, log};
use crate::bod;
use crate::crash;
use crate::database::{Database, DatabaseError, LogRow, Settle};
use crate::domain::delivery::{Delivery, State};
use crate::domain::halves::Halves;
use crate::domain::ids::{IdentityDigest, LaneKey};
use crate::domain::notice::{Notice, Severity};
use crate::domain::waiting::{PointNumber, Scope};
use crate::journal::{Change, Journal, LoggedState, Record};

/// How long recorded messages may gather before they are settled: less than anyone notices, enough for a batch.
pub(super) const PATIENCE_MS: i64 = 50;
/// A message that waits longer than this is written to the log while it waits.
const LOG_AFTER_MS: i64 = 5_000;
/// Log rows of waiting messages a transaction: short enough for somebody else's database.
const LOG_PAGE: usize = 500;
/// How long nothing is sent after somebody else's flag was seen: ION gets few documents twice while a person looks,
/// and one row that was flagged by hand does not stop a night's work.
const ANOTHER_SENDER_MS: i64 = 600_000;
/// Bytes that comparing rows with what was sent may load at once.
const VERIFY_BYTES: usize = 8 * 1024 * 1024;

impl Outbound {
    pub(super) fn start_settle(&mut self, number: PointNumber, now: i64) {
        let stopping = self.stopping;
        let point = &mut self.points[usize::from(number)];
        let site = &self.sites[point.site];
        let ready = point.unsettled.len() + point.reflag.len();
        let is_due = ready >= SETTLE_BATCH
            || now >= point.oldest_unsettled_at + PATIENCE_MS
            || stopping
            || (point.begun == 0 && point.is_quiet());
        if point.settling || !point.recovered || site.not_before > now {
            return;
        }
        let again = !point.tried_stuck && point.stuck.next_due().is_some_and(|due| due <= now);
        if !again && (ready == 0 || !is_due) {
            point.tried_stuck &= ready > 0;
            return;
        }
        point.settling = true;
        let again = if point.tried_stuck { Vec::new() } else { point.stuck.due(SETTLE_BATCH, now) };
        point.tried_stuck = !again.is_empty();
        let mut reflag = Vec::new();
        let items: Vec<Item> = match again.is_empty() {
            false => again,
            true => {
                point.oldest_unsettled_at = now;
                let take = point.unsettled.len().min(SETTLE_BATCH);
                let messages = point.unsettled.drain(..take).map(Item::Message);
                messages.chain(std::mem::take(&mut point.reflag).into_iter().map(Item::Row)).collect()
            }
        };
        let settings = point.settings.clone();
        let mut log = Vec::with_capacity(items.len());
        let mut ended = Vec::with_capacity(items.len());
        for item in &items {
            let message = match item {
                Item::Message(message) => message,
                Item::Row(entry_id) => {
                    reflag.push(*entry_id);
                    continue;
                }
            };
            let Some(open) = point.messages.get(message) else { continue };
            let record = &open.record;
            if settings.log_all_messages || log::is_problem(record) {
                log.push(log::row(record, &settings, &self.host, None, now));
            }
            ended.push(Ended {
                message: record.message,
                message_key: record.message_key,
                entry_id: record.entry_id,
                identity: record.identity,
                delivery: record.delivery,
                verify: open.verify,
                is_resend: record.is_resend(),
            });
        }
        let job = Job {
            database: site.database.clone(),
            journal: self.journal.clone(),
            settings,
            host: self.host.clone(),
            ended,
            log,
            reflag,
        };
        self.work.push(Box::pin(async move {
            let result = settle(job).await.map(SettleOutcome);
            Event::Settled(number, Box::new(result), items)
        }));
    }

    pub(super) fn settled(
        &mut self,
        number: PointNumber,
        result: Result<SettleOutcome, SettleFailure>,
        items: Vec<Item>,
    ) {
        let now = self.now();
        let site = self.point(number).site;
        self.point(number).settling = false;
        let mut batch = match result {
            Ok(SettleOutcome(batch)) => batch,
            Err(SettleFailure::Database(error)) => {
                SettledBatch { left: items, error: Some(error), ..SettledBatch::default() }
            }
            Err(SettleFailure::Journal(error)) => {
                self.fatal = Some(error);
                return;
            }
        };
        let (mode, point) = (self.mode, self.point(number));
        let again = point.tried_stuck;
        let messages: Vec<i64> = batch.done.iter().filter_map(Item::message).collect();
        match batch.error {
            Some(_) => point.meter.settles_failed += 1,
            None => point.meter.settles += 1,
        }
        point.meter.settled += messages.len() as u64;
        point.put_back(std::mem::take(&mut batch.left), now);
        for item in &batch.done {
            point.stuck.free(*item);
        }
        for (item, why) in std::mem::take(&mut batch.stuck) {
            point.hold(item, why, now);
        }
        if std::mem::take(&mut point.changes_wait) && !messages.is_empty() {
            // An open version may be done: what waited for it is composed.
            point.look_soon(mode, now);
        }
        let name = point.name().to_owned();
        let notices = point.stuck.settling(&name, now);
        self.notices.extend(notices);
        match batch.error {
            // A row that somebody keeps locked may not even be read: no reason to leave the database alone.
            Some(error) if again => {
                tracing::debug!(error = %error, "what could not be settled is tried later")
            }
            Some(error) => self.database_failed(site, &error),
            None => self.database_answered(site),
        }
        if !batch.already_flagged.is_empty() {
            self.point(number).another_sender_until = now + ANOTHER_SENDER_MS;
            self.notices.push(another_sender(&name, &batch.already_flagged));
        }
        if !batch.changed.is_empty() {
            self.notices.push(row_changed(&name, &batch.changed));
        }
        if !messages.is_empty() {
            let change = Change::Settled { messages: messages.clone(), now };
            self.queue(change, Then::Settled { point: number, messages });
        }
    }

    /// The journal has let it go: memory does too.
    pub(super) fn forget(&mut self, number: PointNumber, messages: &[i64]) {
        let point = self.point(number);
        let mut freed = 0;
        for message in messages {
            let Some(open) = point.messages.remove(message) else { continue };
            freed += open.bytes;
            point.is_back(open.path.lane, open.record.entry_id);
        }
        self.free_bytes(number, freed);
    }

    /// Writes what waits longer than a moment into the message log.
    pub fn log_waiting(&mut self) {
        let now = self.now();
        for point in &mut self.points {
            let site = &self.sites[point.site];
            let idle = point.messages.is_empty() && !point.may_be_unlogged;
            if idle || point.reporting || !point.recovered || now < point.next_log_at || site.not_before > now
            {
                continue;
            }
            if point.settings.send_mode != crate::domain::plan::SendMode::On {
                continue;
            }
            point.reporting = true;
            point.may_be_unlogged = false;
            point.next_log_at = now + LOG_AFTER_MS;
            let lane_waits: HashMap<LaneKey, i64> = self
                .scopes
                .troubles()
                .filter_map(|(scope, trouble)| match scope {
                    Scope::Lane(of, lane) if of == point.number => Some((lane, trouble.not_before)),
                    Scope::Lane(..)
                    | Scope::Endpoint(_)
                    | Scope::ConnectionPoint(_)
                    | Scope::DocumentType(..) => None,
                })
                .collect();
            let wide = [Scope::Endpoint(point.endpoint), Scope::ConnectionPoint(point.number)]
                .into_iter()
                .filter_map(|scope| self.scopes.trouble(scope).map(|trouble| trouble.not_before))
                .max();
            let mut waiting: Vec<i64> = point
                .messages
                .values()
                .map(|open| &open.record)
                .filter(|record| {
                    let since = match record.delivery.state {
                        State::InFlight => record.last_attempt_at.unwrap_or(record.seen_at),
                        _ => record.seen_at,
                    };
                    !record.logged
                        && !record.delivery.state.is_final()
                        && since < now - LOG_AFTER_MS
                        && !point.unlogged.waits(Item::Message(record.message), now)
                })
                .take(LOG_PAGE)
                .map(|record| record.message)
                .collect();
            while point.far_logging.len() + waiting.len() < LOG_PAGE
                && let Some(first) = point.far_unlogged.first_entry()
                && *first.get() < now - LOG_AFTER_MS
            {
                point.far_logging.push(first.remove_entry());
            }
            waiting.extend(point.far_logging.iter().map(|(message, _)| *message));
            let messages = &point.messages;
            point.unlogged.keep(|item| item.message().is_some_and(|message| messages.contains_key(&message)));
            let job = WaitingJob {
                unlogged: point.unlogged.waiting(now),
                database: site.database.clone(),
                journal: self.journal.clone(),
                waiting,
                settings: point.settings.clone(),
                host: self.host.clone(),
                point_id: point.point_id,
                lane_waits,
                wide,
                now,
            };
            let number = point.number;
            self.work.push(Box::pin(async move { Event::Logged(number, log_waiting(job).await) }));
        }
    }

    pub(super) fn logged(&mut self, number: PointNumber, result: Result<LoggedPage, SettleFailure>) {
        let site = self.point(number).site;
        self.point(number).reporting = false;
        let far = std::mem::take(&mut self.point(number).far_logging);
        if result.is_err() {
            self.point(number).far_unlogged.extend(far);
        }
        match result {
            Ok(LoggedPage { states, tries, refused }) => {
                let now = self.now();
                let point = self.point(number);
                for (message, entry_id, document_id, words) in refused {
                    let item = Item::Message(message);
                    point.unlogged.hold(item, entry_id, document_id, Why::Refused(words), now);
                }
                for logged in &states {
                    point.unlogged.free(Item::Message(logged.message));
                    if let Some(open) = point.messages.get_mut(&logged.message) {
                        let delivery = open.record.delivery;
                        open.record.logged =
                            delivery.state == logged.state && delivery.attempts == logged.attempts;
                    }
                }
                let name = point.name().to_owned();
                let notice = point.unlogged.logging(&name);
                point.may_be_unlogged |= !states.is_empty() || !point.unlogged.is_empty();
                self.notices.extend(notice);
                if !states.is_empty() {
                    self.queue(Change::Logged { states, tries }, Then::Nothing);
                }
            }
            Err(SettleFailure::Database(error)) => self.database_failed(site, &error),
            Err(SettleFailure::Journal(error)) => self.fatal = Some(error),
        }
    }
}

impl Point {
    /// What was not settled: in its order, before what came meanwhile. Rows that are flagged again are found by the next
    /// sweep. Whether the database did it nevertheless is not known: rows are compared before they are flagged.
    fn put_back(&mut self, items: Vec<Item>, now: i64) {
        for item in items.into_iter().rev() {
            if self.stuck.has(item) {
                self.stuck.put_off(item, now);
            } else if let Item::Message(message) = item {
                self.unsettled.push_front(message);
            }
            if let Some(open) = item.message().and_then(|message| self.messages.get_mut(&message)) {
                open.verify = true;
            }
        }
    }

    /// It waits for its own next try; what its row holds then is compared.
    fn hold(&mut self, item: Item, why: Why, now: i64) {
        let (entry_id, document_id) = match item {
            Item::Row(entry_id) => (entry_id, None),
            Item::Message(message) => {
                let Some(open) = self.messages.get_mut(&message) else { return };
                open.verify = true;
                (open.record.entry_id, open.record.facts.document_id.clone())
            }
        };
        self.stuck.hold(item, entry_id, document_id, why, now);
    }
}

struct Job {
    database: std::sync::Arc<dyn Database>,
    journal: Journal,
    settings: std::sync::Arc<crate::domain::plan::ConnectionPoint>,
    host: String,
    ended: Vec<Ended>,
    log: Vec<LogRow>,
    reflag: Vec<i64>,
}

/// What settling needs of a message that has ended.
struct Ended {
    message: i64,
    message_key: Uuid,
    entry_id: i64,
    identity: IdentityDigest,
    delivery: Delivery,
    /// An earlier session read the row, or an earlier try may have flagged it: compare before it is flagged.
    verify: bool,
    /// Its row has flag 1 already.
    is_resend: bool,
}

async fn settle(job: Job) -> Result<SettledBatch, SettleFailure> {
    let changed = verify(&job).await?;
    let tried: Vec<i64> = job
        .ended
        .iter()
        .filter(|ended| {
            ended.delivery.attempts > 1
                || ended.delivery.state != State::Accepted
                || job.settings.log_all_attempts
        })
        .map(|ended| ended.message)
        .collect();
    let attempts = if tried.is_empty() { Vec::new() } else { job.journal.attempts(tried).await? };
    let keys: HashMap<i64, Uuid> = match attempts.is_empty() {
        true => HashMap::new(),
        false => job.ended.iter().map(|ended| (ended.message, ended.message_key)).collect(),
    };
    let whole = Settle {
        log: job.log,
        attempts: attempts
            .into_iter()
            .filter_map(|(message, number, attempt)| {
                Some(log::attempt(*keys.get(&message)?, number, attempt, &job.host))
            })
            .collect(),
        ..Settle::default()
    };
    let mut parts: Vec<Part> = Vec::with_capacity(job.ended.len() + job.reflag.len());
    for ended in &job.ended {
        let flag = match ended.delivery.state {
            _ if changed.contains(&ended.entry_id) => None,
            State::Accepted => Some(Flag::Accepted),
            State::Failed | State::Discarded => Some(Flag::Failed),
            State::Pending | State::InFlight | State::Withdrawn | State::Superseded => None,
        };
        let item = Item::Message(ended.message);
        parts.push(Part { item, entry_id: ended.entry_id, key: Some(ended.message_key), flag });
    }
    let reflag = |entry_id: &i64| Part {
        item: Item::Row(*entry_id),
        entry_id: *entry_id,
        key: None,
        flag: Some(Flag::Accepted),
    };
    parts.extend(job.reflag.iter().map(reflag));
    let mut batch = write(job.database.as_ref(), whole, parts).await;
    crash::point("after_settle");
    // An earlier try, or an earlier life, may have flagged its rows and not lived to know it; a row that is flagged
    // again was never ours to wonder about. Only what was posted just now tells of somebody else.
    let fresh: HashSet<i64> = job
        .ended
        .iter()
        .filter(|ended| !ended.verify && !ended.is_resend)
        .map(|ended| ended.entry_id)
        .collect();
    batch.already_flagged.retain(|entry_id| fresh.contains(entry_id));
    batch.changed = changed;
    Ok(batch)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Accepted,
    Failed,
}

/// What of a batch belongs together: a row's flag, and its message's log row and tries.
struct Part {
    item: Item,
    entry_id: i64,
    key: Option<Uuid>,
    flag: Option<Flag>,
}

/// Writes a batch: all of it in one transaction; where the database refuses that for something in it, in parts, so that
/// what is at fault is alone with its fault.
async fn write(database: &dyn Database, mut whole: Settle, parts: Vec<Part>) -> SettledBatch {
    let size = parts.len();
    (whole.accepted, whole.failed) = flagged(&parts);
    let (mut batch, mut locks) = (SettledBatch::default(), 0);
    let mut halves = Halves::of(parts);
    while let Some(parts) = halves.part() {
        let answer = match parts.len() == size {
            true => database.outbox_settle(&whole).await,
            false => database.outbox_settle(&some_of(&whole, &parts)).await,
        };
        match answer {
            Ok(settled) => {
                let locked = settled.locked.into_iter().map(|it| (it.entry_id, Why::Locked(it.holder)));
                let unchanged = settled.unchanged.into_iter().map(|entry_id| (entry_id, Why::Unchanged));
                let left: HashMap<i64, Why> = locked.chain(unchanged).collect();
                for part in parts {
                    match left.get(&part.entry_id) {
                        Some(why) => batch.stuck.push((part.item, why.clone())),
                        None => batch.done.push(part.item),
                    }
                }
                batch.already_flagged.extend(settled.already_flagged);
            }
            Err(error) if error.is_lock() && batch.done.is_empty() && locks >= DatabaseError::LOCKS_MAX => {
                batch.error = Some(error);
                halves.stop(parts);
            }
            Err(error) if error.spares_parts() => {
                locks += usize::from(error.is_lock());
                halves.refuse(parts, error);
            }
            Err(error) => {
                batch.error = Some(error);
                halves.stop(parts);
            }
        }
    }
    let (refused, left) = halves.end();
    batch.left = left.into_iter().map(|part| part.item).collect();
    let has_passed = !batch.done.is_empty() || !batch.stuck.is_empty();
    for (part, error) in refused {
        match error.is_lock() {
            false => batch.stuck.push((part.item, Why::Refused(error.to_string()))),
            true if has_passed => batch.stuck.push((part.item, Why::Locked(None))),
            // Nothing gets through: more than a row is locked.
            true => {
                batch.left.push(part.item);
                batch.error.get_or_insert(error);
            }
        }
    }
    batch
}

/// The rows to be flagged 1, and those to be flagged 9.
fn flagged(parts: &[Part]) -> (Vec<i64>, Vec<i64>) {
    let with = |flag| parts.iter().filter(move |part| part.flag == Some(flag)).map(|part| part.entry_id);
    (with(Flag::Accepted).collect(), with(Flag::Failed).collect())
}

fn some_of(whole: &Settle, parts: &[Part]) -> Settle {
    let keys: HashSet<String> = parts.iter().filter_map(|part| Some(part.key?.to_string())).collect();
    let (accepted, failed) = flagged(parts);
    Settle {
        accepted,
        failed,
        log: whole.log.iter().filter(|row| keys.contains(&row.message_key)).cloned().collect(),
        attempts: whole.attempts.iter().filter(|row| keys.contains(&row.message_key)).cloned().collect(),
    }
}

/// Of messages that an earlier session sent: rows that hold something else now, and must not be flagged for it.
async fn verify(job: &Job) -> Result<Vec<i64>, SettleFailure> {
    let mut ids: Vec<i64> =
        job.ended.iter().filter(|ended| ended.verify).map(|ended| ended.entry_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    ids.sort_unstable();
    ids.dedup();
    // Also of messages that were sent just now: a row may hold the second of two.
    let sent: HashSet<(i64, IdentityDigest)> =
        job.ended.iter().map(|ended| (ended.entry_id, ended.identity)).collect();
    let mut changed = Vec::new();
    while !ids.is_empty() {
        let loaded = job.database.outbox_load(&ids, VERIFY_BYTES).await?;
        for entry in &loaded.entries {
            let identity = bod::judge(entry, &job.settings).identity;
            if !sent.contains(&(entry.entry_id, identity)) {
                changed.push(entry.entry_id);
            }
        }
        ids = loaded.not_loaded;
    }
    Ok(changed)
}

struct WaitingJob {
    database: std::sync::Arc<dyn crate::database::Database>,
    journal: Journal,
    settings: std::sync::Arc<crate::domain::plan::ConnectionPoint>,
    host: String,
    point_id: i64,
    /// Messages in memory that wait longer than a moment.
    waiting: Vec<i64>,
    lane_waits: HashMap<LaneKey, i64>,
    wide: Option<i64>,
    now: i64,
    /// Messages that the log did not take a moment ago.
    unlogged: HashSet<i64>,
}

/// What the message log now has.
#[derive(Default)]
pub struct LoggedPage {
    states: Vec<LoggedState>,
    /// Message, number of the try.
    tries: Vec<(i64, i64)>,
    /// What the log does not take: message, row, document, in whose words.
    refused: Vec<(i64, i64, Option<String>, String)>,
}

/// Writes one page of what waits.
async fn log_waiting(job: WaitingJob) -> Result<LoggedPage, SettleFailure> {
    let mut records = job.journal.records(job.waiting).await?;
    // Done meanwhile: its end writes the row.
    records.retain(|record| !record.delivery.state.is_final() && !record.logged);
    let held = job.journal.held_unlogged(job.point_id, 500).await?;
    records.extend(held.into_iter().filter(|record| !job.unlogged.contains(&record.message)));
    if records.is_empty() {
        return Ok(LoggedPage::default());
    }
    let holders = job.journal.records(records.iter().filter_map(|record| record.held_by).collect()).await?;
    let holders: HashMap<i64, String> =
        holders.into_iter().map(|holder| (holder.message, holder.message_key.to_string())).collect();
    let mut states: Vec<LoggedState> = records
        .iter()
        .map(|record| LoggedState {
            message: record.message,
            state: record.delivery.state,
            attempts: record.delivery.attempts,
            held_by: record.held_by,
        })
        .collect();
    let attempts = job.journal.attempts(states.iter().map(|state| state.message).collect()).await?;
    let mut tries: Vec<(i64, i64)> =
        attempts.iter().map(|(message, number, _)| (*message, *number)).collect();
    let mut settle = Settle::default();
    for (message, number, attempt) in attempts {
        if let Some(record) = records.iter().find(|record| record.message == message) {
            settle.attempts.push(log::attempt(record.message_key, number, attempt, &job.host));
        }
    }
    settle.log = records
        .iter()
        .map(|record| {
            let held_by = record.held_by.and_then(|holder| holders.get(&holder).cloned());
            let wait = job.lane_waits.get(&record.lane).copied().max(job.wide);
            LogRow {
                next_attempt_at: wait.filter(|_| record.held_by.is_none()).map(log::time),
                ..log::row(record, &job.settings, &job.host, held_by, job.now)
            }
        })
        .collect();
    let part = |record: &Record| Part {
        item: Item::Message(record.message),
        entry_id: record.entry_id,
        key: Some(record.message_key),
        flag: None,
    };
    let batch = write(job.database.as_ref(), settle, records.iter().map(part).collect()).await;
    if let Some(error) = batch.error {
        return Err(error.into());
    }
    let done: HashSet<i64> = batch.done.iter().filter_map(Item::message).collect();
    states.retain(|state| done.contains(&state.message));
    tries.retain(|(message, _)| done.contains(message));
    let refused = batch.stuck.into_iter().filter_map(|(item, why)| {
        let record = records.iter().find(|record| Some(record.message) == item.message())?;
        let words = match why {
            Why::Refused(words) => words,
            Why::Locked(_) | Why::Unchanged => "another session keeps its row of the log locked".to_owned(),
        };
        Some((record.message, record.entry_id, record.facts.document_id.clone(), words))
    });
    Ok(LoggedPage { states, tries, refused: refused.collect() })
}

fn another_sender(name: &str, ids: &[i64]) -> Notice {
    Notice::new("ANOTHER_SENDER", Severity::Error, Some(name), "outbox").says(
        format!(
            "{} rows that this agent sent already had flag 1 when it came to flag them (the first: C_ID {}): somebody \
             else sends from the same outbox, so ION may have got documents twice. Nothing more is sent for 10 minutes",
            ids.len(),
            ids.first().copied().unwrap_or_default()
        ),
        "Stop the other sender (Infor's Enterprise Connector, or a second agent) for these rows, or set send_mode = \
         'off' here. To go on at once, change any setting of the connection point.",
    )
}

fn row_changed(name: &str, ids: &[i64]) -> Notice {
    Notice::new("ROW_CHANGED_AFTER_SEND", Severity::Warning, Some(name), "outbox").says(
        format!(
            "{} rows hold something else than what was sent under their C_ID (the first: C_ID {}): the database was \
             restored or the table filled anew; they were not flagged for what was sent before",
            ids.len(),
            ids.first().copied().unwrap_or_default()
        ),
        "Nothing: their new contents are sent as messages of their own. Look up the old ones in bodrelay_message_log.",
    )
}
