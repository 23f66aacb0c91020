//! One session: sends statements, reads whole answers, and fills in what a statement file leaves open.
//!
//! A statement file holds seven marks: `[bodrelay].` is the control schema, `/* iobox_schema */` stands before the tables
//! of the I/O Box, `/* readpast */` behind tables that a scan may read past locks in, `/* document */` on both sides of `C_XML`
//! where its type decides, `/* document_key */` the same of `document_id`, `/* inbox_text */` of the inbox, and `/* inbox_document */` on both
//! sides of what is written into that. They are filled in once a session; nothing else is put into a statement's text.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tiberius::{Client, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::Compat;

use crate::database::locks::{Holder, Lock, Lockers};
use crate::database::rows::Cells;
use crate::database::said::name_of;
use crate::database::statements::mssql_session as sql;

use super::ROLLBACK_TIMEOUT;
use super::trouble::Trouble;

pub(super) type Row = tiberius::Row;

pub(super) struct Session {
    pub(super) client: Client<Compat<TcpStream>>,
    pub(super) site: Site,
    /// Statements with their marks filled in, by the address of the file's text.
    texts: HashMap<usize, Arc<str>>,
    /// What this session has locked for its life.
    locks: HashSet<String>,
    /// What is claimed though a silent session has it locked.
    without: HashSet<String>,
    /// It has the tables of `inbox_tables.sql`.
    has_inbox_tables: bool,
}

/// How this site differs.
pub(super) struct Site {
    /// As the settings name it.
    pub(super) control_schema: String,
    /// In brackets, with a point.
    pub(super) control: String,
    /// In brackets, with a point; empty: as the server resolves a bare name.
    pub(super) iobox: String,
    /// Scans read past locks: the database has no READ_COMMITTED_SNAPSHOT, so they would stand behind writers.
    pub(super) reads_past: bool,
    /// `C_XML` is text or xml.
    pub(super) document_is_text: bool,
    /// The outbox is a 3.0 one.
    pub(super) has_logical_id: bool,
    /// The type of the inbox's `C_XML`.
    pub(super) inbox_document: Document,
    /// The inbox is a 3.0 one.
    pub(super) has_inbox_logical_id: bool,
    /// There is no I/O Box, and every connection point composes: the outbox is ours.
    pub(super) own_outbox: bool,
    /// `bodrelay_change` has the document ids that its index holds in a column of their own.
    pub(super) has_document_key: bool,
}

/// What a column holds a document as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    Binary,
    Text,
    Xml,
}

/// A name as a delimited identifier.
pub(super) fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

impl Site {
    fn fill(&self, statement: &str) -> String {
        const DOCUMENT: &str = "/* document */C_XML/* document */";
        const INBOX_TEXT: &str = "/* inbox_text */C_XML/* inbox_text */";
        let inbox_text = match self.inbox_document {
            Document::Binary => "C_XML",
            Document::Text | Document::Xml => "CAST(C_XML AS nvarchar(max))",
        };
        const INBOX: &str = "/* inbox_document */";
        const DOCUMENT_KEY: &str = "/* document_key */document_id/* document_key */";
        let document_key = if self.has_document_key { "document_key" } else { "document_id" };
        // As bytes, so that an encoding in the declaration is no contradiction (error 9402).
        let inbox = if self.inbox_document == Document::Xml { "CAST($ AS xml)" } else { "$" };
        let document = if self.document_is_text { "CAST(C_XML AS nvarchar(max))" } else { "C_XML" };
        let own = |statement: &str| match self.own_outbox {
            true => statement
                .replace("/* iobox_schema */COR_OUTBOX_ENTRY", "[bodrelay].bodrelay_outbox_entry")
                .replace("/* iobox_schema */COR_OUTBOX_HEADERS", "[bodrelay].bodrelay_outbox_header"),
            false => statement.to_owned(),
        };
        own(statement)
            .replace("[bodrelay].", &self.control)
            .replace("/* iobox_schema */", &self.iobox)
            .replace("/* readpast */", if self.reads_past { "WITH (READPAST)" } else { "" })
            .replace(DOCUMENT, document)
            .replace(DOCUMENT_KEY, document_key)
            .replace(INBOX_TEXT, inbox_text)
            .replace(&format!("{INBOX}@P4{INBOX}"), &inbox.replace('$', "@P4"))
            .replace(&format!("{INBOX}@P5{INBOX}"), &inbox.replace('$', "@P5"))
    }
}

