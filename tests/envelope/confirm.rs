//! ConfirmBODs as they are composed, held against golden files and judged as any foreign document is.

use bodrelay::bod::confirm::{Composed, Confirm, Original, compose};
use bodrelay::bod::envelope::{self, Envelope};
use bodrelay::domain::message::Facts;
use chrono::{DateTime, Utc};

use crate::given::{OWN, document, judged, parcel, warning_codes};

fn at() -> DateTime<Utc> {
    "2026-03-02T08:17:00.5Z".parse().unwrap()
}

fn original<'a>(document: &'a [u8], envelope: Option<&'a Envelope>) -> Original<'a> {
    Original {
        document,
        envelope,
        bod_type: Some("Sync.ItemMaster"),
        message_id: Some("M-1:-ION-:0123456789abcdef0123456789abcdef"),
        document_id: Some("D-100"),
        accounting_entity: Some("AE10"),
        location: Some("WH1"),
        revision_id: None,
    }
}

fn confirm(original: Original<'_>) -> Confirm<'_> {
    Confirm {
        tenant_id: "ACME_TST",
        logical_id: OWN,
        created_at: at(),
        sequence: 12,
        reason: "Unit of measure PCE is unknown",
        reason_code: Some("UOM001"),
        original,
        max_bytes: 5_242_880,
    }
}

/// Compares with a file of fixtures/confirm; UPDATE_EXPECT=1 writes it anew.
#[track_caller]
fn expect(name: &str, composed: &Composed) {
    let path = format!("{}/fixtures/confirm/{name}.xml", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{}\n", composed.document)).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(golden.trim_end(), composed.document, "{name}");
}

/// It would be sent, without a word of warning, as the document that it is about.
#[track_caller]
fn is_good(composed: &Composed, headers: &[(&str, &str)]) -> Facts {
    let judged = judged("Confirm.BOD", composed.document.clone(), headers);
    parcel(&judged);
    assert_eq!(warning_codes(&judged), [""; 0], "{:?}", judged.warnings);
    (*judged.facts).clone()
}

const OF_ITEM: &[(&str, &str)] =
    &[("DocumentId", "D-100"), ("AccountingEntity", "AE10"), ("Location", "WH1")];

#[test]
fn a_confirm_holds_its_original() {
    let item = document("Sync.ItemMaster");
    let envelope = envelope::read(item.as_bytes(), None).unwrap();
    let composed = compose(&confirm(original(item.as_bytes(), Some(&envelope))));
    assert!(composed.holds_original);
    expect("with_original", &composed);
    let facts = is_good(&composed, OF_ITEM);
    assert_eq!((facts.verb.as_deref(), facts.noun.as_deref()), (Some("Confirm"), Some("BOD")));
    assert_eq!(facts.document_id.as_deref(), Some("D-100"));
    let (_, rest) = composed.document.split_once("<![CDATA[").unwrap();
    let (content, _) = rest.split_once("]]>").unwrap();
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(content).unwrap();
    assert!(bytes == item.as_bytes(), "the original came out changed");
}

#[test]
fn a_confirm_of_what_is_no_bod_says_what_is_known() {
    let none =
        Original { bod_type: None, message_id: None, document_id: None, ..original(b"\0 no XML", None) };
    let composed = compose(&Confirm { reason_code: None, ..confirm(none) });
    expect("of_no_bod", &composed);
    let judged = judged("Confirm.BOD", composed.document.clone(), &[]);
    parcel(&judged);
    assert_eq!(warning_codes(&judged), ["NO_DOCUMENT_ID"], "it is sent, in no order");
}

#[test]
fn an_original_that_is_too_large_is_left_out() {
    let item = document("Sync.ItemMaster");
    let envelope = envelope::read(item.as_bytes(), None).unwrap();
    let whole = compose(&confirm(original(item.as_bytes(), Some(&envelope)))).document.len();
    let of_size =
        |max_bytes| compose(&Confirm { max_bytes, ..confirm(original(item.as_bytes(), Some(&envelope))) });
    assert!(of_size(whole).holds_original);
    let without = of_size(whole - 1);
    assert!(!without.holds_original && !without.document.contains("MessageContent"));
    expect("without_original", &without);
    is_good(&without, OF_ITEM);
}

#[test]
fn every_letter_of_a_reason_is_kept_or_replaced() {
    let reason = "a<b & c>d \"q\" 'é' 😀 ]]> \u{1} \u{FFFF}\r\nnext\ttab";
    let long = "ü".repeat(3_000);
    for (reason, code) in [(reason, "<&>"), (&long, "ü")] {
        let composed =
            compose(&Confirm { reason, reason_code: Some(code), ..confirm(original(b"<a/>", None)) });
        assert!(composed.document.is_ascii(), "every column takes it");
        is_good(&composed, OF_ITEM);
    }
    let odd = compose(&Confirm { reason, ..confirm(original(b"<a/>", None)) });
    let shown = "a&lt;b &amp; c&gt;d \"q\" '&#233;' &#128512; ]]&gt; ? ?&#13;\nnext\ttab";
    assert!(odd.document.contains(&format!("<Description>{shown}</Description>")), "{}", odd.document);
    let cut = compose(&Confirm { reason: &long, ..confirm(original(b"<a/>", None)) });
    assert_eq!(cut.document.matches("&#252;").count(), 2_000);
}

#[test]
fn a_bodid_stays_as_short_as_ion_takes_it() {
    let id = "x".repeat(100);
    let revision = "r".repeat(22);
    let long = Original {
        document_id: Some(&id),
        accounting_entity: Some("e234567890123456789012"),
        location: Some("l234567890123456789012"),
        revision_id: Some(&revision),
        ..original(b"<a/>", None)
    };
    for original in [long, Original { document_id: Some(&"y".repeat(250)), ..long }] {
        let composed = compose(&confirm(original));
        let (_, rest) = composed.document.split_once("<BODID>").unwrap();
        let (bod_id, _) = rest.split_once("</BODID>").unwrap();
        assert!(bod_id.replace("&amp;", "&").len() <= 255, "{bod_id}");
    }
}
