//! What the encoding of the database cannot hold is written visibly (`\u{2019}`): no text of the agent's own is refused
//! for a letter. Documents and their headers are not touched.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use encoding_rs::{EncoderResult, Encoding};

/// The letters that a database holds.
pub(super) struct Letters {
    held: Held,
    /// The server's name of the encoding.
    encoding: String,
    /// For one operation: the server refused a letter that should have been held.
    only_ascii: AtomicBool,
}

enum Held {
    All,
    /// Up to U+00FF.
    Latin1,
    By(&'static Encoding),
}

/// The server's names of encodings that hold a part of all letters, and the name of the same (or nearly: what the server
/// then refuses is written in ASCII) elsewhere.
const ENCODINGS: &[(&str, &str)] = &[
    ("latin2", "iso-8859-2"),
    ("latin3", "iso-8859-3"),
    ("latin4", "iso-8859-4"),
    ("latin5", "windows-1254"),
    ("latin6", "iso-8859-10"),
    ("latin7", "iso-8859-13"),
    ("latin8", "iso-8859-14"),
    ("latin9", "iso-8859-15"),
    ("latin10", "iso-8859-16"),
    ("iso_8859_5", "iso-8859-5"),
    ("iso_8859_6", "iso-8859-6"),
    ("iso_8859_7", "iso-8859-7"),
    ("iso_8859_8", "iso-8859-8"),
    ("win874", "windows-874"),
    ("win1250", "windows-1250"),
    ("win1251", "windows-1251"),
    ("win1252", "windows-1252"),
    ("win1253", "windows-1253"),
    ("win1254", "windows-1254"),
    ("win1255", "windows-1255"),
    ("win1256", "windows-1256"),
    ("win1257", "windows-1257"),
    ("win1258", "windows-1258"),
    ("koi8r", "koi8-r"),
    ("koi8u", "koi8-u"),
    ("win866", "ibm866"),
    ("euc_jp", "euc-jp"),
    ("euc_kr", "euc-kr"),
    ("euc_cn", "gbk"),
];

impl Letters {
    /// By the server's name of the database's encoding.
    pub(super) fn of(encoding: Option<&str>) -> Self {
        let encoding = encoding.unwrap_or_default().to_owned();
        let label = ENCODINGS.iter().find(|(name, _)| encoding.eq_ignore_ascii_case(name));
        let held = match label.and_then(|(_, label)| Encoding::for_label(label.as_bytes())) {
            Some(held) => Held::By(held),
            None if encoding == "LATIN1" => Held::Latin1,
            None => Held::All,
        };
        Self { held, encoding, only_ascii: AtomicBool::new(false) }
    }

    /// The name of an encoding that does not hold all letters.
    pub(super) fn lacking(&self) -> Option<&str> {
        (!matches!(self.held, Held::All)).then_some(self.encoding.as_str())
    }

    /// In the operation that follows, or no more.
    pub(super) fn only_ascii(&self, only: bool) {
        self.only_ascii.store(only, Ordering::Relaxed);
    }

    /// Text as the database takes it. U+0000, which the server refuses in any text, is replaced as well.
    pub(super) fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let only_ascii = self.only_ascii.load(Ordering::Relaxed);
        if matches!(self.held, Held::All) && !only_ascii {
            return super::values::clean(text);
        }
        if text.is_ascii() && !text.contains('\0') {
            return Cow::Borrowed(text);
        }
        let holds = |letter: char| letter != '\0' && (letter.is_ascii() || !only_ascii && self.holds(letter));
        if text.chars().all(holds) {
            return Cow::Borrowed(text);
        }
        let mut written = String::with_capacity(text.len() + 8);
        for letter in text.chars() {
            match holds(letter) {
                true => written.push(letter),
                false => written.extend(letter.escape_unicode()),
            }
        }
        Cow::Owned(written)
    }

    pub(super) fn clean_if<'a>(&self, text: Option<&'a String>) -> Option<Cow<'a, str>> {
        text.map(|text| self.clean(text))
    }

    fn holds(&self, letter: char) -> bool {
        match self.held {
            Held::All => true,
            Held::Latin1 => u32::from(letter) <= 0xFF,
            // Other servers' tables have control characters here, this one's mostly do not.
            Held::By(_) if ('\u{80}'..'\u{A0}').contains(&letter) => false,
            Held::By(encoding) => {
                let (mut from, mut to) = ([0; 4], [0; 16]);
                let from = letter.encode_utf8(&mut from);
                let mut encoder = encoding.new_encoder();
                let (result, ..) = encoder.encode_from_utf8_without_replacement(from, &mut to, true);
                matches!(result, EncoderResult::InputEmpty)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_encoding_holds_stays_and_all_else_is_seen() {
        let text = "Stück ’A’ 品\0";
        assert_eq!(Letters::of(Some("UTF8")).clean(text), "Stück ’A’ 品\u{FFFD}");
        assert_eq!(Letters::of(None).clean("品"), "品");
        assert_eq!(Letters::of(Some("LATIN1")).clean(text), "Stück \\u{2019}A\\u{2019} \\u{54c1}\\u{0}");
        assert_eq!(Letters::of(Some("WIN1252")).clean(text), "Stück ’A’ \\u{54c1}\\u{0}");
        assert_eq!(Letters::of(Some("EUC_JP")).clean("品 €"), "品 \\u{20ac}");
        let latin = Letters::of(Some("LATIN9"));
        assert_eq!(latin.clean("€ é"), "€ é");
        latin.only_ascii(true);
        assert_eq!(latin.clean("€ é"), "\\u{20ac} \\u{e9}");
        latin.only_ascii(false);
        assert_eq!(latin.clean("€"), "€");
    }

    #[test]
    fn every_name_is_known() {
        for (name, _) in ENCODINGS {
            assert!(matches!(Letters::of(Some(name)).held, Held::By(_)), "{name}");
        }
    }
}
