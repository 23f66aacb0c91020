//! The diagnostic log: what the program prints, apart from the message log in the tables.
//!
//! Keys and counts only; the parts that know bodies, tokens or passwords never hand them to a log line.

use anyhow::{Context, Result};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, Rotate};

/// Begins to write. Called once.
pub fn start(log: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&log.level)
        .with_context(|| format!("[log] level = {:?}: write error, warn, info, debug or trace", log.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match (&log.file, log.format) {
        (None, LogFormat::Text) => builder.with_writer(std::io::stderr).with_ansi(false).init(),
        (None, LogFormat::Json) => builder.with_writer(std::io::stderr).json().init(),
        (Some(file), format) => {
            let writer = std::sync::Mutex::new(appender(log, file)?);
            match format {
                LogFormat::Text => builder.with_writer(writer).with_ansi(false).init(),
                LogFormat::Json => builder.with_writer(writer).json().init(),
            }
        }
    }
    Ok(())
}

fn appender(log: &Log, file: &std::path::Path) -> Result<RollingFileAppender> {
    let folder = file.parent().unwrap_or(std::path::Path::new("."));
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
    RollingFileAppender::builder()
        .rotation(match log.rotate {
            Rotate::Daily => Rotation::DAILY,
            Rotate::Hourly => Rotation::HOURLY,
            Rotate::Never => Rotation::NEVER,
        })
        .filename_prefix(name)
        .filename_suffix(extension)
        .max_log_files(log.keep_days.max(1))
        .build(folder)
        .with_context(|| format!("[log] file: the log cannot be written to {}", folder.display()))
}
