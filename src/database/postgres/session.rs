//! One session at the server: how it is opened and set up, its prepared statements, its transactions.
//!
//! Behind a pooler in transaction mode (`pooled`, or found to be one) each transaction may meet another session: nothing
//! then outlives it, no setting, no prepared statement, no lock.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, Config, NoTls, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{DatabaseSettings, Encrypt};
use crate::database::locks::{Holder, Lock, Lockers};
use crate::database::said::name_of;
use crate::database::statements::postgres_session as sql;

use super::letters::Letters;
use super::names::Names;
use super::trouble::Trouble;
use super::{LOCK_TIMEOUT, encryption, lock};

/// How long opening a session may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the server is, and how to sign in.
pub(super) struct Address {
    pub(super) settings: DatabaseSettings,
    agent_host: String,
    found_pooled: AtomicBool,
}

impl Address {
    pub(super) fn new(settings: &DatabaseSettings, agent_host: &str) -> Self {
        Self {
            settings: settings.clone(),
            agent_host: agent_host.to_owned(),
            found_pooled: AtomicBool::new(false),
        }
    }

    pub(super) fn statement_timeout(&self) -> Duration {
        Duration::from_secs(self.settings.statement_timeout_seconds)
    }

    pub(super) fn lock_timeout(&self) -> Duration {
        LOCK_TIMEOUT.min(self.statement_timeout())
    }

    /// A Unix socket is not encrypted: it does not leave the machine.
    pub(super) fn is_encrypted(&self) -> bool {
        let is_socket = self.settings.host.as_deref().is_some_and(|host| host.starts_with('/'));
        self.settings.encrypt != Encrypt::Off && !is_socket
    }

    pub(super) fn config(&self, purpose: &str) -> Result<Config, Trouble> {
        /// As long as the server keeps a name (NAMEDATALEN − 1).
        const LONGEST_NAME: usize = 63;
        let mut config = Config::new();
        let settings = &self.settings;
        let mut name = format!("bodrelay {}/{purpose}", self.agent_host);
        name.truncate(name.floor_char_boundary(LONGEST_NAME));
        config
            .host(settings.host.as_deref().unwrap_or_default())
            .port(settings.port.unwrap_or(5432))
            .dbname(settings.database.as_deref().unwrap_or_default())
            .user(settings.user.as_deref().unwrap_or_default())
            .application_name(name)
            .connect_timeout(CONNECT_TIMEOUT)
            .ssl_mode(if self.is_encrypted() { SslMode::Require } else { SslMode::Disable })
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(self.statement_timeout().max(Duration::from_secs(30)));
        if let Some(password) = settings.password().map_err(Trouble::Setting)? {
            config.password(password.expose_secret());
        }
        Ok(config)
    }

    /// What our statements run under. Nothing depends on the server's own formats or time zone, and the role's search path
    /// stays as it is: a trigger of the site may need it. Plans are made for the values at hand: a filter that is NULL is not
    /// looked at only where the planner sees that it is. The server's parallel workers are left to the application.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let (statement, locks) = (self.statement_timeout().as_millis(), self.lock_timeout().as_millis());
        vec![
            ("statement_timeout", statement.to_string()),
            ("lock_timeout", locks.to_string()),
            ("idle_in_transaction_session_timeout", statement.to_string()),
            (PLAN_CACHE, PLANS.to_owned()),
            ("max_parallel_workers_per_gather", "0".to_owned()),
            ("TimeZone", "UTC".to_owned()),
            ("DateStyle", "ISO,YMD".to_owned()),
            ("standard_conforming_strings", "on".to_owned()),
        ]
    }

    /// For a session of our own, with which it begins. A pooler refuses or ignores them: none is left on a session that
    /// somebody else gets next.
    fn options(&self) -> String {
        let keepalives =
            [("tcp_keepalives_idle", "30"), ("tcp_keepalives_interval", "10"), ("tcp_keepalives_count", "3")];
        let keepalives = keepalives.map(|(name, value)| (name, value.to_owned()));
        self.settings().iter().chain(&keepalives).map(|(name, value)| format!("-c {name}={value} ")).collect()
    }

    /// For a transaction on a session that others use, too.
    fn local_settings(&self) -> String {
        let settings = self.settings();
        let own = settings.iter().map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
        // Somebody else may have left another one.
        own.chain(["; SET LOCAL search_path = DEFAULT".to_owned()]).collect()
    }

    /// Sessions are shared: as the DBA says, or as one of them showed.
    pub(super) fn is_pooled(&self) -> bool {
        self.settings.pooled || self.found_pooled.load(Ordering::Relaxed)
    }

    /// A pooler was found that `pooled` does not speak of.
    pub(super) fn is_unexpectedly_pooled(&self) -> bool {
        self.is_pooled() && !self.settings.pooled
    }

    fn finds_a_pooler(&self) {
        if !self.found_pooled.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                database = self.settings.name,
                "host names a pooler: nothing is set for longer than a transaction; say pooled = true in [[database]]"
            );
        }
    }

    async fn connect(&self, config: &Config) -> Result<Opened, Trouble> {
        // The task of a connection ends by itself when the client is dropped or the connection is lost; what it says
        // then, the operation under way hears, too.
        if self.is_encrypted() {
            let encryption = encryption::of(&self.settings).map_err(Trouble::Setting)?;
            let (client, connection) = config.connect(encryption.clone()).await.map_err(Trouble::Connect)?;
            let encoding = connection.parameter("server_encoding").map(str::to_owned);
            tokio::spawn(connection);
            return Ok(Opened { client, encryption: Some(encryption), encoding });
        }
        let (client, connection) = config.connect(NoTls).await.map_err(Trouble::Connect)?;
        let encoding = connection.parameter("server_encoding").map(str::to_owned);
        tokio::spawn(connection);
        Ok(Opened { client, encryption: None, encoding })
    }

    /// A session of our own has our settings from its start. Where it has not, or they were refused, others use it, too.
    async fn open(&self, purpose: &str) -> Result<Opened, Trouble> {
        let plain = self.config(purpose)?;
        if !self.is_pooled() {
            let mut config = plain.clone();
            config.options(self.options());
            match self.connect(&config).await {
                Ok(opened) => {
                    // Without a prepared statement, which a pooler could lose.
                    let said = opened.client.simple_query(&format!("SHOW {PLAN_CACHE}")).await?;
                    let is = |it: &SimpleQueryMessage| matches!(it, SimpleQueryMessage::Row(row) if row.get(0) == Some(PLANS));
                    if said.iter().any(is) {
                        return Ok(opened);
                    }
                }
                Err(Trouble::Connect(error)) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => {}
                Err(trouble) => return Err(trouble),
            }
            self.finds_a_pooler();
        }
        self.connect(&plain).await
    }
}

