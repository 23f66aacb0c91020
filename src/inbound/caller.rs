//! Who may call: credentials compared in constant time, signatures that count once, and failures that get slower.
//!
//! A wrong credential costs its peer time, never anybody else: whoever shows a right one is let in at once, also from
//! an address that has failed a thousand times (a proxy's, say).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use super::marks::Marks;
use crate::config::{Caller, CallerAuth};
use crate::ims::oauth1::{self, Method, Signed};

/// Clocks of caller and agent may differ by so many seconds.
pub(super) const TIMESTAMP_WINDOW: i64 = 300;
/// Nonces that are remembered; beyond it the oldest timestamps are refused instead of forgotten.
const NONCES_MAX: usize = 500_000;
/// Peers whose failures are remembered.
const PEERS_MAX: usize = 1_024;
/// A peer's refusals are told so often, seconds.
const TOLD_EVERY: i64 = 60;
/// Peers of which is told within that time.
const TOLD_MAX: usize = 60;
/// A peer without a failure for so long is forgotten, seconds.
const FORGOTTEN_AFTER: i64 = 600;
/// The first failure waits so long for its answer, each further one twice as long, up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(3);

/// The credentials that are let in.
pub(super) struct Callers {
    known: Vec<Known>,
}

struct Known {
    name: String,
    auth: CallerAuth,
    key: String,
    secret: SecretString,
    /// Of what `Authorization` must carry, for Basic and Bearer.
    expected: [u8; 32],
}

/// Why somebody is not let in, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stranger(pub String);

/// A request as far as it tells who calls.
pub(super) struct Call<'a> {
    pub http_method: &'a str,
    /// Scheme, host and port by which the caller may have called.
    pub origins: &'a [String],
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub authorization: Option<&'a str>,
    /// Seconds since 1970.
    pub now: i64,
}

/// A signature that is right, and must be the first with its nonce.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub timestamp: i64,
    pub nonce: String,
    pub key: String,
}

/// Who was let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Welcome<'a> {
    /// `None`: nobody needs a credential.
    pub name: Option<&'a str>,
    pub stamp: Option<Stamp>,
}

