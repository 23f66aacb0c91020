//! Findings between notice and table: one open finding for each code, connection point and subject.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::database::FindingRow;
use crate::domain::notice::Notice;

/// Findings kept in memory; more than anyone reads.
const MAX: usize = 2_000;
/// One that is only seen again is written this often.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

type Key = (&'static str, Option<String>, String);

struct Finding {
    row: FindingRow,
    /// Something a reader would see has changed.
    changed: bool,
    written_at: Option<DateTime<Utc>>,
}

pub(super) struct Findings {
    host: String,
    known: BTreeMap<Key, Finding>,
    /// What this life has cleared once, found or not.
    looked_at: BTreeSet<Key>,
}

impl Findings {
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), known: BTreeMap::new(), looked_at: BTreeSet::new() }
    }

    pub fn take(&mut self, notice: Notice, now: DateTime<Utc>) {
        let key = key(&notice);
        if notice.cleared {
            if let Some(finding) = self.known.get_mut(&key) {
                finding.changed |= !finding.row.cleared;
                finding.row.cleared = true;
                return;
            }
        } else if let Some(finding) = self.known.get_mut(&key) {
            let row = &mut finding.row;
            finding.changed |= row.cleared || row.finding_text != notice.text;
            row.since = if row.cleared { now } else { row.since };
            row.cleared = false;
            row.finding_text = notice.text;
            row.remedy = notice.remedy;
            row.last_seen_at = now;
            row.seen_more += 1;
            return;
        }
        if self.known.len() >= MAX {
            tracing::warn!(
                code = notice.code,
                subject = notice.subject,
                "too many findings: this one is only in the log"
            );
            return;
        }
        let row = FindingRow {
            code: notice.code.into(),
            severity: notice.severity.as_str(),
            connection_point: notice.connection_point,
            subject: notice.subject.chars().take(300).collect(),
            finding_text: notice.text,
            remedy: notice.remedy,
            since: now,
            last_seen_at: now,
            seen_more: 1,
            cleared: notice.cleared,
            host: self.host.clone(),
        };
        self.known.insert(key, Finding { row, changed: true, written_at: None });
    }

    /// How many are open, by code and severity; those that an earlier life left open are not among them.
    pub fn open(&self) -> BTreeMap<(String, &'static str), u64> {
        let mut open = BTreeMap::new();
        for row in self.known.values().map(|finding| &finding.row).filter(|row| !row.cleared) {
            *open.entry((row.code.clone(), row.severity)).or_default() += 1;
        }
        open
    }

    /// A finding that holds, or (where it was open, or may be from an earlier life) no longer does.
    pub fn hold(&mut self, notice: Notice, holds: bool, now: DateTime<Utc>) {
        if holds {
            return self.take(notice, now);
        }
        match self.known.contains_key(&key(&notice)) {
            true => self.take(notice.clears(), now),
            false => self.clear_former(notice, now),
        }
    }

    /// What an earlier life may have left open is over, said once; unless this life has found it too.
    pub fn clear_former(&mut self, notice: Notice, now: DateTime<Utc>) {
        let key = key(&notice);
        if !self.known.contains_key(&key) && self.looked_at.insert(key) {
            self.take(notice.clears(), now);
        }
    }

    /// What the table does not say yet.
    pub fn to_write(&self, now: DateTime<Utc>) -> Vec<FindingRow> {
        self.known.values().filter(|finding| due(finding, now)).map(|finding| cut(&finding.row)).collect()
    }

    /// The table says it now.
    pub fn written(&mut self, now: DateTime<Utc>) {
        for finding in self.known.values_mut().filter(|finding| due(finding, now)) {
            finding.changed = false;
            finding.row.seen_more = 0;
            finding.written_at = Some(now);
        }
        self.known.retain(|_, finding| finding.changed || !finding.row.cleared);
    }
}

fn key(notice: &Notice) -> Key {
    (notice.code, notice.connection_point.clone(), notice.subject.clone())
}

fn due(finding: &Finding, now: DateTime<Utc>) -> bool {
    finding.changed || finding.row.seen_more > 0 && finding.written_at.is_none_or(|at| now - at >= AGAIN)
}

fn cut(row: &FindingRow) -> FindingRow {
    FindingRow {
        finding_text: row.finding_text.chars().take(2000).collect(),
        remedy: row.remedy.chars().take(2000).collect(),
        ..row.clone()
    }
}
