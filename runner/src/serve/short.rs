//! The short way of a tool call over streamable HTTP: one that needs nothing of a conversation, which are nearly
//! all, goes from its bytes to the tool and back. Whatever is not exactly that is the protocol library's to answer
//! or to refuse; what comes out is the same, byte for byte.

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, MetaObject, ProtocolVersion, RequestId, RequestMetaObject, ServerJsonRpcMessage,
    ServerResult,
};
use serde::Deserialize;

use super::body::{Body, whole};
use crate::tools::Arguments;

/// The header of the revision.
const VERSION: &str = "mcp-protocol-version";

/// What the protocol keeps for itself in `_meta`.
const RESERVED: &str = "io.modelcontextprotocol/";

/// What of that is plain since the handshake is gone: who is calling.
const SAID: [&str; 3] = ["protocolVersion", "clientCapabilities", "clientInfo"];

/// The revisions before and since 2026-07-28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// There is a handshake, and a request says nothing of who is calling.
    Handshake,
    /// There is none, and each request does.
    Modern,
}

/// A call.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    /// What it is called by.
    pub(super) id: RequestId,
    /// The tool's name.
    pub(super) name: String,
    /// What it is called with.
    pub(super) arguments: Arguments,
}

/// A message that is a plain call. What is not named here is not plain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    /// Always 2.0.
    jsonrpc: &'a str,
    /// What the answer is called by.
    id: RequestId,
    /// What is wanted.
    method: &'a str,
    /// Of what.
    params: Params,
}

/// What is called.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// The tool's name.
    name: String,
    /// What it is called with.
    arguments: Option<Arguments>,
    /// What is said about the call.
    #[serde(rename = "_meta")]
    meta: Option<Arguments>,
}

/// The era of a request whose head is one of a plain call.
pub(super) fn era<B>(request: &Request<B>) -> Option<Era> {
    let headers = request.headers();
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
        let kind = kind.split_once(';').map_or(kind, |(kind, _)| kind);
        kind.trim().eq_ignore_ascii_case("application/json")
    });
    let version = match headers.get(VERSION) {
        None => &ProtocolVersion::V_2025_03_26,
        Some(named) => ProtocolVersion::KNOWN_VERSIONS.iter().find(|version| named == version.as_str())?,
    };
    let is_plain = request.method() == Method::POST && is_json && accepts_both(headers) && is_hosted(request);
    is_plain.then_some(if version.has_initialize() { Era::Handshake } else { Era::Modern })
}

/// Whether a client takes both kinds of answers, and says so simply.
fn accepts_both(headers: &HeaderMap) -> bool {
    let (mut json, mut stream) = (false, false);
    for value in headers.get_all(header::ACCEPT) {
        // A quoted comma could stand between what is no kind at all.
        let value = value.to_str().unwrap_or_default();
        for kind in value.split(',').map(str::trim).filter(|_| !value.contains('"')) {
            json |= kind.eq_ignore_ascii_case("application/json");
            stream |= kind.eq_ignore_ascii_case("text/event-stream");
        }
    }
    json && stream
}

/// Whether a request names its host.
fn is_hosted<B>(request: &Request<B>) -> bool {
    match request.headers().get(header::HOST) {
        Some(host) => host.to_str().is_ok_and(|host| host.parse::<Authority>().is_ok()),
        None => request.uri().authority().is_some(),
    }
}

/// The call that a body is, if it is a plain one of its era.
pub(super) fn read(body: &[u8], era: Era) -> Option<Call> {
    let message: Message = serde_json::from_slice(body).ok()?;
    let Params { name, arguments, meta } = message.params;
    let is_call = message.jsonrpc == "2.0" && message.method == "tools/call";
    (is_call && says(meta.unwrap_or_default(), era)).then(|| Call {
        id: message.id,
        name,
        arguments: arguments.unwrap_or_default(),
    })
}

/// Whether `_meta` says what it must in an era, and nothing that makes a call more than plain: that somebody wants
/// to be told of its progress, above all.
fn says(meta: Arguments, era: Era) -> bool {
    let is_said = |key: &str| era == Era::Modern && SAID.contains(&key);
    let is_plain = |key: &String| key != "progressToken" && key.strip_prefix(RESERVED).is_none_or(is_said);
    if !meta.keys().all(is_plain) {
        return false;
    }
    let modern = ProtocolVersion::V_2026_07_28;
    let meta = RequestMetaObject(MetaObject(meta));
    era == Era::Handshake
        || (meta.protocol_version().as_ref() == Some(&modern)
            && meta.missing_required_keys(&modern).is_empty())
}

