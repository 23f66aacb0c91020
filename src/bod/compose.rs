//! Rows of a DBA's queries as Business Object Documents.
//!
//! Part 0 gives the noun, one row a document; every other part gives a repeated element a row, at its path, in the order
//! of its query. The envelope around it, the BODID and the headers come from the same values, so that they cannot
//! disagree (spec/bod.md §2–4). A document that is too large is split into a batch along one part (§9).
//! Pure: what is wrong is a `Refusal` that names part, row and column.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::domain::change::Action;

pub mod query;
mod shape;
mod tree;
pub mod value;

pub use shape::Shape;
use tree::{Element, escape};
pub use value::Value;

/// The namespace of the envelope where the settings allow any.
pub const NAMESPACE: &str = "http://schema.infor.com/InforOAGIS/2";
/// Longest BODID (spec/bod.md §3).
const MAX_BOD_ID: usize = 255;
/// What the BODID and its neighbours may grow by in a member of a batch.
const BATCH_OVERHEAD: usize = 256;

/// Why a document cannot be composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub part_no: Option<i64>,
    /// Of the document's rows in this part, from 1.
    pub row: Option<usize>,
    pub column: Option<String>,
    pub what: String,
    /// It is the query that is wrong, whatever the document.
    pub concerns_all: bool,
}

impl Refusal {
    /// Of one document as a whole.
    pub fn of_document(what: impl Into<String>) -> Self {
        Self { part_no: None, row: None, column: None, what: what.into(), concerns_all: false }
    }

    /// Of a query, whatever the document.
    pub fn of_query(part_no: i64, what: impl Into<String>) -> Self {
        Self { part_no: Some(part_no), row: None, column: None, what: what.into(), concerns_all: true }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        if let Some(part_no) = self.part_no {
            write!(f, "part {part_no}")?;
            before = ", ";
        }
        if let Some(row) = self.row {
            write!(f, "{before}row {row}")?;
            before = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{before}column '{}'", crate::bod::wellformed::shown(column))?;
            before = ", ";
        }
        if !before.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refusal {}

fn at(part_no: i64, row: usize, column: Option<&String>, what: String) -> Refusal {
    Refusal { part_no: Some(part_no), row: Some(row), column: column.cloned(), what, concerns_all: false }
}

/// A query's place in the documents of a noun: a row of `bodrelay_document_query` as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub part_no: i64,
    pub parent_part_no: Option<i64>,
    pub element_path: Option<String>,
    /// A document that is too large is split along its rows.
    pub splits: bool,
}

/// What a query gave for all documents of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartRows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub milliseconds: u64,
}

/// The parts of a noun, held against the columns that their queries give.
#[derive(Debug)]
pub struct Layout {
    parts: Vec<LaidOut>,
}

#[derive(Debug)]
struct LaidOut {
    part_no: i64,
    /// Index of the part whose rows hold this part's; `None`: the noun.
    parent: Option<usize>,
    path: Vec<String>,
    shape: Shape,
    columns: Vec<String>,
    splits: bool,
}

