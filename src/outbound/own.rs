//! Only what this agent owns begins and is posted: each connection point has a lease, and whoever sends shows its proof.
//!
//! A lease that has expired says nothing either way: what was begun and not posted goes back, and waits until a renewal
//! is granted. Where a connection point had to be claimed anew, another agent may have sent what memory still holds: its
//! rows are read again before anything of them is posted.

use super::Outbound;
use super::point::Point;
use crate::domain::lease::{Lease, Proof};
use crate::domain::waiting::PointNumber;

/// Whose a connection point is, as far as this life knows.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    lease: Option<Lease>,
    /// How often it was claimed: what was read under an earlier claim is read again.
    pub claim: u64,
    /// That nothing begins was said.
    is_told: bool,
}

impl Outbound {
    /// A claim was granted: the point is this agent's from now on, whoever had it before.
    pub fn claimed(&mut self, site: usize, name: &str, lease: Lease) {
        let Some(number) = self.by_name.get(&(site, name.to_owned())).copied() else { return };
        let point = self.point(number);
        point.ownership.lease = Some(lease);
        point.ownership.claim += 1;
        let mut freed = 0;
        for open in point.messages.values_mut() {
            open.verify = true;
            // Those on the wire have none.
            if open.parcel.take().is_some() {
                freed += std::mem::take(&mut open.bytes);
            }
        }
        self.free_bytes(number, freed);
    }

    /// A renewal was granted: nobody else had it meanwhile.
    pub fn renewed(&mut self, site: usize, name: &str, lease: Lease) {
        if let Some(number) = self.by_name.get(&(site, name.to_owned())) {
            self.points[usize::from(*number)].ownership.lease = Some(lease);
        }
    }

    /// It is another agent's by now.
    pub fn disowned(&mut self, site: usize, name: &str) {
        if let Some(number) = self.by_name.get(&(site, name.to_owned()))
            && self.points[usize::from(*number)].ownership.lease.take().is_some()
        {
            tracing::warn!(
                connection_point = name,
                "another agent owns it by now: nothing is sent from here"
            );
        }
    }

    /// Time has jumped: what was proven before is not, until it is renewed.
    pub fn doubt_ownership(&mut self) {
        self.points.iter_mut().for_each(|point| point.ownership.lease = None);
    }

    /// It is to send, and nothing proves that it is this agent's.
    pub fn lacks_proof(&self, site: usize, name: &str) -> bool {
        let number = self.by_name.get(&(site, name.to_owned()));
        number.is_some_and(|number| self.proof(&self.points[usize::from(*number)]).is_none())
    }

    /// What `begin` and `post` demand.
    pub(super) fn proof(&self, point: &Point) -> Option<Proof> {
        point.ownership.lease.as_ref().and_then(|lease| lease.proof(self.clock.steady()))
    }

    /// Says once that nothing begins, and that it goes on. Answers whether it is proven.
    pub(super) fn follow_ownership(&mut self, number: PointNumber) -> Option<Proof> {
        let proof = self.proof(&self.points[usize::from(number)]);
        let point = self.point(number);
        let waits = proof.is_none() && point.blocked.is_none() && point.planned && point.ownership.claim > 0;
        if std::mem::replace(&mut point.ownership.is_told, waits) != waits {
            let connection_point = point.name();
            match waits {
                true => tracing::warn!(
                    connection_point,
                    "its ownership was not renewed in time: nothing is sent until the database says whose it is"
                ),
                false => tracing::info!(connection_point, "its ownership is settled"),
            }
        }
        proof
    }

    /// What was begun and is not on the wire goes back, and its row is read again before it goes out.
    pub(super) fn give_back_begun(&mut self, number: PointNumber) {
        for message in std::mem::take(&mut self.point(number).to_post) {
            let Some(open) = self.point(number).messages.get_mut(&message) else { continue };
            let freed = if open.parcel.take().is_some() { std::mem::take(&mut open.bytes) } else { 0 };
            self.free_bytes(number, freed);
            self.not_posted(number, message);
        }
    }
}
