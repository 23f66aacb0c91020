//! What the client notices by the way: nothing of it stops a post today, and all of it is worth a finding before it does.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::DATE;
use x509_cert::der::Decode;

use crate::domain::notice::Severity;

/// A clock that is off by more fails signatures and tokens (spec/ionapi.md).
const CLOCK_MAX: TimeDelta = TimeDelta::seconds(60);
/// Time enough to have a certificate renewed.
const CERTIFICATE_MIN: TimeDelta = TimeDelta::days(30);
/// A service account that nobody uses for 90 days is switched off (spec/ionapi.md); somebody should hear of it before.
const UNUSED_MAX: TimeDelta = TimeDelta::days(80);

/// The codes that a client may remark.
pub const CODES: [&str; 7] = [
    "CERTIFICATE_EXPIRES",
    "CLOCK_OFF_ION",
    "CREDENTIAL_READABLE",
    "CREDENTIAL_REFUSED",
    "CREDENTIAL_UNUSABLE",
    "CREDENTIAL_UNUSED",
    "SCOPES_NOT_GRANTED",
];

/// Something that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// One of `CODES`.
    pub code: &'static str,
    pub severity: Severity,
    pub text: String,
    pub remedy: &'static str,
}

/// What answers told that are not about messages. Seconds; `i64::MIN`: nothing yet.
pub(super) struct Noticed {
    /// ION's clock less ours.
    clock_off: AtomicI64,
    /// When the server's certificate ends, since 1970.
    certificate_ends: AtomicI64,
}

impl Default for Noticed {
    fn default() -> Self {
        Self { clock_off: AtomicI64::new(i64::MIN), certificate_ends: AtomicI64::new(i64::MIN) }
    }
}

impl Noticed {
    /// Looks at an answer that came at `now`.
    pub fn look(&self, response: &reqwest::Response, now: DateTime<Utc>) {
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.clock_off.store((date.to_utc() - now).num_seconds(), Ordering::Relaxed);
        }
        let tls = response.extensions().get::<reqwest::tls::TlsInfo>();
        if let Some(ends) = tls.and_then(|tls| tls.peer_certificate()).and_then(ends) {
            self.certificate_ends.store(ends, Ordering::Relaxed);
        }
    }

    pub fn remarks(&self, route: &str, now: DateTime<Utc>) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let read = |value: &AtomicI64| Some(value.load(Ordering::Relaxed)).filter(|value| *value != i64::MIN);
        if let Some(off) = read(&self.clock_off).filter(|off| off.abs() > CLOCK_MAX.num_seconds()) {
            let side = if off > 0 { "behind" } else { "ahead of" };
            remarks.push(Remark {
                code: "CLOCK_OFF_ION",
                severity: Severity::Warning,
                text: format!("this machine's clock is {} s {side} ION's", off.abs()),
                remedy: "Let both follow a time server: tokens and certificates are judged by the clock, and times in \
                         the tables are this machine's.",
            });
        }
        let ends = read(&self.certificate_ends).and_then(|ends| DateTime::from_timestamp(ends, 0));
        if let Some(ends) = ends.filter(|ends| *ends - now < CERTIFICATE_MIN) {
            remarks.push(Remark {
                code: "CERTIFICATE_EXPIRES",
                severity: Severity::Warning,
                text: format!(
                    "the certificate of {route} ends on {}: nothing is sent after that",
                    ends.format("%Y-%m-%d %H:%M:%SZ")
                ),
                remedy: "It must be renewed on the other side (Infor's cloud does so by itself; a proxy or an \
                         on-premises gateway may not). Ask who runs it.",
            });
        }
        remarks
    }
}

/// The end of a certificate (DER), seconds since 1970.
fn ends(der: &[u8]) -> Option<i64> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let end = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    i64::try_from(end.as_secs()).ok()
}

/// A service account that was last used at `last`.
pub(super) fn unused(last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Remark> {
    let last = last.filter(|last| now - *last > UNUSED_MAX)?;
    Some(Remark {
        code: "CREDENTIAL_UNUSED",
        severity: Severity::Warning,
        text: format!(
            "no token was asked for since {}: a service account that nobody uses for 90 days is switched off",
            last.format("%Y-%m-%d")
        ),
        remedy: "Run 'bodrelay check': it asks for a token. Then send something now and then, or look whether this \
                 [[ion]] is still needed.",
    })
}

/// Scopes that were asked for and not given.
pub(super) fn not_granted(missing: &[String]) -> Option<Remark> {
    (!missing.is_empty()).then(|| Remark {
        code: "SCOPES_NOT_GRANTED",
        severity: Severity::Warning,
        text: format!("the token does not have scopes that were asked for: {}", missing.join(" ")),
        remedy: "Give the service account these scopes, or take them out of sc in the .ionapi file (or scopes): \
                 without the right one ION answers 403.",
    })
}
