//! begin → post → record: a lane's next message goes out, and what ION answers is judged and recorded.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::log::time;
use super::point::Point;
use super::{Event, Outbound, Then};
use crate::bod;
use crate::crash;
use crate::database::DatabaseError;
use crate::domain::delivery::{Event as Happens, State};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::lease::Proof;
use crate::domain::message::{Entry, Parcel, Park, Verdict as Judgement};
use crate::domain::outcome::{Answer, ScopeKind};
use crate::domain::plan::AnswerClass;
use crate::domain::probe::{self, Offer};
use crate::domain::waiting::{Answered, Limits, Path, PointNumber, Scope, Verdict};
use crate::journal::{Applied, Attempt, Change, Note, Step};

/// A row whose bytes found no room is read again after this.
const ROOM_MS: i64 = 50;

/// Of a post that could not wait for its answer any longer.
const OWNERSHIP_ENDS: &str = "no answer before the ownership of the connection point ended, which the database could \
                              not renew";

/// What reading a row again showed.
pub enum Reread {
    Same(Box<Parcel>),
    Gone,
    Flagged(i64),
    Changed,
    /// The bytes did not fit this time.
    NotNow,
    Fails(Failure),
    /// Its type is no longer sent.
    Parked(Park),
}

/// What came of a post.
pub struct Posted {
    point: PointNumber,
    message: i64,
    answer: Answer,
    started_at: i64,
    took: Duration,
    wire_bytes: i64,
}

impl Outbound {
    /// Whether a connection point may begin anything at all, and by what right.
    pub(super) fn may_begin(&self, point: &Point) -> Option<Proof> {
        let may = !self.stopping
            && !self.no_room
            && !self.low_space
            && point.sends()
            && point.another_sender_until <= self.now()
            && point.begun < point.slots(self.commit_time)
            && point.is_settled_enough()
            && (!point.settings.check_accepted || point.list.known.is_some());
        self.proof(point).filter(|_| may)
    }

    /// begin, as long as there are slots: priority first among the lanes that nothing keeps waiting.
    pub(super) fn start_begins(&mut self, number: PointNumber, now: i64) {
        let mut to_read = Vec::new();
        while let Some(proof) = self.may_begin(&self.points[usize::from(number)]) {
            let Some(path) = self.pick(number, now) else { break };
            let point = &mut self.points[usize::from(number)];
            let head = point.lanes.head(path.lane);
            let Some(open) = head.and_then(|head| point.messages.get(&head.message)) else {
                self.fetch(number, path.lane);
                continue;
            };
            let has_bytes = open.parcel.is_some();
            if !has_bytes && point.loading {
                // Rows are read again a batch at a time; this one is of the next.
                break;
            }
            let Some(waiting) = point.lanes.take(path.lane) else { break };
            self.take_slot(number, &path, waiting.entry_id, proof);
            if has_bytes {
                self.begin(number, waiting.message, now);
            } else {
                to_read.push((waiting.message, waiting.entry_id));
            }
        }
        if !to_read.is_empty() {
            self.read_again(number, to_read);
        }
    }

    /// Something could begin now, or as soon as ION was asked.
    pub(super) fn has_runnable(&self, point: &Point, now: i64) -> bool {
        let may = !self.no_room && !self.low_space && point.sends() && point.another_sender_until <= now;
        if !may || self.proof(point).is_none() {
            return false;
        }
        probe::is_runnable(&self.scopes, offer(point), now)
    }

    fn pick(&self, number: PointNumber, now: i64) -> Option<Path> {
        let own = &self.points[usize::from(number)];
        let others = self.points.iter().filter(|other| {
            other.endpoint == own.endpoint && other.number != own.number && self.may_begin(other).is_some()
        });
        probe::next(&self.scopes, offer(own), others.map(offer), now)
    }

    fn begin(&mut self, number: PointNumber, message: i64, now: i64) {
        let believed = self.point(number).messages.get(&message).map(|open| open.record.delivery);
        let note = Note { now, ..Note::default() };
        let change = Change::Step(Box::new(Step { message, event: Happens::Begin, note, believed }));
        self.queue(change, Then::Begun { point: number, message });
    }

