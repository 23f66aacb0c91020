//! `[listen]` without listening: its address, its certificate and how long it holds, who may call.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{FILE_LIMIT, Section, aside, machine};
use crate::config::{Config, Listen};
use crate::domain::notice::{Notice, Severity};
use crate::ims::listening::{self, Certificate, SUBJECT};

/// `None`: there is no such section, so nothing is received.
pub(super) async fn look(config: &Arc<Config>, is_running: bool, now: DateTime<Utc>) -> Option<Section> {
    let settings = config.listen.clone()?;
    let shown = settings.address;
    let looked = aside(FILE_LIMIT, move || look_now(&settings, is_running, now)).await;
    Some(looked.unwrap_or_else(|| {
        let mut section = Section::new("listener");
        section.finds(unusable(format!("the files of [listen] ({shown}) did not answer in time")));
        section
    }))
}

fn look_now(settings: &Listen, is_running: bool, now: DateTime<Utc>) -> Section {
    let mut section = Section::new("listener");
    section.sees(settings.address.to_string());
    let certificate = match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key)) => match Certificate::read(certificate, key) {
            Ok(certificate) => {
                section.sees(format!("TLS, the certificate ends on {}", certificate.ends.format("%Y-%m-%d")));
                Some(certificate)
            }
            Err(error) => {
                section.wrong_file = true;
                section.finds(unusable(format!("{error:#}")));
                None
            }
        },
        _ => {
            section.sees("plain HTTP");
            None
        }
    };
    for caller in &settings.caller {
        match caller.secret() {
            Ok(_) => section.sees(format!("{} may call ({})", caller.name, caller.auth.as_str())),
            Err(error) => {
                section.wrong_file = true;
                section.finds(unusable(format!("{error:#}")));
            }
        }
    }
    let notices = [
        listening::open(settings),
        listening::plain(settings),
        listening::readable(settings),
        listening::end(certificate.as_ref(), now),
    ];
    notices.into_iter().filter(|notice| !notice.cleared).for_each(|notice| section.finds(notice));
    machine::address(&mut section, SUBJECT, "[listen] address", settings.address, is_running);
    section
}

fn unusable(text: String) -> Notice {
    Notice::new("LISTENER_FILES_UNUSABLE", Severity::Error, None, SUBJECT)
        .says(text, "Correct the file that the text names; a running agent reads it again by itself.")
}
