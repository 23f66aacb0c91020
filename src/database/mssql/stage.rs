//! Fills the session's own tables by bulk load: ids, log rows, tries, and what goes with received documents.
//!
//! They are emptied first and filled before the transaction opens, but for what hangs on ids that it gives. Texts are cut to their columns here; a key that comes
//! twice in one batch is folded into one row, since one statement writes them all.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tiberius::{ColumnData, IntoSql, TokenRow};

use crate::database::inbox::{ReceiptRow, ReceivedRow};
use crate::database::{AttemptRow, LogRow};
use crate::domain::holes::Span;
use crate::domain::incoming::{Incoming, Marks};

use super::session::Session;
use super::trouble::Trouble;
use super::values::cut;

/// Fills `#bodrelay_id`; each id comes with the flag that it is to have (0: only looked up).
pub(super) async fn ids(session: &mut Session, ids: &[(i64, i16)]) -> Result<(), Trouble> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup_by_key(|(id, _)| *id);
    let rows = ids.into_iter().map(|(id, flag)| [ColumnData::I64(Some(id)), ColumnData::I16(Some(flag))]);
    load(session, "#bodrelay_id", rows).await
}

/// Fills `#bodrelay_hole`; the ranges do not overlap.
pub(super) async fn holes(session: &mut Session, holes: &[Span]) -> Result<(), Trouble> {
    load(session, "#bodrelay_hole", holes.iter().map(|(first, last)| [number(*first), number(*last)])).await
}

/// Fills `#bodrelay_log`.
pub(super) async fn log(session: &mut Session, rows: &[LogRow]) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    load(session, "#bodrelay_log", folded(rows).iter().map(log_row)).await
}

/// Fills `#bodrelay_attempt`.
pub(super) async fn attempts(session: &mut Session, rows: &[AttemptRow]) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut seen = std::collections::HashSet::new();
    let once = rows.iter().filter(|row| seen.insert((&row.message_key, row.attempt_no)));
    let rows: Vec<_> = once.map(attempt_row).collect();
    load(session, "#bodrelay_attempt", rows).await
}

/// Fills `#bodrelay_mark`.
pub(super) async fn marks(
    session: &mut Session,
    documents: &[Incoming],
    marks: &[Marks],
) -> Result<(), Trouble> {
    let rows = documents.iter().zip(marks).zip(0_i64..).map(|((document, marks), place)| {
        [
            number(place),
            text(&marks.receipt_key, 64),
            text(&marks.receipt_key_of_bytes, 64),
            text(&document.connection_point, 64),
            text(&marks.source_part, 128),
            text(&document.parameters.from_logical_id, 250),
            text(&document.parameters.document_name, 131),
            text(&document.digest, 64),
            text_if(marks.document_key.as_ref(), 64),
        ]
    });
    load(session, "#bodrelay_mark", rows).await
}

/// Fills `#bodrelay_mark` with keys alone.
pub(super) async fn receipt_keys(session: &mut Session, keys: &[String]) -> Result<(), Trouble> {
    let rows = keys.iter().zip(0_i64..).map(|(key, place)| {
        let none = || text("", 1);
        let none_if = text_if(None, 1);
        [number(place), text(key, 64), none(), none(), none(), none(), none(), none(), none_if]
    });
    load(session, "#bodrelay_mark", rows).await
}

/// Fills `#bodrelay_header`: entry id, key, value. A value is never cut.
pub(super) async fn headers(session: &mut Session, rows: &[(i64, String, String)]) -> Result<(), Trouble> {
    /// Of the two columns, in UTF-16 units.
    const LONGEST: (usize, usize) = (250, 4000);
    for (_, key, value) in rows {
        let units = |text: &str| text.encode_utf16().count();
        if units(key) > LONGEST.0 || units(value) > LONGEST.1 {
            let what = format!("the header {} is longer than any column of it", cut(key, 60));
            return Err(Trouble::RowTooLong(what));
        }
    }
    let rows = rows.iter().zip(0_i64..).map(|((entry_id, key, value), place)| {
        [number(place), number(*entry_id), text(key, LONGEST.0), text(value, LONGEST.1)]
    });
    load(session, "#bodrelay_header", rows).await
}

