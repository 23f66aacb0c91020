//! A throw-away PostgreSQL cluster: made when it is first needed, gone when the test process ends, however it ends.
//!
//! A shell holds it and waits on a pipe from this process: when the pipe closes, it stops the server and deletes
//! everything. `initdb` refuses root, so as root it all runs as another user.

#![allow(dead_code)] // each test file takes what it needs

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bodrelay::config::{DatabaseKind, DatabaseSettings, Encrypt};
use bodrelay::database::statements::scripts;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

pub struct Cluster {
    /// With the data folder `data` and the socket.
    pub folder: PathBuf,
    pub port: u16,
    _holder: Child,
}

/// Its folder, its port; for a standby the folder of its primary and that one's port.
const HOLD: &str = r#"
set -e
trap 'pg_ctl -D "$1/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$1" 2>/dev/null' EXIT
if [ -n "${3:-}" ]; then
    pg_basebackup -D "$1/data" -h "$3" -p "$4" -U postgres -R -c fast --no-sync
else
    initdb -D "$1/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$1/initdb.log" 2>&1 || { cat "$1/initdb.log" >&2; exit 1; }
fi
cat >>"$1/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = '$1'
max_connections = 200
fsync = off
full_page_writes = off
END
cat >"$1/data/pg_hba.conf" <<END
local all,replication all trust
hostssl all ssl_user 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
END
pg_ctl -D "$1/data" -l "$1/server.log" -w start >/dev/null
echo ready
cat >/dev/null
"#;

/// A running PgBouncer; ended when it is dropped.
pub struct Pooler {
    pub port: u16,
    database: String,
    process: Child,
}

impl Pooler {
    /// Another program that uses the same sessions, and leaves its settings on them.
    pub fn somebody_else(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(self.port).user("postgres").dbname(&self.database);
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            let marks = "SET search_path = pg_catalog; SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'";
            client.batch_execute(marks).await.unwrap();
        });
    }
}

impl Pooler {
    /// Prepared statements that somebody left on one of the sessions.
    pub fn statements_left(&self) -> i64 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(self.port).user("postgres").dbname(&self.database);
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            let left = client.simple_query("SELECT count(*) FROM pg_prepared_statements").await.unwrap();
            let counts = left.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i64>().ok(),
                _ => None,
            });
            counts.sum()
        })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `PATH` with the places where the systems' packages put the server.
fn path() -> String {
    let mut path = std::env::var("PATH").unwrap_or_default();
    for found in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        path.push_str(&format!(":{}", found.path().join("bin").display()));
    }
    path + ":/usr/local/bin:/usr/local/pgsql/bin:/usr/sbin"
}

fn number(arguments: &[&str]) -> Option<u32> {
    let said = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().parse().ok()
}

/// The user to run the server as; `None`: this one.
fn user() -> Option<(u32, u32)> {
    if number(&["-u"]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|name| Some((number(&["-u", name])?, number(&["-g", name])?)))
}

fn command(program: &str) -> Command {
    command_under(&[], program)
}

/// A command as the server's user; as root, `under` runs around it.
fn command_under(under: &[String], program: &str) -> Command {
    let mut command = match user() {
        None => Command::new(program),
        Some((user, group)) => {
            let mut command = Command::new(under.first().map_or("setpriv", String::as_str));
            if let [_, rest @ ..] = under {
                command.args(rest).arg("setpriv");
            }
            let (user, group) = (format!("--reuid={user}"), format!("--regid={group}"));
            command.args([user.as_str(), group.as_str(), "--clear-groups", program]);
            command
        }
    };
    command.env("PATH", path()).env("LC_ALL", "C").current_dir("/");
    command
}

impl Cluster {
    /// The cluster of this test process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of its own, for tests that stop it.
    pub fn start() -> Self {
        Self::start_with(&folder_of_the_user(), &[], &[])
    }

