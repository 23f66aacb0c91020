//! What the endpoint itself can take: the same body over and over on keep-alive connections, without an agent.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bodrelay::ims::oauth1::percent_encoded;
use bodrelay::simulator::{Options, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Anyhow;
use super::outbox::document;

const CONNECTIONS: usize = 32;
const BYTES: usize = 3_980;

/// Posts a second that a simulator takes from a plain load: the same body over and over on keep-alive connections.
pub fn yardstick(options: Options, time: Duration) -> Anyhow<f64> {
    let simulator = Simulator::start(options)?;
    let token = token(&simulator)?;
    let request = request(&simulator, &token);
    let address = simulator.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let counted = runtime.block_on(async {
        let until = Instant::now() + time;
        let loads = (0..CONNECTIONS).map(|_| load(address, request.clone(), until));
        futures_util::future::try_join_all(loads).await
    })?;
    Ok(counted.into_iter().sum::<u64>() as f64 / time.as_secs_f64())
}

async fn load(address: std::net::SocketAddr, request: Vec<u8>, until: Instant) -> Anyhow<u64> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 4096];
    let mut count = 0;
    while Instant::now() < until {
        stream.write_all(&request).await?;
        // The answers are small: one read holds a whole one.
        let read = stream.read(&mut answer).await?;
        anyhow::ensure!(
            answer[..read].starts_with(b"HTTP/1.1 202"),
            "{}",
            String::from_utf8_lossy(&answer[..read])
        );
        count += 1;
    }
    Ok(count)
}

fn request(simulator: &Simulator, token: &str) -> Vec<u8> {
    let parameters = "{\"documentName\":\"Sync.ItemMaster\",\"messageId\":\"yard\",\"fromLogicalId\":\"lid://infor.ims.bench\",\
                      \"toLogicalId\":\"lid://default\",\"encoding\":\"NONE\",\"characterSet\":\"UTF-8\"}";
    let body = format!(
        "--b1\r\nContent-Disposition: form-data; name=\"ParameterRequest\"\r\nContent-Type: application/json\r\n\r\n\
         {parameters}\r\n--b1\r\nContent-Disposition: form-data; name=\"MessagePayload\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{}\r\n--b1--\r\n",
        document("IT-1", "1", BYTES)
    );
    let path = simulator.base_url();
    let path = path.splitn(4, '/').nth(3).unwrap_or_default();
    let mut request = Vec::new();
    let _ = write!(
        request,
        "POST /{path}/service/v3/multipartMessage HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=b1\r\nContent-Length: {}\r\n\r\n{body}",
        simulator.address(),
        body.len()
    );
    request
}

/// A token as the agent would get it.
fn token(simulator: &Simulator) -> Anyhow<String> {
    let credential: serde_json::Value = serde_json::from_str(&simulator.ionapi_json())?;
    let field = |name: &str| credential[name].as_str().unwrap_or_default().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    runtime.block_on(async {
        let encoded = |name: &str| percent_encoded(&field(name));
        let form = format!("grant_type=password&username={}&password={}", encoded("saak"), encoded("sask"));
        let answer = reqwest::Client::new()
            .post(format!("{}{}", field("pu"), field("ot")))
            .basic_auth(encoded("ci"), Some(encoded("cs")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await?
            .text()
            .await?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        Ok(answer["access_token"].as_str().unwrap_or_default().to_owned())
    })
}
