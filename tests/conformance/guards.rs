//! The guards of a control round on a real database and a real journal, with a clock that the test moves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bodrelay::clock::Clock;
use bodrelay::database::Selection;
use bodrelay::domain::notice::{Notice, Severity};
use bodrelay::journal::{Journal, Received};
use bodrelay::operator::{Desk, Heard, Identity, InboundReport, PointReport, Receiving, Said};
use chrono::{DateTime, TimeDelta, Utc};

use super::control::CP1;
use super::{Fixture, at};

/// Clocks that stand until they are moved, and that agree.
struct Hands(Mutex<DateTime<Utc>>);

impl Hands {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(at("2026-01-31T10:00:00Z"))))
    }

    fn set(&self, to: DateTime<Utc>) {
        *self.0.lock().unwrap() = to;
    }

    fn forward(&self, minutes: i64) {
        *self.0.lock().unwrap() += TimeDelta::minutes(minutes);
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn steady(&self) -> i64 {
        self.now().timestamp_millis()
    }
}

fn desk<F: Fixture>(fixture: &F, journal: &Path, clock: &Arc<Hands>, host: &str) -> Desk {
    let identity = Identity {
        host: host.into(),
        location: "PLANT1".into(),
        ions: [("default".into(), "T".into())].into(),
        terms: bodrelay::domain::lease::Terms::default(),
    };
    let journal = Journal::open(journal, 0).unwrap().journal;
    Desk::new("erp", fixture.open(), journal, clock.clone(), identity)
}

/// What is open, but for what the test's own clock and the missing connection point give.
const OPEN: &str = "SELECT code FROM bodrelay_finding WHERE cleared_at IS NULL \
                    AND code NOT IN ('CLOCK_DIFFERS', 'NO_CONNECTION_POINT') ORDER BY code";

async fn epoch<F: Fixture>(fixture: &F) -> i64 {
    fixture.value("SELECT epoch FROM bodrelay_host").await.parse().unwrap()
}

pub async fn the_epoch_is_raised_every_few_minutes<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    assert_eq!(desk.round(Said::default()).await.refused, None);
    let first = epoch(&fixture).await;
    clock.forward(4);
    assert_eq!(desk.round(Said::default()).await.refused, None);
    assert_eq!(epoch(&fixture).await, first, "not yet");
    // At the very time the database has a fault, more than once: that is no restore, and no clone.
    clock.forward(2);
    fixture.exec("ALTER TABLE bodrelay_host RENAME TO bodrelay_away").await;
    for _ in 0..3 {
        let heard = desk.round(Said::default()).await;
        assert!(heard.error.is_some() || heard.refused.is_some(), "{heard:?}");
    }
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_host").await;
    for _ in 0..3 {
        let heard = desk.round(Said::default()).await;
        assert!(heard.error.is_none() && heard.refused.is_none() && !heard.verify, "{heard:?}");
        clock.forward(6);
    }
    assert_eq!(epoch(&fixture).await, first + 3, "one each for three rounds");
    assert_eq!(fixture.rows(OPEN).await.concat(), [""; 0]);
    desk.round(Said { stopping: true, ..Said::default() }).await;
    assert_eq!(epoch(&fixture).await, first + 4, "and at the end");
}

/// Its own row went back, by however little: the database was restored, and no machine was cloned.
pub async fn a_restore_beneath_a_running_agent_is_told<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    for _ in 0..30 {
        assert_eq!(desk.round(Said::default()).await.refused, None);
        clock.forward(6);
    }
    for by in [1, 20] {
        fixture.exec(&format!("UPDATE bodrelay_host SET epoch = epoch - {by}")).await;
        let heard = desk.round(Said::default()).await;
        assert!(heard.verify && heard.refused.is_none(), "by {by}: {heard:?}");
        assert_eq!(fixture.rows(OPEN).await.concat(), ["DATABASE_RESTORED"]);
        assert!(!desk.round(Said::default()).await.verify, "once");
    }
    // By less than an epoch: its heartbeat goes back though it wrote none.
    desk.round(Said::default()).await;
    fixture.exec("UPDATE bodrelay_host SET heartbeat_at = '2026-01-31T09:00:00.000Z'").await;
    assert!(desk.round(Said::default()).await.verify, "by a heartbeat");
    fixture.exec("DELETE FROM bodrelay_host").await;
    assert!(desk.round(Said::default()).await.verify, "to before it came");
    // Production's, with production's agent in it.
    fixture
        .exec(
            "UPDATE bodrelay_host SET host = 'p', journal_id = '0190a5c0-0000-7000-8000-00000000000f', \
             database_fingerprint = 'production'",
        )
        .await;
    let heard = desk.round(Said::default()).await;
    assert!(heard.refused.unwrap().contains("host p with journal"));
    assert!(fixture.rows(OPEN).await.concat().contains(&"DATABASE_COPIED".to_owned()));
}

