//! Connections and requests: encryption, who calls, what is wanted, and the answer, each within its time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Handled, Refusal, empty, json, unauthorized};
use super::caller::{Call, Spent, Stranger, network};
use super::message::{self, RETRY_SECONDS, Refused};
use super::places::{Newcomer, Place};
use super::request::{Asked, Bounds, Endpoint, Taken, asked, read_body, share};
use super::writer::Outcome;
use super::{Shared, lock};
use crate::crash;
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::listener::accepted;

/// For the handshake of TLS.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Of a refused request's body so much is read, so that its answer is, too.
const DISCARDED_MAX: u64 = 256 * 1024;
const DISCARD_PATIENCE: Duration = Duration::from_secs(2);
/// Seconds until a caller that met the end of the agent should try again.
const STOPPING_SECONDS: u64 = 15;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, peer) = accepted(&listener).await;
        let network = network(peer.ip());
        let place = loop {
            let (place, crowd) = match shared.connections.admit(network, Instant::now()) {
                Newcomer::In(place) => break Some(place),
                Newcomer::InsteadOf(place, crowd) => (Some(place), crowd),
                Newcomer::NotIn => (None, network),
                Newcomer::Later => {
                    shared.connections.freed().await;
                    continue;
                }
            };
            note_crowd(&shared, crowd);
            break place;
        };
        let Some(place) = place else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Those that come after the stop are told so, and nobody waits for them.
            let before_stop = (!shared.is_stopping()).then(|| Arc::clone(&shared.places));
            let place = Arc::new(place);
            tokio::select! {
                () = connected(Arc::clone(&shared), stream, peer, Arc::clone(&place)) => {}
                () = place.is_asked_to_leave() => {}
            }
            drop((before_stop, place));
            shared.books.moved();
        });
    }
}

/// Connections of a peer are closed, or not taken, so that others find a place.
fn note_crowd(shared: &Shared, peer: IpAddr) {
    if let Some(times) = lock(&shared.crowds).note(peer, "", shared.clock.steady() / 1_000) {
        tell_crowd(shared, peer, times);
    }
}

pub(super) fn tell_crowd(shared: &Shared, peer: IpAddr, times: u64) {
    tracing::warn!(peer = %peer, times, "connections were closed: its strangers take the places of others");
    shared.books.notice(Notice::new("LISTENER_CROWDED", Severity::Warning, None, "connections").says(
        format!(
            "{times} connections of {peer} were closed or not taken: they were idle, or waited for their refusal, and \
             took the places of others"
        ),
        "If it is ION, a proxy or a monitor: let it close what it does not use, or make max_connections larger. If not, \
         somebody tries: close the port to that address.",
    ));
}

async fn connected(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, place: Arc<Place>) {
    let config = shared.files().certificate.as_ref().map(|certificate| Arc::clone(&certificate.config));
    match config {
        None => talk(shared, stream, peer, place).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            // Whoever does not manage it has got no word of HTTP yet.
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_PATIENCE, handshake).await {
                talk(shared, stream, peer, place).await;
            }
        }
    }
}

