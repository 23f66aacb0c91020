//! What one bad setting, and one database that does not answer, leave alone: everything else; real binary, real databases.

mod agent;
#[path = "cluster/mod.rs"]
mod cluster;
mod skipped;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::{Site, wait};
use bodrelay::config::DatabaseSettings;
use bodrelay::database::postgres::Postgres;
use bodrelay::database::statements::scripts;
use bodrelay::database::{Database as _, Settle};
use cluster::Cluster;

fn finding(code: &str) -> String {
    format!("SELECT count(*) > 0 FROM bodrelay_finding WHERE code = '{code}' AND cleared_at IS NULL")
}

fn refused(name: &str) -> String {
    format!("SELECT refused_reason FROM bodrelay_connection_point WHERE connection_point = '{name}'")
}

/// Waits until the agent has refused a connection point; answers why.
fn wait_refused(site: &Site, name: &str) -> String {
    wait(&format!("{name} is refused"), || site.ask(&refused(name)) != "NULL");
    site.ask(&refused(name))
}

fn flag(id: i64) -> String {
    format!("SELECT C_WAS_PROCESSED FROM COR_OUTBOX_ENTRY WHERE C_ID = {id}")
}

/// The agent has looked at the tables again, and again.
fn wait_for_two_rounds(site: &Site) {
    for _ in 0..2 {
        let id = site.ask(
            "INSERT INTO bodrelay_command (command, connection_point) VALUES ('poll_now', 'CP1') RETURNING command_id",
        );
        site.wait_for(&format!("SELECT state FROM bodrelay_command WHERE command_id = {id}"), "done");
    }
}

#[test]
fn one_that_overlaps_stops_only_itself() {
    let site = Site::new();
    let mut running = site.start();
    let first = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&flag(first), "1");
    site.exec(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode) \
         VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp2', 'on')",
    );
    let reason = wait_refused(&site, "CP2");
    assert!(
        reason.contains("overlaps with that of CP1") && reason.contains("nothing of it applies"),
        "{reason}"
    );
    site.wait_for(&finding("ROWS_OVERLAP"), "1");
    let second = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.wait_for(&flag(second), "1");
    assert_eq!(site.ask(&refused("CP1")), "NULL");
    assert_eq!(site.ask("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'"), "running");
    let (code, found) = site.check();
    assert_eq!((code, found.iter().filter(|code| *code == "ROWS_OVERLAP").count()), (1, 1), "{found:?}");
    // The next process goes by what this one wrote.
    assert_eq!(running.term(), 2, "a setting is refused");
    let third = site.write_row("Sync.SalesOrder", "SO-3", "");
    site.once(2);
    assert_eq!(site.ask(&flag(third)), "1");
    assert_eq!(site.stored(), 3);
}

#[test]
fn a_typo_leaves_the_last_good_settings_in_force() {
    let site = Site::new();
    let _running = site.start();
    let first = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&flag(first), "1");
    site.exec("UPDATE bodrelay_connection_point SET poll_seconds = NULL, poll_cron = 'every night'");
    let reason = wait_refused(&site, "CP1");
    assert!(reason.contains("every night") && reason.contains("last good settings apply"), "{reason}");
    let second = site.write_row("Sync.SalesOrder", "SO-2", "");
    site.wait_for(&flag(second), "1");
    assert_eq!(site.ask("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'"), "running");
    // The same of a document type.
    site.exec("UPDATE bodrelay_document SET document_id_path = '//'");
    let refused_type = "SELECT refused_reason LIKE '%last good settings apply%' FROM bodrelay_document";
    site.wait_for(refused_type, "1");
    let third = site.write_row("Sync.SalesOrder", "SO-3", "");
    site.wait_for(&flag(third), "1");
    // To switch it off is taken all the same.
    site.exec("UPDATE bodrelay_connection_point SET send_mode = 'off'");
    site.wait_for("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'", "off");
    site.exec(
        "UPDATE bodrelay_connection_point SET send_mode = 'on', poll_seconds = 1, poll_cron = NULL; \
         UPDATE bodrelay_document SET document_id_path = NULL",
    );
    site.wait_for(&refused("CP1"), "NULL");
    site.wait_for("SELECT count(*) FROM bodrelay_document WHERE refused_reason IS NOT NULL", "0");
    site.wait_for(&finding("SETTING_REFUSED"), "0");
}

