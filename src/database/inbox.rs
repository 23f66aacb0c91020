//! What a store writes beside the entries, the same on every database: receipts, repeats, documents, log rows, answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::LogRow;
use crate::domain::ids::DocumentType;
use crate::domain::incoming::{Earlier, Fate, Incoming, Judged, Known, KnownDocument, Marks, Stored, facts};

use super::rows::Cells;

/// A row of `bodrelay_receipt`.
pub(super) struct ReceiptRow<'d> {
    pub receipt_key: String,
    pub connection_point: &'d str,
    pub message_id: String,
    pub source_part: &'d str,
    pub from_logical_id: &'d str,
    pub document_name: &'d str,
    pub digest: &'d str,
    pub entry_id: i64,
    pub received_at: DateTime<Utc>,
}

/// A row of `bodrelay_received_document`.
pub(super) struct ReceivedRow<'d> {
    pub document_key: &'d str,
    pub connection_point: &'d str,
    pub noun: String,
    pub document_id: &'d str,
    pub variation_id: Option<i64>,
    pub digest: &'d str,
    pub entry_id: i64,
    pub received_at: DateTime<Utc>,
}

/// All that follows from the entries' ids; no key comes twice in any of it.
pub(super) struct Written<'d> {
    pub receipts: Vec<ReceiptRow<'d>>,
    pub repeats: Vec<(String, i64)>,
    pub documents: Vec<ReceivedRow<'d>>,
    pub log: Vec<LogRow>,
    pub stored: Vec<Stored>,
}

/// Documents that get an entry, with their flag.
pub(super) fn to_insert<'d>(documents: &'d [Incoming], judged: &[Judged]) -> Vec<(&'d Incoming, i64)> {
    let each = documents.iter().zip(judged);
    each.filter_map(|(document, judged)| match judged.fate {
        Fate::Store { flag } => Some((document, i64::from(flag))),
        Fate::Repeat { .. } | Fate::Duplicate { .. } | Fate::Ignore { .. } => None,
    })
    .collect()
}

/// `entry_ids`: of what `to_insert` gave, in its order; `None` where the database answered with too few rows.
pub(super) fn written<'d>(
    documents: &'d [Incoming],
    marks: &'d [Marks],
    judged: Vec<Judged>,
    entry_ids: &[i64],
) -> Option<Written<'d>> {
    if judged.len() != documents.len() {
        return None;
    }
    let mut ids = entry_ids.iter().copied();
    let mut places: Vec<Option<i64>> = Vec::with_capacity(documents.len());
    let mut written = Written {
        receipts: Vec::with_capacity(documents.len()),
        repeats: Vec::new(),
        documents: Vec::new(),
        log: Vec::with_capacity(documents.len()),
        stored: Vec::with_capacity(documents.len()),
    };
    let mut repeats: BTreeMap<String, i64> = BTreeMap::new();
    let mut received: BTreeMap<&'d str, ReceivedRow<'d>> = BTreeMap::new();
    for ((document, marks), judged) in documents.iter().zip(marks).zip(judged) {
        let of_earlier = |of: Earlier| match of {
            Earlier::Entry(entry_id) => Some(entry_id),
            Earlier::Here(place) => places.get(place).copied().flatten(),
        };
        let entry_id = match &judged.fate {
            Fate::Store { .. } => ids.next()?,
            Fate::Repeat { of, .. } | Fate::Duplicate { of } | Fate::Ignore { of } => of_earlier(*of)?,
        };
        places.push(Some(entry_id));
        if let Fate::Repeat { receipt_key, .. } = &judged.fate {
            *repeats.entry(receipt_key.clone()).or_default() += 1;
            written.stored.push(Stored::Repeat { entry_id });
            continue;
        }
        written.receipts.push(receipt(document, marks, &judged, entry_id));
        if let (true, Some(key)) = (judged.raises_document, &marks.document_key) {
            let before = received.get(key.as_str()).and_then(|row| row.variation_id);
            received.insert(key, received_row(document, key, before, entry_id));
        }
        written.log.extend(log_row(document, &judged, entry_id));
        written.stored.push(answer(judged, entry_id));
    }
    written.repeats = repeats.into_iter().collect();
    written.documents = received.into_values().collect();
    Some(written)
}

