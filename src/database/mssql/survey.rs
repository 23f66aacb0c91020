//! What the database has, held against what the scripts make, and what of it a session adapts to.
//!
//! The expectation is not written down a second time: tables and columns are read from the text of the install scripts of
//! this version. The types of the application's columns differ by site and are held against what each column is for.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::rows::Cells;
use crate::database::script::may_not_insert;
use crate::database::statements::{mssql as sql, scripts};
use crate::database::{Problem, Survey};

use super::session::{Document, Row, Session};
use super::trouble::Trouble;

/// Columns by table, each with its base type; names in upper case.
type Catalogue = BTreeMap<String, BTreeMap<String, ColumnType>>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct ColumnType {
    name: String,
    precision: i64,
    scale: i64,
}

/// What SURVEY_PRODUCT answers.
struct Product {
    row: Row,
}

impl Product {
    async fn read(session: &mut Session) -> Result<Self, Trouble> {
        Ok(Self { row: session.query_row(sql::SURVEY_PRODUCT, &[]).await? })
    }

    fn read_committed_snapshot(&self) -> Result<bool, Trouble> {
        self.row.flag(6)
    }

    /// Server, database and recovery fork; the server last, since only its name is long.
    fn fingerprint(&self) -> Result<String, Trouble> {
        const LONGEST: usize = 200;
        let fork = self.row.text(4)?.unwrap_or_else(|| "unknown".into());
        let database = self.row.integer(3)?.unwrap_or_default();
        let server = self.row.text(2)?.unwrap_or_default();
        let whole = format!("mssql fork {fork} database {database} server {server}");
        Ok(whole.chars().take(LONGEST).collect())
    }

    fn shown(&self) -> Result<String, Trouble> {
        let version = self.row.required(1)?;
        let first = version.lines().next().unwrap_or_default().trim().to_owned();
        let level = self.row.integer(5)?.unwrap_or_default();
        let snapshot = if self.read_committed_snapshot()? { "on" } else { "off" };
        Ok(format!("{first}, compatibility level {level}, READ_COMMITTED_SNAPSHOT {snapshot}"))
    }
}

/// Finds out how this site differs; once a session.
pub(super) async fn adapt(session: &mut Session) -> Result<(), Trouble> {
    let product = Product::read(session).await?;
    session.site.reads_past = !product.read_committed_snapshot()?;
    let found = catalogue(session).await?;
    let document = found.get("COR_OUTBOX_ENTRY").and_then(|columns| columns.get("C_XML"));
    session.site.document_is_text = document.is_some_and(|column| TEXT.contains(&column.name.as_str()));
    let outbox = found.get("COR_OUTBOX_ENTRY");
    session.site.has_logical_id = outbox.is_none_or(|columns| columns.contains_key("C_LOGICAL_ID"));
    let inbox = found.get("COR_INBOX_ENTRY");
    let document = inbox.and_then(|columns| columns.get("C_XML")).map(|column| column.name.as_str());
    session.site.inbox_document = match document {
        Some("xml") => Document::Xml,
        Some("nvarchar" | "ntext") => Document::Text,
        _ => Document::Binary,
    };
    session.site.has_inbox_logical_id = inbox.is_none_or(|columns| columns.contains_key("C_LOGICAL_ID"));
    session.site.own_outbox = composes_only(session, &found).await?;
    let change = found.get("BODRELAY_CHANGE");
    session.site.has_document_key = change.is_some_and(|columns| columns.contains_key("DOCUMENT_KEY"));
    Ok(())
}

/// No I/O Box is there, and nobody asks for its rows.
async fn composes_only(session: &mut Session, found: &Catalogue) -> Result<bool, Trouble> {
    let is_there = |name: &str| found.contains_key(name);
    if is_there("COR_OUTBOX_ENTRY")
        || !is_there("BODRELAY_OUTBOX_ENTRY")
        || !is_there("BODRELAY_CONNECTION_POINT")
    {
        return Ok(false);
    }
    let row = session.query_row(sql::SURVEY_SOURCES, &[]).await?;
    Ok(row.number(0)? == 0 && row.number(1)? > 0)
}

