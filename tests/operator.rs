//! What an operator does and sees: check, log, exit codes, switches, commands, guards; real binary, real SQLite.

mod agent;

use agent::{Site, wait};
use bodrelay::clock::{Clock, SystemClock};
use bodrelay::simulator::script::{Fault, On, What};
use bodrelay::simulator::{Options, Simulator};

const FLAG: &str = "SELECT C_WAS_PROCESSED FROM COR_OUTBOX_ENTRY WHERE C_ID = ";

fn flag(id: i64) -> String {
    format!("{FLAG}{id}")
}

fn state(id: i64) -> String {
    format!("SELECT state FROM bodrelay_message_log WHERE entry_id = {id} ORDER BY message_key DESC LIMIT 1")
}

fn finding(code: &str) -> String {
    format!("SELECT count(*) > 0 FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL")
}

#[test]
fn check_of_a_healthy_site() {
    let site = Site::new();
    assert_eq!(site.check(), (0, vec![]));
    assert!(!site.path("state").exists(), "check writes nothing");
    let (code, text, _) = site.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("the agent can work\n"), "{text}");
    let _running = site.start();
    let (code, text, _) = site.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("an agent is running"), "{text}");
}

#[test]
fn check_lists_what_the_running_agent_found() {
    let site = Site::new();
    let _running = site.start();
    site.write_row("Sync.ItemMaster", "IM-1", "");
    site.wait_for(&finding("TYPE_NOT_LISTED"), "1");
    assert_eq!(site.check(), (1, vec!["TYPE_NOT_LISTED".to_owned()]));
    let (_, text, _) = site.run(&["check"]);
    assert!(text.contains("found by the agent of host1 since"), "{text}");
    // What check finds itself is not said twice, and what is cleared is not said at all.
    site.simulator.set_accepted(Some([].into()));
    site.exec(
        "INSERT INTO bodrelay_finding (code, severity, connection_point, subject, finding_text, remedy, since, \
         last_seen_at, host) VALUES ('TYPE_NOT_ACCEPTED', 'error', 'CP1', 'Sync.SalesOrder', 't', 'r', \
         '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', 'host9'); \
         UPDATE bodrelay_finding SET cleared_at = since WHERE code = 'TYPE_NOT_LISTED'",
    );
    assert_eq!(site.check(), (1, vec!["TYPE_NOT_ACCEPTED".to_owned()]));
}

