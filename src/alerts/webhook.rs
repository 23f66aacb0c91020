//! One alert as one POST of JSON to the address that the configuration names.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat};
use reqwest::header::{HeaderName, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use crate::config::Alerts as Settings;
use crate::domain::alert::{Alert, Turn};
use crate::domain::notice::Severity;
use crate::ims::Reach;

/// Where alerts go; cheap to clone.
#[derive(Clone)]
pub(super) struct Webhook {
    http: reqwest::Client,
    /// It may hold a key: it is in no message.
    url: reqwest::Url,
    header_file: Option<PathBuf>,
}

/// The body. Its keys never change their meaning; new ones may come.
#[derive(Serialize)]
struct Body<'a> {
    /// All of it in one line, under the name that chat programs show.
    text: String,
    /// The same for raised, its reminders and cleared.
    alert_id: String,
    turn: Turn,
    code: &'a str,
    severity: Severity,
    host: &'a str,
    location: &'a str,
    database: Option<&'a str>,
    connection_point: Option<&'a str>,
    subject: &'a str,
    finding_text: &'a str,
    remedy: &'a str,
    since: String,
    raised_at: String,
    at: String,
}

/// The body of an alert, from this host.
pub(super) fn body(alert: &Alert, host: &str, location: &str) -> String {
    let Alert { turn, key, finding, raised_at, at } = alert;
    let place = key.connection_point.as_deref().unwrap_or(&key.subject);
    let text = match turn {
        Turn::Cleared => format!("[over] {host}: {} {place}: {}", key.code, finding.text),
        Turn::Raised | Turn::Reminder => format!(
            "[{}] {host}: {} {place}: {} What to do: {}",
            finding.severity.as_str(),
            key.code,
            finding.text,
            finding.remedy
        ),
    };
    let name = format!("{host} {key:?} {raised_at}");
    let body = Body {
        text,
        alert_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        turn: *turn,
        code: &key.code,
        severity: finding.severity,
        host,
        location,
        database: key.database.as_deref(),
        connection_point: key.connection_point.as_deref(),
        subject: &key.subject,
        finding_text: &finding.text,
        remedy: &finding.remedy,
        since: time(finding.since),
        raised_at: time(*raised_at),
        at: time(*at),
    };
    // Strings and numbers: nothing of it can fail.
    serde_json::to_string(&body).unwrap_or_default()
}

fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Webhook {
    /// `None`: the configuration names no address.
    pub fn new(settings: &Settings) -> Result<Option<Self>> {
        let Some(url) = &settings.webhook_url else { return Ok(None) };
        Ok(Some(Self {
            http: Reach::of_webhook(settings).client().context("[alerts]")?,
            url: url.parse().ok().context("[alerts] webhook_url is no URL")?,
            header_file: settings.webhook_header_file.clone(),
        }))
    }

    /// One try. An answer of 2xx is a delivery.
    pub async fn post(&self, body: String) -> Result<()> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        if let Some(path) = &self.header_file {
            // Read for each alert: a new secret is in force at once.
            let line = tokio::fs::read_to_string(path)
                .await
                .with_context(|| format!("webhook_header_file {} cannot be read", path.display()))?;
            let (name, value) = header(&line).with_context(|| {
                format!(
                    "webhook_header_file {} does not hold one line 'Name: value'; its contents are not shown",
                    path.display()
                )
            })?;
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| {
            // The address is left out of it.
            anyhow::Error::new(error.without_url()).context("the webhook was not reached or gave no answer")
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => bail!("the webhook answered HTTP {}", status.as_u16()),
        }
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.trim().split_once(':')?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}
