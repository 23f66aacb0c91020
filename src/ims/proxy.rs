//! What a proxy says where it does not let through: its status line, which the HTTP client keeps to itself.
//!
//! Asked once more by hand after a failure, with the same user and password, and with nothing of any message.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::oauth1::percent_decoded;
use crate::domain::outside::printable;

const TIMEOUT: Duration = Duration::from_secs(5);
/// A status line is no longer.
const MOST: u64 = 200;

/// The status and its reason with which the proxy refuses to lead to `target`, as in `407 Proxy Authentication
/// Required`; `None`: it does not refuse, cannot be asked, or is itself reached by TLS.
pub(super) async fn refusal(proxy: &SecretString, target: &Url) -> Option<String> {
    let proxy = Url::parse(proxy.expose_secret()).ok().filter(|proxy| proxy.scheme() == "http")?;
    let line = tokio::time::timeout(TIMEOUT, status_line(&proxy, target)).await.ok()??;
    let (version, said) = line.split_once(' ')?;
    let status: u16 = said.get(..3)?.parse().ok()?;
    (version.starts_with("HTTP/") && !(200..300).contains(&status)).then(|| said.trim().to_owned())
}

/// What is to be done about it.
pub(super) fn remedy(said: &str) -> &'static str {
    match said.get(..3) {
        Some("407") => {
            "it wants a user and a password, or refuses those that it got: proxy = \"http://user:password@host:port\" in \
             [[ion]]"
        }
        Some("403") => {
            "it does not let this machine go there: ask whoever runs the proxy to allow the host and its port"
        }
        _ => "it could not lead there: ask whoever runs the proxy, with the host and the port",
    }
}

async fn status_line(proxy: &Url, target: &Url) -> Option<String> {
    let host = target.host_str()?;
    let authority = format!("{host}:{}", target.port_or_known_default()?);
    // Plain HTTP goes through as a whole request; a HEAD of nothing asks for the same leave.
    let line = match target.scheme() {
        "https" => format!("CONNECT {authority}"),
        _ => format!("HEAD http://{authority}/"),
    };
    let mut request = format!("{line} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    if !proxy.username().is_empty() {
        let decoded = |text: &str| percent_decoded(text).unwrap_or_default();
        let pair = format!("{}:{}", decoded(proxy.username()), decoded(proxy.password().unwrap_or_default()));
        request += &format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(pair));
    }
    request += "\r\n";
    let proxy_host = proxy.host_str()?.trim_matches(['[', ']']);
    let mut stream = TcpStream::connect((proxy_host, proxy.port_or_known_default()?)).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut line = Vec::new();
    let mut limited = stream.take(MOST);
    while !line.ends_with(b"\n") {
        line.push(limited.read_u8().await.ok()?);
    }
    let line = String::from_utf8_lossy(&line);
    Some(printable(line.trim_end()).into_owned())
}
