//! Connection points whose choice of rows can overlap: a row must never go twice, and which of them it belongs to must
//! never depend on who looks first.
//!
//! Of two that overlap the one that works goes on, and the other is refused. Where neither works yet, both are.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConnectionPoint, ControlTables, Plan, Refused, SendMode, standing};

/// What the outbox does not tell apart: pairs of texts that its columns may take for equal, as the database said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alike {
    pub tenant_ids: BTreeMap<Pair, bool>,
    pub logical_ids: BTreeMap<Pair, bool>,
}

/// Two texts, the lower one first.
pub type Pair = (String, String);

impl Alike {
    /// Pairs of these texts about which the database has to be asked.
    pub fn doubtful<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Pair> {
        let texts: BTreeSet<&str> = texts.collect();
        let mut pairs = Vec::new();
        for (index, one) in texts.iter().enumerate() {
            let others = texts.iter().skip(index + 1).filter(|other| may_be_equal(one, other));
            pairs.extend(others.map(|other| ((*one).to_owned(), (*other).to_owned())));
        }
        pairs
    }

    /// Whether two connection points can choose the same row; `None` chooses all.
    fn shares(&self, one: &ConnectionPoint, other: &ConnectionPoint) -> bool {
        same(&one.source_tenant_id, &other.source_tenant_id, &self.tenant_ids)
            && same(&one.source_logical_id, &other.source_logical_id, &self.logical_ids)
    }
}

/// Whether some collation takes them for equal: such as ignore case, trailing blanks, accents.
fn may_be_equal(one: &str, other: &str) -> bool {
    !(one.is_ascii() && other.is_ascii()) || one.trim_end().eq_ignore_ascii_case(other.trim_end())
}

fn same(one: &Option<String>, other: &Option<String>, said: &BTreeMap<Pair, bool>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    let pair = if one <= other { (one.clone(), other.clone()) } else { (other.clone(), one.clone()) };
    // Where the database could not be asked, they may be.
    one == other || may_be_equal(one, other) && said.get(&pair).copied().unwrap_or(true)
}

impl Plan {
    /// Refuses what overlaps with what works. What is refused keeps its last good choice of rows, and that is kept free
    /// of newcomers, too.
    pub(super) fn settle_overlaps(&mut self, tables: &ControlTables, before: &Self) {
        let is_first = before.connection_points.is_empty();
        let works = |point: &ConnectionPoint| match before.connection_points.get(&point.name) {
            Some(last) => sends(last) && source(last) == source(point),
            // The first look of a process: the table says what the one before accepted.
            None => {
                let row = tables.connection_points.iter().find(|row| row.connection_point == point.name);
                is_first && row.is_some_and(|row| row.was_applied && row.refused_reason.is_none())
            }
        };
        let alike = &tables.alike;
        let sending: Vec<&ConnectionPoint> = self.connection_points.values().filter(|it| sends(it)).collect();
        let (working, newcomers): (Vec<_>, Vec<_>) = sending.into_iter().partition(|point| works(point));
        let overlapping = |points: &[&ConnectionPoint]| {
            let mut found = BTreeMap::new();
            for (index, one) in points.iter().enumerate() {
                for other in points[index + 1..].iter().filter(|other| alike.shares(one, other)) {
                    found.insert(one.name.clone(), other.name.clone());
                    found.insert(other.name.clone(), one.name.clone());
                }
            }
            found
        };
        // Those that work overlap only where the tables were changed while nobody looked.
        let ended = overlapping(&working);
        let mut refused = overlapping(&newcomers);
        let mut taken: Vec<&ConnectionPoint> = working;
        // What a refused one falls back to is taken, too.
        loop {
            for name in refused.keys() {
                taken.extend(before.connection_points.get(name).filter(|last| sends(last)));
            }
            let open = newcomers.iter().filter(|it| !refused.contains_key(&it.name));
            let found: Vec<(String, String)> = open
                .filter_map(|it| Some((it, taken.iter().find(|other| alike.shares(it, other))?)))
                .map(|(it, other)| (it.name.clone(), other.name.clone()))
                .collect();
            if found.is_empty() {
                break;
            }
            refused.extend(found);
        }
        for (name, other) in ended {
            self.refuse_overlap(&name, &other, tables, &Self::default());
        }
        for (name, other) in refused {
            self.refuse_overlap(&name, &other, tables, before);
        }
    }

    fn refuse_overlap(&mut self, name: &str, other: &str, tables: &ControlTables, before: &Self) {
        let row = tables.connection_points.iter().find(|row| row.connection_point == name);
        let last = row.zip(before.connection_points.get(name));
        let is_refused = |it: &Refused| it.connection_point == name;
        let refused_already = self.refused.iter().any(|it| is_refused(it) && it.document.is_none());
        self.connection_points.remove(name);
        self.inbound.remove(name);
        self.refused.retain(|it| !is_refused(it) || it.document.is_none());
        if let Some((row, last)) = last {
            self.take(standing::less(last, &row.send_mode), row, tables, before);
        }
        if refused_already {
            return;
        }
        let reason = format!(
            "its choice of rows (source_tenant_id, source_logical_id) overlaps with that of {other}: a row could be sent \
             twice. Give both a source_tenant_id and source_logical_id that differ, or set send_mode = 'off' for one"
        );
        self.refused.push(Refused {
            connection_point: name.to_owned(),
            document: None,
            direction: "out",
            reason: standing::said(reason, last.is_some()),
        });
    }
}

fn sends(point: &ConnectionPoint) -> bool {
    point.send_mode != SendMode::Off
}

fn source(point: &ConnectionPoint) -> (&Option<String>, &Option<String>) {
    (&point.source_tenant_id, &point.source_logical_id)
}
