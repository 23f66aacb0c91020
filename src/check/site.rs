//! One database: its tables, the control tables as the agent will read them, the guards, and what waits in it.
//!
//! It reads through the contract only. A look that fails says so and lets the others go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{DATABASE_LIMIT, Section, aside, reported, schedules};
use crate::config::Config;
use crate::database::statements::scripts::SCRIPT_COMPOSES;
use crate::database::{
    COUNT_LIMIT, Database, DatabaseError, HostRow, LogFilter, Selection, Survey, ask_alike, backlog_unknown,
    changes_nobody_composes, clock_differs, hosts_in_trouble, lacks_queries, query_refused,
    rows_nobody_chooses, rows_unseen, script_finding, try_queries,
};
use crate::domain::notice::{Notice, Severity};
use crate::domain::plan::{Alike, ConnectionPoint, ControlTables, Plan, SendMode, Surroundings};
use crate::domain::unserved::unserved;

/// Failed messages are counted up to this.
const FAILED_CAP: i64 = 1_000;

/// What is known before the database is asked.
pub(super) struct Site {
    pub name: String,
    pub config: Arc<Config>,
    /// Tenants of the credentials that can be read, by the name of their `[[ion]]`.
    pub tenants: BTreeMap<String, String>,
    pub now: DateTime<Utc>,
}

/// What came of it.
pub(super) struct Looked {
    pub section: Section,
    /// Those that the agent would carry.
    pub points: Vec<ConnectionPoint>,
}

pub(super) async fn look(site: Site, database: Arc<dyn Database>) -> Looked {
    let title = format!("database {}", site.name);
    let name = site.name.clone();
    // Opening a file blocks, so all of it runs aside.
    let runtime = tokio::runtime::Handle::current();
    let looked =
        aside(DATABASE_LIMIT, move || runtime.block_on(look_through(&site, database.as_ref()))).await;
    looked.unwrap_or_else(|| {
        let mut section = Section::new(title);
        section.misses(Notice::new("DATABASE_UNAVAILABLE", Severity::Error, None, name).says(
            format!("no whole answer within {} s", DATABASE_LIMIT.as_secs()),
            "Look at the database: locks, load, a disk or share that hangs. The agent would wait and try again.",
        ));
        Looked { section, points: Vec::new() }
    })
}

async fn look_through(site: &Site, database: &dyn Database) -> Looked {
    let mut section = Section::new(format!("database {}", site.name));
    let points = match look_in(site, database, &mut section).await {
        Ok(points) => points,
        Err(error) => {
            section.misses(unreachable(&site.name, &error));
            Vec::new()
        }
    };
    Looked { section, points }
}

fn unreachable(name: &str, error: &DatabaseError) -> Notice {
    let notice = Notice::new("DATABASE_UNAVAILABLE", Severity::Error, None, name);
    match error {
        DatabaseError::Unavailable { operation, what, source, .. } => notice.says(
            format!("{operation}: {what}{}", cause(source.as_ref())),
            "Waiting may help: the agent tries again by itself. If it lasts, look at what the text names.",
        ),
        DatabaseError::NeedsMending { operation, what, remedy, source, .. } => {
            notice.says(format!("{operation}: {what}{}", cause(source.as_ref())), sentence(remedy))
        }
    }
}

fn cause(source: Option<&anyhow::Error>) -> String {
    source.map(|source| format!(" ({source:#})")).unwrap_or_default()
}

/// Remedies of problems are written small, as parts of errors.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

async fn look_in(
    site: &Site,
    database: &dyn Database,
    section: &mut Section,
) -> Result<Vec<ConnectionPoint>, DatabaseError> {
    let survey = database.survey().await?;
    if !tables(site, &survey, section) {
        return Ok(Vec::new());
    }
    let mut control = database.control_read().await?;
    let mut alike = Alike::default();
    ask_alike(database, &control, &mut alike).await;
    control.alike = alike;
    let served_by = database.host_read().await?;
    hosts(site, &survey, &served_by, section);
    let mut plan =
        Plan::read(&control, &Surroundings { location: &site.config.agent.location, ions: &site.tenants });
    plan.refuse_composing(survey.script, SCRIPT_COMPOSES);
    settings(site, database, &control, &plan, &served_by, section);
    let at_work: Vec<&ConnectionPoint> =
        plan.connection_points.values().filter(|point| point.send_mode != SendMode::Off).collect();
    waiting(&at_work, database, survey.now, section).await;
    for point in at_work {
        if let Err(error) = failed(point, database, section).await {
            section.finds(for_point(&point.name, &error));
        }
    }
    for point in plan.connection_points.values().filter(|point| point.composes) {
        if let Err(error) = queries(point, database, section).await {
            section.finds(for_point(&point.name, &error));
        }
    }
    match changes_nobody_composes(database, survey.script).await {
        Ok(notice) if notice.text.is_empty() => {}
        Ok(notice) => section.finds(notice),
        Err(error) => {
            section.finds(Notice { severity: Severity::Warning, ..unreachable("bodrelay_change", &error) })
        }
    }
    match rows_nobody_chooses(database, &control).await {
        Ok(notice) if notice.text.is_empty() => {}
        Ok(notice) => section.finds(notice),
        Err(error) => section
            .finds(Notice { severity: Severity::Warning, ..unreachable("rows that nobody chooses", &error) }),
    }
    match rows_unseen(database).await {
        Ok(notice) if notice.text.is_empty() => {}
        Ok(notice) => section.finds(notice),
        Err(error) => section
            .finds(Notice { severity: Severity::Warning, ..unreachable("rows that nobody sees", &error) }),
    }
    if let Err(error) = reported::look(database, section).await {
        section.finds(Notice { severity: Severity::Warning, ..unreachable("bodrelay_finding", &error) });
    }
    Ok(plan.connection_points.into_values().collect())
}

