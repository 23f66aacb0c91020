//! `[listen]`: where ION's calls arrive, who may call, and how much of everything is taken.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use serde::Deserialize;

use super::in_range;

/// A file with a password, a token or a key has at most so many bytes.
const SECRET_FILE_MAX: u64 = 64 * 1024;

/// `[listen]`: the receiver; without the section nothing is received.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port; port 0 takes a free one, which the diagnostic log names.
    pub address: SocketAddr,
    /// The certificate with the intermediate ones behind it, PEM; read again when it changes.
    pub certificate_file: Option<PathBuf>,
    /// Its private key, PEM; read again when it changes.
    pub key_file: Option<PathBuf>,
    /// Plain HTTP on another address than loopback: documents and passwords cross the network unencrypted.
    #[serde(default)]
    pub allow_plain: bool,
    /// Scheme, host and port as callers write them, where a proxy before the agent changes them: signatures of OAuth
    /// 1.0a are made over the address that the caller used.
    pub called_as: Option<String>,
    /// What `protocol` answers: `v3` or `v2` (spec/ims.md §4.1).
    #[serde(default)]
    pub protocol_version: ProtocolVersion,
    /// What `protocol` answers: `multipartMessage` or `message`.
    #[serde(default)]
    pub message_method: MessageMethod,
    /// What `protocol` answers: whether ION may ask which documents there are.
    #[serde(default)]
    pub has_discovery: bool,
    /// A request's body, encoded.
    #[serde(default = "max_body_bytes")]
    pub max_body_bytes: u64,
    /// All bodies together that are read, checked or wait to be stored.
    #[serde(default = "max_held_bytes")]
    pub max_held_bytes: u64,
    /// Request line and headers.
    #[serde(default = "max_header_bytes")]
    pub max_header_bytes: u64,
    /// Parts of a multipart body.
    #[serde(default = "max_parts")]
    pub max_parts: u64,
    /// Open connections; others wait in the system's queue.
    #[serde(default = "max_connections")]
    pub max_connections: u64,
    /// Documents that wait to be stored in one database.
    #[serde(default = "max_waiting")]
    pub max_waiting: u64,
    /// For a request's line and headers; a connection without a request is closed after it, too.
    #[serde(default = "header_seconds")]
    pub header_seconds: u64,
    /// For a request's body.
    #[serde(default = "body_seconds")]
    pub body_seconds: u64,
    /// Who may call; none only on loopback.
    #[serde(default)]
    pub caller: Vec<Caller>,
}

/// `[[listen.caller]]`: one credential that is let in. Several at once are for changing them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// As the diagnostic log names it.
    pub name: String,
    pub auth: CallerAuth,
    /// The consumer key (`oauth1`) or the user (`basic`).
    pub key: Option<String>,
    /// The consumer secret, the password, the token; read again when it changes.
    pub secret_file: PathBuf,
}

/// How a caller shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerAuth {
    /// OAuth 1.0a, two-legged: as an Enterprise Connector signs.
    Oauth1,
    Basic,
    Bearer,
}

impl CallerAuth {
    /// As the configuration file names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oauth1 => "oauth1",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolVersion {
    #[default]
    V3,
    V2,
}

impl ProtocolVersion {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V2 => "v2",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum MessageMethod {
    #[default]
    #[serde(rename = "multipartMessage")]
    MultipartMessage,
    #[serde(rename = "message")]
    Message,
}

impl MessageMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MultipartMessage => "multipartMessage",
            Self::Message => "message",
        }
    }
}

fn max_body_bytes() -> u64 {
    53 * 1024 * 1024
}
fn max_held_bytes() -> u64 {
    128 * 1024 * 1024
}
fn max_header_bytes() -> u64 {
    32 * 1024
}
fn max_parts() -> u64 {
    8
}
fn max_connections() -> u64 {
    256
}
fn max_waiting() -> u64 {
    1_000
}
fn header_seconds() -> u64 {
    30
}
fn body_seconds() -> u64 {
    60
}

