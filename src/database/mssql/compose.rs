//! Changes and queries in, composed entries out.
//!
//! A DBA's query is sent as a batch of its own in a transaction that is always rolled back, so that nothing that it might
//! have written stays; that it is one SELECT is read from its text. Documents are in `#bodrelay_batch`.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::stream::TryStreamExt;
use tiberius::{ColumnData, QueryItem, ToSql};

use crate::bod::compose::query::is_one_select;
use crate::bod::compose::{PartRows, Value};
use crate::database::compose::{
    BatchRow, ComposedDocument, Composition, Meter, PartQuery, QueryChecked, QueryFailure, QueryFailureKind,
    QueryRow, Variations, bytes_of,
};
use crate::database::rows::{self, Cells};
use crate::database::statements::mssql as sql;
use crate::domain::change::RowChange;

use super::session::Session;
use super::stage;
use super::trouble::Trouble;
use super::values::{cut, given, stamp, value};

/// Pairs of key and value that compose_headers takes.
const HEADERS: usize = 12;

pub(super) async fn change_read(
    session: &mut Session,
    connection_point: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    let values: [&dyn ToSql; 3] = [&connection_point, &after, &limit.max(0)];
    Ok(session.query(sql::CHANGE_READ, &values).await?.iter().map(rows::change).collect())
}

pub(super) async fn change_read_of_documents(
    session: &mut Session,
    connection_point: &str,
    document_ids: &[String],
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    /// What `#bodrelay_document` holds; nobody composes a document whose id is longer.
    const LONGEST: usize = 400;
    let is_fit = |id: &&String| id.encode_utf16().count() <= LONGEST;
    let document_ids: Vec<String> = document_ids.iter().filter(is_fit).cloned().collect();
    session.empty().await?;
    stage::texts(session, &document_ids).await?;
    let values: [&dyn ToSql; 2] = [&connection_point, &limit.max(0)];
    Ok(session.query(sql::CHANGE_READ_OF_DOCUMENTS, &values).await?.iter().map(rows::change).collect())
}

pub(super) async fn change_strays(session: &mut Session) -> Result<Vec<(String, i64)>, Trouble> {
    let rows = session.query(sql::CHANGE_STRAYS, &[]).await?;
    rows.iter().map(|row| Ok((row.required(0)?, row.number(1)?))).collect()
}

pub(super) async fn change_purge(
    session: &mut Session,
    connection_point: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    let (before, limit) = (stamp(before), limit.max(0));
    session.begin().await?;
    let values: [&dyn ToSql; 3] = [&connection_point, &before, &limit];
    let deleted = session.execute(sql::CHANGE_PURGE, &values).await?;
    session.commit().await?;
    Ok(deleted)
}

pub(super) async fn query_read(
    session: &mut Session,
    connection_point: &str,
) -> Result<Vec<QueryRow>, Trouble> {
    Ok(session.query(sql::QUERY_READ, &[&connection_point]).await?.iter().map(rows::query).collect())
}

pub(super) async fn query_checked(
    session: &mut Session,
    connection_point: &str,
    checked: &[QueryChecked],
) -> Result<(), Trouble> {
    session.begin().await?;
    for query in checked {
        let reason = given(query.refused_reason.as_ref());
        let values: [&dyn ToSql; 5] = [&connection_point, &query.verb, &query.noun, &query.part_no, &reason];
        session.execute(sql::QUERY_CHECKED, &values).await?;
    }
    session.commit().await
}

pub(super) async fn variation_read(
    session: &mut Session,
    document_keys: &[String],
) -> Result<Variations, Trouble> {
    session.empty().await?;
    stage::texts(session, document_keys).await?;
    let now = session.query_row(sql::SURVEY_PRODUCT, &[]).await?.required_time(0)?;
    let rows = session.query(sql::VARIATION_READ, &[]).await?;
    Ok(Variations { now, rows: rows.iter().map(rows::variation).collect() })
}

/// The failure of a query comes as `Trouble::Query`.
pub(super) async fn compose_rows(
    session: &mut Session,
    batch: &[BatchRow],
    queries: &[PartQuery],
) -> Result<Vec<PartRows>, Trouble> {
    session.execute(sql::BATCH_EMPTY, &[]).await?;
    for row in batch {
        let values: [&dyn ToSql; 6] = [
            &row.document_no,
            &row.document_id,
            &row.accounting_entity,
            &row.document_location,
            &row.action_code,
            &row.variation_id,
        ];
        session.execute(sql::BATCH_FILL, &values).await?;
    }
    session.begin_queries().await?;
    let mut meter = Meter::new();
    let mut parts = Vec::with_capacity(queries.len());
    for query in queries {
        let limit = Duration::from_secs(query.timeout_seconds);
        let answer = tokio::time::timeout(limit, part_rows(session, query, &mut meter)).await;
        parts.push(answer.unwrap_or_else(|_| {
            let what =
                format!("it took longer than {} s (timeout_seconds) and was stopped", query.timeout_seconds);
            Err(Trouble::Query(QueryFailure {
                part_no: query.part_no,
                kind: QueryFailureKind::TimedOut,
                what,
            }))
        })?);
    }
    session.end_queries().await?;
    Ok(parts)
}

