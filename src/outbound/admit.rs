//! admit: judged entries become messages, parked rows, or nothing new, in one journal transaction.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::collect::{CollectError, Collected, Found, Job, collect};
use super::point::Point;
use super::stuck::Item;
use super::{Event, Look, Mode, Outbound, Reserved, Then};
use crate::database::DatabaseError;
use crate::domain::delivery::State;
use crate::domain::ids::{LaneKey, derived_message_id};
use crate::domain::lease::Proof;
use crate::domain::message::{Judged, Parcel, Park, Verdict};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{AfterFailure, SendMode};
use crate::domain::waiting::{PointNumber, Scope};
use crate::journal::{Admission, Applied, Change, Parking};

/// What a message takes in memory besides its payload: its record, its facts and parameters, its places in lanes.
pub(super) const OVERHEAD: usize = 2048;
/// Fewer admissions than this are left to commit: the next look at the outbox begins, so that none has to wait for it.
const LOOK_AHEAD: usize = 600;
/// A database that could not say when there are new rows is asked again after this, and where somebody must mend
/// something first, after that.
const DEAF_MS: i64 = 10_000;
const DEAF_UNTIL_MENDED_MS: i64 = 600_000;
/// Time between two sweeps.
const SWEEP_MS: i64 = 5_000;

impl Outbound {
    /// scan, when it is due and there is room.
    pub(super) fn start_collect(&mut self, number: PointNumber, now: i64) {
        let mode = self.mode;
        let point = self.point(number);
        if mode == Mode::Once && !point.wanted.is_empty() && point.is_quiet() && point.unsettled.is_empty() {
            // It has no next look: a row that waits for its earlier version is looked at when that is done.
            point.next_scan_at = point.next_scan_at.min(now);
        }
        let point = &self.points[usize::from(number)];
        let site = &self.sites[point.site];
        if point.next_scan_at > now || site.not_before > now || !self.may_collect(point) {
            return;
        }
        let (bytes, alone) = (self.bytes_left(point), self.may_go_alone(point));
        let observing = point.settings.send_mode == SendMode::Observe;
        let after = if observing { point.observed_up_to } else { point.scanned_up_to };
        // What the holes are taken from a sweep goes over.
        let sweeps = (point.next_sweep_at <= now || point.holes.is_none()) && !observing;
        // `observe` changes nothing, so it would find them again and again.
        let woken = point.woken && !observing;
        let job = Job {
            database: site.database.clone(),
            journal: self.journal.clone(),
            settings: point.settings.clone(),
            selection: point.selection(),
            point_id: point.point_id,
            after,
            holes: if observing { None } else { point.holes.clone() },
            observing,
            unlisted_from: point.unlisted_from.clone(),
            unlisted_again: point.unlisted_again.clone(),
            known_up_to: point.known_up_to,
            headers_parked: point.headers_parked,
            headers_from: point.headers_from,
            parking: point.parking > 0,
            sweep: sweeps.then_some(point.sweep),
            woken,
            admitting: if sweeps || woken { point.admitting().collect() } else { HashSet::default() },
            wanted: point.wanted.clone(),
            bytes,
            alone,
            rows: usize::try_from(point.settings.batch_rows).unwrap_or(usize::MAX),
            now,
            clock_since: point.clock_since,
            compose: (point.settings.composes && !observing).then(|| point.compose.clone()),
        };
        let point = self.point(number);
        point.collecting = true;
        // Others are not looked for meanwhile.
        point.holes = point.holes.take().filter(|_| !observing);
        // Whatever asks for a look from here on asks for the next one.
        point.next_scan_at = i64::MAX;
        if sweeps {
            point.next_sweep_at = i64::MAX;
        }
        point.bytes_reserved += bytes;
        point.goes_alone = alone;
        point.woken &= observing;
        point.wanted.clear();
        let (settings, claim, wanted) = (job.settings.clone(), point.ownership.claim, job.wanted.clone());
        self.take_bytes(number, bytes);
        self.work.push(Box::pin(async move {
            Event::Collected(number, Box::new(Look { settings, claim, wanted, found: collect(job).await }))
        }));
    }

