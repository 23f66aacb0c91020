//! Reads the control tables, and claims what only one agent may have: the host's epoch, a connection point's direction.

use rusqlite::{Connection, Row, Transaction, params};

use crate::database::statements::sqlite as sql;
use crate::database::{CommandRow, HostRow, Owner, OwnerClaim};
use crate::domain::plan::{ConnectionPointRow, ControlTables, DocumentRow, StatusRuleRow};

use super::trouble::Trouble;
use super::values::{flag, integer, required, required_time, stamp, text, time};
use super::{read, write};

pub(super) fn control_read(connection: &mut Connection) -> Result<ControlTables, Trouble> {
    let transaction = read(connection)?;
    Ok(ControlTables {
        connection_points: rows(&transaction, sql::CONTROL_READ_CONNECTION_POINTS, connection_point)?,
        documents: rows(&transaction, sql::CONTROL_READ_DOCUMENTS, document)?,
        status_rules: rows(&transaction, sql::CONTROL_READ_STATUS_RULES, status_rule)?,
    })
}

pub(super) fn command_read(connection: &mut Connection) -> Result<Vec<CommandRow>, Trouble> {
    rows(&read(connection)?, sql::COMMAND_READ, command)
}

pub(super) fn host_read(connection: &mut Connection) -> Result<Vec<HostRow>, Trouble> {
    rows(&read(connection)?, sql::HOST_READ, host)
}

fn rows<T>(
    transaction: &Transaction<'_>,
    statement: &str,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Trouble> {
    let mut statement = transaction.prepare_cached(statement)?;
    Ok(statement.query_map([], map)?.collect::<rusqlite::Result<_>>()?)
}

/// A number that the table's CHECK keeps whole; what is none all the same becomes -1, which the plan refuses.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    integer(row, column).map(|value| value.unwrap_or(-1))
}

fn connection_point(row: &Row<'_>) -> rusqlite::Result<ConnectionPointRow> {
    Ok(ConnectionPointRow {
        connection_point: required(row, 0)?,
        location_name: required(row, 1)?,
        ion_name: required(row, 2)?,
        tenant_id: required(row, 3)?,
        logical_id: required(row, 4)?,
        source_kind: required(row, 5)?,
        source_tenant_id: text(row, 6)?,
        source_logical_id: text(row, 7)?,
        send_mode: required(row, 8)?,
        receive_mode: required(row, 9)?,
        send_rows_from: time(row, 10)?,
        poll_seconds: integer(row, 11)?,
        poll_cron: text(row, 12)?,
        time_zone: required(row, 13)?,
        blackout: text(row, 14)?,
        batch_rows: number(row, 15)?,
        parallel_posts: number(row, 16)?,
        max_messages_per_second: integer(row, 17)?,
        max_document_bytes: number(row, 18)?,
        after_failure: required(row, 19)?,
        backoff_step_seconds: number(row, 20)?,
        backoff_max_seconds: number(row, 21)?,
        lone_rounds: number(row, 22)?,
        lone_in_doubt_tries: number(row, 23)?,
        headers_grace_seconds: number(row, 24)?,
        ims_version: required(row, 25)?,
        ims_method: required(row, 26)?,
        encoding: required(row, 27)?,
        check_accepted: flag(row, 28)?,
        log_messages: required(row, 29)?,
        log_attempts: required(row, 30)?,
        log_keep_days: number(row, 31)?,
        outbox_keep_hours: integer(row, 32)?,
        refused_reason: text(row, 33)?,
    })
}

fn document(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    Ok(DocumentRow {
        connection_point: required(row, 0)?,
        direction: required(row, 1)?,
        verb: required(row, 2)?,
        noun: required(row, 3)?,
        enabled: flag(row, 4)?,
        namespace: text(row, 5)?,
        order_by: required(row, 6)?,
        document_id_path: text(row, 7)?,
        after_failure: text(row, 8)?,
        max_document_bytes: integer(row, 9)?,
        refused_reason: text(row, 10)?,
    })
}

