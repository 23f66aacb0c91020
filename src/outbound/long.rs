//! A document with thousands of versions: its lane has all of them by their numbers, and memory has the records of the first
//! ones only, so that they take no room from other documents. The order is the lane's, as for any document; when it comes to
//! one whose record is not in memory, the journal is asked for the next ones.

use std::collections::HashMap;

use super::{Event, Outbound};
use crate::domain::delivery::State;
use crate::domain::ids::LaneKey;
use crate::domain::waiting::PointNumber;
use crate::journal::{JournalError, Record};

/// With so many messages in a lane, the records of further ones stay in the journal.
pub(super) const FULL: usize = 300;
/// Records that are read at once.
const PIECE: usize = 100;

impl Outbound {
    /// Reads the records of the next messages of a lane. Until they are here, it gives nothing.
    pub(super) fn fetch(&mut self, number: PointNumber, lane: LaneKey) {
        let point = self.point(number);
        point.lanes.occupy(lane);
        point.fetching += 1;
        let next: Vec<i64> = point.lanes.first_of(lane, PIECE).map(|waiting| waiting.message).collect();
        let journal = self.journal.clone();
        self.work.push(Box::pin(async move {
            let records = journal.records(next.clone()).await;
            Event::Fetched(number, lane, records, next)
        }));
    }

    pub(super) fn fetched(
        &mut self,
        number: PointNumber,
        lane: LaneKey,
        result: Result<Vec<Record>, JournalError>,
        asked: &[i64],
    ) {
        let records = match result {
            Ok(records) => records,
            Err(error) => {
                self.fatal = Some(error);
                return;
            }
        };
        let may_go = |record: &Record| record.delivery.state == State::Pending && record.held_by.is_none();
        let mut records: HashMap<i64, Record> =
            records.into_iter().filter(may_go).map(|record| (record.message, record)).collect();
        let point = self.point(number);
        point.fetching -= 1;
        let next: Vec<_> = point.lanes.first_of(lane, PIECE).collect();
        for waiting in next.iter().filter(|it| asked.contains(&it.message)) {
            if point.messages.contains_key(&waiting.message) {
                continue;
            }
            match records.remove(&waiting.message) {
                Some(record) => point.keep(record, None, 0),
                // The journal keeps it back, or knows its end.
                None => {
                    point.lanes.remove(lane, waiting.entry_id);
                    point.may_be_unlogged = true;
                }
            }
        }
        point.give_back(lane);
    }
}
