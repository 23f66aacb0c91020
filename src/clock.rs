//! Time, asked in one place, so that tests can set it: the time of day for people, and a steady clock for waiting.

use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// The two clocks. Waiting itself goes through tokio's timer.
pub trait Clock: Send + Sync {
    /// The time of day, cut to the millisecond as tables keep it. Somebody may set it, back or ahead.
    fn now(&self) -> DateTime<Utc>;

    /// Milliseconds on a clock that nobody sets, and that runs on while the machine sleeps or the process is stopped. It
    /// began with the time of day of the first look.
    fn steady(&self) -> i64;
}

/// The machine's clocks.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[allow(clippy::disallowed_methods)] // the one place
        let now = Utc::now();
        now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now)
    }

    fn steady(&self) -> i64 {
        static BEGAN: OnceLock<i64> = OnceLock::new();
        let running = i64::try_from(running().as_millis()).unwrap_or(i64::MAX);
        BEGAN.get_or_init(|| self.now().timestamp_millis() - running) + running
    }
}

/// How long the machine has been running, its sleep included: `CLOCK_BOOTTIME`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn running() -> Duration {
    of_clock(rustix::time::ClockId::Boottime)
}

/// The same where the monotonic clock counts sleep by itself (macOS).
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn running() -> Duration {
    of_clock(rustix::time::ClockId::Monotonic)
}

#[cfg(unix)]
fn of_clock(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// How long this process has been running: Windows' performance counter counts sleep.
#[cfg(windows)]
fn running() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_begins_with_the_time_of_day_and_runs() {
        let clock = SystemClock;
        let first = clock.steady();
        assert!((first - clock.now().timestamp_millis()).abs() < 60_000);
        while clock.steady() == first {
            std::thread::yield_now();
        }
        assert!(clock.steady() > first);
    }
}
