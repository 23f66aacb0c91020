//! The journal against a model of it in memory, on real files: any sequence of changes, an old file, a full file.

mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bodrelay::domain::delivery::{Delivery, Event, State};
use bodrelay::domain::failure::{Failure, FailureCode};
use bodrelay::domain::ids::{IdentityDigest, LaneKey};
use bodrelay::domain::plan::OrderBy;
use bodrelay::journal::{
    Admission, Applied, Applies, Attempt, Change, Journal, JournalError, LoggedState, Note, Parking, Record,
    Step, Tour,
};
use rusqlite::Connection;
use uuid::Uuid;

const NOW: i64 = 1_767_225_600_000;

async fn new_journal(folder: &Path) -> (Journal, i64) {
    let journal = Journal::open(&folder.join("journal.sqlite"), NOW).unwrap().journal;
    let database = journal.meet_database("erp", "fingerprint").await.unwrap();
    let point = journal.meet_point(database.database_id, "CP1").await.unwrap();
    (journal, point.point_id)
}

async fn apply(journal: &Journal, change: Change) -> Result<Applied, JournalError> {
    journal.apply(Arc::new(vec![change])).await.map(|mut commit| commit.applied.remove(0))
}

fn admission(point_id: i64, entry_id: i64, version: u8) -> Admission {
    Admission {
        point_id,
        entry_id,
        message_key: Uuid::now_v7(),
        identity: IdentityDigest([version; 16]),
        message_id: format!("given-{entry_id}"),
        message_id_given: true,
        derived_message_id: format!("derived-{entry_id}-{version}"),
        lane: LaneKey(entry_id % 2),
        document_type: "Sync.ItemMaster".into(),
        priority: 4,
        facts: Arc::default(),
        in_doubt: false,
        late: false,
        failure: None,
        hold_after_failure: false,
        begin: false,
        now: NOW,
    }
}

async fn admit(journal: &Journal, admission: Admission) -> Applied {
    apply(journal, Change::Admit(Box::new(admission))).await.unwrap()
}

fn admitted(applied: Applied) -> Record {
    match applied {
        Applied::Admitted { record, .. } => *record,
        other => panic!("not admitted: {other:?}"),
    }
}

/// What memory may take a message for, right or wrong, in turn: no belief may change what an event does.
fn believed() -> Option<Delivery> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let pending = Delivery::new(false);
    let in_flight = Delivery { state: State::InFlight, attempts: 1, ..pending };
    let failed = Delivery { state: State::Failed, settled: true, ..in_flight };
    let beliefs = [None, Some(pending), Some(in_flight), Some(failed), Some(Delivery::new(true))];
    beliefs[TURN.fetch_add(1, Ordering::Relaxed) % beliefs.len()]
}

async fn step(journal: &Journal, message: i64, event: Event, hold: bool) -> Result<Applied, JournalError> {
    let note = Note { now: NOW, hold, ..Note::default() };
    apply(journal, Change::Step(Box::new(Step { message, event, note, believed: believed() }))).await
}

async fn settle(journal: &Journal, message: i64) {
    apply(journal, Change::Settled { messages: vec![message], now: NOW }).await.unwrap();
}

async fn post(journal: &Journal, message: i64, outcome: Event) {
    step(journal, message, Event::Begin, false).await.unwrap();
    step(journal, message, outcome, false).await.unwrap();
}

fn bad() -> Failure {
    Failure::new(FailureCode::NotXml, "not XML")
}

/// What the journal should hold of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Modelled {
    entry_id: i64,
    version: u8,
    message_id: String,
    delivery: Delivery,
    held_by: Option<i64>,
    holds: bool,
    late: bool,
}

#[derive(Default)]
struct Model {
    messages: BTreeMap<i64, Modelled>,
    delivered: BTreeSet<(i64, u8)>,
    /// Entries whose given id ION has.
    taken: BTreeSet<i64>,
    tails: BTreeMap<i64, i64>,
    parked: BTreeMap<i64, bool>,
}

impl Model {
    fn holder(&self, entry_id: i64) -> Option<i64> {
        let in_lane = |it: &&(i64, &Modelled)| it.1.entry_id % 2 == entry_id % 2;
        let holders = self.messages.iter().map(|(number, it)| (*number, it));
        holders
            .filter(|it| in_lane(&it) && it.1.holds && it.1.entry_id < entry_id)
            .max_by_key(|it| it.1.entry_id)
            .map(|it| it.0)
    }

