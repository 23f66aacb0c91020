//! Opens a session: the connection keys, the handshake, the session's settings and tables, and how the site's differ.

use std::time::Duration;

use secrecy::ExposeSecret;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, SqlBrowser};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use crate::config::{DatabaseAuth, DatabaseSettings, Encrypt};

use super::session::{Document, Session, Site, bracketed};
use super::survey;
use super::trouble::Trouble;

/// SQL Server's own port, where neither `port` nor `instance` is given.
const PORT: u16 = 1433;

/// From the name of the server to the end of the login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest `program_name` that the server keeps.
const LONGEST_NAME: usize = 128;

pub(super) async fn open(
    settings: &DatabaseSettings,
    host: &str,
    purpose: &'static str,
) -> Result<Session, Trouble> {
    let config = configure(settings, host, purpose)?;
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(config));
    let client = connected.await.unwrap_or(Err(Trouble::NoAnswer(CONNECT_TIMEOUT)))?;
    let site = Site::named(&settings.control_schema, settings.iobox_schema.as_deref());
    let mut session = Session::new(client, site);
    let prepared = async {
        session.prepare().await?;
        survey::adapt(&mut session).await
    };
    let timeout = Duration::from_secs(settings.statement_timeout_seconds);
    tokio::time::timeout(timeout, prepared).await.unwrap_or(Err(Trouble::TimedOut))?;
    Ok(session)
}

async fn connect(mut config: Config) -> Result<Client<tokio_util::compat::Compat<TcpStream>>, Trouble> {
    // A router in front (Azure, a listener for readers) sends on to another address, once.
    let first = dial(&config).await;
    match first {
        Err(Trouble::Server(tiberius::error::Error::Routing { host, port })) => {
            config.host(&host);
            config.port(port);
            dial(&config).await
        }
        answer => answer,
    }
}

async fn dial(config: &Config) -> Result<Client<tokio_util::compat::Compat<TcpStream>>, Trouble> {
    let stream = TcpStream::connect_named(config).await.map_err(Trouble::Unreachable)?;
    stream.set_nodelay(true).map_err(|error| Trouble::Unreachable(error.into()))?;
    Client::connect(config.clone(), stream.compat_write()).await.map_err(|error| match error {
        // Told by its kind: the texts are the driver's own and not meant to be read by a program.
        tiberius::error::Error::Protocol(_) => Trouble::Mend {
            what: "the server does not agree to the login as it is asked for".into(),
            remedy: "check encrypt in [[database]] (strict needs SQL Server 2022, required a server that offers TLS), and \
                     that host and port are those of SQL Server"
                .into(),
            source: Some(error.into()),
        },
        other => Trouble::Server(other),
    })
}

fn configure(settings: &DatabaseSettings, host: &str, purpose: &str) -> Result<Config, Trouble> {
    let mut config = Config::new();
    config.host(settings.host.as_deref().unwrap_or_default());
    match (&settings.instance, settings.port) {
        (Some(instance), _) => config.instance_name(instance),
        (None, port) => config.port(port.unwrap_or(PORT)),
    }
    config.database(settings.database.as_deref().unwrap_or_default());
    let name: String = format!("bodrelay {host}/{purpose}").chars().take(LONGEST_NAME).collect();
    config.application_name(name);
    config.client_name(host);
    config.handshake_timeout(Some(CONNECT_TIMEOUT));
    config.command_timeout(Some(Duration::from_secs(settings.statement_timeout_seconds)));
    // Text of the application may hold half a character; what is a document is read as bytes.
    config.lossy_utf16_decoding(true);
    config.encryption(match settings.encrypt {
        Encrypt::Strict => EncryptionLevel::Strict,
        Encrypt::Required => EncryptionLevel::Required,
        Encrypt::Off => EncryptionLevel::NotSupported,
    });
    if settings.trust_server_certificate {
        config.trust_cert();
    } else if let Some(file) = &settings.ca_file {
        let bundle = std::fs::read(file).map_err(|error| Trouble::Mend {
            what: format!("the ca_file {} cannot be read", file.display()),
            remedy: "correct ca_file in [[database]]".into(),
            source: Some(error.into()),
        })?;
        config.trust_cert_ca_bundle(bundle);
    }
    config.authentication(authentication(settings)?);
    Ok(config)
}

fn authentication(settings: &DatabaseSettings) -> Result<AuthMethod, Trouble> {
    match settings.auth {
        DatabaseAuth::Password => {
            let password = settings.password().map_err(|error| Trouble::Mend {
                what: "the password cannot be read".into(),
                remedy: "correct password_file or password_env in [[database]]".into(),
                source: Some(error),
            })?;
            let user = settings.user.as_deref().unwrap_or_default();
            let password = password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
            Ok(AuthMethod::sql_server(user, password))
        }
        DatabaseAuth::Windows | DatabaseAuth::Kerberos => own_account(),
    }
}

#[cfg(any(windows, feature = "kerberos"))]
fn own_account() -> Result<AuthMethod, Trouble> {
    Ok(AuthMethod::Integrated)
}

#[cfg(not(any(windows, feature = "kerberos")))]
fn own_account() -> Result<AuthMethod, Trouble> {
    Err(Trouble::Mend {
        what: "this build signs in with a password only".into(),
        remedy: "use auth = \"password\", or a build with the feature kerberos".into(),
        source: None,
    })
}

impl Site {
    /// The schemas as the settings name them; the rest is found out at connect.
    fn named(control_schema: &str, iobox_schema: Option<&str>) -> Self {
        Self {
            control_schema: control_schema.to_owned(),
            control: format!("{}.", bracketed(control_schema)),
            iobox: iobox_schema.map(|schema| format!("{}.", bracketed(schema))).unwrap_or_default(),
            reads_past: false,
            document_is_text: false,
            has_logical_id: true,
            inbox_document: Document::Binary,
            has_inbox_logical_id: true,
            own_outbox: false,
            has_document_key: false,
        }
    }
}
