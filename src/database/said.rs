//! What a server says of what it refused: its own words, on one line, with the statement that it refused.

/// Of a message, and of what goes with it.
const LONGEST: usize = 300;

/// The name of a statement, from its first line (`-- agent:settle`).
pub(super) fn name_of(statement: &str) -> &str {
    let line = statement.lines().next().unwrap_or_default();
    line.split_once(':').map_or("", |(_, name)| name.trim())
}

/// `in STATEMENT, the server says: "MESSAGE" (DETAIL; …)`.
pub(super) fn words(statement: &str, message: &str, details: &[Option<&str>]) -> String {
    let place = if statement.is_empty() { String::new() } else { format!("in {statement}, ") };
    let details: Vec<String> =
        details.iter().flatten().map(|detail| line(detail)).filter(|it| !it.is_empty()).collect();
    let behind = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
    format!("{place}the server says: \"{}\"{behind}", line(message))
}

/// Of a DELETE that ended without an error and left rows where they were, so that it was rolled back.
pub(super) fn kept() -> (String, Option<String>) {
    (
        "the DELETE ends without an error and leaves the row where it is; nothing was changed".to_owned(),
        Some(
            "look at the triggers of the table (RETURN NULL, RAISE(IGNORE), INSTEAD OF) and at its policies"
                .to_owned(),
        ),
    )
}

/// One line of printable characters, cut where it is long.
fn line(text: &str) -> String {
    let mut words =
        text.split(|letter: char| letter.is_control() || letter == ' ').filter(|it| !it.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    let whole = words.fold(first, |line, word| line + " " + word);
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_server_come_on_one_line_and_cut() {
        assert_eq!(name_of("-- agent:log_write\n-- Writes\nINSERT"), "log_write");
        assert_eq!(name_of("SELECT 1"), "");
        let told = words("log_write", "not\nthis\u{1b}[31m one", &[Some("Key (a)=(1)"), None, Some("")]);
        assert_eq!(told, "in log_write, the server says: \"not this [31m one\" (Key (a)=(1))");
        assert!(words("", &"x".repeat(900), &[]).len() < 350);
    }
}
