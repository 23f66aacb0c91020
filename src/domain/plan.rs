//! The control tables as settings that are known to be right: rows in, `ConnectionPoint`s and refusals out.
//!
//! One bad row yields one `Refused` with its reason and the others go on. A setting that this version does not carry
//! out is refused, never ignored.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::ids::DocumentType;

/// A row of `bodrelay_connection_point` as read. CHECKs in the table restate what is tested here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPointRow {
    pub connection_point: String,
    pub location_name: String,
    pub ion_name: String,
    pub tenant_id: String,
    pub logical_id: String,
    pub source_kind: String,
    pub source_tenant_id: Option<String>,
    pub source_logical_id: Option<String>,
    pub send_mode: String,
    pub receive_mode: String,
    pub send_rows_from: Option<DateTime<Utc>>,
    pub poll_seconds: Option<i64>,
    pub poll_cron: Option<String>,
    pub time_zone: String,
    pub blackout: Option<String>,
    pub batch_rows: i64,
    pub parallel_posts: i64,
    pub max_messages_per_second: Option<i64>,
    pub max_document_bytes: i64,
    pub after_failure: String,
    pub backoff_step_seconds: i64,
    pub backoff_max_seconds: i64,
    pub lone_rounds: i64,
    pub lone_in_doubt_tries: i64,
    pub headers_grace_seconds: i64,
    pub ims_version: String,
    pub ims_method: String,
    pub encoding: String,
    pub check_accepted: bool,
    pub log_messages: String,
    pub log_attempts: String,
    pub log_keep_days: i64,
    pub outbox_keep_hours: Option<i64>,
    pub refused_reason: Option<String>,
}

/// A row of `bodrelay_document` as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    pub connection_point: String,
    pub direction: String,
    pub verb: String,
    pub noun: String,
    pub enabled: bool,
    pub namespace: Option<String>,
    pub order_by: String,
    pub document_id_path: Option<String>,
    pub after_failure: Option<String>,
    pub max_document_bytes: Option<i64>,
    pub refused_reason: Option<String>,
}

/// A row of `bodrelay_status_rule` as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRuleRow {
    pub connection_point: String,
    pub http_status: i64,
    pub answer_class: String,
}

/// The control tables of one database, as read in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlTables {
    pub connection_points: Vec<ConnectionPointRow>,
    pub documents: Vec<DocumentRow>,
    pub status_rules: Vec<StatusRuleRow>,
}

/// Whether a connection point posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendMode {
    Off,
    /// Scans and checks everything, posts and flags nothing.
    Observe,
    On,
}

/// What the later messages of a lane do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    Continue,
    /// They wait for a DBA.
    Hold,
}

/// Which messages keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy {
    Document,
    ConnectionPoint,
    None,
}

/// `encoding` of a connection point: what becomes of stored bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireEncoding {
    AsIs,
    None,
    Deflate,
}

/// Which IMS method carries a message (spec/ims.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImsMethod {
    V3MultipartMessage,
    V3Message,
    V2MultipartMessage,
}

/// The class of an HTTP status (design.md §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnswerClass {
    Accepted,
    Retry,
    Reject,
    Suspend,
}

/// How a scope backs off: wait n = min(step · n, max).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub step: Duration,
    pub max: Duration,
}

/// A connection point whose settings are all valid.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionPoint {
    pub name: String,
    pub ion_name: String,
    pub tenant_id: String,
    pub logical_id: String,
    pub source_tenant_id: Option<String>,
    pub source_logical_id: Option<String>,
    pub send_mode: SendMode,
    pub send_rows_from: Option<DateTime<Utc>>,
    pub poll: Duration,
    pub batch_rows: u32,
    pub parallel_posts: usize,
    pub max_document_bytes: usize,
    pub after_failure: AfterFailure,
    pub backoff: Backoff,
    pub lone_rounds: u32,
    pub lone_in_doubt_tries: u32,
    pub headers_grace: Duration,
    pub ims_method: ImsMethod,
    pub encoding: WireEncoding,
    pub check_accepted: bool,
    pub log_all_messages: bool,
    pub log_all_attempts: bool,
    pub log_keep_days: u32,
    /// Documents of direction `out`, also the disabled ones.
    pub documents: BTreeMap<DocumentType, Document>,
    /// The connection point's own rules laid over those of '*'.
    pub status_rules: BTreeMap<u16, AnswerClass>,
}

/// One document type of a connection point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub enabled: bool,
    /// Namespace of envelope, verb and noun element; `None`: any.
    pub namespace: Option<String>,
    pub order_by: OrderBy,
    /// Where the document id is, as in `DataArea/SalesOrder/Header/OrderID`; without the root.
    pub document_id_path: Option<String>,
    pub after_failure: AfterFailure,
    pub max_document_bytes: usize,
}
