//! When a connection point looks at its outbox: every so many seconds, or by a cron expression in its time zone.
//!
//! Cron is the usual one of Unix: five fields, 0 and 7 are Sunday, and where day of the month and day of the week are
//! both restricted, either is enough. On the days on which clocks change no run is lost and none is doubled: a run whose
//! local time is left out comes right after the gap, one whose local time comes twice comes the first time only. An hour
//! field that begins with `*` means intervals and goes by elapsed time, as cron's own rule is.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The schedule of a connection point.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// `poll_seconds`.
    Every(Duration),
    /// `poll_cron`.
    Cron(Box<Cron>),
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    zone: Tz,
    /// In local time, as the crate speaks it: two where either of two day fields is enough.
    schedules: Vec<cron::Schedule>,
    /// The hour field begins with `*`.
    is_interval: bool,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone) == (&other.text, other.zone)
    }
}

/// A field of the five: its name, its lowest and highest number, and names for numbers from the lowest on.
struct Field {
    name: &'static str,
    from: u8,
    to: u8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// From Sunday, as Unix counts.
pub(super) const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", from: 0, to: 59, names: &[] },
    Field { name: "hour", from: 0, to: 23, names: &[] },
    Field { name: "day of the month", from: 1, to: 31, names: &[] },
    Field { name: "month", from: 1, to: 12, names: &MONTHS },
    Field { name: "day of the week", from: 0, to: 7, names: &DAYS },
];

impl Cron {
    /// Reads the five fields, or one of cron's words (`@daily`).
    ///
    /// # Errors
    /// In words for the DBA: the field, and what would be right.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let expression = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: Vec<&str> = expression.split_whitespace().collect();
        let [_, hour, day, _, weekday] = words.as_slice() else {
            return Err(format!(
                "poll_cron = '{text}' has {} fields: write five (minute hour day month weekday), as in '*/5 6-22 * * 1-5'",
                words.len()
            ));
        };
        let mut lists = Vec::with_capacity(5);
        for (field, word) in FIELDS.iter().zip(&words) {
            let numbers = field
                .numbers(word)
                .map_err(|reason| format!("poll_cron = '{text}': {}: {reason}", field.name))?;
            lists.push(numbers);
        }
        // The crate counts Sunday as 1; here 7 is Sunday, too.
        let weekdays: BTreeSet<u8> = lists[4].iter().map(|day| day % 7 + 1).collect();
        let days = [listed(&lists[2]), listed(&weekdays)];
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        let day_fields = match either {
            true => vec![(days[0].as_str(), "*"), ("*", days[1].as_str())],
            false => vec![(days[0].as_str(), days[1].as_str())],
        };
        let schedules = day_fields
            .into_iter()
            .map(|(day, weekday)| {
                let whole = format!(
                    "0 {} {} {day} {} {weekday} *",
                    listed(&lists[0]),
                    listed(&lists[1]),
                    listed(&lists[3])
                );
                cron::Schedule::from_str(&whole).map_err(|error| format!("poll_cron = '{text}': {error}"))
            })
            .collect::<Result<Vec<_>, String>>()?;
        let cron = Self { text: text.to_owned(), zone, schedules, is_interval: hour.starts_with('*') };
        // Any day would do: what never comes never comes.
        if cron.local_after(NaiveDateTime::default() + TimeDelta::days(20_000)).is_none() {
            return Err(format!("poll_cron = '{text}' never comes: there is no such day"));
        }
        Ok(cron)
    }

    /// The first run after an instant. `None` after the last year that the calendar of the schedule has.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        /// Longer than any change of a clock.
        const AROUND: TimeDelta = TimeDelta::hours(4);
        let local = |at: DateTime<Utc>| at.with_timezone(&self.zone).naive_local();
        let (before, after) = (local(instant - AROUND), local(instant + AROUND));
        // Around a change local times are not in the order of instants: all of them are looked at.
        let (mut at, last) =
            if after - before == AROUND * 2 { (local(instant), local(instant)) } else { (before, after) };
        let mut next: Option<DateTime<Utc>> = None;
        loop {
            at = self.local_after(at)?;
            let later = self.instants(at).into_iter().filter(|run| *run > instant);
            next = next.into_iter().chain(later).min();
            if next.is_some() && at >= last {
                return next;
            }
        }
    }

    /// The first local time after one that the fields name.
    fn local_after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let local = local.and_utc();
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after(&local).next())
            .min()
            .map(|at| at.naive_utc())
    }

    /// When a local time comes: once, but for intervals where clocks are set back or forward.
    fn instants(&self, local: NaiveDateTime) -> Vec<DateTime<Utc>> {
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) => vec![at.to_utc()],
            LocalResult::Ambiguous(first, second) if self.is_interval => {
                vec![first.to_utc(), second.to_utc()]
            }
            LocalResult::Ambiguous(first, _) => vec![first.to_utc()],
            LocalResult::None if self.is_interval => Vec::new(),
            LocalResult::None => vec![after_gap(self.zone, local)],
        }
    }
}

