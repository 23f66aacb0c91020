//! The columns of a query as places in a document: what an alias means, told once a query and not once a row.
//!
//! As in `FOR XML PATH`: `A/B` is an element within an element, `@x` or `A/@x` an attribute, `text()` the element's own
//! text. Columns side by side share the elements that their paths begin with. Three names are keys and no places:
//! `document_no`, `row_key…` and `parent_key…`. `part(2)` marks where the rows of part 2 go.

use crate::bod::wellformed;

use super::Refusal;

/// Deepest nesting that a path may ask for: with the envelope around it, readers take it all.
const MAX_STEPS: usize = 60;

/// What one column is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub column: usize,
    pub steps: Vec<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Attribute(String),
    /// The rows of this part go here.
    Part(i64),
}

/// The columns of one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub(super) document_no: usize,
    pub(super) row_keys: Vec<usize>,
    pub(super) parent_keys: Vec<usize>,
    pub(super) places: Vec<Place>,
}

impl Shape {
    /// Reads the column names of a part's query.
    ///
    /// # Errors
    /// The first name that is wrong, missing or there twice.
    pub fn read(part_no: i64, columns: &[String]) -> Result<Self, Refusal> {
        let refuse = |column: Option<&String>, what: String| Refusal {
            part_no: Some(part_no),
            row: None,
            column: column.cloned(),
            what,
            concerns_all: true,
        };
        let mut document_no = None;
        let (mut row_keys, mut parent_keys, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (index, name) in columns.iter().enumerate() {
            let lower = name.to_ascii_lowercase();
            if lower == "document_no" {
                if document_no.replace(index).is_some() {
                    return Err(refuse(Some(name), "is there twice".into()));
                }
            } else if lower.starts_with("row_key") {
                row_keys.push(index);
            } else if lower.starts_with("parent_key") {
                parent_keys.push(index);
            } else {
                let (steps, kind) = place(name).map_err(|what| refuse(Some(name), what))?;
                places.push(Place { column: index, steps, kind });
            }
        }
        let Some(document_no) = document_no else {
            let what =
                "the column document_no is missing: select document_no of the table bodrelay_batch".into();
            return Err(refuse(None, what));
        };
        let shape = Self { document_no, row_keys, parent_keys, places };
        match shape.conflict() {
            None => Ok(shape),
            Some((column, what)) => Err(refuse(columns.get(column), what)),
        }
    }

    /// Two columns with one place, or an element that is opened again after another one.
    fn conflict(&self) -> Option<(usize, String)> {
        let mut closed: Vec<&[String]> = Vec::new();
        let mut open: &[String] = &[];
        for (index, place) in self.places.iter().enumerate() {
            let same = |other: &&Place| match (&other.kind, &place.kind) {
                (Kind::Part(one), Kind::Part(two)) => one == two,
                (one, two) => one == two && other.steps == place.steps,
            };
            if self.places[..index].iter().find(same).is_some() {
                return Some((place.column, "has the place of an earlier column".into()));
            }
            let shared = open.iter().zip(&place.steps).take_while(|(one, two)| one == two).count();
            if shared < open.len() {
                closed.push(&open[..=shared]);
            }
            // Elements that this column opens, or is in.
            for depth in shared + 1..=place.steps.len() {
                let opened = &place.steps[..depth];
                if closed.contains(&opened) {
                    let what = format!(
                        "opens {} again after a column of another element: put the columns of one element side by \
                         side, or give it a part of its own",
                        opened.join("/")
                    );
                    return Some((place.column, what));
                }
            }
            open = &place.steps;
        }
        None
    }

    /// Where a document id would be written, going by the columns: the first place that ends with `DocumentID/ID`.
    pub(super) fn document_id_steps(&self) -> Option<&[String]> {
        let ends = |steps: &&[String]| matches!(steps, [.., a, b] if a == "DocumentID" && b == "ID");
        self.places.iter().map(|place| place.steps.as_slice()).find(ends)
    }
}

/// An alias as elements, and what it is of the last one.
fn place(alias: &str) -> Result<(Vec<String>, Kind), String> {
    let path = alias.strip_prefix('/').unwrap_or(alias);
    if path.is_empty() {
        return Err("a column without a name has no place in the document".into());
    }
    let mut steps: Vec<&str> = path.split('/').collect();
    let mut kind = Kind::Text;
    if let Some(last) = steps.last().copied() {
        if let Some(name) = last.strip_prefix('@') {
            let local = name.strip_prefix("xml:").unwrap_or(name);
            if !is_plain_name(local) || local.starts_with("xmlns") {
                return Err(format!("'@{}' is not the name of an attribute", wellformed::shown(name)));
            }
            kind = Kind::Attribute(name.to_owned());
            steps.pop();
        } else if last == "text()" {
            steps.pop();
        } else if let Some(number) = last.strip_prefix("part(").and_then(|rest| rest.strip_suffix(')')) {
            let number = number.trim().parse().map_err(|_| format!("'{last}' names no part"))?;
            kind = Kind::Part(number);
            steps.pop();
        }
    }
    elements(&steps).map(|steps| (steps, kind))
}

/// `element_path`: one element at least.
pub(super) fn element_path(path: &str) -> Result<Vec<String>, String> {
    let path = path.trim();
    let steps: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    elements(&steps)
}

fn elements(steps: &[&str]) -> Result<Vec<String>, String> {
    if steps.len() > MAX_STEPS {
        return Err(format!("more than {MAX_STEPS} levels of elements"));
    }
    match steps.iter().find(|step| !is_plain_name(step)) {
        None => Ok(steps.iter().map(|step| (*step).to_owned()).collect()),
        Some(step) => Err(format!(
            "'{}' is not the name of an element (write Element, Element/Inner, @attribute, Element/@attribute or text())",
            wellformed::shown(step)
        )),
    }
}

/// A name without a prefix: everything is in the one namespace of the document.
fn is_plain_name(name: &str) -> bool {
    wellformed::is_name(name) && !name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(columns: &[&str]) -> Result<Shape, Refusal> {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        Shape::read(1, &columns)
    }

    #[test]
    fn aliases_are_places() {
        let columns =
            ["DOCUMENT_NO", "row_key", "parent_key_2", "/@x", "A/@y", "A", "A/B/C", "text()", "D/part(2)"];
        let shape = read(&columns).unwrap();
        assert_eq!((shape.document_no, &shape.row_keys[..], &shape.parent_keys[..]), (0, &[1][..], &[2][..]));
        let shown: Vec<_> =
            shape.places.iter().map(|place| (place.steps.join("/"), place.kind.clone())).collect();
        let attribute = |name: &str| Kind::Attribute(name.into());
        assert_eq!(
            shown,
            [
                (String::new(), attribute("x")),
                ("A".into(), attribute("y")),
                ("A".into(), Kind::Text),
                ("A/B/C".into(), Kind::Text),
                (String::new(), Kind::Text),
                ("D".into(), Kind::Part(2)),
            ]
        );
    }

    #[test]
    fn wrong_columns_are_named() {
        for (columns, why) in [
            (&["A"][..], "document_no is missing"),
            (&["document_no", "document_no"], "is there twice"),
            (&["document_no", ""], "without a name"),
            (&["document_no", "?column?"], "'?column?' is not the name of an element"),
            (&["document_no", "A//B"], "'' is not the name"),
            (&["document_no", "A/@"], "not the name of an attribute"),
            (&["document_no", "@xmlns:x"], "not the name of an attribute"),
            (&["document_no", "@x/A"], "'@x' is not the name of an element"),
            (&["document_no", "n:A"], "'n:A' is not the name"),
            (&["document_no", "1A"], "'1A' is not the name"),
            (&["document_no", "A", "B", "A"], "has the place of an earlier column"),
            (&["document_no", "A", "A/text()"], "has the place of an earlier column"),
            (&["document_no", "@x", "@x"], "has the place of an earlier column"),
            (&["document_no", "A/B", "C", "A/D"], "opens A again"),
            (&["document_no", "A/B/C", "A/D", "A/B/E"], "opens A/B again"),
            (&["document_no", "A/part(1)", "B/part(1)"], "has the place of an earlier column"),
        ] {
            let error = read(columns).unwrap_err().to_string();
            assert!(error.contains(why) && error.starts_with("part 1"), "{columns:?}: {error}");
        }
        for columns in [
            &["document_no", "Bill/ID", "Ship/ID"][..],
            &["document_no", "A", "A/@x"],
            &["document_no", "A/B", "A/C", "D/B"],
            &["document_no"],
        ] {
            assert!(read(columns).is_ok(), "{columns:?}");
        }
    }
}
