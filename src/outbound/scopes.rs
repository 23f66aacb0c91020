//! Waiting scopes under their names: stored in the journal, told to the operator, put back after a restart.

use super::clocks::cut_wait;
use super::{Outbound, Then, log};
use crate::domain::ids::LaneKey;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::{Answer, Meaning, ScopeKind};
use crate::domain::plan::AnswerClass;
use crate::domain::waiting::{Cause, EndpointNumber, Path, PointNumber, Scope, Trouble};
use crate::ims::findings;
use crate::journal::{Change, StoredScope};

/// The codes of findings about scopes narrower than an endpoint, which has its own (`ims::findings`).
const CODES: [&str; 5] =
    ["ION_BUSY", "CONNECTION_POINT_SUSPENDED", "TYPE_SUSPENDED", "TYPE_NOT_ACCEPTED", "TYPE_REJECTED"];

/// The finding about documents that are judged alone.
const ALONE: &str = "DOCUMENT_REFUSED_ALONE";
/// So many of them are named.
const ALONE_TOLD: usize = 5;

/// What else a 403 may mean (spec/ionapi.md).
fn of_forbidden(trouble: &Trouble) -> &'static str {
    if trouble.text.contains("HTTP 403") {
        " After a 403 look at the credential, too: its scopes (sc in the .ionapi file) must hold that of ION, the API \
         Gateway Client Id in the connection point must be its ci, and the service account's description must not be \
         empty."
    } else {
        ""
    }
}

impl Outbound {
    /// Puts back what waited when the agent ended.
    pub(super) fn restore_scopes(&mut self, number: PointNumber) {
        let names: Vec<String> = self.scope_names.keys().cloned().collect();
        for name in names {
            let Some(scope) = self.scope_of(number, &name) else { continue };
            let Some(stored) = self.scope_names.remove(&name) else { continue };
            let Some(cause) = Cause::parse(&stored.cause) else { continue };
            let now = self.now();
            let not_before = cut_wait(stored.not_before, self.point(number).settings.backoff.max, now);
            let mut trouble =
                Trouble::new(cause, stored.refusals, not_before, stored.since.min(now), stored.text);
            trouble.lone = stored.lone;
            trouble.in_doubt_tries = stored.in_doubt_tries;
            trouble.passed = ScopeKind::from_number(stored.passed);
            trouble.alone = ScopeKind::from_number(stored.alone);
            let point = self.point(number);
            trouble.document_type = stored.document_type.map(|name| point.type_number(&name));
            if let Scope::Lane(_, lane) = scope {
                point.lanes.wait_until(lane, Some(not_before));
                point.lanes.refused(lane, stored.refusals);
                point.tell_alone = true;
            }
            let endpoint = point.endpoint;
            self.scopes.restore(scope, trouble, endpoint);
            // What was told of it holds until it is seen to be well, however long nobody tries.
            let codes: &[&'static str] = match scope {
                Scope::Lane(..) => &[],
                Scope::Endpoint(_) => &findings::ENDPOINT_CODES,
                Scope::ConnectionPoint(_) | Scope::DocumentType(..) => &CODES,
            };
            let still = codes.iter().map(|code| self.notice(scope, code).still());
            let still: Vec<Notice> = still.collect();
            self.notices.extend(still);
        }
    }

    /// Stores the scopes that changed and says what the operator should hear.
    pub(super) fn store_scopes(&mut self) {
        for scope in self.scopes.take_changed() {
            let name = self.scope_name(scope);
            if let Scope::Lane(number, lane) = scope {
                let refusals = self.scopes.trouble(scope).map_or(0, |trouble| trouble.refusals);
                let point = self.point(number);
                point.lanes.refused(lane, refusals);
                point.tell_alone = true;
            }
            let Some(trouble) = self.scopes.trouble(scope).cloned() else {
                self.queue(Change::ScopeWell(name), Then::Nothing);
                self.scope_is_well(scope);
                continue;
            };
            let stored = StoredScope {
                scope: name,
                cause: trouble.cause.as_str().into(),
                refusals: trouble.refusals,
                not_before: trouble.not_before,
                since: trouble.since,
                lone: trouble.lone,
                in_doubt_tries: trouble.in_doubt_tries,
                document_type: self.type_of(scope, &trouble),
                passed: trouble.passed.map_or(0, ScopeKind::number),
                alone: trouble.alone.map_or(0, ScopeKind::number),
                text: trouble.text.clone(),
            };
            self.queue(Change::Scope(Box::new(stored)), Then::Nothing);
            self.scope_waits(scope, &trouble);
        }
        for number in 0..self.points.len() {
            let Ok(number) = PointNumber::try_from(number) else { break };
            let is_read = self.point(number).recovered;
            if is_read && std::mem::take(&mut self.point(number).tell_alone) {
                self.tell_alone(number);
            }
        }
    }

