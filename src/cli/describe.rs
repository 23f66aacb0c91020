//! `bodrelay describe`: a Markdown page of an estate that somebody inherits. It reads, locks nothing, and has no secrets.

use std::fmt::Write;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::not_read;
use crate::app;
use crate::config::Config;
use crate::database::{Database, DatabaseError, Survey};
use crate::domain::outside::printable;
use crate::domain::plan::{ConnectionPointRow, ControlTables};
use crate::ims::credentials::Source;

/// The page; databases that cannot be read are named in it, and beside it.
pub(super) async fn page(config: &Config, now: DateTime<Utc>) -> (String, Vec<String>) {
    let (mut page, mut errors) = (String::new(), Vec::new());
    let agent = &config.agent;
    put(&mut page, format_args!("# bodrelay at {}", cell(&agent.location)));
    put(&mut page, format_args!(""));
    put(
        &mut page,
        format_args!(
            "Written on {} by bodrelay {} on host {}. State directory: `{}`.",
            now.format("%Y-%m-%d %H:%M UTC"),
            env!("CARGO_PKG_VERSION"),
            cell(&agent.host),
            agent.state_dir.display()
        ),
    );
    credentials(&mut page, config);
    receiving(&mut page, config);
    for settings in &config.database {
        let database = app::database(settings, &agent.host);
        put(&mut page, format_args!("\n## Database {} ({})\n", cell(&settings.name), settings.kind.as_str()));
        if let Err(error) = of_database(&mut page, database.as_ref()).await {
            let error = not_read(error);
            put(&mut page, format_args!("It could not be read: {}", cell(&error)));
            errors.push(error);
        }
    }
    (page, errors)
}

fn put(page: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "{line}");
}

/// What would break a table of Markdown, or a terminal.
fn cell(text: &str) -> String {
    printable(text).replace('|', "\\|")
}

fn row(page: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    put(page, format_args!("| {} |", cells.join(" | ")));
}

fn head(page: &mut String, names: &[&str]) {
    put(page, format_args!("| {} |", names.join(" | ")));
    put(page, format_args!("|{}", " --- |".repeat(names.len())));
}

fn credentials(page: &mut String, config: &Config) {
    put(page, format_args!("\n## ION\n"));
    head(page, &["name", "tenant", "client id", "scopes", "token from", "IMS", "file"]);
    for settings in &config.ion {
        let file = settings.credentials.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let cells = match Source::new(settings).read() {
            Ok(known) => [
                known.tenant_id,
                known.client_id,
                known.scopes.join(" "),
                known.token_url.to_string(),
                known.service_url.to_string(),
            ],
            Err(error) => [format!("cannot be read: {error:#}"), "".into(), "".into(), "".into(), "".into()],
        };
        let all: Vec<String> =
            std::iter::once(settings.name.clone()).chain(cells).chain(std::iter::once(file)).collect();
        row(page, &all);
    }
}

/// Where ION's calls arrive, and who may call; which documents are taken is with the connection points.
fn receiving(page: &mut String, config: &Config) {
    put(page, format_args!("\n## Receiving\n"));
    let Some(listen) = &config.listen else {
        return put(page, format_args!("Nothing: the configuration file has no `[listen]`."));
    };
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    put(
        page,
        format_args!(
            "Listens at `{}`, {}; called as {}. {} connections, {} waiting documents and {} bytes of a request at most.\n",
            listen.address,
            match file(&listen.certificate_file) {
                Some(certificate) => format!("with the certificate `{}`", cell(&certificate)),
                None => "without encryption".to_owned(),
            },
            listen
                .called_as
                .as_deref()
                .map_or_else(|| "it is called".to_owned(), |it| format!("`{}`", cell(it))),
            listen.max_connections,
            listen.max_waiting,
            listen.max_body_bytes
        ),
    );
    if listen.caller.is_empty() {
        return put(page, format_args!("Anybody on this machine may call: there is no `[[listen.caller]]`."));
    }
    head(page, &["caller", "auth", "key", "secret in"]);
    for caller in &listen.caller {
        let key = caller.key.clone().unwrap_or_default();
        let secret = caller.secret_file.display().to_string();
        row(page, &[caller.name.clone(), caller.auth.as_str().to_owned(), key, secret]);
    }
}

async fn of_database(page: &mut String, database: &dyn Database) -> Result<(), DatabaseError> {
    let survey = database.survey().await?;
    put(
        page,
        format_args!(
            "{}; scripts up to {}; fingerprint `{}`.",
            cell(&survey.product),
            survey.script,
            survey.fingerprint
        ),
    );
    for problem in survey.problems.iter().chain(&survey.advice) {
        put(page, format_args!("- {}: {}", cell(&problem.what), cell(&problem.remedy)));
    }
    if !survey.problems.is_empty() {
        return Ok(());
    }
    let tables = database.control_read().await?;
    points(page, &tables);
    let statuses = database.status_read().await?;
    put(page, format_args!("\n### How it stands\n"));
    head(
        page,
        &[
            "connection point",
            "state",
            "why",
            "waits",
            "held",
            "failed",
            "accepted in all",
            "last accepted",
            "host",
        ],
    );
    for status in statuses {
        row(
            page,
            &[
                status.connection_point,
                status.state,
                status.state_reason.unwrap_or_default(),
                status.waiting_rows.to_string(),
                status.held_rows.to_string(),
                status.failed_rows.to_string(),
                status.accepted_total.to_string(),
                stamp(status.last_accepted_at),
                status.host,
            ],
        );
    }
    changes(page, &survey, database).await?;
    put(page, format_args!("\n### Agents\n"));
    head(page, &["host", "location", "version", "system", "state", "started", "last heartbeat"]);
    for host in database.host_read().await? {
        row(
            page,
            &[
                host.host,
                host.location_name,
                host.agent_version,
                host.operating_system,
                host.state,
                stamp(Some(host.started_at)),
                stamp(Some(host.heartbeat_at)),
            ],
        );
    }
    Ok(())
}

