//! The signature of OAuth 1.0a (RFC 5849), two-legged, both ways: what is signed, and with what.
//!
//! Pure: no clock, no memory of nonces, no socket. A multipart body is no form and so no part of what is signed.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::form_fields;

/// How a request is signed (RFC 5849 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    HmacSha1,
    /// Not in the RFC; what implementations have agreed on since.
    HmacSha256,
}

impl Method {
    /// As `oauth_signature_method` names it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "HMAC-SHA1" => Some(Self::HmacSha1),
            "HMAC-SHA256" => Some(Self::HmacSha256),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

/// A request as far as it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `GET`, `POST`.
    pub http_method: &'a str,
    /// Scheme, host and port as the caller wrote them; the scheme's own port counts as none.
    pub origin: &'a str,
    /// As it stands in the request line.
    pub path: &'a str,
    /// Decoded pairs of the query, of the Authorization header (without `realm` and `oauth_signature`) and of a body
    /// that is a form.
    pub parameters: &'a [(String, String)],
}

/// What an `Authorization: OAuth …` header says; `None` where it is none, or is not well written.
pub fn read_header(value: &str) -> Option<Vec<(String, String)>> {
    let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("OAuth") {
        return None;
    }
    let mut pairs = Vec::new();
    let mut in_quotes = false;
    // A comma within quotes belongs to the value (RFC 9110 §5.6.4), as in a realm.
    let apart = |c: char| {
        in_quotes ^= c == '"';
        c == ',' && !in_quotes
    };
    for pair in rest.split(apart) {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let name = percent_decoded(name.trim())?;
        // The realm is no part of what is signed, and its text may be any.
        let value = if name == "realm" { value.to_owned() } else { percent_decoded(value)? };
        pairs.push((name, value));
    }
    Some(pairs)
}

