//! Searches and purges the message log.
//!
//! As on every database, a search has one statement file an entry point, so that each has its plan: by key, message id,
//! noun and document id, connection point and state, created time, else the newest by key (and upwards from a key, to
//! page). All take the same parameters, and each tests the other filters on the rows that its index gives.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::database::statements::mssql as sql;
use crate::database::{LogFilter, LogRow};
use crate::domain::message::Facts;

use super::session::{Row, Session};
use super::trouble::Trouble;
use super::values::{flag, given, integer, required, required_time, stamp, stamp_if, text, time};

pub(super) async fn search(session: &mut Session, filter: &LogFilter) -> Result<Vec<LogRow>, Trouble> {
    let (from, to) = (stamp_if(filter.created_from), stamp_if(filter.created_to));
    let texts = [
        &filter.direction,
        &filter.state,
        &filter.connection_point,
        &filter.message_key,
        &filter.message_id,
        &filter.logical_id,
        &filter.verb,
        &filter.noun,
        &filter.document_id,
        &filter.failure_code,
    ]
    .map(|text| given(text.as_ref()));
    let (after_key, limit) = (given(filter.after_key.as_ref()), filter.limit.max(0));
    let mut values: Vec<&dyn tiberius::ToSql> =
        texts.iter().map(|text| text as &dyn tiberius::ToSql).collect();
    values.extend([&from as &dyn tiberius::ToSql, &to, &after_key, &limit]);
    session.query(entry_point(filter), &values).await?.iter().map(log_row).collect()
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

fn log_row(row: &Row) -> Result<LogRow, Trouble> {
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

pub(super) async fn purge(
    session: &mut Session,
    connection_point: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let (before, limit) = (stamp(before), limit.max(0));
    session.empty().await?;
    session.begin().await?;
    session.execute(sql::LOG_PURGE_SELECT, &[&connection_point, &before, &limit]).await?;
    session.execute(sql::LOG_PURGE_ATTEMPTS, &[]).await?;
    let deleted = session.execute(sql::LOG_PURGE, &[]).await?;
    session.commit().await?;
    Ok(deleted)
}