impl Layout {
    /// # Errors
    /// The first thing that is wrong with the parts, whatever the documents.
    pub fn read(parts: &[(Part, Vec<String>)]) -> Result<Self, Refusal> {
        let mut laid_out: Vec<LaidOut> = Vec::with_capacity(parts.len());
        let mut sorted: Vec<&(Part, Vec<String>)> = parts.iter().collect();
        sorted.sort_by_key(|(part, _)| part.part_no);
        if sorted.first().is_none_or(|(part, _)| part.part_no != 0) {
            return Err(Refusal::of_query(0, "is missing: it gives the document itself, one row each"));
        }
        for (part, columns) in sorted {
            let number = part.part_no;
            let refuse = |what: String| Refusal::of_query(number, what);
            let shape = Shape::read(number, columns)?;
            let path = match &part.element_path {
                None => Vec::new(),
                Some(path) => {
                    shape::element_path(path).map_err(|what| refuse(format!("element_path: {what}")))?
                }
            };
            if number != 0 && path.is_empty() {
                return Err(refuse(
                    "element_path is empty: it names the element that each row becomes".into(),
                ));
            }
            let parent = match part.parent_part_no.filter(|parent| *parent != 0) {
                None => None,
                Some(parent) => {
                    let place = laid_out.iter().position(|known| known.part_no == parent);
                    Some(place.ok_or_else(|| {
                        refuse(format!("parent_part_no = {parent}: there is no such part before it"))
                    })?)
                }
            };
            if let Some(place) = parent {
                let (wanted, found) = (laid_out[place].shape.row_keys.len(), shape.parent_keys.len());
                let of = laid_out[place].part_no;
                if wanted == 0 {
                    return Err(Refusal::of_query(
                        of,
                        format!("the column row_key is missing: part {number} goes by it"),
                    ));
                }
                if wanted != found {
                    let what = format!(
                        "it has {found} columns parent_key, but part {of} has {wanted} columns row_key"
                    );
                    return Err(refuse(what));
                }
            }
            if part.splits && (parent.is_some() || number == 0) {
                let what =
                    "split_batch = 1: only a part directly below the document can be split along".into();
                return Err(refuse(what));
            }
            laid_out.push(LaidOut {
                part_no: number,
                parent,
                path,
                shape,
                columns: columns.clone(),
                splits: part.splits,
            });
        }
        if let Some(second) = laid_out.iter().filter(|part| part.splits).nth(1) {
            return Err(Refusal::of_query(
                second.part_no,
                "split_batch = 1 in two parts of a document: choose one",
            ));
        }
        for (place, part) in laid_out.iter().enumerate().filter(|(place, _)| *place > 0) {
            let through = laid_out.iter().enumerate().find(|(other, above)| {
                *other > 0
                    && *other != place
                    && above.parent == part.parent
                    && above.path.len() < part.path.len()
                    && part.path.starts_with(&above.path)
            });
            if let Some((_, above)) = through {
                let number = above.part_no;
                let what = format!(
                    "element_path goes through the repeated element of part {number}: set parent_part_no = {number}"
                );
                return Err(Refusal::of_query(part.part_no, what));
            }
        }
        let known: Vec<i64> = laid_out.iter().map(|part| part.part_no).collect();
        for part in &laid_out {
            let marked = part.shape.places.iter().find_map(|place| match place.kind {
                shape::Kind::Part(marked) if !known.contains(&marked) => Some((place.column, marked)),
                _ => None,
            });
            if let Some((column, marked)) = marked {
                let mut refusal = Refusal::of_query(part.part_no, format!("there is no part {marked}"));
                refusal.column = part.columns.get(column).cloned();
                return Err(refusal);
            }
        }
        Ok(Self { parts: laid_out })
    }
}

/// The rows of a batch, found by document.
#[derive(Debug)]
pub struct Batch<'r> {
    layout: &'r Layout,
    /// As long as the parts of the layout.
    rows: Vec<&'r PartRows>,
    /// Row numbers of each part, by document.
    by_document: Vec<HashMap<i64, Vec<usize>>>,
}

impl<'r> Batch<'r> {
    /// `rows` are in the order of the layout's parts; `document_nos` are those that the batch has.
    ///
    /// # Errors
    /// A row that belongs to no document of the batch: its query is wrong for all.
    pub fn read(
        layout: &'r Layout,
        rows: Vec<&'r PartRows>,
        document_nos: &std::collections::HashSet<i64>,
    ) -> Result<Self, Refusal> {
        let mut by_document = Vec::with_capacity(rows.len());
        for (part, of_part) in layout.parts.iter().zip(&rows) {
            let mut found: HashMap<i64, Vec<usize>> = HashMap::new();
            for (index, row) in of_part.rows.iter().enumerate() {
                let number = match row.get(part.shape.document_no) {
                    Some(Value::Integer(number)) => Some(*number),
                    Some(other) => other.canonical().ok().flatten().and_then(|text| text.trim().parse().ok()),
                    None => None,
                };
                let Some(number) = number.filter(|number| document_nos.contains(number)) else {
                    return Err(Refusal {
                        part_no: Some(part.part_no),
                        row: Some(index + 1),
                        column: part.columns.get(part.shape.document_no).cloned(),
                        what:
                            "names no document of the batch: join bodrelay_batch and select its document_no"
                                .into(),
                        concerns_all: true,
                    });
                };
                found.entry(number).or_default().push(index);
            }
            by_document.push(found);
        }
        Ok(Self { layout, rows, by_document })
    }

