//! Reads the control tables, and claims what only one agent may have: the host's epoch, a connection point's direction.

use crate::database::locks::{Lock, Lockers, owned};
use crate::database::rows::{self, Cells};
use crate::database::statements::mssql as sql;
use crate::database::{
    ChangeRow, CommandRow, FindingRow, HostRow, Owner, OwnerClaim, SourceColumn, StatusRead,
};
use crate::domain::plan::{Alike, ControlTables};

use super::session::{Row, Session};
use super::trouble::Trouble;
use super::values::{given, stamp};

/// Each table as committed when it is read (a transaction would not change that under READ COMMITTED): a change that a DBA
/// commits in between is seen whole at the next look.
pub(super) async fn control_read(session: &mut Session) -> Result<ControlTables, Trouble> {
    Ok(ControlTables {
        connection_points: all(session, sql::CONTROL_READ_CONNECTION_POINTS, rows::connection_point).await?,
        documents: all(session, sql::CONTROL_READ_DOCUMENTS, rows::document).await?,
        status_rules: all(session, sql::CONTROL_READ_STATUS_RULES, rows::status_rule).await?,
        alike: Alike::default(),
    })
}

pub(super) async fn source_alike(
    session: &mut Session,
    column: SourceColumn,
    one: &str,
    other: &str,
) -> Result<bool, Trouble> {
    let statement = match column {
        SourceColumn::TenantId => sql::SOURCE_ALIKE_TENANT_ID,
        SourceColumn::LogicalId => sql::SOURCE_ALIKE_LOGICAL_ID,
    };
    session.query_row(statement, &[&one, &other]).await?.flag(0)
}

pub(super) async fn command_read(session: &mut Session) -> Result<Vec<CommandRow>, Trouble> {
    all(session, sql::COMMAND_READ, rows::open_command).await
}

pub(super) async fn lever_read(session: &mut Session) -> Result<Vec<CommandRow>, Trouble> {
    all(session, sql::LEVER_READ, rows::command).await
}

pub(super) async fn host_read(session: &mut Session) -> Result<Vec<HostRow>, Trouble> {
    all(session, sql::HOST_READ, rows::host).await
}

pub(super) async fn status_read(session: &mut Session) -> Result<Vec<StatusRead>, Trouble> {
    all(session, sql::STATUS_READ, rows::status).await
}

pub(super) async fn finding_read(session: &mut Session) -> Result<Vec<FindingRow>, Trouble> {
    all(session, sql::FINDING_READ, rows::finding).await
}

pub(super) async fn history_read(session: &mut Session) -> Result<Vec<ChangeRow>, Trouble> {
    all(session, sql::HISTORY_READ, rows::setting_change).await
}

async fn all<T>(
    session: &mut Session,
    statement: &'static str,
    map: fn(&Row) -> T,
) -> Result<Vec<T>, Trouble> {
    Ok(session.query(statement, &[]).await?.iter().map(map).collect())
}

pub(super) async fn host_claim(
    session: &mut Session,
    row: &HostRow,
    expected_epoch: Option<i64>,
) -> Result<bool, Trouble> {
    let started_at = stamp(row.started_at);
    let refused_reason = given(row.refused_reason.as_ref());
    let epoch = expected_epoch.unwrap_or_default();
    let values: [&dyn tiberius::ToSql; 13] = [
        &row.host,
        &row.location_name,
        &row.journal_id,
        &row.database_fingerprint,
        &row.epoch,
        &row.agent_version,
        &row.script_needed,
        &row.operating_system,
        &row.process_id,
        &row.state,
        &refused_reason,
        &started_at,
        &epoch,
    ];
    session.begin().await?;
    let changed = match expected_epoch {
        None => session.execute(sql::HOST_INSERT, &values[..12]).await?,
        Some(_) => session.execute(sql::HOST_CLAIM, &values).await?,
    };
    session.commit().await?;
    Ok(changed > 0)
}

pub(super) async fn owner_claim(
    session: &mut Session,
    claim: &OwnerClaim,
    lockers: &Lockers,
) -> Result<Owner, Trouble> {
    let OwnerClaim { connection_point, direction, journal_id, lapse_seconds, .. } = claim;
    session.begin().await?;
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
    session.begin().await?;
    let rows = session.query(sql::OWNER_READ, &[connection_point, direction, lapse_seconds]).await?;
    // A copy that lives has its row, and renews its claim: one that is silent has lapsed as any owner.
    let row = rows.first();
    let is_silent = row.map_or(Ok(true), |row| row.flag(2))?;
    let taken = holder.is_some() && is_silent && take(session, claim).await?;
    session.commit().await?;
    match (holder, row) {
        (Some((what, _)), _) if taken => {
            session.goes_without(what);
            Ok(Owner::Mine)
        }
        (Some((_, holder)), Some(row)) => Ok(Owner::Copy { holder, heartbeat_at: row.required_time(1)? }),
        (None, Some(row)) => Ok(Owner::Other { host: row.required(0)?, heartbeat_at: row.required_time(1)? }),
        (_, None) => Err(Trouble::NoRow),
    }
}

/// Writes a claim into the table, where the row is free or this journal's.
async fn take(session: &mut Session, claim: &OwnerClaim) -> Result<bool, Trouble> {
    let OwnerClaim { connection_point, direction, journal_id, host, agent_version, lapse_seconds } = claim;
    let values: [&dyn tiberius::ToSql; 6] =
        [connection_point, direction, journal_id, host, agent_version, lapse_seconds];
    Ok(session.execute(sql::OWNER_CLAIM, &values).await? > 0
        || session.execute(sql::OWNER_INSERT, &values[..5]).await? > 0)
}

pub(super) async fn owner_renew(
    session: &mut Session,
    connection_point: &str,
    direction: &str,
    journal_id: &str,
) -> Result<bool, Trouble> {
    session.begin().await?;
    let renewed = session.execute(sql::OWNER_RENEW, &[&connection_point, &direction, &journal_id]).await?;
    session.commit().await?;
    Ok(renewed > 0)
}

pub(super) async fn owner_release(
    session: &mut Session,
    connection_point: &str,
    direction: &str,
    journal_id: &str,
) -> Result<(), Trouble> {
    session.begin().await?;
    session.execute(sql::OWNER_RELEASE, &[&connection_point, &direction, &journal_id]).await?;
    session.commit().await?;
    session.unlock(&owned(journal_id, connection_point, direction)).await
}
