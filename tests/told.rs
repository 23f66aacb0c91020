//! What is told is so, and nothing is silent: remedies are typed, what cannot work says so before it is started, and what
//! nobody looked at is not well.

#![cfg(unix)]

mod site;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::Fault;
use site::{Agent, Entry, Site};

fn on_both(test: impl Fn(&Site)) {
    test(&Site::new());
    test(&Site::on_postgres(Options::default()));
}

/// The statements that a remedy tells to type.
fn statements(remedy: &str) -> Vec<String> {
    let begins = remedy.match_indices("INSERT INTO ").map(|(begin, _)| begin);
    begins.map(|begin| remedy[begin..].split_inclusive("')").next().unwrap().to_owned()).collect()
}

/// What the newest message of a document is told to be mended by.
fn remedies(site: &Site, document_id: &str) -> Vec<String> {
    let remedy = site.text(&format!(
        "SELECT remedy FROM bodrelay_message_log WHERE document_id = '{document_id}' AND state = 'failed' \
         ORDER BY message_key DESC LIMIT 1"
    ));
    statements(&remedy.unwrap_or_default())
}

/// Types a command and answers what came of it: state, matched, done; and its words.
fn typed(site: &Site, agent: &mut Agent, statement: &str) -> (String, String) {
    let newest = "SELECT coalesce(max(command_id), 0) FROM bodrelay_command";
    let before = site.number(newest);
    site.sql(statement);
    let command = site.number(newest);
    assert!(command > before, "{statement}");
    let of = |columns: &str| {
        site.text(&format!("SELECT {columns} FROM bodrelay_command WHERE command_id = {command}"))
            .unwrap_or_default()
    };
    agent.until("the command's end", || ["done", "refused"].contains(&of("state").as_str()));
    let figures = "state || ' ' || coalesce(CAST(matched_rows AS text), '-') || ' ' || coalesce(CAST(done_rows AS text), '-')";
    (of(figures), of("result"))
}

fn failed(site: &Site, document_id: &str) -> bool {
    site.number(&format!(
        "SELECT count(*) FROM bodrelay_message_log WHERE document_id = '{document_id}' AND state = 'failed'"
    )) > 0
}

/// A resend that fails stops no later version of its document, and both of its remedies work.
#[test]
fn what_is_sent_once_more_holds_nobody() {
    on_both(|site| {
        site.sql("UPDATE bodrelay_document SET after_failure = 'hold'");
        let mut agent = site.start();
        let first = site.insert(&Entry::new("ITEM-1", 1));
        agent.until("it went", || site.flag(first) == Some(1));
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(2));
        let resend = "INSERT INTO bodrelay_command (command, connection_point, noun, document_id) \
                      VALUES ('resend', 'CP1', 'ItemMaster', 'ITEM-1')";
        assert_eq!(typed(site, &mut agent, resend).0, "done 1 1");
        agent.until("it failed", || failed(site, "ITEM-1"));
        // What the count says and what is done agree: nothing can be set to 0 there.
        let resubmit = |dry_run: u8| {
            format!(
                "INSERT INTO bodrelay_command (command, connection_point, failure_code, dry_run) \
                 VALUES ('resubmit', 'CP1', 'HTTP_400', {dry_run})"
            )
        };
        for dry_run in [1, 0] {
            let (figures, words) = typed(site, &mut agent, &resubmit(dry_run));
            assert_eq!(figures, "done 1 0", "{words}");
            assert!(words.contains("1 left out: what failed is a resend"), "{words}");
        }
        let [again, give_up] = remedies(site, "ITEM-1").try_into().unwrap();
        assert!(again.contains("'resend'") && give_up.contains("'discard'"), "{again} {give_up}");
        // Once more refused, then taken; each failed one is given up by its own remedy.
        assert_eq!(typed(site, &mut agent, &again).0, "done 1 1");
        assert_eq!(typed(site, &mut agent, &give_up).0, "done 1 1");
        agent.until("the second failed", || remedies(site, "ITEM-1").get(1).is_some_and(|it| *it != give_up));
        let later = site.insert(&Entry::new("ITEM-1", 2));
        agent.until("a later version goes", || site.flag(later) == Some(1));
        let [again, give_up] = remedies(site, "ITEM-1").try_into().unwrap();
        let (figures, words) = typed(site, &mut agent, &again);
        assert!(figures == "done 1 0" && words.contains("later version"), "{figures} {words}");
        assert_eq!(typed(site, &mut agent, &give_up).0, "done 1 1");
        agent.until("nothing is failed", || !failed(site, "ITEM-1"));
        assert_eq!(site.flag(first), Some(1));
        agent.term();
        let versions: Vec<_> =
            site.arrivals_of("ITEM-1").iter().map(|arrival| arrival.variation_id).collect();
        assert_eq!(versions.len(), 2, "{versions:?}");
    });
}

