//! The configuration file: how to reach things. What to do is in the control tables.
//!
//! Unknown keys are errors with their line; every problem names the key and what to write instead. Secrets are
//! `SecretString`s or files, and `masked` shows the effective values without them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use serde::Deserialize;

mod listening;
mod watching;

pub use listening::{Caller, CallerAuth, Listen, MessageMethod, ProtocolVersion};
pub use watching::{Alerts, Metrics};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub agent: Agent,
    #[serde(default)]
    pub log: Log,
    pub metrics: Option<Metrics>,
    pub alerts: Option<Alerts>,
    pub listen: Option<Listen>,
    #[serde(default)]
    pub ion: Vec<Ion>,
    #[serde(default)]
    pub database: Vec<DatabaseSettings>,
}

/// `[agent]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// This agent's name in the tables and in the log.
    pub host: String,
    /// The Enterprise Location; a connection point is carried by the agent of its `location_name`.
    pub location: String,
    /// The journal and the cached tokens: a folder on a local disk, only for this agent.
    pub state_dir: PathBuf,
    #[serde(default = "five")]
    pub control_read_seconds: u64,
    #[serde(default = "twenty")]
    pub shutdown_seconds: u64,
    #[serde(default = "ninety")]
    pub delivered_memory_days: u32,
    #[serde(default = "sixty_four")]
    pub minimum_free_mb: u64,
}

/// Whether an agent makes a file of this name in its state directory.
pub fn is_state_file(name: &str) -> bool {
    name == "lock" || ["journal.", "token-", "oauth-marks"].iter().any(|begin| name.starts_with(begin))
}

/// `[log]`: the diagnostic log; standard error without `file`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as in `info,bodrelay=debug`.
    pub level: String,
    pub file: Option<PathBuf>,
    pub rotate: Rotate,
    pub keep_days: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".into(),
            file: None,
            rotate: Rotate::Daily,
            keep_days: 14,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotate {
    Daily,
    Hourly,
    Never,
}

/// `[[ion]]`: one way to reach ION, with its credential.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ion {
    #[serde(default = "default_name")]
    pub name: String,
    /// The `.ionapi` file; read again when it changes. Instead of it: `base_url` and the keys below.
    pub credentials: Option<PathBuf>,
    /// Up to and including the tenant's messaging path; with or without `/service`.
    pub base_url: Option<String>,
    pub tenant_id: Option<String>,
    pub token_url: Option<String>,
    pub client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub scopes: Vec<String>,
    /// PEM certificates, added to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// `http://host:port`, with `user:password@` where it asks for one.
    pub proxy: Option<SecretString>,
    /// Hosts reached without the proxy, as in `localhost,.example.com`.
    pub no_proxy: Option<String>,
    #[serde(default)]
    pub min_tls: MinTls,
    #[serde(default = "ten")]
    pub connect_timeout_seconds: u64,
    #[serde(default = "hundred_twenty")]
    pub request_timeout_seconds: u64,
    /// Keep the token in the state directory, so that `once` from cron does not ask for one each time.
    #[serde(default = "yes")]
    pub cache_token: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum MinTls {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// `[[database]]`: a SQLite file, or a server with its connection keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    pub name: String,
    pub kind: DatabaseKind,
    /// SQLite's file.
    pub path: Option<PathBuf>,
    /// Name or address; for PostgreSQL also the folder of a Unix socket.
    pub host: Option<String>,
    pub port: Option<u16>,
    /// SQL Server's named instance: its port is asked of the SQL Server Browser.
    pub instance: Option<String>,
    pub database: Option<String>,
    pub user: Option<String>,
    #[serde(default)]
    pub auth: DatabaseAuth,
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    #[serde(default)]
    pub encrypt: Encrypt,
    /// Takes any certificate: encrypted, but nobody knows by whom it is read.
    #[serde(default)]
    pub trust_server_certificate: bool,
    /// Certificates that the server's is checked against, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The schema of the I/O Box tables; without it the search path (PostgreSQL) or the user's schema (SQL Server).
    pub iobox_schema: Option<String>,
    #[serde(default = "control_schema")]
    pub control_schema: String,
    #[serde(default = "thirty")]
    pub statement_timeout_seconds: u64,
    /// A pooler in transaction mode (PgBouncer) is in between: each transaction may meet another session.
    #[serde(default)]
    pub pooled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
    Mssql,
}

