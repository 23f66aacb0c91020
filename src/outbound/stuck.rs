//! Rows whose end could not be written: in nobody's way, told by name, and tried again by themselves until it works.
//!
//! The journal knows what became of each, so none is sent again. Memory only: a restart tries them all once more.

use std::collections::{BTreeMap, HashSet};

use crate::domain::notice::{Notice, Severity};
use crate::domain::outside::printable;

/// So many are borne before nothing more begins: what ION has and the outbox does not say stays bounded.
pub(super) const STUCK_MAX: usize = 1_000;
/// Tried again after this, then after twice as long each time.
const FIRST_MS: i64 = 5_000;
const LAST_MS: i64 = 300_000;
/// The same for a row that somebody keeps locked: that costs little and is over soon, mostly.
const LOCKED_FIRST_MS: i64 = 500;
const LOCKED_LAST_MS: i64 = 10_000;
/// A lock is told when it has been in the way for this long.
const LOCKED_TELL_MS: i64 = 10_000;
/// Rows that a finding names.
const NAMED: usize = 5;

/// What is to be written: the end of a message, or the flag of a row that ION accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Message(i64),
    Row(i64),
}

impl Item {
    pub fn message(&self) -> Option<i64> {
        match self {
            Self::Message(message) => Some(*message),
            Self::Row(_) => None,
        }
    }
}

/// Why it was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The database refuses it, in these words.
    Refused(String),
    /// Another session keeps the row locked; who, where the server tells.
    Locked(Option<String>),
    /// The UPDATE left the row as it was, without an error.
    Unchanged,
}

struct Row {
    entry_id: i64,
    document_id: Option<String>,
    why: Why,
    since: i64,
    tries: u32,
    not_before: i64,
}

/// Those of one connection point.
#[derive(Default)]
pub(super) struct Stuck {
    rows: BTreeMap<Item, Row>,
    /// Codes of open findings.
    told: Vec<&'static str>,
}

impl Stuck {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn has(&self, item: Item) -> bool {
        self.rows.contains_key(&item)
    }

    /// It is here, and its time has not come.
    pub fn waits(&self, item: Item, now: i64) -> bool {
        self.rows.get(&item).is_some_and(|row| row.not_before > now)
    }

    /// Messages whose time has not come.
    pub fn waiting(&self, now: i64) -> HashSet<i64> {
        let rows = self.rows.iter().filter(|(_, row)| row.not_before > now);
        rows.filter_map(|(item, _)| item.message()).collect()
    }

    /// What is to be tried again now.
    pub fn due(&self, limit: usize, now: i64) -> Vec<Item> {
        let due = self.rows.iter().filter(|(_, row)| row.not_before <= now);
        due.map(|(item, _)| *item).take(limit).collect()
    }

    pub fn next_due(&self) -> Option<i64> {
        self.rows.values().map(|row| row.not_before).min()
    }

    /// It could not be written, again or for the first time.
    pub fn hold(&mut self, item: Item, entry_id: i64, document_id: Option<String>, why: Why, now: i64) {
        let is_locked = matches!(why, Why::Locked(_));
        let (first, last) = if is_locked { (LOCKED_FIRST_MS, LOCKED_LAST_MS) } else { (FIRST_MS, LAST_MS) };
        let row = self.rows.entry(item).or_insert_with(|| Row {
            entry_id,
            document_id,
            why: why.clone(),
            since: now,
            tries: 0,
            not_before: now,
        });
        if std::mem::discriminant(&row.why) != std::mem::discriminant(&why) {
            (row.since, row.tries) = (now, 0);
        }
        row.why = why;
        row.not_before = now + first.saturating_mul(1 << row.tries.min(10)).min(last);
        row.tries = row.tries.saturating_add(1);
    }

    /// It was not tried after all: in a moment.
    pub fn put_off(&mut self, item: Item, now: i64) {
        if let Some(row) = self.rows.get_mut(&item) {
            row.not_before = row.not_before.max(now + FIRST_MS);
        }
    }

