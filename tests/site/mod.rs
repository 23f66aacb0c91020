//! A site of its own for a test: a database made as a DBA makes it, a simulated ION, and the real agent beside them.
//!
//! The agent is the built binary with an ordinary configuration file; it is started, stopped, killed and aborted like
//! any process. What became of every row is judged by three witnesses that do not trust each other: the outbox with
//! its message log, the journal, and the simulator's ledger.

#![allow(dead_code)] // each test binary uses a part of it

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bodrelay::database::statements::scripts;
use bodrelay::domain::ids::Digest;
use bodrelay::simulator::ledger::Arrival;
use bodrelay::simulator::{Options, Simulator};
use rusqlite::{Connection, OptionalExtension};
use tokio_postgres::Client;

#[path = "../cluster/mod.rs"]
pub mod cluster;
#[path = "../remedies/mod.rs"]
mod remedies;

use cluster::Cluster;

/// Longer than anything here takes, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(60);

const LOGICAL_ID: &str = "lid://acme.erp.plant1";
const BOD: &str = include_str!("../../fixtures/bods/Sync.ItemMaster.xml");

/// One entry of the outbox as the application writes it.
#[derive(Clone)]
pub struct Entry {
    pub document_id: String,
    pub version: i64,
    pub message_id: Option<String>,
    pub created: String,
    pub entry_id: Option<i64>,
    /// Bytes that the document has more.
    pub padding: usize,
    /// Stored deflated, as its header Compression says.
    pub deflated: bool,
    /// Of its document type; the noun is ItemMaster.
    pub verb: &'static str,
    /// Who sends it.
    pub logical_id: &'static str,
}

impl Entry {
    pub fn new(document_id: &str, version: i64) -> Self {
        Self {
            document_id: document_id.to_owned(),
            version,
            message_id: None,
            created: format!("2026-03-01T08:00:{:02}.{:03}Z", version / 1000 % 60, version % 1000),
            entry_id: None,
            padding: 0,
            deflated: false,
            verb: "Sync",
            logical_id: LOGICAL_ID,
        }
    }

    /// With a comment of this many bytes behind it that does not deflate to nothing.
    pub fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    pub fn deflated(self) -> Self {
        Self { deflated: true, ..self }
    }

    pub fn verb(self, verb: &'static str) -> Self {
        Self { verb, ..self }
    }

    pub fn logical_id(self, logical_id: &'static str) -> Self {
        Self { logical_id, ..self }
    }

    pub fn message_id(self, message_id: &str) -> Self {
        Self { message_id: Some(message_id.to_owned()), ..self }
    }

    pub fn created(self, created: &str) -> Self {
        Self { created: created.to_owned(), ..self }
    }

    pub fn entry_id(self, entry_id: i64) -> Self {
        Self { entry_id: Some(entry_id), ..self }
    }

    pub fn xml(&self, tenant_id: &str) -> String {
        let mut xml = self.bare_xml(tenant_id);
        let end = xml.len() + self.padding;
        let mut random = fastrand::Rng::with_seed(self.version.unsigned_abs());
        while xml.len() < end {
            let letters: String = (0..4096).map(|_| random.alphanumeric()).collect();
            xml.push_str(&format!("<!--{letters}-->"));
        }
        xml
    }

