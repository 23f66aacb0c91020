//! resubmit and discard, as `bodrelay_command` asks for them: a page of the message log at a time.
//!
//! `resubmit` does what a DBA would do by hand, it sets flag 9 to 0, and the ordinary path does the rest. `discard`
//! changes deliveries in the journal, with the command's progress in the same transaction.

use super::{Event, Outbound, Then};
use crate::database::{CommandResult, CommandRow, DatabaseError, LogFilter, LogRow};
use crate::domain::delivery::{Event as Happens, State};
use crate::domain::failure::Failure;
use crate::domain::waiting::{PointNumber, Scope};
use crate::journal::{Change, JournalError, Note, Record};

/// Rows of the message log a page.
const PAGE: i64 = 500;

/// One page of a command's work, read and (for `resubmit`) done.
pub struct CommandPage {
    site: usize,
    command: CommandRow,
    progress: Progress,
    outcome: Result<Page, CommandError>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    after_key: String,
    matched: i64,
    done: i64,
}

#[derive(Default)]
struct Page {
    rows: usize,
    last_key: Option<String>,
    matched: i64,
    done: i64,
    /// Messages to discard, with their connection points.
    discard: Vec<(PointNumber, Record)>,
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Outbound {
    /// Starts a command, or goes on with it; `false`: it is under way.
    pub fn carry_out(&mut self, site: usize, command: &CommandRow) -> bool {
        if self.stopping || !self.commands_under_way.insert((site, command.command_id)) {
            return false;
        }
        self.commands_waiting.push((site, command.clone()));
        self.start_commands();
        true
    }

    /// Begins what waits, where all connection points know their messages: before, a command would find nothing.
    pub(super) fn start_commands(&mut self) {
        let points = &self.points;
        let is_ready =
            |site: usize| points.iter().all(|point| point.site != site || !point.planned || point.recovered);
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.commands_waiting).into_iter().partition(|(site, _)| is_ready(*site));
        self.commands_waiting = waiting;
        for (site, command) in ready {
            self.command_next_page(site, command, None);
        }
    }

    /// Commands that ended since the last call: site and what goes into the table.
    pub fn take_command_results(&mut self) -> Vec<(usize, CommandResult)> {
        std::mem::take(&mut self.command_results)
    }

    /// The table says that the command is done.
    pub fn command_closed(&mut self, site: usize, command_id: i64) {
        let database_id = self.sites[site].database_id;
        self.commands_under_way.remove(&(site, command_id));
        self.queue(Change::CommandClosed { database_id, command_id }, Then::Nothing);
    }

    fn command_next_page(&mut self, site: usize, command: CommandRow, progress: Option<Progress>) {
        let (database, database_id) = (self.sites[site].database.clone(), self.sites[site].database_id);
        let journal = self.journal.clone();
        let points: Vec<(String, PointNumber, i64)> = self
            .points
            .iter()
            .filter(|point| point.site == site && point.recovered)
            .map(|point| (point.name().to_owned(), point.number, point.point_id))
            .collect();
        self.work.push(Box::pin(async move {
            let mut progress = progress;
            let outcome = async {
                if progress.is_none() {
                    progress = journal
                        .command(database_id, command.command_id)
                        .await?
                        .map(|(after_key, matched, done)| Progress { after_key, matched, done });
                }
                let after_key = progress.clone().unwrap_or_default().after_key;
                let rows = database.log_search(&filter(&command, after_key)).await?;
                let last_key = rows.last().map(|row| row.message_key.clone());
                let mut page = Page { rows: rows.len(), last_key, ..Page::default() };
                for (name, number, point_id) in points {
                    let wanted: Vec<&LogRow> = rows
                        .iter()
                        .filter(|row| row.connection_point == name && command_concerns(&command, row))
                        .collect();
                    let ids = wanted.iter().filter_map(|row| row.entry_id).collect();
                    let records: Vec<Record> = journal
                        .newest_of(point_id, ids)
                        .await?
                        .into_iter()
                        .filter(|record| {
                            let key = record.message_key.to_string();
                            wanted.iter().any(|row| row.message_key == key)
                        })
                        .collect();
                    match command.command.as_str() {
                        "discard" => discardable(&mut page, records, number),
                        _ => {
                            resubmit(&mut page, records, &command, &journal, database.as_ref(), point_id)
                                .await?
                        }
                    }
                }
                Ok::<_, CommandError>(page)
            }
            .await;
            let progress = progress.unwrap_or_default();
            Event::Command(Box::new(CommandPage { site, command, progress, outcome }))
        }));
    }

