//! A document that ION sent: where it goes, and whether it is new, a repeat, a duplicate, or older than what is there.
//!
//! The rules are tried in this order (design.md §9): the same full message id is a transport repeat; the same source part
//! from the same sender, with the same document name and bytes, is a duplicate; then what `duplicate_key` adds; then
//! `older_variation`. What only looks alike is stored, with a notice: nothing is lost for a rule that guesses.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::ids::{DocumentType, row_key};
use super::message::{Facts, Parameters};
use super::notice::{Notice, Severity};

/// One document that ION has sent, decoded and checked, and where it goes.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Key in the message log: UUIDv7.
    pub message_key: String,
    pub connection_point: String,
    /// `X-TenantId`.
    pub tenant_id: String,
    /// As ION gave them; `message_id` is ION's full one.
    pub parameters: Parameters,
    /// The document exactly as sent, after decoding.
    pub payload: Bytes,
    /// SHA-256 of `payload`, hex.
    pub digest: String,
    /// Bytes of the payload part as they came over the wire.
    pub wire_bytes: i64,
    /// Of its row of `bodrelay_document` (direction in).
    pub rules: InboundRules,
    /// This agent, as the message log names it.
    pub host: String,
    pub received_at: DateTime<Utc>,
}

/// What a connection point does with a document type that it receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRules {
    /// `C_TENANT_ID` and `C_LOGICAL_ID` of the inbox entry: what the application reads its inbox by, so
    /// `source_tenant_id` and `source_logical_id` where they are given, else the connection point's own.
    pub inbox_tenant_id: String,
    pub inbox_logical_id: String,
    pub duplicate_key: DuplicateKey,
    pub older_variation: OlderVariation,
    /// `log_messages = 'all'`: what is simply stored gets a row of the message log, too.
    pub log: bool,
    /// Of the decoded document.
    pub max_document_bytes: usize,
    /// Namespace of envelope, verb and noun element; `None`: any.
    pub namespace: Option<String>,
}

/// What a connection point receives; in the plan only where receive_mode = 'on'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundPlan {
    pub connection_point: String,
    pub tenant_id: String,
    pub logical_id: String,
    /// The most that any of its document types takes.
    pub max_document_bytes: u64,
    /// Why nothing is taken just now (another agent owns it, a script is missing): ION is asked to come again, with 503.
    pub closed: Option<String>,
    /// Enabled ones only.
    pub documents: std::collections::BTreeMap<DocumentType, InboundRules>,
}

/// `bodrelay_document.duplicate_key`: what makes a document a duplicate beside its message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateKey {
    MessageId,
    /// The variation that was stored last of the document comes again. Not for members of a batch: they share it.
    DocumentVariation,
    /// The bytes that were stored last of the document come again.
    DocumentDigest,
}

/// `bodrelay_document.older_variation`: what becomes of a document whose variation is lower than the highest stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderVariation {
    /// It is out of date: logged, and not stored.
    Ignore,
    /// Stored as any other, with a finding.
    Warn,
    /// Stored with 9 instead of 0, so that the application leaves it alone.
    Reject,
}

/// What was made of a document; every one of them is a success for ION.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    New {
        entry_id: i64,
        notices: Vec<Notice>,
    },
    /// The same full id was received before: nothing was written but the count of repeats.
    Repeat {
        entry_id: i64,
    },
    /// Logged and remembered; the entry is the one that is there.
    Duplicate {
        entry_id: i64,
        notices: Vec<Notice>,
    },
    /// Its variation is lower than the highest stored one: with `reject` its entry is there with 9, with `ignore` there
    /// is none.
    Older {
        entry_id: Option<i64>,
        notices: Vec<Notice>,
    },
}

impl Stored {
    /// What the operator should hear of.
    pub fn notices(&self) -> &[Notice] {
        match self {
            Self::New { notices, .. } | Self::Duplicate { notices, .. } | Self::Older { notices, .. } => {
                notices
            }
            Self::Repeat { .. } => &[],
        }
    }
}

/// Characters of the source part that a receipt keeps: ION crops a sender's id to as many (spec/ims.md §5.1).
pub const SOURCE_PART_CHARS: usize = 128;

