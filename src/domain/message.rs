//! An entry as the outbox gives it, and the message that it becomes.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::ids::{DocumentType, IdentityDigest, LaneKey};

/// One row of the outbox with its headers, as read.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `C_ID`.
    pub entry_id: i64,
    /// `C_MESSAGE_PRIORITY`, 0–9, 9 first; a value outside is brought to the nearest, NULL is 4.
    pub priority: u8,
    /// `C_CREATED_DATE_TIME` exactly as the database gives it: part of the identity.
    pub created: String,
    /// The same as a time, where it can be read as one (UTC).
    pub created_at: Option<DateTime<Utc>>,
    /// `C_WAS_PROCESSED`.
    pub was_processed: i64,
    /// `C_XML`; `None` where it is NULL.
    pub payload: Option<Payload>,
    /// Keys and values as read, in the order of their `C_ID`; a NULL value is left out.
    pub headers: Vec<(String, String)>,
    /// Why the database cannot give the payload, or a header, in its own words.
    pub unreadable: Option<String>,
}

/// What `C_XML` held.
#[derive(Clone)]
pub struct Payload {
    pub bytes: Bytes,
    /// The column is text (or xml): the driver has decoded it to UTF-8, and an encoding named in the XML
    /// declaration no longer holds.
    pub is_text: bool,
}

impl std::fmt::Debug for Payload {
    // Bodies never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// What the log, the operator and the journal know of a message apart from its bytes: columns of
/// `bodrelay_message_log` (shared/tables.md). Fields that the row did not give are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noun: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting_entity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation_id: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_sequence: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_logical_id: Option<String>,
    #[serde(default)]
    pub document_bytes: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// The message of the same row that was accepted before: this one was asked for by the command `resend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend_of: Option<String>,
}

/// The parameters of one message, as the IMS carries them (spec/ims.md §5.1): the `ParameterRequest` part of
/// `multipartMessage`, headers of `message/multipart`. What the row did not give is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// `Verb.Noun`.
    pub document_name: String,
    pub message_id: String,
    pub from_logical_id: String,
    pub to_logical_id: String,
    pub encoding: Encoding,
    pub character_set: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounting_entity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_sequence: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_revision: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_abort_indicator: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_publication_date: Option<String>,
    /// `custom_<Name>` with their values, three at most.
    #[serde(flatten)]
    pub custom: std::collections::BTreeMap<String, String>,
}

/// How the payload part is encoded on the wire (spec/ims.md §9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Encoding {
    #[default]
    None,
    Deflate,
}

/// An entry after all checks (design.md §7): what it is, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Judged {
    pub entry_id: i64,
    pub priority: u8,
    pub identity: IdentityDigest,
    /// The application's `MessageId`, else the derived one.
    pub message_id: String,
    pub message_id_from_header: bool,
    /// Whatever could be told, also of an entry that fails; journal, memory and log row share it.
    pub facts: Arc<Facts>,
    /// From the header `BODType`, else from the document.
    pub document_type: Option<DocumentType>,
    /// `None`: nothing names the document, so the message is a lane of its own (design.md §4, "Lane").
    pub lane: Option<LaneKey>,
    pub verdict: Verdict,
    /// Things that do not stop the message but that the operator should hear of.
    pub warnings: Vec<Warning>,
}

/// What becomes of an entry.
#[derive(Debug, Clone)]
pub enum Verdict {
    Send(Box<Parcel>),
    Fail(Failure),
    /// It waits for somebody; its row stays 0.
    Park(Park),
}

/// What a parked entry waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Park {
    /// Required headers that are not there (yet), by name; all of them when there is no header at all.
    HeadersMissing(Vec<&'static str>),
    /// No row of `bodrelay_document` names its type.
    NotListed,
    /// The row of its type has `enabled = 0`.
    Disabled,
}

/// What a post needs; its bytes are final.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub parameters: Parameters,
    /// The bytes to post, already as `parameters.encoding` says.
    pub payload: Bytes,
}

/// A finding about a message that is sent all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The finding's stable code, UPPER_SNAKE.
    pub code: &'static str,
    pub text: String,
}
