//! Reads values as they really come, and brings ours into what PostgreSQL takes.

use std::borrow::Cow;
use std::error::Error;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::trouble::Trouble;

/// A value as the server sends it, whatever its type: text may be no UTF-8 where the database's encoding is SQL_ASCII.
pub(super) struct Raw {
    pub(super) bytes: Bytes,
    pub(super) is_text: bool,
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self { bytes: Bytes::copy_from_slice(raw), is_text: *kind != Type::BYTEA })
    }

    fn accepts(kind: &Type) -> bool {
        [Type::BYTEA, Type::TEXT, Type::VARCHAR, Type::BPCHAR].contains(kind)
    }
}

/// A column of text; bytes that are no UTF-8 become U+FFFD.
pub(super) fn text(row: &Row, column: usize) -> Result<Option<String>, Trouble> {
    let raw: Option<Raw> = row.try_get(column)?;
    Ok(raw.map(|raw| String::from_utf8_lossy(&raw.bytes).into_owned()))
}

/// A column that its table declares NOT NULL.
pub(super) fn required(row: &Row, column: usize) -> Result<String, Trouble> {
    text(row, column).map(Option::unwrap_or_default)
}

/// A whole number in text; `None` where there is none.
pub(super) fn integer_in_text(row: &Row, column: usize) -> Result<Option<i64>, Trouble> {
    Ok(text(row, column)?.and_then(|text| text.trim().parse().ok()))
}

/// A whole number of a control table, whatever its width.
pub(super) fn integer(row: &Row, column: usize) -> Result<Option<i64>, Trouble> {
    Ok(match row.columns().get(column).map(|column| column.type_().clone()) {
        Some(Type::INT2) => row.try_get::<_, Option<i16>>(column)?.map(i64::from),
        Some(Type::INT4) => row.try_get::<_, Option<i32>>(column)?.map(i64::from),
        _ => row.try_get(column)?,
    })
}

pub(super) fn flag(row: &Row, column: usize) -> Result<bool, Trouble> {
    Ok(integer(row, column)? == Some(1))
}

pub(super) fn time(row: &Row, column: usize) -> Result<Option<DateTime<Utc>>, Trouble> {
    Ok(row.try_get(column)?)
}

pub(super) fn required_time(row: &Row, column: usize) -> Result<DateTime<Utc>, Trouble> {
    time(row, column).map(Option::unwrap_or_default)
}

/// Text as the server takes it: U+0000, which it refuses in any text, becomes U+FFFD.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

pub(super) fn clean_if(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| clean(text))
}

/// Reads the forms in which applications write a time: ISO 8601 with `T` or a blank, with or without `Z`, an offset or
/// fractions of a second. Without an offset it is UTC (spec/iobox.md §2).
pub(super) fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let iso = text.trim().replacen(' ', "T", 1);
    if let Ok(time) = DateTime::parse_from_rfc3339(&iso) {
        return Some(time.to_utc());
    }
    if let Ok(time) = DateTime::parse_from_str(&iso, "%Y-%m-%dT%H:%M:%S%.f%#z") {
        return Some(time.to_utc());
    }
    let iso = iso.trim_end_matches(['Z', 'z']);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(iso, form).ok())
        .or_else(|| NaiveDate::parse_from_str(iso, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .map(|time| time.and_utc())
}