async fn talk<S>(shared: Arc<Shared>, stream: S, peer: SocketAddr, place: Arc<Place>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let max_header_bytes = usize::try_from(shared.settings.max_header_bytes).unwrap_or(usize::MAX);
    let stopped = shared.stopped();
    let serving = Arc::clone(&shared);
    let handler = hyper::service::service_fn(move |request| {
        handle(Arc::clone(&serving), peer, Arc::clone(&place), request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(shared.settings.header_seconds))
        .max_header_size(max_header_bytes)
        .max_buf_size(max_header_bytes.max(64 * 1024))
        // A caller may close its side when it has sent everything.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), handler);
    tokio::pin!(connection);
    // An error is a client that went away, was too slow, or sent no HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn handle(
    shared: Arc<Shared>,
    peer: SocketAddr,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Handled {
    let started = Instant::now();
    let _busy = place.request();
    let (head, body) = request.into_parts();
    let answer = answer(&shared, peer, &place, &head, body).await;
    let took = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    shared.books.answered(answer.status().as_u16(), took);
    Ok(answer)
}

async fn answer(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    place: &Place,
    head: &Parts,
    body: Incoming,
) -> Answer {
    match admit(shared, peer, head).await {
        Ok(()) => place.is_known(),
        Err(Spent::Used(stranger)) => {
            place.turned_away();
            return turn_away(shared, peer, body, &stranger).await;
        }
        Err(Spent::BeforeRestart) => {
            discard(body).await;
            let text = "the agent was started anew, and this signature is of before: sign the request again";
            return Refusal::later("SIGNED_BEFORE_RESTART", text, 2).answer();
        }
    }
    let asked = match asked(&head.method, head.uri.path()) {
        Ok(asked) => asked,
        Err(refusal) => {
            discard(body).await;
            return refusal.answer();
        }
    };
    if shared.is_stopping() {
        return stopping().answer();
    }
    match asked.endpoint {
        Endpoint::Ping => json(StatusCode::OK, r#"{"status":"OK","code":200}"#),
        Endpoint::Versions => json(StatusCode::OK, r#"{"supportedVersions":["v2","v3"]}"#),
        Endpoint::Protocol => protocol(shared),
        Endpoint::Discovery => {
            discard(body).await;
            discovery(shared, head).unwrap_or_else(|refusal| refusal.answer())
        }
        Endpoint::Message { .. } | Endpoint::MessageOfHeaders => receive(shared, head, body, &asked).await,
    }
}

fn stopping() -> Refusal {
    Refusal::later("STOPPING", "the agent ends: send it again in a moment", STOPPING_SECONDS).closing()
}

async fn admit(shared: &Shared, peer: SocketAddr, head: &Parts) -> Result<(), Spent> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).or_else(|| head.uri.authority().map(|it| it.as_str())).unwrap_or_default();
    let scheme = if shared.settings.is_encrypted() { "https" } else { "http" };
    let origins: Vec<String> = [Some(format!("{scheme}://{host}")), shared.settings.called_as.clone()]
        .into_iter()
        .flatten()
        .collect();
    let now = shared.clock.now().timestamp();
    let files = shared.files();
    let call = Call {
        http_method: head.method.as_str(),
        origins: &origins,
        path: head.uri.path(),
        query: head.uri.query(),
        authorization: text(AUTHORIZATION),
        now,
    };
    let welcome = files.callers.admit(&call).map_err(Spent::Used)?;
    if let Some(stamp) = &welcome.stamp {
        lock(&shared.nonces).take(stamp, now)?;
        shared.marks.reach(stamp).await;
    }
    if welcome.name.is_some() {
        lock(&shared.failures).forget(peer.ip());
    }
    Ok(())
}

/// 401, later with each failure of the same peer.
async fn turn_away(shared: &Shared, peer: SocketAddr, body: Incoming, stranger: &Stranger) -> Answer {
    let (delay, times) = lock(&shared.failures).note(peer.ip(), &stranger.0, shared.clock.steady() / 1_000);
    if let Some(times) = times {
        tell_refused(shared, peer.ip(), times, &stranger.0);
    }
    // As many wait at once as there are places for strangers.
    let slowed = Slowed::new(&shared.slowed);
    discard(body).await;
    tokio::time::sleep(delay).await;
    drop(slowed);
    unauthorized(&stranger.0, &shared.files().callers.challenge())
}

/// Calls of a peer that were turned away since it was last told.
pub(super) fn tell_refused(shared: &Shared, peer: IpAddr, times: u64, why: &str) {
    tracing::warn!(peer = %peer, times, why, "calls were turned away");
    let notice = Notice::new("CALLER_REFUSED", Severity::Warning, None, "callers");
    let what = match times {
        1 => format!("a call from {peer} was turned away"),
        times => format!("{times} calls from {peer} were turned away within a minute, the last one"),
    };
    shared.books.notice(notice.says(
        format!("{what}: {why}"),
        "If it is ION or the Enterprise Connector: make the [[listen.caller]] and the IMS connection point agree \
         (consumer key and secret, address). If not, somebody tries.",
    ));
}

/// One of those whose answer waits; also where the caller hangs up meanwhile.
struct Slowed<'a>(&'a AtomicUsize);

impl<'a> Slowed<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Slowed<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads a small body of a request that is refused, so that the caller reads the answer and not a broken connection.
async fn discard(mut body: Incoming) {
    if body.size_hint().upper().is_none_or(|most| most > DISCARDED_MAX) {
        return;
    }
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DISCARD_PATIENCE, rest).await;
}

/// spec/ims.md §4.1.
fn protocol(shared: &Shared) -> Answer {
    let settings = &shared.settings;
    let text = serde_json::json!({
        "version": settings.protocol_version.as_str(),
        "messageMethod": settings.message_method.as_str(),
        "hasDiscovery": settings.has_discovery,
    });
    json(StatusCode::OK, &text.to_string())
}

/// The documents that the connection points of a tenant send and receive. The shape is ours: Infor's is not public.
fn discovery(shared: &Shared, head: &Parts) -> Result<Answer, Refusal> {
    let tenant_id = message::tenant_id(&head.headers)?;
    let routes = shared.routes();
    let mut documents: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for route in routes.of_tenant(&tenant_id) {
        for name in &route.sends {
            documents.entry(name.clone()).or_default().0 = true;
        }
        for document_type in route.plan.documents.keys() {
            documents.entry(document_type.to_string()).or_default().1 = true;
        }
    }
    if routes.of_tenant(&tenant_id).is_empty() {
        let text = format!("no connection point receives for the tenant {tenant_id}");
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "NOT_LISTED", text));
    }
    let documents: Vec<_> = documents
        .into_iter()
        .map(|(name, (sends, receives))| {
            serde_json::json!({ "documentName": name, "sends": sends, "receives": receives })
        })
        .collect();
    Ok(json(StatusCode::OK, &serde_json::json!({ "documents": documents }).to_string()))
}

