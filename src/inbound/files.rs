//! The files of `[listen]`, certificate and secrets: read at the start, followed while they change, watched for their end.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};

use super::books::Books;
use super::caller::Callers;
use super::{Shared, lock, serve};
use crate::config::Listen;
use crate::domain::notice::{Notice, Severity};
use crate::ims::listening::{self, Certificate, SUBJECT, Stamp, stamp};

/// Between two looks at the files.
const EVERY: Duration = Duration::from_secs(2);

/// What the files hold; swapped as a whole.
pub(super) struct Files {
    pub callers: Callers,
    pub certificate: Option<Certificate>,
}

impl Files {
    pub fn read(settings: &Listen) -> Result<Self> {
        let callers = Callers::read(&settings.caller)?;
        let certificate = match (&settings.certificate_file, &settings.key_file) {
            (Some(certificate), Some(key)) => Some(Certificate::read(certificate, key)?),
            _ => None,
        };
        Ok(Self { callers, certificate })
    }

    /// What holds from the start on.
    pub fn say_at_start(&self, settings: &Listen, books: &Books, now: DateTime<Utc>) {
        let notices = [
            listening::open(settings),
            listening::plain(settings),
            listening::readable(settings),
            self.end(now),
        ];
        for notice in notices {
            if !notice.cleared {
                tracing::warn!(code = notice.code, remedy = notice.remedy, "{}", notice.text);
            }
            books.notice(notice);
        }
        books.notice(unusable(None));
    }

    fn end(&self, now: DateTime<Utc>) -> Notice {
        listening::end(self.certificate.as_ref(), now)
    }
}

fn unusable(error: Option<&anyhow::Error>) -> Notice {
    let notice = Notice::new("LISTENER_FILES_UNUSABLE", Severity::Error, None, SUBJECT);
    match error {
        None => notice.clears(),
        Some(error) => notice.says(
            format!("{error:#}; what was read before stays in use"),
            "Correct the file that the text names; it is read again by itself.",
        ),
    }
}

fn watched(settings: &Listen) -> Vec<&Path> {
    let own = [settings.certificate_file.as_deref(), settings.key_file.as_deref()];
    let secrets = settings.caller.iter().map(|caller| caller.secret_file.as_path());
    own.into_iter().flatten().chain(secrets).collect()
}

/// What was counted and not told yet.
fn tell_counts(shared: &Shared) {
    let now = shared.clock.steady() / 1_000;
    let (refused, crowds) = (lock(&shared.failures).tally.due(now), lock(&shared.crowds).due(now));
    for (peer, times, why) in refused {
        serve::tell_refused(shared, peer, times, &why);
    }
    for (peer, times, _) in crowds {
        serve::tell_crowd(shared, peer, times);
    }
}

/// Reads the files again when they change; a file that cannot be used leaves the former ones in use.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut known: Option<Stamp> = None;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let anyway = tokio::select! {
            _ = ticks.tick() => false,
            () = shared.read_again.notified() => true,
        };
        let looking = Arc::clone(&shared);
        let before = known.clone();
        // Aside: a file on a share may hang.
        let looked = tokio::task::spawn_blocking(move || {
            let now = stamp(watched(&looking.settings));
            let changed = anyway || before.is_some_and(|before| before != now);
            (now, changed.then(|| Files::read(&looking.settings)))
        });
        let Ok((stamp, read)) = looked.await else { continue };
        known = Some(stamp);
        match read {
            None => {}
            Some(Ok(files)) => {
                *shared.files.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(files);
                shared.books.notice(unusable(None));
                tracing::info!("certificate and secrets of the listener were read again");
            }
            Some(Err(error)) => {
                tracing::error!("{error:#}: what was read before stays in use");
                shared.books.notice(unusable(Some(&error)));
            }
        }
        shared.books.notice(shared.files().end(shared.clock.now()));
        tell_counts(&shared);
    }
}
