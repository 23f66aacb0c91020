//! What every database answers alike: rows of the control tables and of the message log, by the place of their columns.
//!
//! A driver gives texts, whole numbers and times; what a row means is said here, once.

use std::cell::RefCell;
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};

use super::compose::{QueryRow, VariationRow};
use super::{ChangeRow, CommandRow, FindingRow, HostRow, LogRow, StatusRead};
use crate::domain::change::RowChange;
use crate::domain::message::Facts;
use crate::domain::notice::Severity;
use crate::domain::plan::{ConnectionPointRow, DocumentRow, StatusRuleRow};

/// A row as a driver gives it.
pub(super) trait Cells {
    type Error;

    /// A column as text, whatever its type; `None` where it is NULL.
    fn text(&self, column: usize) -> Result<Option<String>, Self::Error>;

    /// A whole number, whatever its width; `None` where there is none.
    fn integer(&self, column: usize) -> Result<Option<i64>, Self::Error>;

    /// A time; `None` where it is NULL or no time.
    fn time(&self, column: usize) -> Result<Option<DateTime<Utc>>, Self::Error>;

    fn is_null(&self, column: usize) -> bool;

    /// A number that is always there: -1 where it is not.
    fn number(&self, column: usize) -> Result<i64, Self::Error> {
        self.integer(column).map(|number| number.unwrap_or(-1))
    }

    fn flag(&self, column: usize) -> Result<bool, Self::Error> {
        Ok(self.integer(column)? == Some(1))
    }

    /// The name of a column.
    fn name(&self, column: usize) -> &str;

    /// A text of a column that its table declares NOT NULL.
    fn required(&self, column: usize) -> Result<String, Self::Error> {
        self.text(column).map(Option::unwrap_or_default)
    }

    /// A time of a column that its table declares NOT NULL.
    fn required_time(&self, column: usize) -> Result<DateTime<Utc>, Self::Error> {
        self.time(column).map(Option::unwrap_or_default)
    }
}

/// A row of which a cell that cannot be read is noted and taken as NULL: it spoils its own row, never the table.
struct Reader<'a, C> {
    row: &'a C,
    unreadable: RefCell<Option<String>>,
}

impl<'a, C: Cells> Reader<'a, C> {
    fn of(row: &'a C) -> Self {
        Self { row, unreadable: RefCell::default() }
    }

    /// What is wrong with the first cell that could not be read.
    fn unreadable(self) -> Option<String> {
        self.unreadable.into_inner()
    }

    fn spoilt(&self, column: usize, what: &str) {
        let mut unreadable = self.unreadable.borrow_mut();
        unreadable.get_or_insert_with(|| format!("{} {what}", self.row.name(column).to_lowercase()));
    }

    fn text(&self, column: usize) -> Option<String> {
        self.row.text(column).unwrap_or_else(|_| {
            self.spoilt(column, "holds no text: write another value");
            None
        })
    }

    /// A text of a column that its table declares NOT NULL.
    fn required(&self, column: usize) -> String {
        self.text(column).unwrap_or_else(|| {
            self.spoilt(column, "is NULL: write a value");
            String::new()
        })
    }

    fn integer(&self, column: usize) -> Option<i64> {
        let number = self.row.integer(column).unwrap_or(None);
        if number.is_none() && !self.row.is_null(column) {
            self.spoilt(column, &format!("holds no whole number{}: write one", self.shown(column)));
        }
        number
    }

    /// A number that the table's CHECK keeps whole; what is none all the same becomes -1, which the plan refuses.
    fn number(&self, column: usize) -> i64 {
        self.integer(column).unwrap_or(-1)
    }

    fn flag(&self, column: usize) -> bool {
        self.integer(column) == Some(1)
    }

    fn time(&self, column: usize) -> Option<DateTime<Utc>> {
        match self.row.time(column) {
            Ok(Some(time)) if (1900..=9999).contains(&time.year()) => return Some(time),
            Ok(None) if self.row.is_null(column) => {}
            _ => {
                let why = format!(
                    "holds no time of the years 1900 to 9999{}: write one, or NULL for none ('infinity' is none)",
                    self.shown(column)
                );
                self.spoilt(column, &why);
            }
        }
        None
    }