    /// The document type of a lane, as the journal keeps it.
    fn type_of(&self, scope: Scope, trouble: &Trouble) -> Option<String> {
        let Scope::Lane(number, _) = scope else { return None };
        Some(self.points[usize::from(number)].type_name(trouble.document_type?).to_owned())
    }

    /// One finding a connection point about the documents that are refused while others pass: how many, and the worst.
    fn tell_alone(&mut self, number: PointNumber) {
        let (count, lanes) = self.scopes.alone(number);
        let worst: Vec<String> = lanes.take(ALONE_TOLD).map(|lane| self.alone(number, lane)).collect();
        let point = self.point(number);
        let notice = Notice::new(ALONE, Severity::Warning, Some(point.name()), "documents");
        if count == 0 {
            if std::mem::take(&mut point.told_alone) {
                self.notices.push(notice.clears());
            }
            return;
        }
        point.told_alone = true;
        let rounds = point.settings.lone_rounds;
        let more = count.saturating_sub(worst.len());
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let documents = if count == 1 { "one document is" } else { "documents are" };
        self.notices.push(notice.says(
            format!("{documents} refused again and again while others pass: {}{more}", worst.join("; ")),
            format!(
                "Only they wait, and they are tried again by themselves; after {rounds} rounds (lone_rounds) a document \
                 fails as FOR_THIS_DOCUMENT_ONLY, but never for an answer that is about the way and not about it (300 to \
                 308, 401, 405, 407, 429, no connection). Look up the answer in ION; mend the row or ION, or use the \
                 command 'discard'."
            ),
        ));
    }

    /// A document that is judged alone, what it was answered, how far it is and what passes beside it.
    fn alone(&self, number: PointNumber, lane: LaneKey) -> String {
        let document =
            self.document_of(number, lane).unwrap_or_else(|| "one whose row is not in memory".into());
        let Some(trouble) = self.scopes.trouble(Scope::Lane(number, lane)) else { return document };
        let rounds = self.points[usize::from(number)].settings.lone_rounds;
        let beside = match trouble.alone {
            Some(ScopeKind::DocumentType) => "others of its type pass",
            Some(ScopeKind::ConnectionPoint) => "other types pass",
            Some(ScopeKind::Endpoint | ScopeKind::Lane) | None => "other connection points pass",
        };
        let (refusals, lone) = (trouble.refusals, trouble.lone);
        let answer = log::cut(&trouble.text, 200);
        format!("{document}: {answer} (refused {refusals} times, round {lone} of {rounds}; {beside})")
    }

    /// The next document of a lane in the words of the message log.
    fn document_of(&self, number: PointNumber, lane: LaneKey) -> Option<String> {
        let point = self.points.get(usize::from(number))?;
        let record = &point.messages.get(&point.lanes.head(lane)?.message)?.record;
        let id = record.facts.document_id.as_deref().unwrap_or("without an id");
        let quoted = |text: &str| -> String { text.chars().take(120).flat_map(char::escape_debug).collect() };
        Some(format!(
            "{} {} (C_ID {}, message id {})",
            quoted(&record.document_type),
            quoted(id),
            record.entry_id,
            quoted(&record.message_id)
        ))
    }

    /// To which document the answer was given that a scope waits for.
    fn answered_to(&self, trouble: &Trouble) -> String {
        let document = trouble.refused_by().and_then(|(number, lane)| self.document_of(number, lane));
        document.map(|document| format!(" (the last one refused: {document})")).unwrap_or_default()
    }

