//! README's recovery table, line by line, on SQLite and PostgreSQL: each accident happens to a real site, and a second
//! database that holds the truth judges how it ends.
//!
//! What the application committed goes into it when it is committed, whatever is restored later; what ION took, when
//! all is over. What the site's own tables say then is compared with both by SQL.

// Kills are told by their signals.
#![cfg(target_os = "linux")]

mod site;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, What};
use rusqlite::Connection;
use site::{Entry, Site};

/// A line of the table, and what is tried for it.
type Line = (&'static str, fn(&Scene));

/// The first column of the table, as far as it is unique, and how the accident goes.
const LINES: &[Line] = &[
    ("ION or the network is down", ion_is_down),
    ("ION does not accept a type or the flow is inactive", a_type_is_not_accepted),
    ("ION refuses one document, however often", a_document_is_refused),
    ("ION rejects one document", a_document_is_rejected),
    ("a `resend` fails", a_resend_fails),
    ("the same with `after_failure = 'hold'`", a_failure_holds),
    ("the answer was lost", an_answer_is_lost),
    ("the process or machine is killed", the_process_is_killed),
    ("documents must stop at once", it_is_paused),
    ("a receiver lost what ION had accepted", it_is_sent_again),
    ("the database was restored, also while the agent runs", the_database_is_restored),
    ("the journal was lost, a copy of `bodrelay backup` is there", the_journal_is_put_back),
    ("the journal is damaged", the_journal_is_damaged),
    ("the journal was lost |", the_journal_is_lost),
    ("two agents for one connection point", two_agents),
    ("the disk is nearly full", the_disk_is_full),
];

/// Lines that have tests of their own, with what else these need.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "journal and database are restored together",
        "recovery.rs a_machine_that_was_put_back_is_told_on_postgres",
    ),
    (
        "a copy of another database is in its place",
        "recovery.rs a_copy_of_production_over_a_test_database_on_postgres_sends_nothing",
    ),
    ("the database fails over to a standby", "postgres.rs a_failover_loses_nothing_and_sends_nothing_twice"),
    ("the database is full, damaged or read-only", "recovery.rs a_full_database_is_waited_for"),
    ("the database refuses one row", "refusals.rs a_row_that_a_trigger_refuses_stops_only_itself"),
    ("rows wait and nobody knows why", "told.rs what_waits_says_for_whom"),
    ("ION sends and the database is away", "receiver/crashes.rs the_database_is_cut_in_mid_transaction"),
    ("ION repeats a document", "receiver/crashes.rs killed_after_the_commit_on_postgres"),
    (
        "the database in its place is another one",
        "receiver/crashes.rs another_database_in_its_place_gets_nothing",
    ),
];

#[test]
fn the_readme_has_these_lines_and_no_others() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, table) = readme.split_once("\n## When things break\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let told: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| ")).skip(2).collect();
    let known = || LINES.iter().map(|(line, _)| *line).chain(ELSEWHERE.iter().map(|(line, _)| *line));
    for line in &told {
        let tests = known().filter(|known| line.starts_with(known)).count();
        assert_eq!(tests, 1, "tests of README's line: {line}");
    }
    assert_eq!(told.len(), known().count(), "a line that is tested and not in README");
    for (line, test) in ELSEWHERE {
        let (file, name) = test.split_once(' ').unwrap();
        let text = std::fs::read_to_string(format!("tests/{file}")).unwrap();
        assert!(text.contains(&format!("fn {name}()")), "{line}: there is no test {test}");
    }
}

#[test]
fn every_line_ends_as_it_says_on_sqlite() {
    for (line, accident) in LINES {
        eprintln!("{line}");
        accident(&Scene::of(Site::new()));
    }
}

#[test]
fn every_line_ends_as_it_says_on_postgres() {
    for (line, accident) in LINES {
        eprintln!("{line}");
        accident(&Scene::of(Site::on_postgres(Options::default())));
    }
}

/// A site, and the truth beside it.
struct Scene {
    site: Site,
    truth: Connection,
}

