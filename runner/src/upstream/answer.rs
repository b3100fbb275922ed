//! Replies as answers: JSON as text and data, pictures and sound as such, failures in words, nothing secret and
//! nothing endless.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::Value;

use super::credentials::Credentials;
use super::{cut, is_secret};
use crate::base64;
use crate::client::Reply;
use crate::openapi::{bounded, conform};
use crate::tools::{Answer, Block, Callable, Mock, Prepared};

/// Characters of a failed call's body.
const FAILURE_MAX: usize = 4_000;
/// Characters of a failed call's HTML page, without its tags.
const PAGE_MAX: usize = 800;
/// Largest body that is no text and still shown, in bytes.
const BLOB_BYTES_MAX: usize = 4 << 20;

/// Headers of an answer without a body that are told.
const TOLD: [HeaderName; 5] = [
    header::LOCATION,
    header::CONTENT_LOCATION,
    header::ETAG,
    header::RETRY_AFTER,
    HeaderName::from_static("operation-location"),
];
/// Headers that say nothing of what a HEAD asks about.
const NEVER_TOLD: [HeaderName; 4] =
    [header::CONNECTION, header::DATE, header::SERVER, header::TRANSFER_ENCODING];
/// How many headers are told.
const HEADERS_MAX: usize = 30;
/// Characters of each.
const HEADER_MAX: usize = 300;

/// What of a call's preparation its answer needs.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Arguments that would make the answer smaller.
    pub(super) narrowing: &'a [Box<str>],
    /// What structured content must conform to.
    pub(super) schema: Option<&'a Value>,
}

impl<'a> Expected<'a> {
    /// What a tool's calls need.
    pub(super) fn of(tool: &'a Callable) -> Self {
        Self { narrowing: &tool.narrowing, schema: tool.output_schema.as_ref() }
    }
}

/// The answer to a reply.
pub(super) fn real(asked: &str, reply: &Reply, expected: Expected<'_>, credentials: &Credentials) -> Answer {
    let media_type = media_type(&reply.headers);
    if !reply.status.is_success() {
        return Answer::error(credentials.redact(failure(asked, reply, &media_type)));
    }
    let mut answer = good(asked, reply, &media_type, expected, credentials);
    let elsewhere = headers(asked, &reply.headers);
    // Work that goes on is asked about elsewhere.
    if reply.status == StatusCode::ACCEPTED && !reply.body.is_empty() && !elsewhere.is_empty() {
        answer.blocks.push(Block::Text(credentials.redact(elsewhere.trim_start().to_owned())));
    }
    answer
}

/// The answer to a good reply.
fn good(
    asked: &str,
    reply: &Reply,
    media_type: &str,
    expected: Expected<'_>,
    credentials: &Credentials,
) -> Answer {
    if reply.body.is_empty() {
        let words = format!("{}, without a body{}", named(reply.status), headers(asked, &reply.headers));
        return Answer { structured: empty(expected), ..Answer::text(credentials.redact(words)) };
    }
    if !is_text(media_type, &reply.body) {
        return Answer { structured: empty(expected), ..bytes(asked, media_type, &reply.body) };
    }
    let text = credentials.redact(text(&reply.headers, &reply.body));
    let is_json = media_type.is_empty() || media_type.contains("json");
    if let Some(value) = data(&text).filter(|_| is_json) {
        return structured(text, value, expected);
    }
    let answer = match cut::text(&text) {
        None => Answer::text(text),
        Some(head) => cut_answer(head, &cut::hint(text.len(), "", expected.narrowing)),
    };
    Answer { structured: empty(expected), ..answer }
}