    pub(super) fn begun(&mut self, number: PointNumber, message: i64, applied: &Applied) {
        let now = self.now();
        let Applied::Stepped { delivery, .. } = applied else { return self.let_go(number, message) };
        let Some(open) = self.point(number).messages.get_mut(&message) else { return };
        open.record.delivery = *delivery;
        open.record.first_attempt_at.get_or_insert(now);
        open.record.last_attempt_at = Some(now);
        open.record.logged = false;
        self.point(number).to_post.push_back(message);
    }

    /// The journal begins it not: it waits for a lower row of its lane that was found late and failed.
    fn let_go(&mut self, number: PointNumber, message: i64) {
        self.not_begun(number, message);
        self.drop_waiting(number, message);
    }

    /// The journal holds it: memory does not need it.
    fn drop_waiting(&mut self, number: PointNumber, message: i64) {
        let point = self.point(number);
        let Some(open) = point.messages.remove(&message) else { return };
        point.lanes.remove(open.path.lane, open.record.entry_id);
        point.may_be_unlogged = true;
        self.free_bytes(number, open.bytes);
    }

    pub(super) fn not_begun(&mut self, number: PointNumber, message: i64) {
        let Some(open) = self.point(number).messages.get(&message) else { return };
        let (path, entry_id) = (open.path, open.record.entry_id);
        self.free_slot(number, &path, entry_id);
        self.point(number).give_back(path.lane);
    }

    /// A row is about to go out: its connection point is ours.
    pub(super) fn take_slot(&mut self, number: PointNumber, path: &Path, entry_id: i64, _: Proof) {
        let point = self.point(number);
        point.begun += 1;
        point.goes_out(path.lane, entry_id);
        self.scopes.begun(path);
    }

    /// A slot that was kept is not used after all.
    pub(super) fn free_slot(&mut self, number: PointNumber, path: &Path, entry_id: i64) {
        let point = self.point(number);
        point.begun -= 1;
        point.is_back(path.lane, entry_id);
        self.scopes.not_sent(path);
    }

    /// post, as long as there are places on the wire. What was begun and is not to go out any more goes back.
    pub(super) fn start_posts(&mut self, number: PointNumber, now: i64) {
        let halted = self.stopping || self.points[usize::from(number)].is_halted();
        if halted || self.scopes.wide_troubles().next().is_some() {
            // ION said no while they were begun: they wait like the others. A probe is what may go out.
            let point = &self.points[usize::from(number)];
            let (back, stay): (VecDeque<i64>, VecDeque<i64>) = point.to_post.iter().partition(|message| {
                let open = point.messages.get(*message);
                halted || open.is_some_and(|open| self.is_closed(&open.path, now))
            });
            self.point(number).to_post = stay;
            for message in back {
                self.not_posted(number, message);
            }
        }
        let Some(proof) = self.follow_ownership(number) else { return self.give_back_begun(number) };
        while self.point(number).posting < self.point(number).settings.parallel_posts {
            let point = self.point(number);
            if point.to_post.is_empty() || !point.pace.as_mut().is_none_or(|pace| pace.take(now)) {
                return;
            }
            let Some(message) = point.to_post.pop_front() else { return };
            self.post(number, message, proof);
        }
    }

    /// Something on the way to ION waits, and nothing tries it out now.
    fn is_closed(&self, path: &Path, now: i64) -> bool {
        let waits = |scope: &Scope| {
            self.scopes
                .trouble(*scope)
                .is_some_and(|trouble| trouble.not_before > now && !trouble.is_probing())
        };
        path.wide().iter().any(waits)
    }

    /// Begun, but nothing was sent: it waits again.
    pub(super) fn not_posted(&mut self, number: PointNumber, message: i64) {
        let now = self.now();
        let Some(open) = self.point(number).messages.get(&message) else { return };
        let (path, entry_id) = (open.path, open.record.entry_id);
        self.free_slot(number, &path, entry_id);
        let event = Happens::Retry { in_doubt: false };
        self.record(number, message, event, Note { now, ..Note::default() });
        self.lane_after(number, &path, entry_id, false, event);
    }