/// What a failed message is told to be mended by keeps the order; who breaks it by hand is told that, and not of
/// transactions.
#[test]
fn the_remedy_of_a_failed_message_keeps_the_order() {
    on_both(|site| {
        let mut agent = site.start();
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-2").times(1));
        let rows =
            site.insert_all(&[Entry::new("ITEM-1", 1), Entry::new("ITEM-2", 1), Entry::new("ITEM-1", 2)]);
        agent.until("all ended", || rows.iter().map(|row| site.flag(*row)).eq([Some(9), Some(9), Some(1)]));
        agent.until("the log says so", || failed(site, "ITEM-1") && failed(site, "ITEM-2"));
        let remedy = site
            .text("SELECT remedy FROM bodrelay_message_log WHERE document_id = 'ITEM-1' AND state = 'failed'")
            .unwrap();
        assert!(!remedy.contains("C_WAS_PROCESSED"), "{remedy}");
        let [again, give_up] = remedies(site, "ITEM-1").try_into().unwrap();
        let (figures, words) = typed(site, &mut agent, &again);
        assert!(figures == "done 1 0" && words.contains("later version"), "{figures} {words}");
        assert_eq!(site.flag(rows[0]), Some(9));
        let [again_2, _] = remedies(site, "ITEM-2").try_into().unwrap();
        assert_eq!(typed(site, &mut agent, &again_2).0, "done 1 1");
        agent.until("the other one went", || site.flag(rows[1]) == Some(1));
        assert_eq!(typed(site, &mut agent, &give_up).0, "done 1 1");
        agent.until("it is given up", || !failed(site, "ITEM-1"));
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_ID = {}", rows[0]));
        agent.until("it went by hand", || site.flag(rows[0]) == Some(1));
        let late = "SELECT finding_text || remedy FROM bodrelay_finding WHERE code = 'ROW_COMMITTED_LATE'";
        agent.until("it is told", || site.text(late).is_some());
        let late = site.text(late).unwrap();
        assert!(late.contains("was set from 9 to 0") && !late.contains("transaction"), "{late}");
        agent.term();
    });
}

/// Codes of what check finds, and its exit code.
fn check(site: &Site) -> (i32, Vec<(String, String)>) {
    let (code, said, _) = site.command_output("check", &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let text = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    // What agents reported is of an earlier time.
    let found = report["findings"].as_array().unwrap().iter().filter(|it| it["reported_by"].is_null());
    let found =
        found.map(|it| (text(it, "code"), format!("{}: {}", text(it, "subject"), text(it, "finding_text"))));
    (code, found.collect())
}

fn found<'a>(found: &'a [(String, String)], code: &str) -> Option<&'a str> {
    found.iter().find(|(of, _)| of == code).map(|(_, text)| text.as_str())
}