    /// The rows of a part for a document: number from 1, and index.
    fn numbers(&self, place: usize, document_no: i64) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.by_document[place].get(&document_no).map(Vec::as_slice).unwrap_or_default();
        rows.iter().enumerate().map(|(number, index)| (number + 1, *index))
    }

    /// How many rows a part gave for a document.
    pub fn count(&self, part_no: i64, document_no: i64) -> usize {
        let place = self.layout.parts.iter().position(|part| part.part_no == part_no);
        place.and_then(|place| self.by_document.get(place)?.get(&document_no)).map_or(0, Vec::len)
    }
}

/// A document that is to be made, with the settings of its type.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub document_no: i64,
    pub tenant_id: &'a str,
    pub logical_id: &'a str,
    pub verb: &'a str,
    pub noun: &'a str,
    pub document_id: &'a str,
    pub accounting_entity: &'a str,
    pub document_location: &'a str,
    pub action: Action,
    pub variation_id: i64,
    /// The database's clock.
    pub now: DateTime<Utc>,
    pub namespace: Option<&'a str>,
    pub document_id_path: Option<&'a str>,
    pub max_bytes: usize,
    /// The document's key in `bodrelay_variation`.
    pub document_key: &'a str,
}

impl Wanted<'_> {
    /// What makes the members of a batch one: unique to document and version.
    fn batch_id(&self) -> String {
        let short: String = self.document_key.chars().take(16).collect();
        format!("{short}-{}", self.variation_id)
    }
}

/// A document, or a member of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub xml: String,
    /// Keys and values as the outbox has them.
    pub headers: Vec<(&'static str, String)>,
}

/// Where a member stands in its batch.
#[derive(Clone, Copy)]
struct Member {
    sequence: usize,
    size: usize,
}

/// Composes one document: usually one, several where it had to be split.
///
/// # Errors
/// What is wrong with its rows. `NoRow` is told apart, since it may only be too early to tell.
pub fn compose(batch: &Batch<'_>, wanted: &Wanted<'_>) -> Result<Vec<Made>, Failed> {
    envelope_fits(wanted)?;
    let parts = &batch.layout.parts;
    let first = parts.first().zip(batch.by_document.first());
    let Some((part, rows)) = first else { return Err(Failed::NoRow) };
    let numbers = rows.get(&wanted.document_no).map(Vec::as_slice).unwrap_or_default();
    let path: Vec<String>;
    let mut noun = Element::row(wanted.noun);
    match numbers {
        [only] => {
            let row = &batch.rows[0].rows[*only];
            noun.fill(&part.path, &part.shape, &part.columns, row, (0, 1))?;
        }
        [] if wanted.action == Action::Delete => {
            path = deleted_id_path(part, wanted);
            noun.set(&path, identity(wanted), wanted.document_id.trim());
            return finish(wanted, &noun.written());
        }
        [] => return Err(Failed::NoRow),
        several => {
            let what =
                format!("{} rows for one document: the query of part 0 gives exactly one", several.len());
            return Err(Refusal { concerns_all: false, ..Refusal::of_query(0, what) }.into());
        }
    }
    let nested = nested(batch, wanted.document_no)?;
    let mut split: Option<(&LaidOut, Vec<Element<'_>>)> = None;
    for (place, part) in parts.iter().enumerate().filter(|(place, part)| *place > 0 && part.parent.is_none())
    {
        let numbers: Vec<_> = batch.numbers(place, wanted.document_no).collect();
        let elements = rows_of(batch, &nested, place, &numbers)?;
        if part.splits {
            split = Some((part, elements));
        } else {
            noun.add_rows(part.part_no, &part.path, elements);
        }
    }
    let Some((part, elements)) = split else { return finish(wanted, &noun.written()) };
    let mut whole = noun.clone();
    whole.add_rows(part.part_no, &part.path, elements.clone());
    let made = wrap(wanted, &whole.written(), None);
    if made.xml.len() <= wanted.max_bytes {
        return Ok(vec![made]);
    }
    split_up(wanted, &noun, part, elements)
}

/// Why a document was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// Part 0 gave none.
    NoRow,
    Refused(Refusal),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Rows of the nested parts of one document, found by the key of the row that they belong to. As long as the parts.
type Nested = Vec<HashMap<Vec<String>, Vec<(usize, usize)>>>;

/// The elements of some rows of a part (number in the document, index), with what is nested in them.
fn rows_of<'r>(
    batch: &Batch<'r>,
    nested: &Nested,
    place: usize,
    numbers: &[(usize, usize)],
) -> Result<Vec<Element<'r>>, Refusal> {
    let layout: &'r Layout = batch.layout;
    let part = &layout.parts[place];
    let Some(name) = part.path.last() else { return Ok(Vec::new()) };
    let mut elements = Vec::with_capacity(numbers.len());
    for (number, index) in numbers {
        let row = &batch.rows[place].rows[*index];
        let mut element = Element::row(name);
        element.fill(&[], &part.shape, &part.columns, row, (part.part_no, *number))?;
        let mut own_key = None;
        for (child, below) in layout.parts.iter().enumerate().filter(|(_, below)| below.parent == Some(place))
        {
            let key = own_key.get_or_insert_with(|| keys(row, &part.shape.row_keys));
            if let Some(numbers) = nested[child].get(key.as_slice()) {
                element.add_rows(below.part_no, &below.path, rows_of(batch, nested, child, numbers)?);
            }
        }
        elements.push(element);
    }
    Ok(elements)
}

