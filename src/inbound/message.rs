//! From a request's bytes to a document that may be stored, or to the reason why not: parse, route, decode, check.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use uuid::Uuid;

use super::answer::Refusal;
use super::request::Endpoint;
use crate::bod::received;
use crate::domain::failure::Failure;
use crate::domain::ids::Digest;
use crate::domain::incoming::{InboundRules, Incoming};
use crate::domain::message::Encoding;
use crate::domain::routing::{Addressed, Route, Routed, Routes};
use crate::ims::wire::{self, Malformed, Received};

/// Seconds until a document whose database is not ready should come again.
pub(super) const RETRY_SECONDS: u64 = 10;
/// The tenant of a call (spec/ims.md §4).
const TENANT: &str = "x-tenantid";
const TENANT_CHARACTERS: usize = 22;

/// A message that was read and belongs to somebody; its payload is still encoded.
pub(super) struct Routable {
    pub received: Received,
    pub route: Arc<Route>,
    pub rules: InboundRules,
    pub tenant_id: String,
}

/// A refusal with what is known of the document that it is about.
#[derive(Debug)]
pub(super) struct Refused {
    pub refusal: Box<Refusal>,
    /// Database and connection point, where one is meant.
    pub point: Option<(usize, String)>,
    pub document_name: Option<String>,
    pub message_id: Option<String>,
    /// Nobody listed it.
    pub is_unlisted: bool,
    /// The operator has heard of it.
    pub is_told: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal: Box::new(refusal),
            point: None,
            document_name: None,
            message_id: None,
            is_unlisted: false,
            is_told: false,
        }
    }
}

/// The tenant that a call names.
pub(super) fn tenant_id(headers: &HeaderMap) -> Result<String, Refusal> {
    let wrong = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, "TENANT_MISSING", text);
    let mut values = headers.get_all(TENANT).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong("the header X-TenantId is missing, or is there more than once"));
    };
    match value.to_str().map(str::trim) {
        Ok(tenant) if !tenant.is_empty() && tenant.chars().count() <= TENANT_CHARACTERS => {
            Ok(tenant.to_owned())
        }
        _ => Err(wrong("the header X-TenantId holds no tenant of 1 to 22 characters")),
    }
}

/// Reads the parts and parameters, and finds the connection point.
pub(super) fn route(
    head: &Parts,
    endpoint: Endpoint,
    prefix: &[&str],
    body: &Bytes,
    routes: &Routes,
    max_parts: usize,
) -> Result<Routable, Refused> {
    let tenant_id = tenant_id(&head.headers)?;
    let content_type =
        head.headers.get(hyper::header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let read = match endpoint {
        Endpoint::MessageOfHeaders => {
            wire::read_message(content_type, body, &head.headers, head.uri.query(), max_parts)
        }
        _ => wire::read_multipart_message(content_type, body, max_parts),
    };
    let received = read.map_err(malformed)?;
    let parameters = &received.parameters;
    let of_document = |refusal: Refusal| Refused {
        document_name: Some(parameters.document_name.clone()),
        message_id: Some(parameters.message_id.clone()),
        ..refusal.into()
    };
    received::check_parameters(parameters).map_err(|failure| Refused {
        document_name: None,
        message_id: None,
        ..of_document(unfit(&failure))
    })?;
    let addressed = Addressed {
        tenant_id: &tenant_id,
        to_logical_id: &parameters.to_logical_id,
        document_name: &parameters.document_name,
        prefix,
    };
    match routes.find(&addressed) {
        Routed::To(route, rules) => Ok(Routable { route, rules, tenant_id, received }),
        Routed::NotYet(_) => {
            let text = "the database of this document is not ready: send it again";
            Err(of_document(Refusal::later("NOT_READY", text, RETRY_SECONDS)))
        }
        Routed::Unlisted { connection_point, reason } => {
            let site = routes.of_tenant(&tenant_id).iter().find_map(|route| {
                (Some(&route.plan.connection_point) == connection_point.as_ref()).then_some(route.site)
            });
            Err(Refused {
                point: site.zip(connection_point),
                is_unlisted: true,
                ..of_document(Refusal::new(StatusCode::PRECONDITION_FAILED, "NOT_LISTED", reason))
            })
        }
    }
}

/// Decodes and checks: what comes out may be stored.
pub(super) fn check(routable: Routable, host: &str, now: DateTime<Utc>) -> Result<Incoming, Refused> {
    let Routable { received: Received { parameters, payload }, route, rules, tenant_id } = routable;
    let refused = |refusal: Refusal| Refused {
        point: Some((route.site, route.plan.connection_point.clone())),
        document_name: Some(parameters.document_name.clone()),
        message_id: Some(parameters.message_id.clone()),
        ..refusal.into()
    };
    let document = wire::inflate(&payload, parameters.encoding, rules.max_document_bytes)
        .map_err(|it| refused(malformed(it)))?;
    received::check_document(&parameters, &document, rules.namespace.as_deref())
        .map_err(|failure| refused(unfit(&failure)))?;
    Ok(Incoming {
        message_key: Uuid::now_v7().to_string(),
        connection_point: route.plan.connection_point.clone(),
        tenant_id,
        digest: Digest::of(&document).to_string(),
        wire_bytes: i64::try_from(payload.len()).unwrap_or(i64::MAX),
        payload: document,
        parameters,
        rules,
        host: host.to_owned(),
        received_at: now,
    })
}

/// Whether decoding and checking take long enough to be done aside.
pub(super) fn is_long_work(routable: &Routable) -> bool {
    /// Checked within a millisecond.
    const SHORT: usize = 64 * 1024;
    let deflated = routable.received.parameters.encoding == Encoding::Deflate;
    routable.received.payload.len() > if deflated { SHORT / 16 } else { SHORT }
}

fn malformed(malformed: Malformed) -> Refusal {
    if malformed.is_too_large {
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", malformed.what);
    }
    Refusal::new(StatusCode::BAD_REQUEST, "MALFORMED", malformed.what)
}

/// The remedy of a failure is for who writes an outbox: only code and text are for ION.
fn unfit(failure: &Failure) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, failure.code.clone(), failure.text.clone())
}
