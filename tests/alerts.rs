//! Who is told: alerts over real HTTP to a receiver in the test, through kills, refusals and acknowledgements.

#![cfg(unix)]

mod certificate;
mod site;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use bodrelay::simulator::script::{Fault, On};
use serde_json::Value;
use site::{Entry, Site};

/// Takes alerts, and answers each with the status that it is told to.
struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    /// The head of the request and its body, of those that were taken with a 2xx.
    taken: Arc<Mutex<Vec<(String, Value)>>>,
}

/// Reads a request and answers it. `None`: it broke before its end.
fn exchange(mut stream: impl Read + Write, status: u16) -> Option<(String, Value)> {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
            return Some((head.to_owned(), serde_json::from_str(body).unwrap()));
        }
    }
}

impl Receiver {
    fn start() -> Self {
        Self::start_with(None)
    }

    fn start_with(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (status, taken) = (Arc::new(AtomicU16::new(204)), Arc::new(Mutex::new(Vec::new())));
        let (answers, takes) = (status.clone(), taken.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let status = answers.load(Ordering::SeqCst);
                let request = match &tls {
                    None => exchange(stream, status),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(tls.clone()).unwrap();
                        exchange(rustls::StreamOwned::new(session, stream), status)
                    }
                };
                if let Some(request) = request.filter(|_| (200..300).contains(&status)) {
                    takes.lock().unwrap().push(request);
                }
            }
        });
        Self { port, status, taken }
    }

    fn turns(&self, code: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let of_code = taken.iter().filter(|(_, body)| body["code"] == code);
        of_code.map(|(_, body)| body["turn"].as_str().unwrap().to_owned()).collect()
    }

    /// A site that tells this receiver after a second, and knows a secret header.
    fn site(&self, more: &str) -> Site {
        let site = Site::new();
        std::fs::write(site.path("header.txt"), "X-Token: very-secret\n").unwrap();
        site.write_configuration(&format!(
            "[alerts]\nwebhook_url = \"http://127.0.0.1:{}/channel/key-in-path\"\nwebhook_header_file = \"header.txt\"\n\
             raise_after_seconds = 1\nclear_after_seconds = 1\n{more}",
            self.port
        ));
        site
    }
}

const RESUBMIT: &str = "INSERT INTO bodrelay_command (command, connection_point, failure_code) \
                        VALUES ('resubmit', 'CP1', 'HTTP_400')";

#[test]
fn a_finding_is_told_once_and_its_end_too() {
    let receiver = Receiver::start();
    let site = receiver.site("");
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
    let row = site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    agent.until("it is told", || receiver.turns("MESSAGES_FAILED") == ["raised"]);
    let (head, body) = receiver.taken.lock().unwrap()[0].clone();
    assert!(
        head.contains("x-token: very-secret") && head.starts_with("POST /channel/key-in-path "),
        "{head}"
    );
    for (key, value) in
        [("host", "host1"), ("database", "erp"), ("connection_point", "CP1"), ("severity", "warning")]
    {
        assert_eq!(body[key], value, "{body}");
    }
    assert!(body["text"].as_str().unwrap().contains("What to do: "), "{body}");
    let log = agent.log();
    assert!(!log.contains("very-secret") && !log.contains("key-in-path"), "{log}");
    // One that is killed between the answer and this tells it again, under the same alert_id.
    let told = || site.journal().query_row("SELECT count(*) FROM alert", [], |row| row.get::<_, i64>(0));
    agent.until("it is remembered", || told().is_ok_and(|told| told > 0));
    agent.kill();
    // Another life knows what was told.
    let mut agent = site.start();
    let later = site.insert(&Entry::new("ITEM-2", 1));
    agent.until("other work", || site.flag(later) == Some(1));
    assert_eq!(receiver.turns("MESSAGES_FAILED"), ["raised"]);
    site.simulator.clear_faults();
    site.sql(RESUBMIT);
    agent.until("its end is told", || receiver.turns("MESSAGES_FAILED") == ["raised", "cleared"]);
    assert_eq!(site.flag(row), Some(1));
    agent.until_says("a finding is over");
    agent.term();
    let taken = receiver.taken.lock().unwrap();
    let of_it: Vec<&Value> =
        taken.iter().map(|(_, body)| body).filter(|body| body["code"] == "MESSAGES_FAILED").collect();
    assert_eq!(of_it[0]["alert_id"], of_it[1]["alert_id"]);
}

#[test]
fn what_does_not_arrive_is_told_later() {
    let receiver = Receiver::start();
    receiver.status.store(500, Ordering::SeqCst);
    let site = receiver.site("");
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
    site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = site.start();
    agent.until("a finding of it", || site.has_open_finding("ALERT_NOT_DELIVERED"));
    let text = site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'ALERT_NOT_DELIVERED'");
    assert_eq!(text.as_deref(), Some("alerts do not arrive: the webhook answered HTTP 500"));
    let later = site.insert(&Entry::new("ITEM-2", 1));
    agent.until("sending goes on", || site.flag(later) == Some(1));
    agent.kill();
    receiver.status.store(200, Ordering::SeqCst);
    let mut agent = site.start();
    agent.until("it is told", || receiver.turns("MESSAGES_FAILED") == ["raised"]);
    std::fs::write(site.path("header.txt"), "no header\n").unwrap();
    site.simulator.clear_faults();
    site.sql(RESUBMIT);
    let says_why = "SELECT count(*) FROM bodrelay_finding WHERE code = 'ALERT_NOT_DELIVERED' AND cleared_at IS NULL \
                    AND finding_text LIKE '%one line%'";
    agent.until("the header is missed", || site.number(says_why) == 1);
    std::fs::write(site.path("header.txt"), "X-Token: another\n").unwrap();
    agent.until("its end is told", || receiver.turns("MESSAGES_FAILED") == ["raised", "cleared"]);
    agent.until("alerts arrive", || !site.has_open_finding("ALERT_NOT_DELIVERED"));
    assert_eq!(receiver.turns("ALERT_NOT_DELIVERED"), [""; 0], "it is no alert itself");
    agent.term();
}

