//! resubmit and discard: a page of the journal's messages at a time; resend: a page of the message log.
//!
//! `resubmit` does what a DBA would do by hand, it sets flag 9 to 0, and the ordinary path does the rest. `resend` makes
//! a new message of the same row, whose flag stays 1. Neither passes a later accepted version of the same document,
//! unless the command says `out_of_order`.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{CommandError, Effect, Job, PAGE, Page, Target};
use crate::bod;
use crate::crash;
use crate::database::{CommandRow, DatabaseError, LogFilter, LogRow};
use crate::domain::delivery::{Delivery, State};
use crate::domain::halves::Halves;
use crate::domain::ids::{LaneKey, resend_message_id};
use crate::domain::message::{Facts, Judged, Verdict};
use crate::journal::Record;

/// Versions of one document that a command may name at once.
const VERSIONS: i64 = 5_000;
/// Bytes of rows that are read at once.
const BYTES: usize = 8 * 1024 * 1024;

/// Flag 9 becomes 0 for failed and discarded messages that ended before the command was begun.
pub(super) async fn resubmit(job: &Job) -> Result<Page, CommandError> {
    let (mut page, records) = open_messages(job, &[State::Failed, State::Discarded]).await?;
    let (mut overtaken, mut sent_before) = (0, 0);
    let mut ids = Vec::new();
    for record in records {
        let ended = record.finished_at.is_some_and(|at| at <= job.progress.begun_at);
        if !ended || !record.delivery.settled {
            continue;
        }
        page.matched += 1;
        if record.is_resend() {
            // Its row was accepted before: no flag of it says that it is to go.
            sent_before += 1;
        } else if is_overtaken(job, &record).await? {
            overtaken += 1;
        } else {
            ids.push(record.entry_id);
        }
    }
    ids.sort_unstable();
    let mut done = if job.command.dry_run { ids.len() } else { 0 };
    let mut halves = Halves::of(if job.command.dry_run { Vec::new() } else { ids });
    while let Some(ids) = halves.part() {
        match job.database.outbox_reset(&ids).await {
            Ok(reset) => done += reset.len(),
            Err(error) if error.spares_parts() => halves.refuse(ids, error),
            Err(error) => return Err(error.into()),
        }
    }
    let (refused, left) = halves.end();
    page.remarks.extend(said_refused(&refused, left.len()));
    page.done += i64::try_from(done).unwrap_or(i64::MAX);
    crash::point("after_reset");
    page.remarks.extend(said_overtaken(overtaken));
    page.remarks.extend((sent_before > 0).then(|| {
        format!(
            "{sent_before} left out: what failed is a resend, whose row was accepted before; use 'resend' with the \
             message_key that resend_of names, or 'discard'"
        )
    }));
    Ok(page)
}

/// Messages that wait, and failed ones.
pub(super) async fn discard(job: &Job) -> Result<Page, CommandError> {
    let (mut page, records) = open_messages(job, &[State::Pending, State::Failed]).await?;
    for record in records {
        page.matched += 1;
        let Some(target) = job.targets.iter().find(|target| target.point_id == record.point_id) else {
            continue;
        };
        if record.delivery.state == State::Pending || record.delivery.settled {
            page.done += 1;
            page.effects.push(Effect::Discard(target.number, Box::new(record)));
        }
    }
    Ok(page)
}

