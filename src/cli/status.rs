//! `bodrelay status`: how every connection point stands, from the status table, for people or for programs.

use chrono::{DateTime, Utc};
use comfy_table::Table;

use super::log::plain;
use super::not_read;
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::database::StatusRead;

/// What is to be printed, and what could not be read.
pub(super) struct Shown {
    pub text: String,
    pub errors: Vec<String>,
}

/// Reads the status table of every database.
pub(super) async fn show(config: &Config, json: bool) -> Shown {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for settings in &config.database {
        match app::database(settings, &config.agent.host).status_read().await {
            Ok(found) => rows.extend(found.into_iter().map(|row| (settings.name.clone(), row))),
            Err(error) => errors.push(not_read(error)),
        }
    }
    let text = match rows.is_empty() {
        _ if json => lines(&rows),
        // Nobody knows what those would have said that were not read.
        true if !errors.is_empty() => String::new(),
        true => "no agent has said anything yet: bodrelay_status is empty\n".into(),
        false => table(&rows, SystemClock.now()),
    };
    Shown { text, errors }
}

fn table(rows: &[(String, StatusRead)], now: DateTime<Utc>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "database",
        "point",
        "direction",
        "state",
        "since",
        "waits",
        "oldest",
        "held",
        "failed",
        "in doubt",
        "total",
        "duplicates",
        "last accepted",
        "host",
        "seen",
    ]);
    let age = |at: DateTime<Utc>| age(now, at);
    for (database, row) in rows {
        let more = if row.waiting_capped { "+" } else { "" };
        table.add_row([
            plain(database),
            plain(&row.connection_point),
            row.direction.clone(),
            row.state.clone(),
            age(row.state_since),
            format!("{}{more}", row.waiting_rows),
            row.oldest_waiting_at.map(age).unwrap_or_default(),
            row.held_rows.to_string(),
            row.failed_rows.to_string(),
            row.in_doubt_rows.to_string(),
            row.accepted_total.to_string(),
            row.duplicate_total.to_string(),
            row.last_accepted_at.map(age).unwrap_or_default(),
            plain(&row.host),
            age(row.heartbeat_at),
        ]);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    for (_, row) in rows {
        if let Some(reason) = &row.state_reason {
            let point = plain(&row.connection_point);
            text += &format!("{point} ({}) is {}: {}\n", row.direction, row.state, plain(reason));
        }
    }
    text
}

/// How long ago, in the largest unit that says enough.
fn age(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn lines(rows: &[(String, StatusRead)]) -> String {
    rows.iter()
        .map(|(database, row)| {
            let mut json = serde_json::json!(row);
            json["database"] = serde_json::json!(database);
            format!("{json}\n")
        })
        .collect()
}
