//! Cutting a multipart body into parts: tolerant of how others write it, strict about what was cut off.

use bytes::Bytes;

use super::{Malformed, malformed};

/// The header lines of one part, bytes.
const MAX_PART_HEAD: usize = 16 * 1024;

/// One part of a body.
pub(super) struct Part {
    /// Empty where the part gives none.
    pub(super) name: String,
    pub(super) content: Bytes,
}

/// Cuts a multipart body into its parts without copying. Lines may end in LF alone; a preamble and an epilogue are
/// passed over; the closing boundary must be there, since a body without it was cut off.
pub(super) fn split(content_type: &str, body: &Bytes, max_parts: usize) -> Result<Vec<Part>, Malformed> {
    let Some(boundary) = boundary_of(content_type) else {
        return malformed("the Content-Type is not multipart with a boundary");
    };
    let delimiter = format!("\n--{boundary}");
    let finder = memchr::memmem::Finder::new(delimiter.as_bytes());
    let mut parts = Vec::new();
    let mut at = match body.starts_with(&delimiter.as_bytes()[1..]) {
        true => delimiter.len() - 1,
        false => match finder.find(body) {
            Some(found) => found + delimiter.len(),
            None => return malformed("the boundary of the Content-Type is not in the body"),
        },
    };
    while !body[at..].starts_with(b"--") {
        if parts.len() == max_parts {
            return malformed(format!("the body has more than {max_parts} parts"));
        }
        let Some(line_end) = memchr::memchr(b'\n', &body[at..]) else {
            return malformed("the body ends in a boundary");
        };
        let (name, start) = read_part_head(body, at + line_end + 1)?;
        // From the line end before the content, so that an empty content finds its delimiter too.
        let mut from = start - 1;
        let end = loop {
            let Some(found) = finder.find(&body[from..]).map(|found| from + found) else {
                return malformed("the body ends before the closing boundary");
            };
            let after = body.get(found + delimiter.len()).copied();
            // A longer line that begins like the delimiter belongs to the content.
            if matches!(after, Some(b'-' | b'\r' | b'\n' | b' ' | b'\t')) {
                break found;
            }
            from = found + 1;
        };
        let cut = if end > start && body[end - 1] == b'\r' { end - 1 } else { end.max(start) };
        parts.push(Part { name, content: body.slice(start..cut) });
        at = end + delimiter.len();
    }
    Ok(parts)
}

/// The part's name and where its content begins.
fn read_part_head(body: &Bytes, start: usize) -> Result<(String, usize), Malformed> {
    let mut name = String::new();
    let mut at = start;
    loop {
        let Some(length) = memchr::memchr(b'\n', &body[at..]) else {
            return malformed("a part ends within its header lines");
        };
        if at + length - start > MAX_PART_HEAD {
            return malformed(format!("a part has more than {MAX_PART_HEAD} bytes of header lines"));
        }
        let line = body[at..at + length].trim_ascii_end();
        at += length + 1;
        if line.is_empty() {
            return Ok((name, at));
        }
        let line = String::from_utf8_lossy(line);
        if let Some((key, value)) = line.split_once(':')
            && key.trim().eq_ignore_ascii_case("content-disposition")
        {
            name = attribute(value, "name").unwrap_or_default().to_owned();
        }
    }
}

fn boundary_of(content_type: &str) -> Option<&str> {
    let is_multipart =
        content_type.trim_start().get(..10).is_some_and(|it| it.eq_ignore_ascii_case("multipart/"));
    // RFC 2046 §5.1.1 allows 70 characters.
    attribute(content_type, "boundary").filter(|it| is_multipart && !it.is_empty() && it.len() <= 70)
}

/// The value of `key` in `text; key=value; key="value"`.
fn attribute<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split(';').skip(1).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim().trim_matches('"'))
    })
}
