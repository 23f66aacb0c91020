//! An IMS and its authorization server on loopback, obeying the same spec from the other side, with scripted faults
//! and a ledger. The demo, the tests and the benchmarks post to it.
//!
//! It runs on a thread of its own, so that it shares nothing with what it tests, and ends when it is dropped. It
//! listens on loopback only and its secrets come from the seed: they protect nothing.

pub mod connector;
pub mod ledger;
mod oauth;
pub mod script;
mod server;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::ledger::Ledger;
use self::oauth::{Keys, OAuth};
use self::script::{Fault, Faults, Script};
use self::server::State;
use crate::listener::ListenerThread;
use crate::platform;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Options {
    /// Loopback; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Decides chances, secrets and tokens.
    pub seed: u64,
    pub script: Script,
    /// Document names on the connection point's Documents tab; `None`: every document.
    pub accepted: Option<BTreeSet<String>>,
    pub token_lifetime: Duration,
    pub refresh_tokens: bool,
    /// The `.ionapi` has saak and sask; without them it is for client credentials.
    pub service_account: bool,
    pub scopes: Vec<String>,
    pub tenant_id: String,
    /// The connection points' logical ids; `None`: any.
    pub logical_ids: Option<BTreeSet<String>>,
    /// JSON lines; an older file is replaced.
    pub ledger: Option<PathBuf>,
    /// Keep counters and one digest an id instead of every arrival.
    pub bulk: bool,
    /// Speaks TLS with this, which has a certificate for `localhost`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 0,
            script: Script::default(),
            accepted: None,
            token_lifetime: Duration::from_secs(7200),
            refresh_tokens: false,
            service_account: true,
            scopes: vec!["Infor-ION".into()],
            tenant_id: "DEMO_TST".into(),
            logical_ids: None,
            ledger: None,
            bulk: false,
            tls: None,
        }
    }
}

/// A running simulator.
pub struct Simulator {
    state: Arc<State>,
    thread: ListenerThread,
}

impl Simulator {
    /// Listens, and answers from a thread of its own.
    pub fn start(options: Options) -> Result<Self> {
        let Options { listen, seed, .. } = options;
        if !listen.ip().is_loopback() {
            bail!("the simulator listens on loopback only, not on {listen}: use 127.0.0.1");
        }
        let what = || format!("the simulator cannot listen on {listen}");
        let oauth = OAuth::new(
            Keys::new(&options.tenant_id, seed),
            seed,
            options.token_lifetime,
            options.refresh_tokens,
            options.scopes.clone(),
        );
        let state = Arc::new(State {
            started: Instant::now(),
            ledger: Arc::new(Ledger::new(options.ledger.as_deref(), options.bulk)?),
            oauth: Mutex::new(oauth),
            faults: Mutex::new(Faults::new(options.script.clone(), seed)),
            accepted: RwLock::new(options.accepted.clone()),
            logical_ids: RwLock::new(options.logical_ids.clone()),
            statuses: Mutex::default(),
            clock_ahead: AtomicI64::new(0),
            options,
        });
        let serving = state.clone();
        let thread = ListenerThread::start("simulator", listen, |listener| server::serve(listener, serving))
            .with_context(what)?;
        Ok(Self { state, thread })
    }

    /// The messaging address, as `base_url` takes it.
    pub fn base_url(&self) -> String {
        format!("{}/{}/IONSERVICES/api/ion/messaging", self.origin(), self.tenant_id())
    }

