//! The one mechanism of everything that waits: scopes that back off, probes, and verdicts on single documents.
//!
//! A scope (endpoint ⊃ connection point ⊃ document type ⊃ lane) waits step by step. When a wait is over one probe
//! goes out, the document that was refused least; a 2xx makes the scope well. A document that was refused and beside which
//! others pass is judged alone: from then on only its lane waits, and after so many refusals while others pass it fails
//! "for this document only" (design.md §5). What is alone is told by the narrowest scope in which others passed: beside
//! a document whose whole type is refused, other types may pass. Times are ms since 1970; the caller gives `now` and the
//! jitter, so that every decision can be repeated.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foldhash::HashMap;

use super::ids::LaneKey;
use super::lanes::TypeNumber;
use super::outcome::{Meaning, ScopeKind};
use super::plan::{AnswerClass, Backoff};

/// The number under which the agent knows an endpoint (an `[[ion]]` credential).
pub type EndpointNumber = u16;
/// The number under which the agent knows a connection point.
pub type PointNumber = u16;

/// Where a message goes through: one scope of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    pub endpoint: EndpointNumber,
    pub point: PointNumber,
    pub document_type: TypeNumber,
    pub lane: LaneKey,
}

/// A scope that can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Endpoint(EndpointNumber),
    ConnectionPoint(PointNumber),
    DocumentType(PointNumber, TypeNumber),
    Lane(PointNumber, LaneKey),
}

impl Path {
    /// The scope of a kind on this path.
    pub fn scope(&self, kind: ScopeKind) -> Scope {
        match kind {
            ScopeKind::Endpoint => Scope::Endpoint(self.endpoint),
            ScopeKind::ConnectionPoint => Scope::ConnectionPoint(self.point),
            ScopeKind::DocumentType => Scope::DocumentType(self.point, self.document_type),
            ScopeKind::Lane => Scope::Lane(self.point, self.lane),
        }
    }

    /// The scopes wider than a lane, from wide to narrow.
    pub fn wide(&self) -> [Scope; 3] {
        [
            self.scope(ScopeKind::Endpoint),
            self.scope(ScopeKind::ConnectionPoint),
            self.scope(ScopeKind::DocumentType),
        ]
    }
}

/// Why a scope waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Answers of the class retry.
    Retry,
    /// Answers of the class suspend.
    Suspend,
    /// ION's list of accepted documents does not name the type.
    NotAccepted,
    /// Five documents in a row were rejected with one status.
    Rejects,
}

impl Cause {
    pub const ALL: [Self; 4] = [Self::Retry, Self::Suspend, Self::NotAccepted, Self::Rejects];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Suspend => "suspend",
            Self::NotAccepted => "not_accepted",
            Self::Rejects => "rejects",
        }
    }

    /// Reads what `as_str` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

/// A waiting scope, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub cause: Cause,
    /// Refused probes so far: the n of "wait n".
    pub refusals: u32,
    pub not_before: i64,
    /// When the trouble began.
    pub since: i64,
    /// Of a lane: further refusals of its head while others passed.
    pub lone: u32,
    /// Of a lane: tries in doubt while others passed, or with no other to compare with.
    pub in_doubt_tries: u32,
    /// Of a lane: the document type of its head.
    pub document_type: Option<TypeNumber>,
    /// Of a lane: the narrowest scope of its path in which others passed since its head was last refused.
    pub passed: Option<ScopeKind>,
    /// The same since its head was first refused.
    pub alone: Option<ScopeKind>,
    /// What the last answer was, for the operator.
    pub text: String,
    memory: Memory,
}

/// What a restart may forget: no probe is out then, and ping and list are asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Memory {
    /// The lane whose head is out as the probe.
    probing: Option<(PointNumber, LaneKey)>,
    /// The ping and the list were asked before this probe (suspend class), and both were good.
    inquiry: Inquiry,
    /// Of a lane: where its head goes through, and when it was last refused.
    refused: Option<(Path, i64)>,
    /// Of a wider scope: the lane that was refused last.
    by: Option<(PointNumber, LaneKey)>,
}

/// What ping and list said before a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inquiry {
    #[default]
    NotAsked,
    /// Both are good, or the list cannot be read (unknown, not empty).
    Good,
}

impl Trouble {
    /// A scope that begins to wait.
    pub fn new(cause: Cause, refusals: u32, not_before: i64, since: i64, text: String) -> Self {
        Self {
            cause,
            refusals,
            not_before,
            since,
            lone: 0,
            in_doubt_tries: 0,
            document_type: None,
            passed: None,
            alone: None,
            text,
            memory: Memory::default(),
        }
    }

    /// The head of some lane is out as the probe.
    pub fn is_probing(&self) -> bool {
        self.memory.probing.is_some()
    }

    /// Of a document type: the next probe is its last row and not its first, where there is a choice. Every second one is:
    /// where the first rows are documents that ION never takes, however many, the good ones behind them are found.
    pub fn probes_last(&self) -> bool {
        self.refusals.is_multiple_of(2)
    }

    /// Of a scope wider than a lane: the lane that was refused last in this life, if it may be why.
    pub fn refused_by(&self) -> Option<(PointNumber, LaneKey)> {
        self.memory.by
    }

