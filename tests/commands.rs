//! The levers of `bodrelay_command`, pulled as a DBA does, by the real agent on both databases: each is done once, also
//! when the agent is killed in the middle.

mod site;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, On};
use site::{Agent, Entry, Site};

const SIGABRT: i32 = 6;

/// Inserts a command and answers its number.
fn ask(site: &Site, columns: &str, values: &str) -> i64 {
    site.sql(&format!("INSERT INTO bodrelay_command ({columns}) VALUES ({values})"));
    site.number("SELECT max(command_id) FROM bodrelay_command")
}

/// State, matched, done, and what it says.
fn answer(site: &Site, command: i64) -> (String, String) {
    let text = |columns: &str| {
        site.text(&format!("SELECT {columns} FROM bodrelay_command WHERE command_id = {command}"))
            .unwrap_or_default()
    };
    let figures = "state || ' ' || coalesce(CAST(matched_rows AS text), '-') || ' ' || coalesce(CAST(done_rows AS text), '-')";
    (text(figures), text("result"))
}

fn is_over(site: &Site, command: i64) -> bool {
    let (figures, _) = answer(site, command);
    figures.starts_with("done") || figures.starts_with("refused")
}

/// The answer of a command that the running agent carries out.
fn told(site: &Site, agent: &mut Agent, columns: &str, values: &str) -> (String, String) {
    let command = ask(site, columns, values);
    agent.until("the command's end", || is_over(site, command));
    answer(site, command)
}

fn state(site: &Site) -> String {
    site.text("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'").unwrap_or_default()
}

fn on_both(test: impl Fn(&Site)) {
    test(&Site::new());
    test(&Site::on_postgres(Options::default()));
}

/// A run from cron tells of its commands when they are done, not at the next reading of the control tables.
#[test]
fn once_ends_when_its_commands_are_done() {
    on_both(|site| {
        let config = site.path("bodrelay.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains("control_read_seconds = 1\n"));
        std::fs::write(&config, text.replace("control_read_seconds = 1\n", "control_read_seconds = 3600\n"))
            .unwrap();
        let command = ask(site, "command, connection_point", "'pause', 'CP1'");
        assert_eq!(site.once(), 0);
        assert_eq!(answer(site, command), ("done 0 0".into(), "pauses: CP1".into()));
    });
}

/// Whether a later row of the document went while another order applied, the lanes of the new one cannot tell.
#[test]
fn a_row_from_before_another_order_is_told_as_late() {
    on_both(|site| {
        let mut agent = site.start();
        let earlier = site.insert(&Entry::new("ITEM-1", 1).verb("Process"));
        let later = site.insert(&Entry::new("ITEM-1", 2));
        agent.until("the later one went", || site.flag(later) == Some(1));
        site.sql("UPDATE bodrelay_document SET order_by = 'connection_point'");
        let applies = "SELECT count(*) FROM noun_order WHERE order_by = 'connection_point'";
        agent.until("the order", || {
            site.journal().query_row(applies, [], |row| row.get::<_, i64>(0)).is_ok_and(|count| count == 1)
        });
        site.sql(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun, order_by) \
             VALUES ('CP1', 'out', 'Process', 'ItemMaster', 'connection_point')",
        );
        agent.until("the earlier one goes", || site.flag(earlier) == Some(1));
        let next = site.insert(&Entry::new("ITEM-1", 3));
        agent.until("the next one goes", || site.flag(next) == Some(1));
        agent.term();
        let late = |row: i64| site.log_of(row)[0].late;
        assert_eq!([earlier, later, next].map(late), [true, false, false]);
        assert!(site.has_finding("ROW_COMMITTED_LATE"));
    });
}