/// Accepted messages go once more, under new ids, as far as their rows still hold what was sent.
pub(super) async fn resend(job: &Job) -> Result<Page, CommandError> {
    let (mut page, mut rows) = accepted(job).await?;
    if page.refused.is_some() {
        return Ok(page);
    }
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
            if is_overtaken(job, &record).await? {
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

/// A page of accepted messages of the log; all versions of one document are one page.
async fn accepted(job: &Job) -> Result<(Page, Vec<LogRow>), CommandError> {
    let command = &job.command;
    let refused = |why: &str| (Page { refused: Some(why.into()), ..Page::default() }, Vec::new());
    let is_one_document = command.noun.is_some() && command.document_id.is_some();
    if command.message_key.is_none() && !is_one_document && command.from_at.is_none() {
        return Ok(refused(
            "give message_key, noun with document_id, or from_at: all that ever was accepted is hardly meant",
        ));
    }
    let first_key = command.from_at.map(earliest_key).unwrap_or_default();
    let above = job.progress.after_key.clone().max(first_key);
    let limit = if is_one_document { VERSIONS } else { PAGE };
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
            // Upwards by key, unless the index of documents finds them all at once.
            after_key: (!is_one_document).then(|| above.clone()),
            limit,
            ..LogFilter::default()
        })
        .await?;
    let more = i64::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
    if more && is_one_document {
        return Ok(refused(
            "the document has too many versions for one command: give message_key or from_at",
        ));
    }
    rows.retain(|row| row.message_key > above);
    let after_key = rows.iter().map(|row| &row.message_key).max().cloned();
    rows.retain(|row| row.state == "accepted");
    Ok((Page { after_key, more, ..Page::default() }, rows))
}

/// A page of the journal's messages in these states: what the message log says of them may be old, or, where it is
/// told of problems only, nothing.
async fn open_messages(job: &Job, states: &[State]) -> Result<(Page, Vec<Record>), CommandError> {
    let point_ids = job.targets.iter().map(|target| target.point_id).collect();
    // A command that an older version began kept keys of the log: it starts anew, and finds nothing to do twice.
    let above = job.progress.after_key.parse().unwrap_or_default();
    let mut records = job.journal.page(point_ids, states, above, PAGE).await?;
    let more = i64::try_from(records.len()).is_ok_and(|records| records >= PAGE);
    let after_key = records.iter().map(|record| record.message).max().map(|last| last.to_string());
    records.retain(|record| is_meant(&job.command, record));
    Ok((Page { after_key, more, ..Page::default() }, records))
}

/// Whether the filters of a command meet a message.
fn is_meant(command: &CommandRow, record: &Record) -> bool {
    let facts = &record.facts;
    let is = |wanted: &Option<String>, value: Option<&str>| {
        wanted.as_ref().is_none_or(|wanted| value == Some(wanted.as_str()))
    };
    let created = facts.created_at;
    is(&command.message_key, Some(&record.message_key.to_string()))
        && is(&command.verb, facts.verb.as_deref())
        && is(&command.noun, facts.noun.as_deref())
        && is(&command.document_id, facts.document_id.as_deref())
        && is(&command.failure_code, record.failure.as_ref().map(|failure| &*failure.code))
        && command.from_at.is_none_or(|from| created.is_some_and(|created| created >= from))
        && command.to_at.is_none_or(|to| created.is_some_and(|created| created <= to))
}

/// No message of rows created since then has a smaller key: keys grow with the time at which a row was seen, and a row
/// is seen after it was created, by clocks that differ by less than a day.
fn earliest_key(from: DateTime<Utc>) -> String {
    let since = (from - TimeDelta::days(1)).timestamp_millis().clamp(0, (1 << 48) - 1);
    let hex = format!("{since:012x}");
    let (high, low) = hex.split_at(8);
    format!("{high}-{low}")
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

async fn is_overtaken(job: &Job, record: &Record) -> Result<bool, CommandError> {
    let Record { point_id, document_type, lane, entry_id, seen_at, .. } = record;
    Ok(!job.command.out_of_order
        && job.journal.is_overtaken(*point_id, document_type, *lane, *entry_id, *seen_at).await?)
}

/// Rows that the database does not let be set to 0.
fn said_refused(refused: &[(i64, DatabaseError)], left: usize) -> Option<String> {
    let (entry_id, error) = refused.first()?;
    Some(format!(
        "{} rows cannot be set to 0, since the database refuses it (the first: C_ID {entry_id}: {error})",
        refused.len() + left
    ))
}

fn said_overtaken(count: usize) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} left out: ION has accepted a later version of the document, or may have, where order_by has \
             changed since (out_of_order = 1 sends them all the same)"
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
