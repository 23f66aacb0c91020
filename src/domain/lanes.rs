//! The lanes of one connection point: which message of which document may go next.
//!
//! A lane hands out its lowest `C_ID`, and only when none of the lane is in flight (design.md §1, promise 3).
//! Priority chooses between lanes, never within one. Lanes that wait are not looked at, so picking does not get
//! slower with what waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;

use super::ids::LaneKey;

/// The number under which a connection point knows a document type.
pub type TypeNumber = u16;

/// A message as its lane knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// `C_ID`: the order within the lane.
    pub entry_id: i64,
    /// The journal's number of the message.
    pub message: i64,
    /// 0–9, 9 first.
    pub priority: u8,
    pub document_type: TypeNumber,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<i64, Waiting>,
    /// Handed out and not given back yet.
    busy: bool,
    /// Not before this time (ms since 1970).
    not_before: Option<i64>,
    /// How often ION refused it so far.
    refusals: u32,
}

/// Priority, `C_ID` of the head, lane: best first.
pub type ReadyKey = (Reverse<u8>, i64, LaneKey);

/// Lanes of one document type that could give a message now.
#[derive(Debug, Default)]
struct Ready {
    /// Never refused.
    fresh: BTreeSet<ReadyKey>,
    refused: BTreeSet<ReadyKey>,
    /// The refused ones, least refused first.
    by_refusals: BTreeSet<(u32, ReadyKey)>,
}

/// Where in the order of the lanes that ION never refused the next one is taken from.
///
/// In their order, the first; but where the first are documents that ION never takes, however many, the good ones behind
/// them must not wait until each was refused. So each lane that is refused for the first time, and each document that is
/// rejected, gives one turn to another place, and such turns alternate with those of the first: the last, then the middle, the last, a quarter, and so on.
#[derive(Debug, Default)]
struct Turns {
    /// What refusals gave and nothing took yet.
    given: u32,
    taken: u32,
    /// The next one is for another place than the first.
    elsewhere: bool,
}

impl Turns {
    fn give(&mut self) {
        self.elsewhere |= self.given == 0;
        self.given = self.given.saturating_add(1);
    }

    fn is_elsewhere(&self) -> bool {
        self.given > 0 && self.elsewhere
    }

    fn take(&mut self) {
        if self.is_elsewhere() {
            self.given -= 1;
            self.taken = self.taken.wrapping_add(1);
        }
        self.elsewhere = !self.elsewhere;
    }

    fn choose(&self, fresh: &BTreeSet<ReadyKey>) -> Option<ReadyKey> {
        let (first, last) = (*fresh.first()?, *fresh.last()?);
        if !self.is_elsewhere() {
            return Some(first);
        }
        if self.taken.is_multiple_of(2) {
            return Some(last);
        }
        // Halves, quarters, eighths: the bits of a counter in reverse.
        let part = i128::from((self.taken / 2 + 1).reverse_bits());
        let (low, high) = (i128::from(first.1), i128::from(last.1.max(first.1)));
        let from = i64::try_from(low + (high - low) * part / (1 << 32)).unwrap_or(first.1);
        fresh.range((first.0, from, LaneKey(i64::MIN))..).next().copied()
    }
}

impl Ready {
    fn insert(&mut self, refusals: u32, key: ReadyKey) {
        if refusals == 0 {
            self.fresh.insert(key);
        } else {
            self.refused.insert(key);
            self.by_refusals.insert((refusals, key));
        }
    }

    fn remove(&mut self, refusals: u32, key: &ReadyKey) {
        if refusals == 0 {
            self.fresh.remove(key);
        } else {
            self.refused.remove(key);
            self.by_refusals.remove(&(refusals, *key));
        }
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.refused.is_empty()
    }
}

/// All lanes with work in memory.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    /// Heads of lanes that are neither busy nor waiting, by document type.
    ready: BTreeMap<TypeNumber, Ready>,
    /// Lanes that wait for a time.
    timed: BTreeSet<(i64, LaneKey)>,
    /// Lanes that ION refused and that are handed out: what they wait for may take long.
    refused_out: usize,
    /// The last one that was handed out is of these.
    refused_last: bool,
    turns: Turns,
    /// Lanes that ION refused, by the document type of their heads: no entry where none is.
    refused_of: BTreeMap<TypeNumber, usize>,
    /// Messages of all lanes.
    count: usize,
}

impl Lanes {
    /// Adds a message; `false` when its lane has one with this `C_ID` already.
    pub fn insert(&mut self, lane: LaneKey, waiting: Waiting) -> bool {
        self.change(lane, |lane| {
            let new = !lane.waiting.contains_key(&waiting.entry_id);
            if new {
                lane.waiting.insert(waiting.entry_id, waiting);
            }
            new
        })
    }

