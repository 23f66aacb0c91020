//! The one place that changes deliveries: a list of changes in one transaction, each through the state machine.
//!
//! A change is checked against what the journal holds, never against memory, so that doing it twice does nothing.
//! The list is committed as a whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::record::Record;
use super::{Journal, Result, statements as sql};
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::ids::{IdentityDigest, LaneKey, message_id_hash};
use crate::domain::message::Facts;
use crate::journal::read::{CommandProgress, Pause, StoredScope};

/// One change of the journal.
#[derive(Debug, Clone)]
pub enum Change {
    /// A row becomes a message.
    Admit(Box<Admission>),
    /// A message that the message log knows and the journal does not; its numbers are the journal's to give.
    Restore(Box<Record>),
    /// A row waits for somebody.
    Park(Parking),
    /// Parked rows that are gone, or no longer 0.
    Unpark {
        point_id: i64,
        entry_ids: Vec<i64>,
    },
    /// Rows parked for this reason (and document type, where it is not empty) are looked at again.
    Wake {
        point_id: i64,
        reason: &'static str,
        document_type: String,
    },
    /// Failed messages of a type no longer keep their lanes waiting.
    Unhold {
        point_id: i64,
        document_type: String,
    },
    /// Something happened to a message.
    Step(Box<Step>),
    /// Rows and message log carry the final state of these messages.
    Settled {
        messages: Vec<i64>,
        now: i64,
    },
    /// The message log has the present state of these messages, and their tries.
    Logged(Vec<i64>),
    /// How far the outbox was looked at.
    Scanned {
        point_id: i64,
        scanned_up_to: i64,
        observed_up_to: i64,
    },
    /// A run of a cron schedule has ended.
    Looked {
        point_id: i64,
        at: i64,
    },
    Scope(Box<StoredScope>),
    ScopeWell(String),
    /// A DBA pauses a connection point.
    Pause {
        point_id: i64,
        pause: Pause,
    },
    /// It goes on.
    Resume {
        point_id: i64,
    },
    /// Documents go to this receiver (`ToLogicalId`).
    Receiver {
        point_id: i64,
        logical_id: String,
    },
    /// What was accepted is sent again: a message of its own of the same row; its number is the journal's to give.
    Resend(Box<Record>),
    /// How far a command is.
    Command {
        database_id: i64,
        command_id: i64,
        progress: CommandProgress,
    },
    /// The control table says that a command is done.
    CommandClosed {
        database_id: i64,
        command_id: i64,
    },
}

/// A row that passed (or failed) its checks.
#[derive(Debug, Clone)]
pub struct Admission {
    pub point_id: i64,
    pub entry_id: i64,
    pub message_key: Uuid,
    pub identity: IdentityDigest,
    pub message_id: String,
    pub message_id_given: bool,
    /// Used instead of a given id that was accepted, or may have been, with other bytes.
    pub derived_message_id: String,
    pub lane: LaneKey,
    pub document_type: String,
    pub priority: u8,
    pub facts: Arc<Facts>,
    /// The row was there in a life of the agent of which this journal knows nothing.
    pub in_doubt: bool,
    /// It fails at once.
    pub failure: Option<Failure>,
    /// Later messages of the lane wait when it fails.
    pub hold_after_failure: bool,
    /// It goes out at once, unless something in the journal keeps it.
    pub begin: bool,
    pub now: i64,
}

/// A row that waits for somebody.
#[derive(Debug, Clone)]
pub struct Parking {
    pub point_id: i64,
    pub entry_id: i64,
    /// `headers`, `unlisted`, `disabled`, `suspended` or `behind`.
    pub reason: &'static str,
    pub document_type: String,
    pub lane: LaneKey,
    /// Later messages of the lane wait for it.
    pub holds: bool,
    pub header_count: i64,
    pub now: i64,
}

