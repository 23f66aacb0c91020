//! Findings about how it goes: what waits too long, what is held, what was forgotten in a pause, what would help.
//!
//! Each is one for a connection point, clears by itself, and is judged from figures that a round has anyway.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Desk, PointReport, RoundError};
use crate::database::{
    Backlog, HOST_CODES, Survey, clock_differs, hosts_in_trouble, is_silent, script_finding,
};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{ControlTables, Plan};
use crate::domain::unserved::{self, unserved};
use crate::journal::Counts;

/// Rows that wait for longer are said aloud.
const OLD: TimeDelta = TimeDelta::hours(1);
/// Rows that are older when an agent first meets them may be somebody else's.
const FIRST_OLD: TimeDelta = TimeDelta::hours(24);
/// Rows that arrive for so long while none leaves are said aloud.
const GROWS_MAX: TimeDelta = TimeDelta::minutes(15);
/// A pause that lasts longer may have been forgotten.
const LONG_PAUSE: TimeDelta = TimeDelta::hours(24);

impl Desk {
    /// What the figures of a connection point say.
    pub(super) fn watch(
        &mut self,
        point: &PointReport,
        counts: Counts,
        backlog: Option<&Backlog>,
        now: DateTime<Utc>,
    ) {
        let name = point.connection_point.as_str();
        let held = Notice::new("MESSAGES_HELD", Severity::Warning, Some(name), "messages").says(
            format!("{} messages wait for a failed one of the same document (after_failure = 'hold')", counts.held),
            "SELECT held_by, verb, noun, document_id FROM bodrelay_errors WHERE held_by IS NOT NULL; held_by is the \
             message_key of the failed one. Correct and resubmit it, or discard it: the others then go on.",
        );
        self.findings.hold(held, counts.held > 0, now);
        let last = point.last_failure.as_ref().map(|last| format!("; the last: {last}")).unwrap_or_default();
        let failed = Notice::new("MESSAGES_FAILED", Severity::Warning, Some(name), "message log").says(
            format!("{} messages failed and wait for a decision{last}", counts.failed),
            format!(
                "'bodrelay log --state failed --connection-point {name}' lists them, and the view bodrelay_errors; mend \
                 what they name, then use the commands resubmit or discard."
            ),
        );
        self.findings.hold(failed, counts.failed > 0, now);
        let since = point.paused_since.filter(|since| now - *since > LONG_PAUSE);
        let paused = Notice::new("PAUSED_LONG", Severity::Warning, Some(name), "pause").says(
            format!("it is paused since {}: nothing is sent", shown(since.unwrap_or(now))),
            format!(
                "If nobody needs the pause any more: INSERT INTO bodrelay_command (command, connection_point) VALUES \
                 ('resume', {})",
                self.database.quoted(name)
            ),
        );
        self.findings.hold(paused, since.is_some(), now);
        let no_documents = Notice::new("NO_DOCUMENTS", Severity::Error, Some(name), "documents").says(
            "bodrelay_document has no row of direction 'out' for it: nothing is sent",
            format!(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ({}, 'out', \
                 'Sync', 'SalesOrder'), one row for each document type.",
                self.database.quoted(name)
            ),
        );
        self.findings.hold(no_documents, point.lacks_documents, now);
        if let Some(backlog) = backlog {
            self.watch_backlog(point, backlog, now);
        }
    }

