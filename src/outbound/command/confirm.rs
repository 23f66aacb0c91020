//! confirm_error: tells ION that a received document could not be processed.
//!
//! The ConfirmBOD and the end of the command are one transaction of the site's database: it is written once, whatever
//! kills the agent, and the journal need not know of it. From there it is an ordinary entry of the outbox.

use uuid::Uuid;

use super::{CommandError, Job, Page, Target};
use crate::bod::confirm::{Confirm, Original, compose};
use crate::bod::envelope;
use crate::database::{Added, LogFilter, LogRow};
use crate::domain::ids::{Digest, DocumentType};
use crate::domain::message::Entry;
use crate::domain::plan::SendMode;

/// Receiver of every ConfirmBOD (spec/bod.md §8).
const TO_LOGICAL_ID: &str = "lid://default";

pub(super) async fn confirm(job: &Job, host: &str) -> Result<Page, CommandError> {
    let refused = |text: String| Ok(Page { refused: Some(text), ..Page::default() });
    let Some(target) = job.targets.first() else {
        return refused("the connection point is not served just now".into());
    };
    if let Some(reason) = cannot(job, target) {
        return refused(reason);
    }
    let (entry_id, logged) = match named(job, target).await? {
        Ok(found) => found,
        Err(reason) => return refused(reason),
    };
    let Some(entry) = job.database.inbox_load(entry_id).await? else {
        return refused(format!(
            "the row C_ID {entry_id} of COR_INBOX_ENTRY is gone: a ConfirmBOD holds the original, which is not kept \
             elsewhere"
        ));
    };
    let Some(payload) = entry.payload.as_ref() else {
        return refused(format!("C_XML of the row C_ID {entry_id} of COR_INBOX_ENTRY is NULL"));
    };
    if let Some(known) = logged.as_ref().and_then(|row| row.facts.digest.as_ref())
        && !payload.is_text
        && *known != Digest::of(&payload.bytes).to_string()
    {
        return refused(format!(
            "the row C_ID {entry_id} of COR_INBOX_ENTRY holds other bytes than the message that was received"
        ));
    }
    let (added, holds_original) = added(job, target, host, &entry, entry_id);
    let mut page = Page { matched: 1, ..Page::default() };
    if job.command.dry_run {
        page.done = 1;
        page.remarks.push(format!("a ConfirmBOD of {} bytes", added.document.len()));
        return Ok(page);
    }
    if job.database.outbox_add(&added).await?.is_some() {
        page.done = 1;
    }
    page.remarks.push(added.result);
    if !holds_original {
        page.remarks.push("without the original".into());
    }
    Ok(page)
}

/// What the command or the settings lack.
fn cannot(job: &Job, target: &Target) -> Option<String> {
    let settings = &target.settings;
    if job.command.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return Some("give a reason: it is what people read in ION".into());
    }
    if job.command.message_key.is_none() {
        return Some(
            "give message_key: that of the received document in bodrelay_message_log, or the C_ID of its row of \
             COR_INBOX_ENTRY"
                .into(),
        );
    }
    if settings.send_mode != SendMode::On {
        return Some(format!("send_mode of {} is not 'on': the ConfirmBOD would not be sent", settings.name));
    }
    match settings.documents.get(&DocumentType::new("Confirm", "BOD")) {
        Some(document) if document.enabled => None,
        _ => Some(format!(
            "Confirm.BOD is not listed for {}, so it would not be sent: INSERT INTO bodrelay_document (connection_point, \
             direction, verb, noun) VALUES ({}, 'out', 'Confirm', 'BOD')",
            settings.name,
            job.database.quoted(&settings.name)
        )),
    }
}

type Named = Result<(i64, Option<LogRow>), String>;

