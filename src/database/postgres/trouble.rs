//! What the server and the network say, told as a `DatabaseError`: what happens next, or what somebody must do.
//!
//! The server's errors are told apart by SQLSTATE, everything else by the type of its cause.

use std::io;
use std::time::Duration;

use tokio_postgres::Error;

use crate::database::DatabaseError;
use crate::database::compose::{QueryFailure, QueryFailureKind};
use crate::database::said::{kept, words};

use super::session::Address;

/// Why an operation ended without its answer, before the operation and the database are named.
#[derive(Debug, thiserror::Error)]
pub(in crate::database) enum Trouble {
    /// While the session was opened.
    #[error(transparent)]
    Connect(Error),
    #[error(transparent)]
    Postgres(#[from] Error),
    /// The same, of a statement that has a name.
    #[error("{0}")]
    Statement(&'static str, #[source] Error),
    /// During COMMIT: whether it was carried out is not known.
    #[error(transparent)]
    CommitLost(Error),
    #[error("no answer for {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// The session that listens has ended.
    #[error("the session was lost")]
    Lost,
    /// A key of `[[database]]` cannot be used.
    #[error("{0:#}")]
    Setting(anyhow::Error),
    /// A DELETE ended without an error and left rows where they were.
    #[error("rows were not deleted")]
    Kept,
    #[error("{what}")]
    Mend { what: String, remedy: String },
    /// A DBA's query did not answer; nothing is wrong with the database.
    #[error("{}", .0.what)]
    Query(QueryFailure),
}

/// Where the server refuses a row by a policy of row security, in whatever language it says so.
const POLICY: &str = "ExecWithCheckOptions";

const CHECK: &str = "run 'bodrelay check': it names the table, column or script that is missing";

impl Trouble {
    fn sqlstate(&self) -> Option<&str> {
        self.error().and_then(|error| error.code()).map(|code| code.code())
    }

    /// What the driver says.
    fn error(&self) -> Option<&Error> {
        match self {
            Self::Connect(error)
            | Self::Postgres(error)
            | Self::Statement(_, error)
            | Self::CommitLost(error) => Some(error),
            Self::NoAnswer(_)
            | Self::Lost
            | Self::Setting(_)
            | Self::Kept
            | Self::Mend { .. }
            | Self::Query(_) => None,
        }
    }

    /// Of a statement, not of the way to the server.
    fn of_statement(&self) -> Option<&Error> {
        match self {
            Self::Postgres(error) | Self::Statement(_, error) => Some(error),
            _ => None,
        }
    }

    /// A deadlock, a failed serialization, or a receipt that somebody else wrote meanwhile: the whole transaction can
    /// simply run again.
    pub(super) fn is_worth_another_try(&self) -> bool {
        let Some(error) = self.of_statement() else { return false };
        let constraint = error.as_db_error().and_then(|said| said.constraint());
        match self.sqlstate() {
            Some("40P01" | "40001") => true,
            Some("23505") => constraint == Some("pk_bodrelay_receipt"),
            _ => false,
        }
    }

    /// Another session kept what the statement names locked for too long.
    pub(super) fn is_lock(&self) -> bool {
        self.of_statement().is_some() && self.sqlstate() == Some("55P03")
    }

    /// The encoding of the database does not hold a letter.
    pub(super) fn is_about_letters(&self) -> bool {
        self.of_statement().is_some() && self.sqlstate() == Some("22P05")
    }

    /// A value holds bytes that are no letter of the encoding of the database, or one that no other encoding knows.
    pub(super) fn is_unreadable(&self) -> bool {
        self.of_statement().is_some() && matches!(self.sqlstate(), Some("22P05" | "22021"))
    }

    /// What the server says.
    pub(super) fn words(&self) -> String {
        self.error().map(|error| self.said(error)).unwrap_or_default()
    }

    /// A constraint, a type, a policy, a trigger or a limit refused the values of a row. Whatever goes wrong in a function
    /// is a trigger's: the agent's statements call none.
    fn is_about_rows(&self) -> bool {
        if matches!(self, Self::Kept) {
            return true;
        }
        let Some(said) = self.of_statement().and_then(Error::as_db_error) else { return false };
        match said.code().code().get(..2).unwrap_or_default() {
            "22" | "23" | "44" | "54" | "P0" | "20" => true,
            "42" if said.routine() == Some(POLICY) => true,
            "0A" | "21" | "2F" | "38" | "39" | "42" => said.where_().is_some(),
            _ => false,
        }
    }

    /// The session is of no use any more, or what it knows of the tables may be old.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::Mend { .. } => true,
            Self::Kept => false,
            // More rows may be under way.
            Self::Query(failure) => failure.kind == QueryFailureKind::TooMuch,
            // A trigger's own statements are no concern of the session.
            Self::Postgres(_) | Self::Statement(..) if self.is_about_rows() => false,
            Self::Postgres(_) | Self::Statement(..) => match self.sqlstate() {
                // Statements are prepared and names filled in once a session: a changed table needs another one.
                Some(code) => {
                    code.starts_with("08")
                        || code.starts_with("57P")
                        || matches!(code, "42P01" | "42703" | "3F000" | "0A000" | "42883" | "25P03")
                }
                None => true,
            },
            Self::Connect(_) | Self::CommitLost(_) | Self::NoAnswer(_) | Self::Lost | Self::Setting(_) => {
                true
            }
        }
    }