/// Who changed what: the last change of each row, and the history where it is kept.
async fn changes(page: &mut String, survey: &Survey, database: &dyn Database) -> Result<(), DatabaseError> {
    /// The script that brings the table of the history.
    const SCRIPT: i64 = 2;
    put(page, format_args!("\n### Who changed what\n"));
    if survey.script < SCRIPT {
        put(page, format_args!("Not known: script 002_panel, which brings the history, was not run."));
        return Ok(());
    }
    let (rows, history): (Vec<_>, Vec<_>) =
        database.history_read().await?.into_iter().partition(|change| change.column_name.is_none());
    head(page, &["last change of", "row", "at", "by"]);
    for change in rows {
        let by = change.changed_by.unwrap_or_default();
        row(page, &[change.table_name, change.row_key, stamp(change.changed_at), by]);
    }
    put(page, format_args!(""));
    if history.is_empty() {
        put(
            page,
            format_args!("No single changes: they are kept from then on where the script audit is run."),
        );
        return Ok(());
    }
    head(page, &["at", "by", "table", "row", "setting", "from", "to"]);
    let value = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
    for change in history {
        row(
            page,
            &[
                stamp(change.changed_at),
                change.changed_by.unwrap_or_default(),
                change.table_name,
                change.row_key,
                change.column_name.unwrap_or_default(),
                value(change.old_value),
                value(change.new_value),
            ],
        );
    }
    Ok(())
}

fn points(page: &mut String, tables: &ControlTables) {
    for point in &tables.connection_points {
        put(page, format_args!("\n### Connection point {}\n", cell(&point.connection_point)));
        head(page, &["setting", "value"]);
        for (name, value) in settings(point) {
            row(page, &[name.into(), value]);
        }
        put(page, format_args!(""));
        head(page, &["direction", "document", "enabled", "order", "after a failure", "refused"]);
        for document in tables.documents.iter().filter(|it| it.connection_point == point.connection_point) {
            row(
                page,
                &[
                    document.direction.clone(),
                    format!("{}.{}", document.verb, document.noun),
                    yes(document.enabled).into(),
                    document.order_by.clone(),
                    document.after_failure.clone().unwrap_or_else(|| "as the connection point".into()),
                    document.refused_reason.clone().unwrap_or_default(),
                ],
            );
        }
    }
    put(page, format_args!("\n### What an HTTP status means\n"));
    head(page, &["connection point", "status", "class"]);
    for rule in &tables.status_rules {
        row(page, &[rule.connection_point.clone(), rule.http_status.to_string(), rule.answer_class.clone()]);
    }
}

/// The settings that say what a connection point is and does.
fn settings(point: &ConnectionPointRow) -> Vec<(&'static str, String)> {
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    let number =
        |value: Option<i64>, none: &str| value.map_or_else(|| none.to_owned(), |value| value.to_string());
    let schedule = match (&point.poll_cron, point.poll_seconds) {
        (Some(cron), _) => format!("cron {cron} ({})", point.time_zone),
        (None, seconds) => format!("every {} s", number(seconds, "?")),
    };
    vec![
        ("location", point.location_name.clone()),
        ("ION", point.ion_name.clone()),
        ("tenant", point.tenant_id.clone()),
        ("logical id", point.logical_id.clone()),
        ("rows of tenant", or(&point.source_tenant_id, "any")),
        ("rows of logical id", or(&point.source_logical_id, "any")),
        ("sends", point.send_mode.clone()),
        ("rows from", stamp(point.send_rows_from)),
        ("looks", schedule),
        ("blackout", or(&point.blackout, "none")),
        ("posts at once", point.parallel_posts.to_string()),
        ("messages a second at most", number(point.max_messages_per_second, "no bound")),
        ("largest document, bytes", point.max_document_bytes.to_string()),
        ("after a failure", point.after_failure.clone()),
        ("backoff", format!("{} s to {} s", point.backoff_step_seconds, point.backoff_max_seconds)),
        ("IMS", format!("{} {}, encoding {}", point.ims_version, point.ims_method, point.encoding)),
        ("compares with ION's list", yes(point.check_accepted).into()),
        ("message log", format!("{}, {} days", point.log_messages, point.log_keep_days)),
        ("processed rows", number(point.outbox_keep_hours, "stay")),
        ("refused", or(&point.refused_reason, "no")),
    ]
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn stamp(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}
