//! What is composed is read back the same, and what others send is understood.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

fn parameters() -> Parameters {
    Parameters {
        document_name: "Sync.SalesOrder".into(),
        message_id: "m-\"1\"\\\n\u{1}".into(),
        from_logical_id: "lid://infor.ims.shop".into(),
        to_logical_id: "lid://default".into(),
        encoding: Encoding::Deflate,
        character_set: "UTF-8".into(),
        accounting_entity: Some("AE".into()),
        location: Some(" padded ".into()),
        document_id: Some("Größe-№1".into()),
        variation_id: Some(i64::MAX),
        revision_id: Some(String::new()),
        batch_id: Some("B".into()),
        batch_sequence: Some(1),
        batch_size: Some(2),
        batch_revision: Some(3),
        batch_abort_indicator: Some(true),
        instances: Some(4),
        source: Some("a&b=c#d".into()),
        source_publication_date: Some("2026-01-01T00:00:00.000Z".into()),
        custom: [("custom_RegionCode".to_owned(), "north".to_owned())].into(),
    }
}

fn all(body: MessageBody) -> Bytes {
    let length = body.remaining();
    let whole: Vec<u8> = body.chunks.iter().flatten().copied().collect();
    assert_eq!(whole.len() as u64, length);
    whole.into()
}

fn raw(parts: &[(&str, &str)]) -> Bytes {
    let mut body = String::new();
    for (head, content) in parts {
        body += &format!("--b\r\n{head}\r\n\r\n{content}\r\n");
    }
    (body + "--b--\r\n").into()
}

const TYPE: &str = "multipart/form-data; charset=utf-8; boundary=\"b\"";
const JSON: &str = r#"{"documentName":"Sync.A","fromLogicalId":"lid://a"}"#;

#[test]
fn a_composed_message_is_read_back() {
    let composer = Composer::default();
    let content_type = composer.content_type().to_str().unwrap();
    for payload in ["", "x", "\r\n", "--", "\r\n--bodrelay-", "<a/>\r\n"] {
        let parcel = Parcel { parameters: parameters(), payload: payload.into() };
        let body = all(composer.message(&parcel));
        let received = read_multipart_message(content_type, &body, 16).unwrap();
        assert_eq!(received.parameters, parcel.parameters);
        assert_eq!(received.payload, parcel.payload);

        let mut headers = HeaderMap::new();
        let mut url = Url::parse("http://localhost/").unwrap();
        spread_parameters(&parcel.parameters, &mut headers, &mut url);
        assert_eq!(headers["X-Infor-ION-documentName"], "Sync.SalesOrder");
        let body = all(composer.payload_only(&parcel.payload));
        let received = read_message(content_type, &body, &headers, url.query(), 16).unwrap();
        assert_eq!(received.parameters, parcel.parameters);
        assert_eq!(received.payload, parcel.payload);
    }
}

#[test]
fn the_json_is_what_serde_would_write() {
    let mut json = Vec::new();
    write_parameters(&parameters(), &mut json);
    let ours: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(ours, serde_json::to_value(parameters()).unwrap());
}

#[test]
fn parts_are_told_by_content_where_names_do_not_fit() {
    let named = |name: &str| format!("content-disposition: form-data; NAME={name}");
    let (json, payload) = (named("ParameterRequest"), named("\"MessagePayload\""));
    for parts in [
        [(json.as_str(), JSON), (payload.as_str(), "<a/>")],
        [(payload.as_str(), "<a/>"), (json.as_str(), JSON)],
        [(json.as_str(), "<a/>"), (payload.as_str(), JSON)],
        [(payload.as_str(), JSON), (payload.as_str(), "<a/>")],
        [("X-Other: 1", JSON), ("X-Other: 2", "<a/>")],
    ] {
        let received = read_multipart_message(TYPE, &raw(&parts), 16).unwrap();
        assert_eq!(received.parameters.document_name, "Sync.A");
        assert_eq!(received.payload, "<a/>");
    }
    // A JSON document that holds a documentName of its own is not taken for the parameters.
    let other = r#"{"documentName":"Other.B","fromLogicalId":"lid://b"}"#;
    let received = read_multipart_message(TYPE, &raw(&[(&payload, other), (&json, JSON)]), 16).unwrap();
    assert_eq!(received.parameters.document_name, "Sync.A");
    assert_eq!(received.payload, other);
}

#[test]
fn lines_may_end_in_lf_alone_and_text_around_is_passed_over() {
    let body = Bytes::from(format!(
        "preamble\n--b \nContent-Disposition: form-data; name=ParameterRequest\n\n{JSON}\n--b\n\n<a>\n--bother\n</a>\n--b--\nend"
    ));
    assert_eq!(read_multipart_message(TYPE, &body, 16).unwrap().payload, "<a>\n--bother\n</a>");
}

