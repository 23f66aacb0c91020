//! How fast the real binary relays, beside the simulator's own rate under a plain load in the same run.
//!
//! `cargo bench --bench relay [-- ENTRIES]` fills a SQLite outbox with entries of 4 KB, starts the simulator in this
//! process and the agent as a child, and prints messages a second, CPU a message and peak memory of the agent. Linux
//! only: the figures come from /proc.

#![expect(
    clippy::disallowed_methods,
    reason = "it watches another process, and nothing else runs in this one"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bodrelay::database::statements::scripts;
use bodrelay::simulator::{Options, Simulator};
use rusqlite::{Connection, params};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Anyhow<T> = anyhow::Result<T>;

const DOCUMENTS: usize = 5_000;
const CONNECTIONS: usize = 32;

fn main() -> Anyhow<()> {
    let entries: usize =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(50_000);
    let yardstick = yardstick(Duration::from_secs(4))?;
    println!(
        "simulator's own rate   {yardstick:>10.0} a second ({CONNECTIONS} connections, 4 KB, load in the same process)"
    );
    for log_messages in ["all", "problems"] {
        let figures = relay(entries, log_messages)?;
        println!("\nlog_messages = '{log_messages}', {entries} entries, {DOCUMENTS} documents");
        println!("messages a second      {:>10.0}", figures.rate);
        println!("of the simulator's own {:>10.2}", figures.rate / yardstick);
        println!("CPU a message          {:>10.1} µs", figures.cpu_us);
        println!("peak memory            {:>10.1} MB", figures.peak_mb);
        println!("start to first post    {:>10.0} ms", figures.first_ms);
    }
    Ok(())
}

struct Figures {
    rate: f64,
    cpu_us: f64,
    peak_mb: f64,
    first_ms: f64,
}

fn relay(entries: usize, log_messages: &str) -> Anyhow<Figures> {
    let folder = tempfile::tempdir()?;
    let simulator = Simulator::start(Options { bulk: true, ..Options::default() })?;
    std::fs::write(folder.path().join("demo.ionapi"), simulator.ionapi_json())?;
    fill(&folder.path().join("site.db"), entries, log_messages)?;
    let mut agent = start(folder.path())?;
    let begun = Instant::now();
    let mut first = None;
    loop {
        let stored = simulator.ledger().counts().distinct;
        if stored > 0 && first.is_none() {
            first = Some(begun.elapsed());
        }
        if stored >= entries as u64 {
            break;
        }
        anyhow::ensure!(agent.try_wait()?.is_none(), "the agent ended early");
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(600), "not done after 10 minutes: {stored}");
        std::thread::sleep(Duration::from_millis(2));
    }
    let posted = begun.elapsed();
    settled(&folder.path().join("site.db"), entries)?;
    let (cpu, peak_mb) = usage(agent.id())?;
    agent.kill()?;
    agent.wait()?;
    Ok(Figures {
        rate: entries as f64 / posted.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / entries as f64,
        peak_mb,
        first_ms: first.unwrap_or_default().as_secs_f64() * 1e3,
    })
}

