//! The inbox: receipt, entry and headers together or not at all; repeats, duplicates and older variations; every byte.

use bodrelay::database::{Added, Database, DatabaseError};
use bodrelay::domain::ids::Digest;
use bodrelay::domain::incoming::{DuplicateKey, InboundRules, Incoming, Marks, OlderVariation, Stored};
use bodrelay::domain::message::Parameters;
use chrono::TimeDelta;
use futures_util::future::join_all;

use super::control::CP1;
use super::{Fixture, at};

const ENTRIES: &str = "SELECT count(*) FROM COR_INBOX_ENTRY";
const ION: &str = ":-ION-:0123456789abcdef0123456789abcdef";

fn rules() -> InboundRules {
    InboundRules {
        inbox_tenant_id: "T".into(),
        inbox_logical_id: "lid://infor.erp.cp1".into(),
        duplicate_key: DuplicateKey::MessageId,
        older_variation: OlderVariation::Warn,
        log: true,
        max_document_bytes: 5_242_880,
        namespace: None,
    }
}

/// A document of CP1 from one sender; the message id is given whole.
fn incoming(message_id: &str, document_id: &str, variation_id: i64, document: &str) -> Incoming {
    Incoming {
        message_key: uuid::Uuid::now_v7().to_string(),
        connection_point: "CP1".into(),
        tenant_id: "T".into(),
        parameters: Parameters {
            document_name: "Sync.Item".into(),
            message_id: message_id.into(),
            from_logical_id: "lid://infor.ims.sender".into(),
            to_logical_id: "lid://default".into(),
            character_set: "UTF-8".into(),
            document_id: Some(document_id.into()),
            variation_id: Some(variation_id),
            ..Parameters::default()
        },
        payload: document.as_bytes().to_vec().into(),
        digest: Digest::of(document.as_bytes()).to_string(),
        wire_bytes: 7,
        rules: rules(),
        host: "h1".into(),
        received_at: at("2026-01-31T10:20:30.123Z"),
    }
}

fn with(document: Incoming, change: impl FnOnce(&mut Incoming)) -> Incoming {
    let mut document = document;
    change(&mut document);
    document
}

async fn store(database: &dyn Database, documents: &[Incoming]) -> Vec<Stored> {
    database.inbox_store(documents).await.unwrap()
}

async fn store_one(database: &dyn Database, document: Incoming) -> Stored {
    store(database, &[document]).await.remove(0)
}

/// What was made of it, and the codes of what there is to say.
fn told(stored: &Stored) -> (&'static str, Vec<&'static str>) {
    let kind = match stored {
        Stored::New { .. } => "new",
        Stored::Repeat { .. } => "repeat",
        Stored::Duplicate { .. } => "duplicate",
        Stored::Older { entry_id: Some(_), .. } => "older, stored",
        Stored::Older { entry_id: None, .. } => "older",
    };
    (kind, stored.notices().iter().map(|notice| notice.code).collect())
}

fn entry_id(stored: &Stored) -> i64 {
    match stored {
        Stored::New { entry_id, .. } | Stored::Repeat { entry_id } | Stored::Duplicate { entry_id, .. } => {
            *entry_id
        }
        Stored::Older { entry_id, .. } => entry_id.unwrap(),
    }
}

