//! The contract of composing on each database: what is read, what the queries may, what one transaction writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bodrelay::config::{DatabaseKind, DatabaseSettings};
use bodrelay::database::compose::{
    BatchRow, ComposedDocument, ComposedEntry, Composition, PartQuery, QueryFailureKind,
};
use bodrelay::database::postgres::Postgres;
use bodrelay::database::sqlite::Sqlite;
use bodrelay::database::statements::scripts;
use bodrelay::database::{Database, try_queries};
use bodrelay::domain::change::Action;
use bodrelay::domain::plan::{ConnectionPoint, Plan, Surroundings};
use bodrelay::outbound::{Ask, Preview, preview};

use crate::site::cluster::{self, Cluster};

/// The same contents in a SQLite file and in a PostgreSQL database.
pub struct Two {
    _folder: tempfile::TempDir,
    pub databases: Vec<(&'static str, Arc<dyn Database>)>,
    file: std::path::PathBuf,
    client: tokio_postgres::Client,
}

impl Two {
    pub async fn fresh(setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.db");
        let sqlite = rusqlite::Connection::open(&file).unwrap();
        scripts::numbered(scripts::SQLITE).for_each(|script| sqlite.execute_batch(script).unwrap());
        sqlite.execute_batch(scripts::SQLITE_IOBOX).unwrap();
        let settings = DatabaseSettings {
            path: Some(file.clone()),
            ..DatabaseSettings::of("erp", DatabaseKind::Sqlite)
        };
        let name = Cluster::shared().database().await;
        let client = Cluster::shared().connect(&name).await;
        cluster::install(&client).await;
        client.batch_execute("SET search_path = public, bodrelay").await.unwrap();
        let databases: Vec<(&'static str, Arc<dyn Database>)> = vec![
            ("sqlite", Arc::new(Sqlite::new(&settings))),
            ("postgres", Arc::new(Postgres::new(&Cluster::shared().settings(&name), "h1"))),
        ];
        let two = Self { _folder: folder, databases, file, client };
        two.exec(setup).await;
        two
    }