pub async fn a_cloned_journal_is_found_at_once<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    let (file, copy) = (folder.path().join("journal.sqlite"), folder.path().join("copy.sqlite"));
    let mut original = desk(&fixture, &file, &clock, "h1");
    assert_eq!(original.round(Said::default()).await.refused, None);
    drop(original);
    let journal = rusqlite::Connection::open(&file).unwrap();
    journal.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(journal);
    // The machine was cloned with everything on it, the host's name, too.
    let mut original = desk(&fixture, &file, &clock, "h1");
    let mut clone = desk(&fixture, &copy, &clock, "h1");
    assert_eq!(original.round(Said::default()).await.refused, None);
    // The clone's journal is one behind, as one that was restored is: the other one may live.
    let held = epoch(&fixture).await;
    let finding =
        "SELECT count(*) FROM bodrelay_finding WHERE code = 'JOURNAL_CLONED' AND cleared_at IS NULL";
    for lives in [false, true] {
        let reason = clone.round(Said::default()).await.refused.unwrap();
        assert_eq!(reason.contains("and lives"), lives, "{reason}");
        assert_eq!(fixture.value(finding).await, if lives { "1" } else { "0" });
        clock.forward(2);
        let heard = original.round(Said::default()).await;
        assert!(heard.refused.is_none() && !heard.verify, "production goes on: {heard:?}");
    }
    assert_eq!(epoch(&fixture).await, held);
    // The other one falls silent: the clone takes the epoch over, and asks the rows first.
    fixture.exec("UPDATE bodrelay_host SET heartbeat_at = '2026-01-31 10:00:00'").await;
    let heard = clone.round(Said::default()).await;
    assert!(heard.refused.is_none() && heard.verify, "{heard:?}");
    // It was only frozen.
    let reason = original.round(Said::default()).await.refused.unwrap();
    assert!(reason.contains("cloned machine"), "{reason}");
    assert_eq!(fixture.value(finding).await, "1");
    // It does not take the database back from the other one in its next round.
    assert!(original.round(Said::default()).await.refused.is_some());
    assert!(clone.round(Said::default()).await.refused.is_none());
}

/// The database's clock against ours, and an agent that goes without a word or refuses: told by whoever works on.
pub async fn clocks_and_silent_agents_are_told<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    fixture.exec(CP1).await;
    let mut gone = desk(&fixture, &folder.path().join("gone.sqlite"), &clock, "h2");
    gone.round(Said::default()).await;
    drop(gone);
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    desk.round(Said::default()).await;
    let open = "SELECT code, subject FROM bodrelay_finding WHERE cleared_at IS NULL AND host = 'h1' \
                AND code IN ('AGENT_REFUSED', 'AGENT_SILENT', 'CLOCK_DIFFERS') ORDER BY code";
    assert_eq!(fixture.rows(open).await, [["CLOCK_DIFFERS", "erp"]]);
    // It is mended: the heartbeat goes on at once, though by the new time the last one is still to come.
    clock.set(bodrelay::clock::SystemClock.now() + TimeDelta::days(30));
    desk.round(Said::default()).await;
    clock.set(bodrelay::clock::SystemClock.now());
    desk.round(Said::default()).await;
    fixture.exec("UPDATE bodrelay_host SET heartbeat_at = '2026-01-31 10:00:00' WHERE host = 'h2'").await;
    desk.round(Said::default()).await;
    assert_eq!(fixture.rows(open).await, Vec::<Vec<String>>::new(), "what it owns was renewed");
    fixture.exec("UPDATE bodrelay_status SET heartbeat_at = '2026-01-31 10:00:00' WHERE host = 'h2'").await;
    desk.round(Said::default()).await;
    assert_eq!(fixture.rows(open).await, [["AGENT_SILENT", "h2"]]);
    fixture.exec("UPDATE bodrelay_host SET state = 'refused' WHERE host = 'h2'").await;
    desk.round(Said::default()).await;
    assert_eq!(fixture.rows(open).await, [["AGENT_REFUSED", "h2"]]);
    fixture.exec("UPDATE bodrelay_host SET state = 'stopped' WHERE host = 'h2'").await;
    desk.round(Said::default()).await;
    assert_eq!(fixture.rows(open).await, Vec::<Vec<String>>::new());
}

