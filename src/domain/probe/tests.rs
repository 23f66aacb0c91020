//! An ION that refuses some documents whatever happens, and an agent made of the real decisions: what is good gets
//! through, in a time that does not depend on what is refused.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::LaneKey;
use crate::domain::lanes::{TypeNumber, Waiting};
use crate::domain::outcome::{Answer, Meaning};
use crate::domain::plan::{AnswerClass, Backoff};
use crate::domain::waiting::{Answered, Inquired, Limits, Trouble, Verdict};

const STEP: i64 = 10_000;
const BACKOFF: Backoff = Backoff { step: Duration::from_secs(10), max: Duration::from_secs(600) };
const LIMITS: Limits = Limits { backoff: BACKOFF, lone_rounds: 20, lone_in_doubt_tries: 5 };
/// After this a client hangs up.
const TIME_OUT: i64 = 10_000;
/// A good document is through after this: five others that are refused make a scope wait 1 + 2 + 3 + 4 + 5 steps, and some
/// of them are found out one scope after the other.
const BOUND: i64 = 30 * STEP;

/// How ION answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Status(u16),
    /// The request goes out, and nothing comes back.
    Nothing,
}

const OK: Says = Says::Status(201);
/// Each status of the classes retry and suspend, two that reject, and no answer.
const REFUSALS: [Says; 18] = [
    Says::Status(400),
    Says::Status(422),
    Says::Status(500),
    Says::Status(503),
    Says::Status(401),
    Says::Status(429),
    Says::Status(502),
    Says::Status(504),
    Says::Status(408),
    Says::Status(302),
    Says::Status(307),
    Says::Status(403),
    Says::Status(404),
    Says::Status(405),
    Says::Status(407),
    Says::Status(410),
    Says::Status(412),
    Says::Nothing,
];

impl Says {
    fn meaning(self) -> (Option<u16>, Meaning) {
        let answer = match self {
            Self::Status(status) => {
                Answer::Http { status, text: String::new(), is_html: false, retry_after: None }
            }
            Self::Nothing => Answer::Unanswered { what: "time-out".into() },
        };
        let rule = |status| match status {
            300..=308 | 403 | 404 | 405 | 407 | 410 | 412 => Some(AnswerClass::Suspend),
            401 | 408 | 429 | 500 | 502 | 503 | 504 => Some(AnswerClass::Retry),
            _ => None,
        };
        (answer.status(), answer.meaning(rule))
    }
}

/// One document; each has a lane of its own.
#[derive(Debug, Clone)]
struct Document {
    point: PointNumber,
    document_type: TypeNumber,
    arrives: i64,
    /// From when on ION answers how; before the first it accepts.
    answers: Vec<(i64, Says)>,
    /// When it ended, and how.
    ended: Option<(i64, Verdict)>,
}

impl Document {
    fn new(number: usize, arrives: i64) -> Self {
        let (point, document_type) = (PointNumber::from(number % 2 == 1), [0, 1, 2][number % 3]);
        Self { point, document_type, arrives, answers: Vec::new(), ended: None }
    }

    fn answer(&self, now: i64) -> Says {
        self.answers.iter().take_while(|(from, _)| *from <= now).last().map_or(OK, |(_, says)| *says)
    }
}

/// The agent: the same decisions in the same order, with neither journal nor network.
struct World {
    now: i64,
    documents: Vec<Document>,
    scopes: Scopes,
    lanes: [Lanes; 2],
    to_come: VecDeque<usize>,
    /// Rows of suspended types.
    parked: Vec<usize>,
    /// Answers under way, by time.
    out: BTreeMap<(i64, usize), Says>,
    random: fastrand::Rng,
    posts: usize,
    /// `parallel_posts`.
    slots: usize,
    /// Whatever is posted is refused with it, this often of a hundred times.
    weather: Option<(Says, u32)>,
}

impl World {
    fn new(mut documents: Vec<Document>, seed: u64) -> Self {
        documents.sort_by_key(|document| document.arrives);
        Self {
            now: 0,
            to_come: (0..documents.len()).collect(),
            documents,
            scopes: Scopes::default(),
            lanes: Default::default(),
            parked: Vec::new(),
            out: BTreeMap::new(),
            random: fastrand::Rng::with_seed(seed),
            posts: 0,
            slots: 4,
            weather: None,
        }
    }

    fn lane(number: usize) -> LaneKey {
        LaneKey(i64::try_from(number).unwrap())
    }

