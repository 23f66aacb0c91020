//! Scans, loads, counts and settles the outbox.
//!
//! All under READ COMMITTED. A scan reads past locked rows where the database has no READ_COMMITTED_SNAPSHOT; a load never
//! does, since there a locked row would look like one that is gone. A settle does, and then asks which is which.

use std::collections::{HashMap, HashSet};

use tiberius::ToSql;

use crate::database::backlog::{ALONE_CAP, Group, needs_logical_ids, of_choice};
use crate::database::rows::Cells;
use crate::database::statements::{mssql as sql, mssql_session as session_sql};
use crate::database::{
    Added, Backlog, Filled, Loaded, Locked, Page, Scan, Scanned, Selection, Settle, Settled, UNSEEN_IDS,
    UNSEEN_MAX, Unseen,
};
use crate::domain::holes::Span;
use crate::domain::message::{Entry, Payload};

use super::session::{Row, Session};
use super::stage;
use super::trouble::Trouble;
use super::values::{bytes, created_of, from_utf16, stamp, stamp_if};

/// What a 1.0 box says of a statement that names C_LOGICAL_ID: no such column (Babelfish: its number for everything
/// that it cannot parse or find).
const NO_COLUMN: [u32; 2] = [207, 33_557_097];

/// A selection as parameters: what is not chosen by is empty, with a 0 behind it.
struct Chosen {
    tenant_id: String,
    by_tenant: i32,
    rows_from: String,
    by_created: i32,
    logical_id: String,
}

impl Chosen {
    fn from(selection: &Selection) -> Self {
        let Selection { tenant_id, logical_id, rows_from } = selection;
        Self {
            tenant_id: tenant_id.clone().unwrap_or_default(),
            by_tenant: i32::from(tenant_id.is_some()),
            rows_from: stamp_if(*rows_from),
            by_created: i32::from(rows_from.is_some()),
            logical_id: logical_id.clone().unwrap_or_default(),
        }
    }

