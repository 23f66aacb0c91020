//! What lies behind must not slow down what comes: a table and a journal that are ten million messages old.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bodrelay::simulator::Simulator;
use rusqlite::Connection;

use super::Anyhow;
use super::agent::{Agent, relay};
use super::cases::{Line, bulk, line};
use super::outbox::{Fill, Outbox, PostgresOutbox, SqliteOutbox};

const MESSAGES: usize = 10_000_000;
/// Failed ones in the table, and as many that each wait for one of them.
const FAILED: usize = 100_000;

/// Rates beside rows that were sent, failed, or are held.
pub fn processed_postgres(entries: usize) -> Anyhow<Vec<Line>> {
    let now = beside(&PostgresOutbox::new()?, &PostgresOutbox::new()?, entries)?;
    Ok(vec![line("10,000,000 sent, 100,000 failed, 100,000 held rows, PostgreSQL", "0.95 of none", now)])
}

pub fn processed_sqlite(entries: usize) -> Anyhow<Vec<Line>> {
    let folders = (tempfile::tempdir()?, tempfile::tempdir()?);
    let now = beside(&SqliteOutbox::new(folders.0.path())?, &SqliteOutbox::new(folders.1.path())?, entries)?;
    Ok(vec![line("the same, SQLite", "0.95 of none", now)])
}

/// The rate beside a full table as a share of that beside an empty one.
fn beside(empty: &dyn Outbox, full: &dyn Outbox, entries: usize) -> Anyhow<String> {
    let folders = (tempfile::tempdir()?, tempfile::tempdir()?);
    live(folders.1.path(), full)?;
    let (mut without, mut with) = (0.0, 0.0);
    // Both twice, in turns: the machine is not always equally fast.
    for name in ["FIRST", "SECOND"] {
        let fill = Fill { name, ..Fill::usual(entries, "all") };
        without += relay(folders.0.path(), empty, fill, bulk())?.rate;
        with += relay(folders.1.path(), full, fill, bulk())?.rate;
    }
    Ok(format!("{:.2} ({:.0} a second)", with / without, with / 2.0))
}

/// A table after a long life: rows that were sent are made by the server; those that failed and those that wait for
/// them went through the agent, and its journal in `folder` knows them.
fn live(folder: &Path, outbox: &dyn Outbox) -> Anyhow<()> {
    outbox.connection_point("bench", "all")?;
    outbox.execute("UPDATE bodrelay_connection_point SET after_failure = 'hold'")?;
    outbox.add_processed(MESSAGES)?;
    let held = Fill { documents: FAILED, bytes: 600, name: "HELD", ..Fill::usual(FAILED, "all") };
    outbox.fill(Fill { broken: true, ..held })?;
    outbox.fill(held)?;
    let simulator = Simulator::start(bulk())?;
    let mut agent = Agent::start(folder, &simulator, &outbox.keys())?;
    let failed = "SELECT coalesce(max(least_of.failed), 0) FROM (SELECT CASE WHEN failed_rows < held_rows THEN \
                  failed_rows ELSE held_rows END AS failed FROM bodrelay_status) AS least_of";
    let begun = Instant::now();
    while outbox.number(failed)? < i64::try_from(FAILED)? {
        agent.ensure_running()?;
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(900), "{} failed", outbox.number(failed)?);
        std::thread::sleep(Duration::from_millis(200));
    }
    outbox.settle()
}

/// A journal that ten million accepted messages of a million documents went through, all of them older than
/// `delivered_memory_days`, and their rows gone: it forgets them while new ones come.
pub fn journal(entries: usize) -> Anyhow<Vec<Line>> {
    let fill = Fill::usual(entries * 2, "all");
    let none = {
        let folder = tempfile::tempdir()?;
        relay(folder.path(), &PostgresOutbox::new()?, fill, bulk())?
    };
    let (folder, outbox) = (tempfile::tempdir()?, PostgresOutbox::new()?);
    relay(folder.path(), &outbox, Fill { name: "FIRST", ..Fill::usual(1, "all") }, bulk())?;
    let file = folder.path().join("state").join("journal.sqlite");
    remember(&Connection::open(&file)?)?;
    // New rows come above all that the journal knows.
    outbox.execute(&format!(
        "SELECT setval(pg_get_serial_sequence('cor_outbox_entry', 'c_id'), {MESSAGES} * 2)"
    ))?;
    let bytes = std::fs::metadata(&file)?.len() as f64;
    let old = || -> Anyhow<i64> {
        let known = format!("SELECT count(*) FROM delivered WHERE entry_id BETWEEN 2 AND {MESSAGES}");
        Ok(Connection::open(&file)?.query_row(&known, [], |row| row.get(0))?)
    };
    let before = old()?;
    let with = relay(folder.path(), &outbox, fill, bulk())?;
    let seconds = fill.entries as f64 / with.rate;
    let forgotten = (before - old()?) as f64 / seconds;
    Ok(vec![
        line(
            "longest pause, journal of 10,000,000 messages",
            "50 ms",
            format!(
                "{:.0} ms, with a new one {:.0} ms",
                with.pause.as_secs_f64() * 1e3,
                none.pause.as_secs_f64() * 1e3
            ),
        ),
        line("rate with that journal", "0.95 of a new one", format!("{:.2}", with.rate / none.rate)),
        line(
            "that journal's size",
            "bounded",
            format!(
                "{:.0} MB, {:.0} bytes a message; {forgotten:.0} a second were forgotten meanwhile",
                bytes / 1e6,
                bytes / MESSAGES as f64
            ),
        ),
    ])
}

/// What the agent would have written of as many messages a hundred days ago, in its own tables.
fn remember(journal: &Connection) -> Anyhow<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let (day, documents) = (86_400_000, MESSAGES / 10);
    journal.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         PRAGMA cache_size = -200000;
         BEGIN;
         WITH RECURSIVE rows (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM rows WHERE n < {MESSAGES})
         INSERT INTO delivered (point_id, entry_id, identity, given_id_hash, settled_at)
         SELECT 1, n, randomblob(16), n * 7919 % {MESSAGES} * 900000000000, {now} - 100 * {day} FROM rows;
         INSERT INTO given_id (point_id, given_id_hash, entry_id)
         SELECT point_id, given_id_hash, entry_id FROM delivered
          WHERE entry_id > 1 ORDER BY point_id, given_id_hash;
         WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < {documents})
         INSERT INTO lane_tail (point_id, lane, accepted_entry_id, changed_at)
         SELECT 1, n * 9000000000000, n, {now} - 10 * {day} FROM rows;
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE)"
    ))?;
    Ok(())
}