fn receipt<'d>(document: &'d Incoming, marks: &'d Marks, judged: &Judged, entry_id: i64) -> ReceiptRow<'d> {
    let Incoming { parameters, message_key, .. } = document;
    let id = if parameters.message_id.is_empty() { message_key } else { &parameters.message_id };
    ReceiptRow {
        receipt_key: judged.receipt_key.clone(),
        connection_point: &document.connection_point,
        message_id: id.clone(),
        source_part: &marks.source_part,
        from_logical_id: &parameters.from_logical_id,
        document_name: &parameters.document_name,
        digest: &document.digest,
        entry_id,
        received_at: document.received_at,
    }
}

fn received_row<'d>(
    document: &'d Incoming,
    key: &'d str,
    before: Option<i64>,
    entry_id: i64,
) -> ReceivedRow<'d> {
    let parameters = &document.parameters;
    let noun = DocumentType::parse(&parameters.document_name).map(|it| it.noun);
    ReceivedRow {
        document_key: key,
        connection_point: &document.connection_point,
        noun: noun.unwrap_or_else(|| parameters.document_name.clone()),
        document_id: parameters.document_id.as_deref().unwrap_or_default(),
        variation_id: parameters.variation_id.or(before),
        digest: &document.digest,
        entry_id,
        received_at: document.received_at,
    }
}

fn answer(judged: Judged, entry_id: i64) -> Stored {
    let notices = judged.notices;
    match judged.fate {
        Fate::Store { flag: 0 } => Stored::New { entry_id, notices },
        Fate::Store { .. } => Stored::Older { entry_id: Some(entry_id), notices },
        Fate::Ignore { .. } => Stored::Older { entry_id: None, notices },
        Fate::Duplicate { .. } => Stored::Duplicate { entry_id, notices },
        Fate::Repeat { .. } => Stored::Repeat { entry_id },
    }
}

/// What is simply stored has a row with log_messages = 'all' only; everything else always.
fn log_row(document: &Incoming, judged: &Judged, entry_id: i64) -> Option<LogRow> {
    let state = match judged.fate {
        Fate::Store { flag: 0 } => "stored",
        Fate::Store { .. } | Fate::Ignore { .. } => "refused",
        Fate::Duplicate { .. } => "duplicate",
        Fate::Repeat { .. } => return None,
    };
    if state == "stored" && judged.reason.is_none() && !document.rules.log {
        return None;
    }
    let (code, text) = match &judged.reason {
        Some((code, text)) => (Some(*code), Some(text.clone())),
        None => (None, None),
    };
    Some(LogRow { entry_id: Some(entry_id), ..bare_row(document, state, code, text, None) })
}

/// The row of the message log for a document that was answered with a failure, for the caller to write.
pub fn refused_row(document: &Incoming, code: &str, text: &str, remedy: &str) -> LogRow {
    bare_row(document, "refused", Some(code), Some(text.to_owned()), Some(remedy.to_owned()))
}

fn bare_row(
    document: &Incoming,
    state: &str,
    code: Option<&str>,
    text: Option<String>,
    remedy: Option<String>,
) -> LogRow {
    let at = document.received_at;
    LogRow {
        message_key: document.message_key.clone(),
        direction: "in",
        connection_point: document.connection_point.clone(),
        tenant_id: Some(document.tenant_id.clone()),
        entry_id: None,
        message_id: Some(document.parameters.message_id.clone()).filter(|id| !id.is_empty()),
        from_logical_id: Some(document.parameters.from_logical_id.clone()),
        facts: Arc::new(facts(document)),
        priority: None,
        state: state.into(),
        held_by: None,
        in_doubt: false,
        late: false,
        attempts: 0,
        http_status: None,
        answer_class: None,
        failure_code: code.map(str::to_owned),
        failure_text: text,
        remedy,
        wire_bytes: Some(document.wire_bytes),
        seen_at: at,
        first_attempt_at: None,
        last_attempt_at: None,
        next_attempt_at: None,
        finished_at: Some(at),
        host: Some(document.host.clone()),
        updated_at: at,
    }
}

/// The columns of inbox_known from `first` on.
pub(super) fn known<C: Cells>(row: &C, first: usize) -> Result<Known, C::Error> {
    let repeat = row.text(first)?.zip(row.integer(first + 1)?);
    let document = match (row.text(first + 6)?, row.integer(first + 7)?) {
        (Some(digest), Some(entry_id)) => {
            Some(KnownDocument { variation_id: row.integer(first + 5)?, digest, entry_id })
        }
        _ => None,
    };
    Ok(Known {
        repeat,
        repeat_of_bytes: row.integer(first + 2)?,
        source: row.integer(first + 3)?,
        source_seen: row.flag(first + 4)?,
        document,
    })
}
