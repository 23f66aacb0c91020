//! Whatever is wrong with what comes: the right 4xx with a JSON error that says what, nothing stored, nothing leaked.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::http::{Response, head, multipart};
use super::*;

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One bad request: what it is, its body, the status and code of the answer, and a word of it.
struct Bad(&'static str, Vec<u8>, u16, &'static str, &'static str);

fn bad() -> Vec<Bad> {
    let good = document("IT-1", 7);
    let with = |more: &str| item("m").replace("\"encoding\":\"NONE\"", more);
    let deflated = with("\"encoding\":\"DEFLATE\"");
    let packed = zlib(good.as_bytes());
    let cut = |body: Vec<u8>, bytes: usize| body[..body.len() - bytes].to_vec();
    let json_part = ("ParameterRequest", item("m").into_bytes());
    let payload = ("MessagePayload", good.as_bytes());
    let dtd = good.replacen(
        "<SyncItemMaster",
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><SyncItemMaster",
        1,
    );
    let long = "x".repeat(251);
    // With the id where the standard has it.
    let told = good.replace("ItemID>", "DocumentID>");
    vec![
        Bad("no multipart", b"hello".to_vec(), 400, "MALFORMED", "boundary"),
        Bad("no parts", multipart(&[]), 400, "MALFORMED", "no parts"),
        Bad("no closing boundary", cut(message(&item("m"), &good), 6), 400, "MALFORMED", "closing boundary"),
        Bad(
            "a part without an end",
            cut(message(&item("m"), &good), 200),
            400,
            "MALFORMED",
            "closing boundary",
        ),
        Bad("wrong JSON", message("{\"documentName\":", &good), 400, "MALFORMED", "line 1, column"),
        Bad("JSON of another kind", message("[1,2]", &good), 400, "MALFORMED", "not a JSON object"),
        Bad(
            "no documentName",
            message("{\"fromLogicalId\":\"lid://a\"}", &good),
            400,
            "MALFORMED",
            "documentName",
        ),
        Bad(
            "no sender",
            message("{\"documentName\":\"Sync.ItemMaster\"}", &good),
            400,
            "MALFORMED",
            "fromLogicalId",
        ),
        Bad(
            "a wrong encoding",
            message(&with("\"encoding\":\"BASE64\""), &good),
            400,
            "MALFORMED",
            "encoding",
        ),
        Bad(
            "a wrong number",
            message(&with("\"variationId\":\"seven\""), &good),
            400,
            "MALFORMED",
            "variationId",
        ),
        Bad("not deflated", message(&deflated, &good), 400, "MALFORMED", "does not inflate"),
        Bad("a cut stream", message(&deflated, &packed[..packed.len() / 2]), 400, "MALFORMED", "cut off"),
        Bad(
            "more after the stream",
            message(&deflated, [&packed[..], b"x"].concat()),
            400,
            "MALFORMED",
            "1 bytes after",
        ),
        Bad(
            "a bomb",
            message(&deflated, zlib(&vec![b' '; 60_000_000])),
            413,
            "TOO_LARGE",
            "inflates to more",
        ),
        Bad("a DTD", message(&item("m"), &dtd), 400, "DTD_NOT_ALLOWED", "DOCTYPE"),
        Bad("no XML", message(&item("m"), "4711;5;PCE"), 400, "NOT_XML", "'<'"),
        Bad("an empty document", message(&item("m"), ""), 400, "EMPTY_PAYLOAD", "empty"),
        Bad("cut XML", message(&item("m"), &good[..good.len() - 20]), 400, "XML_CUT_OFF", "line"),
        Bad("XML of another root", message(&item("m"), "<Order/>"), 400, "ROOT_MISMATCH", "<Order>"),
        Bad(
            "a byte that is no UTF-8",
            message(&item("m"), [&good.as_bytes()[..300], b"\xFF", &good.as_bytes()[300..]].concat()),
            400,
            "NOT_UTF8",
            "0xFF",
        ),
        Bad(
            "UTF-16",
            message(&item("m"), good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
            400,
            "NOT_UTF8",
            "UTF-16",
        ),
        Bad(
            "another character set",
            message(&item("m").replace("UTF-8", "ISO-8859-1"), &good),
            400,
            "NOT_UTF8",
            "ISO-8859-1",
        ),
        Bad(
            "another namespace",
            message(&item("m"), good.replace("InforOAGIS/2", "Other/1")),
            400,
            "FOREIGN_NAMESPACE",
            "Other/1",
        ),
        Bad(
            "a long sender",
            message(&item("m").replace("lid://infor.ln.shop", &format!("lid://{long}")), &good),
            400,
            "ID_TOO_LONG",
            "fromLogicalId has 257",
        ),
        Bad(
            "a long receiver",
            message(&item("m").replace("lid://default", &format!("lid://{long}")), &good),
            400,
            "ID_TOO_LONG",
            "toLogicalId",
        ),
        Bad("a long message id", message(&item(&long), &good), 400, "ID_TOO_LONG", "messageId"),
        Bad(
            "a long location",
            message(&with("\"location\":\"12345678901234567890123\""), &good),
            400,
            "ID_TOO_LONG",
            "location has 23",
        ),
        Bad(
            "four custom parameters",
            message(&with("\"custom_a\":1,\"custom_b\":1,\"custom_c\":1,\"custom_d\":1"), &good),
            400,
            "TOO_MANY_CUSTOM_HEADERS",
            "4 custom",
        ),
        Bad(
            "another document id",
            message(&with("\"documentId\":\"IT-2\""), &told),
            400,
            "HEADER_CONTRADICTS",
            "IT-2",
        ),
        Bad(
            "another variation",
            message(&with("\"variationId\":8"), &told),
            400,
            "HEADER_CONTRADICTS",
            "'7'",
        ),
        Bad(
            "another entity",
            message(&with("\"accountingEntity\":\"999\""), &good),
            400,
            "HEADER_CONTRADICTS",
            "999",
        ),
        Bad(
            "another type",
            message(&item("m"), good.replace("ItemMaster", "Order")),
            400,
            "BODTYPE_CONTRADICTS",
            "Sync.Order",
        ),
        Bad(
            "a line break in an id",
            message(&with("\"documentId\":\"IT-1\\r\\nX-Evil: 1\""), &good),
            400,
            "HEADER_INVALID",
            "U+000D",
        ),
        Bad("a zero byte in an id", message(&item("m\\u0000"), &good), 400, "HEADER_INVALID", "U+0000"),
        Bad(
            "two payloads",
            multipart(&[(json_part.0, &json_part.1), payload, payload]),
            400,
            "MALFORMED",
            "2 parts",
        ),
        Bad(
            "no payload",
            multipart(&[(json_part.0, &json_part.1)]),
            400,
            "MALFORMED",
            "MessagePayload is missing",
        ),
        Bad("nine parts", multipart(&[payload; 9]), 400, "MALFORMED", "more than 8 parts"),
        Bad(
            "an unlisted document",
            message(&json("Sync.Order", "m"), &good),
            412,
            "NOT_LISTED",
            "Sync.Order",
        ),
        Bad("a document that is no BOD", message(&json("CSV", "m"), "a;b"), 412, "NOT_LISTED", "CSV"),
        Bad(
            "an unknown receiver",
            message(&item("m").replace("lid://default", "lid://infor.ims.x"), &good),
            412,
            "NOT_LISTED",
            "lid://infor.ims.x",
        ),
    ]
}

#[track_caller]
fn tells_no_secret(response: &Response) {
    let said = format!("{response:?}").to_lowercase();
    for secret in
        ["sqlite", "postgres", "erp.db", "/tmp/", "panicked", "src/", "cor_inbox", "bodrelay_", "passwd"]
    {
        assert!(!said.contains(secret), "{secret} in {response:?}");
    }
}

/// Every kind on one keep-alive connection, which goes on after each.
fn all_are_refused(inbox: &Inbox) {
    let mut agent = inbox.start();
    let mut caller = inbox.caller();
    for Bad(what, body, status, code, word) in bad() {
        let answer = caller.post(V3, &[TENANT], &body).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(answer.code(), code, "{what}: {answer:?}");
        assert!(answer.body.contains(word), "{what}: no {word} in {answer:?}");
        tells_no_secret(&answer);
        // A bad answer in JSON cannot bring headers of its own.
        assert_eq!(answer.header("x-evil"), None);
    }
    for (headers, status, word) in [
        (&[("X-TenantId", "NOBODY")][..], 412, "NOBODY"),
        (&[], 400, "X-TenantId"),
        (&[("X-TenantId", "A"), ("X-TenantId", "B")], 400, "X-TenantId"),
        (&[("X-TenantId", "12345678901234567890123")], 400, "X-TenantId"),
    ] {
        let answer = caller.post(V3, headers, &message(&item("m"), document("IT-1", 7))).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(word), "{answer:?}");
    }
    for (path, status) in [("/ims/service/v1/message", 404), ("/", 404), ("/service/ping", 405)] {
        let answer = caller.post(path, &[TENANT], &message(&item("m"), "<a/>")).unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    assert!(inbox.is_empty());
    agent.until("it is told", || inbox.site.has_open_finding("RECEIVED_UNFIT"));
    // What only looks odd is taken: numbers as strings, unknown fields, no id, any case of a name.
    let odd = item(&ion_id("m")).replace(
        "\"encoding\":\"NONE\"",
        "\"ENCODING\":\"none\",\"variationId\":\"7\",\"instances\":\"1\",\"tenantId\":null,\"more\":{\"a\":[1]},\"custom_A\":5",
    );
    let answer = caller.post(V3, &[TENANT], &message(&odd, document("IT-1", 7))).unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(inbox.rows(), 1);
}

#[test]
fn bad_input_is_refused_on_sqlite() {
    let inbox = Inbox::new("");
    all_are_refused(&inbox);
}

#[test]
fn bad_input_is_refused_on_postgres() {
    let inbox = Inbox::on_postgres("");
    all_are_refused(&inbox);
}

#[test]
fn what_is_slow_or_endless_is_cut_and_what_is_too_large_is_not_swallowed() {
    let inbox = Inbox::new(
        "header_seconds = 1\nbody_seconds = 1\nmax_body_bytes = 65536\nmax_held_bytes = 262144\nmax_header_bytes = 8192",
    );
    let _agent = inbox.start();
    let whole = message(&item("m"), document("IT-1", 7));

    // Headers that never end.
    let mut slow = inbox.caller();
    slow.write(b"POST /service/v3/multipartMessage HTTP/1.1\r\nHost: x\r\nX-Slow:").unwrap();
    assert!(slow.answer().is_err_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof));

    // A body that does not come on.
    let mut slow = inbox.caller();
    slow.write(head("POST", V3, &[TENANT], Some(whole.len())).as_bytes()).unwrap();
    slow.write(&whole[..100]).unwrap();
    let answer = slow.answer().unwrap();
    assert_eq!((answer.status, &*answer.code()), (408, "BODY_TOO_SLOW"), "{answer:?}");

    // Chunks without an end, slowly, and as fast as they are taken.
    let mut endless = inbox.caller();
    let chunked = format!(
        "POST {V3} HTTP/1.1\r\nHost: x\r\nX-TenantId: DEMO_TST\r\nContent-Type: multipart/form-data; boundary=b0undary\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    endless.write(chunked.as_bytes()).unwrap();
    endless.write(b"5\r\nhello\r\n").unwrap();
    assert_eq!(endless.answer().unwrap().status, 408);
    let mut endless = inbox.caller();
    endless.write(chunked.as_bytes()).unwrap();
    let chunk = [b"4000\r\n", &[b'x'; 0x4000][..], b"\r\n"].concat();
    // The answer comes long before all of it; writing may fail when it was given.
    for _ in 0..64 {
        if endless.write(&chunk).is_err() {
            break;
        }
    }
    if let Ok(answer) = endless.answer() {
        assert_eq!((answer.status, &*answer.code()), (413, "BODY_TOO_LARGE"), "{answer:?}");
    }

    // A chunk that is none, and a body that ends before its length.
    let mut wrong = inbox.caller();
    wrong.write(chunked.as_bytes()).unwrap();
    wrong.write(b"zz\r\nhello\r\n").unwrap();
    let answer = wrong.answer().unwrap();
    assert_eq!((answer.status, &*answer.code()), (400, "BODY_CUT_OFF"), "{answer:?}");
    let mut cut = inbox.caller();
    cut.write(head("POST", V3, &[TENANT], Some(whole.len())).as_bytes()).unwrap();
    cut.write(&whole[..100]).unwrap();
    cut.finish().unwrap();
    if let Ok(answer) = cut.answer() {
        assert_eq!((answer.status, &*answer.code()), (400, "BODY_CUT_OFF"), "{answer:?}");
    }

    // Too large by its own word: refused before a byte of it is read.
    let mut large = inbox.caller();
    large.write(head("POST", V3, &[TENANT], Some(65_537)).as_bytes()).unwrap();
    let answer = large.answer().unwrap();
    assert_eq!((answer.status, &*answer.code()), (413, "BODY_TOO_LARGE"), "{answer:?}");

    // More memory than there is for all bodies together: at once, and only for whoever is too many.
    let mut holders: Vec<_> = (0..4).map(|_| inbox.caller()).collect();
    for holder in &mut holders {
        holder.write(head("POST", V3, &[TENANT], Some(65_000)).as_bytes()).unwrap();
        holder.write(b"--").unwrap();
    }
    let full = || {
        let mut caller = inbox.caller();
        let answer = caller.post(V3, &[TENANT], &message(&item("m"), "x".repeat(20_000))).unwrap();
        (answer.status, answer.header("retry-after").map(str::to_owned))
    };
    let mut seen = full();
    while seen.0 != 503 && holders.iter_mut().all(|holder| holder.write(b"-").is_ok()) {
        seen = full();
    }
    assert_eq!(seen, (503, Some("5".to_owned())));
    drop(holders);

    // Headers beyond the bound.
    let mut large = inbox.caller();
    let long = "y".repeat(10_000);
    let _ = large.write(head("GET", "/service/ping", &[("X-Long", &long)], None).as_bytes());
    assert_eq!(large.answer().unwrap().status, 431);
    let mut odd = inbox.caller();
    odd.write(b"GET /service/ping HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n  folded: 2\r\n\r\n").unwrap();
    assert_eq!(odd.answer().unwrap().status, 400);

    assert!(inbox.is_empty());
    assert_eq!(inbox.send(&item(&ion_id("m")), &document("IT-1", 7)).status, 202);
}
