//! Stores what was received: receipts, inbox entries and headers in one transaction.
//!
//! Entries go one by one, each with its id back: a document may have megabytes, and the ids of many rows come in no order
//! that the server promises. What hangs on them goes by bulk load into the session's own tables, then set-based.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use tiberius::ToSql;

use crate::database::inbox::{Written, known, to_insert, written};
use crate::database::rows::Cells;
use crate::database::statements::{mssql as sql, mssql_session as session_sql};
use crate::domain::incoming::{Incoming, Known, Marks, Stored, headers, judge};
use crate::domain::message::Entry;

use super::session::{Document, Session};
use super::trouble::Trouble;
use super::values::stamp;
use super::{LOCK_TIMEOUT, outbox, stage};

pub(super) async fn store(session: &mut Session, documents: &[Incoming]) -> Result<Vec<Stored>, Trouble> {
    let marks: Vec<Marks> = documents.iter().map(Marks::of).collect();
    session.empty().await?;
    session.empty_inbox().await?;
    stage::marks(session, documents, &marks).await?;

    session.begin().await?;
    take_turns(session, documents).await?;
    let found = known_of(session).await?;
    let judged = judge(documents, &marks, found);
    let entry_ids = insert(session, &to_insert(documents, &judged)).await?;
    let written = written(documents, &marks, judged, &entry_ids).ok_or(Trouble::NoRow)?;
    write(session, &written).await?;
    session.commit().await?;
    Ok(written.stored)
}

/// The connection points in the order of their names, so that no two sessions wait for each other.
async fn take_turns(session: &mut Session, documents: &[Incoming]) -> Result<(), Trouble> {
    let points: BTreeSet<&str> =
        documents.iter().map(|document| document.connection_point.as_str()).collect();
    for point in points {
        let what = format!("bodrelay inbox {point}");
        let row = session.query_row(session_sql::INBOX_LOCK, &[&what]).await?;
        if row.integer(0)?.is_none_or(|granted| granted < 0) {
            return Err(Trouble::Waited(LOCK_TIMEOUT));
        }
    }
    Ok(())
}

async fn known_of(session: &mut Session) -> Result<Vec<Known>, Trouble> {
    session.query(sql::INBOX_KNOWN, &[]).await?.iter().map(|row| known(row, 1)).collect()
}

/// Entries with their headers; answers the ids in the order of the documents.
async fn insert(session: &mut Session, documents: &[(&Incoming, i64)]) -> Result<Vec<i64>, Trouble> {
    let mut entry_ids = Vec::with_capacity(documents.len());
    let mut header_rows = Vec::with_capacity(documents.len() * 8);
    for (document, flag) in documents {
        let (rules, created) = (&document.rules, stamp(document.received_at));
        let (bytes, text);
        let payload: &dyn ToSql = match session.site.inbox_document {
            Document::Binary | Document::Xml => {
                bytes = document.payload.to_vec();
                &bytes
            }
            Document::Text => {
                text = String::from_utf8_lossy(&document.payload).into_owned();
                &text
            }
        };
        let row = match session.site.has_inbox_logical_id {
            true => {
                let values: [&dyn ToSql; 5] =
                    [&rules.inbox_tenant_id, &rules.inbox_logical_id, &created, flag, payload];
                session.query_row(sql::INBOX_INSERT, &values).await?
            }
            false => {
                let values: [&dyn ToSql; 4] = [&rules.inbox_tenant_id, &created, flag, payload];
                session.query_row(sql::INBOX_INSERT_1_0, &values).await?
            }
        };
        let entry_id = row.integer(0)?.ok_or(Trouble::NoRow)?;
        entry_ids.push(entry_id);
        header_rows.extend(headers(document).into_iter().map(|(key, value)| (entry_id, key, value)));
    }
    if !header_rows.is_empty() {
        stage::headers(session, &header_rows).await?;
        session.execute(sql::INBOX_INSERT_HEADERS, &[]).await?;
    }
    Ok(entry_ids)
}

async fn write(session: &mut Session, written: &Written<'_>) -> Result<(), Trouble> {
    if !written.receipts.is_empty() {
        stage::receipts(session, &written.receipts).await?;
        session.execute(sql::RECEIPT_INSERT, &[]).await?;
    }
    for (receipt_key, times) in &written.repeats {
        session.execute(sql::RECEIPT_REPEAT, &[receipt_key, times]).await?;
    }
    if !written.documents.is_empty() {
        stage::received_documents(session, &written.documents).await?;
        session.execute(sql::RECEIVED_DOCUMENT_WRITE, &[]).await?;
    }
    if !written.log.is_empty() {
        stage::log(session, &written.log).await?;
        session.execute(sql::LOG_WRITE, &[]).await?;
    }
    Ok(())
}

pub(super) async fn purge(
    session: &mut Session,
    connection_point: &str,
    receipts: DateTime<Utc>,
    documents: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let (receipts, documents, limit) = (stamp(receipts), stamp(documents), limit.max(0));
    session.begin().await?;
    let deleted = session.execute(sql::RECEIPT_PURGE, &[&connection_point, &receipts, &limit]).await?
        + session.execute(sql::RECEIVED_DOCUMENT_PURGE, &[&connection_point, &documents, &limit]).await?;
    session.commit().await?;
    Ok(deleted)
}

pub(super) async fn load(session: &mut Session, entry_id: i64) -> Result<Option<Entry>, Trouble> {
    let is_text = session.site.inbox_document != Document::Binary;
    let rows = session.query(sql::INBOX_LOAD, &[&entry_id]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut entry = outbox::entry(row, is_text)?;
    for row in session.query(sql::INBOX_LOAD_HEADERS, &[&entry_id]).await? {
        entry.headers.push((row.required(0)?, row.required(1)?));
    }
    Ok(Some(entry))
}

/// Of these receipt keys, those that are in the table.
pub(super) async fn present(session: &mut Session, receipt_keys: &[String]) -> Result<Vec<String>, Trouble> {
    session.empty_inbox().await?;
    stage::receipt_keys(session, receipt_keys).await?;
    session.query(sql::RECEIPT_PRESENT, &[]).await?.iter().map(|row| row.required(0)).collect()
}
