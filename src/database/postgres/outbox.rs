//! Scans, loads, counts and settles the outbox.
//!
//! A value of an unexpected kind never fails a batch: the row is carried through as far as it can be read, so that its
//! message fails alone. `C_WAS_PROCESSED` that is NULL or no number counts as not 0 and is given as -1.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::try_join;
use tokio_postgres::Row;

use crate::database::backlog::{ALONE_CAP, Group, needs_logical_ids, of_choice};
use crate::database::rows::{Cells, iso_time};
use crate::database::statements::{postgres as sql, postgres_session as session_sql};
use crate::database::{
    Added, AttemptRow, Backlog, Filled, Loaded, Locked, Page, Scan, Scanned, Selection, Settle, Settled,
    UNSEEN_IDS, UNSEEN_MAX, Unseen,
};
use crate::domain::halves::Halves;
use crate::domain::holes::Transactions;
use crate::domain::message::{Entry, Payload};

use super::log;
use super::session::{Session, Value};
use super::trouble::Trouble;
use super::values::{Raw, clean, integer_in_text};

pub(super) async fn scan(session: &Session, scan: &Scan) -> Result<Page, Trouble> {
    let Selection { tenant_id, logical_id, rows_from } = &scan.selection;
    if logical_id.is_some() {
        has_logical_id(session)?;
    }
    let limit = scan.limit.max(0);
    session.begin_read().await?;
    let row = session.query_one(sql::OUTBOX_HIGHEST, &[]).await?;
    let (highest, transactions) =
        (row.try_get(0)?, Transactions { ended: row.try_get(1)?, next: row.try_get(2)? });
    let rows = match logical_id {
        None => {
            let values: [Value<'_>; 5] = [&scan.after, &scan.up_to, &limit, tenant_id, rows_from];
            session.query(sql::OUTBOX_SCAN, &values).await?
        }
        Some(logical_id) => {
            let values: [Value<'_>; 6] = [&scan.after, &scan.up_to, &limit, tenant_id, rows_from, logical_id];
            session.query(sql::OUTBOX_SCAN_BY_LOGICAL_ID, &values).await?
        }
    };
    let scanned = |row: &Row| Ok(Scanned { entry_id: row.try_get(0)?, payload_bytes: row.try_get(1)? });
    let entries = rows.iter().map(scanned).collect::<Result<Vec<_>, Trouble>>()?;
    let filled = filled(session, scan).await?;
    let mut gaps = Vec::new();
    if let Some((after, last)) = scan.to_look_for_gaps(&entries, highest) {
        let rows = session.query(sql::OUTBOX_GAPS, &[&after, &last, &Scan::GAPS_MAX]).await?;
        let span = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        gaps = rows.iter().rev().map(span).collect::<Result<_, Trouble>>()?;
    }
    session.commit().await?;
    Ok(Page { entries, filled, gaps, transactions: Some(transactions), highest })
}

/// What has come into the holes.
async fn filled(session: &Session, scan: &Scan) -> Result<Vec<Filled>, Trouble> {
    if scan.holes.is_empty() {
        return Ok(Vec::new());
    }
    let Selection { tenant_id, logical_id, rows_from } = &scan.selection;
    let (first, last): (Vec<i64>, Vec<i64>) = scan.holes.iter().copied().unzip();
    let rows = match logical_id {
        None => {
            let values: [Value<'_>; 5] = [&first, &last, &Scan::FILLED_MAX, tenant_id, rows_from];
            session.query(sql::OUTBOX_FILLED, &values).await?
        }
        Some(logical_id) => {
            let values: [Value<'_>; 6] = [&first, &last, &Scan::FILLED_MAX, tenant_id, rows_from, logical_id];
            session.query(sql::OUTBOX_FILLED_BY_LOGICAL_ID, &values).await?
        }
    };
    let filled = |row: &Row| {
        Ok(Filled { entry_id: row.try_get(0)?, is_chosen: row.try_get(1)?, payload_bytes: row.try_get(2)? })
    };
    rows.iter().map(filled).collect()
}

/// Row-level security is told first: what it hides, the other statement does not see either.
pub(super) async fn unseen(session: &Session) -> Result<Unseen, Trouble> {
    session.begin_read().await?;
    let outbox = session.names.fill("{outbox_entry}");
    let without: Option<String> = session.query_one(sql::OUTBOX_HIDDEN, &[&outbox]).await?.try_get(0)?;
    let rows = session.query(sql::OUTBOX_UNSEEN, &[&UNSEEN_IDS, &UNSEEN_MAX]).await?;
    session.commit().await?;
    let odd_flags =
        rows.iter().map(|row| Ok((row.try_get(0)?, row.text(1)?))).collect::<Result<_, Trouble>>()?;
    let hidden = without.map(|words| {
        format!(
            "row-level security is active on {outbox}, and no policy lets this role {words}: it sees no row"
        )
    });
    Ok(Unseen { odd_flags, hidden })
}

fn has_logical_id(session: &Session) -> Result<(), Trouble> {
    match session.names.is_box_1_0() {
        false => Ok(()),
        true => Err(Trouble::Mend {
            what: "COR_OUTBOX_ENTRY has no column C_LOGICAL_ID (an I/O Box 1.0), but a connection point chooses by it"
                .into(),
            remedy: "set source_logical_id of the connection point to NULL, or upgrade the I/O Box to 3.0".into(),
        }),
    }
}

pub(super) async fn load(session: &Session, entry_ids: &[i64], max_bytes: usize) -> Result<Loaded, Trouble> {
    session.begin_read_by_key().await?;
    match load_all(session, entry_ids, max_bytes).await {
        Err(trouble) if trouble.is_unreadable() => load_apart(session, entry_ids, max_bytes, trouble).await,
        loaded => loaded,
    }
}

/// Some of the rows cannot be read: which, is found out in halves, and all others come as ever.
async fn load_apart(
    session: &Session,
    entry_ids: &[i64],
    max_bytes: usize,
    trouble: Trouble,
) -> Result<Loaded, Trouble> {
    let mut ids = entry_ids.to_vec();
    ids.sort_unstable();
    let (mut entries, mut not_loaded, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut halves = Halves::of(ids);
    if let Some(all) = halves.part() {
        halves.refuse(all, trouble);
    }
    while let Some(ids) = halves.part() {
        session.rollback().await?;
        if !entries.is_empty() && bytes >= max_bytes {
            halves.stop(ids);
            continue;
        }
        session.begin_read_by_key().await?;
        match load_all(session, &ids, max_bytes.saturating_sub(bytes)).await {
            Ok(loaded) => {
                let payloads = loaded.entries.iter().filter_map(|entry| entry.payload.as_ref());
                bytes += payloads.map(|payload| payload.bytes.len()).sum::<usize>();
                entries.extend(loaded.entries);
                not_loaded.extend(loaded.not_loaded);
            }
            Err(trouble) if trouble.is_unreadable() => halves.refuse(ids, trouble),
            Err(trouble) => return Err(trouble),
        }
    }
    let (refused, left) = halves.end();
    for (entry_id, trouble) in refused {
        session.rollback().await?;
        session.begin_read_bytes().await?;
        let loaded = load_all(session, &[entry_id], max_bytes).await?;
        let spoilt = |entry| Entry { payload: None, unreadable: Some(trouble.words()), ..entry };
        entries.extend(loaded.entries.into_iter().map(spoilt));
    }
    entries.sort_unstable_by_key(|entry| entry.entry_id);
    not_loaded.extend(left);
    Ok(Loaded { entries, not_loaded })
}

async fn load_all(session: &Session, entry_ids: &[i64], max_bytes: usize) -> Result<Loaded, Trouble> {
    let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
    let rows = session.query(sql::OUTBOX_LOAD, &[&entry_ids, &max_bytes]).await?;
    let (mut entries, mut first_left) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        if !row.try_get::<_, bool>(1)? {
            first_left = Some(row.try_get::<_, i64>(0)?);
            break;
        }
        entries.push(entry(row)?);
    }
    let loaded: Vec<i64> = entries.iter().map(|entry| entry.entry_id).collect();
    for row in session.query(sql::OUTBOX_LOAD_HEADERS, &[&loaded]).await? {
        let entry_id: i64 = row.try_get(0)?;
        if let Ok(place) = entries.binary_search_by_key(&entry_id, |entry| entry.entry_id) {
            entries[place].headers.push((row.required(1)?, row.required(2)?));
        }
    }
    session.commit().await?;
    let not_loaded = match first_left {
        Some(first_left) => entry_ids.iter().copied().filter(|id| *id >= first_left).collect(),
        None => Vec::new(),
    };
    Ok(Loaded { entries, not_loaded })
}

pub(super) fn entry(row: &Row) -> Result<Entry, Trouble> {
    const NORMAL_PRIORITY: u8 = 4;
    let created = row.text(3)?.unwrap_or_default();
    let priority = integer_in_text(row, 2)?
        .map_or(NORMAL_PRIORITY, |priority| u8::try_from(priority.clamp(0, 9)).unwrap_or(NORMAL_PRIORITY));
    let payload: Option<Raw> = row.try_get(5)?;
    Ok(Entry {
        entry_id: row.try_get(0)?,
        priority,
        created_at: iso_time(&created),
        created,
        was_processed: integer_in_text(row, 4)?.unwrap_or(-1),
        payload: payload.map(|raw| Payload { bytes: raw.bytes, is_text: raw.is_text }),
        headers: Vec::new(),
        unreadable: None,
    })
}

/// Of these ids, those that are in the table.
pub(super) async fn present(session: &Session, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    session.begin_read().await?;
    let rows = session.query(sql::OUTBOX_PRESENT, &[&entry_ids]).await?;
    session.commit().await?;
    ids(&rows)
}

/// Flag 9 becomes 0; answers the ids that were changed. Done again after a lost COMMIT, it answers none of them: they
/// are at 0 all the same, and the next sweep finds them.
pub(super) async fn reset(session: &Session, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    session.begin_write().await?;
    let rows = session.query(sql::OUTBOX_RESET, &[&entry_ids]).await?;
    session.commit().await?;
    let mut changed = ids(&rows)?;
    changed.sort_unstable();
    Ok(changed)
}

pub(super) async fn purge(
    session: &Session,
    entry_ids: &[i64],
    selection: &Selection,
) -> Result<Vec<i64>, Trouble> {
    let Selection { tenant_id, logical_id, .. } = selection;
    session.begin_write().await?;
    let rows = match logical_id {
        None => session.query(sql::OUTBOX_PURGE_SELECT, &[&entry_ids, tenant_id]).await?,
        Some(logical_id) => {
            session
                .query(sql::OUTBOX_PURGE_SELECT_BY_LOGICAL_ID, &[&entry_ids, tenant_id, logical_id])
                .await?
        }
    };
    let own = ids(&rows)?;
    session.execute(sql::OUTBOX_PURGE_HEADERS, &[&own]).await?;
    let deleted = session.execute(sql::OUTBOX_PURGE, &[&own]).await?;
    if usize::try_from(deleted).ok() != Some(own.len()) {
        return Err(Trouble::Kept);
    }
    session.commit().await?;
    if own.len() == entry_ids.len() {
        return Ok(Vec::new());
    }
    let other: Vec<i64> = entry_ids.iter().copied().filter(|id| !own.contains(id)).collect();
    present(session, &other).await
}

fn ids(rows: &[Row]) -> Result<Vec<i64>, Trouble> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(super) async fn backlog(session: &Session, selection: &Selection, cap: i64) -> Result<Backlog, Trouble> {
    session.begin_read().await?;
    let backlog = backlog_now(session, selection, cap).await?;
    session.commit().await?;
    Ok(backlog)
}

/// What waits for each of these choices: all that waits is counted once.
pub(super) async fn counts(
    session: &Session,
    selections: &[Selection],
    limit: Duration,
) -> Result<Vec<Backlog>, Trouble> {
    session.begin_read().await?;
    session.query_timeout(&limit.as_millis().to_string()).await?;
    let rows = match needs_logical_ids(selections) {
        false => session.query(sql::OUTBOX_GROUPS, &[]).await?,
        true => {
            has_logical_id(session)?;
            session.query(sql::OUTBOX_GROUPS_BY_LOGICAL_ID, &[]).await?
        }
    };
    let group = |row: &Row| {
        Ok(Group {
            tenant_id: row.text(0)?,
            logical_id: row.text(1)?,
            rows: row.try_get(2)?,
            first_id: row.try_get(3)?,
            oldest: row.text(4)?.as_deref().and_then(iso_time),
        })
    };
    let groups = rows.iter().map(group).collect::<Result<Vec<Group>, Trouble>>()?;
    let mut backlogs = Vec::with_capacity(selections.len());
    for selection in selections {
        backlogs.push(match selection.rows_from {
            None => of_choice(&groups, selection),
            Some(_) => backlog_now(session, selection, ALONE_CAP).await?,
        });
    }
    session.commit().await?;
    Ok(backlogs)
}

async fn backlog_now(session: &Session, selection: &Selection, cap: i64) -> Result<Backlog, Trouble> {
    let Selection { tenant_id, logical_id, rows_from } = selection;
    let cap = cap.max(0);
    // One more than the cap tells whether there are more.
    let limit = cap.saturating_add(1);
    let (counted, oldest) = match logical_id {
        None => (
            session.query_one(sql::OUTBOX_BACKLOG, &[&limit, tenant_id, rows_from]).await?,
            session.query(sql::OUTBOX_OLDEST, &[tenant_id, rows_from]).await?,
        ),
        Some(logical_id) => {
            has_logical_id(session)?;
            let values: [Value<'_>; 4] = [&limit, tenant_id, rows_from, logical_id];
            (
                session.query_one(sql::OUTBOX_BACKLOG_BY_LOGICAL_ID, &values).await?,
                session.query(sql::OUTBOX_OLDEST_BY_LOGICAL_ID, &[tenant_id, rows_from, logical_id]).await?,
            )
        }
    };
    let counted: i64 = counted.try_get(0)?;
    let oldest = match oldest.first() {
        Some(row) => row.text(0)?,
        None => None,
    };
    Ok(Backlog {
        waiting_rows: counted.min(cap),
        capped: counted > cap,
        oldest: oldest.as_deref().and_then(iso_time),
    })
}

/// Flags and logs in one transaction. Doing it again after a COMMIT whose answer was lost changes nothing.
pub(super) async fn settle(session: &Session, settle: &Settle) -> Result<Settled, Trouble> {
    session.begin_write().await?;
    let mut settled = flag(session, &settle.accepted, &settle.failed).await?;
    let settle = settle.without(&settled.left());
    let written = try_join(log::write(session, &settle.log), write_attempts(session, &settle.attempts));
    written.await?;
    session.commit().await?;
    if !settled.locked.is_empty() {
        tell_holders(session, &mut settled).await;
    }
    Ok(settled)
}

/// Locks the rows in the order of their ids, as far as nobody else has, and flags those whose flag lets it.
async fn flag(session: &Session, accepted: &[i64], failed: &[i64]) -> Result<Settled, Trouble> {
    let all: Vec<i64> = accepted.iter().chain(failed).copied().collect();
    if all.is_empty() {
        return Ok(Settled::default());
    }
    let flags = flags(session, &all).await?;
    let has = |id: &i64, wanted: &[i64]| {
        flags.get(id).is_some_and(|flag| flag.is_some_and(|flag| wanted.contains(&flag)))
    };
    let due = |ids: &[i64], wanted: &[i64]| -> Vec<i64> {
        ids.iter().copied().filter(|id| has(id, wanted)).collect()
    };
    let (now_accepted, now_failed) = (due(accepted, &[0, 9]), due(failed, &[0]));
    let mut changed = 0;
    if !now_accepted.is_empty() {
        changed += session.execute(sql::OUTBOX_SETTLE_ACCEPTED, &[&now_accepted]).await?;
    }
    if !now_failed.is_empty() {
        changed += session.execute(sql::OUTBOX_SETTLE_FAILED, &[&now_failed]).await?;
    }
    let mut settled = Settled {
        already_flagged: accepted.iter().copied().filter(|id| has(id, &[1])).collect(),
        ..Settled::default()
    };
    let distinct: HashSet<i64> = now_accepted.iter().chain(&now_failed).copied().collect();
    if changed < distinct.len() as u64 {
        let after = self::flags(session, &distinct.iter().copied().collect::<Vec<_>>()).await?;
        let is_left = |id: &i64, flag| after.get(id).is_some_and(|now| *now != Some(flag));
        settled.unchanged.extend(now_accepted.iter().filter(|id| is_left(id, 1)));
        settled.unchanged.extend(now_failed.iter().filter(|id| is_left(id, 9)));
    }
    let missing: Vec<i64> = all.into_iter().filter(|id| !flags.contains_key(id)).collect();
    if !missing.is_empty() {
        let there = ids(&session.query(sql::OUTBOX_PRESENT, &[&missing]).await?)?;
        let (locked, gone) = missing.into_iter().partition::<Vec<i64>, _>(|id| there.contains(id));
        settled.locked = locked.into_iter().map(|entry_id| Locked { entry_id, holder: None }).collect();
        settled.gone = gone;
    }
    Ok(settled)
}

/// Locks rows that nobody else has locked, and reads their flags.
async fn flags(session: &Session, ids: &[i64]) -> Result<HashMap<i64, Option<i64>>, Trouble> {
    let rows = session.query(sql::OUTBOX_SETTLE_FLAGS, &[&ids]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, integer_in_text(row, 1)?))).collect()
}

/// Says who keeps rows locked. A row that nobody has locked and that a policy keeps from this role's UPDATE is none of
/// them. What cannot be asked (a view has no system columns) stays unknown.
async fn tell_holders(session: &Session, settled: &mut Settled) {
    match holders(session, &settled.locked).await {
        Ok(holders) => {
            for (entry_id, is_secured, holder) in holders {
                if is_secured && holder.is_none() {
                    settled.unchanged.push(entry_id);
                    settled.locked.retain(|locked| locked.entry_id != entry_id);
                } else if let Some(locked) = settled.locked.iter_mut().find(|it| it.entry_id == entry_id) {
                    locked.holder = holder;
                }
            }
        }
        Err(trouble) => {
            tracing::debug!(error = %trouble, "who keeps rows locked is not known");
            // Nothing of it is open in either case; a session that is lost is noticed by its next operation.
            let _ = session.rollback().await;
        }
    }
}

async fn holders(session: &Session, locked: &[Locked]) -> Result<Vec<(i64, bool, Option<String>)>, Trouble> {
    let ids: Vec<i64> = locked.iter().map(|locked| locked.entry_id).collect();
    session.begin_read().await?;
    let rows = session.query(session_sql::OUTBOX_HOLDERS, &[&ids]).await?;
    session.commit().await?;
    rows.iter()
        .map(|row| {
            let holder = row.text(2)?.map(|pid| -> Result<String, Trouble> {
                let (user, program, since) = (row.required(3)?, row.required(4)?, row.time(5)?);
                let since = since.map(|at| format!(", in a transaction since {}", at.format("%FT%TZ")));
                Ok(format!("session {pid} (user {user}, program '{program}'{})", since.unwrap_or_default()))
            });
            Ok((row.try_get(0)?, row.try_get::<_, Option<bool>>(1)?.unwrap_or(false), holder.transpose()?))
        })
        .collect()
}

/// A document that a command asks for; the command ends in the same transaction, or nothing is written. Done again after a
/// COMMIT whose answer was lost, it finds the command ended.
pub(super) async fn add(session: &Session, added: &Added) -> Result<Option<i64>, Trouble> {
    session.begin_write().await?;
    let bytes = added.document.as_bytes();
    let document: Value<'_> = if session.names.outbox_is_text { &added.document } else { &bytes };
    let (tenant_id, logical_id) = (clean(&added.tenant_id), clean(&added.logical_id));
    let row = match session.names.is_box_1_0() {
        true => {
            let values: [Value<'_>; 3] = [&tenant_id, &added.created_at, document];
            session.query_one(sql::OUTBOX_INSERT_1_0, &values).await?
        }
        false => {
            let values: [Value<'_>; 4] = [&tenant_id, &logical_id, &added.created_at, document];
            session.query_one(sql::OUTBOX_INSERT, &values).await?
        }
    };
    let entry_id: i64 = row.try_get(0)?;
    let keys: Vec<_> = added.headers.iter().map(|(key, _)| clean(key)).collect();
    let values: Vec<_> = added.headers.iter().map(|(_, value)| clean(value)).collect();
    session.execute(sql::OUTBOX_INSERT_HEADERS, &[&entry_id, &keys, &values]).await?;
    let (done, one) = ("done", Some(1_i64));
    let ended = session
        .execute(
            sql::REPORT_COMMAND,
            &[
                &added.command_id,
                &done,
                &one,
                &one,
                &session.letters.clean(&added.result),
                &session.letters.clean(&added.host),
            ],
        )
        .await?;
    if ended == 0 {
        session.rollback().await?;
        return Ok(None);
    }
    session.commit().await?;
    Ok(Some(entry_id))
}

async fn write_attempts(session: &Session, rows: &[AttemptRow]) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    macro_rules! each {
        ($row:ident => $value:expr) => {
            &rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    session
        .execute(
            sql::ATTEMPT_WRITE,
            &[
                each!(row => row.message_key.as_str()),
                each!(row => row.attempt_no),
                each!(row => row.started_at),
                each!(row => row.duration_ms),
                each!(row => row.http_status),
                each!(row => row.answer_class.as_str()),
                each!(row => i16::from(row.in_doubt)),
                each!(row => session.letters.clean_if(row.failure_code.as_ref())),
                each!(row => session.letters.clean_if(row.answer_text.as_ref())),
                each!(row => session.letters.clean(&row.host)),
            ],
        )
        .await?;
    Ok(())
}
