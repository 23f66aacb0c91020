//! test_document and reload_credentials: they ask, and change nothing that is sent.

use std::collections::BTreeSet;

use super::{CommandError, Job, PAGE, Page, REMARKS, Target};
use crate::bod;
use crate::database::{LogFilter, Scan};
use crate::domain::change::Action;
use crate::domain::message::{Judged, Park, Verdict};
use crate::ims::Accepted;
use crate::outbound::compose::{Ask, preview};

/// Bytes of rows that are read at once.
const BYTES: usize = 8 * 1024 * 1024;

/// All checks of rows that wait (or of the one that a message key names), and ION's list of accepted documents.
pub(super) async fn try_documents(job: &Job) -> Result<Page, CommandError> {
    let mut page = Page::default();
    for target in &job.targets {
        composed(job, target, &mut page).await?;
        let listed = match target.client.accepted_documents(&target.settings.logical_id).await {
            Accepted::Listed(names) => Ok(names),
            Accepted::Unreadable(text) => Err(format!("ION's list of documents cannot be read: {text}")),
            Accepted::Refused(answer) => {
                Err(format!("ION refuses its list of documents: {} {}", answer.code(), answer.text()))
            }
        };
        let mut not_listed = BTreeSet::new();
        for judged in rows(job, target).await?.into_iter().filter(|judged| is_meant(job, judged)) {
            page.matched += 1;
            let (would_go, said) = verdict(&judged);
            page.done += i64::from(would_go);
            if let Some(said) = said.filter(|_| page.remarks.len() < REMARKS) {
                page.remarks.push(format!("C_ID {}: {said}", judged.entry_id));
            }
            if let Some(name) = &judged.document_type
                && !name.follows_from_request()
                && listed.as_ref().is_ok_and(|listed| !listed.contains(&name.to_string()))
            {
                not_listed.insert(name.to_string());
            }
        }
        let name = &target.settings.name;
        page.remarks.extend(listed.err().map(|text| format!("{name}: {text}")));
        if !not_listed.is_empty() {
            let types: Vec<String> = not_listed.into_iter().collect();
            page.remarks.push(format!("{name}: ION does not list {}", types.join(", ")));
        }
    }
    let figures = format!(
        "{} of {} would be sent; nothing was. At most {PAGE} waiting rows of a connection point are looked at",
        page.done, page.matched
    );
    page.remarks.insert(0, figures);
    Ok(page)
}

/// The document that the command names, composed from the data as it is; nothing is written.
async fn composed(job: &Job, target: &Target, page: &mut Page) -> Result<(), CommandError> {
    let (Some(noun), Some(document_id)) = (&job.command.noun, &job.command.document_id) else {
        return Ok(());
    };
    if !target.settings.composes || job.command.message_key.is_some() {
        return Ok(());
    }
    let ask = Ask {
        verb: job.command.verb.clone().unwrap_or_else(|| "Sync".into()),
        noun: noun.clone(),
        document_id: document_id.clone(),
        accounting_entity: String::new(),
        document_location: String::new(),
        action: Action::Replace,
    };
    let preview = preview(job.database.as_ref(), &target.settings, &ask).await?;
    page.matched += 1;
    page.done += i64::from(preview.refused.is_none());
    let parts: Vec<String> = preview
        .parts
        .iter()
        .map(|(part_no, rows, milliseconds)| format!("part {part_no}: {rows} rows in {milliseconds} ms"))
        .collect();
    let bytes: usize = preview.documents.iter().map(String::len).sum();
    let verdict = match preview.refused {
        Some(reason) => format!("would be refused: {reason}"),
        None => format!("would be composed, {bytes} bytes in {} documents", preview.documents.len()),
    };
    page.remarks.push(format!("{}.{noun} {document_id} {verdict} ({})", ask.verb, parts.join(", ")));
    Ok(())
}

/// The row of the message key, else the lowest rows at 0.
async fn rows(job: &Job, target: &Target) -> Result<Vec<Judged>, CommandError> {
    let mut ids: Vec<i64> = match &job.command.message_key {
        Some(_) => {
            let filter = LogFilter {
                connection_point: Some(target.settings.name.clone()),
                message_key: job.command.message_key.clone(),
                limit: 1,
                ..LogFilter::default()
            };
            job.database.log_search(&filter).await?.into_iter().filter_map(|row| row.entry_id).collect()
        }
        None => {
            let scan = Scan {
                selection: target.selection.clone(),
                after: 0,
                up_to: i64::MAX,
                limit: PAGE,
                ..Scan::default()
            };
            job.database.outbox_scan(&scan).await?.entries.iter().map(|entry| entry.entry_id).collect()
        }
    };
    let mut judged = Vec::with_capacity(ids.len());
    while !ids.is_empty() {
        let loaded = job.database.outbox_load(&ids, BYTES).await?;
        judged.extend(loaded.entries.iter().map(|entry| bod::judge(entry, &target.settings)));
        ids = loaded.not_loaded;
    }
    Ok(judged)
}

/// The command names it, or names nothing.
fn is_meant(job: &Job, judged: &Judged) -> bool {
    let fits =
        |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
    let (command, facts) = (&job.command, &judged.facts);
    fits(&command.verb, facts.verb.as_deref())
        && fits(&command.noun, facts.noun.as_deref())
        && fits(&command.document_id, facts.document_id.as_deref())
}

/// Whether it would go, and what there is to say.
fn verdict(judged: &Judged) -> (bool, Option<String>) {
    match &judged.verdict {
        Verdict::Send(_) => {
            (true, judged.warnings.first().map(|warning| format!("{}: {}", warning.code, warning.text)))
        }
        Verdict::Fail(failure) => (false, Some(format!("{}: {}", failure.code, failure.text))),
        Verdict::Park(Park::HeadersMissing(names)) => {
            (false, Some(format!("waits for headers: {}", names.join(", "))))
        }
        Verdict::Park(Park::NotListed) => (false, Some("its type is not in bodrelay_document".into())),
        Verdict::Park(Park::Disabled) => {
            (false, Some("its type has enabled = 0 in bodrelay_document".into()))
        }
    }
}

/// Reads the credential files of the connection points again.
pub(super) async fn reload_credentials(job: &Job) -> Page {
    let mut page = Page::default();
    let mut names = BTreeSet::new();
    for target in job.targets.iter().filter(|target| names.insert(target.client.name().to_owned())) {
        page.matched += 1;
        if job.command.dry_run {
            page.remarks.push(format!("dry run: {} would be read again", target.client.name()));
            continue;
        }
        match target.client.reload_credentials().await {
            Ok(()) => {
                page.done += 1;
                page.remarks.push(format!("{} was read again", target.client.name()));
            }
            Err(error) => {
                page.refused =
                    Some(format!("{}: {error:#}; the one read before goes on", target.client.name()));
            }
        }
    }
    page
}
