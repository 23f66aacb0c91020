//! The client: one HTTP request a call, and whatever becomes of it as an `Answer`.
//!
//! No retries, no redirects: every try is the caller's, so that it can be counted and recorded. The one exception is a
//! 401, after which the same request goes out once more with another token (design.md §5); ION did not take the first.
//!
//! `Sender` is the one place that sends again what the server says it did not process (GOAWAY, REFUSED_STREAM); reqwest's
//! own repeats are switched off. hyper-util, under it, takes another connection when a pooled one turns out to be closed
//! before the first byte of the request was written. None of these requests had an effect, so none counts as a try.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use secrecy::ExposeSecret;

use super::accepted::{Accepted, document_names};
use super::answer::{self, MAX_ANSWER, Whole, text_of};
use super::chain::chain;
use super::credentials::{Credential, Source, Stamp};
use super::http::Reach;
use super::proxy;
use super::remarks::{self, Noticed, Remark};
use super::sender::{Failed, Sender};
use super::token::{Bearer, Token};
use super::wire::{self, Composer};
use crate::clock::{Clock, SystemClock};
use crate::config::Ion;
use crate::domain::message::Parcel;
use crate::domain::notice::Severity;
use crate::domain::outcome::Answer;
use crate::domain::plan::ImsMethod;

/// The list of accepted documents may be long, bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;
/// A changed credential file is looked for at most so often, milliseconds.
const LOOK_EVERY_MS: u64 = 1000;
/// No post waits longer for that look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a request goes, as messages name it: host and port, and the proxy in between.
#[derive(Debug, Clone)]
pub struct Route(String);

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Posts to one IMS with one credential. Clones share connections and token.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    settings: Ion,
    sender: Arc<Sender>,
    composer: Composer,
    source: Source,
    cache: Option<PathBuf>,
    session: RwLock<Arc<Session>>,
    started: Instant,
    /// Milliseconds since `started` at which the credential's files are looked at again.
    look_at: AtomicU64,
    looking: AtomicBool,
    watch: Mutex<Watch>,
    noticed: Noticed,
}

struct Watch {
    stamp: Stamp,
    trouble: Option<String>,
    /// Files of the credential that other users may read.
    readable: Vec<PathBuf>,
}

