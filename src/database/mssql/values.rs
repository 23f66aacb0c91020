//! Reads what columns really hold: numbers of any exact type, times of any type, text, and documents as bytes.
//!
//! No value of the application may stop a batch: what cannot be read as a number or a time is carried through as none.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use tiberius::ColumnData;

use crate::bod::compose::Value;
use crate::database::rows::{Cells, iso_time};

use super::session::Row;
use super::trouble::Trouble;

fn column(row: &Row, column: usize) -> Result<&ColumnData<'static>, Trouble> {
    Ok(row.get_column_data(column)?)
}

impl Cells for Row {
    type Error = Trouble;

    fn text(&self, place: usize) -> Result<Option<String>, Trouble> {
        Ok(match column(self, place)? {
            ColumnData::String(text) => text.as_deref().map(str::to_owned),
            other => whole(other).map(|number| number.to_string()),
        })
    }

    /// Of any exact type.
    fn integer(&self, place: usize) -> Result<Option<i64>, Trouble> {
        column(self, place).map(whole)
    }

    fn time(&self, place: usize) -> Result<Option<DateTime<Utc>>, Trouble> {
        Ok(created(column(self, place)?).1)
    }

    fn is_null(&self, place: usize) -> bool {
        match column(self, place) {
            Ok(ColumnData::String(text)) => text.is_none(),
            Ok(value) => whole(value).is_none() && created(value).0.is_empty(),
            Err(_) => false,
        }
    }

    fn name(&self, place: usize) -> &str {
        self.columns().get(place).map_or("a column", tiberius::Column::name)
    }
}

fn whole(value: &ColumnData<'_>) -> Option<i64> {
    match value {
        ColumnData::U8(number) => number.map(i64::from),
        ColumnData::I16(number) => number.map(i64::from),
        ColumnData::I32(number) => number.map(i64::from),
        ColumnData::I64(number) => *number,
        ColumnData::Bit(bit) => bit.map(i64::from),
        ColumnData::Numeric(number) => number.and_then(|number| i64::try_from(number.int_part()).ok()),
        _ => None,
    }
}

/// A cell of a DBA's query.
pub(super) fn value(cell: &ColumnData<'_>) -> Value {
    let number = |number: i64| Value::Integer(number);
    match cell {
        ColumnData::U8(Some(it)) => number((*it).into()),
        ColumnData::I16(Some(it)) => number((*it).into()),
        ColumnData::I32(Some(it)) => number((*it).into()),
        ColumnData::I64(Some(it)) => number(*it),
        ColumnData::F32(Some(it)) => Value::Single(*it),
        ColumnData::F64(Some(it)) => Value::Float(*it),
        ColumnData::Bit(Some(it)) => Value::Flag(*it),
        ColumnData::String(Some(it)) => Value::Text(it.clone().into_owned()),
        ColumnData::Guid(Some(it)) => Value::Text(it.to_string()),
        ColumnData::Binary(Some(it)) => Value::Bytes(it.to_vec()),
        ColumnData::Numeric(Some(it)) => Value::Decimal(decimal(it.value(), it.scale())),
        ColumnData::Xml(Some(it)) => Value::Text(it.to_string()),
        ColumnData::Time(Some(it)) => {
            let nanos = 10_u64
                .checked_pow(9_u32.saturating_sub(it.scale().into()))
                .and_then(|unit| it.increments().checked_mul(unit));
            let clock = nanos.and_then(|nanos| {
                let second = u32::try_from(nanos / 1_000_000_000).ok()?;
                NaiveTime::from_num_seconds_from_midnight_opt(
                    second,
                    u32::try_from(nanos % 1_000_000_000).ok()?,
                )
            });
            clock.map_or_else(|| Value::Unusable("the time is out of range".into()), Value::Clock)
        }
        ColumnData::Date(Some(it)) => at(1, it.days().into(), 0).map_or_else(
            || Value::Unusable("the date is out of range".into()),
            |time| Value::Day(time.date()),
        ),
        ColumnData::DateTimeOffset(Some(it)) => datetime2(it.datetime2()).map_or_else(
            || Value::Unusable("the time is out of range".into()),
            |time| Value::Instant(time.and_utc()),
        ),
        ColumnData::DateTime(Some(_))
        | ColumnData::SmallDateTime(Some(_))
        | ColumnData::DateTime2(Some(_)) => created(cell).1.map_or_else(
            || Value::Unusable("the time is out of range".into()),
            |time| Value::Local(time.naive_utc()),
        ),
        _ => Value::Null,
    }
}

