//! Survey, control tables, claims and reports.

use bodrelay::clock::{Clock, SystemClock};
use bodrelay::database::{
    Backlog, CommandResult, Database, FindingRow, HostRow, Owner, OwnerClaim, Report, Settle, StatusRow,
};

use bodrelay::database::statements::scripts::SCRIPT_KNOWN;

use super::{Fixture, at};

pub const CP1: &str = "INSERT INTO bodrelay_connection_point \
                       (connection_point, location_name, tenant_id, logical_id) \
                       VALUES ('CP1', 'PLANT1', 'T', 'lid://infor.ims.cp1')";

pub async fn survey_of_a_whole_database<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let survey = database.survey().await.unwrap();
    assert_eq!((survey.problems, survey.advice, survey.script), (vec![], vec![], SCRIPT_KNOWN));
    assert!(survey.fingerprint.len() > 20 && survey.fingerprint.len() <= 200, "{}", survey.fingerprint);
    let from_now = (SystemClock.now() - survey.now).num_seconds().abs();
    assert!(from_now < 60, "the database's clock, read as UTC: {}", survey.now);
    assert_eq!(database.survey().await.unwrap().fingerprint, survey.fingerprint);
    assert_ne!(F::fresh().await.open().survey().await.unwrap().fingerprint, survey.fingerprint);
}

pub async fn survey_names_each_missing_thing<F: Fixture>() {
    let fixture = F::empty().await;
    let survey = fixture.open().survey().await.unwrap();
    let problems: Vec<&str> = survey.problems.iter().map(|problem| problem.what.as_str()).collect();
    for table in [
        "attempt",
        "command",
        "connection_point",
        "document",
        "finding",
        "host",
        "message_log",
        "status",
        "status_rule",
        "version",
    ] {
        assert!(problems.contains(&format!("table bodrelay_{table} is missing").as_str()), "{problems:?}");
    }
    assert!(problems.contains(&"table COR_OUTBOX_ENTRY is missing"), "{problems:?}");
    assert!(problems.contains(&"table COR_OUTBOX_HEADERS is missing"), "{problems:?}");
    assert_eq!((problems.len(), survey.script), (12, 0));
    assert!(survey.problems.iter().all(|problem| problem.remedy.contains(".sql")), "{:?}", survey.problems);
    assert!(survey.inbound_problems.is_empty(), "nobody receives: {survey:?}");

    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec("ALTER TABLE bodrelay_host RENAME COLUMN refused_reason TO refused").await;
    fixture.exec("ALTER TABLE COR_OUTBOX_HEADERS RENAME COLUMN C_HEADER_VALUE TO C_VALUE").await;
    let survey = database.survey().await.unwrap();
    let problems: Vec<&str> = survey.problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(
        problems,
        [
            "column bodrelay_host.refused_reason is missing",
            "column COR_OUTBOX_HEADERS.C_HEADER_VALUE is missing"
        ]
    );

    let fixture = F::empty().await;
    fixture.install_control().await;
    fixture.install_box_1_0().await;
    let database = fixture.open();
    let index_advice = |advice: &[bodrelay::database::Problem]| -> Vec<String> {
        advice
            .iter()
            .filter(|advice| advice.remedy.contains("INDEX"))
            .map(|advice| advice.remedy.clone())
            .collect()
    };
    let advice = index_advice(&database.survey().await.unwrap().advice);
    assert_eq!(advice.len(), 2, "{advice:?}");
    for statement in &advice {
        fixture.exec(statement).await;
    }
    assert_eq!(index_advice(&database.survey().await.unwrap().advice), [""; 0], "what is advised, helps");
}

