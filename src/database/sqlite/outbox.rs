//! Scans, loads, counts and settles the outbox.
//!
//! A column of an unexpected type never fails a batch: the row is carried through as far as it can be read, so that its
//! message fails alone. `C_WAS_PROCESSED` that is NULL or no number counts as not 0 and is given as -1.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row, Transaction, params};

use crate::database::backlog::{ALONE_CAP, Group, needs_logical_ids, of_choice};
use crate::database::rows::Cells;
use crate::database::statements::sqlite as sql;
use crate::database::{
    Added, AttemptRow, Backlog, Filled, Loaded, Page, Scan, Scanned, Selection, Settle, Settled, UNSEEN_IDS,
    UNSEEN_MAX, Unseen,
};
use crate::domain::message::{Entry, Payload};

use super::named::{Named, named};
use super::trouble::{Trouble, of_commit};
use super::values::{json_ids, read_time, stamp, stamp_if};
use super::{log, read, write};

pub(super) fn scan(connection: &mut Connection, scan: &Scan) -> Result<Page, Trouble> {
    let transaction = read(connection)?;
    let highest = prepare(&transaction, sql::OUTBOX_HIGHEST)?.query_row([], |row| row.get(0))?;
    let Selection { tenant_id, logical_id, rows_from } = &scan.selection;
    let (rows_from, limit) = (stamp_if(*rows_from), scan.limit.max(0));
    let mut entries = Vec::new();
    let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
        entries.push(Scanned { entry_id: row.get(0)?, payload_bytes: row.get(1)? });
        Ok(())
    };
    match logical_id {
        None => {
            let values = params![scan.after, scan.up_to, limit, tenant_id, rows_from];
            for_each(&transaction, sql::OUTBOX_SCAN, values, &mut take)?;
        }
        Some(logical_id) => {
            let values = params![scan.after, scan.up_to, limit, tenant_id, rows_from, logical_id];
            by_logical_id(
                &transaction,
                for_each(&transaction, sql::OUTBOX_SCAN_BY_LOGICAL_ID, values, &mut take),
            )?;
        }
    }
    let filled = filled(&transaction, scan)?;
    let mut gaps = Vec::new();
    if let Some((after, last)) = scan.to_look_for_gaps(&entries, highest) {
        let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
            gaps.push((row.get(0)?, row.get(1)?));
            Ok(())
        };
        for_each(&transaction, sql::OUTBOX_GAPS, params![after, last, Scan::GAPS_MAX], &mut take)?;
        gaps.reverse();
    }
    Ok(Page { entries, filled, gaps, transactions: None, highest })
}

pub(super) fn unseen(connection: &mut Connection) -> Result<Unseen, Trouble> {
    let transaction = read(connection)?;
    let mut odd_flags = Vec::new();
    let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
        odd_flags.push((row.get(0)?, row.text(1)?));
        Ok(())
    };
    for_each(&transaction, sql::OUTBOX_UNSEEN, params![UNSEEN_IDS, UNSEEN_MAX], &mut take)?;
    let hidden = prepare(&transaction, sql::OUTBOX_HIDDEN)?.query_row([], |row| row.get(0))?;
    Ok(Unseen { odd_flags, hidden })
}

/// What has come into the holes. Where the application leaves numbers to SQLite nothing ever does: it has one writer at a
/// time, so that ids are given in the order of the commits, and those of a rollback are given again.
fn filled(transaction: &Transaction<'_>, scan: &Scan) -> Result<Vec<Filled>, Trouble> {
    let Selection { tenant_id, logical_id, rows_from } = &scan.selection;
    let rows_from = stamp_if(*rows_from);
    let mut filled = Vec::new();
    for (first, last) in &scan.holes {
        let left = Scan::FILLED_MAX - i64::try_from(filled.len()).unwrap_or(i64::MAX);
        let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
            filled.push(Filled { entry_id: row.get(0)?, is_chosen: row.get(1)?, payload_bytes: row.get(2)? });
            Ok(())
        };
        match logical_id {
            None => {
                let values = params![first, last, left, tenant_id, rows_from];
                for_each(transaction, sql::OUTBOX_FILLED, values, &mut take)?;
            }
            Some(logical_id) => {
                let values = params![first, last, left, tenant_id, rows_from, logical_id];
                for_each(transaction, sql::OUTBOX_FILLED_BY_LOGICAL_ID, values, &mut take)?;
            }
        }
    }
    Ok(filled)
}

