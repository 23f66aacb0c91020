//! `[metrics]`: who may look at the agent.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde::Deserialize;

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
