//! The real agent: changes become documents that arrive, whatever is wrong, whoever kills it.

use std::os::unix::process::ExitStatusExt;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::Fault;

use crate::site::Site;

const SIGABRT: i32 = 6;

/// Orders with lines, the triggers of examples.sql in short, and the queries.
const ORDERS: &str = "
    UPDATE bodrelay_connection_point SET source_kind = 'rows';
    DELETE FROM bodrelay_document;
    INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'SalesOrder');
    CREATE TABLE orders (id VARCHAR(40) PRIMARY KEY, customer VARCHAR(40));
    CREATE TABLE lines (order_id VARCHAR(40), line_no INTEGER, quantity INTEGER, PRIMARY KEY (order_id, line_no));
    INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
    VALUES ('CP1', 'SalesOrder', 0, 'SalesOrderHeader',
    'SELECT b.document_no, o.id AS \"DocumentID/ID\", b.variation_id AS \"DocumentID/ID/@variationID\", o.customer AS \"Customer\"
    FROM bodrelay_batch AS b JOIN orders AS o ON o.id = b.document_id');
    INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
    VALUES ('CP1', 'SalesOrder', 1, 'SalesOrderLine',
    'SELECT b.document_no, l.line_no AS \"LineNumber\", l.quantity AS \"Quantity\"
    FROM bodrelay_batch AS b JOIN lines AS l ON l.order_id = b.document_id ORDER BY l.order_id, l.line_no');";

fn with_orders(site: Site) -> Site {
    match &site.server {
        // The application's tables are where its own path begins.
        Some(server) => server.exec(&format!("SET search_path = public, bodrelay; {ORDERS}")),
        None => site.sql(ORDERS),
    }
    site
}

fn table(site: &Site, name: &str) -> String {
    if site.server.is_some() { format!("public.{name}") } else { name.to_owned() }
}

/// One transaction: an order with so many lines, and a change a row.
fn order(site: &Site, id: &str, lines: u32) {
    let mut sql = format!("BEGIN; INSERT INTO {} VALUES ('{id}', 'Ann');", table(site, "orders"));
    sql += &change(id, "Add");
    for line in 1..=lines {
        sql += &format!("INSERT INTO {} VALUES ('{id}', {line}, {line});", table(site, "lines"));
        sql += &change(id, "Change");
    }
    site.sql(&(sql + "COMMIT;"));
}

fn change(id: &str, action: &str) -> String {
    format!(
        "INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) \
         VALUES ('CP1', 'SalesOrder', '{id}', '{action}');"
    )
}

fn waiting(site: &Site) -> i64 {
    site.number("SELECT count(*) FROM bodrelay_change WHERE was_processed = 0")
}

fn drained(site: &Site) -> bool {
    waiting(site) == 0 && site.is_drained()
}

fn drain(site: &Site) {
    let mut agent = site.start();
    agent.until_says("starts");
    agent.until("every change is sent", || drained(site));
    agent.term();
}

fn entries(site: &Site) -> i64 {
    site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY")
}

fn reason(site: &Site, id: &str) -> String {
    let sql = format!(
        "SELECT refused_reason FROM bodrelay_change WHERE document_id = '{id}' AND was_processed = 9"
    );
    site.text(&sql).unwrap_or_default()
}

fn a_thousand_changes(site: &Site) {
    for number in 1..=50 {
        order(site, &format!("SO-{number}"), 19);
    }
    assert_eq!(waiting(site), 1000);
    drain(site);
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.stored, counts.distinct), (50, 50), "{counts:?}");
    assert_eq!(entries(site), 50);
    assert_eq!(
        site.number("SELECT count(*) FROM bodrelay_change WHERE was_processed = 1 AND entry_id IS NOT NULL"),
        1000
    );
    for number in 1..=50 {
        assert_eq!(site.arrivals_of(&format!("SO-{number}")).len(), 1);
    }
    assert_eq!(site.number("SELECT count(*) FROM bodrelay_document_query WHERE checked_at IS NOT NULL AND refused_reason IS NULL"), 2);
    assert_eq!(site.number("SELECT count(*) FROM bodrelay_finding WHERE severity = 'error'"), 0);
}

#[test]
fn a_thousand_row_changes_in_fifty_orders_on_sqlite() {
    a_thousand_changes(&with_orders(Site::new()));
}

#[test]
fn a_thousand_row_changes_in_fifty_orders_on_postgres() {
    a_thousand_changes(&with_orders(Site::on_postgres(Options::default())));
}

