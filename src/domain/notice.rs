//! What the operator should hear of: the content of a finding, raised or cleared.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::outside::printable_lines;

/// Codes of what happened once, not of what is so: each is over when it has not happened again for days.
const EVENTS: &[&str] = &[
    "BODID_DIFFERS",
    "BODTYPE_MALFORMED",
    "CALLER_REFUSED",
    "CHANGES_REFUSED",
    "CLOCK_JUMPED",
    "DATABASE_RESTORED",
    "DOCUMENT_ID_AMBIGUOUS",
    "DOCUMENT_ID_PATH_EMPTY",
    "DOCUMENT_NEARLY_TOO_LARGE",
    "DOCUMENT_NOT_STORED",
    "ENVELOPE_INCOMPLETE",
    "FROM_LOGICAL_ID_DIFFERS",
    "HEADER_BLANKS",
    "HEADER_KEY_CASE",
    "HEADER_NOT_SENT",
    "HEARTBEAT_GAP",
    "INSTANCES_DIFFER",
    "JOURNAL_LOST",
    "JOURNAL_RESTORED",
    "LISTENER_CROWDED",
    "LOG_NOT_READ_WHOLE",
    "MESSAGE_IDS_REUSED",
    "MESSAGE_ID_TOO_LONG",
    "MESSAGE_ID_UNFIT",
    "NO_DOCUMENT_ID",
    "RECEIVED_NOT_LISTED",
    "RECEIVED_UNFIT",
    "RECEIVED_BUT_GONE",
    "RECEIVER_NEW",
    "REPEAT_DIFFERS",
    "ROWS_WITHOUT_HEADERS",
    "ROW_CHANGED_AFTER_SEND",
    "ROW_COMMITTED_LATE",
    "SAME_VARIATION_DIFFERS",
    "SENDER_LOGICAL_ID_DIFFERS",
    "SENT_BEFORE",
    "SEVERAL_INSTANCES",
    "SOURCE_ID_REUSED",
    "TENANT_DIFFERS",
    "TRAILING_BYTES",
    "VARIATION_CAME_LATE",
    "VARIATION_GOES_DOWN",
    "WOULD_FAIL",
];

/// Whether a code is of something that happened, not of something that is so.
pub fn is_event(code: &str) -> bool {
    EVENTS.contains(&code)
}

/// Codes of what can come and go within a second, as locks, gateways and disks do: each is over when it has been over for
/// a while.
const UNSTEADY: &[&str] = &[
    "ADDRESS_WRONG",
    "CREDENTIAL_REFUSED",
    "DATABASE_UNAVAILABLE",
    "DISK_FILLING",
    "DISK_NEARLY_FULL",
    "INACTIVE_IN_ION",
    "ION_BUSY",
    "ION_UNREACHABLE",
    "JOURNAL_FULL",
    "NOT_AN_IMS_ANSWER",
    "TOKEN_REFUSED",
];

/// Whether what a code says can come and go within a second.
pub fn is_unsteady(code: &str) -> bool {
    UNSTEADY.contains(&code)
}

/// A finding as the part that noticed it says it. Its code is stable for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// UPPER_SNAKE.
    pub code: &'static str,
    pub severity: Severity,
    pub connection_point: Option<String>,
    /// What it is about: a document type, a row, a file; part of what makes a finding one.
    pub subject: String,
    pub text: String,
    pub remedy: String,
    /// It was seen not to hold any more; that nobody looked is not enough.
    pub cleared: bool,
    /// It says nothing new: where it is open, it still is.
    pub goes_on: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    /// From `bodrelay_finding.severity`; what its CHECK does not know counts as the worst.
    pub fn parse(text: &str) -> Self {
        match text {
            "info" => Self::Info,
            "warning" => Self::Warning,
            _ => Self::Error,
        }
    }

    /// As `bodrelay_finding.severity` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

fn printed(text: String) -> String {
    match printable_lines(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(printed) => printed,
    }
}

impl Notice {
    pub fn new(
        code: &'static str,
        severity: Severity,
        point: Option<&str>,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            connection_point: point.map(str::to_owned),
            subject: printed(subject.into()),
            text: String::new(),
            remedy: String::new(),
            cleared: false,
            goes_on: false,
        }
    }

    /// What is so, and what to do about it. Whatever a document put into them acts nowhere.
    pub fn says(mut self, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.text = printed(text.into());
        self.remedy = printed(remedy.into());
        self
    }

    /// Whoever left it open was right: nobody has seen it over.
    pub fn still(mut self) -> Self {
        self.goes_on = true;
        self
    }

    /// It was seen not to hold any more.
    pub fn clears(mut self) -> Self {
        self.cleared = true;
        self
    }
}
