//! What ION's answers to questions mean to whoever runs this: for the agent as it works, and for `check`.
//!
//! "Down" and "not active" are told apart: ping answers 503 or 412 for a data flow that is switched off. What is about
//! a credential and its address has the name of the `[[ion]]` as its subject; what is about one connection point never has
//! its logical id, which may be what has to be corrected.

use std::collections::BTreeSet;

use super::Accepted;
use crate::domain::ids::DocumentType;
use crate::domain::notice::{Notice, Severity};
use crate::domain::outcome::Answer;
use crate::domain::plan::{ConnectionPoint, ImsMethod};

/// What an answer to ping, or to a post that the whole endpoint waits for, may mean.
pub const ENDPOINT_CODES: [&str; 6] = [
    "ADDRESS_WRONG",
    "CREDENTIAL_REFUSED",
    "INACTIVE_IN_ION",
    "ION_UNREACHABLE",
    "NOT_AN_IMS_ANSWER",
    "TOKEN_REFUSED",
];
/// What may be wrong with one connection point.
pub const POINT_CODES: [&str; 4] =
    ["INACTIVE_IN_ION", "LIST_UNREADABLE", "LOGICAL_ID_REFUSED", "VERSION_NOT_SUPPORTED"];

/// A finding about one connection point, of which nothing is said yet.
pub fn of_point(point: &str, code: &'static str) -> Notice {
    Notice::new(code, Severity::Error, Some(point), "connection point")
}

/// What an answer says, in a line.
pub fn said(answer: &Answer) -> String {
    match answer {
        Answer::Http { status, is_html: true, .. } => format!("HTTP {status} with a web page"),
        Answer::Http { status, text, .. } if text.is_empty() => format!("HTTP {status}"),
        Answer::Http { status, text, .. } => {
            let text: String = text.chars().take(200).collect();
            format!("HTTP {status}: {text}")
        }
        Answer::NotConnected { .. } | Answer::NoToken { .. } | Answer::Unanswered { .. } => {
            answer.text().to_owned()
        }
    }
}

/// What an answer says of the `[[ion]]` `name`; `None`: ION is there and lets this credential in.
pub fn of_endpoint(name: &str, answer: &Answer) -> Option<Notice> {
    let finding = |code| Notice::new(code, Severity::Error, None, name);
    let said = said(answer);
    Some(match answer {
        Answer::Http { status: 300..=399, .. } | Answer::Http { status: 200..=299, is_html: true, .. } => {
            finding("NOT_AN_IMS_ANSWER").says(
                format!("the answer is a web page or a redirect ({said}): a proxy or a login page, not IMS"),
                "Check base_url (or iu in the .ionapi file) and proxy of this [[ion]].",
            )
        }
        Answer::Http { status: 200..=299, .. } => return None,
        Answer::Http { status: 412 | 503, .. } => finding("INACTIVE_IN_ION").says(
            format!("ION can be reached, but says that it is not ready: {said}"),
            "Activate the data flow or the connection point in ION Desk. This is not a network problem.",
        ),
        Answer::Http { status: 401 | 403, .. } => finding("CREDENTIAL_REFUSED").says(
            format!("a token was given, but IMS does not let it in: {said}"),
            "Check that the authorized app is active, that its service account has the scope of ION (sc in the .ionapi \
             file) and a description that is not empty, and that the API Gateway Client Id in the IMS connection point \
             is the ci of the .ionapi file.",
        ),
        Answer::Http { status: 404, .. } => finding("ADDRESS_WRONG").says(
            format!("there is no IMS at this address: {said}"),
            "Check base_url (or iu and ti in the .ionapi file): it ends in IONSERVICES/api/ion/messaging.",
        ),
        // 408 and 429 ask to come again, as an endpoint that is away does.
        Answer::NoToken { status: Some(status @ 400..=499), .. } if !matches!(status, 408 | 429) => {
            finding("TOKEN_REFUSED").says(
                said,
                "Check that the authorized app and its service account are active and the .ionapi file is the latest; \
                 a renewed secret needs a new file, which is read by itself. This machine's clock must be right.",
            )
        }
        Answer::Http { .. }
        | Answer::NoToken { .. }
        | Answer::NotConnected { .. }
        | Answer::Unanswered { .. } => away(name, &said),
    })
}

/// ION cannot be reached, or says "later".
pub fn away(name: &str, said: &str) -> Notice {
    Notice::new("ION_UNREACHABLE", Severity::Error, None, name).says(
        format!("ION cannot be reached, or does not take anything: {said}"),
        "Nothing is lost; the agent tries again by itself. If it lasts: look at name, port, proxy, firewall and \
         certificate from this machine, and at the credential where the text names it; then run 'bodrelay check'.",
    )
}