    pub(super) fn told(self, database: &str, operation: &'static str, address: &Address) -> DatabaseError {
        let database = database.to_owned();
        match self.advice(address) {
            (what, None) => DatabaseError::Unavailable {
                database,
                operation,
                what,
                is_lock: self.is_lock(),
                source: self.cause(),
            },
            (what, Some(remedy)) => {
                let is_about_rows = self.is_about_rows();
                DatabaseError::NeedsMending {
                    database,
                    operation,
                    what,
                    remedy,
                    is_about_rows,
                    source: self.cause(),
                }
            }
        }
    }

    fn cause(self) -> Option<anyhow::Error> {
        match self {
            Self::Connect(error)
            | Self::Postgres(error)
            | Self::Statement(_, error)
            | Self::CommitLost(error) => Some(error.into()),
            Self::Setting(error) => Some(error),
            Self::NoAnswer(_) | Self::Lost | Self::Kept | Self::Mend { .. } | Self::Query(_) => None,
        }
    }

    /// What happened, and where waiting does not help, the remedy.
    fn advice(&self, address: &Address) -> (String, Option<String>) {
        let waits = |what: &str| (format!("{what}; nothing was changed, the agent tries again"), None);
        match self {
            Self::Kept => kept(),
            Self::Mend { what, remedy } => (what.clone(), Some(remedy.clone())),
            // Told by its caller, not here.
            Self::Query(failure) => (failure.what.clone(), Some("correct the query".into())),
            Self::Setting(error) => {
                (format!("{error}"), Some("correct it in [[database]]; the agent tries again by itself".into()))
            }
            Self::NoAnswer(limit) => {
                let seconds = limit.as_secs();
                (format!("no answer within {seconds} s; what was asked is done again, which changes nothing twice"), None)
            }
            Self::Lost => waits("the server went away, or ended the session that listens"),
            Self::CommitLost(_) => (
                "the connection was lost during COMMIT, so that its end is not known; the agent tries again, which \
                 changes nothing twice"
                    .into(),
                None,
            ),
            Self::Connect(error) | Self::Postgres(error) | Self::Statement(_, error) => match error.code() {
                Some(code) if self.is_about_rows() && code.code() != "22P02" => (
                    format!("a constraint or a trigger of the database refused a row: {}; nothing was changed", self.said(error)),
                    Some(
                        "look at what the server names: the constraint, trigger or policy belongs to the application or to \
                         the control tables; mend it, or the row"
                            .into(),
                    ),
                ),
                Some(code) => {
                    let (what, remedy) = server_said(code.code(), error, address);
                    match remedy {
                        Some(_) if !what.contains(message(error)) => {
                            (format!("{what}: {}", self.said(error)), remedy)
                        }
                        _ => (what, remedy),
                    }
                }
                None if cause::<rustls::Error>(error).is_some() => (
                    "the server's certificate or its TLS is refused".into(),
                    Some(
                        "put the certificate of its issuer into ca_file; with encrypt = \"strict\", host must be a name \
                         in the certificate"
                            .into(),
                    ),
                ),
                None if error.is_closed() || cause::<io::Error>(error).is_some() => {
                    waits("the server cannot be reached, or the connection was lost")
                }
                None if matches!(self, Self::Connect(_)) && std::error::Error::source(error).is_none() => {
                    waits("the server did not answer in time")
                }
                None if matches!(self, Self::Connect(_)) => (
                    "the server and the agent do not agree how to connect or sign in".into(),
                    Some(
                        "see the cause; a server without TLS needs encrypt = \"off\", one that asks for a password \
                         password_file or password_env"
                            .into(),
                    ),
                ),
                None => ("the tables are not as the agent needs them".into(), Some(CHECK.into())),
            },
        }
    }
}