/// Digits with a point before the last `scale` ones.
fn decimal(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let minus = if value < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{minus}{whole}{point}{fraction}")
}

/// A created time: as text that does not change from read to read, and as a time in UTC where it can be read as one
/// (without an offset it is UTC: spec/iobox.md §2).
pub(super) fn created_of(row: &Row, place: usize) -> Result<(String, Option<DateTime<Utc>>), Trouble> {
    column(row, place).map(created)
}

fn created(value: &ColumnData<'_>) -> (String, Option<DateTime<Utc>>) {
    let local = match value {
        // 1/300 s since midnight, which SQL Server shows in milliseconds.
        ColumnData::DateTime(Some(time)) => {
            let millis = (i64::from(time.seconds_fragments()) * 10 + 1) / 3;
            at(1900, i64::from(time.days()), millis * 1_000_000)
        }
        ColumnData::SmallDateTime(Some(time)) => {
            at(1900, i64::from(time.days()), i64::from(time.seconds_fragments()) * 60_000_000_000)
        }
        ColumnData::Date(Some(date)) => at(1, i64::from(date.days()), 0),
        ColumnData::DateTime2(Some(time)) => datetime2(*time),
        ColumnData::DateTimeOffset(Some(time)) => {
            // On the wire the time is UTC already, the offset beside it says how the row shows it.
            let utc = datetime2(time.datetime2()).map(|time| time.and_utc());
            let offset = FixedOffset::east_opt(i32::from(time.offset()) * 60);
            let shown = utc.zip(offset).map(|(utc, offset)| {
                utc.with_timezone(&offset).format("%Y-%m-%d %H:%M:%S%.f %:z").to_string()
            });
            return (shown.unwrap_or_default(), utc);
        }
        ColumnData::String(Some(text)) => return (text.clone().into_owned(), iso_time(text)),
        _ => None,
    };
    let shown = local.map(|time| time.format("%Y-%m-%d %H:%M:%S%.f").to_string());
    (shown.unwrap_or_default(), local.map(|time| time.and_utc()))
}

fn datetime2(time: tiberius::time::DateTime2) -> Option<NaiveDateTime> {
    let (date, clock) = (time.date(), time.time());
    let unit = 10_i64.checked_pow(9_u32.checked_sub(u32::from(clock.scale()))?)?;
    at(1, i64::from(date.days()), i64::try_from(clock.increments()).ok()?.checked_mul(unit)?)
}

fn at(year: i32, days: i64, nanos: i64) -> Option<NaiveDateTime> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
    let days_ahead = Days::new(days.unsigned_abs());
    let date =
        if days < 0 { first.checked_sub_days(days_ahead) } else { first.checked_add_days(days_ahead) }?;
    date.and_time(NaiveTime::MIN).checked_add_signed(chrono::Duration::nanoseconds(nanos))
}

/// A time as a parameter: text in the one form that every language setting reads alike, without `Z`.
pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true).trim_end_matches('Z').to_owned()
}

/// The same; none is empty, since a NULL parameter has no type (spec/mssql.md).
pub(super) fn stamp_if(time: Option<DateTime<Utc>>) -> String {
    time.map(stamp).unwrap_or_default()
}

/// A text as a parameter: none is empty.
pub(super) fn given(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}

/// A text no longer than its column, counted as the server counts: in UTF-16 units.
pub(super) fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    let mut units = 0;
    for (place, letter) in text.char_indices() {
        units += letter.len_utf16();
        if units > longest {
            return Cow::Owned(text[..place].to_owned());
        }
    }
    Cow::Owned(text.to_owned())
}

/// The bytes of a document as they are.
pub(super) fn bytes(row: &Row, place: usize) -> Result<Option<Bytes>, Trouble> {
    Ok(match column(row, place)? {
        ColumnData::Binary(Some(bytes)) => Some(Bytes::copy_from_slice(bytes)),
        _ => None,
    })
}