/// Keys as text, so that a number and its digits are equal in every database.
fn keys(row: &[Value], columns: &[usize]) -> Vec<String> {
    let text = |column: &usize| row.get(*column).and_then(|value| value.canonical().ok().flatten());
    columns.iter().map(|column| text(column).unwrap_or_default().into_owned()).collect()
}

/// Groups the rows of nested parts. A row whose parent_key no row of its parent has would be lost without a word, and a
/// row_key that is there twice would give rows to both: either is refused.
fn nested(batch: &Batch<'_>, document_no: i64) -> Result<Nested, Refusal> {
    let mut nested = Nested::with_capacity(batch.layout.parts.len());
    for (place, part) in batch.layout.parts.iter().enumerate() {
        let mut groups = HashMap::new();
        let Some(parent) = part.parent else {
            nested.push(groups);
            continue;
        };
        let above = &batch.layout.parts[parent];
        let mut known = std::collections::HashSet::new();
        for (number, index) in batch.numbers(parent, document_no) {
            if !known.insert(keys(&batch.rows[parent].rows[index], &above.shape.row_keys)) {
                let column = above.shape.row_keys.first().and_then(|column| above.columns.get(*column));
                return Err(at(above.part_no, number, column, "has the row_key of an earlier row".into()));
            }
        }
        for (number, index) in batch.numbers(place, document_no) {
            let key = keys(&batch.rows[place].rows[index], &part.shape.parent_keys);
            if !known.contains(&key) {
                let column = part.shape.parent_keys.first().and_then(|column| part.columns.get(*column));
                let shown = crate::bod::wellformed::shown(&key.join("', '")).to_string();
                let what = format!("no row of part {} has the row_key '{shown}'", above.part_no);
                return Err(at(part.part_no, number, column, what));
            }
            groups.entry(key).or_insert_with(Vec::new).push((number, index));
        }
        nested.push(groups);
    }
    Ok(nested)
}

/// Where a deleted document, which has no row any more, has its id: at `document_id_path`, else where the query would
/// put it, else directly in the noun.
fn deleted_id_path(part: &LaidOut, wanted: &Wanted<'_>) -> Vec<String> {
    let owned = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect();
    if let Some(path) = wanted.document_id_path {
        let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let ["DataArea", noun, inner @ ..] = steps.as_slice()
            && *noun == wanted.noun
            && inner.last().is_some_and(|last| !last.starts_with('@'))
        {
            return owned(inner);
        }
    }
    match part.shape.document_id_steps() {
        Some(steps) => part.path.iter().chain(steps).cloned().collect(),
        None => owned(&["DocumentID", "ID"]),
    }
}

