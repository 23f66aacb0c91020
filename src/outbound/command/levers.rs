//! pause, resume and poll_now: pulled in one moment, remembered in the transaction of their effect.

use super::super::point::Point;
use super::{CommandRow, Outbound, Target, Then};
use crate::domain::command::Kind;
use crate::domain::waiting::{PointNumber, Scope};
use crate::journal::{Change, CommandProgress, Pause};

impl Outbound {
    /// Pulls a lever; answers what the table is told, with `refused: ` before it where nothing was done.
    pub(super) fn pull(&mut self, site: usize, command: &CommandRow, kind: Kind) -> String {
        let now = self.now();
        let numbers: Vec<PointNumber> =
            self.targets(site, command).iter().map(|target: &Target| target.number).collect();
        let until = command.until_at.map(|at| at.timestamp_millis());
        if kind == Kind::Pause && until.is_some_and(|until| until <= now) {
            return "refused: until_at is over already".into();
        }
        let what = match kind {
            Kind::Pause => "pauses",
            Kind::Resume => "goes on",
            _ => "is looked at",
        };
        let is_meant = |point: &Point| match kind {
            Kind::Resume => point.pause.is_some() || point.another_sender_until > now,
            Kind::PollNow => point.is_active(),
            _ => true,
        };
        let (meant, others): (Vec<_>, Vec<_>) =
            numbers.into_iter().partition(|number| is_meant(&self.points[usize::from(*number)]));
        let names = |outbound: &Self, numbers: &[PointNumber]| -> Vec<String> {
            numbers.iter().map(|number| outbound.points[usize::from(*number)].name().to_owned()).collect()
        };
        if meant.is_empty() && kind == Kind::PollNow {
            return format!(
                "refused: {} paused, switched off or refused: nothing is looked at",
                names(self, &others).join(", ") + if others.len() == 1 { " is" } else { " are" }
            );
        }
        let said = match (meant.is_empty(), others.is_empty()) {
            (true, _) => "nothing was paused".to_owned(),
            (false, true) => format!("{what}: {}", names(self, &meant).join(", ")),
            (false, false) => {
                format!(
                    "{what}: {}; not: {}",
                    names(self, &meant).join(", "),
                    names(self, &others).join(", ")
                )
            }
        };
        if command.dry_run {
            return format!("dry run: {said}; nothing was changed");
        }
        for number in meant {
            match kind {
                Kind::Pause => self.pause(number, command, until, now),
                Kind::Resume => self.resume(number, now),
                _ => self.poll_now(number, now),
            }
        }
        let progress = CommandProgress { begun_at: now, ..CommandProgress::default() };
        self.command_is_at(site, command, progress);
        said
    }

    fn pause(&mut self, number: PointNumber, command: &CommandRow, until: Option<i64>, now: i64) {
        let until_text = match command.until_at {
            Some(until) => format!("until {until}"),
            None => "until the command resume".to_owned(),
        };
        let reason = match &command.reason {
            Some(reason) => format!("{reason} ({until_text}; command {})", command.command_id),
            None => format!("{until_text} (command {})", command.command_id),
        };
        let pause = Pause { since: now, until, reason };
        let point = self.point(number);
        point.pause = Some(pause.clone());
        let point_id = point.point_id;
        self.queue(Change::Pause { point_id, pause }, Then::Nothing);
    }

    fn resume(&mut self, number: PointNumber, now: i64) {
        let mode = self.mode;
        let point = self.point(number);
        point.pause = None;
        point.another_sender_until = 0;
        point.look_soon(mode, now);
        let point_id = point.point_id;
        self.queue(Change::Resume { point_id }, Then::Nothing);
    }

    /// A pause with an end has come to it.
    pub(in crate::outbound) fn end_pause(&mut self, number: PointNumber, now: i64) {
        let point = self.point(number);
        if point.pause.as_ref().and_then(|pause| pause.until).is_some_and(|until| until <= now) {
            tracing::info!(connection_point = point.name(), "its pause is over");
            self.resume(number, now);
        }
    }

    /// Looks at the outbox now, and what waits for a retry is tried now.
    fn poll_now(&mut self, number: PointNumber, now: i64) {
        let point = self.point(number);
        point.next_scan_at = now;
        point.next_sweep_at = now;
        self.try_waiting(number, now);
    }

    /// After something was mended: ION is asked again, and what waits is tried.
    pub(super) fn try_again(&mut self, site: usize, command: &CommandRow) {
        let now = self.now();
        for target in self.targets(site, command) {
            self.try_waiting(target.number, now);
        }
    }

    fn try_waiting(&mut self, number: PointNumber, now: i64) {
        let point = self.point(number);
        point.list.asked_at = 0;
        let endpoint = point.endpoint;
        let concerns = |scope: &Scope| match scope {
            Scope::Endpoint(of) => *of == endpoint,
            Scope::ConnectionPoint(of) | Scope::DocumentType(of, _) | Scope::Lane(of, _) => *of == number,
        };
        let scopes: Vec<Scope> = self.scopes.troubles().map(|(scope, _)| scope).filter(concerns).collect();
        for scope in scopes {
            self.scopes.try_now(scope, now);
            if let Scope::Lane(_, lane) = scope {
                self.point(number).lanes.wait_until(lane, None);
            }
        }
    }
}
