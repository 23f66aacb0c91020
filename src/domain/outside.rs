//! Text from outside, made fit for where it goes: a terminal, a log line, a statement that somebody types.
//!
//! A document, a header or a caller names things as it likes. What a terminal would take as a command, what would begin
//! another log line or show characters in another order is written as an escape; what goes into a statement is quoted;
//! and what can be no name is not offered in a statement at all.

use std::borrow::Cow;

/// On one line, with nothing in it that acts: control characters (C0, DEL, C1), the ends of lines and the signs that
/// change the direction of text as `\u001b`, which JSON reads as well.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// The same, but ends of lines stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && c != '\n')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As a literal of standard SQL.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// As a literal of T-SQL, where only N'…' keeps every character.
pub fn national(text: &str) -> String {
    format!("N{}", quoted(text))
}

/// Whether a text can be a name of the kind that XML has, no longer than this: letters, digits, `-`, `_` and `.`, not
/// beginning with a digit, `-` or `.`.
pub fn is_name(text: &str, longest: usize) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().count() <= longest
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_an_escape() {
        let hostile = "a\u{1b}[31m\u{7}b\u{9b}2Jc\u{202e}d\r\n\u{2028}e\u{7f}";
        let shown = "a\\u001b[31m\\u0007b\\u009b2Jc\\u202ed\\u000d\\u000a\\u2028e\\u007f";
        assert_eq!(printable(hostile), shown);
        assert_eq!(printable_lines("a\n\tb"), "a\n\\u0009b");
        for plain in ["Größe, 値, \u{1F600}", "", "a 'b' \\"] {
            assert!(matches!(printable(plain), Cow::Borrowed(_)), "{plain}");
        }
        // JSON that holds it stays JSON.
        let json = serde_json::json!({ "x": hostile.replace('\n', "") }).to_string();
        let read: serde_json::Value = serde_json::from_str(&printable(&json)).unwrap();
        assert_eq!(read["x"], hostile.replace('\n', ""));
    }

    #[test]
    fn a_literal_ends_where_it_should() {
        assert_eq!(quoted("X'); DROP TABLE t;--"), "'X''); DROP TABLE t;--'");
        assert_eq!(national("Ø'"), "N'Ø'''");
    }

    #[test]
    fn what_can_be_a_name() {
        for name in ["SalesOrder", "_x", "Größe-1", "BOD.v2"] {
            assert!(is_name(name, 100), "{name}");
        }
        for name in ["", "1a", "-a", "X')", "a b", "a;b", "a\\b", "a\u{202e}b", "a:b"] {
            assert!(!is_name(name, 100), "{name}");
        }
        assert!(!is_name("abc", 2));
    }
}
