//! The conformance suite on each database, and what only one of them has.

mod cluster;
mod conformance;
#[path = "databases/listening.rs"]
mod listening;
#[path = "databases/mssql.rs"]
mod mssql;
#[path = "databases/postgres.rs"]
mod postgres;
mod skipped;

mod sqlite {
    use std::path::PathBuf;
    use std::sync::Arc;

    use bodrelay::config::{DatabaseKind, DatabaseSettings};
    use bodrelay::database::sqlite::Sqlite;
    use bodrelay::database::statements::{scripts, sqlite as sql};
    use bodrelay::database::{Database, DatabaseError, Selection, Settle};
    use rusqlite::Connection;
    use rusqlite::types::ValueRef;

    use crate::conformance::{Fixture, ids, log_row, scan_all};

    crate::cases!(SqliteFixture);

    pub struct SqliteFixture {
        path: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl SqliteFixture {
        fn connection(&self) -> Connection {
            Connection::open(&self.path).unwrap()
        }

        fn settings(&self) -> DatabaseSettings {
            DatabaseSettings {
                path: Some(self.path.clone()),
                ..DatabaseSettings::of("erp", DatabaseKind::Sqlite)
            }
        }
    }

    impl Fixture for SqliteFixture {
        type Held = Connection;

        async fn fresh() -> Self {
            let fixture = Self::empty().await;
            fixture.install_control().await;
            fixture.connection().execute_batch(scripts::SQLITE_IOBOX).unwrap();
            fixture
        }

        async fn empty() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let fixture = Self { path: folder.path().join("erp.db"), _folder: folder };
            let mode: String =
                fixture.connection().query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
            fixture
        }

        async fn install_control(&self) {
            scripts::numbered(scripts::SQLITE)
                .for_each(|script| self.connection().execute_batch(script).unwrap());
        }

        async fn run_script(&self, name: &str) {
            let (_, script) = scripts::SQLITE.iter().find(|(other, _)| *other == name).unwrap();
            self.connection().execute_batch(script).unwrap_or_else(|error| panic!("{name}: {error}"));
        }

        async fn install_box_1_0(&self) {
            self.exec(
                "CREATE TABLE COR_OUTBOX_ENTRY (C_ID INTEGER PRIMARY KEY AUTOINCREMENT, C_XML BLOB, \
                 C_TENANT_ID TEXT, C_MESSAGE_PRIORITY INTEGER, C_CREATED_DATE_TIME TEXT, \
                 C_WAS_PROCESSED INTEGER DEFAULT 0); \
                 CREATE TABLE COR_OUTBOX_HEADERS (C_ID INTEGER PRIMARY KEY AUTOINCREMENT, C_OUTBOX_ID INTEGER, \
                 C_HEADER_KEY TEXT, C_HEADER_VALUE TEXT)",
            )
            .await;
        }

        fn open(&self) -> Arc<dyn Database> {
            Arc::new(Sqlite::open(&self.settings()).unwrap())
        }

        async fn try_exec(&self, sql: &str) -> Result<(), String> {
            self.connection().execute_batch(sql).map_err(|error| error.to_string())
        }

