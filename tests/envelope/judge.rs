//! The judge: every check of an entry, from both sides, and what a message becomes of it.

use std::io::Write;

use bodrelay::bod::judge::{headers_missing, judge};
use bodrelay::domain::failure::FailureCode;
use bodrelay::domain::ids::{DocumentType, LaneKey};
use bodrelay::domain::message::{Encoding, Parcel, Park, Payload, Verdict};
use bodrelay::domain::plan::{ConnectionPoint, OrderBy, WireEncoding};

use crate::given::*;

#[test]
fn sends_every_good_fixture() {
    for (name, document) in good() {
        let judged = judged(&name, document.clone(), &[("MessageId", "m-1")]);
        let Parcel { parameters, payload } = parcel(&judged);
        assert_eq!(payload, document.as_bytes());
        assert_eq!(parameters.document_name, name);
        assert_eq!(parameters.message_id, "m-1");
        assert_eq!(parameters.from_logical_id, OWN);
        assert_eq!(parameters.to_logical_id, "lid://default");
        assert_eq!(parameters.encoding, Encoding::None);
        assert_eq!(parameters.character_set, "UTF-8");
        assert_eq!(parameters.accounting_entity.as_deref(), Some("AE10"));
        assert_eq!(parameters.instances, (name == "Show.ItemMaster").then_some(5));
        assert_eq!(warning_codes(&judged), Vec::<&str>::new(), "{name}: {:?}", judged.warnings);
        assert_eq!(judged.facts.document_bytes, document.len() as i64);
        assert_eq!(judged.facts.digest.as_ref().unwrap().len(), 64);
        let has_id = name != "Process.SalesOrder";
        assert_eq!(judged.facts.document_id.as_deref(), has_id.then_some("D-100"), "{name}");
        assert_eq!(judged.lane.is_some(), has_id, "{name}");
    }
}

#[test]
fn header_values_become_parameters() {
    let more = [
        ("DocumentId", "D-100"),
        ("AccountingEntity", "AE10"),
        ("Location", ""),
        ("VariationId", "7"),
        ("RevisionId", "3"),
        ("BatchId", "B77"),
        ("BatchSequence", "1"),
        ("BatchSize", "2"),
        ("BatchRevision", "0"),
        ("BatchAbortIndicator", "0"),
        ("Instances", "1"),
        ("Source", "orders.csv"),
        ("Source Publication Date", "2026-03-02T08:15:30.120Z"),
        ("Custom_Color", "blue"),
        ("Priority", "4"),
    ];
    let judged = judged("Sync.PurchaseOrder", document("Sync.PurchaseOrder"), &more);
    assert_eq!(warning_codes(&judged), Vec::<&str>::new());
    let json = serde_json::to_value(&parcel(&judged).parameters).unwrap();
    let expected = serde_json::json!({
        "documentName": "Sync.PurchaseOrder", "messageId": judged.message_id, "fromLogicalId": OWN,
        "toLogicalId": "lid://default", "encoding": "NONE", "characterSet": "UTF-8", "documentId": "D-100",
        "accountingEntity": "AE10", "location": "WH1", "variationId": 7, "revisionId": "3", "batchId": "B77",
        "batchSequence": 1, "batchSize": 2, "batchRevision": 0, "batchAbortIndicator": false, "instances": 1,
        "source": "orders.csv", "sourcePublicationDate": "2026-03-02T08:15:30.120Z", "custom_Color": "blue",
    });
    assert_eq!(json, expected);
    assert_eq!(judged.facts.variation_id, Some(7));
    assert_eq!(judged.facts.batch_id.as_deref(), Some("B77"));
}

