//! What came of one post, and what it means: a class, the scope that waits for it, and whether it is in doubt.
//!
//! `Answer` is total: whatever can happen to a request is one of its cases, so there is no error to forget.

use std::time::Duration;

use super::plan::AnswerClass;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A complete HTTP answer.
    Http {
        status: u16,
        /// The first 1,000 characters of the body as text, for the log.
        text: String,
        /// The body is an HTML page: a login page or a proxy's, not IMS.
        is_html: bool,
        /// `Retry-After` in either form, already a duration.
        retry_after: Option<Duration>,
    },
    /// No connection to ION: name, route, proxy, TLS. Nothing of the message left this host.
    NotConnected { what: String },
    /// No token: the token endpoint refused or could not be reached. Nothing of the message left this host.
    NoToken { status: Option<u16>, what: String, retry_after: Option<Duration> },
    /// The request was (or may have been) sent and no whole answer came: time-out, reset.
    Unanswered { what: String },
}

/// The scopes that can wait, from wide to narrow (design.md §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    Endpoint,
    ConnectionPoint,
    DocumentType,
    Lane,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    pub class: AnswerClass,
    /// Who waits, for the classes retry and suspend.
    pub scope: ScopeKind,
    pub in_doubt: bool,
}

impl Answer {
    /// The table of design.md §5. `rule` is the class that `bodrelay_status_rule` gives a status; statuses without a
    /// rule are rejected at once, as ION does (spec/ionapi.md §5).
    pub fn meaning(&self, rule: impl Fn(u16) -> Option<AnswerClass>) -> Meaning {
        let retry = |scope, in_doubt| Meaning { class: AnswerClass::Retry, scope, in_doubt };
        match self {
            Self::NotConnected { .. } | Self::NoToken { .. } => retry(ScopeKind::Endpoint, false),
            Self::Unanswered { .. } => retry(ScopeKind::Lane, true),
            Self::Http { status: 200..=299, is_html: true, .. } => retry(ScopeKind::Endpoint, false),
            Self::Http { status: 200..=299, .. } => {
                Meaning { class: AnswerClass::Accepted, scope: ScopeKind::Lane, in_doubt: false }
            }
            Self::Http { status, .. } => {
                let class = rule(*status).unwrap_or(AnswerClass::Reject);
                let scope = match (class, status) {
                    (AnswerClass::Suspend, _) => ScopeKind::DocumentType,
                    (_, 408) => ScopeKind::Lane,
                    (_, 401 | 429 | 502 | 504) => ScopeKind::Endpoint,
                    _ => ScopeKind::ConnectionPoint,
                };
                // 408, 502 and 504 come after the body was read by somebody, who may have passed it on.
                Meaning {
                    class,
                    scope,
                    in_doubt: matches!(status, 408 | 502 | 504) && class == AnswerClass::Retry,
                }
            }
        }
    }

    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } => Some(*status),
            Self::NoToken { status, .. } => *status,
            Self::NotConnected { .. } | Self::Unanswered { .. } => None,
        }
    }

    /// How long the other side asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { retry_after, .. } | Self::NoToken { retry_after, .. } => *retry_after,
            Self::NotConnected { .. } | Self::Unanswered { .. } => None,
        }
    }

    /// A stable code for the log: `HTTP_503`, `NOT_CONNECTED`, `NO_TOKEN`, `UNANSWERED`, `NOT_AN_IMS_ANSWER`.
    pub fn code(&self) -> String {
        match self {
            Self::Http { status: 200..=299, is_html: true, .. } => "NOT_AN_IMS_ANSWER".into(),
            Self::Http { status, .. } => format!("HTTP_{status}"),
            Self::NotConnected { .. } => "NOT_CONNECTED".into(),
            Self::NoToken { .. } => "NO_TOKEN".into(),
            Self::Unanswered { .. } => "UNANSWERED".into(),
        }
    }

    /// What the other side or the network said, for the log.
    pub fn text(&self) -> &str {
        match self {
            Self::Http { text, .. } => text,
            Self::NotConnected { what } | Self::NoToken { what, .. } | Self::Unanswered { what } => what,
        }
    }
}
