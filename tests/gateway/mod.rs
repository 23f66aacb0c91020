//! A gateway that speaks HTTP/2 and ends its connections in the ways that gateways do, before a simulator that speaks
//! HTTP/1.1.

#![allow(dead_code)] // each test binary uses a part of it

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bodrelay::ims::Client;
use bodrelay::listener::ListenerThread;
use bodrelay::simulator::Simulator;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpListener;

#[path = "../certificate/mod.rs"]
mod certificate;

/// How the gateway ends what it does not want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// As nginx with `keepalive_requests`: after so many requests of a connection a GOAWAY that names the last of them;
    /// these are answered, further ones are not looked at.
    After(u64),
    /// As hyper's servers end: first a GOAWAY that names no stream, later one that names the last.
    GracefullyAfter(u64),
    /// Every n-th request is reset with REFUSED_STREAM.
    Refuses(u64),
    /// A GOAWAY that names the request, and the connection is gone: it was taken, and nobody knows.
    TakesAndBreaks,
}

/// The gateway, before a simulator that speaks HTTP/1.1.
pub struct Gateway {
    _thread: ListenerThread,
    /// Requests that it looked at.
    pub seen: Arc<AtomicU64>,
    pub connections: Arc<AtomicU64>,
}

impl Gateway {
    /// Writes `gateway.ionapi` and `ca.pem`.
    pub fn start(simulator: &Simulator, folder: &Path, ends: Ends) -> Self {
        let mut config = (*certificate::localhost(folder, None)).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let target = format!("http://{}", simulator.address());
        let (seen, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, looked) = (connections.clone(), seen.clone());
        let origin = target.clone();
        let serve = move |listener: TcpListener| async move {
            let http = reqwest::Client::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, target, seen, http) =
                    (acceptor.clone(), target.clone(), looked.clone(), http.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let (near, far) = tokio::io::duplex(1 << 20);
                    let cut = match ends {
                        Ends::After(requests) => requests,
                        _ => u64::MAX,
                    };
                    tokio::spawn(carry(stream, far, cut));
                    answer_all(near, ends, target, seen, http).await;
                });
            }
        };
        let thread = ListenerThread::start("gateway", ([127, 0, 0, 1], 0).into(), serve).unwrap();
        let port = thread.address().port();
        let file = simulator.ionapi_json().replace(&origin, &format!("https://localhost:{port}"));
        bodrelay::platform::replace_file(&folder.join("gateway.ionapi"), file.as_bytes()).unwrap();
        Self { _thread: thread, seen, connections }
    }

    pub fn client(&self, folder: &Path, settings: &str) -> Client {
        let text = format!(
            "credentials = {:?}\nca_file = {:?}\n{settings}",
            folder.join("gateway.ionapi"),
            folder.join("ca.pem")
        );
        Client::new(&toml::from_str(&text).unwrap(), folder).unwrap()
    }
}

/// Answers every request of a connection with what the simulator answers.
async fn answer_all(
    io: DuplexStream,
    ends: Ends,
    target: String,
    seen: Arc<AtomicU64>,
    http: reqwest::Client,
) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
    let mut here = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        here += 1;
        let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
        let is_token = request.uri().path().contains("token");
        match ends {
            Ends::Refuses(every) if number.is_multiple_of(every) => {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
                continue;
            }
            Ends::TakesAndBreaks if !is_token => {
                connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                continue;
            }
            Ends::GracefullyAfter(requests) if here == requests => connection.graceful_shutdown(),
            _ => {}
        }
        let (target, http) = (target.clone(), http.clone());
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                bytes.extend_from_slice(&data);
            }
            let path = head.uri.path_and_query().unwrap().as_str();
            let request = http.request(head.method, format!("{target}{path}"));
            // What breaks behind the gateway breaks before it.
            let Ok(answer) = request.headers(head.headers).body(bytes).send().await else {
                return respond.send_reset(h2::Reason::INTERNAL_ERROR);
            };
            let status = answer.status();
            let Ok(bytes) = answer.bytes().await else {
                return respond.send_reset(h2::Reason::INTERNAL_ERROR);
            };
            let answer = hyper::Response::builder().status(status).body(()).unwrap();
            if let Ok(mut stream) = respond.send_response(answer, false) {
                let _ = stream.send_data(bytes, true);
            }
        });
    }
}

/// Carries frames both ways. After the `cut`-th request a GOAWAY that names it goes to the client, and no frame of a later
/// stream reaches the server; once all are answered the connection ends.
async fn carry(stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, far: DuplexStream, cut: u64) {
    let (mut from_client, to_client) = tokio::io::split(stream);
    let (from_server, mut to_server) = tokio::io::split(far);
    let out = Arc::new(Mutex::new(Vec::new()));
    let wake = Arc::new(tokio::sync::Notify::new());
    tokio::spawn(answers(from_server, to_client, out.clone(), wake.clone()));
    let mut preface = [0; 24];
    if from_client.read_exact(&mut preface).await.is_err() || to_server.write_all(&preface).await.is_err() {
        return;
    }
    let (mut requests, mut last) = (0, u32::MAX);
    while let Some((kind, stream, frame)) = frame(&mut from_client).await {
        if kind == 1 && stream <= last {
            requests += 1;
            if requests == cut {
                last = stream;
                let mut goaway = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
                goaway.extend(stream.to_be_bytes());
                goaway.extend(0_u32.to_be_bytes());
                out.lock().unwrap().extend(goaway);
                wake.notify_one();
            }
        }
        if stream <= last && to_server.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Frames of the server, with what is to be put in between.
async fn answers(
    mut from_server: ReadHalf<DuplexStream>,
    mut to_client: WriteHalf<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>,
    out: Arc<Mutex<Vec<u8>>>,
    wake: Arc<tokio::sync::Notify>,
) {
    let (frames, mut framed) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        while let Some((_, _, frame)) = frame(&mut from_server).await {
            if frames.send(frame).await.is_err() {
                break;
            }
        }
    });
    loop {
        let next = tokio::select! {
            frame = framed.recv() => frame,
            () = wake.notified() => Some(Vec::new()),
        };
        let Some(next) = next else { break };
        let between = std::mem::take(&mut *out.lock().unwrap());
        if to_client.write_all(&[between, next].concat()).await.is_err() || to_client.flush().await.is_err() {
            return;
        }
    }
    let _ = to_client.shutdown().await;
}

/// One frame: its kind, its stream, and all its bytes.
async fn frame(from: &mut (impl AsyncReadExt + Unpin)) -> Option<(u8, u32, Vec<u8>)> {
    let mut frame = vec![0; 9];
    from.read_exact(&mut frame).await.ok()?;
    let length = usize::try_from(u32::from_be_bytes([0, frame[0], frame[1], frame[2]])).unwrap();
    let stream = u32::from_be_bytes([frame[5] & 0x7f, frame[6], frame[7], frame[8]]);
    let kind = frame[3];
    frame.resize(9 + length, 0);
    from.read_exact(&mut frame[9..]).await.ok()?;
    Some((kind, stream, frame))
}
