//! A bridged server that all clients share: both eras, many clients, deaths, and that nothing is left behind.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::stub;
use crate::support::{Client, Pending, Runner, program, until, with_meta};

/// A bridge of the stub of this name, and a client of it.
pub(crate) fn bridge(name: &str, flags: &[&str]) -> (Runner, Client) {
    let runner = Runner::spawn(program().env(stub::VARIABLE, name).args(flags).args(stub::command()));
    loop {
        let line = runner.line();
        if let Some((_, url)) = line.split_once(" at http://") {
            let (address, path) = url.split_once('/').unwrap();
            return (runner, Client { address: address.to_owned(), path: format!("/{path}") });
        }
    }
}

/// A call of a tool, of the era with a handshake, without a session.
pub(crate) fn call(client: &Client, tool: &str, text: &str) -> Pending {
    client.legacy("tools/call", &json!({"name": tool, "arguments": {"text": text}}))
}

/// The text of a result.
pub(crate) fn text(result: &Value) -> String {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}")).to_owned()
}

/// Whether a process is there.
pub(crate) fn lives(pid: &str) -> bool {
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.contains("stub::serve") || command.contains("sleep")
}

#[test]
fn both_eras_reach_a_server_of_the_old_one_and_nothing_is_lost() {
    let (_runner, client) = bridge("old", &[]);
    let params = json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    let result = client.legacy("initialize", &params).result();
    assert_eq!(
        (&result["protocolVersion"], &result["serverInfo"]["name"]),
        (&json!("2025-03-26"), &json!("old"))
    );
    let list = client.legacy("tools/list", &json!({})).result();
    assert_eq!((&list["tools"][0]["name"], &list["beyond"]), (&json!("echo"), &json!("the specification")));
    assert_eq!(list.get("resultType"), None);
    let result = client.legacy("x/new", &json!({"n": 1, "_meta": {"keep": "me"}})).result();
    assert_eq!(result, json!({"method": "x/new", "params": {"n": 1, "_meta": {"keep": "me"}}}));
    assert_eq!(client.legacy("ping", &json!({})).result(), json!({}));

    let found = client.modern("server/discover", &json!({})).result();
    assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "old");
    assert_eq!(
        (&found["resultType"], &found["capabilities"]["tools"]["listChanged"]),
        (&json!("complete"), &json!(true))
    );
    let list = client.modern("tools/list", &json!({})).result();
    assert_eq!((&list["resultType"], &list["cacheScope"]), (&json!("complete"), &json!("private")));
    assert_eq!(list["beyond"], "the specification");
    // What only the newer era's transport needs never reaches the server.
    assert_eq!(client.modern("x/new", &json!({"n": 1})).result()["params"], json!({"n": 1}));
    let result = client.modern("tools/call", &json!({"name": "echo", "arguments": {"text": "é\n"}})).result();
    assert_eq!((text(&result).as_str(), &result["resultType"]), ("é\n", &json!("complete")));
}

#[test]
fn mistakes_of_clients_have_their_codes() {
    let (_runner, client) = bridge("old", &[]);
    let reply = client.modern("ping", &json!({})).reply();
    assert_eq!((reply.status, &reply.body["error"]["code"]), (404, &json!(-32601)));
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": with_meta(&json!({}))});
    let code = |headers: &[(&str, &str)]| {
        let reply = client.post(headers, &message).reply();
        (reply.status, reply.body["error"]["code"].clone())
    };
    assert_eq!(code(&[]), (400, json!(-32020)));
    assert_eq!(
        code(&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")]),
        (400, json!(-32020))
    );
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    assert_eq!(client.post(&[("mcp-protocol-version", "1999-01-01")], &list).reply().status, 400);
    assert_eq!(client.post(&[("mcp-session-id", "nobody")], &list).reply().status, 404);
    assert_eq!(client.post(&[("origin", "https://evil.example")], &list).reply().status, 403);
    let all = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let reply = client.send("POST", "/mcp", &all, "{").reply();
    assert_eq!((reply.status, &reply.body["error"]["code"]), (400, &json!(-32700)));
    assert_eq!(client.send("POST", "/mcp", &all, "[]").reply().status, 400);
    assert_eq!(client.send("POST", "/mcp", &all[..1], &list.to_string()).reply().status, 406);
    assert_eq!(client.send("GET", "/mcp", &[("accept", "text/event-stream")], "").reply().status, 405);
}

#[test]
fn many_clients_with_the_same_ids_and_tokens_get_their_own() {
    let (_runner, client) = bridge("old", &[]);
    thread::scope(|scope| {
        for number in 0..20 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..5 {
                    let mine = format!("{number}-{round}");
                    assert_eq!(text(&call(client, "echo", &mine).result()), mine);
                    // The same token for all: the server must see different ones.
                    let params = json!({"name": "progress", "_meta": {"progressToken": "mine"}});
                    let messages = client.legacy("tools/call", &params).reply().messages();
                    let [progress, answer] = messages.as_slice() else { panic!("{messages:?}") };
                    assert_eq!(progress["params"], json!({"progressToken": "mine", "progress": 1}));
                    assert_ne!(text(&answer["result"]), "\"mine\"");
                }
            });
        }
    });
}

