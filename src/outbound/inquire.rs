//! Asking ION before sending: ping and the list of accepted documents (spec/ims.md §3, A1 and A3).
//!
//! Once before the first post of a connection point, before each probe of what ION suspended, and now and then. A
//! list that cannot be read means unknown, not empty. What both tables say, each without the other, is a finding, and so
//! is a certificate that nobody here knows.

use std::collections::BTreeSet;

use super::{Event, Outbound};
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::Answer;
use crate::domain::plan::AnswerClass;
use crate::domain::waiting::{Cause, Inquired, PointNumber, Scope};
use crate::ims::Accepted;

/// The list is asked again after this time while there is something to send.
const LIST_MS: i64 = 600_000;
/// Types that only ION lists are told one by one up to this.
const LISTED_ONLY: usize = 50;

impl Outbound {
    pub(super) fn start_inquiry(&mut self, number: PointNumber, now: i64) {
        let point = &self.points[usize::from(number)];
        if self.stopping || point.inquiring || !point.sends() {
            return;
        }
        let endpoint_open = self.scopes.lets_through(Scope::Endpoint(point.endpoint), now);
        let has_work = point.lanes.has_ready() || point.begun > 0;
        let list_due = point.settings.check_accepted
            && has_work
            && endpoint_open
            && (point.list.known.is_none() || point.list.asked_at + LIST_MS <= now);
        let asked = self.scopes.to_inquire(now).iter().any(|scope| concerns(*scope, number));
        if !list_due && !asked {
            return;
        }
        let client = self.endpoints[usize::from(point.endpoint)].client.clone();
        let logical_id = point.settings.logical_id.clone();
        self.point(number).inquiring = true;
        self.work.push(Box::pin(async move {
            let ping = client.ping().await;
            let accepted = client.accepted_documents(&logical_id).await;
            let shown = client.certificates_shown(&ping).await;
            Event::Inquired(number, ping, accepted, shown)
        }));
    }

    pub(super) fn inquired(
        &mut self,
        number: PointNumber,
        ping: &Answer,
        accepted: Accepted,
        certificates_shown: Option<String>,
    ) {
        let now = self.now();
        let point = self.point(number);
        point.inquiring = false;
        let settings = point.settings.clone();
        let before = point.list.known.take().flatten();
        point.list.asked_at = now;
        let refused = match &accepted {
            Accepted::Refused(answer) => Some(format!("the list of accepted documents: {}", said(answer))),
            Accepted::Listed(_) | Accepted::Unreadable(_) => None,
        };
        let listed = match accepted {
            Accepted::Listed(listed) => Some(listed),
            Accepted::Unreadable(_) | Accepted::Refused(_) => None,
        };
        let pinged = ping.meaning(|_| None).class == AnswerClass::Accepted;
        self.ping_notice(number, ping, pinged);
        self.certificate_notice(number, certificates_shown, pinged);
        if let Some(listed) = &listed {
            self.compare_back(number, listed);
        }
        if settings.check_accepted
            && let Some(listed) = &listed
        {
            for (document_type, document) in &settings.documents {
                if document.enabled && !document_type.follows_from_request() {
                    self.compare(number, document_type, listed.contains(&document_type.to_string()), now);
                }
            }
        }
        for scope in self.scopes.to_inquire(now).into_iter().filter(|scope| concerns(*scope, number)) {
            let document_type = match scope {
                Scope::DocumentType(_, of) => Some(self.point(number).type_name(of).to_owned()),
                Scope::Endpoint(_) | Scope::ConnectionPoint(_) | Scope::Lane(..) => None,
            };
            let is_listed =
                document_type.as_ref().zip(listed.as_ref()).map(|(name, listed)| listed.contains(name));
            let was_missing = document_type
                .as_ref()
                .zip(before.as_ref())
                .is_some_and(|(name, before)| !before.contains(name));
            let judged = DocumentType::parse(document_type.as_deref().unwrap_or_default())
                .is_none_or(|document_type| !document_type.follows_from_request());
            let result = match (is_listed, &refused) {
                (Some(true), _) if was_missing => Inquired::ListedAgain,
                (Some(false), _) if judged => {
                    Inquired::Bad("ION's list of accepted documents does not name it".into())
                }
                (_, Some(text)) => Inquired::Bad(text.clone()),
                _ if !pinged => Inquired::Bad(format!("ping: {}", said(ping))),
                _ => Inquired::Good,
            };
            self.scopes.inquired(scope, result, settings.backoff, Self::jitter(), now);
        }
        self.point(number).list.known = Some(listed);
    }

    /// A type that the table lists and ION does not waits; a type that ION lists again goes on.
    fn compare(&mut self, number: PointNumber, document_type: &DocumentType, is_listed: bool, now: i64) {
        let backoff = self.point(number).settings.backoff;
        let name = document_type.to_string();
        let scope = Scope::DocumentType(number, self.point(number).type_number(&name));
        if is_listed {
            if self.scopes.trouble(scope).is_some_and(|trouble| trouble.cause == Cause::NotAccepted) {
                self.scopes.well(scope);
            }
        } else {
            let text = "the Documents tab of the connection point does not list it".to_owned();
            self.scopes.not_accepted(scope, text, backoff, Self::jitter(), now);
        }
        let site = self.point(number).site;
        let point = self.point(number).name().to_owned();
        self.accepted_documents.push((
            site,
            point,
            document_type.verb.clone(),
            document_type.noun.clone(),
            Some(is_listed),
        ));
    }

