//! Commands of `bodrelay_command`: each is carried out once, a page at a time, whatever kills the agent in between.
//!
//! How far a command is stands in the journal, in the transaction of its effect; and it concerns only what ended before
//! it was begun, so that a page that is done again finds nothing left to do. Pages are read in futures; what they change
//! of deliveries is changed here.

use std::sync::Arc;

use super::{Event, Outbound, Reserved, Then};
use crate::database::{CommandResult, CommandRow, Database, DatabaseError, Selection};
use crate::domain::command::Kind;
use crate::domain::delivery::{Event as Happens, State};
use crate::domain::failure::Failure;
use crate::domain::plan::ConnectionPoint;
use crate::domain::waiting::{PointNumber, Scope};
use crate::ims::Client;
use crate::journal::{Change, CommandProgress, Journal, JournalError, Note, Record};

mod confirm;
mod levers;
mod messages;
mod purge;
mod trial;

/// Rows of the message log a page.
const PAGE: i64 = 500;
/// What a result may say about single rows.
const REMARKS: usize = 8;

/// One page of a command's work.
pub struct CommandPage {
    site: usize,
    command: CommandRow,
    kind: Kind,
    outcome: Result<(CommandProgress, Page), CommandError>,
    remarks: Vec<String>,
}

/// What a page found and asks for.
#[derive(Default)]
struct Page {
    matched: i64,
    done: i64,
    /// The last key that was looked at: what is behind it is never done again.
    after_key: Option<String>,
    /// Another page follows.
    more: bool,
    effects: Vec<Effect>,
    /// For the DBA, beside the figures.
    remarks: Vec<String>,
    /// It cannot be carried out.
    refused: Option<String>,
    /// An earlier life pulled this lever.
    was_pulled: bool,
}