pub async fn control_read_gives_what_was_written<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec(CP1).await;
    fixture
        .exec(
            "UPDATE bodrelay_connection_point SET source_tenant_id = 'S', poll_seconds = NULL, \
             poll_cron = '* * * * *', send_rows_from = '2026-01-31T10:20:30.000Z', after_failure = 'hold', \
             check_accepted = 0, outbox_keep_hours = 36",
        )
        .await;
    fixture
        .exec(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun, enabled, namespace) \
             VALUES ('CP1', 'out', 'Sync', 'Item', 0, NULL)",
        )
        .await;
    let tables = database.control_read().await.unwrap();
    let [row] = tables.connection_points.as_slice() else { panic!("{tables:?}") };
    assert_eq!((row.connection_point.as_str(), row.logical_id.as_str()), ("CP1", "lid://infor.ims.cp1"));
    assert_eq!(
        (row.send_mode.as_str(), row.receive_mode.as_str(), row.encoding.as_str()),
        ("off", "off", "as_is")
    );
    assert_eq!((row.source_tenant_id.as_deref(), row.source_logical_id.as_deref()), (Some("S"), None));
    assert_eq!((row.poll_seconds, row.poll_cron.as_deref()), (None, Some("* * * * *")));
    assert_eq!(row.send_rows_from, Some(at("2026-01-31T10:20:30Z")));
    assert_eq!((row.batch_rows, row.parallel_posts, row.max_document_bytes), (500, 16, 5_242_880));
    assert_eq!((row.backoff_step_seconds, row.backoff_max_seconds), (10, 600));
    assert_eq!((row.lone_rounds, row.lone_in_doubt_tries, row.headers_grace_seconds), (20, 5, 60));
    assert_eq!((row.ims_version.as_str(), row.ims_method.as_str()), ("v3", "multipartMessage"));
    assert_eq!(
        (row.log_messages.as_str(), row.log_attempts.as_str(), row.log_keep_days),
        ("all", "problems", 30)
    );
    assert_eq!(
        (row.check_accepted, row.outbox_keep_hours, row.after_failure.as_str()),
        (false, Some(36), "hold")
    );
    let [document] = tables.documents.as_slice() else { panic!("{tables:?}") };
    assert_eq!((document.verb.as_str(), document.noun.as_str(), document.enabled), ("Sync", "Item", false));
    assert_eq!((document.namespace.as_deref(), document.order_by.as_str()), (None, "document"));
}

pub fn host_row(journal_id: &str, epoch: i64) -> HostRow {
    HostRow {
        host: "h1".into(),
        location_name: "PLANT1".into(),
        journal_id: journal_id.into(),
        database_fingerprint: "f".into(),
        epoch,
        agent_version: "0.1.0".into(),
        script_needed: 1,
        operating_system: "linux".into(),
        process_id: 42,
        state: "running".into(),
        refused_reason: None,
        started_at: at("2026-01-31T10:20:30Z"),
        heartbeat_at: at("2000-01-01T00:00:00Z"),
        alive_at: at("2000-01-01T00:00:00Z"),
    }
}

pub async fn host_epoch_moves_by_compare_and_set<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    assert!(!database.host_claim(&host_row("j1", 2), Some(1)).await.unwrap(), "no row to move");
    assert!(database.host_claim(&host_row("j1", 1), None).await.unwrap());
    assert!(!database.host_claim(&host_row("j1", 1), None).await.unwrap(), "there is a row");
    assert!(database.host_claim(&host_row("j1", 2), Some(1)).await.unwrap());
    assert!(!database.host_claim(&host_row("j1", 2), Some(1)).await.unwrap(), "a clone has moved it");
    let hosts = database.host_read().await.unwrap();
    let [row] = hosts.as_slice() else { panic!("{hosts:?}") };
    assert!((SystemClock.now() - row.heartbeat_at).num_seconds().abs() < 60, "the database's clock");
    let heartbeat_at = row.heartbeat_at;
    assert_eq!(*row, HostRow { heartbeat_at, alive_at: heartbeat_at, ..host_row("j1", 2) });
    // What it owns is renewed oftener than it says anything else.
    assert_eq!(database.owner_claim(&claim("j1", "h1")).await.unwrap(), Owner::Mine);
    assert_eq!(
        database
            .owner_claim(&OwnerClaim { connection_point: "CP2".into(), ..claim("j2", "h2") })
            .await
            .unwrap(),
        Owner::Mine
    );
    fixture.exec("UPDATE bodrelay_host SET heartbeat_at = '2026-01-31 10:00:00'").await;
    let row = database.host_read().await.unwrap().remove(0);
    assert_eq!(row.heartbeat_at, at("2026-01-31T10:00:00Z"));
    assert!((SystemClock.now() - row.alive_at).num_seconds().abs() < 60, "{row:?}");
    fixture.exec("UPDATE bodrelay_status SET state = 'stopped' WHERE owner_journal_id = 'j1'").await;
    let row = database.host_read().await.unwrap().remove(0);
    assert_eq!(row.alive_at, row.heartbeat_at, "what was given up does not count");
}

