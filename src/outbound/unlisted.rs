//! Rows of types that nobody lists: told as long as one of them waits at 0, through restarts, and not a sweep longer.
//!
//! What waits is in the journal, parked; a tour over its types goes with each sweep, and asks the outbox for the lowest
//! row of each. Rows that are gone, or no longer 0, are forgotten. Some of the others are judged again, all of them in
//! turn: where somebody mended one (its header named a type that there is not), all of its type are.

use std::collections::{BTreeMap, BTreeSet};

use super::Outbound;
use super::collect::{CollectError, Job};
use crate::database::Scan;
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::waiting::PointNumber;

/// Why such rows are parked.
const REASON: &str = "unlisted";
/// Types that one sweep asks for; the next one goes on behind them.
const TYPES: usize = 20;
/// Rows that one sweep judges again, and no more than half of what it takes: others are to come.
const AGAIN: i64 = 100;
/// Characters of a type that a finding repeats.
const SHOWN: usize = 150;
/// Before all rows.
pub(super) const FIRST: (String, i64) = (String::new(), i64::MIN);
/// Rows of a type that are looked at once its lowest one is gone.
const ROWS: i64 = 5_000;
/// Whole tours in which a type that is told may be missing: its rows may not be parked yet, or no longer, since a changed
/// setting has them judged again.
const TOURS: u8 = 2;

/// What a part of the tour found.
#[derive(Debug, Default)]
pub(super) struct Tour {
    /// Where the next one goes on; empty: it begins again.
    from: String,
    /// It went over all types.
    is_whole: bool,
    /// Types with rows at 0.
    waiting: Vec<String>,
    /// Types of which the last parked row has gone.
    over: Vec<String>,
    /// Parked rows that wait no longer.
    pub gone: Vec<i64>,
    /// Rows that are judged again, and their types until then.
    pub again: BTreeMap<i64, String>,
    /// The last of these; `FIRST` after the last of all.
    again_to: (String, i64),
    /// Types with a row that is no longer of it.
    pub mended: BTreeSet<String>,
}

/// Goes on with the tour at the type `from`.
pub(super) async fn tour(job: &Job, mut from: String) -> Result<Tour, CollectError> {
    let mut tour = Tour { is_whole: from.is_empty(), ..Tour::default() };
    let most = i64::from(job.settings.batch_rows / 2).clamp(1, AGAIN);
    let again = job.journal.parked_walk(job.point_id, REASON, job.unlisted_again.clone(), most).await?;
    let is_last = i64::try_from(again.len()).is_ok_and(|rows| rows < most);
    tour.again_to = again.last().filter(|_| !is_last).cloned().unwrap_or(FIRST);
    tour.again = again.into_iter().map(|(document_type, entry_id)| (entry_id, document_type)).collect();
    for _ in 0..TYPES {
        let next = job.journal.parked_walk(job.point_id, REASON, (from, i64::MIN), 1).await?;
        let Some((document_type, lowest)) = next.into_iter().next() else { return Ok(tour) };
        let (still, _) = at_zero(job, lowest, lowest).await?;
        match !still.is_empty() || waits(job, &document_type, &mut tour.gone).await? {
            true => tour.waiting.push(document_type.clone()),
            false => tour.over.push(document_type.clone()),
        }
        // The next one in order: nothing is between a text and the same with the lowest character behind it.
        from = document_type + "\0";
    }
    (tour.from, tour.is_whole) = (from, false);
    Ok(tour)
}

/// Whether rows of a type are left, as far as a page of them tells; those that are gone are added to `gone`.
async fn waits(job: &Job, document_type: &str, gone: &mut Vec<i64>) -> Result<bool, CollectError> {
    let parked = job.journal.parked(job.point_id, REASON, Some(document_type.to_owned()), ROWS).await?;
    let parked: Vec<i64> = parked.into_iter().map(|row| row.entry_id).collect();
    let (Some(first), Some(last)) = (parked.first(), parked.last()) else { return Ok(false) };
    let (found, known_up_to) = at_zero(job, *first, *last).await?;
    gone.extend(parked.iter().filter(|id| **id <= known_up_to && !found.contains(id)));
    let is_whole = i64::try_from(parked.len()).is_ok_and(|rows| rows < ROWS);
    Ok(!is_whole || parked.iter().any(|id| *id > known_up_to || found.contains(id)))
}

