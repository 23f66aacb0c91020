//! Judges an entry: what message it is, and whether it is sent, fails, or waits for somebody (design.md §7).
//!
//! Pure and total: every entry gets a verdict, an identity and a message id, and whatever could be told of it even
//! where it fails. The checks themselves are in `checks`, each with the code and words of its own failure.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::checks::{self, Named};
use super::envelope::{self, Envelope};
use super::headers::{self, Headers};
use super::payload::{self, Inflated};
use super::text;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::ids::{Digest, DocumentType, IdentityDigest, LaneKey, derived_message_id};
use crate::domain::message::{Encoding, Entry, Facts, Judged, Parameters, Parcel, Park, Verdict, Warning};
use crate::domain::outside::printable;
use crate::domain::plan::{ConnectionPoint, Document, OrderBy, WireEncoding};

/// ION crops a longer message id, and then no repeat can be told (spec/ims.md §5.1).
const MESSAGE_ID_CHARACTERS: usize = 128;

/// Judges one entry by the settings of its connection point.
pub fn judge(entry: &Entry, point: &ConnectionPoint) -> Judged {
    let mut warnings = Vec::new();
    let headers = Headers::of(entry, &mut warnings);
    let header_type = headers.get("BODType").and_then(DocumentType::parse);
    let settings = header_type.as_ref().and_then(|document_type| point.documents.get(document_type));
    let limit = settings.map_or(point.max_document_bytes, |settings| settings.max_document_bytes);

    let mut opened = Opened::of(entry, &headers, limit, &mut warnings);
    let identity = IdentityDigest::of(&opened.digest, &entry.created, &entry.headers);
    let (message_id, message_id_from_header) = message_id(entry, point, &headers, &identity, &mut warnings);

    // A type that is not sent is not read either, unless only the document can tell its type or its lane.
    let missing = headers.missing();
    let wanted = !missing.is_empty() || header_type.is_none() || settings.is_some_and(|known| known.enabled);
    let path = settings.and_then(|settings| settings.document_id_path.as_deref());
    let envelope = if wanted { opened.read(path) } else { None };
    let document_type = header_type.or_else(|| {
        envelope.as_ref().map(|envelope| DocumentType::new(envelope.verb.as_str(), envelope.noun.as_str()))
    });
    let case = Case {
        point,
        settings: document_type.as_ref().and_then(|document_type| point.documents.get(document_type)),
        named: Named::of(&headers, envelope.as_ref()),
        headers,
        envelope,
        document_type,
        message_id,
    };
    let verdict = case.verdict(missing, opened.failure.take(), &opened, &mut warnings);
    Judged {
        entry_id: entry.entry_id,
        priority: entry.priority,
        identity,
        message_id_from_header,
        facts: Arc::new(case.facts(entry, &opened)),
        lane: case.lane(),
        verdict,
        warnings,
        message_id: case.message_id,
        document_type: case.document_type,
    }
}

/// The failure of an entry whose required headers did not come within the grace.
///
/// `names` are those of `Park::HeadersMissing`; `any_header` tells whether the entry has any header at all.
pub fn headers_missing(names: &[&str], any_header: bool) -> Failure {
    if any_header {
        let text = format!("required headers are missing: {}", names.join(", "));
        return Failure::new(FailureCode::HeaderMissing, text);
    }
    Failure::new(FailureCode::NoHeaders, "the entry has no headers at all in COR_OUTBOX_HEADERS")
}

/// The application's message id where it gave a usable one, else the derived one; and whether it is the former.
fn message_id(
    entry: &Entry,
    point: &ConnectionPoint,
    headers: &Headers<'_>,
    identity: &IdentityDigest,
    warnings: &mut Vec<Warning>,
) -> (String, bool) {
    let given = headers.get("MessageId");
    if let Some(given) = given {
        let acts = matches!(printable(given), Cow::Owned(_));
        if !acts && given.chars().count() <= MESSAGE_ID_CHARACTERS {
            return (given.to_owned(), true);
        }
        let (code, what) = match acts {
            true => {
                ("MESSAGE_ID_UNFIT", "holds control characters, which act on screens and in logs".to_owned())
            }
            false => {
                let what = format!("has more than {MESSAGE_ID_CHARACTERS} characters, which ION crops");
                ("MESSAGE_ID_TOO_LONG", what)
            }
        };
        warnings.push(Warning {
            code,
            text: format!("the header MessageId {what}; a derived id is used instead"),
        });
    }
    let (tenant, logical_id) = (&point.tenant_id, &point.logical_id);
    (derived_message_id(tenant, logical_id, entry.entry_id, &entry.created, identity), false)
}