/// A script that was missing and is run, or an index that is made: noticed without a start.
pub async fn a_script_that_is_run_is_noticed<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    fixture.exec(CP1).await;
    fixture.exec("DELETE FROM bodrelay_version WHERE script_no > 1").await;
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    desk.round(Said::default()).await;
    let open = "SELECT count(*) FROM bodrelay_finding WHERE code = 'SCRIPT_MISSING' AND cleared_at IS NULL";
    assert_eq!(fixture.value(open).await, "1");
    let newest = bodrelay::database::statements::scripts::SCRIPT_KNOWN;
    fixture
        .exec(&format!("INSERT INTO bodrelay_version (script_no, script_name) VALUES ({newest}, 'x')"))
        .await;
    desk.round(Said::default()).await;
    assert_eq!(fixture.value(open).await, "1", "the catalogue is not read in every round");
    clock.forward(15);
    desk.round(Said::default()).await;
    assert_eq!(fixture.value(open).await, "0");
}

/// What could not be said while the database was away is said when it is back, and taken back; also what an earlier
/// life could not take back.
pub async fn findings_of_an_earlier_life_are_taken_back<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    let journal = folder.path().join("journal.sqlite");
    fixture.exec("ALTER TABLE bodrelay_host RENAME TO bodrelay_away").await;
    let mut first = desk(&fixture, &journal, &clock, "h1");
    let heard = first.round(Said::default()).await;
    assert!(heard.refused.is_some(), "a table is missing: {heard:?}");
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_host").await;
    let full = Notice::new("DISK_NEARLY_FULL", Severity::Error, None, "state_dir").says("full", "make room");
    let said = Said { notices: vec![full.clone()], ..Said::default() };
    assert_eq!(first.round(said).await.refused, None);
    assert_eq!(fixture.rows(OPEN).await.concat(), ["DISK_NEARLY_FULL"]);
    fixture.exec("ALTER TABLE bodrelay_command RENAME TO bodrelay_away").await;
    assert!(first.round(Said::default()).await.error.is_some());
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_command").await;
    for _ in 0..2 {
        // Told in the first round, taken back when it has been over for a while.
        assert_eq!(first.round(Said::default()).await.error, None);
        clock.forward(1);
    }
    let all = "SELECT code FROM bodrelay_finding WHERE code = 'DATABASE_UNAVAILABLE' AND cleared_at IS NULL";
    assert_eq!(fixture.rows(all).await.len(), 0, "it is back");
    drop(first);
    let mut second = desk(&fixture, &journal, &clock, "h1");
    let happened =
        Notice::new("SENT_BEFORE", Severity::Warning, Some("CP1"), "outbox").says("row 1", "nothing");
    let said = Said { notices: vec![happened], ..Said::default() };
    assert_eq!(second.round(said).await.refused, None);
    assert_eq!(
        fixture.rows(OPEN).await.concat(),
        ["DISK_NEARLY_FULL", "SENT_BEFORE"],
        "it may still find it"
    );
    clock.forward(16);
    second.round(Said::default()).await;
    assert_eq!(
        fixture.rows(OPEN).await.concat(),
        ["SENT_BEFORE"],
        "a life that does not find it takes it back"
    );
    drop(second);
    // What happened once stays over a weekend, and over restarts; runs that end at once take back what is old.
    let mut third = desk(&fixture, &journal, &clock, "h1");
    let said = Said { notices: vec![full], ..Said::default() };
    third.round(said).await;
    drop(third);
    let last = || Said { stopping: true, ..Said::default() };
    for (minutes, left) in [(50, 2), (20, 1), (70 * 60, 1), (60, 0)] {
        clock.forward(minutes);
        let mut short = desk(&fixture, &journal, &clock, "h1");
        short.round(Said::default()).await;
        short.round(last()).await;
        assert_eq!(fixture.rows(OPEN).await.len(), left, "after {minutes} minutes more");
    }
}

