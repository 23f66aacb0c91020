//! Tells somebody when a finding appears, lasts or is over: by webhook, and in the diagnostic log.
//!
//! One alert is under way at a time. It counts as told when the receiver has said so and the journal knows; so a kill in
//! between tells it once more, and none is ever forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::config::{Alerts as Settings, Config};
use crate::database::FindingRow;
use crate::domain::alert::{Alert, Alerts, Key, Limits, NOT_DELIVERED, OpenFinding, Told, Turn};
use crate::domain::notice::{Notice, Severity};
use crate::journal::Journal;

mod webhook;

use webhook::Webhook;

/// After a try that failed, doubled each time up to the second.
const FIRST_PAUSE_MS: i64 = 5_000;
const LONGEST_PAUSE_MS: i64 = 300_000;

/// How a try went.
pub struct Tried {
    alert: Alert,
    result: Result<()>,
}

pub struct Teller {
    journal: Journal,
    host: String,
    location: String,
    databases: Vec<String>,
    /// Open findings by database.
    found: Vec<Vec<FindingRow>>,
    /// By database, whether these are all: its table of findings was read in this life.
    is_whole: Vec<bool>,
    alerts: Alerts,
    settings: Settings,
    webhook: Option<Webhook>,
    under_way: Option<BoxFuture<'static, Tried>>,
    failures: u32,
    not_before: i64,
    notices: Vec<Notice>,
}

impl Teller {
    /// `at_once`: for a process that ends soon, what holds when it ends is told, and what does not is over.
    pub async fn new(config: &Config, journal: Journal, at_once: bool) -> Result<Self> {
        let settings = config.alerts.clone().unwrap_or_default();
        Ok(Self {
            alerts: Alerts::new(limits(&settings, at_once), journal.alerts().await?),
            journal,
            host: config.agent.host.clone(),
            location: config.agent.location.clone(),
            databases: config.database.iter().map(|database| database.name.clone()).collect(),
            found: vec![Vec::new(); config.database.len()],
            is_whole: vec![false; config.database.len()],
            webhook: Webhook::new(&settings)?,
            settings,
            under_way: None,
            failures: 0,
            not_before: 0,
            notices: Vec::new(),
        })
    }

    /// Reads `ca_file` again, and tries at once what waits. What cannot be used leaves the former one in use.
    pub fn read_again(&mut self) -> Result<()> {
        self.webhook = Webhook::new(&self.settings)?;
        self.not_before = 0;
        Ok(())
    }

    /// What a round at a database found; `is_whole`: it knows what earlier lives found, so that nothing else is open.
    pub fn heard(&mut self, index: usize, findings: Vec<FindingRow>, is_whole: bool, now: i64) {
        self.found[index] = findings;
        self.is_whole[index] = is_whole;
        let mut open = BTreeMap::new();
        for (name, rows) in self.databases.iter().zip(&self.found) {
            for row in rows {
                let key = Key {
                    code: row.code.clone(),
                    connection_point: row.connection_point.clone(),
                    subject: row.subject.clone(),
                    // What is not about one connection point is in every database, and told once.
                    database: row.connection_point.as_ref().map(|_| name.clone()),
                };
                open.insert(key, finding(row, now));
            }
        }
        let is_whole = self.is_whole.iter().all(|is_whole| *is_whole);
        self.alerts.observe(open, is_whole, now);
    }

    /// Starts telling what is due, unless something is under way.
    pub fn advance(&mut self, now: i64) {
        // A wait from before the clock was set back is none.
        let waits = now < self.not_before && self.not_before - now <= LONGEST_PAUSE_MS;
        if self.under_way.is_some() || waits {
            return;
        }
        let Some(alert) = self.alerts.next(now) else { return };
        let (webhook, body) = (self.webhook.clone(), webhook::body(&alert, &self.host, &self.location));
        self.under_way = Some(Box::pin(async move {
            let result = match webhook {
                Some(webhook) => webhook.post(body).await,
                None => Ok(()),
            };
            Tried { alert, result }
        }));
    }

    /// The end of the try that is under way; never, where there is none. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Tried {
        match &mut self.under_way {
            Some(under_way) => under_way.await,
            None => std::future::pending().await,
        }
    }

    /// Takes in how a try went, and starts the next.
    pub async fn tried(&mut self, tried: Tried, now: i64) {
        let Tried { alert, result } = tried;
        self.under_way = None;
        let notice = Notice::new(NOT_DELIVERED, Severity::Error, None, "webhook");
        match result {
            Ok(()) => {
                let Key { code, connection_point, subject, .. } = &alert.key;
                // Without a receiver it stands in the log already; that it lasts does not.
                match (&self.webhook, alert.turn) {
                    (Some(_), turn) => {
                        tracing::info!(?turn, code, connection_point, subject, "an alert was told")
                    }
                    (None, Turn::Reminder) => {
                        tracing::warn!(code, connection_point, subject, "a finding lasts")
                    }
                    (None, Turn::Raised | Turn::Cleared) => {}
                }
                if std::mem::take(&mut self.failures) > 0 {
                    self.notices.push(notice.clears());
                }
                let told: Option<Told> = self.alerts.delivered(&alert);
                if let Err(error) = self.journal.alert_told(&alert.key, told.as_ref()).await {
                    tracing::warn!(%error, "the journal does not know of an alert: after a restart it is told again");
                }
                self.advance(now);
            }
            Err(error) => {
                let pause = FIRST_PAUSE_MS << self.failures.min(10);
                self.failures += 1;
                self.not_before = now + pause.min(LONGEST_PAUSE_MS);
                let error = format!("{error:#}");
                tracing::warn!(code = alert.key.code, error, "an alert was not delivered; it is told again");
                self.notices.push(notice.says(
                    format!("alerts do not arrive: {error}"),
                    "Look at [alerts] in the configuration file and at the receiver. Nothing is forgotten: what is \
                     open then is told. Sending documents goes on.",
                ));
            }
        }
    }

    /// Tells everything that is due: for the end of `once`. Stops at what cannot be delivered.
    pub async fn tell_all(&mut self, now: i64, patience: Duration) {
        let all = async {
            self.advance(now);
            while self.under_way.is_some() {
                let tried = self.next().await;
                self.tried(tried, now).await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("alerts were not delivered in time; the next run tells them");
        }
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}

fn finding(row: &FindingRow, now: i64) -> OpenFinding {
    OpenFinding {
        severity: Severity::parse(row.severity),
        text: row.finding_text.clone(),
        remedy: row.remedy.clone(),
        since: row.since.timestamp_millis(),
        is_acknowledged: row.acknowledged_until.is_some_and(|until| until.timestamp_millis() > now),
    }
}

fn limits(settings: &Settings, at_once: bool) -> Limits {
    let ms = |seconds: u64| i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Limits {
        minimum: settings.minimum_severity,
        raise_after: if at_once { 0 } else { ms(settings.raise_after_seconds) },
        clear_after: if at_once { 0 } else { ms(settings.clear_after_seconds) },
        remind_after: (settings.reminder_hours > 0).then(|| ms(settings.reminder_hours * 3_600)),
    }
}
