//! Whatever statement a finding or a failed message names must be one that the database takes.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Has the database prepare each statement that the remedies in its control tables name. A test may have left it without
/// these tables, or without a database: then there is nothing to judge.
pub fn judge(file: &Path) {
    let Ok(database) = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return };
    let texts = "SELECT remedy FROM bodrelay_finding UNION SELECT remedy FROM bodrelay_message_log WHERE remedy IS NOT NULL";
    let Ok(mut texts) = database.prepare(texts) else { return };
    let Ok(rows) = texts.query_map([], |row| row.get::<_, String>(0)) else { return };
    for remedy in rows.map_while(Result::ok) {
        for statement in statements(&remedy) {
            let result = database.prepare(statement).map(|_| ());
            assert_eq!(result, Ok(()), "{statement:?} of the remedy {remedy:?}");
        }
    }
}

/// The INSERTs and CREATE INDEXes in a text; an INSERT ends with its first row.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    let begins = [("INSERT INTO ", 2), ("CREATE INDEX ", 1)];
    begins.into_iter().flat_map(move |(begin, groups)| {
        text.match_indices(begin).map(move |(from, _)| {
            let (mut depth, mut closed, mut is_quoted) = (0, 0, false);
            let end = text[from..].char_indices().find(|(_, letter)| {
                is_quoted ^= *letter == '\'';
                match letter {
                    '(' if !is_quoted => depth += 1,
                    ')' if !is_quoted => {
                        depth -= 1;
                        closed += i32::from(depth == 0);
                    }
                    _ => {}
                }
                closed == groups
            });
            &text[from..end.map_or(text.len(), |(at, _)| from + at + 1)]
        })
    })
}
