//! Hours in which nothing is sent: windows of local time, as in `22:00-02:00 Sun; 12:00-12:30`.
//!
//! A window over midnight belongs to the day on which it begins. Where clocks change, a window begins at the first and
//! ends at the last instant of its local time, so that it is never shorter than it says.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::schedule::{DAYS, after_gap};

const DAY: u32 = 24 * 60;

/// The windows of a connection point, in its time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    zone: Tz,
    windows: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// Minutes since midnight.
    from: u32,
    /// Minutes since the same midnight; over 24 hours where it ends on the next day.
    to: u32,
    /// From Sunday.
    days: [bool; 7],
}

impl Blackout {
    /// Reads windows, divided by `;`: from, to, and the days (all days where none is named).
    ///
    /// # Errors
    /// In words for the DBA: the window, and what would be right.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let windows = text
            .split(';')
            .filter(|window| !window.trim().is_empty())
            .map(|window| {
                Window::parse(window.trim()).map_err(|reason| {
                    format!(
                        "blackout: '{}': {reason}. Write as in '22:00-02:00 Sun; 12:00-12:30 Mon-Fri'",
                        window.trim()
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let blackout = Self { zone, windows };
        if blackout.is_always() {
            return Err("blackout covers the whole week: nothing would ever be sent. To stop a connection point, set \
                        send_mode = 'off' or use the command pause"
                .into());
        }
        Ok(blackout)
    }

    /// The end of the windows that an instant is in, those that touch taken together; `None`: it is in none.
    pub fn until(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut end = instant;
        // Each round goes to the end of one window; a week has no more than that, and one more joins two weeks.
        for _ in 0..=self.windows.len() * 8 {
            let windows = self.around(end);
            let Some((_, later)) = windows.into_iter().find(|(from, to)| *from <= end && end < *to) else {
                break;
            };
            end = later;
        }
        (end > instant).then_some(end)
    }

    /// When the next window begins.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.around(instant).into_iter().map(|(from, _)| from).filter(|from| *from > instant).min()
    }

    /// The windows from the day before an instant to a week after.
    fn around(&self, instant: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let today = instant.with_timezone(&self.zone).date_naive();
        let first = today.checked_sub_days(Days::new(1)).unwrap_or(today);
        let days = (0..=9).filter_map(|ahead| first.checked_add_days(Days::new(ahead)));
        days.flat_map(|day| {
            let weekday = usize::try_from(day.weekday().num_days_from_sunday()).unwrap_or_default();
            let windows = self.windows.iter().filter(move |window| window.days[weekday]);
            windows.map(move |window| {
                (self.instant(day, window.from, false), self.instant(day, window.to, true))
            })
        })
        .collect()
    }

    fn instant(&self, day: NaiveDate, minutes: u32, is_end: bool) -> DateTime<Utc> {
        let day = day.checked_add_days(Days::new(u64::from(minutes / DAY))).unwrap_or(day);
        let minutes = minutes % DAY;
        let time = NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0).unwrap_or_default();
        let local = day.and_time(time);
        let found = self.zone.from_local_datetime(&local);
        let chosen = if is_end { found.latest() } else { found.earliest() };
        chosen.map_or_else(|| after_gap(self.zone, local), |at| at.to_utc())
    }

    fn is_always(&self) -> bool {
        let week = 7 * DAY;
        let mut spans: Vec<(u32, u32)> = Vec::new();
        for window in &self.windows {
            for (day, _) in (0..7).zip(&window.days).filter(|(_, is_on)| **is_on) {
                let (from, to) = (day * DAY + window.from, day * DAY + window.to);
                spans.push((from, to.min(week)));
                spans.extend((to > week).then(|| (0, to - week)));
            }
        }
        spans.sort_unstable();
        let covered =
            spans.into_iter().fold(0, |end, (from, to)| if from <= end { end.max(to) } else { end });
        covered >= week
    }
}

impl Window {
    fn parse(text: &str) -> Result<Self, String> {
        let (times, days) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (from, to) = times.split_once('-').ok_or("it has no '-' between two times")?;
        let (from, mut to) = (minutes(from)?, minutes(to)?);
        if from == to || from == DAY {
            return Err("it has no length".into());
        }
        if to < from {
            to += DAY;
        }
        Ok(Self { from, to, days: read_days(days)? })
    }
}

fn minutes(text: &str) -> Result<u32, String> {
    let parts = text.split_once(':').and_then(|(hours, minutes)| {
        (minutes.len() == 2).then_some(())?;
        Some((hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?))
    });
    match parts {
        Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        Some((24, 0)) => Ok(DAY),
        _ => Err(format!("'{text}' is no time of the day")),
    }
}

/// `Mon-Fri`, `Sat,Sun`, or all.
fn read_days(text: &str) -> Result<[bool; 7], String> {
    if text.trim().is_empty() {
        return Ok([true; 7]);
    }
    let number = |name: &str| {
        let name = name.trim();
        DAYS.iter()
            .position(|day| day.eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("'{name}' is no day: Mon, Tue, Wed, Thu, Fri, Sat, Sun"))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (number(from)?, number(to)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn until(text: &str, zone: Tz, instant: &str) -> Option<String> {
        let end = Blackout::parse(text, zone).unwrap().until(at(instant));
        end.map(|end| end.with_timezone(&zone).format("%a %d %H:%M").to_string())
    }

    #[test]
    fn windows_hold_in_local_time() {
        let text = "22:00-02:00 Sun; 12:00-12:30";
        let utc = |instant| until(text, Tz::UTC, instant);
        assert_eq!(utc("2026-02-01T21:59:59Z"), None);
        assert_eq!(utc("2026-02-01T22:00:00Z").as_deref(), Some("Mon 02 02:00"), "over midnight");
        assert_eq!(utc("2026-02-02T01:59:59Z").as_deref(), Some("Mon 02 02:00"));
        assert_eq!(utc("2026-02-02T02:00:00Z"), None);
        assert_eq!(utc("2026-02-02T22:00:00Z"), None, "only the night that begins on Sunday");
        assert_eq!(utc("2026-02-04T12:29:00Z").as_deref(), Some("Wed 04 12:30"));
        let joined = "20:00-24:00 Fri; 00:00-24:00 Sat,Sun; 00:00-06:00 Mon";
        assert_eq!(until(joined, Tz::UTC, "2026-01-30T23:00:00Z").as_deref(), Some("Mon 02 06:00"));
        assert_eq!(
            until("08:00-09:00 Fri-Mon", Tz::UTC, "2026-02-01T08:30:00Z").as_deref(),
            Some("Sun 01 09:00")
        );
        assert_eq!(until("08:00-09:00 Fri-Mon", Tz::UTC, "2026-02-03T08:30:00Z"), None);
        assert_eq!(until("", Tz::UTC, "2026-02-03T08:30:00Z"), None);
    }

    #[test]
    fn a_window_is_never_shorter_than_it_says() {
        let berlin = Tz::Europe__Berlin;
        // Twice 02:30 on the 25th of October: to the second one.
        assert_eq!(until("01:00-02:30", berlin, "2026-10-25T01:29:00Z").as_deref(), Some("Sun 25 02:30"));
        assert_eq!(until("01:00-02:30", berlin, "2026-10-25T01:30:00Z"), None);
        // No 02:30 on the 29th of March.
        assert_eq!(until("01:00-02:30", berlin, "2026-03-29T00:59:00Z").as_deref(), Some("Sun 29 03:00"));
        let next = Blackout::parse("01:00-02:30 Sun", berlin).unwrap().next_after(at("2026-03-29T01:00:00Z"));
        assert_eq!(next, Some(at("2026-04-04T23:00:00Z")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("22:00", "no '-'"),
            ("22:00-25:00", "'25:00' is no time"),
            ("22:0-23:00", "'22:0' is no time"),
            ("22:00-22:00", "no length"),
            ("22:00-23:00 Someday", "'Someday' is no day"),
            ("00:00-24:00", "whole week"),
            ("00:00-12:00; 12:00-24:00 Mon-Sun", "whole week"),
        ] {
            let error = Blackout::parse(text, Tz::UTC).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest! {
        /// Inside a window until its end and not a moment longer, whatever the clocks do.
        #[test]
        fn the_end_is_outside_and_all_before_is_inside(
            zone in prop::sample::select(vec![Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe]),
            from in 0u32..1440, length in 1u32..1400, day in 0usize..7, minutes in 0i64..525_600,
        ) {
            let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let text = format!("{}-{} {}", clock(from), clock((from + length) % 1440), DAYS[day]);
            let blackout = Blackout::parse(&text, zone).unwrap();
            let instant = at("2026-01-01T00:00:00Z") + chrono::TimeDelta::minutes(minutes);
            match blackout.until(instant) {
                Some(end) => {
                    prop_assert!(blackout.until(end).is_none(), "{}", text);
                    prop_assert_eq!(blackout.until(end - chrono::TimeDelta::seconds(1)), Some(end));
                }
                None => {
                    let next = blackout.next_after(instant).unwrap();
                    prop_assert!(blackout.until(next).is_some());
                    prop_assert!(blackout.until(next - chrono::TimeDelta::seconds(1)).is_none());
                }
            }
        }
    }
}