/// What `check` finds, of every severity.
fn found(site: &Site) -> (i32, Vec<String>) {
    let (code, out, log) = site.run(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {log}"));
    let codes = json["findings"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned());
    (code, codes.collect())
}

/// Each thing that can be wrong is found while it is, and not before and after.
#[test]
fn check_names_each_broken_thing() {
    type Step<'a> = Box<dyn Fn(&Site) + 'a>;
    fn sql(text: &'static str) -> Step<'static> {
        Box::new(move |site: &Site| site.exec(text))
    }
    fn faults(list: Vec<Fault>) -> Step<'static> {
        Box::new(move |site: &Site| list.iter().for_each(|fault| site.simulator.add_fault(fault.clone())))
    }
    fn clear() -> Step<'static> {
        Box::new(|site: &Site| site.simulator.clear_faults())
    }
    fn rename(from: &'static str, to: &'static str) -> Step<'static> {
        Box::new(move |site: &Site| std::fs::rename(site.path(from), site.path(to)).unwrap())
    }
    fn accept(names: &'static [&'static str]) -> Step<'static> {
        Box::new(move |site: &Site| {
            site.simulator.set_accepted(Some(names.iter().map(|it| (*it).to_owned()).collect()));
        })
    }
    fn credential(other: bool) -> Step<'static> {
        Box::new(move |site: &Site| {
            let simulator = &site.simulator;
            let text = if other { simulator.other_ionapi_json() } else { simulator.ionapi_json() };
            std::fs::write(site.path("x.ionapi"), text).unwrap();
        })
    }
    fn config(from: &'static str, to: &'static str) -> Step<'static> {
        Box::new(move |site: &Site| {
            site.write_config("agent.toml", "state", "host1");
            let text = std::fs::read_to_string(site.path("agent.toml")).unwrap();
            std::fs::write(site.path("agent.toml"), text.replace(from, to)).unwrap();
        })
    }
    fn mode(mode: u32) -> Step<'static> {
        Box::new(move |site: &Site| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(site.path("x.ionapi"), mode).unwrap();
        })
    }
    let known = bodrelay::database::statements::scripts::SCRIPT_KNOWN;
    let newest = move |site: &Site| {
        site.exec(&format!("INSERT INTO bodrelay_version (script_no, script_name) VALUES ({known}, 'x')"));
    };
    let cases: Vec<(&str, i32, Step<'_>, Step<'_>)> = vec![
        ("DATABASE_UNAVAILABLE", 3, rename("erp.db", "away.db"), rename("away.db", "erp.db")),
        (
            "DATABASE_UNAVAILABLE",
            3,
            Box::new(|site| {
                std::fs::rename(site.path("erp.db"), site.path("away.db")).unwrap();
                std::fs::write(site.path("erp.db"), "no database".repeat(99)).unwrap();
            }),
            rename("away.db", "erp.db"),
        ),
        ("CREDENTIAL_UNUSABLE", 2, rename("x.ionapi", "away"), rename("away", "x.ionapi")),
        ("CREDENTIAL_READABLE", 0, mode(0o644), mode(0o600)),
        ("CONFIGURATION_WRONG", 2, config("host =", "hots ="), config("", "")),
        (
            "DATABASE_LACKS",
            1,
            sql("ALTER TABLE bodrelay_status RENAME TO bodrelay_away"),
            sql("ALTER TABLE bodrelay_away RENAME TO bodrelay_status"),
        ),
        ("SCRIPT_MISSING", 0, sql("DELETE FROM bodrelay_version WHERE script_no > 1"), Box::new(newest)),
        ("SCRIPT_MISSING", 1, sql("DELETE FROM bodrelay_version"), Box::new(newest)),
        (
            "SCRIPT_NEWER",
            0,
            sql("INSERT INTO bodrelay_version (script_no, script_name) VALUES (99, 'later')"),
            sql("DELETE FROM bodrelay_version WHERE script_no = 99"),
        ),
        (
            "DATABASE_LACKS",
            1,
            sql("ALTER TABLE COR_OUTBOX_HEADERS RENAME TO away"),
            sql("ALTER TABLE away RENAME TO COR_OUTBOX_HEADERS"),
        ),
        (
            "DATABASE_ADVICE",
            0,
            sql("DROP INDEX IX_COR_OUTBOX_HEADERS_ENTRY"),
            sql("CREATE INDEX x ON COR_OUTBOX_HEADERS (C_OUTBOX_ID)"),
        ),
        (
            "SETTING_REFUSED",
            1,
            sql("UPDATE bodrelay_connection_point SET tenant_id = 'OTHER_TST'"),
            sql("UPDATE bodrelay_connection_point SET tenant_id = 'DEMO_TST'"),
        ),
        (
            "SETTING_REFUSED",
            1,
            sql("UPDATE bodrelay_connection_point SET blackout = '12:00-13'"),
            sql("UPDATE bodrelay_connection_point SET blackout = NULL"),
        ),
        (
            "ROWS_OVERLAP",
            1,
            sql(
                "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode) \
                 VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp2', 'on')",
            ),
            sql("DELETE FROM bodrelay_connection_point WHERE connection_point = 'CP2'"),
        ),
        ("LOGICAL_ID_TWICE", 1, Box::new(add_second_database), config("", "")),
        (
            "NO_DOCUMENTS",
            1,
            sql("DELETE FROM bodrelay_document"),
            sql("INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
                 VALUES ('CP1', 'out', 'Sync', 'SalesOrder')"),
        ),
        (
            "DOCUMENT_WITHOUT_POINT",
            0,
            sql(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('cp1', 'out', 'Sync', 'X')",
            ),
            sql("DELETE FROM bodrelay_document WHERE connection_point = 'cp1'"),
        ),
        (
            "NOTHING_SWITCHED_ON",
            0,
            sql("UPDATE bodrelay_connection_point SET send_mode = 'off'"),
            sql("UPDATE bodrelay_connection_point SET send_mode = 'on'"),
        ),
        (
            "NO_CONNECTION_POINT",
            0,
            sql(
                "CREATE TABLE kept AS SELECT * FROM bodrelay_connection_point; DELETE FROM bodrelay_connection_point",
            ),
            sql("INSERT INTO bodrelay_connection_point SELECT * FROM kept"),
        ),
        (
            "OTHER_LOCATION",
            0,
            sql("UPDATE bodrelay_connection_point SET location_name = 'plant1'"),
            sql("UPDATE bodrelay_connection_point SET location_name = 'PLANT1'"),
        ),
        ("TYPE_NOT_ACCEPTED", 1, accept(&[]), accept(&["Sync.SalesOrder"])),
        (
            "LISTED_IN_ION_ONLY",
            0,
            accept(&["Sync.SalesOrder", "Sync.ItemMaster"]),
            accept(&["Sync.SalesOrder"]),
        ),
        ("LIST_UNREADABLE", 0, faults(vec![Fault::refuse(500).on(On::AcceptedDocuments)]), clear()),
        ("LOGICAL_ID_REFUSED", 1, faults(vec![Fault::refuse(403).on(On::AcceptedDocuments)]), clear()),
        ("INACTIVE_IN_ION", 1, faults(vec![Fault::refuse(503).on(On::Ping)]), clear()),
        (
            "INACTIVE_IN_ION",
            1,
            Box::new(|site| site.simulator.set_logical_ids(Some(["lid://other".into()].into()))),
            Box::new(|site| site.simulator.set_logical_ids(None)),
        ),
        ("ADDRESS_WRONG", 1, faults(vec![Fault::refuse(404).on(On::Ping)]), clear()),
        ("NOT_AN_IMS_ANSWER", 3, faults(vec![Fault::new(What::Garbage).on(On::Ping)]), clear()),
        ("VERSIONS_UNKNOWN", 0, faults(vec![Fault::refuse(500).on(On::Versions)]), clear()),
        (
            "VERSION_NOT_SUPPORTED",
            1,
            faults(vec![
                Fault::new(What::Refuse {
                    status: 200,
                    retry_after: None,
                    text: Some(r#"{"supportedVersions":["v1","v2"]}"#.into()),
                })
                .on(On::Versions),
            ]),
            clear(),
        ),
        ("TOKEN_REFUSED", 1, Box::new(|site| site.simulator.renew_keys(99)), credential(false)),
        ("CREDENTIAL_REFUSED", 1, credential(true), credential(false)),
        ("ION_UNREACHABLE", 3, faults(vec![Fault::refuse(500).on(On::Token)]), clear()),
        (
            "ROWS_NOBODY_CHOOSES",
            0,
            Box::new(|site| {
                site.exec("UPDATE bodrelay_connection_point SET source_tenant_id = 'demo_tst'");
                site.write_row("Sync.SalesOrder", "SO-1", "");
            }),
            sql("UPDATE bodrelay_connection_point SET source_tenant_id = NULL"),
        ),
        (
            "BACKLOG_OLD",
            0,
            Box::new(|site| {
                site.write_row("Sync.SalesOrder", "SO-1", "");
                site.exec("UPDATE COR_OUTBOX_ENTRY SET C_CREATED_DATE_TIME = '2020-01-01T00:00:00.000Z'");
            }),
            sql("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9"),
        ),
        (
            "STATE_DIR_UNUSABLE",
            1,
            Box::new(|site| std::fs::write(site.path("state"), "").unwrap()),
            Box::new(|site| std::fs::remove_file(site.path("state")).unwrap()),
        ),
        (
            "STATE_DIR_NEW",
            0,
            Box::new(|_| ()),
            Box::new(|site| std::fs::create_dir(site.path("state")).unwrap()),
        ),
        ("DISK_NEARLY_FULL", 1, config("minimum_free_mb = 1", "minimum_free_mb = 999999999"), config("", "")),
        (
            "AGENT_REFUSED",
            1,
            Box::new(|site| {
                site.once(0);
                site.exec("UPDATE bodrelay_host SET state = 'refused', refused_reason = 'why'");
            }),
            sql("UPDATE bodrelay_host SET state = 'stopped'"),
        ),
        (
            "AGENT_SILENT",
            0,
            Box::new(|site| {
                site.once(0);
                site.exec(
                    "UPDATE bodrelay_host SET state = 'running', heartbeat_at = '2026-01-01T00:00:00.000Z'",
                );
            }),
            sql("UPDATE bodrelay_host SET state = 'stopped'"),
        ),
    ];
    for (index, (code, exit, break_it, mend)) in cases.iter().enumerate() {
        let site = Site::new();
        break_it(&site);
        let (ended, codes) = found(&site);
        assert!(codes.iter().any(|it| it == code), "{index} {code}: {codes:?}");
        assert_eq!(ended, *exit, "{index} {code}: {codes:?}");
        let (_, text, _) = site.run(&["check"]);
        assert!(text.contains(code), "{text}");
        mend(&site);
        let (ended, codes) = found(&site);
        assert!(!codes.iter().any(|it| it == code), "{index} {code} is mended: {codes:?}");
        assert_eq!(ended, 0, "{index} {code} is mended: {codes:?}");
    }
}

/// A second database with the same connection point in it.
fn add_second_database(site: &Site) {
    site.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::copy(site.path("erp.db"), site.path("second.db")).unwrap();
    let mut text = std::fs::read_to_string(site.path("agent.toml")).unwrap();
    text += "[[database]]\nname = \"second\"\nkind = \"sqlite\"\npath = \"second.db\"\n";
    std::fs::write(site.path("agent.toml"), text).unwrap();
}

#[tokio::test]
async fn clocks_that_differ_are_told() {
    let site = Site::new();
    let config = bodrelay::config::Config::read(&site.path("agent.toml")).unwrap();
    for (seconds, is_told) in [(600, true), (-600, true), (20, false)] {
        let databases = config.database.iter().map(|it| bodrelay::app::database(it, "host1")).collect();
        let now = SystemClock.now() + chrono::TimeDelta::seconds(seconds);
        let report = bodrelay::check::run(&config, databases, now).await;
        let notices: Vec<_> = report.sections.iter().flat_map(|section| &section.notices).collect();
        assert_eq!(notices.iter().any(|it| it.code == "CLOCK_DIFFERS"), is_told, "{seconds}: {notices:?}");
    }
}

/// A network share as the kernel lists it: a mount namespace in which /proc says so. `false`: none may be made here.
#[cfg(target_os = "linux")]
fn on_a_share(site: &Site, arguments: &str) -> Option<String> {
    let script = format!(
        "mkdir -p fake/self && echo \"36 35 0:50 / $PWD rw - nfs4 server:/export rw\" > fake/self/mountinfo && \
         mount --bind fake /proc && exec \"$0\" {arguments} --config agent.toml 2>&1"
    );
    let may = std::process::Command::new("unshare").args(["-rm", "true"]).status();
    may.ok().filter(std::process::ExitStatus::success)?;
    let said = std::process::Command::new("unshare")
        .args(["-rm", "bash", "-c", &script, env!("CARGO_BIN_EXE_bodrelay")])
        .current_dir(site.path(""))
        .output()
        .unwrap();
    Some(String::from_utf8(said.stdout).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_directory_on_a_share_is_told() {
    let site = Site::new();
    let Some(said) = on_a_share(&site, "check") else {
        eprintln!("no mount namespaces here: a share was not tried");
        return;
    };
    assert!(said.contains("STATE_DIR_NOT_LOCAL") && said.contains("nfs4"), "{said}");
    assert_eq!(site.check(), (0, vec![]));
    on_a_share(&site, "once");
    assert_eq!(site.ask(&finding("STATE_DIR_NOT_LOCAL")), "1");
    site.once(0);
    assert_eq!(site.ask(&finding("STATE_DIR_NOT_LOCAL")), "0", "it was moved to a local disk");
}

#[test]
fn check_tells_down_from_refused() {
    let mut site = Site::new();
    // A port that nobody listens on any more.
    site.simulator = Simulator::start(Options::default()).unwrap();
    let (code, codes) = site.check();
    assert_eq!((code, codes), (3, vec!["ION_UNREACHABLE".to_owned()]));
    // Two things at once: not reached goes before an error finding.
    site.exec("DELETE FROM bodrelay_document");
    assert_eq!(site.check().0, 3);
}

#[test]
fn print_config_masks_secrets() {
    let site = Site::new();
    let mut text = std::fs::read_to_string(site.path("agent.toml")).unwrap();
    text = text.replace("[[database]]", "proxy = \"http://joe:s3cret@proxy:3128\"\n[[database]]");
    std::fs::write(site.path("agent.toml"), text).unwrap();
    let (code, out, _) = site.run(&["check", "--print-config"]);
    assert_eq!(code, 0);
    assert!(out.contains("http://***@proxy:3128") && !out.contains("s3cret"), "{out}");
    assert!(out.contains("delivered_memory_days = 90"), "{out}");
    std::fs::write(site.path("again.toml"), out.replace("***@", "")).unwrap();
    let (code, again, log) = site.run_with("again.toml", &["check", "--print-config"]);
    assert_eq!((code, again), (0, out.replace("***@", "")), "what is printed can be read: {log}");
}

#[test]
fn once_ends_with_its_code() {
    let site = Site::new();
    site.once(0);
    site.write_row("Sync.SalesOrder", "SO-1", "");
    site.once(0);
    assert_eq!(site.stored(), 1);
    site.simulator.add_fault(Fault::refuse(400).times(1));
    site.write_row("Sync.SalesOrder", "SO-2", "");
    site.once(1);
    site.simulator.add_fault(Fault::refuse(500).for_document("SO-3"));
    site.write_row("Sync.SalesOrder", "SO-3", "");
    site.once(75);
    let (code, _, log) = site.run(&["once", "--exit-zero-unless", "config"]);
    assert_eq!(code, 0, "{log}");
    site.exec("UPDATE bodrelay_connection_point SET blackout = 'x'");
    site.once(2);
    std::fs::remove_file(site.path("erp.db")).unwrap();
    site.once(3);
}

#[test]
fn if_running_skips_waits_or_fails() {
    let site = Site::new();
    let mut running = site.start();
    let (code, out, _) = site.run(&["once", "--if-running", "skip"]);
    assert_eq!(code, 0);
    assert!(out.contains("nothing to do") && out.lines().count() == 1, "{out}");
    for arguments in [&["once", "--if-running", "fail"][..], &["once"], &["run", "--if-running", "fail"]] {
        let (code, _, said) = site.run(arguments);
        assert!(code == 4 && said.contains("another bodrelay works"), "{code} {said}");
    }
    assert_eq!(site.run(&["once", "--exit-zero-unless", "config"]).0, 0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.run(&["once", "--if-running", "wait"]));
        assert!(!waiting.is_finished());
        assert_eq!(running.term(), 0);
        assert_eq!(waiting.join().unwrap().0, 0);
    });
    // A service that meets a passing `once`, or the one that it replaces: it begins when that one has ended.
    let mut first = site.start();
    let mut second = site.start_with("agent.toml");
    wait("it says that it waits", || {
        std::fs::read_to_string(second.log()).unwrap().contains("begins when that one has ended")
    });
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&flag(id), "1");
    assert_eq!(first.term(), 0);
    let id = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.wait_for(&flag(id), "1");
    assert_eq!(second.term(), 0);
}

