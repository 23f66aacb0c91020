//! compose: from row changes to entries of the outbox, before they are scanned like any other (design.md §6).
//!
//! Every step takes its work from the tables, so a pass that ends anywhere is just made again. Changes are read first and
//! the queries see the data after that, so a document never shows less than the changes that it covers; one that comes
//! meanwhile stays at 0 and makes the next version. What cannot be composed is told on its changes, and nothing else waits
//! for it: a batch that fails on the data of some document is halved until that document stands alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::bod;
use crate::bod::compose::{Batch, Failed, Layout, Made, Part, PartRows, Refusal, Wanted, compose};
use crate::crash;
use crate::database::compose::{
    BatchRow, ComposedDocument, ComposedEntry, Composition, PartQuery, QueryFailureKind, QueryRow,
};
use crate::database::{Database, DatabaseError, lacks_queries, parts_of, query_refused, try_queries};
use crate::domain::change::{Action, Folded, RowChange, Subject, fold};
use crate::domain::halves::Halves;
use crate::domain::ids::{DocumentType, row_key};
use crate::domain::message::{Entry, Payload, Verdict};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{ConnectionPoint, Document};

/// Changes that a pass reads at once of the documents that it has found.
const CHANGES_MAX: i64 = 20_000;
/// Queries are looked at for changes of the DBA's so often even when nothing is to compose.
const QUERIES_EVERY_MS: i64 = 60_000;
/// Composed changes that are looked at for deletion at once, and how often.
const PURGE_ROWS: i64 = 5_000;
const PURGE_EVERY_MS: i64 = 600_000;
/// Documents composed between two looks at other work.
const SLICE: usize = 16;

/// What a pass leaves for the next one; all of it can be lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Where the tour over the waiting changes stands.
    after: i64,
    /// The queries as they were last tried.
    tried: Option<u64>,
    /// What was wrong with them.
    found: Vec<Notice>,
    queries_read_at: i64,
    purged_at: i64,
    /// Documents a batch, for types whose queries took too long for more.
    limits: BTreeMap<DocumentType, usize>,
}

/// Its time has come, also where the clock was set back meanwhile.
fn is_due(at: i64, every: i64, now: i64) -> bool {
    now - at >= every || now < at
}

/// What came of a pass.
#[derive(Default)]
pub(super) struct Outcome {
    pub memory: Memory,
    /// There is more to compose at once.
    pub more: bool,
    /// Changes wait for an open version of their document.
    pub waits: bool,
    pub notices: Vec<Notice>,
}

/// A document of a batch.
#[derive(Clone)]
struct Due {
    folded: Folded,
    document_key: String,
    variation_id: i64,
}

/// One pass of one connection point.
pub(super) async fn pass(
    database: &dyn Database,
    point: &ConnectionPoint,
    memory: Memory,
    now: i64,
) -> Result<Outcome, DatabaseError> {
    let mut outcome = Outcome { memory, ..Outcome::default() };
    let limit = i64::from(point.batch_rows);
    let page = database.change_read(&point.name, outcome.memory.after, limit).await?;
    crash::point("after_change_read");
    let look = !page.is_empty() || is_due(outcome.memory.queries_read_at, QUERIES_EVERY_MS, now);
    if look {
        outcome.memory.queries_read_at = now;
        let queries = database.query_read(&point.name).await?;
        look_at_queries(database, point, &queries, &mut outcome).await?;
        compose_page(database, point, &queries, &page, &mut outcome).await?;
    }
    let full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= limit;
    match page.last().filter(|_| full) {
        // What was left for a smaller batch is read again.
        Some(_) if outcome.more => {}
        Some(last) => {
            outcome.memory.after = last.change_id;
            outcome.more = true;
        }
        // The tour begins again: a transaction that began early may commit late.
        None => outcome.memory.after = 0,
    }
    if is_due(outcome.memory.purged_at, PURGE_EVERY_MS, now) {
        outcome.memory.purged_at = now;
        let before =
            DateTime::<Utc>::from_timestamp_millis(now - i64::from(point.log_keep_days) * 86_400_000);
        if let Some(before) = before {
            match database.change_purge(&point.name, before, PURGE_ROWS).await {
                // What was composed is done all the same.
                Err(error) if error.spares_parts() => {
                    tracing::warn!(error = %error, "old rows of bodrelay_change are not deleted this time");
                }
                purged => _ = purged?,
            }
        }
    }
    Ok(outcome)
}