#[test]
fn a_pause_holds_through_restarts() {
    on_both(|site| {
        let mut agent = site.start();
        let first = site.insert(&Entry::new("ITEM-1", 1));
        agent.until("it sends", || site.flag(first) == Some(1));
        let (figures, text) =
            told(site, &mut agent, "command, connection_point, reason", "'pause', 'CP1', 'month end'");
        assert_eq!((&*figures, &*text), ("done 0 0", "pauses: CP1"));
        agent.until("the state", || state(site) == "paused");
        let reason = site.text("SELECT state_reason FROM bodrelay_status").unwrap();
        assert!(reason.starts_with("month end (until the command resume; command "), "{reason}");
        let second = site.insert(&Entry::new("ITEM-1", 2));
        // Once more changes nothing, nor does another life, nor one that ends by itself.
        told(site, &mut agent, "command, connection_point", "'pause', '*'");
        agent.kill();
        assert_eq!(site.once(), 0);
        let mut agent = site.start();
        agent.until_says("is paused");
        let (figures, text) = told(site, &mut agent, "command, connection_point", "'poll_now', 'CP1'");
        assert!(figures.starts_with("refused") && text.starts_with("CP1 is paused"), "{figures} {text}");
        assert_eq!(site.flag(second), Some(0));
        let (_, text) = told(site, &mut agent, "command, connection_point, dry_run", "'resume', 'CP1', 1");
        assert_eq!(text, "dry run: goes on: CP1; nothing was changed");
        let (_, text) = told(site, &mut agent, "command, connection_point", "'resume', 'CP1'");
        assert_eq!(text, "goes on: CP1");
        agent.until("it goes on", || site.flag(second) == Some(1));
        let (_, text) = told(site, &mut agent, "command, connection_point", "'resume', '*'");
        assert_eq!(text, "nothing was paused");
    });
}

#[test]
fn a_pause_with_an_end_ends_by_itself() {
    let site = Site::new();
    let mut agent = site.start();
    let soon = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+3 seconds')";
    let command = ask(&site, "command, connection_point, until_at", &format!("'pause', 'CP1', {soon}"));
    agent.until("the pause", || state(&site) == "paused");
    let row = site.insert(&Entry::new("ITEM-1", 1));
    assert!(is_over(&site, command));
    agent.until("it goes on by itself", || site.flag(row) == Some(1));
    agent.until_says("its pause is over");
    let past = "'2026-01-01T00:00:00.000Z'";
    let (figures, text) =
        told(&site, &mut agent, "command, connection_point, until_at", &format!("'pause', 'CP1', {past}"));
    assert!(figures.starts_with("refused") && text.contains("over already"), "{figures} {text}");
}

/// A document that is refused for ever is sent exactly once more for one command, also when the agent dies after the
/// flags were set back and before it could write that down.
#[test]
fn a_resubmit_is_done_once() {
    on_both(|site| {
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
        let row = site.insert(&Entry::new("ITEM-1", 1));
        let mut agent = site.start();
        agent.until("the failure", || site.flag(row) == Some(9));
        agent.term();
        let posts = || site.simulator.ledger().counts().posts;
        assert_eq!(posts(), 1);
        let command = ask(site, "command, connection_point, failure_code", "'resubmit', 'CP1', 'HTTP_400'");
        let mut agent = site.start_armed("after_reset:1");
        assert_eq!(agent.wait().signal(), Some(SIGABRT), "{}", agent.log());
        assert_eq!(site.flag(row), Some(0), "set back, and nobody wrote it down");
        let mut agent = site.start();
        agent.until("the command's end", || is_over(site, command));
        agent.until("the second failure", || posts() == 2 && site.flag(row) == Some(9));
        agent.kill();
        let mut agent = site.start();
        let later = site.insert(&Entry::new("ITEM-2", 1));
        agent.until("other work", || site.flag(later) == Some(1));
        assert_eq!((posts(), site.flag(row)), (3, Some(9)), "the failed one went twice, the other one once");
    });
}

