//! `max_messages_per_second`: a bucket that fills evenly and holds a tenth of a second's worth.
//!
//! Whole nanoseconds, so that no rate drifts. In any second there are at most the rate and a tenth of it.

const NANOS: i64 = 1_000_000_000;

/// How fast a connection point may post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Nanoseconds between two posts.
    every: i64,
    /// How far posts may be ahead of their even times, nanoseconds.
    burst: i64,
    /// The even time of the next post, nanoseconds since 1970.
    next: i64,
}

impl Pace {
    /// `rate` is messages a second, at least 1.
    pub fn new(rate: u32) -> Self {
        let every = NANOS / i64::from(rate.max(1));
        Self { every, burst: (NANOS / 10).max(every) - every, next: 0 }
    }

    /// Whether a post may go out at `now` (ms since 1970); it is counted.
    pub fn take(&mut self, now: i64) -> bool {
        let now = now.saturating_mul(NANOS / 1000);
        let is_free = now >= self.next - self.burst;
        if is_free {
            self.next = self.next.max(now) + self.every;
        }
        is_free
    }

    /// The clock was set by so many ms.
    pub fn move_by(&mut self, jump: i64) {
        self.next = self.next.saturating_add(jump.saturating_mul(NANOS / 1000));
    }

    /// When the next one may go out, ms since 1970.
    pub fn ready_at(&self) -> i64 {
        (self.next - self.burst).div_euclid(NANOS / 1000) + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Posts as many as it lets out, asked every `step` ms for `total` ms.
    fn posts(rate: u32, step: i64, total: i64) -> Vec<i64> {
        let mut pace = Pace::new(rate);
        let mut posts = Vec::new();
        let mut now = 1_700_000_000_000;
        while now < 1_700_000_000_000 + total {
            while pace.take(now) {
                posts.push(now);
            }
            now += step;
        }
        posts
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_the_rate_and_a_tenth(rate in 1u32..20_000, step in 1i64..40) {
            let posts = posts(rate, step, 3_000);
            let most = usize::try_from(rate + rate / 10 + 1).unwrap();
            for window in posts.windows(most + 1) {
                prop_assert!(window[most] - window[0] >= 1000, "more than {most} in a second at {rate}");
            }
            prop_assert!(posts.len() >= usize::try_from(rate).unwrap() * 2, "{} in 3 s at {rate}", posts.len());
        }

        #[test]
        fn it_says_when_it_is_ready(rate in 1u32..2_000) {
            let mut pace = Pace::new(rate);
            let now = 1_700_000_000_000;
            while pace.take(now) {}
            let ready = pace.ready_at();
            prop_assert!(ready > now && pace.take(ready));
        }
    }
}