#[test]
fn entries_wait_for_headers_and_for_a_listing() {
    let good = document("Sync.SalesOrder");
    let mut bare = entry("Sync.SalesOrder", good.clone(), &[]);
    bare.headers.clear();
    let judged = judge(&bare, &point());
    let Verdict::Park(Park::HeadersMissing(names)) = &judged.verdict else { panic!("{:?}", judged.verdict) };
    assert_eq!(names, &["TenantId", "BODType", "FromLogicalId", "ToLogicalId"]);
    assert_eq!(headers_missing(names, false).code, "NO_HEADERS");
    assert!(judged.lane.is_some(), "it holds its lane");
    assert_eq!(judged.document_type, DocumentType::parse("Sync.SalesOrder"));

    bare.headers = vec![("BODType".into(), "Sync.SalesOrder".into()), ("ToLogicalId".into(), " ".into())];
    let Verdict::Park(Park::HeadersMissing(names)) = judge(&bare, &point()).verdict else { panic!() };
    assert_eq!(names, ["TenantId", "FromLogicalId", "ToLogicalId"]);
    let failure = headers_missing(&names, true);
    assert_eq!(failure.code, "HEADER_MISSING");
    assert_eq!(failure.text, "required headers are missing: TenantId, FromLogicalId, ToLogicalId");

    // Whatever is wrong with it: nobody asked for that type.
    for (bod_type, payload) in [("Sync.Wombat", "not xml"), ("Sync.Wombat", ""), ("Wombat", "{}")] {
        let judged = crate::given::judged(bod_type, payload, &[("VariationId", "x"), ("Compression", "ZIP")]);
        assert!(matches!(judged.verdict, Verdict::Park(Park::NotListed)), "{:?}", judged.verdict);
    }
    let disabled = with_settings("Sync.SalesOrder", |document| document.enabled = false);
    let judged = judge(&entry("Sync.SalesOrder", "not xml", &[]), &disabled);
    assert!(matches!(judged.verdict, Verdict::Park(Park::Disabled)));
    // A BODType that names no type fails where the document names a listed one.
    assert_fails(
        &crate::given::judged("SyncSalesOrder", good, &[]),
        FailureCode::HeaderInvalid,
        &["BODType"],
    );
}

#[test]
fn header_keys_are_forgiven_their_case_but_not_their_doubles() {
    let name = "Sync.SalesOrder";
    let judged =
        judged(name, document(name), &[("documentid", "D-100"), ("custom_Color", "b"), ("Colour", "c")]);
    assert_eq!(warning_codes(&judged), ["HEADER_KEY_CASE", "HEADER_KEY_CASE", "HEADER_NOT_SENT"]);
    assert_eq!(parcel(&judged).parameters.custom["custom_Color"], "b");
    let same =
        crate::given::judged(name, document(name), &[("DocumentId", "D-100"), ("DocumentId", "D-100 ")]);
    assert_eq!(warning_codes(&same), ["HEADER_BLANKS"]);
    parcel(&same);
    let double =
        crate::given::judged(name, document(name), &[("DocumentId", "D-100"), ("documentId", "D-1")]);
    assert_fails(&double, FailureCode::HeaderInvalid, &["documentId", "'D-100'", "'D-1'"]);
}

