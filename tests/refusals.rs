//! One row that the database refuses, keeps locked or leaves as it is: the real agent goes on with all others, says which
//! row it is and in the server's own words why, sends nothing twice, and heals when the cause is gone.

mod site;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, What};
use site::{Agent, Entry, Site};

/// More than may be unsettled, so that posting would stop.
const MANY: i64 = 1_600;

fn entries(documents: std::ops::RangeInclusive<i64>) -> Vec<Entry> {
    documents.map(|document| Entry::new(&format!("ITEM-{document}"), 1)).collect()
}

fn sites() -> [Site; 2] {
    [Site::new(), Site::on_postgres(Options::default())]
}

/// A trigger on a table that acts where a condition holds of the new row: it raises, or leaves the row out.
fn trigger(site: &Site, name: &str, event: &str, table: &str, condition: &str, raises: bool) {
    let condition = condition.replace("new.", "NEW.");
    match &site.server {
        None => {
            let act = if raises { "RAISE(ABORT, 'the audit says no')" } else { "RAISE(IGNORE)" };
            site.sql(&format!(
                "CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} BEGIN SELECT {act}; END"
            ));
        }
        Some(_) => {
            let act = if raises { "RAISE EXCEPTION 'the audit says no'" } else { "RETURN NULL" };
            site.sql(&format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN {act}; END IF; \
                 RETURN NEW; END $$; \
                 CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
            ));
        }
    }
}

fn drop_trigger(site: &Site, name: &str, table: &str) {
    match &site.server {
        None => site.sql(&format!("DROP TRIGGER {name}")),
        Some(_) => site.sql(&format!("DROP TRIGGER {name} ON {table}")),
    }
}

fn finding(site: &Site, code: &str) -> Option<String> {
    site.text(&format!(
        "SELECT finding_text FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL"
    ))
}

fn posts(site: &Site) -> usize {
    usize::try_from(site.simulator.ledger().counts().posts).unwrap()
}

