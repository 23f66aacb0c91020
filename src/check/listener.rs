//! `[listen]` without listening: its address, its certificate and how long it holds, who may call.

use std::net::TcpListener;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{FILE_LIMIT, Section, aside};
use crate::config::{Config, Listen};
use crate::domain::notice::{Notice, Severity};
use crate::ims::listening::{self, Certificate, SUBJECT};

/// `None`: there is no such section, so nothing is received.
pub(super) async fn look(config: &Arc<Config>, now: DateTime<Utc>) -> Option<Section> {
    let settings = config.listen.clone()?;
    let shown = settings.address;
    let looked = aside(FILE_LIMIT, move || look_now(&settings, now)).await;
    Some(looked.unwrap_or_else(|| {
        let mut section = Section::new("listener");
        section.finds(unusable(format!("the files of [listen] ({shown}) did not answer in time")));
        section
    }))
}

fn look_now(settings: &Listen, now: DateTime<Utc>) -> Section {
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
    address(settings, &mut section);
    section
}

fn unusable(text: String) -> Notice {
    Notice::new("LISTENER_FILES_UNUSABLE", Severity::Error, None, SUBJECT)
        .says(text, "Correct the file that the text names; a running agent reads it again by itself.")
}

/// Somebody listens there: a running agent most likely, or whoever keeps it from starting.
fn address(settings: &Listen, section: &mut Section) {
    match TcpListener::bind(settings.address) {
        Ok(_) => section.sees("nobody listens there now"),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => section.sees("somebody listens there"),
        Err(error) => section.finds(Notice::new("LISTENER_ADDRESS_WRONG", Severity::Error, None, SUBJECT).says(
            format!("nothing can listen on {}: {error}", settings.address),
            "Write an address of this machine into [listen] address (0.0.0.0 for all of them), and a port that the \
             agent's user may open (ports below 1024 need a right of their own).",
        )),
    }
}
