//! The recovery table, line by line, with real files copied back, real limits on the process, and what a DBA does to
//! rows while nobody looks.

// Kills, limits of a process and aborts at a point are told by their signals.
#![cfg(target_os = "linux")]

mod site;

use std::collections::BTreeMap;

use bodrelay::clock::{Clock, SystemClock};
use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, What};
use site::{Entry, Site};

/// Versions of one document, one after the other.
fn versions(site: &Site, document_id: &str, range: std::ops::RangeInclusive<i64>) -> BTreeMap<i64, Entry> {
    let entries: Vec<Entry> = range.map(|version| Entry::new(document_id, version)).collect();
    site.insert_all(&entries).into_iter().zip(entries).collect()
}

fn set_flag(site: &Site, entry_id: i64, flag: i64) {
    site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = {flag} WHERE C_ID = {entry_id}"));
}

/// Rewrites a row, as somebody does who corrects a document in its place.
fn rewrite(site: &Site, entry_id: i64, entry: &Entry) {
    site.database()
        .execute(
            "UPDATE COR_OUTBOX_ENTRY SET C_XML = ?2, C_WAS_PROCESSED = 0 WHERE C_ID = ?1",
            (entry_id, entry.xml(site.tenant_id()).into_bytes()),
        )
        .unwrap();
    site.sql(&format!(
        "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = '{}' WHERE C_OUTBOX_ID = {entry_id} AND C_HEADER_KEY = 'VariationId'",
        entry.version
    ));
}

#[test]
fn a_restored_database_sends_nothing_twice() {
    let site = Site::new();
    let mut entries = versions(&site, "ITEM-1", 1..=5);
    site.drain();
    site.copy_database(&site.path("erp.db"), &site.path("backup.db"));
    // Two lives later than the backup, so that the host's epoch is behind the journal's by more than a crash.
    entries.extend(versions(&site, "ITEM-1", 6..=8));
    site.drain();
    site.drain();
    site.copy_database(&site.path("backup.db"), &site.path("erp.db"));
    let stale: Vec<i64> = entries.keys().copied().filter(|id| site.flag(*id).is_none()).collect();
    assert_eq!(stale.len(), 3, "the backup does not know the last three");
    // The application goes on in the restored database: C_IDs come back with other documents.
    entries.retain(|id, _| !stale.contains(id));
    let again = versions(&site, "ITEM-2", 1..=4);
    assert!(again.keys().any(|id| stale.contains(id)), "ids are used again");
    entries.extend(again);
    // And a row of before is set back to 0 by the restore.
    set_flag(&site, 1, 0);
    site.drain();
    assert!(site.has_finding("DATABASE_RESTORED"));
    assert!(site.has_finding("SENT_BEFORE"), "row 1 was accepted before the restore");
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.stored, counts.repeats_same), (12, 0), "{counts:?}");
    for (id, entry) in &entries {
        assert_eq!(site.flag(*id), Some(1), "{id} of {}", entry.document_id);
    }
    assert_eq!(site.arrivals_of("ITEM-2").len(), 4);
}

#[test]
fn a_restored_journal_asks_the_rows_first() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(503).times(1_000));
    let mut entries = versions(&site, "ITEM-1", 1..=3);
    let mut agent = site.start();
    agent.until("the first refusal", || !site.simulator.statuses().is_empty());
    agent.term();
    // The copy knows three open messages; then they are accepted.
    site.copy_database(&site.journal_path(), &site.path("journal.backup"));
    site.simulator.clear_faults();
    site.drain();
    entries.extend(versions(&site, "ITEM-2", 1..=2));
    site.drain();
    let before = site.simulator.ledger().counts();
    assert_eq!(before.stored, 5);
    site.copy_database(&site.path("journal.backup"), &site.journal_path());
    entries.extend(versions(&site, "ITEM-1", 4..=4));
    site.drain();
    assert!(site.has_finding("JOURNAL_RESTORED"));
    let after = site.simulator.ledger().counts();
    assert_eq!(
        (after.stored, after.repeats_same),
        (6, 0),
        "rows at 1 are done, whatever the journal thinks: {after:?}"
    );
    for id in entries.keys() {
        assert_eq!(site.flag(*id), Some(1), "{id}");
    }
}

#[test]
fn a_lost_journal_repeats_under_the_same_id_and_says_so() {
    let site = Site::new();
    let mut entries = versions(&site, "ITEM-1", 1..=4);
    let ids: Vec<i64> = entries.keys().copied().collect();
    // Accepted by ION, but the database did not hear of it: the process dies between post and record.
    let mut agent = site.start_armed("after_post:1");
    agent.wait();
    assert_eq!(site.simulator.ledger().counts().stored, 1);
    // The journal is lost with it; the owner's claim lapses by itself, here by hand.
    std::fs::remove_dir_all(site.path("state")).unwrap();
    site.sql("UPDATE bodrelay_status SET heartbeat_at = '2026-01-01T00:00:00.000Z'");
    entries.extend(versions(&site, "ITEM-2", 1..=1));
    site.drain();
    assert!(site.has_finding("JOURNAL_LOST"));
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.repeated), (5, 1), "{verdict:?}");
    assert!(site.log_of(ids[0])[0].in_doubt, "the row may have been posted by the life that is lost");
}