async fn receive(shared: &Arc<Shared>, head: &Parts, body: Incoming, asked: &Asked<'_>) -> Answer {
    match take(shared, head, body, asked).await {
        // Only now: the document is committed.
        Ok(()) => match asked.endpoint {
            Endpoint::Message { v2: true } => empty(StatusCode::CREATED),
            _ => empty(StatusCode::ACCEPTED),
        },
        Err(refused) => {
            remark(shared, head, &refused);
            refused.refusal.answer()
        }
    }
}

async fn take(shared: &Arc<Shared>, head: &Parts, body: Incoming, asked: &Asked<'_>) -> Result<(), Refused> {
    let settings = &shared.settings;
    let bounds =
        Bounds { max_bytes: settings.max_body_bytes, patience: Duration::from_secs(settings.body_seconds) };
    let Taken { body, mut held } = tokio::select! {
        taken = read_body(&head.headers, body, bounds, &shared.memory) => taken?,
        () = shared.stopped() => return Err(stopping().into()),
    };
    let max_parts = usize::try_from(settings.max_parts).unwrap_or(usize::MAX);
    let routable = message::route(head, asked.endpoint, &asked.prefix, &body, &shared.routes(), max_parts)?;
    drop(body);
    let (site, host, now) = (routable.route.site, shared.host.clone(), shared.clock.now());
    let document = if message::is_long_work(&routable) {
        let checked = tokio::task::spawn_blocking(move || message::check(routable, &host, now));
        checked.await.map_err(|_| unready())??
    } else {
        message::check(routable, &host, now)?
    };
    // An inflated document is larger than what came.
    let bytes = document.payload.len() as u64;
    let has = held.num_permits() as u64 * super::request::SHARE;
    if bytes > has {
        held.merge(share(&shared.memory, bytes - has).map_err(|mut refusal| {
            refusal.closes = false;
            refusal
        })?);
    }
    let (point, name, id) = (
        document.connection_point.clone(),
        document.parameters.document_name.clone(),
        document.parameters.message_id.clone(),
    );
    let of_document = |refusal: Refusal| Refused {
        point: Some((site, point.clone())),
        document_name: Some(name.clone()),
        message_id: Some(id.clone()),
        ..refusal.into()
    };
    if shared.is_stopping() {
        return Err(of_document(stopping()));
    }
    let queued = shared.writers.get(site).and_then(|writer| writer.put(document, held));
    let Some(queued) = queued else {
        let text = "too many documents wait to be stored: send it again in a moment";
        return Err(of_document(Refusal::later("QUEUE_FULL", text, 5)));
    };
    match queued.await {
        Ok(Outcome::Stored) => {
            crash::point("before_answer");
            Ok(())
        }
        Ok(Outcome::Unfit) => {
            let text = "the inbox does not take this document as it is; others are taken";
            Err(Refused {
                is_told: true,
                ..of_document(Refusal::new(StatusCode::BAD_REQUEST, "NOT_STORED", text))
            })
        }
        Ok(Outcome::Later) | Err(_) => Err(of_document(unready())),
    }
}

