//! Stores what was received: receipts, inbox entries and headers in one transaction.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::database::inbox::{ReceiptRow, ReceivedRow, known, to_insert, written};
use crate::database::rows::Cells;
use crate::database::statements::sqlite as sql;
use crate::domain::incoming::{Incoming, Known, Marks, Stored, headers, judge};
use crate::domain::message::Entry;

use super::named::named;
use super::trouble::Trouble;
use super::values::stamp;
use super::{log, outbox, read, write};

/// How the site's inbox differs.
struct Inbox {
    /// 1.0 boxes have no `C_LOGICAL_ID`.
    has_logical_id: bool,
    /// `C_XML` is declared as text, so the application reads text from it.
    is_text: bool,
}

impl Inbox {
    fn read(transaction: &Transaction<'_>) -> rusqlite::Result<Self> {
        let mut inbox = Self { has_logical_id: false, is_text: false };
        transaction.pragma(None, "table_xinfo", "COR_INBOX_ENTRY", |row| {
            let (name, declared): (String, String) = (row.get(1)?, row.get(2)?);
            match name.to_uppercase().as_str() {
                "C_LOGICAL_ID" => inbox.has_logical_id = true,
                "C_XML" => inbox.is_text = is_text(&declared),
                _ => {}
            }
            Ok(())
        })?;
        Ok(inbox)
    }
}

/// As SQLite tells text from the name of a type; XML beside it.
pub(super) fn is_text(declared: &str) -> bool {
    let declared = declared.to_uppercase();
    !declared.contains("INT") && ["CHAR", "CLOB", "TEXT", "XML"].iter().any(|kind| declared.contains(kind))
}

pub(super) fn store(connection: &mut Connection, documents: &[Incoming]) -> Result<Vec<Stored>, Trouble> {
    let transaction = write(connection)?;
    let inbox = Inbox::read(&transaction)?;
    let marks: Vec<Marks> = documents.iter().map(Marks::of).collect();
    let found = documents
        .iter()
        .zip(&marks)
        .map(|(document, marks)| known_of(&transaction, document, marks))
        .collect::<Result<Vec<_>, Trouble>>()?;
    let judged = judge(documents, &marks, found);
    let mut entry_ids = Vec::with_capacity(documents.len());
    for (document, flag) in to_insert(documents, &judged) {
        entry_ids.push(insert(&transaction, &inbox, document, flag)?);
    }
    let written = written(documents, &marks, judged, &entry_ids).ok_or_else(no_id)?;
    written.receipts.iter().try_for_each(|row| write_receipt(&transaction, row))?;
    for (receipt_key, times) in &written.repeats {
        named(&transaction, sql::RECEIPT_REPEAT)?.execute(params![receipt_key, times])?;
    }
    written.documents.iter().try_for_each(|row| write_document(&transaction, row))?;
    log::write(&transaction, &written.log)?;
    transaction.commit()?;
    Ok(written.stored)
}

fn no_id() -> Trouble {
    Trouble::Mend {
        what: "COR_INBOX_ENTRY gave no C_ID to a new row".into(),
        remedy: "C_ID must be an INTEGER PRIMARY KEY of a table; a view is not written to".into(),
    }
}

fn known_of(transaction: &Transaction<'_>, document: &Incoming, marks: &Marks) -> Result<Known, Trouble> {
    let Incoming { connection_point, parameters, digest, .. } = document;
    named(transaction, sql::INBOX_KNOWN)?.query_row(
        params![
            marks.receipt_key,
            marks.receipt_key_of_bytes,
            connection_point,
            marks.source_part,
            parameters.from_logical_id,
            parameters.document_name,
            digest,
            marks.document_key
        ],
        |row| known(row, 0),
    )
}

fn insert(
    transaction: &Transaction<'_>,
    inbox: &Inbox,
    document: &Incoming,
    flag: i64,
) -> Result<i64, Trouble> {
    let (rules, created) = (&document.rules, stamp(document.received_at));
    let text = inbox.is_text.then(|| std::str::from_utf8(&document.payload).ok()).flatten();
    let bytes = &document.payload[..];
    let payload: &dyn rusqlite::ToSql = match &text {
        Some(text) => text,
        None => &bytes,
    };
    let entry_id: Option<i64> = match inbox.has_logical_id {
        true => named(transaction, sql::INBOX_INSERT)?.query_row(
            params![rules.inbox_tenant_id, rules.inbox_logical_id, created, flag, payload],
            |row| row.get(0),
        )?,
        false => named(transaction, sql::INBOX_INSERT_1_0)?
            .query_row(params![rules.inbox_tenant_id, created, flag, payload], |row| row.get(0))?,
    };
    let entry_id = entry_id.ok_or_else(no_id)?;
    let mut statement = named(transaction, sql::INBOX_INSERT_HEADERS)?;
    for (key, value) in headers(document) {
        statement.execute(params![entry_id, key, value])?;
    }
    Ok(entry_id)
}

fn write_receipt(transaction: &Transaction<'_>, row: &ReceiptRow<'_>) -> Result<(), Trouble> {
    named(transaction, sql::RECEIPT_INSERT)?.execute(params![
        row.receipt_key,
        row.connection_point,
        row.message_id,
        row.source_part,
        row.from_logical_id,
        row.document_name,
        row.digest,
        row.entry_id,
        stamp(row.received_at)
    ])?;
    Ok(())
}

fn write_document(transaction: &Transaction<'_>, row: &ReceivedRow<'_>) -> Result<(), Trouble> {
    named(transaction, sql::RECEIVED_DOCUMENT_WRITE)?.execute(params![
        row.document_key,
        row.connection_point,
        row.noun,
        row.document_id,
        row.variation_id,
        row.digest,
        row.entry_id,
        stamp(row.received_at)
    ])?;
    Ok(())
}

pub(super) fn purge(
    connection: &mut Connection,
    connection_point: &str,
    receipts: DateTime<Utc>,
    documents: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let transaction = write(connection)?;
    let deleted = named(&transaction, sql::RECEIPT_PURGE)?.execute(params![
        connection_point,
        stamp(receipts),
        limit.max(0)
    ])? + named(&transaction, sql::RECEIVED_DOCUMENT_PURGE)?.execute(params![
        connection_point,
        stamp(documents),
        limit.max(0)
    ])?;
    transaction.commit()?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

pub(super) fn load(connection: &mut Connection, entry_id: i64) -> Result<Option<Entry>, Trouble> {
    let transaction = read(connection)?;
    let found =
        transaction.prepare_cached(sql::INBOX_LOAD)?.query_row([entry_id], outbox::entry).optional()?;
    let Some(mut entry) = found else { return Ok(None) };
    let mut statement = transaction.prepare_cached(sql::INBOX_LOAD_HEADERS)?;
    let mut rows = statement.query([entry_id])?;
    while let Some(row) = rows.next()? {
        entry.headers.push((row.required(1)?, row.required(2)?));
    }
    Ok(Some(entry))
}

/// Of these receipt keys, those that are in the table.
pub(super) fn present(connection: &mut Connection, receipt_keys: &[String]) -> Result<Vec<String>, Trouble> {
    let transaction = read(connection)?;
    let json = serde_json::Value::from(receipt_keys.to_vec()).to_string();
    let mut statement = transaction.prepare_cached(sql::RECEIPT_PRESENT)?;
    let keys = statement.query_map([json], |row| row.required(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}