/// Names the statement that an error is of.
fn of(statement: &'static str) -> impl Fn(tiberius::error::Error) -> Trouble {
    |error| Trouble::Statement(name_of(statement), error)
}

impl Session {
    pub(super) fn new(client: Client<Compat<TcpStream>>, site: Site) -> Self {
        Self {
            client,
            site,
            texts: HashMap::new(),
            locks: HashSet::new(),
            without: HashSet::new(),
            has_inbox_tables: false,
        }
    }

    /// The session's settings and tables. As batches: what sp_executesql sets or makes ends with it.
    pub(super) async fn prepare(&mut self) -> Result<(), Trouble> {
        self.batch(sql::SETTINGS).await?;
        self.batch(sql::TABLES).await
    }

    fn text(&mut self, statement: &'static str) -> Arc<str> {
        let filled = self.texts.entry(statement.as_ptr().addr());
        Arc::clone(filled.or_insert_with(|| self.site.fill(statement).into()))
    }

    pub(super) async fn query(
        &mut self,
        statement: &'static str,
        values: &[&dyn ToSql],
    ) -> Result<Vec<Row>, Trouble> {
        let text = self.text(statement);
        let answer = self.client.query(&*text, values).await.map_err(of(statement))?;
        answer.into_first_result().await.map_err(of(statement))
    }

    /// The one row that the statement always has.
    pub(super) async fn query_row(
        &mut self,
        statement: &'static str,
        values: &[&dyn ToSql],
    ) -> Result<Row, Trouble> {
        self.query(statement, values).await?.into_iter().next().ok_or(Trouble::NoRow)
    }

    /// How many rows the statements of the file changed.
    pub(super) async fn execute(
        &mut self,
        statement: &'static str,
        values: &[&dyn ToSql],
    ) -> Result<u64, Trouble> {
        let text = self.text(statement);
        Ok(self.client.execute(&*text, values).await.map_err(of(statement))?.total())
    }

    async fn batch(&mut self, statement: &'static str) -> Result<(), Trouble> {
        let answer = self.client.simple_query(statement).await.map_err(of(statement))?;
        answer.into_results().await.map_err(of(statement)).map(drop)
    }

    /// Empties the session's own tables.
    pub(super) async fn empty(&mut self) -> Result<(), Trouble> {
        self.batch(sql::EMPTY).await
    }

    /// Makes the tables of a store in the first one of the session, and empties them later.
    pub(super) async fn empty_inbox(&mut self) -> Result<(), Trouble> {
        if self.has_inbox_tables {
            return self.batch(sql::INBOX_EMPTY).await;
        }
        self.batch(sql::INBOX_TABLES).await?;
        self.has_inbox_tables = true;
        Ok(())
    }

    pub(super) async fn begin(&mut self) -> Result<(), Trouble> {
        self.batch(sql::BEGIN).await
    }

    pub(super) async fn commit(&mut self) -> Result<(), Trouble> {
        self.batch(sql::COMMIT).await
    }

    pub(super) async fn rollback(&mut self) -> Result<(), Trouble> {
        self.batch(sql::ROLLBACK).await
    }

    /// Opens the transaction of DBAs' queries.
    pub(super) async fn begin_queries(&mut self) -> Result<(), Trouble> {
        let row = self.query_row(sql::ALLOWS_SNAPSHOT, &[]).await?;
        self.batch(if row.flag(0)? { sql::BEGIN_SNAPSHOT } else { sql::BEGIN_QUERIES }).await
    }

    /// Rolls it back.
    pub(super) async fn end_queries(&mut self) -> Result<(), Trouble> {
        self.batch(sql::END_QUERIES).await
    }

