//! A runner to talk to, an upstream it may call, and waits that end.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// No wait in these tests is meant to come near this.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Held while a program is started, so that none inherits what is meant for another.
pub(crate) static SPAWN: Mutex<()> = Mutex::new(());

/// The program under test.
pub(crate) fn program() -> Command {
    // `make test` names the release build, whatever profile the tests have.
    let program = std::env::var_os("MCP_RUNNER").unwrap_or_else(|| env!("CARGO_BIN_EXE_mcp-runner").into());
    let mut command = Command::new(program);
    command.env_remove("MCP_INIT_CHANNEL_FD").env_remove("NODE_CHANNEL_FD");
    // Whoever runs the tests may reach the world through a proxy: what they talk to is here.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until something is so.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "it never came to be");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A small document.
pub(crate) fn pets() -> Value {
    let id = json!({"name": "petId", "in": "path", "required": true, "schema": {"type": "string"}});
    let pet = json!({"content": {"application/json": {"schema": {"type": "object"}}}});
    let reply = json!({"200": {"description": "well"}});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "1"},
        "servers": [{"url": "http://127.0.0.1:1"}],
        "paths": {
            "/pets": {
                "get": {"operationId": "listPets", "summary": "All pets", "responses": reply},
                "post": {"operationId": "addPet", "requestBody": pet, "responses": reply},
            },
            "/pets/{petId}": {"get": {"operationId": "getPet", "parameters": [id], "responses": reply}},
        },
    })
}

/// The flag for the small document.
pub(crate) fn pets_flag() -> String {
    format!("--openapi-data={}", pets())
}

/// A running runner. Dropped, it is killed.
pub(crate) struct Runner {
    /// The process.
    pub(crate) child: Child,
    /// The lines of its stderr, as they come.
    said: Receiver<String>,
}

impl Runner {
    /// Starts the program.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let guard = SPAWN.lock();
        let runner = Self::spawn_locked(command);
        drop(guard);
        runner
    }

    /// As above, by somebody who holds [`SPAWN`].
    pub(crate) fn spawn_locked(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, said) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, said }
    }

    /// Starts a server of the small document, and returns when it serves.
    pub(crate) fn serve(flags: &[&str]) -> (Self, Client) {
        let runner = Self::spawn(program().arg(pets_flag()).args(flags));
        let client = runner.client();
        (runner, client)
    }

    /// A client of this server, once it says where it is.
    pub(crate) fn client(&self) -> Client {
        let line = self.line();
        let url = line.split_once("://").map_or_else(|| panic!("no address in {line:?}"), |(_, url)| url);
        let (address, path) = url.split_once('/').unwrap();
        Client { address: address.to_owned(), path: format!("/{path}") }
    }

    /// The next line of stderr.
    pub(crate) fn line(&self) -> String {
        self.said.recv_timeout(LONG).expect("a line on stderr")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the end; what it still had to say comes with it.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let mut rest = Vec::new();
        loop {
            match self.said.recv_timeout(LONG) {
                Ok(line) => rest.push(line),
                // Its stderr is closed: it is ending now.
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Speaks HTTP by hand: what a library would add or forgive is not seen.
pub(crate) struct Client {
    /// Host and port.
    pub(crate) address: String,
    /// The endpoint.
    pub(crate) path: String,
}

impl Client {
    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Pending {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            write!(head, "host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        Pending(stream)
    }

    /// Posts a message to the endpoint.
    pub(crate) fn post(&self, headers: &[(&str, &str)], message: &Value) -> Pending {
        let mut all =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        all.extend(headers);
        self.send("POST", &self.path, &all, &message.to_string())
    }

    /// A request of the era before 2026-07-28.
    pub(crate) fn legacy(&self, method: &str, params: &Value) -> Pending {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        self.post(&[("mcp-protocol-version", "2025-11-25")], &message)
    }

    /// A request of 2026-07-28.
    pub(crate) fn modern(&self, method: &str, params: &Value) -> Pending {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": with_meta(params)});
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str);
        headers.extend(name.map(|name| ("mcp-name", name)));
        self.post(&headers, &message)
    }
}

/// Parameters as 2026-07-28 wants them.
pub(crate) fn with_meta(params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    params
}

/// A request that was sent. Dropped, the client has gone away.
pub(crate) struct Pending(TcpStream);

impl Pending {
    /// Reads on until a message of the stream of events is what is looked for.
    pub(crate) fn until(self, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        for line in BufReader::new(self.0).lines() {
            let line = line.unwrap();
            let message = line.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
            if let Some(message) = message.filter(&mut is_it) {
                return message;
            }
        }
        panic!("it never came");
    }

    /// Waits for the whole reply.
    pub(crate) fn reply(mut self) -> Reply {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        Reply { status, head: head.to_ascii_lowercase(), body }
    }

    /// Waits for the whole reply, as it came.
    pub(crate) fn text(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }

    /// Waits for a reply that is a result.
    pub(crate) fn result(self) -> Value {
        let reply = self.reply();
        assert_eq!((reply.status, &reply.body["id"]), (200, &json!(7)), "{}", reply.body);
        reply.body["result"].clone()
    }
}

/// A whole reply.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The status line and the headers, in lower case.
    pub(crate) head: String,
    /// The body, as JSON where it is.
    pub(crate) body: Value,
}

impl Reply {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The messages of a stream of events, or the one that is the body.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let Some(text) = self.body.as_str() else {
            return vec![self.body.clone()];
        };
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        events.map(|event| serde_json::from_str(event).unwrap()).collect()
    }
}

/// An API whose every reply the test gives itself.
pub(crate) struct Upstream(TcpListener);

impl Upstream {
    /// Listens.
    pub(crate) fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.0.local_addr().unwrap())
    }

    /// The flag that sends calls here.
    pub(crate) fn flag(&self) -> String {
        format!("--base-url={}", self.url())
    }

    /// Waits for a request.
    pub(crate) fn next(&self) -> Call {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "a whole request");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        Call { head, body: String::from_utf8(body).unwrap(), stream: reader.into_inner() }
    }
}

/// A request that waits for its reply.
pub(crate) struct Call {
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
    /// Where the reply goes.
    pub(crate) stream: TcpStream,
}

impl Call {
    /// Waits until nobody waits for the reply any more.
    pub(crate) fn closed(mut self) {
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0, "the runner hangs up");
    }

    /// The request line, without the version.
    pub(crate) fn line(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap()
    }

    /// Replies.
    pub(crate) fn answer(self, status: &str, body: &Value) {
        self.respond(status, "", body);
    }

    /// Replies with more headers.
    pub(crate) fn respond(mut self, status: &str, headers: &str, body: &Value) {
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}");
        write!(self.stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
}