/// Waits until every row carries its flag, so that the CPU figure holds the whole path.
fn settled(path: &Path, entries: usize) -> Anyhow<()> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let begun = Instant::now();
    loop {
        let done: i64 = connection.query_row(
            "SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 1",
            [],
            |row| row.get(0),
        )?;
        if done >= entries as i64 {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "only {done} rows are flagged");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(folder: &Path) -> Anyhow<Child> {
    let config = "[agent]\nhost = \"bench\"\nlocation = \"BENCH\"\nstate_dir = \"state\"\n[log]\nlevel = \"warn\"\n\
                  [[ion]]\ncredentials = \"demo.ionapi\"\n[[database]]\nname = \"site\"\nkind = \"sqlite\"\npath = \"site.db\"\n";
    std::fs::write(folder.join("bodrelay.toml"), config)?;
    Ok(Command::new(env!("CARGO_BIN_EXE_bodrelay"))
        .args(["run", "--config"])
        .arg(folder.join("bodrelay.toml"))
        .stdout(Stdio::null())
        .spawn()?)
}

fn fill(path: &Path, entries: usize, log_messages: &str) -> Anyhow<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(scripts::SQLITE_IOBOX)?;
    connection.execute_batch(scripts::SQLITE_INSTALL)?;
    connection.execute(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode,
             parallel_posts, batch_rows, log_messages)
         VALUES ('bench', 'BENCH', 'DEMO_TST', 'lid://infor.ims.bench', 'on', 32, 1000, ?1)",
        [log_messages],
    )?;
    connection.execute(
        "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('bench', 'out', 'Sync', 'ItemMaster')",
        [],
    )?;
    let transaction = connection.transaction()?;
    {
        let mut entry = transaction.prepare(
            "INSERT INTO COR_OUTBOX_ENTRY (C_XML, C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME,
                 C_WAS_PROCESSED) VALUES (?1, 'DEMO_TST', 'lid://infor.ims.bench', 4, '2026-03-02 08:15:30.120', 0)",
        )?;
        let mut header = transaction.prepare(
            "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (?1, ?2, ?3)",
        )?;
        for number in 0..entries {
            let document_id = format!("IT-{}", number % DOCUMENTS);
            let variation = (number / DOCUMENTS + 1).to_string();
            entry.execute([document(&document_id, &variation).into_bytes()])?;
            let id = transaction.last_insert_rowid();
            for (key, value) in [
                ("TenantId", "DEMO_TST"),
                ("MessageId", &format!("bench-{number}")),
                ("BODType", "Sync.ItemMaster"),
                ("FromLogicalId", "lid://infor.ims.bench"),
                ("ToLogicalId", "lid://default"),
                ("CreationDateTime", "2026-03-02T08:15:30.120Z"),
                ("DocumentId", &document_id),
                ("AccountingEntity", "AE10"),
                ("Location", "WH1"),
                ("VariationId", &variation),
            ] {
                header.execute(params![id, key, value])?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// A document of 4 KB.
fn document(document_id: &str, variation: &str) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SyncItemMaster xmlns=\"http://schema.infor.com/InforOAGIS/2\" \
         releaseID=\"9.2\"><ApplicationArea><Sender><LogicalID>lid://infor.ims.bench</LogicalID></Sender>\
         <CreationDateTime>2026-03-02T08:15:30.120Z</CreationDateTime><BODID>infor-nid:DEMO_TST:AE10:WH1:{document_id}:\
         ?ItemMaster&amp;verb=Sync&amp;variationID={variation}</BODID></ApplicationArea><DataArea><Sync>\
         <TenantID>DEMO_TST</TenantID><AccountingEntityID>AE10</AccountingEntityID><LocationID>WH1</LocationID>\
         <ActionCriteria><ActionExpression actionCode=\"Replace\"/></ActionCriteria></Sync><ItemMaster><ItemMasterHeader>\
         <DocumentID><ID accountingEntity=\"AE10\" location=\"WH1\" variationID=\"{variation}\">{document_id}</ID></DocumentID>"
    );
    let mut number = 0;
    while text.len() < 3_980 {
        number += 1;
        text.push_str(&format!(
            "\n<Property><NameValue name=\"acme.Attribute{number}\" type=\"StringType\">value {number}</NameValue></Property>"
        ));
    }
    text.push_str("</ItemMasterHeader></ItemMaster></DataArea></SyncItemMaster>");
    text
}

/// CPU time and peak memory of a process.
fn usage(pid: u32) -> Anyhow<(Duration, f64)> {
    /// Clock ticks a second, as Linux counts them for user space.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kilobytes: f64 = peak.trim().trim_end_matches(" kB").trim().parse()?;
    Ok((Duration::from_secs_f64(ticks / TICKS), kilobytes / 1024.0))
}

/// Posts a second that the simulator takes from a plain load: the same body over and over on keep-alive connections.
fn yardstick(time: Duration) -> Anyhow<f64> {
    let simulator = Simulator::start(Options { bulk: true, ..Options::default() })?;
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
        document("IT-1", "1")
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
        let answer: serde_json::Value = reqwest::Client::new()
            .post(format!("{}{}", field("pu"), field("ot")))
            .basic_auth(field("ci"), Some(field("cs")))
            .form(&[("grant_type", "password"), ("username", &field("saak")), ("password", &field("sask"))])
            .send()
            .await?
            .json()
            .await?;
        Ok(answer["access_token"].as_str().unwrap_or_default().to_owned())
    })
}
