//! The lines of the table, each measured by itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bodrelay::database::statements::scripts;
use bodrelay::simulator::script::{Fault, Script, What};
use bodrelay::simulator::{Options, Simulator};

use super::agent::{Agent, Figures, relay};
use super::outbox::{Fill, Outbox, PostgresOutbox, SqliteOutbox};
use super::yardstick::yardstick;
use super::{Anyhow, certificate};

/// One line of the table.
pub struct Line {
    pub what: &'static str,
    pub aim: &'static str,
    pub now: String,
}

pub fn line(what: &'static str, aim: &'static str, now: impl Into<String>) -> Line {
    Line { what, aim, now: now.into() }
}

pub fn bulk() -> Options {
    Options { bulk: true, ..Options::default() }
}

/// Relays an outbox, and says its rate as a share of what a plain load gets right before and right after: the machine is
/// not always equally fast.
fn shared(outbox: &dyn Outbox, fill: Fill) -> Anyhow<(Figures, String)> {
    let load = || yardstick(bulk(), Duration::from_secs(2));
    let folder = tempfile::tempdir()?;
    let before = load()?;
    let figures = relay(folder.path(), outbox, fill, bulk())?;
    let share = figures.rate / ((before + load()?) / 2.0);
    Ok((figures, format!("{share:.2} ({:.0} a second)", figures.rate)))
}

pub fn postgres(entries: usize) -> Anyhow<Vec<Line>> {
    let run = |log_messages| shared(&PostgresOutbox::new()?, Fill::usual(entries, log_messages));
    let ((problems, share), (all, share_of_all)) = (run("problems")?, run("all")?);
    Ok(vec![
        line("PostgreSQL, problems in the log", "0.4 of the endpoint's rate", share),
        line("PostgreSQL, every message in the log", "0.3 of it", share_of_all),
        line(
            "own CPU a message, PostgreSQL",
            "30 µs",
            format!("{:.0} µs, with every message logged {:.0} µs", problems.cpu_us, all.cpu_us),
        ),
        line("peak memory, PostgreSQL", "48 MB", format!("{:.0} MB", problems.peak_mb.max(all.peak_mb))),
    ])
}

pub fn sqlite(entries: usize) -> Anyhow<Vec<Line>> {
    let run = |log_messages| {
        let folder = tempfile::tempdir()?;
        shared(&SqliteOutbox::new(folder.path())?, Fill::usual(entries, log_messages))
    };
    let ((problems, share), (all, share_of_all)) = (run("problems")?, run("all")?);
    Ok(vec![
        line("SQLite, problems in the log", "as PostgreSQL", share),
        line("SQLite, every message in the log", "as PostgreSQL", share_of_all),
        line(
            "own CPU a message, SQLite in it",
            "30 µs",
            format!("{:.0} µs, with every message logged {:.0} µs", problems.cpu_us, all.cpu_us),
        ),
        line("peak memory, SQLite", "48 MB", format!("{:.0} MB", problems.peak_mb.max(all.peak_mb))),
    ])
}

/// An endpoint that takes 20 ms for each answer.
pub fn slow(entries: usize) -> Anyhow<Vec<Line>> {
    let script = Script { faults: vec![Fault::new(What::Slow { ms: 20 })] };
    let options = Options { script, ..bulk() };
    let most = yardstick(options.clone(), Duration::from_secs(4))?;
    let folder = tempfile::tempdir()?;
    let fill = Fill::usual(entries.min(10_000), "all");
    let figures = relay(folder.path(), &PostgresOutbox::new()?, fill, options)?;
    let now = format!("{:.0} a second, a plain load {most:.0}", figures.rate);
    Ok(vec![line("answers after 20 ms, 32 parallel", "1,450 a second", now)])
}

/// Documents near the limit.
pub fn large() -> Anyhow<Vec<Line>> {
    let folder = tempfile::tempdir()?;
    let fill = Fill { documents: 200, bytes: 5_000_000, ..Fill::usual(200, "all") };
    let figures = relay(folder.path(), &SqliteOutbox::new(folder.path())?, fill, bulk())?;
    let now = format!("{:.0} MB ({:.0} documents a second)", figures.peak_mb, figures.rate);
    Ok(vec![line("peak memory, 200 documents of 5 MB", "96 MB", now)])
}

