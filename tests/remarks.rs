//! Findings about documents that are sent (or fail) all the same, and about rows that nobody meant: each provoked in the
//! real binary, and taken back where it is about what is so.

#![cfg(unix)]

mod site;

use bodrelay::simulator::Options;
use site::{Agent, Entry, Site};

fn text(site: &Site, code: &str) -> String {
    site.text(&format!(
        "SELECT finding_text FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL"
    ))
    .unwrap_or_default()
}

fn found(site: &Site, agent: &mut Agent, code: &str) -> String {
    agent.until(code, || site.has_open_finding(code));
    text(site, code)
}

#[test]
fn documents_that_are_odd_are_told() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let mut agent = site.start();
        let first = site.insert(&Entry::new("ITEM-1", 5));
        agent.until("the first one", || site.flag(first) == Some(1));
        assert!(!site.has_finding("RECEIVER_NEW"), "on the first day every receiver is new");
        site.insert(&Entry::new("ITEM-1", 3));
        let said = found(&site, &mut agent, "VARIATION_GOES_DOWN");
        assert!(said.contains("variation id 3 comes after 5") && said.contains("ITEM-1"), "{said}");

        let rows = ["ITEM-2", "ITEM-3"].map(|id| site.insert(&Entry::new(id, 1).message_id("the-same")));
        let said = found(&site, &mut agent, "MESSAGE_IDS_REUSED");
        assert!(said.contains("'the-same'") && said.contains(&rows[0].to_string()), "{said}");

        site.sql("UPDATE bodrelay_connection_point SET headers_grace_seconds = 1");
        let bare = site.insert(&Entry::new("ITEM-4", 1));
        site.sql(&format!("DELETE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = {bare}"));
        found(&site, &mut agent, "ROWS_WITHOUT_HEADERS");

        let bytes = Entry::new("ITEM-5", 1).xml(site.tenant_id()).len().max(1024);
        site.sql(&format!("UPDATE bodrelay_connection_point SET max_document_bytes = {}", bytes + 20));
        let applied = "SELECT count(*) FROM bodrelay_connection_point WHERE applied_at IS NOT NULL AND applied_at >= changed_at";
        agent.until("the new limit", || site.number(applied) == 1);
        site.insert(&Entry::new("ITEM-5", 1));
        let said = found(&site, &mut agent, "DOCUMENT_NEARLY_TOO_LARGE");
        assert!(said.contains(&format!("of the {} bytes", bytes + 20)), "{said}");
        agent.kill();
    }
}

/// What a row is changed to before the agent meets it (SQLite).
fn xml(from: &str, to: &str) -> String {
    format!(
        "UPDATE COR_OUTBOX_ENTRY SET C_XML = CAST(replace(CAST(C_XML AS TEXT), '{from}', '{to}') AS BLOB) WHERE C_ID = :row;"
    )
}

fn header(key: &str, value: &str) -> String {
    format!(
        "DELETE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = :row AND C_HEADER_KEY = '{key}'; \
         INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (:row, '{key}', '{value}');"
    )
}

/// What a finding asks for is seen without a restart: of rows that name a type that there is not, and of one that names
/// none, in the middle of others.
#[test]
fn a_row_that_is_mended_waits_no_longer() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let rows: Vec<i64> =
            (1..=150).map(|number| site.insert(&Entry::new(&format!("ITEM-{number}"), number))).collect();
        let set = |row: i64, value: &str| {
            site.sql(&format!(
                "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = '{value}' \
                 WHERE C_OUTBOX_ID = {row} AND C_HEADER_KEY = 'BODType'"
            ));
        };
        let (typeless, mistyped) = (&rows[..120], &rows[120..]);
        for row in typeless {
            set(*row, "SyncItemMaster");
        }
        for row in mistyped {
            set(*row, "Snyc.ItemMaster");
        }
        let whole = site.bytes(Entry::new("ITEM-110", 110).xml(site.tenant_id()).as_bytes());
        let broken = site.bytes(b"no document");
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_XML = {broken} WHERE C_ID <= {}", typeless[119]));
        let mut agent = site.start();
        agent.until("both findings", || {
            let open =
                "SELECT count(*) FROM bodrelay_finding WHERE code = 'TYPE_NOT_LISTED' AND cleared_at IS NULL";
            site.number(open) == 2
        });
        // One of the first kind, behind more than a sweep looks at; all of the other.
        let middle = typeless[109];
        set(middle, "Sync.ItemMaster");
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_XML = {whole} WHERE C_ID = {middle}"));
        for row in mistyped {
            set(*row, "Sync.ItemMaster");
        }
        agent.until("the mended ones are sent", || {
            site.flag(middle) == Some(1) && mistyped.iter().all(|row| site.flag(*row) == Some(1))
        });
        assert_eq!(site.waiting(), 119, "what nobody mended stays 0");
        agent.term();
    }
}