#[test]
fn a_bad_cell_refuses_its_row_only() {
    let site = Site::new();
    let _running = site.start();
    site.exec(
        "PRAGMA ignore_check_constraints = 1; \
         INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode, \
         source_logical_id, send_rows_from) \
         VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp2', 'on', 'lid://x', 'infinity'); \
         INSERT INTO bodrelay_command (command, connection_point, until_at) VALUES ('pause', 'CP1', 'infinity'), \
         ('pause', 'CP1', '294276-12-31T00:00:00Z'), ('pause', 'CP1', NULL)",
    );
    let reason = wait_refused(&site, "CP2");
    assert!(reason.starts_with("send_rows_from holds no time"), "{reason}");
    site.wait_for(
        "SELECT group_concat(state) FROM (SELECT state FROM bodrelay_command ORDER BY command_id)",
        "refused,refused,done",
    );
    let result = site.ask("SELECT result FROM bodrelay_command WHERE command_id = 1");
    assert!(result.starts_with("until_at holds no time") && result.contains("'infinity'"), "{result}");
    site.wait_for("SELECT state FROM bodrelay_status WHERE connection_point = 'CP1'", "paused");
    // A number that is none, which SQLite takes.
    site.exec(
        "PRAGMA ignore_check_constraints = 1; UPDATE bodrelay_connection_point SET batch_rows = 'many', \
         send_rows_from = NULL WHERE connection_point = 'CP2'",
    );
    wait("the other reason", || {
        site.ask(&refused("CP2")).starts_with("batch_rows holds no whole number ('many')")
    });
}

#[test]
fn sources_that_the_outbox_takes_for_equal_overlap() {
    let site = Site::new();
    let columns = "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'C_LOGICAL_ID TEXT', \
                   'C_LOGICAL_ID TEXT COLLATE NOCASE') WHERE name = 'COR_OUTBOX_ENTRY'; PRAGMA writable_schema = RESET";
    site.exec(columns);
    let table = site.ask("SELECT sql FROM sqlite_schema WHERE name = 'COR_OUTBOX_ENTRY'");
    assert!(table.contains("NOCASE"), "{table}");
    let _running = site.start();
    site.exec("UPDATE bodrelay_connection_point SET source_logical_id = 'lid://infor.ims.cp1'");
    site.exec(
        "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode, \
         source_logical_id, poll_seconds) VALUES ('CP2', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.cp2', 'on', \
         'LID://infor.ims.CP1', 1); INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
         VALUES ('CP2', 'out', 'Sync', 'SalesOrder')",
    );
    let reason = wait_refused(&site, "CP2");
    assert!(reason.contains("overlaps"), "{reason}");
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&flag(id), "1");
    wait_for_two_rounds(&site);
    assert_eq!(site.stored(), 1);
}

