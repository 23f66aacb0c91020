//! Two real agents on one database: one sends at a time, whatever the other was doing meanwhile.

#![cfg(target_os = "linux")]

mod site;

use std::time::{Duration, Instant};

use bodrelay::simulator::Options;
use site::{Entry, Site};

/// Owners lapse after so many seconds instead of 180.
const LAPSE: u64 = 6;
const VARIABLES: [(&str, &str); 1] = [("BODRELAY_LAPSE_SECONDS", "6")];

fn versions(site: &Site, range: std::ops::RangeInclusive<i64>) {
    let entries: Vec<Entry> = range
        .flat_map(|version| (1..=10).map(move |document| Entry::new(&format!("ITEM-{document}"), version)))
        .collect();
    site.insert_all(&entries);
}

fn owner(site: &Site) -> Option<String> {
    site.text("SELECT host FROM bodrelay_status WHERE direction = 'out'")
}

/// An agent reads its tables as seldom as it is told to; who it is, it says all the same.
fn an_owner_that_reads_seldom_stays_the_owner(site: &Site) {
    site.write_configuration("");
    let text = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let seldom = text.replace("control_read_seconds = 1\n", "control_read_seconds = 300\n");
    std::fs::write(site.path("bodrelay.toml"), seldom).unwrap();
    let mut first = site.start_with(&VARIABLES);
    first.until("it owns the point", || owner(site).as_deref() == Some("host1"));
    std::fs::write(site.path("bodrelay.toml"), text).unwrap();
    let mut second = site.start_beside_with("host2", "state2", "PLANT1", &VARIABLES);
    let enough = Instant::now() + Duration::from_secs(2 * LAPSE + 2);
    let mut version = 0;
    while Instant::now() < enough {
        version += 1;
        versions(site, version..=version);
        second.until("all is sent", || site.waiting() == 0);
    }
    assert_eq!(owner(site).as_deref(), Some("host1"), "{}", second.log());
    let counts = site.simulator.ledger().counts();
    assert_eq!(
        (counts.distinct, counts.repeats_same),
        (u64::try_from(version * 10).unwrap(), 0),
        "{counts:?}"
    );
    second.term();
    first.term();
}

/// Stopped for longer than its claim lasts, an agent wakes with documents that were begun, and some that it only read:
/// another agent has sent them all, and newer versions after them.
fn a_stopped_owner_wakes_and_sends_nothing(site: &Site) {
    site.sql("UPDATE bodrelay_connection_point SET max_messages_per_second = 2");
    versions(site, 1..=3);
    let mut first = site.start_with(&VARIABLES);
    first.until("some are sent and flagged", || site.waiting() <= 26);
    first.signal("-STOP");
    site.sql("UPDATE bodrelay_connection_point SET max_messages_per_second = NULL");
    let mut second = site.start_beside_with("host2", "state2", "PLANT1", &VARIABLES);
    second.until("it has sent the rest", || site.waiting() == 0);
    versions(site, 4..=5);
    second.until("and newer versions", || site.waiting() == 0);
    assert_eq!(owner(site).as_deref(), Some("host2"));
    let before = site.simulator.ledger().counts();
    assert_eq!(before.distinct, 50, "{before:?}");
    first.signal("-CONT");
    first.until_says("another agent owns it by now");
    second.term();
    // It is the first one's again, with what it still had in memory.
    versions(site, 6..=6);
    first.until("it goes on", || site.is_drained());
    assert_eq!(owner(site).as_deref(), Some("host1"));
    first.term();
    let after = site.simulator.ledger().counts();
    assert_eq!((after.distinct, after.repeats_same), (60, before.repeats_same), "{after:?}");
}

/// A copy of `state_dir` as a cloned machine has it.
fn copy_state(site: &Site, to: &str) {
    std::fs::create_dir(site.path(to)).unwrap();
    site.copy_database(&site.journal_path(), &site.path(to).join("journal.sqlite"));
    std::fs::copy(site.path("state/journal.ids"), site.path(to).join("journal.ids")).unwrap();
}

fn epoch(site: &Site) -> i64 {
    site.number("SELECT epoch FROM bodrelay_host")
}

fn is_held(site: &Site) -> bool {
    let state = "SELECT state FROM bodrelay_host WHERE host = 'host1'";
    site.text(state).as_deref() == Some("running") && owner(site).as_deref() == Some("host1")
}

fn told_cloned(site: &Site, host: &str) -> Option<String> {
    site.text(&format!(
        "SELECT finding_text FROM bodrelay_finding WHERE code = 'JOURNAL_CLONED' AND host = '{host}' AND cleared_at IS NULL"
    ))
}

