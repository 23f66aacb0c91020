//! The one place that changes deliveries: a list of changes in one transaction, each through the state machine.
//!
//! A change is checked against what the journal holds, never against memory, so that doing it twice does nothing.
//! The list is committed as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::admit::{admit, resend, restore};
use super::record::Record;
use super::step::{apply_step, delivery};
use super::{Journal, Result, statements as sql};
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::failure::Failure;
use crate::domain::ids::{IdentityDigest, LaneKey};
use crate::domain::message::Facts;
use crate::journal::read::{Applies, CommandProgress, Pause, StoredScope};

/// One change of the journal.
#[derive(Debug, Clone)]
pub enum Change {
    /// A row becomes a message.
    Admit(Box<Admission>),
    /// A message that the message log knows and the journal does not; its numbers are the journal's to give.
    Restore(Box<Record>),
    /// A row waits for somebody.
    Park(Parking),
    /// Parked rows that are gone, or no longer 0.
    Unpark {
        point_id: i64,
        entry_ids: Vec<i64>,
    },
    /// Rows parked for this reason (and document type, where one is given) are to be judged again.
    Wake {
        point_id: i64,
        reason: &'static str,
        document_type: Option<String>,
    },
    /// These document types are listed, and of those these are disabled: rows parked for what no longer holds are to be
    /// judged again.
    Listed {
        point_id: i64,
        listed: Vec<String>,
        disabled: Vec<String>,
    },
    /// What orders the documents of a noun is another, where nothing of it is open; answers `StillOpen` where something is.
    OrderBy {
        point_id: i64,
        noun: String,
        applies: Applies,
    },
    /// Failed messages of a type no longer keep their lanes waiting.
    Unhold {
        point_id: i64,
        document_type: String,
    },
    /// Something happened to a message.
    Step(Box<Step>),
    /// Rows and message log carry the final state of these messages.
    Settled {
        messages: Vec<i64>,
        now: i64,
    },
    /// The message log has these states of messages, and these tries (message, number of the try).
    Logged {
        states: Vec<LoggedState>,
        tries: Vec<(i64, i64)>,
    },
    /// How far the outbox was looked at.
    Scanned {
        point_id: i64,
        scanned_up_to: i64,
        observed_up_to: i64,
    },
    /// The table ends below what was seen of it: its `C_ID`s begin anew.
    AnotherLife {
        point_id: i64,
        now: i64,
    },
    /// A run of a cron schedule has ended.
    Looked {
        point_id: i64,
        at: i64,
    },
    Scope(Box<StoredScope>),
    ScopeWell(String),
    /// A DBA pauses a connection point.
    Pause {
        point_id: i64,
        pause: Pause,
    },
    /// It goes on.
    Resume {
        point_id: i64,
    },
    /// Documents go to this receiver (`ToLogicalId`).
    Receiver {
        point_id: i64,
        logical_id: String,
    },
    /// What was accepted is sent again: a message of its own of the same row; its number is the journal's to give.
    Resend(Box<Record>),
    /// How far a command is.
    Command {
        database_id: i64,
        command_id: i64,
        progress: CommandProgress,
    },
    /// The control table says that a command is done.
    CommandClosed {
        database_id: i64,
        command_id: i64,
    },
}

/// A row that passed (or failed) its checks.
#[derive(Debug, Clone)]
pub struct Admission {
    pub point_id: i64,
    pub entry_id: i64,
    pub message_key: Uuid,
    pub identity: IdentityDigest,
    pub message_id: String,
    pub message_id_given: bool,
    /// Used instead of a given id that was accepted, or may have been, with other bytes.
    pub derived_message_id: String,
    pub lane: LaneKey,
    pub document_type: String,
    pub priority: u8,
    pub facts: Arc<Facts>,
    /// The row was there in a life of the agent of which this journal knows nothing.
    pub in_doubt: bool,
    /// A higher row of its lane is out, or was accepted and is not settled yet; of those that are, the journal knows.
    pub late: bool,
    /// It fails at once.
    pub failure: Option<Failure>,
    /// Later messages of the lane wait when it fails.
    pub hold_after_failure: bool,
    /// It goes out at once, unless something in the journal keeps it.
    pub begin: bool,
    pub now: i64,
}