/// Each remark about a document, from a row of its own to a row of `bodrelay_finding`, and over when it has not happened
/// again for three days.
#[test]
fn each_remark_about_a_document_is_a_row_and_over_in_time() {
    let site = Site::new();
    site.sql(
        "INSERT INTO bodrelay_document (connection_point, direction, verb, noun, document_id_path) \
         VALUES ('CP1', 'out', 'Sync', 'SalesOrder', 'DataArea/SalesOrder/Nothing')",
    );
    let no_id = "DELETE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = :row AND C_HEADER_KEY = 'DocumentId';";
    let cases = [
        ("BODID_DIFFERS", xml("verb=Sync", "verb=Process")),
        ("BODTYPE_MALFORMED", xml("<", "") + &header("BODType", "SyncItemMaster")),
        ("DOCUMENT_ID_AMBIGUOUS", xml(":PLANT1:ITEM", ":PLANT1:OTHER")),
        ("DOCUMENT_ID_PATH_EMPTY", xml("ItemMaster", "SalesOrder") + &header("BODType", "Sync.SalesOrder")),
        ("ENVELOPE_INCOMPLETE", xml("CreationDateTime", "Nothing")),
        ("FROM_LOGICAL_ID_DIFFERS", header("FromLogicalId", "lid://acme.erp.plant2")),
        ("HEADER_BLANKS", header("Location", "PLANT1 ")),
        (
            "HEADER_KEY_CASE",
            "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_KEY = 'LOCATION' WHERE C_OUTBOX_ID = :row AND C_HEADER_KEY = 'Location'"
                .into(),
        ),
        ("HEADER_NOT_SENT", header("Nonsense", "x")),
        ("INSTANCES_DIFFER", header("Instances", "3")),
        ("MESSAGE_ID_TOO_LONG", header("MessageId", &"m".repeat(130))),
        ("MESSAGE_ID_UNFIT", header("MessageId", "a\u{1b}[31mb")),
        ("NO_DOCUMENT_ID", xml("infor-nid:", "urn:") + no_id),
        ("SENDER_LOGICAL_ID_DIFFERS", xml("LogicalID>lid://acme.erp.plant1", "LogicalID>lid://acme.erp.plant2")),
        ("SEVERAL_INSTANCES", xml("</DataArea>", "<ItemMaster/></DataArea>")),
        ("TENANT_DIFFERS", header("TenantId", "OTHER_TST")),
        (
            "TRAILING_BYTES",
            "UPDATE COR_OUTBOX_ENTRY SET C_XML = unhex(hex(C_XML) || '00ff') WHERE C_ID = :row".into(),
        ),
    ];
    let mut rows = Vec::new();
    for (number, (code, change)) in (1..).zip(&cases) {
        let entry = Entry::new(&format!("ITEM-{number}"), number);
        let row = site.insert(&if *code == "TRAILING_BYTES" { entry.deflated() } else { entry });
        site.sql(&change.replace(":row", &row.to_string()));
        rows.push((*code, row));
    }
    let mut agent = site.start();
    for (code, row) in &rows {
        let said = found(&site, &mut agent, code);
        assert!(said.starts_with(&format!("C_ID {row}: ")), "{code} is about another row than {row}: {said}");
        let waits = *code == "BODTYPE_MALFORMED";
        agent.until("it is sent all the same", || site.flag(*row) == Some(i64::from(!waits)));
    }
    // That a row waits is so, and not what happened once.
    assert!(text(&site, "TYPE_NOT_LISTED").contains("tells the type"), "{}", text(&site, "TYPE_NOT_LISTED"));
    let names: Vec<String> = cases.iter().map(|(code, _)| format!("'{code}'")).collect();
    let remarks = |and: &str| {
        let these = names.join(", ");
        site.number(&format!(
            "SELECT count(*) FROM bodrelay_finding WHERE code IN ({these}) AND cleared_at IS NULL {and}"
        ))
    };
    let all =
        "SELECT group_concat(code || ' ' || subject, ', ') FROM bodrelay_finding WHERE cleared_at IS NULL";
    assert_eq!(remarks(""), i64::try_from(cases.len()).unwrap(), "one row each: {:?}", site.text(all));
    agent.term();
    site.sql(
        "UPDATE bodrelay_finding SET last_seen_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-73 hours') \
         WHERE code <> 'TENANT_DIFFERS'",
    );
    let mut agent = site.start();
    agent.until("what is old is over", || remarks("AND code <> 'TENANT_DIFFERS'") == 0);
    assert_eq!(remarks(""), 1, "what happened lately is still told");
    agent.term();
}

