//! What is asked for, by method and path, and a request's body within its bounds.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderMap};
use hyper::{Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// Shares of the memory for bodies are of so many bytes.
pub(super) const SHARE: u64 = 1024;
/// A body without a length takes its memory in steps of so many shares.
const STEP: u64 = 64;
/// Seconds until a caller that found no room may try again.
const RETRY_SECONDS: u64 = 5;

/// What a path asks for (spec/ims.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Ping,
    Protocol,
    Versions,
    Discovery,
    /// Two parts; `v2` answers 201 and v3 202.
    Message {
        v2: bool,
    },
    /// One part, its parameters in headers or query.
    MessageOfHeaders,
}

/// A path that is one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub endpoint: Endpoint,
    /// What stands before `service`.
    pub prefix: Vec<&'a str>,
}

impl Endpoint {
    fn method(self) -> Method {
        match self {
            Self::Ping | Self::Protocol | Self::Versions => Method::GET,
            Self::Discovery | Self::Message { .. } | Self::MessageOfHeaders => Method::POST,
        }
    }
}

/// Reads method and path: any prefix, `service`, perhaps a company, then what is wanted.
pub(super) fn asked<'a>(method: &Method, path: &'a str) -> Result<Asked<'a>, Refusal> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let endpoints: [(&[&str], Endpoint); 8] = [
        (&["ping"], Endpoint::Ping),
        (&["protocol"], Endpoint::Protocol),
        (&["versions"], Endpoint::Versions),
        (&["v3", "discovery"], Endpoint::Discovery),
        (&["v2", "discovery"], Endpoint::Discovery),
        (&["v3", "multipartMessage"], Endpoint::Message { v2: false }),
        (&["v2", "multipartMessage"], Endpoint::Message { v2: true }),
        (&["v3", "message", "multipart"], Endpoint::MessageOfHeaders),
    ];
    let found = endpoints.iter().find_map(|(tail, endpoint)| {
        let (front, end) = segments.split_at_checked(segments.len().checked_sub(tail.len())?)?;
        let fits = end.iter().zip(*tail).all(|(segment, due)| segment.eq_ignore_ascii_case(due));
        let prefix = match front {
            [prefix @ .., service] if service.eq_ignore_ascii_case("service") => prefix,
            // A company's segment, as LN has it.
            [prefix @ .., service, _] if service.eq_ignore_ascii_case("service") => prefix,
            _ => return None,
        };
        fits.then(|| Asked { endpoint: *endpoint, prefix: prefix.to_vec() })
    });
    let Some(asked) = found else {
        let text = "no such path: under …/service/ there are ping, protocol, versions, v3/discovery, \
                    v3/multipartMessage, v3/message/multipart, v2/discovery and v2/multipartMessage";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "PATH_UNKNOWN", text));
    };
    let due = asked.endpoint.method();
    if *method != due {
        let text = format!("use {due} here");
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_WRONG", text));
    }
    Ok(asked)
}

/// A body that was read, and its share of the memory.
#[derive(Debug)]
pub(super) struct Taken {
    pub body: Bytes,
    pub held: OwnedSemaphorePermit,
}

/// How much of a body is taken, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub max_bytes: u64,
    pub patience: Duration,
}

/// Reads a body whole. Its memory is taken before it is read; where there is none, it is refused at once.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Incoming,
    bounds: Bounds,
    memory: &Arc<Semaphore>,
) -> Result<Taken, Refusal> {
    let length = match headers.get(CONTENT_LENGTH) {
        Some(_) => body.size_hint().exact(),
        None => None,
    };
    if length.is_some_and(|length| length > bounds.max_bytes) {
        return Err(too_large(bounds.max_bytes));
    }
    let mut held = share(memory, length.unwrap_or(SHARE))?;
    let read =
        tokio::time::timeout(bounds.patience, gather(body, length, bounds.max_bytes, memory, &mut held));
    match read.await {
        Ok(body) => Ok(Taken { body: body?, held }),
        Err(_) => {
            let text = format!("the body was not whole within {} s", bounds.patience.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", text).closing())
        }
    }
}

async fn gather(
    mut body: Incoming,
    length: Option<u64>,
    max_bytes: u64,
    memory: &Arc<Semaphore>,
    held: &mut OwnedSemaphorePermit,
) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        // hyper's text is about the protocol: a bad chunk, a connection that ended.
        let frame = frame.map_err(|error| {
            let text = format!("the body was cut off, or is not well written: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, "BODY_CUT_OFF", text).closing()
        })?;
        let Ok(data) = frame.into_data() else { continue };
        // A small body comes in one piece, and need not be copied.
        let Some(before) = first.take() else {
            if whole.is_empty() && length == Some(data.len() as u64) {
                first = Some(data);
                continue;
            }
            if whole.is_empty() {
                whole.reserve(length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default());
            }
            let total = (whole.len() + data.len()) as u64;
            if total > max_bytes {
                return Err(too_large(max_bytes));
            }
            let has = held.num_permits() as u64 * SHARE;
            if total > has {
                held.merge(share(memory, (total - has).max(STEP * SHARE))?);
            }
            whole.extend_from_slice(&data);
            continue;
        };
        whole.extend_from_slice(&before);
        whole.extend_from_slice(&data);
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// A share of the memory for so many bytes.
pub(super) fn share(memory: &Arc<Semaphore>, bytes: u64) -> Result<OwnedSemaphorePermit, Refusal> {
    let shares = u32::try_from(bytes.div_ceil(SHARE)).unwrap_or(u32::MAX);
    memory.clone().try_acquire_many_owned(shares).map_err(|_| {
        let text = "too much is under way already: send it again in a moment";
        Refusal::later("NO_ROOM", text, RETRY_SECONDS).closing()
    })
}

fn too_large(max_bytes: u64) -> Refusal {
    let text = format!("the body has more than {max_bytes} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", text).closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_and_a_company_are_taken() {
        for (path, endpoint, prefix) in [
            ("/service/ping", Endpoint::Ping, &[][..]),
            ("/a/b/service/protocol", Endpoint::Protocol, &["a", "b"]),
            ("/service/800/versions/", Endpoint::Versions, &[]),
            ("//ims//service/v3/message/multipart", Endpoint::MessageOfHeaders, &["ims"]),
            (
                "/c4ws/api/ion/messaging/service/800/v2/multipartMessage",
                Endpoint::Message { v2: true },
                &["c4ws", "api", "ion", "messaging"],
            ),
            ("/service/service/V3/MultipartMessage", Endpoint::Message { v2: false }, &["service"]),
        ] {
            let found = asked(&endpoint.method(), path).unwrap();
            assert_eq!((found.endpoint, &found.prefix[..]), (endpoint, prefix), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_says_what_is() {
        for path in
            ["/", "/ping", "/service", "/service/a/b/ping", "/v3/multipartMessage", "/service/v1/message"]
        {
            assert_eq!(asked(&Method::GET, path).unwrap_err().status, 404, "{path}");
        }
        assert_eq!(asked(&Method::POST, "/service/ping").unwrap_err().status, 405);
        assert_eq!(asked(&Method::GET, "/service/v3/multipartMessage").unwrap_err().status, 405);
    }
}