/// A statement for the I/O Box; where there is none and every connection point composes, for our own outbox.
pub(super) fn prepare<'c>(
    connection: &'c Connection,
    statement: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    let error = match connection.prepare_cached(statement) {
        Err(error) if statement.contains("COR_OUTBOX_") => error,
        prepared => return prepared,
    };
    if connection.prepare_cached(sql::OUTBOX_HIGHEST).is_ok() || needs_box(connection) {
        return Err(error);
    }
    let own = statement
        .replace("COR_OUTBOX_ENTRY", "bodrelay_outbox_entry")
        .replace("COR_OUTBOX_HEADERS", "bodrelay_outbox_header");
    connection.prepare_cached(&own).map_err(|_| error)
}

/// Rows of an I/O Box are asked for, or nothing says otherwise.
pub(super) fn needs_box(connection: &Connection) -> bool {
    let sources = connection.prepare_cached(sql::SURVEY_SOURCES).and_then(|mut statement| {
        statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    });
    !matches!(sources, Ok((0, rows)) if rows > 0)
}

fn for_each(
    transaction: &Transaction<'_>,
    statement: &str,
    values: &[&dyn rusqlite::ToSql],
    take: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = prepare(transaction, statement)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// On a 1.0 box a statement that chooses by logical id cannot be prepared while its twin can, and that says what to
/// mend better than SQLite's own words.
fn by_logical_id(transaction: &Transaction<'_>, answer: rusqlite::Result<()>) -> Result<(), Trouble> {
    answer.map_err(|error| {
        let twin_fits = || prepare(transaction, sql::OUTBOX_SCAN).is_ok();
        match &error {
            rusqlite::Error::SqlInputError { .. } if twin_fits() => Trouble::Mend {
                what: "COR_OUTBOX_ENTRY has no column C_LOGICAL_ID (an I/O Box 1.0), but a connection point chooses \
                       by it"
                    .into(),
                remedy: "set source_logical_id of the connection point to NULL, or upgrade the I/O Box to 3.0".into(),
            },
            _ => Trouble::Sqlite(error),
        }
    })
}

pub(super) fn load(
    connection: &mut Connection,
    entry_ids: &[i64],
    max_bytes: usize,
) -> Result<Loaded, Trouble> {
    let ids = json_ids(entry_ids);
    let transaction = read(connection)?;
    let mut entries = Vec::with_capacity(entry_ids.len());
    let (mut bytes, mut last) = (0, None);
    let mut statement = prepare(&transaction, sql::OUTBOX_LOAD)?;
    let mut rows = statement.query(params![ids])?;
    while let Some(row) = rows.next()? {
        // The length is known without reading the payload.
        bytes += payload_bytes(row.get_ref(4)?);
        if bytes > max_bytes && !entries.is_empty() {
            last = Some(row.get::<_, i64>(0)?);
            break;
        }
        entries.push(entry(row)?);
    }
    drop(rows);
    drop(statement);
    let not_loaded = match last {
        Some(first_left) => entry_ids.iter().copied().filter(|id| *id >= first_left).collect(),
        None => Vec::new(),
    };
    for_each(&transaction, sql::OUTBOX_LOAD_HEADERS, params![ids], &mut |row| {
        let entry_id: i64 = row.get(0)?;
        if let Ok(place) = entries.binary_search_by_key(&entry_id, |entry| entry.entry_id)
            && let (Some(key), Some(value)) = (row.text(1)?, row.text(2)?)
        {
            entries[place].headers.push((key, value));
        }
        Ok(())
    })?;
    Ok(Loaded { entries, not_loaded })
}

/// Of these ids, those that are in the table.
pub(super) fn present(connection: &mut Connection, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    let transaction = read(connection)?;
    ids_of(&transaction, sql::OUTBOX_PRESENT, entry_ids)
}

/// Flag 9 becomes 0; answers the ids that were changed.
pub(super) fn reset(connection: &mut Connection, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    let transaction = write(connection)?;
    let changed = ids_of(&transaction, sql::OUTBOX_RESET, entry_ids);
    let changed = changed.map_err(|trouble| trouble.of(sql::OUTBOX_RESET))?;
    transaction.commit().map_err(of_commit)?;
    Ok(changed)
}

pub(super) fn purge(
    connection: &mut Connection,
    entry_ids: &[i64],
    selection: &Selection,
) -> Result<Vec<i64>, Trouble> {
    let transaction = write(connection)?;
    let Selection { tenant_id, logical_id, .. } = selection;
    let (mut ids, json) = (Vec::with_capacity(entry_ids.len()), json_ids(entry_ids));
    let mut take = |row: &Row<'_>| -> rusqlite::Result<()> {
        ids.push(row.get(0)?);
        Ok(())
    };
    match logical_id {
        None => for_each(&transaction, sql::OUTBOX_PURGE_SELECT, params![json, tenant_id], &mut take)?,
        Some(logical_id) => {
            let values = params![json, tenant_id, logical_id];
            by_logical_id(
                &transaction,
                for_each(&transaction, sql::OUTBOX_PURGE_SELECT_BY_LOGICAL_ID, values, &mut take),
            )?;
        }
    }
    let json = json_ids(&ids);
    named(&transaction, sql::OUTBOX_PURGE_HEADERS)?.execute([&json])?;
    if named(&transaction, sql::OUTBOX_PURGE)?.execute([&json])? != ids.len() {
        return Err(Trouble::Kept);
    }
    transaction.commit().map_err(of_commit)?;
    let other: Vec<i64> = entry_ids.iter().copied().filter(|id| !ids.contains(id)).collect();
    if other.is_empty() { Ok(other) } else { present(connection, &other) }
}

