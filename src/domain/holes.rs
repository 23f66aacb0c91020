//! The holes: ids below the cursor that no look has seen yet, since a transaction that took its number early commits late.
//!
//! The order of ids is not the order of commits. A row that commits below the cursor must be seen by the same look as any
//! row that was written after it, so each look asks for what has come into the holes, too. An id that was rolled back is
//! a hole that nothing fills: so they are few, and each is forgotten in time. What comes into a forgotten one is left to
//! the sweep.

use std::collections::BTreeMap;

/// Ids from the first to the last one, both of them included.
pub type Span = (i64, i64);

/// A hole is asked for this long, ms; longer as long as a transaction is open that may fill it.
const KEPT_MS: i64 = 600_000;
/// Holes at once: each look asks for them all, a microsecond or two each.
const MOST: usize = 1_000;

/// The transactions of a database at the moment of a look, by numbers that it gives in the order of their begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transactions {
    /// Those below this number have ended.
    pub ended: i64,
    /// Those that begin later have this number or a higher one.
    pub next: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    last: i64,
    seen_at: i64,
    /// What may fill it has a lower number than this; `None`: the database does not say.
    until: Option<i64>,
}

impl Hole {
    /// Something that was open when it was first seen still is.
    fn may_be_filled(&self, transactions: Option<Transactions>) -> bool {
        let open = |until| transactions.is_some_and(|transactions| transactions.ended < until);
        self.until.is_some_and(open)
    }
}

/// The holes of one outbox below a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes {
    /// By their first id; they do not overlap.
    holes: BTreeMap<i64, Hole>,
}

impl Holes {
    /// What a look is to ask for, lowest first.
    pub fn spans(&self) -> Vec<Span> {
        self.holes.iter().map(|(first, hole)| (*first, hole.last)).collect()
    }

    /// This id was seen: what is left of its hole stays one.
    pub fn fill(&mut self, id: i64) {
        let Some((first, hole)) = self.holes.range(..=id).next_back().map(|(first, hole)| (*first, *hole))
        else {
            return;
        };
        if hole.last < id {
            return;
        }
        self.holes.remove(&first);
        if first < id {
            self.holes.insert(first, Hole { last: id - 1, ..hole });
        }
        if id < hole.last {
            self.holes.insert(id + 1, hole);
        }
    }

    /// The time of day was set: no hole is given up earlier or later for it.
    pub fn move_by(&mut self, jump: i64) {
        for hole in self.holes.values_mut() {
            hole.seen_at = hole.seen_at.saturating_add(jump);
        }
    }

    /// A look found nothing at these ids, now (ms since 1970); none of them is a hole yet.
    pub fn open(&mut self, (first, last): Span, now: i64, transactions: Option<Transactions>) {
        if first <= last {
            let until = transactions.map(|transactions| transactions.next);
            self.holes.insert(first, Hole { last, seen_at: now, until });
        }
    }

    /// Forgets what has had its time, and what is too much: first what nothing can fill any more, then the oldest.
    pub fn tend(&mut self, now: i64, transactions: Option<Transactions>) {
        self.holes
            .retain(|_, hole| now.saturating_sub(hole.seen_at) < KEPT_MS || hole.may_be_filled(transactions));
        let surplus = self.holes.len().saturating_sub(MOST);
        if surplus > 0 {
            let mut order: Vec<_> = self
                .holes
                .iter()
                .map(|(first, hole)| (hole.may_be_filled(transactions), hole.seen_at, *first))
                .collect();
            order.sort_unstable();
            for (.., first) in order.into_iter().take(surplus) {
                self.holes.remove(&first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn open(holes: &mut Holes, span: Span, now: i64, next: i64) {
        holes.open(span, now, Some(Transactions { ended: 0, next }));
    }

    #[test]
    fn what_is_seen_splits_its_hole() {
        let mut holes = Holes::default();
        open(&mut holes, (3, 9), 0, 1);
        holes.fill(2);
        holes.fill(5);
        holes.fill(9);
        holes.fill(10);
        assert_eq!(holes.spans(), [(3, 4), (6, 8)]);
        holes.fill(7);
        holes.fill(3);
        assert_eq!(holes.spans(), [(4, 4), (6, 6), (8, 8)]);
        open(&mut holes, (i64::MIN, -1), 0, 1);
        holes.fill(i64::MIN);
        open(&mut holes, (i64::MAX, i64::MAX), 0, 1);
        holes.fill(i64::MAX);
        assert_eq!(holes.spans().first(), Some(&(i64::MIN + 1, -1)));
        assert_eq!(holes.spans().last(), Some(&(8, 8)));
    }

    #[test]
    fn a_clock_that_is_set_gives_no_hole_up() {
        let mut holes = Holes::default();
        holes.open((1, 1), 0, None);
        holes.move_by(KEPT_MS * 100);
        holes.tend(KEPT_MS * 100 + KEPT_MS - 1, None);
        assert_eq!(holes.spans(), [(1, 1)]);
        holes.tend(KEPT_MS * 100 + KEPT_MS, None);
        assert!(holes.spans().is_empty());
    }

    #[test]
    fn a_hole_is_kept_as_long_as_something_open_may_fill_it() {
        let mut holes = Holes::default();
        open(&mut holes, (1, 1), 0, 50);
        open(&mut holes, (2, 2), 0, 60);
        holes.open((3, 3), 0, None);
        let at = |ended| Some(Transactions { ended, next: 99 });
        holes.tend(KEPT_MS - 1, at(99));
        assert_eq!(holes.spans().len(), 3, "sequences may hand out ids late: nothing is forgotten at once");
        holes.tend(KEPT_MS, at(50));
        assert_eq!(holes.spans(), [(2, 2)]);
        holes.tend(KEPT_MS * 100, at(59));
        assert_eq!(holes.spans(), [(2, 2)]);
        holes.tend(KEPT_MS * 100, at(60));
        assert_eq!(holes.spans(), []);
    }

    #[test]
    fn of_too_many_those_go_first_that_nothing_can_fill() {
        let mut holes = Holes::default();
        let most = i64::try_from(MOST).unwrap();
        open(&mut holes, (0, 0), 0, 9);
        for id in 1..most + 10 {
            open(&mut holes, (id * 2, id * 2), id, 5);
        }
        holes.tend(0, Some(Transactions { ended: 7, next: 9 }));
        assert_eq!(holes.spans().len(), MOST);
        assert_eq!(holes.spans()[..2], [(0, 0), (22, 22)], "the one that may be filled, and the newest");
    }

    proptest! {
        /// Ids that were opened and not seen are asked for, each once.
        #[test]
        fn holes_are_what_was_not_seen(steps in prop::collection::vec((0i64..60, any::<bool>()), 0..200)) {
            let (mut holes, mut model, mut top) = (Holes::default(), BTreeSet::new(), 0);
            for (number, opens) in steps {
                if opens {
                    let span = (top + 1, top + number % 5);
                    open(&mut holes, span, 0, 1);
                    model.extend(span.0..=span.1);
                    top += 6;
                } else {
                    holes.fill(number);
                    model.remove(&number);
                }
            }
            let asked: Vec<i64> = holes.spans().into_iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(asked, model.into_iter().collect::<Vec<_>>());
        }
    }
}