pub(super) async fn survey(session: &mut Session) -> Result<Survey, Trouble> {
    let product = Product::read(session).await?;
    let found = catalogue(session).await?;
    let mut problems = Vec::new();
    missing(&found, &made_by(scripts::MSSQL_INSTALL), |_| Some(CONTROL_REMEDY), &mut problems);
    let mut advice = Vec::new();
    let (outbox, inbox): (BTreeMap<_, _>, BTreeMap<_, _>) =
        made_by(scripts::MSSQL_IOBOX).into_iter().partition(|(table, _)| table.starts_with("COR_OUTBOX"));
    // 1.0 boxes have no C_LOGICAL_ID: it is needed only where a connection point chooses by it.
    let unless_optional = |remedy| move |column: &str| (column != "C_LOGICAL_ID").then_some(remedy);
    if !composes_only(session, &found).await? {
        missing(&found, &outbox, unless_optional(OUTBOX_REMEDY), &mut problems);
    }
    let mut inbound_problems = Vec::new();
    if receives(session, &found).await? {
        missing(&found, &made_by(scripts::MSSQL_INBOUND), |_| Some(INBOUND_REMEDY), &mut inbound_problems);
        missing(&found, &inbox, unless_optional(INBOX_REMEDY), &mut inbound_problems);
        inbound_problems.extend(wrong_inbox_types(&found));
        if inbound_problems.is_empty() {
            for row in session.query(sql::SURVEY_RIGHTS, &[]).await? {
                inbound_problems.push(may_not_insert(&row.required(0)?, &row.required(1)?));
            }
        }
    }
    problems.extend(wrong_types(&found));
    if found.contains_key("COR_OUTBOX_ENTRY") && found.contains_key("COR_OUTBOX_HEADERS") {
        advice.extend(missing_indexes(session, &found).await?);
    }
    let script = match found.contains_key("BODRELAY_VERSION") {
        true => session.query_row(sql::SURVEY_SCRIPT, &[]).await?.integer(0)?.unwrap_or_default(),
        false => 0,
    };
    Ok(Survey {
        fingerprint: product.fingerprint()?,
        now: product.row.required_time(0)?,
        product: product.shown()?,
        script,
        problems,
        inbound_problems,
        advice,
    })
}

const CONTROL_REMEDY: &str = "run the script 001_install.sql, the first one that makes it, or correct control_schema in \
                              [[database]] (on a table that is there but lacks a column: save its rows and run \
                              uninstall.sql before; a table without rights on it looks missing, too: grants.sql)";
const OUTBOX_REMEDY: &str = "check that database and iobox_schema in [[database]] name the application's tables, and that \
                             grants.sql was run; where the application brings no I/O Box, run the script iobox.sql";
const INBOX_REMEDY: &str = "receiving needs it (receive_mode = 'on'); check iobox_schema and grants.sql, or, where the \
                            application brings no I/O Box, run the script iobox.sql";
const INBOUND_REMEDY: &str = "receiving needs it (receive_mode = 'on'): run the script 003_inbound.sql, and grants.sql \
                              for the rights on it";

async fn receives(session: &mut Session, found: &Catalogue) -> Result<bool, Trouble> {
    let points = found.get("BODRELAY_CONNECTION_POINT");
    if points.is_none_or(|columns| !columns.contains_key("RECEIVE_MODE")) {
        return Ok(false);
    }
    Ok(session.query_row(sql::SURVEY_RECEIVES, &[]).await?.integer(0)?.is_some_and(|receiving| receiving > 0))
}

async fn catalogue(session: &mut Session) -> Result<Catalogue, Trouble> {
    let (control_schema, iobox) = (session.site.control_schema.clone(), session.site.iobox.clone());
    let mut found = Catalogue::new();
    for row in session.query(sql::SURVEY_COLUMNS, &[&control_schema, &iobox]).await? {
        let column = ColumnType {
            name: row.required(2)?.to_lowercase(),
            precision: row.integer(4)?.unwrap_or_default(),
            scale: row.integer(5)?.unwrap_or_default(),
        };
        let columns = found.entry(row.required(0)?.to_uppercase()).or_default();
        columns.insert(row.required(1)?.to_uppercase(), column);
    }
    Ok(found)
}

/// Tables and columns that a script makes: a line `CREATE TABLE schema.name (`, then a column on each line that is
/// indented once and begins with no word in capitals but the COR_ columns' own, up to `);`.
fn made_by(script: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut table: Option<String> = None;
    for line in script.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            let name = rest.trim_end_matches(" (");
            let name = name.rsplit('.').next().unwrap_or(name).to_uppercase();
            made.entry(name.clone()).or_default();
            table = Some(name);
        } else if line.starts_with(");") {
            table = None;
        } else if let (Some(table), Some(column)) = (&table, line.strip_prefix("    ")) {
            let word = column.split(' ').next().unwrap_or_default();
            if !word.is_empty()
                && word != "CONSTRAINT"
                && column.starts_with(|first: char| first.is_alphabetic())
            {
                made.entry(table.clone()).or_default().insert(word.to_uppercase());
            }
        }
    }
    made
}

