//! What check says: for people on an 80-column console, or as one JSON object for programs.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::{Report, Section};
use crate::domain::notice::Severity;

/// Columns of the oldest console that somebody may look at this on.
const WIDTH: usize = 80;
/// Texts begin here, below the finding's code.
const INDENT: &str = "          ";

/// Grouped and wrapped; worst first within a group.
pub fn as_text(report: &Report) -> String {
    let mut out = String::new();
    for section in &report.sections {
        let _ = writeln!(out, "{}", section.title);
        if !section.seen.is_empty() {
            wrap(&mut out, "  seen    ", &section.seen.join("; "));
        }
        let mut shown = shown(report, section);
        shown.sort_by_key(|it| (it.acknowledged.is_some(), std::cmp::Reverse(it.severity)));
        for it in shown {
            finding(&mut out, &it);
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", verdict(report));
    out
}

/// A finding, whoever has it.
pub(super) struct Shown<'a> {
    pub severity: Severity,
    code: &'a str,
    connection_point: Option<&'a str>,
    subject: &'a str,
    text: &'a str,
    remedy: &'a str,
    /// The agent that reports it, and since when; `None`: check has found it now.
    reported: Option<String>,
    /// A DBA knows of it, until then.
    pub acknowledged: Option<DateTime<Utc>>,
}

/// The findings of a section, check's own first.
pub(super) fn shown<'a>(report: &Report, section: &'a Section) -> Vec<Shown<'a>> {
    let found = section.notices.iter().map(|notice| Shown {
        severity: notice.severity,
        code: notice.code,
        connection_point: notice.connection_point.as_deref(),
        subject: &notice.subject,
        text: &notice.text,
        remedy: &notice.remedy,
        reported: None,
        acknowledged: None,
    });
    let reported = section.reported.iter().map(|row| Shown {
        severity: Severity::parse(row.severity),
        code: &row.code,
        connection_point: row.connection_point.as_deref(),
        subject: &row.subject,
        text: &row.finding_text,
        remedy: &row.remedy,
        reported: Some(format!("the agent of {} since {}", row.host, super::site::stamp(row.since))),
        acknowledged: None,
    });
    let mut shown: Vec<_> = found.chain(reported).collect();
    for it in &mut shown {
        let key = (it.code.to_owned(), it.connection_point.map(str::to_owned), it.subject.to_owned());
        it.acknowledged = report.acknowledged.get(&key).copied();
    }
    shown
}

fn finding(out: &mut String, notice: &Shown<'_>) {
    let severity = match (notice.acknowledged, notice.severity) {
        (Some(_), _) => "  known   ",
        (None, Severity::Error) => "  ERROR   ",
        (None, Severity::Warning) => "  warning ",
        (None, Severity::Info) => "  note    ",
    };
    let about = match &notice.connection_point {
        Some(point) => format!("{}, {point}, {}", notice.code, notice.subject),
        None => format!("{}, {}", notice.code, notice.subject),
    };
    wrap(out, severity, &about);
    if let Some(reported) = &notice.reported {
        wrap(out, INDENT, &format!("found by {reported}:"));
    }
    if let Some(until) = notice.acknowledged {
        let until = match until == DateTime::<Utc>::MAX_UTC {
            true => "as long as it lasts".to_owned(),
            false => format!("until {}", super::site::stamp(until)),
        };
        wrap(out, INDENT, &format!("acknowledged {until}: it does not count"));
    }
    wrap(out, INDENT, notice.text);
    wrap(out, "       -> ", notice.remedy);
}

fn verdict(report: &Report) -> String {
    let counted = |severity, name: &str| {
        let count = report.count(severity);
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {name}{plural}")
    };
    let means = match report.exit_code() {
        0 => "the agent can work",
        1 => "something must be mended",
        2 => "the configuration cannot be used",
        _ => "something could not be reached, and less was looked at",
    };
    format!(
        "{}, {}, {}: {means}",
        counted(Severity::Error, "error"),
        counted(Severity::Warning, "warning"),
        counted(Severity::Info, "note")
    )
}

/// Words in lines; what is longer than a line (a path, an address) gets one of its own, uncut.
fn wrap(out: &mut String, head: &str, text: &str) {
    let mut line = head.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let blank = usize::from(!is_empty);
        if !is_empty && line.chars().count() + blank + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = INDENT.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// One object: `exit_code`, and every finding with the group that it is in.
pub fn as_json(report: &Report) -> String {
    let findings: Vec<_> = report
        .sections
        .iter()
        .flat_map(|section| shown(report, section).into_iter().map(move |notice| (section, notice)))
        .map(|(section, notice)| {
            serde_json::json!({
                "group": section.title, "code": notice.code, "severity": notice.severity.as_str(),
                "connection_point": notice.connection_point, "subject": notice.subject,
                "finding_text": notice.text, "remedy": notice.remedy, "reported_by": notice.reported,
                "acknowledged": notice.acknowledged.is_some(),
            })
        })
        .collect();
    let groups: Vec<_> = report
        .sections
        .iter()
        .map(|section| serde_json::json!({ "group": section.title, "seen": section.seen }))
        .collect();
    let whole =
        serde_json::json!({ "exit_code": report.exit_code(), "findings": findings, "groups": groups });
    format!("{whole:#}\n")
}