    /// Waits for each database's word that there are new rows.
    pub(super) fn start_listening(&mut self, now: i64) {
        if self.stopping || self.mode == Mode::Once {
            return;
        }
        for (number, site) in self.sites.iter_mut().enumerate() {
            let used = self.points.iter().any(|point| point.site == number && point.is_active());
            if used && !site.listening && site.listen_at.max(site.not_before) <= now {
                site.listening = true;
                let database = site.database.clone();
                self.work
                    .push(Box::pin(async move { Event::Changed(number, database.outbox_changed().await) }));
            }
        }
    }

    /// Looks at the outbox at once. A database that cannot be asked is asked again later: polling goes on.
    pub(super) fn outbox_changed(&mut self, number: usize, result: Result<(), DatabaseError>) {
        let now = self.now();
        let site = &mut self.sites[number];
        site.listening = false;
        let pause = match &result {
            Err(DatabaseError::NeedsMending { .. }) => DEAF_UNTIL_MENDED_MS,
            Err(DatabaseError::Unavailable { .. }) | Ok(()) => DEAF_MS,
        };
        let trouble = result.err().map(|error| error.to_string());
        if let Some(trouble) = &trouble {
            site.listen_at = now + pause;
            if site.deaf.as_ref() != Some(trouble) {
                tracing::warn!(
                    database = site.name,
                    error = trouble,
                    "the database cannot say when there are new rows; they are found by polling meanwhile"
                );
            }
        }
        let heard = trouble.is_none();
        site.deaf = trouble;
        if heard {
            let mode = self.mode;
            for point in self.points.iter_mut().filter(|point| point.site == number && point.is_active()) {
                point.look_soon(mode, now);
            }
        }
    }

    /// A look at the outbox is possible: nothing forbids it, none is under way, and there is room for what it finds.
    pub(super) fn may_collect(&self, point: &Point) -> bool {
        let room = self.admissions.len() < LOOK_AHEAD && self.has_bytes(point);
        let allowed = !(self.stopping || self.no_room || self.low_space);
        allowed && room && !point.collecting && point.ordering == 0 && point.is_active() && point.has_room()
    }

    /// The bytes that a look at the outbox kept for what it might find are free again.
    pub(super) fn free_reserved(&mut self, number: PointNumber) {
        let point = self.point(number);
        point.goes_alone = false;
        let reserved = std::mem::take(&mut point.bytes_reserved);
        self.free_bytes(number, reserved);
    }

    /// A look has ended: what it found is admitted, or looked for again.
    pub(super) fn looked(&mut self, number: PointNumber, look: Look) {
        self.free_reserved(number);
        let Look { settings, claim, wanted, mut found } = look;
        if let Some(composed) = found.as_mut().ok().and_then(|collected| collected.composed.take()) {
            let point = self.point(number);
            point.compose = composed.memory;
            point.changes_wait = composed.waits;
            self.notices.extend(composed.notices);
        }
        let now = self.now();
        let point = self.point(number);
        point.collecting = false;
        let site = point.site;
        match found {
            // What was judged by settings that changed meanwhile, or read before it was claimed, is judged again.
            Ok(collected) if Arc::ptr_eq(&settings, &point.settings) && claim == point.ownership.claim => {
                self.admit(number, collected, now)
            }
            found => {
                (point.next_scan_at, point.next_sweep_at) = (now, now);
                point.wanted.extend(wanted);
                point.woken = true;
                match found {
                    Ok(_) => self.database_answered(site),
                    Err(CollectError::Database(error)) => self.database_failed(site, &error),
                    Err(CollectError::Journal(error)) => self.fatal = Some(error),
                }
            }
        }
    }