/// Tries queries that are new or changed, and says beside them what is wrong.
async fn look_at_queries(
    database: &dyn Database,
    point: &ConnectionPoint,
    queries: &[QueryRow],
    outcome: &mut Outcome,
) -> Result<(), DatabaseError> {
    let mut hasher = DefaultHasher::new();
    for query in queries {
        QueryRow { refused_reason: None, ..query.clone() }.hash(&mut hasher);
    }
    point.documents.keys().for_each(|document_type| document_type.hash(&mut hasher));
    let hash = hasher.finish();
    if outcome.memory.tried == Some(hash) {
        return Ok(());
    }
    let checked = try_queries(database, point, queries).await?;
    database.query_checked(&point.name, &checked).await?;
    let found = lacks_queries(point, queries)
        .chain(checked.iter().filter_map(|query| query_refused(point, query)))
        .collect();
    // Mended, switched off, or deleted.
    let before = std::mem::replace(&mut outcome.memory.found, found);
    let is_found = |old: &Notice| {
        outcome.memory.found.iter().any(|it| (it.code, &it.subject) == (old.code, &old.subject))
    };
    outcome.notices.extend(before.into_iter().filter(|old| !is_found(old)).map(Notice::clears));
    outcome.notices.extend(outcome.memory.found.iter().cloned());
    outcome.memory.tried = Some(hash);
    outcome.memory.limits.clear();
    Ok(())
}

async fn compose_page(
    database: &dyn Database,
    point: &ConnectionPoint,
    queries: &[QueryRow],
    page: &[RowChange],
    outcome: &mut Outcome,
) -> Result<(), DatabaseError> {
    if page.is_empty() {
        return Ok(());
    }
    // All changes of these documents, also those behind the page: they are told as one.
    let readable = page.iter().filter(|change| change.unreadable.is_none());
    let ids: HashSet<&String> = readable.map(|change| &change.document_id).collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let mut changes = database.change_read_of_documents(&point.name, &ids, CHANGES_MAX).await?;
    let known: HashSet<i64> = changes.iter().map(|change| change.change_id).collect();
    changes.extend(page.iter().filter(|change| !known.contains(&change.change_id)).cloned());
    let (folded, unfit) = fold(&changes);
    let mut refused: Vec<(i64, String)> =
        unfit.into_iter().map(|unfit| (unfit.change_id, unfit.reason)).collect();

    let mut by_type: BTreeMap<DocumentType, Vec<Folded>> = BTreeMap::new();
    for document in folded {
        let document_type = DocumentType::new(&*document.subject.verb, &*document.subject.noun);
        match settings_of(point, queries, &document_type) {
            Ok(Some(_)) => by_type.entry(document_type).or_default().push(document),
            // Switched off: they wait until it is on again.
            Ok(None) => {}
            Err(reason) => refused.extend(document.change_ids.iter().map(|id| (*id, reason.clone()))),
        }
    }
    let (now, due) = due(database, point, by_type, outcome).await?;
    for (document_type, documents) in due {
        let Ok(Some(settings)) = settings_of(point, queries, &document_type) else { continue };
        let mut work = Work {
            database,
            point,
            settings,
            document_type: &document_type,
            parts: parts_of(queries, &document_type),
            changes: &changes,
            now,
            composition: composition(point),
        };
        work.compose_all(documents, outcome).await?;
        let composition = work.composition;
        write(database, point, composition, outcome).await?;
    }
    if !refused.is_empty() {
        write(database, point, Composition { refused, ..composition(point) }, outcome).await?;
    }
    Ok(())
}

fn composition(point: &ConnectionPoint) -> Composition {
    let or = |given: &Option<String>, own: &String| given.clone().unwrap_or_else(|| own.clone());
    Composition {
        connection_point: point.name.clone(),
        tenant_id: or(&point.source_tenant_id, &point.tenant_id),
        logical_id: or(&point.source_logical_id, &point.logical_id),
        documents: Vec::new(),
        refused: Vec::new(),
    }
}