    /// What admitting must answer, by the table "Identity" of design.md §3.
    fn expected(&self, admission: &Admission) -> &'static str {
        let (entry_id, version) = (admission.entry_id, admission.identity.0[0]);
        if self.delivered.contains(&(entry_id, version)) {
            return "delivered";
        }
        let of_row = || self.messages.values().filter(|it| it.entry_id == entry_id);
        if of_row().any(|it| it.version == version && !it.delivery.settled) {
            return "known";
        }
        if let Some(open) = of_row().rfind(|it| !it.delivery.settled) {
            return if open.delivery.state == State::Pending { "known" } else { "later" };
        }
        let behind = self.parked.iter().any(|(id, holds)| *holds && *id < entry_id && id % 2 == entry_id % 2);
        if behind { "behind" } else { "admitted" }
    }

    fn step(&mut self, number: i64, event: Event, hold: bool) -> bool {
        let message = self.messages.get_mut(&number).unwrap();
        let Ok(delivery) = message.delivery.step(event) else { return false };
        message.delivery = delivery;
        if event == Event::Begin {
            return true;
        }
        let held_before = message.holds;
        message.holds = match event {
            Event::Fail { .. } => hold,
            Event::Accept | Event::Discard | Event::Withdraw | Event::Supersede => false,
            Event::Retry { .. } | Event::Interrupt | Event::Settle | Event::Resubmit | Event::Begin => {
                held_before
            }
        };
        let (holds, entry_id) = (message.holds, message.entry_id);
        // One that comes back waits for what failed while it was out.
        let is_back = matches!(event, Event::Retry { .. } | Event::Interrupt);
        let holder = self.holder(entry_id).filter(|_| is_back);
        self.messages.get_mut(&number).unwrap().held_by = holder;
        if holds && !held_before {
            let is_later = |other: &Modelled| other.entry_id % 2 == entry_id % 2 && other.entry_id > entry_id;
            let waiting: Vec<i64> = self
                .messages
                .iter()
                .filter(|it| is_later(it.1) && it.1.delivery.state == State::Pending)
                .map(|it| *it.0)
                .collect();
            for other in waiting {
                // The nearest: it may not be the one that failed last.
                let holder = self.holder(self.messages[&other].entry_id);
                self.messages.get_mut(&other).unwrap().held_by = holder;
            }
        }
        if held_before && !holds {
            let waiting: Vec<i64> =
                self.messages.iter().filter(|it| it.1.held_by == Some(number)).map(|it| *it.0).collect();
            for other in waiting {
                let holder = self.holder(self.messages[&other].entry_id);
                self.messages.get_mut(&other).unwrap().held_by = holder;
            }
        }
        true
    }

    fn settle(&mut self, number: i64) {
        let message = self.messages[&number].clone();
        if message.delivery.state != State::Accepted {
            self.messages.get_mut(&number).unwrap().delivery.settled = true;
            return;
        }
        self.messages.remove(&number);
        self.delivered.insert((message.entry_id, message.version));
        if message.message_id.starts_with("given") {
            self.taken.insert(message.entry_id);
        }
        let tail = self.tails.entry(message.entry_id % 2).or_default();
        *tail = (*tail).max(message.entry_id);
    }

    /// A corrected row keeps the header's id only if every earlier try was definitely rejected.
    fn message_id(&self, admission: &Admission) -> String {
        let (entry_id, version) = (admission.entry_id, admission.identity.0[0]);
        let in_doubt = self.messages.values().any(|it| {
            it.entry_id == entry_id
                && it.version != version
                && it.delivery.in_doubt
                && it.message_id == admission.message_id
        });
        let lost = in_doubt || self.taken.contains(&entry_id);
        if lost { admission.derived_message_id.clone() } else { admission.message_id.clone() }
    }

    /// Takes over an admission that the journal carried out.
    fn admit(&mut self, admission: &Admission, record: &Record) {
        let (entry_id, version) = (admission.entry_id, admission.identity.0[0]);
        self.parked.remove(&entry_id);
        let others: Vec<i64> = self
            .messages
            .iter()
            .filter(|it| it.1.entry_id == entry_id && it.1.version != version)
            .filter(|it| it.1.delivery.state == State::Failed)
            .map(|it| *it.0)
            .collect();
        let message_id = self.message_id(admission);
        // What waited for one of them comes into memory first.
        let released = others.iter().any(|other| self.messages[other].holds);
        for other in others {
            assert!(self.step(other, Event::Supersede, false));
        }
        let holder = self.holder(entry_id);
        let late = self.tails.get(&(entry_id % 2)).is_some_and(|tail| *tail > entry_id);
        if let Some(same) = self.messages.get_mut(&record.message) {
            assert!(same.delivery.settled, "an open message was admitted twice");
            same.delivery = same.delivery.step(Event::Resubmit).unwrap();
            (same.held_by, same.late) = (holder, late);
        } else {
            let new = Modelled {
                entry_id,
                version,
                message_id,
                delivery: Delivery::new(admission.in_doubt),
                held_by: holder,
                holds: false,
                late,
            };
            self.messages.insert(record.message, new);
        }
        if admission.failure.is_some() {
            assert!(self.step(record.message, Event::Fail { in_doubt: false }, admission.hold_after_failure));
        } else if admission.begin && !released && holder.is_none() {
            assert!(self.step(record.message, Event::Begin, false));
        }
    }

    async fn compare(&self, journal: &Journal, point_id: i64) {
        let records = journal.records((1..=500).collect()).await.unwrap();
        let found: BTreeMap<i64, Modelled> = records
            .into_iter()
            .map(|record| {
                let modelled = Modelled {
                    entry_id: record.entry_id,
                    version: record.identity.0[0],
                    message_id: record.message_id,
                    delivery: record.delivery,
                    held_by: record.held_by,
                    holds: record.holds,
                    late: record.late,
                };
                (record.message, modelled)
            })
            .collect();
        assert_eq!(found, self.messages);
        let pending: Vec<i64> =
            journal.pending(point_id, i64::MIN, 1000).await.unwrap().iter().map(|it| it.message).collect();
        assert!(pending.iter().all(|number| {
            let it = &self.messages[number];
            it.delivery.state == State::Pending && it.held_by.is_none()
        }));
        let runnable =
            self.messages.values().filter(|it| it.delivery.state == State::Pending && it.held_by.is_none());
        assert_eq!(pending.len(), runnable.count());
        self.compare_parked(&Connection::open(journal.path()).unwrap());
    }

    /// Whoever waits behind a parked row has one that will let it go.
    fn compare_parked(&self, journal: &Connection) {
        let mut statement = journal.prepare("SELECT entry_id, lane, holds, reason FROM parked").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        let rows: Vec<(i64, i64, bool, String)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(
            rows.iter().map(|(id, _, holds, _)| (*id, *holds)).collect::<BTreeMap<_, _>>(),
            self.parked
        );
        for (behind, lane, ..) in rows.iter().filter(|(.., reason)| reason == "behind") {
            let waits_for = |(id, of, holds, reason): &&(i64, i64, bool, String)| {
                id < behind && of == lane && *holds && reason != "behind"
            };
            assert!(rows.iter().find(waits_for).is_some(), "{behind} waits for nobody: {rows:?}");
        }
    }
}

