//! Changes and queries in, composed entries out.
//!
//! A DBA's query runs in a READ ONLY transaction, which the server holds to; prepared, it is one statement. Unqualified
//! names are looked for where the application's are, `bodrelay_batch` first of all (the session's own temporary table).

use std::time::Instant;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use futures_util::future::try_join_all;
use futures_util::stream::TryStreamExt;
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Column, Error, Row};

use crate::bod::compose::query::is_one_select;
use crate::bod::compose::{PartRows, Value};
use crate::database::compose::{
    BatchRow, Composition, Meter, PartQuery, QueryChecked, QueryFailure, QueryFailureKind, QueryRow,
    Variations, bytes_of,
};
use crate::database::rows::{self, Cells};
use crate::database::statements::postgres as sql;
use crate::domain::change::RowChange;
use crate::domain::halves::Halves;

use super::names::quoted;
use super::session::Session;
use super::trouble::Trouble;
use super::values::clean;

/// As long as PostgreSQL keeps a name (NAMEDATALEN − 1); what is longer is cut without an error.
const LONGEST_NAME: usize = 63;

pub(super) async fn change_read(
    session: &Session,
    connection_point: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    session.begin_read().await?;
    match changes(session, connection_point, after, limit).await {
        Err(trouble) if trouble.is_unreadable() => {
            changes_apart(session, connection_point, after, limit, trouble).await
        }
        changes => changes,
    }
}

async fn changes(
    session: &Session,
    connection_point: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    let rows = session.query(sql::CHANGE_READ, &[&connection_point, &after, &limit.max(0)]).await?;
    session.commit().await?;
    Ok(rows.iter().map(rows::change).collect())
}

/// Some of them hold bytes that are no letters: which, is found out in halves, and all others come as ever.
async fn changes_apart(
    session: &Session,
    connection_point: &str,
    after: i64,
    limit: i64,
    trouble: Trouble,
) -> Result<Vec<RowChange>, Trouble> {
    session.rollback().await?;
    session.begin_read_bytes().await?;
    let mut halves = Halves::of(changes(session, connection_point, after, limit).await?);
    if let Some(all) = halves.part() {
        halves.refuse(all, trouble);
    }
    let mut found = Vec::new();
    while let Some(part) = halves.part() {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let (after, last) = (first.change_id - 1, last.change_id);
        session.begin_read().await?;
        match changes(session, connection_point, after, i64::try_from(part.len()).unwrap_or(limit)).await {
            Ok(read) => found.extend(read.into_iter().filter(|change| change.change_id <= last)),
            Err(trouble) if trouble.is_unreadable() => {
                session.rollback().await?;
                halves.refuse(part, trouble);
            }
            Err(trouble) => return Err(trouble),
        }
    }
    let spoilt = |(change, trouble): (RowChange, Trouble)| RowChange {
        unreadable: Some(format!("a value cannot be read: {}", trouble.words())),
        ..change
    };
    found.extend(halves.end().0.into_iter().map(spoilt));
    found.sort_unstable_by_key(|change| change.change_id);
    Ok(found)
}

pub(super) async fn change_read_of_documents(
    session: &Session,
    connection_point: &str,
    document_ids: &[String],
    limit: i64,
) -> Result<Vec<RowChange>, Trouble> {
    session.begin_read().await?;
    let limit = limit.max(0);
    match session.query(sql::CHANGE_READ_OF_DOCUMENTS, &[&connection_point, &document_ids, &limit]).await {
        Ok(rows) => {
            session.commit().await?;
            Ok(rows.iter().map(rows::change).collect())
        }
        // One of them cannot be read and is refused when its own turn comes; the rest of its document goes on without it.
        Err(trouble) if trouble.is_unreadable() => session.rollback().await.map(|()| Vec::new()),
        Err(trouble) => Err(trouble),
    }
}

pub(super) async fn change_strays(session: &Session) -> Result<Vec<(String, i64)>, Trouble> {
    session.begin_read().await?;
    let rows = session.query(sql::CHANGE_STRAYS, &[]).await?;
    session.commit().await?;
    rows.iter().map(|row| Ok((row.required(0)?, row.number(1)?))).collect()
}