fn unready() -> Refusal {
    Refusal::later(NOT_READY, "the database cannot be written to now: send it again", RETRY_SECONDS)
}

const NOT_READY: &str = "NOT_READY";

/// What the operator should hear of a refusal.
fn remark(shared: &Shared, head: &Parts, refused: &Refused) {
    let refusal = &refused.refusal;
    let name = refused.document_name.as_deref().unwrap_or("a request");
    let tenant = message::tenant_id(&head.headers).unwrap_or_default();
    let message_id = refused.message_id.as_deref().unwrap_or_default();
    // What comes again is not lost: its reason has its own line.
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        // Why a database cannot be written to, its writer has said.
        if let Some((site, point)) = refused.point.as_ref().filter(|_| refusal.code != NOT_READY) {
            shared.books.asked_again(*site, point, &refusal.text);
        }
        tracing::debug!(code = %refusal.code, document_name = name, message_id, tenant, "ION was asked to send again");
        return;
    }
    tracing::warn!(
        status = refusal.status.as_u16(),
        code = %refusal.code,
        document_name = name,
        message_id,
        tenant,
        "ION was told no"
    );
    if refused.is_told {
        return;
    }
    let point = refused.point.as_ref().map(|(_, point)| point.as_str());
    if let Some((site, point)) = &refused.point {
        let why = format!("{name}: {}", refusal.text);
        shared.books.refused(*site, point, name, shared.clock.now(), &why);
    }
    let notice = if refused.is_unlisted {
        let listed = DocumentType::parse(name).filter(DocumentType::is_plausible);
        let remedy = match (&refused.point, listed) {
            (Some((site, point)), Some(listed)) => {
                let database = &shared.writers[*site].database;
                format!(
                    "If it should be received: INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
                     VALUES ({}, 'in', {}, {}); then send the documents again in ION (Error BODs). If not, take it off \
                     the Documents tab in ION.",
                    database.quoted(point),
                    database.quoted(&listed.verb),
                    database.quoted(&listed.noun)
                )
            }
            (Some(_), None) => "This is no name of a document type: look at what sends it, and take it off the Documents \
                                tab in ION."
                .to_owned(),
            (None, _) => "Look at bodrelay_connection_point: one row with receive_mode = 'on' must have this tenant_id and, \
                     as logical_id, what ION sends as receiver; its documents are the rows of bodrelay_document with \
                     direction = 'in'. Then send the documents again in ION (Error BODs)."
                .to_owned(),
        };
        Notice::new("RECEIVED_NOT_LISTED", Severity::Error, point, format!("{tenant} {name}")).says(
            format!("ION sent {name} for the tenant {tenant}, and was told no: {}", refusal.text),
            remedy,
        )
    } else {
        Notice::new("RECEIVED_UNFIT", Severity::Error, point, name.to_owned()).says(
            format!("ION sent a document that cannot be taken ({}): {} (message {message_id})", refusal.code, refusal.text),
            "ION keeps it as an error (Error BODs): mend it where it was made, or the mapping in between, then send it \
             again there.",
        )
    };
    shared.books.notice(notice);
}
