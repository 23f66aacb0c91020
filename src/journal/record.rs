//! One message as the journal keeps it, and as memory caches it.

use std::sync::Arc;

use rusqlite::Row;
use uuid::Uuid;

use super::failure;
use crate::domain::delivery::{Delivery, State};
use crate::domain::failure::Failure;
use crate::domain::ids::{IdentityDigest, LaneKey};
use crate::domain::message::Facts;

/// A row of `message`. Times are ms since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The journal's number.
    pub message: i64,
    /// UUIDv7: the key in the message log.
    pub message_key: Uuid,
    pub point_id: i64,
    /// `C_ID`.
    pub entry_id: i64,
    pub identity: IdentityDigest,
    pub message_id: String,
    /// The application gave the id.
    pub message_id_given: bool,
    pub lane: LaneKey,
    /// `Verb.Noun`, as far as known.
    pub document_type: String,
    pub priority: u8,
    pub delivery: Delivery,
    pub late: bool,
    /// The failed message that this one waits for.
    pub held_by: Option<i64>,
    /// Later messages of the lane wait for this failed one.
    pub holds: bool,
    pub seen_at: i64,
    pub first_attempt_at: Option<i64>,
    pub last_attempt_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub http_status: Option<u16>,
    pub answer_class: Option<String>,
    pub failure: Option<Failure>,
    pub wire_bytes: Option<i64>,
    pub facts: Arc<Facts>,
    /// The message log has its present state.
    pub logged: bool,
}

impl Record {
    /// It was asked for by the command `resend`: its row was accepted before, and keeps its flag.
    pub fn is_resend(&self) -> bool {
        self.facts.resend_of.is_some()
    }

    /// Reads the columns of `message_records.sql`.
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let state =
            State::from_number(row.get(10)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(10, -1))?;
        let facts: String = row.get(26)?;
        Ok(Self {
            message: row.get(0)?,
            message_key: Uuid::from_bytes(row.get(1)?),
            point_id: row.get(2)?,
            entry_id: row.get(3)?,
            identity: IdentityDigest(row.get(4)?),
            message_id: row.get(5)?,
            message_id_given: row.get::<_, Option<i64>>(6)?.is_some(),
            lane: LaneKey(row.get(7)?),
            document_type: row.get(8)?,
            priority: row.get(9)?,
            delivery: Delivery {
                state,
                settled: row.get(11)?,
                in_doubt: row.get(12)?,
                attempts: row.get(14)?,
            },
            late: row.get(13)?,
            held_by: row.get(15)?,
            seen_at: row.get(16)?,
            first_attempt_at: row.get(17)?,
            last_attempt_at: row.get(18)?,
            finished_at: row.get(19)?,
            http_status: row.get(20)?,
            answer_class: row.get(21)?,
            failure: failure(row.get(22)?, row.get(23)?, row.get(24)?),
            wire_bytes: row.get(25)?,
            facts: serde_json::from_str(&facts).map(Arc::new).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(26, rusqlite::types::Type::Text, Box::new(error))
            })?,
            logged: row.get(27)?,
            holds: row.get(28)?,
        })
    }
}
