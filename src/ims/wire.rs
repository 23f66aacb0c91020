//! The wire format of the IMS, both ways: composing the body of a post, and reading one leniently.
//!
//! Nothing here knows sockets or credentials. What is composed is strict; what is read is accepted in every form that
//! spec/ims.md §5 and §6 know, and a `Malformed` says what is wrong in words fit for the other side.

mod multipart;

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{MapAccess, Visitor};

use self::multipart::{Part, split};
use crate::bod::{self, NotInflated};
use crate::domain::message::{Encoding, Parameters, Parcel};

/// The prefix of parameters that travel as headers (spec/ims.md §6.1).
const HEADER_PREFIX: &str = "x-infor-ion-";
/// The two parts of a multipartMessage (spec/ims.md §5).
const PARAMETER_PART: &str = "ParameterRequest";
const PAYLOAD_PART: &str = "MessagePayload";

/// What was received is not a message; the text says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Malformed {
    pub what: String,
    /// It is only too large.
    pub is_too_large: bool,
}

fn malformed<T>(what: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed { what: what.into(), is_too_large: false })
}

fn too_large<T>(what: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed { what: what.into(), is_too_large: true })
}

/// Composes bodies with one boundary: random per process, so that no document holds it by chance.
pub struct Composer {
    content_type: HeaderValue,
    before_parameters: Vec<u8>,
    before_payload: Vec<u8>,
    payload_only: Bytes,
    trailer: Bytes,
}

impl Default for Composer {
    fn default() -> Self {
        let boundary = format!("bodrelay-{:032x}", fastrand::u128(..));
        let part = |name: &str, content_type: &str| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {content_type}\r\n\r\n"
            )
        };
        let payload = part(PAYLOAD_PART, "application/octet-stream");
        let content_type = Bytes::from(format!("multipart/form-data; boundary={boundary}"));
        Self {
            content_type: HeaderValue::from_maybe_shared(content_type)
                .unwrap_or_else(|_| HeaderValue::from_static("multipart/form-data")),
            before_parameters: part(PARAMETER_PART, "application/json").into_bytes(),
            before_payload: format!("\r\n{payload}").into_bytes(),
            payload_only: payload.into(),
            trailer: format!("\r\n--{boundary}--\r\n").into(),
        }
    }
}

impl Composer {
    /// The `Content-Type` of every body of this composer.
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The two parts of a `multipartMessage`. The payload is not copied.
    pub fn message(&self, parcel: &Parcel) -> MessageBody {
        /// Parameters of a usual message fit in without growing.
        const USUAL_PARAMETERS: usize = 640;
        let mut head =
            Vec::with_capacity(self.before_parameters.len() + USUAL_PARAMETERS + self.before_payload.len());
        head.extend_from_slice(&self.before_parameters);
        write_parameters(&parcel.parameters, &mut head);
        head.extend_from_slice(&self.before_payload);
        MessageBody::new(head.into(), parcel.payload.clone(), self.trailer.clone())
    }

    /// The one part of `message/multipart`, whose parameters travel elsewhere.
    pub fn payload_only(&self, payload: &Bytes) -> MessageBody {
        MessageBody::new(self.payload_only.clone(), payload.clone(), self.trailer.clone())
    }
}

/// A request body of three chunks, with a known length.
pub struct MessageBody {
    chunks: [Bytes; 3],
    next: usize,
}

impl MessageBody {
    fn new(head: Bytes, payload: Bytes, trailer: Bytes) -> Self {
        Self { chunks: [head, payload, trailer], next: 0 }
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.chunks[self.next..].iter().map(|chunk| chunk.len() as u64).sum()
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.next < self.chunks.len() {
            let next = self.next;
            self.next += 1;
            // An empty frame would be read as the end of a chunked body.
            if !self.chunks[next].is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.chunks[next])))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

enum Field<'a> {
    Text(&'a str),
    Number(i64),
    Flag(bool),
}