fn for_point(point: &str, error: &DatabaseError) -> Notice {
    Notice { connection_point: Some(point.into()), subject: "outbox".into(), ..unreachable("outbox", error) }
}

/// `false`: something is missing, and nothing else can be read.
fn tables(site: &Site, survey: &Survey, section: &mut Section) -> bool {
    section.sees(survey.product.clone());
    let notice = |code, severity| Notice::new(code, severity, None, site.name.clone());
    for problem in &survey.problems {
        let notice = notice("DATABASE_LACKS", Severity::Error);
        section.finds(notice.says(problem.what.clone(), sentence(&problem.remedy)));
    }
    for problem in &survey.inbound_problems {
        let notice = notice("INBOX_LACKS", Severity::Error);
        section.finds(notice.says(problem.what.clone(), sentence(&problem.remedy)));
    }
    for advice in &survey.advice {
        let notice = notice("DATABASE_ADVICE", Severity::Info);
        section.finds(notice.says(advice.what.clone(), sentence(&advice.remedy)));
    }
    let clock = clock_differs(&site.name, survey.now - site.now);
    if !clock.text.is_empty() {
        section.finds(clock);
    }
    if !survey.problems.is_empty() {
        return false;
    }
    match script_finding(survey, &site.name) {
        Some(finding) => section.finds(finding),
        None => section.sees(format!("script {}", survey.script)),
    }
    true
}

/// The fingerprint guard, and agents that have something to say.
fn hosts(site: &Site, survey: &Survey, hosts: &[HostRow], section: &mut Section) {
    let own = hosts.iter().find(|row| row.host == site.config.agent.host);
    let foreign = match own {
        Some(own) => Some(own).filter(|row| row.database_fingerprint != survey.fingerprint),
        None => hosts.iter().find(|row| row.database_fingerprint != survey.fingerprint),
    };
    if let Some(row) = foreign {
        section.finds(Notice::new("DATABASE_COPIED", Severity::Error, None, site.name.clone()).says(
            format!(
                "this is not the database that host {} served (found {}, known {}): a copy, or a file put in its \
                 place. Nothing is sent from it",
                row.host, survey.fingerprint, row.database_fingerprint
            ),
            "If it is meant: INSERT INTO bodrelay_command (command, connection_point) VALUES ('accept_database', \
             '*'). Think first: a copy of production sends production's documents.",
        ));
    }
    for notice in hosts_in_trouble(hosts, survey.now) {
        section.finds(notice);
    }
    for row in hosts {
        section.sees(format!("agent of {} {}, heartbeat {}", row.host, row.state, stamp(row.heartbeat_at)));
    }
}

pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The control tables as the agent will take them.
fn settings(
    site: &Site,
    database: &dyn Database,
    control: &ControlTables,
    plan: &Plan,
    hosts: &[HostRow],
    section: &mut Section,
) {
    let ion_is_broken = |name: &str| {
        control.connection_points.iter().any(|row| {
            row.connection_point == name
                && site.config.ion.iter().any(|ion| ion.name == row.ion_name)
                && !site.tenants.contains_key(&row.ion_name)
        })
    };
    for refused in &plan.refused {
        // The credential's own finding says it better.
        if refused.document.is_none() && ion_is_broken(&refused.connection_point) {
            continue;
        }
        section.finds(refused.notice());
    }
    for notice in &plan.rules_refused {
        section.finds(notice.clone());
    }
    // One that only receives sends nothing, and means it.
    let only_receives =
        |point: &ConnectionPoint| point.send_mode == SendMode::Off && plan.inbound.contains_key(&point.name);
    let lacking = plan.connection_points.values().filter(|point| point.documents.is_empty());
    for point in lacking.filter(|point| !only_receives(point)) {
        let severity = if point.send_mode == SendMode::Off { Severity::Warning } else { Severity::Error };
        section.finds(Notice::new("NO_DOCUMENTS", severity, Some(&point.name), "documents").says(
            "bodrelay_document has no row of direction 'out' for it: nothing is sent",
            format!(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ({}, 'out', \
                 'Sync', 'SalesOrder'), one row for each document type.",
                database.quoted(&point.name)
            ),
        ));
    }
    for (name, _) in plan.inbound.iter().filter(|(_, inbound)| inbound.documents.is_empty()) {
        section.finds(Notice::new("NO_DOCUMENTS", Severity::Error, Some(name), "received documents").says(
            "receive_mode = 'on', but bodrelay_document has no row of direction 'in' for it that is enabled: ION is \
             answered with 412",
            format!(
                "INSERT INTO bodrelay_document (connection_point, direction, verb, noun) VALUES ({}, 'in', \
                 'Sync', 'SalesOrder'), one row for each document type.",
                database.quoted(name)
            ),
        ));
    }
    let locations = hosts.iter().map(|row| &*row.location_name).collect();
    for notice in unserved(&site.name, control, plan, &site.config.agent.location, &locations, &|text| {
        database.quoted(text)
    }) {
        section.finds(notice);
    }
    let on = |mode| plan.connection_points.values().filter(|point| point.send_mode == mode).count();
    let here = plan.connection_points.len();
    section.sees(format!(
        "{here} connection points, {} on, {} observed, {} receiving",
        on(SendMode::On),
        on(SendMode::Observe),
        plan.inbound.len()
    ));
    for said in plan.connection_points.values().flat_map(|point| schedules::said(point, site.now)) {
        section.sees(said);
    }
}