pub async fn host_row_is_taken_over_by_a_new_journal<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    assert!(database.host_claim(&host_row("j1", 7), None).await.unwrap());
    assert!(
        database.host_claim(&host_row("j2", 1), None).await.unwrap(),
        "the journal of this host was lost"
    );
    assert!(!database.host_claim(&host_row("j1", 8), Some(7)).await.unwrap(), "the old journal is out");
    let hosts = database.host_read().await.unwrap();
    assert_eq!((hosts.len(), hosts[0].journal_id.as_str(), hosts[0].epoch), (1, "j2", 1));
}

pub fn claim(journal_id: &str, host: &str) -> OwnerClaim {
    OwnerClaim {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: journal_id.into(),
        host: host.into(),
        agent_version: "0.1.0".into(),
        lapse_seconds: 180,
    }
}

pub async fn owner_claim_lapses_and_is_retaken<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let [first, second] = [claim("j1", "h1"), claim("j2", "h2")];
    assert_eq!(database.owner_claim(&first).await.unwrap(), Owner::Mine);
    assert_eq!(database.owner_claim(&first).await.unwrap(), Owner::Mine, "renewed at once");
    let refused = database.owner_claim(&second).await.unwrap();
    assert!(matches!(&refused, Owner::Other { host, .. } if host == "h1"), "{refused:?}");

    fixture.exec("UPDATE bodrelay_status SET heartbeat_at = '2026-01-01T00:00:00.000Z'").await;
    assert_eq!(database.owner_claim(&second).await.unwrap(), Owner::Mine, "the owner lapsed");
    assert!(matches!(database.owner_claim(&first).await.unwrap(), Owner::Other { .. }));

    let mut stopped = status("j2");
    stopped.state = "stopped".into();
    database.control_report(&Report { statuses: vec![stopped], ..Report::default() }).await.unwrap();
    assert_eq!(database.owner_claim(&first).await.unwrap(), Owner::Mine, "the owner stopped");
    assert!(
        matches!(database.owner_claim(&second).await.unwrap(), Owner::Other { .. }),
        "a claim ends the state that let it in"
    );
    database.owner_release("CP1", "out", "j2").await.unwrap();
    assert!(
        matches!(database.owner_claim(&second).await.unwrap(), Owner::Other { .. }),
        "not his to give up"
    );
    database.owner_release("CP1", "out", "j1").await.unwrap();
    assert_eq!(database.owner_claim(&second).await.unwrap(), Owner::Mine, "the owner gave it up");
    let other_direction = OwnerClaim { direction: "in", ..second };
    assert_eq!(database.owner_claim(&other_direction).await.unwrap(), Owner::Mine);
}

fn status(journal_id: &str) -> StatusRow {
    StatusRow {
        connection_point: "CP1".into(),
        direction: "out",
        journal_id: journal_id.into(),
        state: "running".into(),
        state_since: at("2026-01-31T10:20:30Z"),
        state_reason: None,
        backlog: None,
        in_flight_rows: 1,
        held_rows: 2,
        failed_rows: 3,
        in_doubt_rows: 4,
        accepted_more: 10,
        failed_more: 1,
        duplicates_more: 3,
        last_accepted_at: None,
        last_failure_at: None,
        last_failure: None,
        last_poll_at: None,
        next_poll_at: None,
        settings_read_at: None,
        started_at: at("2026-01-31T10:00:00Z"),
    }
}

