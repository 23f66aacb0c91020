//! Whoever watches this process: looks of `/metrics`, and the service manager that started it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::database::FindingRow;
use crate::domain::meter::Unfinished;
use crate::inbound::Receiver;
use crate::metrics::{Ask, DatabaseReading, Listener, Reading, Turns};
use crate::operator::Heard;
use crate::outbound::{Mode, Outbound};
use crate::platform::ServiceManager;

/// A database as the last rounds found it.
#[derive(Default)]
struct Known {
    heard_at: Option<Instant>,
    trouble: Option<String>,
    unfinished: BTreeMap<String, Unfinished>,
    findings: Vec<FindingRow>,
    refused: Vec<(String, String)>,
}

pub(super) struct Watch {
    _listener: Option<Listener>,
    asks: Option<mpsc::Receiver<Ask>>,
    turns: Arc<Turns>,
    manager: ServiceManager,
    alive_said: Instant,
    started_at: i64,
    known: Vec<Known>,
}

impl Watch {
    /// Listens where `[metrics]` says; `once` is over too soon to be looked at.
    pub fn new(config: &Config, mode: Mode) -> Result<Self> {
        let manager = ServiceManager::from_environment().context(
            "the service manager's socket (NOTIFY_SOCKET) cannot be used; unset it, or mend the unit",
        )?;
        let turns = Arc::new(Turns::default());
        let (mut listener, mut asks) = (None, None);
        if let Some(metrics) = config.metrics.as_ref().filter(|_| mode == Mode::Run) {
            let (started, asked) = Listener::start(metrics.listen, turns.clone())?;
            tracing::info!(address = %started.address(), "answers /metrics, /healthz and /readyz");
            (listener, asks) = (Some(started), Some(asked));
        }
        Ok(Self {
            _listener: listener,
            asks,
            turns,
            manager,
            alive_said: Instant::now(),
            started_at: SystemClock.now().timestamp_millis(),
            known: config.database.iter().map(|_| Known::default()).collect(),
        })
    }

    /// The next look; never, where nobody can look. Dropping the future loses nothing.
    pub async fn asked(&mut self) -> Ask {
        match &mut self.asks {
            Some(asks) => match asks.recv().await {
                Some(ask) => ask,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    pub fn answer(&self, ask: Ask, config: &Config, outbound: &Outbound, receiver: Option<&Receiver>) {
        let measured = outbound.measure();
        let databases = config.database.iter().zip(&self.known).map(|(settings, known)| DatabaseReading {
            name: settings.name.clone(),
            round_age: known.heard_at.map(|at| at.elapsed()),
            trouble: known.trouble.clone(),
        });
        let points = measured.points.into_iter().map(|point| {
            let unfinished = self.known[point.site].unfinished.get(&point.connection_point).copied();
            (point, unfinished)
        });
        let mut findings = BTreeMap::new();
        for row in self.known.iter().flat_map(|known| &known.findings) {
            *findings.entry((row.code.clone(), row.severity)).or_default() += 1;
        }
        // Whoever asked may have gone.
        let _ = ask.reply.send(Reading {
            version: env!("CARGO_PKG_VERSION"),
            host: config.agent.host.clone(),
            location: config.agent.location.clone(),
            now: SystemClock.now().timestamp_millis(),
            started_at: self.started_at,
            points: points.collect(),
            endpoints: measured.endpoints,
            databases: databases.collect(),
            findings,
            refused: self.known.iter().flat_map(|known| known.refused.clone()).collect(),
            journal: measured.journal,
            journal_path: super::journal_path(config),
            payload_bytes: measured.payload_bytes,
            received: receiver.map(Receiver::measure),
        });
    }

    /// Keeps what a round brought.
    pub fn heard(&mut self, index: usize, heard: &Heard) {
        let known = &mut self.known[index];
        if heard.error.is_none() {
            known.heard_at = Some(Instant::now());
        }
        known.trouble = heard.error.clone().or_else(|| heard.refused.clone());
        known.unfinished.clone_from(&heard.unfinished);
        known.findings.clone_from(&heard.findings);
        if let Some(plan) = &heard.plan {
            let refused = plan.refused.iter().filter(|refused| refused.document.is_none());
            known.refused =
                refused.map(|refused| (refused.connection_point.clone(), refused.reason.clone())).collect();
        }
    }

    /// The agent has its lock, its journal and its port; databases may be away, it waits for them by itself.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=relays");
    }

    pub fn stops(&self) {
        self.turns.stops();
        self.tell("STOPPING=1\nSTATUS=records and settles what is out");
    }

    /// The loop has come round.
    pub fn turned(&mut self) {
        self.turns.turned();
        if self.alive_every().is_some_and(|every| self.alive_said.elapsed() >= every / 2) {
            self.alive_said = Instant::now();
            self.tell("WATCHDOG=1");
        }
    }

    /// The longest that the loop may sleep.
    pub fn alive_every(&self) -> Option<Duration> {
        self.manager.watchdog().map(|watchdog| watchdog / 2)
    }

    fn tell(&self, state: &str) {
        if let Err(error) = self.manager.tell(state) {
            tracing::warn!(%error, "the service manager was not told how it goes");
        }
    }
}
