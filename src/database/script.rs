//! Whether the control tables are those of this version: older ones lack something, newer ones hold more.

use super::Survey;
use super::statements::scripts::{SCRIPT_KNOWN, SCRIPT_NEEDED};
use crate::domain::notice::{Notice, Severity};

/// What is to be said of the script that the tables are of; `None`: it is this version's own.
pub fn script_finding(survey: &Survey, database: &str) -> Option<Notice> {
    let found = survey.script;
    let missing = |severity| Notice::new("SCRIPT_MISSING", severity, None, database);
    if found < SCRIPT_NEEDED {
        Some(missing(Severity::Error).says(
            format!("the control tables are of script {found}, this version needs {SCRIPT_NEEDED}"),
            "Run the scripts in between ('bodrelay sql DIALECT install' prints them).",
        ))
    } else if found < SCRIPT_KNOWN {
        Some(missing(Severity::Warning).says(
            format!(
                "the control tables are of script {found}: the agent works, but what script {SCRIPT_KNOWN} brings is \
                 missing (2: views and the history of settings; 3: what receiving needs; 4: what composing needs; 5: views that \
                 stay quick in a long log; 6: change marks that never break the application's transaction)"
            ),
            "Run the scripts after it in their order ('bodrelay sql DIALECT 002_panel', '003_inbound', '004_compose', '005_views' and '006_marks' print them).",
        ))
    } else if found > SCRIPT_KNOWN {
        Some(Notice::new("SCRIPT_NEWER", Severity::Info, None, database).says(
            format!("the control tables are of script {found}, this version knows {SCRIPT_KNOWN}"),
            "Nothing while the agent works; a newer bodrelay goes with the newer script.",
        ))
    } else {
        None
    }
}

/// A table that received documents go into and the agent may not write to, for want of a right.
pub(super) fn may_not_insert(table: &str, needed: &str) -> super::Problem {
    super::Problem {
        what: format!("the agent may not INSERT into {table}"),
        remedy: format!("receiving needs it (receive_mode = 'on'): GRANT {needed} to it (grants.sql)"),
    }
}
