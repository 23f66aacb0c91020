//! `[metrics]` and `[alerts]`: who may look at the agent, and who is told when something is wrong.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use serde::Deserialize;

use super::in_range;
use crate::domain::notice::Severity;

/// `[metrics]`: `/metrics`, `/healthz` and `/readyz` over HTTP; without the section nothing listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port; port 0 takes a free one, which the diagnostic log names.
    pub listen: SocketAddr,
    /// Other machines may connect: there is no password, and nothing is encrypted.
    #[serde(default)]
    pub allow_remote: bool,
}

/// `[alerts]`: what happens when a finding appears or clears. Without `webhook_url` it is a line in the diagnostic log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    pub webhook_url: Option<String>,
    /// A file with one header line, as in `Authorization: Bearer …`; it is a secret.
    pub webhook_header_file: Option<PathBuf>,
    /// PEM certificates, added to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// `http://host:port`, with `user:password@` where it asks for one.
    pub proxy: Option<SecretString>,
    pub minimum_severity: Severity,
    /// So long a finding must hold before it is told.
    pub raise_after_seconds: u64,
    /// So long it must be gone before that is told.
    pub clear_after_seconds: u64,
    /// An open one is told again after so long; 0: never.
    pub reminder_hours: u64,
    /// Of one try of the webhook.
    pub timeout_seconds: u64,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            webhook_url: None,
            webhook_header_file: None,
            ca_file: None,
            proxy: None,
            minimum_severity: Severity::Warning,
            raise_after_seconds: 60,
            clear_after_seconds: 300,
            reminder_hours: 24,
            timeout_seconds: 10,
        }
    }
}

impl Metrics {
    pub(super) fn check(&self) -> Result<()> {
        if !self.listen.ip().is_loopback() && !self.allow_remote {
            bail!(
                "[metrics] listen = \"{}\": other machines could read, without a password and unencrypted, what this \
                 site sends and what is wrong with it. Write 127.0.0.1 (and let a proxy with a password stand before \
                 it), or allow_remote = true if the network keeps strangers out",
                self.listen
            );
        }
        Ok(())
    }
}

impl Alerts {
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.webhook_header_file, &mut self.ca_file].into_iter().flatten()
    }

    pub(super) fn check(&self) -> Result<()> {
        in_range("[alerts] raise_after_seconds", self.raise_after_seconds, 0, 86_400)?;
        in_range("[alerts] clear_after_seconds", self.clear_after_seconds, 0, 86_400)?;
        in_range("[alerts] reminder_hours", self.reminder_hours, 0, 8_760)?;
        in_range("[alerts] timeout_seconds", self.timeout_seconds, 1, 120)?;
        let Some(url) = &self.webhook_url else {
            let without = [
                ("webhook_header_file", self.webhook_header_file.is_some()),
                ("ca_file", self.ca_file.is_some()),
                ("proxy", self.proxy.is_some()),
            ];
            if let Some((key, _)) = without.iter().find(|(_, given)| *given) {
                bail!("[alerts] {key} is for a webhook: write webhook_url too, or remove it");
            }
            return Ok(());
        };
        // The URL may be a secret itself (many receivers put a key into it): it is not repeated.
        let uri: hyper::Uri =
            url.parse().ok().context("[alerts] webhook_url is no URL: write https://host/path")?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(()),
            (Some("http"), Some(host)) => {
                let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
                let is_loopback = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
                if self.webhook_header_file.is_some() && !is_loopback {
                    bail!(
                        "[alerts] webhook_header_file: its secret would cross the network unencrypted; write https:// \
                         in webhook_url"
                    );
                }
                Ok(())
            }
            _ => bail!(
                "[alerts] webhook_url: write https://host/path (or http:// inside a network that you trust)"
            ),
        }
    }
}
