//! Faults as data, in the words of what really goes wrong, so that a test or a demo reads like an incident report.
//!
//! A script is a JSON file:
//! ```json
//! {"faults": [
//!   {"fault": {"refuse": {"status": 503, "retry_after": 2, "text": "maintenance"}}, "times": 3},
//!   {"fault": "store_then_lose_answer", "document_id": "SO-17", "times": 1},
//!   {"fault": "never_answer", "document_name": "Sync.ItemMaster", "probability": 0.01},
//!   {"fault": {"slow": {"ms": 400}}, "from_ms": 5000, "until_ms": 9000},
//!   {"fault": "reset_before_store", "after_arrivals": 1000, "until_arrivals": 1100},
//!   {"fault": {"refuse": {"status": 500}}, "on": "token", "times": 2}
//! ]}
//! ```
//! Conditions that are left out do not count; those that are given must all hold. The first fault whose conditions
//! hold and whose chance comes up happens. Chances are drawn from the simulator's seed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::domain::message::Parameters;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub faults: Vec<Fault>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// Refused with a status; nothing is stored.
    Refuse {
        status: u16,
        /// Seconds.
        #[serde(default)]
        retry_after: Option<u64>,
        #[serde(default)]
        text: Option<String>,
    },
    /// Stored, but the connection ends before the answer.
    StoreThenLoseAnswer,
    /// Stored; the answer's status line comes, then the connection ends within the body.
    StoreThenCutAnswer,
    /// The connection ends, nothing is stored.
    ResetBeforeStore,
    /// Nothing is stored, and no answer comes until the client hangs up.
    NeverAnswer,
    /// Stored at once, answered late.
    Slow { ms: u64 },
    /// The token in use is revoked: 401.
    TokenExpired,
    /// A web page with status 200, as from a proxy; nothing is stored.
    Garbage,
    /// A redirect to a login page; nothing is stored.
    Redirect,
    /// Stored (or listed, or a token issued), but the answer's JSON is broken.
    BadJson,
}

/// Which requests a fault is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    #[default]
    Post,
    Token,
    Ping,
    Versions,
    AcceptedDocuments,
}

/// One fault and when it happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub fault: What,
    #[serde(default)]
    pub on: On,
    #[serde(default)]
    pub document_name: Option<String>,
    #[serde(default)]
    pub document_id: Option<String>,
    #[serde(default)]
    pub message_id: Option<String>,
    /// The sender's.
    #[serde(default)]
    pub logical_id: Option<String>,
    /// How often at most; always where it is left out.
    #[serde(default)]
    pub times: Option<u64>,
    /// Milliseconds since the simulator's start.
    #[serde(default)]
    pub from_ms: Option<u64>,
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// Stored messages so far.
    #[serde(default)]
    pub after_arrivals: Option<u64>,
    #[serde(default)]
    pub until_arrivals: Option<u64>,
    /// 0 to 1.
    #[serde(default)]
    pub probability: Option<f64>,
}

impl Fault {
    /// A post that always goes wrong in this way; narrow it by setting fields.
    pub fn new(what: What) -> Self {
        Self {
            fault: what,
            on: On::Post,
            document_name: None,
            document_id: None,
            message_id: None,
            logical_id: None,
            times: None,
            from_ms: None,
            until_ms: None,
            after_arrivals: None,
            until_arrivals: None,
            probability: None,
        }
    }

    /// Refused with this status.
    pub fn refuse(status: u16) -> Self {
        Self::new(What::Refuse { status, retry_after: None, text: None })
    }

    pub fn on(self, on: On) -> Self {
        Self { on, ..self }
    }

    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    pub fn for_document(self, document_id: &str) -> Self {
        Self { document_id: Some(document_id.to_owned()), ..self }
    }

    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }

    fn is_meant(&self, on: On, message: Option<&Parameters>, now: Duration, arrivals: u64) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.on == on
            && is(&self.document_name, message.map(|it| it.document_name.as_str()))
            && is(&self.document_id, message.and_then(|it| it.document_id.as_deref()))
            && is(&self.message_id, message.map(|it| it.message_id.as_str()))
            && is(&self.logical_id, message.map(|it| it.from_logical_id.as_str()))
            && self.from_ms.is_none_or(|from| ms >= from)
            && self.until_ms.is_none_or(|until| ms < until)
            && self.after_arrivals.is_none_or(|after| arrivals >= after)
            && self.until_arrivals.is_none_or(|until| arrivals < until)
            && self.times != Some(0)
    }
}

impl Script {
    /// Reads a script file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the fault script {} cannot be read", path.display()))?;
        let script: Self = serde_json::from_str(&text)
            .with_context(|| format!("the fault script {} is not understood", path.display()))?;
        for fault in &script.faults {
            if fault.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
                bail!("the fault script {}: write a probability from 0 to 1", path.display());
            }
            if let What::Refuse { status, .. } = fault.fault
                && !(200..=599).contains(&status)
            {
                bail!("the fault script {}: write a status from 200 to 599", path.display());
            }
        }
        Ok(script)
    }
}

/// The faults that are still to come.
pub(super) struct Faults {
    faults: Vec<Fault>,
    random: fastrand::Rng,
}

impl Faults {
    pub(super) fn new(script: Script, seed: u64) -> Self {
        Self { faults: script.faults, random: fastrand::Rng::with_seed(seed) }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn next(
        &mut self,
        on: On,
        message: Option<&Parameters>,
        now: Duration,
        arrivals: u64,
    ) -> Option<What> {
        let Self { faults, random } = self;
        let fault = faults.iter_mut().find(|fault| {
            fault.is_meant(on, message, now, arrivals)
                && fault.probability.is_none_or(|chance| random.f64() < chance)
        })?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.fault.clone())
    }
}
