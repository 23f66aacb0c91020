//! The control tables as settings that are known to be right: rows in, `ConnectionPoint`s and refusals out.
//!
//! One bad row yields one `Refused` with its reason and the others go on. A setting that this version does not carry
//! out is refused, never ignored. What was accepted before keeps its last good settings until the new ones are good
//! (`standing`); what is switched off or deleted ends at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::blackout::Blackout;
use super::ids::DocumentType;
use super::incoming::{DuplicateKey, InboundPlan, InboundRules, OlderVariation};
use super::notice::{Notice, Severity};
use super::schedule::{Cron, Schedule};

mod overlap;
mod standing;

pub use overlap::{Alike, Pair};

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
    /// An agent has taken it over, or refused it, at some time.
    pub was_applied: bool,
    /// Which cell cannot be read, and why; the row is refused.
    pub unreadable: Option<String>,
}

impl ConnectionPointRow {
    /// Tenant and logical id that its rows of the outbox have; `None`: not chosen by it. Rows that are composed have its
    /// own, unless others are given: so no other connection point takes them.
    pub fn source(&self) -> (Option<String>, Option<String>) {
        let own = |given: &Option<String>, own: &String| match self.source_kind == "rows" {
            true => given.clone().or_else(|| Some(own.clone())),
            false => given.clone(),
        };
        (own(&self.source_tenant_id, &self.tenant_id), own(&self.source_logical_id, &self.logical_id))
    }
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
    pub duplicate_key: String,
    pub older_variation: String,
    pub refused_reason: Option<String>,
    /// Which cell cannot be read, and why; the row is refused.
    pub unreadable: Option<String>,
}

/// A row of `bodrelay_status_rule` as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRuleRow {
    pub connection_point: String,
    pub http_status: i64,
    pub answer_class: String,
    /// Which cell cannot be read, and why; the row is refused.
    pub unreadable: Option<String>,
}

/// The control tables of one database, as read in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlTables {
    pub connection_points: Vec<ConnectionPointRow>,
    pub documents: Vec<DocumentRow>,
    pub status_rules: Vec<StatusRuleRow>,
    /// Which sources the outbox does not tell apart.
    pub alike: Alike,
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

impl OrderBy {
    /// As in `bodrelay_document.order_by`.
    const WORDS: [(&str, Self); 3] =
        [("document", Self::Document), ("connection_point", Self::ConnectionPoint), ("none", Self::None)];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::ConnectionPoint => "connection_point",
            Self::None => "none",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS.into_iter().find_map(|(word, order)| (word == text).then_some(order))
    }
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

impl AnswerClass {
    /// As the tables say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Suspend => "suspend",
        }
    }
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
    /// `source_kind = 'rows'`: documents are composed from changes first.
    pub composes: bool,
    pub send_mode: SendMode,
    pub send_rows_from: Option<DateTime<Utc>>,
    pub schedule: Schedule,
    /// Whose clock schedule and blackout go by.
    pub time_zone: Tz,
    pub blackout: Option<Blackout>,
    pub max_messages_per_second: Option<u32>,
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
    /// Accepted rows of the outbox are deleted so long after their acceptance; `None`: never.
    pub outbox_keep: Option<Duration>,
    /// Documents of direction `out`, also the disabled ones.
    pub documents: BTreeMap<DocumentType, Document>,
    /// The connection point's own rules laid over those of '*'.
    pub status_rules: BTreeMap<u16, AnswerClass>,
}

impl ConnectionPoint {
    /// What the later messages of a lane do after a failure of this type (`Verb.Noun`).
    pub fn after_failure_of(&self, document_type: &str) -> AfterFailure {
        DocumentType::parse(document_type)
            .and_then(|document_type| self.documents.get(&document_type))
            .map_or(self.after_failure, |document| document.after_failure)
    }

    /// Every failure, of whatever type, keeps the later messages of its lane waiting.
    pub fn always_holds(&self) -> bool {
        let holds = |after_failure| after_failure == AfterFailure::Hold;
        holds(self.after_failure) && self.documents.values().all(|document| holds(document.after_failure))
    }
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

/// What a control table row must fit to be carried by this agent.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// `[agent] location`.
    pub location: &'a str,
    /// Names of `[[ion]]` with the tenant of their credential.
    pub ions: &'a BTreeMap<String, String>,
}

/// What the control tables of one database say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Connection points that can be carried out, by name.
    pub connection_points: BTreeMap<String, ConnectionPoint>,
    /// What those of them with receive_mode = 'on' receive, by name.
    pub inbound: BTreeMap<String, InboundPlan>,
    pub refused: Vec<Refused>,
    /// Rules of HTTP statuses that are not taken, in words.
    pub rules_refused: Vec<Notice>,
    /// Connection points of other locations: somebody else's, left alone without a word in their row.
    pub elsewhere: Vec<String>,
}