    /// Runs SQL that both understand.
    pub async fn exec(&self, sql: &str) {
        rusqlite::Connection::open(&self.file).unwrap().execute_batch(sql).unwrap();
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// The rows of a query on the database of this name, as text.
    pub async fn rows(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        if database == "postgres" {
            return cluster::rows(&self.client, sql).await;
        }
        let connection = rusqlite::Connection::open(&self.file).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let value = |column| match row.get::<_, rusqlite::types::Value>(column)? {
                rusqlite::types::Value::Null => Ok("NULL".to_owned()),
                rusqlite::types::Value::Integer(number) => Ok(number.to_string()),
                rusqlite::types::Value::Text(text) => Ok(text),
                other => Ok(format!("{other:?}")),
            };
            (0..columns).map(value).collect::<rusqlite::Result<Vec<String>>>()
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    pub async fn point(&self, database: &dyn Database) -> ConnectionPoint {
        let tables = database.control_read().await.unwrap();
        let ions = BTreeMap::from([("default".to_owned(), "ACME_TST".to_owned())]);
        let mut plan = Plan::read(&tables, &Surroundings { location: "PLANT1", ions: &ions });
        plan.connection_points.remove("CP").unwrap_or_else(|| panic!("{:?}", plan.refused))
    }

    pub async fn previews(
        &self,
        verb: &str,
        noun: &str,
        document_id: &str,
        action: &str,
    ) -> Vec<(&'static str, Preview)> {
        let ask = Ask {
            verb: verb.into(),
            noun: noun.into(),
            document_id: document_id.into(),
            accounting_entity: "100".into(),
            document_location: String::new(),
            action: Action::parse(action).unwrap(),
        };
        let mut previews = Vec::new();
        for (name, database) in &self.databases {
            let point = self.point(database.as_ref()).await;
            previews.push((*name, preview(database.as_ref(), &point, &ask).await.unwrap()));
        }
        previews
    }
}

const POINT: &str = "
    INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, source_kind, send_mode)
    VALUES ('CP', 'PLANT1', 'ACME_TST', 'lid://acme.erp.plant1', 'rows', 'on');
    INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ('CP', 'out', 'Sync', 'Order');
    CREATE TABLE orders (id VARCHAR(20) PRIMARY KEY, n INTEGER);
    INSERT INTO orders VALUES ('A', 1), ('B', 0);";

fn batch() -> Vec<BatchRow> {
    let row = |document_no, id: &str| BatchRow {
        document_no,
        document_id: id.into(),
        accounting_entity: String::new(),
        document_location: String::new(),
        action_code: "Replace",
        variation_id: 5,
    };
    vec![row(1, "A"), row(2, "B")]
}

fn query(text: &str) -> PartQuery {
    PartQuery { part_no: 0, query_text: text.into(), timeout_seconds: 20, max_rows: 1000 }
}

fn change(document_id: &str) -> String {
    format!(
        "INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('CP', 'Order', '{document_id}');"
    )
}

fn composition(change_ids: &[i64], variation_id: i64) -> Composition {
    Composition {
        connection_point: "CP".into(),
        tenant_id: "ACME_TST".into(),
        logical_id: "lid://acme.erp.plant1".into(),
        documents: vec![ComposedDocument {
            document_key: "key-a".into(),
            variation_id,
            priority: 7,
            entries: vec![ComposedEntry {
                document: "<x>ü</x>".as_bytes().into(),
                headers: vec![("TenantId", "ACME_TST".into()), ("DocumentId", "ü".into())],
            }],
            change_ids: change_ids.to_vec(),
        }],
        refused: Vec::new(),
    }
}

#[tokio::test]
async fn one_transaction_writes_all_or_nothing() {
    let two = Two::fresh(POINT).await;
    two.exec(&[change("A"), change("A"), change("B"), change("A")].concat()).await;
    for (name, database) in &two.databases {
        let read = database.change_read("CP", 0, 2).await.unwrap();
        assert_eq!(read.iter().map(|it| it.change_id).collect::<Vec<_>>(), [1, 2], "{name}");
        assert_eq!((read[0].action_code.as_str(), read[0].priority), ("Replace", 4));
        let all = database.change_read_of_documents("CP", &["A".into()], 100).await.unwrap();
        assert_eq!(all.iter().map(|it| it.change_id).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(database.change_read("CP", 2, 100).await.unwrap().len(), 2);
        assert_eq!(database.change_read("other", 0, 100).await.unwrap().len(), 0);

        // A change that somebody else took meanwhile: nothing is written.
        let refused = Composition { refused: vec![(99, "x".into())], ..composition(&[1, 2], 10) };
        assert!(!database.compose_write(&refused).await.unwrap(), "{name}");
        assert!(!database.compose_write(&composition(&[1, 2, 77], 10)).await.unwrap(), "{name}");
        let counts = "SELECT (SELECT count(*) FROM cor_outbox_entry), (SELECT count(*) FROM cor_outbox_headers), \
                      (SELECT count(*) FROM bodrelay_variation), (SELECT count(*) FROM bodrelay_change WHERE was_processed <> 0)";
        assert_eq!(two.rows(name, counts).await, [["0", "0", "0", "0"]]);

        let whole = Composition { refused: vec![(3, "why".into())], ..composition(&[1, 2], 10) };
        assert!(database.compose_write(&whole).await.unwrap(), "{name}");
        assert_eq!(two.rows(name, counts).await, [["1", "2", "1", "3"]]);
        let entry_id: i64 =
            two.rows(name, "SELECT max(c_id) FROM cor_outbox_entry").await[0][0].parse().unwrap();
        let marks = "SELECT change_id, was_processed, entry_id - (SELECT max(c_id) FROM cor_outbox_entry), refused_reason \
                     FROM bodrelay_change ORDER BY change_id";
        let expected = [
            ["1", "1", "0", "NULL"],
            ["2", "1", "0", "NULL"],
            ["3", "9", "NULL", "why"],
            ["4", "0", "NULL", "NULL"],
        ];
        assert_eq!(two.rows(name, marks).await, expected, "{name}: the fourth came later and still waits");

        let entry = &database.outbox_load(&[entry_id], 10_000).await.unwrap().entries[0];
        assert_eq!(&entry.payload.as_ref().unwrap().bytes[..], "<x>ü</x>".as_bytes());
        assert_eq!((entry.priority, entry.was_processed), (7, 0));
        assert!(entry.created_at.is_some(), "{name}: {}", entry.created);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(entry.headers, [pair("TenantId", "ACME_TST"), pair("DocumentId", "ü")]);

        let keys = ["key-a".to_owned(), "key-b".to_owned()];
        let known = database.variation_read(&keys).await.unwrap().rows;
        assert_eq!((known.len(), known[0].last_variation, known[0].is_open), (1, 10, true), "{name}");
        // The same version again is somebody else's.
        assert!(!database.compose_write(&composition(&[4], 10)).await.unwrap(), "{name}");
        assert!(database.compose_write(&composition(&[4], 11)).await.unwrap(), "{name}");
    }
    two.exec("UPDATE cor_outbox_entry SET c_was_processed = 1").await;
    for (name, database) in &two.databases {
        let known = database.variation_read(&["key-a".to_owned()]).await.unwrap().rows;
        assert_eq!((known[0].last_variation, known[0].is_open), (11, false), "{name}");
        let old = database.change_purge("CP", "2020-01-01T00:00:00Z".parse().unwrap(), 100).await.unwrap();
        let all = database.change_purge("CP", "2090-01-01T00:00:00Z".parse().unwrap(), 100).await.unwrap();
        assert_eq!((old, all), (0, 3), "{name}: what was refused stays");
    }
    two.exec("INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('Cp', 'Order', 'A')")
        .await;
    for (name, database) in &two.databases {
        assert_eq!(database.change_strays().await.unwrap(), [("Cp".to_owned(), 1)], "{name}");
    }
}

#[tokio::test]
async fn queries_only_read_and_are_bounded() {
    let two = Two::fresh(POINT).await;
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT b.document_no, n.i AS \"I\" FROM bodrelay_batch AS b CROSS JOIN n WHERE n.i < 0";
    for (name, database) in &two.databases {
        let run = async |query: PartQuery| {
            database.compose_rows(&batch(), &[query]).await.unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let good = run(query("SELECT b.document_no, o.n AS \"N\" FROM bodrelay_batch b JOIN orders o ON o.id = b.document_id ORDER BY 1")).await.unwrap();
        assert_eq!(
            (good[0].columns.join(" "), good[0].rows.len()),
            ("document_no N".to_owned(), 2),
            "{name}"
        );
        for (text, why) in [
            ("DELETE FROM orders", "begins with DELETE"),
            ("SELECT 1; SELECT 2", "semicolon"),
            ("SELEC 1", "begins with SELEC"),
            ("SELECT no_such FROM orders", "no_such"),
            ("SELECT * FROM nowhere", "nowhere"),
        ] {
            let failure = run(query(text)).await.unwrap_err();
            assert_eq!(failure.kind, QueryFailureKind::Wrong, "{name}: {text}: {failure:?}");
            assert!(failure.what.contains(why), "{name}: {}", failure.what);
        }
        let limited = PartQuery { max_rows: 1, ..query("SELECT document_no FROM bodrelay_batch") };
        let failure = run(limited).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.what.contains("max_rows")),
            (QueryFailureKind::TooMuch, true),
            "{name}"
        );
        let failure = run(PartQuery { timeout_seconds: 1, ..query(endless) }).await.unwrap_err();
        assert_eq!(failure.kind, QueryFailureKind::TimedOut, "{name}: {failure:?}");
        assert!(failure.what.contains("timeout_seconds"), "{name}: {}", failure.what);
        // And goes on.
        assert!(run(query("SELECT document_no FROM bodrelay_batch")).await.is_ok(), "{name}");
    }
    let (name, postgres) = &two.databases[1];
    let run = async |text: &str| postgres.compose_rows(&batch(), &[query(text)]).await.unwrap();
    // What the text does not show, the READ ONLY transaction forbids.
    two.client
        .batch_execute(
            "CREATE FUNCTION public.sly() RETURNS int LANGUAGE sql AS 'DELETE FROM orders RETURNING 1'",
        )
        .await
        .unwrap();
    let failure = run("SELECT document_no, public.sly() AS \"A\" FROM bodrelay_batch").await.unwrap_err();
    assert!(failure.what.contains("read-only"), "{failure:?}");
    assert_eq!(two.rows(name, "SELECT count(*) FROM orders").await, [["2"]]);
    let failure = run("SELECT document_no, 1 / n AS \"A\" FROM bodrelay_batch, orders").await.unwrap_err();
    assert_eq!((failure.kind, failure.what.contains("zero")), (QueryFailureKind::Data, true));
    let failure = run("SELECT document_no, ARRAY[1] AS \"A\" FROM bodrelay_batch").await.unwrap_err();
    assert!(failure.what.contains("cast it"), "{failure:?}");
    let long = "x".repeat(70);
    let failure = run(&format!("SELECT document_no, 1 AS \"{long}\" FROM bodrelay_batch")).await.unwrap_err();
    assert!(failure.what.contains("63 bytes"), "{failure:?}");
}

#[tokio::test]
async fn wrong_queries_are_named_before_they_are_needed() {
    let two = Two::fresh(POINT).await;
    two.exec(
        "INSERT INTO bodrelay_document_query (connection_point, noun, part_no, query_text)
         VALUES ('CP', 'Order', 0, 'SELECT document_no, 1 AS \"A\", 2 AS \"A\" FROM bodrelay_batch'),
            ('CP', 'Stranger', 0, 'SELECT document_no FROM bodrelay_batch')",
    )
    .await;
    for (name, database) in &two.databases {
        let point = two.point(database.as_ref()).await;
        let checked = async || {
            let queries = database.query_read("CP").await.unwrap();
            try_queries(database.as_ref(), &point, &queries).await.unwrap()
        };
        let found = checked().await;
        let reason = |place: usize| found[place].refused_reason.clone().unwrap_or_default();
        assert!(reason(0).contains("column 'A': has the place of an earlier column"), "{name}: {found:?}");
        assert!(reason(1).contains("no row of direction 'out' for *.Stranger"), "{name}: {found:?}");
        database.query_checked("CP", &found).await.unwrap();
        let shown = "SELECT count(*) FROM bodrelay_document_query WHERE checked_at IS NOT NULL AND refused_reason IS NOT NULL";
        assert_eq!(two.rows(name, shown).await, [["2"]], "{name}");
    }
    for (text, why) in [
        ("SELECT 1 AS \"A\"", "document_no is missing"),
        ("SELECT 1 AS document_no, 1 AS \"AB\"", "gives rows although the batch is empty"),
        ("SELECT document_no, 1 AS \"A B\" FROM bodrelay_batch", "'A B' is not the name"),
        ("SELECT document_no, 1 AS \"A/B\", 2 AS \"C\", 3 AS \"A/D\" FROM bodrelay_batch", "opens A again"),
        ("SELECT document_no, gone AS \"A\" FROM bodrelay_batch", "gone"),
    ] {
        let text = text.replace('\'', "''");
        two.exec(&format!("UPDATE bodrelay_document_query SET query_text = '{text}' WHERE noun = 'Order'"))
            .await;
        for (name, database) in &two.databases {
            let point = two.point(database.as_ref()).await;
            let queries = database.query_read("CP").await.unwrap();
            let found = try_queries(database.as_ref(), &point, &queries).await.unwrap();
            let reason = found[0].refused_reason.clone().unwrap_or_default();
            assert!(reason.contains(why), "{name}: {text}: {reason}");
        }
    }
}

/// Whatever the application's trigger writes, its own transaction goes on; what cannot be used is read all the same.
#[tokio::test]
async fn no_mark_breaks_the_business_transaction() {
    let two = Two::fresh(POINT).await;
    two.exec("CREATE TABLE parts (id text, noun text, place text)").await;
    let values = "(connection_point, verb, noun, document_id, accounting_entity, document_location, action_code, priority, \
                  created_at, was_processed)";
    let row = "'CP', new.place, new.noun, new.id, new.place, new.place, new.place, NULL, NULL, NULL";
    rusqlite::Connection::open(&two.file)
        .unwrap()
        .execute_batch(&format!(
            "CREATE TRIGGER mark AFTER INSERT ON parts BEGIN INSERT INTO bodrelay_change {values} SELECT {row}; END"
        ))
        .unwrap();
    two.client
        .batch_execute(&format!(
            "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO bodrelay_change {values} \
             VALUES ({row}); RETURN NULL; END $$; \
             CREATE TRIGGER mark AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION mark()"
        ))
        .await
        .unwrap();
    let long = "x".repeat(5_000);
    two.exec(&format!(
        "INSERT INTO parts VALUES (NULL, 'Order', NULL), ('A', 'Order', NULL), ('{long}', 'Order', NULL), \
         ('B', NULL, NULL), ('C', '{long}', '{long}')"
    ))
    .await;
    two.exec("INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES (NULL, NULL, NULL)")
        .await;
    for (name, database) in &two.databases {
        assert_eq!(two.rows(name, "SELECT count(*) FROM parts").await, [["5"]], "{name}");
        let read = database.change_read("CP", 0, 100).await.unwrap();
        let seen: Vec<_> =
            read.iter().map(|it| (it.document_id.len().min(400), it.noun.len().min(400))).collect();
        assert_eq!(seen, [(0, 5), (1, 5), (400, 5), (1, 0), (1, 400)], "{name}");
        assert_eq!(
            (read[1].verb.as_str(), read[1].action_code.as_str(), read[1].priority),
            ("Sync", "Replace", 4)
        );
        let ids: Vec<String> = read.iter().map(|it| it.document_id.clone()).collect();
        assert_eq!(database.change_read_of_documents("CP", &ids, 100).await.unwrap(), read, "{name}");
        let (folded, unfit) = bodrelay::domain::change::fold(&read);
        let unfit: Vec<_> = unfit.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(folded.len(), 2, "{name}: {folded:?}");
        assert!(
            unfit[0].contains("document_id is empty") && unfit[1].contains("document_id has"),
            "{unfit:?}"
        );
        assert_eq!(database.change_strays().await.unwrap(), [(String::new(), 1)], "{name}");
    }
}

/// A value that cannot be read refuses its row, in the server's words; the others come as ever.
#[tokio::test]
async fn a_bad_cell_refuses_its_change_or_query_only() {
    let name = Cluster::shared().database_in("WIN1252").await;
    let client = Cluster::shared().connect(&name).await;
    cluster::install(&client).await;
    let marks = "INSERT INTO bodrelay.bodrelay_change (connection_point, noun, document_id) VALUES ('CP', 'Order', 'é'), \
                 ('CP', 'Order', 'B' || chr(129)), ('CP', 'Order', 'C'), ('CP', 'Order' || chr(141), 'C')";
    client.batch_execute(marks).await.unwrap();
    let database = Postgres::new(&Cluster::shared().settings(&name), "h1");
    let read = database.change_read("CP", 0, 100).await.unwrap();
    let seen: Vec<_> = read.iter().map(|it| (it.change_id, it.unreadable.is_some())).collect();
    assert_eq!(seen, [(1, false), (2, true), (3, false), (4, true)]);
    assert_eq!(read[0].document_id, "é");
    let (folded, unfit) = bodrelay::domain::change::fold(&read);
    assert_eq!((folded.len(), unfit[0].change_id), (2, 2));
    assert!(unfit[0].reason.contains("in change_read, the server says: "), "{unfit:?}");
    assert!(database.change_read_of_documents("CP", &["C".into()], 100).await.unwrap().is_empty());

    let two = Two::fresh(POINT).await;
    let query = |part: i64| {
        format!(
            "INSERT INTO bodrelay_document_query (connection_point, noun, part_no, element_path, query_text) \
             VALUES ('CP', 'Order', {part}, 'x', 'SELECT document_no FROM bodrelay_batch');"
        )
    };
    two.exec(&[query(0), query(1), change("A"), change("B")].concat()).await;
    let sqlite = rusqlite::Connection::open(&two.file).unwrap();
    sqlite
        .execute_batch(
            "PRAGMA ignore_check_constraints = 1; UPDATE bodrelay_document_query SET max_rows = 'many' WHERE part_no = 1; \
             UPDATE bodrelay_change SET priority = 'high' WHERE document_id = 'A'",
        )
        .unwrap();
    let database = &two.databases[0].1;
    let point = two.point(database.as_ref()).await;
    let queries = database.query_read("CP").await.unwrap();
    let found = try_queries(database.as_ref(), &point, &queries).await.unwrap();
    let reasons: Vec<_> = found.iter().map(|it| it.refused_reason.clone().unwrap_or_default()).collect();
    assert!(
        reasons[0].is_empty() && reasons[1].contains("max_rows holds no whole number ('many')"),
        "{reasons:?}"
    );
    let (folded, unfit) = bodrelay::domain::change::fold(&database.change_read("CP", 0, 100).await.unwrap());
    assert_eq!((folded.len(), unfit.len()), (1, 1));
    assert!(unfit[0].reason.contains("priority holds no whole number ('high')"), "{unfit:?}");
}