    /// A time of a column that its table declares NOT NULL.
    fn required_time(&self, column: usize) -> DateTime<Utc> {
        self.time(column).unwrap_or_default()
    }

    /// The value, where it is a short text that can be printed.
    fn shown(&self, column: usize) -> String {
        let text = self.row.text(column).ok().flatten();
        let text =
            text.filter(|text| text.len() <= 60 && text.chars().all(|it| it.is_ascii_graphic() || it == ' '));
        text.map(|text| format!(" ('{text}')")).unwrap_or_default()
    }
}

/// Reads the forms in which applications write a time as text: ISO 8601 with `T` or a blank, with or without `Z`, an
/// offset or fractions of a second. Without an offset it is UTC (spec/iobox.md §2).
pub(super) fn iso_time(text: &str) -> Option<DateTime<Utc>> {
    let iso = text.trim().replacen(' ', "T", 1).replace(' ', "");
    let offset = DateTime::parse_from_rfc3339(&iso)
        .or_else(|_| DateTime::parse_from_str(&iso, "%Y-%m-%dT%H:%M:%S%.f%#z"));
    if let Ok(time) = offset {
        return Some(time.to_utc());
    }
    let iso = iso.trim_end_matches(['Z', 'z']);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(iso, form).ok())
        .or_else(|| NaiveDate::parse_from_str(iso, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .map(|time| time.and_utc())
}

/// The columns of control_read_connection_points.
pub(super) fn connection_point<C: Cells>(row: &C) -> ConnectionPointRow {
    let row = Reader::of(row);
    ConnectionPointRow {
        connection_point: row.required(0),
        location_name: row.required(1),
        ion_name: row.required(2),
        tenant_id: row.required(3),
        logical_id: row.required(4),
        source_kind: row.required(5),
        source_tenant_id: row.text(6),
        source_logical_id: row.text(7),
        send_mode: row.required(8),
        receive_mode: row.required(9),
        send_rows_from: row.time(10),
        poll_seconds: row.integer(11),
        poll_cron: row.text(12),
        time_zone: row.required(13),
        blackout: row.text(14),
        batch_rows: row.number(15),
        parallel_posts: row.number(16),
        max_messages_per_second: row.integer(17),
        max_document_bytes: row.number(18),
        after_failure: row.required(19),
        backoff_step_seconds: row.number(20),
        backoff_max_seconds: row.number(21),
        lone_rounds: row.number(22),
        lone_in_doubt_tries: row.number(23),
        headers_grace_seconds: row.number(24),
        ims_version: row.required(25),
        ims_method: row.required(26),
        encoding: row.required(27),
        check_accepted: row.flag(28),
        log_messages: row.required(29),
        log_attempts: row.required(30),
        log_keep_days: row.number(31),
        outbox_keep_hours: row.integer(32),
        refused_reason: row.text(33),
        was_applied: row.flag(34),
        unreadable: row.unreadable(),
    }
}

/// The columns of control_read_documents.
pub(super) fn document<C: Cells>(row: &C) -> DocumentRow {
    let row = Reader::of(row);
    DocumentRow {
        connection_point: row.required(0),
        direction: row.required(1),
        verb: row.required(2),
        noun: row.required(3),
        enabled: row.flag(4),
        namespace: row.text(5),
        order_by: row.required(6),
        document_id_path: row.text(7),
        after_failure: row.text(8),
        max_document_bytes: row.integer(9),
        duplicate_key: row.required(10),
        older_variation: row.required(11),
        refused_reason: row.text(12),
        unreadable: row.unreadable(),
    }
}

/// The columns of control_read_status_rules.
pub(super) fn status_rule<C: Cells>(row: &C) -> StatusRuleRow {
    let row = Reader::of(row);
    StatusRuleRow {
        connection_point: row.required(0),
        http_status: row.number(1),
        answer_class: row.required(2),
        unreadable: row.unreadable(),
    }
}

/// The columns of lever_read.
pub(super) fn command<C: Cells>(row: &C) -> CommandRow {
    let row = Reader::of(row);
    CommandRow {
        command_id: row.number(0),
        command: row.required(1),
        connection_point: row.required(2),
        direction: row.text(3),
        verb: row.text(4),
        noun: row.text(5),
        document_id: row.text(6),
        message_key: row.text(7),
        failure_code: row.text(8),
        from_at: row.time(9),
        to_at: row.time(10),
        reason: row.text(11),
        out_of_order: row.flag(12),
        dry_run: row.flag(13),
        state: row.required(14),
        until_at: row.time(15),
        reason_code: None,
        unreadable: row.unreadable(),
    }
}

/// The columns of command_read, one more than those of lever_read.
pub(super) fn open_command<C: Cells>(row: &C) -> CommandRow {
    let row = Reader::of(row);
    CommandRow { reason_code: row.text(16), ..command(row.row) }
}

/// The columns of finding_read.
pub(super) fn finding<C: Cells>(row: &C) -> FindingRow {
    let row = Reader::of(row);
    let severity = row.required(1);
    let acknowledged_until = match (row.time(10), row.time(11)) {
        (_, Some(until)) => Some(until),
        // Without an end: for as long as it is open.
        (Some(_), None) => Some(DateTime::<Utc>::MAX_UTC),
        (None, None) => None,
    };
    FindingRow {
        code: row.required(0),
        severity: Severity::parse(&severity).as_str(),
        connection_point: row.text(2),
        subject: row.required(3),
        finding_text: row.required(4),
        remedy: row.required(5),
        since: row.required_time(6),
        last_seen_at: row.required_time(7),
        seen_more: row.number(8),
        cleared: false,
        host: row.required(9),
        acknowledged_until,
    }
}

/// The columns of history_read.
pub(super) fn setting_change<C: Cells>(row: &C) -> ChangeRow {
    let row = Reader::of(row);
    ChangeRow {
        changed_at: row.time(0),
        changed_by: row.text(1),
        table_name: row.required(2),
        row_key: row.required(3),
        column_name: row.text(4),
        old_value: row.text(5),
        new_value: row.text(6),
    }
}

/// The columns of host_read.
pub(super) fn host<C: Cells>(row: &C) -> HostRow {
    let row = Reader::of(row);
    HostRow {
        host: row.required(0),
        location_name: row.required(1),
        journal_id: row.required(2),
        database_fingerprint: row.required(3),
        epoch: row.number(4),
        agent_version: row.required(5),
        script_needed: row.number(6),
        operating_system: row.required(7),
        process_id: row.integer(8).unwrap_or_default(),
        state: row.required(9),
        refused_reason: row.text(10),
        started_at: row.required_time(11),
        heartbeat_at: row.required_time(12),
        alive_at: row.required_time(13),
    }
}

/// The columns of status_read.
pub(super) fn status<C: Cells>(row: &C) -> StatusRead {
    let row = Reader::of(row);
    StatusRead {
        connection_point: row.required(0),
        direction: row.required(1),
        state: row.required(2),
        state_since: row.required_time(3),
        state_reason: row.text(4),
        waiting_rows: row.number(5),
        waiting_capped: row.flag(6),
        oldest_waiting_at: row.time(7),
        in_flight_rows: row.number(8),
        held_rows: row.number(9),
        failed_rows: row.number(10),
        in_doubt_rows: row.number(11),
        accepted_total: row.number(12),
        failed_total: row.number(13),
        last_accepted_at: row.time(14),
        last_failure_at: row.time(15),
        last_failure: row.text(16),
        last_poll_at: row.time(17),
        next_poll_at: row.time(18),
        host: row.required(19),
        heartbeat_at: row.required_time(20),
        duplicate_total: row.number(21),
    }
}

/// The columns of change_read and change_read_of_documents.
pub(super) fn change<C: Cells>(row: &C) -> RowChange {
    let row = Reader::of(row);
    RowChange {
        change_id: row.number(0),
        verb: row.required(1),
        noun: row.required(2),
        document_id: row.required(3),
        accounting_entity: row.required(4),
        document_location: row.required(5),
        action_code: row.required(6),
        priority: row.integer(7).unwrap_or(4),
        unreadable: row.unreadable(),
    }
}

/// The columns of query_read.
pub(super) fn query<C: Cells>(row: &C) -> QueryRow {
    let row = Reader::of(row);
    QueryRow {
        verb: row.required(0),
        noun: row.required(1),
        part_no: row.number(2),
        parent_part_no: row.integer(3),
        element_path: row.text(4).filter(|path| !path.trim().is_empty()),
        split_batch: row.flag(5),
        query_text: row.required(6),
        timeout_seconds: row.number(7),
        max_rows: row.number(8),
        enabled: row.flag(9),
        refused_reason: row.text(10),
        unreadable: row.unreadable(),
    }
}

/// The columns of variation_read.
pub(super) fn variation<C: Cells>(row: &C) -> VariationRow {
    let row = Reader::of(row);
    VariationRow { document_key: row.required(0), last_variation: row.number(1), is_open: row.flag(2) }
}

/// The columns of every log_search.
pub(super) fn log_row<C: Cells>(row: &C) -> LogRow {
    let row = Reader::of(row);
    LogRow {
        message_key: row.required(0),
        direction: if row.required(1) == "in" { "in" } else { "out" },
        connection_point: row.required(2),
        tenant_id: row.text(3),
        entry_id: row.integer(4),
        message_id: row.text(5),
        facts: Arc::new(Facts {
            verb: row.text(6),
            noun: row.text(7),
            document_id: row.text(8),
            accounting_entity: row.text(9),
            document_location: row.text(10),
            revision_id: row.text(11),
            variation_id: row.integer(12),
            batch_id: row.text(13),
            batch_sequence: row.integer(14),
            to_logical_id: row.text(16),
            document_bytes: row.integer(28).unwrap_or_default(),
            digest: row.text(30),
            created_at: row.time(31),
            resend_of: row.text(39),
        }),
        from_logical_id: row.text(15),
        priority: row.integer(17),
        state: row.required(18),
        held_by: row.text(19),
        in_doubt: row.flag(20),
        late: row.flag(21),
        attempts: row.integer(22).unwrap_or_default(),
        http_status: row.integer(23),
        answer_class: row.text(24),
        failure_code: row.text(25),
        failure_text: row.text(26),
        remedy: row.text(27),
        wire_bytes: row.integer(29),
        seen_at: row.required_time(32),
        first_attempt_at: row.time(33),
        last_attempt_at: row.time(34),
        next_attempt_at: row.time(35),
        finished_at: row.time(36),
        host: row.text(37),
        updated_at: row.required_time(38),
    }
}

/// The log_search statement of a dialect whose index finds the fewest rows for a filter.
macro_rules! log_search {
    ($sql:ident, $filter:expr) => {{
        let filter: &$crate::database::LogFilter = $filter;
        if filter.message_key.is_some() {
            $sql::LOG_SEARCH_BY_KEY
        } else if filter.after_key.is_some() {
            $sql::LOG_SEARCH_UPWARDS
        } else if filter.message_id.is_some() {
            $sql::LOG_SEARCH_BY_MESSAGE_ID
        } else if filter.noun.is_some() && filter.document_id.is_some() {
            $sql::LOG_SEARCH_BY_DOCUMENT
        } else if filter.connection_point.is_some() && filter.state.is_some() {
            $sql::LOG_SEARCH_BY_STATE
        } else if filter.created_from.is_some() || filter.created_to.is_some() {
            $sql::LOG_SEARCH_BY_CREATED
        } else {
            $sql::LOG_SEARCH
        }
    }};
}
pub(super) use log_search;
