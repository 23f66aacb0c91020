//! Whether the text of a DBA's query is one SELECT: what a database cannot be asked to forbid is found here.
//!
//! Strings, quoted names and comments are passed over; of the words that are left, the first must be SELECT or WITH, and
//! none may be one that writes.

/// Words that write, lock or leave the query; none of them is the name of a function that reads.
const FORBIDDEN: [&str; 19] = [
    "INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "EXEC", "EXECUTE", "CALL", "DO", "CREATE", "ALTER",
    "DROP", "TRUNCATE", "GRANT", "REVOKE", "COPY", "ATTACH", "PRAGMA", "VACUUM",
];

/// # Errors
/// Why it is not one SELECT, in words.
pub fn is_one_select(text: &str) -> Result<(), String> {
    let mut words = Words { rest: text };
    let mut first = true;
    while let Some(token) = words.next() {
        match token {
            Token::End => {
                return match words.next() {
                    None if first => Err("it is empty".into()),
                    None => Ok(()),
                    Some(_) => Err("there is more after the semicolon: a query is one SELECT".into()),
                };
            }
            Token::Word(word) => {
                let word = word.to_ascii_uppercase();
                if first && !matches!(word.as_str(), "SELECT" | "WITH") {
                    return Err(format!("it begins with {word}: a query is one SELECT, or WITH ... SELECT"));
                }
                if FORBIDDEN.contains(&word.as_str()) {
                    return Err(format!(
                        "the word {word} is in it: a query only reads (a column of this name is put in quotes)"
                    ));
                }
                first = false;
            }
            // An opening bracket before SELECT.
            Token::Other => {}
            Token::Open(what) => return Err(format!("{what} has no end")),
        }
    }
    if first { Err("it is empty".into()) } else { Ok(()) }
}

enum Token<'t> {
    Word(&'t str),
    /// A semicolon.
    End,
    /// A string, a quoted name, a number or a sign.
    Other,
    /// Something that is not closed.
    Open(&'static str),
}

struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.find('\n').map_or("", |end| &comment[end..]);
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else { return Some(Token::Open("a comment")) };
                self.rest = &self.rest[end + 2..];
            } else {
                break;
            }
        }
        let first = self.rest.chars().next()?;
        let length = match first {
            ';' => {
                self.rest = &self.rest[1..];
                return Some(Token::End);
            }
            '\'' => return Some(self.quoted('\'', "a string")),
            '"' => return Some(self.quoted('"', "a name in quotes")),
            '`' => return Some(self.quoted('`', "a name in quotes")),
            '[' => return Some(self.quoted(']', "a name in brackets")),
            '$' => {
                // PostgreSQL's $tag$ strings.
                if let Some(tag_end) = self.rest[1..].find('$')
                    && self.rest[1..=tag_end].chars().all(|c| c.is_alphanumeric() || c == '_')
                {
                    let tag = &self.rest[..tag_end + 2];
                    let Some(end) = self.rest[tag.len()..].find(tag) else {
                        return Some(Token::Open("a string"));
                    };
                    self.rest = &self.rest[tag.len() * 2 + end..];
                    return Some(Token::Other);
                }
                1
            }
            first if first.is_alphabetic() || first == '_' => {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '#' | '@');
                let end = self.rest.find(|c: char| !is_part(c)).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Token::Word(word));
            }
            first if first.is_ascii_digit() || matches!(first, '#' | '@') => {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '#' | '@');
                self.rest.find(|c: char| !is_part(c)).unwrap_or(self.rest.len())
            }
            other => other.len_utf8(),
        };
        self.rest = &self.rest[length..];
        Some(Token::Other)
    }

    fn quoted(&mut self, close: char, what: &'static str) -> Token<'t> {
        let mut at = 1;
        while let Some(end) = self.rest[at..].find(close) {
            at += end + 1;
            // Doubled, it stands for itself.
            if !self.rest[at..].starts_with(close) {
                self.rest = &self.rest[at..];
                return Token::Other;
            }
            at += 1;
        }
        self.rest = "";
        Token::Open(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_and_nothing_else() {
        for text in [
            "SELECT 1",
            "  -- INSERT\n /* DROP; */ select 'a; DELETE ''x''' AS \"Note/update\", [delete] FROM t;",
            "WITH a AS (SELECT 1) SELECT * FROM a ; -- done",
            "SELECT $$ ; DROP $$, $x$ INSERT $x$, $1",
            "SELECT updated_at, replace(x, 'a', 'b'), last_update FROM #bodrelay_batch",
            "(SELECT 1) UNION (SELECT 2)",
        ] {
            assert_eq!(is_one_select(text), Ok(()), "{text}");
        }
        for (text, why) in [
            ("", "empty"),
            (" -- nothing\n;", "empty"),
            ("DELETE FROM t", "begins with DELETE"),
            ("SELECT 1; SELECT 2", "after the semicolon"),
            ("WITH a AS (DELETE FROM t RETURNING id) SELECT * FROM a", "DELETE"),
            ("SELECT * INTO copy FROM t", "INTO"),
            ("SELECT 'open", "a string has no end"),
            ("SELECT 1 /* open", "a comment has no end"),
            ("EXEC p", "begins with EXEC"),
            ("SELECT * FROM t FOR UPDATE", "UPDATE"),
        ] {
            let error = is_one_select(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