#[tokio::test]
async fn any_sequence_of_changes_leaves_what_the_model_says() {
    let seed = site::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let (journal, point_id) = new_journal(folder.path()).await;
        let mut model = Model::default();
        let mut history = Vec::new();
        for _ in 0..120 {
            one_change(&journal, point_id, &mut model, &mut random, &mut history).await;
            model.compare(&journal, point_id).await;
        }
    }
}

async fn one_change(
    journal: &Journal,
    point_id: i64,
    model: &mut Model,
    random: &mut fastrand::Rng,
    history: &mut Vec<String>,
) {
    let numbers: Vec<i64> = model.messages.keys().copied().collect();
    match random.u8(0..10) {
        0..4 => {
            let mut admission = admission(point_id, random.i64(1..7), random.u8(0..3));
            admission.begin = random.bool();
            admission.failure = (random.u8(0..4) == 0).then(bad);
            admission.hold_after_failure = random.bool();
            history.push(format!("{admission:?}"));
            let expected = model.expected(&admission);
            let message_id = model.message_id(&admission);
            let applied = admit(journal, admission.clone()).await;
            let found = match &applied {
                Applied::Admitted { .. } => "admitted",
                Applied::Known => "known",
                Applied::Delivered => "delivered",
                Applied::Later => "later",
                Applied::Behind => "behind",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{history:#?}");
            match &applied {
                Applied::Admitted { record, .. } => {
                    let is_new = !model.messages.contains_key(&record.message);
                    assert!(!is_new || record.message_id == message_id, "{} {message_id}", record.message_id);
                    model.admit(&admission, record);
                }
                Applied::Behind => drop(model.parked.insert(admission.entry_id, true)),
                // A message of the row is there: nobody waits for the row.
                _ => drop(model.parked.remove(&admission.entry_id)),
            }
        }
        4..7 if !numbers.is_empty() => {
            let number = *random.choice(&numbers).unwrap();
            let events = [
                Event::Begin,
                Event::Accept,
                Event::Retry { in_doubt: random.bool() },
                Event::Interrupt,
                Event::Fail { in_doubt: random.bool() },
                Event::Discard,
                Event::Withdraw,
                Event::Supersede,
            ];
            let (event, hold) = (*random.choice(&events).unwrap(), random.bool());
            if event == Event::Begin && model.messages[&number].held_by.is_some() {
                // Memory may not know yet that it is.
                let applied = step(journal, number, event, hold).await;
                assert!(matches!(applied, Ok(Applied::Held)), "{applied:?} {history:#?}");
                return;
            }
            history.push(format!("{number} {event:?} hold {hold}"));
            let before = model.messages[&number].delivery.state;
            let is_decision = matches!(event, Event::Discard | Event::Withdraw | Event::Supersede);
            if is_decision && before.is_final() && before != State::Failed {
                let applied = step(journal, number, event, hold).await;
                assert!(matches!(applied, Ok(Applied::Known)), "{applied:?} {history:#?}");
                return;
            }
            let result = step(journal, number, event, hold).await;
            let is_legal = model.step(number, event, hold);
            assert_eq!(result.is_ok(), is_legal, "{result:?} {history:#?}");
            assert!(is_legal || matches!(result, Err(JournalError::Illegal(_))));
        }
        7..9 => {
            let done = numbers.iter().filter(|number| {
                let delivery = model.messages[number].delivery;
                delivery.state.is_final() && !delivery.settled
            });
            let done: Vec<i64> = done.copied().collect();
            if let Some(number) = random.choice(&done).copied() {
                history.push(format!("{number} settled"));
                settle(journal, number).await;
                model.settle(number);
            }
        }
        _ => {
            let (entry_id, holds) = (random.i64(1..7), random.bool());
            if random.u8(0..3) == 0 {
                history.push(format!("unparks {entry_id}"));
                apply(journal, Change::Unpark { point_id, entry_ids: vec![entry_id] }).await.unwrap();
                model.parked.remove(&entry_id);
            } else if random.bool() {
                let parking = Parking {
                    point_id,
                    entry_id,
                    reason: "headers",
                    document_type: "Sync.ItemMaster".into(),
                    lane: LaneKey(entry_id % 2),
                    holds,
                    header_count: 0,
                    now: NOW,
                };
                history.push(format!("parks {entry_id} {holds}"));
                apply(journal, Change::Park(parking)).await.unwrap();
                model.parked.insert(entry_id, holds);
            } else {
                // They hold their lanes until they are judged again.
                history.push("wakes".into());
                let reason = if random.bool() { "headers" } else { "behind" };
                let change = Change::Wake { point_id, reason, document_type: None };
                apply(journal, change).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn accepted_is_never_posted_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let record = admitted(admit(&journal, admission(point_id, 1, 1)).await);
    assert!(matches!(admit(&journal, admission(point_id, 1, 1)).await, Applied::Known));
    post(&journal, record.message, Event::Accept).await;
    assert!(matches!(
        step(&journal, record.message, Event::Begin, false).await,
        Err(JournalError::Illegal(_))
    ));
    assert!(matches!(admit(&journal, admission(point_id, 1, 1)).await, Applied::Known));
    settle(&journal, record.message).await;
    assert!(matches!(admit(&journal, admission(point_id, 1, 1)).await, Applied::Delivered));
    assert!(matches!(step(&journal, record.message, Event::Begin, false).await, Ok(Applied::Known)));
}

/// Retention looks at a page of what is kept in each piece, in tours, and leaves what is young.
#[tokio::test]
async fn retention_goes_over_lanes_and_ended_messages_in_tours() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let file = Connection::open(journal.path()).unwrap();
    // 2,500 of each, every other one old; lanes on both sides of 0, as hashes are.
    file.execute_batch(&format!(
        "CREATE TEMP TABLE n AS WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2500) \
         SELECT n, CASE n % 2 WHEN 0 THEN 10 ELSE 1000 END AS at FROM r; \
         INSERT INTO lane_tail (point_id, lane, accepted_entry_id, changed_at) \
         SELECT {point_id}, (n - 1250) * 7, n, at FROM n; \
         INSERT INTO message (message, message_key, point_id, entry_id, identity, message_id, lane, document_type, \
                              priority, state, settled, seen_at, finished_at, facts) \
         SELECT n, zeroblob(16), {point_id}, n, zeroblob(16), n, n, 'Sync.Item', 4, 5, 1, at, at, '{{}}' FROM n"
    ))
    .unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        file.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mut tour = Tour::default();
    for left in [2_000, 1_500, 1_250, 1_250] {
        tour = journal.forget(point_id, Vec::new(), 500, 500, tour).await.unwrap();
        assert_eq!((count("lane_tail"), count("message")), (left, left));
    }
    // The second tour is past the first 1,000 of what is left: what has become old there goes with the third.
    for left in [1_000, 0] {
        tour = journal.forget(point_id, Vec::new(), 2_000, 2_000, tour).await.unwrap();
        assert_eq!((count("lane_tail"), count("message")), (left, left));
    }
}

#[tokio::test]
async fn what_is_open_or_parked_is_not_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let park = |entry_id| Parking {
        point_id,
        entry_id,
        reason: "unlisted",
        document_type: String::new(),
        lane: LaneKey(0),
        holds: false,
        header_count: 0,
        now: NOW,
    };
    // Of five rows: one parked, one pending, one accepted and settled, one failed and settled, one unknown.
    for first in (10..5_010).step_by(5) {
        apply(&journal, Change::Park(park(first))).await.unwrap();
        let messages: Vec<Change> = (1..4)
            .map(|next| Admission {
                failure: (next == 3).then(bad),
                begin: next == 2,
                ..admission(point_id, first + next, 1)
            })
            .map(|admission| Change::Admit(Box::new(admission)))
            .collect();
        let mut changes = Vec::new();
        for (next, applied) in
            journal.apply(Arc::new(messages)).await.unwrap().applied.into_iter().enumerate()
        {
            let message = admitted(applied).message;
            if next == 1 {
                let note = Note { now: NOW, ..Note::default() };
                let accept = Step { message, event: Event::Accept, note, believed: None };
                changes.push(Change::Step(Box::new(accept)));
            }
            if next > 0 {
                changes.push(Change::Settled { messages: vec![message], now: NOW });
            }
        }
        journal.apply(Arc::new(changes)).await.unwrap();
    }
    let left = journal.to_judge(point_id, (10..5_010).collect()).await.unwrap();
    assert_eq!(left, (10..5_010).filter(|id| id % 5 > 1).collect::<Vec<i64>>());
    let left = journal.to_judge(point_id, vec![1, 11, 13, 4_000, 9_999]).await.unwrap();
    assert_eq!(left, [1, 13, 9_999], "ids may have gaps");
    assert_eq!(journal.to_judge(point_id, Vec::new()).await.unwrap(), Vec::<i64>::new());
}

#[tokio::test]
async fn failures_of_one_list_hold_each_its_lane() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    // Odd and even rows are two lanes.
    let mut messages = Vec::new();
    for entry_id in 1..=8 {
        messages.push(admitted(admit(&journal, admission(point_id, entry_id, 1)).await).message);
    }
    let change = |message: i64, event: Event, hold: bool| {
        let note = Note { now: NOW, hold, failure: hold.then(bad), ..Note::default() };
        Change::Step(Box::new(Step {
            message: messages[usize::try_from(message - 1).unwrap()],
            event,
            note,
            believed: None,
        }))
    };
    let fail = Event::Fail { in_doubt: false };
    let held = || -> Vec<(i64, i64)> {
        let file = Connection::open(journal.path()).unwrap();
        let mut statement = file
            .prepare(
                "SELECT m.entry_id, by.entry_id FROM message AS m JOIN message AS by ON by.message = m.held_by \
                 ORDER BY m.entry_id",
            )
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let list = |changes: Vec<Change>| journal.apply(Arc::new(changes));
    // 1 and 4 fail, and 2 and 6 do and are given up in the same breath.
    let begins = [1, 2, 4, 6].map(|message| change(message, Event::Begin, false));
    list(begins.into_iter().collect()).await.unwrap();
    list(vec![
        change(4, fail, true),
        change(1, fail, true),
        change(2, fail, true),
        change(2, Event::Discard, false),
        change(6, fail, true),
        change(6, Event::Discard, false),
    ])
    .await
    .unwrap();
    assert_eq!(held(), [(3, 1), (5, 1), (7, 1), (8, 4)]);
    // A nearer failure takes over what is above it, and leaves it to the one below when it is over.
    list(vec![change(3, Event::Discard, false), change(5, fail, true)]).await.unwrap();
    assert_eq!(held(), [(7, 5), (8, 4)]);
    list(vec![change(5, Event::Discard, false)]).await.unwrap();
    assert_eq!(held(), [(7, 1), (8, 4)]);
    list(vec![change(1, Event::Discard, false), change(4, Event::Discard, false)]).await.unwrap();
    assert_eq!(held(), []);
}

#[tokio::test]
async fn a_type_that_holds_no_more_leaves_its_lanes_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let mut last = None;
    for (entry_id, document_type) in
        [(2, "Sync.ItemMaster"), (4, "Process.ItemMaster"), (6, "Sync.ItemMaster")]
    {
        let failure = (entry_id < 6).then(bad);
        let admission = Admission {
            document_type: document_type.into(),
            failure,
            hold_after_failure: true,
            ..admission(point_id, entry_id, 1)
        };
        last = Some(admitted(admit(&journal, admission).await).message);
    }
    let held_by = async || {
        let held = journal.records(vec![last.unwrap()]).await.unwrap().remove(0).held_by;
        let holder = held?;
        Some(journal.records(vec![holder]).await.unwrap().remove(0).entry_id)
    };
    assert_eq!(held_by().await, Some(4));
    let unhold = async |document_type: &str| {
        apply(&journal, Change::Unhold { point_id, document_type: document_type.into() }).await.unwrap();
    };
    unhold("Process.ItemMaster").await;
    assert_eq!(held_by().await, Some(2), "a lane is of all verbs: the other failure still holds it");
    unhold("Sync.ItemMaster").await;
    assert_eq!(held_by().await, None);
}

#[tokio::test]
async fn what_happens_while_the_log_is_written_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let message = admitted(admit(&journal, admission(point_id, 3, 1)).await).message;
    let refused = async || {
        step(&journal, message, Event::Begin, false).await.unwrap();
        let attempt = Attempt {
            started_at: NOW,
            duration_ms: 1,
            http_status: Some(503),
            answer_class: "again",
            in_doubt: false,
            failure_code: None,
            answer_text: None,
        };
        let note = Note { now: NOW, attempt: Some(attempt), ..Note::default() };
        let event = Event::Retry { in_doubt: false };
        let step = Step { message, event, note, believed: None };
        apply(&journal, Change::Step(Box::new(step))).await.unwrap();
    };
    // What a writer of the log reads, writes, and says afterwards.
    let read = async || {
        let record = journal.records(vec![message]).await.unwrap().remove(0);
        let tries = journal.attempts(vec![message]).await.unwrap();
        let state = LoggedState {
            message,
            state: record.delivery.state,
            attempts: record.delivery.attempts,
            held_by: record.held_by,
        };
        (record.logged, state, tries.iter().map(|(_, number, _)| (message, *number)).collect::<Vec<_>>())
    };
    let say = async |(_, state, tries)| {
        apply(&journal, Change::Logged { states: vec![state], tries }).await.unwrap();
    };
    refused().await;
    let earlier = read().await;
    refused().await;
    say(earlier).await;
    let (logged, _, tries) = read().await;
    assert!(!logged, "it was tried again");
    assert_eq!(tries, [(message, 2)]);

    let earlier = read().await;
    let below = Admission { failure: Some(bad()), hold_after_failure: true, ..admission(point_id, 1, 1) };
    admitted(admit(&journal, below).await);
    say(earlier).await;
    assert!(!read().await.0, "it is held now");
    let present = read().await;
    say(present).await;
    let (logged, _, tries) = read().await;
    assert!(logged && tries.is_empty());
}

#[tokio::test]
async fn an_id_of_another_row_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let first = admitted(admit(&journal, admission(point_id, 1, 1)).await);
    for settled in [false, true] {
        if settled {
            post(&journal, first.message, Event::Accept).await;
            settle(&journal, first.message).await;
        }
        let mut second = admission(point_id, 3 + i64::from(settled), 1);
        second.message_id = "given-1".into();
        let record = admitted(admit(&journal, second).await);
        assert_eq!(record.delivery.state, State::Failed, "settled: {settled}");
        assert_eq!(record.failure.unwrap().code, "MESSAGE_ID_REUSED");
    }
}

