//! What PostgreSQL says of new rows: the trigger of notify.sql, and sessions that end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bodrelay::database::postgres::Postgres;
use bodrelay::database::statements::scripts;
use bodrelay::database::{Database, Owner, OwnerClaim};
use tokio_postgres::Client;

use crate::cluster::{self, Cluster};

const INSERT: &str = "INSERT INTO public.cor_outbox_entry (c_tenant_id, c_xml) VALUES ('T', '<x/>')";

async fn site() -> (Client, Arc<Postgres>) {
    let database = Cluster::shared().database().await;
    let client = Cluster::shared().connect(&database).await;
    cluster::install(&client).await;
    let (_, notify) = scripts::POSTGRES.iter().find(|(name, _)| *name == "notify.sql").unwrap();
    client.batch_execute("SET search_path = public").await.unwrap();
    client.batch_execute(notify).await.unwrap();
    let settings = Cluster::shared().settings(&database);
    (client, Arc::new(Postgres::new(&settings, "h1")))
}

async fn is_quiet(database: &Postgres) -> bool {
    tokio::time::timeout(Duration::from_millis(300), database.outbox_changed()).await.is_err()
}

#[tokio::test]
async fn a_committed_insert_is_heard_once() {
    let (client, database) = site().await;
    database.outbox_changed().await.unwrap();
    assert!(is_quiet(&database).await, "the word to itself is heard by nobody else");
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute(INSERT).await.unwrap();
    assert!(is_quiet(&database).await, "not before its commit");
    let committed = Instant::now();
    client.batch_execute("COMMIT").await.unwrap();
    database.outbox_changed().await.unwrap();
    println!("heard after {:?}", committed.elapsed());
    for _ in 0..200 {
        client.batch_execute(INSERT).await.unwrap();
    }
    let mut words = 0;
    while tokio::time::timeout(Duration::from_millis(300), database.outbox_changed()).await.is_ok() {
        words += 1;
    }
    assert!((1..=2).contains(&words), "a burst is one word, or two: {words}");
    // Setting a flag, as settling does, is no news.
    client.batch_execute("UPDATE public.cor_outbox_entry SET c_was_processed = 1").await.unwrap();
    assert!(is_quiet(&database).await);
}

#[tokio::test]
async fn a_killed_listener_listens_again() {
    let (client, database) = site().await;
    database.outbox_changed().await.unwrap();
    let listener = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name = 'bodrelay h1/listening'";
    assert_eq!(client.query(listener, &[]).await.unwrap().len(), 1);
    let error = database.outbox_changed().await.unwrap_err().to_string();
    assert!(error.contains("the agent tries again"), "{error}");
    database.outbox_changed().await.unwrap();
    client.batch_execute(INSERT).await.unwrap();
    database.outbox_changed().await.unwrap();
}

#[tokio::test]
async fn uninstall_takes_the_trigger_with_it() {
    let (client, _) = site().await;
    let (_, uninstall) = scripts::POSTGRES.iter().find(|(name, _)| *name == "uninstall.sql").unwrap();
    client.batch_execute(uninstall).await.unwrap();
    client.batch_execute(INSERT).await.unwrap();
}

/// The claim decides: an owner whose renewals stopped is taken over after the lapse, though its session lives.
#[tokio::test]
async fn a_late_owner_is_taken_over_though_its_session_lives() {
    let (client, first) = site().await;
    let settings = {
        let name: String = client.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
        Cluster::shared().settings(&name)
    };
    let second = Postgres::new(&settings, "h2");
    let claim = |journal_id: &str, host: &str| OwnerClaim {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: journal_id.into(),
        host: host.into(),
        agent_version: "1".into(),
        lapse_seconds: 60,
    };
    for _ in 0..2 {
        assert_eq!(first.owner_claim(&claim("j1", "h1")).await.unwrap(), Owner::Mine);
    }
    let other = second.owner_claim(&claim("j2", "h2")).await.unwrap();
    assert!(matches!(&other, Owner::Other { host, .. } if host == "h1"), "{other:?}");
    client
        .batch_execute("UPDATE bodrelay.bodrelay_status SET heartbeat_at = now() - interval '1 day'")
        .await
        .unwrap();
    assert_eq!(second.owner_claim(&claim("j2", "h2")).await.unwrap(), Owner::Mine);
    let other = first.owner_claim(&claim("j1", "h1")).await.unwrap();
    assert!(matches!(&other, Owner::Other { host, .. } if host == "h2"), "{other:?}");
    // Given up, it is free while the session lives.
    second.owner_release("CP1", "out", "j2").await.unwrap();
    assert_eq!(first.owner_claim(&claim("j1", "h1")).await.unwrap(), Owner::Mine);
}
