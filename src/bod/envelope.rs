//! One pass over a document that proves it well-formed and takes out what an envelope says (spec/bod.md §1–5).
//!
//! `cut` cuts the document into tags and text; what they must obey is in `wellformed`. No tree is built and no element
//! costs an allocation: each open element is one `Place`, and only the few elements that matter have one of their
//! own. Well-formedness is told before anything that is wrong with the envelope.

use super::cut::{Cutter, Piece, Tag};
use super::nid::InforNid;
use super::text;
use super::wellformed::{self, Flaw, Scope, filled, shown, trim};
use crate::domain::failure::{Failure, FailureCode};

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 256;

/// What the envelope of a document says. Values are trimmed; empty ones are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Local name of the root element: verb and noun written together.
    pub root: String,
    pub verb: String,
    pub noun: String,
    pub namespaces: Namespaces,
    pub has_application_area: bool,
    /// `ApplicationArea/Sender/LogicalID`.
    pub sender_logical_id: Option<String>,
    pub creation_date_time: Option<String>,
    pub bod_id: Option<String>,
    /// The identity in the BODID, where it is of the form `infor-nid:…`.
    pub nid: Option<InforNid>,
    /// `TenantID`, `AccountingEntityID` and `LocationID` of the verb element.
    pub tenant: Option<String>,
    pub accounting_entity: Option<String>,
    pub location: Option<String>,
    /// How many noun elements there are, at least 1.
    pub instances: usize,
    /// What the first noun says of itself.
    pub document: DocumentIdentity,
    /// What is at `document_id_path`, the first time it comes.
    pub path_document_id: Option<String>,
}

/// Namespaces of the elements that make the envelope; `None`: in no namespace, or not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub root: Option<String>,
    pub application_area: Option<String>,
    pub data_area: Option<String>,
    pub verb: Option<String>,
    pub noun: Option<String>,
}

/// `DocumentID/ID` of the first noun, directly in it or in its header (spec/bod.md §5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentIdentity {
    pub id: Option<String>,
    pub accounting_entity: Option<String>,
    pub location: Option<String>,
    /// Logical id of the system that gave the id.
    pub lid: Option<String>,
    pub variation_id: Option<String>,
    /// `RevisionID` beside `DocumentID`, or else in it.
    pub revision_id: Option<String>,
}

/// Reads a document of UTF-8 bytes, a byte order mark allowed.
///
/// `document_id_path` names the element (or, as last step, the `@attribute`) that holds the document id, without
/// the root: `DataArea/SalesOrder/SalesOrderHeader/OrderID`. Steps are local names.
pub fn read(document: &[u8], document_id_path: Option<&str>) -> Result<Envelope, Failure> {
    Pass::over(document, document_id_path).map_err(|flaw| flaw.into_failure(document))
}

/// Where an open element stands in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    ApplicationArea,
    Sender,
    DataArea,
    Verb,
    Noun,
    /// A noun after the first: counted, its name compared, not read.
    LaterNoun,
    NounHeader,
    DocumentId,
    Value(Field),
    Other,
}

/// The elements whose text is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    SenderLogicalId,
    CreationDateTime,
    BodId,
    Tenant,
    AccountingEntity,
    Location,
    DocumentId,
    RevisionBeside,
    RevisionWithin,
}

/// The element whose text is being gathered.
struct Gathered {
    depth: usize,
    field: Option<Field>,
    is_path: bool,
    text: String,
}

/// `document_id_path` while the pass goes down and up along it.
struct Path<'p> {
    steps: Vec<&'p str>,
    attribute: Option<&'p str>,
    /// How many steps the open elements match.
    matched: usize,
}