/// A row that waits for somebody.
#[derive(Debug, Clone)]
pub struct Parking {
    pub point_id: i64,
    pub entry_id: i64,
    /// `headers`, `unlisted`, `disabled`, `suspended` or `behind`.
    pub reason: &'static str,
    pub document_type: String,
    pub lane: LaneKey,
    /// Later messages of the lane wait for it.
    pub holds: bool,
    pub header_count: i64,
    pub now: i64,
}

/// A state of a message that the message log has. The message may have gone on meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct LoggedState {
    pub message: i64,
    pub state: State,
    pub attempts: u32,
    pub held_by: Option<i64>,
}

/// An event of one message.
#[derive(Debug, Clone)]
pub struct Step {
    pub message: i64,
    pub event: Event,
    pub note: Note,
    /// What memory takes the message for, where it knows. The journal does the step if it agrees, and otherwise reads
    /// for itself.
    pub believed: Option<Delivery>,
}

/// What is to be remembered of an event.
#[derive(Debug, Clone, Default)]
pub struct Note {
    pub now: i64,
    pub http_status: Option<u16>,
    pub answer_class: Option<&'static str>,
    /// The reason of a failure, or of a refusal that is tried again; an accepted message has none.
    pub failure: Option<Failure>,
    pub wire_bytes: Option<i64>,
    /// The try, where it was not an immediate success.
    pub attempt: Option<Attempt>,
    /// With `Event::Fail`: later messages of the lane wait for a DBA.
    pub hold: bool,
}

/// One try of a message.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub started_at: i64,
    pub duration_ms: i64,
    pub http_status: Option<u16>,
    pub answer_class: &'static str,
    pub in_doubt: bool,
    pub failure_code: Option<String>,
    pub answer_text: Option<String>,
}

/// What a change did, in the order of the list.
#[derive(Debug, Clone)]
pub enum Applied {
    /// The message as it stands now: pending, in flight (begun), held, or failed; and earlier versions of the row
    /// that failed, and are now superseded.
    Admitted {
        record: Box<Record>,
        superseded: Vec<i64>,
        /// Messages that waited for one of those may go.
        released: bool,
        /// Somebody asked for what had ended.
        again: bool,
    },
    /// The same message is open already.
    Known,
    /// The same message was accepted and settled: the row is flagged again, nothing is posted.
    Delivered,
    /// An earlier version of the row is out: look again later.
    Later,
    /// A parked row of its lane comes first: it is parked behind it.
    Behind,
    /// It waits for a failed message of its lane: it was not begun.
    Held,
    Stepped {
        delivery: Delivery,
        /// Messages that waited for this one may go (or wait for the next failed one).
        released: bool,
        /// It is back, and waits for a failed message of its lane.
        held: bool,
    },
    /// Something of the noun is open: the order stays.
    StillOpen,
    Done,
}

/// What a list of changes did.
#[derive(Debug)]
pub struct Commit {
    /// In the order of the list.
    pub applied: Vec<Applied>,
    /// Connection points with parked rows that are to be judged again.
    pub woken: BTreeSet<i64>,
}

/// What the changes of one list have in common.
#[derive(Default)]
pub(super) struct Gathered {
    /// By connection point, lanes and above which row the messages of each wait for a failed one.
    held: BTreeMap<i64, Vec<(i64, i64)>>,
    /// Connection points with parked rows that are to be judged again.
    woken: BTreeSet<i64>,
    /// By connection point, lanes (`None`: all of it) of which messages were let go.
    released: BTreeSet<(i64, Option<i64>)>,
}

impl Gathered {
    pub fn hold(&mut self, point_id: i64, lane: LaneKey, above: i64) {
        self.held.entry(point_id).or_default().push((lane.0, above));
    }

    /// Messages of a lane that waited for a failed one may go.
    pub fn release(&mut self, point_id: i64, lane: Option<LaneKey>) {
        self.released.insert((point_id, lane.map(|lane| lane.0)));
    }

    /// Lower messages of the lane may have been let go, which memory cannot know yet: nothing begins before them.
    pub fn may_begin(&self, point_id: i64, lane: LaneKey) -> bool {
        !self.released.contains(&(point_id, None)) && !self.released.contains(&(point_id, Some(lane.0)))
    }

    /// Before a parked row goes, or holds no other lane than this one: those behind it are judged again.
    pub fn follow(
        &mut self,
        tx: &Transaction<'_>,
        point_id: i64,
        entry_id: i64,
        still: Option<LaneKey>,
    ) -> Result<()> {
        let still = still.map(|lane| lane.0);
        let woken = tx.prepare_cached(sql::PARKED_FOLLOW)?.execute((point_id, entry_id, still))?;
        self.woken.extend((woken > 0).then_some(point_id));
        Ok(())
    }