/// What a DBA stopped stays stopped, also where the file that knew it is gone.
#[test]
fn a_pause_outlives_the_journal() {
    let site = Site::new();
    let state = || site.text("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'");
    let ask = |command: &str| {
        site.sql(&format!(
            "INSERT INTO bodrelay_command (command, connection_point, reason) VALUES ('{command}', '*', 'month end')"
        ));
    };
    let lose = || {
        std::fs::remove_dir_all(site.path("state")).unwrap();
        site.sql("UPDATE bodrelay_status SET heartbeat_at = '2026-01-01T00:00:00.000Z'");
    };
    let mut agent = site.start();
    agent.until("its own", || state().as_deref() == Some("running"));
    ask("pause");
    agent.until("the pause", || state().as_deref() == Some("paused"));
    agent.kill();
    lose();
    let row = site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    agent.until("the pause again", || state().as_deref() == Some("paused"));
    let reason =
        site.text("SELECT state_reason FROM bodrelay_status WHERE connection_point = 'CP1'").unwrap();
    assert!(reason.contains("month end"), "{reason}");
    assert_eq!(site.flag(row), Some(0));
    ask("resume");
    agent.until("it goes", || site.flag(row) == Some(1));
    agent.kill();
    lose();
    let row = site.insert(&Entry::new("ITEM-2", 1));
    let mut agent = site.start();
    agent.until("it goes on", || site.flag(row) == Some(1));
    agent.term();
}

#[test]
fn a_lost_journal_gets_its_open_and_failed_messages_back_from_the_log() {
    let site = Site::new();
    site.sql("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    for document_id in ["ITEM-1", "ITEM-2"] {
        site.simulator.add_fault(Fault::refuse(400).for_document(document_id).times(1));
    }
    let held: Vec<i64> = versions(&site, "ITEM-1", 1..=2).into_keys().collect();
    let discarded: Vec<i64> = versions(&site, "ITEM-2", 3..=3).into_keys().collect();
    let keys = || -> Vec<Option<String>> {
        let ids = held.iter().chain(&discarded);
        ids.map(|id| {
            site.text(&format!(
                "SELECT group_concat(message_key || ' ' || message_id) FROM bodrelay_message_log WHERE entry_id = {id}"
            ))
        })
        .collect()
    };
    let mut agent = site.start();
    agent.until("the failures", || [held[0], discarded[0]].iter().all(|id| site.flag(*id) == Some(9)));
    agent.until("the held one's log row", || site.log_of(held[1]).len() == 1);
    site.sql("INSERT INTO bodrelay_command (command, connection_point, document_id, reason) VALUES ('discard', 'CP1', 'ITEM-2', 'not wanted')");
    agent.until("the discard", || site.log_of(discarded[0])[0].state == "discarded");
    agent.term();
    let before = keys();
    std::fs::remove_dir_all(site.path("state")).unwrap();
    site.sql("UPDATE bodrelay_status SET heartbeat_at = '2026-01-01T00:00:00.000Z'");
    // Killed in the middle of getting it back, and once more.
    let mut agent = site.start();
    agent.until("the finding", || site.has_finding("JOURNAL_LOST"));
    agent.kill();
    let mut agent = site.start();
    let fresh: Vec<i64> = versions(&site, "ITEM-3", 4..=4).into_keys().collect();
    agent.until("what comes after", || site.flag(fresh[0]) == Some(1));
    assert_eq!(site.flag(held[1]), Some(0), "it waits for the failed one before it");
    assert!(site.arrivals_of("ITEM-1").is_empty() && site.arrivals_of("ITEM-2").is_empty());
    assert_eq!(keys(), before, "no message got a second row");
    // The DBA sets the failed ones to 0: resubmits, under the same key and id.
    for id in [held[0], discarded[0]] {
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_ID = {id}"));
    }
    agent.until("the rest", || held.iter().chain(&discarded).all(|id| site.flag(*id) == Some(1)));
    agent.term();
    assert_eq!(keys(), before);
    assert_eq!(site.arrivals_of("ITEM-1").len(), 2);
}

#[test]
fn a_log_that_is_longer_than_a_start_reads_is_said_to_be() {
    let site = Site::new();
    versions(&site, "ITEM-1", 1..=1);
    site.drain();
    assert!(!site.has_finding("LOG_NOT_READ_WHOLE"));
    // Ten thousand old failures whose rows are gone.
    site.sql(
        "INSERT INTO bodrelay_message_log (message_key, direction, connection_point, tenant_id, entry_id, state, \
         seen_at, updated_at) \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) \
         SELECT printf('019c0000-0000-7000-8000-%012d', n), 'out', 'CP1', 'T', 1000000 + n, 'failed', \
         '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z' FROM n",
    );
    std::fs::remove_dir_all(site.path("state")).unwrap();
    versions(&site, "ITEM-1", 2..=2);
    site.drain();
    assert!(site.has_finding("LOG_NOT_READ_WHOLE"));
    let text = site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'LOG_NOT_READ_WHOLE'");
    assert!(
        text.as_ref().is_some_and(|text| text.contains("calls failed only the newest 10000")),
        "{text:?}"
    );
}

