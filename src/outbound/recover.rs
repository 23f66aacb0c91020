//! A restart is just the next pass: what the journal says is taken into memory, and nothing else is special.
//!
//! Messages that an earlier life began and did not record go back to pending, in doubt. What was done but not settled
//! is compared with its row before it is flagged.

use std::collections::BTreeMap;

use super::rebuild::{self, Rebuilt, rebuild};
use super::{Event, Outbound, SettleFailure, Then};
use crate::database::Database;
use crate::domain::delivery::Event as Happens;
use crate::domain::ids::LaneKey;
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{AfterFailure, ConnectionPoint};
use crate::domain::waiting::{Cause, PointNumber, Scope, Trouble};
use crate::journal::{Applies, Change, Journal, JournalError, KnownPoint, Note, Record, Step};

/// Pending messages read from the journal at once.
const PAGE: i64 = 1_000;
/// Unsettled messages read at once: there are never many more (design.md §4, settle).
const UNSETTLED_PAGE: i64 = 10_000;

/// What the journal says of a connection point.
pub struct Restored {
    known: KnownPoint,
    /// The highest row that the journal has anything of.
    highest: i64,
    interrupted: usize,
    /// What came back from the message log.
    rebuilt: Rebuilt,
    unsettled: Vec<Record>,
    receivers: Vec<String>,
    /// What orders the documents of each noun.
    orders: BTreeMap<String, Applies>,
    /// Document types with rows that wait because the type is suspended.
    suspended: Vec<String>,
    /// Document types with failed messages that hold their lanes.
    holding: Vec<String>,
}

impl Outbound {
    /// Reads what the journal knows of a connection point.
    pub(super) fn recover(&mut self, number: PointNumber) {
        let now = self.now();
        let point = &mut self.points[usize::from(number)];
        let site = &self.sites[point.site];
        if point.recovering || site.not_before > now {
            return;
        }
        point.recovering = true;
        let (database_id, database) = (site.database_id, site.database.clone());
        let (journal, settings) = (self.journal.clone(), point.settings.clone());
        self.work.push(Box::pin(async move {
            let restored = restore(&journal, database.as_ref(), database_id, &settings, now).await;
            Event::Recovered(number, Box::new(restored))
        }));
    }

    pub(super) fn recovered(&mut self, number: PointNumber, result: Result<Restored, SettleFailure>) {
        let site = self.point(number).site;
        self.point(number).recovering = false;
        let restored = match result {
            Ok(restored) => restored,
            // It is read again when the database can be reached.
            Err(SettleFailure::Database(error)) => return self.database_failed(site, &error),
            Err(SettleFailure::Journal(error)) => {
                self.fatal = Some(error);
                return;
            }
        };
        let now = self.now();
        let (mode, site_restored) = (self.mode, self.sites[site].restored);
        let point = self.point(number);
        point.point_id = restored.known.point_id;
        point.scanned_up_to = if site_restored { 0 } else { restored.known.scanned_up_to.max(0) };
        point.observed_up_to = restored.known.observed_up_to;
        point.known_up_to = restored.highest.max(restored.known.scanned_up_to);
        point.refill = Some(i64::MIN);
        point.recovered = true;
        point.pause = restored.known.pause.or(restored.rebuilt.pause.clone());
        if let Some(pause) = &point.pause {
            tracing::warn!(
                connection_point = point.name(),
                reason = pause.reason,
                "is paused: nothing is sent"
            );
        }
        point.is_new = restored.known.scanned_up_to <= 0
            && restored.rebuilt.messages == 0
            && restored.unsettled.is_empty();
        point.receivers_since = (!restored.receivers.is_empty()).then_some(0);
        point.receivers = restored.receivers.into_iter().collect();
        point.looked_at = restored.known.looked_at;
        point.look_first(mode, now, point.looked_at);
        point.oldest_unsettled_at = now;
        if restored.rebuilt.messages > 0 {
            tracing::warn!(
                connection_point = point.name(),
                messages = restored.rebuilt.messages,
                "what an earlier journal knew came back from the message log"
            );
        }
        if restored.interrupted > 0 || !restored.unsettled.is_empty() {
            tracing::info!(
                connection_point = point.name(),
                in_doubt = restored.interrupted,
                unsettled = restored.unsettled.len(),
                "goes on where an earlier life stopped"
            );
        }
        for record in restored.unsettled {
            let message = record.message;
            point.remember(record, None, 0);
            if let Some(open) = point.messages.get_mut(&message) {
                open.verify = true;
            }
        }
        let point = self.point(number);
        let (name, site) = (point.name().to_owned(), point.site);
        let quoted = self.sites[site].database.quoted(&name);
        if let Some(notice) = log_not_read_whole(&name, &quoted, &restored.rebuilt) {
            self.notices.push(notice);
        }
        self.restore_orders(number, restored.orders);
        self.restore_scopes(number);
        // Settings may have changed while nobody looked.
        self.wake_for_settings(number);
        for document_type in restored.holding {
            if self.point(number).after_failure(&document_type) == AfterFailure::Continue {
                self.unhold(number, document_type);
            }
        }
        // The process may have ended between the end of a trouble and this.
        for document_type in restored.suspended {
            let of_type = Scope::DocumentType(number, self.point(number).type_number(&document_type));
            if self.scopes.trouble(of_type).is_none() {
                self.wake(number, "suspended", Some(document_type));
            }
        }
        self.start_commands();
    }