/// Fills `#bodrelay_receipt`.
pub(super) async fn receipts(session: &mut Session, rows: &[ReceiptRow<'_>]) -> Result<(), Trouble> {
    let rows = rows.iter().map(|row| {
        [
            text(&row.receipt_key, 64),
            text(row.connection_point, 64),
            text(&row.message_id, 250),
            text(row.source_part, 128),
            text(row.from_logical_id, 250),
            text(row.document_name, 131),
            text(row.digest, 64),
            number(row.entry_id),
            time(row.received_at),
        ]
    });
    load(session, "#bodrelay_receipt", rows).await
}

/// Fills `#bodrelay_received_document`.
pub(super) async fn received_documents(
    session: &mut Session,
    rows: &[ReceivedRow<'_>],
) -> Result<(), Trouble> {
    let rows = rows.iter().map(|row| {
        [
            text(row.document_key, 64),
            text(row.connection_point, 64),
            text(&row.noun, 100),
            text(row.document_id, 100),
            number(row.variation_id),
            text(row.digest, 64),
            number(row.entry_id),
            time(row.received_at),
        ]
    });
    load(session, "#bodrelay_received_document", rows).await
}

/// Fills `#bodrelay_document` with ids or keys.
pub(super) async fn texts(session: &mut Session, texts: &[String]) -> Result<(), Trouble> {
    if texts.is_empty() {
        return Ok(());
    }
    load(session, "#bodrelay_document", texts.iter().map(|id| [text(id, 400)])).await
}

/// Fills `#bodrelay_change_mark`; each change with the number of its document.
pub(super) async fn change_marks(session: &mut Session, mut marks: Vec<(i64, i64)>) -> Result<(), Trouble> {
    if marks.is_empty() {
        return Ok(());
    }
    marks.sort_unstable();
    load(
        session,
        "#bodrelay_change_mark",
        marks.into_iter().map(|(id, document)| [number(id), number(document)]),
    )
    .await
}

async fn load<const N: usize>(
    session: &mut Session,
    table: &'static str,
    rows: impl IntoIterator<Item = [ColumnData<'static>; N]>,
) -> Result<(), Trouble> {
    let rows: Vec<_> = rows.into_iter().collect();
    let mut load = session.client.bulk_insert(table).await?;
    for row in rows {
        let mut cells = TokenRow::with_capacity(N);
        row.into_iter().for_each(|cell| cells.push(cell));
        load.send(cells).await?;
    }
    load.finalize().await?;
    Ok(())
}

/// What came last wins; attempts never go down, first seen and first attempt stay: as the statement does with a row
/// that is there.
fn folded(rows: &[LogRow]) -> Vec<LogRow> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    let mut folded: Vec<LogRow> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.get(row.message_key.as_str()) {
            None => {
                places.insert(&row.message_key, folded.len());
                folded.push(row.clone());
            }
            Some(place) => {
                let former = &folded[*place];
                let row = LogRow {
                    attempts: row.attempts.max(former.attempts),
                    seen_at: former.seen_at,
                    first_attempt_at: former.first_attempt_at.or(row.first_attempt_at),
                    ..row.clone()
                };
                folded[*place] = row;
            }
        }
    }
    folded
}

fn text(text: &str, longest: usize) -> ColumnData<'static> {
    ColumnData::String(Some(cut(text, longest).into_owned().into()))
}

fn text_if(given: Option<&String>, longest: usize) -> ColumnData<'static> {
    ColumnData::String(given.map(|given| cut(given, longest).into_owned().into()))
}

fn number(number: impl Into<Option<i64>>) -> ColumnData<'static> {
    ColumnData::I64(number.into())
}

fn time(time: impl Into<Option<DateTime<Utc>>>) -> ColumnData<'static> {
    time.into().map(|time| time.naive_utc()).into_sql()
}

/// In the order of the columns in `sql/mssql/session/tables.sql`.
fn log_row(row: &LogRow) -> [ColumnData<'static>; 40] {
    let facts = &row.facts;
    [
        text(&row.message_key, 36),
        text(row.direction, 3),
        text(&row.connection_point, 64),
        text(row.tenant_id.as_deref().unwrap_or_default(), 22),
        number(row.entry_id),
        text_if(row.message_id.as_ref(), 250),
        text_if(facts.verb.as_ref(), 30),
        text_if(facts.noun.as_ref(), 100),
        text_if(facts.document_id.as_ref(), 100),
        text_if(facts.accounting_entity.as_ref(), 22),
        text_if(facts.document_location.as_ref(), 22),
        text_if(facts.revision_id.as_ref(), 22),
        number(facts.variation_id),
        text_if(facts.batch_id.as_ref(), 250),
        number(facts.batch_sequence),
        text_if(row.from_logical_id.as_ref(), 250),
        text_if(facts.to_logical_id.as_ref(), 250),
        number(row.priority),
        text(&row.state, 12),
        text_if(row.held_by.as_ref(), 36),
        number(i64::from(row.in_doubt)),
        number(i64::from(row.late)),
        number(row.attempts),
        number(row.http_status),
        text_if(row.answer_class.as_ref(), 8),
        text_if(row.failure_code.as_ref(), 60),
        text_if(row.failure_text.as_ref(), 2000),
        text_if(row.remedy.as_ref(), 1000),
        number(facts.document_bytes),
        number(row.wire_bytes),
        text_if(facts.digest.as_ref(), 64),
        time(facts.created_at),
        time(row.seen_at),
        time(row.first_attempt_at),
        time(row.last_attempt_at),
        time(row.next_attempt_at),
        time(row.finished_at),
        text_if(row.host.as_ref(), 64),
        time(row.updated_at),
        text_if(facts.resend_of.as_ref(), 36),
    ]
}

fn attempt_row(row: &AttemptRow) -> [ColumnData<'static>; 10] {
    [
        text(&row.message_key, 36),
        number(row.attempt_no),
        time(row.started_at),
        number(row.duration_ms),
        number(row.http_status),
        text(&row.answer_class, 8),
        number(i64::from(row.in_doubt)),
        text_if(row.failure_code.as_ref(), 60),
        text_if(row.answer_text.as_ref(), 1000),
        text(&row.host, 64),
    ]
}