/// Each way in which the journal can be unusable: check finds it, run says it with what to do and ends with 2, and doing
/// that works.
#[test]
fn a_journal_that_cannot_be_used_is_found_and_its_remedy_works() {
    let site = Site::new();
    let first = site.insert(&Entry::new("ITEM-1", 1));
    site.drain();
    let copy = site.path("journal-copy.sqlite");
    let (code, _, words) = site.command_output("backup", &[copy.to_str().unwrap()]);
    assert_eq!(code, 0, "{words}");
    assert_eq!(found(&check(&site).1, "JOURNAL_UNUSABLE"), None);
    // All of it in one file, whatever the agent's end left beside it.
    site.journal().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let state = || -> Vec<String> {
        let files = std::fs::read_dir(site.path("state")).unwrap();
        let mut names: Vec<_> = files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = state();
    let whole = std::fs::read(site.journal_path()).unwrap();
    let damaged = |from: usize, to: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(byte);
        bytes
    };
    let foreign = site.path("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE customers (id)").unwrap();
    let newer = site.path("newer.db");
    std::fs::copy(&copy, &newer).unwrap();
    rusqlite::Connection::open(&newer)
        .unwrap()
        .execute("UPDATE journal_version SET version = 999", [])
        .unwrap();
    for (what, bytes, words, starts) in [
        (
            "no database",
            b"this is no database, and it is longer than a header".repeat(9),
            "is damaged",
            false,
        ),
        ("garbage at the beginning", damaged(0, 4096, 7), "is damaged", false),
        ("garbage in the middle", damaged(8192, whole.len(), 7), "is damaged", true),
        ("cut off", whole[..whole.len() / 2 / 4096 * 4096].to_vec(), "is damaged", true),
        ("another program's", std::fs::read(&foreign).unwrap(), "another program", false),
        ("a newer agent's", std::fs::read(&newer).unwrap(), "a newer bodrelay", false),
        ("empty", Vec::new(), "holds nothing", true),
    ] {
        std::fs::write(site.journal_path(), &bytes).unwrap();
        let (code, report) = check(&site);
        let text = found(&report, "JOURNAL_UNUSABLE").unwrap_or_else(|| panic!("{what}: {report:?}"));
        assert!(text.contains(words), "{what}: {text}");
        assert_eq!(code, if bytes.is_empty() { 0 } else { 1 }, "{what}: {report:?}");
        assert_eq!(state(), before, "{what}: a look leaves nothing behind");
        assert!(std::fs::read(site.journal_path()).unwrap() == bytes, "{what}: a look changes nothing");
        if starts {
            continue;
        }
        let (code, _, said) = site.command_output("run", &[]);
        assert_eq!(code, 2, "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
        assert!(std::fs::read(site.journal_path()).unwrap() == bytes, "{what}: it is nobody's to change");
    }
    // The remedy: away with it, and a copy in its place, or none.
    for copied in [true, false] {
        std::fs::write(site.journal_path(), damaged(0, 4096, 7)).unwrap();
        let away = site.path(if copied { "away-1" } else { "away-2" });
        std::fs::create_dir(&away).unwrap();
        for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
            let _ = std::fs::rename(site.path("state").join(name), away.join(name));
        }
        if copied {
            std::fs::copy(&copy, site.journal_path()).unwrap();
        }
        let row = site.insert(&Entry::new(if copied { "ITEM-2" } else { "ITEM-3" }, 1));
        site.drain();
        assert_eq!((site.flag(first), site.flag(row)), (Some(1), Some(1)));
        assert_eq!(found(&check(&site).1, "JOURNAL_UNUSABLE"), None);
    }
    assert_eq!(site.simulator.ledger().counts().repeats_same, 0);
}

