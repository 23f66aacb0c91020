//! What the agent has to say goes into the tables in one transaction; what the database refuses of it is found, left out
//! for a while, and told.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Desk, Report, StatusRow, is_due};
use crate::database::{Database, DatabaseError};
use crate::domain::halves::Halves;
use crate::domain::notice::{Notice, Severity};

/// What was refused is tried again after this.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// What nobody says any more is forgotten after this.
const FORGET: TimeDelta = TimeDelta::minutes(5);
/// Of what was refused, a finding names so much.
const NAMED: usize = 3;

/// One row that a report writes: its place among its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Settings(usize),
    Refused(usize),
    RefusedIncoming(usize),
    Accepted(usize),
    Status(usize),
    Finding(usize),
    Command(usize),
}

impl Part {
    fn all(report: &Report) -> Vec<Self> {
        let mut parts = Vec::new();
        parts.extend(report.host.iter().map(|_| Self::Host));
        parts.extend((0..report.connection_points.len()).map(Self::Settings));
        parts.extend((0..report.documents_refused.len()).map(Self::Refused));
        parts.extend((0..report.incoming_refused.len()).map(Self::RefusedIncoming));
        parts.extend((0..report.documents_accepted.len()).map(Self::Accepted));
        parts.extend((0..report.statuses.len()).map(Self::Status));
        parts.extend((0..report.findings.len()).map(Self::Finding));
        parts.extend((0..report.commands.len()).map(Self::Command));
        parts
    }

    fn name(self, report: &Report) -> String {
        let document = |(point, verb, noun, _): &(String, String, String, Option<String>)| {
            format!("the refusal of {verb}.{noun} of {point}")
        };
        match self {
            Self::Host => "the row of this host".to_owned(),
            Self::Settings(place) => format!("applied_at of {}", report.connection_points[place].0),
            Self::Refused(place) => document(&report.documents_refused[place]),
            Self::RefusedIncoming(place) => document(&report.incoming_refused[place]),
            Self::Accepted(place) => {
                let (point, verb, noun, _) = &report.documents_accepted[place];
                format!("accepted_by_ion of {verb}.{noun} of {point}")
            }
            Self::Status(place) => {
                let StatusRow { connection_point, direction, .. } = &report.statuses[place];
                format!("the status of {connection_point} ({direction})")
            }
            Self::Finding(place) => {
                let row = &report.findings[place];
                let point = row.connection_point.as_deref().unwrap_or("no connection point");
                format!("the finding {} ({point}, {})", row.code, row.subject)
            }
            Self::Command(place) => format!("the result of command {}", report.commands[place].command_id),
        }
    }

    /// A report of these parts only.
    fn some(parts: &[Self], report: &Report) -> Report {
        let mut some = Report::default();
        for part in parts {
            match *part {
                Self::Host => some.host.clone_from(&report.host),
                Self::Settings(place) => some.connection_points.push(report.connection_points[place].clone()),
                Self::Refused(place) => some.documents_refused.push(report.documents_refused[place].clone()),
                Self::RefusedIncoming(place) => {
                    some.incoming_refused.push(report.incoming_refused[place].clone());
                }
                Self::Accepted(place) => {
                    some.documents_accepted.push(report.documents_accepted[place].clone());
                }
                Self::Status(place) => some.statuses.push(report.statuses[place].clone()),
                Self::Finding(place) => some.findings.push(report.findings[place].clone()),
                Self::Command(place) => some.commands.push(report.commands[place].clone()),
            }
        }
        some
    }
}

/// What the database refused of the last reports, by its name: in whose words, and when.
#[derive(Default)]
pub(super) struct Refusals {
    known: BTreeMap<String, (String, DateTime<Utc>)>,
}

/// What is in the tables now.
pub(super) struct Written {
    pub report: Report,
    /// Of each status in it, whether this journal owns the row.
    pub ours: Vec<bool>,
    /// What ended the writing.
    pub error: Option<DatabaseError>,
}

impl Refusals {
    /// Leaves out what was refused a moment ago.
    pub fn leave_out(&self, report: Report, now: DateTime<Utc>) -> Report {
        if self.known.values().all(|(_, at)| is_due(*at, AGAIN, now)) {
            return report;
        }
        let is_left =
            |part: &Part| self.known.get(&part.name(&report)).is_some_and(|(_, at)| !is_due(*at, AGAIN, now));
        let parts: Vec<Part> = Part::all(&report).into_iter().filter(|part| !is_left(part)).collect();
        Part::some(&parts, &report)
    }

    /// Writes a report: all of it in one transaction, or in parts where the database refuses something in it.
    pub async fn write(&mut self, database: &dyn Database, report: Report, now: DateTime<Utc>) -> Written {
        let mut halves = Halves::of(Part::all(&report));
        let (mut done, mut ours, mut error, mut locks) = (Vec::new(), Vec::new(), None, 0);
        // Also a report that says nothing is written: it shows that the database is there.
        if Part::all(&report).is_empty() {
            error = database.control_report(&report).await.err();
        }
        while let Some(parts) = halves.part() {
            let answer = match parts.len() == Part::all(&report).len() {
                true => database.control_report(&report).await,
                false => database.control_report(&Part::some(&parts, &report)).await,
            };
            match answer {
                Ok(owned) => {
                    ours.extend(owned);
                    done.extend(parts);
                }
                Err(failure) if failure.is_lock() && done.is_empty() && locks >= DatabaseError::LOCKS_MAX => {
                    error = Some(failure);
                    halves.stop(parts);
                }
                Err(failure) if failure.spares_parts() => {
                    locks += usize::from(failure.is_lock());
                    halves.refuse(parts, failure);
                }
                Err(failure) => {
                    error = Some(failure);
                    halves.stop(parts);
                }
            }
        }
        if !self.known.is_empty() {
            done.iter().for_each(|part| drop(self.known.remove(&part.name(&report))));
            self.known.retain(|_, (_, at)| !is_due(*at, FORGET, now));
        }
        for (part, failure) in halves.end().0 {
            if failure.is_lock() && done.is_empty() {
                error.get_or_insert(failure);
                continue;
            }
            tracing::error!(what = part.name(&report), error = %failure, "the database refuses what the agent has to say");
            self.known.insert(part.name(&report), (failure.to_string(), now));
        }
        Written { report: Part::some(&done, &report), ours, error }
    }

    fn notice(&self, name: &str) -> Notice {
        let first: Vec<String> =
            self.known.iter().take(NAMED).map(|(what, (words, _))| format!("{what}: {words}")).collect();
        let more = match self.known.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Notice::new("REPORT_REFUSED", Severity::Error, None, name).says(
            format!(
                "the database does not take all that the agent has to say; what it takes is written. Refused: {}{more}",
                first.join("; ")
            ),
            "Mend what the server names. It is tried again by itself every 10 seconds; the diagnostic log has it, too.",
        )
    }
}

impl Desk {
    /// Tells what the database refuses to be told.
    pub(super) fn tell_refusals(&mut self, now: DateTime<Utc>) {
        let notice = self.refusals.notice(&self.name);
        self.findings.hold(notice, !self.refusals.known.is_empty(), now);
    }
}
