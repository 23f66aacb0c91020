//! The queries of a connection point: which ones make a document type, and whether they can.

use std::collections::BTreeMap;

use super::compose::{PartQuery, QueryChecked, QueryRow};
use super::{Database, DatabaseError};
use crate::bod::compose::{Layout, Part, Refusal};
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::ConnectionPoint;

/// The enabled queries of a document type by part: one of its own verb goes before one of `*`.
pub fn parts_of<'q>(queries: &'q [QueryRow], document_type: &DocumentType) -> Vec<&'q QueryRow> {
    let mut parts: BTreeMap<i64, &QueryRow> = BTreeMap::new();
    for query in queries.iter().filter(|query| query.noun == document_type.noun) {
        if query.verb == document_type.verb {
            parts.insert(query.part_no, query);
        } else if query.verb == "*" {
            parts.entry(query.part_no).or_insert(query);
        }
    }
    // What is switched off for a verb is off for it, whatever '*' says.
    parts.into_values().filter(|query| query.enabled).collect()
}

impl QueryRow {
    pub fn part(&self) -> Part {
        Part {
            part_no: self.part_no,
            parent_part_no: self.parent_part_no,
            element_path: self.element_path.clone(),
            splits: self.split_batch,
        }
    }

    /// A value of it cannot be read: nothing is composed with it.
    pub fn spoilt(&self) -> Option<Refusal> {
        let why = self.unreadable.as_ref()?;
        Some(Refusal::of_query(self.part_no, format!("bodrelay_document_query: {why}")))
    }

    /// As it runs; the table's CHECKs keep the limits.
    pub fn query(&self) -> PartQuery {
        PartQuery {
            part_no: self.part_no,
            query_text: self.query_text.clone(),
            timeout_seconds: u64::try_from(self.timeout_seconds.clamp(1, 600)).unwrap_or(30),
            max_rows: usize::try_from(self.max_rows.clamp(1, 1_000_000)).unwrap_or(100_000),
        }
    }
}

/// Runs the queries of every listed document type for no document at all, and answers for each query whether it can be
/// used, with the reason where it cannot.
pub async fn try_queries(
    database: &dyn Database,
    point: &ConnectionPoint,
    queries: &[QueryRow],
) -> Result<Vec<QueryChecked>, DatabaseError> {
    let key = |query: &QueryRow| (query.verb.clone(), query.noun.clone(), query.part_no);
    let mut reasons: BTreeMap<_, Option<String>> = BTreeMap::new();
    for query in queries.iter().filter(|query| query.enabled) {
        let fits = |it: &DocumentType| it.noun == query.noun && (query.verb == "*" || query.verb == it.verb);
        let unlisted =
            || format!("bodrelay_document has no row of direction 'out' for {}.{}", query.verb, query.noun);
        let reason = query.unreadable.clone().or_else(|| (!point.documents.keys().any(fits)).then(unlisted));
        reasons.insert(key(query), reason);
    }
    for document_type in point.documents.keys() {
        let parts = parts_of(queries, document_type);
        if parts.is_empty() {
            continue;
        }
        if let Some(refusal) = trouble(database, &parts).await? {
            let wanted = refusal.part_no.unwrap_or_default();
            // A part 0 that is missing is told beside the first one that is there.
            let beside = parts.iter().find(|query| query.part_no == wanted).or(parts.first());
            if let Some(reason) = beside.and_then(|query| reasons.get_mut(&key(query))) {
                reason.get_or_insert_with(|| format!("{document_type}: {refusal}"));
            }
        }
    }
    let checked = reasons.into_iter().map(|((verb, noun, part_no), refused_reason)| QueryChecked {
        verb,
        noun,
        part_no,
        refused_reason,
    });
    Ok(checked.collect())
}

async fn trouble(database: &dyn Database, parts: &[&QueryRow]) -> Result<Option<Refusal>, DatabaseError> {
    if let Some(refusal) = parts.iter().find_map(|query| query.spoilt()) {
        return Ok(Some(refusal));
    }
    let queries: Vec<PartQuery> = parts.iter().map(|query| query.query()).collect();
    let rows = match database.compose_rows(&[], &queries).await? {
        Ok(rows) => rows,
        Err(failure) => return Ok(Some(failure.refusal())),
    };
    let columns: Vec<(Part, Vec<String>)> =
        parts.iter().zip(&rows).map(|(query, rows)| (query.part(), rows.columns.clone())).collect();
    if let Err(refusal) = Layout::read(&columns) {
        return Ok(Some(refusal));
    }
    let filled = parts.iter().zip(&rows).find(|(_, rows)| !rows.rows.is_empty());
    Ok(filled.map(|(query, _)| {
        Refusal::of_query(query.part_no, "it gives rows although the batch is empty: join bodrelay_batch")
    }))
}

/// Document types that are composed and have no query that gives the document itself.
pub fn lacks_queries<'a>(
    point: &'a ConnectionPoint,
    queries: &'a [QueryRow],
) -> impl Iterator<Item = Notice> + 'a {
    let lacks = |document_type: &&DocumentType| {
        parts_of(queries, document_type).first().is_none_or(|first| first.part_no != 0)
    };
    point.documents.keys().filter(lacks).map(|document_type| {
        Notice::new("NO_QUERIES", Severity::Error, Some(&point.name), document_type.to_string()).says(
            "bodrelay_document_query has no enabled part 0 for it: its changes are refused",
            "Insert the query that gives the document itself ('bodrelay sql' prints examples), then set was_processed to \
             0 again where changes were refused for it.",
        )
    })
}

/// What is said of a query that was refused; `None`: it was not.
pub fn query_refused(point: &ConnectionPoint, query: &QueryChecked) -> Option<Notice> {
    let reason = query.refused_reason.as_ref()?;
    let subject = format!("{}.{} part {}", query.verb, query.noun, query.part_no);
    Some(Notice::new("QUERY_REFUSED", Severity::Error, Some(&point.name), subject).says(
        reason,
        "Correct the row of bodrelay_document_query; 'bodrelay compose' shows what it makes of a document. Changes that \
         were refused for it: set was_processed to 0 again.",
    ))
}