/// A level that is none would silence everything, errors too.
#[test]
fn an_unknown_level_of_the_log_is_refused() {
    let site = Site::new();
    let config = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    for level in ["warning", "of", "off", "bodrelay=debug", "info,bodrelay=loud", ""] {
        std::fs::write(site.path("bodrelay.toml"), format!("[log]\nlevel = \"{level}\"\n{config}")).unwrap();
        for verb in ["run", "once", "check"] {
            let (code, said, complained) = site.command_output(verb, &[]);
            let words: String = (said + &complained).split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(code, 2, "{verb} {level}: {words}");
            assert!(words.contains("write error, warn, info, debug or trace"), "{verb} {level}: {words}");
        }
    }
    for level in ["error", "WARN", "info,hyper=debug"] {
        std::fs::write(site.path("bodrelay.toml"), format!("[log]\nlevel = \"{level}\"\n{config}")).unwrap();
        assert_eq!(site.once(), 0, "{level}");
    }
    // An error that ends it is told whatever the level.
    std::fs::write(site.path("bodrelay.toml"), format!("[log]\nlevel = \"error\"\n{config}")).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", site.journal_path().display()));
    }
    std::fs::write(site.journal_path(), b"no database, however long one looks at it").unwrap();
    let (code, _, said) = site.command_output("run", &[]);
    assert!(code == 2 && said.contains("is damaged"), "{code} {said}");
}

/// Where the database is away, nobody says that there is nothing.
#[test]
fn who_cannot_look_does_not_say_that_there_is_nothing() {
    let site = Site::new();
    std::fs::rename(site.path("erp.db"), site.path("away.db")).unwrap();
    for (verb, arguments) in
        [("status", &[][..]), ("status", &["--json"]), ("log", &[]), ("log", &["--json"])]
    {
        let (code, said, complained) = site.command_output(verb, arguments);
        assert_eq!((code, said.as_str()), (3, ""), "{verb}: {complained}");
        assert!(complained.contains("database erp") && complained.contains("erp.db"), "{verb}: {complained}");
    }
    let (code, said, complained) = site.command_output("describe", &[]);
    assert!(code == 3 && said.contains("could not be read"), "{code} {said}");
    assert!(complained.contains("database erp"), "{complained}");
    let (code, _, complained) = site.command_output("compose", &["CP1", "ItemMaster", "ITEM-1"]);
    assert!(code == 3 && complained.contains("database erp"), "{code} {complained}");
    std::fs::rename(site.path("away.db"), site.path("erp.db")).unwrap();
    assert_eq!(site.command_output("log", &[]).1, "no messages fit\n");
}

/// What a start of the agent opens, check looks at: where the one fails, the other has said so.
#[test]
fn check_finds_what_would_keep_run_from_starting() {
    let site = Site::new();
    let config = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(site.path("file"), "no folder").unwrap();
    let cases = [
        ("", None),
        (&*format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n"), Some("LISTENER_ADDRESS_WRONG")),
        (&*format!("[listen]\naddress = \"127.0.0.1:{port}\"\n"), Some("LISTENER_ADDRESS_WRONG")),
        (
            &*format!("[metrics]\nlisten = \"127.0.0.1:{free}\"\n[listen]\naddress = \"127.0.0.1:{free}\"\n"),
            Some("LISTENER_ADDRESS_WRONG"),
        ),
        ("[metrics]\nlisten = \"192.0.2.1:80\"\nallow_remote = true\n", Some("LISTENER_ADDRESS_WRONG")),
        ("[log]\nfile = \"file/agent.log\"\n", Some("LOG_UNUSABLE")),
        (
            "[alerts]\nwebhook_url = \"https://localhost/x\"\nca_file = \"missing.pem\"\n",
            Some("CONFIGURATION_WRONG"),
        ),
    ];
    for (more, code) in cases {
        std::fs::write(site.path("bodrelay.toml"), format!("{more}{config}")).unwrap();
        let (exit, report) = check(&site);
        let Some(code) = code else {
            assert_eq!(exit, 0, "{report:?}");
            continue;
        };
        assert!(found(&report, code).is_some() && exit > 0, "{more}: {exit} {report:?}");
        let (ended, _, said) = site.command_output("run", &[]);
        assert_eq!(ended, 2, "{more}: {said}");
    }
    // The agent's own listener is no finding.
    let free = format!("[metrics]\nlisten = \"127.0.0.1:{free}\"\n");
    std::fs::write(site.path("bodrelay.toml"), format!("{free}{config}")).unwrap();
    let mut agent = site.start();
    agent.until_says("starts");
    let (exit, report) = check(&site);
    assert!(exit == 0 && found(&report, "LISTENER_ADDRESS_WRONG").is_none(), "{report:?}");
    agent.term();
    // A state directory of somebody else. The folder above lets everybody through.
    std::fs::write(site.path("bodrelay.toml"), &config).unwrap();
    let open = |path: &Path, mode: &str| {
        assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
    };
    open(site.path("").as_path(), "755");
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n");
    if is_root {
        for mode in ["755", "777"] {
            open(&site.path("state"), mode);
            let output = site.as_nobody("check");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("STATE_DIR_UNUSABLE"), "{said}");
            assert_eq!(site.as_nobody("run").status.code(), Some(2));
        }
    }
}

