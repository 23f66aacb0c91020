//! The elements of one document while its rows are put in, and how they are written.

use super::shape::{Kind, Shape};
use super::value::Value;
use super::{Refusal, at};

/// An element with what is in it.
#[derive(Debug, Clone)]
pub(super) struct Element<'s> {
    name: &'s str,
    attributes: Vec<(&'s str, String)>,
    nodes: Vec<Node>,
    /// Those that `nodes` has by number.
    elements: Vec<Element<'s>>,
    /// It stays even with nothing in it: a row stands for it.
    stays: bool,
}

#[derive(Debug, Clone)]
enum Node {
    Element(usize),
    Text(String),
    /// Rows of a part go before it; never written.
    Mark(i64),
}

impl<'s> Element<'s> {
    pub fn row(name: &'s str) -> Self {
        Self { name, attributes: Vec::new(), nodes: Vec::new(), elements: Vec::new(), stays: true }
    }

    fn holder(name: &'s str) -> Self {
        Self { stays: false, ..Self::row(name) }
    }

    /// Puts the columns of one row in; `before` goes before each place. `place` names part and row for a refusal.
    pub fn fill(
        &mut self,
        before: &'s [String],
        shape: &'s Shape,
        columns: &[String],
        row: &[Value],
        (part_no, number): (i64, usize),
    ) -> Result<(), Refusal> {
        for place in &shape.places {
            let refuse = |what: String| at(part_no, number, columns.get(place.column), what);
            let text = match (&place.kind, row.get(place.column)) {
                (Kind::Part(_), _) => None,
                (Kind::Text | Kind::Attribute(_), None) => continue,
                (Kind::Text | Kind::Attribute(_), Some(value)) => match value.canonical().map_err(refuse)? {
                    None => continue,
                    text => text,
                },
            };
            let steps = before.iter().chain(&place.steps).map(String::as_str);
            let element = self.descend(steps);
            match (&place.kind, text) {
                (Kind::Attribute(name), Some(text)) => element.attributes.push((name, text.into_owned())),
                (Kind::Part(part), _) => element.nodes.push(Node::Mark(*part)),
                (_, text) => element.nodes.push(Node::Text(text.unwrap_or_default().into_owned())),
            }
        }
        Ok(())
    }

    /// The newest element at a path, made where there is none.
    fn descend(&mut self, steps: impl Iterator<Item = &'s str>) -> &mut Self {
        let mut here = self;
        for step in steps {
            let found = here.elements.iter().rposition(|inner| inner.name == step);
            let number = found.unwrap_or_else(|| {
                here.elements.push(Self::holder(step));
                here.nodes.push(Node::Element(here.elements.len() - 1));
                here.elements.len() - 1
            });
            here = &mut here.elements[number];
        }
        here
    }

    /// Puts rows of a part in at its path: before the part's mark, else at the end.
    pub fn add_rows(&mut self, part_no: i64, path: &'s [String], rows: Vec<Self>) {
        let holders = path.split_last().map_or(&[][..], |(_, holders)| holders);
        let holder = self.descend(holders.iter().map(String::as_str));
        let is_mark = |node: &Node| matches!(node, Node::Mark(part) if *part == part_no);
        let place = holder.nodes.iter().position(is_mark).unwrap_or(holder.nodes.len());
        let first = holder.elements.len();
        let numbers = (first..first + rows.len()).map(Node::Element);
        holder.nodes.splice(place..place, numbers);
        holder.elements.extend(rows);
    }

    /// Writes a text and attributes at a path of element names.
    pub fn set(&mut self, steps: &'s [String], attributes: Vec<(&'s str, String)>, text: &str) {
        let element = self.descend(steps.iter().map(String::as_str));
        element.attributes = attributes;
        element.nodes.push(Node::Text(text.to_owned()));
    }

    fn is_empty(&self) -> bool {
        !self.stays
            && self.attributes.is_empty()
            && self.nodes.iter().all(|node| match node {
                Node::Element(inner) => self.elements[*inner].is_empty(),
                Node::Text(_) => false,
                Node::Mark(_) => true,
            })
    }

    pub fn write(&self, into: &mut String) {
        if self.is_empty() {
            return;
        }
        into.push('<');
        into.push_str(self.name);
        for (name, value) in &self.attributes {
            into.push(' ');
            into.push_str(name);
            into.push_str("=\"");
            escape(value, true, into);
            into.push('"');
        }
        let has_content = self.nodes.iter().any(|node| match node {
            Node::Element(inner) => !self.elements[*inner].is_empty(),
            Node::Text(text) => !text.is_empty(),
            Node::Mark(_) => false,
        });
        if !has_content {
            into.push_str("/>");
            return;
        }
        into.push('>');
        for node in &self.nodes {
            match node {
                Node::Element(inner) => self.elements[*inner].write(into),
                Node::Text(text) => escape(text, false, into),
                Node::Mark(_) => {}
            }
        }
        into.push_str("</");
        into.push_str(self.name);
        into.push('>');
    }

    pub fn written(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

/// Text as XML has it. A carriage return, and in attributes every white space but the blank, would be another character
/// for the reader unless it is a reference.
pub(super) fn escape(text: &str, in_attribute: bool, into: &mut String) {
    let mut rest = text;
    let special =
        |c: char| matches!(c, '&' | '<' | '>' | '\r') || in_attribute && matches!(c, '"' | '\n' | '\t');
    while let Some(at) = rest.find(special) {
        into.push_str(&rest[..at]);
        into.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\r' => "&#13;",
            b'\n' => "&#10;",
            _ => "&#9;",
        });
        rest = &rest[at + 1..];
    }
    into.push_str(rest);
}