    /// Of a lane: how often it was refused, once that happened again while others passed; until then 0.
    fn told_alone(&self) -> u32 {
        if self.alone.is_some() && self.refusals > 1 { self.refusals } else { 0 }
    }
}

/// What a connection point allows (columns of `bodrelay_connection_point`).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub backoff: Backoff,
    pub lone_rounds: u32,
    pub lone_in_doubt_tries: u32,
}

/// One answer, with what is needed to judge it.
#[derive(Debug, Clone)]
pub struct Answered<'a> {
    pub path: Path,
    pub meaning: Meaning,
    pub status: Option<u16>,
    pub text: &'a str,
    pub retry_after: Option<Duration>,
    pub limits: Limits,
    /// The smallest backoff of the endpoint's connection points.
    pub endpoint_backoff: Backoff,
    /// −0.1 to 0.1: how much longer or shorter this wait is.
    pub jitter: f64,
    /// Another document of the same scope could be tried.
    pub others: bool,
    pub now: i64,
}

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// It keeps its place and is tried again.
    Again,
    /// Its answer rejects it.
    Rejected,
    /// Others pass, this one does not.
    ForThisDocumentOnly,
    /// ION may have it; a DBA decides.
    InDoubt,
}

/// What was refused within a scope since something passed it. Every part is bounded by what waits, or by a number.
#[derive(Debug, Default)]
struct Health {
    /// Lanes that wait to hear whether others pass.
    refused: BTreeSet<Scope>,
    /// Rejects in a row: status, how many, lane of the last one.
    rejects: Option<(u16, u32, LaneKey)>,
    /// Narrower scopes: one of each kind, as a second one makes this one wait.
    narrower: BTreeSet<Scope>,
    /// Lanes that are judged alone: up to as many as make this one wait all the same.
    alone: BTreeSet<Scope>,
}

/// All scopes.
#[derive(Debug, Default)]
pub struct Scopes {
    troubles: HashMap<Scope, Trouble>,
    health: HashMap<Scope, Health>,
    /// Those of `troubles` that are wider than a lane.
    wide: BTreeSet<Scope>,
    /// Scopes that changed since `take_changed`.
    changed: BTreeSet<Scope>,
    /// Lanes that were refused again while others passed, by connection point, the most refused first.
    lone: BTreeMap<PointNumber, BTreeSet<(Reverse<u32>, LaneKey)>>,
}

/// Rejects in a row with one status, from different documents, that suspend their type.
const REJECTS_IN_A_ROW: u32 = 5;
/// Documents that are judged alone, refused one after the other with no success between: then it is not them.
const ALONE_IN_A_ROW: usize = 5;

impl Scopes {
    /// The trouble of a scope, if it has one.
    pub fn trouble(&self, scope: Scope) -> Option<&Trouble> {
        self.troubles.get(&scope)
    }

    /// All troubles.
    pub fn troubles(&self) -> impl Iterator<Item = (Scope, &Trouble)> {
        self.troubles.iter().map(|(scope, trouble)| (*scope, trouble))
    }

    /// The troubles that are wider than a lane: few, however many lanes wait.
    pub fn wide_troubles(&self) -> impl Iterator<Item = (Scope, &Trouble)> {
        self.wide.iter().filter_map(|scope| self.troubles.get(scope).map(|trouble| (*scope, trouble)))
    }

    /// Lanes of a connection point that were refused and not accepted since.
    pub fn refused_lanes(&self, point: PointNumber) -> Vec<LaneKey> {
        let lane_of = |scope: &Scope| match scope {
            Scope::Lane(of, lane) if *of == point => Some(*lane),
            Scope::Lane(..) | Scope::Endpoint(_) | Scope::ConnectionPoint(_) | Scope::DocumentType(..) => {
                None
            }
        };
        self.troubles.keys().filter_map(lane_of).collect()
    }

    /// Puts back what the journal kept.
    pub fn restore(&mut self, scope: Scope, mut trouble: Trouble, endpoint: EndpointNumber) {
        if let (Scope::Lane(point, lane), Some(document_type)) = (scope, trouble.document_type) {
            // Whether it says anything new of a scope that waits is not known: it does.
            trouble.memory.refused = Some((Path { endpoint, point, document_type, lane }, i64::MIN));
        }
        let waits_for = match scope {
            Scope::Endpoint(_) => Vec::new(),
            Scope::ConnectionPoint(_) => vec![Scope::Endpoint(endpoint)],
            Scope::DocumentType(point, _) => vec![Scope::ConnectionPoint(point)],
            Scope::Lane(point, _) => {
                let of_type = trouble.document_type.map(|number| Scope::DocumentType(point, number));
                [Scope::Endpoint(endpoint), Scope::ConnectionPoint(point)]
                    .into_iter()
                    .chain(of_type)
                    .collect()
            }
        };
        for wider in waits_for {
            let health = self.health.entry(wider).or_default();
            match scope {
                Scope::Lane(..) => health.refused.insert(scope),
                _ => health.narrower.is_empty() && is_refused(&trouble) && health.narrower.insert(scope),
            };
        }
        self.put(scope, trouble);
        self.changed.remove(&scope);
    }

