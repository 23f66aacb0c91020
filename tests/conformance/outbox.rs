//! Scan, load, settle, backlog.

use bodrelay::database::{AttemptRow, Scan, Scanned, Selection, Settle};

use super::{Fixture, at, ids, log_row, scan_all};

pub async fn scan_pages_in_order<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let page = database.outbox_scan(&scan_all()).await.unwrap();
    assert!(page.entries.is_empty());
    assert_eq!(page.highest, 0);

    fixture.insert(&[5, 3, 9, 7]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID = 9").await;
    let page = database.outbox_scan(&scan_all()).await.unwrap();
    let lengths = |id| Scanned { entry_id: id, payload_bytes: 4 };
    assert_eq!(page.entries, [lengths(3), lengths(5), lengths(7)]);
    assert_eq!(page.highest, 9, "the highest of the table, whatever its flag");

    let page = |after, up_to, limit| Scan { after, up_to, limit, ..scan_all() };
    assert_eq!(ids(&*database, &page(0, 100, 2)).await, [3, 5]);
    assert_eq!(ids(&*database, &page(5, 100, 2)).await, [7]);
    assert_eq!(ids(&*database, &page(3, 5, 10)).await, [5]);
    assert_eq!(ids(&*database, &page(0, 100, 0)).await, [0_i64; 0]);
    assert_eq!(ids(&*database, &page(0, 100, -1)).await, [0_i64; 0], "no limit is no way out of the bound");
}

pub async fn scan_finds_rows_that_commit_late<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[10, 12]).await;
    assert_eq!(ids(&*database, &scan_all()).await, [10, 12]);
    fixture.insert(&[11]).await;
    let range = Scan { after: 9, up_to: 12, ..scan_all() };
    assert_eq!(ids(&*database, &range).await, [10, 11, 12]);
}

pub async fn scan_says_gaps_and_what_fills_them<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[10, 12, 13, 20]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID = 12").await;
    let page = database.outbox_scan(&scan_all()).await.unwrap();
    assert!(page.gaps.is_empty() && page.filled.is_empty(), "nobody asked");
    let gaps = async |after, up_to, limit, gaps_among| {
        let scan = Scan { after, up_to, limit, gaps_among, ..scan_all() };
        database.outbox_scan(&scan).await.unwrap().gaps
    };
    assert_eq!(gaps(5, i64::MAX, 9, 100).await, [(6, 9), (11, 11), (14, 19)]);
    assert_eq!(gaps(5, i64::MAX, 2, 100).await, [(6, 9), (11, 11)], "the page ends with row 13");
    assert_eq!(gaps(5, i64::MAX, 9, 9).await, [(14, 19)], "among the last nine ids");
    assert_eq!(gaps(i64::MIN, 10, 9, 30).await, [(-19, 9)]);
    assert_eq!(gaps(12, 13, 9, 100).await, []);
    assert_eq!(gaps(20, i64::MAX, 9, 100).await, []);
    assert_eq!(gaps(8, 10, 0, 100).await, [(9, 9)], "without a page, too");

    fixture.insert(&[11, 14, 19, 21]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = 14").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_LOGICAL_ID = 'M', C_WAS_PROCESSED = 0 WHERE C_ID = 19").await;
    let filled = async |logical_id: Option<&str>| {
        let selection = Selection { logical_id: logical_id.map(str::to_owned), ..Selection::default() };
        let holes = vec![(6, 9), (11, 11), (14, 19)];
        let page = database.outbox_scan(&Scan { selection, after: 20, holes, ..scan_all() }).await.unwrap();
        assert_eq!(page.entries.iter().map(|entry| entry.entry_id).collect::<Vec<_>>(), [21]);
        page.filled
            .iter()
            .map(|filled| (filled.entry_id, filled.is_chosen, filled.payload_bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(filled(None).await, [(11, true, 4), (14, false, 4), (19, true, 4)]);
    assert_eq!(filled(Some("L")).await, [(11, true, 4), (14, false, 4), (19, false, 4)]);
}

pub async fn scan_selects_by_tenant_and_logical_id<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3, 4]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_TENANT_ID = 'U' WHERE C_ID = 2").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_LOGICAL_ID = 'M' WHERE C_ID = 3").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_TENANT_ID = NULL, C_LOGICAL_ID = NULL WHERE C_ID = 4").await;
    for (tenant_id, logical_id, expected) in [
        (None, None, vec![1, 2, 3, 4]),
        (Some("T"), None, vec![1, 3]),
        (Some("T"), Some("L"), vec![1]),
        (None, Some("L"), vec![1, 2]),
        (Some("t"), None, vec![]),
    ] {
        let selection = Selection {
            tenant_id: tenant_id.map(str::to_owned),
            logical_id: logical_id.map(str::to_owned),
            rows_from: None,
        };
        let scan = Scan { selection: selection.clone(), ..scan_all() };
        assert_eq!(ids(&*database, &scan).await, expected, "{selection:?}");
        let backlog = database.outbox_backlog(&selection, 10).await.unwrap();
        assert_eq!(backlog.waiting_rows, i64::try_from(expected.len()).unwrap(), "{selection:?}");
    }
}

