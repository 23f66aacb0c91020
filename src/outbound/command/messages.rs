//! resubmit, discard and resend: a page of the message log at a time, each row checked against the journal.
//!
//! `resubmit` does what a DBA would do by hand, it sets flag 9 to 0, and the ordinary path does the rest. `resend` makes
//! a new message of the same row, whose flag stays 1. Neither passes a later accepted version of the same document,
//! unless the command says `out_of_order`.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{CommandError, Effect, Job, PAGE, Page, Target};
use crate::bod;
use crate::crash;
use crate::database::{LogFilter, LogRow};
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{LaneKey, resend_message_id};
use crate::domain::message::{Facts, Judged, Verdict};
use crate::journal::Record;

/// Bytes of rows that are read at once.
const BYTES: usize = 8 * 1024 * 1024;

/// Flag 9 becomes 0 for failed and discarded messages that ended before the command was begun.
pub(super) async fn resubmit(job: &Job) -> Result<Page, CommandError> {
    let (mut page, rows) = rows(job, &["failed", "discarded"]).await?;
    let mut overtaken = 0;
    for target in &job.targets {
        let mut ids = Vec::new();
        for record in records(job, target, &rows).await? {
            let ended = record.finished_at.is_some_and(|at| at <= job.progress.begun_at);
            let state = record.delivery.state;
            if !ended || !record.delivery.settled || !matches!(state, State::Failed | State::Discarded) {
                continue;
            }
            page.matched += 1;
            match is_overtaken(job, target, record.lane, record.entry_id).await? {
                true => overtaken += 1,
                false => ids.push(record.entry_id),
            }
        }
        ids.sort_unstable();
        let done = match job.command.dry_run {
            true => ids.len(),
            false if ids.is_empty() => 0,
            false => job.database.outbox_reset(&ids).await?.len(),
        };
        page.done += i64::try_from(done).unwrap_or(i64::MAX);
        crash::point("after_reset");
    }
    page.remarks.extend(said_overtaken(overtaken));
    Ok(page)
}

/// Messages that wait, and failed ones.
pub(super) async fn discard(job: &Job) -> Result<Page, CommandError> {
    let (mut page, rows) = rows(job, &["pending", "failed"]).await?;
    for target in &job.targets {
        for record in records(job, target, &rows).await? {
            page.matched += 1;
            let state = record.delivery.state;
            if state == State::Pending || state == State::Failed && record.delivery.settled {
                page.done += 1;
                page.effects.push(Effect::Discard(target.number, Box::new(record)));
            }
        }
    }
    Ok(page)
}

/// Accepted messages go once more, under new ids, as far as their rows still hold what was sent.
pub(super) async fn resend(job: &Job) -> Result<Page, CommandError> {
    let (mut page, mut rows) = rows(job, &["accepted"]).await?;
    if job.command.message_key.is_none() {
        // What was itself sent once more is not meant: else a row would go twice.
        rows.retain(|row| row.facts.resend_of.is_none());
    }
    let (mut overtaken, mut gone, mut unfit) = (0, 0, 0);
    for target in &job.targets {
        let wanted: Vec<&LogRow> =
            rows.iter().filter(|row| row.connection_point == target.settings.name).collect();
        let mut found = judged(job, target, &wanted).await?;
        for row in wanted {
            page.matched += 1;
            let same = row
                .entry_id
                .and_then(|entry_id| found.remove(&entry_id))
                .filter(|judged| judged.facts.digest == row.facts.digest);
            let Some(judged) = same else {
                gone += 1;
                continue;
            };
            if !matches!(judged.verdict, Verdict::Send(_)) {
                unfit += 1;
                continue;
            }
            let record = record(job, target, row, judged);
            if is_overtaken(job, target, record.lane, record.entry_id).await? {
                overtaken += 1;
            } else {
                page.done += 1;
                page.effects.push(Effect::Resend(target.number, Box::new(record)));
            }
        }
    }
    page.remarks.extend(said_overtaken(overtaken));
    page.remarks
        .extend((gone > 0).then(|| format!("{gone} cannot: their rows are gone or hold something else")));
    page.remarks.extend((unfit > 0).then(|| {
        format!("{unfit} cannot: they would not be sent now (a setting or a check; test_document says why)")
    }));
    Ok(page)
}

