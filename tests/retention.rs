//! What has had its time goes, and nothing else: processed rows where the DBA wants it, log rows by age, while traffic
//! runs.

mod site;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::Fault;
use site::{Entry, Site};

/// Two hours pass in a table of the journal; how many rows that was.
fn age(site: &Site, table: &str, which: &str) -> usize {
    let sql = format!("UPDATE {table} SET settled_at = settled_at - 7200000 WHERE {which}");
    site.journal().execute(&sql, []).unwrap()
}

/// Counts what each transaction deletes from a table; the question for the largest. A trigger can tell on PostgreSQL only.
fn pieces_of(site: &Site, table: &str) -> Option<&'static str> {
    site.server.as_ref()?;
    site.sql(&format!(
        "CREATE TABLE IF NOT EXISTS public.pieces (transaction bigint, gone bigint); \
         GRANT ALL ON public.pieces TO PUBLIC; \
         CREATE OR REPLACE FUNCTION public.count_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.pieces SELECT txid_current(), count(*) FROM gone; RETURN NULL; END $$; \
         CREATE TRIGGER pieces AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone FOR EACH STATEMENT \
         EXECUTE FUNCTION public.count_gone()"
    ));
    Some(
        "SELECT max(gone)::bigint FROM (SELECT sum(gone) AS gone FROM public.pieces GROUP BY transaction) AS t",
    )
}

fn rows(site: &Site) -> i64 {
    site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY")
}

#[test]
fn processed_rows_go_when_their_hours_are_over() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let most = pieces_of(&site, "cor_outbox_entry");
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-9").times(1));
        let failed = site.insert(&Entry::new("ITEM-9", 1));
        let all: Vec<Entry> = (1..=700).map(|version| Entry::new("ITEM-1", version)).collect();
        let accepted = site.insert_all(&all);
        let mut agent = site.start();
        agent.until("all of it", || site.waiting() == 0);
        agent.term();
        let first_young = accepted[600];
        age(&site, "delivered", &format!("entry_id < {first_young}"));
        site.sql("UPDATE bodrelay_connection_point SET outbox_keep_hours = 1");
        let mut agent = site.start();
        let later = site.insert(&Entry::new("ITEM-2", 1));
        agent.until("the old ones are gone", || rows(&site) == 102);
        if let Some(most) = most {
            assert_eq!(site.number(most), 250, "rows in one transaction");
        }
        assert_eq!(
            (site.flag(failed), site.flag(first_young)),
            (Some(9), Some(1)),
            "failed and young ones stay"
        );
        agent.until("traffic", || site.flag(later) == Some(1));
        let headers = "SELECT count(*) FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID NOT IN (SELECT C_ID FROM COR_OUTBOX_ENTRY)";
        assert_eq!(site.number(headers), 0);
        assert_eq!(site.log().len(), 702, "the log has its own time");
        // Below all that is deleted, one is accepted late: it has its hours, and then goes too.
        site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_ID = {failed}"));
        agent.until("the late one", || site.flag(failed) == Some(1));
        agent.term();
        assert_eq!(age(&site, "purge_late", "1 = 1"), 1);
        let mut agent = site.start();
        agent.until("the late one is gone", || site.flag(failed).is_none());
        agent.term();
        // What was accepted is still known: the same rows written again are not sent again.
        let posts = site.simulator.ledger().counts().posts;
        if site.server.is_none() {
            let again = Entry::new("ITEM-1", 1).entry_id(accepted[0]);
            site.insert(&again);
            let mut agent = site.start();
            agent.until("it is flagged", || site.flag(accepted[0]) == Some(1));
            agent.term();
            assert_eq!(site.simulator.ledger().counts().posts, posts);
        }
    }
}

#[test]
fn a_missing_right_is_said_and_sending_goes_on() {
    let site = Site::new();
    let row = site.insert(&Entry::new("ITEM-1", 1));
    site.drain();
    age(&site, "delivered", "1 = 1");
    site.sql(
        "UPDATE bodrelay_connection_point SET outbox_keep_hours = 1; \
         CREATE TRIGGER no_deletes BEFORE DELETE ON COR_OUTBOX_ENTRY BEGIN SELECT RAISE(ABORT, 'not here'); END",
    );
    let mut agent = site.start();
    agent.until("the finding", || site.has_open_finding("OUTBOX_NOT_PURGED"));
    let later = site.insert(&Entry::new("ITEM-2", 1));
    agent.until("sending goes on", || site.flag(later) == Some(1));
    assert_eq!(site.flag(row), Some(1));
    agent.term();
}

/// A trigger of the site keeps an old row of the log: the database goes on being served.
#[test]
fn a_log_row_that_cannot_be_deleted_is_told_and_sending_goes_on() {
    let site = Site::new();
    site.insert(&Entry::new("ITEM-1", 1));
    site.drain();
    site.sql(
        "UPDATE bodrelay_message_log SET seen_at = '2020-01-01T00:00:00.000Z', finished_at = '2020-01-01T00:00:00.000Z'; \
         CREATE TRIGGER archive BEFORE DELETE ON bodrelay_message_log BEGIN SELECT RAISE(ABORT, 'archive it'); END",
    );
    let mut agent = site.start();
    agent.until("the finding", || site.has_open_finding("LOG_NOT_PURGED"));
    let text = "SELECT finding_text FROM bodrelay_finding WHERE code = 'LOG_NOT_PURGED'";
    let text = site.text(text).unwrap();
    assert!(text.contains("in log_purge, the server says: \"archive it\""), "{text}");
    let later = site.insert(&Entry::new("ITEM-2", 1));
    agent.until("sending goes on", || site.flag(later) == Some(1));
    assert!(!site.has_finding("DATABASE_UNAVAILABLE"));
    agent.term();
    site.sql("DROP TRIGGER archive");
    let mut agent = site.start();
    agent.until("it is gone", || site.log().len() == 1);
    agent.term();
}