#[tokio::test]
async fn a_list_is_committed_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let record = admitted(admit(&journal, admission(point_id, 1, 1)).await);
    let accept =
        Step { message: record.message, event: Event::Accept, note: Note::default(), believed: None };
    let changes = vec![
        Change::Admit(Box::new(admission(point_id, 2, 1))),
        Change::Step(Box::new(accept)), // illegal: it was not begun
    ];
    assert!(matches!(journal.apply(Arc::new(changes)).await, Err(JournalError::Illegal(_))));
    assert!(matches!(admit(&journal, admission(point_id, 2, 1)).await, Applied::Admitted { .. }));
}

/// An order is written where none applied, and another one only when nothing of the noun is open.
#[tokio::test]
async fn an_order_changes_when_nothing_of_the_noun_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, point_id) = new_journal(folder.path()).await;
    let order = async |order_by| {
        let applies = Applies { order_by, from: 5 };
        let change = Change::OrderBy { point_id, noun: "ItemMaster".into(), applies };
        matches!(apply(&journal, change).await.unwrap(), Applied::Done)
    };
    let open = admitted(admit(&journal, admission(point_id, 1, 1)).await).message;
    assert!(order(OrderBy::Document).await, "none applied");
    assert!(!order(OrderBy::None).await, "a message is open");
    post(&journal, open, Event::Accept).await;
    assert!(!order(OrderBy::None).await, "it is not settled");
    settle(&journal, open).await;
    assert!(order(OrderBy::None).await, "it is");
    let failed = admitted(admit(&journal, admission(point_id, 2, 1)).await).message;
    assert!(matches!(step(&journal, failed, Event::Begin, false).await, Ok(Applied::Stepped { .. })));
    assert!(matches!(
        step(&journal, failed, Event::Fail { in_doubt: false }, true).await,
        Ok(Applied::Stepped { .. })
    ));
    settle(&journal, failed).await;
    assert!(!order(OrderBy::Document).await, "later ones wait for what failed");
    let unhold = Change::Unhold { point_id, document_type: "Sync.ItemMaster".into() };
    apply(&journal, unhold).await.unwrap();
    assert!(order(OrderBy::Document).await, "none waits for it any more");
    let parking = |holds| {
        Change::Park(Parking {
            point_id,
            entry_id: 3,
            reason: "suspended",
            document_type: "Process.ItemMaster".into(),
            lane: LaneKey(7),
            holds,
            header_count: 0,
            now: NOW,
        })
    };
    apply(&journal, parking(true)).await.unwrap();
    assert!(!order(OrderBy::None).await, "a parked row of another verb keeps later ones");
    apply(&journal, parking(false)).await.unwrap();
    assert!(order(OrderBy::None).await, "that row keeps none");
    let overtaken = async |entry_id| {
        journal.is_overtaken(point_id, "Process.ItemMaster", LaneKey(8), entry_id, NOW).await.unwrap()
    };
    assert_eq!((overtaken(4).await, overtaken(5).await), (true, false), "of rows before, nobody can tell");
    assert_eq!(
        journal.orders(point_id).await.unwrap(),
        [("ItemMaster".into(), Applies { order_by: OrderBy::None, from: 5 })].into()
    );
}