/// The payload of an entry, as far as it could be opened.
struct Opened {
    /// As stored; the declaration of text columns already says UTF-8.
    stored: Bytes,
    document: Bytes,
    /// The stored bytes can go out as deflated ones.
    is_plain_zlib: bool,
    is_deflated: bool,
    digest: Digest,
    failure: Option<Failure>,
}

impl Opened {
    fn of(entry: &Entry, headers: &Headers<'_>, limit: usize, warnings: &mut Vec<Warning>) -> Self {
        let payload = entry.payload.as_ref();
        let stored = match payload {
            None => Bytes::new(),
            Some(payload) if payload.is_text => text::declare_utf8(&payload.bytes),
            Some(payload) => payload.bytes.clone(),
        };
        let compression = headers.get("Compression");
        let is_deflated = compression.is_some_and(|value| value.eq_ignore_ascii_case("DEFLATE"));
        let mut inflated = None;
        let failure = if let Some(why) = &entry.unreadable {
            Some(Failure::new(FailureCode::RowUnreadable, format!("the database cannot give the row: {why}")))
        } else if stored.is_empty() {
            let what = if payload.is_none() { "C_XML is NULL" } else { "C_XML is empty" };
            Some(Failure::new(FailureCode::EmptyPayload, what))
        } else if stored.len() > limit {
            let text = format!("C_XML has {} bytes, {limit} are allowed", stored.len());
            Some(Failure::new(FailureCode::TooLarge, text))
        } else if let Some(other) = compression.filter(|_| !is_deflated) {
            Some(headers::invalid("Compression", other, "DEFLATE"))
        } else if is_deflated {
            payload::inflate_column(&stored, limit).map(|done| inflated = Some(done)).err()
        } else {
            None
        };
        let Inflated { document, is_plain_zlib, trailing_bytes } = inflated.unwrap_or_else(|| Inflated {
            document: stored.clone(),
            is_plain_zlib: false,
            trailing_bytes: 0,
        });
        if trailing_bytes > 0 {
            let text = format!("{trailing_bytes} bytes after the end of the deflated document; not sent");
            warnings.push(Warning { code: "TRAILING_BYTES", text });
        }
        let digest = Digest::of(&document);
        Self { stored, document, is_plain_zlib, is_deflated, digest, failure }
    }

    /// Reads the envelope, unless the payload itself has failed already; notes why where it cannot be read.
    fn read(&mut self, path: Option<&str>) -> Option<Envelope> {
        if self.failure.is_some() {
            return None;
        }
        envelope::read(&self.document, path).map_err(|failure| self.failure = Some(failure)).ok()
    }

    /// The bytes to post, and how they are encoded.
    fn encoded(&self, wish: WireEncoding) -> Result<(Bytes, Encoding), Failure> {
        match (wish, self.is_deflated) {
            (WireEncoding::None, _) | (WireEncoding::AsIs, false) => {
                Ok((self.document.clone(), Encoding::None))
            }
            (_, true) if self.is_plain_zlib => Ok((self.stored.clone(), Encoding::Deflate)),
            (WireEncoding::AsIs | WireEncoding::Deflate, _) => {
                payload::deflate(&self.document).map(|bytes| (bytes, Encoding::Deflate)).map_err(|error| {
                    let text = format!("the document cannot be deflated: {error}");
                    Failure::new(FailureCode::DoesNotInflate, text)
                })
            }
        }
    }
}

/// All that is known of an entry when its verdict is due.
struct Case<'e> {
    point: &'e ConnectionPoint,
    /// `None`: nobody listed its type.
    settings: Option<&'e Document>,
    headers: Headers<'e>,
    envelope: Option<Envelope>,
    document_type: Option<DocumentType>,
    named: Named,
    message_id: String,
}

