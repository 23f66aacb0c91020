//! The wall clock, asked in one place, so that tests can set it.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// The time of day, cut to the millisecond as tables keep it. Waiting goes through tokio's timer instead.
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[allow(clippy::disallowed_methods)] // the one place
        let now = Utc::now();
        now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now)
    }
}
