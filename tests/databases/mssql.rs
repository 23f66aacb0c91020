//! The conformance suite on a SQL Server that is given by BODRELAY_TEST_MSSQL_HOST, _PORT, _USER, _PASSWORD, _DATABASE.
//!
//! Each case makes a database of its own and drops it. Without a server every case says so and passes over; with
//! REQUIRE_DATABASES=mssql that is a failure.

use std::sync::Arc;

use bodrelay::config::{DatabaseKind, DatabaseSettings, Encrypt};
use bodrelay::database::mssql::Mssql;
use bodrelay::database::statements::scripts;
use bodrelay::database::{Database, Settle};
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel, FromSql};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::conformance::Fixture;
use crate::skipped::skipped;

const PASSWORD: &str = "BODRELAY_TEST_MSSQL_PASSWORD";

fn given(key: &str) -> Option<String> {
    std::env::var(format!("BODRELAY_TEST_MSSQL_{key}")).ok()
}

fn is_given() -> bool {
    if given("HOST").is_some() {
        return true;
    }
    let required = std::env::var("REQUIRE_DATABASES").is_ok_and(|names| names.contains("mssql"));
    assert!(!required, "REQUIRE_DATABASES names mssql, but BODRELAY_TEST_MSSQL_HOST is not set");
    skipped("BODRELAY_TEST_MSSQL_HOST is not set");
    false
}

macro_rules! cases_on_server {
    ($($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $case() {
                if is_given() {
                    crate::conformance::$module::$case::<MssqlFixture>().await;
                }
            }
        )+)+
    };
}

// All but five, which only a database without types can pass as they are, or need DDL of another form:
// an_inbox_1_0_takes_documents, one_bad_document_fails_alone, every_byte_and_every_header_arrives (its box of the suite has
// single-byte text); load_carries_odd_values_through (bytes that
// are no text in a text column; tests/mssql and the values' own tests have it), checks_refuse_each_bad_value (a date
// without a time is one here; `checks_refuse` below).
cases_on_server! {
    outbox: scan_pages_in_order, scan_finds_rows_that_commit_late, scan_says_gaps_and_what_fills_them,
            scan_selects_by_tenant_and_logical_id,
        scan_leaves_old_rows_alone, scan_of_a_1_0_box, load_gives_rows_with_headers, settle_flags_and_logs,
        settle_again_changes_nothing, settle_tells_another_senders_flag, settle_tells_gone_rows, settle_is_atomic,
        settle_keeps_what_the_application_set, backlog_is_capped, load_stops_at_its_bytes_but_gives_one_row,
        reset_changes_only_failed_rows, purge_deletes_what_is_accepted_and_chosen;
    inbox: a_document_is_stored_with_all_that_belongs_to_it, a_repeat_is_only_counted,
        the_senders_id_makes_a_duplicate_only_with_the_same_document, a_documents_own_key_makes_a_duplicate,
        an_older_variation_goes_as_the_setting_says, the_rules_hold_within_one_call,
        concurrent_duplicates_are_stored_once,
        the_applications_own_memory_is_not_touched,
        old_receipts_and_documents_are_forgotten,
        the_inbox_is_surveyed_where_it_is_needed, a_command_adds_its_document_once, the_day_is_seen_by_type;
    control: survey_of_a_whole_database, survey_names_each_missing_thing, control_read_gives_what_was_written,
        host_epoch_moves_by_compare_and_set, host_row_is_taken_over_by_a_new_journal,
        owner_claim_lapses_and_is_retaken, report_writes_only_what_it_has, findings_open_renew_and_clear,
        status_totals_add_up, commands_run_and_end, changed_at_follows_the_dba;
    panel: views_answer_the_usual_questions, audit_tells_what_was_changed, history_is_read, the_readme_can_be_typed;
    log: log_is_read_as_written, log_is_searched_by_each_filter, log_pages_upwards, log_never_lowers_attempts,
        log_texts_are_cut_to_their_columns, purge_keeps_what_is_unresolved;
    trouble: locked_database_is_unavailable_and_works_again, missing_tables_need_mending;
    checks: commands_are_checked, install_adds_the_status_rules;
}

type Connection = Client<Compat<TcpStream>>;

async fn connect(database: &str) -> Connection {
    let mut config = Config::new();
    config.host(given("HOST").unwrap());
    config.port(given("PORT").map_or(1433, |port| port.parse().unwrap()));
    config.database(database);
    config.authentication(AuthMethod::sql_server(
        given("USER").unwrap_or_else(|| "sa".into()),
        given("PASSWORD").unwrap_or_default(),
    ));
    config.encryption(EncryptionLevel::NotSupported);
    config.trust_cert();
    let stream = TcpStream::connect(config.get_addr()).await.unwrap();
    Client::connect(config, stream.compat_write()).await.unwrap()
}

