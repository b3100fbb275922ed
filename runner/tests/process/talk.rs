//! SSE and WebSocket: both eras over both, garbage that ends nothing it should not, stops that are told.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use crate::support::{Client, LONG, Runner, Upstream, pets_flag, program, until, with_meta};

/// A server of a transport, and where it is.
pub(crate) fn serve(transport: &str, flags: &[&str]) -> (Runner, Client) {
    let runner =
        Runner::spawn(program().arg(pets_flag()).arg(format!("--transport={transport}")).args(flags));
    let client = runner.client();
    (runner, client)
}

/// A conversation, whatever carries it.
pub(crate) trait Talk {
    /// Says something.
    fn say(&mut self, message: &Value);
    /// The next thing that is said; none at the end.
    fn hear(&mut self) -> Option<Value>;

    /// Asks, and waits for the answer.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.say(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}));
        let answer = self.hear().expect("an answer");
        assert_eq!(answer["id"], 7, "{answer}");
        answer
    }

    /// The handshake of the old era.
    fn shake(&mut self) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        assert_eq!(self.ask("initialize", &params)["result"]["protocolVersion"], "2025-11-25");
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }
}

/// A session of HTTP+SSE.
pub(crate) struct Sse {
    /// The stream.
    events: BufReader<TcpStream>,
    /// Where to post.
    pub(crate) messages: Client,
}

impl Sse {
    /// Opens the stream and hears where to post.
    pub(crate) fn open(client: &Client) -> Self {
        let mut stream = TcpStream::connect(&client.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n",
            client.path, client.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut events = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(events.read_line(&mut line).unwrap(), 0);
            assert!(!line.starts_with("HTTP") || line.contains(" 200 "), "{line}");
        }
        let messages = Client { address: client.address.clone(), path: String::new() };
        let mut sse = Self { events, messages };
        sse.messages.path = sse.event("endpoint").expect("where to post");
        sse
    }

    /// The data of the next event, which is of this kind; none at the end.
    fn event(&mut self, kind: &str) -> Option<String> {
        let mut line = String::new();
        let mut found = String::new();
        loop {
            line.clear();
            if self.events.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // Lengths of chunks and comments are between the lines of events.
            if let Some(told) = line.strip_prefix("event: ") {
                assert_eq!(told.trim(), kind);
            } else if let Some(data) = line.strip_prefix("data: ") {
                data.trim().clone_into(&mut found);
            } else if line == "\n" && !found.is_empty() {
                return Some(found);
            } else if line == "0\r\n" {
                return None;
            }
        }
    }

    /// Posts a text; the status it gets.
    fn post(&self, text: &str) -> u16 {
        self.messages
            .send("POST", &self.messages.path, &[("content-type", "application/json")], text)
            .reply()
            .status
    }
}

impl Talk for Sse {
    fn say(&mut self, message: &Value) {
        assert_eq!(self.post(&message.to_string()), 202);
    }

    fn hear(&mut self) -> Option<Value> {
        self.event("message").map(|text| serde_json::from_str(&text).unwrap())
    }
}

/// A WebSocket.
pub(crate) struct Ws(pub(crate) WebSocket<TcpStream>);

impl Ws {
    /// Shakes hands by hand.
    pub(crate) fn open(client: &Client) -> Self {
        let mut stream = TcpStream::connect(&client.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: {}\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: other, mcp\r\n\r\n",
            client.path, client.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::with_capacity(1, stream);
        let (mut all, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "{all}");
            all.push_str(&line.to_ascii_lowercase());
        }
        assert!(all.starts_with("http/1.1 101 "), "{all}");
        // The example of RFC 6455 itself.
        assert!(all.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{all}");
        assert!(all.contains("sec-websocket-protocol: mcp\r\n"), "{all}");
        let config = WebSocketConfig::default();
        Self(WebSocket::from_raw_socket(reader.into_inner(), Role::Client, Some(config)))
    }

    /// The code of the farewell.
    fn farewell(&mut self) -> u16 {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(frame))) => return frame.code.into(),
                Ok(_) => {}
                Err(error) => panic!("no farewell: {error}"),
            }
        }
    }
}

impl Talk for Ws {
    fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    fn hear(&mut self) -> Option<Value> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return None,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What both must do.
fn speaks(open: impl Fn(&Client) -> Box<dyn Talk>, transport: &str) {
    let upstream = Upstream::new();
    let (_runner, client) = serve(transport, &[&upstream.flag()]);
    // The old era.
    let mut old = open(&client);
    // Some clients begin with what is no request.
    old.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    old.shake();
    assert_eq!(old.ask("tools/list", &json!({}))["result"]["tools"].as_array().unwrap().len(), 3);
    old.say(&json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": "listPets"}}));
    upstream.next().answer("200 OK", &json!({"a": 1}));
    let answer = old.hear().unwrap();
    assert_eq!((&answer["id"], &answer["result"]["structuredContent"]), (&json!(8), &json!({"a": 1})));
    // The new one beside it.
    let mut new = open(&client);
    let answer = new.ask("server/discover", &with_meta(&json!({})));
    assert!(answer["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    assert_eq!(new.ask("tools/list", &with_meta(&json!({})))["result"]["resultType"], "complete");
    new.say(&json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": with_meta(&json!({"name": "listPets"}))}));
    upstream.next().answer("200 OK", &json!([1]));
    assert_eq!(new.hear().unwrap()["result"]["structuredContent"], json!([1]));
    // Unknown things have their code, and the conversation goes on.
    assert_eq!(old.ask("no/such", &json!({}))["error"]["code"], -32601);
    assert_eq!(old.ask("ping", &json!({}))["result"], json!({}));
}

#[test]
fn sse_carries_both_eras() {
    speaks(|client| Box::new(Sse::open(client)), "sse");
}

#[test]
fn websocket_carries_both_eras() {
    speaks(|client| Box::new(Ws::open(client)), "websocket");
}

/// A client that leaves in the middle of a call takes the call with it, and a client that cancels does.
fn leaves(open: impl Fn(&Client) -> Box<dyn Talk>, transport: &str) {
    let upstream = Upstream::new();
    let (_runner, client) = serve(transport, &[&upstream.flag()]);
    let mut talk = open(&client);
    talk.shake();
    let call = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "listPets"}});
    talk.say(&call);
    let held = upstream.next();
    talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}}));
    held.closed();
    talk.say(&call);
    let held = upstream.next();
    drop(talk);
    held.closed();
    until(|| metric(&client, "mcp_conversations") == 0.0);
}