    /// The last parameters of a statement; the logical id is only in those that choose by it.
    fn after<'a>(&'a self, first: &[&'a dyn ToSql], by_logical_id: bool) -> Vec<&'a dyn ToSql> {
        let mut values = first.to_vec();
        let own: [&dyn ToSql; 5] =
            [&self.tenant_id, &self.by_tenant, &self.rows_from, &self.by_created, &self.logical_id];
        values.extend_from_slice(if by_logical_id { &own } else { &own[..4] });
        values
    }
}

/// No snapshot holds all of it together, so each question comes after those whose answers it may have to correct. The page
/// ends with the highest id of before; where it has gaps it is read once more behind the look for them, so that each of its
/// ids is a row on it, a row that is not chosen, or a gap. What has come into the holes, these gaps among them, is asked last:
/// then what was committed before any row of the page is there, even if the page passed it over while it was locked.
pub(super) async fn scan(session: &mut Session, scan: &Scan) -> Result<Page, Trouble> {
    let highest = session.query_row(sql::OUTBOX_HIGHEST, &[]).await?.integer(0)?.unwrap_or_default();
    let mut entries = page(session, scan, scan.up_to.min(highest)).await?;
    let mut gaps = Vec::new();
    if let Some((after, last)) = scan.to_look_for_gaps(&entries, highest) {
        let values: [&dyn ToSql; 3] = [&after, &last, &Scan::GAPS_MAX];
        for row in session.query(sql::OUTBOX_GAPS, &values).await?.iter().rev() {
            gaps.push((id(row, 0)?, id(row, 1)?));
        }
        if !gaps.is_empty() {
            entries = page(session, scan, last).await?;
            // More rows than before may not fit: what comes behind is of the next page.
            let is_full = i64::try_from(entries.len()).is_ok_and(|rows| rows >= scan.limit);
            let end = entries.last().filter(|_| is_full).map_or(last, |last| last.entry_id);
            gaps.retain(|(first, _)| *first <= end);
            gaps.iter_mut().for_each(|(_, last)| *last = end.min(*last));
        }
    }
    let holes: Vec<Span> = scan.holes.iter().chain(&gaps).copied().collect();
    let filled = filled(session, &scan.selection, &holes).await?;
    Ok(Page { entries, filled, gaps, transactions: None, highest })
}

async fn page(session: &mut Session, scan: &Scan, up_to: i64) -> Result<Vec<Scanned>, Trouble> {
    let (chosen, limit) = (Chosen::from(&scan.selection), scan.limit.max(0));
    let by_logical_id = scan.selection.logical_id.is_some();
    let values = chosen.after(&[&scan.after, &up_to, &limit], by_logical_id);
    let rows = match by_logical_id {
        false => session.query(sql::OUTBOX_SCAN, &values).await?,
        true => named(session.query(sql::OUTBOX_SCAN_BY_LOGICAL_ID, &values).await)?,
    };
    let scanned = |row: &Row| -> Result<Scanned, Trouble> {
        Ok(Scanned { entry_id: id(row, 0)?, payload_bytes: row.integer(1)?.unwrap_or_default() })
    };
    rows.iter().map(scanned).collect()
}

async fn filled(
    session: &mut Session,
    selection: &Selection,
    holes: &[Span],
) -> Result<Vec<Filled>, Trouble> {
    if holes.is_empty() {
        return Ok(Vec::new());
    }
    session.empty().await?;
    stage::holes(session, holes).await?;
    let chosen = Chosen::from(selection);
    let by_logical_id = selection.logical_id.is_some();
    let values = chosen.after(&[&Scan::FILLED_MAX], by_logical_id);
    let rows = match by_logical_id {
        false => session.query(sql::OUTBOX_FILLED, &values).await?,
        true => named(session.query(sql::OUTBOX_FILLED_BY_LOGICAL_ID, &values).await)?,
    };
    let filled = |row: &Row| -> Result<Filled, Trouble> {
        let payload_bytes = row.integer(2)?.unwrap_or_default();
        Ok(Filled { entry_id: id(row, 0)?, is_chosen: row.flag(1)?, payload_bytes })
    };
    rows.iter().map(filled).collect()
}

/// An id that the catalogue's type lets through but that is no 64-bit number would be mixed up with another.
fn id(row: &Row, column: usize) -> Result<i64, Trouble> {
    row.integer(column)?.ok_or(Trouble::NoRow)
}

/// On a 1.0 box, a statement that chooses by logical id says what to mend.
fn named<T>(answer: Result<T, Trouble>) -> Result<T, Trouble> {
    answer.map_err(|trouble| match trouble {
        Trouble::Server(error) | Trouble::Statement(_, error)
            if error.code().is_some_and(|code| NO_COLUMN.contains(&code)) => Trouble::Mend {
            what: "COR_OUTBOX_ENTRY has no column C_LOGICAL_ID (an I/O Box 1.0), but a connection point chooses by it"
                .into(),
            remedy: "set source_logical_id of the connection point to NULL, or upgrade the I/O Box to 3.0".into(),
            source: Some(error.into()),
        },
        other => other,
    })
}

/// Puts ids to look up into the session's table.
async fn stage_ids(session: &mut Session, entry_ids: &[i64]) -> Result<(), Trouble> {
    session.empty().await?;
    let ids: Vec<(i64, i16)> = entry_ids.iter().map(|id| (*id, 0)).collect();
    stage::ids(session, &ids).await
}

pub(super) async fn unseen(session: &mut Session) -> Result<Unseen, Trouble> {
    let policy = session.query_row(sql::OUTBOX_HIDDEN, &[]).await?.text(0)?;
    let rows = session.query(sql::OUTBOX_UNSEEN, &[&UNSEEN_IDS, &UNSEEN_MAX]).await?;
    let odd_flags =
        rows.iter().map(|row| Ok((row.number(0)?, row.text(1)?))).collect::<Result<_, Trouble>>()?;
    let hidden = policy.map(|policy| {
        format!(
            "the security policy {policy} filters the rows of COR_OUTBOX_ENTRY: what it hides is not sent"
        )
    });
    Ok(Unseen { odd_flags, hidden })
}

pub(super) async fn load(
    session: &mut Session,
    entry_ids: &[i64],
    max_bytes: usize,
) -> Result<Loaded, Trouble> {
    if entry_ids.is_empty() {
        return Ok(Loaded::default());
    }
    stage_ids(session, entry_ids).await?;
    let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
    let is_text = session.site.document_is_text;
    let mut entries = Vec::with_capacity(entry_ids.len());
    let mut first_left = None;
    for row in session.query(sql::OUTBOX_LOAD, &[&max_bytes]).await? {
        if row.flag(4)? {
            entries.push(entry(&row, is_text)?);
        } else {
            first_left = Some(id(&row, 0)?);
            break;
        }
    }
    let not_loaded = match first_left {
        Some(first_left) => entry_ids.iter().copied().filter(|id| *id >= first_left).collect(),
        None => Vec::new(),
    };
    for row in session.query(sql::OUTBOX_LOAD_HEADERS, &[]).await? {
        let entry_id = id(&row, 0)?;
        if let Ok(place) = entries.binary_search_by_key(&entry_id, |entry| entry.entry_id)
            && let (Some(key), Some(value)) = (row.text(1)?, row.text(2)?)
        {
            entries[place].headers.push((key, value));
        }
    }
    Ok(Loaded { entries, not_loaded })
}

pub(super) fn entry(row: &Row, is_text: bool) -> Result<Entry, Trouble> {
    const NORMAL_PRIORITY: u8 = 4;
    let (created, created_at) = created_of(row, 2)?;
    let priority = row
        .integer(1)?
        .map_or(NORMAL_PRIORITY, |priority| u8::try_from(priority.clamp(0, 9)).unwrap_or(NORMAL_PRIORITY));
    let payload = bytes(row, 5)?.map(|bytes| match is_text {
        true => Payload { bytes: from_utf16(&bytes), is_text },
        false => Payload { bytes, is_text },
    });
    Ok(Entry {
        entry_id: id(row, 0)?,
        priority,
        created,
        created_at,
        was_processed: row.integer(3)?.unwrap_or(-1),
        payload,
        headers: Vec::new(),
        unreadable: None,
    })
}

/// Of these ids, those that are in the table.
pub(super) async fn present(session: &mut Session, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    if entry_ids.is_empty() {
        return Ok(Vec::new());
    }
    stage_ids(session, entry_ids).await?;
    session.query(sql::OUTBOX_PRESENT, &[]).await?.iter().map(|row| id(row, 0)).collect()
}

/// Flag 9 becomes 0; answers the ids that were changed.
pub(super) async fn reset(session: &mut Session, entry_ids: &[i64]) -> Result<Vec<i64>, Trouble> {
    if entry_ids.is_empty() {
        return Ok(Vec::new());
    }
    stage_ids(session, entry_ids).await?;
    session.begin().await?;
    let flags = flags(session).await?;
    session.execute(sql::OUTBOX_RESET, &[]).await?;
    session.commit().await?;
    let mut changed: Vec<i64> = flags.into_iter().filter(|(_, flag)| *flag == 9).map(|(id, _)| id).collect();
    changed.sort_unstable();
    Ok(changed)
}

pub(super) async fn purge(
    session: &mut Session,
    entry_ids: &[i64],
    selection: &Selection,
) -> Result<Vec<i64>, Trouble> {
    if entry_ids.is_empty() {
        return Ok(Vec::new());
    }
    stage_ids(session, entry_ids).await?;
    let chosen = Chosen::from(selection);
    session.begin().await?;
    let tenant: [&dyn ToSql; 2] = [&chosen.tenant_id, &chosen.by_tenant];
    match selection.logical_id {
        None => session.execute(sql::OUTBOX_PURGE_SELECT, &tenant).await?,
        Some(_) => {
            let values: [&dyn ToSql; 3] = [&chosen.tenant_id, &chosen.by_tenant, &chosen.logical_id];
            named(session.execute(sql::OUTBOX_PURGE_SELECT_BY_LOGICAL_ID, &values).await)?
        }
    };
    session.execute(sql::OUTBOX_PURGE_HEADERS, &[]).await?;
    let deleted = session.execute(sql::OUTBOX_PURGE, &[]).await?;
    session.commit().await?;
    match usize::try_from(deleted).is_ok_and(|deleted| deleted >= entry_ids.len()) {
        true => Ok(Vec::new()),
        false => present(session, entry_ids).await,
    }
}

/// The flags of rows before they are changed.
async fn flags(session: &mut Session) -> Result<HashMap<i64, i64>, Trouble> {
    let rows = session.query(sql::OUTBOX_SETTLE_FLAGS, &[]).await?;
    rows.iter().map(|row| Ok((id(row, 0)?, row.integer(1)?.unwrap_or(-1)))).collect()
}

pub(super) async fn backlog(
    session: &mut Session,
    selection: &Selection,
    cap: i64,
) -> Result<Backlog, Trouble> {
    // One more than the cap tells whether there are more.
    let (cap, limit) = (cap.max(0), cap.max(0).saturating_add(1));
    let (chosen, by_logical_id) = (Chosen::from(selection), selection.logical_id.is_some());
    let (counting, looking) = (chosen.after(&[&limit], by_logical_id), chosen.after(&[], by_logical_id));
    let (counted, oldest) = match by_logical_id {
        false => (
            session.query_row(sql::OUTBOX_BACKLOG, &counting).await?,
            session.query(sql::OUTBOX_OLDEST, &looking).await?,
        ),
        true => (
            named(session.query_row(sql::OUTBOX_BACKLOG_BY_LOGICAL_ID, &counting).await)?,
            session.query(sql::OUTBOX_OLDEST_BY_LOGICAL_ID, &looking).await?,
        ),
    };
    let counted = counted.integer(0)?.unwrap_or_default();
    let oldest = oldest.first().map(|row| created_of(row, 0)).transpose()?;
    Ok(Backlog {
        waiting_rows: counted.min(cap),
        capped: counted > cap,
        oldest: oldest.and_then(|(_, time)| time),
    })
}

/// What waits for each of these choices: all that waits is counted once.
pub(super) async fn counts(session: &mut Session, selections: &[Selection]) -> Result<Vec<Backlog>, Trouble> {
    let rows = match needs_logical_ids(selections) {
        false => session.query(sql::OUTBOX_GROUPS, &[]).await?,
        true => named(session.query(sql::OUTBOX_GROUPS_BY_LOGICAL_ID, &[]).await)?,
    };
    let group = |row: &Row| {
        Ok(Group {
            tenant_id: row.text(0)?,
            logical_id: row.text(1)?,
            rows: row.integer(2)?.unwrap_or_default(),
            first_id: row.integer(3)?.unwrap_or_default(),
            oldest: created_of(row, 4)?.1,
        })
    };
    let groups = rows.iter().map(group).collect::<Result<Vec<Group>, Trouble>>()?;
    let mut backlogs = Vec::with_capacity(selections.len());
    for selection in selections {
        backlogs.push(match selection.rows_from {
            None => of_choice(&groups, selection),
            Some(_) => backlog(session, selection, ALONE_CAP).await?,
        });
    }
    Ok(backlogs)
}

pub(super) async fn settle(session: &mut Session, settle: &Settle) -> Result<Settled, Trouble> {
    let with = |ids: &[i64], flag: i16| ids.iter().map(move |id| (*id, flag)).collect::<Vec<_>>();
    let mut ids = with(&settle.accepted, 1);
    ids.extend(with(&settle.failed, 9));
    session.empty().await?;
    stage::ids(session, &ids).await?;
    stage::log(session, &settle.log).await?;
    stage::attempts(session, &settle.attempts).await?;

    session.begin().await?;
    let mut settled = flag(session, settle, &ids).await?;
    let left = settled.left();
    if !left.is_empty() {
        // Loaded anew: nothing of their messages is written.
        let rest = settle.without(&left);
        session.empty().await?;
        stage::log(session, &rest.log).await?;
        stage::attempts(session, &rest.attempts).await?;
    }
    if !settle.log.is_empty() {
        session.execute(sql::LOG_WRITE, &[]).await?;
    }
    if !settle.attempts.is_empty() {
        session.execute(sql::ATTEMPT_WRITE, &[]).await?;
    }
    session.commit().await?;
    if !settled.locked.is_empty() {
        tell_holders(session, &mut settled.locked).await?;
    }
    Ok(settled)
}

/// Locks the rows that are staged, as far as nobody else has, and flags those whose flag lets it.
async fn flag(session: &mut Session, settle: &Settle, ids: &[(i64, i16)]) -> Result<Settled, Trouble> {
    if ids.is_empty() {
        return Ok(Settled::default());
    }
    let before = flags(session).await?;
    let is_due = |(id, flag): &&(i64, i16)| match before.get(id) {
        Some(0) => true,
        Some(9) => *flag == 1,
        _ => false,
    };
    let due: HashMap<i64, i64> =
        ids.iter().filter(is_due).map(|(id, flag)| (*id, i64::from(*flag))).collect();
    let mut changed = 0;
    if !settle.accepted.is_empty() {
        changed += session.execute(sql::OUTBOX_SETTLE_ACCEPTED, &[]).await?;
    }
    if !settle.failed.is_empty() {
        changed += session.execute(sql::OUTBOX_SETTLE_FAILED, &[]).await?;
    }
    let mut settled = Settled {
        already_flagged: settle.accepted.iter().copied().filter(|id| before.get(id) == Some(&1)).collect(),
        ..Settled::default()
    };
    if changed < due.len() as u64 {
        let after = flags(session).await?;
        let is_left = |(id, flag): &(&i64, &i64)| after.get(id).is_some_and(|now| now != *flag);
        settled.unchanged = due.iter().filter(is_left).map(|(id, _)| *id).collect();
    }
    let missing: Vec<i64> = ids.iter().map(|(id, _)| *id).filter(|id| !before.contains_key(id)).collect();
    if !missing.is_empty() {
        let rows = session.query(session_sql::OUTBOX_LOCKED, &[]).await?;
        let there: HashSet<i64> = rows.iter().map(|row| id(row, 0)).collect::<Result<_, _>>()?;
        let (locked, gone) = missing.into_iter().partition::<Vec<i64>, _>(|id| there.contains(id));
        settled.locked = locked.into_iter().map(|entry_id| Locked { entry_id, holder: None }).collect();
        settled.gone = gone;
    }
    Ok(settled)
}

/// Says who keeps rows of the table locked, where the login may ask (VIEW SERVER STATE); else it stays unknown.
async fn tell_holders(session: &mut Session, locked: &mut [Locked]) -> Result<(), Trouble> {
    let rows = match session.query(session_sql::OUTBOX_HOLDERS, &[]).await {
        Ok(rows) => rows,
        Err(trouble) if trouble.leaves_the_session_whole() => {
            tracing::debug!(error = %trouble, "who keeps rows locked is not known");
            return Ok(());
        }
        Err(trouble) => return Err(trouble),
    };
    let mut holders = Vec::with_capacity(rows.len());
    for row in &rows {
        let (number, login, program) =
            (row.integer(0)?.unwrap_or_default(), row.required(1)?, row.required(2)?);
        let since = row.text(3)?.map(|at| format!(", in a transaction since {at}")).unwrap_or_default();
        holders.push(format!("session {number} (login {login}, program '{program}'{since})"));
    }
    if !holders.is_empty() {
        let holders = holders.join(" or ");
        locked.iter_mut().for_each(|locked| locked.holder = Some(holders.clone()));
    }
    Ok(())
}

/// A document that a command asks for; the command ends in the same transaction, or nothing is written.
pub(super) async fn add(session: &mut Session, added: &Added) -> Result<Option<i64>, Trouble> {
    let (created, bytes) = (stamp(added.created_at), added.document.as_bytes());
    let document: &dyn ToSql = if session.site.document_is_text { &added.document } else { &bytes };
    session.begin().await?;
    let row = match session.site.has_logical_id {
        true => {
            let values: [&dyn ToSql; 4] = [&added.tenant_id, &added.logical_id, &created, document];
            session.query_row(sql::OUTBOX_INSERT, &values).await?
        }
        false => {
            let values: [&dyn ToSql; 3] = [&added.tenant_id, &created, document];
            session.query_row(sql::OUTBOX_INSERT_1_0, &values).await?
        }
    };
    let entry_id = id(&row, 0)?;
    for (key, value) in &added.headers {
        session.execute(sql::OUTBOX_INSERT_HEADERS, &[&entry_id, key, value]).await?;
    }
    let values: [&dyn ToSql; 6] = [&added.command_id, &"done", &1_i64, &1_i64, &added.result, &added.host];
    if session.execute(sql::REPORT_COMMAND, &values).await? == 0 {
        session.rollback().await?;
        return Ok(None);
    }
    session.commit().await?;
    Ok(Some(entry_id))
}
