//! The message log: written, searched, purged.

use std::sync::Arc;

use bodrelay::database::{AttemptRow, Database, LogFilter, LogRow, Settle};

use super::{Fixture, at, log_row, settle};

pub async fn log_is_read_as_written<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let mut failed = log_row("k2");
    failed.state = "failed".into();
    failed.in_doubt = true;
    failed.late = true;
    failed.held_by = Some("k1".into());
    failed.failure_code = Some("HTTP_400".into());
    failed.failure_text = Some("ION refused".into());
    failed.remedy = Some("mend".into());
    failed.next_attempt_at = Some(at("2026-01-31T10:20:40.000Z"));
    let mut bare = log_row("k3");
    bare.facts = Default::default();
    bare.message_id = None;
    bare.finished_at = None;
    let rows = vec![log_row("k1"), failed, bare];
    settle(&*database, rows.clone()).await;
    let read = database.log_search(&LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!(read, rows.into_iter().rev().collect::<Vec<_>>());
}

async fn keys(database: &dyn Database, filter: LogFilter) -> Vec<String> {
    let limit = if filter.limit == 0 { 100 } else { filter.limit };
    let rows = database.log_search(&LogFilter { limit, ..filter }).await.unwrap();
    rows.into_iter().map(|row| row.message_key).collect()
}

/// k1 as `log_row` makes it, and one row more for each column that is searched by.
fn rows() -> Vec<LogRow> {
    let changed = |key: &str, change: &dyn Fn(&mut LogRow)| {
        let mut row = log_row(key);
        change(&mut row);
        row
    };
    vec![
        log_row("k1"),
        changed("k2", &|row| row.direction = "in"),
        changed("k3", &|row| row.state = "failed".into()),
        changed("k4", &|row| row.connection_point = "CP2".into()),
        changed("k5", &|row| row.message_id = Some("five".into())),
        changed("k6", &|row| row.from_logical_id = Some("lid://six".into())),
        changed("k7", &|row| Arc::make_mut(&mut row.facts).to_logical_id = Some("lid://six".into())),
        changed("k8", &|row| Arc::make_mut(&mut row.facts).verb = Some("Process".into())),
        changed("k9", &|row| Arc::make_mut(&mut row.facts).noun = Some("Item".into())),
        changed("l1", &|row| Arc::make_mut(&mut row.facts).document_id = Some("4712".into())),
        changed("l2", &|row| row.failure_code = Some("HTTP_400".into())),
        changed("l3", &|row| Arc::make_mut(&mut row.facts).created_at = Some(at("2026-02-01T00:00:00Z"))),
        changed("l4", &|row| Arc::make_mut(&mut row.facts).created_at = Some(at("2026-01-01T00:00:00Z"))),
    ]
}

pub async fn log_is_searched_by_each_filter<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    settle(&*database, rows()).await;
    let is = |text: &str| Some(text.to_owned());
    let all = LogFilter::default;
    for (filter, expected) in [
        (LogFilter { direction: is("in"), ..all() }, vec!["k2"]),
        (LogFilter { state: is("failed"), ..all() }, vec!["k3"]),
        (LogFilter { connection_point: is("CP2"), ..all() }, vec!["k4"]),
        (LogFilter { message_key: is("k7"), ..all() }, vec!["k7"]),
        (LogFilter { message_id: is("five"), ..all() }, vec!["k5"]),
        (LogFilter { logical_id: is("lid://six"), ..all() }, vec!["k7", "k6"]),
        (LogFilter { verb: is("Process"), ..all() }, vec!["k8"]),
        (LogFilter { noun: is("Item"), ..all() }, vec!["k9"]),
        (LogFilter { document_id: is("4712"), ..all() }, vec!["l1"]),
        (LogFilter { noun: is("SalesOrder"), document_id: is("4712"), ..all() }, vec!["l1"]),
        (LogFilter { failure_code: is("HTTP_400"), ..all() }, vec!["l2"]),
        (LogFilter { created_from: Some(at("2026-02-01T00:00:00Z")), ..all() }, vec!["l3"]),
        (LogFilter { created_to: Some(at("2026-01-01T00:00:00Z")), ..all() }, vec!["l4"]),
        (LogFilter { limit: 2, ..all() }, vec!["l4", "l3"]),
        (LogFilter { connection_point: is("CP1"), state: is("failed"), ..all() }, vec!["k3"]),
        // A filter beside the one that the index is entered by still counts.
        (LogFilter { message_key: is("k7"), state: is("failed"), ..all() }, vec![]),
        (LogFilter { message_id: is("five"), verb: is("Process"), ..all() }, vec![]),
        (
            LogFilter { connection_point: is("CP1"), state: is("accepted"), noun: is("Item"), ..all() },
            vec!["k9"],
        ),
        (LogFilter { created_from: Some(at("2026-01-15T00:00:00Z")), noun: is("Item"), ..all() }, vec!["k9"]),
    ] {
        assert_eq!(keys(&*database, filter.clone()).await, expected, "{filter:?}");
    }
    assert_eq!(keys(&*database, LogFilter { limit: -1, ..all() }).await, [""; 0], "a limit always bounds");
}