    /// What its addresses begin with.
    fn origin(&self) -> String {
        match &self.state.options.tls {
            None => format!("http://{}", self.address()),
            Some(_) => format!("https://localhost:{}", self.address().port()),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.thread.address()
    }

    pub fn tenant_id(&self) -> &str {
        &self.state.options.tenant_id
    }

    /// An `.ionapi` file's content that this simulator lets in.
    pub fn ionapi_json(&self) -> String {
        let oauth = self.state.oauth();
        self.ionapi(oauth.keys(), &oauth.keys().client_id)
    }

    /// One that gets tokens, but whose client id no connection point has: the IMS answers 403.
    pub fn other_ionapi_json(&self) -> String {
        let oauth = self.state.oauth();
        self.ionapi(oauth.keys(), &oauth.keys().other_client_id)
    }

    fn ionapi(&self, keys: &Keys, client_id: &str) -> String {
        let (origin, tenant_id) = (self.origin(), self.tenant_id());
        let mut file = serde_json::json!({
            "ti": tenant_id, "cn": "bodrelay simulator", "dt": "12", "ci": client_id, "cs": keys.client_secret,
            "iu": origin, "pu": format!("{origin}/{tenant_id}/as/"),
            "oa": "authorization.oauth2", "ot": "token.oauth2", "or": "revoke_token.oauth2",
            "ev": "V0000000000", "v": "1.1", "sc": self.state.options.scopes,
        });
        if self.state.options.service_account {
            file["saak"] = keys.account_key.clone().into();
            file["sask"] = keys.account_secret.clone().into();
        }
        format!("{file:#}\n")
    }

    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// Adds a fault behind those that are there.
    pub fn add_fault(&self, fault: Fault) {
        self.state.faults().add(fault);
    }

    pub fn clear_faults(&self) {
        self.state.faults().clear();
    }

    /// Changes the Documents tab.
    pub fn set_accepted(&self, accepted: Option<BTreeSet<String>>) {
        *self.state.accepted.write().unwrap_or_else(PoisonError::into_inner) = accepted;
    }

    /// Changes which logical ids have a connection point.
    pub fn set_logical_ids(&self, logical_ids: Option<BTreeSet<String>>) {
        *self.state.logical_ids.write().unwrap_or_else(PoisonError::into_inner) = logical_ids;
    }

    /// Revokes all access tokens.
    pub fn revoke_tokens(&self) {
        self.state.oauth().revoke_all();
    }

    pub fn revoke_refresh_tokens(&self) {
        self.state.oauth().revoke_refresh_tokens();
    }

    /// Changes the client's and the account's secrets: the `.ionapi` in use no longer fits.
    pub fn renew_keys(&self, seed: u64) {
        self.state.oauth().renew_keys(seed);
    }

    /// From now on its clock is so many seconds ahead of this machine's, or (negative) behind.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.clock_ahead.store(seconds, Ordering::Relaxed);
    }

    /// From now on tokens are given without this scope, though it was asked for.
    pub fn withhold_scope(&self, scope: Option<&str>) {
        self.state.oauth().withheld = scope.map(str::to_owned);
    }

    /// Requests at the token endpoint so far, those that faults answered too.
    pub fn token_requests(&self) -> u64 {
        self.state.oauth().requests
    }

    /// The grants of the token requests with a known client, in order (the last 1,000).
    pub fn grants(&self) -> Vec<String> {
        self.state.oauth().grants.clone()
    }

    /// How often each status was answered to posts; 0 stands for no answer.
    pub fn statuses(&self) -> std::collections::BTreeMap<u16, u64> {
        self.state.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it and all its connections; dropping does the same.
    pub fn stop(self) {}
}

/// What `bodrelay simulate` shows; the simulator runs until this is dropped.
pub struct Running {
    pub simulator: Simulator,
    /// A credential file that fits, ready for `[[ion]] credentials`.
    pub ionapi: PathBuf,
    pub base_url: String,
}

/// Starts the simulator for the command line and writes a credential file for it. The same seed and port give the same
/// credential, so that an agent's configuration goes on fitting.
pub fn run_command(
    listen: SocketAddr,
    faults: Option<&Path>,
    ledger: Option<&Path>,
    ionapi: &Path,
    seed: u64,
) -> Result<Running> {
    let script = faults.map(Script::read).transpose()?.unwrap_or_default();
    let ledger = ledger.map(Path::to_owned);
    // With a file the arrivals need not be held in memory too, so it may run for days.
    let bulk = ledger.is_some();
    let simulator = Simulator::start(Options { listen, seed, script, ledger, bulk, ..Options::default() })?;
    platform::replace_file(ionapi, simulator.ionapi_json().as_bytes())
        .with_context(|| format!("the credential file {} cannot be written", ionapi.display()))?;
    let base_url = simulator.base_url();
    Ok(Running { simulator, ionapi: ionapi.to_owned(), base_url })
}
