//! The receiver: ION calls it as it calls any IMS application, and every document is in the inbox before it hears yes.
//!
//! receive → check → store → answer. The socket has a thread of its own (`serve`), so that nobody who connects holds up
//! the relay. Who may call is judged before a body is read (`caller`), a body is read within its bounds (`request`),
//! parsed, routed and checked (`message`), and stored by the one writer of its database (`writer`). The agent's loop
//! hands in the settings of each database whenever it has read them, and takes out what there is to say (`books`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::{Context, Result};
use tokio::sync::{Notify, Semaphore, watch};

use crate::clock::Clock;
use crate::config::Listen;
use crate::database::Database;
use crate::domain::meter::ReceivedReading;
use crate::domain::notice::Notice;
use crate::domain::routing::{Route, Routes};
use crate::journal::Journal;
use crate::listener::ListenerThread;

mod answer;
mod books;
mod caller;
mod files;
mod marks;
mod message;
mod places;
mod request;
mod serve;
mod writer;

pub use books::Received;

use books::Books;
use caller::{Failures, Nonces, Tally};
use files::Files;
use marks::Marks;
use places::Places;
use request::SHARE;
use writer::{Pen, Writer};

/// What a receiver works with.
pub struct Setup<'a> {
    pub settings: &'a Listen,
    /// This agent, as the message log names it.
    pub host: &'a str,
    /// Names and databases, in the order of the configuration.
    pub databases: Vec<(String, Arc<dyn Database>)>,
    pub journal: Journal,
    pub clock: Arc<dyn Clock>,
    /// Where it remembers which signatures it has taken.
    pub state_dir: &'a Path,
    /// Always, but in a benchmark: without it everything is done but the storing.
    pub stores: bool,
}

/// A receiver under way; it ends when it is dropped, and loses nothing that it has said yes to.
pub struct Receiver {
    shared: Arc<Shared>,
    thread: ListenerThread,
    /// What each database listed when its settings were last read; `None`: never.
    known: Mutex<Vec<Option<Vec<Route>>>>,
}

/// What every connection sees.
struct Shared {
    settings: Listen,
    host: String,
    clock: Arc<dyn Clock>,
    routes: RwLock<Arc<Routes>>,
    files: RwLock<Arc<Files>>,
    nonces: Mutex<Nonces>,
    marks: Marks,
    /// The files are to be read again.
    read_again: Notify,
    failures: Mutex<Failures>,
    crowds: Mutex<Tally>,
    /// Answers to wrong credentials that wait.
    slowed: AtomicUsize,
    /// Who has a connection.
    connections: Arc<Places>,
    writers: Vec<Writer>,
    names: Vec<String>,
    /// Memory for bodies, in shares.
    memory: Arc<Semaphore>,
    books: Arc<Books>,
    /// True once the agent ends.
    stopping: watch::Sender<bool>,
    /// Each connection from before the stop holds one.
    places: Arc<()>,
}

/// What a panic left behind is still whole: nothing behind these locks is changed in steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when the agent does.
    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            let _ = stopping.wait_for(|stopping| *stopping).await.is_ok();
        }
    }
}