/// The headers that say what a body does not: where what was made is, or for a HEAD all there is to know.
fn headers(asked: &str, headers: &HeaderMap) -> String {
    let is_head = asked.starts_with("HEAD ");
    let is_told = |name: &HeaderName| {
        if is_head { !NEVER_TOLD.contains(name) && !is_secret(name) } else { TOLD.contains(name) }
    };
    let mut words = String::new();
    for (name, value) in headers.iter().filter(|(name, _)| is_told(name)).take(HEADERS_MAX) {
        let value = String::from_utf8_lossy(value.as_bytes());
        words.extend(["\n", name.as_str(), ": ", &bounded(&value, HEADER_MAX)]);
    }
    words
}

/// The answer of the document itself.
pub(super) fn mock(prepared: &Prepared<'_>, mock: &Mock) -> Answer {
    let asked = format!("{} {}", prepared.method, prepared.path());
    let head = format!("Mock answer to {asked}, made from the API's document; nothing was called.");
    let status = &mock.status;
    let expected = Expected { narrowing: &[], schema: prepared.tool.output_schema.as_ref() };
    let (text, value) = match (&mock.body, &mock.media_type) {
        (Some(body), _) => (format!("{head}\n\n{body}"), data(body)),
        (None, Some(media_type)) => (
            format!("{head} It would be {status} with {media_type}, of which the document has no sample."),
            None,
        ),
        (None, None) => (format!("{head} It would be {status} without a body."), None),
    };
    let structured = match value {
        Some(value) => conformed(value, expected),
        None => empty(expected),
    };
    Answer { structured, ..Answer::text(text) }
}

/// JSON, as text and as data.
fn structured(text: String, value: Value, expected: Expected<'_>) -> Answer {
    match cut::json(&value, text.len()) {
        None => Answer { structured: conformed(value, expected), ..Answer::text(text) },
        Some(cut) => {
            let hint = cut::hint(text.len(), &cut.shape, expected.narrowing);
            let answer = cut_answer(cut.value.to_string(), &hint);
            Answer { structured: conformed(cut.value, expected), ..answer }
        }
    }
}

/// What is left of an answer, and then what is not.
fn cut_answer(head: String, hint: &str) -> Answer {
    let blocks = vec![Block::Text(head), Block::Text(hint.to_owned())];
    Answer { blocks, structured: None, is_error: false }
}

/// Data that conforms to the tool's output schema, where it has one: servers differ from their documents.
fn conformed(mut value: Value, expected: Expected<'_>) -> Option<Value> {
    match expected.schema {
        Some(schema) if !conform(&mut value, schema) => empty(expected),
        _ => Some(value),
    }
}

/// The least a tool with an output schema may answer; nothing in it is required.
fn empty(expected: Expected<'_>) -> Option<Value> {
    expected.schema.map(|_| Value::Object(serde_json::Map::new()))
}

/// A body that is no text, as the block that suits it.
fn bytes(asked: &str, media_type: &str, body: &[u8]) -> Answer {
    let kind = if media_type.is_empty() { "application/octet-stream" } else { media_type };
    if body.len() > BLOB_BYTES_MAX {
        let size = body.len();
        return Answer::text(format!("{kind}, {size} bytes: too large to show"));
    }
    let data = base64::encoded(body);
    let uri = asked.split_once(' ').map_or(asked, |(_, uri)| uri).to_owned();
    let block = match kind.split('/').next() {
        Some("image") => Block::Image(kind.to_owned(), data),
        Some("audio") => Block::Audio(kind.to_owned(), data),
        _ => Block::Blob(uri, kind.to_owned(), data),
    };
    Answer { blocks: vec![block], structured: None, is_error: false }
}