/// An event of one message.
#[derive(Debug, Clone)]
pub struct Step {
    pub message: i64,
    pub event: Event,
    pub note: Note,
    /// What memory takes the message for, where it knows. The journal does the step if it agrees, and otherwise reads
    /// for itself.
    pub believed: Option<Delivery>,
}

/// What is to be remembered of an event.
#[derive(Debug, Clone, Default)]
pub struct Note {
    pub now: i64,
    pub http_status: Option<u16>,
    pub answer_class: Option<&'static str>,
    /// The reason of a failure, or of a refusal that is tried again; an accepted message has none.
    pub failure: Option<Failure>,
    pub wire_bytes: Option<i64>,
    /// The try, where it was not an immediate success.
    pub attempt: Option<Attempt>,
    /// With `Event::Fail`: later messages of the lane wait for a DBA.
    pub hold: bool,
}

/// One try of a message.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub started_at: i64,
    pub duration_ms: i64,
    pub http_status: Option<u16>,
    pub answer_class: &'static str,
    pub in_doubt: bool,
    pub failure_code: Option<String>,
    pub answer_text: Option<String>,
}

/// What a change did, in the order of the list.
#[derive(Debug, Clone)]
pub enum Applied {
    /// The message as it stands now: pending, in flight (begun), held, or failed; and earlier versions of the row
    /// that failed, and are now superseded.
    Admitted {
        record: Box<Record>,
        superseded: Vec<i64>,
    },
    /// The same message is open already.
    Known,
    /// The same message was accepted and settled: the row is flagged again, nothing is posted.
    Delivered,
    /// An earlier version of the row is out: look again later.
    Later,
    /// A parked row of its lane comes first: it is parked behind it.
    Behind,
    Stepped {
        delivery: Delivery,
        /// The lane whose later messages now wait for this one.
        holds: Option<HeldLane>,
        /// Messages that waited for this one may go (or wait for the next failed one).
        released: bool,
    },
    /// The lowest row that is looked at again.
    Woken(Option<i64>),
    Done,
}

/// A lane of a connection point, above a failed row.
#[derive(Debug, Clone, Copy)]
pub struct HeldLane {
    point_id: i64,
    lane: LaneKey,
    above: i64,
}

impl Journal {
    /// Carries out a list of changes in one transaction.
    ///
    /// # Errors
    /// Nothing of the list was done.
    pub async fn apply(&self, changes: Arc<Vec<Change>>) -> Result<Vec<Applied>> {
        self.transaction(move |tx| {
            let applied = changes.iter().map(|change| apply(tx, change)).collect::<Result<Vec<_>>>()?;
            hold(tx, &applied)?;
            Ok(applied)
        })
        .await
    }
}