#[test]
fn headers_and_document_agree() {
    let name = "Sync.PurchaseOrder";
    let with = |key: &str, value: &str| judged(name, document(name), &[(key, value)]);
    for (key, wrong, said) in [
        ("DocumentId", "D-101", "D-100"),
        ("AccountingEntity", "AE11", "AE10"),
        ("Location", "WH2", "WH1"),
        ("RevisionId", "4", "3"),
        ("VariationId", "8", "7"),
    ] {
        assert_fails(&with(key, wrong), FailureCode::HeaderContradicts, &[key, wrong, said]);
        parcel(&with(key, said));
    }
    assert_fails(
        &judged(name, document("Sync.SalesOrder"), &[]),
        FailureCode::BodTypeContradicts,
        &["Sync.PurchaseOrder", "Sync.SalesOrder"],
    );
    for (key, value) in [
        ("VariationId", "seven"),
        ("VariationId", "9223372036854775808"),
        ("BatchSequence", "1.0"),
        ("BatchSize", "-"),
        ("BatchRevision", "a"),
        ("BatchAbortIndicator", "yes"),
        ("Instances", "3000000000"),
        ("Compression", "ZIP"),
    ] {
        assert_fails(&with(key, value), FailureCode::HeaderInvalid, &[key, value]);
    }
    // Only the BODID says otherwise: a warning.
    let other = document(name).replace(":D-100:?", ":D-200:?");
    assert_eq!(warning_codes(&judged(name, other, &[])), ["DOCUMENT_ID_AMBIGUOUS"]);
    let other = document(name).replace("verb=Sync", "verb=Process");
    assert_eq!(warning_codes(&judged(name, other, &[])), ["BODID_DIFFERS"]);
    let odd = judged(&name.replace('.', ""), "no document", &[]);
    assert_eq!(warning_codes(&odd), ["BODTYPE_MALFORMED"]);
    // The path decides where there is one.
    let path = "DataArea/PurchaseOrder/PurchaseOrderHeader/SupplierParty/PartyIDs/ID";
    let by_path = with_settings(name, |settings| settings.document_id_path = some(path));
    let judged = judge(&entry(name, document(name), &[("DocumentId", "S-2007")]), &by_path);
    assert_eq!(parcel(&judged).parameters.document_id.as_deref(), Some("S-2007"));
    let judged = judge(&entry(name, document(name), &[("DocumentId", "D-100")]), &by_path);
    assert_fails(&judged, FailureCode::HeaderContradicts, &["S-2007"]);
    let empty = with_settings(name, |settings| settings.document_id_path = some("DataArea/Nothing"));
    let judged = judge(&entry(name, document(name), &[]), &empty);
    assert_eq!(warning_codes(&judged), ["DOCUMENT_ID_PATH_EMPTY"]);
}

#[test]
fn logical_ids_tenants_and_senders() {
    let name = "Sync.SalesOrder";
    let change = |key: &str, value: &str| {
        let mut entry = entry(name, document(name), &[]);
        entry.headers.iter_mut().find(|(known, _)| known == key).unwrap().1 = value.to_owned();
        judge(&entry, &point())
    };
    for value in ["infor.ims.x", "lid://", "LID://a.b.c", "lid://a b", "lid://infor.ims.münchen"] {
        assert_fails(&change("ToLogicalId", value), FailureCode::LogicalIdMalformed, &["ToLogicalId", value]);
    }
    assert_fails(&change("FromLogicalId", "lid://default"), FailureCode::LogicalIdMalformed, &["receiver"]);
    let long = format!("lid://{}", "a".repeat(245));
    assert_fails(&change("ToLogicalId", &long), FailureCode::IdTooLong, &["ToLogicalId", "251", "250"]);
    parcel(&change("ToLogicalId", "lid://infor.mgapp.mg/OH:ims"));
    assert_eq!(warning_codes(&change("FromLogicalId", "lid://infor.erp.x")), ["FROM_LOGICAL_ID_DIFFERS"]);
    assert_eq!(warning_codes(&change("TenantId", "OTHER")), ["TENANT_DIFFERS"]);
    assert_eq!(warning_codes(&change("TenantId", "acme_tst")), Vec::<&str>::new());
    let sender = document(name).replace(&format!("<LogicalID>{OWN}"), "<LogicalID>lid://infor.erp.x");
    let judged = judged(name, sender.clone(), &[]);
    assert_eq!(warning_codes(&judged), ["SENDER_LOGICAL_ID_DIFFERS"]);
    assert_eq!(parcel(&judged).parameters.from_logical_id, OWN);
    let bad = crate::given::judged(name, sender.replace("lid://infor.erp.x", "erp x"), &[]);
    assert_fails(&bad, FailureCode::LogicalIdMalformed, &["Sender/LogicalID", "erp x"]);
}