/// The attributes of `DocumentID/ID` (spec/bod.md §5).
fn identity(wanted: &Wanted<'_>) -> Vec<(&'static str, String)> {
    let given = |name, value: &str| (!value.trim().is_empty()).then(|| (name, value.trim().to_owned()));
    [
        given("accountingEntity", wanted.accounting_entity),
        given("location", wanted.document_location),
        given("lid", wanted.logical_id),
        Some(("variationID", wanted.variation_id.to_string())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn finish(wanted: &Wanted<'_>, noun: &str) -> Result<Vec<Made>, Failed> {
    let made = wrap(wanted, noun, None);
    if made.xml.len() > wanted.max_bytes {
        return Err(Refusal::of_document(format!(
            "the document would have {} bytes, {} are allowed: set split_batch = 1 for the part along whose rows it can \
             be split into a batch, or raise max_document_bytes if ION accepts more for your tenant",
            made.xml.len(),
            wanted.max_bytes
        ))
        .into());
    }
    Ok(vec![made])
}

/// Fills members with rows, in their order, as long as they fit; each has all the rest of the document.
fn split_up<'s>(
    wanted: &Wanted<'_>,
    noun: &Element<'s>,
    part: &'s LaidOut,
    elements: Vec<Element<'s>>,
) -> Result<Vec<Made>, Failed> {
    let mut empty = noun.clone();
    empty.add_rows(part.part_no, &part.path, Vec::new());
    // The elements that hold the rows are open and closed in each member.
    let holders: usize = part.path.iter().map(|step| step.len() * 2 + 5).sum();
    let base = wrap(wanted, &empty.written(), None).xml.len() + holders + BATCH_OVERHEAD;
    let room = wanted.max_bytes.saturating_sub(base);
    let (mut members, mut member, mut used) = (Vec::new(), Vec::new(), 0);
    for (number, element) in elements.into_iter().enumerate() {
        let bytes = element.written().len();
        if bytes > room {
            let what = format!(
                "alone with what every member of a batch has it makes {} bytes, {} are allowed: make the row smaller, or \
                 raise max_document_bytes if ION accepts more for your tenant",
                base + bytes,
                wanted.max_bytes
            );
            return Err(at(part.part_no, number + 1, None, what).into());
        }
        if used + bytes > room {
            members.push(std::mem::take(&mut member));
            used = 0;
        }
        used += bytes;
        member.push(element);
    }
    members.push(member);
    let size = members.len();
    let mut made = Vec::with_capacity(size);
    for (index, rows) in members.into_iter().enumerate() {
        let mut whole = noun.clone();
        whole.add_rows(part.part_no, &part.path, rows);
        let member = Member { sequence: index + 1, size };
        if bod_id(wanted, Some(member)).chars().count() > MAX_BOD_ID {
            return Err(Refusal::of_document(too_long_a_bod_id()).into());
        }
        made.push(wrap(wanted, &whole.written(), Some(member)));
    }
    Ok(made)
}

fn too_long_a_bod_id() -> String {
    format!(
        "the BODID would have more than {MAX_BOD_ID} characters: shorten the document id, entity or location"
    )
}

/// What the envelope is made of is checked before anything else: none of it comes from a query.
fn envelope_fits(wanted: &Wanted<'_>) -> Result<(), Refusal> {
    for (what, text) in [
        ("document_id", wanted.document_id),
        ("accounting_entity", wanted.accounting_entity),
        ("document_location", wanted.document_location),
        ("tenant_id", wanted.tenant_id),
        ("logical_id", wanted.logical_id),
    ] {
        if let Err(why) = Value::Text(text.to_owned()).canonical() {
            return Err(Refusal::of_document(format!("{what}: {why}")));
        }
        if text.contains(['\r', '\n', '\t']) {
            return Err(Refusal::of_document(format!(
                "{what} holds a tab or a line end, which no receiver keeps"
            )));
        }
    }
    for (what, name) in [("verb", wanted.verb), ("noun", wanted.noun)] {
        if !crate::bod::wellformed::is_name(name) || name.contains([':', '.']) {
            let name = crate::bod::wellformed::shown(name);
            return Err(Refusal::of_document(format!("{what} '{name}' cannot be the name of an element")));
        }
    }
    if bod_id(wanted, None).chars().count() > MAX_BOD_ID {
        return Err(Refusal::of_document(too_long_a_bod_id()));
    }
    Ok(())
}

/// spec/bod.md §3.
fn bod_id(wanted: &Wanted<'_>, member: Option<Member>) -> String {
    let Wanted { tenant_id, noun, verb, variation_id, .. } = wanted;
    let (entity, location) = (wanted.accounting_entity.trim(), wanted.document_location.trim());
    let document_id = wanted.document_id.trim();
    let batch = member.map_or(String::new(), |member| {
        let batch_id = wanted.batch_id();
        format!("&batchID={batch_id}&batchSequence={}&batchSize={}", member.sequence, member.size)
    });
    format!(
        "infor-nid:{tenant_id}:{entity}:{location}:{document_id}:?{noun}&verb={verb}&variationID={variation_id}{batch}"
    )
}

/// Envelope, verb area and headers around a noun that is written already.
fn wrap(wanted: &Wanted<'_>, noun: &str, member: Option<Member>) -> Made {
    let (entity, location) = (wanted.accounting_entity.trim(), wanted.document_location.trim());
    let document_id = wanted.document_id.trim();
    let created = wanted.now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut xml = String::with_capacity(noun.len() + 1024);
    let element = |xml: &mut String, name: &str, text: &str| {
        xml.push('<');
        xml.push_str(name);
        xml.push('>');
        escape(text, false, xml);
        xml.push_str("</");
        xml.push_str(name);
        xml.push('>');
    };
    let root = [wanted.verb, wanted.noun].concat();
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><");
    xml.push_str(&root);
    xml.push_str(" xmlns=\"");
    escape(wanted.namespace.unwrap_or(NAMESPACE), true, &mut xml);
    xml.push_str("\" releaseID=\"9.2\"><ApplicationArea><Sender>");
    element(&mut xml, "LogicalID", wanted.logical_id);
    element(&mut xml, "ConfirmationCode", "OnError");
    xml.push_str("</Sender>");
    element(&mut xml, "CreationDateTime", &created);
    element(&mut xml, "BODID", &bod_id(wanted, member));
    xml.push_str("</ApplicationArea><DataArea><");
    xml.push_str(wanted.verb);
    xml.push('>');
    element(&mut xml, "TenantID", wanted.tenant_id);
    for (name, value) in [("AccountingEntityID", entity), ("LocationID", location)] {
        if !value.is_empty() {
            element(&mut xml, name, value);
        }
    }
    xml.push_str("<ActionCriteria><ActionExpression actionCode=\"");
    xml.push_str(wanted.action.as_str());
    xml.push_str("\"/></ActionCriteria></");
    xml.push_str(wanted.verb);
    xml.push('>');
    xml.push_str(noun);
    xml.push_str("</DataArea></");
    xml.push_str(&root);
    xml.push('>');

    // A request to add a document comes before the document's id (spec/bod.md §4).
    let has_id = !(wanted.verb == "Process" && wanted.action == Action::Add);
    let batch = |value: fn(Member) -> usize| member.map(|member| value(member).to_string());
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let headers = [
        ("TenantId", Some(wanted.tenant_id.to_owned())),
        ("BODType", Some(format!("{}.{}", wanted.verb, wanted.noun))),
        ("FromLogicalId", Some(wanted.logical_id.to_owned())),
        ("ToLogicalId", Some("lid://default".to_owned())),
        ("CreationDateTime", Some(created)),
        ("DocumentId", given(document_id).filter(|_| has_id)),
        ("AccountingEntity", given(entity)),
        ("Location", given(location)),
        ("VariationId", Some(wanted.variation_id.to_string())),
        ("BatchId", member.map(|_| wanted.batch_id())),
        ("BatchSequence", batch(|member| member.sequence)),
        ("BatchSize", batch(|member| member.size)),
    ];
    let headers = headers.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    Made { xml, headers }
}
