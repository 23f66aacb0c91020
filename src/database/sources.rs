//! Whether the outbox tells the sources of connection points apart: its columns may ignore case or trailing blanks.

use std::collections::BTreeMap;

use super::{Database, SourceColumn};
use crate::domain::plan::{Alike, ControlTables, Pair};

/// Asks about pairs that `known` does not have yet, and only about texts that some collation takes for equal. A pair about
/// which the database has no answer stays out: it counts as one.
pub async fn ask_alike(database: &dyn Database, tables: &ControlTables, known: &mut Alike) {
    let sources: Vec<_> = tables.connection_points.iter().map(|row| row.source()).collect();
    let tenants = Alike::doubtful(sources.iter().filter_map(|(tenant, _)| tenant.as_deref()));
    let logical_ids = Alike::doubtful(sources.iter().filter_map(|(_, logical_id)| logical_id.as_deref()));
    ask(database, SourceColumn::TenantId, tenants, &mut known.tenant_ids).await;
    ask(database, SourceColumn::LogicalId, logical_ids, &mut known.logical_ids).await;
}

async fn ask(
    database: &dyn Database,
    column: SourceColumn,
    pairs: Vec<Pair>,
    known: &mut BTreeMap<Pair, bool>,
) {
    for pair in pairs {
        if known.contains_key(&pair) {
            continue;
        }
        match database.source_alike(column, &pair.0, &pair.1).await {
            Ok(alike) => _ = known.insert(pair, alike),
            Err(error) => {
                tracing::debug!(error = %error, "whether two sources are told apart is asked again")
            }
        }
    }
}
