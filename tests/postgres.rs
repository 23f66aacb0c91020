//! The real agent on a real PostgreSQL: killed at each named point and at random, its sessions ended, its server
//! restarted; the simulator's ledger judges what became of every row.

mod site;
mod skipped;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bodrelay::database::statements::scripts;
use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, Script, What};
use site::{Entry, Site, seed};

const SIGABRT: i32 = 6;

/// A version of each document, every other one with a message id of its own.
fn fill(site: &Site, documents: i64, versions: std::ops::RangeInclusive<i64>) -> BTreeMap<i64, Entry> {
    let entries: Vec<Entry> = versions
        .flat_map(|version| {
            (1..=documents).map(move |document| {
                let entry = Entry::new(&format!("ITEM-{document}"), version);
                if document % 2 == 0 { entry } else { entry.message_id(&format!("erp-{document}-{version}")) }
            })
        })
        .collect();
    site.insert_all(&entries).into_iter().zip(entries).collect()
}

fn faults(seed: u64) -> Options {
    let faults = vec![
        Fault::refuse(503).with_probability(0.02),
        Fault::new(What::StoreThenLoseAnswer).with_probability(0.02),
        Fault::new(What::Slow { ms: 20 }).with_probability(0.3),
    ];
    Options { seed, script: Script { faults }, ..Options::default() }
}

/// One site for all points, since a server of its own costs seconds: each round adds rows and judges them all.
#[test]
fn nothing_is_lost_at_any_point() {
    let site = Site::on_postgres(Options::default());
    let mut entries = BTreeMap::new();
    for (round, point) in
        ["after_scan", "after_admit", "after_begin", "after_post", "after_record", "after_settle"]
            .into_iter()
            .enumerate()
    {
        let version = i64::try_from(round).unwrap() * 3;
        entries.extend(fill(&site, 12, version..=version + 2));
        let mut agent = site.start_armed(&format!("{point}:1"));
        let status = agent.wait();
        assert_eq!(status.signal(), Some(SIGABRT), "{point} ended by {status}\n{}", agent.log());
        site.drain();
        let verdict = site.judge(&entries);
        assert_eq!((verdict.accepted, verdict.failed), (entries.len(), 0), "{point}");
    }
}

#[test]
fn random_kills_among_faults() {
    const KILLS: i64 = 8;
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::on_postgres(faults(seed));
    let mut entries = BTreeMap::new();
    for version in 1..=KILLS {
        entries.extend(fill(&site, 60, version..=version));
        let mut agent = site.start();
        let moment = Instant::now() + Duration::from_millis(random.u64(50..900));
        agent.until("the moment of the kill", || Instant::now() >= moment);
        agent.kill();
    }
    assert!(site.simulator.ledger().counts().posts > 0, "no kill hit anything under way");
    site.simulator.clear_faults();
    site.drain();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.failed), (entries.len(), 0));
}

/// One agent lives through it all: ended sessions, and a server that is stopped at once and started again in mid-pass.
#[test]
fn the_agent_outlives_its_sessions_and_its_server() {
    let site = Site::on_postgres(faults(seed()));
    let server = site.server.as_ref().unwrap();
    let mut entries = fill(&site, 60, 1..=4);
    let mut agent = site.start();
    let accepted = || site.simulator.ledger().counts().distinct;
    for version in 5..=8 {
        let before = accepted();
        entries.extend(fill(&site, 60, version..=version));
        agent.until("it sends", || accepted() > before);
        if version % 2 == 0 {
            server.cluster.control(&["-m", "immediate", "restart"]);
        } else {
            server.exec(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'bodrelay %'",
            );
        }
    }
    site.simulator.clear_faults();
    agent.until("nothing waits", || site.is_drained());
    agent.term();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.failed), (entries.len(), 0));
    assert!(!site.has_finding("ANOTHER_SENDER"), "its own flags are nobody else's");
}