/// The settings of a type that is composed; `Ok(None)`: it is switched off.
fn settings_of<'p>(
    point: &'p ConnectionPoint,
    queries: &[QueryRow],
    document_type: &DocumentType,
) -> Result<Option<&'p Document>, String> {
    if document_type.follows_from_request() {
        return Err(format!(
            "{document_type} answers a request, whose sender no change names: it is not composed"
        ));
    }
    let Some(settings) = point.documents.get(document_type) else {
        return Err(format!(
            "{} is not listed: bodrelay_document has no row of direction 'out' for it at this connection point",
            shown(&document_type.to_string())
        ));
    };
    if !settings.enabled {
        return Ok(None);
    }
    let parts = parts_of(queries, document_type);
    if let Some(refusal) = parts.iter().find_map(|query| query.spoilt()) {
        return Err(format!("{document_type}: {refusal}"));
    }
    match parts.first() {
        Some(first) if first.part_no == 0 => Ok(Some(settings)),
        _ => Err(format!("bodrelay_document_query has no enabled part 0 for {document_type}")),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_debug).collect()
}

/// Documents without an open version, with the version that they will be. Of two subjects with one key (two verbs, blanks
/// around an id) the second one waits for the first.
async fn due(
    database: &dyn Database,
    point: &ConnectionPoint,
    by_type: BTreeMap<DocumentType, Vec<Folded>>,
    outcome: &mut Outcome,
) -> Result<(DateTime<Utc>, BTreeMap<DocumentType, Vec<Due>>), DatabaseError> {
    let key = |subject: &Subject| key_of(point, subject);
    let keys: HashSet<String> = by_type.values().flatten().map(|document| key(&document.subject)).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let variations = database.variation_read(&keys).await?;
    let clock = variations.now.timestamp_millis();
    let last: HashMap<&str, (i64, bool)> = variations
        .rows
        .iter()
        .map(|row| (row.document_key.as_str(), (row.last_variation, row.is_open)))
        .collect();
    let mut taken = HashSet::new();
    let mut due: BTreeMap<DocumentType, Vec<Due>> = BTreeMap::new();
    for (document_type, documents) in by_type {
        for folded in documents {
            let document_key = key(&folded.subject);
            let known = last.get(document_key.as_str()).copied();
            if known.is_some_and(|(_, is_open)| is_open) || !taken.insert(document_key.clone()) {
                outcome.waits = true;
                continue;
            }
            // The clock alone would do, were it never set back; the last version alone, were no database ever restored.
            let variation_id = known.map_or(clock, |(last, _)| clock.max(last.saturating_add(1)));
            due.entry(document_type.clone()).or_default().push(Due { folded, document_key, variation_id });
        }
    }
    Ok((variations.now, due))
}

fn key_of(point: &ConnectionPoint, subject: &Subject) -> String {
    row_key(&[
        &point.tenant_id,
        &point.logical_id,
        &subject.noun,
        subject.accounting_entity.trim(),
        subject.document_location.trim(),
        subject.document_id.trim(),
    ])
}

/// The documents of one type, on their way.
struct Work<'a> {
    database: &'a dyn Database,
    point: &'a ConnectionPoint,
    settings: &'a Document,
    document_type: &'a DocumentType,
    parts: Vec<&'a QueryRow>,
    /// Every change that was read.
    changes: &'a [RowChange],
    /// The database's clock.
    now: DateTime<Utc>,
    composition: Composition,
}

