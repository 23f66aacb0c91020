//! Findings between notice and table: one open finding for each code, connection point and subject.
//!
//! What an earlier life left open is taken over: it goes on if it is found again, and is over if it is not. Each that
//! appears or clears is a line of the diagnostic log, too. Each code has room of its own, so that thousands of one never
//! silence another; what finds none is counted, in one finding of its code.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::database::FindingRow;
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity, is_event, is_unsteady};
use crate::domain::plan::ConnectionPoint;

/// Open findings of one code; more than anyone reads.
const OF_CODE_MAX: usize = 100;
/// Findings that are only counted, all codes together.
const MORE_MAX: usize = 10_000;
/// The subject of the finding that counts them.
const MORE: &str = "and more";
/// One that is only seen again is written this often.
const AGAIN: TimeDelta = TimeDelta::seconds(60);
/// So long somebody may want to read of what happened once: over a weekend.
const EVENT_LASTS: TimeDelta = TimeDelta::hours(72);
/// What a life has not found again by then is over; what is so is noticed long before.
const FOUND_AGAIN_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// What can come and go within a second is over when it was not said again for so long: twice what a try that waits for
/// a lock and the pause behind it take.
const OVER_FOR: TimeDelta = TimeDelta::seconds(20);
/// The same as for what was not found again, for a life that ends sooner (`once`), from when it was last seen.
const SEEN_WITHIN: TimeDelta = TimeDelta::hours(1);

type Key = (String, Option<String>, String);

struct Finding {
    row: FindingRow,
    /// Something a reader would see has changed.
    changed: bool,
    written_at: Option<DateTime<Utc>>,
    /// An earlier life left it open, and this one has not found it.
    is_former: bool,
    /// It is said to be over, since then, and may come back in a moment.
    over_since: Option<DateTime<Utc>>,
}

pub(super) struct Findings {
    host: String,
    known: BTreeMap<Key, Finding>,
    /// What found no room, and when it was last seen.
    more: BTreeMap<Key, More>,
    /// Some of it is not even counted.
    is_more_capped: bool,
}

/// A finding that is only counted.
struct More {
    severity: &'static str,
    text: String,
    remedy: String,
    seen_at: DateTime<Utc>,
}