#[test]
fn log_is_filtered() {
    let site = Site::new();
    let one = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.write_row("Sync.SalesOrder", "SO-2", "");
    site.simulator.add_fault(Fault::refuse(400).for_document("SO-2"));
    site.once(1);
    let rows = |arguments: &[&str]| {
        let (code, out, log) = site.run(&[&["log", "--json"], arguments].concat());
        assert_eq!(code, 0, "{log}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    assert_eq!(rows(&[]).len(), 2);
    let found = rows(&["--state", "accepted"]);
    assert_eq!((found.len(), &found[0]["entry_id"]), (1, &one.into()));
    let id = found[0]["message_id"].as_str().unwrap();
    for (arguments, count) in [
        (vec!["--message-id", id], 1),
        (vec!["--message-id", "none"], 0),
        (vec!["--direction", "out"], 2),
        (vec!["--direction", "in"], 0),
        (vec!["--connection-point", "CP1"], 2),
        (vec!["--connection-point", "CP2"], 0),
        (vec!["--logical-id", "lid://infor.ims.cp1"], 2),
        (vec!["--logical-id", "lid://nobody"], 0),
        (vec!["--document", "SalesOrder"], 2),
        (vec!["--document", "Sync.SalesOrder"], 2),
        (vec!["--document", "Process.SalesOrder"], 0),
        (vec!["--document", "SalesOrder", "--document-id", "SO-2"], 1),
        (vec!["--failure-code", "HTTP_400"], 1),
        (vec!["--created-from", "2020-01-01"], 2),
        (vec!["--created-to", "2020-01-01"], 0),
        (vec!["--limit", "1"], 1),
    ] {
        assert_eq!(rows(&arguments).len(), count, "{arguments:?}");
    }
    let (_, table, _) = site.run(&["log"]);
    assert!(table.contains("HTTP_400") && table.lines().count() == 3, "{table}");
    assert!(site.check().1.contains(&"MESSAGES_FAILED".to_owned()));
    assert_eq!(site.run(&["log", "--database", "none"]).0, 2);
    std::fs::remove_file(site.path("erp.db")).unwrap();
    assert_eq!(site.run(&["log"]).0, 3);
}

#[test]
fn settings_take_effect_live() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'off'");
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    let _running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'", "off");
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'observe'");
    site.wait_for("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'", "observing");
    assert_eq!((site.ask(&flag(id)), site.stored()), ("0".into(), 0));
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'on'");
    site.wait_for(&flag(id), "1");
    assert_eq!(site.stored(), 1);
}

#[test]
fn observe_finds_and_touches_nothing() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'observe'");
    let good = site.write_row("Sync.SalesOrder", "SO-1", "");
    let bad = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.exec(&format!("UPDATE COR_OUTBOX_ENTRY SET C_XML = CAST('no xml' AS BLOB) WHERE C_ID = {bad}"));
    let _running = site.start();
    site.wait_for(&finding("WOULD_FAIL"), "1");
    assert_eq!((site.ask(&flag(good)), site.ask(&flag(bad)), site.stored()), ("0".into(), "0".into(), 0));
    assert_eq!(site.ask("SELECT count(*) FROM bodrelay_message_log"), "0");
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'on'");
    site.wait_for(&flag(good), "1");
    site.wait_for(&flag(bad), "9");
}

#[test]
fn send_rows_from_leaves_old_rows_alone() {
    let site = Site::new();
    let old = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.exec("UPDATE COR_OUTBOX_ENTRY SET C_CREATED_DATE_TIME = '2020-01-01T00:00:00.000Z'");
    site.exec("UPDATE bodrelay_connection_point SET send_rows_from = '2021-01-01T00:00:00.000Z'");
    let new = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.once(0);
    assert_eq!((site.ask(&flag(old)), site.ask(&flag(new))), ("0".into(), "1".into()));
}

#[test]
fn a_flag_set_back_resubmits_or_is_flagged_again() {
    let site = Site::new();
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.simulator.add_fault(Fault::refuse(400).times(1));
    site.once(1);
    let message_id = "SELECT DISTINCT message_id FROM bodrelay_message_log";
    let before = site.ask(message_id);
    site.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0");
    site.once(0);
    assert_eq!((site.ask(&flag(id)), site.ask(message_id)), ("1".into(), before.clone()));
    assert_eq!(site.simulator.ledger().by_message_id(&before).len(), 1);
    site.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0");
    site.once(0);
    assert_eq!((site.ask(&flag(id)), site.stored()), ("1".into(), 1));
    assert_eq!(site.ask(&finding("SENT_BEFORE")), "1");
}