    /// Documents of a connection point that are refused again and again while others pass: how many, and the lanes of
    /// those that were refused most.
    pub fn alone(&self, point: PointNumber) -> (usize, impl Iterator<Item = LaneKey>) {
        let lanes = self.lone.get(&point);
        (lanes.map_or(0, BTreeSet::len), lanes.into_iter().flatten().map(|(_, lane)| *lane))
    }

    /// The scopes that changed since the last call: to be stored, or forgotten where they are well.
    pub fn take_changed(&mut self) -> BTreeSet<Scope> {
        std::mem::take(&mut self.changed)
    }

    /// Whether a scope lets anything out now: it is well, or its wait is over and no probe is out (and, where ping
    /// and list must be asked first, they were).
    pub fn lets_through(&self, scope: Scope, now: i64) -> bool {
        if self.wide.is_empty() {
            return true;
        }
        self.troubles.get(&scope).is_none_or(|trouble| {
            trouble.not_before <= now
                && trouble.memory.probing.is_none()
                && (!needs_inquiry(trouble) || trouble.memory.inquiry == Inquiry::Good)
        })
    }

    /// A scope's wait is over: asking and probing may begin.
    pub fn is_due(&self, scope: Scope, now: i64) -> bool {
        self.troubles.get(&scope).is_some_and(|trouble| trouble.not_before <= now)
    }

    /// Scopes whose wait is over and for which ping and list must be asked before the probe.
    pub fn to_inquire(&self, now: i64) -> Vec<Scope> {
        self.wide_troubles()
            .filter(|(_, trouble)| {
                trouble.not_before <= now
                    && needs_inquiry(trouble)
                    && trouble.memory.inquiry == Inquiry::NotAsked
                    && trouble.memory.probing.is_none()
            })
            .map(|(scope, _)| scope)
            .collect()
    }

    /// The clock was set by so many ms: all that waits waits as long as before.
    pub fn move_by(&mut self, jump: i64) {
        for trouble in self.troubles.values_mut() {
            for time in [&mut trouble.not_before, &mut trouble.since] {
                *time = time.saturating_add(jump);
            }
            if let Some((_, refused_at)) = &mut trouble.memory.refused {
                *refused_at = refused_at.saturating_add(jump);
            }
        }
        self.changed.extend(self.troubles.keys());
    }

    /// When the next wait of a wide scope will be over. One that is over and goes on (for a probe, for a document) reports by
    /// an event, and must not hide the others.
    pub fn next_due(&self, now: i64) -> Option<i64> {
        self.wide_troubles().map(|(_, trouble)| trouble.not_before).filter(|due| *due > now).min()
    }

    /// A message of this path goes out: it is the probe of every waiting scope on its path.
    pub fn begun(&mut self, path: &Path) {
        if self.wide.is_empty() {
            return;
        }
        for scope in path.wide() {
            if let Some(trouble) = self.troubles.get_mut(&scope) {
                trouble.memory.probing = Some((path.point, path.lane));
            }
        }
    }

    /// A message that was begun did not go out after all (its row changed, the journal refused): no probe is out.
    pub fn not_sent(&mut self, path: &Path) {
        for scope in path.wide() {
            if let Some(trouble) = self.troubles.get_mut(&scope)
                && trouble.memory.probing == Some((path.point, path.lane))
            {
                trouble.memory.probing = None;
            }
        }
    }

    /// What ping and list said: the type (or connection point) may be probed, waits on, or is well again.
    pub fn inquired(&mut self, scope: Scope, result: Inquired, backoff: Backoff, jitter: f64, now: i64) {
        let Some(trouble) = self.troubles.get_mut(&scope) else { return };
        match result {
            Inquired::ListedAgain => self.well(scope),
            Inquired::Good => {
                trouble.memory.inquiry = Inquiry::Good;
                self.changed.insert(scope);
            }
            Inquired::Bad(text) => {
                trouble.refusals = trouble.refusals.saturating_add(1);
                trouble.not_before = now + wait(backoff, trouble.refusals, jitter);
                trouble.text = text;
                self.changed.insert(scope);
            }
        }
    }

    /// ION's list does not name the type.
    pub fn not_accepted(&mut self, scope: Scope, text: String, backoff: Backoff, jitter: f64, now: i64) {
        if self.troubles.contains_key(&scope) {
            return;
        }
        let not_before = now + wait(backoff, 1, jitter);
        self.put(scope, Trouble::new(Cause::NotAccepted, 1, not_before, now, text));
    }

    /// The wait of a scope is over at once: somebody mended something and wants to know.
    pub fn try_now(&mut self, scope: Scope, now: i64) {
        if let Some(trouble) = self.troubles.get_mut(&scope)
            && trouble.not_before > now
        {
            trouble.not_before = now;
            self.changed.insert(scope);
        }
    }