#[test]
fn nothing_is_lost_or_doubled_at_any_point() {
    for point in [
        "after_change_read",
        "after_compose",
        "after_compose_write",
        "after_scan",
        "after_admit",
        "after_post",
        "after_settle",
    ] {
        let site = with_orders(Site::new());
        for number in 1..=8 {
            order(&site, &format!("SO-{number}"), 3);
        }
        let mut agent = site.start_armed(&format!("{point}:1"));
        let status = agent.wait();
        assert_eq!(status.signal(), Some(SIGABRT), "{point} ended by {status}\n{}", agent.log());
        drain(&site);
        assert_eq!(entries(&site), 8, "{point}: each document was composed once");
        let counts = site.simulator.ledger().counts();
        assert_eq!(counts.distinct, 8, "{point}: {counts:?}");
        assert_eq!(
            site.number("SELECT count(*) FROM bodrelay_change WHERE was_processed = 1"),
            32,
            "{point}"
        );
        assert_eq!(site.simulator.ledger().repeats_different(), [], "{point}");
    }
}

/// Each bad change has its reason, stays, and hinders nobody.
#[test]
fn what_is_wrong_is_told_on_its_change() {
    let site = with_orders(Site::new());
    order(&site, "good-1", 2);
    site.sql(
        "INSERT INTO bodrelay_change (connection_point, noun, document_id, action_code) VALUES
            ('CP1', 'Nobodys', 'stranger', 'Add'), ('CP1', 'SalesOrder', 'absent', 'Change'), ('CP1', 'SalesOrder', '', 'Add'),
            ('CP1', 'SalesOrder', 'vanish', 'Vanish'), ('CP1', 'SalesOrder', 'control', 'Add'), ('CP1', 'SalesOrder', 'twice', 'Add'),
            ('CP1', 'SalesOrder', 'never-there', 'Delete');
         INSERT INTO bodrelay_change (connection_point, verb, noun, document_id) VALUES ('CP1', 'Acknowledge', 'SalesOrder', 'reply');
         INSERT INTO orders VALUES ('control', 'a' || char(1) || 'b'), ('a:b?c&d<e>\"''ü😀', ']]> & <');
         INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('CP1', 'SalesOrder', 'a:b?c&d<e>\"''ü😀');
         -- Two rows for part 0 of one document.
         UPDATE bodrelay_document_query SET query_text = query_text || ' UNION ALL SELECT b.document_no, b.document_id, b.variation_id, ''x''
            FROM bodrelay_batch AS b JOIN (SELECT 1 UNION ALL SELECT 2) WHERE b.document_id = ''twice''' WHERE part_no = 0;",
    );
    order(&site, "good-2", 2);
    let mut agent = site.start();
    agent.until_says("starts");
    agent.until("all are judged", || drained(&site));
    agent.until("the finding", || site.has_open_finding("CHANGES_REFUSED"));
    agent.term();
    for (id, why) in [
        ("stranger", "Sync.Nobodys is not listed"),
        ("absent", "part 0 gives no row for it"),
        ("", "document_id is empty"),
        ("vanish", "write Add, Change, Replace or Delete"),
        ("control", "column 'Customer': the character U+0001"),
        ("twice", "2 rows for one document"),
        ("reply", "answers a request"),
    ] {
        assert!(reason(&site, id).contains(why), "{id}: {}", reason(&site, id));
    }
    for id in ["good-1", "good-2", "never-there", "a:b?c&d<e>\"'ü😀"] {
        assert_eq!(site.arrivals_of(id).len(), 1, "{id}");
    }
    // Mended and set to 0, it goes.
    site.sql(
        "UPDATE orders SET customer = 'ab' WHERE id = 'control'; \
         UPDATE bodrelay_change SET was_processed = 0 WHERE document_id = 'control'",
    );
    drain(&site);
    assert_eq!(site.arrivals_of("control").len(), 1);
}

/// A query that fails for one document: the batch is halved until that one stands alone. One that is wrong for all tells
/// it on each, and other nouns go on.
#[test]
fn a_failing_query_fails_its_document_only() {
    let site = with_orders(Site::new());
    site.sql(
        "UPDATE bodrelay_document_query SET query_text = replace(query_text, 'o.customer',
            'CASE WHEN o.id = ''SO-3'' THEN abs(-9223372036854775808) ELSE o.customer END') WHERE part_no = 0;
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'Broken');
         INSERT INTO bodrelay_document_query (connection_point, noun, part_no, query_text)
         VALUES ('CP1', 'Broken', 0, 'SELECT document_no, missing FROM bodrelay_batch');
         INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('CP1', 'Broken', 'X-1'), ('CP1', 'Broken', 'X-2');",
    );
    for number in 1..=9 {
        order(&site, &format!("SO-{number}"), 1);
    }
    let mut agent = site.start();
    agent.until_says("starts");
    agent.until("all are judged", || drained(&site));
    agent.until("the finding", || site.has_open_finding("QUERY_REFUSED"));
    assert!(reason(&site, "SO-3").contains("integer overflow"), "{}", reason(&site, "SO-3"));
    assert!(
        reason(&site, "X-1").contains("missing") && reason(&site, "X-2").contains("part 0"),
        "{}",
        reason(&site, "X-1")
    );
    assert_eq!(site.simulator.ledger().counts().distinct, 8);
    let beside = "SELECT refused_reason FROM bodrelay_document_query WHERE noun = 'Broken'";
    assert!(site.text(beside).unwrap().contains("missing"));
    let (code, found, _) = site.command_output("check", &[]);
    assert_eq!(code, 1);
    assert!(found.contains("QUERY_REFUSED") && found.contains("missing"), "{found}");
    assert!(!found.contains("NO_QUERIES"), "{found}");
    assert!(!found.contains("CHANGES_NOBODY_COMPOSES"), "{found}");
    // A query that is gone is wrong no longer; a name in another case is nobody's.
    let mend = "DELETE FROM bodrelay_document_query WHERE noun = 'Broken';";
    site.sql(&format!("{mend} {}", change("SO-1", "Change")));
    agent.until("it is over", || !site.has_open_finding("QUERY_REFUSED"));
    // A type without a query is told as long as it is listed.
    agent.until("it lacks one", || site.has_open_finding("NO_QUERIES"));
    site.sql(
        "DELETE FROM bodrelay_document WHERE noun = 'Broken'; UPDATE bodrelay_connection_point SET lone_rounds = 9",
    );
    let applied = "SELECT count(*) FROM bodrelay_connection_point WHERE applied_at >= changed_at";
    agent.until("it is not listed", || site.number(applied) == 1);
    site.sql(&change("SO-1", "Change"));
    agent.until("it is over, too", || !site.has_open_finding("NO_QUERIES"));
    site.sql("INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'Broken')");
    agent.term();
    site.sql("INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('cp1', 'SalesOrder', 'SO-1')");
    let (_, found, _) = site.command_output("check", &[]);
    assert!(found.contains("CHANGES_NOBODY_COMPOSES") && found.contains("'cp1' (1)"), "{found}");
    assert!(found.contains("NO_QUERIES") && !found.contains("QUERY_REFUSED"), "{found}");
}

/// A document with an open version waits; what comes meanwhile is one version.
#[test]
fn changes_of_an_open_document_fold() {
    let site = with_orders(Site::new());
    site.simulator.add_fault(Fault::refuse(503).for_document("SO-1"));
    order(&site, "SO-1", 1);
    let mut agent = site.start();
    agent.until("the first version is out", || site.simulator.ledger().counts().posts > 0);
    for quantity in 1..=5 {
        site.sql(&format!(
            "BEGIN; UPDATE lines SET quantity = {quantity}; {} COMMIT;",
            change("SO-1", "Change")
        ));
    }
    order(&site, "SO-2", 1);
    agent.until("another document passes", || site.arrivals_of("SO-2").len() == 1);
    assert_eq!((entries(&site), waiting(&site)), (2, 5));
    site.simulator.clear_faults();
    agent.until("both versions", || drained(&site));
    agent.term();
    let versions: Vec<_> =
        site.arrivals_of("SO-1").iter().map(|arrival| arrival.variation_id.unwrap()).collect();
    assert!(versions.len() == 2 && versions[0] < versions[1], "{versions:?}");
    assert_eq!(entries(&site), 3);
}

/// What began first and commits last is neither lost nor counted with what was composed meanwhile.
#[test]
fn a_change_that_commits_late_is_composed_late() {
    let site = with_orders(Site::on_postgres(Options::default()));
    let server = site.server.as_ref().unwrap();
    order(&site, "SO-1", 1);
    let mut agent = site.start();
    agent.until("the first version", || site.arrivals_of("SO-1").len() == 1);
    let (held, _) = server.insert_open(&[], site.tenant_id());
    server.run(&held, &format!("UPDATE public.lines SET quantity = 100; {}", change("SO-1", "Change")));
    order(&site, "SO-2", 1);
    agent.until("another document passes", || site.arrivals_of("SO-2").len() == 1);
    assert_eq!(site.arrivals_of("SO-1").len(), 1);
    server.commit(held);
    agent.until("the late change", || site.arrivals_of("SO-1").len() == 2);
    agent.until("all is settled", || drained(&site));
    agent.term();
}

/// Versions grow although nobody remembers: a lost journal, and a database that was restored.
#[test]
fn versions_grow_whatever_is_lost() {
    let site = with_orders(Site::new());
    let versions = || -> Vec<i64> {
        site.arrivals_of("SO-1").iter().map(|arrival| arrival.variation_id.unwrap()).collect()
    };
    order(&site, "SO-1", 1);
    drain(&site);
    std::fs::remove_dir_all(site.path("state")).unwrap();
    site.sql(&change("SO-1", "Change"));
    drain(&site);
    site.copy_database(&site.path("erp.db"), &site.path("backup.db"));
    site.sql(&change("SO-1", "Change"));
    drain(&site);
    site.copy_database(&site.path("backup.db"), &site.path("erp.db"));
    site.sql(&change("SO-1", "Change"));
    drain(&site);
    let found = versions();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{found:?}");
}

/// Without an I/O Box, the outbox is ours; a connection point that wants one is told so.
#[test]
fn a_site_without_an_io_box() {
    for server in [false, true] {
        let site = with_orders(if server { Site::on_postgres(Options::default()) } else { Site::new() });
        site.sql("DROP TABLE COR_OUTBOX_ENTRY; DROP TABLE COR_OUTBOX_HEADERS; DROP TABLE COR_INBOX_ENTRY; DROP TABLE COR_INBOX_HEADERS;");
        for number in 1..=5 {
            order(&site, &format!("SO-{number}"), 2);
        }
        let mut agent = site.start();
        let sent = "SELECT count(*) FROM bodrelay_outbox_entry WHERE c_was_processed = 1";
        agent.until("five documents", || site.number(sent) == 5);
        agent.term();
        assert_eq!(site.simulator.ledger().counts().distinct, 5);
        let (code, found, said) = site.command_output("check", &[]);
        assert_eq!(code, 0, "{found}{said}");
        site.sql(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id) \
             SELECT 'CP2', 'PLANT1', tenant_id, 'lid://acme.erp.other' FROM bodrelay_connection_point",
        );
        let (code, found, _) = site.command_output("check", &[]);
        assert_eq!(code, 1);
        assert!(found.contains("COR_OUTBOX_ENTRY is missing"), "{found}");
    }
}

#[test]
fn a_document_that_is_too_large_goes_as_a_batch() {
    let site = with_orders(Site::new());
    site.sql("UPDATE bodrelay_document SET max_document_bytes = 3000 WHERE noun = 'SalesOrder'");
    order(&site, "SO-1", 60);
    drain_refused(&site);
    assert!(reason(&site, "SO-1").contains("split_batch = 1"), "{}", reason(&site, "SO-1"));
    site.sql(
        "UPDATE bodrelay_document_query SET split_batch = 1 WHERE part_no = 1; \
         UPDATE bodrelay_change SET was_processed = 0",
    );
    drain(&site);
    let arrivals = site.arrivals_of("SO-1");
    assert!(arrivals.len() > 1 && arrivals.iter().all(|it| it.bytes <= 3000), "{arrivals:?}");
    let sizes = "SELECT DISTINCT C_HEADER_VALUE FROM COR_OUTBOX_HEADERS WHERE C_HEADER_KEY = 'BatchSize'";
    assert_eq!(site.text(sizes), Some(arrivals.len().to_string()));
}

fn drain_refused(site: &Site) {
    let mut agent = site.start();
    agent.until("it is refused", || waiting(site) == 0);
    agent.term();
}

/// What it would be, before anything is sent: by the command line and by SQL.
#[test]
fn preview_and_test_document() {
    let site = with_orders(Site::new());
    order(&site, "SO-1", 3);
    let (code, document, said) = site.command_output("compose", &["CP1", "SalesOrder", "SO-1"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        document
            .contains("<SalesOrderLine><LineNumber>3</LineNumber><Quantity>3</Quantity></SalesOrderLine>"),
        "{document}"
    );
    assert!(said.contains("part 0: 1 rows in") && said.contains("part 1: 3 rows in"), "{said}");
    let (code, _, said) = site.command_output("compose", &["CP1", "SalesOrder", "absent"]);
    assert!(code == 1 && said.contains("no row"), "{code} {said}");
    let (code, _, said) = site.command_output("compose", &["CP9", "SalesOrder", "SO-1"]);
    assert!(code == 2 && said.contains("'CP9'"), "{code} {said}");
    assert_eq!((entries(&site), waiting(&site)), (0, 4), "nothing was written");
    site.sql(
        "UPDATE bodrelay_connection_point SET send_mode = 'off'; \
         INSERT INTO bodrelay_command (command, connection_point, noun, document_id) VALUES ('test_document', 'CP1', 'SalesOrder', 'SO-1')",
    );
    let mut agent = site.start();
    agent.until("the command", || site.text("SELECT state FROM bodrelay_command").as_deref() == Some("done"));
    agent.term();
    let result = site.text("SELECT result FROM bodrelay_command").unwrap();
    assert!(
        result.contains("Sync.SalesOrder SO-1 would be composed") && result.contains("part 1: 3 rows"),
        "{result}"
    );
    assert_eq!((entries(&site), waiting(&site)), (0, 4), "off composes nothing");
}

/// `once` ends when every change is sent, also those that waited for an open version.
#[test]
fn once_sends_all_changes() {
    let site = with_orders(Site::new());
    for number in 1..=3 {
        order(&site, &format!("SO-{number}"), 2);
    }
    assert_eq!(site.once(), 0);
    assert_eq!((waiting(&site), entries(&site)), (0, 3));
    assert_eq!(site.simulator.ledger().counts().distinct, 3);
}

/// The rights of grants.sql are enough, and no more are needed: the agent's role composes, and the application's writes
/// changes by the trigger of examples.sql without any right on our tables.
#[test]
fn each_role_has_what_it_needs() {
    let site = with_orders(Site::on_postgres(Options::default()));
    let server = site.server.as_ref().unwrap();
    let script = |name: &str| {
        let scripts = bodrelay::database::statements::scripts::POSTGRES;
        scripts.iter().find(|(other, _)| *other == name).unwrap().1
    };
    server.exec(&format!("SET search_path = public; {}", script("grants.sql")));
    let examples = script("examples.sql");
    let from = examples.find("CREATE FUNCTION example_note_change").unwrap();
    let function = &examples[from..from + examples[from..].find("$$;").unwrap() + 3];
    server.exec(&format!(
        "SET search_path = public; {function}
         CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON public.orders
         FOR EACH ROW EXECUTE FUNCTION example_note_change('CP1', 'SalesOrder', 'id', 'document');
         CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON public.lines
         FOR EACH ROW EXECUTE FUNCTION example_note_change('CP1', 'SalesOrder', 'order_id', 'line');
         CREATE ROLE svc LOGIN IN ROLE bodrelay_agent; CREATE ROLE app LOGIN;
         GRANT INSERT ON cor_outbox_entry, cor_outbox_headers TO bodrelay_agent;
         GRANT SELECT ON orders, lines TO bodrelay_agent;
         GRANT SELECT, INSERT, UPDATE, DELETE ON orders, lines TO app"
    ));
    server.exec(
        "BEGIN; SET LOCAL ROLE app; SET LOCAL search_path = public;
         INSERT INTO orders VALUES ('SO-1', 'Ann'), ('SO-2', 'Bob'); INSERT INTO lines VALUES ('SO-1', 1, 5), ('SO-2', 1, 5);
         DELETE FROM lines WHERE order_id = 'SO-2'; DELETE FROM orders WHERE id = 'SO-2'; COMMIT",
    );
    assert_eq!(waiting(&site), 6);
    let file = site.path("bodrelay.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("user = \"postgres\"", "user = \"svc\"");
    std::fs::write(&file, text).unwrap();
    drain(&site);
    assert_eq!((site.arrivals_of("SO-1").len(), site.arrivals_of("SO-2").len()), (1, 1));
    let deleted = site
        .text("SELECT convert_from(c_xml, 'UTF8') FROM cor_outbox_entry ORDER BY c_id DESC LIMIT 1")
        .unwrap();
    let added =
        site.text("SELECT convert_from(c_xml, 'UTF8') FROM cor_outbox_entry ORDER BY c_id LIMIT 1").unwrap();
    assert!(
        added.contains("actionCode=\"Add\"") && deleted.contains("actionCode=\"Delete\""),
        "{added}\n{deleted}"
    );
}