/// A million rows that wait.
pub fn waiting() -> Anyhow<Vec<Line>> {
    let folder = tempfile::tempdir()?;
    let outbox = PostgresOutbox::new()?;
    outbox.connection_point("bench", "all")?;
    outbox.add_waiting(1_000_000)?;
    let simulator = Simulator::start(bulk())?;
    let mut agent = Agent::start(folder.path(), &simulator, &outbox.keys())?;
    let begun = Instant::now();
    let mut first = None;
    while begun.elapsed() < Duration::from_secs(30) {
        agent.ensure_running()?;
        if first.is_none() && simulator.ledger().counts().distinct > 0 {
            first = Some(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let first = first.map_or("never".into(), |first| format!("{:.0} ms", first.as_secs_f64() * 1e3));
    Ok(vec![
        line("start to first post, 1,000,000 waiting", "1 s", first),
        line("peak memory, 1,000,000 waiting", "48 MB", format!("{:.0} MB", agent.peak_mb()?)),
    ])
}

/// The same relay over TLS, and without.
pub fn tls(entries: usize) -> Anyhow<Vec<Line>> {
    let mut figures = Vec::new();
    // Both twice, in turns: the machine is not always equally fast.
    for is_tls in [false, true, false, true] {
        let folder = tempfile::tempdir()?;
        let tls = is_tls.then(|| certificate::localhost(folder.path(), None));
        let options = Options { tls, ..bulk() };
        let fill = Fill::usual(entries, "problems");
        figures.push(relay(folder.path(), &SqliteOutbox::new(folder.path())?, fill, options)?);
    }
    let ratio = (figures[1].rate + figures[3].rate) / (figures[0].rate + figures[2].rate);
    let cpu = |first: usize| (figures[first].cpu_us + figures[first + 2].cpu_us) / 2.0;
    let now = format!("{ratio:.2}, own CPU {:.0} µs against {:.0} µs", cpu(1), cpu(0));
    Ok(vec![line("TLS, SQLite", "0.7 of plain", now)])
}

/// An outbox with the trigger of notify.sql.
fn notifying() -> Anyhow<PostgresOutbox> {
    let outbox = PostgresOutbox::new()?;
    outbox.connection_point("bench", "all")?;
    let notify =
        scripts::POSTGRES.iter().find(|(name, _)| *name == "notify.sql").map_or("", |(_, text)| text);
    outbox.execute("SET search_path = public")?;
    outbox.execute(notify)?;
    Ok(outbox)
}

/// Of sorted times, the median and what 99 of 100 are below.
fn median_and_p99(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("median {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99))
}

/// From the commit of single rows until the simulator has stored their documents.
pub fn notify() -> Anyhow<Vec<Line>> {
    const ROWS: usize = 1_000;
    let folder = tempfile::tempdir()?;
    let outbox = notifying()?;
    let simulator = Simulator::start(bulk())?;
    let _agent = Agent::start(folder.path(), &simulator, &outbox.keys())?;
    let mut stored = simulator.ledger().stored();
    let fill = Fill::usual(ROWS, "all");
    let times = outbox.runtime.block_on(async {
        let mut times = Vec::with_capacity(ROWS);
        for number in 0..ROWS + 10 {
            outbox.client.batch_execute("BEGIN").await?;
            outbox.insert(&fill, number..number + 1).await?;
            outbox.client.batch_execute("COMMIT").await?;
            let committed = Instant::now();
            let all = u64::try_from(number)? + 1;
            tokio::time::timeout(Duration::from_secs(60), stored.wait_for(|count| *count >= all)).await??;
            // The first ones start the agent, its token and its connections.
            if number >= 10 {
                times.push(committed.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, anyhow::Error>(times)
    })?;
    let now = median_and_p99(times);
    Ok(vec![line("commit to stored with NOTIFY, single rows", "median 10 ms, p99 50 ms", now)])
}

/// The same while 2,000 rows a second are written, 20 in a transaction: from each commit until its documents arrive.
pub fn notify_under_load() -> Anyhow<Vec<Line>> {
    const ROWS: usize = 20;
    const EVERY: Duration = Duration::from_millis(10);
    const COMMITS: usize = 1_500;
    /// They start the agent, its token and its connections.
    const FIRST: usize = 100;
    let folder = tempfile::tempdir()?;
    let outbox = notifying()?;
    let epoch = Instant::now();
    // Every arrival is kept: which came when.
    let simulator = Simulator::start(Options::default())?;
    let _agent = Agent::start(folder.path(), &simulator, &outbox.keys())?;
    let fill = Fill::usual(ROWS * COMMITS, "all");
    let mut stored = simulator.ledger().stored();
    let commits = outbox.runtime.block_on(async {
        let mut commits = Vec::with_capacity(COMMITS);
        let mut clock = tokio::time::interval(EVERY);
        for commit in 0..COMMITS {
            clock.tick().await;
            outbox.client.batch_execute("BEGIN").await?;
            outbox.insert(&fill, commit * ROWS..(commit + 1) * ROWS).await?;
            outbox.client.batch_execute("COMMIT").await?;
            commits.push(epoch.elapsed());
        }
        let all = u64::try_from(fill.entries)?;
        tokio::time::timeout(Duration::from_secs(60), stored.wait_for(|count| *count >= all)).await??;
        Ok::<_, anyhow::Error>(commits)
    })?;
    let arrivals = simulator.ledger().arrivals();
    let arrived: BTreeMap<&str, u64> = arrivals.iter().map(|it| (&*it.message_id, it.at_ms)).collect();
    let times = (FIRST * ROWS..fill.entries).filter_map(|number| {
        let at = Duration::from_millis(*arrived.get(&*fill.message_id(number))?);
        Some(at.saturating_sub(commits[number / ROWS]))
    });
    let written =
        (COMMITS - FIRST) as f64 * ROWS as f64 / (commits[COMMITS - 1] - commits[FIRST - 1]).as_secs_f64();
    let now = format!("{}, {written:.0} written a second", median_and_p99(times.collect()));
    Ok(vec![line("the same under 2,000 rows a second", "median 10 ms, p99 50 ms", now)])
}

/// Twenty connection points with nothing to do, for two minutes.
pub fn idle() -> Anyhow<Vec<Line>> {
    const WATCHED: Duration = Duration::from_secs(120);
    let folder = tempfile::tempdir()?;
    let outbox = PostgresOutbox::new()?;
    for number in 1..=20 {
        outbox.connection_point(&format!("idle{number}"), "all")?;
    }
    let simulator = Simulator::start(bulk())?;
    let mut agent = Agent::start(folder.path(), &simulator, &outbox.keys())?;
    // What a start does is over.
    std::thread::sleep(Duration::from_secs(30));
    let writes =
        "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables";
    let transactions = "SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM bodrelay_status UNION ALL \
                        SELECT xmin FROM bodrelay_host) AS written";
    let state = folder.path().join("state");
    let (cpu, rows, files) = (agent.cpu()?, outbox.number(writes)?, changed_at(&state)?);
    std::thread::sleep(WATCHED);
    agent.ensure_running()?;
    let share = (agent.cpu()? - cpu).as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
    let rows = (outbox.number(writes)? - rows) as f64 / WATCHED.as_secs_f64() * 60.0;
    let after = changed_at(&state)?;
    let written: Vec<&str> = after
        .iter()
        .filter(|(name, at)| files.get(*name) != Some(at))
        .map(|(name, _)| name.as_str())
        .collect();
    let written = if written.is_empty() { "none".to_owned() } else { written.join(", ") };
    Ok(vec![
        line("idle, 20 connection points: CPU", "0.2 % of a core", format!("{share:.2} %")),
        line("idle: files written in state_dir", "none", written),
        line(
            "idle: rows written in the database a minute",
            "one a connection point",
            format!("{rows:.0}, in {} transaction", outbox.number(transactions)?),
        ),
    ])
}

/// The files of a folder, and when each was changed last.
fn changed_at(folder: &Path) -> Anyhow<BTreeMap<String, SystemTime>> {
    std::fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.modified()?))
        })
        .collect()
}
