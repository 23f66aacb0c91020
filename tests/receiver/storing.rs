//! What is in the inbox when ION hears yes: the bytes as sent, every header, once.

use std::io::Write;
use std::process::Command;

use bodrelay::database::statements::scripts;
use bodrelay::domain::message::{Encoding, Parameters, Parcel};
use bodrelay::ims::wire::{Composer, spread_parameters};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

/// The headers of the entry with this message id, `key=value`, in the order of their keys.
fn headers_of(inbox: &Inbox, message_id: &str) -> Vec<String> {
    let texts = "SELECT group_concat(line, char(10)) FROM (SELECT C_HEADER_KEY || '=' || C_HEADER_VALUE AS line FROM \
                 COR_INBOX_HEADERS WHERE C_INBOX_ID = (SELECT C_INBOX_ID FROM COR_INBOX_HEADERS WHERE C_HEADER_KEY = \
                 'MessageId' AND C_HEADER_VALUE = 'ID') ORDER BY line)";
    let text = inbox.site.text(&texts.replace("'ID'", &format!("'{message_id}'"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn stored_bytes(inbox: &Inbox) -> Vec<Vec<u8>> {
    let database = inbox.site.database();
    let mut statement = database.prepare("SELECT C_XML FROM COR_INBOX_ENTRY ORDER BY C_ID").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_form_that_ion_speaks_is_stored_as_sent() {
    let inbox = Inbox::new("max_parts = 4");
    let _agent = inbox.start();
    let mut caller = inbox.caller();
    let mut sent: Vec<String> = Vec::new();
    let mut next = || {
        let text = document(&format!("IT-{}", sent.len()), 7);
        // Bytes are kept, whatever they mean: a comment with CRLF, quotes, and letters of two bytes.
        let text = text.replacen("<DataArea>", "<!-- \r\n \"ü\" & --><DataArea>", 1);
        sent.push(text.clone());
        text
    };

    // v3, both orders of the parts, and a company behind service.
    for path in [V3, "/c4ws/service/800/v3/multipartMessage"] {
        assert_eq!(caller.post(path, &[TENANT], &message(&item(&ion_id("a")), next())).unwrap().status, 202);
    }
    let (first, json) = (next(), item(&ion_id("b")));
    let swapped =
        http::multipart(&[("MessagePayload", first.as_bytes()), ("ParameterRequest", json.as_bytes())]);
    assert_eq!(caller.post(V3, &[TENANT], &swapped).unwrap().status, 202);
    // v2: the names are swapped, and yes is 201.
    let (text, json) = (next(), item(&ion_id("c")));
    let swapped =
        http::multipart(&[("MessagePayload", json.as_bytes()), ("ParameterRequest", text.as_bytes())]);
    assert_eq!(caller.post("/service/v2/multipartMessage", &[TENANT], &swapped).unwrap().status, 201);
    // Three kinds of DEFLATE.
    let mut pack = |kind: u8| {
        let text = next();
        let packed = match kind {
            0 => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            1 => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
        };
        message(&item(&ion_id("d")).replace("NONE", "DEFLATE"), packed)
    };
    for kind in 0..3 {
        assert_eq!(caller.post(V3, &[TENANT], &pack(kind)).unwrap().status, 202, "{kind}");
    }
    // One part, its parameters in headers and in the query.
    let text = next();
    let body = http::multipart(&[("MessagePayload", text.as_bytes())]);
    let id = ion_id("e");
    let of_headers = [
        TENANT,
        ("X-Infor-ION-documentName", "Sync.ItemMaster"),
        ("x-infor-ion-FROMLOGICALID", "lid://infor.ln.shop"),
        ("X-Infor-ION-encoding", "NONE"),
    ];
    let path = format!("/service/v3/message/multipart?messageId={id}&source=a%20b&custom_Region=n%C3%B6rd");
    assert_eq!(caller.post(&path, &of_headers, &body).unwrap().status, 202);
    let headers = headers_of(&inbox, &id);
    assert!(headers.contains(&"Source=a b".to_owned()), "{headers:?}");
    assert!(headers.iter().any(|it| it.ends_with("=nörd")), "{headers:?}");

    assert_eq!(stored_bytes(&inbox), sent.into_iter().map(String::into_bytes).collect::<Vec<_>>());
    assert_eq!(
        inbox.site.number("SELECT count(*) FROM COR_INBOX_ENTRY WHERE C_WAS_PROCESSED = 0"),
        inbox.rows()
    );
}

#[test]
fn every_parameter_becomes_a_header() {
    let inbox = Inbox::new("");
    let _agent = inbox.start();
    let id = ion_id("full");
    let json = item(&id).replace(
        "\"encoding\":\"NONE\"",
        "\"accountingEntity\":\"100\",\"location\":\"PLANT1\",\"documentId\":\"IT-1\",\"variationId\":7,\"revisionId\":\"\",\
         \"batchId\":\"B1\",\"batchSequence\":1,\"batchSize\":2,\"batchRevision\":3,\"batchAbortIndicator\":false,\
         \"instances\":1,\"source\":\"f.csv\",\"custom_Region\":\"north\"",
    );
    assert_eq!(inbox.send(&json, &document("IT-1", 7)).status, 202);
    let headers = headers_of(&inbox, &id);
    for line in [
        "TenantId=demo_tst",
        "BODType=Sync.ItemMaster",
        "FromLogicalId=lid://infor.ln.shop",
        "ToLogicalId=lid://default",
        "AccountingEntity=100",
        "Location=PLANT1",
        "DocumentId=IT-1",
        "VariationId=7",
        "BatchId=B1",
        "BatchSequence=1",
        "BatchSize=2",
        "Instances=1",
        "Source=f.csv",
    ] {
        assert!(headers.iter().any(|header| header == line), "{line} is not in {headers:?}");
    }
}

/// The same bytes and the same id a hundred times, from many sides at once: one row, and yes to everybody.
fn repeats_are_one_row(inbox: &Inbox) {
    let _agent = inbox.start();
    let id = ion_id("once");
    let body = message(&item(&id), document("IT-1", 7));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut caller = inbox.caller();
                for _ in 0..12 {
                    assert_eq!(caller.post(V3, &[TENANT], &body).unwrap().status, 202);
                }
            });
        }
    });
    assert_eq!(inbox.rows(), 1);
    assert_eq!(inbox.site.number("SELECT repeats FROM bodrelay_receipt"), 95);
    // Sent once more by its sender: another id of ION's around the same one.
    let again = message(&item(&ion_id("once")), document("IT-1", 7));
    assert_eq!(inbox.caller().post(V3, &[TENANT], &again).unwrap().status, 202);
    assert_eq!(inbox.rows(), 1);
    // Without any id nothing can be told apart: nothing is lost for it.
    for _ in 0..2 {
        assert_eq!(inbox.send(&item(""), &document("IT-2", 7)).status, 202);
    }
    assert_eq!(inbox.rows(), 3);
}