    fn number(lane: LaneKey) -> usize {
        usize::try_from(lane.0).unwrap()
    }

    fn path(&self, number: usize) -> Path {
        let Document { point, document_type, .. } = self.documents[number];
        Path { endpoint: 0, point, document_type, lane: Self::lane(number) }
    }

    fn lanes(&mut self, number: usize) -> &mut Lanes {
        &mut self.lanes[usize::from(self.documents[number].point)]
    }

    fn take_in(&mut self, number: usize) {
        let (lane, document_type) = (Self::lane(number), self.documents[number].document_type);
        let waiting = Waiting { entry_id: lane.0, message: lane.0, priority: 4, document_type };
        self.lanes(number).insert(lane, waiting);
    }

    /// A row of a suspended type is parked, but for the next probe (`Outbound::is_suspended`).
    fn is_suspended(&self, number: usize) -> bool {
        let path = self.path(number);
        let lanes = &self.lanes[usize::from(path.point)];
        self.scopes.trouble(Scope::DocumentType(path.point, path.document_type)).is_some_and(|trouble| {
            trouble.is_probing() || lanes.has_fresh(path.document_type) || lanes.is_refused(path.lane)
        })
    }

    fn admit(&mut self, number: usize) {
        if self.is_suspended(number) {
            self.parked.push(number);
        } else {
            self.take_in(number);
        }
    }

    fn answered(&mut self, number: usize, says: Says) {
        let path = self.path(number);
        let (status, meaning) = says.meaning();
        let others = self.documents.iter().enumerate().any(|(other, document)| {
            other != number && document.arrives <= self.now && document.ended.is_none()
        });
        let jitter = self.random.f64() * 0.2 - 0.1;
        let verdict = self.scopes.answered(&Answered {
            path,
            meaning,
            status,
            text: "",
            retry_after: None,
            limits: LIMITS,
            endpoint_backoff: BACKOFF,
            jitter,
            others,
            now: self.now,
        });
        let wait = self.scopes.trouble(Scope::Lane(path.point, path.lane)).map(|trouble| trouble.not_before);
        let lanes = self.lanes(number);
        lanes.give_back(path.lane);
        if verdict == Verdict::Again {
            lanes.wait_until(path.lane, wait);
        } else {
            lanes.remove(path.lane, path.lane.0);
            if verdict == Verdict::Rejected {
                lanes.rejected();
            }
            self.documents[number].ended = Some((self.now, verdict));
        }
    }

    /// What `Outbound::advance` does.
    fn advance(&mut self) {
        for scope in self.scopes.take_changed() {
            let refusals = self.scopes.trouble(scope).map_or(0, |trouble| trouble.refusals);
            match scope {
                Scope::Lane(point, lane) => self.lanes[usize::from(point)].refused(lane, refusals),
                Scope::DocumentType(..) if refusals == 0 => {
                    for number in std::mem::take(&mut self.parked) {
                        self.admit(number);
                    }
                }
                Scope::DocumentType(..) | Scope::ConnectionPoint(_) | Scope::Endpoint(_) => {}
            }
        }
        for scope in self.scopes.to_inquire(self.now) {
            self.scopes.inquired(scope, Inquired::Good, BACKOFF, 0.0, self.now);
        }
        let (first, last): (Vec<usize>, Vec<usize>) =
            std::mem::take(&mut self.parked).into_iter().partition(|number| {
                let path = self.path(*number);
                let of_type = self.scopes.trouble(Scope::DocumentType(path.point, path.document_type));
                !of_type.is_some_and(Trouble::probes_last)
            });
        for number in first.into_iter().chain(last.into_iter().rev()) {
            self.admit(number);
        }
        self.parked.sort_unstable();
        for point in 0..2 {
            self.lanes[usize::from(point)].wake(self.now);
            while self.begun(point) < self.slots {
                let lanes = &self.lanes;
                let offer = |point: PointNumber| Offer {
                    endpoint: 0,
                    point,
                    lanes: &lanes[usize::from(point)],
                    slots: self.slots,
                };
                let other = 1 - point;
                let others = (self.begun(other) < self.slots).then(|| offer(other));
                let Some(path) = next(&self.scopes, offer(point), others.into_iter(), self.now) else {
                    break;
                };
                self.lanes[usize::from(point)].take(path.lane).unwrap();
                self.scopes.begun(&path);
                self.post(Self::number(path.lane));
            }
        }
    }