pub(super) async fn change_purge(
    session: &Session,
    connection_point: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Trouble> {
    session.begin_write().await?;
    let deleted = session.execute(sql::CHANGE_PURGE, &[&connection_point, &before, &limit.max(0)]).await?;
    session.commit().await?;
    Ok(deleted)
}

pub(super) async fn query_read(session: &Session, connection_point: &str) -> Result<Vec<QueryRow>, Trouble> {
    session.begin_read().await?;
    let rows = session.query(sql::QUERY_READ, &[&connection_point]).await?;
    session.commit().await?;
    Ok(rows.iter().map(rows::query).collect())
}

pub(super) async fn query_checked(
    session: &Session,
    connection_point: &str,
    checked: &[QueryChecked],
) -> Result<(), Trouble> {
    session.begin_write().await?;
    for query in checked {
        let reason = query.refused_reason.as_deref().map(|reason| session.letters.clean(reason));
        session
            .execute(
                sql::QUERY_CHECKED,
                &[&connection_point, &query.verb, &query.noun, &query.part_no, &reason],
            )
            .await?;
    }
    session.commit().await
}

pub(super) async fn variation_read(
    session: &Session,
    document_keys: &[String],
) -> Result<Variations, Trouble> {
    session.begin_read().await?;
    let now = session.query_one(sql::SURVEY_PRODUCT, &[]).await?.required_time(0)?;
    let rows = session.query(sql::VARIATION_READ, &[&document_keys]).await?;
    session.commit().await?;
    Ok(Variations { now, rows: rows.iter().map(rows::variation).collect() })
}

/// The failure of a query comes as `Trouble::Query`, so that its transaction is rolled back by whoever called.
pub(super) async fn compose_rows(
    session: &Session,
    batch: &[BatchRow],
    queries: &[PartQuery],
) -> Result<Vec<PartRows>, Trouble> {
    if session.is_pooled() {
        return Err(Trouble::Mend {
            what: "documents cannot be composed behind a pooler: the table of the batch would be another session's".into(),
            remedy: "let host and port name the server itself, and leave out pooled".into(),
        });
    }
    session.make_batch().await?;
    session.begin_read().await?;
    macro_rules! each {
        ($row:ident => $value:expr) => {
            &batch.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    session.execute(sql::BATCH_EMPTY, &[]).await?;
    session
        .execute(
            sql::BATCH_FILL,
            &[
                each!(row => row.document_no),
                each!(row => clean(&row.document_id)),
                each!(row => clean(&row.accounting_entity)),
                each!(row => clean(&row.document_location)),
                each!(row => row.action_code),
                each!(row => row.variation_id),
            ],
        )
        .await?;
    let path: Vec<String> = session.names.schemas.iter().map(|schema| quoted(schema)).collect();
    session.query_path(&path.join(", ")).await?;
    let mut meter = Meter::new();
    let mut parts = Vec::with_capacity(queries.len());
    for query in queries {
        parts.push(part_rows(session, query, &mut meter).await?);
    }
    session.rollback().await?;
    Ok(parts)
}

async fn part_rows(session: &Session, query: &PartQuery, meter: &mut Meter) -> Result<PartRows, Trouble> {
    let failed = |kind, what: String| Trouble::Query(QueryFailure { part_no: query.part_no, kind, what });
    if let Err(why) = is_one_select(&query.query_text) {
        return Err(failed(QueryFailureKind::Wrong, why));
    }
    let milliseconds = (query.timeout_seconds * 1000).to_string();
    session.query_timeout(&milliseconds).await?;
    let started = Instant::now();
    let told = |error: Error, otherwise| match error.as_db_error() {
        Some(said) => match said.code().code() {
            "57014" => failed(
                QueryFailureKind::TimedOut,
                format!("it took longer than {} s (timeout_seconds) and was stopped", query.timeout_seconds),
            ),
            // Locks, memory, the server itself: no fault of the query.
            code if ["08", "53", "57", "58", "XX", "40"].contains(&code.get(..2).unwrap_or_default())
                || code == "55P03" =>
            {
                Trouble::Postgres(error)
            }
            // Syntax, names, rights, and what a READ ONLY transaction forbids.
            code if ["42", "25", "0A"].contains(&code.get(..2).unwrap_or_default()) => {
                failed(QueryFailureKind::Wrong, said.message().to_owned())
            }
            _ => failed(otherwise, said.message().to_owned()),
        },
        None => Trouble::Postgres(error),
    };
    let statement = session
        .prepare_text(&query.query_text)
        .await
        .map_err(|error| told(error, QueryFailureKind::Wrong))?;
    if !statement.params().is_empty() {
        let what = "it has parameters: what it needs to know is in the columns of bodrelay_batch";
        return Err(failed(QueryFailureKind::Wrong, what.into()));
    }
    let columns: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    if let Some(long) = columns.iter().find(|name| name.len() >= LONGEST_NAME) {
        let what = format!(
            "the column '{long}' has a name of {LONGEST_NAME} bytes, and PostgreSQL cuts what is longer: put what paths \
             begin with into element_path, or the columns into a part of their own"
        );
        return Err(failed(QueryFailureKind::Wrong, what));
    }
    let unread = statement.columns().iter().find(|column| !is_read(column.type_()));
    if let Some(column) = unread {
        let what = format!(
            "column '{}' has the type {}, which has no form in a document: cast it (to text, as a rule)",
            column.name(),
            column.type_()
        );
        return Err(failed(QueryFailureKind::Wrong, what));
    }
    let mut rows = Vec::new();
    let stream = session.query_text(&statement).await.map_err(|error| told(error, QueryFailureKind::Data))?;
    let mut stream = std::pin::pin!(stream);
    while let Some(row) = stream.try_next().await.map_err(|error| told(error, QueryFailureKind::Data))? {
        let mut values = Vec::with_capacity(columns.len());
        for (place, column) in row.columns().iter().enumerate() {
            values.push(value(&row, place, column)?);
        }
        meter.take(query, rows.len() + 1, values.iter().map(bytes_of).sum()).map_err(Trouble::Query)?;
        rows.push(values);
    }
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(PartRows { columns, rows, milliseconds })
}

/// Types that `value` reads.
fn is_read(kind: &Type) -> bool {
    const READ: [Type; 22] = [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
        Type::JSON,
        Type::XML,
        Type::UUID,
        Type::DATE,
        Type::TIME,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::BYTEA,
        Type::CHAR,
    ];
    READ.contains(kind) || matches!(kind.kind(), Kind::Enum(_))
}

fn value(row: &Row, place: usize, column: &Column) -> Result<Value, Trouble> {
    macro_rules! read {
        ($type:ty => $make:expr) => {
            row.try_get::<_, Option<$type>>(place)?.map_or(Value::Null, $make)
        };
    }
    let kind = column.type_();
    // A time that is `infinity`, or that no calendar here reaches, is read as none of the driver's types.
    let unusable = |error: Error| match std::error::Error::source(&error) {
        Some(_) => Ok(Value::Unusable("the value is out of range (infinity?)".into())),
        None => Err(Trouble::Postgres(error)),
    };
    Ok(match *kind {
        Type::BOOL => read!(bool => Value::Flag),
        Type::INT2 => read!(i16 => |number| Value::Integer(number.into())),
        Type::INT4 => read!(i32 => |number| Value::Integer(number.into())),
        Type::INT8 => read!(i64 => Value::Integer),
        Type::OID => read!(u32 => |number| Value::Integer(number.into())),
        Type::FLOAT4 => read!(f32 => Value::Single),
        Type::FLOAT8 => read!(f64 => Value::Float),
        Type::NUMERIC => read!(Numeric => |number| number.0),
        Type::UUID => read!(uuid::Uuid => |id| Value::Text(id.to_string())),
        Type::BYTEA => read!(Vec<u8> => Value::Bytes),
        Type::DATE => match row.try_get::<_, Option<NaiveDate>>(place) {
            Ok(day) => day.map_or(Value::Null, Value::Day),
            Err(error) => return unusable(error),
        },
        Type::TIME => match row.try_get::<_, Option<NaiveTime>>(place) {
            Ok(time) => time.map_or(Value::Null, Value::Clock),
            Err(error) => return unusable(error),
        },
        Type::TIMESTAMP => match row.try_get::<_, Option<NaiveDateTime>>(place) {
            Ok(time) => time.map_or(Value::Null, Value::Local),
            Err(error) => return unusable(error),
        },
        Type::TIMESTAMPTZ => match row.try_get::<_, Option<DateTime<Utc>>>(place) {
            Ok(time) => time.map_or(Value::Null, Value::Instant),
            Err(error) => return unusable(error),
        },
        _ => read!(Letters => |letters| letters.0),
    })
}

/// Text of any type that is sent as its letters.
struct Letters(Value);

impl<'a> FromSql<'a> for Letters {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match std::str::from_utf8(raw) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Unusable("the text is not UTF-8".into()),
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A number of any length: groups of four digits, as the server sends them.
struct Numeric(Value);

impl<'a> FromSql<'a> for Numeric {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(numeric(raw).ok_or("a numeric of an unknown form")?))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }
}

fn numeric(raw: &[u8]) -> Option<Value> {
    let word = |at: usize| Some(i16::from_be_bytes(raw.get(at * 2..at * 2 + 2)?.try_into().ok()?));
    let (groups, weight, sign, scale) =
        (word(0)?, word(1)?, u16::from_be_bytes(raw.get(4..6)?.try_into().ok()?), word(3)?);
    match sign {
        0x0000 | 0x4000 => {}
        0xC000 => return Some(Value::Unusable("NaN is no number that a receiver could read".into())),
        _ => return Some(Value::Unusable("infinity is no number that a receiver could read".into())),
    }
    let group = |place: i16| match place >= 0 && place < groups {
        true => word(4 + usize::try_from(place).ok()?),
        false => Some(0),
    };
    let mut whole = String::new();
    for place in 0..=weight {
        let digits = group(place)?;
        match whole.is_empty() {
            true if digits == 0 => {}
            true => whole.push_str(&digits.to_string()),
            false => whole.push_str(&format!("{digits:04}")),
        }
    }
    let mut fraction = String::new();
    let mut place = weight.checked_add(1)?;
    while fraction.len() < usize::try_from(scale).ok()? {
        fraction.push_str(&format!("{:04}", group(place)?));
        place = place.checked_add(1)?;
    }
    fraction.truncate(usize::try_from(scale).ok()?);
    let is_zero = whole.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    let minus = if sign == 0x4000 && !is_zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { &whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(Value::Decimal(format!("{minus}{whole}{point}{fraction}")))
}

pub(super) async fn compose_write(session: &Session, composition: &Composition) -> Result<bool, Trouble> {
    session.begin_write().await?;
    // The C_IDs in the order of the documents: so sent, all on their way at once.
    let mut inserts = Vec::new();
    let mut of_document = Vec::new();
    for (place, document) in composition.documents.iter().enumerate() {
        for entry in &document.entries {
            of_document.push((place, entry));
            inserts.push(insert(session, composition, document.priority, &entry.document));
        }
    }
    let entry_ids: Vec<i64> = try_join_all(inserts).await?;
    let (mut owners, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut last_of = vec![0_i64; composition.documents.len()];
    for ((place, entry), entry_id) in of_document.iter().zip(&entry_ids) {
        last_of[*place] = *entry_id;
        for (key, value) in &entry.headers {
            owners.push(*entry_id);
            keys.push(*key);
            values.push(clean(value));
        }
    }
    if !owners.is_empty() {
        session.execute(sql::COMPOSE_HEADERS, &[&owners, &keys, &values]).await?;
    }
    let document_keys: Vec<&str> = composition.documents.iter().map(|it| it.document_key.as_str()).collect();
    let variations: Vec<i64> = composition.documents.iter().map(|document| document.variation_id).collect();
    let (mut change_ids, mut became) = (Vec::new(), Vec::new());
    for (document, entry_id) in composition.documents.iter().zip(&last_of) {
        change_ids.extend_from_slice(&document.change_ids);
        became.extend(std::iter::repeat_n(*entry_id, document.change_ids.len()));
    }
    let mut is_whole = true;
    if !document_keys.is_empty() {
        let point = &composition.connection_point;
        let raised =
            session.execute(sql::VARIATION_WRITE, &[&document_keys, point, &variations, &last_of]).await?;
        let marked = session.execute(sql::CHANGE_DONE, &[&change_ids, &became]).await?;
        is_whole = raised == document_keys.len() as u64 && marked == change_ids.len() as u64;
    }
    if is_whole && !composition.refused.is_empty() {
        let (ids, reasons): (Vec<i64>, Vec<_>) =
            composition.refused.iter().map(|(id, reason)| (*id, session.letters.clean(reason))).unzip();
        is_whole = session.execute(sql::CHANGE_REFUSED, &[&ids, &reasons]).await? == ids.len() as u64;
    }
    match is_whole {
        true => session.commit().await?,
        false => session.rollback().await?,
    }
    Ok(is_whole)
}

async fn insert(
    session: &Session,
    composition: &Composition,
    priority: i64,
    document: &[u8],
) -> Result<i64, Trouble> {
    let priority = i32::try_from(priority).unwrap_or(4);
    let (tenant_id, logical_id) = (&composition.tenant_id, &composition.logical_id);
    let row = session.query_one(sql::COMPOSE_ENTRY, &[tenant_id, logical_id, &priority, &document]).await?;
    Ok(row.try_get(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_keep_their_digits() {
        let raw = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        let text = |words: &[u16]| match numeric(&raw(words)) {
            Some(Value::Decimal(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&[0, 0, 0, 0]), "0");
        assert_eq!(text(&[0, 0, 0, 2]), "0.00");
        assert_eq!(text(&[2, 1, 0, 0, 1, 2345]), "12345");
        assert_eq!(text(&[1, 1, 0, 0, 1]), "10000");
        assert_eq!(text(&[2, 0, 0x4000, 2, 12, 5000]), "-12.50");
        assert_eq!(text(&[1, 0xFFFE, 0, 10, 1]), "0.0000000100");
        assert!(matches!(numeric(&raw(&[0, 0, 0xC000, 0])), Some(Value::Unusable(_))));
        assert_eq!(numeric(&[1]), None);
    }
}