#[test]
fn repeats_are_one_row_on_sqlite() {
    repeats_are_one_row(&Inbox::new(""));
}

#[test]
fn repeats_are_one_row_on_postgres() {
    repeats_are_one_row(&Inbox::on_postgres(""));
}

/// Without a right the document stays in ION, the finding and `check` name the right, and the GRANT ends it.
#[test]
fn a_missing_right_is_told_and_its_remedy_works() {
    let inbox = Inbox::on_postgres("");
    let server = inbox.site.server.as_ref().unwrap();
    let grants = scripts::POSTGRES.iter().find(|(name, _)| *name == "grants.sql").unwrap().1;
    server.exec(&format!(
        "SET search_path = public; {grants}
         CREATE ROLE receiver_without_right LOGIN IN ROLE bodrelay_agent;
         GRANT SELECT ON cor_inbox_entry, cor_inbox_headers TO bodrelay_agent;
         GRANT INSERT ON cor_inbox_headers TO bodrelay_agent"
    ));
    let file = inbox.site.path("bodrelay.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("user = \"postgres\"", "user = \"receiver_without_right\"")).unwrap();
    let mut agent = inbox.ready(inbox.site.start());
    agent.until("the finding is there", || inbox.site.has_open_finding("INBOX_LACKS"));
    assert_eq!(inbox.send(&item("lid://infor.ln.shop:1"), &document("IT-1", 1)).status, 503);
    let (code, out, error) = inbox.site.command_output("check", &[]);
    let right = "GRANT SELECT, INSERT ON \"public\".\"cor_inbox_entry\" to it";
    let said = format!("{out}{error}").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code != 0 && said.contains(right), "{code} {said}");
    let told =
        inbox.site.text("SELECT finding_text FROM bodrelay_finding WHERE code = 'INBOX_LACKS'").unwrap();
    assert!(told.contains(right), "{told}");
    server.exec("GRANT SELECT, INSERT ON \"public\".\"cor_inbox_entry\" TO receiver_without_right");
    agent.until("it is taken", || {
        inbox.send(&item("lid://infor.ln.shop:1"), &document("IT-1", 1)).status == 202
    });
    agent.until("the finding is over", || !inbox.site.has_open_finding("INBOX_LACKS"));
    assert_eq!(inbox.rows(), 1);
}

