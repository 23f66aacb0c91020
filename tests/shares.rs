//! One connection point or one document that cannot go takes nothing from the others: bytes, windows and turns.

#![cfg(target_os = "linux")]

mod site;

use std::collections::BTreeMap;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, What};
use site::{Entry, Site};

/// Of the second connection point.
const OTHER: &str = "lid://acme.wms.dc1";
const WAITING: i64 = 3_000;

/// Two connection points; each takes the rows of its logical id.
fn site() -> Site {
    let site = Site::new();
    site.sql(&format!(
        "UPDATE bodrelay_connection_point SET source_logical_id = logical_id; \
         INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
         source_logical_id, send_mode, poll_seconds, parallel_posts, backoff_step_seconds, backoff_max_seconds) \
         SELECT 'CP2', location_name, tenant_id, '{OTHER}', '{OTHER}', 'on', 1, 8, 1, 1 FROM bodrelay_connection_point; \
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
         VALUES ('CP2', 'out', 'Sync', 'ItemMaster')"
    ));
    site
}

/// Beside thousands of rows of 4 KB that the first connection point cannot send soon, the second one sends 30 of its own,
/// and then one of nearly 5 MB. `stop` is done when the first one has taken in what it can.
fn others_go(site: &Site, stop: impl Fn()) {
    let rows: Vec<Entry> = (0..WAITING)
        .map(|version| Entry::new(&format!("ITEM-{version}"), version + 1).padded(4_000))
        .collect();
    site.insert_all(&rows);
    let mut agent = site.start();
    agent.until_says("starts");
    let open = || {
        let open = "SELECT count(*) FROM message WHERE settled = 0";
        site.journal().query_row(open, [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    agent.until("the first one has taken much in", || open() > 1_000);
    stop();
    let own: Vec<Entry> = (1..=30)
        .map(|version| Entry::new(&format!("BIN-{version}"), version).logical_id(OTHER).padded(4_000))
        .collect();
    let ids = site.insert_all(&own);
    agent.until("the second one sends", || ids.iter().all(|id| site.flag(*id) == Some(1)));
    let large = site.insert(&Entry::new("BIN-1", 100).logical_id(OTHER).padded(4_900_000));
    agent.until("the second one sends a large one", || site.flag(large) == Some(1));
    assert!(site.waiting() > WAITING / 2, "it was beside the first one, not behind it: {}", site.waiting());
    agent.term();
}

#[test]
fn others_go_beside_a_pace() {
    let site = site();
    site.sql(
        "UPDATE bodrelay_connection_point SET max_messages_per_second = 20 WHERE connection_point = 'CP1'",
    );
    others_go(&site, || {});
}

#[test]
fn others_go_beside_slow_answers() {
    let site = site();
    let slow = Fault::new(What::Slow { ms: 2_000 });
    site.simulator.add_fault(Fault { logical_id: Some("lid://acme.erp.plant1".into()), ..slow });
    others_go(&site, || {});
}

#[test]
fn others_go_beside_refusals_and_a_pause() {
    let site = site();
    let busy = Fault::refuse(503);
    site.simulator.add_fault(Fault { logical_id: Some("lid://acme.erp.plant1".into()), ..busy });
    others_go(&site, || {
        site.sql("INSERT INTO bodrelay_command (command, connection_point, reason) VALUES ('pause', 'CP1', 'test')");
    });
}

/// Versions of one document; more than memory holds messages.
const VERSIONS: i64 = 20_500;

/// Beside a document with more versions than memory holds messages others go: in the first pass, and out of the journal after
/// a kill. Its own order is kept, also where a command gives up all that still waits of it.
fn others_go_beside_many_versions(site: &Site) {
    let slow = Fault::new(What::Slow { ms: 100 }).for_document("LONG");
    site.simulator.add_fault(slow.clone());
    let long: Vec<_> = (1..=VERSIONS).map(|version| Entry::new("LONG", version)).collect();
    site.insert_all(&long);
    let others =
        |round: i64| -> Vec<_> { (1..=100).map(|item| Entry::new(&format!("ITEM-{item}"), round)).collect() };
    let ids = site.insert_all(&others(1));
    let mut agent = site.start();
    agent.until("the others go", || ids.iter().all(|id| site.flag(*id) == Some(1)));
    site.simulator.add_fault(Fault::refuse(503));
    let ids = site.insert_all(&others(2));
    let open = |id: i64| {
        let open = "SELECT count(*) FROM message WHERE entry_id = ?1 AND settled = 0";
        site.journal().query_row(open, [id], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    agent.until("the journal has them all", || ids.iter().all(|id| open(*id) == 1));
    agent.kill();
    site.simulator.clear_faults();
    site.simulator.add_fault(slow);
    let mut agent = site.start();
    agent.until("the others go out of the journal", || ids.iter().all(|id| site.flag(*id) == Some(1)));
    let waiting = site.waiting();
    assert!(waiting > VERSIONS / 2, "they went beside it, not behind it: {waiting} wait");
    site.sql(
        "INSERT INTO bodrelay_command (command, connection_point, document_id, reason) \
         VALUES ('discard', 'CP1', 'LONG', 'test')",
    );
    agent.until("all that waits is given up", || site.waiting() == 0);
    let last = site.insert(&Entry::new("LONG", VERSIONS + 1));
    agent.until("a later version goes", || site.flag(last) == Some(1));
    agent.term();
    let versions: Vec<_> = site.arrivals_of("LONG").into_iter().map(|arrival| arrival.variation_id).collect();
    assert!(versions.is_sorted(), "it came out of order: {versions:?}");
}

#[test]
fn others_go_beside_more_versions_than_memory_holds() {
    others_go_beside_many_versions(&Site::new());
}

#[test]
fn others_go_beside_more_versions_than_memory_holds_on_postgres() {
    others_go_beside_many_versions(&Site::on_postgres(Options::default()));
}

/// A document with more versions than memory has records of goes whole and in order: through a kill, while a version that
/// failed holds the later ones, and after this was sent again. Whatever waits for long is in the message log.
#[test]
fn a_document_of_many_versions_goes_whole() {
    let site = Site::new();
    site.sql("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    site.simulator.add_fault(Fault::new(What::Slow { ms: 20 }));
    let rows: Vec<_> = (1..=700).map(|version| Entry::new("LONG", version)).collect();
    let ids = site.insert_all(&rows);
    let mut agent = site.start();
    agent.until("some of them go", || site.arrivals_of("LONG").len() > 50);
    agent.until("the log has those that wait", || site.log().len() == rows.len());
    agent.kill();
    site.simulator.clear_faults();
    site.simulator.add_fault(Fault::refuse(400).times(1));
    let mut agent = site.start();
    agent.until("one fails", || site.has_open_finding("MESSAGES_FAILED"));
    let failed = ids.iter().position(|id| site.flag(*id) == Some(9)).unwrap();
    let held = "SELECT count(*) FROM bodrelay_message_log WHERE held_by IS NOT NULL";
    agent.until("the later ones wait for it", || {
        usize::try_from(site.number(held)).unwrap() + failed + 1 == rows.len()
    });
    let arrived = site.arrivals_of("LONG").len();
    site.sql("INSERT INTO bodrelay_command (command, connection_point, document_id) VALUES ('resubmit', 'CP1', 'LONG')");
    agent.until("all of it", || site.is_drained());
    agent.term();
    assert!(arrived + 100 < rows.len(), "it was in the midst of them: {arrived}");
    let entries: BTreeMap<i64, Entry> = ids.into_iter().zip(rows).collect();
    assert_eq!(site.judge(&entries).accepted, entries.len());
}