/// The sender's own message id in ION's full one: what stands before the last `:-ION-:` that 32 hex digits follow
/// (spec/ims.md §10); without one, the whole.
pub fn source_part(message_id: &str) -> &str {
    const SEPARATOR: &str = ":-ION-:";
    match message_id.rsplit_once(SEPARATOR) {
        Some((source, unique)) if unique.len() == 32 && unique.bytes().all(|b| b.is_ascii_hexdigit()) => {
            source
        }
        _ => message_id,
    }
}

/// What the tables are asked about a document, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// Key of the receipt: of connection point and full message id (of the message key where ION gave no id).
    pub receipt_key: String,
    /// Key of a second receipt of the same full id, for other bytes.
    pub receipt_key_of_bytes: String,
    /// At most `SOURCE_PART_CHARS` of it.
    pub source_part: String,
    /// Of connection point, sender, document name, entity, location, document id and revision; `None` without a
    /// document id. The name is in it, since an answer carries the variation of what it answers.
    pub document_key: Option<String>,
}

impl Marks {
    pub fn of(document: &Incoming) -> Self {
        let Incoming { message_key, connection_point, parameters, digest, .. } = document;
        let id = if parameters.message_id.is_empty() { message_key } else { &parameters.message_id };
        let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
        let document_key = parameters.document_id.as_ref().filter(|id| !id.is_empty()).map(|document_id| {
            row_key(&[
                connection_point,
                &parameters.from_logical_id,
                &parameters.document_name,
                &or_empty(&parameters.accounting_entity),
                &or_empty(&parameters.location),
                document_id,
                &or_empty(&parameters.revision_id),
            ])
        });
        Self {
            receipt_key: row_key(&[connection_point, id]),
            receipt_key_of_bytes: row_key(&[connection_point, id, digest]),
            source_part: source_part(id).chars().take(SOURCE_PART_CHARS).collect(),
            document_key,
        }
    }
}

/// What the tables know about a document, read after the lock was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Digest and entry of the receipt of its full id.
    pub repeat: Option<(String, i64)>,
    /// Entry of the second receipt of its full id, of these bytes.
    pub repeat_of_bytes: Option<i64>,
    /// Entry of a receipt of the same source part, sender, document name and digest.
    pub source: Option<i64>,
    /// There is a receipt of the same source part, whatever else.
    pub source_seen: bool,
    /// The document's row of `bodrelay_received_document`.
    pub document: Option<KnownDocument>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDocument {
    pub variation_id: Option<i64>,
    pub digest: String,
    pub entry_id: i64,
}

/// Where a document is that is there already: a row, or another one of the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    Entry(i64),
    Here(usize),
}

/// What is to be done with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// An entry with this flag: 0, or 9 for a refused older variation.
    Store { flag: i16 },
    /// Only the count of repeats of this receipt.
    Repeat { receipt_key: String, of: Earlier },
    /// Receipt and log row only.
    Duplicate { of: Earlier },
    /// The same, for an older variation that is ignored.
    Ignore { of: Earlier },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub fate: Fate,
    /// Of the receipt that is written, whatever the fate but a repeat.
    pub receipt_key: String,
    /// The document's row of `bodrelay_received_document` becomes this one.
    pub raises_document: bool,
    /// Why it was not simply stored: a code and a text for the message log.
    pub reason: Option<(&'static str, String)>,
    pub notices: Vec<Notice>,
}

/// Judges documents in their order; the earlier ones of a call count as known for the later ones.
pub fn judge(documents: &[Incoming], marks: &[Marks], known: Vec<Known>) -> Vec<Judged> {
    let mut call = Call::default();
    let mut judged = Vec::with_capacity(documents.len());
    for (place, ((document, marks), known)) in documents.iter().zip(marks).zip(known).enumerate() {
        let known = call.and(document, marks, known);
        let verdict = judge_one(document, marks, &known);
        call.remember(place, document, marks, &known, &verdict);
        judged.push(verdict);
    }
    judged
}

/// `Known`, whose entries may be of the same call.
struct KnownHere {
    repeat: Option<(String, Earlier)>,
    repeat_of_bytes: Option<Earlier>,
    source: Option<Earlier>,
    source_seen: bool,
    document: Option<Latest>,
}