/// What the answer to the question for accepted documents says of a connection point; `None`: they are listed, or
/// nobody answered, which is said of the endpoint.
pub fn of_list(point: &ConnectionPoint, accepted: &Accepted) -> Option<Notice> {
    let finding = |code, severity| Notice { severity, ..of_point(&point.name, code) };
    let by_hand = "Compare bodrelay_document with the Documents tab of the connection point by hand.";
    match accepted {
        Accepted::Listed(_) => None,
        Accepted::Unreadable(_) => Some(finding("LIST_UNREADABLE", Severity::Info).says(
            "ION's list of accepted documents holds no document name: what it takes is unknown, not nothing",
            by_hand,
        )),
        Accepted::Refused(answer @ Answer::Http { status: 412 | 503, .. }) => {
            Some(finding("INACTIVE_IN_ION", Severity::Error).says(
                format!(
                    "ION knows no active connection point with the logical id {}: {}",
                    point.logical_id,
                    said(answer)
                ),
                "Compare logical_id with the IMS connection point in ION Desk (case counts), and activate the data \
                 flow.",
            ))
        }
        Accepted::Refused(answer @ Answer::Http { status: 401 | 403, .. }) => {
            Some(finding("LOGICAL_ID_REFUSED", Severity::Error).says(
                format!(
                    "this credential may not speak for the logical id {}: {}",
                    point.logical_id,
                    said(answer)
                ),
                "Enter the ci of the .ionapi file as the API gateway's client id in the IMS connection point, or correct \
                 logical_id.",
            ))
        }
        Accepted::Refused(answer @ Answer::Http { .. }) => {
            Some(finding("LIST_UNREADABLE", Severity::Warning).says(
                format!("ION's list of accepted documents could not be read: {}", said(answer)),
                by_hand,
            ))
        }
        Accepted::Refused(
            Answer::NoToken { .. } | Answer::NotConnected { .. } | Answer::Unanswered { .. },
        ) => None,
    }
}

/// Types that ION takes from a connection point and that its settings lack.
pub fn listed_only<'a>(
    point: &'a ConnectionPoint,
    listed: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a String> {
    listed.iter().filter(|name| {
        DocumentType::parse(name)
            .is_some_and(|it| !it.follows_from_request() && !point.documents.contains_key(&it))
    })
}

/// One of them.
pub fn only_in_ion(point: &str, document_type: &str) -> Notice {
    Notice::new("LISTED_IN_ION_ONLY", Severity::Warning, Some(point), document_type).says(
        "ION takes it from this connection point, but bodrelay_document does not list it: its rows stay 0",
        "Add it to bodrelay_document (direction 'out') if it is to be sent; else take it off the Documents tab.",
    )
}

/// ION did not say which versions of IMS it has.
pub fn versions_unknown(name: &str, answer: &Answer) -> Notice {
    Notice::new("VERSIONS_UNKNOWN", Severity::Info, None, name).says(
        format!("ION did not say which IMS versions it has: {}", said(answer)),
        "Nothing, while messages are accepted.",
    )
}

/// A connection point that is to use a version that ION does not name; none named is unknown.
pub fn of_versions(point: &ConnectionPoint, known: &[String]) -> Option<Notice> {
    let wanted = match point.ims_method {
        ImsMethod::V3MultipartMessage | ImsMethod::V3Message => "v3",
        ImsMethod::V2MultipartMessage => "v2",
    };
    let has_it = known.is_empty() || known.iter().any(|version| version.eq_ignore_ascii_case(wanted));
    (!has_it).then(|| {
        of_point(&point.name, "VERSION_NOT_SUPPORTED").says(
            format!("ims_version = '{wanted}', but ION has {}", known.join(", ")),
            "Set ims_version in bodrelay_connection_point to one that ION has.",
        )
    })
}

/// A certificate whose issuer nobody here knows: a proxy that looks into TLS, or somebody who stands in between.
pub fn certificate_unknown(name: &str, shown: &str) -> Notice {
    Notice::new("CERTIFICATE_UNKNOWN", Severity::Error, None, name).says(
        format!(
            "no issuer that this machine knows is behind the certificate; the server shows: {shown}"
        ),
        "Is it a proxy of your own network that looks into TLS? Get the certificate of the last issuer that is named \
         from whoever runs it, as PEM, and name the file in ca_file of this [[ion]]. If you do not know the issuer, \
         somebody stands in between.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(answer: &Answer) -> Option<&'static str> {
        of_endpoint("default", answer).map(|notice| notice.code)
    }

    #[test]
    fn each_answer_has_its_name() {
        let http = |status, text: &str, is_html| Answer::Http {
            status,
            text: text.into(),
            is_html,
            retry_after: None,
        };
        let no_token = |status| Answer::NoToken { status, what: "no token".into(), retry_after: None };
        for (answer, expected) in [
            (http(200, "", false), None),
            (http(201, "<html>", true), Some("NOT_AN_IMS_ANSWER")),
            (http(302, "", false), Some("NOT_AN_IMS_ANSWER")),
            (http(401, "", false), Some("CREDENTIAL_REFUSED")),
            (http(403, "", true), Some("CREDENTIAL_REFUSED")),
            (http(404, "<html>", true), Some("ADDRESS_WRONG")),
            (http(412, "", false), Some("INACTIVE_IN_ION")),
            (http(503, "", false), Some("INACTIVE_IN_ION")),
            (http(502, "<html>", true), Some("ION_UNREACHABLE")),
            (http(429, "", false), Some("ION_UNREACHABLE")),
            (no_token(Some(401)), Some("TOKEN_REFUSED")),
            (no_token(Some(400)), Some("TOKEN_REFUSED")),
            (no_token(Some(429)), Some("ION_UNREACHABLE")),
            (no_token(Some(500)), Some("ION_UNREACHABLE")),
            (no_token(None), Some("ION_UNREACHABLE")),
            (Answer::NotConnected { what: "refused".into() }, Some("ION_UNREACHABLE")),
            (Answer::Unanswered { what: "late".into() }, Some("ION_UNREACHABLE")),
        ] {
            assert_eq!(code(&answer), expected, "{answer:?}");
            let is_known = expected.is_none_or(|code| ENDPOINT_CODES.contains(&code));
            assert!(is_known, "{expected:?} would never be taken back");
        }
        assert_eq!(said(&http(502, "<html>long</html>", true)), "HTTP 502 with a web page");
    }
}
