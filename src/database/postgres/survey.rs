//! What the database has, held against what the scripts make.
//!
//! The expectation is not written down a second time: tables and columns are read out of the install scripts of this
//! version, whose tables are written one column a line.

use std::collections::BTreeMap;

use crate::database::rows::Cells;
use crate::database::script::may_not_insert;
use crate::database::statements::{postgres as sql, scripts};
use crate::database::{Problem, Survey};

use super::names::{Names, Table};
use super::session::{Address, Session};
use super::trouble::Trouble;

const CONTROL_REMEDY: &str = "run the script 001_install.sql, the first one that makes it (on a table that is there \
                              but lacks a column: save its rows and run uninstall.sql before)";
const OUTBOX_REMEDY: &str = "check that database and iobox_schema in [[database]] name the application's own, and that \
                             the agent's role may see it (grants.sql); where the application brings no I/O Box, run \
                             the script iobox.sql";
const INBOX_REMEDY: &str = "receiving needs it (receive_mode = 'on'); check iobox_schema in [[database]] and grants.sql, \
                            or, where the application brings no I/O Box, run the script iobox.sql";
const INBOUND_REMEDY: &str = "receiving needs it (receive_mode = 'on'): run the script 003_inbound.sql, and the lines of \
                              grants.sql that name its tables";

pub(super) async fn survey(session: &Session, address: &Address) -> Result<Survey, Trouble> {
    let system = session.system_identifier().await?;
    session.begin_read().await?;
    let names = session.names_now(address).await?;
    let row = session.query_one(sql::SURVEY_PRODUCT, &[]).await?;
    let (now, version) = (row.required_time(0)?, row.required(1)?);
    let (oid, database): (i64, String) = (row.try_get(2)?, row.required(3)?);
    let script = match names.tables.contains_key("bodrelay_version") {
        true => i64::from(session.query_one(sql::SURVEY_SCRIPT, &[]).await?.try_get::<_, i32>(0)?),
        false => 0,
    };
    let (mut problems, mut advice) = (Vec::new(), Vec::new());
    let found = &names.tables;
    missing(found, &made_by(scripts::POSTGRES_INSTALL), CONTROL_REMEDY, &mut problems);
    let boxes = made_by(scripts::POSTGRES_IOBOX);
    let (outbox, inbox): (Vec<_>, Vec<_>) =
        boxes.into_iter().partition(|(table, _)| table.starts_with("cor_outbox"));
    if !names.own_outbox {
        missing(found, &outbox, OUTBOX_REMEDY, &mut problems);
    }
    let mut inbound_problems = Vec::new();
    let points = found.get("bodrelay_connection_point");
    if points.is_some_and(|table| table.columns.contains_key("receive_mode"))
        && session.query_one(sql::SURVEY_RECEIVES, &[]).await?.try_get::<_, i64>(0)? > 0
    {
        missing(found, &made_by(scripts::POSTGRES_INBOUND), INBOUND_REMEDY, &mut inbound_problems);
        missing(found, &inbox, INBOX_REMEDY, &mut inbound_problems);
        inbound_problems.extend(wrong_types(found, INBOX_TYPES));
        inbound_problems.extend(missing_rights(session, &names).await?);
    }
    problems.extend(wrong_types(found, OUTBOX_TYPES));
    problems.extend(names.twice.iter().map(|table| Problem {
        what: format!("table {table} is there twice, in letters of another case"),
        remedy: "rename or drop the one that the application does not write to".into(),
    }));
    advice.extend(missing_indexes(session, &names).await?);
    if address.is_unexpectedly_pooled() {
        advice.push(Problem {
            what: "host names a pooler: sessions are shared with others, and pooled is not set".into(),
            remedy: "say pooled = true in [[database]], or let host and port name the server itself".into(),
        });
    }
    advice.extend(session.letters.lacking().map(|encoding| Problem {
        what: format!(
            "the database has the encoding {encoding}: a letter outside of it is written as in \\u{{2019}} in the message log, \
             in findings and in answers, and a received document with one in a header (or in C_XML, where that is text) is \
             refused"
        ),
        remedy: "nothing, if you can read it so; only a database with ENCODING 'UTF8' holds all letters".into(),
    }));
    session.commit().await?;
    Ok(Survey {
        fingerprint: fingerprint(system, oid, &database, address),
        now,
        product: format!("PostgreSQL {version}"),
        script,
        problems,
        inbound_problems,
        advice,
    })
}

/// The cluster's number, which a copy by base backup keeps and another cluster never has, with the database in it. Where
/// the number is refused, the address in the settings stands for it: a copy at another address is told, one that took
/// over the address is not.
fn fingerprint(system: Option<i64>, oid: i64, database: &str, address: &Address) -> String {
    const LONGEST: usize = 200;
    let schema = &address.settings.control_schema;
    let whole = match system {
        Some(system) => format!("postgres system {system} database {oid} {database} schema {schema}"),
        None => {
            let host = address.settings.host.as_deref().unwrap_or_default();
            let port = address.settings.port.unwrap_or(5432);
            format!("postgres database {oid} {database} schema {schema} address {host}:{port}")
        }
    };
    whole.chars().take(LONGEST).collect()
}

