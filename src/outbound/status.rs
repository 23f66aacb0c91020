//! What a connection point is doing, for the status table and for exit codes.

use chrono::{DateTime, Utc};

use super::point::{Blocked, Figures, Point};
use super::{Outbound, log};
use crate::domain::plan::SendMode;
use crate::domain::waiting::Scope;

/// One connection point's state and figures since the last look.
#[derive(Debug, Clone)]
pub struct PointStatus {
    pub connection_point: String,
    pub point_id: i64,
    /// As `bodrelay_status.state` says it.
    pub state: &'static str,
    pub reason: Option<String>,
    pub in_flight: i64,
    /// Its rows can be counted: also where it is off, paused, or has no documents, so that no figure hides a backlog.
    pub is_counted: bool,
    /// It is no longer in the plan, and nothing of it is under way.
    pub is_gone: bool,
    /// `send_mode` is `on`, and no pause or blackout holds.
    pub is_meant_to_send: bool,
    /// It is switched on, and no document is listed for it.
    pub lacks_documents: bool,
    pub paused_since: Option<DateTime<Utc>>,
    /// Nothing of it was ever looked at before this process.
    pub is_new: bool,
    pub selection: crate::database::Selection,
    pub figures: Figures,
    pub next_poll_at: Option<DateTime<Utc>>,
}

/// How the work stands, for `once`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub accepted: u64,
    pub failed: u64,
    /// Work waits for a retry.
    pub waiting: bool,
    /// A database could not be reached.
    pub database_away: bool,
    /// ION could not be reached.
    pub ion_away: bool,
}

impl Outbound {
    /// State and figures of every connection point of a database; the figures start again from nothing.
    pub fn take_statuses(&mut self, site: usize) -> Vec<PointStatus> {
        let mut statuses = Vec::with_capacity(self.points.len());
        for index in
            (0..self.points.len()).filter(|index| self.points[*index].site == site).collect::<Vec<_>>()
        {
            let (state, reason) = self.state_of(index);
            let point = &mut self.points[index];
            let figures = point.figures.clone();
            point.figures.accepted_more = 0;
            point.figures.failed_more = 0;
            statuses.push(PointStatus {
                connection_point: point.name().to_owned(),
                point_id: point.point_id,
                state,
                reason,
                in_flight: i64::try_from(point.begun).unwrap_or(i64::MAX),
                is_counted: point.recovered && point.planned,
                is_meant_to_send: point.planned
                    && point.settings.send_mode == SendMode::On
                    && !point.is_halted(),
                lacks_documents: point.planned
                    && point.settings.send_mode == SendMode::On
                    && point.settings.documents.is_empty(),
                paused_since: point.pause.as_ref().map(|pause| log::time(pause.since)),
                is_new: point.is_new,
                is_gone: !point.planned
                    && point.is_quiet()
                    && point.unsettled.is_empty()
                    && point.stuck.is_empty(),
                selection: point.selection(),
                figures,
                next_poll_at: next_poll_at(point).map(log::time),
            });
        }
        statuses
    }

    /// What ION said of document types of a database: connection point, verb, noun, accepted.
    pub fn take_accepted_documents(&mut self, site: usize) -> Vec<(String, String, String, Option<bool>)> {
        let of_site = self.accepted_documents.extract_if(.., |(of, ..)| *of == site);
        of_site.map(|(_, point, verb, noun, accepted)| (point, verb, noun, accepted)).collect()
    }

    /// How the work stands.
    pub fn totals(&self) -> Totals {
        let now = self.now();
        let mut totals = Totals { waiting: self.no_room || self.has_low_space(), ..Totals::default() };
        for point in &self.points {
            totals.accepted += point.figures.accepted_here;
            totals.failed += point.figures.failed_here;
            totals.waiting |= point.sends()
                && (point.lanes.count() > 0
                    || point.waits_for_headers
                    || !point.unsettled.is_empty()
                    || !point.stuck.is_empty()
                    || !point.wanted.is_empty());
            totals.database_away |= point.planned && self.sites[point.site].not_before > now;
            totals.ion_away |=
                point.sends() && self.scopes.trouble(Scope::Endpoint(point.endpoint)).is_some();
        }
        totals
    }

    pub(super) fn state_of(&self, index: usize) -> (&'static str, Option<String>) {
        let point = &self.points[index];
        match &point.blocked {
            _ if !point.planned => return ("off", None),
            Some(Blocked::Refused(reason)) => return ("misconfigured", Some(reason.clone())),
            Some(Blocked::OwnedBy(owner)) => return ("waiting", Some(format!("owned by {owner}"))),
            None => {}
        }
        if self.stopping {
            return ("stopped", None);
        }
        if let Some(pause) = &point.pause {
            return ("paused", Some(log::cut(&pause.reason, 1000)));
        }
        if point.settings.send_mode == SendMode::Off {
            return ("off", None);
        }
        if let Some(until) = point.blackout_until {
            return ("blackout", Some(format!("until {}", log::time(until))));
        }
        match point.settings.send_mode {
            SendMode::Off => return ("off", None),
            SendMode::Observe => return ("observing", None),
            SendMode::On => {}
        }
        if point.settings.documents.is_empty() {
            return (
                "misconfigured",
                Some("bodrelay_document has no row for it (direction 'out'): nothing is sent".into()),
            );
        }
        match self.waits_for(point) {
            Some((state, why)) => (state, Some(log::cut(&why, 1000))),
            None => ("running", None),
        }
    }

