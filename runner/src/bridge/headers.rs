//! What the headers of a request must say, and whether its body says the same. Who may ask at all is decided
//! before.

use http::{HeaderMap, StatusCode};
use serde_json::json;
use serde_json::value::RawValue;

use super::era::{CAPABILITIES_KEY, Era, MODERN, REVISIONS, VERSION_KEY};
use super::message::{Answer, INVALID_PARAMS, fields, text};

/// A header contradicts the body.
const HEADER_MISMATCH: i32 = -32020;

/// A revision that is not spoken.
const UNSUPPORTED_VERSION: i32 = -32022;

/// The header of the session.
pub(super) const SESSION: &str = "mcp-session-id";

/// The header of the revision.
const VERSION: &str = "mcp-protocol-version";

/// A header, if it is there and text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the client takes answers of this kind.
pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let values = headers.get_all(http::header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let family = kind.split('/').next().unwrap_or_default();
    values.flat_map(|value| value.split(',')).any(|one| {
        let one = one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        one == kind || one == "*/*" || one.strip_suffix("/*") == Some(family)
    })
}

/// The revision that a request names in its body.
pub(super) fn version_in(params: Option<&RawValue>) -> Option<String> {
    let meta = params.and_then(|params| fields(params)?.remove("_meta"));
    text(meta.as_deref(), VERSION_KEY)
}

/// The era of a request over HTTP. A handshake is one of the era that has it, whichever revision it names; what is
/// called so and names none in the place of a handshake is a method that the other era no longer has.
pub(super) fn era_of(headers: &HeaderMap, method: &str, params: Option<&RawValue>) -> Era {
    let is_modern = if method == "initialize" {
        version_in(params).is_some() && text(params, "protocolVersion").is_none()
    } else {
        method == "server/discover"
            || header(headers, VERSION)
                .is_some_and(|version| version >= MODERN && REVISIONS.contains(&version))
            || version_in(params).is_some()
    };
    if is_modern { Era::Modern } else { Era::Handshake }
}

/// Whether a client of the era with a handshake names a revision that is spoken, if it names one.
pub(super) fn is_version_known(headers: &HeaderMap) -> bool {
    headers.get(VERSION).is_none_or(|version| REVISIONS.iter().any(|known| version == known))
}

/// What is wrong with a request of 2026-07-28, if anything is.
pub(super) fn check(headers: &HeaderMap, method: &str, params: Option<&RawValue>) -> Result<(), Answer> {
    let mismatch = |what: &str| Err(Answer::failure(HEADER_MISMATCH, what));
    let named = version_in(params);
    match (header(headers, VERSION), named.as_deref()) {
        (Some(header), Some(named)) if header != named => {
            return mismatch("MCP-Protocol-Version and the request's _meta name different revisions");
        }
        (None, Some(_)) => return mismatch("MCP-Protocol-Version is missing"),
        _ => {}
    }
    check_body(params)?;
    if header(headers, "mcp-method") != Some(method) {
        return mismatch("Mcp-Method is not the request's method");
    }
    let name = match method {
        "tools/call" | "prompts/get" => text(params, "name"),
        "resources/read" => text(params, "uri"),
        _ => return Ok(()),
    };
    let told = header(headers, "mcp-name").map(decoded);
    if let Some(name) = name
        && told.as_deref() != Some(&*name)
    {
        return mismatch("Mcp-Name is not the request's name or uri");
    }
    Ok(())
}

/// What is wrong with the `_meta` of a request of 2026-07-28, if anything is.
pub(super) fn check_body(params: Option<&RawValue>) -> Result<(), Answer> {
    let Some(version) = version_in(params) else {
        return Err(missing(VERSION_KEY));
    };
    if !REVISIONS.contains(&&*version) {
        let data = json!({"supported": REVISIONS, "requested": version});
        return Err(Answer::failure_with(UNSUPPORTED_VERSION, "unsupported protocol version", &data));
    }
    let meta = params.and_then(|params| fields(params)?.remove("_meta"));
    let capabilities = meta.and_then(|meta| fields(&meta)?.remove(CAPABILITIES_KEY));
    match capabilities.and_then(|capabilities| fields(&capabilities)) {
        Some(_) => Ok(()),
        None => Err(missing(CAPABILITIES_KEY)),
    }
}

