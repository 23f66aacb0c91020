//! How fast the real binary relays, beside the simulator's own rate under a plain load in the same run.
//!
//! `cargo bench --bench relay [-- sqlite|postgres] [ENTRIES]` fills an outbox with entries of 4 KB, starts the simulator
//! in this process and the agent as a child, and prints messages a second, CPU a message and peak memory of the agent.
//! `-- processed [ENTRIES]` compares PostgreSQL with and without 5,000,000 processed rows in the table.
//! `-- notify` prints the time from a commit in PostgreSQL until ION has the document, for single rows. Linux only: the
//! figures come from /proc.

#![expect(
    clippy::disallowed_methods,
    reason = "it watches another process, and nothing else runs in this one"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bodrelay::database::statements::scripts;
use bodrelay::simulator::{Options, Simulator};
use rusqlite::{Connection, params};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use cluster::Cluster;

type Anyhow<T> = anyhow::Result<T>;

const DOCUMENTS: usize = 5_000;
const CONNECTIONS: usize = 32;

fn main() -> Anyhow<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let entries: usize = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(50_000);
    let wants = |word: &str| arguments.iter().any(|argument| argument == word);
    if wants("notify") {
        return announce();
    }
    if wants("processed") {
        return beside_processed(entries);
    }
    let kind = if wants("postgres") { "PostgreSQL" } else { "SQLite" };
    let yardstick = yardstick(Duration::from_secs(4))?;
    println!(
        "simulator's own rate   {yardstick:>10.0} a second ({CONNECTIONS} connections, 4 KB, load in the same process)"
    );
    for log_messages in ["all", "problems"] {
        let folder = tempfile::tempdir()?;
        let outbox: Box<dyn Outbox> = match kind {
            "SQLite" => Box::new(SqliteOutbox(folder.path().join("site.db"))),
            _ => Box::new(PostgresOutbox::new()?),
        };
        let figures = relay(folder.path(), outbox.as_ref(), entries, log_messages)?;
        println!("\n{kind}, log_messages = '{log_messages}', {entries} entries, {DOCUMENTS} documents");
        println!("messages a second      {:>10.0}", figures.rate);
        println!("of the simulator's own {:>10.2}", figures.rate / yardstick);
        println!("CPU a message          {:>10.1} µs", figures.cpu_us);
        println!("peak memory            {:>10.1} MB", figures.peak_mb);
        println!("start to first post    {:>10.0} ms", figures.first_ms);
    }
    Ok(())
}

/// Where the entries are.
trait Outbox {
    /// The tables, the connection point and the entries.
    fn fill(&self, entries: usize, log_messages: &str) -> Anyhow<()>;
    /// How many rows carry flag 1.
    fn done(&self) -> Anyhow<i64>;
    /// The connection keys of `[[database]]`.
    fn keys(&self) -> String;
}

struct SqliteOutbox(PathBuf);

impl Outbox for SqliteOutbox {
    fn fill(&self, entries: usize, log_messages: &str) -> Anyhow<()> {
        fill(&self.0, entries, log_messages)
    }

    fn done(&self) -> Anyhow<i64> {
        let connection = Connection::open(&self.0)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let done = "SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 1";
        Ok(connection.query_row(done, [], |row| row.get(0))?)
    }

    fn keys(&self) -> String {
        "kind = \"sqlite\"\npath = \"site.db\"\n".into()
    }
}

struct PostgresOutbox {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
    database: String,
}