    /// Once for the whole list, since it goes over all that is open above.
    fn hold_lanes(&mut self, tx: &Transaction<'_>) -> Result<()> {
        for (point_id, lanes) in std::mem::take(&mut self.held) {
            let lowest = lanes.iter().map(|(_, above)| *above).min();
            let lanes = serde_json::Value::from_iter(lanes.iter().map(|(lane, above)| vec![*lane, *above]));
            tx.prepare_cached(sql::MESSAGE_HOLD)?.execute((point_id, lowest, lanes.to_string()))?;
        }
        Ok(())
    }
}

impl Journal {
    /// Carries out a list of changes in one transaction.
    ///
    /// # Errors
    /// Nothing of the list was done.
    pub async fn apply(&self, changes: Arc<Vec<Change>>) -> Result<Commit> {
        self.transaction(move |tx| {
            let mut gathered = Gathered::default();
            let applied =
                changes.iter().map(|change| apply(tx, change, &mut gathered)).collect::<Result<_>>()?;
            gathered.hold_lanes(tx)?;
            Ok(Commit { applied, woken: gathered.woken })
        })
        .await
    }
}

fn apply(tx: &Transaction<'_>, change: &Change, gathered: &mut Gathered) -> Result<Applied> {
    match change {
        Change::Admit(admission) => admit(tx, admission, gathered),
        Change::Restore(record) => restore(tx, record),
        Change::Park(parking) => park(tx, parking, gathered).map(|()| Applied::Done),
        Change::Unpark { point_id, entry_ids } => {
            for entry_id in entry_ids {
                unpark(tx, *point_id, *entry_id, gathered)?;
            }
            Ok(Applied::Done)
        }
        Change::Wake { point_id, reason, document_type } => {
            let woken =
                tx.prepare_cached(sql::PARKED_WAKE)?.execute(params![point_id, reason, document_type])?;
            gathered.woken.extend((woken > 0).then_some(*point_id));
            Ok(Applied::Done)
        }
        Change::Listed { point_id, listed, disabled } => {
            for (statement, types) in
                [(sql::PARKED_WAKE_LISTED, listed), (sql::PARKED_WAKE_ENABLED, disabled)]
            {
                let types = serde_json::Value::from(types.clone()).to_string();
                let woken = tx.prepare_cached(statement)?.execute((point_id, types))?;
                gathered.woken.extend((woken > 0).then_some(*point_id));
            }
            Ok(Applied::Done)
        }
        Change::OrderBy { point_id, noun, applies: Applies { order_by, from } } => {
            let values = (point_id, noun, order_by.as_str(), from);
            let written = tx.prepare_cached(sql::NOUN_ORDER_WRITE)?.execute(values)?;
            Ok(if written > 0 { Applied::Done } else { Applied::StillOpen })
        }
        Change::Unhold { point_id, document_type } => {
            tx.prepare_cached(sql::MESSAGE_UNHOLD_WAITING)?.execute((point_id, document_type))?;
            tx.prepare_cached(sql::MESSAGE_UNHOLD)?.execute((point_id, document_type))?;
            gathered.release(*point_id, None);
            Ok(Applied::Done)
        }
        Change::Step(step) => apply_step(tx, step, gathered),
        Change::Settled { messages, now } => settled(tx, messages, *now).map(|()| Applied::Done),
        Change::Logged { states, tries } => {
            let mut statement = tx.prepare_cached(sql::MESSAGE_LOGGED)?;
            for state in states {
                statement.execute((state.message, state.state as u8, state.attempts, state.held_by))?;
            }
            let mut statement = tx.prepare_cached(sql::ATTEMPT_LOGGED)?;
            for of in tries {
                statement.execute(*of)?;
            }
            Ok(Applied::Done)
        }
        Change::Scanned { point_id, scanned_up_to, observed_up_to } => {
            tx.prepare_cached(sql::CURSOR_WRITE)?.execute((point_id, scanned_up_to, observed_up_to))?;
            Ok(Applied::Done)
        }
        Change::AnotherLife { point_id, now } => {
            tx.prepare_cached(sql::LANE_TAIL_RETIRE)?.execute((point_id, now))?;
            Ok(Applied::Done)
        }
        Change::Looked { point_id, at } => {
            tx.prepare_cached(sql::POINT_LOOKED)?.execute((point_id, at))?;
            Ok(Applied::Done)
        }
        Change::Scope(scope) => scope.write(tx).map(|()| Applied::Done),
        Change::ScopeWell(scope) => {
            tx.prepare_cached(sql::SCOPE_DELETE)?.execute([scope])?;
            Ok(Applied::Done)
        }
        Change::Pause { point_id, pause: Pause { since, until, reason } } => {
            tx.prepare_cached(sql::PAUSE_WRITE)?.execute((point_id, since, until, reason))?;
            Ok(Applied::Done)
        }
        Change::Resume { point_id } => {
            tx.prepare_cached(sql::PAUSE_DELETE)?.execute([point_id])?;
            Ok(Applied::Done)
        }
        Change::Receiver { point_id, logical_id } => {
            tx.prepare_cached(sql::RECEIVER_INSERT)?.execute((point_id, logical_id))?;
            Ok(Applied::Done)
        }
        Change::Resend(record) => resend(tx, record),
        Change::Command { database_id, command_id, progress } => {
            tx.prepare_cached(sql::COMMAND_WRITE)?.execute((
                database_id,
                command_id,
                progress.begun_at,
                &progress.after_key,
                progress.matched,
                progress.done,
            ))?;
            Ok(Applied::Done)
        }
        Change::CommandClosed { database_id, command_id } => {
            tx.prepare_cached(sql::COMMAND_DELETE)?.execute((database_id, command_id))?;
            Ok(Applied::Done)
        }
    }
}