    /// Rows that wait where they should go: all other figures may look well.
    fn watch_backlog(&mut self, point: &PointReport, backlog: &Backlog, now: DateTime<Utc>) {
        let old = backlog.oldest.filter(|oldest| point.is_meant_to_send && now - *oldest > OLD);
        let more = if backlog.capped { " or more" } else { "" };
        let last = point.last_accepted_at.map_or_else(
            || "nothing was accepted since the agent was started".to_owned(),
            |at| format!("the last one was accepted at {}", shown(at)),
        );
        let why = point.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let notice = Notice::new("BACKLOG_OLD", Severity::Warning, Some(&point.connection_point), "outbox").says(
            format!(
                "{}{more} rows wait at 0, the oldest since {}; it is {}{why}; {last}",
                backlog.waiting_rows,
                shown(old.unwrap_or(now)),
                point.state
            ),
            "Look at the other findings of this connection point first, then at bodrelay_errors. If rows of one type \
             wait: is it listed in bodrelay_document, and enabled?",
        );
        self.findings.hold(notice, old.is_some(), now);
        let growing = self
            .statuses
            .get(&point.connection_point)
            .and_then(|memory| memory.growing_since)
            .filter(|since| now - *since >= GROWS_MAX);
        let notice =
            Notice::new("NOTHING_LEAVES", Severity::Error, Some(&point.connection_point), "outbox").says(
                format!(
                    "rows arrive ({}{more} wait) and none was accepted since {}; it is {}{why}",
                    backlog.waiting_rows,
                    shown(growing.unwrap_or(now)),
                    point.state
                ),
                "Look at the other findings of this connection point, then run 'bodrelay check'. If ION answers and the \
                 types are listed, look at the diagnostic log.",
            );
        self.findings.hold(notice, growing.is_some(), now);
        let first = backlog.oldest.filter(|oldest| point.is_new && now - *oldest > FIRST_OLD);
        let of = |name: &str, value: &Option<String>| match value {
            Some(value) => format!("{name} '{value}'"),
            None => format!("any {name}"),
        };
        let fate = if point.is_meant_to_send { "they are being sent" } else { "they will be sent" };
        let notice =
            Notice::new("FIRST_ROWS_OLD", Severity::Warning, Some(&point.connection_point), "outbox").says(
                format!(
                    "this agent has never served it, and {}{more} rows wait ({}, {}), the oldest since {}: {fate}",
                    backlog.waiting_rows,
                    of("tenant", &point.selection.tenant_id),
                    of("logical id", &point.selection.logical_id),
                    shown(first.unwrap_or(now))
                ),
                format!(
                    "If another program has dealt with them: UPDATE bodrelay_connection_point SET send_rows_from = (a \
                     time) WHERE connection_point = {}. How many of which type: SELECT C_HEADER_VALUE, count(*) FROM \
                     COR_OUTBOX_HEADERS JOIN COR_OUTBOX_ENTRY ON C_ID = C_OUTBOX_ID WHERE C_HEADER_KEY = 'BODType' AND \
                     C_WAS_PROCESSED = 0 GROUP BY C_HEADER_VALUE.",
                    self.database.quoted(&point.connection_point)
                ),
            );
        self.findings.hold(notice, first.is_some(), now);
    }

    /// What the rows of all agents tell: of the others, of connection points that none of them has, and of the clock,
    /// since the database's is in our own row, beside ours at the time when it was written.
    pub(super) async fn watch_hosts(
        &mut self,
        plan: &Plan,
        tables: &ControlTables,
        now: DateTime<Utc>,
    ) -> Result<(), RoundError> {
        let hosts = self.database.host_read().await?;
        let own = hosts.iter().find(|row| row.host == self.identity.host);
        let ahead = own.zip(self.host_at).map(|(row, host_at)| row.heartbeat_at - host_at);
        if let Some(ahead) = ahead {
            let notice = clock_differs(&self.name, ahead);
            let holds = !notice.text.is_empty();
            self.findings.hold(notice, holds, now);
        }
        let others = hosts.iter().filter(|row| row.host != self.identity.host);
        let locations = others.clone().map(|row| &*row.location_name).collect();
        let mut found = unserved(&self.name, tables, plan, &self.identity.location, &locations, &|text| {
            self.database.quoted(text)
        });
        let by_database = now + ahead.unwrap_or_default();
        self.another_refuses =
            others.clone().any(|row| row.state == "refused" && !is_silent(row, by_database));
        found.extend(hosts_in_trouble(others, by_database));
        self.findings.keep_of(&[&unserved::CODES[..], &HOST_CODES[..]].concat(), &found);
        for notice in found {
            self.findings.take(notice, now);
        }
        Ok(())
    }

    /// What the survey thinks would help, and whether the tables are those of this version.
    pub(super) fn advise(&mut self, survey: &Survey, now: DateTime<Utc>) {
        let script = script_finding(survey, &self.name);
        for code in ["SCRIPT_MISSING", "SCRIPT_NEWER"] {
            let of_code = script.clone().filter(|notice| notice.code == code);
            let holds = of_code.is_some();
            let none = || Notice::new(code, Severity::Info, None, self.name.clone());
            let notice = of_code.unwrap_or_else(none);
            self.findings.hold(notice, holds, now);
        }
        let said: Vec<String> =
            survey.advice.iter().map(|problem| format!("{}: {}", problem.what, problem.remedy)).collect();
        let notice = Notice::new("DATABASE_ADVICE", Severity::Warning, None, self.name.clone())
            .says(said.join("; "), "It works without, only slower: do it when it suits.");
        self.findings.hold(notice, !said.is_empty(), now);
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}