/// The instant at which clocks go on after the gap that a local time is in.
pub(super) fn after_gap(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    // Gaps begin and end at whole minutes, and none is longer than a day.
    (1..=24 * 60)
        .find_map(|minutes| zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))).earliest())
        .map_or_else(|| local.and_utc(), |at| at.to_utc())
}

impl Field {
    /// A list of `*`, numbers, names, ranges, each with `/step`.
    fn numbers(&self, word: &str) -> Result<BTreeSet<u8>, String> {
        let mut numbers = BTreeSet::new();
        for part in word.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => {
                    let step = step.parse().ok().filter(|step| *step > 0);
                    (range, Some(step.ok_or_else(|| format!("'{part}' has no step: write as in */5"))?))
                }
                None => (part, None),
            };
            let (from, to) = match (range, range.split_once('-')) {
                ("*", _) => (self.from, self.to),
                (_, Some((from, to))) => (self.number(from)?, self.number(to)?),
                (one, None) => {
                    let from = self.number(one)?;
                    (from, if step.is_some() { self.to } else { from })
                }
            };
            if from > to {
                return Err(format!("'{part}' goes backwards: write the lower one first"));
            }
            numbers.extend((from..=to).step_by(step.unwrap_or(1)));
        }
        Ok(numbers)
    }

    fn number(&self, word: &str) -> Result<u8, String> {
        let named = self.names.iter().position(|name| word.eq_ignore_ascii_case(name));
        let number = match named {
            Some(place) => u8::try_from(place).ok().map(|place| place + self.from),
            None => word.parse().ok(),
        };
        number.filter(|number| (self.from..=self.to).contains(number)).ok_or_else(|| {
            let names =
                if self.names.is_empty() { String::new() } else { format!(" or {}", self.names.join(", ")) };
            format!("'{word}' is not {}-{}{names}", self.from, self.to)
        })
    }
}

