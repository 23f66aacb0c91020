//! The simulator's authorization server: issues, expires, refreshes and revokes tokens as spec/ionapi.md §2 says.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ims::wire::form_fields;

/// More tokens than this at once: the oldest expired ones go.
const MAX_TOKENS: usize = 10_000;

/// The credentials that it knows. They are made up from the seed and protect nothing.
pub(super) struct Keys {
    /// The client that the connection points are bound to.
    pub(super) client_id: String,
    /// A client that gets tokens, but that no connection point is bound to.
    pub(super) other_client_id: String,
    pub(super) client_secret: String,
    pub(super) account_key: String,
    pub(super) account_secret: String,
}

impl Keys {
    pub(super) fn new(tenant_id: &str, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x6b65_7973);
        let mut letters = |count: usize| -> String { (0..count).map(|_| random.alphanumeric()).collect() };
        Self {
            client_id: format!("{tenant_id}~{}", letters(43)),
            other_client_id: format!("{tenant_id}~{}", letters(43)),
            // With what a client must encode before it goes into Basic.
            client_secret: format!("{}%2B+:{}", letters(43), letters(39)),
            account_key: format!("{tenant_id}#{}", letters(86)),
            account_secret: letters(86),
        }
    }
}

/// What a token request is answered.
pub(super) struct TokenAnswer {
    pub(super) status: u16,
    pub(super) json: String,
}

pub(super) struct OAuth {
    keys: Keys,
    lifetime: Duration,
    gives_refresh: bool,
    scopes: Vec<String>,
    random: fastrand::Rng,
    /// Client id and end of each access token.
    access: HashMap<String, (bool, Instant)>,
    refresh: HashMap<String, bool>,
    pub(super) requests: u64,
    pub(super) grants: Vec<String>,
    /// A scope that is not granted though it is asked for.
    pub(super) withheld: Option<String>,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Bound,
    Other,
    Nobody,
}

impl OAuth {
    pub(super) fn new(
        keys: Keys,
        seed: u64,
        lifetime: Duration,
        gives_refresh: bool,
        scopes: Vec<String>,
    ) -> Self {
        Self {
            keys,
            lifetime,
            gives_refresh,
            scopes,
            random: fastrand::Rng::with_seed(seed),
            access: HashMap::new(),
            refresh: HashMap::new(),
            requests: 0,
            grants: Vec::new(),
            withheld: None,
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Changes the secrets, as a new download of the credential does.
    pub(super) fn renew_keys(&mut self, seed: u64) {
        let Keys { client_id, other_client_id, .. } = &self.keys;
        let tenant_id = client_id.split('~').next().unwrap_or_default();
        let new = Keys::new(tenant_id, seed);
        self.keys = Keys { client_id: client_id.clone(), other_client_id: other_client_id.clone(), ..new };
    }

    pub(super) fn holder(&self, authorization: Option<&str>) -> Holder {
        let token = authorization.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
        match self.access.get(token) {
            Some((is_bound, end)) if Instant::now() < *end => match is_bound {
                true => Holder::Bound,
                false => Holder::Other,
            },
            _ => Holder::Nobody,
        }
    }

    pub(super) fn revoke_bearer(&mut self, authorization: Option<&str>) {
        if let Some(token) = authorization.and_then(|it| it.strip_prefix("Bearer ")) {
            self.access.remove(token);
        }
    }

    pub(super) fn revoke_all(&mut self) {
        self.access.clear();
    }

    pub(super) fn revoke_refresh_tokens(&mut self) {
        self.refresh.clear();
    }

    /// Answers a token request.
    pub(super) fn issue(&mut self, authorization: Option<&str>, form: &str) -> TokenAnswer {
        self.requests += 1;
        let form: HashMap<String, String> = form_fields(form).into_iter().collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let refuse = |status, error: &str| TokenAnswer { status, json: format!(r#"{{"error":"{error}"}}"#) };
        let Some(is_bound) = self.client_of(authorization, field("client_id"), field("client_secret")) else {
            return refuse(401, "invalid_client");
        };
        let grant = field("grant_type");
        let is_right = match grant {
            "password" => {
                field("username") == self.keys.account_key && field("password") == self.keys.account_secret
            }
            "client_credentials" => true,
            "refresh_token" => self.refresh.remove(field("refresh_token")).is_some(),
            _ => return refuse(400, "unsupported_grant_type"),
        };
        self.grants.push(grant.to_owned());
        self.grants.drain(..self.grants.len().saturating_sub(1000));
        if !is_right {
            return refuse(400, "invalid_grant");
        }
        let asked: Vec<_> = field("scope").split(' ').filter(|it| !it.is_empty()).collect();
        if asked.iter().any(|scope| !self.scopes.iter().any(|own| own == scope)) {
            return refuse(400, "invalid_scope");
        }
        let now = Instant::now();
        if self.access.len() >= MAX_TOKENS {
            self.access.retain(|_, (_, end)| *end > now);
        }
        let token = self.letters(64);
        self.access.insert(token.clone(), (is_bound, now + self.lifetime));
        let mut json = serde_json::json!({
            "access_token": token, "token_type": "Bearer", "expires_in": self.lifetime.as_secs(),
        });
        let withheld = self.withheld.as_deref();
        let granted: Vec<_> = asked.iter().copied().filter(|scope| Some(*scope) != withheld).collect();
        if !asked.is_empty() {
            json["scope"] = granted.join(" ").into();
        }
        if self.gives_refresh {
            let token = self.letters(64);
            json["refresh_token"] = token.clone().into();
            self.refresh.insert(token, is_bound);
        }
        TokenAnswer { status: 200, json: json.to_string() }
    }

    /// Answers a revocation: whatever it names is gone afterwards (RFC 7009).
    pub(super) fn revoke(&mut self, authorization: Option<&str>, form: &str) -> u16 {
        if self.client_of(authorization, "", "").is_none() {
            return 401;
        }
        if let Some((_, token)) = form_fields(form).into_iter().find(|(name, _)| name == "token") {
            self.access.remove(&token);
            self.refresh.remove(&token);
        }
        200
    }

    /// Whether it is the bound client; `None`: nobody that is known. Basic or form fields, both are in use.
    fn client_of(&self, authorization: Option<&str>, form_id: &str, form_secret: &str) -> Option<bool> {
        let basic = authorization
            .and_then(|it| it.strip_prefix("Basic "))
            .and_then(|it| STANDARD.decode(it).ok())
            .and_then(|it| String::from_utf8(it).ok());
        // Each is form-encoded on its own (RFC 6749 §2.3.1).
        let decoded =
            |text: &str| form_fields(&format!("x={text}")).pop().map_or(String::new(), |(_, value)| value);
        let basic = basic.as_deref().and_then(|it| it.split_once(':'));
        let (id, secret) = match basic {
            Some((id, secret)) => (decoded(id), decoded(secret)),
            None => (form_id.to_owned(), form_secret.to_owned()),
        };
        let is_known = secret == self.keys.client_secret;
        let is_bound = id == self.keys.client_id;
        (is_known && (is_bound || id == self.keys.other_client_id)).then_some(is_bound)
    }

    fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| self.random.alphanumeric()).collect()
    }
}
