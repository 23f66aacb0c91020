//! `check --print-config`: every setting as it is in force, defaults included and secrets masked.
//!
//! Secrets are in files of their own, whose paths are shown; only an address can carry one (`user:password@`).

use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::config::{
    Agent, Alerts, Caller, Config, DatabaseAuth, DatabaseKind, DatabaseSettings, Encrypt, Ion, Listen, Log,
    LogFormat, Metrics, MinTls, Rotate,
};

/// The file as it would be if it said everything.
pub fn effective(config: &Config) -> String {
    let mut out = String::new();
    table(&mut out, "[agent]", agent(&config.agent));
    table(&mut out, "[log]", log(&config.log));
    if let Some(settings) = &config.metrics {
        table(&mut out, "[metrics]", metrics(settings));
    }
    table(&mut out, "[alerts]", alerts(&config.alerts.clone().unwrap_or_default()));
    if let Some(settings) = &config.listen {
        table(&mut out, "[listen]", listen(settings));
        for settings in &settings.caller {
            table(&mut out, "[[listen.caller]]", caller(settings));
        }
    }
    for settings in &config.ion {
        table(&mut out, "[[ion]]", ion(settings));
    }
    for settings in &config.database {
        table(&mut out, "[[database]]", database(settings));
    }
    out
}

/// Keys that are not given and have no default are left out. JSON's strings, numbers and lists are TOML's too.
fn table<const N: usize>(out: &mut String, head: &str, lines: [(&str, Value); N]) {
    if !out.is_empty() {
        out.push('\n');
    }
    *out += head;
    out.push('\n');
    for (key, value) in lines.iter().filter(|(_, value)| !value.is_null()) {
        *out += &format!("{key} = {value}\n");
    }
}

fn path(path: &Path) -> Value {
    json!(path.display().to_string())
}

fn paths(given: &Option<std::path::PathBuf>) -> Value {
    given.as_deref().map_or(Value::Null, path)
}

