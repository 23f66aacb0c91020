//! `bodrelay backup`: a copy of the journal that is made under load, is whole, and brings an agent back.

// Kills are told by their signals, rights by their bits.
#![cfg(target_os = "linux")]

mod site;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use site::{Entry, Site};

fn entries(site: &Site, range: std::ops::Range<i64>) -> BTreeMap<i64, Entry> {
    let entries: Vec<Entry> =
        range.map(|number| Entry::new(&format!("ITEM-{}", number % 50), number)).collect();
    site.insert_all(&entries).into_iter().zip(entries).collect()
}

fn backup(site: &Site, name: &str) -> (i32, String, String) {
    site.command_output("backup", &[site.path(name).to_str().unwrap()])
}

#[test]
fn a_copy_made_under_load_brings_the_agent_back() {
    let site = Site::new();
    let mut all = entries(&site, 0..3_000);
    let mut agent = site.start();
    agent.until("it works", || site.simulator.ledger().counts().stored > 100);
    let mut copies = 0;
    while site.simulator.ledger().counts().stored < 2_500 && copies < 20 {
        let (code, said, complaint) = backup(&site, &format!("copy-{copies}.sqlite"));
        assert_eq!(code, 0, "{complaint}");
        assert!(said.contains("To restore it"), "{said}");
        copies += 1;
    }
    assert!(copies > 0);
    let last = site.path(&format!("copy-{}.sqlite", copies - 1));
    assert_eq!(last.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for number in 0..copies {
        let path = site.path(&format!("copy-{number}.sqlite"));
        let copy = Connection::open(&path).unwrap();
        let check: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        for beside in ["-wal", "-shm", "-journal", ".partial"] {
            let beside = path.with_file_name(format!("copy-{number}.sqlite{beside}"));
            assert!(!beside.exists(), "{} was left", beside.display());
        }
    }
    // The machine dies, its disk too; nothing but the last copy is left. The epoch was not raised in between.
    agent.kill();
    let open = Connection::open(&last)
        .unwrap()
        .query_row("SELECT count(*) FROM message WHERE settled = 0", [], |row| row.get::<_, i64>(0))
        .unwrap();
    eprintln!("{copies} copies; the last one has {open} open messages");
    std::fs::remove_dir_all(site.path("state")).unwrap();
    std::fs::create_dir(site.path("state")).unwrap();
    std::fs::copy(&last, site.journal_path()).unwrap();
    all.extend(entries(&site, 3_000..3_010));
    // Whether the one that was killed is dead, only its silence tells: nobody is to wait here for minutes.
    let mut agent = site.start_with(&[("BODRELAY_LAPSE_SECONDS", "6")]);
    agent.until_says("worked with this journal until");
    agent.until("nothing waits", || site.is_drained());
    agent.term();
    assert!(site.has_finding("JOURNAL_RESTORED"), "the copy is known as older than the database");
    // Everything reached ION, and what came twice came with the same bytes under the same id.
    let ledger = site.simulator.ledger();
    assert_eq!(ledger.repeats_different(), []);
    let arrived: std::collections::BTreeSet<_> =
        ledger.arrivals().iter().map(|arrival| arrival.message_id.clone()).collect();
    assert_eq!(arrived.len(), all.len());
    for id in all.keys() {
        assert_eq!(site.flag(*id), Some(1), "row {id}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let site = Site::new();
    let (code, _, complaint) = backup(&site, "copy.sqlite");
    assert_eq!(code, 2);
    assert!(complaint.contains("there is no journal"), "{complaint}");
    entries(&site, 0..3);
    site.drain();
    // While no agent runs.
    assert_eq!(backup(&site, "copy.sqlite").0, 0);
    let before = std::fs::read(site.path("copy.sqlite")).unwrap();
    let (code, _, complaint) = backup(&site, "copy.sqlite");
    assert_eq!(code, 2);
    assert!(complaint.contains("is not overwritten"), "{complaint}");
    assert_eq!(std::fs::read(site.path("copy.sqlite")).unwrap(), before);
    let (code, _, complaint) = backup(&site, "no/such/folder/copy.sqlite");
    assert_eq!(code, 2);
    assert!(complaint.contains("cannot be written"), "{complaint}");
    // What a killed run left is no hindrance, and a damaged journal gives no copy.
    std::fs::write(site.path("second.sqlite.partial"), "half").unwrap();
    assert_eq!(backup(&site, "second.sqlite").0, 0);
    assert!(!site.path("second.sqlite.partial").exists());
    site.journal().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut bytes = std::fs::read(site.journal_path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0xAA);
    std::fs::write(site.journal_path(), bytes).unwrap();
    let (code, _, complaint) = backup(&site, "third.sqlite");
    assert_eq!(code, 2, "{complaint}");
    assert!(!site.path("third.sqlite").exists() && !site.path("third.sqlite.partial").exists());
}