impl Scene {
    fn of(site: Site) -> Self {
        let truth = Connection::open(site.path("truth.db")).unwrap();
        truth
            .execute_batch(
                "CREATE TABLE written (digest TEXT PRIMARY KEY, entry_id INT, document_id TEXT, version INT, gone INT); \
                 CREATE TABLE arrived (sequence INT, digest TEXT, message_id TEXT, document_id TEXT, version INT); \
                 CREATE TABLE said (entry_id INT, digest TEXT, state TEXT, in_doubt INT, late INT, flag INT)",
            )
            .unwrap();
        Self { site, truth }
    }

    /// The application commits versions of a document.
    fn write(&self, document_id: &str, versions: std::ops::RangeInclusive<i64>) -> Vec<i64> {
        let entries: Vec<Entry> = versions.map(|version| Entry::new(document_id, version)).collect();
        let ids = self.site.insert_all(&entries);
        for (id, entry) in ids.iter().zip(&entries) {
            let digest = entry.digest(self.site.tenant_id()).to_string();
            self.truth
                .execute(
                    "INSERT INTO written VALUES (?1, ?2, ?3, ?4, 0)",
                    (digest, id, &entry.document_id, entry.version),
                )
                .unwrap();
        }
        ids
    }

    /// A restore took these rows away.
    fn lose(&self, rows: &[i64]) {
        for row in rows {
            self.truth.execute("UPDATE written SET gone = 1 WHERE entry_id = ?1", [row]).unwrap();
        }
    }

    fn set_flag(&self, row: i64, flag: i64) {
        self.site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = {flag} WHERE C_ID = {row}"));
    }

    fn command(&self, command: &str, columns: &str, values: &str) {
        self.site.sql(&format!(
            "INSERT INTO bodrelay_command (command, connection_point{columns}) VALUES ('{command}', 'CP1'{values})"
        ));
    }

    /// How it ended: `repeats`, documents that ION has more than once; `findings` that must be there.
    fn ends(&self, repeats: i64, findings: &[&str]) {
        let Self { site, truth } = self;
        for arrival in site.simulator.ledger().arrivals() {
            truth
                .execute(
                    "INSERT INTO arrived VALUES (?1, ?2, ?3, ?4, ?5)",
                    (
                        i64::try_from(arrival.sequence).unwrap(),
                        arrival.digest.to_string(),
                        &*arrival.message_id,
                        arrival.document_id.as_deref(),
                        arrival.variation_id,
                    ),
                )
                .unwrap();
        }
        for logged in site.log() {
            truth
                .execute(
                    "INSERT INTO said VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    (
                        logged.entry_id,
                        logged.digest,
                        logged.state,
                        logged.in_doubt,
                        logged.late,
                        site.flag(logged.entry_id),
                    ),
                )
                .unwrap();
        }
        let none = |what: &str, sql: &str| {
            let mut statement = truth.prepare(sql).unwrap();
            let found: Vec<String> =
                statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(found, Vec::<String>::new(), "{what}: {:?}", site.log());
        };
        none(
            "neither accepted nor failed",
            "SELECT document_id || ' ' || version FROM written AS w WHERE gone = 0 AND NOT EXISTS \
             (SELECT 1 FROM said AS s WHERE s.entry_id = w.entry_id AND s.digest = w.digest AND \
              (s.state, s.flag) IN (VALUES ('accepted', 1), ('failed', 9)))",
        );
        none(
            "called accepted, and ION does not have it",
            "SELECT entry_id FROM said WHERE state = 'accepted' AND digest NOT IN (SELECT digest FROM arrived)",
        );
        none(
            "ION has it, and its row does not say so",
            "SELECT document_id || ' ' || version FROM written AS w WHERE gone = 0 AND digest IN (SELECT digest FROM arrived) \
             AND NOT EXISTS (SELECT 1 FROM said AS s WHERE s.digest = w.digest AND s.flag = 1)",
        );
        none(
            "nobody wrote it",
            "SELECT message_id FROM arrived WHERE digest NOT IN (SELECT digest FROM written)",
        );
        none(
            "one message id for two documents",
            "SELECT message_id FROM arrived GROUP BY message_id HAVING count(DISTINCT digest) > 1",
        );
        none(
            "came twice under one id, and nobody said that it might",
            "SELECT a.message_id FROM arrived AS a GROUP BY a.message_id, a.digest HAVING count(*) > 1 AND NOT EXISTS \
             (SELECT 1 FROM said AS s WHERE s.digest = a.digest AND s.in_doubt = 1)",
        );
        none(
            "an older version after a newer one, unasked",
            "SELECT b.document_id || ' ' || b.version FROM arrived AS a JOIN arrived AS b ON b.document_id = a.document_id \
             AND b.sequence > a.sequence AND b.version < a.version \
             WHERE NOT EXISTS (SELECT 1 FROM said AS s WHERE s.digest = b.digest AND (s.late = 1 OR s.in_doubt = 1))",
        );
        let twice = "SELECT count(*) FROM (SELECT 1 FROM arrived GROUP BY digest HAVING count(*) > 1)";
        let twice: i64 = truth.query_row(twice, [], |row| row.get(0)).unwrap();
        assert_eq!(twice, repeats, "documents that came more than once");
        for code in findings {
            assert!(site.has_finding(code), "{code} is not told");
        }
    }
}

