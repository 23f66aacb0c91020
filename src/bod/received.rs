//! Judges what came in: whether a document is a BOD, and the one that its parameters say (spec/ims.md §5.1).

use super::headers::Headers;
use super::wellformed::shown;
use super::{checks, envelope};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::message::Parameters;

/// The lengths of spec/ims.md §5.1 and of the columns that keep them, in characters.
const LENGTHS: [(&str, usize); 10] = [
    ("documentName", 131),
    ("messageId", 250),
    ("fromLogicalId", 250),
    ("toLogicalId", 250),
    ("documentId", 100),
    ("accountingEntity", 22),
    ("location", 22),
    ("revisionId", 22),
    ("batchId", 250),
    ("source", 250),
];
/// ION itself sends three at most.
const MAX_CUSTOM: usize = 3;
const MAX_CUSTOM_LENGTH: usize = 250;

/// What is wrong with the parameters by themselves.
///
/// # Errors
/// A value is too long, holds a character that no header can carry, or says something that is not taken.
pub fn check_parameters(parameters: &Parameters) -> Result<(), Failure> {
    let p = parameters;
    let given = [
        Some(&p.document_name),
        Some(&p.message_id),
        Some(&p.from_logical_id),
        Some(&p.to_logical_id),
        p.document_id.as_ref(),
        p.accounting_entity.as_ref(),
        p.location.as_ref(),
        p.revision_id.as_ref(),
        p.batch_id.as_ref(),
        p.source.as_ref(),
    ];
    for ((name, most), value) in LENGTHS.into_iter().zip(given) {
        value.map_or(Ok(()), |value| check_value(name, value, most))?;
    }
    check_value("characterSet", &p.character_set, 30)?;
    if let Some(date) = &p.source_publication_date {
        check_value("sourcePublicationDate", date, 64)?;
    }
    if p.custom.len() > MAX_CUSTOM {
        let text = format!("{} custom parameters, {MAX_CUSTOM} are allowed", p.custom.len());
        return Err(Failure::new(FailureCode::TooManyCustomHeaders, text));
    }
    for (name, value) in &p.custom {
        check_value("the name of a custom parameter", name, MAX_CUSTOM_LENGTH)?;
        check_value(&shown(name).to_string(), value, MAX_CUSTOM_LENGTH)?;
    }
    if !["", "UTF-8", "UTF8", "US-ASCII", "ASCII"].iter().any(|it| it.eq_ignore_ascii_case(&p.character_set))
    {
        let text = format!("characterSet says {}, only UTF-8 is taken", shown(&p.character_set));
        return Err(Failure::new(FailureCode::NotUtf8, text));
    }
    Ok(())
}

fn check_value(name: &str, value: &str, most: usize) -> Result<(), Failure> {
    if let Some(found) = value.chars().find(|character| character.is_control()) {
        let text = format!("{name} holds the control character U+{:04X}", u32::from(found));
        return Err(Failure::new(FailureCode::HeaderInvalid, text));
    }
    // A character has a byte at least, so most values are not counted.
    if value.len() > most && value.chars().count() > most {
        let text = format!(
            "{name} has {} characters, {most} are allowed: '{}'",
            value.chars().count(),
            shown(value)
        );
        return Err(Failure::new(FailureCode::IdTooLong, text));
    }
    Ok(())
}

/// Whether a document is well-formed, a BOD of the namespace that is expected (`None`: any), and the one that the
/// parameters say.
///
/// # Errors
/// What is wrong with it and where; the text quotes no more than names and short values.
pub fn check_document(
    parameters: &Parameters,
    document: &[u8],
    namespace: Option<&str>,
) -> Result<(), Failure> {
    let envelope = envelope::read(document, None)?;
    checks::namespaces(&envelope, namespace)?;
    let text = |key: &str, value: &Option<String>| value.clone().map(|value| (key.to_owned(), value));
    let pairs: Vec<(String, String)> = [
        text("BODType", &Some(parameters.document_name.clone())),
        text("DocumentId", &parameters.document_id),
        text("AccountingEntity", &parameters.accounting_entity),
        text("Location", &parameters.location),
        text("RevisionId", &parameters.revision_id),
        text("VariationId", &parameters.variation_id.map(|number| number.to_string())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let headers = Headers::of_pairs(&pairs, &mut Vec::new());
    checks::document_type(&headers, &envelope)?;
    checks::identity(&headers, &envelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            document_name: "Sync.Item".into(),
            from_logical_id: "lid://a".into(),
            character_set: "utf-8".into(),
            document_id: Some("I1".into()),
            variation_id: Some(7),
            ..Parameters::default()
        }
    }

    const DOCUMENT: &str = "<SyncItem><DataArea><Sync/><Item><DocumentID><ID variationID=\"7\">I1</ID></DocumentID>\
                            </Item></DataArea></SyncItem>";

    #[test]
    fn a_document_that_is_what_its_parameters_say() {
        assert_eq!(check_parameters(&parameters()), Ok(()));
        assert_eq!(check_document(&parameters(), DOCUMENT.as_bytes(), None), Ok(()));
        let failure = check_document(&parameters(), DOCUMENT.as_bytes(), Some("urn:x")).unwrap_err();
        assert_eq!(failure.code, "FOREIGN_NAMESPACE");
    }

    #[test]
    fn a_contradiction_is_told_with_both_sides() {
        type Change = fn(&mut Parameters);
        let changes: [(Change, &str, &str); 3] = [
            (|p| p.document_id = Some("I2".into()), "HEADER_CONTRADICTS", "I2"),
            (|p| p.variation_id = Some(8), "HEADER_CONTRADICTS", "'7'"),
            (|p| p.document_name = "Sync.Order".into(), "BODTYPE_CONTRADICTS", "Sync.Item"),
        ];
        for (change, code, said) in changes {
            let mut parameters = parameters();
            change(&mut parameters);
            let failure = check_document(&parameters, DOCUMENT.as_bytes(), None).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(failure.text.contains(said), "{failure:?}");
        }
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        type Change = fn(&mut Parameters);
        let changes: [(Change, &str); 7] = [
            (|p| p.document_id = Some("I1\r\nX: y".into()), "HEADER_INVALID"),
            (|p| p.source = Some("a\0b".into()), "HEADER_INVALID"),
            (|p| p.location = Some("L".repeat(23)), "ID_TOO_LONG"),
            (|p| p.to_logical_id = format!("lid://{}", "x".repeat(245)), "ID_TOO_LONG"),
            (|p| p.message_id = "m".repeat(251), "ID_TOO_LONG"),
            (|p| p.character_set = "ISO-8859-1".into(), "NOT_UTF8"),
            (
                |p| p.custom = (0..4).map(|n| (format!("custom_{n}"), String::new())).collect(),
                "TOO_MANY_CUSTOM_HEADERS",
            ),
        ];
        for (change, code) in changes {
            let mut parameters = parameters();
            change(&mut parameters);
            assert_eq!(check_parameters(&parameters).unwrap_err().code, code);
        }
        // Characters are counted, not bytes.
        let parameters = Parameters { location: Some("ü".repeat(22)), ..parameters() };
        assert_eq!(check_parameters(&parameters), Ok(()));
    }
}
