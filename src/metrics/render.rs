//! Every family of `/metrics`: its name, what it says, its samples. Names and labels are stable; some are added.

use super::Reading;
use super::text::Page;
use crate::domain::meter::{OUTCOMES, PointReading, ReceivedReading, Status, TYPES_MAX, Unfinished};

/// The states of a connection point (tables.md, `bodrelay_status`).
const STATES: [&str; 10] = [
    "running",
    "observing",
    "waiting",
    "blackout",
    "paused",
    "backoff",
    "suspended",
    "misconfigured",
    "off",
    "stopped",
];

/// The page of `/metrics`. Sizes of files are looked at here, on the caller's thread.
pub fn exposition(reading: &Reading) -> String {
    let mut page = Page::default();
    page.gauge("bodrelay_build_info", "Always 1; version and host as labels.");
    let labels = [("version", reading.version), ("host", &reading.host), ("location", &reading.location)];
    page.count(&labels, 1);
    page.gauge("bodrelay_start_time_seconds", "When the process started, seconds since 1970.");
    page.seconds(&[], reading.started_at);
    messages(&mut page, reading);
    points(&mut page, reading);
    databases(&mut page, reading);
    journal(&mut page, reading);
    if let Some(receiver) = &reading.received {
        received(&mut page, receiver);
    }
    page.gauge("bodrelay_findings_open", "Findings that this process has open, by severity and code.");
    for ((code, severity), count) in &reading.findings {
        page.count(&[("severity", severity), ("code", code)], count);
    }
    page.finish()
}

fn messages(page: &mut Page, reading: &Reading) {
    page.counter(
        "bodrelay_messages_total",
        "Messages that ended since the start, by outcome; the first 50 document types of a connection point have their \
         own count, the rest share 'other'.",
    );
    for (point, _) in &reading.points {
        for (place, ends) in point.meter.ended.iter().enumerate() {
            let document_type = match point.types.get(place) {
                Some(name) if place < TYPES_MAX => name,
                _ => "other",
            };
            // Accepted and failed are there as soon as the type is: a first failure is an increase, not a new series.
            for (outcome, count) in OUTCOMES
                .iter()
                .zip(ends)
                .filter(|(outcome, count)| **count > 0 || matches!(**outcome, "accepted" | "failed"))
            {
                let labels = [
                    ("connection_point", &*point.connection_point),
                    ("direction", "out"),
                    ("document_type", document_type),
                    ("outcome", outcome),
                ];
                page.count(&labels, count);
            }
        }
    }
    for ((_, point, document_type, outcome), count) in reading.received.iter().flat_map(|it| &it.meter.ended)
    {
        let labels = [
            ("connection_point", &**point),
            ("direction", "in"),
            ("document_type", document_type),
            ("outcome", outcome.as_str()),
        ];
        page.count(&labels, count);
    }
    page.counter(
        "bodrelay_tries_total",
        "Requests that posted a message, by HTTP status (or what there was instead) and what it meant.",
    );
    for (point, _) in &reading.points {
        for ((status, class), times) in &point.meter.tried {
            let number;
            let status = match status {
                Status::Http(status) => {
                    number = status.to_string();
                    &*number
                }
                Status::Word(word) => word,
            };
            let labels = [
                ("connection_point", &*point.connection_point),
                ("direction", "out"),
                ("status", status),
                ("answer_class", class.as_str()),
            ];
            page.count(&labels, times);
        }
    }
    page.histogram("bodrelay_post_duration_seconds", "From a post to its whole answer, every try.");
    for (point, _) in &reading.points {
        page.durations(&labels_of(point), &point.meter.posts);
    }
}

fn received(page: &mut Page, receiver: &ReceivedReading) {
    page.counter("bodrelay_received_requests_total", "Requests that were answered, by HTTP status.");
    for (status, count) in &receiver.meter.answers {
        page.count(&[("status", &status.to_string())], count);
    }
    page.histogram("bodrelay_received_duration_seconds", "From a request's headers to its answer.");
    page.durations(&[("direction", "in")], &receiver.meter.requests);
    page.counter("bodrelay_received_commits_total", "Transactions that stored documents, by result.");
    page.count(&[("result", "committed")], receiver.meter.commits);
    page.count(&[("result", "failed")], receiver.meter.commits_failed);
    page.gauge("bodrelay_received_waiting_documents", "Documents that wait to be stored.");
    for (database, waiting) in &receiver.waiting {
        page.count(&[("database", database)], waiting);
    }
    page.gauge("bodrelay_received_connections", "Open connections at the listener.");
    page.count(&[], receiver.connections);
}

fn labels_of(point: &PointReading) -> [(&str, &str); 2] {
    [("connection_point", &point.connection_point), ("direction", "out")]
}