/// The state of one pass.
struct Pass<'a, 'p> {
    /// The document without a byte order mark.
    text: &'a str,
    envelope: Envelope,
    places: Vec<Place>,
    scope: Scope<'a>,
    path: Option<Path<'p>>,
    gathered: Option<Gathered>,
    revision_within: Option<String>,
    root: Option<(&'a str, usize)>,
    data_area_seen: bool,
    verb: Option<&'a str>,
    noun: Option<&'a str>,
    noun_has_children: bool,
    /// The first thing wrong with the envelope, told if the document is well-formed otherwise.
    misfit: Option<Flaw>,
}

impl<'a, 'p> Pass<'a, 'p> {
    fn over(document: &'a [u8], document_id_path: Option<&'p str>) -> Result<Envelope, Flaw> {
        let whole = text::utf8(document)?;
        let text = whole.strip_prefix('\u{FEFF}').unwrap_or(whole);
        let skipped = whole.len() - text.len();
        if trim(text).is_empty() {
            return Err(Flaw::new(FailureCode::EmptyPayload, 0, "the document is empty"));
        }
        if !trim(text).starts_with('<') {
            return Err(Flaw::new(FailureCode::NotXml, skipped, "the document does not begin with '<'"));
        }
        if let Some((at, character)) = wellformed::forbidden_character(text) {
            let what = format!("the character U+{:04X} is not allowed in XML", u32::from(character));
            return Err(Flaw::malformed(at + skipped, what));
        }
        let mut pass = Pass {
            text,
            envelope: Envelope::default(),
            places: Vec::with_capacity(16),
            scope: Scope::default(),
            path: document_id_path.map(Path::new),
            gathered: None,
            revision_within: None,
            root: None,
            data_area_seen: false,
            verb: None,
            noun: None,
            noun_has_children: false,
            misfit: None,
        };
        pass.events().map_err(|mut flaw| {
            flaw.at += skipped;
            flaw
        })?;
        Ok(pass.envelope)
    }

    fn events(&mut self) -> Result<(), Flaw> {
        let mut cutter = Cutter::new(self.text);
        loop {
            let start = cutter.at;
            match cutter.next(&mut self.scope.attributes)? {
                None => break,
                Some(Piece::Start(tag)) => {
                    self.open(start, &tag)?;
                    if tag.is_empty {
                        self.close();
                    }
                }
                Some(Piece::End) => self.close(),
                Some(Piece::Text(text)) => self.characters(start, text)?,
                Some(Piece::CData(_)) if self.places.is_empty() => {
                    return Err(Flaw::malformed(start, "CDATA outside of the root element"));
                }
                Some(Piece::CData(text)) => self.gather(text),
                Some(Piece::Reference(name)) => self.reference(start, name)?,
                Some(Piece::Aside) => {}
            }
        }
        self.finish()
    }

    fn open(&mut self, start: usize, tag: &Tag<'a>) -> Result<(), Flaw> {
        let Tag { name, prefix, local, attributes_at, .. } = *tag;
        if self.places.len() == MAX_DEPTH {
            return Err(Flaw::malformed(start, format!("elements are nested deeper than {MAX_DEPTH}")));
        }
        if self.places.is_empty() && self.root.replace((local, start)).is_some() {
            let what = format!("a second root element, <{}>", shown(name));
            return Err(Flaw::malformed(start, what));
        }
        let depth = self.places.len() + 1;
        self.scope.enter(prefix, attributes_at, depth)?;
        let place = self.place(local, start);
        self.note_namespace(place, prefix, start);
        self.places.push(place);
        let is_path = self.follow_path(local, depth);
        let field = match place {
            Place::Value(field) => Some(field),
            _ => None,
        };
        if field.is_some() || is_path {
            self.gathered = Some(Gathered { depth, field, is_path, text: String::new() });
        }
        Ok(())
    }

    /// What an element is, given the one that it is in.
    fn place(&mut self, local: &'a str, start: usize) -> Place {
        let Some(parent) = self.places.last() else { return Place::Root };
        match (parent, local) {
            // Nearly all of them.
            (Place::Other, _) => Place::Other,
            (Place::Root, "ApplicationArea") => self.only_one(Place::ApplicationArea, start),
            (Place::Root, "DataArea") => self.only_one(Place::DataArea, start),
            (Place::ApplicationArea, "Sender") => Place::Sender,
            (Place::ApplicationArea, "CreationDateTime") => Place::Value(Field::CreationDateTime),
            (Place::ApplicationArea, "BODID") => Place::Value(Field::BodId),
            (Place::Sender, "LogicalID") => Place::Value(Field::SenderLogicalId),
            (Place::DataArea, _) => self.verb_or_noun(local, start),
            (Place::Verb, "TenantID") => Place::Value(Field::Tenant),
            (Place::Verb, "AccountingEntityID") => Place::Value(Field::AccountingEntity),
            (Place::Verb, "LocationID") => Place::Value(Field::Location),
            (Place::Noun | Place::NounHeader, "DocumentID") => {
                self.noun_has_children = true;
                Place::DocumentId
            }
            (Place::Noun | Place::NounHeader, "RevisionID") => Place::Value(Field::RevisionBeside),
            // A line of a document has a DocumentID of its own at times, hence not any child.
            (Place::Noun, _) if !std::mem::replace(&mut self.noun_has_children, true) => Place::NounHeader,
            (Place::Noun, _) if local.ends_with("Header") => Place::NounHeader,
            (Place::DocumentId, "RevisionID") => Place::Value(Field::RevisionWithin),
            (Place::DocumentId, "ID") if self.envelope.document == DocumentIdentity::default() => {
                self.note_identity();
                Place::Value(Field::DocumentId)
            }
            _ => Place::Other,
        }
    }

