//! Counting what waits, beside the rounds: no heartbeat, pause or stop waits for a count, and none takes long.
//!
//! One count of a database at a time, in a task of its own; a slow one is made less often. What was counted waits here until
//! the next report takes it; what could not be counted is as it was, and a finding says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;

use crate::database::{Backlog, COUNT_LIMIT, Database, DatabaseError, Selection, backlog_unknown};
use crate::domain::notice::{Notice, Severity};

/// Counting takes at most this part of the time.
const SHARE: i32 = 20;
/// The last report of a life waits so long for what is being counted.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// A count that has ended, and how long it took.
struct Counted {
    backlogs: Result<BTreeMap<String, Backlog>, DatabaseError>,
    took: Duration,
}

#[derive(Default)]
pub(super) struct Counting {
    under_way: Option<JoinHandle<Counted>>,
    /// The next count is made then; `None`: at once.
    next_at: Option<DateTime<Utc>>,
    /// Connection points of the last count: a new one does not wait for the next.
    known: BTreeSet<String>,
    /// What was counted and nobody has taken, by connection point.
    counted: BTreeMap<String, Backlog>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

impl Counting {
    /// Starts a count where it is due, unless one is under way.
    pub fn start(
        &mut self,
        database: &Arc<dyn Database>,
        wanted: Vec<(String, Selection)>,
        every: TimeDelta,
        now: DateTime<Utc>,
    ) {
        // A clock that was set back does not keep it for as long.
        let is_due = self.next_at.is_none_or(|at| now >= at || at - now > every * SHARE)
            || wanted.iter().any(|(name, _)| !self.known.contains(name));
        if self.under_way.is_some() || wanted.is_empty() || !is_due {
            return;
        }
        self.next_at = Some(now + every);
        self.known = wanted.iter().map(|(name, _)| name.clone()).collect();
        let database = Arc::clone(database);
        self.under_way = Some(tokio::spawn(async move {
            let began = Instant::now();
            let (names, selections): (Vec<String>, Vec<Selection>) = wanted.into_iter().unzip();
            let backlogs = database.outbox_counts(&selections, COUNT_LIMIT).await;
            let backlogs = backlogs.map(|backlogs| names.into_iter().zip(backlogs).collect());
            Counted { backlogs, took: began.elapsed() }
        }));
    }

    /// Takes in a count that has ended; `is_last`: one that ends in a moment, too. Answers what is to be told of it.
    pub async fn take_in(&mut self, is_last: bool, now: DateTime<Utc>) -> Option<(Notice, bool)> {
        let under_way = self.under_way.as_mut()?;
        if !under_way.is_finished() && !is_last {
            return None;
        }
        let counted = tokio::time::timeout(LAST_PATIENCE, under_way).await.ok()?;
        self.under_way = None;
        let Counted { backlogs, took } = counted.ok()?;
        let rest = TimeDelta::from_std(took).unwrap_or_default() * SHARE;
        self.next_at = self.next_at.max(Some(now + rest));
        let notice = Notice::new("BACKLOG_UNKNOWN", Severity::Warning, None, "outbox");
        match backlogs {
            Ok(backlogs) => {
                self.counted = backlogs;
                Some((notice, false))
            }
            Err(error) => Some((backlog_unknown(&error), true)),
        }
    }

    /// A figure that nobody has taken yet.
    pub fn take(&mut self, connection_point: &str) -> Option<Backlog> {
        self.counted.remove(connection_point)
    }

    /// How many rows that figure says.
    pub fn rows(&self, connection_point: &str) -> Option<i64> {
        self.counted.get(connection_point).map(|backlog| backlog.waiting_rows)
    }
}