    /// Decides what becomes of what was found.
    fn admit(&mut self, number: PointNumber, mut collected: Collected, now: i64) {
        let mode = self.mode;
        let site = self.point(number).site;
        self.database_answered(site);
        let clock = self.clock.now();
        let point = self.point(number);
        point.figures.last_poll_at = Some(clock);
        point.woken |= collected.woken;
        point.bytes_wanted = collected.bytes_wanted;
        if collected.starts_again {
            tracing::warn!(
                connection_point = point.name(),
                "the outbox ends below the last row that was seen (truncated or restored): all rows are looked at again"
            );
            point.scanned_up_to = 0;
            point.observed_up_to = 0;
            point.holes = None;
            point.next_scan_at = now;
            let point_id = point.point_id;
            self.queue(Change::AnotherLife { point_id, now }, Then::Nothing);
        }
        if self.point(number).settings.send_mode == SendMode::Observe {
            return self.observed(number, &collected, now);
        }
        if let Some(tour) = collected.unlisted.take() {
            collected.unparked.extend(&tour.gone);
            self.toured(number, tour);
        }
        let highest = collected.judged.iter().map(|found| found.judged.entry_id).max();
        let point = self.point(number);
        point.known_up_to = point.known_up_to.max(highest.unwrap_or(0));
        if !collected.unparked.is_empty() {
            // Rows that were to be probes may be among them.
            self.point(number).probes_asked.clear();
            let (point_id, entry_ids) = (self.point(number).point_id, collected.unparked.clone());
            self.queue(Change::Unpark { point_id, entry_ids }, Then::Nothing);
        }
        let point = self.point(number);
        point.wanted.extend(&collected.wanted_left);
        point.waits_for_headers = collected
            .judged
            .iter()
            .any(|found| matches!(found.judged.verdict, Verdict::Park(Park::HeadersMissing(_))));
        point.headers_parked = collected.headers_parked || point.waits_for_headers;
        point.headers_from = collected.headers_from;
        if !collected.starts_again {
            // A cursor that was set back meanwhile stays where it was set, and the holes are not those below it.
            point.holes = collected.holes.filter(|_| collected.after == point.scanned_up_to);
            let moved =
                collected.after <= point.scanned_up_to && collected.scanned_up_to > point.scanned_up_to;
            if moved {
                point.scanned_up_to = collected.scanned_up_to;
            }
            let mut more = collected.more;
            if let Some(sweep) = collected.sweep {
                let goes_on = sweep.is_under_way() && (mode == Mode::Once || point.goes_by_cron(mode));
                point.sweep = sweep;
                point.next_sweep_at = point.next_sweep_at.min(if goes_on { now } else { now + SWEEP_MS });
                more |= goes_on;
            }
            point.look_again(more, mode, now);
            let run_over = !more && point.goes_by_cron(mode);
            point.looked_at = point.looked_at.max(run_over.then_some(now));
            let cursor = moved.then(|| cursor(point));
            self.admit_all(number, collected.judged, now);
            // After the rows that it has passed.
            self.admissions.extend(cursor.map(|cursor| (cursor, Then::Nothing)));
            if run_over {
                let point_id = self.point(number).point_id;
                self.admissions.push_back((Change::Looked { point_id, at: now }, Then::Nothing));
            }
        } else {
            self.admit_all(number, collected.judged, now);
        }
    }

    fn admit_all(&mut self, number: PointNumber, mut found: Vec<Found>, now: i64) {
        let mut firsts: HashMap<LaneKey, i64> = HashMap::new();
        for found in &found {
            let first = firsts.entry(found.lane()).or_insert(found.judged.entry_id);
            *first = found.judged.entry_id.min(*first);
        }
        // Priority first: those that find a free slot begin in the transaction that admits them; never before a
        // lower row of their lane.
        found.sort_by_key(|found| (std::cmp::Reverse(found.judged.priority), found.judged.entry_id));
        let mut changes = Vec::with_capacity(found.len());
        for found in found {
            let is_first = firsts.get(&found.lane()) == Some(&found.judged.entry_id);
            changes.push((found.judged.entry_id, self.admission(number, found, is_first, now)));
        }
        // The journal sees a lane's rows in their order.
        changes.sort_by_key(|(entry_id, _)| *entry_id);
        for (_, (change, then)) in changes {
            self.admissions.extend(change.map(|change| (change, then)));
        }
    }