/// One problem a missing table, else one a missing column.
fn missing(
    found: &Catalogue,
    expected: &BTreeMap<String, BTreeSet<String>>,
    needed: impl Fn(&str) -> Option<&'static str>,
    problems: &mut Vec<Problem>,
) {
    for (table, columns) in expected {
        let ours = !table.starts_with("COR_");
        let shown = |name: &str| if ours { name.to_lowercase() } else { name.to_owned() };
        let Some(there) = found.get(table) else {
            let remedy = columns.iter().find_map(|column| needed(column));
            let what = format!("table {} is missing", shown(table));
            problems.extend(remedy.map(|remedy| Problem { what, remedy: remedy.into() }));
            continue;
        };
        for column in columns.iter().filter(|column| !there.contains_key(*column)) {
            let what = format!("column {}.{} is missing", shown(table), shown(column));
            problems.extend(needed(column).map(|remedy| Problem { what, remedy: remedy.into() }));
        }
    }
}

const WHOLE: &[&str] = &["tinyint", "smallint", "int", "bigint"];
const EXACT: &[&str] = &["numeric", "decimal"];
const TEXT: &[&str] = &["nvarchar", "varchar", "nchar", "char", "ntext", "text", "xml"];
const BINARY: &[&str] = &["varbinary", "binary", "image"];
const TIMES: &[&str] = &["datetime", "datetime2", "datetimeoffset", "smalldatetime", "date"];
const SHORT_TEXT: &[&str] = &["nvarchar", "varchar", "nchar", "char"];

/// Columns of the application whose type the agent's statements cannot work with.
fn wrong_types(found: &Catalogue) -> Vec<Problem> {
    let number = |column: &ColumnType| {
        WHOLE.contains(&column.name.as_str())
            || (EXACT.contains(&column.name.as_str()) && column.scale == 0 && column.precision <= 19)
    };
    let one_of = |column: &ColumnType, lists: &[&[&str]]| {
        lists.iter().any(|list| list.contains(&column.name.as_str()))
    };
    let entry = "COR_OUTBOX_ENTRY";
    let number_wanted = "make it bigint, int or numeric(19,0)";
    let text_wanted = "make it nvarchar or varchar";
    [
        (entry, "C_ID", number_wanted),
        ("COR_OUTBOX_HEADERS", "C_ID", number_wanted),
        ("COR_OUTBOX_HEADERS", "C_OUTBOX_ID", number_wanted),
        (entry, "C_WAS_PROCESSED", "make it smallint or int"),
        (entry, "C_MESSAGE_PRIORITY", "make it int"),
        (entry, "C_XML", "make it varbinary(max), or nvarchar(max) or xml"),
        (entry, "C_CREATED_DATE_TIME", "make it datetime2, datetime, datetimeoffset or nvarchar"),
        (entry, "C_TENANT_ID", text_wanted),
        (entry, "C_LOGICAL_ID", text_wanted),
        ("COR_OUTBOX_HEADERS", "C_HEADER_KEY", text_wanted),
        ("COR_OUTBOX_HEADERS", "C_HEADER_VALUE", text_wanted),
    ]
    .into_iter()
    .filter_map(|(table, name, remedy)| {
        let column = found.get(table)?.get(name)?;
        let good = match name {
            "C_XML" => one_of(column, &[TEXT, BINARY]),
            "C_CREATED_DATE_TIME" => one_of(column, &[TIMES, SHORT_TEXT]),
            "C_TENANT_ID" | "C_LOGICAL_ID" => one_of(column, &[SHORT_TEXT]),
            "C_HEADER_KEY" | "C_HEADER_VALUE" => one_of(column, &[TEXT]),
            "C_MESSAGE_PRIORITY" => number(column) || one_of(column, &[SHORT_TEXT]),
            _ => number(column),
        };
        let what = format!("column {table}.{name} has the type {}, which cannot work", column.name);
        (!good).then(|| Problem { what, remedy: remedy.into() })
    })
    .collect()
}

