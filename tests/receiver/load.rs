//! Many at once: one bad among fifty, a stop in the middle, a queue that is full, random kills.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::callers::{basic, guarded, start};
use super::*;

/// A document that the database refuses fails alone, in whatever group it is.
fn one_bad_among_fifty(inbox: &Inbox, poison: &str) {
    inbox.site.sql(poison);
    let mut agent = inbox.start();
    let statuses = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..50 {
            let statuses = &statuses;
            scope.spawn(move || {
                let id = ion_id(&format!("m{number}"));
                // What is refused is a value that only the database judges.
                let json = item(&id).replace(
                    "\"encoding\":\"NONE\"",
                    &format!("\"source\":\"{}\"", if number == 23 { "POISON" } else { "fine" }),
                );
                let answer = inbox.send(&json, &document(&format!("IT-{number}"), 7));
                statuses.lock().unwrap().push((number, answer.status, answer.body));
            });
        }
    });
    let statuses = statuses.into_inner().unwrap();
    for (number, status, body) in &statuses {
        let due = if *number == 23 { 400 } else { 202 };
        assert_eq!(*status, due, "{number}: {body}");
        assert!(!body.to_lowercase().contains("poison"), "{body}");
    }
    assert_eq!(inbox.rows(), 49);
    assert_eq!(inbox.site.number("SELECT count(*) FROM bodrelay_receipt"), 49);
    agent.until("it is told", || inbox.site.has_open_finding("DOCUMENT_NOT_STORED"));
    let logged = "SELECT count(*) FROM bodrelay_message_log WHERE direction = 'in' AND state = 'refused' AND message_id \
                  LIKE 'm23:-ION-:%' AND failure_code = 'DOCUMENT_NOT_STORED' AND remedy LIKE 'Mend what%'";
    assert_eq!(inbox.site.number(logged), 1);
}

#[test]
fn one_bad_among_fifty_on_sqlite() {
    one_bad_among_fifty(
        &Inbox::new(""),
        "CREATE TRIGGER poison BEFORE INSERT ON COR_INBOX_HEADERS WHEN NEW.C_HEADER_VALUE = 'POISON' BEGIN SELECT \
         RAISE(ABORT, 'this value is not taken'); END",
    );
}

#[test]
fn one_bad_among_fifty_on_postgres() {
    one_bad_among_fifty(
        &Inbox::on_postgres(""),
        "ALTER TABLE cor_inbox_headers ADD CONSTRAINT poison CHECK (c_header_value <> 'POISON')",
    );
}

/// Sends documents from several sides until told to stop; answers the ids that were said yes to, and all of them.
fn hail(inbox: &Inbox, enough: &AtomicBool) -> (BTreeSet<String>, Vec<(String, Vec<u8>)>) {
    let (said_yes, all) = (Mutex::new(BTreeSet::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for side in 0..8 {
            let (said_yes, all) = (&said_yes, &all);
            scope.spawn(move || {
                let mut caller = None;
                for number in 0.. {
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = ion_id(&format!("s{side}n{number}"));
                    let body = message(&item(&id), document(&format!("IT-{side}-{number}"), 7));
                    all.lock().unwrap().push((id.clone(), body.clone()));
                    if caller.is_none() {
                        caller = http::Caller::connect(inbox.port).ok();
                    }
                    let Some(connected) = &mut caller else { continue };
                    match connected.post(V3, &[TENANT], &body) {
                        Ok(answer) if answer.status == 202 => {
                            said_yes.lock().unwrap().insert(id);
                        }
                        Ok(answer) => {
                            assert_eq!(answer.status, 503, "{answer:?}");
                            assert!(answer.header("retry-after").is_some(), "{answer:?}");
                            caller = None;
                        }
                        Err(_) => caller = None,
                    }
                }
            });
        }
    });
    (said_yes.into_inner().unwrap(), all.into_inner().unwrap())
}

/// The message ids that are in the inbox, each once.
fn stored_ids(inbox: &Inbox) -> BTreeSet<String> {
    let list = "SELECT group_concat(C_HEADER_VALUE, char(10)) FROM COR_INBOX_HEADERS WHERE C_HEADER_KEY = 'MessageId'";
    let text = inbox.site.text(list).unwrap_or_default();
    let ids: Vec<String> = text.lines().map(str::to_owned).collect();
    let once: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), once.len(), "a document is there twice");
    assert_eq!(i64::try_from(ids.len()).unwrap(), inbox.rows(), "an entry without its headers");
    once
}

