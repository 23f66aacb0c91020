//! The receiving side of a database's control tables: who owns it, how it goes, what a restore took away, what is forgotten.
//!
//! The receiver says what came; here it becomes a status row of direction `in`. Whatever keeps a connection point from
//! receiving is said in its plan (`closed`), so that ION is asked to come again and nothing is refused for good.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::owned::Owned;
use super::{BEAT, Desk, RoundError, Said, is_due};
use crate::database::{DatabaseError, Report, StatusRow, Survey};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::Plan;
use crate::journal::Received;

/// While something is missing it is looked at so often.
const LACKS_EVERY: TimeDelta = TimeDelta::seconds(10);
/// Receipts are kept so long at least (`log_keep_days` where that is more): ION repeats within minutes, people within days.
const RECEIPT_DAYS: i64 = 30;
/// Documents of which nothing came for so long are forgotten (`log_keep_days` where that is more).
const DOCUMENT_DAYS: i64 = 365;
/// What the journal keeps of a connection point at most, whatever its age.
const RECEIVED_MOST: i64 = 1_000_000;
/// Rows deleted in one transaction of somebody else's database.
const PIECE: i64 = 500;
/// Received messages looked up at once after a restore.
const PAGE: i64 = 500;
/// Pages in a row without a gap: what is older was there when the copy was made.
const WHOLE_PAGES: u32 = 20;
/// Pages in one round: the rest is looked at in the rounds that follow.
const PAGES: u32 = 40;
/// Message ids that a finding names.
const NAMED: usize = 5;

/// Whether this agent receives, and what there is to say of it.
#[derive(Debug, Clone, Default)]
pub enum Receiving {
    /// Not in this run (`once`): nothing is claimed and nothing is said.
    #[default]
    NotNow,
    /// The configuration file has no `[listen]`.
    NoListener,
    /// What the receiver says since the last round.
    Said(Vec<InboundReport>),
}

impl Receiving {
    fn is_on(&self) -> bool {
        matches!(self, Self::Said(_))
    }
}

/// What the receiver says of a connection point since the last round.
#[derive(Debug, Clone, Default)]
pub struct InboundReport {
    pub connection_point: String,
    /// New entries of the inbox.
    pub stored_more: i64,
    /// Repeats and duplicates.
    pub duplicates_more: i64,
    /// Answered with a failure, or stored with 9.
    pub refused_more: i64,
    pub in_flight: i64,
    pub last_stored_at: Option<DateTime<Utc>>,
    pub last_refused_at: Option<DateTime<Utc>>,
    pub last_refused: Option<String>,
    /// Why ION is asked to come again, since the last answer of another kind.
    pub trouble: Option<String>,
}

/// What this agent knows of the receiving side.
#[derive(Default)]
pub(super) struct Inbound {
    pub(super) owned: Owned,
    statuses: BTreeMap<String, Memory>,
    /// What the last survey says that receiving lacks, for which connection points, and when.
    problems: Vec<String>,
    looked: Option<(BTreeSet<String>, DateTime<Utc>)>,
    purged_at: Option<DateTime<Utc>>,
    /// The database was restored: what it lacks is looked for.
    pub(super) is_restored: bool,
    /// It was met anew: a restore by less than the epoch shows would be seen in what came last.
    pub(super) is_met: bool,
    /// What is being looked through, by connection point.
    searches: BTreeMap<String, Search>,
    /// What came last, as the round before knew it.
    newest: BTreeMap<String, Received>,
    /// Receipts of these that are not there, and were looked for.
    gone: BTreeSet<String>,
}

/// A search for what the inbox lacks, newest first, over as many rounds as it takes.
#[derive(Default)]
struct Search {
    enough: u32,
    /// Pages in a row without a gap.
    whole: u32,
    last: Option<Received>,
    lost: Vec<Received>,
    count: usize,
}

/// What was last written of a status row, and what waits to be.
#[derive(Default)]
struct Memory {
    state: &'static str,
    reason: Option<String>,
    since: DateTime<Utc>,
    /// The table says this state, and why.
    is_written: bool,
    said: InboundReport,
}

impl Inbound {
    /// What receiving needs may have changed: a right may have been taken away.
    pub(super) fn looks_again(&mut self) {
        self.looked = None;
    }
}

impl Desk {
    /// Keeps what the receiver says until it is written.
    pub(super) fn take_in_received(&mut self, said: &Said) {
        let Receiving::Said(reports) = &said.inbound else { return };
        for report in reports {
            let memory = self.inbound.statuses.entry(report.connection_point.clone()).or_default();
            let kept = &mut memory.said;
            kept.stored_more += report.stored_more;
            kept.duplicates_more += report.duplicates_more;
            kept.refused_more += report.refused_more;
            kept.in_flight = report.in_flight;
            kept.last_stored_at = report.last_stored_at.or(kept.last_stored_at);
            if report.last_refused_at.is_some() {
                kept.last_refused_at = report.last_refused_at;
                kept.last_refused.clone_from(&report.last_refused);
            }
            kept.trouble.clone_from(&report.trouble);
        }
    }

