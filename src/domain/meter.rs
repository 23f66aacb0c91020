//! Counters of the outgoing path: plain numbers that their one owner adds to, and that a look copies.

use std::sync::Arc;
use std::time::Duration;

use super::delivery::State;
use super::lanes::TypeNumber;
use super::outcome::Answer;
use super::plan::AnswerClass;

/// Upper bounds of the buckets of a duration, ms.
pub const BOUNDS_MS: [i64; 14] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000];
/// Document types of a connection point that are counted apart; those beyond share one count.
pub const TYPES_MAX: usize = 50;
/// Kinds of answers of a connection point that are counted apart.
const ANSWERS_MAX: usize = 40;

/// How a message can end, in the order of `Ends`.
pub const OUTCOMES: [&str; 5] = ["accepted", "failed", "discarded", "withdrawn", "superseded"];

/// Ends of the messages of one document type, by outcome.
pub type Ends = [u64; OUTCOMES.len()];

/// How long something took, counted by size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many took at most `BOUNDS_MS[n]` and more than the bound before; the last: longer than all.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    pub sum_ms: u64,
}

impl Durations {
    pub fn add(&mut self, ms: i64) {
        let place = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        self.counts[place] += 1;
        self.sum_ms += u64::try_from(ms).unwrap_or(0);
    }
}

/// A kind of answer: an HTTP status, or a word where there was none, and its class.
pub type Tried = (Status, AnswerClass);

/// What there was instead of a status, or the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Http(u16),
    Word(&'static str),
}

impl Status {
    pub fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Http { status: 200..=299, is_html: true, .. } => Self::Word("not_an_ims_answer"),
            Answer::Http { status, .. } => Self::Http(*status),
            Answer::NotConnected { .. } => Self::Word("not_connected"),
            Answer::NoToken { .. } => Self::Word("no_token"),
            Answer::Unanswered { .. } => Self::Word("unanswered"),
        }
    }
}

/// What happened at one connection point since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PointMeter {
    /// By number of the document type; the last place is for all beyond `TYPES_MAX`.
    pub ended: Vec<Ends>,
    /// In the order of their first coming.
    pub tried: Vec<(Tried, u64)>,
    /// From the request to its whole answer, every try.
    pub posts: Durations,
    /// Messages whose row and log row were written.
    pub settled: u64,
    /// Transactions that wrote them, and those that failed.
    pub settles: u64,
    pub settles_failed: u64,
}

impl PointMeter {
    /// A message of a type has ended so; states that are no end are not counted.
    pub fn ended(&mut self, document_type: TypeNumber, state: State) {
        let outcome = match state {
            State::Pending | State::InFlight => return,
            State::Accepted => 0,
            State::Failed => 1,
            State::Discarded => 2,
            State::Withdrawn => 3,
            State::Superseded => 4,
        };
        let place = usize::from(document_type).min(TYPES_MAX);
        if self.ended.len() <= place {
            self.ended.resize(place + 1, Ends::default());
        }
        self.ended[place][outcome] += 1;
    }

    /// A post was answered, or not.
    pub fn tried(&mut self, answer: &Answer, class: AnswerClass, duration_ms: i64) {
        self.posts.add(duration_ms);
        let mut kind = (Status::of(answer), class);
        if self.tried.len() >= ANSWERS_MAX && !self.tried.iter().any(|(known, _)| *known == kind) {
            kind = (Status::Word("other"), class);
        }
        match self.tried.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, times)) => *times += 1,
            None => self.tried.push((kind, 1)),
        }
    }
}

/// What happened at the journal since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalMeter {
    pub commits: u64,
    pub commits_failed: u64,
    pub changes: u64,
}

/// A connection point as a look finds it.
#[derive(Debug, Clone)]
pub struct PointReading {
    /// The number of its database.
    pub site: usize,
    pub connection_point: String,
    /// As `bodrelay_status.state` says it.
    pub state: &'static str,
    pub reason: Option<String>,
    pub in_flight: i64,
    /// Names by number of the document type.
    pub types: Vec<Arc<str>>,
    pub meter: PointMeter,
}

/// An `[[ion]]` as a look finds it.
#[derive(Debug, Clone)]
pub struct EndpointReading {
    pub name: String,
    /// Since its token was issued; `None` while there is none.
    pub token_age: Option<Duration>,
    /// Why nothing is posted to it now.
    pub waits: Option<String>,
}

/// What of a connection point is not done, as the control round last saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    pub held: i64,
    pub failed: i64,
    pub in_doubt: i64,
    /// Rows at 0; `None`: not counted yet.
    pub waiting: Option<Waiting>,
}

