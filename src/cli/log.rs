//! `bodrelay log`: the message log as a table for people, or as one JSON object a line for programs.

use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use comfy_table::Table;

use super::not_read;
use crate::app;
use crate::config::Config;
use crate::database::{Database, LogFilter, LogRow};
use crate::domain::outside::printable;

/// Filters; those that are given must all hold.
#[derive(Debug, clap::Args)]
pub(super) struct LogArguments {
    /// Only this [[database]] of the configuration file; else all
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// out (to ION) or in (from ION)
    #[arg(long, value_parser = ["out", "in"])]
    direction: Option<String>,
    /// What became of the message
    #[arg(long, value_parser = [
        "pending", "in_flight", "accepted", "failed", "discarded", "withdrawn", "superseded", "stored",
        "duplicate", "refused",
    ])]
    state: Option<String>,
    /// The connection point
    #[arg(long, value_name = "NAME")]
    connection_point: Option<String>,
    /// The message id under which ION knows it
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The key in bodrelay_message_log
    #[arg(long, value_name = "KEY")]
    message_key: Option<String>,
    /// Sender or receiver, as in lid://infor.ims.cp1
    #[arg(long, value_name = "LID")]
    logical_id: Option<String>,
    /// Document type: Noun or Verb.Noun, as in SalesOrder or Sync.SalesOrder
    #[arg(long, value_name = "TYPE")]
    document: Option<String>,
    /// Document id; quickest together with --document
    #[arg(long, value_name = "ID")]
    document_id: Option<String>,
    /// Failure code, as in HTTP_400
    #[arg(long, value_name = "CODE")]
    failure_code: Option<String>,
    /// Entries created at or after: 2026-01-31 or 2026-01-31T10:00:00, UTC
    #[arg(long, value_name = "TIME", value_parser = created_from)]
    created_from: Option<DateTime<Utc>>,
    /// Entries created at or before; a date alone means its last moment
    #[arg(long, value_name = "TIME", value_parser = created_to)]
    created_to: Option<DateTime<Utc>>,
    /// Rows at most, the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// One JSON object a line, with every column
    #[arg(long)]
    json: bool,
}

fn created_from(text: &str) -> Result<DateTime<Utc>, String> {
    time(text, NaiveTime::MIN)
}

fn created_to(text: &str) -> Result<DateTime<Utc>, String> {
    let last = NaiveTime::MIN.overflowing_sub_signed(TimeDelta::milliseconds(1)).0;
    time(text, last)
}

fn time(text: &str, of_a_date: NaiveTime) -> Result<DateTime<Utc>, String> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(of_a_date).and_utc());
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc())
        .ok_or_else(|| "write 2026-01-31 or 2026-01-31T10:00:00 (UTC)".into())
}

impl LogArguments {
    fn filter(&self) -> LogFilter {
        let (verb, noun) = match self.document.as_deref().map(|it| it.split_once('.').ok_or(it)) {
            Some(Ok((verb, noun))) => (Some(verb.to_owned()), Some(noun.to_owned())),
            Some(Err(noun)) => (None, Some(noun.to_owned())),
            None => (None, None),
        };
        LogFilter {
            direction: self.direction.clone(),
            state: self.state.clone(),
            connection_point: self.connection_point.clone(),
            message_key: self.message_key.clone(),
            message_id: self.message_id.clone(),
            logical_id: self.logical_id.clone(),
            verb,
            noun,
            document_id: self.document_id.clone(),
            failure_code: self.failure_code.clone(),
            created_from: self.created_from,
            created_to: self.created_to,
            after_key: None,
            limit: self.limit,
        }
    }
}

/// What is to be printed, and the exit code: 3 where a database could not be read.
pub(super) struct Listing {
    pub text: String,
    pub errors: Vec<String>,
}

