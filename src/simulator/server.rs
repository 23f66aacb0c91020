//! The simulator's requests: who may ask, what is stored, what is answered, and where a fault steps in.
//!
//! A handler that returns `HangUp` makes hyper drop the connection without a byte of an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::TimeDelta;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Options;
use super::ledger::{Ledger, UnderWay};
use super::oauth::{Holder, OAuth};
use super::script::{Faults, On, What};
use crate::clock::{Clock, SystemClock};
use crate::ims::wire::{self, Received};
use crate::listener::accept;

/// ION's largest licence tier and its buffer (spec/ims.md §9), with room for the parameters, bytes.
const MAX_BODY: usize = 52 * 1024 * 1024;
const MAX_DOCUMENT: usize = 51 * 1024 * 1024;
/// More parts than this are an attack or a mistake.
const MAX_PARTS: usize = 16;
/// Connections at once.
const MAX_CONNECTIONS: usize = 1024;

pub(super) struct State {
    pub(super) options: Options,
    pub(super) started: Instant,
    pub(super) ledger: Arc<Ledger>,
    pub(super) oauth: Mutex<OAuth>,
    pub(super) faults: Mutex<Faults>,
    pub(super) accepted: RwLock<Option<BTreeSet<String>>>,
    pub(super) logical_ids: RwLock<Option<BTreeSet<String>>>,
    pub(super) statuses: Mutex<BTreeMap<u16, u64>>,
    /// Its clock is ahead of this machine's, seconds.
    pub(super) clock_ahead: AtomicI64,
}

impl State {
    pub(super) fn oauth(&self) -> MutexGuard<'_, OAuth> {
        self.oauth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self, on: On, message: Option<&Received>) -> Option<What> {
        let arrivals = self.ledger.counts().stored;
        self.faults().next(on, message.map(|it| &it.parameters), self.started.elapsed(), arrivals)
    }

    fn is_accepted(&self, document_name: &str) -> bool {
        let accepted = self.accepted.read().unwrap_or_else(PoisonError::into_inner);
        accepted.as_ref().is_none_or(|names| names.contains(document_name))
    }

    fn has_connection_point(&self, logical_id: &str) -> bool {
        let ids = self.logical_ids.read().unwrap_or_else(PoisonError::into_inner);
        ids.as_ref().is_none_or(|ids| ids.contains(logical_id))
    }
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulator hangs up")]
struct HangUp;

/// An answer's body; a cut one promises a byte more than it has, and then breaks.
struct AnswerBody {
    content: Option<Bytes>,
    is_cut: bool,
    /// Only what a pending body has let hyper flush goes out before the connection ends.
    was_flushed: bool,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = HangUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HangUp>>> {
        match self.content.take() {
            Some(content) if !content.is_empty() => Poll::Ready(Some(Ok(Frame::data(content)))),
            _ if self.is_cut && !self.was_flushed => {
                self.was_flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            _ if self.is_cut => Poll::Ready(Some(Err(HangUp))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_cut && self.content.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.content.as_ref().map_or(0, Bytes::len) as u64;
        SizeHint::with_exact(length + u64::from(self.is_cut))
    }
}

type Answer = Response<AnswerBody>;

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    accept(listener, MAX_CONNECTIONS, |stream, _, place| {
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        tokio::spawn(async move {
            match state.options.tls.clone() {
                None => converse(stream, &state).await,
                Some(tls) => {
                    // Who does not finish the handshake is gone.
                    if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                        converse(stream, &state).await;
                    }
                }
            }
            drop(place);
        });
    })
    .await;
}

/// Answers the requests of one connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) {
    let handler = hyper::service::service_fn(async |request| {
        let answer = handle(state, request).await;
        answer.map(|answer| with_date(answer, state.clock_ahead.load(Ordering::Relaxed)))
    });
    // Its error is a client that went away, or HangUp: both are meant.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), handler)
        .await;
}