#[test]
fn both_restored_repeats_under_the_same_ids() {
    let site = Site::new();
    let mut entries = versions(&site, "ITEM-1", 1..=2);
    site.drain();
    site.copy_database(&site.path("erp.db"), &site.path("backup.db"));
    site.copy_database(&site.journal_path(), &site.path("journal.backup"));
    let later: Vec<Entry> = (3..=5).map(|version| Entry::new("ITEM-1", version)).collect();
    entries.extend(site.insert_all(&later).into_iter().zip(later.clone()));
    site.drain();
    site.copy_database(&site.path("backup.db"), &site.path("erp.db"));
    site.copy_database(&site.path("journal.backup"), &site.journal_path());
    // The application writes the same rows once more, as a replayed transaction log does.
    site.insert_all(&later);
    site.drain();
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.distinct, counts.repeats_same, counts.repeats_different), (5, 3, 0), "{counts:?}");
    assert!(entries.keys().all(|id| site.flag(*id) == Some(1)));
}

#[test]
fn a_machine_that_was_put_back_is_told_on_sqlite() {
    a_machine_is_put_back(&Site::new());
}

#[test]
fn a_machine_that_was_put_back_is_told_on_postgres() {
    a_machine_is_put_back(&Site::on_postgres(Options::default()));
}

/// A snapshot of a running machine, journal and database at once, put back two hours later.
fn a_machine_is_put_back(site: &Site) {
    let observe = "UPDATE bodrelay_connection_point SET send_mode = 'observe'";
    let on = "UPDATE bodrelay_connection_point SET send_mode = 'on'";
    let mut agent = site.start();
    let first = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it works", || site.flag(first) == Some(1) && site.is_drained());
    // Rows that wait while the snapshot is made: some of them known to the journal, for a retry.
    site.simulator.add_fault(Fault::refuse(503));
    let mut rows: Vec<i64> = versions(site, "ITEM-2", 1..=3).into_keys().collect();
    agent.until("a refusal", || site.simulator.statuses().contains_key(&503));
    site.sql(observe);
    agent.until("it only looks", || {
        site.text("SELECT state FROM bodrelay_status").as_deref() == Some("observing")
    });
    rows.extend(versions(site, "ITEM-3", 1..=3).into_keys());
    site.sql(on);
    agent.kill();
    site.back_up(&site.path("snapshot"));
    site.copy_database(&site.journal_path(), &site.path("journal.snapshot"));
    site.simulator.clear_faults();
    site.drain();
    assert_eq!(site.simulator.ledger().counts().stored, 7);
    // A plain stop, however long, is told in both.
    age(site, AFTER_ROWS);
    site.once();
    assert!(!site.has_finding("HEARTBEAT_GAP"), "it had ended in order");
    site.restore(&site.path("snapshot"));
    site.copy_database(&site.path("journal.snapshot"), &site.journal_path());
    age(site, AFTER_ROWS);
    site.lapse_owners();
    // What the finding says to do first.
    site.sql(observe);
    site.once();
    assert!(site.has_finding("HEARTBEAT_GAP"));
    assert_eq!(site.simulator.ledger().counts().stored, 7);
    site.sql(on);
    site.drain();
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.repeats_same, counts.repeats_different), (6, 0), "{counts:?}");
    for row in rows {
        let last = site.log_of(row).pop().unwrap();
        assert!(last.in_doubt && last.state == "accepted", "{last:?}");
    }
    assert!(!site.log_of(first).last().unwrap().in_doubt);
}

/// Rows are from 08:00 of the first of March: an agent that ended a day earlier or later, as both remember it.
const BEFORE_ROWS: &str = "2026-02-28T08:00:00.000Z";
const AFTER_ROWS: &str = "2026-03-02T08:00:00.000Z";

fn age(site: &Site, ended: &str) {
    site.sql(&format!("UPDATE bodrelay_host SET heartbeat_at = '{ended}'"));
    age_journal(site, ended);
}

fn age_journal(site: &Site, ended: &str) {
    site.journal()
        .execute("UPDATE site_database SET alive_at = CAST(strftime('%s', ?1) AS INTEGER) * 1000", [ended])
        .unwrap();
}

#[test]
fn a_power_cut_holds_nothing_up_on_sqlite() {
    a_power_cut(&Site::new());
}

#[test]
fn a_power_cut_holds_nothing_up_on_postgres() {
    a_power_cut(&Site::on_postgres(Options::default()));
}

