//! What one bad setting, and one database that does not answer, leave alone: everything else; real binary, real databases.

mod agent;
#[path = "cluster/mod.rs"]
mod cluster;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent::{Site, wait};
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
    assert_eq!(site.check(), (1, vec!["ROWS_OVERLAP".to_owned()]));
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
        tokio::time::sleep(Duration::from_millis(50)).await;
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
