//! What the receiver answers: JSON that says what is wrong and where, and nothing of what is behind it.

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

pub(super) type Answer = Response<Full<Bytes>>;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// Stable, UPPER_SNAKE.
    pub code: Cow<'static, str>,
    pub text: String,
    /// Seconds after which it may come again.
    pub retry_after: Option<u64>,
    /// The request's body is not read to its end, so the connection cannot go on.
    pub closes: bool,
}

impl Refusal {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self { status, code: code.into(), text: text.into(), retry_after: None, closes: false }
    }

    /// It is not the document's fault: it should come again.
    pub fn later(code: &'static str, text: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, text) }
    }

    pub fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    pub fn answer(&self) -> Answer {
        let body = serde_json::json!({ "code": self.code, "errors": [self.text] });
        let mut answer = json(self.status, &body.to_string());
        let headers = answer.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// 401, with the schemes that are taken.
pub(super) fn unauthorized(text: &str, challenge: &str) -> Answer {
    let mut answer = Refusal::new(StatusCode::UNAUTHORIZED, "CREDENTIAL_REFUSED", text).answer();
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

pub(super) fn json(status: StatusCode, text: &str) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// hyper's handler cannot fail: every trouble is an answer.
pub(super) type Handled = Result<Answer, Infallible>;
