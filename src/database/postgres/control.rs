//! Reads the control tables, and claims what only one agent may have: the host's epoch, a connection point's direction.

use tokio_postgres::Row;

use crate::database::locks::{Lock, Lockers, owned};
use crate::database::rows::{self, Cells};
use crate::database::statements::postgres as sql;
use crate::database::{
    ChangeRow, CommandRow, FindingRow, HostRow, Owner, OwnerClaim, SourceColumn, StatusRead,
};
use crate::domain::plan::{Alike, ControlTables};

use super::session::{Session, Value};
use super::trouble::Trouble;

pub(super) async fn control_read(session: &Session) -> Result<ControlTables, Trouble> {
    session.begin_read().await?;
    let tables = ControlTables {
        connection_points: all(session, sql::CONTROL_READ_CONNECTION_POINTS, rows::connection_point).await?,
        documents: all(session, sql::CONTROL_READ_DOCUMENTS, rows::document).await?,
        status_rules: all(session, sql::CONTROL_READ_STATUS_RULES, rows::status_rule).await?,
        alike: Alike::default(),
    };
    session.commit().await?;
    Ok(tables)
}

pub(super) async fn source_alike(
    session: &Session,
    column: SourceColumn,
    one: &str,
    other: &str,
) -> Result<bool, Trouble> {
    let statement = match column {
        SourceColumn::TenantId => sql::SOURCE_ALIKE_TENANT_ID,
        SourceColumn::LogicalId => sql::SOURCE_ALIKE_LOGICAL_ID,
    };
    session.begin_read().await?;
    let is_alike = session
        .query_one(statement, &[&session.letters.clean(one), &session.letters.clean(other)])
        .await?
        .try_get(0)?;
    session.commit().await?;
    Ok(is_alike)
}

pub(super) async fn command_read(session: &Session) -> Result<Vec<CommandRow>, Trouble> {
    session.begin_read().await?;
    let commands = all(session, sql::COMMAND_READ, rows::open_command).await?;
    session.commit().await?;
    Ok(commands)
}

pub(super) async fn lever_read(session: &Session) -> Result<Vec<CommandRow>, Trouble> {
    session.begin_read().await?;
    let commands = all(session, sql::LEVER_READ, rows::command).await?;
    session.commit().await?;
    Ok(commands)
}

pub(super) async fn host_read(session: &Session) -> Result<Vec<HostRow>, Trouble> {
    session.begin_read().await?;
    let hosts = all(session, sql::HOST_READ, rows::host).await?;
    session.commit().await?;
    Ok(hosts)
}

pub(super) async fn status_read(session: &Session) -> Result<Vec<StatusRead>, Trouble> {
    session.begin_read().await?;
    let statuses = all(session, sql::STATUS_READ, rows::status).await?;
    session.commit().await?;
    Ok(statuses)
}

pub(super) async fn finding_read(session: &Session) -> Result<Vec<FindingRow>, Trouble> {
    session.begin_read().await?;
    let findings = all(session, sql::FINDING_READ, rows::finding).await?;
    session.commit().await?;
    Ok(findings)
}

pub(super) async fn history_read(session: &Session) -> Result<Vec<ChangeRow>, Trouble> {
    session.begin_read().await?;
    let changes = all(session, sql::HISTORY_READ, rows::setting_change).await?;
    session.commit().await?;
    Ok(changes)
}

async fn all<T>(session: &Session, statement: &'static str, map: fn(&Row) -> T) -> Result<Vec<T>, Trouble> {
    Ok(session.query(statement, &[]).await?.iter().map(map).collect())
}

pub(super) async fn host_claim(
    session: &Session,
    row: &HostRow,
    expected_epoch: Option<i64>,
) -> Result<bool, Trouble> {
    session.begin_write().await?;
    let operating_system = session.letters.clean(&row.operating_system);
    let refused_reason = session.letters.clean_if(row.refused_reason.as_ref());
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

pub(super) async fn owner_claim(
    session: &Session,
    claim: &OwnerClaim,
    lockers: &Lockers,
) -> Result<Owner, Trouble> {
    let OwnerClaim { connection_point, direction, journal_id, lapse_seconds, .. } = claim;
    session.begin_write().await?;
    let mut holder = None;
    if take(session, claim).await? {
        let what = owned(journal_id, connection_point, direction);
        match session.lock_while_it_lives(&what, lockers).await? {
            Lock::Ours | Lock::Without(None) => {
                session.commit().await?;
                return Ok(Owner::Mine);
            }
            Lock::Without(Some(stranger)) => {
                session.commit().await?;
                return Ok(Owner::MineBeside { stranger });
            }
            Lock::Copy(said) => holder = Some((what, said)),
        }
    }
    session.rollback().await?;
    session.begin_write().await?;
    let rows = session.query(sql::OWNER_READ, &[connection_point, direction, lapse_seconds]).await?;
    // A copy that lives has its row, and renews its claim: one that is silent has lapsed as any owner.
    let row = rows.first();
    let is_silent = row.map_or(Ok(true), |row| row.try_get::<_, i64>(2).map(|lapsed| lapsed != 0))?;
    let taken = holder.is_some() && is_silent && take(session, claim).await?;
    session.commit().await?;
    match (holder, row) {
        (Some((what, _)), _) if taken => {
            session.goes_without(what);
            Ok(Owner::Mine)
        }
        (Some((_, holder)), Some(row)) => Ok(Owner::Copy { holder, heartbeat_at: row.required_time(1)? }),
        (None, Some(row)) => Ok(Owner::Other { host: row.required(0)?, heartbeat_at: row.required_time(1)? }),
        (_, None) => Err(Trouble::Mend {
            what: format!("the row of {connection_point} in bodrelay_status went away during a claim"),
            remedy: "nothing: the agent tries again by itself".into(),
        }),
    }
}

/// Writes a claim into the table, where the row is free or this journal's.
async fn take(session: &Session, claim: &OwnerClaim) -> Result<bool, Trouble> {
    let OwnerClaim { connection_point, direction, journal_id, host, agent_version, lapse_seconds } = claim;
    let values: [Value<'_>; 6] =
        [connection_point, direction, journal_id, host, agent_version, lapse_seconds];
    Ok(session.execute(sql::OWNER_CLAIM, &values).await? > 0
        || session.execute(sql::OWNER_INSERT, &values[..5]).await? > 0)
}

pub(super) async fn owner_renew(
    session: &Session,
    connection_point: &str,
    direction: &str,
    journal_id: &str,
) -> Result<bool, Trouble> {
    session.begin_write().await?;
    let renewed = session.execute(sql::OWNER_RENEW, &[&connection_point, &direction, &journal_id]).await?;
    session.commit().await?;
    Ok(renewed > 0)
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
    session.unlock(&owned(journal_id, connection_point, direction)).await
}