/// UTF-16LE as UTF-8. Half a character is written as its three bytes, which are not UTF-8: the reader of documents
/// refuses that one document and names the place, instead of a document that was changed on the way.
pub(super) fn from_utf16(bytes: &[u8]) -> Bytes {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    let mut text = Vec::with_capacity(bytes.len() / 2 + 16);
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => {
                let [high, low] = half.unpaired_surrogate().to_be_bytes();
                text.extend([
                    0xE0 | (high >> 4),
                    0x80 | ((high & 0x0F) << 2) | (low >> 6),
                    0x80 | (low & 0x3F),
                ]);
            }
        }
    }
    if !odd.is_empty() {
        text.push(0xFF);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_no_utf8() {
        let utf16 = |units: &[u16]| units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>();
        let text: Vec<u16> = "<x>ü😀</x>".encode_utf16().collect();
        assert_eq!(&from_utf16(&utf16(&text))[..], "<x>ü😀</x>".as_bytes());
        assert_eq!(&from_utf16(&utf16(&[0x3C, 0xD83D, 0x3E]))[..], b"<\xED\xA0\xBD>");
        assert!(std::str::from_utf8(&from_utf16(&utf16(&[0xDC00]))).is_err());
        assert!(std::str::from_utf8(&from_utf16(b"<\0x")).is_err());
    }

    #[test]
    fn times_are_read_in_every_form() {
        let shown = |value: ColumnData<'_>| created(&value);
        let utc = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let datetime = tiberius::time::DateTime::new(46_051, 300 * 37_230 + 299);
        assert_eq!(
            shown(ColumnData::DateTime(Some(datetime))),
            ("2026-01-31 10:20:30.997".into(), utc("2026-01-31T10:20:30.997Z"))
        );
        let date = tiberius::time::Date::new(739_646);
        let clock = tiberius::time::Time::new(372_301_234_567, 7);
        let datetime2 = tiberius::time::DateTime2::new(date, clock);
        assert_eq!(
            shown(ColumnData::DateTime2(Some(datetime2))),
            ("2026-01-31 10:20:30.123456700".into(), utc("2026-01-31T10:20:30.1234567Z"))
        );
        let offset = tiberius::time::DateTimeOffset::new(datetime2, 120);
        assert_eq!(
            shown(ColumnData::DateTimeOffset(Some(offset))),
            ("2026-01-31 12:20:30.123456700 +02:00".into(), utc("2026-01-31T10:20:30.1234567Z"))
        );
        for text in ["2026-01-31 10:20:30", "2026-01-31T10:20:30Z", "2026-01-31 12:20:30 +02:00"] {
            assert_eq!(iso_time(text), utc("2026-01-31T10:20:30Z"), "{text}");
        }
        assert_eq!(shown(ColumnData::String(Some("no time".into()))), ("no time".into(), None));
        assert_eq!(shown(ColumnData::DateTime(None)), (String::new(), None));
    }

    #[test]
    fn cells_are_values() {
        for (number, scale, text) in
            [(0, 0, "0"), (5, 2, "0.05"), (-1250, 2, "-12.50"), (12345, 0, "12345"), (-1, 3, "-0.001")]
        {
            assert_eq!(decimal(number, scale), text);
        }
        let clock = tiberius::time::Time::new(372_305_000_000, 7);
        assert_eq!(
            value(&ColumnData::Time(Some(clock))).canonical().unwrap().as_deref(),
            Some("10:20:30.500")
        );
        let time = tiberius::time::DateTime2::new(tiberius::time::Date::new(739_646), clock);
        assert_eq!(
            value(&ColumnData::DateTime2(Some(time))).canonical().unwrap().as_deref(),
            Some("2026-01-31T10:20:30.500Z")
        );
        assert_eq!(value(&ColumnData::Bit(Some(true))), Value::Flag(true));
        assert_eq!(value(&ColumnData::String(None)), Value::Null);
    }

    #[test]
    fn texts_are_cut_as_the_server_counts() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("a😀b", 2), "a", "a pair is not cut in two");
    }
}
