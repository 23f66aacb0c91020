//! Which connection points of one direction are this agent's, as the database last said.
//!
//! A claim takes one; renewals keep it (`app::renew`), beside the rounds. What was lost is claimed anew, and so is all of
//! it after the database was lost.

use std::collections::BTreeMap;

/// By name, whether it has to be claimed before anything else is done in its name.
#[derive(Debug, Default)]
pub(super) struct Owned(BTreeMap<String, bool>);

impl Owned {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// It has to be claimed before anything else is done in its name.
    pub fn is_unsure(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(true)
    }

    /// The database said that it is this agent's. Answers whether that is new.
    pub fn confirm(&mut self, name: &str) -> bool {
        self.0.insert(name.to_owned(), false).is_none()
    }

    pub fn lose(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whatever comes back may be another database, or another agent's by now.
    pub fn doubt(&mut self) {
        self.0.values_mut().for_each(|is_unsure| *is_unsure = true);
    }
}
