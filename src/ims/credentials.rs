//! The credential by which ION knows this agent: read from an `.ionapi` file or from the keys of `[[ion]]`.
//!
//! Secrets are `SecretString`s from the first byte on, and no error quotes what it read. A file may be replaced while
//! the agent runs: `Source` tells when to read it again.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::config::Ion;
use crate::platform;

/// No `.ionapi` file and no password file is larger, bytes.
const MAX_FILE: u64 = 64 * 1024;

/// All that is needed to get a token and to find the IMS.
pub struct Credential {
    pub tenant_id: String,
    /// OAuth client id: the *API Gateway Client Id* of the connection point in ION.
    pub client_id: String,
    pub client_secret: SecretString,
    /// The service account's keys; `None` for the grant of the client itself.
    pub account: Option<Account>,
    pub scopes: Vec<String>,
    pub token_url: Url,
    /// The IMS, up to and including `/service/`.
    pub service_url: Url,
}

/// A service account: `saak` and `sask`.
pub struct Account {
    pub key: SecretString,
    pub secret: SecretString,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("service_account", &self.account.is_some())
            .field("scopes", &self.scopes)
            .field("token_url", &self.token_url.as_str())
            .field("service_url", &self.service_url.as_str())
            .finish_non_exhaustive()
    }
}

impl Credential {
    /// A hash over everything that a token depends on; a cached token of another credential is not used.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let scopes = self.scopes.join(" ");
        let account = self.account.as_ref();
        let parts = [
            self.tenant_id.as_str(),
            &self.client_id,
            self.client_secret.expose_secret(),
            account.map_or("", |account| account.key.expose_secret()),
            account.map_or("", |account| account.secret.expose_secret()),
            &scopes,
            self.token_url.as_str(),
        ];
        for part in parts {
            hash.update(part);
            hash.update([0]);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The text with every secret of this credential masked: an answer may echo what was sent.
    pub fn mask(&self, text: &str) -> String {
        let account = self.account.as_ref();
        let secrets = [
            Some(&self.client_secret),
            account.map(|account| &account.key),
            account.map(|account| &account.secret),
        ];
        secrets
            .into_iter()
            .flatten()
            .fold(text.to_owned(), |text, secret| mask(&text, secret.expose_secret()))
    }
}

/// Replaces `secret` by stars. A very short one is left: it would tear the text apart and says nothing by itself.
pub fn mask(text: &str, secret: &str) -> String {
    if secret.len() < 4 { text.to_owned() } else { text.replace(secret, "***") }
}

/// Where the credential comes from, and when it last changed.
#[derive(Debug, Clone)]
pub struct Source {
    settings: Ion,
}

/// What tells a changed file: time and length of each file of the source; `None` where it is not there.
pub type Stamp = Vec<Option<(SystemTime, u64)>>;

impl Source {
    pub fn new(settings: &Ion) -> Self {
        Self { settings: settings.clone() }
    }