    pub(super) fn command_page(&mut self, page: CommandPage) {
        let CommandPage { site, command, mut progress, outcome } = page;
        let page = match outcome {
            Ok(page) => page,
            Err(CommandError::Database(error)) => {
                // It is tried again at the next look at the commands.
                self.commands_under_way.remove(&(site, command.command_id));
                return self.database_failed(site, &error);
            }
            Err(CommandError::Journal(error)) => {
                self.fatal = Some(error);
                return;
            }
        };
        let now = self.now();
        progress.matched += page.matched;
        progress.done += page.done;
        if let Some(key) = page.last_key {
            progress.after_key = key;
        }
        if !command.dry_run {
            let reason = command.reason.clone().unwrap_or_default();
            for (number, record) in page.discard {
                self.discard(number, record, &reason, now);
            }
            self.queue(
                Change::Command {
                    database_id: self.sites[site].database_id,
                    command_id: command.command_id,
                    after_key: progress.after_key.clone(),
                    matched: progress.matched,
                    done: progress.done,
                },
                Then::Nothing,
            );
            for point in self.points.iter_mut().filter(|point| point.site == site) {
                point.next_sweep_at = 0;
                point.next_scan_at = 0;
            }
        }
        if i64::try_from(page.rows).unwrap_or(i64::MAX) >= PAGE {
            return self.command_next_page(site, command, Some(progress));
        }
        let done = if command.dry_run { 0 } else { progress.done };
        let result = match command.dry_run {
            true => format!(
                "dry run: {} of {} messages would be changed; nothing was",
                progress.done, progress.matched
            ),
            false => format!("{done} of {} messages", progress.matched),
        };
        self.command_results.push((
            site,
            CommandResult {
                command_id: command.command_id,
                state: "done",
                matched_rows: Some(progress.matched),
                done_rows: Some(done),
                result,
                host: self.host.clone(),
            },
        ));
    }

    fn discard(&mut self, number: PointNumber, record: Record, reason: &str, now: i64) {
        let (message, lane, entry_id) = (record.message, record.lane, record.entry_id);
        let point = self.point(number);
        if let Some(open) = point.messages.get(&message) {
            // In flight or being read meanwhile: its answer decides.
            if open.record.delivery.state != State::Pending || point.lanes.is_out(lane, entry_id) {
                return;
            }
            point.lanes.remove(lane, entry_id);
        } else {
            let path = point.path(&record.document_type, lane);
            point
                .messages
                .insert(message, super::point::Open { record, path, parcel: None, bytes: 0, verify: true });
        }
        let failure = Some(Failure {
            code: "DISCARDED".into(),
            text: format!("given up by a command: {reason}"),
            remedy: "Nothing. To send it after all, use the command 'resubmit'.".into(),
        });
        self.record(number, message, Happens::Discard, Note { now, failure, ..Note::default() });
        self.scopes.well(Scope::Lane(number, lane));
    }
}

fn filter(command: &CommandRow, after_key: String) -> LogFilter {
    LogFilter {
        direction: Some("out".into()),
        connection_point: Some(command.connection_point.clone()).filter(|name| name != "*"),
        message_key: command.message_key.clone(),
        verb: command.verb.clone(),
        noun: command.noun.clone(),
        document_id: command.document_id.clone(),
        failure_code: command.failure_code.clone(),
        created_from: command.from_at,
        created_to: command.to_at,
        after_key: Some(after_key),
        limit: PAGE,
        ..LogFilter::default()
    }
}

fn command_concerns(command: &CommandRow, row: &LogRow) -> bool {
    match command.command.as_str() {
        "discard" => matches!(row.state.as_str(), "pending" | "failed"),
        _ => matches!(row.state.as_str(), "failed" | "discarded"),
    }
}

fn discardable(page: &mut Page, records: Vec<Record>, number: PointNumber) {
    for record in records {
        page.matched += 1;
        let state = record.delivery.state;
        if state == State::Pending || state == State::Failed && record.delivery.settled {
            page.done += 1;
            page.discard.push((number, record));
        }
    }
}

/// Flag 9 becomes 0 for failed rows, but not for those that a later accepted one of their lane has overtaken.
async fn resubmit(
    page: &mut Page,
    records: Vec<Record>,
    command: &CommandRow,
    journal: &crate::journal::Journal,
    database: &dyn crate::database::Database,
    point_id: i64,
) -> Result<(), CommandError> {
    let mut ids = Vec::new();
    for record in records {
        if !record.delivery.settled || !matches!(record.delivery.state, State::Failed | State::Discarded) {
            continue;
        }
        page.matched += 1;
        if command.out_of_order || !journal.is_overtaken(point_id, record.lane, record.entry_id).await? {
            ids.push(record.entry_id);
        }
    }
    ids.sort_unstable();
    if command.dry_run {
        page.done += i64::try_from(ids.len()).unwrap_or(i64::MAX);
    } else if !ids.is_empty() {
        page.done += i64::try_from(database.outbox_reset(&ids).await?.len()).unwrap_or(i64::MAX);
    }
    Ok(())
}