/// Calls `each` with every parameter that is there, under its name of spec/ims.md §5.1.
fn each_parameter<'a>(parameters: &'a Parameters, mut each: impl FnMut(&'a str, Field<'a>)) {
    let Parameters {
        document_name,
        message_id,
        from_logical_id,
        to_logical_id,
        encoding,
        character_set,
        accounting_entity,
        location,
        document_id,
        variation_id,
        revision_id,
        batch_id,
        batch_sequence,
        batch_size,
        batch_revision,
        batch_abort_indicator,
        instances,
        source,
        source_publication_date,
        custom,
    } = parameters;
    let encoding = match encoding {
        Encoding::None => "NONE",
        Encoding::Deflate => "DEFLATE",
    };
    each("documentName", Field::Text(document_name));
    each("messageId", Field::Text(message_id));
    each("fromLogicalId", Field::Text(from_logical_id));
    each("toLogicalId", Field::Text(to_logical_id));
    each("encoding", Field::Text(encoding));
    each("characterSet", Field::Text(character_set));
    for (name, value) in [
        ("accountingEntity", accounting_entity),
        ("location", location),
        ("documentId", document_id),
        ("revisionId", revision_id),
        ("batchId", batch_id),
        ("source", source),
        ("sourcePublicationDate", source_publication_date),
    ] {
        if let Some(value) = value {
            each(name, Field::Text(value));
        }
    }
    for (name, value) in [
        ("variationId", variation_id),
        ("batchSequence", batch_sequence),
        ("batchSize", batch_size),
        ("batchRevision", batch_revision),
        ("instances", instances),
    ] {
        if let Some(value) = value {
            each(name, Field::Number(*value));
        }
    }
    if let Some(value) = batch_abort_indicator {
        each("batchAbortIndicator", Field::Flag(*value));
    }
    for (name, value) in custom {
        each(name, Field::Text(value));
    }
}

/// The `ParameterRequest` JSON. Written by hand because it is on the hot path and cannot fail this way.
fn write_parameters(parameters: &Parameters, out: &mut Vec<u8>) {
    let mut separator = b'{';
    each_parameter(parameters, |name, value| {
        out.push(separator);
        separator = b',';
        write_json_text(name, out);
        out.push(b':');
        match value {
            Field::Text(text) => write_json_text(text, out),
            Field::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Field::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        }
    });
    out.push(b'}');
}

fn write_json_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    out.push(b'"');
    while let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let byte = rest[plain];
        out.extend_from_slice(&rest[..plain]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Puts the parameters of `message/multipart` into headers `X-Infor-ION-<name>`, and into the query what a header
/// cannot carry unharmed: text beyond ASCII, blanks at the ends, and custom parameters, whose names keep their case
/// only there (spec/ims.md §5.1, §6.1).
pub fn spread_parameters(parameters: &Parameters, headers: &mut HeaderMap, url: &mut Url) {
    each_parameter(parameters, |name, value| {
        let text = match value {
            Field::Text(text) => Cow::Borrowed(text),
            Field::Number(number) => Cow::Owned(number.to_string()),
            Field::Flag(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
        };
        let fits = !is_custom(name) && text.trim() == text && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        let header = HeaderName::from_bytes(format!("{HEADER_PREFIX}{name}").as_bytes());
        match (fits, header, HeaderValue::from_str(&text)) {
            (true, Ok(header), Ok(value)) => {
                headers.insert(header, value);
            }
            _ => {
                url.query_pairs_mut().append_pair(name, &text);
            }
        }
    });
}

fn is_custom(name: &str) -> bool {
    name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("custom_"))
}

/// A message as it came in; the payload is still encoded.
#[derive(Debug, Clone)]
pub struct Received {
    pub parameters: Parameters,
    pub payload: Bytes,
}

/// Reads a `multipartMessage` (v2 or v3). Parts are told by name, and by content where names do not fit: v2 senders
/// have swapped them (spec/ims.md §5).
///
/// # Errors
/// More than `max_parts` parts, no parameters, no payload or more than one, or what is wrong with them.
pub fn read_multipart_message(
    content_type: &str,
    body: &Bytes,
    max_parts: usize,
) -> Result<Received, Malformed> {
    let parts = split(content_type, body, max_parts)?;
    let named = |part: &Part, name: &str| part.name.eq_ignore_ascii_case(name);
    let mut first_trouble = None;
    let mut found = None;
    // The rightly named part first, so that a JSON document that holds a documentName is not taken for it.
    let by_name = (0..parts.len()).filter(|&i| named(&parts[i], PARAMETER_PART));
    let others = (0..parts.len()).filter(|&i| !named(&parts[i], PARAMETER_PART));
    for index in by_name.chain(others) {
        match read_parameters(&parts[index].content) {
            Ok(parameters) => {
                found = Some((index, parameters));
                break;
            }
            Err(trouble) => drop(first_trouble.get_or_insert(trouble)),
        }
    }
    let Some((at, parameters)) = found else {
        return first_trouble.map_or_else(|| malformed("the body has no parts"), Err);
    };
    let rest = parts.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, part)| part);
    Ok(Received { parameters, payload: payload_of(rest)? })
}