    /// The time of day was set: nothing waits longer or shorter for it.
    pub fn move_by(&mut self, jump: i64) {
        for row in self.rows.values_mut() {
            row.since = row.since.saturating_add(jump);
            row.not_before = row.not_before.saturating_add(jump);
        }
    }

    /// It is written, or is no longer to be.
    pub fn free(&mut self, item: Item) {
        self.rows.remove(&item);
    }

    pub fn keep(&mut self, is_kept: impl Fn(Item) -> bool) {
        self.rows.retain(|item, _| is_kept(*item));
    }

    /// What is to be told of rows that are dealt with and not settled, and what is over.
    pub fn settling(&mut self, name: &str, now: i64) -> Vec<Notice> {
        let end = match self.rows.len() >= STUCK_MAX {
            true => format!("{STUCK_MAX} are as many as may be: nothing more begins until some are settled"),
            false => "The journal knows them, so that none is sent again, and all others go on".to_owned(),
        };
        let refused = self.of(|why| matches!(why, Why::Refused(_)), i64::MAX).map(|rows| {
            (
                format!(
                    "the database refuses to let {} be flagged and logged, though {} dealt with: {rows}. {end}",
                    rows.count("row"),
                    rows.is_or_are(),
                ),
                "Mend what the server names. It is tried again by itself, after 5 minutes at the latest.",
            )
        });
        let unchanged = self.of(|why| *why == Why::Unchanged, i64::MAX).map(|rows| {
            (
                format!(
                    "the UPDATE that flags {} ends without an error and leaves the flag as it was: {rows}. {end}",
                    rows.count("row"),
                ),
                "Let the agent's user change C_WAS_PROCESSED of these rows: look at the triggers of the outbox (RETURN NULL, \
                 RAISE(IGNORE), INSTEAD OF) and at its policies (row security). It is tried again by itself, after 5 minutes \
                 at the latest.",
            )
        });
        let locked = self.of(|why| matches!(why, Why::Locked(_)), now - LOCKED_TELL_MS).map(|rows| {
            (
                format!("another session keeps {} locked that {} to be flagged: {rows}. {end}", rows.count("row"), rows.is_or_are()),
                "Let whoever it is end the transaction. The rows are flagged by themselves once they are free.",
            )
        });
        vec![
            self.tell("ROWS_NOT_SETTLED", Severity::Error, name, "outbox", refused),
            self.tell("ROWS_UNCHANGED", Severity::Error, name, "outbox", unchanged),
            self.tell("ROWS_LOCKED", Severity::Warning, name, "outbox", locked),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What is to be told of messages that wait and that the message log does not take.
    pub fn logging(&mut self, name: &str) -> Option<Notice> {
        let refused = self.of(|_| true, i64::MAX).map(|rows| {
            (
                format!(
                    "the message log does not take {}: {rows}. They are sent all the same, and all others are logged",
                    rows.count("message"),
                ),
                "Mend what the server names. It is tried again by itself, after 5 minutes at the latest.",
            )
        });
        self.tell("LOG_NOT_WRITTEN", Severity::Warning, name, "message log", refused)
    }

    fn tell(
        &mut self,
        code: &'static str,
        severity: Severity,
        name: &str,
        subject: &str,
        said: Option<(String, &'static str)>,
    ) -> Option<Notice> {
        let notice = Notice::new(code, severity, Some(name), subject);
        let was_told = self.told.contains(&code);
        self.told.retain(|told| *told != code);
        match said {
            Some((text, remedy)) => {
                self.told.push(code);
                Some(notice.says(text, remedy))
            }
            None => was_told.then(|| notice.clears()),
        }
    }

    /// Rows of a kind, where one of them is so since before a time.
    fn of(&self, is_kind: impl Fn(&Why) -> bool, before: i64) -> Option<Named<'_>> {
        let rows: Vec<&Row> = self.rows.values().filter(|row| is_kind(&row.why)).collect();
        rows.iter().any(|row| row.since < before).then_some(Named(rows))
    }
}

/// Rows as a finding names them: each cause once.
struct Named<'a>(Vec<&'a Row>);

impl Named<'_> {
    fn count(&self, of: &str) -> String {
        let rows = self.0.len();
        if rows == 1 { format!("1 {of}") } else { format!("{rows} {of}s") }
    }

