//! The show: a database, a simulated ION full of faults that takes and sends documents, and an agent that is killed
//! again and again.
//!
//! Everything is real but ION: the scripts that a DBA runs, the binary as a child process with an ordinary
//! configuration file, SIGKILL, SQLite, sockets. In the end outbox, inbox, message log, journal and the simulator's
//! ledgers must tell the same story.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::platform;
use crate::simulator::connector::{Connector, Target};
use crate::simulator::{Options, Simulator};

mod inbound;
mod judge;
mod orders;
mod site;

pub use inbound::Inbound;
pub use judge::Report;
use site::Site;

/// The document that ION never takes while others pass.
const NEVER_TAKEN: &str = "NEVER-TAKEN";
/// The document that ION rejects.
const REJECTED: &str = "REJECTED";
/// Documents that ION sends.
const DELIVERIES: usize = 500;
/// The consumer secret of the demo: it protects nothing.
const SECRET: &str = "the demo's secret";
/// Longer than this nobody watches.
const PATIENCE: Duration = Duration::from_secs(90);

/// What to show.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Entries in the outbox at the start; some more come while it runs.
    pub messages: usize,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Everything stays in this folder.
    pub keep: Option<PathBuf>,
    /// No progress on the terminal.
    pub quiet: bool,
}

/// Runs the demo and judges it.
pub fn run(settings: &Settings) -> Result<Report> {
    let temporary = std::env::temp_dir().join(format!("bodrelay-demo-{}", std::process::id()));
    let folder = settings.keep.clone().unwrap_or(temporary);
    // Nothing of anybody is written over: the file of a real agent has this name, too.
    for name in ["site.db", "bodrelay.toml", "demo.ionapi", "secret", "ledger.jsonl", "agent.log", "state"] {
        ensure!(
            !folder.join(name).exists(),
            "{} holds {name}, which is left as it is; name an empty folder with --keep",
            folder.display()
        );
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let report = play(settings, &folder);
    if settings.keep.is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    report
}

#[expect(
    clippy::disallowed_methods,
    reason = "it watches another process, and nothing else runs in this one"
)]
fn play(settings: &Settings, folder: &Path) -> Result<Report> {
    let mut random = fastrand::Rng::with_seed(settings.seed);
    let mut site = Site::make(&folder.join("site.db"), &mut random)?;
    site.fill(settings.messages)?;
    let simulator = Simulator::start(Options {
        seed: settings.seed,
        script: serde_json::from_value(faults()).context("the demo's fault script")?,
        ledger: Some(folder.join("ledger.jsonl")),
        ..Options::default()
    })?;
    platform::replace_file(&folder.join("demo.ionapi"), simulator.ionapi_json().as_bytes())?;
    // The agent is started again and again, so its port must not change.
    let listen = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    std::fs::write(folder.join("bodrelay.toml"), configuration(listen))?;
    platform::replace_file(&folder.join("secret"), SECRET.as_bytes())?;
    let deliveries = site.deliveries(DELIVERIES);
    let connector = Connector::start(
        Target {
            base_url: format!("http://{listen}/demo/service"),
            tenant_id: simulator.tenant_id().to_owned(),
            consumer_key: "demo".into(),
            consumer_secret: SECRET.into(),
        },
        deliveries,
        settings.seed,
    )?;
    let progress = progress(settings);
    let begun = Instant::now();
    let mut agent = Agent::start(folder)?;
    let mut kills: Vec<u64> =
        [2, 5, 8].iter().map(|tenth| (settings.messages as u64 * tenth / 10).max(1)).collect();
    kills.iter_mut().for_each(|at| *at = at.saturating_sub(random.u64(0..20)).max(1));
    let mut killed = 0;
    let mut next_rows = Instant::now();
    let mut all_done = None;
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        agent.must_live()?;
        let stored = simulator.ledger().counts().distinct;
        progress.set_position(stored);
        // ION's own documents come as long as the others go.
        let share = (stored as f64 / settings.messages as f64).min(1.0);
        connector.allow(50 + (share * DELIVERIES as f64) as usize);
        if kills.first().is_some_and(|at| stored >= *at) {
            kills.remove(0);
            agent.kill()?;
            killed += 1;
            progress.set_message(format!("killed {killed} times"));
            agent = Agent::start(folder)?;
        }
        // Others must pass for ION's no to one document to be judged as that document's fault.
        if next_rows <= Instant::now() && !site.is_failed(NEVER_TAKEN)? {
            site.fill_some(5)?;
            site.work()?;
            next_rows = Instant::now() + Duration::from_millis(250);
        }
        if kills.is_empty() && site.is_done()? && connector.is_done() {
            all_done = Some(begun.elapsed());
            break;
        }
    }
    agent.stop()?;
    progress.finish_and_clear();
    let mut report = judge::judge(&site, &simulator, folder)?;
    report.kills = killed;
    report.seed = settings.seed;
    report.seconds = all_done.unwrap_or(PATIENCE).as_secs_f64();
    report.messages_per_second = report.accepted as f64 / report.seconds;
    report.inbound = inbound::judge(&site, &connector.ledger())?;
    report.agreed &= all_done.is_some() && report.inbound.is_agreed(DELIVERIES, site::BAD_DELIVERIES);
    Ok(report)
}