/// Every query of a connection point that composes, run for no document at all.
async fn queries(
    point: &ConnectionPoint,
    database: &dyn Database,
    section: &mut Section,
) -> Result<(), DatabaseError> {
    let queries = database.query_read(&point.name).await?;
    for notice in lacks_queries(point, &queries) {
        section.finds(notice);
    }
    let checked = try_queries(database, point, &queries).await?;
    let good = checked.iter().filter(|query| query.refused_reason.is_none()).count();
    section.sees(format!("{}: {good} of {} queries can be used", point.name, checked.len()));
    for notice in checked.iter().filter_map(|query| query_refused(point, query)) {
        section.finds(notice);
    }
    Ok(())
}

/// What waits, counted once for all.
async fn waiting(
    points: &[&ConnectionPoint],
    database: &dyn Database,
    now: DateTime<Utc>,
    section: &mut Section,
) {
    let selection = |point: &&ConnectionPoint| Selection {
        tenant_id: point.source_tenant_id.clone(),
        logical_id: point.source_logical_id.clone(),
        rows_from: point.send_rows_from,
    };
    let selections: Vec<Selection> = points.iter().map(selection).collect();
    if selections.is_empty() {
        return;
    }
    let backlogs = match database.outbox_counts(&selections, COUNT_LIMIT).await {
        Ok(backlogs) => backlogs,
        Err(error) => return section.finds(backlog_unknown(&error)),
    };
    for (point, backlog) in points.iter().zip(backlogs) {
        let more = if backlog.capped { " or more" } else { "" };
        let old = backlog.oldest.filter(|oldest| now - *oldest > TimeDelta::hours(1));
        if let Some(oldest) = old.filter(|_| point.send_mode == SendMode::On) {
            section.finds(Notice::new("BACKLOG_OLD", Severity::Warning, Some(&point.name), "outbox").says(
                format!("{}{more} rows wait at 0, the oldest since {}", backlog.waiting_rows, stamp(oldest)),
                "Is an agent running? Else bodrelay_status says in state_reason what it waits for.",
            ));
        } else {
            section.sees(format!("{}: {}{more} rows wait", point.name, backlog.waiting_rows));
        }
    }
}

/// What failed.
async fn failed(
    point: &ConnectionPoint,
    database: &dyn Database,
    section: &mut Section,
) -> Result<(), DatabaseError> {
    let filter = LogFilter {
        direction: Some("out".into()),
        state: Some("failed".into()),
        connection_point: Some(point.name.clone()),
        limit: FAILED_CAP,
        ..LogFilter::default()
    };
    let failed = database.log_search(&filter).await?;
    let Some(last) = failed.first() else { return Ok(()) };
    let cap = i64::try_from(failed.len()).is_ok_and(|count| count >= FAILED_CAP);
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &failed {
        *codes.entry(row.failure_code.as_deref().unwrap_or("unknown")).or_default() += 1;
    }
    let codes: Vec<_> = codes.into_iter().map(|(code, count)| format!("{count} {code}")).collect();
    section.finds(Notice::new("MESSAGES_FAILED", Severity::Warning, Some(&point.name), "message log").says(
        format!(
            "{}{} messages failed and wait for a decision ({}); the last one at {}",
            failed.len(),
            if cap { " or more" } else { "" },
            codes.join(", "),
            stamp(last.finished_at.unwrap_or(last.updated_at))
        ),
        format!(
            "'bodrelay log --state failed --connection-point {}' lists them; mend what they name, then use the \
             commands resubmit or discard.",
            point.name
        ),
    ));
    Ok(())
}
