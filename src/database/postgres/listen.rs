//! The server's word that the outbox has new rows: `LISTEN`, on a session of its own (sql/postgres/optional/notify.sql).
//!
//! Whether the word comes through is tried out after each `LISTEN`: a pooler that hands every transaction to another
//! session takes the statement and passes nothing on.

use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use super::encryption;
use super::session::Address;
use super::trouble::Trouble;

/// `LISTEN` folds what comes while nobody asks, and so does a channel with one place.
const PLACES: usize = 1;
/// A word to ourselves takes milliseconds.
const TRIAL: Duration = Duration::from_secs(5);

/// A session that only listens.
pub(super) struct Listener {
    /// Kept: the session ends with it.
    _client: Client,
    words: mpsc::Receiver<()>,
}

impl Listener {
    pub(super) async fn open(address: &Address) -> Result<Self, Trouble> {
        let config = address.config("listening")?;
        let (sender, words) = mpsc::channel(PLACES);
        let client = if address.is_encrypted() {
            let encryption = encryption::of(&address.settings).map_err(Trouble::Setting)?;
            let (client, connection) = config.connect(encryption).await.map_err(Trouble::Connect)?;
            tokio::spawn(pass_on(connection, sender));
            client
        } else {
            let (client, connection) = config.connect(NoTls).await.map_err(Trouble::Connect)?;
            tokio::spawn(pass_on(connection, sender));
            client
        };
        client.batch_execute("LISTEN bodrelay_outbox").await?;
        Ok(Self { _client: client, words })
    }

    /// The word that another session has just said comes through.
    pub(super) async fn hears_itself(&mut self) -> Result<(), Trouble> {
        match tokio::time::timeout(TRIAL, self.words.recv()).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Trouble::Lost),
            Err(_) => Err(Trouble::Mend {
                what: "NOTIFY does not come through to LISTEN".into(),
                remedy: "let host name the server itself and not a pooler in transaction mode (PgBouncer); or leave \
                         it: polling finds every row"
                    .into(),
            }),
        }
    }

    /// The next word.
    pub(super) async fn heard(&mut self) -> Result<(), Trouble> {
        self.words.recv().await.ok_or(Trouble::Lost)
    }
}

/// Drives the connection until it ends; dropping `sender` tells that.
async fn pass_on<S, T>(mut connection: Connection<S, T>, sender: mpsc::Sender<()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            // A full channel has a word already.
            let _ = sender.try_send(());
        }
    }
}
