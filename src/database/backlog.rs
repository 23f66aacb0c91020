//! What waits for each connection point, out of one count of all that waits: tenants and logical ids are few, however many
//! rows there are.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Backlog, DatabaseError, Selection};
use crate::domain::notice::{Notice, Severity};

/// After this a count is given up.
pub const COUNT_LIMIT: Duration = Duration::from_secs(5);

/// Where a choice is by time, too, its rows are counted alone, up to this.
pub(super) const ALONE_CAP: i64 = 100_000;

/// Rows at 0 of one tenant and logical id.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub tenant_id: Option<String>,
    pub logical_id: Option<String>,
    pub rows: i64,
    /// The lowest of them, and when it was created.
    pub first_id: i64,
    pub oldest: Option<DateTime<Utc>>,
}

/// Whether the logical ids of rows matter to anybody.
pub(super) fn needs_logical_ids(selections: &[Selection]) -> bool {
    selections.iter().any(|selection| selection.logical_id.is_some())
}

/// What of all that waits belongs to a choice, whose time does not count here.
pub(super) fn of_choice(groups: &[Group], selection: &Selection) -> Backlog {
    // As columns of a fixed length have it: blanks at the end do not count.
    let is = |wanted: &Option<String>, value: &Option<String>| {
        wanted
            .as_ref()
            .is_none_or(|wanted| value.as_ref().is_some_and(|value| value.trim_end() == wanted.trim_end()))
    };
    let own = groups.iter().filter(|group| {
        is(&selection.tenant_id, &group.tenant_id) && is(&selection.logical_id, &group.logical_id)
    });
    let mut backlog = Backlog::default();
    let mut first_id = i64::MAX;
    for group in own {
        backlog.waiting_rows = backlog.waiting_rows.saturating_add(group.rows);
        if group.first_id < first_id {
            (first_id, backlog.oldest) = (group.first_id, group.oldest);
        }
    }
    backlog
}

/// What waits could not be counted.
pub fn backlog_unknown(error: &DatabaseError) -> Notice {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Notice::new("BACKLOG_UNKNOWN", Severity::Warning, None, "outbox").says(
        format!("the rows that wait could not be counted, the figures are of an earlier time: {error}{source}"),
        "Nothing of the work depends on it. If it took too long: 'bodrelay check' names the index that helps (finding \
         DATABASE_ADVICE).",
    )
}
