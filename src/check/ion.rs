//! ION through one credential: the credential file, a token, ping, versions, and the documents that it takes.
//!
//! "Down" and "not active" are told apart: ping answers 503 or 412 for a data flow that is switched off. A token that
//! the agent keeps in its state directory is neither used nor replaced: each run of check asks for one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use super::{FILE_LIMIT, ION_LIMIT, Section, aside, within};
use crate::config::{Config, Ion};
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::Answer;
use crate::domain::plan::{ConnectionPoint, ImsMethod, SendMode};
use crate::ims::{Accepted, Client};

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
        section.finds(Notice::new("CERTIFICATE_UNKNOWN", Severity::Error, None, name).says(
            format!("no issuer that this machine knows is behind the certificate; the server shows: {shown}"),
            "Is it a proxy of your own network that looks into TLS? Get the certificate of the last issuer that is named \
             from whoever runs it, as PEM, and name the file in ca_file of this [[ion]]. If you do not know the issuer, \
             somebody stands in between.",
        ));
    }
    if !pinged(name, &ping, &mut section) {
        return section;
    }
    let own: Vec<_> = points.iter().filter(|point| point.ion_name == name).collect();
    versions(name, &client, &own, &mut section).await;
    for point in own.into_iter().filter(|point| point.check_accepted) {
        match within(ION_LIMIT, client.accepted_documents(&point.logical_id)).await {
            Some(Accepted::Listed(names)) => compare(point, &names, &mut section),
            Some(Accepted::Unreadable(_)) => section.finds(
                Notice::new("LIST_UNREADABLE", Severity::Info, Some(&point.name), "acceptedDocuments").says(
                    "ION's list of accepted documents holds no document name: what it takes is unknown, not nothing",
                    "Compare bodrelay_document with the Documents tab of the connection point by hand.",
                ),
            ),
            Some(Accepted::Refused(answer)) => refused(point, &answer, &mut section),
            None => refused(point, &late(), &mut section),
        }
    }
    section
}

fn late() -> Answer {
    Answer::Unanswered { what: format!("no whole answer within {} s", ION_LIMIT.as_secs()) }
}

/// What an answer says, in a line.
fn said(answer: &Answer) -> String {
    match answer {
        Answer::Http { status, text, is_html, .. } if !text.is_empty() && !is_html => {
            let text: String = text.chars().take(200).collect();
            format!("HTTP {status}: {text}")
        }
        Answer::Http { status, .. } => format!("HTTP {status}"),
        Answer::NotConnected { what } | Answer::NoToken { what, .. } | Answer::Unanswered { what } => {
            what.clone()
        }
    }
}

/// `true`: ION is there and lets this credential in, so that asking on has a point.
fn pinged(name: &str, ping: &Answer, section: &mut Section) -> bool {
    let finding = |code| Notice::new(code, Severity::Error, None, name);
    match ping {
        Answer::Http { is_html: true, .. } => section.misses(finding("NOT_AN_IMS_ANSWER").says(
            format!("ping was answered by a web page ({}): a proxy or a login page, not IMS", said(ping)),
            "Check base_url (or iu in the .ionapi file) and proxy of this [[ion]].",
        )),
        Answer::Http { status: 200..=299, .. } => {
            section.sees("token and ping work");
            return true;
        }
        Answer::Http { status: 412 | 503, .. } => {
            section.finds(finding("INACTIVE_IN_ION").says(
                format!("ION can be reached, but says that it is not ready: ping gave {}", said(ping)),
                "Activate the data flow or the connection point in ION Desk. This is not a network problem.",
            ));
            return true;
        }
        Answer::Http { status: 401 | 403, .. } => section.finds(finding("CREDENTIAL_REFUSED").says(
            format!("a token was given, but IMS does not let it in: {}", said(ping)),
            "Check that the authorized app is active, that its service account has the scope of ION (sc in the .ionapi \
             file) and a description that is not empty, and that the API Gateway Client Id in the IMS connection point \
             is the ci of the .ionapi file.",
        )),
        Answer::Http { status: 404, .. } => section.finds(finding("ADDRESS_WRONG").says(
            format!("there is no IMS at this address: {}", said(ping)),
            "Check base_url (or iu and ti in the .ionapi file): it ends in IONSERVICES/api/ion/messaging.",
        )),
        Answer::Http { .. } => section.misses(finding("ION_UNREACHABLE").says(
            format!("ping failed: {}", said(ping)),
            "If it lasts: the text tells whether a gateway or ION answers. The agent tries again by itself.",
        )),
        Answer::NoToken { status: Some(400..=499), what, .. } => section.finds(finding("TOKEN_REFUSED").says(
            format!("no token: {what}"),
            "Check that the authorized app and its service account are active and the .ionapi file is the latest; \
             a renewed secret needs a new file. This machine's clock must be right.",
        )),
        Answer::NoToken { .. } | Answer::NotConnected { .. } | Answer::Unanswered { .. } => {
            section.misses(finding("ION_UNREACHABLE").says(
                said(ping),
                "Check name, port, proxy and firewall from this machine. The agent waits and tries again by itself; \
                 nothing is lost.",
            ));
        }
    }
    false
}

