//! A database that is locked, or lacks what the agent needs.

use bodrelay::database::{DatabaseError, Settle};

use super::{Fixture, scan_all};

pub async fn locked_database_is_unavailable_and_works_again<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.insert(&[1]).await;
    let settle = Settle { accepted: vec![1], ..Settle::default() };
    let held = fixture.hold().await;
    let error = database.outbox_settle(&settle).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Unavailable { operation: "outbox_settle", .. }), "{error:?}");
    assert!(error.to_string().contains("tries again"), "{error}");
    drop(held);
    database.outbox_settle(&settle).await.unwrap();
    assert_eq!(fixture.flags().await, [["1", "1"]]);
}

pub async fn missing_tables_need_mending<F: Fixture>() {
    let fixture = F::empty().await;
    let database = fixture.open();
    for error in [
        database.outbox_scan(&scan_all()).await.map(drop).unwrap_err(),
        database.control_read().await.map(drop).unwrap_err(),
        database.command_read().await.map(drop).unwrap_err(),
        database
            .outbox_settle(&Settle { accepted: vec![1], ..Settle::default() })
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(error, DatabaseError::NeedsMending { .. }), "{error:?}");
        assert!(error.to_string().contains("bodrelay check"), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "the cause is kept");
    }
}
