//! What XML 1.0 and its namespaces demand of the pieces of a document: characters, names, references, attributes,
//! prefixes.
//!
//! Everything here works on slices of the document and copies nothing that is not asked for; every list is bounded, so
//! that no document costs more than its size.

use std::borrow::Cow;
use std::fmt::Display;

use memchr::{memchr, memchr2, memchr3};

use crate::domain::failure::{Failure, FailureCode};

/// Most attributes of one element, and most namespace declarations in scope at once.
const MAX_NAMES: usize = 256;
/// Most characters of a foreign value that a text repeats.
const SHOWN_CHARACTERS: usize = 80;
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// Something wrong at a place of the document; it becomes a `Failure` when line and column are counted.
#[derive(Debug)]
pub(super) struct Flaw {
    pub code: FailureCode,
    /// Byte offset from the start of the document.
    pub at: usize,
    pub what: String,
}

impl Flaw {
    pub fn new(code: FailureCode, at: usize, what: impl Into<String>) -> Self {
        Self { code, at, what: what.into() }
    }

    pub fn malformed(at: usize, what: impl Into<String>) -> Self {
        Self::new(FailureCode::XmlMalformed, at, what)
    }

    /// Lines and columns count from 1, columns in characters.
    pub fn into_failure(self, document: &[u8]) -> Failure {
        let before = &document[..self.at.min(document.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line_text = &before[line_start..];
        let line_text = line_text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line_text);
        // Continuation bytes of UTF-8 are no characters of their own.
        let column = line_text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
        Failure::new(self.code, format!("{} (line {line}, column {column}, byte {})", self.what, self.at))
    }
}

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A foreign value as texts repeat it: short, and with nothing in it that breaks a line.
pub(super) fn shown(value: &str) -> impl Display {
    let mut text: String = value.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN_CHARACTERS).is_some() {
        text.push('…');
    }
    text
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The text without the white space of XML at its ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// The trimmed text, if there is any.
pub(super) fn filled(text: &str) -> Option<String> {
    let text = trim(text);
    (!text.is_empty()).then(|| text.to_owned())
}

/// The first character that XML 1.0 forbids, and its offset.
pub(super) fn forbidden_character(text: &str) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    let suspect = |byte: u8| (byte < 0x20 && !is_space(byte)) | (byte == 0xEF);
    for (index, chunk) in bytes.chunks(256).enumerate() {
        // Without a branch for each byte the compiler tests many at once; 0xEF begins U+FFFE and U+FFFF.
        if !chunk.iter().fold(false, |found, &byte| found | suspect(byte)) {
            continue;
        }
        for at in index * 256..index * 256 + chunk.len() {
            let forbidden = match bytes[at] {
                0xEF => matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])),
                byte => suspect(byte),
            };
            if forbidden {
                return text[at..].chars().next().map(|character| (at, character));
            }
        }
    }
    None
}

/// The rules of XML 1.0, fifth edition, but for U+FEFF: most parsers keep to the fourth, which leaves it out, and
/// what stands within a name is a byte order mark that somebody pasted.
fn is_name_start(character: char) -> bool {
    matches!(character,
        'A'..='Z' | 'a'..='z' | '_' | ':'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FEFE}'
        | '\u{FF00}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_character(character: char) -> bool {
    is_name_start(character)
        || matches!(character, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Whether it is a Name (XML 1.0 §2.3).
pub(super) fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(is_name_start) && characters.all(is_name_character)
}

/// Ends a name that is ASCII and without a prefix; any name; text; the value of an attribute, or its being literal.
const ENDS_PLAIN_NAME: u8 = 1;
const ENDS_NAME: u8 = 2;
const ENDS_TEXT: u8 = 4;
const ENDS_VALUE: u8 = 8;
/// No name begins with it.
const NOT_FIRST: u8 = 16;

/// What each byte means to what it stands in.
const BYTES: [u8; 256] = {
    let mut told = [0; 256];
    let mut byte = 0;
    while byte < told.len() {
        told[byte] = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => 0,
            b'0'..=b'9' | b'-' | b'.' => NOT_FIRST,
            b':' | 0x80.. => ENDS_PLAIN_NAME,
            b'<' | b'&' => ENDS_PLAIN_NAME | ENDS_NAME | ENDS_TEXT | ENDS_VALUE,
            b'>' => ENDS_PLAIN_NAME | ENDS_NAME | ENDS_TEXT,
            b'"' | b'\'' => ENDS_PLAIN_NAME | ENDS_NAME | ENDS_VALUE,
            _ => ENDS_PLAIN_NAME | ENDS_NAME,
        };
        byte += 1;
    }
    told
};

