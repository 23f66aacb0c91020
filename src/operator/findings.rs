//! Findings between notice and table: one open finding for each code, connection point and subject.
//!
//! What an earlier life left open is taken over: it goes on if it is found again, and is over if it is not. Each that
//! appears or clears is a line of the diagnostic log, too.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::database::FindingRow;
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity, is_event};
use crate::domain::plan::ConnectionPoint;

/// Findings kept in memory; more than anyone reads.
const MAX: usize = 2_000;
/// One that is only seen again is written this often.
const AGAIN: TimeDelta = TimeDelta::seconds(60);
/// So long somebody may want to read of what happened once: over a weekend.
const EVENT_LASTS: TimeDelta = TimeDelta::hours(72);
/// What a life has not found again by then is over; what is so is noticed long before.
const FOUND_AGAIN_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// The same for a life that ends sooner (`once`), from when it was last seen.
const SEEN_WITHIN: TimeDelta = TimeDelta::hours(1);

type Key = (String, Option<String>, String);

struct Finding {
    row: FindingRow,
    /// Something a reader would see has changed.
    changed: bool,
    written_at: Option<DateTime<Utc>>,
    /// An earlier life left it open, and this one has not found it.
    is_former: bool,
}

pub(super) struct Findings {
    host: String,
    known: BTreeMap<Key, Finding>,
}

impl Findings {
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), known: BTreeMap::new() }
    }

    pub fn take(&mut self, notice: Notice, now: DateTime<Utc>) {
        let key = (notice.code.to_owned(), notice.connection_point.clone(), cut(&notice.subject, 300));
        if let Some(finding) = self.known.get_mut(&key) {
            return finding.take(notice, now);
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
            subject: key.2.clone(),
            finding_text: notice.text,
            remedy: notice.remedy,
            since: now,
            last_seen_at: now,
            seen_more: 1,
            cleared: notice.cleared,
            host: self.host.clone(),
            acknowledged_until: None,
        };
        if !row.cleared {
            appears(&row);
        }
        self.known.insert(key, Finding { row, changed: true, written_at: None, is_former: false });
    }

    /// What the table holds of this agent: findings of an earlier life, and what a DBA has acknowledged.
    pub fn read(&mut self, rows: Vec<FindingRow>) {
        for row in rows.into_iter().filter(|row| row.host == self.host) {
            let key = (row.code.clone(), row.connection_point.clone(), row.subject.clone());
            match self.known.get_mut(&key) {
                Some(finding) => finding.row.acknowledged_until = row.acknowledged_until,
                None => {
                    let written_at = Some(row.last_seen_at);
                    let row = FindingRow { seen_more: 0, ..row };
                    self.known.insert(key, Finding { row, changed: false, written_at, is_former: true });
                }
            }
        }
    }

    /// What is open; findings that an earlier life left are among them until they are over.
    pub fn open(&self) -> Vec<FindingRow> {
        self.known.values().map(|finding| &finding.row).filter(|row| !row.cleared).cloned().collect()
    }

    /// Takes back what is open of these codes and is not among `found`: they are judged whole, so that also what an
    /// earlier life left is over.
    pub fn keep_of(&mut self, codes: &[&str], found: &[Notice]) {
        for finding in self.known.values_mut().filter(|finding| codes.contains(&&*finding.row.code)) {
            let row = &finding.row;
            let is_found = found.iter().any(|it| {
                (it.code, &it.connection_point, &it.subject)
                    == (&*row.code, &row.connection_point, &row.subject)
            });
            if !is_found {
                finding.clear();
            }
        }
    }

    /// Takes back what is so of connection points that are not this agent's any more: nobody else would. What happened has
    /// happened; `others` are codes about just that.
    pub fn keep_points(&mut self, is_own: impl Fn(&str) -> bool, others: &[&str]) {
        for finding in self.known.values_mut() {
            let is_gone = finding.row.connection_point.as_ref().is_some_and(|name| !is_own(name));
            if is_gone && !is_event(&finding.row.code) && !others.contains(&&*finding.row.code) {
                finding.clear();
            }
        }
    }

    /// Takes back that nobody lists a type which the settings list: whoever did that while no agent ran (as between two
    /// runs of `once`) sees at once that it is mended.
    pub fn keep_unlisted(&mut self, points: &BTreeMap<String, ConnectionPoint>) {
        for finding in self.known.values_mut().filter(|finding| finding.row.code == "TYPE_NOT_LISTED") {
            let point = finding.row.connection_point.as_ref().and_then(|name| points.get(name));
            let document_type = DocumentType::parse(&finding.row.subject);
            if point.zip(document_type).is_some_and(|(point, it)| point.documents.contains_key(&it)) {
                finding.clear();
            }
        }
    }

    /// A finding that holds, or (where it was open) no longer does.
    pub fn hold(&mut self, notice: Notice, holds: bool, now: DateTime<Utc>) {
        if holds {
            return self.take(notice, now);
        }
        let key = (notice.code.to_owned(), notice.connection_point.clone(), cut(&notice.subject, 300));
        if self.known.contains_key(&key) {
            self.take(notice.clears(), now);
        }
    }

    /// Ends what has had its time: events that did not happen again, and what this life, begun at `since`, does not
    /// find any more.
    pub fn age(&mut self, since: DateTime<Utc>, is_last: bool, now: DateTime<Utc>) {
        for finding in self.known.values_mut().filter(|finding| !finding.row.cleared) {
            let unseen = now - finding.row.last_seen_at;
            let is_over = if is_event(&finding.row.code) {
                unseen > EVENT_LASTS
            } else {
                finding.is_former && (now - since > FOUND_AGAIN_WITHIN || is_last && unseen > SEEN_WITHIN)
            };
            if is_over {
                finding.clear();
            }
        }
    }

    /// What the table does not say yet.
    pub fn to_write(&self, now: DateTime<Utc>) -> Vec<FindingRow> {
        let due = self.known.values().filter(|finding| due(finding, now));
        due.map(|Finding { row, .. }| FindingRow {
            finding_text: cut(&row.finding_text, 2000),
            remedy: cut(&row.remedy, 2000),
            ..row.clone()
        })
        .collect()
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

impl Finding {
    fn take(&mut self, notice: Notice, now: DateTime<Utc>) {
        self.is_former = false;
        if notice.cleared {
            return self.clear();
        }
        let row = &mut self.row;
        self.changed |= row.cleared || row.finding_text != notice.text;
        row.finding_text = notice.text;
        row.remedy = notice.remedy;
        row.severity = notice.severity.as_str();
        row.last_seen_at = now;
        row.seen_more += 1;
        if row.cleared {
            row.since = now;
            row.cleared = false;
            row.acknowledged_until = None;
            appears(row);
        }
    }

    fn clear(&mut self) {
        if !self.row.cleared {
            self.row.cleared = true;
            self.changed = true;
            let FindingRow { code, connection_point, subject, .. } = &self.row;
            tracing::info!(code, connection_point, subject, "a finding is over");
        }
    }
}

fn appears(row: &FindingRow) {
    let FindingRow { code, connection_point, subject, finding_text: text, .. } = row;
    match Severity::parse(row.severity) {
        Severity::Error => tracing::error!(code, connection_point, subject, text, "a finding"),
        Severity::Warning => tracing::warn!(code, connection_point, subject, text, "a finding"),
        Severity::Info => tracing::info!(code, connection_point, subject, text, "a finding"),
    }
}

fn due(finding: &Finding, now: DateTime<Utc>) -> bool {
    finding.changed
        || finding.row.seen_more > 0 && finding.written_at.is_none_or(|at| super::is_due(at, AGAIN, now))
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