    /// Claims what is received, looks at what it needs, and closes in the plan what cannot be served now.
    pub(super) async fn open_inbound(
        &mut self,
        said: &Said,
        plan: &mut Plan,
        refused: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), RoundError> {
        self.give_up_inbound(plan).await?;
        let names: BTreeSet<String> = plan.inbound.keys().cloned().collect();
        self.survey_inbound(&names, now).await?;
        self.watch_inbound(said, plan, now);
        for name in names {
            let closed = match refused {
                Some(reason) => Some(reason.to_owned()),
                None if said.stopping => Some("the agent stops".into()),
                None if !said.inbound.is_on() => Some("this agent does not listen".into()),
                None => match self.own_inbound(&name, now).await? {
                    Some(host) => {
                        Some(format!("the agent of host {host} receives for this connection point"))
                    }
                    None => self.inbound.problems.first().cloned(),
                },
            };
            if let Some(inbound) = plan.inbound.get_mut(&name) {
                inbound.closed = closed;
            }
        }
        if refused.is_none() && self.inbound.problems.is_empty() {
            self.watch_newest(plan, now).await?;
            if self.inbound.is_restored || self.inbound.is_met {
                let enough = if self.inbound.is_restored { WHOLE_PAGES } else { 1 };
                for name in plan.inbound.keys() {
                    self.inbound.searches.insert(name.clone(), Search { enough, ..Search::default() });
                }
                (self.inbound.is_restored, self.inbound.is_met) = (false, false);
            }
            self.search(plan, now).await?;
        }
        self.forget_received(plan, now).await
    }

    /// What came last is there as long as nobody restores the database: two keys in each round, and a restore beneath a
    /// running agent is told however little it takes away.
    async fn watch_newest(&mut self, plan: &Plan, now: DateTime<Utc>) -> Result<(), RoundError> {
        let Some(database_id) = self.known.as_ref().map(|known| known.database_id) else { return Ok(()) };
        // What is about to be forgotten is no witness.
        let since = (now - TimeDelta::days(RECEIPT_DAYS - 1)).timestamp_millis();
        let mut newest = BTreeMap::new();
        for name in plan.inbound.keys() {
            let point_id = self.journal.meet_point(database_id, name).await?.point_id;
            let page = self.journal.received_newest(point_id, None, 1).await?;
            newest.extend(page.into_iter().filter(|it| it.received_at > since).map(|it| (name.clone(), it)));
        }
        let witnesses = self.inbound.newest.values().filter(|it| it.received_at > since);
        let keys: BTreeSet<String> =
            witnesses.chain(newest.values()).map(|it| it.receipt_key.clone()).collect();
        self.inbound.gone.retain(|key| keys.contains(key));
        let keys: Vec<String> = keys.difference(&self.inbound.gone).cloned().collect();
        if !keys.is_empty() {
            let present: BTreeSet<String> =
                self.database.receipts_present(&keys).await?.into_iter().collect();
            if present.len() < keys.len() {
                self.inbound.gone.extend(keys.into_iter().filter(|key| !present.contains(key)));
                tracing::warn!(
                    database = self.name,
                    "what was received last is gone: what else is, is looked for"
                );
                self.inbound.is_restored = true;
            }
        }
        self.inbound.newest = newest;
        Ok(())
    }

    /// `Some`: the host that owns it.
    async fn own_inbound(&mut self, name: &str, now: DateTime<Utc>) -> Result<Option<String>, RoundError> {
        if !self.inbound.owned.is_unsure(name) {
            return Ok(None);
        }
        self.take(name, "in", now).await
    }

    /// Gives up what is no longer received here, so that another agent can receive it at once.
    async fn give_up_inbound(&mut self, plan: &Plan) -> Result<(), RoundError> {
        let journal_id = self.journal.journal_id().to_string();
        let gone: Vec<String> =
            self.inbound.owned.names().filter(|name| !plan.inbound.contains_key(*name)).cloned().collect();
        for name in gone {
            self.database.owner_release(&name, "in", &journal_id).await?;
            self.inbound.owned.lose(&name);
            self.inbound.statuses.remove(&name);
        }
        Ok(())
    }