/// A look that is under way when the flag is set back does not see it: another one follows, also in a `once`.
#[test]
fn a_resubmit_goes_out_in_the_same_once() {
    on_both(|site| {
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
        let row = site.insert(&Entry::new("ITEM-1", 1));
        site.once();
        for time in 1..=6 {
            assert_eq!(site.flag(row), Some(9));
            if time < 6 {
                site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
            }
            ask(site, "command, connection_point, failure_code", "'resubmit', 'CP1', 'HTTP_400'");
            site.once();
            assert_ne!(site.flag(row), Some(0), "the {time}th time");
        }
        assert_eq!(site.flag(row), Some(1));
    });
}

/// The message log is told of problems only, and these have had none: a discard finds what waits all the same.
#[test]
fn a_discard_finds_what_the_log_does_not_know() {
    on_both(|site| {
        site.sql("UPDATE bodrelay_connection_point SET log_messages = 'problems', parallel_posts = 1");
        site.simulator.add_fault(Fault::refuse(500).for_document("ITEM-1"));
        let rows: Vec<i64> = (1..=3).map(|version| site.insert(&Entry::new("ITEM-1", version))).collect();
        let mut agent = site.start();
        agent.until("a refusal", || site.simulator.ledger().counts().posts > 0);
        let by_document = "command, connection_point, noun, document_id, reason, dry_run";
        // While the first of them is on the wire, again and again, it is nobody's to discard.
        let this = "'discard', 'CP1', 'ItemMaster', 'ITEM-1', 'not wanted', 1";
        let all = ("done 3 0".to_owned(), "dry run: 3 of 3 would be changed; nothing was".to_owned());
        let found = (0..20).map(|_| told(site, &mut agent, by_document, this)).find(|found| *found == all);
        assert_eq!(found, Some(all));
        let other = "'discard', 'CP1', 'ItemMaster', 'ITEM-2', 'not wanted', 0";
        assert_eq!(told(site, &mut agent, by_document, other).0, "done 0 0");
        let this = "'discard', 'CP1', 'ItemMaster', 'ITEM-1', 'not wanted', 0";
        told(site, &mut agent, by_document, this);
        agent.until("those that waited", || rows[1..].iter().all(|row| site.flag(*row) == Some(9)));
        for row in &rows[1..] {
            assert_eq!(site.states_of(*row), ["discarded"]);
        }
        let (figures, text) =
            told(site, &mut agent, "command, connection_point, noun", "'resend', 'CP1', 'ItemMaster'");
        assert!(figures.starts_with("refused") && text.contains("from_at"), "{figures} {text}");
        agent.term();
    });
}

/// Two DBAs, one thought: what the one gives up is not given up again, whatever it was.
#[test]
fn two_discards_at_once_are_one() {
    on_both(|site| {
        site.sql("UPDATE bodrelay_connection_point SET after_failure = 'hold', backoff_max_seconds = 600");
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
        site.simulator.add_fault(Fault::refuse(500).for_document("ITEM-2"));
        let rows: Vec<i64> = ["ITEM-1", "ITEM-1", "ITEM-2", "ITEM-2"]
            .into_iter()
            .zip(1..)
            .map(|(document_id, version)| site.insert(&Entry::new(document_id, version)))
            .collect();
        let mut agent = site.start();
        agent.until("a failed, a held, and two that wait", || {
            site.flag(rows[0]) == Some(9) && site.simulator.ledger().counts().posts > 1
        });
        let discard = "('discard', 'CP1', 'ItemMaster', 'not wanted')";
        site.sql(&format!(
            "INSERT INTO bodrelay_command (command, connection_point, noun, reason) \
             VALUES {discard}, {discard}, {discard}"
        ));
        let open = "SELECT count(*) FROM bodrelay_command WHERE state <> 'done'";
        agent.until("the ends of the commands", || site.number(open) == 0);
        // The one that was on the wire goes on.
        site.simulator.clear_faults();
        site.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('poll_now', 'CP1')");
        agent.until("all of it", || site.is_drained());
        assert_eq!(site.states_of(rows[1]), ["discarded"]);
        agent.term();
    });
}