    /// Types that ION takes and the table lacks: their rows stay 0 without a word.
    fn compare_back(&mut self, number: PointNumber, listed: &BTreeSet<String>) {
        let settings = self.point(number).settings.clone();
        let is_ours = |name: &str| {
            DocumentType::parse(name)
                .is_none_or(|it| it.follows_from_request() || settings.documents.contains_key(&it))
        };
        let only: BTreeSet<String> = match settings.check_accepted {
            true => listed.iter().filter(|name| !is_ours(name)).take(LISTED_ONLY).cloned().collect(),
            false => BTreeSet::new(),
        };
        let before = std::mem::replace(&mut self.point(number).listed_only, only.clone());
        let notice = |name: &String| {
            Notice::new("LISTED_IN_ION_ONLY", Severity::Warning, Some(&settings.name), name.clone())
        };
        self.notices.extend(before.difference(&only).map(|name| notice(name).clears()));
        self.notices.extend(only.iter().map(|name| {
            notice(name).says(
                "ION takes it from this connection point, but bodrelay_document does not list it: its rows stay 0",
                "Add it to bodrelay_document (direction 'out') if it is to be sent; else take it off the Documents tab.",
            )
        }));
    }

    /// A proxy that looks into TLS, or somebody who stands in between: what the server shows says which.
    fn certificate_notice(&mut self, number: PointNumber, shown: Option<String>, pinged: bool) {
        let endpoint = usize::from(self.point(number).endpoint);
        let notice =
            Notice::new("CERTIFICATE_UNKNOWN", Severity::Error, None, self.endpoints[endpoint].name.clone());
        if let Some(shown) = shown {
            self.notices.push(notice.says(
                format!("no issuer that this machine knows is behind the certificate; the server shows: {shown}"),
                "Get the certificate of the last issuer that is named, as PEM, from whoever runs it (a proxy of your own \
                 network?), and name the file in ca_file of this [[ion]]. If you do not know the issuer, somebody stands \
                 in between.",
            ));
        } else if pinged {
            self.notices.push(notice.clears());
        }
    }

    fn ping_notice(&mut self, number: PointNumber, ping: &Answer, pinged: bool) {
        let name = self.point(number).name().to_owned();
        let notice = Notice::new("INACTIVE_IN_ION", Severity::Error, Some(&name), "connection point");
        let inactive = matches!(ping, Answer::Http { status: 412 | 503, .. });
        if inactive {
            self.notices.push(notice.says(
                format!("ION answers, but says that it is not ready: ping gave {}", said(ping)),
                "Activate the data flow or the connection point in ION Desk. This is not a network problem: ION can \
                 be reached.",
            ));
        } else if pinged {
            self.notices.push(notice.clears());
        }
    }

    /// A suspended type whose wait is over and that has nothing in memory: parked rows are its probes.
    pub(super) fn start_probes(&mut self, number: PointNumber, now: i64) {
        /// Rows asked for: the first of them becomes the probe.
        const PROBES: i64 = 5;
        let due: Vec<_> = self
            .scopes
            .troubles()
            .filter_map(|(scope, trouble)| match scope {
                Scope::DocumentType(of, document_type) if of == number && trouble.not_before <= now => {
                    Some((document_type, trouble.not_before))
                }
                Scope::DocumentType(..)
                | Scope::Endpoint(_)
                | Scope::ConnectionPoint(_)
                | Scope::Lane(..) => None,
            })
            .collect();
        for (document_type, not_before) in due {
            let point = &mut self.points[usize::from(number)];
            let asked = point.probes_asked.insert(document_type, not_before) == Some(not_before);
            if asked || point.lanes.has_type(document_type) {
                continue;
            }
            let (journal, point_id) = (self.journal.clone(), point.point_id);
            let name = point.type_name(document_type).to_owned();
            self.work.push(Box::pin(async move {
                let parked = journal.parked(point_id, "suspended", name, PROBES).await;
                Event::Probes(number, parked.map(|rows| rows.into_iter().map(|row| row.entry_id).collect()))
            }));
        }
    }
}

fn concerns(scope: Scope, number: PointNumber) -> bool {
    match scope {
        Scope::ConnectionPoint(point) | Scope::DocumentType(point, _) => point == number,
        Scope::Endpoint(_) | Scope::Lane(..) => false,
    }
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Http { status, text, .. } if !text.is_empty() => format!("HTTP {status}: {text}"),
        Answer::Http { status, .. } => format!("HTTP {status}"),
        Answer::NotConnected { .. } | Answer::NoToken { .. } | Answer::Unanswered { .. } => {
            answer.text().to_owned()
        }
    }
}