pub async fn status_totals_add_up<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    database.owner_claim(&claim("j1", "h1")).await.unwrap();
    let report = |row: StatusRow| Report { statuses: vec![row], ..Report::default() };
    let mut first = status("j1");
    first.backlog = Some(Backlog { waiting_rows: 5, capped: true, oldest: Some(at("2026-01-30T00:00:00Z")) });
    first.last_accepted_at = Some(at("2026-01-31T11:00:00Z"));
    first.last_failure_at = Some(at("2026-01-31T11:30:00Z"));
    first.last_failure = Some("why".into());
    database.control_report(&report(first)).await.unwrap();
    database.control_report(&report(status("j1"))).await.unwrap();
    database.control_report(&report(status("j2"))).await.unwrap();
    let row = fixture
        .rows(
            "SELECT accepted_total, failed_total, waiting_rows, waiting_capped, oldest_waiting_at, \
             last_accepted_at, last_failure, in_doubt_rows, owner_journal_id FROM bodrelay_status",
        )
        .await;
    assert_eq!(
        row,
        [["20", "2", "5", "1", "2026-01-30T00:00:00.000Z", "2026-01-31T11:00:00.000Z", "why", "4", "j1"]],
        "totals grow, what was not counted stays, another journal writes nothing"
    );
    let read = database.status_read().await.unwrap();
    let [row] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(
        (row.connection_point.as_str(), row.state.as_str(), row.host.as_str()),
        ("CP1", "running", "h1")
    );
    assert_eq!((row.accepted_total, row.waiting_rows, row.waiting_capped), (20, 5, true));
    assert_eq!((row.oldest_waiting_at, row.duplicate_total), (Some(at("2026-01-30T00:00:00Z")), 6));
}

pub async fn report_writes_only_what_it_has<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec(CP1).await;
    fixture
        .exec(
            "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) \
             VALUES ('CP1', 'out', 'Sync', 'Item')",
        )
        .await;
    database.control_report(&Report::default()).await.unwrap();
    database.host_claim(&host_row("j1", 3), None).await.unwrap();
    let name = || ("CP1".to_owned(), "Sync".to_owned(), "Item".to_owned());
    let document = |reason: Option<&str>| (name().0, name().1, name().2, reason.map(str::to_owned));
    let report = Report {
        host: Some(HostRow {
            state: "refused".into(),
            refused_reason: Some("a clone".into()),
            ..host_row("j1", 99)
        }),
        connection_points: vec![("CP1".into(), Some("x".repeat(1500)))],
        documents_refused: vec![document(Some("no"))],
        documents_accepted: vec![(name().0, name().1, name().2, Some(true))],
        ..Report::default()
    };
    database.control_report(&report).await.unwrap();
    let hosts = database.host_read().await.unwrap();
    assert_eq!((hosts[0].state.as_str(), hosts[0].epoch), ("refused", 3), "only a claim moves the epoch");
    let tables = database.control_read().await.unwrap();
    assert_eq!(
        tables.connection_points[0].refused_reason.as_ref().map(String::len),
        Some(1000),
        "cut to fit"
    );
    assert_eq!(tables.documents[0].refused_reason.as_deref(), Some("no"));
    let accepted = "SELECT accepted_by_ion, accepted_checked_at IS NOT NULL FROM bodrelay_document";
    assert_eq!(fixture.rows(accepted).await, [["1", "1"]]);
    let report = Report {
        connection_points: vec![("CP1".into(), None)],
        documents_refused: vec![document(None)],
        documents_accepted: vec![(name().0, name().1, name().2, None)],
        ..Report::default()
    };
    database.control_report(&report).await.unwrap();
    let tables = database.control_read().await.unwrap();
    assert_eq!(tables.connection_points[0].refused_reason, None);
    assert_eq!(fixture.value("SELECT accepted_by_ion FROM bodrelay_document").await, "NULL");
}

fn finding() -> FindingRow {
    FindingRow {
        code: "TYPE_SUSPENDED".into(),
        severity: "warning",
        connection_point: Some("CP1".into()),
        subject: "Sync.Item".into(),
        finding_text: "first".into(),
        remedy: "do".into(),
        since: at("2026-01-31T10:00:00Z"),
        last_seen_at: at("2026-01-31T10:00:00Z"),
        seen_more: 1,
        cleared: false,
        host: "h1".into(),
        acknowledged_until: None,
    }
}