#[test]
fn commands_are_carried_out_or_refused() {
    let site = Site::new();
    let ids = ["SO-1", "SO-2"].map(|id| site.write_row("Sync.SalesOrder", id, ""));
    site.simulator.add_fault(Fault::refuse(400).times(2));
    site.once(1);
    let command = |columns: &str, values: &str| {
        site.exec(&format!(
            "INSERT INTO bodrelay_command (connection_point, {columns}) VALUES ('CP1', {values})"
        ));
        site.once(0);
        site.ask(
            "SELECT state || ' ' || coalesce(matched_rows, '-') || ' ' || coalesce(done_rows, '-') \
                  FROM bodrelay_command ORDER BY command_id DESC",
        )
    };
    assert_eq!(command("command, failure_code, dry_run", "'resubmit', 'HTTP_400', 1"), "done 2 0");
    assert_eq!(site.stored(), 0);
    let discard = "'discard', 'SalesOrder', 'SO-1', 'twice'";
    assert_eq!(command("command, noun, document_id, reason, dry_run", &format!("{discard}, 1")), "done 1 0");
    assert_eq!(site.ask(&state(ids[0])), "failed");
    assert_eq!(command("command, noun, document_id, reason", discard), "done 1 1");
    assert_eq!(site.ask(&state(ids[0])), "discarded");
    assert_eq!(command("command, failure_code", "'resubmit', 'HTTP_400'"), "done 1 1");
    site.once(0);
    assert_eq!((site.ask(&state(ids[1])), site.ask(&state(ids[0]))), ("accepted".into(), "discarded".into()));
    assert_eq!(command("command", "'confirm_error'"), "refused 0 0");
}

#[test]
fn held_messages_wait_for_the_dba() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    let ids = ["a", "b"].map(|text| site.write_row("Sync.SalesOrder", "SO-1", text));
    let other = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.simulator.add_fault(Fault::refuse(400).for_document("SO-1").times(1));
    let _running = site.start();
    site.wait_for(&flag(other), "1");
    site.wait_for(&flag(ids[0]), "9");
    let held_by = format!("SELECT held_by FROM bodrelay_message_log WHERE entry_id = {}", ids[1]);
    let holder = format!("SELECT message_key FROM bodrelay_message_log WHERE entry_id = {}", ids[0]);
    wait("the later one is held", || site.ask(&held_by) == site.ask(&holder));
    assert_eq!(site.ask(&flag(ids[1])), "0");
    site.exec(
        "INSERT INTO bodrelay_command (command, connection_point, document_id, failure_code, reason) \
         VALUES ('discard', 'CP1', 'SO-1', 'HTTP_400', 'not wanted')",
    );
    site.wait_for(&flag(ids[1]), "1");
    assert_eq!(site.ask(&state(ids[0])), "discarded");
    assert_eq!(site.ask(&held_by), "NULL");
}

#[test]
fn a_second_agent_does_not_send() {
    let site = Site::new();
    let mut running = site.start();
    site.wait_for("SELECT host FROM bodrelay_status WHERE connection_point = 'CP1'", "host1");
    site.write_config("second.toml", "state2", "host2");
    let _second = site.start_with("second.toml");
    site.wait_for(&finding("OWNED_BY_ANOTHER"), "1");
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&flag(id), "1");
    assert_eq!(site.stored(), 1);
    assert_eq!(site.ask("SELECT host FROM bodrelay_message_log"), "host1");
    assert_eq!(running.term(), 0);
    site.wait_for(&no_finding("OWNED_BY_ANOTHER"), "1");
}

#[test]
fn a_copied_database_is_refused_until_it_is_accepted() {
    let site = Site::new();
    site.once(0);
    site.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::copy(site.path("erp.db"), site.path("copy.db")).unwrap();
    std::fs::rename(site.path("copy.db"), site.path("erp.db")).unwrap();
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    let (code, codes) = site.check();
    assert_eq!(code, 1, "{codes:?}");
    assert!(codes.contains(&"DATABASE_COPIED".to_owned()), "{codes:?}");
    site.once(2);
    assert_eq!((site.ask(&flag(id)), site.stored()), ("0".into(), 0));
    assert!(site.ask("SELECT state || refused_reason FROM bodrelay_host").starts_with("refusedthis is not"));
    assert!(site.check().1.contains(&"AGENT_REFUSED".to_owned()));
    site.exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('accept_database', '*')");
    site.once(0);
    assert_eq!((site.ask(&flag(id)), site.stored()), ("1".into(), 1));
    assert_eq!(site.ask("SELECT state FROM bodrelay_command"), "done");
    // What the agent found in the row itself is listed, and is no error.
    assert_eq!(site.check(), (0, vec!["ENVELOPE_INCOMPLETE".to_owned()]));
}

#[test]
fn sigterm_ends_in_order() {
    let site = Site::new();
    let mut running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'", "running");
    assert_eq!(running.term(), 0);
    assert_eq!(site.ask("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'"), "stopped");
    assert_eq!(site.ask("SELECT state FROM bodrelay_host"), "stopped");
    let mut again = site.start();
    again.kill();
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.once(0);
    assert_eq!(site.ask(&flag(id)), "1");
}

#[test]
fn a_new_row_is_sent_without_waiting_for_the_poll() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET poll_seconds = 3600");
    let _running = site.start();
    site.wait_for("SELECT last_poll_at IS NOT NULL FROM bodrelay_status", "1");
    for document_id in ["SO-1", "SO-2"] {
        let id = site.write_row("Sync.SalesOrder", document_id, "");
        site.wait_for(&flag(id), "1");
    }
}

#[test]
fn another_sender_stops_the_sending() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET parallel_posts = 1");
    site.simulator.add_fault(Fault::new(What::Slow { ms: 1_500 }).for_document("SO-1"));
    let _running = site.start();
    let first = site.write_row("Sync.SalesOrder", "SO-1", "");
    wait("the document is on its way", || site.stored() == 1);
    // As somebody else's sender would, before ours has its answer.
    site.exec(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID = {first}"));
    site.wait_for(&finding("ANOTHER_SENDER"), "1");
    let second = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.wait_for("SELECT state FROM bodrelay_status", "waiting");
    site.wait_for(&state(second), "pending");
    assert_eq!((site.ask(&flag(second)), site.stored()), ("0".into(), 1));
    site.exec("UPDATE bodrelay_connection_point SET parallel_posts = 2");
    site.wait_for(&flag(second), "1");
}

#[test]
fn another_order_waits_until_the_noun_has_nothing_open() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_document SET order_by = 'connection_point'");
    site.simulator.add_fault(Fault::refuse(503).on(On::Post).times(4));
    let _running = site.start();
    let first: Vec<i64> =
        (0..3).map(|it| site.write_row("Sync.SalesOrder", &format!("SO-{it}"), "")).collect();
    site.wait_for("SELECT state FROM bodrelay_status", "backoff");
    site.exec("UPDATE bodrelay_document SET order_by = 'none'");
    for id in &first {
        site.wait_for(&flag(*id), "1");
    }
    let arrived: Vec<_> =
        site.simulator.ledger().arrivals().into_iter().filter_map(|it| it.document_id).collect();
    assert_eq!(
        arrived,
        ["SO-0", "SO-1", "SO-2"].map(Box::from),
        "they kept the order in which they were admitted"
    );
}

#[test]
fn rows_that_wait_for_headers_are_work_that_waits() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET headers_grace_seconds = 3600");
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.exec(&format!(
        "DELETE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = {id} AND C_HEADER_KEY = 'BODType'"
    ));
    site.once(75);
    site.exec(&format!(
        "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES ({id}, 'BODType', 'Sync.SalesOrder')"
    ));
    site.once(0);
    assert_eq!(site.ask(&flag(id)), "1");
}

/// While looks follow each other without a pause, the next one begins before the journal has what the last one parked.
#[test]
fn headers_that_come_late_are_seen_in_the_middle_of_a_backlog() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET headers_grace_seconds = 3600, batch_rows = 20");
    let mut late = Vec::new();
    for number in 0..300 {
        let id = site.write_row("Sync.SalesOrder", &format!("SO-{number}"), "");
        if number % 50 == 7 {
            late.push(id);
        }
    }
    let headers = "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_KEY =";
    let ids = format!("C_OUTBOX_ID IN ({})", late.iter().map(i64::to_string).collect::<Vec<_>>().join(", "));
    site.exec(&format!("{headers} 'Late' WHERE {ids} AND C_HEADER_KEY = 'BODType'"));
    let _running = site.start();
    site.wait_for("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 1", "294");
    site.exec(&format!("{headers} 'BODType' WHERE {ids} AND C_HEADER_KEY = 'Late'"));
    for id in late {
        site.wait_for(&flag(id), "1");
    }
}