/// Columns of the inbox that cannot take what is received. A column of single-byte text would lose letters without a word.
fn wrong_inbox_types(found: &Catalogue) -> Vec<Problem> {
    let number_wanted = "make it bigint, int or numeric(19,0)";
    let text_wanted = "make it nvarchar(250)";
    [
        ("COR_INBOX_ENTRY", "C_ID", [WHOLE, EXACT].concat(), number_wanted),
        ("COR_INBOX_HEADERS", "C_INBOX_ID", [WHOLE, EXACT].concat(), number_wanted),
        (
            "COR_INBOX_ENTRY",
            "C_WAS_PROCESSED",
            [WHOLE, EXACT, SHORT_TEXT].concat(),
            "make it smallint or int",
        ),
        ("COR_INBOX_ENTRY", "C_MESSAGE_PRIORITY", [WHOLE, EXACT, SHORT_TEXT].concat(), "make it int"),
        (
            "COR_INBOX_ENTRY",
            "C_XML",
            [BINARY, &["nvarchar", "ntext", "xml"]].concat(),
            "make it varbinary(max), or nvarchar(max) or xml",
        ),
        (
            "COR_INBOX_ENTRY",
            "C_CREATED_DATE_TIME",
            [TIMES, SHORT_TEXT].concat(),
            "make it datetime2 or datetime",
        ),
        ("COR_INBOX_HEADERS", "C_HEADER_KEY", TEXT.to_vec(), text_wanted),
        ("COR_INBOX_HEADERS", "C_HEADER_VALUE", TEXT.to_vec(), text_wanted),
    ]
    .into_iter()
    .filter_map(|(table, name, fit, remedy)| {
        let column = found.get(table)?.get(name)?;
        let what =
            format!("column {table}.{name} has the type {}, which cannot take what is received", column.name);
        (!fit.contains(&column.name.as_str())).then(|| Problem { what, remedy: remedy.into() })
    })
    .collect()
}

struct Index {
    filtered: bool,
    columns: Vec<String>,
}