fn ids_of(transaction: &Transaction<'_>, statement: &str, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    let mut ids = Vec::with_capacity(entry_ids.len());
    for_each(transaction, statement, params![json_ids(entry_ids)], &mut |row| {
        ids.push(row.get(0)?);
        Ok(())
    })?;
    Ok(ids)
}

fn payload_bytes(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
    }
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    const NORMAL_PRIORITY: u8 = 4;
    let created = row.text(2)?.unwrap_or_default();
    let priority = row
        .integer(1)?
        .map_or(NORMAL_PRIORITY, |priority| u8::try_from(priority.clamp(0, 9)).unwrap_or(NORMAL_PRIORITY));
    Ok(Entry {
        entry_id: row.get(0)?,
        priority,
        created_at: read_time(&created),
        created,
        was_processed: row.integer(3)?.unwrap_or(-1),
        payload: payload(row.get_ref(4)?),
        headers: Vec::new(),
        unreadable: None,
    })
}

fn payload(value: ValueRef<'_>) -> Option<Payload> {
    let text = |bytes| Payload { bytes, is_text: true };
    match value {
        ValueRef::Null => None,
        ValueRef::Blob(bytes) => Some(Payload { bytes: Bytes::copy_from_slice(bytes), is_text: false }),
        ValueRef::Text(bytes) => Some(text(Bytes::copy_from_slice(bytes))),
        ValueRef::Integer(number) => Some(text(number.to_string().into())),
        ValueRef::Real(number) => Some(text(number.to_string().into())),
    }
}