    /// What a connection point that may send waits for, the widest first: told by what `may_begin` and `start_posts` go by,
    /// so that nobody has to guess. Where it sends meanwhile, it is running.
    fn waits_for(&self, point: &Point) -> Option<(&'static str, String)> {
        let now = self.now();
        let site = &self.sites[point.site];
        let waiting = |why: String| Some(("waiting", why));
        if site.not_before > now {
            return waiting(format!(
                "the database {} did not answer (finding DATABASE_UNAVAILABLE)",
                site.name
            ));
        }
        if !point.recovered {
            return waiting("the journal is being read".into());
        }
        if self.no_room {
            return waiting("the journal cannot be written (finding JOURNAL_FULL)".into());
        }
        if self.low_space {
            return waiting("the disk of state_dir is nearly full (finding DISK_NEARLY_FULL)".into());
        }
        for scope in [Scope::Endpoint(point.endpoint), Scope::ConnectionPoint(point.number)] {
            if let Some(trouble) = self.scopes.trouble(scope) {
                return Some(("backoff", trouble.text.clone()));
            }
        }
        if point.another_sender_until > now {
            return waiting("somebody else sends from the same outbox (finding ANOTHER_SENDER)".into());
        }
        let suspended = self
            .scopes
            .troubles()
            .filter(|(scope, _)| matches!(scope, Scope::DocumentType(of, _) if *of == point.number))
            .min_by_key(|(scope, _)| *scope);
        if let Some((Scope::DocumentType(_, document_type), trouble)) = suspended {
            return Some(("suspended", format!("{}: {}", point.type_name(document_type), trouble.text)));
        }
        if !point.is_settled_enough() {
            return waiting("the database: too many answered rows are not flagged yet".into());
        }
        let is_ready = point.lanes.has_ready();
        if is_ready && point.settings.check_accepted && point.list.known.is_none() {
            return waiting("ION's list of accepted documents, which is being asked for".into());
        }
        if point.begun == 0 && !self.has_bytes(point) {
            let others = self.points.iter().filter(|other| other.number != point.number && other.bytes > 0);
            let others: Vec<&str> = others.map(Point::name).collect();
            return waiting(format!("memory: the documents of {} take it", others.join(", ")));
        }
        self.waits_in_part(point, now).map(|why| ("running", why))
    }

    /// What some of its rows wait for, or what slows it.
    fn waits_in_part(&self, point: &Point, now: i64) -> Option<String> {
        let is_paced = |rate: u32| {
            let waits = point.pace.is_some_and(|pace| pace.ready_at() > now) && !point.to_post.is_empty();
            waits || point.lanes.has_ready() && usize::try_from(rate).is_ok_and(|rate| point.begun >= rate)
        };
        if let Some(rate) = point.settings.max_messages_per_second.filter(|rate| is_paced(*rate)) {
            return Some(format!("its pace: max_messages_per_second = {rate}"));
        }
        if !point.unlisted.is_empty() {
            let types =
                point.unlisted.keys().take(5).map(|name| if name.is_empty() { "no type" } else { name });
            let types: Vec<&str> = types.collect();
            return Some(format!(
                "rows of types that bodrelay_document does not list wait: {}",
                types.join(", ")
            ));
        }
        let lanes = self
            .scopes
            .troubles()
            .filter(|(scope, _)| matches!(scope, Scope::Lane(of, _) if *of == point.number));
        let lanes: Vec<_> = lanes.collect();
        if let Some((_, trouble)) = lanes.iter().min_by_key(|(scope, trouble)| (trouble.since, *scope)) {
            return Some(format!("{} documents wait for their next try: {}", lanes.len(), trouble.text));
        }
        if let Some(noun) = point.orders_wanted.keys().next() {
            return Some(format!("another order_by of {noun} waits (finding ORDER_BY_WAITS)"));
        }
        point.waits_for_headers.then(|| "rows wait for their headers".to_owned())
    }
}

/// When the outbox is looked at next, as far as that is known: ms since 1970.
fn next_poll_at(point: &Point) -> Option<i64> {
    let next = Some(point.next_scan_at).filter(|next| *next < i64::MAX);
    match point.blackout_until {
        Some(until) => Some(next.map_or(until, |next| next.max(until))),
        None => next.filter(|_| point.is_active()),
    }
}
