//! Outboxes full of entries, on SQLite and on PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bodrelay::database::statements::scripts;
use rusqlite::{Connection, params};

use super::Anyhow;
use super::cluster::{self, Cluster};

/// What an outbox is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    pub entries: usize,
    /// Documents (lanes) that the entries are versions of.
    pub documents: usize,
    /// Of one document.
    pub bytes: usize,
    /// `all` or `problems`.
    pub log_messages: &'static str,
    /// What the ids of documents and messages begin with.
    pub name: &'static str,
    /// The documents end in their middle: none can be sent.
    pub broken: bool,
}

impl Fill {
    /// What most lines of the table are measured with: 4 KB, 5,000 documents.
    pub fn usual(entries: usize, log_messages: &'static str) -> Self {
        Self { entries, documents: 5_000, bytes: 3_980, log_messages, name: "IT", broken: false }
    }

    fn document_id(&self, number: usize) -> String {
        format!("{}-{}", self.name, number % self.documents)
    }

    fn variation(&self, number: usize) -> String {
        (number / self.documents + 1).to_string()
    }

    fn document(&self, number: usize) -> Vec<u8> {
        let mut text = document(&self.document_id(number), &self.variation(number), self.bytes);
        if self.broken {
            text.truncate(self.bytes / 2);
        }
        text.into_bytes()
    }

    pub fn message_id(&self, number: usize) -> String {
        format!("{}-{}-{number}", if self.broken { "broken" } else { "bench" }, self.name)
    }

    fn headers(&self, number: usize) -> [(&'static str, String); 10] {
        [
            ("TenantId", "DEMO_TST".into()),
            ("MessageId", self.message_id(number)),
            ("BODType", "Sync.ItemMaster".into()),
            ("FromLogicalId", "lid://infor.ims.bench".into()),
            ("ToLogicalId", "lid://default".into()),
            ("CreationDateTime", "2026-03-02T08:15:30.120Z".into()),
            ("DocumentId", self.document_id(number)),
            ("AccountingEntity", "AE10".into()),
            ("Location", "WH1".into()),
            ("VariationId", self.variation(number)),
        ]
    }
}

/// Where the entries are.
pub trait Outbox {
    fn execute(&self, sql: &str) -> Anyhow<()>;
    /// The first value of a query.
    fn number(&self, sql: &str) -> Anyhow<i64>;
    /// The connection point, where it is not there yet, and the entries.
    fn fill(&self, fill: Fill) -> Anyhow<()>;
    /// What a server does by itself in the hours after so many rows.
    fn settle(&self) -> Anyhow<()>;
    /// The connection keys of `[[database]]`.
    fn keys(&self) -> String;

    fn connection_point(&self, name: &str, log_messages: &str) -> Anyhow<()> {
        self.execute(&connection_point_sql(name, log_messages))
    }

    /// How many rows carry flag 1.
    fn done(&self) -> Anyhow<i64> {
        self.number("SELECT count(*) FROM cor_outbox_entry WHERE c_was_processed = 1")
    }

    /// Rows that were sent long ago, small ones.
    fn add_processed(&self, rows: usize) -> Anyhow<()> {
        self.execute(&format!(
            "INSERT INTO cor_outbox_entry (c_xml, c_tenant_id, c_logical_id, c_message_priority, c_created_date_time,
                 c_was_processed)
             WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < {rows})
             SELECT '<x/>', 'DEMO_TST', 'lid://infor.ims.bench', 4, '2026-03-01 08:15:30.120', 1 FROM rows"
        ))?;
        self.settle()
    }
}

pub struct SqliteOutbox(PathBuf);

impl SqliteOutbox {
    /// `site.db` in a folder, with its tables.
    pub fn new(folder: &Path) -> Anyhow<Self> {
        let outbox = Self(folder.join("site.db"));
        let connection = outbox.open()?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(scripts::SQLITE_IOBOX)?;
        for script in scripts::numbered(scripts::SQLITE) {
            connection.execute_batch(script)?;
        }
        Ok(outbox)
    }

    fn open(&self) -> Anyhow<Connection> {
        let connection = Connection::open(&self.0)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }
}

