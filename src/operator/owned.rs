//! Which connection points of one direction are this agent's, and when the database last said so.
//!
//! A claim takes one, and each report of its status renews it: an idle agent has nothing else to write. What no report
//! has confirmed for long is claimed anew, and so is all of it after the database was lost.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::is_due;

/// Reports come every minute, and an owner lapses after three.
const SURE_FOR: TimeDelta = TimeDelta::seconds(120);

#[derive(Debug, Default)]
pub(super) struct Owned(BTreeMap<String, DateTime<Utc>>);

impl Owned {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// It has to be claimed before anything else is done in its name.
    pub fn is_unsure(&self, name: &str, now: DateTime<Utc>) -> bool {
        self.0.get(name).is_none_or(|at| is_due(*at, SURE_FOR, now))
    }

    /// The database said that it is this agent's. Answers whether that is new.
    pub fn confirm(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        self.0.insert(name.to_owned(), now).is_none()
    }

    pub fn lose(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whatever comes back may be another database, or another agent's by now.
    pub fn doubt(&mut self) {
        self.0.values_mut().for_each(|at| *at = DateTime::UNIX_EPOCH);
    }
}