fn stranger<T>(why: impl Into<String>) -> Result<T, Stranger> {
    Err(Stranger(why.into()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Callers {
    /// Reads every secret.
    ///
    /// # Errors
    /// One of the files cannot be used.
    pub fn read(settings: &[Caller]) -> Result<Self> {
        let known = settings.iter().map(|caller| {
            let secret = caller.secret()?;
            let key = caller.key.clone().unwrap_or_default();
            let expected = match caller.auth {
                CallerAuth::Basic => sha256(format!("{key}:{}", secret.expose_secret()).as_bytes()),
                CallerAuth::Bearer | CallerAuth::Oauth1 => sha256(secret.expose_secret().as_bytes()),
            };
            Ok(Known { name: caller.name.clone(), auth: caller.auth, key, secret, expected })
        });
        Ok(Self { known: known.collect::<Result<_>>()? })
    }

    /// What `WWW-Authenticate` says.
    pub fn challenge(&self) -> String {
        let schemes = [
            (CallerAuth::Oauth1, "OAuth realm=\"bodrelay\""),
            (CallerAuth::Basic, "Basic realm=\"bodrelay\", charset=\"UTF-8\""),
            (CallerAuth::Bearer, "Bearer realm=\"bodrelay\""),
        ];
        let used = schemes.iter().filter(|(auth, _)| self.known.iter().any(|known| known.auth == *auth));
        used.map(|(_, text)| *text).collect::<Vec<_>>().join(", ")
    }

    /// Lets in, or not. All known credentials are compared, whether or not one has fitted.
    ///
    /// # Errors
    /// No credential fits.
    pub fn admit(&self, call: &Call<'_>) -> Result<Welcome<'_>, Stranger> {
        if self.known.is_empty() {
            return Ok(Welcome { name: None, stamp: None });
        }
        let (scheme, rest) = match call.authorization.map(str::trim) {
            None | Some("") => ("", ""),
            Some(value) => value.split_once([' ', '\t']).unwrap_or((value, "")),
        };
        match &*scheme.to_ascii_lowercase() {
            "basic" => match STANDARD.decode(rest.trim()) {
                Ok(given) => self.compare(CallerAuth::Basic, &given, "user or password is wrong"),
                Err(_) => stranger("the Authorization header is no base64"),
            },
            "bearer" => self.compare(CallerAuth::Bearer, rest.trim().as_bytes(), "the token is wrong"),
            "oauth" => {
                let Some(pairs) = call.authorization.and_then(oauth1::read_header) else {
                    return stranger("the OAuth Authorization header is not well written");
                };
                self.signed(call, pairs, oauth1::query_parameters(call.query))
            }
            // RFC 5849 §3.5.3: all of it may stand in the query.
            "" if call.query.is_some_and(|query| query.contains("oauth_signature=")) => {
                let (own, rest) = oauth1::query_parameters(call.query)
                    .into_iter()
                    .partition(|(name, _)| name.starts_with("oauth_"));
                self.signed(call, own, rest)
            }
            "" => stranger("the Authorization header is missing"),
            _ => stranger("the scheme of the Authorization header is not taken here"),
        }
    }

    fn compare(&self, auth: CallerAuth, given: &[u8], wrong: &str) -> Result<Welcome<'_>, Stranger> {
        let given = sha256(given);
        let mut found = None;
        for known in self.known.iter().filter(|known| known.auth == auth) {
            if verify_slices_are_equal(&given, &known.expected).is_ok() {
                found = Some(&*known.name);
            }
        }
        match found {
            Some(name) => Ok(Welcome { name: Some(name), stamp: None }),
            None => stranger(wrong),
        }
    }

    fn signed(
        &self,
        call: &Call<'_>,
        own: Vec<(String, String)>,
        rest: Vec<(String, String)>,
    ) -> Result<Welcome<'_>, Stranger> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &own {
            if name.starts_with("oauth_") && values.insert(name, value).is_some() {
                // Its name is the caller's, and would go into logs.
                return stranger("a parameter of OAuth is there twice");
            }
        }
        let value = |name: &str| values.get(name).copied().unwrap_or_default();
        let Some(method) = Method::parse(value("oauth_signature_method")) else {
            return stranger("oauth_signature_method is neither HMAC-SHA1 nor HMAC-SHA256");
        };
        if !matches!(value("oauth_version"), "" | "1.0") {
            return stranger("oauth_version is not 1.0");
        }
        if !value("oauth_token").is_empty() {
            return stranger("there is an oauth_token: this is two-legged OAuth");
        }
        let (key, nonce) = (value("oauth_consumer_key"), value("oauth_nonce"));
        let Ok(timestamp) = value("oauth_timestamp").parse::<i64>() else {
            return stranger("oauth_timestamp is no number of seconds");
        };
        if nonce.is_empty() || nonce.len() > 200 {
            return stranger("oauth_nonce is missing or too long");
        }
        let parameters = [own.clone(), rest].concat();
        let given = STANDARD.decode(value("oauth_signature")).unwrap_or_default();
        let mut found = None;
        for known in self.known.iter().filter(|known| known.auth == CallerAuth::Oauth1) {
            for origin in call.origins {
                let request = Signed {
                    http_method: call.http_method,
                    origin,
                    path: call.path,
                    parameters: &parameters,
                };
                let base_string = oauth1::base_string(&request);
                let due = oauth1::signature(&base_string, method, known.secret.expose_secret(), "");
                let due = STANDARD.decode(due).unwrap_or_default();
                let fits = verify_slices_are_equal(&given, &due).is_ok();
                if fits
                    & verify_slices_are_equal(&sha256(key.as_bytes()), &sha256(known.key.as_bytes())).is_ok()
                {
                    found = Some(&*known.name);
                }
            }
        }
        let Some(name) = found else {
            return stranger(
                "the consumer key is unknown, or the signature is not that of this request (secret, host name, port \
                 and path must be the same on both sides)",
            );
        };
        // A clock that is off is worth a word of its own, to those who know the secret.
        let off = call.now - timestamp;
        if off.abs() > TIMESTAMP_WINDOW {
            let side = if off > 0 { "behind" } else { "ahead of" };
            return stranger(format!("oauth_timestamp is {} s {side} this clock", off.abs()));
        }
        let stamp = Stamp { timestamp, nonce: nonce.to_owned(), key: key.to_owned() };
        Ok(Welcome { name: Some(name), stamp: Some(stamp) })
    }
}

/// Which signatures were used: within the window, each nonce counts once a key and second (RFC 5849 §3.3).
#[derive(Default)]
pub(super) struct Nonces {
    seen: BTreeMap<i64, HashSet<u64>>,
    count: usize,
    /// Nothing from then or before is remembered, so nothing from then is taken.
    floor: i64,
    /// The same by consumer key, as an earlier life of the agent left it; and for all other keys.
    earlier: (BTreeMap<String, i64>, i64),
    hasher: RandomState,
}

/// Why a signature that is right does not count.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Used(Stranger),
    /// It may have been used before a restart: a newer one is welcome.
    BeforeRestart,
}

