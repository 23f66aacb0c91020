//! The queue before a database, and the one task that empties it: what is queued when a commit ends is the next commit.
//!
//! A document is answered after its commit, never before. A group that fails because of one of its rows is tried again
//! in halves, so that this one fails alone. When the database was lost, nothing is stored until the control round
//! has met it again: whatever answers then may be another database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::books::Books;
use crate::crash;
use crate::database::{Database, DatabaseError, Settle, refused_row};
use crate::domain::halves::Halves;
use crate::domain::incoming::{Incoming, Stored};
use crate::domain::notice::{Notice, Severity};
use crate::journal::{Journal, Received};

/// Documents of one transaction.
const GROUP: usize = 256;
/// Bytes of one transaction's documents; a larger document goes alone.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Transactions whose documents the journal does not remember yet; the next one waits for a place.
const UNREMEMBERED: usize = 4;

/// The database does not take one document, and takes others.
const NOT_STORED: &str = "DOCUMENT_NOT_STORED";
const NOT_STORED_REMEDY: &str = "Mend what the text names (most likely the type or length of a column of the inbox), then \
                                 send the document again in ION (Error BODs).";

/// A document in the queue.
pub(super) struct Waiting {
    pub document: Incoming,
    pub answer: oneshot::Sender<Outcome>,
    /// Its share of `max_held_bytes`.
    pub held: OwnedSemaphorePermit,
}

/// A document whose fate is known, and whoever waits for it.
struct Answered {
    answer: oneshot::Sender<Outcome>,
    held: OwnedSemaphorePermit,
    outcome: Outcome,
    /// Its connection point, and what the journal keeps of it; only where it is stored.
    received: Option<(String, Received)>,
}

impl Waiting {
    fn answered(self, outcome: Outcome) -> (Answered, Incoming) {
        let Self { document, answer, held } = self;
        (Answered { answer, held, outcome, received: None }, document)
    }
}

impl Answered {
    fn stored(&mut self, document: &Incoming) {
        self.outcome = Outcome::Stored;
        self.received = Some((document.connection_point.clone(), Received::of(document)));
    }
}

/// The journal keeps what was received, so that a restored database can be told what it lacks.
async fn remember(journal: &Journal, standing: &Standing, answers: &[Answered]) {
    let mut points: BTreeMap<&str, Vec<Received>> = BTreeMap::new();
    for (point, received) in answers.iter().filter_map(|answered| answered.received.as_ref()) {
        points.entry(point).or_default().push(received.clone());
    }
    let database_id = standing.database_id.load(Ordering::Acquire);
    for (point, received) in points {
        let count = received.len();
        // The documents are committed: whatever the journal says, ION hears yes.
        if let Err(error) = journal.remember_received(database_id, point, received).await {
            tracing::error!(
                connection_point = point,
                documents = count,
                error = %error,
                "the journal does not remember what was received: after a restore of the database it could not be told"
            );
        }
    }
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is committed, or was before.
    Stored,
    /// The database does not take it as it is, and takes others.
    Unfit,
    /// The database cannot be written to now.
    Later,
}

