//! Nothing is lost when the process ends where it should not: at each named point, and at random moments.

// Kills, limits of a process and aborts at a point are told by their signals.
#![cfg(target_os = "linux")]

mod site;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, Script, What};
use site::{Entry, Site, seed};

const SIGABRT: i32 = 6;

/// `documents` with `versions` each, in the order in which an application writes them: version by version.
fn fill(site: &Site, documents: i64, versions: i64) -> BTreeMap<i64, Entry> {
    let entries: Vec<Entry> = (1..=versions)
        .flat_map(|version| {
            (1..=documents).map(move |document| {
                let entry = Entry::new(&format!("ITEM-{document}"), version);
                // Every other document's application names its messages itself.
                if document % 2 == 0 { entry } else { entry.message_id(&format!("erp-{document}-{version}")) }
            })
        })
        .collect();
    site.insert_all(&entries).into_iter().zip(entries).collect()
}

/// Aborts at a point, proves that it did, restarts and judges.
fn crash_at(point: &str, passings: &[u32]) {
    for n in passings {
        let site = Site::new();
        let entries = fill(&site, 12, 5);
        let mut agent = site.start_armed(&format!("{point}:{n}"));
        let status = agent.wait();
        assert_eq!(status.signal(), Some(SIGABRT), "{point}:{n} ended by {status}\n{}", agent.log());
        let log = agent.log();
        assert!(log.contains("ends this process now, as it was armed to"), "{point}:{n}\n{log}");
        assert!(log.contains(point), "{point}:{n}\n{log}");
        let flagged = site.number("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 1");
        let arrived = i64::try_from(site.simulator.ledger().counts().distinct).unwrap();
        assert!(flagged <= arrived, "{point}:{n}: {flagged} flagged, {arrived} arrived");
        site.drain();
        let verdict = site.judge(&entries);
        assert_eq!((verdict.accepted, verdict.failed), (60, 0), "{point}:{n}");
    }
}

#[test]
fn after_scan() {
    crash_at("after_scan", &[1, 2]);
}

#[test]
fn after_admit() {
    crash_at("after_admit", &[1]);
}

#[test]
fn after_begin() {
    crash_at("after_begin", &[1, 2, 6]);
}

#[test]
fn after_post() {
    crash_at("after_post", &[1, 7, 30]);
}

#[test]
fn after_record() {
    crash_at("after_record", &[1, 2, 7]);
}

#[test]
fn after_settle() {
    crash_at("after_settle", &[1, 2]);
}

/// An answer that said no is as certain as one that said yes: a failure survives the crash after its record.
#[test]
fn a_failure_survives_the_crash_after_its_record() {
    let site = Site::new();
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1"));
    let entries = fill(&site, 1, 1);
    let mut agent = site.start_armed("after_record:1");
    assert_eq!(agent.wait().signal(), Some(SIGABRT), "{}", agent.log());
    let posts = site.simulator.ledger().counts().posts;
    site.drain();
    let verdict = site.judge(&entries);
    assert_eq!((verdict.accepted, verdict.failed), (0, 1));
    assert_eq!(site.simulator.ledger().counts().posts, posts, "a recorded failure is not posted again");
}

/// A value that arms nothing would make every test above prove nothing.
#[test]
fn an_unreadable_crash_point_is_refused() {
    let site = Site::new();
    for value in ["after_lunch:1", "after_post", "after_post:0", "after_post:x"] {
        let mut agent = site.start_armed(value);
        assert_eq!(agent.wait().code(), Some(2), "{value}");
        assert!(agent.log().contains("BODRELAY_CRASH_AT"), "{value}: {}", agent.log());
    }
}

/// SIGKILL at random moments, while rows are written and ION fails in every way that it can.
#[test]
fn random_kills_among_faults() {
    const KILLS: i64 = 16;
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let faults = vec![
        Fault::refuse(503).with_probability(0.03),
        Fault::new(What::ResetBeforeStore).with_probability(0.02),
        Fault::new(What::StoreThenLoseAnswer).with_probability(0.03),
        Fault::new(What::StoreThenCutAnswer).with_probability(0.02),
        Fault::new(What::Slow { ms: 40 }).with_probability(0.3),
        Fault::refuse(400).for_document("ITEM-7").with_probability(0.5),
    ];
    let site = Site::with(Options { seed, script: Script { faults }, ..Options::default() });
    let mut entries = BTreeMap::new();
    for version in 1..=KILLS {
        let batch: Vec<Entry> = (1..=40)
            .map(|document| {
                let entry = Entry::new(&format!("ITEM-{document}"), version);
                if document % 2 == 0 { entry } else { entry.message_id(&format!("erp-{document}-{version}")) }
            })
            .collect();
        entries.extend(site.insert_all(&batch).into_iter().zip(batch));
        let mut agent = site.start();
        let moment = Instant::now() + Duration::from_millis(random.u64(20..900));
        agent.until("the moment of the kill", || Instant::now() >= moment);
        agent.kill();
    }
    let posts_before = site.simulator.ledger().counts().posts;
    site.simulator.clear_faults();
    site.drain();
    let verdict = site.judge(&entries);
    eprintln!("{verdict:?}, {posts_before} posts before the last life");
    assert_eq!(verdict.accepted + verdict.failed, entries.len());
    assert!(posts_before > 0, "no kill hit anything under way");
}