#[test]
fn lengths_are_counted_in_characters() {
    let name = "Process.SalesOrder";
    let with = |key: &str, length: usize| judged(name, document(name), &[(key, &"ü".repeat(length))]);
    for (key, most) in [("DocumentId", 100), ("RevisionId", 22), ("BatchId", 250), ("Custom_A", 250)] {
        parcel(&with(key, most));
        let words = [&*most.to_string(), &*(most + 1).to_string()];
        assert_fails(&with(key, most + 1), FailureCode::IdTooLong, &words);
    }
    // From the document, and cut in the facts to what the column takes.
    let long = document("Sync.SalesOrder").replace("D-100", &"d".repeat(101));
    let judged = judged("Sync.SalesOrder", long, &[]);
    assert_fails(&judged, FailureCode::IdTooLong, &["document id"]);
    assert_eq!(judged.facts.document_id.as_ref().unwrap().len(), 100);
    let bod_id = document("Sync.SalesOrder").replace("D-100:?", &format!("D-100:?{}", "x".repeat(255)));
    assert_fails(&crate::given::judged("Sync.SalesOrder", bod_id, &[]), FailureCode::IdTooLong, &["BODID"]);
    let entity = document("Sync.SalesOrder").replace("AE10", &"e".repeat(23));
    assert_fails(&crate::given::judged("Sync.SalesOrder", entity, &[]), FailureCode::IdTooLong, &["entity"]);
}

#[test]
fn message_ids_are_the_applications_or_derived() {
    let name = "Sync.SalesOrder";
    let derived = judged(name, document(name), &[]);
    assert!(!derived.message_id_from_header);
    assert_eq!(derived.message_id, judged(name, document(name), &[]).message_id);
    assert_ne!(derived.message_id, judged(name, document(name), &[("Source", "x")]).message_id);
    let given = judged(name, document(name), &[("MessageId", &"i".repeat(128))]);
    assert!(given.message_id_from_header);
    let long = judged(name, document(name), &[("MessageId", &"i".repeat(129))]);
    assert!(!long.message_id_from_header && long.message_id.len() == 36);
    assert_eq!(warning_codes(&long), ["MESSAGE_ID_TOO_LONG"]);
    assert_eq!(parcel(&long).parameters.message_id, long.message_id);
    let longer = judged(name, document(name), &[("MessageId", &"i".repeat(251))]);
    assert_fails(&longer, FailureCode::IdTooLong, &["MessageId"]);
    assert_eq!(longer.message_id.len(), 36);
}

#[test]
fn custom_headers_namespaces_and_instances() {
    let name = "Sync.SalesOrder";
    let custom = [("Custom_A", "1"), ("Custom_B", "2"), ("Custom_C", "3"), ("Custom_D", "4")];
    parcel(&judged(name, document(name), &custom[..3]));
    let four = judged(name, document(name), &custom);
    assert_fails(&four, FailureCode::TooManyCustomHeaders, &["4", "Custom_A, Custom_B, Custom_C, Custom_D"]);

    let foreign = document(name).replace(NAMESPACE, "urn:other");
    let judged = judged(name, foreign.clone(), &[]);
    assert_fails(&judged, FailureCode::ForeignNamespace, &["SyncSalesOrder", "urn:other", NAMESPACE]);
    let any = with_settings(name, |settings| settings.namespace = None);
    parcel(&judge(&entry(name, foreign, &[]), &any));
    for element in ["<ApplicationArea>", "<DataArea>", "<Sync>", "<SalesOrder>"] {
        let other = document(name).replace(element, &element.replace('>', " xmlns=''>"));
        let judged = crate::given::judged(name, other, &[]);
        assert_fails(&judged, FailureCode::ForeignNamespace, &[element, "no namespace"]);
    }
    let area = document(name).replace("<UserArea>", "<UserArea xmlns='urn:own'>");
    assert_eq!(warning_codes(&crate::given::judged(name, area, &[])), Vec::<&str>::new());

    let noun = "<SalesOrder><SalesOrderHeader/></SalesOrder>";
    let two = document(name).replace("  </DataArea>", &format!("{noun}</DataArea>"));
    let judged = crate::given::judged(name, two, &[("Instances", "3")]);
    assert_eq!(warning_codes(&judged), ["SEVERAL_INSTANCES", "INSTANCES_DIFFER"]);
    assert_eq!(parcel(&judged).parameters.instances, Some(3));
}