pub(super) fn backlog(
    connection: &mut Connection,
    selection: &Selection,
    cap: i64,
) -> Result<Backlog, Trouble> {
    let transaction = read(connection)?;
    let Selection { tenant_id, logical_id, rows_from } = selection;
    let (rows_from, cap) = (stamp_if(*rows_from), cap.max(0));
    let (mut counted, mut oldest): (i64, _) = (0, None);
    let mut count = |row: &Row<'_>| row.get(0).map(|rows| counted = rows);
    let mut first = |row: &Row<'_>| row.text(0).map(|created| oldest = created);
    // One more than the cap tells whether there are more.
    let limit = cap.saturating_add(1);
    match logical_id {
        None => {
            for_each(&transaction, sql::OUTBOX_BACKLOG, params![limit, tenant_id, rows_from], &mut count)?;
            for_each(&transaction, sql::OUTBOX_OLDEST, params![tenant_id, rows_from], &mut first)?;
        }
        Some(logical_id) => {
            let values = params![limit, tenant_id, rows_from, logical_id];
            by_logical_id(
                &transaction,
                for_each(&transaction, sql::OUTBOX_BACKLOG_BY_LOGICAL_ID, values, &mut count),
            )?;
            let values = params![tenant_id, rows_from, logical_id];
            by_logical_id(
                &transaction,
                for_each(&transaction, sql::OUTBOX_OLDEST_BY_LOGICAL_ID, values, &mut first),
            )?;
        }
    }
    Ok(Backlog {
        waiting_rows: counted.min(cap),
        capped: counted > cap,
        oldest: oldest.as_deref().and_then(read_time),
    })
}

/// What waits for each of these choices: all that waits is counted once.
pub(super) fn counts(connection: &mut Connection, selections: &[Selection]) -> Result<Vec<Backlog>, Trouble> {
    let mut groups = Vec::new();
    let mut take = |row: &Row<'_>| {
        groups.push(Group {
            tenant_id: row.text(0)?,
            logical_id: row.text(1)?,
            rows: row.get(2)?,
            first_id: row.get(3)?,
            oldest: row.text(4)?.as_deref().and_then(read_time),
        });
        Ok(())
    };
    let transaction = read(connection)?;
    match needs_logical_ids(selections) {
        false => for_each(&transaction, sql::OUTBOX_GROUPS, params![], &mut take)?,
        true => by_logical_id(
            &transaction,
            for_each(&transaction, sql::OUTBOX_GROUPS_BY_LOGICAL_ID, params![], &mut take),
        )?,
    }
    drop(transaction);
    let of = |selection: &Selection| match selection.rows_from {
        None => Ok(of_choice(&groups, selection)),
        Some(_) => backlog(connection, selection, ALONE_CAP),
    };
    selections.iter().map(of).collect()
}

pub(super) fn settle(connection: &mut Connection, settle: &Settle) -> Result<Settled, Trouble> {
    let transaction = write(connection)?;
    let settled = flag(&transaction, &settle.accepted, &settle.failed)?;
    let settle = settle.without(&settled.left());
    log::write(&transaction, &settle.log)?;
    let mut statement = named(&transaction, sql::ATTEMPT_WRITE)?;
    settle.attempts.iter().try_for_each(|row| write_attempt(&mut statement, row))?;
    drop(statement);
    transaction.commit().map_err(of_commit)?;
    Ok(settled)
}

