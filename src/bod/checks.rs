//! The checks of a readable document against its headers and settings, one function a rule (design.md §7).
//!
//! Each answers with the failure that a DBA reads; what only deserves a word is a warning, all of them in `warn`.

use super::envelope::Envelope;
use super::headers::{self, Headers};
use super::wellformed::shown;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::ids::DocumentType;
use crate::domain::message::{Parameters, Warning};
use crate::domain::plan::{ConnectionPoint, Document, OrderBy};

/// ION takes this many custom headers and drops the rest (spec/ims.md §5.1).
const MAX_CUSTOM_HEADERS: usize = 3;
const MAX_LOGICAL_ID: usize = 250;
const DEFAULT_RECEIVER: &str = "lid://default";

/// The identity of a document, put together from headers and document.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub document_id: Option<String>,
    pub accounting_entity: Option<String>,
    pub location: Option<String>,
    pub revision_id: Option<String>,
    pub variation_id: Option<i64>,
    /// The same in the lane's order of places, in which the BODID goes before `DocumentID/ID` (design.md §4).
    pub lane_document_id: Option<String>,
    pub lane_entity: Option<String>,
    pub lane_location: Option<String>,
}

impl Named {
    pub fn of(headers: &Headers<'_>, envelope: Option<&Envelope>) -> Self {
        let header = |key| headers.get(key).map(str::to_owned);
        let nid = envelope.and_then(|envelope| envelope.nid.as_ref());
        let document = envelope.map(|envelope| &envelope.document);
        let variation = |text: &str| text.parse::<i64>().ok();

        let path = envelope.and_then(|envelope| envelope.path_document_id.clone());
        let own_id = document.and_then(|document| document.id.clone());
        let nid_id = nid.and_then(|nid| nid.document_id.clone());
        let own_entity = document
            .and_then(|document| document.accounting_entity.clone())
            .or_else(|| envelope.and_then(|envelope| envelope.accounting_entity.clone()));
        let nid_entity = nid.and_then(|nid| nid.accounting_entity.clone());
        let own_location = document
            .and_then(|document| document.location.clone())
            .or_else(|| envelope.and_then(|envelope| envelope.location.clone()));
        let nid_location = nid.and_then(|nid| nid.location.clone());
        let first_of = |places: [&Option<String>; 3]| places.into_iter().find_map(Clone::clone);

        let (entity, location) = (header("AccountingEntity"), header("Location"));
        let id = header("DocumentId").or(path);
        Self {
            document_id: first_of([&id, &own_id, &nid_id]),
            accounting_entity: first_of([&entity, &own_entity, &nid_entity]),
            location: first_of([&location, &own_location, &nid_location]),
            revision_id: header("RevisionId")
                .or_else(|| document.and_then(|document| document.revision_id.clone()))
                .or_else(|| nid.and_then(|nid| nid.revision_id.clone())),
            variation_id: (headers.get("VariationId").and_then(variation))
                .or_else(|| {
                    document.and_then(|document| document.variation_id.as_deref()).and_then(variation)
                })
                .or_else(|| nid.and_then(|nid| nid.variation_id.as_deref()).and_then(variation)),
            lane_document_id: first_of([&id, &nid_id, &own_id]),
            lane_entity: first_of([&entity, &nid_entity, &own_entity]),
            lane_location: first_of([&location, &nid_location, &own_location]),
        }
    }
}

pub(super) fn size(bytes: usize, limit: usize) -> Result<(), Failure> {
    if bytes > limit {
        let text = format!("the document has {bytes} bytes, {limit} are allowed");
        return Err(Failure::new(FailureCode::TooLarge, text));
    }
    Ok(())
}

/// Envelope, verb and noun are in the namespace that the settings expect; UserArea and deeper may be in any.
pub(super) fn namespaces(envelope: &Envelope, expected: Option<&str>) -> Result<(), Failure> {
    let Some(expected) = expected else { return Ok(()) };
    let found = &envelope.namespaces;
    // An application area that is not there is in no wrong namespace.
    let area = if envelope.has_application_area { found.application_area.as_deref() } else { Some(expected) };
    let elements = [
        (envelope.root.as_str(), found.root.as_deref()),
        ("ApplicationArea", area),
        ("DataArea", found.data_area.as_deref()),
        (envelope.verb.as_str(), found.verb.as_deref()),
        (envelope.noun.as_str(), found.noun.as_deref()),
    ];
    let Some((element, found)) = elements.into_iter().find(|(_, found)| *found != Some(expected)) else {
        return Ok(());
    };
    let found =
        found.map_or_else(|| "no namespace".to_owned(), |found| format!("the namespace {}", shown(found)));
    let text = format!("<{}> is in {found}, expected is {}", shown(element), shown(expected));
    Err(Failure::new(FailureCode::ForeignNamespace, text))
}