/// SIGKILL at full speed: no faults, all slots of posts taken, and always more rows waiting. `BODRELAY_KILLS` (5) says
/// how often.
fn kills_at_full_speed(site: &Site) {
    const BACKLOG: usize = 1_000;
    const DOCUMENTS: usize = 300;
    let kills = std::env::var("BODRELAY_KILLS").ok().map_or(5, |kills| kills.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed());
    site.sql("UPDATE bodrelay_connection_point SET parallel_posts = 32, batch_rows = 1000");
    let mut entries = BTreeMap::new();
    let counts = || site.simulator.ledger().counts();
    let arrived = || usize::try_from(counts().distinct).unwrap();
    let mut under_load = 0;
    for _ in 0..kills {
        let posts = random.usize(0..400);
        let batch: Vec<Entry> = (entries.len()..arrived() + BACKLOG + posts)
            .map(|number| {
                let version = i64::try_from(number / DOCUMENTS).unwrap() + 1;
                let entry = Entry::new(&format!("ITEM-{}", number % DOCUMENTS), version);
                if number % 2 == 0 { entry } else { entry.message_id(&format!("erp-{number}")) }
            })
            .collect();
        entries.extend(site.insert_all(&batch).into_iter().zip(batch));
        let wanted = counts().posts + u64::try_from(posts).unwrap();
        let mut agent = site.start();
        agent.until("its posts", || counts().posts >= wanted);
        let moment = Instant::now() + Duration::from_millis(random.u64(0..20));
        agent.until("the moment of the kill", || Instant::now() >= moment);
        agent.kill();
        under_load += usize::from(arrived() < entries.len());
    }
    site.drain();
    let verdict = site.judge(&entries);
    eprintln!("{kills} kills, {under_load} of them under load, {verdict:?}");
    assert_eq!(verdict.accepted, entries.len());
    // Where the machine is so busy that a kill comes late, everything may have been sent.
    assert!(under_load * 2 > kills, "{under_load} of {kills} kills found load");
}

#[test]
fn random_kills_at_full_speed_on_sqlite() {
    kills_at_full_speed(&Site::new());
}

#[test]
fn random_kills_at_full_speed_on_postgres() {
    kills_at_full_speed(&Site::on_postgres(Options::default()));
}

/// Documents as they really are: deflated ones, and some of 4 MB, which are read again and again.
#[test]
fn large_and_deflated_documents_survive_random_kills() {
    const KILLS: i64 = 8;
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let faults = vec![
        Fault::refuse(503).with_probability(0.05),
        Fault::new(What::StoreThenLoseAnswer).with_probability(0.05),
        Fault::new(What::Slow { ms: 40 }).with_probability(0.3),
    ];
    let site = Site::with(Options { seed, script: Script { faults }, ..Options::default() });
    let mut entries = BTreeMap::new();
    for version in 1..=KILLS {
        let batch: Vec<Entry> = (1..=12)
            .map(|document| {
                let entry = Entry::new(&format!("ITEM-{document}"), version);
                match document {
                    1 => entry.padded(4 * 1024 * 1024),
                    2 => entry.padded(4 * 1024 * 1024).deflated(),
                    3..=6 => entry.padded(20_000).deflated(),
                    _ => entry,
                }
            })
            .collect();
        entries.extend(site.insert_all(&batch).into_iter().zip(batch));
        let mut agent = site.start();
        let moment = Instant::now() + Duration::from_millis(random.u64(100..1_500));
        agent.until("the moment of the kill", || Instant::now() >= moment);
        agent.kill();
    }
    assert!(site.simulator.ledger().counts().posts > 0, "no kill hit anything under way");
    site.simulator.clear_faults();
    site.drain();
    assert_eq!(site.judge(&entries).accepted, entries.len());
}

/// A failed message holds its lane whatever happens to the process, until the DBA says so.
#[test]
fn a_held_lane_survives_kills() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::new();
    site.sql("UPDATE bodrelay_connection_point SET after_failure = 'hold'");
    site.simulator.add_fault(Fault::refuse(400).for_document("ITEM-1").times(1));
    let mut entries = BTreeMap::new();
    for version in 1..=8 {
        let batch: Vec<Entry> =
            (1..=6).map(|document| Entry::new(&format!("ITEM-{document}"), version)).collect();
        entries.extend(site.insert_all(&batch).into_iter().zip(batch));
        let mut agent = site.start();
        if version == 1 {
            agent.until("the failure", || site.waiting() == 0);
        }
        let moment = Instant::now() + Duration::from_millis(random.u64(20..600));
        agent.until("the moment of the kill", || Instant::now() >= moment);
        agent.kill();
    }
    let mut agent = site.start();
    let last = Entry::new("ITEM-9", 9);
    entries.insert(site.insert(&last), last);
    agent.until("the other lanes", || site.waiting() == 7);
    agent.term();
    assert!(site.arrivals_of("ITEM-1").is_empty(), "seed {seed}: held is held");
    site.sql("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE C_WAS_PROCESSED = 9");
    site.drain();
    assert_eq!(site.judge(&entries).accepted, entries.len(), "seed {seed}");
}