/// The row of the inbox that the command names, with what the message log says of it.
async fn named(job: &Job, target: &Target) -> Result<Named, CommandError> {
    let key = job.command.message_key.clone().unwrap_or_default();
    if let Ok(entry_id) = key.trim().parse::<i64>() {
        return Ok(Ok((entry_id, None)));
    }
    let filter = LogFilter {
        direction: Some("in".into()),
        connection_point: Some(target.settings.name.clone()),
        message_key: Some(key.clone()),
        limit: 1,
        ..LogFilter::default()
    };
    let found = job.database.log_search(&filter).await?.into_iter().next();
    Ok(match found {
        None => Err(format!(
            "no received message of {} has the message_key '{key}' in bodrelay_message_log",
            target.settings.name
        )),
        Some(row) => match row.entry_id {
            Some(entry_id) => Ok((entry_id, Some(row))),
            None => {
                Err(format!("the message '{key}' was not stored ({}), so ION knows of it already", row.state))
            }
        },
    })
}

fn added(job: &Job, target: &Target, host: &str, entry: &Entry, entry_id: i64) -> (Added, bool) {
    let (command, settings) = (&job.command, &target.settings);
    let bytes = entry.payload.as_ref().map(|payload| payload.bytes.clone()).unwrap_or_default();
    let header = |key: &str| {
        let found = entry.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    };
    let envelope = envelope::read(&bytes, None).ok();
    let max_bytes = settings
        .documents
        .get(&DocumentType::new("Confirm", "BOD"))
        .map_or(settings.max_document_bytes, |document| document.max_document_bytes);
    let created_at = super::super::log::time(job.now);
    let composed = compose(&Confirm {
        tenant_id: &settings.tenant_id,
        logical_id: &settings.logical_id,
        created_at,
        sequence: command.command_id,
        reason: command.reason.as_deref().unwrap_or_default().trim(),
        reason_code: command.reason_code.as_deref(),
        original: Original {
            document: &bytes,
            envelope: envelope.as_ref(),
            bod_type: header("BODType"),
            message_id: header("MessageId"),
            document_id: header("DocumentId"),
            accounting_entity: header("AccountingEntity"),
            location: header("Location"),
            revision_id: header("RevisionId"),
        },
        max_bytes,
    });
    let of_source = |own: &String, source: &Option<String>| source.as_ref().unwrap_or(own).clone();
    let tenant_id = of_source(&settings.tenant_id, &settings.source_tenant_id);
    let mut headers = vec![
        ("TenantId".to_owned(), tenant_id.clone()),
        ("MessageId".to_owned(), message_id(settings, command.command_id, entry_id, header("MessageId"))),
        ("BODType".to_owned(), "Confirm.BOD".to_owned()),
        ("FromLogicalId".to_owned(), settings.logical_id.clone()),
        ("ToLogicalId".to_owned(), TO_LOGICAL_ID.to_owned()),
    ];
    for key in ["DocumentId", "AccountingEntity", "Location", "RevisionId"] {
        headers.extend(header(key).map(|value| (key.to_owned(), value.trim().to_owned())));
    }
    let without = if composed.holds_original { "" } else { ", without the original, which is too large" };
    let added = Added {
        command_id: command.command_id,
        result: format!("the ConfirmBOD for C_ID {entry_id} of the inbox is in the outbox{without}"),
        host: host.to_owned(),
        tenant_id,
        logical_id: of_source(&settings.logical_id, &settings.source_logical_id),
        document: composed.document,
        headers,
        created_at,
    };
    (added, composed.holds_original)
}

/// Of the command and of what it confirms: the same command gives the same id for ever, so that a repeat is seen.
fn message_id(
    settings: &crate::domain::plan::ConnectionPoint,
    command_id: i64,
    entry_id: i64,
    of_original: Option<&str>,
) -> String {
    /// As random and as constant as those of other ids (`domain::ids`).
    const NAMESPACE: Uuid = Uuid::from_u128(0x2f4a_8c61_d7b3_4e05_9a1c_63e8_f05d_7b92);
    let name = format!(
        "{}\0{}\0{command_id}\0{entry_id}\0{}",
        settings.tenant_id,
        settings.logical_id,
        of_original.unwrap_or_default()
    );
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}