fn ion_is_down(scene: &Scene) {
    for status in [429, 500, 502, 503, 504] {
        scene.site.simulator.add_fault(Fault::refuse(status).times(1));
    }
    scene.write("ITEM-1", 1..=3);
    scene.write("ITEM-2", 1..=3);
    scene.site.drain();
    scene.ends(0, &[]);
}

fn a_type_is_not_accepted(scene: &Scene) {
    scene.site.simulator.add_fault(Fault::refuse(403));
    scene.write("ITEM-1", 1..=3);
    let mut agent = scene.site.start();
    agent.until("the type waits", || scene.site.has_open_finding("TYPE_SUSPENDED"));
    assert_eq!(scene.site.waiting(), 3);
    scene.site.simulator.clear_faults();
    agent.until("it goes on by itself", || scene.site.is_drained());
    agent.term();
    scene.ends(0, &["TYPE_SUSPENDED"]);
}

fn a_document_is_rejected(scene: &Scene) {
    scene.site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
    let rows = scene.write("ITEM-1", 1..=1);
    scene.write("ITEM-2", 1..=3);
    scene.site.drain();
    assert_eq!(scene.site.flag(rows[0]), Some(9));
    scene.set_flag(rows[0], 0);
    scene.site.drain();
    assert_eq!(scene.site.flag(rows[0]), Some(1));
    scene.ends(0, &["MESSAGES_FAILED"]);
}

fn a_document_is_refused(scene: &Scene) {
    let site = &scene.site;
    site.simulator.add_fault(Fault::refuse(503).for_document("ITEM-1"));
    scene.write("ITEM-1", 1..=2);
    let others = scene.write("ITEM-2", 1..=5);
    let mut agent = site.start();
    agent.until("the others", || others.iter().all(|row| site.flag(*row) == Some(1)));
    agent.until("it is judged alone", || site.has_open_finding("DOCUMENT_REFUSED_ALONE"));
    site.simulator.clear_faults();
    agent.until("it goes on by itself", || site.is_drained() && site.waiting() == 0);
    agent.term();
    scene.ends(0, &["DOCUMENT_REFUSED_ALONE"]);
}