    fn only_one(&mut self, place: Place, start: usize) -> Place {
        let (seen, name) = match place {
            Place::ApplicationArea => (&mut self.envelope.has_application_area, "ApplicationArea"),
            _ => (&mut self.data_area_seen, "DataArea"),
        };
        if std::mem::replace(seen, true) {
            self.note_misfit(FailureCode::RootMismatch, start, format!("a second {name} in the document"));
            return Place::Other;
        }
        place
    }

    fn verb_or_noun(&mut self, local: &'a str, start: usize) -> Place {
        if self.verb.is_none() {
            self.verb = Some(local);
            return Place::Verb;
        }
        self.envelope.instances += 1;
        let Some(first) = self.noun else {
            self.noun = Some(local);
            return Place::Noun;
        };
        if first != local {
            let what = format!("the nouns {} and {} in one document", shown(first), shown(local));
            self.note_misfit(FailureCode::TwoNounTypes, start, what);
        }
        Place::LaterNoun
    }

    fn note_misfit(&mut self, code: FailureCode, start: usize, what: String) {
        self.misfit.get_or_insert_with(|| Flaw::new(code, start, what));
    }

    fn note_namespace(&mut self, place: Place, prefix: &str, start: usize) {
        let namespaces = &mut self.envelope.namespaces;
        let noted = match place {
            Place::Root => &mut namespaces.root,
            Place::ApplicationArea => &mut namespaces.application_area,
            Place::DataArea => &mut namespaces.data_area,
            Place::Verb => &mut namespaces.verb,
            Place::Noun => &mut namespaces.noun,
            Place::LaterNoun if self.scope.namespace(prefix) != namespaces.noun.as_deref() => {
                let what = "two nouns of one name, but of different namespaces, in one document";
                return self.note_misfit(FailureCode::TwoNounTypes, start, what.to_owned());
            }
            _ => return,
        };
        *noted = self.scope.namespace(prefix).map(str::to_owned);
    }

    /// Takes the attributes of `DocumentID/ID`.
    fn note_identity(&mut self) {
        let attribute = |name| self.scope.attribute(name).and_then(|value| filled(&value));
        self.envelope.document = DocumentIdentity {
            id: None,
            accounting_entity: attribute("accountingEntity"),
            location: attribute("location"),
            lid: attribute("lid"),
            variation_id: attribute("variationID"),
            revision_id: None,
        };
    }

    /// Goes one step down the path with the element just opened; true where its text is what the path names.
    fn follow_path(&mut self, local: &str, depth: usize) -> bool {
        let Some(path) = &mut self.path else { return false };
        // The root is at depth 1 and has no step.
        if depth < 2 || path.matched != depth - 2 || path.steps.get(depth - 2) != Some(&local) {
            return false;
        }
        path.matched = depth - 1;
        if path.matched < path.steps.len() || self.envelope.path_document_id.is_some() {
            return false;
        }
        let Some(name) = path.attribute else { return true };
        self.envelope.path_document_id = self.scope.attribute(name).and_then(|value| filled(&value));
        false
    }

    fn close(&mut self) {
        let depth = self.places.len();
        self.places.pop();
        self.scope.leave(depth);
        if let Some(path) = &mut self.path {
            path.matched = path.matched.min(depth.saturating_sub(2));
        }
        if self.gathered.as_ref().is_some_and(|gathered| gathered.depth == depth)
            && let Some(gathered) = self.gathered.take()
        {
            self.note_value(gathered);
        }
    }

