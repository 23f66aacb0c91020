//! ION through one credential: the credential file, a token, ping, versions, and the documents that it takes.
//!
//! What answers mean is said in `ims::findings`, for the agent, too. A token that the agent keeps in its state directory is
//! neither used nor replaced: each run of check asks for one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use super::{FILE_LIMIT, ION_LIMIT, Section, aside, within};
use crate::config::{Config, Ion};
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::Answer;
use crate::domain::plan::{ConnectionPoint, SendMode};
use crate::ims::{Accepted, Client, findings};

/// Reads the credential of every `[[ion]]`, in the order of their names.
pub(super) async fn credentials(config: &Arc<Config>) -> BTreeMap<String, Result<Client>> {
    let mut clients = BTreeMap::new();
    for settings in &config.ion {
        let (config, settings) = (config.clone(), Ion { cache_token: false, ..settings.clone() });
        let name = settings.name.clone();
        let read = aside(FILE_LIMIT, move || Client::new(&settings, &config.agent.state_dir)).await;
        let late = || anyhow!("the credential could not be read within {} s", FILE_LIMIT.as_secs());
        clients.insert(name, read.with_context(late).and_then(|client| client));
    }
    clients
}

pub(super) async fn look(name: &str, client: Result<Client>, points: &[ConnectionPoint]) -> Section {
    let mut section = Section::new(format!("ion {name}"));
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            section.wrong_file = true;
            section.finds(Notice::new("CREDENTIAL_UNUSABLE", Severity::Error, None, name).says(
                format!("{error:#}"),
                "Correct what the text names. The .ionapi file is downloaded from the authorized app in ION API \
                 (type Backend Service, with Create Service Account ticked).",
            ));
            return section;
        }
    };
    section.sees(client.endpoint());
    section.sees(format!("tenant {}", client.tenant_id()));
    let ping = match within(ION_LIMIT, client.ping()).await {
        Some(answer) => answer,
        None => late(),
    };
    for remark in client.remarks() {
        section.finds(Notice::new(remark.code, remark.severity, None, name).says(remark.text, remark.remedy));
    }
    if let Some(Some(shown)) = within(ION_LIMIT, client.certificates_shown(&ping)).await {
        section.finds(findings::certificate_unknown(name, &shown));
    }
    if !pinged(name, &ping, &mut section) {
        return section;
    }
    let own: Vec<_> = points.iter().filter(|point| point.ion_name == name).collect();
    versions(name, &client, &own, &mut section).await;
    for point in own.into_iter().filter(|point| point.check_accepted) {
        let answered = within(ION_LIMIT, client.accepted_documents(&point.logical_id)).await;
        let accepted = answered.unwrap_or_else(|| Accepted::Refused(late()));
        match (&accepted, findings::of_list(point, &accepted)) {
            (_, Some(notice)) => section.finds(notice),
            (Accepted::Listed(names), None) => compare(point, names, &mut section),
            (Accepted::Refused(answer), None) => {
                section.misses(findings::away(name, &findings::said(answer)));
            }
            (Accepted::Unreadable(_), None) => {}
        }
    }
    section
}

fn late() -> Answer {
    Answer::Unanswered { what: format!("no whole answer within {} s", ION_LIMIT.as_secs()) }
}

/// `true`: ION is there and lets this credential in, so that asking on has a point.
fn pinged(name: &str, ping: &Answer, section: &mut Section) -> bool {
    let Some(notice) = findings::of_endpoint(name, ping) else {
        section.sees("token and ping work");
        return true;
    };
    let inactive = notice.code == "INACTIVE_IN_ION";
    match notice.code {
        "ION_UNREACHABLE" | "NOT_AN_IMS_ANSWER" => section.misses(notice),
        _ => section.finds(notice),
    }
    inactive
}

async fn versions(name: &str, client: &Client, points: &[&ConnectionPoint], section: &mut Section) {
    match within(ION_LIMIT, client.versions()).await {
        Some(Ok(known)) => {
            section.sees(format!("IMS versions {}", known.join(", ")));
            for notice in points.iter().filter_map(|point| findings::of_versions(point, &known)) {
                section.finds(notice);
            }
        }
        Some(Err(answer)) => section.finds(findings::versions_unknown(name, &answer)),
        None => section.misses(findings::away(name, &findings::said(&late()))),
    }
}

/// The table and ION's Documents tab, both ways.
fn compare(point: &ConnectionPoint, names: &BTreeSet<String>, section: &mut Section) {
    let judged: Vec<&DocumentType> = point
        .documents
        .iter()
        .filter(|(it, document)| document.enabled && !it.follows_from_request())
        .map(|(it, _)| it)
        .collect();
    let mut good = 0;
    for document_type in judged {
        let name = document_type.to_string();
        if names.contains(&name) {
            good += 1;
            continue;
        }
        let near = names.iter().find(|it| it.eq_ignore_ascii_case(&name));
        let remedy = match near {
            Some(near) => {
                format!("ION has it as {near}: write verb and noun in bodrelay_document the same way.")
            }
            None => {
                "Add it to the Documents tab of the IMS connection point in ION Desk and activate, or set \
                     enabled = 0 in bodrelay_document. Rows stay 0 until then; nothing fails."
                    .into()
            }
        };
        let severity = if point.send_mode == SendMode::Off { Severity::Warning } else { Severity::Error };
        section.finds(
            Notice::new("TYPE_NOT_ACCEPTED", severity, Some(&point.name), name)
                .says("the Documents tab of the connection point in ION does not list it", remedy),
        );
    }
    for name in findings::listed_only(point, names) {
        section.finds(findings::only_in_ion(&point.name, name));
    }
    section.sees(format!("{}: {good} document types agreed with ION", point.name));
}
