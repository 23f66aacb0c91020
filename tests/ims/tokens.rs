//! Tokens: how many are asked for, when, by which grant, and what is said when none is given.

use std::time::Instant;

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn many_posts_ask_for_one_token_and_only_when_they_post() {
    let site = Site::new();
    site.simulator.add_fault(Fault::new(What::Slow { ms: 50 }).on(On::Token));
    assert_eq!(site.simulator.token_requests(), 0);
    let ids: Vec<String> = (0..32).map(|id| id.to_string()).collect();
    let answers = join_all(ids.iter().map(|id| site.post(id))).await;
    assert!(answers.iter().all(|answer| status(answer) == 202), "{answers:?}");
    assert_eq!(site.simulator.token_requests(), 1);

    // All 32 are refused at once, and again one request gives one token for all.
    site.simulator.revoke_tokens();
    let answers = join_all(ids.iter().map(|id| site.post(id))).await;
    assert!(answers.iter().all(|answer| status(answer) == 202), "{answers:?}");
    assert_eq!(site.simulator.token_requests(), 2);

    // Within the same minute no third one is forced: the 401 stands.
    site.simulator.revoke_tokens();
    let answers = join_all(ids.iter().map(|id| site.post(id))).await;
    assert!(answers.iter().all(|answer| status(answer) == 401), "{answers:?}");
    assert_eq!(site.simulator.token_requests(), 2);
}

#[tokio::test]
async fn a_failing_token_endpoint_is_asked_once_for_all_that_wait() {
    let site = Site::new();
    site.simulator.add_fault(Fault::new(What::ResetBeforeStore).on(On::Token));
    let ids: Vec<String> = (0..32).map(|id| id.to_string()).collect();
    let answers = join_all(ids.iter().map(|id| site.post(id))).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Answer::NoToken { status: None, .. })),
        "{answers:?}"
    );
    assert_eq!(site.simulator.token_requests(), 1);
    assert_eq!(site.simulator.ledger().counts().posts, 0);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let site = Site::with(Options { token_lifetime: Duration::from_secs(1), ..Options::default() }, "");
    let begin = Instant::now();
    while site.simulator.token_requests() < 4 {
        assert_eq!(status(&site.post("1").await), 202);
        assert!(begin.elapsed() < Duration::from_secs(20), "no renewal in 20 s");
    }
    // One a half life, not one a post.
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn the_token_is_kept_for_the_next_run() {
    let site = Site::new();
    assert_eq!(status(&site.post("1").await), 202);
    let file = site.token_file().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let second = client(site.folder.path(), "").unwrap();
    assert_eq!(status(&second.post(V3, &parcel("2")).await), 202);
    assert_eq!(site.simulator.token_requests(), 1);
    // A credential of another client does not take it, and a broken file does no harm.
    std::fs::write(site.folder.path().join("x.ionapi"), site.simulator.other_ionapi_json()).unwrap();
    let other = client(site.folder.path(), "").unwrap();
    assert_eq!(status(&other.ping().await), 403);
    assert_eq!(site.simulator.token_requests(), 2);
    std::fs::write(&file, "{\"credential\":").unwrap();
    let third = client(site.folder.path(), "").unwrap();
    assert_eq!(status(&third.ping().await), 403);
    assert_eq!(site.simulator.token_requests(), 3);

    let site = Site::with(Options::default(), "cache_token = false");
    assert_eq!(status(&site.post("1").await), 202);
    assert_eq!(site.token_file(), None);
}

#[tokio::test]
async fn a_refresh_token_is_used_and_its_refusal_leads_back_to_the_grant() {
    let site = Site::with(Options { refresh_tokens: true, ..Options::default() }, "");
    assert_eq!(status(&site.post("1").await), 202);
    site.simulator.revoke_tokens();
    assert_eq!(status(&site.post("2").await), 202);
    assert_eq!(site.simulator.grants(), ["password", "refresh_token"]);
    site.simulator.revoke_tokens();
    site.simulator.revoke_refresh_tokens();
    let next_run = client(site.folder.path(), "").unwrap();
    assert_eq!(status(&next_run.post(V3, &parcel("3")).await), 202);
    assert_eq!(site.simulator.grants()[2..], ["refresh_token", "password"]);
}