impl Work<'_> {
    async fn compose_all(
        &mut self,
        mut documents: Vec<Due>,
        outcome: &mut Outcome,
    ) -> Result<(), DatabaseError> {
        let limits = &mut outcome.memory.limits;
        let limit = limits.get(self.document_type).copied().unwrap_or(usize::MAX).max(1);
        if documents.len() > limit {
            documents.truncate(limit);
            outcome.more = true;
        }
        let queries: Vec<PartQuery> = self.parts.iter().map(|query| query.query()).collect();
        let mut missing = Vec::new();
        let mut batches = vec![documents];
        while let Some(mut batch) = batches.pop() {
            let rows: Vec<BatchRow> =
                batch.iter().zip(1..).map(|(due, number)| batch_row(due, number)).collect();
            match self.database.compose_rows(&rows, &queries).await? {
                Ok(parts) => missing.extend(self.make(&batch, &parts).await),
                Err(failure) if failure.kind == QueryFailureKind::Wrong || batch.len() == 1 => {
                    let reason = failure.refusal().to_string();
                    batch.iter().for_each(|due| self.refuse(due, &reason));
                }
                Err(failure) if failure.kind == QueryFailureKind::TimedOut => {
                    // The others wait for the next pass: nobody waits for ten time-outs in a row.
                    outcome.memory.limits.insert(self.document_type.clone(), batch.len() / 2);
                    outcome.more = true;
                    return Ok(());
                }
                Err(_) => {
                    let rest = batch.split_off(batch.len() / 2);
                    batches.extend([rest, batch]);
                }
            }
        }
        if let Some(limit) = outcome.memory.limits.get_mut(self.document_type) {
            *limit = limit.saturating_mul(2);
        }
        self.judge_missing(missing, outcome).await
    }

    fn refuse(&mut self, due: &Due, reason: &str) {
        self.composition.refused.extend(due.folded.change_ids.iter().map(|id| (*id, reason.to_owned())));
    }

    /// Makes the documents of a batch; answers those for which part 0 gave no row.
    async fn make(&mut self, documents: &[Due], rows: &[PartRows]) -> Vec<Due> {
        let columns: Vec<(Part, Vec<String>)> =
            self.parts.iter().zip(rows).map(|(query, rows)| (query.part(), rows.columns.clone())).collect();
        let numbers: HashSet<i64> = (1..).take(documents.len()).collect();
        let layout = Layout::read(&columns);
        let batch = match &layout {
            Ok(layout) => Batch::read(layout, rows.iter().collect(), &numbers),
            Err(refusal) => Err(refusal.clone()),
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(refusal) => {
                let reason = refusal.to_string();
                documents.iter().for_each(|due| self.refuse(due, &reason));
                return Vec::new();
            }
        };
        let mut missing = Vec::new();
        for (index, (due, number)) in documents.iter().zip(1..).enumerate() {
            if index % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
            let wanted = wanted(self.point, self.settings, due, number, self.now);
            let made = compose(&batch, &wanted).and_then(|made| judged(self.point, &due.folded, made));
            match made {
                Ok(entries) => self.composition.documents.push(ComposedDocument {
                    document_key: due.document_key.clone(),
                    variation_id: due.variation_id,
                    priority: due.folded.priority.into(),
                    entries,
                    change_ids: due.folded.change_ids.clone(),
                }),
                Err(Failed::NoRow) => missing.push(due.clone()),
                Err(Failed::Refused(refusal)) => self.refuse(due, &refusal.to_string()),
            }
        }
        missing
    }

    /// No row: the document may have been deleted after its changes were read, and the change that says so waits already;
    /// else its trigger and its query do not agree.
    async fn judge_missing(&mut self, missing: Vec<Due>, outcome: &mut Outcome) -> Result<(), DatabaseError> {
        if missing.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = missing.iter().map(|due| due.folded.subject.document_id.clone()).collect();
        let again = self.database.change_read_of_documents(&self.point.name, &ids, CHANGES_MAX).await?;
        let known: HashSet<i64> = self.changes.iter().map(|change| change.change_id).collect();
        let newer =
            fold(&again.into_iter().filter(|it| !known.contains(&it.change_id)).collect::<Vec<_>>()).0;
        for due in missing {
            if newer.iter().any(|newer| newer.subject == due.folded.subject) {
                outcome.more = true;
                continue;
            }
            self.refuse(
                &due,
                "part 0 gives no row for it: a trigger names a document that the query does not find (join bodrelay_batch \
                 by the columns that the trigger writes), or one that was deleted without a change with action_code Delete",
            );
        }
        Ok(())
    }
}

fn batch_row(due: &Due, number: i64) -> BatchRow {
    let subject = &due.folded.subject;
    BatchRow {
        document_no: number,
        document_id: subject.document_id.clone(),
        accounting_entity: subject.accounting_entity.clone(),
        document_location: subject.document_location.clone(),
        action_code: due.folded.action.as_str(),
        variation_id: due.variation_id,
    }
}