#[derive(Debug, Clone)]
struct Latest {
    variation_id: Option<i64>,
    digest: String,
    of: Earlier,
}

/// What came with a source part.
struct Source {
    sender: String,
    document_name: String,
    digest: String,
    of: Earlier,
}

/// What the documents of one call have left for the later ones.
#[derive(Default)]
struct Call {
    receipts: HashMap<String, (String, Earlier)>,
    /// By connection point and source part.
    sources: HashMap<(String, String), Vec<Source>>,
    documents: HashMap<String, Latest>,
}

impl Call {
    fn and(&self, document: &Incoming, marks: &Marks, known: Known) -> KnownHere {
        let of_entry = |entry_id: i64| Earlier::Entry(entry_id);
        let Incoming { connection_point, parameters, digest, .. } = document;
        let sources = self.sources.get(&(connection_point.clone(), marks.source_part.clone()));
        let same = sources.into_iter().flatten().find(|it| {
            (&it.sender, &it.document_name, &it.digest)
                == (&parameters.from_logical_id, &parameters.document_name, digest)
        });
        KnownHere {
            repeat: known
                .repeat
                .map(|(digest, entry_id)| (digest, of_entry(entry_id)))
                .or_else(|| self.receipts.get(&marks.receipt_key).cloned()),
            repeat_of_bytes: known
                .repeat_of_bytes
                .map(of_entry)
                .or_else(|| self.receipts.get(&marks.receipt_key_of_bytes).map(|(_, of)| *of)),
            source: known.source.map(of_entry).or_else(|| same.map(|it| it.of)),
            source_seen: known.source_seen || sources.is_some(),
            document: marks.document_key.as_ref().and_then(|key| self.documents.get(key).cloned()).or_else(
                || {
                    known.document.map(|it| Latest {
                        variation_id: it.variation_id,
                        digest: it.digest,
                        of: of_entry(it.entry_id),
                    })
                },
            ),
        }
    }

    fn remember(
        &mut self,
        place: usize,
        document: &Incoming,
        marks: &Marks,
        known: &KnownHere,
        judged: &Judged,
    ) {
        let of = match &judged.fate {
            Fate::Repeat { .. } => return,
            Fate::Store { .. } => Earlier::Here(place),
            Fate::Duplicate { of } | Fate::Ignore { of } => *of,
        };
        let Incoming { connection_point, parameters, digest, .. } = document;
        self.receipts.insert(judged.receipt_key.clone(), (digest.clone(), of));
        let source = (connection_point.clone(), marks.source_part.clone());
        self.sources.entry(source).or_default().push(Source {
            sender: parameters.from_logical_id.clone(),
            document_name: parameters.document_name.clone(),
            digest: digest.clone(),
            of,
        });
        if let (true, Some(key)) = (judged.raises_document, &marks.document_key) {
            let before = known.document.as_ref().and_then(|latest| latest.variation_id);
            let variation_id = parameters.variation_id.or(before);
            self.documents.insert(key.clone(), Latest { variation_id, digest: digest.clone(), of });
        }
    }
}

fn judge_one(document: &Incoming, marks: &Marks, known: &KnownHere) -> Judged {
    let mut notices = Vec::new();
    let mut receipt_key = marks.receipt_key.clone();
    let has_id = !document.parameters.message_id.is_empty();
    match &known.repeat {
        Some((digest, of)) if *digest == document.digest => return repeat(receipt_key, *of),
        Some(_) => {
            receipt_key.clone_from(&marks.receipt_key_of_bytes);
            if let Some(of) = known.repeat_of_bytes {
                return repeat(receipt_key, of);
            }
            notices.push(repeat_differs(document));
        }
        None if !has_id => {}
        None => {
            if let Some(of) = known.source {
                let text = "its sender's message id, sender, document name and bytes were received before";
                let reason = Some(("DUPLICATE_SOURCE_ID", text.to_owned()));
                return not_stored(Fate::Duplicate { of }, receipt_key, reason, notices);
            }
            if known.source_seen {
                notices.push(source_id_reused(document, &marks.source_part));
            }
        }
    }
    let stored = |flag, raises_document, reason, notices| Judged {
        fate: Fate::Store { flag },
        receipt_key: receipt_key.clone(),
        raises_document,
        reason,
        notices,
    };
    let Some(latest) = &known.document else {
        return stored(0, marks.document_key.is_some(), None, notices);
    };
    if let Some(reason) = duplicates(document, latest, &mut notices) {
        return not_stored(Fate::Duplicate { of: latest.of }, receipt_key, Some(reason), notices);
    }
    let (Some(own), Some(highest)) = (document.parameters.variation_id, latest.variation_id) else {
        return stored(0, true, None, notices);
    };
    if own >= highest {
        return stored(0, true, None, notices);
    }
    let text = format!("its variation {own} is lower than {highest}, which was received before");
    let rule = document.rules.older_variation;
    notices.push(older(document, &text, rule));
    let reason = Some(("OLDER_VARIATION", text));
    match rule {
        OlderVariation::Warn => stored(0, false, reason, notices),
        OlderVariation::Reject => stored(9, false, reason, notices),
        OlderVariation::Ignore => not_stored(Fate::Ignore { of: latest.of }, receipt_key, reason, notices),
    }
}