/// Until all rows but one are flagged, and the finding says what it should; then `mend` mends it.
fn stops_only_itself(site: &Site, agent: &mut Agent, row: i64, code: &str, words: &[&str], mend: impl Fn()) {
    agent.until("all others are flagged", || site.waiting() == 1);
    assert_eq!(site.flag(row), Some(0));
    let all = usize::try_from(site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY")).unwrap();
    agent.until("the finding", || finding(site, code).is_some());
    let text = finding(site, code).unwrap();
    for word in words.iter().copied().chain([&*format!("C_ID {row} (document ITEM-")]) {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(site.states_of(row), [] as [&str; 0], "flag and log row are one transaction");
    assert_eq!(posts(site), all);
    mend();
    agent.until("it heals", || site.is_drained());
    agent.until("the finding is over", || finding(site, code).is_none());
    assert_eq!(site.states_of(row), ["accepted"]);
    assert_eq!(posts(site), all, "nothing is sent twice");
    assert!(!site.has_finding("SENT_BEFORE") && !site.has_finding("ANOTHER_SENDER"));
    assert!(!site.has_finding("DATABASE_UNAVAILABLE"), "the database is well");
}

#[test]
fn a_row_that_a_trigger_refuses_stops_only_itself() {
    for site in sites() {
        let ids = site.insert_all(&entries(1..=MANY));
        trigger(&site, "no", "UPDATE", "COR_OUTBOX_ENTRY", &format!("new.C_ID = {}", ids[250]), true);
        let mut agent = site.start();
        let words =
            ["in outbox_settle_accepted, the server says: \"the audit says no\"", "none is sent again"];
        stops_only_itself(&site, &mut agent, ids[250], "ROWS_NOT_SETTLED", &words, || {
            drop_trigger(&site, "no", "COR_OUTBOX_ENTRY");
        });
        agent.term();
    }
}

#[test]
fn a_row_that_the_message_log_refuses_stops_only_itself() {
    for site in sites() {
        let ids = site.insert_all(&entries(1..=300));
        trigger(&site, "no", "INSERT", log_of(&site), &format!("new.entry_id = {}", ids[7]), true);
        let mut agent = site.start();
        let words = ["in log_write, the server says: \"the audit says no\""];
        stops_only_itself(&site, &mut agent, ids[7], "ROWS_NOT_SETTLED", &words, || {
            drop_trigger(&site, "no", log_of(&site));
        });
        agent.term();
    }
}

fn log_of(site: &Site) -> &'static str {
    if site.server.is_some() { "bodrelay.bodrelay_message_log" } else { "bodrelay_message_log" }
}

#[test]
fn a_row_that_an_update_leaves_as_it_is_is_told_and_not_sent_again() {
    for site in sites() {
        let ids = site.insert_all(&entries(1..=300));
        trigger(&site, "leaves", "UPDATE", "COR_OUTBOX_ENTRY", &format!("new.C_ID = {}", ids[7]), false);
        let mut agent = site.start();
        stops_only_itself(
            &site,
            &mut agent,
            ids[7],
            "ROWS_UNCHANGED",
            &["leaves the flag as it was"],
            || {
                drop_trigger(&site, "leaves", "COR_OUTBOX_ENTRY");
            },
        );
        agent.term();
    }
}

/// Each restart tries it once more, and it stays known as sent.
#[test]
fn a_restart_knows_a_refused_row_as_sent() {
    let site = Site::new();
    let ids = site.insert_all(&entries(1..=50));
    trigger(&site, "no", "UPDATE", "COR_OUTBOX_ENTRY", &format!("new.C_ID = {}", ids[7]), true);
    for _ in 0..2 {
        let mut agent = site.start();
        agent.until("all others are flagged", || site.waiting() == 1);
        agent.until("the finding", || finding(&site, "ROWS_NOT_SETTLED").is_some());
        agent.term();
    }
    drop_trigger(&site, "no", "COR_OUTBOX_ENTRY");
    assert_eq!(site.once(), 0);
    assert_eq!((site.waiting(), posts(&site)), (0, 50));
}

#[test]
fn a_row_that_somebody_keeps_locked_stops_only_itself() {
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    let ids = site.insert_all(&entries(1..=300));
    let (holder, _) = server.insert_open(&[], site.tenant_id());
    server.run(&holder, "SET LOCAL application_name = 'a long report'");
    server.run(&holder, &format!("SELECT FROM cor_outbox_entry WHERE c_id = {} FOR UPDATE", ids[7]));
    let holder = std::cell::Cell::new(Some(holder));
    let mut agent = site.start();
    let words = ["program 'a long report'", "user postgres", "in a transaction since 2"];
    stops_only_itself(&site, &mut agent, ids[7], "ROWS_LOCKED", &words, || {
        server.commit(holder.take().unwrap());
    });
    agent.term();
}

#[test]
fn a_message_that_waits_and_that_the_log_refuses_is_told() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(503).times(1_000));
    let ids = site.insert_all(&entries(1..=20));
    trigger(&site, "no", "INSERT", "bodrelay_message_log", &format!("new.entry_id = {}", ids[7]), true);
    let mut agent = site.start();
    agent.until("the others are logged", || site.log().len() == 19);
    agent.until("the finding", || finding(&site, "LOG_NOT_WRITTEN").is_some());
    let text = finding(&site, "LOG_NOT_WRITTEN").unwrap();
    for words in
        [&*format!("C_ID {} (document ITEM-8)", ids[7]), "in log_write, the server says: \"the audit"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    drop_trigger(&site, "no", "bodrelay_message_log");
    agent.until("it is logged", || site.states_of(ids[7]) == ["pending"]);
    agent.until("the finding is over", || finding(&site, "LOG_NOT_WRITTEN").is_none());
    site.simulator.clear_faults();
    agent.until("nothing waits", || site.is_drained());
    agent.term();
}

/// A finding and the result of a command that the tables do not take: all else is said, and they are when they can be.
#[test]
fn what_the_agent_says_is_refused_alone() {
    for site in sites() {
        site.insert(&Entry::new("ITEM-1", 1).verb("Process"));
        let schema = if site.server.is_some() { "bodrelay." } else { "" };
        let (findings, commands) = (format!("{schema}bodrelay_finding"), format!("{schema}bodrelay_command"));
        trigger(&site, "no_finding", "INSERT", &findings, "new.code = 'TYPE_NOT_LISTED'", true);
        trigger(&site, "no_command", "UPDATE", &commands, "new.command_id = 1", true);
        for command in ["pause", "resume"] {
            site.sql(&format!(
                "INSERT INTO bodrelay_command (command, connection_point, reason) VALUES ('{command}', 'CP1', 'a test')"
            ));
        }
        let mut agent = site.start();
        let state =
            |id: i64| site.text(&format!("SELECT state FROM bodrelay_command WHERE command_id = {id}"));
        agent.until("the second command", || state(2).as_deref() == Some("done"));
        let says = |words: &str| finding(&site, "REPORT_REFUSED").is_some_and(|text| text.contains(words));
        agent.until("the finding", || says("the result of command 1: ") && says("TYPE_NOT_LISTED (CP1"));
        let text = finding(&site, "REPORT_REFUSED").unwrap();
        assert!(text.contains("in report_command, the server says: \"the audit says no\""), "{text}");
        assert_eq!((state(1).as_deref(), site.has_finding("TYPE_NOT_LISTED")), (Some("new"), false));
        let status = "SELECT state FROM bodrelay_status WHERE direction = 'out'";
        agent.until("the status", || site.text(status).as_deref() == Some("running"));
        drop_trigger(&site, "no_finding", &findings);
        drop_trigger(&site, "no_command", &commands);
        agent
            .until("it heals", || state(1).as_deref() == Some("done") && site.has_finding("TYPE_NOT_LISTED"));
        agent.until("the finding is over", || !site.has_open_finding("REPORT_REFUSED"));
        agent.term();
    }
}

