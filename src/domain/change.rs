//! Row changes of one document folded into one: what the receiver is told happened since it last heard.

use std::collections::BTreeMap;

/// What happened to a document (spec/bod.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Add,
    Change,
    Replace,
    Delete,
}

impl Action {
    /// As `bodrelay_change.action_code` and `actionCode` say it, case and blanks around it aside.
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Add, Self::Change, Self::Replace, Self::Delete]
            .into_iter()
            .find(|action| action.as_str().eq_ignore_ascii_case(code.trim()))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Change => "Change",
            Self::Replace => "Replace",
            Self::Delete => "Delete",
        }
    }

    /// This one, and then another one, told as one. What was added and changed is new to the receiver; what was deleted
    /// and is there again replaces what the receiver may still have.
    pub fn then(self, next: Self) -> Self {
        match (self, next) {
            (_, Self::Delete) => Self::Delete,
            (Self::Add, Self::Add | Self::Change | Self::Replace) => Self::Add,
            (Self::Change, Self::Change) => Self::Change,
            (Self::Change, Self::Add | Self::Replace)
            | (Self::Replace | Self::Delete, Self::Add | Self::Change | Self::Replace) => Self::Replace,
        }
    }
}

/// A row of `bodrelay_change` that waits. Texts are as a trigger wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    pub change_id: i64,
    pub verb: String,
    pub noun: String,
    pub document_id: String,
    pub accounting_entity: String,
    pub document_location: String,
    pub action_code: String,
    pub priority: i64,
    /// What is wrong with a value of it that cannot be read.
    pub unreadable: Option<String>,
}

/// What names a document, and with which verb it goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub verb: String,
    pub noun: String,
    pub document_id: String,
    pub accounting_entity: String,
    pub document_location: String,
}

/// All changes of one document, as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    pub subject: Subject,
    pub action: Action,
    /// The highest of its changes.
    pub priority: u8,
    /// Lowest first; never empty.
    pub change_ids: Vec<i64>,
}

/// A change that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub change_id: i64,
    pub reason: String,
}

/// Folds changes, in the order of their ids, by document; the document whose first change is the oldest comes first.
pub fn fold(changes: &[RowChange]) -> (Vec<Folded>, Vec<Unfit>) {
    let mut sorted: Vec<&RowChange> = changes.iter().collect();
    sorted.sort_by_key(|change| change.change_id);
    let (mut folded, mut unfit): (Vec<Folded>, _) = (Vec::new(), Vec::new());
    let mut places: BTreeMap<Subject, usize> = BTreeMap::new();
    for change in sorted {
        let (action, subject) = match read(change) {
            Ok(read) => read,
            Err(reason) => {
                unfit.push(Unfit { change_id: change.change_id, reason });
                continue;
            }
        };
        let priority = u8::try_from(change.priority.clamp(0, 9)).unwrap_or_default();
        match places.get(&subject) {
            Some(place) => {
                let known = &mut folded[*place];
                known.action = known.action.then(action);
                known.priority = known.priority.max(priority);
                known.change_ids.push(change.change_id);
            }
            None => {
                places.insert(subject.clone(), folded.len());
                folded.push(Folded { subject, action, priority, change_ids: vec![change.change_id] });
            }
        }
    }
    (folded, unfit)
}

/// Ids stay as they were written: the queries compare them with the application's own, which may begin with blanks.
fn read(change: &RowChange) -> Result<(Action, Subject), String> {
    if let Some(why) = &change.unreadable {
        return Err(why.clone());
    }
    let action = Action::parse(&change.action_code).ok_or_else(|| {
        format!("action_code = '{}': write Add, Change, Replace or Delete", shown(&change.action_code))
    })?;
    let subject = Subject {
        verb: change.verb.trim().to_owned(),
        noun: change.noun.trim().to_owned(),
        document_id: change.document_id.clone(),
        accounting_entity: change.accounting_entity.clone(),
        document_location: change.document_location.clone(),
    };
    for (column, text, longest) in [
        ("document_id", &subject.document_id, 100),
        ("accounting_entity", &subject.accounting_entity, 22),
        ("document_location", &subject.document_location, 22),
    ] {
        let length = text.trim().chars().count();
        if length > longest {
            let what = format!("{column} has {length} characters, {longest} are allowed");
            return Err(format!("{what}: '{}'", shown(text)));
        }
    }
    if subject.document_id.trim().is_empty() {
        return Err("document_id is empty: nothing names the document".into());
    }
    Ok((action, subject))
}