    /// Takes a message out that does not wait any more, handed out or not; false where it was not there.
    pub fn remove(&mut self, lane: LaneKey, entry_id: i64) -> bool {
        self.change(lane, |lane| lane.waiting.remove(&entry_id)).is_some()
    }

    /// Takes out what comes after a row, as when a failed message holds the later ones.
    pub fn remove_above(&mut self, lane: LaneKey, entry_id: i64) -> Vec<Waiting> {
        self.change(lane, |lane| lane.waiting.split_off(&(entry_id + 1)).into_values().collect())
    }

    /// A message of the lane went out by another way than `take`: the lane gives nothing until `give_back`.
    pub fn occupy(&mut self, lane: LaneKey) {
        self.change(lane, |lane| lane.busy = true);
    }

    /// A row below the head of the lane is on its way here: the lane gives nothing until `give_back`. False: it does not
    /// come before the head, or a message of the lane is out anyway.
    pub fn wait_for(&mut self, lane: LaneKey, entry_id: i64) -> bool {
        let waits = self.lanes.get(&lane).is_some_and(|lane| {
            !lane.busy && lane.waiting.first_key_value().is_some_and(|(head, _)| *head > entry_id)
        });
        if waits {
            self.occupy(lane);
        }
        waits
    }

    /// This message has been handed out and is still the head of its lane.
    pub fn is_out(&self, lane: LaneKey, entry_id: i64) -> bool {
        self.lanes.get(&lane).is_some_and(|lane| {
            lane.busy && lane.waiting.first_key_value().is_some_and(|(head, _)| *head == entry_id)
        })
    }

    /// The lane has work, is busy, or waits.
    pub fn is_known(&self, lane: LaneKey) -> bool {
        self.lanes.contains_key(&lane)
    }

    /// Hands out the head of a lane: until `give_back` the lane gives nothing else. `None`: nothing to give now.
    pub fn take(&mut self, lane: LaneKey) -> Option<Waiting> {
        let taken = self.change(lane, |lane| {
            if lane.busy || lane.not_before.is_some() {
                return None;
            }
            let head = lane.waiting.first_key_value().map(|(_, head)| *head)?;
            lane.busy = true;
            Some((head, lane.refusals > 0))
        });
        let (head, is_refused) = taken?;
        self.refused_last = is_refused;
        if !is_refused {
            self.turns.take();
        }
        Some(head)
    }

    /// The lane is free again; a message that is to be tried again is still its head.
    pub fn give_back(&mut self, lane: LaneKey) {
        self.change(lane, |lane| lane.busy = false);
    }

    /// The lane gives nothing before `time` (ms since 1970); `None`: at once.
    pub fn wait_until(&mut self, lane: LaneKey, time: Option<i64>) {
        self.change(lane, |lane| lane.not_before = time);
    }

    /// How often ION refused the lane so far; 0: it is as any other.
    pub fn refused(&mut self, lane: LaneKey, refusals: u32) {
        if refusals > 0 || self.lanes.contains_key(&lane) {
            let before = self.change(lane, |lane| std::mem::replace(&mut lane.refusals, refusals));
            if before == 0 && refusals > 0 {
                self.turns.give();
            }
        }
    }

    /// ION rejected a document: there may be more of its kind, as where one was refused.
    pub fn rejected(&mut self) {
        self.turns.give();
    }

    /// ION refused the lane, and has not accepted anything of it since.
    pub fn is_refused(&self, lane: LaneKey) -> bool {
        self.lanes.get(&lane).is_some_and(|lane| lane.refusals > 0)
    }

    /// Wakes the lanes whose time has come.
    pub fn wake(&mut self, now: i64) {
        while let Some(&(time, lane)) = self.timed.first() {
            if time > now {
                break;
            }
            self.wait_until(lane, None);
        }
    }

    /// The clock was set by so many ms: all that waits for a time waits as long as before.
    pub fn move_by(&mut self, jump: i64) {
        for (time, lane) in self.timed.clone() {
            self.wait_until(lane, Some(time.saturating_add(jump)));
        }
    }

    /// When the next lane wakes (ms since 1970).
    pub fn next_wake(&self) -> Option<i64> {
        self.timed.first().map(|(time, _)| *time)
    }

    /// Document types that have a lane ready.
    pub fn ready_types(&self) -> impl Iterator<Item = TypeNumber> {
        self.ready.keys().copied()
    }

