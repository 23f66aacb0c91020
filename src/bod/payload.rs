//! From stored bytes to a document and on to the wire: inflate within a limit, deflate as zlib (spec/ims.md §9).

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use crate::domain::failure::{Failure, FailureCode};

/// An inflated document.
#[derive(Debug)]
pub struct Inflated {
    pub document: Bytes,
    /// The stored bytes are one zlib stream and nothing else: they can go out as they are.
    pub is_plain_zlib: bool,
    /// Stored bytes after the end of the stream, which belong to nothing.
    pub trailing_bytes: usize,
}

/// Whether bytes begin as zlib or gzip does.
pub(super) fn looks_deflated(bytes: &[u8]) -> bool {
    is_gzip(bytes) || is_zlib(bytes)
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1F, 0x8B])
}

/// RFC 1950 §2.2: method 8, a window of 32 KB at most, no preset dictionary, a check that divides by 31.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & 0x0F == 8
            && first >> 4 <= 7
            && second & 0x20 == 0
            && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

/// Why stored bytes are no deflated document.
#[derive(Debug)]
pub enum NotInflated {
    Broken(String),
    /// It would be larger than the limit.
    TooLarge,
}

/// Inflates zlib, gzip or raw deflate, and stops where the document would be larger than `limit` bytes.
///
/// # Errors
/// The bytes are cut off or no such stream, or the document is too large.
pub fn inflate(stored: &Bytes, limit: usize) -> Result<Inflated, NotInflated> {
    let inflated = if is_gzip(stored) { inflate_gzip(stored, limit) } else { inflate_stream(stored, limit) };
    let (document, used) = inflated.map_err(NotInflated::Broken)?;
    if document.len() > limit {
        return Err(NotInflated::TooLarge);
    }
    let trailing_bytes = stored.len() - used;
    Ok(Inflated {
        document: document.into(),
        is_plain_zlib: is_zlib(stored) && trailing_bytes == 0,
        trailing_bytes,
    })
}

/// The same of a row's `C_XML`, in the words of a failure.
pub(super) fn inflate_column(stored: &Bytes, limit: usize) -> Result<Inflated, Failure> {
    inflate(stored, limit).map_err(|not_inflated| match not_inflated {
        NotInflated::Broken(what) => {
            let text = format!("C_XML ({} bytes) does not inflate: {what}", stored.len());
            Failure::new(FailureCode::DoesNotInflate, text)
        }
        NotInflated::TooLarge => {
            let text =
                format!("C_XML ({} bytes) inflates to more than the {limit} bytes allowed", stored.len());
            Failure::new(FailureCode::TooLarge, text)
        }
    })
}

/// zlib or raw deflate: what came out, at most a little over the limit, and how many bytes went in.
///
/// flate2's readers end without an error where a stream is cut off, so its end is looked for here.
fn inflate_stream(stored: &[u8], limit: usize) -> Result<(Vec<u8>, usize), String> {
    let most = limit.saturating_add(1);
    let mut decompress = Decompress::new(is_zlib(stored));
    let mut document = Vec::with_capacity(stored.len().saturating_mul(4).clamp(1024, most.max(1024)));
    let mut used = 0;
    loop {
        let written = document.len();
        let status = decompress.decompress_vec(&stored[used..], &mut document, FlushDecompress::None);
        let status = status.map_err(|error| error.to_string())?;
        let before =
            std::mem::replace(&mut used, usize::try_from(decompress.total_in()).unwrap_or(usize::MAX));
        if status == Status::StreamEnd || document.len() > limit {
            return Ok((document, used));
        }
        if document.len() == document.capacity() {
            document.reserve(document.len().min(most - document.len()));
        } else if used == before && document.len() == written {
            return Err("the stream is cut off".to_owned());
        }
    }
}

fn inflate_gzip(stored: &[u8], limit: usize) -> Result<(Vec<u8>, usize), String> {
    let mut rest = stored;
    let mut document = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = GzDecoder::new(&mut rest).take(most).read_to_end(&mut document);
    read.map_err(|error| error.to_string())?;
    Ok((document, stored.len() - rest.len()))
}

/// The document as one zlib stream.
pub(super) fn deflate(document: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(document.len() / 4 + 64), Compression::default());
    encoder.write_all(document)?;
    encoder.finish().map(Bytes::from)
}
