//! The agent's figures for whoever watches it: Prometheus' text format, and whether it lives and can work.
//!
//! A look is asked of the loop that owns everything and answered between two of its turns: nothing is gathered while
//! nobody asks, no lock is shared, and the figures are those of one moment. Sockets are on a thread of their own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::domain::meter::{EndpointReading, JournalMeter, PointReading, ReceivedReading, Unfinished};
use crate::domain::outside::printable;

mod listen;
mod render;
mod text;

pub use listen::{Ask, Listener};
pub use render::exposition;

/// What the thread of the sockets sees of the loop without asking it.
#[derive(Debug)]
pub struct Turns {
    started: Instant,
    /// Milliseconds since `started`.
    last: AtomicU64,
    stopping: AtomicBool,
}

impl Default for Turns {
    fn default() -> Self {
        Self { started: Instant::now(), last: AtomicU64::new(0), stopping: AtomicBool::new(false) }
    }
}

impl Turns {
    /// The loop has come round.
    pub fn turned(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// The agent ends: it answers no more looks.
    pub fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn since_last(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A database as the last control round found it.
#[derive(Debug, Clone)]
pub struct DatabaseReading {
    pub name: String,
    /// Since the last round that read and wrote its control tables; `None`: none did.
    pub round_age: Option<Duration>,
    /// Why the last round did not, or why nothing may be sent from it.
    pub trouble: Option<String>,
}

/// Everything that a look shows.
#[derive(Debug, Clone)]
pub struct Reading {
    pub version: &'static str,
    pub host: String,
    pub location: String,
    /// ms since 1970.
    pub now: i64,
    pub started_at: i64,
    pub points: Vec<(PointReading, Option<Unfinished>)>,
    pub endpoints: Vec<EndpointReading>,
    pub databases: Vec<DatabaseReading>,
    /// Open findings by code and severity.
    pub findings: std::collections::BTreeMap<(String, &'static str), u64>,
    /// Connection points whose settings are refused, with the reason.
    pub refused: Vec<(String, String)>,
    pub journal: JournalMeter,
    pub journal_path: PathBuf,
    pub payload_bytes: usize,
    /// `None`: nothing listens.
    pub received: Option<ReceivedReading>,
}

impl Reading {
    /// Why the agent cannot do its work now, a line a reason; empty: it can. Ready means that every database answered
    /// the last control round, that no connection point is misconfigured, and that ION takes something.
    pub fn not_ready(&self) -> String {
        let mut reasons = String::new();
        for database in &self.databases {
            match (&database.trouble, database.round_age) {
                (Some(trouble), _) => say(&mut reasons, &format!("database {}", database.name), trouble),
                (None, None) => say(&mut reasons, &format!("database {}", database.name), "not read yet"),
                (None, Some(_)) => {}
            }
        }
        for endpoint in &self.endpoints {
            if let Some(waits) = &endpoint.waits {
                say(&mut reasons, &format!("ion {}", endpoint.name), waits);
            }
        }
        for (point, _) in self.points.iter().filter(|(point, _)| point.state == "misconfigured") {
            let reason = point.reason.as_deref().unwrap_or("misconfigured");
            say(&mut reasons, &format!("connection point {}", point.connection_point), reason);
        }
        for (name, reason) in &self.refused {
            say(&mut reasons, &format!("connection point {name}"), reason);
        }
        reasons
    }
}

fn say(reasons: &mut String, what: &str, why: &str) {
    let _ = writeln!(reasons, "{what}: {}", printable(why));
}