/// A figure of `/metrics`.
pub(crate) fn metric(client: &Client, name: &str) -> f64 {
    let reply = client.send("GET", "/metrics", &[], "").reply();
    let text = reply.body.as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn who_leaves_sse_takes_its_calls_along() {
    leaves(|client| Box::new(Sse::open(client)), "sse");
}

#[test]
fn who_leaves_a_websocket_takes_its_calls_along() {
    leaves(|client| Box::new(Ws::open(client)), "websocket");
}

/// A stop answers what is in flight, and then ends the conversation.
fn stops(mut talk: Box<dyn Talk>, runner: Runner, upstream: &Upstream) -> Box<dyn Talk> {
    talk.shake();
    talk.say(&json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "listPets"}}));
    let call = upstream.next();
    runner.signal(Signal::SIGTERM);
    call.answer("200 OK", &json!({"late": true}));
    assert_eq!(talk.hear().unwrap()["result"]["structuredContent"], json!({"late": true}));
    assert_eq!(talk.hear(), None);
    let (status, lines) = runner.end();
    assert_eq!((status.code(), lines.len()), (Some(0), 0), "{lines:?}");
    talk
}

#[test]
fn a_stop_ends_sse_when_its_calls_are_answered() {
    let upstream = Upstream::new();
    let (runner, client) = serve("sse", &[&upstream.flag()]);
    stops(Box::new(Sse::open(&client)), runner, &upstream);
}

#[test]
fn a_stop_ends_a_websocket_when_its_calls_are_answered() {
    let upstream = Upstream::new();
    let (runner, client) = serve("websocket", &[&upstream.flag()]);
    stops(Box::new(Ws::open(&client)), runner, &upstream);
    let (runner, client) = serve("websocket", &[]);
    let mut idle = Ws::open(&client);
    runner.signal(Signal::SIGTERM);
    assert_eq!(idle.farewell(), 1001);
    assert_eq!(runner.end().0.code(), Some(0));
}

#[test]
fn strays_of_sse_are_told_so() {
    let (_runner, client) = serve("sse", &[]);
    let mut sse = Sse::open(&client);
    assert_eq!(sse.post("{oops"), 400);
    assert_eq!(sse.post(&" ".repeat((4 << 20) + 1)), 413);
    assert_eq!(client.send("POST", "/mcp/messages?session=nobody", &[], "{}").reply().status, 404);
    // A newer client tries this first, and goes on to the older way when it is told so.
    assert_eq!(client.legacy("initialize", &json!({})).reply().status, 405);
    assert_eq!(client.send("GET", "/mcp", &[("origin", "https://evil.example")], "").reply().status, 403);
    sse.shake();
    let old = sse.messages.path.clone();
    drop(sse);
    until(|| client.send("POST", &old, &[], "{}").reply().status == 404);
}

#[test]
fn strays_of_a_websocket_are_told_so() {
    let (_runner, client) = serve("websocket", &[]);
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let with = |more: &[(&str, &str)]| {
        let headers: Vec<_> = upgrade.iter().chain(more).copied().collect();
        client.send("GET", "/mcp", &headers, "").reply().status
    };
    assert_eq!(client.send("GET", "/mcp", &[], "").reply().status, 426);
    assert_eq!(with(&[("sec-websocket-version", "8")]), 426);
    assert_eq!(with(&[("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]), 400);
    assert_eq!(with(&[("sec-websocket-version", "13"), ("origin", "https://evil.example")]), 403);
    let mut talk = Ws::open(&client);
    talk.0.send(Message::text("{oops")).unwrap();
    assert_eq!(talk.hear().unwrap()["error"]["code"], -32700);
    talk.shake();
    talk.0.send(Message::binary(vec![1_u8])).unwrap();
    assert_eq!(talk.farewell(), 1003);
    let mut large = Ws::open(&client);
    // It is refused at its head; the rest may not find a reader.
    drop(large.0.send(Message::text(" ".repeat((4 << 20) + 1))));
    assert!(
        matches!(large.0.read(), Ok(Message::Close(Some(frame))) if u16::from(frame.code) == 1009)
            || large.0.read().is_err()
    );
    let mut good = Ws::open(&client);
    good.shake();
}

#[test]
fn too_many_questions_at_a_time_are_refused_one_by_one() {
    let upstream = Upstream::new();
    let (_runner, client) = serve("websocket", &[&upstream.flag(), "--upstream={\"concurrency\": 1}"]);
    let mut talk = Ws::open(&client);
    talk.shake();
    for id in 0..300 {
        talk.say(
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "listPets"}}),
        );
    }
    for _ in 0..44 {
        assert_eq!(talk.hear().unwrap()["error"]["code"], -32000);
    }
}