/// Another table of the application holds on to one processed row.
#[test]
fn a_row_that_cannot_be_deleted_stays_alone() {
    for site in sites() {
        let ids = site.insert_all(&entries(1..=300));
        site.drain();
        // On SQLite the agent's connection does not enforce foreign keys; a trigger does.
        match &site.server {
            Some(_) => site.sql(&format!(
                "CREATE TABLE public.keeper (c_id bigint REFERENCES public.cor_outbox_entry); \
                 INSERT INTO public.keeper VALUES ({})",
                ids[7]
            )),
            None => site.sql(&format!(
                "CREATE TRIGGER keeper BEFORE DELETE ON COR_OUTBOX_ENTRY WHEN old.C_ID = {} \
                 BEGIN SELECT RAISE(ABORT, 'violates \"keeper\"'); END",
                ids[7]
            )),
        }
        site.journal().execute("UPDATE delivered SET settled_at = settled_at - 7200000", []).unwrap();
        site.sql("UPDATE bodrelay_connection_point SET outbox_keep_hours = 1");
        let mut agent = site.start();
        let left = || site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY");
        agent.until("all others are gone", || left() == 1);
        agent.until("the finding", || finding(&site, "OUTBOX_NOT_PURGED").is_some());
        let text = finding(&site, "OUTBOX_NOT_PURGED").unwrap();
        for words in [&format!("C_ID {}: ", ids[7]), "in outbox_purge, the server says: ", "keeper"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!site.has_finding("DATABASE_UNAVAILABLE"));
        match &site.server {
            Some(_) => site.sql("DROP TABLE public.keeper"),
            None => site.sql("DROP TRIGGER keeper"),
        }
        site.journal().execute("UPDATE purge_late SET settled_at = settled_at - 7200000", []).unwrap();
        agent.term();
        let mut agent = site.start();
        agent.until("the last one is gone", || left() == 0);
        agent.term();
    }
}

