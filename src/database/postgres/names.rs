//! The site's own table and column names, read from the catalogue and filled into the statements.
//!
//! A statement names the application's things in braces: `{outbox_entry}`, `{outbox_headers}`, columns of the first as
//! `{c_id}`, of the second as `{h_c_id}`; `{payload}` is `C_XML` as bytes or text, `{created_text}` and `{created_time}`
//! are `C_CREATED_DATE_TIME` as text and as a time. The inbox has the same with `i_` and `ih_` before a column;
//! `{inbox_payload}`, `{inbox_payload_type}` and `{inbox_created}` (and the same of the outbox) are what is written, as the
//! columns take it, `{inbox_read}` the document as it is read. Each is filled in once a session, quoted.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::database::statements::postgres as sql;

use super::trouble::Trouble;

/// A name as an identifier, whatever letters it has.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table as the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    /// Columns by their name in lower case.
    pub(super) columns: BTreeMap<String, Column>,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type under the domain, as `pg_type` calls it.
    pub(super) type_name: String,
}

impl Table {
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// The quoted name of a column; one that is missing keeps the name that it should have.
    pub(super) fn column(&self, name: &str) -> String {
        quoted(self.columns.get(name).map_or(name, |column| &column.name))
    }
}

pub(super) struct Names {
    /// Where the I/O Box is looked for, in this order.
    pub(super) schemas: Vec<String>,
    /// By name in lower case; of the I/O Box's the first on the path.
    pub(super) tables: BTreeMap<String, Table>,
    /// Tables of one schema whose names differ in case only.
    pub(super) twice: Vec<String>,
    /// `C_XML` of the inbox is text (or xml).
    pub(super) inbox_is_text: bool,
    /// The same of the outbox.
    pub(super) outbox_is_text: bool,
    /// There is no I/O Box, and every connection point composes: the outbox is ours.
    pub(super) own_outbox: bool,
    replacements: Vec<(String, String)>,
    /// Where our tables are, quoted.
    control_schema: String,
}

impl Names {
    pub(super) async fn read(
        client: &Client,
        schemas: Vec<String>,
        control_schema: &str,
    ) -> Result<Self, Trouble> {
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        let mut twice = Vec::new();
        for row in client.query(sql::SURVEY_COLUMNS, &[&schemas, &control_schema]).await? {
            let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let (column, type_name): (String, String) = (row.try_get(2)?, row.try_get(3)?);
            let table = tables.entry(name.to_lowercase()).or_insert_with(|| Table {
                schema: schema.clone(),
                name: name.clone(),
                columns: BTreeMap::new(),
            });
            if table.schema == schema && table.name == name {
                table.columns.insert(column.to_lowercase(), Column { name: column, type_name });
            } else if table.schema == schema && !twice.contains(&name) {
                twice.push(name);
            }
        }
        let is_text = |name: &str| {
            let payload = tables.get(name).and_then(|table| table.columns.get("c_xml"));
            payload.is_some_and(|column| column.type_name != "bytea")
        };
        let (inbox_is_text, outbox_is_text) = (is_text("cor_inbox_entry"), is_text("cor_outbox_entry"));
        let own_outbox = composes_only(client, &tables, control_schema).await?;
        let replacements = replacements(&tables, own_outbox);
        let control_schema = quoted(control_schema);
        Ok(Self {
            schemas,
            tables,
            twice,
            inbox_is_text,
            outbox_is_text,
            own_outbox,
            replacements,
            control_schema,
        })
    }

    /// Whether the outbox has `C_LOGICAL_ID`; a box that is not there at all is told by the statement itself.
    pub(super) fn is_box_1_0(&self) -> bool {
        self.tables.get("cor_outbox_entry").is_some_and(|table| !table.columns.contains_key("c_logical_id"))
    }

    /// The same of the inbox.
    pub(super) fn is_inbox_1_0(&self) -> bool {
        self.tables.get("cor_inbox_entry").is_some_and(|table| !table.columns.contains_key("c_logical_id"))
    }

    pub(super) fn fill(&self, statement: &str) -> String {
        let mut filled = qualified(statement, &self.control_schema);
        for (place, name) in &self.replacements {
            if filled.contains(place.as_str()) {
                filled = filled.replace(place.as_str(), name);
            }
        }
        filled
    }
}

