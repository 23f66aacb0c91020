//! The listener: one request a connection, bounded in every way, on a thread of its own.
//!
//! Whoever connects can hold a place for `PATIENCE` at most, and nothing of the relay.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::text::CONTENT_TYPE as METRICS_TYPE;
use super::{Reading, Turns, exposition};
use crate::listener::{ListenerThread, accept};

/// Connections at once; others wait in the system's queue until one has ended.
const CONNECTIONS: usize = 64;
/// A whole connection: head, answer, and a client that reads slowly.
const PATIENCE: Duration = Duration::from_secs(10);
/// The head alone.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD_MAX: usize = 16 * 1024;
/// The loop turns in milliseconds, unless something is very wrong.
const LOOP_PATIENCE: Duration = Duration::from_secs(3);

/// Somebody looks: what is answered goes to `reply`.
pub struct Ask {
    pub reply: oneshot::Sender<Reading>,
}

/// A listener under way; it ends when it is dropped.
pub struct Listener {
    thread: ListenerThread,
}

#[derive(Clone)]
struct Looks {
    asks: mpsc::Sender<Ask>,
    turns: Arc<Turns>,
}

impl Listener {
    /// Listens at once; looks come out of the receiver.
    ///
    /// # Errors
    /// The address is in use, or is none of this machine.
    pub fn start(listen: SocketAddr, turns: Arc<Turns>) -> Result<(Self, mpsc::Receiver<Ask>)> {
        let what = || {
            format!(
                "[metrics] listen = \"{listen}\": nothing can listen there. If the port is in use, another agent or \
                 program has it: write another one, or remove the section"
            )
        };
        let (asks, asked) = mpsc::channel(CONNECTIONS);
        let looks = Looks { asks, turns };
        let thread =
            ListenerThread::start("metrics", listen, |listener| serve(listener, looks)).with_context(what)?;
        Ok((Self { thread }, asked))
    }

    pub fn address(&self) -> SocketAddr {
        self.thread.address()
    }
}

async fn serve(listener: TcpListener, looks: Looks) {
    accept(listener, CONNECTIONS, |stream, _, place| {
        let looks = looks.clone();
        tokio::spawn(async move {
            let handler = hyper::service::service_fn(|request| answer(&looks, request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .max_buf_size(HEAD_MAX)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), handler);
            // An error is a client that went away or sent no HTTP; a time-out one that is too slow.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
            drop(place);
        });
    })
    .await;
}

async fn answer(looks: &Looks, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let known = matches!(path, "/metrics" | "/healthz" | "/readyz");
    let mut response = match (known, request.method()) {
        (false, _) => plain(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
        (true, &Method::GET | &Method::HEAD) => look(looks, path).await,
        (true, _) => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn look(looks: &Looks, path: &str) -> Response<Full<Bytes>> {
    let (reply, answered) = oneshot::channel();
    let reading = async {
        looks.asks.send(Ask { reply }).await.ok()?;
        answered.await.ok()
    };
    let since = looks.turns.since_last();
    let Ok(Some(reading)) = tokio::time::timeout(LOOP_PATIENCE, reading).await else {
        let what = match looks.turns.is_stopping() {
            true => "the agent stops\n".into(),
            false => format!("the loop last turned {:.1} s ago and does not answer\n", since.as_secs_f64()),
        };
        return plain(StatusCode::SERVICE_UNAVAILABLE, what);
    };
    match path {
        "/metrics" => {
            let mut response = plain(StatusCode::OK, exposition(&reading));
            let kind = hyper::header::HeaderValue::from_static(METRICS_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        "/readyz" => match reading.not_ready() {
            reasons if reasons.is_empty() => plain(StatusCode::OK, "ready\n"),
            reasons => plain(StatusCode::SERVICE_UNAVAILABLE, reasons),
        },
        _ => plain(
            StatusCode::OK,
            format!("alive; before this look the loop last turned {:.1} s ago\n", since.as_secs_f64()),
        ),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
