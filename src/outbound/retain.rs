//! What has had its time goes: log rows by age, processed rows where the DBA wants it, tombstones of rows that are gone,
//! ended messages, in small pieces.
//!
//! A piece a minute and connection point, and the next after a second while there is more to delete: nobody's lock,
//! nobody's pause. What is kept is looked at in tours, a page a piece. Unresolved failures stay, whatever their age.

use std::collections::BTreeMap;

use super::{Event, Outbound, SettleFailure, log};
use crate::database::DatabaseError;
use crate::domain::halves::Halves;
use crate::domain::notice::{Notice, Severity};
use crate::domain::waiting::PointNumber;
use crate::journal::Tour;

const DAY_MS: i64 = 86_400_000;
/// Between two pieces.
const EVERY_MS: i64 = 60_000;
/// Log rows deleted in one transaction of somebody else's database.
const LOG_PIECE: i64 = 500;
/// Rows of the outbox deleted in one transaction.
const OUTBOX_PIECE: i64 = 250;
/// Tombstones looked at in one piece.
const TOMBSTONES: i64 = 1_000;

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

/// What a piece did.
pub struct Retained {
    /// There is more to delete.
    more: bool,
    /// Why processed rows could not be deleted at all.
    not_purged: Option<String>,
    /// Rows that were deleted, and rows that the database keeps, in its own words.
    deleted: Vec<i64>,
    kept: Vec<(i64, String)>,
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
                let mut not_purged = None;
                let (mut deleted, mut kept) = (Vec::new(), Vec::new());
                let mut more = false;
                if let Some(keep) = keep {
                    let due = journal.purge_due(point_id, age_now.saturating_sub(keep), OUTBOX_PIECE).await?;
                    more = i64::try_from(due.late.len().max(due.next.len()))
                        .is_ok_and(|rows| rows >= OUTBOX_PIECE);
                    let ids: Vec<i64> = due.late.iter().chain(&due.next).copied().collect();
                    // Nobody's database and no journal is touched for nothing.
                    if !ids.is_empty() {
                        let (mut halves, mut locks) = (Halves::of(ids), 0);
                        while let Some(ids) = halves.part() {
                            match database.outbox_purge(&ids, &selection).await {
                                Ok(_) => deleted.extend(ids),
                                Err(error)
                                    if error.is_lock()
                                        && deleted.is_empty()
                                        && locks >= DatabaseError::LOCKS_MAX =>
                                {
                                    halves.stop(ids);
                                }
                                Err(error) if error.spares_parts() => {
                                    locks += usize::from(error.is_lock());
                                    halves.refuse(ids, error);
                                }
                                Err(error @ DatabaseError::NeedsMending { .. }) => {
                                    not_purged = Some(error.to_string());
                                    halves.stop(ids);
                                }
                                Err(error) => return Err(error.into()),
                            }
                        }
                        let (refused, left) = halves.end();
                        kept.extend(refused.into_iter().map(|(id, error)| (id, error.to_string())));
                        // What is refused has its time once more; what was not tried is due again at once. Where nothing
                        // may be deleted, all of it is.
                        let again = kept.iter().map(|(id, _)| (*id, now));
                        let again: Vec<(i64, i64)> =
                            again.chain(left.into_iter().map(|id| (id, 0))).collect();
                        if not_purged.is_none() || !deleted.is_empty() {
                            journal.purged(point_id, due, again).await?;
                        }
                    }
                }
                let purged = database.log_purge(&name, log::time(log_before), LOG_PIECE).await?;
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
                    more: more && not_purged.is_none(),
                    not_purged,
                    deleted,
                    kept,
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
                for id in &retained.deleted {
                    point.not_deleted.remove(id);
                }
                point.not_deleted.extend(retained.kept);
                if point.settings.outbox_keep.is_none() {
                    point.not_deleted.clear();
                }
                while point.not_deleted.len() > NOT_DELETED_MAX {
                    point.not_deleted.pop_last();
                }
                let rows = said_not_deleted(&point.not_deleted);
                let notice =
                    Notice::new("OUTBOX_NOT_PURGED", Severity::Warning, Some(point.name()), "outbox");
                let was =
                    std::mem::replace(&mut point.not_purged, retained.not_purged.is_some() || rows.is_some());
                match retained.not_purged {
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
                             tried again after outbox_keep_hours.",
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