    /// What is in C_XML.
    fn payload(&self, tenant_id: &str) -> Vec<u8> {
        let xml = self.xml(tenant_id).into_bytes();
        if !self.deflated {
            return xml;
        }
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &xml).unwrap();
        encoder.finish().unwrap()
    }

    fn bare_xml(&self, tenant_id: &str) -> String {
        let verb = |before: &str, behind: &str| [before, self.verb, behind].concat();
        BOD.replace("SyncItemMaster", &verb("", "ItemMaster"))
            .replace("<Sync>", &verb("<", ">"))
            .replace("</Sync>", &verb("</", ">"))
            .replace("verb=Sync", &verb("verb=", ""))
            .replace("{{tenant}}", tenant_id)
            .replace("{{logical_id}}", self.logical_id)
            .replace("{{created}}", &self.created)
            .replace("{{entity}}", "100")
            .replace("{{location}}", "PLANT1")
            .replace("{{document_id}}", &self.document_id)
            .replace("{{variation_id}}", &self.version.to_string())
    }

    /// The headers that real applications write.
    fn headers(&self, tenant_id: &str) -> Vec<(&'static str, String)> {
        let headers = [
            ("TenantId", Some(tenant_id.to_owned())),
            ("MessageId", self.message_id.clone()),
            ("BODType", Some(format!("{}.ItemMaster", self.verb))),
            ("FromLogicalId", Some(self.logical_id.to_owned())),
            ("ToLogicalId", Some("lid://default".to_owned())),
            ("AccountingEntity", Some("100".to_owned())),
            ("Location", Some("PLANT1".to_owned())),
            // Text of the database, which may not hold every letter; the document itself does.
            ("DocumentId", self.document_id.is_ascii().then(|| self.document_id.clone())),
            ("VariationId", Some(self.version.to_string())),
            ("Compression", self.deflated.then(|| "DEFLATE".to_owned())),
        ];
        headers.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    pub fn digest(&self, tenant_id: &str) -> Digest {
        Digest::of(self.xml(tenant_id).as_bytes())
    }
}

/// What the message log says of one message.
#[derive(Debug, Clone)]
pub struct Logged {
    pub entry_id: i64,
    pub message_id: String,
    pub state: String,
    pub in_doubt: bool,
    pub late: bool,
    pub attempts: i64,
    pub failure_code: Option<String>,
    pub failure_text: Option<String>,
    pub digest: Option<String>,
}

impl Logged {
    fn of_texts(row: Vec<String>) -> Self {
        let [entry_id, message_id, state, in_doubt, late, attempts, failure_code, failure_text, digest] =
            row.try_into().unwrap();
        let given = |text: String| (text != "NULL").then_some(text);
        Self {
            entry_id: entry_id.parse().unwrap(),
            message_id,
            state,
            in_doubt: in_doubt == "1",
            late: late == "1",
            attempts: attempts.parse().unwrap(),
            failure_code: given(failure_code),
            failure_text: given(failure_text),
            digest: given(digest),
        }
    }
}

/// A PostgreSQL server with the site's database, for sites that have one instead of a SQLite file.
pub struct Server {
    pub cluster: Cluster,
    database: String,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(encoding: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cluster = Cluster::start();
        let database = runtime.block_on(async {
            let database = match encoding {
                Some(encoding) => cluster.database_in(encoding).await,
                None => cluster.database().await,
            };
            cluster::install(&cluster.connect(&database).await).await;
            database
        });
        Self { cluster, database, runtime }
    }