/// The one payload: by its name, or the only part that there is.
fn payload_of<'a>(parts: impl Iterator<Item = &'a Part> + Clone) -> Result<Bytes, Malformed> {
    let named = || parts.clone().filter(|part| part.name.eq_ignore_ascii_case(PAYLOAD_PART));
    let (part, more) = match named().next() {
        Some(part) => (part, named().count()),
        None => match parts.clone().next() {
            Some(part) => (part, parts.clone().count()),
            None => return malformed(format!("the part {PAYLOAD_PART} is missing")),
        },
    };
    if more > 1 {
        return malformed(format!("{more} parts could be {PAYLOAD_PART}; one is due"));
    }
    Ok(part.content.clone())
}

/// Reads a `message/multipart`: one part, its parameters in headers or query, headers first, whatever their case.
pub fn read_message(
    content_type: &str,
    body: &Bytes,
    headers: &HeaderMap,
    query: Option<&str>,
    max_parts: usize,
) -> Result<Received, Malformed> {
    let mut reader = ParameterReader::default();
    for (name, value) in form_fields(query.unwrap_or_default()) {
        let lower = name.to_ascii_lowercase();
        // A custom name's case is its own, so only the prefix is cut.
        let name = lower.strip_prefix(HEADER_PREFIX).map_or(&*name, |rest| &name[name.len() - rest.len()..]);
        reader.set(name, value)?;
    }
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix(HEADER_PREFIX) {
            reader.set(name, String::from_utf8_lossy(value.as_bytes()).into_owned())?;
        }
    }
    let parameters = reader.finish()?;
    let parts = split(content_type, body, max_parts)?;
    Ok(Received { parameters, payload: payload_of(parts.iter())? })
}

/// The pairs of a query or of a form body, decoded.
pub fn form_fields(text: &str) -> Vec<(String, String)> {
    match Url::parse(&format!("http://form/?{}", text.replace('#', "%23"))) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => Vec::new(),
    }
}

/// Reads the `ParameterRequest` JSON: numbers as strings and strings as numbers are accepted, null and unknown fields
/// are passed over.
pub fn read_parameters(json: &[u8]) -> Result<Parameters, Malformed> {
    struct Fields;
    impl<'de> Visitor<'de> for Fields {
        type Value = Result<Parameters, Malformed>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut reader = ParameterReader::default();
            let mut trouble = None;
            while let Some((name, value)) = map.next_entry::<Cow<'de, str>, serde_json::Value>()? {
                let text = match value {
                    serde_json::Value::String(text) => text,
                    serde_json::Value::Number(number) => number.to_string(),
                    serde_json::Value::Bool(flag) => flag.to_string(),
                    serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                        continue;
                    }
                };
                if let Err(found) = reader.set(&name, text) {
                    trouble.get_or_insert(found);
                }
            }
            Ok(trouble.map_or_else(|| reader.finish(), Err))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = serde::Deserializer::deserialize_map(&mut deserializer, Fields);
    match read.and_then(|parameters| deserializer.end().map(|()| parameters)) {
        Ok(parameters) => parameters,
        // The error's text is left out: it could quote the content.
        Err(error) => malformed(format!(
            "{PARAMETER_PART} is not a JSON object (line {}, column {})",
            error.line(),
            error.column()
        )),
    }
}

