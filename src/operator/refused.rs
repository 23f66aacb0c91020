//! Rows of the control tables that are refused: a status with the reason, what waits meanwhile, and a finding each.
//!
//! Nothing is sent for them, so nobody else would say how many rows wait. The agent owns them as it owns those that it
//! serves: only one agent says how they stand.

use chrono::{DateTime, Utc};

use super::{Desk, PointReport, RoundError, Said};
use crate::database::{Owner, Selection};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{ConnectionPointRow, ControlTables, Plan, Refused};
use crate::domain::unserved;

/// What a round finds wholly or not at all.
const CODES: [&str; 2] = ["SETTING_REFUSED", "ROWS_OVERLAP"];
/// Of a connection point whose logical id another database of this agent has; known from the second round on.
const TWICE: &str = "LOGICAL_ID_TWICE";

impl Desk {
    /// Takes over what is refused now, and takes back what was said of rows that are right again.
    pub(super) async fn refuse(
        &mut self,
        said: &Said,
        plan: &Plan,
        tables: &ControlTables,
        now: DateTime<Utc>,
    ) -> Result<(), RoundError> {
        let before = std::mem::take(&mut self.refused);
        for ((name, document), reason) in self.reasons(said, plan) {
            let row = tables.connection_points.iter().find(|row| row.connection_point == name);
            let (Some(row), None, Some(known)) = (row, document, &self.known) else { continue };
            // With its last good settings it is served, and says itself how it goes.
            let is_elsewhere = said.refused_elsewhere.iter().any(|(refused, _)| *refused == name);
            if plan.connection_points.contains_key(&name) && !is_elsewhere {
                continue;
            }
            let reported = said.points.iter().find(|point| point.connection_point == name);
            let mut report = match (reported, before.get(&name)) {
                (Some(point), _) => point.clone(),
                (None, Some(report)) => PointReport { accepted_more: 0, failed_more: 0, ..report.clone() },
                (None, None) => {
                    let met = self.journal.meet_point(known.database_id, &name).await?;
                    never_served(&name, met.point_id)
                }
            };
            report.state = "misconfigured";
            report.reason = Some(reason.chars().take(1000).collect());
            (report.is_counted, report.is_gone) = (true, false);
            report.is_meant_to_send = row.send_mode == "on";
            report.selection = selection(row);
            self.statuses.entry(name.clone()).or_default().turn(&report, now);
            self.refused.insert(name, report);
        }
        let notices: Vec<Notice> =
            plan.refused.iter().map(Refused::notice).chain(plan.rules_refused.iter().cloned()).collect();
        self.findings.keep_of(&CODES, &notices);
        let logical_id = |name: &str| {
            let row = tables.connection_points.iter().find(|row| row.connection_point == name);
            row.map_or_else(String::new, |row| row.logical_id.clone())
        };
        let twice: Vec<Notice> = said
            .refused_elsewhere
            .iter()
            .map(|(name, reason)| {
                Notice::new(TWICE, Severity::Error, Some(name), logical_id(name))
                    .says(reason.clone(), "Give one of the two another logical_id, or remove one.")
            })
            .collect();
        if std::mem::replace(&mut self.is_twice, !twice.is_empty()) {
            self.findings.keep_of(&[TWICE], &twice);
        }
        for notice in notices.into_iter().chain(twice) {
            self.findings.take(notice, now);
        }
        let is_own = |name: &str| {
            plan.connection_points.contains_key(name)
                || plan.refused.iter().any(|refused| refused.connection_point == name)
                || said.refused_elsewhere.iter().any(|(refused, _)| refused == name)
        };
        self.findings.keep_points(is_own, &unserved::CODES);
        self.findings.keep_unlisted(&plan.connection_points);
        Ok(())
    }

    /// Takes the ownership of refused connection points; where another agent has it, that one speaks.
    pub(super) async fn own_refused(&mut self) -> Result<(), RoundError> {
        let unsure = |name: &&String| self.owned.is_unsure(name);
        for name in self.refused.keys().filter(unsure).cloned().collect::<Vec<_>>() {
            match self.database.owner_claim(&self.claim_of(&name, "out")).await? {
                Owner::Mine | Owner::MineBeside { .. } => _ = self.owned.confirm(&name),
                Owner::Other { .. } | Owner::Copy { .. } => self.owned.lose(&name),
            }
        }
        Ok(())
    }
}

/// Of a connection point that was refused since this agent has known it.
fn never_served(name: &str, point_id: i64) -> PointReport {
    PointReport {
        connection_point: name.to_owned(),
        point_id,
        state: "misconfigured",
        reason: None,
        in_flight: 0,
        is_counted: true,
        is_gone: false,
        is_meant_to_send: false,
        lacks_documents: false,
        paused_since: None,
        is_new: false,
        selection: Selection::default(),
        accepted_more: 0,
        failed_more: 0,
        last_accepted_at: None,
        last_failure_at: None,
        last_failure: None,
        last_poll_at: None,
        next_poll_at: None,
    }
}

fn selection(row: &ConnectionPointRow) -> Selection {
    Selection {
        tenant_id: row.source_tenant_id.clone(),
        logical_id: row.source_logical_id.clone(),
        rows_from: row.send_rows_from,
    }
}