pub(super) fn document_type(headers: &Headers<'_>, envelope: &Envelope) -> Result<(), Failure> {
    let Some(value) = headers.get("BODType") else { return Ok(()) };
    let Some(said) = DocumentType::parse(value) else {
        return Err(headers::invalid("BODType", value, "Verb.Noun"));
    };
    if said.verb == envelope.verb && said.noun == envelope.noun {
        return Ok(());
    }
    let (verb, noun) = (shown(&envelope.verb), shown(&envelope.noun));
    let text = format!("the header BODType says {}, the document is {verb}.{noun}", shown(value));
    Err(Failure::new(FailureCode::BodTypeContradicts, text))
}

/// A header that names a part of the document's identity says the same as the document does. Where the document
/// says it in two places, one of them is enough. The BODID is a matter of `warn`.
pub(super) fn identity(headers: &Headers<'_>, envelope: &Envelope) -> Result<(), Failure> {
    let document = &envelope.document;
    let id = envelope.path_document_id.as_deref().or(document.id.as_deref());
    let entity = [document.accounting_entity.as_deref(), envelope.accounting_entity.as_deref()];
    let location = [document.location.as_deref(), envelope.location.as_deref()];
    for (key, places) in [
        ("DocumentId", [id, None]),
        ("AccountingEntity", entity),
        ("Location", location),
        ("RevisionId", [document.revision_id.as_deref(), None]),
    ] {
        let Some(value) = headers.get(key) else { continue };
        let mut places = places.into_iter().flatten().peekable();
        let Some(&first) = places.peek() else { continue };
        if places.all(|place| place != value) {
            return Err(contradiction(key, value, first));
        }
    }
    if let (Some(value), Some(said)) = (headers.integer("VariationId")?, &document.variation_id)
        && said.parse() != Ok(value)
    {
        return Err(contradiction("VariationId", &value.to_string(), said));
    }
    Ok(())
}

fn contradiction(key: &str, value: &str, said: &str) -> Failure {
    let text = format!("the header {key} says '{}', the document says '{}'", shown(value), shown(said));
    Failure::new(FailureCode::HeaderContradicts, text)
}

pub(super) fn logical_ids(headers: &Headers<'_>, envelope: &Envelope) -> Result<(), Failure> {
    let given = [
        ("the header FromLogicalId", headers.get("FromLogicalId"), false),
        ("the header ToLogicalId", headers.get("ToLogicalId"), true),
        ("Sender/LogicalID of the document", envelope.sender_logical_id.as_deref(), false),
    ];
    for (place, logical_id, is_receiver) in given {
        let Some(logical_id) = logical_id else { continue };
        length(place, logical_id, MAX_LOGICAL_ID)?;
        let why = if logical_id == DEFAULT_RECEIVER && !is_receiver {
            "which is legal only as the receiver"
        } else if !is_logical_id(logical_id) {
            "which is no logical id"
        } else {
            continue;
        };
        let text = format!("{place} holds '{}', {why}", shown(logical_id));
        return Err(Failure::new(FailureCode::LogicalIdMalformed, text));
    }
    Ok(())
}

/// spec/bod.md §6; upper case, '/' and ':' occur in spite of the rule.
fn is_logical_id(logical_id: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':');
    logical_id.strip_prefix("lid://").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_allowed))
}

pub(super) fn custom_headers(headers: &Headers<'_>) -> Result<(), Failure> {
    if headers.custom.len() <= MAX_CUSTOM_HEADERS {
        return Ok(());
    }
    let names: Vec<_> = headers.custom.iter().map(|(name, _)| format!("Custom_{}", shown(name))).collect();
    let count = names.len();
    // A text has an end even where a row has a thousand of them.
    let named = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let text = format!("{count} custom headers, {MAX_CUSTOM_HEADERS} are allowed: {named}");
    Err(Failure::new(FailureCode::TooManyCustomHeaders, text))
}

/// The lengths of spec/ims.md §5.1, in characters.
pub(super) fn lengths(
    headers: &Headers<'_>,
    envelope: &Envelope,
    parameters: &Parameters,
) -> Result<(), Failure> {
    for (place, value, most) in [
        ("the header TenantId", headers.get("TenantId"), 22),
        ("the header MessageId", headers.get("MessageId"), 250),
        ("the document id", parameters.document_id.as_deref(), 100),
        ("the revision id", parameters.revision_id.as_deref(), 22),
        ("the accounting entity", parameters.accounting_entity.as_deref(), 22),
        ("the location", parameters.location.as_deref(), 22),
        ("the header BatchId", headers.get("BatchId"), 250),
        ("BODID of the document", envelope.bod_id.as_deref(), 255),
    ] {
        if let Some(value) = value {
            length(place, value, most)?;
        }
    }
    for (name, value) in &headers.custom {
        length(&format!("the header Custom_{}", shown(name)), value, 250)?;
    }
    Ok(())
}

fn length(place: &str, value: &str, most: usize) -> Result<(), Failure> {
    // A character has a byte at least, so most values are not counted.
    if value.len() <= most || value.chars().count() <= most {
        return Ok(());
    }
    let count = value.chars().count();
    let text = format!("{place} has {count} characters, {most} are allowed: '{}'", shown(value));
    Err(Failure::new(FailureCode::IdTooLong, text))
}

