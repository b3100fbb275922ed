//! A stdio MCP server to bridge, which does what it is told: this very test program, run as a server. What the
//! test harness prints before it is no protocol, as with many a real server.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Set for the process that is to be the server; what it holds is its name.
pub(crate) const VARIABLE: &str = "MCP_RUNNER_TEST_STUB";

/// The command that runs it, as flags of the runner.
pub(crate) fn command() -> Vec<String> {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    ["--", &program, "--exact", "stub::serve", "--ignored", "--nocapture", "--test-threads=2"]
        .map(str::to_owned)
        .to_vec()
}

/// Writes one message.
fn say(message: &Value) {
    writeln!(std::io::stdout().lock(), "{message}").unwrap();
}

/// Writes an answer.
fn answer(id: &Value, result: &Value) {
    say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
}

/// Writes a text as the result of a call.
fn tell(id: &Value, text: &str) {
    answer(id, &json!({"content": [{"type": "text", "text": text}]}));
}

/// The server; only where [`VARIABLE`] is set, for it would wait for a client otherwise.
#[test]
#[ignore = "a server for other tests"]
fn serve() {
    let Ok(name) = std::env::var(VARIABLE) else {
        return;
    };
    eprintln!("stub {name} is here");
    if name == "mute" {
        thread::sleep(Duration::from_secs(100));
    }
    let mut tools = vec![json!({"name": "echo", "inputSchema": {"type": "object"}})];
    let mut seen = Vec::new();
    let mut waiting = Value::Null;
    let mut who = Value::Null;
    for line in std::io::stdin().lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (id, params) = (&message["id"], &message["params"]);
        match message["method"].as_str() {
            Some("initialize") if name == "modern" => {
                say(
                    &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}}),
                );
            }
            Some("server/discover") if name == "modern" => {
                let meta = json!({"io.modelcontextprotocol/serverInfo": {"name": name, "version": "1"}});
                answer(
                    id,
                    &json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private", "_meta": meta}),
                );
            }
            Some("initialize") => {
                who = params["clientInfo"]["name"].clone();
                let capabilities =
                    json!({"tools": {"listChanged": true}, "logging": {}, "resources": {"subscribe": true}});
                let info = json!({"name": name, "version": "1"});
                answer(
                    id,
                    &json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": info}),
                );
            }
            Some("tools/list") => answer(id, &json!({"tools": tools, "beyond": "the specification"})),
            Some("tools/call") => call(&message, &mut tools, &seen, &who),
            Some("x/slow") => waiting = id.clone(),
            Some(method) if !id.is_null() => answer(id, &json!({"method": method, "params": params})),
            Some(method) => {
                seen.push(json!({"method": method, "requestId": params["requestId"], "slow": waiting}));
            }
            // An answer to what we asked.
            None => tell(&waiting_for(id), &message["result"].to_string()),
        }
    }
    if name == "stubborn" {
        loop {
            thread::sleep(Duration::from_secs(100));
        }
    }
}

/// The request that a question was asked for.
fn waiting_for(question: &Value) -> Value {
    json!(question.as_str().unwrap().trim_start_matches("q-").parse::<u64>().unwrap())
}

/// A call of a tool.
fn call(message: &Value, tools: &mut Vec<Value>, seen: &[Value], who: &Value) {
    let (id, params) = (&message["id"], &message["params"]);
    let notify =
        |method: &str, params: &Value| say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    match params["name"].as_str().unwrap() {
        "echo" => tell(id, params["arguments"]["text"].as_str().unwrap()),
        "pid" => tell(id, &std::process::id().to_string()),
        "who" => tell(id, who.as_str().unwrap_or_default()),
        "seen" => tell(id, &Value::from(seen.to_vec()).to_string()),
        "variable" => {
            let name = params["arguments"]["text"].as_str().unwrap();
            tell(id, &std::env::var(name).unwrap_or_else(|_| "unset".to_owned()));
        }
        "die" => std::process::exit(3),
        "progress" => {
            let token = &params["_meta"]["progressToken"];
            notify("notifications/progress", &json!({"progressToken": token, "progress": 1}));
            tell(id, &token.to_string());
        }
        "change" => {
            tools.push(json!({"name": "more", "inputSchema": {"type": "object"}}));
            notify("notifications/tools/list_changed", &Value::Null);
            tell(id, "changed");
        }
        "log" => {
            notify("notifications/message", &json!({"level": "debug", "data": "fine"}));
            notify("notifications/message", &json!({"level": "error", "data": "bad"}));
            notify("notifications/resources/updated", &json!({"uri": "x://y"}));
            tell(id, "logged");
        }
        "ask" => say(&json!({"jsonrpc": "2.0", "id": format!("q-{id}"), "method": "roots/list"})),
        "ask-anyway" => {
            say(&json!({"jsonrpc": "2.0", "id": "a", "method": "roots/list"}));
            tell(id, "asked");
        }
        "junk" => {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "this is no protocol\n{{\"neither\":\"is this\"}}\n").unwrap();
            writeln!(stdout, "{}", "x".repeat(17 << 20)).unwrap();
            drop(stdout);
            tell(id, "junk");
        }
        "large" => tell(id, &"x".repeat(17 << 20)),
        "spawn" => {
            // A shell that leaves at once: what it started is nobody's child any more.
            let shell = Command::new("sh")
                .args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"])
                .output()
                .unwrap();
            tell(id, String::from_utf8(shell.stdout).unwrap().trim());
        }
        other => panic!("{other}"),
    }
}