#[test]
fn what_is_asked_before_a_document_needs_no_database() {
    let inbox = Inbox::new("protocol_version = \"v2\"\nmessage_method = \"message\"\nhas_discovery = true");
    let mut agent = inbox.start();
    // The database is gone.
    std::fs::rename(inbox.site.path("erp.db"), inbox.site.path("away.db")).unwrap();
    let mut caller = inbox.caller();
    let answer = caller.get("/a/service/ping", &[]).unwrap();
    assert_eq!((answer.status, &*answer.body), (200, r#"{"status":"OK","code":200}"#));
    let answer = caller.get("/service/protocol", &[]).unwrap();
    let protocol: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        protocol,
        serde_json::json!({"version": "v2", "messageMethod": "message", "hasDiscovery": true})
    );
    let answer = caller.get("/service/100/versions", &[]).unwrap();
    assert!(answer.body.starts_with("{\"supportedVers"), "{answer:?}");
    for path in ["/service/v3/discovery", "/service/v2/discovery"] {
        let answer = caller.post(path, &[TENANT], b"").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer.body.contains(r#"{"documentName":"Sync.ItemMaster","receives":true,"sends":false}"#),
            "{answer:?}"
        );
    }
    assert_eq!(caller.post("/service/v3/discovery", &[("X-TenantId", "NOBODY")], b"").unwrap().status, 412);
    // A document is not lost meanwhile: it is asked to come again, and is taken when the database is back.
    let body = message(&item(&ion_id("m")), document("IT-1", 7));
    let answer = caller.post(V3, &[TENANT], &body).unwrap();
    assert_eq!((answer.status, &*answer.code()), (503, "NOT_READY"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("10"));
    std::fs::rename(inbox.site.path("away.db"), inbox.site.path("erp.db")).unwrap();
    agent.until("the document is taken", || inbox.caller().post(V3, &[TENANT], &body).unwrap().status == 202);
    assert_eq!(inbox.rows(), 1);
}

#[test]
fn a_type_is_received_as_soon_as_it_is_listed() {
    let inbox = Inbox::new("");
    let mut agent = inbox.start();
    let (mut caller, json) = (inbox.caller(), json("Sync.CustomerPartyMaster", &ion_id("m")));
    let body = message(&json, document("IT-1", 7).replace("ItemMaster", "CustomerPartyMaster"));
    assert_eq!(caller.post(V3, &[TENANT], &body).unwrap().status, 412);
    agent.until("the finding names the statement", || {
        let found = "SELECT count(*) FROM bodrelay_finding WHERE code = 'RECEIVED_NOT_LISTED' AND remedy LIKE \
                     '%(''CP1'', ''in'', ''Sync'', ''CustomerPartyMaster'')%'";
        inbox.site.number(found) == 1
    });
    inbox.site.sql(
        "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP1', 'in', 'Sync', \
         'CustomerPartyMaster')",
    );
    agent.until("it is taken", || inbox.caller().post(V3, &[TENANT], &body).unwrap().status == 202);
    inbox.site.sql("UPDATE bodrelay_connection_point SET receive_mode = 'off'");
    agent.until("nothing is taken", || inbox.caller().post(V3, &[TENANT], &body).unwrap().status == 412);
    assert_eq!(inbox.rows(), 1);
}

/// As a DBA tries it: curl, with parts from files.
#[test]
fn curl_delivers_a_document() {
    let inbox = Inbox::new("");
    let _agent = inbox.start();
    std::fs::write(inbox.site.path("p.json"), item(&ion_id("curl"))).unwrap();
    std::fs::write(inbox.site.path("d.xml"), document("IT-1", 7)).unwrap();
    let url = format!("http://127.0.0.1:{}/service/v3/multipartMessage", inbox.port);
    let output = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "X-TenantId: DEMO_TST"])
        .arg("-F")
        .arg(format!("ParameterRequest=@{};type=application/json", inbox.site.path("p.json").display()))
        .arg("-F")
        .arg(format!("MessagePayload=@{}", inbox.site.path("d.xml").display()))
        .arg(url)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "202", "{output:?}");
    assert_eq!(stored_bytes(&inbox), [document("IT-1", 7).into_bytes()]);
}