/// What `duplicate_key` adds: the reason for the message log where it makes a duplicate.
fn duplicates(
    document: &Incoming,
    latest: &Latest,
    notices: &mut Vec<Notice>,
) -> Option<(&'static str, String)> {
    let parameters = &document.parameters;
    match document.rules.duplicate_key {
        DuplicateKey::MessageId => None,
        DuplicateKey::DocumentDigest => (latest.digest == document.digest).then(|| {
            ("DUPLICATE_DIGEST", "the bytes that were stored last of this document came again".to_owned())
        }),
        DuplicateKey::DocumentVariation => {
            let own = parameters.variation_id.filter(|_| parameters.batch_id.is_none())?;
            if latest.variation_id != Some(own) {
                return None;
            }
            if latest.digest != document.digest {
                notices.push(same_variation_differs(document, own));
            }
            Some(("DUPLICATE_VARIATION", format!("variation {own} of this document was received before")))
        }
    }
}

fn repeat(receipt_key: String, of: Earlier) -> Judged {
    Judged {
        fate: Fate::Repeat { receipt_key: receipt_key.clone(), of },
        receipt_key,
        raises_document: false,
        reason: None,
        notices: Vec::new(),
    }
}

fn not_stored(
    fate: Fate,
    receipt_key: String,
    reason: Option<(&'static str, String)>,
    notices: Vec<Notice>,
) -> Judged {
    Judged { fate, receipt_key, raises_document: false, reason, notices }
}

fn notice(code: &'static str, document: &Incoming) -> Notice {
    let Parameters { document_name, from_logical_id, .. } = &document.parameters;
    let subject = format!("{document_name} from {from_logical_id}");
    Notice::new(code, Severity::Warning, Some(&document.connection_point), subject)
}

fn shown_document(document: &Incoming) -> String {
    let Parameters { document_name, document_id, .. } = &document.parameters;
    match document_id {
        Some(id) => format!("{document_name} of document '{id}'"),
        None => document_name.clone(),
    }
}

fn repeat_differs(document: &Incoming) -> Notice {
    notice("REPEAT_DIFFERS", document).says(
        format!(
            "the message id {} came again with other bytes ({}); stored as another document",
            document.parameters.message_id,
            shown_document(document)
        ),
        "Ask the sender: a message id is for one message only. Both documents are in the inbox.",
    )
}

fn source_id_reused(document: &Incoming, source_part: &str) -> Notice {
    notice("SOURCE_ID_REUSED", document).says(
        format!(
            "the sender's message id {source_part} came before with another sender, document name or other bytes ({}); \
             stored as another document",
            shown_document(document)
        ),
        "Nothing where a data flow splits or changes a document; else ask the sender to give each message an id of its \
         own.",
    )
}

fn same_variation_differs(document: &Incoming, variation_id: i64) -> Notice {
    notice("SAME_VARIATION_DIFFERS", document).says(
        format!(
            "variation {variation_id} of {} came again with other bytes; left out as a duplicate, since duplicate_key = \
             'document_variation'",
            shown_document(document)
        ),
        "Ask the sender to raise the variation with each change, or set duplicate_key = 'message_id' for this type.",
    )
}

fn older(document: &Incoming, text: &str, rule: OlderVariation) -> Notice {
    let (did, severity) = match rule {
        OlderVariation::Ignore => ("not stored, since older_variation = 'ignore'", Severity::Info),
        OlderVariation::Warn => ("stored all the same", Severity::Warning),
        OlderVariation::Reject => ("stored with 9, since older_variation = 'reject'", Severity::Info),
    };
    let mut notice = notice("VARIATION_CAME_LATE", document).says(
        format!("{}: {text}; {did}", shown_document(document)),
        "The application must not overwrite newer data with it: older_variation in bodrelay_document says what the agent \
         does with such documents.",
    );
    notice.severity = severity;
    notice
}

/// The headers of an inbox entry, under the keys of spec/iobox.md §3; what ION did not give is left out.
pub fn headers(document: &Incoming) -> Vec<(String, String)> {
    let Incoming { tenant_id, parameters, .. } = document;
    let number = |value: Option<i64>| value.map(|number| number.to_string());
    let mut headers: Vec<(String, String)> = [
        ("TenantId", Some(tenant_id.clone())),
        ("MessageId", Some(parameters.message_id.clone()).filter(|id| !id.is_empty())),
        ("BODType", Some(parameters.document_name.clone())),
        ("FromLogicalId", Some(parameters.from_logical_id.clone())),
        ("ToLogicalId", Some(parameters.to_logical_id.clone()).filter(|id| !id.is_empty())),
        ("DocumentId", parameters.document_id.clone()),
        ("AccountingEntity", parameters.accounting_entity.clone()),
        ("Location", parameters.location.clone()),
        ("RevisionId", parameters.revision_id.clone()),
        ("VariationId", number(parameters.variation_id)),
        ("BatchId", parameters.batch_id.clone()),
        ("BatchSequence", number(parameters.batch_sequence)),
        ("BatchSize", number(parameters.batch_size)),
        ("BatchRevision", number(parameters.batch_revision)),
        ("BatchAbortIndicator", parameters.batch_abort_indicator.map(|abort| abort.to_string())),
        ("Instances", number(parameters.instances)),
        ("Source", parameters.source.clone()),
        ("SourcePublicationDate", parameters.source_publication_date.clone()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect();
    headers.extend(parameters.custom.iter().map(|(name, value)| {
        let name = name.get("custom_".len()..).unwrap_or(name);
        (format!("Custom_{name}"), value.clone())
    }));
    headers
}

/// What the message log says of a document.
pub fn facts(document: &Incoming) -> Facts {
    let parameters = &document.parameters;
    let document_type = DocumentType::parse(&parameters.document_name);
    Facts {
        verb: document_type.as_ref().map(|it| it.verb.clone()),
        noun: document_type.map(|it| it.noun),
        document_id: parameters.document_id.clone(),
        accounting_entity: parameters.accounting_entity.clone(),
        document_location: parameters.location.clone(),
        revision_id: parameters.revision_id.clone(),
        variation_id: parameters.variation_id,
        batch_id: parameters.batch_id.clone(),
        batch_sequence: parameters.batch_sequence,
        to_logical_id: Some(parameters.to_logical_id.clone()),
        document_bytes: i64::try_from(document.payload.len()).unwrap_or(i64::MAX),
        digest: Some(document.digest.clone()),
        created_at: Some(document.received_at),
        resend_of: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_part_is_before_the_last_separator() {
        const HEX: &str = "0123456789abcdef0123456789ABCDEF";
        let of = |text: String| source_part(&text).to_owned();
        assert_eq!(of(format!("M-1:-ION-:{HEX}")), "M-1");
        assert_eq!(of(format!("a:-ION-:b:-ION-:{HEX}")), "a:-ION-:b");
        assert_eq!(of(format!(":-ION-:{HEX}")), "");
        for whole in ["", "M-1", ":-ION-:", "M-1:-ION-:0123", "M:-ION-:0123456789abcdef0123456789abcde\u{e9}"]
        {
            assert_eq!(source_part(whole), whole);
        }
        assert_eq!(of(format!("M-1:-ION-:{HEX}0")), format!("M-1:-ION-:{HEX}0"));
    }
}
