//! A journal that was lost: what it knew comes back from the message log and the rows (design.md §3).
//!
//! Failed and discarded messages come back under their key and id, so that setting a row to 0 is a resubmit, and a
//! failed one holds its lane again. What was open comes back as pending and in doubt; from then on it meets its row
//! like any message that had to wait: gone, flagged or changed is told in the log, and nothing stays open for ever.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::SettleFailure;
use crate::bod;
use crate::database::{Database, LogFilter, LogRow};
use crate::domain::command::Kind;
use crate::domain::delivery::{Delivery, State};
use crate::domain::failure::Failure;
use crate::domain::ids::{IdentityDigest, LaneKey};
use crate::domain::message::Judged;
use crate::domain::plan::{AfterFailure, ConnectionPoint};
use crate::journal::{Change, Journal, Pause, Record};

/// Log rows of one state that are looked at, the newest first: what is older is not worth a long start. Said by a
/// finding where there are more.
pub(super) const MOST: i64 = 10_000;
/// Messages in one transaction of the journal.
const PIECE: usize = 500;
/// Bytes of rows that are read at once.
const BYTES: usize = 8 * 1024 * 1024;

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    pub messages: usize,
    /// States of which the log may have more messages than came back.
    pub cut: Vec<State>,
    pub pause: Option<Pause>,
}

/// Reads the message log of a connection point that the journal has not met before. Doing it twice does nothing more.
pub(super) async fn rebuild(
    journal: &Journal,
    database: &dyn Database,
    point: &ConnectionPoint,
    point_id: i64,
    now: i64,
) -> Result<Rebuilt, SettleFailure> {
    let mut rebuilt = Rebuilt::default();
    // Failed ones first: what is held finds the one that holds it.
    for state in [State::Failed, State::Discarded, State::Pending, State::InFlight] {
        let filter = LogFilter {
            direction: Some("out".into()),
            connection_point: Some(point.name.clone()),
            state: Some(state.as_str().into()),
            limit: MOST,
            ..LogFilter::default()
        };
        let mut rows = database.log_search(&filter).await?;
        if i64::try_from(rows.len()).is_ok_and(|rows| rows >= MOST) {
            rebuilt.cut.push(state);
        }
        rows.sort_by_key(|row| row.entry_id);
        for piece in rows.chunks(PIECE) {
            let found = rows_of(database, point, piece).await?;
            let changes: Vec<Change> = piece
                .iter()
                .filter_map(|row| record(row, found.get(&row.entry_id?), state, point, point_id))
                .map(|record| Change::Restore(Box::new(record)))
                .collect();
            rebuilt.messages += changes.len();
            journal.apply(Arc::new(changes)).await?;
        }
    }
    rebuilt.pause = pause(database, point, now).await?;
    let read = Change::Scanned { point_id, scanned_up_to: 0, observed_up_to: 0 };
    let pause = rebuilt.pause.clone().map(|pause| Change::Pause { point_id, pause });
    journal.apply(Arc::new(pause.into_iter().chain([read]).collect())).await?;
    Ok(rebuilt)
}

/// What the last command of a DBA says: a pause holds through the loss of a journal, too.
async fn pause(
    database: &dyn Database,
    point: &ConnectionPoint,
    now: i64,
) -> Result<Option<Pause>, SettleFailure> {
    let levers = database.lever_read().await?;
    let last = levers.into_iter().find(|it| it.connection_point == point.name || it.connection_point == "*");
    Ok(last.filter(|it| Kind::parse(&it.command) == Some(Kind::Pause)).and_then(|command| {
        let until = command.until_at.map(|until| until.timestamp_millis());
        let holds = until.is_none_or(|until| until > now);
        let why = command.reason.unwrap_or_default();
        let reason = format!("{why} (command {}; the journal that knew it was lost)", command.command_id);
        holds.then(|| Pause { since: now, until, reason: reason.trim().to_owned() })
    }))
}

/// What a row of the outbox says of itself now.
struct Row {
    identity: IdentityDigest,
    digest: Option<String>,
    given_id: Option<String>,
    lane: Option<LaneKey>,
}

async fn rows_of(
    database: &dyn Database,
    point: &ConnectionPoint,
    log: &[LogRow],
) -> Result<HashMap<i64, Row>, SettleFailure> {
    let mut ids: Vec<i64> = log.iter().filter_map(|row| row.entry_id).collect();
    ids.dedup();
    let mut found = HashMap::with_capacity(ids.len());
    while !ids.is_empty() {
        let loaded = database.outbox_load(&ids, BYTES).await?;
        for entry in &loaded.entries {
            let Judged { identity, message_id, message_id_from_header, facts, lane, .. } =
                bod::judge(entry, point);
            let row = Row {
                identity,
                digest: facts.digest.clone(),
                given_id: message_id_from_header.then_some(message_id),
                lane,
            };
            found.insert(entry.entry_id, row);
        }
        ids = loaded.not_loaded;
    }
    Ok(found)
}

/// The message of a log row; `None` where nothing can come of it any more: a failed one whose row is gone or corrected.
fn record(
    log: &LogRow,
    row: Option<&Row>,
    state: State,
    point: &ConnectionPoint,
    point_id: i64,
) -> Option<Record> {
    let entry_id = log.entry_id?;
    let same = row.filter(|row| row.digest == log.facts.digest);
    let is_open = !state.is_final();
    if same.is_none() && !is_open {
        return None;
    }
    let ms = |time: chrono::DateTime<chrono::Utc>| time.timestamp_millis();
    let document_type = format!(
        "{}.{}",
        log.facts.verb.as_deref().unwrap_or_default(),
        log.facts.noun.as_deref().unwrap_or_default()
    );
    let holds = state == State::Failed
        && log.facts.resend_of.is_none()
        && point.after_failure_of(&document_type) == AfterFailure::Hold;
    let message_id = log.message_id.clone().unwrap_or_default();
    Some(Record {
        message: 0,
        message_key: Uuid::parse_str(&log.message_key).ok()?,
        point_id,
        entry_id,
        // No row has this digest: one that is gone or changed is found out before its post.
        identity: same.map_or(IdentityDigest([0; 16]), |row| row.identity),
        message_id_given: same.is_some_and(|row| row.given_id.as_ref() == Some(&message_id)),
        message_id,
        lane: same
            .and_then(|row| row.lane)
            .unwrap_or_else(|| LaneKey::of(&["entry", &entry_id.to_string(), &log.message_key])),
        document_type,
        priority: log.priority.and_then(|priority| u8::try_from(priority).ok()).unwrap_or_default(),
        delivery: Delivery {
            state: if is_open { State::Pending } else { state },
            settled: !is_open,
            in_doubt: is_open || log.in_doubt,
            attempts: u32::try_from(log.attempts).unwrap_or(u32::MAX),
        },
        late: log.late,
        held_by: None,
        holds,
        seen_at: ms(log.seen_at),
        first_attempt_at: log.first_attempt_at.map(ms),
        last_attempt_at: log.last_attempt_at.map(ms),
        finished_at: log.finished_at.map(ms),
        http_status: log.http_status.and_then(|status| u16::try_from(status).ok()),
        answer_class: log.answer_class.clone(),
        failure: log.failure_code.clone().map(|code| Failure {
            code: code.into(),
            text: log.failure_text.clone().unwrap_or_default(),
            remedy: log.remedy.clone().unwrap_or_default().into(),
        }),
        wire_bytes: log.wire_bytes,
        facts: log.facts.clone(),
        logged: !is_open,
    })
}