impl Listen {
    /// With every key at its default.
    pub fn on(address: SocketAddr) -> Self {
        Self {
            address,
            certificate_file: None,
            key_file: None,
            allow_plain: false,
            called_as: None,
            protocol_version: ProtocolVersion::default(),
            message_method: MessageMethod::default(),
            has_discovery: false,
            max_body_bytes: max_body_bytes(),
            max_held_bytes: max_held_bytes(),
            max_header_bytes: max_header_bytes(),
            max_parts: max_parts(),
            max_connections: max_connections(),
            max_waiting: max_waiting(),
            header_seconds: header_seconds(),
            body_seconds: body_seconds(),
            caller: Vec::new(),
        }
    }

    /// Whether it speaks TLS.
    pub fn is_encrypted(&self) -> bool {
        self.certificate_file.is_some()
    }

    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let own = [&mut self.certificate_file, &mut self.key_file].into_iter().flatten();
        own.chain(self.caller.iter_mut().map(|caller| &mut caller.secret_file))
    }

    pub(super) fn check(&self) -> Result<()> {
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => {
                bail!("[listen] key_file is missing: the private key of certificate_file, PEM")
            }
            (None, Some(_)) => {
                bail!("[listen] certificate_file is missing: the certificate of key_file, PEM")
            }
            (Some(_), Some(_)) if self.allow_plain => {
                bail!("[listen] allow_plain: with certificate_file nothing is plain; remove it")
            }
            _ => {}
        }
        let is_loopback = self.address.ip().is_loopback();
        if !is_loopback && !self.is_encrypted() && !self.allow_plain {
            bail!(
                "[listen] address = \"{}\": documents and credentials would cross the network unencrypted. Write \
                 certificate_file and key_file, or 127.0.0.1 (and let a proxy with a certificate stand before it), or \
                 allow_plain = true if the network keeps strangers out",
                self.address
            );
        }
        if !is_loopback && self.caller.is_empty() {
            bail!(
                "[listen] address = \"{}\": anybody in the network could write into the inbox. Write at least one \
                 [[listen.caller]]; only on loopback may there be none",
                self.address
            );
        }
        super::unique("[[listen.caller]] name", self.caller.iter().map(|caller| &caller.name))?;
        self.caller.iter().try_for_each(Caller::check)?;
        self.check_called_as()?;
        const MIB: u64 = 1024 * 1024;
        in_range("[listen] max_body_bytes", self.max_body_bytes, 1024, 256 * MIB)?;
        in_range("[listen] max_held_bytes", self.max_held_bytes, 1024, 4096 * MIB)?;
        if self.max_held_bytes < self.max_body_bytes {
            bail!(
                "[listen] max_held_bytes = {} is below max_body_bytes = {}: the largest body could never be taken",
                self.max_held_bytes,
                self.max_body_bytes
            );
        }
        in_range("[listen] max_header_bytes", self.max_header_bytes, 1024, MIB)?;
        in_range("[listen] max_parts", self.max_parts, 2, 64)?;
        in_range("[listen] max_connections", self.max_connections, 1, 10_000)?;
        in_range("[listen] max_waiting", self.max_waiting, 1, 100_000)?;
        in_range("[listen] header_seconds", self.header_seconds, 1, 600)?;
        in_range("[listen] body_seconds", self.body_seconds, 1, 3_600)
    }

    fn check_called_as(&self) -> Result<()> {
        let Some(origin) = &self.called_as else { return Ok(()) };
        let uri: Option<hyper::Uri> = origin.parse().ok();
        let is_origin = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some()
                && uri.path().trim_end_matches('/').is_empty()
                && uri.query().is_none()
                && !origin.contains('@')
        });
        if !is_origin {
            bail!(
                "[listen] called_as = \"{origin}\": write scheme, host and port, as in https://edge.example.com:8443"
            );
        }
        Ok(())
    }
}

impl Caller {
    fn check(&self) -> Result<()> {
        let key = |key: &str| format!("[[listen.caller]] {}: {key}", self.name);
        match (self.auth, self.key.as_deref()) {
            (CallerAuth::Oauth1 | CallerAuth::Basic, None | Some("")) => {
                bail!("{} is missing: the consumer key of OAuth, or the user", key("key"))
            }
            (CallerAuth::Basic, Some(user)) if user.contains(':') => {
                bail!("{}: a user cannot hold a colon", key("key"))
            }
            (CallerAuth::Bearer, Some(_)) => {
                bail!("{}: a token stands alone, in secret_file; remove the key", key("key"))
            }
            _ => Ok(()),
        }
    }

