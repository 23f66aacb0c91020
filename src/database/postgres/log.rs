//! Writes, searches and purges the message log.
//!
//! A search has one statement file an entry point, as on every database: which one is taken decides the index, the other
//! filters are tested on its rows.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::database::rows::{self, Cells, log_search};
use crate::database::statements::postgres as sql;
use crate::database::{LogFilter, LogRow};

use super::session::Session;
use super::trouble::Trouble;

/// One statement, unless a key comes twice: the server refuses to write a row twice in one.
pub(super) async fn write(session: &Session, rows: &[LogRow]) -> Result<(), Trouble> {
    let mut rest = rows;
    while !rest.is_empty() {
        let mut keys = HashSet::with_capacity(rest.len());
        let first_again = rest.iter().position(|row| !keys.insert(&row.message_key));
        let (now, later) = rest.split_at(first_again.unwrap_or(rest.len()));
        write_each_once(session, now).await?;
        rest = later;
    }
    Ok(())
}

async fn write_each_once(session: &Session, rows: &[LogRow]) -> Result<(), Trouble> {
    macro_rules! each {
        ($row:ident => $value:expr) => {
            &rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    session
        .execute(
            sql::LOG_WRITE,
            &[
                each!(row => session.letters.clean(&row.message_key)),
                each!(row => row.direction),
                each!(row => session.letters.clean(&row.connection_point)),
                each!(row => session.letters.clean_if(row.tenant_id.as_ref())),
                each!(row => row.entry_id),
                each!(row => session.letters.clean_if(row.message_id.as_ref())),
                each!(row => session.letters.clean_if(row.facts.verb.as_ref())),
                each!(row => session.letters.clean_if(row.facts.noun.as_ref())),
                each!(row => session.letters.clean_if(row.facts.document_id.as_ref())),
                each!(row => session.letters.clean_if(row.facts.accounting_entity.as_ref())),
                each!(row => session.letters.clean_if(row.facts.document_location.as_ref())),
                each!(row => session.letters.clean_if(row.facts.revision_id.as_ref())),
                each!(row => row.facts.variation_id),
                each!(row => session.letters.clean_if(row.facts.batch_id.as_ref())),
                each!(row => row.facts.batch_sequence),
                each!(row => session.letters.clean_if(row.from_logical_id.as_ref())),
                each!(row => session.letters.clean_if(row.facts.to_logical_id.as_ref())),
                each!(row => row.priority),
                each!(row => session.letters.clean(&row.state)),
                each!(row => session.letters.clean_if(row.held_by.as_ref())),
                each!(row => i16::from(row.in_doubt)),
                each!(row => i16::from(row.late)),
                each!(row => row.attempts),
                each!(row => row.http_status),
                each!(row => session.letters.clean_if(row.answer_class.as_ref())),
                each!(row => session.letters.clean_if(row.failure_code.as_ref())),
                each!(row => session.letters.clean_if(row.failure_text.as_ref())),
                each!(row => session.letters.clean_if(row.remedy.as_ref())),
                each!(row => row.facts.document_bytes),
                each!(row => row.wire_bytes),
                each!(row => session.letters.clean_if(row.facts.digest.as_ref())),
                each!(row => row.facts.created_at),
                each!(row => row.seen_at),
                each!(row => row.first_attempt_at),
                each!(row => row.last_attempt_at),
                each!(row => row.next_attempt_at),
                each!(row => row.finished_at),
                each!(row => session.letters.clean_if(row.host.as_ref())),
                each!(row => row.updated_at),
                each!(row => session.letters.clean_if(row.facts.resend_of.as_ref())),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn search(session: &Session, filter: &LogFilter) -> Result<Vec<LogRow>, Trouble> {
    let limit = filter.limit.max(0);
    session.begin_read().await?;
    let rows = session
        .query(
            log_search!(sql, filter),
            &[
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
                &filter.created_from,
                &filter.created_to,
                &filter.after_key,
                &limit,
            ],
        )
        .await?;
    session.commit().await?;
    Ok(rows.iter().map(rows::log_row).collect())
}

pub(super) async fn purge(
    session: &Session,
    connection_point: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let limit = limit.max(0);
    session.begin_write().await?;
    let rows = session.query(sql::LOG_PURGE_SELECT, &[&connection_point, &before, &limit]).await?;
    let keys = rows.iter().map(|row| row.required(0)).collect::<Result<Vec<_>, _>>()?;
    session.execute(sql::LOG_PURGE_ATTEMPTS, &[&keys]).await?;
    let deleted = session.execute(sql::LOG_PURGE, &[&keys]).await?;
    session.commit().await?;
    Ok(deleted)
}
