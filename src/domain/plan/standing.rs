//! Last good settings: what a row that is refused now leaves in force of what was accepted before.
//!
//! They are kept in memory only. After a start a bad row is refused without more: nobody knows what applied before.
//! What a refused row switches off is off, since less is always safe.

use super::{ConnectionPoint, ConnectionPointRow, SendMode};

/// The connection point as it was accepted last, less what the row switches off, and the reason with what applies.
pub(super) fn point(
    last: Option<&ConnectionPoint>,
    row: &ConnectionPointRow,
    reason: String,
) -> (Option<ConnectionPoint>, Option<String>) {
    let point = last.map(|last| less(last, &row.send_mode));
    let reason = said(reason, point.is_some());
    (point, Some(reason))
}

pub(super) fn less(last: &ConnectionPoint, wanted: &str) -> ConnectionPoint {
    let send_mode = match (wanted, last.send_mode) {
        ("off", _) | (_, SendMode::Off) => SendMode::Off,
        ("observe", _) | (_, SendMode::Observe) => SendMode::Observe,
        (_, SendMode::On) => SendMode::On,
    };
    ConnectionPoint { send_mode, ..last.clone() }
}

/// What is wrong, and what applies meanwhile.
pub(super) fn said(reason: String, stands: bool) -> String {
    if stands {
        format!("{reason}. Until then the last good settings apply; what is switched off is off")
    } else {
        format!("{reason}. Until then nothing of it applies")
    }
}