    /// The secret as its file has it now.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or is far too large for a secret.
    pub fn secret(&self) -> Result<SecretString> {
        read_secret(&self.secret_file)
            .with_context(|| format!("[[listen.caller]] {}: secret_file", self.name))
    }
}

fn read_secret(path: &Path) -> Result<SecretString> {
    let shown = path.display();
    let length = std::fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?.len();
    if length > SECRET_FILE_MAX {
        bail!("{shown} has {length} bytes; a secret has at most {SECRET_FILE_MAX}");
    }
    let text =
        SecretString::from(std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?);
    // Editors end a file with a line break; no secret ends with one.
    let secret = secrecy::ExposeSecret::expose_secret(&text).trim_end_matches(['\r', '\n']);
    if secret.trim().is_empty() {
        bail!("{shown} is empty: write the secret into it");
    }
    Ok(secret.into())
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(listen: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bodrelay.toml");
        let text = format!(
            "[agent]\nhost = \"h\"\nlocation = \"l\"\nstate_dir = \"s\"\n[[ion]]\ncredentials = \"x\"\n[[database]]\n\
             name = \"d\"\nkind = \"sqlite\"\npath = \"p\"\n{listen}\n"
        );
        std::fs::write(&file, text).unwrap();
        Config::read(&file).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_short_section_is_enough_on_loopback() {
        let listen = read("[listen]\naddress = \"127.0.0.1:0\"").unwrap().listen.unwrap();
        assert_eq!((listen.max_parts, listen.max_waiting, listen.caller.len()), (8, 1_000, 0));
        assert!(!listen.has_discovery && !listen.is_encrypted());
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let config = read(
            "[listen]\naddress = \"0.0.0.0:8443\"\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\n\
             [[listen.caller]]\nname = \"ion\"\nauth = \"oauth1\"\nkey = \"K\"\nsecret_file = \"s\"\n",
        );
        let listen = config.unwrap().listen.unwrap();
        assert!(listen.certificate_file.unwrap().is_absolute() && listen.caller[0].secret_file.is_absolute());
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_its_key() {
        let caller = "[[listen.caller]]\nname = \"a\"\nsecret_file = \"s\"\n";
        for (text, said) in [
            ("[listen]\naddress = \"127.0.0.1:0\"\ncolour = 1", "unknown field `colour`"),
            ("[listen]\naddress = \"127.0.0.1\"", "invalid socket address"),
            ("[listen]\naddress = \"0.0.0.0:80\"", "unencrypted"),
            ("[listen]\naddress = \"0.0.0.0:80\"\nallow_plain = true", "[[listen.caller]]"),
            ("[listen]\naddress = \"127.0.0.1:0\"\ncertificate_file = \"c\"", "key_file is missing"),
            ("[listen]\naddress = \"127.0.0.1:0\"\nkey_file = \"c\"", "certificate_file is missing"),
            ("[listen]\naddress = \"127.0.0.1:0\"\nmax_parts = 1", "max_parts = 1"),
            ("[listen]\naddress = \"127.0.0.1:0\"\nmax_held_bytes = 2048", "below max_body_bytes"),
            ("[listen]\naddress = \"127.0.0.1:0\"\ncalled_as = \"host:1\"", "called_as"),
            ("[listen]\naddress = \"127.0.0.1:0\"\nmessage_method = \"post\"", "unknown variant `post`"),
            (&*format!("[listen]\naddress = \"127.0.0.1:0\"\n{caller}auth = \"oauth1\""), "key is missing"),
            (
                &*format!("[listen]\naddress = \"127.0.0.1:0\"\n{caller}auth = \"bearer\"\nkey = \"k\""),
                "alone",
            ),
            (
                &*format!("[listen]\naddress = \"127.0.0.1:0\"\n{caller}auth = \"basic\"\nkey = \"a:b\""),
                "colon",
            ),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}\n{error}");
        }
        // The line is named, so that it is found in a long file.
        let error = read("[listen]\naddress = \"127.0.0.1:0\"\ncolour = 1").unwrap_err();
        assert!(error.contains("line 13"), "{error}");
    }
}