/// Database and journal both know that the agent runs.
fn works(site: &Site) -> bool {
    let stopped = site.journal().query_row("SELECT stopped FROM site_database", [], |row| row.get(0));
    site.text("SELECT state FROM bodrelay_host").as_deref() == Some("running") && stopped == Ok(false)
}

/// It looks as a machine that was put back does: it says so, and everything goes out.
fn a_power_cut(site: &Site) {
    let mut agent = site.start();
    let first = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it works", || site.flag(first) == Some(1) && site.is_drained());
    agent.kill();
    site.lapse_owners();
    // Started again within minutes, it waited for a database that came up late.
    age(site, BEFORE_ROWS);
    age_journal(site, &(SystemClock.now() - chrono::TimeDelta::seconds(60)).to_rfc3339());
    site.once();
    assert!(!site.has_finding("HEARTBEAT_GAP"), "the journal is not that old");
    let mut agent = site.start();
    agent.until("it works", || works(site));
    agent.kill();
    site.lapse_owners();
    age_journal(site, BEFORE_ROWS);
    site.once();
    assert!(!site.has_finding("HEARTBEAT_GAP"), "the database is not that old");
    let mut agent = site.start();
    agent.until("it works", || works(site));
    agent.kill();
    site.lapse_owners();
    age(site, BEFORE_ROWS);
    let after = versions(site, "ITEM-2", 1..=3);
    site.once();
    assert!(site.has_finding("HEARTBEAT_GAP"));
    let text = site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'HEARTBEAT_GAP'").unwrap();
    assert!(text.contains("After a power cut or a kill that is all there is to it"), "{text}");
    assert!(after.keys().all(|row| site.flag(*row) == Some(1)), "they went out at once");
    assert!(site.log().iter().all(|logged| !logged.in_doubt), "rows of after it were never sent");
    site.once();
    assert_eq!(site.simulator.ledger().counts().stored, 4);
}

/// What the database did not hear any more, the journal knows.
#[test]
fn a_stop_while_the_database_is_away_is_no_gap() {
    let site = Site::new();
    let mut agent = site.start();
    let row = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it works", || site.flag(row) == Some(1) && site.is_drained());
    let locked = site.database();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(agent.stop().code(), Some(3), "{}", agent.log());
    locked.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        site.text("SELECT state FROM bodrelay_host").as_deref(),
        Some("running"),
        "it could not say so"
    );
    age(&site, AFTER_ROWS);
    site.lapse_owners();
    site.once();
    assert!(!site.has_finding("HEARTBEAT_GAP"));
}

/// Rows of a table that goes on from a backup have ids that others had: they come after nothing that is there.
#[test]
fn new_rows_after_a_restore_are_not_late_on_sqlite() {
    ids_are_given_again(&Site::new());
}

#[test]
fn new_rows_after_a_restore_are_not_late_on_postgres() {
    ids_are_given_again(&Site::on_postgres(Options::default()));
}

fn ids_are_given_again(site: &Site) {
    versions(site, "ITEM-1", 1..=3);
    site.drain();
    site.back_up(&site.path("backup"));
    versions(site, "ITEM-2", 1..=3);
    versions(site, "ITEM-1", 4..=6);
    site.drain();
    site.restore(&site.path("backup"));
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
    let row = site.insert(&Entry::new("ITEM-1", 10));
    site.drain();
    assert_eq!(site.flag(row), Some(9));
    site.sql("INSERT INTO bodrelay_command (command, connection_point, noun, document_id) VALUES ('resubmit', 'CP1', 'ItemMaster', 'ITEM-1')");
    site.once();
    assert_eq!(site.flag(row), Some(1), "{:?}", site.log_of(row));
    let last = versions(site, "ITEM-1", 11..=12);
    site.drain();
    assert!(last.keys().all(|row| site.flag(*row) == Some(1)));
    assert!(site.log().iter().all(|logged| !logged.late), "{:?}", site.log());
    assert!(!site.has_finding("ROW_COMMITTED_LATE"));
}

#[test]
fn a_copied_database_waits_for_acceptance() {
    let site = Site::new();
    versions(&site, "ITEM-1", 1..=1);
    site.drain();
    std::fs::rename(site.path("erp.db"), site.path("old.db")).unwrap();
    site.copy_database(&site.path("old.db"), &site.path("erp.db"));
    let new = versions(&site, "ITEM-1", 2..=2);
    let id = *new.keys().next().unwrap();
    assert_eq!(site.once(), 2);
    assert_eq!(site.flag(id), Some(0));
    assert_eq!(site.simulator.ledger().counts().stored, 1, "nothing is sent from a copy");
    site.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('accept_database', '*')");
    site.drain();
    assert_eq!(site.flag(id), Some(1));
    assert_eq!(site.simulator.ledger().counts().stored, 2);
}

/// The commonest accident of a test site: production is restored over its database, with all that waits there.
#[test]
fn a_copy_of_production_over_a_test_database_sends_nothing() {
    production_is_restored_over(Site::new(), Site::new());
}

