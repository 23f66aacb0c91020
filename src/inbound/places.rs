//! The places for connections: who has one, who gives it up when they run out, and how many a stranger may have.
//!
//! A connection on which nobody has shown a right credential yet is a stranger's. Idle strangers of one peer get a share
//! of the places, and so do its refusals that wait. Where no place is left for a newcomer, idle strangers go first, of
//! the peer that has most, then those that wait for their refusal, then idle connections of callers. A request that is
//! being carried out is never cut off.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Of all places the strangers of one peer get one in so many, and no fewer than `STRANGERS_MIN`.
const STRANGERS_SHARE: usize = 4;
const STRANGERS_MIN: usize = 4;
/// Whoever is quicker is on the way to a request.
const IDLE: Duration = Duration::from_secs(2);

/// All places.
pub(super) struct Places {
    most: usize,
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    held: HashMap<u64, Held>,
}

struct Held {
    peer: IpAddr,
    doing: Doing,
    /// Since it does that.
    since: Instant,
    is_stranger: bool,
    leave: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// No request is under way: a handshake, half a head, or nothing.
    Nothing,
    Request,
    /// Its refusal waits.
    TurnedAway,
}

/// What becomes of a newcomer.
pub(super) enum Newcomer {
    In(Place),
    /// Another connection, of this peer, gives up its place for it.
    InsteadOf(Place, IpAddr),
    /// Strangers of its peer have their share, and all wait for their refusal.
    NotIn,
    /// Every place carries out a request: `freed` tells when one does no longer.
    Later,
}

/// One place; given up when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    leave: Arc<Notify>,
}

impl Places {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), open: Mutex::default(), freed: Notify::new() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Newcomer {
        let mut open = self.open();
        let share = (self.most / STRANGERS_SHARE).max(STRANGERS_MIN);
        let of_peer = |doing| {
            open.held
                .values()
                .filter(|held| held.peer == peer && held.is_stranger && held.doing == doing)
                .count()
        };
        if of_peer(Doing::TurnedAway) >= share {
            return Newcomer::NotIn;
        }
        let is_idle = |held: &Held| {
            held.peer == peer
                && held.is_stranger
                && held.doing == Doing::Nothing
                && now.saturating_duration_since(held.since) >= IDLE
        };
        let mut leaves = open.longest(is_idle).filter(|_| of_peer(Doing::Nothing) >= share);
        if leaves.is_none() && open.held.len() >= self.most {
            match open.first_to_leave() {
                Some(number) => leaves = Some(number),
                None => return Newcomer::Later,
            }
        }
        let left = leaves.and_then(|number| open.held.remove(&number));
        if let Some(left) = &left {
            left.leave.notify_one();
        }
        let (number, leave) = (open.next, Arc::new(Notify::new()));
        open.next += 1;
        let held =
            Held { peer, doing: Doing::Nothing, since: now, is_stranger: true, leave: Arc::clone(&leave) };
        open.held.insert(number, held);
        let place = Place { places: Arc::clone(self), number, leave };
        match left {
            Some(left) => Newcomer::InsteadOf(place, left.peer),
            None => Newcomer::In(place),
        }
    }

    /// A place is free, or its request has ended.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl Open {
    fn longest(&self, is_meant: impl Fn(&Held) -> bool) -> Option<u64> {
        let meant = self.held.iter().filter(|(_, held)| is_meant(held));
        meant.min_by_key(|(number, held)| (held.since, **number)).map(|(number, _)| *number)
    }

    fn first_to_leave(&self) -> Option<u64> {
        let idle_stranger = |held: &Held| held.is_stranger && held.doing == Doing::Nothing;
        let mut peers: HashMap<IpAddr, usize> = HashMap::new();
        for held in self.held.values().filter(|held| idle_stranger(held)) {
            *peers.entry(held.peer).or_default() += 1;
        }
        let crowd = peers.into_iter().max_by_key(|(_, count)| *count).map(|(peer, _)| peer);
        self.longest(|held| idle_stranger(held) && Some(held.peer) == crowd)
            .or_else(|| self.longest(|held| held.doing == Doing::TurnedAway))
            .or_else(|| self.longest(|held| held.doing == Doing::Nothing))
    }
}