/// Rows at 0, counted at a time; times in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub rows: i64,
    pub oldest_at: Option<i64>,
    pub counted_at: i64,
}

/// What became of a document that ION sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceivedOutcome {
    Stored,
    /// The same full message id came before.
    Repeat,
    /// A rule says that it is there already.
    Duplicate,
    /// Its variation is lower than what is there.
    Older,
    /// ION was told no.
    Refused,
}

impl ReceivedOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Repeat => "repeat",
            Self::Duplicate => "duplicate",
            Self::Older => "older",
            Self::Refused => "refused",
        }
    }
}

/// What the receiver has done since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceivedMeter {
    /// By database, connection point, document name (`other` beyond `TYPES_MAX` of a connection point) and outcome.
    pub ended: std::collections::BTreeMap<(usize, String, String, ReceivedOutcome), u64>,
    /// Requests by the status of their answer.
    pub answers: std::collections::BTreeMap<u16, u64>,
    /// From the request's headers to its answer.
    pub requests: Durations,
    pub commits: u64,
    pub commits_failed: u64,
    /// Documents of the commits that did not fail.
    pub committed: u64,
}

impl ReceivedMeter {
    /// A document has got its answer.
    pub fn ended(&mut self, site: usize, point: &str, document_name: &str, outcome: ReceivedOutcome) {
        let mut key = (site, point.to_owned(), document_name.to_owned(), outcome);
        if !self.ended.contains_key(&key) {
            // All connection points together are as many as the tables say; names come from outside.
            let known = self.ended.keys().filter(|(at, name, ..)| *at == site && name == point).count();
            if known >= TYPES_MAX {
                "other".clone_into(&mut key.2);
            }
        }
        *self.ended.entry(key).or_default() += 1;
    }

    /// A request was answered.
    pub fn answered(&mut self, status: u16, milliseconds: i64) {
        *self.answers.entry(status).or_default() += 1;
        self.requests.add(milliseconds);
    }

    /// A transaction has ended.
    pub fn committed(&mut self, documents: usize, is_ok: bool) {
        if is_ok {
            self.commits += 1;
            self.committed += u64::try_from(documents).unwrap_or(u64::MAX);
        } else {
            self.commits_failed += 1;
        }
    }
}

/// The receiver as a look finds it.
#[derive(Debug, Clone, Default)]
pub struct ReceivedReading {
    pub meter: ReceivedMeter,
    /// Documents that wait to be stored, by name of the database.
    pub waiting: Vec<(String, usize)>,
    pub connections: usize,
    /// Answers to wrong credentials that wait.
    pub slowed: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        Answer::Http { status, text: String::new(), is_html: false, retry_after: None }
    }

    #[test]
    fn durations_fall_into_the_bucket_of_their_bound() {
        let mut durations = Durations::default();
        for ms in [0, 5, 6, 120_000, 120_001, i64::MAX / 4] {
            durations.add(ms);
        }
        assert_eq!((durations.counts[0], durations.counts[1]), (2, 1));
        assert_eq!((durations.counts[13], durations.counts[14]), (1, 2));
        assert_eq!(durations.counts.iter().sum::<u64>(), 6);
    }

    #[test]
    fn names_from_outside_are_bounded_too() {
        let mut meter = ReceivedMeter::default();
        for number in 0..1_000 {
            meter.ended(0, "a", &format!("Sync.Noun{number}"), ReceivedOutcome::Refused);
        }
        meter.ended(1, "a", "Sync.Item", ReceivedOutcome::Stored);
        assert!(meter.ended.len() <= TYPES_MAX + 2);
        assert_eq!(meter.ended.values().sum::<u64>(), 1_001);
    }

    #[test]
    fn labels_are_bounded_and_nothing_is_lost() {
        let mut meter = PointMeter::default();
        for status in 100..999 {
            meter.tried(&answer(status), AnswerClass::Reject, 1);
        }
        assert!(meter.tried.len() <= ANSWERS_MAX + 4);
        assert_eq!(meter.tried.iter().map(|(_, times)| times).sum::<u64>(), 899);
        for number in 0..1_000 {
            meter.ended(number, State::Failed);
        }
        meter.ended(0, State::Pending);
        assert_eq!(meter.ended.len(), TYPES_MAX + 1);
        assert_eq!(meter.ended[TYPES_MAX][1], 1_000 - 50);
        assert_eq!(meter.ended.iter().flatten().sum::<u64>(), 1_000);
    }
}