async fn missing_indexes(session: &mut Session, found: &Catalogue) -> Result<Vec<Problem>, Trouble> {
    let iobox = session.site.iobox.clone();
    let mut indexes: BTreeMap<(String, String), Index> = BTreeMap::new();
    for row in session.query(sql::SURVEY_INDEXES, &[&iobox]).await? {
        let key = (row.required(0)?.to_uppercase(), row.required(1)?);
        let filtered = row.flag(2)?;
        let index = indexes.entry(key).or_insert_with(|| Index { filtered, columns: Vec::new() });
        index.columns.push(row.required(3)?.to_uppercase());
    }
    let has = |table: &str, good: fn(&Index) -> bool| {
        indexes.iter().any(|((of, _), index)| of == table && good(index))
    };
    let mut advice = Vec::new();
    // Plain indexes: a filtered one would break sessions of the application with QUOTED_IDENTIFIER OFF (error 1934). A
    // clustered key is behind every index, so one on the flag alone has the ids in order.
    if !has("COR_OUTBOX_ENTRY", |index| {
        let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
        matches!(columns.as_slice(), ["C_WAS_PROCESSED"] | ["C_WAS_PROCESSED", "C_ID", ..])
            || (index.filtered && columns.first() == Some(&"C_ID"))
    }) {
        let mut columns = vec!["C_WAS_PROCESSED", "C_ID", "C_TENANT_ID", "C_LOGICAL_ID"];
        columns
            .retain(|column| found.get("COR_OUTBOX_ENTRY").is_some_and(|there| there.contains_key(*column)));
        advice.push(Problem {
            what: "COR_OUTBOX_ENTRY has no index that begins with C_WAS_PROCESSED, C_ID: each scan reads more rows than \
                   it finds"
                .into(),
            remedy: format!(
                "CREATE INDEX IX_COR_OUTBOX_ENTRY_PROCESSED ON {iobox}COR_OUTBOX_ENTRY ({})",
                columns.join(", ")
            ),
        });
    }
    // Else each of them walks over the rows of all the others.
    let has_logical_id =
        found.get("COR_OUTBOX_ENTRY").is_some_and(|there| there.contains_key("C_LOGICAL_ID"));
    let is_known =
        found.get("BODRELAY_CONNECTION_POINT").is_some_and(|there| there.contains_key("SOURCE_LOGICAL_ID"));
    if has_logical_id
        && is_known
        && !has("COR_OUTBOX_ENTRY", |index| {
            let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
            matches!(columns.as_slice(), ["C_WAS_PROCESSED", "C_LOGICAL_ID", ..])
        })
        && session.query_row(sql::SURVEY_SHARES, &[]).await?.integer(0)?.is_some_and(|shares| shares > 1)
    {
        advice.push(Problem {
            what: "several connection points share COR_OUTBOX_ENTRY, and it has no index that begins with \
                   C_WAS_PROCESSED, C_LOGICAL_ID: where many rows of one wait, each of the others reads over them"
                .into(),
            remedy: format!(
                "CREATE INDEX IX_COR_OUTBOX_ENTRY_SHARED ON {iobox}COR_OUTBOX_ENTRY (C_WAS_PROCESSED, C_LOGICAL_ID, C_ID, \
                 C_TENANT_ID)"
            ),
        });
    }
    if !has("COR_OUTBOX_HEADERS", |index| {
        !index.filtered && index.columns.first().is_some_and(|column| column == "C_OUTBOX_ID")
    }) {
        advice.push(Problem {
            what: "COR_OUTBOX_HEADERS has no index that begins with C_OUTBOX_ID: each batch reads the whole table, and \
                   waits for whoever writes to it"
                .into(),
            remedy: format!("CREATE INDEX IX_COR_OUTBOX_HEADERS_ENTRY ON {iobox}COR_OUTBOX_HEADERS (C_OUTBOX_ID)"),
        });
    }
    Ok(advice)
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Statement;
    use sqlparser::dialect::MsSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    /// The few lines that read the scripts find what a parser of the dialect finds.
    #[test]
    fn the_scripts_are_read_as_a_parser_reads_them() {
        for script in [scripts::MSSQL_INSTALL, scripts::MSSQL_IOBOX, scripts::MSSQL_INBOUND] {
            let mut parsed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let mut rest = script;
            while let Some(start) = rest.find("\nCREATE TABLE ") {
                let end = start + rest[start..].find("\n);").unwrap() + 3;
                let statement = Parser::parse_sql(&MsSqlDialect {}, &rest[start..end]).unwrap();
                let [Statement::CreateTable(table)] = statement.as_slice() else { panic!("{statement:?}") };
                let name = table.name.0.last().unwrap().to_string().to_uppercase();
                let columns = table.columns.iter().map(|column| column.name.value.to_uppercase()).collect();
                parsed.insert(name, columns);
                rest = &rest[end..];
            }
            assert!(parsed.len() >= 2);
            assert_eq!(made_by(script), parsed);
        }
        assert_eq!(made_by(scripts::MSSQL_INSTALL).len(), 10);
    }

    #[test]
    fn an_inbox_that_cannot_take_documents_is_named() {
        let inbox = |document: &str| {
            let column = ColumnType { name: document.into(), precision: 0, scale: 0 };
            let columns = BTreeMap::from([("C_XML".to_owned(), column)]);
            wrong_inbox_types(&Catalogue::from([("COR_INBOX_ENTRY".to_owned(), columns)]))
        };
        for good in ["varbinary", "image", "nvarchar", "ntext", "xml"] {
            assert_eq!(inbox(good), [], "{good}");
        }
        for lossy in ["varchar", "text", "char"] {
            assert!(inbox(lossy)[0].remedy.contains("varbinary(max)"), "{lossy}");
        }
    }

    #[test]
    fn a_type_that_cannot_work_is_named() {
        let column = |name: &str, precision, scale| ColumnType { name: name.into(), precision, scale };
        let entry = |columns: &[(&str, ColumnType)]| {
            let columns = columns.iter().map(|(name, column)| ((*name).to_owned(), column.clone())).collect();
            Catalogue::from([("COR_OUTBOX_ENTRY".to_owned(), columns)])
        };
        for id in [column("bigint", 19, 0), column("int", 10, 0), column("numeric", 19, 0)] {
            assert_eq!(wrong_types(&entry(&[("C_ID", id)])), []);
        }
        for id in [column("numeric", 38, 0), column("numeric", 19, 2), column("nvarchar", 0, 0)] {
            let problems = wrong_types(&entry(&[("C_ID", id)]));
            assert!(problems[0].what.contains("COR_OUTBOX_ENTRY.C_ID"), "{problems:?}");
        }
        for document in ["varbinary", "image", "xml", "nvarchar", "ntext", "varchar", "text"] {
            assert_eq!(wrong_types(&entry(&[("C_XML", column(document, 0, 0))])), [], "{document}");
        }
        for (name, wrong) in [("C_XML", "int"), ("C_CREATED_DATE_TIME", "text"), ("C_WAS_PROCESSED", "bit")] {
            assert_eq!(wrong_types(&entry(&[(name, column(wrong, 0, 0))])).len(), 1, "{name} {wrong}");
        }
    }
}