    /// One with a disk of its own of 16 MB in its folder `small`, in a mount namespace that ends with it. `None`: this user
    /// may mount nothing.
    pub fn start_with_a_small_disk() -> Option<Self> {
        let (user, group) = user()?;
        let may = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
        may.ok().filter(std::process::ExitStatus::success)?;
        let folder = folder_of_the_user();
        std::fs::create_dir(folder.join("small")).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size=16m,uid={user},gid={group},mode=0700 none {}/small && exec \"$@\"",
            folder.display()
        );
        let under = ["unshare", "-m", "sh", "-c", &mount, "sh"].map(str::to_owned);
        Some(Self::start_with(&folder, &under, &[]))
    }

    /// A standby of this one, which follows it until it is promoted.
    pub fn standby(&self) -> Self {
        let primary = [self.folder.display().to_string(), self.port.to_string()];
        Self::start_with(&folder_of_the_user(), &[], &primary)
    }

    fn start_with(folder: &Path, under: &[String], primary: &[String]) -> Self {
        let folder = folder.to_owned();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut holder = command_under(under, "sh")
            .args(["-c", HOLD, "hold"])
            .args([folder.as_os_str(), port.to_string().as_ref()])
            .args(primary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "PostgreSQL did not start: is it installed? (tests/run installs it)");
        Self { folder, port, _holder: holder }
    }

    /// `pg_ctl` on it: `restart`, `stop` or `start`, waiting until it is done.
    pub fn control(&self, arguments: &[&str]) {
        let data = self.folder.join("data");
        let status = command("pg_ctl")
            .args(["-w", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(self.folder.join("server.log"))
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}");
    }

    /// PgBouncer in transaction mode before a database, for everybody without a password. `None`: it is not installed.
    pub fn pooler(&self, database: &str, sessions: u16) -> Option<Pooler> {
        command("pgbouncer")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()?
            .success()
            .then_some(())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = self.folder.join("pgbouncer.ini");
        let users = self.folder.join("users.txt");
        let folder = self.folder.display();
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        std::fs::write(
            &file,
            format!(
                "[databases]\n{database} = host={folder} port={} dbname={database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = {sessions}\nserver_round_robin = 1\n",
                self.port,
                users.display()
            ),
        )
        .unwrap();
        let mut process = command("pgbouncer").arg("-q").arg(&file).stdin(Stdio::null()).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "pgbouncer did not start");
            std::thread::yield_now();
        }
        Some(Pooler { port, database: database.to_owned(), process })
    }

    /// Writes a database into a file that `restore` takes: `pg_dump`, as a DBA runs it.
    pub fn dump(&self, database: &str, file: &Path) {
        let _ = std::fs::remove_file(file);
        self.tool("pg_dump", &["-Fc", "-d", database, "-f"], file);
    }

    /// Puts a dump over a database that is there, and used.
    pub fn restore(&self, file: &Path, database: &str) {
        self.tool("pg_restore", &["--clean", "--if-exists", "-1", "-d", database], file);
    }

    /// Not as the server's user: files of the test's are not that one's.
    fn tool(&self, name: &str, arguments: &[&str], file: &Path) {
        let status = Command::new(name)
            .env("PATH", path())
            .args(["-U", "postgres", "-p", &self.port.to_string(), "-h"])
            .arg(&self.folder)
            .args(arguments)
            .arg(file)
            .status()
            .unwrap();
        assert!(status.success(), "{name} {arguments:?}");
    }

    /// Puts a file into the data folder, as the server's user.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.folder.join("data").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if let Some((user, group)) = user() {
            std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
        }
    }

    pub async fn connect(&self, database: &str) -> Client {
        connect(&self.folder, self.port, database).await
    }

    /// An empty database of its own.
    pub async fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("case_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = self.connect("postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        name
    }

    /// The same with another encoding than UTF8.
    pub async fn database_in(&self, encoding: &str) -> String {
        let name = format!("case_{}", encoding.to_lowercase());
        let admin = self.connect("postgres").await;
        let sql = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        admin.batch_execute(&sql).await.unwrap();
        name
    }

    /// How the agent reaches a database, by the socket.
    pub fn settings(&self, database: &str) -> DatabaseSettings {
        DatabaseSettings {
            host: Some(self.folder.display().to_string()),
            port: Some(self.port),
            database: Some(database.to_owned()),
            user: Some("postgres".into()),
            encrypt: Encrypt::Off,
            ..DatabaseSettings::of("erp", DatabaseKind::Postgres)
        }
    }
}

fn folder_of_the_user() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap().keep();
    if let Some((user, group)) = user() {
        std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
    }
    folder
}

async fn connect(folder: &Path, port: u16, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(folder).port(port).user("postgres").dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("SET search_path = bodrelay, public; SET client_min_messages = warning")
        .await
        .unwrap();
    client
}

/// The control tables and an I/O Box 3.0.
pub async fn install(client: &Client) {
    for script in scripts::numbered(scripts::POSTGRES) {
        client.batch_execute(script).await.unwrap();
    }
    install_box(client).await;
}

/// The I/O Box, in `public`: the first schema of the path must not be `bodrelay` then.
pub async fn install_box(client: &Client) {
    client.batch_execute("SET search_path = public").await.unwrap();
    client.batch_execute(scripts::POSTGRES_IOBOX).await.unwrap();
    client.batch_execute("SET search_path = bodrelay, public").await.unwrap();
}

/// Every row of a query, every value as text, NULL as "NULL", truth as 1 and 0, times as the SQLite tables have them.
pub async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let rows = client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let value = |row: &tokio_postgres::Row, column: usize| -> Option<String> {
        match *row.columns()[column].type_() {
            Type::BOOL => row.get::<_, Option<bool>>(column).map(|value| u8::from(value).to_string()),
            Type::INT2 => row.get::<_, Option<i16>>(column).map(|value| value.to_string()),
            Type::INT4 => row.get::<_, Option<i32>>(column).map(|value| value.to_string()),
            Type::INT8 => row.get::<_, Option<i64>>(column).map(|value| value.to_string()),
            Type::TIMESTAMPTZ => row
                .get::<_, Option<chrono::DateTime<chrono::Utc>>>(column)
                .map(|value| value.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
            _ => row.get(column),
        }
    };
    rows.iter()
        .map(|row| (0..row.len()).map(|column| value(row, column).unwrap_or_else(|| "NULL".into())).collect())
        .collect()
}