#[test]
fn a_receiver_that_was_never_seen_is_told() {
    let site = Site::new();
    let first = site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    agent.until("the first one", || site.flag(first) == Some(1));
    agent.term();
    let journal = rusqlite::Connection::open(site.journal_path()).unwrap();
    journal.execute("INSERT INTO receiver (point_id, logical_id) SELECT point_id, 'lid://infor.erp.Plant1' FROM connection_point", []).unwrap();
    drop(journal);
    let to = |receiver: &str, id: &str| {
        let row = site.insert(&Entry::new(id, 1));
        site.sql(&format!(
            "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = '{receiver}' WHERE C_OUTBOX_ID = {row} AND C_HEADER_KEY = 'ToLogicalId'"
        ));
        row
    };
    let row = to("lid://infor.erp.plant1", "ITEM-2");
    let known = to("lid://infor.erp.Plant1", "ITEM-3");
    let mut agent = site.start();
    agent.until("both", || site.flag(row) == Some(1) && site.flag(known) == Some(1));
    let said = found(&site, &mut agent, "RECEIVER_NEW");
    assert!(
        said.contains("lid://infor.erp.plant1") && said.contains("'lid://infor.erp.Plant1', which was used"),
        "{said}"
    );
    assert_eq!(site.number("SELECT count(*) FROM bodrelay_finding WHERE code = 'RECEIVER_NEW'"), 1);
    agent.term();
}

/// Rows of another tenant, and rows that are years old when the agent first comes: said before anybody asks.
#[test]
fn rows_that_nobody_meant_are_told() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        site.sql("UPDATE bodrelay_connection_point SET source_tenant_id = 'DEMO_TST'");
        let old = site.insert(&Entry::new("ITEM-1", 1).created("2020-03-01T08:00:00.000Z"));
        let other = site.insert(&Entry::new("ITEM-2", 1));
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_TENANT_ID = 'demo_tst' WHERE C_ID = {other}"));
        site.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('pause', 'CP1')");
        let mut agent = site.start();
        let said = found(&site, &mut agent, "ROWS_NOBODY_CHOOSES");
        assert!(said.contains(&other.to_string()), "{said}");
        let said = found(&site, &mut agent, "FIRST_ROWS_OLD");
        assert!(said.contains("1 rows wait (tenant 'DEMO_TST'") && said.contains("2020-03-01"), "{said}");
        assert_eq!(site.flag(old), Some(0));
        agent.term();
        // Another life has served it before, and nobody's row has got somebody.
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_TENANT_ID = 'DEMO_TST' WHERE C_ID = {other}"));
        site.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('resume', 'CP1')");
        let mut agent = site.start();
        agent.until("both are sent", || site.flag(old) == Some(1) && site.flag(other) == Some(1));
        for code in ["ROWS_NOBODY_CHOOSES", "FIRST_ROWS_OLD"] {
            agent.until(code, || !site.has_open_finding(code));
        }
        agent.term();
    }
}

