//! Writes what the agent has to say into the control tables, all of it in one transaction.

use rusqlite::{Connection, Transaction, params};

use crate::database::statements::sqlite as sql;
use crate::database::{CommandResult, FindingRow, HostRow, Report, StatusRow};

use super::named::named;
use super::trouble::Trouble;
use super::values::{stamp, stamp_if};
use super::write;

pub(super) fn control_report(connection: &mut Connection, report: &Report) -> Result<Vec<bool>, Trouble> {
    let transaction = write(connection)?;
    if let Some(row) = &report.host {
        write_host(&transaction, row)?;
    }
    for (connection_point, reason) in &report.connection_points {
        named(&transaction, sql::REPORT_CONNECTION_POINT)?.execute(params![connection_point, reason])?;
    }
    for (direction, rows) in [("out", &report.documents_refused), ("in", &report.incoming_refused)] {
        for (connection_point, verb, noun, reason) in rows {
            let mut statement = named(&transaction, sql::REPORT_DOCUMENT_REFUSED)?;
            statement.execute(params![connection_point, verb, noun, reason, direction])?;
        }
    }
    for (connection_point, verb, noun, accepted) in &report.documents_accepted {
        let mut statement = named(&transaction, sql::REPORT_DOCUMENT_ACCEPTED)?;
        statement.execute(params![connection_point, verb, noun, accepted])?;
    }
    let ours: Vec<bool> =
        report.statuses.iter().map(|row| write_status(&transaction, row)).collect::<Result<_, _>>()?;
    report.findings.iter().try_for_each(|row| write_finding(&transaction, row))?;
    report.commands.iter().try_for_each(|result| write_command(&transaction, result))?;
    transaction.commit()?;
    Ok(ours)
}

fn write_host(transaction: &Transaction<'_>, row: &HostRow) -> Result<(), Trouble> {
    named(transaction, sql::REPORT_HOST)?.execute(params![
        row.journal_id,
        row.state,
        row.refused_reason,
        row.agent_version,
        row.operating_system,
        row.process_id
    ])?;
    Ok(())
}

/// Answers whether this journal owns the row.
fn write_status(transaction: &Transaction<'_>, row: &StatusRow) -> Result<bool, Trouble> {
    let written = named(transaction, sql::REPORT_STATUS)?.execute(params![
        row.connection_point,
        row.direction,
        row.journal_id,
        row.state,
        stamp(row.state_since),
        row.state_reason,
        row.backlog.as_ref().map(|backlog| backlog.waiting_rows),
        row.backlog.as_ref().map(|backlog| backlog.capped),
        row.backlog.as_ref().and_then(|backlog| stamp_if(backlog.oldest)),
        row.in_flight_rows,
        row.held_rows,
        row.failed_rows,
        row.in_doubt_rows,
        row.accepted_more,
        row.failed_more,
        stamp_if(row.last_accepted_at),
        stamp_if(row.last_failure_at),
        row.last_failure,
        stamp_if(row.last_poll_at),
        stamp_if(row.next_poll_at),
        stamp_if(row.settings_read_at),
        stamp(row.started_at),
        row.duplicates_more,
    ])?;
    Ok(written > 0)
}

fn write_finding(transaction: &Transaction<'_>, row: &FindingRow) -> Result<(), Trouble> {
    let FindingRow { code, connection_point, subject, host, severity, finding_text, remedy, .. } = row;
    if row.cleared {
        let mut clear = named(transaction, sql::REPORT_FINDING_CLEAR)?;
        clear.execute(params![code, connection_point, subject, host])?;
        return Ok(());
    }
    let last_seen_at = stamp(row.last_seen_at);
    let renewed = named(transaction, sql::REPORT_FINDING_RENEW)?.execute(params![
        code,
        connection_point,
        subject,
        host,
        severity,
        finding_text,
        remedy,
        last_seen_at,
        row.seen_more
    ])?;
    if renewed == 0 {
        named(transaction, sql::REPORT_FINDING_OPEN)?.execute(params![
            code,
            connection_point,
            subject,
            host,
            severity,
            finding_text,
            remedy,
            last_seen_at,
            row.seen_more,
            stamp(row.since)
        ])?;
    }
    Ok(())
}

fn write_command(transaction: &Transaction<'_>, result: &CommandResult) -> Result<(), Trouble> {
    named(transaction, sql::REPORT_COMMAND)?.execute(params![
        result.command_id,
        result.state,
        result.matched_rows,
        result.done_rows,
        result.result,
        result.host
    ])?;
    Ok(())
}