/// A change of a delivery.
enum Effect {
    Discard(PointNumber, Box<Record>),
    Resend(PointNumber, Box<Record>),
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A connection point that a command concerns.
struct Target {
    number: PointNumber,
    point_id: i64,
    settings: Arc<ConnectionPoint>,
    selection: Selection,
    client: Client,
}

/// What a page works with.
struct Job {
    command: CommandRow,
    targets: Vec<Target>,
    database: Arc<dyn Database>,
    journal: Journal,
    progress: CommandProgress,
    now: i64,
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
            self.command_next_page(site, command, None, Vec::new());
        }
    }

    /// There is something to say of commands.
    pub fn has_command_results(&self) -> bool {
        !self.command_results.is_empty()
    }

    /// What there is to say of a database's commands since the last call, for the table.
    pub fn take_command_results(&mut self, site: usize) -> Vec<CommandResult> {
        self.command_results.extract_if(.., |(of, _)| *of == site).map(|(_, result)| result).collect()
    }

    /// The table says that the command is done.
    pub fn command_closed(&mut self, site: usize, command_id: i64) {
        let database_id = self.sites[site].database_id;
        self.commands_under_way.remove(&(site, command_id));
        self.queue(Change::CommandClosed { database_id, command_id }, Then::Nothing);
    }

    /// The connection points that a command concerns: all of its database, or the one that it names.
    fn targets(&self, site: usize, command: &CommandRow) -> Vec<Target> {
        let is_meant = |name: &str| command.connection_point == "*" || command.connection_point == name;
        self.points
            .iter()
            .filter(|point| point.site == site && point.planned && point.recovered && is_meant(point.name()))
            .map(|point| Target {
                number: point.number,
                point_id: point.point_id,
                settings: point.settings.clone(),
                selection: point.selection(),
                client: self.endpoints[usize::from(point.endpoint)].client.clone(),
            })
            .collect()
    }

    fn command_next_page(
        &mut self,
        site: usize,
        command: CommandRow,
        progress: Option<CommandProgress>,
        remarks: Vec<String>,
    ) {
        // The control tables are read with the same words.
        let Some(kind) = Kind::parse(&command.command) else { return };
        let (database, database_id) = (self.sites[site].database.clone(), self.sites[site].database_id);
        let (targets, journal, now) = (self.targets(site, &command), self.journal.clone(), self.now());
        let host = self.host.clone();
        self.work.push(Box::pin(async move {
            let outcome = async {
                let (progress, was_pulled) = match progress {
                    Some(progress) => (progress, false),
                    None => begin(&journal, database_id, &command, kind, now).await?,
                };
                let job = Job { command: command.clone(), targets, database, journal, progress, now };
                let page = match kind {
                    Kind::Pause | Kind::Resume | Kind::PollNow => Page { was_pulled, ..Page::default() },
                    Kind::Resubmit => messages::resubmit(&job).await?,
                    Kind::Discard => messages::discard(&job).await?,
                    Kind::Resend => messages::resend(&job).await?,
                    Kind::PurgeLog => purge::purge(&job).await?,
                    Kind::TestDocument => trial::try_documents(&job).await?,
                    Kind::ReloadCredentials => trial::reload_credentials(&job).await,
                    Kind::ConfirmError => confirm::confirm(&job, &host).await?,
                };
                Ok::<_, CommandError>((job.progress, page))
            }
            .await;
            Event::Command(Box::new(CommandPage { site, command, kind, outcome, remarks }))
        }));
    }

    pub(super) fn command_page(&mut self, page: CommandPage) {
        let CommandPage { site, command, kind, outcome, mut remarks } = page;
        let (mut progress, page) = match outcome {
            Ok(outcome) => outcome,
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
        if let Some(reason) = page.refused {
            return self.command_ended(site, &command, "refused", &progress, reason);
        }
        if kind.is_lever() {
            let result = match page.was_pulled {
                true => "done before the agent was started anew".into(),
                false => self.pull(site, &command, kind),
            };
            return match result.strip_prefix("refused: ") {
                Some(reason) => self.command_ended(site, &command, "refused", &progress, reason.to_owned()),
                None => self.command_ended(site, &command, "done", &progress, result),
            };
        }
        progress.matched += page.matched;
        progress.done += page.done;
        let room = REMARKS.saturating_sub(remarks.len());
        remarks.extend(page.remarks.into_iter().take(room));
        if let Some(key) = page.after_key {
            progress.after_key = key;
        }
        if !command.dry_run {
            let reason = command.reason.clone().unwrap_or_default();
            for effect in page.effects {
                match effect {
                    Effect::Discard(number, record) => {
                        self.discard(number, record, &reason, progress.begun_at)
                    }
                    Effect::Resend(number, record) => self.resend(number, record),
                }
            }
            if !kind.only_looks() {
                self.command_is_at(site, &command, progress.clone());
            }
        }
        if page.more {
            self.command_results.push((site, self.result(&command, "running", &progress, "goes on".into())));
            return self.command_next_page(site, command, Some(progress), remarks);
        }
        if matches!(kind, Kind::Resubmit | Kind::ConfirmError) && !command.dry_run {
            for target in self.targets(site, &command) {
                let point = self.point(target.number);
                point.next_sweep_at = 0;
                point.next_scan_at = 0;
            }
        }
        if kind == Kind::ReloadCredentials {
            self.try_again(site, &command);
        }
        let figures = match (kind, command.dry_run) {
            (Kind::TestDocument | Kind::ReloadCredentials, _) | (Kind::ConfirmError, false) => None,
            (_, true) => Some(format!(
                "dry run: {} of {} would be changed; nothing was",
                progress.done, progress.matched
            )),
            (_, false) => Some(format!("{} of {}", progress.done, progress.matched)),
        };
        let result: Vec<String> = figures.into_iter().chain(remarks).collect();
        if command.dry_run {
            progress.done = 0;
        }
        self.command_ended(site, &command, "done", &progress, result.join(". "));
    }

    /// What is stored with an effect, in its transaction.
    fn command_is_at(&mut self, site: usize, command: &CommandRow, progress: CommandProgress) {
        let (database_id, command_id) = (self.sites[site].database_id, command.command_id);
        self.queue(Change::Command { database_id, command_id, progress }, Then::Nothing);
    }

    fn result(
        &self,
        command: &CommandRow,
        state: &'static str,
        progress: &CommandProgress,
        result: String,
    ) -> CommandResult {
        CommandResult {
            command_id: command.command_id,
            state,
            matched_rows: Some(progress.matched),
            done_rows: Some(progress.done),
            result,
            host: self.host.clone(),
        }
    }

    fn command_ended(
        &mut self,
        site: usize,
        command: &CommandRow,
        state: &'static str,
        progress: &CommandProgress,
        result: String,
    ) {
        tracing::info!(
            command_id = command.command_id,
            command = command.command,
            connection_point = command.connection_point,
            state,
            matched = progress.matched,
            done = progress.done,
            "a command ended"
        );
        self.command_results.push((site, self.result(command, state, progress, result)));
    }

    fn discard(&mut self, number: PointNumber, record: Box<Record>, reason: &str, now: i64) {
        let (message, lane, entry_id) = (record.message, record.lane, record.entry_id);
        let point = self.point(number);
        if let Some(open) = point.messages.get(&message) {
            // In flight or being read meanwhile: its answer decides.
            if open.record.delivery.state != State::Pending || point.lanes.is_out(lane, entry_id) {
                return;
            }
            if !point.lanes.remove(lane, entry_id) {
                // Another command has given it up already.
                return;
            }
        } else {
            // Held by the journal, or far behind others of its lane.
            point.lanes.remove(lane, entry_id);
            let path = point.path(&record.document_type, lane);
            point.messages.insert(
                message,
                super::point::Open { record: *record, path, parcel: None, bytes: 0, verify: true },
            );
        }
        let failure = Some(Failure {
            code: "DISCARDED".into(),
            text: format!("given up by a command: {reason}"),
            remedy: "Nothing. To send it after all, use the command 'resubmit'.".into(),
        });
        self.record(number, message, Happens::Discard, Note { now, failure, ..Note::default() });
        self.scopes.well(Scope::Lane(number, lane));
    }

    fn resend(&mut self, number: PointNumber, record: Box<Record>) {
        let point = self.point(number);
        let path = point.path(&record.document_type, record.lane);
        let lane = Reserved {
            entry_id: record.entry_id,
            lane: record.lane,
            begin: false,
            path,
            claim: point.ownership.claim,
        };
        point.admission_begins(record.entry_id, record.lane);
        self.queue(Change::Resend(record), Then::Resent { point: number, lane });
    }
}

/// How far an earlier life came (and whether it pulled the lever), or the beginning.
async fn begin(
    journal: &Journal,
    database_id: i64,
    command: &CommandRow,
    kind: Kind,
    now: i64,
) -> Result<(CommandProgress, bool), JournalError> {
    if let Some(progress) = journal.command(database_id, command.command_id).await? {
        return Ok((progress, kind.is_lever()));
    }
    let progress = CommandProgress { begun_at: now, ..CommandProgress::default() };
    // A lever is remembered in the transaction of its effect; what changes nothing need not be remembered.
    if !(kind.is_lever() || kind.only_looks() || command.dry_run) {
        let change =
            Change::Command { database_id, command_id: command.command_id, progress: progress.clone() };
        journal.apply(Arc::new(vec![change])).await?;
    }
    Ok((progress, false))
}
