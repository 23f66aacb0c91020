//! A full journal (`PRAGMA max_page_count` stands in for a full disk, on the journal's own connection), and a write-ahead
//! log that stays bounded.

use std::sync::Arc;

use uuid::Uuid;

use super::{Admission, Change, Journal, JournalError};
use crate::domain::ids::{IdentityDigest, LaneKey};

fn admissions(point_id: i64, from: i64) -> Arc<Vec<Change>> {
    let admission = |entry_id: i64| Admission {
        point_id,
        entry_id,
        message_key: Uuid::now_v7(),
        identity: IdentityDigest([1; 16]),
        message_id: format!("id-{entry_id}"),
        message_id_given: true,
        derived_message_id: String::new(),
        lane: LaneKey(entry_id),
        document_type: "Sync.ItemMaster".into(),
        priority: 4,
        facts: Arc::default(),
        in_doubt: false,
        late: false,
        failure: None,
        hold_after_failure: false,
        begin: true,
        now: 0,
    };
    Arc::new((from..from + 50).map(|id| Change::Admit(Box::new(admission(id)))).collect())
}

async fn limit(journal: &Journal, pages: i64) {
    journal.query(move |connection| connection.pragma_update(None, "max_page_count", pages)).await.unwrap();
}

#[tokio::test]
async fn a_full_journal_changes_nothing_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite"), 0).unwrap().journal;
    let database = journal.meet_database("erp", "fingerprint").await.unwrap();
    let point = journal.meet_point(database.database_id, "CP1").await.unwrap().point_id;
    let pages = journal
        .query(|connection| connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)))
        .await
        .unwrap();
    limit(&journal, pages + 20).await;
    let mut next = 1;
    let error = loop {
        match journal.apply(admissions(point, next)).await {
            Ok(_) => next += 50,
            Err(error) => break error,
        }
        assert!(next < 10_000, "the limit does not bite");
    };
    assert!(matches!(error, JournalError::NoRoom { what: "the disk is full", .. }), "{error:?}");
    assert!(error.to_string().contains("journal.sqlite"), "{error}");
    let in_flight = journal.in_flight(point).await.unwrap();
    assert_eq!(i64::try_from(in_flight.len()).unwrap(), next - 1, "nothing of the refused list is there");
    assert!(matches!(journal.apply(admissions(point, next)).await, Err(JournalError::NoRoom { .. })));
    limit(&journal, 1_000_000).await;
    assert_eq!(journal.apply(admissions(point, next)).await.unwrap().applied.len(), 50);
    assert_eq!(journal.in_flight(point).await.unwrap().len(), in_flight.len() + 50);
    let check: String = journal
        .query(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(check, "ok");
}

