//! A document that ION always refuses stops itself and nothing else, says so by name, and nothing good fails beside it.

use std::time::{Duration, Instant};

use bodrelay::simulator::script::{Fault, On, What};

mod site;

use site::{Agent, Entry, Site};

/// Document types of a site: each is a verb of ItemMaster.
const VERBS: [&str; 3] = ["Sync", "Process", "Notify"];
const OTHER_LOGICAL_ID: &str = "lid://acme.erp.plant2";

/// Two connection points with three document types each.
fn a_site() -> Site {
    let site = Site::new();
    let file = site.path("bodrelay.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replace("request_timeout_seconds = 10", "request_timeout_seconds = 1"))
        .unwrap();
    site.sql(&format!(
        "UPDATE bodrelay_connection_point SET source_tenant_id = tenant_id, source_logical_id = logical_id, \
         backoff_max_seconds = 60, parallel_posts = 4; \
         INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
         source_tenant_id, source_logical_id, send_mode, poll_seconds, parallel_posts, backoff_step_seconds, \
         backoff_max_seconds, headers_grace_seconds, lone_in_doubt_tries, log_attempts) \
         SELECT 'CP2', location_name, tenant_id, '{OTHER_LOGICAL_ID}', tenant_id, '{OTHER_LOGICAL_ID}', send_mode, \
         poll_seconds, parallel_posts, backoff_step_seconds, backoff_max_seconds, headers_grace_seconds, \
         lone_in_doubt_tries, log_attempts FROM bodrelay_connection_point"
    ));
    for point in ["CP1", "CP2"] {
        for verb in VERBS {
            site.sql(&format!(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
                 SELECT '{point}', 'out', '{verb}', 'ItemMaster' WHERE NOT EXISTS (SELECT 1 FROM bodrelay_document \
                 WHERE connection_point = '{point}' AND verb = '{verb}')"
            ));
        }
    }
    site
}

fn entry(number: i64, verb: &'static str, name: &str) -> Entry {
    Entry::new(name, number).verb(verb)
}

/// Good documents of every type and connection point, numbered from here on.
fn good(from: i64, count: i64) -> Vec<Entry> {
    (from..from + count)
        .map(|number| {
            let verb = VERBS[usize::try_from(number % 3).unwrap()];
            let entry = entry(number, verb, &format!("GOOD-{number}"));
            if number % 2 == 0 { entry.logical_id(OTHER_LOGICAL_ID) } else { entry }
        })
        .collect()
}

fn poison(site: &Site, what: &What, names: &[&str]) {
    for name in names {
        site.simulator.add_fault(Fault::new(what.clone()).for_document(name));
    }
}

fn refuse(status: u16) -> What {
    What::Refuse { status, retry_after: None, text: Some("never this one".into()) }
}

fn all_are(site: &Site, ids: &[i64], flag: i64) -> bool {
    ids.iter().all(|id| site.flag(*id) == Some(flag))
}

fn open_finding(site: &Site, code: &str) -> Option<String> {
    site.text(&format!(
        "SELECT finding_text || ' ' || remedy FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL"
    ))
}

/// Runs each on a thread, some at a time.
fn side_by_side<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let items = std::sync::Mutex::new(items);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = { items.lock().unwrap().pop() } {
                    work(item);
                }
            });
        }
    });
}

/// Bad ones first; then, as they have been refused, good ones now and then, and all of these arrive.
fn others_go_on(what: &What, bad: &[Entry]) {
    let site = a_site();
    let names: Vec<&str> = bad.iter().map(|entry| entry.document_id.as_str()).collect();
    poison(&site, what, &names);
    let poisoned = site.insert_all(bad);
    let mut agent = site.start();
    agent.until(&format!("{what:?}: the bad ones are refused"), || {
        site.number("SELECT count(DISTINCT message_key) FROM bodrelay_attempt")
            >= i64::try_from(bad.len()).unwrap()
    });
    let mut ids = Vec::new();
    for round in 0..5 {
        let entries = good(100 + round * 6, 6);
        let these = site.insert_all(&entries);
        agent.until(&format!("{what:?} {names:?}: round {round} of the good ones"), || {
            all_are(&site, &these, 1)
        });
        ids.extend(these);
    }
    assert!(poisoned.iter().all(|id| site.flag(*id) != Some(1)), "{what:?}");
    let failed =
        site.log().into_iter().filter(|it| ids.contains(&it.entry_id) && it.state != "accepted").count();
    assert_eq!(failed, 0, "{what:?}");
    agent.term();
}

/// Every answer that is no acceptance.
fn answers() -> Vec<What> {
    let mut answers: Vec<What> =
        [400, 500, 503, 502, 504, 429, 408, 401, 302, 307, 403, 404, 405, 407, 410, 412].map(refuse).into();
    answers.extend([What::NeverAnswer, What::ResetBeforeStore, What::StoreThenLoseAnswer, What::Garbage]);
    answers
}

/// One of each class, and of each scope that waits for it.
fn answers_of_a_kind() -> Vec<What> {
    let mut answers: Vec<What> = [400, 500, 504, 302, 403].map(refuse).into();
    answers.push(What::NeverAnswer);
    answers
}