    /// Notes the text of an element that has come to its end; the first one that holds something counts.
    fn note_value(&mut self, gathered: Gathered) {
        let Some(value) = filled(&gathered.text) else { return };
        let envelope = &mut self.envelope;
        if gathered.is_path {
            envelope.path_document_id.get_or_insert_with(|| value.clone());
        }
        let noted = match gathered.field {
            None => return,
            Some(Field::SenderLogicalId) => &mut envelope.sender_logical_id,
            Some(Field::CreationDateTime) => &mut envelope.creation_date_time,
            Some(Field::BodId) => &mut envelope.bod_id,
            Some(Field::Tenant) => &mut envelope.tenant,
            Some(Field::AccountingEntity) => &mut envelope.accounting_entity,
            Some(Field::Location) => &mut envelope.location,
            Some(Field::DocumentId) => &mut envelope.document.id,
            Some(Field::RevisionBeside) => &mut envelope.document.revision_id,
            Some(Field::RevisionWithin) => &mut self.revision_within,
        };
        noted.get_or_insert(value);
    }

    fn characters(&mut self, start: usize, text: &str) -> Result<(), Flaw> {
        if self.places.is_empty() {
            let Some(found) = text.bytes().position(|byte| !wellformed::is_space(byte)) else {
                return Ok(());
            };
            return Err(Flaw::malformed(start + found, "text outside of the root element"));
        }
        self.gather(text);
        Ok(())
    }

    fn reference(&mut self, start: usize, name: &str) -> Result<(), Flaw> {
        if self.places.is_empty() {
            return Err(Flaw::malformed(start, "a reference outside of the root element"));
        }
        let character = wellformed::resolve_reference(name)
            .ok_or_else(|| wellformed::undefined_reference(name, start))?;
        self.gather(character.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    /// Adds to the value of the element that the text is directly in, if that is wanted.
    fn gather(&mut self, text: &str) {
        let depth = self.places.len();
        if let Some(gathered) = self.gathered.as_mut().filter(|gathered| gathered.depth == depth) {
            gathered.text.push_str(text);
        }
    }

    fn finish(&mut self) -> Result<(), Flaw> {
        let end = self.text.len();
        let Some((root, root_at)) = self.root else {
            let what = "the document ends before its root element";
            return Err(Flaw::new(FailureCode::XmlCutOff, end, what));
        };
        if !self.places.is_empty() {
            let open = self.places.len();
            let what =
                format!("the document ends with {open} elements still open, <{}> among them", shown(root));
            return Err(Flaw::new(FailureCode::XmlCutOff, end, what));
        }
        if let Some(misfit) = self.misfit.take() {
            return Err(misfit);
        }
        let (Some(verb), Some(noun)) = (self.verb, self.noun) else {
            let lack = match (self.data_area_seen, self.verb) {
                (false, _) => "no DataArea",
                (true, None) => "no verb in its DataArea",
                (true, Some(_)) => "no noun in its DataArea",
            };
            let what = format!("<{}> has {lack}", shown(root));
            return Err(Flaw::new(FailureCode::RootMismatch, root_at, what));
        };
        if root.strip_prefix(verb) != Some(noun) {
            let what = format!(
                "the root <{}> holds the verb {} and the noun {}",
                shown(root),
                shown(verb),
                shown(noun)
            );
            return Err(Flaw::new(FailureCode::RootMismatch, root_at, what));
        }
        let envelope = &mut self.envelope;
        (envelope.root, envelope.verb, envelope.noun) = (root.to_owned(), verb.to_owned(), noun.to_owned());
        envelope.nid = envelope.bod_id.as_deref().and_then(InforNid::parse);
        if envelope.document.revision_id.is_none() {
            envelope.document.revision_id = self.revision_within.take();
        }
        Ok(())
    }
}

impl<'p> Path<'p> {
    fn new(path: &'p str) -> Self {
        let mut steps: Vec<_> = path.trim_matches('/').split('/').collect();
        let attribute = steps.last().and_then(|step| step.strip_prefix('@'));
        if attribute.is_some() {
            steps.pop();
        }
        Self { steps, attribute, matched: 0 }
    }
}