async fn part_rows(session: &mut Session, query: &PartQuery, meter: &mut Meter) -> Result<PartRows, Trouble> {
    let failed = |kind, what: String| Trouble::Query(QueryFailure { part_no: query.part_no, kind, what });
    if let Err(why) = is_one_select(&query.query_text) {
        return Err(failed(QueryFailureKind::Wrong, why));
    }
    let told = |error: tiberius::error::Error| match &error {
        tiberius::error::Error::Server(token) => match kind_of(token.code(), token.class()) {
            Some(kind) => failed(kind, format!("{} (error {})", token.message(), token.code())),
            None => Trouble::Server(error),
        },
        _ => Trouble::Server(error),
    };
    let started = Instant::now();
    let mut stream = session.client.simple_query(query.query_text.as_str()).await.map_err(told)?;
    let columns: Vec<String> = match stream.columns().await.map_err(told)? {
        Some(columns) => columns.iter().map(|column| column.name().to_owned()).collect(),
        None => return Err(failed(QueryFailureKind::Wrong, "it gives no rows at all".into())),
    };
    let mut rows = Vec::new();
    while let Some(item) = stream.try_next().await.map_err(told)? {
        let QueryItem::Row(row) = item else { continue };
        let values: Vec<Value> = row.into_iter().map(|cell: ColumnData<'static>| value(&cell)).collect();
        meter.take(query, rows.len() + 1, values.iter().map(bytes_of).sum()).map_err(Trouble::Query)?;
        rows.push(values);
    }
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(PartRows { columns, rows, milliseconds })
}

/// What a number of sys.messages says of a query; `None`: it is the database's trouble (a lock, a deadlock, memory, disk).
fn kind_of(number: u32, class: u8) -> Option<QueryFailureKind> {
    match (number, class) {
        (1204 | 1205 | 1222 | 3960 | 3952, _) | (_, 17..) => None,
        // Conversion and arithmetic: 220, 241, 242, 245, 248, 512, 517, 8114, 8115, 8134, 8152, 9401 …
        (
            220 | 232 | 241 | 242 | 244 | 245 | 248 | 295 | 512 | 517 | 535 | 537 | 8114 | 8115 | 8134 | 8152
            | 2628,
            _,
        ) => Some(QueryFailureKind::Data),
        (50000.., _) => Some(QueryFailureKind::Data),
        // Syntax, names, rights.
        _ => Some(QueryFailureKind::Wrong),
    }
}

pub(super) async fn compose_write(session: &mut Session, composition: &Composition) -> Result<bool, Trouble> {
    session.empty().await?;
    let numbered = composition.documents.iter().zip(0_i64..);
    let marks =
        numbered.flat_map(|(document, number)| document.change_ids.iter().map(move |id| (*id, number)));
    stage::change_marks(session, marks.collect()).await?;
    session.begin().await?;
    for (document, number) in composition.documents.iter().zip(0_i64..) {
        if !write_document(session, composition, document, number).await? {
            session.rollback().await?;
            return Ok(false);
        }
    }
    for (change_id, reason) in &composition.refused {
        let reason = cut(reason, 1000);
        let values: [&dyn ToSql; 2] = [change_id, &&*reason];
        if session.execute(sql::CHANGE_REFUSED, &values).await? != 1 {
            session.rollback().await?;
            return Ok(false);
        }
    }
    session.commit().await?;
    Ok(true)
}

async fn write_document(
    session: &mut Session,
    composition: &Composition,
    document: &ComposedDocument,
    number: i64,
) -> Result<bool, Trouble> {
    let priority = i32::try_from(document.priority).unwrap_or(4);
    let is_text = session.site.document_is_text;
    let mut entry_id = 0;
    for entry in &document.entries {
        let bytes: &[u8] = &entry.document;
        let text = String::from_utf8_lossy(if is_text { bytes } else { &[] });
        let text: &str = &text;
        let xml: &dyn ToSql = if is_text { &text } else { &bytes };
        let values: [&dyn ToSql; 4] = [&composition.tenant_id, &composition.logical_id, &priority, xml];
        entry_id = session.query_row(sql::COMPOSE_ENTRY, &values).await?.integer(0)?.ok_or(Trouble::NoRow)?;
        let mut headers: Vec<&str> = Vec::with_capacity(HEADERS * 2);
        for (key, value) in entry.headers.iter().take(HEADERS) {
            headers.extend([*key, value.as_str()]);
        }
        headers.resize(HEADERS * 2, "");
        let mut values: Vec<&dyn ToSql> = vec![&entry_id];
        values.extend(headers.iter().map(|text| text as &dyn ToSql));
        session.execute(sql::COMPOSE_HEADERS, &values).await?;
    }
    let values: [&dyn ToSql; 4] =
        [&document.document_key, &composition.connection_point, &document.variation_id, &entry_id];
    let raised = session.execute(sql::VARIATION_WRITE, &values).await?;
    let marked = session.execute(sql::CHANGE_DONE, &[&entry_id, &number]).await?;
    Ok(raised == 1 && marked == document.change_ids.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_the_query_from_the_database() {
        assert_eq!(kind_of(207, 16), Some(QueryFailureKind::Wrong));
        assert_eq!(kind_of(102, 15), Some(QueryFailureKind::Wrong));
        assert_eq!(kind_of(8134, 16), Some(QueryFailureKind::Data));
        assert_eq!(kind_of(50000, 16), Some(QueryFailureKind::Data));
        for (number, class) in [(1205, 13), (1222, 16), (701, 17), (823, 24)] {
            assert_eq!(kind_of(number, class), None);
        }
    }
}
