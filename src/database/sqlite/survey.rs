//! What the database has, held against what the scripts make.
//!
//! The expectation is not written down a second time: the install scripts of this version are run on an empty
//! database in memory, and its catalogue is compared with the site's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, Transaction};

use crate::database::rows::Cells;
use crate::database::script::may_not_insert;
use crate::database::statements::{scripts, sqlite as sql};
use crate::database::{Problem, Survey};
use crate::domain::ids::Digest;
use crate::platform::file_identity;

use super::outbox::needs_box;
use super::read;
use super::trouble::Trouble;

/// Columns by table, each with its declared type; names in upper case, since SQLite ignores case in them.
type Catalogue = BTreeMap<String, BTreeMap<String, String>>;

/// Columns of every index by table, in order.
type Indexes = BTreeMap<String, Vec<Index>>;

struct Index {
    columns: Vec<String>,
    partial: bool,
}

pub(super) fn survey(connection: &mut Connection, path: &Path) -> Result<Survey, Trouble> {
    let fingerprint = fingerprint(path)?;
    let transaction = read(connection)?;
    let (now, version) = transaction
        .query_row(sql::SURVEY_PRODUCT, [], |row| Ok((row.required_time(0)?, row.required(1)?)))?;
    let journal_mode: String = transaction.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let found = catalogue(&transaction)?;
    let mut problems = Vec::new();
    missing(
        &found,
        &made_by(&[scripts::SQLITE_INSTALL])?,
        |_| Importance::Needed(CONTROL_REMEDY),
        &mut problems,
    );
    let mut advice = Vec::new();
    let boxes = made_by(&[scripts::SQLITE_IOBOX])?;
    let (outbox, inbox): (Catalogue, Catalogue) =
        boxes.into_iter().partition(|(table, _)| table.starts_with("COR_OUTBOX"));
    // 1.0 boxes have no C_LOGICAL_ID: it is needed only where a connection point chooses by it.
    let optional = |column: &str| match column {
        "C_LOGICAL_ID" => Importance::Optional,
        _ => Importance::Needed(OUTBOX_REMEDY),
    };
    // A site that only composes has an outbox of ours.
    let own_outbox = !found.contains_key("COR_OUTBOX_ENTRY")
        && found.contains_key("BODRELAY_OUTBOX_ENTRY")
        && !needs_box(&transaction);
    if !own_outbox {
        missing(&found, &outbox, optional, &mut problems);
    }
    let mut inbound_problems = Vec::new();
    if receives(&transaction, &found)? {
        let mut inbound = made_by(&[scripts::SQLITE_INSTALL, scripts::SQLITE_INBOUND])?;
        inbound.retain(|table, _| table.starts_with("BODRELAY_RECE"));
        missing(&found, &inbound, |_| Importance::Needed(INBOUND_REMEDY), &mut inbound_problems);
        let optional = |column: &str| match column {
            "C_LOGICAL_ID" => Importance::Optional,
            _ => Importance::Needed(INBOX_REMEDY),
        };
        missing(&found, &inbox, optional, &mut inbound_problems);
        inbound_problems.extend(text_ids(&found, INBOX_IDS));
        let mut statement = transaction.prepare(sql::SURVEY_RIGHTS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            inbound_problems.push(may_not_insert(&row.required(0)?, &row.required(1)?));
        }
    }
    problems.extend(text_ids(&found, OUTBOX_IDS));
    advice.extend(missing_indexes(&found, &indexes(&transaction)?, is_shared(&transaction, &found)?));
    let script = match found.contains_key("BODRELAY_VERSION") {
        true => transaction.query_row(sql::SURVEY_SCRIPT, [], |row| row.get(0))?,
        false => 0,
    };
    Ok(Survey {
        fingerprint,
        now,
        product: format!("SQLite {version}, journal mode {journal_mode}"),
        script,
        problems,
        inbound_problems,
        advice,
    })
}

const CONTROL_REMEDY: &str = "run the script 001_install.sql, the first one that makes it (on a table that is there \
                              but lacks a column: save its rows and run uninstall.sql before)";
const OUTBOX_REMEDY: &str = "check that path in [[database]] names the application's database; where the application \
                             brings no I/O Box, run the script iobox.sql";
const INBOX_REMEDY: &str = "receiving needs it (receive_mode = 'on'); where the application brings no I/O Box, run the \
                            script iobox.sql";
