//! The matrix of health: each type of check against each fault that it can see, found within its stated time: retries
//! times the interval and the timeout. What leaks or spins is found by its thresholds whatever its check says
//! (`watching`); that a stopped or hung program still takes connections is the kernel's doing, and tcp does not see it.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::probes::{fall_ill, finds, found, often};
use crate::support::supervisor::{Setup, Supervisor, merged};
use crate::support::{free_port, runner_program, seconds, skip, which};

finds! {
    http_finds_one_that_hangs: "http", "hung", "no answer within 400ms";
    http_finds_one_that_refuses: "http", "refusing", "Connection refused";
    http_finds_one_that_answers_late: "http", "late", "no answer within 400ms";
    mcp_finds_one_that_is_dead: "mcp", "dead", "";
    mcp_finds_one_that_hangs: "mcp", "hung", "no answer within 400ms";
    mcp_finds_one_that_refuses: "mcp", "refusing", "Connection refused";
    mcp_finds_one_that_answers_late: "mcp", "late", "no answer within 400ms";
    tcp_finds_one_that_is_dead: "tcp", "dead", "";
    tcp_finds_one_that_refuses: "tcp", "refusing", "Connection refused";
}

/// A program that asks by HTTP, as an operator would write it.
fn asked_by_program(fault: &str, words: &str) {
    let script = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=0.3).read()";
    let rest =
        |port: u16| json!({ "command": ["python3", "-c", script, format!("http://127.0.0.1:{port}/")] });
    let port = free_port();
    let keys = merged(often("exec", &rest(port)), &json!({ "healthCheck": { "timeout": "3s" } }));
    let Some(mut supervisor) = crate::probes::serve(fault, port, &keys) else { return };
    supervisor.wait_until("it is well", seconds(20), |it| it.service("a")["healthStatus"] == "healthy");
    fall_ill(&mut supervisor, fault, words);
}

#[test]
fn a_program_finds_one_that_is_dead() {
    asked_by_program("dead", "");
}

#[test]
fn a_program_finds_one_that_is_stopped() {
    asked_by_program("stopped", "timed out");
}

#[test]
fn a_program_finds_one_that_hangs() {
    asked_by_program("hung", "timed out");
}

#[test]
fn a_program_finds_one_that_refuses() {
    asked_by_program("refusing", "Connection refused");
}

#[test]
fn a_program_finds_one_that_answers_garbage() {
    asked_by_program("garbage", "what?");
}

#[test]
fn a_program_finds_one_that_answers_late() {
    asked_by_program("late", "timed out");
}

/// A service that answers on its channel, as its fault has it while the file `ill` is there.
const CHANNEL: &str = r#"
import json, os, sys, time
channel, fault = int(os.environ["MCP_INIT_CHANNEL_FD"]), sys.argv[1]
lines = os.fdopen(channel, "r", closefd=False)
os.write(channel, b'{"type":"server-started","serverId":"a"}\n')
for line in lines:
    message = json.loads(line)
    if message["type"] != "health-check": continue
    ill = os.path.exists("ill")
    if ill and fault == "hung": time.sleep(1000)
    if ill and fault == "late": time.sleep(1.5)
    if ill and fault == "garbage":
        os.write(channel, b"what?\n")
        continue
    answer = {"type": "health-check-response", "serverId": "a", "timestamp": 1, "healthy": not (ill and fault == "error"),
        "reason": "no database"}
    os.write(channel, (json.dumps(answer) + "\n").encode())
"#;

/// A healthy service falls ill, and its channel shows it.
fn heard(fault: &str, words: &str) {
    if which("python3").is_none() {
        return skip("no python3");
    }
    let setup = Setup::new();
    let script = setup.path().join("services.d/channel.py");
    fs::write(&script, CHANNEL).unwrap();
    let command = json!({ "command": ["python3", script, fault], "channel": true, "readiness": "channel" });
    let mut supervisor = setup.service("a", &merged(command, &often("channel", &json!({})))).start();
    supervisor.wait_until("it is well", seconds(20), |it| it.service("a")["healthStatus"] == "healthy");
    fall_ill(&mut supervisor, fault, words);
}

#[test]
fn the_channel_shows_one_that_is_dead() {
    heard("dead", "");
}

#[test]
fn the_channel_shows_one_that_is_stopped() {
    heard("stopped", "a signal has stopped it");
}

#[test]
fn the_channel_shows_one_that_hangs() {
    heard("hung", "no answer in time");
}

#[test]
fn the_channel_shows_one_that_answers_late() {
    heard("late", "no answer in time");
}

#[test]
fn the_channel_shows_one_that_answers_garbage() {
    heard("garbage", "no answer in time");
}

#[test]
fn the_channel_shows_one_that_says_no() {
    heard("error", "no database");
}

/// Servers and programs of every type of check, on their usual terms but for the interval.
fn one_of_each() -> Option<(Setup, Vec<&'static str>)> {
    which("python3").or_else(|| {
        skip("no python3");
        None
    })?;
    let setup = Setup::new();
    let terms = |kind: &str, rest: &Value| json!({ "healthCheck": merged(json!({ "type": kind, "interval": "1s" }), rest) });
    let script = setup.path().join("services.d/channel.py");
    fs::write(&script, CHANNEL).unwrap();
    let channel = json!({ "command": ["python3", script, "none"], "channel": true });
    let setup = setup.service("channel", &merged(channel, &terms("channel", &json!({}))));
    let mut names = vec!["channel", "exec"];
    let mut setup = setup.shell("exec", "exec sleep 10000", &terms("exec", &json!({ "command": "true" })));
    for kind in ["http", "tcp"] {
        let port = free_port();
        let serve = json!({ "command": ["python3", "-m", "http.server", "--bind", "127.0.0.1", port.to_string()],
            "readiness": { "type": "tcp", "port": port } });
        setup = setup.service(kind, &merged(serve, &terms(kind, &json!({ "port": port }))));
        names.push(kind);
    }
    if runner_program().is_some() {
        setup = setup.server("mcp", free_port(), &terms("mcp", &json!({})));
        names.push("mcp");
    }
    Some((setup, names))
}

/// Nobody is found ill whom only the machine keeps waiting: two who spin for each processor, for so long.
fn none_is_invented(within: Duration) {
    let Some((setup, names)) = one_of_each() else { return };
    let mut supervisor: Supervisor = setup.start();
    for name in &names {
        supervisor.wait_for(name, "running", seconds(30));
    }
    let mut spinning: Vec<_> = (0..2 * std::thread::available_parallelism().unwrap().get())
        .map(|_| std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < within {
        std::thread::sleep(seconds(1));
    }
    for one in &mut spinning {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    for name in &names {
        let service = supervisor.service(name);
        assert_eq!(
            (&service["status"], &service["restartCount"]),
            (&json!("running"), &json!(0)),
            "{service}"
        );
        let all = crate::support::supervisor::lines_of(
            &supervisor.file(&format!("state/services/{name}/health.jsonl")),
        );
        let ill = all.iter().filter(|line| line["healthy"] == false).count();
        eprintln!("{name}: {} checks, {ill} failed", all.len());
        assert!(all.len() as u64 > within.as_secs() / 10, "{name}: {}", all.len());
    }
    let alerts = crate::support::supervisor::lines_of(&supervisor.file("state/alerts.jsonl"));
    assert_eq!(alerts, Vec::<Value>::new());
}

#[test]
#[ignore = "wide: takes 10 minutes"]
fn no_fault_is_invented_in_ten_minutes_with_all_processors_overloaded() {
    none_is_invented(seconds(600));
}