/// Gathers parameters by name, whatever the case of the name.
struct ParameterReader(Parameters);

impl Default for ParameterReader {
    fn default() -> Self {
        Self(Parameters { character_set: "UTF-8".into(), ..Parameters::default() })
    }
}

impl ParameterReader {
    fn set(&mut self, name: &str, value: String) -> Result<(), Malformed> {
        let number = |value: &str| {
            value
                .trim()
                .parse::<i64>()
                .or_else(|_| malformed(format!("{name} is not a whole number of 64 bits")))
        };
        let p = &mut self.0;
        match &*name.to_ascii_lowercase() {
            "documentname" => p.document_name = value,
            "messageid" => p.message_id = value,
            "fromlogicalid" => p.from_logical_id = value,
            "tologicalid" => p.to_logical_id = value,
            "characterset" => p.character_set = value,
            "encoding" => {
                p.encoding = match &*value.to_ascii_uppercase() {
                    "" | "NONE" => Encoding::None,
                    "DEFLATE" => Encoding::Deflate,
                    _ => return malformed("encoding is neither NONE nor DEFLATE"),
                }
            }
            "accountingentity" => p.accounting_entity = Some(value),
            "location" => p.location = Some(value),
            "documentid" => p.document_id = Some(value),
            "revisionid" => p.revision_id = Some(value),
            "batchid" => p.batch_id = Some(value),
            "source" => p.source = Some(value),
            "sourcepublicationdate" => p.source_publication_date = Some(value),
            "variationid" => p.variation_id = Some(number(&value)?),
            "batchsequence" => p.batch_sequence = Some(number(&value)?),
            "batchsize" => p.batch_size = Some(number(&value)?),
            "batchrevision" => p.batch_revision = Some(number(&value)?),
            "instances" => p.instances = Some(number(&value)?),
            "batchabortindicator" => match &*value.to_ascii_lowercase() {
                "true" | "1" => p.batch_abort_indicator = Some(true),
                "false" | "0" | "" => p.batch_abort_indicator = Some(false),
                _ => return malformed("batchAbortIndicator is neither true nor false"),
            },
            _ if is_custom(name) => {
                p.custom.insert(name.to_owned(), value);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Parameters, Malformed> {
        for (name, value) in
            [("documentName", &self.0.document_name), ("fromLogicalId", &self.0.from_logical_id)]
        {
            if value.is_empty() {
                return malformed(format!("the parameter {name} is missing"));
            }
        }
        Ok(self.0)
    }
}

/// The document's bytes: zlib, raw deflate or gzip, whichever they are (spec/ims.md §9), up to `limit` bytes.
///
/// # Errors
/// It is too large, or does not inflate to its end and no further.
pub fn inflate(payload: &Bytes, encoding: Encoding, limit: usize) -> Result<Bytes, Malformed> {
    if encoding == Encoding::None {
        if payload.len() > limit {
            return too_large(format!("the document has more than {limit} bytes"));
        }
        return Ok(payload.clone());
    }
    match bod::inflate(payload, limit) {
        Ok(inflated) if inflated.trailing_bytes > 0 => malformed(format!(
            "{} bytes after the end of what is deflated belong to nothing",
            inflated.trailing_bytes
        )),
        Ok(inflated) => Ok(inflated.document),
        Err(NotInflated::TooLarge) => too_large(format!("the document inflates to more than {limit} bytes")),
        Err(NotInflated::Broken(what)) => {
            malformed(format!("the encoding is DEFLATE, but the payload does not inflate: {what}"))
        }
    }
}

#[cfg(test)]
mod tests;