impl DatabaseKind {
    /// As the configuration file and `bodrelay sql` name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mssql => "mssql",
        }
    }
}

/// How the agent shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseAuth {
    #[default]
    Password,
    /// The Windows account that the agent runs as.
    Windows,
    /// The ticket of the account that the agent runs as.
    Kerberos,
}

/// What of the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encrypt {
    /// From the first byte (SQL Server: TDS 8.0; PostgreSQL: the host name is checked as well as the certificate).
    Strict,
    /// Everything; without it no connection.
    #[default]
    Required,
    /// Nothing but what the server insists on.
    Off,
}

fn default_name() -> String {
    "default".into()
}
fn control_schema() -> String {
    "bodrelay".into()
}
fn yes() -> bool {
    true
}
fn five() -> u64 {
    5
}
fn ten() -> u64 {
    10
}
fn twenty() -> u64 {
    20
}
fn thirty() -> u64 {
    30
}
fn sixty_four() -> u64 {
    64
}
fn ninety() -> u32 {
    90
}
fn hundred_twenty() -> u64 {
    120
}

impl Config {
    /// Reads and checks a file. Relative paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("the configuration file {} cannot be read; name another with --config", path.display())
        })?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("the configuration file {}", path.display()))?;
        // `--config name.toml` names no folder; whoever looks at paths needs whole ones.
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        config.resolve(whole.parent().unwrap_or(Path::new(".")));
        config.check().with_context(|| format!("the configuration file {}", path.display()))?;
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        };
        resolve(&mut self.agent.state_dir);
        self.log.file.iter_mut().for_each(resolve);
        self.alerts.iter_mut().flat_map(Alerts::paths).for_each(resolve);
        self.listen.iter_mut().flat_map(Listen::paths).for_each(resolve);
        for ion in &mut self.ion {
            for path in
                [&mut ion.credentials, &mut ion.client_secret_file, &mut ion.password_file, &mut ion.ca_file]
            {
                path.iter_mut().for_each(resolve);
            }
        }
        for database in &mut self.database {
            for path in [&mut database.path, &mut database.password_file, &mut database.ca_file] {
                path.iter_mut().for_each(resolve);
            }
        }
    }

    fn check(&self) -> Result<()> {
        for (key, value, max) in [("host", &self.agent.host, 64), ("location", &self.agent.location, 64)] {
            if value.trim().is_empty() || value.chars().count() > max {
                bail!("[agent] {key}: write a name of 1 to {max} characters");
            }
        }
        in_range("[agent] control_read_seconds", self.agent.control_read_seconds, 1, 3600)?;
        in_range("[agent] shutdown_seconds", self.agent.shutdown_seconds, 1, 3600)?;
        in_range("[agent] delivered_memory_days", self.agent.delivered_memory_days.into(), 1, 3650)?;
        self.log.check()?;
        in_range("[agent] minimum_free_mb", self.agent.minimum_free_mb, 1, 1 << 30)?;
        if self.ion.is_empty() {
            bail!("no [[ion]]: say how ION is reached, at least credentials = \"NAME.ionapi\"");
        }
        if self.database.is_empty() {
            bail!("no [[database]]: say which database to serve, at least name, kind and path");
        }
        unique("[[ion]] name", self.ion.iter().map(|ion| &ion.name))?;
        unique("[[database]] name", self.database.iter().map(|database| &database.name))?;
        self.metrics.iter().try_for_each(Metrics::check)?;
        self.alerts.iter().try_for_each(Alerts::check)?;
        self.listen.iter().try_for_each(Listen::check)?;
        self.ion.iter().try_for_each(Ion::check)?;
        self.database.iter().try_for_each(DatabaseSettings::check)
    }
}

