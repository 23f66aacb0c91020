//! The client against the simulator over real sockets: bytes and parameters, faults, the ledger; tokens, the network
//! and secrets in files of their own.

#[path = "../certificate/mod.rs"]
mod certificate;
mod network;
mod remarks;
mod secrets;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bodrelay::config::Ion;
use bodrelay::domain::ids::Digest;
use bodrelay::domain::message::{Encoding, Parameters, Parcel};
use bodrelay::domain::outcome::Answer;
use bodrelay::domain::plan::ImsMethod;
use bodrelay::ims::{Accepted, Client};
use bodrelay::simulator::ledger::Ledger;
use bodrelay::simulator::script::{Fault, On, Script, What};
use bodrelay::simulator::{Options, Simulator, run_command};
use bytes::Bytes;

const V3: ImsMethod = ImsMethod::V3MultipartMessage;

/// A simulator, a folder with its credential file and state, and a client.
struct Site {
    simulator: Simulator,
    folder: tempfile::TempDir,
    client: Client,
}

impl Site {
    fn new() -> Self {
        Self::with(Options::default(), "")
    }

    /// `settings`: further lines of `[[ion]]`.
    fn with(options: Options, settings: &str) -> Self {
        let simulator = Simulator::start(options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.ionapi"), simulator.ionapi_json()).unwrap();
        let client = client(folder.path(), settings).unwrap();
        Self { simulator, folder, client }
    }

    /// From now on every post goes wrong in this way.
    fn fault(&self, what: What) -> &Self {
        self.simulator.clear_faults();
        self.simulator.add_fault(Fault::new(what));
        self
    }

    fn stored(&self) -> u64 {
        self.simulator.ledger().counts().stored
    }

    async fn post(&self, id: &str) -> Answer {
        self.client.post(V3, &parcel(id)).await
    }

    fn token_file(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|it| it.unwrap().path()).find(|it| it.extension().is_some_and(|it| it == "json"))
    }
}

fn ion(folder: &Path, settings: &str) -> Ion {
    let file = folder.join("x.ionapi");
    toml::from_str(&format!("credentials = {:?}\n{settings}", file.to_str().unwrap())).unwrap()
}

fn client(folder: &Path, settings: &str) -> anyhow::Result<Client> {
    Client::new(&ion(folder, settings), folder)
}

fn parcel(id: &str) -> Parcel {
    Parcel {
        parameters: Parameters {
            document_name: "Sync.SalesOrder".into(),
            message_id: format!("message-{id}"),
            from_logical_id: "lid://infor.ims.shop".into(),
            to_logical_id: "lid://default".into(),
            character_set: "UTF-8".into(),
            document_id: Some(id.into()),
            ..Parameters::default()
        },
        payload: Bytes::from(format!("<SyncSalesOrder id=\"{id}\"/>")),
    }
}

fn has_remark(client: &Client, code: &str) -> bool {
    client.remarks().iter().any(|remark| remark.code == code)
}

fn status(answer: &Answer) -> u16 {
    answer.status().unwrap_or_default()
}

