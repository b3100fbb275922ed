//! A server of one thread that works on a request has no time for a question about its health: it is spared until the
//! request is due, unless it is frozen.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::proc;
use crate::support::supervisor::{Setup, Supervisor, lines_of, merged};
use crate::support::{free_port, seconds, skip, which};

/// Works without pause for the milliseconds in the path, or until there is a file `enough`; says so before and after.
const SCRIPT: &str = r"
const serverId = 'a';
const isEnough = () => require('fs').existsSync('enough');
const tell = (inFlight) => process.send({ type: 'process-metrics', serverId, metrics: { inFlight } });
process.on('message', (message) => {
  if (message.type === 'health-check') {
    process.send({ type: 'health-check-response', serverId, healthy: true, timestamp: Date.now() });
  } else if (message.type === 'collect-metrics') {
    tell(0);
  }
});
require('http').createServer((request, response) => {
  tell(1);
  const until = Date.now() + Number(request.url.slice(1));
  while (Date.now() < until && !isEnough());
  tell(0);
  response.end('done');
}).listen(Number(process.argv[2]), '127.0.0.1', () => {
  process.send({ type: 'server-started', serverId, port: 1, transport: 'streamable' });
});
";

/// Such a server, asked often on its channel, and the port that it serves.
fn serve(busy_timeout: &str) -> Option<(Supervisor, u16)> {
    serve_asked(busy_timeout, |_| json!({ "type": "channel" }))
}

/// The same, asked in another way.
fn serve_asked(busy_timeout: &str, how: impl Fn(u16) -> Value) -> Option<(Supervisor, u16)> {
    if which("node").is_none() {
        skip("no node");
        return None;
    }
    let (setup, port) = (Setup::new(), free_port());
    fs::write(setup.path().join("server.js"), SCRIPT).unwrap();
    let check = json!({ "interval": "100ms", "timeout": "200ms", "retries": 2, "busyTimeout": busy_timeout });
    let check = merged(check, &how(port));
    let keys = json!({ "command": ["node", "../server.js", port.to_string()], "channel": true,
        "readiness": "channel", "healthCheck": check, "stop": { "timeout": "200ms" },
        "restartPolicy": { "retryDelay": "10ms" }, "recovery": { "maxAttempts": 1000 } });
    let mut supervisor = setup.service("a", &keys).start();
    supervisor.wait_until("it is well", seconds(20), |it| it.service("a")["healthStatus"] == "healthy");
    Some((supervisor, port))
}

/// Has it work for so long; what came of it.
fn work(port: u16, milliseconds: u32) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = format!("GET /{milliseconds} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        let answered = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut text));
        answered.map_or_else(|error| error.to_string(), |_| text)
    })
}

/// Lets whoever works end.
fn enough(supervisor: &Supervisor) {
    fs::write(supervisor.file("services.d/enough"), "").unwrap();
}

/// The reasons of the checks that failed.
fn reasons(supervisor: &Supervisor) -> Vec<String> {
    let lines: Vec<Value> = lines_of(&supervisor.file("state/services/a/health.jsonl"));
    lines.iter().filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect()
}

#[test]
fn one_that_works_on_a_request_is_spared_and_well_after_it() {
    let Some((mut supervisor, port)) = serve("5m") else { return };
    let pid = supervisor.pid_of("a");
    let working = work(port, 300_000);
    supervisor.wait_until("five questions were not answered", seconds(10), |it| {
        reasons(it).iter().filter(|reason| *reason == "no answer in time, 1 in flight").count() >= 5
    });
    enough(&supervisor);
    assert!(working.join().unwrap().ends_with("done"));
    supervisor.wait_until("it is well", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
    assert_eq!((supervisor.pid_of("a"), supervisor.service("a")["restartCount"].as_u64()), (pid, Some(0)));
}

#[test]
fn one_that_is_asked_from_outside_is_spared_too() {
    let how = |port| json!({ "type": "http", "port": port, "path": "/0" });
    let Some((mut supervisor, port)) = serve_asked("5m", how) else { return };
    let pid = supervisor.pid_of("a");
    let working = work(port, 300_000);
    supervisor.wait_until("three questions were not answered", seconds(10), |it| {
        reasons(it).iter().filter(|reason| *reason == "no answer within 200ms").count() >= 3
    });
    enough(&supervisor);
    assert!(working.join().unwrap().ends_with("done"));
    supervisor.wait_until("it is well", seconds(10), |it| it.service("a")["healthStatus"] == "healthy");
    assert_eq!((supervisor.pid_of("a"), supervisor.service("a")["restartCount"].as_u64()), (pid, Some(0)));
}

#[test]
fn a_request_that_does_not_end_spares_it_no_longer_than_it_is_due() {
    let Some((mut supervisor, port)) = serve("1s") else { return };
    let begun = Instant::now();
    let working = work(port, 60_000);
    supervisor
        .wait_until("it is found", seconds(10), |it| it.service("a")["restartCount"].as_u64() >= Some(1));
    assert!(begun.elapsed() >= seconds(1), "ended after {:?}", begun.elapsed());
    working.join().unwrap();
}

#[test]
fn one_that_is_frozen_at_its_work_is_found() {
    let Some((mut supervisor, port)) = serve("5m") else { return };
    let pid = supervisor.pid_of("a").unwrap();
    let working = work(port, 60_000);
    supervisor.wait_until("it is spared", seconds(10), |it| {
        reasons(it).contains(&"no answer in time, 1 in flight".to_owned())
    });
    assert_eq!(supervisor.pid_of("a"), Some(pid));
    proc::signal(pid, Signal::SIGSTOP);
    supervisor
        .wait_until("it is found", seconds(10), |it| it.service("a")["restartCount"].as_u64() >= Some(1));
    supervisor.wait_until("the reason is recorded", seconds(5), |it| {
        reasons(it).contains(&"no answer: a signal has stopped it".to_owned())
    });
    working.join().unwrap();
}