impl PostgresOutbox {
    /// An empty database of its own, on a server that writes to the disk as servers do.
    fn new() -> Anyhow<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cluster = Cluster::shared();
        let (client, database) = runtime.block_on(async {
            let database = cluster.database().await;
            let client = cluster.connect(&database).await;
            for durable in ["fsync", "full_page_writes", "synchronous_commit"] {
                client.batch_execute(&format!("ALTER SYSTEM SET {durable} = on")).await?;
            }
            client.batch_execute("SELECT pg_reload_conf()").await?;
            cluster::install(&client).await;
            Ok::<_, anyhow::Error>((client, database))
        })?;
        Ok(Self { runtime, client, database })
    }

    /// Rows that were sent long ago, small ones.
    fn add_processed(&self, rows: usize) -> Anyhow<()> {
        let sql = format!(
            "INSERT INTO cor_outbox_entry (c_xml, c_tenant_id, c_logical_id, c_message_priority, c_created_date_time,
                 c_was_processed)
             SELECT '<x/>', 'DEMO_TST', 'lid://infor.ims.bench', 4, '2026-03-01 08:15:30.120', 1
               FROM generate_series(1, {rows})"
        );
        self.runtime.block_on(self.client.batch_execute(&sql))?;
        Ok(self.runtime.block_on(self.client.batch_execute("VACUUM ANALYZE cor_outbox_entry"))?)
    }

    fn connection_point(&self, log_messages: &str) -> Anyhow<()> {
        let sql = format!("{CONNECTION_POINT_SQL}, '{log_messages}'); {DOCUMENT_SQL}");
        Ok(self.runtime.block_on(self.client.batch_execute(&sql))?)
    }

    async fn insert(&self, numbers: std::ops::Range<usize>) -> Anyhow<()> {
        let documents: Vec<Vec<u8>> = numbers
            .clone()
            .map(|number| document(&document_id(number), &variation(number)).into_bytes())
            .collect();
        let rows = self
            .client
            .query(
                "INSERT INTO cor_outbox_entry (c_xml, c_tenant_id, c_logical_id, c_message_priority,
                     c_created_date_time, c_was_processed)
                 SELECT xml, 'DEMO_TST', 'lid://infor.ims.bench', 4, '2026-03-02 08:15:30.120', 0
                   FROM unnest($1::bytea[]) AS given (xml) RETURNING c_id",
                &[&documents],
            )
            .await?;
        let (mut ids, mut keys, mut values) = (Vec::<i64>::new(), Vec::new(), Vec::new());
        for (row, number) in rows.iter().zip(numbers) {
            for (key, value) in headers(number) {
                ids.push(row.get(0));
                keys.push(key);
                values.push(value);
            }
        }
        self.client
            .execute(
                "INSERT INTO cor_outbox_headers (c_outbox_id, c_header_key, c_header_value)
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])",
                &[&ids, &keys, &values],
            )
            .await?;
        Ok(())
    }
}

impl Outbox for PostgresOutbox {
    fn fill(&self, entries: usize, log_messages: &str) -> Anyhow<()> {
        self.connection_point(log_messages)?;
        self.runtime.block_on(async {
            for first in (0..entries).step_by(500) {
                self.insert(first..(first + 500).min(entries)).await?;
            }
            Ok::<_, anyhow::Error>(self.client.batch_execute("ANALYZE; CHECKPOINT").await?)
        })
    }

    fn done(&self) -> Anyhow<i64> {
        let done = "SELECT count(*) FROM cor_outbox_entry WHERE c_was_processed = 1";
        Ok(self.runtime.block_on(self.client.query_one(done, &[]))?.get(0))
    }

    fn keys(&self) -> String {
        let cluster = Cluster::shared();
        format!(
            "kind = \"postgres\"\nhost = \"{}\"\nport = {}\ndatabase = \"{}\"\nuser = \"postgres\"\nencrypt = \"off\"\n",
            cluster.folder.display(),
            cluster.port,
            self.database
        )
    }
}

/// What was sent long ago must not slow down what is sent now.
fn beside_processed(entries: usize) -> Anyhow<()> {
    const PROCESSED: usize = 5_000_000;
    let mut rates = Vec::new();
    // Both twice, in turns: the machine is not always equally fast.
    for processed in [0, PROCESSED, 0, PROCESSED] {
        let folder = tempfile::tempdir()?;
        let outbox = PostgresOutbox::new()?;
        outbox.add_processed(processed)?;
        let figures = relay(folder.path(), &outbox, entries, "all")?;
        println!(
            "{processed:>9} processed rows: {:>8.0} messages a second, {:.1} µs of CPU a message, first post after {:.0} ms",
            figures.rate, figures.cpu_us, figures.first_ms
        );
        rates.push(figures.rate);
    }
    println!("with to without        {:>10.2}", (rates[1] + rates[3]) / (rates[0] + rates[2]));
    Ok(())
}