pub async fn a_document_is_stored_with_all_that_belongs_to_it<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let document = with(incoming(&format!("M-1{ION}"), "D-1", 7, "<SyncItem/>"), |it| {
        it.parameters = Parameters {
            accounting_entity: Some("AE10".into()),
            location: Some("WH1".into()),
            revision_id: Some("2".into()),
            batch_id: Some("B".into()),
            batch_sequence: Some(1),
            batch_size: Some(2),
            batch_revision: Some(3),
            batch_abort_indicator: Some(false),
            instances: Some(1),
            source: Some("a.xml".into()),
            source_publication_date: Some("2026-01-31T10:20:30.000Z".into()),
            custom: [("custom_Color".to_owned(), "blue".to_owned())].into(),
            ..it.parameters.clone()
        };
    });
    let stored = store_one(&*database, document).await;
    assert_eq!(told(&stored), ("new", vec![]));
    let id = entry_id(&stored);
    let entry =
        "SELECT C_ID, C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_WAS_PROCESSED FROM COR_INBOX_ENTRY";
    assert_eq!(fixture.rows(entry).await, [[&id.to_string(), "T", "lid://infor.erp.cp1", "4", "0"]]);
    let headers = "SELECT C_HEADER_KEY, C_HEADER_VALUE FROM COR_INBOX_HEADERS ORDER BY C_ID";
    assert_eq!(
        fixture.rows(headers).await,
        [
            ["TenantId", "T"],
            ["MessageId", &format!("M-1{ION}")],
            ["BODType", "Sync.Item"],
            ["FromLogicalId", "lid://infor.ims.sender"],
            ["ToLogicalId", "lid://default"],
            ["DocumentId", "D-1"],
            ["AccountingEntity", "AE10"],
            ["Location", "WH1"],
            ["RevisionId", "2"],
            ["VariationId", "7"],
            ["BatchId", "B"],
            ["BatchSequence", "1"],
            ["BatchSize", "2"],
            ["BatchRevision", "3"],
            ["BatchAbortIndicator", "false"],
            ["Instances", "1"],
            ["Source", "a.xml"],
            ["SourcePublicationDate", "2026-01-31T10:20:30.000Z"],
            ["Custom_Color", "blue"],
        ]
    );
    let of_entry = format!("SELECT count(*) FROM COR_INBOX_HEADERS WHERE C_INBOX_ID = {id}");
    assert_eq!(fixture.value(&of_entry).await, "19");
    let receipt = "SELECT connection_point, source_part, from_logical_id, document_name, entry_id, repeats FROM bodrelay_receipt";
    assert_eq!(
        fixture.rows(receipt).await,
        [["CP1", "M-1", "lid://infor.ims.sender", "Sync.Item", &id.to_string(), "0"]]
    );
    let received =
        "SELECT connection_point, noun, document_id, variation_id, entry_id FROM bodrelay_received_document";
    assert_eq!(fixture.rows(received).await, [["CP1", "Item", "D-1", "7", &id.to_string()]]);
    let log = "SELECT direction, state, entry_id, verb, noun, document_id, variation_id, document_bytes, wire_bytes, host FROM bodrelay_message_log";
    assert_eq!(
        fixture.rows(log).await,
        [["in", "stored", &id.to_string(), "Sync", "Item", "D-1", "7", "11", "7", "h1"]]
    );
    let read = database.inbox_load(id).await.unwrap().unwrap();
    assert_eq!(&read.payload.unwrap().bytes[..], b"<SyncItem/>");
    assert_eq!((read.was_processed, read.created_at), (0, Some(at("2026-01-31T10:20:30.123Z"))));
    assert!(database.inbox_load(id + 1).await.unwrap().is_none());
}

pub async fn a_repeat_is_only_counted<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let first = store_one(&*database, incoming("M-1", "D-1", 1, "<a/>")).await;
    for _ in 0..3 {
        let again = store_one(&*database, incoming("M-1", "D-1", 1, "<a/>")).await;
        assert_eq!(again, Stored::Repeat { entry_id: entry_id(&first) });
    }
    assert_eq!(fixture.value("SELECT repeats FROM bodrelay_receipt").await, "3");
    assert_eq!(fixture.value(ENTRIES).await, "1");
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_message_log").await, "1");
    // Another connection point has messages of its own.
    let other = with(incoming("M-1", "D-1", 1, "<a/>"), |it| it.connection_point = "CP2".into());
    assert_eq!(told(&store_one(&*database, other).await).0, "new");
    // An id that comes with other bytes is no repeat: nothing is lost, and somebody hears of it. Then that one repeats.
    let other_bytes = || incoming("M-1", "D-2", 1, "<b/>");
    let stored = store_one(&*database, other_bytes()).await;
    assert_eq!(told(&stored), ("new", vec!["REPEAT_DIFFERS"]));
    assert_eq!(store_one(&*database, other_bytes()).await, Stored::Repeat { entry_id: entry_id(&stored) });
    assert_eq!(fixture.value(ENTRIES).await, "3");
    // Without an id there is nothing to tell a repeat by.
    for _ in 0..2 {
        assert_eq!(told(&store_one(&*database, incoming("", "D-3", 1, "<c/>")).await).0, "new");
    }
}

