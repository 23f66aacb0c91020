//! Writes what the agent has to say into the control tables, all of it in one transaction.
//!
//! Done again after a COMMIT whose answer was lost, it says the same; only the totals of a status and the times that a
//! finding was seen may then count one report twice.

use crate::database::locks::{Lock, Lockers, owned};
use crate::database::statements::postgres as sql;
use crate::database::{CommandResult, FindingRow, HostRow, Report, StatusRow};

use super::session::{Session, Value};
use super::trouble::Trouble;

pub(super) async fn control_report(
    session: &Session,
    report: &Report,
    lockers: &Lockers,
) -> Result<Vec<bool>, Trouble> {
    session.begin_write().await?;
    if let Some(row) = &report.host {
        write_host(session, row).await?;
    }
    for (connection_point, reason) in &report.connection_points {
        let reason = session.letters.clean_if(reason.as_ref());
        session.execute(sql::REPORT_CONNECTION_POINT, &[connection_point, &reason]).await?;
    }
    for (direction, rows) in [("out", &report.documents_refused), ("in", &report.incoming_refused)] {
        for (connection_point, verb, noun, reason) in rows {
            let reason = session.letters.clean_if(reason.as_ref());
            let values: [Value<'_>; 5] = [connection_point, verb, noun, &reason, &direction];
            session.execute(sql::REPORT_DOCUMENT_REFUSED, &values).await?;
        }
    }
    for (connection_point, verb, noun, accepted) in &report.documents_accepted {
        let accepted = accepted.map(i16::from);
        session.execute(sql::REPORT_DOCUMENT_ACCEPTED, &[connection_point, verb, noun, &accepted]).await?;
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

async fn write_host(session: &Session, row: &HostRow) -> Result<(), Trouble> {
    let (reason, system) =
        (session.letters.clean_if(row.refused_reason.as_ref()), session.letters.clean(&row.operating_system));
    let values: [Value<'_>; 6] =
        [&row.journal_id, &row.state, &reason, &row.agent_version, &system, &row.process_id];
    session.execute(sql::REPORT_HOST, &values).await?;
    Ok(())
}

/// Answers whether this journal owns the row, in the table, and no living copy of it has the lock.
async fn write_status(session: &Session, row: &StatusRow, lockers: &Lockers) -> Result<bool, Trouble> {
    let what = owned(&row.journal_id, &row.connection_point, row.direction);
    if let Lock::Copy(_) = session.lock_while_it_lives(&what, lockers).await? {
        return Ok(false);
    }
    let backlog = row.backlog.as_ref();
    let written = session
        .execute(
            sql::REPORT_STATUS,
            &[
                &row.connection_point,
                &row.direction,
                &row.journal_id,
                &row.state,
                &row.state_since,
                &session.letters.clean_if(row.state_reason.as_ref()),
                &backlog.map(|backlog| backlog.waiting_rows),
                &backlog.map(|backlog| i16::from(backlog.capped)),
                &backlog.and_then(|backlog| backlog.oldest),
                &row.in_flight_rows,
                &row.held_rows,
                &row.failed_rows,
                &row.in_doubt_rows,
                &row.accepted_more,
                &row.failed_more,
                &row.last_accepted_at,
                &row.last_failure_at,
                &session.letters.clean_if(row.last_failure.as_ref()),
                &row.last_poll_at,
                &row.next_poll_at,
                &row.settings_read_at,
                &row.started_at,
                &row.duplicates_more,
            ],
        )
        .await?;
    if written == 0 {
        session.unlock(&what).await?;
    }
    Ok(written > 0)
}

async fn write_finding(session: &Session, row: &FindingRow) -> Result<(), Trouble> {
    let FindingRow { code, connection_point, host, severity, .. } = row;
    let subject = session.letters.clean(&row.subject);
    if row.cleared {
        session.execute(sql::REPORT_FINDING_CLEAR, &[code, connection_point, &subject, host]).await?;
        return Ok(());
    }
    let (finding_text, remedy) =
        (session.letters.clean(&row.finding_text), session.letters.clean(&row.remedy));
    let mut values: Vec<Value<'_>> = vec![
        code,
        connection_point,
        &subject,
        host,
        severity,
        &finding_text,
        &remedy,
        &row.last_seen_at,
        &row.seen_more,
    ];
    if session.execute(sql::REPORT_FINDING_RENEW, &values).await? == 0 {
        values.push(&row.since);
        session.execute(sql::REPORT_FINDING_OPEN, &values).await?;
    }
    Ok(())
}

async fn write_command(session: &Session, result: &CommandResult) -> Result<(), Trouble> {
    let CommandResult { command_id, state, matched_rows, done_rows, host, .. } = result;
    let text = session.letters.clean(&result.result);
    session.execute(sql::REPORT_COMMAND, &[command_id, state, matched_rows, done_rows, &text, host]).await?;
    Ok(())
}
