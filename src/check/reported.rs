//! What the agents themselves have found and not cleared: `bodrelay_finding`, without what check found too.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::{FindingKey, Section};
use crate::database::{Database, DatabaseError};

pub(super) async fn look(database: &dyn Database, section: &mut Section) -> Result<(), DatabaseError> {
    section.reported = database.finding_read().await?;
    Ok(())
}

/// What a DBA knows of, until when.
pub(super) fn acknowledged(sections: &[Section], now: DateTime<Utc>) -> BTreeMap<FindingKey, DateTime<Utc>> {
    let reported = sections.iter().flat_map(|section| &section.reported);
    reported
        .filter_map(|row| {
            let until = row.acknowledged_until.filter(|until| *until > now)?;
            Some(((row.code.clone(), row.connection_point.clone(), row.subject.clone()), until))
        })
        .collect()
}

/// Says each finding once: check's own goes first, in whichever group it is, then that of the first agent.
pub(super) fn leave_out_doubles(sections: &mut [Section]) {
    let mut known: HashSet<FindingKey> = sections
        .iter()
        .flat_map(|section| &section.notices)
        .map(|it| (it.code.to_owned(), it.connection_point.clone(), it.subject.clone()))
        .collect();
    for section in sections {
        section.reported.retain(|row| {
            known.insert((row.code.clone(), row.connection_point.clone(), row.subject.clone()))
        });
    }
}