/// Where the first byte is that ends it. Names, values and most texts are so short that to look at each byte is quicker
/// than to call for a search.
fn end_of(kind: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| BYTES[usize::from(byte)] & kind != 0)
}

/// How long the name is that a text begins with, as far as it may go on; and whether it is plain: ASCII, without a prefix.
pub(super) fn name_length(bytes: &[u8]) -> (usize, bool) {
    let plain = end_of(ENDS_PLAIN_NAME, bytes).unwrap_or(bytes.len());
    let more = end_of(ENDS_NAME, &bytes[plain..]).unwrap_or(bytes.len() - plain);
    let begins_well = plain > 0 && BYTES[usize::from(bytes[0])] & NOT_FIRST == 0;
    (plain + more, begins_well && more == 0)
}

/// Prefix (empty where there is none) and local part of a qualified name.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    // Nearly all names are short and ASCII: one look at each byte tells all, and names are half of what there is to check.
    if name_length(name.as_bytes()) == (name.len(), true) {
        return Some(("", name));
    }
    if !is_name(name) {
        return None;
    }
    let Some((prefix, local)) = name.split_once(':') else { return Some(("", name)) };
    (!prefix.is_empty() && !local.contains(':') && is_name(local)).then_some((prefix, local))
}

/// The character that a reference stands for, given what is between `&` and `;`. A BOD has no DTD, so there are
/// only the five entities of XML itself.
pub(super) fn resolve_reference(name: &str) -> Option<char> {
    let number = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => name.strip_prefix('#')?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    // Rust's own parser would also take a sign.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    let allowed =
        !matches!(character, '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}') || "\t\r\n".contains(character);
    allowed.then_some(character)
}

/// An attribute as written: its value still holds its references.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    /// The name is ASCII, without a prefix.
    is_plain: bool,
    raw_value: &'a str,
    at: usize,
}

impl<'a> Attribute<'a> {
    /// The value with references resolved and white space made blanks (XML 1.0 §3.3.3).
    pub fn value(&self) -> Cow<'a, str> {
        let raw = self.raw_value;
        if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\r' | b'\n')) {
            return Cow::Borrowed(raw);
        }
        let mut value = String::with_capacity(raw.len());
        let mut pieces = raw.split('&');
        let mut push =
            |text: &str| value.extend(text.chars().map(|c| if "\t\r\n".contains(c) { ' ' } else { c }));
        push(pieces.next().unwrap_or_default());
        let mut resolved = String::new();
        for piece in pieces {
            let (name, rest) = piece.split_once(';').unwrap_or((piece, ""));
            resolved.clear();
            resolved.extend(resolve_reference(name));
            push(&resolved);
            push(rest);
        }
        Cow::Owned(value)
    }

    fn check_value(&self, value_at: usize) -> Result<(), Flaw> {
        let mut rest = self.raw_value;
        while let Some(found) = memchr2(b'<', b'&', rest.as_bytes()) {
            let at = value_at + self.raw_value.len() - rest.len() + found;
            if rest.as_bytes()[found] == b'<' {
                return Err(Flaw::malformed(
                    at,
                    format!("'<' in the value of attribute {}", shown(self.name)),
                ));
            }
            rest = after_reference(&rest[found + 1..], at)?;
        }
        Ok(())
    }
}

/// What follows a reference, given what follows its `&`.
fn after_reference(text: &str, at: usize) -> Result<&str, Flaw> {
    let Some((name, rest)) = text.split_once(';') else {
        return Err(Flaw::malformed(at, "'&' that begins no reference; it is written &amp;"));
    };
    resolve_reference(name).map(|_| rest).ok_or_else(|| undefined_reference(name, at))
}

pub(super) fn undefined_reference(name: &str, at: usize) -> Flaw {
    let name = shown(name);
    Flaw::malformed(
        at,
        format!("&{name}; is not defined: XML knows amp, lt, gt, quot, apos and character numbers"),
    )
}

