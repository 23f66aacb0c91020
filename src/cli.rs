//! The commands, their help, and what they print.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::app::{self, Ending, IfRunning, StateLock};
use crate::check;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::database::DatabaseError;
use crate::database::statements::scripts;
use crate::domain::outside::printable_lines;
use crate::outbound::Mode;
use crate::{crash, demo, journal, observe, platform, simulator};

mod compose;
mod describe;
mod log;
mod status;

/// Relays Business Object Documents from a database's outbox tables to Infor ION.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    /// The configuration file
    #[arg(long, short, global = true, env = "BODRELAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Relay documents until stopped (SIGTERM, Ctrl+C); with [listen] in the configuration, receive what ION sends, too
    Run(Work),
    /// Relay what is there, then end: for cron and SQL Agent; it sends only, since nobody listens when it has ended
    Once(Work),
    /// Look at everything that is needed, say what is wrong and what to do; changes nothing
    Check {
        /// One JSON object, for programs
        #[arg(long)]
        json: bool,
        /// Print the settings in force, with secrets masked, and look at nothing
        #[arg(long, conflicts_with = "json")]
        print_config: bool,
    },
    /// List messages: what was sent, what failed and why
    Log(log::LogArguments),
    /// Compose one document from the application's rows and print it, with what its queries gave; writes nothing
    Compose(compose::ComposeArguments),
    /// Show how every connection point stands, as the agents last said
    Status {
        /// One JSON object a line, with every column
        #[arg(long)]
        json: bool,
    },
    /// Write a Markdown page of what is set up here: connection points, documents, schedules, agents; no secrets
    Describe {
        /// Where to; else standard output
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Copy the journal into a new file, checked, also while the agent runs: what to put back when the journal is lost
    Backup {
        /// The new file; one that exists is not overwritten
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print a script for the database: install, uninstall, grants, examples, audit
    Sql {
        /// sqlite, postgres or mssql
        dialect: String,
        /// install, uninstall, grants, examples, audit; for postgres also notify (new rows are sent at once)
        script: String,
        /// With install: the I/O Box tables too, for sites without
        #[arg(long)]
        with_iobox: bool,
    },
    /// Show it all: a database, a simulated ION full of faults that takes and sends, an agent that is killed again and
    /// again
    Demo {
        /// Entries in the outbox at the start
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
        messages: u32,
        /// Repeats what is left to chance
        #[arg(long)]
        seed: Option<u64>,
        /// Keep everything in this folder
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
        /// Print only the result, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stand in for ION on this machine, with scripted faults: for trying and testing
    Simulate {
        /// Address and port to listen on
        #[arg(long, default_value = "127.0.0.1:28090")]
        listen: SocketAddr,
        /// Faults to play, as JSON
        #[arg(long, value_name = "FILE")]
        faults: Option<PathBuf>,
        /// Write every stored message here, one JSON line each
        #[arg(long, value_name = "FILE")]
        ledger: Option<PathBuf>,
        /// Where to write the credential file that fits
        #[arg(long, value_name = "FILE", default_value = "simulator.ionapi")]
        ionapi: PathBuf,
        /// Decides chances and secrets
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Work {
    /// When another bodrelay works with the same state directory; without it, run waits and once fails
    #[arg(long, value_enum)]
    if_running: Option<IfRunning>,
    /// End with 0 unless the configuration is wrong ("config"): for schedulers that know one good code
    #[arg(long, value_name = "config", value_parser = ["config"])]
    exit_zero_unless: Option<String>,
}

/// Runs the command line; the exit code is that of tables.md.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bodrelay: {}", printable_lines(&format!("{error:#}")));
            let ending = match error.chain().any(|cause| cause.is::<DatabaseError>()) {
                true => Ending::Unreachable,
                false => Ending::Configuration,
            };
            ExitCode::from(ending.code())
        }
    }
}

fn carry_out(arguments: Arguments) -> Result<u8> {
    match arguments.command {
        Command::Run(ref work) => work_on(&read_config(&arguments)?, work, Mode::Run),
        Command::Once(ref work) => work_on(&read_config(&arguments)?, work, Mode::Once),
        Command::Check { json, print_config } => look(read_config(&arguments), json, print_config),
        Command::Log(ref filters) => list_messages(&read_config(&arguments)?, filters),
        Command::Compose(ref asked) => show_composed(&read_config(&arguments)?, asked),
        Command::Status { json } => show_status(&read_config(&arguments)?, json),
        Command::Describe { ref file } => describe(&read_config(&arguments)?, file.as_deref()),
        Command::Backup { ref file } => copy_journal(&read_config(&arguments)?, file),
        Command::Sql { dialect, script, with_iobox } => print_script(&dialect, &script, with_iobox),
        Command::Demo { messages, seed, keep, json } => {
            let messages = usize::try_from(messages)?;
            let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
            show_demo(&demo::Settings { messages, seed, keep, quiet: json }, json)
        }
        Command::Simulate { listen, faults, ledger, ionapi, seed } => {
            simulate(listen, faults, ledger, &ionapi, seed)
        }
    }
}

fn read_config(arguments: &Arguments) -> Result<Config> {
    Config::read(&arguments.config.clone().unwrap_or_else(platform::default_config))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

fn work_on(config: &Config, work: &Work, mode: Mode) -> Result<u8> {
    let log = observe::start(&config.log)?;
    crash::arm(std::env::var(crash::VARIABLE).ok())?;
    let terms = crash::terms(std::env::var(crash::LAPSE_VARIABLE).ok())?;
    let runtime = runtime()?;
    // From here on SIGHUP ends nothing, also while another agent is waited for.
    let hangups = {
        let _entered = runtime.enter();
        platform::Hangups::listen().context("signals cannot be received")?
    };
    let if_running = work.if_running.unwrap_or(match mode {
        Mode::Run => IfRunning::Wait,
        Mode::Once => IfRunning::Fail,
    });
    let Some(lock) = StateLock::take(&config.agent.state_dir, if_running)? else {
        let state_dir = config.agent.state_dir.display();
        if if_running == IfRunning::Skip {
            say(format_args!("another bodrelay works with {state_dir}; nothing to do"))?;
            return Ok(Ending::Done.code());
        }
        let _ = writeln!(
            std::io::stderr(),
            "bodrelay: another bodrelay works with the state directory {state_dir}; stop it, or use --if-running skip or \
             wait"
        );
        return Ok(if work.exit_zero_unless.is_some() { 0 } else { Ending::Busy.code() });
    };
    let again = app::Again { hangups, log };
    let ending = match runtime.block_on(app::run(config, mode, terms, &lock, again)) {
        Ok(ending) => ending,
        Err(error) => {
            tracing::error!("{error:#}");
            // Standard error has it, in the form that the log is to have.
            if config.log.file.is_none() && tracing::enabled!(tracing::Level::ERROR) {
                return Ok(Ending::Configuration.code());
            }
            return Err(error);
        }
    };
    let excused = work.exit_zero_unless.is_some() && ending != Ending::Configuration;
    Ok(if excused { 0 } else { ending.code() })
}

fn look(config: Result<Config>, json: bool, print_config: bool) -> Result<u8> {
    let config = match config {
        Ok(config) if print_config => return print(&check::effective(&config)).map(|()| 0),
        Ok(config) => config,
        Err(error) if print_config => return Err(error),
        Err(error) => return say_found(&check::Report::of_wrong_file(format!("{error:#}")), json),
    };
    let databases =
        config.database.iter().map(|settings| app::database(settings, &config.agent.host)).collect();
    let runtime = runtime()?;
    let report = runtime.block_on(check::run(&config, databases, SystemClock.now()));
    // A look that hangs has become a finding; nobody waits for its thread.
    runtime.shutdown_background();
    say_found(&report, json)
}

fn say_found(report: &check::Report, json: bool) -> Result<u8> {
    print(&if json { check::as_json(report) } else { check::as_text(report) })?;
    Ok(report.exit_code())
}

fn list_messages(config: &Config, filters: &log::LogArguments) -> Result<u8> {
    let listing = runtime()?.block_on(log::search(config, filters))?;
    print(&listing.text)?;
    told(&listing.errors)
}

fn show_composed(config: &Config, asked: &compose::ComposeArguments) -> Result<u8> {
    let composed = runtime()?.block_on(compose::show(config, asked))?;
    show_document(&composed.document)?;
    // Beside the document, so that it can be sent into a file.
    let _ = std::io::stderr().write_all(printable_lines(&composed.remarks).as_bytes());
    Ok(u8::from(composed.refused))
}

fn show_status(config: &Config, json: bool) -> Result<u8> {
    let shown = runtime()?.block_on(status::show(config, json));
    print(&shown.text)?;
    told(&shown.errors)
}

fn describe(config: &Config, file: Option<&std::path::Path>) -> Result<u8> {
    let (page, errors) = runtime()?.block_on(describe::page(config, SystemClock.now()));
    match file {
        Some(file) => {
            std::fs::write(file, page).with_context(|| format!("{} cannot be written", file.display()))?
        }
        None => print(&page)?,
    }
    told(&errors)
}

/// Why a database was not read, in the server's own words.
fn not_read(error: DatabaseError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

/// Databases that could not be read.
fn told(errors: &[String]) -> Result<u8> {
    for error in errors {
        let _ = writeln!(std::io::stderr(), "bodrelay: {}", printable_lines(error));
    }
    Ok(if errors.is_empty() { 0 } else { Ending::Unreachable.code() })
}

fn copy_journal(config: &Config, file: &std::path::Path) -> Result<u8> {
    let journal = app::journal_path(config);
    let copy = journal::backup(&journal, file)
        .with_context(|| format!("the journal was not copied to {}", file.display()))?;
    say(format_args!(
        "{} bytes in {}, checked: the journal {}",
        copy.bytes,
        file.display(),
        copy.journal_id
    ))?;
    say(format_args!(
        "To restore it: stop the agent, move {0} and the files {0}-wal and {0}-shm away, put this copy there as {0}, \
         and start the agent. It sees that its journal is older than the database (finding JOURNAL_RESTORED), looks at \
         the row of every message that the copy has open, and marks what may have been sent since in doubt; those go \
         out under the same ids. A newer journal that can still be read is always the better one.",
        journal.display()
    ))?;
    Ok(0)
}

fn print_script(dialect: &str, script: &str, with_iobox: bool) -> Result<u8> {
    let (scripts, iobox) = match dialect {
        "sqlite" => (scripts::SQLITE, scripts::SQLITE_IOBOX),
        "postgres" => (scripts::POSTGRES, scripts::POSTGRES_IOBOX),
        "mssql" => (scripts::MSSQL, scripts::MSSQL_IOBOX),
        _ => anyhow::bail!("{dialect} is no dialect: write sqlite, postgres or mssql"),
    };
    // The numbered scripts are one installation; one of them alone is for tables that are older.
    let is_meant = |name: &str| match script {
        "install" => name.starts_with(|first: char| first.is_ascii_digit()),
        other => name.strip_suffix(".sql") == Some(other),
    };
    let texts: Vec<&str> = scripts.iter().filter(|(name, _)| is_meant(name)).map(|(_, text)| *text).collect();
    if texts.is_empty() {
        let notify = if dialect == "postgres" { ", notify" } else { "" };
        anyhow::bail!("there is no script {script}: use install, uninstall, grants, examples, audit{notify}");
    }
    let mut out = std::io::stdout().lock();
    if with_iobox {
        anyhow::ensure!(script == "install", "--with-iobox goes with install");
        out.write_all(iobox.as_bytes())?;
    }
    for text in texts {
        out.write_all(text.as_bytes())?;
    }
    Ok(0)
}

fn show_demo(settings: &demo::Settings, json: bool) -> Result<u8> {
    let report = demo::run(settings)?;
    if json {
        say(format_args!("{}", serde_json::to_string(&report)?))?;
    } else {
        print_demo(&report, settings.keep.as_deref())?;
    }
    Ok(u8::from(!report.agreed))
}

fn print_demo(report: &demo::Report, kept: Option<&std::path::Path>) -> Result<()> {
    let row = |what: &str, figure: String| say(format_args!("  {what:<44}{figure:>9}"));
    row("written to the outbox", report.written.to_string())?;
    row("accepted by ION", report.accepted.to_string())?;
    for (code, count) in &report.failed {
        row(&format!("failed: {code}"), count.to_string())?;
    }
    for (reason, count) in &report.left {
        row(&format!("left at 0: {reason}"), count.to_string())?;
    }
    row("composed from changes of orders", report.composed.documents.to_string())?;
    row("row changes in them", report.composed.changes.to_string())?;
    row("sent more than once", report.retried.to_string())?;
    row("in doubt on the way", report.in_doubt.to_string())?;
    row("repeats that ION saw (same id, same bytes)", report.repeats_seen.to_string())?;
    row("order violations", report.order_violations.to_string())?;
    row("lost", report.lost.to_string())?;
    row("flags that nothing explains", report.unexplained_flags.to_string())?;
    row("sent by ION", report.inbound.sent.to_string())?;
    row("stored in the inbox", report.inbound.stored.to_string())?;
    row("repeats and duplicates, not stored again", report.inbound.duplicates.to_string())?;
    row("refused: wrong or not listed", report.inbound.refused.to_string())?;
    row("lost on the way in", report.inbound.lost.to_string())?;
    row("kills (SIGKILL)", report.kills.to_string())?;
    row("seconds", format!("{:.1}", report.seconds))?;
    let verdict = match report.agreed {
        true => "Outbox, inbox, message log, journal and ION's own ledgers tell the same story.",
        false => {
            "They do NOT tell the same story: this is a bug. Run it again with the same seed and --keep."
        }
    };
    say(format_args!("{verdict} Seed {}.", report.seed))?;
    match kept {
        Some(folder) => say(format_args!(
            "Look further:\n  sqlite3 {} \"SELECT noun, document_id, state, attempts, failure_code, remedy FROM \
             bodrelay_message_log WHERE state <> 'accepted' OR attempts > 1\"",
            folder.join("site.db").display()
        )),
        None => say(format_args!("With --keep DIR everything stays there to be looked at with SQL.")),
    }
}

fn simulate(
    listen: SocketAddr,
    faults: Option<PathBuf>,
    ledger: Option<PathBuf>,
    ionapi: &std::path::Path,
    seed: u64,
) -> Result<u8> {
    let running = simulator::run_command(listen, faults.as_deref(), ledger.as_deref(), ionapi, seed)?;
    say(format_args!("ION is simulated at {}", running.base_url))?;
    say(format_args!("the credential that fits is in {}", running.ionapi.display()))?;
    runtime()?.block_on(async {
        platform::asked_to_stop()?.await;
        Ok::<_, std::io::Error>(())
    })?;
    Ok(0)
}

/// What was asked for, with nothing in it that a terminal would carry out; a reader that has seen enough (`| head`) is no
/// error.
fn print(text: &str) -> Result<()> {
    write_out(&printable_lines(text))
}

fn write_out(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written"),
    }
}

/// A document: as it is into a file or a pipe, since it is to be sent; without what acts on a terminal.
fn show_document(document: &str) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => print(document),
        false => write_out(document),
    }
}

/// A line for the person who typed the command; a closed pipe is no error.
fn say(line: std::fmt::Arguments<'_>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
