//! Schedules, blackouts and the pace of a connection point, as the real agent keeps them.

mod site;

use std::time::{Duration, Instant};

use bodrelay::clock::{Clock, SystemClock};
use bodrelay::simulator::Options;
use chrono::TimeDelta;
use site::{Entry, Site};

fn set(site: &Site, columns: &str) {
    site.sql(&format!("UPDATE bodrelay_connection_point SET {columns} WHERE connection_point = 'CP1'"));
}

fn status(site: &Site, column: &str) -> String {
    site.text(&format!("SELECT {column} FROM bodrelay_status")).unwrap_or_default()
}

/// A run that comes once a year, never while a test runs.
const YEARLY: &str = "poll_seconds = NULL, poll_cron = '30 3 1 1 *', time_zone = 'Europe/Berlin'";

#[test]
fn nothing_is_looked_at_outside_a_cron_schedule() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        set(&site, YEARLY);
        let row = site.insert(&Entry::new("ITEM-1", 1));
        let mut agent = site.start();
        agent.until("its status", || status(&site, "next_poll_at").contains("-01-01"));
        assert!(status(&site, "next_poll_at").contains("02:30:00"), "03:30 in Berlin");
        // New rows, new settings and a second command round are no reason to look.
        let second = site.insert(&Entry::new("ITEM-2", 1));
        set(&site, "description = 'changed', batch_rows = 400");
        agent.until("the settings apply", || agent_says(&site, "new settings apply"));
        assert_eq!((site.flag(row), site.flag(second)), (Some(0), Some(0)));
        // poll_now is.
        site.sql("INSERT INTO bodrelay_command (command, connection_point) VALUES ('poll_now', 'CP1')");
        agent.until("the run that was asked for", || site.waiting() == 0);
        agent.term();
        let third = site.insert(&Entry::new("ITEM-1", 2));
        if site.server.is_none() {
            assert_eq!(site.once(), 0);
            assert_eq!(site.flag(third), Some(1), "once ignores schedules");
        }
    }
}

fn agent_says(site: &Site, text: &str) -> bool {
    std::fs::read_to_string(site.path("agent.log")).unwrap_or_default().contains(text)
}

#[test]
fn a_missed_run_is_made_up_for_once() {
    let site = Site::new();
    set(&site, YEARLY);
    let mut agent = site.start();
    agent.until("its status", || status(&site, "next_poll_at").contains("-01-01"));
    agent.term();
    let row = site.insert(&Entry::new("ITEM-1", 1));
    // The last run was years ago: several were missed, one follows.
    site.journal().execute("UPDATE connection_point SET looked_at = 1500000000000", []).unwrap();
    let mut agent = site.start();
    agent.until("the missed run", || site.flag(row) == Some(1));
    agent.until("the next one is next year's", || status(&site, "next_poll_at").contains("-01-01"));
    let later = site.insert(&Entry::new("ITEM-1", 2));
    set(&site, "description = 'seen'");
    agent.until("another round", || agent_says(&site, "new settings apply") || site.flag(later) == Some(0));
    agent.term();
    assert_eq!(site.flag(later), Some(0));
}

/// A run of the schedule itself, so this takes up to a minute.
#[test]
fn a_run_comes_at_its_minute() {
    let site = Site::new();
    set(&site, "poll_seconds = NULL, poll_cron = '* * * * *'");
    let rows: Vec<Entry> = (1..=1200).map(|version| Entry::new("ITEM-1", version)).collect();
    site.insert_all(&rows);
    let mut agent = site.start();
    agent.until_says("starts");
    let deadline = Instant::now() + Duration::from_secs(75);
    while site.waiting() > 0 {
        assert!(Instant::now() < deadline, "no run came");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let looked: i64 =
        site.journal().query_row("SELECT looked_at FROM connection_point", [], |row| row.get(0)).unwrap();
    let age = SystemClock.now().timestamp_millis() - looked;
    assert!((0..75_000).contains(&age), "the journal remembers the run: {age} ms ago");
    agent.term();
}

#[test]
fn nothing_goes_out_in_a_blackout() {
    for site in [Site::new(), Site::on_postgres(Options::default())] {
        let mut agent = site.start();
        let first = site.insert(&Entry::new("ITEM-1", 1));
        agent.until("it sends", || site.flag(first) == Some(1));
        let clock =
            |minutes: i64| (SystemClock.now() + TimeDelta::minutes(minutes)).format("%H:%M").to_string();
        set(&site, &format!("blackout = '{}-{}'", clock(-2), clock(10)));
        agent.until("the blackout", || status(&site, "state") == "blackout");
        let second = site.insert(&Entry::new("ITEM-1", 2));
        assert!(status(&site, "state_reason").starts_with("until "), "{}", status(&site, "state_reason"));
        agent.term();
        assert_eq!(site.once(), 0);
        assert!(agent_says(&site, "a blackout begins"), "once says why it does nothing");
        assert_eq!(site.flag(second), Some(0), "once keeps it, too");
        let mut agent = site.start();
        agent.until("the blackout", || status(&site, "state") == "blackout");
        set(&site, "blackout = NULL");
        agent.until("it goes on", || site.flag(second) == Some(1));
        agent.term();
    }
}

#[test]
fn the_pace_bounds_what_goes_out() {
    let site = Site::new();
    set(&site, "max_messages_per_second = 20");
    let rows: Vec<Entry> = (1..=60).map(|item| Entry::new(&format!("ITEM-{item}"), 1)).collect();
    site.insert_all(&rows);
    let began = Instant::now();
    let mut agent = site.start();
    agent.until("all of it", || site.waiting() == 0);
    // 60 at 20 a second, less what may be ahead of its time: no machine is fast enough to do that sooner.
    assert!(began.elapsed() > Duration::from_millis(2_700), "{:?}", began.elapsed());
    agent.term();
}

#[test]
fn what_cannot_be_kept_is_refused_beside_its_row() {
    let site = Site::new();
    let mut agent = site.start();
    let reason = || site.text("SELECT refused_reason FROM bodrelay_connection_point").unwrap_or_default();
    for (columns, said) in [
        ("poll_seconds = NULL, poll_cron = '61 * * * *'", "minute: '61' is not 0-59"),
        ("poll_cron = '0 6 * * 1-5', time_zone = 'Berlin'", "no name of the IANA time zones"),
        ("time_zone = 'Europe/Berlin', blackout = '22:00-02:00 Someday'", "'Someday' is no day"),
    ] {
        set(&site, columns);
        agent.until(said, || reason().contains(said));
    }
    set(&site, "blackout = NULL, poll_seconds = 1, poll_cron = NULL");
    agent.until("the reason is gone", || reason().is_empty());
    let row = site.insert(&Entry::new("ITEM-1", 1));
    agent.until("it goes on", || site.flag(row) == Some(1));
    agent.term();
}