/// A page of the log.
async fn rows(job: &Job, states: &[&str]) -> Result<(Page, Vec<LogRow>), CommandError> {
    let command = &job.command;
    let mut rows = job
        .database
        .log_search(&LogFilter {
            direction: Some("out".into()),
            connection_point: Some(command.connection_point.clone()).filter(|name| name != "*"),
            message_key: command.message_key.clone(),
            verb: command.verb.clone(),
            noun: command.noun.clone(),
            document_id: command.document_id.clone(),
            failure_code: command.failure_code.clone(),
            created_from: command.from_at,
            created_to: command.to_at,
            after_key: Some(job.progress.after_key.clone()),
            limit: PAGE,
            ..LogFilter::default()
        })
        .await?;
    let more = i64::try_from(rows.len()).is_ok_and(|rows| rows >= PAGE);
    let after_key = rows.last().map(|row| row.message_key.clone());
    rows.retain(|row| states.contains(&row.state.as_str()));
    Ok((Page { after_key, more, ..Page::default() }, rows))
}

/// What the journal knows of rows of the log, where it is still what they say.
async fn records(job: &Job, target: &Target, rows: &[LogRow]) -> Result<Vec<Record>, CommandError> {
    let wanted: HashMap<&str, i64> = rows
        .iter()
        .filter(|row| row.connection_point == target.settings.name)
        .filter_map(|row| Some((row.message_key.as_str(), row.entry_id?)))
        .collect();
    let mut records = job.journal.newest_of(target.point_id, wanted.values().copied().collect()).await?;
    records.retain(|record| wanted.contains_key(record.message_key.to_string().as_str()));
    Ok(records)
}

/// The rows of the outbox as they are now, by `C_ID`.
async fn judged(job: &Job, target: &Target, rows: &[&LogRow]) -> Result<HashMap<i64, Judged>, CommandError> {
    let mut ids: Vec<i64> = rows.iter().filter_map(|row| row.entry_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = HashMap::with_capacity(ids.len());
    while !ids.is_empty() {
        let loaded = job.database.outbox_load(&ids, BYTES).await?;
        for entry in &loaded.entries {
            found.insert(entry.entry_id, bod::judge(entry, &target.settings));
        }
        ids = loaded.not_loaded;
    }
    Ok(found)
}

async fn is_overtaken(
    job: &Job,
    target: &Target,
    lane: LaneKey,
    entry_id: i64,
) -> Result<bool, CommandError> {
    Ok(!job.command.out_of_order && job.journal.is_overtaken(target.point_id, lane, entry_id).await?)
}

fn said_overtaken(count: usize) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} left out: ION has accepted a later version of the document (out_of_order = 1 sends them all the \
             same)"
        )
    })
}

/// The message that goes once more.
fn record(job: &Job, target: &Target, row: &LogRow, judged: Judged) -> Record {
    let lane = judged
        .lane
        .unwrap_or_else(|| LaneKey::of(&["entry", &judged.entry_id.to_string(), &row.message_key]));
    Record {
        message: 0,
        message_key: Uuid::now_v7(),
        point_id: target.point_id,
        entry_id: judged.entry_id,
        identity: judged.identity,
        message_id: resend_message_id(&row.message_key, job.command.command_id),
        message_id_given: false,
        lane,
        document_type: judged.document_type.map(|name| name.to_string()).unwrap_or_default(),
        priority: judged.priority,
        delivery: Delivery::new(false),
        late: false,
        held_by: None,
        holds: false,
        seen_at: job.now,
        first_attempt_at: None,
        last_attempt_at: None,
        finished_at: None,
        http_status: None,
        answer_class: None,
        failure: None,
        wire_bytes: None,
        facts: Arc::new(Facts { resend_of: Some(row.message_key.clone()), ..(*judged.facts).clone() }),
        logged: false,
    }
}