/// Every yes is in the table; every row had a yes, or gets it as a repeat.
fn settles(inbox: &Inbox, said_yes: &BTreeSet<String>, all: &[(String, Vec<u8>)]) {
    let stored = stored_ids(inbox);
    let lost: Vec<_> = said_yes.difference(&stored).collect();
    assert_eq!(lost, Vec::<&String>::new(), "ION heard yes to what is not there");
    let _agent = inbox.start();
    let before = inbox.rows();
    let mut caller = inbox.caller();
    let unheard: Vec<_> =
        all.iter().filter(|(id, _)| stored.contains(id) && !said_yes.contains(id)).collect();
    for (id, body) in &unheard {
        assert_eq!(caller.post(V3, &[TENANT], body).unwrap().status, 202, "{id}");
    }
    assert_eq!(inbox.rows(), before, "a repeat became a second row");
}

#[test]
fn a_stop_under_load_loses_and_doubles_nothing() {
    let inbox = Inbox::new("");
    let mut agent = inbox.start();
    let enough = AtomicBool::new(false);
    let (said_yes, all) = std::thread::scope(|scope| {
        let hailing = scope.spawn(|| hail(&inbox, &enough));
        agent.until("some are stored", || inbox.rows() >= 200);
        agent.term();
        enough.store(true, Ordering::Relaxed);
        hailing.join().unwrap()
    });
    assert!(said_yes.len() >= 100, "{}", said_yes.len());
    settles(&inbox, &said_yes, &all);
}

#[test]
fn random_kills_under_load_lose_and_double_nothing() {
    let seed = site::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let inbox = Inbox::new("");
    let enough = AtomicBool::new(false);
    let (said_yes, all) = std::thread::scope(|scope| {
        let hailing = scope.spawn(|| hail(&inbox, &enough));
        let mut due = 0;
        for _ in 0..4 {
            let mut agent = inbox.site.start();
            due += random.i64(20..150);
            agent.until("some more are stored", || inbox.rows() >= due);
            agent.kill();
            due = inbox.rows();
        }
        enough.store(true, Ordering::Relaxed);
        hailing.join().unwrap()
    });
    settles(&inbox, &said_yes, &all);
}

/// More than may wait is asked to come again, at once, and never left hanging.
#[test]
fn a_full_queue_says_so_at_once() {
    let inbox = Inbox::new("max_waiting = 3");
    let _agent = inbox.start();
    let mut database = inbox.site.database();
    // Somebody else writes: the agent's transaction waits for it.
    let blocker = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let mut callers: Vec<_> = (0..12).map(|_| inbox.caller()).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        let body = message(&item(&ion_id("m")), document(&format!("IT-{number}"), 7));
        caller.begin(V3, &[TENANT], &body).unwrap();
    }
    // Refusals come while the lock is held; an answer to one of the others would be a lie.
    let (answers, answered) = std::sync::mpsc::channel();
    let mut statuses = Vec::new();
    std::thread::scope(|scope| {
        for mut caller in callers {
            let answers = answers.clone();
            scope.spawn(move || answers.send(caller.answer().unwrap()));
        }
        // Three wait, and a few may be in the transaction.
        for _ in 0..5 {
            let answer: http::Response = answered.recv().unwrap();
            assert_eq!((answer.status, &*answer.code()), (503, "QUEUE_FULL"), "{answer:?}");
        }
        drop(blocker);
        for _ in 5..12 {
            statuses.push(answered.recv().unwrap().status);
        }
    });
    let taken = statuses.iter().filter(|status| **status == 202).count();
    assert!(taken >= 3 && statuses.iter().all(|status| [202, 503].contains(status)), "{statuses:?}");
    assert_eq!(inbox.rows(), i64::try_from(taken).unwrap());
}

/// More connections than `max_connections` wait for a place, and are served when there is one.
#[test]
fn connections_are_bounded() {
    let inbox = guarded("max_connections = 2");
    let agent = start(&inbox);
    let (ping, login) = ("/ims/service/v3/ping", [TENANT, basic("second")]);
    let mut open: Vec<Caller> = Vec::new();
    for _ in 0..2 {
        let mut caller = inbox.caller();
        assert_eq!(caller.get(ping, &login).unwrap().status, 200);
        open.push(caller);
    }
    // Both places are taken and nobody does anything there: the longest idle makes room.
    let mut third = inbox.caller();
    third.begin(V3, &login, &message(&item(&ion_id("third")), document("ITEM-1", 1))).unwrap();
    assert_eq!(third.answer().unwrap().status, 202);
    assert!(open[0].get(ping, &login).is_err(), "no more than two have a place");
    assert_eq!(open[1].get(ping, &login).unwrap().status, 200);
    assert_eq!(inbox.rows(), 1);
    agent.term();
}