/// What hangs on a credential: a changed file brings another one, and posts under way end with theirs.
struct Session {
    credential: Arc<Credential>,
    fingerprint: String,
    token: Token,
    route: Route,
    v3_multipart: Url,
    v3_message: Url,
    v2_multipart: Url,
    /// When a changed file brought it; `None` for the first one.
    changed_at: Option<DateTime<Utc>>,
    /// What ION said to it, as long as it never let it in.
    refused: Mutex<Option<String>>,
    was_let_in: AtomicBool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.name())
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads the credential and the certificates; connects to nothing. The token is kept in `state_dir` where the
    /// settings say so.
    pub fn new(settings: &Ion, state_dir: &Path) -> Result<Self> {
        let what = || format!("[[ion]] {} cannot be used", settings.name);
        let sender = Arc::new(Sender::new(&reach(settings)).with_context(what)?);
        let source = Source::new(settings);
        // Looked at before it is read: a change in between is seen later, never missed.
        let stamp = source.stamp();
        let credential = source.read().with_context(what)?;
        let cache = settings.cache_token.then(|| state_dir.join(cache_name(&settings.name)));
        let session = Session::new(settings, &sender, credential, cache.clone(), None).with_context(what)?;
        let readable = source.readable_by_others();
        Ok(Self(Arc::new(Inner {
            settings: settings.clone(),
            sender,
            composer: Composer::default(),
            source,
            cache,
            session: RwLock::new(Arc::new(session)),
            started: Instant::now(),
            look_at: AtomicU64::new(LOOK_EVERY_MS),
            looking: AtomicBool::new(false),
            watch: Mutex::new(Watch { stamp, trouble: None, readable }),
            noticed: Noticed::default(),
        })))
    }

    /// The name of the `[[ion]]`.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// The credential's tenant.
    pub fn tenant_id(&self) -> String {
        self.session_now().credential.tenant_id.clone()
    }

    /// The address of the IMS, for messages.
    pub fn endpoint(&self) -> String {
        self.session_now().credential.service_url.to_string()
    }

    /// What holds now of the credential, the clock and the certificate that somebody should hear of.
    pub fn remarks(&self) -> Vec<Remark> {
        let (session, now) = (self.session_now(), SystemClock.now());
        let mut remarks = self.0.noticed.remarks(&session.route.0, now);
        remarks.extend(remarks::unused(session.token.last_obtained(), now));
        remarks.extend(remarks::not_granted(&session.token.scopes_missing()));
        remarks.extend(session.refused_since_change());
        let watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trouble) = &watch.trouble {
            remarks.push(Remark {
                code: "CREDENTIAL_UNUSABLE",
                severity: Severity::Error,
                text: format!(
                    "the changed credential file cannot be used; the one read before goes on: {trouble}"
                ),
                remedy: "Put a whole .ionapi file in its place; it is read again by itself.",
            });
        }
        if !watch.readable.is_empty() {
            let files: Vec<String> = watch.readable.iter().map(|path| path.display().to_string()).collect();
            remarks.push(Remark {
                code: "CREDENTIAL_READABLE",
                severity: Severity::Warning,
                text: format!("other users of this machine may read {}", files.join(", ")),
                remedy: "Who reads it can send in your name: chmod 600, owned by the agent's user.",
            });
        }
        remarks
    }

    /// Since the token in use was issued; `None` while there is none.
    pub fn token_age(&self) -> Option<Duration> {
        self.session_now().token.age()
    }

    /// Reads the credential and the certificates again now, changed or not (the command `reload_credentials`, SIGHUP).
    pub async fn reload_credentials(&self) -> Result<()> {
        let client = self.clone();
        tokio::task::spawn_blocking(move || client.0.read_again(true))
            .await
            .context("reading the credential")?
    }

    /// Posts one message.
    pub async fn post(&self, method: ImsMethod, parcel: &Parcel) -> Answer {
        let session = self.session().await;
        let compose = || {
            let (url, body) = match method {
                ImsMethod::V3MultipartMessage => (&session.v3_multipart, self.0.composer.message(parcel)),
                ImsMethod::V2MultipartMessage => (&session.v2_multipart, self.0.composer.message(parcel)),
                ImsMethod::V3Message => (&session.v3_message, self.0.composer.payload_only(&parcel.payload)),
            };
            let mut request = Request::new(Method::POST, url.clone());
            request.headers_mut().insert(CONTENT_TYPE, self.0.composer.content_type().clone());
            if method == ImsMethod::V3Message {
                let mut url = url.clone();
                wire::spread_parameters(&parcel.parameters, request.headers_mut(), &mut url);
                *request.url_mut() = url;
            }
            *request.body_mut() = Some(reqwest::Body::wrap(body));
            request
        };
        match self.send(&session, false, compose, MAX_ANSWER).await {
            Ok(whole) => whole.answer(),
            Err(answer) => answer,
        }
    }

    /// Asks whether the IMS is there and lets this credential in. The body means nothing (spec/ims.md §3).
    pub async fn ping(&self) -> Answer {
        match self.get(&["ping"], MAX_ANSWER).await {
            Ok(whole) => whole.answer(),
            Err(answer) => answer,
        }
    }

    /// The certificates that the servers show, where `failed` is about an issuer that is not known here. For `check`: it
    /// connects once more, past any proxy.
    pub async fn certificates_shown(&self, failed: &Answer) -> Option<String> {
        if !failed.text().contains(answer::UNKNOWN_ISSUER) {
            return None;
        }
        let credential = self.session_now().credential.clone();
        let url = match failed {
            Answer::NoToken { .. } => credential.token_url.clone(),
            _ => credential.service_url.clone(),
        };
        tokio::task::spawn_blocking(move || chain(&url)).await.ok()?
    }

    /// The protocol versions that the IMS supports.
    pub async fn versions(&self) -> Result<Vec<String>, Answer> {
        let whole = self.get(&["versions"], MAX_ANSWER).await?;
        let json: Option<serde_json::Value> = serde_json::from_slice(&whole.body).ok();
        // The key's full name is not public, only how it begins (spec/ims.md §3, A2).
        let list = json.as_ref().and_then(|json| match json {
            serde_json::Value::Object(map) => {
                map.iter().find(|(key, _)| key.starts_with("supportedVers")).and_then(|(_, it)| it.as_array())
            }
            other => other.as_array(),
        });
        match list {
            Some(list) if whole.is_success() => {
                Ok(list.iter().filter_map(|it| it.as_str()).map(str::to_owned).collect())
            }
            _ => Err(whole.answer()),
        }
    }

    /// The documents that ION accepts from `logical_id`.
    pub async fn accepted_documents(&self, logical_id: &str) -> Accepted {
        let id = logical_id.strip_prefix("lid://").unwrap_or(logical_id);
        let whole = match self.get(&["v3", id, "acceptedDocuments"], MAX_LIST).await {
            Ok(whole) => whole,
            Err(answer) => return Accepted::Refused(answer),
        };
        if !whole.is_success() {
            return Accepted::Refused(whole.answer());
        }
        match serde_json::from_slice(&whole.body) {
            Ok(json) if !whole.is_html => match document_names(&json) {
                Some(names) => Accepted::Listed(names),
                None => Accepted::Unreadable(text_of(&whole.body)),
            },
            _ => Accepted::Unreadable(text_of(&whole.body)),
        }
    }

    async fn get(&self, path: &[&str], limit: usize) -> Result<Whole, Answer> {
        let session = self.session().await;
        let mut url = session.credential.service_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        self.send(&session, true, || Request::new(Method::GET, url.clone()), limit).await
    }

    /// Sends with a token; after a 401 once more with another one.
    async fn send(
        &self,
        session: &Session,
        asks: bool,
        compose: impl Fn() -> Request,
        limit: usize,
    ) -> Result<Whole, Answer> {
        let result = self.try_send(session, asks, compose, limit).await;
        session.heard(&result);
        result
    }

    async fn try_send(
        &self,
        session: &Session,
        asks: bool,
        compose: impl Fn() -> Request,
        limit: usize,
    ) -> Result<Whole, Answer> {
        let bearer = session.token.bearer().await?;
        let whole = self.send_once(session, asks, &compose, &bearer, limit).await?;
        if whole.status != 401 {
            return Ok(whole);
        }
        match session.token.after_refusal(bearer.generation).await {
            None => Ok(whole),
            Some(Err(answer)) => Err(answer),
            Some(Ok(bearer)) => self.send_once(session, asks, &compose, &bearer, limit).await,
        }
    }

    async fn send_once(
        &self,
        session: &Session,
        asks: bool,
        compose: impl Fn() -> Request,
        bearer: &Bearer,
        limit: usize,
    ) -> Result<Whole, Answer> {
        let compose = || {
            let mut request = compose();
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, bearer.header.clone());
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            request
        };
        let result = match self.0.sender.send(compose).await {
            Ok(response) => {
                // Posts are many, and tell nothing of it that ping does not.
                if asks {
                    self.0.noticed.look(&response, SystemClock.now());
                }
                answer::read_up_to(response, limit).await
            }
            Err(failed) => return Err(self.failed(session, bearer, &failed).await),
        };
        let mask = |text: &str| bearer.mask(&session.credential.mask(text));
        match result {
            Ok(whole) if self.0.sender.is_from_proxy(whole.status, &session.v3_multipart) => {
                Err(Answer::NotConnected {
                    what: format!(
                        "no connection to {}: the proxy refuses, HTTP 407; {}",
                        session.route,
                        proxy::remedy("407")
                    ),
                })
            }
            Ok(whole) => Ok(whole.masked(mask)),
            // The status line is ION's word: a 2xx is accepted even where its body broke off, since sending again
            // what is known as accepted is the worse mistake.
            Err(broken) if broken.whole.is_success() => Ok(broken.whole),
            Err(broken) => {
                let failed = Failed { error: broken.error, was_not_processed: false };
                Err(self.failed(session, bearer, &failed).await)
            }
        }
    }

    async fn failed(&self, session: &Session, bearer: &Bearer, failed: &Failed) -> Answer {
        let (route, error) = (&session.route, &failed.error);
        let mask = |text: String| bearer.mask(&session.credential.mask(&text));
        let cause = self.0.sender.cause_of(error, &session.v3_multipart).await;
        if error.is_connect() {
            return Answer::NotConnected { what: mask(format!("no connection to {route}: {cause}")) };
        }
        if failed.was_not_processed {
            return Answer::NotConnected {
                what: mask(format!(
                    "{route} closes each connection or refuses each request before it looks at it: {cause}"
                )),
            };
        }
        let what = match error.is_timeout() {
            true => format!(
                "{route} gave no whole answer within {} s (request_timeout_seconds)",
                self.0.settings.request_timeout_seconds
            ),
            false => format!("the connection to {route} broke before a whole answer came: {cause}"),
        };
        Answer::Unanswered { what: mask(what) }
    }

    fn session_now(&self) -> Arc<Session> {
        self.0.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The session to use, after a look at the credential's files where that is due.
    async fn session(&self) -> Arc<Session> {
        let now = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now >= self.0.look_at.load(Ordering::Relaxed) && !self.0.looking.swap(true, Ordering::AcqRel) {
            self.0.look_at.store(now + LOOK_EVERY_MS, Ordering::Relaxed);
            let client = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                if let Err(error) = client.0.read_again(false) {
                    tracing::warn!(
                        ion = client.name(),
                        error = format!("{error:#}"),
                        "the credential's changed file cannot be used; the one read before goes on"
                    );
                }
                client.0.looking.store(false, Ordering::Release);
            });
            // The file may be on a share that hangs; then the credential in memory goes on.
            let _ = tokio::time::timeout(LOOK_TIMEOUT, looked).await;
        }
        self.session_now()
    }
}