    fn begun(&self, point: PointNumber) -> usize {
        self.out.keys().filter(|(_, number)| self.documents[*number].point == point).count()
    }

    fn post(&mut self, number: usize) {
        let weather = self.weather.filter(|(_, chance)| self.random.u32(0..100) < *chance);
        let says = weather.map_or(self.documents[number].answer(self.now), |(says, _)| says);
        let took = if says == Says::Nothing { TIME_OUT } else { self.random.i64(20..1_000) };
        self.out.insert((self.now + took, number), says);
        self.posts += 1;
    }

    /// The process ends and another one begins: what the journal holds is all that it knows.
    fn restart(&mut self) {
        let stored: Vec<(Scope, Trouble)> = self
            .scopes
            .troubles()
            .map(|(scope, trouble)| {
                let Trouble { cause, refusals, not_before, since, .. } = *trouble;
                let mut kept = Trouble::new(cause, refusals, not_before, since, String::new());
                (kept.lone, kept.in_doubt_tries) = (trouble.lone, trouble.in_doubt_tries);
                (kept.document_type, kept.passed, kept.alone) =
                    (trouble.document_type, trouble.passed, trouble.alone);
                (scope, kept)
            })
            .collect();
        (self.scopes, self.lanes) = (Scopes::default(), Default::default());
        self.out.clear();
        for number in 0..self.documents.len() {
            let document = &self.documents[number];
            let is_here = document.arrives <= self.now && !self.to_come.contains(&number);
            if is_here && document.ended.is_none() && !self.parked.contains(&number) {
                self.take_in(number);
            }
        }
        for (scope, trouble) in stored {
            if let Scope::Lane(point, lane) = scope {
                let lanes = &mut self.lanes[usize::from(point)];
                lanes.wait_until(lane, Some(trouble.not_before));
                lanes.refused(lane, trouble.refusals);
            }
            self.scopes.restore(scope, trouble, 0);
        }
    }

    fn is_done(&self) -> bool {
        self.documents.iter().all(|document| document.ended.is_some())
    }

    /// Lets time pass from one event to the next.
    fn run(&mut self, until: i64, mut restarts: VecDeque<i64>) {
        while !self.is_done() {
            self.advance();
            let times = [
                self.to_come.front().map(|number| self.documents[*number].arrives),
                self.out.first_key_value().map(|((time, _), _)| *time),
                self.lanes.iter().filter_map(Lanes::next_wake).min(),
                self.scopes.next_due(self.now),
                restarts.front().copied(),
            ];
            let Some(next) = times.into_iter().flatten().min() else { panic!("nothing will ever happen") };
            self.now = self.now.max(next);
            if self.now > until {
                return;
            }
            while restarts.front().is_some_and(|at| *at <= self.now) {
                restarts.pop_front();
                self.restart();
            }
            while let Some(number) = self.to_come.front().copied()
                && self.documents[number].arrives <= self.now
            {
                self.to_come.pop_front();
                self.admit(number);
            }
            while let Some(entry) = self.out.first_entry()
                && entry.key().0 <= self.now
            {
                let ((_, number), says) = entry.remove_entry();
                self.answered(number, says);
            }
        }
    }
}

/// Documents that come over half an hour: all at once, or one after the other.
fn documents(span: i64) -> Vec<Document> {
    (0..200).map(|number| Document::new(number, i64::try_from(number).unwrap() * span / 200)).collect()
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![1 => Just(OK), 18 => prop::sample::select(REFUSALS.to_vec())]
}

/// How ION answers one document: in the same way for ever, or in another one now and then.
fn answers() -> impl Strategy<Value = Vec<(i64, Says)>> {
    let changes = prop::collection::vec((0i64..3_600_000, says()), 0..6);
    (prop::sample::select(REFUSALS.to_vec()), changes).prop_map(|(first, mut later)| {
        later.sort_by_key(|(from, _)| *from);
        std::iter::once((0, first)).chain(later).collect()
    })
}

