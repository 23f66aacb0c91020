//! What the receiver counts and remarks, for the loop that owns the tables and the metrics: written by its threads,
//! taken by the loop, bounded in every way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::domain::incoming::{Incoming, Stored};
use crate::domain::meter::{ReceivedMeter, ReceivedOutcome};
use crate::domain::notice::Notice;

/// Different remarks that wait for the next control round.
const NOTICES_MAX: usize = 200;

/// What happened at one connection point since the loop last asked, for its row of `bodrelay_status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// New entries of the inbox.
    pub stored_more: i64,
    /// Repeats and duplicates.
    pub duplicates_more: i64,
    /// ION was told no.
    pub refused_more: i64,
    pub last_stored_at: Option<DateTime<Utc>>,
    pub last_refused_at: Option<DateTime<Utc>>,
    pub last_refusal: Option<String>,
    /// Why ION was asked to come again, since a document was stored.
    pub trouble: Option<String>,
}

#[derive(Default)]
struct Pages {
    meter: ReceivedMeter,
    /// By database and connection point.
    received: BTreeMap<(usize, String), Received>,
    notices: BTreeMap<(&'static str, Option<String>, String), Notice>,
}

/// The books; everything in them is written under one short lock.
#[derive(Default)]
pub(super) struct Books {
    pages: Mutex<Pages>,
    /// The agent ends, and waits for what is under way.
    draining: AtomicBool,
    changed: Notify,
}

impl Books {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        // What a panic left behind is still whole: nothing here is changed in steps.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A document is committed.
    pub fn stored(&self, site: usize, document: &Incoming, stored: &Stored) {
        let outcome = match stored {
            Stored::New { .. } => ReceivedOutcome::Stored,
            Stored::Repeat { .. } => ReceivedOutcome::Repeat,
            Stored::Duplicate { .. } => ReceivedOutcome::Duplicate,
            Stored::Older { .. } => ReceivedOutcome::Older,
        };
        let mut pages = self.pages();
        pages.meter.ended(site, &document.connection_point, &document.parameters.document_name, outcome);
        let received = pages.received.entry((site, document.connection_point.clone())).or_default();
        received.trouble = None;
        match outcome {
            ReceivedOutcome::Repeat | ReceivedOutcome::Duplicate => received.duplicates_more += 1,
            _ => {
                received.stored_more += 1;
                received.last_stored_at = Some(document.received_at);
            }
        }
        drop(pages);
        stored.notices().iter().for_each(|notice| self.notice(notice.clone()));
    }

    /// ION was told that a document is not taken.
    pub fn refused(
        &self,
        site: usize,
        connection_point: &str,
        document_name: &str,
        at: DateTime<Utc>,
        why: &str,
    ) {
        let mut pages = self.pages();
        pages.meter.ended(site, connection_point, document_name, ReceivedOutcome::Refused);
        let received = pages.received.entry((site, connection_point.to_owned())).or_default();
        received.refused_more += 1;
        received.last_refused_at = Some(at);
        received.last_refusal = Some(why.chars().take(1_000).collect());
    }

    /// ION was asked to send a document again.
    pub fn asked_again(&self, site: usize, connection_point: &str, why: &str) {
        let mut pages = self.pages();
        pages.received.entry((site, connection_point.to_owned())).or_default().trouble = Some(why.to_owned());
    }

    pub fn answered(&self, status: u16, milliseconds: i64) {
        self.pages().meter.answered(status, milliseconds);
    }

    pub fn committed(&self, documents: usize, is_ok: bool) {
        self.pages().meter.committed(documents, is_ok);
    }

    /// The latest of one kind counts.
    pub fn notice(&self, notice: Notice) {
        let mut pages = self.pages();
        let key = (notice.code, notice.connection_point.clone(), notice.subject.clone());
        if pages.notices.len() < NOTICES_MAX || pages.notices.contains_key(&key) {
            pages.notices.insert(key, notice);
        }
    }

    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.pages().notices).into_values().collect()
    }

    pub fn take_received(&self, site: usize) -> BTreeMap<String, Received> {
        let mut pages = self.pages();
        let of_site = pages.received.extract_if(.., |(of, _), _| *of == site);
        of_site.map(|((_, name), received)| (name, received)).collect()
    }

    pub fn meter(&self) -> ReceivedMeter {
        self.pages().meter.clone()
    }

    /// From now on the loop hears of everything that ends.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Something under way has ended.
    pub fn moved(&self) {
        if self.draining.load(Ordering::Acquire) {
            self.changed.notify_one();
        }
    }

    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}
