//! Searches and purges the message log.
//!
//! As on every database, a search has one statement file an entry point, so that each has its plan: by key, message id,
//! noun and document id, connection point and state, created time, else the newest by key (and upwards from a key, to
//! page). All take the same parameters, and each tests the other filters on the rows that its index gives.

use chrono::{DateTime, Utc};

use crate::database::rows::{self, log_search};
use crate::database::statements::mssql as sql;
use crate::database::{LogFilter, LogRow};

use super::session::Session;
use super::trouble::Trouble;
use super::values::{given, stamp, stamp_if};

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
    Ok(session.query(log_search!(sql, filter), &values).await?.iter().map(rows::log_row).collect())
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
