//! The identity that a BODID of the form `infor-nid:…` carries (spec/bod.md §3), read leniently.

use super::wellformed::filled;

/// The parts of `infor-nid:<tenant>:<entity>:<location>:<document id>:<revision>?<Noun>&verb=<Verb>…`. Empty and
/// blank parts are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InforNid {
    pub tenant: Option<String>,
    pub accounting_entity: Option<String>,
    pub location: Option<String>,
    pub document_id: Option<String>,
    pub revision_id: Option<String>,
    pub noun: Option<String>,
    pub verb: Option<String>,
    pub variation_id: Option<String>,
}

impl InforNid {
    /// `None` for every other BODID: those are opaque.
    pub fn parse(bod_id: &str) -> Option<Self> {
        let rest = bod_id.strip_prefix("infor-nid:")?;
        // A document id may hold '?' and ':', what follows it may not.
        let (place, query) = rest.rsplit_once('?').unwrap_or((rest, ""));
        let mut nid = Self::default();
        let mut parts = place.splitn(4, ':');
        nid.tenant = parts.next().and_then(filled);
        nid.accounting_entity = parts.next().and_then(filled);
        nid.location = parts.next().and_then(filled);
        let document = parts.next().unwrap_or_default();
        let (document_id, revision_id) = document.rsplit_once(':').unwrap_or((document, ""));
        nid.document_id = filled(document_id);
        nid.revision_id = filled(revision_id);
        for part in query.split('&') {
            match part.split_once('=') {
                None if nid.noun.is_none() => nid.noun = filled(part),
                Some((name, value)) if name.eq_ignore_ascii_case("verb") => nid.verb = filled(value),
                Some((name, value)) if name.eq_ignore_ascii_case("variationID") => {
                    nid.variation_id = filled(value);
                }
                _ => {}
            }
        }
        Some(nid)
    }
}
