//! What the rows of `bodrelay_host` tell of a database's past: it goes on, it went back, or it is a copy of another one.
//!
//! This agent's own row is the thread. Where it stands as this agent left it, the database is the one it was, whoever
//! has joined it since. Where it went back or is gone, a restore brings nothing that this agent has not seen; a row
//! that it never saw, or not so new, comes from another database's life, whatever file or number this one has.

use crate::database::HostRow;
use crate::journal::{KnownDatabase, KnownHost};

/// What a database's rows of agents say, compared with what the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Past {
    /// Neither this journal nor this host was ever here.
    New,
    /// It is as this agent left it.
    Continues,
    /// This agent's row is older than it was, or gone.
    WentBack,
    /// This agent's row is newer than the journal; its heartbeat.
    JournalWentBack { heartbeat_at: i64 },
    /// This host was here with a journal that is no more; its heartbeat.
    JournalLost { heartbeat_at: i64 },
    /// It is another database than the one that this agent served; how that one is known.
    Copied { known: String },
}

/// What this agent brings along.
pub(super) struct Own<'a> {
    pub known: &'a KnownDatabase,
    /// The other agents as they were last seen, while the own row was among them.
    pub seen: &'a [KnownHost],
    pub journal_id: &'a str,
    pub host: &'a str,
    /// Whether a journal was this agent's, before this one.
    pub has_been: &'a dyn Fn(&str) -> bool,
}

impl Own<'_> {
    pub fn row<'a>(&self, hosts: &'a [HostRow]) -> Option<&'a HostRow> {
        hosts.iter().find(|row| row.journal_id == self.journal_id)
    }

    /// `fingerprint`: as the database has it now.
    pub fn past(&self, fingerprint: &str, hosts: &[HostRow]) -> Past {
        if self.known.fingerprint != fingerprint {
            return Past::Copied { known: self.known.fingerprint.clone() };
        }
        let is_new = self.known.epoch == 0;
        let mine = self.row(hosts);
        match mine {
            Some(row) if [Some(self.known.epoch), self.known.raising].contains(&Some(row.epoch)) => {
                return Past::Continues;
            }
            Some(row) if row.epoch > self.known.epoch => {
                return Past::JournalWentBack { heartbeat_at: row.heartbeat_at.timestamp_millis() };
            }
            Some(_) | None => {}
        }
        let is_foreign = |row: &&HostRow| row.database_fingerprint != fingerprint;
        let strange = match (is_new, mine) {
            (true, _) => hosts.iter().find(is_foreign),
            // An agent may have come and gone since; not one that served another database.
            (false, Some(mine)) => hosts
                .iter()
                .filter(|row| row.journal_id != mine.journal_id && !self.has_seen(row, fingerprint))
                .find(is_foreign),
            (false, None) => hosts.iter().find(|row| {
                !self.has_seen(row, fingerprint) && (is_foreign(row) || !(self.has_been)(&row.journal_id))
            }),
        };
        if let Some(row) = strange {
            let known = format!(
                "host {} with journal {} served it as {}",
                row.host, row.journal_id, row.database_fingerprint
            );
            return Past::Copied { known };
        }
        self.later(hosts)
    }

    /// The same, where a DBA has said that this database is meant, whatever it was.
    pub fn past_of_accepted(&self, hosts: &[HostRow]) -> Past {
        match self.row(hosts) {
            Some(row) if row.epoch > self.known.epoch => {
                Past::JournalWentBack { heartbeat_at: row.heartbeat_at.timestamp_millis() }
            }
            Some(row) if row.epoch == self.known.epoch => Past::Continues,
            Some(_) => Past::WentBack,
            None => self.later(hosts),
        }
    }

    fn later(&self, hosts: &[HostRow]) -> Past {
        let is_new = self.known.epoch == 0;
        let predecessor = |row: &&HostRow| match is_new {
            true => row.host == self.host,
            false => row.journal_id != self.journal_id && (self.has_been)(&row.journal_id),
        };
        let heartbeat = hosts.iter().filter(predecessor).map(|row| row.heartbeat_at.timestamp_millis()).max();
        match (self.row(hosts), heartbeat) {
            (None, Some(heartbeat_at)) if is_new => Past::JournalLost { heartbeat_at },
            // An earlier journal was put back after a later one had been begun.
            (None, Some(heartbeat_at)) => Past::JournalWentBack { heartbeat_at },
            (None, None) if is_new => Past::New,
            (Some(_), _) if is_new => Past::Continues,
            _ => Past::WentBack,
        }
    }

    /// The journal saw this row, as it is or newer: a restore may bring it back.
    fn has_seen(&self, row: &HostRow, fingerprint: &str) -> bool {
        self.seen.iter().any(|seen| {
            seen.journal_id == row.journal_id
                && seen.fingerprint == row.database_fingerprint
                && seen.epoch >= row.epoch
                // One that serves another database lives on there, and its heartbeat with it.
                && (row.database_fingerprint == fingerprint
                    || seen.heartbeat_at >= row.heartbeat_at.timestamp_millis())
        })
    }
}