pub async fn the_senders_id_makes_a_duplicate_only_with_the_same_document<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let id = |source: &str, n: u128| format!("{source}:-ION-:{n:032x}");
    let first = store_one(&*database, incoming(&id("S-1", 1), "D-1", 1, "<a/>")).await;
    let again = store_one(&*database, incoming(&id("S-1", 2), "D-1", 1, "<a/>")).await;
    assert_eq!(again, Stored::Duplicate { entry_id: entry_id(&first), notices: vec![] });
    assert_eq!(told(&store_one(&*database, incoming(&id("S-1", 2), "D-1", 1, "<a/>")).await).0, "repeat");
    let logged = "SELECT state, failure_code, entry_id FROM bodrelay_message_log WHERE state = 'duplicate'";
    assert_eq!(
        fixture.rows(logged).await,
        [["duplicate", "DUPLICATE_SOURCE_ID", &entry_id(&first).to_string()]]
    );
    let changes: [fn(&mut Incoming); 3] = [
        |it| {
            it.payload = "<b/>".as_bytes().into();
            it.digest = Digest::of(b"<b/>").to_string();
        },
        |it| it.parameters.from_logical_id = "lid://infor.ims.Sender".into(),
        |it| it.parameters.document_name = "Sync.Other".into(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let other = with(incoming(&id("S-1", 10 + n as u128), "D-1", 1, "<a/>"), change);
        assert_eq!(told(&store_one(&*database, other).await), ("new", vec!["SOURCE_ID_REUSED"]), "{n}");
    }
    // What is no separator makes no source part.
    for (n, odd) in
        [":-ION-:xyz", ":-ION-:", ":-ION-:0123456789abcdef0123456789abcdeg"].into_iter().enumerate()
    {
        let document = incoming(&format!("S-1{odd}"), &format!("O-{n}"), 1, "<a/>");
        assert_eq!(told(&store_one(&*database, document).await), ("new", vec![]), "{odd}");
    }
    assert_eq!(fixture.value(ENTRIES).await, "7");
}