#[test]
fn what_was_accepted_goes_once_more_under_a_new_id() {
    on_both(|site| {
        let mut agent = site.start();
        let rows: Vec<i64> = ["ITEM-1", "ITEM-2", "ITEM-3"]
            .into_iter()
            .map(|document_id| {
                site.insert(&Entry::new(document_id, 1).message_id(&format!("erp-{document_id}")))
            })
            .collect();
        let newer = site.insert(&Entry::new("ITEM-2", 2));
        agent.until("all of it", || site.waiting() == 0 && site.log().len() == 4);
        let resend = "command, connection_point, noun, document_id";
        let of = |document_id: &str| format!("'resend', 'CP1', 'ItemMaster', '{document_id}'");
        let (_, text) =
            told(site, &mut agent, &format!("{resend}, dry_run"), &format!("{}, 1", of("ITEM-1")));
        assert_eq!(text, "dry run: 1 of 1 would be changed; nothing was");
        let (figures, text) = told(site, &mut agent, resend, &of("ITEM-1"));
        assert_eq!((&*figures, &*text), ("done 1 1", "1 of 1"));
        agent.until("it comes again", || site.arrivals_of("ITEM-1").len() == 2);
        agent.until("its log row", || site.states_of(rows[0]) == ["accepted", "accepted"]);
        let came = site.arrivals_of("ITEM-1");
        assert_eq!(came[0].digest, came[1].digest);
        assert_eq!(&*came[0].message_id, "erp-ITEM-1");
        let ids: BTreeSet<&str> = came.iter().map(|arrival| &*arrival.message_id).collect();
        assert_eq!((ids.len(), site.flag(rows[0])), (2, Some(1)));
        let marked = format!(
            "SELECT count(*) FROM bodrelay_message_log AS again JOIN bodrelay_message_log AS first \
             ON first.message_key = again.resend_of WHERE again.entry_id = {} AND first.entry_id = again.entry_id",
            rows[0]
        );
        assert_eq!(site.number(&marked), 1);
        // The older version is left out, unless the DBA insists; then it goes after the newer one, and is marked so.
        let (figures, text) = told(site, &mut agent, resend, &of("ITEM-2"));
        assert!(figures == "done 2 1" && text.contains("1 left out"), "{figures} {text}");
        agent.until("the newer one", || site.states_of(newer).len() == 2);
        let (figures, _) =
            told(site, &mut agent, &format!("{resend}, out_of_order"), &format!("{}, 1", of("ITEM-2")));
        assert_eq!(figures, "done 2 2");
        agent.until("both", || site.arrivals_of("ITEM-2").len() == 5);
        agent.until("its log row", || site.states_of(rows[1]) == ["accepted", "accepted"]);
        assert!(site.log_of(rows[1])[1].late);
        // A row that is gone cannot go again.
        site.sql(&format!("DELETE FROM COR_OUTBOX_HEADERS WHERE C_OUTBOX_ID = {}", rows[2]));
        site.sql(&format!("DELETE FROM COR_OUTBOX_ENTRY WHERE C_ID = {}", rows[2]));
        let (figures, text) = told(site, &mut agent, resend, &of("ITEM-3"));
        assert!(figures == "done 1 0" && text.contains("rows are gone"), "{figures} {text}");
        // A kill in the middle: it is posted again under the one new id, in doubt, and never under a third.
        agent.kill();
        ask(site, resend, &of("ITEM-1"));
        let mut agent = site.start_armed("after_post:1");
        assert_eq!(agent.wait().signal(), Some(SIGABRT), "{}", agent.log());
        let mut agent = site.start();
        agent.until("its end", || site.states_of(rows[0]) == ["accepted"; 3]);
        let came = site.arrivals_of("ITEM-1");
        let ids: BTreeSet<&str> = came.iter().map(|arrival| &*arrival.message_id).collect();
        assert_eq!((came.len(), ids.len()), (4, 3));
        // What is accepted and not yet settled is no candidate.
        agent.until("its journal", || site.is_drained());
        agent.kill();
        // One that dies when ION has it, and before the table says that the command is done: it is not done again.
        let command = ask(site, resend, &of("ITEM-1"));
        let mut agent = site.start_armed("after_record:1");
        assert_eq!(agent.wait().signal(), Some(SIGABRT), "{}", agent.log());
        let mut agent = site.start();
        agent.until("the command's end", || is_over(site, command));
        agent.until("its end", || site.states_of(rows[0]) == ["accepted"; 4]);
        let later = site.insert(&Entry::new("ITEM-5", 1));
        agent.until("other work", || site.flag(later) == Some(1));
        assert_eq!(site.arrivals_of("ITEM-1").len(), 5);
        assert!(!site.has_finding("ANOTHER_SENDER"), "its own flag is nobody else's");
        agent.term();
    });
}

