//! Who watches the agent: `/metrics`, `/healthz`, `/readyz` and systemd's socket; real sockets, real binary.

#![cfg(target_os = "linux")]

mod site;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;

use bodrelay::simulator::script::Fault;
use site::{Agent, Entry, PATIENCE, Site};

fn watched() -> Site {
    let site = Site::new();
    site.write_configuration("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    site
}

fn address(agent: &mut Agent) -> String {
    agent.until_says("answers /metrics");
    let log = agent.log();
    let line = log.lines().find(|line| line.contains("answers /metrics")).unwrap();
    line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn request(address: &str, head: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{head} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

fn get(address: &str, path: &str) -> (u16, String) {
    let (status, _, body) = request(address, &format!("GET {path}"));
    (status, body)
}

fn value(page: &str, sample: &str) -> i64 {
    let line = page.lines().find(|line| line.starts_with(sample) && line[sample.len()..].starts_with(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{page}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn figures_agree_with_the_database() {
    let site = watched();
    let mut agent = site.start();
    let address = address(&mut agent);
    let entries: Vec<Entry> = (0..2_000).map(|n| Entry::new(&format!("ITEM-{}", n % 40), n)).collect();
    site.insert_all(&entries);
    // Slow clients hold nothing: they say half a request and wait.
    let slow: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET /metrics HT").unwrap();
            stream
        })
        .collect();
    let looks = std::cell::Cell::new(0);
    agent.until("all is sent", || {
        let (status, page) = get(&address, "/metrics");
        assert_eq!(status, 200);
        assert!(page.contains("bodrelay_build_info{"));
        looks.set(looks.get() + 1);
        site.waiting() == 0
    });
    drop(slow);
    let accepted = "bodrelay_messages_total{connection_point=\"CP1\",direction=\"out\",document_type=\"Sync.ItemMaster\",\
                    outcome=\"accepted\"}";
    let in_table =
        || site.number("SELECT accepted_total FROM bodrelay_status WHERE connection_point = 'CP1'");
    agent.until("the status table says so", || in_table() == 2_000);
    let (_, page) = get(&address, "/metrics");
    eprintln!("{} looks under load", looks.get());
    assert_eq!(value(&page, accepted), 2_000);
    let tried = "bodrelay_tries_total{connection_point=\"CP1\",direction=\"out\",status=\"201\",answer_class=\"accepted\"}";
    let posts = "bodrelay_post_duration_seconds_count{connection_point=\"CP1\",direction=\"out\"}";
    assert_eq!(value(&page, posts), 2_000, "{page}");
    assert!(page.contains(tried) || page.contains("answer_class=\"accepted\"} 2000"), "{page}");
    assert_eq!(
        value(&page, "bodrelay_settled_messages_total{connection_point=\"CP1\",direction=\"out\"}"),
        2_000
    );
    assert_eq!(value(&page, "bodrelay_database_up{database=\"erp\"}"), 1);
    assert_eq!(get(&address, "/readyz"), (200, "ready\n".into()));
    agent.term();
}

#[test]
fn requests_are_bounded_and_readiness_says_why() {
    let site = watched();
    let mut agent = site.start();
    let address = address(&mut agent);
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/").0, 404);
    assert_eq!(request(&address, "POST /metrics").0, 405);
    let (status, _, body) = request(&address, "HEAD /metrics");
    assert_eq!((status, &*body), (200, ""));
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(60_000)).as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    agent.until("ready", || get(&address, "/readyz").0 == 200);
    site.simulator.add_fault(Fault::refuse(502).times(1_000));
    site.insert(&Entry::new("ITEM-1", 1));
    agent.until("ION is away", || get(&address, "/readyz").0 == 503);
    assert!(get(&address, "/readyz").1.starts_with("ion default: "));
    site.simulator.clear_faults();
    agent.until("ready again", || get(&address, "/readyz").0 == 200);
    site.sql("UPDATE bodrelay_connection_point SET tenant_id = 'OTHER_TST'");
    agent.until("refused", || get(&address, "/readyz").1.contains("connection point CP1: "));
    assert_eq!(get(&address, "/healthz").0, 200);
}

#[test]
fn a_port_in_use_and_a_remote_address_end_the_start() {
    let site = Site::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (listen, said) in [
        (taken.local_addr().unwrap().to_string(), "another agent or"),
        ("0.0.0.0:9464".to_owned(), "allow_remote = true"),
        ("here".to_owned(), "line"),
    ] {
        site.write_configuration(&format!("[metrics]\nlisten = \"{listen}\"\n"));
        let (code, _, complaint) = site.command_output("run", &[]);
        assert_eq!(code, 2, "{complaint}");
        assert!(complaint.contains(said), "{said}: {complaint}");
    }
}

fn hears(socket: &UnixDatagram, wanted: &str) {
    let mut bytes = [0; 1024];
    loop {
        let length = match socket.recv(&mut bytes) {
            Ok(length) => length,
            // A halted machine that goes on interrupts a read that has a timeout (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => panic!("no {wanted}: {error}"),
        };
        if String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == wanted) {
            return;
        }
    }
}

#[test]
fn systemd_hears_ready_alive_and_stopping() {
    let name = format!("bodrelay-test-{}", std::process::id());
    let in_folder = Site::new();
    let path = in_folder.path("notify");
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    for (socket, variable) in [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
    ] {
        let site = Site::new();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let agent = site.start_with(&[("NOTIFY_SOCKET", &variable), ("WATCHDOG_USEC", "400000")]);
        hears(&socket, "READY=1");
        for _ in 0..3 {
            hears(&socket, "WATCHDOG=1");
        }
        agent.term();
        hears(&socket, "STOPPING=1");
    }
}

/// The examples for service managers, as the README has them, but for the paths.
#[test]
fn the_service_examples_of_the_readme_are_right() {
    let readme = include_str!("../README.md");
    let site = Site::new();
    let here = |text: &str| {
        text.replace("/usr/local/bin/bodrelay", env!("CARGO_BIN_EXE_bodrelay"))
            .replace("/etc/bodrelay/bodrelay.toml", site.path("bodrelay.toml").to_str().unwrap())
    };
    let (_, unit) = readme.split_once("    [Unit]\n").unwrap();
    let (unit, _) = unit.split_once("\n\nA SQLite database").unwrap();
    let unit: Vec<&str> = unit.lines().map(str::trim).collect();
    let file = site.path("bodrelay.service");
    std::fs::write(&file, here(&format!("[Unit]\n{}\n", unit.join("\n")))).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg(&file).output() {
        Ok(said) => {
            let complaint = String::from_utf8_lossy(&said.stderr);
            assert!(said.status.success() && !complaint.contains("bodrelay.service"), "{complaint}");
        }
        Err(_) => eprintln!("no systemd-analyze here: the unit was not looked at"),
    }

    let line = readme.lines().find(|line| line.contains("*/5 * * * *  bodrelay  ")).unwrap();
    let line = here(line.split_once("  bodrelay  ").unwrap().1);
    // As cron runs it: /bin/sh, nearly no environment, another folder.
    let run = || {
        Command::new("/bin/sh")
            .args(["-c", &line])
            .env_clear()
            .current_dir("/")
            .output()
            .unwrap()
            .status
            .code()
    };
    let row = site.insert(&Entry::new("ITEM-1", 1));
    assert_eq!((run(), site.flag(row)), (Some(0), Some(1)));
    site.simulator.add_fault(Fault::refuse(400).times(1));
    let row = site.insert(&Entry::new("ITEM-2", 1));
    assert_eq!((run(), site.flag(row)), (Some(0), Some(9)), "a failed document is no failed run");
    site.write_configuration("hots = \"host1\"\n");
    assert_eq!(run(), Some(2), "a wrong configuration is");
}