fn apply(tx: &Transaction<'_>, change: &Change) -> Result<Applied> {
    match change {
        Change::Admit(admission) => admit(tx, admission),
        Change::Restore(record) => restore(tx, record),
        Change::Park(parking) => park(tx, parking).map(|()| Applied::Done),
        Change::Unpark { point_id, entry_ids } => {
            tx.prepare_cached(sql::PARKED_GONE)?.execute((point_id, json(entry_ids)))?;
            Ok(Applied::Done)
        }
        Change::Wake { point_id, reason, document_type } => {
            let lowest = tx
                .prepare_cached(sql::PARKED_LOWEST)?
                .query_row(params![point_id, reason, document_type], |row| row.get(0))?;
            tx.prepare_cached(sql::PARKED_WAKE)?.execute(params![point_id, reason, document_type])?;
            Ok(Applied::Woken(lowest))
        }
        Change::Unhold { point_id, document_type } => {
            tx.prepare_cached(sql::MESSAGE_UNHOLD_WAITING)?.execute((point_id, document_type))?;
            tx.prepare_cached(sql::MESSAGE_UNHOLD)?.execute((point_id, document_type))?;
            Ok(Applied::Done)
        }
        Change::Step(step) => apply_step(tx, step),
        Change::Settled { messages, now } => settled(tx, messages, *now).map(|()| Applied::Done),
        Change::Logged(messages) => {
            let list = json(messages);
            tx.prepare_cached(sql::MESSAGE_LOGGED)?.execute([&list])?;
            tx.prepare_cached(sql::ATTEMPT_DELETE)?.execute([&list])?;
            Ok(Applied::Done)
        }
        Change::Scanned { point_id, scanned_up_to, observed_up_to } => {
            tx.prepare_cached(sql::CURSOR_WRITE)?.execute((point_id, scanned_up_to, observed_up_to))?;
            Ok(Applied::Done)
        }
        Change::Looked { point_id, at } => {
            tx.prepare_cached(sql::POINT_LOOKED)?.execute((point_id, at))?;
            Ok(Applied::Done)
        }
        Change::Scope(scope) => scope.write(tx).map(|()| Applied::Done),
        Change::ScopeWell(scope) => {
            tx.prepare_cached(sql::SCOPE_DELETE)?.execute([scope])?;
            Ok(Applied::Done)
        }
        Change::Pause { point_id, pause: Pause { since, until, reason } } => {
            tx.prepare_cached(sql::PAUSE_WRITE)?.execute((point_id, since, until, reason))?;
            Ok(Applied::Done)
        }
        Change::Resume { point_id } => {
            tx.prepare_cached(sql::PAUSE_DELETE)?.execute([point_id])?;
            Ok(Applied::Done)
        }
        Change::Receiver { point_id, logical_id } => {
            tx.prepare_cached(sql::RECEIVER_INSERT)?.execute((point_id, logical_id))?;
            Ok(Applied::Done)
        }
        Change::Resend(record) => resend(tx, record),
        Change::Command { database_id, command_id, progress } => {
            tx.prepare_cached(sql::COMMAND_WRITE)?.execute((
                database_id,
                command_id,
                progress.begun_at,
                &progress.after_key,
                progress.matched,
                progress.done,
            ))?;
            Ok(Applied::Done)
        }
        Change::CommandClosed { database_id, command_id } => {
            tx.prepare_cached(sql::COMMAND_DELETE)?.execute((database_id, command_id))?;
            Ok(Applied::Done)
        }
    }
}

/// An earlier message of the same row.
struct Generation {
    message: i64,
    identity: IdentityDigest,
    delivery: Delivery,
    message_id: String,
    given: bool,
    holds: bool,
}

/// What the journal knows around a row that is to be admitted.
struct Surroundings {
    has_messages: bool,
    has_tombstones: bool,
    is_parked: bool,
    /// A parked row below it holds its lane.
    behind_parked: bool,
    /// The failed message that its lane waits for.
    holder: Option<i64>,
    /// A later row of its lane was accepted before.
    late: bool,
    /// The row that has its message id.
    id_of: Option<i64>,
}

impl Surroundings {
    fn of(
        tx: &Transaction<'_>,
        point_id: i64,
        entry_id: i64,
        lane: LaneKey,
        message_id: &str,
    ) -> Result<Self> {
        let hash = message_id_hash(message_id);
        Ok(tx.prepare_cached(sql::ADMISSION_FACTS)?.query_row((point_id, entry_id, lane.0, hash), |row| {
            let accepted: Option<i64> = row.get(5)?;
            Ok(Self {
                has_messages: row.get(0)?,
                has_tombstones: row.get(1)?,
                is_parked: row.get(2)?,
                behind_parked: row.get(3)?,
                holder: row.get(4)?,
                late: accepted.is_some_and(|accepted| accepted > entry_id),
                id_of: row.get(6)?,
            })
        })?)
    }
}