fn listed(numbers: &BTreeSet<u8>) -> String {
    numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn runs(text: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(text, zone).unwrap();
        let mut instant = at(from);
        (0..count)
            .map(|_| {
                instant = cron.next_after(instant).unwrap();
                instant.with_timezone(&zone).format("%a %d %H:%M%:z").to_string()
            })
            .collect()
    }

    #[test]
    fn fields_mean_what_unix_means() {
        let utc = |text: &str, count| runs(text, Tz::UTC, "2026-01-31T10:00:00Z", count);
        assert_eq!(
            utc("*/20 * * * *", 3),
            ["Sat 31 10:20+00:00", "Sat 31 10:40+00:00", "Sat 31 11:00+00:00"]
        );
        assert_eq!(utc("0 6 * * 7", 2), ["Sun 01 06:00+00:00", "Sun 08 06:00+00:00"]);
        assert_eq!(utc("0 6 * * 0", 2), utc("0 6 * * sun", 2));
        assert_eq!(utc("0 6 * * 1-5", 2), ["Mon 02 06:00+00:00", "Tue 03 06:00+00:00"]);
        assert_eq!(utc("0 6 * * 5-7", 3), ["Sun 01 06:00+00:00", "Fri 06 06:00+00:00", "Sat 07 06:00+00:00"]);
        assert_eq!(utc("30 1,13 * FEB *", 2), ["Sun 01 01:30+00:00", "Sun 01 13:30+00:00"]);
        // Either day field is enough where both are restricted; a '*' restricts nothing.
        assert_eq!(utc("0 0 13 * 5", 3), ["Fri 06 00:00+00:00", "Fri 13 00:00+00:00", "Fri 20 00:00+00:00"]);
        assert_eq!(utc("0 0 13 * 2", 3), ["Tue 03 00:00+00:00", "Tue 10 00:00+00:00", "Fri 13 00:00+00:00"]);
        assert_eq!(utc("0 0 29 2 *", 1), ["Tue 29 00:00+00:00"], "2028");
        assert_eq!(utc("@daily", 1), ["Sun 01 00:00+00:00"]);
        assert_eq!(
            utc("5/20 3 * * *", 3),
            ["Sun 01 03:05+00:00", "Sun 01 03:25+00:00", "Sun 01 03:45+00:00"]
        );
    }

    #[test]
    fn no_run_is_lost_or_doubled_when_clocks_change() {
        let berlin = Tz::Europe__Berlin;
        let spring = |text, count| runs(text, berlin, "2026-03-28T12:00:00Z", count);
        // 02:00 to 03:00 does not exist on the 29th of March.
        assert_eq!(spring("30 2 * * *", 2), ["Sun 29 03:00+02:00", "Mon 30 02:30+02:00"]);
        assert_eq!(spring("*/15 2 * * *", 2), ["Sun 29 03:00+02:00", "Mon 30 02:00+02:00"]);
        let night = |text, count| runs(text, berlin, "2026-03-29T00:31:00Z", count);
        assert_eq!(night("30 * * * *", 2), ["Sun 29 03:30+02:00", "Sun 29 04:30+02:00"]);
        // 02:00 to 03:00 comes twice on the 25th of October.
        let autumn = |text, count| runs(text, berlin, "2026-10-24T23:31:00Z", count);
        assert_eq!(autumn("30 2 * * *", 2), ["Sun 25 02:30+02:00", "Mon 26 02:30+01:00"]);
        assert_eq!(
            autumn("30 * * * *", 3),
            ["Sun 25 02:30+02:00", "Sun 25 02:30+01:00", "Sun 25 03:30+01:00"],
            "an interval goes by elapsed time"
        );
        assert_eq!(autumn("0 3 * * *", 1), ["Sun 25 03:00+01:00"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("* * * *", "has 4 fields"),
            ("0 * * * * *", "has 6 fields"),
            ("60 * * * *", "minute: '60' is not 0-59"),
            ("* 24 * * *", "hour: '24' is not 0-23"),
            ("* * 0 * *", "day of the month: '0' is not 1-31"),
            ("* * * 13 *", "month: '13' is not 1-12 or jan"),
            ("* * * * 8", "day of the week: '8' is not 0-7 or sun"),
            ("*/0 * * * *", "has no step"),
            ("30-10 * * * *", "goes backwards"),
            ("a * * * *", "minute: 'a'"),
            ("0 0 30 2 *", "never comes"),
            ("", "has 0 fields"),
        ] {
            let error = Cron::parse(text, Tz::UTC).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    /// The next run by walking over every minute, with the rule for changes of clocks written another way.
    fn walked(text: &str, zone: Tz, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let sets: Vec<BTreeSet<u8>> =
            FIELDS.iter().zip(&words).map(|(field, word)| field.numbers(word).unwrap()).collect();
        let fits = |local: NaiveDateTime| {
            use chrono::{Datelike, Timelike};
            let in_set = |set: &BTreeSet<u8>, number: u32| set.contains(&u8::try_from(number).unwrap());
            let day = in_set(&sets[2], local.day());
            let weekday = local.weekday().num_days_from_sunday();
            let weekday = in_set(&sets[4], weekday) || weekday == 0 && in_set(&sets[4], 7);
            let either = !words[2].starts_with('*') && !words[4].starts_with('*');
            in_set(&sets[0], local.minute())
                && in_set(&sets[1], local.hour())
                && in_set(&sets[3], local.month())
                && if either { day || weekday } else { day && weekday }
        };
        let is_interval = words[1].starts_with('*');
        let minute = TimeDelta::minutes(1);
        let mut at = DateTime::from_timestamp(instant.timestamp().div_euclid(60) * 60, 0)? + minute;
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
        for _ in 0..4 * 24 * 60 {
            let (before, now) = (local(at - minute), local(at));
            let mut due = fits(now);
            if !is_interval {
                // A local time that was here before, up to some hours ago, does not come again.
                due = due && !(1..=300).any(|back| local(at - TimeDelta::minutes(back)) == now);
                // Local times that were left out come now.
                let mut skipped = before + minute;
                while skipped < now {
                    due |= fits(skipped);
                    skipped += minute;
                }
            }
            if due {
                return Some(at);
            }
            at += minute;
        }
        None
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn next_is_what_walking_finds(
            zone in prop::sample::select(vec![
                Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Asia__Kolkata, Tz::UTC,
            ]),
            day in prop::sample::select(vec![
                "2026-03-28T06:00:00Z", "2026-10-24T06:00:00Z", "2026-03-08T00:00:00Z", "2026-11-01T00:00:00Z",
                "2026-04-04T08:00:00Z", "2026-10-03T08:00:00Z",
            ]),
            minutes in 0i64..2880,
            text in prop::sample::select(vec![
                "30 2 * * *", "*/7 * * * *", "15,45 1-3 * * *", "0 */2 * * *", "*/10 2 * * 0", "0 3 * * *",
                "59 1 * * *", "0 0 25 * 6", "5 2 29 3 *",
            ]),
        ) {
            let instant = at(day) + TimeDelta::minutes(minutes);
            if let Some(walked) = walked(text, zone, instant) {
                prop_assert_eq!(Cron::parse(text, zone).unwrap().next_after(instant), Some(walked));
            }
        }
    }
}