#[test]
fn the_log_is_purged_but_for_what_is_unresolved() {
    on_both(|site| {
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-9"));
        let failed = site.insert(&Entry::new("ITEM-9", 1));
        let rows: Vec<Entry> = (1..=700).map(|version| Entry::new("ITEM-1", version)).collect();
        let accepted = site.insert_all(&rows);
        let mut agent = site.start();
        agent.until("all of it", || site.waiting() == 0 && site.log().len() == 701);
        let (figures, text) = told(site, &mut agent, "command, connection_point", "'purge_log', 'CP1'");
        assert!(figures.starts_with("refused") && text.contains("to_at"), "{text}");
        let purge = "command, connection_point, to_at";
        let all = "'purge_log', '*', '2036-01-01T00:00:00.000Z'";
        let (_, text) = told(site, &mut agent, &format!("{purge}, dry_run"), &format!("{all}, 1"));
        assert_eq!(text, "dry run: 700 of 700 would be changed; nothing was");
        let (figures, _) = told(site, &mut agent, purge, all);
        assert_eq!(figures, "done 700 700");
        assert_eq!(site.states_of(failed), ["failed"]);
        assert_eq!((site.log().len(), site.flag(accepted[0])), (1, Some(1)), "the outbox is not touched");
        let (figures, _) = told(site, &mut agent, purge, all);
        assert_eq!(figures, "done 0 0");
    });
}

#[test]
fn documents_are_tried_without_being_sent() {
    on_both(|site| {
        site.sql("UPDATE bodrelay_connection_point SET send_mode = 'off'");
        site.insert(&Entry::new("ITEM-1", 1));
        let bad = site.insert(&Entry::new("ITEM-2", 1));
        site.sql(&format!(
            "UPDATE COR_OUTBOX_HEADERS SET C_HEADER_VALUE = 'Sync.Nothing' \
             WHERE C_OUTBOX_ID = {bad} AND C_HEADER_KEY = 'BODType'"
        ));
        let mut agent = site.start();
        let (figures, text) = told(site, &mut agent, "command, connection_point", "'test_document', 'CP1'");
        assert_eq!(figures, "done 2 1");
        assert!(
            text.starts_with("1 of 2 would be sent; nothing was.") && text.contains(&format!("C_ID {bad}: ")),
            "{text}"
        );
        site.simulator.set_accepted(Some(BTreeSet::new()));
        let named = "'test_document', 'CP1', 'ITEM-1'";
        let (figures, text) = told(site, &mut agent, "command, connection_point, document_id", named);
        assert!(
            figures == "done 1 1" && text.contains("ION does not list Sync.ItemMaster"),
            "{figures} {text}"
        );
        assert_eq!((site.simulator.ledger().counts().posts, site.waiting(), site.log().len()), (0, 2, 0));
    });
}