pub async fn a_documents_own_key_makes_a_duplicate<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let mut next = 0;
    let mut document = |key: DuplicateKey, document_id: &str, variation_id: Option<i64>, bytes: &str| {
        next += 1;
        with(incoming(&format!("K-{next}"), document_id, 0, bytes), |it| {
            it.rules.duplicate_key = key;
            it.parameters.variation_id = variation_id;
        })
    };
    use DuplicateKey::{DocumentDigest, DocumentVariation, MessageId};
    let steps = [
        (MessageId, "A", Some(1), "<a/>", "new", vec![]),
        (MessageId, "A", Some(1), "<a/>", "new", vec![]),
        (DocumentVariation, "B", Some(5), "<a/>", "new", vec![]),
        (DocumentVariation, "B", Some(5), "<a/>", "duplicate", vec![]),
        (DocumentVariation, "B", Some(5), "<b/>", "duplicate", vec!["SAME_VARIATION_DIFFERS"]),
        (DocumentVariation, "B", Some(6), "<b/>", "new", vec![]),
        (DocumentVariation, "B", None, "<c/>", "new", vec![]),
        (DocumentVariation, "B", Some(6), "<b/>", "duplicate", vec!["SAME_VARIATION_DIFFERS"]),
        (DocumentDigest, "C", Some(1), "<a/>", "new", vec![]),
        (DocumentDigest, "C", Some(2), "<a/>", "duplicate", vec![]),
        (DocumentDigest, "C", None, "<b/>", "new", vec![]),
        (DocumentDigest, "C", None, "<a/>", "new", vec![]),
        (DocumentDigest, "C", None, "<a/>", "duplicate", vec![]),
    ];
    for (place, (key, id, variation, bytes, kind, notices)) in steps.into_iter().enumerate() {
        let stored = store_one(&*database, document(key, id, variation, bytes)).await;
        assert_eq!(told(&stored), (kind, notices), "step {place}");
    }
    // Members of a batch share document and variation.
    for sequence in 1..=3 {
        let member = with(document(DocumentVariation, "D", Some(1), "<a/>"), |it| {
            it.parameters.batch_id = Some("B1".into());
            it.parameters.batch_sequence = Some(sequence);
        });
        assert_eq!(told(&store_one(&*database, member).await).0, "new", "member {sequence}");
    }
    let log = "SELECT failure_code, count(*) FROM bodrelay_message_log WHERE state = 'duplicate' GROUP BY failure_code ORDER BY failure_code";
    assert_eq!(fixture.rows(log).await, [["DUPLICATE_DIGEST", "2"], ["DUPLICATE_VARIATION", "3"]]);
}

pub async fn an_older_variation_goes_as_the_setting_says<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let document = |id: &str, rule: OlderVariation, variation: i64| {
        with(incoming(&format!("{id}-{variation}"), id, variation, "<a/>"), |it| {
            it.rules.older_variation = rule;
            it.rules.log = false;
        })
    };
    for (id, rule, kind, flag, state) in [
        ("W", OlderVariation::Warn, "new", Some("0"), "stored"),
        ("R", OlderVariation::Reject, "older, stored", Some("9"), "refused"),
        ("I", OlderVariation::Ignore, "older", None, "refused"),
    ] {
        assert_eq!(told(&store_one(&*database, document(id, rule, 7)).await), ("new", vec![]));
        let stored = store_one(&*database, document(id, rule, 5)).await;
        assert_eq!(told(&stored), (kind, vec!["VARIATION_CAME_LATE"]), "{id}");
        if let Some(flag) = flag {
            let of =
                format!("SELECT C_WAS_PROCESSED FROM COR_INBOX_ENTRY WHERE C_ID = {}", entry_id(&stored));
            assert_eq!(fixture.value(&of).await, flag, "{id}");
        }
        assert_eq!(told(&store_one(&*database, document(id, rule, 5)).await).0, "repeat", "{id}");
        let logged =
            format!("SELECT state, failure_code FROM bodrelay_message_log WHERE document_id = '{id}'");
        assert_eq!(
            fixture.rows(&logged).await,
            [[state, "OLDER_VARIATION"]],
            "{id}: what was simply stored is not logged"
        );
        let highest =
            format!("SELECT variation_id FROM bodrelay_received_document WHERE document_id = '{id}'");
        assert_eq!(fixture.value(&highest).await, "7", "{id}");
        assert_eq!(told(&store_one(&*database, document(id, rule, 8)).await), ("new", vec![]));
        assert_eq!(fixture.value(&highest).await, "8", "{id}");
    }
    assert_eq!(fixture.value(ENTRIES).await, "8");
    // An answer carries the variation of what it answers: another name is another document.
    let answer = with(document("W", OlderVariation::Reject, 1), |it| {
        it.parameters.document_name = "Acknowledge.Item".into();
    });
    assert_eq!(told(&store_one(&*database, answer).await), ("new", vec![]));
}

