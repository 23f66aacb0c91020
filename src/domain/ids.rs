//! The identities of the field: document types, digests, lanes and message ids, each made in one place.

use std::fmt;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::outside::is_name;

/// A verb and a noun, written `Verb.Noun` in headers, URLs and logs (spec/bod.md §1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentType {
    pub verb: String,
    pub noun: String,
}

impl DocumentType {
    pub fn new(verb: impl Into<String>, noun: impl Into<String>) -> Self {
        Self { verb: verb.into(), noun: noun.into() }
    }

    /// Reads `Verb.Noun`; `None` when there is no dot or a side of it is empty.
    pub fn parse(bod_type: &str) -> Option<Self> {
        let (verb, noun) = bod_type.split_once('.')?;
        (!verb.is_empty() && !noun.is_empty()).then(|| Self::new(verb, noun))
    }

    /// Whether it can be the type of a document, so that a statement may be offered that lists it: the characters of XML
    /// names, and room in `bodrelay_document`.
    pub fn is_plausible(&self) -> bool {
        is_name(&self.verb, 30) && is_name(&self.noun, 100)
    }

    /// Acknowledge, Show and Confirm.BOD follow from a request and are never judged by ION's list (spec/bod.md §4).
    pub fn follows_from_request(&self) -> bool {
        matches!(self.verb.as_str(), "Acknowledge" | "Show") || (self.verb == "Confirm" && self.noun == "BOD")
    }
}

impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.verb, self.noun)
    }
}

/// SHA-256 of the inflated document bytes; 64 hex digits in tables and in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(document: &[u8]) -> Self {
        Self(Sha256::digest(document).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What tells one version of a row from another: the first 16 bytes of SHA-256 over the document's digest, the
/// created time as read and the sorted headers. It lives in the journal only.
///
/// The created time is part of it, so that a tombstone needs no column of its own for it: a `C_ID` that comes
/// back after a truncated table is another message even where the bytes are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdentityDigest(pub [u8; 16]);

impl IdentityDigest {
    pub fn of(digest: &Digest, created: &str, headers: &[(String, String)]) -> Self {
        let mut sorted: Vec<_> = headers.iter().collect();
        sorted.sort();
        let mut hash = Sha256::new();
        hash.update(digest.0);
        hash.update(created);
        for (key, value) in sorted {
            // Zero bytes keep ("ab","c") and ("a","bc") apart.
            hash.update([0]);
            hash.update(key);
            hash.update([0]);
            hash.update(value);
        }
        Self(first(&hash.finalize()))
    }
}

/// The 64-bit name of a lane: the messages of one document in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey(pub i64);

impl LaneKey {
    /// The lane that these parts name, in their order. Two documents meet in one lane by chance once in 2^64,
    /// and then only wait for each other.
    pub fn of(parts: &[&str]) -> Self {
        Self(i64::from_be_bytes(first(&hash_parts(parts))))
    }
}

/// The 64-bit hash by which the journal remembers which message ids are taken.
pub fn message_id_hash(message_id: &str) -> i64 {
    i64::from_be_bytes(first(&hash_parts(&[message_id])))
}

/// The message id of a row whose application gave none: UUIDv5 of tenant, logical id, `C_ID`, created time as read
/// and identity digest. The same row gives the same id on any host, for ever, even without a journal.
pub fn derived_message_id(
    tenant_id: &str,
    logical_id: &str,
    entry_id: i64,
    created: &str,
    identity: &IdentityDigest,
) -> String {
    /// The namespace of every derived message id: a random constant that must never change.
    const NAMESPACE: Uuid = Uuid::from_u128(0x8d5f_1c3e_62a4_4b0f_9a57_c1d0_2e6b_7f34);
    let entry_id = entry_id.to_string();
    let mut name = Vec::with_capacity(128);
    for part in [tenant_id, logical_id, &entry_id, created] {
        name.extend_from_slice(part.as_bytes());
        name.push(0);
    }
    name.extend_from_slice(&identity.0);
    Uuid::new_v5(&NAMESPACE, &name).to_string()
}

/// The message id of a message that goes once more: UUIDv5 of the key of the one that was accepted and of the command.
pub fn resend_message_id(message_key: &str, command_id: i64) -> String {
    /// As random and as constant as the other one.
    const NAMESPACE: Uuid = Uuid::from_u128(0x5b0e_9d27_41c8_4f6a_b3d1_7e92_c05a_8816);
    Uuid::new_v5(&NAMESPACE, format!("{message_key} {command_id}").as_bytes()).to_string()
}

/// The key of a table's row that is named by several texts (`document_key`, `receipt_key`): SHA-256, 64 hex digits.
pub fn row_key(parts: &[&str]) -> String {
    Digest(hash_parts(parts)).to_string()
}

fn hash_parts(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().into()
}

fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&hash[..N]);
    bytes
}
