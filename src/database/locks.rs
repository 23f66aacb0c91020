//! A lock behind a claim that another session holds: whose it is, and what follows.
//!
//! The claim in `bodrelay_status` decides who sends. The lock only adds what that cannot tell: a living copy of this
//! agent's journal, which the table takes for the agent itself. Its name has the journal's number in it, so that nobody
//! else comes to hold it by accident, and nobody can who may not read the control tables.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The name of the lock behind a claim.
pub(super) fn owned(journal_id: &str, connection_point: &str, direction: &str) -> String {
    format!("bodrelay {journal_id} {connection_point} {direction}")
}

/// The session that holds a lock, as the server describes it.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub session: i64,
    /// Session, login, program and where it comes from.
    pub said: String,
    pub has_our_login: bool,
    /// It comes from the network address that we come from.
    pub comes_from_here: bool,
}

/// How it stands with the lock of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lock {
    Ours,
    /// A dead session of ours still has it, or somebody who has no business with it (who is named): the claim stands
    /// without it.
    Without(Option<String>),
    /// Another agent of this journal may be alive: the claim stands only when that one is silent for as long as any other
    /// owner.
    Copy(String),
}

/// Sessions of this process that took such a lock: the server may not have noticed yet that one of them is dead.
#[derive(Debug, Default)]
pub(super) struct Lockers(Mutex<HashSet<i64>>);

impl Lockers {
    pub fn add(&self, session: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session);
    }

    /// What follows from who holds it; `None`: the server does not say.
    pub fn judge(&self, holder: Option<Holder>) -> Lock {
        let Some(holder) = holder else {
            return Lock::Copy("a session that the server does not name".into());
        };
        let was_ours = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&holder.session);
        if !holder.has_our_login {
            Lock::Without(Some(holder.said))
        } else if was_ours || holder.comes_from_here {
            // Two machines that live cannot have one address: it is a life before this one.
            Lock::Without(None)
        } else {
            Lock::Copy(holder.said)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_living_copy_stands_in_the_way() {
        let lockers = Lockers::default();
        let holder = |session, has_our_login, comes_from_here| {
            Some(Holder { session, said: format!("session {session}"), has_our_login, comes_from_here })
        };
        lockers.add(7);
        assert_eq!(lockers.judge(holder(7, true, false)), Lock::Without(None), "it was ours");
        assert_eq!(lockers.judge(holder(8, true, true)), Lock::Without(None), "a former life");
        assert_eq!(lockers.judge(holder(8, true, false)), Lock::Copy("session 8".into()));
        assert_eq!(
            lockers.judge(holder(8, false, true)),
            Lock::Without(Some("session 8".into())),
            "a stranger"
        );
        assert!(matches!(lockers.judge(None), Lock::Copy(_)), "unknown is not good");
    }
}
