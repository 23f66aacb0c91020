//! Waiting scopes under their names: stored in the journal, told to the operator, put back after a restart.

use super::clocks::cut_wait;
use super::{Outbound, Then};
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
            trouble.passed = stored.passed;
            trouble.natural = stored.natural.as_deref().and_then(|name| self.scope_of(number, name));
            if let Scope::Lane(_, lane) = scope {
                self.point(number).lanes.wait_until(lane, Some(not_before));
            }
            self.scopes.restore(scope, trouble);
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
                natural: trouble.natural.map(|natural| self.scope_name(natural)),
                passed: trouble.passed,
                text: trouble.text.clone(),
            };
            self.queue(Change::Scope(Box::new(stored)), Then::Nothing);
            self.scope_waits(scope, &trouble);
        }
    }

    fn scope_waits(&mut self, scope: Scope, trouble: &Trouble) {
        let notice = match scope {
            Scope::Lane(..) => return,
            Scope::Endpoint(number) => self.endpoint_notice(number, trouble),
            Scope::ConnectionPoint(_) if trouble.cause == Cause::Retry => self.notice(scope, "ION_BUSY").says(
                format!("ION asks to wait: {}", trouble.text),
                "Nothing is lost; the agent tries again by itself.",
            ),
            Scope::ConnectionPoint(_) => self.notice(scope, "CONNECTION_POINT_SUSPENDED").says(
                format!("ION refuses several document types of this connection point: {}", trouble.text),
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
        found.unwrap_or_else(|| findings::away(&endpoint.name, &trouble.text))
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
                format!("ION refuses this document type: {}", trouble.text),
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
