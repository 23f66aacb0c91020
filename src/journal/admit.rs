//! A row becomes a message, or not: the table "Identity" of design.md §3, checked against all that the journal knows of it.

use rusqlite::{Transaction, params};

use super::apply::{Admission, Applied, Gathered, Note, Parking, Step, json, park, unpark};
use super::record::Record;
use super::step::{apply_step, delivery};
use super::{Result, failure_columns, statements as sql};
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::ids::{IdentityDigest, LaneKey, message_id_hash};
use crate::domain::message::Facts;

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
pub(super) fn admit(tx: &Transaction<'_>, admission: &Admission, gathered: &mut Gathered) -> Result<Applied> {
    let Admission { point_id, entry_id, lane, .. } = *admission;
    let around = Surroundings::of(tx, point_id, entry_id, lane, &admission.message_id)?;
    let delivered = if around.has_tombstones { delivered(tx, admission)? } else { Vec::new() };
    let generations = if around.has_messages { generations(tx, point_id, entry_id)? } else { Vec::new() };
    let known = known(admission, &delivered, &generations);
    if known.is_none() && around.behind_parked {
        let parking = Parking {
            point_id,
            entry_id,
            reason: "behind",
            document_type: admission.document_type.clone(),
            lane,
            holds: true,
            header_count: 0,
            now: admission.now,
        };
        park(tx, &parking, gathered)?;
        return Ok(Applied::Behind);
    }
    if around.is_parked {
        unpark(tx, point_id, entry_id, gathered)?;
    }
    if let Some(known) = known {
        return Ok(known);
    }
    let same = generations.iter().find(|generation| generation.identity == admission.identity);
    let mut message_id = &admission.message_id;
    let mut given = admission.message_id_given;
    let (mut superseded, mut released) = (Vec::new(), false);
    for generation in generations.iter().filter(|generation| generation.identity != admission.identity) {
        // A corrected row keeps its id only if every earlier try was definitely rejected.
        if generation.given && generation.message_id == *message_id && generation.delivery.in_doubt {
            (message_id, given) = (&admission.derived_message_id, false);
        }
        if generation.delivery.state == State::Failed {
            let note = Note { now: admission.now, ..Note::default() };
            let step = Step { message: generation.message, event: Event::Supersede, note, believed: None };
            let applied = apply_step(tx, &step, gathered)?;
            released |= matches!(applied, Applied::Stepped { released: true, .. });
            superseded.push(generation.message);
        }
    }
    if let Some(same) = same {
        let record = Box::new(resubmit(tx, admission, &around, same, gathered)?);
        return Ok(Applied::Admitted { record, superseded, released, again: true });
    }
    let hash = message_id_hash(message_id);
    if given && delivered.iter().any(|(_, delivered)| *delivered == Some(hash)) {
        (message_id, given) = (&admission.derived_message_id, false);
    }
    let mut failure = admission.failure.clone();
    if given && failure.is_none() {
        failure = around.id_of.map(|other| id_taken(admission, other));
    }
    let record = Box::new(insert(tx, admission, &around, (message_id, given), failure, gathered)?);
    Ok(Applied::Admitted { record, superseded, released, again: false })
}

/// What there is of the row already, where that decides: nothing new is admitted.
fn known(
    admission: &Admission,
    delivered: &[(IdentityDigest, Option<i64>)],
    generations: &[Generation],
) -> Option<Applied> {
    if delivered.iter().any(|(identity, _)| *identity == admission.identity) {
        return Some(Applied::Delivered);
    }
    let is_open = |generation: &&Generation| !generation.delivery.settled;
    if generations.iter().filter(is_open).any(|open| open.identity == admission.identity) {
        return Some(Applied::Known);
    }
    // An earlier version of the row is still on its way. Before its own post it is compared with the row.
    generations.iter().find(is_open).map(|open| match open.delivery.state {
        State::Pending => Applied::Known,
        _ => Applied::Later,
    })
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
pub(super) fn restore(tx: &Transaction<'_>, record: &Record) -> Result<Applied> {
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
pub(super) fn resend(tx: &Transaction<'_>, record: &Record) -> Result<Applied> {
    let Record { point_id, entry_id, lane, .. } = *record;
    let around = Surroundings::of(tx, point_id, entry_id, lane, &record.message_id)?;
    let known = if around.has_messages { generations(tx, point_id, entry_id)? } else { Vec::new() };
    if known.iter().any(|generation| !generation.delivery.settled) {
        return Ok(Applied::Known);
    }
    let mut record = Record { held_by: around.holder, late: around.late, ..record.clone() };
    record.message = write(tx, &record)?;
    let record = Box::new(record);
    Ok(Applied::Admitted { record, superseded: Vec::new(), released: false, again: true })
}

/// A new row of `message`, with the id that the application gave it; answers its number.
fn write(tx: &Transaction<'_>, record: &Record) -> Result<i64> {
    let given_id_hash = record.message_id_given.then(|| message_id_hash(&record.message_id));
    let facts = facts_json(&record.facts)?;
    let (code, text, remedy) = failure_columns(record.failure.as_ref());
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
        code,
        text,
        remedy,
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
    (message_id, given): (&str, bool),
    failure: Option<Failure>,
    gathered: &mut Gathered,
) -> Result<Record> {
    let Admission { point_id, entry_id, now, .. } = *admission;
    let mut delivery = Delivery::new(admission.in_doubt);
    let may_begin = gathered.may_begin(point_id, admission.lane);
    let begun = admission.begin && may_begin && failure.is_none() && around.holder.is_none();
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
        late: around.late || admission.late,
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
    if record.holds {
        gathered.hold(point_id, record.lane, entry_id);
    }
    Ok(record)
}

/// A row at 0 whose message ended without being accepted: a DBA's resubmit, under the same key and id.
fn resubmit(
    tx: &Transaction<'_>,
    admission: &Admission,
    around: &Surroundings,
    same: &Generation,
    gathered: &mut Gathered,
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
        around.late || admission.late,
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
        None => (admission.begin && gathered.may_begin(point_id, lane) && held_by.is_none())
            .then_some(Event::Begin),
    };
    if let Some(event) = event {
        let note = Note {
            now: admission.now,
            failure: admission.failure.clone(),
            hold: admission.hold_after_failure,
            ..Note::default()
        };
        apply_step(tx, &Step { message: same.message, event, note, believed: None }, gathered)?;
    }
    Ok(tx.prepare_cached(sql::MESSAGE_RECORDS)?.query_row([json(&[same.message])], Record::from_row)?)
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

/// The column `facts`.
fn facts_json(facts: &Facts) -> rusqlite::Result<String> {
    serde_json::to_string(facts).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
