//! A statement that is named in what the database says of it.

use rusqlite::{CachedStatement, Connection, Params, Row};

use crate::database::said::name_of;

use super::outbox::prepare;
use super::trouble::Trouble;

pub(super) struct Named<'c> {
    statement: CachedStatement<'c>,
    sql: &'static str,
}

/// Prepared once a connection.
pub(super) fn named<'c>(connection: &'c Connection, sql: &'static str) -> Result<Named<'c>, Trouble> {
    let statement = prepare(connection, sql).map_err(|error| Trouble::Statement(name_of(sql), error))?;
    Ok(Named { statement, sql })
}

impl Named<'_> {
    pub(super) fn execute(&mut self, values: impl Params) -> Result<usize, Trouble> {
        let done = self.statement.execute(values);
        done.map_err(|error| Trouble::Statement(name_of(self.sql), error))
    }

    pub(super) fn query_row<T>(
        &mut self,
        values: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        let row = self.statement.query_row(values, map);
        row.map_err(|error| Trouble::Statement(name_of(self.sql), error))
    }
}