proptest! {
    /// Whatever becomes of up to five documents: each that is accepted whenever it is posted is accepted within a time that
    /// does not depend on them, and fails never; also where the agent is killed meanwhile.
    #[test]
    fn what_is_good_gets_through(
        poisoned in prop::collection::vec((0usize..200, answers()), 0..=5),
        span in prop::sample::select(vec![0, 60_000, 1_800_000, 7_200_000i64]),
        restarts in prop::collection::vec(0i64..7_200_000, 0..4),
        slots in prop::sample::select(vec![1, 2, 4]),
        seed in any::<u64>(),
    ) {
        let mut documents = documents(span);
        for (number, answers) in &poisoned {
            documents[*number].answers.clone_from(answers);
        }
        let mut restarts = restarts;
        restarts.sort_unstable();
        let mut world = World::new(documents, seed);
        world.slots = slots;
        world.run(span + 8_000_000, restarts.into());
        for (number, document) in world.documents.iter().enumerate() {
            if !document.answers.is_empty() {
                continue;
            }
            let Some((at, verdict)) = document.ended else {
                return Err(TestCaseError::fail(format!("document {number} waits for ever")));
            };
            prop_assert_eq!(verdict, Verdict::Accepted);
            let waited = at - document.arrives;
            prop_assert!(waited <= BOUND, "document {} waited {} s", number, waited / 1000);
        }
    }
}

/// Where the documents are that ION never takes.
#[derive(Debug, Clone, Copy)]
enum Where {
    First,
    Last,
    Anywhere,
    /// All of one connection point.
    OfOnePoint,
    /// All of one type.
    OfOneType,
}

proptest! {
    /// However many documents ION refuses for ever, and wherever they are: the good ones get through. Where they come within
    /// a minute (later ones find scopes that had nothing good to try for long) and a quarter of all is refused, within half an
    /// hour; one after the other, as the first in their order, fifty alone would take three and a half.
    #[test]
    fn many_that_are_refused_do_not_stop_the_good_ones(
        bad in 6usize..=150,
        place in prop::sample::select(vec![
            Where::First, Where::Last, Where::Anywhere, Where::OfOnePoint, Where::OfOneType
        ]),
        says in prop::sample::select(REFUSALS.to_vec()),
        span in prop::sample::select(vec![0, 60_000, 1_800_000i64]),
        slots in prop::sample::select(vec![1, 2, 4, 16]),
        seed in any::<u64>(),
    ) {
        let mut documents = documents(span);
        let mut random = fastrand::Rng::with_seed(seed);
        let of_place: Vec<usize> = match place {
            Where::First => (0..bad).collect(),
            Where::Last => (200 - bad..200).collect(),
            Where::Anywhere => random.choose_multiple(0..200, bad),
            Where::OfOnePoint => (0..200).filter(|number| number % 2 == 0).take(bad).collect(),
            Where::OfOneType => (0..200).filter(|number| number % 3 == 0).take(bad).collect(),
        };
        for number in of_place {
            documents[number].answers = vec![(0, says)];
        }
        let mut world = World::new(documents, seed);
        world.slots = slots;
        world.run(span + 8_000_000, VecDeque::new());
        let mut longest = 0;
        for (number, document) in world.documents.iter().enumerate().filter(|(_, it)| it.answers.is_empty()) {
            let Some((at, verdict)) = document.ended else {
                return Err(TestCaseError::fail(format!("document {number} waits for ever")));
            };
            prop_assert_eq!(verdict, Verdict::Accepted);
            longest = longest.max(at - document.arrives);
        }
        prop_assert!(bad > 50 || span > 60_000 || longest <= 1_800_000, "a good document waited {} s", longest / 1000);
    }
}

/// A gateway of three nodes, one of which is logged out: nothing fails, all goes, and nobody is hammered.
#[test]
fn a_third_of_the_answers_is_a_redirect() {
    for seed in 0..20 {
        let mut world = World::new(documents(0), seed);
        world.weather = Some((Says::Status(302), 33));
        world.run(3_600_000, VecDeque::new());
        let accepted =
            world.documents.iter().filter(|it| matches!(it.ended, Some((_, Verdict::Accepted)))).count();
        assert_eq!(accepted, 200, "seed {seed}");
        assert!(world.posts < 500, "seed {seed}: {} posts", world.posts);
    }
}

/// Nobody is hammered while nothing passes, and nothing fails that is not in doubt.
#[test]
fn an_ion_that_is_down_is_asked_now_and_then() {
    for says in [500, 503, 504, 429, 401, 302, 403, 412].map(Says::Status) {
        let mut world = World::new(documents(0), 7);
        world.weather = Some((says, 100));
        world.run(7_200_000, VecDeque::new());
        assert!(world.documents.iter().all(|it| it.ended.is_none()), "{says:?}");

        assert!(world.posts < 150, "{says:?}: {} posts in two hours", world.posts);
        world.weather = None;
        world.run(9_000_000, VecDeque::new());
        assert!(world.is_done(), "{says:?}");
    }
}