impl Log {
    /// A word that is no level would be taken for the name of a part of the program, and silence all others.
    fn check(&self) -> Result<()> {
        const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
        let is_level = |word: &str| LEVELS.iter().any(|level| word.trim().eq_ignore_ascii_case(level));
        let mut words = self.level.split(',');
        let is_first = words.next().is_some_and(is_level);
        let is_rest = words.all(|word| word.split_once('=').is_some_and(|(_, level)| is_level(level)));
        if !(is_first && is_rest) {
            bail!(
                "[log] level = {:?}: write error, warn, info, debug or trace (or one of them and more for parts, as in \
                 \"info,bodrelay=debug\")",
                self.level
            );
        }
        Ok(())
    }
}

impl Ion {
    fn check(&self) -> Result<()> {
        let key = |name: &str| format!("[[ion]] {}: {name}", self.name);
        let by_hand = [
            ("base_url", self.base_url.is_some()),
            ("tenant_id", self.tenant_id.is_some()),
            ("token_url", self.token_url.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret_file", self.client_secret_file.is_some()),
        ];
        match &self.credentials {
            Some(_) => {
                // base_url may stand beside it, for a wrapper suite or an Enterprise Connector's address.
                if let Some((name, _)) = by_hand.iter().find(|(name, given)| *given && *name != "base_url") {
                    bail!(
                        "{} is given beside credentials: the .ionapi file has it; remove one of them",
                        key(name)
                    );
                }
            }
            None => {
                if let Some((name, _)) = by_hand.iter().find(|(_, given)| !given) {
                    bail!(
                        "{} is missing: write credentials = \"NAME.ionapi\", or all of base_url, tenant_id, \
                           token_url, client_id and client_secret_file",
                        key(name)
                    );
                }
            }
        }
        if self.username.is_some() != self.password_file.is_some() {
            bail!("{} and password_file go together", key("username"));
        }
        in_range(&key("connect_timeout_seconds"), self.connect_timeout_seconds, 1, 600)?;
        in_range(&key("request_timeout_seconds"), self.request_timeout_seconds, 1, 3600)
    }
}

impl DatabaseSettings {
    /// With every key at its default.
    pub fn of(name: &str, kind: DatabaseKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            path: None,
            host: None,
            port: None,
            instance: None,
            database: None,
            user: None,
            auth: DatabaseAuth::default(),
            password_file: None,
            password_env: None,
            encrypt: Encrypt::default(),
            trust_server_certificate: false,
            ca_file: None,
            iobox_schema: None,
            control_schema: control_schema(),
            statement_timeout_seconds: thirty(),
            pooled: false,
        }
    }

    /// The password, read anew at each call, so that a changed one is used at the next connection; `None`: the keys
    /// give none.
    ///
    /// # Errors
    /// The file cannot be read, or the environment variable is not there.
    pub fn password(&self) -> Result<Option<SecretString>> {
        let name = &self.name;
        match (&self.password_file, &self.password_env) {
            (Some(file), _) => {
                let text = std::fs::read_to_string(file).with_context(|| {
                    format!("[[database]] {name}: the password_file {} cannot be read", file.display())
                })?;
                // Editors end a file with a line break; no password ends with one.
                Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
            }
            (None, Some(variable)) => {
                let text = std::env::var(variable).with_context(|| {
                    format!("[[database]] {name}: the environment variable {variable} (password_env) cannot be read")
                })?;
                Ok(Some(text.into()))
            }
            (None, None) => Ok(None),
        }
    }

    fn check(&self) -> Result<()> {
        let key = |key: &str| format!("[[database]] {}: {key}", self.name);
        in_range(&key("statement_timeout_seconds"), self.statement_timeout_seconds, 1, 3600)?;
        if self.pooled && self.kind != DatabaseKind::Postgres {
            bail!("{}: only for PostgreSQL; remove the key", key("pooled"));
        }
        match self.kind {
            DatabaseKind::Sqlite => self.check_file(),
            DatabaseKind::Postgres | DatabaseKind::Mssql => self.check_server(),
        }
    }