fn points(page: &mut Page, reading: &Reading) {
    page.gauge("bodrelay_connection_point_state", "1 for the state that it is in, 0 for the others.");
    for (point, _) in &reading.points {
        for state in STATES {
            let [name, direction] = labels_of(point);
            page.count(&[name, direction, ("state", state)], u8::from(point.state == state));
        }
    }
    page.gauge("bodrelay_in_flight_messages", "Messages on the way to ION.");
    for (point, _) in &reading.points {
        page.count(&labels_of(point), point.in_flight);
    }
    let mut unfinished = |name, help, value: fn(&Unfinished) -> i64| {
        page.gauge(name, help);
        for (point, unfinished) in &reading.points {
            if let Some(unfinished) = unfinished {
                page.count(&labels_of(point), value(unfinished));
            }
        }
    };
    unfinished("bodrelay_held_messages", "Messages that wait for a failed predecessor.", |it| it.held);
    unfinished("bodrelay_failed_messages", "Failed messages that nobody has resolved.", |it| it.failed);
    let help = "Messages that ION may have got without our knowing it.";
    unfinished("bodrelay_in_doubt_messages", help, |it| it.in_doubt);
    let waiting = || {
        reading
            .points
            .iter()
            .filter_map(|(point, unfinished)| Some((labels_of(point), unfinished.as_ref()?.waiting?)))
    };
    page.gauge("bodrelay_backlog_rows", "Outbox rows at 0 when they were last counted, up to 100,000.");
    for (labels, waiting) in waiting() {
        page.count(&labels, waiting.rows);
    }
    page.gauge(
        "bodrelay_backlog_oldest_age_seconds",
        "How long the oldest of them has waited since the application wrote it; 0: none waits.",
    );
    for (labels, waiting) in waiting() {
        page.seconds(&labels, waiting.oldest_at.map_or(0, |at| (reading.now - at).max(0)));
    }
    page.gauge("bodrelay_backlog_counted_age_seconds", "Since they were last counted (about once a minute).");
    for (labels, waiting) in waiting() {
        page.seconds(&labels, (reading.now - waiting.counted_at).max(0));
    }
    page.counter(
        "bodrelay_settled_messages_total",
        "Messages whose row was flagged and whose log row was written.",
    );
    for (point, _) in &reading.points {
        page.count(&labels_of(point), point.meter.settled);
    }
    page.counter("bodrelay_settle_transactions_total", "Transactions that settled them, by result.");
    for (point, _) in &reading.points {
        let [name, direction] = labels_of(point);
        page.count(&[name, direction, ("result", "ok")], point.meter.settles);
        page.count(&[name, direction, ("result", "failed")], point.meter.settles_failed);
    }
}

fn databases(page: &mut Page, reading: &Reading) {
    page.gauge("bodrelay_database_up", "1: the last control round read and wrote this database.");
    for database in &reading.databases {
        let up = database.trouble.is_none() && database.round_age.is_some();
        page.count(&[("database", &database.name)], u8::from(up));
    }
    page.gauge("bodrelay_control_round_age_seconds", "Since the last control round that succeeded.");
    for database in &reading.databases {
        if let Some(age) = database.round_age {
            page.seconds(&[("database", &database.name)], i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        }
    }
    page.gauge(
        "bodrelay_ion_up",
        "0: nothing is posted to this ION now, for it cannot be reached or takes nothing.",
    );
    for endpoint in &reading.endpoints {
        page.count(&[("ion", &endpoint.name)], u8::from(endpoint.waits.is_none()));
    }
    page.gauge("bodrelay_token_age_seconds", "Since the token in use was issued; no sample: there is none.");
    for endpoint in &reading.endpoints {
        if let Some(age) = endpoint.token_age {
            page.seconds(&[("ion", &endpoint.name)], i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        }
    }
}

fn journal(page: &mut Page, reading: &Reading) {
    page.counter("bodrelay_journal_commits_total", "Transactions of the journal, by result.");
    page.count(&[("result", "ok")], reading.journal.commits);
    page.count(&[("result", "failed")], reading.journal.commits_failed);
    page.counter("bodrelay_journal_changes_total", "Changes that these transactions carried.");
    page.count(&[], reading.journal.changes);
    page.gauge("bodrelay_journal_size_bytes", "Size of the journal's files.");
    for (file, suffix) in [("main", ""), ("wal", "-wal")] {
        let mut path = reading.journal_path.clone().into_os_string();
        path.push(suffix);
        // The WAL comes and goes.
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        page.count(&[("file", file)], bytes);
    }
    page.gauge("bodrelay_state_dir_free_bytes", "Free space on the disk of state_dir.");
    if let Some(Ok(free)) = reading.journal_path.parent().map(fs4::available_space) {
        page.count(&[], free);
    }
    page.gauge("bodrelay_payload_bytes", "Documents in memory.");
    page.count(&[], reading.payload_bytes);
}
