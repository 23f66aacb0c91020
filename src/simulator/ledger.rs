//! The ledger: what the simulator stored, in the order of arrival. It is what tests and the demo judge by.
//!
//! With a file, the line of an arrival is written before its answer goes out: whoever was told "accepted" finds it
//! there, whatever was killed in between. In bulk mode only counters and one digest an id are kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::domain::ids::Digest;
use crate::domain::message::Parameters;

/// One stored message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// From 1, without gaps.
    pub sequence: u64,
    /// Milliseconds since the simulator's start.
    pub at_ms: u64,
    pub message_id: Box<str>,
    /// Of the inflated document.
    #[serde(with = "digest_as_hex")]
    pub digest: Digest,
    pub document_name: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting_entity: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation_id: Option<i64>,
    /// The sender's.
    pub logical_id: Arc<str>,
    /// Bytes of the inflated document.
    pub bytes: u64,
    /// How often this message id had come before.
    pub repeat: u32,
    /// A repeat with the bytes of the first arrival; true for a first arrival.
    pub same_bytes: bool,
    /// Requests of this lane under way at this moment, with this one.
    pub in_flight: u32,
}

impl Arrival {
    /// The lane as ION's receivers see it: sender, noun, accounting entity, location, document id. `None`: nothing
    /// names the document.
    pub fn lane(&self) -> Option<String> {
        let noun = self.document_name.split_once('.').map_or(&*self.document_name, |(_, noun)| noun);
        let part = |part: &Option<Arc<str>>| part.as_deref().unwrap_or_default().to_owned();
        let document_id = self.document_id.as_deref()?;
        Some(format!(
            "{}|{noun}|{}|{}|{document_id}",
            self.logical_id,
            part(&self.accounting_entity),
            part(&self.location)
        ))
    }
}

mod digest_as_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut digest = Digest([0; 32]);
        if text.len() != 64 || !text.is_ascii() {
            return Err(D::Error::custom("a digest has 64 hex digits"));
        }
        for (byte, at) in digest.0.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(D::Error::custom)?;
        }
        Ok(digest)
    }
}

/// Sums over the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Arrivals, with repeats.
    pub stored: u64,
    /// Message ids.
    pub distinct: u64,
    /// Repeats of an id with the bytes that it had first.
    pub repeats_same: u64,
    pub repeats_different: u64,
    /// Requests that began while another one of their lane was under way.
    pub overlaps: u64,
    /// Requests for posts that came at all.
    pub posts: u64,
    /// Posts that were under way at once, at most.
    pub most_in_flight: u64,
}

/// The ledger of a running simulator, or one read from its file.
pub struct Ledger {
    inner: Mutex<Inner>,
    stored: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    arrivals: Vec<Arrival>,
    /// By the id's hash, so that an id costs the same whatever its length: digest of the first arrival, arrivals.
    ids: HashMap<u64, (Digest, u32)>,
    names: HashSet<Arc<str>>,
    lanes: HashMap<u64, u32>,
    in_flight: u64,
    counts: Counts,
    file: Option<File>,
    is_bulk: bool,
}

/// A post under way; it ends when this is dropped.
pub(super) struct UnderWay {
    ledger: Arc<Ledger>,
    lane: Option<u64>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut inner = self.ledger.lock();
        inner.in_flight -= 1;
        if let Some(lane) = self.lane {
            // Empty lanes are forgotten: memory follows what is under way.
            match inner.lanes.get_mut(&lane) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(inner.lanes.remove(&lane)),
            }
        }
    }
}

impl Ledger {
    pub(super) fn new(file: Option<&Path>, is_bulk: bool) -> Result<Self> {
        let open = |path: &Path| {
            File::create(path).with_context(|| format!("the ledger {} cannot be written", path.display()))
        };
        let file = file.map(open).transpose()?;
        let inner = Inner { file, is_bulk, ..Inner::default() };
        Ok(Self { inner: Mutex::new(inner), stored: watch::Sender::new(0) })
    }

