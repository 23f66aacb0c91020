//! The SQL Server adapter over the wire, against a scripted stand-in.
//!
//! What is shown here: what the adapter sends and in which order, what it makes of values, errors, time-outs and lost
//! connections. What SQL Server makes of the statements is shown by the conformance suite on a server alone.

mod tds;

use std::time::Duration;

use bodrelay::bod::compose::Value;
use bodrelay::config::{DatabaseKind, DatabaseSettings, Encrypt};
use bodrelay::database::compose::{
    BatchRow, ComposedDocument, ComposedEntry, Composition, PartQuery, QueryChecked, QueryFailureKind,
};
use bodrelay::database::mssql::Mssql;
use bodrelay::database::{
    Added, AttemptRow, CommandResult, Database, DatabaseError, FindingRow, HostRow, LogFilter, LogRow, Owner,
    OwnerClaim, Report, Scan, Selection, Settle, SourceColumn, StatusRow,
};
use bodrelay::domain::incoming::{DuplicateKey, InboundRules, Incoming, OlderVariation, Stored};
use bodrelay::domain::message::{Facts, Parameters};
use tds::{Answer, Cell, Seen, Server, Type};

const PASSWORD: &str = "Geheim-4711-ü";

struct Site {
    server: Server,
    settings: DatabaseSettings,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password_file = folder.path().join("password");
        std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
        let server = Server::start();
        let settings = DatabaseSettings {
            host: Some("127.0.0.1".into()),
            port: Some(server.port),
            database: Some("ERP".into()),
            user: Some("bodrelay".into()),
            password_file: Some(password_file),
            encrypt: Encrypt::Off,
            statement_timeout_seconds: 20,
            ..DatabaseSettings::of("erp", DatabaseKind::Mssql)
        };
        Self { server, settings, _folder: folder }
    }

    fn open(&self) -> Mssql {
        Mssql::new(&self.settings, "h1")
    }

    fn logins(&self) -> usize {
        self.server.seen().iter().filter(|seen| matches!(seen, Seen::Login(..))).count()
    }
}

fn scan_all() -> Scan {
    Scan { selection: Selection::default(), after: 0, up_to: i64::MAX, limit: 1000, ..Scan::default() }
}

fn accepted(ids: &[i64]) -> Settle {
    Settle { accepted: ids.to_vec(), ..Settle::default() }
}

/// An answer to outbox_settle_flags: id, flag.
fn flags(rows: &[(i64, i64)]) -> Answer {
    let columns = vec![("C_ID", Type::Big), ("C_WAS_PROCESSED", Type::Big)];
    let row = |(id, flag): &(i64, i64)| [*id, *flag].map(Cell::Number).to_vec();
    Answer::Rows(columns, rows.iter().map(row).collect())
}

fn unavailable(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Unavailable { .. })
}

#[tokio::test]
async fn a_login_names_the_agent_and_hides_the_password() {
    let site = Site::new();
    let database = site.open();
    database.outbox_scan(&scan_all()).await.unwrap();
    database.outbox_settle(&accepted(&[])).await.unwrap();
    database.command_read().await.unwrap();
    database.outbox_scan(&scan_all()).await.unwrap();
    let logins: Vec<_> = site
        .server
        .seen()
        .into_iter()
        .filter_map(|seen| if let Seen::Login(_, login) = seen { Some(login) } else { None })
        .collect();
    let programs: Vec<&str> = logins.iter().map(|login| login.program.as_str()).collect();
    assert_eq!(programs, ["bodrelay h1/read", "bodrelay h1/settle", "bodrelay h1/control"]);
    for login in logins {
        assert_eq!(
            (login.user.as_str(), login.database.as_str(), login.client.as_str()),
            ("bodrelay", "ERP", "h1")
        );
        // The protocol's own scrambling, and the password nowhere else.
        let clear: Vec<u8> = login.password.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect();
        let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(clear, password);
        for open in [&password[..], PASSWORD.as_bytes()] {
            assert!(!login.raw.windows(open.len()).any(|window| window == open), "in the clear");
        }
    }
}

#[tokio::test]
async fn a_session_is_prepared_before_its_first_statement() {
    let site = Site::new();
    site.open().outbox_scan(&scan_all()).await.unwrap();
    let expected = [
        "session:settings",
        "session:tables",
        "agent:survey_product",
        "agent:survey_columns",
        "agent:outbox_highest",
        "agent:outbox_scan",
    ];
    assert_eq!(site.server.names()[..6], expected);
}

/// No snapshot holds the questions of a scan together, so their order does: a row that was committed before one of the page
/// is on the page, or was a gap before the page was read, and gaps are asked for last.
#[tokio::test]
async fn a_scan_asks_for_gaps_before_its_page_and_for_holes_behind_it() {
    let site = Site::new();
    let database = site.open();
    database.outbox_scan(&scan_all()).await.unwrap();
    site.server.forget();
    let numbers = |columns: &[&'static str], rows: &[&[i64]]| {
        let cells = |row: &&[i64]| row.iter().map(|number| Cell::Number(*number)).collect();
        let columns = columns.iter().map(|name| (*name, Type::Big)).collect();
        Answer::Rows(columns, rows.iter().map(cells).collect())
    };
    let page = |rows: &[&[i64]]| numbers(&["C_ID", "payload_bytes"], rows);
    site.server.answer("agent:outbox_highest", numbers(&["highest"], &[&[20]]));
    site.server.answer("agent:outbox_scan", page(&[&[10, 5], &[13, 5]]));
    site.server.answer("agent:outbox_gaps", numbers(&["first_id", "last_id"], &[&[14, 19], &[11, 12]]));
    // Row 12 was committed meanwhile, and ends the page before the second gap.
    site.server.answer("agent:outbox_scan", page(&[&[10, 5], &[12, 5]]));
    let filled = numbers(&["entry_id", "is_chosen", "payload_bytes"], &[&[3, 1, 7], &[12, 0, 5]]);
    site.server.answer("agent:outbox_filled", filled);
    let scan = Scan { after: 9, limit: 2, holes: vec![(3, 4)], gaps_among: 100, ..scan_all() };
    let page = database.outbox_scan(&scan).await.unwrap();
    let ids: Vec<i64> = page.entries.iter().map(|entry| entry.entry_id).collect();
    assert_eq!((ids, page.gaps, page.highest), (vec![10, 12], vec![(11, 12)], 20));
    let filled: Vec<_> = page.filled.iter().map(|it| (it.entry_id, it.is_chosen, it.payload_bytes)).collect();
    assert_eq!(filled, [(3, true, 7), (12, false, 5)]);
    let expected = [
        "agent:outbox_highest",
        "agent:outbox_scan",
        "agent:outbox_gaps",
        "agent:outbox_scan",
        "session:empty",
        "SELECT TOP",
        "INSERT BULK",
        "2 rows into #bodrelay_hole",
        "agent:outbox_filled",
    ];
    assert_eq!(site.server.names(), expected);
}

