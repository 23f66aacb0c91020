//! How fast documents come in, beside the same listener answering without storing, in the same run.
//!
//! `cargo bench --bench receive [-- sqlite|postgres] [SECONDS]` posts documents of 4 KB over 1, 8 and 32 keep-alive
//! connections to a receiver in this process; both sides share the machine. Each document is new.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bodrelay::clock::{Clock, SystemClock};
use bodrelay::config::{DatabaseKind, DatabaseSettings, Listen};
use bodrelay::database::Database;
use bodrelay::database::postgres::Postgres;
use bodrelay::database::sqlite::Sqlite;
use bodrelay::database::statements::scripts;
use bodrelay::domain::plan::{Plan, Surroundings};
use bodrelay::domain::routing::Route;
use bodrelay::inbound::{Receiver, Setup};
use bodrelay::journal::Journal;
use rusqlite::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use cluster::Cluster;

type Anyhow<T> = anyhow::Result<T>;

const SETTINGS: &str = "
INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, receive_mode)
    VALUES ('bench', 'BENCH', 'DEMO_TST', 'lid://infor.ims.bench', 'on');
INSERT INTO bodrelay_document (connection_point, direction, verb, noun)
    VALUES ('bench', 'in', 'Sync', 'ItemMaster');";

fn main() -> Anyhow<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let seconds: u64 = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(4);
    let wants = |word: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == word);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    println!("{:<12}{:>12}{:>14}{:>14}{:>8}", "", "connections", "answered/s", "stored/s", "ratio");
    if wants("sqlite") {
        let path = folder.path().join("site.db");
        let sql = Connection::open(&path)?;
        sql.pragma_update(None, "journal_mode", "WAL")?;
        sql.execute_batch(scripts::SQLITE_IOBOX)?;
        for script in scripts::numbered(scripts::SQLITE) {
            sql.execute_batch(script)?;
        }
        sql.execute_batch(SETTINGS)?;
        let settings =
            DatabaseSettings { path: Some(path), ..DatabaseSettings::of("site", DatabaseKind::Sqlite) };
        compare(&runtime, "SQLite", folder.path(), seconds, &|| Arc::new(Sqlite::new(&settings)))?;
    }
    if wants("postgres") {
        let cluster = Cluster::shared();
        let database = runtime.block_on(async {
            let database = cluster.database().await;
            let client = cluster.connect(&database).await;
            // On a server that writes to the disk as servers do.
            for durable in ["fsync", "full_page_writes", "synchronous_commit"] {
                client.batch_execute(&format!("ALTER SYSTEM SET {durable} = on")).await?;
            }
            client.batch_execute("SELECT pg_reload_conf()").await?;
            cluster::install(&client).await;
            client.batch_execute(&format!("SET search_path = bodrelay, public; {SETTINGS}")).await?;
            Ok::<_, anyhow::Error>(database)
        })?;
        let settings = cluster.settings(&database);
        compare(&runtime, "PostgreSQL", folder.path(), seconds, &|| {
            Arc::new(Postgres::new(&settings, "bench"))
        })?;
    }
    Ok(())
}

/// One line a number of connections: answered without storing, stored, and their ratio.
fn compare(
    runtime: &tokio::runtime::Runtime,
    kind: &str,
    folder: &Path,
    seconds: u64,
    open: &dyn Fn() -> Arc<dyn Database>,
) -> Anyhow<()> {
    for connections in [1, 8, 32] {
        let run = Duration::from_secs(seconds);
        let answered = rate(runtime, folder, open(), false, connections, run)?;
        let stored = rate(runtime, folder, open(), true, connections, run)?;
        println!("{kind:<12}{connections:>12}{answered:>14.0}{stored:>14.0}{:>8.2}", stored / answered);
    }
    Ok(())
}

fn rate(
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
    database: Arc<dyn Database>,
    stores: bool,
    connections: usize,
    run: Duration,
) -> Anyhow<f64> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = Journal::open(&folder.join("journal.sqlite"), clock.now().timestamp_millis())?.journal;
    runtime.block_on(async {
        let tables = database.control_read().await?;
        let ions = [("default".to_owned(), "DEMO_TST".to_owned())].into();
        let plan = Plan::read(&tables, &Surroundings { location: "BENCH", ions: &ions });
        let routes: Vec<Route> = plan
            .inbound
            .into_values()
            .map(|plan| Route { site: 0, plan, sends: Vec::new(), blocked: None })
            .collect();
        anyhow::ensure!(routes.len() == 1, "the connection point was refused: {:?}", plan.refused);
        let receiver = Receiver::start(Setup {
            settings: &Listen::on("127.0.0.1:0".parse()?),
            host: "bench",
            databases: vec![("site".to_owned(), database)],
            journal,
            clock,
            state_dir: folder,
            stores,
        })?;
        receiver.set_routes(0, routes);
        receiver.meet(0, receiver.losses(0), 1);
        let port = receiver.address().port();
        let (count, begun) = (AtomicU64::new(0), Instant::now());
        let callers = (0..connections).map(|_| post_for(port, run, &count));
        futures_util::future::try_join_all(callers).await?;
        let taken = begun.elapsed();
        Ok(count.load(Ordering::Relaxed) as f64 / taken.as_secs_f64())
    })
}

async fn post_for(port: u16, run: Duration, count: &AtomicU64) -> Anyhow<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let begun = Instant::now();
    let mut read = vec![0; 4096];
    while begun.elapsed() < run {
        let request = request(NUMBER.fetch_add(1, Ordering::Relaxed));
        stream.write_all(&request).await?;
        let mut length = 0;
        // Answers have no body, and come in one piece or two.
        while !read[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut read[length..]).await? {
                0 => anyhow::bail!("the receiver hung up"),
                more => length += more,
            }
        }
        anyhow::ensure!(read.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&read[..length]));
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A whole request with a document of 4 KB.
fn request(number: u64) -> Vec<u8> {
    let text = include_str!("../fixtures/bods/Sync.ItemMaster.xml");
    let mut document = text.replace("{{document_id}}", &format!("IT-{}", number % 5_000));
    for (place, value) in [
        ("{{tenant}}", "DEMO_TST"),
        ("{{logical_id}}", "lid://infor.ln.shop"),
        ("{{variation_id}}", &number.to_string()),
        ("{{entity}}", "AE10"),
        ("{{location}}", "WH1"),
        ("{{created}}", "2026-03-02T08:15:30.120Z"),
    ] {
        document = document.replace(place, value);
    }
    document += &format!("<!-- {} -->", "x".repeat(4096_usize.saturating_sub(document.len() + 9)));
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"ParameterRequest\"\r\n\r\n{{\"documentName\":\"Sync.ItemMaster\",\
         \"messageId\":\"m{number}:-ION-:{number:032x}\",\"fromLogicalId\":\"lid://infor.ln.shop\",\"toLogicalId\":\
         \"lid://default\",\"encoding\":\"NONE\",\"characterSet\":\"UTF-8\",\"accountingEntity\":\"AE10\",\"location\":\
         \"WH1\",\"documentId\":\"IT-{}\",\"variationId\":{number}}}\r\n--b\r\nContent-Disposition: form-data; name=\
         \"MessagePayload\"\r\n\r\n{document}\r\n--b--\r\n",
        number % 5_000
    );
    let mut request = format!(
        "POST /ims/service/v3/multipartMessage HTTP/1.1\r\nHost: localhost\r\nX-TenantId: DEMO_TST\r\nContent-Type: \
         multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}