/// The object or list that a text is.
fn data(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

/// A failed call in words: the status, what may help, and what the upstream says.
fn failure(asked: &str, reply: &Reply, media_type: &str) -> String {
    let mut words = format!("{asked} failed: {}", named(reply.status));
    let said = |name: HeaderName| reply.headers.get(name).and_then(|value| value.to_str().ok());
    if reply.status == StatusCode::UNAUTHORIZED {
        words.push_str(" (the configured credentials are missing or refused)");
    }
    if let Some(location) = said(header::LOCATION).filter(|_| reply.status.is_redirection()) {
        words.extend([", to ", location, ", which is not followed"]);
    }
    if let Some(after) = said(header::RETRY_AFTER) {
        words.extend([" (retry after ", after, ")"]);
    }
    if reply.body.is_empty() || !is_text(media_type, &reply.body) {
        return words;
    }
    let body = text(&reply.headers, &reply.body);
    let is_page = media_type.contains("html") || body.trim_start().starts_with('<');
    let body = if is_page { bounded(&without_tags(&body), PAGE_MAX) } else { bounded(&body, FAILURE_MAX) };
    if !body.is_empty() {
        words.push_str("\n\n");
        words.push_str(&body);
    }
    words
}

/// A status with its words.
fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}

/// What is said behind `Content-Type`, in small letters.
fn content_type(headers: &HeaderMap) -> String {
    let written = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    written.unwrap_or_default().to_ascii_lowercase()
}

/// The media type without parameters; empty when none is said.
fn media_type(headers: &HeaderMap) -> String {
    content_type(headers).split(';').next().unwrap_or_default().trim().to_owned()
}