pub async fn scan_leaves_old_rows_alone<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let created = [
        (1, "'2026-01-31 09:59:59.999'"),
        (2, "'2026-01-31T10:00:00Z'"),
        (3, "'2026-01-31 10:00:00'"),
        (4, "'no time'"),
        (5, "NULL"),
        (6, "'2025-12-31T23:00:00.000Z'"),
    ];
    for (id, created) in created {
        fixture.insert(&[id]).await;
        fixture
            .exec(&format!("UPDATE COR_OUTBOX_ENTRY SET C_CREATED_DATE_TIME = {created} WHERE C_ID = {id}"))
            .await;
    }
    let rows_from = Some(at("2026-01-31T10:00:00Z"));
    for logical_id in [None, Some("L".to_owned())] {
        let selection = Selection { rows_from, logical_id, tenant_id: None };
        // What has no readable time is not known to be old, and must not be lost for it.
        assert_eq!(ids(&*database, &Scan { selection: selection.clone(), ..scan_all() }).await, [2, 3, 4, 5]);
        let backlog = database.outbox_backlog(&selection, 10).await.unwrap();
        assert_eq!((backlog.waiting_rows, backlog.oldest), (4, rows_from));
    }
}

pub async fn scan_of_a_1_0_box<F: Fixture>() {
    let fixture = F::empty().await;
    fixture.install_control().await;
    fixture.install_box_1_0().await;
    fixture.exec("INSERT INTO COR_OUTBOX_ENTRY (C_ID, C_TENANT_ID, C_XML) VALUES (1, 'T', '<x/>')").await;
    let database = fixture.open();
    let selection = Selection { tenant_id: Some("T".into()), ..Selection::default() };
    assert_eq!(ids(&*database, &Scan { selection, ..scan_all() }).await, [1]);
    assert_eq!(database.outbox_load(&[1], usize::MAX).await.unwrap().entries.len(), 1);
    let selection = Selection { logical_id: Some("L".into()), ..Selection::default() };
    let error = database.outbox_scan(&Scan { selection: selection.clone(), ..scan_all() }).await.unwrap_err();
    assert!(error.to_string().contains("source_logical_id"), "{error}");
    let error = database.outbox_backlog(&selection, 10).await.unwrap_err();
    assert!(error.to_string().contains("C_LOGICAL_ID"), "{error}");
    let survey = database.survey().await.unwrap();
    assert_eq!(survey.problems, [], "a 1.0 box is a whole box");
}