/// Rows as the journal keeps them, without this agent's own.
pub(super) fn others(hosts: &[HostRow], journal_id: &str) -> Vec<KnownHost> {
    hosts
        .iter()
        .filter(|row| row.journal_id != journal_id)
        .map(|row| KnownHost {
            journal_id: row.journal_id.clone(),
            fingerprint: row.database_fingerprint.clone(),
            epoch: row.epoch,
            heartbeat_at: row.heartbeat_at.timestamp_millis(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn row(host: &str, journal_id: &str, fingerprint: &str, epoch: i64, heartbeat: i64) -> HostRow {
        let at = DateTime::<Utc>::from_timestamp_millis(heartbeat).unwrap();
        HostRow {
            host: host.into(),
            location_name: "PLANT1".into(),
            journal_id: journal_id.into(),
            database_fingerprint: fingerprint.into(),
            epoch,
            agent_version: "0".into(),
            script_needed: 1,
            operating_system: "linux".into(),
            process_id: 1,
            state: "running".into(),
            refused_reason: None,
            started_at: at,
            heartbeat_at: at,
            alive_at: at,
        }
    }

    fn known(epoch: i64, raising: Option<i64>) -> KnownDatabase {
        KnownDatabase {
            database_id: 1,
            fingerprint: "test".into(),
            epoch,
            in_doubt_before: None,
            raising,
            alive_at: None,
            stopped: false,
            place: None,
        }
    }

    fn past(known: &KnownDatabase, seen: &[HostRow], hosts: &[HostRow]) -> Past {
        let seen = others(seen, "J");
        let own =
            Own { known, seen: &seen, journal_id: "J", host: "h", has_been: &|id| ["J", "J2"].contains(&id) };
        own.past("test", hosts)
    }

    fn is_copy(past: &Past) -> bool {
        matches!(past, Past::Copied { .. })
    }

    #[test]
    fn its_own_row_tells() {
        let at = |epoch| [row("h", "J", "test", epoch, 5)];
        assert_eq!(past(&known(0, None), &[], &[]), Past::New);
        assert_eq!(past(&known(7, None), &[], &at(7)), Past::Continues);
        assert_eq!(past(&known(7, Some(8)), &[], &at(7)), Past::Continues, "the raise did not arrive");
        assert_eq!(past(&known(7, Some(8)), &[], &at(8)), Past::Continues, "it did");
        assert_eq!(past(&known(0, Some(1)), &[], &at(1)), Past::Continues, "so did the first one");
        assert_eq!(past(&known(0, Some(1)), &[], &[]), Past::New);
        assert_eq!(
            past(&known(0, None), &[], &at(1)),
            Past::JournalWentBack { heartbeat_at: 5 },
            "a marked copy"
        );
        assert_eq!(past(&known(7, None), &[], &at(6)), Past::WentBack, "by one");
        assert_eq!(past(&known(7, Some(8)), &[], &at(6)), Past::WentBack);
        assert_eq!(past(&known(7, None), &[], &[]), Past::WentBack, "to before it came");
        assert_eq!(past(&known(7, None), &[], &at(9)), Past::JournalWentBack { heartbeat_at: 5 });
        assert_eq!(
            past(&known(0, None), &[], &[row("h", "X", "test", 3, 9)]),
            Past::JournalLost { heartbeat_at: 9 }
        );
        let later = [row("h", "J2", "test", 3, 9)];
        assert_eq!(past(&known(7, None), &[], &later), Past::JournalWentBack { heartbeat_at: 9 });
    }

    #[test]
    fn what_it_never_saw_is_a_copy() {
        let production = [row("p", "P", "production", 40, 100)];
        assert!(is_copy(&past(&known(7, None), &[], &production)), "restored over it");
        assert!(is_copy(&past(&known(0, None), &[], &production)), "met for the first time");
        // The same number and file: what a base backup keeps.
        assert!(is_copy(&past(&known(7, None), &[], &[row("p", "P", "test", 40, 100)])));
        assert!(
            is_copy(&past(&known(7, None), &[], &[row("h", "P", "test", 40, 100)])),
            "with the same host name"
        );
        // Accepted once, its row stays: it is no copy for that, but the next one is.
        let mut accepted = production.to_vec();
        accepted.push(row("h", "J", "test", 8, 200));
        assert_eq!(past(&known(8, None), &[], &accepted), Past::Continues);
        let next = [row("p", "P", "production", 40, 300)];
        assert!(is_copy(&past(&known(8, None), &accepted, &next)), "its heartbeat went on elsewhere");
        let next = [row("p", "P", "production", 55, 300)];
        assert!(is_copy(&past(&known(8, None), &accepted, &next)));
        // Production was once made from this one, and still has its row.
        let promoted = [row("h", "J", "test", 2, 10), row("p", "P", "production", 40, 100)];
        assert!(is_copy(&past(&known(8, None), &[], &promoted)));
    }

    #[test]
    fn other_agents_of_the_same_database_are_no_copy() {
        let second = row("h2", "S", "test", 4, 50);
        let mine = row("h", "J", "test", 7, 60);
        assert_eq!(past(&known(7, None), &[], &[mine.clone(), second.clone()]), Past::Continues);
        // By another name of the server, where the server does not say its number.
        let named = row("h2", "S", "other name", 4, 50);
        assert_eq!(past(&known(7, None), &[], &[mine.clone(), named.clone()]), Past::Continues);
        // Restored while both were there, to before this one came, and to before an agent went that this one never met.
        let seen = [row("h2", "S", "test", 6, 90), mine.clone()];
        let back = [row("h", "J", "test", 5, 40), second.clone()];
        assert_eq!(past(&known(7, None), &seen, &back), Past::WentBack);
        assert_eq!(past(&known(7, None), &seen, std::slice::from_ref(&second)), Past::WentBack);
        let back = [row("h", "J", "test", 5, 40), row("h3", "T", "test", 2, 1)];
        assert_eq!(past(&known(7, None), &seen, &back), Past::WentBack);
        let seen = [row("h2", "S", "other name", 6, 90), mine];
        let back = [row("h", "J", "test", 5, 40), named];
        assert_eq!(past(&known(7, None), &seen, &back), Past::WentBack);
    }
}
