//! How fast documents are composed on PostgreSQL: set-based, against one query a document, in the same run; then the real
//! binary with a simulated ION.
//!
//! `cargo bench --bench compose [-- ORDERS]` fills that many orders of 10 lines with a change a line, and prints documents
//! and rows a second, and the agent's peak memory. Linux only: the figures come from /proc.

#![expect(
    clippy::disallowed_methods,
    reason = "it watches another process, and nothing else runs in this one"
)]

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bodrelay::bod::compose::{Batch, Layout, Part, Wanted, compose};
use bodrelay::database::Database;
use bodrelay::database::compose::{BatchRow, ComposedDocument, ComposedEntry, Composition, PartQuery};
use bodrelay::database::postgres::Postgres;
use bodrelay::domain::change::{Folded, fold};
use bodrelay::domain::ids::row_key;
use bodrelay::simulator::{Options, Simulator};

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use cluster::Cluster;

type Anyhow<T> = anyhow::Result<T>;

const LINES: usize = 10;
const LOGICAL_ID: &str = "lid://infor.ims.bench";

const SETUP: &str = "
    INSERT INTO bodrelay.bodrelay_connection_point
        (connection_point, location_name, tenant_id, logical_id, send_mode, source_kind, poll_seconds, parallel_posts)
    VALUES ('CP', 'BENCH', 'DEMO_TST', 'lid://infor.ims.bench', 'on', 'rows', 1, 32);
    INSERT INTO bodrelay.bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP', 'out', 'Sync', 'SalesOrder');
    INSERT INTO bodrelay.bodrelay_document_query (connection_point, noun, part_no, element_path, query_text)
    VALUES ('CP', 'SalesOrder', 0, 'SalesOrderHeader',
    'SELECT b.document_no, o.id AS \"DocumentID/ID\", b.variation_id AS \"DocumentID/ID/@variationID\",
        o.customer AS \"CustomerParty/Name\", o.ordered_at AS \"OrderDateTime\"
    FROM bodrelay_batch AS b JOIN orders AS o ON o.id = b.document_id'),
    ('CP', 'SalesOrder', 1, 'SalesOrderLine',
    'SELECT b.document_no, l.line_no AS \"LineNumber\", l.item AS \"ItemID/ID\", l.quantity AS \"Quantity\", l.unit AS \"Quantity/@unitCode\",
        l.note AS \"Note\"
    FROM bodrelay_batch AS b JOIN lines AS l ON l.order_id = b.document_id ORDER BY l.order_id, l.line_no');
    CREATE TABLE public.orders (id text PRIMARY KEY, customer text, ordered_at timestamptz);
    CREATE TABLE public.lines (order_id text, line_no int, item text, quantity numeric(12, 3), unit text, note text, PRIMARY KEY (order_id, line_no));";

fn fill(orders: usize) -> String {
    format!(
        "INSERT INTO public.orders SELECT 'SO-' || n, 'Customer ' || n, now() FROM generate_series(1, {orders}) AS n;
         INSERT INTO public.lines SELECT 'SO-' || n, l, 'IT-' || l, l * 1.5, 'PCE', 'line ' || l || ' of order ' || n
            FROM generate_series(1, {orders}) AS n, generate_series(1, {LINES}) AS l;
         ANALYZE public.orders; ANALYZE public.lines;"
    )
}

fn changes(orders: usize) -> String {
    format!(
        "TRUNCATE bodrelay.bodrelay_change;
         INSERT INTO bodrelay.bodrelay_change (connection_point, noun, document_id, action_code)
            SELECT 'CP', 'SalesOrder', 'SO-' || n, 'Change' FROM generate_series(1, {orders}) AS n, generate_series(1, {LINES}) AS l ORDER BY n, l;
         ANALYZE bodrelay.bodrelay_change;"
    )
}

fn main() -> Anyhow<()> {
    let orders = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cluster = Cluster::shared();
    let (client, name) = runtime.block_on(async {
        let name = cluster.database().await;
        let client = cluster.connect(&name).await;
        for durable in ["fsync", "full_page_writes", "synchronous_commit"] {
            client.batch_execute(&format!("ALTER SYSTEM SET {durable} = on")).await?;
        }
        client.batch_execute("SELECT pg_reload_conf()").await?;
        cluster::install(&client).await;
        client.batch_execute(SETUP).await?;
        client.batch_execute(&fill(orders)).await?;
        Ok::<_, anyhow::Error>((client, name))
    })?;
    let database = Postgres::new(&cluster.settings(&name), "bench");
    println!(
        "{} changes in {orders} orders of {LINES} lines, PostgreSQL on the same machine",
        orders * LINES
    );
    for (what, documents) in [("one query a document", 1), ("set-based, 500 documents a batch", 500)] {
        runtime.block_on(client.batch_execute(&changes(orders)))?;
        let begun = Instant::now();
        let (made, rows) = runtime.block_on(compose_all(&database, documents))?;
        let seconds = begun.elapsed().as_secs_f64();
        anyhow::ensure!(made == orders, "{made} of {orders} documents");
        println!(
            "{what:<34}{:>9.0} documents/s{:>10.0} rows/s",
            made as f64 / seconds,
            rows as f64 / seconds
        );
    }
    runtime.block_on(
        client.batch_execute("TRUNCATE cor_outbox_entry, cor_outbox_headers, bodrelay.bodrelay_variation"),
    )?;
    runtime.block_on(client.batch_execute(&changes(orders)))?;
    let simulator = Simulator::start(Options { bulk: true, ..Options::default() })?;
    let folder = tempfile::tempdir()?;
    bodrelay::platform::replace_file(&folder.path().join("demo.ionapi"), simulator.ionapi_json().as_bytes())?;
    std::fs::write(
        folder.path().join("bodrelay.toml"),
        format!(
            "[agent]\nhost = \"bench\"\nlocation = \"BENCH\"\nstate_dir = \"state\"\n[log]\nlevel = \"warn\"\n\
             [[ion]]\ncredentials = \"demo.ionapi\"\n[[database]]\nname = \"site\"\nkind = \"postgres\"\nhost = \"{}\"\n\
             port = {}\ndatabase = \"{name}\"\nuser = \"postgres\"\nencrypt = \"off\"\n",
            cluster.folder.display(),
            cluster.port
        ),
    )?;
    let mut agent = Command::new(env!("CARGO_BIN_EXE_bodrelay"))
        .args(["run", "--config"])
        .arg(folder.path().join("bodrelay.toml"))
        .stdout(Stdio::null())
        .spawn()?;
    let begun = Instant::now();
    let waiting = "SELECT count(*) FROM bodrelay.bodrelay_change WHERE was_processed = 0";
    let mut composed = None;
    while simulator.ledger().counts().distinct < orders as u64 {
        anyhow::ensure!(agent.try_wait()?.is_none(), "the agent ended early");
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(600), "not done after 10 minutes");
        if composed.is_none() && runtime.block_on(client.query_one(waiting, &[]))?.get::<_, i64>(0) == 0 {
            composed = Some(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let sent = begun.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    agent.kill()?;
    agent.wait()?;
    if let Some(composed) = composed {
        println!("the agent, start to last composed  {:>9.2} s", composed.as_secs_f64());
    }
    println!(
        "the agent, start to last accepted  {sent:>9.2} s, {:.0} documents/s, peak memory {}",
        orders as f64 / sent,
        peak.trim()
    );
    Ok(())
}

/// What a pass does, so many documents a batch; answers documents and rows.
async fn compose_all(database: &Postgres, documents: usize) -> Anyhow<(usize, usize)> {
    let queries = database.query_read("CP").await?;
    let runs: Vec<PartQuery> = queries.iter().map(|query| query.query()).collect();
    let (mut made, mut rows) = (0, 0);
    loop {
        let limit = i64::try_from(documents * LINES)?;
        let changes = database.change_read("CP", 0, limit).await?;
        if changes.is_empty() {
            return Ok((made, rows));
        }
        let folded = fold(&changes).0;
        let keys: Vec<String> = folded.iter().map(|it| row_key(&["b", &it.subject.document_id])).collect();
        let variations = database.variation_read(&keys).await?;
        let variation_id = variations.now.timestamp_millis();
        let batch: Vec<BatchRow> =
            folded.iter().zip(1..).map(|(it, number)| batch_row(it, number, variation_id)).collect();
        let parts =
            database.compose_rows(&batch, &runs).await?.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        rows += parts.iter().map(|part| part.rows.len()).sum::<usize>();
        let columns: Vec<(Part, Vec<String>)> =
            queries.iter().zip(&parts).map(|(query, rows)| (query.part(), rows.columns.clone())).collect();
        let layout = Layout::read(&columns)?;
        let numbers: HashSet<i64> = (1..).take(batch.len()).collect();
        let found = Batch::read(&layout, parts.iter().collect(), &numbers)?;
        let mut composition = Composition {
            connection_point: "CP".into(),
            tenant_id: "DEMO_TST".into(),
            logical_id: LOGICAL_ID.into(),
            documents: Vec::new(),
            refused: Vec::new(),
        };
        for ((it, number), key) in folded.iter().zip(1..).zip(&keys) {
            let wanted = Wanted {
                document_no: number,
                tenant_id: "DEMO_TST",
                logical_id: LOGICAL_ID,
                verb: "Sync",
                noun: "SalesOrder",
                document_id: &it.subject.document_id,
                accounting_entity: "",
                document_location: "",
                action: it.action,
                variation_id,
                now: variations.now,
                namespace: None,
                document_id_path: None,
                max_bytes: 5_000_000,
                document_key: key,
            };
            let entries = compose(&found, &wanted).map_err(|failed| anyhow::anyhow!("{failed:?}"))?;
            composition.documents.push(ComposedDocument {
                document_key: key.clone(),
                variation_id,
                priority: 4,
                entries: entries
                    .into_iter()
                    .map(|made| ComposedEntry { document: made.xml.into(), headers: made.headers })
                    .collect(),
                change_ids: it.change_ids.clone(),
            });
        }
        made += composition.documents.len();
        anyhow::ensure!(database.compose_write(&composition).await?, "somebody else was here");
    }
}

fn batch_row(folded: &Folded, number: i64, variation_id: i64) -> BatchRow {
    BatchRow {
        document_no: number,
        document_id: folded.subject.document_id.clone(),
        accounting_entity: String::new(),
        document_location: String::new(),
        action_code: folded.action.as_str(),
        variation_id,
    }
}