/// A row that is not carried out, with the reason that goes beside it into the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub connection_point: String,
    /// `None`: the connection point's own row; else the document type's.
    pub document: Option<DocumentType>,
    /// Of the document type: `out` or `in`.
    pub direction: &'static str,
    pub reason: String,
}

impl ControlTables {
    /// Documents of a connection point that does not exist.
    pub fn documents_without_point(&self) -> impl Iterator<Item = Notice> {
        let known = |name: &str| self.connection_points.iter().any(|row| row.connection_point == name);
        self.documents.iter().filter(move |row| !known(&row.connection_point)).map(|row| {
            let subject = format!("{}.{}", row.verb, row.noun);
            Notice::new("DOCUMENT_WITHOUT_POINT", Severity::Warning, Some(&row.connection_point), subject)
                .says(
                    "bodrelay_document names a connection point that bodrelay_connection_point does not have",
                    "Correct connection_point in the row (case counts), or delete it.",
                )
        })
    }
}

impl Refused {
    /// What the operator hears of it.
    pub fn notice(&self) -> Notice {
        let (code, subject) = match &self.document {
            None if self.reason.contains("overlaps with") => ("ROWS_OVERLAP", "connection point".to_owned()),
            None => ("SETTING_REFUSED", "connection point".to_owned()),
            Some(document) => ("SETTING_REFUSED", document.to_string()),
        };
        Notice::new(code, Severity::Error, Some(&self.connection_point), subject).says(
            self.reason.clone(),
            "Correct the row as the text says; the agent takes it at its next look.",
        )
    }
}

impl Plan {
    /// Reads the tables. A bad row is refused with its reason, the rest goes on.
    pub fn read(tables: &ControlTables, surroundings: &Surroundings<'_>) -> Self {
        Self::read_over(tables, surroundings, &Self::default())
    }

    /// The same where `before` is in force: what is refused now and was accepted then keeps its last good settings.
    pub fn read_over(tables: &ControlTables, surroundings: &Surroundings<'_>, before: &Self) -> Self {
        let mut plan = Self::default();
        for row in &tables.connection_points {
            if row.location_name != surroundings.location {
                plan.elsewhere.push(row.connection_point.clone());
                continue;
            }
            let last = before.connection_points.get(&row.connection_point);
            let (point, reason) = match connection_point(row, surroundings) {
                Ok(point) => (Some(point), None),
                Err(reason) => standing::point(last, row, reason),
            };
            let name = row.connection_point.clone();
            if let Some(reason) = reason {
                plan.refused.push(Refused {
                    connection_point: name,
                    document: None,
                    direction: "out",
                    reason,
                });
            }
            if let Some(point) = point {
                plan.take(point, row, tables, before);
            }
        }
        plan.rules_refused = tables.status_rules.iter().filter_map(rule_refused).collect();
        plan.settle_overlaps(tables, before);
        plan
    }

    /// A connection point with its documents and rules.
    fn take(
        &mut self,
        mut point: ConnectionPoint,
        row: &ConnectionPointRow,
        tables: &ControlTables,
        before: &Self,
    ) {
        let name = point.name.clone();
        let rows = |direction: &'static str| {
            let of_point = tables.documents.iter().filter(|row| row.connection_point == name);
            of_point.filter(move |row| row.direction == direction)
        };
        let last = before.connection_points.get(&name);
        self.refused.extend(read_documents(&mut point, rows("out"), last));
        if row.receive_mode == "on" {
            let (inbound, refused) = read_inbound(&point, rows("in"), before.inbound.get(&name));
            self.inbound.insert(name.clone(), inbound);
            self.refused.extend(refused);
        }
        point.status_rules = status_rules(&name, &tables.status_rules, last);
        self.connection_points.insert(name, point);
    }

    /// Documents cannot be composed without the tables of a script that was not run.
    pub fn refuse_composing(&mut self, script: i64, needed: i64) {
        if script >= needed {
            return;
        }
        let composing: Vec<String> = self
            .connection_points
            .values()
            .filter(|point| point.composes)
            .map(|point| point.name.clone())
            .collect();
        for name in composing {
            self.connection_points.remove(&name);
            self.refused.push(Refused {
                connection_point: name,
                document: None,
                direction: "out",
                reason: format!(
                    "source_kind = 'rows' needs the tables of script {needed} (00{needed}_compose.sql), but the control \
                     tables are of script {script}: run it ('bodrelay sql' prints the scripts)"
                ),
            });
        }
    }
}

type Reason<T> = std::result::Result<T, String>;

