//! One connection point or one document that cannot go takes nothing from the others: bytes, windows and turns.

#![cfg(target_os = "linux")]

mod site;

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
