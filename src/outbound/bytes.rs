//! Payloads in memory: how many bytes each connection point may have.
//!
//! Half of the budget is shared out: what its share leaves free, a connection point may always take, whatever the others
//! have. The other half goes to whoever asks for it, so that one alone has nearly all. What is beyond a share, or belongs to
//! one that does not send, and cannot go within a moment, is let go: its row is read again before its post.

use foldhash::HashSet;

use super::point::{Open, Point};
use super::{BYTES_MAX, Outbound};
use crate::domain::delivery::State;
use crate::domain::waiting::{PointNumber, Scope};

/// What connection points take beyond their shares, all together.
const COMMON: usize = BYTES_MAX / 2;
/// What goes within this time keeps its bytes, ms.
const SOON_MS: i64 = 2_000;
/// Time between two looks for bytes that may be let go, ms.
const AGAIN_MS: i64 = 500;

/// What is taken by whom.
pub(super) struct Budget {
    /// Each one's share.
    share: usize,
    /// All that is taken, and what of it lies beyond shares.
    pub used: usize,
    common: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { share: BYTES_MAX / 2, used: 0, common: 0 }
    }
}

impl Outbound {
    pub(super) fn take_bytes(&mut self, number: PointNumber, bytes: usize) {
        let Self { budget, points, .. } = self;
        let point = &mut points[usize::from(number)];
        let before = point.bytes.saturating_sub(budget.share);
        point.bytes += bytes;
        budget.used += bytes;
        budget.common += point.bytes.saturating_sub(budget.share) - before;
    }

    pub(super) fn free_bytes(&mut self, number: PointNumber, bytes: usize) {
        let Self { budget, points, .. } = self;
        let point = &mut points[usize::from(number)];
        let before = point.bytes.saturating_sub(budget.share);
        point.bytes -= bytes;
        budget.used -= bytes;
        budget.common -= before - point.bytes.saturating_sub(budget.share);
    }

    /// Shares out anew, where other connection points may work than before.
    pub(super) fn share_bytes(&mut self) {
        let active = self.points.iter().filter(|point| point.is_active()).count();
        let share = BYTES_MAX / 2 / active.max(1);
        if share != self.budget.share {
            let beyond = |point: &Point| point.bytes.saturating_sub(share);
            (self.budget.share, self.budget.common) = (share, self.points.iter().map(beyond).sum());
        }
    }

    /// Bytes that a connection point may take now: what is left of its share, and half of what nobody has of the rest.
    pub(super) fn bytes_left(&self, point: &Point) -> usize {
        let common = COMMON.saturating_sub(self.budget.common) / 2;
        self.budget.share.saturating_sub(point.bytes) + common
    }

    /// There are bytes for a look at the outbox: enough that it is worth while, and for the row that found no room.
    pub(super) fn has_bytes(&self, point: &Point) -> bool {
        self.bytes_left(point) >= (self.budget.share / 4).max(point.bytes_wanted) || self.may_go_alone(point)
    }

    /// A document that is larger than what there is may go alone: nothing else of its connection point is in memory, and
    /// no other one does so.
    pub(super) fn may_go_alone(&self, point: &Point) -> bool {
        point.bytes == 0 && self.budget.used <= BYTES_MAX && !self.points.iter().any(|other| other.goes_alone)
    }

    /// Some of its bytes may have to be let go, or soon.
    pub(super) fn may_let_go(&self, point: &Point) -> bool {
        let presses = point.bytes > self.budget.share || point.bytes_wanted > 0;
        point.bytes > 0 && (presses || !point.sends())
    }

    /// Lets go the bytes of what cannot go soon, where they press.
    pub(super) fn let_bytes_go(&mut self, number: PointNumber, now: i64) {
        let point = &self.points[usize::from(number)];
        if now < point.let_go_at || !self.may_let_go(point) {
            return;
        }
        let keeps = self.goes_soon(point, now);
        self.point(number).let_go_at = now + AGAIN_MS;
        self.drop_parcels(number, |open| !keeps.contains(&open.record.message));
    }

    /// The messages that may go within a moment, by what the pace, the answers of ION and what waits let expect.
    fn goes_soon(&self, point: &Point, now: i64) -> HashSet<i64> {
        let late = now + SOON_MS;
        let waits = |scope| self.scopes.trouble(scope).is_some_and(|trouble| trouble.not_before > late);
        let number = point.number;
        if !point.sends() || waits(Scope::Endpoint(point.endpoint)) || waits(Scope::ConnectionPoint(number)) {
            return HashSet::default();
        }
        let answer = point.post_time.millis().max(1);
        let places = usize::try_from(SOON_MS / answer).unwrap_or(usize::MAX) + 1;
        let mut most = places.saturating_mul(point.settings.parallel_posts);
        if let Some(rate) = point.settings.max_messages_per_second {
            most = most.min(usize::try_from(rate).unwrap_or(usize::MAX).saturating_mul(2));
        }
        let mut next = Vec::new();
        for (lane, waiting) in point.lanes.first(places) {
            let of_type = Scope::DocumentType(number, waiting.document_type);
            if !waits(Scope::Lane(number, lane)) && !waits(of_type) {
                next.push((std::cmp::Reverse(waiting.priority), waiting.entry_id, waiting.message));
            }
        }
        next.sort_unstable();
        next.into_iter().take(most).map(|(.., message)| message).collect()
    }

    /// Bytes that wait for a long time are read again when their time comes.
    pub(super) fn drop_parcels(&mut self, number: PointNumber, which: impl Fn(&Open) -> bool) {
        let mut freed = 0;
        let Point { messages, lanes, .. } = self.point(number);
        for open in messages.values_mut() {
            // One that is handed out may already be on its way to its post.
            let waits = open.record.delivery.state == State::Pending
                && !lanes.is_out(open.path.lane, open.record.entry_id);
            if waits && open.parcel.is_some() && which(open) {
                open.parcel = None;
                freed += std::mem::take(&mut open.bytes);
            }
        }
        self.free_bytes(number, freed);
    }
}
