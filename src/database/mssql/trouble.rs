//! What SQL Server and the network say, told by number as a `DatabaseError`: what happens next, or what somebody must do.

use std::time::Duration;

use tiberius::error::{Error, IoErrorKind, TokenError};

use crate::database::DatabaseError;
use crate::database::compose::QueryFailure;
use crate::database::said::words;

use super::LOCK_TIMEOUT;

/// Why an operation ended without its answer, before the operation and the database are named.
#[derive(Debug, thiserror::Error)]
pub(in crate::database) enum Trouble {
    #[error(transparent)]
    Server(#[from] Error),
    /// The same, of a statement that has a name.
    #[error("{0}")]
    Statement(&'static str, #[source] Error),
    /// No connection to the server's address.
    #[error("the server cannot be reached")]
    Unreachable(#[source] Error),
    /// The login did not end.
    #[error("the server did not answer the login")]
    NoAnswer(Duration),
    /// The operation took longer than `statement_timeout_seconds`.
    #[error("timed out")]
    TimedOut,
    /// A lock that is asked for by name.
    #[error("another session kept a lock")]
    Waited(Duration),
    /// A statement that always has a row gave none.
    #[error("a row is missing")]
    NoRow,
    /// A value that no column of ours or the application's takes.
    #[error("{0}")]
    RowTooLong(String),
    #[error("{what}")]
    Mend {
        what: String,
        remedy: String,
        #[source]
        source: Option<anyhow::Error>,
    },
    /// A DBA's query did not answer; nothing is wrong with the database.
    #[error("{}", .0.what)]
    Query(QueryFailure),
}

/// From this severity on the server ends the connection.
const FATAL: u8 = 20;

// Numbers of sys.messages.
const DEADLOCK: u32 = 1205;
const LOCK_TIMED_OUT: u32 = 1222;

impl Trouble {
    fn error(&self) -> Option<&Error> {
        match self {
            Self::Server(error) | Self::Statement(_, error) => Some(error),
            _ => None,
        }
    }

    /// The server's own words.
    fn token(&self) -> Option<&TokenError> {
        match self.error() {
            Some(Error::Server(token)) => Some(token),
            _ => None,
        }
    }

    pub(super) fn is_deadlock(&self) -> bool {
        self.token().is_some_and(|token| token.code() == DEADLOCK)
    }

    /// A constraint, a type, a trigger or a limit refused the values of a row: 515 NULL, 547 CHECK, 2628 and 8152 too
    /// long, 220 to 8115 conversions, 9400 to 9499 XML, 3609 and from 50000 on triggers. Whatever goes wrong in a procedure
    /// is a trigger's: the agent's statements call none.
    fn is_about_rows(&self) -> bool {
        /// From this severity on it is the server's trouble, not a statement's.
        const SERVER: u8 = 17;
        let Some(token) = self.token() else { return matches!(self, Self::RowTooLong(_)) };
        let is_triggers = !token.procedure().is_empty()
            && token.class() < SERVER
            && ![DEADLOCK, LOCK_TIMED_OUT].contains(&token.code());
        is_triggers
            || matches!(
                token.code(),
                515 | 547
                    | 2628
                    | 8152
                    | 220
                    | 232
                    | 241
                    | 242
                    | 245
                    | 8114
                    | 8115
                    | 9400..=9499
                    | 3609
                    | 50_000..
            )
    }

    /// The server has answered to the end, so that the next statement gets its own answer.
    pub(super) fn leaves_the_session_whole(&self) -> bool {
        match self {
            Self::Server(_) | Self::Statement(..) => self.token().is_some_and(|token| token.class() < FATAL),
            Self::Mend { .. } | Self::NoRow | Self::RowTooLong(_) | Self::Waited(_) => true,
            // Half an answer may be in the pipe, and the isolation level of the queries holds on.
            Self::Query(_) => false,
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::TimedOut => false,
        }
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
            Self::Server(error) | Self::Statement(_, error) | Self::Unreachable(error) => Some(error.into()),
            Self::Mend { source, .. } => source,
            Self::NoAnswer(_)
            | Self::TimedOut
            | Self::NoRow
            | Self::RowTooLong(_)
            | Self::Waited(_)
            | Self::Query(_) => None,
        }
    }

    /// What happened, and where waiting does not help, the remedy.
    fn advice(&self, timeout_seconds: u64) -> (String, Option<String>) {
        let too_long = || {
            waits(format!(
                "it took longer than {timeout_seconds} s (statement_timeout_seconds) and was stopped"
            ))
        };
        match self {
            Self::Server(Error::Server(token)) | Self::Statement(_, Error::Server(token)) => {
                let (what, remedy) = match self.is_about_rows() {
                    true => refused_a_row(),
                    false => by_number(token.code()),
                };
                let what = match remedy {
                    Some(_) => format!("{what}: {}", self.said(token)),
                    None => what,
                };
                // Severity and state tell apart what one number covers (18456 above all).
                let what = format!(
                    "{what} (error {}, severity {}, state {})",
                    token.code(),
                    token.class(),
                    token.state()
                );
                (what, remedy)
            }
            Self::Unreachable(_) => {
                waits("the server cannot be reached at host and port (or instance) of [[database]]".into())
            }
            Self::NoAnswer(limit) => {
                waits(format!("the server did not answer the login within {} s", limit.as_secs()))
            }
            Self::TimedOut => too_long(),
            Self::Server(Error::Io { kind: IoErrorKind::TimedOut, .. })
            | Self::Statement(_, Error::Io { kind: IoErrorKind::TimedOut, .. }) => too_long(),
            // A certificate that is not good comes as invalid data.
            Self::Server(Error::Tls(_) | Error::Io { kind: IoErrorKind::InvalidData, .. })
            | Self::Statement(_, Error::Tls(_) | Error::Io { kind: IoErrorKind::InvalidData, .. }) => (
                "the encrypted connection was not made".into(),
                Some(
                    "check that the server's certificate is good for host, or give its authority in ca_file; \
                     trust_server_certificate = true takes any"
                        .into(),
                ),
            ),
            Self::Server(Error::Io { .. }) | Self::Statement(_, Error::Io { .. }) => {
                waits("the connection was lost".into())
            }
            Self::Server(_) | Self::Statement(..) => waits("the answer of the server could not be read".into()),
            Self::Waited(limit) => waits(format!("another session kept a lock for {} s", limit.as_secs())),
            // Told by its caller, not here.
            Self::Query(failure) => (failure.what.clone(), Some("correct the query".into())),
            Self::NoRow => waits("the server gave no row where there always is one".into()),
            Self::RowTooLong(what) => {
                mend(what, "ask the sender for a shorter value, or widen the column that the message names")
            }
            Self::Mend { what, remedy, .. } => (what.clone(), Some(remedy.clone())),
        }
    }
}

impl Trouble {
    fn said(&self, token: &TokenError) -> String {
        let statement = if let Self::Statement(name, _) = self { name } else { "" };
        let procedure = match token.procedure() {
            "" => None,
            name => Some(format!("in {name}, line {}", token.line())),
        };
        words(statement, token.message(), &[procedure.as_deref()])
    }
}

fn refused_a_row() -> (String, Option<String>) {
    mend(
        "a constraint or a trigger of the database refused a row; nothing was changed",
        "look at what the server names: the constraint or trigger belongs to the application or to the control tables; mend \
         it, or the row",
    )
}

fn waits(what: String) -> (String, Option<String>) {
    (format!("{what}; nothing was changed, the agent tries again"), None)
}

fn mend(what: &str, remedy: &str) -> (String, Option<String>) {
    (what.to_owned(), Some(remedy.to_owned()))
}

const CHECK: &str = "run 'bodrelay check': it names the table, column or script that is missing";
const GRANTS: &str = "run the script grants.sql, which gives the agent's user the rights that it needs";

fn by_number(number: u32) -> (String, Option<String>) {
    match number {
        DEADLOCK => waits("another session was in the way (deadlock), twice in a row".into()),
        LOCK_TIMED_OUT => waits(format!("another session kept a lock for {} s", LOCK_TIMEOUT.as_secs())),
        // Duplicate key, in a constraint and in an index.
        2627 | 2601 => waits("somebody else wrote the same row at the same time".into()),
        18456 | 18452 => mend(
            "the server refused the login",
            "correct user and password_file (or password_env) in [[database]]; the server's own log says why, by the state",
        ),
        18486..=18488 => mend(
            "the login is locked, or its password must be changed",
            "unlock it, or set its password, and turn off CHECK_EXPIRATION for the agent's login",
        ),
        4060 | 911 => mend(
            "the database does not exist, is not online, or is not open to this login",
            "correct database in [[database]], or make a user for the agent's login in it (grants.sql)",
        ),
        // The second group is what Babelfish 4.3 says for all of these.
        208 | 207 | 2812 | 33_557_097 => mend("the tables are not as the agent needs them", CHECK),
        229 | 230 | 262 | 916 | 297 | 300 => mend("the agent's user lacks a right", GRANTS),
        9002 => waits("the transaction log of the database is full".into()),
        1105 | 1101 => waits("a file group of the database is full".into()),
        3906 => mend(
            "the database is read-only",
            "name the writable server (the primary replica, or its listener) in host of [[database]]",
        ),
        // Not the primary, starting up, single user, shut down, out of memory or connections.
        976 | 978 | 979 | 983 | 922 | 924 | 927 | 6005 | 17_142 | 701 | 8645 | 8651 | 17_809 => {
            waits("the server cannot serve the database just now".into())
        }
        // SQL Server's service in the cloud: moved, throttled, resource limits.
        40_197
        | 40_501
        | 40_540
        | 40_613
        | 10_928
        | 10_929
        | 10_053
        | 10_054
        | 10_060
        | 49_918..=49_920
        | 4221 => waits("the service moved the database or limits it".into()),
        3952 => mend(
            "the database does not allow SNAPSHOT isolation",
            "report it: the agent asks for no SNAPSHOT; a trigger or default of the database does",
        ),
        334 => mend(
            "a trigger of the database does not go with the agent's statement",
            "report it with the text of the cause: the agent uses no OUTPUT without INTO",
        ),
        1934 => mend(
            "an index or computed column of the database does not go with the session's settings",
            "look at the object that the cause names; the agent sets what Microsoft's own drivers set",
        ),
        _ => mend("the database refused the statement; nothing was changed", CHECK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_say_whether_waiting_helps() {
        for number in [1205, 1222, 2627, 2601, 9002, 1105, 40_613, 40_197, 10_928, 10_929] {
            assert!(by_number(number).1.is_none(), "{number} waits");
            assert!(by_number(number).0.contains("tries again"), "{number}");
        }
        for (number, remedy) in [
            (18_456, "password_file"),
            (4060, "database in [[database]]"),
            (911, "database in [[database]]"),
            (208, "bodrelay check"),
            (207, "bodrelay check"),
            (229, "grants.sql"),
            (230, "grants.sql"),
            (3906, "primary"),
            (3952, "SNAPSHOT"),
            (50_000, "bodrelay check"),
        ] {
            let found = by_number(number).1.unwrap_or_default();
            assert!(found.contains(remedy), "{number}: {found}");
        }
    }
}