/// A row that got other contents between its post and its flag, when the agent had died in between: it is not flagged for
/// what was sent before.
#[test]
fn a_row_that_changed_after_its_post_is_told() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let row = site.insert(&Entry::new("ITEM-1", 1));
        let mut agent = site.start_armed("after_record:1");
        agent.wait();
        assert_eq!((site.flag(row), site.arrivals_of("ITEM-1").len()), (Some(0), 1), "{}", agent.log());
        let column =
            if site.server.is_none() { "CAST(C_XML AS TEXT)" } else { "convert_from(C_XML, 'UTF8')" };
        let changed = format!("replace({column}, '</SyncItemMaster>', '<!-- more --></SyncItemMaster>')");
        let changed = match site.server {
            None => format!("CAST({changed} AS BLOB)"),
            Some(_) => format!("convert_to({changed}, 'UTF8')"),
        };
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_XML = {changed} WHERE C_ID = {row}"));
        let mut agent = site.start();
        let said = found(&site, &mut agent, "ROW_CHANGED_AFTER_SEND");
        assert!(said.contains(&format!("C_ID {row}")), "{said}");
        agent.until("its new contents are sent", || site.flag(row) == Some(1));
        agent.term();
        let came = site.arrivals_of("ITEM-1");
        assert!(came.len() == 2 && came[0].digest != came[1].digest, "{came:?}");
    }
}

/// The agent finds by itself what its client remarks.
#[test]
fn what_the_client_remarks_is_a_finding() {
    let site = Site::new();
    site.simulator.set_clock_ahead(-300);
    let mut agent = site.start();
    let row = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it is sent", || site.flag(row) == Some(1));
    let said = found(&site, &mut agent, "CLOCK_OFF_ION");
    assert!(said.contains("ahead of ION's"), "{said}");
    let file = site.path("sim.ionapi");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    agent.until("half a file is told, and the one before goes on", || {
        let row = site.insert(&Entry::new("ITEM-2", 1));
        site.has_open_finding("CREDENTIAL_UNUSABLE") && site.flag(row).is_some()
    });
    assert!(!agent.log().contains(&whole[20..60]), "no part of the file is quoted");
    std::fs::write(&file, &whole).unwrap();
    agent.until("the whole file", || {
        site.insert(&Entry::new("ITEM-3", 1));
        !site.has_open_finding("CREDENTIAL_UNUSABLE")
    });
    agent.until("all is sent", || site.waiting() == 0);
    agent.term();
}

#[test]
fn a_disk_that_fills_is_told_before_it_is_full() {
    let site = Site::new();
    site.write_configuration("minimum_free_mb = 1\n");
    let Some(mut agent) = site.start_on_a_small_disk() else {
        eprintln!("no mount namespaces here: a disk that fills was not tried");
        return;
    };
    let row = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it is sent", || site.flag(row) == Some(1));
    assert!(!site.has_finding("DISK_FILLING"));
    std::fs::write(site.path("fill"), "").unwrap();
    let said = found(&site, &mut agent, "DISK_FILLING");
    assert!(said.contains("% full"), "{said}");
    std::fs::remove_file(site.path("fill")).unwrap();
    agent.until("there is room", || !site.has_open_finding("DISK_FILLING"));
    agent.term();
}

/// Tables of another version than the agent's: said, and the work goes on.
#[test]
fn tables_of_another_version_are_told() {
    let site = Site::new();
    let newest = "(SELECT max(script_no) FROM bodrelay_version)";
    site.sql(&format!("INSERT INTO bodrelay_version (script_no, script_name) SELECT {newest} + 1, 'later'"));
    let row = site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    found(&site, &mut agent, "SCRIPT_NEWER");
    agent.until("it is sent", || site.flag(row) == Some(1));
    agent.term();
    site.sql(&format!("DELETE FROM bodrelay_version WHERE script_no >= {newest} - 1"));
    let mut agent = site.start();
    found(&site, &mut agent, "SCRIPT_MISSING");
    agent.until("it is not newer any more", || !site.has_open_finding("SCRIPT_NEWER"));
    let row = site.insert(&Entry::new("ITEM-2", 1));
    agent.until("it is sent", || site.flag(row) == Some(1));
    agent.term();
}