/// 30,000 rows that wait for somebody, 30,000 that failed, as many held by them: what is asked about the next row, and about
/// the next pass, must not go over them.
#[tokio::test]
async fn what_rests_costs_the_next_row_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite"), 0).unwrap().journal;
    let database = journal.meet_database("erp", "fingerprint").await.unwrap();
    journal.meet_point(database.database_id, "CP1").await.unwrap();
    let steps = |statement: &'static str, parameters: &'static [i64]| {
        let journal = journal.clone();
        async move {
            let run = journal.query(move |connection| {
                let mut statement = connection.prepare(statement)?;
                let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
                while rows.next()?.is_some() {}
                drop(rows);
                Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
            });
            run.await.unwrap()
        }
    };
    journal
        .query(|connection| {
            connection.execute_batch(
                "WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 30000)
                 INSERT INTO parked (point_id, entry_id, reason, document_type, lane, holds, header_count, first_seen)
                 SELECT 1, n, 'unlisted', 'Sync.Item' || (n % 7), n, 0, 5, 0 FROM rows;
                 WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 60000)
                 INSERT INTO message (message_key, point_id, entry_id, identity, message_id, lane, document_type,
                                      priority, state, settled, held_by, holds, seen_at, facts)
                 SELECT randomblob(16), 1, 30000 + n, randomblob(16), 'id', n % 30000, 'Sync.Item', 4,
                        iif(n <= 30000, 3, 0), n <= 30000, iif(n <= 30000, NULL, n - 30000), n <= 30000, 0, '{}'
                   FROM rows",
            )
        })
        .await
        .unwrap();
    use super::statements as sql;
    // The last number: how many steps are enough.
    for (statement, parameters, most) in [
        (sql::ADMISSION_FACTS, &[1, 100_000, 999_999, 5][..], 150),
        (sql::MESSAGE_OPEN, &[1, 100_000, 101_000], 30),
        (sql::PARKED_RANGE, &[1, 100_000, 101_000], 30),
        (sql::PARKED_FOLLOW, &[1, 100, 0], 100),
        (sql::PARKED_WOKEN, &[1, 500], 30),
        (sql::MESSAGE_PENDING, &[1, 100_000, 1_000], 30),
        (sql::MESSAGE_HOLD_BACK, &[45_000], 150),
    ] {
        let steps = steps(statement, parameters).await;
        assert!(steps < most, "{steps} steps, {most} are allowed: {statement}");
    }
    let headers = journal
        .query(|connection| {
            let mut statement = connection.prepare(sql::PARKED_PAGE)?;
            assert!(statement.query((1, "headers", None::<String>, 200))?.next()?.is_none());
            Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
        })
        .await
        .unwrap();
    assert!(headers < 50, "{headers} steps to see that nothing waits for headers");
    // Settings that let none of them go.
    for (statement, types) in [
        (sql::PARKED_WAKE_LISTED, r#"["Sync.Item9", "Sync.Other", ""]"#),
        (sql::PARKED_WAKE_ENABLED, r#"["Sync.Item1"]"#),
    ] {
        let steps = journal
            .query(move |connection| {
                let mut statement = connection.prepare(statement)?;
                assert_eq!(statement.execute((1, types))?, 0);
                Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
            })
            .await
            .unwrap();
        assert!(steps < 100, "{steps} steps: {statement}");
    }
    // An order that is refused as long as a failed message holds its lane is asked for again and again.
    let refusing = journal
        .query(|connection| {
            connection.execute("INSERT INTO noun_order VALUES (1, 'Item', 'document', 0)", [])?;
            let mut statement = connection.prepare(sql::NOUN_ORDER_WRITE)?;
            assert_eq!(statement.execute((1, "Item", "none", 100_000))?, 0);
            Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
        })
        .await
        .unwrap();
    assert!(refusing < 100, "{refusing} steps to refuse another order");
    let walk = journal.parked_walk(1, "unlisted", ("Sync.Item3".into(), 29_998), 3).await.unwrap();
    let walked: Vec<(&str, i64)> = walk.iter().map(|(of, id)| (of.as_str(), *id)).collect();
    assert_eq!(walked, [("Sync.Item4", 4), ("Sync.Item4", 11), ("Sync.Item4", 18)]);
    // Each figure goes over its own index, and a start over one for all that rests: once, and without reading messages.
    for statement in [sql::MESSAGE_COUNTS, sql::MESSAGE_IN_FLIGHT] {
        let steps = steps(statement, &[1]).await;
        assert!(steps < 60_000 * 8, "{steps} steps: {statement}");
    }
    let lowest = journal.parked(1, "unlisted", Some("Sync.Item3".into()), 3).await.unwrap();
    assert_eq!(lowest.iter().map(|row| row.entry_id).collect::<Vec<_>>(), [3, 10, 17]);
    let all = journal.parked(1, "unlisted", None, 4).await.unwrap();
    assert_eq!(all.iter().map(|row| row.entry_id).collect::<Vec<_>>(), [1, 2, 3, 4], "of any type");
}

/// What old rows cost must grow with their number, not with its square: once 1,000 of them took the journal 400 ms.
#[tokio::test]
async fn old_rows_are_forgotten_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite"), 0).unwrap().journal;
    let steps = journal
        .query(|connection| {
            connection.execute_batch(
                "WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 2000)
                 INSERT INTO delivered (point_id, entry_id, identity, given_id_hash, settled_at)
                 SELECT 1, n, randomblob(16), n * 7919 % 2000 + 1, n FROM rows;
                 INSERT INTO given_id (point_id, given_id_hash, entry_id)
                 SELECT point_id, given_id_hash, entry_id FROM delivered",
            )?;
            let gone = super::apply::json(&(1..=1_000).collect::<Vec<i64>>());
            let mut forget = connection.prepare(super::statements::GIVEN_ID_FORGET)?;
            assert_eq!(forget.execute((1, gone, 901))?, 900);
            Ok(forget.get_status(rusqlite::StatementStatus::VmStep))
        })
        .await
        .unwrap();
    assert!(steps < 100_000, "{steps} steps for 900 rows");
    let left = journal
        .query(|connection| {
            connection.query_row("SELECT count(*), min(entry_id) FROM given_id", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
        })
        .await
        .unwrap();
    assert_eq!(left, (1_100, 901), "what is younger stays");
}

/// 100 MB of commits: without anybody who copies them back the log would hold them all, and the file nothing.
#[tokio::test]
async fn what_commits_write_is_copied_back_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.sqlite");
    let journal = Journal::open(&file, 0).unwrap().journal;
    let database = journal.meet_database("erp", "fingerprint").await.unwrap();
    let point_id = journal.meet_point(database.database_id, "CP1").await.unwrap().point_id;
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
    for number in 0..100 {
        let logical_id = format!("lid://{number}.{}", "x".repeat(1_000_000));
        journal.apply(Arc::new(vec![Change::Receiver { point_id, logical_id }])).await.unwrap();
    }
    let log = folder.path().join("journal.sqlite-wal");
    assert!(size(&log) < 70_000_000, "the log has {} bytes", size(&log));
    // What the other connection has begun to copy ends some time after the commits.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while size(&file) < 16_000_000 {
        assert!(std::time::Instant::now() < end, "the file has {} bytes", size(&file));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