/// The primary dies and a standby takes its place that lacks the last flags: the agent waits while that one is read-only,
/// then goes on, and sends nothing twice.
#[test]
fn a_failover_loses_nothing_and_sends_nothing_twice() {
    let mut site = Site::on_postgres(Options::default());
    let mut standby = site.server.as_ref().unwrap().cluster.standby();
    // The agent goes by a name that can be pointed elsewhere, as a site's does.
    let active = site.path("active");
    std::fs::create_dir(&active).unwrap();
    let cluster = &site.server.as_ref().unwrap().cluster;
    let (folder, name) = (cluster.folder.clone(), format!(".s.PGSQL.{}", cluster.port));
    let point_at = |socket: std::path::PathBuf| {
        std::os::unix::fs::symlink(socket, active.join("new")).unwrap();
        std::fs::rename(active.join("new"), active.join(&name)).unwrap();
    };
    point_at(folder.join(&name));
    let text = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let text = text.replace(&folder.display().to_string(), &active.display().to_string());
    std::fs::write(site.path("bodrelay.toml"), text).unwrap();

    let mut entries = fill(&site, 10, 1..=2);
    site.drain();
    entries.extend(fill(&site, 10, 3..=4));
    let server = site.server.as_ref().unwrap();
    let ask = |sql: &str| server.ask(&standby, sql);
    let replayed = "SELECT count(*) FROM cor_outbox_entry";
    wait("the standby has the rows", || ask(replayed) == entries.len().to_string());
    ask("ALTER SYSTEM SET primary_conninfo = ''");
    ask("SELECT pg_reload_conf()::text");
    wait("the standby is cut off", || ask("SELECT count(*) FROM pg_stat_wal_receiver") == "0");
    let mut agent = site.start();
    agent.until("the primary has the flags", || site.is_drained());
    let posts = site.simulator.ledger().counts().posts;

    site.server.as_ref().unwrap().cluster.control(&["-m", "immediate", "stop"]);
    agent.until_says("are read again in a moment");
    point_at(standby.folder.join(format!(".s.PGSQL.{}", standby.port)));
    std::mem::swap(&mut site.server.as_mut().unwrap().cluster, &mut standby);
    assert!(site.waiting() > 0, "the standby lacks the last flags");
    agent.until_says("the database is read-only");
    assert_eq!(site.simulator.ledger().counts().posts, posts, "nothing is sent that cannot be flagged");
    site.server.as_ref().unwrap().cluster.control(&["promote"]);
    agent.until("the flags are set again", || site.is_drained());
    entries.extend(fill(&site, 10, 5..=6));
    agent.until("it goes on", || site.is_drained());
    agent.term();
    let ledger = site.simulator.ledger();
    assert_eq!(ledger.counts().stored, entries.len() as u64, "each came once");
    for (lane, arrivals) in ledger.lanes() {
        let versions: Vec<_> = arrivals.iter().map(|arrival| arrival.variation_id).collect();
        assert!(versions.is_sorted(), "{lane} came out of order: {versions:?}");
    }
    assert!(entries.keys().all(|row| site.flag(*row) == Some(1)));
    assert!(!site.has_finding("ANOTHER_SENDER"), "its own flags are nobody else's");
}

/// Polls; the agent need not live.
fn wait(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + site::PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A link to the server that passes a COMMIT on and loses its answer, now and then: nobody knows whether it was done, so it
/// is asked about, and never taken for somebody else's doing.
#[test]
fn lost_answers_of_commits_are_asked_about() {
    let seed = seed();
    let site = Site::on_postgres(faults(seed));
    let cluster = &site.server.as_ref().unwrap().cluster;
    let (folder, name) = (site.path("link"), format!(".s.PGSQL.{}", cluster.port));
    std::fs::create_dir(&folder).unwrap();
    let link = Link::start(&folder.join(&name), cluster.folder.join(&name), seed);
    let text = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let text = text.replace(&cluster.folder.display().to_string(), &folder.display().to_string());
    std::fs::write(site.path("bodrelay.toml"), text).unwrap();
    let mut entries = BTreeMap::new();
    let mut agent = site.start();
    for version in 1..=6 {
        entries.extend(fill(&site, 40, version..=version));
        let cuts = link.cuts.load(Ordering::SeqCst);
        agent.until("answers are lost", || link.cuts.load(Ordering::SeqCst) >= cuts + 3);
    }
    link.loses.store(false, Ordering::SeqCst);
    site.simulator.clear_faults();
    agent.until("nothing waits", || site.is_drained());
    agent.term();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.failed), (entries.len(), 0));
    eprintln!("{} answers of a COMMIT were lost", link.cuts.load(Ordering::SeqCst));
}

/// Passes bytes between a socket of its own and the server's.
struct Link {
    loses: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
}

impl Link {
    fn start(at: &std::path::Path, server: std::path::PathBuf, seed: u64) -> Self {
        let (loses, cuts) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let link = Self { loses: loses.clone(), cuts: cuts.clone() };
        let listener = UnixListener::bind(at).unwrap();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let Ok(client) = client else { break };
                let Ok(server) = UnixStream::connect(&server) else { continue };
                let random = fastrand::Rng::with_seed(seed ^ number as u64);
                let cut = Arc::new(AtomicBool::new(false));
                let (there, back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (loses, cut_now, cuts) = (loses.clone(), cut.clone(), cuts.clone());
                std::thread::spawn(move || pass_there(there, server, &loses, &cut_now, random));
                std::thread::spawn(move || pass_back(back, client, &cut, &cuts));
            }
        });
        link
    }
}

