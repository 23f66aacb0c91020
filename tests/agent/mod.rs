//! Runs the real binary: a site in a folder of its own, its SQLite file, its agent; the log is shown on failure.

#[path = "../remedies/mod.rs"]
mod remedies;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bodrelay::database::statements::scripts;
use bodrelay::simulator::{Options, Simulator};
use rusqlite::Connection;

/// Whatever is waited for comes sooner, or never.
const DEADLINE: Duration = Duration::from_secs(30);

/// A site: simulator, database, configuration file.
pub struct Site {
    pub simulator: Simulator,
    folder: tempfile::TempDir,
}

impl Site {
    /// One connection point CP1 that is switched on and lists Sync.SalesOrder, as ION does.
    pub fn new() -> Self {
        let accepted = Some(["Sync.SalesOrder".to_owned()].into());
        let simulator = Simulator::start(Options { accepted, ..Options::default() }).unwrap();
        let site = Self { simulator, folder: tempfile::tempdir().unwrap() };
        bodrelay::platform::replace_file(&site.path("x.ionapi"), site.simulator.ionapi_json().as_bytes())
            .unwrap();
        site.write_config("agent.toml", "state", "host1");
        let sql = site.sql();
        sql.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        sql.execute_batch(scripts::SQLITE_IOBOX).unwrap();
        scripts::numbered(scripts::SQLITE).for_each(|script| sql.execute_batch(script).unwrap());
        sql.execute_batch(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
             send_mode, poll_seconds, backoff_step_seconds, backoff_max_seconds, headers_grace_seconds) \
             VALUES ('CP1', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp1', 'on', 1, 1, 1, 0); \
             INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Sync', 'SalesOrder')",
        )
        .unwrap();
        site
    }

    /// A configuration file for this site's database with another agent's state directory and host.
    pub fn write_config(&self, file: &str, state_dir: &str, host: &str) {
        let text = format!(
            "[agent]\nhost = \"{host}\"\nlocation = \"PLANT1\"\nstate_dir = \"{state_dir}\"\n\
             control_read_seconds = 1\nminimum_free_mb = 1\n\n[[ion]]\ncredentials = \"x.ionapi\"\n\
             connect_timeout_seconds = 2\n\n[[database]]\nname = \"erp\"\nkind = \"sqlite\"\npath = \"erp.db\"\n"
        );
        std::fs::write(self.path(file), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn sql(&self) -> Connection {
        let connection = Connection::open(self.path("erp.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    pub fn exec(&self, sql: &str) {
        self.sql().execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first value, as text; `NULL` where there is none.
    pub fn ask(&self, sql: &str) -> String {
        use rusqlite::OptionalExtension;
        let value: Option<rusqlite::types::Value> =
            self.sql().query_row(sql, [], |row| row.get(0)).optional().unwrap();
        match value {
            None | Some(rusqlite::types::Value::Null) => "NULL".into(),
            Some(rusqlite::types::Value::Integer(number)) => number.to_string(),
            Some(rusqlite::types::Value::Text(text)) => text,
            Some(other) => panic!("{sql}: {other:?}"),
        }
    }

    /// Polls until the first value is this one.
    pub fn wait_for(&self, sql: &str, wanted: &str) {
        wait(&format!("{sql} = {wanted}, is {}", self.ask(sql)), || self.ask(sql) == wanted);
    }

    /// An outbox row with the headers that real applications write; answers its `C_ID`.
    pub fn write_row(&self, document_type: &str, document_id: &str, text: &str) -> i64 {
        let (verb, noun) = document_type.split_once('.').unwrap();
        let xml = format!(
            "<{verb}{noun} xmlns=\"http://schema.infor.com/InforOAGIS/2\"><ApplicationArea><Sender><LogicalID>\
             lid://infor.ims.cp1</LogicalID></Sender></ApplicationArea><DataArea><{verb}/><{noun}><DocumentID><ID>\
             {document_id}</ID></DocumentID><Note>{text}</Note></{noun}></DataArea></{verb}{noun}>"
        );
        let mut sql = self.sql();
        let transaction = sql.transaction().unwrap();
        transaction
            .execute(
                "INSERT INTO COR_OUTBOX_ENTRY (C_TENANT_ID, C_LOGICAL_ID, C_XML) \
                 VALUES ('DEMO_TST', 'lid://infor.ims.cp1', ?1)",
                [xml.into_bytes()],
            )
            .unwrap();
        let id = transaction.last_insert_rowid();
        for (key, value) in [
            ("TenantId", "DEMO_TST"),
            ("BODType", document_type),
            ("FromLogicalId", "lid://infor.ims.cp1"),
            ("ToLogicalId", "lid://default"),
            ("DocumentId", document_id),
        ] {
            transaction
                .execute(
                    "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (?1, ?2, ?3)",
                    (id, key, value),
                )
                .unwrap();
        }
        transaction.commit().unwrap();
        id
    }

    pub fn stored(&self) -> u64 {
        self.simulator.ledger().counts().stored
    }

    fn command(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bodrelay"));
        command.args(arguments).arg("--config").arg(self.path(config)).env_remove("BODRELAY_CONFIG");
        command
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run_with("agent.toml", arguments)
    }

    pub fn run_with(&self, config: &str, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(config, arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// `once` must end with this code.
    pub fn once(&self, code: i32) {
        let (found, _, log) = self.run(&["once"]);
        assert_eq!(found, code, "{log}");
    }

    /// `check --json`: the exit code and the codes of all findings above `info`.
    pub fn check(&self) -> (i32, Vec<String>) {
        let (code, out, log) = self.run(&["check", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {log}"));
        let findings = json["findings"].as_array().unwrap();
        for finding in findings {
            assert!(!finding["finding_text"].as_str().unwrap().is_empty(), "{finding}");
            assert!(!finding["remedy"].as_str().unwrap().is_empty(), "{finding}");
        }
        let codes =
            findings.iter().filter(|it| it["severity"] != "info").map(|it| it["code"].as_str().unwrap());
        (code, codes.map(str::to_owned).collect())
    }

    /// Starts `run`, and waits until its host row says so.
    pub fn start(&self) -> Agent {
        let agent = self.start_with("agent.toml");
        self.wait_for("SELECT state FROM bodrelay_host WHERE host = 'host1'", "running");
        agent
    }

    pub fn start_with(&self, config: &str) -> Agent {
        let log = self.path(&format!("{config}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let child = self.command(config, &["run"]).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Agent { child, log }
    }
}

/// Polls until `condition` holds.
pub fn wait(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A running agent; killed when it is dropped, with its log shown where the test failed.
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// SIGTERM, and the exit code with which it ends.
    pub fn term(&mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(started.elapsed() < DEADLINE, "it does not stop");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            remedies::judge(&self.path("erp.db"));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.log()).unwrap_or_default());
        }
    }
}