#[test]
fn rows_that_nobody_sees_are_told() {
    let site = Site::new();
    site.once(0);
    assert_eq!(site.ask(&finding("ROWS_UNSEEN")), "0");
    let (odd, none) =
        (site.write_row("Sync.SalesOrder", "SO-1", ""), site.write_row("Sync.SalesOrder", "SO-2", ""));
    site.exec(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 2 WHERE C_ID = {odd}"));
    site.exec(&format!("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = NULL WHERE C_ID = {none}"));
    assert!(site.check().1.contains(&"ROWS_UNSEEN".to_owned()));
    site.once(0);
    let text = site.ask("SELECT finding_text FROM bodrelay_finding WHERE code = 'ROWS_UNSEEN'");
    assert!(
        text.starts_with("2 of the newest rows") && text.contains(&format!("C_ID {none}: NULL")),
        "{text}"
    );
    site.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 0 WHERE coalesce(C_WAS_PROCESSED, 2) = 2");
    site.once(0);
    assert_eq!(site.ask(&finding("ROWS_UNSEEN")), "0");
    assert_eq!(site.stored(), 2);
}

#[test]
fn ids_below_one_are_sent() {
    let site = Site::new();
    let ids: Vec<i64> = (0..3).map(|n| site.write_row("Sync.SalesOrder", &format!("SO-{n}"), "")).collect();
    site.exec(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE COR_OUTBOX_ENTRY SET C_ID = -7 WHERE C_ID = {0}; UPDATE COR_OUTBOX_HEADERS \
         SET C_OUTBOX_ID = -7 WHERE C_OUTBOX_ID = {0}; UPDATE COR_OUTBOX_ENTRY SET C_ID = 0 WHERE C_ID = {1}; UPDATE \
         COR_OUTBOX_HEADERS SET C_OUTBOX_ID = 0 WHERE C_OUTBOX_ID = {1}",
        ids[0], ids[1]
    ));
    site.once(0);
    assert_eq!(site.ask("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 1"), "3");
    site.once(0);
    assert_eq!(site.stored(), 3);
}

/// More bytes than a look may load.
#[test]
fn rows_that_wait_for_headers_keep_nothing_else_waiting() {
    let site = Site::new();
    site.exec("UPDATE bodrelay_connection_point SET headers_grace_seconds = 86400");
    let padding = "x".repeat(100_000);
    for n in 0..150 {
        site.write_row("Sync.SalesOrder", &format!("SO-{n}"), &padding);
    }
    site.exec("CREATE TABLE kept AS SELECT * FROM COR_OUTBOX_HEADERS; DELETE FROM COR_OUTBOX_HEADERS");
    site.once(75);
    let id = site.write_row("Sync.SalesOrder", "SO-new", "");
    site.once(75);
    assert_eq!(site.ask(&flag(id)), "1");
    site.exec("DELETE FROM COR_OUTBOX_HEADERS; INSERT INTO COR_OUTBOX_HEADERS SELECT * FROM kept");
    let _running = site.start();
    site.wait_for("SELECT count(*) FROM COR_OUTBOX_ENTRY WHERE C_WAS_PROCESSED = 0", "0");
    assert_eq!(site.stored(), 151);
}

/// A way to a server that can stop to forward without closing anything.
struct Link {
    folder: tempfile::TempDir,
    is_stuck: Arc<AtomicBool>,
}

impl Link {
    fn to(server: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let is_stuck = Arc::new(AtomicBool::new(false));
        let stuck = Arc::clone(&is_stuck);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let stuck = Arc::clone(&stuck);
                    std::thread::spawn(move || forward(from, to, &stuck));
                }
            }
        });
        Self { folder, is_stuck }
    }

    fn sticks(&self, is_stuck: bool) {
        self.is_stuck.store(is_stuck, Ordering::Relaxed);
    }
}