async fn versions(name: &str, client: &Client, points: &[&ConnectionPoint], section: &mut Section) {
    let finding = |point| Notice::new("VERSION_NOT_SUPPORTED", Severity::Error, point, name);
    let known = match within(ION_LIMIT, client.versions()).await {
        Some(Ok(known)) => known,
        Some(Err(answer)) => {
            let notice = Notice::new("VERSIONS_UNKNOWN", Severity::Info, None, name);
            return section.finds(notice.says(
                format!("ION did not say which IMS versions it has: {}", said(&answer)),
                "Nothing, while messages are accepted.",
            ));
        }
        None => {
            return section.misses(Notice::new("ION_UNREACHABLE", Severity::Error, None, name).says(
                said(&late()),
                "Look at proxy and firewall: ping was answered, the next request was not.",
            ));
        }
    };
    section.sees(format!("IMS versions {}", known.join(", ")));
    for point in points {
        let wanted = match point.ims_method {
            ImsMethod::V3MultipartMessage | ImsMethod::V3Message => "v3",
            ImsMethod::V2MultipartMessage => "v2",
        };
        if !known.is_empty() && !known.iter().any(|version| version.eq_ignore_ascii_case(wanted)) {
            section.finds(finding(Some(&point.name)).says(
                format!("ims_version = '{wanted}', but ION has {}", known.join(", ")),
                "Set ims_version in bodrelay_connection_point to one that ION has.",
            ));
        }
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
    for name in names {
        let known = DocumentType::parse(name)
            .is_none_or(|it| it.follows_from_request() || point.documents.keys().any(|own| own == &it));
        if !known {
            section.finds(
                Notice::new("LISTED_IN_ION_ONLY", Severity::Warning, Some(&point.name), name.clone()).says(
                    "ION takes it from this connection point, but bodrelay_document does not list it: its rows stay 0",
                    "Add it to bodrelay_document (direction 'out') if it is to be sent; else take it off the \
                     Documents tab.",
                ),
            );
        }
    }
    section.sees(format!("{}: {good} document types agreed with ION", point.name));
}

fn refused(point: &ConnectionPoint, answer: &Answer, section: &mut Section) {
    let finding = |code| Notice::new(code, Severity::Error, Some(&point.name), point.logical_id.clone());
    match answer {
        Answer::Http { status: 412 | 503, .. } => section.finds(finding("INACTIVE_IN_ION").says(
            format!("ION knows no active connection point with this logical id: {}", said(answer)),
            "Compare logical_id with the IMS connection point in ION Desk (case counts), and activate the data flow.",
        )),
        Answer::Http { status: 401 | 403, .. } => section.finds(finding("LOGICAL_ID_REFUSED").says(
            format!("this credential may not speak for the logical id: {}", said(answer)),
            "Enter the ci of the .ionapi file as the API gateway's client id in the IMS connection point, or correct \
             logical_id.",
        )),
        Answer::Http { .. } => section.finds(
            Notice { severity: Severity::Warning, ..finding("LIST_UNREADABLE") }.says(
                format!("ION's list of accepted documents could not be read: {}", said(answer)),
                "Compare bodrelay_document with the Documents tab of the connection point by hand.",
            ),
        ),
        Answer::NoToken { .. } | Answer::NotConnected { .. } | Answer::Unanswered { .. } => {
            section.misses(finding("ION_UNREACHABLE").says(
                said(answer),
                "Ping was answered, this was not: look at proxy and firewall. The agent tries again by itself.",
            ));
        }
    }
}