/// The text of a body, in its own encoding where that is one of the two that are met.
fn text(headers: &HeaderMap, body: &[u8]) -> String {
    let is_latin =
        ["iso-8859-1", "latin1", "windows-1252"].iter().any(|name| content_type(headers).contains(name));
    match std::str::from_utf8(body) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) if is_latin => body.iter().copied().map(char::from).collect(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// Whether a body is for reading.
fn is_text(media_type: &str, body: &[u8]) -> bool {
    let marks = ["csv", "graphql", "javascript", "json", "urlencoded", "xml", "yaml"];
    let is_office = media_type.contains("officedocument") || media_type.contains("opendocument");
    if media_type.is_empty() {
        return std::str::from_utf8(body).is_ok();
    }
    media_type.starts_with("text/") || (!is_office && marks.iter().any(|mark| media_type.contains(mark)))
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
    fn expecting(status: u16, content_type: &'static str, body: &[u8], expected: Expected<'_>) -> Answer {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, headers, body: Bytes::copy_from_slice(body) };
        real("GET https://a.example/b", &reply, expected, &Credentials::default())
    }

    /// The same, nothing expected.
    fn answer(status: u16, content_type: &'static str, body: &[u8]) -> Answer {
        expecting(status, content_type, body, Expected::default())
    }

    #[test]
    fn json_is_text_and_data() {
        let object = answer(200, "application/json; charset=utf-8", br#"{"a": 1}"#);
        assert_eq!((object.words().as_str(), object.structured), (r#"{"a": 1}"#, Some(json!({"a": 1}))));
        assert_eq!(answer(200, "application/vnd.api+json", b"[1]").structured, Some(json!([1])));
        assert_eq!(answer(200, "application/json", b"7").structured, None);
        let broken = answer(200, "application/json", b"{oops");
        assert_eq!((broken.words().as_str(), broken.is_error), ("{oops", false));
        assert_eq!(answer(200, "text/plain; charset=ISO-8859-1", b"caf\xe9").words(), "café");
    }

    #[test]
    fn bodies_that_are_no_text_are_blocks() {
        assert_eq!(answer(204, "", b"").words(), "HTTP 204 No Content, without a body");
        let block = |kind, body: &[u8]| answer(200, kind, body).blocks.remove(0);
        assert_eq!(block("image/png", b"\x89PNG"), Block::Image("image/png".into(), "iVBORw==".into()));
        assert_eq!(block("audio/wav", b"RIFF"), Block::Audio("audio/wav".into(), "UklGRg==".into()));
        assert_eq!(
            block("application/pdf", b"%PDF"),
            Block::Blob("https://a.example/b".into(), "application/pdf".into(), "JVBERg==".into())
        );
        let large = answer(200, "video/mp4", &vec![0; 5 << 20]);
        assert_eq!(large.words(), "video/mp4, 5242880 bytes: too large to show");
    }

    #[test]
    fn an_answer_without_a_body_says_where_to_look() {
        let told = |method: &str, status: u16, body: &'static [u8]| {
            let said = [
                ("location", "/jobs/s3cret-7"),
                ("etag", "\"1\""),
                ("date", "now"),
                ("set-cookie", "a=b"),
                ("content-length", "9"),
            ];
            let headers = said
                .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value)));
            let (status, body) = (StatusCode::from_u16(status).unwrap(), Bytes::from_static(body));
            let reply = Reply { status, headers: HeaderMap::from_iter(headers), body };
            let place = format!("{method} https://a.example/b");
            real(&place, &reply, Expected::default(), &Credentials::default()).words()
        };
        assert_eq!(
            told("POST", 201, b""),
            "HTTP 201 Created, without a body\nlocation: /jobs/s3cret-7\netag: \"1\""
        );
        assert_eq!(
            told("HEAD", 200, b""),
            "HTTP 200 OK, without a body\nlocation: /jobs/s3cret-7\netag: \"1\"\ncontent-length: 9"
        );
        assert_eq!(told("POST", 202, b"queued"), "queued\n\nlocation: /jobs/s3cret-7\netag: \"1\"");
        assert_eq!(told("POST", 200, b"done"), "done");
    }

    #[test]
    fn large_answers_say_how_to_ask_for_less() {
        let list: Vec<Value> = (0..20_000).map(|id| json!({"id": id, "name": "n"})).collect();
        let narrowing = ["page".into(), "per_page".into()];
        let expected = Expected { narrowing: &narrowing, schema: None };
        let cut = expecting(200, "application/json", json!(list).to_string().as_bytes(), expected);
        let words = cut.words();
        assert!(words.len() < 100_000);
        assert!(
            words.contains("elements shown. To get less, or the rest, use the arguments page, per_page."),
            "{:?}",
            cut.blocks.last()
        );
        assert!(cut.structured.unwrap().as_array().unwrap().len() < 5_000);
        let text = expecting(200, "text/csv", "a,b\n".repeat(50_000).as_bytes(), Expected::default());
        assert!(text.words().contains("the whole answer has 200000 bytes. This operation has no argument"));
    }

    #[test]
    fn data_conforms_to_what_the_tool_says() {
        let schema = Some(json!({"type": "object", "properties": {"id": {"type": "integer"}}}));
        let expected = Expected { narrowing: &[], schema: schema.as_ref() };
        let structured = |kind, body: &[u8]| expecting(200, kind, body, expected).structured;
        assert_eq!(structured("application/json", br#"{"id": "x", "b": 1}"#), Some(json!({"b": 1})));
        assert_eq!(structured("application/json", b"[1]"), Some(json!({})));
        assert_eq!(structured("text/html", b"<p>"), Some(json!({})));
        assert_eq!(structured("image/png", b"\x89"), Some(json!({})));
        assert_eq!(structured("", b""), Some(json!({})));
        assert_eq!(expecting(500, "", b"", expected).structured, None);
    }

    #[test]
    fn failures_are_errors_in_few_words() {
        let gone = answer(404, "application/json", br#"{"message":"Not Found"}"#);
        assert!(gone.is_error);
        assert_eq!(
            gone.words(),
            "GET https://a.example/b failed: HTTP 404 Not Found\n\n{\"message\":\"Not Found\"}"
        );
        let page = answer(
            502,
            "text/html",
            b"<html><head><style>p {x}</style><script>if (a < b) {}</script></head><p>Bad&nbsp;gateway</p>",
        );
        assert_eq!(page.words(), "GET https://a.example/b failed: HTTP 502 Bad Gateway\n\nBad gateway");
        assert!(answer(500, "text/plain", &vec![b'x'; 100_000]).words().len() < 5_000);
        assert!(answer(401, "", b"").words().contains("credentials"));
    }
}