/// Tables with their columns, as a script makes them.
fn made_by(script: &str) -> Vec<(String, Vec<String>)> {
    let mut made: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in script.lines() {
        if let Some(name) = line.strip_prefix("CREATE TABLE ").and_then(|rest| rest.strip_suffix(" (")) {
            made.push((name.to_owned(), Vec::new()));
            inside = true;
        } else if line == ");" {
            inside = false;
        } else if inside
            && let Some(column) = line.strip_prefix("    ").and_then(|rest| rest.split(' ').next())
            && column.starts_with(|letter: char| letter.is_ascii_lowercase())
            && let Some((_, columns)) = made.last_mut()
        {
            columns.push(column.to_owned());
        }
    }
    made
}

/// A name as tables.md has it: the I/O Box's in capitals.
fn shown(name: &str) -> String {
    if name.starts_with("bodrelay_") { name.to_owned() } else { name.to_uppercase() }
}

/// One problem a missing table, else one a missing column.
fn missing(
    found: &BTreeMap<String, Table>,
    expected: &[(String, Vec<String>)],
    remedy: &str,
    problems: &mut Vec<Problem>,
) {
    for (name, columns) in expected {
        let mut push = |what| problems.push(Problem { what, remedy: remedy.to_owned() });
        let Some(table) = found.get(name) else {
            push(format!("table {} is missing", shown(name)));
            continue;
        };
        // 1.0 boxes have no C_LOGICAL_ID: it is needed only where a connection point chooses by it.
        let needed = columns.iter().filter(|column| *column != "c_logical_id");
        for column in needed.filter(|column| !table.columns.contains_key(*column)) {
            let column = if name.starts_with("bodrelay_") { column.clone() } else { column.to_uppercase() };
            push(format!("column {}.{column} is missing", shown(name)));
        }
    }
}

const NUMBERS: &[&str] = &["int2", "int4", "int8", "numeric"];
const PAYLOADS: &[&str] = &["bytea", "text", "varchar", "bpchar", "xml"];
const FLAGS: &[&str] = &["int2", "int4", "int8", "numeric", "text", "varchar", "bpchar"];
const TIMES: &[&str] = &["timestamp", "timestamptz", "date", "text", "varchar", "bpchar"];
const TEXTS: &[&str] = &["text", "varchar", "bpchar"];

/// Table, column, types that work, the type to make it.
type Fitting = (&'static str, &'static str, &'static [&'static str], &'static str);

const OUTBOX_TYPES: &[Fitting] = &[
    ("cor_outbox_entry", "c_id", NUMBERS, "bigint"),
    ("cor_outbox_headers", "c_outbox_id", NUMBERS, "bigint"),
    ("cor_outbox_entry", "c_was_processed", FLAGS, "smallint"),
    ("cor_outbox_entry", "c_xml", PAYLOADS, "bytea"),
];

const INBOX_TYPES: &[Fitting] = &[
    ("cor_inbox_entry", "c_id", NUMBERS, "bigint"),
    ("cor_inbox_headers", "c_inbox_id", FLAGS, "bigint"),
    ("cor_inbox_entry", "c_was_processed", FLAGS, "smallint"),
    ("cor_inbox_entry", "c_message_priority", FLAGS, "int"),
    ("cor_inbox_entry", "c_xml", PAYLOADS, "bytea"),
    ("cor_inbox_entry", "c_created_date_time", TIMES, "timestamp"),
    ("cor_inbox_entry", "c_tenant_id", TEXTS, "varchar(22)"),
    ("cor_inbox_entry", "c_logical_id", TEXTS, "varchar(250)"),
    ("cor_inbox_headers", "c_header_key", TEXTS, "varchar(250)"),
    ("cor_inbox_headers", "c_header_value", TEXTS, "varchar(250)"),
];

/// Tables that a received document is written to, and may not be.
async fn missing_rights(session: &Session, names: &Names) -> Result<Vec<Problem>, Trouble> {
    let tables = ["cor_inbox_entry", "cor_inbox_headers", "bodrelay_receipt", "bodrelay_received_document"];
    let tables: Vec<String> =
        tables.iter().filter_map(|name| names.tables.get(*name)).map(Table::quoted).collect();
    let rows = session.query(sql::SURVEY_RIGHTS, &[&tables]).await?;
    rows.iter().map(|row| Ok(may_not_insert(&row.required(0)?, &row.required(1)?))).collect()
}