fn report(accepted_more: i64) -> PointReport {
    PointReport {
        connection_point: "CP1".into(),
        point_id: 1,
        state: "running",
        reason: None,
        in_flight: 0,
        is_counted: true,
        is_gone: false,
        is_meant_to_send: true,
        lacks_documents: false,
        paused_since: None,
        is_new: false,
        selection: Selection::default(),
        accepted_more,
        failed_more: 0,
        last_accepted_at: None,
        last_failure_at: None,
        last_failure: None,
        last_poll_at: None,
        next_poll_at: None,
    }
}

/// Rows arrive and nothing leaves: no other figure need be wrong for that.
pub async fn rows_that_never_leave_are_found<F: Fixture>() {
    /// What waits is counted beside the rounds, and taken by a later one.
    async fn until_counted(desk: &mut Desk, rows: i64) {
        let is = |heard: &Heard| heard.unfinished["CP1"].waiting.is_some_and(|waiting| waiting.rows == rows);
        while !is(&desk.round(Said { points: vec![report(0)], ..Said::default() }).await) {}
    }

    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    fixture.exec(CP1).await;
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    let open = "SELECT count(*) FROM bodrelay_finding WHERE code = 'NOTHING_LEAVES' AND cleared_at IS NULL";
    let mut rows = 0;
    let said = |accepted| Said { points: vec![report(accepted)], ..Said::default() };
    // While documents are accepted, a table that grows is only slow.
    for _ in 0..20 {
        rows += 1;
        fixture.insert(&[rows]).await;
        assert_eq!(desk.round(said(1)).await.error, None);
        until_counted(&mut desk, rows).await;
        clock.forward(1);
    }
    assert_eq!(fixture.value(open).await, "0");
    for minute in 0..18 {
        rows += 1;
        fixture.insert(&[rows]).await;
        assert_eq!(desk.round(said(0)).await.error, None);
        until_counted(&mut desk, rows).await;
        assert_eq!(fixture.value(open).await, if minute < 15 { "0" } else { "1" }, "minute {minute}");
        clock.forward(1);
    }
    fixture.insert(&[rows + 1]).await;
    desk.round(said(1)).await;
    until_counted(&mut desk, rows + 1).await;
    assert_eq!(fixture.value(open).await, "0", "one has left");
}

/// An idle minute is one transaction: the report of a status renews what is owned, and is the first to see that
/// somebody else has it.
pub async fn a_report_renews_what_is_owned<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    fixture.exec(CP1).await;
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    let said = || Said { points: vec![report(0)], ..Said::default() };
    let beats = "SELECT count(*) FROM bodrelay_status WHERE heartbeat_at > '2026-02-01T00:00:00.000Z' AND state = 'running'";
    // What waits is counted beside the rounds; that it is the same is no reason to write.
    while desk.round(said()).await.unfinished["CP1"].waiting.is_none() {}
    for (minutes, renewed) in [(0, "0"), (1, "1"), (0, "0"), (1, "1")] {
        fixture.exec("UPDATE bodrelay_status SET heartbeat_at = '2026-01-01T00:00:00.000Z'").await;
        clock.forward(minutes);
        assert_eq!(desk.round(said()).await.error, None);
        assert_eq!(fixture.value(beats).await, renewed, "after {minutes} minutes");
    }
    let own = fixture.value("SELECT owner_journal_id FROM bodrelay_status").await;
    fixture.exec("UPDATE bodrelay_status SET owner_journal_id = 'j2', host = 'h2'").await;
    clock.forward(1);
    assert!(desk.round(said()).await.owned_by.is_empty(), "it learns of it by this report");
    assert_eq!(desk.round(said()).await.owned_by["CP1"], "h2");
    assert_eq!(fixture.value("SELECT owner_journal_id FROM bodrelay_status").await, "j2", "not touched");
    fixture.exec(&format!("UPDATE bodrelay_status SET owner_journal_id = '{own}'")).await;
    assert!(desk.round(said()).await.owned_by.is_empty(), "its own again");
}