impl Inner {
    /// Reads the credential if its files changed (or anyway). A broken file keeps the old credential and is an error
    /// once, until it changes again.
    fn read_again(&self, anyway: bool) -> Result<()> {
        let (stamp, readable) = (self.source.stamp(), self.source.readable_by_others());
        {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            // A changed mode leaves the stamp as it is.
            watch.readable = readable;
            if !anyway && watch.stamp == stamp {
                return Ok(());
            }
            watch.stamp = stamp;
        }
        let renewed = if anyway { self.sender.renew(&reach(&self.settings)) } else { Ok(()) };
        let result = renewed.and_then(|()| self.source.read()).and_then(|credential| {
            let changed_at = Some(SystemClock.now());
            let session =
                Session::new(&self.settings, &self.sender, credential, self.cache.clone(), changed_at)?;
            let mut current = self.session.write().unwrap_or_else(PoisonError::into_inner);
            // The same credential in a rewritten file keeps its token.
            if current.fingerprint != session.fingerprint {
                *current = Arc::new(session);
            }
            Ok(())
        });
        let trouble = result.as_ref().err().map(|error| format!("{error:#}"));
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).trouble = trouble;
        result
    }
}

impl Session {
    fn new(
        settings: &Ion,
        sender: &Arc<Sender>,
        credential: Credential,
        cache: Option<PathBuf>,
        changed_at: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let join =
            |path: &str| credential.service_url.join(path).with_context(|| format!("no URL for {path}"));
        let route = route(settings, &credential.service_url);
        let token_route = self::route(settings, &credential.token_url);
        let (v3_multipart, v3_message, v2_multipart) =
            (join("v3/multipartMessage")?, join("v3/message/multipart")?, join("v2/multipartMessage")?);
        let timeout = Duration::from_secs(settings.request_timeout_seconds);
        let fingerprint = format!("{} {}", credential.fingerprint(), credential.service_url);
        let credential = Arc::new(credential);
        let token = Token::new(sender.clone(), credential.clone(), token_route, timeout, cache);
        Ok(Self {
            credential,
            fingerprint,
            token,
            route,
            v3_multipart,
            v3_message,
            v2_multipart,
            changed_at,
            refused: Mutex::default(),
            was_let_in: AtomicBool::new(false),
        })
    }

