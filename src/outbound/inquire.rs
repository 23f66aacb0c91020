//! Asking ION before sending: ping and the list of accepted documents (spec/ims.md §3, A1 and A3).
//!
//! Once before the first post of a connection point, before each probe of what ION suspended, and now and then. A
//! list that cannot be read means unknown, not empty. What the answers mean is said in `ims::findings`; what was found is
//! asked again until it is over, also where nothing is to be sent meanwhile.

use std::collections::BTreeSet;

use super::{Event, Outbound};
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::Answer;
use crate::domain::plan::{AnswerClass, SendMode};
use crate::domain::waiting::{Cause, Inquired, PointNumber, Scope};
use crate::ims::findings::{self, said};
use crate::ims::{Accepted, Client};

/// ION is asked again after this time while there is something to send, or something was found.
const LIST_MS: i64 = 600_000;
/// The same where both hold.
const FOUND_MS: i64 = 60_000;
/// Types that only ION lists are told one by one up to this.
const LISTED_ONLY: usize = 50;

/// What ION answered.
pub struct Inquiry {
    ping: Answer,
    accepted: Accepted,
    /// `None`: not asked, as ping said enough.
    versions: Option<Result<Vec<String>, Answer>>,
    certificates_shown: Option<String>,
}

impl Inquiry {
    async fn make(client: &Client, logical_id: &str) -> Self {
        let ping = client.ping().await;
        let certificates_shown = client.certificates_shown(&ping).await;
        // Who was not reached, or gave no token, would say so once more; and the number of tokens asked for counts.
        let accepted = match &ping {
            Answer::Http { .. } => client.accepted_documents(logical_id).await,
            Answer::NotConnected { .. } | Answer::NoToken { .. } | Answer::Unanswered { .. } => {
                Accepted::Refused(ping.clone())
            }
        };
        let versions = match is_good(&ping) {
            true => Some(client.versions().await),
            false => None,
        };
        Self { ping, accepted, versions, certificates_shown }
    }
}

impl Outbound {
    pub(super) fn start_inquiry(&mut self, number: PointNumber, now: i64) {
        let point = &self.points[usize::from(number)];
        if self.stopping || point.inquiring || !point.sends() {
            return;
        }
        let endpoint_open = self.scopes.lets_through(Scope::Endpoint(point.endpoint), now);
        let has_work = point.lanes.has_ready() || point.begun > 0;
        let every = if has_work && point.list.has_found { FOUND_MS } else { LIST_MS };
        let list_due = point.settings.check_accepted
            && (has_work || point.list.has_found)
            && endpoint_open
            && (point.list.known.is_none() || point.list.asked_at + every <= now);
        let asked = self.scopes.to_inquire(now).iter().any(|scope| concerns(*scope, number));
        if !list_due && !asked {
            return;
        }
        let client = self.endpoints[usize::from(point.endpoint)].client.clone();
        let logical_id = point.settings.logical_id.clone();
        self.point(number).inquiring = true;
        self.work.push(Box::pin(async move {
            Event::Inquired(number, Box::new(Inquiry::make(&client, &logical_id).await))
        }));
    }

