//! What has had its time goes: log rows by age, processed rows where the DBA wants it, tombstones of rows that are gone,
//! ended messages, in small pieces.
//!
//! A piece a minute and connection point, and the next after a second while there is more to delete: nobody's lock,
//! nobody's pause. What is kept is looked at in tours, a page a piece. Unresolved failures stay, whatever their age.

use std::collections::BTreeMap;

use super::{Event, Outbound, SettleFailure, log};
use crate::database::{Database, DatabaseError, Selection};
use crate::domain::halves::Halves;
use crate::domain::notice::{Notice, Severity};
use crate::domain::waiting::PointNumber;
use crate::journal::{PurgeDue, Tour};

const DAY_MS: i64 = 86_400_000;
/// Between two pieces.
const EVERY_MS: i64 = 60_000;
/// Log rows deleted in one transaction of somebody else's database.
const LOG_PIECE: i64 = 500;
/// Rows of the outbox deleted in one transaction.
const OUTBOX_PIECE: i64 = 250;
/// Tombstones looked at in one piece.
const TOMBSTONES: i64 = 1_000;

/// What cannot be deleted is tried again after this, or after outbox_keep_hours where that is less.
const KEPT_MS: i64 = 3_600_000;
/// Rows remembered that the database does not let go of.
const NOT_DELETED_MAX: usize = 1_000;

/// The rows of a finding, and the words for the first of them.
fn said_not_deleted(kept: &BTreeMap<i64, String>) -> Option<String> {
    const NAMED: usize = 10;
    let (_, words) = kept.first_key_value()?;
    let ids: Vec<String> = kept.keys().take(NAMED).map(ToString::to_string).collect();
    let more = match kept.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("C_ID {}{more}: {words}", ids.join(", ")))
}

/// What became of processed rows whose time has passed.
#[derive(Default)]
struct OutboxPurge {
    deleted: Vec<i64>,
    /// Rows that the database keeps, in its own words.
    kept: Vec<(i64, String)>,
    /// Rows that another session keeps locked, or that are no longer processed.
    still_there: Vec<i64>,
    /// What was not tried.
    left: Vec<i64>,
    /// Why they cannot be deleted at all.
    not_purged: Option<String>,
}

/// Rows that were kept before do not use up the tries of those whose time comes for the first time.
async fn purge_outbox(
    database: &dyn Database,
    due: &PurgeDue,
    selection: &Selection,
) -> Result<OutboxPurge, DatabaseError> {
    let mut found = OutboxPurge::default();
    for ids in [&due.late, &due.next] {
        let (mut halves, mut locks) = (Halves::of(ids.clone()), 0);
        while let Some(ids) = halves.part() {
            match database.outbox_purge(&ids, selection).await {
                Ok(still_there) => {
                    found.deleted.extend(ids.iter().filter(|id| !still_there.contains(id)));
                    found.still_there.extend(still_there);
                }
                Err(error) if error.is_lock() && locks >= DatabaseError::LOCKS_MAX => halves.stop(ids),
                Err(error) if error.spares_parts() => {
                    locks += usize::from(error.is_lock());
                    halves.refuse(ids, error);
                }
                Err(error @ DatabaseError::NeedsMending { .. }) => {
                    found.not_purged = Some(error.to_string());
                    halves.stop(ids);
                }
                Err(error) => return Err(error),
            }
        }
        let (refused, left) = halves.end();
        for (id, error) in refused {
            match error.is_lock() {
                true => found.still_there.push(id),
                false => found.kept.push((id, error.to_string())),
            }
        }
        found.left.extend(left);
    }
    Ok(found)
}

/// What a piece did.
pub struct Retained {
    /// There is more to delete.
    more: bool,
    outbox: OutboxPurge,
    /// Why old log rows could not be deleted.
    log_not_purged: Option<String>,
    /// Where the tour over the tombstones goes on, and the others.
    above: i64,
    tour: Tour,
}

