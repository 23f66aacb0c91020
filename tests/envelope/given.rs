//! What the tests start from: fixtures, settings, entries, and short ways to look at a verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bodrelay::bod::judge::judge;
use bodrelay::domain::failure::{Failure, FailureCode};
use bodrelay::domain::ids::DocumentType;
use bodrelay::domain::message::{Entry, Judged, Parcel, Payload, Verdict};
use bodrelay::domain::plan::{
    AfterFailure, Backoff, ConnectionPoint, Document, ImsMethod, OrderBy, SendMode, WireEncoding,
};
use bytes::Bytes;

pub const NAMESPACE: &str = "http://schema.infor.com/InforOAGIS/2";
pub const OWN: &str = "lid://infor.ims.demo";

pub fn fixture_files(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "xml"));
    files
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

pub fn filled(template: &str) -> String {
    [
        ("{{tenant}}", "ACME_TST"),
        ("{{logical_id}}", OWN),
        ("{{document_id}}", "D-100"),
        ("{{variation_id}}", "7"),
        ("{{entity}}", "AE10"),
        ("{{location}}", "WH1"),
        ("{{created}}", "2026-03-02T08:15:30.120Z"),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
}

/// Every good fixture, filled: `Verb.Noun` and the document.
pub fn good() -> BTreeMap<String, String> {
    let files = fixture_files("bods").into_iter();
    files.map(|(name, bytes)| (name, filled(std::str::from_utf8(&bytes).unwrap()))).collect()
}

pub fn document(name: &str) -> String {
    good().remove(name).unwrap()
}

pub fn settings() -> Document {
    Document {
        enabled: true,
        namespace: Some(NAMESPACE.to_owned()),
        order_by: OrderBy::Document,
        document_id_path: None,
        after_failure: AfterFailure::Continue,
        max_document_bytes: 5_242_880,
    }
}

pub fn point() -> ConnectionPoint {
    let listed = good().into_keys().map(|name| (DocumentType::parse(&name).unwrap(), settings()));
    ConnectionPoint {
        name: "demo".into(),
        ion_name: "default".into(),
        tenant_id: "ACME_TST".into(),
        logical_id: OWN.into(),
        source_tenant_id: None,
        composes: false,
        source_logical_id: None,
        send_mode: SendMode::On,
        send_rows_from: None,
        schedule: bodrelay::domain::schedule::Schedule::Every(Duration::from_secs(5)),
        time_zone: "UTC".parse().unwrap(),
        blackout: None,
        max_messages_per_second: None,
        outbox_keep: None,
        batch_rows: 500,
        parallel_posts: 16,
        max_document_bytes: 5_242_880,
        after_failure: AfterFailure::Continue,
        backoff: Backoff { step: Duration::from_secs(10), max: Duration::from_secs(600) },
        lone_rounds: 20,
        lone_in_doubt_tries: 5,
        headers_grace: Duration::from_secs(60),
        ims_method: ImsMethod::V3MultipartMessage,
        encoding: WireEncoding::AsIs,
        check_accepted: true,
        log_all_messages: true,
        log_all_attempts: false,
        log_keep_days: 30,
        documents: listed.collect(),
        status_rules: BTreeMap::new(),
    }
}

pub fn with_settings(name: &str, change: impl FnOnce(&mut Document)) -> ConnectionPoint {
    let mut point = point();
    change(point.documents.get_mut(&DocumentType::parse(name).unwrap()).unwrap());
    point
}

pub fn entry(bod_type: &str, payload: impl Into<Bytes>, more: &[(&str, &str)]) -> Entry {
    let required = [
        ("TenantId", "ACME_TST"),
        ("BODType", bod_type),
        ("FromLogicalId", OWN),
        ("ToLogicalId", "lid://default"),
    ];
    let headers = required.iter().chain(more).map(|(key, value)| (key.to_string(), value.to_string()));
    Entry {
        entry_id: 42,
        priority: 4,
        created: "2026-03-02 08:15:30.120".into(),
        created_at: None,
        was_processed: 0,
        payload: Some(Payload { bytes: payload.into(), is_text: false }),
        headers: headers.collect(),
        unreadable: None,
    }
}

/// Judges one document of a type with more headers than the required ones.
pub fn judged(name: &str, payload: impl Into<Bytes>, more: &[(&str, &str)]) -> Judged {
    judge(&entry(name, payload, more), &point())
}

#[track_caller]
pub fn parcel(judged: &Judged) -> &Parcel {
    match &judged.verdict {
        Verdict::Send(parcel) => parcel,
        other => panic!("not sent: {other:?}"),
    }
}

#[track_caller]
pub fn failure(judged: &Judged) -> &Failure {
    match &judged.verdict {
        Verdict::Fail(failure) => failure,
        other => panic!("did not fail: {other:?}"),
    }
}

#[track_caller]
pub fn assert_fails(judged: &Judged, code: FailureCode, words: &[&str]) {
    let failure = failure(judged);
    assert_eq!(failure.code, code.as_str(), "{}", failure.text);
    assert_eq!(failure.remedy, code.remedy());
    for word in words {
        assert!(failure.text.contains(word), "{word} is not in: {}", failure.text);
    }
    assert!(failure.text.chars().count() <= 2000);
}

pub fn warning_codes(judged: &Judged) -> Vec<&'static str> {
    judged.warnings.iter().map(|warning| warning.code).collect()
}

pub fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}