pub async fn log_pages_upwards<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    settle(&*database, rows()).await;
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let filter = LogFilter {
            after_key: Some(after.clone()),
            direction: Some("out".into()),
            limit: 5,
            ..LogFilter::default()
        };
        let page = keys(&*database, filter).await;
        let Some(last) = page.last() else { break };
        after = last.clone();
        seen.extend(page);
    }
    assert_eq!(seen, ["k1", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "l1", "l2", "l3", "l4"]);
}

pub async fn log_never_lowers_attempts<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let mut row = log_row("k1");
    row.attempts = 5;
    settle(&*database, vec![row.clone()]).await;
    row.attempts = 1;
    row.state = "failed".into();
    row.seen_at = at("2026-02-02T00:00:00Z");
    row.first_attempt_at = Some(at("2026-02-02T00:00:00Z"));
    settle(&*database, vec![row]).await;
    let read = database.log_search(&LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    assert_eq!((read.len(), read[0].attempts, read[0].state.as_str()), (1, 5, "failed"));
    assert_eq!(read[0].seen_at, log_row("k1").seen_at, "first seen stays");
    assert_eq!(read[0].first_attempt_at, log_row("k1").first_attempt_at);
}

pub async fn log_texts_are_cut_to_their_columns<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let mut row = log_row("k1");
    row.state = "failed".into();
    row.tenant_id = None;
    row.message_id = Some("é".repeat(300));
    Arc::make_mut(&mut row.facts).document_id = Some("d".repeat(300));
    Arc::make_mut(&mut row.facts).verb = Some("v".repeat(300));
    Arc::make_mut(&mut row.facts).noun = Some("n".repeat(300));
    Arc::make_mut(&mut row.facts).accounting_entity = Some("a".repeat(300));
    row.failure_text = Some("t".repeat(5000));
    settle(&*database, vec![row]).await;
    let read = database.log_search(&LogFilter { limit: 10, ..LogFilter::default() }).await.unwrap();
    let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    let facts = &read[0].facts;
    assert_eq!(
        (length(&read[0].message_id), length(&facts.document_id), length(&facts.verb), length(&facts.noun)),
        (250, 100, 30, 100)
    );
    assert_eq!((length(&facts.accounting_entity), length(&read[0].failure_text)), (22, 2000));
}

pub async fn purge_keeps_what_is_unresolved<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let states = [
        "pending",
        "in_flight",
        "accepted",
        "failed",
        "discarded",
        "withdrawn",
        "superseded",
        "stored",
        "duplicate",
        "refused",
    ];
    let mut log: Vec<LogRow> = states
        .iter()
        .map(|state| {
            let mut row = log_row(state);
            row.state = (*state).into();
            row
        })
        .collect();
    let mut late = log_row("late");
    late.finished_at = Some(at("2026-03-01T00:00:00Z"));
    let mut other = log_row("other");
    other.connection_point = "CP2".into();
    log.extend([late, other]);
    let attempts = ["accepted", "failed"]
        .map(|key| AttemptRow {
            message_key: key.into(),
            attempt_no: 1,
            started_at: at("2026-01-31T10:20:32.000Z"),
            duration_ms: 1,
            http_status: None,
            answer_class: "retry".into(),
            in_doubt: true,
            failure_code: None,
            answer_text: None,
            host: "h1".into(),
        })
        .to_vec();
    database.outbox_settle(&Settle { log, attempts, ..Settle::default() }).await.unwrap();
    let before = at("2026-02-01T00:00:00Z");
    assert_eq!(database.log_purge("CP1", at("2026-01-01T00:00:00Z"), 100).await.unwrap(), 0);
    assert_eq!(database.log_purge("CP1", before, 2).await.unwrap(), 2);
    assert_eq!(database.log_purge("CP1", before, 100).await.unwrap(), 5);
    assert_eq!(database.log_purge("CP1", before, 100).await.unwrap(), 0);
    assert_eq!(
        keys(&*database, LogFilter::default()).await,
        ["pending", "other", "late", "in_flight", "failed"],
        "open ones, failures, what finished later and other connection points stay"
    );
    assert_eq!(fixture.rows("SELECT message_key FROM bodrelay_attempt").await, [["failed"]]);
}
