//! How many messages are begun ahead of their posts, so that no place on the wire waits for the journal's disk.
//!
//! Nobody can vouch for a message that was begun when the process is killed, so no more are begun than the time of a
//! commit asks for: as many as are on the wire where ION is at some distance, more where it answers within a commit.

use std::time::Duration;

/// Most that are begun ahead, in places on the wire.
const MOST: u64 = 7;

/// A mean of times in which the last dozen weigh most.
#[derive(Debug, Clone, Copy, Default)]
pub struct MeanTime {
    /// µs.
    mean: u64,
}

impl MeanTime {
    /// In whole milliseconds; 0: very short, or not known.
    pub fn millis(&self) -> i64 {
        i64::try_from(self.mean / 1000).unwrap_or(i64::MAX)
    }

    /// Takes one more time in.
    pub fn take(&mut self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.mean = match self.mean {
            0 => time,
            mean => (mean - mean / 16).saturating_add(time / 16),
        };
    }
}

/// How many are begun beyond those on the wire, given what commits of the journal and posts take.
pub fn begun_ahead(parallel_posts: usize, commit: MeanTime, post: MeanTime) -> usize {
    // One waits for the end of the commit that is under way, and for its own.
    let places = (2 * commit.mean).div_ceil(post.mean.max(1)).clamp(1, MOST);
    parallel_posts * usize::try_from(places).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(millis: u64) -> MeanTime {
        let mut mean = MeanTime::default();
        (0..100).for_each(|_| mean.take(Duration::from_millis(millis)));
        mean
    }

    #[test]
    fn a_mean_follows_what_it_is_told() {
        let mut mean = mean(100);
        assert!((99_000..=100_000).contains(&mean.mean), "{mean:?}");
        (0..100).for_each(|_| mean.take(Duration::from_millis(10)));
        assert!((9_000..=11_000).contains(&mean.mean), "{mean:?}");
    }

    #[test]
    fn as_many_as_a_commit_asks_for() {
        assert_eq!(begun_ahead(16, MeanTime::default(), MeanTime::default()), 16);
        assert_eq!(begun_ahead(16, mean(4), mean(150)), 16);
        assert_eq!(begun_ahead(16, mean(4), mean(4)), 32);
        assert_eq!(begun_ahead(16, mean(400), mean(1)), 16 * 7);
    }
}