/// What is parked is to be judged again at a start; `observe` changes nothing, and must not look for it for ever.
#[test]
fn observing_ends_beside_parked_rows() {
    let site = Site::new();
    site.simulator.set_accepted(None);
    let id = site.write_row("Sync.ItemMaster", "IT-1", "");
    site.once(0);
    let journal = rusqlite::Connection::open(site.path("state/journal.sqlite")).unwrap();
    let parked = || journal.query_row("SELECT count(*) FROM parked", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((parked(), site.ask(&flag(id))), (1, "0".into()));
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'observe'");
    site.once(0);
    site.exec(
        "UPDATE bodrelay_connection_point SET send_mode = 'on'; \
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
         VALUES ('CP1', 'out', 'Sync', 'ItemMaster')",
    );
    site.once(0);
    assert_eq!((parked(), site.ask(&flag(id))), (0, "1".into()));
}

/// A lane is held by the settings of now, not by those of the failure: also where they changed while nobody looked, or by a
/// type that was taken off the list and put on it again.
#[test]
fn settings_that_hold_no_more_let_lanes_go() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    let fail = |document_id: &str| {
        site.simulator.add_fault(Fault::refuse(400).for_document(document_id).times(1));
        let failed = site.write_row("Sync.SalesOrder", document_id, "");
        site.wait_for(&flag(failed), "9");
        let held = site.write_row("Sync.SalesOrder", document_id, "");
        site.wait_for(
            &format!("SELECT held_by IS NOT NULL FROM bodrelay_message_log WHERE entry_id = {held}"),
            "1",
        );
        held
    };
    let mut running = site.start();
    let first = fail("SO-1");
    assert_eq!(running.term(), 0);
    site.exec("UPDATE bodrelay_connection_point SET after_failure = 'continue'");
    let mut running = site.start();
    site.wait_for(&flag(first), "1");
    site.exec("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    site.wait_for(
        "SELECT settings_read_at > (SELECT changed_at FROM bodrelay_connection_point) FROM bodrelay_status",
        "1",
    );
    let second = fail("SO-2");
    site.exec("DELETE FROM bodrelay_document");
    site.wait_for("SELECT state FROM bodrelay_status", "misconfigured");
    site.exec(
        "UPDATE bodrelay_connection_point SET after_failure = 'continue'; \
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
         VALUES ('CP1', 'out', 'Sync', 'SalesOrder')",
    );
    site.wait_for(&flag(second), "1");
    assert_eq!(running.term(), 0);
}

/// What waited for a failed document goes after its correction, at once and in order.
#[test]
fn a_correction_lets_its_lane_go_on() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    site.simulator.add_fault(Fault::refuse(400).for_document("SO-1").times(1));
    let first = site.write_row("Sync.SalesOrder", "SO-1", "bad");
    let mut running = site.start();
    site.wait_for(&flag(first), "9");
    let held: Vec<i64> = (0..5).map(|_| site.write_row("Sync.SalesOrder", "SO-1", "later")).collect();
    site.wait_for("SELECT count(*) FROM bodrelay_message_log WHERE held_by IS NOT NULL", "5");
    site.exec(&format!(
        "UPDATE COR_OUTBOX_ENTRY SET C_XML = CAST(replace(CAST(C_XML AS TEXT), '>bad<', '>good<') AS BLOB), \
         C_WAS_PROCESSED = 0 WHERE C_ID = {first}"
    ));
    let last = site.write_row("Sync.SalesOrder", "SO-1", "last");
    for id in held.iter().chain([&first, &last]) {
        site.wait_for(&flag(*id), "1");
    }
    let order: Vec<String> = (site.simulator.ledger().arrivals().into_iter())
        .map(|arrival| {
            let of = format!(
                "SELECT entry_id FROM bodrelay_message_log WHERE message_id = '{}'",
                arrival.message_id
            );
            site.ask(&of)
        })
        .collect();
    let wanted: Vec<String> = (first..=last).map(|id| id.to_string()).collect();
    assert_eq!(order, wanted);
    assert_eq!(site.ask("SELECT count(*) FROM bodrelay_message_log WHERE late = 1"), "0");
    assert_eq!(running.term(), 0);
}

/// A row that is committed late, below one of its lane that is on its way already, and fails: the journal holds the other
/// while memory has it.
#[test]
fn what_a_late_failure_holds_is_let_go() {
    let site = Site::new();
    site.exec(
        "UPDATE bodrelay_connection_point SET after_failure = 'hold'; \
         INSERT INTO sqlite_sequence (name, seq) VALUES ('COR_OUTBOX_ENTRY', 9)",
    );
    site.simulator.add_fault(Fault::refuse(503));
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    let mut running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status", "backoff");
    site.exec(
        "BEGIN; \
         INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_TENANT_ID, C_LOGICAL_ID, C_XML) \
         VALUES (5, 'DEMO_TST', 'lid://infor.ims.cp1', CAST('<SyncSalesOrder>' AS BLOB)); \
         INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) \
         SELECT 5, C_HEADER_KEY, C_HEADER_VALUE FROM COR_OUTBOX_HEADERS; \
         COMMIT",
    );
    site.wait_for(&flag(5), "9");
    site.simulator.clear_faults();
    let other = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.wait_for(&flag(other), "1");
    site.wait_for(
        &format!("SELECT held_by IS NOT NULL FROM bodrelay_message_log WHERE entry_id = {id}"),
        "1",
    );
    assert_eq!(site.ask(&flag(id)), "0", "the lane waits for a person");
    site.exec(
        "INSERT INTO bodrelay_command (command, connection_point, failure_code, reason) \
         VALUES ('discard', 'CP1', 'XML_CUT_OFF', 'no')",
    );
    site.wait_for(&flag(id), "1");
    assert_eq!(running.term(), 0);
}

#[test]
fn a_slow_ion_shows_in_the_log() {
    let site = Site::new();
    site.simulator.add_fault(Fault::new(What::Slow { ms: 14_000 }).times(1));
    let _running = site.start();
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&state(id), "in_flight");
    site.wait_for(&state(id), "accepted");
}

#[test]
fn what_was_begun_waits_when_ion_says_no() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET parallel_posts = 8");
    site.simulator.add_fault(Fault::refuse(503));
    let ids: Vec<i64> =
        (0..60).map(|it| site.write_row("Sync.SalesOrder", &format!("SO-{it}"), "")).collect();
    let _running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status", "backoff");
    // Those that were on the wire, and a probe a second since then; not those that were begun behind them.
    let posts = site.simulator.ledger().counts().posts;
    assert!(posts <= 8 + 4, "{posts} posts");
    site.simulator.clear_faults();
    for id in ids {
        site.wait_for(&flag(id), "1");
    }
    assert_eq!(site.simulator.ledger().counts().repeats_same, 0);
    assert_eq!(site.ask("SELECT count(*) FROM bodrelay_message_log WHERE in_doubt = 1"), "0");
}

/// All zeros never hide a backlog: rows of a connection point that is off, or lacks its documents, are counted.
#[test]
fn what_waits_is_counted_also_where_nothing_is_sent() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'off'");
    site.write_row("Sync.SalesOrder", "SO-1", "");
    let mut running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status", "off");
    site.wait_for("SELECT waiting_rows FROM bodrelay_status", "1");
    site.wait_for("SELECT oldest_waiting_at IS NOT NULL FROM bodrelay_status", "1");
    assert_eq!(running.term(), 0);
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'on'; DELETE FROM bodrelay_document");
    site.write_row("Sync.SalesOrder", "SO-2", "");
    let mut running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status", "misconfigured");
    site.wait_for("SELECT waiting_rows FROM bodrelay_status", "2");
    assert_eq!(running.term(), 0);
}

