//! What is remarkable about a document that is admitted: it is sent (or fails) all the same, and somebody should know.

use super::Outbound;
use crate::domain::failure::FailureCode;
use crate::domain::notice::{Notice, Severity};
use crate::domain::waiting::PointNumber;
use crate::journal::{Change, Record};

/// Documents of which the last variation id is remembered.
const VARIATIONS: usize = 20_000;
/// Receivers that are remembered; more are not said to be new.
const RECEIVERS: usize = 5_000;
const FIRST_DAY_MS: i64 = 86_400_000;
/// ION finds the receivers by itself.
const DEFAULT_RECEIVER: &str = "lid://default";

impl Outbound {
    /// Looks at a message that has just come into the journal.
    pub(super) fn remark(&mut self, number: PointNumber, record: &Record, again: bool) {
        self.remark_failure(number, record);
        if record.is_resend() {
            return;
        }
        if record.late {
            let was = match self.point(number).was_ordered_otherwise(&record.document_type, record.entry_id) {
                true => "may have been sent while another order_by applied",
                false => "had been sent",
            };
            let (came, remedy) = match again {
                true => (
                    "had failed and was set from 9 to 0",
                    "Whoever set it asked for that. The command 'resubmit' leaves out what a later version has overtaken.",
                ),
                false => (
                    "came",
                    "It was committed when the later row was there already; or its C_ID was taken more than ten minutes \
                     before (a sequence with CACHE). The application should write the versions of a document one after \
                     the other, each in a transaction of its own, or receivers go by the variation id.",
                ),
            };
            let text = format!(
                "C_ID {} {came} after a later row of the same document ({}) {was}: receivers get the older version last",
                record.entry_id,
                record.facts.document_id.as_deref().unwrap_or("without an id")
            );
            self.happened(number, "ROW_COMMITTED_LATE", &record.document_type, text, remedy);
        }
        self.remark_variation(number, record);
        self.remark_receiver(number, record);
    }

    fn remark_failure(&mut self, number: PointNumber, record: &Record) {
        let Some(failure) = &record.failure else { return };
        let is = |code: FailureCode| failure.code == code.as_str();
        let (code, remedy) = if is(FailureCode::NoHeaders) {
            (
                "ROWS_WITHOUT_HEADERS",
                "The application must write the rows of COR_OUTBOX_HEADERS in the transaction of the entry. If they come \
                 later still, raise headers_grace_seconds.",
            )
        } else if is(FailureCode::MessageIdReused) {
            (
                "MESSAGE_IDS_REUSED",
                "The application must give each entry a MessageId of its own, or none: then one is derived.",
            )
        } else {
            return;
        };
        let text = format!("C_ID {}: {}", record.entry_id, failure.text);
        self.happened(number, code, &record.document_type, text, remedy);
    }

    /// Receivers drop what has a lower variation id than what they have (spec/bod.md §3).
    fn remark_variation(&mut self, number: PointNumber, record: &Record) {
        let Some(variation) = record.facts.variation_id else { return };
        let point = self.point(number);
        if point.variations.len() >= VARIATIONS {
            point.variations.clear();
        }
        let before = point.variations.insert(record.lane, variation);
        let Some(before) = before.filter(|before| variation < *before) else { return };
        self.happened(
            number,
            "VARIATION_GOES_DOWN",
            &record.document_type,
            format!(
                "C_ID {}: variation id {variation} comes after {before} of the same document ({}): receivers drop it \
                 as old",
                record.entry_id,
                record.facts.document_id.as_deref().unwrap_or("without an id")
            ),
            "The application must count up. Was its database restored, or do two of them write the same documents?",
        );
    }

    /// A typing error in ToLogicalId is a document that nobody gets.
    fn remark_receiver(&mut self, number: PointNumber, record: &Record) {
        let Some(receiver) = &record.facts.to_logical_id else { return };
        let now = self.now();
        let point = self.point(number);
        let known = &mut point.receivers;
        if receiver == DEFAULT_RECEIVER || known.len() >= RECEIVERS || known.contains(receiver) {
            return;
        }
        let nearest = known.iter().find(|it| it.trim().eq_ignore_ascii_case(receiver.trim())).cloned();
        // On the first day of a connection point, every receiver is new.
        let is_settled = point.receivers_since.get_or_insert(now).saturating_add(FIRST_DAY_MS) <= now;
        point.receivers.insert(receiver.clone());
        let change = Change::Receiver { point_id: point.point_id, logical_id: receiver.clone() };
        self.queue(change, super::Then::Nothing);
        if is_settled {
            let near = match nearest {
                Some(near) => format!("; '{near}', which was used before, differs in case or blanks only"),
                None => String::new(),
            };
            self.happened(
                number,
                "RECEIVER_NEW",
                receiver,
                format!("C_ID {} is the first document to {receiver}{near}", record.entry_id),
                "Nothing, if this is a new receiver. ION delivers to a logical id that nobody has to nobody: look it \
                 up in ION Desk, and correct ToLogicalId in the application if it is misspelt.",
            );
        }
    }

    fn happened(
        &mut self,
        number: PointNumber,
        code: &'static str,
        subject: &str,
        text: String,
        remedy: &'static str,
    ) {
        let name = self.point(number).name().to_owned();
        self.remarks.insert(
            (code, number, subject.to_owned()),
            Notice::new(code, Severity::Warning, Some(&name), subject).says(text, remedy),
        );
    }
}