fn master() -> String {
    given("DATABASE").unwrap_or_else(|| "master".into())
}

pub struct MssqlFixture {
    database: String,
}

impl Drop for MssqlFixture {
    fn drop(&mut self) {
        let sql = format!(
            "ALTER DATABASE [{0}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE [{0}]",
            self.database
        );
        // On a thread, since a runtime cannot be waited for inside another one.
        let cleared = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { drop(run(&mut connect(&master()).await, &sql).await) });
        });
        cleared.join().ok();
    }
}

async fn run(connection: &mut Connection, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let answer = connection.simple_query(sql).await.map_err(|error| error.to_string())?;
    let rows = answer.into_first_result().await.map_err(|error| error.to_string())?;
    Ok(rows.iter().map(|row| row.cells().map(|(_, cell)| shown(cell)).collect()).collect())
}

fn shown(cell: &ColumnData<'static>) -> String {
    let number = match cell {
        ColumnData::U8(number) => number.map(i64::from),
        ColumnData::I16(number) => number.map(i64::from),
        ColumnData::I32(number) => number.map(i64::from),
        ColumnData::I64(number) => *number,
        ColumnData::String(text) => return text.as_deref().unwrap_or("NULL").to_owned(),
        ColumnData::DateTime2(_) => {
            let time = chrono::NaiveDateTime::from_sql(cell).unwrap();
            return time.map_or("NULL".into(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        }
        other => return format!("{other:?}"),
    };
    number.map_or_else(|| "NULL".into(), |number| number.to_string())
}

/// The suite's few words that T-SQL has not, and explicit ids where they are an identity.
fn translated(sql: &str) -> String {
    if let Some(rest) = sql.strip_prefix("ALTER TABLE ")
        && let Some((table, renamed)) = rest.split_once(" RENAME COLUMN ")
        && let Some((from, to)) = renamed.split_once(" TO ")
    {
        return format!("EXEC sp_rename '{table}.{from}', '{to}', 'COLUMN'");
    }
    match sql.strip_prefix("INSERT INTO ").and_then(|rest| rest.split_once(' ')) {
        Some((table, columns)) if table.starts_with("COR_") && columns.starts_with("(C_ID") => {
            format!("SET IDENTITY_INSERT {table} ON; {sql}; SET IDENTITY_INSERT {table} OFF")
        }
        _ => sql.replace("length(", "LEN("),
    }
}

impl Fixture for MssqlFixture {
    type Held = Connection;

    async fn fresh() -> Self {
        let fixture = Self::empty().await;
        fixture.install_control().await;
        // The suite writes documents and times as literals of any form: columns of text take them.
        let text = scripts::MSSQL_IOBOX
            .replace("varbinary(max)", "varchar(max)")
            .replace("C_CREATED_DATE_TIME datetime2(3) NULL", "C_CREATED_DATE_TIME nvarchar(40) NULL");
        run(&mut fixture.connection().await, &text).await.unwrap();
        fixture
    }

    async fn empty() -> Self {
        let database = format!("bodrelay_test_{}", uuid::Uuid::now_v7().simple());
        run(&mut connect(&master()).await, &format!("CREATE DATABASE [{database}]")).await.unwrap();
        Self { database }
    }

    async fn install_control(&self) {
        for name in [
            "001_install.sql",
            "002_panel.sql",
            "003_inbound.sql",
            "004_compose.sql",
            "005_views.sql",
            "006_marks.sql",
        ] {
            self.run_script(name).await;
        }
    }

    async fn run_script(&self, name: &str) {
        let (_, script) = scripts::MSSQL.iter().find(|(other, _)| *other == name).unwrap();
        // In the user's own schema, since the suite names no schema.
        let script = script.replace("bodrelay.bodrelay_", "dbo.bodrelay_").replace("bodrelay.tr_", "dbo.tr_");
        run(&mut self.connection().await, &script.replace("DROP SCHEMA bodrelay;", "")).await.unwrap();
    }

    async fn install_box_1_0(&self) {
        self.exec(
            "CREATE TABLE COR_OUTBOX_ENTRY (C_ID numeric(19, 0) IDENTITY PRIMARY KEY, C_XML varchar(max), \
             C_TENANT_ID varchar(22), C_MESSAGE_PRIORITY int, C_CREATED_DATE_TIME datetime, \
             C_WAS_PROCESSED int DEFAULT 0); \
             CREATE TABLE COR_OUTBOX_HEADERS (C_ID numeric(19, 0) IDENTITY PRIMARY KEY, \
             C_OUTBOX_ID numeric(19, 0), C_HEADER_KEY varchar(250), C_HEADER_VALUE varchar(250))",
        )
        .await;
    }

    fn open(&self) -> Arc<dyn Database> {
        self.open_with(None)
    }

    async fn try_exec(&self, sql: &str) -> Result<(), String> {
        run(&mut self.connection().await, &translated(sql)).await.map(drop)
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        run(&mut self.connection().await, &translated(sql)).await.unwrap()
    }

    async fn hold(&self) -> Connection {
        let mut connection = self.connection().await;
        let sql = "BEGIN TRANSACTION; UPDATE COR_OUTBOX_ENTRY WITH (TABLOCKX) SET C_MESSAGE_PRIORITY = 5";
        run(&mut connection, sql).await.unwrap();
        connection
    }

    async fn set_bytes_as_text(&self, _: &str, _: i64, _: &[u8]) -> bool {
        unreachable!("no case of this list puts bytes into a text column");
    }
}

impl MssqlFixture {
    fn open_with(&self, iobox_schema: Option<&str>) -> Arc<dyn Database> {
        let settings = DatabaseSettings {
            host: given("HOST"),
            port: given("PORT").map(|port| port.parse().unwrap()),
            database: Some(self.database.clone()),
            user: Some(given("USER").unwrap_or_else(|| "sa".into())),
            password_env: Some(PASSWORD.into()),
            encrypt: Encrypt::Off,
            trust_server_certificate: true,
            control_schema: "dbo".into(),
            iobox_schema: iobox_schema.map(str::to_owned),
            ..DatabaseSettings::of("erp", DatabaseKind::Mssql)
        };
        Arc::new(Mssql::new(&settings, "test"))
    }

    async fn connection(&self) -> Connection {
        connect(&self.database).await
    }
}

#[tokio::test]
async fn checks_refuse() {
    if !is_given() {
        return;
    }
    let fixture = MssqlFixture::fresh().await;
    fixture.exec(crate::conformance::control::CP1).await;
    for set in [
        "connection_point = ''",
        "tenant_id = 'a tenant of more than 22'",
        "logical_id = 'infor.ims.x'",
        "logical_id = 'lid://default'",
        "send_mode = 'ON'",
        "poll_seconds = NULL",
        "poll_cron = '* * * * *'",
        "poll_seconds = 86401",
        "batch_rows = 10001",
        "max_document_bytes = 1023",
        "backoff_max_seconds = 9",
        "check_accepted = 2",
        "send_rows_from = '31.01.2026 25:00'",
    ] {
        let sql = format!("UPDATE bodrelay_connection_point SET {set}");
        assert!(fixture.try_exec(&sql).await.is_err(), "was not refused: {set}");
    }
}

/// Types, triggers and a database whose collation differs from the server's.
#[tokio::test]
async fn a_site_with_triggers_and_old_types() {
    if !is_given() {
        return;
    }
    let fixture = MssqlFixture::empty().await;
    fixture.install_control().await;
    for sql in [
        "CREATE SCHEMA app",
        "CREATE TABLE app.COR_OUTBOX_ENTRY (C_ID int IDENTITY PRIMARY KEY, C_XML image, C_TENANT_ID varchar(22), \
         C_LOGICAL_ID varchar(250), C_MESSAGE_PRIORITY int, C_CREATED_DATE_TIME datetimeoffset, \
         C_WAS_PROCESSED smallint DEFAULT 0)",
        "CREATE TABLE app.COR_OUTBOX_HEADERS (C_ID int IDENTITY PRIMARY KEY, C_OUTBOX_ID int, \
         C_HEADER_KEY varchar(250), C_HEADER_VALUE text)",
        "CREATE TABLE app.touched (C_ID int)",
        "CREATE TRIGGER app.tr_touched ON app.COR_OUTBOX_ENTRY AFTER UPDATE AS \
         INSERT INTO app.touched SELECT C_ID FROM inserted",
        "INSERT INTO app.COR_OUTBOX_ENTRY (C_XML, C_CREATED_DATE_TIME) \
         VALUES (CAST(CAST('<x/>' AS varbinary(max)) AS image), '2026-01-31 12:20:30 +02:00')",
    ] {
        fixture.exec(sql).await;
    }
    let database = fixture.open_with(Some("app"));
    let loaded = database.outbox_load(&[1], usize::MAX).await.unwrap();
    assert_eq!(&loaded.entries[0].payload.as_ref().unwrap().bytes[..], b"<x/>");
    assert_eq!(loaded.entries[0].created_at, Some(crate::conformance::at("2026-01-31T10:20:30Z")));
    database.outbox_settle(&Settle { accepted: vec![1], ..Settle::default() }).await.unwrap();
    assert_eq!(fixture.value("SELECT count(*) FROM app.touched").await, "1");
}
