//! Reads the control tables, and claims what only one agent may have: the host's epoch, a connection point's direction.

use tokio_postgres::Row;

use crate::database::statements::postgres as sql;
use crate::database::{CommandRow, HostRow, Owner, OwnerClaim};
use crate::domain::plan::{ConnectionPointRow, ControlTables, DocumentRow, StatusRuleRow};

use super::session::{Session, Value};
use super::trouble::Trouble;
use super::values::{clean, clean_if, flag, integer, required, required_time, text, time};

pub(super) async fn control_read(session: &Session) -> Result<ControlTables, Trouble> {
    session.begin_read().await?;
    let tables = ControlTables {
        connection_points: rows(session, sql::CONTROL_READ_CONNECTION_POINTS, connection_point).await?,
        documents: rows(session, sql::CONTROL_READ_DOCUMENTS, document).await?,
        status_rules: rows(session, sql::CONTROL_READ_STATUS_RULES, status_rule).await?,
    };
    session.commit().await?;
    Ok(tables)
}

pub(super) async fn command_read(session: &Session) -> Result<Vec<CommandRow>, Trouble> {
    session.begin_read().await?;
    let commands = rows(session, sql::COMMAND_READ, command).await?;
    session.commit().await?;
    Ok(commands)
}

pub(super) async fn host_read(session: &Session) -> Result<Vec<HostRow>, Trouble> {
    session.begin_read().await?;
    let hosts = rows(session, sql::HOST_READ, host).await?;
    session.commit().await?;
    Ok(hosts)
}

async fn rows<T>(
    session: &Session,
    statement: &'static str,
    map: fn(&Row) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    session.query(statement, &[]).await?.iter().map(map).collect()
}

/// A number that the table's CHECK keeps whole; what is none all the same becomes -1, which the plan refuses.
fn number(row: &Row, column: usize) -> Result<i64, Trouble> {
    integer(row, column).map(|value| value.unwrap_or(-1))
}

fn connection_point(row: &Row) -> Result<ConnectionPointRow, Trouble> {
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

fn document(row: &Row) -> Result<DocumentRow, Trouble> {
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

fn status_rule(row: &Row) -> Result<StatusRuleRow, Trouble> {
    Ok(StatusRuleRow {
        connection_point: required(row, 0)?,
        http_status: number(row, 1)?,
        answer_class: required(row, 2)?,
    })
}

fn command(row: &Row) -> Result<CommandRow, Trouble> {
    Ok(CommandRow {
        command_id: row.try_get(0)?,
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

fn host(row: &Row) -> Result<HostRow, Trouble> {
    Ok(HostRow {
        host: required(row, 0)?,
        location_name: required(row, 1)?,
        journal_id: required(row, 2)?,
        database_fingerprint: required(row, 3)?,
        epoch: row.try_get(4)?,
        agent_version: required(row, 5)?,
        script_needed: integer(row, 6)?.unwrap_or_default(),
        operating_system: required(row, 7)?,
        process_id: integer(row, 8)?.unwrap_or_default(),
        state: required(row, 9)?,
        refused_reason: text(row, 10)?,
        started_at: required_time(row, 11)?,
        heartbeat_at: required_time(row, 12)?,
    })
}

pub(super) async fn host_claim(
    session: &Session,
    row: &HostRow,
    expected_epoch: Option<i64>,
) -> Result<bool, Trouble> {
    session.begin_write().await?;
    let operating_system = clean(&row.operating_system);
    let refused_reason = clean_if(row.refused_reason.as_ref());
    let mut values: Vec<Value<'_>> = vec![
        &row.host,
        &row.location_name,
        &row.journal_id,
        &row.database_fingerprint,
        &row.epoch,
        &row.agent_version,
        &row.script_needed,
        &operating_system,
        &row.process_id,
        &row.state,
        &refused_reason,
        &row.started_at,
    ];
    let changed = match &expected_epoch {
        None => session.execute(sql::HOST_INSERT, &values).await?,
        Some(epoch) => {
            values.push(epoch);
            session.execute(sql::HOST_CLAIM, &values).await?
        }
    };
    session.commit().await?;
    Ok(changed > 0)
}

pub(super) async fn owner_claim(session: &Session, claim: &OwnerClaim) -> Result<Owner, Trouble> {
    let OwnerClaim { connection_point, direction, journal_id, host, agent_version, lapse_seconds } = claim;
    session.begin_write().await?;
    let taken = session
        .execute(
            sql::OWNER_CLAIM,
            &[connection_point, direction, journal_id, host, agent_version, lapse_seconds],
        )
        .await?
        > 0
        || session
            .execute(sql::OWNER_INSERT, &[connection_point, direction, journal_id, host, agent_version])
            .await?
            > 0;
    if taken && session.lock_while_it_lives(&owned(connection_point, direction)).await? {
        session.commit().await?;
        return Ok(Owner::Mine);
    }
    // A claim without its lock is none.
    session.rollback().await?;
    let row = session.query_one(sql::OWNER_READ, &[connection_point, direction]).await?;
    Ok(Owner::Other { host: required(&row, 0)?, heartbeat_at: required_time(&row, 1)? })
}

pub(super) async fn owner_release(
    session: &Session,
    connection_point: &str,
    direction: &str,
    journal_id: &str,
) -> Result<(), Trouble> {
    session.begin_write().await?;
    session.execute(sql::OWNER_RELEASE, &[&connection_point, &direction, &journal_id]).await?;
    session.commit().await?;
    session.unlock(&owned(connection_point, direction)).await
}

/// The name of the lock behind a claim.
fn owned(connection_point: &str, direction: &str) -> String {
    format!("bodrelay {connection_point} {direction}")
}