/// The header of a request, signed; `secret` is the consumer's, there is no token.
pub fn write_header(
    request: &Signed<'_>,
    method: Method,
    key: &str,
    secret: &str,
    stamp: (i64, &str),
) -> String {
    let (timestamp, nonce) = stamp;
    let own: Vec<(String, String)> = [
        ("oauth_consumer_key", key),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", method.as_str()),
        ("oauth_timestamp", &timestamp.to_string()),
        ("oauth_version", "1.0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let all: Vec<_> = request.parameters.iter().chain(&own).cloned().collect();
    let signature = signature(&base_string(&Signed { parameters: &all, ..*request }), method, secret, "");
    let own = own.iter().map(|(name, value)| format!("{name}=\"{}\", ", percent_encoded(value)));
    format!("OAuth {}oauth_signature=\"{}\"", own.collect::<String>(), percent_encoded(&signature))
}

/// The pairs of a request's query.
pub fn query_parameters(query: Option<&str>) -> Vec<(String, String)> {
    query.map(form_fields).unwrap_or_default()
}

/// The signature base string (RFC 5849 §3.4.1).
pub fn base_string(request: &Signed<'_>) -> String {
    let mut pairs: Vec<(String, String)> = request
        .parameters
        .iter()
        .filter(|(name, _)| name != "realm" && name != "oauth_signature")
        .map(|(name, value)| (percent_encoded(name), percent_encoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let uri = format!("{}{}", normal_origin(request.origin), request.path);
    format!(
        "{}&{}&{}",
        request.http_method.to_ascii_uppercase(),
        percent_encoded(&uri),
        percent_encoded(&pairs.join("&"))
    )
}

/// The signature of a base string, base64.
pub fn signature(base_string: &str, method: Method, consumer_secret: &str, token_secret: &str) -> String {
    let key = format!("{}&{}", percent_encoded(consumer_secret), percent_encoded(token_secret));
    let algorithm = match method {
        Method::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Method::HmacSha256 => hmac::HMAC_SHA256,
    };
    STANDARD.encode(hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), base_string.as_bytes()))
}

/// Scheme and host in lower case, without the scheme's own port (RFC 5849 §3.4.1.2).
fn normal_origin(origin: &str) -> String {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let own_port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(own_port).map(str::to_owned).unwrap_or(origin)
}

/// RFC 5849 §3.6: everything but letters, digits, `-`, `.`, `_`, `~`.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `None`: a `%` without two hex digits, or no UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// RFC 5849 §3.4.1.1 and §3.4.1.3: a query, a header and a form together.
    #[test]
    fn the_base_string_of_the_rfc() {
        let mut parameters = query_parameters(Some("b5=%3D%253D&a3=a&c%40=&a2=r%20b"));
        parameters.extend(
            read_header(
                "OAuth realm=\"Example\",\n oauth_consumer_key=\"9djdj82h48djs9d2\",\n oauth_token=\"kkk9d7dh3k39sjv7\",\n \
                 oauth_signature_method=\"HMAC-SHA1\",\n oauth_timestamp=\"137131201\",\n oauth_nonce=\"7d8f3e4a\",\n \
                 oauth_signature=\"bYT5CMsGcbgUdFHObYMEfcx6bsw%3D\"",
            )
            .unwrap(),
        );
        parameters.extend(form_fields("c2&a3=2+q"));
        let request = Signed {
            http_method: "post",
            origin: "http://EXAMPLE.COM:80",
            path: "/request",
            parameters: &parameters,
        };
        assert_eq!(
            base_string(&request),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540\
             %3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3D\
             HMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
        // §3.1's example: its signature is over this request, with the secrets of §1.2's style.
        assert_eq!(
            signature(&base_string(&request), Method::HmacSha1, "j49sk3j29djd", "dh893hdasih9"),
            "r6/TJjbCOr97/+UU0NsvSne7s5g="
        );
    }

    /// RFC 5849 §1.2: requests of the photo printer. (The signature that it prints for /initiate is not that of the
    /// request that it prints.)
    #[test]
    fn the_signatures_of_the_rfc() {
        let photos = pairs(&[
            ("file", "vacation.jpg"),
            ("size", "original"),
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ]);
        let token = pairs(&[
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "hh5s93j4hdidpola"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "walatlh"),
            ("oauth_verifier", "hfdp7dh39dks9884"),
        ]);
        for (http_method, origin, path, parameters, token_secret, signed) in [
            (
                "POST",
                "https://photos.example.net:443",
                "/token",
                &token,
                "hdhd0244k9j7ao03",
                "gKgrFCywp7rO0OXSjdot/IHF7IU=",
            ),
            (
                "GET",
                "http://photos.example.net",
                "/photos",
                &photos,
                "pfkkdhi9sl3r4s00",
                "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
            ),
        ] {
            let request = Signed { http_method, origin, path, parameters };
            let found = signature(&base_string(&request), Method::HmacSha1, "kd94hf93k423kf44", token_secret);
            assert_eq!(found, signed, "{path}");
        }
    }

    /// The request for a photo once more; the expected value was computed with Python's hmac and hashlib.
    #[test]
    fn sha256_is_another_signature() {
        let photos = pairs(&[
            ("file", "vacation.jpg"),
            ("size", "original"),
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ]);
        let request = Signed {
            http_method: "GET",
            origin: "http://photos.example.net",
            path: "/photos",
            parameters: &photos,
        };
        let found =
            signature(&base_string(&request), Method::HmacSha256, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
        assert_eq!(found, "7NYnfiUN//Gcjb9IY6/4CCsThBHtV2M8qinB+HZr4js=");
        assert_eq!(
            [Method::parse("HMAC-SHA256"), Method::parse("PLAINTEXT")],
            [Some(Method::HmacSha256), None]
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let parameters = pairs(&[("a b", "c&d=ü")]);
        let request =
            Signed { http_method: "POST", origin: "https://h:8443", path: "/x", parameters: &parameters };
        let header = write_header(&request, Method::HmacSha256, "the key", "s%cret&", (17, "n+1"));
        let read = read_header(&header).unwrap();
        let value = |name: &str| read.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!((&*value("oauth_consumer_key"), &*value("oauth_nonce")), ("the key", "n+1"));
        let all = [read.clone(), parameters.clone()].concat();
        let again = signature(
            &base_string(&Signed { parameters: &all, ..request }),
            Method::HmacSha256,
            "s%cret&",
            "",
        );
        assert_eq!(value("oauth_signature"), again);
    }

    #[test]
    fn a_comma_in_quotes_is_no_end() {
        let header = "OAuth realm=\"Acme, Inc. 100%\", oauth_consumer_key=\"a,b\",oauth_nonce=\"n\"";
        let wanted = [("realm", "Acme, Inc. 100%"), ("oauth_consumer_key", "a,b"), ("oauth_nonce", "n")];
        assert_eq!(read_header(header).unwrap(), pairs(&wanted));
    }

    #[test]
    fn what_is_no_header_is_none() {
        for text in
            ["", "OAuth", "Basic eA==", "OAuth a", "OAuth a=\"%zz\"", "OAuth a=\"%+1\"", "OAuth a=\"%ff\""]
        {
            assert_eq!(read_header(text), None, "{text}");
        }
    }
}
