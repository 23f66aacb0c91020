//! No secret and no body gets out: not in a Debug output, not in an error, not in a log at any level.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use super::network::proxy;
use super::*;

/// What is logged while this file's test runs, by any test of this binary, through tracing or the crate log.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Captured {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.clone(), "{} {}: {}", record.level(), record.target(), record.args()).unwrap();
    }
    fn flush(&self) {}
}

fn capture() -> Captured {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::set_boxed_logger(Box::new(captured.clone())).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    captured
}

/// Both forms of Debug of all that it is shown.
#[derive(Default)]
struct Seen(String);

impl Seen {
    fn see(&mut self, what: &dyn Debug) {
        self.0 += &format!("{what:?}\n{what:#?}\n");
    }
}

#[tokio::test]
async fn no_secret_gets_out() {
    let captured = capture();
    let site = Site::with(Options { seed: 77, refresh_tokens: true, ..Options::default() }, "");
    let folder = site.folder.path();
    let keys: serde_json::Value = serde_json::from_str(&site.simulator.ionapi_json()).unwrap();
    let (proxy_port, _) = proxy().await;
    let mut seen = Seen::default();

    assert_eq!(status(&site.post("1").await), 202);
    let cached = std::fs::read_to_string(site.token_file().unwrap()).unwrap();
    let cached: serde_json::Value = serde_json::from_str(&cached).unwrap();
    // Answers that echo the request, at both endpoints.
    let echo = format!("{} {} {} {}", cached["access_token"], keys["cs"], keys["saak"], keys["sask"]);
    let refuse = || What::Refuse { status: 400, retry_after: None, text: Some(echo.clone()) };
    let answer = site.fault(refuse()).post("2").await;
    assert!(answer.text().contains("***"), "{answer:?}");
    seen.see(&answer);
    // The token endpoint can echo what it was sent; another client's token it cannot.
    let echo = format!("{} {} {}", keys["cs"], keys["saak"], keys["sask"]);
    let refuse = What::Refuse { status: 400, retry_after: None, text: Some(echo) };
    site.simulator.add_fault(Fault::new(refuse).on(On::Token));
    let fresh = client(folder, "name = 'fresh'").unwrap();
    seen.see(&fresh.post(V3, &parcel("3")).await);
    for what in [What::Garbage, What::TokenExpired, What::ResetBeforeStore, What::Redirect] {
        seen.see(&site.fault(what).post("4").await);
    }
    site.simulator.clear_faults();
    let setting = format!("name = 'p'\nproxy = 'http://user:pass-w0rd@127.0.0.1:{proxy_port}'");
    let proxied = client(folder, &setting).unwrap();
    assert_eq!(status(&proxied.post(V3, &parcel("5")).await), 202);
    seen.see(&proxied);
    seen.see(&site.client);
    seen.see(&ion(folder, &setting));
    // Files with a secret where something else belongs.
    let mut odd = keys.clone();
    odd["sc"] = keys["cs"].clone();
    odd["iu"] = format!("ftp://{}", keys["cs"].as_str().unwrap()).into();
    for content in [odd.to_string(), keys["cs"].to_string(), format!("{{\"cs\": {} x", keys["cs"])] {
        std::fs::write(folder.join("x.ionapi"), content).unwrap();
        seen.see(&client(folder, "").map_err(|error| format!("{error:#} {error:?}")));
        seen.see(&site.client.reload_credentials().await.map_err(|error| format!("{error:#} {error:?}")));
        seen.see(&site.client.remarks());
    }

    let log = String::from_utf8_lossy(&captured.0.lock().unwrap()).into_owned();
    assert!(log.contains("ION refused a token") && log.contains("hyper"), "the log was not captured");
    let mut secrets =
        vec!["pass-w0rd".to_owned(), "dXNlcjpwYXNzLXcwcmQ".to_owned(), "SyncSalesOrder id=".to_owned()];
    secrets.extend(["cs", "saak", "sask"].iter().map(|key| keys[key].as_str().unwrap().to_owned()));
    secrets
        .extend(["access_token", "refresh_token"].iter().map(|key| cached[key].as_str().unwrap().to_owned()));
    for secret in secrets {
        for (place, text) in [("a Debug output or an error", &seen.0), ("the log", &log)] {
            if let Some(at) = text.find(&secret) {
                panic!("a secret is in {place}: {}", text[..at].lines().last().unwrap_or_default());
            }
        }
    }
}
