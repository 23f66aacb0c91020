//! Reads values as they really come, and brings ours into what PostgreSQL takes.

use std::borrow::Cow;
use std::error::Error;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::database::rows::Cells;

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

impl Cells for Row {
    type Error = Trouble;

    /// Bytes that are no UTF-8 become U+FFFD.
    fn text(&self, column: usize) -> Result<Option<String>, Trouble> {
        let raw: Option<Raw> = self.try_get(column)?;
        Ok(raw.map(|raw| String::from_utf8_lossy(&raw.bytes).into_owned()))
    }

    fn integer(&self, column: usize) -> Result<Option<i64>, Trouble> {
        Ok(match self.columns().get(column).map(|column| column.type_().clone()) {
            Some(Type::INT2) => self.try_get::<_, Option<i16>>(column)?.map(i64::from),
            Some(Type::INT4) => self.try_get::<_, Option<i32>>(column)?.map(i64::from),
            _ => self.try_get(column)?,
        })
    }

    fn time(&self, column: usize) -> Result<Option<DateTime<Utc>>, Trouble> {
        Ok(self.try_get(column)?)
    }

    fn is_null(&self, column: usize) -> bool {
        matches!(self.try_get::<_, Option<Anything>>(column), Ok(None))
    }

    fn name(&self, column: usize) -> &str {
        self.columns().get(column).map_or("a column", |column| column.name())
    }
}

/// A value of any type that is there.
struct Anything;

impl FromSql<'_> for Anything {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A whole number in text; `None` where there is none.
pub(super) fn integer_in_text(row: &Row, column: usize) -> Result<Option<i64>, Trouble> {
    Ok(row.text(column)?.and_then(|text| text.trim().parse().ok()))
}

/// Text as the server takes it: U+0000, which it refuses in any text, becomes U+FFFD.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}