fn forward(mut from: UnixStream, mut to: UnixStream, is_stuck: &AtomicBool) {
    let mut bytes = [0; 8192];
    while let Ok(count) = from.read(&mut bytes) {
        while is_stuck.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[tokio::test]
async fn a_database_that_does_not_answer_delays_no_other() {
    let cluster = Cluster::shared();
    let database = cluster.database().await;
    let client = cluster.connect(&database).await;
    cluster::install(&client).await;
    client
        .batch_execute(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, send_mode) \
             VALUES ('FAR', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.far', 'on'); INSERT INTO bodrelay_document \
             (connection_point, direction, verb, noun) VALUES ('FAR', 'out', 'Sync', 'SalesOrder')",
        )
        .await
        .unwrap();
    let link = Link::to(cluster.folder.join(format!(".s.PGSQL.{}", cluster.port)));
    let site = Site::new();
    let file = site.path("agent.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let far = format!(
        "\n[[database]]\nname = \"far\"\nkind = \"postgres\"\nhost = \"{}\"\ndatabase = \"{database}\"\nuser = \
         \"postgres\"\nencrypt = \"off\"\nstatement_timeout_seconds = 300\n",
        link.folder.path().display()
    );
    let text = text.replace("[agent]\n", "[agent]\nshutdown_seconds = 2\n");
    std::fs::write(&file, text + &far).unwrap();
    let mut running = site.start();
    let state = "SELECT state FROM bodrelay_status WHERE connection_point = ";
    site.wait_for(&format!("{state}'CP1'"), "running");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while cluster::rows(&client, &format!("{state}'FAR'")).await != [["running"]] {
        assert!(std::time::Instant::now() < deadline, "FAR does not run");
        tokio::task::yield_now().await;
    }
    link.sticks(true);
    // A round of the far one is under way from now on, and does not end before its time-out of minutes.
    for _ in 0..2 {
        wait_for_two_rounds(&site);
        site.exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('pause', 'CP1')");
        site.wait_for(&format!("{state}'CP1'"), "paused");
        site.exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('resume', 'CP1')");
        site.wait_for(&format!("{state}'CP1'"), "running");
    }
    let id = site.write_row("Sync.SalesOrder", "SO-1", "");
    site.wait_for(&flag(id), "1");
    // The last word reaches the one that answers.
    running.term();
    assert_eq!(site.ask("SELECT state FROM bodrelay_host"), "stopped");
    link.sticks(false);
}

async fn postgres() -> (String, tokio_postgres::Client) {
    let database = Cluster::shared().database().await;
    let client = Cluster::shared().connect(&database).await;
    cluster::install(&client).await;
    (database, client)
}

async fn value(client: &tokio_postgres::Client, sql: &str) -> String {
    cluster::rows(client, sql).await[0][0].clone()
}

/// The application's own UPDATE works by the search path of its role and database: so must ours.
#[tokio::test]
async fn a_trigger_of_the_site_keeps_its_search_path() {
    let (name, client) = postgres().await;
    client
        .batch_execute(&format!(
            "CREATE SCHEMA app; CREATE TABLE app.audit (id bigint); CREATE FUNCTION app.note() RETURNS trigger LANGUAGE \
             plpgsql AS $$ BEGIN INSERT INTO audit VALUES (NEW.c_id); RETURN NEW; END $$; CREATE TRIGGER note AFTER \
             UPDATE ON public.cor_outbox_entry FOR EACH ROW EXECUTE FUNCTION app.note(); INSERT INTO \
             public.cor_outbox_entry (c_id, c_xml) VALUES (1, '<x/>'); ALTER DATABASE {name} SET search_path = app, public"
        ))
        .await
        .unwrap();
    let database = Postgres::new(&Cluster::shared().settings(&name), "h1");
    assert_eq!(database.survey().await.unwrap().problems, []);
    database.control_read().await.unwrap();
    let settle = Settle { accepted: vec![1], ..Settle::default() };
    database.outbox_settle(&settle).await.unwrap();
    assert_eq!(value(&client, "SELECT c_was_processed FROM public.cor_outbox_entry").await, "1");
    assert_eq!(value(&client, "SELECT count(*) FROM app.audit").await, "1");
}

/// Whoever has the sessions next finds them as they were, though nobody said that they are shared.
#[tokio::test]
async fn a_pooler_that_nobody_named_keeps_no_setting() {
    let (name, client) = postgres().await;
    client
        .batch_execute("INSERT INTO public.cor_outbox_entry (c_id, c_xml) VALUES (1, '<x/>')")
        .await
        .unwrap();
    let Some(pooler) = Cluster::shared().pooler(&name, 1) else {
        skipped::skipped("pgbouncer is not installed");
        return;
    };
    let settings = DatabaseSettings {
        host: Some("127.0.0.1".into()),
        port: Some(pooler.port),
        ..Cluster::shared().settings(&name)
    };
    let database = Postgres::new(&settings, "h1");
    let survey = database.survey().await.unwrap();
    assert!(survey.advice.iter().any(|it| it.what.contains("pooler")), "{:?}", survey.advice);
    database.control_read().await.unwrap();
    let settle = Settle { accepted: vec![1], ..Settle::default() };
    database.outbox_settle(&settle).await.unwrap();
    assert_eq!(value(&client, "SELECT c_was_processed FROM public.cor_outbox_entry").await, "1");
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("postgres").dbname(&name);
    let (other, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let left = "SELECT count(*) FROM pg_prepared_statements";
    let questions = [
        ("SHOW statement_timeout", "0"),
        ("SHOW plan_cache_mode", "auto"),
        ("SHOW lock_timeout", "0"),
        (left, "0"),
    ];
    for (ask, default) in questions {
        let said = other.simple_query(ask).await.unwrap();
        let is = said.iter().any(
            |it| matches!(it, tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some(default)),
        );
        assert!(is, "{ask} is not {default}");
    }
}

#[tokio::test]
async fn a_role_that_sees_or_may_write_nothing_is_told() {
    let (name, client) = postgres().await;
    let role = format!("agent_{name}");
    client
        .batch_execute(&format!(
            "ALTER TABLE public.cor_inbox_headers ALTER c_id DROP IDENTITY; CREATE SEQUENCE public.\"Ids\" OWNED BY \
             public.cor_inbox_headers.c_id; ALTER TABLE public.cor_inbox_headers ALTER c_id SET DEFAULT \
             nextval('public.\"Ids\"'); CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA bodrelay TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA \
             bodrelay TO {role}; GRANT SELECT, UPDATE ON public.cor_outbox_entry, public.cor_outbox_headers TO {role}; \
             GRANT SELECT ON public.cor_inbox_entry, public.cor_inbox_headers TO {role}; INSERT INTO \
             bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, receive_mode) VALUES \
             ('CP1', 'PLANT1', 'ACME_TST', 'lid://infor.ims.x', 'on'); INSERT INTO public.cor_outbox_entry (c_id, c_xml, \
             c_was_processed) VALUES (-3, '<x/>', NULL), (2, '<x/>', 5), (3, '<x/>', 0), (4, '<x/>', 9)"
        ))
        .await
        .unwrap();
    let settings = DatabaseSettings { user: Some(role.clone()), ..Cluster::shared().settings(&name) };
    let database = Postgres::new(&settings, "h1");
    let unseen = database.outbox_unseen().await.unwrap();
    assert_eq!((unseen.odd_flags, unseen.hidden), (vec![(-3, None), (2, Some("5".into()))], None));
    client.batch_execute("ALTER TABLE public.cor_outbox_entry ENABLE ROW LEVEL SECURITY").await.unwrap();
    let hidden = database.outbox_unseen().await.unwrap().hidden.unwrap();
    assert!(hidden.contains("no policy lets this role SELECT and UPDATE"), "{hidden}");
    client
        .batch_execute(&format!("CREATE POLICY p ON public.cor_outbox_entry TO {role} USING (true)"))
        .await
        .unwrap();
    assert_eq!(database.outbox_unseen().await.unwrap().hidden, None);
    let lacks = database.survey().await.unwrap().inbound_problems;
    let may_not = |table: &str| format!("the agent may not INSERT into \"public\".\"{table}\"");
    assert_eq!(
        lacks.iter().map(|it| &*it.what).collect::<Vec<_>>(),
        [may_not("cor_inbox_entry"), may_not("cor_inbox_headers"), may_not("cor_inbox_headers")]
    );
    // Each remedy is typed.
    for problem in lacks {
        let from = problem.remedy.find("GRANT ").unwrap();
        let statement = problem.remedy[from..].replace("to it (grants.sql)", &format!("TO {role}"));
        client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    assert_eq!(database.survey().await.unwrap().inbound_problems, []);
}

#[tokio::test]
async fn infinity_refuses_its_row_only() {
    let (name, client) = postgres().await;
    // A database in which script 6 was not run.
    client
        .batch_execute(
            "ALTER TABLE bodrelay_connection_point DROP CONSTRAINT ck_bodrelay_connection_point_send_rows_from; \
             ALTER TABLE bodrelay_command DROP CONSTRAINT ck_bodrelay_command_until_at; \
             ALTER TABLE bodrelay_finding DROP CONSTRAINT ck_bodrelay_finding_acknowledged_until",
        )
        .await
        .unwrap();
    client
        .batch_execute(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id, \
             send_rows_from) VALUES ('A', 'P', 'T', 'lid://a', 'infinity'), ('B', 'P', 'T', 'lid://b', '2026-01-01Z'), \
             ('C', 'P', 'T', 'lid://c', '294276-01-01Z'); INSERT INTO bodrelay_command (command, connection_point, \
             until_at) VALUES ('pause', 'A', '-infinity'), ('pause', 'B', NULL); INSERT INTO bodrelay_finding (code, \
             severity, subject, finding_text, remedy, since, last_seen_at, host, acknowledged_at, acknowledged_until) \
             VALUES ('X', 'info', 's', 't', 'r', now(), now(), 'h1', now(), 'infinity')",
        )
        .await
        .unwrap();
    let database = Postgres::new(&Cluster::shared().settings(&name), "h1");
    let points = database.control_read().await.unwrap().connection_points;
    let spoilt: Vec<bool> = points.iter().map(|row| row.unreadable.is_some()).collect();
    assert_eq!(spoilt, [true, false, true], "{points:?}");
    let commands = database.command_read().await.unwrap();
    assert!(commands[0].unreadable.as_ref().unwrap().starts_with("until_at holds no time"));
    assert_eq!(commands[1].unreadable, None);
    assert_eq!(database.finding_read().await.unwrap().len(), 1);
}

/// Script 6 on a database of script 5: what is infinite becomes the nearest time, and stays out from then on.
#[tokio::test]
async fn the_script_ends_what_is_infinite() {
    let name = Cluster::shared().database().await;
    let client = Cluster::shared().connect(&name).await;
    let scripts: Vec<&str> = scripts::numbered(scripts::POSTGRES).collect();
    for script in &scripts[..5] {
        client.batch_execute(script).await.unwrap();
    }
    let fill = "SET search_path = bodrelay; INSERT INTO bodrelay_connection_point (connection_point, location_name, \
                tenant_id, logical_id, send_rows_from) VALUES ('A', 'P', 'T', 'lid://a', 'infinity'); \
                INSERT INTO bodrelay_command (command, connection_point, from_at, until_at) VALUES \
                ('pause', 'A', NULL, 'infinity'), ('pause', 'A', '-infinity', NULL), ('pause', 'A', NULL, NULL); \
                INSERT INTO bodrelay_finding (code, severity, subject, finding_text, remedy, since, last_seen_at, host, \
                acknowledged_at, acknowledged_until) VALUES ('X', 'info', 's', 't', 'r', now(), now(), 'h1', now(), 'infinity'); \
                INSERT INTO bodrelay_change (connection_point, noun, document_id) VALUES ('A', 'Order', '1')";
    client.batch_execute(fill).await.unwrap();
    client.batch_execute(scripts[5]).await.unwrap();
    assert!(client.batch_execute(scripts[5]).await.is_err(), "twice: it fails");
    client.batch_execute("ROLLBACK; SET TIME ZONE 'UTC'; SET search_path = bodrelay").await.unwrap();
    let times = "SELECT (SELECT string_agg(coalesce(from_at, until_at)::text, ' ' ORDER BY command_id) FROM bodrelay_command), \
                 (SELECT send_rows_from::text FROM bodrelay_connection_point), \
                 (SELECT acknowledged_until::text FROM bodrelay_finding), (SELECT count(*) FROM bodrelay_change)";
    let last = "9999-12-31 00:00:00+00";
    let commands = format!("{last} 1900-01-01 00:00:00+00");
    assert_eq!(cluster::rows(&client, times).await, [[commands.as_str(), last, last, "1"]]);
    for wrong in [
        "UPDATE bodrelay_command SET until_at = 'infinity'",
        "UPDATE bodrelay_connection_point SET send_rows_from = '-infinity'",
        "UPDATE bodrelay_finding SET acknowledged_until = 'infinity'",
    ] {
        assert!(client.batch_execute(wrong).await.is_err(), "{wrong}");
    }
    client.batch_execute("UPDATE bodrelay_command SET until_at = now()").await.unwrap();
}
