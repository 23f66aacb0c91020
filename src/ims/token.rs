//! The one access token of a credential: fetched when needed, shared by all posts, renewed early, never twice at once.
//!
//! The number of issued tokens is metered (spec/ionapi.md §2), so every path here counts: a token is asked for only
//! when something is to be sent, one renewal serves all that wait for it, a refusal by ION forces at most one renewal
//! a minute, and the token is kept in a file so that `once` from cron does not ask each time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::answer::{self, MAX_ANSWER};
use super::client::Route;
use super::credentials::{Credential, mask};
use super::oauth1::percent_encoded;
use super::sender::Sender;
use crate::clock::{Clock, SystemClock};
use crate::domain::outcome::Answer;

/// A token endpoint that takes longer does not answer at all; shorter where the request time-out is.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a 401, and after an early renewal that failed.
const FORCED_EVERY: Duration = Duration::from_secs(60);
/// What a token lives where the answer does not say: ION's default (spec/ionapi.md §2).
const USUAL_LIFE: Duration = Duration::from_secs(2 * 60 * 60);
/// Nothing sensible lives longer, and a mistaken number must not overflow a clock.
const LONGEST_LIFE: u64 = 30 * 24 * 60 * 60;

/// A token in use.
#[derive(Debug)]
pub struct Bearer {
    /// Counts the tokens of a credential, so that many refusals of one token cause one renewal.
    pub generation: u64,
    /// `Bearer …`, marked sensitive.
    pub header: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
    /// How old it was when it became current: one from the file has lived before.
    age_then: Duration,
    current_since: Instant,
}

impl Bearer {
    /// The text with this token masked.
    pub fn mask(&self, text: &str) -> String {
        let token = self.header.to_str().unwrap_or_default();
        mask(text, token.strip_prefix("Bearer ").unwrap_or(token))
    }
}

/// The token of one credential.
pub struct Token {
    sender: Arc<Sender>,
    credential: Arc<Credential>,
    route: Route,
    timeout: Duration,
    cache: Option<PathBuf>,
    current: RwLock<Option<Arc<Bearer>>>,
    /// Finished tries to get a token: whoever waited for one takes its result instead of trying again.
    tries: AtomicU64,
    renewal: tokio::sync::Mutex<Renewal>,
    known: RwLock<Known>,
}

/// What is worth knowing of the tokens so far.
#[derive(Default)]
struct Known {
    last_obtained: Option<DateTime<Utc>>,
    scopes_missing: Vec<String>,
}

#[derive(Default)]
struct Renewal {
    generation: u64,
    cache_was_read: bool,
    refresh_token: Option<SecretString>,
    /// How the last try failed; `None` after a success.
    failure: Option<Answer>,
    last_forced: Option<Instant>,
    early_not_before: Option<Instant>,
}

/// Why a token was not given.
struct Refusal {
    answer: Answer,
    /// The endpoint read the request and said no.
    was_refused: bool,
}

struct Issued {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    life: Duration,
    /// What was granted, where the answer says it.
    scope: Option<String>,
}

