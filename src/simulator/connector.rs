//! ION's other side: delivers documents to an application as an Enterprise Connector does, signed, and again until it
//! hears yes or a no that is final.
//!
//! It repeats what it heard no answer to, sometimes hangs up before the answer, sends some things once more under
//! another id of ION's, and keeps no order. What it heard is its ledger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use crate::clock::{Clock, SystemClock};
use crate::domain::ids::Digest;
use crate::domain::message::Parcel;
use crate::ims::oauth1::{Method, Signed, write_header};
use crate::ims::wire::Composer;

/// Deliveries at once.
const PARALLEL: usize = 6;
/// Between a try that was not answered with yes and the next one.
const PAUSE: Duration = Duration::from_millis(100);
/// For one try.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to deliver, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// Up to and including `/service`.
    pub base_url: String,
    pub tenant_id: String,
    pub consumer_key: String,
    pub consumer_secret: String,
}

/// What became of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Yes,
    /// A status that is not repeated: ION makes a ConfirmBOD of it.
    No(u16),
}

/// A document under way: by the sender's own id.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub digest: Digest,
    /// `None`: nothing final yet.
    pub heard: Option<Heard>,
    pub tries: usize,
}

struct State {
    target: Target,
    composer: Composer,
    documents: Mutex<BTreeMap<String, Delivered>>,
    /// So many documents may be under way or done.
    allowed: AtomicUsize,
    next: AtomicUsize,
    done: AtomicUsize,
    stops: AtomicBool,
}

/// Deliveries under way on a thread of their own; they end when it is dropped.
pub struct Connector {
    state: Arc<State>,
    all: usize,
    thread: Option<JoinHandle<()>>,
}

impl State {
    fn documents(&self) -> MutexGuard<'_, BTreeMap<String, Delivered>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector {
    /// Delivers documents, each with the sender's own id as `message_id`, as far as `allow` lets it.
    pub fn start(target: Target, documents: Vec<Parcel>, seed: u64) -> Result<Self> {
        let all = documents.len();
        let ledger = documents.iter().map(|parcel| {
            let delivered = Delivered { digest: Digest::of(&parcel.payload), heard: None, tries: 0 };
            (parcel.parameters.message_id.clone(), delivered)
        });
        let state = Arc::new(State {
            target,
            composer: Composer::default(),
            documents: Mutex::new(ledger.collect()),
            allowed: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            stops: AtomicBool::new(false),
        });
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("the connector's HTTP client cannot be set up")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let delivering = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("connector".into()).spawn(move || {
            let documents = Arc::new(documents);
            runtime.block_on(async {
                let lanes = (0..PARALLEL).map(|lane| {
                    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(lane as u64));
                    let (state, client, documents) = (&delivering, &client, &documents);
                    async move {
                        while !state.stops.load(Ordering::Relaxed) {
                            if state.next.load(Ordering::Relaxed) >= state.allowed.load(Ordering::Relaxed) {
                                tokio::time::sleep(Duration::from_millis(10)).await;
                                continue;
                            }
                            let Some(parcel) = documents.get(state.next.fetch_add(1, Ordering::Relaxed))
                            else {
                                return;
                            };
                            deliver(state, client, parcel, &mut random).await;
                            state.done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
                futures_util::future::join_all(lanes).await;
            });
        })?;
        Ok(Self { state, all, thread: Some(thread) })
    }

    /// So many of the documents may go out.
    pub fn allow(&self, documents: usize) {
        self.state.allowed.fetch_max(documents.min(self.all), Ordering::Relaxed);
    }

    /// Every document has its yes or its no.
    pub fn is_done(&self) -> bool {
        self.state.done.load(Ordering::Relaxed) == self.all
    }

    /// What was heard of each document, by the sender's own id.
    pub fn ledger(&self) -> BTreeMap<String, Delivered> {
        self.state.documents().clone()
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.state.stops.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Until yes or a final no. Some of what was said yes to is sent once more.
async fn deliver(state: &State, client: &reqwest::Client, parcel: &Parcel, random: &mut fastrand::Rng) {
    let source = parcel.parameters.message_id.clone();
    let mut id = ion_id(&source, random);
    // A repeat of ION's has the same id; a sender that repeats itself gets another one around its own.
    let mut more = match random.u8(..20) {
        0 | 1 => Some(id.clone()),
        2 => Some(ion_id(&source, random)),
        _ => None,
    };
    while !state.stops.load(Ordering::Relaxed) {
        let patience = (random.u8(..25) == 0).then(|| Duration::from_micros(random.u64(100..3_000)));
        let answer = post(state, client, parcel, &id, patience, random).await;
        if let Some(document) = state.documents().get_mut(&source) {
            document.tries += 1;
        }
        let heard = match answer {
            Some(200..=299) => Heard::Yes,
            // What ION tries again (spec/ims.md §8), and what it heard no answer to.
            None | Some(401 | 500 | 503 | 504) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Some(status) => Heard::No(status),
        };
        if let Some(document) = state.documents().get_mut(&source) {
            document.heard = Some(heard);
        }
        match more.take() {
            Some(again) => id = again,
            None => return,
        }
    }
}

fn ion_id(source: &str, random: &mut fastrand::Rng) -> String {
    format!("{source}:-ION-:{:032x}", random.u128(..))
}

/// The status of an answer; `None`: there was none, or it was not waited for.
async fn post(
    state: &State,
    client: &reqwest::Client,
    parcel: &Parcel,
    id: &str,
    patience: Option<Duration>,
    random: &mut fastrand::Rng,
) -> Option<u16> {
    let mut parcel = parcel.clone();
    id.clone_into(&mut parcel.parameters.message_id);
    let url: Url = format!("{}/v3/multipartMessage", state.target.base_url).parse().ok()?;
    let origin = url.origin().ascii_serialization();
    let request = Signed { http_method: "POST", origin: &origin, path: url.path(), parameters: &[] };
    let nonce = format!("{:016x}", random.u64(..));
    let stamp = (SystemClock.now().timestamp(), nonce.as_str());
    let Target { consumer_key, consumer_secret, tenant_id, .. } = &state.target;
    let authorization = write_header(&request, Method::HmacSha256, consumer_key, consumer_secret, stamp);
    let request = client
        .post(url)
        .header(AUTHORIZATION, authorization)
        .header("X-TenantId", tenant_id)
        .header(CONTENT_TYPE, state.composer.content_type())
        .body(reqwest::Body::wrap(state.composer.message(&parcel)))
        .send();
    match patience {
        None => Some(request.await.ok()?.status().as_u16()),
        // Hangs up, whether or not the document has arrived.
        Some(patience) => Some(tokio::time::timeout(patience, request).await.ok()?.ok()?.status().as_u16()),
    }
}