fn receives(said: Receiving) -> Said {
    Said { inbound: said, ..Said::default() }
}

const STATUS: &str = "SELECT state, host, accepted_total, failed_total, duplicate_total FROM bodrelay_status WHERE direction = 'in'";

/// Who receives owns it, and says how it goes; another agent asks ION to come again.
pub async fn what_is_received_has_one_owner_and_a_status<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    fixture.exec(CP1).await;
    fixture.exec("UPDATE bodrelay_connection_point SET receive_mode = 'on'").await;
    fixture
        .exec(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'in', 'Sync', 'Item')",
        )
        .await;
    let report = |stored_more, trouble: Option<&str>| {
        Receiving::Said(vec![InboundReport {
            connection_point: "CP1".into(),
            stored_more,
            duplicates_more: 2,
            refused_more: 1,
            last_stored_at: Some(at("2026-01-31T10:00:00Z")),
            trouble: trouble.map(str::to_owned),
            ..InboundReport::default()
        }])
    };
    let closed = |heard: bodrelay::operator::Heard| heard.plan.unwrap().inbound["CP1"].closed.clone();
    let finding = "SELECT code FROM bodrelay_finding WHERE cleared_at IS NULL AND (code IN ('NO_LISTENER', 'INBOX_LACKS') OR code = 'OWNED_BY_ANOTHER' AND subject = 'receiving')";

    let mut first = desk(&fixture, &folder.path().join("one.sqlite"), &clock, "h1");
    assert!(
        closed(first.round(Said::default()).await).is_some(),
        "a run that does not listen receives nothing"
    );
    assert_eq!(fixture.rows(finding).await.concat(), [""; 0]);
    assert!(closed(first.round(receives(Receiving::NoListener)).await).is_some());
    assert_eq!(fixture.rows(finding).await.concat(), ["NO_LISTENER"]);
    assert_eq!(fixture.rows(STATUS).await.len(), 0, "who does not listen owns nothing");

    assert_eq!(closed(first.round(receives(report(3, None))).await), None);
    assert_eq!(fixture.rows(STATUS).await, [["running", "h1", "3", "1", "2"]]);
    assert_eq!(fixture.rows(finding).await.concat(), [""; 0]);
    first.round(receives(report(4, Some("the database is away")))).await;
    assert_eq!(fixture.rows(STATUS).await, [["backoff", "h1", "7", "2", "4"]]);

    let mut second = desk(&fixture, &folder.path().join("two.sqlite"), &clock, "h2");
    let reason = closed(second.round(receives(Receiving::Said(vec![]))).await).unwrap();
    assert!(reason.contains("host h1"), "{reason}");
    assert_eq!(fixture.rows(finding).await.concat(), ["OWNED_BY_ANOTHER"]);
    first.round(Said { stopping: true, ..receives(report(0, None)) }).await;
    drop(first);
    // The server notices the end of the session by itself.
    for _ in 0..1_000 {
        if closed(second.round(receives(Receiving::Said(vec![]))).await).is_none() {
            break;
        }
    }
    assert_eq!(fixture.value("SELECT state FROM bodrelay_status WHERE direction = 'in'").await, "running");

    fixture.exec("ALTER TABLE bodrelay_receipt RENAME TO bodrelay_away").await;
    drop(second);
    let mut third = desk(&fixture, &folder.path().join("two.sqlite"), &clock, "h2");
    let mut reason = String::new();
    for _ in 0..1_000 {
        reason = closed(third.round(receives(Receiving::Said(vec![]))).await).unwrap();
        if !reason.contains("host h2") {
            break;
        }
    }
    assert!(reason.contains("003_inbound.sql"), "{reason}");
    assert_eq!(fixture.rows(finding).await.concat(), ["INBOX_LACKS"]);
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_receipt").await;
    clock.forward(2);
    assert_eq!(closed(third.round(receives(Receiving::Said(vec![]))).await), None, "it is looked at anew");

    fixture.exec("UPDATE bodrelay_document SET duplicate_key = 'message_id', noun = 'It em'").await;
    third.round(receives(Receiving::Said(vec![]))).await;
    let refused = fixture.value("SELECT refused_reason FROM bodrelay_document").await;
    assert!(refused.contains("bare name"), "{refused}");
    fixture.exec("UPDATE bodrelay_connection_point SET receive_mode = 'off'").await;
    let heard = third.round(receives(Receiving::Said(vec![]))).await;
    assert!(heard.plan.unwrap().inbound.is_empty());
    assert_eq!(fixture.value("SELECT state FROM bodrelay_status WHERE direction = 'in'").await, "stopped");
}