/// Searches every database that is meant.
pub(super) async fn search(config: &Config, arguments: &LogArguments) -> Result<Listing> {
    let filter = arguments.filter();
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    let mut was_found = false;
    for settings in &config.database {
        if arguments.database.as_ref().is_some_and(|name| *name != settings.name) {
            continue;
        }
        was_found = true;
        let database: Arc<dyn Database> = app::database(settings, &config.agent.host);
        match database.log_search(&filter).await {
            Ok(found) => rows.extend(found.into_iter().map(|row| (settings.name.clone(), row))),
            Err(error) => errors.push(not_read(error)),
        }
    }
    if !was_found {
        bail!("--database: the configuration file has no [[database]] of this name");
    }
    rows.sort_by(|(_, one), (_, other)| other.message_key.cmp(&one.message_key));
    rows.truncate(usize::try_from(arguments.limit).unwrap_or(usize::MAX));
    let text = match rows.is_empty() {
        _ if arguments.json => lines(&rows),
        // Those that fit may be where nobody could look.
        true if !errors.is_empty() => String::new(),
        true => "no messages fit\n".into(),
        false => table(&rows, arguments.limit),
    };
    Ok(Listing { text, errors })
}

fn table(rows: &[(String, LogRow)], limit: i64) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["seen (UTC)", "point", "C_ID", "document", "document id", "state", "why"]);
    for (_, row) in rows {
        let facts = &row.facts;
        let document = match (&facts.verb, &facts.noun) {
            (Some(verb), Some(noun)) => format!("{verb}.{noun}"),
            (verb, noun) => noun.clone().or_else(|| verb.clone()).unwrap_or_default(),
        };
        table.add_row([
            row.seen_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            plain(&row.connection_point),
            row.entry_id.map(|id| id.to_string()).unwrap_or_default(),
            plain(&document),
            plain(facts.document_id.as_deref().unwrap_or_default()),
            state(row),
            why(row),
        ]);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    let count = rows.len();
    if i64::try_from(count).is_ok_and(|count| count >= limit) {
        text += &format!("the newest {count}; --limit shows more, --json every column\n");
    }
    text
}

fn state(row: &LogRow) -> String {
    let marks = [(row.in_doubt, " in doubt"), (row.late, " late"), (row.held_by.is_some(), " held")];
    marks.iter().filter(|(holds, _)| *holds).fold(row.state.clone(), |text, (_, mark)| text + mark)
}

fn why(row: &LogRow) -> String {
    match (&row.failure_code, row.http_status) {
        (Some(code), _) => plain(code),
        (None, Some(status)) if row.state != "accepted" => format!("HTTP {status}"),
        (None, _) => String::new(),
    }
}

/// Ids come from documents: what a terminal would take as a command is shown as an escape.
pub(super) fn plain(text: &str) -> String {
    printable(text).into_owned()
}

fn lines(rows: &[(String, LogRow)]) -> String {
    rows.iter().map(|(database, row)| format!("{}\n", json(database, row))).collect()
}

fn json(database: &str, row: &LogRow) -> serde_json::Value {
    let facts = &row.facts;
    let at = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let if_at = |time: Option<DateTime<Utc>>| time.map(at);
    serde_json::json!({
        "database": database, "message_key": row.message_key, "direction": row.direction,
        "connection_point": row.connection_point, "tenant_id": row.tenant_id, "entry_id": row.entry_id,
        "message_id": row.message_id, "verb": facts.verb, "noun": facts.noun, "document_id": facts.document_id,
        "accounting_entity": facts.accounting_entity, "document_location": facts.document_location,
        "revision_id": facts.revision_id, "variation_id": facts.variation_id, "batch_id": facts.batch_id,
        "batch_sequence": facts.batch_sequence, "from_logical_id": row.from_logical_id,
        "to_logical_id": facts.to_logical_id, "priority": row.priority, "state": row.state,
        "held_by": row.held_by, "in_doubt": row.in_doubt, "late": row.late, "attempts": row.attempts,
        "http_status": row.http_status, "answer_class": row.answer_class, "failure_code": row.failure_code,
        "failure_text": row.failure_text, "remedy": row.remedy, "document_bytes": facts.document_bytes,
        "wire_bytes": row.wire_bytes, "digest": facts.digest, "created_at": if_at(facts.created_at),
        "seen_at": at(row.seen_at), "first_attempt_at": if_at(row.first_attempt_at),
        "last_attempt_at": if_at(row.last_attempt_at), "next_attempt_at": if_at(row.next_attempt_at),
        "finished_at": if_at(row.finished_at), "host": row.host, "updated_at": at(row.updated_at),
    })
}
