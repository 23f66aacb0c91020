//! A gateway that speaks HTTP/2 and ends its connections: what it says it did not process is sent again at once, not in
//! doubt; what it took and never answered is in doubt.

mod gateway;
mod site;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bodrelay::domain::message::{Parameters, Parcel};
use bodrelay::domain::outcome::Answer;
use bodrelay::domain::plan::ImsMethod;
use bodrelay::ims::Client;
use bodrelay::simulator::{Options, Simulator};
use bytes::Bytes;
use gateway::{Ends, Gateway};
use site::{Entry, Site};

fn parcel(id: u64) -> Parcel {
    Parcel {
        parameters: Parameters {
            document_name: "Sync.SalesOrder".into(),
            message_id: format!("message-{id}"),
            from_logical_id: "lid://infor.ims.shop".into(),
            to_logical_id: "lid://default".into(),
            character_set: "UTF-8".into(),
            document_id: Some(id.to_string()),
            ..Parameters::default()
        },
        payload: Bytes::from(format!("<SyncSalesOrder id=\"{id}\"/>")),
    }
}

/// Posts so many, 64 at once; the answers by what they are.
async fn posted(client: &Client, count: u64) -> HashMap<String, u64> {
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..64)
        .map(|_| {
            let (client, next) = (client.clone(), next.clone());
            tokio::spawn(async move {
                let mut answers: HashMap<String, u64> = HashMap::new();
                loop {
                    let id = next.fetch_add(1, Ordering::SeqCst);
                    if id >= count {
                        return answers;
                    }
                    let answer = client.post(ImsMethod::V3MultipartMessage, &parcel(id)).await;
                    let key = match answer.status() {
                        Some(status) => status.to_string(),
                        None => format!("{answer:?}"),
                    };
                    *answers.entry(key).or_default() += 1;
                }
            })
        })
        .collect();
    let mut all = HashMap::new();
    for worker in workers {
        for (key, count) in worker.await.unwrap() {
            *all.entry(key).or_default() += count;
        }
    }
    all
}

#[tokio::test]
async fn what_a_gateway_does_not_process_is_sent_again_at_once() {
    for ends in [Ends::After(100), Ends::GracefullyAfter(100), Ends::Refuses(7), Ends::After(1)] {
        let (simulator, folder) =
            (Simulator::start(Options::default()).unwrap(), tempfile::tempdir().unwrap());
        let gateway = Gateway::start(&simulator, folder.path(), ends);
        let client = gateway.client(folder.path(), "");
        let count = if ends == Ends::After(1) { 40 } else { 1000 };
        let answers = posted(&client, count).await;
        let counts = simulator.ledger().counts();
        if ends == Ends::After(1) {
            // As many connections as requests: on a busy machine some give up for now. None is in doubt.
            let is_known =
                |key: &String| key == "202" || key.starts_with("NotConnected") || key.starts_with("NoToken");
            assert!(answers.keys().all(is_known), "{answers:?}");
            assert_eq!((counts.stored, counts.posts), (answers["202"], answers["202"]), "{answers:?}");
            continue;
        }
        assert_eq!(answers, HashMap::from([("202".to_owned(), count)]), "{ends:?}");
        assert_eq!((counts.stored, counts.posts, counts.distinct), (count, count, count), "{ends:?}");
        if ends == Ends::After(100) {
            assert!(gateway.connections.load(Ordering::SeqCst) >= 10);
        }
    }
}

#[tokio::test]
async fn a_gateway_that_refuses_all_is_not_stormed() {
    let (simulator, folder) = (Simulator::start(Options::default()).unwrap(), tempfile::tempdir().unwrap());
    let gateway = Gateway::start(&simulator, folder.path(), Ends::Refuses(1));
    let client = gateway.client(folder.path(), "");
    let answer = client.ping().await;
    assert!(matches!(answer, Answer::NoToken { .. }), "{answer:?}");
    let seen = gateway.seen.load(Ordering::SeqCst);
    assert!((2..=10).contains(&seen), "{seen} requests");
}

#[tokio::test]
async fn what_a_gateway_took_and_never_answered_is_in_doubt() {
    let (simulator, folder) = (Simulator::start(Options::default()).unwrap(), tempfile::tempdir().unwrap());
    let gateway = Gateway::start(&simulator, folder.path(), Ends::TakesAndBreaks);
    let client = gateway.client(folder.path(), "");
    let answer = client.post(ImsMethod::V3MultipartMessage, &parcel(1)).await;
    assert!(matches!(answer, Answer::Unanswered { .. }), "{answer:?}");
    // The token and the one try.
    assert_eq!(gateway.seen.load(Ordering::SeqCst), 2);
}

/// 4,000 documents by the real agent: as many posts arrive, each once, and nobody hears of the connections' ends.
#[test]
fn the_agent_sends_through_a_gateway_that_ends_its_connections() {
    let site = Site::new();
    let gateway = Gateway::start(&site.simulator, &site.path(""), Ends::After(100));
    let file = std::fs::read_to_string(site.path("bodrelay.toml")).unwrap();
    let file = file.replace("\"sim.ionapi\"", "\"gateway.ionapi\"\nca_file = \"ca.pem\"");
    std::fs::write(site.path("bodrelay.toml"), file).unwrap();
    site.sql("UPDATE bodrelay_connection_point SET parallel_posts = 64, log_attempts = 'all'");
    let entries: Vec<Entry> = (0..4000).map(|number| Entry::new(&format!("D{number}"), 1)).collect();
    site.insert_all(&entries);
    let mut agent = site.start();
    agent.until("all are sent", || site.waiting() == 0);
    agent.until("all are logged", || {
        site.number("SELECT count(*) FROM bodrelay_message_log WHERE state = 'accepted'") == 4000
    });
    let counts = site.simulator.ledger().counts();
    assert_eq!((counts.posts, counts.distinct), (4000, 4000));
    assert!(gateway.connections.load(Ordering::SeqCst) >= 40);
    assert_eq!(site.number("SELECT count(*) FROM bodrelay_message_log WHERE in_doubt <> 0"), 0);
    assert_eq!(site.number("SELECT count(*) FROM bodrelay_message_log WHERE attempts <> 1"), 0);
    // The rows are of long ago; nothing else is found.
    let found = site.text(
        "SELECT group_concat(code || ' ' || finding_text) FROM bodrelay_finding \
         WHERE severity <> 'info' AND code NOT IN ('BACKLOG_OLD', 'FIRST_ROWS_OLD')",
    );
    assert_eq!(found, None);
    agent.term();
}
