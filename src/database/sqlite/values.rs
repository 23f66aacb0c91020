//! Reads what columns really hold: SQLite keeps any type in any column, and no value may stop a batch.
//!
//! Text that is not UTF-8 is read with U+FFFD in the place of what cannot be read, apart from `C_XML`, whose bytes
//! stay as they are.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{Result, Row};

use crate::database::rows::{Cells, iso_time};

/// A time as the control tables keep it.
pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn stamp_if(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(stamp)
}

impl Cells for Row<'_> {
    type Error = rusqlite::Error;

    fn text(&self, column: usize) -> Result<Option<String>> {
        Ok(match self.get_ref(column)? {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
        })
    }

    /// Also where it was stored as text.
    fn integer(&self, column: usize) -> Result<Option<i64>> {
        Ok(match self.get_ref(column)? {
            ValueRef::Integer(number) => Some(number),
            #[allow(clippy::cast_possible_truncation)] // saturates, and every reader bounds the value
            ValueRef::Real(number) if number.fract() == 0.0 => Some(number as i64),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok())
            }
            ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
        })
    }

    fn time(&self, column: usize) -> Result<Option<DateTime<Utc>>> {
        Ok(self.text(column)?.as_deref().and_then(read_time))
    }

    fn is_null(&self, column: usize) -> bool {
        matches!(self.get_ref(column), Ok(ValueRef::Null))
    }

    fn name(&self, column: usize) -> &str {
        self.as_ref().column_name(column).unwrap_or("a column")
    }
}

/// Reads the forms in which applications write a time, as SQLite's own functions do with the modifier 'auto': ISO
/// 8601, a Julian day, or Unix seconds.
pub(super) fn read_time(text: &str) -> Option<DateTime<Utc>> {
    match text.trim().parse::<f64>() {
        Ok(number) => from_number(number),
        Err(_) => iso_time(text),
    }
}

fn from_number(number: f64) -> Option<DateTime<Utc>> {
    const UNIX_EPOCH_JULIAN_DAY: f64 = 2_440_587.5;
    const LAST_JULIAN_DAY: f64 = 5_373_484.5; // above it, SQLite's 'auto' takes a number as Unix seconds
    const LAST_UNIX_SECOND: f64 = 253_402_300_799.0;
    let seconds = if (0.0..LAST_JULIAN_DAY).contains(&number) {
        (number - UNIX_EPOCH_JULIAN_DAY) * 86_400.0
    } else {
        number
    };
    if !(-210_866_760_000.0..=LAST_UNIX_SECOND).contains(&seconds) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // bounded above
    DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)
}

/// Ids as a JSON array, so that one prepared statement serves any number of them.
pub(super) fn json_ids(ids: &[i64]) -> String {
    let mut json = String::with_capacity(2 + ids.len() * 9);
    json.push('[');
    for (place, id) in ids.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        json.push_str(&id.to_string());
    }
    json.push(']');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        for (form, expected) in [
            ("2026-01-31T10:20:30.123Z", "2026-01-31T10:20:30.123Z"),
            ("2026-01-31T10:20:30", "2026-01-31T10:20:30.000Z"),
            ("2026-01-31 10:20:30", "2026-01-31T10:20:30.000Z"),
            ("2026-01-31 10:20:30.5", "2026-01-31T10:20:30.500Z"),
            ("2026-01-31 10:20:30Z", "2026-01-31T10:20:30.000Z"),
            ("2026-01-31 10:20", "2026-01-31T10:20:00.000Z"),
            ("2026-01-31", "2026-01-31T00:00:00.000Z"),
            ("2026-01-31T10:20:30+02:00", "2026-01-31T08:20:30.000Z"),
            ("1769854830", "2026-01-31T10:20:30.000Z"),
            ("1769854830.25", "2026-01-31T10:20:30.250Z"),
            ("2461071.9309027777", "2026-01-31T10:20:30.000Z"),
        ] {
            assert_eq!(read_time(form).map(stamp).as_deref(), Some(expected), "{form}");
        }
        for form in ["", "yesterday", "31.01.2026", "NaN", "1e300"] {
            assert_eq!(read_time(form), None, "{form}");
        }
    }
}
