//! A value of a query's row, and the one form in which XML has it.
//!
//! Times are UTC: one with a zone is brought there, one without is taken as it is. A query that reads local times says
//! so itself (`AT TIME ZONE`). Fractions of a second are written only where there are any, decimals keep the digits that
//! the database gives and never have an exponent.

use std::borrow::Cow;

use base64::Engine as _;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Timelike, Utc};

use crate::bod::wellformed::forbidden_character;

/// What a column of a row holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Leaves its element or attribute out.
    Null,
    /// Empty text keeps an empty element.
    Text(String),
    Integer(i64),
    /// Digits with a point, as the database writes them, without an exponent.
    Decimal(String),
    Float(f64),
    /// As short as four bytes tell apart.
    Single(f32),
    Flag(bool),
    Instant(DateTime<Utc>),
    /// Without a zone: UTC.
    Local(NaiveDateTime),
    Day(NaiveDate),
    Clock(NaiveTime),
    Bytes(Vec<u8>),
    /// The database holds something that has no form here, and why.
    Unusable(String),
}

impl Value {
    /// The text between tags, not escaped; `None` for NULL.
    ///
    /// # Errors
    /// What XML cannot hold, in words.
    pub fn canonical(&self) -> Result<Option<Cow<'_, str>>, String> {
        let text = |text: String| Ok(Some(Cow::Owned(text)));
        match self {
            Self::Null => Ok(None),
            Self::Text(value) => match forbidden_character(value) {
                None => Ok(Some(Cow::Borrowed(value))),
                Some((at, character)) => {
                    let place = value[..at].chars().count() + 1;
                    Err(format!(
                        "the character U+{:04X} at place {place} is not allowed in XML",
                        u32::from(character)
                    ))
                }
            },
            Self::Integer(number) => text(number.to_string()),
            Self::Decimal(digits) => Ok(Some(Cow::Borrowed(digits))),
            Self::Float(number) => float(*number, number.to_string()).map(Some),
            Self::Single(number) => float((*number).into(), number.to_string()).map(Some),
            Self::Flag(flag) => Ok(Some(Cow::Borrowed(if *flag { "true" } else { "false" }))),
            Self::Instant(time) => {
                year(time.year()).and_then(|()| text(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
            }
            Self::Local(time) => year(time.year())
                .and_then(|()| text(time.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))),
            Self::Day(day) => year(day.year()).and_then(|()| text(day.format("%Y-%m-%d").to_string())),
            Self::Clock(time) => {
                let shown = match time.nanosecond() % 1_000_000_000 {
                    0 => time.format("%H:%M:%S"),
                    nanos if nanos % 1_000_000 == 0 => time.format("%H:%M:%S%.3f"),
                    nanos if nanos % 1_000 == 0 => time.format("%H:%M:%S%.6f"),
                    _ => time.format("%H:%M:%S%.9f"),
                };
                text(shown.to_string())
            }
            Self::Bytes(bytes) => text(base64::engine::general_purpose::STANDARD.encode(bytes)),
            Self::Unusable(why) => Err(why.clone()),
        }
    }
}

/// Rust writes floating point numbers without an exponent.
fn float(number: f64, shown: String) -> Result<Cow<'static, str>, String> {
    if !number.is_finite() {
        return Err(format!("{shown} is no number that a receiver could read"));
    }
    Ok(Cow::Owned(if number == 0.0 { "0".to_owned() } else { shown }))
}

/// XML writes years with four digits.
fn year(year: i32) -> Result<(), String> {
    match (1..=9999).contains(&year) {
        true => Ok(()),
        false => Err(format!("the year {year} is outside of 0001 to 9999")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_form() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let local = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        for (value, form) in [
            (Value::Text("a <b> ]]> 😀\tü".into()), "a <b> ]]> 😀\tü"),
            (Value::Text(String::new()), ""),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Decimal("-0.00000000010".into()), "-0.00000000010"),
            (Value::Float(1e21), "1000000000000000000000"),
            (Value::Float(1e-7), "0.0000001"),
            (Value::Float(-0.0), "0"),
            (Value::Float(0.1), "0.1"),
            (Value::Single(0.1), "0.1"),
            (Value::Flag(true), "true"),
            (Value::Flag(false), "false"),
            (Value::Instant(time("2026-03-01T10:15:30+02:00")), "2026-03-01T08:15:30Z"),
            (Value::Instant(time("2026-03-01T08:15:30.120Z")), "2026-03-01T08:15:30.120Z"),
            (Value::Local(local("2026-03-01T08:15:30.123456")), "2026-03-01T08:15:30.123456Z"),
            (Value::Day("2026-03-01".parse().unwrap()), "2026-03-01"),
            (Value::Clock("08:15:30".parse().unwrap()), "08:15:30"),
            (Value::Clock("08:15:30.5".parse().unwrap()), "08:15:30.500"),
            (Value::Bytes(vec![0, 255, 1]), "AP8B"),
        ] {
            assert_eq!(value.canonical().unwrap().as_deref(), Some(form), "{value:?}");
        }
        assert_eq!(Value::Null.canonical(), Ok(None));
    }

    #[test]
    fn what_xml_cannot_hold_is_refused() {
        for (value, why) in [
            (Value::Text("ab\u{1}".into()), "U+0001 at place 3"),
            (Value::Text("ä\u{FFFE}".into()), "U+FFFE at place 2"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Float(f64::INFINITY), "inf"),
            (Value::Day(NaiveDate::from_ymd_opt(10_000, 1, 1).unwrap()), "10000"),
            (Value::Unusable("an array".into()), "an array"),
        ] {
            let error = value.canonical().unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
