//! One listening socket with a runtime on a thread of its own, so that whoever connects holds up nobody else.
//!
//! Used by `/metrics`, by the receiver and by the simulator. Dropping it drops every connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A listener under way; it ends when it is dropped.
pub struct ListenerThread {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ListenerThread {
    /// Listens at once; `serve` runs on the new thread, named `name`, until it ends or this is dropped.
    ///
    /// # Errors
    /// The address is in use or none of this machine, or there is no thread to be had.
    pub fn start<F: Future<Output = ()>>(
        name: &str,
        address: SocketAddr,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Whatever ends it, dropping the runtime drops every connection.
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens; with port 0 asked for, the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ListenerThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Accepts for ever, `connections` at once at most; others wait in the system's queue until one has ended. Each
/// connection holds its place as long as the permit lives.
pub async fn accept(
    listener: TcpListener,
    connections: usize,
    mut each: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
) {
    let places = Arc::new(Semaphore::new(connections));
    while let Ok(place) = places.clone().acquire_owned().await {
        let (stream, peer) = accepted(&listener).await;
        each(stream, peer, place);
    }
}

/// The next connection.
pub async fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Out of file handles, most likely: let some close.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