/// Types that the statements cannot work with.
fn wrong_types(found: &BTreeMap<String, Table>, types: &[Fitting]) -> Vec<Problem> {
    types
        .iter()
        .filter_map(|(table, column, fit, remedy)| {
            let declared = &found.get(*table)?.columns.get(*column)?.type_name;
            (!fit.contains(&declared.as_str())).then(|| Problem {
                what: format!(
                    "column {}.{} has the type {declared}, which cannot work",
                    shown(table),
                    shown(column)
                ),
                remedy: format!("make it a {remedy} column; {} work, too", fit.join(", ")),
            })
        })
        .collect()
}

struct Index {
    columns: Vec<String>,
    condition: Option<String>,
}

async fn missing_indexes(session: &Session, names: &Names) -> Result<Vec<Problem>, Trouble> {
    let mut indexes: BTreeMap<(String, String), Index> = BTreeMap::new();
    for row in session.query(sql::SURVEY_INDEXES, &[&names.schemas]).await? {
        let table = row.required(1)?.to_lowercase();
        // A table of the same name in another schema of the path is not the one that is used.
        if names
            .tables
            .get(&table)
            .is_none_or(|used| Some(&used.schema) != row.text(0).ok().flatten().as_ref())
        {
            continue;
        }
        let condition = row.text(3)?;
        let index = indexes
            .entry((table, row.required(2)?))
            .or_insert_with(|| Index { columns: Vec::new(), condition });
        index.columns.push(row.text(4)?.unwrap_or_default().to_lowercase());
    }
    let of =
        |table: &'static str| indexes.iter().filter(move |((of, _), _)| of == table).map(|(_, index)| index);
    let mut advice = Vec::new();
    const COSTS: &str = "it reads the table once and cannot run in a transaction; see examples.sql";
    if let Some(table) = names.tables.get("cor_outbox_entry") {
        let is_of_flag = |index: &Index| {
            let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
            match (columns.as_slice(), &index.condition) {
                (["c_was_processed", "c_id", ..], None) => true,
                (["c_id", ..], Some(condition)) => condition.to_lowercase().contains("c_was_processed"),
                _ => false,
            }
        };
        if !of("cor_outbox_entry").any(is_of_flag) {
            advice.push(Problem {
                what: format!("COR_OUTBOX_ENTRY has no index of the rows at 0: each scan reads more rows than it finds; {COSTS}"),
                remedy: format!(
                    "CREATE INDEX CONCURRENTLY ix_cor_outbox_entry_waiting ON {} ({}) WHERE {} = '0'",
                    table.quoted(),
                    table.column("c_id"),
                    table.column("c_was_processed")
                ),
            });
        }
        // Else each of them walks over the rows of all the others.
        let is_of_logical_id = |index: &Index| {
            let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
            match (columns.as_slice(), &index.condition) {
                (["c_was_processed", "c_logical_id", ..], None) => true,
                (["c_logical_id", ..], Some(condition)) => {
                    condition.to_lowercase().contains("c_was_processed")
                }
                _ => false,
            }
        };
        let is_shared = session.query_one(sql::SURVEY_SHARES, &[]).await?.try_get::<_, i64>(0)? > 1;
        if is_shared && !names.is_box_1_0() && !of("cor_outbox_entry").any(is_of_logical_id) {
            advice.push(Problem {
                what: format!(
                    "several connection points share COR_OUTBOX_ENTRY, and it has no index of the rows at 0 by \
                     C_LOGICAL_ID: where many rows of one wait, each of the others reads over them; {COSTS}"
                ),
                remedy: format!(
                    "CREATE INDEX CONCURRENTLY ix_cor_outbox_entry_shared ON {} ({}, {}, {}) WHERE {} = '0'",
                    table.quoted(),
                    table.column("c_logical_id"),
                    table.column("c_id"),
                    table.column("c_tenant_id"),
                    table.column("c_was_processed")
                ),
            });
        }
        if !of("cor_outbox_entry").any(|index| {
            index.condition.is_none() && index.columns.first().is_some_and(|column| column == "c_id")
        }) {
            advice.push(Problem {
                what: format!("COR_OUTBOX_ENTRY has no index that begins with C_ID: each batch reads the whole table; {COSTS}"),
                remedy: format!("CREATE UNIQUE INDEX CONCURRENTLY ix_cor_outbox_entry_id ON {} ({})", table.quoted(), table.column("c_id")),
            });
        }
    }
    if let Some(table) = names.tables.get("cor_outbox_headers")
        && !of("cor_outbox_headers").any(|index| {
            index.condition.is_none() && index.columns.first().is_some_and(|column| column == "c_outbox_id")
        })
    {
        advice.push(Problem {
            what: format!("COR_OUTBOX_HEADERS has no index that begins with C_OUTBOX_ID: each batch reads the whole table; {COSTS}"),
            remedy: format!(
                "CREATE INDEX CONCURRENTLY ix_cor_outbox_headers_entry ON {} ({})",
                table.quoted(),
                table.column("c_outbox_id")
            ),
        });
    }
    Ok(advice)
}