pub async fn load_gives_rows_with_headers<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3]).await;
    fixture
        .exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9, C_MESSAGE_PRIORITY = 7 WHERE C_ID = 2")
        .await;
    for (id, entry, key, value) in
        [(5, 2, "'TenantId'", "'T'"), (4, 2, "'BODType'", "'Sync.Item'"), (6, 1, "'A'", "''")]
    {
        fixture
            .exec(&format!(
                "INSERT INTO COR_OUTBOX_HEADERS (C_ID, C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) \
                 VALUES ({id}, {entry}, {key}, {value})"
            ))
            .await;
    }
    let entries = database.outbox_load(&[2, 77, 1], usize::MAX).await.unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.entry_id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(entries[0].headers, [("A".to_owned(), String::new())]);
    let two = &entries[1];
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(two.headers, [pair("BODType", "Sync.Item"), pair("TenantId", "T")], "in the order of C_ID");
    assert_eq!((two.was_processed, two.priority), (9, 7));
    assert_eq!(two.created, "2026-01-31 10:20:30");
    assert_eq!(two.created_at, Some(at("2026-01-31T10:20:30Z")));
    assert_eq!(&two.payload.as_ref().unwrap().bytes[..], b"<x/>");
    assert!(database.outbox_load(&[], usize::MAX).await.unwrap().entries.is_empty());
}

pub async fn load_carries_odd_values_through<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3, 4]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_MESSAGE_PRIORITY = NULL, C_XML = NULL WHERE C_ID = 1").await;
    fixture
        .exec("UPDATE COR_OUTBOX_ENTRY SET C_MESSAGE_PRIORITY = 12, C_WAS_PROCESSED = NULL WHERE C_ID = 2")
        .await;
    fixture
        .exec(
            "UPDATE COR_OUTBOX_ENTRY SET C_MESSAGE_PRIORITY = -1, C_CREATED_DATE_TIME = NULL WHERE C_ID = 3",
        )
        .await;
    let is_text = fixture.set_bytes_as_text("C_XML", 4, b"<x>\xFC</x>").await;
    if !fixture.set_bytes_as_text("C_CREATED_DATE_TIME", 4, b"\xFC").await {
        fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_CREATED_DATE_TIME = '\u{FFFD}' WHERE C_ID = 4").await;
    }
    for (key, value) in [("'A'", "NULL"), ("NULL", "'b'"), ("'N'", "42"), ("'Z'", "'z'")] {
        fixture
            .exec(&format!(
                "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES (1, {key}, {value})"
            ))
            .await;
    }
    assert_eq!(ids(&*database, &scan_all()).await, [1, 3, 4], "NULL is not 0");
    let page = database.outbox_scan(&scan_all()).await.unwrap();
    assert_eq!(page.entries[0].payload_bytes, 0);
    let entries = database.outbox_load(&[1, 2, 3, 4], usize::MAX).await.unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.priority).collect::<Vec<_>>(), [4, 9, 0, 4]);
    assert!(entries[0].payload.is_none());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(entries[0].headers, [pair("N", "42"), pair("Z", "z")]);
    assert_ne!(entries[1].was_processed, 0);
    assert_eq!((entries[2].created.as_str(), entries[2].created_at), ("", None));
    assert_eq!(&entries[3].payload.as_ref().unwrap().bytes[..], b"<x>\xFC</x>");
    assert_eq!(entries[3].payload.as_ref().unwrap().is_text, is_text);
    assert_eq!((entries[3].created.as_str(), entries[3].created_at), ("\u{FFFD}", None));
}

fn attempt(message_key: &str, attempt_no: i64) -> AttemptRow {
    AttemptRow {
        message_key: message_key.into(),
        attempt_no,
        started_at: at("2026-01-31T10:20:32.000Z"),
        duration_ms: 12,
        http_status: Some(503),
        answer_class: "retry".into(),
        in_doubt: false,
        failure_code: Some("HTTP_503".into()),
        answer_text: Some("busy".into()),
        host: "h1".into(),
    }
}