    /// The name of the site's database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Runs statements in one transaction.
    pub fn exec(&self, sql: &str) {
        self.runtime.block_on(async {
            let client = self.cluster.connect(&self.database).await;
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        });
    }

    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.runtime.block_on(async { cluster::rows(&self.cluster.connect(&self.database).await, sql).await })
    }

    /// A PgBouncer in transaction mode before this server, where it is installed.
    pub fn pooler(&self, sessions: u16) -> Option<cluster::Pooler> {
        self.cluster.pooler(&self.database, sessions)
    }

    /// The first value that another server answers about the same database; empty where there is none.
    pub fn ask(&self, other: &Cluster, sql: &str) -> String {
        let rows =
            self.runtime.block_on(async { cluster::rows(&other.connect(&self.database).await, sql).await });
        rows.into_iter().flatten().next().unwrap_or_default()
    }

    fn first(&self, sql: &str) -> Option<String> {
        let value = self.rows(sql).into_iter().next()?.into_iter().next()?;
        (value != "NULL").then_some(value)
    }

    /// Writes entries with their headers in one transaction, in their order.
    fn insert_all(&self, entries: &[Entry], tenant_id: &str) -> Vec<i64> {
        let (transaction, ids) = self.insert_open(entries, tenant_id);
        self.commit(transaction);
        ids
    }

    /// The same in a transaction that stays open until `commit`.
    pub fn insert_open(&self, entries: &[Entry], tenant_id: &str) -> (Client, Vec<i64>) {
        self.runtime.block_on(async {
            let client = self.cluster.connect(&self.database).await;
            client.batch_execute("BEGIN").await.unwrap();
            let entry_sql =
                "INSERT INTO cor_outbox_entry (c_id, c_tenant_id, c_logical_id, c_created_date_time, c_xml) \
                 VALUES (coalesce($5, nextval(pg_get_serial_sequence('cor_outbox_entry', 'c_id'))), $1, $2, \
                 $3::text::timestamptz, $4) RETURNING c_id";
            let entry_sql = client.prepare(entry_sql).await.unwrap();
            let headers_sql = "INSERT INTO cor_outbox_headers (c_outbox_id, c_header_key, c_header_value) \
                               SELECT $1, key, value FROM unnest($2::text[], $3::text[]) AS h (key, value)";
            let headers_sql = client.prepare(headers_sql).await.unwrap();
            let mut ids = Vec::with_capacity(entries.len());
            for entry in entries {
                let xml = entry.payload(tenant_id);
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                    [&tenant_id, &entry.logical_id, &entry.created, &xml, &entry.entry_id];
                let id: i64 = client.query_one(&entry_sql, &values).await.unwrap().get(0);
                let (keys, values): (Vec<_>, Vec<_>) = entry.headers(tenant_id).into_iter().unzip();
                client.execute(&headers_sql, &[&id, &keys, &values]).await.unwrap();
                ids.push(id);
            }
            (client, ids)
        })
    }

    /// Runs statements in a transaction that stays open.
    pub fn run(&self, transaction: &Client, sql: &str) {
        let path = format!("SET LOCAL search_path = bodrelay, public; {sql}");
        self.runtime.block_on(transaction.batch_execute(&path)).unwrap();
    }

    pub fn commit(&self, transaction: Client) {
        self.runtime.block_on(transaction.batch_execute("COMMIT")).unwrap();
    }
}

/// Database, ION and configuration of one agent.
pub struct Site {
    /// `None`: the database is a SQLite file.
    pub server: Option<Server>,
    folder: tempfile::TempDir,
    pub simulator: Simulator,
    pub settings: String,
}