impl Trouble {
    /// The server's own words. A detail that is the whole row (23502, 23514) is left out: it holds the document.
    fn said(&self, error: &Error) -> String {
        let statement = if let Self::Statement(name, _) = self { name } else { "" };
        let Some(said) = error.as_db_error() else { return String::new() };
        let is_row = matches!(said.code().code(), "23502" | "23514");
        let code = format!("SQLSTATE {}", said.code().code());
        let constraint = said.constraint().filter(|name| !said.message().contains(name));
        let details = [
            Some(code.as_str()),
            said.detail().filter(|_| !is_row),
            constraint,
            said.hint(),
            said.where_().and_then(|place| place.lines().next()),
        ];
        words(statement, said.message(), &details)
    }
}

fn message(error: &Error) -> &str {
    error.as_db_error().map_or("", |said| said.message())
}

/// The first error of a type among the causes; what hides in an `io::Error` counts, too.
fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<T>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// SQLSTATE to what happens next (PostgreSQL's appendix A).
fn server_said(code: &str, error: &Error, address: &Address) -> (String, Option<String>) {
    let waits = |what: String| (format!("{what}; nothing was changed, the agent tries again"), None);
    let mend = |what: String, remedy: &str| (what, Some(remedy.to_owned()));
    let message = message(error);
    let seconds = address.settings.statement_timeout_seconds;
    match code {
        "57014" => {
            waits(format!("it took longer than {seconds} s (statement_timeout_seconds) and was stopped"))
        }
        "55P03" => waits(format!(
            "another session kept rows or tables locked for {} s",
            address.lock_timeout().as_secs()
        )),
        "40P01" | "40001" => waits("another session was in the way twice (a deadlock)".into()),
        "0A000" => waits("a table was changed under a prepared statement".into()),
        "25006" => mend(
            "the database is read-only (a standby, or default_transaction_read_only); nothing was changed"
                .into(),
            "let host name the primary, or take the read-only setting back; the agent tries again by itself",
        ),
        "28P01" | "28000" => mend(
            format!("the server refuses the user: {message}"),
            "correct user and password_file in [[database]], or the server's pg_hba.conf; a password that has expired \
             (VALID UNTIL) is refused in the same words; the agent tries again by itself",
        ),
        "26000" | "42P05" => mend(
            "the session changed between two statements: a pooler in transaction mode (PgBouncer) is in between".into(),
            "write pooled = true into [[database]], or let host name the server itself or a pool in session mode",
        ),
        "3D000" => mend(
            format!("the server has no such database: {message}"),
            "correct database in [[database]]; the agent tries again by itself",
        ),
        "42501" => mend(
            format!("a right is missing: {message}"),
            "give the agent's role the rights of grants.sql ('bodrelay sql postgres grants')",
        ),
        "42P01" | "3F000" => mend(
            format!("a table is missing, or this role may not see its schema: {message}"),
            "run 'bodrelay check': it names the table or script that is missing; where the table is there, give the \
             agent's role the rights of grants.sql (and behind a pooler in transaction mode, write pooled = true into \
             [[database]])",
        ),
        "42703" => mend(format!("a column is missing: {message}"), CHECK),
        "42883" | "42804" | "22P02" => {
            mend(format!("a column has a type that cannot work: {message}"), CHECK)
        }
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "57" => waits("the server went away".into()),
            "53" => waits("the server is short of memory, disk or connections".into()),
            "25" => waits("the session was ended by the server".into()),
            "XX" => mend(
                "the server reports damage inside".into(),
                "look into the server's log; check its disks and files",
            ),
            _ => mend(format!("the database refused the statement (SQLSTATE {code})"), CHECK),
        },
    }
}
