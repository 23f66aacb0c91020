//! When a finding is worth telling somebody: it must hold, it must be gone for good, and it is told again while it lasts.
//!
//! Of each finding the receiver hears raised, then reminders, then cleared, in this order. One that comes and goes
//! faster than the limits is not told at all; one that was told and comes back before the limit has never gone. Nothing
//! counts as told before it was delivered, so there is no queue: what is to be told follows from what is open and what
//! was told, and is as large as that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::notice::Severity;

/// The finding that alerts do not arrive: it is never an alert itself.
pub const NOT_DELIVERED: &str = "ALERT_NOT_DELIVERED";

/// What makes a finding one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub code: String,
    pub connection_point: Option<String>,
    pub subject: String,
    /// Where it is about one connection point: its database. The same name may be in two.
    pub database: Option<String>,
}

/// A finding that is open now. Times are ms since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFinding {
    pub severity: Severity,
    pub text: String,
    pub remedy: String,
    pub since: i64,
    /// A DBA has acknowledged it: it is neither told anew nor reminded of.
    #[serde(default)]
    pub is_acknowledged: bool,
}

/// The limits of `[alerts]`, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub minimum: Severity,
    pub raise_after: i64,
    pub clear_after: i64,
    /// `None`: never.
    pub remind_after: Option<i64>,
}

/// What is told of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    Raised,
    Reminder,
    Cleared,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub turn: Turn,
    pub key: Key,
    /// As it was last seen.
    pub finding: OpenFinding,
    /// With the key it names this one time that the finding was open.
    pub raised_at: i64,
    pub at: i64,
}

/// A finding that was told and is not told as cleared: what a restart must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    #[serde(flatten)]
    pub finding: OpenFinding,
    pub raised_at: i64,
    /// When it was last told.
    pub told_at: i64,
}

/// What is open, and what was told of it.
#[derive(Debug)]
pub struct Alerts {
    limits: Limits,
    open: BTreeMap<Key, OpenFinding>,
    told: BTreeMap<Key, Told>,
    /// Told findings that are not open any more, since then.
    gone: BTreeMap<Key, i64>,
}

impl Alerts {
    /// Goes on with what an earlier life told.
    pub fn new(limits: Limits, told: BTreeMap<Key, Told>) -> Self {
        Self { limits, open: BTreeMap::new(), told, gone: BTreeMap::new() }
    }

    /// What is open now. `is_whole`: what is not in it is not open; before every database was heard this is not known.
    pub fn observe(&mut self, open: BTreeMap<Key, OpenFinding>, is_whole: bool, now: i64) {
        self.open = open;
        let minimum = self.limits.minimum;
        self.open.retain(|key, finding| finding.severity >= minimum && key.code != NOT_DELIVERED);
        self.gone.retain(|key, _| !self.open.contains_key(key));
        for key in self.told.keys().filter(|key| is_whole && !self.open.contains_key(*key)) {
            let since = self.gone.entry(key.clone()).or_insert(now);
            // A clock that was set back does not keep it for ever.
            *since = now.min(*since);
        }
    }

    /// What is to be told next, the worst first; the same again until `delivered` says that it was.
    pub fn next(&self, now: i64) -> Option<Alert> {
        let raised = self
            .open
            .iter()
            .filter(|(key, finding)| {
                let due = finding.since.min(now).saturating_add(self.limits.raise_after);
                !finding.is_acknowledged && now >= due && !self.told.contains_key(*key)
            })
            .max_by_key(|(_, finding)| finding.severity);
        if let Some((key, finding)) = raised {
            return Some(alert(Turn::Raised, key, finding, now, now));
        }
        let cleared =
            self.gone.iter().find(|(_, since)| now >= since.saturating_add(self.limits.clear_after));
        if let Some((key, told)) = cleared.and_then(|(key, _)| self.told.get_key_value(key)) {
            return Some(alert(Turn::Cleared, key, &told.finding, told.raised_at, now));
        }
        let remind_after = self.limits.remind_after?;
        self.told.iter().find_map(|(key, told)| {
            let finding = self.open.get(key).filter(|finding| !finding.is_acknowledged)?;
            let is_due = now >= told.told_at.min(now).saturating_add(remind_after);
            is_due.then(|| alert(Turn::Reminder, key, finding, told.raised_at, now))
        })
    }