impl Site {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        Self::on(None, options)
    }

    /// With a PostgreSQL server of its own.
    pub fn on_postgres(options: Options) -> Self {
        Self::on(Some(Server::start(None)), options)
    }

    /// With a PostgreSQL database of another encoding than UTF8.
    pub fn on_postgres_in(encoding: &str, options: Options) -> Self {
        Self::on(Some(Server::start(Some(encoding))), options)
    }

    fn on(server: Option<Server>, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::start(options).unwrap();
        let site = Self { server, folder, simulator, settings: String::new() };
        bodrelay::platform::replace_file(&site.path("sim.ionapi"), site.simulator.ionapi_json().as_bytes())
            .unwrap();
        site.write_configuration("");
        if site.server.is_none() {
            let database = site.database();
            let mode: String = database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
            scripts::numbered(scripts::SQLITE).for_each(|script| database.execute_batch(script).unwrap());
            database.execute_batch(scripts::SQLITE_IOBOX).unwrap();
        }
        site.sql(&format!(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
             send_mode, poll_seconds, parallel_posts, backoff_step_seconds, backoff_max_seconds, \
             headers_grace_seconds, lone_in_doubt_tries, log_attempts) \
             VALUES ('CP1', 'PLANT1', '{}', '{LOGICAL_ID}', 'on', 1, 8, 1, 1, 1, 50, 'all')",
            site.tenant_id()
        ));
        site.sql(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Sync', 'ItemMaster')",
        );
        site
    }

    /// The configuration file; `agent` adds keys to `[agent]`.
    pub fn write_configuration(&self, agent: &str) {
        let database = match &self.server {
            None => "kind = \"sqlite\"\npath = \"erp.db\"".to_owned(),
            Some(server) => format!(
                "kind = \"postgres\"\nhost = \"{}\"\nport = {}\ndatabase = \"{}\"\nuser = \"postgres\"\n\
                 encrypt = \"off\"\nstatement_timeout_seconds = 10",
                server.cluster.folder.display(),
                server.cluster.port,
                server.database
            ),
        };
        std::fs::write(
            self.path("bodrelay.toml"),
            format!(
                "[agent]\nhost = \"host1\"\nlocation = \"PLANT1\"\nstate_dir = \"state\"\n\
                 control_read_seconds = 1\nshutdown_seconds = 10\n{agent}\n\
                 [[ion]]\ncredentials = \"sim.ionapi\"\nrequest_timeout_seconds = 10\n\
                 [[database]]\nname = \"erp\"\n{database}\n"
            ),
        )
        .unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn journal_path(&self) -> PathBuf {
        self.path("state").join("journal.sqlite")
    }

    pub fn tenant_id(&self) -> &str {
        self.simulator.tenant_id()
    }

    pub fn database(&self) -> Connection {
        let connection = Connection::open(self.path("erp.db")).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    pub fn journal(&self) -> Connection {
        let connection = Connection::open(self.journal_path()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    pub fn sql(&self, sql: &str) {
        if let Some(server) = &self.server {
            return server.exec(sql);
        }
        self.database().execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Bytes as a literal of its dialect.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.server.is_some() { format!("'\\x{hex}'::bytea") } else { format!("X'{hex}'") }
    }

    /// A number that the database answers.
    pub fn number(&self, sql: &str) -> i64 {
        if let Some(server) = &self.server {
            return server.first(sql).unwrap().parse().unwrap();
        }
        self.database().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A text that the database answers, if there is a row.
    pub fn text(&self, sql: &str) -> Option<String> {
        if let Some(server) = &self.server {
            return server.first(sql);
        }
        self.database()
            .query_row(sql, [], |row| row.get::<_, Option<String>>(0))
            .optional()
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .flatten()
    }

    /// Writes an entry with its headers in one transaction.
    pub fn insert(&self, entry: &Entry) -> i64 {
        self.insert_all(std::slice::from_ref(entry))[0]
    }

    /// Writes entries with their headers in one transaction.
    pub fn insert_all(&self, entries: &[Entry]) -> Vec<i64> {
        if let Some(server) = &self.server {
            return server.insert_all(entries, self.tenant_id());
        }
        let mut connection = self.database();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        let ids = entries
            .iter()
            .map(|entry| {
                transaction
                    .prepare_cached(
                        "INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_TENANT_ID, C_LOGICAL_ID, C_CREATED_DATE_TIME, C_XML) \
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )
                    .unwrap()
                    .execute((
                        entry.entry_id,
                        self.tenant_id(),
                        entry.logical_id,
                        &entry.created,
                        entry.payload(self.tenant_id()),
                    ))
                    .unwrap();
                let id = transaction.last_insert_rowid();
                for (key, value) in entry.headers(self.tenant_id()) {
                    transaction
                        .prepare_cached(
                            "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) \
                             VALUES (?1, ?2, ?3)",
                        )
                        .unwrap()
                        .execute((id, key, value))
                        .unwrap();
                }
                id
            })
            .collect();
        transaction.commit().unwrap();
        ids
    }

    pub fn flag(&self, entry_id: i64) -> Option<i64> {
        if let Some(server) = &self.server {
            let sql = format!("SELECT c_was_processed FROM cor_outbox_entry WHERE c_id = {entry_id}");
            return server.first(&sql)?.parse().ok();
        }
        self.database()
            .query_row("SELECT C_WAS_PROCESSED FROM COR_OUTBOX_ENTRY WHERE C_ID = ?1", [entry_id], |row| {
                row.get(0)
            })
            .optional()
            .unwrap()
    }

    /// The flag of every row.
    fn flags(&self) -> HashMap<i64, i64> {
        const FLAGS: &str = "SELECT C_ID, C_WAS_PROCESSED FROM COR_OUTBOX_ENTRY";
        if let Some(server) = &self.server {
            let rows = server.rows(FLAGS).into_iter();
            return rows.map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap())).collect();
        }
        let connection = self.database();
        let mut statement = connection.prepare(FLAGS).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// How many rows wait.
    pub fn waiting(&self) -> i64 {
        self.number("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 0")
    }

    /// The message log, by row and time.
    pub fn log(&self) -> Vec<Logged> {
        const LOG: &str = "SELECT entry_id, message_id, state, in_doubt, late, attempts, failure_code, failure_text, digest \
             FROM bodrelay_message_log WHERE direction = 'out' ORDER BY entry_id, seen_at, message_key";
        if let Some(server) = &self.server {
            return server.rows(LOG).into_iter().map(Logged::of_texts).collect();
        }
        let connection = self.database();
        let mut statement = connection.prepare(LOG).unwrap();
        let rows = statement.query_map([], |row| {
            Ok(Logged {
                entry_id: row.get(0)?,
                message_id: row.get(1)?,
                state: row.get(2)?,
                in_doubt: row.get(3)?,
                late: row.get(4)?,
                attempts: row.get(5)?,
                failure_code: row.get(6)?,
                failure_text: row.get(7)?,
                digest: row.get(8)?,
            })
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    pub fn log_of(&self, entry_id: i64) -> Vec<Logged> {
        self.log().into_iter().filter(|logged| logged.entry_id == entry_id).collect()
    }

    /// The states that the message log has of a row, oldest first.
    pub fn states_of(&self, entry_id: i64) -> Vec<String> {
        self.log_of(entry_id).into_iter().map(|logged| logged.state).collect()
    }

    pub fn has_finding(&self, code: &str) -> bool {
        self.number(&format!("SELECT count(*) FROM bodrelay_finding WHERE code = '{code}'")) > 0
    }

    pub fn has_open_finding(&self, code: &str) -> bool {
        let sql =
            format!("SELECT count(*) FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL");
        self.number(&sql) > 0
    }

    /// Arrivals of one document, in order.
    pub fn arrivals_of(&self, document_id: &str) -> Vec<Arrival> {
        let mut arrivals = self.simulator.ledger().arrivals();
        arrivals.retain(|arrival| arrival.document_id.as_deref() == Some(document_id));
        arrivals
    }

    /// Copies a SQLite file away or back as a backup would: whole, and with nothing of the old one beside it.
    pub fn copy_database(&self, from: &Path, to: &Path) {
        for suffix in ["-wal", "-shm"] {
            let mut beside = to.as_os_str().to_owned();
            beside.push(suffix);
            let _ = std::fs::remove_file(beside);
        }
        let source = Connection::open(from).unwrap();
        source.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(source);
        // Over the file that is there: its inode, and so the database's fingerprint, stays.
        std::fs::copy(from, to).unwrap();
    }

    /// Backs the whole database up into a file, as its DBA does; agents may run meanwhile.
    pub fn back_up(&self, file: &Path) {
        match &self.server {
            Some(server) => server.cluster.dump(&server.database, file),
            None => {
                let mut copy = Connection::open(file).unwrap();
                run_backup(&self.database(), &mut copy);
            }
        }
    }

    /// Puts what `back_up` made, of this database or another one, over the database that is there: `pg_restore --clean`,
    /// `.restore`. File and number stay.
    pub fn restore(&self, file: &Path) {
        match &self.server {
            Some(server) => server.cluster.restore(file, &server.database),
            None => run_backup(&Connection::open(file).unwrap(), &mut self.database()),
        }
    }

    /// Owners that ended long ago, as the copy has them: whoever comes need not wait for them.
    pub fn lapse_owners(&self) {
        self.sql("UPDATE bodrelay_status SET heartbeat_at = '2026-01-01T00:00:00.000Z'");
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bodrelay"));
        command.arg(verb).arg("--config").arg(self.path("bodrelay.toml"));
        command.env_remove("BODRELAY_CRASH_AT").env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command
    }

    /// Starts `run`.
    pub fn start(&self) -> Agent {
        Agent::spawn(self.command("run"), self.path("agent.log"))
    }

    /// Starts `once`.
    pub fn start_once(&self) -> Agent {
        Agent::spawn(self.command("once"), self.path("agent.log"))
    }

    /// Starts `run` with these environment variables.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Agent {
        let mut command = self.command("run");
        command.envs(variables.iter().copied());
        Agent::spawn(command, self.path("agent.log"))
    }

    /// Runs a command to its end: exit code, what it printed, what it complained of.
    pub fn command_output(&self, verb: &str, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(verb).args(arguments).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Runs a command to its end as a user who owns nothing here; where that cannot be chosen, as this one.
    pub fn as_nobody(&self, verb: &str) -> std::process::Output {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n");
        let mut command = Command::new(if is_root { "setpriv" } else { env!("CARGO_BIN_EXE_bodrelay") });
        if is_root {
            command.args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                env!("CARGO_BIN_EXE_bodrelay"),
            ]);
        }
        command.arg(verb).arg("--config").arg(self.path("bodrelay.toml"));
        command.env_remove("BODRELAY_CRASH_AT").stdin(Stdio::null()).output().unwrap()
    }

    /// Starts another `run` beside, with a host name and a state directory of its own.
    pub fn start_beside(&self, host: &str, state_dir: &str, location: &str) -> Agent {
        self.start_beside_with(host, state_dir, location, &[])
    }

    /// The same with these environment variables.
    pub fn start_beside_with(
        &self,
        host: &str,
        state_dir: &str,
        location: &str,
        variables: &[(&str, &str)],
    ) -> Agent {
        let text = std::fs::read_to_string(self.path("bodrelay.toml")).unwrap();
        let text = text
            .replace("host = \"host1\"", &format!("host = \"{host}\""))
            .replace("location = \"PLANT1\"", &format!("location = \"{location}\""))
            .replace("state_dir = \"state\"", &format!("state_dir = \"{state_dir}\""));
        let file = self.path(&format!("{state_dir}.toml"));
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bodrelay"));
        command.args(["run", "--config"]).arg(file).env_remove("BODRELAY_CONFIG");
        command.envs(variables.iter().copied());
        Agent::spawn(command, self.path(&format!("{state_dir}.log")))
    }

    /// Starts `run`, armed to abort.
    pub fn start_armed(&self, crash_at: &str) -> Agent {
        let mut command = self.command("run");
        command.env("BODRELAY_CRASH_AT", crash_at);
        Agent::spawn(command, self.path("agent.log"))
    }

    /// Starts `run` under a limit on the size of files, in KiB.
    pub fn start_with_file_limit(&self, kib: u64) -> Agent {
        let mut command = Command::new("bash");
        // SIGXFSZ is ignored, so that a write past the limit is an error (EFBIG), as a full disk is.
        command.arg("-c").arg(format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" run --config \"$1\""));
        command.arg(env!("CARGO_BIN_EXE_bodrelay")).arg(self.path("bodrelay.toml"));
        Agent::spawn(command, self.path("agent.log"))
    }

    /// Starts `run` with a state directory on a disk of its own of 16 MB, in a mount namespace; 15 of them are taken
    /// while the file `fill` is there. `None`: this machine allows no namespaces.
    pub fn start_on_a_small_disk(&self) -> Option<Agent> {
        let may = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
        may.ok().filter(ExitStatus::success)?;
        let script = "mount -t tmpfs -o size=16m none state || exit 9
            (for turn in {1..600}; do
                if [ -e fill ]; then [ -e state/filler ] || head -c 15000000 /dev/zero > state/filler
                else rm -f state/filler; fi
                read -t 0.1 <> <(:)
            done) & exec \"$0\" run --config \"$1\"";
        std::fs::create_dir_all(self.path("state")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-rm", "bash", "-c", script, env!("CARGO_BIN_EXE_bodrelay")]);
        command.arg(self.path("bodrelay.toml")).current_dir(self.folder.path());
        Some(Agent::spawn(command, self.path("agent.log")))
    }

    /// Runs `once` and answers its exit code.
    pub fn once(&self) -> i32 {
        let mut agent = self.start_once();
        let status = agent.wait();
        status.code().unwrap_or_else(|| panic!("once ended by {status}\n{}", agent.log()))
    }

    /// Runs the agent until no row waits and the journal has nothing open, then stops it in order.
    pub fn drain(&self) {
        let mut agent = self.start();
        agent.until_says("starts");
        agent.until("nothing waits", || self.is_drained());
        agent.term();
    }

    /// No row waits, and the journal has nothing open.
    pub fn is_drained(&self) -> bool {
        self.waiting() == 0
            && self
                .journal()
                .query_row("SELECT count(*) FROM message WHERE settled = 0", [], |row| row.get::<_, i64>(0))
                .is_ok_and(|open| open == 0)
    }

    /// Judges every committed row by ledger, outbox, log and journal. `entries`: what is in the outbox now.
    /// The agent must have ended.
    pub fn judge(&self, entries: &BTreeMap<i64, Entry>) -> Verdict {
        assert!(!self.has_finding("ANOTHER_SENDER"), "an agent that was killed is not somebody else");
        let ledger = self.simulator.ledger();
        let mut log: HashMap<i64, Vec<Logged>> = HashMap::new();
        for logged in self.log() {
            log.entry(logged.entry_id).or_default().push(logged);
        }
        let flags = self.flags();
        let mut verdict = Verdict::default();
        for (entry_id, entry) in entries {
            let digest = entry.digest(self.tenant_id());
            let rows = log.get(entry_id).map_or(&[][..], Vec::as_slice);
            let last = rows.last();
            match flags.get(entry_id) {
                Some(1) => {
                    let last =
                        last.unwrap_or_else(|| panic!("row {entry_id} is flagged 1 without a log row"));
                    assert_eq!(last.state, "accepted", "row {entry_id}: {last:?}");
                    assert_eq!(
                        last.digest.as_deref(),
                        Some(&*digest.to_string()),
                        "row {entry_id}: {last:?}"
                    );
                    let (stored, times) = ledger.seen(&last.message_id).unwrap_or_else(|| {
                        panic!("row {entry_id} is flagged 1, the ledger lacks it: {last:?}")
                    });
                    assert_eq!(stored, digest, "row {entry_id}: other bytes arrived: {last:?}");
                    if let Some(given) = &entry.message_id {
                        assert_eq!(&last.message_id, given, "row {entry_id}");
                    }
                    assert!(
                        times == 1 || last.in_doubt,
                        "row {entry_id} came {times} times, unsaid: {last:?}"
                    );
                    verdict.accepted += 1;
                    verdict.repeated += usize::from(times > 1);
                }
                Some(9) => {
                    let last =
                        last.unwrap_or_else(|| panic!("row {entry_id} is flagged 9 without a log row"));
                    assert_eq!(last.state, "failed", "row {entry_id}: {last:?}");
                    assert!(
                        last.failure_code.is_some() && last.failure_text.is_some(),
                        "row {entry_id}: {last:?}"
                    );
                    verdict.failed += 1;
                }
                other => panic!("row {entry_id} of {} is left at {other:?}: {rows:?}", entry.document_id),
            }
        }
        assert_eq!(ledger.repeats_different(), [], "an id came with other bytes");
        for (lane, arrivals) in ledger.lanes() {
            let versions: Vec<_> = arrivals.iter().map(|arrival| arrival.variation_id).collect();
            assert!(versions.is_sorted(), "{lane} came out of order: {versions:?}");
        }
        let ids: HashSet<_> = ledger.arrivals().iter().map(|arrival| arrival.message_id.clone()).collect();
        let known: HashSet<_> = log.values().flatten().map(|logged| logged.message_id.as_str()).collect();
        assert!(ids.iter().all(|id| known.contains(&**id)), "the ledger has what the log does not know");
        self.judge_journal(verdict.accepted);
        verdict
    }

    fn judge_journal(&self, accepted: usize) {
        let journal = self.journal();
        let check: String = journal.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let count = |sql: &str| journal.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(
            count("SELECT count(*) FROM message WHERE settled = 0"),
            0,
            "the journal has open messages"
        );
        assert!(count("SELECT count(*) FROM delivered") >= i64::try_from(accepted).unwrap());
    }
}

/// SQLite's own way to copy a database over another one, which its shell calls `.backup` and `.restore`.
fn run_backup(from: &Connection, to: &mut Connection) {
    let backup = rusqlite::backup::Backup::new(from, to).unwrap();
    backup.run_to_completion(10_000, Duration::from_millis(5), None).unwrap();
}

/// What the judge counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub accepted: usize,
    pub failed: usize,
    /// Ids that came more than once.
    pub repeated: usize,
}

/// A running agent; killed when it is dropped.
pub struct Agent {
    child: Child,
    log: PathBuf,
    from: u64,
}

impl Agent {
    fn spawn(mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let from = file.metadata().unwrap().len();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log, from }
    }

    /// What this process has said so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap().min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    /// Waits for a condition; the agent must live meanwhile.
    pub fn until(&mut self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "waiting for: {what}; the agent ended by {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "waited in vain for: {what}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn until_says(&mut self, text: &str) {
        let (log, from) = (self.log.clone(), self.from);
        self.until(text, || {
            let bytes = std::fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(&bytes[usize::try_from(from).unwrap().min(bytes.len())..]).contains(text)
        });
    }

    /// There is room again, for the process as it runs.
    pub fn lift_file_limit(&self) {
        let pid = self.child.id().to_string();
        let status =
            Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the agent does not end\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        let status = Command::new("kill").arg("-HUP").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// SIGTERM, and an orderly end.
    pub fn term(mut self) {
        let status = self.stop();
        assert_eq!(status.code(), Some(0), "{status}\n{}", self.log());
    }

    /// SIGTERM, and whatever end comes of it. Before it listens for that, it would end as any process.
    pub fn stop(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while !self.hears_term() {
            assert!(Instant::now() < deadline, "the agent does not listen for SIGTERM\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.signal("-TERM");
        self.wait()
    }

    /// It has a handler for SIGTERM, or has ended; true where this cannot be asked.
    fn hears_term(&self) -> bool {
        const TERM: u64 = 1 << 14;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_none_or(|mask| mask & TERM != 0) || status.contains("\nState:\tZ")
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.server.is_none() && !std::thread::panicking() {
            remedies::judge(&self.path("erp.db"));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The seed of a random test: printed, and repeated by BODRELAY_TEST_SEED.
pub fn seed() -> u64 {
    let seed = std::env::var("BODRELAY_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    eprintln!("BODRELAY_TEST_SEED={seed}");
    seed
}