    pub(super) fn inquired(&mut self, number: PointNumber, inquiry: Inquiry) {
        let now = self.now();
        let has_found = self.tell_endpoint(number, &inquiry) | self.tell_point(number, &inquiry);
        let Inquiry { ping, accepted, .. } = inquiry;
        let point = self.point(number);
        point.inquiring = false;
        let settings = point.settings.clone();
        let before = point.list.known.take().flatten();
        point.list.asked_at = now;
        point.list.has_found = has_found;
        let listed = match accepted {
            Accepted::Listed(listed) => Some(listed),
            Accepted::Unreadable(_) | Accepted::Refused(_) => None,
        };
        let last_accepted = point.figures.last_accepted_at.map(|at| at.timestamp_millis());
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
            // A list that cannot be read says nothing, and what passed meanwhile says more than a ping: one probe shows.
            let since = self.scopes.trouble(scope).map(|trouble| trouble.since);
            let is_there = is_good(&ping) || last_accepted > since;
            let result = match is_listed {
                Some(true) if was_missing => Inquired::ListedAgain,
                Some(false) if judged => {
                    Inquired::Bad("ION's list of accepted documents does not name it".into())
                }
                _ if !is_there => Inquired::Bad(format!("ping: {}", said(&ping))),
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
        let only: BTreeSet<String> = match settings.check_accepted {
            true => findings::listed_only(&settings, listed).take(LISTED_ONLY).cloned().collect(),
            false => BTreeSet::new(),
        };
        let before = std::mem::replace(&mut self.point(number).listed_only, only.clone());
        let notice = |name: &String| findings::only_in_ion(&settings.name, name);
        self.notices.extend(before.difference(&only).map(|name| notice(name).clears()));
        self.notices.extend(only.iter().map(notice));
    }

    /// What ping says of the endpoint; `true`: something is wrong.
    fn tell_endpoint(&mut self, number: PointNumber, inquiry: &Inquiry) -> bool {
        let endpoint_number = self.point(number).endpoint;
        let endpoint = &mut self.endpoints[usize::from(endpoint_number)];
        let name = endpoint.name.clone();
        let found = findings::of_endpoint(&name, &inquiry.ping);
        let has_found = found.is_some();
        // Whether it can be reached shows at the posts, and they are more than pings: a ping that nobody answered says
        // nothing, and takes nothing back.
        if found.as_ref().is_none_or(|notice| notice.code != "ION_UNREACHABLE") {
            endpoint.by_ping = found.as_ref().map(|notice| notice.code);
            self.endpoint_changed(endpoint_number, found);
        }
        if let Some(shown) = &inquiry.certificates_shown {
            self.notices.push(findings::certificate_unknown(&name, shown));
        } else if is_good(&inquiry.ping) {
            self.notices.push(findings::certificate_unknown(&name, "").clears());
        }
        match &inquiry.versions {
            Some(Err(answer)) => self.notices.push(findings::versions_unknown(&name, answer)),
            Some(Ok(_)) => self.notices.push(findings::versions_unknown(&name, &inquiry.ping).clears()),
            None => {}
        }
        has_found
    }

    /// What the other answers say of the connection point; `true`: something is wrong.
    fn tell_point(&mut self, number: PointNumber, inquiry: &Inquiry) -> bool {
        let settings = self.point(number).settings.clone();
        if !settings.check_accepted {
            return false;
        }
        let versions = inquiry.versions.as_ref().and_then(|it| it.as_ref().ok());
        let found: Vec<Notice> = findings::of_list(&settings, &inquiry.accepted)
            .into_iter()
            .chain(versions.and_then(|known| findings::of_versions(&settings, known)))
            .collect();
        // What was not asked, or not answered, is as it was.
        let asked = |code: &&str| match *code {
            "VERSION_NOT_SUPPORTED" => versions.is_some(),
            _ => inquiry.accepted.is_of_ion(),
        };
        for code in findings::POINT_CODES.into_iter().filter(asked) {
            if !found.iter().any(|notice| notice.code == code) {
                self.notices.push(findings::of_point(&settings.name, code).clears());
            }
        }
        // What is only to be known would otherwise cost an idle agent tokens for as long as it holds.
        let has_found = found.iter().any(|notice| notice.severity != Severity::Info);
        self.notices.extend(found);
        has_found
    }

    /// A suspended type of which memory has no document that was not refused: parked rows are its probes.
    pub(super) fn start_probes(&mut self, number: PointNumber, now: i64) {
        /// Rows asked for: one of them becomes the probe.
        const PROBES: i64 = 5;
        /// None of them may have become one: they are gone, or wait for others.
        const ASK_AGAIN_MS: i64 = 10_000;
        if self.point(number).settings.send_mode != SendMode::On {
            return;
        }
        let suspended: Vec<_> = self
            .scopes
            .wide_troubles()
            .filter_map(|(scope, trouble)| match scope {
                Scope::DocumentType(of, document_type) if of == number && !trouble.is_probing() => {
                    Some((document_type, trouble.probes_last()))
                }
                Scope::DocumentType(..)
                | Scope::Endpoint(_)
                | Scope::ConnectionPoint(_)
                | Scope::Lane(..) => None,
            })
            .collect();
        for (document_type, last) in suspended {
            let point = &mut self.points[usize::from(number)];
            let asked = point.probes_asked.get(&document_type).is_some_and(|at| now < at + ASK_AGAIN_MS);
            if asked || point.lanes.has_fresh(document_type) || point.is_admitting_probe(document_type) {
                continue;
            }
            point.probes_asked.insert(document_type, now);
            let (journal, point_id) = (self.journal.clone(), point.point_id);
            let name = point.type_name(document_type).to_owned();
            let refused = self.scopes.refused_lanes(number);
            self.work.push(Box::pin(async move {
                Event::Probes(number, journal.parked_probes(point_id, name, refused, last, PROBES).await)
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

/// It is there and lets the credential in.
fn is_good(ping: &Answer) -> bool {
    ping.meaning(|_| None).class == AnswerClass::Accepted
}