#[test]
fn credentials_are_read_again_when_asked() {
    let site = Site::new();
    let mut agent = site.start();
    agent.until_says("starts");
    let whole = std::fs::read_to_string(site.path("sim.ionapi")).unwrap();
    std::fs::write(site.path("sim.ionapi"), "{").unwrap();
    let (figures, text) = told(&site, &mut agent, "command, connection_point", "'reload_credentials', '*'");
    assert!(figures.starts_with("refused") && text.contains("the one read before goes on"), "{text}");
    assert!(!text.contains(&whole[20..60]), "no secret in it");
    std::fs::write(site.path("sim.ionapi"), whole).unwrap();
    let (figures, text) = told(&site, &mut agent, "command, connection_point", "'reload_credentials', 'CP1'");
    assert_eq!((&*figures, &*text), ("done 1 1", "default was read again"));
}

/// What waits for a long retry is tried at once.
#[test]
fn poll_now_tries_what_waits() {
    let site = Site::new();
    site.sql("UPDATE bodrelay_connection_point SET backoff_step_seconds = 600, backoff_max_seconds = 600");
    site.simulator.add_fault(Fault::refuse(503).on(On::Post).times(1));
    let row = site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    agent.until("it backs off", || state(&site) == "backoff");
    let (_, text) = told(&site, &mut agent, "command, connection_point", "'poll_now', 'CP1'");
    assert_eq!(text, "is looked at: CP1");
    agent.until("it goes", || site.flag(row) == Some(1));
}

/// Each command twice, the agent killed in between: the second one finds what the first one left, and each says its end.
#[test]
fn each_command_twice_with_a_kill_in_between() {
    on_both(|site| {
        site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
        let failing = site.insert(&Entry::new("ITEM-1", 1));
        let sent = site.insert(&Entry::new("ITEM-2", 1));
        let mut agent = site.start();
        agent.until("both", || site.flag(failing) == Some(9) && site.flag(sent) == Some(1));
        let to_come = "'2036-01-01T00:00:00.000Z'";
        let purge = format!("'purge_log', 'CP1', {to_come}");
        let counts = || site.simulator.ledger().counts();
        for (columns, values, ends, posts) in [
            ("command, connection_point", "'pause', 'CP1'", ["pauses: CP1"; 2], 0),
            ("command, connection_point", "'resume', 'CP1'", ["goes on: CP1", "nothing was paused"], 0),
            ("command, connection_point", "'poll_now', 'CP1'", ["is looked at: CP1"; 2], 0),
            ("command, connection_point, failure_code", "'resubmit', 'CP1', 'HTTP_400'", ["1 of 1"; 2], 2),
            ("command, connection_point, document_id", "'test_document', 'CP1', 'ITEM-1'", ["0 of 0"; 2], 0),
            (
                "command, connection_point, failure_code, reason",
                "'discard', 'CP1', 'HTTP_400', 'no'",
                ["1 of 1", "0 of 0"],
                0,
            ),
            (
                "command, connection_point, noun, document_id",
                "'resend', 'CP1', 'ItemMaster', 'ITEM-2'",
                // The second time there are two that were accepted; what went again is not sent again.
                ["1 of 1", "1 of 1"],
                2,
            ),
            ("command, connection_point", "'reload_credentials', 'CP1'", ["default was read again"; 2], 0),
            (
                "command, connection_point",
                "'accept_database', '*'",
                ["the database is the accepted one"; 2],
                0,
            ),
            ("command, connection_point, to_at", purge.as_str(), ["", "0 of 0"], 0),
        ] {
            let before = counts().posts;
            for (turn, end) in ends.into_iter().enumerate() {
                let (figures, text) = told(site, &mut agent, columns, values);
                assert!(figures.starts_with("done"), "{values} {turn}: {figures} {text}");
                assert!(text.contains(end), "{values} {turn}: {figures} {text}");
                agent.until("what it caused", || site.waiting() == 0 && site.is_drained());
                agent.kill();
                agent = site.start();
            }
            assert_eq!(counts().posts, before + posts, "{values}");
        }
        agent.until_says("starts");
        let open = "SELECT count(*) FROM bodrelay_command WHERE state IN ('new', 'running')";
        assert_eq!(site.number(open), 0);
        assert_eq!(counts().repeats_same, 0, "each resend has an id of its own");
        agent.term();
    });
}