    /// post: one request, and every try is ours.
    fn post(&mut self, number: PointNumber, message: i64, proof: Proof) {
        let point = &mut self.points[usize::from(number)];
        let method = point.settings.ims_method;
        let client = self.endpoints[usize::from(point.endpoint)].client.clone();
        let Some(open) = point.messages.get_mut(&message) else { return };
        // Its bytes have had their one chance: a later try reads the row again. Given up between begin and post, they
        // are read again at once.
        let Some(parcel) = open.parcel.take() else { return self.not_posted(number, message) };
        point.posting += 1;
        let started_at = self.now();
        self.work.push(Box::pin(async move {
            let begun = tokio::time::Instant::now();
            let answer = tokio::time::timeout(proof.patience(), client.post(method, &parcel)).await;
            let answer = answer.unwrap_or_else(|_| Answer::Unanswered { what: OWNERSHIP_ENDS.into() });
            crash::point("after_post");
            Event::Posted(Box::new(Posted {
                point: number,
                message,
                answer,
                started_at,
                took: begun.elapsed(),
                wire_bytes: i64::try_from(parcel.payload.len()).unwrap_or(i64::MAX),
            }))
        }));
    }

    /// Judges an answer and queues its record.
    pub(super) fn posted(&mut self, posted: Posted) {
        let now = self.now();
        let number = posted.point;
        let point = &mut self.points[usize::from(number)];
        let duration_ms = i64::try_from(posted.took.as_millis()).unwrap_or(i64::MAX);
        point.begun -= 1;
        point.posting -= 1;
        let settings = point.settings.clone();
        let Some(open) = point.messages.get_mut(&posted.message) else { return };
        let bytes = std::mem::take(&mut open.bytes);
        let (path, entry_id) = (open.path, open.record.entry_id);
        let attempts = open.record.delivery.attempts;
        self.free_bytes(number, bytes);
        let point = &mut self.points[usize::from(number)];
        let meaning = posted.answer.meaning(|status| settings.status_rules.get(&status).copied());
        point.meter.tried(&posted.answer, meaning.class, duration_ms);
        if meaning.class == AnswerClass::Accepted {
            // A refusal may be quick, and must not have more begun than ION takes.
            point.post_time.take(posted.took);
        }
        self.refused_by(&path, &posted.answer, meaning);
        let verdict = self.scopes.answered(&Answered {
            path,
            meaning,
            status: posted.answer.status(),
            text: &answer_text(&posted.answer),
            retry_after: posted.answer.retry_after(),
            limits: Limits {
                backoff: settings.backoff,
                lone_rounds: settings.lone_rounds,
                lone_in_doubt_tries: settings.lone_in_doubt_tries,
            },
            endpoint_backoff: self.endpoint_backoff(path.endpoint),
            jitter: Self::jitter(),
            others: meaning.class == AnswerClass::Accepted || self.has_others(&path, meaning.scope),
            now,
        });
        let failure = self.failure_of(&posted.answer, verdict);
        let event = match verdict {
            Verdict::Accepted => Happens::Accept,
            Verdict::Again => Happens::Retry { in_doubt: meaning.in_doubt },
            Verdict::Rejected | Verdict::ForThisDocumentOnly => Happens::Fail { in_doubt: meaning.in_doubt },
            Verdict::InDoubt => Happens::Fail { in_doubt: true },
        };
        let at_once = verdict == Verdict::Accepted && attempts <= 1;
        let attempt = (!at_once || settings.log_all_attempts).then(|| Attempt {
            started_at: posted.started_at,
            duration_ms,
            http_status: posted.answer.status(),
            answer_class: meaning.class.as_str(),
            in_doubt: meaning.in_doubt,
            failure_code: (verdict != Verdict::Accepted).then(|| posted.answer.code()),
            answer_text: (verdict != Verdict::Accepted).then(|| posted.answer.text().to_owned()),
        });
        let point = &mut self.points[usize::from(number)];
        if verdict == Verdict::Rejected {
            point.lanes.rejected();
        }
        let hold = matches!(event, Happens::Fail { .. }) && point.holds_its_lane(posted.message);
        let note = Note {
            now,
            http_status: posted.answer.status(),
            answer_class: Some(meaning.class.as_str()),
            failure,
            wire_bytes: Some(posted.wire_bytes),
            attempt,
            hold,
        };
        self.record(number, posted.message, event, note);
        self.lane_after(number, &path, entry_id, hold, event);
    }

