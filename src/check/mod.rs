//! `bodrelay check`: looks at everything that the agent needs, and says what is wrong and what to do.
//!
//! It writes nothing: no journal, no token, no row. Whatever it asks has a time limit, so that a share that hangs or a
//! host that swallows packets becomes a finding and not a silent terminal. What it must not know: which database it is.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::database::{Database, FindingRow};
use crate::domain::notice::{Notice, Severity};

mod ion;
mod listener;
mod machine;
mod print;
mod reported;
mod schedules;
mod settings;
mod site;

pub use print::{as_json, as_text};
pub use settings::effective;

/// Looks at files end after this.
const FILE_LIMIT: Duration = Duration::from_secs(10);
/// All looks at one database together.
const DATABASE_LIMIT: Duration = Duration::from_secs(60);
/// One request to ION, its token included.
const ION_LIMIT: Duration = Duration::from_secs(20);

/// One group of looks: the state directory, a database, an `[[ion]]`.
#[derive(Debug, Default)]
pub struct Section {
    /// What it is, as in `database erp`.
    pub title: String,
    /// What was seen, in a few words.
    pub seen: Vec<String>,
    pub notices: Vec<Notice>,
    /// What agents found and have not cleared, beside that.
    pub reported: Vec<FindingRow>,
    /// What the file names cannot be used at all.
    pub wrong_file: bool,
    /// The other side could not be reached, so less was looked at.
    pub unreachable: bool,
}

impl Section {
    fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    fn sees(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    fn finds(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// The other side cannot be reached.
    fn misses(&mut self, notice: Notice) {
        self.unreachable = true;
        self.notices.push(notice);
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Report {
    pub sections: Vec<Section>,
    /// Findings that a DBA knows of, until when: they are shown, and count as nothing.
    acknowledged: BTreeMap<FindingKey, DateTime<Utc>>,
}

/// Code, connection point, subject.
type FindingKey = (String, Option<String>, String);

impl Report {
    /// The configuration file cannot be used: nothing else was looked at.
    pub fn of_wrong_file(text: String) -> Self {
        let notice = Notice::new("CONFIGURATION_WRONG", Severity::Error, None, "configuration file").says(
            text,
            "Correct the file, then run check again. README.md has every key; --config names another file.",
        );
        let section =
            Section { notices: vec![notice], wrong_file: true, ..Section::new("configuration file") };
        Self { sections: vec![section], ..Self::default() }
    }

    /// 2 the file is wrong, 3 a database or ION could not be reached, 1 an error finding, else 0.
    pub fn exit_code(&self) -> u8 {
        if self.sections.iter().any(|section| section.wrong_file) {
            2
        } else if self.sections.iter().any(|section| section.unreachable) {
            3
        } else {
            u8::from(self.count(Severity::Error) > 0)
        }
    }

    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        let shown = self.sections.iter().flat_map(|section| print::shown(self, section));
        shown.filter(|it| it.severity == severity && it.acknowledged.is_none()).count()
    }
}

/// Looks at everything. `databases` are those of the configuration, in its order.
pub async fn run(config: &Config, databases: Vec<Arc<dyn Database>>, now: DateTime<Utc>) -> Report {
    let config = Arc::new(config.clone());
    let (machine, is_running) = machine::look(config.clone()).await;
    let mut sections = vec![file(&config), machine];
    sections.extend(machine::beside(config.clone(), is_running).await);
    sections.extend(listener::look(&config, is_running, now).await);
    let credentials = ion::credentials(&config).await;
    let tenants: BTreeMap<String, String> = credentials
        .iter()
        .filter_map(|(name, it)| Some((name.clone(), it.as_ref().ok()?.tenant_id())))
        .collect();
    let mut points = Vec::new();
    for (settings, database) in config.database.iter().zip(databases) {
        let surroundings =
            site::Site { name: settings.name.clone(), config: config.clone(), tenants: tenants.clone(), now };
        let looked = site::look(surroundings, database).await;
        sections.push(looked.section);
        points.push((settings.name.clone(), looked.points));
    }
    doubled(&points, &mut sections);
    let points: Vec<_> = points.into_iter().flat_map(|(_, points)| points).collect();
    for (name, client) in credentials {
        sections.push(ion::look(&name, client, &points).await);
    }
    let acknowledged = reported::acknowledged(&sections, now);
    reported::leave_out_doubles(&mut sections);
    Report { sections, acknowledged }
}

fn file(config: &Config) -> Section {
    let mut section = Section::new("configuration file");
    section.sees(format!("host {}, location {}", config.agent.host, config.agent.location));
    section
}

/// The same tenant and logical id in two databases: the agent refuses the second one.
fn doubled(points: &[(String, Vec<crate::domain::plan::ConnectionPoint>)], sections: &mut [Section]) {
    let mut first: BTreeMap<String, &String> = BTreeMap::new();
    for (database, points) in points {
        for point in points {
            let key = format!("{} {}", point.tenant_id, point.logical_id);
            let other = *first.entry(key).or_insert(database);
            let title = format!("database {database}");
            if other != database
                && let Some(section) = sections.iter_mut().find(|section| section.title == title)
            {
                section.finds(
                    Notice::new(
                        "LOGICAL_ID_TWICE",
                        Severity::Error,
                        Some(&point.name),
                        point.logical_id.clone(),
                    )
                    .says(
                        format!(
                            "the same tenant and logical id are used in database {other}: this one is refused"
                        ),
                        "Give one of the two another logical_id, or remove one.",
                    ),
                );
            }
        }
    }
}

/// The future's answer, or `None` after `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// Runs what may block on a thread of its own. `None`: it did not end within `limit`.
async fn aside<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    within(limit, tokio::task::spawn_blocking(work)).await.and_then(Result::ok)
}