    fn is_or_are(&self) -> &'static str {
        if self.0.len() == 1 { "is" } else { "are" }
    }
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut last = None;
        for (place, row) in self.0.iter().take(NAMED).enumerate() {
            let between = if place == 0 { "" } else { "; " };
            write!(formatter, "{between}C_ID {}", row.entry_id)?;
            if let Some(document_id) = &row.document_id {
                let document_id: String = document_id.chars().take(100).collect();
                write!(formatter, " (document {})", printable(&document_id))?;
            }
            if last == Some(&row.why) {
                continue;
            }
            match &row.why {
                Why::Refused(words) => write!(formatter, ": {words}")?,
                Why::Locked(Some(holder)) => write!(formatter, ", by {holder}")?,
                Why::Locked(None) => formatter.write_str(", by whom the server does not tell")?,
                Why::Unchanged => {}
            }
            last = Some(&row.why);
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &str) -> Why {
        Why::Refused(words.to_owned())
    }

    #[test]
    fn each_waits_longer_and_is_told_until_it_is_over() {
        let mut stuck = Stuck::default();
        let item = Item::Message(1);
        let mut waits = Vec::new();
        for _ in 0..9 {
            stuck.hold(item, 17, Some("A\u{1b}B".into()), refused("no"), 1_000);
            waits.extend(stuck.next_due().map(|due| due - 1_000));
        }
        assert_eq!(waits[..3], [5_000, 10_000, 20_000]);
        assert_eq!(waits[8], 300_000);
        assert!(stuck.due(10, 1_000).is_empty() && stuck.due(10, 301_000) == [item]);
        let notices = stuck.settling("CP1", 2_000);
        assert_eq!(notices.len(), 1);
        assert!(notices[0].text.contains("C_ID 17 (document A\\u001bB): no."), "{}", notices[0].text);
        stuck.free(item);
        let notices = stuck.settling("CP1", 3_000);
        assert!(notices.len() == 1 && notices[0].cleared && stuck.settling("CP1", 4_000).is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_wait_longer() {
        let mut stuck = Stuck::default();
        stuck.hold(Item::Message(1), 17, None, refused("no"), 86_400_000);
        stuck.move_by(-86_400_000);
        assert_eq!((stuck.next_due(), stuck.due(10, 5_000)), (Some(5_000), vec![Item::Message(1)]));
    }

    #[test]
    fn a_lock_is_told_after_a_while_and_names_who_holds_it() {
        let mut stuck = Stuck::default();
        let locked = || Why::Locked(Some("session 7".into()));
        stuck.hold(Item::Message(1), 17, None, locked(), 0);
        assert!(stuck.settling("CP1", 5_000).is_empty());
        let notices = stuck.settling("CP1", 10_001);
        assert!(notices[0].text.contains("C_ID 17, by session 7"), "{}", notices[0].text);
        stuck.hold(Item::Message(1), 17, None, refused("no"), 20_000);
        let codes: Vec<_> = stuck.settling("CP1", 20_000).iter().map(|it| (it.code, it.cleared)).collect();
        assert_eq!(codes, [("ROWS_NOT_SETTLED", false), ("ROWS_LOCKED", true)]);
    }

    #[test]
    fn one_cause_of_many_rows_is_said_once() {
        let mut stuck = Stuck::default();
        for id in 1..=9 {
            stuck.hold(Item::Message(id), id, None, refused("it says no"), 0);
        }
        let text = &stuck.settling("CP1", 1)[0].text;
        assert_eq!(text.matches("it says no").count(), 1, "{text}");
        assert!(text.contains("9 rows") && text.contains("C_ID 5; and 4 more"), "{text}");
    }
}
