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