/// The cache file. Its secrets are why it is 0600.
#[derive(Serialize, Deserialize)]
struct Cached {
    credential: String,
    access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    obtained_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Token {
    /// `cache` is the file that keeps the token, where it is to be kept.
    pub(super) fn new(
        sender: Arc<Sender>,
        credential: Arc<Credential>,
        route: Route,
        request_timeout: Duration,
        cache: Option<PathBuf>,
    ) -> Self {
        let last_obtained = cache.as_deref().and_then(|path| last_obtained(path, &credential));
        Self {
            sender,
            credential,
            route,
            timeout: TOKEN_TIMEOUT.min(request_timeout),
            known: RwLock::new(Known { last_obtained, scopes_missing: Vec::new() }),
            cache,
            current: RwLock::default(),
            tries: AtomicU64::new(0),
            renewal: tokio::sync::Mutex::default(),
        }
    }

    /// Since the token in use was issued; `None`: there is none, or it has expired.
    pub fn age(&self) -> Option<Duration> {
        let bearer = self.current().filter(|it| Instant::now() < it.expires_at)?;
        Some(bearer.age_then + bearer.current_since.elapsed())
    }

    /// When a token was last got, as far as is known.
    pub fn last_obtained(&self) -> Option<DateTime<Utc>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).last_obtained
    }

    /// Scopes that were asked for, and that the last token does not have.
    pub fn scopes_missing(&self) -> Vec<String> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).scopes_missing.clone()
    }

    fn current(&self) -> Option<Arc<Bearer>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token to use now. No await is reached while it is fresh.
    pub async fn bearer(&self) -> Result<Arc<Bearer>, Answer> {
        let now = Instant::now();
        match self.current() {
            Some(bearer) if now < bearer.renew_at => Ok(bearer),
            Some(bearer) if now < bearer.expires_at => Ok(self.renewed_early(bearer).await),
            _ => {
                let tries = self.tries.load(Ordering::Acquire);
                let mut renewal = self.renewal.lock().await;
                if let Some(bearer) = self.current().filter(|it| Instant::now() < it.renew_at) {
                    return Ok(bearer);
                }
                if self.tries.load(Ordering::Acquire) != tries
                    && let Some(failure) = &renewal.failure
                {
                    return Err(failure.clone());
                }
                if let Some(bearer) = self.cached(&mut renewal).await {
                    return Ok(bearer);
                }
                self.renew(&mut renewal).await
            }
        }
    }

    /// One caller renews; the others, and this one if that fails, go on with the old token while it lasts.
    async fn renewed_early(&self, old: Arc<Bearer>) -> Arc<Bearer> {
        let Ok(mut renewal) = self.renewal.try_lock() else { return old };
        let now = Instant::now();
        if let Some(newer) = self.current().filter(|it| it.generation != old.generation) {
            return newer;
        }
        if renewal.early_not_before.is_some_and(|time| now < time) {
            return old;
        }
        match self.renew(&mut renewal).await {
            Ok(bearer) => bearer,
            Err(failure) => {
                renewal.early_not_before = Some(now + FORCED_EVERY);
                tracing::debug!(
                    reason = failure.text(),
                    "the token was not renewed early; the old one is used while it lasts"
                );
                old
            }
        }
    }

    /// ION refused the token `generation` with 401: another one, unless one was forced within the last minute.
    /// `None`: no renewal now, the 401 stands.
    pub async fn after_refusal(&self, generation: u64) -> Option<Result<Arc<Bearer>, Answer>> {
        let tries = self.tries.load(Ordering::Acquire);
        let mut renewal = self.renewal.lock().await;
        if let Some(bearer) = self.current().filter(|it| it.generation != generation) {
            return Some(Ok(bearer));
        }
        if self.tries.load(Ordering::Acquire) != tries
            && let Some(failure) = &renewal.failure
        {
            return Some(Err(failure.clone()));
        }
        let now = Instant::now();
        if renewal.last_forced.is_some_and(|last| now < last + FORCED_EVERY) {
            return None;
        }
        renewal.last_forced = Some(now);
        tracing::warn!(ion = %self.route, "ION refused a token that should still hold; another one is fetched");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        // The file holds the refused token.
        renewal.cache_was_read = true;
        Some(self.renew(&mut renewal).await)
    }

    async fn renew(&self, renewal: &mut Renewal) -> Result<Arc<Bearer>, Answer> {
        let result = self.fetch(renewal).await;
        let result = match result {
            Ok(issued) => self.install(renewal, issued).await,
            Err(refusal) => Err(refusal.answer),
        };
        renewal.failure = result.as_ref().err().cloned();
        self.tries.fetch_add(1, Ordering::AcqRel);
        result
    }

    async fn fetch(&self, renewal: &mut Renewal) -> Result<Issued, Refusal> {
        if let Some(refresh_token) = renewal.refresh_token.clone() {
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
            match self.exchange(&form).await {
                // A refresh token that is not replaced goes on being valid (RFC 6749 §6).
                Ok(issued) => {
                    let refresh_token = issued.refresh_token.or(Some(refresh_token));
                    return Ok(Issued { refresh_token, ..issued });
                }
                Err(Refusal { was_refused: true, .. }) => renewal.refresh_token = None,
                Err(refusal) => return Err(refusal),
            }
        }
        let scopes = self.credential.scopes.join(" ");
        let mut form = match &self.credential.account {
            Some(account) => vec![
                ("grant_type", "password"),
                ("username", account.key.expose_secret()),
                ("password", account.secret.expose_secret()),
            ],
            None => vec![("grant_type", "client_credentials")],
        };
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        self.exchange(&form).await
    }

    async fn exchange(&self, form: &[(&str, &str)]) -> Result<Issued, Refusal> {
        let form = form_encoded(form);
        let basic = basic(&self.credential.client_id, &self.credential.client_secret);
        let compose = || {
            let mut request = Request::new(Method::POST, self.credential.token_url.clone());
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, basic.clone());
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            *request.timeout_mut() = Some(self.timeout);
            *request.body_mut() = Some(form.clone().into());
            request
        };
        let answer = match self.sender.send(compose).await {
            Ok(response) => match answer::read_up_to(response, MAX_ANSWER).await {
                Ok(whole) => whole,
                Err(broken) => return Err(self.no_answer(&broken.error).await),
            },
            Err(failed) => return Err(self.no_answer(&failed.error).await),
        };
        let (status, body, is_html) = (answer.status, &answer.body, answer.is_html);
        if !(200..300).contains(&status) {
            let what = self.refusal_text(status, body, is_html);
            return Err(Refusal {
                was_refused: (400..500).contains(&status) && !matches!(status, 408 | 429),
                answer: Answer::NoToken { status: Some(status), what, retry_after: answer.retry_after },
            });
        }
        read_issued(body).map_err(|why| {
            let what = match is_html {
                true => format!(
                    "the token endpoint {} answered with a web page instead of a token: check the token URL and \
                     whether a proxy or a login page stands in between",
                    self.route
                ),
                false => format!(
                    "the token endpoint {} answered HTTP {status}, but {why}: check the token URL",
                    self.route
                ),
            };
            Refusal {
                answer: Answer::NoToken { status: Some(status), what, retry_after: None },
                was_refused: false,
            }
        })
    }

    async fn no_answer(&self, error: &reqwest::Error) -> Refusal {
        let what = self.credential.mask(&format!(
            "no token: the token endpoint {} could not be reached or did not answer: {}",
            self.route,
            self.sender.cause_of(error, &self.credential.token_url).await
        ));
        Refusal { answer: Answer::NoToken { status: None, what, retry_after: None }, was_refused: false }
    }

    /// What an error answer of the token endpoint means, with what to do (spec/ionapi.md §2; spec/pains.md 14, 15).
    fn refusal_text(&self, status: u16, body: &[u8], is_html: bool) -> String {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let error = json.get("error").and_then(|error| error.as_str()).unwrap_or_default();
        let remedy = match (error, status) {
            ("invalid_client", _) | ("", 401) => {
                "the client id or client secret (ci, cs) is wrong or the authorized app was deleted or renewed: \
                 download the .ionapi file again"
            }
            ("invalid_grant", _) => {
                "the service account (saak, sask) is wrong, expired or disabled: download the .ionapi file again with \
                 Create Service Account ticked"
            }
            ("invalid_scope", _) => {
                "the service account does not own a scope that is asked for: correct sc in the .ionapi file, or scopes"
            }
            ("unauthorized_client" | "unsupported_grant_type", _) => {
                "the authorized app does not allow this grant: it must be of type Backend Service, with saak and sask \
                 for the password grant or made for client credentials"
            }
            (_, 300..=399 | 403 | 404 | 405) => {
                "the token URL (pu and ot) is not that of this tenant's authorization server; cloud and on-premises \
                 addresses differ: download the .ionapi file again"
            }
            (_, 429) => "too many token requests: look for another program that uses this credential",
            (_, 500..) => {
                "this endpoint also answers so to wrong input: if it lasts, check client, service account and token URL"
            }
            _ => "check the .ionapi file and the authorized app",
        };
        let said = match is_html {
            true => "a web page".to_owned(),
            false => answer::text_of(body),
        };
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        self.credential.mask(&format!(
            "no token: the token endpoint {} answered HTTP {status}{said}: {remedy}",
            self.route
        ))
    }

    async fn install(&self, renewal: &mut Renewal, issued: Issued) -> Result<Arc<Bearer>, Answer> {
        renewal.refresh_token = issued.refresh_token.clone();
        let granted = issued.scope.as_deref();
        let missing = |scope: &&String| {
            granted.is_some_and(|granted| !granted.split_whitespace().any(|it| it == scope.as_str()))
        };
        let scopes_missing = self.credential.scopes.iter().filter(missing).cloned().collect();
        let known = Known { last_obtained: Some(SystemClock.now()), scopes_missing };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        let bearer = self.bearer_of(renewal, &issued.access_token, issued.life, issued.life)?;
        if let Some(path) = self.cache.clone() {
            let now = SystemClock.now();
            let cached = Cached {
                credential: self.credential.fingerprint(),
                access_token: issued.access_token.expose_secret().into(),
                refresh_token: issued.refresh_token.map(|it| it.expose_secret().into()),
                obtained_at: now,
                expires_at: now + issued.life,
            };
            let written = tokio::task::spawn_blocking(move || write_cache(&path, &cached)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(ion = %self.route, %error, "the token could not be kept in the state directory");
            }
        }
        Ok(bearer)
    }

    /// Makes a token current; `life` in all, `left` from now.
    fn bearer_of(
        &self,
        renewal: &mut Renewal,
        token: &SecretString,
        life: Duration,
        left: Duration,
    ) -> Result<Arc<Bearer>, Answer> {
        let header = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
        let Ok(mut header) = header else {
            let what = format!(
                "the token endpoint {} gave a token that no header can carry: check the token URL",
                self.route
            );
            return Err(Answer::NoToken { status: None, what, retry_after: None });
        };
        header.set_sensitive(true);
        let now = Instant::now();
        renewal.generation += 1;
        let after_renewal = life.saturating_sub(renew_after(life));
        let bearer = Arc::new(Bearer {
            generation: renewal.generation,
            header,
            renew_at: now + left.saturating_sub(after_renewal),
            expires_at: now + left,
            age_then: life.saturating_sub(left),
            current_since: now,
        });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(bearer.clone());
        Ok(bearer)
    }

    /// The kept token, once per run, if it is this credential's and still fresh. Its refresh token serves even when
    /// the access token does not.
    async fn cached(&self, renewal: &mut Renewal) -> Option<Arc<Bearer>> {
        if std::mem::replace(&mut renewal.cache_was_read, true) {
            return None;
        }
        let path = self.cache.clone()?;
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await.ok()?.ok()?;
        let cached: Cached = serde_json::from_str(&text).ok()?;
        let now = SystemClock.now();
        if cached.credential != self.credential.fingerprint() || cached.obtained_at > now {
            return None;
        }
        renewal.refresh_token = cached.refresh_token.map(SecretString::from);
        let life = (cached.expires_at - cached.obtained_at).to_std().ok()?;
        let left = (cached.expires_at - now).to_std().ok()?;
        if left <= life.saturating_sub(renew_after(life)) || left.as_secs() > LONGEST_LIFE {
            return None;
        }
        self.bearer_of(renewal, &cached.access_token.into(), life, left).ok()
    }
}

