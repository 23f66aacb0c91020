//! The headers of an entry, looked up by the keys that ION knows (spec/iobox.md §3).
//!
//! Keys are compared exactly; one that differs only in case is taken as meant and warned of. Values are taken
//! without blanks at their ends (fixed-width columns pad them), and what is empty then counts as absent.

use super::wellformed::shown;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::message::{Entry, Warning};

/// Without these ION makes a ConfirmBOD of a message instead of sending it.
const REQUIRED: [&str; 4] = ["TenantId", "BODType", "FromLogicalId", "ToLogicalId"];

/// Keys that have a meaning here, as ION spells them.
const USED: [&str; 19] = [
    "TenantId",
    "MessageId",
    "BODType",
    "FromLogicalId",
    "ToLogicalId",
    "DocumentId",
    "AccountingEntity",
    "Location",
    "RevisionId",
    "VariationId",
    "BatchId",
    "BatchSequence",
    "BatchSize",
    "BatchRevision",
    "BatchAbortIndicator",
    "Compression",
    "Instances",
    "Source",
    SOURCE_PUBLICATION_DATE,
];

/// The docs and the JSON field disagree about its spelling; both are taken.
pub(super) const SOURCE_PUBLICATION_DATE: &str = "SourcePublicationDate";

/// Keys of the I/O Box that say nothing to IMS.
const UNSENT: [&str; 7] =
    ["CreationDateTime", "Priority", "Encoding", "ReferenceId", "Text", "BODId", "TargetLogicalId"];

const CUSTOM_PREFIX: &str = "Custom_";

/// The headers of one entry.
pub(super) struct Headers<'e> {
    values: Vec<(&'static str, &'e str)>,
    /// Name after `Custom_`, and value.
    pub custom: Vec<(&'e str, &'e str)>,
    /// The first key that is there twice with different values.
    pub flaw: Option<Failure>,
}

impl<'e> Headers<'e> {
    pub fn of(entry: &'e Entry, warnings: &mut Vec<Warning>) -> Self {
        Self::of_pairs(&entry.headers, warnings)
    }

    pub fn of_pairs(pairs: &'e [(String, String)], warnings: &mut Vec<Warning>) -> Self {
        let mut headers = Self { values: Vec::with_capacity(pairs.len()), custom: Vec::new(), flaw: None };
        for (raw_key, raw_value) in pairs {
            let (key, value) = (raw_key.trim(), raw_value.trim());
            if value.is_empty() {
                continue;
            }
            if value.len() != raw_value.len() || key.len() != raw_key.len() {
                let text = format!("the header {} has blanks around its key or value; not sent", shown(key));
                warnings.push(Warning { code: "HEADER_BLANKS", text });
            }
            headers.take(key, value, warnings);
        }
        headers
    }

    fn take(&mut self, key: &'e str, value: &'e str, warnings: &mut Vec<Warning>) {
        let meant = if key == "Source Publication Date" { SOURCE_PUBLICATION_DATE } else { key };
        let mut warn_of_case = |right: &str| {
            let text = format!("the header {} is taken as {right}; keys are compared exactly", shown(key));
            warnings.push(Warning { code: "HEADER_KEY_CASE", text });
        };
        if let Some(used) = USED.iter().find(|used| used.eq_ignore_ascii_case(meant)) {
            if *used != meant {
                warn_of_case(used);
            }
            let earlier = self.values.iter().find(|(known, _)| known == used).map(|(_, earlier)| *earlier);
            match earlier {
                Some(earlier) if earlier != value => self.note_double(key, earlier, value),
                Some(_) => {}
                None => self.values.push((used, value)),
            }
        } else if let Some((_, name)) = split_custom(key) {
            if !key.starts_with(CUSTOM_PREFIX) {
                warn_of_case(&format!("{CUSTOM_PREFIX}{}", shown(name)));
            }
            match self.custom.iter().find(|(known, _)| *known == name).map(|(_, earlier)| *earlier) {
                Some(earlier) if earlier != value => self.note_double(key, earlier, value),
                Some(_) => {}
                None => self.custom.push((name, value)),
            }
        } else if !UNSENT.iter().any(|unsent| unsent.eq_ignore_ascii_case(key)) {
            let text = format!("the header {} is none that ION knows; it is not sent", shown(key));
            warnings.push(Warning { code: "HEADER_NOT_SENT", text });
        }
    }

    fn note_double(&mut self, key: &str, earlier: &str, value: &str) {
        self.flaw.get_or_insert_with(|| {
            let (key, earlier, value) = (shown(key), shown(earlier), shown(value));
            let text = format!("the header {key} is there twice, as '{earlier}' and as '{value}'");
            Failure::new(FailureCode::HeaderInvalid, text)
        });
    }

    pub fn get(&self, key: &str) -> Option<&'e str> {
        self.values.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    /// A header that holds a number of 64 bits.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Failure> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| invalid(key, value, "a whole number of 64 bits"))
    }

    /// `Instances`, a number of 32 bits.
    pub fn instances(&self) -> Result<Option<i64>, Failure> {
        let Some(value) = self.get("Instances") else { return Ok(None) };
        let number: Result<i32, _> = value.parse();
        number.map(|number| Some(number.into())).map_err(|_| invalid("Instances", value, "a whole number"))
    }

    /// A header that says yes or no.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(value) if value == "1" || value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value == "0" || value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(invalid(key, value, "true, false, 1 or 0")),
        }
    }

    /// Required headers that are not there.
    pub fn missing(&self) -> Vec<&'static str> {
        REQUIRED.into_iter().filter(|key| self.get(key).is_none()).collect()
    }
}

fn split_custom(key: &str) -> Option<(&str, &str)> {
    let (prefix, name) = key.split_at_checked(CUSTOM_PREFIX.len())?;
    prefix.eq_ignore_ascii_case(CUSTOM_PREFIX).then_some((prefix, name))
}

/// A header whose value cannot be what it must be.
pub(super) fn invalid(key: &str, value: &str, expected: &str) -> Failure {
    let text = format!("the header {key} holds '{}' instead of {expected}", shown(value));
    Failure::new(FailureCode::HeaderInvalid, text)
}
