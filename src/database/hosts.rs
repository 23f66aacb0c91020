//! What the rows of `bodrelay_host` tell: an agent that refuses or has gone without a word cannot say so itself.
//!
//! `check` says it, and every other agent of the same database.

use chrono::{DateTime, TimeDelta, Utc};

use super::HostRow;
use crate::domain::notice::{Notice, Severity};

/// What `hosts_in_trouble` may find.
pub const HOST_CODES: [&str; 2] = ["AGENT_REFUSED", "AGENT_SILENT"];
/// An agent writes its heartbeat every minute; older than this it is away.
const SILENT: TimeDelta = TimeDelta::seconds(180);
/// Clocks may differ by this without a word.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// Agents that somebody should look after. `now` is the database's clock, as heartbeats are.
pub fn hosts_in_trouble<'a>(
    hosts: impl IntoIterator<Item = &'a HostRow>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Notice> {
    hosts.into_iter().filter_map(move |row| {
        let notice = |code, severity| Notice::new(code, severity, None, row.host.clone());
        if row.state == "refused" {
            let reason = row.refused_reason.as_deref().unwrap_or("no reason given");
            return Some(notice("AGENT_REFUSED", Severity::Error).says(
                format!("the agent of host {} refuses to work: {reason}", row.host),
                "Look at its findings in bodrelay_finding: each has a remedy.",
            ));
        }
        (row.state == "running" && is_silent(row, now)).then(|| {
            notice("AGENT_SILENT", Severity::Warning).says(
                format!(
                    "the agent of host {} ended without a word; it was last alive at {}",
                    row.host,
                    row.alive_at.format("%Y-%m-%d %H:%M:%SZ")
                ),
                "Start it again ('bodrelay run'), or delete its row of bodrelay_host if that host is gone.",
            )
        })
    })
}

/// It has not written its heartbeat for long.
pub fn is_silent(row: &HostRow, now: DateTime<Utc>) -> bool {
    now - row.alive_at > SILENT
}

/// How far the database's clock is ahead of ours, where that matters; without a text: it does not.
pub fn clock_differs(database: &str, ahead: TimeDelta) -> Notice {
    let notice = Notice::new("CLOCK_DIFFERS", Severity::Warning, None, database);
    if ahead.abs() <= SKEW {
        return notice;
    }
    notice.says(
        format!("the database's clock differs from this machine's by {} s", ahead.num_seconds()),
        "Set both by the same time server: heartbeats and dates are compared with the database's clock.",
    )
}