/// A foreign text, short and on one line.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Action::{Add, Change, Delete, Replace};
    use super::*;

    fn change(change_id: i64, document_id: &str, action_code: &str) -> RowChange {
        RowChange {
            change_id,
            verb: "Sync".into(),
            noun: "SalesOrder".into(),
            document_id: document_id.into(),
            accounting_entity: String::new(),
            document_location: String::new(),
            action_code: action_code.into(),
            priority: 4,
            unreadable: None,
        }
    }

    #[test]
    fn pairs_fold() {
        for (first, next, told) in [
            (Add, Change, Add),
            (Add, Delete, Delete),
            (Delete, Add, Replace),
            (Delete, Change, Replace),
            (Replace, Delete, Delete),
            (Change, Delete, Delete),
            (Change, Change, Change),
            (Change, Replace, Replace),
            (Replace, Change, Replace),
            (Delete, Delete, Delete),
        ] {
            assert_eq!(first.then(next), told, "{first:?} then {next:?}");
        }
    }

    #[test]
    fn changes_fold_by_document_in_the_order_of_their_ids() {
        let mut rows = vec![
            change(5, " B", "replace"),
            change(2, "A", "Add"),
            change(9, "A", "Change"),
            change(3, "C", "Vanish"),
            change(4, " ", "Add"),
            change(6, &"x".repeat(101), "Add"),
        ];
        rows[2].priority = 12;
        let (folded, unfit) = fold(&rows);
        let told: Vec<_> = folded
            .iter()
            .map(|it| (it.subject.document_id.as_str(), it.action, it.change_ids.clone()))
            .collect();
        assert_eq!(told, [("A", Add, vec![2, 9]), (" B", Replace, vec![5])]);
        assert_eq!(folded[0].priority, 9);
        let reasons: Vec<_> = unfit.iter().map(|it| (it.change_id, it.reason.as_str())).collect();
        assert_eq!(reasons.len(), 3);
        assert!(reasons[0].0 == 3 && reasons[0].1.contains("Vanish"), "{reasons:?}");
        assert!(reasons[1].1.contains("empty") && reasons[2].1.contains("101 characters"), "{reasons:?}");
    }

    fn any_action() -> impl Strategy<Value = Action> {
        prop_oneof![Just(Add), Just(Change), Just(Replace), Just(Delete)]
    }

    proptest! {
        /// The last word counts, and only a document that was not there at first is told as added.
        #[test]
        fn folds_tell_the_last_word(actions in prop::collection::vec(any_action(), 1..12)) {
            let whole = actions.iter().copied().reduce(Action::then);
            prop_assert_eq!(whole == Some(Delete), actions.last() == Some(&Delete));
            prop_assert!(whole != Some(Add) || actions[0] == Add);
        }

        #[test]
        fn every_change_is_in_one_document_or_unfit(ids in prop::collection::vec(("[AB ]{0,2}", "Add|Delete|No"), 0..20)) {
            let rows: Vec<_> = ids.iter().zip(1..).map(|((id, code), n)| change(n, id, code)).collect();
            let (folded, unfit) = fold(&rows);
            let mut all: Vec<i64> = folded.iter().flat_map(|it| it.change_ids.clone()).collect();
            all.extend(unfit.iter().map(|it| it.change_id));
            all.sort_unstable();
            prop_assert_eq!(all, (1..=i64::try_from(rows.len()).unwrap()).collect::<Vec<_>>());
        }
    }
}