const INBOUND_REMEDY: &str = "receiving needs it (receive_mode = 'on'): run the script 003_inbound.sql";

fn receives(transaction: &Transaction<'_>, found: &Catalogue) -> Result<bool, Trouble> {
    let points = found.get("BODRELAY_CONNECTION_POINT");
    if points.is_none_or(|columns| !columns.contains_key("RECEIVE_MODE")) {
        return Ok(false);
    }
    Ok(transaction.query_row(sql::SURVEY_RECEIVES, [], |row| row.get::<_, i64>(0))? > 0)
}

/// Connection points choose their rows by more than one logical id.
fn is_shared(transaction: &Transaction<'_>, found: &Catalogue) -> Result<bool, Trouble> {
    let points = found.get("BODRELAY_CONNECTION_POINT");
    if points.is_none_or(|columns| !columns.contains_key("SOURCE_LOGICAL_ID")) {
        return Ok(false);
    }
    Ok(transaction.query_row(sql::SURVEY_SHARES, [], |row| row.get::<_, i64>(0))? > 1)
}

/// Device and inode first, so that a long path cannot push them out of the 200 characters of the column.
fn fingerprint(path: &Path) -> Result<String, Trouble> {
    const LONGEST: usize = 200;
    let canonical = std::fs::canonicalize(path)?.display().to_string();
    let identity = file_identity(path)?;
    let whole = format!("sqlite {identity} path {canonical}");
    if whole.chars().count() <= LONGEST {
        return Ok(whole);
    }
    let digest = Digest::of(canonical.as_bytes());
    Ok(format!("sqlite {identity} path sha256 {digest}"))
}

/// What scripts make on an empty database.
fn made_by(scripts: &[&str]) -> Result<Catalogue, Trouble> {
    let empty = Connection::open_in_memory()?;
    scripts.iter().try_for_each(|script| empty.execute_batch(script))?;
    let mut made = catalogue(&empty)?;
    made.retain(|table, _| table.starts_with("BODRELAY_") || table.starts_with("COR_"));
    Ok(made)
}

fn catalogue(connection: &Connection) -> Result<Catalogue, Trouble> {
    let mut statement = connection.prepare_cached(sql::SURVEY_COLUMNS)?;
    let mut rows = statement.query([])?;
    let mut found = Catalogue::new();
    while let Some(row) = rows.next()? {
        let (table, column) = (row.required(0)?, row.required(1)?);
        found
            .entry(table.to_uppercase())
            .or_default()
            .insert(column.to_uppercase(), row.required(2)?.to_uppercase());
    }
    Ok(found)
}

fn indexes(connection: &Connection) -> Result<Indexes, Trouble> {
    let mut statement = connection.prepare_cached(sql::SURVEY_INDEXES)?;
    let mut rows = statement.query([])?;
    let mut by_name: BTreeMap<(String, String), Index> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name = (row.required(0)?.to_uppercase(), row.required(1)?);
        let partial = row.flag(2)?;
        let index = by_name.entry(name).or_insert(Index { columns: Vec::new(), partial });
        index.columns.push(row.required(3)?.to_uppercase());
    }
    let mut found = Indexes::new();
    for ((table, _), index) in by_name {
        found.entry(table).or_default().push(index);
    }
    Ok(found)
}

