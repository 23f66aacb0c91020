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
    /// The document itself may be why: after enough refusals while others pass it fails for this document only.
    pub of_document: bool,
}

/// A redirect, a login that is missing, a method, a pace: whatever the document, it is never why.
fn is_about_the_way(status: u16) -> bool {
    matches!(status, 300..=308 | 401 | 405 | 407 | 429)
}

impl ScopeKind {
    /// Where it shows whether others pass: a time-out concerns the lane, and that it is alone shows at the endpoint.
    pub fn is_compared_at(self) -> Self {
        match self {
            Self::Lane => Self::Endpoint,
            Self::Endpoint | Self::ConnectionPoint | Self::DocumentType => self,
        }
    }

    /// The next wider scope, where two of this kind make it wait.
    pub fn wider(self) -> Option<Self> {
        match self {
            Self::Endpoint => None,
            Self::ConnectionPoint | Self::Lane => Some(Self::Endpoint),
            Self::DocumentType => Some(Self::ConnectionPoint),
        }
    }

    /// The kinds that can be told apart, as the journal keeps them: wide is low.
    pub fn number(self) -> u8 {
        match self {
            Self::Endpoint => 1,
            Self::ConnectionPoint => 2,
            Self::DocumentType => 3,
            Self::Lane => 4,
        }
    }

    /// Reads what `number` wrote; 0 is none.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Endpoint, Self::ConnectionPoint, Self::DocumentType, Self::Lane]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

impl Answer {
    /// The table of design.md §5. `rule` is the class that `bodrelay_status_rule` gives a status; statuses without a
    /// rule are rejected at once, as ION does (spec/ionapi.md §5).
    pub fn meaning(&self, rule: impl Fn(u16) -> Option<AnswerClass>) -> Meaning {
        let meaning = |class, scope| Meaning { class, scope, in_doubt: false, of_document: true };
        let retry = |scope| meaning(AnswerClass::Retry, scope);
        match self {
            // Nothing of the document was seen by anybody.
            Self::NotConnected { .. } | Self::NoToken { .. } => {
                Meaning { of_document: false, ..retry(ScopeKind::Endpoint) }
            }
            Self::Unanswered { .. } => Meaning { in_doubt: true, ..retry(ScopeKind::Lane) },
            // The page with which a firewall refuses what it found in a document looks so, too.
            Self::Http { status: 200..=299, is_html: true, .. } => retry(ScopeKind::Endpoint),
            Self::Http { status: 200..=299, .. } => meaning(AnswerClass::Accepted, ScopeKind::Lane),
            Self::Http { status, .. } => {
                let class = rule(*status).unwrap_or(AnswerClass::Reject);
                let scope = match (class, status) {
                    (AnswerClass::Suspend, _) => ScopeKind::DocumentType,
                    (_, 408) => ScopeKind::Lane,
                    (_, 401 | 429 | 502 | 504) => ScopeKind::Endpoint,
                    _ => ScopeKind::ConnectionPoint,
                };
                Meaning {
                    // 408, 502 and 504 come after the body was read by somebody, who may have passed it on.
                    in_doubt: matches!(status, 408 | 502 | 504) && class == AnswerClass::Retry,
                    of_document: !is_about_the_way(*status),
                    ..meaning(class, scope)
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