fn wanted<'a>(
    point: &'a ConnectionPoint,
    settings: &'a Document,
    due: &'a Due,
    number: i64,
    now: DateTime<Utc>,
) -> Wanted<'a> {
    let subject = &due.folded.subject;
    Wanted {
        document_no: number,
        tenant_id: &point.tenant_id,
        logical_id: &point.logical_id,
        verb: &subject.verb,
        noun: &subject.noun,
        document_id: &subject.document_id,
        accounting_entity: &subject.accounting_entity,
        document_location: &subject.document_location,
        action: due.folded.action,
        variation_id: due.variation_id,
        now,
        namespace: settings.namespace.as_deref(),
        document_id_path: settings.document_id_path.as_deref(),
        max_bytes: settings.max_document_bytes,
        document_key: &due.document_key,
    }
}

/// Composed documents pass the checks of foreign ones (design.md §7).
fn judged(point: &ConnectionPoint, folded: &Folded, made: Vec<Made>) -> Result<Vec<ComposedEntry>, Failed> {
    let mut entries = Vec::with_capacity(made.len());
    for made in made {
        let document = Bytes::from(made.xml);
        let entry = Entry {
            entry_id: 0,
            priority: folded.priority,
            created: String::new(),
            created_at: None,
            was_processed: 0,
            payload: Some(Payload { bytes: document.clone(), is_text: false }),
            headers: made.headers.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            unreadable: None,
        };
        match bod::judge(&entry, point).verdict {
            Verdict::Send(_) => entries.push(ComposedEntry { document, headers: made.headers }),
            Verdict::Fail(failure) => {
                return Err(Refusal::of_document(format!("{}: {}", failure.code, failure.text)).into());
            }
            Verdict::Park(park) => {
                return Err(
                    Refusal::of_document(format!("the composed document would be left: {park:?}")).into()
                );
            }
        }
    }
    Ok(entries)
}

/// Writes what was made. Where somebody else had a change or a version meanwhile, nothing is, and it is made again.
async fn write(
    database: &dyn Database,
    point: &ConnectionPoint,
    composition: Composition,
    outcome: &mut Outcome,
) -> Result<(), DatabaseError> {
    if composition.documents.is_empty() && composition.refused.is_empty() {
        return Ok(());
    }
    crash::point("after_compose");
    let (written, composition) = match database.compose_write(&composition).await {
        Ok(written) => (written, composition),
        Err(error) if error.is_about_rows() => write_apart(database, composition, outcome).await?,
        Err(error) => return Err(error),
    };
    crash::point("after_compose_write");
    if !written {
        tracing::warn!(
            connection_point = point.name,
            "a change or a version was somebody else's meanwhile: nothing was written, it is composed again"
        );
        outcome.more = true;
        return Ok(());
    }
    let changes: usize = composition.documents.iter().map(|document| document.change_ids.len()).sum();
    tracing::debug!(
        connection_point = point.name,
        documents = composition.documents.len(),
        changes,
        refused = composition.refused.len(),
        "composed"
    );
    if let Some((change_id, reason)) = composition.refused.last() {
        let count = composition.refused.len();
        outcome.notices.push(
            Notice::new("CHANGES_REFUSED", Severity::Warning, Some(&point.name), "bodrelay_change").says(
                format!("{count} changes were refused; the last one: change_id {change_id}: {reason}"),
                "SELECT change_id, noun, document_id, refused_reason FROM bodrelay_change WHERE was_processed = 9. Mend what \
                 the reason names, then set was_processed to 0.",
            ),
        );
    }
    Ok(())
}

/// The database refuses something in it: what it takes is written, and the changes of a document that it does not take are
/// refused in its words. Answers whether all that could be was written, and what it was.
async fn write_apart(
    database: &dyn Database,
    mut composition: Composition,
    outcome: &mut Outcome,
) -> Result<(bool, Composition), DatabaseError> {
    let mut refused = std::mem::take(&mut composition.refused);
    let mut halves = Halves::of(std::mem::take(&mut composition.documents));
    let (mut done, mut is_whole) = (Vec::new(), true);
    while let Some(documents) = halves.part() {
        composition.documents = documents;
        match database.compose_write(&composition).await {
            Ok(true) => done.append(&mut composition.documents),
            Ok(false) => is_whole = false,
            Err(error) if error.is_about_rows() => {
                halves.refuse(std::mem::take(&mut composition.documents), error);
            }
            Err(error) => return Err(error),
        }
    }
    let (alone, left) = halves.end();
    outcome.more |= !left.is_empty();
    for (document, error) in alone {
        let reason = format!("the database does not take the entry: {error}");
        refused.extend(document.change_ids.iter().map(|id| (*id, reason.clone())));
    }
    composition.documents.clear();
    let mut halves = Halves::of(refused);
    let mut told = Vec::new();
    while let Some(refused) = halves.part() {
        composition.refused = refused;
        match database.compose_write(&composition).await {
            Ok(true) => told.append(&mut composition.refused),
            Ok(false) => is_whole = false,
            Err(error) if error.is_about_rows() => {
                halves.refuse(std::mem::take(&mut composition.refused), error);
            }
            Err(error) => return Err(error),
        }
    }
    for ((change_id, reason), error) in halves.end().0 {
        tracing::error!(change_id, reason, error = %error, "a change that is refused cannot be marked so");
    }
    (composition.documents, composition.refused) = (done, told);
    Ok((is_whole, composition))
}