impl Nonces {
    /// Of an agent that may have lived before.
    pub fn after(marks: &Marks) -> Self {
        Self { earlier: (marks.written(), marks.unknown), ..Self::default() }
    }

    /// # Errors
    /// It was used before, or may have been.
    pub fn take(&mut self, stamp: &Stamp, now: i64) -> Result<(), Spent> {
        let used = |why: &str| Err(Spent::Used(Stranger(why.to_owned())));
        if stamp.timestamp <= *self.earlier.0.get(&stamp.key).unwrap_or(&self.earlier.1) {
            return Err(Spent::BeforeRestart);
        }
        while let Some(oldest) = self.seen.first_entry() {
            let is_over = *oldest.key() < now - TIMESTAMP_WINDOW;
            if !is_over && self.count < NONCES_MAX {
                break;
            }
            self.floor = self.floor.max(*oldest.key());
            self.count -= oldest.remove().len();
        }
        if stamp.timestamp <= self.floor {
            return used("oauth_timestamp is too old to tell whether its nonce was used");
        }
        // Keyed at random, so that nobody can make two nonces meet.
        let hash = self.hasher.hash_one((&stamp.key, &stamp.nonce));
        if !self.seen.entry(stamp.timestamp).or_default().insert(hash) {
            return used("oauth_nonce was used before");
        }
        self.count += 1;
        Ok(())
    }
}

/// How often something happens, by peer, told once a peer and minute with its count; seconds of a clock that nobody sets.
#[derive(Default)]
pub(super) struct Tally {
    /// What is not told yet, with the last reason; since when.
    peers: HashMap<IpAddr, Untold>,
}

struct Untold {
    times: u64,
    why: String,
    told_at: i64,
}

impl Tally {
    /// It happened: `Some` says how often, where that is to be told now.
    pub fn note(&mut self, peer: IpAddr, why: &str, now: i64) -> Option<u64> {
        if let Some(untold) = self.peers.get_mut(&peer) {
            untold.times += 1;
            why.clone_into(&mut untold.why);
            return None;
        }
        // Of more peers at once nobody reads; what they do is slowed all the same.
        if self.peers.len() >= TOLD_MAX {
            return None;
        }
        self.peers.insert(peer, Untold { times: 0, why: why.to_owned(), told_at: now });
        Some(1)
    }

    /// What happened within the last minute, of the peers whose minute is over.
    pub fn due(&mut self, now: i64) -> Vec<(IpAddr, u64, String)> {
        let mut due = Vec::new();
        self.peers.retain(|peer, untold| {
            if now - untold.told_at < TOLD_EVERY {
                return true;
            }
            let goes_on = untold.times > 0;
            if goes_on {
                due.push((*peer, std::mem::take(&mut untold.times), untold.why.clone()));
                untold.told_at = now;
            }
            goes_on
        });
        due
    }
}

/// Failures by peer; seconds of a clock that nobody sets, so that no peer is slowed for longer, or for less.
#[derive(Default)]
pub(super) struct Failures {
    peers: HashMap<IpAddr, Failed>,
    pub tally: Tally,
}

struct Failed {
    times: u32,
    last: i64,
}

