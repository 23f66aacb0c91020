//! scan: from the outbox to judged entries. Reads only; what is to be done with them is decided afterwards.
//!
//! The cursor is an optimisation and never the truth. What commits late below it, each look finds in the holes of the ids
//! (`domain/holes.rs`): whatever was committed before a row was, is seen by the look that sees the row, and both are judged
//! together, the lower id first. Sweeps over the newest 50,000 ids every 5 s, and over all of them a piece a pass, find
//! reset rows, and what came into holes that were forgotten (design.md §4).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::admit::OVERHEAD;
use super::point::WINDOW;
use super::{compose, unlisted};
use crate::bod;
use crate::crash;
use crate::database::{Database, DatabaseError, Page, Scan, Selection};
use crate::domain::holes::Holes;
use crate::domain::ids::LaneKey;
use crate::domain::message::{Entry, Judged, Park, Verdict};
use crate::domain::plan::ConnectionPoint;
use crate::domain::sweep::Sweep;
use crate::journal::{Journal, JournalError};

/// Rows of one request of a sweep.
const SWEEP_PAGE: i64 = 5_000;
/// The newest ids that every sweep goes over.
const SWEEP_NEWEST: i64 = 50_000;
/// Rows parked for missing headers that a pass looks at again, and their bytes: others are not to wait for them.
const HEADERS_AGAIN: i64 = 200;
const HEADERS_BYTES: usize = 1024 * 1024;