/// Flags, and looks up only what did not change: another sender's 1, or gone.
fn flag(transaction: &Transaction<'_>, accepted: &[i64], failed: &[i64]) -> Result<Settled, Trouble> {
    let changed = |statement, ids: &[i64]| -> Result<HashSet<i64>, Trouble> {
        let mut changed = HashSet::with_capacity(ids.len());
        if !ids.is_empty() {
            let answer = for_each(transaction, statement, params![json_ids(ids)], &mut |row| {
                changed.insert(row.get(0)?);
                Ok(())
            });
            answer.map_err(|error| Trouble::from(error).of(statement))?;
        }
        Ok(changed)
    };
    let now_accepted = changed(sql::OUTBOX_SETTLE_ACCEPTED, accepted)?;
    let now_failed = changed(sql::OUTBOX_SETTLE_FAILED, failed)?;
    let unchanged = |ids: &[i64], changed: &HashSet<i64>| -> Vec<i64> {
        ids.iter().copied().filter(|id| !changed.contains(id)).collect()
    };
    let (other_accepted, other_failed) = (unchanged(accepted, &now_accepted), unchanged(failed, &now_failed));
    if other_accepted.is_empty() && other_failed.is_empty() {
        return Ok(Settled::default());
    }
    let looked_up: Vec<i64> = other_accepted.iter().chain(&other_failed).copied().collect();
    let mut flags: HashMap<i64, Option<i64>> = HashMap::with_capacity(looked_up.len());
    for_each(transaction, sql::OUTBOX_SETTLE_FLAGS, params![json_ids(&looked_up)], &mut |row| {
        flags.insert(row.get(0)?, row.integer(1)?);
        Ok(())
    })?;
    // A trigger with RAISE(IGNORE) leaves a row out of an UPDATE without a word.
    let is = |id: &i64, wanted: &[i64]| {
        flags.get(id).is_some_and(|flag| flag.is_some_and(|flag| wanted.contains(&flag)))
    };
    let left_accepted = other_accepted.iter().filter(|id| is(id, &[0, 9]));
    let left_failed = other_failed.iter().filter(|id| is(id, &[0]));
    Ok(Settled {
        unchanged: left_accepted.chain(left_failed).copied().collect(),
        already_flagged: other_accepted.iter().copied().filter(|id| is(id, &[1])).collect(),
        gone: looked_up.into_iter().filter(|id| !flags.contains_key(id)).collect(),
        locked: Vec::new(),
    })
}

/// A document that a command asks for; the command ends in the same transaction, or nothing is written.
pub(super) fn add(connection: &mut Connection, added: &Added) -> Result<Option<i64>, Trouble> {
    let transaction = write(connection)?;
    let (mut has_logical_id, mut is_text) = (false, false);
    transaction.pragma(None, "table_xinfo", "COR_OUTBOX_ENTRY", |row| {
        let (name, declared): (String, String) = (row.get(1)?, row.get(2)?);
        has_logical_id |= name.eq_ignore_ascii_case("C_LOGICAL_ID");
        is_text |= name.eq_ignore_ascii_case("C_XML") && super::inbox::is_text(&declared);
        Ok(())
    })?;
    let (created, bytes) = (stamp(added.created_at), added.document.as_bytes());
    let document: &dyn rusqlite::ToSql = if is_text { &added.document } else { &bytes };
    let entry_id: Option<i64> = match has_logical_id {
        true => named(&transaction, sql::OUTBOX_INSERT)?
            .query_row(params![added.tenant_id, added.logical_id, created, document], |row| row.get(0))?,
        false => named(&transaction, sql::OUTBOX_INSERT_1_0)?
            .query_row(params![added.tenant_id, created, document], |row| row.get(0))?,
    };
    for (key, value) in &added.headers {
        named(&transaction, sql::OUTBOX_INSERT_HEADERS)?.execute(params![entry_id, key, value])?;
    }
    let ended = named(&transaction, sql::REPORT_COMMAND)?.execute(params![
        added.command_id,
        "done",
        1,
        1,
        added.result,
        added.host
    ])?;
    if ended == 0 {
        return Ok(None);
    }
    transaction.commit()?;
    Ok(entry_id)
}

fn write_attempt(statement: &mut Named<'_>, row: &AttemptRow) -> Result<(), Trouble> {
    statement.execute(params![
        row.message_key,
        row.attempt_no,
        stamp(row.started_at),
        row.duration_ms,
        row.http_status,
        row.answer_class,
        row.in_doubt,
        row.failure_code,
        row.answer_text,
        row.host
    ])?;
    Ok(())
}