/// Our own client composes what the receiver reads, both ways.
#[test]
fn our_own_wire_format_is_taken() {
    let inbox = Inbox::new("");
    let _agent = inbox.start();
    let parameters = |id: &str| Parameters {
        document_name: "Sync.ItemMaster".into(),
        message_id: ion_id(id),
        from_logical_id: "lid://infor.ln.shop".into(),
        to_logical_id: "lid://acme.erp.plant1".into(),
        encoding: Encoding::None,
        character_set: "UTF-8".into(),
        variation_id: Some(7),
        source: Some("grüße".into()),
        ..Parameters::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let composer = Composer::default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://127.0.0.1:{}/service", inbox.port);
    runtime.block_on(async {
        let parcel = Parcel { parameters: parameters("own"), payload: document("IT-1", 7).into() };
        let request = client
            .post(format!("{base}/v3/multipartMessage"))
            .header("X-TenantId", "DEMO_TST")
            .header("Content-Type", composer.content_type())
            .body(reqwest::Body::wrap(composer.message(&parcel)));
        assert_eq!(request.send().await.unwrap().status(), 202);
        let mut headers = reqwest::header::HeaderMap::new();
        let mut url: reqwest::Url = format!("{base}/v3/message/multipart").parse().unwrap();
        spread_parameters(&parameters("own2"), &mut headers, &mut url);
        let request = client
            .post(url)
            .headers(headers)
            .header("X-TenantId", "DEMO_TST")
            .header("Content-Type", composer.content_type())
            .body(reqwest::Body::wrap(composer.payload_only(&document("IT-2", 7).into())));
        assert_eq!(request.send().await.unwrap().status(), 202);
    });
    assert_eq!(inbox.rows(), 2);
}

/// Tables and metrics count what came.
#[test]
fn what_came_is_counted() {
    let inbox = Inbox::new("");
    let port = free_port();
    inbox.write_configuration(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\""));
    let mut agent = inbox.start();
    let body = message(&item(&ion_id("m")), document("IT-1", 7));
    let mut caller = inbox.caller();
    for _ in 0..3 {
        assert_eq!(caller.post(V3, &[TENANT], &body).unwrap().status, 202);
    }
    assert_eq!(inbox.send(&item(&ion_id("n")), "no XML").status, 400);
    let metrics = http::Caller::connect(port).unwrap().get("/metrics", &[]).unwrap().body;
    for line in [
        "bodrelay_messages_total{connection_point=\"CP1\",direction=\"in\",document_type=\"Sync.ItemMaster\",outcome=\"stored\"} 1",
        "bodrelay_messages_total{connection_point=\"CP1\",direction=\"in\",document_type=\"Sync.ItemMaster\",outcome=\"repeat\"} 2",
        "bodrelay_messages_total{connection_point=\"CP1\",direction=\"in\",document_type=\"Sync.ItemMaster\",outcome=\"refused\"} 1",
        "bodrelay_received_requests_total{status=\"202\"} 3",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    agent.until("the status row has it", || {
        let row = "SELECT state || ' ' || accepted_total || ' ' || duplicate_total || ' ' || failed_total FROM \
                   bodrelay_status WHERE connection_point = 'CP1' AND direction = 'in'";
        // The probe of the start was refused as well.
        inbox.site.text(row).as_deref() == Some("running 1 2 2")
    });
    let logged = "SELECT state || ' ' || document_bytes FROM bodrelay_message_log WHERE direction = 'in'";
    assert_eq!(inbox.site.text(logged), Some(format!("stored {}", document("IT-1", 7).len())));
    agent.term();
    let row = "SELECT state FROM bodrelay_status WHERE connection_point = 'CP1' AND direction = 'in'";
    assert_eq!(inbox.site.text(row).as_deref(), Some("stopped"));
}

/// One listener for two databases: each document goes where its receiver is, and one that is away stops nobody else.
#[test]
fn one_listener_serves_many_databases() {
    let inbox = Inbox::new("");
    let other = inbox.site.path("wms.db");
    let sql = rusqlite::Connection::open(&other).unwrap();
    sql.pragma_update(None, "journal_mode", "WAL").unwrap();
    sql.execute_batch(scripts::SQLITE_IOBOX).unwrap();
    scripts::numbered(scripts::SQLITE).for_each(|script| sql.execute_batch(script).unwrap());
    sql.execute_batch(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, receive_mode) \
         VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://acme.wms', 'on'); \
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP2', 'in', 'Sync', 'ItemMaster')",
    )
    .unwrap();
    let file = inbox.site.path("bodrelay.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "[[database]]\nname = \"wms\"\nkind = \"sqlite\"\npath = \"wms.db\"\n")
        .unwrap();
    let mut agent = inbox.start();
    let there =
        || sql.query_row("SELECT count(*) FROM COR_INBOX_ENTRY", [], |row| row.get::<_, i64>(0)).unwrap();
    let to = |receiver: &str| item(&ion_id("m")).replace("lid://default", receiver);
    assert_eq!(inbox.send(&to("lid://acme.erp.plant1"), &document("IT-1", 7)).status, 202);
    assert_eq!(inbox.send(&to("lid://acme.wms"), &document("IT-2", 7)).status, 202);
    assert_eq!((inbox.rows(), there()), (1, 1));
    // Both list it, and nobody is named: nothing is guessed, but the path may say it.
    let answer = inbox.send(&item(&ion_id("m")), &document("IT-3", 7));
    assert_eq!(answer.status, 412);
    assert!(answer.body.contains("more than one connection point"), "{answer:?}");
    let path = "/cp2/service/v3/multipartMessage";
    let body = message(&item(&ion_id("m")), document("IT-3", 7));
    assert_eq!(inbox.caller().post(path, &[TENANT], &body).unwrap().status, 202);
    assert_eq!((inbox.rows(), there()), (1, 2));
    // One of them goes away.
    std::fs::rename(&other, inbox.site.path("away.db")).unwrap();
    let body = message(&to("lid://acme.wms"), document("IT-4", 7));
    assert_eq!(inbox.caller().post(V3, &[TENANT], &body).unwrap().status, 503);
    assert_eq!(inbox.send(&to("lid://acme.erp.plant1"), &document("IT-5", 7)).status, 202);
    std::fs::rename(inbox.site.path("away.db"), &other).unwrap();
    agent.until("it is back", || inbox.caller().post(V3, &[TENANT], &body).unwrap().status == 202);
    assert_eq!((inbox.rows(), there()), (2, 3));
}
