//! The agent or its database ends at the worst moment: what ION heard yes to is there, what it repeats is there once.

use std::os::unix::process::ExitStatusExt;

use super::*;

const SIGABRT: i32 = 6;

/// Dies at a point with one document under way; the repeat after the restart must be the same document.
fn dies_at(point: &str, inbox: &Inbox) {
    let id = ion_id("m");
    let body = message(&item(&id), document("IT-1", 7));
    let mut agent = inbox.ready(inbox.site.start_with(&[("BODRELAY_CRASH_AT", &format!("{point}:1"))]));
    let answer = inbox.caller().post(V3, &[TENANT], &body);
    assert!(answer.is_err(), "{point}: no answer can have come: {answer:?}");
    assert_eq!(agent.wait().signal(), Some(SIGABRT), "{}", agent.log());
    assert!(agent.log().contains("ends this process now"), "{}", agent.log());
    assert_eq!(inbox.rows(), 1, "{point}: it was committed");
    let _agent = inbox.start();
    assert_eq!(inbox.caller().post(V3, &[TENANT], &body).unwrap().status, 202);
    assert_eq!(inbox.rows(), 1, "{point}: the repeat is no second row");
    assert_eq!(inbox.site.number("SELECT repeats FROM bodrelay_receipt"), 1);
    assert_eq!(inbox.site.number("SELECT count(*) FROM COR_INBOX_ENTRY WHERE C_WAS_PROCESSED = 0"), 1);
}

#[test]
fn killed_after_the_commit_on_sqlite() {
    dies_at("after_store", &Inbox::new(""));
}

#[test]
fn killed_after_the_commit_on_postgres() {
    dies_at("after_store", &Inbox::on_postgres(""));
}

#[test]
fn killed_before_the_answer() {
    dies_at("before_answer", &Inbox::new(""));
}

/// The server ends the agent's session in the middle of the transaction.
#[test]
fn the_database_is_cut_in_mid_transaction() {
    let inbox = Inbox::on_postgres("");
    let mut agent = inbox.start();
    assert_eq!(inbox.send(&item(&ion_id("first")), &document("IT-0", 7)).status, 202);
    let server = inbox.site.server.as_ref().unwrap();
    // Whoever holds the headers' table keeps the transaction open between entry and headers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let holder = runtime.block_on(async {
        let client = server.cluster.connect(server.database()).await;
        client.batch_execute("BEGIN; LOCK TABLE cor_inbox_headers IN ACCESS EXCLUSIVE MODE").await.unwrap();
        client
    });
    let body = message(&item(&ion_id("m")), document("IT-1", 7));
    let mut caller = inbox.caller();
    caller.begin(V3, &[TENANT], &body).unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bodrelay %' AND wait_event_type = 'Lock'";
    agent.until("the agent waits for the lock", || inbox.site.number(waits) == 1);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'bodrelay %' \
               AND wait_event_type = 'Lock'";
    assert_eq!(inbox.site.number(cut), 1);
    let answer = caller.answer().unwrap();
    assert_eq!((answer.status, &*answer.code()), (503, "NOT_READY"), "{answer:?}");
    runtime.block_on(holder.batch_execute("COMMIT")).unwrap();
    assert_eq!(inbox.rows(), 1, "nothing of it is there");
    agent.until("the repeat is taken", || inbox.caller().post(V3, &[TENANT], &body).unwrap().status == 202);
    assert_eq!(inbox.rows(), 2);
    assert_eq!(inbox.site.number("SELECT count(*) FROM bodrelay_receipt"), 2);
}

/// A copy of the database in its place is another database: nothing is written into it before somebody says so.
#[test]
fn another_database_in_its_place_gets_nothing() {
    let inbox = Inbox::new("");
    let mut agent = inbox.start();
    assert_eq!(inbox.send(&item(&ion_id("m")), &document("IT-0", 7)).status, 202);
    // A copy, as of last night, put into its place: another inode is another file.
    inbox.site.copy_database(&inbox.site.path("erp.db"), &inbox.site.path("copy.db"));
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(inbox.site.path(&format!("erp.db{suffix}")));
    }
    std::fs::rename(inbox.site.path("copy.db"), inbox.site.path("erp.db")).unwrap();
    let body = message(&item(&ion_id("n")), document("IT-1", 7));
    assert_eq!(inbox.caller().post(V3, &[TENANT], &body).unwrap().status, 503);
    agent.until("the copy is noticed", || inbox.site.has_finding("DATABASE_COPIED"));
    for _ in 0..5 {
        assert_eq!(inbox.caller().post(V3, &[TENANT], &body).unwrap().status, 503);
    }
    assert_eq!(inbox.rows(), 1);
    inbox
        .site
        .sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('accept_database', '*')");
    agent.until("it is accepted", || inbox.caller().post(V3, &[TENANT], &body).unwrap().status == 202);
    assert_eq!(inbox.rows(), 2);
}

