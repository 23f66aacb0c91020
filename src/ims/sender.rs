//! One request on its way: what the other side says it did not process goes out again, whatever else does not.
//!
//! RFC 9113 §6.8 and §8.7: a stream above the last one that a GOAWAY names, and one that is reset with REFUSED_STREAM,
//! had no effect. Gateways end a connection so after every hundred or thousand requests. h2 gives a GOAWAY of the other
//! side as the error of exactly these streams and of those that were not opened any more; a stream that the other side
//! took and never answered ends with another error, and is in doubt. hyper calls a request cancelled where its
//! connection closed before the first byte of it was written.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use anyhow::Result;
use reqwest::{Request, Response, Url};
use secrecy::SecretString;
use tokio::time::Instant;

use super::answer;
use super::http::Reach;
use super::proxy;

/// Tries in a row of one request that are not processed while nobody else is answered either.
const FRUITLESS_MAX: u32 = 8;
/// The first one is followed at once, the second one after this, each further one after twice as long.
const PAUSE: Duration = Duration::from_millis(50);
/// However many others are answered: a request that is not processed for so long is one that has no connection.
const LONGEST: Duration = Duration::from_secs(60);

/// Sends; clones of what owns it share it, as they share the connections.
pub(super) struct Sender {
    http: RwLock<reqwest::Client>,
    /// Answers so far: where they go on, a connection that ends is only the next one's turn.
    answers: AtomicU64,
    proxy: Option<SecretString>,
    /// Some hosts are reached without the proxy.
    has_exceptions: bool,
}

/// Why there is no answer.
pub(super) struct Failed {
    pub error: reqwest::Error,
    /// The request had no effect on the other side, which was reached.
    pub was_not_processed: bool,
}

impl Sender {
    pub fn new(reach: &Reach<'_>) -> Result<Self> {
        Ok(Self {
            http: RwLock::new(reach.client()?),
            answers: AtomicU64::new(0),
            proxy: reach.proxy.cloned(),
            has_exceptions: reach.no_proxy.is_some(),
        })
    }

    /// Reads the certificates again; what is on its way ends as it began.
    pub fn renew(&self, reach: &Reach<'_>) -> Result<()> {
        let http = reach.client()?;
        *self.http.write().unwrap_or_else(PoisonError::into_inner) = http;
        Ok(())
    }

    fn http(&self) -> reqwest::Client {
        self.http.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The causes of an error in one line, with what to do where they tell; where a proxy may have refused the way, with
    /// what it says.
    pub async fn cause_of(&self, error: &reqwest::Error, target: &Url) -> String {
        let cause = answer::cause_of(error);
        let may_be_refused = match target.scheme() {
            "https" => cause.contains("tunnel"),
            _ => !error.is_timeout() && !self.has_exceptions,
        };
        let Some(proxy) = self.proxy.as_ref().filter(|_| may_be_refused) else { return cause };
        match proxy::refusal(proxy, target).await {
            Some(said) => format!("the proxy refuses, HTTP {said}; {} ({cause})", proxy::remedy(&said)),
            None => cause,
        }
    }

    /// Whether 407 is the proxy's word: within TLS it would be another's.
    pub fn is_from_proxy(&self, status: u16, target: &Url) -> bool {
        status == 407 && self.proxy.is_some() && target.scheme() == "http"
    }

    /// Sends what `compose` makes, as often as it is not processed, within bounds.
    pub async fn send(&self, compose: impl Fn() -> Request) -> Result<Response, Failed> {
        let begun = Instant::now();
        let mut fruitless = 0;
        loop {
            let answers = self.answers.load(Ordering::Relaxed);
            let error = match self.http().execute(compose()).await {
                Ok(response) => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return Ok(response);
                }
                Err(error) => error,
            };
            if !was_not_processed(&error) {
                return Err(Failed { error, was_not_processed: false });
            }
            let goes_on = self.answers.load(Ordering::Relaxed) != answers;
            fruitless = if goes_on { 0 } else { fruitless + 1 };
            if fruitless >= FRUITLESS_MAX || begun.elapsed() >= LONGEST {
                return Err(Failed { error, was_not_processed: true });
            }
            if fruitless > 1 {
                tokio::time::sleep(PAUSE * 2_u32.pow(fruitless - 2)).await;
            }
        }
    }
}

fn was_not_processed(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return error.is_remote()
                && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        source = cause.source();
    }
    false
}