    /// Whether ION lets this credential in, until it did once.
    fn heard(&self, result: &Result<Whole, Answer>) {
        if self.changed_at.is_none() || self.was_let_in.load(Ordering::Relaxed) {
            return;
        }
        let said = match result {
            Ok(whole) if whole.is_success() => return self.was_let_in.store(true, Ordering::Relaxed),
            Ok(whole) if matches!(whole.status, 401 | 403) => {
                format!("HTTP {}: {}", whole.status, text_of(&whole.body))
            }
            Err(Answer::NoToken { status: Some(400..=499), what, .. }) => what.clone(),
            Ok(_) | Err(_) => return,
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    fn refused_since_change(&self) -> Option<Remark> {
        let changed_at = self.changed_at.filter(|_| !self.was_let_in.load(Ordering::Relaxed))?;
        let said = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Remark {
            code: "CREDENTIAL_REFUSED",
            severity: Severity::Error,
            text: format!(
                "ION has let the credential in that is used since its file changed at {} not once: {said}",
                changed_at.format("%Y-%m-%d %H:%M:%SZ")
            ),
            remedy: "Put the file back that worked before, or download the new one again: it must be of an authorized \
                     app that is active, with a service account. The file is read again by itself.",
        })
    }
}

fn reach(settings: &Ion) -> Reach<'_> {
    Reach {
        ca_file: settings.ca_file.as_deref(),
        proxy: settings.proxy.as_ref(),
        no_proxy: settings.no_proxy.as_deref(),
        min_tls: settings.min_tls,
        connect_timeout: Duration::from_secs(settings.connect_timeout_seconds),
        request_timeout: Duration::from_secs(settings.request_timeout_seconds),
    }
}

fn route(settings: &Ion, url: &Url) -> Route {
    let host = url.host_str().unwrap_or_default();
    let mut text = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    let proxy = settings.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose_secret()).ok());
    if let Some(proxy) = proxy {
        let port = proxy.port_or_known_default().unwrap_or_default();
        text += &format!(" (proxy {}:{port})", proxy.host_str().unwrap_or_default());
    }
    Route(text)
}

/// The token's file of an `[[ion]]`: its name, with what a file name cannot hold replaced and a hash against clashes.
fn cache_name(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
    let hash = crate::domain::ids::Digest::of(name.as_bytes()).to_string();
    format!("token-{plain}-{}.json", &hash[..8])
}