    /// Queues what happened to a message; memory follows the journal.
    pub(super) fn record(&mut self, number: PointNumber, message: i64, event: Happens, note: Note) {
        let open = self.point(number).messages.get_mut(&message);
        let believed = open.as_ref().map(|open| open.record.delivery);
        if let Some(open) = open {
            let record = &mut open.record;
            record.http_status = note.http_status.or(record.http_status);
            record.answer_class = note.answer_class.map(str::to_owned).or_else(|| record.answer_class.take());
            record.wire_bytes = note.wire_bytes.or(record.wire_bytes);
            record.holds = note.hold;
            if note.failure.is_some() || event == Happens::Accept {
                record.failure.clone_from(&note.failure);
            }
            if !matches!(event, Happens::Retry { .. }) {
                record.finished_at = Some(note.now);
            }
        }
        let change = Change::Step(Box::new(Step { message, event, note, believed }));
        self.queue(change, Then::Recorded { point: number, message });
    }

    /// The lane goes on, waits, or is held: decided with the record, so that its next can share the commit.
    fn lane_after(&mut self, number: PointNumber, path: &Path, entry_id: i64, hold: bool, event: Happens) {
        let wait = self.scopes.trouble(Scope::Lane(number, path.lane)).map(|trouble| trouble.not_before);
        let again = matches!(event, Happens::Retry { .. });
        let mut freed = 0;
        let point = self.point(number);
        if hold {
            freed = point.let_go_above(path.lane, entry_id);
        }
        if !again {
            point.lanes.remove(path.lane, entry_id);
        }
        point.give_back(path.lane);
        point.lanes.wait_until(path.lane, wait.filter(|_| again));
        self.free_bytes(number, freed);
    }

    pub(super) fn recorded(&mut self, number: PointNumber, message: i64, applied: &Applied) {
        let now = self.now();
        let Applied::Stepped { delivery, released, held } = applied else {
            return self.take_again(number, message);
        };
        let point = self.point(number);
        let Some(open) = point.messages.get_mut(&message) else { return };
        open.record.delivery = *delivery;
        open.record.logged = false;
        let (entry_id, document_type, lane) = (open.record.entry_id, open.path.document_type, open.path.lane);
        match delivery.state {
            State::Pending | State::InFlight => {}
            State::Accepted => {
                point.figures.accepted_here += 1;
                point.figures.accepted_more += 1;
                point.figures.last_accepted_at = Some(time(now));
            }
            State::Failed => {
                point.figures.failed_here += 1;
                point.figures.failed_more += 1;
                let record = open.record.clone();
                point.note_failure(&record);
            }
            State::Discarded | State::Withdrawn | State::Superseded => {}
        }
        point.meter.ended(document_type, delivery.state);
        if delivery.state.is_final() {
            point.start_unsettled_clock(now);
            point.unsettled.push_back(message);
        }
        if delivery.state != State::Accepted && !delivery.in_doubt {
            point.is_back(lane, entry_id);
        }
        // One that is out again is let go when its begin is refused.
        if *held && !point.lanes.is_out(lane, entry_id) {
            self.drop_waiting(number, message);
        }
        if *released {
            self.refill_above(number, entry_id);
        }
    }

