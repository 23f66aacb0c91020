//! The SQL of every dialect, as files that a DBA can open, explain and review.
//!
//! One list of names serves all dialects: a dialect that lacks a file of the list does not build, and
//! `tests/tidy.rs` finds the file that the list lacks. Line 1 of a file names the operation, so that it shows where
//! the database lists what runs.

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        dialect!(
            /// SQLite's form of the statements.
            sqlite, "../../sql/sqlite/agent/", $($name = $file;)*
        );
        dialect!(
            /// PostgreSQL's form; words in braces are the site's own names (`database::postgres::names`).
            postgres, "../../sql/postgres/agent/", $($name = $file;)*
        );
        dialect!(
            /// SQL Server's form of the statements.
            mssql, "../../sql/mssql/agent/", $($name = $file;)*
        );
    };
}

macro_rules! dialect {
    ($(#[$doc:meta])* $dialect:ident, $folder:literal, $($name:ident = $file:literal;)*) => {
        $(#[$doc])*
        pub mod $dialect {
            $(pub const $name: &str = include_str!(concat!($folder, $file, ".sql"));)*
        }
    };
}

statements! {
    SURVEY_COLUMNS = "survey_columns";
    SURVEY_INDEXES = "survey_indexes";
    SURVEY_PRODUCT = "survey_product";
    SURVEY_SCRIPT = "survey_script";
    SURVEY_RECEIVES = "survey_receives";
    SURVEY_RIGHTS = "survey_rights";
    SURVEY_SHARES = "survey_shares";
    CONTROL_READ_CONNECTION_POINTS = "control_read_connection_points";
    CONTROL_READ_DOCUMENTS = "control_read_documents";
    CONTROL_READ_STATUS_RULES = "control_read_status_rules";
    COMMAND_READ = "command_read";
    LEVER_READ = "lever_read";
    HOST_READ = "host_read";
    FINDING_READ = "finding_read";
    HISTORY_READ = "history_read";
    HOST_CLAIM = "host_claim";
    HOST_INSERT = "host_insert";
    OWNER_CLAIM = "owner_claim";
    OWNER_INSERT = "owner_insert";
    OWNER_READ = "owner_read";
    OWNER_RELEASE = "owner_release";
    OWNER_RENEW = "owner_renew";
    STATUS_READ = "status_read";
    REPORT_HOST = "report_host";
    REPORT_CONNECTION_POINT = "report_connection_point";
    REPORT_DOCUMENT_REFUSED = "report_document_refused";
    REPORT_DOCUMENT_ACCEPTED = "report_document_accepted";
    REPORT_STATUS = "report_status";
    REPORT_FINDING_RENEW = "report_finding_renew";
    REPORT_FINDING_OPEN = "report_finding_open";
    REPORT_FINDING_CLEAR = "report_finding_clear";
    REPORT_COMMAND = "report_command";
    SOURCE_ALIKE_TENANT_ID = "source_alike_tenant_id";
    SOURCE_ALIKE_LOGICAL_ID = "source_alike_logical_id";
    OUTBOX_HIGHEST = "outbox_highest";
    OUTBOX_UNSEEN = "outbox_unseen";
    OUTBOX_HIDDEN = "outbox_hidden";
    OUTBOX_SCAN = "outbox_scan";
    OUTBOX_SCAN_BY_LOGICAL_ID = "outbox_scan_by_logical_id";
    OUTBOX_GAPS = "outbox_gaps";
    OUTBOX_FILLED = "outbox_filled";
    OUTBOX_FILLED_BY_LOGICAL_ID = "outbox_filled_by_logical_id";
    OUTBOX_BACKLOG = "outbox_backlog";
    OUTBOX_BACKLOG_BY_LOGICAL_ID = "outbox_backlog_by_logical_id";
    OUTBOX_GROUPS = "outbox_groups";
    OUTBOX_GROUPS_BY_LOGICAL_ID = "outbox_groups_by_logical_id";
    OUTBOX_OLDEST = "outbox_oldest";
    OUTBOX_OLDEST_BY_LOGICAL_ID = "outbox_oldest_by_logical_id";
    OUTBOX_LOAD = "outbox_load";
    OUTBOX_LOAD_HEADERS = "outbox_load_headers";
    OUTBOX_SETTLE_ACCEPTED = "outbox_settle_accepted";
    OUTBOX_SETTLE_FAILED = "outbox_settle_failed";
    OUTBOX_SETTLE_FLAGS = "outbox_settle_flags";
    LOG_WRITE = "log_write";
    ATTEMPT_WRITE = "attempt_write";
    LOG_SEARCH = "log_search";
    OUTBOX_PRESENT = "outbox_present";
    OUTBOX_RESET = "outbox_reset";
    OUTBOX_PURGE_SELECT = "outbox_purge_select";
    OUTBOX_PURGE_SELECT_BY_LOGICAL_ID = "outbox_purge_select_by_logical_id";
    OUTBOX_PURGE_HEADERS = "outbox_purge_headers";
    OUTBOX_PURGE = "outbox_purge";
    OUTBOX_INSERT = "outbox_insert";
    OUTBOX_INSERT_1_0 = "outbox_insert_1_0";
    OUTBOX_INSERT_HEADERS = "outbox_insert_headers";
    INBOX_LOAD = "inbox_load";
    INBOX_LOAD_HEADERS = "inbox_load_headers";
    RECEIPT_PRESENT = "receipt_present";
    INBOX_KNOWN = "inbox_known";
    INBOX_INSERT = "inbox_insert";
    INBOX_INSERT_1_0 = "inbox_insert_1_0";
    INBOX_INSERT_HEADERS = "inbox_insert_headers";
    RECEIPT_INSERT = "receipt_insert";
    RECEIPT_REPEAT = "receipt_repeat";
    RECEIPT_PURGE = "receipt_purge";
    RECEIVED_DOCUMENT_WRITE = "received_document_write";
    RECEIVED_DOCUMENT_PURGE = "received_document_purge";
    LOG_SEARCH_UPWARDS = "log_search_upwards";
    LOG_SEARCH_BY_KEY = "log_search_by_key";
    LOG_SEARCH_BY_MESSAGE_ID = "log_search_by_message_id";
    LOG_SEARCH_BY_DOCUMENT = "log_search_by_document";
    LOG_SEARCH_BY_STATE = "log_search_by_state";
    LOG_SEARCH_BY_CREATED = "log_search_by_created";
    LOG_PURGE_SELECT = "log_purge_select";
    LOG_PURGE_ATTEMPTS = "log_purge_attempts";
    LOG_PURGE = "log_purge";
    CHANGE_READ = "change_read";
    CHANGE_READ_OF_DOCUMENTS = "change_read_of_documents";
    CHANGE_DONE = "change_done";
    CHANGE_REFUSED = "change_refused";
    CHANGE_STRAYS = "change_strays";
    CHANGE_PURGE = "change_purge";
    QUERY_READ = "query_read";
    QUERY_CHECKED = "query_checked";
    VARIATION_READ = "variation_read";
    VARIATION_WRITE = "variation_write";
    BATCH_EMPTY = "batch_empty";
    BATCH_FILL = "batch_fill";
    COMPOSE_ENTRY = "compose_entry";
    COMPOSE_HEADERS = "compose_headers";
    SURVEY_SOURCES = "survey_sources";
}

dialect!(
    /// What a session on SQL Server runs beside the statements; it has no twins.
    mssql_session, "../../sql/mssql/session/",
    SETTINGS = "settings";
    TABLES = "tables";
    EMPTY = "empty";
    BEGIN = "begin";
    COMMIT = "commit";
    ROLLBACK = "rollback";
    ALLOWS_SNAPSHOT = "allows_snapshot";
    BEGIN_QUERIES = "begin_queries";
    BEGIN_SNAPSHOT = "begin_snapshot";
    END_QUERIES = "end_queries";
    OWNER_LOCK = "owner_lock";
    OWNER_LOCK_HOLDER = "owner_lock_holder";
    OWNER_UNLOCK = "owner_unlock";
    OUTBOX_LOCKED = "outbox_locked";
    OUTBOX_HOLDERS = "outbox_holders";
    INBOX_LOCK = "inbox_lock";
    INBOX_TABLES = "inbox_tables";
    INBOX_EMPTY = "inbox_empty";
);

dialect!(
    /// What a session on PostgreSQL runs beside the statements.
    postgres_session, "../../sql/postgres/session/",
    BATCH = "batch";
    QUERY_PATH = "query_path";
    QUERY_TIMEOUT = "query_timeout";
    OWNER_LOCK = "owner_lock";
    OWNER_LOCK_HOLDER = "owner_lock_holder";
    OWNER_UNLOCK = "owner_unlock";
    OUTBOX_HOLDERS = "outbox_holders";
    INBOX_LOCK = "inbox_lock";
);

dialect!(
    /// What a connection to SQLite makes for itself.
    sqlite_session, "../../sql/sqlite/session/",
    BATCH = "batch";
);

/// The scripts that people run, by name, to be printed from the binary. The survey takes from them what must be there.
pub mod scripts {
    /// SQLite's control tables.
    pub const SQLITE_INSTALL: &str = include_str!("../../sql/sqlite/dba/001_install.sql");
    /// What receiving needs.
    pub const SQLITE_INBOUND: &str = include_str!("../../sql/sqlite/dba/003_inbound.sql");
    /// The I/O Box tables, for sites without.
    pub const SQLITE_IOBOX: &str = include_str!("../../sql/sqlite/dba/iobox.sql");

    /// Every script for SQLite.
    pub const SQLITE: &[(&str, &str)] = &[
        ("001_install.sql", SQLITE_INSTALL),
        ("002_panel.sql", include_str!("../../sql/sqlite/dba/002_panel.sql")),
        ("003_inbound.sql", SQLITE_INBOUND),
        ("004_compose.sql", include_str!("../../sql/sqlite/dba/004_compose.sql")),
        ("005_views.sql", include_str!("../../sql/sqlite/dba/005_views.sql")),
        ("006_marks.sql", include_str!("../../sql/sqlite/dba/006_marks.sql")),
        ("iobox.sql", SQLITE_IOBOX),
        ("grants.sql", include_str!("../../sql/sqlite/dba/grants.sql")),
        ("examples.sql", include_str!("../../sql/sqlite/dba/examples.sql")),
        ("audit.sql", include_str!("../../sql/sqlite/dba/audit.sql")),
        ("uninstall.sql", include_str!("../../sql/sqlite/dba/uninstall.sql")),
    ];

    /// PostgreSQL's control tables.
    pub const POSTGRES_INSTALL: &str = include_str!("../../sql/postgres/dba/001_install.sql");
    /// What receiving needs.
    pub const POSTGRES_INBOUND: &str = include_str!("../../sql/postgres/dba/003_inbound.sql");
    /// PostgreSQL's I/O Box tables, for sites without.
    pub const POSTGRES_IOBOX: &str = include_str!("../../sql/postgres/dba/iobox.sql");

    /// Every script for PostgreSQL.
    pub const POSTGRES: &[(&str, &str)] = &[
        ("001_install.sql", POSTGRES_INSTALL),
        ("002_panel.sql", include_str!("../../sql/postgres/dba/002_panel.sql")),
        ("003_inbound.sql", POSTGRES_INBOUND),
        ("004_compose.sql", include_str!("../../sql/postgres/dba/004_compose.sql")),
        ("005_views.sql", include_str!("../../sql/postgres/dba/005_views.sql")),
        ("006_marks.sql", include_str!("../../sql/postgres/dba/006_marks.sql")),
        ("iobox.sql", POSTGRES_IOBOX),
        ("grants.sql", include_str!("../../sql/postgres/dba/grants.sql")),
        ("examples.sql", include_str!("../../sql/postgres/dba/examples.sql")),
        ("audit.sql", include_str!("../../sql/postgres/dba/audit.sql")),
        ("notify.sql", include_str!("../../sql/postgres/optional/notify.sql")),
        ("uninstall.sql", include_str!("../../sql/postgres/dba/uninstall.sql")),
    ];

    /// The control tables for SQL Server.
    pub const MSSQL_INSTALL: &str = include_str!("../../sql/mssql/dba/001_install.sql");
    /// What receiving needs.
    pub const MSSQL_INBOUND: &str = include_str!("../../sql/mssql/dba/003_inbound.sql");
    /// The I/O Box tables for SQL Server.
    pub const MSSQL_IOBOX: &str = include_str!("../../sql/mssql/dba/iobox.sql");

    /// Every script for SQL Server.
    pub const MSSQL: &[(&str, &str)] = &[
        ("001_install.sql", MSSQL_INSTALL),
        ("002_panel.sql", include_str!("../../sql/mssql/dba/002_panel.sql")),
        ("003_inbound.sql", MSSQL_INBOUND),
        ("004_compose.sql", include_str!("../../sql/mssql/dba/004_compose.sql")),
        ("005_views.sql", include_str!("../../sql/mssql/dba/005_views.sql")),
        ("006_marks.sql", include_str!("../../sql/mssql/dba/006_marks.sql")),
        ("iobox.sql", MSSQL_IOBOX),
        ("grants.sql", include_str!("../../sql/mssql/dba/grants.sql")),
        ("examples.sql", include_str!("../../sql/mssql/dba/examples.sql")),
        ("audit.sql", include_str!("../../sql/mssql/dba/audit.sql")),
        ("uninstall.sql", include_str!("../../sql/mssql/dba/uninstall.sql")),
    ];

    /// Those that make the control tables, in the order in which they run.
    pub fn numbered(scripts: &[(&str, &'static str)]) -> impl Iterator<Item = &'static str> {
        scripts
            .iter()
            .filter(|(name, _)| name.starts_with(|digit: char| digit.is_ascii_digit()))
            .map(|(_, text)| *text)
    }

    /// The `script_no` without which this version cannot work.
    pub const SCRIPT_NEEDED: i64 = 1;
    /// The `script_no` without which no documents are composed from rows.
    pub const SCRIPT_COMPOSES: i64 = 4;
    /// The highest `script_no` that this version knows.
    pub const SCRIPT_KNOWN: i64 = 6;
    /// The `script_no` that receiving needs.
    pub const SCRIPT_INBOUND: i64 = 3;
}
