//! The verdict: outbox, message log, journal and the simulator's ledger side by side.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::inbound::Inbound;
use super::site::Site;
use crate::domain::ids::Digest;
use crate::simulator::Simulator;

/// What the demo found; the keys of `--json` (keys are added, never renamed).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Rows in the outbox.
    pub written: usize,
    pub accepted: usize,
    /// Failed rows by code.
    pub failed: BTreeMap<String, usize>,
    /// Rows that rightly stay 0, by reason.
    pub left: BTreeMap<String, usize>,
    /// Messages that took more than one try.
    pub retried: usize,
    /// Messages that ION may have got more than once.
    pub in_doubt: usize,
    /// Repeats of a message id that ION saw, all with the bytes of the first.
    pub repeats_seen: usize,
    pub order_violations: usize,
    /// Rows that are neither accepted nor failed nor rightly left.
    pub lost: usize,
    /// Flag 1 without a ledger entry, or 9 without a log row.
    pub unexplained_flags: usize,
    pub kills: usize,
    pub seconds: f64,
    pub messages_per_second: f64,
    pub seed: u64,
    pub state_dir: String,
    /// What ION sent.
    pub inbound: Inbound,
    /// What became of the changes in the order database.
    pub composed: super::orders::Composed,
    /// Everything tells the same story: exit 0.
    pub agreed: bool,
}

struct Row {
    entry_id: i64,
    flag: i64,
    state: Option<String>,
    message_id: Option<String>,
    code: Option<String>,
    lane: Option<(String, String)>,
    attempts: i64,
    in_doubt: bool,
    is_unlisted: bool,
    /// Of the document that the application wrote; `None`: it cannot be inflated.
    digest: Option<Digest>,
}

pub(super) fn judge(site: &Site, simulator: &Simulator, folder: &Path) -> Result<Report> {
    let rows = rows(&site.connection)?;
    let arrivals = simulator.ledger().arrivals();
    let mut firsts: HashMap<&str, (u64, Digest)> = HashMap::new();
    for arrival in &arrivals {
        firsts.entry(&arrival.message_id).or_insert((arrival.sequence, arrival.digest));
    }
    // What ION has under the row's id must be what the application wrote, to the byte.
    let at_ion = |row: &Row| {
        let (sequence, digest) = row.message_id.as_deref().and_then(|id| firsts.get(id))?;
        (row.digest == Some(*digest)).then_some(*sequence)
    };
    let mut report = Report {
        written: rows.len(),
        state_dir: folder.join("state").display().to_string(),
        composed: super::orders::composed(&site.connection)?,
        ..Report::default()
    };
    for row in &rows {
        match (row.flag, row.state.as_deref()) {
            (1, Some("accepted")) if at_ion(row).is_some() => report.accepted += 1,
            (9, Some("failed")) => {
                *report.failed.entry(row.code.clone().unwrap_or_default()).or_default() += 1;
            }
            (0, None) if row.is_unlisted => *report.left.entry("TYPE_NOT_LISTED".into()).or_default() += 1,
            (flag, _) => {
                report.lost += 1;
                report.unexplained_flags += usize::from(flag != 0);
            }
        }
        report.retried += usize::from(row.attempts > 1);
        report.in_doubt += usize::from(row.in_doubt);
    }
    report.order_violations = order_violations(&rows, &at_ion);
    report.repeats_seen = arrivals.iter().filter(|arrival| arrival.repeat > 0).count();
    let all_same = arrivals.iter().all(|arrival| arrival.same_bytes);
    let expected: BTreeMap<String, usize> =
        site.expected.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
    report.agreed = report.lost == 0
        && report.unexplained_flags == 0
        && report.order_violations == 0
        && all_same
        && report.composed.refused + report.composed.waiting == 0
        && report.failed == expected
        && report.accepted == firsts.len()
        && journal_is_settled(&folder.join("state").join("journal.sqlite"))?;
    Ok(report)
}

/// Within a lane, ION must have got the rows in the order of their `C_ID`.
fn order_violations(rows: &[Row], at_ion: &impl Fn(&Row) -> Option<u64>) -> usize {
    let mut last: HashMap<&(String, String), u64> = HashMap::new();
    let mut violations = 0;
    // Rows come in the order of their ids.
    for row in rows {
        if let (Some(lane), Some(sequence)) = (&row.lane, at_ion(row)) {
            let before = last.insert(lane, sequence);
            violations += usize::from(before.is_some_and(|before| before > sequence));
        }
    }
    violations
}

fn rows(connection: &Connection) -> Result<Vec<Row>> {
    let mut statement = connection.prepare(
        "SELECT e.C_ID, e.C_WAS_PROCESSED, l.state, l.message_id, l.failure_code, l.noun, l.document_id,
                coalesce(l.attempts, 0), coalesce(l.in_doubt, 0),
                EXISTS (SELECT 1 FROM COR_OUTBOX_HEADERS AS h
                         WHERE h.C_OUTBOX_ID = e.C_ID AND h.C_HEADER_KEY = 'BODType'
                           AND h.C_HEADER_VALUE = 'Sync.InventoryCount'),
                e.C_XML,
                EXISTS (SELECT 1 FROM COR_OUTBOX_HEADERS AS h
                         WHERE h.C_OUTBOX_ID = e.C_ID AND h.C_HEADER_KEY = 'Compression')
           FROM COR_OUTBOX_ENTRY AS e
           LEFT JOIN bodrelay_message_log AS l ON l.entry_id = e.C_ID AND l.direction = 'out'
          ORDER BY e.C_ID",
    )?;
    let rows = statement.query_map([], |row| {
        let (noun, document_id): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
        Ok(Row {
            entry_id: row.get(0)?,
            flag: row.get(1)?,
            state: row.get(2)?,
            message_id: row.get(3)?,
            code: row.get(4)?,
            lane: noun.zip(document_id),
            attempts: row.get(7)?,
            in_doubt: row.get(8)?,
            is_unlisted: row.get(9)?,
            digest: digest(&row.get::<_, Option<Vec<u8>>>(10)?.unwrap_or_default(), row.get(11)?),
        })
    })?;
    let rows: Vec<Row> = rows.collect::<rusqlite::Result<_>>()?;
    // One row of the log a message: a second one would be counted as a row of the outbox.
    let doubled = rows.windows(2).filter(|pair| pair[0].entry_id == pair[1].entry_id).count();
    anyhow::ensure!(doubled == 0, "{doubled} rows of the outbox have more than one row in the message log");
    Ok(rows)
}

fn digest(stored: &[u8], is_deflated: bool) -> Option<Digest> {
    if !is_deflated {
        return Some(Digest::of(stored));
    }
    let mut document = Vec::new();
    flate2::read::ZlibDecoder::new(stored).read_to_end(&mut document).ok()?;
    Some(Digest::of(&document))
}

/// Nothing is open any more.
fn journal_is_settled(path: &Path) -> Result<bool> {
    let journal = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let open: i64 =
        journal.query_row("SELECT count(*) FROM message WHERE settled = 0", [], |row| row.get(0))?;
    let whole: String = journal.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok(open == 0 && whole == "ok")
}