/// The date of a server whose clock is so many seconds ahead.
fn with_date(mut answer: Answer, ahead: i64) -> Answer {
    if ahead != 0 {
        let date =
            (SystemClock.now() + TimeDelta::seconds(ahead)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = date.parse() {
            answer.headers_mut().insert(hyper::header::DATE, date);
        }
    }
    answer
}

async fn handle(state: &State, request: Request<Incoming>) -> Result<Answer, HangUp> {
    let path = request.uri().path();
    let tenant = format!("/{}/", state.options.tenant_id);
    let Some(rest) = path.strip_prefix(&*tenant) else {
        return Ok(plain(404, "no such tenant"));
    };
    if let Some(name) = rest.strip_prefix("as/") {
        let name = name.to_owned();
        return handle_oauth(state, &name, request).await;
    }
    let Some(rest) = rest.strip_prefix("IONSERVICES/api/ion/messaging/service/") else {
        return Ok(plain(404, "no such service"));
    };
    let segments: Vec<&str> = rest.split('/').collect();
    match (request.method(), &segments[..]) {
        (&Method::POST, ["v3", "multipartMessage"]) => handle_post(state, request, Form::V3).await,
        (&Method::POST, ["v3", "message", "multipart"]) => handle_post(state, request, Form::V3Message).await,
        (&Method::POST, ["v2", "multipartMessage"]) => handle_post(state, request, Form::V2).await,
        (&Method::GET, ["ping"]) => {
            handle_get(state, &request, On::Ping, || json(r#"{"status":"OK","code":200}"#)).await
        }
        (&Method::GET, ["versions"]) => {
            handle_get(state, &request, On::Versions, || json(r#"{"supportedVersions":["v1","v2","v3"]}"#))
                .await
        }
        (&Method::GET, ["v3", id, "acceptedDocuments"]) => {
            handle_get(state, &request, On::AcceptedDocuments, || accepted_documents(state, id)).await
        }
        (_, ["ping" | "versions"] | ["v3" | "v2", ..]) => Ok(plain(405, "no such method here")),
        _ => Ok(plain(404, "no such path")),
    }
}

async fn handle_oauth(state: &State, name: &str, request: Request<Incoming>) -> Result<Answer, HangUp> {
    if request.method() != Method::POST {
        return Ok(plain(405, "POST only"));
    }
    let authorization = request.headers().get(AUTHORIZATION).cloned();
    let authorization = authorization.as_ref().and_then(|it| it.to_str().ok());
    let Ok(body) = Limited::new(request.into_body(), 64 * 1024).collect().await else {
        return Err(HangUp);
    };
    let form = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match name {
        "token.oauth2" => {
            let fault = state.next_fault(On::Token, None);
            match fault {
                None | Some(What::Slow { .. } | What::StoreThenLoseAnswer | What::StoreThenCutAnswer) => {
                    let answer = state.oauth().issue(authorization, &form);
                    let answer = with_status(json(&answer.json), answer.status);
                    finish(fault, answer).await
                }
                Some(fault) => {
                    state.oauth().requests += 1;
                    refuse(state, fault, authorization).await
                }
            }
        }
        "revoke_token.oauth2" => Ok(plain(state.oauth().revoke(authorization, &form), "")),
        _ => Ok(plain(404, "no such path")),
    }
}

async fn handle_get(
    state: &State,
    request: &Request<Incoming>,
    on: On,
    answer: impl FnOnce() -> Answer,
) -> Result<Answer, HangUp> {
    let authorization = authorization_of(request.headers());
    if let Err(refused) = may_ask(state, authorization) {
        return Ok(refused);
    }
    match state.next_fault(on, None) {
        fault @ (None | Some(What::Slow { .. } | What::StoreThenLoseAnswer | What::StoreThenCutAnswer)) => {
            finish(fault, answer()).await
        }
        Some(other) => refuse(state, other, authorization).await,
    }
}

fn accepted_documents(state: &State, id: &str) -> Answer {
    let logical_id = match reqwest::Url::parse(&format!("http://id/?id={id}")) {
        Ok(url) => url.query_pairs().next().map(|(_, id)| format!("lid://{id}")).unwrap_or_default(),
        Err(_) => String::new(),
    };
    if !state.has_connection_point(&logical_id) {
        return plain(412, "no active connection point has this logical id");
    }
    let accepted = state.accepted.read().unwrap_or_else(PoisonError::into_inner).clone();
    match accepted {
        Some(names) => json(&serde_json::json!({ "acceptedDocuments": names }).to_string()),
        // Everything is accepted, and there is no way to list everything.
        None => json(r#"{"note":"every document is accepted"}"#),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    V3,
    V3Message,
    V2,
}

async fn handle_post(state: &State, request: Request<Incoming>, form: Form) -> Result<Answer, HangUp> {
    let result = post(state, request, form).await;
    let status = result.as_ref().map_or(0, |answer| answer.status().as_u16());
    *state.statuses.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
    result
}

async fn post(state: &State, request: Request<Incoming>, form: Form) -> Result<Answer, HangUp> {
    let (head, body) = request.into_parts();
    let authorization = authorization_of(&head.headers);
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Ok(plain(413, "too large")),
        Err(_) => return Err(HangUp),
    };
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let received = match form {
        Form::V3 | Form::V2 => wire::read_multipart_message(content_type, &body, MAX_PARTS),
        Form::V3Message => {
            wire::read_message(content_type, &body, &head.headers, head.uri.query(), MAX_PARTS)
        }
    };
    // Before the faults: a post that is sent again with another token must not use one up.
    if let Err(answer) = may_ask(state, authorization) {
        return Ok(answer);
    }
    let under_way = received.as_ref().ok().map(|it| state.ledger.begin(&it.parameters));
    let fault = state.next_fault(On::Post, received.as_ref().ok());
    let stores = matches!(
        fault,
        None | Some(What::StoreThenLoseAnswer | What::StoreThenCutAnswer | What::Slow { .. } | What::BadJson)
    );
    if let Some(fault) = fault.clone().filter(|_| !stores) {
        return refuse(state, fault, authorization).await;
    }
    let (received, under_way) = match (received, under_way) {
        (Ok(received), Some(under_way)) => (received, under_way),
        // v2 says 412 of format errors too (spec/ims.md §3, A6).
        (Err(malformed), _) => return Ok(plain(if form == Form::V2 { 412 } else { 400 }, &malformed.what)),
        (Ok(_), None) => return Err(HangUp),
    };
    let answer = store(state, &received, &under_way, form);
    // Whatever else has come by now is read while this one is under way, so that overlaps in a lane show.
    tokio::task::yield_now().await;
    let result = finish(fault, answer).await;
    // Before the answer's first byte, so that what follows on it does not seem to overlap.
    drop(under_way);
    result
}

fn store(state: &State, received: &Received, under_way: &UnderWay, form: Form) -> Answer {
    let parameters = &received.parameters;
    if !state.has_connection_point(&parameters.from_logical_id) {
        return plain(403, "fromLogicalId is not that of a connection point with this client id");
    }
    if !state.is_accepted(&parameters.document_name) {
        return plain(
            412,
            &format!("{} is not on the Documents tab of the connection point", parameters.document_name),
        );
    }
    let document = match wire::inflate(&received.payload, parameters.encoding, MAX_DOCUMENT) {
        Ok(document) if document.is_empty() => return plain(400, "the payload is empty"),
        Ok(document) => document,
        Err(malformed) => return plain(400, &malformed.what),
    };
    let at_ms = u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match state.ledger.store(under_way, parameters, &document, at_ms) {
        Ok(()) => empty(if form == Form::V2 { 201 } else { 202 }),
        Err(error) => plain(500, &format!("the ledger could not be written: {error}")),
    }
}

#[allow(clippy::result_large_err)] // the answer is what the caller sends; one a request
fn may_ask(state: &State, authorization: Option<&str>) -> Result<(), Answer> {
    match state.oauth().holder(authorization) {
        Holder::Bound => Ok(()),
        Holder::Other => {
            Err(plain(403, "this client id is not the API Gateway Client Id of a connection point"))
        }
        Holder::Nobody => Err(plain(401, "the token is unknown or has expired")),
    }
}

/// Faults that come instead of the work.
async fn refuse(state: &State, fault: What, authorization: Option<&str>) -> Result<Answer, HangUp> {
    match fault {
        What::Refuse { status, retry_after, text } => {
            let mut answer = plain(status, text.as_deref().unwrap_or("refused by the script"));
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(answer)
        }
        What::ResetBeforeStore => Err(HangUp),
        What::NeverAnswer => {
            // hyper drops this when the client hangs up.
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        What::TokenExpired => {
            state.oauth().revoke_bearer(authorization);
            Ok(plain(401, "the token has expired"))
        }
        What::Redirect => {
            let mut answer = plain(302, "");
            answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/login?return=here"));
            Ok(answer)
        }
        What::BadJson => Ok(json(r#"{"status":"OK","#)),
        What::Garbage | What::StoreThenLoseAnswer | What::StoreThenCutAnswer | What::Slow { .. } => {
            let mut answer = plain(200, "<!DOCTYPE html><html><body>Please sign in</body></html>");
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            Ok(answer)
        }
    }
}

/// Faults that come after the work.
async fn finish(fault: Option<What>, answer: Answer) -> Result<Answer, HangUp> {
    match fault {
        Some(What::StoreThenLoseAnswer) => Err(HangUp),
        Some(What::StoreThenCutAnswer) => Ok(answer.map(|body| AnswerBody { is_cut: true, ..body })),
        Some(What::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(answer)
        }
        Some(What::BadJson) if answer.status().is_success() => {
            Ok(with_status(json(r#"{"status":"OK","#), answer.status().as_u16()))
        }
        _ => Ok(answer),
    }
}

fn authorization_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok())
}

fn with_status(mut answer: Answer, status: u16) -> Answer {
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *answer.status_mut() = status;
    }
    answer
}

fn empty(status: u16) -> Answer {
    with_status(Response::new(AnswerBody { content: None, is_cut: false, was_flushed: false }), status)
}

fn plain(status: u16, text: &str) -> Answer {
    let errors = serde_json::json!({ "errors": [text] }).to_string();
    // A text that is a page or JSON by itself goes as it is.
    let is_whole = text.starts_with(['<', '{']);
    let content = if is_whole { text.to_owned() } else { errors };
    with_status(json(&content), status)
}

fn json(text: &str) -> Answer {
    let content = Some(Bytes::copy_from_slice(text.as_bytes()));
    let mut answer = Response::new(AnswerBody { content, is_cut: false, was_flushed: false });
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
