//! A whole HTTP answer, read within bounds, and in words: its text, what broke it off, what to do about a cause.

use std::time::Duration;

use chrono::DateTime;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};

use crate::clock::{Clock, SystemClock};
use crate::domain::outcome::Answer;
use crate::domain::outside::printable;

/// An answer of usual kind is read up to here, bytes.
pub(super) const MAX_ANSWER: usize = 64 * 1024;
/// An answer's text is kept up to here, characters.
const MAX_TEXT: usize = 1000;
/// What an unknown issuer is answered with.
pub(super) const UNKNOWN_ISSUER: &str =
    "the certificate's issuer is not known here: put its certificate into ca_file";
/// webpki's name for a server's certificate that has CA:TRUE.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";
const NOT_FOR_SERVERS: &str =
    "the certificate is not one for servers (extended key usage serverAuth): it must be replaced there";
/// A wish to wait is honoured up to here.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// A whole HTTP answer.
pub(super) struct Whole {
    pub status: u16,
    pub body: Vec<u8>,
    pub is_html: bool,
    pub retry_after: Option<Duration>,
}

/// An answer whose body broke off: what came of it, and why.
pub(super) struct Broken {
    pub whole: Whole,
    pub error: reqwest::Error,
}

impl Whole {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn answer(&self) -> Answer {
        Answer::Http {
            status: self.status,
            text: text_of(&self.body),
            is_html: self.is_html,
            retry_after: self.retry_after,
        }
    }

    /// With the text masked where this is a refusal, which may echo what was sent.
    pub fn masked(mut self, mask: impl FnOnce(&str) -> String) -> Self {
        if !self.is_success() {
            self.body = mask(&String::from_utf8_lossy(&self.body)).into_bytes();
        }
        self
    }
}

/// Reads an answer of at most `limit` bytes; the rest of a longer one is left.
pub(super) async fn read_up_to(mut response: Response, limit: usize) -> Result<Whole, Broken> {
    let headers = response.headers();
    let mut whole = Whole {
        status: response.status().as_u16(),
        body: Vec::new(),
        is_html: headers
            .get(CONTENT_TYPE)
            .and_then(|it| it.to_str().ok())
            .is_some_and(|it| it.trim_start().to_ascii_lowercase().starts_with("text/html")),
        retry_after: retry_after(headers),
    };
    // Beyond the limit the rest is left unread, which closes the connection.
    while whole.body.len() < limit {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                whole.body.extend_from_slice(&chunk[..chunk.len().min(limit - whole.body.len())]);
            }
            Ok(None) => break,
            Err(error) => return Err(Broken { whole, error }),
        }
    }
    // An empty body is no page, whatever type a gateway gives it.
    whole.is_html = whole.is_html && !whole.body.trim_ascii().is_empty() || looks_like_html(&whole.body);
    Ok(whole)
}

fn looks_like_html(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    ["<!doctype html", "<html"]
        .iter()
        .any(|start| body.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start.as_bytes())))
}

/// The beginning of an answer as one line of text.
pub(super) fn text_of(body: &[u8]) -> String {
    // Four bytes a character at most.
    let body = &body[..body.len().min(4 * MAX_TEXT)];
    let text = String::from_utf8_lossy(body);
    let line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
    printable(&line).into_owned()
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(text).ok()?;
            (until.to_utc() - SystemClock.now()).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The causes of an error in one line, without the URL, and what to do where the cause tells.
pub(super) fn cause_of(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut remedy = error.is_dns().then_some("check the host's name and this machine's DNS");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let said = cause.to_string();
        // Wrappers repeat what they wrap.
        if !said.is_empty() && !text.contains(&said) {
            text += if text.is_empty() { "" } else { ": " };
            text += &said;
        }
        remedy = remedy.or_else(|| tls_remedy(cause));
        source = cause.source();
    }
    if text.is_empty() {
        text = "no cause is known".into();
    }
    // What webpki calls so says little to a person.
    let text = text.replace(
        &format!("Other(OtherError({AUTHORITY_AS_SERVER}))"),
        &format!("it is an authority's own ({AUTHORITY_AS_SERVER})"),
    );
    match remedy {
        Some(remedy) => format!("{text}; {remedy}"),
        None => text,
    }
}

fn tls_remedy(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    // An io::Error passes over the error that it carries, and may carry another io::Error.
    let mut cause = cause;
    while let Some(inner) = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        cause = inner;
    }
    Some(match cause.downcast_ref::<Error>()? {
        Error::InvalidCertificate(certificate) => match certificate {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "the certificate has expired: it must be renewed there, or this machine's clock is wrong"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "the certificate is not valid yet: this machine's clock is behind, or it was made for later"
            }
            Certificate::UnknownIssuer => UNKNOWN_ISSUER,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "the certificate is for another name: check base_url, or whether something stands in between"
            }
            Certificate::Other(other)
                if ["EkuError", "RequiredEkuNotFound"].iter().any(|it| format!("{other:?}").contains(it)) =>
            {
                NOT_FOR_SERVERS
            }
            Certificate::Revoked => "its issuer has revoked the certificate: it must be replaced there",
            Certificate::BadSignature | Certificate::UnsupportedSignatureAlgorithmContext { .. } => {
                "its signature is not right, or of a kind that is no longer taken (SHA-1): another issuer of the same name \
                 may be in ca_file, or the certificate must be made anew there"
            }
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => NOT_FOR_SERVERS,
            Certificate::Other(other) if other.to_string().contains(AUTHORITY_AS_SERVER) => {
                "the server shows the certificate of an authority (CA:TRUE) as its own, as a self-signed one often is; \
                 ca_file cannot help, as such a one is never taken for a server. Make it without CA:TRUE (openssl req -x509 \
                 -addext basicConstraints=critical,CA:FALSE) and put it into ca_file, or have one issued by an authority \
                 and put the authority's into ca_file"
            }
            Certificate::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
                "the certificate is of X.509 version 1: it must be made anew there, as version 3 with a \
                 subjectAltName"
            }
            _ => "the certificate must be replaced there, or something stands in between",
        },
        Error::InvalidMessage(_) => "the other side does not speak TLS on this port",
        Error::PeerIncompatible(_) | Error::AlertReceived(Alert::ProtocolVersion) => {
            "there is no TLS version that both sides take: this one takes 1.2 and 1.3, or 1.3 alone with min_tls = \"1.3\""
        }
        Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) => {
            "there is no cipher that both sides take: the other side must allow one of TLS 1.2 with ECDHE and AES-GCM or \
             ChaCha20, or TLS 1.3"
        }
        Error::AlertReceived(Alert::CertificateRequired | Alert::BadCertificate) => {
            "the other side wants a certificate of this client, which bodrelay does not have: check the address and what \
             stands in between"
        }
        Error::AlertReceived(Alert::UnrecognisedName) => {
            "the other side does not know the host's name: check base_url"
        }
        _ => return None,
    })
}
