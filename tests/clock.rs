//! The real agent under a time of day that somebody sets: nothing stands still, nothing waits for ever.

#![cfg(target_os = "linux")]

mod site;
mod skipped;

use std::path::{Path, PathBuf};

use bodrelay::simulator::script::Fault;
use site::{Agent, Entry, Site};

/// Fakes the time of day of one process; the steady clock stays.
fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let library = folders.map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"));
    let found = library.into_iter().find(|path| path.is_file());
    if found.is_none() {
        skipped::skipped("libfaketime is not installed");
    }
    found
}

fn set(site: &Site, offset: &str) {
    bodrelay::platform::replace_file(&site.path("offset"), offset.as_bytes()).unwrap();
}

fn start(site: &Site, library: &Path) -> Agent {
    let offset = site.path("offset");
    site.start_with(&[
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ])
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let Some(library) = library() else { return };
    let site = Site::new();
    set(&site, "+0");
    let mut agent = start(&site, &library);
    site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it sends", || site.waiting() == 0);
    // One waits for its next try, and the clock is set back by a day.
    site.simulator.add_fault(Fault::refuse(503).times(3));
    let before = site.simulator.statuses().len();
    site.insert(&Entry::new("ITEM-2", 1));
    agent.until("it is refused", || site.simulator.statuses().len() > before);
    for (version, offset) in [(2, "-1d"), (3, "+10d"), (4, "-400d"), (5, "+0")] {
        set(&site, offset);
        site.insert(&Entry::new("ITEM-2", version));
        agent.until("it looks, tries again and wakes", || site.waiting() == 0);
    }
    agent.until("it says so", || site.has_open_finding("CLOCK_JUMPED"));
    agent.term();
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.distinct, counts.repeats_same), (6, 0), "{counts:?}");
}

#[test]
fn a_wait_from_a_clock_that_was_ahead_is_cut() {
    let Some(library) = library() else { return };
    let site = Site::new();
    set(&site, "+400d");
    site.simulator.add_fault(Fault::refuse(503).times(1_000));
    site.insert(&Entry::new("ITEM-1", 1));
    let mut agent = start(&site, &library);
    agent.until("it is refused", || !site.simulator.statuses().is_empty());
    agent.term();
    site.simulator.clear_faults();
    set(&site, "+0");
    let mut agent = start(&site, &library);
    agent.until("it is tried again", || site.waiting() == 0);
    agent.term();
    assert_eq!(site.simulator.ledger().counts().distinct, 1);
}
