//! Stores what was received: receipts, inbox entries and headers in one transaction, each kind in one statement.

use chrono::{DateTime, Utc};
use futures_util::future::try_join4;

use crate::database::inbox::{ReceivedRow, Written, known, to_insert, written};
use crate::database::rows::Cells;
use crate::database::statements::{postgres as sql, postgres_session as session_sql};
use crate::domain::incoming::{Incoming, Known, Marks, Stored, headers, judge};
use crate::domain::message::Entry;

use super::session::{Session, Value};
use super::trouble::Trouble;
use super::values::clean;
use super::{log, outbox};

macro_rules! each {
    ($rows:ident, $row:ident => $value:expr) => {
        &$rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

/// Done again after a COMMIT whose answer was lost, every document is a repeat of itself.
pub(super) async fn store(session: &Session, documents: &[Incoming]) -> Result<Vec<Stored>, Trouble> {
    let marks: Vec<Marks> = documents.iter().map(Marks::of).collect();
    session.begin_write().await?;
    take_turns(session, documents).await?;
    let found = known_of(session, documents, &marks).await?;
    let judged = judge(documents, &marks, found);
    let inserted = to_insert(documents, &judged);
    let entry_ids = insert(session, &inserted).await?;
    let written = written(documents, &marks, judged, &entry_ids).ok_or_else(no_id)?;
    // On their way together: the server takes them one after the other, and nobody waits for each.
    try_join4(
        insert_headers(session, &inserted, &entry_ids),
        write_receipts(session, &written),
        write_documents(session, &written.documents),
        log::write(session, &written.log),
    )
    .await?;
    session.commit().await?;
    Ok(written.stored)
}

fn no_id() -> Trouble {
    Trouble::Mend {
        what: "COR_INBOX_ENTRY took fewer rows than were written".into(),
        remedy: "a rule or trigger on COR_INBOX_ENTRY swallows rows: let it keep them".into(),
    }
}

/// The connection points in the order of their names, so that no two sessions wait for each other.
async fn take_turns(session: &Session, documents: &[Incoming]) -> Result<(), Trouble> {
    let points: std::collections::BTreeSet<&str> =
        documents.iter().map(|document| document.connection_point.as_str()).collect();
    for point in points {
        let what = format!("bodrelay inbox {point}");
        session.query_one(session_sql::INBOX_LOCK, &[&what]).await?;
    }
    Ok(())
}

async fn known_of(session: &Session, documents: &[Incoming], marks: &[Marks]) -> Result<Vec<Known>, Trouble> {
    let places: Vec<i64> = (0..).take(documents.len()).collect();
    let rows = session
        .query(
            sql::INBOX_KNOWN,
            &[
                &places,
                each!(marks, it => it.receipt_key.as_str()),
                each!(marks, it => it.receipt_key_of_bytes.as_str()),
                each!(documents, it => it.connection_point.as_str()),
                each!(marks, it => session.letters.clean(&it.source_part)),
                each!(documents, it => session.letters.clean(&it.parameters.from_logical_id)),
                each!(documents, it => session.letters.clean(&it.parameters.document_name)),
                each!(documents, it => it.digest.as_str()),
                each!(marks, it => it.document_key.as_deref()),
            ],
        )
        .await?;
    rows.iter().map(|row| known(row, 1)).collect()
}

/// Entries; answers the ids in the order of the documents.
async fn insert(session: &Session, documents: &[(&Incoming, i64)]) -> Result<Vec<i64>, Trouble> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    let bytes: Vec<&[u8]> = documents.iter().map(|(it, _)| &it.payload[..]).collect();
    // What is no UTF-8 cannot be in a column of text; the document then fails alone, with the server's reason.
    let texts: Vec<std::borrow::Cow<'_, str>> = match session.names.inbox_is_text {
        true => bytes.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect(),
        false => Vec::new(),
    };
    let payloads: Value<'_> = if session.names.inbox_is_text { &texts } else { &bytes };
    let tenants: Vec<_> = documents.iter().map(|(it, _)| clean(&it.rules.inbox_tenant_id)).collect();
    let logical_ids: Vec<_> = documents.iter().map(|(it, _)| clean(&it.rules.inbox_logical_id)).collect();
    let created: Vec<_> = documents.iter().map(|(it, _)| it.received_at).collect();
    let flags: Vec<_> = documents.iter().map(|(_, flag)| *flag).collect();
    let rows = match session.names.is_inbox_1_0() {
        true => session.query(sql::INBOX_INSERT_1_0, &[&tenants, &created, &flags, payloads]).await?,
        false => {
            let values: [Value<'_>; 5] = [&tenants, &logical_ids, &created, &flags, payloads];
            session.query(sql::INBOX_INSERT, &values).await?
        }
    };
    rows.iter().map(|row| row.integer(0)?.ok_or_else(no_id)).collect()
}

async fn insert_headers(
    session: &Session,
    documents: &[(&Incoming, i64)],
    entry_ids: &[i64],
) -> Result<(), Trouble> {
    if documents.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(documents.len() * 8);
    for ((document, _), entry_id) in documents.iter().zip(entry_ids) {
        rows.extend(headers(document).into_iter().map(|(key, value)| (*entry_id, key, value)));
    }
    let values: [Value<'_>; 3] =
        [each!(rows, it => it.0), each!(rows, it => clean(&it.1)), each!(rows, it => clean(&it.2))];
    session.execute(sql::INBOX_INSERT_HEADERS, &values).await?;
    Ok(())
}

/// Receipts, then repeats: a repeat may be of a receipt of this call.
async fn write_receipts(session: &Session, written: &Written<'_>) -> Result<(), Trouble> {
    let Written { receipts, repeats, .. } = written;
    if !receipts.is_empty() {
        session
            .execute(
                sql::RECEIPT_INSERT,
                &[
                    each!(receipts, it => it.receipt_key.as_str()),
                    each!(receipts, it => it.connection_point),
                    each!(receipts, it => session.letters.clean(&it.message_id)),
                    each!(receipts, it => session.letters.clean(it.source_part)),
                    each!(receipts, it => session.letters.clean(it.from_logical_id)),
                    each!(receipts, it => session.letters.clean(it.document_name)),
                    each!(receipts, it => it.digest),
                    each!(receipts, it => it.entry_id),
                    each!(receipts, it => it.received_at),
                ],
            )
            .await?;
    }
    if !repeats.is_empty() {
        let values: [Value<'_>; 2] = [each!(repeats, it => it.0.as_str()), each!(repeats, it => it.1)];
        session.execute(sql::RECEIPT_REPEAT, &values).await?;
    }
    Ok(())
}

async fn write_documents(session: &Session, rows: &[ReceivedRow<'_>]) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    session
        .execute(
            sql::RECEIVED_DOCUMENT_WRITE,
            &[
                each!(rows, it => it.document_key),
                each!(rows, it => it.connection_point),
                each!(rows, it => session.letters.clean_if(Some(&it.noun))),
                each!(rows, it => session.letters.clean(it.document_id)),
                each!(rows, it => it.variation_id),
                each!(rows, it => it.digest),
                each!(rows, it => it.entry_id),
                each!(rows, it => it.received_at),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn purge(
    session: &Session,
    connection_point: &str,
    receipts: DateTime<Utc>,
    documents: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let limit = limit.max(0);
    session.begin_write().await?;
    let deleted = session.execute(sql::RECEIPT_PURGE, &[&connection_point, &receipts, &limit]).await?
        + session.execute(sql::RECEIVED_DOCUMENT_PURGE, &[&connection_point, &documents, &limit]).await?;
    session.commit().await?;
    Ok(deleted)
}

pub(super) async fn load(session: &Session, entry_id: i64) -> Result<Option<Entry>, Trouble> {
    session.begin_read().await?;
    let rows = session.query(sql::INBOX_LOAD, &[&entry_id]).await?;
    let header_rows = session.query(sql::INBOX_LOAD_HEADERS, &[&entry_id]).await?;
    session.commit().await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut entry = outbox::entry(row)?;
    for row in &header_rows {
        entry.headers.push((row.required(0)?, row.required(1)?));
    }
    Ok(Some(entry))
}

/// Of these receipt keys, those that are in the table.
pub(super) async fn present(session: &Session, receipt_keys: &[String]) -> Result<Vec<String>, Trouble> {
    session.begin_read().await?;
    let rows = session.query(sql::RECEIPT_PRESENT, &[&receipt_keys]).await?;
    session.commit().await?;
    rows.iter().map(|row| row.required(0)).collect()
}