/// What to look for.
pub(super) struct Job {
    pub database: Arc<dyn Database>,
    pub journal: Journal,
    pub settings: Arc<ConnectionPoint>,
    pub selection: Selection,
    pub point_id: i64,
    /// The cursor.
    pub after: i64,
    /// The holes below it; `None`: they are not known, as at a start.
    pub holes: Option<Arc<Holes>>,
    /// Nothing is kept of what is found: `observe`.
    pub observing: bool,
    /// Where the sweep over all rows goes on; `None`: no sweep this time.
    pub sweep: Option<Sweep>,
    /// The journal knows no row above this one.
    pub known_up_to: i64,
    /// Rows may be parked for missing headers.
    pub headers_parked: bool,
    /// The last of them that was looked at again; the next ones come first.
    pub headers_from: i64,
    /// The journal is being told of such rows.
    pub parking: bool,
    /// Parked rows may have to be judged again.
    pub woken: bool,
    /// Rows that the journal is being told of: a look below the cursor leaves them out.
    pub admitting: HashSet<i64>,
    /// Where the tour over the types that nobody lists goes on.
    pub unlisted_from: String,
    /// The last row of such a type that was judged again.
    pub unlisted_again: (String, i64),
    /// Ids to judge without asking the journal whether they are to be judged.
    pub wanted: BTreeSet<i64>,
    /// Bytes that may be loaded.
    pub bytes: usize,
    /// Nothing is in memory: one document larger than the budget may go alone.
    pub alone: bool,
    pub rows: usize,
    pub now: i64,
    /// Since when the clock goes as it does now.
    pub clock_since: i64,
    /// Documents are composed before the scan; what the last pass left.
    pub compose: Option<compose::Memory>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Collected {
    pub judged: Vec<Found>,
    /// The cursor, as it was when the look began.
    pub after: i64,
    pub scanned_up_to: i64,
    /// The holes below that.
    pub holes: Option<Arc<Holes>>,
    /// Where the sweep over all rows goes on; `None`: none was made.
    pub sweep: Option<Sweep>,
    /// Bytes of the first row, where not even that one fitted.
    pub bytes_wanted: usize,
    /// There is more than fitted.
    pub more: bool,
    /// The table ended below the cursor: it was truncated or restored.
    pub starts_again: bool,
    /// Ids at or below the cursor that did not fit.
    pub wanted_left: BTreeSet<i64>,
    /// Parked rows that are gone, or no longer 0.
    pub unparked: Vec<i64>,
    /// What was composed before the scan, where it was.
    pub composed: Option<compose::Outcome>,
    /// Rows are parked for missing headers, or were, or may be.
    pub headers_parked: bool,
    /// The last of those that was looked at again.
    pub headers_from: i64,
    /// More parked rows may have to be judged again.
    pub woken: bool,
    /// Types that nobody lists, where a sweep was made.
    pub unlisted: Option<unlisted::Tour>,
}

/// A judged entry with what the judgement does not say.
pub(super) struct Found {
    pub judged: Judged,
    pub created: String,
    pub created_at: Option<i64>,
    pub header_count: i64,
    /// It is parked, and nothing has changed.
    pub already_parked: bool,
}

/// Parked rows that are looked at again to see whether somebody has mended them.
#[derive(Default)]
struct Parked {
    /// Those that lack headers, and since when.
    headers: HashMap<i64, i64>,
    /// Some of those that nobody lists, and their types.
    unlisted: BTreeMap<i64, String>,
}

impl Found {
    /// Its lane; an entry that nothing names has one of its own.
    pub fn lane(&self) -> LaneKey {
        let entry_id = self.judged.entry_id;
        self.judged.lane.unwrap_or_else(|| LaneKey::of(&["entry", &entry_id.to_string(), &self.created]))
    }
}

/// Why a pass could not look.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

pub(super) async fn collect(job: Job) -> Result<Collected, CollectError> {
    let mut collected = Collected { after: job.after, ..Collected::default() };
    if let Some(memory) = &job.compose {
        let database = job.database.as_ref();
        let composed = compose::pass(database, &job.settings, memory.clone(), job.now).await?;
        collected.composed = Some(composed);
    }
    let mut parked = Parked::default();
    let mut holes = holes(&job).await?;
    // First what lies below, so that the page sees all that was committed before anything that is seen here.
    let (mut lengths, mut swept) = (BTreeMap::new(), None);
    if let Some(from) = job.sweep {
        swept = Some(sweep(&job, from, &mut lengths).await?);
        lengths.retain(|id, _| !job.admitting.contains(id));
    }
    let (page, is_cut) = forward(&job, &holes).await?;
    collected.starts_again = page.highest < job.after;
    if collected.starts_again {
        lengths.clear();
    } else if swept.is_some() {
        collected.sweep = swept;
        let mut tour = unlisted::tour(&job, job.unlisted_from.clone()).await?;
        parked.unlisted = std::mem::take(&mut tour.again);
        parked.unlisted.retain(|id, _| !job.admitting.contains(id));
        collected.unlisted = Some(tour);
    }
    lengths.extend(page.entries.iter().map(|scanned| (scanned.entry_id, scanned.payload_bytes)));
    let chosen = page.filled.iter().filter(|filled| filled.is_chosen);
    lengths.extend(chosen.map(|filled| (filled.entry_id, filled.payload_bytes)));
    crash::point("after_scan");
    let mut ids: BTreeSet<i64> = lengths.keys().copied().filter(|id| *id > job.known_up_to).collect();
    // What it cannot know it is not asked about: each question waits for the commit that is under way.
    let found: Vec<i64> = lengths.range(..=job.known_up_to).map(|(id, _)| *id).collect();
    ids.extend(job.journal.to_judge(job.point_id, found).await?);
    parked.headers = without_headers(&job).await?;
    // Looked at again for a reason of their own: those that wait no longer are let go.
    let mut again: BTreeSet<i64> =
        parked.headers.keys().chain(parked.unlisted.keys()).chain(&job.wanted).copied().collect();
    if job.woken {
        let woken = job.journal.woken(job.point_id, job.settings.batch_rows.into()).await?;
        collected.woken = !woken.is_empty();
        again.extend(woken.into_iter().filter(|id| !job.admitting.contains(id)));
    }
    ids.extend(&again);
    collected.headers_from = judge_without_headers(&job, &mut ids, &parked, &again, &mut collected).await?;
    let ids: Vec<i64> = ids.into_iter().collect();
    let fitting = fit(&ids, &lengths, &job);
    if let Some(first) = ids.first().filter(|_| fitting == 0) {
        collected.bytes_wanted = bytes_of(*first, &lengths);
    }
    let mut left: BTreeSet<i64> = ids[fitting..].iter().copied().collect();
    // What the journal is being told of, this look may not have seen.
    collected.headers_parked = !parked.headers.is_empty() || job.parking;
    left.extend(judge(&job, &ids[..fitting], job.bytes, &parked, &again, &mut collected).await?);
    collected.judged.sort_by_key(|found| found.judged.entry_id);
    // What found no room comes round again.
    left.retain(|id| !parked.unlisted.contains_key(id));
    // The cursor stops before the first row that did not fit; what is below it is not forgotten.
    let last = page.entries.last().map_or(job.after, |scanned| scanned.entry_id);
    let first_left = left.range(job.after + 1..).next().copied();
    let full = i64::try_from(page.entries.len()).unwrap_or(i64::MAX) >= i64::from(job.settings.batch_rows);
    collected.more = full
        || is_cut
        || collected.woken
        || !left.is_empty()
        || collected.composed.as_ref().is_some_and(|composed| composed.more);
    collected.scanned_up_to = match first_left {
        Some(first_left) => first_left - 1,
        None if is_cut => job.after,
        None if full || collected.starts_again => last,
        None => page.highest.max(job.after),
    };
    left.retain(|id| *id <= job.after);
    collected.wanted_left = left;
    if !job.observing {
        tend(&mut holes, &page, collected.scanned_up_to, job.now);
        collected.holes = Some(holes);
    }
    Ok(collected)
}

/// The holes below the cursor. Where they are not known, what is missing among the newest ids is taken for one: the sweep,
/// which comes next, finds what is there.
async fn holes(job: &Job) -> Result<Arc<Holes>, DatabaseError> {
    if let Some(holes) = &job.holes {
        return Ok(holes.clone());
    }
    let mut holes = Holes::default();
    if !job.observing {
        let scan = Scan {
            selection: job.selection.clone(),
            after: job.after.saturating_sub(SWEEP_NEWEST),
            up_to: job.after,
            gaps_among: SWEEP_NEWEST,
            ..Scan::default()
        };
        let page = job.database.outbox_scan(&scan).await?;
        page.gaps.iter().for_each(|gap| holes.open(*gap, job.now, page.transactions));
    }
    Ok(Arc::new(holes))
}

/// What a look learned of the holes below the cursor. They are forgotten only after they were asked for.
fn tend(holes: &mut Arc<Holes>, page: &Page, scanned_up_to: i64, now: i64) {
    let holes = Arc::make_mut(holes);
    let below = page.gaps.iter().filter(|(first, _)| *first <= scanned_up_to);
    below.for_each(|(first, last)| holes.open((*first, scanned_up_to.min(*last)), now, page.transactions));
    page.filled.iter().for_each(|filled| holes.fill(filled.entry_id));
    holes.tend(now, page.transactions);
}

/// Rows that are parked for missing headers, and since when: each look asks whether these have come.
async fn without_headers(job: &Job) -> Result<HashMap<i64, i64>, JournalError> {
    if !job.headers_parked {
        return Ok(HashMap::new());
    }
    let page = async |after| job.journal.parked_after(job.point_id, "headers", after, HEADERS_AGAIN).await;
    let mut parked = page(job.headers_from).await?;
    if parked.is_empty() && job.headers_from != i64::MIN {
        parked = page(i64::MIN).await?;
    }
    Ok(parked.into_iter().map(|parked| (parked.entry_id, parked.first_seen)).collect())
}

/// Judges rows that are parked for missing headers, and takes them out of `ids`: what finds no room in their own share of
/// the bytes comes round again, and keeps nothing else waiting. Answers where the next look goes on.
async fn judge_without_headers(
    job: &Job,
    ids: &mut BTreeSet<i64>,
    parked: &Parked,
    again: &BTreeSet<i64>,
    collected: &mut Collected,
) -> Result<i64, DatabaseError> {
    let mut theirs: Vec<i64> = parked.headers.keys().copied().filter(|id| !job.wanted.contains(id)).collect();
    theirs.sort_unstable();
    ids.retain(|id| !parked.headers.contains_key(id) || job.wanted.contains(id));
    theirs.truncate(job.rows);
    let left = judge(job, &theirs, HEADERS_BYTES.min(job.bytes), parked, again, collected).await?;
    let judged = theirs.iter().rev().find(|id| !left.contains(id));
    Ok(judged.copied().unwrap_or(i64::MIN))
}

/// The page above the cursor and what has come into the holes below it, of one moment; and whether there is no page, since
/// other rows have to be judged first.
async fn forward(job: &Job, holes: &Holes) -> Result<(Page, bool), DatabaseError> {
    // What came before, and in masses, is judged first.
    let is_cut = job.wanted.len() > WINDOW;
    let scan = Scan {
        selection: job.selection.clone(),
        after: job.after,
        up_to: i64::MAX,
        limit: if is_cut { 0 } else { job.settings.batch_rows.into() },
        holes: if is_cut { Vec::new() } else { holes.spans() },
        gaps_among: if is_cut || job.observing { 0 } else { SWEEP_NEWEST },
    };
    let mut page = job.database.outbox_scan(&scan).await?;
    // More may have come into the holes, and may have to go before what is above the cursor.
    let is_cut = is_cut || i64::try_from(page.filled.len()).is_ok_and(|filled| filled >= Scan::FILLED_MAX);
    if is_cut {
        page.entries.clear();
        page.gaps.clear();
    }
    Ok((page, is_cut))
}

/// Looks at rows below the cursor; answers where the sweep over all rows goes on.
async fn sweep(job: &Job, from: Sweep, lengths: &mut BTreeMap<i64, i64>) -> Result<Sweep, DatabaseError> {
    let mut page = async |after: i64, up_to: i64| {
        let scan =
            Scan { selection: job.selection.clone(), after, up_to, limit: SWEEP_PAGE, ..Scan::default() };
        let page = job.database.outbox_scan(&scan).await?;
        lengths.extend(page.entries.iter().map(|scanned| (scanned.entry_id, scanned.payload_bytes)));
        let last = page.entries.last().map(|scanned| scanned.entry_id);
        Ok::<_, DatabaseError>(
            last.filter(|_| i64::try_from(page.entries.len()).is_ok_and(|rows| rows >= SWEEP_PAGE)),
        )
    };
    // The cursor begins at 0, and an application may count from below.
    let mut below = i64::MIN;
    while let Some(last) = page(below, 0).await? {
        below = last;
    }
    let newest = job.after.saturating_sub(SWEEP_NEWEST).max(0);
    let mut after = newest;
    while let Some(last) = page(after, job.after).await? {
        after = last;
    }
    // Everything below the newest ids, a piece a pass; at its end it starts again.
    let Some((after, up_to)) = from.piece(newest) else { return Ok(Sweep::default()) };
    let begun = tokio::time::Instant::now();
    let last = page(after, up_to).await?;
    Ok(from.after_piece(newest, last, begun.elapsed()))
}

fn bytes_of(id: i64, lengths: &BTreeMap<i64, i64>) -> usize {
    lengths.get(&id).map_or(0, |bytes| usize::try_from(*bytes).unwrap_or(0)) + OVERHEAD
}

/// How many of the ids, from the lowest, fit into the budget and the window.
fn fit(ids: &[i64], lengths: &BTreeMap<i64, i64>, job: &Job) -> usize {
    let mut left = job.bytes;
    let mut count = 0;
    for id in ids.iter().take(job.rows) {
        let bytes = bytes_of(*id, lengths);
        if bytes > left && !(count == 0 && job.alone) {
            break;
        }
        left = left.saturating_sub(bytes);
        count += 1;
    }
    count
}

/// Judges what is at 0, on a thread beside the one that posts: to judge a document takes about as long as to send it.
async fn judge_all(entries: Vec<Entry>, settings: Arc<ConnectionPoint>) -> Vec<(Entry, Judged)> {
    let judge = move |entry: Entry| {
        let judged = bod::judge(&entry, &settings);
        (entry, judged)
    };
    let at_zero = entries.into_iter().filter(|entry| entry.was_processed == 0);
    let all = tokio::task::spawn_blocking(move || at_zero.map(judge).collect()).await;
    all.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // The runtime ends, and with it whoever waits for this.
        Err(_) => Vec::new(),
    })
}

