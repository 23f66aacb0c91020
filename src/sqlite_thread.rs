//! One SQLite connection on a thread of its own, so that no commit ever blocks the async runtime.
//!
//! Used by the journal and by the SQLite database. Jobs run in the order in which they were sent; dropping the last
//! handle ends the thread after the jobs that were sent.

use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct SqliteThread {
    jobs: mpsc::SyncSender<Job>,
}

/// The thread is gone: it panicked, which is a bug that its own message names.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the SQLite connection has ended")]
pub struct ThreadEnded;

impl SqliteThread {
    /// Opens a connection with `open` on a new thread named `name`, and answers when it is open.
    pub fn start<E>(
        name: &str,
        open: impl FnOnce() -> Result<Connection, E> + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), E>
    where
        E: From<std::io::Error> + Send + 'static,
    {
        /// More jobs than this in the queue make the sender wait; every caller awaits its answer, so it is never
        /// reached in practice.
        const QUEUE: usize = 1024;
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        let (opened, answer) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || match open() {
            Ok(mut connection) => {
                let _ = opened.send(Ok(()));
                while let Ok(job) = queue.recv() {
                    job(&mut connection);
                }
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        })?;
        match answer.recv() {
            Ok(Ok(())) => Ok((Self { jobs }, thread)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other(ThreadEnded).into()),
        }
    }

    /// Runs `work` on the connection's thread. Dropping the future does not stop the work.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, ThreadEnded> {
        let (sender, answer) = oneshot::channel();
        self.jobs
            .send(Box::new(move |connection| {
                let _ = sender.send(work(connection));
            }))
            .map_err(|_| ThreadEnded)?;
        answer.await.map_err(|_| ThreadEnded)
    }
}