/// When a token of this life is renewed: at 80 %, or five minutes before its end if that is earlier, but never in the
/// first half, so that short lives do not cause a request a post.
pub fn renew_after(life: Duration) -> Duration {
    const BEFORE_END: Duration = Duration::from_secs(300);
    (life * 4 / 5).min(life.saturating_sub(BEFORE_END)).max(life / 2)
}

/// `name=value&…` of a form's body.
fn form_encoded(form: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    pairs.join("&")
}

/// The client's own credentials: each form-encoded first (RFC 6749 §2.3.1), so that a colon or a percent sign in them is
/// read as such.
fn basic(client_id: &str, client_secret: &SecretString) -> HeaderValue {
    let pair = format!("{}:{}", percent_encoded(client_id), percent_encoded(client_secret.expose_secret()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn read_issued(body: &[u8]) -> Result<Issued, &'static str> {
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON")?;
    let text = |key: &str| json.get(key).and_then(|value| value.as_str()).filter(|it| !it.is_empty());
    let access_token = text("access_token").ok_or("the answer has no access_token")?;
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("the token_type is not Bearer");
    }
    let seconds = json.get("expires_in").and_then(|value| match value {
        serde_json::Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    });
    Ok(Issued {
        access_token: access_token.into(),
        refresh_token: text("refresh_token").map(SecretString::from),
        // An empty one grants nothing; one that is left out grants what was asked for (RFC 6749 §5.1).
        scope: json.get("scope").and_then(|scope| scope.as_str()).map(str::to_owned),
        life: seconds.map_or(USUAL_LIFE, |seconds: u64| Duration::from_secs(seconds.min(LONGEST_LIFE))),
    })
}

/// When the kept token of this credential was got, however old it is.
fn last_obtained(cache: &Path, credential: &Credential) -> Option<DateTime<Utc>> {
    let cached: Cached = serde_json::from_str(&std::fs::read_to_string(cache).ok()?).ok()?;
    (cached.credential == credential.fingerprint()).then_some(cached.obtained_at)
}

fn write_cache(path: &Path, cached: &Cached) -> std::io::Result<()> {
    crate::platform::replace_file(path, &serde_json::to_vec(cached).map_err(std::io::Error::other)?)
}
