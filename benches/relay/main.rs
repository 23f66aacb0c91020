//! How fast the real binary relays, how small it stays, and how little it does when there is nothing to do.
//!
//! `cargo bench --bench relay` prints the whole table (some 30 minutes, and 10 GB of temporary files) beside the figures that were kept last, which are
//! in `benches/RESULTS.md`; names behind `--` choose lines of it: `-- sqlite postgres tls slow idle waiting large processed
//! journal notify`, and a number is the count of entries of the first ones. The simulator runs in this process, the agent as a
//! child; rates are given as a share of what the simulator takes from a plain load in the same run. Linux only: the
//! figures come from /proc.

#![expect(
    clippy::disallowed_methods,
    reason = "it watches another process, and nothing else runs in this one"
)]

mod agent;
mod cases;
#[path = "../../tests/certificate/mod.rs"]
mod certificate;
#[path = "../../tests/cluster/mod.rs"]
mod cluster;
mod outbox;
mod past;
mod yardstick;

use std::time::Duration;

use cases::Line;

type Anyhow<T> = anyhow::Result<T>;

fn main() -> Anyhow<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let entries: usize = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(50_000);
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| name.parse::<usize>().is_err()).collect();
    let wants = |name: &str| names.is_empty() || names.contains(&name);
    let yardstick = yardstick::yardstick(cases::bulk(), Duration::from_secs(4))?;
    println!(
        "the endpoint's own rate: {yardstick:.0} a second (32 connections, 4 KB, load in the same process)\n"
    );
    println!("| what | aim | kept | now |\n|---|---|---|---|");
    let kept = kept();
    let print = |lines: Vec<Line>| {
        for Line { what, aim, now } in lines {
            let before = kept.iter().find(|(name, _)| *name == what).map_or("–", |(_, figure)| *figure);
            println!("| {what} | {aim} | {before} | {now} |");
        }
    };
    if wants("postgres") {
        print(cases::postgres(entries)?);
    }
    if wants("sqlite") {
        print(cases::sqlite(entries)?);
    }
    if wants("tls") {
        print(cases::tls(entries)?);
    }
    if wants("slow") {
        print(cases::slow(entries)?);
    }
    if wants("large") {
        print(cases::large()?);
    }
    if wants("waiting") {
        print(cases::waiting()?);
    }
    if wants("processed") {
        print(past::processed_postgres(entries)?);
        print(past::processed_sqlite(entries)?);
    }
    if wants("journal") {
        print(past::journal(entries)?);
    }
    if wants("notify") {
        print(cases::notify()?);
        print(cases::notify_under_load()?);
    }
    if wants("idle") {
        print(cases::idle()?);
    }
    Ok(())
}

/// The lines of `benches/RESULTS.md`, by what they measure: the last column.
fn kept() -> Vec<(&'static str, &'static str)> {
    include_str!("../RESULTS.md")
        .lines()
        .filter_map(|line| {
            let mut columns = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
            Some((columns.next()?, columns.last()?))
        })
        .collect()
}