/// What somebody wants to see composed, without anything being written.
#[derive(Debug, Clone)]
pub struct Ask {
    pub verb: String,
    pub noun: String,
    pub document_id: String,
    pub accounting_entity: String,
    pub document_location: String,
    pub action: Action,
}

/// A document as it would be sent now.
#[derive(Debug, Default)]
pub struct Preview {
    /// Several: a batch.
    pub documents: Vec<String>,
    /// Part, rows, milliseconds.
    pub parts: Vec<(i64, usize, u64)>,
    /// Why it would not be sent.
    pub refused: Option<String>,
}

/// Composes one document from the data as it is.
pub async fn preview(
    database: &dyn Database,
    point: &ConnectionPoint,
    ask: &Ask,
) -> Result<Preview, DatabaseError> {
    let mut preview = Preview::default();
    let queries = database.query_read(&point.name).await?;
    let document_type = DocumentType::new(&*ask.verb, &*ask.noun);
    let settings = match settings_of(point, &queries, &document_type) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            preview.refused = Some(format!("{document_type} has enabled = 0 in bodrelay_document"));
            return Ok(preview);
        }
        Err(reason) => {
            preview.refused = Some(reason);
            return Ok(preview);
        }
    };
    let subject = Subject {
        verb: ask.verb.clone(),
        noun: ask.noun.clone(),
        document_id: ask.document_id.clone(),
        accounting_entity: ask.accounting_entity.clone(),
        document_location: ask.document_location.clone(),
    };
    let folded = Folded { subject, action: ask.action, priority: 4, change_ids: vec![0] };
    let document_key = key_of(point, &folded.subject);
    let variations = database.variation_read(std::slice::from_ref(&document_key)).await?;
    let last = variations.rows.first().map_or(0, |row| row.last_variation);
    let variation_id = variations.now.timestamp_millis().max(last.saturating_add(1));
    let due = Due { folded, document_key, variation_id };
    let parts = parts_of(&queries, &document_type);
    let runs: Vec<PartQuery> = parts.iter().map(|query| query.query()).collect();
    let rows = match database.compose_rows(&[batch_row(&due, 1)], &runs).await? {
        Ok(rows) => rows,
        Err(failure) => {
            preview.refused = Some(failure.refusal().to_string());
            return Ok(preview);
        }
    };
    preview.parts = parts
        .iter()
        .zip(&rows)
        .map(|(query, rows)| (query.part_no, rows.rows.len(), rows.milliseconds))
        .collect();
    let columns: Vec<(Part, Vec<String>)> =
        parts.iter().zip(&rows).map(|(query, rows)| (query.part(), rows.columns.clone())).collect();
    let made = Layout::read(&columns).map_err(Failed::from).and_then(|layout| {
        let batch = Batch::read(&layout, rows.iter().collect(), &HashSet::from([1]))?;
        compose(&batch, &wanted(point, settings, &due, 1, variations.now))
    });
    match made {
        Ok(made) => {
            preview.documents = made.iter().map(|made| made.xml.clone()).collect();
            if let Err(Failed::Refused(refusal)) = judged(point, &due.folded, made) {
                preview.refused = Some(refusal.to_string());
            }
        }
        Err(Failed::NoRow) => {
            preview.refused = Some("part 0 gives no row for it (with --action Delete it needs none)".into());
        }
        Err(Failed::Refused(refusal)) => preview.refused = Some(refusal.to_string()),
    }
    Ok(preview)
}
