//! The verdict on the other half: the inbox, its receipts, and what ION heard, side by side.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::site::Site;
use crate::domain::ids::Digest;
use crate::domain::incoming::source_part;
use crate::simulator::connector::{Delivered, Heard};

/// The key `inbound` of `--json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Inbound {
    /// Different documents that ION sent.
    pub sent: usize,
    /// Rows of the inbox.
    pub stored: usize,
    /// Repeats and duplicates that became no row.
    pub duplicates: usize,
    /// Documents that ION was told no to.
    pub refused: usize,
    /// Documents with a yes that are not in the inbox to the byte, or are there twice; rows that nobody sent.
    pub lost: usize,
}

impl Inbound {
    /// Everything that is right is there once, and everything that is wrong was refused.
    pub(super) fn is_agreed(&self, sent: usize, bad: usize) -> bool {
        self.lost == 0 && self.sent == sent && self.refused == bad && self.stored == sent - bad
    }
}

pub(super) fn judge(site: &Site, ledger: &BTreeMap<String, Delivered>) -> Result<Inbound> {
    let mut rows: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
    let mut statement = site.connection.prepare(
        "SELECT e.C_XML, (SELECT h.C_HEADER_VALUE FROM COR_INBOX_HEADERS AS h
                           WHERE h.C_INBOX_ID = e.C_ID AND h.C_HEADER_KEY = 'MessageId')
           FROM COR_INBOX_ENTRY AS e WHERE e.C_WAS_PROCESSED = 0",
    )?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (bytes, id): (Vec<u8>, Option<String>) = (row.get(0)?, row.get(1)?);
        let source = source_part(&id.unwrap_or_default()).to_owned();
        rows.entry(source).or_default().push(Digest::of(&bytes));
    }
    let mut inbound =
        Inbound { sent: ledger.len(), stored: rows.values().map(Vec::len).sum(), ..Inbound::default() };
    for (source, document) in ledger {
        let there = rows.remove(source).unwrap_or_default();
        match document.heard {
            Some(Heard::Yes) if there == [document.digest] => {}
            Some(Heard::No(_)) if there.is_empty() => inbound.refused += 1,
            _ => inbound.lost += 1,
        }
    }
    inbound.lost += rows.values().map(Vec::len).sum::<usize>();
    let duplicates: i64 = site.connection.query_row(
        "SELECT coalesce(sum(repeats), 0) + (SELECT count(*) FROM bodrelay_message_log
                                              WHERE direction = 'in' AND state = 'duplicate')
           FROM bodrelay_receipt",
        [],
        |row| row.get(0),
    )?;
    inbound.duplicates = usize::try_from(duplicates)?;
    Ok(inbound)
}