/// From the commit of a single row until the simulator has stored its document, with the trigger of notify.sql.
fn announce() -> Anyhow<()> {
    const ROWS: usize = 1_000;
    let folder = tempfile::tempdir()?;
    let outbox = PostgresOutbox::new()?;
    outbox.connection_point("all")?;
    let notify =
        scripts::POSTGRES.iter().find(|(name, _)| *name == "notify.sql").map_or("", |(_, text)| text);
    outbox.runtime.block_on(async {
        outbox.client.batch_execute("SET search_path = public").await?;
        outbox.client.batch_execute(notify).await
    })?;
    let simulator = Simulator::start(Options { bulk: true, ..Options::default() })?;
    bodrelay::platform::replace_file(&folder.path().join("demo.ionapi"), simulator.ionapi_json().as_bytes())?;
    let mut agent = start(folder.path(), &outbox.keys())?;
    let mut stored = simulator.ledger().stored();
    let mut times = outbox.runtime.block_on(async {
        let mut times = Vec::with_capacity(ROWS);
        for number in 0..ROWS + 10 {
            outbox.client.batch_execute("BEGIN").await?;
            outbox.insert(number..number + 1).await?;
            outbox.client.batch_execute("COMMIT").await?;
            let committed = Instant::now();
            let all = u64::try_from(number)? + 1;
            tokio::time::timeout(Duration::from_secs(60), stored.wait_for(|count| *count >= all)).await??;
            // The first ones start the agent, its token and its connections.
            if number >= 10 {
                times.push(committed.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, anyhow::Error>(times)
    })?;
    agent.kill()?;
    agent.wait()?;
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "PostgreSQL, commit to stored, {ROWS} single rows: median {:.1} ms, p99 {:.1} ms",
        at(0.5),
        at(0.99)
    );
    Ok(())
}

struct Figures {
    rate: f64,
    cpu_us: f64,
    peak_mb: f64,
    first_ms: f64,
}

fn relay(folder: &Path, outbox: &dyn Outbox, entries: usize, log_messages: &str) -> Anyhow<Figures> {
    let simulator = Simulator::start(Options { bulk: true, ..Options::default() })?;
    bodrelay::platform::replace_file(&folder.join("demo.ionapi"), simulator.ionapi_json().as_bytes())?;
    outbox.fill(entries, log_messages)?;
    let all = outbox.done()? + entries as i64;
    let mut agent = start(folder, &outbox.keys())?;
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
    settled(outbox, all)?;
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
fn settled(outbox: &dyn Outbox, all: i64) -> Anyhow<()> {
    let begun = Instant::now();
    loop {
        let done = outbox.done()?;
        if done >= all {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "only {done} rows are flagged");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(folder: &Path, keys: &str) -> Anyhow<Child> {
    let config = format!(
        "[agent]\nhost = \"bench\"\nlocation = \"BENCH\"\nstate_dir = \"state\"\n[log]\nlevel = \"warn\"\n\
         [[ion]]\ncredentials = \"demo.ionapi\"\n[[database]]\nname = \"site\"\n{keys}"
    );
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
    for script in scripts::numbered(scripts::SQLITE) {
        connection.execute_batch(script)?;
    }
    connection.execute_batch(&format!("{CONNECTION_POINT_SQL}, '{log_messages}'); {DOCUMENT_SQL}"))?;
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
            entry.execute([document(&document_id(number), &variation(number)).into_bytes()])?;
            let id = transaction.last_insert_rowid();
            for (key, value) in headers(number) {
                header.execute(params![id, key, value])?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

const CONNECTION_POINT_SQL: &str =
    "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode,
         parallel_posts, batch_rows, log_messages)
     VALUES ('bench', 'BENCH', 'DEMO_TST', 'lid://infor.ims.bench', 'on', 32, 1000";
const DOCUMENT_SQL: &str = "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('bench', 'out', 'Sync', 'ItemMaster')";

fn document_id(number: usize) -> String {
    format!("IT-{}", number % DOCUMENTS)
}

fn variation(number: usize) -> String {
    (number / DOCUMENTS + 1).to_string()
}

fn headers(number: usize) -> [(&'static str, String); 10] {
    [
        ("TenantId", "DEMO_TST".into()),
        ("MessageId", format!("bench-{number}")),
        ("BODType", "Sync.ItemMaster".into()),
        ("FromLogicalId", "lid://infor.ims.bench".into()),
        ("ToLogicalId", "lid://default".into()),
        ("CreationDateTime", "2026-03-02T08:15:30.120Z".into()),
        ("DocumentId", document_id(number)),
        ("AccountingEntity", "AE10".into()),
        ("Location", "WH1".into()),
        ("VariationId", variation(number)),
    ]
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
