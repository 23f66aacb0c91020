//! What `[listen]` names, without listening: its certificate and key, and what is worth a finding about them.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::der::Decode;

use crate::config::Listen;
use crate::domain::notice::{Notice, Severity};
use crate::platform;

/// Time enough to have a certificate renewed.
const CERTIFICATE_MIN: TimeDelta = TimeDelta::days(30);
/// What findings of the listener are about.
pub const SUBJECT: &str = "listen";

/// A certificate in use, and when it ends.
pub struct Certificate {
    pub config: Arc<ServerConfig>,
    pub ends: DateTime<Utc>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read, is no PEM, or they do not belong together. No text of them is quoted.
    pub fn read(certificate_file: &Path, key_file: &Path) -> Result<Self> {
        let what = || format!("[listen] certificate_file {}", certificate_file.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate_file)
            .and_then(Iterator::collect)
            .with_context(|| format!("{} cannot be read as PEM", what()))?;
        let Some(own) = chain.first() else {
            bail!("{} holds no certificate (-----BEGIN CERTIFICATE-----)", what());
        };
        let ends = x509_cert::Certificate::from_der(own)
            .ok()
            .map(|own| own.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
            .and_then(|ends| DateTime::from_timestamp(i64::try_from(ends).ok()?, 0))
            .with_context(|| format!("{}: its first certificate cannot be read", what()))?;
        let key = PrivateKeyDer::from_pem_file(key_file)
            .with_context(|| format!("[listen] key_file {} cannot be read as PEM", key_file.display()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .with_context(|| format!("{} and key_file {} do not go together", what(), key_file.display()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ends })
    }
}

/// The certificate's end, where it is near (`None`: there is no certificate).
pub fn end(certificate: Option<&Certificate>, now: DateTime<Utc>) -> Notice {
    match certificate.map(|it| it.ends).filter(|ends| *ends - now < CERTIFICATE_MIN) {
        Some(ends) => ending(ends, now),
        None => Notice::new("CERTIFICATE_EXPIRES", Severity::Warning, None, SUBJECT).clears(),
    }
}

fn ending(ends: DateTime<Utc>, now: DateTime<Utc>) -> Notice {
    let (severity, tense) =
        if ends <= now { (Severity::Error, "ended") } else { (Severity::Warning, "ends") };
    Notice::new("CERTIFICATE_EXPIRES", severity, None, SUBJECT).says(
        format!(
            "the certificate of the listener (certificate_file of [listen]) {tense} on {}: ION does not call after that",
            ends.format("%Y-%m-%d %H:%M:%SZ")
        ),
        "Renew it and put the new files in the places of certificate_file and key_file: they are read again by \
         themselves. Where ION was told to trust this certificate itself, import the new one there (Import and Trust \
         Certificate).",
    )
}

/// Nobody needs a credential: possible on loopback only, and still worth saying.
pub fn open(settings: &Listen) -> Notice {
    let notice = Notice::new("LISTENER_OPEN", Severity::Warning, None, SUBJECT);
    match settings.caller.is_empty() {
        false => notice.clears(),
        true => notice.says(
            format!(
                "whoever can reach {} on this machine may write into the inbox: there is no [[listen.caller]]",
                settings.address
            ),
            "Write a [[listen.caller]] into the configuration file, as README.md shows, unless a proxy before the agent \
             checks who calls.",
        ),
    }
}

/// What callers say can be read by who is in between.
pub fn plain(settings: &Listen) -> Notice {
    let notice = Notice::new("LISTENER_PLAIN", Severity::Warning, None, SUBJECT);
    match settings.is_encrypted() || settings.address.ip().is_loopback() {
        true => notice.clears(),
        false => notice.says(
            format!(
                "documents (and passwords and tokens, where callers have those) come to {} unencrypted: allow_plain = true",
                settings.address
            ),
            "Write certificate_file and key_file into [listen], unless the network keeps strangers out.",
        ),
    }
}

/// Files with secrets that other users of this machine may read.
pub fn readable(settings: &Listen) -> Notice {
    let secrets = settings.caller.iter().map(|caller| caller.secret_file.as_path());
    let files: Vec<String> = secrets
        .chain(settings.key_file.as_deref())
        .filter(|file| platform::others_may_read(file))
        .map(|file| file.display().to_string())
        .collect();
    let notice = Notice::new("CREDENTIAL_READABLE", Severity::Warning, None, SUBJECT);
    match files.is_empty() {
        true => notice.clears(),
        false => notice.says(
            format!("other users of this machine may read {}", files.join(", ")),
            "Take the right from them, as in chmod 600.",
        ),
    }
}

/// What tells a changed file: its time and length; `None` where it is not there.
pub type Stamp = Vec<Option<(SystemTime, u64)>>;

/// The stamp of these files.
pub fn stamp<'a>(files: impl IntoIterator<Item = &'a Path>) -> Stamp {
    let of = |file: &Path| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.into_iter().map(of).collect()
}