    /// The change that one entry asks for; `None`: nothing new.
    fn admission(
        &mut self,
        number: PointNumber,
        found: Found,
        is_first: bool,
        now: i64,
    ) -> (Option<Change>, Then) {
        let lane = found.lane();
        let Found { mut judged, created, created_at, header_count, already_parked } = found;
        self.warn(number, &judged);
        let verdict = std::mem::replace(&mut judged.verdict, Verdict::Park(Park::NotListed));
        let document_type = judged.document_type.as_ref().map(ToString::to_string).unwrap_or_default();
        let point_id = self.points[usize::from(number)].point_id;
        let parking = |reason: &'static str, holds: bool| Parking {
            point_id,
            entry_id: judged.entry_id,
            reason,
            document_type: document_type.clone(),
            lane,
            holds,
            header_count,
            now,
        };
        match verdict {
            Verdict::Park(_) if already_parked => (None, Then::Nothing),
            Verdict::Park(park) => {
                let (reason, holds) = match park {
                    Park::HeadersMissing(_) => ("headers", true),
                    Park::NotListed => ("unlisted", false),
                    Park::Disabled => ("disabled", false),
                };
                let change = Change::Park(parking(reason, holds));
                if reason == "unlisted" {
                    self.not_listed(number, &document_type);
                }
                if reason == "headers" {
                    self.point(number).parking += 1;
                    return (Some(change), Then::HeadersParked { point: number });
                }
                (Some(change), Then::Nothing)
            }
            Verdict::Send(_) if self.is_suspended(number, &document_type, lane, judged.entry_id) => {
                (Some(Change::Park(parking("suspended", true))), Then::Nothing)
            }
            verdict => self.admission_of(
                number,
                judged,
                verdict,
                lane,
                document_type,
                (&created, created_at),
                is_first,
                now,
            ),
        }
    }

    #[allow(clippy::too_many_arguments)] // one call, right above
    fn admission_of(
        &mut self,
        number: PointNumber,
        judged: Judged,
        verdict: Verdict,
        lane: LaneKey,
        document_type: String,
        (created, created_at): (&str, Option<i64>),
        is_first: bool,
        now: i64,
    ) -> (Option<Change>, Then) {
        let (parcel, failure) = match verdict {
            Verdict::Send(parcel) => (Some(parcel), None),
            Verdict::Fail(failure) => (None, Some(failure)),
            Verdict::Park(_) => (None, None),
        };
        let bytes = parcel.as_ref().map_or(0, |parcel| parcel.payload.len() + OVERHEAD);
        let path = self.point(number).path(&document_type, lane);
        let proof = match parcel.is_some() && is_first {
            true => self.may_begin_at_once(number, &path, now),
            false => None,
        };
        let begin = proof.is_some();
        let site = &self.sites[self.points[usize::from(number)].site];
        let in_doubt =
            site.in_doubt_before.zip(created_at).is_some_and(|(before, created)| created <= before);
        let point = &mut self.points[usize::from(number)];
        let admission = Admission {
            point_id: point.point_id,
            entry_id: judged.entry_id,
            message_key: Uuid::now_v7(),
            identity: judged.identity,
            derived_message_id: derived_message_id(
                &point.settings.tenant_id,
                &point.settings.logical_id,
                judged.entry_id,
                created,
                &judged.identity,
            ),
            message_id: judged.message_id,
            message_id_given: judged.message_id_from_header,
            lane,
            late: point.is_late(&document_type, lane, judged.entry_id),
            hold_after_failure: point.after_failure(&document_type) == AfterFailure::Hold,
            document_type,
            priority: judged.priority,
            facts: judged.facts,
            in_doubt,
            failure,
            begin,
            now,
        };
        if let Some(proof) = proof {
            self.take_slot(number, &path, admission.entry_id, proof);
        }
        let claim = self.point(number).ownership.claim;
        self.point(number).admission_begins(admission.entry_id, lane);
        self.take_bytes(number, bytes);
        let reserved = Reserved { entry_id: admission.entry_id, lane, begin, path, claim };
        (
            Some(Change::Admit(Box::new(admission))),
            Then::Admitted { point: number, parcel, bytes, lane: reserved },
        )
    }

    /// A free slot, a lane that has nothing else, no better lane that is ready, and nothing that waits.
    fn may_begin_at_once(
        &self,
        number: PointNumber,
        path: &crate::domain::waiting::Path,
        now: i64,
    ) -> Option<Proof> {
        let point = &self.points[usize::from(number)];
        let may = point.refill.is_none()
            && !point.lanes.has_ready()
            && point.lanes.head(path.lane).is_none()
            && !point.lanes.is_known(path.lane)
            && point.lowest_admitting(path.lane).is_none()
            && path.wide().iter().all(|scope| self.scopes.lets_through(*scope, now))
            && self.scopes.trouble(Scope::Lane(path.point, path.lane)).is_none();
        self.may_begin(point).filter(|_| may)
    }

    /// Rows of a suspended type are parked, but for the one that is to be its next probe: of a document that was not
    /// refused itself. It is taken before the wait is over, so that it is there when it is.
    fn is_suspended(
        &mut self,
        number: PointNumber,
        document_type: &str,
        lane: LaneKey,
        entry_id: i64,
    ) -> bool {
        let point = self.point(number);
        let type_number = point.type_number(document_type);
        let Some(trouble) = self.scopes.trouble(Scope::DocumentType(number, type_number)) else {
            return false;
        };
        let point = &mut self.points[usize::from(number)];
        let has_probe = trouble.is_probing()
            || point.lanes.has_fresh(type_number)
            || point.is_admitting_probe(type_number);
        if has_probe || point.lanes.is_refused(lane) {
            return true;
        }
        point.probe_rows.insert(type_number, (lane, entry_id));
        point.probes_asked.remove(&type_number);
        false
    }

    pub(super) fn admitted(
        &mut self,
        number: PointNumber,
        applied: Applied,
        parcel: Option<Box<Parcel>>,
        bytes: usize,
        reserved: Reserved,
    ) {
        let Applied::Admitted { record, superseded, released, again } = applied else {
            self.not_needed(number, &applied, bytes, &reserved);
            return;
        };
        if !superseded.is_empty() {
            self.adopt(number, superseded);
        }
        if released {
            self.refill_above(number, record.entry_id);
        }
        self.remark(number, &record, again);
        let state = record.delivery.state;
        let begun = state == State::InFlight;
        if reserved.begin && !begun {
            self.free_slot(number, &reserved.path, reserved.entry_id);
        }
        let point = self.point(number);
        point.admission_ended(reserved.entry_id, reserved.lane);
        if record.held_by.is_some() {
            point.may_be_unlogged = true;
            self.free_bytes(number, bytes);
            return;
        }
        let now = record.seen_at;
        if state.is_final() {
            point.figures.failed_here += 1;
            point.figures.failed_more += 1;
            let document_type = point.type_number(&record.document_type);
            point.meter.ended(document_type, state);
            point.note_failure(&record);
            let freed = if record.holds { point.let_go_above(record.lane, record.entry_id) } else { 0 };
            point.start_unsettled_clock(now);
            self.free_bytes(number, bytes + freed);
            self.point(number).remember(*record, None, 0);
            return;
        }
        let (message, lane) = (record.message, record.lane);
        if !begun && point.refill.is_some_and(|above| record.entry_id > above) {
            let freed = point.comes_with_a_page(record.entry_id, lane);
            self.free_bytes(number, bytes + freed);
            return;
        }
        let (parcel, bytes, freed) = match reserved.claim == point.ownership.claim {
            true => (parcel, bytes, 0),
            false => (None, 0, bytes),
        };
        let freed = freed + point.remember(*record, parcel, bytes);
        if begun {
            point.occupy(lane);
            point.to_post.push_back(message);
        }
        self.free_bytes(number, freed);
    }

    /// The journal knew it already, or keeps it back.
    fn not_needed(&mut self, number: PointNumber, applied: &Applied, bytes: usize, reserved: &Reserved) {
        self.free_bytes(number, bytes);
        if reserved.begin {
            self.free_slot(number, &reserved.path, reserved.entry_id);
        }
        let now = self.now();
        let point = self.point(number);
        point.admission_ended(reserved.entry_id, reserved.lane);
        match applied {
            Applied::Delivered if point.stuck.has(Item::Row(reserved.entry_id)) => {}
            Applied::Delivered => {
                point.reflag.push(reserved.entry_id);
                point.start_unsettled_clock(now);
                let name = point.name().to_owned();
                self.notices.push(Notice::new("SENT_BEFORE", Severity::Warning, Some(&name), "outbox").says(
                    format!(
                        "rows were set to 0 though ION accepted the very same documents before; they are \
                                 flagged 1 again and were not sent (the last: C_ID {})",
                        reserved.entry_id
                    ),
                    "If ION is to get it once more, use the command 'resend': it goes under a new id.",
                ));
            }
            Applied::Later => {
                point.wanted.insert(reserved.entry_id);
            }
            Applied::Admitted { .. }
            | Applied::Known
            | Applied::Behind
            | Applied::Held
            | Applied::Stepped { .. }
            | Applied::StillOpen
            | Applied::Done => {}
        }
    }

    /// The journal could not be written: the row is found again.
    pub(super) fn not_admitted(&mut self, number: PointNumber, bytes: usize, reserved: &Reserved) {
        self.free_bytes(number, bytes);
        if reserved.begin {
            self.free_slot(number, &reserved.path, reserved.entry_id);
        }
        let point = self.point(number);
        point.admission_ended(reserved.entry_id, reserved.lane);
        point.wanted.insert(reserved.entry_id);
        point.next_scan_at = 0;
    }

    /// `observe`: says what would fail or wait, and does nothing.
    fn observed(&mut self, number: PointNumber, collected: &Collected, now: i64) {
        let mode = self.mode;
        for found in &collected.judged {
            self.warn(number, &found.judged);
            let name = self.points[usize::from(number)].name().to_owned();
            match &found.judged.verdict {
                Verdict::Fail(failure) => self.notices.push(
                    Notice::new("WOULD_FAIL", Severity::Warning, Some(&name), failure.code.to_string()).says(
                        format!("C_ID {}: {}", found.judged.entry_id, failure.text),
                        failure.remedy.to_string(),
                    ),
                ),
                Verdict::Park(Park::NotListed) => {
                    let document_type =
                        found.judged.document_type.as_ref().map(ToString::to_string).unwrap_or_default();
                    self.not_listed(number, &document_type);
                }
                Verdict::Park(_) | Verdict::Send(_) => {}
            }
        }
        let point = self.point(number);
        point.wanted.clear();
        if collected.after <= point.observed_up_to {
            point.observed_up_to = collected.scanned_up_to;
        }
        point.look_again(collected.more, mode, now);
        if !collected.judged.is_empty() {
            let change = cursor(point);
            self.queue(change, Then::Nothing);
        }
    }

    fn warn(&mut self, number: PointNumber, judged: &Judged) {
        for warning in &judged.warnings {
            let name = self.points[usize::from(number)].name().to_owned();
            let document_type = judged.document_type.as_ref().map(ToString::to_string).unwrap_or_default();
            self.remarks.insert(
                (warning.code, number, document_type.clone()),
                Notice::new(warning.code, Severity::Warning, Some(&name), document_type).says(
                    format!("C_ID {}: {}", judged.entry_id, warning.text),
                    "The document is sent all the same. Mend the application if this is not meant.",
                ),
            );
        }
    }

    /// Parked rows of a reason (and type) are to be judged again. It goes behind all that was decided so far, so that rows
    /// which are about to be parked for the reason are woken, too.
    pub(super) fn wake(&mut self, number: PointNumber, reason: &'static str, document_type: Option<String>) {
        let point_id = self.point(number).point_id;
        self.admissions.push_back((Change::Wake { point_id, reason, document_type }, Then::Nothing));
    }

    /// Rows that earlier settings let wait, and those of now may not.
    pub(super) fn wake_for_settings(&mut self, number: PointNumber) {
        let point = self.point(number);
        let documents = &point.settings.documents;
        let disabled = documents.iter().filter(|(_, document)| !document.enabled);
        let change = Change::Listed {
            point_id: point.point_id,
            // Of rows without a type, other settings may tell one.
            listed: documents.keys().map(ToString::to_string).chain([String::new()]).collect(),
            disabled: disabled.map(|(document_type, _)| document_type.to_string()).collect(),
        };
        self.admissions.push_back((change, Then::Nothing));
        self.wake(number, "behind", None);
    }

    /// Parked rows are to be judged again.
    pub(super) fn woken(&mut self, point_ids: &BTreeSet<i64>) {
        let mode = self.mode;
        for point in self.points.iter_mut().filter(|point| point_ids.contains(&point.point_id)) {
            point.woken = true;
            point.look_soon(mode, 0);
        }
    }
}

fn cursor(point: &Point) -> Change {
    Change::Scanned {
        point_id: point.point_id,
        scanned_up_to: point.scanned_up_to,
        observed_up_to: point.observed_up_to,
    }
}
