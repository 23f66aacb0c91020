//! The sweep over all rows of an outbox, a piece a pass: where it stands, and over how many ids the next piece goes.
//!
//! Rows at 0 far below the cursor are rare, and where no index leads to them a database reads row after row to find one.
//! So a piece is a range of ids, as wide as the database goes over in a moment, however large the table is.

use std::time::Duration;

/// Ids of the first piece, and of the smallest.
const IDS: i64 = 50_000;
/// The next piece is twice as wide after one that took less, and half as wide after one that took more.
const QUICK: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_millis(100);

/// Where the sweep stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// The last id that it went over; 0: it begins.
    after: i64,
    ids: i64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { after: 0, ids: IDS }
    }
}

impl Sweep {
    /// It has begun and is not at its end.
    pub fn is_under_way(&self) -> bool {
        self.after > 0
    }

    /// The next piece below `end`: ids above the first number, up to the second. `None`: nothing is left below it.
    pub fn piece(&self, end: i64) -> Option<(i64, i64)> {
        (self.after < end).then(|| (self.after, self.after.saturating_add(self.ids).min(end)))
    }

    /// After a piece below `end` that took so long; `last` is the last row of a page that was full.
    #[must_use]
    pub fn after_piece(self, end: i64, last: Option<i64>, took: Duration) -> Self {
        let ids = match last {
            // It was the page that ended it, not the range.
            Some(_) => self.ids,
            None if took < QUICK => self.ids.saturating_mul(2),
            None if took > SLOW => (self.ids / 2).max(IDS),
            None => self.ids,
        };
        let reached = last.or(self.piece(end).map(|(_, up_to)| up_to));
        Self { after: reached.filter(|reached| *reached < end).unwrap_or(0), ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of one sweep, and how wide each was.
    fn pieces(end: i64, took: Duration) -> Vec<(i64, i64)> {
        let (mut sweep, mut pieces) = (Sweep::default(), Vec::new());
        while let Some(piece) = sweep.piece(end) {
            pieces.push(piece);
            sweep = sweep.after_piece(end, None, took);
            if !sweep.is_under_way() {
                break;
            }
        }
        pieces
    }

    #[test]
    fn every_id_is_gone_over_once() {
        for took in [1, 50, 500].map(Duration::from_millis) {
            let pieces = pieces(10_000_000, took);
            assert_eq!((pieces[0].0, pieces.last().unwrap().1), (0, 10_000_000));
            assert!(pieces.windows(2).all(|two| two[0].1 == two[1].0), "{pieces:?}");
        }
    }

    #[test]
    fn a_quick_table_is_done_soon_and_a_slow_one_in_small_pieces() {
        assert_eq!(pieces(10_000_000, Duration::from_millis(1)).len(), 8);
        assert_eq!(pieces(10_000_000, Duration::from_millis(500)).len(), 200);
        // Ids may be as sparse as they like.
        assert!(pieces(i64::MAX, Duration::from_millis(1)).len() < 60);
    }

    #[test]
    fn a_full_page_goes_on_behind_its_last_row() {
        let sweep = Sweep::default().after_piece(1_000_000, Some(7_000), Duration::from_millis(1));
        assert_eq!(sweep.piece(1_000_000), Some((7_000, 57_000)));
        assert_eq!(Sweep::default().piece(0), None, "there is nothing below");
        assert!(!Sweep::default().after_piece(50_000, None, Duration::ZERO).is_under_way());
    }
}
