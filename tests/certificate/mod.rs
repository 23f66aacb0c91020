//! A certificate for `localhost` from an authority of its own, for whatever speaks TLS here.

use std::path::Path;
use std::sync::Arc;

use bodrelay::clock::{Clock, SystemClock};
use chrono::Datelike;

/// A server's side with such a certificate; the authority is written to `ca.pem` in `folder`. The certificate ends in so
/// many days, or in some thousand years.
pub fn localhost(folder: &Path, ends_in_days: Option<i64>) -> Arc<rustls::ServerConfig> {
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(ca, rcgen::KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    if let Some(days) = ends_in_days {
        let end = SystemClock.now() + chrono::TimeDelta::days(days);
        let (month, day) = (u8::try_from(end.month()).unwrap(), u8::try_from(end.day()).unwrap());
        leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(end.year(), month, day);
    }
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    Arc::new(config)
}