#[test]
fn lanes_follow_the_document_and_not_the_verb() {
    let lane = |name: &str, document: String, more: &[(&str, &str)]| judged(name, document, more).lane;
    let order = lane("Sync.SalesOrder", document("Sync.SalesOrder"), &[]);
    assert_eq!(order, Some(LaneKey::of(&["SalesOrder", "AE10", "WH1", "D-100"])));
    assert_eq!(order, lane("Acknowledge.SalesOrder", document("Acknowledge.SalesOrder"), &[]));
    let headers = [("DocumentId", "D-100"), ("AccountingEntity", "AE10"), ("Location", "WH1")];
    assert_eq!(order, lane("Sync.SalesOrder", document("Sync.SalesOrder"), &headers));
    assert_eq!(order, lane("Sync.SalesOrder", "broken <".into(), &headers), "malformed: from the headers");
    assert_eq!(lane("Sync.SalesOrder", "broken <".into(), &[]), None);
    // The BODID goes before DocumentID/ID, a path before both, a header before all.
    let other = document("Sync.SalesOrder").replace(":D-100:?", ":D-200:?");
    assert_eq!(
        lane("Sync.SalesOrder", other, &[]),
        Some(LaneKey::of(&["SalesOrder", "AE10", "WH1", "D-200"]))
    );
    let path = with_settings("Sync.SalesOrder", |settings| {
        settings.document_id_path = some("DataArea/SalesOrder/SalesOrderHeader/AlternateDocumentID/ID");
    });
    let by_path = judge(&entry("Sync.SalesOrder", document("Sync.SalesOrder"), &[]), &path);
    assert_eq!(by_path.lane, Some(LaneKey::of(&["SalesOrder", "AE10", "WH1", "WEB-20440"])));
    let point_wide =
        with_settings("Sync.SalesOrder", |settings| settings.order_by = OrderBy::ConnectionPoint);
    let judged = judge(&entry("Sync.SalesOrder", "broken", &[]), &point_wide);
    assert_eq!(judged.lane, Some(LaneKey::of(&["cp"])));
    let none = with_settings("Sync.SalesOrder", |settings| settings.order_by = OrderBy::None);
    assert_eq!(judge(&entry("Sync.SalesOrder", document("Sync.SalesOrder"), &[]), &none).lane, None);
    // Nothing names the document.
    let nameless = document("Sync.ItemMaster").replace("infor-nid:", "urn:");
    let judged = crate::given::judged("Sync.ItemMaster", nameless, &[]);
    assert_eq!((judged.lane, warning_codes(&judged)), (None, vec!["NO_DOCUMENT_ID"]));
}

fn zlib(document: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(document).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(document: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(document).unwrap();
    encoder.finish().unwrap()
}

fn gzip(document: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(document).unwrap();
    encoder.finish().unwrap()
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut document = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(bytes), &mut document).unwrap();
    document
}