pub async fn settle_flags_and_logs<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3, 4]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = 2").await;
    let settle = Settle {
        accepted: vec![1, 2],
        failed: vec![3],
        log: vec![log_row("k1"), log_row("k2")],
        attempts: vec![attempt("k1", 1), attempt("k1", 2)],
    };
    let settled = database.outbox_settle(&settle).await.unwrap();
    assert_eq!(settled, Default::default());
    assert_eq!(fixture.flags().await, [["1", "1"], ["2", "1"], ["3", "9"], ["4", "0"]]);
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_message_log").await, "2");
    assert_eq!(
        fixture
            .rows("SELECT message_key, attempt_no, failure_code FROM bodrelay_attempt ORDER BY 1, 2")
            .await,
        [["k1", "1", "HTTP_503"], ["k1", "2", "HTTP_503"]]
    );
}

pub async fn settle_again_changes_nothing<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2]).await;
    let mut settle = Settle {
        accepted: vec![1],
        failed: vec![2],
        log: vec![log_row("k1")],
        attempts: vec![attempt("k1", 1)],
    };
    database.outbox_settle(&settle).await.unwrap();
    settle.attempts[0].duration_ms = 99;
    let settled = database.outbox_settle(&settle).await.unwrap();
    assert_eq!((settled.already_flagged, settled.gone), (vec![1], vec![]));
    assert_eq!(fixture.flags().await, [["1", "1"], ["2", "9"]]);
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_message_log").await, "1");
    assert_eq!(fixture.value("SELECT duration_ms FROM bodrelay_attempt").await, "12");
}

pub async fn settle_tells_another_senders_flag<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID IN (2, 3)").await;
    let settle = Settle { accepted: vec![1, 2], failed: vec![3], ..Settle::default() };
    let settled = database.outbox_settle(&settle).await.unwrap();
    assert_eq!((settled.already_flagged, settled.gone), (vec![2], vec![]));
    assert_eq!(fixture.flags().await, [["1", "1"], ["2", "1"], ["3", "1"]], "1 never becomes 9");
}

pub async fn settle_tells_gone_rows<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2]).await;
    let settle = Settle { accepted: vec![1, 77], failed: vec![2, 78], ..Settle::default() };
    let settled = database.outbox_settle(&settle).await.unwrap();
    assert_eq!((settled.already_flagged, settled.gone), (vec![], vec![77, 78]));
    assert_eq!(fixture.flags().await, [["1", "1"], ["2", "9"]]);
}

pub async fn settle_is_atomic<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2]).await;
    let mut bad = log_row("k2");
    bad.state = "nonsense".into();
    let mut settle = Settle {
        accepted: vec![1],
        failed: vec![2],
        log: vec![log_row("k1"), bad],
        attempts: vec![attempt("k1", 1)],
    };
    let error = database.outbox_settle(&settle).await.unwrap_err();
    assert!(error.is_about_rows() && error.to_string().contains("nothing was changed"), "{error}");
    assert!(error.to_string().contains("in log_write, the server says: \""), "its own words: {error}");
    assert_eq!(fixture.flags().await, [["1", "0"], ["2", "0"]]);
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_message_log").await, "0");
    settle.log.pop();
    settle.attempts[0].answer_class = "nonsense".into();
    database.outbox_settle(&settle).await.unwrap_err();
    assert_eq!(fixture.flags().await, [["1", "0"], ["2", "0"]]);
    settle.attempts.clear();
    database.outbox_settle(&settle).await.unwrap();
    assert_eq!(fixture.flags().await, [["1", "1"], ["2", "9"]]);
}

pub async fn settle_keeps_what_the_application_set<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 5 WHERE C_ID = 1").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = NULL WHERE C_ID = 2").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = 3").await;
    let settle = Settle { accepted: vec![1, 2], failed: vec![3], ..Settle::default() };
    assert_eq!(database.outbox_settle(&settle).await.unwrap(), Default::default());
    assert_eq!(fixture.flags().await, [["1", "5"], ["2", "NULL"], ["3", "9"]]);
}