fn a_resend_fails(scene: &Scene) {
    let site = &scene.site;
    let rows = scene.write("ITEM-1", 1..=1);
    site.drain();
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
    scene.command("resend", ", noun, document_id", ", 'ItemMaster', 'ITEM-1'");
    let mut agent = site.start();
    let failed = || site.log_of(rows[0]).iter().any(|logged| logged.state == "failed");
    agent.until("it failed", failed);
    assert_eq!(site.flag(rows[0]), Some(1));
    let later = scene.write("ITEM-1", 2..=3);
    agent.until("nothing waits for it", || later.iter().all(|row| site.flag(*row) == Some(1)));
    let key = "SELECT message_key FROM bodrelay_message_log WHERE state = 'failed'";
    let key = site.text(key).unwrap();
    scene.command("discard", ", message_key, reason", &format!(", '{key}', 'not needed'"));
    agent.until("it is given up", || !failed());
    agent.term();
    scene.ends(0, &[]);
}

fn a_failure_holds(scene: &Scene) {
    scene.site.sql("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    scene.site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
    let rows = scene.write("ITEM-1", 1..=4);
    let mut agent = scene.site.start();
    agent.until("the failure", || scene.site.flag(rows[0]) == Some(9));
    scene.command("resubmit", ", noun, document_id", ", 'ItemMaster', 'ITEM-1'");
    agent.until("they follow", || scene.site.is_drained() && scene.site.flag(rows[3]) == Some(1));
    agent.term();
    assert!(scene.site.log().iter().all(|logged| !logged.late));
    scene.ends(0, &[]);
}

fn an_answer_is_lost(scene: &Scene) {
    scene.site.simulator.add_fault(Fault::new(What::StoreThenLoseAnswer).for_document("ITEM-1").times(1));
    scene.write("ITEM-1", 1..=3);
    scene.write("ITEM-2", 1..=3);
    scene.site.drain();
    scene.ends(1, &[]);
}

fn the_process_is_killed(scene: &Scene) {
    scene.site.simulator.add_fault(Fault::new(What::Slow { ms: 5 }));
    (1..=8).for_each(|document| _ = scene.write(&format!("ITEM-{document}"), 1..=20));
    for more in 1..=3 {
        let mut agent = scene.site.start();
        let stored = || scene.site.simulator.ledger().counts().stored;
        agent.until("it sends", || stored() > more * 20);
        agent.kill();
    }
    scene.site.simulator.clear_faults();
    scene.site.drain();
    let counts = scene.site.simulator.ledger().counts();
    assert_eq!(counts.distinct, 160);
    scene.ends(i64::try_from(counts.repeats_same).unwrap(), &[]);
}

fn it_is_paused(scene: &Scene) {
    let state = || scene.site.text("SELECT state FROM bodrelay_status").unwrap_or_default();
    let mut agent = scene.site.start();
    agent.until("it runs", || state() == "running");
    scene.command("pause", "", "");
    agent.until("the pause", || state() == "paused");
    agent.term();
    scene.write("ITEM-1", 1..=3);
    let mut agent = scene.site.start();
    agent.until("the pause, still", || state() == "paused");
    assert_eq!((scene.site.waiting(), scene.site.simulator.ledger().counts().posts), (3, 0));
    scene.command("resume", "", "");
    agent.until("it goes on", || scene.site.is_drained() && scene.site.waiting() == 0);
    agent.term();
    scene.ends(0, &[]);
}

fn it_is_sent_again(scene: &Scene) {
    scene.write("ITEM-1", 1..=1);
    scene.write("ITEM-2", 1..=1);
    scene.site.drain();
    scene.command("resend", ", noun, document_id", ", 'ItemMaster', 'ITEM-1'");
    let mut agent = scene.site.start();
    agent.until("it comes again", || scene.site.arrivals_of("ITEM-1").len() == 2);
    agent.until("it is told", || {
        scene.site.text("SELECT state FROM bodrelay_command").as_deref() == Some("done")
    });
    agent.term();
    scene.ends(1, &[]);
}

/// While it is stopped, then beneath it while it runs; the application goes on under the same ids.
fn the_database_is_restored(scene: &Scene) {
    let (site, backup) = (&scene.site, scene.site.path("backup"));
    scene.write("ITEM-1", 1..=3);
    site.drain();
    site.back_up(&backup);
    let lost = scene.write("ITEM-2", 1..=4);
    site.drain();
    site.restore(&backup);
    scene.lose(&lost);
    scene.write("ITEM-3", 1..=3);
    scene.set_flag(1, 0);
    site.drain();
    site.back_up(&backup);
    let mut agent = site.start();
    let lost = scene.write("ITEM-4", 1..=4);
    agent.until("they went", || site.is_drained() && lost.iter().all(|row| site.flag(*row) == Some(1)));
    site.restore(&backup);
    scene.lose(&lost);
    let last = scene.write("ITEM-5", 1..=3);
    agent.until("the others", || site.is_drained() && last.iter().all(|row| site.flag(*row) == Some(1)));
    agent.term();
    scene.ends(0, &["DATABASE_RESTORED", "SENT_BEFORE"]);
}

fn the_journal_is_put_back(scene: &Scene) {
    let site = &scene.site;
    scene.write("ITEM-1", 1..=3);
    site.drain();
    let copy = site.path("copy.sqlite");
    assert_eq!(site.command_output("backup", &[copy.to_str().unwrap()]).0, 0);
    scene.write("ITEM-1", 4..=6);
    site.drain();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(site.path(&format!("state/journal.sqlite{suffix}")));
    }
    std::fs::copy(&copy, site.journal_path()).unwrap();
    scene.write("ITEM-1", 7..=9);
    site.drain();
    scene.ends(0, &["JOURNAL_RESTORED"]);
}