impl Receiver {
    /// Listens at once; until the settings of a database were read, its documents are asked to come again.
    ///
    /// # Errors
    /// The address is in use or none of this machine, or a file of `[listen]` cannot be used.
    pub fn start(setup: Setup<'_>) -> Result<Self> {
        let Setup { settings, host, databases, journal, clock, state_dir, stores } = setup;
        let marks = Marks::read(&state_dir.join("oauth-marks.json"), clock.now().timestamp());
        let files = Files::read(settings)?;
        let books = Arc::new(Books::default());
        files.say_at_start(settings, &books, clock.now());
        let waiting = usize::try_from(settings.max_waiting).unwrap_or(usize::MAX);
        let (mut writers, mut pens) = (Vec::new(), Vec::new());
        for (site, database) in databases.iter().enumerate() {
            let (writer, pen) = Writer::new(site, database, &books, &journal, waiting, stores);
            writers.push(writer);
            pens.push(pen);
        }
        let shares = usize::try_from(settings.max_held_bytes / SHARE).unwrap_or(Semaphore::MAX_PERMITS);
        let known: Vec<Option<Vec<Route>>> = vec![None; writers.len()];
        let names: Vec<String> = databases.into_iter().map(|(name, _)| name).collect();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            host: host.to_owned(),
            clock,
            routes: RwLock::new(Arc::new(Routes::new([], names.first().cloned()))),
            files: RwLock::new(Arc::new(files)),
            nonces: Mutex::new(Nonces::after(&marks)),
            marks,
            read_again: Notify::new(),
            failures: Mutex::default(),
            crowds: Mutex::default(),
            slowed: AtomicUsize::new(0),
            connections: Places::new(usize::try_from(settings.max_connections).unwrap_or(usize::MAX)),
            writers,
            names,
            memory: Arc::new(Semaphore::new(shares.min(Semaphore::MAX_PERMITS))),
            books,
            stopping: watch::Sender::new(false),
            places: Arc::new(()),
        });
        let serving = Arc::clone(&shared);
        let thread = ListenerThread::start("receiver", settings.address, move |listener| async move {
            // They end with the runtime, when everything that they hold was answered or nobody waits any more.
            for pen in pens {
                tokio::spawn(Pen::write(pen));
            }
            tokio::spawn(files::follow(Arc::clone(&serving)));
            serve::serve(listener, serving).await;
        })
        .with_context(|| {
            format!(
                "[listen] address = \"{}\": nothing can listen there. If the port is in use, another agent or program \
                 has it: write another one, or remove the section",
                settings.address
            )
        })?;
        Ok(Self { shared, thread, known: Mutex::new(known) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.thread.address()
    }

    /// What a database lists now, all of it at once.
    pub fn set_routes(&self, site: usize, routes: Vec<Route>) {
        let mut known = lock(&self.known);
        if let Some(place) = known.get_mut(site) {
            *place = Some(routes);
        }
        self.swap(&known);
    }

    /// Nothing may be stored in a database, and why; until its next `set_routes`.
    pub fn block(&self, site: usize, reason: &str) {
        let mut known = lock(&self.known);
        for route in known.get_mut(site).and_then(Option::as_mut).into_iter().flatten() {
            route.blocked = Some(reason.to_owned());
        }
        self.swap(&known);
    }

    fn swap(&self, known: &[Option<Vec<Route>>]) {
        let unread =
            known.iter().position(Option::is_none).and_then(|site| self.shared.names.get(site).cloned());
        let routes = Routes::new(known.iter().flatten().flatten().cloned(), unread);
        *self.shared.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
    }

    /// How often a database was lost (the start counts as one); to be asked before a control round begins.
    pub fn losses(&self, site: usize) -> u64 {
        self.shared.writers.get(site).map_or(0, |writer| writer.standing.losses())
    }

    /// A database was lost, and no control round has met it since.
    pub fn waits_to_meet(&self, site: usize) -> bool {
        self.shared.writers.get(site).is_some_and(|writer| !writer.standing.is_met())
    }

    /// A control round that began after so many losses has met the database, and its guards have passed.
    /// `database_id` is the journal's number of it.
    pub fn meet(&self, site: usize, losses: u64, database_id: i64) {
        if let Some(writer) = self.shared.writers.get(site) {
            writer.standing.meet(losses, database_id);
        }
    }

    /// Certificate and secrets are read again, changed or not.
    pub fn read_again(&self) {
        self.shared.read_again.notify_one();
    }

    /// New requests are asked to come again; what waits to be stored is stored and answered.
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
        self.shared.books.drain();
    }

    /// After a stop: everything was answered.
    pub fn is_drained(&self) -> bool {
        let waiting: usize = self.shared.writers.iter().map(|writer| writer.standing.waiting()).sum();
        waiting == 0 && Arc::strong_count(&self.shared.places) == 1
    }

    /// After a stop: something under way has ended.
    pub async fn changed(&self) {
        self.shared.books.changed().await;
    }

    pub fn take_notices(&self) -> Vec<Notice> {
        self.shared.books.take_notices()
    }

    /// Documents that wait to be stored in a database.
    pub fn waiting(&self, site: usize) -> usize {
        self.shared.writers.get(site).map_or(0, |writer| writer.standing.waiting())
    }

    /// What happened at each connection point of a database since the last call, by name.
    pub fn take_received(&self, site: usize) -> BTreeMap<String, Received> {
        self.shared.books.take_received(site)
    }

    pub fn measure(&self) -> ReceivedReading {
        ReceivedReading {
            meter: self.shared.books.meter(),
            waiting: self
                .shared
                .names
                .iter()
                .zip(&self.shared.writers)
                .map(|(name, writer)| (name.clone(), writer.standing.waiting()))
                .collect(),
            connections: Arc::strong_count(&self.shared.places).saturating_sub(1),
            slowed: self.shared.slowed.load(Ordering::Relaxed),
        }
    }
}