/// Reads and judges; answers the ids that did not fit into the bytes after all.
async fn judge(
    job: &Job,
    ids: &[i64],
    bytes: usize,
    parked: &Parked,
    again: &BTreeSet<i64>,
    collected: &mut Collected,
) -> Result<Vec<i64>, DatabaseError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let loaded = job.database.outbox_load(ids, bytes).await?;
    if !again.is_empty() {
        let waiting: BTreeSet<i64> = loaded
            .entries
            .iter()
            .filter(|entry| entry.was_processed == 0)
            .map(|entry| entry.entry_id)
            .chain(loaded.not_loaded.iter().copied())
            .collect();
        let let_go = ids.iter().copied().filter(|id| again.contains(id) && !waiting.contains(id));
        collected.unparked.extend(let_go);
    }
    for (entry, mut judged) in judge_all(loaded.entries, job.settings.clone()).await {
        let parked_since = parked.headers.get(&entry.entry_id).copied();
        let grace = i64::try_from(job.settings.headers_grace.as_millis()).unwrap_or(i64::MAX);
        let first_seen = match parked_since {
            Some(since) if since > job.now => job.clock_since,
            since => since.unwrap_or(job.now),
        };
        if let Verdict::Park(Park::HeadersMissing(names)) = &judged.verdict
            && job.now >= first_seen.saturating_add(grace)
        {
            judged.verdict = Verdict::Fail(bod::headers_missing(names, !entry.headers.is_empty()));
        }
        let unlisted = parked.unlisted.get(&entry.entry_id);
        let document_type = judged.document_type.as_ref().map(ToString::to_string).unwrap_or_default();
        let already_parked = match &judged.verdict {
            Verdict::Park(Park::HeadersMissing(_)) => parked_since.is_some(),
            Verdict::Park(Park::NotListed) => unlisted == Some(&document_type),
            Verdict::Park(Park::Disabled) | Verdict::Send(_) | Verdict::Fail(_) => false,
        };
        if let (Some(before), Some(tour)) = (unlisted.filter(|_| !already_parked), &mut collected.unlisted) {
            tour.mended.insert(before.clone());
        }
        collected.judged.push(Found {
            judged,
            created: entry.created,
            created_at: entry.created_at.map(|at| at.timestamp_millis()),
            header_count: i64::try_from(entry.headers.len()).unwrap_or(i64::MAX),
            already_parked,
        });
    }
    Ok(loaded.not_loaded)
}
