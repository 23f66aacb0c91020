//! What crosses the contract when documents are composed: changes and queries in, entries out.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::bod::compose::{PartRows, Refusal};

/// A row of `bodrelay_document_query`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueryRow {
    /// `*`: every verb that has no query of its own for this part.
    pub verb: String,
    pub noun: String,
    pub part_no: i64,
    pub parent_part_no: Option<i64>,
    pub element_path: Option<String>,
    pub split_batch: bool,
    pub query_text: String,
    pub timeout_seconds: i64,
    pub max_rows: i64,
    pub enabled: bool,
    pub refused_reason: Option<String>,
    /// What is wrong with a value of it that cannot be read.
    pub unreadable: Option<String>,
}

/// What `query_checked` says of a query; `None`: it is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryChecked {
    pub verb: String,
    pub noun: String,
    pub part_no: i64,
    pub refused_reason: Option<String>,
}

/// The last version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariationRow {
    pub document_key: String,
    pub last_variation: i64,
    /// Its entry still has flag 0.
    pub is_open: bool,
}

/// The database's clock with the last versions of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variations {
    pub now: DateTime<Utc>,
    pub rows: Vec<VariationRow>,
}

/// A row of the session's own table `bodrelay_batch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    pub document_no: i64,
    pub document_id: String,
    pub accounting_entity: String,
    pub document_location: String,
    pub action_code: &'static str,
    pub variation_id: i64,
}

/// A query that is to run for a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartQuery {
    pub part_no: i64,
    pub query_text: String,
    pub timeout_seconds: u64,
    pub max_rows: usize,
}

/// What the queries of a batch gave, in their order.
pub type Composed = std::result::Result<Vec<PartRows>, QueryFailure>;

/// A query that did not answer. The database itself is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFailure {
    pub part_no: i64,
    pub kind: QueryFailureKind,
    /// Numbers and the database's own words.
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryFailureKind {
    /// The query is wrong, whatever the documents.
    Wrong,
    /// It failed on the data of some document.
    Data,
    TimedOut,
    /// More rows than `max_rows`, or more bytes than a batch may have.
    TooMuch,
}

impl QueryFailure {
    pub fn refusal(&self) -> Refusal {
        Refusal {
            concerns_all: self.kind == QueryFailureKind::Wrong,
            ..Refusal::of_query(self.part_no, self.what.clone())
        }
    }
}

/// Bytes of rows of one batch: what is more is composed in smaller batches.
pub(super) const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Counts rows and bytes of a batch against their limits.
pub(super) struct Meter {
    bytes: usize,
}

impl Meter {
    pub fn new() -> Self {
        Self { bytes: 0 }
    }

    /// Another row of a part, which has `rows` with it.
    pub fn take(
        &mut self,
        query: &PartQuery,
        rows: usize,
        bytes: usize,
    ) -> std::result::Result<(), QueryFailure> {
        /// What a value takes in memory besides its text, roughly.
        const OVERHEAD: usize = 32;
        self.bytes += bytes + OVERHEAD;
        let what = if rows > query.max_rows {
            format!("more than {} rows (max_rows)", query.max_rows)
        } else if self.bytes > MAX_BATCH_BYTES {
            format!("the rows of the queries have more than {} MB together", MAX_BATCH_BYTES / 1024 / 1024)
        } else {
            return Ok(());
        };
        Err(QueryFailure { part_no: query.part_no, kind: QueryFailureKind::TooMuch, what })
    }
}

/// What a value takes in memory, roughly.
pub(super) fn bytes_of(value: &crate::bod::compose::Value) -> usize {
    use crate::bod::compose::Value;
    const FIXED: usize = 32;
    match value {
        Value::Text(text) | Value::Decimal(text) | Value::Unusable(text) => text.len() + FIXED,
        Value::Bytes(bytes) => bytes.len() + FIXED,
        _ => FIXED,
    }
}

/// An entry that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposedEntry {
    pub document: Bytes,
    pub headers: Vec<(&'static str, String)>,
}

/// A document with what it was made of: a version, one entry (several: a batch), and exactly the changes that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposedDocument {
    pub document_key: String,
    pub variation_id: i64,
    pub priority: i64,
    /// Never empty.
    pub entries: Vec<ComposedEntry>,
    pub change_ids: Vec<i64>,
}

/// What one transaction writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    pub connection_point: String,
    /// `C_TENANT_ID` and `C_LOGICAL_ID` of the entries.
    pub tenant_id: String,
    pub logical_id: String,
    pub documents: Vec<ComposedDocument>,
    /// Changes that are refused, each with its reason.
    pub refused: Vec<(i64, String)>,
}