/// Where the value that begins at `start` ends, and whether it holds neither '<' nor '&'.
fn value_end(bytes: &[u8], start: usize, quote: u8) -> Option<(usize, bool)> {
    let mut end = start;
    loop {
        end += end_of(ENDS_VALUE, &bytes[end..])?;
        match bytes[end] {
            b'<' | b'&' => return memchr(quote, &bytes[end..]).map(|more| (end + more, false)),
            found if found == quote => return Some((end, true)),
            // The other kind of quote.
            _ => end += 1,
        }
    }
}

/// Where text that begins at `start` meets the next '<', '&' or '>', or the end.
pub(super) fn text_end(bytes: &[u8], start: usize) -> usize {
    /// Beyond it a search pays.
    const SHORT: usize = 32;
    let long = bytes.len().min(start + SHORT);
    let end = end_of(ENDS_TEXT, &bytes[start..long]).map(|length| start + length);
    end.or_else(|| memchr3(b'<', b'&', b'>', &bytes[long..]).map(|length| long + length))
        .unwrap_or(bytes.len())
}

/// Cuts what follows a tag's name into attributes, up to the end of the tag or of `raw`; answers how long they are.
/// `at` is the byte offset of `raw`.
pub(super) fn read_attributes<'a>(
    raw: &'a str,
    at: usize,
    into: &mut Vec<Attribute<'a>>,
) -> Result<usize, Flaw> {
    into.clear();
    let bytes = raw.as_bytes();
    let skip_space = |mut here: usize| {
        while bytes.get(here).is_some_and(|&byte| is_space(byte)) {
            here += 1;
        }
        here
    };
    let mut end = 0;
    loop {
        let start = skip_space(end);
        if matches!(bytes[start..], [] | [b'>', ..] | [b'/', b'>', ..]) {
            return Ok(start);
        }
        if start == end {
            return Err(Flaw::malformed(at + start, "no white space before an attribute"));
        }
        let (length, is_plain) = name_length(&bytes[start..]);
        let mut name_end = start + length;
        while bytes.get(name_end).is_some_and(|&byte| byte != b'=' && !is_space(byte)) {
            name_end += 1;
        }
        let name = &raw[start..name_end];
        let is_plain = is_plain && name.len() == length;
        let equals = skip_space(name_end);
        if bytes.get(equals) != Some(&b'=') {
            return Err(Flaw::malformed(at + start, format!("{} is not an attribute", shown(name))));
        }
        let opening = skip_space(equals + 1);
        let value_start = opening + 1;
        let value_end = match bytes.get(opening) {
            Some(quote @ (b'"' | b'\'')) => value_end(bytes, value_start, *quote),
            _ => None,
        };
        let Some((value_end, is_literal)) = value_end else {
            return Err(Flaw::malformed(
                at + start,
                format!("the value of attribute {} is not in quotes", shown(name)),
            ));
        };
        let attribute = Attribute { name, is_plain, raw_value: &raw[value_start..value_end], at: at + start };
        if !is_literal {
            attribute.check_value(at + value_start)?;
        }
        if into.len() == MAX_NAMES {
            return Err(Flaw::malformed(
                at + start,
                format!("more than {MAX_NAMES} attributes in one element"),
            ));
        }
        into.push(attribute);
        end = value_end + 1;
    }
}

/// What is between `<?` and `?>`, other than the XML declaration.
pub(super) fn check_instruction(start: usize, content: &str) -> Result<(), Flaw> {
    let target = content.split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
    if target.eq_ignore_ascii_case("xml") {
        return Err(Flaw::malformed(start, "the target xml belongs to the declaration at the very start"));
    }
    if !is_name(target) || target.contains(':') {
        let what = format!("<?{}?> is not a processing instruction", shown(target));
        return Err(Flaw::malformed(start, what));
    }
    Ok(())
}

/// The namespace declarations in scope, and the attributes of the element just entered.
#[derive(Default)]
pub(super) struct Scope<'a> {
    bindings: Vec<Binding<'a>>,
    pub attributes: Vec<Attribute<'a>>,
}

struct Binding<'a> {
    depth: usize,
    prefix: &'a str,
    namespace: Cow<'a, str>,
}