    /// It was told: what a restart must know of the finding now, `None` where it is over.
    pub fn delivered(&mut self, alert: &Alert) -> Option<Told> {
        if alert.turn == Turn::Cleared {
            self.gone.remove(&alert.key);
            self.told.remove(&alert.key);
            return None;
        }
        let told = told(alert);
        self.told.insert(alert.key.clone(), told.clone());
        Some(told)
    }
}

fn alert(turn: Turn, key: &Key, finding: &OpenFinding, raised_at: i64, at: i64) -> Alert {
    Alert { turn, key: key.clone(), finding: finding.clone(), raised_at, at }
}

fn told(alert: &Alert) -> Told {
    Told { finding: alert.finding.clone(), raised_at: alert.raised_at, told_at: alert.at }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits =
        Limits { minimum: Severity::Warning, raise_after: 60, clear_after: 300, remind_after: Some(1_000) };

    fn key(code: &str) -> Key {
        Key { code: code.into(), connection_point: None, subject: "erp".into(), database: None }
    }

    fn finding(since: i64) -> OpenFinding {
        OpenFinding {
            severity: Severity::Error,
            text: "away".into(),
            remedy: "look".into(),
            since,
            is_acknowledged: false,
        }
    }

    fn open(codes: &[&str]) -> BTreeMap<Key, OpenFinding> {
        codes.iter().map(|code| (key(code), finding(0))).collect()
    }

    /// Everything that is to be told, all of it delivered.
    fn tell(alerts: &mut Alerts, open: BTreeMap<Key, OpenFinding>, is_whole: bool, now: i64) -> Vec<Turn> {
        alerts.observe(open, is_whole, now);
        let mut turns = Vec::new();
        while let Some(alert) = alerts.next(now) {
            alerts.delivered(&alert);
            turns.push(alert.turn);
        }
        turns
    }

    #[test]
    fn it_is_told_when_it_holds_and_when_it_is_gone_for_good() {
        let mut alerts = Alerts::new(LIMITS, BTreeMap::new());
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 59), []);
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 60), [Turn::Raised]);
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 61), []);
        assert_eq!(tell(&mut alerts, open(&[]), true, 100), []);
        assert_eq!(tell(&mut alerts, open(&[]), true, 399), []);
        // It comes back: it has never gone.
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 399), []);
        assert_eq!(tell(&mut alerts, open(&[]), true, 400), []);
        assert_eq!(tell(&mut alerts, open(&[]), true, 700), [Turn::Cleared]);
        assert_eq!(tell(&mut alerts, open(&[]), true, 9_999), []);
    }

    #[test]
    fn what_was_not_delivered_is_told_again() {
        let mut alerts = Alerts::new(LIMITS, BTreeMap::new());
        alerts.observe(open(&["A"]), true, 60);
        let first = alerts.next(60).unwrap();
        assert_eq!(alerts.next(70).unwrap().turn, Turn::Raised);
        // It went before anybody was told: nobody has to hear that it is over.
        alerts.observe(open(&[]), true, 80);
        assert_eq!(alerts.next(9_999), None);
        // Delivered after all, while it went: then its end is told, too.
        alerts.delivered(&first);
        alerts.observe(open(&[]), true, 10_000);
        assert_eq!(alerts.next(10_300).unwrap().turn, Turn::Cleared);
    }

    #[test]
    fn nobody_is_told_what_somebody_knows() {
        let known: BTreeMap<Key, OpenFinding> =
            [(key("A"), OpenFinding { is_acknowledged: true, ..finding(0) })].into();
        let mut alerts = Alerts::new(LIMITS, BTreeMap::new());
        assert_eq!(tell(&mut alerts, known.clone(), true, 60), []);
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 61), [Turn::Raised]);
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 1_061), [Turn::Reminder]);
        assert_eq!(tell(&mut alerts, known, true, 9_000), []);
        assert_eq!(tell(&mut alerts, open(&["A"]), true, 9_001), [Turn::Reminder]);
        assert_eq!(tell(&mut alerts, open(&[]), true, 9_002), []);
        assert_eq!(tell(&mut alerts, open(&[]), true, 9_302), [Turn::Cleared]);
    }

    #[test]
    fn a_restart_tells_nothing_twice_and_forgets_nothing() {
        let mut first = Alerts::new(LIMITS, BTreeMap::new());
        tell(&mut first, open(&["A", "B"]), true, 100);
        let mut second = Alerts::new(LIMITS, first.told.clone());
        // Not every database was heard yet: nothing is gone.
        assert_eq!(tell(&mut second, open(&[]), false, 800), []);
        assert_eq!(tell(&mut second, open(&["A"]), true, 801), []);
        assert_eq!(tell(&mut second, open(&["A"]), true, 1_101), [Turn::Cleared, Turn::Reminder]);
        let stored = serde_json::to_string(&first.told[&key("A")]).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&stored).unwrap(), first.told[&key("A")]);
    }

    #[test]
    fn small_ones_and_its_own_failure_are_not_told_and_the_worst_comes_first() {
        let mut alerts = Alerts::new(LIMITS, BTreeMap::new());
        let of = |severity| OpenFinding { severity, ..finding(0) };
        let found = [
            (key("A"), of(Severity::Info)),
            (key("B"), of(Severity::Warning)),
            (key("C"), of(Severity::Error)),
            (key(NOT_DELIVERED), of(Severity::Error)),
        ];
        alerts.observe(found.into(), true, 9_999);
        assert_eq!(alerts.next(9_999).unwrap().key, key("C"));
        alerts.delivered(&alerts.next(9_999).unwrap());
        assert_eq!(alerts.next(9_999).unwrap().key, key("B"));
        alerts.delivered(&alerts.next(9_999).unwrap());
        assert_eq!(alerts.next(9_999), None);
    }

    proptest! {
        /// Whatever findings do, and whether deliveries succeed or not: of each, raised and cleared take turns, nothing
        /// is raised that did not hold, nothing cleared that was there within the limit, and restarts change nothing.
        #[test]
        fn raised_and_cleared_take_turns(
            steps in prop::collection::vec(
                (0usize..3, any::<bool>(), 1i64..200, prop::bool::weighted(0.1), prop::bool::weighted(0.7)), 1..200)
        ) {
            let mut alerts = Alerts::new(LIMITS, BTreeMap::new());
            let mut heard: BTreeMap<Key, i64> = BTreeMap::new();
            let mut open: BTreeMap<Key, OpenFinding> = BTreeMap::new();
            let mut gone: BTreeMap<Key, i64> = BTreeMap::new();
            let mut now = 0;
            for (which, is_open, pause, restarts, arrives) in steps {
                now += pause;
                let key = key(&which.to_string());
                if is_open {
                    open.entry(key.clone()).or_insert(finding(now));
                    gone.remove(&key);
                } else if open.remove(&key).is_some() {
                    gone.insert(key, now);
                }
                if restarts {
                    alerts = Alerts::new(LIMITS, alerts.told.clone());
                }
                alerts.observe(open.clone(), true, now);
                while let Some(alert) = alerts.next(now) {
                    if !arrives {
                        break;
                    }
                    alerts.delivered(&alert);
                    match alert.turn {
                        Turn::Raised => {
                            prop_assert!(now - open[&alert.key].since >= LIMITS.raise_after);
                            prop_assert!(heard.insert(alert.key, now).is_none());
                        }
                        Turn::Reminder => {
                            prop_assert!(now - heard[&alert.key] >= 1_000 && open.contains_key(&alert.key));
                            heard.insert(alert.key, now);
                        }
                        Turn::Cleared => {
                            prop_assert!(now - gone[&alert.key] >= LIMITS.clear_after);
                            prop_assert!(heard.remove(&alert.key).is_some());
                        }
                    }
                }
                if arrives {
                    for (key, finding) in &open {
                        prop_assert!(heard.contains_key(key) || now - finding.since < LIMITS.raise_after);
                    }
                }
            }
        }
    }
}