/// What made each later shape out of the one before. They never change once they are out; a new one is added here.
const LATER_SHAPES: [&str; 11] = [
    include_str!("../sql/journal/002_commands.sql"),
    include_str!("../sql/journal/003_last_run.sql"),
    include_str!("../sql/journal/004_purge.sql"),
    include_str!("../sql/journal/005_findings.sql"),
    include_str!("../sql/journal/006_received.sql"),
    include_str!("../sql/journal/007_open.sql"),
    include_str!("../sql/journal/008_order.sql"),
    include_str!("../sql/journal/009_hosts.sql"),
    include_str!("../sql/journal/010_alone.sql"),
    include_str!("../sql/journal/011_lives.sql"),
    include_str!("../sql/journal/012_place.sql"),
];

/// `fixtures/journal/v1.sql` says in its head what is in it; the journal of a later shape is that one as its agents made it.
#[test]
fn a_journal_of_each_shape_is_opened_and_its_work_finished() {
    assert_eq!(i64::try_from(LATER_SHAPES.len()).unwrap() + 1, bodrelay::journal::VERSION);
    for later in 0..=LATER_SHAPES.len() {
        old_work_is_finished(&LATER_SHAPES[..later]);
    }
}

fn old_work_is_finished(later: &[&str]) {
    let site = site::Site::new();
    // A first life makes the host's row; the old journal then takes its place.
    assert_eq!(site.once(), 0);
    let fingerprint = site.text("SELECT database_fingerprint FROM bodrelay_host").unwrap();
    let epoch = site.number("SELECT epoch FROM bodrelay_host");
    for entry_id in 1..=8 {
        site.insert(&site::Entry::new(
            &format!("ITEM-{}", if entry_id == 6 { 5 } else { entry_id }),
            entry_id,
        ));
    }
    site.sql(
        "UPDATE bodrelay_connection_point SET after_failure = 'hold'; \
         UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID = 1; \
         UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID IN (5, 8)",
    );
    std::fs::remove_dir_all(site.path("state")).unwrap();
    std::fs::create_dir(site.path("state")).unwrap();
    let old = include_str!("../fixtures/journal/v1.sql")
        .replace("{{fingerprint}}", &fingerprint)
        .replace("{{epoch}}", &epoch.to_string());
    site.journal().execute_batch(&old).unwrap();
    later.iter().for_each(|script| site.journal().execute_batch(script).unwrap());
    let shape = format!("UPDATE journal_version SET version = {}", later.len() + 1);
    site.journal().execute_batch(&shape).unwrap();
    site.sql(
        "UPDATE bodrelay_host SET journal_id = '0190a5c0-0000-7000-8000-000000000001'; \
         UPDATE bodrelay_status SET owner_journal_id = '0190a5c0-0000-7000-8000-000000000001'",
    );
    let mut agent = site.start();
    agent.until("the rest", || site.waiting() == 1 && (2..=4).all(|id| site.flag(id) == Some(1)));
    agent.until("the failure's flag", || site.flag(7) == Some(9));
    agent.term();
    let flags: Vec<_> = (1..=8).map(|id| site.flag(id)).collect();
    assert_eq!(flags, [1, 1, 1, 1, 9, 0, 9, 9].map(Some));
    let mut came: Vec<String> = site
        .simulator
        .ledger()
        .arrivals()
        .iter()
        .map(|arrival| arrival.document_id.as_deref().unwrap().to_owned())
        .collect();
    came.sort();
    assert_eq!(came, ["ITEM-2", "ITEM-3"], "accepted stays accepted, held stays held");
    let left = |table: &str| -> i64 {
        site.journal().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        (left("parked"), left("scope"), left("command")),
        (0, 0, 1),
        "the command's row was never there"
    );
    assert!(site.log_of(3)[0].in_doubt, "it was in flight");
    assert_eq!(site.log_of(7)[0].failure_code.as_deref(), Some("HTTP_400"));
    assert!(!site.has_finding("JOURNAL_LOST") && !site.has_finding("JOURNAL_RESTORED"));
}

#[test]
fn a_newer_journal_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    drop(Journal::open(&path, NOW).unwrap());
    Connection::open(&path).unwrap().execute_batch("UPDATE journal_version SET version = 99").unwrap();
    let error = Journal::open(&path, NOW).err().unwrap().to_string();
    assert!(error.contains("newer bodrelay"), "{error}");
    let version: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT version FROM journal_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}
