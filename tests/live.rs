//! Settings that change while documents flow: nothing is lost, doubled or out of order, and nothing needs a restart.

#![cfg(unix)]

mod site;

use std::collections::BTreeMap;

use bodrelay::simulator::Options;
use site::{Entry, Site};

/// What a DBA may type at any moment, each followed by its opposite.
const CHANGES: &[&str] = &[
    "UPDATE bodrelay_connection_point SET parallel_posts = 1",
    "UPDATE bodrelay_connection_point SET parallel_posts = 16",
    "UPDATE bodrelay_document SET enabled = 0",
    "UPDATE bodrelay_document SET enabled = 1",
    "UPDATE bodrelay_connection_point SET after_failure = 'hold'",
    "UPDATE bodrelay_connection_point SET after_failure = 'continue'",
    "UPDATE bodrelay_connection_point SET max_messages_per_second = 200",
    "UPDATE bodrelay_connection_point SET max_messages_per_second = NULL",
    "INSERT INTO bodrelay_command (command, connection_point) VALUES ('pause', 'CP1')",
    "INSERT INTO bodrelay_command (command, connection_point) VALUES ('resume', 'CP1')",
    "UPDATE bodrelay_connection_point SET send_mode = 'off'",
    "UPDATE bodrelay_connection_point SET send_mode = 'observe'",
    "UPDATE bodrelay_connection_point SET send_mode = 'on'",
    "UPDATE bodrelay_connection_point SET tenant_id = 'OTHER_TST'",
    "UPDATE bodrelay_connection_point SET tenant_id = 'DEMO_TST'",
    "DELETE FROM bodrelay_document",
    "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'ItemMaster')",
    "UPDATE bodrelay_connection_point SET log_messages = 'problems', poll_seconds = 1",
    "UPDATE bodrelay_connection_point SET log_messages = 'all', ims_method = 'message'",
    "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, source_tenant_id, send_mode) VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp2', 'NOBODY', 'on')",
    "DELETE FROM bodrelay_connection_point WHERE connection_point = 'CP2'",
];

#[test]
fn settings_change_under_load() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let mut agent = site.start();
        let mut entries = BTreeMap::new();
        let mut version = 0;
        let applied = "SELECT count(*) FROM bodrelay_connection_point WHERE applied_at IS NULL OR applied_at < changed_at";
        for change in CHANGES {
            let batch: Vec<Entry> = (0..150)
                .map(|n| {
                    version += 1;
                    Entry::new(&format!("ITEM-{}", n % 25), version)
                })
                .collect();
            let ids = site.insert_all(&batch);
            entries.extend(ids.into_iter().zip(batch));
            site.sql(change);
            // Taken in while documents are on the way, not before and not after.
            agent.until(change, || site.number(applied) == 0);
        }
        agent.until("all is sent", || site.is_drained());
        agent.term();
        // With log_messages = 'problems' the log does not know of what went well meanwhile.
        let flagged = entries.keys().filter(|row| site.flag(**row) == Some(1)).count();
        assert_eq!(flagged, entries.len());
        let ledger = site.simulator.ledger();
        assert_eq!(ledger.counts().stored, entries.len() as u64, "each came once");
        assert_eq!(ledger.repeats_different(), []);
        for (lane, arrivals) in ledger.lanes() {
            let versions: Vec<_> = arrivals.iter().map(|arrival| arrival.variation_id).collect();
            assert!(versions.is_sorted(), "{lane} came out of order: {versions:?}");
        }
        assert!(!site.has_finding("ANOTHER_SENDER"));
    }
}
