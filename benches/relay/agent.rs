//! The agent as a child process, and what it uses.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bodrelay::simulator::{Options, Simulator};

use super::Anyhow;
use super::outbox::{Fill, Outbox};

/// A running agent; it is killed when it is dropped.
pub struct Agent(Child);

impl Agent {
    /// Starts one that sends the outbox of `keys` to a simulator. Its state is in `folder`; a `ca.pem` there is trusted.
    pub fn start(folder: &Path, simulator: &Simulator, keys: &str) -> Anyhow<Self> {
        bodrelay::platform::replace_file(&folder.join("demo.ionapi"), simulator.ionapi_json().as_bytes())?;
        let authority = folder.join("ca.pem");
        let ca_file = if authority.exists() { format!("ca_file = {authority:?}\n") } else { String::new() };
        let config = format!(
            "[agent]\nhost = \"bench\"\nlocation = \"BENCH\"\nstate_dir = \"state\"\n[log]\nlevel = \"error\"\n\
             [[ion]]\ncredentials = \"demo.ionapi\"\n{ca_file}[[database]]\nname = \"site\"\n{keys}"
        );
        std::fs::write(folder.join("bodrelay.toml"), config)?;
        let child = Command::new(env!("CARGO_BIN_EXE_bodrelay"))
            .args(["run", "--config"])
            .arg(folder.join("bodrelay.toml"))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    pub fn ensure_running(&mut self) -> Anyhow<()> {
        anyhow::ensure!(self.0.try_wait()?.is_none(), "the agent ended early");
        Ok(())
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Anyhow<Duration> {
        /// Clock ticks a second, as Linux counts them for user space.
        const TICKS: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }

    /// The most memory that it had so far, MB.
    pub fn peak_mb(&self) -> Anyhow<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let kilobytes: f64 = peak.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kilobytes / 1024.0)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What relaying a whole outbox took.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Messages a second, from the agent's start to the last one stored.
    pub rate: f64,
    /// The agent's own CPU a message, until every row carries its flag.
    pub cpu_us: f64,
    pub peak_mb: f64,
    /// The longest time in which nothing was stored, from the first one to the last.
    pub pause: Duration,
}

/// Fills an outbox and relays it.
pub fn relay(folder: &Path, outbox: &dyn Outbox, fill: Fill, options: Options) -> Anyhow<Figures> {
    let simulator = Simulator::start(options)?;
    outbox.fill(fill)?;
    let all = outbox.done()? + i64::try_from(fill.entries)?;
    // The disk has nothing else to write than what the agent and the database give it.
    anyhow::ensure!(Command::new("sync").status()?.success(), "sync failed");
    let mut agent = Agent::start(folder, &simulator, &outbox.keys())?;
    let begun = Instant::now();
    let (mut before, mut since, mut pause) = (0, None::<Instant>, Duration::ZERO);
    loop {
        let stored = simulator.ledger().counts().distinct;
        if stored > before {
            pause = pause.max(since.map_or(Duration::ZERO, |since| since.elapsed()));
            (before, since) = (stored, Some(Instant::now()));
        }
        if stored >= fill.entries as u64 {
            break;
        }
        agent.ensure_running()?;
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(600), "not done after 10 minutes: {stored}");
        std::thread::sleep(Duration::from_millis(2));
    }
    let posted = begun.elapsed();
    settled(outbox, all)?;
    Ok(Figures {
        rate: fill.entries as f64 / posted.as_secs_f64(),
        cpu_us: agent.cpu()?.as_secs_f64() * 1e6 / fill.entries as f64,
        peak_mb: agent.peak_mb()?,
        pause,
    })
}

/// Waits until every row carries its flag, so that the CPU figure holds the whole path.
fn settled(outbox: &dyn Outbox, all: i64) -> Anyhow<()> {
    let begun = Instant::now();
    loop {
        let done = outbox.done()?;
        if done >= all {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "only {done} rows are flagged");
        std::thread::sleep(Duration::from_millis(20));
    }
}