#[tokio::test]
async fn a_settle_loads_then_changes_in_one_transaction() {
    let site = Site::new();
    let database = site.open();
    database.outbox_settle(&accepted(&[])).await.unwrap();
    site.server.forget();
    site.server.answer("agent:outbox_settle_flags", flags(&[(1, 0), (2, 1), (3, 0), (5, 0)]));
    site.server.answer("agent:outbox_settle_accepted", Answer::Changed(2));
    let settle = Settle { accepted: vec![3, 2, 1, 4], failed: vec![5], ..Settle::default() };
    let settled = database.outbox_settle(&settle).await.unwrap();
    assert_eq!((settled.already_flagged, settled.gone), (vec![2], vec![4]));
    let expected = [
        "session:empty",
        "SELECT TOP",
        "INSERT BULK",
        "5 rows into #bodrelay_id",
        "session:begin",
        "agent:outbox_settle_flags",
        "agent:outbox_settle_accepted",
        "agent:outbox_settle_failed",
        "session:outbox_locked",
        "session:commit",
    ];
    assert_eq!(site.server.names(), expected);
    let bulk = site.server.seen().into_iter().find_map(|seen| match seen {
        Seen::Bulk(_, _, rows) => Some(rows),
        _ => None,
    });
    assert_eq!(bulk.unwrap(), [["1", "1"], ["2", "1"], ["3", "1"], ["4", "1"], ["5", "9"]]);
}

#[tokio::test]
async fn log_rows_and_tries_go_by_bulk_load() {
    let site = Site::new();
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let row = LogRow {
        message_key: "k1".into(),
        direction: "out",
        connection_point: "CP1".into(),
        tenant_id: None,
        entry_id: Some(-7),
        message_id: Some("😀".repeat(200)),
        from_logical_id: None,
        facts: Facts { document_bytes: 4, ..Facts::default() }.into(),
        priority: Some(4),
        state: "accepted".into(),
        held_by: None,
        in_doubt: true,
        late: false,
        attempts: 3,
        http_status: Some(201),
        answer_class: None,
        failure_code: None,
        failure_text: Some("é".repeat(5000)),
        remedy: None,
        wire_bytes: None,
        seen_at: at("2026-01-31T10:20:30.1234567Z"),
        first_attempt_at: None,
        last_attempt_at: None,
        next_attempt_at: None,
        finished_at: None,
        host: Some("h1".into()),
        updated_at: at("2026-01-31T10:20:30.1234567Z"),
    };
    let newer = LogRow { attempts: 2, state: "failed".into(), ..row.clone() };
    let attempt = AttemptRow {
        message_key: "k1".into(),
        attempt_no: 1,
        started_at: at("2026-01-31T10:20:30.1234567Z"),
        duration_ms: 12,
        http_status: None,
        answer_class: "retry".into(),
        in_doubt: false,
        failure_code: None,
        answer_text: None,
        host: "h1".into(),
    };
    let other = AttemptRow { duration_ms: 99, ..attempt.clone() };
    let settle = Settle { log: vec![row, newer], attempts: vec![attempt, other], ..Settle::default() };
    site.open().outbox_settle(&settle).await.unwrap();
    let bulk = |of: &str| {
        let rows = site.server.seen().into_iter().find_map(|seen| match seen {
            Seen::Bulk(_, table, rows) if table == of => Some(rows),
            _ => None,
        });
        let rows = rows.unwrap();
        assert_eq!(rows.len(), 1, "one row a key: {rows:?}");
        rows[0].clone()
    };
    let time = format!("{:?}", tds::datetime2());
    let log = bulk("#bodrelay_log");
    assert_eq!(log[..5], ["k1", "out", "CP1", "", "-7"]);
    assert_eq!(log[5], "😀".repeat(125), "250 as the server counts");
    assert_eq!(log[6], "NULL");
    assert_eq!((log[18].as_str(), log[20].as_str(), log[22].as_str()), ("failed", "1", "3"));
    assert_eq!(log[26], "é".repeat(2000));
    assert_eq!((&log[31], &log[32], &log[38]), (&"NULL".to_owned(), &time, &time));
    let attempt = bulk("#bodrelay_attempt");
    assert_eq!(attempt, ["k1", "1", &time, "12", "NULL", "retry", "0", "NULL", "NULL", "h1"]);
    let names = site.server.names();
    let place = |name: &str| names.iter().position(|found| found == name).unwrap();
    assert!(place("1 rows into #bodrelay_attempt") < place("session:begin"), "{names:?}");
    assert!(place("agent:log_write") < place("agent:attempt_write"), "{names:?}");
}