    /// A scope waits no longer.
    pub fn well(&mut self, scope: Scope) {
        let Some(trouble) = self.troubles.remove(&scope) else { return };
        self.changed.insert(scope);
        let Scope::Lane(point, lane) = scope else {
            self.wide.remove(&scope);
            if let Scope::DocumentType(point, _) = scope
                && let Some(health) = self.health.get_mut(&Scope::ConnectionPoint(point))
            {
                health.narrower.remove(&scope);
            }
            return;
        };
        self.count_lone(point, lane, trouble.told_alone(), 0);
        for wider in trouble.memory.refused.into_iter().flat_map(|(path, _)| path.wide()) {
            if let Some(health) = self.health.get_mut(&wider) {
                health.refused.remove(&scope);
                health.alone.remove(&scope);
                health.narrower.remove(&scope);
            }
        }
    }

    fn count_lone(&mut self, point: PointNumber, lane: LaneKey, before: u32, after: u32) {
        if before == after {
            return;
        }
        let lanes = self.lone.entry(point).or_default();
        lanes.remove(&(Reverse(before), lane));
        if after > 0 {
            lanes.insert((Reverse(after), lane));
        }
    }

    /// Judges an answer (design.md §5) and moves the scopes of its path.
    pub fn answered(&mut self, answered: &Answered<'_>) -> Verdict {
        match answered.meaning.class {
            AnswerClass::Accepted => {
                self.passed(&answered.path);
                Verdict::Accepted
            }
            AnswerClass::Reject => {
                self.rejected(answered);
                Verdict::Rejected
            }
            AnswerClass::Retry | AnswerClass::Suspend => self.refused(answered),
        }
    }

    fn passed(&mut self, path: &Path) {
        if !self.troubles.is_empty() {
            self.well(path.scope(ScopeKind::Lane));
        }
        for kind in [ScopeKind::Endpoint, ScopeKind::ConnectionPoint, ScopeKind::DocumentType] {
            let scope = path.scope(kind);
            if let Some(health) = self.health.get_mut(&scope) {
                let Health { refused, .. } = std::mem::take(health);
                for lane in refused {
                    if let Some(trouble) = self.troubles.get_mut(&lane)
                        && trouble.passed < Some(kind)
                    {
                        trouble.passed = Some(kind);
                        trouble.alone = trouble.alone.max(Some(kind));
                        self.changed.insert(lane);
                    }
                }
            }
            if !self.wide.is_empty() {
                self.well(scope);
            }
        }
    }

    fn rejected(&mut self, answered: &Answered<'_>) {
        let path = &answered.path;
        self.well(path.scope(ScopeKind::Lane));
        // A rejection is a judgement of the document: endpoint and connection point answered and are well.
        for scope in [path.scope(ScopeKind::Endpoint), path.scope(ScopeKind::ConnectionPoint)] {
            self.well(scope);
            if let Some(health) = self.health.get_mut(&scope) {
                health.narrower.clear();
                health.alone.clear();
            }
        }
        let scope = path.scope(ScopeKind::DocumentType);
        let status = answered.status.unwrap_or_default();
        let health = self.health.entry(scope).or_default();
        let in_a_row = match health.rejects {
            Some((same, count, lane)) if same == status && lane != path.lane => count + 1,
            Some((same, count, _)) if same == status => count,
            Some(_) | None => 1,
        };
        health.rejects = Some((status, in_a_row, path.lane));
        if in_a_row >= REJECTS_IN_A_ROW {
            self.wait(scope, Cause::Rejects, None, answered);
        } else {
            self.well(scope);
        }
    }

    fn refused(&mut self, answered: &Answered<'_>) -> Verdict {
        let path = &answered.path;
        let meaning = answered.meaning;
        let cause = if meaning.class == AnswerClass::Suspend { Cause::Suspend } else { Cause::Retry };
        let lane = path.scope(ScopeKind::Lane);
        let concerned = meaning.scope.is_compared_at();
        let before = self.troubles.get(&lane);
        let others_passed = before.is_some_and(|trouble| trouble.passed >= Some(concerned));
        let alone = before.and_then(|trouble| trouble.alone);
        let refused_at = before.and_then(|trouble| trouble.memory.refused).map(|(_, at)| at);
        self.wait(lane, cause, refused_at, answered);
        for scope in path.wide() {
            self.health.entry(scope).or_default().refused.insert(lane);
        }
        let Some(trouble) = self.troubles.get_mut(&lane) else { return Verdict::Again };
        trouble.document_type = Some(path.document_type);
        trouble.memory.refused = Some((*path, answered.now));
        trouble.passed = None;
        if meaning.in_doubt && (others_passed || !answered.others) {
            trouble.in_doubt_tries += 1;
        }
        if meaning.of_document && others_passed {
            trouble.lone += 1;
        }
        let verdict = if meaning.in_doubt && trouble.in_doubt_tries >= answered.limits.lone_in_doubt_tries {
            Verdict::InDoubt
        } else if meaning.of_document && others_passed && trouble.lone >= answered.limits.lone_rounds {
            Verdict::ForThisDocumentOnly
        } else {
            Verdict::Again
        };
        if verdict != Verdict::Again {
            self.probed(path, concerned);
            self.well(lane);
        } else if others_passed || alone >= Some(concerned) && self.is_one_of_few(path.scope(concerned), lane)
        {
            // Others pass: whatever waits is only this lane.
            self.probed(path, concerned);
        } else {
            self.wait_wide(answered, cause, alone, refused_at);
        }
        verdict
    }