/// A cloned machine that starts beside its living original: production goes on as if it were not there, and it begins
/// when the other one has been silent for as long as any owner.
fn a_copied_journal_waits_beside_its_original(site: &Site) {
    let first = site.insert(&Entry::new("ITEM-1", 1));
    site.drain();
    // One copy is older than the original's last start, one is as it is now.
    copy_state(site, "older");
    let mut original = site.start_with(&VARIABLES);
    original.until("it works", || is_held(site));
    copy_state(site, "newer");
    let before = epoch(site);
    let mut older = site.start_beside_with("host2", "older", "PLANT1", &VARIABLES);
    let mut newer = site.start_beside_with("host3", "newer", "PLANT1", &VARIABLES);
    for (copy, host) in [(&mut older, "host2"), (&mut newer, "host3")] {
        copy.until_says("worked with this journal until");
        copy.until("it is told", || told_cloned(site, host).is_some());
        let text = told_cloned(site, host).unwrap();
        assert!(text.contains("the agent of host host1 (process ") && text.contains("and lives"), "{text}");
    }
    let mut rows = vec![first];
    for version in 2..=6 {
        rows.push(site.insert(&Entry::new("ITEM-1", version)));
        original.until("production goes on", || site.flag(*rows.last().unwrap()) == Some(1));
        assert!(is_held(site));
    }
    assert_eq!(epoch(site), before, "nobody else touches it");
    assert!(!original.log().contains("cloned"), "{}", original.log());
    // Killed and started again at once, it is no copy of itself.
    original.kill();
    let mut original = site.start_with(&VARIABLES);
    original.until_says("starts");
    rows.push(site.insert(&Entry::new("ITEM-1", 7)));
    original.until("it goes on", || site.flag(*rows.last().unwrap()) == Some(1));
    assert!(!original.log().contains("worked with this journal"), "{}", original.log());
    // In order of who is first, one of the copies takes over; the other one waits for that.
    newer.stop();
    original.kill();
    let row = site.insert(&Entry::new("ITEM-1", 8));
    older.until("the copy begins when the original is silent", || site.flag(row) == Some(1));
    assert_eq!(owner(site).as_deref(), Some("host2"));
    older.until("nothing is told any more", || told_cloned(site, "host2").is_none());
    // The original comes back, and waits in its turn.
    let mut original = site.start_with(&VARIABLES);
    original.until("it is told", || told_cloned(site, "host1").is_some());
    let row = site.insert(&Entry::new("ITEM-1", 9));
    older.until("the copy goes on", || site.flag(row) == Some(1));
    original.stop();
    older.term();
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.distinct, counts.repeats_same, counts.overlaps), (9, 0, 0), "{counts:?}");
}

#[test]
fn a_copied_journal_waits_beside_its_original_on_sqlite() {
    a_copied_journal_waits_beside_its_original(&Site::new());
}

#[test]
fn a_copied_journal_waits_beside_its_original_on_postgres() {
    a_copied_journal_waits_beside_its_original(&Site::on_postgres(Options::default()));
}

#[test]
fn an_owner_that_reads_seldom_stays_the_owner_on_sqlite() {
    an_owner_that_reads_seldom_stays_the_owner(&Site::new());
}

#[test]
fn an_owner_that_reads_seldom_stays_the_owner_on_postgres() {
    an_owner_that_reads_seldom_stays_the_owner(&Site::on_postgres(Options::default()));
}

#[test]
fn a_stopped_owner_wakes_and_sends_nothing_on_sqlite() {
    a_stopped_owner_wakes_and_sends_nothing(&Site::new());
}

/// The session of a stopped process keeps what it has locked: the server does not notice.
#[test]
fn a_stopped_owner_wakes_and_sends_nothing_on_postgres() {
    a_stopped_owner_wakes_and_sends_nothing(&Site::on_postgres(Options::default()));
}

/// Whoever may read the tables can hold the lock behind a claim: he is named, and stops nothing.
#[test]
fn a_stranger_with_the_lock_is_named_and_stops_nothing() {
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    site.insert(&Entry::new("ITEM-1", 1));
    site.drain();
    let journal = site.text("SELECT owner_journal_id FROM bodrelay_status WHERE direction = 'out'").unwrap();
    site.sql("CREATE ROLE stranger LOGIN");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stranger = runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config.host(server.cluster.folder.display().to_string()).port(server.cluster.port);
        config.dbname(server.database()).user("stranger").application_name("curious");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = format!("SELECT pg_advisory_lock(hashtextextended('bodrelay {journal} CP1 out', 0))");
        client.batch_execute(&lock).await.unwrap();
        client
    });
    let mut agent = site.start();
    let row = site.insert(&Entry::new("ITEM-1", 2));
    agent.until("it sends", || site.flag(row) == Some(1));
    agent.until("it names the stranger", || site.has_open_finding("LOCK_HELD"));
    let said = site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'LOCK_HELD'").unwrap();
    assert!(said.contains("of login stranger (curious)"), "{said}");
    agent.term();
    drop((stranger, runtime));
    let mut agent = site.start();
    agent.until("it is over", || !site.has_open_finding("LOCK_HELD"));
    agent.term();
}