/// One of each thing that an agent writes into the control tables of a database that has CP1.
pub async fn everything_that_an_agent_writes(database: &dyn Database) {
    database.control_read().await.unwrap();
    database.command_read().await.unwrap();
    assert!(database.host_claim(&host_row("j1", 1), None).await.unwrap());
    assert!(database.host_claim(&host_row("j1", 2), Some(1)).await.unwrap());
    assert_eq!(database.owner_claim(&claim("j1", "h1")).await.unwrap(), Owner::Mine);
    let document = || ("CP1".to_owned(), "Sync".to_owned(), "Item".to_owned(), None);
    let command = CommandResult {
        command_id: 1,
        state: "done",
        matched_rows: None,
        done_rows: None,
        result: "".into(),
        host: "h1".into(),
    };
    let (refused, accepted) =
        (document(), ("CP1".to_owned(), "Sync".to_owned(), "Item".to_owned(), Some(true)));
    let report = Report {
        host: Some(host_row("j1", 2)),
        connection_points: vec![("CP1".into(), None)],
        incoming_refused: vec![refused.clone()],
        documents_refused: vec![refused],
        documents_accepted: vec![accepted],
        statuses: vec![status("j1")],
        findings: vec![finding(), finding(), FindingRow { cleared: true, ..finding() }],
        commands: vec![command],
    };
    database.control_report(&report).await.unwrap();
    assert_eq!(database.host_read().await.unwrap().len(), 1);
}

pub async fn findings_open_renew_and_clear<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    let report = |findings| Report { findings, ..Report::default() };
    let cleared = FindingRow { cleared: true, ..finding() };
    database.control_report(&report(vec![cleared.clone()])).await.unwrap();
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_finding").await, "0", "nothing to clear");

    let again = FindingRow {
        finding_text: "second".into(),
        seen_more: 4,
        last_seen_at: at("2026-01-31T11:00:00Z"),
        since: at("2026-01-31T11:00:00Z"),
        ..finding()
    };
    let general = FindingRow { connection_point: None, ..finding() };
    let long = FindingRow { subject: "s".repeat(400), ..finding() };
    let all = vec![finding(), again, general.clone(), general, long.clone(), long];
    database.control_report(&report(all)).await.unwrap();
    let query = "SELECT connection_point, length(subject), finding_text, seen_count, since, last_seen_at, \
                 cleared_at IS NULL FROM bodrelay_finding ORDER BY finding_id";
    let (ten, eleven) = ("2026-01-31T10:00:00.000Z", "2026-01-31T11:00:00.000Z");
    assert_eq!(
        fixture.rows(query).await,
        [
            ["CP1", "9", "second", "5", ten, eleven, "1"],
            ["NULL", "9", "first", "2", ten, ten, "1"],
            ["CP1", "300", "first", "2", ten, ten, "1"],
        ]
    );
    let read = database.finding_read().await.unwrap();
    let read: Vec<_> = read.iter().map(|it| (it.connection_point.as_deref(), it.seen_more)).collect();
    assert_eq!(read, [(Some("CP1"), 5), (None, 2), (Some("CP1"), 2)]);
    database.control_report(&report(vec![cleared, finding()])).await.unwrap();
    let open = "SELECT count(*) FROM bodrelay_finding WHERE cleared_at IS NULL AND connection_point = 'CP1' \
                AND subject = 'Sync.Item'";
    assert_eq!(fixture.value(open).await, "1", "what comes back after it was cleared is a new row");
    assert_eq!(fixture.value("SELECT count(*) FROM bodrelay_finding").await, "4");
    let worst = FindingRow {
        code: "WORST".into(),
        severity: "error",
        since: at("2026-02-01T00:00:00Z"),
        host: "h2".into(),
        ..finding()
    };
    let least = FindingRow { code: "LEAST".into(), severity: "info", seen_more: 1, ..finding() };
    database.control_report(&report(vec![least.clone(), worst.clone()])).await.unwrap();
    let read = database.finding_read().await.unwrap();
    assert_eq!(read.len(), 5, "open ones only");
    assert_eq!((&read[0], &read[4]), (&worst, &least), "worst first, as written");
}