impl Failures {
    /// A peer has failed: so long its answer waits, and how many of its failures are to be told now.
    pub fn note(&mut self, peer: IpAddr, why: &str, now: i64) -> (Duration, Option<u64>) {
        let times = self.tally.note(network(peer), why, now);
        (self.delay(peer, now), times)
    }

    fn delay(&mut self, peer: IpAddr, now: i64) -> Duration {
        if self.peers.len() >= PEERS_MAX {
            self.peers.retain(|_, failed| now - failed.last < FORGOTTEN_AFTER);
        }
        if self.peers.len() >= PEERS_MAX
            && let Some(oldest) =
                self.peers.iter().min_by_key(|(_, failed)| failed.last).map(|(peer, _)| *peer)
        {
            self.peers.remove(&oldest);
        }
        let failed = self.peers.entry(network(peer)).or_insert(Failed { times: 0, last: now });
        if now - failed.last >= FORGOTTEN_AFTER {
            failed.times = 0;
        }
        failed.times = failed.times.saturating_add(1);
        failed.last = now;
        (FIRST_DELAY * 2u32.saturating_pow((failed.times - 1).min(10))).min(LONGEST_DELAY)
    }

    /// A peer has shown a right credential.
    pub fn forget(&mut self, peer: IpAddr) {
        if !self.peers.is_empty() {
            self.peers.remove(&network(peer));
        }
    }
}