#[test]
fn a_copy_of_production_over_a_test_database_on_postgres_sends_nothing() {
    production_is_restored_over(Site::on_postgres(Options::default()), Site::on_postgres(Options::default()));
}

fn production_is_restored_over(production: Site, test: Site) {
    let (dump, own) = (test.path("production.dump"), test.path("own.dump"));
    let sent = || test.simulator.ledger().counts().posts;
    versions(&test, "TEST-1", 1..=2);
    test.drain();
    versions(&production, "ITEM-1", 1..=2);
    production.drain();
    versions(&production, "ITEM-1", 3..=8);
    for refresh in 1..=2 {
        production.back_up(&dump);
        test.restore(&dump);
        // A test site waits for nobody's lapse.
        test.lapse_owners();
        let before = sent();
        for _ in 0..2 {
            assert_eq!(test.once(), 2, "refresh {refresh}");
            assert_eq!(test.waiting(), 6, "refresh {refresh}");
        }
        assert!(test.has_open_finding("DATABASE_COPIED") && !test.has_finding("DATABASE_RESTORED"));
        let text =
            test.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'DATABASE_COPIED'").unwrap();
        assert!(text.contains("host1"), "{text}");
        let (code, said, _) = test.command_output("check", &[]);
        assert!(code == 1 && said.contains("DATABASE_COPIED"), "{code} {said}");
        assert_eq!(sent(), before, "nothing is sent from a copy");
        test.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('accept_database', '*')");
        test.drain();
        assert_eq!((test.waiting(), test.once()), (0, 0), "it is meant, and stays so");
        assert!(!test.has_open_finding("DATABASE_COPIED"));
        // Production goes on meanwhile; so does the next copy of it.
        production.once();
        versions(&production, "ITEM-1", 9..=14);
    }
    // The test site's own database, restored: that is no copy, though production's agent is still in it.
    let before = sent();
    versions(&test, "TEST-2", 1..=3);
    test.back_up(&own);
    test.drain();
    test.restore(&own);
    test.lapse_owners();
    test.drain();
    assert!(test.has_finding("DATABASE_RESTORED") && !test.has_open_finding("DATABASE_COPIED"));
    assert_eq!((test.waiting(), sent()), (0, before + 3), "nothing twice");
}

/// A second agent of the same database, at other connection points: the one sees the other, and both go on.
#[test]
fn a_second_agent_is_no_copy() {
    let site = Site::on_postgres(Options::default());
    let mut first = site.start();
    let hosts = || site.number("SELECT count(*) FROM bodrelay_host WHERE state = 'running'");
    first.until("the first", || hosts() == 1);
    let mut second = site.start_beside("host2", "state2", "PLANT2");
    second.until("the second", || hosts() == 2);
    // It lost its database for a moment, and met it again; then it starts anew.
    site.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'bodrelay %'",
    );
    let row = site.insert(&Entry::new("ITEM-1", 1));
    first.until("it goes on", || site.flag(row) == Some(1));
    first.term();
    second.term();
    let row = site.insert(&Entry::new("ITEM-1", 2));
    site.drain();
    assert_eq!(site.flag(row), Some(1));
    for code in ["DATABASE_COPIED", "DATABASE_RESTORED", "JOURNAL_CLONED", "JOURNAL_RESTORED"] {
        assert!(!site.has_finding(code), "{code}");
    }
}

/// A claim that fails again and again (here: somebody has the file locked) is no restore; one by a single epoch is.
#[test]
fn failed_claims_are_no_restore() {
    let site = Site::new();
    let text = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let text = text.replace("path = \"erp.db\"", "path = \"erp.db\"\nstatement_timeout_seconds = 1");
    std::fs::write(site.path("bodrelay.toml"), text).unwrap();
    versions(&site, "ITEM-1", 1..=2);
    site.drain();
    let database = site.database();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..3 {
        assert_eq!(site.once(), 3, "it cannot raise its epoch");
    }
    database.execute_batch("COMMIT").unwrap();
    drop(database);
    versions(&site, "ITEM-1", 3..=3);
    site.drain();
    assert!(!site.has_finding("DATABASE_RESTORED") && !site.has_finding("JOURNAL_RESTORED"));
    site.back_up(&site.path("backup.db"));
    let mut agent = site.start();
    agent.until("it is met", || {
        site.number("SELECT count(*) FROM bodrelay_host WHERE state = 'running'") == 1
    });
    agent.kill();
    site.restore(&site.path("backup.db"));
    site.drain();
    assert!(site.has_finding("DATABASE_RESTORED"), "by the one epoch of that start");
    assert_eq!(site.simulator.ledger().counts().posts, 3);
}

