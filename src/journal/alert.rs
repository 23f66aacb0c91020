//! Which findings somebody was told of, so that a restart tells nothing twice.

use std::collections::BTreeMap;

use super::{Journal, Result, statements as sql};
use crate::domain::alert::{Key, Told};

impl Journal {
    /// What was told and is not told as over. What cannot be read is told again.
    pub async fn alerts(&self) -> Result<BTreeMap<Key, Told>> {
        let rows: Vec<(String, String)> = self
            .query(|connection| {
                connection
                    .prepare_cached(sql::ALERT_READ)?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .await?;
        let read = |(key, told): (String, String)| {
            Some((serde_json::from_str(&key).ok()?, serde_json::from_str(&told).ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// A finding was told; `None`: as over.
    pub async fn alert_told(&self, key: &Key, told: Option<&Told>) -> Result<()> {
        let json = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        let key = serde_json::to_string(key).map_err(json)?;
        let told = told.map(serde_json::to_string).transpose().map_err(json)?;
        self.transaction(move |tx| {
            match told {
                Some(told) => tx.prepare_cached(sql::ALERT_WRITE)?.execute((key, told))?,
                None => tx.prepare_cached(sql::ALERT_DELETE)?.execute([key])?,
            };
            Ok(())
        })
        .await
    }
}