    /// Messages above this row that waited for a failed one may go. What is about to be admitted does not begin before
    /// them: it was decided when memory knew of nothing else in its lane.
    pub(super) fn refill_above(&mut self, number: PointNumber, above: i64) {
        let point = self.point(number);
        if point.refilling {
            // The page that is being read may lack them.
            point.missed = Some(point.missed.unwrap_or(i64::MAX).min(above));
        } else {
            point.refill = Some(point.refill.unwrap_or(i64::MAX).min(above));
        }
        let mut free = Vec::new();
        for (change, then) in &mut self.admissions {
            if let (Change::Admit(admission), Then::Admitted { point, lane, .. }) = (change, then)
                && *point == number
                && lane.begin
            {
                (admission.begin, lane.begin) = (false, false);
                free.push((lane.path, lane.entry_id));
            }
        }
        for (path, entry_id) in free {
            self.free_slot(number, &path, entry_id);
        }
    }

    /// Takes pending messages into memory that only the journal has, as room allows.
    pub(super) fn start_refill(&mut self, number: PointNumber) {
        let stopping = self.stopping;
        let point = self.point(number);
        let Some(above) = point.refill else { return };
        if stopping || point.refilling || !point.recovered || point.is_full() {
            return;
        }
        point.refilling = true;
        // It is above what this page begins with, and was committed before.
        point.missed = None;
        let point_id = point.point_id;
        let journal = self.journal.clone();
        self.work.push(Box::pin(async move {
            Event::Refilled(number, journal.pending(point_id, above, PAGE).await)
        }));
    }

    pub(super) fn refilled(&mut self, number: PointNumber, result: Result<Vec<Record>, JournalError>) {
        let records = match result {
            Ok(records) => records,
            Err(error) => {
                self.fatal = Some(error);
                return;
            }
        };
        let full = i64::try_from(records.len()).unwrap_or(i64::MAX) >= PAGE;
        let last = records.last().map(|record| record.entry_id);
        let (mut waits, mut refused) = (Vec::new(), Vec::new());
        let point = self.point(number);
        point.refilling = false;
        let missed = point.missed.take();
        point.refill = match (last.filter(|_| full), missed) {
            (Some(above), Some(missed)) => Some(above.min(missed)),
            (above, missed) => above.or(missed),
        };
        // Above what was missed, lower ones of a lane may be missing: it is read again.
        for record in records.into_iter().filter(|it| missed.is_none_or(|missed| it.entry_id <= missed)) {
            if !point.messages.contains_key(&record.message) {
                waits.push(record.lane);
                refused.extend(refused_before(&record));
                point.remember(record, None, 0);
            }
        }
        for (lane, document_type, mut trouble) in refused {
            let scope = Scope::Lane(number, lane);
            if self.scopes.trouble(scope).is_none() {
                let point = self.point(number);
                trouble.document_type = Some(point.type_number(&document_type));
                point.lanes.refused(lane, trouble.refusals);
                let endpoint = point.endpoint;
                self.scopes.restore(scope, trouble, endpoint);
            }
        }
        for lane in waits {
            let until = self.scopes.trouble(Scope::Lane(number, lane)).map(|trouble| trouble.not_before);
            if until.is_some() {
                self.point(number).lanes.wait_until(lane, until);
            }
        }
    }

