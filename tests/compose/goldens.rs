//! Golden documents: the same rows and the same queries give the same document on every database.
//!
//! `UPDATE_EXPECT=1` writes the files of fixtures/compose anew.

use std::path::PathBuf;

use crate::databases::Two;

const SETUP: &str = include_str!("../../fixtures/compose/setup.sql");

/// What differs from run to run: the version and the time.
fn steady(document: &str) -> String {
    let after = |text: &str, mark: &str| text.find(mark).map(|at| at + mark.len());
    let mut document = document.trim_end().to_owned();
    if let Some(from) = after(&document, "&amp;variationID=") {
        let digits: String = document[from..].chars().take_while(char::is_ascii_digit).collect();
        document = document.replace(&digits, "{{variation_id}}");
    }
    if let Some(from) = after(&document, "<CreationDateTime>") {
        let until = document[from..].find('<').unwrap() + from;
        document.replace_range(from..until, "{{created}}");
    }
    // A line an element, for people.
    document.replace("><", ">\n<") + "\n"
}

#[tokio::test]
async fn the_same_documents_on_each_database() {
    let two = Two::fresh(SETUP).await;
    for (name, document_id, action) in [
        ("types", "T-1", "Replace"),
        ("places", "P-1", "Change"),
        ("odd", "O & <1>", "Add"),
        ("nested", "N-1", "Replace"),
        ("deleted", "gone", "Delete"),
        ("verb", "V-1", "Replace"),
    ] {
        let noun = match name {
            "odd" => "Types".to_owned(),
            "deleted" => "Nested".to_owned(),
            _ => name[..1].to_uppercase() + &name[1..],
        };
        let verb = if name == "verb" { "Process" } else { "Sync" };
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/compose/{name}.xml"));
        for (database, said) in two.previews(verb, &noun, document_id, action).await {
            assert_eq!(said.refused, None, "{name} on {database}");
            let found = steady(&said.documents.join("\n"));
            if std::env::var_os("UPDATE_EXPECT").is_some() && database == "sqlite" {
                std::fs::write(&path, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(found, expected, "{name} on {database}");
        }
    }
}