#[tokio::test]
async fn an_error_is_rolled_back_and_the_session_kept() {
    let site = Site::new();
    let database = site.open();
    site.server.answer("agent:outbox_settle_accepted", Answer::Error(1222, 16, 51));
    let error = database.outbox_settle(&accepted(&[1])).await.unwrap_err();
    assert!(
        unavailable(&error) && error.to_string().contains("error 1222, severity 16, state 51"),
        "{error}"
    );
    assert_eq!(site.server.names().last().unwrap(), "session:rollback");
    database.outbox_settle(&accepted(&[1])).await.unwrap();
    assert_eq!(site.logins(), 1);
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_run_once_more() {
    let site = Site::new();
    let database = site.open();
    site.server.answer("agent:outbox_settle_accepted", Answer::Error(1205, 13, 51));
    database.outbox_settle(&accepted(&[1])).await.unwrap();
    let names = site.server.names();
    let times = |name: &str| names.iter().filter(|found| *found == name).count();
    assert_eq!(
        (times("session:begin"), times("session:rollback"), times("session:commit")),
        (2, 1, 1),
        "{names:?}"
    );
    assert_eq!(times("1 rows into #bodrelay_id"), 2, "the whole operation");

    for _ in 0..2 {
        site.server.answer("agent:outbox_settle_accepted", Answer::Error(1205, 13, 51));
    }
    let error = database.outbox_settle(&accepted(&[1])).await.unwrap_err();
    assert!(unavailable(&error) && error.to_string().contains("1205"), "not a third time: {error}");
}

/// Row 2 is locked by somebody, and row 3 is left by the UPDATE: nothing of their messages is written.
#[tokio::test]
async fn rows_that_are_locked_or_left_are_told_apart() {
    let site = Site::new();
    let database = site.open();
    site.server.answer("agent:outbox_settle_flags", flags(&[(1, 0), (3, 0)]));
    site.server.answer("agent:outbox_settle_flags", flags(&[(1, 1), (3, 0)]));
    let there = Answer::Rows(vec![("C_ID", Type::Big)], vec![vec![Cell::Number(2)]]);
    site.server.answer("session:outbox_locked", there);
    let columns = ["session_id", "login_name", "program_name", "begun_at"];
    let types = [Type::Big, Type::Text, Type::Text, Type::Text];
    let holder =
        vec![Cell::Number(57), Cell::Text("erp"), Cell::Text("SSMS"), Cell::Text("2026-03-01T08:00:00")];
    site.server.answer(
        "session:outbox_holders",
        Answer::Rows(columns.into_iter().zip(types).collect(), vec![holder]),
    );
    let settled = database.outbox_settle(&accepted(&[1, 2, 3, 4])).await.unwrap();
    assert_eq!((settled.gone, settled.unchanged), (vec![4], vec![3]));
    let locked: Vec<_> =
        settled.locked.into_iter().map(|it| (it.entry_id, it.holder.unwrap_or_default())).collect();
    let holder = "session 57 (login erp, program 'SSMS', in a transaction since 2026-03-01T08:00:00)";
    assert_eq!(locked, [(2, holder.to_owned())]);
    // Who may not ask is not told, and nothing else is different.
    site.server.answer("agent:outbox_settle_flags", flags(&[]));
    let there = Answer::Rows(vec![("C_ID", Type::Big)], vec![vec![Cell::Number(2)]]);
    site.server.answer("session:outbox_locked", there);
    site.server.answer("session:outbox_holders", Answer::Error(300, 14, 1));
    let settled = database.outbox_settle(&accepted(&[2])).await.unwrap();
    assert_eq!((settled.locked[0].entry_id, &settled.locked[0].holder), (2, &None));
}

#[tokio::test]
async fn a_lost_commit_is_no_answer() {
    let site = Site::new();
    let database = site.open();
    site.server.answer("agent:outbox_settle_flags", flags(&[(1, 0)]));
    site.server.answer("session:commit", Answer::Gone);
    let error = database.outbox_settle(&accepted(&[1])).await.unwrap_err();
    assert!(unavailable(&error), "{error:?}");
    // It had come through all the same: whose flag it is, the caller knows who lost an answer.
    site.server.answer("agent:outbox_settle_flags", flags(&[(1, 1)]));
    let settled = database.outbox_settle(&accepted(&[1])).await.unwrap();
    assert_eq!((settled.already_flagged, site.logins()), (vec![1], 2));
}

#[tokio::test]
async fn a_claim_without_its_lock_is_taken_back() {
    let site = Site::new();
    let database = site.open();
    let claim = OwnerClaim {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: "j2".into(),
        host: "h2".into(),
        agent_version: "0.1.0".into(),
        lapse_seconds: 180,
    };
    database.command_read().await.unwrap();
    site.server.forget();
    let lock = |answer| {
        let columns = vec![("granted", Type::Big), ("session_id", Type::Big)];
        Answer::Rows(columns, vec![vec![Cell::Number(answer), Cell::Number(51)]])
    };
    let holder = |session, has_our_login| {
        let columns = vec![
            ("session_id", Type::Big),
            ("said", Type::Text),
            ("has_our_login", Type::Big),
            ("comes_from_here", Type::Big),
        ];
        let row = vec![
            Cell::Number(session),
            Cell::Text("session 60 of login bodrelay"),
            Cell::Number(has_our_login),
            Cell::Number(0),
        ];
        Answer::Rows(columns, vec![row])
    };
    let (refused, granted) = (lock(-1), lock(0));
    let columns = vec![("host", Type::Text), ("heartbeat_at", Type::DateTime2), ("has_lapsed", Type::Big)];
    let owner = |has_lapsed| {
        let row = vec![Cell::Text("h1"), Cell::Raw(tds::datetime2()), Cell::Number(has_lapsed)];
        Answer::Rows(columns.clone(), vec![row])
    };
    // A living copy of the journal.
    site.server.answer("session:owner_lock", refused.clone());
    site.server.answer("session:owner_lock_holder", holder(60, 1));
    site.server.answer("agent:owner_read", owner(0));
    let found = database.owner_claim(&claim).await.unwrap();
    assert!(matches!(&found, Owner::Copy { holder, .. } if holder.contains("session 60")), "{found:?}");
    let order = [
        "session:begin",
        "agent:owner_claim",
        "session:owner_lock",
        "session:owner_lock_holder",
        "session:rollback",
        "session:begin",
        "agent:owner_read",
        "session:commit",
    ];
    assert_eq!(site.server.names(), order);
    // A stranger, and a copy that is silent.
    site.server.answer("session:owner_lock", refused.clone());
    site.server.answer("session:owner_lock_holder", holder(60, 0));
    let found = database.owner_claim(&claim).await.unwrap();
    assert!(matches!(&found, Owner::MineBeside { stranger } if stranger.contains("session 60")), "{found:?}");
    site.server.answer("session:owner_lock", refused);
    site.server.answer("session:owner_lock_holder", holder(60, 1));
    site.server.answer("agent:owner_read", owner(1));
    assert_eq!(database.owner_claim(&claim).await.unwrap(), Owner::Mine);
    // Granted, it is asked for once a session, and let go when the connection point is given up.
    site.server.answer("session:owner_lock", granted);
    site.server.forget();
    for _ in 0..2 {
        assert_eq!(database.owner_claim(&claim).await.unwrap(), Owner::Mine);
    }
    for _ in 0..2 {
        database.owner_release("CP1", "out", "j2").await.unwrap();
    }
    let transaction = |inside: &'static str| ["session:begin", inside, "session:commit"];
    let order = [
        &["session:begin", "agent:owner_claim", "session:owner_lock", "session:commit"][..],
        &transaction("agent:owner_claim"),
        &transaction("agent:owner_release"),
        &["session:owner_unlock"],
        &transaction("agent:owner_release"),
    ];
    assert_eq!(site.server.names(), order.concat());
}

#[tokio::test]
async fn a_connection_that_ends_in_an_answer_is_opened_anew() {
    let site = Site::new();
    let database = site.open();
    let columns = vec![("C_ID", Type::Big), ("payload_bytes", Type::Big)];
    let rows: Vec<_> = (1..=2000).map(|id| vec![Cell::Number(id), Cell::Number(4)]).collect();
    let whole = Answer::Rows(columns, rows);
    site.server.answer("agent:outbox_scan", Answer::CutAfter(20_000, Box::new(whole.clone())));
    let error = database.outbox_scan(&scan_all()).await.unwrap_err();
    assert!(unavailable(&error) && error.to_string().contains("connection was lost"), "{error}");
    site.server.answer("agent:outbox_scan", whole);
    let page = database.outbox_scan(&scan_all()).await.unwrap();
    assert_eq!((page.entries.len(), page.entries[1999].entry_id, site.logins()), (2000, 2000, 2));
}

#[tokio::test]
async fn a_call_that_takes_too_long_lets_its_session_go() {
    let mut site = Site::new();
    site.settings.statement_timeout_seconds = 1;
    let database = site.open();
    site.server.answer("agent:outbox_scan", Answer::Silence);
    let error = database.outbox_scan(&scan_all()).await.unwrap_err();
    assert!(unavailable(&error) && error.to_string().contains("statement_timeout_seconds"), "{error}");
    site.server.wait_for(|seen| *seen == Seen::Closed(0));
    database.outbox_scan(&scan_all()).await.unwrap();
    assert_eq!(site.logins(), 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_no_half_answer() {
    let site = Site::new();
    let database = site.open();
    site.server.answer("agent:outbox_scan", Answer::Silence);
    {
        let scan = scan_all();
        let mut call = std::pin::pin!(database.outbox_scan(&scan));
        let asked = |seen: &Seen| matches!(seen, Seen::Rpc(_, name, ..) if name == "agent:outbox_scan");
        // Until the server has the question, then it is dropped.
        while !site.server.seen().iter().any(asked) {
            assert!(tokio::time::timeout(Duration::from_millis(5), call.as_mut()).await.is_err());
        }
    }
    site.server.wait_for(|seen| *seen == Seen::Closed(0));
    database.outbox_scan(&scan_all()).await.unwrap();
    assert_eq!(site.logins(), 2);
}

#[tokio::test]
async fn a_refused_login_says_what_to_correct() {
    let site = Site::new();
    let database = site.open();
    for (number, word) in [(18_456, "password_file"), (4060, "database in [[database]]")] {
        site.server.refuse_login(number);
        let error = database.control_read().await.unwrap_err();
        assert!(matches!(error, DatabaseError::NeedsMending { .. }), "{error:?}");
        assert!(error.to_string().contains(word) && error.to_string().contains("state 8"), "{error}");
        assert!(!format!("{error:?}").contains(PASSWORD));
    }
    database.control_read().await.unwrap();
}

#[tokio::test]
async fn a_server_without_encryption_gets_no_login() {
    let mut site = Site::new();
    site.settings.encrypt = Encrypt::Required;
    let error = site.open().control_read().await.unwrap_err();
    assert!(error.to_string().contains("check encrypt in [[database]]"), "{error}");
    assert_eq!(site.logins(), 0, "neither user nor password was sent");
}

#[tokio::test]
async fn errors_are_told_by_number() {
    let site = Site::new();
    let database = site.open();
    for (number, class, waits) in [
        (208, 16, false),
        (229, 14, false),
        (3906, 16, false),
        (9002, 17, true),
        (40_613, 20, true),
        (2627, 14, true),
    ] {
        site.server.answer("agent:host_read", Answer::Error(number, class, 1));
        let error = database.host_read().await.unwrap_err();
        assert_eq!(unavailable(&error), waits, "{number}: {error}");
        assert!(error.to_string().contains(&format!("error {number}")), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "the cause is kept");
    }
    assert_eq!(site.logins(), 2, "only severity 20 cost the session");
}

/// The columns of outbox_load with a created time of some type.
fn load(created: Type) -> Vec<(&'static str, Type)> {
    vec![
        ("C_ID", Type::Big),
        ("C_MESSAGE_PRIORITY", Type::Big),
        ("C_CREATED_DATE_TIME", created),
        ("C_WAS_PROCESSED", Type::Big),
        ("fits", Type::Int),
        ("document", Type::BytesMax),
    ]
}

#[tokio::test]
async fn rows_are_read_whatever_their_types() {
    use Cell::{Bytes, Null, Number, Raw, Text};
    let document = "<x>ü</x>".repeat(3000);
    let utf16: Vec<u8> = document.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let datetime = [46_051_i32.to_le_bytes(), (300 * 37_230_i32).to_le_bytes()].concat();
    let offset = [tds::datetime2(), 120_i16.to_le_bytes().to_vec()].concat();
    let time = "2026-01-31T10:20:30";
    for (kind, created, shown) in [
        (Type::DateTime, Raw(datetime), "2026-01-31 10:20:30"),
        (Type::DateTime2, Raw(tds::datetime2()), "2026-01-31 10:20:30.123456700"),
        (Type::DateTimeOffset, Raw(offset), "2026-01-31 12:20:30.123456700 +02:00"),
        (Type::Text, Text("2026-01-31T10:20:30Z"), "2026-01-31T10:20:30Z"),
        (Type::TextMax, Text("2026-01-31 10:20:30"), "2026-01-31 10:20:30"),
    ] {
        for (column, is_text) in
            [("varbinary", false), ("image", false), ("xml", true), ("ntext", true), ("varchar", true)]
        {
            let site = Site::new();
            site.server.answer("agent:survey_columns", tds::site(column, "numeric", "datetime"));
            let bytes = if is_text { utf16.clone() } else { document.clone().into_bytes() };
            let rows = vec![
                vec![Number(7), Null, created.clone(), Number(-1), Number(1), Null],
                vec![Number(8), Number(12), created.clone(), Number(0), Number(1), Bytes(bytes)],
                vec![Number(9), Null, created.clone(), Number(0), Number(0), Null],
            ];
            site.server.answer("agent:outbox_load", Answer::Rows(load(kind), rows));
            let headers = vec![("C_OUTBOX_ID", Type::Numeric19), ("K", Type::TextMax), ("V", Type::TextMax)];
            let header = vec![Number(8), Text("BODType"), Text("Sync.Ärtikel")];
            site.server.answer("agent:outbox_load_headers", Answer::Rows(headers, vec![header]));
            let loaded = site.open().outbox_load(&[7, 8, 9, 10], 1_000_000).await.unwrap();
            assert_eq!(loaded.not_loaded, [9, 10]);
            let [first, second] = loaded.entries.as_slice() else { panic!("{loaded:?}") };
            assert_eq!((first.entry_id, first.priority, first.was_processed), (7, 4, -1));
            assert!(first.payload.is_none() && first.headers.is_empty());
            assert_eq!((second.priority, second.created.as_str()), (9, shown));
            assert!(second.created_at.unwrap().to_rfc3339().starts_with(time));
            let payload = second.payload.as_ref().unwrap();
            assert!(payload.is_text == is_text && payload.bytes == document.as_bytes(), "{column}");
            assert_eq!(second.headers, [("BODType".to_owned(), "Sync.Ärtikel".to_owned())]);
            // The statement asks for the column as its type needs it.
            let asks = |seen: &Seen| {
                matches!(seen, Seen::Rpc(_, name, text, _)
                if name == "agent:outbox_load" && text.contains("CAST(CAST(C_XML AS nvarchar(max)) AS") == is_text)
            };
            assert!(site.server.seen().iter().any(asks));
        }
    }
}

#[tokio::test]
async fn statements_name_the_schemas_and_read_past_locks_where_they_must() {
    let mut site = Site::new();
    site.settings.iobox_schema = Some("odd]schema".into());
    site.settings.control_schema = "relay".into();
    for (snapshot, hint) in [(0, true), (1, false)] {
        site.server.answer("agent:survey_product", tds::product(snapshot));
        site.server.forget();
        let database = site.open();
        let selection =
            Selection { tenant_id: Some(String::new()), logical_id: Some("lid://x".into()), rows_from: None };
        database.outbox_scan(&Scan { selection, ..scan_all() }).await.unwrap();
        let (text, parameters) = site
            .server
            .seen()
            .into_iter()
            .find_map(|seen| match seen {
                Seen::Rpc(_, name, text, parameters) if name == "agent:outbox_scan_by_logical_id" => {
                    Some((text, parameters))
                }
                _ => None,
            })
            .unwrap();
        assert!(text.contains("FROM [odd]]schema].COR_OUTBOX_ENTRY"), "{text}");
        assert_eq!(text.contains("COR_OUTBOX_ENTRY WITH (READPAST)"), hint, "{text}");
        assert_eq!(parameters[3..], ["", "1", "", "0", "lid://x"], "an empty tenant is one, none is not");
    }
}

#[tokio::test]
async fn the_survey_names_what_cannot_work() {
    let site = Site::new();
    for _ in 0..2 {
        site.server.answer("agent:survey_columns", tds::site("int", "float", "text"));
    }
    let survey = site.open().survey().await.unwrap();
    assert!(survey.fingerprint.contains("4E1A2D7C") && survey.fingerprint.contains("SITE\\ERP"));
    assert!(survey.product.starts_with("Stand-in for Microsoft SQL Server, compatibility level 110"));
    assert_eq!(survey.now.to_rfc3339(), "2026-01-31T10:20:30.123456700+00:00");
    let whats: Vec<&str> = survey.problems.iter().map(|problem| problem.what.as_str()).collect();
    for expected in [
        "table bodrelay_host is missing",
        "table COR_OUTBOX_HEADERS is missing",
        "column COR_OUTBOX_ENTRY.C_ID has the type float, which cannot work",
        "column COR_OUTBOX_ENTRY.C_XML has the type int, which cannot work",
        "column COR_OUTBOX_ENTRY.C_CREATED_DATE_TIME has the type text, which cannot work",
    ] {
        assert!(whats.contains(&expected), "{expected}: {whats:?}");
    }
    assert!(!whats.iter().any(|what| what.contains("C_LOGICAL_ID")), "1.0 boxes have none");
}

/// A 3.0 box and a 1.0 box take a document, its repeat, and a document that a command asks for.
async fn receive(site: &Site, database: &dyn Database, now: chrono::DateTime<chrono::Utc>) {
    let document = Incoming {
        message_key: "0193".into(),
        connection_point: "CP1".into(),
        tenant_id: "T".into(),
        parameters: Parameters {
            document_name: "Sync.Item".into(),
            message_id: "M-1".into(),
            from_logical_id: "lid://infor.ims.sender".into(),
            document_id: Some("D-1".into()),
            ..Parameters::default()
        },
        payload: "<x/>".as_bytes().into(),
        digest: "d".into(),
        wire_bytes: 4,
        rules: InboundRules {
            inbox_tenant_id: "T".into(),
            inbox_logical_id: "L".into(),
            duplicate_key: DuplicateKey::MessageId,
            older_variation: OlderVariation::Warn,
            log: true,
            max_document_bytes: 1024,
            namespace: None,
        },
        host: "h1".into(),
        received_at: now,
    };
    let known = |repeat: Option<&'static str>| {
        let columns = [
            ("place", Type::Big),
            ("repeat_digest", Type::Text),
            ("repeat_entry_id", Type::Big),
            ("repeat_of_bytes_entry_id", Type::Big),
            ("source_entry_id", Type::Big),
            ("source_seen", Type::Big),
            ("variation_id", Type::Big),
            ("document_digest", Type::Text),
            ("document_entry_id", Type::Big),
        ];
        let number = |number: i64| Cell::Number(number);
        let (digest, entry_id) = match repeat {
            Some(digest) => (Cell::Text(digest), number(7)),
            None => (Cell::Null, Cell::Null),
        };
        let nulls = || [Cell::Null, Cell::Null];
        let row = [
            vec![number(0), digest, entry_id],
            nulls().to_vec(),
            vec![number(0)],
            nulls().to_vec(),
            vec![Cell::Null],
        ];
        Answer::Rows(columns.to_vec(), vec![row.concat()])
    };
    let added = Added {
        command_id: 1,
        result: "it is there".into(),
        host: "h1".into(),
        tenant_id: "T".into(),
        logical_id: "L".into(),
        document: "<ConfirmBOD/>".into(),
        headers: vec![("BODType".into(), "Confirm.BOD".into())],
        created_at: now,
    };
    site.server.answer("agent:inbox_known", known(None));
    let stored = database.inbox_store(std::slice::from_ref(&document)).await.unwrap();
    assert_eq!(stored, [Stored::New { entry_id: 7, notices: vec![] }]);
    site.server.answer("agent:inbox_known", known(Some("d")));
    let stored = database.inbox_store(std::slice::from_ref(&document)).await.unwrap();
    assert_eq!(stored, [Stored::Repeat { entry_id: 7 }]);
    let rows = |table: &str| {
        let seen = site.server.seen();
        let bulk = seen.into_iter().find_map(|seen| match seen {
            Seen::Bulk(_, of, rows) if of == table => Some(rows),
            _ => None,
        });
        bulk.unwrap_or_default()
    };
    assert_eq!(rows("#bodrelay_header")[1][2..], ["MessageId", "M-1"]);
    assert_eq!((rows("#bodrelay_receipt").len(), rows("#bodrelay_received_document").len()), (1, 1));
    let waited = Answer::Rows(vec![("granted", Type::Big)], vec![vec![Cell::Number(-1)]]);
    site.server.answer("session:inbox_lock", waited);
    let error = database.inbox_store(std::slice::from_ref(&document)).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Unavailable { .. }), "{error:?}");
    let long = Incoming {
        parameters: Parameters { source: Some("x".repeat(4001)), ..document.parameters.clone() },
        ..document.clone()
    };
    site.server.answer("agent:inbox_known", known(None));
    let error = database.inbox_store(&[long]).await.unwrap_err();
    assert!(error.is_about_rows() && error.to_string().contains("Source"), "{error:?}");
    assert_eq!(database.outbox_add(&added).await.unwrap(), Some(7));
    let columns = [
        ("C_ID", Type::Big),
        ("C_MESSAGE_PRIORITY", Type::Big),
        ("C_CREATED_DATE_TIME", Type::Text),
        ("C_WAS_PROCESSED", Type::Big),
        ("fits", Type::Int),
        ("document", Type::BytesMax),
    ];
    let row = vec![
        Cell::Number(7),
        Cell::Number(4),
        Cell::Text("2026-01-31 10:20:30"),
        Cell::Number(0),
        Cell::Number(1),
        Cell::Bytes(b"<x/>".to_vec()),
    ];
    site.server.answer("agent:inbox_load", Answer::Rows(columns.to_vec(), vec![row]));
    let loaded = database.inbox_load(7).await.unwrap().unwrap();
    assert_eq!(&loaded.payload.unwrap().bytes[..], b"<x/>");
    assert!(database.receipts_present(&["k".to_owned()]).await.unwrap().is_empty());
    database.inbox_purge("CP1", now, now, 10).await.unwrap();

    // The other way round: the outbox has C_LOGICAL_ID, the inbox has none.
    let other = site.open();
    for _ in 0..2 {
        let mut script = tds::site("nvarchar", "bigint", "datetime");
        if let Answer::Rows(_, rows) = &mut script {
            let more = [
                ("COR_OUTBOX_ENTRY", "C_LOGICAL_ID", "nvarchar"),
                ("COR_INBOX_ENTRY", "C_ID", "bigint"),
                ("COR_INBOX_ENTRY", "C_XML", "xml"),
            ];
            rows.extend(more.map(|(table, column, kind)| {
                let texts = [table, column, kind].map(Cell::Text);
                texts.into_iter().chain([8, 19, 0].map(Cell::Number)).collect()
            }));
        }
        site.server.answer("agent:survey_columns", script);
    }
    site.server.answer("agent:inbox_known", known(None));
    let stored = other.inbox_store(std::slice::from_ref(&document)).await.unwrap();
    assert_eq!(stored, [Stored::New { entry_id: 7, notices: vec![] }]);
    assert_eq!(other.outbox_add(&added).await.unwrap(), Some(7));
    let texts: Vec<String> = site
        .server
        .seen()
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Rpc(_, name, text, _) if name == "agent:inbox_insert_1_0" => Some(text),
            _ => None,
        })
        .collect();
    assert!(texts[0].contains("CAST(@P4 AS xml)"), "{texts:?}");
}

