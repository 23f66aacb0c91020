//! The time of the latest signature that was taken, by consumer key, on disk before the call is carried out.
//!
//! Nonces are remembered in memory. After a restart no signature counts that is as old as the mark: it may have been used.
//! So a signature is never taken twice, and only a caller that signs with two clocks is asked to wait. A write a second
//! and key at most.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::caller::{Stamp, TIMESTAMP_WINDOW};
use crate::platform;

pub(super) struct Marks {
    file: PathBuf,
    /// What is on disk.
    written: Mutex<BTreeMap<String, i64>>,
    writing: tokio::sync::Mutex<()>,
    /// Of keys that the file does not name: nothing from then or before counts.
    pub unknown: i64,
}

impl Marks {
    /// As an earlier life has left them. Without a file there was none; from one that cannot be read nothing is known. One
    /// that is later than any signature may be now was made while the clocks were ahead: it is cut, or nothing would count
    /// until then.
    pub fn read(file: &Path, now: i64) -> Self {
        let (mut written, unknown): (BTreeMap<String, i64>, i64) = match std::fs::read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (BTreeMap::new(), 0),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(written) => (written, 0),
                Err(_) => (BTreeMap::new(), now),
            },
            Err(_) => (BTreeMap::new(), now),
        };
        written.values_mut().for_each(|mark| *mark = (*mark).min(now + TIMESTAMP_WINDOW));
        Self {
            file: file.to_owned(),
            written: Mutex::new(written),
            writing: tokio::sync::Mutex::default(),
            unknown,
        }
    }

    /// Those on disk.
    pub fn written(&self) -> BTreeMap<String, i64> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has(&self, stamp: &Stamp) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(&stamp.key).is_some_and(|mark| *mark >= stamp.timestamp)
    }

    /// Ends when the mark of the key is at the signature's time, or beyond it, on disk.
    pub async fn reach(&self, stamp: &Stamp) {
        if self.has(stamp) {
            return;
        }
        let _writing = self.writing.lock().await;
        if self.has(stamp) {
            return;
        }
        let mut marks = self.written();
        marks.insert(stamp.key.clone(), stamp.timestamp);
        let (file, bytes) = (self.file.clone(), serde_json::json!(marks).to_string());
        let result =
            tokio::task::spawn_blocking(move || platform::replace_file(&file, bytes.as_bytes())).await;
        if let Ok(Err(error)) = result {
            // A disk that is full takes no document either; the call itself is right.
            tracing::error!(
                file = %self.file.display(),
                error = %error,
                "it is not remembered which signatures were taken: after a restart one could be used again"
            );
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = marks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn marks_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("marks");
        let marks = Marks::read(&file, 9);
        for (key, timestamp) in [("a", 5), ("b", 7), ("a", 4)] {
            marks.reach(&Stamp { timestamp, nonce: "n".into(), key: key.into() }).await;
        }
        let again = Marks::read(&file, 9);
        assert_eq!(again.written(), BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 7)]));
        assert_eq!(again.unknown, 0);
        let of_another_time = Stamp { timestamp: 31_536_000, nonce: "n".into(), key: "a".into() };
        again.reach(&of_another_time).await;
        assert_eq!(Marks::read(&file, 9).written()["a"], 9 + TIMESTAMP_WINDOW);
        std::fs::write(&file, "half").unwrap();
        assert_eq!(Marks::read(&file, 9).unknown, 9);
    }
}