/// The database is restored to an earlier state: what ION was told is stored, and is not there, is named.
pub async fn what_a_restore_took_is_named<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    fixture.exec(CP1).await;
    fixture.exec("UPDATE bodrelay_connection_point SET receive_mode = 'on'").await;
    let file = folder.path().join("journal.sqlite");
    let listens = || receives(Receiving::Said(vec![]));
    let mut first = desk(&fixture, &file, &clock, "h1");
    let database_id = first.round(listens()).await.database_id.unwrap();
    drop(first);
    let documents = super::inbox::numbered(700);
    fixture.open().inbox_store(&documents).await.unwrap();
    let received = documents.iter().map(Received::of).collect();
    let journal = Journal::open(&file, 0).unwrap().journal;
    journal.remember_received(database_id, "CP1", received).await.unwrap();
    drop(journal);
    let open =
        "SELECT count(*) FROM bodrelay_finding WHERE code = 'RECEIVED_BUT_GONE' AND cleared_at IS NULL";
    let mut whole = desk(&fixture, &file, &clock, "h1");
    whole.round(listens()).await;
    assert_eq!(fixture.value(open).await, "0", "nothing is missing");
    drop(whole);
    // The epoch alone shows a restore by hours only: what came last is looked at whenever the database is met.
    fixture.exec("DELETE FROM bodrelay_receipt WHERE message_id >= 'M-0695'").await;
    let mut whole = desk(&fixture, &file, &clock, "h1");
    assert!(!whole.round(listens()).await.verify);
    assert_eq!(fixture.value(open).await, "1");
    drop(whole);
    fixture.exec("UPDATE bodrelay_finding SET cleared_at = since WHERE code = 'RECEIVED_BUT_GONE'").await;

    fixture.exec("UPDATE bodrelay_host SET epoch = epoch - 5").await;
    fixture.exec("DELETE FROM bodrelay_receipt WHERE message_id >= 'M-0690'").await;

    let finding =
        "SELECT finding_text FROM bodrelay_finding WHERE code = 'RECEIVED_BUT_GONE' AND cleared_at IS NULL";
    let mut second = desk(&fixture, &file, &clock, "h1");
    assert!(second.round(listens()).await.verify);
    let text = fixture.value(finding).await;
    assert!(text.contains("lacks 10 documents") && text.contains("M-0699, M-0698"), "{text}");
    assert!(text.contains("between 2026-01-31 10:11:30 UTC and 2026-01-31 10:11:39 UTC"), "{text}");
    second.round(listens()).await;
    assert_eq!(
        fixture.value("SELECT seen_count FROM bodrelay_finding WHERE code = 'RECEIVED_BUT_GONE' AND cleared_at IS NULL").await,
        "1"
    );
    drop(second);
    // What was forgotten in the journal is not looked for.
    let journal = Journal::open(&file, 0).unwrap().journal;
    let point = journal.meet_point(database_id, "CP1").await.unwrap().point_id;
    journal.forget_received(point, 0, 100).await.unwrap();
    assert_eq!(journal.received_newest(point, None, 1000).await.unwrap().len(), 100);
    let before = at("2026-01-31T10:11:35Z").timestamp_millis();
    journal.forget_received(point, before, 100).await.unwrap();
    assert_eq!(journal.received_newest(point, None, 1000).await.unwrap().len(), 5);
}