pub async fn commands_run_and_end<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture
        .exec(
            "INSERT INTO bodrelay_command (command, connection_point, noun, document_id, from_at, out_of_order) \
             VALUES ('resubmit', 'CP1', 'Item', '4711', '2026-01-31T10:20:30.000Z', 1)",
        )
        .await;
    fixture.exec("INSERT INTO bodrelay_command (command, connection_point) VALUES ('pause', '*')").await;
    let commands = database.command_read().await.unwrap();
    let named: Vec<_> = commands.iter().map(|row| (row.command.as_str(), row.state.as_str())).collect();
    assert_eq!(named, [("resubmit", "new"), ("pause", "new")]);
    assert_eq!(commands[0].from_at, Some(at("2026-01-31T10:20:30Z")));
    assert_eq!((commands[0].out_of_order, commands[0].dry_run), (true, false));
    let result = |state, matched_rows, text: &str| Report {
        commands: vec![CommandResult {
            command_id: commands[0].command_id,
            state,
            matched_rows,
            done_rows: None,
            result: text.into(),
            host: "h1".into(),
        }],
        ..Report::default()
    };
    database.control_report(&result("running", Some(3), "under way")).await.unwrap();
    assert_eq!(database.command_read().await.unwrap()[0].state, "running");
    database.control_report(&result("done", None, "all three")).await.unwrap();
    assert_eq!(database.command_read().await.unwrap().len(), 1);
    fixture.exec("UPDATE bodrelay_command SET state = 'done' WHERE command = 'pause'").await;
    fixture
        .exec(
            "INSERT INTO bodrelay_command (command, connection_point, state) VALUES ('resume', '*', 'done')",
        )
        .await;
    let levers = database.lever_read().await.unwrap();
    let levers: Vec<_> =
        levers.iter().map(|it| (it.command.as_str(), it.connection_point.as_str())).collect();
    assert_eq!(levers, [("resume", "*"), ("pause", "*")], "the newest first");
    fixture.exec("DELETE FROM bodrelay_command WHERE command = 'resume'").await;
    fixture.exec("UPDATE bodrelay_command SET state = 'new' WHERE command = 'pause'").await;
    database.control_report(&result("refused", None, "too late")).await.unwrap();
    let query = "SELECT state, matched_rows, result, started_at IS NULL, finished_at IS NULL, host \
                 FROM bodrelay_command ORDER BY command_id";
    assert_eq!(
        fixture.rows(query).await,
        [["done", "3", "all three", "0", "0", "h1"], ["new", "NULL", "NULL", "1", "1", "NULL"]]
    );
}

pub async fn changed_at_follows_the_dba<F: Fixture>() {
    let fixture = F::fresh().await;
    let database = fixture.open();
    fixture.exec(CP1).await;
    let changed = "SELECT changed_at FROM bodrelay_connection_point";
    assert_eq!(fixture.value(changed).await, "NULL");
    let report = Report { connection_points: vec![("CP1".into(), Some("no".into()))], ..Report::default() };
    database.control_report(&report).await.unwrap();
    assert_eq!(fixture.value(changed).await, "NULL", "what the agent writes is no change of the DBA");
    fixture.exec("UPDATE bodrelay_connection_point SET send_mode = 'on'").await;
    assert_ne!(fixture.value(changed).await, "NULL");
    fixture.exec("UPDATE bodrelay_status_rule SET changed_at = NULL").await;
    fixture.exec("UPDATE bodrelay_status_rule SET answer_class = 'reject' WHERE http_status = 502").await;
    let changed = "SELECT count(*) FROM bodrelay_status_rule WHERE changed_at IS NOT NULL";
    assert_eq!(fixture.value(changed).await, "1");
    database.outbox_settle(&Settle::default()).await.unwrap();
}
