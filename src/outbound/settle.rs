//! settle: the outbox row carries its flag and the message log its row, in one transaction of the database; then the
//! journal lets the message go. Also what waits longer than a moment gets its row in the log here.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::point::{SETTLE_BATCH, SettledBatch};
use super::{Event, Outbound, SettleFailure, SettleOutcome, Then, log};
use crate::bod;
use crate::crash;
use crate::database::{LogRow, Settle};
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{IdentityDigest, LaneKey};
use crate::domain::notice::{Notice, Severity};
use crate::domain::waiting::{PointNumber, Scope};
use crate::journal::{Change, Journal, LoggedState};

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
        let due = ready >= SETTLE_BATCH
            || now >= point.oldest_unsettled_at + PATIENCE_MS
            || stopping
            || (point.begun == 0 && point.is_quiet());
        if ready == 0 || !due || point.settling || !point.recovered || site.not_before > now {
            return;
        }
        point.settling = true;
        let take = point.unsettled.len().min(SETTLE_BATCH);
        let messages: Vec<i64> = point.unsettled.drain(..take).collect();
        point.oldest_unsettled_at = now;
        let settings = point.settings.clone();
        let mut log = Vec::with_capacity(take);
        let mut ended = Vec::with_capacity(take);
        for open in messages.iter().filter_map(|message| point.messages.get(message)) {
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
            reflag: std::mem::take(&mut point.reflag),
        };
        self.work.push(Box::pin(async move {
            let result = settle(job).await.map(SettleOutcome);
            Event::Settled(number, Box::new(result), messages)
        }));
    }

    pub(super) fn settled(
        &mut self,
        number: PointNumber,
        result: Result<SettleOutcome, SettleFailure>,
        messages: Vec<i64>,
    ) {
        let now = self.now();
        let site = self.point(number).site;
        self.point(number).settling = false;
        let SettleOutcome(batch) = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                // Put back in their order; the rows of `reflag` are found again by the next sweep. Whether the database
                // did it nevertheless is not known: the rows are compared before they are flagged.
                let point = self.point(number);
                point.meter.settles_failed += 1;
                for message in messages.into_iter().rev() {
                    point.unsettled.push_front(message);
                    if let Some(open) = point.messages.get_mut(&message) {
                        open.verify = true;
                    }
                }
                match error {
                    SettleFailure::Database(error) => self.database_failed(site, &error),
                    SettleFailure::Journal(error) => self.fatal = Some(error),
                }
                return;
            }
        };
        self.database_answered(site);
        self.point(number).meter.settles += 1;
        self.point(number).meter.settled += messages.len() as u64;
        let (mode, point) = (self.mode, self.point(number));
        if std::mem::take(&mut point.changes_wait) {
            // An open version may be done: what waited for it is composed.
            point.look_soon(mode, now);
        }
        let name = self.point(number).name().to_owned();
        if !batch.settled.already_flagged.is_empty() {
            self.point(number).another_sender_until = now + ANOTHER_SENDER_MS;
            self.notices.push(another_sender(&name, &batch.settled.already_flagged));
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
        self.bytes_used -= freed;
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
            let waiting: Vec<i64> = point
                .messages
                .values()
                .map(|open| &open.record)
                .filter(|record| {
                    let since = match record.delivery.state {
                        State::InFlight => record.last_attempt_at.unwrap_or(record.seen_at),
                        _ => record.seen_at,
                    };
                    !record.logged && !record.delivery.state.is_final() && since < now - LOG_AFTER_MS
                })
                .take(LOG_PAGE)
                .map(|record| record.message)
                .collect();
            let job = WaitingJob {
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
        match result {
            Ok(LoggedPage { states, tries }) => {
                let point = self.point(number);
                for logged in &states {
                    if let Some(open) = point.messages.get_mut(&logged.message) {
                        let delivery = open.record.delivery;
                        open.record.logged =
                            delivery.state == logged.state && delivery.attempts == logged.attempts;
                    }
                }
                if !states.is_empty() {
                    point.may_be_unlogged = true;
                    self.queue(Change::Logged { states, tries }, Then::Nothing);
                }
            }
            Err(SettleFailure::Database(error)) => self.database_failed(site, &error),
            Err(SettleFailure::Journal(error)) => self.fatal = Some(error),
        }
    }
}

struct Job {
    database: std::sync::Arc<dyn crate::database::Database>,
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
    let mut settle = Settle {
        log: job.log,
        attempts: attempts
            .into_iter()
            .filter_map(|(message, number, attempt)| {
                Some(log::attempt(*keys.get(&message)?, number, attempt, &job.host))
            })
            .collect(),
        ..Settle::default()
    };
    for ended in job.ended.iter().filter(|ended| !changed.contains(&ended.entry_id)) {
        match ended.delivery.state {
            State::Accepted => settle.accepted.push(ended.entry_id),
            State::Failed | State::Discarded => settle.failed.push(ended.entry_id),
            State::Pending | State::InFlight | State::Withdrawn | State::Superseded => {}
        }
    }
    settle.accepted.extend(&job.reflag);
    let mut settled = job.database.outbox_settle(&settle).await?;
    crash::point("after_settle");
    // An earlier try, or an earlier life, may have flagged its rows and not lived to know it; a row that is flagged
    // again was never ours to wonder about. Only what was posted just now tells of somebody else.
    let fresh: HashSet<i64> = job
        .ended
        .iter()
        .filter(|ended| !ended.verify && !ended.is_resend)
        .map(|ended| ended.entry_id)
        .collect();
    settled.already_flagged.retain(|entry_id| fresh.contains(entry_id));
    Ok(SettledBatch { changed, settled })
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
}

/// What the message log now has.
#[derive(Default)]
pub struct LoggedPage {
    states: Vec<LoggedState>,
    /// Message, number of the try.
    tries: Vec<(i64, i64)>,
}

/// Writes one page of what waits.
async fn log_waiting(job: WaitingJob) -> Result<LoggedPage, SettleFailure> {
    let mut records = job.journal.records(job.waiting).await?;
    // Done meanwhile: its end writes the row.
    records.retain(|record| !record.delivery.state.is_final() && !record.logged);
    records.extend(job.journal.held_unlogged(job.point_id, 500).await?);
    if records.is_empty() {
        return Ok(LoggedPage::default());
    }
    let holders = job.journal.records(records.iter().filter_map(|record| record.held_by).collect()).await?;
    let holders: HashMap<i64, String> =
        holders.into_iter().map(|holder| (holder.message, holder.message_key.to_string())).collect();
    let states: Vec<LoggedState> = records
        .iter()
        .map(|record| LoggedState {
            message: record.message,
            state: record.delivery.state,
            attempts: record.delivery.attempts,
            held_by: record.held_by,
        })
        .collect();
    let attempts = job.journal.attempts(states.iter().map(|state| state.message).collect()).await?;
    let tries = attempts.iter().map(|(message, number, _)| (*message, *number)).collect();
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
    job.database.outbox_settle(&settle).await?;
    Ok(LoggedPage { states, tries })
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