pub async fn backlog_is_capped<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let all = Selection::default();
    assert_eq!(database.outbox_backlog(&all, 10).await.unwrap(), Default::default());
    fixture.insert(&[1, 2, 3]).await;
    fixture
        .exec("UPDATE COR_OUTBOX_ENTRY SET C_CREATED_DATE_TIME = '2026-01-30T00:00:00Z' WHERE C_ID = 1")
        .await;
    for (cap, waiting, capped) in [(2, 2, true), (3, 3, false), (10, 3, false)] {
        let backlog = database.outbox_backlog(&all, cap).await.unwrap();
        assert_eq!((backlog.waiting_rows, backlog.capped), (waiting, capped), "cap {cap}");
        assert_eq!(backlog.oldest, Some(at("2026-01-30T00:00:00Z")));
    }
}

pub async fn load_stops_at_its_bytes_but_gives_one_row<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3]).await;
    let loaded = async |bytes| {
        let loaded = database.outbox_load(&[1, 2, 3, 77], bytes).await.unwrap();
        (loaded.entries.iter().map(|entry| entry.entry_id).collect::<Vec<_>>(), loaded.not_loaded)
    };
    assert_eq!(loaded(usize::MAX).await, (vec![1, 2, 3], vec![]));
    assert_eq!(loaded(8).await, (vec![1, 2], vec![3, 77]));
    assert_eq!(loaded(0).await, (vec![1], vec![2, 3, 77]));
}

pub async fn reset_changes_only_failed_rows<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = 3").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID = 2").await;
    assert_eq!(database.outbox_reset(&[1, 2, 3, 77]).await.unwrap(), [3]);
    assert_eq!(fixture.flags().await, [["1", "0"], ["2", "1"], ["3", "0"]]);
    assert_eq!(database.outbox_present(&[77, 3, 1]).await.unwrap(), [1, 3]);
}

pub async fn purge_deletes_what_is_accepted_and_chosen<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1, 2, 3, 4, 5]).await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 1 WHERE C_ID IN (1, 2, 3, 5)").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_WAS_PROCESSED = 9 WHERE C_ID = 4").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_TENANT_ID = 'U' WHERE C_ID = 2").await;
    fixture.exec("UPDATE COR_OUTBOX_ENTRY SET C_LOGICAL_ID = 'M' WHERE C_ID = 3").await;
    for id in 1..=5 {
        fixture
            .exec(&format!(
                "INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE) VALUES ({id}, 'k', 'v')"
            ))
            .await;
    }
    let own = Selection { tenant_id: Some("T".into()), logical_id: Some("L".into()), rows_from: None };
    assert_eq!(database.outbox_purge(&[1, 2, 3, 4, 77], &own).await.unwrap(), [2, 3, 4]);
    let left = "SELECT C_ID FROM COR_OUTBOX_ENTRY ORDER BY C_ID";
    assert_eq!(
        fixture.rows(left).await.concat(),
        ["2", "3", "4", "5"],
        "only what is asked for, at 1 and its own"
    );
    let headers = "SELECT C_OUTBOX_ID FROM COR_OUTBOX_HEADERS ORDER BY C_OUTBOX_ID";
    assert_eq!(fixture.rows(headers).await.concat(), ["2", "3", "4", "5"]);
    let tenant = Selection { logical_id: None, ..own };
    assert_eq!(database.outbox_purge(&[2, 3, 4], &tenant).await.unwrap(), [2, 4]);
    assert_eq!(database.outbox_purge(&[2, 4, 5], &Selection::default()).await.unwrap(), [4]);
    assert_eq!(fixture.rows(left).await.concat(), ["4"]);
    assert!(database.outbox_purge(&[], &Selection::default()).await.unwrap().is_empty());
}