    fn scope_waits(&mut self, scope: Scope, trouble: &Trouble) {
        let notice = match scope {
            Scope::Lane(..) => return,
            Scope::Endpoint(number) => self.endpoint_notice(number, trouble),
            Scope::ConnectionPoint(_) if trouble.cause == Cause::Retry => self.notice(scope, "ION_BUSY").says(
                format!("ION asks to wait: {}{}", trouble.text, self.answered_to(trouble)),
                "Nothing is lost; the agent tries again by itself.",
            ),
            Scope::ConnectionPoint(_) => self.notice(scope, "CONNECTION_POINT_SUSPENDED").says(
                format!(
                    "ION refuses several document types of this connection point: {}{}",
                    trouble.text,
                    self.answered_to(trouble)
                ),
                format!(
                    "Look at the IMS connection point in ION Desk: is it active, does it name this client id and logical \
                     id, does it list the documents?{} Rows stay 0 and are sent when ION takes them.",
                    of_forbidden(trouble)
                ),
            ),
            Scope::DocumentType(..) => self.type_notice(scope, trouble),
        };
        tracing::warn!(
            connection_point = notice.connection_point.as_deref(),
            subject = notice.subject,
            code = notice.code,
            refusals = trouble.refusals,
            answer = trouble.text,
            "waits"
        );
        if let Scope::Endpoint(number) = scope {
            self.endpoints[usize::from(number)].by_posts = Some(notice.code);
            self.endpoint_changed(number, Some(notice));
        } else {
            self.notices.push(notice);
        }
        self.drop_bytes_behind(scope);
    }

    /// Keeps a refusal that the whole endpoint may wait for, until it is told.
    pub(super) fn refused_by(&mut self, path: &Path, answer: &Answer, meaning: Meaning) {
        if meaning.class != AnswerClass::Accepted {
            let concerns_all = meaning.scope == ScopeKind::Endpoint;
            self.endpoints[usize::from(path.endpoint)].refusal = concerns_all.then(|| answer.clone());
        }
    }

    fn endpoint_notice(&self, number: EndpointNumber, trouble: &Trouble) -> Notice {
        let endpoint = &self.endpoints[usize::from(number)];
        let found =
            endpoint.refusal.as_ref().and_then(|answer| findings::of_endpoint(&endpoint.name, answer));
        let mut notice = found.unwrap_or_else(|| findings::away(&endpoint.name, &trouble.text));
        notice.text.push_str(&self.answered_to(trouble));
        notice
    }

    /// Raises what was found now, and takes back whatever neither posts nor ping say of an endpoint: after an answer of
    /// ION's.
    pub(super) fn endpoint_changed(&mut self, number: EndpointNumber, found: Option<Notice>) {
        let endpoint = &self.endpoints[usize::from(number)];
        let open = [endpoint.by_posts, endpoint.by_ping];
        // It waits since an earlier life, which told why: that is over when a post passes.
        if endpoint.by_posts.is_none() && self.scopes.trouble(Scope::Endpoint(number)).is_some() {
            return self.notices.extend(found);
        }
        let over = findings::ENDPOINT_CODES.into_iter().filter(|code| !open.contains(&Some(*code)));
        let over: Vec<Notice> = over
            .map(|code| Notice::new(code, Severity::Error, None, endpoint.name.clone()).clears())
            .collect();
        self.notices.extend(over);
        self.notices.extend(found);
    }

    fn type_notice(&self, scope: Scope, trouble: &Trouble) -> Notice {
        match trouble.cause {
            Cause::NotAccepted => self.notice(scope, "TYPE_NOT_ACCEPTED").says(
                format!("ION does not accept this document type from us: {}", trouble.text),
                "Add the document to the Documents tab of the IMS connection point in ION Desk and activate it, or set \
                 enabled = 0 in bodrelay_document. Rows stay 0 and are sent as soon as ION lists the type.",
            ),
            Cause::Rejects => self.notice(scope, "TYPE_REJECTED").says(
                format!("five documents of this type in a row were rejected: {}", trouble.text),
                "Mend what ION names (often a mapping or a schema), then resubmit the failed ones. One document at a \
                 time tries whether it works again.",
            ),
            Cause::Retry | Cause::Suspend => self.notice(scope, "TYPE_SUSPENDED").says(
                format!("ION refuses this document type: {}{}", trouble.text, self.answered_to(trouble)),
                format!(
                    "Look at the IMS connection point in ION Desk: Documents tab, client id, logical id, active data \
                     flow.{} Rows stay 0 and are sent when ION takes them.",
                    of_forbidden(trouble)
                ),
            ),
        }
    }