/// Whether the headers that tell a call's method and name, as they must since 2026-07-28, say what its body says.
pub(super) fn agrees(headers: &HeaderMap, call: &Call) -> bool {
    let says = |name: &str, wanted: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().is_some_and(|value| value == wanted) && values.next().is_none()
    };
    // What looks encoded is for the library to decode.
    let is_bare = !call.name.contains("=?") && call.name.bytes().all(|byte| byte.is_ascii_graphic());
    is_bare && says("mcp-method", "tools/call") && says("mcp-name", &call.name)
}

/// The answer, as an era has it.
pub(super) fn answer(id: RequestId, era: Era, result: Result<CallToolResult, ErrorData>) -> Response<Body> {
    let message = match result {
        Ok(result) => {
            let mut result = ServerResult::CallToolResult(result);
            if era == Era::Handshake {
                result.strip_result_type_for_legacy_peer();
            }
            ServerJsonRpcMessage::response(result, id)
        }
        Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
    };
    // All in it can be written.
    let text = serde_json::to_vec(&message).unwrap_or_default();
    whole(StatusCode::OK, "application/json", Bytes::from(text))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::{Value, json};

    use super::*;

    /// A request with these headers more than a plain one has, or in their place.
    fn request(method: Method, changed: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        for (name, value) in [
            ("host", "127.0.0.1:1"),
            ("content-type", "Application/JSON; charset=utf-8"),
            ("accept", "text/event-stream, application/json"),
            (VERSION, "2025-11-25"),
        ]
        .iter()
        .chain(changed)
        {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn only_what_is_certain_is_short() {
        assert_eq!(era(&request(Method::POST, &[])), Some(Era::Handshake));
        assert_eq!(era(&request(Method::POST, &[(VERSION, "2026-07-28")])), Some(Era::Modern));
        assert_eq!(era(&request(Method::GET, &[])), None);
        for changed in [
            ("host", "a b"),
            ("content-type", "text/plain"),
            ("accept", "application/json"),
            ("accept", "application/json, text/event-stream;q=0"),
            ("accept", r#"a/b;c=", application/json, ", text/event-stream"#),
            (VERSION, "1999-01-01"),
        ] {
            assert_eq!(era(&request(Method::POST, &[changed])), None, "{changed:?}");
        }
        let mut bare = request(Method::POST, &[]);
        bare.headers_mut().remove(VERSION);
        assert_eq!(era(&bare), Some(Era::Handshake));
    }

    #[test]
    fn plain_calls_are_read_and_others_are_not() {
        let read = |message: &Value| read(message.to_string().as_bytes(), Era::Handshake);
        let call = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call",
            "params": {"name": "x", "arguments": {"b": 1}, "_meta": {"traceparent": "c"}}});
        let found = read(&call).unwrap();
        assert_eq!((found.id, &*found.name), (RequestId::String("a".into()), "x"));
        assert_eq!(json!(found.arguments), json!({"b": 1}));
        for (at, value) in [
            ("/jsonrpc", json!("1.0")),
            ("/id", json!(null)),
            ("/method", json!("tools/list")),
            ("/params", json!({"arguments": {}})),
            ("/params/arguments", json!([])),
            ("/params/_meta", json!({"progressToken": 1})),
            ("/params/_meta", json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"})),
            ("/params", json!({"name": "x", "task": {}})),
        ] {
            let mut other = call.clone();
            *other.pointer_mut(at).unwrap() = value;
            assert_eq!(read(&other), None, "{other}");
        }
        assert_eq!(super::read(b"[]", Era::Handshake), None);
        assert_eq!(super::read(&[call.to_string().as_bytes(), b" x"].concat(), Era::Handshake), None);
    }

    #[test]
    fn calls_since_2026_07_28_say_who_is_calling() {
        let key = |name: &str| format!("{RESERVED}{name}");
        let call = |changed: &[(&str, Value)]| {
            let mut meta = json!({key(SAID[0]): "2026-07-28", key(SAID[1]): {}, key(SAID[2]): {"name": "c"}});
            for (name, value) in changed {
                meta[key(name)] = value.clone();
            }
            let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "x", "_meta": meta}});
            read(message.to_string().as_bytes(), Era::Modern)
        };
        let found = call(&[]).unwrap();
        assert_eq!(call(&[(SAID[0], json!("2025-11-25"))]), None);
        assert_eq!(call(&[(SAID[1], json!(null))]), None);
        assert_eq!(call(&[("logLevel", json!("info"))]), None);
        let said = |all: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in all {
                map.append(*name, HeaderValue::from_static(value));
            }
            map
        };
        let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "x"));
        assert!(agrees(&said(&[method, name]), &found));
        for headers in [&[method][..], &[name], &[method, ("mcp-name", "y")], &[method, name, name]] {
            assert!(!agrees(&said(headers), &found), "{headers:?}");
        }
    }
}
