//! A server that is a stdio MCP server behind the runner: ready when it answers, unhealthy while it is down, and
//! gone with all it started.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::supervisor::Setup;
use crate::support::{free_port, poll, proc, runner_program, seconds, skip};

/// The smallest stdio MCP server: it waits for the file `go`, and starts a process that detaches itself.
const STUB: &str = r#"
cd "$1"; echo $$ >pid.new; setsid sleep 1000 >/dev/null 2>&1 & echo $! >detached; mv pid.new pid
read line; while ! [ -e go ]; do sleep 0.02; done
echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"stub","version":"1"}}}'
while read line; do case $line in *tools/list*) id=${line#*\"id\":}; id=${id%%,*}
echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"tools\":[{\"name\":\"only\",\"inputSchema\":{\"type\":\"object\"}}]}}";; esac; done
"#;

/// The service, its files in `folder`.
fn service(port: u16, folder: &str, rest: &Value) -> Value {
    // A "${" of the shell is none of the configuration.
    let script = STUB.replace("${", "$${");
    let mcp = json!({ "port": port, "command": ["sh", "-c", script, "stub", folder] });
    crate::support::supervisor::merged(json!({ "mcpConfig": mcp }), rest)
}

#[test]
fn a_bridged_server_is_ready_when_it_answers_and_leaves_nothing() {
    if runner_program().is_none() {
        return skip("there is no runner");
    }
    let (port, setup) = (free_port(), Setup::new());
    let folder = setup.path().to_str().unwrap().to_owned();
    let mut supervisor = setup.service("stub", &service(port, &folder, &json!({}))).start();
    let read =
        |name: &str| poll(seconds(30), || fs::read_to_string(format!("{folder}/{name}")).ok()).unwrap();
    let server: i32 = read("pid").trim().parse().unwrap();
    let detached: i32 = read("detached").trim().parse().unwrap();
    assert_eq!(supervisor.service("stub")["status"], "starting", "{}", supervisor.story());
    fs::write(format!("{folder}/go"), "").unwrap();
    let running = supervisor.wait_for("stub", "running", seconds(5));
    assert_eq!(running["endpoint"], format!("http://127.0.0.1:{port}/mcp"));
    let answer = Client::connect(port).unwrap().request("tools/list", None, json!({})).unwrap();
    assert_eq!(answer["result"]["tools"][0]["name"], "only", "{answer}");
    supervisor.ok(&["stop", "stub"]);
    assert!(!proc::is_alive(server) && !proc::is_alive(detached), "{}", supervisor.story());
}

#[test]
fn a_bridged_server_that_stays_down_is_unhealthy() {
    if runner_program().is_none() {
        return skip("there is no runner");
    }
    let (port, setup) = (free_port(), Setup::new());
    let folder = setup.path().to_str().unwrap().to_owned();
    fs::write(format!("{folder}/go"), "").unwrap();
    let check = json!({ "healthCheck": { "type": "channel", "interval": "50ms", "retries": 1000 } });
    let mut supervisor = setup.service("stub", &service(port, &folder, &check)).start();
    supervisor.wait_for("stub", "running", seconds(5));
    supervisor.wait_until("it is healthy", seconds(5), |it| it.service("stub")["healthStatus"] == "healthy");
    // It is started again at once, and then hears nothing any more.
    fs::remove_file(format!("{folder}/go")).unwrap();
    let server = fs::read_to_string(format!("{folder}/pid")).unwrap();
    proc::signal(server.trim().parse().unwrap(), Signal::SIGKILL);
    supervisor.wait_until("it is unhealthy", Duration::from_secs(5), |it| {
        it.service("stub")["healthStatus"] == "unhealthy"
    });
    fs::write(format!("{folder}/go"), "").unwrap();
    supervisor
        .wait_until("it is well again", seconds(10), |it| it.service("stub")["healthStatus"] == "healthy");
    assert_eq!(supervisor.service("stub")["restartCount"], 0, "{}", supervisor.story());
}