fn deflated(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

#[tokio::test]
async fn every_method_carries_parameters_and_bytes() {
    let site = Site::new();
    let document = "<SyncSalesOrder>Größe, 値, \u{1F600}</SyncSalesOrder>".as_bytes().to_vec();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let large: Vec<u8> = (0..5 * 1024 * 1024).map(|_| random.u8(..)).collect();
    let mut expected = BTreeMap::new();
    for (method, ok) in [(V3, 202), (ImsMethod::V3Message, 202), (ImsMethod::V2MultipartMessage, 201)] {
        for (kind, bytes, encoding) in [
            ("plain", &document, Encoding::None),
            ("deflate", &document, Encoding::Deflate),
            ("large", &large, Encoding::None),
            ("large deflate", &large, Encoding::Deflate),
        ] {
            let id = format!("{kind} Ä-№ {method:?}");
            let mut parcel = parcel(&id);
            parcel.parameters.encoding = encoding;
            parcel.parameters.variation_id = Some(i64::MAX);
            parcel.parameters.accounting_entity = Some("AE 1".into());
            parcel.parameters.location = Some("Zürich".into());
            parcel.parameters.batch_id = Some("B-1".into());
            parcel.parameters.batch_sequence = Some(2);
            parcel.parameters.custom.insert("custom_Region".into(), "nörth".into());
            parcel.payload = match encoding {
                Encoding::Deflate => deflated(bytes),
                Encoding::None => bytes.clone().into(),
            };
            let answer = site.client.post(method, &parcel).await;
            assert_eq!(status(&answer), ok, "{answer:?}");
            expected.insert(parcel.parameters.message_id.clone(), (parcel.parameters, Digest::of(bytes)));
        }
    }
    let arrivals = site.simulator.ledger().arrivals();
    assert_eq!(arrivals.len(), expected.len());
    for arrival in arrivals {
        let (parameters, digest) = &expected[&*arrival.message_id];
        assert_eq!(arrival.digest, *digest, "seed {seed}");
        assert_eq!(arrival.document_id.as_deref(), parameters.document_id.as_deref());
        assert_eq!(arrival.variation_id, Some(i64::MAX));
        assert_eq!(arrival.accounting_entity.as_deref(), Some("AE 1"));
        assert_eq!(arrival.location.as_deref(), Some("Zürich"));
        assert_eq!(&*arrival.document_name, "Sync.SalesOrder");
        assert_eq!(&*arrival.logical_id, "lid://infor.ims.shop");
    }
}

#[tokio::test]
async fn what_ion_would_refuse_is_refused() {
    let accepted = Some(BTreeSet::from(["Sync.SalesOrder".to_owned()]));
    let logical_ids = Some(BTreeSet::from(["lid://infor.ims.shop".to_owned()]));
    let site = Site::with(Options { accepted, logical_ids, ..Options::default() }, "");
    assert_eq!(status(&site.post("1").await), 202);

    let mut unlisted = parcel("2");
    unlisted.parameters.document_name = "Sync.ItemMaster".into();
    let answer = site.client.post(V3, &unlisted).await;
    assert_eq!(status(&answer), 412);
    assert!(answer.text().contains("Sync.ItemMaster is not on the Documents tab"), "{answer:?}");

    let mut foreign = parcel("3");
    foreign.parameters.from_logical_id = "lid://infor.ims.other".into();
    assert_eq!(status(&site.client.post(V3, &foreign).await), 403);

    let mut broken = parcel("4");
    broken.parameters.encoding = Encoding::Deflate;
    assert_eq!(status(&site.client.post(V3, &broken).await), 400);
    let mut nameless = parcel("5");
    nameless.parameters.document_name = String::new();
    assert_eq!(status(&site.client.post(V3, &nameless).await), 400);
    assert_eq!(status(&site.client.post(ImsMethod::V2MultipartMessage, &nameless).await), 412);

    std::fs::write(site.folder.path().join("x.ionapi"), site.simulator.other_ionapi_json()).unwrap();
    let other = client(site.folder.path(), "").unwrap();
    assert_eq!(status(&other.post(V3, &parcel("6")).await), 403);
    assert_eq!(status(&other.ping().await), 403);
    assert_eq!(site.stored(), 1);
}

#[tokio::test]
async fn ping_versions_and_the_list_are_read() {
    let names = BTreeSet::from(["Sync.SalesOrder".to_owned(), "Process.Shipment".to_owned()]);
    let id = "lid://infor.ims.a b/ü";
    let logical_ids = Some(BTreeSet::from([id.to_owned()]));
    let site = Site::with(Options { accepted: Some(names.clone()), logical_ids, ..Options::default() }, "");
    assert_eq!(status(&site.client.ping().await), 200);
    assert_eq!(site.client.versions().await.unwrap(), ["v1", "v2", "v3"]);
    assert_eq!(site.client.accepted_documents(id).await, Accepted::Listed(names));
    let list = site.client.accepted_documents("lid://infor.ims.other").await;
    assert!(matches!(list, Accepted::Refused(Answer::Http { status: 412, .. })), "{list:?}");
    site.simulator.set_accepted(None);
    let list = site.client.accepted_documents(id).await;
    assert!(matches!(&list, Accepted::Unreadable(text) if text.contains("every document")), "{list:?}");
    site.simulator.add_fault(Fault::new(What::BadJson).on(On::AcceptedDocuments));
    let list = site.client.accepted_documents(id).await;
    assert!(matches!(list, Accepted::Unreadable(_)), "{list:?}");
    site.simulator.add_fault(Fault::refuse(503).on(On::Ping));
    assert_eq!(status(&site.client.ping().await), 503);
    site.simulator.add_fault(Fault::new(What::Garbage).on(On::Versions));
    let page = site.client.versions().await.unwrap_err();
    assert!(matches!(page, Answer::Http { status: 200, is_html: true, .. }), "{page:?}");
}

#[tokio::test]
async fn every_fault_gives_its_answer() {
    let site = Site::with(Options::default(), "request_timeout_seconds = 1");
    let refuse = What::Refuse { status: 503, retry_after: Some(7), text: Some("down\r\nfor now".into()) };
    let expected = Answer::Http {
        status: 503,
        text: r#"{"errors":["down\r\nfor now"]}"#.into(),
        is_html: false,
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(site.fault(refuse).post("1").await, expected);
    let too_long = What::Refuse { status: 429, retry_after: Some(86_400), text: None };
    assert_eq!(site.fault(too_long).post("1").await.retry_after(), Some(Duration::from_secs(600)));

    let answer = site.fault(What::Garbage).post("2").await;
    assert!(matches!(answer, Answer::Http { status: 200, is_html: true, .. }), "{answer:?}");
    assert_eq!(status(&site.fault(What::Redirect).post("3").await), 302);
    let answer = site.fault(What::ResetBeforeStore).post("4").await;
    assert!(matches!(&answer, Answer::Unanswered { what } if what.contains("127.0.0.1:")), "{answer:?}");
    let answer = site.fault(What::NeverAnswer).post("5").await;
    assert!(matches!(&answer, Answer::Unanswered { what } if what.contains("within 1 s")), "{answer:?}");
    assert_eq!(site.stored(), 0);

    let answer = site.fault(What::StoreThenLoseAnswer).post("6").await;
    assert!(matches!(answer, Answer::Unanswered { .. }), "{answer:?}");
    assert_eq!(site.stored(), 1);
    // Its status line came: that is ION's word.
    assert_eq!(status(&site.fault(What::StoreThenCutAnswer).post("7").await), 202);
    assert_eq!(status(&site.fault(What::BadJson).post("8").await), 202);
    assert_eq!(status(&site.fault(What::Slow { ms: 50 }).post("9").await), 202);
    let answer = site.fault(What::Slow { ms: 5000 }).post("10").await;
    assert!(matches!(answer, Answer::Unanswered { .. }), "{answer:?}");
    assert_eq!(site.stored(), 5);
    assert_eq!(site.simulator.token_requests(), 1);
    site.simulator.clear_faults();
    site.simulator.add_fault(Fault::new(What::TokenExpired).times(1));
    assert_eq!(status(&site.post("11").await), 202);
    assert_eq!(site.simulator.token_requests(), 2);
    // Nothing was repeated behind our back: each post above arrived as often as it was made.
    assert_eq!(site.simulator.ledger().repeats_same(), []);
    assert_eq!(site.simulator.ledger().counts().posts, 13);
}

#[tokio::test]
async fn the_ledger_tells_repeats_overlaps_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.jsonl");
    let site = Site::with(Options { ledger: Some(file.clone()), ..Options::default() }, "");
    site.simulator.add_fault(Fault::new(What::Slow { ms: 200 }).for_document("A").times(1));
    let (first, second) = tokio::join!(site.post("A"), async {
        site.simulator.ledger().stored().wait_for(|stored| *stored == 1).await.unwrap();
        site.post("A").await
    });
    assert_eq!((status(&first), status(&second)), (202, 202));
    let changed = Parcel { payload: "<Other/>".into(), ..parcel("A") };
    site.client.post(V3, &changed).await;
    site.post("B").await;

    let ledger = site.simulator.ledger();
    let counts = ledger.counts();
    assert_eq!((counts.stored, counts.distinct, counts.overlaps), (4, 2, 1));
    assert_eq!((counts.repeats_same, counts.repeats_different), (1, 1));
    assert_eq!(ledger.repeats_same()[0].in_flight, 2);
    assert_eq!(&*ledger.repeats_different()[0].message_id, "message-A");
    assert_eq!(ledger.by_message_id("message-A").len(), 3);
    assert_eq!(ledger.seen("message-A").unwrap().1, 3);
    let lanes = ledger.lanes();
    let orders: Vec<Vec<u64>> = lanes.values().map(|it| it.iter().map(|it| it.sequence).collect()).collect();
    assert_eq!(orders, [vec![1, 2, 3], vec![4]]);
    assert_eq!(Ledger::read(&file).unwrap(), ledger.arrivals());
}

#[tokio::test]
async fn a_script_file_is_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("faults.json");
    let text = r#"{"faults": [
        {"fault": {"refuse": {"status": 503, "retry_after": 2}}, "times": 2, "document_name": "Sync.SalesOrder"},
        {"fault": "store_then_lose_answer", "document_id": "3"},
        {"fault": {"refuse": {"status": 500}}, "probability": 0.5, "after_arrivals": 2}
    ]}"#;
    std::fs::write(&script, text).unwrap();
    let ledger = folder.path().join("ledger.jsonl");
    let listen = ([127, 0, 0, 1], 0).into();
    let running =
        run_command(listen, Some(&script), Some(&ledger), &folder.path().join("x.ionapi"), 4).unwrap();
    let client = client(folder.path(), "").unwrap();
    assert_eq!(client.endpoint(), format!("{}/service/", running.base_url));
    for (id, wanted) in [("1", 503), ("1", 503), ("1", 202), ("3", 0)] {
        assert_eq!(status(&client.post(V3, &parcel(id)).await), wanted, "document {id}");
    }
    assert_eq!(Ledger::read(&ledger).unwrap().len(), 2);
    let mut refused = 0;
    for id in 10..60 {
        refused += u32::from(status(&client.post(V3, &parcel(&id.to_string())).await) == 500);
    }
    assert!((10..40).contains(&refused), "seed 4: {refused} of 50 refused");

    std::fs::write(&script, r#"{"faults": [{"fault": "explode"}]}"#).unwrap();
    let error = format!("{:#}", Script::read(&script).unwrap_err());
    assert!(error.contains("explode") && error.contains("store_then_lose_answer"), "{error}");
    let public = Simulator::start(Options { listen: ([0, 0, 0, 0], 0).into(), ..Options::default() });
    assert!(public.is_err_and(|error| error.to_string().contains("loopback")));
}