/// How many rows a test piles up: a million by hand, fewer in the suite.
fn rows() -> i64 {
    std::env::var("BODRELAY_TEST_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(200_000)
}

/// Many rows at 0 of a connection point that is off, in an outbox that twenty share: the others are paused, looked at and
/// stopped as if they were alone, and the count comes when it comes.
#[test]
fn what_waits_for_one_delays_nobody_else() {
    on_both(|site| {
        site.sql("UPDATE bodrelay_connection_point SET source_logical_id = 'lid://acme.erp.plant1'");
        for number in 2..=20 {
            site.sql(&format!(
                "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
                 source_logical_id, send_mode, poll_seconds) VALUES ('P{number}', 'PLANT1', '{}', \
                 'lid://acme.erp.p{number}', 'lid://acme.erp.p{number}', '{}', 1)",
                site.tenant_id(),
                if number == 2 { "off" } else { "on" }
            ));
            site.sql(&format!(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
                 VALUES ('P{number}', 'out', 'Sync', 'ItemMaster')"
            ));
        }
        site.sql(&format!(
            "INSERT INTO COR_OUTBOX_ENTRY (C_XML, C_TENANT_ID, C_LOGICAL_ID, C_CREATED_DATE_TIME, C_WAS_PROCESSED) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             SELECT {}, '{}', 'lid://acme.erp.p2', '2026-03-01 08:00:00', 0 FROM n",
            rows(),
            site.bytes(&[b'x'; 500]),
            site.tenant_id()
        ));
        let began = std::time::Instant::now();
        let timed = |what: &str| eprintln!("{:?}: {what}", began.elapsed());
        let mut agent = site.start();
        agent.until_says("starts");
        let row = site.insert(&Entry::new("ITEM-1", 1));
        agent.until("another one's document goes", || site.flag(row) == Some(1));
        timed("a document went");
        let pause =
            "INSERT INTO bodrelay_command (command, connection_point, reason) VALUES ('pause', 'P3', 'test')";
        assert_eq!(typed(site, &mut agent, pause).0, "done 0 0");
        timed("paused");
        let (_, report) = check(site);
        timed("checked");
        assert!(found(&report, "DATABASE_UNAVAILABLE").is_none(), "{report:?}");
        let counted =
            "SELECT waiting_rows FROM bodrelay_status WHERE connection_point = 'P2' AND direction = 'out'";
        agent.until("it is counted", || {
            site.text(&format!("SELECT CAST(({counted}) AS text)")) == Some(rows().to_string())
        });
        timed("counted");
        // The index that helps is advised, as long as it is not there.
        let advised = |report: &[(String, String)]| {
            report
                .iter()
                .filter(|(code, _)| code == "DATABASE_ADVICE")
                .any(|(_, text)| text.contains("C_LOGICAL_ID"))
        };
        assert!(advised(&report), "{report:?}");
        let (_, said, _) = site.command_output("check", &["--json"]);
        let looked: serde_json::Value = serde_json::from_str(&said).unwrap();
        let remedies = looked["findings"].as_array().unwrap().iter().filter_map(|it| it["remedy"].as_str());
        let statement = remedies
            .filter(|it| it.starts_with("CREATE INDEX"))
            .find(|it| it.to_lowercase().contains("_shared"));
        site.sql(statement.unwrap().trim_end_matches('.'));
        timed("the index is made");
        assert!(!advised(&check(site).1));
        timed("checked again");
        agent.term();
        timed("stopped");
    });
}