fn connection_point(row: &ConnectionPointRow, surroundings: &Surroundings<'_>) -> Reason<ConnectionPoint> {
    readable(row.unreadable.as_ref())?;
    word("receive_mode", &row.receive_mode, &[("off", ()), ("on", ())])?;
    let zone = time_zone(&row.time_zone)?;
    match surroundings.ions.get(&row.ion_name) {
        None => {
            return Err(format!(
                "ion_name = '{}': the configuration file has no [[ion]] of this name (it has: {}). Correct one of them",
                row.ion_name,
                surroundings.ions.keys().cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        Some(tenant) if !tenant.eq_ignore_ascii_case(&row.tenant_id) => {
            return Err(format!(
                "tenant_id = '{}', but the credential of [[ion]] {} is for tenant '{tenant}': nothing is sent under a \
             foreign tenant. Correct tenant_id, or name another [[ion]] in ion_name",
                row.tenant_id, row.ion_name
            ));
        }
        Some(_) => {}
    }
    let backoff = Backoff {
        step: Duration::from_secs(number("backoff_step_seconds", row.backoff_step_seconds, 1, 86_400)?),
        max: Duration::from_secs(number("backoff_max_seconds", row.backoff_max_seconds, 1, 86_400)?),
    };
    if backoff.max < backoff.step {
        return Err("backoff_max_seconds is below backoff_step_seconds: raise it".into());
    }
    let (source_tenant_id, source_logical_id) = row.source();
    Ok(ConnectionPoint {
        name: row.connection_point.clone(),
        ion_name: row.ion_name.clone(),
        tenant_id: row.tenant_id.clone(),
        logical_id: logical_id(&row.logical_id)?,
        source_tenant_id,
        source_logical_id,
        composes: word("source_kind", &row.source_kind, &[("iobox", false), ("rows", true)])?,
        send_mode: word(
            "send_mode",
            &row.send_mode,
            &[("off", SendMode::Off), ("observe", SendMode::Observe), ("on", SendMode::On)],
        )?,
        send_rows_from: row.send_rows_from,
        schedule: schedule(row, zone)?,
        time_zone: zone,
        blackout: row.blackout.as_deref().map(|text| Blackout::parse(text, zone)).transpose()?,
        max_messages_per_second: row
            .max_messages_per_second
            .map(|rate| number("max_messages_per_second", rate, 1, 1_000_000))
            .transpose()?,
        batch_rows: number("batch_rows", row.batch_rows, 1, 10_000)?,
        parallel_posts: number("parallel_posts", row.parallel_posts, 1, 256)?,
        max_document_bytes: number("max_document_bytes", row.max_document_bytes, 1024, 52_428_800)?,
        after_failure: after_failure(&row.after_failure)?,
        backoff,
        lone_rounds: number("lone_rounds", row.lone_rounds, 1, 1_000_000)?,
        lone_in_doubt_tries: number("lone_in_doubt_tries", row.lone_in_doubt_tries, 1, 1_000_000)?,
        headers_grace: Duration::from_secs(number(
            "headers_grace_seconds",
            row.headers_grace_seconds,
            0,
            86_400,
        )?),
        ims_method: ims_method(row)?,
        encoding: word(
            "encoding",
            &row.encoding,
            &[
                ("as_is", WireEncoding::AsIs),
                ("none", WireEncoding::None),
                ("deflate", WireEncoding::Deflate),
            ],
        )?,
        check_accepted: row.check_accepted,
        log_all_messages: word("log_messages", &row.log_messages, &[("all", true), ("problems", false)])?,
        log_all_attempts: word("log_attempts", &row.log_attempts, &[("all", true), ("problems", false)])?,
        log_keep_days: number("log_keep_days", row.log_keep_days, 1, 36_500)?,
        outbox_keep: row
            .outbox_keep_hours
            .map(|hours| number("outbox_keep_hours", hours, 1, 1_000_000))
            .transpose()?
            .map(|hours: u64| Duration::from_secs(hours * 3_600)),
        documents: BTreeMap::new(),
        status_rules: BTreeMap::new(),
    })
}

fn schedule(row: &ConnectionPointRow, zone: Tz) -> Reason<Schedule> {
    match (&row.poll_cron, row.poll_seconds) {
        (Some(text), None) => Ok(Schedule::Cron(Box::new(Cron::parse(text, zone)?))),
        (None, Some(seconds)) => {
            Ok(Schedule::Every(Duration::from_secs(number("poll_seconds", seconds, 1, 86_400)?)))
        }
        _ => Err("poll_seconds, poll_cron: give exactly one of the two, the other is NULL".into()),
    }
}

fn time_zone(name: &str) -> Reason<Tz> {
    name.trim().parse().map_err(|_| {
        format!(
            "time_zone = '{name}' is no name of the IANA time zones: write as in 'Europe/Berlin', 'America/New_York' \
             or 'UTC'"
        )
    })
}

/// `lid://…`, 250 characters at most, and never the receiver `lid://default` (spec/bod.md §6).
fn logical_id(text: &str) -> Reason<String> {
    let name = text.strip_prefix("lid://").unwrap_or_default();
    if name.is_empty()
        || name == "default"
        || text.chars().count() > 250
        || name.contains(char::is_whitespace)
    {
        return Err(format!(
            "logical_id = '{text}': write the logical id of the IMS connection point in ION, as in lid://infor.ims.name"
        ));
    }
    Ok(text.to_owned())
}

fn ims_method(row: &ConnectionPointRow) -> Reason<ImsMethod> {
    match (row.ims_version.as_str(), row.ims_method.as_str()) {
        ("v3", "multipartMessage") => Ok(ImsMethod::V3MultipartMessage),
        ("v3", "message") => Ok(ImsMethod::V3Message),
        ("v2", "multipartMessage") => Ok(ImsMethod::V2MultipartMessage),
        (version, method) => Err(format!(
            "ims_version = '{version}' with ims_method = '{method}': use v3 with multipartMessage or message, or v2 \
             with multipartMessage"
        )),
    }
}

fn after_failure(text: &str) -> Reason<AfterFailure> {
    word("after_failure", text, &[("continue", AfterFailure::Continue), ("hold", AfterFailure::Hold)])
}

fn read_documents<'a>(
    point: &mut ConnectionPoint,
    rows: impl Iterator<Item = &'a DocumentRow>,
    last: Option<&ConnectionPoint>,
) -> Vec<Refused> {
    let mut refused = Vec::new();
    let mut refuse = |document_type: DocumentType, reason: String| {
        refused.push(Refused {
            connection_point: point.name.clone(),
            document: Some(document_type),
            direction: "out",
            reason,
        });
    };
    for row in rows {
        let document_type = DocumentType::new(&row.verb, &row.noun);
        match document(point, row) {
            Ok(document) => _ = point.documents.insert(document_type, document),
            Err(reason) => {
                let stands = last.and_then(|last| last.documents.get(&document_type));
                refuse(document_type.clone(), standing::said(reason, stands.is_some()));
                if let Some(last) = stands {
                    let document = Document { enabled: last.enabled && row.enabled, ..last.clone() };
                    point.documents.insert(document_type, document);
                }
            }
        }
    }
    // A noun's verbs share its lanes, so they must be ordered alike.
    let nouns: BTreeSet<String> = point.documents.keys().map(|it| it.noun.clone()).collect();
    for noun in nouns {
        let types = point.documents.iter().filter(|(it, _)| it.noun == noun);
        let orders: BTreeMap<DocumentType, OrderBy> =
            types.map(|(it, doc)| (it.clone(), doc.order_by)).collect();
        let first = orders.values().next().copied();
        if orders.values().all(|order| Some(*order) == first) {
            continue;
        }
        // The order that applies to the noun goes on; those that agree with it are not to blame.
        let stands =
            |it: &DocumentType| last.and_then(|last| last.documents.get(it)).map(|last| last.order_by);
        let applies = orders.keys().find_map(stands);
        for (document_type, order) in orders {
            if Some(order) == applies {
                continue;
            }
            let reason = format!("order_by differs between the verbs of {noun}: make them equal");
            let stays = stands(&document_type).is_some();
            match point.documents.get_mut(&document_type).zip(applies) {
                Some((document, applies)) if stays => document.order_by = applies,
                _ => _ = point.documents.remove(&document_type),
            }
            refuse(document_type, standing::said(reason, stays));
        }
    }
    refused
}

/// What a connection point receives: the enabled types of direction `in`.
fn read_inbound<'a>(
    point: &ConnectionPoint,
    rows: impl Iterator<Item = &'a DocumentRow>,
    last: Option<&InboundPlan>,
) -> (InboundPlan, Vec<Refused>) {
    let (mut documents, mut refused) = (BTreeMap::new(), Vec::new());
    for row in rows {
        let document_type = DocumentType::new(&row.verb, &row.noun);
        match inbound_rules(point, row) {
            Ok(rules) if row.enabled => _ = documents.insert(document_type, rules),
            Ok(_) => {}
            Err(reason) => {
                let stands = last.and_then(|last| last.documents.get(&document_type)).filter(|_| row.enabled);
                refused.push(Refused {
                    connection_point: point.name.clone(),
                    document: Some(document_type.clone()),
                    direction: "in",
                    reason: standing::said(reason, stands.is_some()),
                });
                if let Some(rules) = stands {
                    documents.insert(document_type, rules.clone());
                }
            }
        }
    }
    let largest = documents.values().map(|rules: &InboundRules| rules.max_document_bytes).max();
    let inbound = InboundPlan {
        connection_point: point.name.clone(),
        tenant_id: point.tenant_id.clone(),
        logical_id: point.logical_id.clone(),
        closed: None,
        max_document_bytes: u64::try_from(largest.unwrap_or(point.max_document_bytes)).unwrap_or(u64::MAX),
        documents,
    };
    (inbound, refused)
}

fn inbound_rules(point: &ConnectionPoint, row: &DocumentRow) -> Reason<InboundRules> {
    bare_names(row)?;
    Ok(InboundRules {
        inbox_tenant_id: point.source_tenant_id.as_ref().unwrap_or(&point.tenant_id).clone(),
        inbox_logical_id: point.source_logical_id.as_ref().unwrap_or(&point.logical_id).clone(),
        duplicate_key: word(
            "duplicate_key",
            &row.duplicate_key,
            &[
                ("message_id", DuplicateKey::MessageId),
                ("document_variation", DuplicateKey::DocumentVariation),
                ("document_digest", DuplicateKey::DocumentDigest),
            ],
        )?,
        older_variation: word(
            "older_variation",
            &row.older_variation,
            &[
                ("ignore", OlderVariation::Ignore),
                ("warn", OlderVariation::Warn),
                ("reject", OlderVariation::Reject),
            ],
        )?,
        log: point.log_all_messages,
        max_document_bytes: document_bytes(point, row)?,
        namespace: row.namespace.clone(),
    })
}

fn readable(unreadable: Option<&String>) -> Reason<()> {
    unreadable.map_or(Ok(()), |what| Err(what.clone()))
}

fn bare_names(row: &DocumentRow) -> Reason<()> {
    readable(row.unreadable.as_ref())?;
    for (column, text) in [("verb", &row.verb), ("noun", &row.noun)] {
        if text.is_empty() || text.contains(|c: char| c == '.' || c.is_whitespace()) {
            return Err(format!("{column} = '{text}': write the bare name, as in 'Sync' or 'SalesOrder'"));
        }
    }
    Ok(())
}

fn document_bytes(point: &ConnectionPoint, row: &DocumentRow) -> Reason<usize> {
    match row.max_document_bytes {
        Some(bytes) => number("max_document_bytes", bytes, 1024, 52_428_800),
        None => Ok(point.max_document_bytes),
    }
}

fn document(point: &ConnectionPoint, row: &DocumentRow) -> Reason<Document> {
    bare_names(row)?;
    if row.document_id_path.as_deref().is_some_and(|path| path.split('/').any(str::is_empty)) {
        return Err("document_id_path: write element names with single slashes, without the root, as in \
                    DataArea/SalesOrder/SalesOrderHeader/OrderID"
            .into());
    }
    Ok(Document {
        enabled: row.enabled,
        namespace: row.namespace.clone(),
        order_by: word("order_by", &row.order_by, &OrderBy::WORDS)?,
        document_id_path: row.document_id_path.clone(),
        after_failure: match &row.after_failure {
            Some(text) => after_failure(text)?,
            None => point.after_failure,
        },
        max_document_bytes: document_bytes(point, row)?,
    })
}

/// The rules of '*' with the connection point's own laid over them. A bad one leaves the class that applied before, or
/// of its status a retry: that loses nothing.
fn status_rules(
    name: &str,
    rows: &[StatusRuleRow],
    last: Option<&ConnectionPoint>,
) -> BTreeMap<u16, AnswerClass> {
    let mut rules = BTreeMap::new();
    for wanted in ["*", name] {
        for row in rows.iter().filter(|row| row.connection_point == wanted) {
            let Ok(status) = u16::try_from(row.http_status) else { continue };
            let class = answer_class(row).ok();
            let stands =
                || last.and_then(|last| last.status_rules.get(&status)).or(rules.get(&status)).copied();
            let class = class.or_else(stands).unwrap_or(AnswerClass::Retry);
            rules.insert(status, class);
        }
    }
    rules
}

fn answer_class(row: &StatusRuleRow) -> Reason<AnswerClass> {
    readable(row.unreadable.as_ref())?;
    number::<u16>("http_status", row.http_status, 100, 999)?;
    let classes = [AnswerClass::Retry, AnswerClass::Reject, AnswerClass::Suspend];
    word("answer_class", &row.answer_class, &classes.map(|class| (class.as_str(), class)))
}

fn rule_refused(row: &StatusRuleRow) -> Option<Notice> {
    let reason = answer_class(row).err()?;
    let point = Some(row.connection_point.as_str()).filter(|name| *name != "*");
    let subject = format!("status rule {}", row.http_status);
    Some(Notice::new("SETTING_REFUSED", Severity::Error, point, subject).says(
        format!(
            "bodrelay_status_rule: {reason}. Until then the class that applied before goes on, or a retry"
        ),
        "Correct the row as the text says; the agent takes it at its next look.",
    ))
}

fn word<T: Copy>(column: &str, text: &str, words: &[(&str, T)]) -> Reason<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("'{word}'")).collect();
        format!("{column} = '{text}': write one of {}", known.join(", "))
    })
}