/// What goes wrong at ION. Spread over the run, so that each shows its effect.
fn faults() -> serde_json::Value {
    serde_json::json!({ "faults": [
        { "fault": { "refuse": { "status": 412, "text": "the connection point is inactive" } },
          "document_name": "Sync.Shipment", "until_ms": 2500 },
        { "fault": { "refuse": { "status": 400, "text": "element Quantity is missing" } }, "document_id": REJECTED },
        { "fault": { "refuse": { "status": 500, "text": "an error without a name" } }, "document_id": NEVER_TAKEN },
        { "fault": { "refuse": { "status": 503 } }, "after_arrivals": 150, "times": 20 },
        { "fault": "token_expired", "after_arrivals": 250, "times": 1 },
        { "fault": "reset_before_store", "after_arrivals": 300, "times": 3 },
        { "fault": "store_then_lose_answer", "after_arrivals": 350, "times": 5 },
        { "fault": "never_answer", "after_arrivals": 400, "times": 1 },
        { "fault": { "slow": { "ms": 300 } }, "after_arrivals": 420, "times": 10 },
        { "fault": { "refuse": { "status": 429, "retry_after": 1 } }, "after_arrivals": 500, "times": 1 },
        { "fault": "redirect", "after_arrivals": 600, "times": 1 },
        { "fault": "garbage", "after_arrivals": 700, "times": 1 },
        { "fault": { "refuse": { "status": 503 } }, "after_arrivals": 900, "times": 10 }
    ]})
}

fn configuration(listen: SocketAddr) -> String {
    format!(
        "\
[agent]
host = \"demo\"
location = \"DEMO\"
state_dir = \"state\"
control_read_seconds = 1
[log]
level = \"info\"
[listen]
address = \"{listen}\"
[[listen.caller]]
name = \"ion\"
auth = \"oauth1\"
key = \"demo\"
secret_file = \"secret\"
[[ion]]
credentials = \"demo.ionapi\"
request_timeout_seconds = 3
[[database]]
name = \"site\"
kind = \"sqlite\"
path = \"site.db\"
"
    )
}

fn progress(settings: &Settings) -> ProgressBar {
    if settings.quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(settings.messages as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} documents at ION, {elapsed} {msg}")
    {
        bar.set_style(style);
    }
    bar
}

/// The agent as a child process; killed when dropped.
struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Result<Self> {
        let log = folder.join("agent.log");
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(folder.join("bodrelay.toml"))
            .args(["--if-running", "wait"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context("the agent cannot be started")?;
        Ok(Self { child, log })
    }

    fn must_live(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                anyhow::bail!("the agent ended by itself ({status}); its log is {}", self.log.display())
            }
        }
    }

    /// SIGKILL: nothing of the process gets to say a word.
    fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and wait for the orderly end.
    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            platform::ask_to_stop(&mut self.child)?;
        }
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "the agent did not end in order ({status}); its log is {}",
            self.log.display()
        );
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
