//! The list of documents that ION accepts, read from an answer whose shape is not public (spec/ims.md §3, A3).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::outcome::Answer;

/// Deeper is no list of documents.
const DEPTH: usize = 8;

/// What ION said about the documents that it takes from a logical id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Document names, `Verb.Noun`.
    Listed(BTreeSet<String>),
    /// An answer came, but no document name is found in it: unknown, not empty. The text is the answer's.
    Unreadable(String),
    Refused(Answer),
}

impl Accepted {
    /// It says how the connection point stands: a list, or a refusal that means it; no gateway's word.
    pub fn is_of_ion(&self) -> bool {
        match self {
            Self::Listed(_) | Self::Unreadable(_) => true,
            Self::Refused(answer) => matches!(answer, Answer::Http { status: 401 | 403 | 412 | 503, .. }),
        }
    }
}

/// Every document name in an answer: `Verb.Noun` strings in lists, objects with a name, pairs of verb and noun, at any
/// depth. An empty list of documents is a list; `None` is an answer in which nothing is found.
///
/// What is taken for a name must look like one: a wrong guess here would suspend every document type.
pub(super) fn document_names(json: &Value) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    walk(json, DEPTH, &mut names);
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let is_empty_list = is_empty(json)
        || json.as_object().is_some_and(|map| {
            map.iter().any(|(key, value)| key.to_ascii_lowercase().contains("document") && is_empty(value))
        });
    (!names.is_empty() || is_empty_list).then_some(names)
}

fn walk(value: &Value, depth: usize, names: &mut BTreeSet<String>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => {
            for item in items {
                names.extend(item.as_str().filter(|it| is_document_name(it)).map(str::to_owned));
                walk(item, depth - 1, names);
            }
        }
        Value::Object(map) => {
            let text = |key: &str| {
                let found = map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
                found.and_then(|(_, value)| value.as_str()).filter(|it| !it.is_empty())
            };
            if let (Some(verb), Some(noun)) = (text("verb"), text("noun")) {
                names.insert(format!("{verb}.{noun}"));
            }
            // Under its own key a bare name counts too: that of a JSON or DSV document.
            names.extend(text("documentName").map(str::to_owned));
            for key in ["name", "document"] {
                names.extend(text(key).filter(|it| is_document_name(it)).map(str::to_owned));
            }
            for (key, value) in map {
                // A map from names to their properties.
                if is_document_name(key) {
                    names.insert(key.clone());
                }
                walk(value, depth - 1, names);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_document_name(text: &str) -> bool {
    let is_word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.split_once('.').is_some_and(|(verb, noun)| is_word(verb) && is_word(noun))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_found_in_every_likely_shape() {
        let wanted = BTreeSet::from(["Process.Shipment".to_owned(), "Sync.SalesOrder".to_owned()]);
        for answer in [
            json!(["Sync.SalesOrder", "Process.Shipment"]),
            json!({"name": "infor.ims.shop", "documents": [{"name": "Sync.SalesOrder"}, {"name": "Process.Shipment"}]}),
            json!({"acceptedDocuments": [{"documentName": "Sync.SalesOrder"}, {"Document": "Process.Shipment"}]}),
            json!([{"verb": "Sync", "noun": "SalesOrder"}, {"Verb": "Process", "Noun": "Shipment"}]),
            json!({"data": {"Sync.SalesOrder": {"active": true}, "Process.Shipment": {}}}),
            json!({"status": "OK", "note": "Not.AName", "list": ["Sync.SalesOrder", "Process.Shipment", 3, null]}),
        ] {
            assert_eq!(document_names(&answer), Some(wanted.clone()), "{answer}");
        }
    }

    #[test]
    fn nothing_found_is_unknown_and_an_empty_list_is_empty() {
        for answer in [
            json!({"status": "OK"}),
            json!({"errors": []}),
            json!("Sync.SalesOrder is not active"),
            json!({"items": [{"name": "infor.ims.shop"}]}),
            json!(["some text."]),
            json!(null),
        ] {
            assert_eq!(document_names(&answer), None, "{answer}");
        }
        for answer in [json!([]), json!({"acceptedDocuments": []})] {
            assert_eq!(document_names(&answer), Some(BTreeSet::new()), "{answer}");
        }
    }
}