#[test]
fn one_document_that_is_never_taken_stops_only_itself() {
    let bad = [entry(1, "Notify", "BAD-1")];
    side_by_side(answers(), |what| others_go_on(&what, &bad));
}

#[test]
fn three_of_one_type_stop_only_themselves() {
    let bad = [1, 2, 3].map(|number| entry(number, "Sync", &format!("BAD-{number}")));
    side_by_side(answers_of_a_kind(), |what| others_go_on(&what, &bad));
}

#[test]
fn three_of_all_kinds_stop_only_themselves() {
    let bad = [
        entry(1, "Sync", "BAD-1"),
        entry(2, "Process", "BAD-2"),
        entry(3, "Sync", "BAD-3").logical_id(OTHER_LOGICAL_ID),
    ];
    side_by_side(answers_of_a_kind(), |what| others_go_on(&what, &bad));
}

/// More of them than there are slots, and all before the good ones; once more by an agent that lost its journal.
#[test]
fn many_that_were_there_first_stop_only_themselves() {
    side_by_side([500, 504, 403, 400].map(refuse).into(), |what| {
        let site = a_site();
        let named = |entries: Vec<Entry>, name: &str| -> Vec<Entry> {
            let named =
                |(number, entry): (usize, Entry)| Entry { document_id: format!("{name}-{number}"), ..entry };
            entries.into_iter().enumerate().map(named).collect()
        };
        let bad = named(good(1, 40), "BAD");
        let names: Vec<&str> = bad.iter().map(|entry| entry.document_id.as_str()).collect();
        poison(&site, &what, &names);
        let bad = site.insert_all(&bad);
        let before = site.insert_all(&good(100, 40));
        let mut agent = site.start();
        agent.until(&format!("{what:?}: the good ones behind them"), || all_are(&site, &before, 1));
        agent.kill();
        site.lapse_owners();
        std::fs::remove_dir_all(site.path("state")).unwrap();
        let after = site.insert_all(&good(200, 12));
        let mut agent = site.start();
        agent.until(&format!("{what:?}: without the journal"), || all_are(&site, &after, 1));
        assert!(bad.iter().all(|id| site.flag(*id) != Some(1)));
        agent.term();
    });
}

/// One that another kind of answer stops, each.
#[test]
fn mixed_answers_stop_only_their_own() {
    let site = a_site();
    poison(&site, &refuse(500), &["BAD-1"]);
    poison(&site, &refuse(504), &["BAD-2"]);
    poison(&site, &refuse(302), &["BAD-3"]);
    poison(&site, &refuse(403), &["BAD-4"]);
    poison(&site, &What::NeverAnswer, &["BAD-5"]);
    let bad = [
        entry(1, "Sync", "BAD-1"),
        entry(2, "Sync", "BAD-2"),
        entry(3, "Process", "BAD-3"),
        entry(4, "Notify", "BAD-4"),
        entry(5, "Notify", "BAD-5").logical_id(OTHER_LOGICAL_ID),
    ];
    let bad = site.insert_all(&bad);
    let mut agent = site.start();
    let mut ids = Vec::new();
    for round in 0..5 {
        let these = site.insert_all(&good(100 + round * 6, 6));
        agent.until(&format!("round {round} of the good ones"), || all_are(&site, &these, 1));
        ids.extend(these);
        if round == 2 {
            agent.kill();
            agent = site.start();
        }
    }
    assert!(bad.iter().all(|id| site.flag(*id) != Some(1)));
    agent.term();
}