/// The journal was lost and a new one begun; then somebody finds a copy of the old one and puts it back.
#[test]
fn an_earlier_journal_is_put_back() {
    let site = Site::new();
    versions(&site, "ITEM-1", 1..=2);
    site.drain();
    site.copy_database(&site.journal_path(), &site.path("journal.backup"));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(site.path(&format!("state/journal.sqlite{suffix}")));
    }
    versions(&site, "ITEM-1", 3..=4);
    site.drain();
    assert!(site.has_finding("JOURNAL_LOST"));
    site.copy_database(&site.path("journal.backup"), &site.journal_path());
    versions(&site, "ITEM-1", 5..=6);
    site.drain();
    assert!(site.has_finding("JOURNAL_RESTORED") && !site.has_finding("DATABASE_COPIED"));
    assert_eq!(site.simulator.ledger().counts().posts, 6);
}

#[test]
fn a_write_error_keeps_outcomes_until_there_is_room() {
    let site = Site::new();
    // Slow enough that some are out when the journal meets the limit.
    site.simulator.add_fault(Fault::new(What::Slow { ms: 2 }));
    let rows: Vec<Entry> =
        (1..=400).map(|number| Entry::new(&format!("ITEM-{}", number % 16), number)).collect();
    let entries: BTreeMap<i64, Entry> = site.insert_all(&rows).into_iter().zip(rows).collect();
    drop(site.database());
    // Room for the application's database; the journal's own log, which grows faster, runs into it.
    let limit = std::fs::metadata(site.path("erp.db")).unwrap().len() / 1024 + 64;
    let mut agent = site.start_with_file_limit(limit);
    agent.until_says("nothing new begins until the journal can be written");
    assert!(site.waiting() > 0, "the limit came too late to prove anything");
    agent.until("the finding", || site.has_open_finding("JOURNAL_FULL"));
    agent.lift_file_limit();
    agent.until("the rest", || site.waiting() == 0 && site.is_drained());
    agent.until("its end", || !site.has_open_finding("JOURNAL_FULL"));
    agent.term();
    let verdict = site.judge(&entries);
    assert_eq!(
        (verdict.accepted, verdict.repeated),
        (400, 0),
        "what was out was recorded later, not sent again"
    );
}

/// Whatever keeps rows waiting, `once` ends, and its exit code says so: cron starts the next one.
#[test]
fn once_ends_where_nothing_can_go() {
    let site = Site::new();
    // A message that waits for a retry, and then may not go.
    site.simulator.add_fault(Fault::refuse(503).times(1));
    let row = site.insert(&Entry::new("ITEM-1", 1));
    assert_eq!(site.once(), 75);
    site.sql("UPDATE bodrelay_connection_point SET send_mode = 'observe'");
    site.journal().execute("UPDATE scope SET not_before = 0", []).unwrap();
    assert_eq!((site.once(), site.flag(row)), (0, Some(0)));
    site.sql("UPDATE bodrelay_connection_point SET send_mode = 'on', batch_rows = 5000");
    // No disk for the journal.
    site.write_configuration("minimum_free_mb = 1000000000");
    assert_eq!((site.once(), site.flag(row)), (75, Some(0)));
    site.write_configuration("");
    // ION is away, and more rows wait than memory takes: in this run, and in the next one, which has them in its journal.
    let rows: Vec<Entry> = (2..=20_500).map(|number| Entry::new(&format!("ITEM-{number}"), number)).collect();
    site.insert_all(&rows);
    site.sql("UPDATE bodrelay_connection_point SET backoff_step_seconds = 600, backoff_max_seconds = 600");
    site.simulator.add_fault(Fault::refuse(503));
    assert_eq!((site.once(), site.once()), (75, 75));
    site.simulator.clear_faults();
    site.journal().execute("UPDATE scope SET not_before = 0", []).unwrap();
    assert_eq!((site.once(), site.waiting()), (0, 0));
}

#[test]
fn little_space_begins_nothing_and_goes_on_by_itself() {
    let site = Site::new();
    site.write_configuration("minimum_free_mb = 1000000000");
    let entries = versions(&site, "ITEM-1", 1..=3);
    let mut agent = site.start();
    agent.until("the finding", || site.has_open_finding("DISK_NEARLY_FULL"));
    assert_eq!(site.simulator.ledger().counts().posts, 0);
    agent.term();
    assert_eq!(site.waiting(), 3);
    site.write_configuration("");
    site.drain();
    assert_eq!(site.judge(&entries).accepted, 3);
}

/// The application's file cannot grow: what ION accepted is flagged when it can, and not sent again.
#[test]
fn a_full_database_is_waited_for() {
    let site = Site::new();
    let database = site.database();
    // A rollback journal, so that a settle needs room in the file itself; far larger than the agent's own files.
    let mode: String = database.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    database
        .execute_batch("CREATE TABLE filler (x BLOB); INSERT INTO filler VALUES (zeroblob(64 * 1024 * 1024))")
        .unwrap();
    let rows: Vec<Entry> =
        (1..=200).map(|version| Entry::new(&format!("ITEM-{}", version % 9), version)).collect();
    let entries: BTreeMap<i64, Entry> = site.insert_all(&rows).into_iter().zip(rows).collect();
    drop(database);
    let limit = std::fs::metadata(site.path("erp.db")).unwrap().len() / 1024 + 8;
    let mut agent = site.start_with_file_limit(limit);
    agent.until_says("the database is left alone for a moment");
    assert!(site.waiting() > 0, "the limit came too late to prove anything");
    agent.lift_file_limit();
    agent.until("the rest", || site.waiting() == 0 && site.is_drained());
    agent.until("it is told no more", || !site.has_open_finding("DATABASE_UNAVAILABLE"));
    agent.term();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.repeated), (200, 0));
}

