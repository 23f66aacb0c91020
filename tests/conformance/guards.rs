//! The guards of a control round on a real database and a real journal, with a clock that the test moves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bodrelay::clock::Clock;
use bodrelay::database::Selection;
use bodrelay::domain::notice::{Notice, Severity};
use bodrelay::journal::Journal;
use bodrelay::operator::{Desk, Identity, PointReport, Said};
use chrono::{DateTime, TimeDelta, Utc};

use super::control::CP1;
use super::{Fixture, at};

/// A clock that stands until it is moved.
struct Hands(Mutex<DateTime<Utc>>);

impl Hands {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(at("2026-01-31T10:00:00Z"))))
    }

    fn forward(&self, minutes: i64) {
        *self.0.lock().unwrap() += TimeDelta::minutes(minutes);
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

fn desk<F: Fixture>(fixture: &F, journal: &Path, clock: &Arc<Hands>, host: &str) -> Desk {
    let identity = Identity {
        host: host.into(),
        location: "PLANT1".into(),
        ions: [("default".into(), "T".into())].into(),
    };
    let journal = Journal::open(journal, 0).unwrap().journal;
    Desk::new("erp", fixture.open(), journal, clock.clone(), identity)
}

async fn epoch<F: Fixture>(fixture: &F) -> i64 {
    fixture.value("SELECT epoch FROM bodrelay_host").await.parse().unwrap()
}

pub async fn the_epoch_is_raised_hourly<F: Fixture>() {
    let (fixture, folder, clock) = (F::fresh().await, tempfile::tempdir().unwrap(), Hands::new());
    let mut desk = desk(&fixture, &folder.path().join("journal.sqlite"), &clock, "h1");
    assert_eq!(desk.round(Said::default()).await.refused, None);
    let first = epoch(&fixture).await;
    clock.forward(59);
    assert_eq!(desk.round(Said::default()).await.refused, None);
    assert_eq!(epoch(&fixture).await, first, "not yet");
    // At the very time the database has a fault: an epoch that only the journal knows is no clone's.
    clock.forward(2);
    fixture.exec("ALTER TABLE bodrelay_host RENAME TO bodrelay_away").await;
    let heard = desk.round(Said::default()).await;
    assert!(heard.error.is_some() && heard.refused.is_none(), "{heard:?}");
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_host").await;
    for _ in 0..3 {
        let heard = desk.round(Said::default()).await;
        assert!(heard.error.is_none() && heard.refused.is_none() && !heard.verify, "{heard:?}");
        clock.forward(61);
    }
    assert_eq!(epoch(&fixture).await, first + 4, "one for the fault, one each for three rounds");
    let open = "SELECT count(*) FROM bodrelay_finding WHERE cleared_at IS NULL";
    assert_eq!(fixture.value(open).await, "0");
}

pub async fn a_cloned_journal_is_found_within_the_hour<F: Fixture>() {
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
    let heard = clone.round(Said::default()).await;
    // The clone's journal is one behind, as one that was restored is: it takes the epoch over, and asks the rows first.
    assert!(heard.refused.is_none() && heard.verify, "{heard:?}");
    clock.forward(61);
    let reason = original.round(Said::default()).await.refused.unwrap();
    assert!(reason.contains("cloned machine"), "{reason}");
    let finding =
        "SELECT count(*) FROM bodrelay_finding WHERE code = 'JOURNAL_CLONED' AND cleared_at IS NULL";
    assert_eq!(fixture.value(finding).await, "1");
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
    let open = "SELECT code FROM bodrelay_finding WHERE cleared_at IS NULL ORDER BY code";
    assert_eq!(fixture.rows(open).await.concat(), ["DISK_NEARLY_FULL"]);
    fixture.exec("ALTER TABLE bodrelay_command RENAME TO bodrelay_away").await;
    assert!(first.round(Said::default()).await.error.is_some());
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_command").await;
    for _ in 0..2 {
        // Told in the first round, taken back in the next.
        assert_eq!(first.round(Said::default()).await.error, None);
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
        fixture.rows(open).await.concat(),
        ["DISK_NEARLY_FULL", "SENT_BEFORE"],
        "it may still find it"
    );
    clock.forward(16);
    second.round(Said::default()).await;
    assert_eq!(
        fixture.rows(open).await.concat(),
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
        assert_eq!(fixture.rows(open).await.len(), left, "after {minutes} minutes more");
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
        clock.forward(1);
    }
    assert_eq!(fixture.value(open).await, "0");
    for minute in 0..18 {
        rows += 1;
        fixture.insert(&[rows]).await;
        assert_eq!(desk.round(said(0)).await.error, None);
        assert_eq!(fixture.value(open).await, if minute < 15 { "0" } else { "1" }, "minute {minute}");
        clock.forward(1);
    }
    desk.round(said(1)).await;
    assert_eq!(fixture.value(open).await, "0", "one has left");
}
