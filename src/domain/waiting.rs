//! The one mechanism of everything that waits: scopes that back off, probes, and verdicts on single documents.
//!
//! A scope (endpoint ⊃ connection point ⊃ document type ⊃ lane) waits step by step. When a wait is over one probe
//! goes out; a 2xx makes the scope well. A message that was refused while others pass is judged alone: only its lane
//! waits, and after so many further refusals it fails "for this document only" (design.md §5). Times are ms since
//! 1970; the caller gives `now` and the jitter, so that every decision can be repeated.

use std::collections::BTreeSet;
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
    /// Of a lane: the scope whose passing tells whether the refusals concern this lane alone.
    pub natural: Option<Scope>,
    /// Of a lane: others passed `natural` since its head was last refused.
    pub passed: bool,
    /// What the last answer was, for the operator.
    pub text: String,
    memory: Memory,
}

/// What a restart may forget: no probe is out then, and ping and list are asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Memory {
    /// The lane whose head is out as the probe.
    probing: Option<(PointNumber, LaneKey)>,
    /// The lane of the last probe: the next one is another, where there is another.
    last_probe: Option<(PointNumber, LaneKey)>,
    /// The ping and the list were asked before this probe (suspend class), and both were good.
    inquiry: Inquiry,
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
            natural: None,
            passed: false,
            text,
            memory: Memory::default(),
        }
    }

    /// The head of some lane is out as the probe.
    pub fn is_probing(&self) -> bool {
        self.memory.probing.is_some()
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

#[derive(Debug, Default)]
struct Health {
    /// Lanes that were refused and wait to hear whether others pass.
    refused: Vec<Scope>,
    /// Rejects in a row: status, how many, lane of the last one.
    rejects: Option<(u16, u32, LaneKey)>,
    /// Lanes in doubt since the last 2xx (endpoint only; two are enough).
    in_doubt: BTreeSet<(PointNumber, LaneKey)>,
}

/// All scopes.
#[derive(Debug, Default)]
pub struct Scopes {
    troubles: HashMap<Scope, Trouble>,
    health: HashMap<Scope, Health>,
    /// How many of `troubles` are wider than a lane.
    wide: usize,
    /// Scopes that changed since `take_changed`.
    changed: BTreeSet<Scope>,
}

/// Rejects in a row with one status, from different documents, that suspend their type.
const REJECTS_IN_A_ROW: u32 = 5;
/// Refusals of the only document of a suspended type before it fails, where ping and list are good.
const ONLY_DOCUMENT_REFUSALS: u32 = 3;

impl Scopes {
    /// The trouble of a scope, if it has one.
    pub fn trouble(&self, scope: Scope) -> Option<&Trouble> {
        self.troubles.get(&scope)
    }

    /// All troubles.
    pub fn troubles(&self) -> impl Iterator<Item = (Scope, &Trouble)> {
        self.troubles.iter().map(|(scope, trouble)| (*scope, trouble))
    }

    /// Puts back what the journal kept.
    pub fn restore(&mut self, scope: Scope, trouble: Trouble) {
        if let Some(natural) = trouble.natural.filter(|_| !trouble.passed) {
            self.health.entry(natural).or_default().refused.push(scope);
        }
        self.put(scope, trouble);
        self.changed.remove(&scope);
    }

    /// The scopes that changed since the last call: to be stored, or forgotten where they are well.
    pub fn take_changed(&mut self) -> BTreeSet<Scope> {
        std::mem::take(&mut self.changed)
    }

    /// Whether a scope lets anything out now: it is well, or its wait is over and no probe is out (and, where ping
    /// and list must be asked first, they were).
    pub fn lets_through(&self, scope: Scope, now: i64) -> bool {
        if self.wide == 0 {
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

    /// The scope waits for a probe, and this lane was its last one: another is to be preferred.
    pub fn was_last_probe(&self, path: &Path) -> bool {
        self.wide > 0
            && path.wide().iter().any(|scope| {
                self.troubles
                    .get(scope)
                    .is_some_and(|trouble| trouble.memory.last_probe == Some((path.point, path.lane)))
            })
    }

    /// Scopes whose wait is over and for which ping and list must be asked before the probe.
    pub fn to_inquire(&self, now: i64) -> Vec<Scope> {
        self.troubles
            .iter()
            .filter(|(scope, trouble)| {
                !matches!(scope, Scope::Lane(..))
                    && trouble.not_before <= now
                    && needs_inquiry(trouble)
                    && trouble.memory.inquiry == Inquiry::NotAsked
                    && trouble.memory.probing.is_none()
            })
            .map(|(scope, _)| *scope)
            .collect()
    }

    /// The clock was set by so many ms: all that waits waits as long as before.
    pub fn move_by(&mut self, jump: i64) {
        for trouble in self.troubles.values_mut() {
            for time in [&mut trouble.not_before, &mut trouble.since] {
                *time = time.saturating_add(jump);
            }
        }
        self.changed.extend(self.troubles.keys());
    }

    /// When the next wide scope's wait is over.
    pub fn next_due(&self) -> Option<i64> {
        if self.wide == 0 {
            return None;
        }
        self.troubles
            .iter()
            .filter(|(scope, _)| !matches!(scope, Scope::Lane(..)))
            .map(|(_, trouble)| trouble.not_before)
            .min()
    }

    /// A message of this path goes out: it is the probe of every waiting scope on its path.
    pub fn begun(&mut self, path: &Path) {
        if self.wide == 0 {
            return;
        }
        for scope in path.wide() {
            if let Some(trouble) = self.troubles.get_mut(&scope) {
                trouble.memory.probing = Some((path.point, path.lane));
                trouble.memory.last_probe = trouble.memory.probing;
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
        if self.troubles.remove(&scope).is_some() {
            if !matches!(scope, Scope::Lane(..)) {
                self.wide -= 1;
            }
            self.changed.insert(scope);
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
        for scope in path.wide() {
            let health = self.health.entry(scope).or_default();
            health.rejects = None;
            health.in_doubt.clear();
            for lane in std::mem::take(&mut health.refused) {
                if let Some(trouble) = self.troubles.get_mut(&lane) {
                    trouble.passed = true;
                    self.changed.insert(lane);
                }
            }
            if self.wide > 0 {
                self.well(scope);
            }
        }
        if !self.troubles.is_empty() {
            self.well(path.scope(ScopeKind::Lane));
        }
    }

    fn rejected(&mut self, answered: &Answered<'_>) {
        let path = &answered.path;
        self.well(path.scope(ScopeKind::Lane));
        // A rejection is a judgement of the document: endpoint and connection point answered and are well.
        self.well(path.scope(ScopeKind::Endpoint));
        self.well(path.scope(ScopeKind::ConnectionPoint));
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
            self.wait(scope, Cause::Rejects, answered);
        } else {
            self.well(scope);
        }
    }

    fn refused(&mut self, answered: &Answered<'_>) -> Verdict {
        let path = &answered.path;
        let meaning = answered.meaning;
        let suspended = meaning.class == AnswerClass::Suspend;
        let cause = if suspended { Cause::Suspend } else { Cause::Retry };
        let lane = path.scope(ScopeKind::Lane);
        // A time-out concerns the lane, but whether others pass shows at the endpoint.
        let natural = match meaning.scope {
            ScopeKind::Lane => path.scope(ScopeKind::Endpoint),
            kind => path.scope(kind),
        };
        let others_passed = self
            .troubles
            .get(&lane)
            .is_some_and(|trouble| trouble.passed && trouble.natural == Some(natural));
        self.wait(lane, cause, answered);
        let refused = &mut self.health.entry(natural).or_default().refused;
        if !refused.contains(&lane) {
            refused.push(lane);
        }
        let Some(trouble) = self.troubles.get_mut(&lane) else { return Verdict::Again };
        trouble.natural = Some(natural);
        trouble.passed = false;
        if meaning.in_doubt && (others_passed || !answered.others) {
            trouble.in_doubt_tries += 1;
        }
        if others_passed {
            trouble.lone += 1;
        }
        let lone_limit = if suspended { 1 } else { answered.limits.lone_rounds };
        let verdict = if trouble.in_doubt_tries >= answered.limits.lone_in_doubt_tries {
            Verdict::InDoubt
        } else if trouble.lone >= lone_limit {
            Verdict::ForThisDocumentOnly
        } else {
            Verdict::Again
        };
        if verdict != Verdict::Again || others_passed {
            // Others pass: whatever waits is only this lane.
            self.answered_by(path, meaning.scope);
            if verdict != Verdict::Again {
                self.well(lane);
            }
            return verdict;
        }
        self.wait_wide(answered, cause);
        self.only_document(answered)
    }

    /// Scopes wider than the one that an answer concerns have answered: they are well where this was their probe.
    fn answered_by(&mut self, path: &Path, concerned: ScopeKind) {
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

    /// Makes the scope of an answer wait, and the next wider one where this is the second of its kind.
    fn wait_wide(&mut self, answered: &Answered<'_>, cause: Cause) {
        let path = &answered.path;
        let kind = answered.meaning.scope;
        if kind == ScopeKind::Lane {
            let endpoint = path.scope(ScopeKind::Endpoint);
            let health = self.health.entry(endpoint).or_default();
            if health.in_doubt.len() < 2 {
                health.in_doubt.insert((path.point, path.lane));
            }
            // A lane alone does not make the endpoint wait; as its probe it shows that it is not well yet.
            if health.in_doubt.len() > 1 || self.troubles.contains_key(&endpoint) {
                self.wait(endpoint, cause, answered);
            }
            self.answered_by(path, ScopeKind::Endpoint);
            return;
        }
        self.wait(path.scope(kind), cause, answered);
        let second = match kind {
            ScopeKind::ConnectionPoint => self.another_waits(
                |scope| matches!(scope, Scope::ConnectionPoint(point) if point != path.point),
                cause,
            ),
            ScopeKind::DocumentType => self.another_waits(
                |scope| matches!(scope, Scope::DocumentType(point, number) if point == path.point && number != path.document_type),
                cause,
            ),
            ScopeKind::Endpoint | ScopeKind::Lane => false,
        };
        if second {
            let wider = match kind {
                ScopeKind::ConnectionPoint => ScopeKind::Endpoint,
                _ => ScopeKind::ConnectionPoint,
            };
            self.wait(path.scope(wider), cause, answered);
            self.answered_by(path, wider);
        } else {
            self.answered_by(path, kind);
        }
    }

    /// The only document of a suspended type: where ping and list are good, the third refusal is the verdict.
    fn only_document(&mut self, answered: &Answered<'_>) -> Verdict {
        let scope = answered.path.scope(ScopeKind::DocumentType);
        let done = answered.meaning.class == AnswerClass::Suspend
            && !answered.others
            && self.troubles.get(&scope).is_some_and(|trouble| {
                trouble.refusals >= ONLY_DOCUMENT_REFUSALS && trouble.memory.inquiry == Inquiry::Good
            });
        if !done {
            if let Some(trouble) = self.troubles.get_mut(&scope) {
                trouble.memory.inquiry = Inquiry::NotAsked;
            }
            return Verdict::Again;
        }
        self.well(scope);
        self.well(answered.path.scope(ScopeKind::Lane));
        Verdict::ForThisDocumentOnly
    }

    fn another_waits(&self, is_other: impl Fn(Scope) -> bool, cause: Cause) -> bool {
        self.troubles.iter().any(|(scope, trouble)| is_other(*scope) && trouble.cause == cause)
    }

    /// One more refusal of a scope. Answers to posts that were out before the wait began do not prolong it.
    fn wait(&mut self, scope: Scope, cause: Cause, answered: &Answered<'_>) {
        let prober = Some((answered.path.point, answered.path.lane));
        let asked = answered.retry_after.map_or(0, |wait| millis(wait.min(MAX_RETRY_AFTER)));
        let mut trouble = match self.troubles.get(&scope) {
            Some(trouble) => trouble.clone(),
            None => Trouble::new(cause, 0, 0, answered.now, String::new()),
        };
        let is_lane = matches!(scope, Scope::Lane(..));
        if trouble.refusals == 0 || is_lane || trouble.memory.probing == prober {
            trouble.refusals = trouble.refusals.saturating_add(1);
            let backoff = match scope {
                Scope::Endpoint(_) => answered.endpoint_backoff,
                Scope::ConnectionPoint(_) | Scope::DocumentType(..) | Scope::Lane(..) => {
                    answered.limits.backoff
                }
            };
            trouble.not_before = answered.now + wait(backoff, trouble.refusals, answered.jitter);
            trouble.memory.probing = None;
        }
        trouble.not_before = trouble.not_before.max(answered.now + asked);
        trouble.cause = cause;
        answered.text.clone_into(&mut trouble.text);
        self.put(scope, trouble);
    }

    fn put(&mut self, scope: Scope, trouble: Trouble) {
        if self.troubles.insert(scope, trouble).is_none() && !matches!(scope, Scope::Lane(..)) {
            self.wide += 1;
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
        Meaning { class, scope, in_doubt }
    }

    const OK: Meaning = Meaning { class: AnswerClass::Accepted, scope: ScopeKind::Lane, in_doubt: false };
    const BUSY: Meaning =
        Meaning { class: AnswerClass::Retry, scope: ScopeKind::ConnectionPoint, in_doubt: false };
    const FORBIDDEN: Meaning =
        Meaning { class: AnswerClass::Suspend, scope: ScopeKind::DocumentType, in_doubt: false };
    const TIMED_OUT: Meaning = Meaning { class: AnswerClass::Retry, scope: ScopeKind::Lane, in_doubt: true };

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
    fn the_only_document_of_a_type_fails_at_the_third_refusal() {
        let mut scopes = Scopes::default();
        let scope = Scope::DocumentType(0, 1);
        assert_eq!(answer(&mut scopes, path(1, 1), FORBIDDEN, false, 0), Verdict::Again);
        for (now, verdict) in [(100_000, Verdict::Again), (200_000, Verdict::ForThisDocumentOnly)] {
            scopes.inquired(scope, Inquired::Good, BACKOFF, 0.0, now);
            assert_eq!(answer(&mut scopes, path(1, 1), FORBIDDEN, false, now), verdict);
        }
        assert!(scopes.trouble(scope).is_none());
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
            assert_eq!(scopes.next_due(), Some(until));
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
            prop_assert_eq!(scopes.wide, 0);
        }
    }
}