/// Rows at 0 in a range of ids, and how far they are all known.
async fn at_zero(job: &Job, first: i64, last: i64) -> Result<(BTreeSet<i64>, i64), CollectError> {
    let selection = job.selection.clone();
    let scan = Scan { selection, after: first - 1, up_to: last, limit: ROWS, ..Scan::default() };
    let page = job.database.outbox_scan(&scan).await?;
    let found: BTreeSet<i64> = page.entries.iter().map(|entry| entry.entry_id).collect();
    let is_whole = i64::try_from(found.len()).is_ok_and(|rows| rows < ROWS);
    let known_up_to = found.last().copied().filter(|_| !is_whole).unwrap_or(last);
    Ok((found, known_up_to))
}

/// The finding about a type; nothing is said of it yet.
pub(super) fn type_not_listed(point: &str, document_type: &str) -> Notice {
    let subject = if document_type.is_empty() { "unknown" } else { document_type };
    Notice::new("TYPE_NOT_LISTED", Severity::Error, Some(point), subject)
}

impl Outbound {
    /// A row of a type that nobody lists waits; without a type, nothing tells which it is.
    pub(super) fn not_listed(&mut self, number: PointNumber, document_type: &str) {
        let point = self.point(number);
        point.unlisted.insert(document_type.to_owned(), TOURS);
        let (name, site) = (point.name().to_owned(), point.site);
        let notice = type_not_listed(&name, document_type);
        let Some(listed) = DocumentType::parse(document_type) else {
            return self.notices.push(notice.says(
                "rows wait of which neither the header BODType nor the document tells the type; they stay 0",
                "The finding BODTYPE_MALFORMED names one of them. Correct what writes them, then the rows themselves; \
                 rows that nobody needs: set C_WAS_PROCESSED to 9.",
            ));
        };
        let shown: String = document_type.chars().take(SHOWN).collect();
        let database = &self.sites[site].database;
        let remedy = match listed.is_plausible() {
            true => format!(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ({}, 'out', {}, {}); the \
                 rows are then sent. Or set enabled = 0 in such a row to leave them alone knowingly.",
                database.quoted(&name),
                database.quoted(&listed.verb),
                database.quoted(&listed.noun)
            ),
            // Whoever wrote it may have meant something else by it.
            false => "This is no name of a document type, so do not list it. Correct what writes the header BODType, then \
                      the rows themselves; rows that nobody needs: set C_WAS_PROCESSED to 9."
                .to_owned(),
        };
        self.notices.push(notice.says(
            format!("rows of type {shown} wait: bodrelay_document does not list it for {name}; they stay 0"),
            remedy,
        ));
    }

    /// Tells what an earlier life had told, and takes back what waits no longer.
    pub(super) fn toured(&mut self, number: PointNumber, mut tour: Tour) {
        let point = self.point(number);
        point.unlisted_from = tour.from;
        point.unlisted_again = tour.again_to;
        let settings = point.settings.clone();
        for (document_type, tours) in &mut point.unlisted {
            if tour.waiting.contains(document_type) {
                *tours = TOURS;
            } else if tour.is_whole && !tour.over.contains(document_type) {
                *tours -= 1;
                if *tours == 0 {
                    tour.over.push(document_type.clone());
                }
            }
        }
        for document_type in tour.mended {
            self.wake(number, REASON, Some(document_type));
        }
        for document_type in tour.over {
            self.point(number).unlisted.remove(&document_type);
            self.notices.push(type_not_listed(&settings.name, &document_type).clears());
        }
        for document_type in tour.waiting {
            // What was listed since the tour set out is no longer its business.
            let is_listed =
                DocumentType::parse(&document_type).is_some_and(|it| settings.documents.contains_key(&it));
            if !is_listed && !self.point(number).unlisted.contains_key(&document_type) {
                self.not_listed(number, &document_type);
            }
        }
    }
}
