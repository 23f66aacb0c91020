//! Why a message failed, in words that a DBA can act on: a stable code, the text, the remedy.

use std::borrow::Cow;

/// The reason of a failed message. `code` is stable for ever; `text` says what is wrong and where;
/// `remedy` says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Cow<'static, str>,
    pub text: String,
    pub remedy: Cow<'static, str>,
}

impl Failure {
    pub fn new(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code: code.as_str().into(), text: text.into(), remedy: code.remedy().into() }
    }

    /// ION answered with a status that means "this document, never" (design.md §5, class reject).
    pub fn rejected(http_status: u16, answer_text: &str) -> Self {
        let said = if answer_text.is_empty() { "no text" } else { answer_text };
        Self {
            code: format!("HTTP_{http_status}").into(),
            text: format!("ION refused the document with HTTP {http_status}: {said}"),
            remedy: "Mend what ION names in the row (or in ION), then resubmit.".into(),
        }
    }
}

macro_rules! failure_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $remedy:literal;)*) => {
        /// The codes of failures that the agent itself finds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FailureCode { $($(#[$doc])* $name),* }

        impl FailureCode {
            pub const ALL: &[Self] = &[$(Self::$name),*];
            /// The stable code, UPPER_SNAKE.
            pub fn as_str(self) -> &'static str { match self { $(Self::$name => $code),* } }
            /// What a DBA does about it.
            pub fn remedy(self) -> &'static str { match self { $(Self::$name => $remedy),* } }
        }
    };
}

failure_codes! {
    EmptyPayload = "EMPTY_PAYLOAD", "Fill C_XML with the document.";
    NotXml = "NOT_XML", "Write the document as XML into C_XML.";
    XmlCutOff = "XML_CUT_OFF", "The document ends too early: look for a column or variable that is too short in the application, write the whole document.";
    XmlMalformed = "XML_MALFORMED", "Mend the document at the given position.";
    DtdNotAllowed = "DTD_NOT_ALLOWED", "Leave out the DOCTYPE and entity declarations: BODs have none.";
    NotUtf8 = "NOT_UTF8", "Write the document as UTF-8 bytes (not the server's code page).";
    TwoNounTypes = "TWO_NOUN_TYPES", "Send each noun in a document of its own.";
    RootMismatch = "ROOT_MISMATCH", "The root element must be verb and noun written together, as in SyncSalesOrder, and hold that verb and that noun. Mend the document.";
    BodTypeContradicts = "BODTYPE_CONTRADICTS", "Make the header BODType and the document agree (Verb.Noun).";
    HeaderContradicts = "HEADER_CONTRADICTS", "Make the named header and the document agree, or leave the header out.";
    HeaderInvalid = "HEADER_INVALID", "Correct the named header's value.";
    HeaderMissing = "HEADER_MISSING", "Insert the named header into COR_OUTBOX_HEADERS in the same transaction as the entry.";
    NoHeaders = "NO_HEADERS", "Insert the headers into COR_OUTBOX_HEADERS in the same transaction as the entry (TenantId, MessageId, BODType, FromLogicalId, ToLogicalId).";
    ForeignNamespace = "FOREIGN_NAMESPACE", "Use the namespace that bodrelay_document.namespace gives for this type, or set that column to the document's namespace (NULL: any).";
    LogicalIdMalformed = "LOGICAL_ID_MALFORMED", "A logical id reads lid://provider.product.instance, at most 250 characters; lid://default only as the receiver. Correct it.";
    DoesNotInflate = "DOES_NOT_INFLATE", "The header Compression says DEFLATE, but C_XML does not inflate: leave the header out or write deflated bytes.";
    TooLarge = "TOO_LARGE", "Split the document into a batch of smaller ones (BatchId, BatchSequence, BatchSize), or raise max_document_bytes if ION accepts more for your tenant.";
    IdTooLong = "ID_TOO_LONG", "Shorten the named id to the length that ION allows.";
    TooManyCustomHeaders = "TOO_MANY_CUSTOM_HEADERS", "ION takes three Custom_ headers at most and drops the rest without a word: remove the others.";
    MessageIdReused = "MESSAGE_ID_REUSED", "Give the row a MessageId of its own, or leave the header out (the agent then derives one).";
    ForThisDocumentOnly = "FOR_THIS_DOCUMENT_ONLY", "Other documents pass, this one does not: look up the answer's text in ION, mend the row or ION, then resubmit.";
    InDoubt = "IN_DOUBT", "ION may have this document: look for its message id in ION (Message Tracking). If it is there, discard the message; if not, resubmit it.";
    RowUnreadable = "ROW_UNREADABLE", "Write C_XML and the headers of the row anew, with letters of the database's encoding.";
}
