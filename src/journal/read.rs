//! What the journal is asked: for recovery, for scans, for the operator.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::apply::{Attempt, json};
use super::record::Record;
use super::{Journal, JournalError, Result, statements as sql};
use crate::domain::delivery::State;
use crate::domain::ids::LaneKey;
use crate::domain::plan::OrderBy;

/// A connection point that this journal has met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPoint {
    pub point_id: i64,
    /// -1: the message log is still to be read for what a lost journal knew.
    pub scanned_up_to: i64,
    pub observed_up_to: i64,
    /// When its outbox was last looked at to the end by a cron schedule, ms since 1970.
    pub looked_at: Option<i64>,
    pub pause: Option<Pause>,
}

/// What orders the documents of a noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applies {
    pub order_by: OrderBy,
    /// Of rows below this one nobody can tell whether later ones of their lane were accepted: these went by another
    /// order.
    pub from: i64,
}

/// A DBA's pause of a connection point. Times are ms since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub since: i64,
    /// `None`: until the command `resume`.
    pub until: Option<i64>,
    /// Who asked, and why, as the command says.
    pub reason: String,
}

/// Rows of the outbox that have had their time, by `C_ID`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeDue {
    /// Accepted when rows above them were deleted already.
    pub late: Vec<i64>,
    /// The next ones, lowest first.
    pub next: Vec<i64>,
}

/// How far a command of `bodrelay_command` is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandProgress {
    /// What ended later (ms since 1970) is none of its business: so that done twice is done once.
    pub begun_at: i64,
    /// The last key that was looked at.
    pub after_key: String,
    pub matched: i64,
    pub done: i64,
}

/// Figures of a connection point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub held: i64,
    pub failed: i64,
    pub in_doubt: i64,
}

/// A parked row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    pub entry_id: i64,
    pub first_seen: i64,
    pub header_count: i64,
}

/// A waiting scope under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredScope {
    pub scope: String,
    pub cause: String,
    pub refusals: u32,
    pub not_before: i64,
    pub since: i64,
    pub lone: u32,
    pub in_doubt_tries: u32,
    /// Of a lane.
    pub document_type: Option<String>,
    /// `ScopeKind::number`; 0: none.
    pub passed: u8,
    pub alone: u8,
    pub text: String,
}

impl StoredScope {
    pub(super) fn write(&self, tx: &Transaction<'_>) -> Result<()> {
        tx.prepare_cached(sql::SCOPE_WRITE)?.execute(params![
            self.scope,
            self.cause,
            self.refusals,
            self.not_before,
            self.since,
            self.lone,
            self.in_doubt_tries,
            self.document_type,
            self.passed,
            self.alone,
            self.text,
        ])?;
        Ok(())
    }
}

impl Journal {
    /// The connection point of this name, met for the first time if need be.
    pub async fn meet_point(&self, database_id: i64, name: &str) -> Result<KnownPoint> {
        let name = name.to_owned();
        self.transaction(move |tx| {
            tx.prepare_cached(sql::POINT_INSERT)?.execute((database_id, &name))?;
            Ok(tx.prepare_cached(sql::POINT_READ)?.query_row((database_id, &name), |row| {
                Ok(KnownPoint {
                    point_id: row.get(0)?,
                    scanned_up_to: row.get(1)?,
                    observed_up_to: row.get(2)?,
                    looked_at: row.get(3)?,
                    pause: match row.get(4)? {
                        Some(since) => Some(Pause { since, until: row.get(5)?, reason: row.get(6)? }),
                        None => None,
                    },
                })
            })?)
        })
        .await
    }

    /// The highest row that is, or waits to become, a message; 0: there is none.
    pub async fn highest(&self, point_id: i64) -> Result<i64> {
        self.query(move |connection| {
            connection.prepare_cached(sql::POINT_HIGHEST)?.query_row([point_id], |row| row.get(0))
        })
        .await
    }