    /// What receiving lacks, as the survey at the claim found it; looked at anew when a connection point is switched on,
    /// and again every ten seconds while something is missing.
    async fn survey_inbound(
        &mut self,
        names: &BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<(), RoundError> {
        if names.is_empty() {
            self.inbound.problems.clear();
            self.inbound.looked = None;
        } else {
            let is_due = match &self.inbound.looked {
                None => true,
                Some((looked, at)) => {
                    looked != names || !self.inbound.problems.is_empty() && is_due(*at, LACKS_EVERY, now)
                }
            };
            if is_due {
                let survey = self.database.survey().await?;
                self.inbound.problems = problems(&survey);
                self.inbound.looked = Some((names.clone(), now));
            }
        }
        let found = &self.inbound.problems;
        let lacks = Notice::new("INBOX_LACKS", Severity::Error, None, self.name.clone()).says(
            found.join("; "),
            "Run the script or the GRANT that is named; until then ION is asked to send again later (503). Sending goes on.",
        );
        let holds = !found.is_empty();
        self.findings.hold(lacks, holds, now);
        Ok(())
    }

    /// Settings that contradict each other.
    fn watch_inbound(&mut self, said: &Said, plan: &Plan, now: DateTime<Utc>) {
        for (name, inbound) in &plan.inbound {
            let no_listener = Notice::new("NO_LISTENER", Severity::Error, Some(name), "receiving").says(
                "receive_mode = 'on', but the configuration file has no [listen]: nothing can be received",
                "Add [listen] to the file and start the agent anew, or set receive_mode = 'off'.",
            );
            self.findings.hold(no_listener, matches!(said.inbound, Receiving::NoListener), now);
            let no_documents = Notice::new("NO_DOCUMENTS", Severity::Error, Some(name), "received documents").says(
                "receive_mode = 'on', but bodrelay_document has no row of direction 'in' for it that is enabled: ION is \
                 answered with 412",
                format!(
                    "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ({}, 'in', \
                     'Sync', 'SalesOrder'), one row for each document type.",
                    self.database.quoted(name)
                ),
            );
            self.findings.hold(no_documents, inbound.documents.is_empty(), now);
        }
        // What was switched off has no such finding any more.
        let off: Vec<String> =
            plan.connection_points.keys().filter(|name| !plan.inbound.contains_key(*name)).cloned().collect();
        for name in off {
            for (code, subject) in [
                ("NO_LISTENER", "receiving"),
                ("NO_DOCUMENTS", "received documents"),
                ("OWNED_BY_ANOTHER", "receiving"),
            ] {
                self.findings.hold(Notice::new(code, Severity::Error, Some(&name), subject), false, now);
            }
        }
    }

    /// The status rows of direction `in` that have changed, or all of them.
    pub(super) fn inbound_statuses(
        &mut self,
        said: &Said,
        plan: &Plan,
        report: &mut Report,
        beat: bool,
        now: DateTime<Utc>,
    ) {
        for (name, inbound) in &plan.inbound {
            if !self.inbound.owned.contains(name) {
                continue;
            }
            let memory = self.inbound.statuses.entry(name.clone()).or_default();
            let (state, reason) = match (&inbound.closed, &memory.said.trouble) {
                _ if said.stopping => ("stopped", None),
                (Some(closed), _) => ("misconfigured", Some(closed.clone())),
                (None, _) if inbound.documents.is_empty() => {
                    ("misconfigured", Some("no document of direction 'in' is listed".to_owned()))
                }
                (None, Some(trouble)) => ("backoff", Some(trouble.clone())),
                (None, None) => ("running", None),
            };
            if memory.state != state || memory.reason != reason {
                (memory.state, memory.reason, memory.since) = (state, reason, now);
                memory.is_written = false;
            }
            let said = &memory.said;
            let moved = said.stored_more != 0 || said.duplicates_more != 0 || said.refused_more != 0;
            if !(beat || moved || !memory.is_written) {
                continue;
            }
            report.statuses.push(StatusRow {
                connection_point: name.clone(),
                direction: "in",
                journal_id: self.journal.journal_id().to_string(),
                state: state.into(),
                state_since: memory.since,
                state_reason: memory.reason.clone(),
                backlog: None,
                in_flight_rows: said.in_flight,
                held_rows: 0,
                failed_rows: 0,
                in_doubt_rows: 0,
                accepted_more: said.stored_more,
                failed_more: said.refused_more,
                duplicates_more: said.duplicates_more,
                last_accepted_at: said.last_stored_at,
                last_failure_at: said.last_refused_at,
                last_failure: said.last_refused.clone(),
                last_poll_at: None,
                next_poll_at: None,
                settings_read_at: Some(now),
                started_at: self.started_at,
            });
        }
    }

    /// A status row of direction `in` is in the table.
    pub(super) fn inbound_written(&mut self, row: &StatusRow) {
        if let Some(memory) = self.inbound.statuses.get_mut(&row.connection_point) {
            memory.is_written = true;
            memory.said.stored_more -= row.accepted_more;
            memory.said.refused_more -= row.failed_more;
            memory.said.duplicates_more -= row.duplicates_more;
        }
    }

    /// After a restore, and shorter at each start: what the journal saw received, and the tables do not have.
    async fn search(&mut self, plan: &Plan, now: DateTime<Utc>) -> Result<(), RoundError> {
        let Some(database_id) = self.known.as_ref().map(|known| known.database_id) else { return Ok(()) };
        self.inbound.searches.retain(|name, _| plan.inbound.contains_key(name));
        let mut pages = PAGES;
        while let Some((name, search)) = self.inbound.searches.iter_mut().next() {
            let point_id = self.journal.meet_point(database_id, name).await?.point_id;
            let before = search.count;
            let is_over = loop {
                if pages == 0 {
                    break false;
                }
                pages -= 1;
                let page = self.journal.received_newest(point_id, search.last.as_ref(), PAGE).await?;
                if page.is_empty() || search.whole >= search.enough {
                    break true;
                }
                let keys: Vec<String> = page.iter().map(|it| it.receipt_key.clone()).collect();
                let present: BTreeSet<String> =
                    self.database.receipts_present(&keys).await?.into_iter().collect();
                search.take(page, &present);
            };
            if search.count > before {
                self.findings.take(search.notice(name, is_over), now);
            }
            if !is_over {
                break;
            }
            let name = name.clone();
            self.inbound.searches.remove(&name);
        }
        Ok(())
    }

    /// Forgets old receipts and documents, a piece a minute and connection point.
    async fn forget_received(&mut self, plan: &Plan, now: DateTime<Utc>) -> Result<(), RoundError> {
        if self.inbound.purged_at.is_some_and(|at| !is_due(at, BEAT, now))
            || !self.inbound.problems.is_empty()
        {
            return Ok(());
        }
        self.inbound.purged_at = Some(now);
        let database_id = self.known.as_ref().map(|known| known.database_id);
        for name in self.inbound.owned.names() {
            let Some(point) = plan.connection_points.get(name) else { continue };
            let days = |least: i64| TimeDelta::days(least.max(i64::from(point.log_keep_days)));
            let (receipts, documents) = (now - days(RECEIPT_DAYS), now - days(DOCUMENT_DAYS));
            match self.database.inbox_purge(name, receipts, documents, PIECE).await {
                Ok(_) => {}
                // Receiving goes on without it; a full table is not worth less.
                Err(error @ DatabaseError::NeedsMending { .. }) => {
                    tracing::warn!(error = %error, "old receipts cannot be deleted: see grants.sql");
                    continue;
                }
                Err(error) if error.is_lock() => {
                    tracing::warn!(error = %error, "old receipts are deleted later");
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(database_id) = database_id {
                let point_id = self.journal.meet_point(database_id, name).await?.point_id;
                let before = (now - TimeDelta::days(RECEIPT_DAYS)).timestamp_millis();
                self.journal.forget_received(point_id, before, RECEIVED_MOST).await?;
            }
        }
        Ok(())
    }
}

impl Search {
    fn take(&mut self, page: Vec<Received>, present: &BTreeSet<String>) {
        self.whole = if page.iter().all(|it| present.contains(&it.receipt_key)) { self.whole + 1 } else { 0 };
        self.last = page.last().cloned();
        for it in page.into_iter().filter(|it| !present.contains(&it.receipt_key)) {
            (self.count, self.enough) = (self.count + 1, WHOLE_PAGES);
            // The newest ones and the very oldest one.
            if self.lost.len() > NAMED {
                self.lost.pop();
            }
            self.lost.push(it);
        }
    }

    fn notice(&self, name: &str, is_over: bool) -> Notice {
        let named: Vec<&str> = self.lost.iter().take(NAMED).map(|it| it.message_id.as_str()).collect();
        let at = |it: Option<&Received>| it.map(|it| shown(it.received_at)).unwrap_or_default();
        Notice::new("RECEIVED_BUT_GONE", Severity::Error, Some(name), "inbox").says(
            format!(
                "the database was restored to an earlier state and lacks {} documents{} that were received between {} \
                 and {}; ION was told that they are stored. Message ids, newest first: {}{}",
                self.count,
                if is_over { "" } else { " so far (older ones are still looked at)" },
                at(self.lost.last()),
                at(self.lost.first()),
                named.join(", "),
                if self.count > NAMED { ", …" } else { "" }
            ),
            "Look up the messages of that time in ION (Message Tracking, receiver: this connection point) and resend them \
             there, or ask the senders. The agent takes them as new.",
        )
    }
}

fn problems(survey: &Survey) -> Vec<String> {
    survey.inbound_problems.iter().map(|problem| format!("{}: {}", problem.what, problem.remedy)).collect()
}

fn shown(millis: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(millis)
        .map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}
