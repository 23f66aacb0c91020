//! What the event reader could not read, told as what it most likely is: cut off, a DTD, or a slip in the writing.

use quick_xml::errors::{Error, IllFormedError, SyntaxError};

use super::wellformed::{Flaw, trim};
use crate::domain::failure::FailureCode;

/// The reader's error at a byte offset of the text; `root` is the root element's local name, as far as it was read.
pub(super) fn flaw(error: &Error, at: usize, text: &str, root: Option<&str>) -> Flaw {
    let rest = text.get(at..).unwrap_or_default();
    let cut_off = |within| cut_off(at, within, text, root);
    match error {
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => {
            Flaw::malformed(at, "'--' within a comment")
        }
        Error::IllFormed(IllFormedError::UnclosedReference) if rest.contains(['<', ' ', '\n']) => {
            Flaw::malformed(at, "'&' that begins no reference; it is written &amp;")
        }
        Error::IllFormed(IllFormedError::UnclosedReference) => cut_off("a reference"),
        Error::IllFormed(IllFormedError::MissingDoctypeName) => doctype(at),
        Error::Syntax(SyntaxError::UnclosedDoctype) => doctype(at),
        Error::Syntax(SyntaxError::InvalidBangMarkup) => bang(at, rest).unwrap_or_else(|| cut_off("a tag")),
        Error::Syntax(SyntaxError::UnclosedComment) => cut_off("a comment"),
        Error::Syntax(SyntaxError::UnclosedCData) => cut_off("CDATA"),
        Error::Syntax(SyntaxError::UnclosedPI | SyntaxError::UnclosedXmlDecl) => {
            cut_off("a processing instruction")
        }
        Error::Syntax(SyntaxError::UnclosedTag) => cut_off("a tag"),
        Error::Syntax(
            SyntaxError::UnclosedSingleQuotedAttributeValue | SyntaxError::UnclosedDoubleQuotedAttributeValue,
        ) => cut_off("the value of an attribute"),
        // What else the reader knows belongs to parts of it that are not used here.
        _ => Flaw::malformed(at, format!("the document cannot be read: {error}")),
    }
}

/// What a `<!` begins that the reader does not know; `None` where the document ends before it can be told.
fn bang(at: usize, rest: &str) -> Option<Flaw> {
    let is = |word: &str| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if ["<!DOCTYPE", "<!ENTITY", "<!ELEMENT", "<!ATTLIST", "<!NOTATION"].into_iter().any(is) {
        return Some(doctype(at));
    }
    if ["<!--", "<![CDATA[", "<!DOCTYPE"].into_iter().any(|word| word.starts_with(rest)) {
        return None;
    }
    Some(Flaw::malformed(at, "'<!' that begins neither a comment nor CDATA"))
}

/// The document ends within something: it was cut off, unless its root's end tag stands at its end and only a
/// quote or bracket is missing before.
fn cut_off(at: usize, within: &str, text: &str, root: Option<&str>) -> Flaw {
    let is_whole = root.is_some_and(|name| {
        trim(text)
            .strip_suffix('>')
            .is_some_and(|whole| trim(whole).ends_with(name) && whole.rfind("</") > Some(at))
    });
    if is_whole {
        return Flaw::malformed(at, format!("{within} that begins here has no end"));
    }
    Flaw::new(FailureCode::XmlCutOff, at, format!("the document ends within {within} that begins here"))
}

pub(super) fn doctype(at: usize) -> Flaw {
    Flaw::new(FailureCode::DtdNotAllowed, at, "a DOCTYPE or entity declaration")
}