#[test]
fn status_and_describe_tell_what_is_there() {
    let site = Site::new();
    let (code, text, _) = site.run(&["status"]);
    assert!(code == 0 && text.contains("no agent has said anything yet"), "{text}");
    site.exec(
        bodrelay::database::statements::scripts::SQLITE.iter().find(|it| it.0 == "audit.sql").unwrap().1,
    );
    site.exec("UPDATE bodrelay_connection_point SET poll_seconds = NULL, poll_cron = '0 6 * * 1-5', description = 'a | b'");
    let mut running = site.start();
    site.wait_for("SELECT state FROM bodrelay_status", "running");
    let (code, text, _) = site.run(&["status"]);
    assert!(
        code == 0 && text.contains("CP1") && text.contains("running") && text.contains("host1"),
        "{text}"
    );
    let (_, text, _) = site.run(&["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (&json["database"], &json["connection_point"], &json["waiting_rows"]),
        (&"erp".into(), &"CP1".into(), &0.into())
    );
    // A file of its own: the running agent does not listen.
    let text = std::fs::read_to_string(site.path("agent.toml")).unwrap();
    let listen = "[listen]\naddress = \"127.0.0.1:28443\"\n[[listen.caller]]\nname = \"gateway\"\nauth = \"basic\"\n\
                  key = \"ion\"\nsecret_file = \"caller.secret\"\n";
    std::fs::write(site.path("listen.toml"), format!("{text}\n{listen}")).unwrap();
    std::fs::write(site.path("caller.secret"), "a long secret").unwrap();
    let page = site.path("page.md");
    let (code, _, log) = site.run_with("listen.toml", &["describe", page.to_str().unwrap()]);
    assert_eq!(code, 0, "{log}");
    let page = std::fs::read_to_string(page).unwrap();
    for part in [
        "# bodrelay at PLANT1",
        "DEMO_TST",
        "lid://infor.ims.cp1",
        "cron 0 6 * * 1-5 (UTC)",
        "Sync.SalesOrder",
        "| 503 | retry |",
        "host1",
        "| bodrelay_document | CP1/out/Sync/SalesOrder |",
        "| bodrelay_connection_point | CP1 | poll_cron | NULL | 0 6 * * 1-5 |",
        "Listens at `127.0.0.1:28443`, without encryption",
        "| gateway | basic | ion | ",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let ionapi: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(site.path("x.ionapi")).unwrap()).unwrap();
    for secret in ["cs", "saak", "sask"] {
        assert!(!page.contains(ionapi[secret].as_str().unwrap()), "{secret} is in the page");
    }
    assert!(!page.contains("a long secret"), "{page}");
    assert_eq!(running.term(), 0);
    std::fs::remove_file(site.path("erp.db")).unwrap();
    assert_eq!(site.run(&["status"]).0, 3);
    let (code, page, _) = site.run(&["describe"]);
    assert!(code == 3 && page.contains("It could not be read") && page.contains("no `[listen]`"), "{page}");
}

fn no_finding(code: &str) -> String {
    format!("SELECT count(*) = 0 FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL")
}

/// What somebody forgot, each provoked and taken back.
#[test]
fn forgotten_things_are_findings() {
    let site = Site::new();
    site.exec(
        "UPDATE bodrelay_connection_point SET after_failure = 'hold'; DROP INDEX IX_COR_OUTBOX_HEADERS_ENTRY",
    );
    site.simulator.add_fault(Fault::refuse(400).for_document("SO-1").times(1));
    // Of a type that nobody listed, since years: all other figures look well.
    let old = site.write_row("Sync.Nobody", "N-1", "");
    site.exec(&format!(
        "UPDATE COR_OUTBOX_ENTRY SET C_CREATED_DATE_TIME = '2020-01-01T00:00:00Z' WHERE C_ID = {old}"
    ));
    let ids = ["a", "b"].map(|text| site.write_row("Sync.SalesOrder", "SO-1", text));
    let mut running = site.start();
    for code in ["MESSAGES_HELD", "BACKLOG_OLD", "DATABASE_ADVICE", "TYPE_NOT_LISTED"] {
        site.wait_for(&finding(code), "1");
    }
    let text = "SELECT finding_text FROM bodrelay_finding WHERE code = 'MESSAGES_HELD'";
    assert!(site.ask(text).starts_with("1 messages wait"), "{}", site.ask(text));
    site.exec("INSERT INTO bodrelay_command (command, connection_point, document_id, failure_code, reason) VALUES ('discard', 'CP1', 'SO-1', 'HTTP_400', 'no')");
    site.wait_for(&flag(ids[1]), "1");
    site.wait_for(&no_finding("MESSAGES_HELD"), "1");
    site.exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('pause', 'CP1')");
    site.wait_for("SELECT state FROM bodrelay_status", "paused");
    assert_eq!(running.term(), 0);
    let journal = rusqlite::Connection::open(site.path("state/journal.sqlite")).unwrap();
    assert_eq!(journal.execute("UPDATE pause SET since = since - 90000000", []).unwrap(), 1);
    drop(journal);
    site.exec(&format!(
        "DELETE FROM COR_OUTBOX_ENTRY WHERE C_ID = {old}; CREATE INDEX x ON COR_OUTBOX_HEADERS (C_OUTBOX_ID)"
    ));
    let mut running = site.start();
    site.wait_for(&finding("PAUSED_LONG"), "1");
    site.wait_for(&no_finding("DATABASE_ADVICE"), "1");
    site.wait_for(&no_finding("BACKLOG_OLD"), "1");
    site.exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('resume', 'CP1'); DELETE FROM bodrelay_document");
    site.wait_for(&no_finding("PAUSED_LONG"), "1");
    site.wait_for(&finding("NO_DOCUMENTS"), "1");
    site.exec("INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'SalesOrder')");
    site.wait_for(&no_finding("NO_DOCUMENTS"), "1");
    // Of the type that nobody had listed no row is left; somebody lists it all the same.
    site.exec("INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'Nobody')");
    site.wait_for(&no_finding("TYPE_NOT_LISTED"), "1");
    assert_eq!(running.term(), 0);
}

/// `order_by` is another while no agent runs, and a failed message keeps a later one of its document waiting.
#[test]
fn an_order_waits_for_what_is_open() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    site.simulator.add_fault(Fault::refuse(400).for_document("SO-1").times(1));
    let held = ["a", "b"].map(|text| site.write_row("Sync.SalesOrder", "SO-1", text));
    let mut running = site.start();
    site.wait_for(&flag(held[0]), "9");
    assert_eq!(running.term(), 0);
    site.exec("UPDATE bodrelay_document SET order_by = 'none'");
    let later = site.write_row("Sync.SalesOrder", "SO-1", "c");
    let other = site.write_row("Sync.SalesOrder", "SO-2", "");
    let mut running = site.start();
    site.wait_for(&flag(other), "1");
    site.wait_for(&finding("ORDER_BY_WAITS"), "1");
    assert_eq!([held[1], later].map(|id| site.ask(&flag(id))), ["0", "0"], "the order stays");
    site.exec("INSERT INTO bodrelay_command (command, connection_point, document_id, failure_code, reason) VALUES ('discard', 'CP1', 'SO-1', 'HTTP_400', 'no')");
    site.wait_for(&flag(later), "1");
    site.wait_for(&no_finding("ORDER_BY_WAITS"), "1");
    let sent: Vec<_> = site.simulator.ledger().arrivals().into_iter().map(|it| it.message_id).collect();
    assert_eq!(sent.len(), 3);
    // The new one applies: a failed document keeps nothing waiting.
    site.simulator.add_fault(Fault::refuse(400).for_document("SO-3").times(1));
    let ids = ["a", "b"].map(|text| site.write_row("Sync.SalesOrder", "SO-3", text));
    site.wait_for(
        &format!("SELECT sum(C_WAS_PROCESSED) FROM COR_OUTBOX_ENTRY WHERE C_ID IN ({}, {})", ids[0], ids[1]),
        "10",
    );
    // And back again, while it runs and nothing is open.
    site.exec("UPDATE bodrelay_document SET order_by = 'connection_point'");
    site.exec("INSERT INTO bodrelay_command (command, connection_point, document_id, failure_code, reason) VALUES ('discard', 'CP1', 'SO-3', 'HTTP_400', 'no')");
    let journal = || rusqlite::Connection::open(site.path("state/journal.sqlite")).unwrap();
    let applies = || -> String {
        journal()
            .query_row("SELECT order_by FROM noun_order WHERE noun = 'SalesOrder'", [], |row| row.get(0))
            .unwrap()
    };
    wait("the order", || applies() == "connection_point");
    assert_eq!(site.ask(&finding("ORDER_BY_WAITS")), "0");
    assert_eq!(running.term(), 0);
}

