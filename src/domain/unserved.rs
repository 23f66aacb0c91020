//! What of the control tables nobody serves: rows wait for it, and all other figures look well.

use std::collections::BTreeSet;

use super::notice::{Notice, Severity};
use super::plan::{ControlTables, Plan, SendMode};

/// What `unserved` may find.
pub const CODES: [&str; 4] =
    ["DOCUMENT_WITHOUT_POINT", "NOTHING_SWITCHED_ON", "NO_CONNECTION_POINT", "OTHER_LOCATION"];

/// Looks through the tables of a database from an agent of `location`. `locations` are those of all agents that ever
/// served it: what one of them carries is no business of the others. `quoted` writes a literal of the database.
pub fn unserved(
    database: &str,
    tables: &ControlTables,
    plan: &Plan,
    location: &str,
    locations: &BTreeSet<&str>,
    quoted: &dyn Fn(&str) -> String,
) -> Vec<Notice> {
    let mut notices: Vec<Notice> = tables.documents_without_point().collect();
    notices.extend(elsewhere(tables, plan, location, locations));
    let has = |mode| plan.connection_points.values().any(|point| point.send_mode == mode);
    if tables.connection_points.is_empty() {
        notices.push(Notice::new("NO_CONNECTION_POINT", Severity::Warning, None, database).says(
            "bodrelay_connection_point has no row: there is nothing to do",
            format!(
                "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id) VALUES \
                 ('wms', {}, 'the tenant of the .ionapi file', 'lid://infor.ims.wms'); the examples of \
                 'bodrelay sql' go on from there.",
                quoted(location)
            ),
        ));
    } else if !plan.connection_points.is_empty() && !has(SendMode::On) && plan.inbound.is_empty() {
        // To observe first is meant.
        let severity = if has(SendMode::Observe) { Severity::Info } else { Severity::Warning };
        notices.push(Notice::new("NOTHING_SWITCHED_ON", severity, None, database).says(
            "no connection point has send_mode = 'on': nothing is sent",
            "UPDATE bodrelay_connection_point SET send_mode = 'observe' (look first) or 'on' WHERE connection_point = \
             the one you mean.",
        ));
    }
    notices
}

/// Connection points of a location that no agent has.
fn elsewhere<'a>(
    tables: &'a ControlTables,
    plan: &'a Plan,
    own: &'a str,
    locations: &'a BTreeSet<&str>,
) -> impl Iterator<Item = Notice> + 'a {
    let rows = tables.connection_points.iter().filter(|row| plan.elsewhere.contains(&row.connection_point));
    rows.filter(|row| !locations.contains(&*row.location_name)).map(move |row| {
        let location = &row.location_name;
        let same = location.trim().eq_ignore_ascii_case(own.trim());
        let severity = if same { Severity::Warning } else { Severity::Info };
        Notice::new("OTHER_LOCATION", severity, Some(&row.connection_point), "location_name").says(
            format!(
                "it is for location '{location}', which no agent of this database has; this one is '{own}': it is left \
                 alone"
            ),
            match same {
                true => {
                    "The two differ only in case or blanks: make location_name equal to [agent] location."
                }
                false => {
                    "Nothing, if an agent of that location is still to come; else correct location_name."
                }
            },
        )
    })
}
