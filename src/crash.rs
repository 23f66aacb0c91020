//! Named points at which a test can end the process, as a power cut would, and the lapse that a test can shorten.
//!
//! Compiled into every build and armed only by `BODRELAY_CRASH_AT=<verb>:<n>` (the n-th passing of that point, from
//! 1) and `BODRELAY_LAPSE_SECONDS`, so that what is tested is what is shipped. Armed and fired are both loud in the log.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::lease::Terms;

/// Every point: in the order in which a message passes them, then those of commands, then those of what is received.
pub const POINTS: [&str; 12] = [
    "after_change_read",
    "after_compose",
    "after_compose_write",
    "after_scan",
    "after_admit",
    "after_begin",
    "after_post",
    "after_record",
    "after_settle",
    "after_reset",
    "after_store",
    "before_answer",
];

/// The environment variable that arms one point.
pub const VARIABLE: &str = "BODRELAY_CRASH_AT";

/// The environment variable that shortens the lapse of an owner.
pub const LAPSE_VARIABLE: &str = "BODRELAY_LAPSE_SECONDS";

struct Armed {
    point: String,
    at: u64,
    passed: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Reads the environment variable. An unreadable value is an error: a test that fires nothing proves nothing.
pub fn arm(value: Option<String>) -> anyhow::Result<()> {
    let armed = match value {
        None => None,
        Some(value) => {
            let (point, at) = value
                .split_once(':')
                .and_then(|(point, at)| Some((point, at.parse().ok().filter(|at| *at > 0)?)))
                .filter(|(point, _)| POINTS.contains(point))
                .ok_or_else(|| {
                    anyhow::anyhow!(
                        "{VARIABLE} = {value}: write <point>:<n> with one of {}",
                        POINTS.join(", ")
                    )
                })?;
            tracing::error!(point, at, "armed to end this process without warning: for tests only");
            Some(Armed { point: point.to_owned(), at, passed: AtomicU64::new(0) })
        }
    };
    let _ = ARMED.set(armed);
    Ok(())
}

/// How long the claims of this process last: `lease::LAPSE`, unless `BODRELAY_LAPSE_SECONDS` says otherwise.
pub fn terms(value: Option<String>) -> anyhow::Result<Terms> {
    let Some(value) = value else { return Ok(Terms::default()) };
    let seconds = value.parse().ok().filter(|seconds| (3..=600).contains(seconds));
    let seconds =
        seconds.ok_or_else(|| anyhow::anyhow!("{LAPSE_VARIABLE} = {value}: write seconds, 3 to 600"))?;
    tracing::error!(seconds, "an owner lapses after this time instead of the usual one: for tests only");
    Ok(Terms::of(Duration::from_secs(seconds)))
}

/// The process passes a point.
pub fn point(name: &'static str) {
    let Some(Some(armed)) = ARMED.get() else { return };
    if armed.point == name && armed.passed.fetch_add(1, Ordering::Relaxed) + 1 == armed.at {
        tracing::error!(point = name, "ends this process now, as it was armed to");
        std::process::abort();
    }
}