/// The table "Identity" of design.md §3.
fn admit(tx: &Transaction<'_>, admission: &Admission) -> Result<Applied> {
    let Admission { point_id, entry_id, lane, .. } = *admission;
    let around = Surroundings::of(tx, point_id, entry_id, lane, &admission.message_id)?;
    let delivered = if around.has_tombstones { delivered(tx, admission)? } else { Vec::new() };
    if delivered.iter().any(|(identity, _)| *identity == admission.identity) {
        unpark(tx, admission, &around)?;
        return Ok(Applied::Delivered);
    }
    let generations = if around.has_messages { generations(tx, point_id, entry_id)? } else { Vec::new() };
    let same = generations.iter().find(|generation| generation.identity == admission.identity);
    if let Some(same) = same
        && !same.delivery.settled
    {
        return Ok(Applied::Known);
    }
    if let Some(open) = generations.iter().find(|generation| !generation.delivery.settled) {
        // An earlier version of the row is still on its way. Before its own post it is compared with the row.
        let waits = open.delivery.state == State::Pending;
        return Ok(if waits { Applied::Known } else { Applied::Later });
    }
    if around.behind_parked {
        park(
            tx,
            &Parking {
                point_id: admission.point_id,
                entry_id: admission.entry_id,
                reason: "behind",
                document_type: admission.document_type.clone(),
                lane: admission.lane,
                holds: true,
                header_count: 0,
                now: admission.now,
            },
        )?;
        return Ok(Applied::Behind);
    }
    unpark(tx, admission, &around)?;
    let mut message_id = &admission.message_id;
    let mut given = admission.message_id_given;
    let mut superseded = Vec::new();
    for generation in generations.iter().filter(|generation| generation.identity != admission.identity) {
        // A corrected row keeps its id only if every earlier try was definitely rejected.
        if generation.given && generation.message_id == *message_id && generation.delivery.in_doubt {
            (message_id, given) = (&admission.derived_message_id, false);
        }
        if generation.delivery.state == State::Failed {
            let note = Note { now: admission.now, ..Note::default() };
            apply_step(
                tx,
                &Step { message: generation.message, event: Event::Supersede, note, believed: None },
            )?;
            superseded.push(generation.message);
        }
    }
    if let Some(same) = same {
        let record = Box::new(resubmit(tx, admission, &around, same)?);
        return Ok(Applied::Admitted { record, superseded });
    }
    let hash = message_id_hash(message_id);
    if given && delivered.iter().any(|(_, delivered)| *delivered == Some(hash)) {
        (message_id, given) = (&admission.derived_message_id, false);
    }
    let mut failure = admission.failure.clone();
    if given && failure.is_none() {
        failure = around.id_of.map(|other| id_taken(admission, other));
    }
    let record = Box::new(insert(tx, admission, &around, message_id, given, failure)?);
    Ok(Applied::Admitted { record, superseded })
}

