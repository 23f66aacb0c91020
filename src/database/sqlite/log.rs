//! Writes, searches and purges the message log.
//!
//! `(?1 IS NULL OR column = ?1)` keeps SQLite from an index, so a search has one statement file an entry point: by key,
//! message id, noun and document id, connection point and state, created time, else the newest by key (and upwards
//! from a key, to page). All take the same parameters, and each tests the other filters on the rows that its index
//! gives. "Newest first" means by key, which grows with time, but where the index itself is by a time: then by that.

use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};

use chrono::{DateTime, Utc};

use crate::database::statements::sqlite as sql;
use crate::database::{LogFilter, LogRow};
use crate::domain::message::Facts;

use super::trouble::Trouble;
use super::values::{flag, integer, required, required_time, stamp, stamp_if, text, time};
use super::{read, write as write_transaction};

pub(super) fn write(transaction: &Transaction<'_>, rows: &[LogRow]) -> Result<(), Trouble> {
    let mut statement = transaction.prepare_cached(sql::LOG_WRITE)?;
    for row in rows {
        let facts = &row.facts;
        statement.execute(params![
            row.message_key,
            row.direction,
            row.connection_point,
            row.tenant_id,
            row.entry_id,
            row.message_id,
            facts.verb,
            facts.noun,
            facts.document_id,
            facts.accounting_entity,
            facts.document_location,
            facts.revision_id,
            facts.variation_id,
            facts.batch_id,
            facts.batch_sequence,
            row.from_logical_id,
            facts.to_logical_id,
            row.priority,
            row.state,
            row.held_by,
            row.in_doubt,
            row.late,
            row.attempts,
            row.http_status,
            row.answer_class,
            row.failure_code,
            row.failure_text,
            row.remedy,
            facts.document_bytes,
            row.wire_bytes,
            facts.digest,
            stamp_if(facts.created_at),
            stamp(row.seen_at),
            stamp_if(row.first_attempt_at),
            stamp_if(row.last_attempt_at),
            stamp_if(row.next_attempt_at),
            stamp_if(row.finished_at),
            row.host,
            stamp(row.updated_at)
        ])?;
    }
    Ok(())
}

pub(super) fn search(connection: &mut Connection, filter: &LogFilter) -> Result<Vec<LogRow>, Trouble> {
    let transaction = read(connection)?;
    let mut statement = transaction.prepare_cached(entry_point(filter))?;
    let rows = statement.query_map(
        params![
            filter.direction,
            filter.state,
            filter.connection_point,
            filter.message_key,
            filter.message_id,
            filter.logical_id,
            filter.verb,
            filter.noun,
            filter.document_id,
            filter.failure_code,
            stamp_if(filter.created_from),
            stamp_if(filter.created_to),
            filter.after_key,
            filter.limit.max(0)
        ],
        log_row,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The statement whose index finds the fewest rows.
fn entry_point(filter: &LogFilter) -> &'static str {
    if filter.message_key.is_some() {
        sql::LOG_SEARCH_BY_KEY
    } else if filter.after_key.is_some() {
        sql::LOG_SEARCH_UPWARDS
    } else if filter.message_id.is_some() {
        sql::LOG_SEARCH_BY_MESSAGE_ID
    } else if filter.noun.is_some() && filter.document_id.is_some() {
        sql::LOG_SEARCH_BY_DOCUMENT
    } else if filter.connection_point.is_some() && filter.state.is_some() {
        sql::LOG_SEARCH_BY_STATE
    } else if filter.created_from.is_some() || filter.created_to.is_some() {
        sql::LOG_SEARCH_BY_CREATED
    } else {
        sql::LOG_SEARCH
    }
}

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        message_key: required(row, 0)?,
        direction: if required(row, 1)? == "in" { "in" } else { "out" },
        connection_point: required(row, 2)?,
        tenant_id: text(row, 3)?,
        entry_id: integer(row, 4)?,
        message_id: text(row, 5)?,
        facts: Arc::new(Facts {
            verb: text(row, 6)?,
            noun: text(row, 7)?,
            document_id: text(row, 8)?,
            accounting_entity: text(row, 9)?,
            document_location: text(row, 10)?,
            revision_id: text(row, 11)?,
            variation_id: integer(row, 12)?,
            batch_id: text(row, 13)?,
            batch_sequence: integer(row, 14)?,
            to_logical_id: text(row, 16)?,
            document_bytes: integer(row, 28)?.unwrap_or_default(),
            digest: text(row, 30)?,
            created_at: time(row, 31)?,
        }),
        from_logical_id: text(row, 15)?,
        priority: integer(row, 17)?,
        state: required(row, 18)?,
        held_by: text(row, 19)?,
        in_doubt: flag(row, 20)?,
        late: flag(row, 21)?,
        attempts: integer(row, 22)?.unwrap_or_default(),
        http_status: integer(row, 23)?,
        answer_class: text(row, 24)?,
        failure_code: text(row, 25)?,
        failure_text: text(row, 26)?,
        remedy: text(row, 27)?,
        wire_bytes: integer(row, 29)?,
        seen_at: required_time(row, 32)?,
        first_attempt_at: time(row, 33)?,
        last_attempt_at: time(row, 34)?,
        next_attempt_at: time(row, 35)?,
        finished_at: time(row, 36)?,
        host: text(row, 37)?,
        updated_at: required_time(row, 38)?,
    })
}

pub(super) fn purge(
    connection: &mut Connection,
    connection_point: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let transaction = write_transaction(connection)?;
    let keys: Vec<String> = {
        let mut select = transaction.prepare_cached(sql::LOG_PURGE_SELECT)?;
        let rows = select
            .query_map(params![connection_point, stamp(before), limit.max(0)], |row| required(row, 0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let json = serde_json::Value::from(keys).to_string();
    transaction.prepare_cached(sql::LOG_PURGE_ATTEMPTS)?.execute(params![json])?;
    let deleted = transaction.prepare_cached(sql::LOG_PURGE)?.execute(params![json])?;
    transaction.commit()?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