    /// Reads the arrivals of a ledger file, also while it is being written.
    pub fn read(path: &Path) -> Result<Vec<Arrival>> {
        let what = || format!("the ledger {} cannot be read", path.display());
        let mut reader = BufReader::new(File::open(path).with_context(what)?);
        let (mut arrivals, mut line) = (Vec::new(), String::new());
        // A last line without its end is still being written, so its answer has not gone out.
        while reader.read_line(&mut line).with_context(what)? > 0 && line.ends_with('\n') {
            arrivals.push(serde_json::from_str(&line).with_context(what)?);
            line.clear();
        }
        Ok(arrivals)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A post has come and its parameters are known.
    pub(super) fn begin(self: &Arc<Self>, parameters: &Parameters) -> UnderWay {
        let lane = parameters.document_id.as_ref().map(|_| lane_hash(parameters));
        let mut inner = self.lock();
        inner.in_flight += 1;
        inner.counts.posts += 1;
        inner.counts.most_in_flight = inner.counts.most_in_flight.max(inner.in_flight);
        if let Some(lane) = lane {
            let count = inner.lanes.entry(lane).or_default();
            *count += 1;
            if *count > 1 {
                inner.counts.overlaps += 1;
            }
        }
        UnderWay { ledger: self.clone(), lane }
    }

    /// Stores an arrival; an error says that its line could not be written, and then it is not stored.
    pub(super) fn store(
        &self,
        under_way: &UnderWay,
        parameters: &Parameters,
        document: &[u8],
        at_ms: u64,
    ) -> std::io::Result<()> {
        let digest = Digest::of(document);
        let mut guard = self.lock();
        let inner = &mut *guard;
        let id = hash_of(&parameters.message_id);
        let (first, times) = inner.ids.get(&id).copied().unwrap_or((digest, 0));
        let is_same = first == digest;
        if !inner.is_bulk || inner.file.is_some() {
            let mut intern = |text: &str| {
                let known = inner.names.get(text).cloned();
                known.unwrap_or_else(|| {
                    let new: Arc<str> = text.into();
                    inner.names.insert(new.clone());
                    new
                })
            };
            let arrival = Arrival {
                sequence: inner.counts.stored + 1,
                at_ms,
                message_id: parameters.message_id.as_str().into(),
                digest,
                document_name: intern(&parameters.document_name),
                document_id: parameters.document_id.as_deref().map(Into::into),
                accounting_entity: parameters.accounting_entity.as_deref().map(&mut intern),
                location: parameters.location.as_deref().map(&mut intern),
                variation_id: parameters.variation_id,
                logical_id: intern(&parameters.from_logical_id),
                bytes: document.len() as u64,
                repeat: times,
                same_bytes: is_same,
                in_flight: under_way.lane.and_then(|lane| inner.lanes.get(&lane).copied()).unwrap_or(1),
            };
            if let Some(file) = &mut inner.file {
                let mut line = serde_json::to_vec(&arrival)?;
                line.push(b'\n');
                file.write_all(&line)?;
            }
            if !inner.is_bulk {
                inner.arrivals.push(arrival);
            }
        }
        inner.ids.insert(id, (first, times + 1));
        inner.counts.stored += 1;
        match (times, is_same) {
            (0, _) => inner.counts.distinct += 1,
            (_, true) => inner.counts.repeats_same += 1,
            (_, false) => inner.counts.repeats_different += 1,
        }
        let stored = inner.counts.stored;
        drop(guard);
        self.stored.send_replace(stored);
        Ok(())
    }

    /// The number of stored messages, to await instead of polling.
    pub fn stored(&self) -> watch::Receiver<u64> {
        self.stored.subscribe()
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// All arrivals in order; none in bulk mode.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.lock().arrivals.clone()
    }

    /// The arrivals of one message id, in order.
    pub fn by_message_id(&self, message_id: &str) -> Vec<Arrival> {
        self.lock().arrivals.iter().filter(|it| &*it.message_id == message_id).cloned().collect()
    }

    /// How often an id arrived and the digest of its first arrival; in bulk mode too.
    pub fn seen(&self, message_id: &str) -> Option<(Digest, u32)> {
        self.lock().ids.get(&hash_of(message_id)).copied()
    }

    /// Repeats with the bytes of the first arrival.
    pub fn repeats_same(&self) -> Vec<Arrival> {
        self.lock().arrivals.iter().filter(|it| it.repeat > 0 && it.same_bytes).cloned().collect()
    }

    /// Repeats with other bytes: never right.
    pub fn repeats_different(&self) -> Vec<Arrival> {
        self.lock().arrivals.iter().filter(|it| !it.same_bytes).cloned().collect()
    }

    /// The arrivals of each lane in order; messages without a document id are left out.
    pub fn lanes(&self) -> BTreeMap<String, Vec<Arrival>> {
        let mut lanes: BTreeMap<String, Vec<Arrival>> = BTreeMap::new();
        for arrival in &self.lock().arrivals {
            if let Some(lane) = arrival.lane() {
                lanes.entry(lane).or_default().push(arrival.clone());
            }
        }
        lanes
    }
}

fn lane_hash(parameters: &Parameters) -> u64 {
    let name = parameters.document_name.as_str();
    let noun = name.split_once('.').map_or(name, |(_, noun)| noun);
    hash_of(&(
        noun,
        &parameters.from_logical_id,
        &parameters.accounting_entity,
        &parameters.location,
        &parameters.document_id,
    ))
}

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