impl Case<'_> {
    fn verdict(
        &self,
        missing: Vec<&'static str>,
        broken: Option<Failure>,
        opened: &Opened,
        warnings: &mut Vec<Warning>,
    ) -> Verdict {
        if !missing.is_empty() {
            return Verdict::Park(Park::HeadersMissing(missing));
        }
        let (Some(settings), Some(document_type)) = (self.settings, &self.document_type) else {
            if let Some(value) =
                self.headers.get("BODType").filter(|value| DocumentType::parse(value).is_none())
            {
                let text = headers::invalid("BODType", value, "Verb.Noun").text;
                warnings.push(Warning { code: "BODTYPE_MALFORMED", text });
            }
            return Verdict::Park(Park::NotListed);
        };
        if !settings.enabled {
            return Verdict::Park(Park::Disabled);
        }
        match self.parcel(settings, document_type, broken, opened, warnings) {
            Ok(parcel) => Verdict::Send(Box::new(parcel)),
            Err(failure) => Verdict::Fail(failure),
        }
    }

    fn parcel(
        &self,
        settings: &Document,
        document_type: &DocumentType,
        broken: Option<Failure>,
        opened: &Opened,
        warnings: &mut Vec<Warning>,
    ) -> Result<Parcel, Failure> {
        let headers = &self.headers;
        let envelope = match (broken, &self.envelope) {
            (None, Some(envelope)) => envelope,
            (Some(failure), _) => return Err(failure),
            (None, None) => return Err(Failure::new(FailureCode::NotXml, "the document was not read")),
        };
        if let Some(failure) = &headers.flaw {
            return Err(failure.clone());
        }
        // The listing may have had another limit than the connection point, where only the document told the type.
        checks::size(opened.document.len(), settings.max_document_bytes)?;
        checks::namespaces(envelope, settings.namespace.as_deref())?;
        checks::document_type(headers, envelope)?;
        checks::identity(headers, envelope)?;
        checks::logical_ids(headers, envelope)?;
        checks::custom_headers(headers)?;
        let parameters = self.parameters(document_type, envelope)?;
        checks::lengths(headers, envelope, &parameters)?;
        let (payload, encoding) = opened.encoded(self.point.encoding)?;
        checks::warn(headers, envelope, self.point, settings, &self.named, opened.document.len(), warnings);
        Ok(Parcel { parameters: Parameters { encoding, ..parameters }, payload })
    }

    fn parameters(&self, document_type: &DocumentType, envelope: &Envelope) -> Result<Parameters, Failure> {
        let headers = &self.headers;
        let text = |key| headers.get(key).map(str::to_owned);
        let instances = i64::try_from(envelope.instances).ok().filter(|&count| count > 1);
        let custom =
            headers.custom.iter().map(|(name, value)| (format!("custom_{name}"), (*value).to_owned()));
        Ok(Parameters {
            document_name: document_type.to_string(),
            message_id: self.message_id.clone(),
            from_logical_id: self.point.logical_id.clone(),
            to_logical_id: headers.get("ToLogicalId").unwrap_or_default().to_owned(),
            encoding: Encoding::None,
            character_set: "UTF-8".to_owned(),
            accounting_entity: self.named.accounting_entity.clone(),
            location: self.named.location.clone(),
            document_id: self.named.document_id.clone(),
            variation_id: headers.integer("VariationId")?.or(self.named.variation_id),
            revision_id: self.named.revision_id.clone(),
            batch_id: text("BatchId"),
            batch_sequence: headers.integer("BatchSequence")?,
            batch_size: headers.integer("BatchSize")?,
            batch_revision: headers.integer("BatchRevision")?,
            batch_abort_indicator: headers.flag("BatchAbortIndicator")?,
            instances: headers.instances()?.or(instances),
            source: text("Source"),
            source_publication_date: text(headers::SOURCE_PUBLICATION_DATE),
            custom: custom.collect(),
        })
    }

    /// The lane (design.md §4). The verb is no part of it.
    fn lane(&self) -> Option<LaneKey> {
        match self.settings.map_or(OrderBy::Document, |settings| settings.order_by) {
            OrderBy::None => None,
            OrderBy::ConnectionPoint => Some(LaneKey::of(&["cp"])),
            OrderBy::Document => {
                let noun = &self.document_type.as_ref()?.noun;
                let id = self.named.lane_document_id.as_deref()?;
                let entity = self.named.lane_entity.as_deref().unwrap_or_default();
                let location = self.named.lane_location.as_deref().unwrap_or_default();
                Some(LaneKey::of(&[noun, entity, location, id]))
            }
        }
    }

    /// Columns of the message log, each cut to what its column takes (`bodrelay_message_log`).
    fn facts(&self, entry: &Entry, opened: &Opened) -> Facts {
        let headers = &self.headers;
        let has_payload = entry.payload.is_some();
        let document_type = self.document_type.as_ref();
        Facts {
            resend_of: None,
            verb: cut(document_type.map(|document_type| document_type.verb.as_str()), 30),
            noun: cut(document_type.map(|document_type| document_type.noun.as_str()), 100),
            document_id: cut(self.named.document_id.as_deref(), 100),
            accounting_entity: cut(self.named.accounting_entity.as_deref(), 22),
            document_location: cut(self.named.location.as_deref(), 22),
            revision_id: cut(self.named.revision_id.as_deref(), 22),
            variation_id: self.named.variation_id,
            batch_id: cut(headers.get("BatchId"), 250),
            batch_sequence: headers.integer("BatchSequence").ok().flatten(),
            to_logical_id: cut(headers.get("ToLogicalId"), 250),
            document_bytes: i64::try_from(opened.document.len()).unwrap_or(i64::MAX),
            digest: has_payload.then(|| opened.digest.to_string()),
            created_at: entry.created_at,
        }
    }
}

fn cut(value: Option<&str>, characters: usize) -> Option<String> {
    value.map(|value| value.chars().take(characters).collect())
}
