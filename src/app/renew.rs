//! Renews what this agent owns, beside the control rounds and on connections of its own.
//!
//! A renewal waits neither for `control_read_seconds` nor for a slow look at tables, and no database waits for another
//! one. What it answers is the only proof by which anything is sent (`domain::lease`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::domain::lease::{Lease, Renewal, Terms};
use crate::operator::Direction;

/// What the database said of one direction of a connection point.
pub(super) enum Said {
    Ours(Lease),
    AnotherAgents,
}

/// What came of a round of renewals at one database.
pub(super) struct Renewed {
    pub database: usize,
    pub said: Vec<(Direction, Said)>,
    error: Option<DatabaseError>,
}

struct Place {
    name: String,
    database: Arc<dyn Database>,
    /// What is owned, and in which round it was renewed last.
    owned: BTreeMap<Direction, u64>,
    due: Instant,
    is_under_way: bool,
    is_told: bool,
}

pub(super) struct Renewals {
    clock: Arc<dyn Clock>,
    terms: Terms,
    journal_id: String,
    places: Vec<Place>,
    round: u64,
    under_way: FuturesUnordered<BoxFuture<'static, Renewed>>,
}

impl Renewals {
    pub fn new(
        clock: Arc<dyn Clock>,
        terms: Terms,
        journal_id: String,
        databases: impl IntoIterator<Item = (String, Arc<dyn Database>)>,
    ) -> Self {
        let due = Instant::now() + terms.renew_every();
        let place = |(name, database)| Place {
            name,
            database,
            owned: BTreeMap::new(),
            due,
            is_under_way: false,
            is_told: false,
        };
        let places = databases.into_iter().map(place).collect();
        Self { clock, terms, journal_id, places, round: 0, under_way: FuturesUnordered::new() }
    }

    /// What a control round left owned.
    pub fn owns(&mut self, database: usize, owned: Vec<Direction>) {
        let before = std::mem::take(&mut self.places[database].owned);
        let with_round = |it: Direction| (it.clone(), before.get(&it).copied().unwrap_or(self.round));
        self.places[database].owned = owned.into_iter().map(with_round).collect();
    }

    /// Everything is renewed now: something said that what was proven may not hold.
    pub fn hurry(&mut self, database: usize) {
        self.places[database].due = Instant::now();
    }

    pub fn hurry_all(&mut self) {
        self.places.iter_mut().for_each(|place| place.due = Instant::now());
    }

    /// Starts what is due.
    pub fn start(&mut self) {
        let now = Instant::now();
        for (number, place) in self.places.iter_mut().enumerate() {
            if place.is_under_way || place.due > now {
                continue;
            }
            place.due = now + self.terms.renew_every();
            if place.owned.is_empty() {
                continue;
            }
            place.is_under_way = true;
            // Where time runs out, those that had to wait longest come first.
            let mut owned: Vec<(u64, Direction)> =
                place.owned.iter().map(|(it, round)| (*round, it.clone())).collect();
            owned.sort();
            let (database, journal_id) = (place.database.clone(), self.journal_id.clone());
            let (name, clock, terms) = (place.name.clone(), self.clock.clone(), self.terms);
            self.under_way.push(Box::pin(async move {
                let mut renewed = Renewed { database: number, said: Vec::new(), error: None };
                let all = async {
                    for (_, it) in owned {
                        let renewal = Renewal::about_to_be_sent(clock.steady(), terms);
                        match database.owner_renew(&it.0, it.1, &journal_id).await {
                            Ok(true) => renewed.said.push((it, Said::Ours(renewal.granted()))),
                            Ok(false) => renewed.said.push((it, Said::AnotherAgents)),
                            // The others may be luckier: perhaps somebody has locked this one's row.
                            Err(error) => renewed.error = Some(error),
                        }
                    }
                };
                let in_time = tokio::time::timeout(terms.renew_every(), all).await.is_ok();
                if !in_time && renewed.error.is_none() {
                    renewed.error = Some(DatabaseError::Unavailable {
                        database: name,
                        operation: "owner_renew",
                        what: format!("no answer within {:?}", terms.renew_every()),
                        is_lock: false,
                        source: None,
                    });
                }
                renewed
            }));
        }
    }

    /// The next answer; never, where nothing is asked. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Renewed {
        match self.under_way.next().await {
            Some(renewed) => renewed,
            None => std::future::pending().await,
        }
    }

    /// How long until something is due.
    pub fn wait(&self) -> Duration {
        let due = self.places.iter().filter(|place| !place.is_under_way).map(|place| place.due);
        due.min().map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()))
    }

    /// Keeps what was answered.
    pub fn heard(&mut self, renewed: &Renewed) {
        self.round += 1;
        let place = &mut self.places[renewed.database];
        place.is_under_way = false;
        for (it, said) in &renewed.said {
            match said {
                Said::Ours(_) => _ = place.owned.entry(it.clone()).and_modify(|round| *round = self.round),
                Said::AnotherAgents => _ = place.owned.remove(it),
            }
        }
        match &renewed.error {
            Some(error) => {
                tracing::warn!(database = place.name, %error, "ownership was not renewed; it is tried again");
            }
            None if place.is_told => tracing::info!(database = place.name, "ownership is renewed again"),
            None => {}
        }
        place.is_told = renewed.error.is_some();
    }
}
