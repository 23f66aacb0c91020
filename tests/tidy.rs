//! The house rules as a test: who may import whom, what every file has, and that the SQL of all dialects is one set.
//!
//! A breach is one line: file, line, rule. No database, well under a second.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sqlparser::dialect::{Dialect, GenericDialect, MsSqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder with an extension, as path from the root and text, in order.
fn files(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let name =
                    path.strip_prefix(root()).unwrap_or(&path).display().to_string().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let sources = files(&root().join("src"), "rs");
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

#[track_caller]
fn all_good(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Lines of code with their numbers: without comments, and without the file's tests, which come last.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    code.enumerate()
        .map(|(place, line)| (place + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The module of the first level that a source file belongs to.
fn module(file: &str) -> &str {
    let inside = file.trim_start_matches("src/");
    inside.split(['/', '.']).next().unwrap_or(inside)
}

/// The level of a module (design.md §10): a module imports from lower levels only, and from itself.
fn level(module: &str) -> Option<u8> {
    Some(match module {
        "main" | "lib" => 6,
        "cli" => 5,
        "app" | "demo" => 4,
        "outbound" | "inbound" | "operator" | "check" | "metrics" | "alerts" => 3,
        "database" | "journal" | "ims" | "observe" => 2,
        "bod" | "config" | "clock" | "crash" | "sqlite_thread" | "listener" | "platform" => 1,
        "domain" => 0,
        // The stand-in for IMS speaks its wire format, and is reached from the demo and from tests.
        "simulator" => 3,
        _ => return None,
    })
}

/// The modules of the first level that a line names after `crate::`; all of a list in braces.
fn imported(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in line.match_indices("crate::") {
        let rest = &line[place + "crate::".len()..];
        let word = |text: &str| -> String {
            text.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
        };
        match rest.strip_prefix('{') {
            Some(list) => found.extend(list.trim_end_matches(['}', ';']).split(',').map(word)),
            None => found.push(word(rest)),
        }
    }
    found
}

fn import_breaches(sources: &[(String, String)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (file, text) in sources {
        let from = module(file);
        let Some(own) = level(from) else {
            breaches.push(format!("{file}:1: module {from} has no level in tests/tidy.rs (design.md §10)"));
            continue;
        };
        for (number, line) in code(text) {
            for other in imported(line).iter().filter(|other| *other != from) {
                // Macros and items of lib.rs have no level.
                if let Some(other_level) = level(other)
                    && other_level >= own
                {
                    breaches.push(format!(
                        "{file}:{number}: {from} imports {other}: imports point downward only (design.md §10)"
                    ));
                }
            }
        }
    }
    breaches
}

#[test]
fn imports_point_downward() {
    all_good(import_breaches(&sources()));
}

#[test]
fn a_wrong_import_is_a_red_line() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let breaches = import_breaches(&[
        file("src/domain/ids.rs", "//! x\nuse crate::config::Config;"),
        file("src/database/mod.rs", "use crate::{domain::ids, journal};"),
        file("src/app.rs", "use crate::outbound;\n// crate::main is only named here\n"),
        file("src/helpers.rs", ""),
    ]);
    assert_eq!(breaches.len(), 3, "{breaches:?}");
    assert!(breaches[0].starts_with("src/domain/ids.rs:2: domain imports config"));
    assert!(breaches[1].starts_with("src/database/mod.rs:1: database imports journal"));
    assert!(breaches[2].starts_with("src/helpers.rs:1: module helpers has no level"));
}

#[test]
fn drivers_stay_in_their_fence() {
    let fences: [(&str, &[&str]); 3] = [
        ("rusqlite", &["src/sqlite_thread.rs", "src/database/sqlite", "src/journal", "src/demo"]),
        ("tokio_postgres", &["src/database/postgres"]),
        ("tiberius", &["src/database/mssql"]),
    ];
    let mut breaches = Vec::new();
    for (file, text) in sources() {
        for (driver, allowed) in fences {
            if allowed.iter().any(|fence| file.starts_with(fence)) {
                continue;
            }
            for (number, _) in code(&text).filter(|(_, line)| line.contains(driver)) {
                breaches.push(format!("{file}:{number}: {driver} is named only in {}", allowed.join(", ")));
            }
        }
    }
    all_good(breaches);
}

#[test]
fn every_source_opens_with_its_idea() {
    let sources = sources();
    let headless = sources.iter().filter(|(_, text)| !text.starts_with("//! "));
    all_good(
        headless
            .map(|(file, _)| format!("{file}:1: the first line is a //! comment with the one idea"))
            .collect(),
    );
}

#[test]
fn sources_keep_the_bans() {
    // `print` is for the commands whose answer is what they print.
    const PRINTS: [&str; 4] = ["src/main.rs", "src/cli", "src/operator", "src/check"];
    let bans = [
        (".unwrap()", "handle it or return it"),
        (".expect(", "handle it or return it"),
        ("panic!(", "return an error"),
        ("todo!(", "do it, or write the limit into the head comment"),
        ("dbg!(", "trace it"),
        ("println!(", "trace it, or answer through the command line's own writer"),
        ("TODO", "do it, or write the limit into the head comment"),
    ];
    let mut breaches = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| !file.ends_with("/tests.rs")) {
        for (number, line) in code(&text) {
            for (ban, instead) in bans {
                let prints = ban == "println!(" && PRINTS.iter().any(|allowed| file.starts_with(allowed));
                if line.contains(ban) && !prints {
                    breaches.push(format!("{file}:{number}: no {ban} in src: {instead}"));
                }
            }
        }
    }
    all_good(breaches);
}

#[test]
fn no_module_without_a_noun() {
    let banned = ["utils", "util", "common", "helpers", "types", "manager"];
    let named = |file: &str| {
        Path::new(file)
            .with_extension("")
            .components()
            .any(|part| banned.iter().any(|banned| part.as_os_str() == *banned))
    };
    let breaches = sources().into_iter().filter(|(file, _)| named(file));
    all_good(breaches.map(|(file, _)| format!("{file}:1: name the module by what it is")).collect());
}

#[test]
fn tests_wait_for_events() {
    let mut breaches = Vec::new();
    for (file, text) in files(&root().join("tests"), "rs") {
        if file == "tests/tidy.rs" {
            continue; // it names what it forbids
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("sleep(") && !line.trim_start().starts_with("//") {
                breaches.push(format!("{file}:{}: tests wait for an event, never sleep", number + 1));
            }
            if line.trim_start().starts_with("#[ignore") {
                breaches.push(format!("{file}:{}: no #[ignore]", number + 1));
            }
        }
    }
    all_good(breaches);
}

/// What the SQL folder must be like: the same agent files for every dialect, each with its name on line 1, then its
/// parameters and locks, then one statement; scripts with what, locks and undo, numbered without gaps.
fn sql_breaches(sql: &Path) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let dialects = ["sqlite", "postgres", "mssql"].into_iter().filter(|dialect| sql.join(dialect).is_dir());
    for dialect in dialects {
        for (file, text) in files(&sql.join(dialect).join("agent"), "sql") {
            let name = PathBuf::from(&file).file_stem().unwrap().to_string_lossy().into_owned();
            if text.lines().next() != Some(&format!("-- agent:{name}")) {
                breaches.push(format!("{file}:1: line 1 is -- agent:{name}"));
            }
            for (word, what) in [("-- Parameters: ", "its parameters"), ("-- Locks: ", "its locks")] {
                if !text.contains(word) {
                    breaches.push(format!("{file}:2: the head says {what}, as in \"{word}none.\""));
                }
            }
            breaches.extend(parse_breaches(dialect, &file, &text));
            names.entry(dialect.to_owned()).or_default().insert(name);
        }
        let scripts = files(&sql.join(dialect).join("dba"), "sql");
        // What only one database has; no twins, but the same head.
        let optional = files(&sql.join(dialect).join("optional"), "sql");
        let mut number = 0;
        for (file, text) in scripts.iter().chain(&optional) {
            for word in ["What:", "Locks:", "Twice:", "Undo:"] {
                if !text.lines().take_while(|line| line.starts_with("--")).any(|line| line.contains(word)) {
                    breaches.push(format!("{file}:1: the head says {word}"));
                }
            }
            let name = Path::new(file).file_name().unwrap().to_string_lossy().into_owned();
            if let Some(found) = name.split('_').next().and_then(|number| number.parse::<u32>().ok()) {
                number += 1;
                if found != number {
                    breaches.push(format!("{file}:1: numbers have no gaps, {number} comes next"));
                }
            }
        }
        let scripts = scripts.iter().map(|(file, _)| format!("dba/{}", file.rsplit('/').next().unwrap()));
        names.entry(dialect.to_owned()).or_default().extend(scripts);
    }
    let all: BTreeSet<&String> = names.values().flatten().collect();
    for (dialect, own) in &names {
        for name in all.iter().filter(|name| !own.contains(**name)) {
            breaches.push(format!("sql/{dialect}: {name} has no twin here, another dialect has it"));
        }
    }
    breaches
}

/// One statement a file, in its dialect; T-SQL has no upsert, so there a file may be one batch of two statements. sqlparser is a guard where no server is at hand; the judge is the suite, which
/// runs every statement on a real database.
fn parse_breaches(dialect: &str, file: &str, text: &str) -> Vec<String> {
    let parser: Box<dyn Dialect> = match dialect {
        "sqlite" => Box::new(SQLiteDialect {}),
        "postgres" => Box::new(PostgreSqlDialect {}),
        "mssql" => Box::new(MsSqlDialect {}),
        _ => Box::new(GenericDialect {}),
    };
    // PostgreSQL's statements have the site's names in braces (`database::postgres::names`).
    // sqlparser knows no FOR NO KEY UPDATE.
    let text = match dialect {
        "postgres" => text.replace(['{', '}'], "").replace("FOR NO KEY UPDATE", "FOR UPDATE"),
        _ => text.to_owned(),
    };
    match Parser::parse_sql(&*parser, &text) {
        Ok(statements) if statements.len() == 1 || (dialect == "mssql" && statements.len() == 2) => {
            Vec::new()
        }
        Ok(statements) => vec![format!("{file}:1: one statement a file, not {}", statements.len())],
        Err(error) => vec![format!("{file}:1: does not parse: {error}")],
    }
}

/// The scripts of SQL Server, which runs nowhere here: at least they are T-SQL. What sqlparser lacks is cut out first: the
/// settings of a session; EXEC with text and a condition before it (001_install.sql, grants.sql); DROP SCHEMA without
/// IF (uninstall.sql); rights on a schema or on single columns (grants.sql).
#[test]
fn the_scripts_of_mssql_are_its_dialect() {
    let folder = root().join("sql/mssql");
    let scripts = [files(&folder.join("dba"), "sql"), files(&folder.join("session"), "sql")].concat();
    assert!(scripts.len() >= 13);
    let mut breaches = Vec::new();
    for (file, text) in scripts {
        let (mut parsed, mut in_exec) = (0, false);
        for statement in text.split(";\n") {
            let code: Vec<&str> =
                statement.lines().filter(|line| !line.starts_with("--") && !line.is_empty()).collect();
            let code = code.join("\n");
            let view = code.strip_prefix("EXEC (N'CREATE VIEW").and_then(|view| view.strip_suffix("')"));
            let code = view.map_or(code.clone(), |view| format!("CREATE VIEW{}", view.replace("''", "'")));
            in_exec = (in_exec || code.starts_with("EXEC (")) && !code.ends_with("END')");
            let unknown = [
                "SET ",
                "END')",
                "IF SCHEMA_ID",
                "IF DATABASE_PRINCIPAL_ID",
                "DROP SCHEMA",
                "GRANT VIEW",
                "GRANT UPDATE ON",
                "EXEC @",
            ];
            if code.is_empty()
                || in_exec
                || code.contains(" ON SCHEMA::")
                || unknown.iter().any(|begin| code.starts_with(begin))
            {
                continue;
            }
            parsed += 1;
            if let Err(error) = Parser::parse_sql(&MsSqlDialect {}, &code) {
                breaches.push(format!("{file}:1: does not parse: {error}\n{code}"));
            }
        }
        if parsed == 0 && !file.ends_with("settings.sql") {
            breaches.push(format!("{file}:1: nothing in it was parsed"));
        }
    }
    all_good(breaches);
}

#[test]
fn sql_is_one_set_for_all_dialects() {
    let sql = root().join("sql");
    assert!(files(&sql.join("sqlite/agent"), "sql").len() > 40, "the statements were not found");
    all_good(sql_breaches(&sql));
}

#[test]
fn a_second_dialect_is_held_to_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let statement =
        |name: &str, sql: &str| format!("-- agent:{name}\n-- Parameters: none.\n-- Locks: none.\n{sql}\n");
    let script = "-- What: Locks: Twice: Undo:\nSELECT 1;\n";
    for dialect in ["sqlite", "postgres"] {
        write(&format!("{dialect}/agent/one.sql"), &statement("one", "SELECT 1"));
        write(&format!("{dialect}/dba/001_install.sql"), script);
    }
    assert_eq!(sql_breaches(folder.path()), [""; 0]);

    write("sqlite/agent/two.sql", &statement("two", "SELECT 2"));
    write("postgres/agent/three.sql", "-- agent:four\nSELECT (1; SELECT 1");
    write("sqlite/dba/003_more.sql", script);
    let breaches = sql_breaches(folder.path()).join("\n");
    for expected in [
        "sql/postgres: two has no twin",
        "sql/postgres: dba/003_more.sql has no twin",
        "sql/sqlite: three has no twin",
        "line 1 is -- agent:three",
        "its parameters",
        "its locks",
        "does not parse",
        "numbers have no gaps, 2",
    ] {
        assert!(breaches.contains(expected), "no line says {expected}:\n{breaches}");
    }
}

#[test]
fn every_statement_is_included_once() {
    let list = fs::read_to_string(root().join("src/database/statements.rs")).unwrap();
    let mut breaches = Vec::new();
    for (file, _) in files(&root().join("sql/sqlite/agent"), "sql") {
        let name = PathBuf::from(&file).file_stem().unwrap().to_string_lossy().into_owned();
        let times = list.matches(&format!("{} = \"{name}\";", name.to_uppercase())).count();
        if times != 1 {
            breaches.push(format!("{file}:1: is {times} times in the list of src/database/statements.rs"));
        }
    }
    for (file, _) in files(&root().join("sql"), "sql").iter().filter(|(file, _)| file.contains("/dba/")) {
        if list.matches(&format!("{file}\")")).count() != 1 {
            breaches.push(format!("{file}:1: is not once among the scripts of src/database/statements.rs"));
        }
    }
    let adapters: String = sources()
        .into_iter()
        .filter(|(file, _)| file.starts_with("src/database/") && !file.ends_with("statements.rs"))
        .map(|(_, text)| text)
        .collect();
    for name in list.lines().filter_map(|line| line.trim().strip_suffix("\";")?.split_once(" = \"")) {
        if !adapters.contains(&format!("sql::{}", name.0)) {
            breaches.push(format!("src/database/statements.rs:1: nobody runs {}", name.0));
        }
    }
    all_good(breaches);
}