/// A range of many pages, the agent killed in the middle of it: it goes on behind what is done.
#[test]
fn a_large_discard_goes_on_after_a_kill() {
    const ROWS: i64 = 2_500;
    on_both(|site| {
        site.sql(
            "UPDATE bodrelay_connection_point SET backoff_step_seconds = 600, backoff_max_seconds = 600",
        );
        site.simulator.add_fault(Fault::refuse(503));
        let rows: Vec<Entry> = (1..=ROWS).map(|row| Entry::new(&format!("ITEM-{}", row % 50), row)).collect();
        site.insert_all(&rows);
        let mut agent = site.start();
        agent.until_says("starts");
        let known = "SELECT count(*) FROM message WHERE settled = 0";
        agent.until("all is admitted", || {
            let count = site.journal().query_row(known, [], |row| row.get(0));
            count.is_ok_and(|count: i64| count == ROWS)
        });
        let command =
            ask(site, "command, connection_point, noun, reason", "'discard', 'CP1', 'ItemMaster', 'no'");
        let flagged = "SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 9";
        agent.until("some of it", || site.number(flagged) > 0);
        let in_the_middle = site.number(flagged);
        agent.kill();
        let mut agent = site.start();
        agent.until("the command's end", || is_over(site, command));
        eprintln!("killed at {in_the_middle} of {ROWS}");
        let (figures, text) = answer(site, command);
        assert!(figures == format!("done {ROWS} {ROWS}"), "{figures} {text}");
        agent.until("all of it", || site.number(flagged) == ROWS);
        agent.term();
        let once = "SELECT count(*) FROM bodrelay_message_log WHERE state = 'discarded'";
        assert_eq!((site.number(once), site.log().len()), (ROWS, usize::try_from(ROWS).unwrap()));
        assert_eq!(site.simulator.ledger().counts().stored, 0);
    });
}

#[test]
fn a_command_is_its_own_agents_alone() {
    let site = Site::new();
    let mut agent = site.start();
    let (figures, text) = told(&site, &mut agent, "command, connection_point", "'pause', 'cp1'");
    assert!(figures.starts_with("refused") && text.contains("no connection point is called 'cp1'"), "{text}");
    let (figures, text) =
        told(&site, &mut agent, "command, connection_point, direction", "'pause', 'CP1', 'in'");
    assert!(figures.starts_with("refused") && text.contains("confirm_error only"), "{text}");
    site.sql(&format!(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id) \
         VALUES ('CP2', 'PLANT2', '{}', 'lid://acme.erp.plant2')",
        site.tenant_id()
    ));
    let theirs = ask(&site, "command, connection_point", "'pause', 'CP2'");
    let (figures, text) = told(&site, &mut agent, "command, connection_point", "'pause', '*'");
    assert!(figures.starts_with("refused") && text.contains("several agents"), "{text}");
    assert_eq!(answer(&site, theirs).0, "new - -", "its own agent will do it");
    let mut other = site.start_beside("host2", "state2", "PLANT2");
    other.until("its own agent does it", || is_over(&site, theirs));
    assert_eq!(site.number("SELECT count(*) FROM bodrelay_command WHERE host = 'host2'"), 1);
}