/// Cron starts the agent now and then: each run tells what holds when it ends, and no run tells it again.
#[test]
fn once_tells_what_is_open_when_it_ends() {
    let receiver = Receiver::start();
    let site = receiver.site("");
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
    site.insert(&Entry::new("ITEM-1", 1));
    assert_eq!(site.once(), 1);
    assert_eq!(receiver.turns("MESSAGES_FAILED"), ["raised"]);
    site.once();
    assert_eq!(receiver.turns("MESSAGES_FAILED"), ["raised"]);
    site.simulator.clear_faults();
    site.sql(RESUBMIT);
    while site.has_open_finding("MESSAGES_FAILED") {
        site.once();
    }
    assert_eq!(receiver.turns("MESSAGES_FAILED"), ["raised", "cleared"]);
}

/// Nobody who was not heard is well: a ping into the void, a run that does not try, a database that is away.
#[test]
fn what_is_down_is_not_told_as_over() {
    let receiver = Receiver::start();
    let site = receiver.site("");
    site.sql("UPDATE bodrelay_connection_point SET backoff_step_seconds = 1, backoff_max_seconds = 1");
    site.simulator.add_fault(Fault::refuse(500).on(On::Token).times(100_000));
    let row = site.insert(&Entry::new("ITEM-1", 1));
    let why_not = |run: &str| assert_eq!(receiver.turns("ION_UNREACHABLE"), ["raised"], "{run}");
    assert_eq!(site.once(), 3);
    why_not("the first run");
    for _ in 0..3 {
        // Within its wait, when it is over, and when there is nothing to send.
        assert_eq!(site.once(), 3);
        why_not("a run that waits");
        let over =
            "SELECT count(*) FROM scope WHERE not_before > CAST(unixepoch('subsec') * 1000 AS INTEGER)";
        let waits = || site.journal().query_row(over, [], |row| row.get::<_, i64>(0)).unwrap() > 0;
        let deadline = std::time::Instant::now() + site::PATIENCE;
        while waits() && std::time::Instant::now() < deadline {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        site.once();
        why_not("a run that tries");
    }
    std::fs::rename(site.path("erp.db"), site.path("away.db")).unwrap();
    assert_eq!(site.once(), 3);
    why_not("a run that reads no table");
    std::fs::rename(site.path("away.db"), site.path("erp.db")).unwrap();
    site.once();
    site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = {row}"));
    site.once();
    why_not("a run with nothing to send");
    site.sql(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_ID = {row}"));
    site.simulator.clear_faults();
    while site.flag(row) != Some(1) {
        site.once();
    }
    assert_eq!(receiver.turns("ION_UNREACHABLE"), ["raised", "cleared"]);
}

/// Somebody who says so knows of it; the agent reads that, and does not tell.
#[test]
fn what_is_acknowledged_is_not_told() {
    let receiver = Receiver::start();
    let site = receiver.site("minimum_severity = \"error\"\n");
    site.sql("DELETE FROM bodrelay_document");
    let mut agent = site.start();
    agent.until("one that nobody knows", || receiver.turns("NO_DOCUMENTS") == ["raised"]);
    agent.kill();
    rusqlite::Connection::open(site.journal_path()).unwrap().execute("DELETE FROM alert", []).unwrap();
    site.sql(
        "UPDATE bodrelay_finding SET acknowledged_at = '2026-01-01T00:00:00.000Z', acknowledged_by = 'me' \
         WHERE code = 'NO_DOCUMENTS'",
    );
    let (code, said, _) = site.command_output("check", &[]);
    assert!(said.contains("acknowledged as long as it lasts") && code == 0, "{code} {said}");
    let mut agent = site.start();
    site.simulator.add_fault(Fault::refuse(502).times(1_000));
    site.sql("INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'out', 'Sync', 'ItemMaster')");
    site.insert(&Entry::new("ITEM-1", 1));
    agent.until("another one", || receiver.turns("ION_UNREACHABLE") == ["raised"]);
    assert_eq!(receiver.turns("NO_DOCUMENTS"), ["raised"], "told once, before it was acknowledged");
    agent.kill();
}

/// Another authority is trusted after SIGHUP, without a restart; one that cannot be read changes nothing.
#[test]
fn sighup_reads_the_authority_again() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start_with(Some(certificate::localhost(folder.path(), None)));
    let site = Site::new();
    certificate::localhost(&site.path(""), None);
    site.write_configuration(&format!(
        "[alerts]\nwebhook_url = \"https://localhost:{}/\"\nca_file = \"ca.pem\"\nraise_after_seconds = 1\n",
        receiver.port
    ));
    site.simulator.add_fault(Fault::refuse(400));
    site.insert(&Entry::new("IT-1", 1));
    let mut agent = site.start();
    agent.until("the alert does not arrive", || site.has_open_finding("ALERT_NOT_DELIVERED"));
    std::fs::write(site.path("ca.pem"), "nothing").unwrap();
    agent.hang_up();
    agent.until_says("what was read before goes on");
    assert_eq!(receiver.turns("MESSAGES_FAILED"), [""; 0]);
    std::fs::copy(folder.path().join("ca.pem"), site.path("ca.pem")).unwrap();
    agent.hang_up();
    agent.until("it arrives", || receiver.turns("MESSAGES_FAILED") == ["raised"]);
}