    fn check_file(&self) -> Result<()> {
        let key = |key: &str| format!("[[database]] {}: {key}", self.name);
        let of_servers = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("instance", self.instance.is_some()),
            ("database", self.database.is_some()),
            ("user", self.user.is_some()),
            ("auth", self.auth != DatabaseAuth::default()),
            ("password_file", self.password_file.is_some()),
            ("password_env", self.password_env.is_some()),
            ("encrypt", self.encrypt != Encrypt::default()),
            ("trust_server_certificate", self.trust_server_certificate),
            ("ca_file", self.ca_file.is_some()),
            ("iobox_schema", self.iobox_schema.is_some()),
            ("control_schema", self.control_schema != control_schema()),
        ];
        if let Some((name, _)) = of_servers.iter().find(|(_, given)| *given) {
            bail!("{}: a SQLite file has none; remove the key", key(name));
        }
        if self.path.is_none() {
            bail!("{} is missing: write the path of the SQLite file", key("path"));
        }
        Ok(())
    }

    fn check_server(&self) -> Result<()> {
        let key = |key: &str| format!("[[database]] {}: {key}", self.name);
        if self.path.is_some() {
            bail!("{}: a server has none; write host and database", key("path"));
        }
        for (name, value) in [("host", &self.host), ("database", &self.database)] {
            if value.as_deref().is_none_or(|value| value.trim().is_empty()) {
                bail!("{} is missing", key(name));
            }
        }
        if self.control_schema.trim().is_empty() {
            bail!("{}: write the schema of the bodrelay tables, or remove the key", key("control_schema"));
        }
        if self.password_file.is_some() && self.password_env.is_some() {
            bail!("{} and password_env are both given; remove one of them", key("password_file"));
        }
        if self.trust_server_certificate && self.ca_file.is_some() {
            bail!("{} and ca_file are both given; remove one of them", key("trust_server_certificate"));
        }
        if self.instance.is_some() && (self.kind != DatabaseKind::Mssql || self.port.is_some()) {
            bail!(
                "{}: only SQL Server has named instances, and a port stands for one; remove one",
                key("instance")
            );
        }
        let has_password = self.password_file.is_some() || self.password_env.is_some();
        match self.auth {
            DatabaseAuth::Password if self.user.is_none() => bail!("{} is missing", key("user")),
            DatabaseAuth::Password if self.kind == DatabaseKind::Mssql && !has_password => {
                bail!("{} is missing: write password_file or password_env", key("password_file"))
            }
            DatabaseAuth::Password => Ok(()),
            DatabaseAuth::Windows | DatabaseAuth::Kerberos if self.kind == DatabaseKind::Postgres => {
                bail!("{}: for PostgreSQL, this version signs in with a password", key("auth"))
            }
            DatabaseAuth::Windows if !cfg!(windows) => {
                bail!(
                    "{} = \"windows\": only the Windows build can; use \"kerberos\" or \"password\"",
                    key("auth")
                )
            }
            DatabaseAuth::Kerberos if !cfg!(feature = "kerberos") => {
                bail!(
                    "{} = \"kerberos\": this binary was built without it; build with --features kerberos, or use \
                     \"password\"",
                    key("auth")
                )
            }
            DatabaseAuth::Windows | DatabaseAuth::Kerberos if self.user.is_some() || has_password => {
                bail!(
                    "{}: with this auth the agent's own account signs in; remove user and password",
                    key("user")
                )
            }
            DatabaseAuth::Windows | DatabaseAuth::Kerberos => Ok(()),
        }
    }
}

fn in_range(key: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if !(min..=max).contains(&value) {
        bail!("{key} = {value}: write a number from {min} to {max}");
    }
    Ok(())
}

fn unique<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            bail!("{key}: {name} is given twice; each needs a name of its own");
        }
    }
    Ok(())
}