/// From the agent to the server; one COMMIT in eight is marked.
fn pass_there(
    mut from: UnixStream,
    mut to: UnixStream,
    loses: &AtomicBool,
    cut: &AtomicBool,
    mut random: fastrand::Rng,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let commits = bytes[..read].windows(6).any(|word| word == b"COMMIT");
        if commits && loses.load(Ordering::SeqCst) && random.u8(0..8) == 0 {
            cut.store(true, Ordering::SeqCst);
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// From the server to the agent; the answer of a marked COMMIT is where it ends.
fn pass_back(mut from: UnixStream, mut to: UnixStream, cut: &AtomicBool, cuts: &AtomicUsize) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if cut.load(Ordering::SeqCst) {
            cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Three sessions of a real PgBouncer in transaction mode for the agent and for others who leave their marks on them. Only
/// where it is installed.
#[test]
fn the_agent_works_behind_a_pooler_in_transaction_mode() {
    let site = Site::on_postgres(faults(seed()));
    let Some(pooler) = site.server.as_ref().unwrap().pooler(3) else {
        skipped::skipped("pgbouncer is not installed");
        return;
    };
    let text = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let cluster = &site.server.as_ref().unwrap().cluster;
    let direct = format!("host = \"{}\"\nport = {}", cluster.folder.display(), cluster.port);
    let pooled = format!("host = \"127.0.0.1\"\nport = {}\npooled = true", pooler.port);
    assert!(text.contains(&direct), "{text}");
    std::fs::write(site.path("bodrelay.toml"), text.replace(&direct, &pooled)).unwrap();
    let mut entries = fill(&site, 30, 1..=2);
    let mut agent = site.start();
    for version in 3..=6 {
        entries.extend(fill(&site, 30, version..=version));
        for _ in 0..20 {
            pooler.somebody_else();
        }
        if version == 4 {
            agent.kill();
            agent = site.start();
        }
    }
    site.simulator.clear_faults();
    agent.until("nothing waits", || site.is_drained());
    let log = agent.log();
    assert!(log.contains("passes no NOTIFY on") && !log.contains("the database is left alone"), "{log}");
    agent.term();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.failed), (entries.len(), 0));
    assert_eq!(pooler.statements_left(), 0, "nothing is left on the sessions");
    let away = site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'DATABASE_UNAVAILABLE'");
    assert_eq!(away, None, "{log}");
}

/// A transaction that began first and commits last: what it wrote is found, sent, and marked as late. ION gets the
/// versions in the order in which they could be seen, and the log says so.
#[test]
fn a_row_that_commits_late_is_sent_late() {
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    let mut agent = site.start();
    let (open, late) = server.insert_open(&[Entry::new("ITEM-1", 1)], site.tenant_id());
    let second = site.insert(&Entry::new("ITEM-1", 2));
    assert!(late[0] < second);
    agent.until("the second version", || site.flag(second) == Some(1));
    for version in 3..=5 {
        // Passes go by; the open transaction is in nobody's way, and nobody is in its.
        let other = site.insert(&Entry::new("ITEM-2", version));
        agent.until("another document", || site.flag(other) == Some(1));
    }
    assert_eq!(site.arrivals_of("ITEM-1").len(), 1);
    server.commit(open);
    agent.until("the first version", || site.flag(late[0]) == Some(1));
    agent.until("the finding", || site.has_open_finding("ROW_COMMITTED_LATE"));
    agent.term();
    let variations: Vec<_> = site.arrivals_of("ITEM-1").iter().map(|arrival| arrival.variation_id).collect();
    assert_eq!(variations, [Some(2), Some(1)]);
    assert!(site.log_of(late[0])[0].late && !site.log_of(second)[0].late);
}

/// A row whose transaction took its number early and commits below the cursor, and then a newer version of its document:
/// what was committed before the newer one was written goes first, however soon that one comes.
#[test]
fn a_version_that_was_committed_before_a_newer_was_written_goes_first() {
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    let mut agent = site.start();
    let mut entries = BTreeMap::new();
    for round in 1..=16_u64 {
        let document = format!("ITEM-{round}");
        let first = Entry::new(&document, 1);
        let (open, early) = server.insert_open(std::slice::from_ref(&first), site.tenant_id());
        let other = Entry::new("OTHER", i64::try_from(round).unwrap());
        let passed = site.insert(&other);
        assert!(early[0] < passed);
        agent.until("the cursor passes the hole", || site.flag(passed) == Some(1));
        if round == 8 {
            // The holes are known again after a kill.
            agent.kill();
            agent = site.start();
        }
        let moment = Instant::now() + Duration::from_millis(round % 4 * 110);
        agent.until("some part of a poll", || Instant::now() >= moment);
        server.commit(open);
        let newer = Entry::new(&document, 2);
        let second = site.insert(&newer);
        entries.extend([(early[0], first), (passed, other), (second, newer)]);
        agent.until("both are sent", || site.flag(second) == Some(1) && site.flag(early[0]) == Some(1));
    }
    agent.until("nothing waits", || site.is_drained());
    agent.term();
    assert_eq!(site.judge(&entries).accepted, entries.len());
    assert!(site.log().iter().all(|logged| !logged.late));
    assert!(!site.has_finding("ROW_COMMITTED_LATE"));
}

/// Many writers whose transactions overlap, roll back and hold several documents; each takes its documents for as long as
/// it writes them, as an application does. Looks follow every commit, so they meet all there is in between.
#[test]
fn concurrent_writers_never_have_their_versions_reordered() {
    const WRITERS: u64 = 6;
    const DOCUMENTS: usize = 12;
    const ROUNDS: usize = 40;
    let seed = seed();
    let site = Site::on_postgres(Options::default());
    let server = site.server.as_ref().unwrap();
    let (_, notify) = scripts::POSTGRES.iter().find(|(name, _)| *name == "notify.sql").unwrap();
    server.exec(notify);
    let versions: Vec<Mutex<i64>> = (0..DOCUMENTS).map(|_| Mutex::new(0)).collect();
    let written = Mutex::new(BTreeMap::new());
    let mut agent = site.start();
    agent.until_says("starts");
    let tenant_id = site.tenant_id();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (versions, written) = (&versions, &written);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed ^ writer);
                for _ in 0..ROUNDS {
                    // In one order, so that no two wait for each other.
                    let mut numbers: Vec<usize> =
                        (0..random.usize(1..=3)).map(|_| random.usize(0..DOCUMENTS)).collect();
                    numbers.sort_unstable();
                    numbers.dedup();
                    let mut held: Vec<_> =
                        numbers.iter().map(|number| versions[*number].lock().unwrap()).collect();
                    let entries: Vec<Entry> = numbers
                        .iter()
                        .zip(&held)
                        .map(|(number, version)| Entry::new(&format!("ITEM-{number}"), **version + 1))
                        .collect();
                    let (open, ids) = server.insert_open(&entries, tenant_id);
                    std::thread::park_timeout(Duration::from_millis(random.u64(0..30)));
                    if random.u8(0..5) == 0 {
                        server.run(&open, "ROLLBACK");
                        continue;
                    }
                    server.commit(open);
                    held.iter_mut().for_each(|version| **version += 1);
                    written.lock().unwrap().extend(ids.into_iter().zip(entries));
                }
            });
        }
    });
    agent.until("nothing waits", || site.is_drained());
    agent.term();
    let written = written.into_inner().unwrap();
    // The judge looks at the order of every lane.
    assert_eq!(site.judge(&written).accepted, written.len());
    assert!(site.log().iter().all(|logged| !logged.late));
}

/// A connection point goes to the agent of another location and back: each sends at once, and nothing twice.
#[test]
fn a_connection_point_changes_its_agent() {
    let site = Site::on_postgres(Options::default());
    let mut first = site.start();
    let mut second = site.start_beside("host2", "state2", "PLANT2");
    for (version, location) in [(1, "PLANT1"), (2, "PLANT2"), (3, "PLANT1")] {
        site.sql(&format!("UPDATE bodrelay_connection_point SET location_name = '{location}'"));
        let (agent, host) = if location == "PLANT1" { (&mut first, "host1") } else { (&mut second, "host2") };
        // Until it reads the setting, the one before may send.
        let owner = "SELECT host FROM bodrelay_status WHERE direction = 'out'";
        agent.until("it has the connection point", || site.text(owner).as_deref() == Some(host));
        let row = site.insert(&Entry::new("ITEM-1", version));
        agent.until("its agent sends", || site.flag(row) == Some(1));
        let sender = format!("SELECT host FROM bodrelay_message_log WHERE entry_id = {row}");
        assert_eq!(site.text(&sender).as_deref(), Some(host));
    }
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.stored, counts.distinct), (3, 3), "{counts:?}");
}