fn number<T: TryFrom<i64>>(column: &str, value: i64, min: i64, max: i64) -> Reason<T> {
    (min..=max)
        .contains(&value)
        .then(|| T::try_from(value).ok())
        .flatten()
        .ok_or_else(|| format!("{column} = {value}: write a number from {min} to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> ConnectionPointRow {
        ConnectionPointRow {
            connection_point: name.into(),
            location_name: "PLANT1".into(),
            ion_name: "default".into(),
            tenant_id: "ACME_TST".into(),
            logical_id: format!("lid://infor.ims.{name}"),
            source_kind: "iobox".into(),
            source_tenant_id: None,
            source_logical_id: Some(format!("lid://infor.erp.{name}")),
            send_mode: "on".into(),
            receive_mode: "off".into(),
            send_rows_from: None,
            poll_seconds: Some(5),
            poll_cron: None,
            time_zone: "UTC".into(),
            blackout: None,
            batch_rows: 500,
            parallel_posts: 16,
            max_messages_per_second: None,
            max_document_bytes: 5_242_880,
            after_failure: "continue".into(),
            backoff_step_seconds: 10,
            backoff_max_seconds: 600,
            lone_rounds: 20,
            lone_in_doubt_tries: 5,
            headers_grace_seconds: 60,
            ims_version: "v3".into(),
            ims_method: "multipartMessage".into(),
            encoding: "as_is".into(),
            check_accepted: true,
            log_messages: "all".into(),
            log_attempts: "problems".into(),
            log_keep_days: 30,
            outbox_keep_hours: None,
            refused_reason: None,
            was_applied: false,
            unreadable: None,
        }
    }

    fn document_row(point: &str, verb: &str, order_by: &str) -> DocumentRow {
        DocumentRow {
            connection_point: point.into(),
            direction: "out".into(),
            verb: verb.into(),
            noun: "SalesOrder".into(),
            enabled: true,
            namespace: None,
            order_by: order_by.into(),
            document_id_path: None,
            after_failure: None,
            max_document_bytes: None,
            duplicate_key: "message_id".into(),
            older_variation: "warn".into(),
            refused_reason: None,
            unreadable: None,
        }
    }

    fn read(tables: &ControlTables) -> Plan {
        let ions = BTreeMap::from([("default".to_owned(), "acme_tst".to_owned())]);
        Plan::read(tables, &Surroundings { location: "PLANT1", ions: &ions })
    }

    #[test]
    fn a_bad_row_is_refused_and_the_rest_goes_on() {
        type Spoil = fn(&mut ConnectionPointRow);
        let cases: [(Spoil, &str); 13] = [
            (|row| row.tenant_id = "OTHER_TST".into(), "tenant"),
            (|row| row.ion_name = "nowhere".into(), "[[ion]]"),
            (|row| row.logical_id = "lid://default".into(), "logical_id"),
            (|row| row.poll_cron = Some("* * * * *".into()), "poll_cron"),
            (|row| row.blackout = Some("12:00-12".into()), "blackout"),
            (|row| row.max_messages_per_second = Some(0), "max_messages_per_second"),
            (|row| row.time_zone = "Berlin".into(), "time_zone"),
            (|row| row.receive_mode = "maybe".into(), "receive_mode"),
            (|row| row.source_kind = "queue".into(), "source_kind"),
            (|row| row.parallel_posts = 0, "parallel_posts"),
            (|row| row.send_mode = "maybe".into(), "send_mode"),
            (|row| row.backoff_max_seconds = 5, "backoff_max_seconds"),
            (|row| row.ims_version = "v2".into(), ""),
        ];
        for (spoil, named) in cases {
            let mut bad = row("bad");
            spoil(&mut bad);
            let plan =
                read(&ControlTables { connection_points: vec![bad, row("good")], ..Default::default() });
            assert!(plan.connection_points.contains_key("good"));
            if named.is_empty() {
                assert_eq!(plan.refused, vec![]);
            } else {
                assert_eq!(plan.refused.len(), 1, "{named}");
                assert!(plan.refused[0].reason.contains(named), "{}", plan.refused[0].reason);
            }
        }
    }

    #[test]
    fn overlapping_choices_of_rows_are_all_refused() {
        let mut all = row("all");
        all.source_logical_id = None;
        let plan = read(&ControlTables { connection_points: vec![all, row("one")], ..Default::default() });
        assert!(plan.connection_points.is_empty());
        assert_eq!(plan.refused.len(), 2);
        let plan =
            read(&ControlTables { connection_points: vec![row("one"), row("two")], ..Default::default() });
        assert_eq!(plan.connection_points.len(), 2);
    }

    fn read_over(tables: &ControlTables, before: &Plan) -> Plan {
        let ions = BTreeMap::from([("default".to_owned(), "acme_tst".to_owned())]);
        Plan::read_over(tables, &Surroundings { location: "PLANT1", ions: &ions }, before)
    }

    fn points(rows: Vec<ConnectionPointRow>) -> ControlTables {
        ControlTables { connection_points: rows, ..Default::default() }
    }

    fn refused(plan: &Plan) -> Vec<&str> {
        plan.refused.iter().map(|it| it.connection_point.as_str()).collect()
    }

    fn at(name: &str, source: &str) -> ConnectionPointRow {
        ConnectionPointRow { source_logical_id: Some(source.into()), ..row(name) }
    }

    #[test]
    fn what_works_goes_on_beside_one_that_overlaps() {
        let running = vec![row("a"), row("b"), row("c"), row("d")];
        let before = read(&points(running.clone()));
        let newcomer = ConnectionPointRow { source_logical_id: None, ..row("new") };
        let tables = points([running, vec![newcomer]].concat());
        let mut plan = read_over(&tables, &before);
        for _ in 0..3 {
            assert_eq!(plan.connection_points.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
            assert_eq!(refused(&plan), ["new"]);
            assert!(plan.refused[0].reason.contains("overlaps with that of"), "{}", plan.refused[0].reason);
            plan = read_over(&tables, &plan);
        }
        // The next process reads from the table what this one accepted.
        let mut rows = tables.connection_points;
        for row in &mut rows {
            row.was_applied = true;
            row.refused_reason = (row.connection_point == "new").then(|| "overlaps".into());
        }
        assert_eq!(refused(&read(&points(rows))), ["new"]);
    }

    #[test]
    fn a_changed_choice_of_rows_never_takes_what_works() {
        let before = read(&points(vec![at("a", "one"), at("b", "two")]));
        let plan = read_over(&points(vec![at("a", "two"), at("b", "two"), at("c", "one")]), &before);
        assert_eq!(plan.connection_points.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            plan.connection_points["a"].source_logical_id.as_deref(),
            Some("one"),
            "its last good one"
        );
        assert_eq!(refused(&plan), ["a", "c"]);
        let reason = &plan.refused[0].reason;
        assert!(reason.contains("the last good settings apply"), "{reason}");
        // Both at once is no overlap.
        let plan = read_over(&points(vec![at("a", "two"), at("b", "one")]), &before);
        assert_eq!(refused(&plan), [""; 0]);
        assert_eq!(plan.connection_points["a"].source_logical_id.as_deref(), Some("two"));
    }

    #[test]
    fn sources_that_the_outbox_does_not_tell_apart_overlap() {
        let mut tables = points(vec![at("a", "lid://infor.erp.X"), at("b", "lid://infor.erp.x ")]);
        let pair = ("lid://infor.erp.X".to_owned(), "lid://infor.erp.x ".to_owned());
        assert_eq!(refused(&read(&tables)), ["a", "b"], "nobody was asked");
        assert_eq!(
            Alike::doubtful([pair.1.as_str(), "lid://other", &pair.0].into_iter()),
            std::slice::from_ref(&pair)
        );
        tables.alike.logical_ids.insert(pair.clone(), true);
        assert_eq!(refused(&read(&tables)), ["a", "b"]);
        tables.alike.logical_ids.insert(pair, false);
        assert_eq!(refused(&read(&tables)), [""; 0]);
    }

    #[test]
    fn a_bad_row_leaves_the_last_good_settings_in_force() {
        let good = ControlTables {
            documents: vec![document_row("a", "Sync", "document"), document_row("a", "Process", "document")],
            status_rules: vec![StatusRuleRow {
                connection_point: "*".into(),
                http_status: 503,
                answer_class: "suspend".into(),
                unreadable: None,
            }],
            ..points(vec![row("a"), row("b")])
        };
        let before = read(&good);
        let mut bad = good.clone();
        bad.connection_points[0].poll_cron = Some("every now and then".into());
        bad.connection_points[0].batch_rows = 7;
        bad.documents[0].order_by = "none".into();
        bad.documents[1].document_id_path = Some("//".into());
        bad.status_rules[0].answer_class = "rety".into();
        let mut plan = read_over(&bad, &before);
        for _ in 0..3 {
            assert_eq!(plan.connection_points, before.connection_points);
            assert_eq!(refused(&plan), ["a", "a", "a"]);
            assert!(plan.refused.iter().all(|it| it.reason.contains("the last good settings apply")));
            assert_eq!(plan.rules_refused.len(), 1);
            plan = read_over(&bad, &plan);
        }
        // Less is always taken.
        bad.connection_points[0].send_mode = "observe".into();
        bad.documents[1].enabled = false;
        let plan = read_over(&bad, &plan);
        assert_eq!(plan.connection_points["a"].send_mode, SendMode::Observe);
        assert!(!plan.connection_points["a"].documents[&DocumentType::new("Process", "SalesOrder")].enabled);
        bad.connection_points[0].send_mode = "off".into();
        let plan = read_over(&bad, &plan);
        assert_eq!(plan.connection_points["a"].send_mode, SendMode::Off);
        bad.connection_points.remove(0);
        assert_eq!(read_over(&bad, &plan).connection_points.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(read(&bad).rules_refused.len(), 1, "after a start, too");
    }

    #[test]
    fn a_cell_that_cannot_be_read_refuses_its_row() {
        let mut bad = row("a");
        bad.unreadable = Some("send_rows_from holds no time".into());
        let plan = read(&points(vec![bad, row("b")]));
        assert_eq!(plan.connection_points.keys().collect::<Vec<_>>(), ["b"]);
        assert!(plan.refused[0].reason.starts_with("send_rows_from holds no time"));
    }

    #[test]
    fn other_locations_are_left_alone() {
        let mut other = row("other");
        other.location_name = "PLANT2".into();
        let plan = read(&ControlTables { connection_points: vec![other], ..Default::default() });
        assert_eq!(plan.elsewhere, vec!["other"]);
        assert!(plan.refused.is_empty());
    }

    #[test]
    fn verbs_of_a_noun_are_ordered_alike() {
        let documents = vec![document_row("a", "Sync", "document"), document_row("a", "Process", "none")];
        let plan =
            read(&ControlTables { connection_points: vec![row("a")], documents, ..Default::default() });
        assert_eq!(plan.refused.len(), 2);
        assert!(plan.connection_points["a"].documents.is_empty());
    }

    #[test]
    fn what_is_received_is_read_by_type() {
        let incoming = |verb: &str, duplicate_key: &str, enabled| DocumentRow {
            direction: "in".into(),
            duplicate_key: duplicate_key.into(),
            enabled,
            ..document_row("a", verb, "document")
        };
        let documents = vec![
            document_row("a", "Sync", "document"),
            incoming("Process", "document_digest", true),
            incoming("Show", "message_id", false),
            incoming("Post", "rowid", true),
        ];
        let mut on = row("a");
        on.receive_mode = "on".into();
        on.send_mode = "off".into();
        let tables = ControlTables { connection_points: vec![on, row("b")], documents, ..Default::default() };
        let plan = read(&tables);
        assert_eq!(plan.inbound.keys().collect::<Vec<_>>(), ["a"]);
        let inbound = &plan.inbound["a"];
        assert_eq!(inbound.logical_id, "lid://infor.ims.a");
        assert_eq!(
            inbound.documents.keys().map(ToString::to_string).collect::<Vec<_>>(),
            ["Process.SalesOrder"]
        );
        let rules = inbound.documents.values().next().unwrap();
        assert_eq!(rules.duplicate_key, DuplicateKey::DocumentDigest);
        assert_eq!(rules.inbox_logical_id, "lid://infor.erp.a", "what the application reads its inbox by");
        assert_eq!(plan.refused.len(), 1);
        assert_eq!(
            (plan.refused[0].direction, plan.refused[0].document.as_ref().unwrap().verb.as_str()),
            ("in", "Post")
        );
    }

    #[test]
    fn own_status_rules_lie_over_the_common_ones() {
        let rule = |point: &str, http_status, class: &str| StatusRuleRow {
            connection_point: point.into(),
            http_status,
            answer_class: class.into(),
            unreadable: None,
        };
        let status_rules = vec![
            rule("a", 412, "reject"),
            rule("*", 412, "suspend"),
            rule("*", 503, "retry"),
            rule("b", 503, "reject"),
        ];
        let plan =
            read(&ControlTables { connection_points: vec![row("a")], status_rules, ..Default::default() });
        let rules = &plan.connection_points["a"].status_rules;
        assert_eq!(rules.get(&412), Some(&AnswerClass::Reject));
        assert_eq!(rules.get(&503), Some(&AnswerClass::Retry));
    }
}
