//! Who may send: a proof of ownership that expires by itself.
//!
//! A claim in `bodrelay_status` lapses by the database's clock when its owner is silent for `LAPSE`; then another agent
//! may take it. So the owner trusts a renewal from the moment at which it was *sent*, by a clock that nobody sets and
//! that counts sleep, and for less than the lapse. Nothing begins and nothing is posted without a `Proof`, and only a
//! granted renewal makes one: an agent that was stopped, slept, or lost its database has none until it was told anew.

use std::time::Duration;

/// After so long without a renewal, by the database's clock, an owner has lapsed.
pub const LAPSE: Duration = Duration::from_secs(180);

/// How long a claim lasts, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    lapse: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lapse: LAPSE }
    }
}

impl Terms {
    /// Shorter ones, for tests: all agents of a database must have the same.
    pub fn of(lapse: Duration) -> Self {
        Self { lapse }
    }

    /// In whole seconds, as statements and people are told.
    pub fn lapse_seconds(self) -> i64 {
        i64::try_from(self.lapse.as_secs()).unwrap_or(i64::MAX)
    }

    /// Several renewals may fail before anything stands still.
    pub fn renew_every(self) -> Duration {
        self.lapse / 6
    }

    /// What is left of the lapse when trust ends.
    fn margin(self) -> Duration {
        self.lapse / 9
    }
}

/// A claim or a renewal that is about to be sent: the way to the database and back counts against it.
#[derive(Debug)]
pub struct Renewal {
    sent: i64,
    terms: Terms,
}

impl Renewal {
    /// `steady`: milliseconds on `Clock::steady`.
    pub fn about_to_be_sent(steady: i64, terms: Terms) -> Self {
        Self { sent: steady, terms }
    }

    /// The database said that the row is this agent's.
    pub fn granted(self) -> Lease {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let margin = millis(self.terms.margin());
        Lease { until: self.sent + millis(self.terms.lapse) - margin, margin }
    }
}

/// What a granted renewal is worth.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    until: i64,
    margin: i64,
}

impl Lease {
    /// `None`: it has expired, and says nothing any more.
    pub fn proof(&self, steady: i64) -> Option<Proof> {
        // Half of the margin is for the last answer, the rest for what is on its way when we have hung up.
        let left = self.until - steady;
        (left > 0).then(|| Proof { patience: Duration::from_millis((left + self.margin / 2).unsigned_abs()) })
    }
}

/// Ownership was proven a moment ago. Not to be kept: whoever needs one asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    patience: Duration,
}

impl Proof {
    /// A post that begins now must have ended after this: then nothing of it is on the wire when another agent takes over.
    pub fn patience(self) -> Duration {
        self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_ends_before_the_lapse_and_counts_from_the_sending() {
        let lease = Renewal::about_to_be_sent(1_000, Terms::default()).granted();
        assert_eq!(lease.proof(1_000).unwrap().patience(), Duration::from_secs(170));
        assert_eq!(lease.proof(160_999).unwrap().patience(), Duration::from_millis(10_001));
        for too_late in [161_000, 181_000, i64::MAX / 2] {
            assert!(lease.proof(too_late).is_none(), "{too_late}");
        }
    }

    #[test]
    fn a_last_post_ends_before_anybody_may_take_over() {
        let terms = Terms::of(Duration::from_secs(6));
        let lease = Renewal::about_to_be_sent(0, terms).granted();
        for steady in 0..6_000 {
            let Some(proof) = lease.proof(steady) else { continue };
            assert!(steady.unsigned_abs() + u64::try_from(proof.patience().as_millis()).unwrap() < 6_000);
        }
        assert!(terms.renew_every() * 5 < Duration::from_secs(6));
    }
}
