//! What the journal knows of each database as a whole: which one it is, how far its epoch is, who else was seen in it.

use rusqlite::Transaction;

use super::{Journal, Result, statements as sql};

/// A database that this journal has met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDatabase {
    pub database_id: i64,
    pub fingerprint: String,
    /// The epoch that the database was last known to have; 0: it was never raised there.
    pub epoch: i64,
    /// Rows created up to then (ms since 1970) are in doubt.
    pub in_doubt_before: Option<i64>,
    /// The epoch that is on its way: whether the database has it is not known.
    pub raising: Option<i64>,
    /// When the agent last worked, ms since 1970 by its own clock.
    pub alive_at: Option<i64>,
    /// It has ended in order since.
    pub stopped: bool,
    /// Where the journal was when the guards were last passed.
    pub place: Option<String>,
}

/// A row of `bodrelay_host` as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHost {
    pub journal_id: String,
    pub fingerprint: String,
    pub epoch: i64,
    /// ms since 1970, by the database's clock.
    pub heartbeat_at: i64,
}

impl Journal {
    /// The database of this name, met for the first time if need be.
    pub async fn meet_database(&self, name: &str, fingerprint: &str) -> Result<KnownDatabase> {
        let (name, fingerprint) = (name.to_owned(), fingerprint.to_owned());
        self.transaction(move |tx| {
            tx.prepare_cached(sql::DATABASE_INSERT)?.execute((&name, &fingerprint))?;
            Ok(tx.prepare_cached(sql::DATABASE_READ)?.query_row([&name], |row| {
                Ok(KnownDatabase {
                    database_id: row.get(0)?,
                    fingerprint: row.get(1)?,
                    epoch: row.get(2)?,
                    in_doubt_before: row.get(3)?,
                    raising: row.get(4)?,
                    alive_at: row.get(5)?,
                    stopped: row.get(6)?,
                    place: row.get(7)?,
                })
            })?)
        })
        .await
    }

    /// Stores what `database` says of fingerprint, epoch and doubt.
    pub async fn remember_database(&self, database: KnownDatabase) -> Result<()> {
        self.transaction(move |tx| {
            tx.prepare_cached(sql::DATABASE_WRITE)?.execute((
                database.database_id,
                &database.fingerprint,
                database.epoch,
                database.in_doubt_before,
                database.raising,
                &database.place,
            ))?;
            Ok(())
        })
        .await
    }

    /// The agent works at `now`, or ends in order.
    pub async fn remember_alive(&self, database_id: i64, now: i64, stopped: bool) -> Result<()> {
        self.transaction(move |tx| {
            tx.prepare_cached(sql::DATABASE_ALIVE)?.execute((database_id, now, stopped))?;
            Ok(())
        })
        .await
    }

    /// The database went back: the `C_ID`s that it gives now are given a second time.
    pub async fn begin_another_life(&self, database_id: i64, now: i64) -> Result<()> {
        self.transaction(move |tx| {
            for point_id in points(tx, database_id)? {
                tx.prepare_cached(sql::LANE_TAIL_RETIRE)?.execute((point_id, now))?;
            }
            Ok(())
        })
        .await
    }

    /// What is open may have been posted by a life that this journal does not remember.
    pub async fn doubt_open(&self, database_id: i64) -> Result<()> {
        self.transaction(move |tx| {
            for point_id in points(tx, database_id)? {
                tx.prepare_cached(sql::MESSAGE_DOUBT)?.execute([point_id])?;
            }
            Ok(())
        })
        .await
    }

    /// The agents of a database as they were last seen.
    pub async fn known_hosts(&self, database_id: i64) -> Result<Vec<KnownHost>> {
        self.query(move |connection| {
            let mut statement = connection.prepare_cached(sql::SITE_HOST_READ)?;
            let hosts = statement.query_map([database_id], |row| {
                Ok(KnownHost {
                    journal_id: row.get(0)?,
                    fingerprint: row.get(1)?,
                    epoch: row.get(2)?,
                    heartbeat_at: row.get(3)?,
                })
            })?;
            hosts.collect()
        })
        .await
    }

    /// The agents that are in a database now, in place of those that were.
    pub async fn remember_hosts(&self, database_id: i64, hosts: Vec<KnownHost>) -> Result<()> {
        self.transaction(move |tx| {
            tx.prepare_cached(sql::SITE_HOST_FORGET)?.execute([database_id])?;
            let mut insert = tx.prepare_cached(sql::SITE_HOST_INSERT)?;
            for host in &hosts {
                let KnownHost { journal_id, fingerprint, epoch, heartbeat_at } = host;
                insert.execute((database_id, journal_id, fingerprint, epoch, heartbeat_at))?;
            }
            Ok(())
        })
        .await
    }
}

fn points(tx: &Transaction<'_>, database_id: i64) -> Result<Vec<i64>> {
    let mut statement = tx.prepare_cached(sql::POINT_OF_DATABASE)?;
    let points = statement.query_map([database_id], |row| row.get(0))?;
    Ok(points.collect::<rusqlite::Result<_>>()?)
}