impl<'a> Scope<'a> {
    /// Takes in the tag of an element at `depth`, with its prefix and `attributes`: all that they must obey. `at` is
    /// where the attributes begin.
    pub fn enter(&mut self, prefix: &str, at: usize, depth: usize) -> Result<(), Flaw> {
        if !self.attributes.is_empty() {
            self.declare(depth)?;
            self.check_attributes()?;
        }
        if !prefix.is_empty() && self.namespace(prefix).is_none() {
            return Err(Flaw::malformed(at, format!("the prefix {} is not declared", shown(prefix))));
        }
        Ok(())
    }

    /// Forgets what the element at `depth` declared.
    pub fn leave(&mut self, depth: usize) {
        while self.bindings.last().is_some_and(|binding| binding.depth >= depth) {
            self.bindings.pop();
        }
    }

    /// The namespace of a prefix (empty: the default namespace); `None` where it is not declared or taken back.
    pub fn namespace(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_NAMESPACE);
        }
        let binding = self.bindings.iter().rev().find(|binding| binding.prefix == prefix)?;
        (!binding.namespace.is_empty()).then_some(&*binding.namespace)
    }

    /// The value of an attribute by its local name.
    pub fn attribute(&self, local_name: &str) -> Option<Cow<'a, str>> {
        let is_it = |name: &str| name.split_once(':').map_or(name, |(_, local)| local) == local_name;
        self.attributes.iter().find(|attribute| is_it(attribute.name)).map(Attribute::value)
    }

    fn declare(&mut self, depth: usize) -> Result<(), Flaw> {
        for attribute in &self.attributes {
            let prefix = match attribute.name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) if rest.starts_with(':') => &rest[1..],
                _ => continue,
            };
            let namespace = attribute.value();
            let refused = match (prefix, &*namespace) {
                ("xml", XML_NAMESPACE) => continue,
                ("xml" | "xmlns", _) | (_, XML_NAMESPACE | XMLNS_NAMESPACE) => true,
                (prefix, "") => !prefix.is_empty(),
                _ => false,
            };
            if refused || self.bindings.len() == MAX_NAMES {
                let why = if refused { "is not allowed" } else { "is one too many in scope" };
                let name = shown(attribute.name);
                return Err(Flaw::malformed(attribute.at, format!("the namespace declaration {name} {why}")));
            }
            self.bindings.push(Binding { depth, prefix, namespace });
        }
        Ok(())
    }

    /// Names are qualified names with declared prefixes, and none comes twice, neither as written nor as meant.
    fn check_attributes(&self) -> Result<(), Flaw> {
        // Few attributes, the usual case, need no list and no sorting.
        if self.attributes.len() <= 8 {
            for (index, attribute) in self.attributes.iter().enumerate() {
                let mut earlier = self.attributes[..index].iter();
                let is_twice = if attribute.is_plain {
                    earlier.any(|earlier| earlier.name == attribute.name)
                } else {
                    let name = self.expanded_name(attribute)?;
                    earlier
                        .filter(|earlier| !earlier.is_plain)
                        .any(|earlier| self.expanded_name(earlier).is_ok_and(|earlier| earlier == name))
                };
                if is_twice {
                    return Err(twice(attribute));
                }
            }
            return Ok(());
        }
        let mut names = Vec::with_capacity(self.attributes.len());
        for attribute in &self.attributes {
            names.push((self.expanded_name(attribute)?, attribute));
        }
        names.sort_unstable_by_key(|(name, attribute)| (*name, attribute.at));
        match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(twice(pair[1].1)),
            None => Ok(()),
        }
    }

    /// Local name and namespace; the local name first, because it tells most attributes apart.
    fn expanded_name(&self, attribute: &Attribute<'a>) -> Result<(&'a str, &str), Flaw> {
        let Some((prefix, local)) = split_name(attribute.name) else {
            return Err(Flaw::malformed(attribute.at, format!("{} is not a name", shown(attribute.name))));
        };
        let namespace = match prefix {
            "" => Some(""),
            "xmlns" => Some(XMLNS_NAMESPACE),
            _ => self.namespace(prefix),
        };
        let namespace = namespace.ok_or_else(|| {
            Flaw::malformed(attribute.at, format!("the prefix {} is not declared", shown(prefix)))
        })?;
        Ok((local, namespace))
    }
}

fn twice(attribute: &Attribute<'_>) -> Flaw {
    Flaw::malformed(attribute.at, format!("the attribute {} is there twice", shown(attribute.name)))
}
