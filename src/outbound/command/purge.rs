//! purge_log: deletes settled rows of the message log that ended before a time, in small transactions.
//!
//! Unresolved failures and what is open stay, whatever their age (`log_purge`).

use super::{CommandError, Job, PAGE, Page};
use crate::database::LogFilter;

pub(super) async fn purge(job: &Job) -> Result<Page, CommandError> {
    let Some(before) = job.command.to_at else {
        let refused = "give to_at: settled rows of the message log that ended before it are deleted".into();
        return Ok(Page { refused: Some(refused), ..Page::default() });
    };
    if job.command.dry_run {
        return count(job).await;
    }
    // One connection point after the other; the key says which ones are done.
    let mut names: Vec<&str> = job.targets.iter().map(|target| target.settings.name.as_str()).collect();
    names.sort_unstable();
    let mut left = names.into_iter().filter(|name| *name > job.progress.after_key.as_str());
    let Some(name) = left.next() else { return Ok(Page::default()) };
    let deleted = i64::try_from(job.database.log_purge(name, before, PAGE).await?).unwrap_or(i64::MAX);
    let is_empty = deleted < PAGE;
    let after_key = is_empty.then(|| name.to_owned());
    let more = !is_empty || left.next().is_some();
    Ok(Page { matched: deleted, done: deleted, after_key, more, ..Page::default() })
}

/// A dry run: a page of the log is looked at.
async fn count(job: &Job) -> Result<Page, CommandError> {
    let filter = LogFilter {
        connection_point: Some(job.command.connection_point.clone()).filter(|name| name != "*"),
        after_key: Some(job.progress.after_key.clone()),
        limit: PAGE,
        ..LogFilter::default()
    };
    let rows = job.database.log_search(&filter).await?;
    let more = i64::try_from(rows.len()).is_ok_and(|rows| rows >= PAGE);
    let goes = rows.iter().filter(|row| {
        let is_ours = job.targets.iter().any(|target| target.settings.name == row.connection_point);
        let is_settled = !matches!(row.state.as_str(), "pending" | "in_flight" | "failed");
        is_ours && is_settled && row.finished_at < job.command.to_at && row.finished_at.is_some()
    });
    let matched = i64::try_from(goes.count()).unwrap_or(i64::MAX);
    let after_key = rows.last().map(|row| row.message_key.clone());
    Ok(Page { matched, done: matched, after_key, more, ..Page::default() })
}
