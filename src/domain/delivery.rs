//! The state machine of one message: which event may follow which state, and nothing else.
//!
//! ```text
//! pending ──begin──▶ in flight ──accept──▶ accepted ──settle──▶ settled accepted
//!    ▲ ▲                │ │
//!    │ └─retry, interrupt┘ └──fail──▶ failed ──settle──▶ settled failed
//!    └──resubmit── settled failed, discarded, withdrawn, superseded
//! pending, failed ──discard──▶ discarded    ──row gone──▶ withdrawn    ──other bytes──▶ superseded
//! ```
//! Invariant: from accepted nothing leads back to in flight. Only the journal calls `step`, in the transaction that
//! stores its result.

/// Where a message stands. The numbers are what the journal stores; they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    Pending = 0,
    InFlight = 1,
    Accepted = 2,
    Failed = 3,
    Discarded = 4,
    Withdrawn = 5,
    Superseded = 6,
}

impl State {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::InFlight,
        Self::Accepted,
        Self::Failed,
        Self::Discarded,
        Self::Withdrawn,
        Self::Superseded,
    ];

    /// The state that the journal stored as a number.
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index).copied())
    }

    /// As `bodrelay_message_log.state` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InFlight => "in_flight",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
        }
    }

    /// Nothing more is sent for it unless somebody asks.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::InFlight)
    }
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is about to be posted.
    Begin,
    /// ION answered 2xx.
    Accept,
    /// It is to be tried again later; `in_doubt`: ION may have it already.
    Retry { in_doubt: bool },
    /// The process ended between begin and record: nobody knows whether ION has it.
    Interrupt,
    /// It is not to be tried again.
    Fail { in_doubt: bool },
    /// The outbox row carries the flag and the log row is written.
    Settle,
    /// A DBA asks for it again.
    Resubmit,
    /// A DBA gives it up.
    Discard,
    /// Its row is gone or no longer 0.
    Withdraw,
    /// Its row holds another message now.
    Supersede,
}

/// The part of a message that events change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    pub state: State,
    /// Database and log know of the (final) state.
    pub settled: bool,
    /// ION may have got it more than once, or got it although no answer said so.
    pub in_doubt: bool,
    /// Posts that were begun.
    pub attempts: u32,
}

/// An event that cannot follow a state: a bug, never a consequence of bad input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event {event:?} cannot follow the state {} (settled: {settled})", state.as_str())]
pub struct Illegal {
    pub state: State,
    pub settled: bool,
    pub event: Event,
}

impl Delivery {
    /// A message that has just been admitted.
    pub fn new(in_doubt: bool) -> Self {
        Self { state: State::Pending, settled: false, in_doubt, attempts: 0 }
    }

    /// The delivery after `event`.
    pub fn step(self, event: Event) -> Result<Self, Illegal> {
        use State::{Accepted, Discarded, Failed, InFlight, Pending, Superseded, Withdrawn};
        let to = |state| Self { state, settled: false, ..self };
        Ok(match (self.state, event, self.settled) {
            (Pending, Event::Begin, _) => Self { attempts: self.attempts.saturating_add(1), ..to(InFlight) },
            (InFlight, Event::Accept, _) => to(Accepted),
            (InFlight, Event::Retry { in_doubt }, _) => {
                Self { in_doubt: self.in_doubt || in_doubt, ..to(Pending) }
            }
            (InFlight, Event::Interrupt, _) => Self { in_doubt: true, ..to(Pending) },
            (Pending | InFlight, Event::Fail { in_doubt }, _) => {
                Self { in_doubt: self.in_doubt || in_doubt, ..to(Failed) }
            }
            (Accepted | Failed | Discarded | Withdrawn | Superseded, Event::Settle, false) => {
                Self { settled: true, ..self }
            }
            (Failed | Discarded | Withdrawn | Superseded, Event::Resubmit, true) => to(Pending),
            (Pending | Failed, Event::Discard, _) => to(Discarded),
            (Pending | Failed, Event::Withdraw, _) => to(Withdrawn),
            (Pending | Failed, Event::Supersede, _) => to(Superseded),
            // The one place for what is illegal: every legal pair stands above.
            (state, event, settled) => return Err(Illegal { state, settled, event }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Begin),
            Just(Event::Accept),
            any::<bool>().prop_map(|in_doubt| Event::Retry { in_doubt }),
            Just(Event::Interrupt),
            any::<bool>().prop_map(|in_doubt| Event::Fail { in_doubt }),
            Just(Event::Settle),
            Just(Event::Resubmit),
            Just(Event::Discard),
            Just(Event::Withdraw),
            Just(Event::Supersede),
        ]
    }

    proptest! {
        /// Promise 2: once accepted, no sequence of events leads back to in flight.
        #[test]
        fn from_accepted_nothing_leads_to_in_flight(events in prop::collection::vec(any_event(), 0..60)) {
            let mut delivery = Delivery::new(false);
            let mut accepted = false;
            for event in events {
                if let Ok(next) = delivery.step(event) {
                    delivery = next;
                }
                accepted |= delivery.state == State::Accepted;
                prop_assert!(!accepted || delivery.state == State::Accepted);
            }
        }

        /// Doubt is never forgotten, tries are never uncounted, and only final states settle.
        #[test]
        fn doubt_and_tries_only_grow(events in prop::collection::vec(any_event(), 0..60)) {
            let mut delivery = Delivery::new(false);
            for event in events {
                let before = delivery;
                if let Ok(next) = delivery.step(event) {
                    delivery = next;
                }
                prop_assert!(delivery.in_doubt || !before.in_doubt);
                prop_assert!(delivery.attempts >= before.attempts);
                prop_assert!(!delivery.settled || delivery.state.is_final());
            }
        }
    }

    #[test]
    fn a_kill_between_post_and_record_is_doubt() {
        let flying = Delivery::new(false).step(Event::Begin).unwrap();
        let back = flying.step(Event::Interrupt).unwrap();
        assert_eq!((back.state, back.in_doubt, back.attempts), (State::Pending, true, 1));
    }

    #[test]
    fn numbers_are_stable() {
        for (number, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(State::from_number(number as i64), Some(state));
        }
        assert_eq!(State::from_number(7), None);
    }
}