/// Whoever has one address of IPv6 has 2^64 of them.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(auth: CallerAuth, key: &str, secret: &str) -> Known {
        let expected = match auth {
            CallerAuth::Basic => sha256(format!("{key}:{secret}").as_bytes()),
            _ => sha256(secret.as_bytes()),
        };
        Known { name: secret.to_owned(), auth, key: key.to_owned(), secret: secret.into(), expected }
    }

    fn callers() -> Callers {
        Callers {
            known: vec![
                known(CallerAuth::Oauth1, "K", "old"),
                known(CallerAuth::Oauth1, "K", "new"),
                known(CallerAuth::Basic, "user", "pass:word"),
                known(CallerAuth::Bearer, "", "token"),
            ],
        }
    }

    fn call<'a>(origins: &'a [String], authorization: Option<&'a str>) -> Call<'a> {
        Call {
            http_method: "POST",
            origins,
            path: "/service/v3/multipartMessage",
            query: Some("a=b"),
            authorization,
            now: 1_000_000,
        }
    }

    fn header(method: Method, secret: &str, timestamp: i64, nonce: &str) -> String {
        let parameters = oauth1::query_parameters(Some("a=b"));
        let request = Signed {
            http_method: "POST",
            origin: "https://Edge:443",
            path: "/service/v3/multipartMessage",
            parameters: &parameters,
        };
        oauth1::write_header(&request, method, "K", secret, (timestamp, nonce))
    }

    #[test]
    fn each_kind_is_let_in_and_nothing_else() {
        let (callers, origins) = (callers(), ["https://edge".to_owned()]);
        let who = |authorization: &str| {
            callers.admit(&call(&origins, Some(authorization))).map(|welcome| welcome.name.unwrap())
        };
        for method in [Method::HmacSha1, Method::HmacSha256] {
            assert_eq!(who(&header(method, "old", 1_000_000, "n")), Ok("old"));
            assert_eq!(who(&header(method, "new", 999_700, "n")), Ok("new"));
        }
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(who(&basic("user:pass:word")), Ok("pass:word"));
        assert_eq!(who("bearer  token"), Ok("token"));
        for wrong in [
            "",
            "Basic",
            "Basic !",
            &basic("user:pass"),
            &basic("user"),
            "Bearer toke",
            "Bearer tokens",
            "Bearer ",
            "Digest x",
            &header(Method::HmacSha1, "other", 1_000_000, "n"),
            &header(Method::HmacSha1, "old", 1_000_000, ""),
            &header(Method::HmacSha1, "old", 1_000_000, "n").replace("HMAC-SHA1", "PLAINTEXT"),
            &header(Method::HmacSha1, "old", 1_000_000, "n").replace("\"K\"", "\"L\""),
            &format!("{}, oauth_nonce=\"m\"", header(Method::HmacSha1, "old", 1_000_000, "n")),
        ] {
            assert!(who(wrong).is_err(), "{wrong}");
        }
        assert!(callers.admit(&call(&origins, None)).is_err());
        let late = who(&header(Method::HmacSha1, "old", 999_699, "n")).unwrap_err();
        assert_eq!(late.0, "oauth_timestamp is 301 s behind this clock");
        // Another host, method or query is another request.
        let elsewhere = ["https://other".to_owned()];
        assert!(
            callers.admit(&call(&elsewhere, Some(&header(Method::HmacSha1, "old", 1_000_000, "n")))).is_err()
        );
    }

    #[test]
    fn all_of_it_may_stand_in_the_query() {
        let (callers, origins) = (callers(), ["https://edge".to_owned()]);
        let header = header(Method::HmacSha1, "old", 1_000_000, "n");
        let pairs = header.trim_start_matches("OAuth ").replace(", ", "&").replace('"', "");
        let query = format!("a=b&{pairs}");
        let call = Call { query: Some(&query), ..call(&origins, None) };
        assert_eq!(callers.admit(&call).unwrap().name, Some("old"));
    }

    #[test]
    fn a_nonce_counts_once_and_the_memory_is_bounded() {
        let mut nonces = Nonces::default();
        let stamp =
            |timestamp: i64, nonce: usize| Stamp { timestamp, nonce: nonce.to_string(), key: "K".into() };
        assert!(nonces.take(&stamp(1_000, 1), 1_000).is_ok());
        assert!(nonces.take(&stamp(1_000, 1), 1_000).is_err());
        assert!(nonces.take(&stamp(1_001, 1), 1_000).is_ok());
        // After the window it is gone, and its time with it.
        assert!(nonces.take(&stamp(1_302, 1), 1_302).is_ok());
        assert!(nonces.take(&stamp(1_001, 2), 1_302).is_err());
        for number in 0..NONCES_MAX + 10 {
            let timestamp = 1_303 + i64::try_from(number / 100_000).unwrap();
            assert!(nonces.take(&stamp(timestamp, number), 1_303).is_ok());
        }
        assert!(nonces.count <= NONCES_MAX + 10);
        assert!(nonces.take(&stamp(1_303, 7), 1_303).is_err(), "a forgotten one is never taken again");
    }

    #[test]
    fn a_peer_is_told_once_a_minute_with_its_count() {
        let mut tally = Tally::default();
        let peer = |number: u32| IpAddr::V4(number.into());
        assert_eq!(tally.note(peer(1), "first", 0), Some(1));
        assert!((0..500).all(|_| tally.note(peer(1), "wrong", 1).is_none()));
        assert_eq!(tally.due(59), []);
        assert_eq!(tally.due(60), [(peer(1), 500, "wrong".to_owned())]);
        assert_eq!(tally.note(peer(1), "again", 61), None);
        assert_eq!(tally.due(120), [(peer(1), 1, "again".to_owned())]);
        assert_eq!(tally.due(180), []);
        assert!(tally.peers.is_empty());
        let told = (0..5_000).filter(|number| tally.note(peer(*number), "x", 200).is_some()).count();
        assert_eq!(told, TOLD_MAX);
    }

    #[test]
    fn failures_get_slower_and_few_are_remembered() {
        let mut failures = Failures::default();
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let delays: Vec<_> = (0..8).map(|second| failures.delay(peer, second).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000]);
        failures.forget(peer);
        assert_eq!(failures.delay(peer, 10).as_millis(), 100);
        for number in 0..5_000u32 {
            failures.delay(IpAddr::V4(number.into()), 11);
        }
        assert!(failures.peers.len() <= PEERS_MAX);
        let (one, other) = ("2001:db8::1".parse().unwrap(), "2001:db8::ffff:2".parse().unwrap());
        failures.delay(one, 20);
        assert_eq!(failures.delay(other, 20).as_millis(), 200, "one network of IPv6 is one peer");
        assert_eq!(failures.delay(other, 700).as_millis(), 100);
    }
}