/// Whether a database may be written to, as the agent's loop and the writer tell each other.
#[derive(Debug)]
pub(super) struct Standing {
    /// How often the database was lost; the start counts as one.
    lost: AtomicU64,
    /// The loss after which the control round has met it again.
    met: AtomicU64,
    /// The journal's number of the database; 0 before it was met.
    database_id: AtomicI64,
    /// Documents in the queue, in a transaction, or about to be answered.
    waiting: AtomicUsize,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            lost: AtomicU64::new(1),
            met: AtomicU64::new(0),
            database_id: AtomicI64::new(0),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Standing {
    pub fn losses(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// A round that began after this many losses has met the database.
    pub fn meet(&self, losses: u64, database_id: i64) {
        self.database_id.store(database_id, Ordering::Release);
        self.met.fetch_max(losses, Ordering::AcqRel);
    }

    pub fn is_met(&self) -> bool {
        self.met.load(Ordering::Acquire) >= self.losses()
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

/// The way to a database's writer.
pub(super) struct Writer {
    pub database: Arc<dyn Database>,
    pub standing: Arc<Standing>,
    queue: mpsc::Sender<Waiting>,
}

/// What the task of a writer works with.
pub(super) struct Pen {
    pub database: Arc<dyn Database>,
    pub name: String,
    /// The number of the database.
    pub site: usize,
    pub standing: Arc<Standing>,
    pub books: Arc<Books>,
    pub journal: Journal,
    /// False only in a benchmark.
    stores: bool,
    queue: mpsc::Receiver<Waiting>,
}

impl Writer {
    /// The queue of a database, for so many documents.
    pub fn new(
        site: usize,
        database: &(String, Arc<dyn Database>),
        books: &Arc<Books>,
        journal: &Journal,
        documents: usize,
        stores: bool,
    ) -> (Self, Pen) {
        let (sender, queue) = mpsc::channel(documents);
        let standing = Arc::new(Standing::default());
        let pen = Pen {
            database: Arc::clone(&database.1),
            name: database.0.clone(),
            site,
            standing: Arc::clone(&standing),
            books: Arc::clone(books),
            journal: journal.clone(),
            stores,
            queue,
        };
        (Self { database: Arc::clone(&database.1), standing, queue: sender }, pen)
    }

    /// Puts a document into the queue; `None`: the queue is full.
    pub fn put(&self, document: Incoming, held: OwnedSemaphorePermit) -> Option<oneshot::Receiver<Outcome>> {
        let (answer, answered) = oneshot::channel();
        self.standing.waiting.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(Waiting { document, answer, held }).is_err() {
            self.standing.waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(answered)
    }
}

impl Pen {
    /// Stores what comes, until nobody can put anything into the queue any more.
    pub async fn write(mut self) {
        let places = Arc::new(Semaphore::new(UNREMEMBERED));
        while let Some(first) = self.queue.recv().await {
            let (mut group, mut bytes) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(waiting) = next {
                bytes += waiting.document.payload.len();
                group.push(waiting);
                if group.len() >= GROUP || bytes >= GROUP_BYTES {
                    break;
                }
                next = match self.queue.try_recv() {
                    Ok(waiting) => Some(waiting),
                    Err(_) => {
                        // Whoever has just been answered may be about to send the next one.
                        tokio::task::yield_now().await;
                        self.queue.try_recv().ok()
                    }
                };
            }
            let Ok(place) = places.clone().acquire_owned().await else { break };
            let answers = self.store(group).await;
            // The next transaction does not wait for the journal; ION's yes does.
            let (journal, standing, books) =
                (self.journal.clone(), Arc::clone(&self.standing), Arc::clone(&self.books));
            tokio::spawn(async move {
                remember(&journal, &standing, &answers).await;
                let count = answers.len();
                for answered in answers {
                    // Whoever asked may have gone: it is a repeat, later.
                    let _ = answered.answer.send(answered.outcome);
                    drop(answered.held);
                }
                standing.waiting.fetch_sub(count, Ordering::AcqRel);
                books.moved();
                drop(place);
            });
        }
    }

    async fn store(&self, group: Vec<Waiting>) -> Vec<Answered> {
        let mut answers = Vec::with_capacity(group.len());
        // Whoever has hung up sends it again; what is stored for nobody would only be a repeat.
        let is_met = self.standing.is_met();
        let (group, left): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|waiting| is_met && !waiting.answer.is_closed());
        answers.extend(left.into_iter().map(|waiting| waiting.answered(Outcome::Later).0));
        let (documents, mut waiting): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|waiting| {
                let (answered, document) = waiting.answered(Outcome::Later);
                (document, answered)
            })
            .unzip();
        if documents.is_empty() {
            return answers;
        }
        match self.commit(&documents).await {
            Ok(stored) => {
                for ((document, stored), answered) in documents.iter().zip(&stored).zip(&mut waiting) {
                    self.books.stored(self.site, document, stored);
                    answered.stored(document);
                }
            }
            Err(error) if error.is_about_rows() => self.store_apart(&documents, &mut waiting, error).await,
            Err(error) => self.lost(&error, &documents),
        }
        answers.append(&mut waiting);
        answers
    }

    /// Something in the group is refused: what is at fault fails alone. What is not tried, ION sends again.
    async fn store_apart(&self, documents: &[Incoming], waiting: &mut [Answered], error: DatabaseError) {
        let mut halves = Halves::of((0..documents.len()).collect::<Vec<_>>());
        if documents.len() > 1
            && let Some(all) = halves.part()
        {
            halves.refuse(all, error);
        }
        while let Some(places) = halves.part() {
            if let [place] = places[..] {
                waiting[place].outcome = self.store_alone(&documents[place]).await;
                if waiting[place].outcome == Outcome::Stored {
                    waiting[place].stored(&documents[place]);
                }
                continue;
            }
            let part: Vec<Incoming> = places.iter().map(|place| documents[*place].clone()).collect();
            match self.commit(&part).await {
                Ok(stored) => {
                    for (place, stored) in places.into_iter().zip(&stored) {
                        self.books.stored(self.site, &documents[place], stored);
                        waiting[place].stored(&documents[place]);
                    }
                }
                Err(error) if error.is_about_rows() => halves.refuse(places, error),
                Err(error) => {
                    self.lost(&error, &part);
                    halves.stop(places);
                }
            }
        }
    }

    async fn store_alone(&self, document: &Incoming) -> Outcome {
        if !self.standing.is_met() {
            return Outcome::Later;
        }
        match self.commit(std::slice::from_ref(document)).await {
            Ok(stored) => {
                stored.iter().for_each(|stored| self.books.stored(self.site, document, stored));
                Outcome::Stored
            }
            Err(error) if error.is_about_rows() => {
                tracing::warn!(
                    database = self.name,
                    connection_point = document.connection_point,
                    document_name = document.parameters.document_name,
                    message_id = document.parameters.message_id,
                    error = %error,
                    "a document cannot be stored as it is: ION is told so"
                );
                self.log_unfit(document, &error).await;
                let notice = Notice::new(
                    NOT_STORED,
                    Severity::Error,
                    Some(&document.connection_point),
                    document.parameters.document_name.clone(),
                );
                self.books.notice(notice.says(
                    format!(
                        "the database refused a document that ION sent (message {}): {error}",
                        document.parameters.message_id
                    ),
                    NOT_STORED_REMEDY,
                ));
                self.books.refused(
                    self.site,
                    &document.connection_point,
                    &document.parameters.document_name,
                    document.received_at,
                    &format!("the database refused it: {error}"),
                );
                Outcome::Unfit
            }
            Err(error) => {
                self.lost(&error, std::slice::from_ref(document));
                Outcome::Later
            }
        }
    }

    /// The message log has what the inbox did not take; where it cannot be written to either, the finding alone says so.
    async fn log_unfit(&self, document: &Incoming, error: &DatabaseError) {
        let row = refused_row(document, NOT_STORED, &error.to_string(), NOT_STORED_REMEDY);
        let settle = Settle { log: vec![row], ..Settle::default() };
        if let Err(error) = self.database.outbox_settle(&settle).await {
            tracing::warn!(database = self.name, error = %error, "a refused document is not in the message log");
        }
    }

    async fn commit(&self, documents: &[Incoming]) -> Result<Vec<Stored>, DatabaseError> {
        let answer = match self.stores {
            true => self.database.inbox_store(documents).await,
            false => Ok(documents.iter().map(|_| Stored::New { entry_id: 0, notices: Vec::new() }).collect()),
        };
        self.books.committed(documents.len(), answer.is_ok());
        if answer.is_ok() {
            crash::point("after_store");
        }
        answer
    }

    fn lost(&self, error: &DatabaseError, documents: &[Incoming]) {
        self.standing.lose();
        for document in documents {
            self.books.asked_again(self.site, &document.connection_point, &error.to_string());
        }
        tracing::warn!(
            database = self.name,
            documents = documents.len(),
            error = %error,
            "nothing was stored: ION is told to send again, and the control tables are read first"
        );
    }
}