    /// Few enough documents that are judged alone were refused since something passed: each of them is why, not the scope.
    fn is_one_of_few(&mut self, scope: Scope, lane: Scope) -> bool {
        let alone = &mut self.health.entry(scope).or_default().alone;
        if alone.len() < ALONE_IN_A_ROW {
            alone.insert(lane);
        }
        alone.len() < ALONE_IN_A_ROW
    }

    /// A probe was answered: scopes wider than the one that the answer concerns are well, the others wait for another one.
    fn probed(&mut self, path: &Path, concerned: ScopeKind) {
        for kind in [ScopeKind::Endpoint, ScopeKind::ConnectionPoint, ScopeKind::DocumentType] {
            let scope = path.scope(kind);
            let is_probe = self
                .troubles
                .get(&scope)
                .is_some_and(|trouble| trouble.memory.probing == Some((path.point, path.lane)));
            if is_probe && (kind < concerned) {
                self.well(scope);
            } else if is_probe && let Some(trouble) = self.troubles.get_mut(&scope) {
                trouble.memory.probing = None;
            }
        }
    }

    /// Makes the scope of an answer wait, and the next wider one where this is the second of its kind since something
    /// passed there. A document beside which others pass says nothing of what they pass.
    fn wait_wide(
        &mut self,
        answered: &Answered<'_>,
        cause: Cause,
        alone: Option<ScopeKind>,
        refused_at: Option<i64>,
    ) {
        let path = &answered.path;
        let kind = answered.meaning.scope;
        let mut concerned = kind.is_compared_at();
        let many_alone = alone >= Some(concerned);
        if kind != ScopeKind::Lane || many_alone {
            self.wait(path.scope(concerned), cause, refused_at, answered);
        }
        if let Some(wider) = kind.wider().filter(|wider| alone < Some(*wider)) {
            let is_second = self.is_second(path.scope(wider), path.scope(kind));
            // As its probe one more refusal of the same kind shows that it is not well yet.
            let waits = self.troubles.get(&path.scope(wider)).is_some_and(|trouble| trouble.cause == cause);
            if is_second || waits {
                self.wait(path.scope(wider), cause, refused_at, answered);
                concerned = wider;
            }
        }
        self.probed(path, concerned);
    }

    /// Another scope of this kind was refused since something passed the wider one.
    fn is_second(&mut self, wider: Scope, scope: Scope) -> bool {
        let narrower = &mut self.health.entry(wider).or_default().narrower;
        let same_kind =
            narrower.iter().find(|it| std::mem::discriminant(*it) == std::mem::discriminant(&scope)).copied();
        if same_kind.is_none() {
            narrower.insert(scope);
        }
        same_kind.is_some_and(|other| other != scope)
    }

    /// One more refusal of a scope. Answers to posts that were out before the wait began do not prolong it, and a document
    /// that was refused since it began says nothing new: its lane waits longer each time, the scope does not.
    fn wait(&mut self, scope: Scope, cause: Cause, refused_at: Option<i64>, answered: &Answered<'_>) {
        let prober = Some((answered.path.point, answered.path.lane));
        let asked = answered.retry_after.map_or(0, |wait| millis(wait.min(MAX_RETRY_AFTER)));
        let mut trouble = match self.troubles.get(&scope) {
            Some(trouble) => trouble.clone(),
            None => Trouble::new(cause, 0, 0, answered.now, String::new()),
        };
        let is_lane = matches!(scope, Scope::Lane(..));
        if trouble.refusals == 0 || is_lane || trouble.memory.probing == prober {
            let says_more = is_lane || refused_at.is_none_or(|at| at < trouble.since);
            if says_more || trouble.refusals == 0 {
                trouble.refusals = trouble.refusals.saturating_add(1);
            }
            let backoff = match scope {
                Scope::Endpoint(_) => answered.endpoint_backoff,
                Scope::ConnectionPoint(_) | Scope::DocumentType(..) | Scope::Lane(..) => {
                    answered.limits.backoff
                }
            };
            trouble.not_before = answered.now + wait(backoff, trouble.refusals, answered.jitter);
            trouble.memory.probing = None;
            trouble.memory.inquiry = Inquiry::NotAsked;
        }
        trouble.not_before = trouble.not_before.max(answered.now + asked);
        trouble.cause = cause;
        trouble.memory.by = prober.filter(|_| !is_lane && answered.meaning.of_document);
        answered.text.clone_into(&mut trouble.text);
        self.put(scope, trouble);
    }

    fn put(&mut self, scope: Scope, trouble: Trouble) {
        let told = trouble.told_alone();
        let before = self.troubles.insert(scope, trouble);
        if let Scope::Lane(point, lane) = scope {
            self.count_lone(point, lane, before.as_ref().map_or(0, Trouble::told_alone), told);
        } else {
            self.wide.insert(scope);
        }
        self.changed.insert(scope);
    }
}

/// What ping and list said of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquired {
    /// The list lacked the type and names it now.
    ListedAgain,
    /// Nothing speaks against a probe.
    Good,
    /// ION says that it is not ready.
    Bad(String),
}

