//! A message as a row of the message log; texts are cut to the columns' lengths, so that no row can be refused.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::database::{AttemptRow, LogRow};
use crate::domain::delivery::State;
use crate::domain::outside::{printable, quoted};
use crate::domain::plan::ConnectionPoint;
use crate::journal::{Attempt, Record};

/// The row of `bodrelay_message_log` for a message as it stands.
pub(super) fn row(
    record: &Record,
    point: &ConnectionPoint,
    host: &str,
    held_by: Option<String>,
    now: i64,
) -> LogRow {
    let failure = record.failure.as_ref();
    LogRow {
        message_key: record.message_key.to_string(),
        direction: "out",
        connection_point: point.name.clone(),
        tenant_id: Some(point.tenant_id.clone()),
        entry_id: Some(record.entry_id),
        message_id: Some(cut(&record.message_id, 250)),
        from_logical_id: Some(point.logical_id.clone()),
        facts: record.facts.clone(),
        priority: Some(record.priority.into()),
        state: record.delivery.state.as_str().into(),
        held_by,
        in_doubt: record.delivery.in_doubt,
        late: record.late,
        attempts: record.delivery.attempts.into(),
        http_status: record.http_status.map(i64::from),
        answer_class: record.answer_class.clone(),
        failure_code: failure.map(|failure| cut(&failure.code, 60)),
        failure_text: failure.map(|failure| cut(&printable(&failure.text), 2000)),
        remedy: failure.map(|failure| cut(&format!("{}{}", failure.remedy, levers(record, point)), 1000)),
        wire_bytes: record.wire_bytes,
        seen_at: time(record.seen_at),
        first_attempt_at: record.first_attempt_at.map(time),
        last_attempt_at: record.last_attempt_at.map(time),
        next_attempt_at: None,
        finished_at: record.finished_at.map(time),
        host: Some(host.to_owned()),
        updated_at: time(now),
    }
}

/// What to type for a failed message: never what would pass a later version of its document, and what works for the
/// message, also where its row keeps its flag.
fn levers(record: &Record, point: &ConnectionPoint) -> String {
    if record.delivery.state != State::Failed {
        return String::new();
    }
    let name = quoted(&point.name);
    let of = |command: &str, key: &str| {
        format!(
            "INSERT INTO bodrelay_command (command, connection_point, message_key) VALUES ('{command}', {name}, '{key}')"
        )
    };
    let give_up = |key: &str| {
        format!(
            "INSERT INTO bodrelay_command (command, connection_point, message_key, reason) VALUES ('discard', {name}, \
             '{key}', 'not needed')"
        )
    };
    let own = record.message_key.to_string();
    match &record.facts.resend_of {
        Some(first) => format!(
            " Its row was accepted before and stays 1; later versions do not wait. To send it once more: {}; to give this one \
             up: {}.",
            of("resend", first),
            give_up(&own)
        ),
        None => format!(
            " To send it again: {}, which leaves it out where ION has accepted a later version of the document; to give it \
             up: {}.",
            of("resubmit", &own),
            give_up(&own)
        ),
    }
}

/// `log_messages = 'problems'` leaves out what went through at once.
pub(super) fn is_problem(record: &Record) -> bool {
    record.delivery.state != State::Accepted
        || record.delivery.attempts > 1
        || record.delivery.in_doubt
        || record.late
        || record.is_resend()
        || record.logged
}

/// The row of `bodrelay_attempt` for a try.
pub(super) fn attempt(message_key: Uuid, attempt_no: i64, attempt: Attempt, host: &str) -> AttemptRow {
    AttemptRow {
        message_key: message_key.to_string(),
        attempt_no,
        started_at: time(attempt.started_at),
        duration_ms: attempt.duration_ms,
        http_status: attempt.http_status.map(i64::from),
        answer_class: attempt.answer_class.into(),
        in_doubt: attempt.in_doubt,
        failure_code: attempt.failure_code.map(|code| cut(&code, 60)),
        answer_text: attempt.answer_text.map(|text| cut(&text, 1000)),
        host: host.to_owned(),
    }
}

/// ms since 1970 as a time; what no calendar holds becomes 1970.
pub(super) fn time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}