/// Where what waits cannot be counted, that is said, and all else goes on.
#[test]
fn what_cannot_be_counted_is_told_and_stops_nothing() {
    let site = Site::new();
    let mut agent = site.start();
    let row = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it went", || site.flag(row) == Some(1));
    agent.term();
    site.sql(
        "DROP INDEX IX_COR_OUTBOX_ENTRY_PROCESSED; ALTER TABLE COR_OUTBOX_ENTRY DROP COLUMN C_LOGICAL_ID",
    );
    site.sql(&format!(
        "UPDATE bodrelay_connection_point SET source_tenant_id = '{0}', tenant_id = '{0}'; \
         INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
         source_tenant_id, source_logical_id, send_mode) VALUES ('P2', 'PLANT1', '{0}', 'lid://acme.erp.p2', 'OTHER', \
         'lid://acme.erp.p2', 'off')",
        site.tenant_id()
    ));
    let mut agent = site.start();
    agent.until("it is told", || site.has_open_finding("BACKLOG_UNKNOWN"));
    let text = site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'BACKLOG_UNKNOWN'").unwrap();
    assert!(text.contains("outbox_counts") && text.contains("C_LOGICAL_ID"), "{text}");
    let pause =
        "INSERT INTO bodrelay_command (command, connection_point, reason) VALUES ('pause', 'CP1', 'test')";
    assert_eq!(typed(&site, &mut agent, pause).0, "done 0 0");
    agent.term();
    site.sql("DELETE FROM bodrelay_connection_point WHERE connection_point = 'P2'");
    let mut agent = site.start();
    agent.until("it is counted again", || !site.has_open_finding("BACKLOG_UNKNOWN"));
    agent.term();
}

/// The status table says what a connection point waits for, in words that somebody can act on.
#[test]
fn what_waits_says_for_whom() {
    let site = Site::new();
    let reason = || {
        site.text("SELECT state || ': ' || coalesce(reason, '') FROM bodrelay_backlog").unwrap_or_default()
    };
    let mut agent = site.start();
    agent.until("it runs", || reason() == "running: ");
    let unlisted = site.insert(&Entry::new("ITEM-1", 1).verb("Process"));
    agent.until("its type", || {
        reason() == "running: rows of types that bodrelay_document does not list wait: Process.ItemMaster"
    });
    site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = {unlisted}"));
    site.simulator.add_fault(Fault::refuse(500).times(1_000));
    let row = site.insert(&Entry::new("ITEM-2", 1));
    agent.until("ION's answer", || reason().starts_with("backoff: ") && reason().contains("HTTP 500"));
    site.simulator.clear_faults();
    agent.until("it went", || site.flag(row) == Some(1));
    site.sql("UPDATE bodrelay_connection_point SET max_messages_per_second = 1");
    agent.until_says("new settings apply");
    let entries: Vec<Entry> = (0..30).map(|number| Entry::new(&format!("PACED-{number}"), 1)).collect();
    site.insert_all(&entries);
    agent.until("its pace", || reason() == "running: its pace: max_messages_per_second = 1");
    agent.term();
    let (_, said, _) = site.command_output("status", &[]);
    assert!(said.contains("CP1"), "{said}");
    site.write_configuration("minimum_free_mb = 1000000000");
    let mut agent = site.start();
    agent.until("the disk", || reason().starts_with("waiting: the disk of state_dir"));
    agent.stop();
}