fn status_of(point: &str, column: &str) -> String {
    format!("SELECT {column} FROM bodrelay_status WHERE connection_point = '{point}' AND direction = 'out'")
}

/// A refused connection point is no silent one: its row says why, how much waits for it, and what to do.
#[test]
fn refused_connection_points_say_why() {
    let site = Site::new();
    site.exec(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
         source_logical_id, send_mode, poll_seconds, blackout) \
         VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp2', 'lid://infor.ims.cp2', 'on', 1, '12:00-13'); \
         UPDATE bodrelay_connection_point SET source_logical_id = 'lid://infor.ims.cp1' WHERE connection_point = 'CP1'",
    );
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.exec("UPDATE COR_OUTBOX_ENTRY SET C_LOGICAL_ID = 'lid://infor.ims.cp2'");
    let mut running = site.start();
    for _ in 0..2 {
        site.wait_for(&status_of("CP2", "state"), "misconfigured");
        site.wait_for(&status_of("CP2", "state_reason LIKE '%12:00-13%'"), "1");
        site.wait_for(&status_of("CP2", "waiting_rows || ' ' || (oldest_waiting_at IS NOT NULL)"), "1 1");
        site.wait_for(&finding("SETTING_REFUSED"), "1");
        site.wait_for(&status_of("CP1", "state"), "running");
        let (_, text, _) = site.run(&["status"]);
        assert!(text.contains("CP2 (out) is misconfigured") && text.contains("12:00-13"), "{text}");
        // Another life knows of it, too.
        running.kill();
        running = site.start();
    }
    site.exec(
        "UPDATE bodrelay_connection_point SET blackout = NULL WHERE connection_point = 'CP2'; \
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP2', 'out', 'Sync', 'SalesOrder')",
    );
    site.wait_for(&flag(id), "1");
    site.wait_for(&status_of("CP2", "state"), "running");
    site.wait_for(&no_finding("SETTING_REFUSED"), "1");
    site.wait_for(&status_of("CP2", "accepted_total"), "1");
    // While it runs, and in a way that concerns another one.
    site.exec("UPDATE bodrelay_connection_point SET source_logical_id = NULL WHERE connection_point = 'CP2'");
    site.wait_for(&finding("ROWS_OVERLAP"), "1");
    // Both go on with what was good.
    let reason = "SELECT refused_reason LIKE '%last good settings apply%' FROM bodrelay_connection_point WHERE \
                  connection_point = 'CP2'";
    site.wait_for(reason, "1");
    site.exec("UPDATE bodrelay_connection_point SET tenant_id = 'OTHER_TST' WHERE connection_point = 'CP2'");
    site.wait_for(&no_finding("ROWS_OVERLAP"), "1");
    site.wait_for(&finding("SETTING_REFUSED"), "1");
    site.wait_for(&reason.replace("last good", "foreign tenant%last good"), "1");
    for point in ["CP1", "CP2"] {
        assert_eq!(site.ask(&status_of(point, "state")), "running");
    }
    assert_eq!(site.ask(&status_of("CP2", "accepted_total")), "1", "what was is not forgotten");
    site.exec("DELETE FROM bodrelay_connection_point WHERE connection_point = 'CP2'");
    site.wait_for(&status_of("CP2", "state"), "stopped");
    site.wait_for(&no_finding("SETTING_REFUSED"), "1");
    site.wait_for(&finding("DOCUMENT_WITHOUT_POINT"), "1");
    site.exec("DELETE FROM bodrelay_document WHERE connection_point = 'CP2'");
    site.wait_for(&no_finding("DOCUMENT_WITHOUT_POINT"), "1");
    assert_eq!(running.term(), 0);
}

#[test]
fn a_logical_id_in_two_databases_is_refused_in_the_second() {
    let site = Site::new();
    add_second_database(&site);
    let mut running = site.start();
    let second = || rusqlite::Connection::open(site.path("second.db")).unwrap();
    let ask = |sql: &str| second().query_row(sql, [], |row| row.get::<_, String>(0)).unwrap_or_default();
    let code = "SELECT coalesce(max(code), '') FROM bodrelay_finding WHERE code = 'LOGICAL_ID_TWICE' AND cleared_at IS NULL";
    wait("the second is refused", || ask(&status_of("CP1", "state")) == "misconfigured");
    wait("it says why", || ask(code) == "LOGICAL_ID_TWICE");
    site.wait_for(&status_of("CP1", "state"), "running");
    second()
        .execute_batch("UPDATE bodrelay_connection_point SET logical_id = 'lid://infor.ims.cp9'")
        .unwrap();
    wait("it is taken back", || ask(code).is_empty());
    wait("it works", || ask(&status_of("CP1", "state")) == "running");
    assert_eq!(running.term(), 0);
}

/// What ION refuses is found by who must wait for it, and is over when ION takes it again.
#[test]
fn what_ion_refuses_is_found_and_over() {
    let site = Site::new();
    let both = || Some(["Sync.SalesOrder".to_owned(), "Sync.ItemMaster".to_owned()].into());
    site.simulator.set_accepted(both());
    let mut running = site.start();
    let told = |code: &str| {
        site.ask(&format!("SELECT finding_text || ' ' || remedy FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL"))
    };
    let first = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&finding("LISTED_IN_ION_ONLY"), "1");
    site.exec("INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'ItemMaster')");
    site.wait_for(&no_finding("LISTED_IN_ION_ONLY"), "1");
    site.wait_for(&flag(first), "1");

    site.simulator.set_accepted(Some([].into()));
    site.exec("UPDATE bodrelay_connection_point SET description = 'asks anew'");
    let id = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.wait_for(&finding("TYPE_NOT_ACCEPTED"), "1");
    site.simulator.set_accepted(both());
    site.wait_for(&flag(id), "1");
    for code in ["TYPE_NOT_ACCEPTED", "TYPE_SUSPENDED"] {
        site.wait_for(&no_finding(code), "1");
    }

    site.simulator.add_fault(Fault { document_name: Some("Sync.SalesOrder".into()), ..Fault::refuse(412) });
    site.simulator.add_fault(Fault::refuse(503).on(On::Ping));
    let id = site.write_row("Sync.SalesOrder", "SO-3", "");
    site.wait_for(&finding("TYPE_SUSPENDED"), "1");
    // What ION said last: to the post, or to the ping that asked on.
    let text = told("TYPE_SUSPENDED");
    assert!(["HTTP 412", "ping: HTTP 503"].iter().any(|said| text.contains(said)), "{text}");
    site.wait_for("SELECT state FROM bodrelay_status", "suspended");
    site.wait_for(&finding("INACTIVE_IN_ION"), "1");
    site.simulator.clear_faults();
    site.wait_for(&flag(id), "1");
    for code in ["TYPE_SUSPENDED", "INACTIVE_IN_ION"] {
        site.wait_for(&no_finding(code), "1");
    }

    site.simulator.add_fault(Fault::refuse(403));
    let ids = ["Sync.SalesOrder", "Sync.ItemMaster"].map(|it| site.write_row(it, "D-4", ""));
    site.wait_for(&finding("CONNECTION_POINT_SUSPENDED"), "1");
    let text = told("CONNECTION_POINT_SUSPENDED");
    for part in ["403", "client id", "scopes", "description must not be empty"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    site.simulator.clear_faults();
    for id in ids {
        site.wait_for(&flag(id), "1");
    }
    for code in ["CONNECTION_POINT_SUSPENDED", "TYPE_SUSPENDED"] {
        site.wait_for(&no_finding(code), "1");
    }

    site.simulator.add_fault(Fault::refuse(422));
    let ids: Vec<i64> =
        (10..15).map(|it| site.write_row("Sync.SalesOrder", &format!("SO-{it}"), "")).collect();
    site.wait_for(&finding("TYPE_REJECTED"), "1");
    for id in ids {
        site.wait_for(&flag(id), "9");
    }
    site.simulator.clear_faults();
    let id = site.write_row("Sync.SalesOrder", "SO-20", "");
    site.wait_for(&flag(id), "1");
    site.wait_for(&no_finding("TYPE_REJECTED"), "1");

    site.simulator.add_fault(Fault::refuse(503));
    let id = site.write_row("Sync.SalesOrder", "SO-30", "");
    site.wait_for(&finding("ION_BUSY"), "1");
    site.simulator.clear_faults();
    site.wait_for(&flag(id), "1");
    site.wait_for(&no_finding("ION_BUSY"), "1");
    assert_eq!(running.term(), 0);
}