fn the_journal_is_damaged(scene: &Scene) {
    let site = &scene.site;
    scene.write("ITEM-1", 1..=3);
    site.drain();
    let copy = site.path("copy.sqlite");
    assert_eq!(site.command_output("backup", &[copy.to_str().unwrap()]).0, 0);
    scene.write("ITEM-1", 4..=6);
    site.drain();
    // All of it in one file, whatever the agent's end left beside it.
    site.journal().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    std::fs::write(site.journal_path(), b"this is no database, and it is longer than a header".repeat(9))
        .unwrap();
    scene.write("ITEM-1", 7..=9);
    assert_eq!(site.command_output("run", &[]).0, 2);
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("journal.sqlite{suffix}");
        let _ = std::fs::rename(site.path(&format!("state/{name}")), site.path(&name));
    }
    std::fs::copy(&copy, site.journal_path()).unwrap();
    site.drain();
    scene.ends(0, &["JOURNAL_RESTORED"]);
}

fn the_journal_is_lost(scene: &Scene) {
    let site = &scene.site;
    scene.write("ITEM-1", 1..=4);
    let mut agent = site.start_armed("after_post:1");
    agent.wait();
    std::fs::remove_dir_all(site.path("state")).unwrap();
    site.lapse_owners();
    scene.write("ITEM-2", 1..=1);
    site.drain();
    scene.ends(1, &["JOURNAL_LOST"]);
}

fn two_agents(scene: &Scene) {
    let site = &scene.site;
    let mut first = site.start();
    first.until("the first has it", || {
        site.text("SELECT host FROM bodrelay_status").as_deref() == Some("host1")
    });
    let mut second = site.start_beside("host2", "state2", "PLANT1");
    second.until("the second knows", || site.has_open_finding("OWNED_BY_ANOTHER"));
    scene.write("ITEM-1", 1..=5);
    first.until("they go once", || site.is_drained());
    second.term();
    first.term();
    assert!(site.text("SELECT max(host) FROM bodrelay_message_log").as_deref() == Some("host1"));
    scene.ends(0, &["OWNED_BY_ANOTHER"]);
}

fn the_disk_is_full(scene: &Scene) {
    let site = &scene.site;
    site.write_configuration("minimum_free_mb = 1000000000");
    scene.write("ITEM-1", 1..=3);
    let mut agent = site.start();
    agent.until("it says so", || site.has_open_finding("DISK_NEARLY_FULL"));
    agent.term();
    assert_eq!((site.waiting(), site.simulator.ledger().counts().posts), (3, 0));
    site.write_configuration("");
    site.drain();
    scene.ends(0, &["DISK_NEARLY_FULL"]);
}