/// The database goes back to last night: what ION heard yes to since then is named, and is new when it comes again.
#[test]
fn what_a_restored_database_lacks_is_named() {
    let inbox = Inbox::new("");
    let agent = inbox.start();
    let bodies: Vec<(String, Vec<u8>)> = (0..3)
        .map(|number| {
            let id = ion_id(&format!("m{number}"));
            let body = message(&item(&id), document(&format!("IT-{number}"), 7));
            (id, body)
        })
        .collect();
    let mut caller = inbox.caller();
    assert_eq!(caller.post(V3, &[TENANT], &bodies[0].1).unwrap().status, 202);
    agent.term();
    let (database, copy) = (inbox.site.path("erp.db"), inbox.site.path("backup.db"));
    inbox.site.copy_database(&database, &copy);
    // The epoch is raised at each start: a copy from two starts ago is older than the journal by more than one.
    inbox.start().term();
    let agent = inbox.start();
    let mut caller = inbox.caller();
    for (_, body) in &bodies[1..] {
        assert_eq!(caller.post(V3, &[TENANT], body).unwrap().status, 202);
    }
    agent.term();
    assert_eq!(inbox.rows(), 3);
    inbox.site.copy_database(&copy, &database);
    assert_eq!(inbox.rows(), 1);
    let mut agent = inbox.start();
    agent.until("it is told", || inbox.site.has_open_finding("RECEIVED_BUT_GONE"));
    let said = "SELECT finding_text FROM bodrelay_finding WHERE code = 'RECEIVED_BUT_GONE'";
    let text = inbox.site.text(said).unwrap();
    assert!(text.contains("lacks 2 documents"), "{text}");
    for (id, body) in &bodies[1..] {
        assert!(text.contains(id), "{id} is not in {text}");
        assert_eq!(inbox.caller().post(V3, &[TENANT], body).unwrap().status, 202);
    }
    assert_eq!(inbox.rows(), 3);
}

#[test]
fn a_restore_beneath_a_running_receiver_is_told_on_sqlite() {
    restored_beneath(&Inbox::new(""));
}

#[test]
fn a_restore_beneath_a_running_receiver_is_told_on_postgres() {
    restored_beneath(&Inbox::on_postgres(""));
}

/// By seconds only, so that no epoch tells it; the agent is never started again.
fn restored_beneath(inbox: &Inbox) {
    let mut agent = inbox.start();
    let send = |number: usize| {
        let id = ion_id(&format!("m{number}"));
        inbox
            .caller()
            .post(V3, &[TENANT], &message(&item(&id), document(&format!("IT-{number}"), 7)))
            .unwrap()
            .status
    };
    let backup = inbox.site.path("backup");
    (0..3).for_each(|number| assert_eq!(send(number), 202));
    inbox.site.back_up(&backup);
    (3..7).for_each(|number| assert_eq!(send(number), 202));
    inbox.site.restore(&backup);
    let told =
        "SELECT finding_text FROM bodrelay_finding WHERE code = 'RECEIVED_BUT_GONE' AND cleared_at IS NULL";
    agent.until("it is told", || inbox.site.text(told).is_some());
    let text = inbox.site.text(told).unwrap();
    assert!(text.contains("lacks 4 documents"), "{text}");
    let rows = inbox.rows();
    agent.until("what ION sends again is new", || send(6) == 202);
    agent.until("and stored", || inbox.rows() == rows + 1);
    for code in ["DATABASE_COPIED", "JOURNAL_CLONED"] {
        assert!(!inbox.site.has_finding(code), "{code}");
    }
    // Once more: what is known as gone is not told in each round, what goes then is.
    inbox.site.back_up(&backup);
    let seen =
        "SELECT seen_count FROM bodrelay_finding WHERE code = 'RECEIVED_BUT_GONE' AND cleared_at IS NULL";
    let before = inbox.site.number(seen);
    assert_eq!(send(8), 202);
    assert_eq!(inbox.site.number(seen), before);
    inbox.site.restore(&backup);
    agent.until("it is told again", || inbox.site.number(seen) > before);
    agent.term();
}
