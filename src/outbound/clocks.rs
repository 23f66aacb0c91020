//! The time of day may be set while documents wait: nothing waits longer for it, and nothing goes out earlier.
//!
//! `Outbound::now` is the time of day by the steady clock, so that it never jumps by itself. Where the time of day parts from
//! it, this moves all that memory waits for by as much, in one place and at one moment. What goes by the calendar (cron
//! schedules, blackouts, the end of a pause) is asked anew, and what the journal keeps from another time is cut to the
//! longest that it may be.

use std::sync::Arc;
use std::time::Duration;

use super::{Outbound, log};
use crate::domain::notice::{Notice, Severity};

/// The clocks may differ by this: time servers set a clock by less, and more slowly.
const JUMP_MS: i64 = 2_000;
/// The longest that ION may ask to wait.
const ASKED_MOST_MS: i64 = 600_000;

impl Outbound {
    /// ms since 1970, as all waiting goes by it.
    pub fn now(&self) -> i64 {
        self.clock.steady() + self.ahead
    }

    /// The time by which something is old enough to be deleted: a clock that was set ahead makes nothing old.
    pub(super) fn now_for_ages(&self) -> i64 {
        self.now().min(self.clock.steady() + self.ahead_at_start)
    }

    /// Takes in that the time of day was set. Answers whether it was.
    pub fn follow_clocks(&mut self) -> bool {
        let today = self.clock.now().timestamp_millis();
        let jump = today - self.now();
        self.ahead += jump;
        if jump.abs() <= JUMP_MS {
            // It crept: nothing waits noticeably longer.
            return false;
        }
        self.move_by(jump);
        let now = self.now();
        let (way, was) = (if jump < 0 { "back" } else { "ahead" }, log::time(now - jump));
        let seconds = jump.unsigned_abs() / 1000;
        tracing::warn!(seconds, way, "the time of day was set");
        self.notices.push(Notice::new("CLOCK_JUMPED", Severity::Warning, None, "clock").says(
            format!(
                "this machine's clock was set {way} by {seconds} s (from {was} to {}), or the machine stood still. \
                 What waits goes on as if nothing had happened; cron schedules, blackouts and the ends of pauses go by \
                 the new time",
                log::time(now)
            ),
            "See that a time server sets this clock little by little. Dates in the tables from before are by the old \
             time.",
        ));
        true
    }

    /// Moves all that memory waits for.
    fn move_by(&mut self, jump: i64) {
        let now = self.now();
        let moved = |time: &mut i64| *time = shifted(*time, jump);
        self.scopes.move_by(jump);
        moved(&mut self.commit_not_before);
        for site in &mut self.sites {
            moved(&mut site.not_before);
            moved(&mut site.listen_at);
        }
        for number in 0..self.points.len() {
            let mode = self.mode;
            let point = &mut self.points[number];
            point.lanes.move_by(jump);
            if let Some(holes) = &mut point.holes {
                Arc::make_mut(holes).move_by(jump);
            }
            point.stuck.move_by(jump);
            point.unlogged.move_by(jump);
            if let Some(pace) = &mut point.pace {
                pace.move_by(jump);
            }
            for time in [
                &mut point.next_sweep_at,
                &mut point.next_log_at,
                &mut point.next_retention_at,
                &mut point.next_order_at,
                &mut point.orders_wanted_since,
                &mut point.oldest_unsettled_at,
                &mut point.another_sender_until,
                &mut point.list.asked_at,
                &mut point.next_scan_at,
                &mut point.let_go_at,
            ] {
                moved(time);
            }
            point.probes_asked.values_mut().for_each(moved);
            point.receivers_since.iter_mut().for_each(moved);
            point.blackout_changes_at = 0;
            point.clock_since = now;
            if point.goes_by_cron(mode) && !point.collecting {
                // A run that was jumped over is made up for.
                point.look_first(mode, now, (jump > 0).then_some(now - jump));
            }
        }
    }
}

/// 0 and the end of time stay: at once, and never.
pub(super) fn shifted(time: i64, jump: i64) -> i64 {
    if time == 0 || time == i64::MAX { time } else { time.saturating_add(jump) }
}

/// A wait that the journal kept. One that is longer than any could have been made was made while the clock was ahead: then
/// the longest backoff is waited for.
pub(super) fn cut_wait(not_before: i64, longest_backoff: Duration, now: i64) -> i64 {
    let backoff = i64::try_from(longest_backoff.as_millis()).unwrap_or(i64::MAX);
    let most = backoff.max(ASKED_MOST_MS);
    let is_possible = not_before <= now.saturating_add(most).saturating_add(most / 10);
    if is_possible { not_before } else { now.saturating_add(backoff) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_wait_is_never_longer_than_one_that_could_be_made() {
        let backoff = Duration::from_secs(5);
        for (stored, wanted) in [(0, 0), (1_600_000, 1_600_000), (86_400_000_000, 1_005_000)] {
            assert_eq!(cut_wait(stored, backoff, 1_000_000), wanted);
        }
        let long = Duration::from_secs(7_200);
        assert_eq!(cut_wait(8_000_000, long, 1_000_000), 8_000_000);
    }

    #[test]
    fn at_once_and_never_stay_what_they_are() {
        assert_eq!([0, i64::MAX, 10_000].map(|time| shifted(time, -3_000)), [0, i64::MAX, 7_000]);
    }
}
