//! What the outgoing path counts, copied for whoever looks: nothing is gathered for a look that nobody takes.

use super::Outbound;
use crate::domain::meter::{EndpointReading, JournalMeter, PointReading};
use crate::domain::waiting::{EndpointNumber, Scope};

/// Everything that the outgoing path counts.
#[derive(Debug, Clone)]
pub struct Measured {
    pub points: Vec<PointReading>,
    pub endpoints: Vec<EndpointReading>,
    pub journal: JournalMeter,
    /// Of documents in memory.
    pub payload_bytes: usize,
}

impl Outbound {
    /// Copies the counters; connection points that left the plan keep theirs until the process ends.
    pub fn measure(&self) -> Measured {
        let points = self.points.iter().enumerate().map(|(index, point)| {
            let (state, reason) = self.state_of(index);
            PointReading {
                site: point.site,
                connection_point: point.name().to_owned(),
                state,
                reason,
                in_flight: i64::try_from(point.begun).unwrap_or(i64::MAX),
                types: point.counted_types().to_vec(),
                meter: point.meter.clone(),
            }
        });
        let endpoints = self.endpoints.iter().enumerate().map(|(index, endpoint)| {
            let scope = EndpointNumber::try_from(index).ok().map(Scope::Endpoint);
            EndpointReading {
                name: endpoint.name.clone(),
                token_age: endpoint.client.token_age(),
                waits: scope.and_then(|scope| self.scopes.trouble(scope)).map(|trouble| trouble.text.clone()),
            }
        });
        Measured {
            points: points.collect(),
            endpoints: endpoints.collect(),
            journal: self.journal_meter,
            payload_bytes: self.budget.used,
        }
    }
}