fn agent(agent: &Agent) -> [(&'static str, Value); 7] {
    [
        ("host", json!(agent.host)),
        ("location", json!(agent.location)),
        ("state_dir", path(&agent.state_dir)),
        ("control_read_seconds", json!(agent.control_read_seconds)),
        ("shutdown_seconds", json!(agent.shutdown_seconds)),
        ("delivered_memory_days", json!(agent.delivered_memory_days)),
        ("minimum_free_mb", json!(agent.minimum_free_mb)),
    ]
}

fn log(log: &Log) -> [(&'static str, Value); 5] {
    let format = match log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let rotate = match log.rotate {
        Rotate::Daily => "daily",
        Rotate::Hourly => "hourly",
        Rotate::Never => "never",
    };
    [
        ("format", json!(format)),
        ("level", json!(log.level)),
        ("file", paths(&log.file)),
        ("rotate", json!(rotate)),
        ("keep_days", json!(log.keep_days)),
    ]
}

fn metrics(metrics: &Metrics) -> [(&'static str, Value); 2] {
    [("listen", json!(metrics.listen.to_string())), ("allow_remote", json!(metrics.allow_remote))]
}

fn alerts(alerts: &Alerts) -> [(&'static str, Value); 9] {
    let proxy = alerts.proxy.as_ref().map(|proxy| without_password(proxy.expose_secret()));
    [
        // The path may be a key: many receivers name their channel so.
        ("webhook_url", json!(alerts.webhook_url.as_deref().map(host_only))),
        ("webhook_header_file", paths(&alerts.webhook_header_file)),
        ("ca_file", paths(&alerts.ca_file)),
        ("proxy", json!(proxy)),
        ("minimum_severity", json!(alerts.minimum_severity.as_str())),
        ("raise_after_seconds", json!(alerts.raise_after_seconds)),
        ("clear_after_seconds", json!(alerts.clear_after_seconds)),
        ("reminder_hours", json!(alerts.reminder_hours)),
        ("timeout_seconds", json!(alerts.timeout_seconds)),
    ]
}

fn listen(listen: &Listen) -> [(&'static str, Value); 16] {
    [
        ("address", json!(listen.address.to_string())),
        ("certificate_file", paths(&listen.certificate_file)),
        ("key_file", paths(&listen.key_file)),
        ("allow_plain", json!(listen.allow_plain)),
        ("called_as", json!(listen.called_as)),
        ("protocol_version", json!(listen.protocol_version.as_str())),
        ("message_method", json!(listen.message_method.as_str())),
        ("has_discovery", json!(listen.has_discovery)),
        ("max_body_bytes", json!(listen.max_body_bytes)),
        ("max_held_bytes", json!(listen.max_held_bytes)),
        ("max_header_bytes", json!(listen.max_header_bytes)),
        ("max_parts", json!(listen.max_parts)),
        ("max_connections", json!(listen.max_connections)),
        ("max_waiting", json!(listen.max_waiting)),
        ("header_seconds", json!(listen.header_seconds)),
        ("body_seconds", json!(listen.body_seconds)),
    ]
}

fn caller(caller: &Caller) -> [(&'static str, Value); 4] {
    [
        ("name", json!(caller.name)),
        ("auth", json!(caller.auth.as_str())),
        ("key", json!(caller.key.as_ref().map(|_| "***"))),
        ("secret_file", path(&caller.secret_file)),
    ]
}

/// An address without its path, its query and its password.
fn host_only(url: &str) -> String {
    let url = without_password(url);
    match url.find("://").and_then(|scheme| url[scheme + 3..].find('/').map(|path| scheme + 3 + path)) {
        Some(path) => format!("{}/***", &url[..path]),
        None => url,
    }
}

fn ion(ion: &Ion) -> [(&'static str, Value); 17] {
    let min_tls = match ion.min_tls {
        MinTls::Tls12 => "1.2",
        MinTls::Tls13 => "1.3",
    };
    let proxy = ion.proxy.as_ref().map(|proxy| without_password(proxy.expose_secret()));
    [
        ("name", json!(ion.name)),
        ("credentials", paths(&ion.credentials)),
        ("base_url", json!(ion.base_url.as_deref().map(without_password))),
        ("tenant_id", json!(ion.tenant_id)),
        ("token_url", json!(ion.token_url.as_deref().map(without_password))),
        ("client_id", json!(ion.client_id)),
        ("client_secret_file", paths(&ion.client_secret_file)),
        ("username", json!(ion.username.as_ref().map(|_| "***"))),
        ("password_file", paths(&ion.password_file)),
        ("scopes", json!(ion.scopes)),
        ("ca_file", paths(&ion.ca_file)),
        ("proxy", json!(proxy)),
        ("no_proxy", json!(ion.no_proxy)),
        ("min_tls", json!(min_tls)),
        ("connect_timeout_seconds", json!(ion.connect_timeout_seconds)),
        ("request_timeout_seconds", json!(ion.request_timeout_seconds)),
        ("cache_token", json!(ion.cache_token)),
    ]
}

fn database(database: &DatabaseSettings) -> [(&'static str, Value); 18] {
    let auth = match database.auth {
        DatabaseAuth::Password => "password",
        DatabaseAuth::Windows => "windows",
        DatabaseAuth::Kerberos => "kerberos",
    };
    let encrypt = match database.encrypt {
        Encrypt::Strict => "strict",
        Encrypt::Required => "required",
        Encrypt::Off => "off",
    };
    let of_postgres =
        |value: Value| if database.kind == DatabaseKind::Postgres { value } else { Value::Null };
    // A file has none of a server's keys.
    let of_server = |value: Value| if database.kind == DatabaseKind::Sqlite { Value::Null } else { value };
    [
        ("name", json!(database.name)),
        ("kind", json!(database.kind.as_str())),
        ("path", paths(&database.path)),
        ("host", json!(database.host)),
        ("port", json!(database.port)),
        ("instance", json!(database.instance)),
        ("database", json!(database.database)),
        ("user", json!(database.user)),
        ("auth", of_server(json!(auth))),
        ("password_file", paths(&database.password_file)),
        ("password_env", json!(database.password_env)),
        ("encrypt", of_server(json!(encrypt))),
        ("trust_server_certificate", of_server(json!(database.trust_server_certificate))),
        ("ca_file", paths(&database.ca_file)),
        ("iobox_schema", json!(database.iobox_schema)),
        ("control_schema", of_server(json!(database.control_schema))),
        ("statement_timeout_seconds", json!(database.statement_timeout_seconds)),
        ("pooled", of_postgres(json!(database.pooled))),
    ]
}

/// Everything before the last `@` of an address, but for the scheme, may be a secret.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((front, host)) => {
            let scheme =
                front.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}***@{host}")
        }
        None => url.to_owned(),
    }
}