/// Somebody keeps processed rows, and a row of the log, locked: the others go at once, these when they are free.
#[test]
fn locked_rows_are_passed_over() {
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    let all: Vec<Entry> = (1..=300).map(|document| Entry::new(&format!("ITEM-{document}"), 1)).collect();
    let ids = site.insert_all(&all);
    site.drain();
    age(&site, "delivered", "1 = 1");
    site.sql("UPDATE bodrelay_connection_point SET outbox_keep_hours = 1");
    site.sql("UPDATE bodrelay_message_log SET seen_at = '2020-01-01', finished_at = '2020-01-01'");
    let (holder, _) = server.insert_open(&[], site.tenant_id());
    let (first, last) = (ids[7], ids[280]);
    server.run(&holder, &format!("SELECT FROM cor_outbox_entry WHERE c_id IN ({first}, {last}) FOR UPDATE"));
    server.run(
        &holder,
        &format!("SELECT FROM bodrelay.bodrelay_message_log WHERE entry_id = {first} FOR UPDATE"),
    );
    let mut agent = site.start();
    agent.until("all others are gone", || rows(&site) == 2 && site.log().len() == 1);
    assert_eq!((site.flag(first), site.flag(last)), (Some(1), Some(1)));
    assert_eq!(site.number("SELECT count(*) FROM cor_outbox_headers WHERE c_outbox_id NOT IN (SELECT c_id FROM cor_outbox_entry)"), 0);
    for code in ["DATABASE_UNAVAILABLE", "OUTBOX_NOT_PURGED", "LOG_NOT_PURGED"] {
        assert!(!site.has_finding(code), "{code}");
    }
    agent.term();
    server.commit(holder);
    assert_eq!(age(&site, "purge_late", "1 = 1"), 2, "tried again later");
    let mut agent = site.start();
    agent.until("they are gone", || rows(&site) == 0 && site.log().is_empty());
    agent.term();
}

/// Ten thousand old rows of the log go in pieces beside the traffic; unresolved failures stay, whatever their age.
#[test]
fn old_log_rows_go_while_traffic_runs() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let rows = match site.server {
            None => {
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) SELECT \
                     printf('019c0000-0000-7000-8000-%012d', n), 'out', 'CP1', 'T', n, \
                     CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'accepted' END"
            }
            Some(_) => {
                "SELECT '019c0000-0000-7000-8000-' || lpad(n::text, 12, '0'), 'out', 'CP1', 'T', n, \
                        CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'accepted' END"
            }
        };
        let from = if site.server.is_none() { "FROM n" } else { "FROM generate_series(1, 10000) AS g (n)" };
        let old = "2020-01-01T00:00:00.000Z";
        let times = match site.server {
            None => format!("'{old}', '{old}', '{old}'"),
            Some(_) => format!("timestamptz '{old}', timestamptz '{old}', timestamptz '{old}'"),
        };
        site.sql(&format!(
            "INSERT INTO bodrelay_message_log (message_key, direction, connection_point, tenant_id, entry_id, state, \
             seen_at, finished_at, updated_at) {rows}, {times} {from}"
        ));
        let most = pieces_of(&site, "bodrelay_message_log");
        let mut agent = site.start();
        let mut version = 0;
        let left = || {
            site.number(
                "SELECT count(*) FROM bodrelay_message_log WHERE seen_at < '2021-01-01T00:00:00.000Z'",
            )
        };
        while left() > 100 {
            version += 1;
            let row = site.insert(&Entry::new("ITEM-1", version));
            agent.until("traffic", || site.flag(row) == Some(1));
        }
        assert_eq!(left(), 100, "unresolved failures stay");
        if let Some(most) = most {
            assert_eq!(site.number(most), 500, "rows in one transaction");
        }
        agent.term();
    }
}

/// While the table of the log is away nothing is flagged whose log row would be missing; then it catches up, and every
/// message has its row.
#[test]
fn the_log_catches_up_after_an_outage() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let mut agent = site.start();
        let first = site.insert(&Entry::new("ITEM-1", 1));
        agent.until("it sends", || site.flag(first) == Some(1));
        site.sql("ALTER TABLE bodrelay_message_log RENAME TO bodrelay_away");
        let all: Vec<Entry> =
            (1..=300).map(|number| Entry::new(&format!("ITEM-{number}"), number + 1)).collect();
        let rows = site.insert_all(&all);
        let arrived = || site.simulator.ledger().counts().distinct;
        agent.until("ION has some of them", || arrived() > 1);
        agent.until_says("the database is left alone for a moment");
        assert!(rows.iter().all(|row| site.flag(*row) == Some(0)));
        site.sql("ALTER TABLE bodrelay_away RENAME TO bodrelay_message_log");
        agent.until("all of it", || site.is_drained());
        agent.term();
        let logged = "SELECT count(*) FROM bodrelay_message_log WHERE state = 'accepted'";
        assert_eq!((site.number(logged), site.simulator.ledger().counts().stored), (301, 301));
        assert!(!site.has_finding("ANOTHER_SENDER"));
    }
}
