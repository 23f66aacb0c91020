//! Which message goes out next: the best that nothing keeps waiting, and as a probe the one that was refused least.
//!
//! A probe shows whether a scope is well, so it must not be a document that was refused before while there is another:
//! that one may be refused for what it is. It is looked for over all document types and connection points of the scope, and
//! where several have one, it is of that of which the fewest were refused.

use super::lanes::Lanes;
use super::waiting::{EndpointNumber, Path, PointNumber, Scope, Scopes};

/// What one connection point has to send.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub endpoint: EndpointNumber,
    pub point: PointNumber,
    pub lanes: &'a Lanes,
    /// `parallel_posts`.
    pub slots: usize,
}

/// Refusals so far, and of how many documents beside it: the lowest goes.
type Rank = (u32, usize);

/// The lane of a connection point whose head goes next. `None`: nothing may go; or the endpoint waits for a probe, and one
/// of `others`, the connection points of the same endpoint that could begin something now, has one that was refused less.
pub fn next<'a>(
    scopes: &Scopes,
    own: Offer<'_>,
    others: impl Iterator<Item = Offer<'a>>,
    now: i64,
) -> Option<Path> {
    let ((refusals, _), path) = best(scopes, own, now)?;
    if scopes.trouble(Scope::Endpoint(own.endpoint)).is_some() {
        let rank = (refusals, own.lanes.count_refused(None));
        let mut ranks = others.filter_map(|other| {
            best(scopes, other, now).map(|((refusals, _), _)| (refusals, other.lanes.count_refused(None)))
        });
        if ranks.any(|other| other < rank) {
            return None;
        }
    }
    Some(path)
}

/// Something of a connection point may go now, or as soon as ION was asked.
pub fn is_runnable(scopes: &Scopes, own: Offer<'_>, now: i64) -> bool {
    let may = |scope| scopes.lets_through(scope, now) || scopes.is_due(scope, now);
    let mut types = own.lanes.ready_types();
    may(Scope::Endpoint(own.endpoint))
        && may(Scope::ConnectionPoint(own.point))
        && types.any(|number| may(Scope::DocumentType(own.point, number)))
}

fn best(scopes: &Scopes, own: Offer<'_>, now: i64) -> Option<(Rank, Path)> {
    let Offer { endpoint, point, lanes, slots } = own;
    let wide = [Scope::Endpoint(endpoint), Scope::ConnectionPoint(point)];
    if wide.iter().any(|scope| !scopes.lets_through(*scope, now)) {
        return None;
    }
    let is_probe = wide.iter().any(|scope| scopes.trouble(*scope).is_some());
    let out_of_turn = lanes.is_out_of_turn();
    let candidates = lanes
        .ready_types()
        .filter(|number| scopes.lets_through(Scope::DocumentType(point, *number), now))
        .filter_map(|number| {
            let (refusals, key) = if is_probe {
                lanes.least_refused(number)
            } else if scopes.trouble(Scope::DocumentType(point, number)).is_some() {
                // A probe of its type alone: it comes in its turn beside the other types.
                lanes.least_refused(number).map(|(_, key)| (0, key))
            } else {
                lanes.best(number, slots).map(|(yields, key)| (u32::from(yields), key))
            }?;
            let beside = if is_probe || out_of_turn { lanes.count_refused(Some(number)) } else { 0 };
            Some(((refusals, beside), key, number))
        });
    let (rank, (_, _, lane), document_type) =
        candidates.min_by_key(|(rank, (priority, entry_id, _), _)| (*rank, *priority, *entry_id))?;
    Some((rank, Path { endpoint, point, document_type, lane }))
}

#[cfg(test)]
mod tests;