    fn scope_is_well(&mut self, scope: Scope) {
        if matches!(scope, Scope::Lane(..)) {
            return;
        }
        if let Scope::Endpoint(number) = scope {
            let endpoint = &mut self.endpoints[usize::from(number)];
            // A post was answered: whatever ping said before is over, too.
            (endpoint.refusal, endpoint.by_posts, endpoint.by_ping) = (None, None, None);
            return self.endpoint_changed(number, None);
        }
        for code in CODES {
            let notice = self.notice(scope, code).clears();
            self.notices.push(notice);
        }
        if let Scope::DocumentType(point, number) = scope {
            let document_type = self.point(point).type_name(number).to_owned();
            tracing::info!(connection_point = self.point(point).name(), document_type, "goes on");
            self.point(point).probes_asked.remove(&number);
            self.wake(point, "suspended", Some(document_type));
        }
    }

    /// Bytes of messages that now wait are read again when their time comes; others may use the room.
    fn drop_bytes_behind(&mut self, scope: Scope) {
        for number in 0..self.points.len() {
            let Ok(number) = PointNumber::try_from(number) else { break };
            self.drop_parcels(number, |open| open.path.wide().contains(&scope));
        }
    }

    fn notice(&self, scope: Scope, code: &'static str) -> Notice {
        let (point, subject) = match scope {
            Scope::Endpoint(number) => (None, self.endpoints[usize::from(number)].name.clone()),
            Scope::ConnectionPoint(point) | Scope::Lane(point, _) => {
                (Some(point), "connection point".to_owned())
            }
            Scope::DocumentType(point, number) => {
                (Some(point), self.points[usize::from(point)].type_name(number).to_owned())
            }
        };
        let name = point.map(|point| self.points[usize::from(point)].name());
        Notice::new(code, Severity::Error, name, subject)
    }

    /// The name under which the journal keeps a scope.
    fn scope_name(&self, scope: Scope) -> String {
        let point = |number: PointNumber| {
            let point = &self.points[usize::from(number)];
            format!("{}/{}", self.sites[point.site].name, point.name())
        };
        match scope {
            Scope::Endpoint(number) => format!("endpoint {}", self.endpoints[usize::from(number)].name),
            Scope::ConnectionPoint(number) => format!("point {}", point(number)),
            Scope::DocumentType(number, document_type) => {
                format!(
                    "type {} {}",
                    point(number),
                    self.points[usize::from(number)].type_name(document_type)
                )
            }
            Scope::Lane(number, lane) => format!("lane {} {:016x}", point(number), lane.0),
        }
    }

    /// The scope of a name, where it concerns this connection point (or its endpoint).
    fn scope_of(&mut self, number: PointNumber, name: &str) -> Option<Scope> {
        let point = self.point(number);
        let endpoint = point.endpoint;
        if name == self.scope_name(Scope::Endpoint(endpoint)) {
            return Some(Scope::Endpoint(endpoint));
        }
        let whole = self.scope_name(Scope::ConnectionPoint(number));
        if name == whole {
            return Some(Scope::ConnectionPoint(number));
        }
        let point_name = whole.strip_prefix("point ")?;
        let (kind, rest) = name.split_once(' ')?;
        let detail = rest.strip_prefix(point_name)?.strip_prefix(' ')?;
        match kind {
            "type" => Some(Scope::DocumentType(number, self.point(number).type_number(detail))),
            "lane" => {
                let lane = u64::from_str_radix(detail, 16).ok()?;
                Some(Scope::Lane(number, LaneKey(lane.cast_signed())))
            }
            _ => None,
        }
    }
}