    /// The best ready lane of a type, and whether it goes after the other types': lanes that ION refused have half of the
    /// slots, and every second turn of a single one.
    pub fn best(&self, document_type: TypeNumber, slots: usize) -> Option<(bool, ReadyKey)> {
        let ready = self.ready.get(&document_type)?;
        let has_share = self.refused_out < (slots / 2).max(1);
        let yields = slots == 1 && self.refused_last;
        let fresh = self.turns.choose(&ready.fresh).map(|key| (false, key));
        let refused = ready.refused.first().filter(|_| has_share).map(|key| (yields, *key));
        fresh.into_iter().chain(refused).min()
    }

    /// The ready lane of a type that ION refused least, the best of those; and how often it did.
    pub fn least_refused(&self, document_type: TypeNumber) -> Option<(u32, ReadyKey)> {
        let ready = self.ready.get(&document_type)?;
        self.turns.choose(&ready.fresh).map(|key| (0, key)).or_else(|| ready.by_refusals.first().copied())
    }

    /// The next lane is not the first one in the order: so many were refused that the rest must be tried, too.
    pub fn is_out_of_turn(&self) -> bool {
        self.turns.is_elsewhere()
    }

    /// How many lanes ION refused: those whose next document is of a type, or all.
    pub fn count_refused(&self, document_type: Option<TypeNumber>) -> usize {
        match document_type {
            Some(number) => self.refused_of.get(&number).copied().unwrap_or_default(),
            None => self.refused_of.values().sum(),
        }
    }

    /// A lane of the type is ready that ION never refused.
    pub fn has_fresh(&self, document_type: TypeNumber) -> bool {
        self.ready.get(&document_type).is_some_and(|ready| !ready.fresh.is_empty())
    }

    /// How many messages all lanes have.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many messages a lane has.
    pub fn count_of(&self, lane: LaneKey) -> usize {
        self.lanes.get(&lane).map_or(0, |lane| lane.waiting.len())
    }

    /// The first messages of a lane, in their order.
    pub fn first_of(&self, lane: LaneKey, most: usize) -> impl Iterator<Item = Waiting> {
        self.lanes.get(&lane).into_iter().flat_map(move |lane| lane.waiting.values().take(most).copied())
    }

    /// The head of a lane, busy or not.
    pub fn head(&self, lane: LaneKey) -> Option<Waiting> {
        self.lanes.get(&lane)?.waiting.first_key_value().map(|(_, head)| *head)
    }

    /// Some lane is ready.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Some lane other than this one has work of the type, ready or not. Looks at no more than what is in memory,
    /// and only when a message is being judged alone.
    pub fn has_other(&self, than: LaneKey, document_type: Option<TypeNumber>) -> bool {
        self.lanes.iter().any(|(key, lane)| {
            *key != than
                && lane
                    .waiting
                    .values()
                    .any(|waiting| document_type.is_none_or(|wanted| waiting.document_type == wanted))
        })
    }

    /// The first messages of every lane.
    pub fn first(&self, most: usize) -> impl Iterator<Item = (LaneKey, Waiting)> {
        self.lanes
            .iter()
            .flat_map(move |(key, lane)| lane.waiting.values().take(most).map(|waiting| (*key, *waiting)))
    }

    /// Changes one lane and keeps `ready` and `timed` in step with it: the one place that does.
    fn change<T>(&mut self, key: LaneKey, work: impl FnOnce(&mut Lane) -> T) -> T {
        let lane = self.lanes.entry(key).or_default();
        let is_refused_out = |lane: &Lane| usize::from(lane.busy && lane.refusals > 0);
        let (ready_before, timed_before) = (ready_key(key, lane), lane.not_before);
        let refused_before = refused_type(lane);
        let count_before = lane.waiting.len();
        self.refused_out -= is_refused_out(lane);
        let result = work(lane);
        self.refused_out += is_refused_out(lane);
        self.count = self.count + lane.waiting.len() - count_before;
        let (ready_after, timed_after) = (ready_key(key, lane), lane.not_before);
        let refused_after = refused_type(lane);
        let forget = lane.waiting.is_empty() && !lane.busy && lane.not_before.is_none() && lane.refusals == 0;
        if ready_before != ready_after {
            if let Some((number, refusals, key)) = ready_before {
                let ready = self.ready.entry(number).or_default();
                ready.remove(refusals, &key);
                if ready.is_empty() {
                    self.ready.remove(&number);
                }
            }
            if let Some((number, refusals, key)) = ready_after {
                self.ready.entry(number).or_default().insert(refusals, key);
            }
        }
        if refused_before != refused_after {
            if let Some(number) = refused_before
                && let Some(count) = self.refused_of.get_mut(&number)
            {
                *count -= 1;
                if *count == 0 {
                    self.refused_of.remove(&number);
                }
            }
            if let Some(number) = refused_after {
                *self.refused_of.entry(number).or_default() += 1;
            }
        }
        if timed_before != timed_after {
            if let Some(time) = timed_before {
                self.timed.remove(&(time, key));
            }
            if let Some(time) = timed_after {
                self.timed.insert((time, key));
            }
        }
        if forget {
            self.lanes.remove(&key);
        }
        result
    }
}