/// The original, its flag, and the headers of a received document, as the inbox has them.
fn receive(site: &Site, entry_id: i64, document: &str) {
    site.sql(&format!(
        "INSERT INTO COR_INBOX_ENTRY (C_ID, C_TENANT_ID, C_WAS_PROCESSED, C_XML) VALUES ({entry_id}, 'T', 0, '{document}')"
    ));
    let tenant = site.tenant_id().to_owned();
    for (key, value) in [
        ("TenantId", tenant.as_str()),
        ("MessageId", "M-1"),
        ("BODType", "Sync.ItemMaster"),
        ("FromLogicalId", "lid://infor.ims.sender"),
        ("DocumentId", "ITEM-9"),
        ("AccountingEntity", "AE10"),
        ("VariationId", "7"),
    ] {
        site.sql(&format!(
            "INSERT INTO COR_INBOX_HEADERS (C_INBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES ({entry_id}, '{key}', '{value}')"
        ));
    }
}

#[test]
fn a_document_that_failed_is_confirmed_to_ion_once() {
    on_both(|site| {
        receive(site, 71, "<SyncItemMaster/>");
        let mut agent = site.start();
        let columns = "command, connection_point, message_key, reason, reason_code";
        let mut refused = |values: &str, expected: &str| {
            let (figures, text) = told(site, &mut agent, columns, values);
            assert!(figures.starts_with("refused") && text.contains(expected), "{values}: {figures} {text}");
        };
        let good = "'confirm_error', 'CP1', '71', 'unit PCE is unknown', 'UOM001'";
        refused(good, "Confirm.BOD is not listed");
        site.sql(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Confirm', 'BOD')",
        );
        refused("'confirm_error', '*', '71', 'why', NULL", "name the connection point");
        refused("'confirm_error', 'CP1', '71', ' ', NULL", "give a reason");
        refused("'confirm_error', 'CP1', NULL, 'why', NULL", "give message_key");
        refused("'confirm_error', 'CP1', '72', 'why', NULL", "C_ID 72 of COR_INBOX_ENTRY is gone");
        refused("'confirm_error', 'CP1', 'no-such-key', 'why', NULL", "'no-such-key'");
        assert_eq!(site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY"), 0);
        let (figures, text) = told(site, &mut agent, columns, good);
        assert_eq!(
            (&*figures, &*text),
            ("done 1 1", "the ConfirmBOD for C_ID 71 of the inbox is in the outbox")
        );
        let row = site.number("SELECT max(C_ID) FROM COR_OUTBOX_ENTRY");
        agent.until("it is sent", || site.flag(row) == Some(1));
        let arrivals = site.simulator.ledger().arrivals();
        let [arrival] = arrivals.as_slice() else { panic!("{} arrivals", arrivals.len()) };
        assert_eq!(&*arrival.document_name, "Confirm.BOD");
        assert!(!site.has_open_finding("SENDER_LOGICAL_ID_DIFFERS"));
        assert_eq!(
            site.number("SELECT count(*) FROM COR_INBOX_ENTRY WHERE C_WAS_PROCESSED = 0"),
            1,
            "the inbox is the application's"
        );
    });
}

/// Killed at any moment around it, an agent confirms once; at the next start the rest is done.
#[test]
fn a_confirm_is_written_once_through_kills() {
    on_both(|site| {
        receive(site, 71, "<SyncItemMaster/>");
        site.sql(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Confirm', 'BOD')",
        );
        let confirms = || site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY");
        for nth in 1..=3 {
            let command = ask(
                site,
                "command, connection_point, message_key, reason",
                "'confirm_error', 'CP1', '71', 'unit PCE is unknown'",
            );
            // As soon as the document is there: whether the agent has told itself so is a race.
            let mut agent = site.start();
            agent.until("the document is there", || confirms() == nth);
            agent.kill();
            let mut agent = site.start();
            agent.until("the command is over", || is_over(site, command));
            agent.until("everything is sent", || site.waiting() == 0);
            agent.term();
            assert_eq!(answer(site, command).0, "done 1 1");
            assert_eq!(confirms(), nth);
        }
        let ids: BTreeSet<_> =
            site.simulator.ledger().arrivals().iter().map(|it| it.message_id.to_string()).collect();
        assert_eq!(ids.len(), 3, "each command has an id of its own");
    });
}
