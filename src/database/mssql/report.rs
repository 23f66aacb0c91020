//! Writes what the agent has to say into the control tables, all of it in one transaction.

use tiberius::ToSql;

use crate::database::locks::{Lock, Lockers, owned};
use crate::database::statements::mssql as sql;
use crate::database::{CommandResult, FindingRow, HostRow, Report, StatusRow};

use super::session::Session;
use super::trouble::Trouble;
use super::values::{given, stamp, stamp_if};

/// A number that is not known, as a parameter: NULL would have no type (spec/mssql.md).
const NOT_KNOWN: i64 = -1;

pub(super) async fn control_report(
    session: &mut Session,
    report: &Report,
    lockers: &Lockers,
) -> Result<Vec<bool>, Trouble> {
    session.begin().await?;
    if let Some(row) = &report.host {
        write_host(session, row).await?;
    }
    for (connection_point, reason) in &report.connection_points {
        let values: [&dyn ToSql; 2] = [connection_point, &given(reason.as_ref())];
        session.execute(sql::REPORT_CONNECTION_POINT, &values).await?;
    }
    for (direction, rows) in [("out", &report.documents_refused), ("in", &report.incoming_refused)] {
        for (connection_point, verb, noun, reason) in rows {
            let values: [&dyn ToSql; 5] = [connection_point, verb, noun, &given(reason.as_ref()), &direction];
            session.execute(sql::REPORT_DOCUMENT_REFUSED, &values).await?;
        }
    }
    for (connection_point, verb, noun, accepted) in &report.documents_accepted {
        let accepted = accepted.map_or(NOT_KNOWN, i64::from);
        let values: [&dyn ToSql; 4] = [connection_point, verb, noun, &accepted];
        session.execute(sql::REPORT_DOCUMENT_ACCEPTED, &values).await?;
    }
    let mut ours = Vec::with_capacity(report.statuses.len());
    for row in &report.statuses {
        ours.push(write_status(session, row, lockers).await?);
    }
    for row in &report.findings {
        write_finding(session, row).await?;
    }
    for result in &report.commands {
        write_command(session, result).await?;
    }
    session.commit().await?;
    Ok(ours)
}

async fn write_host(session: &mut Session, row: &HostRow) -> Result<(), Trouble> {
    let values: [&dyn ToSql; 6] = [
        &row.journal_id,
        &row.state,
        &given(row.refused_reason.as_ref()),
        &row.agent_version,
        &row.operating_system,
        &row.process_id,
    ];
    session.execute(sql::REPORT_HOST, &values).await.map(drop)
}

/// Answers whether this journal owns the row, in the table, and no living copy of it has the lock.
async fn write_status(session: &mut Session, row: &StatusRow, lockers: &Lockers) -> Result<bool, Trouble> {
    let what = owned(&row.journal_id, &row.connection_point, row.direction);
    if let Lock::Copy(_) = session.lock_while_it_lives(&what, lockers).await? {
        return Ok(false);
    }
    let backlog = row.backlog.as_ref();
    let values: [&dyn ToSql; 23] = [
        &row.connection_point,
        &row.direction,
        &row.journal_id,
        &row.state,
        &stamp(row.state_since),
        &given(row.state_reason.as_ref()),
        &backlog.map_or(NOT_KNOWN, |backlog| backlog.waiting_rows),
        &backlog.map_or(0, |backlog| i64::from(backlog.capped)),
        &stamp_if(backlog.and_then(|backlog| backlog.oldest)),
        &row.in_flight_rows,
        &row.held_rows,
        &row.failed_rows,
        &row.in_doubt_rows,
        &row.accepted_more,
        &row.failed_more,
        &stamp_if(row.last_accepted_at),
        &stamp_if(row.last_failure_at),
        &given(row.last_failure.as_ref()),
        &stamp_if(row.last_poll_at),
        &stamp_if(row.next_poll_at),
        &stamp_if(row.settings_read_at),
        &stamp(row.started_at),
        &row.duplicates_more,
    ];
    let written = session.execute(sql::REPORT_STATUS, &values).await?;
    if written == 0 {
        session.unlock(&what).await?;
    }
    Ok(written > 0)
}

async fn write_finding(session: &mut Session, row: &FindingRow) -> Result<(), Trouble> {
    let connection_point = given(row.connection_point.as_ref());
    let (last_seen_at, since) = (stamp(row.last_seen_at), stamp(row.since));
    let values: [&dyn ToSql; 10] = [
        &row.code,
        &connection_point,
        &row.subject,
        &row.host,
        &row.severity,
        &row.finding_text,
        &row.remedy,
        &last_seen_at,
        &row.seen_more,
        &since,
    ];
    if row.cleared {
        return session.execute(sql::REPORT_FINDING_CLEAR, &values[..4]).await.map(drop);
    }
    if session.execute(sql::REPORT_FINDING_RENEW, &values[..9]).await? == 0 {
        session.execute(sql::REPORT_FINDING_OPEN, &values).await?;
    }
    Ok(())
}

async fn write_command(session: &mut Session, result: &CommandResult) -> Result<(), Trouble> {
    let values: [&dyn ToSql; 6] = [
        &result.command_id,
        &result.state,
        &result.matched_rows.unwrap_or(NOT_KNOWN),
        &result.done_rows.unwrap_or(NOT_KNOWN),
        &result.result,
        &result.host,
    ];
    session.execute(sql::REPORT_COMMAND, &values).await.map(drop)
}