pub async fn the_rules_hold_within_one_call<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let of = |message_id: &str, variation: i64, bytes: &str| {
        with(incoming(message_id, "D-1", variation, bytes), |it| {
            it.rules.duplicate_key = DuplicateKey::DocumentVariation;
            it.rules.older_variation = OlderVariation::Reject;
        })
    };
    let id = |n: u128| format!("S:-ION-:{n:032x}");
    let call = [
        of(&id(1), 3, "<a/>"),
        of(&id(1), 3, "<a/>"),
        of(&id(2), 3, "<a/>"),
        of("M-3", 4, "<b/>"),
        of("M-4", 2, "<c/>"),
        of("M-5", 4, "<b/>"),
        of(&id(2), 3, "<a/>"),
    ];
    let stored = store(&*database, &call).await;
    let kinds: Vec<&str> = stored.iter().map(|it| told(it).0).collect();
    assert_eq!(kinds, ["new", "repeat", "duplicate", "new", "older, stored", "duplicate", "repeat"]);
    let first = entry_id(&stored[0]);
    assert!([1, 2, 6].into_iter().all(|place| entry_id(&stored[place]) == first));
    assert_eq!(entry_id(&stored[5]), entry_id(&stored[3]));
    let flags = "SELECT C_WAS_PROCESSED FROM COR_INBOX_ENTRY ORDER BY C_ID";
    assert_eq!(fixture.rows(flags).await.concat(), ["0", "0", "9"], "in the order of the call");
    assert_eq!(fixture.value("SELECT sum(repeats) FROM bodrelay_receipt").await, "2");
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_receipt").await, "5");
    assert_eq!(fixture.value("SELECT variation_id FROM bodrelay_received_document").await, "4");
    // What the table knows of a document holds through one that has no variation.
    let call = [with(of("M-6", 0, "<d/>"), |it| it.parameters.variation_id = None), of("M-7", 3, "<e/>")];
    let kinds: Vec<&str> = store(&*database, &call).await.iter().map(|it| told(it).0).collect();
    assert_eq!(kinds, ["new", "older, stored"]);
    assert_eq!(database.inbox_store(&[]).await.unwrap(), []);
}

/// Agents that do not know of each other store the same documents at the same time.
pub async fn concurrent_duplicates_are_stored_once<F: Fixture>() {
    const SESSIONS: usize = 6;
    const DOCUMENTS: usize = 20;
    let fixture = F::fresh().await;
    let databases: Vec<_> = (0..SESSIONS).map(|_| fixture.open()).collect();
    let call = |session: usize| -> Vec<Incoming> {
        let mut documents: Vec<Incoming> = (0..DOCUMENTS)
            .map(|n| {
                // A message id of its own in every session, the sender's id the same.
                let id = format!("S-{n}:-ION-:{session:032x}");
                with(incoming(&id, &format!("D-{n}"), 1, &format!("<a n=\"{n}\"/>")), |it| {
                    if n % 2 == 0 {
                        it.parameters.message_id = format!("M-{n}");
                    }
                })
            })
            .collect();
        documents.rotate_left(session * 3);
        documents
    };
    let calls: Vec<Vec<Incoming>> = (0..SESSIONS).map(call).collect();
    let stores = databases.iter().zip(&calls).map(|(database, documents)| database.inbox_store(documents));
    let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for stored in join_all(stores).await {
        for it in stored.unwrap() {
            *kinds.entry(told(&it).0).or_default() += 1;
        }
    }
    let again = DOCUMENTS / 2 * (SESSIONS - 1);
    assert_eq!(kinds, [("duplicate", again), ("new", DOCUMENTS), ("repeat", again)].into());
    assert_eq!(fixture.value(ENTRIES).await, DOCUMENTS.to_string());
    assert_eq!(fixture.value("SELECT sum(repeats) FROM bodrelay_receipt").await, again.to_string());

    // The same with one document whose variations race: the guard sees them one after the other.
    let race = |session: usize| {
        let variation = i64::try_from(session).unwrap();
        vec![with(incoming(&format!("R-{session}"), "RACE", variation, "<r/>"), |it| {
            it.rules.older_variation = OlderVariation::Reject;
        })]
    };
    let calls: Vec<Vec<Incoming>> = (0..SESSIONS).map(race).collect();
    let stores = databases.iter().zip(&calls).map(|(database, documents)| database.inbox_store(documents));
    let stored: Vec<_> = join_all(stores).await.into_iter().map(|it| it.unwrap().remove(0)).collect();
    let rejected = stored.iter().filter(|it| told(it).0 == "older, stored").count();
    let highest = "SELECT variation_id FROM bodrelay_received_document WHERE document_id = 'RACE'";
    assert_eq!(fixture.value(highest).await, (SESSIONS - 1).to_string());
    let nines = "SELECT count(*) FROM COR_INBOX_ENTRY WHERE C_WAS_PROCESSED = 9";
    assert_eq!(fixture.value(nines).await, rejected.to_string());
}

