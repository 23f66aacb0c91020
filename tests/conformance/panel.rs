//! What a DBA looks at: the views of 002_panel.sql and the triggers of audit.sql.

use bodrelay::database::{LogRow, OwnerClaim};

use bodrelay::database::statements::scripts::SCRIPT_KNOWN;

use super::control::CP1;
use super::{Fixture, log_row, settle};

pub async fn views_answer_the_usual_questions<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec(CP1).await;
    assert_eq!(fixture.value("SELECT state FROM bodrelay_backlog").await, "no agent");
    let claim = OwnerClaim {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: "j1".into(),
        host: "h1".into(),
        agent_version: "1".into(),
        lapse_seconds: 180,
    };
    database.owner_claim(&claim).await.unwrap();
    fixture.exec("UPDATE bodrelay_status SET waiting_rows = 5, oldest_waiting_at = heartbeat_at").await;
    let backlog =
        "SELECT state, waiting_rows, oldest_waiting_minutes, heartbeat_minutes, host FROM bodrelay_backlog";
    assert_eq!(fixture.rows(backlog).await, [["waiting", "5", "0", "0", "h1"]]);
    fixture.exec("UPDATE bodrelay_connection_point SET refused_reason = 'why'").await;
    assert_eq!(fixture.value("SELECT reason FROM bodrelay_backlog").await, "why");

    let of = |key: &str, state: &str| LogRow { state: state.into(), ..log_row(key) };
    let now = bodrelay::clock::Clock::now(&bodrelay::clock::SystemClock);
    let rows = vec![
        of("k1", "accepted"),
        LogRow { failure_code: Some("HTTP_400".into()), ..of("k2", "failed") },
        LogRow { held_by: Some("k2".into()), ..of("k3", "pending") },
        of("k4", "pending"),
        LogRow { in_doubt: true, ..of("k5", "in_flight") },
        of("k6", "discarded"),
        LogRow { seen_at: now, attempts: 2, ..of("k7", "accepted") },
        LogRow { seen_at: now, ..of("k8", "failed") },
        LogRow { connection_point: "GONE".into(), ..of("k9", "failed") },
    ];
    settle(&*database, rows).await;
    let errors = fixture.rows("SELECT message_key FROM bodrelay_errors ORDER BY message_key").await;
    assert_eq!(errors.concat(), ["k2", "k3", "k5", "k8"], "what waits in peace is no error");
    let today = "SELECT connection_point, verb, noun, messages, accepted, failed, waiting, given_up, attempts \
                 FROM bodrelay_today";
    assert_eq!(fixture.rows(today).await, [["CP1", "Sync", "SalesOrder", "2", "1", "1", "0", "0", "3"]]);
    let script = fixture.value("SELECT max(script_no) FROM bodrelay_version").await;
    assert_eq!(script, SCRIPT_KNOWN.to_string());
    let survey = database.survey().await.unwrap();
    assert!(survey.problems.is_empty() && survey.script == SCRIPT_KNOWN, "{survey:?}");
}

/// What the README tells people to type, as it is written there: in lines of their own, and in tables.
pub async fn the_readme_can_be_typed<F: Fixture>() {
    const README: &str = include_str!("../../README.md");
    let verbs = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
    // Composing is typed by another test, since it makes tables of its own.
    let (before, composing) = README.split_once("\n## Composing documents\n").unwrap();
    let after = composing.split_once("\n## ").unwrap().1;
    let typed = format!("{before}\n{after}");
    let of_lines = typed.lines().filter(|line| line.starts_with("    ")).map(str::trim);
    let of_tables = typed.split('`').skip(1).step_by(2);
    let statements: Vec<&str> = of_lines
        .chain(of_tables)
        .filter(|text| verbs.iter().any(|verb| text.starts_with(verb)))
        // Inside a shell's quotes, with the shell's own marks in it.
        .filter(|text| !text.contains("\\\"") && !text.contains('…') && !text.contains("column1"))
        .collect();
    assert!(statements.len() > 20, "{statements:#?}");
    let fixture = F::fresh().await;
    fixture
        .exec(
            "INSERT INTO bodrelay_connection_point (connection_point, location_name, tenant_id, logical_id) \
             VALUES ('wms', 'PLANT1', 'DEMO_TST', 'lid://infor.ims.wms')",
        )
        .await;
    for statement in statements {
        fixture.exec(statement).await;
    }
    let commands = "SELECT count(DISTINCT command) FROM bodrelay_command";
    assert!(fixture.value(commands).await.parse::<i64>().unwrap() >= 5, "they were carried out");
}

pub async fn history_is_read<F: Fixture>() {
    let fixture = F::fresh().await;
    fixture.run_script("audit.sql").await;
    fixture.exec(CP1).await;
    fixture.exec("UPDATE bodrelay_connection_point SET batch_rows = 7").await;
    let changes = fixture.open().history_read().await.unwrap();
    let of = |column: Option<&str>| {
        changes.iter().filter(|change| change.column_name.as_deref() == column).collect::<Vec<_>>()
    };
    let [made, changed] = of(Some("batch_rows"))[..] else { panic!("{changes:?}") };
    let values =
        |change: &bodrelay::database::ChangeRow| (change.old_value.clone(), change.new_value.clone());
    let mut both = [values(made), values(changed)];
    both.sort();
    assert_eq!(both, [(None, Some("500".into())), (Some("500".into()), Some("7".into()))]);
    let last = of(None);
    assert_eq!(
        (last.len(), &*last[0].table_name, &*last[0].row_key),
        (1, "bodrelay_connection_point", "CP1")
    );
    assert!(last[0].changed_at.is_some());
}

pub async fn audit_tells_what_was_changed<F: Fixture>() {
    let fixture = F::fresh().await;
    fixture.run_script("audit.sql").await;
    fixture.exec(CP1).await;
    fixture.exec("DELETE FROM bodrelay_setting_history").await;
    fixture.exec("UPDATE bodrelay_connection_point SET batch_rows = 7, blackout = '12:00-13:00', send_mode = send_mode").await;
    fixture.exec("UPDATE bodrelay_connection_point SET refused_reason = 'the agent says'").await;
    fixture
        .exec(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Sync', 'Item')",
        )
        .await;
    fixture.exec("UPDATE bodrelay_document SET enabled = 0").await;
    fixture.exec("DELETE FROM bodrelay_status_rule WHERE http_status IN (502, 504)").await;
    let history = "SELECT table_name, row_key, column_name, old_value, new_value FROM bodrelay_setting_history \
                   WHERE column_name IN ('batch_rows', 'blackout', 'send_mode', 'refused_reason', 'enabled', 'answer_class') \
                   ORDER BY table_name, row_key, column_name, old_value, new_value";
    let rows = fixture.rows(history).await;
    let mut rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    rows.sort();
    let item = "CP1/out/Sync/Item";
    assert_eq!(
        rows,
        [
            ["bodrelay_connection_point", "CP1", "batch_rows", "500", "7"],
            ["bodrelay_connection_point", "CP1", "blackout", "NULL", "12:00-13:00"],
            ["bodrelay_document", item, "enabled", "1", "0"],
            ["bodrelay_document", item, "enabled", "NULL", "1"],
            ["bodrelay_status_rule", "*/502", "answer_class", "retry", "NULL"],
            ["bodrelay_status_rule", "*/504", "answer_class", "retry", "NULL"],
        ]
    );
    fixture.run_script("uninstall.sql").await;
    fixture.install_control().await;
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_setting_history").await, "0");
}