/// Our tables with their schema, wherever a statement names one: it depends on nobody's search path.
fn qualified(statement: &str, schema: &str) -> String {
    let mut parts = statement.split("bodrelay_");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let before = whole.trim_end();
        let is_table = before.len() < whole.len()
            && ["FROM", "JOIN", "INTO", "UPDATE"].iter().any(|word| before.ends_with(word));
        if is_table {
            whole.push_str(schema);
            whole.push('.');
        }
        whole.push_str("bodrelay_");
        whole.push_str(part);
    }
    whole
}

/// No I/O Box is there, and nobody asks for its rows.
async fn composes_only(
    client: &Client,
    tables: &BTreeMap<String, Table>,
    control_schema: &str,
) -> Result<bool, Trouble> {
    let is_there = |name: &str| tables.contains_key(name);
    if is_there("cor_outbox_entry")
        || !is_there("bodrelay_outbox_entry")
        || !is_there("bodrelay_connection_point")
    {
        return Ok(false);
    }
    let sources = qualified(sql::SURVEY_SOURCES, &quoted(control_schema));
    let row = client.query_one(&sources, &[]).await?;
    Ok(row.try_get::<_, i64>(0)? == 0 && row.try_get::<_, i64>(1)? > 0)
}

/// Of an outbox and of an inbox alike (spec/iobox.md §2.1).
const ENTRY_COLUMNS: [&str; 7] = [
    "c_id",
    "c_xml",
    "c_tenant_id",
    "c_logical_id",
    "c_message_priority",
    "c_created_date_time",
    "c_was_processed",
];

fn replacements(tables: &BTreeMap<String, Table>, own_outbox: bool) -> Vec<(String, String)> {
    let missing =
        |name: &str| Table { schema: String::new(), name: name.to_owned(), columns: BTreeMap::new() };
    let table = |name: &str| tables.get(name).cloned().unwrap_or_else(|| missing(name));
    let (entry, headers) = match own_outbox {
        false => (table("cor_outbox_entry"), table("cor_outbox_headers")),
        true => (table("bodrelay_outbox_entry"), table("bodrelay_outbox_header")),
    };
    // Without the table, the plain name: the server then says that it does not exist.
    let shown = |table: &Table| if table.schema.is_empty() { quoted(&table.name) } else { table.quoted() };
    let mut all =
        vec![("{outbox_entry}".to_owned(), shown(&entry)), ("{outbox_headers}".to_owned(), shown(&headers))];
    all.extend(ENTRY_COLUMNS.map(|name| (format!("{{{name}}}"), entry.column(name))));
    let header_columns = ["c_id", "c_outbox_id", "c_header_key", "c_header_value"];
    all.extend(header_columns.map(|name| (format!("{{h_{name}}}"), headers.column(name))));
    let type_of = |name: &str| entry.columns.get(name).map_or("", |column| column.type_name.as_str());
    let payload = entry.column("c_xml");
    // A document that is written: UTF-8 bytes, or text of them.
    let payload_of_4 = match type_of("c_xml") {
        "bytea" | "" => "$4::bytea".to_owned(),
        "xml" => "xmlparse(DOCUMENT convert_from($4::bytea, 'UTF8'))".to_owned(),
        _ => "convert_from($4::bytea, 'UTF8')".to_owned(),
    };
    all.push(("{payload_of_4}".to_owned(), payload_of_4));
    all.push((
        "{payload}".to_owned(),
        // bytea and text are taken as they are; the cast of xml costs nothing.
        if type_of("c_xml") == "bytea" { payload } else { format!("{payload}::text") },
    ));
    let created = entry.column("c_created_date_time");
    let (text, time) = match type_of("c_created_date_time") {
        "timestamptz" => (
            format!("to_char({created} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"),
            created.clone(),
        ),
        "timestamp" => (
            format!("to_char({created}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"),
            format!("({created} AT TIME ZONE 'UTC')"),
        ),
        "date" => (
            format!("to_char({created}, 'YYYY-MM-DD')"),
            format!("({created}::timestamp AT TIME ZONE 'UTC')"),
        ),
        _ => (format!("{created}::text"), time_of_text(&created)),
    };
    let now = match type_of("c_created_date_time") {
        "timestamptz" | "" => "clock_timestamp()",
        "timestamp" => "(clock_timestamp() AT TIME ZONE 'UTC')",
        "date" => "(clock_timestamp() AT TIME ZONE 'UTC')::date",
        _ => "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
    };
    all.push(("{created_now}".to_owned(), now.to_owned()));
    all.push(("{created_text}".to_owned(), text));
    all.push(("{created_time}".to_owned(), time));
    all.extend(written(&entry, "outbox"));
    all.extend(inbox_replacements(&table("cor_inbox_entry"), &table("cor_inbox_headers"), shown));
    all
}

