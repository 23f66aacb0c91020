//! Reads the control tables, and claims what only one agent may have: the host's epoch, a connection point's direction.

use rusqlite::{Connection, Row, Transaction, params};

use crate::database::rows::{self, Cells};
use crate::database::statements::sqlite as sql;
use crate::database::{
    ChangeRow, CommandRow, FindingRow, HostRow, Owner, OwnerClaim, SourceColumn, StatusRead,
};
use crate::domain::plan::{Alike, ControlTables};

use super::named::named;
use super::trouble::Trouble;
use super::values::stamp;
use super::{read, write};

pub(super) fn control_read(connection: &mut Connection) -> Result<ControlTables, Trouble> {
    let transaction = read(connection)?;
    Ok(ControlTables {
        connection_points: all(&transaction, sql::CONTROL_READ_CONNECTION_POINTS, |row| {
            Ok(rows::connection_point(row))
        })?,
        documents: all(&transaction, sql::CONTROL_READ_DOCUMENTS, |row| Ok(rows::document(row)))?,
        status_rules: all(&transaction, sql::CONTROL_READ_STATUS_RULES, |row| Ok(rows::status_rule(row)))?,
        alike: Alike::default(),
    })
}

/// An outbox that is not there, or has no such column, tells nothing apart.
pub(super) fn source_alike(
    connection: &mut Connection,
    column: SourceColumn,
    texts: &[String; 2],
) -> Result<bool, Trouble> {
    let transaction = read(connection)?;
    let (name, statement) = match column {
        SourceColumn::TenantId => (c"C_TENANT_ID", sql::SOURCE_ALIKE_TENANT_ID),
        SourceColumn::LogicalId => (c"C_LOGICAL_ID", sql::SOURCE_ALIKE_LOGICAL_ID),
    };
    let of_table = |table| transaction.column_metadata(None, table, name);
    let metadata = of_table(c"COR_OUTBOX_ENTRY").or_else(|_| of_table(c"bodrelay_outbox_entry"))?;
    let collation = metadata.1.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut statement = transaction.prepare_cached(statement)?;
    Ok(statement.query_row(params![texts[0], texts[1], collation], |row| row.get(0))?)
}

pub(super) fn command_read(connection: &mut Connection) -> Result<Vec<CommandRow>, Trouble> {
    all(&read(connection)?, sql::COMMAND_READ, |row| Ok(rows::open_command(row)))
}

pub(super) fn lever_read(connection: &mut Connection) -> Result<Vec<CommandRow>, Trouble> {
    all(&read(connection)?, sql::LEVER_READ, |row| Ok(rows::command(row)))
}

pub(super) fn host_read(connection: &mut Connection) -> Result<Vec<HostRow>, Trouble> {
    all(&read(connection)?, sql::HOST_READ, |row| Ok(rows::host(row)))
}

pub(super) fn status_read(connection: &mut Connection) -> Result<Vec<StatusRead>, Trouble> {
    all(&read(connection)?, sql::STATUS_READ, |row| Ok(rows::status(row)))
}

pub(super) fn finding_read(connection: &mut Connection) -> Result<Vec<FindingRow>, Trouble> {
    all(&read(connection)?, sql::FINDING_READ, |row| Ok(rows::finding(row)))
}

pub(super) fn history_read(connection: &mut Connection) -> Result<Vec<ChangeRow>, Trouble> {
    all(&read(connection)?, sql::HISTORY_READ, |row| Ok(rows::setting_change(row)))
}

fn all<T>(
    transaction: &Transaction<'_>,
    statement: &str,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Trouble> {
    let mut statement = transaction.prepare_cached(statement)?;
    Ok(statement.query_map([], map)?.collect::<rusqlite::Result<_>>()?)
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
        None => named(&transaction, sql::HOST_INSERT)?.execute(values)?,
        Some(epoch) => {
            let mut all = values.to_vec();
            all.push(&epoch);
            named(&transaction, sql::HOST_CLAIM)?.execute(all.as_slice())?
        }
    };
    transaction.commit()?;
    Ok(changed > 0)
}

pub(super) fn owner_claim(connection: &mut Connection, claim: &OwnerClaim) -> Result<Owner, Trouble> {
    let transaction = write(connection)?;
    let OwnerClaim { connection_point, direction, journal_id, host, agent_version, lapse_seconds } = claim;
    let taken = named(&transaction, sql::OWNER_CLAIM)?.execute(params![
        connection_point,
        direction,
        journal_id,
        host,
        agent_version,
        lapse_seconds
    ])? > 0
        || named(&transaction, sql::OWNER_INSERT)?.execute(params![
            connection_point,
            direction,
            journal_id,
            host,
            agent_version
        ])? > 0;
    let owner = match taken {
        true => Owner::Mine,
        false => named(&transaction, sql::OWNER_READ)?
            .query_row(params![connection_point, direction, lapse_seconds], |row| {
                Ok(Owner::Other { host: row.required(0)?, heartbeat_at: row.required_time(1)? })
            })?,
    };
    transaction.commit()?;
    Ok(owner)
}

/// `owned`: connection point, direction, journal id.
pub(super) fn owner_renew(connection: &mut Connection, owned: &[String; 3]) -> Result<bool, Trouble> {
    let transaction = write(connection)?;
    let renewed = named(&transaction, sql::OWNER_RENEW)?.execute(params![owned[0], owned[1], owned[2]])?;
    transaction.commit()?;
    Ok(renewed > 0)
}

/// `owned`: connection point, direction, journal id.
pub(super) fn owner_release(connection: &mut Connection, owned: &[String; 3]) -> Result<(), Trouble> {
    let transaction = write(connection)?;
    named(&transaction, sql::OWNER_RELEASE)?.execute(params![owned[0], owned[1], owned[2]])?;
    transaction.commit()?;
    Ok(())
}