/// No token for an unchanged request (500), and a refused credential: both name the token, and both are over by themselves.
#[test]
fn a_token_that_is_not_given_is_found_and_over() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(500).on(On::Token));
    let first = site.write_row("Sync.SalesOrder", "SO-1", "");
    let mut running = site.start();
    let told = |code: &str| {
        site.ask(&format!(
            "SELECT finding_text FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL"
        ))
    };
    wait("the token endpoint is named", || {
        let text = told("ION_UNREACHABLE");
        text.contains("token") && text.contains("500")
    });
    site.simulator.clear_faults();
    site.wait_for(&flag(first), "1");
    site.wait_for(&no_finding("ION_UNREACHABLE"), "1");
    // The keys were renewed, and the file is the old one.
    site.simulator.renew_keys(7);
    site.simulator.revoke_tokens();
    let second = site.write_row("Sync.SalesOrder", "SO-2", "");
    wait("the refusal is named", || told("TOKEN_REFUSED").contains("401"));
    assert_eq!(site.ask(&no_finding("ION_UNREACHABLE")), "1", "one code for one thing");
    assert_eq!(site.ask(&flag(second)), "0");
    bodrelay::platform::replace_file(&site.path("x.ionapi"), site.simulator.ionapi_json().as_bytes())
        .unwrap();
    site.wait_for(&flag(second), "1");
    site.wait_for(&no_finding("TOKEN_REFUSED"), "1");
    assert_eq!(running.term(), 0);
}

/// One after the other: faults of ION, and the findings that the running agent has while each lasts.
fn hears(phases: Vec<(Vec<Fault>, &[&str])>) {
    let site = Site::new();
    let mut running = site.start();
    let mut before: &[&str] = &[];
    for (number, (faults, codes)) in phases.into_iter().chain([(vec![], &[][..])]).enumerate() {
        site.simulator.clear_faults();
        faults.into_iter().for_each(|fault| site.simulator.add_fault(fault));
        // A changed setting has the agent ask anew.
        site.exec(&format!("UPDATE bodrelay_connection_point SET lone_rounds = 10 + {number}"));
        site.wait_for("SELECT count(*) FROM bodrelay_connection_point WHERE applied_at >= changed_at", "1");
        site.write_row("Sync.SalesOrder", &format!("SO-{number}"), "");
        for code in codes {
            site.wait_for(&finding(code), "1");
        }
        for code in before {
            site.wait_for(&no_finding(code), "1");
        }
        before = codes;
    }
    site.wait_for("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED <> 1", "0");
    assert_eq!(running.term(), 0);
}

/// What the running agent hears when it asks ION: a row each while it is so, under the codes of `check`.
#[test]
fn what_ion_answers_is_found_and_over() {
    let refuse = |status, on| Fault::refuse(status).on(on);
    let answer = |text: &str| What::Refuse { status: 200, retry_after: None, text: Some(text.into()) };
    let version_2 = Fault::new(answer(r#"{"supportedVersions":["v2"]}"#)).on(On::Versions);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            hears(vec![
                (
                    vec![refuse(500, On::AcceptedDocuments), refuse(500, On::Versions)],
                    &["LIST_UNREADABLE", "VERSIONS_UNKNOWN"],
                ),
                (
                    vec![refuse(403, On::AcceptedDocuments), version_2],
                    &["LOGICAL_ID_REFUSED", "VERSION_NOT_SUPPORTED"],
                ),
            ]);
        });
        hears(vec![
            (vec![refuse(404, On::Ping)], &["ADDRESS_WRONG"]),
            (vec![Fault::new(What::Garbage).on(On::Ping)], &["NOT_AN_IMS_ANSWER"]),
            // The last one: the first post that passes again takes back what ping said, too.
            (vec![refuse(401, On::Post)], &["CREDENTIAL_REFUSED"]),
        ]);
    });
}

/// Connection points that nobody serves, and agents that cannot say so themselves.
#[test]
fn what_nobody_serves_is_found_and_over() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET location_name = 'plant1'");
    let mut running = site.start();
    for (host, state) in [("gone", "running"), ("ill", "refused")] {
        site.exec(&format!(
            "INSERT INTO bodrelay_host (host, location_name, journal_id, database_fingerprint, epoch, agent_version, \
             script_needed, state, refused_reason, started_at, heartbeat_at) \
             SELECT '{host}', 'PLANT2', '{host}', database_fingerprint, 1, '0', 1, '{state}', 'why', started_at, \
             '2026-01-01T00:00:00.000Z' FROM bodrelay_host WHERE host = 'host1'"
        ));
    }
    for code in ["OTHER_LOCATION", "AGENT_SILENT", "AGENT_REFUSED"] {
        site.wait_for(&finding(code), "1");
    }
    // An agent of the other location serves it.
    site.exec(
        "UPDATE bodrelay_host SET state = 'stopped' WHERE host <> 'host1'; \
         UPDATE bodrelay_connection_point SET location_name = 'PLANT2'",
    );
    for code in ["OTHER_LOCATION", "AGENT_SILENT", "AGENT_REFUSED"] {
        site.wait_for(&no_finding(code), "1");
    }
    site.exec("UPDATE bodrelay_connection_point SET location_name = 'PLANT1', send_mode = 'off'");
    site.wait_for(&finding("NOTHING_SWITCHED_ON"), "1");
    site.exec(
        "CREATE TABLE kept AS SELECT * FROM bodrelay_connection_point; DELETE FROM bodrelay_connection_point",
    );
    site.wait_for(&finding("NO_CONNECTION_POINT"), "1");
    site.wait_for(&no_finding("NOTHING_SWITCHED_ON"), "1");
    site.exec("UPDATE kept SET send_mode = 'on'; INSERT INTO bodrelay_connection_point SELECT * FROM kept");
    site.wait_for(&no_finding("NO_CONNECTION_POINT"), "1");
    assert_eq!(running.term(), 0);
}

/// Rows of a type that nobody lists: told as long as one waits, also by the next life, and not when the last has gone.
#[test]
fn a_type_that_waits_no_longer_is_told_no_longer() {
    let site = Site::new();
    let (first, second) =
        (site.write_row("Sync.Nobody", "N-1", ""), site.write_row("Sync.Nobody", "N-2", ""));
    site.write_row("Sync.Somebody", "N-3", "");
    site.write_row("Sync.Forgotten", "N-4", "");
    let open = |noun: &str| {
        format!(
            "SELECT count(*) FROM bodrelay_finding WHERE code = 'TYPE_NOT_LISTED' AND subject = 'Sync.{noun}' AND \
             cleared_at IS NULL"
        )
    };
    let mut running = site.start();
    site.wait_for(&open("Nobody"), "1");
    site.wait_for(&open("Somebody"), "1");
    site.wait_for(&open("Forgotten"), "1");
    running.kill();
    // What was mended meanwhile, a run of 'once' says, too.
    site.exec(
        "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
         VALUES ('CP1', 'out', 'Sync', 'Forgotten')",
    );
    site.run(&["once"]);
    assert_eq!((site.ask(&open("Forgotten")), site.ask(&open("Somebody"))), ("0".into(), "1".into()));
    // Somebody took them back while nobody looked: the next life says what still holds, and what does not.
    site.exec("UPDATE bodrelay_finding SET cleared_at = since");
    site.exec(&format!("DELETE FROM COR_OUTBOX_ENTRY WHERE C_ID = {first}"));
    let mut running = site.start();
    site.wait_for(&open("Nobody"), "1");
    site.wait_for(&open("Somebody"), "1");
    site.exec(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = {second}"));
    site.wait_for(&open("Nobody"), "0");
    assert_eq!(site.ask(&open("Somebody")), "1");
    // Of a connection point that is gone nothing is found.
    site.exec("DELETE FROM bodrelay_connection_point");
    site.wait_for(&open("Somebody"), "0");
    assert_eq!(running.term(), 0);
}