/// One of fifty that the database refuses: nothing of the group is there, and alone only that one fails.
pub async fn one_bad_document_fails_alone<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec("CREATE UNIQUE INDEX ux_inbox_tenant ON COR_INBOX_ENTRY (C_TENANT_ID)").await;
    let document = |n: usize, tenant: String| {
        with(incoming(&format!("M-{n}"), &format!("D-{n}"), 1, "<a/>"), |it| {
            it.rules.inbox_tenant_id = tenant
        })
    };
    store(&*database, &[document(100, "TAKEN".into())]).await;
    let group: Vec<Incoming> =
        (0..50).map(|n| document(n, if n == 31 { "TAKEN".into() } else { format!("T{n}") })).collect();
    let error = database.inbox_store(&group).await.unwrap_err();
    assert!(error.is_about_rows() && matches!(error, DatabaseError::NeedsMending { .. }), "{error:?}");
    for (table, rows) in [
        ("COR_INBOX_ENTRY", "1"),
        ("COR_INBOX_HEADERS", "7"),
        ("bodrelay_receipt", "1"),
        ("bodrelay_received_document", "1"),
        ("bodrelay_message_log", "1"),
    ] {
        assert_eq!(fixture.value(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
    let mut failed = Vec::new();
    for (place, one) in group.iter().enumerate() {
        match database.inbox_store(std::slice::from_ref(one)).await {
            Ok(stored) => assert_eq!(told(&stored[0]).0, "new"),
            Err(error) => {
                assert!(error.is_about_rows());
                failed.push(place);
            }
        }
    }
    assert_eq!(failed, [31]);
    assert_eq!(fixture.value(ENTRIES).await, "50");
    // A table that is missing is about no row: one by one would fail the same way.
    fixture.exec("ALTER TABLE bodrelay_receipt RENAME TO bodrelay_away").await;
    let error = database.inbox_store(&[document(200, "T200".into())]).await.unwrap_err();
    assert!(!error.is_about_rows(), "{error:?}");
    fixture.exec("ALTER TABLE bodrelay_away RENAME TO bodrelay_receipt").await;
    assert_eq!(told(&store(&*database, &[document(200, "T200".into())]).await[0]).0, "new");
}

pub async fn every_byte_and_every_header_arrives<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let large = format!("<a>{}</a>", "é😀x".repeat(5_242_880 / 7));
    let documents = [
        "<a>é 😀 \u{10FFFF}</a>".to_owned(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<a>\t\r\n</a>\r\n".to_owned(),
        "\u{FEFF}<a/>".to_owned(),
        "<a>it's \\x41 %s ' ; DROP TABLE COR_INBOX_ENTRY; -- {braces} $1 ?1 @P1</a>".to_owned(),
        large,
    ];
    for (n, document) in documents.iter().enumerate() {
        let stored = store_one(&*database, incoming(&format!("B-{n}"), "D", 1, document)).await;
        let read = database.inbox_load(entry_id(&stored)).await.unwrap().unwrap().payload.unwrap();
        assert!(read.bytes == document.as_bytes(), "document {n} of {} bytes was changed", document.len());
    }
    let odd = ["'; DROP TABLE COR_INBOX_HEADERS; --", " blanks ", "", "line\r\nline", "é 😀", "a,b={}\"\\"];
    for (n, value) in odd.into_iter().enumerate() {
        let document = with(incoming(&format!("H-{n}"), value, 1, "<h/>"), |it| {
            it.parameters.source = Some(value.into());
            it.parameters.custom = [("custom_Odd".to_owned(), value.to_owned())].into();
        });
        let stored = store_one(&*database, document).await;
        let read = database.inbox_load(entry_id(&stored)).await.unwrap().unwrap().headers;
        let of = |key: &str| read.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        for key in ["Source", "DocumentId", "Custom_Odd"] {
            assert_eq!(of(key), Some(value), "{key}");
        }
    }
}

/// The application's own memory of received messages is the application's.
pub async fn the_applications_own_memory_is_not_touched<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture
        .exec("CREATE TABLE ESB_INBOUND_DUPLICATE (C_ID integer, C_MESSAGE_ID varchar(250), C_CREATED_DATE_TIME varchar(40))")
        .await;
    fixture.exec("INSERT INTO ESB_INBOUND_DUPLICATE VALUES (1, 'M-1', '2026-01-31')").await;
    assert_eq!(told(&store_one(&*database, incoming("M-1", "D-1", 1, "<a/>")).await).0, "new");
    store(&*database, &[incoming("M-1", "D-1", 1, "<a/>"), incoming("M-2", "D-2", 1, "<a/>")]).await;
    let rows =
        fixture.rows("SELECT C_ID, C_MESSAGE_ID, C_CREATED_DATE_TIME FROM ESB_INBOUND_DUPLICATE").await;
    assert_eq!(rows, [["1", "M-1", "2026-01-31"]]);
}

pub async fn an_inbox_1_0_takes_documents<F: Fixture>() {
    let fixture = F::fresh().await;
    fixture.exec("DROP INDEX IF EXISTS IX_COR_INBOX_ENTRY_PROCESSED").await;
    fixture.exec("ALTER TABLE COR_INBOX_ENTRY DROP COLUMN C_LOGICAL_ID").await;
    let database = fixture.open();
    assert_eq!(told(&store_one(&*database, incoming("M-1", "D-1", 1, "<a/>")).await).0, "new");
    assert_eq!(fixture.rows("SELECT C_TENANT_ID, C_WAS_PROCESSED FROM COR_INBOX_ENTRY").await, [["T", "0"]]);
}

pub async fn old_receipts_and_documents_are_forgotten<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let day = at("2026-01-01T00:00:00Z");
    let of_day = |n: i64, point: &str| {
        with(incoming(&format!("M-{n}"), &format!("D-{n}"), 1, &format!("<a n=\"{n}\"/>")), |it| {
            it.received_at = day + TimeDelta::days(n);
            it.connection_point = point.into();
        })
    };
    let documents: Vec<Incoming> = (0..10).map(|n| of_day(n, "CP1")).chain([of_day(0, "CP2")]).collect();
    store(&*database, &documents).await;
    let before = |n: i64| day + TimeDelta::days(n);
    assert_eq!(database.inbox_purge("CP1", before(5), before(3), 2).await.unwrap(), 4, "2 of each at most");
    assert_eq!(database.inbox_purge("CP1", before(5), before(3), 100).await.unwrap(), 4);
    assert_eq!(database.inbox_purge("CP1", before(5), before(3), 100).await.unwrap(), 0);
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_receipt").await, "6");
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_received_document").await, "8");
    assert_eq!(fixture.value(ENTRIES).await, "11", "the inbox is the application's");
    let keys: Vec<String> = documents.iter().map(|it| Marks::of(it).receipt_key).collect();
    let present = database.receipts_present(&keys).await.unwrap();
    assert_eq!(present.len(), 6);
    assert!(present.contains(&keys[9]) && !present.contains(&keys[0]));
}

