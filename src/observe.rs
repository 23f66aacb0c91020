//! The diagnostic log: what the program prints, apart from the message log in the tables.
//!
//! Keys and counts only; the parts that know bodies, tokens or passwords never hand them to a log line. What comes from
//! outside acts neither on a terminal nor as a line of its own.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use tracing_subscriber::EnvFilter;

use crate::clock::{Clock, SystemClock};
use crate::config::{Log, LogFormat, Rotate};
use crate::domain::outside::printable;

/// Begins to write. Called once; the file, where there is one, can be opened again.
pub fn start(log: &Log) -> Result<Option<LogFile>> {
    let filter = EnvFilter::try_new(&log.level)
        .with_context(|| format!("[log] level = {:?}: write error, warn, info, debug or trace", log.level))?;
    let file = log.file.as_deref().map(|file| LogFile::open(log, file)).transpose()?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(false);
    match (file.clone(), log.format) {
        (None, LogFormat::Text) => builder.with_writer(|| Lines(io::stderr())).init(),
        (None, LogFormat::Json) => builder.with_writer(|| Lines(io::stderr())).json().init(),
        (Some(file), LogFormat::Text) => builder.with_writer(move || Lines(file.clone())).init(),
        (Some(file), LogFormat::Json) => builder.with_writer(move || Lines(file.clone())).json().init(),
    }
    Ok(file)
}

/// Writes lines, one a call, with nothing in them that acts.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        self.0.write_all(format!("{}{end}", printable(line)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The log's file: one a day or an hour, the old ones deleted by their age. Clones share it.
#[derive(Clone)]
pub struct LogFile(Arc<Mutex<Rolling>>);

struct Rolling {
    folder: PathBuf,
    stem: String,
    extension: String,
    rotate: Rotate,
    keep_days: i64,
    /// The name under which the open file was opened.
    name: String,
    file: File,
}

impl LogFile {
    fn open(log: &Log, path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (stem, extension) = (text(path.file_stem()), text(path.extension()));
        let name = name_of(&stem, &extension, log.rotate, SystemClock.now());
        let file = std::fs::create_dir_all(folder)
            .and_then(|()| append_to(&folder.join(&name)))
            .with_context(|| format!("[log] file: the log cannot be written to {}", folder.display()))?;
        let rolling = Rolling {
            folder: folder.to_owned(),
            stem,
            extension,
            rotate: log.rotate,
            keep_days: i64::try_from(log.keep_days).unwrap_or(i64::MAX).clamp(1, 36_500),
            name,
            file,
        };
        rolling.delete_old(SystemClock.now());
        Ok(Self(Arc::new(Mutex::new(rolling))))
    }

    /// Opens the file again under its name: something else has moved it away.
    ///
    /// # Errors
    /// It cannot be opened; the one that is open goes on.
    pub fn reopen(&self) -> Result<()> {
        let mut rolling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now();
        rolling
            .turn(now)
            .with_context(|| format!("the log cannot be opened again in {}", rolling.folder.display()))
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rolling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now();
        if rolling.name != name_of(&rolling.stem, &rolling.extension, rolling.rotate, now) {
            // Where the next file cannot be opened, the line is worth more than its place.
            let _ = rolling.turn(now);
        }
        rolling.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rolling {
    fn turn(&mut self, now: DateTime<Utc>) -> io::Result<()> {
        let name = name_of(&self.stem, &self.extension, self.rotate, now);
        self.file = append_to(&self.folder.join(&name))?;
        self.name = name;
        self.delete_old(now);
        Ok(())
    }

    /// Deletes the files that this rotation wrote, days ago; never another one, whatever its name begins with.
    fn delete_old(&self, now: DateTime<Utc>) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        if matches!(self.rotate, Rotate::Never) {
            return;
        }
        let first = now.date_naive() - TimeDelta::days(self.keep_days - 1);
        for entry in entries.flatten() {
            let name = entry.file_name();
            let day = name.to_str().and_then(|name| day_of(&self.stem, &self.extension, name));
            if day.is_some_and(|day| day < first) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// How a file's name says its time.
const DAILY: &str = "%Y-%m-%d";
const HOURLY: &str = "%Y-%m-%d-%H";

/// `agent.2026-01-31.log` of `agent.log`.
fn name_of(stem: &str, extension: &str, rotate: Rotate, now: DateTime<Utc>) -> String {
    let time = match rotate {
        Rotate::Daily => now.format(DAILY).to_string(),
        Rotate::Hourly => now.format(HOURLY).to_string(),
        Rotate::Never => String::new(),
    };
    [stem, &time, extension].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

/// The day of a file whose name is one that `name_of` gives; `None` for any other.
fn day_of(stem: &str, extension: &str, name: &str) -> Option<NaiveDate> {
    let time = name.strip_prefix(stem)?.strip_prefix('.')?;
    let time = match extension {
        "" => time,
        extension => time.strip_suffix(extension)?.strip_suffix('.')?,
    };
    let day = NaiveDate::parse_from_str(time, DAILY)
        .or_else(|_| {
            NaiveDateTime::parse_from_str(&format!("{time}:00"), "%Y-%m-%d-%H:%M").map(|time| time.date())
        })
        .ok()?;
    // As it is written, not as it could be read.
    let rest = time.strip_prefix(&day.format(DAILY).to_string())?;
    let is_hour = |rest: &str| rest.len() == 3 && rest.starts_with('-');
    (rest.is_empty() || is_hour(rest)).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(rotate: Rotate, keep_days: usize) -> Log {
        Log { rotate, keep_days, ..Log::default() }
    }

    #[test]
    fn only_files_of_its_own_are_deleted_and_by_their_days() {
        let folder = tempfile::tempdir().unwrap();
        let today = SystemClock.now();
        let day = |ago: i64| (today - TimeDelta::days(ago)).format(DAILY).to_string();
        let others = [
            "agent-notes-1.log".to_owned(),
            "agent.log".to_owned(),
            format!("agent.{}.txt", day(90)),
            format!("agentx.{}.log", day(90)),
            format!("agent.{}.log.gz", day(90)),
            format!("agent.{}-note.log", day(90)),
            "agent.2020-1-1.log".to_owned(),
            "agent.old.log".to_owned(),
        ];
        // Many of one day are still of that day.
        let hours = (0..24).map(|hour| format!("agent.{}-{hour:02}.log", day(1)));
        let kept: Vec<String> =
            others.into_iter().chain(hours).chain([format!("agent.{}.log", day(2))]).collect();
        let old = [format!("agent.{}.log", day(3)), format!("agent.{}-07.log", day(90))];
        for name in kept.iter().chain(&old) {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let _log = LogFile::open(&log(Rotate::Daily, 3), &folder.path().join("agent.log")).unwrap();
        for name in &kept {
            assert!(folder.path().join(name).exists(), "{name} is gone");
        }
        for name in &old {
            assert!(!folder.path().join(name).exists(), "{name} is still there");
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        let mut file = LogFile::open(&log(Rotate::Never, 1), &path).unwrap();
        file.write_all(b"one\n").unwrap();
        std::fs::rename(&path, folder.path().join("agent.log.1")).unwrap();
        file.write_all(b"two\n").unwrap();
        file.reopen().unwrap();
        file.write_all(b"three\n").unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((&*read("agent.log.1"), &*read("agent.log")), ("one\ntwo\n", "three\n"));
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut out = Vec::new();
        Lines(&mut out).write_all("a\u{1b}[2Jb\n2026-01-01 forged\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\\u001b[2Jb\\u000a2026-01-01 forged\n");
    }
}
