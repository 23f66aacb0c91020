//! The constraints of the install script: what a DBA's hand must not be able to write.

use super::Fixture;
use super::control::CP1;

async fn refuses<F: Fixture>(fixture: &F, sql: &str) {
    assert!(fixture.try_exec(sql).await.is_err(), "was not refused: {sql}");
}

pub async fn checks_refuse_each_bad_value<F: Fixture>() {
    let fixture = F::fresh().await;
    fixture.exec(CP1).await;
    fixture
        .exec(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Sync', 'Item')",
        )
        .await;
    let long = format!("'{}'", "x".repeat(4001));
    let of_connection_points = [
        "connection_point = ''",
        "location_name = NULL",
        "tenant_id = 'a tenant of more than 22'",
        "logical_id = 'infor.ims.x'",
        "logical_id = 'lid://'",
        "logical_id = 'lid://default'",
        "source_kind = 'file'",
        "send_mode = 'ON'",
        "receive_mode = 'observe'",
        "poll_seconds = 0",
        "poll_seconds = 86401",
        "poll_seconds = NULL",
        "poll_cron = '* * * * *'",
        "poll_seconds = 'often'",
        "batch_rows = 0",
        "batch_rows = 10001",
        "batch_rows = 'all'",
        "parallel_posts = 0",
        "parallel_posts = 257",
        "max_document_bytes = 1023",
        "max_document_bytes = 52428801",
        "max_messages_per_second = 0",
        "after_failure = 'stop'",
        "backoff_step_seconds = 0",
        "backoff_max_seconds = 9",
        "lone_rounds = 0",
        "lone_in_doubt_tries = 0",
        "headers_grace_seconds = -1",
        "ims_version = 'v1'",
        "ims_method = 'post'",
        "encoding = 'gzip'",
        "check_accepted = 2",
        "log_messages = 'none'",
        "log_attempts = 'none'",
        "log_keep_days = 0",
        "outbox_keep_hours = 0",
        "send_rows_from = '31.01.2026'",
    ];
    for set in of_connection_points {
        refuses(&fixture, &format!("UPDATE bodrelay_connection_point SET {set}")).await;
    }
    // A database with types brings these to what the column holds; none keeps them as they are.
    for (column, value) in [("parallel_posts", "1.5"), ("send_rows_from", "'2026-01-31'")] {
        let set = format!("UPDATE bodrelay_connection_point SET {column} = {value}");
        if fixture.try_exec(&set).await.is_ok() {
            let kept = fixture.value(&format!("SELECT {column} FROM bodrelay_connection_point")).await;
            assert!(kept.parse::<i64>().is_ok() || kept.len() == 24, "{set} was kept as {kept}");
        }
    }
    let of_documents = [
        "direction = 'both'",
        "verb = ''",
        "noun = ''",
        "enabled = 2",
        "order_by = 'noun'",
        "after_failure = 'stop'",
        "max_document_bytes = 1",
        "duplicate_key = 'id'",
        "older_variation = 'drop'",
    ];
    for set in of_documents {
        refuses(&fixture, &format!("UPDATE bodrelay_document SET {set}")).await;
    }
    let of_rules = [
        "http_status = 99",
        "http_status = 1000",
        "http_status = 200",
        "http_status = 299",
        "answer_class = 'accepted'",
    ];
    for set in of_rules {
        refuses(&fixture, &format!("UPDATE bodrelay_status_rule SET {set} WHERE http_status = 502")).await;
    }
    for (table, column) in [
        ("connection_point", "description"),
        ("connection_point", "blackout"),
        ("connection_point", "poll_cron"),
        ("document", "namespace"),
        ("document", "document_id_path"),
        ("status_rule", "note"),
    ] {
        refuses(&fixture, &format!("UPDATE bodrelay_{table} SET {column} = {long}")).await;
    }
    refuses(&fixture, &CP1.replace("'CP1'", "'CP2'")).await;
    fixture.exec(&CP1.replace("'CP1'", "'CP2'").replace("ims.cp1", "ims.cp2")).await;
}

pub async fn commands_are_checked<F: Fixture>() {
    let fixture = F::fresh().await;
    for (columns, values) in [
        ("command, connection_point", "'delete', '*'"),
        ("command", "'pause'"),
        ("command, connection_point", "'resubmit', 'CP1'"),
        ("command, connection_point", "'resend', 'CP1'"),
        ("command, connection_point, noun", "'discard', 'CP1', 'Item'"),
        ("command, connection_point, noun, reason", "'discard', 'CP1', 'Item', ' '"),
        ("command, connection_point, reason", "'discard', 'CP1', 'why'"),
        ("command, connection_point, from_at", "'resubmit', 'CP1', 'no time'"),
        ("command, connection_point, direction", "'pause', 'CP1', 'both'"),
        ("command, connection_point, dry_run", "'pause', 'CP1', 2"),
        ("command, connection_point, state", "'pause', 'CP1', 'old'"),
    ] {
        refuses(&fixture, &format!("INSERT INTO bodrelay_command ({columns}) VALUES ({values})")).await;
    }
    for (columns, values) in [
        ("command, connection_point", "'pause', '*'"),
        ("command, connection_point, noun, reason", "'discard', 'CP1', 'Item', 'why'"),
        ("command, connection_point, from_at", "'resubmit', 'CP1', '2026-01-31T00:00:00.000Z'"),
    ] {
        fixture.exec(&format!("INSERT INTO bodrelay_command ({columns}) VALUES ({values})")).await;
    }
}

pub async fn install_adds_the_status_rules<F: Fixture>() {
    let fixture = F::fresh().await;
    let rules = fixture.open().control_read().await.unwrap().status_rules;
    let of = |class: &str| -> Vec<i64> {
        rules.iter().filter(|rule| rule.answer_class == class).map(|rule| rule.http_status).collect()
    };
    assert!(rules.iter().all(|rule| rule.connection_point == "*"));
    assert_eq!(of("retry"), [401, 408, 429, 500, 502, 503, 504]);
    assert_eq!(of("suspend"), [300, 301, 302, 303, 304, 305, 306, 307, 308, 403, 404, 405, 407, 410, 412]);
    assert_eq!(rules.len(), 22);
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_status_rule WHERE note IS NULL").await, "0");
}