/// The document type of the next document of a lane that ION refused.
fn refused_type(lane: &Lane) -> Option<TypeNumber> {
    lane.waiting.first_key_value().filter(|_| lane.refusals > 0).map(|(_, head)| head.document_type)
}

fn ready_key(key: LaneKey, lane: &Lane) -> Option<(TypeNumber, u32, ReadyKey)> {
    if lane.busy || lane.not_before.is_some() {
        return None;
    }
    let (_, head) = lane.waiting.first_key_value()?;
    Some((head.document_type, lane.refusals, (Reverse(head.priority), head.entry_id, key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiting(entry_id: i64, priority: u8) -> Waiting {
        Waiting { entry_id, message: entry_id, priority, document_type: 0 }
    }

    fn best(lanes: &Lanes) -> Option<LaneKey> {
        lanes.best(0, 4).map(|(_, (_, _, lane))| lane)
    }

    #[test]
    fn priority_chooses_between_lanes_never_within_one() {
        let mut lanes = Lanes::default();
        lanes.insert(LaneKey(1), waiting(1, 0));
        lanes.insert(LaneKey(1), waiting(2, 9));
        lanes.insert(LaneKey(2), waiting(3, 5));
        assert_eq!(best(&lanes), Some(LaneKey(2)));
        assert_eq!(lanes.take(LaneKey(1)).unwrap().entry_id, 1);
        assert_eq!(lanes.take(LaneKey(1)), None);
    }

    #[test]
    fn messages_are_counted_as_they_come_and_go() {
        let mut lanes = Lanes::default();
        for entry_id in [1, 2, 3, 2] {
            lanes.insert(LaneKey(1), waiting(entry_id, 4));
        }
        lanes.insert(LaneKey(2), waiting(4, 4));
        assert_eq!((lanes.count(), lanes.count_of(LaneKey(1)), lanes.count_of(LaneKey(3))), (4, 3, 0));
        assert_eq!(lanes.first(2).count(), 3);
        assert_eq!(lanes.first_of(LaneKey(1), 2).map(|it| it.entry_id).collect::<Vec<_>>(), [1, 2]);
        lanes.remove_above(LaneKey(1), 1);
        lanes.remove(LaneKey(2), 4);
        assert_eq!((lanes.count(), lanes.count_of(LaneKey(2))), (1, 0));
    }

    #[test]
    fn a_lane_waits_for_a_lower_row_that_is_on_its_way_here() {
        let mut lanes = Lanes::default();
        lanes.insert(LaneKey(1), waiting(5, 4));
        assert!(!lanes.wait_for(LaneKey(1), 6), "it comes after the head");
        assert!(!lanes.wait_for(LaneKey(2), 1), "there is no such lane");
        assert!(lanes.wait_for(LaneKey(1), 3));
        assert!(!lanes.has_ready());
        assert!(!lanes.wait_for(LaneKey(1), 4), "it waits already");
        lanes.insert(LaneKey(1), waiting(3, 4));
        lanes.give_back(LaneKey(1));
        assert_eq!(lanes.take(LaneKey(1)).unwrap().entry_id, 3);
        assert!(!lanes.wait_for(LaneKey(1), 2), "one is out");
        assert!(!lanes.is_known(LaneKey(2)));
    }

    #[test]
    fn a_waiting_lane_wakes_at_its_time() {
        let mut lanes = Lanes::default();
        lanes.insert(LaneKey(1), waiting(1, 4));
        lanes.wait_until(LaneKey(1), Some(100));
        lanes.wake(99);
        assert!(!lanes.has_ready());
        assert_eq!(lanes.next_wake(), Some(100));
        lanes.wake(100);
        assert_eq!(best(&lanes), Some(LaneKey(1)));
        assert_eq!(lanes.next_wake(), None);
    }

    #[test]
    fn the_least_refused_lane_is_found_and_priority_still_chooses_otherwise() {
        let mut lanes = Lanes::default();
        for lane in 1..=3 {
            lanes.insert(LaneKey(lane), waiting(lane, 4));
        }
        lanes.refused(LaneKey(1), 2);
        lanes.refused(LaneKey(2), 1);
        let least = |lanes: &Lanes| lanes.least_refused(0).map(|(refusals, (_, _, lane))| (refusals, lane.0));
        assert_eq!((best(&lanes), least(&lanes)), (Some(LaneKey(1)), Some((0, 3))));
        assert!(lanes.has_fresh(0) && lanes.is_refused(LaneKey(2)));
        lanes.take(LaneKey(3));
        assert_eq!((least(&lanes), lanes.has_fresh(0)), (Some((1, 2)), false));
        // What ION refused is remembered while its messages are elsewhere.
        lanes.remove(LaneKey(2), 2);
        lanes.insert(LaneKey(2), waiting(2, 4));
        assert_eq!(least(&lanes), Some((1, 2)));
        lanes.refused(LaneKey(2), 0);
        assert_eq!(least(&lanes), Some((0, 2)));
    }

    #[test]
    fn what_was_refused_leaves_room_for_the_rest() {
        let mut lanes = Lanes::default();
        for lane in 1..=6 {
            lanes.insert(LaneKey(lane), waiting(lane, 4));
        }
        (1..=3).for_each(|lane| lanes.refused(LaneKey(lane), 1));
        let mut order = Vec::new();
        while let Some(lane) = best(&lanes) {
            lanes.take(lane);
            order.push(lane.0);
        }
        assert_eq!(order, [1, 2, 6, 4, 5], "the third waits for one of the others");
        lanes.give_back(LaneKey(1));
        assert_eq!(best(&lanes), Some(LaneKey(1)));
        // One slot: they take turns.
        (2..=6).for_each(|lane| lanes.give_back(LaneKey(lane)));
        let mut order = Vec::new();
        for _ in 0..6 {
            let (_, (_, _, lane)) = lanes.best(0, 1).unwrap();
            lanes.take(lane);
            lanes.remove(lane, lane.0);
            lanes.give_back(lane);
            order.push(lane.0);
        }
        assert_eq!(order, [1, 4, 2, 6, 3, 5]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(i64, i64, u8),
        TakeBest,
        Done(usize),
        Retry(usize),
    }

    proptest! {
        /// Promise 3: whatever comes in whatever order, a lane has one message out at a time, and it was the lowest
        /// of those present when it was handed out.
        #[test]
        fn lanes_never_reorder_a_document(steps in prop::collection::vec(prop_oneof![
            (0i64..6, 0i64..200, 0u8..10).prop_map(|(lane, id, priority)| Step::Insert(lane, id, priority)),
            Just(Step::TakeBest),
            any::<usize>().prop_map(Step::Done),
            any::<usize>().prop_map(Step::Retry),
        ], 0..300)) {
            let mut lanes = Lanes::default();
            let mut model: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
            let mut out: Vec<(LaneKey, i64)> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(lane, id, priority) => {
                        let new = lanes.insert(LaneKey(lane), waiting(id, priority));
                        prop_assert_eq!(new, model.entry(lane).or_default().insert(id));
                    }
                    Step::TakeBest => if let Some(lane) = best(&lanes) {
                        let head = lanes.take(lane).unwrap();
                        prop_assert!(out.iter().all(|(busy, _)| *busy != lane));
                        prop_assert_eq!(model[&lane.0].first().copied(), Some(head.entry_id));
                        out.push((lane, head.entry_id));
                    },
                    Step::Done(index) if !out.is_empty() => {
                        let (lane, id) = out.remove(index % out.len());
                        lanes.remove(lane, id);
                        lanes.give_back(lane);
                        model.get_mut(&lane.0).unwrap().remove(&id);
                    }
                    Step::Retry(index) if !out.is_empty() => {
                        let (lane, _) = out.remove(index % out.len());
                        lanes.give_back(lane);
                    }
                    Step::Done(_) | Step::Retry(_) => {}
                }
            }
            // Everything that was put in can be taken out again.
            while let Some((lane, id)) = out.pop() {
                lanes.remove(lane, id);
                lanes.give_back(lane);
                model.get_mut(&lane.0).unwrap().remove(&id);
            }
            let mut left: usize = model.values().map(BTreeSet::len).sum();
            while let Some(lane) = best(&lanes) {
                let head = lanes.take(lane).unwrap();
                lanes.remove(lane, head.entry_id);
                lanes.give_back(lane);
                left -= 1;
            }
            prop_assert_eq!(left, 0);
            prop_assert!(lanes.lanes.is_empty() && lanes.ready.is_empty() && lanes.timed.is_empty());
        }
    }
}
