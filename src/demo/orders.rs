//! A small order database beside the ready-made BODs: customers, orders, lines, and triggers that note what changed.

use anyhow::Result;
use rusqlite::{Connection, params};
use serde::Serialize;

/// The application's tables with their triggers, and what a DBA writes so that orders become documents.
const ORDERS: &str = include_str!("orders.sql");
/// Orders at the start.
const AT_FIRST: u32 = 40;

/// What became of the row changes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Composed {
    /// Rows that triggers wrote.
    pub changes: usize,
    /// Documents that they became: all changes of one are told as one.
    pub documents: usize,
    pub refused: usize,
    pub waiting: usize,
}

pub(super) fn make(connection: &Connection, tenant_id: &str, random: &mut fastrand::Rng) -> Result<()> {
    connection.execute_batch(ORDERS)?;
    connection.execute(
        "UPDATE bodrelay_connection_point SET tenant_id = ?1 WHERE connection_point = 'orders'",
        [tenant_id],
    )?;
    connection.execute_batch("BEGIN")?;
    for number in 1..=AT_FIRST {
        let order_no = format!("SO-{number}");
        connection.execute(
            "INSERT INTO orders VALUES (?1, ?2, '2026-03-02 08:15:30')",
            params![order_no, random.u32(1..=3)],
        )?;
        for line_no in 1..=random.u32(1..=9) {
            connection.execute(
                "INSERT INTO order_lines VALUES (?1, ?2, ?3, ?4, 'PCE')",
                params![order_no, line_no, format!("IT-{line_no}"), random.u32(1..100)],
            )?;
        }
    }
    Ok(connection.execute_batch("COMMIT")?)
}

/// Somebody works: an order gets other quantities, one is added, one may go.
pub(super) fn work(connection: &Connection, random: &mut fastrand::Rng) -> Result<()> {
    let order_no = format!("SO-{}", random.u32(1..=AT_FIRST));
    connection.execute_batch("BEGIN")?;
    connection.execute(
        "UPDATE order_lines SET quantity = quantity + ?2 WHERE order_no = ?1",
        params![order_no, random.u32(1..10)],
    )?;
    if random.u8(0..4) == 0 {
        let gone = format!("SO-{}", random.u32(1..=AT_FIRST));
        connection.execute("DELETE FROM order_lines WHERE order_no = ?1", [&gone])?;
        connection.execute("DELETE FROM orders WHERE order_no = ?1", [&gone])?;
    }
    connection.execute(
        "INSERT OR IGNORE INTO orders VALUES (?1, ?2, '2026-03-02 08:15:30')",
        params![order_no, random.u32(1..=3)],
    )?;
    Ok(connection.execute_batch("COMMIT")?)
}

/// Nothing waits to be composed.
pub(super) fn is_done(connection: &Connection) -> Result<bool> {
    Ok(composed(connection)?.waiting == 0)
}

pub(super) fn composed(connection: &Connection) -> Result<Composed> {
    let count = |sql: &str| -> Result<usize> {
        Ok(usize::try_from(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)?)
    };
    Ok(Composed {
        changes: count("SELECT count(*) FROM bodrelay_change")?,
        documents: count("SELECT count(DISTINCT entry_id) FROM bodrelay_change WHERE was_processed = 1")?,
        refused: count("SELECT count(*) FROM bodrelay_change WHERE was_processed = 9")?,
        waiting: count("SELECT count(*) FROM bodrelay_change WHERE was_processed = 0")?,
    })
}
