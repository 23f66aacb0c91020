//! `bodrelay compose`: one document as it would be sent now, with what its queries gave and how long they took.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, bail};

use crate::app;
use crate::config::Config;
use crate::database::statements::scripts::SCRIPT_COMPOSES;
use crate::domain::change::Action;
use crate::domain::plan::{Plan, Surroundings};
use crate::outbound::{Ask, preview};

#[derive(Debug, clap::Args)]
pub(super) struct ComposeArguments {
    /// A connection point with source_kind = 'rows'
    connection_point: String,
    /// As in SalesOrder
    noun: String,
    /// The document id, as the trigger writes it
    document_id: String,
    #[arg(long, default_value = "Sync")]
    verb: String,
    /// The accounting entity, as the trigger writes it
    #[arg(long, default_value = "")]
    entity: String,
    /// The document location, as the trigger writes it
    #[arg(long, default_value = "")]
    location: String,
    /// Add, Change, Replace or Delete
    #[arg(long, default_value = "Replace")]
    action: String,
}

/// What is printed: the document, and what there is to say of it.
pub(super) struct Composed {
    pub document: String,
    pub remarks: String,
    pub refused: bool,
}

pub(super) async fn show(config: &Config, arguments: &ComposeArguments) -> Result<Composed> {
    let Some(action) = Action::parse(&arguments.action) else {
        bail!("--action {}: write Add, Change, Replace or Delete", arguments.action);
    };
    let name = &arguments.connection_point;
    for settings in &config.database {
        let database = app::database(settings, &config.agent.host);
        let tables = database.control_read().await?;
        let Some(row) = tables.connection_points.iter().find(|row| row.connection_point == *name) else {
            continue;
        };
        // What is shown depends neither on ION nor on whose location it is.
        let ions = BTreeMap::from([(row.ion_name.clone(), row.tenant_id.clone())]);
        let surroundings = Surroundings { location: &row.location_name, ions: &ions };
        let mut plan = Plan::read(&tables, &surroundings);
        plan.refuse_composing(database.survey().await?.script, SCRIPT_COMPOSES);
        let Some(point) = plan.connection_points.get(name) else {
            let refused =
                plan.refused.iter().find(|it| it.connection_point == *name && it.document.is_none());
            bail!("{name} is refused: {}", refused.map_or("another location's", |refused| &refused.reason));
        };
        if !point.composes {
            bail!("{name} has source_kind = 'iobox': its documents are ready in the outbox");
        }
        let ask = Ask {
            verb: arguments.verb.clone(),
            noun: arguments.noun.clone(),
            document_id: arguments.document_id.clone(),
            accounting_entity: arguments.entity.clone(),
            document_location: arguments.location.clone(),
            action,
        };
        let preview = preview(database.as_ref(), point, &ask).await?;
        let mut remarks = String::new();
        for (part_no, rows, milliseconds) in &preview.parts {
            let _ = writeln!(remarks, "part {part_no}: {rows} rows in {milliseconds} ms");
        }
        let bytes: usize = preview.documents.iter().map(String::len).sum();
        let count = preview.documents.len();
        let _ = match &preview.refused {
            Some(reason) => writeln!(remarks, "it would be refused: {reason}"),
            None if count > 1 => {
                writeln!(remarks, "{bytes} bytes in a batch of {count} documents; nothing was written")
            }
            None => writeln!(remarks, "{bytes} bytes; it would be sent like this; nothing was written"),
        };
        let document = preview.documents.iter().map(|document| format!("{document}\n")).collect();
        return Ok(Composed { document, remarks, refused: preview.refused.is_some() });
    }
    bail!("no database of the configuration has a connection point '{name}' (case counts)")
}