    /// The files that are read, for messages.
    pub fn files(&self) -> Vec<&Path> {
        let Ion { credentials, client_secret_file, password_file, .. } = &self.settings;
        [credentials, client_secret_file, password_file].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// The files that users beside the owner may read.
    pub fn readable_by_others(&self) -> Vec<PathBuf> {
        let files = self.files().into_iter();
        files.filter(|path| platform::others_may_read(path)).map(Path::to_path_buf).collect()
    }

    /// Looks at the files, without reading them.
    pub fn stamp(&self) -> Stamp {
        let stamp = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.files().into_iter().map(stamp).collect()
    }

    /// Reads the credential; errors name the file and the key, and never what it holds.
    pub fn read(&self) -> Result<Credential> {
        match &self.settings.credentials {
            Some(path) => self
                .read_ionapi(path)
                .with_context(|| format!("the credential file {} cannot be used", path.display())),
            None => self
                .read_keys()
                .with_context(|| format!("the credential of [[ion]] {} cannot be used", self.settings.name)),
        }
    }

    fn read_ionapi(&self, path: &Path) -> Result<Credential> {
        let text = read_small(path)?;
        // Only the position is told: the error's own text could quote a secret.
        let file: serde_json::Value =
            serde_json::from_str(text.expose_secret().trim_start_matches('\u{feff}')).map_err(|error| {
                anyhow::anyhow!(
                    "it is not JSON (line {}, column {}); download it again from the authorized app",
                    error.line(),
                    error.column()
                )
            })?;
        let key = |name: &str| file.get(name).and_then(|value| value.as_str()).filter(|it| !it.is_empty());
        let missing: Vec<_> =
            ["ti", "ci", "cs", "iu", "pu", "ot"].into_iter().filter(|name| key(name).is_none()).collect();
        if !missing.is_empty() {
            bail!(
                "the keys {} are missing; download the file again from the authorized app (type Backend Service)",
                missing.join(", ")
            );
        }
        let get = |name: &str| key(name).unwrap_or_default();
        let account = match (key("saak"), key("sask")) {
            (Some(key), Some(secret)) => Some(Account { key: key.into(), secret: secret.into() }),
            (None, None) => None,
            _ => bail!("it has one of saak and sask; download it again with Create Service Account ticked"),
        };
        let in_file = file.get("sc").and_then(|scopes| scopes.as_array()).into_iter().flatten();
        let scopes = match &self.settings.scopes[..] {
            [] => in_file.filter_map(|scope| scope.as_str()).map(str::to_owned).collect(),
            own => own.to_vec(),
        };
        let base = match &self.settings.base_url {
            Some(base) => base.clone(),
            None => {
                format!("{}/{}/IONSERVICES/api/ion/messaging", get("iu").trim_end_matches('/'), get("ti"))
            }
        };
        let token_url = format!("{}/{}", get("pu").trim_end_matches('/'), get("ot").trim_start_matches('/'));
        Ok(Credential {
            tenant_id: get("ti").to_owned(),
            client_id: get("ci").to_owned(),
            client_secret: get("cs").into(),
            account: self.account()?.or(account),
            scopes,
            token_url: secure_url("the token URL (pu and ot)", &token_url)?,
            service_url: service_url(&base)?,
        })
    }

    fn read_keys(&self) -> Result<Credential> {
        let key = |name: &str, value: &Option<String>| match value {
            Some(value) => Ok(value.clone()),
            None => bail!("{name} is missing in [[ion]] {}", self.settings.name),
        };
        let Some(secret) = &self.settings.client_secret_file else {
            bail!("client_secret_file is missing in [[ion]] {}", self.settings.name);
        };
        Ok(Credential {
            tenant_id: key("tenant_id", &self.settings.tenant_id)?,
            client_id: key("client_id", &self.settings.client_id)?,
            client_secret: first_line(&read_small(secret)?),
            account: self.account()?,
            scopes: self.settings.scopes.clone(),
            token_url: secure_url("token_url", &key("token_url", &self.settings.token_url)?)?,
            service_url: service_url(&key("base_url", &self.settings.base_url)?)?,
        })
    }

    fn account(&self) -> Result<Option<Account>> {
        let (Some(username), Some(file)) = (&self.settings.username, &self.settings.password_file) else {
            return Ok(None);
        };
        Ok(Some(Account { key: username.as_str().into(), secret: first_line(&read_small(file)?) }))
    }
}

fn read_small(path: &Path) -> Result<SecretString> {
    let length = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    if length > MAX_FILE {
        bail!("{} has {length} bytes; a credential has at most {MAX_FILE}", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.into())
}

/// Editors end a file with a line break, which is no part of the secret.
fn first_line(text: &SecretString) -> SecretString {
    text.expose_secret().lines().next().unwrap_or_default().into()
}

/// The IMS address ending in `/service/`, from a base that is given with or without `/service` (spec/ims.md §2). A
/// base with a segment behind `service` (an LN company) stays as it is.
pub fn service_url(base: &str) -> Result<Url> {
    let mut url = secure_url("base_url", base)?;
    let path = url.path().trim_end_matches('/').to_owned();
    let has_service = path.split('/').any(|segment| segment == "service");
    url.set_path(&if has_service { format!("{path}/") } else { format!("{path}/service/") });
    Ok(url)
}

/// An https URL without credentials in it; plain http only to this machine itself.
fn secure_url(what: &str, text: &str) -> Result<Url> {
    let Ok(url) = Url::parse(text) else {
        bail!("{what} is not a URL; write https://host/path");
    };
    if !url.username().is_empty() || url.password().is_some() {
        bail!("{what} holds a user or password; write it without");
    }
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => bail!("{what} must begin with https:// (plain http would show the credential on the network)"),
    }
}