/// A DELETE that ends without an error and leaves one row where it is.
#[test]
fn a_row_that_a_delete_leaves_where_it_is_stays_alone() {
    for site in sites() {
        let ids = site.insert_all(&entries(1..=60));
        site.drain();
        match &site.server {
            Some(_) => site.sql(&format!(
                "CREATE FUNCTION keeper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.c_id = {} THEN RETURN NULL; \
                 END IF; RETURN OLD; END $$; \
                 CREATE TRIGGER keeper BEFORE DELETE ON cor_outbox_entry FOR EACH ROW EXECUTE FUNCTION keeper()",
                ids[7]
            )),
            None => site.sql(&format!(
                "CREATE TRIGGER keeper BEFORE DELETE ON COR_OUTBOX_ENTRY WHEN old.C_ID = {} \
                 BEGIN SELECT RAISE(IGNORE); END",
                ids[7]
            )),
        }
        site.journal().execute("UPDATE delivered SET settled_at = settled_at - 7200000", []).unwrap();
        site.sql("UPDATE bodrelay_connection_point SET outbox_keep_hours = 1");
        let mut agent = site.start();
        agent.until("all others are gone", || site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY") == 1);
        agent.until("the finding", || finding(&site, "OUTBOX_NOT_PURGED").is_some());
        let text = finding(&site, "OUTBOX_NOT_PURGED").unwrap();
        for words in [&*format!("C_ID {}: ", ids[7]), "leaves the row where it is"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(site.number("SELECT count(*) FROM COR_OUTBOX_HEADERS") > 0, "it keeps its headers");
        agent.term();
    }
}

/// A document id and ION's words with letters that the database does not hold.
#[test]
fn letters_that_the_database_does_not_hold_are_written_visibly() {
    // The encoding, a letter that it lacks, and one that it has.
    for (encoding, lacks, has) in
        [("LATIN1", '\u{2019}', 'é'), ("WIN1252", '品', '\u{2019}'), ("EUC_JP", '€', '品')]
    {
        let site = Site::on_postgres_in(encoding, Options::default());
        let words = format!("it{lacks}s {has} no");
        let refusal = What::Refuse { status: 400, retry_after: None, text: Some(words) };
        site.simulator.add_fault(Fault::new(refusal).for_document("ITEM-3").times(1));
        let mut all = entries(1..=20);
        all[6].document_id = format!("ITEM{lacks}{has}");
        let ids = site.insert_all(&all);
        let mut agent = site.start();
        agent.until("all are done", || site.is_drained());
        let text =
            site.text(&format!("SELECT failure_text FROM bodrelay_message_log WHERE entry_id = {}", ids[2]));
        let seen = format!("it\\u{{{:x}}}s {has} no", u32::from(lacks));
        assert!(text.as_ref().is_some_and(|text| text.contains(&seen)), "{encoding}: {text:?}");
        let answer = site.text("SELECT max(answer_text) FROM bodrelay_attempt WHERE http_status = 400");
        assert!(answer.as_ref().is_some_and(|text| text.contains(&seen)), "{encoding}: {answer:?}");
        let id =
            site.text(&format!("SELECT document_id FROM bodrelay_message_log WHERE entry_id = {}", ids[6]));
        assert_eq!(id, Some(format!("ITEM\\u{{{:x}}}{has}", u32::from(lacks))), "{encoding}");
        assert_eq!((site.flag(ids[2]), site.flag(ids[6])), (Some(9), Some(1)));
        agent.until("what it does not hold is said", || {
            finding(&site, "DATABASE_ADVICE").is_some_and(|text| text.contains(encoding))
        });
        agent.term();
        let (_, said, _) = site.command_output("check", &[]);
        assert!(said.contains(&format!("has the encoding {encoding}")), "{said}");
    }
}

/// Rows of the agent's own tables that somebody keeps locked: a message's row of the log, and a finding.
#[test]
fn a_locked_row_of_our_own_tables_stops_only_itself() {
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    site.simulator.add_fault(Fault::refuse(503).times(1_000));
    site.insert(&Entry::new("ITEM-0", 1));
    let mut agent = site.start();
    agent.until("it waits", || !site.log().is_empty() && site.has_finding("ION_BUSY"));
    let (holder, _) = server.insert_open(&[], site.tenant_id());
    server.run(&holder, "SELECT FROM bodrelay_message_log FOR UPDATE");
    server.run(&holder, "SELECT FROM bodrelay_finding WHERE code = 'ION_BUSY' FOR UPDATE");
    site.simulator.clear_faults();
    let ids = site.insert_all(&entries(1..=300));
    agent.until("all others are flagged", || site.waiting() == 1);
    let beat = "SELECT extract(epoch FROM heartbeat_at)::bigint FROM bodrelay_status WHERE direction = 'out'";
    let settled = "SELECT accepted_total FROM bodrelay_status WHERE direction = 'out'";
    agent.until("the status is written", || site.number(settled) == 301);
    assert!(site.number(beat) > 0 && site.flag(ids[299]) == Some(1));
    server.commit(holder);
    agent.until("it heals", || site.is_drained());
    agent.until("the finding is over", || !site.has_open_finding("ION_BUSY"));
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.stored, counts.distinct), (301, 301), "nothing is sent twice");
    agent.term();
}

/// A byte that is no letter of the encoding, in a header of one row.
#[test]
fn a_row_that_the_database_cannot_give_fails_alone() {
    let site = Site::on_postgres_in("WIN1252", Options::default());
    let mut all = entries(1..=120);
    all[30].document_id = "PAGÉ".to_owned();
    let ids = site.insert_all(&all);
    site.sql(&format!(
        "UPDATE cor_outbox_headers SET c_header_value = 'X' || chr(129) WHERE c_outbox_id = {} AND c_header_key = 'DocumentId'",
        ids[17]
    ));
    let mut agent = site.start();
    agent.until("all are done", || site.is_drained());
    assert_eq!((site.flag(ids[17]), site.flag(ids[30])), (Some(9), Some(1)));
    assert_eq!(site.simulator.ledger().counts().stored, 119);
    let said = |column: &str| {
        site.text(&format!("SELECT {column} FROM bodrelay_message_log WHERE entry_id = {}", ids[17]))
    };
    assert_eq!(said("failure_code").as_deref(), Some("ROW_UNREADABLE"));
    let text = said("failure_text").unwrap();
    assert!(text.contains("in outbox_load_headers, the server says: ") && text.contains("0x81"), "{text}");
    assert!(!site.has_finding("DATABASE_UNAVAILABLE"));
    agent.term();
}
