//! Cuts a document into tags, text and references, each a slice of it.
//!
//! Nearly all of a document is plain tags and text, and those are cut here: an event reader that takes no document to
//! be plain cost half of all the work on a message. What is rare (comments, CDATA, instructions, declarations), and
//! whatever cannot be read, goes to quick-xml from where it begins: it knows all of XML, and says what is wrong.

use std::ops::Range;

use memchr::{memchr, memchr3};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::misread;
use super::text;
use super::wellformed::{self, Attribute, Flaw, shown};

/// The document, how far it is cut, and the elements that are open there.
pub(super) struct Cutter<'a> {
    text: &'a str,
    pub at: usize,
    /// Their names as written.
    open: Vec<&'a str>,
    /// Local name of the first element.
    root: Option<&'a str>,
}

/// A piece of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Start(Tag<'a>),
    /// The end tag that was due.
    End,
    Text(&'a str),
    CData(&'a str),
    /// What is between `&` and `;`.
    Reference(&'a str),
    /// A comment, an instruction, the declaration: in order, and of no account.
    Aside,
}

/// A start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// As written.
    pub name: &'a str,
    pub prefix: &'a str,
    pub local: &'a str,
    /// Where what follows the name begins.
    pub attributes_at: usize,
    /// It is its own end tag.
    pub is_empty: bool,
}

impl<'a> Cutter<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::with_capacity(16), root: None }
    }

    /// The next piece, the attributes of a start tag in `attributes`; `None` at the end of the document.
    pub fn next(&mut self, attributes: &mut Vec<Attribute<'a>>) -> Result<Option<Piece<'a>>, Flaw> {
        let piece = match self.text.as_bytes()[self.at..] {
            [] => return Ok(None),
            [b'<', b'/', ..] => self.end_tag()?,
            [b'<', b'!' | b'?', ..] => None,
            [b'<', ..] => self.start_tag(attributes),
            [b'&', ..] => self.reference(),
            _ => Some(self.text()?),
        };
        let piece = match piece {
            Some(piece) => piece,
            None => self.by_the_event_reader(attributes)?,
        };
        if let Piece::Start(tag) = &piece {
            self.root.get_or_insert(tag.local);
            if !tag.is_empty {
                self.open.push(tag.name);
            }
        }
        Ok(Some(piece))
    }

    /// Up to the next tag or reference.
    fn text(&mut self) -> Result<Piece<'a>, Flaw> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start;
        loop {
            end = wellformed::text_end(bytes, end);
            if bytes.get(end) != Some(&b'>') {
                break;
            }
            if bytes[start..end].ends_with(b"]]") {
                return Err(Flaw::malformed(end - 2, "']]>' in text; its '>' is written &gt;"));
            }
            end += 1;
        }
        self.at = end;
        Ok(Piece::Text(&self.text[start..end]))
    }

    /// `None`: it has no end.
    fn end_tag(&mut self) -> Result<Option<Piece<'a>>, Flaw> {
        let start = self.at;
        let rest = &self.text[start + "</".len()..];
        let due = self.open.pop();
        if let Some(due) = due
            && rest.starts_with(due)
            && rest.as_bytes().get(due.len()) == Some(&b'>')
        {
            self.at += "</>".len() + due.len();
            return Ok(Some(Piece::End));
        }
        let Some(length) = memchr(b'>', rest.as_bytes()) else { return Ok(None) };
        let name = rest[..length].trim_end_matches([' ', '\t', '\r', '\n']);
        self.at += "</>".len() + length;
        match due {
            Some(due) if due == name => Ok(Some(Piece::End)),
            Some(due) => {
                let what = format!("</{}> where </{}> is due", shown(name), shown(due));
                Err(Flaw::malformed(start, what))
            }
            None => Err(Flaw::malformed(start, format!("</{}> ends no element", shown(name)))),
        }
    }

    /// `None`: it is nothing plain.
    fn start_tag(&mut self, attributes: &mut Vec<Attribute<'a>>) -> Option<Piece<'a>> {
        let start = self.at + "<".len();
        let bytes = self.text.as_bytes();
        let (length, is_plain) = wellformed::name_length(&bytes[start..]);
        let attributes_at = start + length;
        let name = &self.text[start..attributes_at];
        let (prefix, local) = if is_plain { ("", name) } else { wellformed::split_name(name)? };
        let mut end = attributes_at;
        attributes.clear();
        if bytes.get(end).is_some_and(|&byte| wellformed::is_space(byte)) {
            // What is wrong with them is told where the tag ends for certain.
            end += wellformed::read_attributes(&self.text[end..], end, attributes).ok()?;
        }
        let (is_empty, length) = match bytes[end..] {
            [b'>', ..] => (false, 1),
            [b'/', b'>', ..] => (true, 2),
            _ => return None,
        };
        self.at = end + length;
        Some(Piece::Start(Tag { name, prefix, local, attributes_at, is_empty }))
    }

    /// `None`: it has no end.
    fn reference(&mut self) -> Option<Piece<'a>> {
        let start = self.at + "&".len();
        let bytes = &self.text.as_bytes()[start..];
        let length = memchr3(b';', b'&', b'<', bytes).filter(|&found| bytes[found] == b';')?;
        self.at = start + length + 1;
        Some(Piece::Reference(&self.text[start..start + length]))
    }

    fn by_the_event_reader(&mut self, attributes: &mut Vec<Attribute<'a>>) -> Result<Piece<'a>, Flaw> {
        let start = self.at;
        let mut reader = Reader::from_str(&self.text[start..]);
        reader.config_mut().check_comments = true;
        let event = reader.read_event();
        let end = start + position(reader.buffer_position());
        self.at = end;
        match event {
            Ok(Event::Start(_)) => self.odd_tag(start, start + 1..end - 1, false, attributes),
            Ok(Event::Empty(_)) => self.odd_tag(start, start + 1..end - 2, true, attributes),
            Ok(Event::CData(_)) => Ok(Piece::CData(&self.text[start + "<![CDATA[".len()..end - "]]>".len()])),
            Ok(Event::Decl(_)) => text::check_declaration(self.text, start, end).map(|()| Piece::Aside),
            Ok(Event::PI(_)) => {
                wellformed::check_instruction(start, &self.text[start + 2..end - 2]).map(|()| Piece::Aside)
            }
            Ok(Event::Comment(_)) => Ok(Piece::Aside),
            Ok(Event::DocType(_)) => Err(misread::doctype(start)),
            // What the event reader takes for these is cut above, or has no end.
            Ok(Event::End(_) | Event::Text(_) | Event::GeneralRef(_) | Event::Eof) => {
                Err(Flaw::malformed(start, "the document cannot be read from here on"))
            }
            Err(error) => {
                let at = start + position(reader.error_position());
                Err(misread::flaw(&error, at, self.text, self.root))
            }
        }
    }

    /// A tag with anything but plain names in it: what is wrong with it is told here.
    fn odd_tag(
        &self,
        start: usize,
        inside: Range<usize>,
        is_empty: bool,
        attributes: &mut Vec<Attribute<'a>>,
    ) -> Result<Piece<'a>, Flaw> {
        let tag = &self.text[inside];
        let length = tag.bytes().position(wellformed::is_space).unwrap_or(tag.len());
        let (name, rest) = tag.split_at(length);
        let Some((prefix, local)) = wellformed::split_name(name) else {
            return Err(Flaw::malformed(start, format!("<{}> is not the name of an element", shown(name))));
        };
        let attributes_at = start + 1 + length;
        wellformed::read_attributes(rest, attributes_at, attributes)?;
        Ok(Piece::Start(Tag { name, prefix, local, attributes_at, is_empty }))
    }
}

/// Positions come as 64 bits and always lie within the document.
fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