/// Accepted messages shrink to tombstones, the others stay with their reason.
fn settled(tx: &Transaction<'_>, messages: &[i64], now: i64) -> Result<()> {
    let (mut accepted, mut others, mut tried) = (Vec::new(), Vec::new(), Vec::new());
    {
        let mut statement = tx.prepare_cached(sql::MESSAGE_SETTLING)?;
        let mut rows = statement.query([json(messages)])?;
        while let Some(row) = rows.next()? {
            let message = row.get(0)?;
            let delivery = delivery(row, 1)?.step(Event::Settle)?;
            if delivery.state == State::Accepted { &mut accepted } else { &mut others }.push(message);
            if delivery.attempts > 1 || delivery.state != State::Accepted {
                tried.push(message);
            }
        }
    }
    if !accepted.is_empty() {
        let accepted = json(&accepted);
        tx.prepare_cached(sql::DELIVERED_INSERT)?.execute((&accepted, now))?;
        tx.prepare_cached(sql::LANE_TAIL_RAISE)?.execute((&accepted, now))?;
        tx.prepare_cached(sql::PURGE_LATE_INSERT)?.execute((&accepted, now))?;
        tx.prepare_cached(sql::MESSAGE_DELETE)?.execute([&accepted])?;
    }
    if !others.is_empty() {
        tx.prepare_cached(sql::MESSAGE_SETTLED)?.execute([json(&others)])?;
    }
    if !tried.is_empty() {
        tx.prepare_cached(sql::ATTEMPT_DELETE)?.execute([json(&tried)])?;
    }
    Ok(())
}

/// A row waits no longer: those that waited for it are judged again.
pub(super) fn unpark(
    tx: &Transaction<'_>,
    point_id: i64,
    entry_id: i64,
    gathered: &mut Gathered,
) -> Result<()> {
    gathered.follow(tx, point_id, entry_id, None)?;
    tx.prepare_cached(sql::PARKED_DELETE)?.execute((point_id, entry_id))?;
    Ok(())
}

pub(super) fn park(tx: &Transaction<'_>, parking: &Parking, gathered: &mut Gathered) -> Result<()> {
    let still = parking.holds.then_some(parking.lane);
    gathered.follow(tx, parking.point_id, parking.entry_id, still)?;
    tx.prepare_cached(sql::PARKED_INSERT)?.execute(params![
        parking.point_id,
        parking.entry_id,
        parking.reason,
        parking.document_type,
        parking.lane.0,
        parking.holds,
        parking.header_count,
        parking.now,
    ])?;
    Ok(())
}

/// A list of numbers for `json_each`.
pub(super) fn json(numbers: &[i64]) -> String {
    let mut list = String::with_capacity(numbers.len() * 8 + 2);
    list.push('[');
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(&number.to_string());
    }
    list.push(']');
    list
}
