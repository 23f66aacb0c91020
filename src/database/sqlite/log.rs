//! Writes, searches and purges the message log.
//!
//! `(?1 IS NULL OR column = ?1)` keeps SQLite from an index, so a search has one statement file an entry point: by key,
//! message id, noun and document id, connection point and state, created time, else the newest by key (and upwards
//! from a key, to page). All take the same parameters, and each tests the other filters on the rows that its index
//! gives. "Newest first" means by key, which grows with time, but where the index itself is by a time: then by that.

use rusqlite::{Connection, Transaction, params};

use chrono::{DateTime, Utc};

use crate::database::rows::{self, Cells, log_search};
use crate::database::statements::sqlite as sql;
use crate::database::{LogFilter, LogRow};

use super::named::named;
use super::trouble::Trouble;
use super::values::{stamp, stamp_if};
use super::{read, write as write_transaction};

pub(super) fn write(transaction: &Transaction<'_>, rows: &[LogRow]) -> Result<(), Trouble> {
    let mut statement = named(transaction, sql::LOG_WRITE)?;
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
            stamp(row.updated_at),
            facts.resend_of
        ])?;
    }
    Ok(())
}

pub(super) fn search(connection: &mut Connection, filter: &LogFilter) -> Result<Vec<LogRow>, Trouble> {
    let transaction = read(connection)?;
    let mut statement = transaction.prepare_cached(log_search!(sql, filter))?;
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
        |row| Ok(rows::log_row(row)),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
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
            .query_map(params![connection_point, stamp(before), limit.max(0)], |row| row.required(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let json = serde_json::Value::from(keys).to_string();
    named(&transaction, sql::LOG_PURGE_ATTEMPTS)?.execute(params![json])?;
    let deleted = named(&transaction, sql::LOG_PURGE)?.execute(params![json])?;
    transaction.commit()?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}