/// Runs every statement there is, and holds the parameters that it names against those that it gets.
#[tokio::test]
async fn every_statement_gets_the_parameters_that_it_names() {
    let site = Site::new();
    let database = site.open();
    let now = "2026-01-31T10:20:30Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let host = HostRow {
        host: "h1".into(),
        location_name: "PLANT1".into(),
        journal_id: "j1".into(),
        database_fingerprint: "f".into(),
        epoch: 1,
        agent_version: "0.1.0".into(),
        script_needed: 1,
        operating_system: "linux".into(),
        process_id: 42,
        state: "running".into(),
        refused_reason: None,
        started_at: now,
        heartbeat_at: now,
        alive_at: now,
    };
    let mut script = tds::site("varbinary", "bigint", "datetime");
    if let Answer::Rows(_, rows) = &mut script {
        let more = [
            ("COR_OUTBOX_HEADERS", "C_OUTBOX_ID"),
            ("bodrelay_version", "script_no"),
            ("bodrelay_connection_point", "receive_mode"),
            ("bodrelay_connection_point", "source_logical_id"),
            ("COR_OUTBOX_ENTRY", "C_LOGICAL_ID"),
        ];
        rows.extend(more.map(|(table, column)| {
            let texts = [table, column, "bigint"].map(Cell::Text);
            texts.into_iter().chain([8, 19, 0].map(Cell::Number)).collect()
        }));
    }
    site.server.answer("agent:survey_columns", script.clone());
    site.server.answer("agent:survey_columns", script);
    let shares = Answer::Rows(vec![("shares", Type::Big)], vec![vec![Cell::Number(1)]]);
    site.server.answer("agent:survey_shares", shares);
    drop(database.survey().await);
    drop(database.control_read().await);
    drop(database.command_read().await);
    drop(database.lever_read().await);
    drop(database.host_read().await);
    assert!(database.host_claim(&host, None).await.unwrap());
    assert!(database.host_claim(&host, Some(1)).await.unwrap());
    for name in ["agent:owner_claim", "agent:owner_insert", "agent:report_finding_renew"] {
        site.server.answer(name, Answer::Changed(0));
    }
    let claim = OwnerClaim {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: "j1".into(),
        host: "h1".into(),
        agent_version: "0.1.0".into(),
        lapse_seconds: 180,
    };
    drop(database.owner_claim(&claim).await);
    assert!(database.owner_renew("CP1", "out", "j1").await.unwrap());
    database.owner_release("CP1", "out", "j1").await.unwrap();
    let status = StatusRow {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: "j1".into(),
        state: "running".into(),
        state_since: now,
        state_reason: None,
        backlog: None,
        in_flight_rows: 0,
        held_rows: 0,
        failed_rows: 0,
        in_doubt_rows: 0,
        accepted_more: 1,
        failed_more: 0,
        duplicates_more: 0,
        last_accepted_at: Some(now),
        last_failure_at: None,
        last_failure: None,
        last_poll_at: None,
        next_poll_at: None,
        settings_read_at: None,
        started_at: now,
    };
    let finding = FindingRow {
        code: "SOMETHING".into(),
        severity: "warning",
        connection_point: None,
        subject: "it".into(),
        finding_text: "what".into(),
        remedy: "do".into(),
        since: now,
        last_seen_at: now,
        seen_more: 1,
        cleared: false,
        host: "h1".into(),
        acknowledged_until: None,
    };
    let command = CommandResult {
        command_id: 1,
        state: "done",
        matched_rows: None,
        done_rows: Some(1),
        result: "done".into(),
        host: "h1".into(),
    };
    let report = Report {
        host: Some(host),
        connection_points: vec![("CP1".into(), None)],
        documents_refused: vec![("CP1".into(), "Sync".into(), "Item".into(), Some("why".into()))],
        incoming_refused: vec![("CP1".into(), "Sync".into(), "Item".into(), None)],
        documents_accepted: vec![("CP1".into(), "Sync".into(), "Item".into(), None)],
        statuses: vec![status],
        findings: vec![finding.clone(), FindingRow { cleared: true, ..finding }],
        commands: vec![command],
    };
    database.control_report(&report).await.unwrap();
    assert!(database.finding_read().await.unwrap().is_empty());
    assert!(database.history_read().await.unwrap().is_empty());
    for logical_id in [None, Some("L".to_owned())] {
        let selection = Selection { logical_id, ..Selection::default() };
        let highest = Answer::Rows(vec![("highest", Type::Big)], vec![vec![Cell::Number(9)]]);
        site.server.answer("agent:outbox_highest", highest);
        let scan = Scan { selection: selection.clone(), holes: vec![(1, 2)], gaps_among: 5, ..scan_all() };
        database.outbox_scan(&scan).await.unwrap();
        let end = if selection.logical_id.is_some() { "_by_logical_id" } else { "" };
        let counted = Answer::Rows(vec![("waiting_rows", Type::Big)], vec![vec![Cell::Number(3)]]);
        site.server.answer(&format!("agent:outbox_backlog{end}"), counted);
        let backlog = database.outbox_backlog(&selection, 2).await.unwrap();
        assert_eq!((backlog.waiting_rows, backlog.capped), (2, true));
    }
    let nothing = Answer::Rows(vec![("policy", Type::Text)], vec![vec![Cell::Null]]);
    site.server.answer("agent:outbox_hidden", nothing);
    drop(database.outbox_unseen().await);
    for column in [SourceColumn::TenantId, SourceColumn::LogicalId] {
        drop(database.source_alike(column, "a", "A").await);
    }
    for logical_id in [None, Some("L".to_owned())] {
        let selection = Selection { logical_id, ..Selection::default() };
        drop(database.outbox_counts(&[selection], Duration::from_secs(5)).await);
    }
    database.outbox_load(&[1], 1).await.unwrap();
    database.outbox_present(&[1]).await.unwrap();
    site.server.answer("agent:outbox_settle_flags", flags(&[(2, 9), (1, 9), (3, 1)]));
    assert_eq!(database.outbox_reset(&[1, 2, 3]).await.unwrap(), [1, 2]);
    for logical_id in [None, Some("L".to_owned())] {
        let selection = Selection { logical_id, ..Selection::default() };
        assert!(database.outbox_purge(&[1], &selection).await.unwrap().is_empty());
    }
    let is = || Some("x".to_owned());
    let all = LogFilter::default;
    for filter in [
        all(),
        LogFilter { message_key: is(), ..all() },
        LogFilter { after_key: is(), ..all() },
        LogFilter { message_id: is(), ..all() },
        LogFilter { noun: is(), document_id: is(), ..all() },
        LogFilter { connection_point: is(), state: is(), ..all() },
        LogFilter { created_from: Some(now), ..all() },
    ] {
        database.log_search(&filter).await.unwrap();
    }
    assert_eq!(database.log_purge("CP1", now, 10).await.unwrap(), 1);
    receive(&site, &database, now).await;
    assert_eq!(database.status_read().await.unwrap(), []);

    compose_everything(&site).await;

    let mut run = std::collections::BTreeSet::new();
    for seen in site.server.seen() {
        let Seen::Rpc(_, name, text, parameters) = seen else { continue };
        let code: String = text.lines().filter(|line| !line.starts_with("--")).collect();
        let named = code.split("@P").skip(1).map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<usize>().unwrap()
        });
        let named: std::collections::BTreeSet<usize> = named.collect();
        // Every search gets the same parameters, whether it looks at all of them or not.
        assert_eq!(named.last().copied().unwrap_or(0), parameters.len(), "{name}");
        assert!(
            !code.contains("/*") && !code.contains("[bodrelay]..") && !code.contains('?'),
            "{name}: {code}"
        );
        run.insert(name.replace("agent:", ""));
    }
    let mut not_run = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/mssql/agent")).unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        // The rights are asked for only where nothing else of receiving is missing, which takes a whole catalogue.
        let elsewhere =
            ["outbox_settle_accepted", "outbox_settle_failed", "log_write", "attempt_write", "survey_rights"];
        if !run.contains(&name) && !elsewhere.contains(&name.as_str()) {
            not_run.push(name);
        }
    }
    assert_eq!(not_run, [""; 0], "not run");
}