/// What does not stop a message but the operator should hear of.
pub(super) fn warn(
    headers: &Headers<'_>,
    envelope: &Envelope,
    point: &ConnectionPoint,
    settings: &Document,
    named: &Named,
    bytes: usize,
    warnings: &mut Vec<Warning>,
) {
    let mut add = |code, text: String| warnings.push(Warning { code, text });
    warn_of_senders(headers, envelope, point, &mut add);
    warn_of_bod_id(envelope, named, &mut add);

    let incomplete: Vec<_> = [
        ("ApplicationArea/Sender/LogicalID", &envelope.sender_logical_id),
        ("ApplicationArea/CreationDateTime", &envelope.creation_date_time),
        ("ApplicationArea/BODID", &envelope.bod_id),
    ]
    .into_iter()
    .filter_map(|(place, value)| value.is_none().then_some(place))
    .collect();
    if !incomplete.is_empty() {
        add("ENVELOPE_INCOMPLETE", format!("the document lacks {}", incomplete.join(", ")));
    }
    if bytes > settings.max_document_bytes / 5 * 4 {
        let text = format!("it has {bytes} of the {} bytes that are allowed", settings.max_document_bytes);
        add("DOCUMENT_NEARLY_TOO_LARGE", text);
    }
    let counted = i64::try_from(envelope.instances).unwrap_or(i64::MAX);
    if counted > 1 && matches!(envelope.verb.as_str(), "Sync" | "Process") {
        let text = format!("{counted} nouns in one {} document; receivers expect one", envelope.verb);
        add("SEVERAL_INSTANCES", text);
    }
    if let Ok(Some(said)) = headers.instances()
        && said != counted
    {
        add("INSTANCES_DIFFER", format!("the header Instances says {said}, the document holds {counted}"));
    }
    // A request to add a document comes before its id (spec/bod.md §4).
    if envelope.verb == "Process" || settings.order_by != OrderBy::Document {
        return;
    }
    match &settings.document_id_path {
        _ if named.lane_document_id.is_none() => {
            let text = "neither headers nor document name a document id; nothing keeps its order".to_owned();
            add("NO_DOCUMENT_ID", text);
        }
        Some(path) if envelope.path_document_id.is_none() => {
            let text = format!("nothing is at document_id_path {} in the document", shown(path));
            add("DOCUMENT_ID_PATH_EMPTY", text);
        }
        _ => {}
    }
}

fn warn_of_senders(
    headers: &Headers<'_>,
    envelope: &Envelope,
    point: &ConnectionPoint,
    add: &mut impl FnMut(&'static str, String),
) {
    let tenant = point.source_tenant_id.as_ref().unwrap_or(&point.tenant_id);
    if let Some(said) = headers.get("TenantId").filter(|said| !said.eq_ignore_ascii_case(tenant)) {
        let text = format!("the header TenantId says {}, the connection point's is {tenant}", shown(said));
        add("TENANT_DIFFERS", text);
    }
    let own = &point.logical_id;
    let is_own = |said: &str| said == own || Some(said) == point.source_logical_id.as_deref();
    if let Some(said) = headers.get("FromLogicalId").filter(|said| !is_own(said)) {
        let text = format!("the header FromLogicalId says {}, sent is {own}", shown(said));
        add("FROM_LOGICAL_ID_DIFFERS", text);
    }
    if let Some(said) = envelope.sender_logical_id.as_ref().filter(|said| *said != own) {
        let text = format!("Sender/LogicalID of the document is {}, the sender is {own}", shown(said));
        add("SENDER_LOGICAL_ID_DIFFERS", text);
    }
}

/// A BODID of the form `infor-nid:…` that names another document than the rest does. Replies are left out: they
/// repeat the BODID of their request (spec/bod.md §3).
fn warn_of_bod_id(envelope: &Envelope, named: &Named, add: &mut impl FnMut(&'static str, String)) {
    let Some(nid) = &envelope.nid else { return };
    if DocumentType::new(envelope.verb.as_str(), envelope.noun.as_str()).follows_from_request() {
        return;
    }
    let variation = named.variation_id.map(|variation| variation.to_string());
    for (code, part, in_nid, elsewhere) in [
        ("DOCUMENT_ID_AMBIGUOUS", "document id", &nid.document_id, &named.document_id),
        ("BODID_DIFFERS", "accounting entity", &nid.accounting_entity, &named.accounting_entity),
        ("BODID_DIFFERS", "location", &nid.location, &named.location),
        ("BODID_DIFFERS", "revision id", &nid.revision_id, &named.revision_id),
        ("BODID_DIFFERS", "variation id", &nid.variation_id, &variation),
        ("BODID_DIFFERS", "verb", &nid.verb, &Some(envelope.verb.clone())),
        ("BODID_DIFFERS", "noun", &nid.noun, &Some(envelope.noun.clone())),
    ] {
        if let (Some(in_nid), Some(elsewhere)) = (in_nid, elsewhere)
            && in_nid != elsewhere
        {
            let (in_nid, elsewhere) = (shown(in_nid), shown(elsewhere));
            add(code, format!("the BODID says {part} '{in_nid}', headers or document say '{elsewhere}'"));
        }
    }
}