impl Outbox for SqliteOutbox {
    fn execute(&self, sql: &str) -> Anyhow<()> {
        Ok(self.open()?.execute_batch(sql)?)
    }

    fn number(&self, sql: &str) -> Anyhow<i64> {
        Ok(self.open()?.query_row(sql, [], |row| row.get(0))?)
    }

    fn fill(&self, fill: Fill) -> Anyhow<()> {
        self.connection_point("bench", fill.log_messages)?;
        let mut connection = self.open()?;
        let transaction = connection.transaction()?;
        {
            let mut entry = transaction.prepare(
                "INSERT INTO COR_OUTBOX_ENTRY (C_XML, C_TENANT_ID, C_LOGICAL_ID, C_MESSAGE_PRIORITY,
                     C_CREATED_DATE_TIME, C_WAS_PROCESSED)
                 VALUES (?1, 'DEMO_TST', 'lid://infor.ims.bench', 4, '2026-03-02 08:15:30.120', 0)",
            )?;
            let mut header = transaction.prepare(
                "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (?1, ?2, ?3)",
            )?;
            for number in 0..fill.entries {
                entry.execute([fill.document(number)])?;
                let id = transaction.last_insert_rowid();
                for (key, value) in fill.headers(number) {
                    header.execute(params![id, key, value])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn settle(&self) -> Anyhow<()> {
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn keys(&self) -> String {
        format!("kind = \"sqlite\"\npath = {:?}\n", self.0)
    }
}

pub struct PostgresOutbox {
    pub runtime: tokio::runtime::Runtime,
    pub client: tokio_postgres::Client,
    database: String,
}

impl PostgresOutbox {
    /// An empty database of its own, on a server that writes to the disk as servers do.
    pub fn new() -> Anyhow<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cluster = Cluster::shared();
        let (client, database) = runtime.block_on(async {
            let database = cluster.database().await;
            let client = cluster.connect(&database).await;
            for durable in ["fsync", "full_page_writes", "synchronous_commit"] {
                client.batch_execute(&format!("ALTER SYSTEM SET {durable} = on")).await?;
            }
            client.batch_execute("SELECT pg_reload_conf()").await?;
            cluster::install(&client).await;
            Ok::<_, anyhow::Error>((client, database))
        })?;
        Ok(Self { runtime, client, database })
    }

    /// So many waiting rows, made by the server: documents of half a KB, 5,000 of them, with the headers that are needed.
    pub fn add_waiting(&self, rows: usize) -> Anyhow<()> {
        let document = document("IT-@", "1", 500).replace('\'', "''");
        self.execute(&format!(
            "INSERT INTO cor_outbox_entry (c_xml, c_tenant_id, c_logical_id, c_message_priority, c_created_date_time,
                 c_was_processed)
             SELECT convert_to(replace('{document}', 'IT-@', 'IT-' || n % 5000), 'UTF8'), 'DEMO_TST',
                    'lid://infor.ims.bench', 4, '2026-03-02 08:15:30.120', 0
               FROM generate_series(1, {rows}) AS n;
             INSERT INTO cor_outbox_headers (c_outbox_id, c_header_key, c_header_value)
             SELECT n, h.key, replace(h.value, '@', n::text)
               FROM generate_series(1, {rows}) AS n,
                    (VALUES ('TenantId', 'DEMO_TST'), ('MessageId', 'bench-@'), ('BODType', 'Sync.ItemMaster'),
                            ('FromLogicalId', 'lid://infor.ims.bench'), ('ToLogicalId', 'lid://default')) AS h (key, value)
              ORDER BY n;
             ANALYZE; CHECKPOINT"
        ))
    }

    /// Entries from `numbers`, in the transaction that is open, if one is.
    pub async fn insert(&self, fill: &Fill, numbers: std::ops::Range<usize>) -> Anyhow<()> {
        let documents: Vec<Vec<u8>> = numbers.clone().map(|number| fill.document(number)).collect();
        let rows = self
            .client
            .query(
                "INSERT INTO cor_outbox_entry (c_xml, c_tenant_id, c_logical_id, c_message_priority,
                     c_created_date_time, c_was_processed)
                 SELECT xml, 'DEMO_TST', 'lid://infor.ims.bench', 4, '2026-03-02 08:15:30.120', 0
                   FROM unnest($1::bytea[]) AS given (xml) RETURNING c_id",
                &[&documents],
            )
            .await?;
        let (mut ids, mut keys, mut values) = (Vec::<i64>::new(), Vec::new(), Vec::new());
        for (row, number) in rows.iter().zip(numbers) {
            for (key, value) in fill.headers(number) {
                ids.push(row.get(0));
                keys.push(key);
                values.push(value);
            }
        }
        self.client
            .execute(
                "INSERT INTO cor_outbox_headers (c_outbox_id, c_header_key, c_header_value)
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])",
                &[&ids, &keys, &values],
            )
            .await?;
        Ok(())
    }
}

