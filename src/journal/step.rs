//! An event of a message: the state machine says what follows, and the message and its try are written.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::apply::{Applied, Gathered, Note, Step};
use super::{Result, failure_columns, statements as sql};
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::ids::LaneKey;

/// Carries out one event. A message that is gone is `Known`: nothing is left that an event could change.
///
/// # Errors
/// The event cannot follow the message's state, or the journal cannot be written.
pub(super) fn apply_step(tx: &Transaction<'_>, step: &Step, gathered: &mut Gathered) -> Result<Applied> {
    let Step { message, event, note, believed } = step;
    if let Some(believed) = believed.filter(|_| !note.hold)
        && let Ok(delivery) = believed.step(*event)
        && write_believed(tx, step, believed, delivery)?
    {
        return Ok(Applied::Stepped { delivery, released: false, held: hold_back(tx, step)? });
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
        // Settled and shrunk to a tombstone.
        return Ok(Applied::Known);
    };
    let is_decision = matches!(event, Event::Discard | Event::Withdraw | Event::Supersede);
    if is_decision && before.state.is_final() && before.state != State::Failed {
        // Another decision came first: by the correction of its row, say, before a command to discard it.
        return Ok(Applied::Known);
    }
    let delivery = before.step(*event)?;
    let holds = match event {
        Event::Fail { .. } => note.hold,
        Event::Retry { .. } | Event::Interrupt | Event::Settle | Event::Resubmit | Event::Begin => {
            held_before
        }
        Event::Accept | Event::Discard | Event::Withdraw | Event::Supersede => false,
    };
    if *event == Event::Begin {
        if !write_begin(tx, step, before, delivery)? {
            return Ok(Applied::Held);
        }
    } else {
        write_step(tx, step, delivery, holds)?;
        write_attempt(tx, step, delivery)?;
    }
    if holds && !held_before {
        gathered.hold(point_id, lane, entry_id);
    }
    let released = held_before && !holds;
    if released {
        tx.prepare_cached(sql::MESSAGE_RELEASE)?.execute(params![point_id, lane.0, message])?;
        gathered.release(point_id, Some(lane));
    }
    Ok(Applied::Stepped { delivery, released, held: hold_back(tx, step)? })
}

/// Whether a message that comes back waits for a lower row that failed while it was out.
fn hold_back(tx: &Transaction<'_>, step: &Step) -> Result<bool> {
    let is_back = matches!(step.event, Event::Retry { .. } | Event::Interrupt);
    Ok(is_back && tx.prepare_cached(sql::MESSAGE_HOLD_BACK)?.execute([step.message])? > 0)
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
    let (code, text, remedy) = failure_columns(note.failure.as_ref());
    let written = tx.prepare_cached(sql::MESSAGE_RECORD)?.execute(params![
        message,
        delivery.state as u8,
        delivery.in_doubt,
        delivery.state.is_final().then_some(note.now),
        note.http_status,
        note.answer_class,
        code,
        text,
        remedy,
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
    let (code, text, remedy) = failure_columns(note.failure.as_ref());
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
        code,
        text,
        remedy,
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

/// State, settled, in doubt, attempts: four columns from `first` on.
pub(super) fn delivery(row: &Row<'_>, first: usize) -> rusqlite::Result<Delivery> {
    let state =
        State::from_number(row.get(first)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(first, -1))?;
    Ok(Delivery {
        state,
        settled: row.get(first + 1)?,
        in_doubt: row.get(first + 2)?,
        attempts: row.get(first + 3)?,
    })
}