/// A DBA who only sends hears nothing of the inbox; one who receives hears of each thing that is missing.
pub async fn the_inbox_is_surveyed_where_it_is_needed<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec(CP1).await;
    fixture.exec("DROP TABLE COR_INBOX_HEADERS").await;
    fixture.exec("ALTER TABLE bodrelay_receipt RENAME TO bodrelay_away").await;
    let survey = database.survey().await.unwrap();
    assert!(survey.problems.is_empty() && survey.inbound_problems.is_empty(), "{survey:?}");
    fixture.exec("UPDATE bodrelay_connection_point SET receive_mode = 'on'").await;
    let survey = database.survey().await.unwrap();
    let what: Vec<&str> = survey.inbound_problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(what, ["table bodrelay_receipt is missing", "table COR_INBOX_HEADERS is missing"]);
    assert!(survey.inbound_problems[0].remedy.contains("003_inbound.sql"), "{survey:?}");
    assert!(survey.problems.is_empty(), "sending goes on: {survey:?}");
}

/// A document and the end of its command are one: done twice is done once.
pub async fn a_command_adds_its_document_once<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture
        .exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('confirm_error', 'CP1')")
        .await;
    let command_id: i64 =
        fixture.value("SELECT max(command_id) FROM bodrelay_command").await.parse().unwrap();
    let added = added(command_id);
    let entry_id = database.outbox_add(&added).await.unwrap().unwrap();
    assert_eq!(database.outbox_add(&added).await.unwrap(), None);
    let loaded = database.outbox_load(&[entry_id], usize::MAX).await.unwrap().entries.remove(0);
    assert_eq!(&loaded.payload.unwrap().bytes[..], b"<ConfirmBOD/>");
    assert_eq!((loaded.was_processed, loaded.headers), (0, added.headers));
    assert_eq!(fixture.value("SELECT count(*) FROM COR_OUTBOX_ENTRY").await, "1");
    let command = "SELECT state, matched_rows, done_rows, result, host FROM bodrelay_command";
    assert_eq!(fixture.rows(command).await, [["done", "1", "1", "it is there", "h1"]]);
}

