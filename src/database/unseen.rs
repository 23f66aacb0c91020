//! Rows of the outbox that no scan sees: an odd flag, or row-level security. They would wait for ever without a word.

use super::{Database, DatabaseError, UNSEEN_MAX, Unseen};
use crate::domain::notice::{Notice, Severity};

/// Looks among the newest rows; without a text: all are seen.
pub async fn rows_unseen(database: &dyn Database) -> Result<Notice, DatabaseError> {
    const NAMED: usize = 3;
    let notice = Notice::new("ROWS_UNSEEN", Severity::Error, None, "outbox");
    let Unseen { odd_flags, hidden } = database.outbox_unseen().await?;
    let (mut texts, mut remedies) = (Vec::new(), Vec::new());
    if let Some(hidden) = hidden {
        texts.push(hidden);
        remedies.push(
            "Give the agent's role a policy for SELECT and UPDATE on COR_OUTBOX_ENTRY, or exempt it (PostgreSQL: ALTER \
             ROLE ... BYPASSRLS).",
        );
    }
    if !odd_flags.is_empty() {
        let shown = odd_flags.iter().take(NAMED).map(|(id, flag)| {
            let flag: String = flag.as_deref().unwrap_or("NULL").chars().take(20).collect();
            format!("C_ID {id}: {}", flag.escape_debug())
        });
        let more = if odd_flags.len() > NAMED { ", …" } else { "" };
        let least = if i64::try_from(odd_flags.len()).is_ok_and(|rows| rows >= UNSEEN_MAX) {
            "at least "
        } else {
            ""
        };
        texts.push(format!(
            "{least}{} of the newest rows have a C_WAS_PROCESSED that is none of 0, 1 and 9, and are never sent ({}{more})",
            odd_flags.len(),
            shown.collect::<Vec<_>>().join(", ")
        ));
        remedies.push("Let the application write 0; set C_WAS_PROCESSED of these rows to 0, or to 1 where they are done.");
    }
    if texts.is_empty() {
        return Ok(notice);
    }
    Ok(notice.says(texts.join("; "), remedies.join(" ")))
}
