//! A client of the Model Context Protocol that asks for no more than an answer: `server/discover` of the stateless
//! revision, or `initialize` and `ping` of the ones before it, whose session it ends again. It calls no tool.

use std::time::Instant;

use serde_json::{Value, json};

use super::Fault;
use super::http::{Answer, Request, exchange};
use crate::config::probe::Place;

/// The stateless revision.
const MODERN: &str = "2026-07-28";
/// The newest with sessions that every older server answers.
const LEGACY: &str = "2025-06-18";
/// What a request says of its answer.
const JSON: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

/// A server.
#[derive(Debug, Clone, Copy)]
struct Server<'a> {
    /// Where it is.
    place: &'a Place,
    /// Its endpoint.
    path: &'a str,
    /// For all answers together.
    by: Instant,
}

/// Asks a server, in the way it understands.
pub(super) fn ask(place: &Place, path: &str, by: Instant) -> Result<(), Fault> {
    let server = Server { place, path, by };
    let answer = server.discover()?;
    match result(&answer, 1) {
        Ok(_) => Ok(()),
        // It speaks HTTP, so perhaps an older revision.
        Err(_) => server.legacy(),
    }
}

/// An answer without result or error.
const NO_RESULT: &str = "answered something that is no MCP";

impl Server<'_> {
    /// `server/discover`
    fn discover(self) -> Result<Answer, Fault> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": client(),
        });
        let body = request(1, "server/discover", &json!({ "_meta": meta }));
        let headers = format!("{JSON}MCP-Protocol-Version: {MODERN}\r\nMcp-Method: server/discover\r\n");
        self.post(&headers, &body, 1)
    }

    /// `initialize`, `ping`, and the end of the session.
    fn legacy(self) -> Result<(), Fault> {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client() });
        let begun = self.post(JSON, &request(1, "initialize", &params), 1)?;
        let agreed = result(&begun, 1)?;
        let version = agreed.get("protocolVersion").and_then(Value::as_str).filter(|text| is_plain(text));
        let session = begun.header("Mcp-Session-Id").filter(|text| is_plain(text));
        let version = version.unwrap_or(LEGACY);
        let named = session.map(|session| format!("Mcp-Session-Id: {session}\r\n")).unwrap_or_default();
        let headers = format!("{JSON}MCP-Protocol-Version: {version}\r\n{named}");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
        let answered = self.post(&headers, &ready, 0).and_then(|_| {
            let answer = self.post(&headers, &request(2, "ping", &json!({})), 2)?;
            result(&answer, 2).map(drop)
        });
        if session.is_some() {
            let end =
                Request { place: self.place, method: "DELETE", path: self.path, headers: &headers, body: "" };
            // A server need not let sessions be ended.
            drop(exchange(&end, self.by, &|_| true));
        }
        answered
    }

    /// Posts a message; its answer is read until it holds that of request `id`, as its stream may go on.
    fn post(self, headers: &str, body: &str, id: u64) -> Result<Answer, Fault> {
        let request = Request { place: self.place, method: "POST", path: self.path, headers, body };
        exchange(&request, self.by, &|body| id == 0 || message(body, id).is_some())
    }
}

/// The result of request `id`; the fault if there is none.
fn result(answer: &Answer, id: u64) -> Result<Value, Fault> {
    if !answer.is_good() {
        return Err(Fault::said(format!("answered {}", answer.status)));
    }
    let Some(mut message) = message(&answer.body, id) else { return Err(Fault::said(NO_RESULT)) };
    if let Some(result) = message.get_mut("result").filter(|result| result.is_object()) {
        return Ok(result.take());
    }
    let error = message.pointer("/error/message").and_then(Value::as_str).unwrap_or(NO_RESULT);
    Err(Fault::said(error))
}

/// The message that answers request `id`: the whole body, or the data of an event.
fn message(body: &[u8], id: u64) -> Option<Value> {
    let is_it = |value: &Value| value.get("id").and_then(Value::as_u64) == Some(id);
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return Some(value).filter(is_it);
    }
    let text = String::from_utf8_lossy(body);
    let events = text.split("\n\n").flat_map(|event| event.split("\r\n\r\n"));
    let data = events.map(|event| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    });
    data.filter_map(|data| serde_json::from_str::<Value>(&data).ok()).find(is_it)
}

/// A request as JSON-RPC has it.
fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// Who asks.
fn client() -> Value {
    json!({ "name": "mcp-init", "version": env!("CARGO_PKG_VERSION") })
}

/// Whether a text may stand in a header.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_in_a_body_and_in_a_stream() {
        let found = |body: &str| message(body.as_bytes(), 2).map(|value| value["result"].clone());
        assert_eq!(found(r#"{"id":2,"result":7}"#), Some(json!(7)));
        assert_eq!(found(r#"{"id":1,"result":7}"#), None);
        let stream = ": hello\n\nevent: message\ndata: {\"method\":\"x\"}\n\ndata: {\"id\":2,\ndata: \"result\":7}\n\n";
        assert_eq!(found(stream), Some(json!(7)));
        assert_eq!(found(&stream.replace('\n', "\r\n")), Some(json!(7)));
        assert_eq!(found("data: {\"id\":2,"), None);
        assert_eq!(found("garbage"), None);
    }
}
