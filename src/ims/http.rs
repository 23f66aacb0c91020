//! The HTTP client as the configuration wants it: certificates, proxy, time-outs, and nothing that happens by itself.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Alerts, MinTls};

/// Idle connections kept to one host: the most that a connection point may post in parallel.
const IDLE_CONNECTIONS: usize = 256;
/// Gateways close idle connections after a minute or more; ours go first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How a server is reached.
pub struct Reach<'a> {
    pub ca_file: Option<&'a Path>,
    pub proxy: Option<&'a SecretString>,
    pub no_proxy: Option<&'a str>,
    pub min_tls: MinTls,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

impl<'a> Reach<'a> {
    /// The receiver of alerts.
    pub fn of_webhook(settings: &'a Alerts) -> Self {
        let timeout = Duration::from_secs(settings.timeout_seconds);
        Self {
            ca_file: settings.ca_file.as_deref(),
            proxy: settings.proxy.as_ref(),
            no_proxy: None,
            min_tls: MinTls::Tls12,
            connect_timeout: timeout,
            request_timeout: timeout,
        }
    }

    /// No retries, no redirects, no proxy that the environment names.
    pub fn client(&self) -> Result<reqwest::Client> {
        let min_tls = match self.min_tls {
            MinTls::Tls12 => reqwest::tls::Version::TLS_1_2,
            MinTls::Tls13 => reqwest::tls::Version::TLS_1_3,
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("bodrelay/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // What the environment names as a proxy is not what the configuration says.
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .connect_timeout(self.connect_timeout.min(self.request_timeout))
            .timeout(self.request_timeout)
            // Who looks at a certificate's end needs it.
            .tls_info(true)
            .tls_version_min(min_tls);
        if let Some(path) = self.ca_file {
            let pem =
                std::fs::read(path).with_context(|| format!("ca_file {} cannot be read", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .with_context(|| format!("ca_file {} holds no PEM certificate", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = self.proxy {
            builder = builder.proxy(proxy_of(proxy.expose_secret(), self.no_proxy)?);
        }
        builder.build().context("the HTTP client cannot be set up")
    }
}

fn proxy_of(text: &str, no_proxy: Option<&str>) -> Result<reqwest::Proxy> {
    // The causes are left out of these errors: they could quote the proxy's password.
    let wrong = "proxy is not http://host:port (with user:password@ before the host where it asks for one)";
    let url = Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let proxy = url.and_then(|url| reqwest::Proxy::all(url).ok()).context(wrong)?;
    Ok(proxy.no_proxy(no_proxy.and_then(reqwest::NoProxy::from_string)))
}
