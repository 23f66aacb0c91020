//! The application's side of the demo: a database as a DBA would make it, filled as an application would.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

use super::{NEVER_TAKEN, REJECTED, orders};
use crate::database::statements::scripts;
use crate::domain::failure::FailureCode;
use crate::domain::message::{Encoding, Parameters, Parcel};

const TENANT: &str = "DEMO_TST";
const LOGICAL_ID: &str = "lid://infor.ims.demo";
/// A type that no row of bodrelay_document names: its rows rightly stay 0.
const UNLISTED: &str = "Sync.InventoryCount";
/// So many of the documents that ION sends are wrong, each in its own way.
pub(super) const BAD_DELIVERIES: usize = 5;
/// Who sends what comes from ION.
const SENDER: &str = "lid://infor.ln.shop";
/// Larger documents are refused.
const MAX_BYTES: usize = 4_500_000;

/// Our own documents (fixtures/bods), with placeholders.
const DOCUMENTS: [(&str, &str); 11] = [
    ("Sync.ItemMaster", include_str!("../../fixtures/bods/Sync.ItemMaster.xml")),
    ("Sync.SalesOrder", include_str!("../../fixtures/bods/Sync.SalesOrder.xml")),
    ("Sync.PurchaseOrder", include_str!("../../fixtures/bods/Sync.PurchaseOrder.xml")),
    ("Sync.Shipment", include_str!("../../fixtures/bods/Sync.Shipment.xml")),
    ("Sync.ReceiveDelivery", include_str!("../../fixtures/bods/Sync.ReceiveDelivery.xml")),
    ("Load.PayableTransaction", include_str!("../../fixtures/bods/Load.PayableTransaction.xml")),
    ("Acknowledge.SalesOrder", include_str!("../../fixtures/bods/Acknowledge.SalesOrder.xml")),
    ("Sync.SupplierPartyMaster", include_str!("../../fixtures/bods/Sync.SupplierPartyMaster.xml")),
    ("Sync.CustomerPartyMaster", include_str!("../../fixtures/bods/Sync.CustomerPartyMaster.xml")),
    ("Post.PayableTransaction", include_str!("../../fixtures/bods/Post.PayableTransaction.xml")),
    (UNLISTED, include_str!("../../fixtures/bods/Sync.InventoryCount.xml")),
];

/// The demo's database.
pub(super) struct Site {
    pub connection: Connection,
    random: fastrand::Rng,
    written: usize,
    /// Codes with which entries must fail, with their number.
    pub expected: BTreeMap<&'static str, usize>,
}

/// One entry before it is inserted.
struct Entry {
    payload: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
    priority: i64,
}

