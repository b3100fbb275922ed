//! `attach`: a server of transport `stdio`, spoken to by the standard input and output of the command that a client
//! starts. The server is one, every client has a conversation of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::supervisor::{Setup, Supervisor};
use crate::support::{init_program, pets_document, poll, runner_program, seconds, skip};

/// A client: `mcp-init attach` and what it says.
struct Attached {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Attached {
    fn new(supervisor: &Supervisor, name: &str) -> Self {
        let mut process = Command::new(init_program())
            .arg("-c")
            .arg(supervisor.path())
            .args(["attach", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        Self { process, input, output: BufReader::new(output) }
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_default()
    }

    /// Shakes hands and lists the tools.
    fn tools(&mut self) -> Vec<String> {
        let who = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who });
        self.say(&json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }));
        assert_eq!(self.hear()["id"], 1);
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        self.say(&json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }));
        let tools = self.hear()["result"]["tools"].clone();
        let names = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        names.collect()
    }

    /// What it ended with, and what it said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        let done = self.process.wait_with_output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    }
}

/// A server of the small document, answered by its samples.
fn service(rest: &Value) -> Value {
    let mcp = json!({ "transport": "stdio", "openApiData": pets_document(), "baseUrl": "mock" });
    crate::support::supervisor::merged(json!({ "mcpConfig": mcp }), rest)
}

#[test]
fn clients_share_a_server_and_have_conversations_of_their_own() {
    if runner_program().is_none() {
        return skip("there is no runner");
    }
    let mut supervisor = Setup::new().service("pets", &service(&json!({}))).start();
    let running = supervisor.wait_for("pets", "running", seconds(10));
    let socket = supervisor.path().join("run/pets.sock");
    assert_eq!(running["endpoint"], format!("stdio:{}", socket.display()));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let (mut one, mut other) = (Attached::new(&supervisor, "pets"), Attached::new(&supervisor, "pets"));
    assert!(one.tools().contains(&"getPet".to_owned()));
    assert!(other.tools().contains(&"getPet".to_owned()));
    let params = json!({ "name": "getPet", "arguments": { "petId": 1 } });
    let call = json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": params });
    one.say(&call);
    // What was asked is answered, also when nothing more will be.
    drop(one.input.take());
    assert_eq!(one.hear()["result"]["structuredContent"]["name"], "Minka");
    assert_eq!(one.end(), (Some(0), String::new()));
    other.say(&call);
    assert_eq!(other.hear()["id"], "x");
    assert_eq!(supervisor.service("pets")["pid"], running["pid"]);
    // A server that goes says nothing more, and the client is told.
    supervisor.ok(&["stop", "pets"]);
    assert_eq!(other.hear(), Value::Null);
    let (code, said) = poll(seconds(30), || other.process.try_wait().unwrap())
        .map_or_else(|| panic!("it is still there"), |_| other.end());
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "mcp-init: cannot stay attached to pets: the server hung up\n")
    );
    assert!(!socket.exists() || std::os::unix::net::UnixStream::connect(&socket).is_err());
}

#[test]
fn a_server_that_does_not_run_is_started() {
    if runner_program().is_none() {
        return skip("there is no runner");
    }
    let on_demand = json!({ "start": "on-demand", "idleTimeout": "300ms" });
    let mut supervisor = Setup::new()
        .service("manual", &service(&json!({ "start": "manual" })))
        .service("demand", &service(&on_demand))
        .service(
            "broken",
            &json!({ "mcpConfig": { "transport": "stdio", "command": ["/nonexistent"] },
            "start": "manual", "restartPolicy": { "maxRetries": 0 } }),
        )
        .service(
            "lost",
            &json!({ "mcpConfig": { "transport": "stdio", "command": ["/nonexistent"] }, "start": "on-demand" }),
        )
        .start();
    supervisor.wait_for("demand", "listening", seconds(5));
    assert_eq!(supervisor.service("manual")["status"], "stopped");
    for name in ["manual", "demand"] {
        let mut client = Attached::new(&supervisor, name);
        assert_eq!(client.tools().len(), 8, "{name}");
        assert_eq!(supervisor.service(name)["status"], "running");
        assert_eq!(client.end(), (Some(0), String::new()));
    }
    // Nobody is there any more: it ends, and listens again.
    supervisor.wait_for("demand", "listening", seconds(10));
    let (code, said) = Attached::new(&supervisor, "broken").end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("mcp-init: cannot"), "{said}");
    // The socket is there, and what should come to it never does.
    let mut client = Attached::new(&supervisor, "lost");
    assert_eq!(client.hear(), Value::Null);
    let (code, said) = client.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("mcp-init: cannot attach to lost: cannot bridge /nonexistent"), "{said}");
}

#[test]
fn there_must_be_something_to_attach_to() {
    let setup = Setup::new().service("plain", &json!({ "command": ["sleep", "1000"] }));
    let mut supervisor = setup.start();
    supervisor.wait_for("plain", "running", seconds(5));
    let said = |name: &str| Attached::new(&supervisor, name).end();
    let (code, text) = said("plain");
    assert_eq!(code, Some(64));
    assert_eq!(
        text,
        "mcp-init: cannot attach to plain: its transport is not \"stdio\", it is no MCP server\n"
    );
    let (code, text) = said("plane");
    assert_eq!(code, Some(4));
    assert!(
        text.contains("cannot attach to \"plane\": no such service; the nearest name is \"plain\""),
        "{text}"
    );
    supervisor.signal(Signal::SIGTERM);
}
