//! What SQLite and the file system say, told as a `DatabaseError`: what happens next, or what somebody must do.

use std::io;

use rusqlite::{Error, ErrorCode};

use crate::database::DatabaseError;
use crate::database::said::{kept, name_of, words};

use super::BUSY_TIMEOUT;

/// Why an operation ended without its answer, before the operation and the database are named.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Sqlite(#[from] Error),
    /// The same, of a statement that has a name.
    #[error("{0}")]
    Statement(&'static str, #[source] Error),
    #[error(transparent)]
    File(#[from] io::Error),
    /// Another file is at the path.
    #[error("the file was replaced")]
    Replaced,
    /// A DELETE ended without an error and left rows where they were.
    #[error("rows were not deleted")]
    Kept,
    #[error("{what}")]
    Mend { what: String, remedy: String },
}

/// Extended code of SQLITE_READONLY: the file was moved or deleted while open.
const READONLY_DBMOVED: i32 = rusqlite::ffi::SQLITE_READONLY_DBMOVED;

impl Trouble {
    /// Names the statement that it is of.
    pub(super) fn of(self, statement: &'static str) -> Self {
        match self {
            Self::Sqlite(error) => Self::Statement(name_of(statement), error),
            other => other,
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Self::Sqlite(error) | Self::Statement(_, error) => Some(error),
            Self::File(_) | Self::Replaced | Self::Kept | Self::Mend { .. } => None,
        }
    }

    /// The connection is of no use any more: the next call opens the file anew.
    pub(super) fn needs_reopening(&self) -> bool {
        match self {
            Self::Replaced | Self::File(_) => true,
            Self::Sqlite(Error::SqliteFailure(code, _))
            | Self::Statement(_, Error::SqliteFailure(code, _)) => {
                code.extended_code == READONLY_DBMOVED
                    || matches!(code.code, ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
            }
            Self::Sqlite(_) | Self::Statement(..) | Self::Kept | Self::Mend { .. } => false,
        }
    }

    /// A constraint, a type or a trigger refused the values of a row.
    fn is_about_rows(&self) -> bool {
        matches!(self, Self::Kept)
            || matches!(self.error(), Some(Error::SqliteFailure(code, _)) if matches!(
                code.code,
                ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig))
    }

    pub(super) fn told(self, database: &str, operation: &'static str, timeout_seconds: u64) -> DatabaseError {
        let database = database.to_owned();
        match self.advice(timeout_seconds) {
            (what, None) => {
                DatabaseError::Unavailable { database, operation, what, is_lock: false, source: self.cause() }
            }
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
            Self::Sqlite(error) | Self::Statement(_, error) => Some(error.into()),
            Self::File(error) => Some(error.into()),
            Self::Replaced | Self::Kept | Self::Mend { .. } => None,
        }
    }

    /// What happened, and where waiting does not help, the remedy.
    fn advice(&self, timeout_seconds: u64) -> (String, Option<String>) {
        match self {
            Self::Replaced => {
                ("the file at the path is another one now; it is opened anew at the next try".into(), None)
            }
            Self::File(_) => {
                ("the file cannot be reached; nothing was changed, the agent tries again".into(), None)
            }
            Self::Kept => kept(),
            Self::Mend { what, remedy } => (what.clone(), Some(remedy.clone())),
            Self::Sqlite(Error::SqliteFailure(code, said))
            | Self::Statement(_, Error::SqliteFailure(code, said)) => {
                let statement = if let Self::Statement(name, _) = self { name } else { "" };
                let (what, remedy) = failure(*code, timeout_seconds);
                match said {
                    Some(said) if remedy.is_some() => {
                        (format!("{what}: {}", words(statement, said, &[])), remedy)
                    }
                    _ => (what, remedy),
                }
            }
            // A statement that does not fit the tables, or a value of a type that a column of ours should not have.
            Self::Sqlite(_) | Self::Statement(..) => (
                "the tables are not as the agent needs them".into(),
                Some("run 'bodrelay check': it names the table, column or script that is missing".into()),
            ),
        }
    }
}

/// Of a COMMIT, where what was deferred is looked at.
pub(super) fn of_commit(error: Error) -> Trouble {
    Trouble::Statement("commit", error)
}

fn failure(code: rusqlite::ffi::Error, timeout_seconds: u64) -> (String, Option<String>) {
    let waits = |what: String| (format!("{what}; nothing was changed, the agent tries again"), None);
    let mend = |what: &str, remedy: &str| (what.to_owned(), Some(remedy.to_owned()));
    if code.extended_code == READONLY_DBMOVED {
        return waits("the file was moved or deleted while it was open".into());
    }
    match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            waits(format!("another program kept the file locked for {} s", BUSY_TIMEOUT.as_secs()))
        }
        ErrorCode::OperationInterrupted => waits(format!(
            "it took longer than {timeout_seconds} s (statement_timeout_seconds) and was stopped"
        )),
        ErrorCode::DiskFull => waits("the disk of the database is full".into()),
        ErrorCode::SystemIoFailure => waits("the disk or file system reported an error".into()),
        ErrorCode::CannotOpen => waits("the file cannot be opened".into()),
        ErrorCode::OutOfMemory => waits("there was not enough memory".into()),
        ErrorCode::FileLockingProtocolFailed | ErrorCode::SchemaChanged | ErrorCode::OperationAborted => {
            waits("another program was in the way".into())
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            mend("the file may not be written", "give the agent's user the rights that grants.sql names")
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => mend(
            "the file is damaged or is not a SQLite database",
            "run PRAGMA integrity_check, and restore the file from a backup if it finds errors",
        ),
        ErrorCode::ConstraintViolation => mend(
            "a constraint or a trigger of the database refused a row; nothing was changed",
            "look at what the server names: the constraint or trigger belongs to the application or to the control tables; \
             mend it, or the row",
        ),
        _ => mend(
            "the database refused the statement",
            "run 'bodrelay check': it names the table, column or script that is missing",
        ),
    }
}