    /// The journal has decided about it before: what there is to settle is taken from there.
    fn take_again(&mut self, number: PointNumber, message: i64) {
        let point = self.point(number);
        let delivery = point.messages.get(&message).map(|open| open.record.delivery);
        if delivery.is_some_and(|delivery| !delivery.state.is_final() || delivery.settled) {
            let freed = point.messages.remove(&message).map_or(0, |open| open.bytes);
            self.free_bytes(number, freed);
            self.adopt(number, vec![message]);
        }
    }

    /// Another document could be tried where this one was refused.
    fn has_others(&self, path: &Path, kind: ScopeKind) -> bool {
        let document_type = (kind == ScopeKind::DocumentType).then_some(path.document_type);
        self.points
            .iter()
            .filter(|point| point.endpoint == path.endpoint)
            .filter(|point| point.number == path.point || document_type.is_none())
            .any(|point| point.lanes.has_other(path.lane, document_type))
    }

    fn failure_of(&self, answer: &Answer, verdict: Verdict) -> Option<Failure> {
        let said = answer_text(answer);
        match verdict {
            Verdict::Accepted => None,
            Verdict::Rejected => Some(Failure::rejected(answer.status().unwrap_or_default(), answer.text())),
            Verdict::ForThisDocumentOnly => Some(Failure::new(
                FailureCode::ForThisDocumentOnly,
                format!(
                    "other documents pass, this one was refused again and again; the last answer: {said}"
                ),
            )),
            Verdict::InDoubt => Some(Failure::new(
                FailureCode::InDoubt,
                format!("no answer said whether ION has it, try after try; the last: {said}"),
            )),
            Verdict::Again => Some(Failure {
                code: answer.code().into(),
                text: said,
                remedy: "It is tried again by itself; nothing is lost.".into(),
            }),
        }
    }

    /// Reads rows again before a post: their bytes were not kept.
    fn read_again(&mut self, number: PointNumber, messages: Vec<(i64, i64)>) {
        let point = &self.points[usize::from(number)];
        let database = self.sites[point.site].database.clone();
        let settings = point.settings.clone();
        let bytes = self.bytes_left(point);
        let known: Vec<_> = messages
            .iter()
            .filter_map(|(message, entry_id)| {
                let record = &point.messages.get(message)?.record;
                // The row of a message that is sent once more has its flag already.
                let flags = if record.is_resend() { [0, 1] } else { [0, 0] };
                Some((*message, *entry_id, record.identity, flags))
            })
            .collect();
        self.take_bytes(number, bytes);
        let point = self.point(number);
        point.read_reserved = bytes;
        point.loading = true;
        point.loading_claim = point.ownership.claim;
        let numbers: Vec<i64> = messages.iter().map(|(message, _)| *message).collect();
        self.work.push(Box::pin(async move {
            let mut ids: Vec<i64> = messages.iter().map(|(_, entry_id)| *entry_id).collect();
            ids.sort_unstable();
            let result = async {
                let loaded = database.outbox_load(&ids, bytes).await?;
                let by_id: HashMap<i64, &Entry> =
                    loaded.entries.iter().map(|entry| (entry.entry_id, entry)).collect();
                let mut found = Vec::with_capacity(known.len());
                for (message, entry_id, identity, flags) in known {
                    let reread = match by_id.get(&entry_id) {
                        None if loaded.not_loaded.contains(&entry_id) => Reread::NotNow,
                        None => Reread::Gone,
                        Some(entry) if !flags.contains(&entry.was_processed) => {
                            Reread::Flagged(entry.was_processed)
                        }
                        Some(entry) => {
                            let judged = bod::judge(entry, &settings);
                            match judged.verdict {
                                _ if judged.identity != identity => Reread::Changed,
                                Judgement::Send(parcel) => Reread::Same(parcel),
                                Judgement::Fail(failure) => Reread::Fails(failure),
                                Judgement::Park(park) => Reread::Parked(park),
                            }
                        }
                    };
                    found.push((message, reread));
                }
                Ok::<_, DatabaseError>(found)
            }
            .await;
            Event::Reread(number, Box::new(result), numbers)
        }));
    }