/// A connection, how it is encrypted, and the server's name of the encoding of the database.
struct Opened {
    client: Client,
    encryption: Option<MakeRustlsConnect>,
    encoding: Option<String>,
}

/// The setting by which a session of our own is known, and our value: nobody else's default.
const PLAN_CACHE: &str = "plan_cache_mode";
const PLANS: &str = "force_custom_plan";

/// So long after a lock that was waited for in vain, others are waited for only briefly.
const HURRY: Duration = Duration::from_secs(60);
const HURRIED: &str = "; SET LOCAL lock_timeout = 200";
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// For some hundred rows by key. A table that was filled since the server last counted it (a burst into an empty outbox)
/// looks to the planner as if each key had many rows, and it reads the whole table; where there is no index, it still does.
const BY_KEY: &str = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off";

/// The types of a statement's parameters: each is written beside its first use, as in `$1::text`.
fn parameter_types(statement: &str) -> impl Iterator<Item = Type> {
    (1..).map_while(|number| {
        let (_, rest) = statement.split_once(&format!("${number}::"))?;
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        Some(match (name, rest.starts_with("[]")) {
            ("bigint", false) => Type::INT8,
            ("bigint", true) => Type::INT8_ARRAY,
            ("smallint", false) => Type::INT2,
            ("smallint", true) => Type::INT2_ARRAY,
            ("int", false) => Type::INT4,
            ("bytea", false) => Type::BYTEA,
            ("bytea", true) => Type::BYTEA_ARRAY,
            ("timestamptz", false) => Type::TIMESTAMPTZ,
            ("timestamptz", true) => Type::TIMESTAMPTZ_ARRAY,
            (_, false) => Type::TEXT,
            (_, true) => Type::TEXT_ARRAY,
        })
    })
}

/// Names the statement that an error is of.
fn of(sql: &'static str) -> impl Fn(tokio_postgres::Error) -> Trouble {
    |error| Trouble::Statement(name_of(sql), error)
}

/// A bound parameter.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

pub(super) struct Session {
    client: Client,
    cancel: CancelToken,
    encryption: Option<MakeRustlsConnect>,
    prepared: Mutex<HashMap<&'static str, Statement>>,
    /// What this session has locked for its life.
    locks: Mutex<HashSet<String>>,
    /// What is claimed though a silent session has it locked.
    without: Mutex<HashSet<String>>,
    /// Behind a pooler: what each transaction begins with.
    each_begins_with: Option<String>,
    pub(super) names: Names,
    pub(super) letters: Letters,
    /// When a lock of another session was waited for in vain.
    hurried_at: Mutex<Option<Instant>>,
}

