//! Composes a ConfirmBOD: what tells ION that a received document could not be processed (spec/bod.md §8).
//!
//! It is ASCII (letters beyond it are written as character references), so that every column of an outbox takes it as it
//! is. What the original says of itself goes along, and the original itself, as base64, where there is room for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};

use super::envelope::Envelope;

/// The namespace of Infor's documents.
const NAMESPACE: &str = "http://schema.infor.com/InforOAGIS/2";
/// ION shows no more of a description.
const DESCRIPTION_CHARS: usize = 2_000;
/// The longest BODID.
const BOD_ID_CHARS: usize = 255;

/// What a ConfirmBOD says.
#[derive(Debug, Clone, Copy)]
pub struct Confirm<'a> {
    /// Tenant and logical id of the connection point that received the original.
    pub tenant_id: &'a str,
    pub logical_id: &'a str,
    pub created_at: DateTime<Utc>,
    /// Tells several confirms of one document apart.
    pub sequence: i64,
    pub reason: &'a str,
    pub reason_code: Option<&'a str>,
    pub original: Original<'a>,
    /// Bytes that the ConfirmBOD may have.
    pub max_bytes: usize,
}

/// The document that failed, as the inbox has it.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    pub document: &'a [u8],
    /// `None`: it cannot be read as a BOD.
    pub envelope: Option<&'a Envelope>,
    /// `Verb.Noun` and the ids of its headers.
    pub bod_type: Option<&'a str>,
    pub message_id: Option<&'a str>,
    pub document_id: Option<&'a str>,
    pub accounting_entity: Option<&'a str>,
    pub location: Option<&'a str>,
    pub revision_id: Option<&'a str>,
}

/// The document, and whether the original is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    pub document: String,
    pub holds_original: bool,
}

/// Writes the document; the original is left out where it would not fit.
pub fn compose(confirm: &Confirm<'_>) -> Composed {
    let content = STANDARD.encode(confirm.original.document);
    let whole = write(confirm, Some(&content));
    if whole.len() <= confirm.max_bytes {
        return Composed { document: whole, holds_original: true };
    }
    Composed { document: write(confirm, None), holds_original: false }
}

fn write(confirm: &Confirm<'_>, content: Option<&str>) -> String {
    let Confirm { tenant_id, logical_id, created_at, original, .. } = *confirm;
    let mut xml = Xml::default();
    xml.text += &format!("<ConfirmBOD xmlns=\"{NAMESPACE}\" releaseID=\"9.2\" versionID=\"9.2\">");
    xml.within("ApplicationArea", |xml| {
        xml.within("Sender", |xml| {
            xml.element("LogicalID", logical_id);
            xml.element("ConfirmationCode", "OnError");
        });
        xml.element("CreationDateTime", &created_at.to_rfc3339_opts(SecondsFormat::Millis, true));
        xml.element("BODID", &bod_id(confirm));
    });
    xml.within("DataArea", |xml| {
        xml.within("Confirm", |xml| {
            xml.element("TenantID", tenant_id);
            xml.element_if("AccountingEntityID", original.accounting_entity);
            xml.element_if("LocationID", original.location);
            if let Some(envelope) = original.envelope.filter(|it| it.has_application_area) {
                xml.within("OriginalApplicationArea", |xml| original_area(xml, envelope));
            }
            xml.within("ResponseCriteria", |xml| {
                xml.text += "<ResponseExpression actionCode=\"Rejected\"/>";
            });
        });
        xml.within("BOD", |xml| body(xml, confirm, content));
    });
    xml.text += "</ConfirmBOD>";
    xml.text
}

fn original_area(xml: &mut Xml, envelope: &Envelope) {
    if envelope.sender_logical_id.is_some() {
        xml.within("Sender", |xml| xml.element_if("LogicalID", envelope.sender_logical_id.as_deref()));
    }
    xml.element_if("CreationDateTime", envelope.creation_date_time.as_deref());
    xml.element_if("BODID", envelope.bod_id.as_deref());
}

fn body(xml: &mut Xml, confirm: &Confirm<'_>, content: Option<&str>) {
    let Confirm { reason, reason_code, original, .. } = *confirm;
    xml.within("BODFailureMessage", |xml| {
        xml.within("ErrorProcessMessage", |xml| {
            let description: String = reason.chars().take(DESCRIPTION_CHARS).collect();
            xml.element("Description", &description);
            xml.element("Type", "Application");
            xml.element_if("ReasonCode", reason_code);
        });
    });
    xml.within("OriginalBOD", |xml| {
        xml.within("MessageHeader", |xml| {
            xml.element_if("BODType", original.bod_type);
            xml.element_if("MessageId", original.message_id);
            xml.element("ToLogicalId", confirm.logical_id);
        });
        if let Some(content) = content {
            xml.text += "<MessageContent><![CDATA[";
            xml.text += content;
            xml.text += "]]></MessageContent>";
        }
    });
}

/// That of the original with `?BOD&verb=Confirm&sequence=`; without an identity, or too long for ION, an opaque one.
fn bod_id(confirm: &Confirm<'_>) -> String {
    let Confirm { tenant_id, original, sequence, .. } = *confirm;
    let part = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let own = format!(
        "infor-nid:{tenant_id}:{}:{}:{}:{}?BOD&verb=Confirm&sequence={sequence}",
        part(original.accounting_entity),
        part(original.location),
        part(original.document_id),
        part(original.revision_id),
    );
    match original.document_id {
        Some(_) if own.chars().count() <= BOD_ID_CHARS => own,
        _ => format!("bodrelay-confirm:{}:{sequence}", confirm.created_at.timestamp_millis()),
    }
}

#[derive(Default)]
struct Xml {
    text: String,
}

impl Xml {
    fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.text += &format!("<{name}>");
        content(self);
        self.text += &format!("</{name}>");
    }

    fn element(&mut self, name: &str, value: &str) {
        self.within(name, |xml| xml.escape(value));
    }

    fn element_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.element(name, value);
        }
    }

    fn escape(&mut self, value: &str) {
        for letter in value.chars() {
            match letter {
                '&' => self.text += "&amp;",
                '<' => self.text += "&lt;",
                '>' => self.text += "&gt;",
                '\r' => self.text += "&#13;",
                '\t' | '\n' | ' '..='~' => self.text.push(letter),
                // XML has no other control characters, not even as references.
                '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => self.text.push('?'),
                other => self.text += &format!("&#{};", u32::from(other)),
            }
        }
    }
}