impl Site {
    pub fn make(path: &Path, random: &mut fastrand::Rng) -> Result<Self> {
        let connection =
            Connection::open(path).with_context(|| format!("{} cannot be made", path.display()))?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(scripts::SQLITE_IOBOX)?;
        for script in scripts::numbered(scripts::SQLITE) {
            connection.execute_batch(script)?;
        }
        connection.execute(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode,
                 receive_mode, poll_seconds, backoff_step_seconds, backoff_max_seconds, headers_grace_seconds,
                 lone_rounds, max_document_bytes, source_logical_id)
             VALUES ('demo', 'DEMO', ?1, ?2, 'on', 'on', 1, 1, 1, 1, 4, ?3, ?2)",
            params![TENANT, LOGICAL_ID, i64::try_from(MAX_BYTES)?],
        )?;
        for (document_type, _) in DOCUMENTS.iter().filter(|(document_type, _)| *document_type != UNLISTED) {
            let (verb, noun) = document_type.split_once('.').unwrap_or_default();
            connection.execute(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('demo', 'out', ?1, ?2)",
                [verb, noun],
            )?;
            connection.execute(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('demo', 'in', ?1, ?2)",
                [verb, noun],
            )?;
        }
        let mut random = random.fork();
        orders::make(&connection, TENANT, &mut random)?;
        Ok(Self { connection, random, written: 0, expected: BTreeMap::new() })
    }

    /// Good entries, and one for everything that can be wrong with one.
    pub fn fill(&mut self, messages: usize) -> Result<()> {
        let mut entries: Vec<Entry> = self.bad_entries();
        entries.extend([
            self.named(NEVER_TAKEN),
            self.named(REJECTED),
            self.large("LARGE-1", 4_000_000),
            self.large("LARGE-2", 1_000_000),
            self.unlisted(),
            self.unlisted(),
        ]);
        self.random.shuffle(&mut entries);
        let rest = messages.saturating_sub(entries.len());
        let every = (rest / entries.len().max(1)).max(1);
        self.connection.execute_batch("BEGIN")?;
        for number in 0..rest {
            let entry = self.good();
            self.insert(&entry)?;
            if number % every == 0
                && let Some(entry) = entries.pop()
            {
                self.insert(&entry)?;
            }
        }
        for entry in entries {
            self.insert(&entry)?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    /// A few more good entries, as an application goes on writing.
    pub fn fill_some(&mut self, messages: usize) -> Result<()> {
        self.connection.execute_batch("BEGIN")?;
        for _ in 0..messages {
            let entry = self.good();
            self.insert(&entry)?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Somebody works in the order database.
    pub fn work(&mut self) -> Result<()> {
        orders::work(&self.connection, &mut self.random)
    }

    fn insert(&mut self, entry: &Entry) -> Result<()> {
        insert(&self.connection, entry)?;
        self.written += 1;
        Ok(())
    }

    /// What ION sends: some documents in many variations, in no order, large ones, and some that are wrong.
    pub fn deliveries(&mut self, documents: usize) -> Vec<Parcel> {
        let mut parcels: Vec<Parcel> = (0..documents).map(|number| self.delivery(number)).collect();
        let spoil: [&dyn Fn(&mut Parcel); BAD_DELIVERIES] = [
            &|parcel| parcel.payload = b"ORDER;4711;5;PCE".as_slice().into(),
            &|parcel| parcel.payload.truncate(parcel.payload.len() / 2),
            &|parcel| parcel.parameters.document_name = UNLISTED.to_owned(),
            &|parcel| parcel.parameters.document_name = "Process.Shipment".to_owned(),
            &|parcel| parcel.parameters.to_logical_id = "lid://infor.ims.nobody".to_owned(),
        ];
        for (parcel, spoil) in parcels.iter_mut().zip(spoil) {
            spoil(parcel);
        }
        // A page of them is out of order, as parallel deliveries are.
        for page in parcels.chunks_mut(40) {
            self.random.shuffle(page);
        }
        parcels
    }

    fn delivery(&mut self, number: usize) -> Parcel {
        let (document_name, text) = DOCUMENTS[self.random.usize(..DOCUMENTS.len() - 1)];
        let document_id = format!("IN-{}", self.random.u32(0..60));
        let mut document = text.to_owned();
        for (place, value) in [
            ("{{tenant}}", TENANT),
            ("{{logical_id}}", SENDER),
            ("{{document_id}}", &document_id),
            ("{{variation_id}}", &number.to_string()),
            ("{{entity}}", "AE10"),
            ("{{location}}", "WH1"),
            ("{{created}}", "2026-03-02T08:15:30.120Z"),
        ] {
            document = document.replace(place, value);
        }
        if number.is_multiple_of(100) {
            document += &format!("<!-- {} -->", "x".repeat(500_000));
        }
        let parameters = Parameters {
            document_name: document_name.to_owned(),
            message_id: format!("in-{:016x}", self.random.u64(..)),
            from_logical_id: SENDER.to_owned(),
            to_logical_id: LOGICAL_ID.to_owned(),
            encoding: Encoding::None,
            character_set: "UTF-8".to_owned(),
            document_id: Some(document_id),
            ..Parameters::default()
        };
        Parcel { parameters, payload: document.into() }
    }

    /// The entry of this document has failed.
    pub fn is_failed(&self, document_id: &str) -> Result<bool> {
        Ok(self.connection.query_row(
            "SELECT count(*) FROM bodrelay_message_log WHERE direction = 'out' AND document_id = ?1 AND state = 'failed'",
            [document_id],
            |row| row.get::<_, i64>(0),
        )? > 0)
    }

    /// Every row that can be done is done, and the log says so.
    pub fn is_done(&self) -> Result<bool> {
        let (open, unlogged): (i64, i64) = self.connection.query_row(
            "SELECT count(*) FILTER (WHERE C_WAS_PROCESSED = 0),
                    count(*) FILTER (WHERE C_WAS_PROCESSED <> 0) -
                    (SELECT count(DISTINCT entry_id) FROM bodrelay_message_log
                      WHERE direction = 'out' AND state IN ('accepted', 'failed'))
               FROM COR_OUTBOX_ENTRY",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(open == 2 && unlogged == 0 && orders::is_done(&self.connection)?)
    }

    fn good(&mut self) -> Entry {
        let (document_type, text) = DOCUMENTS[self.random.usize(..DOCUMENTS.len() - 1)];
        let document_id = format!("D-{}", self.random.u32(0..150));
        let mut entry = self.entry(document_type, text, &document_id);
        if self.random.u8(0..10) == 0 {
            deflate(&mut entry);
        }
        entry
    }

    fn named(&mut self, document_id: &str) -> Entry {
        self.entry(DOCUMENTS[0].0, DOCUMENTS[0].1, document_id)
    }

    fn unlisted(&mut self) -> Entry {
        let (document_type, text) = DOCUMENTS[DOCUMENTS.len() - 1];
        self.entry(document_type, text, "COUNT-1")
    }

    /// A large document that is stored deflated.
    fn large(&mut self, document_id: &str, bytes: usize) -> Entry {
        let mut entry = self.named(document_id);
        entry.pad(bytes);
        deflate(&mut entry);
        entry
    }

    fn entry(&mut self, document_type: &str, text: &str, document_id: &str) -> Entry {
        let variation = (self.written + 1).to_string();
        let mut document = text.to_owned();
        for (place, value) in [
            ("{{tenant}}", TENANT),
            ("{{logical_id}}", LOGICAL_ID),
            ("{{document_id}}", document_id),
            ("{{variation_id}}", &variation),
            ("{{entity}}", "AE10"),
            ("{{location}}", "WH1"),
            ("{{created}}", "2026-03-02T08:15:30.120Z"),
        ] {
            document = document.replace(place, value);
        }
        let to = if document_type.starts_with("Acknowledge") {
            "lid://infor.ims.webshop"
        } else {
            "lid://default"
        };
        let message_id = format!("demo-{:016x}", self.random.u64(..));
        let headers = [
            ("TenantId", TENANT),
            ("MessageId", &message_id),
            ("BODType", document_type),
            ("FromLogicalId", LOGICAL_ID),
            ("ToLogicalId", to),
            ("CreationDateTime", "2026-03-02T08:15:30.120Z"),
            ("DocumentId", document_id),
        ];
        Entry {
            payload: Some(document.into_bytes()),
            headers: headers.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            priority: self.random.i64(0..10),
        }
    }

    /// One entry for each thing that can be wrong.
    fn bad_entries(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bad = |site: &mut Self, code: FailureCode, spoil: &dyn Fn(&mut Entry)| {
            let mut entry = site.named(&format!("BAD-{}", entries.len()));
            spoil(&mut entry);
            *site.expected.entry(code.as_str()).or_default() += 1;
            entries.push(entry);
        };
        bad(self, FailureCode::EmptyPayload, &|entry| entry.payload = None);
        bad(self, FailureCode::EmptyPayload, &|entry| entry.payload = Some(Vec::new()));
        bad(self, FailureCode::NotXml, &|entry| entry.payload = Some(b"ORDER;4711;5;PCE".to_vec()));
        bad(self, FailureCode::XmlCutOff, &|entry| entry.edit(|text| text[..text.len() / 2].to_owned()));
        bad(self, FailureCode::DtdNotAllowed, &|entry| {
            entry.edit(|text| {
                text.replacen("<SyncItemMaster", "<!DOCTYPE x [<!ENTITY e \"e\">]><SyncItemMaster", 1)
            });
        });
        bad(self, FailureCode::DtdNotAllowed, &|entry| {
            entry.edit(|text| text.replacen("<DataArea>", "<DataArea><!ENTITY e \"e\">", 1));
        });
        bad(self, FailureCode::NotUtf8, &|entry| {
            if let Some(payload) = &mut entry.payload {
                let middle = payload.len() / 2;
                payload.insert(middle, 0xFF);
            }
        });
        bad(self, FailureCode::TwoNounTypes, &|entry| {
            entry.edit(|text| text.replacen("</DataArea>", "<SalesOrder/></DataArea>", 1));
        });
        bad(self, FailureCode::RootMismatch, &|entry| {
            entry.edit(|text| text.replace("SyncItemMaster", "SyncItemMasters"));
        });
        bad(self, FailureCode::BodTypeContradicts, &|entry| entry.set("BODType", "Sync.SalesOrder"));
        bad(self, FailureCode::HeaderMissing, &|entry| entry.headers.retain(|(key, _)| key != "ToLogicalId"));
        bad(self, FailureCode::NoHeaders, &|entry| entry.headers.clear());
        bad(self, FailureCode::ForeignNamespace, &|entry| {
            entry.edit(|text| {
                text.replace("http://schema.infor.com/InforOAGIS/2", "http://www.example.com/other")
            });
        });
        for element in ["<Sync", "<ItemMaster"] {
            bad(self, FailureCode::ForeignNamespace, &|entry| {
                // The first of this name that is not the root's.
                entry.edit(|text| {
                    let area = text.find("<DataArea>").unwrap_or_default();
                    let (head, rest) = text.split_at(area);
                    head.to_owned()
                        + &rest.replacen(
                            element,
                            &format!("{element} xmlns=\"http://www.example.com/other\""),
                            1,
                        )
                });
            });
        }
        bad(self, FailureCode::LogicalIdMalformed, &|entry| entry.set("FromLogicalId", "infor.ims.demo"));
        bad(self, FailureCode::DoesNotInflate, &|entry| entry.set("Compression", "DEFLATE"));
        bad(self, FailureCode::TooLarge, &|entry| entry.pad(MAX_BYTES + 1));
        bad(self, FailureCode::TooLarge, &|entry| {
            entry.pad(MAX_BYTES + 1);
            deflate(entry);
        });
        bad(self, FailureCode::IdTooLong, &|entry| entry.set("RevisionId", &"R".repeat(23)));
        bad(self, FailureCode::TooManyCustomHeaders, &|entry| {
            for number in 1..=4 {
                entry.set(&format!("Custom_Field{number}"), "x");
            }
        });
        let (document_type, text) = DOCUMENTS[1];
        let mut contradicting = self.entry(document_type, text, "BAD-CONTRADICTS");
        contradicting.set("DocumentId", "ANOTHER");
        entries.push(contradicting);
        *self.expected.entry(FailureCode::HeaderContradicts.as_str()).or_default() += 1;
        // Two rows with one id: the first is sent, the second fails.
        entries.push(self.with_message_id("demo-twice"));
        entries.push(self.with_message_id("demo-twice"));
        *self.expected.entry(FailureCode::MessageIdReused.as_str()).or_default() += 1;
        *self.expected.entry(FailureCode::ForThisDocumentOnly.as_str()).or_default() += 1;
        *self.expected.entry("HTTP_400").or_default() += 1;
        entries
    }

    fn with_message_id(&mut self, message_id: &str) -> Entry {
        let document_id = format!("TWICE-{}", self.random.u16(..));
        let mut entry = self.named(&document_id);
        entry.set("MessageId", message_id);
        entry
    }
}

impl Entry {
    fn set(&mut self, key: &str, value: &str) {
        self.headers.retain(|(known, _)| known != key);
        self.headers.push((key.to_owned(), value.to_owned()));
    }

    fn edit(&mut self, change: impl Fn(&str) -> String) {
        if let Some(payload) = &mut self.payload {
            *payload = change(&String::from_utf8_lossy(payload)).into_bytes();
        }
    }

    /// Makes the document this long, by a comment that does not deflate to nothing.
    fn pad(&mut self, bytes: usize) {
        if let Some(payload) = &mut self.payload {
            payload.extend_from_slice(b"<!-- ");
            let mut number: u64 = 1;
            while payload.len() + 4 < bytes {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                payload.extend_from_slice(format!("{number:x} ").as_bytes());
            }
            payload.extend_from_slice(b"-->");
        }
    }
}

/// As an application does that saves room: zlib, and the header that says so.
fn deflate(entry: &mut Entry) {
    if let Some(payload) = &entry.payload {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        // Writing into memory does not fail.
        if encoder.write_all(payload).is_ok()
            && let Ok(deflated) = encoder.finish()
        {
            entry.payload = Some(deflated);
            entry.set("Compression", "DEFLATE");
        }
    }
}

fn insert(connection: &Connection, entry: &Entry) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO COR_OUTBOX_ENTRY (C_XML, C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME,
                 C_WAS_PROCESSED) VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%d %H:%M:%f', 'now'), 0)",
        )?
        .execute(params![entry.payload, TENANT, LOGICAL_ID, entry.priority])?;
    let entry_id = connection.last_insert_rowid();
    let mut header = connection.prepare_cached(
        "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (?1, ?2, ?3)",
    )?;
    for (key, value) in &entry.headers {
        header.execute(params![entry_id, key, value])?;
    }
    Ok(())
}