/// Each statement of composing, once; the queries in a transaction that is rolled back, and their rows as values.
async fn compose_everything(site: &Site) {
    let database = site.open();
    let count = |name: &'static str, number: i64| {
        site.server.answer(name, Answer::Rows(vec![("number", Type::Big)], vec![vec![Cell::Number(number)]]));
    };
    assert!(database.change_read("CP1", 0, 10).await.unwrap().is_empty());
    assert!(database.change_read_of_documents("CP1", &["A".into()], 10).await.unwrap().is_empty());
    assert!(database.change_strays().await.unwrap().is_empty());
    assert_eq!(database.change_purge("CP1", "2026-01-01T00:00:00Z".parse().unwrap(), 10).await.unwrap(), 1);
    assert!(database.query_read("CP1").await.unwrap().is_empty());
    let checked = QueryChecked {
        verb: "*".into(),
        noun: "Order".into(),
        part_no: 0,
        refused_reason: Some("why".into()),
    };
    database.query_checked("CP1", &[checked]).await.unwrap();
    assert!(database.variation_read(&["key".to_owned()]).await.unwrap().rows.is_empty());

    let row = BatchRow {
        document_no: 1,
        document_id: "A".into(),
        accounting_entity: String::new(),
        document_location: String::new(),
        action_code: "Add",
        variation_id: 5,
    };
    let query =
        |text: &str| PartQuery { part_no: 0, query_text: text.into(), timeout_seconds: 5, max_rows: 1 };
    for (allowed, begin) in [(1, "session:begin_snapshot"), (0, "session:begin_queries")] {
        count("session:allows_snapshot", allowed);
        let columns = vec![("document_no", Type::Big), ("Name", Type::Text)];
        let values = vec![Cell::Number(1), Cell::Text("Ann")];
        site.server.answer("SELECT document_no,", Answer::Rows(columns, vec![values]));
        let rows = database
            .compose_rows(std::slice::from_ref(&row), &[query("SELECT document_no, Name FROM t")])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(rows[0].columns, ["document_no", "Name"]);
        assert_eq!(rows[0].rows, [[Value::Integer(1), Value::Text("Ann".into())]]);
        let names = site.server.names();
        let end: Vec<&str> = names.iter().rev().take(3).map(String::as_str).collect();
        assert_eq!(end, ["session:end_queries", "SELECT document_no,", begin]);
    }
    count("session:allows_snapshot", 1);
    site.server.answer("SELECT gone", Answer::Error(207, 16, 1));
    let failure = database
        .compose_rows(std::slice::from_ref(&row), &[query("SELECT gone FROM t")])
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(failure.kind, QueryFailureKind::Wrong);
    count("session:allows_snapshot", 1);
    let failure = database.compose_rows(&[row], &[query("DELETE FROM t")]).await.unwrap().unwrap_err();
    assert!(failure.what.contains("begins with DELETE"), "{failure:?}");

    // A site that only composes: its outbox is ours.
    let mut own = tds::site("varbinary", "bigint", "datetime2");
    if let Answer::Rows(_, rows) = &mut own {
        *rows = [("bodrelay_outbox_entry", "C_ID"), ("bodrelay_connection_point", "source_kind")]
            .map(|(table, column)| {
                let texts = [table, column, "bigint"].map(Cell::Text);
                texts.into_iter().chain([8, 19, 0].map(Cell::Number)).collect()
            })
            .to_vec();
    }
    site.server.answer("agent:survey_columns", own);
    let columns = vec![("from_iobox", Type::Big), ("from_rows", Type::Big)];
    site.server
        .answer("agent:survey_sources", Answer::Rows(columns, vec![vec![Cell::Number(0), Cell::Number(1)]]));
    let database = site.open();
    count("agent:compose_entry", 4711);
    let composition = Composition {
        connection_point: "CP1".into(),
        tenant_id: "T".into(),
        logical_id: "L".into(),
        documents: vec![ComposedDocument {
            document_key: "key".into(),
            variation_id: 5,
            priority: 4,
            entries: vec![ComposedEntry {
                document: "<x/>".into(),
                headers: vec![("TenantId", "T".into()), ("BODType", "Sync.Order".into())],
            }],
            change_ids: vec![7],
        }],
        refused: vec![(8, "why".into())],
    };
    assert!(database.compose_write(&composition).await.unwrap());
    let seen = site.server.seen();
    let text = seen.iter().rev().find_map(|seen| match seen {
        Seen::Rpc(_, name, text, values) if name == "agent:compose_entry" => {
            Some((text.clone(), values.clone()))
        }
        _ => None,
    });
    let (text, values) = text.unwrap();
    assert!(text.contains("INSERT INTO [bodrelay].bodrelay_outbox_entry"), "{text}");
    assert_eq!(values.last().unwrap(), "<x/>");
    assert_eq!(site.server.names().last().unwrap(), "session:commit");
    // The second one of two that want the same version changes nothing.
    count("agent:compose_entry", 4712);
    site.server.answer("agent:variation_write", Answer::Changed(0));
    assert!(!database.compose_write(&composition).await.unwrap());
    assert_eq!(site.server.names().last().unwrap(), "session:rollback");
}