    pub(super) fn reread(
        &mut self,
        number: PointNumber,
        result: Result<Vec<(i64, Reread)>, DatabaseError>,
        messages: &[i64],
    ) {
        let now = self.now();
        let site = self.point(number).site;
        self.point(number).loading = false;
        let reserved = std::mem::take(&mut self.point(number).read_reserved);
        self.free_bytes(number, reserved);
        let found = match result {
            Ok(found) => found,
            Err(error) => {
                self.database_failed(site, &error);
                let until = self.sites[site].not_before;
                for message in messages {
                    let lane = self.point(number).messages.get(message).map(|open| open.path.lane);
                    self.not_begun(number, *message);
                    if let Some(lane) = lane {
                        self.point(number).lanes.wait_until(lane, Some(until));
                    }
                }
                return;
            }
        };
        self.database_answered(site);
        let is_stale = self.point(number).loading_claim != self.point(number).ownership.claim;
        for (message, reread) in found {
            let reread = if is_stale { Reread::NotNow } else { reread };
            self.reread_one(number, message, reread, now);
        }
    }

    fn reread_one(&mut self, number: PointNumber, message: i64, reread: Reread, now: i64) {
        let Some(open) = self.point(number).messages.get_mut(&message) else { return };
        let (path, entry_id) = (open.path, open.record.entry_id);
        let withdrawn = |code: &'static str, text: String| {
            (
                Happens::Withdraw,
                Some(Failure { code: code.into(), text, remedy: "Nothing, if this was meant.".into() }),
            )
        };
        let (event, failure) = match reread {
            Reread::Same(mut parcel) => {
                // The id was decided once and for all when the message was admitted.
                parcel.parameters.message_id.clone_from(&open.record.message_id);
                let bytes = parcel.payload.len();
                open.bytes = bytes;
                open.parcel = Some(parcel);
                self.take_bytes(number, bytes);
                return self.begin(number, message, now);
            }
            Reread::NotNow => {
                self.not_begun(number, message);
                return self.point(number).lanes.wait_until(path.lane, Some(now + ROOM_MS));
            }
            Reread::Gone => withdrawn("ROW_GONE", format!("the row with C_ID {entry_id} was deleted before it was sent")),
            Reread::Flagged(flag) => withdrawn(
                "ROW_FLAGGED",
                format!("somebody set C_WAS_PROCESSED of the row with C_ID {entry_id} to {flag} before it was sent"),
            ),
            Reread::Changed => (Happens::Supersede, None),
            Reread::Fails(failure) => (Happens::Fail { in_doubt: false }, Some(failure)),
            Reread::Parked(_) => withdrawn(
                "TYPE_NOT_SENT",
                "its type was disabled or removed in bodrelay_document; the row stays 0 and is sent when the type is \
                 enabled again"
                    .into(),
            ),
        };
        self.free_slot(number, &path, entry_id);
        let fails = matches!(event, Happens::Fail { .. });
        let hold = fails && self.point(number).holds_its_lane(message);
        self.record(number, message, event, Note { now, failure, hold, ..Note::default() });
        self.lane_after(number, &path, entry_id, hold, event);
        self.scopes.well(Scope::Lane(number, path.lane));
        if !fails {
            let mode = self.mode;
            self.point(number).wanted.insert(entry_id);
            self.point(number).look_soon(mode, 0);
        }
    }
}

fn offer(point: &Point) -> Offer<'_> {
    Offer {
        endpoint: point.endpoint,
        point: point.number,
        lanes: &point.lanes,
        slots: point.settings.parallel_posts,
    }
}

/// Code and text of an answer in one line.
fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Http { status: 200..=299, is_html: false, .. } => String::new(),
        Answer::Http { status, is_html: true, .. } => {
            format!("HTTP {status} with an HTML page: not an IMS answer, a login page or a proxy's")
        }
        Answer::Http { status, text, .. } if text.is_empty() => format!("HTTP {status}"),
        Answer::Http { status, text, .. } => format!("HTTP {status}: {text}"),
        Answer::NotConnected { what } | Answer::NoToken { what, .. } | Answer::Unanswered { what } => {
            what.clone()
        }
    }
}