    /// Takes messages into memory that the journal changed by itself, so that they are settled.
    pub(super) fn adopt(&mut self, number: PointNumber, messages: Vec<i64>) {
        let journal = self.journal.clone();
        self.work.push(Box::pin(async move { Event::Adopted(number, journal.records(messages).await) }));
    }

    pub(super) fn adopted(&mut self, number: PointNumber, result: Result<Vec<Record>, JournalError>) {
        let now = self.now();
        match result {
            Ok(records) => {
                let point = self.point(number);
                let ended = |record: &Record| record.delivery.state.is_final() && !record.delivery.settled;
                for record in records.into_iter().filter(ended) {
                    if !point.messages.contains_key(&record.message) {
                        point.start_unsettled_clock(now);
                        point.remember(record, None, 0);
                    }
                }
            }
            Err(error) => self.fatal = Some(error),
        }
    }
}

/// How a lane waits whose next document ION refused: the message tells it where the journal that knew it was lost.
fn refused_before(record: &Record) -> Option<(LaneKey, String, Trouble)> {
    let cause = record.answer_class.as_deref().and_then(Cause::parse)?;
    let at = record.last_attempt_at.unwrap_or_default();
    let said = record.http_status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
    let trouble = Trouble::new(cause, record.delivery.attempts, at, at, said);
    (record.delivery.attempts > 0).then(|| (record.lane, record.document_type.clone(), trouble))
}

async fn restore(
    journal: &Journal,
    database: &dyn Database,
    database_id: i64,
    settings: &ConnectionPoint,
    now: i64,
) -> Result<Restored, SettleFailure> {
    let known = journal.meet_point(database_id, &settings.name).await?;
    let rebuilt = match known.scanned_up_to {
        ..0 => rebuild(journal, database, settings, known.point_id, now).await?,
        0.. => Rebuilt::default(),
    };
    let interrupted = journal.in_flight(known.point_id).await?;
    let changes = interrupted
        .iter()
        .map(|message| {
            let note = Note { now, ..Note::default() };
            Change::Step(Box::new(Step {
                message: *message,
                event: Happens::Interrupt,
                note,
                believed: None,
            }))
        })
        .collect();
    journal.apply(std::sync::Arc::new(changes)).await?;
    let unsettled = journal.unsettled(known.point_id, UNSETTLED_PAGE).await?;
    let receivers = journal.receivers(known.point_id).await?;
    let orders = journal.orders(known.point_id).await?;
    let highest = journal.highest(known.point_id).await?;
    let suspended = journal.suspended(known.point_id).await?;
    // It goes over all that failed and holds: not where nothing could be let go.
    let holding = if settings.always_holds() { Vec::new() } else { journal.holding(known.point_id).await? };
    Ok(Restored {
        known,
        highest,
        interrupted: interrupted.len(),
        rebuilt,
        unsettled,
        receivers,
        orders,
        suspended,
        holding,
    })
}

/// The message log had more than a start may read.
fn log_not_read_whole(name: &str, quoted: &str, rebuilt: &Rebuilt) -> Option<Notice> {
    let states: Vec<&str> = rebuilt.cut.iter().map(|state| state.as_str()).collect();
    let notice = Notice::new("LOG_NOT_READ_WHOLE", Severity::Warning, Some(name), "bodrelay_message_log");
    (!states.is_empty()).then(|| {
        notice.says(
            format!(
                "the journal was lost, and of the messages that the log calls {} only the newest {} came back: older \
                 failed ones hold nothing any more, and one that is set to 0 goes as a new message (under the same id, \
                 where the application gives none)",
                states.join(", "),
                rebuild::MOST
            ),
            format!(
                "Look at the older ones: SELECT * FROM bodrelay_message_log WHERE connection_point = {quoted} AND state \
                 IN ('{}') ORDER BY seen_at. Acknowledge this finding when they are clear.",
                states.join("', '")
            ),
        )
    })
}