/// A document that is judged alone is named with its answer, how far it is, and what passes beside it; the rounds count on
/// after a restart, and at their end it fails. An answer that is never about a document fails none.
#[test]
fn the_finding_names_what_is_refused_alone() {
    let site = a_site();
    site.sql("UPDATE bodrelay_connection_point SET lone_rounds = 3");
    poison(&site, &refuse(500), &["BAD-1"]);
    poison(&site, &refuse(307), &["BAD-2"]);
    let bad = site
        .insert_all(&[entry(1, "Notify", "BAD-1"), entry(2, "Sync", "BAD-2").logical_id(OTHER_LOGICAL_ID)]);
    let mut agent = site.start();
    let number = std::cell::Cell::new(100);
    let until = |agent: &mut Agent, what: &str, done: &dyn Fn() -> bool| {
        agent.until(what, || {
            // Something passes all the time.
            if site.waiting() < 6 {
                site.insert_all(&good(number.get(), 6));
                number.set(number.get() + 6);
            }
            done()
        });
    };
    let told = |point: &str| {
        site.text(&format!(
            "SELECT finding_text FROM bodrelay_finding WHERE code = 'DOCUMENT_REFUSED_ALONE' AND cleared_at IS NULL \
             AND connection_point = '{point}'"
        ))
    };
    until(&mut agent, "both are named", &|| told("CP1").is_some() && told("CP2").is_some());
    let text = told("CP1").unwrap();
    for part in ["Notify.ItemMaster BAD-1", "HTTP 500", "never this one", "of 3", "pass"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(told("CP2").unwrap().contains("Sync.ItemMaster BAD-2"));
    assert!(site.has_open_finding("DOCUMENT_REFUSED_ALONE"));
    let rounds = || {
        site.journal()
            .query_row("SELECT max(lone) FROM scope WHERE scope LIKE 'lane erp/CP1 %'", [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap_or(0)
    };
    until(&mut agent, "a round is counted", &|| rounds() > 0);
    agent.kill();
    let before = rounds();
    agent = site.start();
    until(&mut agent, "it counts on", &|| rounds() > before || site.flag(bad[0]) == Some(9));
    until(&mut agent, "its verdict", &|| site.flag(bad[0]) == Some(9));
    assert_eq!(site.log_of(bad[0])[0].failure_code.as_deref(), Some("FOR_THIS_DOCUMENT_ONLY"));
    until(&mut agent, "it is told no longer", &|| told("CP1").is_none());
    assert_eq!(site.flag(bad[1]), Some(0), "a redirect is about the way");
    site.simulator.clear_faults();
    agent.until("the other one", || site.flag(bad[1]) == Some(1) && told("CP2").is_none());
    assert!(!site.has_open_finding("DOCUMENT_REFUSED_ALONE"));
    agent.term();
}

/// One gateway node of three is logged out: no document fails for it.
#[test]
fn a_third_of_redirects_fails_nothing() {
    let site = a_site();
    let seed = fastrand::u64(..);
    println!("the simulator draws from its own seed; the numbers begin at {}", seed % 1_000);
    site.simulator.add_fault(Fault::refuse(302).with_probability(0.33));
    let ids = site.insert_all(&good(i64::try_from(seed % 1_000).unwrap(), 100));
    let mut agent = site.start();
    let started = Instant::now();
    agent.until("all are accepted", || {
        assert!(ids.iter().all(|id| site.flag(*id) != Some(9)), "one failed");
        all_are(&site, &ids, 1)
    });
    println!("after {:?}", started.elapsed());
    agent.term();
}

/// The only document of its type, beside types that pass, and a list that cannot be read: unknown, and no verdict.
#[test]
fn the_only_document_of_a_type_stays_suspended() {
    for readable in [false, true] {
        let site = a_site();
        if readable {
            let listed = VERBS.map(|verb| format!("{verb}.ItemMaster"));
            site.simulator.set_accepted(Some(listed.into()));
        } else {
            // Neither says that the type is not taken, and other types pass.
            site.simulator.add_fault(Fault::refuse(404).on(On::AcceptedDocuments));
            site.simulator.add_fault(Fault::new(What::BadJson).on(On::AcceptedDocuments));
        }
        poison(&site, &refuse(412), &["BAD-1"]);
        let bad = site.insert(&entry(1, "Notify", "BAD-1"));
        let others = site.insert(&entry(3, "Sync", "GOOD-3"));
        let mut agent = site.start();
        agent.until("it is refused again and again", || {
            site.number("SELECT coalesce(max(attempts), 0) FROM bodrelay_message_log WHERE entry_id = 1") >= 5
        });
        assert_eq!((site.flag(bad), site.flag(others)), (Some(0), Some(1)), "{readable}");
        let text = open_finding(&site, "TYPE_SUSPENDED").unwrap();
        assert!(text.contains("HTTP 412") && text.contains("BAD-1"), "{text}");
        // Another one of the type is its probe, and passes: it is the document after all.
        let next = site.insert(&entry(4, "Notify", "GOOD-4"));
        agent.until("the next of the type", || site.flag(next) == Some(1));
        site.simulator.clear_faults();
        agent.until("it is taken", || site.flag(bad) == Some(1));
        agent.until("nothing is told", || open_finding(&site, "TYPE_SUSPENDED").is_none());
        agent.term();
    }
}

/// Each run of `once` ends, posts a bad document once at most, and sends what is good.
#[test]
fn once_ends_and_does_not_hammer() {
    for status in [500, 504, 412] {
        let site = a_site();
        poison(&site, &refuse(status), &["BAD-1", "BAD-2"]);
        let bad = site.insert_all(&[entry(1, "Sync", "BAD-1"), entry(2, "Sync", "BAD-2")]);
        let ids = site.insert_all(&good(100, 12));
        let posts = || site.simulator.ledger().counts().posts;
        let mut runs = 0;
        let started = Instant::now();
        while !all_are(&site, &ids, 1) {
            assert!(started.elapsed() < Duration::from_secs(60), "{status}");
            let before = posts();
            assert_eq!(site.once(), 75, "work waits");
            runs += 1;
            assert!(posts() - before <= 2 * 4 + 12, "{status}: {} posts in one run", posts() - before);
        }
        assert!(all_are(&site, &bad, 0), "{status} after {runs} runs");
        let refused: i64 = site
            .journal()
            .query_row("SELECT max(attempts) FROM message WHERE settled = 0", [], |row| row.get(0))
            .unwrap();
        assert!(refused <= runs + 1, "{status}: {refused} posts of one document in {runs} runs");
    }
}