    /// Takes a lock that lives as long as this session, unless somebody else's session has it. Once: the server counts.
    pub(super) async fn lock_while_it_lives(
        &mut self,
        what: &str,
        lockers: &Lockers,
    ) -> Result<Lock, Trouble> {
        if self.locks.contains(what) {
            return Ok(Lock::Ours);
        }
        let row = self.query_row(sql::OWNER_LOCK, &[&what]).await?;
        if row.integer(0)?.is_some_and(|granted| granted >= 0) {
            lockers.add(row.integer(1)?.unwrap_or_default());
            self.without.remove(what);
            self.locks.insert(what.to_owned());
            return Ok(Lock::Ours);
        }
        if self.without.contains(what) {
            return Ok(Lock::Without(None));
        }
        // Where the login may not ask, the transaction is of no use any more, and nothing is known.
        let held = match self.query(sql::OWNER_LOCK_HOLDER, &[&what]).await {
            Ok(rows) => rows,
            Err(trouble) if trouble.leaves_the_session_whole() => Vec::new(),
            Err(trouble) => return Err(trouble),
        };
        let holder = |row: &Row| {
            Ok::<_, Trouble>(Holder {
                session: row.integer(0)?.unwrap_or_default(),
                said: row.required(1)?,
                has_our_login: row.flag(2)?,
                comes_from_here: row.flag(3)?,
            })
        };
        Ok(lockers.judge(held.first().map(holder).transpose()?))
    }

    /// A claim stands without its lock: whoever holds that was silent for long enough.
    pub(super) fn goes_without(&mut self, what: String) {
        self.without.insert(what);
    }

    /// Lets go of such a lock, where this session has it.
    pub(super) async fn unlock(&mut self, what: &str) -> Result<(), Trouble> {
        if self.locks.remove(what) {
            self.query_row(sql::OWNER_UNLOCK, &[&what]).await?;
        }
        Ok(())
    }

    /// The session after an operation that failed, `None` where it is of no use any more. Dropping it closes the
    /// connection, and the server takes back what was open.
    pub(super) async fn after(mut self, trouble: &Trouble) -> Option<Self> {
        if !trouble.leaves_the_session_whole() {
            return None;
        }
        let rollback = tokio::time::timeout(ROLLBACK_TIMEOUT, self.batch(sql::ROLLBACK)).await;
        matches!(rollback, Ok(Ok(()))).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_marks_filled() {
        let mut site = Site {
            control_schema: "odd]name".into(),
            control: format!("{}.", bracketed("odd]name")),
            iobox: "[dbo].".into(),
            reads_past: true,
            document_is_text: true,
            has_logical_id: true,
            inbox_document: Document::Xml,
            has_inbox_logical_id: true,
            own_outbox: false,
            has_document_key: false,
        };
        let statement = "SELECT CAST(/* document */C_XML/* document */ AS x) \
                         FROM /* iobox_schema */T /* readpast */, [bodrelay].B";
        assert_eq!(
            site.fill(statement),
            "SELECT CAST(CAST(C_XML AS nvarchar(max)) AS x) FROM [dbo].T WITH (READPAST), [odd]]name].B"
        );
        (site.reads_past, site.document_is_text, site.iobox) = (false, false, String::new());
        assert_eq!(site.fill(statement), "SELECT CAST(C_XML AS x) FROM T , [odd]]name].B");
        let insert = "VALUES (@P1, /* inbox_document */@P5/* inbox_document */)";
        assert_eq!(site.fill(insert), "VALUES (@P1, CAST(@P5 AS xml))");
        site.inbox_document = Document::Text;
        assert_eq!(site.fill(insert), "VALUES (@P1, @P5)");
        let ids = "AND /* document_key */document_id/* document_key */ IN (";
        assert_eq!(site.fill(ids), "AND document_id IN (");
        site.has_document_key = true;
        assert_eq!(site.fill(ids), "AND document_key IN (");
        site.own_outbox = true;
        assert_eq!(
            site.fill("FROM /* iobox_schema */COR_OUTBOX_ENTRY"),
            "FROM [odd]]name].bodrelay_outbox_entry"
        );
    }
}