/// What was accepted of a row: identities, and the hashes of ids that the application gave.
fn delivered(tx: &Transaction<'_>, admission: &Admission) -> Result<Vec<(IdentityDigest, Option<i64>)>> {
    Ok(tx
        .prepare_cached(sql::DELIVERED_IDENTITIES)?
        .query_map((admission.point_id, admission.entry_id), |row| {
            Ok((IdentityDigest(row.get(0)?), row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?)
}

/// Takes in a message of a lost journal, unless the row is known again meanwhile.
fn restore(tx: &Transaction<'_>, record: &Record) -> Result<Applied> {
    let Record { point_id, entry_id, lane, delivery, .. } = *record;
    let around = Surroundings::of(tx, point_id, entry_id, lane, &record.message_id)?;
    if around.has_messages || around.has_tombstones {
        return Ok(Applied::Known);
    }
    let held_by = around.holder.filter(|_| delivery.state == State::Pending);
    let message = write(tx, &Record { held_by, ..record.clone() })?;
    if delivery.settled {
        tx.prepare_cached(sql::MESSAGE_SETTLED)?.execute([json(&[message])])?;
    }
    Ok(Applied::Done)
}

/// A new message of a row that was accepted before, unless one of the row is under way already.
fn resend(tx: &Transaction<'_>, record: &Record) -> Result<Applied> {
    let Record { point_id, entry_id, lane, .. } = *record;
    let around = Surroundings::of(tx, point_id, entry_id, lane, &record.message_id)?;
    let known = if around.has_messages { generations(tx, point_id, entry_id)? } else { Vec::new() };
    if known.iter().any(|generation| !generation.delivery.settled) {
        return Ok(Applied::Known);
    }
    let mut record = Record { held_by: around.holder, late: around.late, ..record.clone() };
    record.message = write(tx, &record)?;
    Ok(Applied::Admitted { record: Box::new(record), superseded: Vec::new() })
}

/// A new row of `message`, with the id that the application gave it; answers its number.
fn write(tx: &Transaction<'_>, record: &Record) -> Result<i64> {
    let given_id_hash = record.message_id_given.then(|| message_id_hash(&record.message_id));
    let facts = facts_json(&record.facts)?;
    let failure = record.failure.as_ref();
    tx.prepare_cached(sql::MESSAGE_INSERT)?.execute(params![
        record.message_key.as_bytes(),
        record.point_id,
        record.entry_id,
        record.identity.0,
        record.message_id,
        given_id_hash,
        record.lane.0,
        record.document_type,
        record.priority,
        record.delivery.state as u8,
        record.delivery.in_doubt,
        record.late,
        record.delivery.attempts,
        record.held_by,
        record.holds,
        record.seen_at,
        record.first_attempt_at,
        record.last_attempt_at,
        record.finished_at,
        failure.map(|failure| failure.code.as_ref()),
        failure.map(|failure| failure.text.as_str()),
        failure.map(|failure| failure.remedy.as_ref()),
        facts,
    ])?;
    let message = tx.last_insert_rowid();
    if let Some(hash) =
        given_id_hash.filter(|_| record.delivery.state != State::Failed || record.delivery.attempts > 0)
    {
        // One that failed its checks has not used its id.
        tx.prepare_cached(sql::GIVEN_ID_INSERT)?.execute((record.point_id, hash, record.entry_id))?;
    }
    Ok(message)
}

fn insert(
    tx: &Transaction<'_>,
    admission: &Admission,
    around: &Surroundings,
    message_id: &str,
    given: bool,
    failure: Option<Failure>,
) -> Result<Record> {
    let Admission { point_id, entry_id, now, .. } = *admission;
    let mut delivery = Delivery::new(admission.in_doubt);
    let begun = admission.begin && failure.is_none() && around.holder.is_none();
    let event = match &failure {
        Some(_) => Some(Event::Fail { in_doubt: false }),
        None => begun.then_some(Event::Begin),
    };
    if let Some(event) = event {
        delivery = delivery.step(event)?;
    }
    let failed = failure.is_some();
    let begun_at = begun.then_some(now);
    let mut record = Record {
        message: 0,
        message_key: admission.message_key,
        point_id,
        entry_id,
        identity: admission.identity,
        message_id: message_id.to_owned(),
        message_id_given: given,
        lane: admission.lane,
        document_type: admission.document_type.clone(),
        priority: admission.priority,
        delivery,
        late: around.late,
        held_by: around.holder.filter(|_| !failed),
        holds: failed && admission.hold_after_failure,
        seen_at: now,
        first_attempt_at: begun_at,
        last_attempt_at: begun_at,
        finished_at: failed.then_some(now),
        http_status: None,
        answer_class: None,
        failure,
        wire_bytes: None,
        facts: admission.facts.clone(),
        logged: false,
    };
    record.message = write(tx, &record)?;
    Ok(record)
}

/// A row at 0 whose message ended without being accepted: a DBA's resubmit, under the same key and id.
fn resubmit(
    tx: &Transaction<'_>,
    admission: &Admission,
    around: &Surroundings,
    same: &Generation,
) -> Result<Record> {
    let mut delivery = same.delivery.step(Event::Resubmit)?;
    if admission.in_doubt {
        delivery.in_doubt = true;
    }
    let Admission { point_id, lane, entry_id, .. } = *admission;
    let held_by = around.holder;
    let facts = facts_json(&admission.facts)?;
    tx.prepare_cached(sql::MESSAGE_RESUBMIT)?.execute(params![
        same.message,
        delivery.state as u8,
        around.late,
        held_by,
        same.holds,
        lane.0,
        admission.document_type,
        admission.priority,
        facts
    ])?;
    if same.given && admission.failure.is_none() {
        let hash = message_id_hash(&same.message_id);
        tx.prepare_cached(sql::GIVEN_ID_INSERT)?.execute((point_id, hash, entry_id))?;
    }
    let event = match &admission.failure {
        Some(_) => Some(Event::Fail { in_doubt: false }),
        None => (admission.begin && held_by.is_none()).then_some(Event::Begin),
    };
    if let Some(event) = event {
        let note = Note {
            now: admission.now,
            failure: admission.failure.clone(),
            hold: admission.hold_after_failure,
            ..Note::default()
        };
        apply_step(tx, &Step { message: same.message, event, note, believed: None })?;
    }
    Ok(tx.prepare_cached(sql::MESSAGE_RECORDS)?.query_row([json(&[same.message])], Record::from_row)?)
}

fn apply_step(tx: &Transaction<'_>, step: &Step) -> Result<Applied> {
    let Step { message, event, note, believed } = step;
    if let Some(believed) = believed.filter(|_| !note.hold)
        && let Ok(delivery) = believed.step(*event)
        && write_believed(tx, step, believed, delivery)?
    {
        return Ok(Applied::Stepped { delivery, holds: None, released: false });
    }
    let stored = tx
        .prepare_cached(sql::MESSAGE_DELIVERY)?
        .query_row([message], |row| {
            Ok((
                delivery(row, 0)?,
                row.get::<_, i64>(4)?,
                LaneKey(row.get(5)?),
                row.get::<_, i64>(6)?,
                row.get::<_, bool>(7)?,
            ))
        })
        .optional()?;
    let Some((before, point_id, lane, entry_id, held_before)) = stored else {
        // Settled and shrunk to a tombstone: nothing is left that an event could change.
        return Ok(Applied::Known);
    };
    let delivery = before.step(*event)?;
    let holds = match event {
        Event::Fail { .. } => note.hold,
        Event::Retry { .. } | Event::Interrupt | Event::Settle | Event::Resubmit | Event::Begin => {
            held_before
        }
        Event::Accept | Event::Discard | Event::Withdraw | Event::Supersede => false,
    };
    if *event == Event::Begin {
        write_begin(tx, step, before, delivery)?;
    } else {
        write_step(tx, step, delivery, holds)?;
        write_attempt(tx, step, delivery)?;
    }
    let held = (holds && !held_before).then_some(HeldLane { point_id, lane, above: entry_id });
    let released = held_before && !holds;
    if released {
        tx.prepare_cached(sql::MESSAGE_RELEASE)?.execute(params![point_id, lane.0, message])?;
    }
    Ok(Applied::Stepped { delivery, holds: held, released })
}

/// A begin or the result of a post, without reading the message first; false where it is not what it is believed to be
/// (or holds others), and nothing was written.
fn write_believed(tx: &Transaction<'_>, step: &Step, believed: Delivery, delivery: Delivery) -> Result<bool> {
    let written = match (believed.state, step.event) {
        (_, Event::Begin) => write_begin(tx, step, believed, delivery)?,
        (State::InFlight, _) => write_record(tx, step, believed, delivery)?,
        _ => false,
    };
    if written {
        write_attempt(tx, step, delivery)?;
    }
    Ok(written)
}

fn write_begin(tx: &Transaction<'_>, step: &Step, before: Delivery, delivery: Delivery) -> Result<bool> {
    let written = tx.prepare_cached(sql::MESSAGE_BEGIN)?.execute(params![
        step.message,
        delivery.attempts,
        step.note.now,
        before.in_doubt,
        before.attempts,
    ])?;
    Ok(written > 0)
}

fn write_record(tx: &Transaction<'_>, step: &Step, before: Delivery, delivery: Delivery) -> Result<bool> {
    let Step { message, event, note, .. } = step;
    let failure = note.failure.as_ref();
    let written = tx.prepare_cached(sql::MESSAGE_RECORD)?.execute(params![
        message,
        delivery.state as u8,
        delivery.in_doubt,
        delivery.state.is_final().then_some(note.now),
        note.http_status,
        note.answer_class,
        failure.map(|failure| failure.code.as_ref()),
        failure.map(|failure| failure.text.as_str()),
        failure.map(|failure| failure.remedy.as_ref()),
        writes_failure(*event, note),
        note.wire_bytes,
        before.in_doubt,
        before.attempts,
    ])?;
    Ok(written > 0)
}

/// The message as it is after an event.
fn write_step(tx: &Transaction<'_>, step: &Step, delivery: Delivery, holds: bool) -> Result<()> {
    let Step { message, event, note, .. } = step;
    let failure = note.failure.as_ref();
    tx.prepare_cached(sql::MESSAGE_STEP)?.execute(params![
        message,
        delivery.state as u8,
        delivery.settled,
        delivery.in_doubt,
        delivery.attempts,
        holds,
        delivery.state.is_final().then_some(note.now),
        note.http_status,
        note.answer_class,
        failure.map(|failure| failure.code.as_ref()),
        failure.map(|failure| failure.text.as_str()),
        failure.map(|failure| failure.remedy.as_ref()),
        writes_failure(*event, note),
        note.wire_bytes,
    ])?;
    Ok(())
}

/// A reason is kept until there is another one, or the message is accepted.
fn writes_failure(event: Event, note: &Note) -> bool {
    note.failure.is_some() || event == Event::Accept
}

fn write_attempt(tx: &Transaction<'_>, step: &Step, delivery: Delivery) -> Result<()> {
    let Some(attempt) = &step.note.attempt else { return Ok(()) };
    tx.prepare_cached(sql::ATTEMPT_INSERT)?.execute(params![
        step.message,
        delivery.attempts,
        attempt.started_at,
        attempt.duration_ms,
        attempt.http_status,
        attempt.answer_class,
        attempt.in_doubt,
        attempt.failure_code,
        attempt.answer_text,
    ])?;
    tx.prepare_cached(sql::ATTEMPT_TRIM)?.execute(params![step.message, delivery.attempts])?;
    Ok(())
}

/// Accepted messages shrink to tombstones, the others stay with their reason.
fn settled(tx: &Transaction<'_>, messages: &[i64], now: i64) -> Result<()> {
    let (mut accepted, mut others, mut tried) = (Vec::new(), Vec::new(), Vec::new());
    {
        let mut statement = tx.prepare_cached(sql::MESSAGE_SETTLING)?;
        let mut rows = statement.query([json(messages)])?;
        while let Some(row) = rows.next()? {
            let message = row.get(0)?;
            let delivery = delivery(row, 1)?.step(Event::Settle)?;
            if delivery.state == State::Accepted { &mut accepted } else { &mut others }.push(message);
            if delivery.attempts > 1 || delivery.state != State::Accepted {
                tried.push(message);
            }
        }
    }
    if !accepted.is_empty() {
        let accepted = json(&accepted);
        tx.prepare_cached(sql::DELIVERED_INSERT)?.execute((&accepted, now))?;
        tx.prepare_cached(sql::LANE_TAIL_RAISE)?.execute((&accepted, now))?;
        tx.prepare_cached(sql::PURGE_LATE_INSERT)?.execute((&accepted, now))?;
        tx.prepare_cached(sql::MESSAGE_DELETE)?.execute([&accepted])?;
    }
    if !others.is_empty() {
        tx.prepare_cached(sql::MESSAGE_SETTLED)?.execute([json(&others)])?;
    }
    if !tried.is_empty() {
        tx.prepare_cached(sql::ATTEMPT_DELETE)?.execute([json(&tried)])?;
    }
    Ok(())
}

/// State, settled, in doubt, attempts: four columns from `first` on.
fn delivery(row: &Row<'_>, first: usize) -> rusqlite::Result<Delivery> {
    let state =
        State::from_number(row.get(first)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(first, -1))?;
    Ok(Delivery {
        state,
        settled: row.get(first + 1)?,
        in_doubt: row.get(first + 2)?,
        attempts: row.get(first + 3)?,
    })
}

fn generations(tx: &Transaction<'_>, point_id: i64, entry_id: i64) -> Result<Vec<Generation>> {
    let mut statement = tx.prepare_cached(sql::MESSAGE_GENERATIONS)?;
    let rows = statement.query_map((point_id, entry_id), |row| {
        Ok(Generation {
            message: row.get(0)?,
            identity: IdentityDigest(row.get(1)?),
            delivery: delivery(row, 2)?,
            message_id: row.get(6)?,
            given: row.get::<_, Option<i64>>(7)?.is_some(),
            holds: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn id_taken(admission: &Admission, other: i64) -> Failure {
    Failure::new(
        FailureCode::MessageIdReused,
        format!(
            "the header MessageId '{}' already belongs to the row with C_ID {other}",
            admission.message_id
        ),
    )
}

/// The later messages of lanes in which one failed wait for it: once for the whole list, since it goes over all that is
/// open above.
fn hold(tx: &Transaction<'_>, applied: &[Applied]) -> Result<()> {
    let failed = applied.iter().filter_map(|applied| match applied {
        Applied::Stepped { holds, .. } => *holds,
        Applied::Admitted { record, .. } if record.holds => {
            Some(HeldLane { point_id: record.point_id, lane: record.lane, above: record.entry_id })
        }
        _ => None,
    });
    let mut points: BTreeMap<i64, (i64, Vec<i64>)> = BTreeMap::new();
    for HeldLane { point_id, lane, above } in failed {
        let (lowest, lanes) = points.entry(point_id).or_insert((above, Vec::new()));
        *lowest = above.min(*lowest);
        lanes.push(lane.0);
    }
    for (point_id, (lowest, lanes)) in points {
        tx.prepare_cached(sql::MESSAGE_HOLD)?.execute((point_id, lowest, json(&lanes)))?;
    }
    Ok(())
}

fn park(tx: &Transaction<'_>, parking: &Parking) -> Result<()> {
    tx.prepare_cached(sql::PARKED_INSERT)?.execute(params![
        parking.point_id,
        parking.entry_id,
        parking.reason,
        parking.document_type,
        parking.lane.0,
        parking.holds,
        parking.header_count,
        parking.now,
    ])?;
    Ok(())
}

fn unpark(tx: &Transaction<'_>, admission: &Admission, around: &Surroundings) -> Result<()> {
    if around.is_parked {
        tx.prepare_cached(sql::PARKED_DELETE)?.execute((admission.point_id, admission.entry_id))?;
    }
    Ok(())
}

/// The column `facts`.
fn facts_json(facts: &Facts) -> rusqlite::Result<String> {
    serde_json::to_string(facts).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A list of numbers for `json_each`.
pub(super) fn json(numbers: &[i64]) -> String {
    let mut list = String::with_capacity(numbers.len() * 8 + 2);
    list.push('[');
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(&number.to_string());
    }
    list.push(']');
    list
}