impl Outbound {
    pub(super) fn start_retention(&mut self, number: PointNumber, now: i64) {
        let age_now = self.now_for_ages();
        let delivered_before = age_now - i64::from(self.delivered_memory_days) * DAY_MS;
        let point = &mut self.points[usize::from(number)];
        let site = &self.sites[point.site];
        if self.stopping
            || point.retaining
            || !(point.recovered && point.planned && point.blocked.is_none())
            || now < point.next_retention_at
            || site.not_before > now
        {
            return;
        }
        point.retaining = true;
        let (database, journal) = (site.database.clone(), self.journal.clone());
        let (name, point_id) = (point.name().to_owned(), point.point_id);
        let (above, tour) = (point.tombstones_above, point.tour);
        let log_before = age_now - i64::from(point.settings.log_keep_days) * DAY_MS;
        let keep = point.settings.outbox_keep.map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let selection = point.selection();
        self.work.push(Box::pin(async move {
            let result = async {
                let mut outbox = OutboxPurge::default();
                let mut more = false;
                if let Some(keep) = keep {
                    let due = journal.purge_due(point_id, age_now.saturating_sub(keep), OUTBOX_PIECE).await?;
                    more = i64::try_from(due.late.len().max(due.next.len()))
                        .is_ok_and(|rows| rows >= OUTBOX_PIECE);
                    let found = purge_outbox(database.as_ref(), &due, &selection).await?;
                    // What the database keeps, or another session has locked, is tried again after a while; what was not
                    // tried is due again at once. Where nothing may be deleted, all of it is.
                    let later = age_now.saturating_sub(keep).saturating_add(keep.min(KEPT_MS));
                    let kept = found.kept.iter().map(|(id, _)| *id).chain(found.still_there.iter().copied());
                    let again: Vec<(i64, i64)> =
                        kept.map(|id| (id, later)).chain(found.left.iter().map(|id| (*id, 0))).collect();
                    let is_nothing = due.late.is_empty() && due.next.is_empty();
                    if !is_nothing && (found.not_purged.is_none() || !found.deleted.is_empty()) {
                        journal.purged(point_id, due, again).await?;
                    }
                    // Where none can be deleted, there is no hurry with the next ones.
                    more &= found.not_purged.is_none() && !found.deleted.is_empty();
                    outbox = found;
                }
                // A row or a lock is no reason to leave the database alone.
                let (purged, log_not_purged) =
                    match database.log_purge(&name, log::time(log_before), LOG_PIECE).await {
                        Err(error) if error.spares_parts() => (0, Some(error.to_string())),
                        purged => (purged?, None),
                    };
                let tombstones = journal.delivered_above(point_id, above, TOMBSTONES).await?;
                let full = i64::try_from(tombstones.len()).is_ok_and(|rows| rows >= TOMBSTONES);
                let last = tombstones.last().map(|(entry_id, _)| *entry_id);
                let old: Vec<i64> = tombstones
                    .into_iter()
                    .filter(|(_, settled_at)| *settled_at < delivered_before)
                    .map(|(entry_id, _)| entry_id)
                    .collect();
                let present = if old.is_empty() { Vec::new() } else { database.outbox_present(&old).await? };
                let gone: Vec<i64> =
                    old.into_iter().filter(|id| present.binary_search(id).is_err()).collect();
                // Old ones lie together: what comes next on the tour is likely to be old, too.
                more |= full && !gone.is_empty();
                let tour = journal.forget(point_id, gone, delivered_before, log_before, tour).await?;
                more |= i64::try_from(purged).is_ok_and(|rows| rows >= LOG_PIECE);
                Ok::<_, SettleFailure>(Retained {
                    more,
                    outbox,
                    log_not_purged,
                    above: last.filter(|_| full).unwrap_or(0),
                    tour,
                })
            }
            .await;
            Event::Retained(number, result)
        }));
    }

    pub(super) fn retained(&mut self, number: PointNumber, result: Result<Retained, SettleFailure>) {
        let now = self.now();
        let site = self.point(number).site;
        let point = self.point(number);
        point.retaining = false;
        point.next_retention_at = now + EVERY_MS;
        match result {
            Ok(retained) => {
                (point.tombstones_above, point.tour) = (retained.above, retained.tour);
                if retained.more {
                    point.next_retention_at = now + 1_000;
                }
                for id in &retained.outbox.deleted {
                    point.not_deleted.remove(id);
                }
                point.not_deleted.extend(retained.outbox.kept);
                if point.settings.outbox_keep.is_none() {
                    point.not_deleted.clear();
                }
                while point.not_deleted.len() > NOT_DELETED_MAX {
                    point.not_deleted.pop_last();
                }
                let notice =
                    Notice::new("LOG_NOT_PURGED", Severity::Warning, Some(point.name()), "message log");
                let was = std::mem::replace(&mut point.log_not_purged, retained.log_not_purged.is_some());
                let log = match retained.log_not_purged {
                    Some(error) => Some(notice.says(
                        format!("old rows of the message log are not deleted, though log_keep_days is over: {error}"),
                        "Mend what the server names (a foreign key or a trigger on bodrelay_message_log, a lock). It is tried \
                         again every minute; sending goes on.",
                    )),
                    None => was.then(|| notice.clears()),
                };
                let rows = said_not_deleted(&point.not_deleted);
                let notice =
                    Notice::new("OUTBOX_NOT_PURGED", Severity::Warning, Some(point.name()), "outbox");
                let was = std::mem::replace(
                    &mut point.not_purged,
                    retained.outbox.not_purged.is_some() || rows.is_some(),
                );
                self.notices.extend(log);
                match retained.outbox.not_purged {
                    Some(error) => self.notices.push(notice.says(
                        format!("processed rows cannot be deleted, though outbox_keep_hours is set: {error}"),
                        "Grant DELETE on the two outbox tables (grants.sql has the statement), or set outbox_keep_hours \
                         to NULL. Sending goes on.",
                    )),
                    None => match rows {
                        Some(rows) => self.notices.push(notice.says(
                            format!(
                                "the database does not let go of processed rows, though outbox_keep_hours is set: {rows}. All \
                                 others are deleted"
                            ),
                            "Mend what the server names (a foreign key of another table, a trigger), or let the rows stay. It is \
                             tried again by itself within the hour.",
                        )),
                        None if was => self.notices.push(notice.clears()),
                        None => {}
                    },
                }
            }
            Err(SettleFailure::Database(error)) => self.database_failed(site, &error),
            // Nothing was forgotten: the next piece tries again.
            Err(SettleFailure::Journal(error)) => {
                tracing::warn!(error = %error, "nothing was forgotten this time")
            }
        }
    }
}
