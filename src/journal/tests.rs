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
    assert_eq!(journal.apply(admissions(point, next)).await.unwrap().len(), 50);
    assert_eq!(journal.in_flight(point).await.unwrap().len(), in_flight.len() + 50);
    let check: String = journal
        .query(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(check, "ok");
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
