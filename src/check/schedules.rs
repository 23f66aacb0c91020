//! When a connection point looks at its outbox, in its own local time.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::domain::plan::ConnectionPoint;
use crate::domain::schedule::Schedule;

/// Runs that are printed.
const RUNS: usize = 5;

/// The next runs of a cron schedule, and the blackout that holds or comes next.
pub(super) fn said(point: &ConnectionPoint, now: DateTime<Utc>) -> Vec<String> {
    let mut said = Vec::new();
    let zone = point.time_zone;
    if let Schedule::Cron(cron) = &point.schedule {
        let next = |instant: &DateTime<Utc>| cron.next_after(*instant);
        let runs: Vec<String> =
            std::iter::successors(next(&now), next).take(RUNS).map(|run| local(run, zone)).collect();
        said.push(format!("{} looks at {} ({zone})", point.name, runs.join(", ")));
    }
    if let Some(blackout) = &point.blackout {
        said.extend(match (blackout.until(now), blackout.next_after(now)) {
            (Some(until), _) => {
                Some(format!("{} sends nothing until {} (blackout, {zone})", point.name, local(until, zone)))
            }
            (None, Some(next)) => {
                Some(format!("{} sends nothing from {} (blackout, {zone})", point.name, local(next, zone)))
            }
            (None, None) => None,
        });
    }
    said
}

fn local(instant: DateTime<Utc>, zone: Tz) -> String {
    instant.with_timezone(&zone).format("%a %Y-%m-%d %H:%M %Z").to_string()
}