impl Outbox for PostgresOutbox {
    fn execute(&self, sql: &str) -> Anyhow<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql))?)
    }

    fn number(&self, sql: &str) -> Anyhow<i64> {
        Ok(self.runtime.block_on(self.client.query_one(sql, &[]))?.get(0))
    }

    fn fill(&self, fill: Fill) -> Anyhow<()> {
        self.connection_point("bench", fill.log_messages)?;
        self.runtime.block_on(async {
            for first in (0..fill.entries).step_by(500) {
                self.insert(&fill, first..(first + 500).min(fill.entries)).await?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
        self.execute("ANALYZE; CHECKPOINT")
    }

    fn settle(&self) -> Anyhow<()> {
        for table in ["cor_outbox_entry", "cor_outbox_headers"] {
            self.execute(&format!("VACUUM ANALYZE {table}"))?;
        }
        self.execute("CHECKPOINT")
    }

    fn keys(&self) -> String {
        let cluster = Cluster::shared();
        format!(
            "kind = \"postgres\"\nhost = \"{}\"\nport = {}\ndatabase = \"{}\"\nuser = \"postgres\"\nencrypt = \"off\"\n",
            cluster.folder.display(),
            cluster.port,
            self.database
        )
    }
}

/// A connection point that sends the rows of its logical id, and its one document type.
fn connection_point_sql(name: &str, log_messages: &str) -> String {
    format!(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id,
             source_logical_id, send_mode, parallel_posts, batch_rows, log_messages)
         VALUES ('{name}', 'BENCH', 'DEMO_TST', 'lid://infor.ims.{name}', 'lid://infor.ims.{name}', 'on', 32, 1000,
                 '{log_messages}')
         ON CONFLICT DO NOTHING;
         INSERT INTO bodrelay_document (connection_point, direction, verb, noun)
         VALUES ('{name}', 'out', 'Sync', 'ItemMaster') ON CONFLICT DO NOTHING"
    )
}

/// A document of about so many bytes.
pub fn document(document_id: &str, variation: &str, bytes: usize) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SyncItemMaster xmlns=\"http://schema.infor.com/InforOAGIS/2\" \
         releaseID=\"9.2\"><ApplicationArea><Sender><LogicalID>lid://infor.ims.bench</LogicalID></Sender>\
         <CreationDateTime>2026-03-02T08:15:30.120Z</CreationDateTime><BODID>infor-nid:DEMO_TST:AE10:WH1:{document_id}:\
         ?ItemMaster&amp;verb=Sync&amp;variationID={variation}</BODID></ApplicationArea><DataArea><Sync>\
         <TenantID>DEMO_TST</TenantID><AccountingEntityID>AE10</AccountingEntityID><LocationID>WH1</LocationID>\
         <ActionCriteria><ActionExpression actionCode=\"Replace\"/></ActionCriteria></Sync><ItemMaster><ItemMasterHeader>\
         <DocumentID><ID accountingEntity=\"AE10\" location=\"WH1\" variationID=\"{variation}\">{document_id}</ID></DocumentID>"
    );
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        text.push_str(&format!(
            "\n<Property><NameValue name=\"acme.Attribute{number}\" type=\"StringType\">value {number}</NameValue></Property>"
        ));
    }
    text.push_str("</ItemMasterHeader></ItemMaster></DataArea></SyncItemMaster>");
    text
}