/// `Retry-After` is honoured up to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Something of it was refused, rather than not listed or rejected.
fn is_refused(trouble: &Trouble) -> bool {
    matches!(trouble.cause, Cause::Retry | Cause::Suspend)
}

fn needs_inquiry(trouble: &Trouble) -> bool {
    matches!(trouble.cause, Cause::Suspend | Cause::NotAccepted)
}

/// Wait n = min(step · n, max), ± the jitter.
fn wait(backoff: Backoff, n: u32, jitter: f64) -> i64 {
    let wait = backoff.step.saturating_mul(n).min(backoff.max);
    millis(wait.mul_f64(1.0 + jitter.clamp(-0.1, 0.1)))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { step: Duration::from_secs(10), max: Duration::from_secs(600) };
    const LIMITS: Limits = Limits { backoff: BACKOFF, lone_rounds: 3, lone_in_doubt_tries: 2 };

    fn path(document_type: TypeNumber, lane: i64) -> Path {
        Path { endpoint: 0, point: 0, document_type, lane: LaneKey(lane) }
    }

    fn meaning(class: AnswerClass, scope: ScopeKind, in_doubt: bool) -> Meaning {
        Meaning { class, scope, in_doubt, of_document: true }
    }

    const OK: Meaning =
        Meaning { class: AnswerClass::Accepted, scope: ScopeKind::Lane, in_doubt: false, of_document: true };
    const BUSY: Meaning = Meaning { class: AnswerClass::Retry, scope: ScopeKind::ConnectionPoint, ..OK };
    const FORBIDDEN: Meaning = Meaning { class: AnswerClass::Suspend, scope: ScopeKind::DocumentType, ..OK };
    const TIMED_OUT: Meaning = Meaning { class: AnswerClass::Retry, in_doubt: true, ..OK };

    fn answer(scopes: &mut Scopes, path: Path, meaning: Meaning, others: bool, now: i64) -> Verdict {
        scopes.begun(&path);
        scopes.answered(&Answered {
            path,
            meaning,
            status: None,
            text: "said so",
            retry_after: None,
            limits: LIMITS,
            endpoint_backoff: BACKOFF,
            jitter: 0.0,
            others,
            now,
        })
    }

    fn open(scopes: &Scopes, path: Path, now: i64) -> bool {
        path.wide().iter().all(|scope| scopes.lets_through(*scope, now))
    }

    #[test]
    fn a_busy_connection_point_waits_step_by_step_and_one_probe_goes_out() {
        let mut scopes = Scopes::default();
        assert_eq!(answer(&mut scopes, path(0, 1), BUSY, true, 0), Verdict::Again);
        assert!(!open(&scopes, path(0, 2), 9_999));
        assert!(open(&scopes, path(0, 2), 10_000));
        scopes.begun(&path(0, 2));
        assert!(!open(&scopes, path(0, 3), 10_000), "one probe, not two");
        assert_eq!(answer(&mut scopes, path(0, 2), BUSY, true, 10_000), Verdict::Again);
        assert!(!open(&scopes, path(0, 3), 29_999), "the second wait is twice the first");
        assert!(open(&scopes, path(0, 3), 30_000));
        assert_eq!(answer(&mut scopes, path(0, 3), OK, true, 30_000), Verdict::Accepted);
        assert!(open(&scopes, path(0, 1), 30_000));
    }

    #[test]
    fn answers_of_posts_that_were_out_before_do_not_prolong_a_wait() {
        let mut scopes = Scopes::default();
        for lane in 0..16 {
            answer_late(&mut scopes, path(0, lane));
        }
        assert_eq!(scopes.trouble(Scope::ConnectionPoint(0)).map(|trouble| trouble.refusals), Some(1));
        fn answer_late(scopes: &mut Scopes, path: Path) {
            scopes.answered(&Answered {
                path,
                meaning: BUSY,
                status: Some(503),
                text: "",
                retry_after: None,
                limits: LIMITS,
                endpoint_backoff: BACKOFF,
                jitter: 0.0,
                others: true,
                now: 0,
            });
        }
    }

    #[test]
    fn a_document_that_alone_is_refused_fails_after_its_rounds() {
        let mut scopes = Scopes::default();
        let mut now = 0;
        assert_eq!(answer(&mut scopes, path(0, 1), BUSY, true, now), Verdict::Again);
        for round in 1..=3 {
            now += 600_000;
            assert_eq!(answer(&mut scopes, path(0, 2), OK, true, now), Verdict::Accepted);
            let verdict = answer(&mut scopes, path(0, 1), BUSY, true, now);
            let last = round == 3;
            assert_eq!(verdict, if last { Verdict::ForThisDocumentOnly } else { Verdict::Again });
            assert!(open(&scopes, path(0, 2), now), "only its lane waits");
        }
        assert_eq!(scopes.troubles().count(), 0);
    }

    #[test]
    fn nothing_fails_while_nothing_passes() {
        let mut scopes = Scopes::default();
        for round in 0..100 {
            assert_eq!(answer(&mut scopes, path(0, 1), BUSY, true, round * 1_000_000), Verdict::Again);
        }
    }

    #[test]
    fn a_suspended_type_asks_first_and_a_second_type_suspends_the_connection_point() {
        let mut scopes = Scopes::default();
        answer(&mut scopes, path(1, 1), FORBIDDEN, true, 0);
        assert!(open(&scopes, path(2, 2), 0), "other types go on");
        assert!(!open(&scopes, path(1, 3), 10_000), "ping and list come before the probe");
        assert_eq!(scopes.to_inquire(10_000), vec![Scope::DocumentType(0, 1)]);
        scopes.inquired(Scope::DocumentType(0, 1), Inquired::Good, BACKOFF, 0.0, 10_000);
        assert!(open(&scopes, path(1, 3), 10_000));
        answer(&mut scopes, path(2, 2), FORBIDDEN, true, 10_000);
        assert!(!open(&scopes, path(3, 9), 10_000), "the connection point waits");
    }

    #[test]
    fn a_type_that_is_listed_again_resumes_at_once() {
        let mut scopes = Scopes::default();
        let scope = Scope::DocumentType(0, 1);
        scopes.not_accepted(scope, "not listed".into(), BACKOFF, 0.0, 0);
        assert!(!open(&scopes, path(1, 1), 10_000));
        scopes.inquired(scope, Inquired::Bad("still not".into()), BACKOFF, 0.0, 10_000);
        assert_eq!(scopes.trouble(scope).map(|trouble| trouble.not_before), Some(30_000));
        scopes.inquired(scope, Inquired::ListedAgain, BACKOFF, 0.0, 15_000);
        assert!(open(&scopes, path(1, 1), 15_000));
    }

    #[test]
    fn the_only_document_of_a_type_stays_suspended_and_is_never_the_verdict() {
        let mut scopes = Scopes::default();
        let scope = Scope::DocumentType(0, 1);
        for round in 0..50 {
            let now = round * 1_000_000;
            scopes.inquired(scope, Inquired::Good, BACKOFF, 0.0, now);
            // What passes beside it is of another type: nothing of its own tells why it is refused.
            assert_eq!(answer(&mut scopes, path(2, 2), OK, false, now), Verdict::Accepted);
            assert_eq!(answer(&mut scopes, path(1, 1), FORBIDDEN, false, now), Verdict::Again);
            assert!(scopes.trouble(scope).is_some());
        }
    }

    #[test]
    fn what_is_never_about_a_document_never_fails_one() {
        let mut scopes = Scopes::default();
        let redirect = Meaning { of_document: false, ..FORBIDDEN };
        for round in 0..50 {
            let now = round * 1_000_000;
            scopes.inquired(Scope::DocumentType(0, 0), Inquired::Good, BACKOFF, 0.0, now);
            assert_eq!(answer(&mut scopes, path(0, 1), redirect, true, now), Verdict::Again);
            assert_eq!(answer(&mut scopes, path(0, 2), OK, true, now), Verdict::Accepted);
            assert!(open(&scopes, path(0, 3), now));
        }
        assert_eq!(scopes.alone(0).0, 1);
    }

    #[test]
    fn one_more_answer_of_another_kind_is_no_new_beginning() {
        let mut scopes = Scopes::default();
        let gateway = meaning(AnswerClass::Retry, ScopeKind::Endpoint, false);
        let mut verdicts = Vec::new();
        for kind in [BUSY, gateway, BUSY, gateway] {
            verdicts.push(answer(&mut scopes, path(0, 1), kind, true, 0));
            answer(&mut scopes, path(0, 2), OK, true, 0);
        }
        assert_eq!(verdicts[..3], [Verdict::Again; 3]);
        assert_eq!(verdicts[3], Verdict::ForThisDocumentOnly);
    }

    #[test]
    fn a_document_that_is_alone_makes_nothing_wait_many_of_them_do() {
        let mut scopes = Scopes::default();
        for lane in 1..=5 {
            answer(&mut scopes, path(0, lane), BUSY, true, 0);
        }
        answer(&mut scopes, path(1, 9), OK, true, 0);
        for lane in 1..=5 {
            assert!(open(&scopes, path(0, 8), 1), "{lane}");
            // Others passed since its last refusal, or only before that.
            answer(&mut scopes, path(0, lane), BUSY, true, 1);
        }
        for lane in 1..=5 {
            assert!(open(&scopes, path(0, 8), 2), "{lane}");
            answer(&mut scopes, path(0, lane), BUSY, true, 2);
        }
        assert!(!open(&scopes, path(0, 8), 2), "five in a row and nothing that passes");
        assert_eq!(scopes.trouble(Scope::Lane(0, LaneKey(1))).map(|trouble| trouble.lone), Some(1));
    }

    #[test]
    fn a_document_that_was_refused_before_says_nothing_new_of_its_scope() {
        let mut scopes = Scopes::default();
        let mut now = 0;
        for _ in 0..20 {
            answer(&mut scopes, path(0, 1), BUSY, true, now);
            let waits =
                scopes.trouble(Scope::ConnectionPoint(0)).map_or(0, |trouble| trouble.not_before - now);
            assert_eq!(waits, 10_000);
            now = scopes.trouble(Scope::Lane(0, LaneKey(1))).map_or(0, |trouble| trouble.not_before);
        }
        assert_eq!(scopes.trouble(Scope::Lane(0, LaneKey(1))).map(|trouble| trouble.refusals), Some(20));
    }

    #[test]
    fn what_passes_between_two_refusals_counts_where_two_make_more_wait() {
        let forbidden =
            |scopes: &mut Scopes, number| answer(scopes, path(number, i64::from(number)), FORBIDDEN, true, 0);
        for passes in [false, true] {
            let mut scopes = Scopes::default();
            forbidden(&mut scopes, 1);
            if passes {
                answer(&mut scopes, path(3, 3), OK, true, 0);
            }
            forbidden(&mut scopes, 2);
            assert_eq!(open(&scopes, path(3, 4), 0), passes);
        }
        // A connection point of another endpoint says nothing of this one.
        let mut scopes = Scopes::default();
        let elsewhere = Path { endpoint: 1, point: 1, ..path(0, 1) };
        answer(&mut scopes, elsewhere, BUSY, true, 0);
        answer(&mut scopes, path(0, 1), BUSY, true, 0);
        assert!(scopes.lets_through(Scope::Endpoint(0), 0));
    }

    #[test]
    fn two_lanes_in_doubt_make_the_endpoint_wait_one_does_not() {
        let mut scopes = Scopes::default();
        answer(&mut scopes, path(0, 1), TIMED_OUT, true, 0);
        assert!(open(&scopes, path(0, 2), 0));
        answer(&mut scopes, path(0, 2), TIMED_OUT, true, 0);
        assert!(!open(&scopes, path(0, 3), 0));
    }

    #[test]
    fn a_document_that_alone_times_out_fails_in_doubt() {
        let mut scopes = Scopes::default();
        answer(&mut scopes, path(0, 1), TIMED_OUT, true, 0);
        answer(&mut scopes, path(0, 2), OK, true, 0);
        assert_eq!(answer(&mut scopes, path(0, 1), TIMED_OUT, true, 20_000), Verdict::Again);
        answer(&mut scopes, path(0, 2), OK, true, 30_000);
        assert_eq!(answer(&mut scopes, path(0, 1), TIMED_OUT, true, 60_000), Verdict::InDoubt);
    }

    #[test]
    fn five_rejects_in_a_row_suspend_the_type() {
        let mut scopes = Scopes::default();
        for lane in 0..5 {
            assert!(open(&scopes, path(0, lane), 0));
            let reject = meaning(AnswerClass::Reject, ScopeKind::ConnectionPoint, false);
            assert_eq!(answer(&mut scopes, path(0, lane), reject, true, 0), Verdict::Rejected);
        }
        assert!(!open(&scopes, path(0, 9), 0));
        assert!(open(&scopes, path(0, 9), 10_000));
    }

    #[test]
    fn retry_after_is_honoured_up_to_ten_minutes() {
        for (asked, until) in [(60, 60_000), (100_000, 600_000)] {
            let mut scopes = Scopes::default();
            scopes.answered(&Answered {
                path: path(0, 1),
                meaning: meaning(AnswerClass::Retry, ScopeKind::Endpoint, false),
                status: Some(429),
                text: "",
                retry_after: Some(Duration::from_secs(asked)),
                limits: LIMITS,
                endpoint_backoff: BACKOFF,
                jitter: 0.0,
                others: true,
                now: 0,
            });
            assert_eq!(scopes.next_due(0), Some(until));
        }
    }

    proptest! {
        /// Whatever was answered: once everything is let through and passes, nothing waits any more; and a scope
        /// never waits longer than its maximum (plus the jitter).
        #[test]
        fn scopes_always_heal(answers in prop::collection::vec(
            (0u16..3, 0i64..6, 0usize..6, any::<bool>(), 1i64..700_000), 0..80)) {
            let meanings = [OK, BUSY, FORBIDDEN, TIMED_OUT,
                meaning(AnswerClass::Reject, ScopeKind::ConnectionPoint, false),
                meaning(AnswerClass::Retry, ScopeKind::Endpoint, false)];
            let mut scopes = Scopes::default();
            let mut now = 0;
            for (document_type, lane, which, others, later) in answers {
                now += later;
                for scope in scopes.to_inquire(now) {
                    scopes.inquired(scope, Inquired::Good, BACKOFF, 0.0, now);
                }
                let path = path(document_type, lane);
                if open(&scopes, path, now) {
                    answer(&mut scopes, path, meanings[which], others, now);
                }
                for (_, trouble) in scopes.troubles() {
                    prop_assert!(trouble.not_before <= now + 660_000);
                }
            }
            for round in 1..=6 {
                now += 700_000;
                for scope in scopes.to_inquire(now) {
                    scopes.inquired(scope, Inquired::Good, BACKOFF, 0.0, now);
                }
                for document_type in 0..3 {
                    for lane in 0..6 {
                        let path = path(document_type, lane);
                        if open(&scopes, path, now) {
                            answer(&mut scopes, path, OK, true, now + round);
                        }
                    }
                }
            }
            prop_assert_eq!(scopes.troubles().count(), 0);
            prop_assert!(scopes.wide.is_empty());
        }
    }
}