    /// What orders the documents of each noun.
    pub async fn orders(&self, point_id: i64) -> Result<BTreeMap<String, Applies>> {
        let rows: Vec<(String, String, i64)> = self
            .query(move |connection| {
                connection
                    .prepare_cached(sql::NOUN_ORDER_READ)?
                    .query_map([point_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                    .collect()
            })
            .await?;
        let known = rows.into_iter().filter_map(|(noun, order_by, from)| {
            Some((noun, Applies { order_by: OrderBy::parse(&order_by)?, from }))
        });
        Ok(known.collect())
    }

    /// Receivers (`ToLogicalId`) that documents of a connection point went to.
    pub async fn receivers(&self, point_id: i64) -> Result<Vec<String>> {
        self.query(move |connection| {
            connection.prepare_cached(sql::RECEIVER_READ)?.query_map([point_id], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Of these rows at 0 (in their order), those that are to be read and judged: unknown ones, and ones whose message has
    /// ended. Open and parked rows are left out.
    pub async fn to_judge(&self, point_id: i64, mut entry_ids: Vec<i64>) -> Result<Vec<i64>> {
        /// Rows asked for at once: no commit waits for more.
        const PIECE: usize = 2_000;
        let mut left = Vec::with_capacity(entry_ids.len());
        while !entry_ids.is_empty() {
            let rest = entry_ids.split_off(entry_ids.len().min(PIECE));
            let piece = std::mem::replace(&mut entry_ids, rest);
            left.extend(self.query(move |connection| unknown(connection, point_id, piece)).await?);
        }
        Ok(left)
    }

    /// Whole messages, in the order of their rows.
    pub async fn records(&self, messages: Vec<i64>) -> Result<Vec<Record>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::MESSAGE_RECORDS)?
                .query_map([json(&messages)], Record::from_row)?
                .collect()
        })
        .await
    }

    /// Messages that may be sent, above a row, in the order of their rows.
    pub async fn pending(&self, point_id: i64, above: i64, limit: i64) -> Result<Vec<Record>> {
        let numbers = self.numbers(sql::MESSAGE_PENDING, (point_id, above, limit)).await?;
        self.records(numbers).await
    }

    /// Messages that are done but not settled.
    pub async fn unsettled(&self, point_id: i64, limit: i64) -> Result<Vec<Record>> {
        let numbers = self.numbers(sql::MESSAGE_UNSETTLED, (point_id, limit)).await?;
        self.records(numbers).await
    }

    /// Messages that an earlier life began and did not record.
    pub async fn in_flight(&self, point_id: i64) -> Result<Vec<i64>> {
        self.numbers(sql::MESSAGE_IN_FLIGHT, (point_id,)).await
    }

    /// Held messages that the message log does not have as they are.
    pub async fn held_unlogged(&self, point_id: i64, limit: i64) -> Result<Vec<Record>> {
        let numbers = self.numbers(sql::MESSAGE_UNLOGGED, (point_id, limit)).await?;
        self.records(numbers).await
    }

    /// A page of messages in these states above a number, in the order of their rows: of each row its newest message.
    pub async fn page(
        &self,
        point_ids: Vec<i64>,
        states: &[State],
        above: i64,
        limit: i64,
    ) -> Result<Vec<Record>> {
        let states: Vec<i64> = states.iter().map(|state| *state as i64).collect();
        let numbers =
            self.numbers(sql::MESSAGE_PAGE, (json(&point_ids), json(&states), above, limit)).await?;
        self.records(numbers).await
    }

    async fn numbers(
        &self,
        statement: &'static str,
        parameters: impl rusqlite::Params + Send + 'static,
    ) -> Result<Vec<i64>> {
        self.query(move |connection| {
            connection.prepare_cached(statement)?.query_map(parameters, |row| row.get(0))?.collect()
        })
        .await
    }

    /// Tries of these messages that the message log does not have: message, number of the try, the try.
    pub async fn attempts(&self, messages: Vec<i64>) -> Result<Vec<(i64, i64, Attempt)>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::ATTEMPT_READ)?
                .query_map([json(&messages)], |row| {
                    let class: String = row.get(5)?;
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        Attempt {
                            started_at: row.get(2)?,
                            duration_ms: row.get(3)?,
                            http_status: row.get(4)?,
                            answer_class: class_name(&class),
                            in_doubt: row.get(6)?,
                            failure_code: row.get(7)?,
                            answer_text: row.get(8)?,
                        },
                    ))
                })?
                .collect()
        })
        .await
    }

    /// Rows parked for a reason (and document type, where one is given), lowest first.
    pub async fn parked(
        &self,
        point_id: i64,
        reason: &'static str,
        document_type: Option<String>,
        limit: i64,
    ) -> Result<Vec<Parked>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::PARKED_PAGE)?
                .query_map(params![point_id, reason, document_type, limit], |row| {
                    Ok(Parked { entry_id: row.get(0)?, first_seen: row.get(1)?, header_count: row.get(2)? })
                })?
                .collect()
        })
        .await
    }

    /// Rows parked for a reason above an id, lowest first.
    pub async fn parked_after(
        &self,
        point_id: i64,
        reason: &'static str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Parked>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::PARKED_AFTER)?
                .query_map(params![point_id, reason, after, limit], |row| {
                    Ok(Parked { entry_id: row.get(0)?, first_seen: row.get(1)?, header_count: row.get(2)? })
                })?
                .collect()
        })
        .await
    }

    /// Parked rows of a suspended type that may be its probe, lowest first, or `last` first: of none of these lanes.
    pub async fn parked_probes(
        &self,
        point_id: i64,
        document_type: String,
        but: Vec<LaneKey>,
        last: bool,
        limit: i64,
    ) -> Result<Vec<i64>> {
        let but: Vec<String> = but.iter().map(|lane| lane.0.to_string()).collect();
        let but = format!("[{}]", but.join(","));
        let statement = if last { sql::PARKED_PROBES_LAST } else { sql::PARKED_PROBES };
        self.numbers(statement, (point_id, document_type, but, limit)).await
    }

    /// Parked rows that are to be judged again, lowest first.
    pub async fn woken(&self, point_id: i64, limit: i64) -> Result<Vec<i64>> {
        self.numbers(sql::PARKED_WOKEN, (point_id, limit)).await
    }

    /// The document types with rows that are parked because their type is suspended.
    pub async fn suspended(&self, point_id: i64) -> Result<Vec<String>> {
        self.types(sql::PARKED_SUSPENDED, point_id).await
    }

    /// The document types with failed messages that hold their lanes.
    pub async fn holding(&self, point_id: i64) -> Result<Vec<String>> {
        self.types(sql::MESSAGE_HOLDING, point_id).await
    }

    async fn types(&self, statement: &'static str, point_id: i64) -> Result<Vec<String>> {
        self.query(move |connection| {
            connection.prepare_cached(statement)?.query_map([point_id], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Rows parked for a reason, by document type and row, from behind this one on.
    pub async fn parked_walk(
        &self,
        point_id: i64,
        reason: &'static str,
        (document_type, entry_id): (String, i64),
        limit: i64,
    ) -> Result<Vec<(String, i64)>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::PARKED_WALK)?
                .query_map(params![point_id, reason, document_type, entry_id, limit], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        })
        .await
    }

    /// A later row of the lane was accepted since this one was first seen, or may have been by another order.
    pub async fn is_overtaken(
        &self,
        point_id: i64,
        document_type: &str,
        lane: LaneKey,
        entry_id: i64,
        seen_at: i64,
    ) -> Result<bool> {
        let document_type = document_type.to_owned();
        self.query(move |connection| {
            let accepted: Option<i64> = connection
                .prepare_cached(sql::LANE_TAIL_READ)?
                .query_row((point_id, lane.0, document_type, seen_at), |row| row.get(0))?;
            Ok(accepted.is_some_and(|accepted| accepted > entry_id))
        })
        .await
    }

    /// Figures of a connection point.
    pub async fn counts(&self, point_id: i64) -> Result<Counts> {
        self.query(move |connection| {
            connection.prepare_cached(sql::MESSAGE_COUNTS)?.query_row([point_id], |row| {
                Ok(Counts { held: row.get(0)?, failed: row.get(1)?, in_doubt: row.get(2)? })
            })
        })
        .await
    }

    /// Everything that waits.
    pub async fn scopes(&self) -> Result<Vec<StoredScope>> {
        self.query(|connection| {
            connection
                .prepare_cached(sql::SCOPE_READ)?
                .query_map([], |row| {
                    Ok(StoredScope {
                        scope: row.get(0)?,
                        cause: row.get(1)?,
                        refusals: row.get(2)?,
                        not_before: row.get(3)?,
                        since: row.get(4)?,
                        lone: row.get(5)?,
                        in_doubt_tries: row.get(6)?,
                        document_type: row.get(7)?,
                        passed: row.get(8)?,
                        alone: row.get(9)?,
                        text: row.get(10)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// How far a command is; `None`: it was not begun.
    pub async fn command(&self, database_id: i64, command_id: i64) -> Result<Option<CommandProgress>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::COMMAND_READ)?
                .query_row((database_id, command_id), |row| {
                    Ok(CommandProgress {
                        begun_at: row.get(0)?,
                        after_key: row.get(1)?,
                        matched: row.get(2)?,
                        done: row.get(3)?,
                    })
                })
                .optional()
        })
        .await
    }

    /// Tombstones above a row, `limit` of them: row, settled time.
    pub async fn delivered_above(&self, point_id: i64, above: i64, limit: i64) -> Result<Vec<(i64, i64)>> {
        self.query(move |connection| {
            connection
                .prepare_cached(sql::DELIVERED_OLD)?
                .query_map((point_id, above, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    /// Rows of the outbox that were accepted before a time (ms since 1970) and are not deleted yet; `limit` at most.
    pub async fn purge_due(&self, point_id: i64, before: i64, limit: i64) -> Result<PurgeDue> {
        self.query(move |connection| {
            let mut due = PurgeDue {
                late: connection
                    .prepare_cached(sql::PURGE_LATE_READ)?
                    .query_map((point_id, before, limit), |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?,
                next: Vec::new(),
            };
            let mut statement = connection.prepare_cached(sql::PURGE_NEXT)?;
            let mut rows = statement.query((point_id, limit))?;
            while let Some(row) = rows.next()? {
                // Up to the first one whose time has not come: what is below it is all deleted then.
                if row.get::<_, i64>(1)? >= before {
                    break;
                }
                due.next.push(row.get(0)?);
            }
            Ok(due)
        })
        .await
    }

    /// They are deleted, but for some that are late from now on (each with the time from which it has been kept).
    pub async fn purged(&self, point_id: i64, due: PurgeDue, late: Vec<(i64, i64)>) -> Result<()> {
        self.transaction(move |tx| {
            tx.prepare_cached(sql::PURGE_LATE_DELETE)?.execute((point_id, json(&due.late)))?;
            if let Some(last) = due.next.last() {
                tx.prepare_cached(sql::PURGE_CURSOR)?.execute((point_id, last))?;
            }
            let mut statement = tx.prepare_cached(sql::PURGE_LATE_KEEP)?;
            for (entry_id, since) in late {
                statement.execute((point_id, entry_id, since))?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets what has had its time, a small piece at once: tombstones of these rows settled before `delivered`; of
    /// the next page of `tour` lanes before `delivered`, and ended messages other than failed ones before `ended`; and
    /// gives freed pages back. Answers where the tour goes on.
    pub async fn forget(
        &self,
        point_id: i64,
        gone: Vec<i64>,
        delivered: i64,
        ended: i64,
        tour: Tour,
    ) -> Result<Tour> {
        /// Rows looked at in a call: a few milliseconds of the journal's thread, however many it keeps.
        const PIECE: i64 = 1000;
        /// Tombstones forgotten in a transaction: the ids that go with them lie all over the file, a page each.
        const TOMBSTONES: usize = 200;
        for gone in gone.chunks(TOMBSTONES) {
            let gone = json(gone);
            self.transaction(move |tx| {
                tx.prepare_cached(sql::GIVEN_ID_FORGET)?.execute((point_id, &gone, delivered))?;
                tx.prepare_cached(sql::DELIVERED_DELETE)?.execute((point_id, &gone, delivered))?;
                Ok(())
            })
            .await?;
        }
        let tour = self
            .transaction(move |tx| {
                let page = |look: &str, forget: &str, above: i64, before: i64| {
                    let (last, rows): (Option<i64>, i64) = tx
                        .prepare_cached(look)?
                        .query_row((point_id, above, PIECE), |row| Ok((row.get(0)?, row.get(1)?)))?;
                    if let Some(last) = last {
                        tx.prepare_cached(forget)?.execute((point_id, above, last, before))?;
                    }
                    Ok::<_, JournalError>(last.filter(|_| rows >= PIECE).unwrap_or(i64::MIN))
                };
                Ok(Tour {
                    lanes: page(sql::LANE_TAIL_PAGE, sql::LANE_TAIL_FORGET, tour.lanes, delivered)?,
                    messages: page(sql::MESSAGE_FORGET_PAGE, sql::MESSAGE_FORGET, tour.messages, ended)?,
                })
            })
            .await?;
        self.query(|connection| connection.execute_batch("PRAGMA incremental_vacuum(256)")).await?;
        Ok(tour)
    }
}

/// Of these rows, those that have no open message and are not parked; all are in ascending order.
fn unknown(connection: &Connection, point_id: i64, mut rows: Vec<i64>) -> rusqlite::Result<Vec<i64>> {
    for known in [sql::MESSAGE_OPEN, sql::PARKED_RANGE] {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { break };
        let mut statement = connection.prepare_cached(known)?;
        let mut known = statement.query((point_id, first, last))?;
        let mut next = known.next()?.map(|row| row.get(0)).transpose()?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            while next.is_some_and(|known| known < row) {
                next = known.next()?.map(|row| row.get(0)).transpose()?;
            }
            if next != Some(row) {
                left.push(row);
            }
        }
        rows = left;
    }
    Ok(rows)
}

/// How far the tours of retention have come: the last lane, and the last row of a message, that were looked at.
#[derive(Debug, Clone, Copy)]
pub struct Tour {
    lanes: i64,
    messages: i64,
}

impl Default for Tour {
    fn default() -> Self {
        Self { lanes: i64::MIN, messages: i64::MIN }
    }
}

/// The class names that the agent writes.
fn class_name(text: &str) -> &'static str {
    match text {
        "accepted" => "accepted",
        "suspend" => "suspend",
        "reject" => "reject",
        _ => "retry",
    }
}