#[test]
fn a_death_answers_who_waited_and_the_next_life_serves() {
    let (runner, client) = bridge("old", &[]);
    let before = text(&call(&client, "pid", "").result());
    let health = || client.send("GET", "/healthz", &[], "").reply().status;
    assert_eq!(health(), 200);
    let slow = client.legacy("x/slow", &json!({}));
    // The one after it shows that the server has it.
    assert_eq!(text(&call(&client, "echo", "x").result()), "x");
    kill(Pid::from_raw(before.parse().unwrap()), Signal::SIGKILL).unwrap();
    let error = slow.reply().body["error"].clone();
    assert_eq!(
        (&error["code"], error["message"].as_str().unwrap()),
        (&json!(-32000), "the server ended before it answered")
    );
    let after = text(&call(&client, "pid", "").result());
    assert_ne!(before, after);
    until(|| health() == 200);
    assert!(call(&client, "die", "").reply().body["error"]["code"].is_i64());
    assert_ne!(text(&call(&client, "pid", "").result()), after);
    assert!(until_line(&runner, "the bridged server is down").contains("signal 9"));
    assert!(until_line(&runner, "the bridged server is down").contains("exit code 3"));
}

/// The next line of stderr with these words.
fn until_line(runner: &Runner, words: &str) -> String {
    std::iter::repeat_with(|| runner.line()).find(|line| line.contains(words)).unwrap()
}

#[test]
fn lists_are_kept_until_the_server_says_that_they_changed() {
    let (_runner, client) = bridge("old", &[]);
    let tools = || client.modern("tools/list", &json!({})).result()["tools"].as_array().unwrap().len();
    assert_eq!((tools(), tools()), (1, 1));
    assert_eq!(text(&call(&client, "change", "").result()), "changed");
    assert_eq!(tools(), 2);
}

#[test]
fn who_goes_away_is_not_waited_for() {
    let (_runner, client) = bridge("old", &[]);
    let slow = client.legacy("x/slow", &json!({}));
    assert_eq!(text(&call(&client, "echo", "x").result()), "x");
    drop(slow);
    until(|| {
        let seen = text(&call(&client, "seen", "").result());
        let seen: Vec<Value> = serde_json::from_str(&seen).unwrap();
        // The server knows the request by the id that it was given.
        seen.iter().any(|one| one["method"] == "notifications/cancelled" && one["requestId"] == one["slow"])
    });
}

#[test]
fn a_server_that_writes_nonsense_is_heard_all_the_same() {
    let (runner, client) = bridge("old", &[]);
    assert_eq!(text(&call(&client, "junk", "").result()), "junk");
    assert!(until_line(&runner, "wrote no message").contains("this is no protocol"));
    until_line(&runner, "a line that is too long");
    let reply = call(&client, "large", "").reply();
    assert_eq!(reply.body["error"]["code"], -32000, "nobody waits for what cannot be passed on");
    assert!(call(&client, "ask-anyway", "").result()["content"].is_array());
}

#[test]
fn a_server_of_the_new_era_alone_serves_both() {
    let (_runner, client) = bridge("modern", &[]);
    let list = client.legacy("tools/list", &json!({})).result();
    assert_eq!((&list["tools"][0]["name"], list.get("resultType")), (&json!("echo"), None));
    let params = client.legacy("x/new", &json!({"n": 1})).result()["params"].clone();
    assert_eq!(params["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(client.modern("tools/list", &json!({})).result()["tools"][0]["name"], "echo");
    assert_eq!(client.modern("server/discover", &json!({})).result()["capabilities"], json!({"tools": {}}));
}

#[test]
fn subscriptions_of_the_new_era_carry_what_they_asked_for() {
    let (_runner, client) = bridge("old", &[]);
    let wanted = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["x://y"]}});
    let listening = client.modern("subscriptions/listen", &wanted);
    let mut names = Vec::new();
    let listener = thread::spawn(move || {
        listening.until(|message| {
            assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
            names.push((
                message["method"].as_str().unwrap().to_owned(),
                message["params"]["notifications"].clone(),
            ));
            message["method"] == "notifications/tools/list_changed"
        });
        names
    });
    // It is heard of once the subscription stands; until then nobody listens, and nothing is lost.
    until(|| {
        call(&client, "log", "").result();
        call(&client, "change", "").result();
        listener.is_finished()
    });
    let names = listener.join().unwrap();
    let accepted = json!({"toolsListChanged": true, "resourceSubscriptions": ["x://y"]});
    assert_eq!(names[0], ("notifications/subscriptions/acknowledged".to_owned(), accepted));
    assert!(names.iter().all(|(name, _)| name != "notifications/message"), "{names:?}");
}