/// The application's file is damaged while the agent runs: it says so, touches nothing, and goes on with the file that is
/// put back.
#[test]
fn a_damaged_database_is_said_and_left_alone() {
    let site = Site::new();
    let first = site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    agent.until("the first one", || site.flag(first) == Some(1));
    agent.term();
    let mut entries: BTreeMap<i64, Entry> = [(first, Entry::new("ITEM-1", 1))].into();
    for version in 2..=30 {
        let entry = Entry::new("ITEM-1", version);
        entries.insert(site.insert(&entry), entry);
    }
    site.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let good = std::fs::read(site.path("erp.db")).unwrap();
    let mut bad = good.clone();
    bad[4096..].fill(0xFF);
    // In place: another file would be another database to the agent.
    std::fs::write(site.path("erp.db"), &bad).unwrap();
    let mut agent = site.start();
    agent.until_says("is damaged");
    let posts = site.simulator.ledger().counts().posts;
    assert_eq!(posts, 1, "nothing is sent from it");
    let now = std::fs::read(site.path("erp.db")).unwrap();
    assert!(now[4096..].iter().all(|byte| *byte == 0xFF), "it was not written to");
    for suffix in ["erp.db-wal", "erp.db-shm"] {
        let _ = std::fs::remove_file(site.path(suffix));
    }
    std::fs::write(site.path("erp.db"), &good).unwrap();
    agent.until("the rest", || site.waiting() == 0 && site.is_drained());
    agent.term();
    assert_eq!(site.judge(&entries).accepted, entries.len());
}

/// The agent's user may read the application's file and not write it: nothing is sent that could not be flagged.
#[test]
fn a_file_that_may_not_be_written_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let entries = versions(&site, "ITEM-1", 1..=3);
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(site.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    site.sql("PRAGMA journal_mode = DELETE");
    for (name, rights) in [("", 0o777), ("erp.db", 0o444), ("sim.ionapi", 0o644)] {
        mode(name, rights);
    }
    let ended = |output: std::process::Output| {
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let (code, said) = ended(site.as_nobody("once"));
    assert!(code == Some(3) && said.contains("may not be written"), "{code:?} {said}");
    assert_eq!(site.simulator.ledger().counts().posts, 0);
    mode("erp.db", 0o666);
    let (code, said) = ended(site.as_nobody("once"));
    assert_eq!(code, Some(0), "{said}");
    assert!(entries.keys().all(|row| site.flag(*row) == Some(1)), "{said}");
}

#[test]
fn a_truncated_table_uses_its_ids_again() {
    let site = Site::new();
    versions(&site, "ITEM-1", 1..=4);
    let mut agent = site.start();
    agent.until("the first rows", || site.waiting() == 0);
    site.sql("DELETE FROM COR_OUTBOX_ENTRY; DELETE FROM COR_OUTBOX_HEADERS; DELETE FROM sqlite_sequence");
    let entries = versions(&site, "ITEM-1", 5..=7);
    assert_eq!(*entries.keys().next().unwrap(), 1);
    agent.until("the reused ids", || site.waiting() == 0);
    agent.until("an idle journal", || site.is_drained());
    agent.term();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.repeated), (3, 0));
    assert_eq!(site.simulator.ledger().counts().stored, 7);
    assert!(!site.has_finding("ROW_COMMITTED_LATE"), "what had these ids before is no later row");
}

#[test]
fn a_dba_sets_1_back_to_0_and_nothing_is_sent() {
    let site = Site::new();
    let entries = versions(&site, "ITEM-1", 1..=2);
    site.drain();
    set_flag(&site, 1, 0);
    site.drain();
    assert_eq!(site.flag(1), Some(1));
    assert_eq!(site.simulator.ledger().counts().posts, 2);
    assert!(site.has_finding("SENT_BEFORE"));
    site.judge(&entries);
}

