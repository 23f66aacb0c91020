//! Finds what is at fault in a set that was refused as a whole: its halves are tried, down to single items.
//!
//! The set itself is the first part, so that where nothing is wrong there is one try. Tries are bounded: where much is
//! at fault, some of it is found, and what was not tried is left for another time.

/// Parts tried of one set. An item at fault among 500 takes nine failures to be found, so a few of them are.
const TRIES: usize = 64;

/// A set of items under trial.
pub struct Halves<I, E> {
    /// The next part is the last.
    parts: Vec<Vec<I>>,
    tries: usize,
    refused: Vec<(I, E)>,
}

impl<I, E> Halves<I, E> {
    pub fn of(items: Vec<I>) -> Self {
        let parts = if items.is_empty() { Vec::new() } else { vec![items] };
        Self { parts, tries: 0, refused: Vec::new() }
    }

    /// The next part to try; `None`: all were, or enough.
    pub fn part(&mut self) -> Option<Vec<I>> {
        if self.tries >= TRIES {
            return None;
        }
        self.tries += 1;
        self.parts.pop()
    }

    /// A part was refused for something in it: its halves are tried next, and a single item is what is at fault.
    pub fn refuse(&mut self, mut part: Vec<I>, error: E) {
        match part.len() {
            0 => {}
            1 => self.refused.extend(part.pop().map(|item| (item, error))),
            items => {
                let second = part.split_off(items / 2);
                self.parts.extend([second, part]);
            }
        }
    }

    /// Nothing more is tried, and this part is among what is left.
    pub fn stop(&mut self, part: Vec<I>) {
        self.tries = TRIES;
        self.parts.push(part);
    }

    /// What was refused alone, and what is left.
    pub fn end(self) -> (Vec<(I, E)>, Vec<I>) {
        (self.refused, self.parts.into_iter().rev().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries until nothing is left that can be: how often, what passed, what was refused.
    fn run(items: &[u32], at_fault: &[u32]) -> (usize, Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut halves = Halves::of(items.to_vec());
        let (mut tries, mut passed) = (0, Vec::new());
        while let Some(part) = halves.part() {
            tries += 1;
            match part.iter().any(|item| at_fault.contains(item)) {
                true => halves.refuse(part, ()),
                false => passed.extend(part),
            }
        }
        let (refused, left) = halves.end();
        (tries, passed, refused.into_iter().map(|(item, ())| item).collect(), left)
    }

    #[test]
    fn nothing_wrong_is_one_try() {
        let items: Vec<u32> = (0..500).collect();
        assert_eq!(run(&items, &[]), (1, items, vec![], vec![]));
        assert_eq!(run(&[], &[]), (0, vec![], vec![], vec![]));
    }

    #[test]
    fn one_at_fault_among_many_is_found_and_all_others_pass() {
        let items: Vec<u32> = (0..500).collect();
        for at_fault in [0, 17, 250, 499] {
            let (tries, passed, refused, left) = run(&items, &[at_fault]);
            assert!(tries <= 20, "{tries}");
            assert_eq!((passed.len(), refused, left), (499, vec![at_fault], vec![]));
        }
    }

    #[test]
    fn each_item_is_passed_refused_or_left_and_each_round_gets_further() {
        let mut random = fastrand::Rng::with_seed(17);
        for _ in 0..200 {
            let items: Vec<u32> = (0..random.u32(1..600)).collect();
            let faults = random.usize(0..=items.len());
            let at_fault = random.choose_multiple(items.iter().copied(), faults);
            let (mut left, mut passed, mut refused) = (items.clone(), Vec::new(), Vec::new());
            while !left.is_empty() {
                let round = run(&left, &at_fault);
                assert!(round.0 <= TRIES && round.3.len() < left.len());
                passed.extend(round.1);
                refused.extend(round.2);
                left = round.3;
            }
            refused.sort_unstable();
            assert_eq!(refused.len(), at_fault.len());
            assert!(refused.iter().all(|item| at_fault.contains(item)));
            passed.extend(refused);
            passed.sort_unstable();
            assert_eq!(passed, items);
        }
    }
}