#[test]
fn its_environment_is_what_was_said_and_the_channel_stays_ours() {
    let config = std::env::temp_dir().join(format!("mcp-runner-bridge-{}.json", std::process::id()));
    let command = &stub::command()[1..];
    let mcp = json!({"command": command, "env": {stub::VARIABLE: "old", "SAID": "so"}, "cwd": "/"});
    std::fs::write(&config, json!({"mcpConfig": mcp}).to_string()).unwrap();
    let mut program = program();
    let runner = Runner::spawn(
        program
            .env("NODE_CHANNEL_FD", "99")
            .env("KEPT", "yes")
            .arg(format!("--config-file={}", config.display())),
    );
    let line = until_line(&runner, " at http://");
    let address = line.rsplit("http://").next().unwrap().split('/').next().unwrap();
    let client = Client { address: address.to_owned(), path: "/mcp".to_owned() };
    let variable = |name| text(&call(&client, "variable", name).result());
    assert_eq!(
        (variable("SAID"), variable("KEPT"), variable("NODE_CHANNEL_FD")),
        ("so".into(), "yes".into(), "unset".into())
    );
    let pid = text(&call(&client, "pid", "").result());
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    std::fs::remove_file(config).unwrap();
}

#[test]
fn a_command_that_cannot_serve_is_a_start_that_fails() {
    let failed = |words: &[&str]| {
        let runner = Runner::spawn(program().arg("--").args(words));
        let (status, said) = runner.end();
        (status.code(), said.last().unwrap().clone())
    };
    let (code, said) = failed(&["/no/such/program"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot bridge /no/such/program") && said.contains("No such file"), "{said}");
    let (code, said) = failed(&["sh", "-c", "echo out of order >&2; exit 4"]);
    assert_eq!(
        (code, said.contains("exit code 4") && said.contains("out of order")),
        (Some(1), true),
        "{said}"
    );
    let (code, _) = failed(&["sh", "-c", "exec >&-; exec sleep 100"]);
    assert_eq!(code, Some(1));
}

#[test]
fn nothing_is_left_whoever_dies() {
    for (name, how) in
        [("old", Signal::SIGTERM), ("stubborn", Signal::SIGTERM), ("stubborn", Signal::SIGKILL)]
    {
        let (runner, client) = bridge(name, &[]);
        let server = text(&call(&client, "pid", "").result());
        let detached = text(&call(&client, "spawn", "").result());
        // For a moment, while it becomes another program, a process has no command line.
        until(|| lives(&server) && lives(&detached));
        runner.signal(how);
        let (status, _) = runner.end();
        assert_eq!(status.code(), (how == Signal::SIGTERM).then_some(0));
        until(|| !lives(&server) && !lives(&detached));
    }
    // The server's own death takes what it started with it.
    let (_runner, client) = bridge("old", &[]);
    let detached = text(&call(&client, "spawn", "").result());
    call(&client, "die", "").reply();
    until(|| !lives(&detached));
}

#[test]
fn a_stop_before_the_server_answers_leaves_nothing() {
    let mut command = program();
    let runner = Runner::spawn(command.env(stub::VARIABLE, "mute").args(stub::command()));
    until_line(&runner, "stub mute is here");
    runner.signal(Signal::SIGTERM);
    let (status, _) = runner.end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn stdin_and_stdout_carry_both_eras_too() {
    let mut command = program();
    command.arg("--transport=stdio").args(stub::command()).env(stub::VARIABLE, "old").stdin(Stdio::piped());
    let mut runner = Runner::spawn(&mut command);
    let mut to = runner.child.stdin.take().unwrap();
    let mut from = BufReader::new(runner.child.stdout.take().unwrap());
    let mut hear = || {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("no protocol: {line:?}"))
    };
    let mut say = |message: Value| writeln!(to, "{message}").unwrap();
    say(json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": with_meta(&json!({}))}));
    assert_eq!(hear()["result"]["supportedVersions"][0], "2026-07-28");
    let who = json!({"name": "c", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": who});
    say(json!({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": params}));
    assert_eq!(hear()["result"]["serverInfo"]["name"], "old");
    say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    say(json!({"jsonrpc": "2.0", "id": "x", "method": "x/new", "params": {"n": 1}}));
    assert_eq!(
        hear(),
        json!({"jsonrpc": "2.0", "id": "x", "result": {"method": "x/new", "params": {"n": 1}}})
    );
    let params = json!({"name": "progress", "_meta": {"progressToken": 5}});
    say(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}));
    assert_eq!(hear()["params"]["progressToken"], 5);
    assert_eq!(hear()["id"], 3);
    say(json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "log"}}));
    assert_eq!(hear()["params"]["data"], "bad", "and not what nobody asked for");
    assert_eq!(hear()["id"], 4);
    // What is asked before stdin ends is answered after it.
    say(
        json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": with_meta(&json!({"name": "echo", "arguments": {"text": "last"}}))}),
    );
    drop(to);
    assert_eq!(text(&hear()["result"]), "last");
    assert_eq!(runner.end().0.code(), Some(0));
}