/// A part of `_meta` that is not there.
fn missing(key: &str) -> Answer {
    Answer::failure(INVALID_PARAMS, &format!("request _meta is missing or has a malformed {key}"))
}

/// The status that goes with an answer to a request of 2026-07-28.
pub(super) fn status_of(answer: &Answer, is_well_formed: bool) -> StatusCode {
    match answer.code() {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32022..=-32020) => StatusCode::BAD_REQUEST,
        Some(-32602) if !is_well_formed => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::OK,
    }
}

/// A header's value that may be written `=?base64?…?=`.
fn decoded(value: &str) -> String {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let bytes = inner.and_then(from_base64);
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

/// What base64 stands for.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::message::raw;
    use super::*;

    /// Headers.
    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn headers_and_body_say_the_same() {
        let meta = json!({VERSION_KEY: MODERN, CAPABILITIES_KEY: {}});
        let call = raw(&json!({"name": "é", "_meta": meta}));
        let good =
            headers(&[(VERSION, MODERN), ("mcp-method", "tools/call"), ("mcp-name", "=?base64?w6k=?=")]);
        assert!(check(&good, "tools/call", Some(&call)).is_ok());
        let code = |all: &[(&'static str, &'static str)], params: &RawValue| {
            check(&headers(all), "tools/call", Some(params)).unwrap_err().code()
        };
        assert_eq!(code(&[], &call), Some(-32020));
        assert_eq!(code(&[(VERSION, "2025-11-25")], &call), Some(-32020));
        assert_eq!(code(&[(VERSION, MODERN), ("mcp-method", "tools/list")], &call), Some(-32020));
        assert_eq!(
            code(&[(VERSION, MODERN), ("mcp-method", "tools/call"), ("mcp-name", "e")], &call),
            Some(-32020)
        );
        let old = raw(&json!({"_meta": {VERSION_KEY: "1999-01-01"}}));
        assert_eq!(code(&[(VERSION, "1999-01-01")], &old), Some(-32022));
        let bare = raw(&json!({"_meta": {VERSION_KEY: MODERN}}));
        assert_eq!(code(&[(VERSION, MODERN)], &bare), Some(-32602));
        assert_eq!(code(&[(VERSION, MODERN)], &raw(&json!({}))), Some(-32602));
    }

    #[test]
    fn eras_are_told_apart() {
        let modern = raw(&json!({"_meta": {VERSION_KEY: MODERN}}));
        let none = headers(&[]);
        assert_eq!(era_of(&none, "tools/list", None), Era::Handshake);
        assert_eq!(era_of(&none, "tools/list", Some(&modern)), Era::Modern);
        let handshake = raw(&json!({"protocolVersion": MODERN, "_meta": {VERSION_KEY: MODERN}}));
        assert_eq!(era_of(&none, "initialize", Some(&handshake)), Era::Handshake);
        assert_eq!(era_of(&none, "initialize", Some(&modern)), Era::Modern);
        assert_eq!(era_of(&none, "server/discover", None), Era::Modern);
        assert_eq!(era_of(&headers(&[(VERSION, MODERN)]), "tools/list", None), Era::Modern);
        assert!(is_version_known(&none) && !is_version_known(&headers(&[(VERSION, "1999-01-01")])));
    }

    #[test]
    fn clients_say_what_they_take() {
        let both = headers(&[("accept", "application/json, Text/Event-Stream;q=0.9")]);
        assert!(accepts(&both, "application/json") && accepts(&both, "text/event-stream"));
        let one = headers(&[("accept", "application/json")]);
        assert!(!accepts(&one, "text/event-stream"));
        assert!(accepts(&headers(&[("accept", "*/*")]), "text/event-stream"));
    }

    #[test]
    fn base64_is_read() {
        assert_eq!(decoded("=?base64?aGVsbG8gd29ybGQ=?="), "hello world");
        assert_eq!(decoded("=?base64?*?="), "=?base64?*?=");
        assert_eq!(decoded("plain"), "plain");
    }
}
