//! Reads what columns really hold: SQLite keeps any type in any column, and no value may stop a batch.
//!
//! Text that is not UTF-8 is read with U+FFFD in the place of what cannot be read, apart from `C_XML`, whose bytes
//! stay as they are.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{Result, Row};

/// A time as the control tables keep it.
pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn stamp_if(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(stamp)
}

/// A column as text, whatever its type; `None` where it is NULL.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}

/// A column that its table declares NOT NULL.
pub(super) fn required(row: &Row<'_>, column: usize) -> Result<String> {
    text(row, column).map(Option::unwrap_or_default)
}

/// A whole number, also where it was stored as text; `None` where there is none.
pub(super) fn integer(row: &Row<'_>, column: usize) -> Result<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        #[allow(clippy::cast_possible_truncation)] // saturates, and every reader bounds the value
        ValueRef::Real(number) if number.fract() == 0.0 => Some(number as i64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => None,
    })
}

pub(super) fn flag(row: &Row<'_>, column: usize) -> Result<bool> {
    Ok(integer(row, column)? == Some(1))
}

/// A time of the control tables; `None` where it is NULL or no time.
pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    Ok(text(row, column)?.as_deref().and_then(read_time))
}

/// A time of a column that its table declares NOT NULL.
pub(super) fn required_time(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    time(row, column).map(Option::unwrap_or_default)
}

/// Reads the forms in which applications write a time, as SQLite's own functions do with the modifier 'auto': ISO
/// 8601 with `T` or a blank, with or without `Z`, an offset or fractions of a second; a Julian day; Unix seconds.
/// Without an offset it is UTC (spec/iobox.md §2).
pub(super) fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return from_number(number);
    }
    let iso = text.replacen(' ', "T", 1);
    if let Ok(time) = DateTime::parse_from_rfc3339(&iso) {
        return Some(time.to_utc());
    }
    let iso = iso.trim_end_matches(['Z', 'z']);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(iso, form).ok())
        .or_else(|| NaiveDate::parse_from_str(iso, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .map(|time| time.and_utc())
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
