//! Changes and queries in, composed entries out.
//!
//! A DBA's query is prepared like any statement and must be one that only reads: SQLite itself says so of what it has
//! prepared. It has a time of its own, and what it gives is bounded by rows and bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row, Transaction, params};

use crate::bod::compose::query::is_one_select;
use crate::bod::compose::{PartRows, Value};
use crate::database::compose::{
    BatchRow, Composed, ComposedDocument, Composition, Meter, PartQuery, QueryChecked, QueryFailure,
    QueryFailureKind, QueryRow, Variations, bytes_of,
};
use crate::database::rows::{self, Cells};
use crate::database::statements::{sqlite as sql, sqlite_session};
use crate::domain::change::RowChange;

use super::named::named;
use super::outbox::prepare;
use super::trouble::Trouble;
use super::values::{json_ids, read_time, stamp};
use super::{Watch, read, write};

fn all<T>(
    transaction: &Transaction<'_>,
    statement: &str,
    values: &[&dyn rusqlite::ToSql],
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Trouble> {
    let mut statement = prepare(transaction, statement)?;
    let rows = statement.query_map(values, map)?.collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}

pub(super) fn change_read(
    connection: &mut Connection,
    connection_point: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    let transaction = read(connection)?;
    all(&transaction, sql::CHANGE_READ, params![connection_point, after, limit.max(0)], |row| {
        Ok(rows::change(row))
    })
}

pub(super) fn change_read_of_documents(
    connection: &mut Connection,
    connection_point: &str,
    document_ids: &[String],
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    let transaction = read(connection)?;
    let ids = json_texts(document_ids);
    all(&transaction, sql::CHANGE_READ_OF_DOCUMENTS, params![connection_point, ids, limit.max(0)], |row| {
        Ok(rows::change(row))
    })
}

pub(super) fn change_strays(connection: &mut Connection) -> Result<Vec<(String, i64)>, Trouble> {
    let transaction = read(connection)?;
    all(&transaction, sql::CHANGE_STRAYS, &[], |row| Ok((row.required(0)?, row.number(1)?)))
}

pub(super) fn change_purge(
    connection: &mut Connection,
    connection_point: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let transaction = write(connection)?;
    let values = params![connection_point, stamp(before), limit.max(0)];
    let deleted = named(&transaction, sql::CHANGE_PURGE)?.execute(values)?;
    transaction.commit()?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

pub(super) fn query_read(
    connection: &mut Connection,
    connection_point: &str,
) -> Result<Vec<QueryRow>, Trouble> {
    let transaction = read(connection)?;
    all(&transaction, sql::QUERY_READ, params![connection_point], |row| Ok(rows::query(row)))
}

pub(super) fn query_checked(
    connection: &mut Connection,
    connection_point: &str,
    checked: &[QueryChecked],
) -> Result<(), Trouble> {
    let transaction = write(connection)?;
    for query in checked {
        let QueryChecked { verb, noun, part_no, refused_reason } = query;
        named(&transaction, sql::QUERY_CHECKED)?.execute(params![
            connection_point,
            verb,
            noun,
            part_no,
            refused_reason
        ])?;
    }
    Ok(transaction.commit()?)
}

pub(super) fn variation_read(
    connection: &mut Connection,
    document_keys: &[String],
) -> Result<Variations, Trouble> {
    let transaction = read(connection)?;
    let now = transaction.query_row(sql::SURVEY_PRODUCT, [], |row| row.required_time(0))?;
    let rows = all(&transaction, sql::VARIATION_READ, params![json_texts(document_keys)], |row| {
        Ok(rows::variation(row))
    })?;
    Ok(Variations { now, rows })
}

pub(super) fn compose_rows(
    connection: &mut Connection,
    watch: &Arc<Watch>,
    batch: &[BatchRow],
    queries: &[PartQuery],
) -> Result<Composed, Trouble> {
    connection.execute_batch(sqlite_session::BATCH)?;
    let transaction = read(connection)?;
    named(&transaction, sql::BATCH_EMPTY)?.execute([])?;
    for row in batch {
        named(&transaction, sql::BATCH_FILL)?.execute(params![
            row.document_no,
            row.document_id,
            row.accounting_entity,
            row.document_location,
            row.action_code,
            row.variation_id
        ])?;
    }
    let mut meter = Meter::new();
    let mut parts = Vec::with_capacity(queries.len());
    for query in queries {
        watch.deadline.set(Duration::from_secs(query.timeout_seconds));
        match part_rows(&transaction, query, &mut meter)? {
            Ok(rows) => parts.push(rows),
            Err(failure) => return Ok(Err(failure)),
        }
    }
    Ok(Ok(parts))
}

/// `Err` within: the query's own fault. What is the database's trouble (a lock, the disk) is not.
fn part_rows(
    transaction: &Transaction<'_>,
    query: &PartQuery,
    meter: &mut Meter,
) -> Result<Result<PartRows, QueryFailure>, Trouble> {
    let failure = |kind, what: String| Ok(Err(QueryFailure { part_no: query.part_no, kind, what }));
    if let Err(why) = is_one_select(&query.query_text) {
        return failure(QueryFailureKind::Wrong, why);
    }
    let started = Instant::now();
    let mut statement = match transaction.prepare_cached(&query.query_text) {
        Ok(statement) => statement,
        Err(error) => match &error {
            rusqlite::Error::SqlInputError { msg, .. } => {
                return failure(QueryFailureKind::Wrong, msg.clone());
            }
            rusqlite::Error::SqliteFailure(_, Some(said)) if !is_of_the_file(&error) => {
                return failure(QueryFailureKind::Wrong, said.clone());
            }
            _ => return Err(error.into()),
        },
    };
    if !statement.readonly() {
        return failure(QueryFailureKind::Wrong, "it would write: a query only reads".into());
    }
    if statement.parameter_count() > 0 {
        let what = "it has parameters: what it needs to know is in the columns of bodrelay_batch";
        return failure(QueryFailureKind::Wrong, what.into());
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let declared: Vec<Declared> = statement.columns().map(|it| Declared::of(it.decl_type())).collect();
    let mut rows = Vec::new();
    let mut cursor = statement.query([])?;
    loop {
        let row = match cursor.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) if is_of_the_file(&error) => return Err(error.into()),
            Err(error) => {
                let (kind, what) = match &error {
                    rusqlite::Error::SqliteFailure(code, _)
                        if code.code == ErrorCode::OperationInterrupted =>
                    {
                        (
                            QueryFailureKind::TimedOut,
                            format!(
                                "it took longer than {} s (timeout_seconds) and was stopped",
                                query.timeout_seconds
                            ),
                        )
                    }
                    other => (QueryFailureKind::Data, other.to_string()),
                };
                return failure(kind, what);
            }
        };
        let mut values = Vec::with_capacity(columns.len());
        for (place, declared) in declared.iter().enumerate() {
            values.push(value(row.get_ref(place)?, *declared));
        }
        if let Err(failure) = meter.take(query, rows.len() + 1, values.iter().map(bytes_of).sum()) {
            return Ok(Err(failure));
        }
        rows.push(values);
    }
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Ok(PartRows { columns, rows, milliseconds }))
}

