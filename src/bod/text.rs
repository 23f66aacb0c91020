//! From bytes to text: UTF-8 and nothing else, told by the bytes themselves and by the XML declaration.
//!
//! ION takes UTF-8 only (spec/bod.md §1). A wrong encoding is the commonest way to make a document unreadable
//! (spec/pains.md 34), so each kind of it has its own words.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::payload;
use super::wellformed::{self, BYTE_ORDER_MARK, Flaw, shown};
use crate::domain::failure::FailureCode;

/// The declaration is looked for in no more bytes than these.
const MAX_DECLARATION: usize = 1024;

/// The document as text, a byte order mark of UTF-8 included.
pub(super) fn utf8(document: &[u8]) -> Result<&str, Flaw> {
    if let Some(encoding) = foreign_encoding(document) {
        return Err(Flaw::new(FailureCode::NotUtf8, 0, format!("the document is {encoding}, not UTF-8")));
    }
    if payload::looks_deflated(document) {
        let what = "the document looks deflated, but the header Compression does not say so";
        return Err(Flaw::new(FailureCode::NotXml, 0, what));
    }
    std::str::from_utf8(document).map_err(|error| {
        let at = error.valid_up_to();
        if error.error_len().is_none() {
            return Flaw::new(FailureCode::XmlCutOff, at, "the document ends within a character of UTF-8");
        }
        let declared = declared_encoding(document)
            .and_then(|range| document.get(range))
            .map(|name| format!("; its declaration says {}", shown(&String::from_utf8_lossy(name))))
            .unwrap_or_default();
        Flaw::new(FailureCode::NotUtf8, at, format!("the byte 0x{:02X} is not UTF-8{declared}", document[at]))
    })
}

/// UTF-16 and UTF-32 by their byte order marks, or by how `<` looks in them.
fn foreign_encoding(document: &[u8]) -> Option<&'static str> {
    match document {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
            Some("UTF-32")
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'<', 0, ..] | [0, b'<', ..] => Some("UTF-16"),
        _ => None,
    }
}

/// Where the XML declaration names an encoding, as bytes of the document; leniently, the checks come later.
fn declared_encoding(document: &[u8]) -> Option<Range<usize>> {
    let head = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    let skipped = document.len() - head.len();
    let head = &head[..head.len().min(MAX_DECLARATION)];
    if !head.starts_with(b"<?xml") || !head.get(5).is_some_and(|&byte| wellformed::is_space(byte)) {
        return None;
    }
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let name = head[..end].windows(8).position(|word| word == b"encoding")?;
    let opening = name + 8 + head[name + 8..end].iter().position(|byte| matches!(byte, b'"' | b'\''))?;
    let length = head[opening + 1..end].iter().position(|&byte| byte == head[opening])?;
    let start = skipped + opening + 1;
    Some(start..start + length)
}

/// Bytes of a text column, whose declaration names what the column's client once used: UTF-8 is put in its place.
pub(super) fn declare_utf8(document: &Bytes) -> Bytes {
    match declared_encoding(document) {
        Some(range) if !document[range.clone()].eq_ignore_ascii_case(b"UTF-8") => {
            let mut rewritten = Vec::with_capacity(document.len() + "UTF-8".len());
            rewritten.extend_from_slice(&document[..range.start]);
            rewritten.extend_from_slice(b"UTF-8");
            rewritten.extend_from_slice(&document[range.end..]);
            rewritten.into()
        }
        _ => document.clone(),
    }
}

/// The XML declaration at `start..end` of the text: at its very beginning, version 1.x, UTF-8 (or US-ASCII that is).
pub(super) fn check_declaration(text: &str, start: usize, end: usize) -> Result<(), Flaw> {
    if start != 0 {
        return Err(Flaw::malformed(start, "an XML declaration is allowed at the very start only"));
    }
    let mut attributes = Vec::new();
    let inside = &text["<?xml".len()..end - "?>".len()];
    let is_whole = wellformed::read_attributes(inside, "<?xml".len(), &mut attributes)? == inside.len();
    let mut attributes = attributes.iter().map(|attribute| (attribute.name, attribute.value())).peekable();
    let version = attributes.next_if(|(name, _)| *name == "version").map(|(_, value)| value);
    let encoding = attributes.next_if(|(name, _)| *name == "encoding").map(|(_, value)| value);
    let standalone = attributes.next_if(|(name, _)| *name == "standalone").map(|(_, value)| value);
    // XML 1.0 §2.8: a reader of 1.0 takes every 1.x as 1.0.
    let is_version = |value: Cow<'_, str>| {
        value
            .strip_prefix("1.")
            .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|digit| digit.is_ascii_digit()))
    };
    if !version.is_some_and(is_version)
        || standalone.is_some_and(|value| value != "yes" && value != "no")
        || attributes.next().is_some()
        || !is_whole
    {
        let what = "the XML declaration does not read version=\"1.0\", then encoding, then standalone";
        return Err(Flaw::malformed(start, what));
    }
    match encoding {
        None => Ok(()),
        Some(name) if name.eq_ignore_ascii_case("UTF-8") => Ok(()),
        Some(name)
            if (name.eq_ignore_ascii_case("US-ASCII") || name.eq_ignore_ascii_case("ASCII"))
                && text.is_ascii() =>
        {
            Ok(())
        }
        Some(name) => {
            let what = format!("the XML declaration says encoding {}, only UTF-8 is taken", shown(&name));
            Err(Flaw::new(FailureCode::NotUtf8, start, what))
        }
    }
}