#[tokio::test]
async fn client_credentials_are_used_where_there_is_no_service_account() {
    let site = Site::with(Options { service_account: false, ..Options::default() }, "");
    assert_eq!(status(&site.post("1").await), 202);
    assert_eq!(site.simulator.grants(), ["client_credentials"]);
}

#[tokio::test]
async fn keys_by_hand_work_like_a_file() {
    let site = Site::new();
    let keys: serde_json::Value = serde_json::from_str(&site.simulator.ionapi_json()).unwrap();
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    let (secret, password) = (site.folder.path().join("secret"), site.folder.path().join("password"));
    std::fs::write(&secret, key("cs") + "\n").unwrap();
    std::fs::write(&password, key("sask") + "\r\n").unwrap();
    let settings = format!(
        "base_url = '{}/service/'\ntenant_id = '{}'\ntoken_url = '{}{}'\nclient_id = '{}'\n\
         client_secret_file = {secret:?}\nusername = '{}'\npassword_file = {password:?}\nscopes = ['Infor-ION']",
        site.simulator.base_url(),
        key("ti"),
        key("pu"),
        key("ot"),
        key("ci"),
        key("saak"),
    );
    let client = Client::new(&toml::from_str(&settings).unwrap(), site.folder.path()).unwrap();
    assert_eq!(status(&client.post(V3, &parcel("1")).await), 202);
    assert_eq!(client.tenant_id(), "DEMO_TST");
}

#[tokio::test]
async fn a_changed_file_is_taken_over_without_a_break() {
    let site = Site::new();
    let file = site.folder.path().join("x.ionapi");
    assert_eq!(status(&site.post("1").await), 202);
    // From here on only the new file gets a token; what was issued goes on.
    site.simulator.renew_keys(99);
    for (content, is_broken) in
        [("{\"ti\": \"DEMO_TST\", \"cs\":".to_owned(), true), (site.simulator.ionapi_json(), false)]
    {
        std::fs::write(&file, content).unwrap();
        let begin = Instant::now();
        while super::has_remark(&site.client, "CREDENTIAL_UNUSABLE") != is_broken {
            assert_eq!(status(&site.post("2").await), 202);
            assert!(begin.elapsed() < Duration::from_secs(20), "the change was not seen in 20 s");
        }
    }
    assert_eq!(status(&site.post("3").await), 202);
    assert_eq!(site.simulator.token_requests(), 2);

    std::fs::write(&file, "{}").unwrap();
    let error = format!("{:#}", site.client.reload_credentials().await.unwrap_err());
    assert!(error.contains("ti, ci, cs, iu, pu, ot are missing"), "{error}");
    assert_eq!(status(&site.post("4").await), 202);
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_is_explained() {
    let site = Site::new();
    let refuse = |status| What::Refuse { status, retry_after: Some(3), text: Some("no".into()) };
    for (what, wanted) in [
        (refuse(500), "wrong input"),
        (refuse(404), "pu and ot"),
        (refuse(429), "too many token requests"),
        (What::Garbage, "web page"),
        (What::BadJson, "not JSON"),
        (What::Redirect, "pu and ot"),
    ] {
        site.simulator.clear_faults();
        site.simulator.add_fault(Fault::new(what).on(On::Token));
        let answer = site.post("1").await;
        let Answer::NoToken { status: Some(_), what, .. } = &answer else { panic!("{answer:?}") };
        assert!(what.contains(wanted) && what.contains("127.0.0.1:"), "{what}");
    }
    site.simulator.clear_faults();
    let keys: serde_json::Value = serde_json::from_str(&site.simulator.ionapi_json()).unwrap();
    for (key, wanted, status) in [("cs", "ci, cs", 401), ("sask", "saak, sask", 400), ("sc", "scope", 400)] {
        let mut changed = keys.clone();
        changed[key] = if key == "sc" { serde_json::json!(["Other"]) } else { "wrong-one".into() };
        std::fs::write(site.folder.path().join("x.ionapi"), changed.to_string()).unwrap();
        let client = client(site.folder.path(), "").unwrap();
        let answer = client.ping().await;
        let Answer::NoToken { status: Some(found), what, .. } = &answer else { panic!("{answer:?}") };
        assert!(*found == status && what.contains(wanted), "{answer:?}");
    }
}