#[test]
fn numbers_and_strings_stand_for_each_other() {
    let json = br#"{"DocumentName":"Sync.A","fromLogicalId":"lid://a","variationId":"7","documentId":12,"instances":3,
        "batchAbortIndicator":"false","location":null,"encoding":"deflate","unknown":{"a":[1]},"Custom_X":5}"#;
    let read = read_parameters(json).unwrap();
    assert_eq!(read.variation_id, Some(7));
    assert_eq!(read.document_id.as_deref(), Some("12"));
    assert_eq!(read.batch_abort_indicator, Some(false));
    assert_eq!(read.location, None);
    assert_eq!(read.encoding, Encoding::Deflate);
    assert_eq!(read.custom["Custom_X"], "5");
    assert_eq!(read.character_set, "UTF-8");
}

#[test]
fn what_is_malformed_says_so() {
    let json = ("Content-Disposition: form-data; name=ParameterRequest", JSON);
    let says = |content_type: &str, body: Bytes, text: &str| {
        let error = read_multipart_message(content_type, &body, 16).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    says("application/json", raw(&[json]), "not multipart");
    says(TYPE, raw(&[json]), "MessagePayload is missing");
    says(TYPE, "nothing".into(), "boundary");
    says(TYPE, raw(&[("A: b", "{")]), "not a JSON object");
    says(TYPE, raw(&[(json.0, r#"{"documentName":"A"}"#), ("A: b", "x")]), "fromLogicalId is missing");
    says(TYPE, raw(&[("A: b", "x"); 17]), "more than 16 parts");
    let payload = ("Content-Disposition: form-data; name=MessagePayload", "<a/>");
    says(TYPE, raw(&[json, payload, payload]), "2 parts could be MessagePayload");
    says(TYPE, raw(&[json, ("A: b", "x"), ("A: b", "y")]), "2 parts could be MessagePayload");
    assert_eq!(
        read_multipart_message(TYPE, &raw(&[json, ("A: b", "x"), payload]), 16).unwrap().payload,
        "<a/>"
    );
    let whole = raw(&[json, ("A: b", "<a/>")]);
    says(TYPE, whole.slice(..whole.len() - 6), "before the closing boundary");
    says(
        TYPE,
        raw(&[(json.0, r#"{"documentName":"A","fromLogicalId":"l","encoding":"BASE64"}"#)]),
        "encoding",
    );
    says(
        TYPE,
        raw(&[(json.0, r#"{"documentName":"A","fromLogicalId":"l","variationId":"x"}"#)]),
        "variationId",
    );
}

#[test]
fn three_kinds_of_deflate_inflate_and_a_bomb_does_not() {
    let document = vec![b'a'; 100_000];
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&document).unwrap();
    deflate.write_all(&document).unwrap();
    gzip.write_all(&document).unwrap();
    for packed in [zlib.finish().unwrap(), deflate.finish().unwrap(), gzip.finish().unwrap()] {
        let packed = Bytes::from(packed);
        assert_eq!(inflate(&packed, Encoding::Deflate, 100_000).unwrap(), document);
        assert!(inflate(&packed, Encoding::Deflate, 99_999).is_err());
        assert!(inflate(&packed.slice(..packed.len() / 2), Encoding::Deflate, 100_000).is_err());
    }
    let mut more = ZlibEncoder::new(Vec::new(), Compression::default());
    more.write_all(b"<a/>").unwrap();
    let more = Bytes::from([more.finish().unwrap(), b"more".to_vec()].concat());
    assert!(inflate(&more, Encoding::Deflate, 100).unwrap_err().what.contains("4 bytes after"));
    assert!(inflate(&Bytes::from("<a/>"), Encoding::Deflate, 100).is_err());
    assert_eq!(inflate(&Bytes::from("<a/>"), Encoding::None, 100).unwrap(), "<a/>");
}

proptest! {
    /// Whatever comes in, nothing panics; a cut or changed body is read or refused.
    #[test]
    fn no_body_makes_the_reader_panic(cut in 0usize..400, at in 0usize..400, byte: u8, noise: Vec<u8>) {
        let body = raw(&[("Content-Disposition: form-data; name=ParameterRequest", JSON), ("A: b", "<a/>")]);
        let mut changed = body[..cut.min(body.len())].to_vec();
        if at < changed.len() {
            changed[at] = byte;
        }
        let _ = read_multipart_message(TYPE, &changed.into(), 16);
        let _ = read_multipart_message(TYPE, &noise.clone().into(), 16);
        let _ = inflate(&noise.into(), Encoding::Deflate, 1000);
    }

    #[test]
    fn any_payload_comes_through(payload: Vec<u8>) {
        let composer = Composer::default();
        let parcel = Parcel { parameters: parameters(), payload: payload.into() };
        let body = all(composer.message(&parcel));
        let received = read_multipart_message(composer.content_type().to_str().unwrap(), &body, 16).unwrap();
        prop_assert_eq!(received.payload, parcel.payload);
    }
}