        async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
            let connection = self.connection();
            let mut statement = connection.prepare(sql).unwrap();
            let columns = statement.column_count();
            let text = |value: ValueRef<'_>| match value {
                ValueRef::Null => "NULL".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            };
            let rows = statement
                .query_map([], |row| (0..columns).map(|column| Ok(text(row.get_ref(column)?))).collect())
                .unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        }

        async fn hold(&self) -> Connection {
            let connection = self.connection();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            connection
        }

        async fn set_bytes_as_text(&self, column: &str, entry_id: i64, bytes: &[u8]) -> bool {
            let sql = format!("UPDATE COR_OUTBOX_ENTRY SET {column} = CAST(?1 AS TEXT) WHERE C_ID = ?2");
            self.connection().execute(&sql, (bytes, entry_id)).unwrap() == 1
        }
    }

    fn is_unavailable(error: &DatabaseError) -> bool {
        matches!(error, DatabaseError::Unavailable { .. })
    }

    #[tokio::test]
    async fn opens_only_what_is_there() {
        let fixture = SqliteFixture::fresh().await;
        let refused = |path: PathBuf| {
            let error =
                Sqlite::open(&DatabaseSettings { path: Some(path.clone()), ..fixture.settings() }).err();
            error.unwrap_or_else(|| panic!("{} was opened", path.display())).to_string()
        };
        let missing = fixture.path.with_file_name("missing.db");
        assert!(refused(missing.clone()).contains("does not exist"));
        assert!(!missing.exists(), "nothing is created");
        let text = fixture.path.with_file_name("text.db");
        std::fs::write(&text, "this is not a database, however long the text in it may be\n".repeat(100))
            .unwrap();
        assert!(refused(text).contains("is not a SQLite database"));
    }

    #[tokio::test]
    async fn never_changes_the_journal_mode() {
        let fixture = SqliteFixture::fresh().await;
        fixture.exec("PRAGMA journal_mode = DELETE").await;
        let database = fixture.open();
        fixture.insert(&[1]).await;
        database.outbox_settle(&Settle { accepted: vec![1], ..Settle::default() }).await.unwrap();
        assert_eq!(fixture.value("PRAGMA journal_mode").await, "delete");
        assert!(database.survey().await.unwrap().product.ends_with("journal mode delete"));
    }

    #[tokio::test]
    async fn a_replaced_file_is_opened_anew() {
        let fixture = SqliteFixture::fresh().await;
        let database = fixture.open();
        fixture.insert(&[1]).await;
        assert_eq!(ids(&*database, &scan_all()).await, [1]);
        let before = database.survey().await.unwrap().fingerprint;
        let other = SqliteFixture::fresh().await;
        other.insert(&[2]).await;
        other.exec("PRAGMA journal_mode = DELETE").await;
        std::fs::rename(&other.path, &fixture.path).unwrap();
        let error = database.outbox_scan(&scan_all()).await.unwrap_err();
        assert!(is_unavailable(&error), "{error:?}");
        let error = database.outbox_scan(&scan_all()).await.unwrap_err();
        assert!(
            error.to_string().contains("-wal"),
            "the old log would be written into the new file: {error}"
        );
        for end in ["-wal", "-shm"] {
            let mut beside = fixture.path.clone().into_os_string();
            beside.push(end);
            std::fs::remove_file(beside).unwrap();
        }
        assert_eq!(ids(&*database, &scan_all()).await, [2]);
        assert_ne!(database.survey().await.unwrap().fingerprint, before);

        let away = fixture.path.with_extension("away");
        std::fs::rename(&fixture.path, &away).unwrap();
        database.outbox_scan(&scan_all()).await.unwrap_err();
        database.outbox_scan(&scan_all()).await.unwrap_err();
        assert!(!fixture.path.exists(), "nothing is created in its place");
        std::fs::rename(&away, &fixture.path).unwrap();
        assert_eq!(ids(&*database, &scan_all()).await, [2]);
    }

    #[tokio::test]
    async fn a_statement_that_takes_too_long_is_stopped() {
        let fixture = SqliteFixture::fresh().await;
        // A view in the place of the table, whose rows never end.
        fixture
            .exec(
                "DROP TABLE COR_OUTBOX_ENTRY; CREATE VIEW COR_OUTBOX_ENTRY AS \
                 WITH RECURSIVE n (C_ID) AS (SELECT 1 UNION ALL SELECT C_ID + 1 FROM n) \
                 SELECT C_ID, '' AS C_XML, 'T' AS C_TENANT_ID, 'L' AS C_LOGICAL_ID, 4 AS C_MESSAGE_PRIORITY, \
                 '' AS C_CREATED_DATE_TIME, 0 AS C_WAS_PROCESSED FROM n",
            )
            .await;
        let settings = DatabaseSettings { statement_timeout_seconds: 1, ..fixture.settings() };
        let database = Sqlite::open(&settings).unwrap();
        let error = database.outbox_scan(&scan_all()).await.unwrap_err();
        assert!(is_unavailable(&error), "{error:?}");
        assert!(error.to_string().contains("statement_timeout_seconds"), "{error}");
        database.control_read().await.unwrap();
    }

    #[tokio::test]
    async fn created_times_are_read_in_every_form() {
        let fixture = SqliteFixture::empty().await;
        fixture.install_control().await;
        fixture
            .exec(
                "CREATE TABLE COR_OUTBOX_ENTRY (C_ID INTEGER PRIMARY KEY, C_XML, C_TENANT_ID, C_LOGICAL_ID, \
                 C_MESSAGE_PRIORITY, C_CREATED_DATE_TIME, C_WAS_PROCESSED); \
                 CREATE TABLE COR_OUTBOX_HEADERS (C_ID INTEGER PRIMARY KEY, C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE); \
                 INSERT INTO COR_OUTBOX_ENTRY VALUES \
                 (1, 12, 'T', 'L', '7', 1769854830, 0), (2, x'3c782f3e', 'T', 'L', 'high', 2461071.9309027777, 0), \
                 (3, '<x/>', 'T', 'L', 4, '2026-01-31 10:20:30.000', 0); \
                 INSERT INTO COR_OUTBOX_HEADERS VALUES (1, 1, 'VariationId', 42), (2, 1, 'Real', 1.5)",
            )
            .await;
        let database = fixture.open();
        let entries = database.outbox_load(&[1, 2, 3], usize::MAX).await.unwrap().entries;
        let expected = Some("2026-01-31T10:20:30Z".parse().unwrap());
        assert!(entries.iter().all(|entry| entry.created_at == expected), "{entries:?}");
        assert_eq!(
            (entries[0].created.as_str(), entries[1].created.as_str()),
            ("1769854830", "2461071.9309027777")
        );
        assert_eq!((entries[0].priority, entries[1].priority), (7, 4));
        assert_eq!(&entries[0].payload.as_ref().unwrap().bytes[..], b"12");
        assert!(
            !entries[1].payload.as_ref().unwrap().is_text && entries[2].payload.as_ref().unwrap().is_text
        );
        assert_eq!(entries[0].headers[0].1, "42");
        let rows_from =
            |text: &str| Selection { rows_from: Some(text.parse().unwrap()), ..Selection::default() };
        let backlog = database.outbox_backlog(&rows_from("2026-01-31T10:20:30Z"), 10).await.unwrap();
        assert_eq!(backlog.waiting_rows, 3);
        let backlog = database.outbox_backlog(&rows_from("2026-01-31T10:20:31Z"), 10).await.unwrap();
        assert_eq!(backlog.waiting_rows, 0);
    }

    #[tokio::test]
    async fn ids_of_text_are_a_problem() {
        let fixture = SqliteFixture::empty().await;
        fixture.install_control().await;
        fixture.install_box_1_0().await;
        fixture
            .exec(
                "DROP TABLE COR_OUTBOX_HEADERS; CREATE TABLE COR_OUTBOX_HEADERS \
                 (C_ID INTEGER PRIMARY KEY, C_OUTBOX_ID VARCHAR(20), C_HEADER_KEY, C_HEADER_VALUE)",
            )
            .await;
        let problems = fixture.open().survey().await.unwrap().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].what.contains("C_OUTBOX_ID has the type VARCHAR(20)"), "{problems:?}");
    }

    #[tokio::test]
    async fn scripts_run_twice_without_harm() {
        let fixture = SqliteFixture::fresh().await;
        fixture.exec("DELETE FROM bodrelay_status_rule WHERE http_status = 502").await;
        for (name, script) in scripts::SQLITE.iter().take(3) {
            // Statement by statement, as a client does that goes on after an error.
            let connection = fixture.connection();
            let mut rest = *script;
            let mut refused = 0;
            while let Some((statement, tail)) = next_statement(rest) {
                refused += usize::from(connection.execute_batch(statement).is_err());
                rest = tail;
            }
            assert!(refused > 3, "{name}: {refused}");
        }
        assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_status_rule").await, "21");
        for name in ["grants.sql", "audit.sql", "examples.sql", "uninstall.sql"] {
            fixture.run_script(name).await;
        }
        let left = "SELECT count(*) FROM sqlite_master WHERE name LIKE '%bodrelay%'";
        assert_eq!(fixture.value(left).await, "0");
        assert_eq!(fixture.value("SELECT count(*) FROM COR_OUTBOX_ENTRY").await, "0");
    }

    /// Up to the next line that ends with a semicolon and begins at the margin, or a lone statement's end.
    fn next_statement(script: &str) -> Option<(&str, &str)> {
        let mut end = 0;
        let mut in_trigger = false;
        for line in script.split_inclusive('\n') {
            end += line.len();
            in_trigger |= line.starts_with("CREATE TRIGGER");
            let closes = if in_trigger { line.trim_end() == "END;" } else { line.trim_end().ends_with(';') };
            if closes && !line.starts_with("--") {
                return Some(script.split_at(end));
            }
        }
        None
    }

    /// The work of a statement must not grow with rows that it does not give (design.md §1, promise 5).
    #[tokio::test]
    async fn statements_enter_by_their_index() {
        let fixture = SqliteFixture::fresh().await;
        let connection = fixture.connection();
        for (statement, entry, sorts) in [
            (
                sql::OUTBOX_SCAN,
                "IX_COR_OUTBOX_ENTRY_PROCESSED (C_WAS_PROCESSED=? AND C_ID>? AND C_ID<?)",
                false,
            ),
            (sql::OUTBOX_SCAN_BY_LOGICAL_ID, "PROCESSED (C_WAS_PROCESSED=? AND C_ID>? AND C_ID<?)", false),
            (sql::OUTBOX_GAPS, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)", true),
            (sql::OUTBOX_FILLED, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)", false),
            (sql::OUTBOX_FILLED_BY_LOGICAL_ID, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)", false),
            (sql::OUTBOX_BACKLOG, "IX_COR_OUTBOX_ENTRY_PROCESSED (C_WAS_PROCESSED=?)", false),
            (sql::OUTBOX_OLDEST, "IX_COR_OUTBOX_ENTRY_PROCESSED (C_WAS_PROCESSED=?)", false),
            (sql::OUTBOX_LOAD, "INTEGER PRIMARY KEY (rowid=?)", false),
            (sql::OUTBOX_LOAD_HEADERS, "IX_COR_OUTBOX_HEADERS_ENTRY (C_OUTBOX_ID=?)", false),
            (sql::OUTBOX_SETTLE_ACCEPTED, "INTEGER PRIMARY KEY (rowid=?)", false),
            (sql::OUTBOX_SETTLE_FAILED, "INTEGER PRIMARY KEY (rowid=?)", false),
            (sql::COMMAND_READ, "ix_bodrelay_command_state (state=?)", true),
            (sql::REPORT_FINDING_RENEW, "ix_bodrelay_finding_", false),
            (sql::LOG_SEARCH, "sqlite_autoindex_bodrelay_message_log_1", false),
            (sql::LOG_SEARCH_UPWARDS, "sqlite_autoindex_bodrelay_message_log_1 (message_key>?)", false),
            (sql::LOG_SEARCH_BY_KEY, "sqlite_autoindex_bodrelay_message_log_1 (message_key=?)", false),
            (sql::LOG_SEARCH_BY_MESSAGE_ID, "ix_bodrelay_message_log_message_id (message_id=?)", true),
            (
                sql::LOG_SEARCH_BY_DOCUMENT,
                "ix_bodrelay_message_log_document (noun=? AND document_id=?)",
                true,
            ),
            (
                sql::LOG_SEARCH_BY_STATE,
                "ix_bodrelay_message_log_state (connection_point=? AND state=?)",
                true,
            ),
            (
                sql::LOG_SEARCH_BY_CREATED,
                "ix_bodrelay_message_log_created (created_at>? AND created_at<?)",
                true,
            ),
            (sql::LOG_PURGE_SELECT, "_state (connection_point=? AND state=? AND seen_at<?)", false),
            (sql::LOG_PURGE, "sqlite_autoindex_bodrelay_message_log_1 (message_key=?)", false),
            ("SELECT * FROM bodrelay_errors", "_state (connection_point=? AND state=?)", true),
            ("SELECT * FROM bodrelay_today", "_state (connection_point=? AND state=? AND seen_at>?)", true),
            (sql::LOG_PURGE_ATTEMPTS, "sqlite_autoindex_bodrelay_attempt_1 (message_key=?)", false),
            (sql::INBOX_KNOWN, "ix_bodrelay_receipt_source (source_part=?)", false),
        ] {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let steps =
                explain.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>();
            let plan = steps.unwrap().join("\n");
            assert!(plan.contains(entry), "{entry} is not in the plan\n{plan}\n{statement}");
            assert!(!plan.contains("ix_bodrelay_receipt_received"), "it reads every receipt\n{plan}");
            assert!(sorts || !plan.contains("TEMP B-TREE"), "it sorts\n{plan}\n{statement}");
        }

        // Infor's own index has the flag in front, too: no write may walk over all that waits.
        connection
            .execute_batch(
                "DROP INDEX IX_COR_OUTBOX_ENTRY_PROCESSED; CREATE INDEX polling ON COR_OUTBOX_ENTRY \
                 (C_WAS_PROCESSED, C_TENANT_ID, C_LOGICAL_ID, C_ID)",
            )
            .unwrap();
        for statement in
            [sql::OUTBOX_LOAD, sql::OUTBOX_SETTLE_ACCEPTED, sql::OUTBOX_SETTLE_FAILED, sql::OUTBOX_RESET]
        {
            let plan = plan(&connection, statement);
            assert!(plan.contains("INTEGER PRIMARY KEY (rowid=?)"), "{plan}\n{statement}");
        }
        for statement in [sql::OUTBOX_SCAN, sql::OUTBOX_SCAN_BY_LOGICAL_ID] {
            let plan = plan(&connection, statement);
            assert!(plan.contains("INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{plan}\n{statement}");
        }
        // The other two that the survey takes for good.
        for index in ["(C_WAS_PROCESSED)", "(C_ID) WHERE C_WAS_PROCESSED = 0"] {
            let make = format!("DROP INDEX polling; CREATE INDEX polling ON COR_OUTBOX_ENTRY {index}");
            connection.execute_batch(&make).unwrap();
            let plan = plan(&connection, sql::OUTBOX_SCAN);
            assert!(plan.contains("INDEX polling") && !plan.contains("TEMP B-TREE"), "{index}\n{plan}");
        }
    }

    /// Each search of the message log, and each view, enters by an index at a million rows, whatever statistics say.
    #[tokio::test]
    async fn the_log_is_searched_by_its_indexes_at_a_million_rows() {
        let fixture = SqliteFixture::fresh().await;
        fixture.exec(crate::conformance::control::CP1).await;
        let connection = fixture.connection();
        connection
            .execute_batch(
                "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; \
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000) \
                 INSERT INTO bodrelay_message_log (message_key, direction, connection_point, tenant_id, entry_id, \
                 message_id, noun, document_id, from_logical_id, state, created_at, seen_at, updated_at) \
                 SELECT printf('%036x', n), 'out', 'CP' || (n % 10), 'T', n, 'id-' || n, 'Noun' || (n % 20), 'D' || (n / 7), \
                 'lid://infor.ims.cp' || (n % 10), CASE WHEN n % 5000 = 1 THEN 'failed' ELSE 'accepted' END, at, at, at \
                 FROM (SELECT n, strftime('%Y-%m-%dT%H:%M:%S.000Z', 1767225600 + n, 'unixepoch') AS at FROM n)",
            )
            .unwrap();
        connection.execute_batch("ANALYZE").unwrap();
        for (statement, entry) in [
            (sql::LOG_SEARCH_BY_KEY, "sqlite_autoindex_bodrelay_message_log_1 (message_key=?)"),
            (sql::LOG_SEARCH_BY_MESSAGE_ID, "ix_bodrelay_message_log_message_id (message_id=?)"),
            (sql::LOG_SEARCH_BY_DOCUMENT, "ix_bodrelay_message_log_document (noun=? AND document_id=?)"),
            (sql::LOG_SEARCH_BY_STATE, "ix_bodrelay_message_log_state (connection_point=? AND state=?)"),
            (sql::LOG_SEARCH_BY_CREATED, "ix_bodrelay_message_log_created (created_at>? AND created_at<?)"),
            (sql::LOG_SEARCH, "sqlite_autoindex_bodrelay_message_log_1"),
            (sql::LOG_SEARCH_UPWARDS, "sqlite_autoindex_bodrelay_message_log_1 (message_key>?)"),
            ("SELECT * FROM bodrelay_errors", "_state (connection_point=? AND state=?)"),
            ("SELECT * FROM bodrelay_today", "_state (connection_point=? AND state=? AND seen_at>?)"),
            (
                "SELECT * FROM bodrelay_received_today",
                "_state (connection_point=? AND state=? AND seen_at>?)",
            ),
        ] {
            let plan = plan(&connection, statement);
            assert!(plan.contains(entry), "{entry} is not in the plan\n{plan}\n{statement}");
            let whole = ["SCAN l", "AUTOMATIC", "BLOOM FILTER"].into_iter().find(|step| plan.contains(step));
            assert_eq!(whole, None, "it reads the whole log\n{plan}\n{statement}");
        }
        let database = fixture.open();
        let filter = |change: fn(&mut bodrelay::database::LogFilter)| {
            let mut filter = bodrelay::database::LogFilter { limit: 100, ..Default::default() };
            change(&mut filter);
            filter
        };
        let at = |text: &str| Some(text.parse().unwrap());
        for (what, filter, found) in [
            ("key", filter(|it| it.message_key = Some(format!("{:036x}", 77))), 1),
            ("message id", filter(|it| it.message_id = Some("id-999999".into())), 1),
            (
                "document",
                filter(|it| (it.noun, it.document_id) = (Some("Noun7".into()), Some("D1".into()))),
                1,
            ),
            (
                "state",
                filter(|it| (it.state, it.connection_point) = (Some("failed".into()), Some("CP1".into()))),
                100,
            ),
            ("newest", filter(|_| ()), 100),
        ] {
            let begun = std::time::Instant::now();
            let rows = database.log_search(&filter).await.unwrap();
            eprintln!("{what}: {} rows in {:?}", rows.len(), begun.elapsed());
            assert_eq!(rows.len(), found, "{what}");
            assert!(begun.elapsed().as_millis() < 500, "{what} took {:?}", begun.elapsed());
        }
        let day = bodrelay::database::LogFilter {
            created_from: at("2026-01-05T00:00:00Z"),
            created_to: at("2026-01-05T00:01:00Z"),
            logical_id: Some("lid://infor.ims.cp3".into()),
            limit: 100,
            ..Default::default()
        };
        assert_eq!(database.log_search(&day).await.unwrap().len(), 6);
    }

    #[tokio::test]
    async fn a_flag_kept_as_text_is_a_flag() {
        let fixture = SqliteFixture::empty().await;
        fixture.install_control().await;
        fixture.install_box_1_0().await;
        fixture
            .exec(
                "DROP TABLE COR_OUTBOX_ENTRY; CREATE TABLE COR_OUTBOX_ENTRY (C_ID INTEGER PRIMARY KEY, C_XML BLOB, \
                 C_TENANT_ID TEXT, C_MESSAGE_PRIORITY TEXT, C_CREATED_DATE_TIME TEXT, C_WAS_PROCESSED TEXT); \
                 INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_WAS_PROCESSED) VALUES (1, 0), (2, 0), (3, 1), (4, 9)",
            )
            .await;
        let database = fixture.open();
        assert_eq!(ids(&*database, &scan_all()).await, [1, 2]);
        let settle = Settle { accepted: vec![1, 3], failed: vec![2], ..Settle::default() };
        assert_eq!(database.outbox_settle(&settle).await.unwrap().already_flagged, [3]);
        assert_eq!(fixture.flags().await, [["1", "1"], ["2", "9"], ["3", "1"], ["4", "9"]]);
        assert_eq!(database.outbox_reset(&[4]).await.unwrap(), [4]);
    }

    fn plan(connection: &Connection, statement: &str) -> String {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>();
        steps.unwrap().join("\n")
    }

    /// What the hot path takes, printed; the bound is wide enough for a loaded machine in a development build.
    #[tokio::test]
    async fn batches_of_500_are_fast() {
        const ROWS: i64 = 5_000;
        let fixture = SqliteFixture::fresh().await;
        let connection = fixture.connection();
        connection.execute_batch("BEGIN").unwrap();
        for id in 1..=ROWS {
            let sql = "INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_TENANT_ID, C_LOGICAL_ID, C_XML) VALUES (?1, 'T', 'L', ?2)";
            connection.prepare_cached(sql).unwrap().execute((id, vec![b'x'; 4096])).unwrap();
            for key in ["TenantId", "MessageId", "BODType", "FromLogicalId", "ToLogicalId"] {
                let sql = "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (?1, ?2, 'v')";
                connection.prepare_cached(sql).unwrap().execute((id, key)).unwrap();
            }
        }
        connection.execute_batch("COMMIT").unwrap();
        drop(connection);
        let database = fixture.open();
        let mut times = [std::time::Duration::ZERO; 3];
        let mut after = 0;
        while after < ROWS {
            let start = std::time::Instant::now();
            let scan = bodrelay::database::Scan { after, limit: 500, ..scan_all() };
            let page = ids(&*database, &scan).await;
            times[0] += start.elapsed();
            let start = std::time::Instant::now();
            let entries = database.outbox_load(&page, usize::MAX).await.unwrap().entries;
            times[1] += start.elapsed();
            assert!(entries.len() == 500 && entries.iter().all(|entry| entry.headers.len() == 5));
            let log = page.iter().map(|id| log_row(&format!("{id:036}"))).collect();
            let settle = Settle { accepted: page.clone(), log, ..Settle::default() };
            let start = std::time::Instant::now();
            database.outbox_settle(&settle).await.unwrap();
            times[2] += start.elapsed();
            after = page[499];
        }
        let micros = times.map(|time| time.as_secs_f64() * 1e6 / 5_000.0);
        eprintln!("scan {:.1}, load {:.1}, settle {:.1} µs a row", micros[0], micros[1], micros[2]);
        assert!(micros.iter().sum::<f64>() < 1_000.0, "{micros:?}");
        assert_eq!(
            fixture.value("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 1").await,
            "5000"
        );
    }
}