impl Findings {
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), known: BTreeMap::new(), more: BTreeMap::new(), is_more_capped: false }
    }

    pub fn take(&mut self, notice: Notice, now: DateTime<Utc>) {
        let key = (notice.code.to_owned(), notice.connection_point.clone(), cut(&notice.subject, 300));
        if let Some(finding) = self.known.get_mut(&key) {
            return finding.take(notice, now);
        }
        if notice.goes_on {
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
        let was_counted = self.more.remove(&key).is_some();
        if !row.cleared {
            if !was_counted {
                appears(&row);
            }
            if !self.makes_room(notice.code, notice.severity, now) {
                return self.count(key, &row);
            }
        }
        let finding = Finding { row, changed: true, written_at: None, is_former: false, over_since: None };
        self.known.insert(key, finding);
    }

    /// Whether another finding of this code has room: where the code has its number, in the place of a smaller one.
    fn makes_room(&mut self, code: &str, severity: Severity, now: DateTime<Utc>) -> bool {
        let first = (code.to_owned(), None, String::new());
        let of_code = self.known.range_mut(first..).take_while(|((of, ..), _)| of == code);
        let open: Vec<_> = of_code.filter(|(key, it)| key.2 != MORE && !it.row.cleared).collect();
        if open.len() < OF_CODE_MAX {
            return true;
        }
        let smaller = open.into_iter().find(|(_, it)| Severity::parse(it.row.severity) < severity);
        let Some((key, smaller)) = smaller else { return false };
        // Not over: it is counted from now on.
        (smaller.row.cleared, smaller.changed) = (true, true);
        let (key, row) = (key.clone(), FindingRow { last_seen_at: now, ..smaller.row.clone() });
        self.count(key, &row);
        true
    }

    fn count(&mut self, key: Key, row: &FindingRow) {
        if self.more.len() >= MORE_MAX {
            self.is_more_capped = true;
            return;
        }
        let more = More {
            severity: row.severity,
            text: cut(&row.finding_text, 500),
            remedy: cut(&row.remedy, 500),
            seen_at: row.last_seen_at,
        };
        self.more.insert(key, more);
    }

    /// One finding a code says how many of it are only counted.
    fn sum_up(&mut self, now: DateTime<Utc>) {
        let mut sums: BTreeMap<&str, (usize, &Key, &More)> = BTreeMap::new();
        for (key, more) in &self.more {
            let sum = sums.entry(&key.0).or_insert((0, key, more));
            sum.0 += 1;
            let worse = Severity::parse(more.severity) > Severity::parse(sum.2.severity);
            if worse || more.seen_at > sum.2.seen_at && more.severity == sum.2.severity {
                (sum.1, sum.2) = (key, more);
            }
        }
        let mut rows = Vec::new();
        for (code, (count, (_, point, subject), more)) in sums {
            let least = if self.is_more_capped { "at least " } else { "" };
            let about = point.as_ref().map_or_else(|| subject.clone(), |point| format!("{point}, {subject}"));
            rows.push(FindingRow {
                code: code.to_owned(),
                severity: more.severity,
                connection_point: None,
                subject: MORE.to_owned(),
                finding_text: format!(
                    "and {least}{count} more of this code, beside the {OF_CODE_MAX} that are told one by one; the last \
                     about {about}: {}",
                    more.text
                ),
                remedy: more.remedy.clone(),
                since: now,
                last_seen_at: now,
                seen_more: 1,
                cleared: false,
                host: self.host.clone(),
                acknowledged_until: None,
            });
        }
        self.is_more_capped &= self.more.len() >= MORE_MAX;
        for ((code, _, subject), finding) in &mut self.known {
            let is_counted = rows.iter().any(|row| row.code == *code);
            if subject == MORE && !is_counted && !finding.is_former {
                finding.clear();
            }
        }
        for row in rows {
            let key = (row.code.clone(), None, MORE.to_owned());
            match self.known.get_mut(&key) {
                Some(finding) => finding.says(row.severity, row.finding_text, row.remedy, now),
                None => {
                    appears(&row);
                    let finding =
                        Finding { row, changed: true, written_at: None, is_former: false, over_since: None };
                    self.known.insert(key, finding);
                }
            }
        }
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
                    self.known.insert(
                        key,
                        Finding { row, changed: false, written_at, is_former: true, over_since: None },
                    );
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
        self.keep(|(code, point, subject)| {
            let is_found = |it: &Notice| {
                it.code == code && it.connection_point == *point && cut(&it.subject, 300) == *subject
            };
            !codes.contains(&&**code) || found.iter().any(is_found)
        });
    }

    /// Takes back what does not hold, wherever it is told.
    fn keep(&mut self, holds: impl Fn(&Key) -> bool) {
        self.more.retain(|key, _| holds(key));
        let told = self.known.iter_mut().filter(|(key, _)| key.2 != MORE && !holds(key));
        told.for_each(|(_, finding)| finding.clear());
    }

    /// Takes back what is so of connection points that are not this agent's any more: nobody else would. What happened has
    /// happened; `others` are codes about just that.
    pub fn keep_points(&mut self, is_own: impl Fn(&str) -> bool, others: &[&str]) {
        self.keep(|(code, point, _)| {
            let is_gone = point.as_ref().is_some_and(|name| !is_own(name));
            !is_gone || is_event(code) || others.contains(&&**code)
        });
    }

    /// Takes back that nobody lists a type which the settings list: whoever did that while no agent ran (as between two
    /// runs of `once`) sees at once that it is mended.
    pub fn keep_unlisted(&mut self, points: &BTreeMap<String, ConnectionPoint>) {
        self.keep(|(code, point, subject)| {
            let point =
                point.as_ref().filter(|_| code == "TYPE_NOT_LISTED").and_then(|name| points.get(name));
            let document_type = DocumentType::parse(subject);
            !point.zip(document_type).is_some_and(|(point, it)| point.documents.contains_key(&it))
        });
    }

    /// A finding that holds, or (where it was open) no longer does.
    pub fn hold(&mut self, notice: Notice, holds: bool, now: DateTime<Utc>) {
        if holds {
            return self.take(notice, now);
        }
        let key = (notice.code.to_owned(), notice.connection_point.clone(), cut(&notice.subject, 300));
        if self.known.contains_key(&key) || self.more.contains_key(&key) {
            self.take(notice.clears(), now);
        }
    }

    /// Ends what has had its time: events that did not happen again, and what this life, begun at `since`, does not
    /// find any more.
    pub fn age(&mut self, since: DateTime<Utc>, is_last: bool, now: DateTime<Utc>) {
        self.more.retain(|(code, ..), more| !is_event(code) || now - more.seen_at <= EVENT_LASTS);
        self.sum_up(now);
        for finding in self.known.values_mut().filter(|finding| !finding.row.cleared) {
            if finding.over_since.is_some_and(|since| is_last || now - since >= OVER_FOR || now < since) {
                finding.clear();
                continue;
            }
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

    /// The table says these now.
    pub fn written(&mut self, rows: &[FindingRow], now: DateTime<Utc>) {
        for row in rows {
            let key = (row.code.clone(), row.connection_point.clone(), row.subject.clone());
            let Some(finding) = self.known.get_mut(&key) else { continue };
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
            if is_unsteady(&self.row.code) && !self.row.cleared {
                self.over_since.get_or_insert(now);
                return;
            }
            return self.clear();
        }
        if notice.goes_on {
            return;
        }
        self.says(notice.severity.as_str(), notice.text, notice.remedy, now);
    }

    fn says(&mut self, severity: &'static str, text: String, remedy: String, now: DateTime<Utc>) {
        (self.is_former, self.over_since) = (false, None);
        let row = &mut self.row;
        self.changed |= row.cleared || row.finding_text != text;
        (row.finding_text, row.remedy, row.severity) = (text, remedy, severity);
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
        self.over_since = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn notice(code: &'static str, severity: Severity, subject: impl Into<String>) -> Notice {
        Notice::new(code, severity, None, subject).says("it is so", "mend it")
    }

    fn open(findings: &Findings, code: &str) -> Vec<FindingRow> {
        findings.open().into_iter().filter(|row| row.code == code).collect()
    }

    #[test]
    fn what_comes_and_goes_is_over_when_it_is_over_for_a_while() {
        let mut findings = Findings::new("host1");
        let away = || notice("DATABASE_UNAVAILABLE", Severity::Error, "erp");
        for second in 0..60 {
            findings.take(away(), at(second));
            findings.take(away().clears(), at(second));
            findings.age(at(0), false, at(second));
            findings.written(&findings.to_write(at(second)), at(second));
            let open = open(&findings, "DATABASE_UNAVAILABLE");
            assert_eq!(open.iter().map(|row| row.since).collect::<Vec<_>>(), [at(0)], "{second}");
        }
        findings.age(at(0), false, at(78));
        assert_eq!(open(&findings, "DATABASE_UNAVAILABLE").len(), 1);
        findings.age(at(0), false, at(79));
        assert_eq!(open(&findings, "DATABASE_UNAVAILABLE").len(), 0);
        // A life that ends does not wait.
        findings.take(away(), at(80));
        findings.take(away().clears(), at(81));
        findings.age(at(0), true, at(81));
        assert_eq!(open(&findings, "DATABASE_UNAVAILABLE").len(), 0);
    }

    #[test]
    fn what_an_earlier_life_left_holds_as_long_as_somebody_says_so() {
        let mut findings = Findings::new("host1");
        let mut earlier = Findings::new("host1");
        earlier.take(notice("ION_UNREACHABLE", Severity::Error, "ion"), at(0));
        earlier.take(notice("TOKEN_REFUSED", Severity::Error, "ion"), at(0));
        findings.read(earlier.open());
        findings.take(notice("ION_UNREACHABLE", Severity::Error, "ion").still(), at(1));
        findings.take(notice("ION_BUSY", Severity::Error, "ion").still(), at(1));
        findings.age(at(1), true, at(100_000));
        let open: Vec<String> = findings.open().into_iter().map(|row| row.code).collect();
        assert_eq!(open, ["ION_UNREACHABLE"]);
    }

    #[test]
    fn thousands_of_one_code_are_counted_and_silence_no_other() {
        let mut findings = Findings::new("host1");
        for number in 0..1_834 {
            findings
                .take(notice("ROW_COMMITTED_LATE", Severity::Info, format!("row {number:05}")), at(number));
        }
        findings.take(notice("ION_UNREACHABLE", Severity::Error, "ion"), at(2_000));
        findings.age(at(0), false, at(2_000));
        assert_eq!(open(&findings, "ION_UNREACHABLE").len(), 1);
        let late = open(&findings, "ROW_COMMITTED_LATE");
        assert_eq!(late.len(), OF_CODE_MAX + 1);
        let more = late.iter().find(|row| row.subject == MORE).unwrap();
        let says = ["and 1734 more", "the last about row 01833: it is so"];
        assert!(says.iter().all(|it| more.finding_text.contains(it)), "{}", more.finding_text);
        assert_eq!(more.remedy, "mend it");
        // They are over one by one, wherever they are told.
        for number in 0..1_830 {
            let notice = notice("ROW_COMMITTED_LATE", Severity::Info, format!("row {number:05}"));
            findings.hold(notice, false, at(2_001));
        }
        findings.age(at(0), false, at(2_001));
        let more = open(&findings, "ROW_COMMITTED_LATE");
        assert!(more.len() == 1 && more[0].finding_text.contains("and 4 more"), "{more:?}");
        // Those that are said again have room now; the others end as events do.
        findings.written(&findings.to_write(at(2_001)), at(2_001));
        findings.take(notice("ROW_COMMITTED_LATE", Severity::Info, "row 01833"), at(2_002));
        findings.age(at(0), false, at(2_002));
        assert_eq!(open(&findings, "ROW_COMMITTED_LATE").len(), 2);
        findings.age(at(0), false, at(2_002) + EVENT_LASTS + TimeDelta::seconds(1));
        assert_eq!(open(&findings, "ROW_COMMITTED_LATE").len(), 0);
    }

    #[test]
    fn an_error_has_the_place_of_a_smaller_one() {
        let mut findings = Findings::new("host1");
        for number in 0..150 {
            findings.take(notice("CERTIFICATE_EXPIRES", Severity::Info, format!("{number:03}")), at(0));
        }
        findings.take(notice("CERTIFICATE_EXPIRES", Severity::Error, "the one"), at(1));
        findings.age(at(0), false, at(1));
        let open = open(&findings, "CERTIFICATE_EXPIRES");
        let error = open.iter().find(|row| row.severity == "error").unwrap();
        assert_eq!((error.subject.as_str(), open.len()), ("the one", OF_CODE_MAX + 1));
        let more = open.iter().find(|row| row.subject == MORE).unwrap();
        assert!(more.finding_text.starts_with("and 51 more"), "{}", more.finding_text);
        // What is counted of them ends where all of them are judged.
        findings
            .keep_of(&["CERTIFICATE_EXPIRES"], &[notice("CERTIFICATE_EXPIRES", Severity::Error, "the one")]);
        findings.age(at(0), false, at(2));
        assert_eq!(findings.open().iter().map(|row| &*row.subject).collect::<Vec<_>>(), ["the one"]);
    }
}