impl Place {
    /// Ends when the place is to be given up.
    pub async fn is_asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// A request came; `Doing::Nothing` again when the answer is dropped.
    pub fn request(&self) -> Busy<'_> {
        self.now(Doing::Request);
        Busy(self)
    }

    /// The request's refusal waits from now on.
    pub fn turned_away(&self) {
        self.now(Doing::TurnedAway);
        self.places.freed.notify_one();
    }

    /// Somebody showed a right credential here.
    pub fn is_known(&self) {
        if let Some(held) = self.places.open().held.get_mut(&self.number) {
            held.is_stranger = false;
        }
    }

    fn now(&self, doing: Doing) {
        if let Some(held) = self.places.open().held.get_mut(&self.number) {
            (held.doing, held.since) = (doing, Instant::now());
        }
    }
}

/// A request under way.
pub(super) struct Busy<'a>(&'a Place);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.now(Doing::Nothing);
        self.0.places.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.open().held.remove(&self.number);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn let_in(places: &Arc<Places>, number: u8) -> (Place, Option<IpAddr>) {
        match places.admit(peer(number), Instant::now()) {
            Newcomer::In(place) => (place, None),
            Newcomer::InsteadOf(place, left) => (place, Some(left)),
            Newcomer::NotIn | Newcomer::Later => panic!("{number} is not let in"),
        }
    }

    #[test]
    fn strangers_have_a_share_and_the_longest_idle_goes() {
        let places = Places::new(16);
        let strangers: Vec<Place> = (0..4).map(|_| let_in(&places, 1).0).collect();
        // A burst is no idling.
        drop((let_in(&places, 1), let_in(&places, 1)));
        let (fifth, left) = match places.admit(peer(1), Instant::now() + IDLE) {
            Newcomer::InsteadOf(place, left) => (place, Some(left)),
            _ => panic!("an idle one stays"),
        };
        assert_eq!(left, Some(peer(1)));
        assert!(!places.open().held.contains_key(&strangers[0].number));
        // Those that wait for their refusal stay, and no more come.
        let busy: Vec<Busy<'_>> = strangers[1..].iter().chain([&fifth]).map(Place::request).collect();
        strangers[1..].iter().chain([&fifth]).for_each(Place::turned_away);
        assert!(matches!(places.admit(peer(1), Instant::now()), Newcomer::NotIn));
        assert_eq!(let_in(&places, 2).1, None);
        // A caller is no stranger.
        fifth.is_known();
        assert_eq!(let_in(&places, 1).1, None);
        drop(busy);
    }

    #[test]
    fn when_places_run_out_idle_strangers_of_the_largest_crowd_go_first() {
        let places = Places::new(8);
        let callers: Vec<Place> = (0..3).map(|_| let_in(&places, 1).0).collect();
        callers.iter().for_each(Place::is_known);
        let crowd: Vec<Place> = (0..3).map(|_| let_in(&places, 2).0).collect();
        let _lone: Vec<Place> = (3..5).map(|number| let_in(&places, number).0).collect();
        let busy = callers[0].request();
        assert_eq!(let_in(&places, 6).1, Some(peer(2)));
        assert!(!places.open().held.contains_key(&crowd[0].number));
        drop(busy);
    }

    #[test]
    fn what_is_carried_out_is_never_cut_off() {
        let places = Places::new(2);
        let (one, two) = (let_in(&places, 1).0, let_in(&places, 2).0);
        one.is_known();
        let (first, second) = (one.request(), two.request());
        assert!(matches!(places.admit(peer(3), Instant::now()), Newcomer::Later));
        two.turned_away();
        assert_eq!(let_in(&places, 3).1, Some(peer(2)));
        drop((first, second));
    }
}