#[test]
fn a_dba_sets_9_back_to_0_and_it_goes_under_the_same_id() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(400).times(1));
    let entries = versions(&site, "ITEM-1", 1..=2);
    site.drain();
    assert_eq!((site.flag(1), site.flag(2)), (Some(9), Some(1)));
    let failed = site.log_of(1)[0].clone();
    assert_eq!(failed.failure_code.as_deref(), Some("HTTP_400"));
    set_flag(&site, 1, 0);
    site.drain();
    let logged = site.log_of(1);
    assert_eq!(logged.len(), 1, "one message, one row: {logged:?}");
    assert_eq!((logged[0].state.as_str(), logged[0].late), ("accepted", true), "{logged:?}");
    assert_eq!(logged[0].message_id, failed.message_id);
    assert_eq!(site.flag(1), Some(1));
    let versions: Vec<_> = site.arrivals_of("ITEM-1").iter().map(|arrival| arrival.variation_id).collect();
    assert_eq!(versions, [Some(2), Some(1)], "the DBA asked for the older one after the newer one");
    assert_eq!(entries.len(), 2);
}

#[test]
fn a_corrected_row_keeps_its_id_after_a_definite_rejection() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(400).times(1));
    let id = site.insert(&Entry::new("ITEM-1", 1).message_id("erp-77"));
    site.drain();
    assert_eq!(site.flag(id), Some(9));
    let corrected = Entry::new("ITEM-1", 2).created(&Entry::new("ITEM-1", 1).created);
    rewrite(&site, id, &corrected);
    site.drain();
    assert_eq!(site.flag(id), Some(1));
    assert_eq!(site.states_of(id), ["superseded", "accepted"]);
    let ids: Vec<String> = site.log_of(id).into_iter().map(|logged| logged.message_id).collect();
    assert_eq!(ids, ["erp-77", "erp-77"]);
    assert_eq!(site.simulator.ledger().counts().repeats_different, 0);
}

#[test]
fn a_corrected_row_loses_its_id_after_acceptance() {
    let site = Site::new();
    let id = site.insert(&Entry::new("ITEM-1", 1).message_id("erp-77"));
    site.drain();
    let corrected = Entry::new("ITEM-1", 2).created(&Entry::new("ITEM-1", 1).created);
    rewrite(&site, id, &corrected);
    site.drain();
    assert_eq!(site.flag(id), Some(1));
    let logged = site.log_of(id);
    assert_eq!(site.states_of(id), ["accepted", "accepted"]);
    assert_eq!(logged[0].message_id, "erp-77");
    assert_ne!(logged[1].message_id, "erp-77", "ION has this id with other bytes");
    assert_eq!(site.simulator.ledger().counts().repeats_different, 0);
}

#[test]
fn a_corrected_row_loses_its_id_after_doubt() {
    let site = Site::new();
    site.simulator.add_fault(Fault::new(What::StoreThenLoseAnswer).times(1));
    site.simulator.add_fault(Fault::refuse(503));
    let id = site.insert(&Entry::new("ITEM-1", 1).message_id("erp-77"));
    let mut agent = site.start();
    agent.until("a refusal", || site.simulator.statuses().contains_key(&503));
    agent.kill();
    let corrected = Entry::new("ITEM-1", 2).created(&Entry::new("ITEM-1", 1).created);
    rewrite(&site, id, &corrected);
    site.simulator.clear_faults();
    site.drain();
    assert_eq!(site.states_of(id), ["superseded", "accepted"]);
    let logged = site.log_of(id);
    assert_ne!(logged[1].message_id, "erp-77", "ION may have this id with other bytes: {logged:?}");
    assert_eq!(site.simulator.ledger().counts().repeats_different, 0);
}

#[test]
fn rows_taken_back_while_they_wait_are_withdrawn() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(503));
    let entries = versions(&site, "ITEM-1", 1..=3);
    let mut agent = site.start();
    agent.until("a refusal", || !site.simulator.statuses().is_empty());
    site.sql(
        "DELETE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = 1; DELETE FROM COR_OUTBOX_ENTRY WHERE C_ID = 1",
    );
    set_flag(&site, 2, 1);
    site.simulator.clear_faults();
    agent.until("the rest", || site.waiting() == 0 && site.is_drained());
    agent.term();
    assert_eq!(site.states_of(1), ["withdrawn"]);
    assert_eq!(site.states_of(2), ["withdrawn"]);
    assert_eq!(site.states_of(3), ["accepted"]);
    assert_eq!(site.log_of(1)[0].failure_code.as_deref(), Some("ROW_GONE"));
    assert_eq!(site.log_of(2)[0].failure_code.as_deref(), Some("ROW_FLAGGED"));
    assert_eq!(site.simulator.ledger().counts().stored, 1);
    assert_eq!(entries.len(), 3);
}

#[test]
fn a_message_id_of_another_row_fails_with_its_code() {
    let site = Site::new();
    let first = site.insert(&Entry::new("ITEM-1", 1).message_id("erp-1"));
    site.drain();
    let second = site.insert(&Entry::new("ITEM-2", 1).message_id("erp-1"));
    site.drain();
    assert_eq!((site.flag(first), site.flag(second)), (Some(1), Some(9)));
    assert_eq!(site.log_of(second)[0].failure_code.as_deref(), Some("MESSAGE_ID_REUSED"));
    assert_eq!(site.simulator.ledger().counts().stored, 1);
}