enum Importance {
    Needed(&'static str),
    Optional,
}

/// One problem a missing table, else one a missing column.
fn missing(
    found: &Catalogue,
    expected: &Catalogue,
    importance: impl Fn(&str) -> Importance,
    problems: &mut Vec<Problem>,
) {
    let shown = |name: &str| if name.starts_with("COR_") { name.to_owned() } else { name.to_lowercase() };
    for (table, columns) in expected {
        let there = found.get(table);
        let absent: Vec<&String> = match there {
            Some(there) => columns.keys().filter(|column| !there.contains_key(*column)).collect(),
            None => columns.keys().take(1).collect(),
        };
        for column in absent {
            let Importance::Needed(remedy) = importance(column) else { continue };
            let what = match (there, table.starts_with("COR_")) {
                (None, _) => format!("table {} is missing", shown(table)),
                (Some(_), true) => format!("column {table}.{column} is missing"),
                (Some(_), false) => format!("column {}.{} is missing", shown(table), column.to_lowercase()),
            };
            problems.push(Problem { what, remedy: remedy.into() });
        }
    }
}

const OUTBOX_IDS: &[(&str, &str)] = &[("COR_OUTBOX_ENTRY", "C_ID"), ("COR_OUTBOX_HEADERS", "C_OUTBOX_ID")];
const INBOX_IDS: &[(&str, &str)] = &[("COR_INBOX_ENTRY", "C_ID"), ("COR_INBOX_HEADERS", "C_INBOX_ID")];

/// Ids in a column of text compare as text: 10 comes before 9, and no range of ids can be read.
fn text_ids(found: &Catalogue, ids: &[(&str, &str)]) -> Vec<Problem> {
    ids.iter()
        .filter_map(|(table, column)| {
            let declared = found.get(*table)?.get(*column)?;
            let is_text = ["CHAR", "CLOB", "TEXT"].iter().any(|kind| declared.contains(kind));
            (is_text && !declared.contains("INT")).then(|| Problem {
                what: format!(
                    "column {table}.{column} has the type {declared}, which compares numbers as text"
                ),
                remedy: "make it an INTEGER column".into(),
            })
        })
        .collect()
}

fn missing_indexes(found: &Catalogue, indexes: &Indexes, is_shared: bool) -> Vec<Problem> {
    let none = Vec::new();
    let of = |table: &str| indexes.get(table).unwrap_or(&none);
    let mut advice = Vec::new();
    // Behind C_WAS_PROCESSED the ids must come next, else a page of ids is sorted out of all that waits. An index on
    // the flag alone has the rowid behind it; a partial one is taken to be one on what is at 0.
    let flag_index = of("COR_OUTBOX_ENTRY").iter().any(|index| {
        let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
        match columns.as_slice() {
            ["C_WAS_PROCESSED"] | ["C_WAS_PROCESSED", "C_ID", ..] => true,
            ["C_ID", ..] => index.partial,
            _ => false,
        }
    });
    if found.contains_key("COR_OUTBOX_ENTRY") && !flag_index {
        let mut columns = vec!["C_WAS_PROCESSED", "C_ID", "C_TENANT_ID", "C_LOGICAL_ID"];
        let there: BTreeSet<&str> = found
            .get("COR_OUTBOX_ENTRY")
            .into_iter()
            .flat_map(|columns| columns.keys().map(String::as_str))
            .collect();
        columns.retain(|column| there.contains(column));
        advice.push(Problem {
            what: "COR_OUTBOX_ENTRY has no index that begins with C_WAS_PROCESSED, C_ID: each scan reads more rows \
                   than it finds"
                .into(),
            remedy: format!(
                "CREATE INDEX IX_COR_OUTBOX_ENTRY_PROCESSED ON COR_OUTBOX_ENTRY ({})",
                columns.join(", ")
            ),
        });
    }
    // Else each of them walks over the rows of all the others.
    let logical_id_index = of("COR_OUTBOX_ENTRY").iter().any(|index| {
        let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
        matches!(columns.as_slice(), ["C_WAS_PROCESSED", "C_LOGICAL_ID", ..])
            || index.partial && columns.first() == Some(&"C_LOGICAL_ID")
    });
    let has_logical_id =
        found.get("COR_OUTBOX_ENTRY").is_some_and(|columns| columns.contains_key("C_LOGICAL_ID"));
    if is_shared && has_logical_id && !logical_id_index {
        advice.push(Problem {
            what: "several connection points share COR_OUTBOX_ENTRY, and it has no index that begins with \
                   C_WAS_PROCESSED, C_LOGICAL_ID: where many rows of one wait, each of the others reads over them"
                .into(),
            remedy: "CREATE INDEX IX_COR_OUTBOX_ENTRY_SHARED ON COR_OUTBOX_ENTRY (C_WAS_PROCESSED, C_LOGICAL_ID, C_ID, \
                     C_TENANT_ID)"
                .into(),
        });
    }
    let header_index = of("COR_OUTBOX_HEADERS")
        .iter()
        .any(|index| !index.partial && index.columns.first().is_some_and(|column| column == "C_OUTBOX_ID"));
    if found.contains_key("COR_OUTBOX_HEADERS") && !header_index {
        advice.push(Problem {
            what: "COR_OUTBOX_HEADERS has no index that begins with C_OUTBOX_ID: each batch reads the whole table".into(),
            remedy: "CREATE INDEX IX_COR_OUTBOX_HEADERS_ENTRY ON COR_OUTBOX_HEADERS (C_OUTBOX_ID)".into(),
        });
    }
    advice
}