/// Not the query, but the file, a lock or the disk.
fn is_of_the_file(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(code, _) if matches!(
        code.code,
        ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
    ))
}

/// What a column's table declares, as far as SQLite's own types do not tell it. An expression declares nothing.
#[derive(Clone, Copy)]
enum Declared {
    Flag,
    Time,
    Day,
    Nothing,
}

impl Declared {
    fn of(declared: Option<&str>) -> Self {
        let declared = declared.unwrap_or_default().to_ascii_uppercase();
        if declared.contains("BOOL") || declared == "BIT" {
            Self::Flag
        } else if declared.contains("DATETIME") || declared.contains("TIMESTAMP") {
            Self::Time
        } else if declared == "DATE" {
            Self::Day
        } else {
            Self::Nothing
        }
    }
}

fn value(value: ValueRef<'_>, declared: Declared) -> Value {
    match (value, declared) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number @ (0 | 1)), Declared::Flag) => Value::Flag(number == 1),
        (ValueRef::Text(text), Declared::Time | Declared::Day) => match std::str::from_utf8(text) {
            Ok(text) => time(text, declared),
            Err(_) => not_utf8(),
        },
        (ValueRef::Integer(number), _) => Value::Integer(number),
        (ValueRef::Real(number), _) => Value::Float(number),
        (ValueRef::Text(text), _) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => not_utf8(),
        },
        (ValueRef::Blob(bytes), _) => Value::Bytes(bytes.to_vec()),
    }
}

fn not_utf8() -> Value {
    Value::Unusable("the text is not UTF-8".into())
}

/// SQLite has no type for times: what a column that is declared as one holds as text is read as one. Without a zone: UTC.
fn time(text: &str, declared: Declared) -> Value {
    let trimmed = text.trim();
    match declared {
        _ if trimmed.is_empty() => Value::Text(String::new()),
        Declared::Day if trimmed.parse::<NaiveDate>().is_ok() => {
            trimmed.parse().map_or(Value::Null, Value::Day)
        }
        _ if trimmed.parse::<NaiveTime>().is_ok() => trimmed.parse().map_or(Value::Null, Value::Clock),
        _ => match read_time(trimmed) {
            Some(time) => match trimmed.replacen(' ', "T", 1).parse::<NaiveDateTime>() {
                Ok(local) => Value::Local(local),
                Err(_) => Value::Instant(time),
            },
            None => Value::Unusable(format!(
                "'{}' is no time, though its column is declared as one",
                trimmed.chars().take(40).collect::<String>()
            )),
        },
    }
}

pub(super) fn compose_write(connection: &mut Connection, composition: &Composition) -> Result<bool, Trouble> {
    let transaction = write(connection)?;
    for document in &composition.documents {
        if !write_document(&transaction, composition, document)? {
            return Ok(false);
        }
    }
    for (change_id, reason) in &composition.refused {
        let marked = named(&transaction, sql::CHANGE_REFUSED)?.execute(params![change_id, reason])?;
        if marked != 1 {
            return Ok(false);
        }
    }
    transaction.commit()?;
    Ok(true)
}

fn write_document(
    transaction: &Transaction<'_>,
    composition: &Composition,
    document: &ComposedDocument,
) -> Result<bool, Trouble> {
    let mut entry_id = 0;
    for entry in &document.entries {
        named(transaction, sql::COMPOSE_ENTRY)?.execute(params![
            composition.tenant_id,
            composition.logical_id,
            document.priority,
            &entry.document[..]
        ])?;
        entry_id = transaction.last_insert_rowid();
        for (key, value) in &entry.headers {
            named(transaction, sql::COMPOSE_HEADERS)?.execute(params![entry_id, key, value])?;
        }
    }
    let raised = named(transaction, sql::VARIATION_WRITE)?.execute(params![
        document.document_key,
        composition.connection_point,
        document.variation_id,
        entry_id
    ])?;
    let ids = json_ids(&document.change_ids);
    let marked = named(transaction, sql::CHANGE_DONE)?.execute(params![entry_id, ids])?;
    Ok(raised == 1 && marked == document.change_ids.len())
}

/// Texts as a JSON array, so that one prepared statement serves any number of them.
fn json_texts(texts: &[String]) -> String {
    serde_json::Value::from(texts.to_vec()).to_string()
}
