//! What the client notices by the way, each provoked and taken back.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use bodrelay::clock::{Clock, SystemClock};
use bodrelay::ims::CODES;
use bodrelay::simulator::Options;
use bodrelay::simulator::script::{Fault, On, What};

use super::network::tls_front;
use super::{Site, V3, client, has_remark, parcel, status};

/// Posts until the client remarks it, or does not any more: credentials are looked at once a second.
async fn until(site: &Site, code: &str, holds: bool) {
    assert!(CODES.contains(&code));
    let begin = Instant::now();
    while has_remark(&site.client, code) != holds {
        let answer = site.post("1").await;
        assert!(begin.elapsed() < Duration::from_secs(20), "{code}: {answer:?} {:?}", site.client.remarks());
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let site = Site::new();
    site.simulator.set_clock_ahead(90);
    assert_eq!(status(&site.client.ping().await), 200);
    let text = |site: &Site| site.client.remarks().iter().map(|it| it.text.clone()).collect::<String>();
    assert!(has_remark(&site.client, "CLOCK_OFF_ION"));
    assert!(text(&site).contains("this machine's clock is") && text(&site).contains("s behind ION's"));
    site.simulator.set_clock_ahead(-3_600);
    site.client.ping().await;
    assert!(text(&site).contains("s ahead of ION's"), "{}", text(&site));
    site.simulator.set_clock_ahead(30);
    site.client.ping().await;
    assert!(!has_remark(&site.client, "CLOCK_OFF_ION"));
}

#[tokio::test]
async fn scopes_that_are_not_granted_are_told() {
    let site = Site::with(Options { token_lifetime: Duration::from_secs(1), ..Options::default() }, "");
    site.simulator.withhold_scope(Some("Infor-ION"));
    until(&site, "SCOPES_NOT_GRANTED", true).await;
    site.simulator.withhold_scope(None);
    until(&site, "SCOPES_NOT_GRANTED", false).await;
}

#[tokio::test]
async fn a_credential_that_others_may_read_is_told() {
    let site = Site::new();
    let file = site.folder.path().join("x.ionapi");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    for (bits, holds) in [(0o644, true), (0o600, false), (0o640, true)] {
        mode(bits);
        until(&site, "CREDENTIAL_READABLE", holds).await;
    }
}

/// The new file is of an app that ION does not let in: the finding says that it came with the change.
#[tokio::test]
async fn a_changed_credential_that_is_refused_is_told() {
    let site = Site::new();
    assert_eq!(status(&site.post("1").await), 202);
    let file = site.folder.path().join("x.ionapi");
    let right = std::fs::read_to_string(&file).unwrap();
    let secret =
        serde_json::from_str::<serde_json::Value>(&right).unwrap()["cs"].as_str().unwrap().to_owned();
    std::fs::write(&file, right.replace(&secret, "wrong-secret")).unwrap();
    until(&site, "CREDENTIAL_REFUSED", true).await;
    let said = format!("{:?}", site.client.remarks());
    assert!(said.contains("since its file changed at") && !said.contains("wrong-secret"), "{said}");
    std::fs::write(&file, right).unwrap();
    until(&site, "CREDENTIAL_REFUSED", false).await;
    // ION's own refusals after that are none of the change.
    assert_eq!(status(&site.post("2").await), 202);
    site.simulator
        .add_fault(Fault::new(What::Refuse { status: 401, retry_after: None, text: None }).on(On::Post));
    site.post("3").await;
    assert!(!has_remark(&site.client, "CREDENTIAL_REFUSED"));
}

#[tokio::test]
async fn a_service_account_that_nobody_uses_is_told() {
    let site = Site::new();
    assert_eq!(status(&site.post("1").await), 202);
    let path = site.token_file().unwrap();
    let mut kept: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (days, is_old) in [(79, false), (81, true)] {
        let then = SystemClock.now() - chrono::TimeDelta::days(days);
        kept["obtained_at"] = then.to_rfc3339().into();
        kept["expires_at"] = then.to_rfc3339().into();
        std::fs::write(&path, kept.to_string()).unwrap();
        let client = client(site.folder.path(), "").unwrap();
        assert_eq!(has_remark(&client, "CREDENTIAL_UNUSED"), is_old, "{days}");
        assert_eq!(status(&client.post(V3, &parcel("2")).await), 202);
        assert!(!has_remark(&client, "CREDENTIAL_UNUSED"));
    }
}

/// What `check` says when a proxy that nobody told the agent of looks into TLS; the agent asks by the same call.
#[tokio::test]
async fn a_certificate_that_nobody_knows_is_told() {
    let site = Site::new();
    let folder = site.folder.path();
    tls_front(&site.simulator, folder, None).await;
    for (ca_file, is_told) in [("", true), ("ca_file = \"ca.pem\"\n", false)] {
        let text = format!(
            "[agent]\nhost = \"h\"\nlocation = \"P\"\nstate_dir = \"state\"\n[[ion]]\ncredentials = \"x.ionapi\"\n{ca_file}\
             [[database]]\nname = \"erp\"\nkind = \"sqlite\"\npath = \"none.db\"\n"
        );
        std::fs::write(folder.join("agent.toml"), text).unwrap();
        let config = bodrelay::config::Config::read(&folder.join("agent.toml")).unwrap();
        let report = bodrelay::check::run(&config, Vec::new(), SystemClock.now()).await;
        let notices: Vec<_> = report.sections.iter().flat_map(|section| &section.notices).collect();
        let told = notices.iter().find(|it| it.code == "CERTIFICATE_UNKNOWN");
        assert_eq!(told.is_some(), is_told, "{notices:?}");
        assert!(
            told.is_none_or(|it| it.text.contains("issued by CN=") && it.remedy.contains("ca_file")),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_told() {
    let site = Site::new();
    let folder = site.folder.path();
    for (days, is_told) in [(Some(10), true), (Some(60), false), (None, false)] {
        tls_front(&site.simulator, folder, days).await;
        let client = client(folder, &format!("ca_file = {:?}", folder.join("ca.pem"))).unwrap();
        assert_eq!(status(&client.ping().await), 200);
        assert_eq!(has_remark(&client, "CERTIFICATE_EXPIRES"), is_told, "{days:?}");
    }
}
