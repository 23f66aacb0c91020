//! What orders the documents of a noun (`order_by`) changes only when nothing of it is open: no document is ever in two
//! lanes.
//!
//! The journal says what applies, since its lanes were made by it, and decides whether it may change: a setting that
//! changed while no agent ran, or while a failed message keeps later ones waiting, waits as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::point::Point;
use super::{Mode, Outbound, Then};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::ConnectionPoint;
use crate::domain::waiting::PointNumber;
use crate::journal::{Applied, Applies, Change};

/// While something is open, the journal is asked again after this time, ms.
const AGAIN_MS: i64 = 2_000;
/// Nobody is told of what changes within this time, ms.
const PATIENCE_MS: i64 = 10_000;

impl Point {
    /// Later rows of the lane may have been sent when another order applied.
    pub fn was_ordered_otherwise(&self, document_type: &str, entry_id: i64) -> bool {
        let noun = document_type.split_once('.').map_or("", |(_, noun)| noun);
        self.orders.get(noun).is_some_and(|applies| entry_id < applies.from)
    }
}

impl Outbound {
    /// An order is to change, and the journal may be asked for it.
    pub(super) fn may_order(&self, point: &Point) -> bool {
        let asks = !point.orders_wanted.is_empty() && point.recovered && point.ordering == 0;
        asks && !point.collecting && !self.stopping && !self.no_room
    }

    /// What the journal says of a connection point's lanes; its settings may be others meanwhile.
    pub(super) fn restore_orders(&mut self, number: PointNumber, orders: BTreeMap<String, Applies>) {
        let point = self.point(number);
        point.orders = orders;
        let settings = point.settings.clone();
        let applicable = self.with_orders(number, &settings);
        if applicable != *settings {
            self.point(number).settings = Arc::new(applicable);
        }
    }

    /// The new settings as far as they can apply now: each noun keeps the order that it has. One that is met for the first
    /// time has the order that it is given.
    pub(super) fn with_orders(&mut self, number: PointNumber, new: &ConnectionPoint) -> ConnectionPoint {
        let mut settings = new.clone();
        if !self.point(number).recovered {
            return settings;
        }
        let before = std::mem::take(&mut self.point(number).orders_wanted);
        let mut wanted = BTreeMap::new();
        for (document_type, document) in &mut settings.documents {
            let (noun, order_by) = (&document_type.noun, document.order_by);
            match self.point(number).orders.get(noun).map(|applies| applies.order_by) {
                Some(applies) if applies == order_by => {}
                Some(applies) => {
                    document.order_by = applies;
                    wanted.insert(noun.clone(), order_by);
                }
                None => {
                    let point = self.point(number);
                    let applies = Applies { order_by, from: i64::MIN };
                    point.orders.insert(noun.clone(), applies);
                    let change = Change::OrderBy { point_id: point.point_id, noun: noun.clone(), applies };
                    self.queue(change, Then::Nothing);
                }
            }
        }
        // Whoever takes a change back is not told of it any more.
        for noun in before.keys().filter(|noun| !wanted.contains_key(*noun)) {
            self.notices.push(waits(&settings.name, noun).clears());
        }
        if before != wanted {
            let now = self.now();
            let point = self.point(number);
            (point.next_order_at, point.orders_wanted_since) = (now, now);
        }
        self.point(number).orders_wanted = wanted;
        settings
    }

    /// Asks the journal for the change of order that is wanted, behind all that was decided by the old one. Nothing is
    /// looked for meanwhile, so that nothing comes behind it.
    pub(super) fn start_ordering(&mut self, number: PointNumber, now: i64) {
        let point = &self.points[usize::from(number)];
        if !self.may_order(point) || point.next_order_at > now {
            return;
        }
        let point = self.point(number);
        point.next_order_at = now + AGAIN_MS;
        let (point_id, wanted) = (point.point_id, point.orders_wanted.clone());
        point.ordering = wanted.len();
        let from = point.known_up_to.saturating_add(1);
        for (noun, order_by) in wanted {
            let applies = Applies { order_by, from };
            let change = Change::OrderBy { point_id, noun: noun.clone(), applies };
            self.admissions.push_back((change, Then::Ordered { point: number, noun, applies }));
        }
    }

    /// The journal changed the order of a noun, or something of it is open.
    pub(super) fn ordered(&mut self, number: PointNumber, noun: String, applies: Applies, applied: &Applied) {
        let (now, mode) = (self.now(), self.mode);
        let point = self.point(number);
        point.ordering -= 1;
        let name = point.name().to_owned();
        let (finding, wanted) = (waits(&name, &noun), applies.order_by.as_str());
        if matches!(applied, Applied::StillOpen) {
            // In the middle of traffic something is always open for a moment.
            if mode == Mode::Run && now < point.orders_wanted_since + PATIENCE_MS {
                return;
            }
            let site = point.site;
            let database = self.sites[site].database.clone();
            let old = self.point(number).orders.get(&noun).map_or("", |applies| applies.order_by.as_str());
            self.notices.push(finding.says(
                format!(
                    "order_by of {noun} is {wanted} in bodrelay_document, and its documents still go by {old}: \
                     something of it is open (a message, or a row that later ones wait for), and no document may \
                     be in two orders at once"
                ),
                format!(
                    "It changes by itself as soon as nothing is. What stands in the way: TYPE_SUSPENDED and rows without \
                     headers, if there are any, and SELECT * FROM \
                     bodrelay_message_log WHERE connection_point = {} AND noun = {} AND state IN ('pending', \
                     'in_flight', 'failed'); resubmit or discard what failed and holds others. Where documents never stop \
                     coming, pause what writes them for a moment.",
                    database.quoted(&name),
                    database.quoted(&noun)
                ),
            ));
            return;
        }
        tracing::info!(connection_point = name, noun, order_by = wanted, "another order applies");
        self.notices.push(finding.clears());
        let point = self.point(number);
        let mut settings = ConnectionPoint::clone(&point.settings);
        for (_, document) in settings.documents.iter_mut().filter(|(it, _)| it.noun == noun) {
            document.order_by = applies.order_by;
        }
        point.settings = Arc::new(settings);
        if point.orders_wanted.get(&noun) == Some(&applies.order_by) {
            point.orders_wanted.remove(&noun);
        }
        point.orders.insert(noun, applies);
    }
}

fn waits(connection_point: &str, noun: &str) -> Notice {
    Notice::new("ORDER_BY_WAITS", Severity::Warning, Some(connection_point), noun)
}