fn inbox_replacements(
    entry: &Table,
    headers: &Table,
    shown: impl Fn(&Table) -> String,
) -> Vec<(String, String)> {
    let mut all =
        vec![("{inbox_entry}".to_owned(), shown(entry)), ("{inbox_headers}".to_owned(), shown(headers))];
    all.extend(ENTRY_COLUMNS.map(|name| (format!("{{i_{name}}}"), entry.column(name))));
    let header_columns = ["c_id", "c_inbox_id", "c_header_key", "c_header_value"];
    all.extend(header_columns.map(|name| (format!("{{ih_{name}}}"), headers.column(name))));
    all.extend(written(entry, "inbox"));
    let payload = entry.column("c_xml");
    let is_bytes = entry.columns.get("c_xml").is_none_or(|column| column.type_name == "bytea");
    let read = if is_bytes { payload } else { format!("{payload}::text") };
    all.push(("{inbox_read}".to_owned(), read));
    all
}

/// What goes into `C_XML` and `C_CREATED_DATE_TIME` of a new row, as their types take it.
fn written(entry: &Table, name: &str) -> [(String, String); 3] {
    let type_of = |name: &str| entry.columns.get(name).map_or("", |column| column.type_name.as_str());
    let (payload, payload_type) = match type_of("c_xml") {
        "xml" => ("n.payload::xml", "text"),
        "text" | "varchar" | "bpchar" => ("n.payload", "text"),
        _ => ("n.payload", "bytea"),
    };
    let created = match type_of("c_created_date_time") {
        "timestamptz" => "n.created_at",
        "timestamp" => "n.created_at AT TIME ZONE 'UTC'",
        "date" => "(n.created_at AT TIME ZONE 'UTC')::date",
        _ => "to_char(n.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
    };
    let each = [("payload", payload), ("payload_type", payload_type), ("created", created)];
    each.map(|(what, text)| (format!("{{{name}_{what}}}"), text.to_owned()))
}

/// A time out of text, NULL where it is none: never an error, whatever the text is, and without the server's formats.
/// Date and time are put together by numbers; without an offset it is UTC (spec/iobox.md §2).
fn time_of_text(column: &str) -> String {
    let part = |pattern: &str| format!("substring({column}::text FROM '{pattern}')");
    let number = |pattern: &str| format!("coalesce({}, '0')::int", part(pattern));
    let offset = format!(
        "(CASE WHEN {column}::text ~ '-[0-9]{{2}}:?[0-9]{{2}}\\s*$' AND {column}::text ~ ':' THEN -1 ELSE 1 END \
         * make_interval(hours => {}, mins => {}))",
        number(":.*[+-]([0-9]{2}):?[0-9]{2}\\s*$"),
        number(":.*[+-][0-9]{2}:?([0-9]{2})\\s*$")
    );
    format!(
        "(CASE WHEN {column}::text ~ '^\\s*[1-9][0-9]{{3}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\
         ([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{{1,9}})?)?\\s*([Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})?)?\\s*$' \
         THEN make_timestamptz({}, {}, 1, 0, 0, 0, 'UTC') + make_interval(days => {} - 1, hours => {}, mins => {}, \
         secs => coalesce({}, '0')::double precision) - {offset} END)",
        number("^\\s*([0-9]{4})"),
        number("^\\s*[0-9]{4}-([0-9]{2})"),
        number("^\\s*[0-9]{4}-[0-9]{2}-([0-9]{2})"),
        number("[T ]([0-9]{2}):"),
        number("[T ][0-9]{2}:([0-9]{2})"),
        part("[T ][0-9]{2}:[0-9]{2}:([0-9]{2}(?:\\.[0-9]+)?)"),
    )
}