/// What a dialect's view says of the day.
pub async fn the_day_is_seen_by_type<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec(CP1).await;
    let now = bodrelay::clock::Clock::now(&bodrelay::clock::SystemClock);
    let today =
        |id: &str, document_id: &str| with(incoming(id, document_id, 1, "<a/>"), |it| it.received_at = now);
    store(&*database, &[today("M-1", "D-1"), today(&format!("S{ION}"), "D-2"), today("S", "D-2")]).await;
    let view = "SELECT connection_point, verb, noun, messages, stored_messages, duplicates, refused_messages FROM bodrelay_received_today";
    assert_eq!(fixture.rows(view).await, [["CP1", "Sync", "Item", "3", "2", "1", "0"]]);
}

/// Documents M-0000, M-0001 …, one a second.
pub fn numbered(documents: i64) -> Vec<Incoming> {
    let of = |n: i64| {
        with(incoming(&format!("M-{n:04}"), &format!("D-{n}"), 1, "<a/>"), |it| {
            it.received_at = at("2026-01-31T10:00:00Z") + TimeDelta::seconds(n);
        })
    };
    (0..documents).map(of).collect()
}

/// What a command adds to the outbox.
pub fn added(command_id: i64) -> Added {
    Added {
        command_id,
        result: "it is there".into(),
        host: "h1".into(),
        tenant_id: "T".into(),
        logical_id: "L".into(),
        document: "<ConfirmBOD/>".into(),
        headers: vec![("BODType".into(), "Confirm.BOD".into()), ("MessageId".into(), "C-1".into())],
        created_at: at("2026-01-31T10:20:30Z"),
    }
}