#[test]
fn deflated_rows_go_out_as_the_setting_says() {
    let name = "Sync.SalesOrder";
    let document = document(name);
    let plain_digest = judged(name, document.clone(), &[]).facts.digest.clone();
    let wishes = [WireEncoding::AsIs, WireEncoding::None, WireEncoding::Deflate];
    for stored in [zlib(document.as_bytes()), raw_deflate(document.as_bytes()), gzip(document.as_bytes())] {
        for wish in wishes {
            let point = ConnectionPoint { encoding: wish, ..point() };
            let judged = judge(&entry(name, stored.clone(), &[("Compression", "deflate")]), &point);
            let Parcel { parameters, payload } = parcel(&judged);
            assert_eq!(judged.facts.digest, plain_digest);
            assert_eq!(judged.facts.document_bytes, document.len() as i64);
            if wish == WireEncoding::None {
                assert_eq!((parameters.encoding, &payload[..]), (Encoding::None, document.as_bytes()));
            } else {
                assert_eq!(parameters.encoding, Encoding::Deflate);
                assert_eq!(inflated(payload), document.as_bytes());
            }
        }
        // Cut off anywhere, it is never half a document.
        for cut in [1, stored.len() / 2, stored.len() - 1] {
            let judged = judged(name, stored[..cut].to_vec(), &[("Compression", "DEFLATE")]);
            assert_fails(&judged, FailureCode::DoesNotInflate, &["does not inflate"]);
        }
        let unsaid = judged(name, stored.clone(), &[]);
        assert!(matches!(unsaid.verdict, Verdict::Fail(_)));
        let mut padded = stored;
        padded.extend([0; 9]);
        let judged = judged(name, padded, &[("Compression", "DEFLATE")]);
        assert_eq!(warning_codes(&judged), ["TRAILING_BYTES"]);
        assert_eq!(inflated(&parcel(&judged).payload), document.as_bytes());
    }
    let as_stored = zlib(document.as_bytes());
    let judged = judged(name, as_stored.clone(), &[("Compression", "DEFLATE")]);
    assert_eq!(parcel(&judged).payload, as_stored, "as_is leaves the bytes alone");
    let unsaid = crate::given::judged(name, as_stored, &[]);
    assert_fails(&unsaid, FailureCode::NotXml, &["looks deflated"]);
    let deflate = ConnectionPoint { encoding: WireEncoding::Deflate, ..point() };
    let judged = judge(&entry(name, document.clone(), &[]), &deflate);
    assert_eq!(parcel(&judged).parameters.encoding, Encoding::Deflate);
    assert_eq!(inflated(&parcel(&judged).payload), document.as_bytes());
}

#[test]
fn empty_and_large_payloads_fail() {
    let name = "Sync.SalesOrder";
    assert_fails(&judged(name, "", &[]), FailureCode::EmptyPayload, &["empty"]);
    let mut null = entry(name, "", &[]);
    null.payload = None;
    let judged = judge(&null, &point());
    assert_fails(&judged, FailureCode::EmptyPayload, &["NULL"]);
    assert_eq!((judged.facts.document_bytes, &judged.facts.digest), (0, &None));

    let document = document(name);
    let exact = with_settings(name, |settings| settings.max_document_bytes = document.len());
    parcel(&judge(&entry(name, document.clone(), &[]), &exact));
    let stored = zlib(document.as_bytes());
    parcel(&judge(&entry(name, stored.clone(), &[("Compression", "DEFLATE")]), &exact));
    let small = with_settings(name, |settings| settings.max_document_bytes = document.len() - 1);
    let sizes = [&*document.len().to_string(), &*(document.len() - 1).to_string()];
    assert_fails(&judge(&entry(name, document.clone(), &[]), &small), FailureCode::TooLarge, &sizes);
    let judged = judge(&entry(name, stored, &[("Compression", "DEFLATE")]), &small);
    assert_fails(&judged, FailureCode::TooLarge, &[sizes[1], "inflates"]);
    // A bomb of 200 MB costs no more than the limit.
    let bomb = raw_deflate(&vec![b' '; 200 << 20]);
    let judged = crate::given::judged(name, bomb, &[("Compression", "DEFLATE")]);
    assert_fails(&judged, FailureCode::TooLarge, &["5242880"]);
}

#[test]
fn text_columns_are_declared_as_utf8() {
    let name = "Sync.SalesOrder";
    let good = document(name);
    let utf16 = good.replace("encoding=\"UTF-8\"", "encoding='utf-16'");
    let mut row = entry(name, utf16.clone(), &[]);
    row.payload = Some(Payload { bytes: utf16.clone().into(), is_text: true });
    let judged = judge(&row, &point());
    let sent = good.replace("encoding=\"UTF-8\"", "encoding='UTF-8'");
    assert_eq!(parcel(&judged).payload, sent.as_bytes());
    assert_eq!(judged.facts.digest, crate::given::judged(name, sent, &[]).facts.digest);
    assert_fails(&crate::given::judged(name, utf16, &[]), FailureCode::NotUtf8, &["utf-16"]);
}
