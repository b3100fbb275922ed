//! Replies as answers: JSON as text and data, failures in words, nothing secret and nothing endless.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::Value;

use super::credentials::Credentials;
use crate::client::Reply;
use crate::openapi::bounded;
use crate::tools::{Answer, Mock, Prepared};

/// Characters of a failed call's body.
const FAILURE_MAX: usize = 4_000;
/// Characters of a failed call's HTML page, without its tags.
const PAGE_MAX: usize = 800;

/// The answer to a reply.
pub(super) fn real(asked: &str, reply: &Reply, credentials: &Credentials) -> Answer {
    let media_type = media_type(&reply.headers);
    if !reply.status.is_success() {
        return Answer::error(credentials.redact(failure(asked, reply, &media_type)));
    }
    if reply.body.is_empty() {
        return plain(format!("{}, without a body", named(reply.status)));
    }
    if !is_text(&media_type, &reply.body) {
        let kind = if media_type.is_empty() { "unnamed type" } else { &media_type };
        return plain(format!("{kind}, {} bytes: not text, so it is not shown", reply.body.len()));
    }
    let text = credentials.redact(String::from_utf8_lossy(&reply.body).into_owned());
    let structured = if media_type.is_empty() || media_type.contains("json") { data(&text) } else { None };
    Answer { text, structured, is_error: false }
}

/// The answer of the document itself.
pub(super) fn mock(prepared: &Prepared<'_>, mock: &Mock) -> Answer {
    let asked = format!("{} {}", prepared.method, prepared.path());
    let head = format!("Mock answer to {asked}, made from the API's document; nothing was called.");
    let status = &mock.status;
    let (text, structured) = match (&mock.body, &mock.media_type) {
        (Some(body), _) => (format!("{head}\n\n{body}"), data(body)),
        (None, Some(media_type)) => (
            format!("{head} It would be {status} with {media_type}, of which the document has no sample."),
            None,
        ),
        (None, None) => (format!("{head} It would be {status} without a body."), None),
    };
    Answer { text, structured, is_error: false }
}

/// A good answer without data.
fn plain(text: String) -> Answer {
    Answer { text, structured: None, is_error: false }
}

/// The object or list that a text is.
fn data(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

/// A failed call in words: the status, what may help, and what the upstream says.
fn failure(asked: &str, reply: &Reply, media_type: &str) -> String {
    let mut text = format!("{asked} failed: {}", named(reply.status));
    let said = |name: HeaderName| reply.headers.get(name).and_then(|value| value.to_str().ok());
    if reply.status == StatusCode::UNAUTHORIZED {
        text.push_str(" (the configured credentials are missing or refused)");
    }
    if let Some(location) = said(header::LOCATION).filter(|_| reply.status.is_redirection()) {
        text.extend([", to ", location, ", which is not followed"]);
    }
    if let Some(after) = said(header::RETRY_AFTER) {
        text.extend([" (retry after ", after, ")"]);
    }
    if reply.body.is_empty() || !is_text(media_type, &reply.body) {
        return text;
    }
    let body = String::from_utf8_lossy(&reply.body);
    let is_page = media_type.contains("html") || body.trim_start().starts_with('<');
    let body = if is_page { bounded(&without_tags(&body), PAGE_MAX) } else { bounded(&body, FAILURE_MAX) };
    if !body.is_empty() {
        text.push_str("\n\n");
        text.push_str(&body);
    }
    text
}

/// A status with its words.
fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}

/// The media type without parameters; empty when none is said.
fn media_type(headers: &HeaderMap) -> String {
    let written = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a body is for reading.
fn is_text(media_type: &str, body: &[u8]) -> bool {
    let marks = ["csv", "graphql", "javascript", "json", "urlencoded", "xml", "yaml"];
    if media_type.is_empty() {
        return std::str::from_utf8(body).is_ok();
    }
    media_type.starts_with("text/") || marks.iter().any(|mark| media_type.contains(mark))
}

/// The words of an HTML page.
fn without_tags(page: &str) -> String {
    let mut words = String::new();
    let mut rest = page;
    while let Some((text, tag)) = rest.split_once('<') {
        words.push_str(text);
        words.push(' ');
        let hidden = ["script", "style"]
            .into_iter()
            .find(|name| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        let end = hidden.and_then(|name| tag.to_ascii_lowercase().find(&format!("</{name}")));
        let tag = match (hidden, end) {
            (Some(_), None) => "",
            (Some(_), Some(end)) => tag.get(end..).unwrap_or_default(),
            (None, _) => tag,
        };
        rest = tag.split_once('>').map_or("", |(_, behind)| behind);
    }
    words.push_str(rest);
    let words = words.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    /// The answer to a reply without credentials.
    fn answer(status: u16, content_type: &'static str, body: &'static [u8]) -> Answer {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, headers, body: Bytes::from_static(body) };
        real("GET https://a.example/b", &reply, &Credentials::default())
    }

    #[test]
    fn json_is_text_and_data() {
        let object = answer(200, "application/json; charset=utf-8", br#"{"a": 1}"#);
        assert_eq!((object.text.as_str(), object.structured), (r#"{"a": 1}"#, Some(json!({"a": 1}))));
        assert_eq!(answer(200, "application/vnd.api+json", b"[1]").structured, Some(json!([1])));
        assert_eq!(answer(200, "application/json", b"7").structured, None);
        let broken = answer(200, "application/json", b"{oops");
        assert_eq!((broken.text.as_str(), broken.is_error), ("{oops", false));
    }

    #[test]
    fn bodies_that_are_no_text_are_described() {
        assert_eq!(answer(204, "", b"").text, "HTTP 204 No Content, without a body");
        let image = answer(200, "image/png", b"\x89PNG");
        assert_eq!(image.text, "image/png, 4 bytes: not text, so it is not shown");
    }

    #[test]
    fn failures_are_errors_in_few_words() {
        let gone = answer(404, "application/json", br#"{"message":"Not Found"}"#);
        assert!(gone.is_error);
        assert_eq!(
            gone.text,
            "GET https://a.example/b failed: HTTP 404 Not Found\n\n{\"message\":\"Not Found\"}"
        );
        let page = answer(
            502,
            "text/html",
            b"<html><head><style>p {x}</style><script>if (a < b) {}</script></head><p>Bad&nbsp;gateway</p>",
        );
        assert_eq!(page.text, "GET https://a.example/b failed: HTTP 502 Bad Gateway\n\nBad gateway");
        let long = answer(500, "text/plain", Box::leak(vec![b'x'; 100_000].into_boxed_slice()));
        assert!(long.text.len() < 5_000);
        assert!(answer(401, "", b"").text.contains("credentials"));
    }
}
