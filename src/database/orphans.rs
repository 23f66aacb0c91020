//! Rows at 0 that no connection point chooses: they would wait for ever, and nobody would say so.
//!
//! Such rows collect at the front, so the oldest page is compared, id by id, with what every connection point chooses
//! (also one that is switched off or of another location). Case counts in an I/O Box, and nowhere else in ION.

use std::collections::BTreeSet;

use super::statements::scripts::SCRIPT_COMPOSES;
use super::{Database, DatabaseError, Scan, Selection};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::ControlTables;

/// Rows that are looked at.
const PAGE: i64 = 5_000;
/// Rows whose headers are read to say whose they are.
const EXAMPLES: usize = 3;
/// Their payloads come with them, bytes.
const EXAMPLE_BYTES: usize = 1024 * 1024;

/// Looks at the oldest rows at 0; without a text: each has somebody.
pub async fn rows_nobody_chooses(
    database: &dyn Database,
    control: &ControlTables,
) -> Result<Notice, DatabaseError> {
    let notice = Notice::new("ROWS_NOBODY_CHOOSES", Severity::Warning, None, "outbox");
    let choices: Vec<Selection> = control.connection_points.iter().map(choice).collect();
    let all = Selection::default();
    if choices.is_empty() || choices.contains(&all) {
        return Ok(notice);
    }
    let scan = |selection: Selection, up_to| Scan {
        selection,
        after: i64::MIN,
        up_to,
        limit: PAGE,
        ..Scan::default()
    };
    let page = database.outbox_scan(&scan(all, i64::MAX)).await?;
    let mut nobodys: BTreeSet<i64> = page.entries.iter().map(|entry| entry.entry_id).collect();
    let Some(last) = nobodys.last().copied() else { return Ok(notice) };
    for selection in choices.clone() {
        for entry in database.outbox_scan(&scan(selection, last)).await?.entries {
            nobodys.remove(&entry.entry_id);
        }
    }
    if nobodys.is_empty() {
        return Ok(notice);
    }
    let some: Vec<i64> = nobodys.iter().copied().take(EXAMPLES).collect();
    let loaded = database.outbox_load(&some, EXAMPLE_BYTES).await?;
    let case = loaded.entries.iter().any(|entry| differs_in_case(&choices, &entry.headers));
    let shown: Vec<String> = some.iter().map(ToString::to_string).collect();
    let remedy = match case {
        true => {
            "Tenant or logical id differ from source_tenant_id or source_logical_id in case only: write them as the \
             rows have them."
        }
        false => {
            "Look: SELECT C_TENANT_ID, C_LOGICAL_ID, count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 0 GROUP \
             BY 1, 2. Then correct source_tenant_id or source_logical_id of a connection point (case counts), or add \
             one."
        }
    };
    Ok(notice.says(
        format!(
            "{} of the {} oldest rows at 0 are chosen by no connection point and would wait for ever (C_ID {}{})",
            nobodys.len(),
            page.entries.len(),
            shown.join(", "),
            if nobodys.len() > EXAMPLES { ", …" } else { "" }
        ),
        remedy,
    ))
}

fn choice(row: &crate::domain::plan::ConnectionPointRow) -> Selection {
    let (tenant_id, logical_id) = row.source();
    Selection { tenant_id, logical_id, rows_from: None }
}

/// Changes that name a connection point that does not compose; without a text: there are none. `script` is the highest
/// that was run.
pub async fn changes_nobody_composes(database: &dyn Database, script: i64) -> Result<Notice, DatabaseError> {
    let notice = Notice::new("CHANGES_NOBODY_COMPOSES", Severity::Warning, None, "bodrelay_change");
    if script < SCRIPT_COMPOSES {
        return Ok(notice);
    }
    let strays = database.change_strays().await?;
    if strays.is_empty() {
        return Ok(notice);
    }
    let shown: Vec<String> = strays.iter().map(|(point, waiting)| format!("'{point}' ({waiting})")).collect();
    Ok(notice.says(
        format!(
            "changes wait for connection points that bodrelay_connection_point does not have with source_kind = 'rows': {}",
            shown.join(", ")
        ),
        "Correct the name in the trigger and in the waiting rows of bodrelay_change (case counts), add the connection \
         point, or set was_processed = 9 for rows that nobody needs.",
    ))
}

/// The row's own headers name what a connection point would choose, but for case.
fn differs_in_case(choices: &[Selection], headers: &[(String, String)]) -> bool {
    let near = |wanted: &Option<String>, key: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        match (wanted, found) {
            (Some(wanted), Some(found)) => wanted.eq_ignore_ascii_case(found),
            (None, _) => true,
            (Some(_), None) => false,
        }
    };
    choices.iter().any(|it| near(&it.tenant_id, "TenantId") && near(&it.logical_id, "FromLogicalId"))
}
