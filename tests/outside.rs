//! What comes from outside acts nowhere: hostile names in statements, on terminals and in logs; files and folders that are
//! not the agent's own; and SIGHUP, which ends nothing.

#![cfg(unix)]

mod site;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bodrelay::simulator::Options;
use site::{Entry, Site};

const HOSTILE: &str = "Sync.X'); DROP TABLE bodrelay_document;--";
const ACTING: &str = "Sync.X\u{1b}[2J\u{9b}31m\u{202e}\r\n2026-01-01 forged";

fn remedy(site: &Site, code: &str, and: &str) -> Option<String> {
    site.text(&format!(
        "SELECT remedy FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL AND {and}"
    ))
}

fn acts(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}'))
}

#[test]
fn hostile_names_act_neither_in_statements_nor_on_screens() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let quoted = |text: &str| text.replace('\'', "''");
        for (number, bod_type) in (1..).zip([HOSTILE, ACTING]) {
            let row = site.insert(&Entry::new(&format!("ITEM-{number}"), 1));
            site.sql(&format!(
                "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = '{}' WHERE C_OUTBOX_ID = {row} AND C_HEADER_KEY = 'BODType'",
                quoted(bod_type)
            ));
        }
        let contradicts = site.insert(&Entry::new("ITEM-3", 1));
        site.sql(&format!(
            "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) \
             VALUES ({contradicts}, 'DocumentID', '{ACTING}')"
        ));
        // A name that a DBA gave, and a statement with it that is to be typed.
        site.sql(&format!(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode, \
             source_logical_id, poll_seconds) \
             VALUES ('O''Brien; --', 'PLANT1', '{}', 'lid://infor.ims.obrien', 'on', 'lid://infor.ims.obrien', 1); \
             UPDATE bodrelay_connection_point SET source_logical_id = logical_id",
            site.tenant_id()
        ));
        let mut agent = site.start();
        agent.until("the hostile types are told", || {
            site.number(
                "SELECT count(*) FROM bodrelay_finding WHERE code = 'TYPE_NOT_LISTED' AND cleared_at IS NULL",
            ) == 2
        });
        for and in ["subject LIKE '%DROP%'", "subject LIKE '%forged%'"] {
            let remedy = remedy(&site, "TYPE_NOT_LISTED", and).unwrap();
            assert!(!remedy.contains("INSERT") && !remedy.contains("DROP"), "{remedy}");
            assert!(!acts(&remedy), "{remedy:?}");
        }
        let no_documents = "connection_point LIKE 'O%'";
        agent.until("nothing is listed", || remedy(&site, "NO_DOCUMENTS", no_documents).is_some());
        let typed = remedy(&site, "NO_DOCUMENTS", no_documents).unwrap();
        site.sql(typed.split(", one row for").next().unwrap());
        let order = Entry::new("ITEM-9", 1).verb("Process").logical_id("lid://infor.ims.obrien");
        let row = site.insert(&order);
        let not_listed = "subject = 'Process.ItemMaster'";
        agent.until("the other type", || remedy(&site, "TYPE_NOT_LISTED", not_listed).is_some());
        let typed = remedy(&site, "TYPE_NOT_LISTED", not_listed).unwrap();
        site.sql(typed.split("; the rows").next().unwrap());
        agent.until("it is sent", || site.flag(row) == Some(1));
        assert_eq!(site.number("SELECT count(*) FROM bodrelay_document"), 3);
        agent.until("it failed", || site.flag(contradicts) == Some(9));
        let told = site
            .text("SELECT failure_text || remedy FROM bodrelay_message_log WHERE state = 'failed'")
            .unwrap();
        assert!(told.contains("1b") && !acts(&told), "{told:?}");
        let log = agent.log();
        for line in log.lines() {
            assert!(!acts(line) && !line.starts_with("2026-01-01 forged"), "{line:?}");
        }
        for (verb, arguments) in [
            ("check", &[][..]),
            ("check", &["--json"]),
            ("status", &[]),
            ("status", &["--json"]),
            ("log", &[]),
            ("log", &["--json"]),
            ("describe", &[]),
        ] {
            let (_, out, error) = site.command_output(verb, arguments);
            assert!(!acts(&out) && !acts(&error), "{verb} {arguments:?}: {out:?} {error:?}");
        }
        agent.term();
    }
}

#[test]
fn sighup_opens_the_log_again_and_ends_nothing() {
    let site = Site::new();
    let file = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let log = format!("[log]\nfile = {:?}\nrotate = \"never\"\n", site.path("own.log"));
    std::fs::write(site.path("bodrelay.toml"), format!("{log}{file}")).unwrap();
    let says =
        |name: &str, text: &str| std::fs::read_to_string(site.path(name)).is_ok_and(|log| log.contains(text));
    let mut agent = site.start();
    agent.until("it has begun", || says("own.log", "starts"));
    std::fs::rename(site.path("own.log"), site.path("own.log.1")).unwrap();
    agent.hang_up();
    agent.until("the new file", || says("own.log", "SIGHUP"));
    // What cannot be read leaves the former one in use, and is told.
    let credential = std::fs::read(site.path("sim.ionapi")).unwrap();
    std::fs::write(site.path("sim.ionapi"), "half").unwrap();
    agent.hang_up();
    agent.until("the finding", || site.has_open_finding("CREDENTIAL_UNUSABLE"));
    bodrelay::platform::replace_file(&site.path("sim.ionapi"), &credential).unwrap();
    agent.hang_up();
    agent.until("its end", || !site.has_open_finding("CREDENTIAL_UNUSABLE"));
    let row = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it still sends", || site.flag(row) == Some(1));
    agent.term();
    assert!(says("own.log", "ends") && !says("own.log.1", "ends"));
}

#[test]
fn a_folder_of_others_is_left_as_it_is() {
    let site = Site::new();
    let folder = site.path("state");
    let mode = |mode: u32| std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    let is = || std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("anybody's"), "x").unwrap();
    mode(0o755);
    let (code, _, error) = site.command_output("once", &[]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("chmod 700") && error.contains("anybody's"), "{error}");
    assert_eq!((is(), folder.join("lock").exists()), (0o755, false));
    let (code, out, _) = site.command_output("check", &[]);
    assert!(code != 0 && out.contains("STATE_DIR_UNUSABLE"), "{out}");
    // Closed by hand it is taken, whatever else is in it.
    mode(0o700);
    assert_eq!(site.once(), 0);
    // One that holds nothing else is closed by itself, also where the agent has worked in it.
    std::fs::remove_file(folder.join("anybody's")).unwrap();
    mode(0o755);
    assert_eq!((site.once(), is()), (0, 0o700));
}

#[test]
fn the_demo_writes_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bodrelay.toml");
    std::fs::write(&file, "of a real agent").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bodrelay"))
        .args(["demo", "--messages", "100", "--json", "--keep"])
        .arg(folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("bodrelay.toml"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of a real agent");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