impl Session {
    pub(super) async fn open(address: &Address, purpose: &str) -> Result<Self, Trouble> {
        let Opened { client, encryption, encoding } = address.open(purpose).await?;
        let pooled = address.is_pooled();
        if pooled {
            // Somebody else may have left another search path on this session.
            client.batch_execute(&format!("{BEGIN_READ}; SET LOCAL search_path = DEFAULT")).await?;
        }
        let schemas = match &address.settings.iobox_schema {
            Some(schema) => vec![schema.clone()],
            // The search path that the DBA gave this role and database.
            None => client.query_one("SELECT current_schemas(false)::text[]", &[]).await?.try_get(0)?,
        };
        let names = Names::read(&client, schemas, &address.settings.control_schema).await?;
        if pooled {
            client.batch_execute("COMMIT").await?;
        }
        Ok(Self {
            each_begins_with: pooled.then(|| address.local_settings()),
            cancel: client.cancel_token(),
            client,
            encryption,
            prepared: Mutex::default(),
            locks: Mutex::default(),
            without: Mutex::default(),
            names,
            letters: Letters::of(encoding.as_deref()),
            hurried_at: Mutex::default(),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Stops what runs on this session, so that no statement of ours goes on when nobody waits for it.
    pub(super) fn abandon(&self) {
        if self.is_closed() {
            return;
        }
        let (cancel, encryption) = (self.cancel.clone(), self.encryption.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let asked = async {
                match encryption {
                    Some(encryption) => cancel.cancel_query(encryption).await,
                    None => cancel.cancel_query(NoTls).await,
                }
            };
            // Nobody is left to be told: the server ends the statement by its own time-out at the latest.
            let _ = tokio::time::timeout(CONNECT_TIMEOUT, asked).await;
        });
    }

    /// Tells whoever listens for new rows; nothing is changed.
    pub(super) async fn announce(&self) -> Result<(), Trouble> {
        Ok(self.client.batch_execute("NOTIFY bodrelay_outbox").await?)
    }

    /// Takes a lock that lives as long as this session, unless somebody else's session has it. Once: the server counts.
    pub(super) async fn lock_while_it_lives(&self, what: &str, lockers: &Lockers) -> Result<Lock, Trouble> {
        // A pooled session is given back, with the lock on it: the claim in the table stands alone there.
        if self.is_pooled() || lock(&self.locks).contains(what) {
            return Ok(Lock::Ours);
        }
        let row = self.query_one(sql::OWNER_LOCK, &[&what]).await?;
        if row.try_get(0)? {
            lockers.add(row.try_get(1)?);
            lock(&self.without).remove(what);
            lock(&self.locks).insert(what.to_owned());
            return Ok(Lock::Ours);
        }
        if lock(&self.without).contains(what) {
            return Ok(Lock::Without(None));
        }
        let holder = |row: &Row| {
            Ok::<_, Trouble>(Holder {
                session: row.try_get(0)?,
                said: row.try_get(1)?,
                has_our_login: row.try_get(2)?,
                comes_from_here: row.try_get(3)?,
            })
        };
        let held = self.query(sql::OWNER_LOCK_HOLDER, &[&what]).await?;
        Ok(lockers.judge(held.first().map(holder).transpose()?))
    }

    /// A claim stands without its lock: whoever holds that was silent for long enough.
    pub(super) fn goes_without(&self, what: String) {
        lock(&self.without).insert(what);
    }

    /// Lets go of such a lock, where this session has it.
    pub(super) async fn unlock(&self, what: &str) -> Result<(), Trouble> {
        let held = lock(&self.locks).remove(what);
        if held {
            self.query_one(sql::OWNER_UNLOCK, &[&what]).await?;
        }
        Ok(())
    }

    /// A transaction in which all reads see the same state.
    pub(super) async fn begin_read(&self) -> Result<(), Trouble> {
        self.begin(BEGIN_READ).await
    }

    /// The same, and texts come as the bytes that the table holds: where one of them is no letter, the server gives none.
    pub(super) async fn begin_read_bytes(&self) -> Result<(), Trouble> {
        self.begin(&format!("{BEGIN_READ}; SET LOCAL client_encoding = 'SQL_ASCII'")).await
    }

    /// The same for rows of which the keys are known.
    pub(super) async fn begin_read_by_key(&self) -> Result<(), Trouble> {
        self.begin(&format!("{BEGIN_READ}; {BY_KEY}")).await
    }

    /// A transaction that writes. It does not ask for READ WRITE: where a DBA made the database or the role read-only,
    /// that holds.
    pub(super) async fn begin_write(&self) -> Result<(), Trouble> {
        self.begin("BEGIN ISOLATION LEVEL READ COMMITTED").await
    }

    /// For a while, its transactions wait for locks only briefly.
    pub(super) fn hurry(&self) {
        *lock(&self.hurried_at) = Some(Instant::now());
    }

    async fn begin(&self, statement: &str) -> Result<(), Trouble> {
        let hurry = match *lock(&self.hurried_at) {
            Some(at) if at.elapsed() < HURRY => HURRIED,
            _ => "",
        };
        let begun = match &self.each_begins_with {
            Some(settings) => self.client.batch_execute(&format!("{statement}{settings}{hurry}")).await,
            None if hurry.is_empty() => self.client.batch_execute(statement).await,
            None => self.client.batch_execute(&format!("{statement}{hurry}")).await,
        };
        Ok(begun?)
    }

    pub(super) async fn commit(&self) -> Result<(), Trouble> {
        self.client.batch_execute("COMMIT").await.map_err(|error| match error.code() {
            // The server said no: nothing was committed.
            Some(code) if !matches!(code.code(), "57P01" | "57P02" | "57P03") => {
                Trouble::Statement("commit", error)
            }
            _ => Trouble::CommitLost(error),
        })
    }

    pub(super) async fn rollback(&self) -> Result<(), Trouble> {
        Ok(self.client.batch_execute("ROLLBACK").await?)
    }

    pub(super) async fn query(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Trouble> {
        if self.is_pooled() {
            let (filled, typed) = self.typed(sql, values);
            return self.client.query_typed(&filled, &typed).await.map_err(of(sql));
        }
        let statement = self.statement(sql).await?;
        self.client.query(&statement, values).await.map_err(of(sql))
    }

    pub(super) async fn query_one(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Row, Trouble> {
        if self.is_pooled() {
            let (filled, typed) = self.typed(sql, values);
            return self.client.query_typed_one(&filled, &typed).await.map_err(of(sql));
        }
        let statement = self.statement(sql).await?;
        self.client.query_one(&statement, values).await.map_err(of(sql))
    }

    pub(super) async fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Trouble> {
        if self.is_pooled() {
            let (filled, typed) = self.typed(sql, values);
            return self.client.execute_typed(&filled, &typed).await.map_err(of(sql));
        }
        let statement = self.statement(sql).await?;
        self.client.execute(&statement, values).await.map_err(of(sql))
    }

    /// Each transaction may meet another session.
    pub(super) fn is_pooled(&self) -> bool {
        self.each_begins_with.is_some()
    }

    /// Makes the session's own table of documents.
    pub(super) async fn make_batch(&self) -> Result<(), Trouble> {
        Ok(self.client.batch_execute(sql::BATCH).await?)
    }

    /// Where unqualified names of DBAs' queries are looked for, in this transaction.
    pub(super) async fn query_path(&self, schemas: &str) -> Result<(), Trouble> {
        self.query_one(sql::QUERY_PATH, &[&schemas]).await.map(drop)
    }

    /// How long the next query of this transaction may take, in milliseconds.
    pub(super) async fn query_timeout(&self, milliseconds: &str) -> Result<(), Trouble> {
        self.query_one(sql::QUERY_TIMEOUT, &[&milliseconds]).await.map(drop)
    }

    /// The text of a DBA's query: one statement, or the server refuses it.
    pub(super) async fn prepare_text(&self, text: &str) -> Result<Statement, tokio_postgres::Error> {
        self.client.prepare(text).await
    }

    /// The rows of such a query, as they come.
    pub(super) async fn query_text(
        &self,
        statement: &Statement,
    ) -> Result<tokio_postgres::RowStream, tokio_postgres::Error> {
        self.client.query_raw(statement, std::iter::empty::<i32>()).await
    }

    /// For a statement without a name, which leaves nothing on the session: the text, and each value with its type.
    fn typed<'a>(&self, sql: &str, values: &[Value<'a>]) -> (String, Vec<(Value<'a>, Type)>) {
        let filled = self.names.fill(sql);
        let values = values.iter().copied().zip(parameter_types(&filled)).collect();
        (filled, values)
    }

    /// Prepared once a session and kept.
    async fn statement(&self, sql: &'static str) -> Result<Statement, Trouble> {
        if let Some(statement) = lock(&self.prepared).get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&self.names.fill(sql)).await.map_err(of(sql))?;
        lock(&self.prepared).insert(sql, statement.clone());
        Ok(statement)
    }

    /// The catalogue as it is now.
    pub(super) async fn names_now(&self, address: &Address) -> Result<Names, Trouble> {
        Names::read(&self.client, self.names.schemas.clone(), &address.settings.control_schema).await
    }

    /// The number of the cluster; `None` where this role may not ask for it.
    pub(super) async fn system_identifier(&self) -> Result<Option<i64>, Trouble> {
        self.begin_read().await?;
        match self.client.query_one("SELECT system_identifier FROM pg_catalog.pg_control_system()", &[]).await
        {
            Ok(row) => {
                let identifier = row.try_get(0)?;
                // A row keeps its statement, which must be closed on this very session.
                drop(row);
                self.commit().await?;
                Ok(Some(identifier))
            }
            Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42501" | "42883")) => {
                self.rollback().await?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
