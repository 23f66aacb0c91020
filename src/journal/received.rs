//! Which messages were received, so that what a restored database lacks can be named.

use rusqlite::OptionalExtension;

use super::{Journal, Result, statements as sql};
use crate::domain::ids::Digest;
use crate::domain::incoming::{Incoming, Marks};

/// A message that the inbox has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Of its row of `bodrelay_receipt`: 64 hex digits.
    pub receipt_key: String,
    pub message_id: String,
    /// ms since 1970.
    pub received_at: i64,
}

impl Received {
    pub fn of(document: &Incoming) -> Self {
        Self {
            receipt_key: Marks::of(document).receipt_key,
            message_id: document.parameters.message_id.clone(),
            received_at: document.received_at.timestamp_millis(),
        }
    }
}

impl Journal {
    /// Messages of a connection point were committed to the inbox, one transaction for all. Told again, it changes
    /// nothing.
    pub async fn remember_received(
        &self,
        database_id: i64,
        connection_point: &str,
        received: Vec<Received>,
    ) -> Result<()> {
        let name = connection_point.to_owned();
        self.transaction(move |tx| {
            tx.prepare_cached(sql::POINT_INSERT)?.execute((database_id, &name))?;
            let point_id: i64 =
                tx.prepare_cached(sql::POINT_READ)?.query_row((database_id, &name), |row| row.get(0))?;
            let mut statement = tx.prepare_cached(sql::RECEIVED_INSERT)?;
            for it in &received {
                statement.execute((point_id, bytes(&it.receipt_key), &it.message_id, it.received_at))?;
            }
            Ok(())
        })
        .await
    }

    /// A page of what was received, newest first; `below`: the last one of the page before.
    pub async fn received_newest(
        &self,
        point_id: i64,
        below: Option<&Received>,
        limit: i64,
    ) -> Result<Vec<Received>> {
        let (at, key) = below.map_or((i64::MAX, Vec::new()), |it| (it.received_at, bytes(&it.receipt_key)));
        self.query(move |connection| {
            connection
                .prepare_cached(sql::RECEIVED_NEWEST)?
                .query_map((point_id, at, key, limit), |row| {
                    Ok(Received {
                        receipt_key: Digest(row.get(0)?).to_string(),
                        message_id: row.get(1)?,
                        received_at: row.get(2)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// Forgets what was received before a time, and what is more than `most`, a small piece at once.
    pub async fn forget_received(&self, point_id: i64, before: i64, most: i64) -> Result<()> {
        /// Rows a call: a few milliseconds of the journal's thread.
        const PIECE: i64 = 1000;
        self.transaction(move |tx| {
            let too_much: Option<i64> = tx
                .prepare_cached(sql::RECEIVED_BOUND)?
                .query_row((point_id, most), |row| row.get(0))
                .optional()?;
            let before = too_much.map_or(before, |at| before.max(at + 1));
            tx.prepare_cached(sql::RECEIVED_FORGET)?.execute((point_id, before, PIECE))?;
            Ok(())
        })
        .await
    }
}

/// Keys are hex digits of our own making; what is none becomes a key that nothing has.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |place: usize| hex.get(place..place + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..32).map(|byte| digit(byte * 2).unwrap_or_default()).collect()
}
