//! stdin and stdout: nothing but protocol, both eras, and an end when stdin ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{LONG, Runner, Upstream, pets_flag, program, with_meta};

/// Writes one message.
fn say(to: &mut impl Write, message: &Value) {
    writeln!(to, "{message}").unwrap();
}

/// Reads one message.
fn hear(from: &mut impl BufRead) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("no protocol: {line:?}"))
}

/// A request.
fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// The first request of the old era.
fn initialize() -> Value {
    let who = json!({"name": "test", "version": "1"});
    request(1, "initialize", &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who}))
}

#[test]
fn a_session_of_the_old_era_over_pipes() {
    let upstream = Upstream::new();
    let mut command = program();
    command.args(["--transport=stdio", &pets_flag(), &upstream.flag()]).stdin(Stdio::piped());
    let mut runner = Runner::spawn(&mut command);
    let mut stdin = runner.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(runner.child.stdout.take().unwrap());
    // A stray notification before the handshake ends nothing.
    say(
        &mut stdin,
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}),
    );
    say(&mut stdin, &initialize());
    assert_eq!(hear(&mut stdout)["result"]["protocolVersion"], "2025-06-18");
    say(&mut stdin, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    say(&mut stdin, &request(2, "tools/list", &json!({})));
    assert_eq!(hear(&mut stdout)["result"]["tools"].as_array().unwrap().len(), 3);
    say(&mut stdin, &request(3, "tools/call", &json!({"name": "nope"})));
    assert_eq!(hear(&mut stdout)["error"]["code"], -32602);

    // What is asked before stdin ends is answered after it.
    say(&mut stdin, &request(4, "tools/call", &json!({"name": "listPets", "arguments": {}})));
    let call = upstream.next();
    drop(stdin);
    call.answer("200 OK", &json!({"late": true}));
    assert_eq!(hear(&mut stdout)["result"]["structuredContent"], json!({"late": true}));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(runner.end().0.code(), Some(0));
}

#[test]
fn a_client_of_the_new_era_over_sockets_may_still_fall_back() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(LONG)).unwrap();
    let (stdin, stdout): (OwnedFd, OwnedFd) = (theirs.try_clone().unwrap().into(), theirs.into());
    let mut command = program();
    command.args(["--transport=stdio", &pets_flag()]).stdin(stdin).stdout(stdout);
    let runner = Runner::spawn(&mut command);
    drop(command);
    let mut from = BufReader::new(ours.try_clone().unwrap());
    let mut to = ours;
    say(&mut to, &request(1, "server/discover", &with_meta(&json!({}))));
    assert!(hear(&mut from)["result"]["supportedVersions"].as_array().unwrap().len() > 1);
    // Real clients do this: discover first, and then the handshake all the same.
    say(&mut to, &initialize());
    assert_eq!(hear(&mut from)["result"]["protocolVersion"], "2025-06-18");
    say(&mut to, &request(2, "tools/list", &json!({})));
    assert_eq!(hear(&mut from)["id"], 2);
    drop((from, to));
    assert_eq!(runner.end().0.code(), Some(0));
}

#[test]
fn requests_of_the_new_era_need_no_handshake() {
    let mut command = program();
    command.args(["--transport=stdio", "--base-url=mock", &pets_flag()]).stdin(Stdio::piped());
    let mut runner = Runner::spawn(&mut command);
    let mut stdin = runner.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(runner.child.stdout.take().unwrap());
    say(&mut stdin, &request(1, "tools/call", &with_meta(&json!({"name": "listPets", "arguments": {}}))));
    assert_eq!(hear(&mut stdout)["result"]["resultType"], "complete");
    // A stop is an end of stdin that the client did not ask for.
    runner.signal(Signal::SIGTERM);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), runner.end().0.code()), ("", Some(0)));
}

#[test]
fn an_empty_or_closed_stdin_is_an_end_too() {
    let mut command = program();
    let runner = Runner::spawn(command.args(["--transport=stdio", &pets_flag()]));
    assert_eq!(runner.end().0.code(), Some(0));
}