fn status_rule(row: &Row<'_>) -> rusqlite::Result<StatusRuleRow> {
    Ok(StatusRuleRow {
        connection_point: required(row, 0)?,
        http_status: number(row, 1)?,
        answer_class: required(row, 2)?,
    })
}

fn command(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    Ok(CommandRow {
        command_id: row.get(0)?,
        command: required(row, 1)?,
        connection_point: required(row, 2)?,
        direction: text(row, 3)?,
        verb: text(row, 4)?,
        noun: text(row, 5)?,
        document_id: text(row, 6)?,
        message_key: text(row, 7)?,
        failure_code: text(row, 8)?,
        from_at: time(row, 9)?,
        to_at: time(row, 10)?,
        reason: text(row, 11)?,
        out_of_order: flag(row, 12)?,
        dry_run: flag(row, 13)?,
        state: required(row, 14)?,
    })
}

fn host(row: &Row<'_>) -> rusqlite::Result<HostRow> {
    Ok(HostRow {
        host: required(row, 0)?,
        location_name: required(row, 1)?,
        journal_id: required(row, 2)?,
        database_fingerprint: required(row, 3)?,
        epoch: row.get(4)?,
        agent_version: required(row, 5)?,
        script_needed: row.get(6)?,
        operating_system: required(row, 7)?,
        process_id: integer(row, 8)?.unwrap_or_default(),
        state: required(row, 9)?,
        refused_reason: text(row, 10)?,
        started_at: required_time(row, 11)?,
        heartbeat_at: required_time(row, 12)?,
    })
}

pub(super) fn host_claim(
    connection: &mut Connection,
    row: &HostRow,
    expected_epoch: Option<i64>,
) -> Result<bool, Trouble> {
    let transaction = write(connection)?;
    let started_at = stamp(row.started_at);
    let values = params![
        row.host,
        row.location_name,
        row.journal_id,
        row.database_fingerprint,
        row.epoch,
        row.agent_version,
        row.script_needed,
        row.operating_system,
        row.process_id,
        row.state,
        row.refused_reason,
        started_at,
    ];
    let changed = match expected_epoch {
        None => transaction.prepare_cached(sql::HOST_INSERT)?.execute(values)?,
        Some(epoch) => {
            let mut all = values.to_vec();
            all.push(&epoch);
            transaction.prepare_cached(sql::HOST_CLAIM)?.execute(all.as_slice())?
        }
    };
    transaction.commit()?;
    Ok(changed > 0)
}

pub(super) fn owner_claim(connection: &mut Connection, claim: &OwnerClaim) -> Result<Owner, Trouble> {
    let transaction = write(connection)?;
    let OwnerClaim { connection_point, direction, journal_id, host, agent_version, lapse_seconds } = claim;
    let taken = transaction.prepare_cached(sql::OWNER_CLAIM)?.execute(params![
        connection_point,
        direction,
        journal_id,
        host,
        agent_version,
        lapse_seconds
    ])? > 0
        || transaction.prepare_cached(sql::OWNER_INSERT)?.execute(params![
            connection_point,
            direction,
            journal_id,
            host,
            agent_version
        ])? > 0;
    let owner = match taken {
        true => Owner::Mine,
        false => transaction
            .prepare_cached(sql::OWNER_READ)?
            .query_row(params![connection_point, direction], |row| {
                Ok(Owner::Other { host: required(row, 0)?, heartbeat_at: required_time(row, 1)? })
            })?,
    };
    transaction.commit()?;
    Ok(owner)
}

/// `owned`: connection point, direction, journal id.
pub(super) fn owner_release(connection: &mut Connection, owned: &[String; 3]) -> Result<(), Trouble> {
    let transaction = write(connection)?;
    transaction.prepare_cached(sql::OWNER_RELEASE)?.execute(params![owned[0], owned[1], owned[2]])?;
    transaction.commit()?;
    Ok(())
}
